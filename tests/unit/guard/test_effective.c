/* Limits that staff adjusted: which one holds, until when, and how soon. The
 * monotonic time is a parameter. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "guard/effective.h"
#include "store/adjustments.h"
#include "store/audit.h"
#include "store/records.h"
#include "store/store.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define EXAMPLE "example.test"

static int64_t monotonic_ms = 1000; /* moved on by tests */

static struct effective *effective;
static const struct settings defaults = {
    .limits[CHANNEL_WEBMAIL] = {{[RULE_RECIPIENTS_PER_MESSAGE] = 300,
                                 [RULE_RECIPIENTS_PER_FIELD] = 100,
                                 [RULE_RECIPIENTS_PER_DOMAIN] = 50,
                                 [RULE_HEADER_CHARS_PER_DOMAIN] = 0,
                                 [RULE_MESSAGES_PER_DAY] = 600,
                                 [RULE_OFF_DOMAIN_PER_DAY] = 1000,
                                 [RULE_OFF_DOMAIN_PER_HOUR_PER_IP] = 500,
                                 [RULE_MESSAGES_PER_HOUR] = LIMIT_OFF}}};

static const int32_t *const of_defaults = defaults.limits[CHANNEL_WEBMAIL].of;

static void begin(int backend)
{
    backend_begin(backend);
    effective = effective_new();
}

static void end(void)
{
    effective_free(&effective);
}

static void refresh(void)
{
    monotonic_ms += EFFECTIVE_FRESH_MS;
    ck_assert_msg(effective_refresh(effective, store, monotonic_ms) == 1, "%s", store_error(store));
}

static void set(struct store *through, const char *subject, enum rule rule,
                enum adjust_kind kind, int32_t value, int64_t until_ms)
{
    struct adjustment adjustment = {
        .rule = rule, .kind = kind, .value = value, .until_ms = until_ms};
    struct action action = action_at(NOW);
    strcpy(adjustment.subject, subject);
    ck_assert_msg(store_adjust(through, &adjustment, &action) == 1, "%s", store_error(through));
}

static void unset(struct store *through, const char *subject, enum rule rule,
                  enum adjust_kind kind)
{
    struct adjustment adjustment = {.rule = rule, .kind = kind, .removed = true};
    struct action action = action_at(NOW);
    strcpy(adjustment.subject, subject);
    ck_assert_msg(store_adjust(through, &adjustment, &action) == 1, "%s", store_error(through));
}

static struct effective_limits limits_at(int64_t now_ms)
{
    return effective_limits(effective, &defaults, CHANNEL_WEBMAIL, ALICE, EXAMPLE, now_ms);
}

static int32_t limit_of(enum rule rule) { return limits_at(NOW).limits.of[rule]; }

/* ---- which one holds ------------------------------------------------------------ */

enum { NONE = -99 };

