/* Windows of recipients: what a mailbox sends to each of them, against a model that is a list of all
 * that was counted; to the millisecond, given back, with parallel clients, in one step with the other
 * rules, and how it is kept. SENDGUARD_SEED repeats a run. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/packed_pair.h"
#include "store/records.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

#define ALICE "alice@example.test"
#define RULE RULE_MESSAGES_PER_DAY_PER_RECIPIENT

/* ---- a message to recipients --------------------------------------------------------------- */

/* With the window behind the usual ones. */
static struct message message_to(const char *id, int64_t now_ms, const uint64_t *recipients,
                                 size_t count, int32_t limit)
{
    struct message message = message_of(ALICE, id, now_ms);
    message.request.recipients = recipients;
    message.request.recipient_count = count;
    message.request.windows[message.request.window_count++] =
        (struct judge_window){.rule = RULE, .limit = limit};
    return message;
}

static enum outcome send_to(const char *id, int64_t now_ms, uint64_t recipient, int32_t limit)
{
    struct message message = message_to(id, now_ms, &recipient, 1, limit);
    return judge(&message);
}

static uint64_t used_to(int64_t now_ms, uint64_t recipient)
{
    struct message message = message_to("never sent", now_ms, &recipient, 1, 600);
    message.request.dry_run = true;
    judge(&message);
    return seen_of(&message, RULE)->used_before;
}

/* So many pairs are kept, in whichever database. */
static long long kept_pairs(int backend)
{
    if (backend == BACKEND_SQLITE)
        return backend_sqlite_number(strchr(backend_url(), '/') + 2, "SELECT count(*) FROM pair");
    return redis_server_ask(&redis, (const char *[]){"HLEN", "sg:pairs:" ALICE}, 2);
}

/* ---- the model ------------------------------------------------------------------------------ */

enum { MAILBOXES = 2, RECIPIENTS = 6, COUNTED_MAX = 20000, IDS = 40 };
static const char *const mailboxes[MAILBOXES] = {ALICE, "bob@example.test"};

struct counted_message {
    int64_t time_ms;
    int mailbox, id;
    enum channel channel;
    unsigned recipients; /* a bit for each */
    bool gone;           /* given back, or its mailbox was reset */
    bool named;          /* the newest under its id */
    uint64_t fingerprint;
};

static struct model {
    struct counted_message all[COUNTED_MAX];
    size_t count;
    int64_t newest_ms[MAILBOXES];
    struct counted_message *named[MAILBOXES][IDS];
} model;

struct run {
    int64_t now_ms;
    uint64_t seed;
    int step, over, several_over, admitted, refunded;
};
#define RUN_FORMAT "seed %llu step %d: "
#define RUN(run) (unsigned long long)(run)->seed, (run)->step

/* Messages to a recipient that count at at_ms, the oldest first. */
static size_t model_of(int mailbox, int recipient, int64_t at_ms,
                       const struct counted_message *list_r[COUNTED_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < model.count; i++) {
        const struct counted_message *one = &model.all[i];
        if (!one->gone && one->mailbox == mailbox && (one->recipients >> recipient & 1) != 0 &&
            one->time_ms > at_ms - DAY_MS)
            list_r[count++] = one;
    }
    return count;
}

struct expected {
    bool over, suspends;
    uint64_t used; /* of the window that is told */
    size_t over_count;
    uint64_t over_used[RECIPIENTS];
    int64_t fits_ms[RECIPIENTS];
};

