/* From lines of a mail server's log to blocks of sender domains, over both stores: the examples of the
 * rule with their stamps, what the audit log and suspensions have of blocks that begin and end, with
 * a line or by themselves, once whatever ends when. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "feedback/failures.h"
#include "feedback/follower.h"
#include "guard/block_values.h"
#include "store/suspensions.h"
#include "tests/unit/feedback/mx_rig.h"
#include "tests/unit/store/chance.h"

#define TEN (NOW + 260 * MINUTE_MS) /* 10:00 */
#define MINUTES(minutes) (TEN + (minutes) * MINUTE_MS)

/* ---- what is kept ---------------------------------------------------------------------------------- */

/* Of the domain or mailbox; all zero: there is none. */
static struct failure_in_force in_force(const char *key, int64_t now_ms)
{
    struct value value;
    struct failure_in_force read = {0};
    if (store_value(store, arena, VALUE_BLOCK, key, now_ms, &value) > 0)
        ck_assert_int_eq(failure_in_force_read(value.bytes, value.length, &read), 1);
    return read;
}

static void block_is(const char *key, int64_t from_ms, int64_t until_ms, int64_t now_ms)
{
    struct failure_in_force read = in_force(key, now_ms);
    ck_assert_int_eq(read.from_ms, from_ms);
    ck_assert_int_eq(read.until_ms, until_ms);
}

static size_t entry_count(const char *action)
{
    static struct audit entries[MX_ENTRIES_MAX];
    return mx_entries_of(action, false, entries);
}

static struct follower_counts counts_of(int server)
{
    struct follower_counts counts;
    follower_counts(mx_followers[server], &counts);
    return counts;
}

/* ---- the examples ------------------------------------------------------------------------------------ */

START_TEST(test_in_turn)
{
    mx_begin(_i);
    for (int i = 0; i < 20; i++) {
        mx_send_one("ann@d.test", i % 2 == 0 ? SENT : UNKNOWN, MINUTES(i));
        mx_write_down(0, MINUTES(i));
        if (i < 19)
            block_is("d.test", 0, 0, MINUTES(i));
    }
    block_is("d.test", MINUTES(19), MINUTES(79), MINUTES(19));
    block_is("d.test", MINUTES(19), MINUTES(79), MINUTES(79) - 1);
    block_is("d.test", 0, 0, MINUTES(79));
    mx_end();
}
END_TEST

/* Nobody is blocked by 10 of 22, but when the good ones leave. */
START_TEST(test_good_ones_leave)
{
    static struct audit entries[MX_ENTRIES_MAX];
    mx_begin(_i);
    for (int i = 0; i < 12; i++)
        mx_send_one("ann@d.test", SENT, MINUTES(0));
    mx_rest(0, MINUTES(0));
    for (int i = 0; i < 10; i++)
        mx_send_one("ann@d.test", UNKNOWN, MINUTES(30));
    mx_rest(0, MINUTES(30));
    block_is("d.test", MINUTES(60), MINUTES(120), MINUTES(30));
    for (int64_t at_ms = MINUTES(31); at_ms < MINUTES(60) + SECOND_MS; at_ms += 10 * SECOND_MS)
        mx_rest(0, at_ms);
    ck_assert_uint_eq(entry_count("block"), 0);
    mx_rest(0, MINUTES(60) + 2 * SECOND_MS);
    ck_assert_uint_eq(mx_entries_of("block", false, entries), 1);
    ck_assert_str_eq(entries[0].subject, "@d.test");
    ck_assert_str_eq(entries[0].by, "guard");
    ck_assert_str_eq(entries[0].note, "10 of 10 recipients failed or were deferred");
    freed_by(json_put) struct json_object *detail = rig_json(entries[0].detail,
                                                             strlen(entries[0].detail));
    ck_assert_str_eq(rig_text(detail, "after.since"), "2025-11-22T11:00:00Z");
    ck_assert_str_eq(rig_text(detail, "after.until"), "2025-11-22T12:00:00Z");
    ck_assert_str_eq(rig_text(detail, "after.bad"), "10");
    ck_assert_uint_eq(counts_of(0).blocks, 1);
    block_is("d.test", MINUTES(60), MINUTES(120), MINUTES(61));
    for (int64_t at_ms = MINUTES(61); at_ms < MINUTES(125); at_ms += MINUTE_MS)
        mx_rest(0, at_ms);
    ck_assert_uint_eq(entry_count("block"), 1);
    block_is("d.test", 0, 0, MINUTES(120));
    mx_end();
}
END_TEST

