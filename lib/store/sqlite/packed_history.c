#include "store/sqlite/packed_history.h"

#include <string.h>

#include "base/packed.h"

/* The formats of a head. The first one has two spans of a mailbox and one of an IP, the second one
 * says how many it has; both keep the older form of a message and the totals of all channels
 * together. */
enum { FORMAT_FIRST = 1, FORMAT_SPANS = 2, FORMAT_SHARES = 3 };
enum { FIRST_MAILBOX_SPANS = 2, FIRST_IP_SPANS = 1, OLDER_BYTES = 21, OLDER_IP_ROW_BYTES = 7 };
enum { NEWEST_BYTES = 8, HEAD_SPANS_MAX = 64 };

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

/* Seven bits a byte, the lowest first; the uppermost bit says that more follow. */
static uint8_t *put_number(uint8_t *bytes, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *bytes++ = (uint8_t)(number | 0x80);
    *bytes++ = (uint8_t)number;
    return bytes;
}

struct head_reader {
    const uint8_t *next, *end;
    bool failed; /* the bytes ended */
};

static uint64_t read_bytes(struct head_reader *reader, int count)
{
    if (reader->end - reader->next >= count)
        return packed_get(&reader->next, count);
    reader->failed = true;
    return 0;
}

static uint64_t read_number(struct head_reader *reader)
{
    uint64_t number = 0, byte = 0x80;
    for (int shift = 0; byte >= 0x80 && shift < 64; shift += 7) {
        byte = read_bytes(reader, 1);
        number |= (byte & 0x7F) << shift;
    }
    return number;
}

static uint8_t *put_messages(enum subject subject, const struct counted *counted, size_t count,
                             uint8_t *bytes)
{
    size_t each = packed_entry_bytes(subject);
    for (size_t i = 0; i < count; i++, bytes += each)
        packed_entry_put(subject, &counted[i], bytes);
    return bytes;
}

/* `each`: bytes of a message; the older form begins as today's does. */
static void get_messages(enum subject subject, const uint8_t *bytes, size_t each, size_t count,
                         struct counted *counted_r)
{
    for (size_t i = 0; i < count; i++, bytes += each) {
        packed_entry_get(subject, bytes, &counted_r[i]);
        if (each != OLDER_BYTES)
            continue;
        const uint8_t *ip_row = bytes + OLDER_BYTES - OLDER_IP_ROW_BYTES;
        counted_r[i].decision = COUNTED_HAS_IP_ROW | packed_get(&ip_row, OLDER_IP_ROW_BYTES);
    }
}

size_t packed_history_encode_chunk(enum subject subject, const struct counted chunk[HISTORY_CHUNK],
                                   uint8_t bytes_r[CHUNK_MAX_BYTES])
{
    return (size_t)(put_messages(subject, chunk, HISTORY_CHUNK, bytes_r) - bytes_r);
}

int packed_history_decode_chunk(enum subject subject, const uint8_t *bytes, size_t length,
                                struct counted chunk_r[HISTORY_CHUNK])
{
    size_t each = length / HISTORY_CHUNK;
    if (length % HISTORY_CHUNK != 0 ||
        (each != packed_entry_bytes(subject) &&
         (each != OLDER_BYTES || subject != SUBJECT_MAILBOX)))
        return 0;
    get_messages(subject, bytes, each, HISTORY_CHUNK, chunk_r);
    return 1;
}

size_t packed_history_encode(const struct packed_history *history,
                             uint8_t bytes_r[HEAD_MAX_BYTES])
{
    size_t shares = history_shares(history->subject);
    uint8_t *next = packed_put(bytes_r, FORMAT_SHARES, 1);
    next = packed_put(next, (uint64_t)history->newest_ms, NEWEST_BYTES);
    next = put_number(next, history->span_count);
    next = put_number(next, shares);
    next = put_number(next, history->tail_first);
    for (size_t i = 0; i < history->span_count; i++) {
        const struct span *span = &history->spans[i];
        bool empty = span->oldest_ms == INT64_MAX;
        next = put_number(next, span->first);
        /* without a sign: what was decoded of damaged bytes may be any number */
        next = put_number(
            next, empty ? 0 : (uint64_t)history->newest_ms - (uint64_t)span->oldest_ms + 1);
        for (size_t k = 0; k < shares; k++) {
            next = put_number(next, span->of[k].messages);
            next = put_number(next, span->of[k].off_domain);
        }
    }
    next = put_messages(history->subject, history->tail, history->tail_count, next);
    return (size_t)(next - bytes_r);
}

int packed_history_is_past(enum subject subject, const uint8_t *bytes, size_t length,
                           int64_t now_ms)
{
    if (length < 2 + NEWEST_BYTES || bytes[0] < FORMAT_FIRST || bytes[0] > FORMAT_SHARES)
        return 0;
    const uint8_t *newest = bytes + (bytes[0] == FORMAT_SPANS ? 2 : 1);
    return !window_holds((int64_t)packed_get(&newest, NEWEST_BYTES), rule_longest_ms(subject),
                         now_ms);
}

static void read_older_span(struct head_reader *reader, struct span *span_r)
{
    span_r->first = read_bytes(reader, 6);
    span_r->oldest_ms = (int64_t)read_bytes(reader, 8);
    span_r->of[0].messages = read_bytes(reader, 5);
    span_r->of[0].off_domain = read_bytes(reader, 6);
}

