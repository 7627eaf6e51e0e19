/* What monitoring reads: metrics, alive and ready. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "guard/recorder.h"
#include "store/audit.h"
#include "store/observations.h"
#include "store/store.h"
#include "store/suspensions.h"
#include "store/values.h"
#include "tests/unit/guard/guard_rig.h"
#include "web/web.h"

static struct web web;
static struct raw_request raw;
static struct http_response response;

static void begin_web(int backend)
{
    rig_begin(backend, DEFAULTS);
    web = (struct web){.desk = {.store = store, .guard = guard, .key = token_key}, .key = token_key};
    raw = (struct raw_request){.method = "GET", .peer = "127.0.0.1"};
}

static void end_web(void)
{
    http_response_free(&response);
}

/* The status; the body is in `response`. */
static int get_at(const char *path, int64_t now_ms)
{
    http_response_free(&response);
    raw.url = path;
    web_answer(&web, &raw, NULL, arena, now_ms, &response);
    return response.status;
}

static int get(const char *path) { return get_at(path, NOW); }

static const char *header(const char *name)
{
    for (size_t i = 0; i < response.header_count; i++)
        if (strcmp(response.headers[i].name, name) == 0)
            return response.headers[i].value;
    return "";
}

/* The value of a series as it is written, NULL when it is not there. */
static const char *series(const char *name)
{
    const char *line = text_string(&response.body);
    size_t length = strlen(name);
    while (line != NULL && *line != '\0') {
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return arena_strndup(arena, line + length + 1, strcspn(line + length + 1, "\n"));
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return NULL;
}

static void check_series(const char *name, const char *value)
{
    const char *found = series(name);
    ck_assert_msg(found != NULL, "%s is not there", name);
    ck_assert_msg(strcmp(found, value) == 0, "%s is %s", name, found);
}

static void count(const char *name, uint64_t value)
{
    struct counter counter = {.value = value};
    snprintf(counter.name, sizeof counter.name, "%s", name);
    const struct observations told = {.counters = &counter, .counter_count = 1};
    ck_assert_int_eq(store_observe(store, &told, NOW), 1);
}

/* ---- the format --------------------------------------------------------------------------- */

static size_t name_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz_");
}

/* "{name="value",…}": its length, 0 when it is none. Values here need no escapes. */
static size_t labels_length(const char *text)
{
    const char *at = text;
    do {
        size_t name = name_length(++at);
        if (name == 0 || strncmp(at + name, "=\"", 2) != 0)
            return 0;
        at += name + 2;
        at += strcspn(at, "\"\\\n");
        if (*at++ != '"')
            return 0;
    } while (*at == ',');
    return *at == '}' ? (size_t)(at + 1 - text) : 0;
}

/* One sample of the family that # TYPE named last. */
static void check_sample(const char *line, const char *family)
{
    size_t name = name_length(line), labels = 0;
    char *end;
    ck_assert_msg(strncmp(line, family, strlen(family)) == 0, "%.80s is no %s", line, family);
    if (line[name] == '{') {
        labels = labels_length(line + name);
        ck_assert_msg(labels > 0, "%.80s", line);
    }
    ck_assert_msg(line[name + labels] == ' ', "%.80s", line);
    strtod(line + name + labels + 1, &end);
    ck_assert_msg(*end == '\n', "%.80s", line);
}

static void check_format(void)
{
    char family[64] = "none";
    const char *line = text_string(&response.body);
    size_t families = 0;
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert_ptr_nonnull(strchr(line, '\n'));
        if (strncmp(line, "# HELP ", 7) == 0)
            continue;
        if (strncmp(line, "# TYPE ", 7) == 0) {
            snprintf(family, sizeof family, "%.*s", (int)name_length(line + 7), line + 7);
            families++;
        } else {
            check_sample(line, family);
        }
    }
    ck_assert_uint_eq(families, 52);
}

/* ---- metrics ------------------------------------------------------------------------------ */

START_TEST(test_fresh)
{
    begin_web(_i);
    ck_assert_int_eq(get("/metrics"), 200);
    ck_assert_str_eq(response.type, "text/plain; version=0.0.4; charset=utf-8");
    check_format();
    check_series("sendguard_store_up", "1");
    check_series("sendguard_build_info{version=\"" SENDGUARD_VERSION "\"}", "1");
    check_series("sendguard_decisions_total{channel=\"smtp\",verdict=\"over_time\"}", "0");
    check_series("sendguard_suspended_mailboxes{cause=\"volume\"}", "0");
    check_series("sendguard_blocked_domains", "0");
    check_series("sendguard_blocked_mailboxes", "0");
    check_series("sendguard_outages", "0");
    check_series("sendguard_busiest_window_ratio{rule=\"messages_per_day\"}", "0.000");
    end_web();
}
END_TEST

