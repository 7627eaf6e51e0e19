/* What staff does to counts and limits, and what can be read, in both backends. */
#include <json-c/json.h>
#include <json-c/json_pointer.h>
#include <stdlib.h>
#include <string.h>

#include "store/adjustments.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"
#include "rules/window.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};

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

/* ---- reset and account --------------------------------------------------------------- */

START_TEST(test_reset)
{
    struct action action = action_at(NOW + 5);
    backend_begin(_i);
    ck_assert_int_eq(store_reset(store, "nobody@example.test", &action), 1);
    send_messages(ALICE, "a", 3, NOW, 1);
    struct suspension suspension = suspend(ALICE, CAUSE_TERMS, &a_day, NOW + 4);
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    struct account account = account_of(ALICE, NOW + 5);
    ck_assert_uint_eq(account.history.count, 0);
    ck_assert_int_eq(account.suspensions.of[0].id, suspension.id);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 5), 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW + 5), 0);
    /* the history of the IP is not the mailbox's to forget */
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 5), 3);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
    send_messages(ALICE, "b", 2, NOW + 6, 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 8), 2);
}
END_TEST

START_TEST(test_account)
{
    backend_begin(_i);
    struct account account = account_of(ALICE, NOW);
    ck_assert_uint_eq(account.history.count, 0);
    ck_assert_int_eq(account.suspensions.of[0].id, 0);
    send_messages(ALICE, "a", 100, NOW, HOUR_MS / 2);
    int64_t last_ms = NOW + 99 * HOUR_MS / 2;
    account = account_of(ALICE, last_ms);
    ck_assert_uint_eq(account.history.count, 48);
    ck_assert_uint_eq(window_used(&account.history, MEASURE_MESSAGES, HOUR_MS, last_ms), 2);
    ck_assert_uint_eq(account_of(ALICE, last_ms + DAY_MS - 1).history.count, 1);
    ck_assert_uint_eq(account_of(ALICE, last_ms + DAY_MS).history.count, 0);
}
END_TEST

/* ---- adjustments ---------------------------------------------------------------------- */

static struct adjustment adjustment_of(const char *subject, enum rule rule, enum adjust_kind kind,
                                       int32_t value, int64_t until_ms)
{
    struct adjustment adjustment = {
        .rule = rule, .kind = kind, .value = value, .until_ms = until_ms};
    strcpy(adjustment.subject, subject);
    return adjustment;
}

static void adjust(struct adjustment adjustment, int64_t now_ms)
{
    struct action action = action_at(now_ms);
    ck_assert_msg(store_adjust(store, &adjustment, &action) == 1, "%s", store_error(store));
}

enum { CHANGES = 16 };
static struct adjustment changes[CHANGES];

static size_t changes_after(int64_t after)
{
    struct store_page page = {.max = CHANGES};
    ck_assert_msg(store_adjustments(store, after, changes, &page) == 1, "%s",
                  store_error(store));
    for (size_t i = 0; i < page.count; i++)
        ck_assert_int_gt(changes[i].change, i > 0 ? changes[i - 1].change : after);
    return page.count;
}

START_TEST(test_adjust)
{
    backend_begin(_i);
    ck_assert_uint_eq(changes_after(0), 0);
    adjust(adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, LIMIT_OFF, UNTIL_LIFTED),
           NOW);
    adjust(adjustment_of("@example.test", RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 50, NOW + DAY_MS),
           NOW);
    ck_assert_uint_eq(changes_after(0), 2);
    ck_assert_str_eq(changes[0].subject, ALICE);
    ck_assert_int_eq(changes[0].rule, RULE_MESSAGES_PER_DAY);
    ck_assert_int_eq(changes[0].kind, ADJUST_LIMIT);
    ck_assert_int_eq(changes[0].value, LIMIT_OFF);
    ck_assert_int_eq(changes[0].until_ms, UNTIL_LIFTED);
    ck_assert(!changes[0].removed);
    ck_assert_str_eq(changes[1].subject, "@example.test");
    ck_assert_int_eq(changes[1].kind, ADJUST_EXTRA);
    ck_assert_int_eq(changes[1].value, 50);
    ck_assert_int_eq(changes[1].until_ms, NOW + DAY_MS);
    int64_t seen = changes[1].change;
    ck_assert_uint_eq(changes_after(seen), 0);
    /* the newest of a kind holds; the other kind and the other rule stay */
    adjust(adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 900, UNTIL_LIFTED), NOW + 1);
    adjust(adjustment_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, ADJUST_LIMIT, 0, UNTIL_LIFTED), NOW + 2);
    ck_assert_uint_eq(changes_after(seen), 2);
    ck_assert_int_eq(changes[0].value, 900);
    ck_assert_int_eq(changes[1].rule, RULE_OFF_DOMAIN_PER_DAY);
    ck_assert_uint_eq(changes_after(0), 3);
}
END_TEST

