/* The guard when the store is silent, when settings change under way, and when
 * other threads and other processes action at the same time. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guard/emergency.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/records.h"
#include "store/store.h"
#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"

enum { SHORT_TIMEOUT_MS = 600, THREADS = 8 };

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- a store that is silent ------------------------------------------------------- */

/* A database of its own that can be taken away: SQLite's file, or a whole server. */
static struct {
    int backend;
    char folder[FOLDER_SIZE];
    struct redis_server server;
    char path[FOLDER_SIZE + 16], aside[FOLDER_SIZE + 16];
    const char *url;
    bool frozen; /* the server, which keeps all */
} database;

static void begin_database(int backend, int timeout_ms, const char *const *overrides)
{
    rig_begin(BACKEND_SQLITE, overrides);
    guard_free(&guard);
    store_free(&store);
    database.backend = backend;
    folder_make(database.folder);
    snprintf(database.path, sizeof database.path, "%s/db", database.folder);
    snprintf(database.aside, sizeof database.aside, "%s/aside", database.folder);
    if (backend == BACKEND_REDIS)
        redis_server_start(&database.server, database.folder, NULL, NULL);
    database.url = backend == BACKEND_REDIS ? database.server.url
                                            : arena_printf(arena, "sqlite://%s", database.path);
    store = backend_open(database.url, timeout_ms);
    guard = guard_new(store, token_key, rig_settings(overrides), rig_catalogue());
}

static void end_database(void)
{
    if (database.folder[0] == '\0')
        return;
    redis_server_stop(&database.server);
    folder_remove(database.folder);
    database.folder[0] = '\0';
}

static void take_away(void)
{
    if (database.backend == BACKEND_REDIS)
        redis_server_stop(&database.server);
    else
        ck_assert_int_eq(rename(database.path, database.aside), 0);
}

/* The same of a server that hangs, and forgets nothing. */
static void take_away_whole(void)
{
    database.frozen = database.backend == BACKEND_REDIS;
    if (database.frozen)
        redis_server_freeze(&database.server);
    else
        take_away();
}

static void bring_back(void)
{
    if (database.frozen)
        redis_server_thaw(&database.server);
    else if (database.backend == BACKEND_REDIS)
        redis_server_start(&database.server, database.folder, NULL, NULL);
    else
        ck_assert_int_eq(rename(database.aside, database.path), 0);
    database.frozen = false;
}

static const struct {
    const char *on_failure, *mode;
    int recipients; /* 51 are too many for one domain */
    enum verdict_kind kind;
    bool unjudged, observed;
} silences[] = {
    {"store.on_failure=refuse", "guard.mode=enforce", 1, VERDICT_NO_STORE, false, false},
    {"store.on_failure=refuse", "guard.mode=enforce", 51, VERDICT_MESSAGE, false, false},
    {"store.on_failure=allow", "guard.mode=enforce", 1, VERDICT_ADMIT, true, false},
    {"store.on_failure=allow", "guard.mode=enforce", 51, VERDICT_MESSAGE, false, false},
    {"store.on_failure=refuse", "guard.mode=observe", 1, VERDICT_ADMIT, true, false},
    {"store.on_failure=refuse", "guard.mode=observe", 51, VERDICT_ADMIT, true, true},
    {"store.on_failure=allow", "guard.mode=observe", 51, VERDICT_ADMIT, true, true},
};

static void check_silence(size_t number, bool dry_run)
{
    struct submission submission = rig_message("silent", silences[number].recipients);
    struct verdict verdict;
    ck_assert_int_eq(guard_judge(guard, &submission, dry_run, NOW, &verdict), -1);
    ck_assert_str_ne(store_error(store), "");
    ck_assert_int_eq(verdict.kind, silences[number].kind);
    ck_assert_int_eq(verdict.unjudged, silences[number].unjudged);
    ck_assert_int_eq(verdict.observed, silences[number].observed);
    ck_assert_str_eq(rig_reasons(&verdict),
                     silences[number].recipients > 50 ? "recipients_per_domain" : "");
    ck_assert_uint_eq(verdict.decision, 0);
    ck_assert_uint_eq(verdict.window_count, 0);
    ck_assert_int_eq(verdict.suspensions.of[0].id, 0);
    ck_assert_int_eq(verdict.retry_at_ms, 0);
    ck_assert_int_eq(verdict.message[0] == '\0', verdict.kind == VERDICT_ADMIT);
}

