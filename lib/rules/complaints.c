#include "rules/complaints.h"

#include <string.h>

#include "base/packed.h"

enum {
    FORMAT = 1,
    HEAD_BYTES = 1 + 8,
    MOMENT_BYTES = 6,
    ENTRY_BYTES = 3 * 8 + 2 * MOMENT_BYTES + 4 + 1 + 1,
    WITHDRAWN = 1 << 7,
};

const char *const complaint_source_names[COMPLAINT_SOURCES] = {
    [COMPLAINT_OF_LOOP] = "loop",
    [COMPLAINT_OF_DOMAIN] = "authenticated",
    [COMPLAINT_OF_STAFF] = "staff"};

const char *const complaint_standing_names[COMPLAINT_STANDINGS] = {
    [COMPLAINT_COUNTS] = "counts",
    [COMPLAINT_WITHDRAWN] = "withdrawn",
    [COMPLAINT_SAME_MESSAGE] = "same_message",
    [COMPLAINT_SETTLED] = "before_suspension_ended"};

/* ---- which of them counts -------------------------------------------------------------------- */

/* Whether an earlier one of somebody else counts for the message. */
static bool has_earlier(const struct complaints *complaints, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        const struct complaint *earlier = &complaints->of[i];
        if (earlier->source == COMPLAINT_OF_DOMAIN && !earlier->withdrawn &&
            earlier->message == complaints->of[place].message)
            return true;
    }
    return false;
}

enum complaint_standing complaints_standing(const struct complaints *complaints, size_t place)
{
    const struct complaint *complaint = &complaints->of[place];
    if (complaint->withdrawn)
        return COMPLAINT_WITHDRAWN;
    if (complaint->source == COMPLAINT_OF_DOMAIN && has_earlier(complaints, place))
        return COMPLAINT_SAME_MESSAGE;
    return complaint->admitted_ms < complaints->settled_ms ? COMPLAINT_SETTLED : COMPLAINT_COUNTS;
}

/* ---- how many -------------------------------------------------------------------------------- */

/* Those of a window that begins with a message. */
struct counting {
    uint32_t believed, others, domains; /* domains: different ones of the others */
    uint64_t seen[COMPLAINTS_MAX];
};

static void count_other(struct counting *counting, uint64_t reporter)
{
    counting->others++;
    for (uint32_t i = 0; i < counting->domains; i++)
        if (counting->seen[i] == reporter)
            return;
    counting->seen[counting->domains++] = reporter;
}

static void count_from(const struct complaints *complaints, const bool *counts, int64_t from_ms,
                       int64_t window_ms, struct counting *counting_r)
{
    counting_r->believed = counting_r->others = counting_r->domains = 0;
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->of[i];
        if (!counts[i] || complaint->admitted_ms < from_ms ||
            complaint->admitted_ms - from_ms >= window_ms)
            continue;
        if (complaint->source == COMPLAINT_OF_DOMAIN)
            count_other(counting_r, complaint->reporter);
        else
            counting_r->believed +=
                complaint->source == COMPLAINT_OF_LOOP ? complaint->incidents : 1;
    }
}

static uint32_t number_of(const struct counting *counting)
{
    return counting->believed > 0 ? counting->believed + counting->others : counting->domains;
}

uint32_t complaints_number(const struct complaints *complaints, const struct complaint_rule *rule)
{
    bool counts[COMPLAINTS_MAX];
    struct counting counting;
    uint32_t highest = 0;
    for (size_t i = 0; i < complaints->count; i++)
        counts[i] = complaints_standing(complaints, i) == COMPLAINT_COUNTS;
    for (size_t i = 0; i < complaints->count; i++) {
        if (!counts[i])
            continue;
        count_from(complaints, counts, complaints->of[i].admitted_ms, rule->window_ms, &counting);
        if (number_of(&counting) > highest)
            highest = number_of(&counting);
    }
    return highest;
}

bool complaints_break(const struct complaints *complaints, const struct complaint_rule *rule)
{
    return complaints_number(complaints, rule) >= rule->count;
}

/* ---- changes --------------------------------------------------------------------------------- */

static struct complaint *find(struct complaints *complaints, uint64_t message, uint64_t reporter)
{
    for (size_t i = 0; i < complaints->count; i++)
        if (complaints->of[i].message == message && complaints->of[i].reporter == reporter)
            return &complaints->of[i];
    return NULL;
}