/* Who has not seen the newest change changes nothing. */
START_TEST(test_adjust_after)
{
    struct adjustment adjustment = {.subject = "@a.test", .rule = RULE_MESSAGES_PER_DAY,
                                    .kind = ADJUST_LIMIT, .value = 7, .until_ms = UNTIL_LIFTED};
    struct adjustment all[4];
    struct audit audit[4];
    struct action action = action_at(NOW);
    struct store_page page = {.max = 4};
    backend_begin(_i);
    ck_assert_int_eq(store_adjust_after(store, &adjustment, 1, 0, &action), 1);
    ck_assert_int_eq(store_adjustments(store, 0, all, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    int64_t newest = all[0].change;
    adjustment.value = 8;
    ck_assert_int_eq(store_adjust_after(store, &adjustment, 1, newest - 1, &action), 0);
    ck_assert_int_eq(store_adjust_after(store, &adjustment, 1, newest, &action), 1);
    strcpy(adjustment.subject, "@b.test"); /* whosever it is */
    ck_assert_int_eq(store_adjust_after(store, &adjustment, 1, newest, &action), 0);
    ck_assert_int_eq(store_adjust_after(store, &adjustment, 1, newest + 100, &action), 1);
    ck_assert_int_eq(store_adjustments(store, 0, all, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, 3);
}
END_TEST

/* Several changes are one step: all of them or none, each with a number and an audit entry. */
START_TEST(test_adjust_together)
{
    struct adjustment both[ADJUST_MAX] = {
        adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 5, NOW + DAY_MS),
        adjustment_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, ADJUST_EXTRA, 6, NOW + DAY_MS)};
    struct audit audit[4];
    struct action action = action_at(NOW);
    struct store_page page = {.max = 4};
    backend_begin(_i);
    ck_assert_int_eq(store_adjust_after(store, both, 2, 0, &action), 1);
    ck_assert_uint_eq(changes_after(0), 2);
    ck_assert_int_eq(changes[0].value, 5);
    ck_assert_int_eq(changes[1].value, 6);
    int64_t newest = changes[1].change;
    ck_assert_int_gt(newest, changes[0].change);
    both[0].value = both[1].value = 7;
    ck_assert_int_eq(store_adjust_after(store, both, 2, newest - 1, &action), 0);
    ck_assert_uint_eq(changes_after(newest), 0);
    ck_assert_int_eq(store_adjust_after(store, both, 2, INT64_MAX, &action), 1);
    ck_assert_uint_eq(changes_after(newest), 2);
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, 4);
    ck_assert_str_eq(audit[1].detail, "{\"rule\":\"off_domain_per_day\",\"before\":null,\"after\":"
                                      "{\"value\":6,\"until\":\"2025-11-23T05:40:00Z\"}}");
}
END_TEST

START_TEST(test_adjust_removed)
{
    backend_begin(_i);
    struct adjustment limit =
        adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    adjust(limit, NOW);
    ck_assert_uint_eq(changes_after(0), 1);
    int64_t seen = changes[0].change;
    limit.removed = true;
    adjust(limit, NOW + 1);
    ck_assert_uint_eq(changes_after(seen), 1);
    ck_assert(changes[0].removed);
    ck_assert_str_eq(changes[0].subject, ALICE);
    int64_t removed = changes[0].change;
    limit.removed = false;
    limit.value = 7;
    adjust(limit, NOW + 2);
    ck_assert_uint_eq(changes_after(removed), 1);
    ck_assert_int_eq(changes[0].value, 7);
    ck_assert(!changes[0].removed);
}
END_TEST

