/* Packed histories: their bytes, and their running totals against a count made
 * anew from the whole history, whatever was added, refunded and let go. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "store/sqlite/packed_history.h"

#define T0 INT64_C(1763790000000)

enum { CHUNKS_MAX = 40 };

/* What the caller of a packed history keeps: the full chunks, as bytes. */
static struct {
    enum subject subject;
    uint8_t chunks[CHUNKS_MAX][CHUNK_MAX_BYTES];
    int reads;
    bool fails;
} kept;

static size_t chunk_bytes(void) { return HISTORY_CHUNK * packed_entry_bytes(kept.subject); }

static int read_chunk(void *context, uint64_t number, struct counted chunk_r[HISTORY_CHUNK])
{
    const struct packed_history *history = context;
    kept.reads++;
    if (kept.fails)
        return -1;
    ck_assert_uint_lt(number, history->tail_first / HISTORY_CHUNK);
    ck_assert_int_eq(packed_history_decode_chunk(kept.subject, kept.chunks[number],
                                                 chunk_bytes(), chunk_r), 1);
    return 1;
}

static struct packed_history history;
static const struct chunk_reader reader = {read_chunk, &history};

static void begin(enum subject subject)
{
    kept.subject = subject;
    kept.reads = 0;
    kept.fails = false;
    packed_history_init(&history, subject);
}

static void advance(int64_t now_ms)
{
    ck_assert_int_eq(packed_history_advance(&history, now_ms, &reader), 1);
}

static void add(const struct counted *counted)
{
    if (!packed_history_add(&history, counted))
        return;
    packed_history_encode_chunk(kept.subject, history.tail,
                                kept.chunks[history.tail_first / HISTORY_CHUNK]);
    packed_history_cut(&history);
}

static void add_entry(int64_t time_ms, uint32_t off_domain)
{
    add(&(struct counted){.entry = {time_ms, off_domain, CHANNEL_WEBMAIL}});
}

/* Takes message `number` out, as the store does: in the tail, or in its chunk. */
static void refund(uint64_t number)
{
    if (number >= history.tail_first) {
        packed_history_refund(&history, history.tail, number - history.tail_first,
                              history.tail_first);
        return;
    }
    struct counted chunk[HISTORY_CHUNK];
    uint8_t *bytes = kept.chunks[number / HISTORY_CHUNK];
    ck_assert_int_eq(packed_history_decode_chunk(kept.subject, bytes, chunk_bytes(), chunk), 1);
    packed_history_refund(&history, chunk, number % HISTORY_CHUNK,
                          number - number % HISTORY_CHUNK);
    packed_history_encode_chunk(kept.subject, chunk, bytes);
}

/* None where the subject has no such span. */
static struct span_totals totals_of(int64_t length_ms)
{
    const struct span *span = packed_history_span(&history, length_ms);
    return span != NULL ? packed_history_totals(span) : (struct span_totals){0, 0};
}

static void check_used(uint64_t hour, uint64_t hour_off, uint64_t day, uint64_t day_off)
{
    struct span_totals in_hour = totals_of(HOUR_MS), in_day = totals_of(DAY_MS);
    ck_assert_uint_eq(in_hour.messages, hour);
    ck_assert_uint_eq(in_hour.off_domain, hour_off);
    ck_assert_uint_eq(in_day.messages, day);
    ck_assert_uint_eq(in_day.off_domain, day_off);
}

/* What came by that channel within a day. */
static void check_share(enum channel channel, uint64_t messages, uint64_t off_domain)
{
    struct span_totals totals =
        packed_history_totals_of(&history, packed_history_span(&history, DAY_MS), channel);
    ck_assert_uint_eq(totals.messages, messages);
    ck_assert_uint_eq(totals.off_domain, off_domain);
}

/* ---- bytes ------------------------------------------------------------------ */

