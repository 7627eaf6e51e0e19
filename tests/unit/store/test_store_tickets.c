/* Tickets: one channel admits and leaves one, another asks a moment later, redeems
 * it and counts nothing again. In both backends. */
#include <pthread.h>
#include <string.h>

#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

/* Admitted at one channel, with a ticket for so many. */
static void leave(const char *mailbox, const char *id, uint32_t recipients, int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    message.request.ticket = recipients;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}

/* Asked at the other. */
static struct message asking(const char *mailbox, const char *id, uint32_t recipients,
                                   int64_t now_ms)
{
    struct message message = message_of(mailbox, id, now_ms);
    message.request.redeem = recipients;
    return message;
}

static enum outcome redeem(const char *mailbox, const char *id, uint32_t recipients,
                           int64_t now_ms)
{
    struct message message = asking(mailbox, id, recipients, now_ms);
    return judge(&message);
}

/* Whether one would be redeemed; without a trace. */
static bool waits(const char *mailbox, uint32_t recipients, int64_t now_ms)
{
    struct message message = asking(mailbox, "never sent", recipients, now_ms);
    message.request.dry_run = true;
    return judge(&message) == OUTCOME_REDEEMED;
}

static uint64_t counted(int64_t now_ms) { return used_of(ALICE, RULE_MESSAGES_PER_DAY, now_ms); }

START_TEST(test_counted_once)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 3, NOW);
    struct message message = asking(ALICE, "smtp-1", 3, NOW + 40);
    message.request.decision++;
    ck_assert_int_eq(judge(&message), OUTCOME_REDEEMED);
    ck_assert_uint_eq(seen_of(&message, RULE_MESSAGES_PER_DAY)->used_before, 1);
    ck_assert_int_eq(message.result.suspensions.of[0].id, 0);
    ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 0);
    ck_assert_uint_eq(counted(NOW + 40), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 40), 1);
    /* one ticket is one message */
    ck_assert_int_eq(redeem(ALICE, "smtp-2", 3, NOW + 50), OUTCOME_ADMITTED);
    ck_assert_uint_eq(counted(NOW + 50), 2);
}
END_TEST

START_TEST(test_record)
{
    struct record record;
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    struct message message = asking(ALICE, "smtp-1", 1, NOW + 40);
    message.request.facts = facts_of("{\"channel\":\"smtp\"}");
    ck_assert_int_eq(judge(&message), OUTCOME_REDEEMED);
    int64_t last_ms = NOW + 40 + message.request.keep_admitted_ms - 1;
    ck_assert_int_eq(store_record(store, arena, message.request.decision, last_ms, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_REDEEMED);
    ck_assert_int_eq(record.at_ms, NOW + 40);
    ck_assert_str_eq(record.facts, "{\"channel\":\"smtp\"}");
    ck_assert_uint_eq(record.windows[0].used_before, 1);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, last_ms + 1, &record), 0);
    ck_assert_int_eq(store_sweep(store, last_ms + HOUR_MS), 1);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 40, &record), 0);
}
END_TEST

START_TEST(test_number_of_recipients)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 2, NOW);
    leave(ALICE, "<2>", SUBMISSION_MAX_RECIPIENTS, NOW);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW), OUTCOME_ADMITTED);
    ck_assert_int_eq(redeem(ALICE, "smtp-2", 3, NOW), OUTCOME_ADMITTED);
    ck_assert_int_eq(redeem(ALICE, "smtp-3", SUBMISSION_MAX_RECIPIENTS - 1, NOW),
                     OUTCOME_ADMITTED);
    ck_assert_int_eq(redeem(ALICE, "smtp-4", SUBMISSION_MAX_RECIPIENTS, NOW), OUTCOME_REDEEMED);
    ck_assert_int_eq(redeem(ALICE, "smtp-5", 2, NOW), OUTCOME_REDEEMED);
}
END_TEST

START_TEST(test_of_its_mailbox)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    ck_assert(!waits(BOB, 1, NOW));
    ck_assert_int_eq(redeem(BOB, "smtp-1", 1, NOW), OUTCOME_ADMITTED);
    ck_assert(waits(ALICE, 1, NOW));
}
END_TEST

START_TEST(test_ends)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    ck_assert(waits(ALICE, 1, NOW + TICKET_MS - 1));
    ck_assert(!waits(ALICE, 1, NOW + TICKET_MS));
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + TICKET_MS), OUTCOME_ADMITTED);
    leave(ALICE, "<2>", 1, NOW + TICKET_MS);
    ck_assert_int_eq(redeem(ALICE, "smtp-2", 1, NOW + 2 * TICKET_MS - 1), OUTCOME_REDEEMED);
}
END_TEST

