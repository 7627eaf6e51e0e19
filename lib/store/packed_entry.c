#include "store/packed_entry.h"

#include "base/decision.h"
#include "base/packed.h"

enum { REFUNDED_WEIGHT = 0xFFFF };
#define TIME_MASK ((UINT64_C(1) << COUNTED_TIME_BITS) - 1)
#define CHANNEL_MASK ((UINT64_C(1) << COUNTED_CHANNEL_BITS) - 1)
#define REDEEMED_BIT (UINT64_C(1) << (COUNTED_TIME_BITS + COUNTED_CHANNEL_BITS))
#define ID_MASK ((UINT64_C(1) << COUNTED_ID_BITS) - 1)

size_t packed_entry_bytes(enum subject subject)
{
    return subject == SUBJECT_MAILBOX ? COUNTED_BYTES : COUNTED_IP_BYTES;
}

static uint64_t tag_of(const struct counted *counted)
{
    int64_t later_ms = decision_time(counted->decision) - counted->entry.time_ms + COUNTED_NEAR_MS;
    if (counted->decision == 0 || later_ms <= 0 || later_ms >= 2 * COUNTED_NEAR_MS)
        return 0;
    return (uint64_t)later_ms << COUNTED_ID_BITS | (counted->decision & ID_MASK);
}

static uint64_t decision_of(uint64_t tag, int64_t time_ms)
{
    int64_t later_ms = (int64_t)(tag >> COUNTED_ID_BITS) - COUNTED_NEAR_MS;
    return tag == 0 ? 0 : decision_floor(time_ms + later_ms) | (tag & ID_MASK);
}

void packed_entry_put(enum subject subject, const struct counted *counted, uint8_t *bytes_r)
{
    const struct entry *entry = &counted->entry;
    uint64_t time = ((uint64_t)entry->time_ms & TIME_MASK) |
                    (uint64_t)entry->channel << COUNTED_TIME_BITS |
                    (counted->redeemed ? REDEEMED_BIT : 0);
    bytes_r = packed_put(bytes_r, time, 6);
    bytes_r = packed_put(bytes_r,
                         entry->off_domain == REFUNDED ? REFUNDED_WEIGHT : entry->off_domain, 2);
    if (subject != SUBJECT_MAILBOX)
        return;
    bytes_r = packed_put(bytes_r, counted->id_hash, 4);
    bytes_r = packed_put(bytes_r, counted->fingerprint, 2);
    packed_put(bytes_r, tag_of(counted), 5);
}

void packed_entry_get(enum subject subject, const uint8_t *bytes, struct counted *counted_r)
{
    uint64_t time = packed_get(&bytes, 6);
    uint32_t weight = (uint32_t)packed_get(&bytes, 2);
    uint64_t channel = time >> COUNTED_TIME_BITS & CHANNEL_MASK;
    *counted_r = (struct counted){
        .entry = {.time_ms = (int64_t)(time & TIME_MASK),
                  .off_domain = weight == REFUNDED_WEIGHT ? REFUNDED : weight,
                  .channel = channel < CHANNEL_COUNT ? (enum channel)channel : CHANNEL_WEBMAIL},
        .redeemed = (time & REDEEMED_BIT) != 0,
    };
    if (subject != SUBJECT_MAILBOX)
        return;
    counted_r->id_hash = (uint32_t)packed_get(&bytes, 4);
    counted_r->fingerprint = (uint16_t)packed_get(&bytes, 2);
    counted_r->decision = decision_of(packed_get(&bytes, 5), counted_r->entry.time_ms);
}