static const struct {
    const char *name;
    enum rule rule; /* its default is in the table above */
    int32_t mailbox, domain, mailbox_extra, domain_extra;
    int32_t limit, extra;
    enum limit_source source;
} precedences[] = {
    {"nothing adjusted", RULE_MESSAGES_PER_DAY, NONE, NONE, NONE, NONE, 600, 0,
     LIMIT_OF_SETTINGS},
    {"domain beats settings", RULE_MESSAGES_PER_DAY, NONE, 700, NONE, NONE, 700, 0,
     LIMIT_OF_DOMAIN},
    {"mailbox beats settings", RULE_MESSAGES_PER_DAY, 5, NONE, NONE, NONE, 5, 0,
     LIMIT_OF_MAILBOX},
    {"mailbox beats domain", RULE_MESSAGES_PER_DAY, 5, 700, NONE, NONE, 5, 0, LIMIT_OF_MAILBOX},
    {"equal values", RULE_MESSAGES_PER_DAY, 600, 600, NONE, NONE, 600, 0, LIMIT_OF_MAILBOX},
    {"zero is a limit", RULE_MESSAGES_PER_DAY, 0, 700, NONE, NONE, 0, 0, LIMIT_OF_MAILBOX},
    {"off is a limit", RULE_MESSAGES_PER_DAY, LIMIT_OFF, 700, NONE, NONE, LIMIT_OFF, 0,
     LIMIT_OF_MAILBOX},
    {"on where settings say off", RULE_MESSAGES_PER_HOUR, 60, NONE, NONE, NONE, 60, 0,
     LIMIT_OF_MAILBOX},
    {"rules of one message too", RULE_RECIPIENTS_PER_DOMAIN, NONE, 51, NONE, NONE, 51, 0,
     LIMIT_OF_DOMAIN},
    {"extra of the mailbox", RULE_OFF_DOMAIN_PER_DAY, NONE, NONE, 250, NONE, 1250, 250,
     LIMIT_OF_SETTINGS},
    {"extra of the domain", RULE_OFF_DOMAIN_PER_DAY, NONE, NONE, NONE, 30, 1030, 30,
     LIMIT_OF_SETTINGS},
    {"extras of both", RULE_OFF_DOMAIN_PER_DAY, NONE, NONE, 250, 30, 1280, 280,
     LIMIT_OF_SETTINGS},
    {"extra on a limit of the mailbox", RULE_OFF_DOMAIN_PER_DAY, 10, 70, 250, 30, 290, 280,
     LIMIT_OF_MAILBOX},
    {"extra on a limit of the domain", RULE_OFF_DOMAIN_PER_DAY, NONE, 70, 250, NONE, 320, 250,
     LIMIT_OF_DOMAIN},
    {"extra on a limit of zero", RULE_HEADER_CHARS_PER_DOMAIN, NONE, NONE, 9, NONE, 9, 9,
     LIMIT_OF_SETTINGS},
    {"extra on off", RULE_MESSAGES_PER_HOUR, NONE, NONE, 250, NONE, LIMIT_OFF, 250,
     LIMIT_OF_SETTINGS},
    {"less by an extra", RULE_OFF_DOMAIN_PER_DAY, NONE, NONE, -250, NONE, 750, -250,
     LIMIT_OF_SETTINGS},
    {"no less than nothing", RULE_MESSAGES_PER_DAY, 5, NONE, -6, NONE, 0, -6, LIMIT_OF_MAILBOX},
    {"limit at its highest", RULE_MESSAGES_PER_DAY, LIMIT_MAX, NONE, NONE, NONE, LIMIT_MAX, 0,
     LIMIT_OF_MAILBOX},
    {"no limit above the highest", RULE_MESSAGES_PER_DAY, LIMIT_MAX, NONE, 1, NONE, LIMIT_MAX, 1,
     LIMIT_OF_MAILBOX},
    {"all at their highest", RULE_MESSAGES_PER_DAY, LIMIT_MAX, LIMIT_MAX, LIMIT_MAX, LIMIT_MAX,
     LIMIT_MAX, 2 * LIMIT_MAX, LIMIT_OF_MAILBOX},
};

START_TEST(test_precedence)
{
    typeof(precedences[0]) *one = &precedences[_i / BACKEND_KINDS];
    begin(_i % BACKEND_KINDS);
    if (one->mailbox != NONE)
        set(store, ALICE, one->rule, ADJUST_LIMIT, one->mailbox, UNTIL_LIFTED);
    if (one->domain != NONE)
        set(store, "@" EXAMPLE, one->rule, ADJUST_LIMIT, one->domain, UNTIL_LIFTED);
    if (one->mailbox_extra != NONE)
        set(store, ALICE, one->rule, ADJUST_EXTRA, one->mailbox_extra, UNTIL_LIFTED);
    if (one->domain_extra != NONE)
        set(store, "@" EXAMPLE, one->rule, ADJUST_EXTRA, one->domain_extra, UNTIL_LIFTED);
    refresh();
    struct effective_limits limits = limits_at(NOW);
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        bool ours = rule == (int)one->rule;
        ck_assert_msg(limits.limits.of[rule] == (ours ? one->limit : of_defaults[rule]),
                      "%s: %s is %d", one->name, rule_table[rule].name, limits.limits.of[rule]);
        ck_assert_msg(limits.source[rule] == (ours ? one->source : LIMIT_OF_SETTINGS), "%s: %s",
                      one->name, rule_table[rule].name);
        ck_assert_msg(limits.extra[rule] == (ours ? one->extra : 0), "%s: %s", one->name,
                      rule_table[rule].name);
    }
}
END_TEST

