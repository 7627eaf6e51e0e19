/* What staff sees: a mailbox, decisions, what needs attention, who sent, who did what. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "store/judge.h"
#include "store/observations.h"
#include "tests/unit/desk/desk_rig.h"

#define LATER (NOW + HOUR_MS)

static const char *id_of(uint64_t decision)
{
    char *text = arena_alloc(arena, DECISION_TEXT_SIZE);
    decision_format(decision, text);
    return text;
}

/* ---- a mailbox ------------------------------------------------------------------------ */

START_TEST(mailbox)
{
    rig_begin(_i, WITH(SMALL, "limits.smtp.messages_per_hour=3"));
    send_one("a", 4, NOW);
    send_one("b", 7, NOW + MINUTE_MS);
    struct json_object *view = view_mailbox("Alice@EXAMPLE.test", LATER);
    check_member(view, "mailbox", ALICE);
    check_member(view, "domain", "example.test");
    check_member(view, "state", "ok");
    check_member(view, "retry_at", "null");
    check_member(view, "suspension", "null");
    check_member(view, "exempt", "null");
    check_member(view, "next", "{'verdict':'admit','state':'ok','retry_at':null,'reasons':[]}");
    ck_assert_uint_eq(length_of(view, "windows"), 4); /* the hour's differs between the channels */
    check_member(view, "windows.0.rule", "messages_per_day");
    check_member(view, "windows.1.rule", "off_domain_per_day");
    check_member(view, "windows.1.refill", "[{'at':'2025-11-23T05:40:00Z','count':4},"
                                           "{'at':'2025-11-23T05:41:00Z','count':7}]");
    check_member(view, "windows.2",
                 "{'rule':'messages_per_hour','channel':'webmail','limit':null,'used':1,'left':null,"
                 "'percent':0,'full':false,'window_s':3600,'messages':true,"
                 "'refill':[{'at':'2025-11-22T06:41:00Z','count':1}]}");
    check_member(view, "windows.3.channel", "smtp");
    check_member(view, "windows.3.limit", "3");
    check_member(view, "windows.3.percent", "33");
}
END_TEST

START_TEST(shadow)
{
    rig_begin(_i, WITH(SMALL, "shadow.off_domain_per_day=4", "shadow.messages_per_hour=2"));
    send_one("a", 4, NOW);
    struct json_object *view = view_mailbox(ALICE, NOW);
    ck_assert(!rig_has(rig_member(view, "windows.0"), "shadow"));
    check_member(view, "windows.1.shadow", "{'limit':4,'full':true}");
    check_member(view, "windows.1.full", "false");
    check_member(view, "windows.2.limit", "null");
    check_member(view, "windows.2.shadow", "{'limit':2,'full':false}");
    check_member(view, "next.verdict", "admit");
}
END_TEST

START_TEST(limits)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, "{'action':'limit','subject':'@example.test','note':'n','rule':"
                   "'off_domain_per_day','value':50,'for':'24h'}", NOW);
    do_action(&admin,
              "{'action':'extra','subject':'" ALICE "','note':'n','off_domain':7,'for':'2h'}",
              NOW);
    do_action(&admin,
              "{'action':'limit','subject':'" ALICE "','note':'n','rule':'messages_per_hour',"
                   "'value':2}", NOW);
    struct json_object *view = view_mailbox(ALICE, NOW);
    ck_assert_uint_eq(length_of(view, "limits"), RULE_COUNT * 2); /* nothing forwards */
    check_member(view, "limits.10",
                 "{'rule':'off_domain_per_day','channel':'webmail','limit':57,'default':20,'source':"
                 "'domain','plan':null,'extra':7,'until':'2025-11-23T05:40:00Z','extra_until':"
                 "'2025-11-22T07:40:00Z','setting':'limits.webmail.off_domain_per_day'}");
    check_member(view, "limits.15",
                 "{'rule':'messages_per_hour','channel':'smtp','limit':2,'default':null,'source':"
                 "'mailbox','plan':null,'extra':0,'until':null,'extra_until':null,"
                 "'setting':'limits.smtp.messages_per_hour'}");
    check_member(view, "limits.8.source", "settings");
    check_member(view, "windows.2.rule", "messages_per_hour");
    check_member(view, "windows.2.limit", "2");
}
END_TEST

