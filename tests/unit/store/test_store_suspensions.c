/* Suspensions, by a message and by staff, in both backends. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
static const struct durations an_hour = {.count = 1, .ms = {HOUR_MS}};
static const struct durations until_lifted = {.count = 1, .ms = {UNTIL_LIFTED}};

static struct suspension suspend(const char *mailbox, enum cause cause,
                                 const struct durations *durations, int64_t now_ms)
{
    struct suspension suspension;
    struct action action = action_at(now_ms);
    ck_assert_msg(store_suspend(store, mailbox, cause, durations, &action, &suspension) == 1, "%s",
                  store_error(store));
    return suspension;
}

static struct account account_of(const char *mailbox, int64_t now_ms)
{
    struct account account;
    ck_assert_msg(store_account(store, arena, mailbox, now_ms, &account) == 1, "%s",
                  store_error(store));
    return account;
}

/* ---- suspensions that a message brings ------------------------------------------- */

static void bring_suspension(struct message *message_r, int64_t now_ms)
{
    *message_r = message_of(ALICE, arena_printf(arena, "over %lld", (long long)now_ms), now_ms);
    message_r->request.windows[0].limit = 1;
    ck_assert_int_eq(judge(message_r), OUTCOME_SUSPENDED);
    ck_assert(message_r->result.brought);
}

START_TEST(test_suspension_brought)
{
    struct message message;
    struct record record;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW + 10);
    const struct suspension *suspension = &message.result.suspensions.of[0];
    ck_assert_int_gt(suspension->id, 0);
    ck_assert_int_eq(suspension->cause, CAUSE_VOLUME);
    ck_assert_int_eq(suspension->since_ms, NOW + 10);
    ck_assert_int_eq(suspension->until_ms, NOW + 10 + DAY_MS);
    ck_assert_uint_eq(suspension->attempts, 0);
    ck_assert_uint_eq(suspension->offence, 1);
    ck_assert_str_eq(suspension->by, "guard");
    ck_assert_str_eq(suspension->note, "messages_per_day");
    ck_assert_uint_eq(message.result.histories[SUBJECT_MAILBOX].count, 1);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 10, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_SUSPENDED);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 10), 1);
    struct message last = message_of(ALICE, "last", NOW + 10 + DAY_MS - 1);
    ck_assert_int_eq(judge(&last), OUTCOME_SUSPENDED);
    ck_assert(!last.result.brought);
    ck_assert_int_eq(last.result.suspensions.of[0].id, suspension->id);
    ck_assert_uint_eq(last.result.suspensions.of[0].attempts, 1);
    struct message after = message_of(ALICE, "after", NOW + 10 + DAY_MS);
    ck_assert_int_eq(judge(&after), OUTCOME_ADMITTED);
    ck_assert_int_eq(after.result.suspensions.of[0].id, 0);
}
END_TEST

/* Refused, with the attempts and the end that the suspension has then. */
static void refused(uint64_t attempt, int64_t now_ms, uint32_t attempts, int64_t until_ms)
{
    struct message message = message_of(ALICE, "tried", now_ms);
    message.request.attempt = attempt;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert_uint_eq(message.result.suspensions.of[0].attempts, attempts);
    ck_assert_int_eq(message.result.suspensions.of[0].until_ms, until_ms);
    struct suspension kept = account_of(ALICE, now_ms).suspensions.of[0];
    ck_assert_uint_eq(kept.attempts, attempts);
    ck_assert_int_eq(kept.until_ms, until_ms);
}

static uint64_t mark(uint32_t first, uint32_t second) { return (uint64_t)first << 32 | second; }

START_TEST(test_attempts_move_the_end)
{
    struct message message;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW);
    for (unsigned attempt = 1; attempt <= 12; attempt++)
        refused(attempt % 2 == 0 ? 0 : mark(attempt, attempt), NOW + attempt, attempt,
                NOW + DAY_MS + (attempt >= 10 ? attempt : 0));
    /* an earlier moment, as of another machine's clock, does not make it end earlier */
    refused(mark(13, 13), NOW + 5, 13, NOW + DAY_MS + 12);
}
END_TEST

/* What is tried again, by itself or by hand, is the same attempt; so is the message that brought
 * the suspension. */