START_TEST(test_whose)
{
    begin(_i);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 1, UNTIL_LIFTED);
    set(store, "@" EXAMPLE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 2, UNTIL_LIFTED);
    refresh();
    static const struct {
        const char *mailbox, *domain;
        int32_t limit;
    } whose[] = {
        {ALICE, EXAMPLE, 1},
        {"bob@" EXAMPLE, EXAMPLE, 2},
        {"alice@mail." EXAMPLE, "mail." EXAMPLE, 600},
        {"alice@other.test", "other.test", 600},
        {"malice@" EXAMPLE, EXAMPLE, 2},
    };
    for (size_t i = 0; i < countof(whose); i++)
        ck_assert_int_eq(effective_limits(effective, &defaults, CHANNEL_WEBMAIL,
                                          whose[i].mailbox, whose[i].domain, NOW)
                             .limits.of[RULE_MESSAGES_PER_DAY],
                         whose[i].limit);
}
END_TEST

/* ---- plans -------------------------------------------------------------------------------- */

static void give(const char *subject, const char *plan, int64_t until_ms)
{
    struct adjustment adjustment = {.kind = ADJUST_PLAN, .until_ms = until_ms};
    struct action action = action_at(NOW);
    strcpy(adjustment.subject, subject);
    strcpy(adjustment.plan, plan);
    adjustment.removed = plan[0] == '\0';
    ck_assert_int_eq(store_adjust(store, &adjustment, &action), 1);
}

/* The defaults with plans "school", which says two limits, and "free", which says one. */
static struct effective_limits with_plans(int64_t now_ms)
{
    struct settings settings = defaults;
    settings.plan_count = 2;
    for (size_t i = 0; i < settings.plan_count; i++)
        for (int rule = 0; rule < RULE_COUNT; rule++)
            settings.plans[i].limits.of[rule] = PLAN_LIMIT_NONE;
    strcpy(settings.plans[0].name, "school");
    settings.plans[0].limits.of[RULE_MESSAGES_PER_DAY] = 1000;
    settings.plans[0].limits.of[RULE_OFF_DOMAIN_PER_DAY] = LIMIT_OFF;
    strcpy(settings.plans[1].name, "free");
    settings.plans[1].limits.of[RULE_MESSAGES_PER_DAY] = 7;
    refresh();
    return effective_limits(effective, &settings, CHANNEL_WEBMAIL, ALICE, EXAMPLE, now_ms);
}

static void check_plan(const struct effective_limits *limits, const char *name, int32_t messages,
                       enum limit_source source)
{
    ck_assert_str_eq(limits->plan.name, name);
    ck_assert_int_eq(limits->limits.of[RULE_MESSAGES_PER_DAY], messages);
    ck_assert_int_eq(limits->source[RULE_MESSAGES_PER_DAY], source);
}

START_TEST(test_plan)
{
    begin(_i);
    struct effective_limits limits = with_plans(NOW);
    check_plan(&limits, "", 600, LIMIT_OF_SETTINGS);
    give("@" EXAMPLE, "school", UNTIL_LIFTED);
    limits = with_plans(NOW);
    check_plan(&limits, "school", 1000, LIMIT_OF_PLAN);
    ck_assert(!limits.plan.of_mailbox && !limits.plan.is_lost);
    ck_assert_int_eq(limits.limits.of[RULE_OFF_DOMAIN_PER_DAY], LIMIT_OFF);
    ck_assert_int_eq(limits.limits.of[RULE_RECIPIENTS_PER_MESSAGE], 300);
    ck_assert_int_eq(limits.source[RULE_RECIPIENTS_PER_MESSAGE], LIMIT_OF_SETTINGS);
    give(ALICE, "free", NOW + 1000); /* goes before, whole: nothing of the domain's is left */
    limits = with_plans(NOW);
    check_plan(&limits, "free", 7, LIMIT_OF_PLAN);
    ck_assert(limits.plan.of_mailbox);
    ck_assert_int_eq(limits.until_ms[RULE_MESSAGES_PER_DAY], NOW + 1000);
    ck_assert_int_eq(limits.limits.of[RULE_OFF_DOMAIN_PER_DAY], 1000);
    limits = with_plans(NOW + 1000);
    check_plan(&limits, "school", 1000, LIMIT_OF_PLAN);
    set(store, "@" EXAMPLE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 50, UNTIL_LIFTED);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 3, UNTIL_LIFTED);
    limits = with_plans(NOW);
    check_plan(&limits, "free", 53, LIMIT_OF_DOMAIN); /* what staff set goes before any plan */
    give("@" EXAMPLE, "", UNTIL_LIFTED);
    give(ALICE, "", UNTIL_LIFTED);
    limits = with_plans(NOW);
    check_plan(&limits, "", 53, LIMIT_OF_DOMAIN);
}
END_TEST