static struct expected expect(const struct message *message, int mailbox, const int *recipients,
                              int32_t limit, int64_t at_ms)
{
    static const struct counted_message *list[COUNTED_MAX];
    struct expected expected = {0};
    int64_t latest_ms = 0;
    for (size_t i = 0; i < message->request.recipient_count; i++) {
        size_t used = model_of(mailbox, recipients[i], at_ms, list), by_channel = 0;
        bool over = used + 1 > (size_t)limit;
        int64_t fits_ms = 0;
        if (over && limit == 0)
            fits_ms = WINDOW_NEVER;
        else if (over)
            fits_ms = list[used - (size_t)limit]->time_ms + DAY_MS;
        for (size_t k = 0; k < used; k++)
            by_channel += list[k]->channel == message->request.channel;
        expected.suspends = expected.suspends || (limit > 0 && by_channel + 1 > (size_t)limit);
        if (fits_ms > latest_ms || (fits_ms == latest_ms && used > expected.used))
            expected.used = used;
        latest_ms = fits_ms > latest_ms ? fits_ms : latest_ms;
        if (!over)
            continue;
        expected.over = true;
        expected.over_used[expected.over_count] = used;
        expected.fits_ms[expected.over_count++] = fits_ms;
    }
    return expected;
}

static void check_seen(const struct run *run, const struct message *message,
                       const struct expected *expected)
{
    const struct outcome_window *window = seen_of(message, RULE);
    const struct judge_result *result = &message->result;
    ck_assert_msg(window->over == expected->over, RUN_FORMAT "over", RUN(run));
    ck_assert_msg(window->used_before == expected->used, RUN_FORMAT "used %llu, not %llu",
                  RUN(run), (unsigned long long)window->used_before,
                  (unsigned long long)expected->used);
    ck_assert_msg(result->over_count == expected->over_count, RUN_FORMAT "%zu over, not %zu",
                  RUN(run), result->over_count, expected->over_count);
    for (size_t i = 0; i < result->over_count; i++) {
        ck_assert_msg(result->over[i].used == expected->over_used[i], RUN_FORMAT "used", RUN(run));
        ck_assert_msg(result->over[i].fits_ms == expected->fits_ms[i],
                      RUN_FORMAT "fits at %lld, not %lld", RUN(run),
                      (long long)result->over[i].fits_ms, (long long)expected->fits_ms[i]);
    }
}

/* What is told of a refused message holds what its window does. */
static void check_told(const struct run *run, const struct message *message,
                       const struct expected *expected, int32_t limit)
{
    const struct judge_result *result = &message->result;
    ck_assert_msg(result->of_recipient.count == expected->used, RUN_FORMAT "%zu told, not %llu",
                  RUN(run), result->of_recipient.count, (unsigned long long)expected->used);
    if (!expected->over)
        return;
    int64_t latest_ms = 0;
    for (size_t i = 0; i < expected->over_count; i++)
        latest_ms = expected->fits_ms[i] > latest_ms ? expected->fits_ms[i] : latest_ms;
    ck_assert_msg(window_when_fits(&result->of_recipient, MEASURE_MESSAGES, DAY_MS, limit, 1,
                                   result->at_ms) == latest_ms,
                  RUN_FORMAT "the last one fits", RUN(run));
}

static enum outcome expected_outcome(const struct message *message, const struct expected *expected,
                                     bool repeated)
{
    return repeated                              ? OUTCOME_REPEATED
           : message->request.observe              ? OUTCOME_ADMITTED
           : message->request.rejected             ? OUTCOME_REJECTED
           : expected->over                        ? OUTCOME_OVER
                                                   : OUTCOME_ADMITTED;
}

static void count(struct run *run, const struct message *message, int mailbox, int id,
                  unsigned mask)
{
    struct counted_message *before = model.named[mailbox][id];
    if (before != NULL)
        before->named = false;
    ck_assert_uint_lt(model.count, COUNTED_MAX);
    model.all[model.count] = (struct counted_message){
        .time_ms = message->result.at_ms, .mailbox = mailbox, .id = id,
        .channel = message->request.channel, .recipients = mask, .named = true,
        .fingerprint = message->request.fingerprint};
    model.named[mailbox][id] = &model.all[model.count++];
    model.newest_ms[mailbox] = message->result.at_ms;
    run->admitted++;
}

/* Few: of each set the store keeps 16 bits of a keyed hash, by which two may be alike. */
static unsigned some_recipients(void)
{
    static const unsigned several[] = {0x3, 0x6, 0x15, 0x1F, (1u << RECIPIENTS) - 1};
    return percent(40) ? 1u << below(RECIPIENTS)
                       : several[below(countof(several))] & ((1u << RECIPIENTS) - 1);
}

