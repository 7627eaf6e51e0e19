/* Actions of staff: previews and what then happens, roles and caps, wrong words. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/audit.h"
#include "store/observations.h"
#include "store/store.h"
#include "tests/unit/desk/desk_rig.h"

#define LATER (NOW + HOUR_MS)

#define ON(action) "{'action':'" action "','subject':'" ALICE "','note':'asked by telephone'"

/* ---- previews tell what then happens ------------------------------------------------ */

static void nothing(void) {}

static void fill(void)
{
    for (int i = 0; i < 5; i++)
        send_one(arena_printf(arena, "fill%d", i), 2, NOW + i * MINUTE_MS);
}

static void suspended_and_full(void)
{
    fill();
    send_one("one too many", 1, NOW + 10 * MINUTE_MS);
    send_one("again", 2, NOW + 11 * MINUTE_MS);
}

static void suspended_alone(void)
{
    do_action(&admin, ON("suspend") ",'for':'2h'}", NOW);
}

static void stopped_and_over_recipients(void)
{
    send_one("a", 18, NOW);
    send_one("b", 2, NOW + MINUTE_MS);
    do_action(&admin, ON("suspend") ",'cause':'terms','for':'permanent'}", NOW + MINUTE_MS);
}

static void adjusted(void)
{
    fill();
    do_action(&admin, ON("extra") ",'messages':3}", NOW);
    do_action(&admin, "{'action':'extra','subject':'@example.test','note':'n','messages':2}", NOW);
    do_action(&admin, ON("limit") ",'rule':'messages_per_day','value':1}", NOW);
}

static void exempted(void)
{
    suspended_and_full();
    do_action(&admin, ON("exempt") "}", NOW);
}

static void forbidden(void)
{
    do_action(&admin, ON("limit") ",'rule':'recipients_per_message','value':0}", NOW);
    do_action(&admin, ON("limit") ",'rule':'messages_per_day','value':0}", NOW);
}

static void (*const setups[])(void) = {nothing, fill, suspended_and_full, suspended_alone,
                                       stopped_and_over_recipients, adjusted, exempted, forbidden};

static const char *const requests[] = {
    ON("lift") "}",
    ON("reset") "}",
    ON("note") "}",
    ON("extra") ",'messages':1}",
    ON("extra") ",'messages':'4','off_domain':100,'for':'30m'}",
    ON("limit") ",'rule':'messages_per_day','value':3}",
    ON("limit") ",'rule':'messages_per_day','value':'100','for':'7d'}",
    ON("limit") ",'rule':'messages_per_day','value':'off'}",
    ON("limit") ",'rule':'messages_per_day','value':'default'}",
    ON("limit") ",'rule':'off_domain_per_day','value':0}",
    ON("limit") ",'rule':'messages_per_hour','value':1}",
    ON("limit") ",'rule':'recipients_per_domain','value':0}",
    ON("exempt") "}",
    ON("exempt") ",'for':'24h'}",
    ON("exempt") ",'value':'default'}",
    ON("suspend") "}",
    ON("suspend") ",'for':'90m','cause':'complaints'}",
    ON("suspend") ",'for':'permanent'}",
    "{'action':'limit','subject':'@example.test','note':'n','rule':'messages_per_day','value':7}",
    "{'action':'extra','subject':'@example.test','note':'n','off_domain':1}",
    "{'action':'exempt','subject':'@example.test','note':'n'}",
};

/* The next message by the guard itself. */
static void check_against_guard(struct json_object *view, int64_t now_ms)
{
    struct submission submission = rig_submission("next");
    struct problem problem;
    submission.ip = NULL;
    ck_assert_int_eq(submission_add_recipient(&submission, FIELD_TO, "a@b.de", 6, &problem), 1);
    struct json_object *asked =
        VIEW(desk_simulate(rig_desk(), &submission, now_ms, &made));
    ck_assert_str_eq(rig_text(view, "next.verdict"), rig_text(asked, "verdict"));
    ck_assert_str_eq(rig_text(view, "next.retry_at"), rig_text(asked, "retry_at"));
    ck_assert_uint_eq(length_of(view, "next.reasons"), length_of(asked, "reasons"));
    for (size_t i = 0; i < length_of(asked, "reasons"); i++)
        for (size_t j = 0; j < 3; j++) {
            const char *member[] = {"rule", "count", "limit"};
            ck_assert_str_eq(
                rig_text(view, arena_printf(arena, "next.reasons.%zu.%s", i, member[j])),
                rig_text(asked, arena_printf(arena, "reasons.%zu.%s", i, member[j])));
        }
}

/* One setup and one request: what is told before is so afterwards. Some cannot be: 409. */
static void check_preview(const char *words, bool of_mailbox)
{
    for (int i = 0; i < 2; i++) { /* twice: on top of itself too */
        int64_t now_ms = LATER + i;
        struct json_object *before = view_mailbox(ALICE, now_ms);
        check_against_guard(before, now_ms);
        struct json_object *request = words_of(words), *preview = NULL, *done = NULL;
        struct problem problem = {0};
        int result = desk_action(rig_desk(), &admin, request, true, now_ms, &preview, &problem);
        ck_assert_str_eq(rig_text(view_mailbox(ALICE, now_ms), "timeline"),
                         rig_text(before, "timeline"));
        if (result == 0) {
            ck_assert_int_eq(problem.status, 409);
            ck_assert_int_eq(desk_action(rig_desk(), &admin, request, false, now_ms, &done,
                                         &problem), 0);
            ck_assert_int_eq(problem.status, 409);
            return;
        }
        keep_view(preview);
        done = VIEW(desk_action(rig_desk(), &admin, request, false, now_ms, &made, &fault));
        struct json_object *after = view_mailbox(ALICE, now_ms);
        ck_assert_str_eq(rig_text(preview, "after"), rig_text(done, "after"));
        ck_assert_str_eq(rig_text(preview, "before"), rig_text(done, "before"));
        if (of_mailbox) {
            ck_assert_str_eq(rig_text(preview, "before.next"), rig_text(before, "next"));
            ck_assert_str_eq(rig_text(preview, "before.state"), rig_text(before, "state"));
            ck_assert_str_eq(rig_text(preview, "after.next"), rig_text(after, "next"));
            ck_assert_str_eq(rig_text(preview, "after.state"), rig_text(after, "state"));
            ck_assert_str_eq(rig_text(done, "suspension"), rig_text(after, "suspension"));
            ck_assert_str_eq(rig_text(preview, "suspension"), rig_text(before, "suspension"));
        }
        check_against_guard(after, now_ms);
    }
}