/* A mailing of 50: what of it fails later makes no other block. */
START_TEST(test_one_mailing)
{
    const char *queue_ids[50];
    mx_begin(_i);
    for (int i = 0; i < 50; i++)
        queue_ids[i] = mx_queue_message(0, "ann@d.test", MINUTES(0));
    for (int i = 0; i < 10; i++) {
        mx_outcome(0, queue_ids[i], "b@x.test", UNKNOWN, MINUTES(i));
        mx_rest(0, MINUTES(i));
    }
    for (int i = 10; i < 50; i++) {
        mx_outcome(0, queue_ids[i], "b@x.test", UNKNOWN, MINUTES(10 + i));
        mx_rest(0, MINUTES(10 + i));
        block_is("d.test", MINUTES(9), MINUTES(69), MINUTES(10 + i));
    }
    for (int i = 60; i < 200; i += 5)
        mx_rest(0, MINUTES(i));
    ck_assert_uint_eq(entry_count("block"), 1);
    block_is("d.test", 0, 0, MINUTES(69));
    mx_end();
}
END_TEST

/* As staff does it: window and block in one step. */
static void lift(const char *domain, int64_t now_ms)
{
    struct values_done *done = xcalloc(1, sizeof *done);
    freed_by(text_free) struct text packed = {0};
    struct value value;
    struct failure_window window;
    const struct failure_settings *settings = &snapshot_settings(mx_snapshot)->failures;
    ck_assert_int_eq(store_value(store, arena, VALUE_FAILURES, domain, now_ms, &value), 1);
    ck_assert_int_eq(failure_window_read(value.bytes, value.length, &window), 1);
    ck_assert_int_eq(failure_window_lift(&window, settings, NULL, now_ms), 1);
    failure_window_add(&packed, &window);
    struct value_change changes[] = {
        {.value = value, .replaces = value.version},
        {.value = {.kind = VALUE_BLOCK, .key = domain}, .replaces = VALUE_ANY}};
    changes[0].value.bytes = packed.data;
    changes[0].value.length = packed.length;
    const struct values_step step = {.changes = changes, .count = 2, .now_ms = now_ms};
    ck_assert_int_eq(store_values_change(store, &step, done), 1);
    failure_window_free(&window);
    free(done);
}

/* The follower meets a window that staff has changed, and mail that was on its way changes nothing. */
START_TEST(test_lifted)
{
    const char *queue_ids[40];
    mx_begin(_i);
    for (int i = 0; i < 40; i++)
        queue_ids[i] = mx_queue_message(0, "ann@d.test", MINUTES(0));
    for (int i = 0; i < 10; i++)
        mx_outcome(0, queue_ids[i], "b@x.test", UNKNOWN, MINUTES(i));
    mx_rest(0, MINUTES(9));
    mx_rest(0, MINUTES(10));
    block_is("d.test", MINUTES(9), MINUTES(69), MINUTES(10));
    lift("d.test", MINUTES(15));
    block_is("d.test", 0, 0, MINUTES(15));
    for (int i = 10; i < 40; i++) {
        mx_outcome(0, queue_ids[i], "b@x.test", UNKNOWN, MINUTES(10 + i));
        mx_rest(0, MINUTES(10 + i));
        block_is("d.test", 0, 0, MINUTES(10 + i));
    }
    for (int i = 0; i < 10; i++)
        mx_send_one("ann@d.test", UNKNOWN, MINUTES(50));
    mx_rest(0, MINUTES(50));
    block_is("d.test", MINUTES(50), MINUTES(110), MINUTES(50));
    mx_rest(0, MINUTES(51));
    ck_assert_uint_eq(entry_count("block"), 2);
    mx_end();
}
END_TEST