START_TEST(test_silent)
{
    size_t number = (size_t)_i / BACKEND_KINDS;
    begin_database(_i % BACKEND_KINDS, TEST_TIMEOUT_MS,
                   WITH(silences[number].on_failure, silences[number].mode));
    rig_send("a", 2, NOW, 0);
    take_away();
    check_silence(number, false);
    check_silence(number, true);
    ck_assert_int_eq(guard_refund(guard, ALICE, "a-0", NOW), -1);
    bring_back();
    struct submission submission = rig_message("b", 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert(!verdict.unjudged);
    if (database.backend == BACKEND_SQLITE) /* the server began empty; the file did not */
        ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used, 3);
}
END_TEST

/* ---- what is admitted without a store -------------------------------------------------- */

#define EMERGENCY(number) WITH("store.on_failure=allow", "store.emergency=" #number)

/* A verdict without the store: 1 admitted, 0 refused. */
static int send_away(const char *mailbox, const char *id, int64_t now_ms)
{
    struct submission submission = rig_message(id, 1);
    struct verdict verdict;
    rig_mailbox(&submission, mailbox);
    ck_assert_int_eq(guard_judge(guard, &submission, false, now_ms, &verdict), -1);
    ck_assert_int_eq(verdict.kind, verdict.used_up ? VERDICT_NO_STORE : VERDICT_ADMIT);
    ck_assert_int_eq(verdict.unjudged, !verdict.used_up);
    ck_assert_int_eq(verdict.message[0] == '\0', !verdict.used_up);
    return !verdict.used_up;
}

/* All that waits, at once. */
static void tell(int64_t now_ms, size_t counted, size_t past)
{
    struct emergency_told told;
    ck_assert_int_eq(guard_tell(guard, now_ms, &told), 1);
    ck_assert_uint_eq(told.counted, counted);
    ck_assert_uint_eq(told.past, past);
    ck_assert_uint_eq(guard_untold(guard), 0);
}

START_TEST(test_emergency)
{
    struct emergency_told told;
    begin_database(_i, TEST_TIMEOUT_MS, EMERGENCY(3));
    for (int outage = 0; outage < 2; outage++) {
        int64_t at_ms = NOW + outage * HOUR_MS;
        take_away();
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(send_away(ALICE, arena_printf(arena, "%d-%d", outage, i), at_ms + i),
                             i < 3);
        ck_assert_int_eq(send_away(BOB, arena_printf(arena, "%d", outage), at_ms), 1);
        ck_assert_int_eq(guard_tell(guard, at_ms, &told), -1);
        ck_assert_uint_eq(guard_untold(guard), 4);
        bring_back();
        ck_assert_int_eq(guard_tell(guard, at_ms, &told), 1);
        ck_assert_uint_eq(told.counted, 4);
        tell(at_ms, 0, 0);
        unsigned before = outage > 0 && _i == BACKEND_SQLITE; /* the server begins empty */
        ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, at_ms + MINUTE_MS), 3 + 3 * before);
        ck_assert_uint_eq(used_of(BOB, RULE_OFF_DOMAIN_PER_DAY, at_ms + MINUTE_MS), 1 + before);
    }
}
END_TEST

/* Whatever comes first: the message again, or what is told. */
START_TEST(test_emergency_counts_once)
{
    begin_database(_i, TEST_TIMEOUT_MS, EMERGENCY(3));
    take_away();
    ck_assert_int_eq(send_away(ALICE, "a", NOW), 1);
    ck_assert_int_eq(send_away(ALICE, "b", NOW), 1);
    ck_assert_int_eq(send_away(ALICE, "b", NOW), 1); /* tried again */
    bring_back();
    struct submission submission = rig_message("a", 1);
    ck_assert_int_eq(rig_judge(&submission, NOW + 1).kind, VERDICT_ADMIT);
    tell(NOW + 2, 3, 0);
    submission.id = "b";
    ck_assert(rig_judge(&submission, NOW + 3).repeated);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 4), 2);
    ck_assert_int_eq(guard_refund(guard, ALICE, "b", NOW + 5), 1);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW + 6), 1);
}
END_TEST