enum { MODES = 3 };

/* Loop: every backend with every setup. A sample has each request in one of the modes. */
static void check_all_wishes(int index, size_t which, const char *on_limit, const char *mode)
{
    const size_t every = takes_sample() ? MODES : 1, first = (which + (size_t)index) % every;
    for (size_t i = first; i < countof(requests); i += every) {
        if (i > first) {
            rig_end();
            backend_end();
        }
        rig_begin(index % BACKEND_KINDS, WITH(SMALL, on_limit, mode));
        setups[index / BACKEND_KINDS]();
        check_preview(requests[i], strstr(requests[i], "'@") == NULL);
    }
}

START_TEST(previews_come_true)
{
    check_all_wishes(_i, 0, "on_limit.messages_per_day=suspend", "guard.mode=enforce");
}
END_TEST

START_TEST(previews_come_true_refusing)
{
    check_all_wishes(_i, 1, "on_limit.messages_per_day=refuse", "guard.mode=enforce");
}
END_TEST

START_TEST(previews_come_true_observing)
{
    check_all_wishes(_i, 2, "on_limit.messages_per_day=refuse", "guard.mode=observe");
}
END_TEST

/* ---- single actions -------------------------------------------------------------------- */

START_TEST(lift_and_reset)
{
    rig_begin(_i, WITH(SMALL));
    suspended_and_full();
    struct json_object *view = preview_action(&supporter, ON("lift") "}", LATER);
    check_member(view, "action", "lift");
    check_member(view, "subject", ALICE);
    check_member(view, "before.state", "paused");
    check_member(view, "before.next.retry_at", "2025-11-23T05:50:00Z");
    check_member(view, "after", "{'state':'full','next':{'verdict':'refuse','state':'full',"
                                "'retry_at':'2025-11-23T05:40:00Z','reasons':[{'rule':"
                                "'messages_per_day','count':6,'limit':5,'excess':1,"
                                "'never_fits':false}]},'suspensions':[]}");
    check_member(view, "reset_as_well", "true");
    check_member(view, "suspension.attempts", "1");
    do_action(&supporter, ON("lift") "}", LATER);
    view = do_action(&supporter, ON("reset") "}", LATER);
    check_member(view, "after.state", "ok");
    check_member(view, "reset_as_well", "false");
    check_member(view, "suspension", "null");
    check_member(view, "mailboxes", "[]");
    ck_assert_int_eq(send_one("free", 1, LATER).kind, VERDICT_ADMIT);
    rig_check_has(refuse_action(&supporter, ON("lift") "}", LATER, 409, "subject"),
                  "not suspended");
}
END_TEST

/* Under the name of its group. Where no limit counts it there is nothing to forget. */
START_TEST(reset_of_a_domain)
{
    rig_begin(_i, WITH(SMALL, "limits.webmail.messages_per_hour_per_domain=2",
                       "domains.own_domains=example.test other.test"));
    send_one("a", 1, NOW);
    send_one("b", 1, NOW);
    ck_assert_int_eq(send_one("c", 1, NOW).kind, VERDICT_OVER_TIME);
    const char *request = "{'action':'reset','subject':'@other.test','note':'n'}";
    check_member(preview_action(&supporter, request, NOW), "done", "false");
    ck_assert_int_eq(send_one("d", 1, NOW).kind, VERDICT_OVER_TIME);
    struct json_object *view = do_action(&supporter, request, NOW);
    check_member(view, "subject", "@other.test");
    ck_assert_int_eq(send_one("e", 1, NOW).kind, VERDICT_ADMIT);
    check_member(view_mailbox(ALICE, NOW), "windows.0.used", "3");
    rig_reload(WITH(SMALL));
    rig_check_has(refuse_action(&admin, request, NOW, 409, "subject"), "no limit counts what");
}
END_TEST

/* A limit of 0 stands in the way: a reset would not help. */
START_TEST(reset_does_not_help)
{
    rig_begin(_i, WITH(SMALL, "limits.webmail.messages_per_day=0"));
    suspended_alone();
    check_member(preview_action(&admin, ON("lift") "}", NOW), "after.next.verdict", "refuse");
    check_member(preview_action(&admin, ON("lift") "}", NOW), "after.next.retry_at", "null");
    check_member(preview_action(&admin, ON("lift") "}", NOW), "reset_as_well", "false");
}
END_TEST

START_TEST(extra_ends)
{
    rig_begin(_i, WITH(SMALL));
    fill();
    struct json_object *view =
        do_action(&supporter, ON("extra") ",'messages':2,'off_domain':0,'for':'1h'}", LATER);
    check_member(view, "after.state", "ok");
    check_member(view_mailbox(ALICE, LATER + HOUR_MS - 1), "windows.0.limit", "7");
    check_member(view_mailbox(ALICE, LATER + HOUR_MS), "windows.0.limit", "5");
    check_member(view_mailbox(ALICE, LATER + HOUR_MS), "state", "full");
}
END_TEST