/* It lasts from the moment that the message counts at, which can be later than the caller's. */
START_TEST(test_clock_steps_back)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    leave(ALICE, "<2>", 2, NOW - 5000);
    ck_assert(waits(ALICE, 2, NOW - 9000));
    ck_assert(waits(ALICE, 2, NOW + TICKET_MS - 1));
    ck_assert(!waits(ALICE, 2, NOW + TICKET_MS));
}
END_TEST

START_TEST(test_oldest_first)
{
    backend_begin(_i);
    leave(ALICE, "<old>", 1, NOW);
    leave(ALICE, "<other>", 2, NOW + 1);
    leave(ALICE, "<young>", 1, NOW + 2);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 3), OUTCOME_REDEEMED);
    ck_assert(waits(ALICE, 1, NOW + TICKET_MS + 1)); /* which the old one would not */
    ck_assert_int_eq(redeem(ALICE, "smtp-2", 1, NOW + 3), OUTCOME_REDEEMED);
    ck_assert_int_eq(redeem(ALICE, "smtp-3", 2, NOW + 3), OUTCOME_REDEEMED);
    ck_assert(!waits(ALICE, 1, NOW + 3));
}
END_TEST

/* More than are looked at in one go, and the one that is wanted is the newest. */
START_TEST(test_many)
{
    backend_begin(_i);
    for (int i = 0; i < 200; i++)
        leave(ALICE, arena_printf(arena, "<%d>", i), i < 199 ? 1 : 2, NOW + i);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 2, NOW + 200), OUTCOME_REDEEMED);
    ck_assert(!waits(ALICE, 2, NOW + 200));
    for (int i = 0; i < 199; i++)
        ck_assert_int_eq(redeem(ALICE, arena_printf(arena, "smtp-1-%d", i), 1, NOW + 200),
                         OUTCOME_REDEEMED);
    ck_assert(!waits(ALICE, 1, NOW + 200));
    ck_assert_uint_eq(counted(NOW + 200), 200);
}
END_TEST

START_TEST(test_refused_leaves_none)
{
    backend_begin(_i);
    struct message held = message_of(ALICE, "<held>", NOW);
    held.request.ticket = 1;
    held.request.rejected = true;
    ck_assert_int_eq(judge(&held), OUTCOME_REJECTED);
    struct message over = message_of(ALICE, "<over>", NOW);
    over.request.ticket = 1;
    *window_of(&over, RULE_OFF_DOMAIN_PER_HOUR_PER_IP) =
        (struct judge_window){.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .limit = 0};
    ck_assert_int_eq(judge(&over), OUTCOME_OVER);
    struct message dry = message_of(ALICE, "<dry>", NOW);
    dry.request.ticket = 1;
    dry.request.dry_run = true;
    ck_assert_int_eq(judge(&dry), OUTCOME_ADMITTED);
    ck_assert(!waits(ALICE, 1, NOW));
}
END_TEST

START_TEST(test_repeated_leaves_no_second)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    struct message again = message_of(ALICE, "<1>", NOW + 1);
    again.request.ticket = 1;
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 2), OUTCOME_REDEEMED);
    ck_assert(!waits(ALICE, 1, NOW + 2));
    again.request.now_ms = NOW + 3; /* also when the first was redeemed */
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert(!waits(ALICE, 1, NOW + 3));
}
END_TEST

/* The same id for other recipients is another submission, which takes the older one's place. */
START_TEST(test_replaced)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    struct message other = message_of(ALICE, "<1>", NOW + 1);
    other.request.fingerprint++;
    other.request.ticket = 2;
    ck_assert_int_eq(judge(&other), OUTCOME_ADMITTED);
    ck_assert(!waits(ALICE, 1, NOW + 1));
    ck_assert(waits(ALICE, 2, NOW + 1));
}
END_TEST

