/* Observations: written in bundles, read by staff, in both backends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/observations.h"
#include "tests/unit/store/backends.h"

#define DOMAIN "example.test"
#define ALICE "alice@" DOMAIN
#define BOB "bob@" DOMAIN
#define IP "192.0.2.1"

static void observe(const struct observations *seen, int64_t now_ms)
{
    ck_assert_msg(store_observe(store, seen, now_ms) == 1, "%s", store_error(store));
}

static void saw(const char *mailbox, const char *ip, int64_t at_ms)
{
    struct observed_sender observed = {
        .mailbox = mailbox, .domain = strchr(mailbox, '@') + 1, .ip = ip, .at_ms = at_ms};
    observe(&(struct observations){.senders = &observed, .sender_count = 1}, at_ms);
}

static void count(const char *name, uint64_t more)
{
    struct counter counter = {.value = more};
    snprintf(counter.name, sizeof counter.name, "%s", name);
    observe(&(struct observations){.counters = &counter, .counter_count = 1}, NOW);
}

/* The mailboxes of a page, with spaces between. */
static const char *senders_of(enum sender_of of, const char *key, const char *after,
                              int64_t now_ms, size_t max)
{
    struct sender senders[16];
    struct store_page page = {.max = max};
    ck_assert_uint_le(max, countof(senders));
    ck_assert_msg(store_senders(store, of, key, after, now_ms, senders, &page) == 1, "%s",
                  store_error(store));
    const char *names = "";
    for (size_t i = 0; i < page.count; i++)
        names = arena_printf(arena, "%s%s%s", names, i > 0 ? " " : "", senders[i].mailbox);
    return names;
}

/* ---- senders ------------------------------------------------------------------------- */

START_TEST(test_senders)
{
    backend_begin(_i);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", NOW, 8), "");
    saw(BOB, IP, NOW);
    saw(ALICE, IP, NOW);
    saw(ALICE, "192.0.2.2", NOW);
    saw("carol@other.test", IP, NOW);
    saw("dave@" DOMAIN, NULL, NOW);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", NOW, 8), ALICE " " BOB " carol@other.test");
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, "192.0.2.2", "", NOW, 8), ALICE);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, "", "", NOW, 8), "");
    ck_assert_str_eq(senders_of(SENDERS_OF_DOMAIN, DOMAIN, "", NOW, 8),
                     ALICE " " BOB " dave@" DOMAIN);
    ck_assert_str_eq(senders_of(SENDERS_OF_DOMAIN, "other.test", "", NOW, 8), "carol@other.test");
    ck_assert_str_eq(senders_of(SENDERS_OF_DOMAIN, "test", "", NOW, 8), "");
    /* pages */
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", NOW, 2), ALICE " " BOB);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, BOB, NOW, 2), "carol@other.test");
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "b", NOW, 1), BOB);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "carol@other.test", NOW, 2), "");
}
END_TEST

static int64_t last_seen(const char *ip, int64_t now_ms)
{
    struct sender sender;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_senders(store, SENDERS_OF_IP, ip, "", now_ms, &sender, &page), 1);
    return page.count == 1 ? sender.last_ms : -1;
}

START_TEST(test_sender_seen_again)
{
    backend_begin(_i);
    int64_t later_ms = NOW + 3 * HOUR_MS;
    saw(ALICE, IP, NOW);
    ck_assert_int_le(llabs(last_seen(IP, NOW) - NOW), HOUR_MS);
    saw(ALICE, IP, later_ms);
    saw(ALICE, IP, NOW + HOUR_MS); /* a bundle that came late */
    ck_assert_int_le(llabs(last_seen(IP, later_ms) - later_ms), HOUR_MS);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", later_ms, 8), ALICE);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", later_ms + DAY_MS - HOUR_MS - 1, 8), ALICE);
}
END_TEST

START_TEST(test_senders_of_a_day)
{
    backend_begin(_i);
    saw(ALICE, IP, NOW);
    saw(BOB, IP, NOW + 1);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", NOW + DAY_MS - 1, 8), ALICE " " BOB);
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", NOW + DAY_MS, 8), BOB);
    ck_assert_str_eq(senders_of(SENDERS_OF_DOMAIN, DOMAIN, "", NOW + DAY_MS, 8), BOB);
    ck_assert_str_eq(senders_of(SENDERS_OF_DOMAIN, DOMAIN, "", NOW + DAY_MS + 1, 8), "");
    saw("carol@" DOMAIN, IP, NOW + 2 * DAY_MS);
    ck_assert_int_eq(store_sweep(store, NOW + 2 * DAY_MS), 1);
    ck_assert_str_eq(senders_of(SENDERS_OF_DOMAIN, DOMAIN, "", NOW + 2 * DAY_MS, 8),
                     "carol@" DOMAIN);
}
END_TEST