START_TEST(test_same_attempt)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    struct message message = message_of(ALICE, "x", NOW);
    message.request.windows[0].limit = 1;
    message.request.attempt = mark(7, 8);
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    for (int i = 0; i < 50; i++)
        refused(mark(7, 8), NOW + i, 0, NOW + DAY_MS);
    refused(mark(7, 1), NOW + 50, 0, NOW + DAY_MS); /* its id, other recipients */
    refused(mark(1, 8), NOW + 50, 0, NOW + DAY_MS); /* its recipients, another id */
    refused(mark(8, 7), NOW + 50, 1, NOW + DAY_MS);
    refused(mark(8, 7), NOW + 51, 1, NOW + DAY_MS);
    for (unsigned i = 2; i <= 10; i++)
        refused(mark(10 + i, 10 + i), NOW + 60, i, NOW + DAY_MS + (i == 10 ? 60 : 0));
    for (unsigned i = 2; i <= 10; i++)
        refused(mark(10 + i, 10 + i), NOW + 70, 10, NOW + DAY_MS + 60);
    /* a dry run is none */
    struct message dry = message_of(ALICE, "dry", NOW + 80);
    dry.request.attempt = mark(99, 99);
    dry.request.dry_run = true;
    ck_assert_int_eq(judge(&dry), OUTCOME_SUSPENDED);
    refused(mark(99, 99), NOW + 80, 11, NOW + DAY_MS + 80);
}
END_TEST

/* To its own length, and only the guard's own cause. */
START_TEST(test_own_length)
{
    struct action action = action_at(NOW + 100);
    backend_begin(_i);
    suspend(ALICE, CAUSE_STAFF, &an_hour, NOW);
    for (unsigned i = 1; i <= 20; i++)
        refused(mark(i, i), NOW + i, i, NOW + HOUR_MS);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_STAFF, &action), 1);
    suspend(ALICE, CAUSE_VOLUME, &an_hour, NOW + 100);
    /* what was tried before is another attempt at this one */
    for (unsigned i = 1; i <= 20; i++)
        refused(mark(i, i), NOW + 100 + i, i, NOW + 100 + HOUR_MS + (i >= 10 ? i : 0));
    for (unsigned i = 1; i <= 20; i++)
        refused(mark(i, i), NOW + 200, 20, NOW + 100 + HOUR_MS + 20);
}
END_TEST

/* A thousand are known; what comes beyond is counted, and moves nothing. */
START_TEST(test_many_attempts)
{
    struct message message;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW);
    for (unsigned i = 1; i < ATTEMPTS_KNOWN; i++) {
        struct message other = message_of(ALICE, "x", NOW + i);
        other.request.attempt = mark(i, i);
        ck_assert_int_eq(judge(&other), OUTCOME_SUSPENDED);
    }
    refused(mark(ATTEMPTS_KNOWN, ATTEMPTS_KNOWN), NOW + 2000, ATTEMPTS_KNOWN,
            NOW + DAY_MS + 2000);
    refused(mark(ATTEMPTS_KNOWN, ATTEMPTS_KNOWN), NOW + 2001, ATTEMPTS_KNOWN,
            NOW + DAY_MS + 2000);
    refused(mark(5000, 5000), NOW + 2002, ATTEMPTS_KNOWN + 1, NOW + DAY_MS + 2000);
    refused(mark(5000, 5000), NOW + 2003, ATTEMPTS_KNOWN + 2, NOW + DAY_MS + 2000);
    refused(mark(1, 1), NOW + 2004, ATTEMPTS_KNOWN + 2, NOW + DAY_MS + 2000);
}
END_TEST

START_TEST(test_attempts_while_until_lifted)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    struct message message = message_of(ALICE, "x", NOW + 1);
    message.request.windows[0].limit = 1;
    message.request.volume = (struct durations){.count = 1, .ms = {UNTIL_LIFTED}};
    message.request.retries_before_restart = 1;
    for (unsigned attempt = 0; attempt < 3; attempt++) {
        message.request.now_ms = NOW + 1 + attempt * 400 * DAY_MS;
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        ck_assert_int_eq(message.result.suspensions.of[0].until_ms, UNTIL_LIFTED);
        ck_assert_uint_eq(message.result.suspensions.of[0].attempts, attempt);
    }
}
END_TEST

START_TEST(test_offences_escalate)
{
    static const int64_t lasts_ms[] = {HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS, 4 * HOUR_MS};
    struct message message;
    backend_begin(_i);
    for (size_t i = 0; i < countof(lasts_ms); i++) {
        int64_t now_ms = NOW + (int64_t)i * 2 * DAY_MS;
        send_messages(ALICE, arena_printf(arena, "%zu", i), 1, now_ms, 0);
        message = message_of(ALICE, arena_printf(arena, "over %zu", i), now_ms + 1);
        message.request.windows[0].limit = 1;
        message.request.volume = (struct durations){.count = 3, .ms = {HOUR_MS, 2 * HOUR_MS,
                                                            4 * HOUR_MS}};
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        ck_assert_uint_eq(message.result.suspensions.of[0].offence, i + 1);
        ck_assert_int_eq(message.result.suspensions.of[0].until_ms, now_ms + 1 + lasts_ms[i]);
    }
}
END_TEST