static void submit(struct run *run)
{
    uint64_t hashes[RECIPIENTS];
    int recipients[RECIPIENTS], mailbox = below(MAILBOXES), id = below(IDS);
    unsigned mask = some_recipients();
    const struct counted_message *before = model.named[mailbox][id];
    size_t to = 0;
    char text[16];
    if (before != NULL && percent(30)) /* the same again */
        mask = before->recipients;
    for (int i = 0; i < RECIPIENTS; i++)
        if ((mask >> i & 1) != 0) {
            recipients[to] = i;
            hashes[to++] = UINT64_C(0x8000000000000001) * (uint64_t)(i + 1);
        }
    snprintf(text, sizeof text, "%d", id);
    int32_t limit = percent(3) ? 0 : 1 + below(12);
    struct message message = message_to(text, run->now_ms, hashes, to, limit);
    message.request.mailbox = mailboxes[mailbox];
    message.request.ip = NULL; /* whose history has a newest moment of its own */
    *window_of(&message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP) = *window_of(&message, RULE);
    message.request.window_count--;
    message.request.channel = percent(50) ? CHANNEL_WEBMAIL : CHANNEL_SMTP;
    message.request.fingerprint = mask; /* of the recipients */
    message.request.dry_run = percent(15);
    message.request.decision = message.request.dry_run ? 0 : message.request.decision;
    message.request.observe = percent(5);
    message.request.rejected = percent(5);
    int64_t at_ms = run->now_ms > model.newest_ms[mailbox] ? run->now_ms : model.newest_ms[mailbox];
    bool repeated = before != NULL && before->named && !before->gone &&
                    before->fingerprint == message.request.fingerprint &&
                    before->time_ms > at_ms - DAY_MS;
    struct expected expected = expect(&message, mailbox, recipients, limit, at_ms);
    enum outcome outcome = judge(&message), wanted = expected_outcome(&message, &expected, repeated);
    ck_assert_msg(message.result.at_ms == at_ms, RUN_FORMAT "at", RUN(run));
    ck_assert_msg(outcome == wanted, RUN_FORMAT "%s, not %s", RUN(run), outcome_names[outcome],
                  outcome_names[wanted]);
    check_seen(run, &message, &expected);
    run->over += outcome == OUTCOME_OVER;
    run->several_over += outcome == OUTCOME_OVER && expected.over_count > 1;
    if (outcome == OUTCOME_OVER || outcome == OUTCOME_REJECTED)
        check_told(run, &message, &expected, limit);
    if (outcome == OUTCOME_ADMITTED && !message.request.dry_run)
        count(run, &message, mailbox, id, mask);
}

static void give_back(struct run *run)
{
    int mailbox = below(MAILBOXES), id = below(IDS);
    char text[16];
    snprintf(text, sizeof text, "%d", id);
    struct counted_message *one = model.named[mailbox][id];
    if (one != NULL && one->time_ms > run->now_ms - DAY_MS &&
        one->time_ms <= model.newest_ms[mailbox] - DAY_MS)
        return; /* between the two, clocks differ about whether its day is over */
    int expected = one != NULL && one->named && !one->gone && one->time_ms > run->now_ms - DAY_MS;
    int result = store_refund(store, mailboxes[mailbox], text, run->now_ms);
    ck_assert_msg(result == expected, RUN_FORMAT "refund: %d, not %d", RUN(run), result, expected);
    if (result == 1)
        one->gone = true;
    run->refunded += result == 1;
}

static void reset(struct run *run)
{
    int mailbox = below(MAILBOXES);
    struct action action = action_at(run->now_ms);
    ck_assert_int_eq(store_reset(store, mailboxes[mailbox], &action), 1);
    for (size_t i = 0; i < model.count; i++)
        if (model.all[i].mailbox == mailbox)
            model.all[i].gone = true;
    model.newest_ms[mailbox] = 0;
}