/* Of a version with more shares, what is not known here counts for the first. */
static void read_span(struct head_reader *reader, int64_t newest_ms, uint64_t shares,
                      struct span *span_r)
{
    span_r->first = read_number(reader);
    uint64_t age = read_number(reader);
    span_r->oldest_ms = age == 0 ? INT64_MAX : (int64_t)((uint64_t)newest_ms - (age - 1));
    for (uint64_t k = 0; k < shares && !reader->failed; k++) {
        struct span_totals *totals = &span_r->of[k < HISTORY_SHARES ? k : 0];
        totals->messages += read_number(reader);
        totals->off_domain += read_number(reader);
    }
}

/* Span `at` of `kept`, the longest last: the one in its place, or, of another table of rules, the
 * longest one for each. */
static void place_span(struct packed_history *history, const struct span *span, size_t at,
                       size_t kept)
{
    for (size_t i = 0; i < history->span_count; i++)
        if (kept == history->span_count ? i == at : at + 1 == kept) {
            int64_t length_ms = history->spans[i].length_ms;
            history->spans[i] = *span;
            history->spans[i].length_ms = length_ms;
        }
}

/* What stands before the messages: 1, or 0 when it is none of the formats. */
static int read_head(struct packed_history *history, struct head_reader *reader, uint64_t format)
{
    bool older = format != FORMAT_SHARES;
    uint64_t kept = format == FORMAT_SPANS ? read_bytes(reader, 1)
                    : history->subject == SUBJECT_MAILBOX ? FIRST_MAILBOX_SPANS : FIRST_IP_SPANS;
    history->newest_ms = (int64_t)read_bytes(reader, NEWEST_BYTES);
    if (!older)
        kept = read_number(reader);
    uint64_t shares = older ? 1 : read_number(reader);
    history->tail_first = older ? read_bytes(reader, 6) : read_number(reader);
    if (kept == 0 || kept > HEAD_SPANS_MAX || history->tail_first % HISTORY_CHUNK != 0)
        return 0;
    for (size_t i = 0; i < kept; i++) {
        struct span span = {0};
        if (older)
            read_older_span(reader, &span);
        else
            read_span(reader, history->newest_ms, shares, &span);
        place_span(history, &span, i, kept);
    }
    return !reader->failed;
}

int packed_history_decode(struct packed_history *history, enum subject subject,
                          const uint8_t *bytes, size_t length)
{
    packed_history_init(history, subject);
    if (bytes == NULL)
        return 0;
    struct head_reader reader = {bytes, bytes + length, false};
    uint64_t format = read_bytes(&reader, 1);
    if (format < FORMAT_FIRST || format > FORMAT_SHARES || !read_head(history, &reader, format))
        return 0;
    bool older = format != FORMAT_SHARES && subject == SUBJECT_MAILBOX;
    size_t each = older ? OLDER_BYTES : packed_entry_bytes(subject);
    size_t left = (size_t)(reader.end - reader.next);
    if (left % each != 0 || left / each >= HISTORY_CHUNK)
        return 0;
    history->tail_count = left / each;
    get_messages(subject, reader.next, each, history->tail_count, history->tail);
    return 1;
}

/* ---- totals ------------------------------------------------------------------ */

static void weigh(enum subject subject, struct span *span, const struct entry *entry, bool in)
{
    if (entry->off_domain == REFUNDED)
        return;
    struct span_totals *totals = &span->of[history_share(subject, entry->channel)];
    if (in) {
        totals->messages++;
        totals->off_domain += entry->off_domain;
    } else {
        totals->messages--;
        totals->off_domain -= entry->off_domain;
    }
}

static void empty_span(struct span *span, uint64_t end)
{
    span->first = end;
    span->oldest_ms = INT64_MAX;
    memset(span->of, 0, sizeof span->of);
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
        weigh(history->subject, span, entry, false);
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

struct span_totals packed_history_totals(const struct span *span)
{
    struct span_totals sum = {0, 0};
    for (size_t i = 0; i < HISTORY_SHARES; i++) {
        sum.messages += span->of[i].messages;
        sum.off_domain += span->of[i].off_domain;
    }
    return sum;
}

struct span_totals packed_history_totals_of(const struct packed_history *history,
                                            const struct span *span, enum channel channel)
{
    return span->of[history_share(history->subject, channel)];
}

const struct span *packed_history_span(const struct packed_history *history, int64_t length_ms)
{
    for (size_t i = 0; i < history->span_count; i++)
        if (history->spans[i].length_ms == length_ms)
            return &history->spans[i];
    return NULL;
}

bool packed_history_add(struct packed_history *history, const struct counted *counted)
{
    history->tail[history->tail_count++] = *counted;
    history->newest_ms = counted->entry.time_ms;
    for (size_t i = 0; i < history->span_count; i++) {
        weigh(history->subject, &history->spans[i], &counted->entry, true);
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
            weigh(history->subject, &history->spans[i], &counted[at].entry, false);
    counted[at].entry.off_domain = REFUNDED;
}

void packed_history_chunks(const struct packed_history *history, uint64_t *from_r, uint64_t *to_r)
{
    *from_r = history->spans[history->span_count - 1].first / HISTORY_CHUNK;
    *to_r = history->tail_first / HISTORY_CHUNK;
    if (*from_r > *to_r)
        *from_r = *to_r;
}
