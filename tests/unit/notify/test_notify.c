/* What is told of what the store has, when, and to whom; over both databases. Sending itself:
 * tests/blackbox/test_notify.py. */
#include <string.h>

#include "base/json.h"
#include "guard/counters.h"
#include "notify/notify_look.h"
#include "rules/complaints.h"
#include "rules/held.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/suspensions.h"
#include "store/values.h"
#include "tests/unit/guard/guard_rig.h"

#define BASICS "notify.mail_to=desk@example.test", "notify.mail_from=guard@example.test"
#define INTERVAL_MS (5 * MINUTE_MS)
#define ROUND_MS (5 * SECOND_MS)
#define US "mail 1"

static struct settings *settings;
static struct notify_state state;
static int64_t now_ms;
static int64_t left_out, users_left_out;

static void settings_are(const char *const *overrides)
{
    settings_free(&settings);
    settings = rig_settings(overrides);
}

/* As the program does it. */
static void a_round(void)
{
    struct notify_look look = {.store = store, .arena = arena, .settings = settings,
                               .now_ms = now_ms};
    ck_assert_msg(notify_look(&look, &state) == 1, "%s", store_error(store));
    left_out += notify_state_collect(&state, settings, now_ms);
    users_left_out += look.users_left_out;
    ck_assert_int_eq(notify_state_write(&state, store, US, now_ms), 1);
}

static void round_after(int64_t ms)
{
    now_ms += ms;
    a_round();
}

/* An empty store that was looked at once. */
static void begin(int backend, const char *const *overrides)
{
    backend_begin(backend);
    settings_are(overrides);
    now_ms = NOW;
    left_out = users_left_out = 0;
    ck_assert_int_eq(notify_state_read(&state, store, arena, now_ms), 1);
    a_round();
}

static void end(void)
{
    notify_state_end(&state);
    settings_free(&settings);
}

static void suspend_by(const char *mailbox, enum cause cause, const char *by, int64_t ms)
{
    const struct durations durations = {.count = 1, .ms = {ms}};
    const struct action action = {now_ms, by, "a reason"};
    struct suspension suspension;
    ck_assert_int_eq(store_suspend(store, mailbox, cause, &durations, &action, &suspension), 1);
}

static void suspend(const char *mailbox) { suspend_by(mailbox, CAUSE_STAFF, "eve", HOUR_MS); }

static void lift(const char *mailbox)
{
    const struct action action = {now_ms, "eve", "a reason"};
    ck_assert_int_eq(store_lift(store, mailbox, CAUSE_STAFF, &action), 1);
}

static void count(const char *name, uint64_t number)
{
    struct counter counter = {.value = number};
    snprintf(counter.name, sizeof counter.name, "%s", name);
    const struct observations observations = {.counters = &counter, .counter_count = 1};
    ck_assert_int_eq(store_observe(store, &observations, now_ms), 1);
}

static void put_value(enum value_kind kind, const char *key, const char *bytes, size_t length)
{
    const struct value_change change = {
        .value = {.kind = kind, .key = key, .bytes = bytes, .length = length,
                  .until_ms = UNTIL_LIFTED},
        .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    ck_assert_int_eq(store_values_change(store, &step, NULL), 1);
}

/* The next that is to be sent by mail, which is taken out. "suspension alice@example.test bob@…";
 * "" when there is none. */
static const char *told(void)
{
    freed_by(text_free) struct text text = {0};
    struct json_object *next = notify_state_due(&state, NOTIFY_BY_MAIL, now_ms);
    if (next == NULL)
        return "";
    freed_by(json_put) struct json_object *notification = json_object_get(next);
    struct json_object *items = json_member(notification, "items");
    text_add(&text, json_string(notification, "condition", "?"));
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        text_addf(&text, " %s", json_string(item, "subject", "?"));
        if (json_int(item, "times", 1) > 1)
            text_addf(&text, "*%d", (int)json_int(item, "times", 1));
        if (json_int(item, "count", 0) > 0)
            text_addf(&text, "=%d", (int)json_int(item, "count", 0));
    }
    if (json_int(notification, "more", 0) > 0)
        text_addf(&text, " +%d", (int)json_int(notification, "more", 0));
    if (json_is_true(notification, "late"))
        text_add(&text, " late");
    ck_assert_int_eq(notify_state_tried(&state, NOTIFY_BY_MAIL, notification, NOTIFY_SENT, now_ms),
                     NOTIFY_SENT);
    return arena_strdup(arena, text.data);
}