START_TEST(test_refund)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    leave(ALICE, "<2>", 2, NOW);
    ck_assert_int_eq(store_refund(store, ALICE, "<1>", NOW + 1), 1);
    ck_assert(!waits(ALICE, 1, NOW + 1));
    ck_assert(waits(ALICE, 2, NOW + 1));
    /* the mail server has had it: it stays counted */
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 2, NOW + 2), OUTCOME_REDEEMED);
    ck_assert_int_eq(store_refund(store, ALICE, "<2>", NOW + 3), 0);
    ck_assert_uint_eq(counted(NOW + 4), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 4), 1);
    /* what was redeemed was not counted under the other channel's id */
    ck_assert_int_eq(store_refund(store, ALICE, "smtp-1", NOW + 5), 0);
}
END_TEST

/* Two messages to as many: the mail server takes the one with the other's ticket. Whichever is
 * refunded then, what was sent stays counted. */
START_TEST(test_swap)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    leave(ALICE, "<2>", 1, NOW + 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-2", 1, NOW + 2), OUTCOME_REDEEMED);
    ck_assert_int_eq(store_refund(store, ALICE, "<1>", NOW + 3), 0);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 4), OUTCOME_REDEEMED);
    ck_assert_int_eq(store_refund(store, ALICE, "<2>", NOW + 5), 0);
    ck_assert_uint_eq(counted(NOW + 5), 2);
    /* with the refund in between, the ticket goes with its charge, and the message counts anew */
    leave(ALICE, "<3>", 1, NOW + 6);
    leave(ALICE, "<4>", 1, NOW + 7);
    ck_assert_int_eq(redeem(ALICE, "smtp-4", 1, NOW + 8), OUTCOME_REDEEMED);
    ck_assert_int_eq(store_refund(store, ALICE, "<4>", NOW + 9), 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-3", 1, NOW + 10), OUTCOME_ADMITTED);
    ck_assert_uint_eq(counted(NOW + 10), 4);
}
END_TEST

/* It is known for as long as it counts, however many came after it: the mark is in a chunk. */
START_TEST(test_redeemed_long_ago)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    send_messages(ALICE, "plain", 50, NOW + 1, 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 60), OUTCOME_REDEEMED);
    ck_assert_int_eq(store_refund(store, ALICE, "<1>", NOW + DAY_MS - 1), 0);
    ck_assert_int_eq(store_refund(store, ALICE, "<1>", NOW + DAY_MS), 0);
    ck_assert_int_eq(store_refund(store, ALICE, "plain-7", NOW + DAY_MS - 1), 1);
    ck_assert_uint_eq(counted(NOW + DAY_MS - 1), 50);
    ck_assert_uint_eq(counted(NOW + DAY_MS), 49);
    ck_assert_int_eq(store_sweep(store, NOW + 2 * DAY_MS), 1);
    if (_i == BACKEND_REDIS)
        ck_assert_int_eq(redis_server_ask(&redis, (const char *const[]){"EVAL",
            "return #redis.call('KEYS', 'sg:charge:*')", "0"}, 3), 0);
}
END_TEST

/* A dry run marks nothing; the same submission asked about again is still known as itself. */
START_TEST(test_redeemed_is_known)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    ck_assert(waits(ALICE, 1, NOW + 1));
    leave(ALICE, "<2>", 2, NOW + 2);
    ck_assert(waits(ALICE, 2, NOW + 3));
    ck_assert_int_eq(store_refund(store, ALICE, "<2>", NOW + 4), 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 5), OUTCOME_REDEEMED);
    struct message again = message_of(ALICE, "<1>", NOW + 6);
    again.request.ticket = 1;
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert_int_eq(store_refund(store, ALICE, "<1>", NOW + 7), 0);
    ck_assert_uint_eq(counted(NOW + 7), 1);
    /* another message under its id has a charge of its own */
    again.request.fingerprint++;
    again.request.now_ms = NOW + 8;
    ck_assert_int_eq(judge(&again), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_refund(store, ALICE, "<1>", NOW + 9), 1);
    ck_assert_uint_eq(counted(NOW + 9), 1);
}
END_TEST

START_TEST(test_reset_keeps_it)
{
    struct action action = action_at(NOW + 1);
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 2), OUTCOME_REDEEMED);
    ck_assert_uint_eq(counted(NOW + 2), 0);
    /* its message is forgotten, but not that it was not sent */
    leave(ALICE, "<2>", 1, NOW + 3);
    action.now_ms = NOW + 4;
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "<2>", NOW + 5), 0);
    ck_assert(!waits(ALICE, 1, NOW + 5));
    /* under an id there is one ticket all the same */
    leave(ALICE, "<3>", 1, NOW + 6);
    action.now_ms = NOW + 7;
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    leave(ALICE, "<3>", 2, NOW + 8);
    ck_assert(!waits(ALICE, 1, NOW + 9));
    ck_assert(waits(ALICE, 2, NOW + 9));
}
END_TEST