/* What the one that was sent most to holds, as pages show it. */
static void look(const struct run *run)
{
    static const struct counted_message *list[COUNTED_MAX];
    int mailbox = below(MAILBOXES);
    size_t most = 0;
    struct history history;
    for (int i = 0; i < RECIPIENTS; i++) {
        size_t used = model_of(mailbox, i, run->now_ms, list);
        most = used > most ? used : most;
    }
    ck_assert_int_eq(store_history(store, arena, SUBJECT_RECIPIENT, mailboxes[mailbox],
                                   run->now_ms, &history), 1);
    ck_assert_msg(history.count == most, RUN_FORMAT "%zu, not %zu", RUN(run), history.count, most);
}

/* Often to where a message leaves its window, a millisecond before or after. */
static void step_clock(struct run *run)
{
    int kind = below(100);
    if (kind < 20)
        return;
    if (kind < 40)
        run->now_ms++;
    else if (kind < 70)
        run->now_ms += below(20 * (int)MINUTE_MS);
    else if (kind < 72)
        run->now_ms -= below(10 * (int)SECOND_MS);
    else if (kind < 97 && model.count > 0) {
        size_t recent = model.count < 200 ? model.count : 200;
        int64_t leaves_ms = model.all[model.count - 1 - (size_t)below((int)recent)].time_ms +
                            DAY_MS + below(3) - 1;
        if (leaves_ms > run->now_ms && leaves_ms < run->now_ms + 4 * HOUR_MS)
            run->now_ms = leaves_ms;
    } else if (percent(10)) {
        run->now_ms += below(30) * HOUR_MS;
    }
}

/* What is older than two days is of no use. */
static void forget(const struct run *run)
{
    static struct model kept;
    if (model.count < COUNTED_MAX - 1)
        return;
    kept = (struct model){.count = 0};
    memcpy(kept.newest_ms, model.newest_ms, sizeof kept.newest_ms);
    for (size_t i = 0; i < model.count; i++)
        if (model.all[i].time_ms > run->now_ms - 2 * DAY_MS)
            kept.all[kept.count++] = model.all[i];
    model = kept;
    for (size_t i = 0; i < model.count; i++)
        if (model.all[i].named)
            model.named[model.all[i].mailbox][model.all[i].id] = &model.all[i];
}

START_TEST(test_against_model)
{
    const int steps[BACKEND_KINDS] = {[BACKEND_SQLITE] = times(30000),
                                      [BACKEND_REDIS] = times(15000)};
    int backend = _i % BACKEND_KINDS;
    struct run run = {.now_ms = NOW, .seed = _i < BACKEND_KINDS ? 20251122 : chance_seed()};
    printf("%s: %d steps, seed %llu\n", backend == BACKEND_SQLITE ? "SQLite" : "Redis",
           steps[backend], (unsigned long long)run.seed);
    fflush(stdout);
    backend_begin(backend);
    chance_state = run.seed;
    memset(&model, 0, sizeof model);
    for (run.step = 0; run.step < steps[backend]; run.step++) {
        step_clock(&run);
        forget(&run);
        int kind = below(1000);
        if (kind < 80)
            give_back(&run);
        else if (kind < 83)
            reset(&run);
        else if (kind < 100)
            look(&run);
        else
            submit(&run);
        arena_reset(arena);
    }
    ck_assert_msg(run.over > 100 && run.several_over > 50 && run.admitted > 100 &&
                      run.refunded > 20,
                  "%d over, %d several, %d admitted, %d refunded", run.over, run.several_over,
                  run.admitted, run.refunded);
}
END_TEST

/* ---- edges --------------------------------------------------------------------------------- */