/* "begins alice@example.test", "ends …". */
static const char *told_user(void)
{
    struct json_object *next = notify_state_due(&state, NOTIFY_TO_USER, now_ms);
    if (next == NULL)
        return "";
    freed_by(json_put) struct json_object *mail = json_object_get(next);
    ck_assert_int_eq(notify_state_tried(&state, NOTIFY_TO_USER, mail, NOTIFY_SENT, now_ms), NOTIFY_SENT);
    return arena_printf(arena, "%s %s", json_is_true(mail, "held")     ? "held"
                                        : json_is_true(mail, "begins") ? "begins"
                                                                       : "ends",
                        json_string(mail, "mailbox", "?"));
}

/* ---- what is told ---------------------------------------------------------------------------- */

START_TEST(test_what_was_before_is_not_told)
{
    backend_begin(_i);
    settings_are(WITH(BASICS));
    now_ms = NOW;
    suspend(ALICE);
    count("bypassed channel=smtp", 5);
    ck_assert_int_eq(notify_state_read(&state, store, arena, now_ms), 1);
    a_round();
    ck_assert_str_eq(told(), "");
    suspend(BOB);
    count("bypassed channel=smtp", 2);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "suspension " BOB);
    ck_assert_str_eq(told(), "bypassed =2");
    ck_assert_str_eq(told(), "");
}
END_TEST

/* Another start goes on from what the store has; after a day's pause it begins anew. */
START_TEST(test_a_pause)
{
    begin(_i, WITH(BASICS));
    notify_state_end(&state);
    suspend(ALICE);
    now_ms += HOUR_MS;
    ck_assert_int_eq(notify_state_read(&state, store, arena, now_ms), 1);
    suspend(BOB);
    a_round();
    ck_assert_str_eq(told(), "suspension " BOB); /* the other one has ended */
    suspend("carol@example.test");
    round_after(NOTIFY_STALE_MS);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(test_suspensions)
{
    begin(_i, WITH(BASICS));
    suspend_by(ALICE, CAUSE_COMPROMISED, "user", HOUR_MS);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "own_lock " ALICE);
    suspend_by(ALICE, CAUSE_TERMS, "eve", HOUR_MS);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "suspension " ALICE);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(test_audit_log)
{
    static const char block[] = "{\"before\":null,\"after\":{\"id\":1,\"cause\":\"failures\","
                                "\"until\":\"2025-11-22T06:40:00Z\",\"bad\":12,\"all\":20}}";
    const struct action by_guard = {NOW, "guard", "12 of 20"}, by_staff = {NOW, "eve", "spam"};
    const struct action by_user = {NOW, "user", "it was me"};
    const struct audited entries[] = {
        {"block", "@example.test", block, &by_guard}, {"block", "x.test", "{}", &by_staff},
        {"block", "(recipient)", "{\"after\":{}}", &by_guard}, {"appeal", ALICE, "{}", &by_user},
        {"note", BOB, "{}", &by_staff}};
    begin(_i, WITH(BASICS));
    for (size_t i = 0; i < countof(entries); i++)
        ck_assert_int_eq(store_write_audit(store, &entries[i]), 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "domain_blocked @example.test");
    ck_assert_str_eq(told(), "appeal " ALICE);
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(test_near_limits)
{
    struct near_limit nears[] = {{.rule = RULE_MESSAGES_PER_DAY, .key = ALICE},
                                 {.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .key = "192.0.2.1"}};
    const struct observations observations = {.nears = nears, .near_count = countof(nears)};
    begin(_i, WITH(BASICS));
    for (int hour = 0; hour < 5; hour++) {
        nears[0].at_ms = nears[1].at_ms = now_ms;
        ck_assert_int_eq(store_observe(store, &observations, now_ms), 1);
        round_after(50 * MINUTE_MS);
        const char *what = told();
        if (hour == 0)
            ck_assert_ptr_nonnull(strstr(what, ALICE));
        if (hour == 0)
            ck_assert_ptr_nonnull(strstr(what, "192.0.2.1"));
        if (hour > 0)
            ck_assert_str_eq(what, "");
    }
    now_ms += 2 * HOUR_MS;
    a_round();
    nears[0].at_ms = nears[1].at_ms = now_ms;
    ck_assert_int_eq(store_observe(store, &observations, now_ms), 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "near_limit 192.0.2.1");
}
END_TEST

START_TEST(test_counters)
{
    begin(_i, WITH(BASICS));
    count("login_blocks rule=wrong_passwords_per_ip", 2);
    count("bypassed channel=smtp", 1);
    count("bypassed day=2025-11-22", 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "bypassed =1");
    ck_assert_str_eq(told(), "logins_blocked wrong_passwords_per_ip=2");
    ck_assert_str_eq(told(), "");
    put_value(VALUE_CURSOR, "mail journal", "{\"gaps\":3}", strlen("{\"gaps\":3}"));
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "log_gap mail journal=3");
}
END_TEST

