/* The recorder: what it notes of verdicts, and that nothing of it is lost. */
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guard/recorder.h"
#include "store/observations.h"
#include "store/store.h"
#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"

static struct recorder *recorder;
static int64_t now_ms; /* of the wall: what is told is kept from then on */

static void begin(int backend)
{
    now_ms = (int64_t)time(NULL) * 1000;
    backend_begin(backend);
    recorder = recorder_start(store);
}

static void end(void) { recorder_stop(&recorder); }

/* A verdict over `submission`, admitted, without windows. */
static struct verdict verdict_on(const struct submission *submission, enum verdict_kind kind)
{
    return (struct verdict){.kind = kind, .submission = submission, .now_ms = now_ms};
}

static void saw(const struct verdict *verdict) { recorder_judged(recorder, verdict, 1, 100); }

static void tell(void)
{
    ck_assert_msg(recorder_flush(recorder, now_ms) == 1, "%s", store_error(store));
}

static uint64_t counted_in(struct store *counting, const char *name)
{
    struct counter counters[128];
    struct store_page page = {.max = countof(counters)};
    ck_assert_msg(store_counters(counting, "", counters, &page) == 1, "%s",
                  store_error(counting));
    ck_assert_uint_lt(page.count, countof(counters));
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(counters[i].name, name) == 0)
            return counters[i].value;
    return 0;
}

static uint64_t counted(const char *name) { return counted_in(store, name); }

/* ---- counts ---------------------------------------------------------------------------- */

static const struct {
    struct verdict verdict;
    int answered;
    const char *word;
} verdicts[] = {
    {{.kind = VERDICT_ADMIT}, 1, "admit"},
    {{.kind = VERDICT_ADMIT, .repeated = true}, 1, "repeated"},
    {{.kind = VERDICT_ADMIT, .observed = true}, 1, "observed"},
    {{.kind = VERDICT_ADMIT, .unjudged = true}, -1, "unjudged"},
    {{.kind = VERDICT_MESSAGE}, 1, "message"},
    {{.kind = VERDICT_OVER_TIME}, 1, "over_time"},
    {{.kind = VERDICT_SUSPENDED}, 1, "suspended"},
    {{.kind = VERDICT_BLOCKED}, 1, "blocked"},
    {{.kind = VERDICT_UNUSUAL}, 1, "unusual"},
    {{.kind = VERDICT_ADMIT, .unusual = {.action = UNUSUAL_HOLD}}, 1, "held"},
    {{.kind = VERDICT_NO_STORE}, -1, "no_store"},
    {{.kind = VERDICT_ADMIT, .redeemed = true}, 1, "redeemed"},
    {{.kind = VERDICT_ADMIT, .redeemed = true, .observed = true}, 1, "redeemed"},
};

/* Each verdict is counted under one word, and only the silence of a store as its failure. */
START_TEST(test_words)
{
    begin(_i);
    struct submission submission = rig_submission("words");
    for (size_t i = 0; i < countof(verdicts); i++) {
        struct verdict verdict = verdicts[i].verdict;
        verdict.submission = &submission;
        verdict.now_ms = now_ms;
        for (size_t times = 0; times <= i; times++)
            recorder_judged(recorder, &verdict, verdicts[i].answered, 1);
    }
    tell();
    size_t last = countof(verdicts) - 1; /* which shares its word with the one before */
    for (size_t i = 0; i < last - 1; i++)
        ck_assert_uint_eq(counted(arena_printf(arena, "decisions channel=webmail verdict=%s",
                                               verdicts[i].word)),
                          i + 1);
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=redeemed"), last + last + 1);
    ck_assert_uint_eq(counted("store_failures channel=webmail"), 4 + 11);
    ck_assert_uint_eq(counted("decisions channel=smtp verdict=admit"), 0);
    end();
}
END_TEST

/* Beside what came of them. */
START_TEST(test_unusual)
{
    begin(_i);
    struct submission submission = rig_submission("many");
    submission.channel = CHANNEL_SMTP;
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    saw(&verdict);
    verdict.unusual.new_recipients = 41;
    saw(&verdict);
    saw(&verdict);
    tell();
    ck_assert_uint_eq(counted("unusual channel=smtp"), 2);
    ck_assert_uint_eq(counted("unusual channel=webmail"), 0);
    ck_assert_uint_eq(counted("decisions channel=smtp verdict=admit"), 3);
    end();
}
END_TEST