/* A removal is listed for a day; numbers rise on, whatever was forgotten. */
START_TEST(test_adjust_forgotten)
{
    backend_begin(_i);
    struct adjustment limit =
        adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 5, UNTIL_LIFTED);
    limit.removed = true;
    adjust(limit, NOW);
    ck_assert_uint_eq(changes_after(0), 1);
    int64_t removed = changes[0].change;
    adjust(adjustment_of(BOB, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 5, NOW + HOUR_MS),
           NOW + DAY_MS - 1);
    ck_assert_uint_eq(changes_after(0), 2);
    int64_t ended = changes[1].change;
    ck_assert_int_gt(ended, removed);
    adjust(adjustment_of(BOB, RULE_MESSAGES_PER_HOUR, ADJUST_EXTRA, 5, UNTIL_LIFTED),
           NOW + 3 * DAY_MS);
    ck_assert_int_eq(store_sweep(store, NOW + 3 * DAY_MS), 1);
    ck_assert_uint_eq(changes_after(0), 1);
    ck_assert_int_gt(changes[0].change, ended);
    ck_assert_int_eq(changes[0].rule, RULE_MESSAGES_PER_HOUR);
}
END_TEST

START_TEST(test_adjustments_in_pages)
{
    struct adjustment page[2];
    struct store_page told = {.max = 2, .more = true};
    size_t all = 0;
    int64_t after = 0;
    backend_begin(_i);
    for (int i = 0; i < 5; i++)
        adjust(adjustment_of(arena_printf(arena, "%d@x.test", i), RULE_MESSAGES_PER_DAY,
                             ADJUST_LIMIT, i, UNTIL_LIFTED),
               NOW);
    while (told.more) {
        ck_assert_int_eq(store_adjustments(store, after, page, &told), 1);
        for (size_t i = 0; i < told.count; i++)
            ck_assert_int_eq(page[i].value, (int)all++);
        if (told.count > 0)
            after = page[told.count - 1].change;
    }
    ck_assert_uint_eq(all, 5);
}
END_TEST

/* ---- records ------------------------------------------------------------------------------ */

START_TEST(test_record)
{
    struct record record;
    backend_begin(_i);
    send_messages(ALICE, "a", 2, NOW, 1);
    struct message message = message_of(ALICE, "x", NOW + 2);
    message.request.facts = facts_of("{\"note\":\"two\\nlines, \\\"quoted\\\"\",\"who\":\"J\u00fcrgen\"}");
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 3, &record), 1);
    ck_assert_uint_eq(record.decision, message.request.decision);
    ck_assert_int_eq(record.at_ms, NOW + 2);
    ck_assert_int_eq(record.outcome, OUTCOME_ADMITTED);
    ck_assert_str_eq(record.facts, message.request.facts.bytes);
    ck_assert_uint_eq(record.window_count, 4);
    for (size_t i = 0; i < record.window_count; i++) {
        ck_assert_int_eq(record.windows[i].rule, message.request.windows[i].rule);
        ck_assert_uint_eq(record.windows[i].used_before, message.result.windows[i].used_before);
    }
    ck_assert_int_eq(store_record(store, arena, message.request.decision + 1, NOW + 3, &record), 0);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 1 + 2 * DAY_MS,
                                  &record), 1);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 2 + 2 * DAY_MS,
                                  &record), 0);
}
END_TEST

START_TEST(test_record_of_refused)
{
    struct record record;
    backend_begin(_i);
    struct message message = message_of(ALICE, "x", NOW);
    message.request.off_domain = 2000;
    ck_assert_int_eq(judge(&message), OUTCOME_OVER);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 30 * DAY_MS - 1,
                                  &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_OVER);
    ck_assert_int_eq(store_record(store, arena, message.request.decision, NOW + 30 * DAY_MS,
                                  &record), 0);
}
END_TEST

/* ---- the audit log ----------------------------------------------------------------------- */

/* The member at a JSON pointer (RFC 6901); value NULL: it is there, and null. */
static void assert_json(const char *detail, const char *pointer, const char *value)
{
    json_object *object = json_tokener_parse(detail), *member = NULL;
    ck_assert_msg(object != NULL, "%s is no JSON", detail);
    ck_assert_msg(json_pointer_get(object, pointer, &member) == 0, "%s has no %s", detail,
                  pointer);
    ck_assert_msg((value == NULL && member == NULL) ||
                      (value != NULL && member != NULL &&
                       strcmp(json_object_get_string(member), value) == 0),
                  "%s: %s is not %s", detail, pointer, value != NULL ? value : "null");
    json_object_put(object);
}