/* What a mailbox's filter sent on is told beside the rest, with its own count and limits. */
START_TEST(forwarding)
{
    rig_begin(_i, WITH(SMALL, "mta.forwarding_networks=127.0.0.3",
                       "limits.forwarding.messages_per_day=3"));
    struct verdict verdicts[5];
    for (int i = 0; i < 5; i++) {
        struct submission submission = rig_message(arena_printf(arena, "f%d", i), 1);
        submission.channel = CHANNEL_FORWARDING;
        verdicts[i] = rig_judge(&submission, NOW);
        ck_assert_int_eq(verdicts[i].kind, i < 3 ? VERDICT_ADMIT : VERDICT_OVER_TIME);
    }
    send_one("own", 2, NOW);
    struct json_object *view = view_mailbox(ALICE, NOW + 1000);
    check_member(view, "state", "ok");
    check_member(view, "suspension", "null");
    check_member(view, "windows.0.channel", "webmail");
    check_member(view, "windows.0.used", "1");
    check_member(view, "windows.1.rule", "messages_per_day");
    check_member(view, "windows.1.channel", "forwarding");
    check_member(view, "windows.1.limit", "3");
    check_member(view, "windows.1.used", "3");
    check_member(view, "windows.1.full", "true");
    check_member(view, "windows.3.channel", "forwarding");
    check_member(view, "windows.3.limit", "900");
    ck_assert_uint_eq(length_of(view, "limits"), (int)RULE_COUNT * (int)CHANNEL_COUNT);
    check_member(view, "limits.14.setting", "limits.forwarding.messages_per_day");
    ck_assert_uint_eq(length_of(view, "timeline"), 6);
    check_member(view, "timeline.0.outcome", "admitted"); /* each once, in order of decisions */
    check_member(view, "timeline.1.channel", "forwarding");
    struct json_object *why = view_decision(verdicts[4].decision, NOW + 1000);
    check_member(why, "channel", "forwarding");
    check_member(why, "verdict", "over_time");
    check_member(why, "rules.4.setting", "limits.forwarding.messages_per_day");
    check_member(why, "rules.4.used_before", "3");
    check_member(why, "rules.4.broken", "true");
    check_member(why, "rules.6.used_before", "null");
    struct json_object *status = view_status(ALICE, 0, NOW + 1000);
    check_member(status, "messages_total", "1");
    check_member(status, "messages.0.channel", "webmail");
    do_action(&admin, "{'action':'reset','subject':'" ALICE "','note':'n'}", NOW + 2000);
    view = view_mailbox(ALICE, NOW + 3000);
    check_member(view, "windows.1.used", "0");
    check_member(view, "timeline.0.detail",
                 "{'before':{'messages':1,'off_domain':2,'forwarded':3},"
                 "'after':{'messages':0,'off_domain':0}}");
}
END_TEST