/* To bytes and back through a block of exactly their size, into other memory. */
static size_t repack(void)
{
    uint8_t bytes[HEAD_MAX_BYTES];
    size_t length = packed_history_encode(&history, bytes);
    ck_assert_uint_le(length, sizeof bytes);
    uint8_t *exact = malloc(length);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, length);
    memset(&history, 0xA5, sizeof history);
    ck_assert_int_eq(packed_history_decode(&history, kept.subject, exact, length), 1);
    free(exact);
    return length;
}

static void check_same(const struct packed_history *before)
{
    ck_assert_int_eq(history.subject, before->subject);
    ck_assert_uint_eq(history.span_count, before->span_count);
    ck_assert_int_eq(history.newest_ms, before->newest_ms);
    ck_assert_uint_eq(history.tail_first, before->tail_first);
    ck_assert_uint_eq(history.tail_count, before->tail_count);
    for (size_t i = 0; i < before->span_count; i++) {
        ck_assert_int_eq(history.spans[i].length_ms, before->spans[i].length_ms);
        ck_assert_uint_eq(history.spans[i].first, before->spans[i].first);
        ck_assert_int_eq(history.spans[i].oldest_ms, before->spans[i].oldest_ms);
        for (size_t k = 0; k < HISTORY_SHARES; k++) {
            ck_assert_uint_eq(history.spans[i].of[k].messages, before->spans[i].of[k].messages);
            ck_assert_uint_eq(history.spans[i].of[k].off_domain, before->spans[i].of[k].off_domain);
        }
    }
    for (size_t i = 0; i < before->tail_count; i++) {
        const struct counted *is = &history.tail[i], *was = &before->tail[i];
        ck_assert_int_eq(is->entry.time_ms, was->entry.time_ms);
        ck_assert_uint_eq(is->entry.off_domain, was->entry.off_domain);
        ck_assert_int_eq(is->entry.channel, was->entry.channel);
        ck_assert_int_eq(is->redeemed, was->redeemed);
        bool named = before->subject == SUBJECT_MAILBOX;
        ck_assert_uint_eq(is->id_hash, named ? was->id_hash : 0);
        ck_assert_uint_eq(is->fingerprint, named ? was->fingerprint : 0);
        ck_assert_uint_eq(is->decision, named ? was->decision : 0);
    }
}

#define AT_MOST ((INT64_C(1) << COUNTED_TIME_BITS) - 1)
#define ID(time_ms, number) (decision_floor(time_ms) | (number))

/* The smallest and the largest of every member, and the refunded. */
static struct counted extremes[6];

static void fill_extremes(void)
{
    memcpy(extremes, (struct counted[]){
        {.entry = {0, 0, CHANNEL_WEBMAIL}},
        {.entry = {T0, 1, CHANNEL_SMTP}, .id_hash = 1, .fingerprint = 1, .decision = ID(T0, 0)},
        {.entry = {T0, SUBMISSION_MAX_RECIPIENTS, CHANNEL_SMTP}, .id_hash = UINT32_MAX,
         .fingerprint = UINT16_MAX, .decision = ID(T0 - COUNTED_NEAR_MS + 1, 0xFFFFF)},
        {.entry = {T0, 0xFFFE, CHANNEL_WEBMAIL}, .id_hash = UINT32_C(0x02030405),
         .fingerprint = 0x0708, .decision = ID(T0 + COUNTED_NEAR_MS - 1, 0xABCDE)},
        {.entry = {AT_MOST, REFUNDED, CHANNEL_FORWARDING}, .id_hash = UINT32_C(0xFF00FF00),
         .fingerprint = 0xFF00},
        {.entry = {AT_MOST, 3, CHANNEL_WEBMAIL}, .id_hash = 7, .redeemed = true},
    }, sizeof extremes);
}

START_TEST(test_round_trip)
{
    fill_extremes();
    begin((enum subject)_i);
    struct packed_history before = history;
    repack();
    check_same(&before);
    for (size_t i = 0; i < countof(extremes); i++)
        add(&extremes[i]);
    before = history;
    size_t length = repack();
    check_same(&before);
    for (size_t i = countof(extremes); i < HISTORY_CHUNK; i++)
        add_entry(AT_MOST, 1);
    before = history;
    ck_assert_uint_eq(before.tail_first, HISTORY_CHUNK);
    ck_assert_uint_eq(before.tail_count, 0);
    ck_assert_uint_le(repack(), length);
    check_same(&before);
}
END_TEST

