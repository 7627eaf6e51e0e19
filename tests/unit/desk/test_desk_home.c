/* What needs attention, who sent from where, and the audit log. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/observations.h"
#include "store/store.h"
#include "tests/unit/desk/desk_rig.h"

#define LATER (NOW + HOUR_MS)

static struct json_object *home(int64_t now_ms)
{
    return VIEW(desk_home(rig_desk(), now_ms, &made));
}

static void see_near(const char *key, enum rule rule, int64_t at_ms)
{
    struct near_limit near = {.rule = rule, .at_ms = at_ms};
    strcpy(near.key, key);
    ck_assert_int_eq(
        store_observe(store, &(struct observations){.nears = &near, .near_count = 1}, at_ms), 1);
}

static void see_sender(const char *mailbox, const char *ip, int64_t at_ms)
{
    const struct observed_sender seen = {mailbox, strrchr(mailbox, '@') + 1, ip, at_ms};
    ck_assert_int_eq(store_observe(store, &(struct observations){.senders = &seen,
                                                                 .sender_count = 1}, at_ms), 1);
}

static struct verdict send_from(const char *mailbox, const char *ip, const char *id, int count,
                                int64_t now_ms)
{
    struct submission submission = rig_message(id, count);
    struct problem problem;
    rig_mailbox(&submission, mailbox);
    ck_assert_int_eq(submission_set_ip(&submission, ip, strlen(ip), &problem), 1);
    return rig_judge(&submission, now_ms);
}

/* ---- what needs attention --------------------------------------------------------------- */

START_TEST(quiet)
{
    rig_begin(_i, WITH(SMALL));
    ck_assert_str_eq(json_object_to_json_string_ext(home(NOW), JSON_C_TO_STRING_PLAIN),
                     "{\"now\":\"2025-11-22T05:40:00Z\",\"appeals\":[],\"appeals_waiting\":0,\"bypassed_today\":0,"
                     "\"locked_by_users\":[],\"suspended\":[],"
                     "\"more_suspended\":false,\"logins\":{\"mode\":\"observe\",\"seen_since\":null,"
                     "\"ready_at\":null,\"closed_mailboxes\":0,\"closed_networks\":0,"
                     "\"networks\":[]},\"blocked\":[],\"outages\":[],"
                     "\"near\":[],\"ips\":[],\"domains\":[],\"actions\":[]}");
}
END_TEST

static void count_bypassed(const char *day, uint64_t value)
{
    struct counter counter = {.value = value};
    snprintf(counter.name, sizeof counter.name, "bypassed day=%s", day);
    const struct observations recorded = {.counters = &counter, .counter_count = 1};
    ck_assert_int_eq(store_observe(store, &recorded, NOW), 1);
}

/* Of today and yesterday, among other days and other counters. */
START_TEST(bypassed)
{
    const int64_t midnight = INT64_C(1763769600000); /* 2025-11-22T00:00:00Z */
    rig_begin(_i, WITH(SMALL));
    count_bypassed("2024-11-22", 1000);
    count_bypassed("2025-11-20", 100);
    count_bypassed("2025-11-21", 20);
    count_bypassed("2025-11-22", 3);
    struct counter channel = {.name = "bypassed channel=smtp", .value = 5000};
    ck_assert_int_eq(
        store_observe(store, &(struct observations){.counters = &channel, .counter_count = 1}, NOW),
        1);
    check_member(home(NOW), "bypassed_today", "23");
    check_member(home(midnight), "bypassed_today", "23");
    check_member(home(midnight - 1), "bypassed_today", "120");
    check_member(home(midnight + DAY_MS - 1), "bypassed_today", "23");
    check_member(home(midnight + DAY_MS), "bypassed_today", "3");
    check_member(home(midnight + 2 * DAY_MS), "bypassed_today", "0");
}
END_TEST