/* Who may give it, what is said of it, and which limits it brings. */
START_TEST(plans)
{
    rig_begin(_i, WITH(SMALL, "plan.school.messages_per_day=9", "plan.free.messages_per_day=1",
                       "plan.free.recipients_per_message=4"));
#define PLAN(subject, value) \
    "{'action':'plan','subject':'" subject "','note':'n','value':'" value "'}"
    refuse_action(&supporter, PLAN(ALICE, "school"), NOW, 403, "");
    const char *text = refuse_action(&admin, PLAN(ALICE, "shool"), NOW, 400, "value");
    rig_check_has(text, "school or free");
    refuse_action(&admin, PLAN(ALICE, "default"), NOW, 409, "subject");
    do_action(&admin, PLAN("@example.test", "school"), NOW);
    struct json_object *view = view_mailbox(ALICE, NOW);
    check_member(view, "plan", "{'name':'school','of':'domain','lost':false,'until':null}");
    check_member(view, "windows.0.limit", "9");
    struct json_object *preview = preview_action(&admin, PLAN(ALICE, "free"), NOW);
    check_member(preview, "asked.changes.0.plan", "free");
    check_member(preview, "asked.changes.0.rule", "null");
    check_member(preview, "asked.changes.0.limits.0",
                 "{'rule':'recipients_per_message','channel':'webmail','before':300,'after':4}");
    do_action(&admin, PLAN(ALICE, "free"), NOW);
    send_one("a", 1, NOW);
    struct verdict verdict = send_one("b", 1, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "messages_per_day");
    struct json_object *why = view_decision(verdict.decision, NOW);
    check_member(why, "rules.4.source", "plan");
    check_member(why, "rules.4.plan", "free");
    check_member(why, "rules.4.limit", "1");
    check_member(why, "rules.5.source", "settings");
    check_member(why, "rules.5.plan", "null");
    check_member(view_status(ALICE, 0, NOW), "plan", "free");
    rig_reload(WITH(SMALL));
    check_member(view_status(ALICE, 0, NOW), "plan", "null");
    view = view_mailbox(ALICE, NOW);
    check_member(view, "plan", "{'name':'free','of':'mailbox','lost':true,'until':null}");
    check_member(view, "windows.0.limit", "5");
    do_action(&admin, PLAN(ALICE, "default"), NOW);
    check_member(view_mailbox(ALICE, NOW), "plan.name", "school");
    view = VIEW(desk_senders(rig_desk(), SENDERS_OF_DOMAIN, "example.test", NULL, NOW, &made,
                             &fault));
    check_member(view, "plan", "{'name':'school','of':'domain','lost':true,'until':null}");
}
END_TEST

START_TEST(exempt_by)
{
    rig_begin(_i, WITH(SMALL, "exempt.mailbox=" BOB));
    do_action(&admin, "{'action':'exempt','subject':'" ALICE "','note':'n','for':'1h'}", NOW);
    check_member(view_mailbox(ALICE, NOW), "exempt", "staff");
    check_member(view_mailbox(ALICE, NOW + HOUR_MS), "exempt", "null");
    check_member(view_mailbox(BOB, NOW), "exempt", "settings");
    check_member(view_mailbox(BOB, NOW), "windows.0.limit", "null");
    uint64_t decision = send_one("x", 60, NOW).decision;
    check_member(view_decision(decision, NOW), "exempt", "true");
    check_member(view_decision(decision, NOW), "rules.4.checked", "false");
}
END_TEST

START_TEST(timeline)
{
    rig_begin(_i, WITH(SMALL));
    uint64_t admitted = send_one("a", 2, NOW).decision;
    do_action(&supporter, "{'action':'note','subject':'" ALICE "','note':'called'}", NOW + 2000);
    uint64_t over = send_one("never", 21, NOW + 3000).decision;
    do_action(&supporter, "{'action':'suspend','subject':'" ALICE "','note':'wait','for':'1h'}",
              NOW + 4000);
    send_one("tried", 1, NOW + 5000);
    struct json_object *view = view_mailbox(ALICE, LATER);
    ck_assert_uint_eq(length_of(view, "timeline"), 5);
    check_member(view, "timeline.0.outcome", "suspended");
    check_member(view, "timeline.0.at", "2025-11-22T05:40:05Z");
    check_member(view, "timeline.1.action", "suspend");
    check_member(view, "timeline.1.note", "wait");
    check_member(view, "timeline.1.detail.after.cause", "staff");
    check_member(view, "timeline.2.decision", id_of(over));
    check_member(view, "timeline.2.outcome", "over");
    check_member(view, "timeline.2.rules", "[{'rule':'off_domain_per_day'}]");
    check_member(view, "timeline.3.kind", "action");
    check_member(view, "timeline.3.action", "note");
    check_member(view, "timeline.4.rules", "[]");
    check_member(view, "timeline.4.decision", id_of(admitted));
    check_member(view, "timeline.4.kind", "decision");
    check_member(view, "timeline.4.channel", "webmail");
    check_member(view, "timeline.4.ip", "192.0.2.1");
    check_member(view, "timeline.4.recipients", "2");
    check_member(view, "timeline.4.off_domain", "2");
    check_member(view, "older", "null");
    ck_assert_uint_eq(length_of(view, "notes"), 1);
}
END_TEST