/* One that the settings have no more gives nothing, nor does the domain's in its place. */
START_TEST(test_lost_plan)
{
    begin(_i);
    give("@" EXAMPLE, "school", UNTIL_LIFTED);
    give(ALICE, "gone", UNTIL_LIFTED);
    struct effective_limits limits = with_plans(NOW);
    check_plan(&limits, "gone", 600, LIMIT_OF_SETTINGS);
    ck_assert(limits.plan.is_lost && limits.plan.of_mailbox);
    struct adjustment known;
    ck_assert_int_eq(effective_adjustment(effective, ALICE, 0, ADJUST_PLAN, NOW, &known), 1);
    ck_assert_str_eq(known.plan, "gone");
}
END_TEST

/* ---- until when --------------------------------------------------------------------- */

START_TEST(test_end_by_itself)
{
    begin(_i);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, NOW + 1000);
    set(store, "@" EXAMPLE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 7, NOW + 3000);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 100, NOW + 2000);
    refresh();
    static const struct {
        int64_t at_ms;
        int32_t limit;
        enum limit_source source;
    } moments[] = {
        {NOW, 105, LIMIT_OF_MAILBOX},       {NOW + 999, 105, LIMIT_OF_MAILBOX},
        {NOW + 1000, 107, LIMIT_OF_DOMAIN}, {NOW + 1999, 107, LIMIT_OF_DOMAIN},
        {NOW + 2000, 7, LIMIT_OF_DOMAIN},   {NOW + 2999, 7, LIMIT_OF_DOMAIN},
        {NOW + 3000, 600, LIMIT_OF_SETTINGS},
    };
    for (size_t i = 0; i < countof(moments); i++) {
        struct effective_limits limits = limits_at(moments[i].at_ms);
        ck_assert_int_eq(limits.limits.of[RULE_MESSAGES_PER_DAY], moments[i].limit);
        ck_assert_int_eq(limits.source[RULE_MESSAGES_PER_DAY], moments[i].source);
    }
}
END_TEST

START_TEST(test_replaced_and_removed)
{
    begin(_i);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 100, UNTIL_LIFTED);
    set(store, ALICE, RULE_MESSAGES_PER_HOUR, ADJUST_LIMIT, 9, UNTIL_LIFTED);
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 105);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 6, UNTIL_LIFTED);
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 106);
    unset(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT);
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 700);
    unset(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA);
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 600);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_HOUR), 9);
    unset(store, ALICE, RULE_MESSAGES_PER_HOUR, ADJUST_LIMIT);
    unset(store, ALICE, RULE_MESSAGES_PER_HOUR, ADJUST_LIMIT); /* a second time is no fault */
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_HOUR), LIMIT_OFF);
}
END_TEST

/* ---- how soon ------------------------------------------------------------------------ */

/* Another process changes, this one asks: within EFFECTIVE_FRESH_MS it knows. */
START_TEST(test_through_another_handle)
{
    begin(_i);
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    refresh();
    set(other, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 5);
    unset(other, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT);
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 600);
    store_free(&other);
}
END_TEST

/* What was set before this process began is known from its first message on. */
START_TEST(test_known_at_start)
{
    begin(_i);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    ck_assert_int_eq(effective_refresh(effective, store, monotonic_ms), 1);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 5);
}
END_TEST

enum { MANY = 150 }; /* more than two pages of what the store tells at once */

static int32_t limit_of_number(int number)
{
    return effective_limits(effective, &defaults, CHANNEL_WEBMAIL,
                            arena_printf(arena, "user%d@" EXAMPLE, number),
                            EXAMPLE, NOW)
        .limits.of[RULE_MESSAGES_PER_DAY];
}