/* A head that is as long as it can be still fits. */
START_TEST(test_longest_head)
{
    begin((enum subject)_i);
    for (int i = 0; i < HISTORY_CHUNK - 1; i++)
        add_entry(T0, 1);
    ck_assert_uint_eq(history.tail_count, HISTORY_CHUNK - 1);
    struct packed_history before = history;
    repack();
    check_same(&before);
}
END_TEST

START_TEST(test_bytes_that_are_no_head)
{
    uint8_t bytes[HEAD_MAX_BYTES + COUNTED_BYTES] = {0};
    struct packed_history decoded;
    enum subject subject = (enum subject)_i;
    begin(subject);
    size_t fixed = packed_history_encode(&history, bytes), each = packed_entry_bytes(subject);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        bool good = length >= fixed && (length - fixed) % each == 0 &&
                    (length - fixed) / each < HISTORY_CHUNK;
        uint8_t *exact = malloc(length + 1); /* a block of its own, so that overreads show */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact + 1, bytes, length);
        ck_assert_msg(packed_history_decode(&decoded, subject, exact + 1, length) == good,
                      "%zu bytes", length);
        free(exact);
    }
    ck_assert_int_eq(packed_history_decode(&decoded, subject, NULL, 0), 0);
    ck_assert_int_eq(packed_history_decode(&decoded, subject, NULL, fixed), 0);
    for (int format = 4; format < 257; format++) {
        bytes[0] = (uint8_t)format;
        ck_assert_int_eq(packed_history_decode(&decoded, subject, bytes, fixed), 0);
    }
}
END_TEST

/* Whatever the bytes are, they are read within their bounds, and what is read can be written. */
START_TEST(test_any_bytes)
{
    uint64_t state = 20251122;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[96], again[HEAD_MAX_BYTES];
        struct packed_history decoded;
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            bytes[i] = (uint8_t)(state >> 56) & (round % 3 == 0 ? 0xFF : 0x83);
        }
        bytes[0] = (uint8_t)(round % 4);
        if (packed_history_decode(&decoded, (enum subject)_i, bytes, (size_t)(state >> 40) % 97))
            ck_assert_uint_le(packed_history_encode(&decoded, again), sizeof again);
    }
}
END_TEST

/* ---- the form until version 5 of the schema ------------------------------------------ */

enum { OLDER_BYTES = 21 };

/* Bytes that version 4 wrote, most significant first. */
static size_t put_older(uint8_t *bytes, const char *hex)
{
    size_t length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    return length;
}

#define OLDER_TIME "019aaa138f80"       /* T0 */
#define OLDER_REDEEMED "819aaa138f81"   /* T0 + 1, redeemed */
#define OLDER_SPAN(oldest, messages, off) "000000000000" oldest messages off

static void check_older(const struct counted *first, const struct counted *second)
{
    ck_assert_int_eq(first->entry.time_ms, T0);
    ck_assert_uint_eq(first->entry.off_domain, 3);
    ck_assert_int_eq(first->entry.channel, CHANNEL_WEBMAIL);
    ck_assert_uint_eq(first->id_hash, 0x01020304);
    ck_assert_uint_eq(first->fingerprint, 0x0506);
    ck_assert_uint_eq(first->decision, COUNTED_HAS_IP_ROW | UINT64_C(0xffeeddccbbaa99));
    ck_assert(!first->redeemed);
    ck_assert_int_eq(second->entry.time_ms, T0 + 1);
    ck_assert_uint_eq(second->entry.off_domain, REFUNDED);
    ck_assert_uint_eq(second->decision, COUNTED_HAS_IP_ROW);
    ck_assert(second->redeemed);
}

/* With the two spans of the first format, or with a number of them. Written again it has today's
 * form, the totals of the first channel, and no rows of IPs. */