/* Page by page, all come once and in order, whatever lies at one moment. */
START_TEST(timeline_pages)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=off"));
    for (int i = 0; i < 70; i++) {
        int64_t at_ms = NOW + i / 3 * 1000;
        send_one(arena_printf(arena, "%d", i), 1, at_ms);
        if (i % 2 == 0)
            do_action(&supporter, arena_printf(arena, "{'action':'note','subject':'" ALICE "',"
                                                   "'note':'n%d'}", i), at_ms);
    }
    const char *before = NULL, *last = "9999";
    size_t total = 0, actions = 0, pages = 0;
    do {
        struct json_object *view =
            VIEW(desk_mailbox(rig_desk(), ALICE, before, LATER, &made, &fault));
        for (size_t i = 0; i < length_of(view, "timeline"); i++) {
            const char *at = rig_text(view, arena_printf(arena, "timeline.%zu.at", i));
            ck_assert_int_le(strcmp(at, last), 0);
            last = at;
            actions += strcmp(rig_text(view, arena_printf(arena, "timeline.%zu.kind", i)),
                              "action") == 0;
        }
        total += length_of(view, "timeline");
        ck_assert_uint_eq(length_of(view, "notes"), 20);
        before = json_string(view, "older", NULL);
        pages++;
    } while (before != NULL && pages < 9);
    ck_assert_uint_eq(total, 70 + 35);
    ck_assert_uint_eq(actions, 35);
    ck_assert_uint_eq(pages, 3);
}
END_TEST