START_TEST(test_to_the_millisecond)
{
    backend_begin(_i);
    ck_assert_int_eq(send_to("1", NOW, 7, 2), OUTCOME_ADMITTED);
    ck_assert_int_eq(send_to("2", NOW + 1000, 7, 2), OUTCOME_ADMITTED);
    struct message third = message_to("3", NOW + 2000, (const uint64_t[]){7}, 1, 2);
    ck_assert_int_eq(judge(&third), OUTCOME_OVER);
    ck_assert_uint_eq(third.result.over_count, 1);
    ck_assert_int_eq(third.result.over[0].fits_ms, NOW + DAY_MS);
    ck_assert_int_eq(send_to("4", NOW + 3000, 8, 2), OUTCOME_ADMITTED); /* to another one */
    ck_assert_int_eq(send_to("3", NOW + DAY_MS - 1, 7, 2), OUTCOME_OVER);
    ck_assert_int_eq(send_to("3", NOW + DAY_MS, 7, 2), OUTCOME_ADMITTED);
    ck_assert_int_eq(send_to("5", NOW + DAY_MS + 999, 7, 2), OUTCOME_OVER);
    ck_assert_int_eq(send_to("5", NOW + DAY_MS + 1000, 7, 2), OUTCOME_ADMITTED);
}
END_TEST

START_TEST(test_zero_forbids)
{
    backend_begin(_i);
    struct message message = message_to("1", NOW, (const uint64_t[]){7}, 1, 0);
    window_of(&message, RULE)->suspends = true;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER); /* what could never fit suspends nobody */
    ck_assert_int_eq(message.result.over[0].fits_ms, WINDOW_NEVER);
    ck_assert_int_eq(send_to("2", NOW, 7, LIMIT_OFF), OUTCOME_ADMITTED); /* shown, not checked */
    ck_assert_uint_eq(used_to(NOW, 7), 1);
}
END_TEST

/* Which of several has no room, and until when; a message to all of them waits for the last. */
START_TEST(test_several_recipients)
{
    backend_begin(_i);
    const uint64_t all[] = {11, 12, 13, 14};
    ck_assert_int_eq(send_to("1", NOW, 12, 1), OUTCOME_ADMITTED);
    ck_assert_int_eq(send_to("2", NOW + 500, 14, 1), OUTCOME_ADMITTED);
    struct message message = message_to("3", NOW + 1000, all, 4, 1);
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_uint_eq(message.result.over_count, 2);
    ck_assert_uint_eq(message.result.over[0].place, 1);
    ck_assert_int_eq(message.result.over[0].fits_ms, NOW + DAY_MS);
    ck_assert_uint_eq(message.result.over[1].place, 3);
    ck_assert_int_eq(message.result.over[1].fits_ms, NOW + 500 + DAY_MS);
    ck_assert_uint_eq(message.result.of_recipient.count, 1);
    ck_assert_int_eq(message.result.of_recipient.entries[0].time_ms, NOW + 500);
    ck_assert_uint_eq(used_to(NOW + 1000, 11), 0); /* a refusal leaves no trace */
    message = message_to("3", NOW + 500 + DAY_MS, all, 4, 1);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* All or nothing with the other rules. */
START_TEST(test_one_step_with_other_rules)
{
    backend_begin(_i);
    ck_assert_int_eq(send_to("1", NOW, 7, 600), OUTCOME_ADMITTED);
    struct message message = message_to("2", NOW, (const uint64_t[]){7, 8}, 2, 600);
    window_of(&message, RULE_MESSAGES_PER_HOUR)->limit = 1;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert(!seen_of(&message, RULE)->over);
    ck_assert_uint_eq(used_to(NOW, 7), 1);
    ck_assert_uint_eq(used_to(NOW, 8), 0);
    message = message_to("3", NOW, (const uint64_t[]){7}, 1, 1);
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW), 1);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS,
                                   &(struct durations){.count = 1, .ms = {HOUR_MS}},
                                   &(struct action){NOW, "agnes", "asked"},
                                   &(struct suspension){0}), 1);
    ck_assert_int_eq(send_to("4", NOW + 1, 7, 600), OUTCOME_SUSPENDED);
    ck_assert_uint_eq(used_to(NOW + 1, 7), 1);
}
END_TEST