START_TEST(test_many)
{
    begin(_i);
    for (int i = 0; i < MANY; i++)
        set(store, arena_printf(arena, "user%d@" EXAMPLE, i), RULE_MESSAGES_PER_DAY,
            ADJUST_LIMIT, 1000 + i, UNTIL_LIFTED);
    refresh();
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(limit_of_number(i), 1000 + i);
    ck_assert_int_eq(limit_of_number(MANY), 600);
    for (int i = 0; i < MANY; i++)
        if (i % 2 == 0)
            unset(store, arena_printf(arena, "user%d@" EXAMPLE, i), RULE_MESSAGES_PER_DAY,
                  ADJUST_LIMIT);
        else
            set(store, arena_printf(arena, "user%d@" EXAMPLE, i), RULE_MESSAGES_PER_DAY,
                ADJUST_LIMIT, i, UNTIL_LIFTED);
    refresh();
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(limit_of_number(i), i % 2 == 0 ? 600 : i);
}
END_TEST

/* Pages that are exactly full: the next one is empty, and nothing is lost after it. */
START_TEST(test_full_pages)
{
    begin(_i);
    for (int i = 0; i < 128; i++)
        set(store, arena_printf(arena, "user%d@" EXAMPLE, i), RULE_MESSAGES_PER_DAY,
            ADJUST_LIMIT, i, UNTIL_LIFTED);
    refresh();
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    refresh();
    ck_assert_int_eq(limit_of_number(127), 127);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 5);
}
END_TEST

/* The store tells of removals for a day; who did not ask for longer begins anew. */
START_TEST(test_after_a_long_silence)
{
    begin(_i);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    set(store, "@" EXAMPLE, RULE_MESSAGES_PER_HOUR, ADJUST_LIMIT, 9, UNTIL_LIFTED);
    refresh();
    unset(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT);
    struct action action = action_at(NOW + 40 * DAY_MS); /* long after, all traces of it are swept */
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_int_eq(store_sweep(store, NOW + 40 * DAY_MS), 1);
    monotonic_ms += 40 * DAY_MS;
    refresh();
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 600);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_HOUR), 9);
}
END_TEST

/* No answer is no news: what was known goes on to hold, and changes are learnt later. */
START_TEST(test_store_away)
{
    begin(BACKEND_REDIS);
    char own_folder[FOLDER_SIZE];
    struct redis_server server;
    folder_make(own_folder);
    redis_server_start(&server, own_folder, NULL, NULL);
    struct store *own = backend_open(server.url, TEST_TIMEOUT_MS);
    set(own, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    ck_assert_int_eq(effective_refresh(effective, own, monotonic_ms), 1);
    redis_server_stop(&server);
    monotonic_ms += EFFECTIVE_FRESH_MS;
    ck_assert_int_eq(effective_refresh(effective, own, monotonic_ms), -1);
    ck_assert_str_ne(store_error(own), "");
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 5);
    redis_server_start(&server, own_folder, NULL, NULL);
    ck_assert_int_eq(effective_refresh(effective, own, monotonic_ms), 1);
    redis_server_stop(&server);
    store_free(&own);
    folder_remove(own_folder);
}
END_TEST