static void complain(const char *mailbox, uint64_t message)
{
    struct complaints complaints = {.count = 1};
    freed_by(text_free) struct text packed = {0};
    complaints.of[0] = (struct complaint){.message = message, .reporter = 1, .admitted_ms = NOW,
                                          .at_ms = now_ms, .incidents = 1};
    complaints_add(&packed, &complaints);
    put_value(VALUE_COMPLAINTS, mailbox, packed.data, packed.length);
    count("reports result=taken", 1);
}

START_TEST(test_complaints)
{
    begin(_i, WITH(BASICS));
    now_ms += MINUTE_MS;
    complain(ALICE, 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "complaint " ALICE "=1");
    now_ms += INTERVAL_MS;
    complain(BOB, 2);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "complaint " BOB "=1");
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told(), "");
}
END_TEST

static void hold(const char *mailbox, enum unusual_action action)
{
    freed_by(text_free) struct text kept = {0};
    const struct unusual unusual = {.action = action, .new_recipients = 60};
    const struct held_message message = {.decision = 1, .recipients = 1, .queue_id = "4ABC"};
    ck_assert(held_add(&kept, &unusual, now_ms, &message, 0));
    put_value(VALUE_HELD, mailbox, kept.data, kept.length);
    count("decisions channel=smtp verdict=held", 1);
}

START_TEST(test_held)
{
    begin(_i, WITH(BASICS));
    hold(ALICE, UNUSUAL_HOLD);
    hold(BOB, UNUSUAL_NOTE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "held " ALICE);
    count("decisions channel=smtp verdict=held", 1);
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told(), "");
    hold(ALICE, UNUSUAL_HOLD); /* was answered, and begins anew */
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "held " ALICE);
}
END_TEST

/* Of very many, the others are told of when some were answered. */
START_TEST(test_very_many_are_held)
{
    begin(_i, WITH(BASICS));
    for (int i = 0; i <= NOTIFY_HELD_MAX; i++)
        hold(arena_printf(arena, "m%03d@example.test", i), UNUSUAL_HOLD);
    round_after(ROUND_MS);
    const char *rest = arena_printf(arena, " m019@example.test +%d",
                                    NOTIFY_HELD_MAX - NOTIFY_ITEMS_MAX);
    const char *what = told();
    ck_assert_str_eq(what + strlen(what) - strlen(rest), rest);
    count("decisions channel=smtp verdict=held", 1);
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told(), "");
    put_value(VALUE_HELD, "m007@example.test", "", 0); /* answered */
    count("decisions channel=smtp verdict=held", 1);
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told(), arena_printf(arena, "held m%03d@example.test", NOTIFY_HELD_MAX));
}
END_TEST