START_TEST(notes)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&supporter,
              "{'action':'note','subject':' Alice@EXAMPLE.test ','note':'  called twice '}",
              NOW);
    struct json_object *view = view_mailbox(ALICE, NOW);
    check_member(view, "notes.0.note", "called twice");
    check_member(view, "notes.0.by", "sam");
    check_member(view, "notes.0.subject", ALICE);
    check_member(view, "timeline.0.kind", "action");
    check_member(view, "state", "ok");
}
END_TEST

/* By the settings, one step further with each offence; replaced by the next. */
START_TEST(suspend)
{
    rig_begin(_i, WITH(SMALL, "suspension.complaints=24h, 72h, permanent"));
    struct json_object *view = do_action(&supporter, ON("suspend") ",'cause':'complaints'}", NOW);
    check_member(view, "suspension.until", "2025-11-23T05:40:00Z");
    check_member(view, "suspension.by", "sam");
    check_member(view, "suspension.note", "asked by telephone");
    check_member(view, "after.state", "paused");
    view = preview_action(&supporter, ON("suspend") ",'cause':'complaints'}", NOW);
    check_member(view, "after.next.retry_at", "2025-11-25T05:40:00Z");
    view = do_action(&supporter, ON("suspend") ",'cause':'complaints'}", NOW);
    check_member(view, "suspension.offence", "2");
    check_member(view, "after.next.retry_at", "2025-11-25T05:40:00Z");
    view = do_action(&supporter, ON("suspend") "}", NOW);
    check_member(view, "suspension.cause", "complaints");
    check_member(view, "suspensions.1.cause", "staff");
    /* those that ended count for 30 days */
    do_action(&supporter, ON("lift") ",'cause':'staff'}", NOW);
    do_action(&supporter, ON("lift") "}", NOW);
    static const int64_t days[] = {29, 30};
    for (size_t i = 0; i < countof(days); i++) {
        int64_t now_ms = NOW + days[i] * DAY_MS;
        struct json_object *recorded =
            preview_action(&supporter, ON("suspend") ",'cause':'complaints'}", now_ms);
        check_member(recorded, "after.state", i == 0 ? "stopped" : "paused");
        view = do_action(&supporter, ON("suspend") ",'cause':'complaints'}", now_ms);
        ck_assert_str_eq(rig_text(view, "after"), rig_text(recorded, "after"));
        do_action(&supporter, ON("lift") "}", now_ms);
    }
}
END_TEST

/* 409 with what can be lifted, and nothing is done. */
static void check_refused_lift(const char *words, const char *where, const char *text)
{
    struct json_object *view = NULL, *request = rig_json(words, strlen(words));
    struct problem problem;
    for (int preview = 0; preview < 2; preview++) {
        ck_assert_int_eq(desk_action(rig_desk(), &supporter, request, preview > 0, NOW, &view,
                                     &problem), 0);
        ck_assert_int_eq(problem.status, 409);
        ck_assert_str_eq(problem.where, where);
        ck_assert_str_eq(problem.text, text);
    }
    json_object_put(request);
}

/* One of several: it is named, the others stay, and the preview says what holds afterwards. */
START_TEST(lift_one_of_several)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&supporter, ON("suspend") ",'cause':'volume','for':'2h'}", NOW);
    do_action(&supporter, ON("suspend") ",'cause':'terms'}", NOW);
    struct json_object *view =
        do_action(&supporter, ON("suspend") ",'cause':'identity','for':'1h'}", NOW);
    check_member(view, "after.suspensions.0.cause", "terms");
    check_member(view, "after.suspensions.2.cause", "identity");
    check_refused_lift("{\"action\":\"lift\",\"subject\":\"" ALICE "\",\"note\":\"n\"}", "cause",
                       "it is suspended more than once: expected terms, volume or identity");
    check_refused_lift("{\"action\":\"lift\",\"subject\":\"" ALICE "\",\"note\":\"n\","
                       "\"cause\":\"staff\"}", "cause",
                       "it is not suspended for staff: expected terms, volume or identity");
    check_refused_lift("{\"action\":\"lift\",\"subject\":\"" BOB "\",\"note\":\"n\","
                       "\"cause\":\"staff\"}", "subject", "it is not suspended");
    view = view_mailbox(ALICE, NOW);
    check_member(view, "suspension.cause", "terms");
    check_member(view, "suspensions.2.cause", "identity");
    view = preview_action(&supporter, ON("lift") ",'cause':'terms'}", NOW);
    check_member(view, "before.state", "stopped");
    check_member(view, "after.state", "paused");
    check_member(view, "after.suspensions.0.cause", "volume");
    check_member(view, "after.suspensions.0.until", "2025-11-22T07:40:00Z");
    check_member(view, "after.suspensions.1.cause", "identity");
    check_member(view, "suspensions.0.cause", "terms");
    struct json_object *done = do_action(&supporter, ON("lift") ",'cause':'terms'}", NOW);
    ck_assert_str_eq(rig_text(done, "after"), rig_text(view, "after"));
    check_member(done, "suspension.cause", "volume");
    do_action(&supporter, ON("lift") ",'cause':'identity'}", NOW);
    done = do_action(&supporter, ON("lift") "}", NOW); /* there is one left */
    check_member(done, "suspension", "null");
    ck_assert_str_eq(rig_text(done, "suspensions"), "[]");
}
END_TEST

