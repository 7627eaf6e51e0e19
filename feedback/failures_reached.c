/* Recipients that mail was delivered to within 30 days, by any mailbox here: an address that a site
 * suddenly does not know says more about the site. Kept as parts of all, by the first bits of the
 * keyed hash, so that a delivery changes a small value. */
#include <string.h>

#include "feedback/failures_inside.h"

/* Packed: 1 format; of each recipient the next bits of its hash, and the day, since 1970, of the last
 * delivery. The oldest of too many goes; what is too old goes when the part changes. */
enum { FORMAT = 1, PART_BITS = 12, HASH_BYTES = 5, DAY_BYTES = 2,
       ENTRY_BYTES = HASH_BYTES + DAY_BYTES, RECIPIENTS_MAX = 4000, REACHED_DAYS = 30 };

const char *failures_reached_key(char key_r[FAILURES_REACHED_KEY_SIZE], uint64_t hash)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < FAILURES_REACHED_KEY_SIZE - 1; i++)
        key_r[i] = digits[hash >> (60 - 4 * i) & 15];
    key_r[FAILURES_REACHED_KEY_SIZE - 1] = '\0';
    return key_r;
}

static struct held_failures *part_of(const struct failures *failures, uint64_t hash)
{
    char key[FAILURES_REACHED_KEY_SIZE];
    _Static_assert(PART_BITS == 4 * (FAILURES_REACHED_KEY_SIZE - 1), "digits of so many bits");
    return g_hash_table_lookup(failures->held[VALUE_REACHED], failures_reached_key(key, hash));
}

static void put_hash(uint8_t bytes_r[HASH_BYTES], uint64_t hash)
{
    packed_put(bytes_r, hash << PART_BITS >> (64 - 8 * HASH_BYTES), HASH_BYTES);
}

/* As the step leaves it so far. */
static struct text *text_of(struct held_failures *part)
{
    return part->in_use ? &part->next : &part->packed;
}

static int64_t day_of(const char *entry)
{
    const uint8_t *day = (const uint8_t *)entry + HASH_BYTES;
    return (int64_t)packed_get(&day, DAY_BYTES);
}

/* One that is damaged has none. */
static size_t length_of(const struct text *text)
{
    bool good = text->length % ENTRY_BYTES == 1 && text->data[0] == FORMAT;
    return good ? text->length : 0;
}

/* The entry of the hash in the part, or NULL. */
static char *find(const struct text *text, uint64_t hash)
{
    uint8_t wanted[HASH_BYTES];
    put_hash(wanted, hash);
    for (size_t at = 1; at < length_of(text); at += ENTRY_BYTES)
        if (memcmp(text->data + at, wanted, HASH_BYTES) == 0)
            return text->data + at;
    return NULL;
}

bool failures_has_reached(const struct failures *failures, uint64_t hash, int64_t day)
{
    struct held_failures *part = part_of(failures, hash);
    const char *entry = part != NULL ? find(text_of(part), hash) : NULL;
    return entry != NULL && day_of(entry) + REACHED_DAYS >= day;
}

bool failures_reached_that_day(const struct failures *failures, uint64_t hash, int64_t day)
{
    struct held_failures *part = part_of(failures, hash);
    const char *entry = part != NULL ? find(text_of(part), hash) : NULL;
    return entry != NULL && day_of(entry) >= day;
}

/* To be changed by this step: what is too old stays behind. */
static void begin_change(struct failures *failures, struct held_failures *part, int64_t day)
{
    const struct text *packed = &part->packed;
    text_clear(&part->next);
    text_add_char(&part->next, FORMAT);
    for (size_t at = 1; at < length_of(packed); at += ENTRY_BYTES)
        if (day_of(packed->data + at) + REACHED_DAYS >= day)
            text_add_bytes(&part->next, packed->data + at, ENTRY_BYTES);
    part->in_use = true;
    g_ptr_array_add(failures->changed, part);
}

static char *oldest_of(struct text *text)
{
    char *oldest = text->data + 1;
    for (size_t at = 1; at < text->length; at += ENTRY_BYTES)
        if (day_of(text->data + at) < day_of(oldest))
            oldest = text->data + at;
    return oldest;
}

void failures_reach(struct failures *failures, uint64_t hash, int64_t day)
{
    struct held_failures *part = part_of(failures, hash);
    uint8_t entry[ENTRY_BYTES];
    if (part == NULL || failures_reached_that_day(failures, hash, day))
        return;
    if (!part->in_use)
        begin_change(failures, part, day);
    put_hash(entry, hash);
    packed_put(entry + HASH_BYTES, (uint64_t)day, DAY_BYTES);
    char *place = find(&part->next, hash);
    if (place == NULL && part->next.length > RECIPIENTS_MAX * ENTRY_BYTES)
        place = oldest_of(&part->next);
    if (place != NULL)
        memcpy(place, entry, ENTRY_BYTES);
    else
        text_add_bytes(&part->next, (const char *)entry, ENTRY_BYTES);
}