/* One total of both channels, each with its own limit; a suspension only by the channel's own. */
START_TEST(test_channels)
{
    backend_begin(_i);
    const uint64_t to[] = {7};
    for (int i = 0; i < 3; i++) {
        char id[2] = {(char)('a' + i), '\0'};
        struct message message = message_to(id, NOW + i, to, 1, 4);
        message.request.channel = i < 2 ? CHANNEL_WEBMAIL : CHANNEL_SMTP;
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    }
    struct message message = message_to("d", NOW + 10, to, 1, 3);
    message.request.channel = CHANNEL_SMTP;
    window_of(&message, RULE)->suspends = true;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER); /* only both together are over it */
    ck_assert_uint_eq(seen_of(&message, RULE)->used_by_channel, 1);
    message = message_to("e", NOW + 11, to, 1, 4);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    message = message_to("f", NOW + 12, to, 1, 3);
    window_of(&message, RULE)->suspends = true;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert(message.result.brought);
    ck_assert_str_eq(message.result.suspensions.of[0].note, "messages_per_day_per_recipient");
}
END_TEST

START_TEST(test_given_back)
{
    backend_begin(_i);
    const uint64_t to[] = {7, 8, 9};
    struct message message = message_to("1", NOW, to, 3, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&message), OUTCOME_REPEATED);
    ck_assert_uint_eq(used_to(NOW, 8), 1);
    ck_assert_int_eq(send_to("2", NOW, 8, 2), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_refund(store, ALICE, "1", NOW + 5), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "1", NOW + 5), 0);
    ck_assert_uint_eq(used_to(NOW + 5, 7), 0);
    ck_assert_uint_eq(used_to(NOW + 5, 8), 1);
    ck_assert_int_eq(kept_pairs(_i), 1);
    struct action action = action_at(NOW + 6);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_uint_eq(used_to(NOW + 6, 8), 0);
    ck_assert_int_eq(kept_pairs(_i), 0);
}
END_TEST

/* Nothing is kept of a message without recipients, of a refused one or a dry run. */
START_TEST(test_kept_only_where_set)
{
    backend_begin(_i);
    send_messages(ALICE, "plain", 5, NOW, 10);
    struct message message = message_to("dry", NOW + 100, (const uint64_t[]){7}, 1, 5);
    message.request.dry_run = true;
    message.request.decision = 0;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    message = message_to("rejected", NOW + 100, (const uint64_t[]){7}, 1, 5);
    message.request.rejected = true;
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    ck_assert_int_eq(kept_pairs(_i), 0);
    message = message_to("counted", NOW + 100, (const uint64_t[]){7}, 1, 5);
    message.request.window_count--; /* its channel has no limit, another one has */
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(kept_pairs(_i), 1);
    ck_assert_uint_eq(used_to(NOW + 100, 7), 1);
}
END_TEST

/* The record tells the window that was full. */
START_TEST(test_record)
{
    backend_begin(_i);
    struct record record;
    ck_assert_int_eq(send_to("1", NOW, 7, 1), OUTCOME_ADMITTED);
    struct message message = message_to("2", NOW + 1, (const uint64_t[]){9, 7}, 2, 1);
    message.request.ip = NULL;
    message.request.windows[2] = message.request.windows[4];
    message.request.window_count = 3;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_int_eq(store_record(store, arena, message.result.decision, NOW + 2, &record), 1);
    ck_assert_uint_eq(record.window_count, 3);
    ck_assert_int_eq(record.windows[2].rule, RULE);
    ck_assert_uint_eq(record.windows[2].used_before, 1);
    ck_assert_str_eq(record.facts, "{\"recipients\":1}");
}
END_TEST

/* ---- many ---------------------------------------------------------------------------------- */