/* It was sent, so it counts; but suspends nobody. */
START_TEST(test_emergency_over_a_limit)
{
    begin_database(_i, TEST_TIMEOUT_MS, WITH("store.on_failure=allow",
                                             "limits.webmail.messages_per_day=3"));
    take_away();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(send_away(ALICE, arena_printf(arena, "a-%d", i), NOW), i < 3);
    bring_back();
    rig_send("b", 2, NOW + 1, 0);
    tell(NOW + 2, 3, 0);
    struct submission submission = rig_message("x", 1);
    struct verdict verdict = rig_ask(&submission, NOW + 3);
    ck_assert_uint_eq(verdict.suspensions.count, 0);
    ck_assert_uint_eq(rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used, 5);
    ck_assert_int_eq(rig_judge(&submission, NOW + 4).kind, VERDICT_SUSPENDED);
}
END_TEST

START_TEST(test_emergency_refund)
{
    begin_database(_i, TEST_TIMEOUT_MS, EMERGENCY(2));
    take_away();
    ck_assert_int_eq(send_away(ALICE, "a", NOW), 1);
    ck_assert_int_eq(send_away(ALICE, "b", NOW), 1);
    ck_assert_int_eq(guard_refund(guard, ALICE, "a", NOW), 1);
    ck_assert_int_eq(guard_refund(guard, ALICE, "a", NOW), -1);
    ck_assert_int_eq(send_away(ALICE, "c", NOW), 1);
    ck_assert_int_eq(send_away(ALICE, "d", NOW), 0);
    bring_back();
    tell(NOW, 2, 0);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, NOW), 2);
}
END_TEST

/* What no limit of the store would have refused either is not held against this one. */
START_TEST(test_emergency_leaves_alone)
{
    static const char *const settings[] = {"guard.mode=observe", "exempt.mailbox=" ALICE};
    begin_database(_i % BACKEND_KINDS, TEST_TIMEOUT_MS,
                   WITH("store.on_failure=allow", "store.emergency=0",
                        settings[_i / BACKEND_KINDS]));
    take_away();
    ck_assert_int_eq(send_away(ALICE, "a", NOW), 1);
    ck_assert_uint_eq(guard_untold(guard), 0);
}
END_TEST

/* Nothing is counted that no window would hold any longer. */
START_TEST(test_emergency_of_yesterday)
{
    begin_database(_i, TEST_TIMEOUT_MS, EMERGENCY(2));
    for (int past = 0; past < 2; past++) {
        take_away();
        ck_assert_int_eq(send_away(ALICE, arena_printf(arena, "%d", past), NOW), 1);
        bring_back();
        tell(NOW + DAY_MS - 1 + past, past == 0, past > 0);
    }
}
END_TEST

/* As if the store had been there: windows let go of it to the millisecond, and decisions have its
 * moment. */
START_TEST(test_emergency_moments)
{
    struct record record;
    struct store_page page = {.max = 1};
    begin_database(_i, TEST_TIMEOUT_MS, EMERGENCY(2));
    take_away();
    ck_assert_int_eq(send_away(ALICE, "a", NOW), 1);
    bring_back();
    rig_send_from(BOB, "192.0.2.2", 1, NOW + 30 * MINUTE_MS);
    tell(NOW + 30 * MINUTE_MS, 1, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + HOUR_MS - 1), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_HOUR, NOW + HOUR_MS), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS - 1), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS), 0);
    ck_assert_int_eq(store_decisions(store, arena, ALICE, UINT64_MAX, NOW + HOUR_MS, &record,
                                     &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_int_eq(record.at_ms, NOW);
    struct json_object *facts = rig_facts(record.decision, NOW + HOUR_MS);
    ck_assert_str_eq(rig_text(facts, "mailbox"), ALICE);
    ck_assert_str_eq(rig_text(facts, "ip"), "192.0.2.1");
    ck_assert_str_eq(rig_text(facts, "off_domain"), "1");
    json_object_put(facts);
}
END_TEST

/* The policy service tells of the webmail's messages when the webmail endpoint has. */
START_TEST(test_emergency_tickets)
{
    static const char hosts[] = "mta.webmail_hosts=192.0.2.9";
    struct emergency_told told;
    struct problem problem;
    struct verdict verdict;
    begin_database(_i, TEST_TIMEOUT_MS, WITH("store.on_failure=allow", hosts));
    take_away();
    ck_assert_int_eq(send_away(ALICE, "a", NOW), 1);
    struct guard *webmail = guard;
    guard = guard_new(store, token_key, rig_settings(WITH("store.on_failure=allow", hosts)),
                      rig_catalogue());
    struct submission submission = rig_submission("queue/1");
    submission.channel = CHANNEL_SMTP;
    submission.webmail_host = true;
    submission.unnamed = 1;
    ck_assert_int_eq(submission_set_ip(&submission, "192.0.2.9", 9, &problem), 1);
    ck_assert_int_eq(guard_judge(guard, &submission, false, NOW, &verdict), -1);
    ck_assert(verdict.unjudged);
    bring_back();
    ck_assert_int_eq(guard_tell(guard, NOW, &told), 0);
    ck_assert_int_eq(guard_tell(guard, NOW + EMERGENCY_REDEEM_MS - 1, &told), 0);
    ck_assert_uint_eq(guard_untold(guard), 1);
    ck_assert_int_eq(guard_tell(webmail, NOW + 1, &told), 1);
    tell(NOW + EMERGENCY_REDEEM_MS, 1, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + MINUTE_MS), 1);
    guard_free(&webmail);
}
END_TEST

