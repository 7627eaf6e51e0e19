/* Packed histories: their bytes, and their running totals against a count made
 * anew from the whole history, whatever was added, refunded and let go. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

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

static int read_chunk(void *context, uint64_t number, struct counted chunk_r[HISTORY_CHUNK])
{
    const struct packed_history *history = context;
    kept.reads++;
    if (kept.fails)
        return -1;
    ck_assert_uint_lt(number, history->tail_first / HISTORY_CHUNK);
    packed_history_get(kept.subject, kept.chunks[number], HISTORY_CHUNK, chunk_r);
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
    packed_history_put(kept.subject, history.tail, HISTORY_CHUNK,
                       kept.chunks[history.tail_first / HISTORY_CHUNK]);
    packed_history_cut(&history);
}

static void add_entry(int64_t time_ms, uint32_t off_domain)
{
    add(&(struct counted){.entry = {time_ms, off_domain}});
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
    packed_history_get(kept.subject, bytes, HISTORY_CHUNK, chunk);
    packed_history_refund(&history, chunk, number % HISTORY_CHUNK,
                          number - number % HISTORY_CHUNK);
    packed_history_put(kept.subject, chunk, HISTORY_CHUNK, bytes);
}

static void check_used(uint64_t hour, uint64_t hour_off, uint64_t day, uint64_t day_off)
{
    ck_assert_uint_eq(packed_history_used(&history, MEASURE_MESSAGES, HOUR_MS), hour);
    ck_assert_uint_eq(packed_history_used(&history, MEASURE_OFF_DOMAIN, HOUR_MS), hour_off);
    ck_assert_uint_eq(packed_history_used(&history, MEASURE_MESSAGES, DAY_MS), day);
    ck_assert_uint_eq(packed_history_used(&history, MEASURE_OFF_DOMAIN, DAY_MS), day_off);
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
        ck_assert_uint_eq(history.spans[i].messages, before->spans[i].messages);
        ck_assert_uint_eq(history.spans[i].off_domain, before->spans[i].off_domain);
    }
    for (size_t i = 0; i < before->tail_count; i++) {
        const struct counted *is = &history.tail[i], *was = &before->tail[i];
        ck_assert_int_eq(is->entry.time_ms, was->entry.time_ms);
        ck_assert_uint_eq(is->entry.off_domain, was->entry.off_domain);
        bool named = before->subject == SUBJECT_MAILBOX;
        ck_assert_uint_eq(is->id_hash, named ? was->id_hash : 0);
        ck_assert_uint_eq(is->fingerprint, named ? was->fingerprint : 0);
        ck_assert_int_eq(is->ip, named ? was->ip : 0);
        ck_assert_int_eq(is->redeemed, named && was->redeemed);
    }
}

/* The smallest and the largest of every member, and the refunded. */
static const struct counted extremes[] = {
    {.entry = {0, 0}},
    {.entry = {1, 1}, .id_hash = 1, .fingerprint = 1, .ip = 1},
    {.entry = {T0, SUBMISSION_MAX_RECIPIENTS}, .id_hash = COUNTED_ID_MASK,
     .fingerprint = COUNTED_FINGERPRINT_MASK, .ip = COUNTED_IP_MASK},
    {.entry = {T0, 0xFFFE}, .id_hash = UINT64_C(0x02030405), .fingerprint = 0x0708,
     .ip = INT64_C(0x12131415161718)},
    {.entry = {(INT64_C(1) << 47) - 1, REFUNDED}, .id_hash = UINT64_C(0xFF00FF00),
     .fingerprint = 0xFF00, .ip = COUNTED_IP_MASK - 1},
    {.entry = {T0, 3}, .id_hash = 7, .redeemed = true},
};

START_TEST(test_round_trip)
{
    begin((enum subject)_i);
    struct packed_history before = history;
    size_t empty_length = repack();
    check_same(&before);
    for (size_t i = 0; i < countof(extremes); i++)
        add(&extremes[i]);
    before = history;
    ck_assert_uint_eq(repack(),
                      empty_length + countof(extremes) * packed_history_each(kept.subject));
    check_same(&before);
    for (size_t i = countof(extremes); i < HISTORY_CHUNK; i++)
        add_entry(T0 + (int64_t)i, 1);
    before = history;
    ck_assert_uint_eq(before.tail_first, HISTORY_CHUNK);
    ck_assert_uint_eq(before.tail_count, 0);
    ck_assert_uint_eq(repack(), empty_length);
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
    uint8_t bytes[HEAD_MAX_BYTES + COUNTED_MAX_BYTES] = {0};
    struct packed_history decoded;
    enum subject subject = (enum subject)_i;
    begin(subject);
    size_t fixed = packed_history_encode(&history, bytes), each = packed_history_each(subject);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        bool good = length >= fixed && (length - fixed) % each == 0 &&
                    (length - fixed) / each < HISTORY_CHUNK;
        ck_assert_msg(packed_history_decode(&decoded, subject, bytes, length) == good,
                      "%zu bytes", length);
    }
    ck_assert_int_eq(packed_history_decode(&decoded, subject, NULL, 0), 0);
    ck_assert_int_eq(packed_history_decode(&decoded, subject, NULL, fixed), 0);
    for (int format = 0; format < 256; format++) {
        bytes[0] = (uint8_t)format;
        ck_assert_int_eq(packed_history_decode(&decoded, subject, bytes, fixed), format == 1);
    }
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
            ck_assert_uint_eq(
                packed_history_used(&history, (enum measure)measure, length_ms),
                window_used(&whole, (enum measure)measure, length_ms, now_ms));
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
            struct counted counted = {.entry = {now_ms, (uint32_t)below(50)}};
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
    tcase_add_test(cases, test_edges_of_spans);
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