/* What a newer sendguard put into the same store is passed over, not taken for something else. */
START_TEST(test_of_a_newer_version)
{
    static const char put[] =
        "INSERT INTO adjustment (change, subject, rule, kind, removed, value, until_ms, at_ms)"
        " VALUES (1001, '" ALICE "', 'messages_per_day', 2, 0, 0, 9223372036854775807, 0),"
        " (1002, '" ALICE "', 'messages_per_day', -1, 0, 0, 9223372036854775807, 0),"
        " (1003, '" ALICE "', 'messages_per_year', 0, 0, 0, 9223372036854775807, 0)";
    begin(BACKEND_SQLITE);
    set(store, ALICE, RULE_MESSAGES_PER_HOUR, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, put, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    set(store, "@" EXAMPLE, RULE_MESSAGES_PER_HOUR, ADJUST_EXTRA, 1, UNTIL_LIFTED);
    refresh();
    struct effective_limits limits = limits_at(NOW);
    for (int rule = 0; rule < RULE_COUNT; rule++)
        ck_assert_int_eq(limits.limits.of[rule],
                         rule == RULE_MESSAGES_PER_HOUR ? 6 : of_defaults[rule]);
}
END_TEST

START_TEST(test_longest_mailbox)
{
    enum { LOCAL = 64, DOMAIN = ADDRESS_MAX_BYTES - LOCAL - 1 };
    char mailbox[ADDRESS_MAX_BYTES + 1] = "", *domain = mailbox + LOCAL + 1;
    memset(mailbox, 'a', LOCAL);
    mailbox[LOCAL] = '@';
    memset(domain, 'd', DOMAIN);
    for (size_t i = 60; i < DOMAIN; i += 61)
        domain[i] = '.';
    ck_assert_uint_eq(strlen(mailbox), ADDRESS_MAX_BYTES);
    begin(_i);
    set(store, mailbox, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    refresh();
    ck_assert_int_eq(effective_limits(effective, &defaults, CHANNEL_WEBMAIL, mailbox, domain, NOW)
                         .limits.of[RULE_MESSAGES_PER_DAY],
                     5);
}
END_TEST

/* At once for who made it, whatever the clock says. */
START_TEST(test_outdate)
{
    begin(_i);
    refresh();
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    effective_outdate(effective);
    ck_assert_int_eq(effective_refresh(effective, store, monotonic_ms), 1);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 5);
}
END_TEST

static struct effective_limits limits_if(const struct adjustment *changes, size_t count)
{
    return effective_limits_if(effective, &defaults, CHANNEL_WEBMAIL, ALICE, EXAMPLE,
                               changes, count, NOW);
}

/* Imagined changes go before what is known, and leave it as it is. */
START_TEST(test_imagined)
{
    static const struct adjustment changes[] = {
        {.subject = ALICE, .rule = RULE_MESSAGES_PER_DAY, .kind = ADJUST_EXTRA, .value = 30,
         .until_ms = UNTIL_LIFTED},
        {.subject = "@" EXAMPLE, .rule = RULE_MESSAGES_PER_DAY, .removed = true},
        {.subject = "bob@example.test", .rule = RULE_MESSAGES_PER_DAY, .value = 1,
         .until_ms = UNTIL_LIFTED},
        {.subject = ALICE, .kind = ADJUST_EXEMPT, .until_ms = NOW + 1},
        {.subject = ALICE, .kind = ADJUST_EXEMPT, .until_ms = NOW},
    };
    begin(_i);
    refresh();
    ck_assert_int_eq(limits_if(changes, 1).limits.of[RULE_MESSAGES_PER_DAY], 630);
    ck_assert_int_eq(limits_if(changes + 1, 2).limits.of[RULE_MESSAGES_PER_DAY], 600);
    set(store, ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 7, UNTIL_LIFTED);
    set(store, "@" EXAMPLE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 100, UNTIL_LIFTED);
    refresh();
    ck_assert_int_eq(limits_if(NULL, 0).limits.of[RULE_MESSAGES_PER_DAY], 107);
    ck_assert_int_eq(limits_if(changes, 1).limits.of[RULE_MESSAGES_PER_DAY], 130);
    ck_assert_int_eq(limits_if(changes, 2).limits.of[RULE_MESSAGES_PER_DAY], 630);
    ck_assert_int_eq(limits_if(changes + 1, 1).limits.of[RULE_MESSAGES_PER_DAY], 607);
    ck_assert(limits_if(changes + 3, 1).exempt);
    ck_assert(!limits_if(changes + 4, 1).exempt);
    ck_assert_int_eq(limit_of(RULE_MESSAGES_PER_DAY), 107);
    ck_assert(!limits_at(NOW).exempt);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("effective");
    TCase *cases = backends_case(suite, "effective");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_precedence, 0, BACKEND_KINDS * (int)countof(precedences));
    tcase_add_loop_test(cases, test_whose, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_plan, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lost_plan, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_end_by_itself, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_replaced_and_removed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_through_another_handle, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_known_at_start, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_full_pages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_after_a_long_silence, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_store_away);
    tcase_add_test(cases, test_of_a_newer_version);
    tcase_add_loop_test(cases, test_longest_mailbox, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_outdate, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_imagined, 0, BACKEND_KINDS);
    return backends_run(suite);
}