/* The store hangs, and comes back, at any moment; what it has at the end is what was admitted. */
START_TEST(test_emergency_model)
{
    enum { SENDERS = 3, HANGS_MS = 100 };
    unsigned seed = (unsigned)_i + 1;
    uint64_t admitted[SENDERS] = {0};
    struct emergency_told told;
    bool away = false;
    int backend = _i % BACKEND_KINDS, unimportant;
    begin_database(backend, backend == BACKEND_REDIS ? HANGS_MS : TEST_TIMEOUT_MS, EMERGENCY(5));
    for (int step = 0; step < 40; step++) {
        int64_t at_ms = NOW + step * MINUTE_MS;
        int which = rand_r(&seed) % SENDERS, happens = rand_r(&seed) % 8;
        struct submission submission = rig_message(arena_printf(arena, "%d", step), 1);
        struct verdict verdict;
        rig_mailbox(&submission, arena_printf(arena, "user%d@example.test", which));
        if (happens == 0) {
            (away ? bring_back : take_away_whole)();
            away = !away;
        } else if (happens == 1) {
            unimportant = guard_tell(guard, at_ms, &told);
        } else {
            unimportant = guard_judge(guard, &submission, false, at_ms, &verdict);
            admitted[which] += verdict.kind == VERDICT_ADMIT;
        }
    }
    (void)unimportant;
    if (away)
        bring_back();
    int64_t now_ms = NOW + HOUR_MS;
    while (guard_tell(guard, now_ms, &told) < 1)
        now_ms += 10 * SECOND_MS; /* as long as the machine needs to answer in time */
    struct store *own = store;
    store = backend_open(database.url, TEST_TIMEOUT_MS);
    for (int which = 0; which < SENDERS; which++)
        ck_assert_uint_eq(used_of(arena_printf(arena, "user%d@example.test", which),
                                  RULE_MESSAGES_PER_DAY, now_ms), admitted[which]);
    store_free(&store);
    store = own;
}
END_TEST

/* ---- threads -------------------------------------------------------------------------- */

enum { MAILBOXES = 3, ROUNDS = 25 };

struct sending_thread {
    pthread_t thread;
    int number, rounds;
    bool fails; /* the store is expected to be silent */
    int64_t took_ms;
    int wrong;
};

static _Atomic int admitted[MAILBOXES], admitted_recipients[MAILBOXES];

/* A message to one to three recipients, in an arena of the thread's own. */
static struct submission message_in(struct arena *own, int which, const char *id, int recipients)
{
    struct submission submission;
    struct problem problem;
    const char *mailbox = arena_printf(own, "user%d@example.test", which);
    submission_init(&submission, own, CHANNEL_WEBMAIL);
    int good = submission_set_id(&submission, id, strlen(id), &problem) +
               submission_set_mailbox(&submission, mailbox, strlen(mailbox), &problem);
    for (int i = 0; i < recipients; i++) {
        const char *recipient = arena_printf(own, "r%d@x.test", i);
        good += submission_add_recipients(&submission, FIELD_TO, recipient, strlen(recipient),
                                          &problem);
    }
    if (good != 2 + recipients)
        abort();
    return submission;
}