START_TEST(test_never_fits)
{
    backend_begin(_i);
    struct message message = message_of(ALICE, "1", NOW);
    message.request.off_domain = 1001;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert(seen_of(&message, RULE_OFF_DOMAIN_PER_DAY)->over);
    ck_assert_int_eq(message.result.suspensions.of[0].id, 0);
    message.request.off_domain = 1;
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 0;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 600;
    message.request.off_domain = 500;
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
}
END_TEST

/* Two windows are over; the one that suspends names the suspension. */
START_TEST(test_window_that_suspends)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 1);
    struct message message = message_of(ALICE, "x", NOW + 2);
    message.request.windows[0] = (struct judge_window){.rule = RULE_MESSAGES_PER_DAY, .limit = 2};
    message.request.windows[1].limit = 2;
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert(message.result.windows[0].over && message.result.windows[1].over);
    ck_assert_str_eq(message.result.suspensions.of[0].note, "off_domain_per_day");
}
END_TEST

/* ---- suspend and lift --------------------------------------------------------- */

START_TEST(test_suspend)
{
    backend_begin(_i);
    struct suspension made = suspend(ALICE, CAUSE_COMPLAINTS, &a_day, NOW);
    ck_assert_int_gt(made.id, 0);
    ck_assert_int_eq(made.cause, CAUSE_COMPLAINTS);
    ck_assert_int_eq(made.since_ms, NOW);
    ck_assert_int_eq(made.until_ms, NOW + DAY_MS);
    ck_assert_uint_eq(made.offence, 1);
    ck_assert_str_eq(made.by, "agnes");
    ck_assert_str_eq(made.note, "asked by telephone");
    struct suspension read = account_of(ALICE, NOW + DAY_MS - 1).suspensions.of[0];
    ck_assert_int_eq(read.id, made.id);
    ck_assert_int_eq(read.until_ms, made.until_ms);
    ck_assert_str_eq(read.note, made.note);
    ck_assert_int_eq(account_of(ALICE, NOW + DAY_MS).suspensions.of[0].id, 0);
    ck_assert_int_eq(account_of(BOB, NOW).suspensions.of[0].id, 0);
    struct message message = message_of(ALICE, "1", NOW + 1);
    ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
    ck_assert_int_eq(message.result.suspensions.of[0].cause, CAUSE_COMPLAINTS);
}
END_TEST

/* The causes that hold, in the order in which they are told. */
static void check_held(int64_t now_ms, size_t count, const enum cause *causes)
{
    struct account account = account_of(ALICE, now_ms);
    struct message message = message_of(ALICE, "x", now_ms);
    message.request.dry_run = true;
    ck_assert_int_eq(judge(&message), count > 0 ? OUTCOME_SUSPENDED : OUTCOME_ADMITTED);
    const struct suspensions *all[] = {&account.suspensions, &message.result.suspensions};
    for (size_t i = 0; i < countof(all); i++) {
        ck_assert_uint_eq(all[i]->count, count);
        for (size_t k = 0; k < count; k++)
            ck_assert_msg(all[i]->of[k].cause == causes[k], "%zu is %s, not %s", k,
                          cause_names[all[i]->of[k].cause], cause_names[causes[k]]);
        if (count == 0)
            ck_assert_int_eq(all[i]->of[0].id, 0);
    }
}
#define HELD(now_ms, ...)                                                                  \
    check_held(now_ms, countof(((const enum cause[]){__VA_ARGS__})), (const enum cause[]){ \
                                                                         __VA_ARGS__})

/* Each ends at its own instant; the one that ends last is told first, of several that end together
 * the one that began first. */
