#include "mail/delivery_counts.h"

#include <string.h>

#include "base/packed.h"

enum { FORMAT = 1 };

static struct site_counts *site_of(struct delivery_counts *counts, const char *site)
{
    size_t i = 0;
    while (i < counts->site_count && strcmp(counts->sites[i].site, site) != 0)
        i++;
    if (i < counts->site_count || i == COUNTED_SITES_MAX || site[0] == '\0' ||
        strlen(site) >= COUNTED_SITE_SIZE)
        return &counts->sites[i < counts->site_count ? i : counts->site_count];
    counts->sites[i + 1] = counts->sites[i]; /* the others */
    counts->sites[i] = (struct site_counts){0};
    strcpy(counts->sites[i].site, site);
    counts->site_count++;
    return &counts->sites[i];
}

static void take_one(uint64_t *count)
{
    if (*count > 0)
        --*count;
}

/* A site that came to be one of the others' is not known any more; what it had stays where it is. */
static void uncount(struct delivery_counts *counts, const struct counted_as *recipient)
{
    take_one(&counts->recipients[recipient->delivery]);
    take_one(&site_of(counts, recipient->site)->recipients[recipient->delivery]);
    if (trace_has_class(recipient->delivery))
        take_one(&counts->classes[recipient->class]);
}

void delivery_counts_move(struct delivery_counts *counts, const struct counted_as *before,
                          const struct counted_as *after)
{
    if (before->delivery != DELIVERY_PENDING)
        uncount(counts, before);
    if (after->delivery == DELIVERY_PENDING)
        return;
    counts->recipients[after->delivery]++;
    site_of(counts, after->site)->recipients[after->delivery]++;
    if (trace_has_class(after->delivery))
        counts->classes[after->class]++;
}

void delivery_counts_sum(struct delivery_counts *sum, const struct delivery_counts *more)
{
    sum->messages += more->messages;
    for (int i = 0; i < DELIVERY_COUNT; i++)
        sum->recipients[i] += more->recipients[i];
    for (int i = 0; i < REPLY_CLASS_COUNT; i++)
        sum->classes[i] += more->classes[i];
    for (size_t i = 0; i <= more->site_count; i++) {
        struct site_counts *site = site_of(sum, more->sites[i].site);
        for (int j = 0; j < DELIVERY_COUNT; j++)
            site->recipients[j] += more->sites[i].recipients[j];
    }
}

static void add_numbers(struct text *out, const uint64_t *numbers, size_t count)
{
    packed_add_number(out, count);
    for (size_t i = 0; i < count; i++)
        packed_add_number(out, numbers[i]);
}

void delivery_counts_add(struct text *out, const struct delivery_counts *counts)
{
    text_add_char(out, FORMAT);
    packed_add_number(out, counts->messages);
    add_numbers(out, counts->recipients, DELIVERY_COUNT);
    add_numbers(out, counts->classes, REPLY_CLASS_COUNT);
    packed_add_number(out, counts->site_count + 1);
    for (size_t i = 0; i <= counts->site_count; i++) {
        const char *site = i < counts->site_count ? counts->sites[i].site : "";
        packed_add_bytes(out, site, strlen(site));
        add_numbers(out, counts->sites[i].recipients, DELIVERY_COUNT);
    }
}

/* Of more kinds than this version knows, those that it does. */
static void read_numbers(struct packed_rest *rest, uint64_t *numbers_r, size_t known)
{
    size_t count = packed_number(rest);
    for (size_t i = 0; i < count && rest->next != NULL; i++) {
        uint64_t number = packed_number(rest);
        if (i < known)
            numbers_r[i] = number;
    }
}

static int read_site(struct packed_rest *rest, struct site_counts *site_r)
{
    size_t length = packed_number(rest);
    const uint8_t *name = packed_bytes(rest, length);
    if (name == NULL || length >= COUNTED_SITE_SIZE)
        return 0;
    memcpy(site_r->site, name, length);
    read_numbers(rest, site_r->recipients, DELIVERY_COUNT);
    return 1;
}

int delivery_counts_read(const void *bytes, size_t length, struct delivery_counts *counts_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    *counts_r = (struct delivery_counts){0};
    if (packed_fixed(&rest, 1) != FORMAT)
        return 0;
    counts_r->messages = packed_number(&rest);
    read_numbers(&rest, counts_r->recipients, DELIVERY_COUNT);
    read_numbers(&rest, counts_r->classes, REPLY_CLASS_COUNT);
    size_t sites = packed_number(&rest);
    if (sites < 1 || sites > COUNTED_SITES_MAX + 1)
        return 0;
    counts_r->site_count = sites - 1;
    for (size_t i = 0; i < sites; i++)
        if (!read_site(&rest, &counts_r->sites[i]))
            return 0;
    return rest.next == rest.end;
}