/* A preview says the end that a suspension of the same cause gets, which is never an earlier one. */
START_TEST(suspend_again)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&supporter, ON("suspend") ",'for':'3h'}", NOW);
    struct json_object *view = preview_action(&supporter, ON("suspend") ",'for':'1h'}", NOW);
    check_member(view, "after.suspensions.0.until", "2025-11-22T08:40:00Z");
    struct json_object *done = do_action(&supporter, ON("suspend") ",'for':'1h'}", NOW);
    ck_assert_str_eq(rig_text(done, "after"), rig_text(view, "after"));
    check_member(done, "suspension.offence", "2");
}
END_TEST

/* What a message brought and staff lifted is an offence too, although no action made it. */
START_TEST(suspend_after_the_guard)
{
    rig_begin(_i, WITH(SMALL, "suspension.volume=24h, 72h"));
    suspended_and_full();
    do_action(&admin, ON("lift") "}", LATER);
    static const char words[] = ON("suspend") ",'cause':'volume'}";
    struct json_object *recorded = preview_action(&admin, words, LATER);
    struct json_object *done = do_action(&admin, words, LATER);
    check_member(done, "suspension.offence", "2");
    check_member(done, "suspension.until", "2025-11-25T06:40:00Z");
    ck_assert_str_eq(rig_text(recorded, "after"), rig_text(done, "after"));
    ck_assert_str_eq(rig_text(done, "after.next"), rig_text(view_mailbox(ALICE, LATER), "next"));
}
END_TEST

START_TEST(domain)
{
    rig_begin(_i, WITH(SMALL));
    const struct observed_sender seen[] = {{ALICE, "example.test", "192.0.2.1", NOW},
                                    {BOB, "example.test", "192.0.2.2", NOW}};
    fill();
    ck_assert_int_eq(store_observe(store, &(struct observations){.senders = seen,
                                                                 .sender_count = 2}, NOW), 1);
    struct json_object *view = preview_action(
        &admin, "{'action':'limit','subject':'@Example.TEST','note':'n','rule':'messages_per_day',"
                "'value':0}", LATER);
    check_member(view, "subject", "@example.test");
    check_member(view, "before.state", "ok");
    check_member(view, "after.state", "full");
    check_member(view, "after.next.reasons.0.never_fits", "true");
    check_member(view, "suspension", "null");
    check_member(view, "more_mailboxes", "false");
    check_member(view, "mailboxes",
                 "[{'mailbox':'alice@example.test','last_at':'2025-11-22T05:40:00Z','messages':5,"
                 "'off_domain':10,'suspended':false},{'mailbox':'bob@example.test','last_at':"
                 "'2025-11-22T05:40:00Z','messages':0,'off_domain':0,'suspended':false}]");
}
END_TEST

/* ---- roles ------------------------------------------------------------------------------ */

START_TEST(viewers_look)
{
    rig_begin(_i, WITH(SMALL));
    suspended_and_full();
    for (size_t i = 0; i < countof(requests); i++) {
        if (strstr(requests[i], "'default'") != NULL)
            continue;
        rig_check_has(refuse_action(&viewer, requests[i], LATER, 403, ""), "not act");
        struct json_object *view = preview_action(&viewer, requests[i], LATER);
        check_member(view, "allowed", "false");
        rig_check_has(rig_text(view, "why_not"), "not act");
    }
    check_member(view_mailbox(ALICE, LATER), "state", "paused");
}
END_TEST

#define OF_DOMAIN(action) "{'action':'" action "','subject':'@example.test','note':'n'"
static const struct {
    const char *words;
    bool allowed;
} by_support[] = {
    {ON("exempt") "}", false},
    {ON("exempt") ",'value':'default'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':'off','for':'1d'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':15,'for':'7d'}", true}, /* 5 and 10 */
    {ON("limit") ",'rule':'messages_per_day','value':15,'for':'8d'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':15,'for':'permanent'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':15}", false},
    {ON("limit") ",'rule':'messages_per_day','value':16,'for':'1d'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':5,'for':'1d'}", true},
    {ON("limit") ",'rule':'messages_per_day','value':4,'for':'1d'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':0,'for':'1d'}", false},
    {ON("limit") ",'rule':'messages_per_day','value':'default'}", true},
    {ON("limit") ",'rule':'recipients_per_message','value':310,'for':'1d'}", true}, /* 300 */
    {ON("limit") ",'rule':'recipients_per_message','value':311,'for':'1d'}", false},
    {ON("limit") ",'rule':'messages_per_hour','value':99,'for':'1d'}", false}, /* off at both channels */
    {OF_DOMAIN("limit") ",'rule':'messages_per_day','value':15,'for':'1d'}", false},
    {OF_DOMAIN("limit") ",'rule':'messages_per_day','value':5,'for':'1d'}", false},
    {OF_DOMAIN("limit") ",'rule':'messages_per_day','value':0}", false},
    {OF_DOMAIN("extra") ",'messages':10,'for':'7d'}", true},
    {OF_DOMAIN("extra") ",'messages':10,'for':'3650d'}", false},
    {ON("extra") ",'messages':10,'off_domain':10}", true},
    {ON("extra") ",'messages':10,'for':'7d'}", true},
    {ON("extra") ",'messages':10,'for':'169h'}", false},
    {ON("extra") ",'messages':1,'off_domain':1,'for':'3650d'}", false},
    {ON("extra") ",'messages':11}", false},
    {ON("extra") ",'messages':1,'off_domain':11}", false},
    {ON("suspend") ",'for':'permanent'}", true},
};