/* What bypassed the webmail endpoint counts by channel and by day, whatever came of it. */
START_TEST(test_bypassed)
{
    begin(_i);
    struct submission submission = rig_submission("round");
    submission.channel = CHANNEL_SMTP;
    submission.webmail_host = true;
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    verdict.now_ms = INT64_C(1763855999999); /* 2025-11-22T23:59:59.999Z */
    verdict.bypassed = verdict.from_unknown = true;
    saw(&verdict);
    verdict.from_unknown = false;
    verdict.kind = VERDICT_MESSAGE;
    saw(&verdict);
    verdict.now_ms++;
    saw(&verdict);
    verdict.dry_run = true;
    saw(&verdict);
    verdict.dry_run = verdict.bypassed = false;
    saw(&verdict);
    tell();
    ck_assert_uint_eq(counted("bypassed channel=smtp"), 3);
    ck_assert_uint_eq(counted("from_unknown channel=smtp"), 1);
    ck_assert_uint_eq(counted("bypassed day=2025-11-22"), 2);
    ck_assert_uint_eq(counted("bypassed day=2025-11-23"), 1);
    ck_assert_uint_eq(counted("decisions channel=smtp verdict=admit"), 1);
    ck_assert_uint_eq(counted("decisions channel=smtp verdict=message"), 3);
    end();
}
END_TEST