START_TEST(test_left_out_by_the_operator)
{
    begin(_i, WITH(BASICS, "notify.leave_out=suspension bypassed"));
    suspend(ALICE);
    count("bypassed channel=smtp", 1);
    suspend_by(BOB, CAUSE_COMPROMISED, "user", HOUR_MS);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "own_lock " BOB);
    ck_assert_str_eq(told(), "");
}
END_TEST

/* ---- how often ------------------------------------------------------------------------------- */

START_TEST(test_interval)
{
    begin(_i, WITH(BASICS));
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "suspension " ALICE);
    suspend(BOB);
    count("bypassed channel=smtp", 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "bypassed =1"); /* another condition waits for no other */
    ck_assert_str_eq(told(), "");
    lift(BOB);
    suspend(BOB);
    suspend("carol@example.test");
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "");
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told(), "suspension " BOB "*2 carol@example.test");
}
END_TEST

START_TEST(test_per_hour)
{
    begin(_i, WITH(BASICS, "notify.per_hour=2"));
    for (int i = 0; i < 4; i++) {
        suspend(arena_printf(arena, "m%d@example.test", i));
        round_after(INTERVAL_MS);
    }
    ck_assert_str_eq(told(), "suspension m0@example.test");
    ck_assert_str_eq(told(), "suspension m1@example.test");
    ck_assert_str_eq(told(), "");
    round_after(HOUR_MS);
    ck_assert_str_eq(told(), "suspension m2@example.test m3@example.test late");
}
END_TEST

START_TEST(test_many_at_once)
{
    begin(_i, WITH(BASICS));
    for (int i = 0; i < NOTIFY_ITEMS_MAX + 5; i++)
        suspend(arena_printf(arena, "m%02d@example.test", i));
    round_after(ROUND_MS);
    const char *what = told();
    ck_assert_ptr_nonnull(strstr(what, " m19@example.test +5"));
    ck_assert_int_eq(left_out, 5);
}
END_TEST

/* While nothing can be sent, all waits, and the value stays small. */
START_TEST(test_outbox_is_full)
{
    begin(_i, WITH(BASICS, "notify.per_hour=1000"));
    for (int i = 0; i < NOTIFY_OUTBOX_MAX + 10; i++) {
        count("bypassed channel=smtp", 1);
        round_after(INTERVAL_MS);
    }
    for (int i = 0; i < NOTIFY_OUTBOX_MAX; i++)
        ck_assert_str_eq(told(), "bypassed =1");
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told(), "bypassed =10");
    ck_assert_str_eq(told(), "");
}
END_TEST

/* ---- sending --------------------------------------------------------------------------------- */

START_TEST(test_tries)
{
    begin(_i, WITH(BASICS, "notify.webhook=unix:/nowhere"));
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_ne(told(), "");
    struct json_object *next = notify_state_due(&state, NOTIFY_BY_WEBHOOK, now_ms);
    ck_assert_ptr_nonnull(next);
    int64_t begun_ms = now_ms;
    const int64_t waits_ms[] = {5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600};
    for (size_t i = 0; i < countof(waits_ms); i++) {
        ck_assert_int_eq(notify_state_tried(&state, NOTIFY_BY_WEBHOOK, next, NOTIFY_FAILED, now_ms),
                         NOTIFY_FAILED);
        ck_assert_ptr_null(notify_state_due(&state, NOTIFY_BY_WEBHOOK,
                                            now_ms + waits_ms[i] * SECOND_MS - 1));
        now_ms += waits_ms[i] * SECOND_MS;
        ck_assert_ptr_eq(notify_state_due(&state, NOTIFY_BY_WEBHOOK, now_ms), next);
    }
    now_ms = begun_ms + NOTIFY_GIVE_UP_MS;
    ck_assert_int_eq(notify_state_tried(&state, NOTIFY_BY_WEBHOOK, next, NOTIFY_FAILED, now_ms),
                     NOTIFY_GIVEN_UP);
    ck_assert_ptr_null(notify_state_due(&state, NOTIFY_BY_WEBHOOK, now_ms));
    ck_assert_uint_eq(json_object_array_length(notify_state_list(&state, "outbox")), 0);
}
END_TEST