/* ---- windows near their limit --------------------------------------------------------------- */

static void near(enum rule rule, const char *key, int64_t at_ms)
{
    struct near_limit near = {.rule = rule, .at_ms = at_ms};
    snprintf(near.key, sizeof near.key, "%s", key);
    observe(&(struct observations){.nears = &near, .near_count = 1}, at_ms);
}

/* "RULE KEY" of each, with commas between. */
static const char *nears(int64_t now_ms, size_t max)
{
    struct near_limit found[16];
    struct store_page page = {.max = max};
    ck_assert_uint_le(max, countof(found));
    ck_assert_msg(store_near(store, now_ms, found, &page) == 1, "%s", store_error(store));
    const char *text = "";
    for (size_t i = 0; i < page.count; i++)
        text = arena_printf(arena, "%s%s%s %s", text, i > 0 ? "," : "",
                            rule_table[found[i].rule].name, found[i].key);
    return text;
}

START_TEST(test_near)
{
    backend_begin(_i);
    ck_assert_str_eq(nears(NOW, 8), "");
    near(RULE_MESSAGES_PER_DAY, ALICE, NOW);
    near(RULE_OFF_DOMAIN_PER_DAY, ALICE, NOW + 1);
    near(RULE_OFF_DOMAIN_PER_HOUR_PER_IP, IP, NOW + 2);
    ck_assert_str_eq(nears(NOW + 2, 8), "off_domain_per_hour_per_ip " IP
                                        ",off_domain_per_day " ALICE ",messages_per_day " ALICE);
    near(RULE_MESSAGES_PER_DAY, ALICE, NOW + 3);
    ck_assert_str_eq(nears(NOW + 3, 2),
                     "messages_per_day " ALICE ",off_domain_per_hour_per_ip " IP);
    near(RULE_MESSAGES_PER_DAY, ALICE, NOW); /* a bundle that came late */
    ck_assert_str_eq(nears(NOW + 3, 1), "messages_per_day " ALICE);
    struct near_limit found;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_near(store, NOW + 3, &found, &page), 1);
    ck_assert_int_eq(found.at_ms, NOW + 3);
}
END_TEST

/* Each as long as its own window. */
START_TEST(test_near_ends)
{
    backend_begin(_i);
    near(RULE_MESSAGES_PER_DAY, ALICE, NOW);
    near(RULE_MESSAGES_PER_HOUR, BOB, NOW + 1);
    ck_assert_str_eq(nears(NOW + HOUR_MS, 8), "messages_per_hour " BOB ",messages_per_day " ALICE);
    ck_assert_str_eq(nears(NOW + HOUR_MS + 1, 8), "messages_per_day " ALICE);
    ck_assert_str_eq(nears(NOW + DAY_MS - 1, 8), "messages_per_day " ALICE);
    ck_assert_str_eq(nears(NOW + DAY_MS, 8), "");
}
END_TEST

/* What has ended among the newest leaves the place to others. */
START_TEST(test_near_passes_over_ended)
{
    enum { HOURLY = 400 };
    backend_begin(_i);
    near(RULE_MESSAGES_PER_DAY, ALICE, NOW);
    for (int i = 0; i < HOURLY; i++)
        near(RULE_MESSAGES_PER_HOUR, arena_printf(arena, "m%d@" DOMAIN, i), NOW + 1 + i);
    ck_assert_str_eq(nears(NOW + HOUR_MS + HOURLY, 1),
                     arena_printf(arena, "messages_per_day %s", ALICE));
}
END_TEST

/* ---- counters -------------------------------------------------------------------------------- */