START_TEST(test_many_recipients)
{
    enum { MANY = 900 };
    static uint64_t to[MANY];
    backend_begin(_i);
    for (size_t i = 0; i < MANY; i++)
        to[i] = i * UINT64_C(0x9E3779B97F4A7C15);
    struct message message = message_to("1", NOW, to, MANY, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(kept_pairs(_i), MANY);
    ck_assert_int_eq(send_to("2", NOW + 1, to[MANY - 1], 2), OUTCOME_ADMITTED);
    message = message_to("3", NOW + 2, to, MANY, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_uint_eq(message.result.over_count, 1);
    ck_assert_uint_eq(message.result.over[0].place, MANY - 1);
    message = message_to("4", NOW + 2, to, MANY - 1, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    message = message_to("5", NOW + 3, to, MANY, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_uint_eq(message.result.over_count, MANY);
    ck_assert_int_eq(store_refund(store, ALICE, "4", NOW + 4), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "2", NOW + 4), 1);
    message = message_to("6", NOW + 5, to, MANY, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* Of one recipient the newest 10,000 are kept, also while nobody is refused. */
START_TEST(test_most_of_one)
{
    backend_begin(_i);
    uint8_t *bytes = arena_alloc(arena, PAIR_MAX_BYTES + PAIR_BYTES);
    size_t length = 0;
    for (int i = 0; i < PAIR_MESSAGES_MAX + 1; i++) {
        const struct counted counted = {.entry = {.time_ms = NOW + i}, .id_hash = (uint32_t)i + 1};
        length = packed_pair_add(bytes, length, &counted);
    }
    ck_assert_uint_eq(length, PAIR_MAX_BYTES);
    ck_assert_int_eq(packed_pair_entry(bytes, 0).time_ms, NOW + 1);
    ck_assert_int_eq(packed_pair_entry(bytes, PAIR_MESSAGES_MAX - 1).time_ms,
                     NOW + PAIR_MESSAGES_MAX);
}
END_TEST

enum { CLIENTS = 4, EACH = 25, ROOM = 30 };
struct client {
    pthread_t thread;
    struct store *by;
    int number, admitted;
};

static void *send_in_a_race(void *context)
{
    struct client *client = context;
    struct arena *own = arena_new();
    for (int i = 0; i < EACH; i++) {
        const uint64_t to[] = {7, 100 + (uint64_t)client->number};
        char id[24];
        snprintf(id, sizeof id, "%d-%d", client->number, i);
        struct message message = message_to(id, NOW + i, to, 2, ROOM);
        message.request.arena = own;
        if (store_judge(client->by, &message.request, &message.result) > 0)
            client->admitted += message.result.outcome == OUTCOME_ADMITTED;
    }
    arena_free(&own);
    return NULL;
}

/* Of a hundred messages by four programs exactly as many pass as there is room for. */
START_TEST(test_parallel_clients)
{
    struct client clients[CLIENTS];
    int admitted = 0;
    backend_begin(_i);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.by = backend_open(backend_url(), TEST_TIMEOUT_MS),
                                     .number = i};
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, send_in_a_race, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        ck_assert_uint_eq(used_to(NOW + EACH, 100 + (uint64_t)i), (uint64_t)clients[i].admitted);
        admitted += clients[i].admitted;
        store_free(&clients[i].by);
    }
    ck_assert_int_eq(admitted, ROOM);
    ck_assert_uint_eq(used_to(NOW + EACH, 7), ROOM);
}
END_TEST

/* ---- how it is kept ------------------------------------------------------------------------ */

/* What is past goes with new recipients that follow, and all of it by a sweep. */
START_TEST(test_past_pairs_go)
{
    enum { FRESH = 150 };
    backend_begin(_i);
    for (uint64_t i = 0; i < 40; i++) {
        char id[24];
        snprintf(id, sizeof id, "old-%d", (int)i);
        ck_assert_int_eq(send_to(id, NOW, 1000 + i, 5), OUTCOME_ADMITTED);
    }
    const int64_t later_ms = NOW + DAY_MS + 2 * MINUTE_MS;
    for (uint64_t i = 0; i < 300; i++) {
        char id[24];
        snprintf(id, sizeof id, "new-%d", (int)i);
        ck_assert_int_eq(send_to(id, later_ms, 5000 + i % FRESH, 1000), OUTCOME_ADMITTED);
    }
    ck_assert_int_lt(kept_pairs(_i), FRESH + 20);
    ck_assert_uint_eq(used_to(later_ms, 5000), 300 / FRESH);
    ck_assert_int_eq(store_sweep(store, later_ms), 1);
    while (store_sweep(store, later_ms) > 0 && kept_pairs(_i) > FRESH) /* Redis goes on where it was */
        ;
    ck_assert_int_eq(kept_pairs(_i), FRESH);
    ck_assert_int_eq(store_sweep(store, later_ms + 2 * DAY_MS), 1);
    ck_assert_int_eq(kept_pairs(_i), 0);
}
END_TEST

/* What a clock that was ahead stamped counts from the first message that a right one judges. */
START_TEST(test_wrong_clock)
{
    backend_begin(_i);
    const int64_t wrong_ms = NOW + 7 * HOUR_MS;
    ck_assert_int_eq(send_to("1", NOW, 7, 2), OUTCOME_ADMITTED);
    ck_assert_int_eq(send_to("2", wrong_ms, 7, 2), OUTCOME_ADMITTED);
    struct message message = message_to("3", NOW + 1000, (const uint64_t[]){7}, 1, 2);
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_int_eq(message.result.at_ms, NOW + 1000);
    ck_assert_int_eq(message.result.over[0].fits_ms, NOW + DAY_MS);
    message = message_to("3", NOW + 5000, (const uint64_t[]){7}, 1, 1);
    ck_assert_int_eq(judge(&message), OUTCOME_OVER); /* since then, not anew each time */
    ck_assert_int_eq(message.result.over[0].fits_ms, NOW + 1000 + DAY_MS);
    ck_assert_int_eq(store_refund(store, ALICE, "2", NOW + 6000), 1);
    ck_assert_uint_eq(used_to(NOW + 6000, 7), 1);
}
END_TEST

/* Changes the bytes of the pair of recipient 7. */
static void damage(int backend)
{
    if (backend == BACKEND_SQLITE) {
        backend_sqlite_number(strchr(backend_url(), '/') + 2,
                              "UPDATE pair SET data = x'00' RETURNING 1");
        return;
    }
    redis_server_ask(&redis, (const char *[]){"EVAL", "for _, name in ipairs(redis.call('HKEYS', "
                     "'sg:pairs:" ALICE "')) do redis.call('HSET', 'sg:pairs:" ALICE
                     "', name, 'x') end return 1", "0"}, 3);
}

/* A message to it gets no answer, others do; a reset forgets what is damaged. */
START_TEST(test_damaged)
{
    backend_begin(_i);
    ck_assert_int_eq(send_to("1", NOW, 7, 5), OUTCOME_ADMITTED);
    damage(_i);
    struct message message = message_to("2", NOW + 1, (const uint64_t[]){7}, 1, 5);
    ck_assert_int_eq(store_judge(store, &message.request, &message.result), -1);
    ck_assert_ptr_nonnull(strstr(store_error(store), "what is kept of a recipient is damaged"));
    ck_assert_int_eq(send_to("3", NOW + 2, 8, 5), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_refund(store, ALICE, "1", NOW + 3), -1);
    struct action action = action_at(NOW + 4);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(send_to("2", NOW + 5, 7, 5), OUTCOME_ADMITTED);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store recipients");
    TCase *cases = backends_case(suite, "recipients");
    tcase_set_tags(cases, "one_thread");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, test_against_model, 0, 2 * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_to_the_millisecond, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_zero_forbids, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_step_with_other_rules, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_channels, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_given_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_kept_only_where_set, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_record, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_most_of_one, 0, 1);
    tcase_add_loop_test(cases, test_past_pairs_go, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_wrong_clock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_damaged, 0, BACKEND_KINDS);
    TCase *threads = backends_case(suite, "recipients, with threads");
    tcase_set_timeout(threads, 300);
    tcase_add_loop_test(threads, test_parallel_clients, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