START_TEST(test_audit)
{
    static const char *const actions[] = {"suspend", "lift", "reset", "limit", "extra"};
    static const char *const subjects[] = {ALICE, ALICE, BOB, "@example.test", ALICE};
    struct audit log[8];
    struct store_page page = {.max = countof(log)};
    struct action action = action_at(NOW + 1);
    backend_begin(_i);
    send_messages(BOB, "b", 2, NOW, 0);
    suspend(ALICE, CAUSE_TERMS, &a_day, NOW);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 1);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_TERMS, &action), 0); /* did nothing: leaves no entry */
    ck_assert_int_eq(store_reset(store, BOB, &action), 1);
    struct adjustment limit =
        adjustment_of("@example.test", RULE_MESSAGES_PER_HOUR, ADJUST_LIMIT, 300, UNTIL_LIFTED);
    limit.removed = true;
    adjust(limit, NOW + 1);
    adjust(adjustment_of(ALICE, RULE_OFF_DOMAIN_PER_DAY, ADJUST_EXTRA, 200, NOW + DAY_MS),
           NOW + 1);
    ck_assert_int_eq(store_audit(store, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, countof(actions));
    for (size_t i = 0; i < page.count; i++) {
        ck_assert_int_gt(log[i].number, i > 0 ? log[i - 1].number : 0);
        ck_assert_int_eq(log[i].at_ms, i == 0 ? NOW : NOW + 1);
        ck_assert_str_eq(log[i].by, "agnes");
        ck_assert_str_eq(log[i].note, "asked by telephone");
        ck_assert_str_eq(log[i].action, actions[i]);
        ck_assert_str_eq(log[i].subject, subjects[i]);
    }
    assert_json(log[0].detail, "/before", NULL);
    assert_json(log[0].detail, "/after/cause", "terms");
    assert_json(log[0].detail, "/after/until", "2025-11-23T05:40:00Z");
    assert_json(log[0].detail, "/after/attempts", "0");
    assert_json(log[1].detail, "/before/cause", "terms");
    assert_json(log[1].detail, "/after", NULL);
    assert_json(log[2].detail, "/before/messages", "2");
    assert_json(log[2].detail, "/before/off_domain", "2");
    assert_json(log[2].detail, "/after/messages", "0");
    assert_json(log[2].detail, "/after/off_domain", "0");
    assert_json(log[3].detail, "/rule", "messages_per_hour");
    assert_json(log[3].detail, "/before", NULL);
    assert_json(log[3].detail, "/after", NULL);
    assert_json(log[4].detail, "/before", NULL);
    assert_json(log[4].detail, "/after/value", "200");
    assert_json(log[4].detail, "/after/until", "2025-11-23T05:40:00Z");
    page.max = 2;
    ck_assert_int_eq(store_audit(store, log[1].number, log, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(log[0].action, "reset");
    ck_assert_int_eq(store_audit(store, log[1].number + 1, log, &page), 1);
    ck_assert_uint_eq(page.count, 0);
}
END_TEST

/* What was so before is logged as it was at the moment of the action. */
START_TEST(test_audit_before)
{
    struct audit log[8];
    struct store_page page = {.max = countof(log)};
    backend_begin(_i);
    suspend(ALICE, CAUSE_TERMS, &a_day, NOW);
    struct message attempt = message_of(ALICE, "x", NOW + 1);
    ck_assert_int_eq(judge(&attempt), OUTCOME_SUSPENDED);
    suspend(ALICE, CAUSE_TERMS, &(struct durations){1, {UNTIL_LIFTED}}, NOW + 2);
    struct adjustment limit =
        adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, LIMIT_OFF, UNTIL_LIFTED);
    adjust(limit, NOW);
    limit.value = 5;
    limit.until_ms = NOW + HOUR_MS;
    adjust(limit, NOW + 1);
    limit.value = 6;
    limit.until_ms = NOW + DAY_MS;
    adjust(limit, NOW + HOUR_MS); /* the one before has just ended */
    limit.removed = true;
    adjust(limit, NOW + HOUR_MS + 1);
    ck_assert_int_eq(store_audit(store, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, 6);
    assert_json(log[1].detail, "/before/cause", "terms");
    assert_json(log[1].detail, "/before/attempts", "1");
    assert_json(log[1].detail, "/after/cause", "terms");
    assert_json(log[1].detail, "/after/until", NULL);
    assert_json(log[2].detail, "/after/value", NULL);
    assert_json(log[2].detail, "/after/until", NULL);
    assert_json(log[3].detail, "/before/value", NULL);
    assert_json(log[3].detail, "/after/value", "5");
    assert_json(log[4].detail, "/before", NULL);
    assert_json(log[4].detail, "/after/value", "6");
    assert_json(log[5].detail, "/before/value", "6");
    assert_json(log[5].detail, "/before/until", "2025-11-23T05:40:00Z");
    assert_json(log[5].detail, "/after", NULL);
}
END_TEST

START_TEST(test_adjust_exempt)
{
    struct audit log[2];
    struct store_page page = {.max = countof(log)};
    backend_begin(_i);
    struct adjustment exempt = adjustment_of(ALICE, (enum rule)0, ADJUST_EXEMPT, 0, NOW + DAY_MS);
    adjust(exempt, NOW);
    ck_assert_uint_eq(changes_after(0), 1);
    ck_assert_int_eq(changes[0].kind, ADJUST_EXEMPT);
    ck_assert_int_eq(changes[0].until_ms, NOW + DAY_MS);
    ck_assert_str_eq(changes[0].subject, ALICE);
    int64_t seen = changes[0].change;
    exempt.removed = true;
    adjust(exempt, NOW + 1);
    ck_assert_uint_eq(changes_after(seen), 1);
    ck_assert(changes[0].removed);
    ck_assert_int_eq(store_audit(store, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(log[0].action, "exempt");
    assert_json(log[0].detail, "/before", NULL);
    assert_json(log[0].detail, "/after/until", "2025-11-23T05:40:00Z");
    assert_json(log[1].detail, "/before/until", "2025-11-23T05:40:00Z");
    assert_json(log[1].detail, "/after", NULL);
}
END_TEST

/* Its name is what is kept, also one that looks like a number to a program. */
START_TEST(test_adjust_plan)
{
    struct audit log[3];
    struct store_page page = {.max = countof(log)};
    backend_begin(_i);
    struct adjustment plan = adjustment_of(ALICE, (enum rule)0, ADJUST_PLAN, 0, UNTIL_LIFTED);
    strcpy(plan.plan, "infinity");
    adjust(plan, NOW);
    ck_assert_uint_eq(changes_after(0), 1);
    ck_assert_int_eq(changes[0].kind, ADJUST_PLAN);
    ck_assert_str_eq(changes[0].plan, "infinity");
    ck_assert_int_eq(changes[0].until_ms, UNTIL_LIFTED);
    int64_t seen = changes[0].change;
    strcpy(plan.plan, "e-9");
    plan.until_ms = NOW + DAY_MS;
    adjust(plan, NOW + 1);
    ck_assert_uint_eq(changes_after(seen), 1);
    ck_assert_str_eq(changes[0].plan, "e-9");
    plan.removed = true;
    plan.plan[0] = '\0';
    adjust(plan, NOW + 2);
    ck_assert_uint_eq(changes_after(changes[0].change), 1);
    ck_assert(changes[0].removed);
    ck_assert_int_eq(store_audit(store, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, 3);
    ck_assert_str_eq(log[0].action, "plan");
    assert_json(log[0].detail, "/before", NULL);
    assert_json(log[0].detail, "/after/value", "infinity");
    assert_json(log[1].detail, "/before/value", "infinity");
    assert_json(log[1].detail, "/after/value", "e-9");
    assert_json(log[1].detail, "/after/until", "2025-11-23T05:40:00Z");
    assert_json(log[2].detail, "/before/value", "e-9");
    assert_json(log[2].detail, "/after", NULL);
}
END_TEST

/* The calendar's corners, as text_add_time writes them. */
START_TEST(test_dates_in_audit)
{
    struct audit log[8];
    struct store_page page = {.max = countof(log)};
    static const int64_t starts_ms[] = {INT64_C(1709164799001), INT64_C(951782400000),
                                        INT64_C(1735689599999), INT64_C(4107542399000),
                                        INT64_C(0)};
    static const char *const dates[] = {"2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
                                        "2025-01-01T00:00:00Z", "2100-02-28T23:59:59Z",
                                        "1970-01-01T00:00:00Z"};
    backend_begin(_i);
    for (size_t i = 0; i < countof(starts_ms); i++)
        suspend(ALICE, CAUSE_TERMS, &a_day, starts_ms[i]);
    ck_assert_int_eq(store_audit(store, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, countof(dates));
    for (size_t i = 0; i < page.count; i++)
        assert_json(log[i].detail, "/after/since", dates[i]);
}
END_TEST

/* ---- texts ------------------------------------------------------------------------------------ */

/* As long as can be; begins with `text`. */
static void fill(char *buffer, size_t size, const char *text)
{
    size_t length = strlen(text);
    memcpy(buffer, text, length);
    memset(buffer + length, 'm', size - 1 - length);
    buffer[size - 1] = '\0';
}

START_TEST(test_hard_texts)
{
    struct audit log[4];
    struct store_page told = {.max = countof(log)};
    char by[64], note[256], mailbox[ADDRESS_MAX_BYTES + 1], id[SUBMISSION_MAX_ID_BYTES + 1];
    backend_begin(_i);
    fill(by, sizeof by, "b");
    fill(note, sizeof note, "\"%s; DROP TABLE audit; -- \\ \u00e4\u4e16\u754c\U0001F4E7\t'");
    fill(mailbox, sizeof mailbox, "o'\"b\\r*?[:%{}@");
    fill(id, sizeof id, "<i@\u00fc> ");
    struct action action = {.now_ms = NOW, .by = by, .note = note};
    struct suspension suspension;
    ck_assert_int_eq(store_suspend(store, mailbox, CAUSE_STAFF, &a_day, &action, &suspension), 1);
    ck_assert_str_eq(suspension.by, by);
    ck_assert_str_eq(suspension.note, note);
    ck_assert_str_eq(account_of(mailbox, NOW).suspensions.of[0].note, note);
    ck_assert_int_eq(store_audit(store, 0, log, &told), 1);
    ck_assert_uint_eq(told.count, 1);
    ck_assert_str_eq(log[0].by, by);
    ck_assert_str_eq(log[0].note, note);
    ck_assert_str_eq(log[0].subject, mailbox);
    struct suspended page[2];
    told.max = 2;
    ck_assert_int_eq(store_suspended(store, "", NOW, page, &told), 1);
    ck_assert_str_eq(page[0].mailbox, mailbox);
    ck_assert_int_eq(store_lift(store, mailbox, CAUSE_STAFF, &action), 1);
    struct message message = message_of(mailbox, id, NOW);
    message.request.ip = "2001:db8:1:2::";
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&message), OUTCOME_REPEATED);
    ck_assert_int_eq(store_refund(store, mailbox, id, NOW), 1);
}
END_TEST

/* ---- sharing and sweeping ------------------------------------------------------------------------ */

/* Two processes, or machines, on one store. */
START_TEST(test_shared)
{
    backend_begin(_i);
    struct store *first = store, *second = backend_open(backend_url(), TEST_TIMEOUT_MS);
    send_messages(ALICE, "a", 3, NOW, 1);
    store = second;
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 3), 3);
    struct message again = message_of(ALICE, "a-0", NOW + 3);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    suspend(ALICE, CAUSE_TERMS, &a_day, NOW + 4);
    adjust(adjustment_of(BOB, RULE_MESSAGES_PER_DAY, ADJUST_LIMIT, 1, UNTIL_LIFTED), NOW);
    store = first;
    ck_assert_int_eq(account_of(ALICE, NOW + 5).suspensions.of[0].cause, CAUSE_TERMS);
    ck_assert_uint_eq(changes_after(0), 1);
    store_free(&second);
}
END_TEST

/* Rows of all tables that are to be empty in the end. */
static int64_t sqlite_rows(void)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM history_head) + (SELECT count(*) FROM chunk)"
                              " + (SELECT count(*) FROM admitted) + (SELECT count(*) FROM refused)"
                              " + (SELECT count(*) FROM suspension) + (SELECT count(*) FROM kept)"
                              " + (SELECT count(*) FROM sender) + (SELECT count(*) FROM near)";
    return backend_sqlite_number(backend_url() + strlen("sqlite://"), sql);
}