/* One step that concerns many takes one line; each of two such steps, and what was done alone, has its own. */
START_TEST(done_together)
{
    static const char *const notes[] = {"a [batch AAAA-AAAA-AAAA]", "b [batch BBBB-BBBB-BBBB]"};
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, "{'action':'note','subject':'" ALICE "','note':'alone'}", NOW);
    for (int i = 0; i < 120; i++)
        do_action(&admin, arena_printf(arena, "{'action':'%s','subject':'m%d@x.test','note':'%s'}",
                                       i == 0 ? "note" : "suspend", i, notes[i / 60]), NOW + i);
    struct json_object *view = home(NOW + MINUTE_MS);
    ck_assert_uint_eq(length_of(view, "actions"), 4);
    check_member(view, "actions.0.subject", "m119@x.test");
    check_member(view, "actions.0.batch", "BBBB-BBBB-BBBB");
    check_member(view, "actions.1.subject", "m59@x.test");
    check_member(view, "actions.2.action", "note");
    check_member(view, "actions.2.batch", "AAAA-AAAA-AAAA");
    check_member(view, "actions.3.note", "alone");
    check_member(view, "actions.3.batch", "null");
}
END_TEST

START_TEST(suspended)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 60; i++)
        do_action(&admin, arena_printf(arena,
                                       "{'action':'suspend','subject':'m%02d@x.test','note':'n',"
                                           "'for':'1h'}", i), NOW + i * 1000);
    struct json_object *view = VIEW(desk_lock(rig_desk(), ALICE, NOW - 1000, &made));
    view = home(NOW + MINUTE_MS);
    ck_assert_uint_eq(length_of(view, "suspended"), 20);
    check_member(view, "more_suspended", "true");
    check_member(view, "suspended.0.mailbox", "m59@x.test");
    check_member(view, "suspended.0.by", "ada");
    check_member(view, "suspended.0.note", "n");
    check_member(view, "suspended.0.cause", "staff");
    check_member(view, "suspended.0.until", "2025-11-22T06:40:59Z");
    check_member(view, "suspended.19.mailbox", "m40@x.test");
    ck_assert_uint_eq(length_of(view, "locked_by_users"), 1);
    check_member(view, "locked_by_users.0.mailbox", ALICE);
    ck_assert_uint_eq(length_of(view, "actions"), 10);
    check_member(view, "actions.0.by", "user");
    check_member(view, "actions.1.subject", "m59@x.test");

    view = VIEW(desk_suspended(rig_desk(), NULL, NOW + MINUTE_MS, &made));
    ck_assert_uint_eq(length_of(view, "suspended"), DESK_PAGE);
    check_member(view, "suspended.0.mailbox", ALICE);
    check_member(view, "next", "m48@x.test");
    view = VIEW(desk_suspended(rig_desk(), "m48@x.test", NOW + MINUTE_MS, &made));
    ck_assert_uint_eq(length_of(view, "suspended"), 11);
    check_member(view, "next", "null");
    view = home(NOW + 2 * HOUR_MS);
    ck_assert_uint_eq(length_of(view, "suspended"), 1);
    check_member(view, "more_suspended", "false");
}
END_TEST

START_TEST(near)
{
    rig_begin(_i, WITH(SMALL, "limits.webmail.off_domain_per_hour_per_ip=30",
                       "limits.smtp.messages_per_day=10"));
    send_from(ALICE, "192.0.2.1", "a", 18, NOW); /* 18 of 20, and 18 of 30 */
    for (int i = 0; i < 5; i++)
        send_from(BOB, "192.0.2.2", arena_printf(arena, "%d", i), 1, NOW + 1000);
    for (int i = 0; i < 2; i++)
        send_from(arena_printf(arena, "m%d@example.test", i), "192.0.2.3", "m", 15, NOW);
    see_near(ALICE, RULE_OFF_DOMAIN_PER_DAY, NOW);
    see_near(ALICE, RULE_MESSAGES_PER_DAY, NOW); /* no longer */
    see_near(BOB, RULE_MESSAGES_PER_DAY, NOW);
    see_near(BOB, RULE_MESSAGES_PER_HOUR, NOW); /* off by now */
    see_near("192.0.2.1", RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW);
    see_near("192.0.2.3", RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW);
    struct json_object *view = home(NOW + MINUTE_MS);
    check_member(view, "near",
                 "[{'key':'bob@example.test','rule':'messages_per_day','channel':'webmail','limit':5,"
                 "'used':5,'percent':100,'full':true,'retry_at':'2025-11-23T05:40:01Z'},"
                 "{'key':'alice@example.test','rule':'off_domain_per_day','channel':'webmail','limit':"
                 "20,'used':18,'percent':90,'full':false,'retry_at':null}]");
    check_member(view, "ips",
                 "[{'key':'192.0.2.3','rule':'off_domain_per_hour_per_ip','channel':'webmail','limit':"
                 "30,'used':30,'percent':100,'full':true,'retry_at':'2025-11-22T06:40:00Z'}]");
    struct json_object *list = VIEW(desk_near(rig_desk(), NOW + MINUTE_MS, &made));
    ck_assert_str_eq(rig_text(view, "near"), rig_text(list, "near"));
    ck_assert_str_eq(rig_text(view, "ips"), rig_text(list, "ips"));
    /* with a higher limit it is near no longer */
    do_action(&admin, "{'action':'extra','subject':'" BOB "','note':'n','messages':2}", NOW);
    check_member(home(NOW + MINUTE_MS), "near.0.key", ALICE);
    ck_assert_uint_eq(length_of(home(NOW + MINUTE_MS), "near"), 1);
}
END_TEST