START_TEST(test_refused_for_good)
{
    begin(_i, WITH(BASICS));
    suspend(ALICE);
    round_after(ROUND_MS);
    struct json_object *next = notify_state_due(&state, NOTIFY_BY_MAIL, now_ms);
    ck_assert_int_eq(notify_state_tried(&state, NOTIFY_BY_MAIL, next, NOTIFY_GIVEN_UP, now_ms),
                     NOTIFY_GIVEN_UP);
    ck_assert_uint_eq(notify_state_waiting(&state, NOTIFY_BY_MAIL).count, 0);
}
END_TEST

START_TEST(test_one_leads)
{
    struct notify_state other = {0};
    begin(_i, WITH(BASICS));
    ck_assert_int_eq(notify_state_read(&other, store, arena, now_ms), 1);
    ck_assert(notify_state_leads(&state, US, now_ms));
    ck_assert(!notify_state_leads(&other, "mail 2", now_ms + NOTIFY_LEAD_MS - 1));
    ck_assert(notify_state_leads(&other, "mail 2", now_ms + NOTIFY_LEAD_MS));
    ck_assert_int_eq(notify_state_write(&other, store, "mail 2", now_ms + NOTIFY_LEAD_MS), 1);
    notify_state_set(&state, "any", 1);
    ck_assert_int_eq(notify_state_write(&state, store, US, now_ms + NOTIFY_LEAD_MS), 0);
    notify_state_end(&other);
}
END_TEST

START_TEST(test_damaged)
{
    begin(_i, WITH(BASICS));
    put_value(VALUE_NOTIFY, "state", "{\"outbox\":7", strlen("{\"outbox\":7"));
    ck_assert_int_eq(notify_state_read(&state, store, arena, now_ms), 1);
    a_round();
    put_value(VALUE_NOTIFY, "state", "{\"outbox\":7,\"pending\":[]}",
              strlen("{\"outbox\":7,\"pending\":[]}"));
    ck_assert_int_eq(notify_state_read(&state, store, arena, now_ms), 1);
    a_round();
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "suspension " ALICE);
}
END_TEST

/* Longer than a database takes: it begins anew. */
START_TEST(test_too_long)
{
    begin(_i, WITH(BASICS));
    char *text = arena_alloc(arena, VALUE_MAX_BYTES + 1);
    memset(text, 'a', VALUE_MAX_BYTES);
    json_add_string(state.tree, "any", text);
    state.changed = true;
    ck_assert_int_eq(notify_state_write(&state, store, US, now_ms), 1);
    a_round();
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "suspension " ALICE);
    text[NOTIFY_LONG_BYTES] = '\0';
    json_add_string(state.tree, "any", text);
    state.changed = true;
    round_after(ROUND_MS);
    count("bypassed channel=smtp", 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "");
    json_add_string(state.tree, "any", "");
    state.changed = true;
    round_after(ROUND_MS);
    round_after(ROUND_MS);
    ck_assert_str_eq(told(), "bypassed =1");
}
END_TEST