/* What administrators did is undone, and done anew. */
static void lift_all(void)
{
    static const char *const undone[] = {
        ON("extra") ",'messages':1,'off_domain':1,'for':'1s'}",
        OF_DOMAIN("extra") ",'messages':1,'for':'1s'}",
        OF_DOMAIN("limit") ",'rule':'messages_per_day','value':5,'for':'1s'}",
        ON("limit") ",'rule':'messages_per_hour','value':'off','for':'1s'}",
        ON("limit") ",'rule':'recipients_per_message','value':300,'for':'1s'}",
        ON("limit") ",'rule':'messages_per_day','value':5,'for':'1d'}",
        ON("exempt") ",'for':'1s'}",
    };
    for (size_t i = 0; i < countof(undone); i++)
        do_action(&admin, undone[i], NOW - 2 * SECOND_MS);
    do_action(&admin, ON("limit") ",'rule':'messages_per_day','value':5,'for':'1d'}", NOW);
    do_action(&admin, ON("exempt") ",'for':'1s'}", NOW);
}

START_TEST(caps)
{
    rig_begin(_i, WITH(SMALL, "desk.max_extra=10"));
    do_action(&admin, ON("limit") ",'rule':'messages_per_day','value':5,'for':'1d'}", NOW);
    do_action(&admin, ON("exempt") ",'for':'1s'}", NOW);
    for (size_t i = 0; i < countof(by_support); i++) {
        struct json_object *view = preview_action(&supporter, by_support[i].words, NOW);
        ck_assert_msg(json_is_true(view, "allowed") == by_support[i].allowed, "%s",
                      by_support[i].words);
        ck_assert(rig_member(view, "why_not") == NULL || !by_support[i].allowed);
        if (!by_support[i].allowed) {
            refuse_action(&supporter, by_support[i].words, NOW, 403, "");
            do_action(&admin, by_support[i].words, NOW);
            lift_all();
        }
    }
}
END_TEST

/* Actions that role support may do one by one, and the one that would then be too much: the limit is
 * 5, and 10 may be added. */
#define MESSAGES_LIMIT ",'rule':'messages_per_day','value':"
#define HOURLY_LIMIT ",'rule':'messages_per_hour','value':"
#define FOR_A_DAY ",'for':'1d'}"
static const struct {
    const char *admin[2], *given, *more;
    bool allowed;
} in_all[] = {
    {{NULL}, ON("extra") ",'messages':10}", ON("extra") ",'messages':10}", true},
    {{NULL}, ON("extra") ",'messages':10}", ON("extra") ",'messages':1}", true},
    {{NULL}, ON("extra") ",'messages':6}", OF_DOMAIN("extra") ",'messages':4}", true},
    {{NULL}, ON("extra") ",'messages':6}", OF_DOMAIN("extra") ",'messages':5}", false},
    {{NULL}, OF_DOMAIN("extra") ",'messages':6}", ON("extra") ",'messages':5}", false},
    {{NULL}, ON("limit") MESSAGES_LIMIT "15" FOR_A_DAY, ON("extra") ",'messages':1}", false},
    {{NULL}, ON("limit") MESSAGES_LIMIT "15" FOR_A_DAY, ON("limit") MESSAGES_LIMIT "5" FOR_A_DAY,
     true},
    {{NULL}, ON("extra") ",'messages':10}", ON("limit") MESSAGES_LIMIT "6" FOR_A_DAY, false},
    {{NULL}, ON("extra") ",'messages':10}", ON("limit") MESSAGES_LIMIT "5" FOR_A_DAY, true},
    {{OF_DOMAIN("limit") MESSAGES_LIMIT "15}"}, NULL, ON("extra") ",'messages':1}", false},
    /* the mailbox's own limit hides the domain's for a second */
    {{OF_DOMAIN("limit") MESSAGES_LIMIT "15}", ON("limit") MESSAGES_LIMIT "1,'for':'1s'}"}, NULL,
     ON("extra") ",'messages':10}", false},
    {{ON("exempt") ",'for':'1s'}"}, ON("limit") MESSAGES_LIMIT "15" FOR_A_DAY,
     ON("extra") ",'messages':1}", false},
    /* what an administrator put higher may get as much, and stays so */
    {{ON("limit") MESSAGES_LIMIT "100}"}, NULL, ON("extra") ",'messages':10}", true},
    {{ON("limit") MESSAGES_LIMIT "100}"}, OF_DOMAIN("extra") ",'messages':10}",
     ON("extra") ",'messages':1}", false},
    {{ON("extra") ",'messages':50}"}, NULL, ON("limit") MESSAGES_LIMIT "5" FOR_A_DAY, true},
    {{ON("extra") ",'messages':50}"}, NULL, OF_DOMAIN("extra") ",'messages':1}", false},
    /* nor does it take its place, whether it is higher, lower, or lasts longer */
    {{ON("extra") ",'messages':50}"}, NULL, ON("extra") ",'messages':10}", false},
    {{ON("extra") ",'messages':5,'for':'30d'}"}, NULL, ON("extra") ",'messages':10}", false},
    {{OF_DOMAIN("extra") ",'messages':5,'for':'30d'}"}, NULL, OF_DOMAIN("extra") ",'messages':6}",
     false},
    {{ON("limit") MESSAGES_LIMIT "10}"}, NULL, ON("limit") MESSAGES_LIMIT "11" FOR_A_DAY, false},
    {{ON("limit") MESSAGES_LIMIT "1}"}, NULL, ON("limit") MESSAGES_LIMIT "'default'}", false},
    {{ON("limit") MESSAGES_LIMIT "100" FOR_A_DAY}, NULL, ON("limit") MESSAGES_LIMIT "5" FOR_A_DAY,
     false},
    {{ON("limit") MESSAGES_LIMIT "100" FOR_A_DAY}, NULL, ON("limit") MESSAGES_LIMIT "'default'}",
     false},
    {{ON("limit") MESSAGES_LIMIT "'off'" FOR_A_DAY}, NULL, ON("limit") MESSAGES_LIMIT "9" FOR_A_DAY,
     false},
    /* a limit that the settings do not have: what may be added is added to the domain's */
    {{OF_DOMAIN("limit") HOURLY_LIMIT "3}"}, NULL, ON("limit") HOURLY_LIMIT "13" FOR_A_DAY, true},
    {{OF_DOMAIN("limit") HOURLY_LIMIT "3}"}, NULL, ON("limit") HOURLY_LIMIT "14" FOR_A_DAY, false},
    {{OF_DOMAIN("limit") HOURLY_LIMIT "3}"}, ON("limit") HOURLY_LIMIT "13" FOR_A_DAY,
     ON("limit") HOURLY_LIMIT "14" FOR_A_DAY, false},
    {{OF_DOMAIN("limit") HOURLY_LIMIT "3}"}, ON("limit") HOURLY_LIMIT "13" FOR_A_DAY,
     ON("limit") HOURLY_LIMIT "'default'}", true},
    /* the domain's limit is no less than the settings' */
    {{OF_DOMAIN("limit") MESSAGES_LIMIT "9}"}, NULL, ON("limit") MESSAGES_LIMIT "9" FOR_A_DAY, true},
    {{OF_DOMAIN("limit") MESSAGES_LIMIT "3}"}, NULL, ON("limit") MESSAGES_LIMIT "3" FOR_A_DAY, true},
};