START_TEST(test_several_causes)
{
    backend_begin(_i);
    suspend(ALICE, CAUSE_STAFF, &an_hour, NOW);
    suspend(ALICE, CAUSE_COMPLAINTS, &a_day, NOW + 1);
    suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW + 2);
    suspend(ALICE, CAUSE_BREACHED, &until_lifted, NOW + 3);
    suspend(ALICE, CAUSE_IDENTITY, &an_hour, NOW);
    suspend(BOB, CAUSE_FAILURES, &a_day, NOW);
    HELD(NOW + 4, CAUSE_TERMS, CAUSE_BREACHED, CAUSE_COMPLAINTS, CAUSE_STAFF, CAUSE_IDENTITY);
    HELD(NOW + HOUR_MS - 1, CAUSE_TERMS, CAUSE_BREACHED, CAUSE_COMPLAINTS, CAUSE_STAFF,
         CAUSE_IDENTITY);
    HELD(NOW + HOUR_MS, CAUSE_TERMS, CAUSE_BREACHED, CAUSE_COMPLAINTS);
    HELD(NOW + DAY_MS, CAUSE_TERMS, CAUSE_BREACHED, CAUSE_COMPLAINTS);
    HELD(NOW + 1 + DAY_MS, CAUSE_TERMS, CAUSE_BREACHED);
    HELD(NOW + 400 * DAY_MS, CAUSE_TERMS, CAUSE_BREACHED);
    /* a clock that goes back: nothing was ended by it, nor by what was made and lifted meanwhile */
    struct action action = action_at(NOW + 2 * DAY_MS);
    suspend(ALICE, CAUSE_VOLUME, &an_hour, NOW + 2 * DAY_MS);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_VOLUME, &action), 1);
    HELD(NOW + DAY_MS, CAUSE_TERMS, CAUSE_BREACHED, CAUSE_COMPLAINTS);
}
END_TEST

/* The newer one of a cause holds, but does not end before the one that it replaces. */
START_TEST(test_same_cause)
{
    static const struct {
        const struct durations *first, *second;
        int64_t until_ms; /* UNTIL_LIFTED, or beside NOW */
    } cases[] = {
        {&a_day, &an_hour, DAY_MS},
        {&an_hour, &a_day, DAY_MS + 10},
        {&an_hour, &an_hour, HOUR_MS + 10},
        {&until_lifted, &an_hour, UNTIL_LIFTED},
        {&an_hour, &until_lifted, UNTIL_LIFTED},
    };
    backend_begin(_i);
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t begin_ms = NOW + (int64_t)i * 31 * DAY_MS, until_ms = cases[i].until_ms;
        struct action action = action_at(begin_ms + 20);
        struct suspension first = suspend(ALICE, CAUSE_STAFF, cases[i].first, begin_ms);
        struct suspension second = suspend(ALICE, CAUSE_STAFF, cases[i].second, begin_ms + 10);
        ck_assert_int_gt(second.id, first.id);
        ck_assert_uint_eq(second.offence, 2);
        ck_assert_int_eq(second.since_ms, begin_ms + 10);
        ck_assert_int_eq(second.until_ms,
                         until_ms == UNTIL_LIFTED ? UNTIL_LIFTED : begin_ms + until_ms);
        struct suspensions held = account_of(ALICE, begin_ms + 10).suspensions;
        ck_assert_uint_eq(held.count, 1);
        ck_assert_int_eq(held.of[0].id, second.id);
        ck_assert_int_eq(held.of[0].until_ms, second.until_ms);
        ck_assert_int_eq(store_lift(store, ALICE, CAUSE_STAFF, &action), 1);
        HELD(begin_ms + 20);
    }
}
END_TEST

/* One that ended by itself holds nobody longer; nor does its end come back. */
START_TEST(test_same_cause_after_the_end)
{
    backend_begin(_i);
    suspend(ALICE, CAUSE_STAFF, &a_day, NOW);
    struct suspension second = suspend(ALICE, CAUSE_STAFF, &an_hour, NOW + DAY_MS);
    ck_assert_int_eq(second.until_ms, NOW + DAY_MS + HOUR_MS);
    struct suspensions held = account_of(ALICE, NOW + DAY_MS - MINUTE_MS).suspensions;
    ck_assert_uint_eq(held.count, 1);
    ck_assert_int_eq(held.of[0].id, second.id);
}
END_TEST

/* What it inherits of another's end is its own length: an attempt begins that anew. */
START_TEST(test_inherited_length)
{
    backend_begin(_i);
    suspend(ALICE, CAUSE_VOLUME, &a_day, NOW);
    ck_assert_int_eq(suspend(ALICE, CAUSE_VOLUME, &an_hour, NOW + HOUR_MS).until_ms, NOW + DAY_MS);
    for (unsigned i = 1; i <= 10; i++)
        refused(mark(i, i), NOW + 2 * HOUR_MS, i, NOW + DAY_MS + (i == 10 ? HOUR_MS : 0));
}
END_TEST