/* Ten greylisted ones turn bad when their grace ends, and eleven good ones leave. */
START_TEST(test_greylisted)
{
    mx_begin(_i);
    for (int i = 0; i < 10; i++) {
        mx_send_one("ann@d.test", GREY, MINUTES(i));
        if (i == 5)
            for (int j = 0; j < 11; j++)
                mx_send_one("bob@d.test", SENT, MINUTES(5));
        mx_rest(0, MINUTES(i));
    }
    block_is("d.test", MINUTES(65), MINUTES(125), MINUTES(10));
    for (int i = 10; i <= 66; i++)
        mx_rest(0, MINUTES(i));
    ck_assert_uint_eq(entry_count("block"), 1);
    block_is("d.test", MINUTES(65), MINUTES(125), MINUTES(66));
    mx_end();
}
END_TEST

/* One of them is delivered at last. */
START_TEST(test_greylisted_one_passes)
{
    const char *queue_id = NULL;
    mx_begin(_i);
    for (int i = 0; i < 10; i++) {
        queue_id = mx_queue_message(0, "ann@d.test", MINUTES(i));
        mx_outcome(0, queue_id, "b@x.test", GREY, MINUTES(i));
    }
    mx_rest(0, MINUTES(9));
    block_is("d.test", MINUTES(24), MINUTES(84), MINUTES(9));
    mx_outcome(0, queue_id, "b@x.test", SENT, MINUTES(20));
    mx_rest(0, MINUTES(20));
    block_is("d.test", 0, 0, MINUTES(20));
    mx_rest(0, MINUTES(30));
    ck_assert_uint_eq(entry_count("block"), 0);
    mx_end();
}
END_TEST

/* ---- whatever ends when -------------------------------------------------------------------------------- */

/* The follower ends between what it finds and what it writes; another one goes on. */
START_TEST(test_ends_between)
{
    mx_begin(_i);
    for (int i = 0; i < 12; i++)
        mx_send_one("ann@d.test", SENT, MINUTES(0));
    for (int i = 0; i < 10; i++)
        mx_send_one("ann@d.test", UNKNOWN, MINUTES(0) + SECOND_MS);
    mx_rest(0, MINUTES(1));
    for (int i = 0; i < 5; i++) {
        int64_t now_ms = MINUTES(60) + (2 + i) * SECOND_MS;
        ck_assert_int_eq(follower_read_until(mx_followers[0], now_ms, now_ms), 1);
        ck_assert(follower_has_changes(mx_followers[0]));
        mx_follow(0, now_ms);
        ck_assert_uint_eq(entry_count("block"), 0);
    }
    mx_rest(0, MINUTES(60) + 10 * SECOND_MS);
    ck_assert_uint_eq(entry_count("block"), 1);
    for (int i = 11; i < 20; i++) {
        mx_follow(0, MINUTES(60) + i * SECOND_MS);
        mx_rest(0, MINUTES(60) + i * SECOND_MS);
    }
    ck_assert_uint_eq(entry_count("block"), 1);
    ck_assert_uint_eq(counts_of(0).blocks, 1);
    mx_end();
}
END_TEST

/* The follower of another mail server sees it too: one of them writes it. */
START_TEST(test_two_servers)
{
    mx_begin(_i);
    for (int i = 0; i < 12; i++)
        mx_send_one("ann@d.test", SENT, MINUTES(0));
    mx_write_down(0, MINUTES(0));
    for (int i = 0; i < 10; i++)
        mx_outcome(1, mx_queue_message(1, "bob@d.test", MINUTES(1)), "b@x.test", UNKNOWN, MINUTES(1));
    mx_write_down(1, MINUTES(1));
    int64_t now_ms = MINUTES(60) + 2 * SECOND_MS;
    for (int i = 0; i < MX_SERVERS; i++)
        ck_assert_int_eq(follower_read_until(mx_followers[i], now_ms, now_ms), 1);
    for (int i = 0; i < MX_SERVERS; i++)
        mx_write_down(i, now_ms);
    for (int i = 0; i < MX_SERVERS; i++)
        mx_rest(i, now_ms + SECOND_MS);
    ck_assert_uint_eq(entry_count("block"), 1);
    ck_assert_uint_eq(counts_of(0).blocks + counts_of(1).blocks, 1);
    mx_end();
}
END_TEST

