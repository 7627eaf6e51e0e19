#include "store/sqlite/packed_history.h"

#include <string.h>

/* A head of the first format has two spans of a mailbox and one of an IP; the second one says how
 * many it has. */
enum { FORMAT_FIRST = 1, FORMAT_SPANS = 2, FIRST_MAILBOX_SPANS = 2, FIRST_IP_SPANS = 1 };

static size_t first_spans(enum subject subject)
{
    return subject == SUBJECT_MAILBOX ? FIRST_MAILBOX_SPANS : FIRST_IP_SPANS;
}

#define REDEEMED_BIT (UINT64_C(1) << 47) /* of the milliseconds */

void packed_history_init(struct packed_history *history, enum subject subject)
{
    /* all but the tail, of which tail_count says how much there is */
    struct rule_spans spans = rule_spans(subject);
    history->subject = subject;
    history->span_count = spans.count;
    for (size_t i = 0; i < spans.count; i++)
        history->spans[i] = (struct span){.length_ms = spans.length_ms[spans.count - 1 - i],
                                          .oldest_ms = INT64_MAX};
    history->newest_ms = INT64_MIN;
    history->tail_first = 0;
    history->tail_count = 0;
}

/* ---- bytes ------------------------------------------------------------------ */

static void put(uint8_t **bytes, uint64_t number, int count)
{
    for (int shift = (count - 1) * 8; shift >= 0; shift -= 8)
        *(*bytes)++ = (uint8_t)(number >> shift);
}

static uint64_t get(const uint8_t **bytes, int count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | *(*bytes)++;
    return number;
}

size_t packed_history_each(enum subject subject)
{
    return subject == SUBJECT_MAILBOX ? COUNTED_MAX_BYTES : 8;
}

void packed_history_put(enum subject subject, const struct counted *counted, size_t count,
                        uint8_t *bytes_r)
{
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = &counted[i].entry;
        bool redeemed = subject == SUBJECT_MAILBOX && counted[i].redeemed;
        put(&bytes_r, (uint64_t)entry->time_ms | (redeemed ? REDEEMED_BIT : 0), 6);
        put(&bytes_r, entry->off_domain == REFUNDED ? 0xFFFF : entry->off_domain, 2);
        if (subject != SUBJECT_MAILBOX)
            continue;
        put(&bytes_r, counted[i].id_hash, 4);
        put(&bytes_r, counted[i].fingerprint, 2);
        put(&bytes_r, (uint64_t)counted[i].ip, 7);
    }
}

void packed_history_get(enum subject subject, const uint8_t *bytes, size_t count,
                        struct counted *counted_r)
{
    for (size_t i = 0; i < count; i++) {
        struct counted *counted = &counted_r[i];
        uint64_t time = get(&bytes, 6);
        *counted = (struct counted){.entry.time_ms = (int64_t)(time & ~REDEEMED_BIT),
                                    .redeemed = (time & REDEEMED_BIT) != 0};
        uint32_t weight = (uint32_t)get(&bytes, 2);
        counted->entry.off_domain = weight == 0xFFFF ? REFUNDED : weight;
        if (subject != SUBJECT_MAILBOX)
            continue;
        counted->id_hash = get(&bytes, 4);
        counted->fingerprint = (uint32_t)get(&bytes, 2);
        counted->ip = (int64_t)get(&bytes, 7);
    }
}

size_t packed_history_encode(const struct packed_history *history,
                             uint8_t bytes_r[HEAD_MAX_BYTES])
{
    uint8_t *next = bytes_r;
    bool first = history->span_count == first_spans(history->subject);
    put(&next, first ? FORMAT_FIRST : FORMAT_SPANS, 1);
    if (!first)
        put(&next, history->span_count, 1);
    put(&next, (uint64_t)history->newest_ms, 8);
    put(&next, history->tail_first, 6);
    for (size_t i = 0; i < history->span_count; i++) {
        put(&next, history->spans[i].first, 6);
        put(&next, (uint64_t)history->spans[i].oldest_ms, 8);
        put(&next, history->spans[i].messages, 5);
        put(&next, history->spans[i].off_domain, 6);
    }
    packed_history_put(history->subject, history->tail, history->tail_count, next);
    return (size_t)(next - bytes_r) + history->tail_count * packed_history_each(history->subject);
}

int packed_history_is_past(enum subject subject, const uint8_t *bytes, size_t length,
                           int64_t now_ms)
{
    if (length < 10 || (bytes[0] != FORMAT_FIRST && bytes[0] != FORMAT_SPANS))
        return 0;
    const uint8_t *newest = bytes + (bytes[0] == FORMAT_FIRST ? 1 : 2);
    return !window_holds((int64_t)get(&newest, 8), rule_longest_ms(subject), now_ms);
}

enum { HEAD_FIXED_BYTES = 15, HEAD_SPAN_BYTES = 25, HEAD_SPANS_MAX = 64 };

/* The totals of all spans: of those that are kept, or of the longest of them for each. */
static void decode_spans(struct packed_history *history, const uint8_t **bytes, size_t kept)
{
    for (size_t i = 0; i < kept; i++) {
        struct span span = {.first = get(bytes, 6), .oldest_ms = (int64_t)get(bytes, 8)};
        span.messages = get(bytes, 5);
        span.off_domain = get(bytes, 6);
        for (size_t k = 0; k < history->span_count; k++)
            if (kept == history->span_count ? k == i : i + 1 == kept) {
                span.length_ms = history->spans[k].length_ms;
                history->spans[k] = span;
            }
    }
}