/* Of a mailbox and the recipient that it wrote to most. */
START_TEST(near_recipient)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day_per_recipient=5"));
    for (int i = 0; i < 4; i++) {
        struct submission submission = rig_submission(arena_printf(arena, "%d", i));
        rig_add(&submission, FIELD_TO, "pager@x.test");
        ck_assert_int_eq(rig_judge(&submission, NOW + i).kind, VERDICT_ADMIT);
    }
    see_near(ALICE, RULE_MESSAGES_PER_DAY_PER_RECIPIENT, NOW);
    struct json_object *view = home(NOW + MINUTE_MS);
    ck_assert_uint_eq(length_of(view, "near"), 1);
    check_member(view, "near.0.key", ALICE);
    check_member(view, "near.0.rule", "messages_per_day_per_recipient");
    check_member(view, "near.0.used", "4");
    check_member(view, "near.0.percent", "80");
}
END_TEST

/* Under the name that its group has, with what staff adjusted. */
START_TEST(near_domain)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_hour_per_domain=10",
                       "domains.own_domains=example.test other.test"));
    for (int i = 0; i < 8; i++)
        send_from(i < 4 ? ALICE : "bob@other.test", "192.0.2.1", arena_printf(arena, "%d", i), 1,
                  NOW);
    see_near("@example.test", RULE_MESSAGES_PER_HOUR_PER_DOMAIN, NOW);
    struct json_object *view = home(NOW + MINUTE_MS);
    check_member(view, "domains",
                 "[{'key':'example.test','rule':'messages_per_hour_per_domain','channel':'webmail',"
                 "'limit':10,'used':8,'percent':80,'full':false,'retry_at':null}]");
    check_member(view, "near", "[]");
    do_action(&admin, "{'action':'limit','subject':'@example.test','note':'n','rule':"
                      "'messages_per_hour_per_domain','value':8}", NOW);
    view = VIEW(desk_near(rig_desk(), NOW + MINUTE_MS, &made));
    check_member(view, "domains.0.full", "true");
    check_member(view, "domains.0.retry_at", "2025-11-22T06:40:00Z");
    check_member(home(NOW + HOUR_MS), "domains", "[]");
}
END_TEST

/* What mail programs sent from an IP stands beside what its webmail users sent, each with its own
 * limit; "near" of an earlier version, which has no mark, is the webmail's. */
START_TEST(near_by_channel)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=20",
                       "limits.smtp.off_domain_per_hour_per_ip=10"));
    struct submission submission = rig_message("smtp", 9);
    submission.channel = CHANNEL_SMTP;
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
    send_from(BOB, "192.0.2.1", "webmail", 17, NOW);
    see_near("192.0.2.1 smtp", RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW);
    see_near("192.0.2.1", RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW);
    struct json_object *view = home(NOW + MINUTE_MS);
    check_member(view, "ips",
                 "[{'key':'192.0.2.1','rule':'off_domain_per_hour_per_ip','channel':'smtp','limit':"
                 "10,'used':9,'percent':90,'full':false,'retry_at':null},"
                 "{'key':'192.0.2.1','rule':'off_domain_per_hour_per_ip','channel':'webmail','limit':"
                 "20,'used':17,'percent':85,'full':false,'retry_at':null}]");
}
END_TEST