static uint64_t counted(const char *name)
{
    struct counter counters[64];
    struct store_page page = {.max = countof(counters)};
    ck_assert_int_eq(store_counters(store, "", counters, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(counters[i].name, name) == 0)
            return counters[i].value;
    return 0;
}

START_TEST(test_counters)
{
    backend_begin(_i);
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=admit"), 0);
    count("decisions channel=webmail verdict=admit", 3);
    count("decisions channel=webmail verdict=admit", 39);
    count("decisions channel=smtp verdict=admit", 1);
    count("judge_us_sum channel=webmail", UINT64_C(1) << 52);
    count("judge_us_sum channel=webmail", 1);
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=admit"), 42);
    ck_assert_uint_eq(counted("decisions channel=smtp verdict=admit"), 1);
    ck_assert_uint_eq(counted("judge_us_sum channel=webmail"), (UINT64_C(1) << 52) + 1);
    ck_assert_uint_eq(counted("decisions"), 0);
    ck_assert_int_eq(store_sweep(store, NOW + 1000 * DAY_MS), 1);
    ck_assert_uint_eq(counted("decisions channel=webmail verdict=admit"), 42);
}
END_TEST

START_TEST(test_counters_in_pages)
{
    struct counter page[3];
    struct store_page told = {.max = countof(page)};
    backend_begin(_i);
    static const char *const names[] = {"b", "a z", "B", "a", "c"};
    for (size_t i = 0; i < countof(names); i++)
        count(names[i], i + 1);
    char longest[COUNTER_NAME_SIZE];
    memset(longest, 'z', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    count(longest, 7);
    ck_assert_int_eq(store_counters(store, "", page, &told), 1);
    ck_assert_uint_eq(told.count, 3);
    ck_assert_str_eq(page[0].name, "B");
    ck_assert_str_eq(page[1].name, "a");
    ck_assert_str_eq(page[2].name, "a z");
    ck_assert_uint_eq(page[2].value, 2);
    ck_assert_int_eq(store_counters(store, "a z", page, &told), 1);
    ck_assert_uint_eq(told.count, 3);
    ck_assert_str_eq(page[0].name, "b");
    ck_assert_str_eq(page[2].name, longest);
    ck_assert_int_eq(store_counters(store, longest, page, &told), 1);
    ck_assert_uint_eq(told.count, 0);
}
END_TEST

/* ---- bundles --------------------------------------------------------------------------------- */

/* A bundle with `number` of each kind, for mailboxes of `domain`. As store_observe. */
static int observe_many(size_t number, const char *domain, int64_t now_ms)
{
    struct observed_sender *observed = arena_alloc(arena, number * sizeof *observed);
    struct near_limit *near_limits = arena_alloc(arena, number * sizeof *near_limits);
    struct counter *counters = arena_alloc(arena, number * sizeof *counters);
    for (size_t i = 0; i < number; i++) {
        observed[i] = (struct observed_sender){
            .mailbox = arena_printf(arena, "m%03zu@%s", i, domain),
            .domain = domain,
            .ip = IP,
            .at_ms = now_ms,
        };
        near_limits[i] = (struct near_limit){.rule = RULE_MESSAGES_PER_DAY, .at_ms = now_ms};
        snprintf(near_limits[i].key, sizeof near_limits[i].key, "%s", observed[i].mailbox);
        snprintf(counters[i].name, sizeof counters[i].name, "counter %03zu",
                 i % (OBSERVATIONS_MAX / 2));
        counters[i].value = i;
    }
    return store_observe(store,
                         &(struct observations){.senders = observed,
                                                .nears = near_limits,
                                                .counters = counters,
                                                .sender_count = number,
                                                .near_count = number,
                                                .counter_count = number},
                         now_ms);
}

START_TEST(test_largest_bundle)
{
    static struct sender senders[OBSERVATIONS_MAX + 1];
    static struct near_limit near_limits[OBSERVATIONS_MAX + 1];
    struct store_page page = {.max = countof(senders)};
    backend_begin(_i);
    ck_assert_msg(observe_many(OBSERVATIONS_MAX, DOMAIN, NOW) == 1, "%s", store_error(store));
    ck_assert_int_eq(store_senders(store, SENDERS_OF_DOMAIN, DOMAIN, "", NOW, senders, &page), 1);
    ck_assert_uint_eq(page.count, OBSERVATIONS_MAX);
    for (size_t i = 0; i < page.count; i++)
        ck_assert_str_eq(senders[i].mailbox, arena_printf(arena, "m%03zu@" DOMAIN, i));
    page.max = countof(near_limits);
    ck_assert_int_eq(store_near(store, NOW, near_limits, &page), 1);
    ck_assert_uint_eq(page.count, OBSERVATIONS_MAX);
    ck_assert_uint_eq(counted("counter 005"),
                      5 + 5 + OBSERVATIONS_MAX / 2); /* twice in the bundle */
}
END_TEST

START_TEST(test_bundle_is_one_step)
{
    struct store_page page = {.max = 1};
    struct near_limit near_limit;
    backend_begin(_i);
    ck_assert_int_eq(observe_many(OBSERVATIONS_MAX + 1, DOMAIN, NOW), -1);
    ck_assert_str_ne(store_error(store), "");
    ck_assert_str_eq(senders_of(SENDERS_OF_IP, IP, "", NOW, 1), "");
    ck_assert_int_eq(store_near(store, NOW, &near_limit, &page), 1);
    ck_assert_uint_eq(page.count, 0);
    ck_assert_uint_eq(counted("counter 005"), 0);
    observe(&(struct observations){0}, NOW); /* an empty bundle */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store observations");
    TCase *cases = backends_case(suite, "observations");
    tcase_add_loop_test(cases, test_senders, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sender_seen_again, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_senders_of_a_day, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_near, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_near_ends, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_near_passes_over_ended, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counters, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counters_in_pages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_largest_bundle, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_bundle_is_one_step, 0, BACKEND_KINDS);
    return backends_run(suite);
}