int packed_history_decode(struct packed_history *history, enum subject subject,
                          const uint8_t *bytes, size_t length)
{
    packed_history_init(history, subject);
    if (bytes == NULL || length < HEAD_FIXED_BYTES)
        return 0;
    size_t each = packed_history_each(subject), kept = first_spans(subject);
    size_t fixed = HEAD_FIXED_BYTES;
    uint64_t format = get(&bytes, 1);
    if (format == FORMAT_SPANS) {
        kept = get(&bytes, 1);
        fixed++;
    } else if (format != FORMAT_FIRST) {
        return 0;
    }
    fixed += kept * HEAD_SPAN_BYTES;
    if (kept == 0 || kept > HEAD_SPANS_MAX || length < fixed || (length - fixed) % each != 0 ||
        (length - fixed) / each >= HISTORY_CHUNK)
        return 0;
    history->newest_ms = (int64_t)get(&bytes, 8);
    history->tail_first = get(&bytes, 6);
    decode_spans(history, &bytes, kept);
    history->tail_count = (length - fixed) / each;
    packed_history_get(subject, bytes, history->tail_count, history->tail);
    return 1;
}

/* ---- totals ------------------------------------------------------------------ */

static void weigh(struct span *span, const struct entry *entry, bool in)
{
    if (entry->off_domain == REFUNDED)
        return;
    if (in) {
        span->messages++;
        span->off_domain += entry->off_domain;
    } else {
        span->messages--;
        span->off_domain -= entry->off_domain;
    }
}

static void empty_span(struct span *span, uint64_t end)
{
    span->first = end;
    span->oldest_ms = INT64_MAX;
    span->messages = span->off_domain = 0;
}

/* One span; `chunk` is scratch that holds chunk *chunk_number. */
static int advance_span(struct packed_history *history, struct span *span, int64_t now_ms,
                        const struct chunk_reader *reader, struct counted *chunk,
                        uint64_t *chunk_number)
{
    uint64_t end = history->tail_first + history->tail_count;
    if (span->oldest_ms == INT64_MAX || window_holds(span->oldest_ms, span->length_ms, now_ms))
        return 1;
    if (!window_holds(history->newest_ms, span->length_ms, now_ms)) {
        empty_span(span, end);
        return 1;
    }
    while (span->first < end) {
        const struct entry *entry;
        if (span->first >= history->tail_first) {
            entry = &history->tail[span->first - history->tail_first].entry;
        } else {
            uint64_t number = span->first / HISTORY_CHUNK;
            if (number != *chunk_number && reader->read(reader->context, number, chunk) < 1)
                return -1;
            *chunk_number = number;
            entry = &chunk[span->first % HISTORY_CHUNK].entry;
        }
        if (window_holds(entry->time_ms, span->length_ms, now_ms)) {
            span->oldest_ms = entry->time_ms;
            return 1;
        }
        weigh(span, entry, false);
        span->first++;
    }
    empty_span(span, end);
    return 1;
}

int packed_history_advance(struct packed_history *history, int64_t now_ms,
                           const struct chunk_reader *reader)
{
    struct counted chunk[HISTORY_CHUNK];
    uint64_t chunk_number = UINT64_MAX;
    for (size_t i = 0; i < history->span_count; i++)
        if (advance_span(history, &history->spans[i], now_ms, reader, chunk, &chunk_number) < 0)
            return -1;
    return 1;
}

static void mend(int64_t *time_ms, int64_t latest_ms, int64_t mended_ms)
{
    if (*time_ms > latest_ms)
        *time_ms = mended_ms;
}

void packed_history_mend(struct packed_history *history, int64_t latest_ms, int64_t mended_ms)
{
    mend(&history->newest_ms, latest_ms, mended_ms);
    for (size_t i = 0; i < history->tail_count; i++)
        mend(&history->tail[i].entry.time_ms, latest_ms, mended_ms);
    for (size_t i = 0; i < history->span_count; i++)
        if (history->spans[i].oldest_ms != INT64_MAX)
            mend(&history->spans[i].oldest_ms, latest_ms, mended_ms);
}

uint64_t packed_history_used(const struct packed_history *history, enum measure measure,
                             int64_t length_ms)
{
    for (size_t i = 0; i < history->span_count; i++)
        if (history->spans[i].length_ms == length_ms)
            return measure == MEASURE_MESSAGES ? history->spans[i].messages
                                               : history->spans[i].off_domain;
    return 0;
}

bool packed_history_add(struct packed_history *history, const struct counted *counted)
{
    history->tail[history->tail_count++] = *counted;
    history->newest_ms = counted->entry.time_ms;
    for (size_t i = 0; i < history->span_count; i++) {
        weigh(&history->spans[i], &counted->entry, true);
        if (history->spans[i].oldest_ms == INT64_MAX)
            history->spans[i].oldest_ms = counted->entry.time_ms;
    }
    return history->tail_count == HISTORY_CHUNK;
}

void packed_history_cut(struct packed_history *history)
{
    history->tail_first += HISTORY_CHUNK;
    history->tail_count = 0;
}

void packed_history_refund(struct packed_history *history, struct counted *counted, size_t at,
                           uint64_t first)
{
    for (size_t i = 0; i < history->span_count; i++)
        if (first + at >= history->spans[i].first)
            weigh(&history->spans[i], &counted[at].entry, false);
    counted[at].entry.off_domain = REFUNDED;
}

void packed_history_chunks(const struct packed_history *history, uint64_t *from_r, uint64_t *to_r)
{
    *from_r = history->spans[history->span_count - 1].first / HISTORY_CHUNK;
    *to_r = history->tail_first / HISTORY_CHUNK;
    if (*from_r > *to_r)
        *from_r = *to_r;
}
