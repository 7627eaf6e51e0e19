#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "feedback/recipient_failures_inside.h"
#include "guard/delivery.h"

const struct recipient_failures_outcome *
recipient_failures_at(const struct recipient_failures *failures, guint number)
{
    return &g_array_index(failures->added, struct recipient_failures_outcome, number);
}

/* ---- what the store has ---------------------------------------------------------------------- */

/* 1 or -1. */
static int read_all(struct recipient_failures *failures, struct value *values, size_t count)
{
    int answer = 1;
    for (size_t done = 0; done < count && answer > 0; done += VALUES_AT_ONCE) {
        size_t left = count - done;
        answer = store_values_get(failures->store, failures->arena, values + done,
                                  left < VALUES_AT_ONCE ? left : VALUES_AT_ONCE, failures->now_ms);
    }
    return answer;
}

static const char *key_of(struct recipient_failures *failures, const char *domain,
                          const char *subject)
{
    return arena_printf(failures->arena, "%s\n%s", domain, subject);
}

/* Of a step over the turn of the year some outcomes are of the year before: it is one recipient. */
static struct about *also_of_year_before(struct recipient_failures *failures, struct about *about,
                                         const struct recipient_failures_outcome *outcome)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    block_list_hashed(outcome->recipient_before, subject);
    const char *key = key_of(failures, outcome->domain, subject);
    struct about *there = g_hash_table_lookup(failures->abouts, key);
    about = there != NULL ? there : about;
    about->keys[1] = key;
    memcpy(about->subjects[1], subject, sizeof subject);
    g_hash_table_remove(failures->abouts, key);
    g_hash_table_insert(failures->before, (void *)(uintptr_t)key, about);
    return about;
}

static struct about *about_of(struct recipient_failures *failures,
                              const struct recipient_failures_outcome *outcome)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    block_list_hashed(outcome->recipient, subject);
    const char *key = key_of(failures, outcome->domain, subject);
    struct about *about = g_hash_table_lookup(failures->abouts, key);
    about = about != NULL ? about : g_hash_table_lookup(failures->before, key);
    if (about != NULL)
        return about;
    about = arena_alloc(failures->arena, sizeof *about);
    if (outcome->recipient_before != outcome->recipient)
        about = also_of_year_before(failures, about, outcome);
    about->domain = outcome->domain;
    about->keys[0] = key;
    memcpy(about->subjects[0], subject, sizeof subject);
    g_hash_table_insert(failures->abouts, (void *)(uintptr_t)key, about);
    return about;
}

/* A history, `values` as read by this year's key and the one before. */
static void take_history(struct about *about, const struct value *const values[YEARS])
{
    about->version = values[0]->version;
    for (int year = 0; year < YEARS && !about->found; year++) {
        const struct value *value = values[year];
        if (value == NULL || value->version == 0)
            continue;
        about->found = true;
        about->until_ms = value->until_ms;
        if (!recipient_block_read(value->bytes, value->length, &about->history))
            log_line(LOG_ERROR_LEVEL, "what is kept of a recipient is damaged, and begins anew",
                     "sender_domain", about->domain, NULL);
    }
}

/* 1 or -1. */
static int read_histories(struct recipient_failures *failures)
{
    size_t room = YEARS * failures->added->len, count = 0;
    struct value *values = arena_alloc(failures->arena, room * sizeof *values);
    GHashTableIter each;
    void *value;
    failures->about =
        arena_alloc(failures->arena, failures->added->len * sizeof *failures->about);
    for (guint i = 0; i < failures->added->len; i++) {
        const struct recipient_failures_outcome *outcome = recipient_failures_at(failures, i);
        failures->about[i] = about_of(failures, outcome);
        failures->about[i]->has_failed |= !outcome->delivered;
    }
    g_hash_table_iter_init(&each, failures->abouts);
    while (g_hash_table_iter_next(&each, NULL, &value))
        for (int year = 0; year < YEARS; year++)
            if (((struct about *)value)->keys[year] != NULL)
                values[count++] = (struct value){.kind = VALUE_RECIPIENT,
                                                 .key = ((struct about *)value)->keys[year]};
    if (read_all(failures, values, count) < 0)
        return -1;
    count = 0;
    g_hash_table_iter_init(&each, failures->abouts);
    while (g_hash_table_iter_next(&each, NULL, &value)) {
        struct about *about = value;
        const struct value *before = about->keys[1] != NULL ? &values[count + 1] : NULL;
        const struct value *of[YEARS] = {&values[count], before};
        take_history(about, of);
        count += before != NULL ? 2 : 1;
    }
    return 1;
}