START_TEST(test_lift_one)
{
    struct action action = action_at(NOW + 10);
    for (int order = 0; order < 2; order++) {
        if (order > 0)
            backend_end();
        backend_begin(_i);
        send_messages(ALICE, "a", 1, NOW, 0);
        struct message message;
        bring_suspension(&message, NOW + 1);
        suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW + 2);
        HELD(NOW + 10, CAUSE_TERMS, CAUSE_VOLUME);
        ck_assert_int_eq(store_lift(store, ALICE, CAUSE_STAFF, &action), 0);
        if (order == 0) {
            ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
            ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 0);
            HELD(NOW + 10, CAUSE_VOLUME);
            HELD(NOW + DAY_MS, CAUSE_VOLUME);
            HELD(NOW + 1 + DAY_MS);
        } else {
            ck_assert_int_eq(store_lift(store, ALICE, CAUSE_VOLUME, &action), 1);
            HELD(NOW + 1 + DAY_MS, CAUSE_TERMS);
            HELD(NOW + 400 * DAY_MS, CAUSE_TERMS);
            ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
            HELD(NOW + 11);
        }
    }
}
END_TEST

/* The newest entry of the audit log: what it did to which suspension. */
static void check_audit(const char *action, const char *detail)
{
    struct audit entry;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, &entry, &page), 1);
    ck_assert_str_eq(entry.action, action);
    ck_assert_str_eq(entry.detail, detail);
}

START_TEST(test_audited_by_cause)
{
    struct action action = action_at(NOW + 2);
    backend_begin(_i);
    suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW);
    suspend(ALICE, CAUSE_IDENTITY, &an_hour, NOW + 1);
    check_audit("suspend", "{\"before\":null,\"after\":{\"id\":2,\"cause\":\"identity\","
                           "\"since\":\"2025-11-22T05:40:01Z\","
                           "\"until\":\"2025-11-22T06:40:01Z\",\"attempts\":0}}");
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
    check_audit("lift", "{\"before\":{\"id\":1,\"cause\":\"terms\","
                        "\"since\":\"2025-11-22T05:40:00Z\",\"until\":null,"
                        "\"attempts\":0},\"after\":null}");
}
END_TEST

/* Attempts and ends of each, by cause. */
static void check_each(const struct suspensions *held, uint32_t volume, int64_t volume_until_ms,
                       uint32_t terms)
{
    const struct suspension *of_volume = suspension_find(held, CAUSE_VOLUME);
    const struct suspension *of_terms = suspension_find(held, CAUSE_TERMS);
    ck_assert_uint_eq(held->count, 2);
    ck_assert_uint_eq(of_volume->attempts, volume);
    ck_assert_int_eq(of_volume->until_ms, volume_until_ms);
    ck_assert_uint_eq(of_terms->attempts, terms);
    ck_assert_int_eq(of_terms->until_ms, NOW + DAY_MS + HOUR_MS);
    ck_assert_int_eq(held->of[0].cause,
                     volume_until_ms > NOW + DAY_MS + HOUR_MS ? CAUSE_VOLUME : CAUSE_TERMS);
}

/* Each counts the attempts that it does not know; the end of `volume` alone moves, also behind that
 * of another, which is told after it then. */
START_TEST(test_attempts_of_each)
{
    static const struct durations day_and_hour = {.count = 1, .ms = {DAY_MS + HOUR_MS}};
    backend_begin(_i);
    suspend(ALICE, CAUSE_VOLUME, &a_day, NOW);
    for (unsigned i = 1; i <= 3; i++)
        refused(mark(i, i), NOW + i, i, NOW + DAY_MS);
    suspend(ALICE, CAUSE_TERMS, &day_and_hour, NOW);
    for (unsigned i = 1; i <= 12; i++) { /* three are known to the older one */
        int64_t now_ms = NOW + 2 * HOUR_MS + i;
        int64_t until_ms = i >= 10 ? now_ms + DAY_MS : NOW + DAY_MS;
        struct message message = message_of(ALICE, "tried", now_ms);
        message.request.attempt = mark(i, i);
        ck_assert_int_eq(judge(&message), OUTCOME_SUSPENDED);
        check_each(&message.result.suspensions, i < 3 ? 3 : i, until_ms, i);
        struct account account = account_of(ALICE, now_ms);
        check_each(&account.suspensions, i < 3 ? 3 : i, until_ms, i);
    }
}
END_TEST