START_TEST(test_older_head)
{
    static const char *const heads[] = {"01", "0202"};
    static const char rest[] =
        "0000019aaa138f81" "000000000014"
        OLDER_SPAN("7fffffffffffffff", "0000000000", "000000000000")
        OLDER_SPAN("0000019aaa138f80", "0000000001", "000000000003")
        OLDER_TIME "0003" "01020304" "0506" "ffeeddccbbaa99"
        OLDER_REDEEMED "ffff" "00000000" "0000" "00000000000000";
    uint8_t bytes[HEAD_MAX_BYTES];
    char hex[1024];
    snprintf(hex, sizeof hex, "%s%s", heads[_i], rest);
    begin(SUBJECT_MAILBOX);
    size_t length = put_older(bytes, hex);
    ck_assert_int_eq(packed_history_decode(&history, SUBJECT_MAILBOX, bytes, length), 1);
    ck_assert_int_eq(packed_history_is_past(SUBJECT_MAILBOX, bytes, length, T0 + DAY_MS), 0);
    ck_assert_int_eq(packed_history_is_past(SUBJECT_MAILBOX, bytes, length, T0 + DAY_MS + 1), 1);
    for (size_t less = 0; less < length; less++)
        if ((length - less) % OLDER_BYTES != 0)
            ck_assert_int_eq(packed_history_decode(&(struct packed_history){0}, SUBJECT_MAILBOX,
                                                   bytes, less), 0);
    ck_assert_int_eq(history.newest_ms, T0 + 1);
    ck_assert_uint_eq(history.tail_first, 20);
    ck_assert_uint_eq(history.tail_count, 2);
    check_used(0, 0, 1, 3);
    check_older(&history.tail[0], &history.tail[1]);
    repack();
    check_used(0, 0, 1, 3);
    check_share(CHANNEL_WEBMAIL, 1, 3);
    check_share(CHANNEL_SMTP, 0, 0);
    ck_assert_uint_eq(history.tail[0].id_hash, 0x01020304);
    ck_assert_uint_eq(history.tail[0].decision, 0);
}
END_TEST

START_TEST(test_older_chunk)
{
    static const char two[] = OLDER_TIME "0003" "01020304" "0506" "ffeeddccbbaa99"
                              OLDER_REDEEMED "ffff" "00000000" "0000" "00000000000000";
    uint8_t bytes[HISTORY_CHUNK * OLDER_BYTES + 1] = {0}, again[CHUNK_MAX_BYTES];
    struct counted chunk[HISTORY_CHUNK], today[HISTORY_CHUNK];
    put_older(bytes, two);
    for (size_t length = 0; length <= sizeof bytes; length++)
        ck_assert_int_eq(packed_history_decode_chunk(SUBJECT_MAILBOX, bytes, length, chunk),
                         length == sizeof bytes - 1 || length == CHUNK_MAX_BYTES);
    ck_assert_int_eq(packed_history_decode_chunk(SUBJECT_IP, bytes, sizeof bytes - 1, chunk), 0);
    ck_assert_int_eq(
        packed_history_decode_chunk(SUBJECT_MAILBOX, bytes, sizeof bytes - 1, chunk), 1);
    check_older(&chunk[0], &chunk[1]);
    size_t length = packed_history_encode_chunk(SUBJECT_MAILBOX, chunk, again);
    ck_assert_uint_eq(length, CHUNK_MAX_BYTES);
    ck_assert_int_eq(packed_history_decode_chunk(SUBJECT_MAILBOX, again, length, today), 1);
    ck_assert_uint_eq(today[0].id_hash, chunk[0].id_hash);
    ck_assert_uint_eq(today[0].decision, 0);
    ck_assert(today[1].redeemed);
}
END_TEST

/* ---- named cases --------------------------------------------------------------- */