/* ---- places and sites ------------------------------------------------------------------------ */

/* Entries and sites that are to be read. */
struct recipients_wanted {
    struct value *values;
    struct entry_read **entries; /* or NULL: */
    struct site **sites;
    size_t count, room;
};

static void want(struct recipients_wanted *wanted, const struct value *value,
                 struct entry_read *entry, struct site *site)
{
    if (wanted->count == wanted->room) {
        wanted->room = wanted->room > 0 ? 2 * wanted->room : 64;
        wanted->values = xrealloc(wanted->values, wanted->room * sizeof *wanted->values);
        wanted->entries = xrealloc(wanted->entries, wanted->room * sizeof *wanted->entries);
        wanted->sites = xrealloc(wanted->sites, wanted->room * sizeof *wanted->sites);
    }
    wanted->values[wanted->count] = *value;
    wanted->entries[wanted->count] = entry;
    wanted->sites[wanted->count++] = site;
}

static void want_entry(struct recipient_failures *failures, struct recipients_wanted *wanted,
                       struct entry_read *entry)
{
    entry->key = block_list_key(failures->arena, &entry->of);
    want(wanted, &(struct value){.kind = VALUE_BLOCKED, .key = entry->key}, entry, NULL);
}

/* Of a recipient, or with a mailbox of a pair. */
static struct block_entry entry_at(const struct about *about, const char *mailbox)
{
    return (struct block_entry){.kind = mailbox != NULL ? BLOCK_PAIR : BLOCK_RECIPIENT,
                                .subject = about->subjects[0],
                                .scope = mailbox != NULL ? mailbox : about->domain};
}

struct block_place *recipient_failures_place(const struct recipient_failures *failures,
                                             const struct about *about, const char *mailbox)
{
    struct block_entry entry = entry_at(about, mailbox);
    return g_hash_table_lookup(failures->places, block_list_key(failures->arena, &entry));
}

static void want_place(struct recipient_failures *failures, struct recipients_wanted *wanted,
                       const struct about *about, const char *mailbox)
{
    struct block_entry entry = entry_at(about, mailbox);
    if (recipient_failures_place(failures, about, mailbox) != NULL)
        return;
    struct block_place *place = arena_alloc(failures->arena, sizeof *place);
    for (int year = 0; year < YEARS && about->keys[year] != NULL; year++) {
        entry.subject = about->subjects[year];
        place->years[year].of = entry;
        want_entry(failures, wanted, &place->years[year]);
        g_hash_table_insert(failures->places, (void *)(uintptr_t)place->years[year].key, place);
    }
}

static struct block_entry domain_entry(const char *domain)
{
    return (struct block_entry){.kind = BLOCK_DOMAIN, .subject = domain, .scope = BLOCK_SCOPE_ALL};
}

static void want_domain(struct recipient_failures *failures, struct recipients_wanted *wanted,
                        const char *domain)
{
    struct block_place *place = arena_alloc(failures->arena, sizeof *place);
    place->years[0].of = domain_entry(domain);
    const char *key = block_list_key(failures->arena, &place->years[0].of);
    if (g_hash_table_contains(failures->places, key))
        return;
    want_entry(failures, wanted, &place->years[0]);
    g_hash_table_insert(failures->places, (void *)(uintptr_t)place->years[0].key, place);
}

struct block_place *recipient_failures_place_of(const struct recipient_failures *failures,
                                                const char *domain)
{
    struct block_entry entry = domain_entry(domain);
    return g_hash_table_lookup(failures->places, block_list_key(failures->arena, &entry));
}

static void write_site_key(char key_r[SITE_KEY_SIZE], uint32_t hash)
{
    snprintf(key_r, SITE_KEY_SIZE, "%08" PRIx32, hash);
}