START_TEST(test_a_way_is_given_up)
{
    begin(_i, WITH(BASICS, "notify.webhook=unix:/nowhere"));
    suspend(ALICE);
    count("bypassed channel=smtp", 1);
    round_after(ROUND_MS);
    notify_state_forget(&state, NOTIFY_BY_WEBHOOK);
    ck_assert_ptr_null(notify_state_due(&state, NOTIFY_BY_WEBHOOK, now_ms));
    ck_assert_uint_eq(notify_state_waiting(&state, NOTIFY_BY_MAIL).count, 2);
    notify_state_forget(&state, NOTIFY_BY_MAIL);
    ck_assert_uint_eq(json_object_array_length(notify_state_list(&state, "outbox")), 0);
}
END_TEST

/* ---- users ----------------------------------------------------------------------------------- */

#define FOR_USERS "notify.user_languages=de en", "notify.mail_from=guard@example.test"

START_TEST(test_users)
{
    begin(_i, WITH(FOR_USERS));
    suspend(ALICE);
    suspend_by(BOB, CAUSE_VOLUME, "guard", HOUR_MS);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "begins " ALICE);
    ck_assert_str_eq(told_user(), "begins " BOB);
    suspend_by(BOB, CAUSE_TERMS, "eve", 2 * HOUR_MS);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "");
    lift(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "ends " ALICE);
    round_after(HOUR_MS);
    ck_assert_str_eq(told_user(), "");
    round_after(HOUR_MS); /* by itself */
    ck_assert_str_eq(told_user(), "ends " BOB);
    round_after(HOUR_MS);
    ck_assert_str_eq(told_user(), "");
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "begins " ALICE);
    settings_are(WITH(BASICS)); /* it ends while nobody tells users */
    lift(ALICE);
    round_after(ROUND_MS);
    settings_are(WITH(FOR_USERS));
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "");
    ck_assert_str_eq(told(), "");
}
END_TEST

static void undo_lift(const char *mailbox, int64_t id)
{
    const struct action action = {now_ms, "eve", "a slip"};
    const struct audited audited = {"undo", mailbox, "{\"of\":1,\"action\":\"lift\"}", &action};
    struct audit newest;
    struct store_page page = {.max = 1};
    enum unlift why;
    ck_assert_int_eq(store_audit_newest(store, mailbox, INT64_MAX, &newest, &page), 1);
    ck_assert_int_eq(store_unlift(store, CAUSE_STAFF, id, newest.number, &audited, &why), 1);
}

/* Once for each hold, and only where it is set. */
START_TEST(test_users_whose_mail_waits)
{
    begin(_i, WITH(FOR_USERS, "notify.user_held=yes"));
    round_after(ROUND_MS);
    hold(ALICE, UNUSUAL_HOLD);
    hold(BOB, UNUSUAL_NOTE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "held " ALICE);
    ck_assert_str_eq(told_user(), "");
    count("decisions channel=smtp verdict=held", 1);
    round_after(INTERVAL_MS);
    ck_assert_str_eq(told_user(), "");
    settings_are(WITH(FOR_USERS));
    hold(ALICE, UNUSUAL_HOLD);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "");
}
END_TEST

/* A lift that is undone: who was told that it is over is told that it is not. */
START_TEST(test_users_of_an_undone_lift)
{
    struct account account;
    begin(_i, WITH(FOR_USERS));
    suspend(ALICE);
    ck_assert_int_eq(store_account(store, arena, ALICE, now_ms, &account), 1);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "begins " ALICE);
    for (int told_of_end = 0; told_of_end < 2; told_of_end++) {
        lift(ALICE);
        now_ms += SECOND_MS;
        if (told_of_end)
            a_round();
        ck_assert_str_eq(told_user(), told_of_end ? "ends " ALICE : "");
        undo_lift(ALICE, account.suspensions.of[0].id);
        round_after(ROUND_MS);
        ck_assert_str_eq(told_user(), told_of_end ? "begins " ALICE : "");
    }
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "");
    round_after(HOUR_MS);
    ck_assert_str_eq(told_user(), "ends " ALICE);
}
END_TEST