/* The address of a webmail's host is nobody's. */
START_TEST(test_webmail_host_is_no_sender)
{
    struct sender senders[2];
    struct store_page page = {.max = 2};
    begin(_i);
    struct submission submission = rig_submission("host");
    submission.channel = CHANNEL_SMTP;
    submission.webmail_host = true;
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    saw(&verdict);
    tell();
    ck_assert_int_eq(
        store_senders(store, SENDERS_OF_IP, "192.0.2.1", "", now_ms, senders, &page), 1);
    ck_assert_uint_eq(page.count, 0);
    ck_assert_int_eq(
        store_senders(store, SENDERS_OF_DOMAIN, "example.test", "", now_ms, senders, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    end();
}
END_TEST

/* A dry run is nobody's message. */
START_TEST(test_dry_run)
{
    begin(_i);
    struct submission submission = rig_submission("dry");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    verdict.dry_run = true;
    saw(&verdict);
    tell();
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=admit"), 0);
    end();
}
END_TEST

/* Every rule of a refusal counts once, however many fields break it; none of an admission's. */
START_TEST(test_rules)
{
    begin(_i);
    struct submission submission = rig_submission("rules");
    struct reason reasons[] = {
        {.objection = {.rule = RULE_RECIPIENTS_PER_FIELD, .field = FIELD_TO}},
        {.objection = {.rule = RULE_RECIPIENTS_PER_FIELD, .field = FIELD_CC}},
        {.objection = {.rule = RULE_RECIPIENTS_PER_MESSAGE, .field = -1}},
    };
    struct verdict verdict = verdict_on(&submission, VERDICT_MESSAGE);
    verdict.reasons = reasons;
    verdict.reason_count = countof(reasons);
    saw(&verdict);
    saw(&verdict);
    verdict.kind = VERDICT_ADMIT;
    verdict.observed = true;
    saw(&verdict);
    tell();
    ck_assert_uint_eq(counted("refusals channel=webmail rule=recipients_per_field"), 2);
    ck_assert_uint_eq(counted("refusals channel=webmail rule=recipients_per_message"), 2);
    ck_assert_uint_eq(counted("refusals channel=webmail rule=messages_per_day"), 0);
    end();
}
END_TEST

/* A suspension is counted by the message that brings it, not by those it stops. */
START_TEST(test_suspensions)
{
    begin(_i);
    struct submission submission = rig_submission("suspended");
    struct verdict verdict = verdict_on(&submission, VERDICT_SUSPENDED);
    verdict.suspensions.of[0] = (struct suspension){.id = 7, .cause = CAUSE_VOLUME};
    saw(&verdict);
    verdict.brought = true;
    saw(&verdict);
    tell();
    ck_assert_uint_eq(counted("suspensions cause=volume"), 1);
    end();
}
END_TEST

/* The bound itself belongs to its bucket; buckets hold those before them. */
START_TEST(test_times)
{
    begin(_i);
    struct submission submission = rig_submission("times");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    const int64_t took_us[] = {0, 250, 251, 1000000, 1000001, -5};
    for (size_t i = 0; i < countof(took_us); i++)
        recorder_judged(recorder, &verdict, 1, took_us[i]);
    tell();
    ck_assert_uint_eq(counted("judge_us_le channel=webmail le=250"), 3);
    ck_assert_uint_eq(counted("judge_us_le channel=webmail le=500"), 4);
    ck_assert_uint_eq(counted("judge_us_le channel=webmail le=250000"), 4);
    ck_assert_uint_eq(counted("judge_us_le channel=webmail le=1000000"), 5);
    ck_assert_uint_eq(counted("judge_us_le channel=webmail le=inf"), 6);
    ck_assert_uint_eq(counted("judge_us_sum channel=webmail"), 250 + 251 + 1000000 + 1000001);
    end();
}
END_TEST

START_TEST(test_user_locks)
{
    begin(_i);
    recorder_user_locked(recorder);
    recorder_user_locked(recorder);
    tell();
    recorder_user_locked(recorder);
    tell();
    ck_assert_uint_eq(counted("user_locks"), 3);
    end();
}
END_TEST

static void *see_a_thousand(void *context)
{
    for (int i = 0; i < 1000; i++)
        saw(context);
    return NULL;
}

START_TEST(test_threads)
{
    begin(_i);
    pthread_t threads[4];
    struct submission submission = rig_submission("threads");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    for (size_t i = 0; i < countof(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, see_a_thousand, &verdict), 0);
    tell();
    for (size_t i = 0; i < countof(threads); i++)
        pthread_join(threads[i], NULL);
    tell();
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=admit"), 4000);
    end();
}
END_TEST

/* ---- who, from where ------------------------------------------------------------------------ */

static size_t senders_of(enum sender_of of, const char *key, struct sender *senders_r, size_t max)
{
    struct store_page page = {.max = max};
    ck_assert_msg(store_senders(store, of, key, "", now_ms + HOUR_MS, senders_r, &page) == 1,
                  "%s", store_error(store));
    return page.count;
}

START_TEST(test_observed_senders)
{
    begin(_i);
    struct sender senders[4];
    struct submission alice = rig_submission("a"), bob = rig_submission("b");
    rig_mailbox(&bob, "bob@other.test");
    bob.ip = NULL;
    struct verdict of_alice = verdict_on(&alice, VERDICT_ADMIT);
    struct verdict of_bob = verdict_on(&bob, VERDICT_SUSPENDED);
    saw(&of_alice);
    saw(&of_alice);
    saw(&of_bob);
    tell();
    ck_assert_uint_eq(senders_of(SENDERS_OF_IP, "192.0.2.1", senders, countof(senders)), 1);
    ck_assert_str_eq(senders[0].mailbox, ALICE);
    int64_t first_ms = senders[0].last_ms;
    ck_assert_uint_eq(senders_of(SENDERS_OF_DOMAIN, "other.test", senders, countof(senders)), 1);
    ck_assert_str_eq(senders[0].mailbox, "bob@other.test");
    of_alice.now_ms = now_ms + HOUR_MS;
    saw(&of_alice);
    tell();
    ck_assert_uint_eq(senders_of(SENDERS_OF_IP, "192.0.2.1", senders, countof(senders)), 1);
    ck_assert_int_eq(senders[0].last_ms - first_ms, HOUR_MS);
    end();
}
END_TEST

/* More than a bundle holds. */
START_TEST(test_many_mailboxes)
{
    enum { MANY = 3 * OBSERVATIONS_MAX / 2 };
    begin(_i);
    struct sender *senders = arena_alloc(arena, (MANY + 1) * sizeof *senders);
    struct submission submission = rig_submission("many");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    for (int i = 0; i < MANY; i++) {
        rig_mailbox(&submission, arena_printf(arena, "m%d@example.test", i));
        saw(&verdict);
    }
    tell();
    ck_assert_uint_eq(senders_of(SENDERS_OF_IP, "192.0.2.1", senders, MANY + 1), MANY);
    end();
}
END_TEST

/* ---- nearly full -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum rule rule;
    int32_t limit;
    uint64_t used;
    const char *key; /* NULL: not near */
} nears[] = {
    {"one below", RULE_MESSAGES_PER_DAY, 600, 479, NULL},
    {"four fifths", RULE_MESSAGES_PER_DAY, 600, 480, ALICE},
    {"over", RULE_OFF_DOMAIN_PER_DAY, 1000, 1200, ALICE},
    {"of an IP", RULE_OFF_DOMAIN_PER_HOUR_PER_IP, 5, 4, "192.0.2.1"},
    {"of a domain", RULE_MESSAGES_PER_HOUR_PER_DOMAIN, 5, 4, "@example.test"},
    {"off", RULE_MESSAGES_PER_HOUR, LIMIT_OFF, 1000, NULL},
    {"forbidden", RULE_MESSAGES_PER_HOUR, 0, 0, NULL},
};

START_TEST(test_near)
{
    size_t number = (size_t)_i / BACKEND_KINDS;
    begin(_i % BACKEND_KINDS);
    struct near_limit near[4];
    struct store_page page = {.max = countof(near)};
    struct submission submission = rig_submission("near");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    verdict.windows[0] = (struct verdict_window){.rule = nears[number].rule,
                                                 .limit = nears[number].limit,
                                                 .used = nears[number].used};
    verdict.window_count = 1;
    verdict.domain_key = "@example.test";
    saw(&verdict);
    saw(&verdict);
    tell();
    ck_assert_int_eq(store_near(store, now_ms, near, &page), 1);
    ck_assert_msg(page.count == (nears[number].key != NULL), "%s: %zu", nears[number].name,
                  page.count);
    if (page.count == 1) {
        ck_assert_str_eq(near[0].key, nears[number].key);
        ck_assert_int_eq(near[0].rule, nears[number].rule);
        ck_assert_int_eq(near[0].at_ms, now_ms);
    }
    end();
}
END_TEST

/* ---- a silent store --------------------------------------------------------------------------- */

/* Nothing is there to be told to; later there is. */
START_TEST(test_away)
{
    begin(BACKEND_SQLITE);
    const char *place = arena_printf(arena, "%s/later-%d", folder, (int)getpid());
    struct store *away =
        backend_open(arena_printf(arena, "sqlite://%s/sendguard.db", place), TEST_TIMEOUT_MS);
    struct recorder *patient = recorder_start(away);
    struct submission submission = rig_submission("away");
    struct verdict verdict = verdict_on(&submission, VERDICT_NO_STORE);
    for (int i = 0; i < 5; i++) {
        recorder_judged(patient, &verdict, -1, 1);
        ck_assert_int_eq(recorder_flush(patient, now_ms), -1);
    }
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert_msg(recorder_flush(patient, now_ms) == 1, "%s", store_error(away));
    ck_assert_uint_eq(counted_in(away, "decisions channel=webmail verdict=no_store"), 5);
    recorder_stop(&patient);
    store_free(&away);
    end();
}
END_TEST

/* A server that hangs carries out late what it was told: once at most, however often it was asked. */
START_TEST(test_hanging)
{
    begin(BACKEND_REDIS);
    struct store *slow = backend_open(redis.url, 100);
    struct recorder *patient = recorder_start(slow);
    struct submission submission = rig_submission("hanging");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    redis_server_freeze(&redis);
    recorder_judged(patient, &verdict, 1, 1);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_flush(patient, now_ms), -1);
    redis_server_thaw(&redis);
    while (recorder_flush(patient, now_ms) < 1)
        ;
    uint64_t count = counted_in(store, "decisions channel=webmail verdict=admit");
    ck_assert_msg(count == 1 || count == 2, "counted %d times", (int)count);
    recorder_stop(&patient);
    store_free(&slow);
    end();
}
END_TEST

/* Who ends tells what is left first. */
START_TEST(test_stop)
{
    begin(_i);
    struct submission submission = rig_submission("stop");
    struct verdict verdict = verdict_on(&submission, VERDICT_ADMIT);
    saw(&verdict);
    end();
    ck_assert_ptr_null(recorder);
    recorder_stop(&recorder);
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=admit"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recorder");
    TCase *cases = backends_case(suite, "recorder");
    tcase_add_loop_test(cases, test_words, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_dry_run, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_unusual, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_bypassed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_webmail_host_is_no_sender, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_rules, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspensions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_times, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_user_locks, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_threads, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observed_senders, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_mailboxes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_near, 0, (int)countof(nears) * BACKEND_KINDS);
    tcase_add_test(cases, test_away);
    tcase_add_test(cases, test_hanging);
    tcase_add_loop_test(cases, test_stop, 0, BACKEND_KINDS);
    return backends_run(suite);
}