START_TEST(caps_in_all)
{
    const typeof(in_all[0]) *one = &in_all[_i / BACKEND_KINDS];
    rig_begin(_i % BACKEND_KINDS, WITH(SMALL, "desk.max_extra=10"));
    for (size_t i = 0; i < countof(one->admin) && one->admin[i] != NULL; i++)
        do_action(&admin, one->admin[i], NOW);
    if (one->given != NULL)
        do_action(&supporter, one->given, NOW);
    struct json_object *view = preview_action(&supporter, one->more, NOW);
    ck_assert_msg(json_is_true(view, "allowed") == one->allowed, "%s", one->more);
    if (one->allowed)
        do_action(&supporter, one->more, NOW);
    else
        rig_check_has(refuse_action(&supporter, one->more, NOW, 403, ""), "desk.max_extra");
}
END_TEST

/* What an administrator lowered for a mailbox, for however short a time, only administrators loosen. */
START_TEST(lowered_by_an_administrator)
{
    static const char *const loosened[] = {
        ON("limit") MESSAGES_LIMIT "2" FOR_A_DAY, ON("limit") MESSAGES_LIMIT "5" FOR_A_DAY,
        ON("limit") MESSAGES_LIMIT "'default'}",  ON("extra") ",'messages':1}",
        OF_DOMAIN("extra") ",'messages':1}",
    };
    rig_begin(_i, WITH(SMALL, "desk.max_extra=10"));
    do_action(&admin, ON("limit") MESSAGES_LIMIT "1" FOR_A_DAY, NOW);
    for (size_t i = 0; i < countof(loosened); i++) {
        check_member(preview_action(&supporter, loosened[i], NOW), "allowed", "false");
        rig_check_has(refuse_action(&supporter, loosened[i], NOW, 403, ""), "ask an administrator");
    }
    do_action(&supporter, ON("extra") ",'off_domain':1}", NOW); /* another rule */
    do_action(&admin, ON("limit") MESSAGES_LIMIT "5" FOR_A_DAY, NOW + 1);
    do_action(&supporter, ON("extra") ",'messages':1}", NOW + 2);
}
END_TEST

/* Limits of forwarding hold nobody back where nothing forwards. Where something does, role support
 * keeps to them as well, and lowers nothing on the other channels. */
static const struct {
    bool forwards;
    const char *words;
    bool allowed;
} beside_forwarding[] = {
    {false, ON("limit") MESSAGES_LIMIT "2300" FOR_A_DAY, true},
    {false, ON("limit") MESSAGES_LIMIT "2501" FOR_A_DAY, false},
    {false, ON("limit") MESSAGES_LIMIT "600" FOR_A_DAY, false},
    {false, ON("limit") MESSAGES_LIMIT "1999" FOR_A_DAY, false},
    {false, ON("extra") ",'messages':500}", true},
    {true, ON("limit") MESSAGES_LIMIT "2300" FOR_A_DAY, false},
    {true, ON("limit") MESSAGES_LIMIT "600" FOR_A_DAY, false},
    {true, ON("limit") MESSAGES_LIMIT "1000" FOR_A_DAY, false},
    {true, ON("extra") ",'messages':500}", true},
    {true, ON("extra") ",'messages':501}", false},
};

START_TEST(caps_and_forwarding)
{
    const typeof(beside_forwarding[0]) *one = &beside_forwarding[_i / BACKEND_KINDS];
    rig_begin(_i % BACKEND_KINDS,
              WITH("limits.webmail.messages_per_day=2000", "limits.smtp.messages_per_day=2000",
                   "desk.max_extra=500",
                   one->forwards ? "mta.forwarding_networks=192.0.2.7" : "mta.forwarding_networks=none"));
    struct json_object *view = preview_action(&supporter, one->words, NOW);
    ck_assert_msg(json_is_true(view, "allowed") == one->allowed, "%s", one->words);
    if (one->allowed)
        do_action(&supporter, one->words, NOW);
    else
        refuse_action(&supporter, one->words, NOW, 403, "");
}
END_TEST