/* As the last message of the webmail told it, however many the mail server took since. */
START_TEST(test_language_of_a_user)
{
    enum { LOOKED_AT = 64 };
    struct problem problem;
    rig_begin(_i, WITH(FOR_USERS));
    settings_are(WITH(FOR_USERS));
    now_ms = NOW;
    ck_assert_int_eq(notify_state_read(&state, store, arena, now_ms), 1);
    a_round();
    for (int i = 0; i < 2; i++) {
        struct submission submission = rig_message(i == 0 ? "first" : "second", 1);
        ck_assert_int_eq(submission_set_lang(&submission, i == 0 ? "es" : "fr", 2, &problem), 1);
        ck_assert_int_eq(rig_judge(&submission, now_ms + i).kind, VERDICT_ADMIT);
    }
    rig_send("without", LOOKED_AT - 1, now_ms + 2, 1);
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            lift(ALICE);
        else
            suspend(ALICE);
        round_after(ROUND_MS);
        struct json_object *mail = notify_state_due(&state, NOTIFY_TO_USER, now_ms);
        ck_assert_str_eq(json_string(mail, "lang", "none"), round < 2 ? "fr" : "none");
        ck_assert_str_ne(told_user(), "");
        if (round == 1)
            rig_send("more", 1, now_ms, 0);
    }
}
END_TEST

START_TEST(test_users_who_are_not_told)
{
    begin(_i, WITH(BASICS));
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "");
    settings_are(WITH(FOR_USERS, "guard.mode=observe"));
    suspend(BOB);
    round_after(ROUND_MS);
    ck_assert_str_eq(told_user(), "");
    settings_are(WITH(FOR_USERS));
    suspend("m\u00fcller@example.test");
    for (int i = 0; i < NOTIFY_USER_MAIL_MAX + 3; i++)
        suspend(arena_printf(arena, "m%d@example.test", i));
    round_after(ROUND_MS);
    ck_assert_int_eq(users_left_out, 4);
}
END_TEST

/* ---- once a day ------------------------------------------------------------------------------ */

START_TEST(test_digest)
{
    begin(_i, WITH(BASICS, "notify.digest=7", "web.time_zone=UTC")); /* it is 5:40 */
    count("decisions channel=webmail verdict=admit", 20);
    count("decisions channel=smtp verdict=over_time", 3);
    suspend(ALICE);
    round_after(ROUND_MS);
    ck_assert_str_ne(told(), "");
    round_after(2 * HOUR_MS);
    ck_assert_str_eq(told(), "");
    round_after(DAY_MS - HOUR_MS); /* 6:40 the day after */
    ck_assert_str_eq(told(), "");
    round_after(HOUR_MS);
    struct json_object *next = notify_state_due(&state, NOTIFY_BY_MAIL, now_ms);
    struct json_object *item = json_object_array_get_idx(json_member(next, "items"), 0);
    ck_assert_str_eq(json_string(next, "condition", ""), "digest");
    ck_assert_int_eq(json_int(item, "webmail", -1), 20);
    ck_assert_int_eq(json_int(item, "smtp", -1), 3);
    ck_assert_int_eq(json_int(item, "refused", -1), 3);
    ck_assert_int_eq(json_int(item, "suspended_now", -1), 0);
    ck_assert_str_eq(json_string(item, "since", ""), "2025-11-22T05:40:00Z");
    ck_assert_str_eq(told(), "digest ");
    round_after(HOUR_MS);
    ck_assert_str_eq(told(), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *cases = rig_case(suite, "notifications");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_what_was_before_is_not_told, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_a_pause, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspensions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audit_log, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_near_limits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_counters, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_complaints, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_held, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_very_many_are_held, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_left_out_by_the_operator, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_interval, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_per_hour, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_at_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_outbox_is_full, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_tries, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_refused_for_good, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_leads, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_damaged, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_too_long, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_a_way_is_given_up, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_users, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_users_of_an_undone_lift, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_users_whose_mail_waits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_language_of_a_user, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_users_who_are_not_told, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_digest, 0, BACKEND_KINDS);
    return backends_run(suite);
}