/* A new one begins with none known, and takes nothing from the others. */
START_TEST(test_attempts_of_a_new_one)
{
    struct action action = action_at(NOW + 10);
    backend_begin(_i);
    suspend(ALICE, CAUSE_TERMS, &a_day, NOW);
    suspend(ALICE, CAUSE_STAFF, &an_hour, NOW);
    refused(mark(1, 1), NOW + 1, 1, NOW + DAY_MS);
    suspend(ALICE, CAUSE_STAFF, &an_hour, NOW + 2); /* in the place of one that knew it */
    refused(mark(1, 1), NOW + 3, 1, NOW + DAY_MS);
    ck_assert_uint_eq(account_of(ALICE, NOW + 4).suspensions.of[1].attempts, 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_STAFF, &action), 1);
    refused(mark(1, 1), NOW + 11, 1, NOW + DAY_MS);
    suspend(ALICE, CAUSE_STAFF, &a_day, NOW + 12); /* told first from now on */
    refused(mark(1, 1), NOW + 13, 1, NOW + 12 + DAY_MS);
    refused(mark(1, 1), NOW + 14, 1, NOW + 12 + DAY_MS);
}
END_TEST

/* ---- what was lifted is put back ------------------------------------------------------- */

static int64_t newest_entry(void)
{
    struct audit entry = {0};
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, &entry, &page), 1);
    return entry.number;
}

static void lift(enum cause cause, int64_t now_ms)
{
    struct action action = action_at(now_ms);
    ck_assert_int_eq(store_lift(store, ALICE, cause, &action), 1);
}

/* 1, or what stood in the way: 0, -1, … as the enum has it. */
static int unlift(enum cause cause, int64_t id, int64_t newest, int64_t now_ms)
{
    struct action action = action_at(now_ms);
    const struct audited audited = {"undo", ALICE, "{\"of\":1}", &action};
    enum unlift why;
    int result = store_unlift(store, cause, id, newest, &audited, &why);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    return result > 0 ? 1 : -(int)why;
}

START_TEST(test_put_back_as_it_was)
{
    struct message message;
    backend_begin(_i);
    send_messages(ALICE, "a", 1, NOW, 0);
    bring_suspension(&message, NOW);
    suspend(ALICE, CAUSE_TERMS, &an_hour, NOW);
    for (unsigned i = 1; i <= 11; i++)
        refused(mark(i, i), NOW + i, i, NOW + DAY_MS + (i >= 10 ? i : 0));
    const struct suspension before = account_of(ALICE, NOW + 20).suspensions.of[0];
    lift(CAUSE_VOLUME, NOW + 20);
    HELD(NOW + 20, CAUSE_TERMS);
    ck_assert_int_eq(unlift(CAUSE_VOLUME, before.id, newest_entry(), NOW + 30), 1);
    HELD(NOW + 30, CAUSE_VOLUME, CAUSE_TERMS);
    const struct suspension after = account_of(ALICE, NOW + 30).suspensions.of[0];
    ck_assert_int_eq(after.id, before.id);
    ck_assert_int_eq(after.since_ms, before.since_ms);
    ck_assert_int_eq(after.until_ms, before.until_ms);
    ck_assert_uint_eq(after.attempts, before.attempts);
    ck_assert_uint_eq(after.offence, before.offence);
    ck_assert_str_eq(after.by, before.by);
    ck_assert_str_eq(after.note, before.note);
    check_audit("undo", "{\"of\":1}");
    for (unsigned i = 1; i <= 11; i++) /* they are known as the attempts that they were */
        refused(mark(i, i), NOW + 40, 11, NOW + DAY_MS + 11);
    refused(mark(12, 12), NOW + 50, 12, NOW + DAY_MS + 50);
    lift(CAUSE_VOLUME, NOW + 60);
    ck_assert_uint_eq(suspend(ALICE, CAUSE_VOLUME, &an_hour, NOW + 70).offence, 2);
    HELD(NOW + 30 * DAY_MS);
}
END_TEST

