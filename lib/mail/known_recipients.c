#include "mail/known_recipients.h"

#include "base/packed.h"

enum { FORMAT = 1, HASH_BYTES = 6, DAY_BYTES = 2, EACH_BYTES = HASH_BYTES + 2 * DAY_BYTES };
enum { FIRST_DAY = 18262 }; /* 2020-01-01 */
#define HASH_SHIFT 16

static bool is_of(const struct known_recipient *recipient, const struct recipient_hashes *hashes)
{
    return recipient->hash == hashes->now >> HASH_SHIFT ||
           recipient->hash == hashes->last_year >> HASH_SHIFT;
}

static bool is_past(const struct known_recipient *recipient, int64_t day)
{
    return recipient->written <= day - KNOWN_DAYS;
}

static size_t place_of(const struct known_recipients *known, const struct recipient_hashes *hashes)
{
    size_t i = 0;
    while (i < known->count && !is_of(&known->of[i], hashes))
        i++;
    return i;
}

const struct known_recipient *known_recipients_find(const struct known_recipients *known,
                                                    const struct recipient_hashes *hashes,
                                                    int64_t day)
{
    size_t place = place_of(known, hashes);
    return place < known->count && !is_past(&known->of[place], day) ? &known->of[place] : NULL;
}

static void forget_old(struct known_recipients *known, int64_t day)
{
    size_t kept = 0;
    for (size_t i = 0; i < known->count; i++)
        if (!is_past(&known->of[i], day))
            known->of[kept++] = known->of[i];
    known->count = kept;
}

/* The place of the one that was written to before all others. */
static size_t oldest(const struct known_recipients *known)
{
    size_t oldest = 0;
    for (size_t i = 1; i < known->count; i++)
        if (known->of[i].written < known->of[oldest].written)
            oldest = i;
    return oldest;
}

void known_recipients_touch(struct known_recipients *known, const struct recipient_hashes *hashes,
                            int64_t day, bool delivered)
{
    size_t place = place_of(known, hashes);
    if (place == known->count || is_past(&known->of[place], day)) {
        forget_old(known, day);
        place = known->count < KNOWN_RECIPIENTS_MAX ? known->count++ : oldest(known);
        known->of[place] = (struct known_recipient){0};
    }
    struct known_recipient *recipient = &known->of[place];
    recipient->hash = hashes->now >> HASH_SHIFT;
    if (day > recipient->written)
        recipient->written = day;
    if (delivered && day > recipient->delivered)
        recipient->delivered = day;
}

static uint64_t packed_day(int64_t day) { return day > FIRST_DAY ? (uint64_t)(day - FIRST_DAY) : 0; }

static int64_t unpacked_day(uint64_t day) { return day > 0 ? (int64_t)day + FIRST_DAY : 0; }

void known_recipients_add(struct text *out, const struct known_recipients *known)
{
    text_add_char(out, FORMAT);
    for (size_t i = 0; i < known->count; i++) {
        uint8_t bytes[EACH_BYTES];
        uint8_t *end = packed_put(bytes, known->of[i].hash, HASH_BYTES);
        end = packed_put(end, packed_day(known->of[i].written), DAY_BYTES);
        packed_put(end, packed_day(known->of[i].delivered), DAY_BYTES);
        text_add_bytes(out, (const char *)bytes, sizeof bytes);
    }
}

int known_recipients_read(const void *bytes, size_t length, struct known_recipients *known_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    known_r->count = 0;
    if (packed_fixed(&rest, 1) != FORMAT || (length - 1) % EACH_BYTES != 0 ||
        (length - 1) / EACH_BYTES > KNOWN_RECIPIENTS_MAX)
        return 0;
    while (rest.next < rest.end) {
        struct known_recipient *recipient = &known_r->of[known_r->count++];
        recipient->hash = packed_fixed(&rest, HASH_BYTES);
        recipient->written = unpacked_day(packed_fixed(&rest, DAY_BYTES));
        recipient->delivered = unpacked_day(packed_fixed(&rest, DAY_BYTES));
    }
    return 1;
}