START_TEST(test_sweep)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 150, NOW, MINUTE_MS);
    suspend(BOB, CAUSE_TERMS, &a_day, NOW);
    struct message refused = message_of(BOB, "x", NOW);
    ck_assert_int_eq(judge(&refused), OUTCOME_SUSPENDED);
    adjust(adjustment_of(ALICE, RULE_MESSAGES_PER_DAY, ADJUST_EXTRA, 5, NOW + DAY_MS), NOW);
    /* nothing that still counts goes */
    int64_t last_ms = NOW + 149 * MINUTE_MS;
    ck_assert_int_eq(store_sweep(store, last_ms), 1);
    ck_assert_uint_eq(account_of(ALICE, last_ms).history.count, 150);
    ck_assert_int_ne(account_of(BOB, last_ms).suspensions.of[0].id, 0);
    ck_assert_uint_eq(changes_after(0), 1);
    ck_assert_int_eq(store_refund(store, ALICE, "a-0", last_ms), 1);
    send_messages("carol@example.test", "c", 1, last_ms, 0); /* new since the last sweep */
    ck_assert_int_eq(store_sweep(store, NOW + 1000 * DAY_MS), 1);
    if (_i == BACKEND_REDIS) /* the numbers stay, and the audit log with its two subjects */
        ck_assert_int_eq(redis_server_ask(&redis, (const char *const[]){"DBSIZE"}, 1), 4);
    else
        ck_assert_int_eq(sqlite_rows(), 0);
    struct audit log[4];
    struct store_page page = {.max = countof(log)};
    ck_assert_int_eq(store_audit(store, 0, log, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    struct suspension next = suspend(BOB, CAUSE_TERMS, &a_day, NOW + 1000 * DAY_MS);
    ck_assert_uint_eq(next.offence, 1);
    ck_assert_int_gt(next.id, 1); /* an id is never given twice */
}
END_TEST

/* What is swept now and then is what is past, not what was when it was last written in its place. */
START_TEST(test_sweep_of_one_that_sends_again)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 30, NOW, 0);
    ck_assert_int_eq(store_sweep(store, NOW), 1);
    send_messages(ALICE, "b", 1, NOW + 2 * DAY_MS, 0);
    for (int i = 0; i < 500; i++) {
        struct message other = message_of(BOB, arena_printf(arena, "b-%d", i), NOW + 2 * DAY_MS);
        other.request.ip = "192.0.2.2";
        ck_assert_int_eq(judge(&other), OUTCOME_ADMITTED);
    }
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 2 * DAY_MS), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 2 * DAY_MS), 1);
    struct message again = message_of(ALICE, "b-0", NOW + 2 * DAY_MS);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
}
END_TEST