START_TEST(test_edges_of_spans)
{
    begin(SUBJECT_MAILBOX);
    check_used(0, 0, 0, 0);
    add_entry(T0, 10);
    add_entry(T0 + 1, 5);
    check_used(2, 15, 2, 15);
    advance(T0 + HOUR_MS - 1);
    check_used(2, 15, 2, 15);
    advance(T0 + HOUR_MS);
    check_used(1, 5, 2, 15);
    advance(T0 + HOUR_MS + 1);
    check_used(0, 0, 2, 15);
    advance(T0 + DAY_MS - 1);
    check_used(0, 0, 2, 15);
    advance(T0 + DAY_MS);
    check_used(0, 0, 1, 5);
    advance(T0 + DAY_MS + 1);
    check_used(0, 0, 0, 0);
    add_entry(T0 + 2 * DAY_MS, 7);
    check_used(1, 7, 1, 7);
}
END_TEST

/* Webmail and smtp share a mailbox's history, and each has totals of its own. */
START_TEST(test_channels_apart)
{
    begin(SUBJECT_MAILBOX);
    add_entry(T0, 2);
    for (int i = 0; i < HISTORY_CHUNK + 3; i++)
        add(&(struct counted){.entry = {T0 + 1 + i, 5, CHANNEL_SMTP}});
    repack();
    check_share(CHANNEL_WEBMAIL, 1, 2);
    check_share(CHANNEL_SMTP, HISTORY_CHUNK + 3, 5 * (HISTORY_CHUNK + 3));
    refund(3);
    refund(HISTORY_CHUNK + 1);
    check_share(CHANNEL_WEBMAIL, 1, 2);
    check_share(CHANNEL_SMTP, HISTORY_CHUNK + 1, 5 * (HISTORY_CHUNK + 1));
    advance(T0 + DAY_MS);
    check_share(CHANNEL_WEBMAIL, 0, 0);
    check_share(CHANNEL_SMTP, HISTORY_CHUNK + 1, 5 * (HISTORY_CHUNK + 1));
    check_used(0, 0, HISTORY_CHUNK + 1, 5 * (HISTORY_CHUNK + 1));
    advance(T0 + DAY_MS + HISTORY_CHUNK + 3);
    check_share(CHANNEL_SMTP, 0, 0);
}
END_TEST

START_TEST(test_ip_has_an_hour)
{
    begin(SUBJECT_IP);
    add_entry(T0, 3);
    check_used(1, 3, 0, 0);
    advance(T0 + HOUR_MS);
    check_used(0, 0, 0, 0);
}
END_TEST

/* Looking at the same moment again changes nothing, nor does a moment before. */
START_TEST(test_advance_again)
{
    begin(SUBJECT_MAILBOX);
    for (int i = 0; i < 200; i++)
        add_entry(T0 + i * MINUTE_MS, 1);
    advance(T0 + 200 * MINUTE_MS);
    struct packed_history before = history;
    kept.reads = 0;
    advance(T0 + 200 * MINUTE_MS);
    advance(T0);
    check_same(&before);
    ck_assert_int_eq(kept.reads, 0);
    check_used(59, 59, 200, 200);
}
END_TEST

/* The common case reads no chunk, however long the history; a silent day reads none either. */
START_TEST(test_reads_few_chunks)
{
    begin(SUBJECT_MAILBOX);
    for (int i = 0; i < 600; i++) {
        advance(T0 + i * SECOND_MS);
        add_entry(T0 + i * SECOND_MS, 1);
    }
    ck_assert_int_eq(kept.reads, 0);
    check_used(600, 600, 600, 600);
    advance(T0 + HOUR_MS + 300 * SECOND_MS);
    check_used(299, 299, 600, 600);
    ck_assert_int_le(kept.reads, 300 / HISTORY_CHUNK + 1);
    kept.reads = 0;
    advance(T0 + 3 * DAY_MS);
    check_used(0, 0, 0, 0);
    ck_assert_int_eq(kept.reads, 0);
}
END_TEST