/* A follower that was away while the block came and went. */
START_TEST(test_away)
{
    mx_begin(_i);
    for (int i = 0; i < 12; i++)
        mx_send_one("ann@d.test", SENT, MINUTES(0));
    for (int i = 0; i < 10; i++)
        mx_send_one("ann@d.test", UNKNOWN, MINUTES(1));
    mx_write_down(0, MINUTES(1));
    mx_follow(0, MINUTES(300));
    mx_send_one("ann@d.test", SENT, MINUTES(300));
    mx_write_down(0, MINUTES(300));
    static struct audit entries[MX_ENTRIES_MAX];
    ck_assert_uint_eq(mx_entries_of("block", false, entries), 1);
    ck_assert_str_eq(entries[0].note, "10 of 10 recipients failed or were deferred");
    mx_end();
}
END_TEST

/* A value that no window tells goes away when a follower begins. */
START_TEST(test_left_behind)
{
    struct values_done *done = xcalloc(1, sizeof *done);
    struct failure_in_force left = {.from_ms = MINUTES(600), .until_ms = MINUTES(660), .bad = 10,
                                    .all = 10};
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    mx_begin(_i);
    failure_in_force_put(bytes, &left);
    const struct value_change change = {
        .value = {.kind = VALUE_BLOCK, .key = "ann@d.test", .bytes = bytes,
                  .length = sizeof bytes, .until_ms = left.until_ms}};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    ck_assert_int_eq(store_values_change(store, &step, done), 1);
    free(done);
    mx_send_one("bob@d.test", SENT, MINUTES(0));
    mx_rest(0, MINUTES(0));
    block_is("ann@d.test", 0, 0, MINUTES(0));
    mx_end();
}
END_TEST

/* ---- suspensions --------------------------------------------------------------------------------------- */

/* Three blocks, a day apart, made by one mailbox that writes to unknown addresses. */
static void three_blocks(void)
{
    for (int block = 0; block < 3; block++) {
        int64_t at_ms = TEN + block * DAY_MS;
        for (int i = 0; i < 12; i++)
            mx_send_one("ann@d.test", UNKNOWN, at_ms);
        mx_rest(0, at_ms);
        mx_rest(0, at_ms + 2 * SECOND_MS);
    }
    ck_assert_uint_eq(entry_count("block"), 3);
}