/* Who asks next may have a clock that is a little behind the sweep's. */
START_TEST(test_sweep_and_clock_behind)
{
    backend_begin(_i);
    send_messages(ALICE, "a", 3, NOW, 0);
    ck_assert_int_eq(store_sweep(store, NOW + HOUR_MS + SECOND_MS), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + HOUR_MS - 1), 3);
    ck_assert_int_eq(store_sweep(store, NOW + DAY_MS + SECOND_MS), 1);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + DAY_MS - 1), 3);
}
END_TEST

/* Another process writes while a long history is in use here. */
START_TEST(test_another_writes_between)
{
    backend_begin(_i);
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    send_messages(ALICE, "a", 50, NOW, 1);
    struct message repeated = message_of(ALICE, "a-3", NOW + 100);
    ck_assert_int_eq(judge(&repeated), OUTCOME_REPEATED);
    struct action action = action_at(NOW + 101);
    ck_assert_int_eq(store_reset(other, BOB, &action), 1);
    send_messages(ALICE, "b", 1, NOW + 102, 0);
    ck_assert_uint_eq(used_of(ALICE, RULE_MESSAGES_PER_DAY, NOW + 103), 51);
    store_free(&other);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store actions");
    TCase *cases = backends_case(suite, "actions");
    tcase_add_loop_test(cases, test_reset, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_another_writes_between, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_account, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust_together, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust_after, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust_removed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust_forgotten, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjustments_in_pages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_record, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_record_of_refused, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audit_before, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust_exempt, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_adjust_plan, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_dates_in_audit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hard_texts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_shared, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sweep, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sweep_and_clock_behind, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sweep_of_one_that_sends_again, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