/* Neither a fault of the message nor a full window is looked at again. */
START_TEST(test_redeemed_though_over)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    struct message message = asking(ALICE, "smtp-1", 1, NOW + 1);
    message.request.rejected = true;
    for (size_t i = 0; i < message.request.window_count; i++)
        message.request.windows[i].limit = 1;
    ck_assert_int_eq(judge(&message), OUTCOME_REDEEMED);
    ck_assert(!message.result.brought);
    ck_assert_int_eq(message.result.suspensions.of[0].id, 0);
    message.request.id = "smtp-2";
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    message.request.rejected = false;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert(message.result.brought);
}
END_TEST

static void suspend_alice(int64_t now_ms)
{
    const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
    struct action action = action_at(now_ms);
    struct suspension suspension;
    ck_assert_int_eq(
        store_suspend(store, ALICE, CAUSE_STAFF, &a_day, &action, &suspension), 1);
}

START_TEST(test_suspended_before_ticket)
{
    struct action action = action_at(NOW + 3);
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    suspend_alice(NOW + 1);
    struct message message = asking(ALICE, "smtp-1", 1, NOW + 2);
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert_uint_eq(message.result.suspensions.of[0].attempts, 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_STAFF, &action), 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 4), OUTCOME_REDEEMED);
}
END_TEST

START_TEST(test_observe_redeems)
{
    backend_begin(_i);
    struct message sent = message_of(ALICE, "<1>", NOW);
    suspend_alice(NOW);
    sent.request.observe = true;
    sent.request.ticket = 1;
    ck_assert_int_eq(judge(&sent), OUTCOME_ADMITTED);
    struct message message = asking(ALICE, "smtp-1", 1, NOW + 1);
    message.request.observe = true;
    ck_assert_int_eq(judge(&message), OUTCOME_REDEEMED);
    ck_assert_int_ne(message.result.suspensions.of[0].id, 0); /* the result has it all the same */
    ck_assert_uint_eq(message.result.suspensions.of[0].attempts, 0);
    message.request.id = "smtp-2";
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(counted(NOW + 1), 2);
}
END_TEST

START_TEST(test_dry_run_redeems_nothing)
{
    backend_begin(_i);
    leave(ALICE, "<1>", 1, NOW);
    for (int i = 0; i < 3; i++)
        ck_assert(waits(ALICE, 1, NOW));
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW), OUTCOME_REDEEMED);
}
END_TEST

START_TEST(test_together)
{
    enum { LEFT = 20, ASKED = 44 };
    struct message messages[LEFT + ASKED];
    int results[LEFT + ASKED], redeemed = 0;
    backend_begin(_i);
    for (int i = 0; i < LEFT + ASKED; i++) {
        messages[i] = message_of(ALICE, arena_printf(arena, "<%d>", i), NOW);
        *(i < LEFT ? &messages[i].request.ticket : &messages[i].request.redeem) = 7;
    }
    judge_all(store, messages, results, LEFT + ASKED);
    for (int i = 0; i < LEFT + ASKED; i++) {
        ck_assert_int_eq(results[i], 1);
        redeemed += messages[i].result.outcome == OUTCOME_REDEEMED;
        ck_assert_int_eq(messages[i].result.outcome == OUTCOME_REDEEMED, i >= LEFT && i < 2 * LEFT);
    }
    ck_assert_int_eq(redeemed, LEFT);
    ck_assert_uint_eq(counted(NOW), ASKED);
}
END_TEST

/* ---- at the same time ----------------------------------------------------------------- */

enum { THREADS = 16, ROUNDS = 100 };

struct redeemer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct store *through; /* every other one by a connection of its own, like another program */
    int number, redeemed[ROUNDS];
};

static void *ask_every_round(void *argument)
{
    struct redeemer *redeemer = argument;
    struct arena *own = arena_new();
    for (int round = 0; round < ROUNDS; round++) {
        struct message message =
            asking(ALICE, arena_printf(own, "smtp-%d-%d", redeemer->number, round),
                   (uint32_t)round + 1, NOW);
        message.request.windows[0].limit = message.request.windows[1].limit = LIMIT_OFF;
        message.request.windows[2].limit = LIMIT_OFF;
        message.request.arena = own;
        pthread_barrier_wait(redeemer->start);
        int answer = store_judge(redeemer->through, &message.request, &message.result);
        redeemer->redeemed[round] =
            answer == 1 ? message.result.outcome == OUTCOME_REDEEMED : -THREADS;
    }
    arena_free(&own);
    return NULL;
}