START_TEST(test_third_block_suspends)
{
    struct suspended suspended[2];
    static struct audit entries[MX_ENTRIES_MAX];
    struct store_page page = {.max = 2};
    mx_begin(_i);
    three_blocks();
    int64_t now_ms = TEN + 2 * DAY_MS + 3 * SECOND_MS;
    ck_assert_int_eq(store_suspended(store, "", now_ms, suspended, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(suspended[0].mailbox, "ann@d.test");
    const struct suspension *suspension = &suspended[0].suspensions.of[0];
    ck_assert_int_eq(suspension->cause, CAUSE_FAILURES);
    ck_assert_str_eq(suspension->by, "guard");
    ck_assert_str_eq(suspension->note, "domain_failures");
    ck_assert_int_eq(suspension->until_ms - suspension->since_ms, DAY_MS);
    ck_assert_uint_eq(mx_entries_of("suspend", false, entries), 1);
    ck_assert_str_eq(entries[0].subject, "ann@d.test");
    ck_assert_uint_eq(counts_of(0).suspensions, 1);
    mx_follow(0, now_ms);
    mx_rest(0, now_ms + SECOND_MS);
    ck_assert_uint_eq(entry_count("suspend"), 1);
    ck_assert_uint_eq(counts_of(0).suspensions, 1);
    mx_end();
}
END_TEST

START_TEST(test_observed)
{
    mx_begin_with(_i, WITH("guard.mode=observe"));
    three_blocks();
    ck_assert_uint_eq(entry_count("suspend"), 0);
    mx_end();
}
END_TEST

/* ---- outages ---------------------------------------------------------------------------------------------- */

/* The first five domains are blocked until the sixth one shows that it is the site, whether it answers
 * that it has trouble or does not answer. */
START_TEST(test_outage_unblocks)
{
    static struct audit entries[MX_ENTRIES_MAX];
    enum came trouble = _i / BACKEND_KINDS == 0 ? DOWN : REFUSED;
    mx_begin(_i % BACKEND_KINDS);
    for (int i = 0; i < 30; i++)
        mx_send_one(arena_printf(arena, "ann@old%d.test", i % 10), SENT, TEN - 5 * HOUR_MS);
    mx_write_down(0, TEN - 5 * HOUR_MS);
    for (int domain = 0; domain < 6; domain++) {
        for (int i = 0; i < 10; i++)
            mx_send_one(arena_printf(arena, "ann@d%d.test", domain), trouble, MINUTES(domain));
        mx_rest(0, MINUTES(domain));
        mx_rest(0, MINUTES(domain) + 2 * SECOND_MS);
        if (domain < 4)
            block_is(arena_printf(arena, "d%d.test", domain), MINUTES(domain),
                     MINUTES(domain + 60), MINUTES(domain));
    }
    for (int domain = 0; domain < 6; domain++)
        block_is(arena_printf(arena, "d%d.test", domain), 0, 0, MINUTES(6));
    size_t begun = entry_count("block");
    ck_assert_uint_ge(begun, 4);
    ck_assert_uint_eq(mx_entries_of("unblock", false, entries), begun);
    ck_assert_str_eq(entries[0].subject, "@d0.test");
    ck_assert_str_eq(entries[0].by, "guard");
    ck_assert_str_eq(entries[0].note, "outage of x.test");
    ck_assert_uint_eq(counts_of(0).blocks, begun);
    ck_assert_uint_eq(counts_of(0).blocks_ended, begun);
    ck_assert_uint_eq(counts_of(0).outages, 1);
    mx_end();
}
END_TEST

/* ---- against the pure window -------------------------------------------------------------------------- */

/* What comes of random mail of two servers, whose followers end now and then between two steps, is
 * what one window says that is told the same outcomes. */
enum { MODEL_RUNS = SANITIZED ? 3 : 6, MODEL_STEPS = 60, MODEL_MESSAGES = 300, MODEL_MAILBOXES = 3 };

static struct model {
    struct failure_window window;
    const struct failure_settings *settings;
    const char *domain;
    int good, unknown; /* so many of 100 arrive, of the others go to unknown addresses */
    struct model_message {
        int server;
        const char *queue_id, *mailbox;
        int64_t admitted_ms;
        bool tried, done;
    } messages[MODEL_MESSAGES];
    size_t count;
    /* told to a follower, which has not written it */
    struct failure_outcome pending[MX_SERVERS][MX_UNWRITTEN_MAX];
    size_t pending_count[MX_SERVERS];
} model;

static struct {
    long blocks, of_mailboxes, suspend, coming, ends, late, both;
} met;

static void model_outcome(struct model_message *message, enum came came, int64_t at_ms)
{
    static const enum failure_kind kinds[] = {
        [UNKNOWN] = FAILURE_ADDRESS_UNKNOWN, [SPAM] = FAILURE_OTHER, [DOWN] = FAILURE_SITE,
        [GREY] = FAILURE_OTHER};
    static const uint8_t classes[] = {[UNKNOWN] = REPLY_ADDRESS_UNKNOWN,
                                      [SPAM] = REPLY_CONTENT_REFUSED, [DOWN] = REPLY_UNREACHABLE,
                                      [GREY] = REPLY_GREYLISTED};
    mx_late_ms = percent(5) ? MINUTE_MS + 1 : 0;
    met.late += mx_late_ms > 0;
    mx_outcome(message->server, message->queue_id, "b@x.test", came, at_ms - mx_late_ms);
    model.pending[message->server][model.pending_count[message->server]++] =
        (struct failure_outcome){
            .unit = (uint64_t)(message - model.messages) + 1,
            .message = (uint64_t)(message - model.messages) + 1,
            .mailbox = message->mailbox, .site = "x.test", .first = !message->tried,
            .greylisted = came == GREY,
            .came = came == SENT ? FAILURE_DELIVERED
                    : came == DOWN || came == GREY ? FAILURE_DEFERRED : FAILURE_FAILED,
            .kind = came == SENT ? FAILURE_OTHER : kinds[came],
            .class = came == SENT ? REPLY_OTHER : classes[came],
            .admitted_ms = message->admitted_ms, .at_ms = at_ms - mx_late_ms, .read_ms = at_ms};
    mx_late_ms = 0;
    message->tried = true;
    message->done = came != DOWN && came != GREY;
}

static void model_event(int64_t at_ms)
{
    size_t place = (size_t)below((int)model.count + 1);
    if (percent(40) && model.count < MODEL_MESSAGES) {
        struct model_message *message = &model.messages[model.count++];
        int server = below(MX_SERVERS);
        const char *mailbox =
            arena_printf(arena, "m%d@%s", percent(70) ? 0 : below(MODEL_MAILBOXES), model.domain);
        *message = (struct model_message){server, mx_queue_message(server, mailbox, at_ms), mailbox,
                                          at_ms, false, false};
        model_outcome(message, percent(model.good)      ? SENT
                               : percent(model.unknown) ? UNKNOWN : (enum came)below(GREY + 1),
                      at_ms);
    } else if (place < model.count && !model.messages[place].done) {
        model_outcome(&model.messages[place], percent(60) ? SENT : DOWN, at_ms);
    }
}

static void model_write(int server, int64_t now_ms)
{
    ck_assert_int_eq(follower_read_until(mx_followers[server], now_ms, now_ms), 1);
    if (percent(20)) {
        met.ends++;
        mx_begin_again(server, now_ms);
        ck_assert_int_eq(follower_read_until(mx_followers[server], now_ms, now_ms), 1);
    }
    /* a mailbox that sends through both servers has recipients that both know */
    while (follower_has_changes(mx_followers[server]) &&
           follower_write(mx_followers[server], "place", now_ms) == 0)
        mx_begin_again(server, now_ms);
    mx_written(server);
    if (percent(10))
        mx_follow(server, now_ms);
    for (size_t i = 0; i < model.pending_count[server]; i++)
        failure_window_take(&model.window, model.settings, &model.pending[server][i]);
    model.pending_count[server] = 0;
}

static void compare_in_force(const char *key, const struct block_values *blocks, int64_t now_ms)
{
    const struct block_values_one *one = block_values_find(blocks, key);
    struct failure_in_force read = in_force(key, now_ms);
    bool holds = one != NULL && one->in_force.until_ms > now_ms;
    ck_assert_msg((read.until_ms != 0) == holds, "%s is blocked until %lld, the window says %lld",
                  key, (long long)read.until_ms,
                  one != NULL ? (long long)one->in_force.until_ms : 0LL);
    if (!holds)
        return;
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    failure_in_force_put(bytes, &read);
    if (memcmp(bytes, one->bytes, sizeof bytes) != 0)
        ck_abort_msg("%s: from %lld, %u of %u, block %u; the window says from %lld, %u of %u, "
                     "block %u", key, (long long)read.from_ms, read.bad, read.all, read.block,
                     (long long)one->in_force.from_ms, one->in_force.bad, one->in_force.all,
                     one->in_force.block);
    met.coming += read.from_ms > now_ms;
}

static void model_compare(int64_t now_ms)
{
    struct block_values blocks;
    block_values_of(&model.window, model.settings, model.domain, &blocks);
    compare_in_force(model.domain, &blocks, now_ms);
    for (int i = 0; i < MODEL_MAILBOXES; i++)
        compare_in_force(arena_printf(arena, "m%d@%s", i, model.domain), &blocks, now_ms);
    block_values_free(&blocks);
}

/* The audit log has each block once, in their order. */
static void compare_entries(void)
{
    enum { ALL_MAX = 200 };
    static struct audit entries[ALL_MAX];
    struct store_page page = {.max = ALL_MAX};
    char end[ADDRESS_MAX_BYTES];
    int64_t after = 0;
    uint32_t last = 0;
    snprintf(end, sizeof end, "@%s", model.domain);
    do {
        ck_assert_int_eq(store_audit(store, after, entries, &page), 1);
        for (size_t i = 0; i < page.count; i++) {
            after = entries[i].number;
            size_t length = strlen(entries[i].subject), end_length = strlen(end);
            if (strcmp(entries[i].action, "block") != 0 || length < end_length ||
                strcmp(entries[i].subject + length - end_length, end) != 0)
                continue;
            freed_by(json_put) struct json_object *detail = json_read(entries[i].detail);
            ck_assert_int_eq(json_int(json_member(detail, "after"), "id", 0), ++last);
        }
    } while (page.more);
    ck_assert_uint_eq(last, model.window.last_block);
}

static int64_t model_run(int run, int64_t now_ms)
{
    model = (struct model){.settings = &snapshot_settings(mx_snapshot)->failures,
                           .domain = arena_printf(arena, "d%d.test", run),
                           .unknown = run % 2 == 0 ? 80 : 0};
    for (int step = 0; step < MODEL_STEPS; step++) {
        model.good = step % 30 < 12 ? 80 : 0; /* good ones leave when the bad ones are there */
        now_ms += percent(80) ? 500 + below(400) : below(6000); /* blocks last longer */
        for (int events = percent(70) ? below(8) : 0; events > 0; events--)
            model_event(now_ms - below(2));
        int first = below(MX_SERVERS);
        met.both += model.pending_count[0] > 0 && model.pending_count[1] > 0;
        model_write(first, now_ms);
        model_write(1 - first, now_ms);
        model_compare(now_ms);
    }
    for (int i = 0; i < 30; i++) {
        now_ms += SECOND_MS;
        mx_rest(i % MX_SERVERS, now_ms);
    }
    failure_window_pass(&model.window, model.settings, now_ms - FAILURES_LOOK_BACK_MS);
    compare_entries();
    for (size_t i = 0; i < model.window.block_count; i++) {
        met.blocks++;
        met.of_mailboxes += model.window.blocks[i].mailbox != FAILURE_NOBODY;
        met.suspend += model.window.blocks[i].suspends;
    }
    failure_window_free(&model.window);
    return now_ms;
}

START_TEST(test_model)
{
    const char *blocks = _i / BACKEND_KINDS == 0 ? "failures.blocks=domain"
                                                 : "failures.blocks=mailbox";
    int64_t now_ms = TEN;
    mx_begin_with(_i % BACKEND_KINDS,
               WITH("guard.mode=observe", "failures.window=10s", "failures.block=8s",
                    "failures.grace=3s", "failures.at_least=3", "failures.outage=off", blocks));
    memset(&met, 0, sizeof met);
    chance_state += (uint64_t)_i;
    for (int i = 0; i < MX_SERVERS; i++) { /* each has read its log from the first line on */
        mx_line(i, TEN, "smtpd", "connect from unknown[192.0.2.7]");
        mx_write_down(i, TEN);
    }
    for (int run = 0; run < MODEL_RUNS; run++)
        now_ms = model_run(run, now_ms);
    if (getenv("V") != NULL)
        printf("%ld blocks, %ld of mailboxes, %ld suspend, %ld were to come, %ld ends, %ld late, "
               "%ld steps of both\n", met.blocks, met.of_mailboxes, met.suspend, met.coming,
               met.ends, met.late, met.both);
    fflush(stdout);
    const long seen[] = {met.blocks, met.ends, met.late, met.both};
    for (size_t i = 0; i < countof(seen); i++)
        ck_assert_int_gt(seen[i], 0);
    ck_assert(met.of_mailboxes > 0 || _i / BACKEND_KINDS == 0);
    mx_end();
}
END_TEST

int main(void)
{
    chance_begin();
    Suite *suite = suite_create("follower's blocks");
    TCase *tcase = rig_case(suite, "blocks");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_in_turn, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_good_ones_leave, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_one_mailing, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_lifted, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_greylisted, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_greylisted_one_passes, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_ends_between, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_two_servers, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_away, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_left_behind, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_third_block_suspends, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_observed, 0, BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_outage_unblocks, 0, 2 * BACKEND_KINDS);
    tcase_add_loop_test(tcase, test_model, 0, 2 * BACKEND_KINDS);
    return backends_run(suite);
}