static void drop(struct complaints *complaints, size_t place)
{
    complaints->count--;
    memmove(&complaints->of[place], &complaints->of[place + 1],
            (complaints->count - place) * sizeof complaints->of[0]);
}

static void make_room(struct complaints *complaints)
{
    size_t place = 0;
    while (place < complaints->count && complaints_standing(complaints, place) == COMPLAINT_COUNTS)
        place++;
    drop(complaints, place < complaints->count ? place : 0);
}

bool complaints_take(struct complaints *complaints, const struct complaint *complaint)
{
    struct complaint *known = find(complaints, complaint->message, complaint->reporter);
    if (known == NULL) {
        if (complaints->count == COMPLAINTS_MAX)
            make_room(complaints);
        complaints->of[complaints->count++] = *complaint;
        return true;
    }
    bool more = complaint->incidents > known->incidents;
    if (more)
        known->incidents = complaint->incidents;
    return more;
}

bool complaints_withdraw(struct complaints *complaints, uint64_t message, uint64_t reporter)
{
    struct complaint *known = find(complaints, message, reporter);
    bool changes = known != NULL && !known->withdrawn;
    if (changes)
        known->withdrawn = true;
    return changes;
}

void complaints_forget(struct complaints *complaints, int64_t now_ms)
{
    for (size_t i = complaints->count; i-- > 0;)
        if (complaints->of[i].at_ms <= now_ms - COMPLAINTS_KEPT_MS)
            drop(complaints, i);
}

void complaints_settle(struct complaints *complaints, int64_t ended_ms)
{
    if (ended_ms > complaints->settled_ms)
        complaints->settled_ms = ended_ms;
}

/* ---- the packed form ------------------------------------------------------------------------- */

void complaints_add(struct text *out, const struct complaints *complaints)
{
    uint8_t bytes[ENTRY_BYTES];
    packed_put(packed_put(bytes, FORMAT, 1), (uint64_t)complaints->settled_ms, 8);
    text_add_bytes(out, (const char *)bytes, HEAD_BYTES);
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->of[i];
        uint8_t *next = packed_put(bytes, complaint->message, 8);
        next = packed_put(next, complaint->reporter, 8);
        next = packed_put(next, complaint->decision, 8);
        next = packed_put(next, (uint64_t)complaint->admitted_ms, MOMENT_BYTES);
        next = packed_put(next, (uint64_t)complaint->at_ms, MOMENT_BYTES);
        next = packed_put(next, complaint->incidents, 4);
        next = packed_put(next, complaint->source | (complaint->withdrawn ? WITHDRAWN : 0), 1);
        packed_put(next, complaint->type, 1);
        text_add_bytes(out, (const char *)bytes, ENTRY_BYTES);
    }
}

static bool read_one(const uint8_t *next, struct complaint *complaint_r)
{
    complaint_r->message = packed_get(&next, 8);
    complaint_r->reporter = packed_get(&next, 8);
    complaint_r->decision = packed_get(&next, 8);
    complaint_r->admitted_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    complaint_r->at_ms = (int64_t)packed_get(&next, MOMENT_BYTES);
    complaint_r->incidents = (uint32_t)packed_get(&next, 4);
    unsigned source = (unsigned)packed_get(&next, 1);
    complaint_r->withdrawn = (source & WITHDRAWN) != 0;
    complaint_r->source = (enum complaint_source)(source & ~(unsigned)WITHDRAWN);
    complaint_r->type = (uint8_t)packed_get(&next, 1);
    return complaint_r->source < COMPLAINT_SOURCES && complaint_r->incidents >= 1 &&
           complaint_r->incidents <= COMPLAINT_INCIDENTS_MAX;
}

int complaints_read(const void *bytes, size_t length, struct complaints *complaints_r)
{
    const uint8_t *next = bytes;
    size_t count = length >= HEAD_BYTES ? (length - HEAD_BYTES) / ENTRY_BYTES : 0;
    bool good = length >= HEAD_BYTES && packed_get(&next, 1) == FORMAT &&
                length == HEAD_BYTES + count * ENTRY_BYTES && count <= COMPLAINTS_MAX;
    complaints_r->count = 0;
    complaints_r->settled_ms = good ? (int64_t)packed_get(&next, 8) : 0;
    for (size_t i = 0; i < count && good; i++, next += ENTRY_BYTES)
        good = read_one(next, &complaints_r->of[complaints_r->count++]);
    if (!good)
        *complaints_r = (struct complaints){0};
    return good;
}