START_TEST(many_near)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 30; i++) {
        const char *mailbox = arena_printf(arena, "m%02d@example.test", i);
        send_from(mailbox, "192.0.2.1", "m", 16 + i % 4, NOW);
        see_near(mailbox, RULE_OFF_DOMAIN_PER_DAY, NOW + i);
    }
    struct json_object *view = home(NOW + 100);
    ck_assert_uint_eq(length_of(view, "near"), 20);
    for (size_t i = 0; i + 1 < 20; i++)
        ck_assert_int_ge(
            json_object_get_int(rig_member(view, arena_printf(arena, "near.%zu.percent", i))),
            json_object_get_int(rig_member(view, arena_printf(arena, "near.%zu.percent", i + 1))));
    view = VIEW(desk_near(rig_desk(), NOW + 100, &made));
    ck_assert_uint_eq(length_of(view, "near"), 30);
}
END_TEST

/* ---- who sent ------------------------------------------------------------------------------ */

START_TEST(senders_of_ip)
{
    rig_begin(_i, WITH("limits.smtp.off_domain_per_hour_per_ip=100"));
    send_from(ALICE, "2001:db8:1:2::7", "a", 4, NOW);
    send_from(BOB, "2001:db8:1:2::8", "b", 2, NOW + 1000);
    see_sender(ALICE, "2001:db8:1:2::/64", NOW);
    see_sender(BOB, "2001:db8:1:2::/64", NOW);
    see_sender("carl@x.test", "192.0.2.1", NOW);
    do_action(&admin, "{'action':'suspend','subject':'" BOB "','note':'n'}", NOW + 2000);
    struct json_object *view =
        VIEW(desk_senders(rig_desk(), SENDERS_OF_IP, "2001:db8:1:2:9::", NULL, NOW + MINUTE_MS,
                          &made, &fault));
    check_member(view, "of", "ip");
    check_member(view, "key", "2001:db8:1:2::/64");
    check_member(view, "limits", "[]");
    ck_assert_uint_eq(length_of(view, "windows"), 2);
    check_member(view, "windows.0",
                 "{'rule':'off_domain_per_hour_per_ip','channel':'webmail','limit':500,'used':6,"
                 "'left':494,'percent':1,'full':false,'window_s':3600,'messages':false,'refill':"
                 "[{'at':'2025-11-22T06:40:00Z','count':4},{'at':'2025-11-22T06:40:01Z',"
                 "'count':2}]}");
    check_member(view, "windows.1.channel", "smtp");
    check_member(view, "windows.1.limit", "100");
    check_member(view, "windows.1.used", "0"); /* what came by the webmail is in its own alone */
    ck_assert_uint_eq(length_of(view, "mailboxes"), 2);
    check_member(view, "mailboxes.0.mailbox", ALICE);
    check_member(view, "mailboxes.0.messages", "1");
    check_member(view, "mailboxes.0.off_domain", "4");
    check_member(view, "mailboxes.0.suspended", "false");
    check_member(view, "mailboxes.1.suspended", "true");
    check_member(view, "next", "null");
    view = VIEW(desk_senders(rig_desk(), SENDERS_OF_IP, "192.0.2.200", NULL, NOW, &made,
                                  &fault));
    check_member(view, "mailboxes", "[]");
    check_member(view, "windows.0.used", "0");
}
END_TEST

START_TEST(senders_of_domain)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 55; i++)
        see_sender(arena_printf(arena, "m%02d@example.test", i), NULL, NOW);
    see_sender("a@x.test", NULL, NOW);
    do_action(&admin, "{'action':'limit','subject':'@example.test','note':'n','rule':"
                   "'messages_per_day','value':'off'}", NOW);
    struct json_object *view = VIEW(
        desk_senders(rig_desk(), SENDERS_OF_DOMAIN, "@Example.TEST", NULL, NOW, &made, &fault));
    check_member(view, "of", "domain");
    check_member(view, "key", "example.test");
    check_member(view, "windows", "[]");
    check_member(view, "exempt", "false");
    ck_assert_uint_eq(length_of(view, "limits"), 2);
    check_member(view, "limits.0.rule", "messages_per_day");
    check_member(view, "limits.0.limit", "null");
    check_member(view, "limits.0.default", "5");
    check_member(view, "limits.0.source", "domain");
    ck_assert_uint_eq(length_of(view, "mailboxes"), DESK_PAGE);
    check_member(view, "next", "m49@example.test");
    view = VIEW(desk_senders(rig_desk(), SENDERS_OF_DOMAIN, "example.test",
                                  rig_text(view, "next"), NOW, &made, &fault));
    ck_assert_uint_eq(length_of(view, "mailboxes"), 5);
    check_member(view, "next", "null");
    do_action(&admin, "{'action':'exempt','subject':'@example.test','note':'n'}", NOW);
    view = VIEW(desk_senders(rig_desk(), SENDERS_OF_DOMAIN, "example.test", NULL, NOW, &made,
                                  &fault));
    check_member(view, "exempt", "true");
}
END_TEST