START_TEST(test_counters)
{
    begin_web(_i);
    count("decisions channel=webmail verdict=admit", 41);
    count("decisions channel=webmail verdict=admit", 1);
    count("refusals channel=smtp rule=messages_per_day", 3);
    count("store_failures channel=webmail", 4);
    count("emergency_told", 3);
    count("suspensions cause=volume", 5);
    count("user_locks", 6);
    count("login_blocks rule=mailboxes_per_ip", 9);
    count("login_refusals", 10);
    count("login_alarm_seconds", 11);
    count("login_locks by=user", 12);
    count("login_lock_refusals", 13);
    count("login_questions stage=after", 14);
    count("parked_messages result=sent", 16);
    count("session_ends result=failed", 12);
    count("bypassed channel=smtp", 8);
    count("from_unknown channel=smtp", 15);
    count("bypassed day=2025-11-22", 8);
    count("something=else altogether", 7);
    ck_assert_int_eq(get("/metrics"), 200);
    check_format();
    check_series("sendguard_decisions_total{channel=\"webmail\",verdict=\"admit\"}", "42");
    check_series("sendguard_refusals_total{channel=\"smtp\",rule=\"messages_per_day\"}", "3");
    check_series("sendguard_refusals_total{channel=\"webmail\",rule=\"messages_per_day\"}", "0");
    check_series("sendguard_store_failures_total{channel=\"webmail\"}", "4");
    check_series("sendguard_emergency_told_total", "3");
    check_series("sendguard_suspensions_total{cause=\"volume\"}", "5");
    check_series("sendguard_user_locks_total", "6");
    check_series("sendguard_login_blocks_total{rule=\"mailboxes_per_ip\"}", "9");
    check_series("sendguard_login_refusals_total", "10");
    check_series("sendguard_login_alarm_seconds_total", "11");
    check_series("sendguard_login_locks_total{by=\"user\"}", "12");
    check_series("sendguard_login_lock_refusals_total", "13");
    check_series("sendguard_login_questions_total{stage=\"after\"}", "14");
    check_series("sendguard_parked_messages_total{result=\"sent\"}", "16");
    check_series("sendguard_parked_messages_total{result=\"cancelled\"}", "0");
    check_series("sendguard_session_ends_total{result=\"failed\"}", "12");
    check_series("sendguard_session_ends_total{result=\"ended\"}", "0");
    check_series("sendguard_bypassed_total{channel=\"smtp\"}", "8");
    check_series("sendguard_bypassed_total{channel=\"webmail\"}", "0");
    check_series("sendguard_from_unknown_total{channel=\"smtp\"}", "15");
    check_series("sendguard_decisions_total{channel=\"smtp\",verdict=\"redeemed\"}", "0");
    end_web();
}
END_TEST