static void want_site(struct recipient_failures *failures, struct recipients_wanted *wanted,
                      uint32_t hash)
{
    struct site *site = arena_alloc(failures->arena, sizeof *site);
    write_site_key(site->key, hash);
    if (!g_hash_table_contains(failures->sites, site->key)) {
        g_hash_table_insert(failures->sites, site->key, site);
        want(wanted, &(struct value){.kind = VALUE_SITE, .key = site->key}, NULL, site);
    }
}

/* Those that the history knows. */
static void want_sites_of(struct recipient_failures *failures, struct recipients_wanted *wanted,
                          const struct recipient_history *history)
{
    for (size_t i = 0; i < history->failure_count; i++)
        want_site(failures, wanted, history->failures[i].site);
    for (size_t i = 0; i < history->run_count; i++)
        for (uint32_t j = 0; j < history->runs[i].count; j++)
            want_site(failures, wanted, history->runs[i].turns[j].site);
}

/* An entry of another version is not there. */
static void take_entry(struct recipient_failures *failures, struct entry_read *entry,
                       const struct value *value)
{
    entry->version = value->version;
    entry->readable =
        value->version != 0 && block_list_read(failures->arena, value, &entry->of) > 0;
}

static void take_site(struct recipient_failures *failures, struct site *site,
                      const struct value *value)
{
    site->version = value->version;
    if (value->version != 0 &&
        !site_outages_read(value->bytes, value->length, failures->arena, &site->outages))
        log_line(LOG_ERROR_LEVEL, "what is kept of a site's outages is damaged, and begins anew",
                 NULL);
}

/* Reads what is wanted, and ends it. 1 or -1. */
static int read_wanted(struct recipient_failures *failures, struct recipients_wanted *wanted)
{
    int answer = read_all(failures, wanted->values, wanted->count);
    for (size_t i = 0; i < wanted->count && answer > 0; i++)
        if (wanted->entries[i] != NULL)
            take_entry(failures, wanted->entries[i], &wanted->values[i]);
        else
            take_site(failures, wanted->sites[i], &wanted->values[i]);
    free(wanted->values);
    free(wanted->entries);
    free(wanted->sites);
    return answer;
}

/* What outcomes may change. A recipient of whom nothing is known is on no list. 1 or -1. */
static int read_rest(struct recipient_failures *failures)
{
    struct recipients_wanted wanted = {0};
    for (guint i = 0; i < failures->added->len; i++) {
        const struct recipient_failures_outcome *outcome = recipient_failures_at(failures, i);
        struct about *about = failures->about[i];
        if (!about->found && !about->has_failed)
            continue;
        if (about->place == NULL && about->has_failed)
            want_sites_of(failures, &wanted, &about->history);
        want_place(failures, &wanted, about, NULL);
        want_place(failures, &wanted, about, outcome->mailbox);
        about->place = recipient_failures_place(failures, about, NULL);
        if (!outcome->delivered)
            want_site(failures, &wanted, delivery_source(outcome->site));
        if (outcome->null_mx != NULL)
            want_domain(failures, &wanted, outcome->null_mx);
    }
    return read_wanted(failures, &wanted);
}

struct site *recipient_failures_site(const struct recipient_failures *failures,
                                     const struct recipient_failures_outcome *outcome)
{
    char key[SITE_KEY_SIZE];
    write_site_key(key, delivery_source(outcome->site));
    return g_hash_table_lookup(failures->sites, key);
}

int recipient_failures_read_blocked(struct recipient_failures *failures, const struct site *site)
{
    struct recipients_wanted wanted = {0};
    for (size_t i = 0; i < site->outages.blocked_count; i++) {
        const char *key = site->outages.blocked[i].key;
        struct value value = {.kind = VALUE_BLOCKED, .key = key};
        if (g_hash_table_contains(failures->places, key))
            continue;
        struct block_place *place = arena_alloc(failures->arena, sizeof *place);
        place->years[0].key = key;
        g_hash_table_insert(failures->places, (void *)(uintptr_t)key, place);
        want(&wanted, &value, &place->years[0], NULL);
    }
    return read_wanted(failures, &wanted);
}

int recipient_failures_read(struct recipient_failures *failures)
{
    return read_histories(failures) < 0 ? -1 : read_rest(failures);
}