START_TEST(test_chunks_inside)
{
    uint64_t from, to;
    begin(SUBJECT_MAILBOX);
    packed_history_chunks(&history, &from, &to);
    ck_assert_uint_eq(from, 0);
    ck_assert_uint_eq(to, 0);
    for (int i = 0; i < 5 * HISTORY_CHUNK + 7; i++)
        add_entry(T0 + i * MINUTE_MS, 1);
    packed_history_chunks(&history, &from, &to);
    ck_assert_uint_eq(from, 0);
    ck_assert_uint_eq(to, 5);
    advance(T0 + DAY_MS + (2 * HISTORY_CHUNK - 1) * MINUTE_MS); /* two chunks have left */
    packed_history_chunks(&history, &from, &to);
    ck_assert_uint_eq(from, 2);
    ck_assert_uint_eq(to, 5);
    advance(T0 + 9 * DAY_MS);
    packed_history_chunks(&history, &from, &to);
    ck_assert_uint_eq(from, to);
}
END_TEST

START_TEST(test_refund)
{
    enum { COUNT = HISTORY_CHUNK + 2 }; /* one chunk, two in the tail */
    begin(SUBJECT_MAILBOX);
    for (int i = 0; i < COUNT; i++)
        add_entry(T0 + i * MINUTE_MS, 10);
    check_used(COUNT, COUNT * 10, COUNT, COUNT * 10);
    refund(HISTORY_CHUNK); /* in the tail */
    check_used(COUNT - 1, (COUNT - 1) * 10, COUNT - 1, (COUNT - 1) * 10);
    ck_assert_uint_eq(history.tail[0].entry.off_domain, REFUNDED);
    refund(5); /* in the chunk, inside both spans */
    check_used(COUNT - 2, (COUNT - 2) * 10, COUNT - 2, (COUNT - 2) * 10);
    advance(T0 + HOUR_MS + 10 * MINUTE_MS); /* 0 to 10 leave the hour; 5 weighs nothing */
    check_used(COUNT - 12, (COUNT - 12) * 10, COUNT - 2, (COUNT - 2) * 10);
    refund(6); /* inside the day alone */
    check_used(COUNT - 12, (COUNT - 12) * 10, COUNT - 3, (COUNT - 3) * 10);
    repack();
    advance(T0 + DAY_MS + COUNT * MINUTE_MS);
    check_used(0, 0, 0, 0);
}
END_TEST

/* The oldest of a span refunded: what is behind it leaves at its own time. */
START_TEST(test_refund_oldest)
{
    begin(SUBJECT_MAILBOX);
    add_entry(T0, 1);
    add_entry(T0 + 100, 2);
    refund(0);
    check_used(1, 2, 1, 2);
    advance(T0 + HOUR_MS);
    check_used(1, 2, 1, 2);
    advance(T0 + HOUR_MS + 100);
    check_used(0, 0, 1, 2);
    refund(1);
    check_used(0, 0, 0, 0);
}
END_TEST

START_TEST(test_unreadable_chunk)
{
    begin(SUBJECT_MAILBOX);
    for (int i = 0; i < 2 * HISTORY_CHUNK; i++)
        add_entry(T0 + i, 1);
    kept.fails = true;
    ck_assert_int_eq(packed_history_advance(&history, T0 + HOUR_MS, &reader), -1);
    ck_assert_int_eq(packed_history_advance(&history, T0 + HOUR_MS - 1, &reader), 1);
}
END_TEST

/* ---- random histories -------------------------------------------------------------- */

static uint64_t chance_state;

static uint64_t below(uint64_t bound)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state % bound;
}

/* What was ever counted, the refunded left out when it is counted anew. */
static struct counted all[CHUNKS_MAX * HISTORY_CHUNK];
static size_t all_count;

static uint64_t measured(struct span_totals totals, enum measure measure)
{
    return measure == MEASURE_MESSAGES ? totals.messages : totals.off_domain;
}

/* Those that count in the history of a mailbox, of whichever subject the history is. */
enum { CHANNELS_TOGETHER = CHANNEL_SMTP + 1 };