/* Forwarding has the higher limit: nothing may be lowered there either. */
START_TEST(caps_below_forwarding)
{
    rig_begin(_i, WITH(SMALL, "limits.forwarding.messages_per_day=12", "desk.max_extra=10",
                       "mta.forwarding_networks=192.0.2.7"));
    rig_check_has(refuse_action(&supporter, ON("limit") MESSAGES_LIMIT "11" FOR_A_DAY, NOW, 403,
                                ""),
                  "less than the 12");
    do_action(&supporter, ON("limit") MESSAGES_LIMIT "12" FOR_A_DAY, NOW);
}
END_TEST

/* What the refusal says: the cap, and who can. */
START_TEST(caps_are_named)
{
    static const struct {
        const char *words, *text;
    } cases[] = {
        {ON("extra") ",'messages':1,'for':'3650d'}",
         "it is longer than the 36h that your role may change limits for (desk.max_extra_for); "
         "say for how long, or ask an administrator"},
        {ON("limit") MESSAGES_LIMIT "6}", "without an end it is longer than the 36h"},
        {ON("limit") MESSAGES_LIMIT "4,'for':'1h'}",
         "4 is less than the 5 that hold without a limit of its own, and your role may not lower "
         "them; ask an administrator, or suspend the mailbox"},
        {OF_DOMAIN("limit") MESSAGES_LIMIT "0}", "a limit of a whole domain; ask an administrator"},
        {OF_DOMAIN("limit") MESSAGES_LIMIT "'default'}", "a limit of a whole domain"},
        {ON("limit") ",'rule':'messages_per_hour','value':9,'for':'1h'}",
         "there is no messages_per_hour here"},
    };
    rig_begin(_i, WITH(SMALL, "desk.max_extra_for=36h"));
    for (size_t i = 0; i < countof(cases); i++)
        rig_check_has(refuse_action(&supporter, cases[i].words, NOW, 403, ""), cases[i].text);
    rig_reload(WITH(SMALL, "desk.max_extra_for=48h")); /* as the settings write it, no 2d */
    rig_check_has(refuse_action(&supporter, cases[0].words, NOW, 403, ""), "longer than the 48h");
    do_action(&admin, OF_DOMAIN("limit") MESSAGES_LIMIT "0}", NOW);
    /* the only limit there is: without it there is none */
    do_action(&admin, ON("limit") HOURLY_LIMIT "3,'for':'1h'}", NOW);
    rig_check_has(refuse_action(&supporter, ON("limit") HOURLY_LIMIT "'default'}", NOW, 403, ""),
                  "may not switch a limit off");
}
END_TEST

START_TEST(resets_a_day)
{
    const struct person other = {"olga", ROLE_SUPPORT};
    rig_begin(_i, WITH(SMALL, "desk.max_resets_per_day=2"));
    do_action(&supporter, ON("reset") "}", NOW);
    for (int i = 0; i < 3; i++) /* previews are none */
        check_member(preview_action(&supporter, ON("reset") "}", NOW + 1), "allowed", "true");
    do_action(&supporter, ON("reset") "}", NOW + 2);
    check_member(preview_action(&supporter, ON("reset") "}", NOW + 3), "allowed", "false");
    rig_check_has(refuse_action(&supporter, ON("reset") "}", NOW + 3, 403, ""), "2 times");
    do_action(&other, ON("reset") "}", NOW + 3);
    do_action(&admin, ON("reset") "}", NOW + 3);
    refuse_action(&supporter, ON("reset") "}", NOW + DAY_MS - 1, 403, "");
    check_member(preview_action(&supporter, ON("reset") "}", NOW + DAY_MS), "allowed", "true");
    do_action(&supporter, ON("reset") "}", NOW + DAY_MS);
    refuse_action(&supporter, ON("reset") "}", NOW + DAY_MS, 403, "");
    rig_reload(WITH(SMALL, "desk.max_resets_per_day=0"));
    refuse_action(&other, ON("reset") "}", NOW + 3 * DAY_MS, 403, "");
    check_member(preview_action(&other, ON("reset") "}", NOW + 3 * DAY_MS), "allowed", "false");
}
END_TEST

/* ---- wrong words -------------------------------------------------------------------------- */