START_TEST(test_not_put_back)
{
    backend_begin(_i);
    int64_t id = suspend(ALICE, CAUSE_TERMS, &an_hour, NOW).id, newest = newest_entry();
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest, NOW + 1), -UNLIFT_REPLACED); /* it holds */
    lift(CAUSE_TERMS, NOW + 2);
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest, NOW + 3), -UNLIFT_CHANGED);
    newest = newest_entry();
    ck_assert_int_eq(unlift(CAUSE_TERMS, id + 1, newest, NOW + 3), -UNLIFT_GONE);
    ck_assert_int_eq(unlift(CAUSE_STAFF, id, newest, NOW + 3), -UNLIFT_GONE);
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest, NOW + HOUR_MS), -UNLIFT_ENDED);
    HELD(NOW + 3);
    ck_assert_int_eq(newest_entry(), newest);
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest, NOW + HOUR_MS - 1), 1);
    HELD(NOW + HOUR_MS - 1, CAUSE_TERMS);
    HELD(NOW + HOUR_MS);
    lift(CAUSE_TERMS, NOW + 10);
    suspend(ALICE, CAUSE_TERMS, &an_hour, NOW + 11);
    lift(CAUSE_TERMS, NOW + 12);
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest_entry(), NOW + 13), -UNLIFT_REPLACED);
    HELD(NOW + 13);
}
END_TEST

/* Also one that began more than a month ago, which is forgotten once it has ended. */
START_TEST(test_put_back_an_old_one)
{
    const int64_t later = NOW + 40 * DAY_MS;
    backend_begin(_i);
    int64_t id = suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW).id;
    lift(CAUSE_TERMS, later);
    suspend(BOB, CAUSE_TERMS, &an_hour, later + 1);
    ck_assert_int_eq(store_sweep(store, later + 2), 1);
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest_entry(), later + UNDO_MS), 1);
    HELD(later + UNDO_MS, CAUSE_TERMS);
    lift(CAUSE_TERMS, later + UNDO_MS);
    ck_assert_int_eq(store_sweep(store, later + 2 * UNDO_MS + 2 * MINUTE_MS), 1);
    ck_assert_int_eq(unlift(CAUSE_TERMS, id, newest_entry(), later + DAY_MS), -UNLIFT_GONE);
}
END_TEST

/* ---- programs side by side ------------------------------------------------------ */

enum { PROGRAMS = 4, ROUNDS = 25 };

struct program {
    pthread_t thread;
    struct store *store;
    enum cause cause;
    int lifted;
};

static void *suspend_and_lift(void *context)
{
    struct program *program = context;
    struct action action = {.now_ms = NOW, .by = "agnes", .note = "side by side"};
    struct suspension made;
    for (int i = 0; i < ROUNDS; i++) {
        if (store_suspend(program->store, ALICE, program->cause, &a_day, &action, &made) < 1)
            return NULL;
        program->lifted +=
            store_lift(program->store, ALICE, program->cause, &action) == 1 &&
            store_suspend(program->store, ALICE, program->cause, &a_day, &action, &made) == 1;
        program->lifted += store_lift(program->store, ALICE, CAUSE_STAFF, &action) == 1;
    }
    return NULL;
}

/* None takes away what another one makes at the same moment, and only one of them lifts what all
 * would lift. */
START_TEST(test_side_by_side)
{
    struct program programs[PROGRAMS];
    int lifted = 0;
    backend_begin(_i);
    suspend(ALICE, CAUSE_STAFF, &a_day, NOW);
    for (int i = 0; i < PROGRAMS; i++) {
        programs[i] = (struct program){.store = backend_open(backend_url(), TEST_TIMEOUT_MS),
                                       .cause = (enum cause)(CAUSE_COMPLAINTS + i)};
        ck_assert_int_eq(pthread_create(&programs[i].thread, NULL, suspend_and_lift, &programs[i]),
                         0);
    }
    for (int i = 0; i < PROGRAMS; i++) {
        pthread_join(programs[i].thread, NULL);
        lifted += programs[i].lifted;
        store_free(&programs[i].store);
    }
    ck_assert_int_eq(lifted, PROGRAMS * ROUNDS + 1);
    struct suspensions held = account_of(ALICE, NOW).suspensions;
    ck_assert_uint_eq(held.count, PROGRAMS);
    for (int i = 0; i < PROGRAMS; i++)
        ck_assert_ptr_nonnull(suspension_find(&held, programs[i].cause));
}
END_TEST

START_TEST(test_lift)
{
    struct action action = action_at(NOW + 5);
    backend_begin(_i);
    send_messages(ALICE, "a", 3, NOW, 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 0);
    suspend(ALICE, CAUSE_TERMS, &until_lifted, NOW + 4);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 5), 3);
    struct message message = message_of(ALICE, "x", NOW + 6);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    suspend(ALICE, CAUSE_TERMS, &a_day, NOW + 7);
    struct action too_late = action_at(NOW + 7 + DAY_MS);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &too_late), 0);
}
END_TEST