/* What the recorder tells is found again under every one of its names. */
START_TEST(test_of_the_recorder)
{
    begin_web(_i);
    struct recorder *recorder = recorder_start(store);
    struct submission submission = rig_message("observed", 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    recorder_judged(recorder, &verdict, 1, 300);
    recorder_judged(recorder, &verdict, 1, 2000000);
    ck_assert_int_eq(recorder_flush(recorder, clock_wall_ms()), 1);
    recorder_stop(&recorder);
    ck_assert_int_eq(get("/metrics"), 200);
    check_series("sendguard_decisions_total{channel=\"webmail\",verdict=\"admit\"}", "2");
    check_series("sendguard_judge_seconds_bucket{channel=\"webmail\",le=\"0.000250\"}", "0");
    check_series("sendguard_judge_seconds_bucket{channel=\"webmail\",le=\"0.000500\"}", "1");
    check_series("sendguard_judge_seconds_bucket{channel=\"webmail\",le=\"1.000000\"}", "1");
    check_series("sendguard_judge_seconds_bucket{channel=\"webmail\",le=\"+Inf\"}", "2");
    check_series("sendguard_judge_seconds_count{channel=\"webmail\"}", "2");
    check_series("sendguard_judge_seconds_sum{channel=\"webmail\"}", "2.000300");
    end_web();
}
END_TEST

static void suspend(const char *mailbox, enum cause cause)
{
    const struct durations day = {.count = 1, .ms = {DAY_MS}};
    const struct action action = action_at(NOW);
    struct suspension suspension;
    ck_assert_int_eq(store_suspend(store, mailbox, cause, &day, &action, &suspension), 1);
}

/* More mailboxes than a page of the store; counted anew after a second, not before. */
START_TEST(test_suspended)
{
    begin_web(_i);
    for (int i = 0; i < 250; i++)
        suspend(arena_printf(arena, "m%d@example.test", i), CAUSE_VOLUME);
    suspend(ALICE, CAUSE_COMPROMISED);
    get_at("/metrics", NOW);
    check_series("sendguard_suspended_mailboxes{cause=\"volume\"}", "250");
    check_series("sendguard_suspended_mailboxes{cause=\"compromised\"}", "1");
    suspend(BOB, CAUSE_COMPROMISED);
    get_at("/metrics", NOW + SECOND_MS - 1);
    check_series("sendguard_suspended_mailboxes{cause=\"compromised\"}", "1");
    get_at("/metrics", NOW + SECOND_MS);
    check_series("sendguard_suspended_mailboxes{cause=\"compromised\"}", "2");
    get_at("/metrics", NOW + DAY_MS);
    check_series("sendguard_suspended_mailboxes{cause=\"volume\"}", "0");
    end_web();
}
END_TEST

static void tell_near(enum rule rule, const char *key)
{
    struct near_limit near = {.rule = rule, .at_ms = NOW};
    snprintf(near.key, sizeof near.key, "%s", key);
    const struct observations told = {.nears = &near, .near_count = 1};
    ck_assert_int_eq(store_observe(store, &told, NOW), 1);
}

/* The fullest is told as it is now, and nobody's name. */
START_TEST(test_near)
{
    begin_web(_i);
    rig_reload(WITH("limits.webmail.messages_per_day=10"));
    rig_send("near", 9, NOW - MINUTE_MS, 1);
    tell_near(RULE_MESSAGES_PER_DAY, ALICE);
    tell_near(RULE_MESSAGES_PER_DAY, BOB); /* has emptied since */
    get("/metrics");
    check_series("sendguard_windows_near_limit{rule=\"messages_per_day\"}", "1");
    check_series("sendguard_busiest_window_ratio{rule=\"messages_per_day\"}", "0.900");
    rig_check_has_not(text_string(&response.body), "alice");
    rig_check_has_not(text_string(&response.body), "192.0.2");
    end_web();
}
END_TEST

static void keep(enum value_kind kind, const char *key, const char *text)
{
    const struct value_change change = {
        .value = {.kind = kind, .key = key, .bytes = text, .length = strlen(text),
                  .until_ms = UNTIL_LIFTED},
        .replaces = VALUE_ANY};
    struct values_done *done = arena_alloc(arena, sizeof *done);
    ck_assert_int_eq(store_values_change(store, &(struct values_step){.changes = &change, .count = 1,
                                                                      .now_ms = NOW}, done), 1);
}

static void follow(const char *source, const char *cursor) { keep(VALUE_CURSOR, source, cursor); }

/* Of each log that is followed; none of them before. */
/* Of machines alone: what is known of a domain is none. */
START_TEST(test_spf)
{
    begin_web(_i);
    keep(VALUE_SPF, "bad.test", "{\"domain\":\"bad.test\",\"names_us\":false,\"not_named\":9}");
    get("/metrics");
    check_format();
    rig_check_has_not(text_string(&response.body), "host=");
    keep(VALUE_SPF, ".mx1", "{\"dns\":true,\"named\":3,\"not_named\":2,\"unknown\":1,"
                            "\"blocked\":1}");
    keep(VALUE_SPF, ".mx2", "{\"dns\":false}");
    get("/metrics");
    check_format();
    check_series("sendguard_spf_dns_up{host=\"mx1\"}", "1");
    check_series("sendguard_spf_dns_up{host=\"mx2\"}", "0");
    check_series("sendguard_spf_domains{host=\"mx1\",state=\"named\"}", "3");
    check_series("sendguard_spf_domains{host=\"mx1\",state=\"not_named\"}", "2");
    check_series("sendguard_spf_domains{host=\"mx1\",state=\"unknown\"}", "1");
    check_series("sendguard_spf_blocked_domains{host=\"mx1\"}", "1");
    check_series("sendguard_spf_blocked_domains{host=\"mx2\"}", "0");
    end_web();
}
END_TEST

START_TEST(test_feedback)
{
    begin_web(_i);
    get("/metrics");
    check_format();
    rig_check_has_not(text_string(&response.body), "source=");
    follow("mx1 journal", arena_printf(arena, "{\"log_ms\":%lld,\"read_ms\":%lld,\"lines\":7,"
                                       "\"messages\":6,\"outcomes\":5,\"refunds\":4,\"refunds_failed\":8,"
                                       "\"gaps\":3,\"malformed\":2,\"blocks\":9,"
                                       "\"blocks_ended\":10,\"outages\":11,\"suspensions\":12,"
                                       "\"recipients_blocked\":13,\"recipients_opened\":14,"
                                       "\"open\":1}", (long long)(NOW - HOUR_MS),
                                       (long long)(NOW - 90 * SECOND_MS)));
    follow("mx2 file:/a\\b\"c", "{}");
    get("/metrics");
    check_series("sendguard_feedback_lines_total{source=\"mx1 journal\"}", "7");
    check_series("sendguard_feedback_messages_total{source=\"mx1 journal\"}", "6");
    check_series("sendguard_feedback_outcomes_total{source=\"mx1 journal\"}", "5");
    check_series("sendguard_feedback_refunds_total{source=\"mx1 journal\"}", "4");
    check_series("sendguard_feedback_refunds_failed_total{source=\"mx1 journal\"}", "8");
    check_series("sendguard_feedback_gaps_total{source=\"mx1 journal\"}", "3");
    check_series("sendguard_feedback_malformed_total{source=\"mx1 journal\"}", "2");
    check_series("sendguard_feedback_blocks_total{source=\"mx1 journal\"}", "9");
    check_series("sendguard_feedback_blocks_ended_total{source=\"mx1 journal\"}", "10");
    check_series("sendguard_feedback_outages_total{source=\"mx1 journal\"}", "11");
    check_series("sendguard_feedback_suspensions_total{source=\"mx1 journal\"}", "12");
    check_series("sendguard_feedback_recipients_blocked_total{source=\"mx1 journal\"}", "13");
    check_series("sendguard_feedback_recipients_opened_total{source=\"mx1 journal\"}", "14");
    check_series("sendguard_feedback_open{source=\"mx1 journal\"}", "1");
    check_series("sendguard_feedback_lag_seconds{source=\"mx1 journal\"}", "90");
    check_series("sendguard_feedback_lines_total{source=\"mx2 file:/a\\\\b\\\"c\"}", "0");
    end_web();
}
END_TEST

/* ---- alive, ready, and for whom ------------------------------------------------------------ */

static const char *const paths[] = {"/metrics", "/healthz", "/readyz"};

START_TEST(test_strangers)
{
    begin_web(BACKEND_SQLITE);
    raw.peer = "192.0.2.1";
    for (size_t i = 0; i < countof(paths); i++) {
        ck_assert_int_eq(get(paths[i]), 404);
        rig_check_has_not(text_string(&response.body), "sendguard_");
    }
    end_web();
}
END_TEST

START_TEST(test_methods)
{
    begin_web(BACKEND_SQLITE);
    for (size_t i = 0; i < countof(paths); i++) {
        raw.method = "POST";
        ck_assert_int_eq(get(paths[i]), 405);
        ck_assert_str_eq(header("Allow"), "GET, HEAD");
    }
    end_web();
}
END_TEST

START_TEST(test_alive)
{
    begin_web(_i);
    ck_assert_int_eq(get("/healthz"), 200);
    ck_assert_str_eq(text_string(&response.body), "ok\n");
    ck_assert_int_eq(get("/readyz"), 200);
    raw.accept = "application/json";
    ck_assert_int_eq(get("/readyz"), 200);
    ck_assert_str_eq(response.type, "application/json");
    ck_assert_str_eq(text_string(&response.body), "{\"ready\":true,\"store\":\"answers\"}\n");
    end_web();
}
END_TEST

/* The metrics of a program whose store is away are not an error but say so. */
START_TEST(test_store_away)
{
    begin_web(BACKEND_SQLITE);
    struct store *away = backend_open("sqlite:///nowhere/at/all.db", 100);
    web.desk.store = away;
    ck_assert_int_eq(get("/healthz"), 200);
    ck_assert_int_eq(get("/readyz"), 503);
    raw.accept = "application/json";
    ck_assert_int_eq(get("/readyz"), 503);
    ck_assert_str_eq(text_string(&response.body),
                     "{\"ready\":false,\"store\":\"does not answer\"}\n");
    ck_assert_int_eq(get("/metrics"), 200);
    check_series("sendguard_store_up", "0");
    ck_assert_ptr_null(series("sendguard_user_locks_total"));
    end_web();
    store_free(&away);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *cases = rig_case(suite, "metrics");
    tcase_add_loop_test(cases, test_fresh, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counters, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_of_the_recorder, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspended, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_near, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_feedback, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_spf, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_strangers);
    tcase_add_test(cases, test_methods);
    tcase_add_loop_test(cases, test_alive, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_store_away);
    return backends_run(suite);
}