static void *send_many(void *context)
{
    struct sending_thread *sender = context;
    struct arena *own = arena_new();
    unsigned seed = (unsigned)sender->number + 1;
    int64_t began_ms = monotonic_ms();
    for (int round = 0; round < sender->rounds; round++) {
        int which = rand_r(&seed) % MAILBOXES, recipients = rand_r(&seed) % 3 + 1;
        struct submission submission = message_in(
            own, which, arena_printf(own, "%d-%d", sender->number, round), recipients);
        struct verdict verdict;
        int result = guard_judge(guard, &submission, false, NOW + round, &verdict);
        if (result != (sender->fails ? -1 : 1) ||
            (result < 0 && store_error(store)[0] == '\0'))
            sender->wrong++;
        else if (!sender->fails && verdict.kind == VERDICT_ADMIT) {
            atomic_fetch_add(&admitted[which], 1);
            atomic_fetch_add(&admitted_recipients[which], recipients);
        }
    }
    sender->took_ms = monotonic_ms() - began_ms;
    arena_free(&own);
    return NULL;
}

static void start_senders(struct sending_thread senders[THREADS], int rounds, bool fails)
{
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sending_thread){.number = i, .rounds = rounds, .fails = fails};
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
}

static void join_senders(struct sending_thread senders[THREADS])
{
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(senders[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(senders[i].wrong == 0, "thread %d: %d unexpected answers", i,
                      senders[i].wrong);
}

static uint64_t used_by(int which, enum rule rule)
{
    return used_of(arena_printf(arena, "user%d@example.test", which), rule, NOW + ROUNDS);
}

/* Settings change all the while; what was admitted is what is counted. */
START_TEST(test_reload_under_threads)
{
    struct sending_thread senders[THREADS];
    const char *const *first = WITH("limits.webmail.messages_per_day=1000");
    const char *const *second = WITH("limits.webmail.messages_per_day=900",
                                     "limits.webmail.messages_per_hour=900",
                                     "domains.own_domains=example.test other.test");
    rig_begin(_i, first);
    start_senders(senders, ROUNDS, false);
    for (int i = 0; i < times(200); i++)
        rig_reload(i % 2 == 0 ? second : first);
    join_senders(senders);
    int all = 0;
    for (int which = 0; which < MAILBOXES; which++) {
        ck_assert_int_eq((int)used_by(which, RULE_MESSAGES_PER_DAY), admitted[which]);
        ck_assert_int_eq((int)used_by(which, RULE_OFF_DOMAIN_PER_DAY),
                         admitted_recipients[which]);
        all += admitted[which];
    }
    ck_assert_int_eq(all, THREADS * ROUNDS);
}
END_TEST

/* The limit is lowered and raised meanwhile: never more than the higher one. */
START_TEST(test_limit_changes_under_threads)
{
    enum { LOW = 10, HIGH = 20 };
    struct sending_thread senders[THREADS];
    const char *const *low =
        WITH("limits.webmail.messages_per_day=10", "on_limit.messages_per_day=refuse");
    const char *const *high =
        WITH("limits.webmail.messages_per_day=20", "on_limit.messages_per_day=refuse");
    rig_begin(_i, low);
    start_senders(senders, ROUNDS, false);
    for (int i = 0; i < times(200); i++)
        rig_reload(i % 2 == 0 ? high : low);
    join_senders(senders);
    for (int which = 0; which < MAILBOXES; which++) {
        ck_assert_int_eq((int)used_by(which, RULE_MESSAGES_PER_DAY), admitted[which]);
        ck_assert_int_ge(admitted[which], LOW);
        ck_assert_int_le(admitted[which], HIGH);
    }
}
END_TEST

/* The history stays, and the next message meets the new limit. */
START_TEST(test_reload)
{
    rig_begin(_i, DEFAULTS);
    rig_send("a", 3, NOW, 0);
    struct submission submission = rig_message("x", 1);
    rig_reload(WITH("limits.webmail.messages_per_day=3", "on_limit.messages_per_day=refuse"));
    struct verdict verdict = rig_judge(&submission, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_OVER_TIME);
    ck_assert_uint_eq(verdict.reasons[0].objection.count, 4);
    ck_assert_uint_eq(verdict.reasons[0].objection.limit, 3);
    rig_reload(WITH("limits.webmail.messages_per_day=4"));
    ck_assert_int_eq(rig_judge(&submission, NOW + 2).kind, VERDICT_ADMIT);
    rig_reload(WITH("limits.webmail.messages_per_day=off"));
    submission.id = "y";
    verdict = rig_judge(&submission, NOW + 3);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_ptr_null(rig_window(&verdict, RULE_MESSAGES_PER_DAY));
    rig_reload(WITH("limits.webmail.messages_per_day=5")); /* what passed meanwhile counted */
    submission.id = "z";
    ck_assert_int_eq(rig_judge(&submission, NOW + 4).kind, VERDICT_SUSPENDED);
}
END_TEST

/* Threads that meet a server that is stopped wait for it side by side, not one
 * behind the other. */
START_TEST(test_silent_for_all_at_once)
{
    struct sending_thread senders[THREADS];
    begin_database(BACKEND_REDIS, SHORT_TIMEOUT_MS, DEFAULTS);
    struct submission submission = rig_message("x", 1);
    struct verdict verdict;
    while (_i == 1 && guard_judge(guard, &submission, true, NOW, &verdict) < 0)
        ; /* else the adjustments are still to be asked for, too */
    redis_server_freeze(&database.server);
    start_senders(senders, 1, true);
    join_senders(senders);
    redis_server_thaw(&database.server);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(senders[i].took_ms < (THREADS - 1) * SHORT_TIMEOUT_MS,
                      "thread %d waited %d ms", i, (int)senders[i].took_ms);
}
END_TEST

/* ---- another process ------------------------------------------------------------------- */

enum { SOON_MS = 10000 }; /* a second, on a machine that has much else to do */

/* Asks until the limit is so; the only test that real time passes in. */
static void wait_for_limit(int32_t limit)
{
    struct submission submission = rig_message("x", 1);
    int64_t began_ms = monotonic_ms();
    for (;;) {
        int64_t asked_ms = monotonic_ms();
        struct verdict verdict = rig_ask(&submission, NOW);
        if (rig_window(&verdict, RULE_MESSAGES_PER_DAY)->limit == limit)
            return;
        ck_assert_msg(asked_ms - began_ms < SOON_MS, "the limit is not yet %d", limit);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 10 * 1000 * 1000},
                        NULL);
    }
}