START_TEST(test_offences)
{
    static const struct durations steps = {.count = 3, .ms = {DAY_MS, 3 * DAY_MS, UNTIL_LIFTED}};
    struct action action = action_at(NOW + 3);
    backend_begin(_i);
    ck_assert_int_eq(suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW).until_ms, NOW + DAY_MS);
    ck_assert_uint_eq(suspend(ALICE, CAUSE_TERMS, &steps, NOW + 1).offence, 1);
    ck_assert_uint_eq(suspend(BOB, CAUSE_COMPLAINTS, &steps, NOW + 1).offence, 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_COMPLAINTS, &action), 1); /* a lifted one stays an offence */
    struct suspension second = suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 10 * DAY_MS);
    ck_assert_uint_eq(second.offence, 2);
    ck_assert_int_eq(second.until_ms, NOW + 13 * DAY_MS);
    struct suspension third = suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 30 * DAY_MS - 1);
    ck_assert_uint_eq(third.offence, 3);
    ck_assert_int_eq(third.until_ms, UNTIL_LIFTED);
    /* thirty days after the first two of the three are remembered */
    static const struct {
        int64_t at_ms;
        uint32_t count;
    } counts[] = {{NOW + 10, 3}, {NOW + 30 * DAY_MS, 2}, {NOW + 90 * DAY_MS, 0}};
    for (size_t i = 0; i < countof(counts); i++) {
        uint32_t count = 99;
        ck_assert_int_eq(
            store_offences(store, ALICE, CAUSE_COMPLAINTS, counts[i].at_ms, &count), 1);
        ck_assert_uint_eq(count, counts[i].count);
    }
    ck_assert_uint_eq(suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 30 * DAY_MS).offence, 3);
    ck_assert_uint_eq(suspend(ALICE, CAUSE_COMPLAINTS, &steps, NOW + 90 * DAY_MS).offence, 1);
}
END_TEST

START_TEST(test_suspended_list)
{
    static const char *const mailboxes[] = {"a@x.test", "b@x.test", "c@x.test", "d@x.test",
                                            "e@x.test"};
    struct suspended page[2];
    struct store_page told = {.max = 2};
    struct action action = action_at(NOW + 1);
    backend_begin(_i);
    ck_assert_int_eq(store_suspended(store, "", NOW, page, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    for (size_t i = countof(mailboxes); i-- > 0;)
        suspend(mailboxes[i], CAUSE_TERMS, i == 1 ? &until_lifted : &a_day, NOW);
    ck_assert_int_eq(store_lift(store, "c@x.test", CAUSE_TERMS, &action), 1);
    ck_assert_int_eq(store_suspended(store, "", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_str_eq(page[0].mailbox, "a@x.test");
    ck_assert_str_eq(page[1].mailbox, "b@x.test");
    ck_assert_int_eq(page[0].suspensions.of[0].until_ms, NOW + DAY_MS);
    ck_assert_int_eq(page[1].suspensions.of[0].until_ms, UNTIL_LIFTED);
    ck_assert_int_eq(store_suspended(store, "b@x.test", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_str_eq(page[0].mailbox, "d@x.test");
    /* all of a mailbox are in one entry */
    suspend("b@x.test", CAUSE_STAFF, &an_hour, NOW);
    ck_assert_int_eq(store_suspended(store, "a@x.test", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 2);
    ck_assert_uint_eq(page[0].suspensions.count, 2);
    ck_assert_int_eq(page[0].suspensions.of[0].cause, CAUSE_TERMS);
    ck_assert_int_eq(page[0].suspensions.of[1].cause, CAUSE_STAFF);
    ck_assert_uint_eq(page[1].suspensions.count, 1);
    ck_assert_int_eq(store_suspended(store, "e@x.test", NOW + 1, page, &told), 1);
    ck_assert_uint_eq(told.count, 0);
    ck_assert_int_eq(store_suspended(store, "", NOW + DAY_MS, page, &told), 1);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_str_eq(page[0].mailbox, "b@x.test");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store suspensions");
    TCase *cases = backends_case(suite, "suspensions");
    tcase_add_loop_test(cases, test_suspension_brought, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_move_the_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_attempt, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_length, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_attempts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_while_until_lifted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_offences_escalate, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_never_fits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_window_that_suspends, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspend, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several_causes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_cause, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_same_cause_after_the_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_inherited_length, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lift_one, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audited_by_cause, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_of_each, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_of_a_new_one, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_put_back_as_it_was, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_not_put_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_put_back_an_old_one, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_side_by_side, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lift, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_offences, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspended_list, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