/* ---- who did what ---------------------------------------------------------------------------- */

START_TEST(audit)
{
    rig_begin(_i, WITH(SMALL));
    for (int i = 0; i < 52; i++)
        do_action(&supporter, "{'action':'note','subject':'" ALICE "','note':'n'}", NOW + i * 1000);
    do_action(&admin, "{'action':'extra','subject':'" BOB "','note':'why','messages':2}", LATER);
    struct json_object *view = VIEW(desk_audit(rig_desk(), NULL, NULL, &made, &fault));
    ck_assert_uint_eq(length_of(view, "actions"), DESK_PAGE);
    check_member(view, "actions.0.number", "53");
    check_member(view, "actions.0.at", "2025-11-22T06:40:00Z");
    check_member(view, "actions.0.by", "ada");
    check_member(view, "actions.0.action", "extra");
    check_member(view, "actions.0.subject", BOB);
    check_member(view, "actions.0.note", "why");
    check_member(view, "actions.0.detail.rule", "messages_per_day");
    check_member(view, "actions.0.detail.before", "null");
    check_member(view, "actions.0.detail.after.value", "2");
    check_member(view, "actions.1.detail", "{}");
    check_member(view, "next", "4");
    view = VIEW(desk_audit(rig_desk(), "", "4", &made, &fault));
    ck_assert_uint_eq(length_of(view, "actions"), 3);
    check_member(view, "next", "null");
    static const char *const subjects[] = {BOB, "Bob@EXAMPLE.test", "@example.test",
                                           "@EXAMPLE.test", "a b", "bob"};
    static const size_t found[] = {1, 1, 1, 1, 0, 0};
    do_action(&admin, "{'action':'exempt','subject':'@example.test','note':'n'}", LATER);
    for (size_t i = 0; i < countof(subjects); i++) {
        view = VIEW(desk_audit(rig_desk(), subjects[i], "", &made, &fault));
        ck_assert_uint_eq(length_of(view, "actions"), found[i]);
    }
}
END_TEST

START_TEST(store_away)
{
    rig_begin(_i, WITH(SMALL));
    struct store *away = backend_open("redis+unix:///nowhere/redis.sock", 200);
    const struct desk desk = {away, guard, token_key};
    struct json_object *view = NULL;
    struct problem problem;
    ck_assert_int_eq(desk_home(&desk, NOW, &view), -1);
    ck_assert_int_eq(desk_near(&desk, NOW, &view), -1);
    ck_assert_int_eq(desk_suspended(&desk, NULL, NOW, &view), -1);
    ck_assert_int_eq(desk_senders(&desk, SENDERS_OF_IP, "192.0.2.1", NULL, NOW, &view, &problem),
                     -1);
    ck_assert_int_eq(desk_senders(&desk, SENDERS_OF_DOMAIN, "x.test", NULL, NOW, &view, &problem),
                     -1);
    ck_assert_int_eq(desk_audit(&desk, NULL, NULL, &view, &problem), -1);
    ck_assert_int_eq(desk_mailbox(&desk, ALICE, NULL, NOW, &view, &problem), -1);
    ck_assert_int_eq(desk_decision(&desk, "7K3M-Q2XD-9F4A", NOW, &view, &problem), -1);
    ck_assert_int_eq(desk_decisions(&desk, NULL, NULL, NOW, &view, &problem), -1);
    ck_assert_ptr_null(view);
    store_free(&away);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk home");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {quiet, bypassed, done_together, suspended, near, near_recipient,
                                  near_domain, near_by_channel,
                                  many_near, senders_of_ip, senders_of_domain, audit, store_away};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