START_TEST(wrong_input)
{
    static const char *const marks[] = {"x", "1", "1-", "-1", "1-g", "1-1 ", "G-1",
                                        "11111111111111111-1", "1-11111111111111111", "1--1"};
    struct json_object *view = NULL;
    struct problem problem = {0};
    rig_begin(_i, WITH(SMALL));
    const struct desk *desk = rig_desk();
    for (size_t i = 0; i < countof(marks); i++) {
        ck_assert_msg(desk_mailbox(desk, ALICE, marks[i], NOW, &view, &problem) == 0, "%s",
                      marks[i]);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, "before");
    }
    ck_assert_int_eq(desk_mailbox(desk, "alice", NULL, NOW, &view, &problem), 0);
    ck_assert_str_eq(problem.where, "mailbox");
    ck_assert_int_eq(desk_mailbox(desk, NULL, NULL, NOW, &view, &problem), 0);
    ck_assert_int_eq(desk_decisions(desk, "@", "", NOW, &view, &problem), 0);
    ck_assert_int_eq(desk_decisions(desk, NULL, "no id", NOW, &view, &problem), 0);
    ck_assert_str_eq(problem.where, "before");
    ck_assert_int_eq(desk_decision(desk, "7K3M-Q2XD", NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_int_eq(desk_decision(desk, "7K3M-Q2XD-9F4A", NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_int_eq(desk_senders(desk, SENDERS_OF_IP, "192.0.2.256", NULL, NOW, &view, &problem),
                     0);
    ck_assert_str_eq(problem.where, "ip");
    ck_assert_int_eq(desk_senders(desk, SENDERS_OF_DOMAIN, "a b", NULL, NOW, &view, &problem), 0);
    ck_assert_str_eq(problem.where, "domain");
    ck_assert_int_eq(desk_audit(desk, NULL, "0", &view, &problem), 0);
    ck_assert_int_eq(desk_audit(desk, NULL, "1x", &view, &problem), 0);
    ck_assert_str_eq(problem.where, "before");
    ck_assert_int_eq(desk_search(desk, " \t ", NOW, &view, &problem), 0);
    ck_assert_int_eq(desk_search(desk, NULL, NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_ptr_null(view);
}
END_TEST

/* ---- decisions ------------------------------------------------------------------------- */

START_TEST(explain_admitted)
{
    rig_begin(_i, WITH(SMALL));
    send_one("a", 4, NOW);
    struct submission submission = rig_submission("<b@c>");
    rig_add(&submission, FIELD_TO, "Bob <bob@x.test>, ann@x.test, z@y.test");
    rig_add(&submission, FIELD_BCC, "carl@example.test, dora@example.test, e@example.test");
    uint64_t decision = rig_judge(&submission, NOW + 1).decision;
    struct json_object *view = view_decision(decision, LATER);
    check_member(view, "decision", id_of(decision));
    check_member(view, "at", "2025-11-22T05:40:01Z");
    check_member(view, "outcome", "admitted");
    check_member(view, "verdict", "admitted");
    check_member(view, "mailbox", ALICE);
    check_member(view, "ip", "192.0.2.1");
    check_member(view, "channel", "webmail");
    check_member(view, "id", "<b@c>");
    check_member(view, "from", "null");
    check_member(view, "to", "3");
    check_member(view, "cc", "0");
    check_member(view, "bcc", "3");
    check_member(view, "recipients", "6");
    check_member(view, "off_domain", "3");
    check_member(view, "mode", "enforce");
    check_member(view, "exempt", "false");
    check_member(view, "more_domains", "0");
    check_member(view, "domains", "[]"); /* they explain refusals */
    ck_assert_uint_eq(length_of(view, "rules"), RULE_COUNT);
    check_member(view, "rules.1.count", "3");
    check_member(view, "rules.1.field", "to");
    check_member(view, "rules.2", /* the own domain is none of this rule's */
                 "{'rule':'recipients_per_domain','over_time':false,'limit':50,'source':"
                 "'settings','plan':null,'extra':0,'setting':'limits.webmail.recipients_per_domain','count':2,"
                 "'used_before':null,'cost':null,'used_after':null,'checked':"
                 "true,'broken':false}");
    check_member(view, "rules.5",
                 "{'rule':'off_domain_per_day','over_time':true,'limit':20,'source':'settings',"
                 "'plan':null,'extra':0,'setting':'limits.webmail.off_domain_per_day','count':null,"
                 "'used_before':4,'cost':3,'used_after':7,'checked':true,'broken':false}");
    check_member(view, "rules.6.limit", "null");
    check_member(view, "rules.6.checked", "false");
    check_member(view, "rules.6.used_before", "null");
}
END_TEST

START_TEST(explain_refused)
{
    rig_begin(_i, WITH(SMALL, "limits.webmail.recipients_per_field=2",
                       "limits.webmail.header_chars_per_domain=30"));
    do_action(&admin, "{'action':'extra','subject':'@example.test','note':'n','messages':1}", NOW);
    struct submission submission = rig_submission("big");
    rig_add(&submission, FIELD_CC, "a@x.test, b@x.test, c@y.test");
    rig_add(&submission, FIELD_TO, "\"A rather long name of one\" <d@z.test>");
    uint64_t decision = rig_judge(&submission, NOW).decision;
    struct json_object *view = view_decision(decision, NOW);
    check_member(view, "verdict", "message");
    check_member(view, "outcome", "rejected");
    check_member(view, "rules.1.count", "3");
    check_member(view, "rules.1.field", "cc");
    check_member(view, "rules.1.limit", "2");
    check_member(view, "rules.1.broken", "true");
    check_member(view, "rules.3.domain", "z.test");
    check_member(view, "rules.3.broken", "true");
    check_member(view, "rules.4.limit", "6");
    check_member(view, "rules.4.extra", "1");
    check_member(view, "rules.4.source", "settings");
    check_member(view, "rules.4.used_before", "0");
    check_member(view, "rules.4.used_after", "0");
    check_member(view, "rules.4.broken", "false");
    struct verdict verdict = send_one("never", 21, NOW);
    view = VIEW(desk_decision(rig_desk(), arena_printf(arena, " %.4s %.4s-%.4s",
                                                            id_of(verdict.decision),
                                                            id_of(verdict.decision) + 5,
                                                            id_of(verdict.decision) + 10),
                                   NOW, &made, &fault));
    check_member(view, "verdict", "message"); /* 21 recipients, 7 a field */
    uint64_t alone = 0;
    for (int i = 0; i < 7; i++)
        alone = send_one(arena_printf(arena, "%d", i), 1, NOW + i).decision;
    view = view_decision(alone, NOW + 10);
    check_member(view, "verdict", "suspended");
    check_member(view, "rules.4.used_before", "6");
    check_member(view, "rules.4.cost", "1");
    check_member(view, "rules.4.used_after", "6");
    check_member(view, "rules.4.broken", "true");
    check_member(view, "rules.5.broken", "false");
}
END_TEST

START_TEST(repeated)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=1"));
    send_one("a", 1, NOW);
    uint64_t decision = send_one("a", 1, NOW + 1).decision;
    struct json_object *view = view_decision(decision, NOW + 1);
    check_member(view, "verdict", "admitted");
    check_member(view, "rules.4.used_before", "1");
    check_member(view, "rules.4.used_after", "1");
    check_member(view, "rules.4.broken", "false");
    check_member(view_status(ALICE, decision, NOW + 1), "message.reasons", "[]");
}
END_TEST

static struct verdict from_webmail_host(const char *id, uint32_t recipients, int64_t now_ms)
{
    struct submission submission = rig_submission(id);
    submission.channel = CHANNEL_SMTP;
    submission.webmail_host = true;
    submission.unnamed = recipients;
    return rig_judge(&submission, now_ms);
}

START_TEST(redeemed)
{
    rig_begin(_i, WITH("mta.webmail_hosts=127.0.0.1", "limits.webmail.messages_per_day=1"));
    send_one("a", 1, NOW);
    uint64_t decision = from_webmail_host("smtp-1", 1, NOW + 1).decision;
    struct json_object *view = view_decision(decision, NOW + 1);
    check_member(view, "outcome", "redeemed");
    check_member(view, "verdict", "admitted");
    check_member(view, "channel", "smtp");
    check_member(view, "rules.4.setting", "limits.webmail.messages_per_day");
    check_member(view, "rules.4.used_before", "1");
    check_member(view, "rules.4.used_after", "1");
    check_member(view, "rules.4.broken", "false");
    ck_assert(!rig_has(view, "bypassed"));
    view = VIEW(desk_decisions(rig_desk(), NULL, NULL, NOW + 1, &made, &fault));
    check_member(view, "decisions.0.outcome", "redeemed");
    check_member(view, "decisions.0.rules", "[]");
    /* of the mailbox it is one message */
    check_member(view_mailbox(ALICE, NOW + 1), "windows.0.used", "1");
    ck_assert_uint_eq(length_of(view_mailbox(ALICE, NOW + 1), "timeline"), 1);
    check_member(view_status(ALICE, decision, NOW + 1), "message.reasons", "[]");
}
END_TEST

START_TEST(bypassed)
{
    rig_begin(_i, WITH("mta.webmail_hosts=127.0.0.1", "limits.webmail.messages_per_day=1"));
    uint64_t admitted = from_webmail_host("smtp-1", 2, NOW).decision;
    uint64_t rejected = from_webmail_host("smtp-2", 301, NOW + 1).decision;
    uint64_t suspended = from_webmail_host("smtp-3", 1, NOW + 2).decision;
    struct json_object *view = view_decision(admitted, NOW + 3);
    check_member(view, "bypassed", "true");
    check_member(view, "recipients", "2");
    check_member(view_decision(rejected, NOW + 3), "bypassed", "true");
    ck_assert(!rig_has(view_decision(suspended, NOW + 3), "bypassed"));
    view = view_mailbox(ALICE, NOW + 3);
    check_member(view, "timeline.2.outcome", "admitted");
    check_member(view, "timeline.2.bypassed", "true");
    check_member(view, "timeline.1.bypassed", "true");
    view = VIEW(desk_decisions(rig_desk(), ALICE, NULL, NOW + 3, &made, &fault));
    check_member(view, "decisions.2.bypassed", "true");
    send_one("of the webmail", 1, NOW + 4);
    view = VIEW(desk_decisions(rig_desk(), ALICE, NULL, NOW + 4, &made, &fault));
    ck_assert(!rig_has(rig_member(view, "decisions.0"), "bypassed"));
}
END_TEST

/* The record is what another program wrote; whatever it is, it is shown or passed over. */
START_TEST(strange_facts)
{
    static const char *const facts[] = {
        "", "[]", "{\"broken\":1,\"domains\":{},\"limits\":[],\"adjusted\":7}",
        "{\"broken\":[1,{\"rule\":\"none\"},{\"rule\":\"recipients_per_field\",\"count\":-1}],"
        "\"domains\":[3,[],[null],[\"x\",\"y\",true]],\"mailbox\":5,\"off_domain\":-3,"
        "\"limits\":{\"recipients_per_field\":99999999999,\"messages_per_day\":-7}}"};
    rig_begin(_i, WITH(SMALL));
    for (size_t i = 0; i < countof(facts); i++) {
        struct message message =
            message_of(ALICE, arena_printf(arena, "%zu", i), NOW + (int64_t)i);
        message.request.facts = facts_of(facts[i]);
        judge(&message);
        check_member(view_decision(message.request.decision, NOW + 9), "mailbox", "null");
        check_member(view_decision(message.request.decision, NOW + 9), "rules.1.count", "0");
    }
    check_member(view_mailbox(ALICE, NOW + 9), "state", "ok");
    struct json_object *view = VIEW(desk_decisions(rig_desk(), NULL, NULL, NOW + 9, &made, &fault));
    check_member(view, "decisions.0.recipients", "0");
    check_member(view_status(ALICE, 0, NOW + 9), "messages_total", "4");
}
END_TEST

/* Versions before 0.2 named the channel "door". */
START_TEST(words_of_older_records)
{
    rig_begin(_i, WITH(SMALL));
    struct message message = message_of(ALICE, "old", NOW);
    message.request.facts = facts_of("{\"door\":\"smtp\",\"mailbox\":\"" ALICE "\",\"recipients\":2}");
    judge(&message);
    check_member(view_decision(message.request.decision, NOW + 9), "channel", "smtp");
    check_member(view_mailbox(ALICE, NOW + 9), "timeline.0.channel", "smtp");
}
END_TEST

START_TEST(decisions)
{
    rig_begin(_i, WITH("limits.webmail.off_domain_per_hour_per_ip=off"));
    rig_send("m", 55, NOW, 10);
    struct submission submission = rig_submission("b");
    rig_mailbox(&submission, BOB);
    rig_add(&submission, FIELD_TO, "x@x.test");
    rig_judge(&submission, NOW + 5000);
    struct json_object *view = VIEW(desk_decisions(rig_desk(), NULL, NULL, LATER, &made, &fault));
    ck_assert_uint_eq(length_of(view, "decisions"), DESK_PAGE);
    check_member(view, "decisions.0.mailbox", BOB);
    check_member(view, "decisions.1.mailbox", ALICE);
    check_member(view, "older", rig_text(view, "decisions.49.decision"));
    view = VIEW(desk_decisions(rig_desk(), "", rig_text(view, "older"), LATER, &made,
                                    &fault));
    ck_assert_uint_eq(length_of(view, "decisions"), 6);
    check_member(view, "older", "null");
    check_member(view, "decisions.5.at", "2025-11-22T05:40:00Z");
    view = VIEW(desk_decisions(rig_desk(), "BOB@example.test", NULL, LATER, &made, &fault));
    ck_assert_uint_eq(length_of(view, "decisions"), 1);
}
END_TEST

START_TEST(simulate)
{
    rig_begin(_i, WITH(SMALL));
    struct submission submission = rig_message("seen", 3);
    rig_judge(&submission, NOW);
    struct json_object *view = NULL;
    submission.id = NULL;
    for (int i = 0; i < 7; i++)
        view = VIEW(desk_simulate(rig_desk(), &submission, NOW + 1, &made));
    check_member(view, "verdict", "admit");
    check_member(view, "dry_run", "true");
    check_member(view, "decision", "null");
    ck_assert(!rig_has(view, "repeated"));
    check_member(view, "windows.0.used", "1");
    submission = rig_message("more", 30);
    view = VIEW(desk_simulate(rig_desk(), &submission, NOW + 1, &made));
    check_member(view, "verdict", "refuse");
    check_member(view, "reasons.0.rule", "off_domain_per_day");
    check_member(view_status(ALICE, 0, NOW + 1), "messages_total", "1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk views");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {
        mailbox, shadow, limits, forwarding, plans, exempt_by,
        timeline, timeline_pages, wrong_input, explain_admitted,
        explain_refused, repeated, redeemed, bypassed, strange_facts, decisions, simulate,
        explain_refused, repeated, redeemed, bypassed, words_of_older_records, decisions, simulate,
    };
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