START_TEST(test_adjusted_by_another_process)
{
    struct adjustment adjustment = {.subject = "@example.test", .rule = RULE_MESSAGES_PER_DAY,
                                    .value = 7, .until_ms = UNTIL_LIFTED};
    struct action action = action_at(NOW);
    rig_begin(_i, DEFAULTS);
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    wait_for_limit(600);
    ck_assert_int_eq(store_adjust(other, &adjustment, &action), 1);
    wait_for_limit(7);
    adjustment.removed = true;
    ck_assert_int_eq(store_adjust(other, &adjustment, &action), 1);
    wait_for_limit(600);
    store_free(&other);
}
END_TEST

/* Counts, suspensions and lifts of others hold at once, not only within a second. */
START_TEST(test_counted_by_another_process)
{
    struct durations durations = {.count = 1, .ms = {DAY_MS}};
    struct suspension suspension;
    struct action action = action_at(NOW);
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2", "on_limit.messages_per_day=refuse"));
    struct store *own = store, *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    struct submission submission = rig_message("x", 1);
    ck_assert_int_eq(rig_ask(&submission, NOW).kind, VERDICT_ADMIT);
    store = other;
    send_messages(ALICE, "a", 2, NOW, 0);
    store = own;
    ck_assert_int_eq(rig_ask(&submission, NOW).kind, VERDICT_OVER_TIME);
    ck_assert_int_eq(store_reset(other, ALICE, &action), 1);
    ck_assert_int_eq(rig_ask(&submission, NOW).kind, VERDICT_ADMIT);
    ck_assert_int_eq(
        store_suspend(other, ALICE, CAUSE_STAFF, &durations, &action, &suspension), 1);
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_SUSPENDED);
    ck_assert_int_eq(store_lift(other, ALICE, CAUSE_STAFF, &action), 1);
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
    store_free(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard trouble");
    TCase *cases = rig_case(suite, "trouble");
    tcase_add_checked_fixture(cases, NULL, end_database);
    tcase_add_loop_test(cases, test_silent, 0, BACKEND_KINDS * (int)countof(silences));
    tcase_add_loop_test(cases, test_emergency, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_counts_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_over_a_limit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_leaves_alone, 0, 2 * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_of_yesterday, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_moments, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_tickets, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_emergency_model, 0, times(6) * BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reload_under_threads, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limit_changes_under_threads, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reload, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_silent_for_all_at_once, 0, 2);
    tcase_add_loop_test(cases, test_adjusted_by_another_process, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counted_by_another_process, 0, BACKEND_KINDS);
    return backends_run(suite);
}