static const struct {
    const char *words, *where;
} wrong[] = {
    {"{}", "action"},
    {"{'action':'close','subject':'a@x.test','note':'n'}", "action"},
    {"{'action':['lift'],'subject':'a@x.test','note':'n'}", "action"},
    {"{'action':'note','note':'n'}", "subject"},
    {"{'action':'note','subject':'','note':'n'}", "subject"},
    {"{'action':'note','subject':'alice','note':'n'}", "subject"},
    {"{'action':'note','subject':'a@x.test, b@x.test','note':'n'}", "subject"},
    {"{'action':'note','subject':'@x.test','note':'n'}", "subject"},
    {"{'action':'suspend','subject':'@x.test','note':'n'}", "subject"},
    {"{'action':'exempt','subject':'@','note':'n'}", "subject"},
    {"{'action':'exempt','subject':'@x..test','note':'n'}", "subject"},
    {"{'action':'note','subject':'a\\u0000@x.test','note':'n'}", "subject"},
    {"{'action':'note','subject':'a@x.test'}", "note"},
    {"{'action':'note','subject':'a@x.test','note':' \\n '}", "note"},
    {"{'action':'note','subject':'a@x.test','note':null}", "note"},
    {"{'action':'note','subject':'a@x.test','note':true}", "note"},
    {"{'action':'note','subject':'a@x.test','note':'a\\nb'}", "note"},
    {"{'action':'note','subject':'a@x.test','note':'\\u001b[2J'}", "note"},
    {"{'action':'note','subject':'a@x.test','note':'n','for':'1h'}", "for"},
    {"{'action':'lift','subject':'a@x.test','note':'n','cause':'bad luck'}", "cause"},
    {"{'action':'reset','subject':'a@x.test','note':'n','cause':'terms'}", "cause"},
    {"{'action':'lift','subject':'a@x.test','note':'n','by':'ada'}", "by"},
    {"{'action':'lift','subject':'a@x.test','note':'n','\\u001b':1}", "body"},
    {ON("suspend") ",'cause':'bad luck'}", "cause"},
    {ON("suspend") ",'for':'tomorrow'}", "for"},
    {ON("suspend") ",'for':'24h, 72h'}", "for"},
    {ON("suspend") ",'for':'0h'}", "for"},
    {ON("suspend") ",'for':'9999d'}", "for"},
    {ON("suspend") ",'for':'-1h'}", "for"},
    {ON("suspend") ",'for':24}", "for"},
    {ON("suspend") ",'messages':1}", "messages"},
    {ON("extra") "}", "messages"},
    {ON("extra") ",'messages':0,'off_domain':0}", "messages"},
    {ON("extra") ",'messages':-1}", "messages"},
    {ON("extra") ",'messages':1.5}", "messages"},
    {ON("extra") ",'messages':'many'}", "messages"},
    {ON("extra") ",'messages':1,'off_domain':1000000001}", "off_domain"},
    {ON("extra") ",'off_domain':9223372036854775807}", "off_domain"},
    {ON("extra") ",'messages':1,'for':'permanent'}", "for"},
    {ON("limit") ",'value':5}", "rule"},
    {ON("limit") ",'rule':'messages','value':5}", "rule"},
    {ON("limit") ",'rule':'messages_per_day'}", "value"},
    {ON("limit") ",'rule':'messages_per_day','value':-1}", "value"},
    {ON("limit") ",'rule':'messages_per_day','value':'none'}", "value"},
    {ON("limit") ",'rule':'messages_per_day','value':1000000001}", "value"},
    {ON("limit") ",'rule':'messages_per_day','value':5,'for':'x'}", "for"},
    {ON("exempt") ",'value':'off'}", "value"},
    {ON("exempt") ",'rule':'messages_per_day'}", "rule"},
};

START_TEST(wrong_words)
{
    rig_begin(_i, WITH(SMALL));
    for (size_t i = 0; i < countof(wrong); i++)
        refuse_action(&admin, wrong[i].words, NOW, 400, wrong[i].where);
    struct audit none;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit(store, 0, &none, &page), 1);
    ck_assert_uint_eq(page.count, 0);
}
END_TEST

START_TEST(lengths_of_notes)
{
    rig_begin(_i, WITH(SMALL));
    for (int length = 255; length <= 256; length++) {
        char *note = arena_alloc(arena, (size_t)length + 1);
        memset(note, 'n', (size_t)length);
        const char *words =
            arena_printf(arena, "{'action':'note','subject':'" ALICE "','note':'%s'}", note);
        if (length == 255) {
            do_action(&supporter, words, NOW);
            check_member(view_mailbox(ALICE, NOW), "notes.0.note", note);
        } else {
            rig_check_has(refuse_action(&supporter, words, NOW, 400, "note"), "255");
        }
    }
    char *note = arena_alloc(arena, 5001);
    memset(note, 'n', 5000);
    refuse_action(&supporter,
                  arena_printf(arena, "{'action':'note','subject':'" ALICE "','note':'%s'}",
                               note), NOW,
                  400, "note");
}
END_TEST

START_TEST(own_limit_alone_ends)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, "{'action':'limit','subject':'@example.test','note':'n','rule':"
                   "'messages_per_day','value':9}", NOW);
    rig_check_has(refuse_action(&admin, ON("limit") ",'rule':'messages_per_day','value':'default'}",
                                NOW, 409, "subject"), "messages_per_day");
    refuse_action(&admin, ON("exempt") ",'value':'default'}", NOW, 409, "subject");
    do_action(&admin, "{'action':'limit','subject':'@example.test','note':'n','rule':"
                   "'messages_per_day','value':'default'}", NOW);
    check_member(view_mailbox(ALICE, NOW), "windows.0.limit", "5");
}
END_TEST

START_TEST(store_away)
{
    rig_begin(_i, WITH(SMALL));
    struct store *away = backend_open("redis+unix:///nowhere/redis.sock", 200);
    const struct desk desk = {away, guard, token_key};
    struct json_object *view = NULL;
    struct problem problem;
    for (size_t i = 0; i < countof(requests); i++) {
        struct json_object *request = words_of(requests[i]);
        ck_assert_int_eq(desk_action(&desk, &admin, request, false, NOW, &view, &problem), -1);
        ck_assert_int_eq(desk_action(&desk, &admin, request, true, NOW, &view, &problem), -1);
    }
    ck_assert_ptr_null(view);
    store_free(&away);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk actions");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {
        lift_and_reset, reset_of_a_domain, reset_does_not_help, extra_ends, notes, suspend,
        suspend_again, lift_one_of_several, suspend_after_the_guard, domain, viewers_look, caps, caps_are_named,
        lowered_by_an_administrator, caps_below_forwarding,
        resets_a_day, wrong_words,
        lengths_of_notes, own_limit_alone_ends, store_away,
    };
    const TTest *const properties[MODES] = {previews_come_true, previews_come_true_refusing,
                                       previews_come_true_observing};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    for (size_t i = 0; i < countof(properties); i++)
        tcase_add_loop_test(cases, properties[i], 0, BACKEND_KINDS * (int)countof(setups));
    tcase_add_loop_test(cases, caps_and_forwarding, 0,
                        BACKEND_KINDS * (int)countof(beside_forwarding));
    tcase_add_loop_test(cases, caps_in_all, 0, BACKEND_KINDS * (int)countof(in_all));
    return backends_run(suite);
}