START_TEST(test_one_of_sixteen)
{
    static struct redeemer redeemers[THREADS];
    pthread_barrier_t start;
    backend_begin(_i);
    for (int round = 0; round < ROUNDS; round++)
        leave(ALICE, arena_printf(arena, "<%d>", round), (uint32_t)round + 1, NOW);
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        redeemers[i] = (struct redeemer){.start = &start, .number = i,
                                   .through = i % 2 == 0 ? store : other};
        ck_assert_int_eq(pthread_create(&redeemers[i].thread, NULL, ask_every_round,
                                        &redeemers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(redeemers[i].thread, NULL);
    pthread_barrier_destroy(&start);
    store_free(&other);
    for (int round = 0; round < ROUNDS; round++) {
        int redeemed = 0;
        for (int i = 0; i < THREADS; i++)
            redeemed += redeemers[i].redeemed[round];
        ck_assert_msg(redeemed == 1, "round %d: redeemed %d times", round, redeemed);
    }
    ck_assert_uint_eq(counted(NOW), ROUNDS + (THREADS - 1) * ROUNDS);
}
END_TEST

/* ---- what is left behind --------------------------------------------------------------- */

/* Rows of the table, or members of Redis's key of ALICE. */
static int64_t kept_tickets(int backend)
{
    if (backend == BACKEND_REDIS)
        return redis_server_ask(&redis, (const char *const[]){"ZCARD", "sg:ticket:" ALICE}, 2);
    return backend_sqlite_number(backend_url() + strlen("sqlite://"),
                                 "SELECT count(*) FROM ticket");
}

START_TEST(test_ended_ones_go)
{
    backend_begin(_i);
    for (int i = 0; i < 10; i++)
        leave(ALICE, arena_printf(arena, "<%d>", i), 1, NOW + i);
    ck_assert_int_eq(kept_tickets(_i), 10);
    /* six ended a minute before, which is the grace that clocks have */
    leave(ALICE, "<later>", 1, NOW + TICKET_MS + MINUTE_MS + 5);
    ck_assert_int_eq(kept_tickets(_i), 5);
    ck_assert_int_eq(store_sweep(store, NOW + TICKET_MS + MINUTE_MS + 7), 1);
    ck_assert_int_eq(kept_tickets(_i), 3);
    ck_assert_int_eq(store_sweep(store, NOW + 2 * TICKET_MS + 2 * MINUTE_MS + 5), 1);
    ck_assert_int_eq(kept_tickets(_i), 0);
}
END_TEST

/* Who has no mail server's channel pays nothing. */
START_TEST(test_none_without_asking)
{
    backend_begin(_i);
    send_messages(ALICE, "plain", 5, NOW, 1);
    ck_assert_int_eq(redeem(ALICE, "smtp-1", 1, NOW + 9), OUTCOME_ADMITTED);
    ck_assert_int_eq(kept_tickets(_i), 0);
    if (_i == BACKEND_REDIS)
        ck_assert_int_eq(
            redis_server_ask(&redis, (const char *const[]){"EXISTS", "sg:ticket:" ALICE}, 2), 0);
}
END_TEST

START_TEST(test_redis_expires)
{
    backend_begin(BACKEND_REDIS);
    leave(ALICE, "<1>", 1, NOW);
    int64_t left_ms =
        redis_server_ask(&redis, (const char *const[]){"PTTL", "sg:ticket:" ALICE}, 2);
    ck_assert_int_gt(left_ms, TICKET_MS);
    ck_assert_int_le(left_ms, TICKET_MS + MINUTE_MS);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store tickets");
    TCase *cases = backends_case(suite, "tickets");
    tcase_add_loop_test(cases, test_counted_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_record, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_number_of_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_of_its_mailbox, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ends, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_clock_steps_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_oldest_first, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refused_leaves_none, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_repeated_leaves_no_second, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_replaced, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_swap, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_redeemed_long_ago, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_redeemed_is_known, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reset_keeps_it, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_redeemed_though_over, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspended_before_ticket, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe_redeems, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_dry_run_redeems_nothing, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_together, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_of_sixteen, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ended_ones_go, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_none_without_asking, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_redis_expires);
    return suite;
}

int main(void) { return backends_run(suite()); }