static void check_against_window(int64_t now_ms)
{
    static struct entry entries[countof(all)];
    struct history whole = {entries, 0};
    for (size_t i = 0; i < all_count; i++)
        if (all[i].entry.off_domain != REFUNDED)
            entries[whole.count++] = all[i].entry;
    for (size_t span = 0; span < history.span_count; span++)
        for (int measure = MEASURE_MESSAGES; measure <= MEASURE_OFF_DOMAIN; measure++) {
            int64_t length_ms = history.spans[span].length_ms;
            struct span_totals totals = packed_history_totals(&history.spans[span]);
            ck_assert_uint_eq(measured(totals, (enum measure)measure),
                              window_used(&whole, (enum measure)measure, length_ms, now_ms));
            for (int channel = 0; channel < CHANNELS_TOGETHER; channel++) {
                if (kept.subject != SUBJECT_MAILBOX)
                    break; /* in an IP's history each channel counts alone */
                totals = packed_history_totals_of(&history, &history.spans[span],
                                                  (enum channel)channel);
                ck_assert_uint_eq(measured(totals, (enum measure)measure),
                                  window_used_by(&whole, (enum channel)channel,
                                                 (enum measure)measure, length_ms, now_ms));
            }
        }
}

/* Minutes mostly, so that an hour holds about a chunk; at times none, or hours or days. */
static int64_t some_pause(void)
{
    switch (below(12)) {
    case 0: return 0;
    case 1: return (int64_t)below((uint64_t)(3 * HOUR_MS));
    case 2: return below(8) == 0 ? (int64_t)below((uint64_t)(2 * DAY_MS)) : 0;
    case 3: return HOUR_MS;
    default: return (int64_t)below((uint64_t)(2 * MINUTE_MS));
    }
}

static void run_history(uint64_t seed)
{
    int64_t now_ms = T0;
    chance_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    begin(below(2) == 0 ? SUBJECT_MAILBOX : SUBJECT_IP);
    all_count = 0;
    for (int step = 0; step < 600; step++) {
        now_ms += some_pause();
        advance(now_ms);
        check_against_window(now_ms);
        if (below(10) < 8) {
            struct counted counted = {.entry = {now_ms, (uint32_t)below(50),
                                                (enum channel)below(CHANNELS_TOGETHER)}};
            add(&counted);
            all[all_count++] = counted;
        }
        size_t back = all_count > 0 ? all_count - 1 - (size_t)below(all_count) : 0;
        uint64_t from, to;
        packed_history_chunks(&history, &from, &to);
        if (below(6) == 0 && back < all_count && back >= from * HISTORY_CHUNK &&
            all[back].entry.off_domain != REFUNDED) {
            refund(back);
            all[back].entry.off_domain = REFUNDED;
        }
        if (below(4) == 0)
            repack();
        check_against_window(now_ms);
    }
}

START_TEST(test_totals_are_the_windows)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        run_history((uint64_t)_i * 1000 + seed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("packed history");
    TCase *cases = tcase_create("packed history");
    tcase_add_loop_test(cases, test_round_trip, 0, SUBJECT_COUNT);
    tcase_add_loop_test(cases, test_longest_head, 0, SUBJECT_COUNT);
    tcase_add_loop_test(cases, test_bytes_that_are_no_head, 0, SUBJECT_COUNT);
    tcase_add_loop_test(cases, test_any_bytes, 0, SUBJECT_COUNT);
    tcase_add_loop_test(cases, test_older_head, 0, 2);
    tcase_add_test(cases, test_older_chunk);
    tcase_add_test(cases, test_edges_of_spans);
    tcase_add_test(cases, test_channels_apart);
    tcase_add_test(cases, test_ip_has_an_hour);
    tcase_add_test(cases, test_advance_again);
    tcase_add_test(cases, test_reads_few_chunks);
    tcase_add_test(cases, test_chunks_inside);
    tcase_add_test(cases, test_refund);
    tcase_add_test(cases, test_refund_oldest);
    tcase_add_test(cases, test_unreadable_chunk);
    tcase_add_loop_test(cases, test_totals_are_the_windows, 0, 4);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
