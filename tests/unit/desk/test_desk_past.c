/* How it stood at a moment of the past is what was seen at that moment: windows, limits and suspensions,
 * to the number. */
#include <string.h>

#include "base/json.h"
#include "tests/unit/desk/desk_rig.h"
#include "tests/unit/store/chance.h"

#define LIMITS                                                                              \
    "limits.webmail.messages_per_day=9", "limits.smtp.messages_per_day=7",                  \
        "limits.webmail.off_domain_per_day=40", "limits.smtp.off_domain_per_day=40",        \
        "limits.webmail.messages_per_hour=6", "limits.smtp.messages_per_hour=off",          \
        "limits.webmail.off_domain_per_hour_per_ip=off", "suspension.volume=2h, 3h",        \
        "mta.forwarding_networks=192.0.2.0/24", "log.keep_admitted=8d",                     \
        "suspension.retries_before_restart=3", "plan.school.messages_per_day=4"

enum { STEPS = 500, MOMENTS = 150 };

static struct {
    int64_t at_ms;
    struct json_object *seen;
} moments[MOMENTS];
static size_t moment_count, rules_known;

static void send_somehow(int number, int64_t now_ms)
{
    struct submission submission = rig_submission(arena_printf(arena, "m%d", number));
    int kind = below(10);
    submission.channel = kind == 0 ? CHANNEL_FORWARDING : kind < 4 ? CHANNEL_SMTP : CHANNEL_WEBMAIL;
    rig_mailbox(&submission, percent(60) ? ALICE : BOB);
    rig_add(&submission, FIELD_TO, "own@example.test");
    rig_add_many(&submission, 1 + below(8), arena_printf(arena, "r%d-", number), "x.test");
    rig_judge(&submission, now_ms);
}

/* Something that staff does to ALICE, or to her domain. */
static void act_somehow(int number, int64_t now_ms)
{
    const struct action action = {now_ms, "anna", arena_printf(arena, "note %d", number)};
    const struct durations durations = {1, {(1 + below(5)) * HOUR_MS}};
    static const enum cause causes[] = {CAUSE_STAFF, CAUSE_TERMS, CAUSE_VOLUME};
    enum cause cause = causes[below(3)];
    struct adjustment adjustment = {
        .rule = RULE_FIRST_OVER_TIME + (enum rule)below(2), .kind = (enum adjust_kind)below(2),
        .value = below(12), .removed = percent(30),
        .until_ms = percent(50) ? UNTIL_LIFTED : now_ms + (1 + below(9)) * HOUR_MS};
    struct suspension made;
    strcpy(adjustment.subject, percent(50) ? ALICE : "@example.test");
    if (percent(10))
        adjustment = (struct adjustment){.subject = ALICE, .kind = ADJUST_EXEMPT,
                                         .removed = percent(60), .until_ms = now_ms + HOUR_MS};
    else if (percent(20)) {
        adjustment.kind = ADJUST_PLAN;
        adjustment.rule = 0;
        strcpy(adjustment.plan, percent(50) ? "school" : "gone");
    }
    switch (below(6)) {
    case 0:
        ck_assert_int_eq(store_suspend(store, ALICE, cause, &durations, &action, &made), 1);
        break;
    case 1:
    case 2: ck_assert_int_ge(store_lift(store, ALICE, cause, &action), 0); break;
    case 3: ck_assert_int_eq(store_reset(store, ALICE, &action), 1); break;
    default: ck_assert_int_eq(store_adjust(store, &adjustment, &action), 1);
    }
    guard_outdate_limits(guard);
}

static struct json_object *past(const char *mailbox, int64_t at_ms, int64_t now_ms)
{
    struct json_object *holder = json_object_new_object();
    json_add_moment(holder, "at", at_ms);
    keep_view(holder);
    return VIEW(desk_past(rig_desk(), mailbox, rig_text(holder, "at"), NULL, 0, now_ms, &made,
                          &fault));
}

/* A failure says where they begin to differ. */
static void check_same(struct json_object *then, struct json_object *now, const char *path)
{
    const char *seen = rig_text(then, path), *told = rig_text(now, path);
    size_t same = 0;
    while (seen[same] != '\0' && seen[same] == told[same])
        same++;
    ck_assert_msg(seen[same] == told[same], "%s: seen was …%.300s, told is …%.300s", path,
                  seen + (same > 100 ? same - 100 : 0), told + (same > 100 ? same - 100 : 0));
}

static void check_moment(int64_t at_ms, struct json_object *seen, int64_t now_ms)
{
    static const char *const members[] = {"cause", "since", "until", "attempts", "by", "note"};
    struct json_object *view = past(ALICE, at_ms, now_ms);
    check_member(view, "whole", "true");
    check_same(seen, view, "windows");
    check_same(seen, view, "limits");
    check_same(seen, view, "exempt");
    ck_assert_uint_eq(length_of(view, "suspensions"), length_of(seen, "suspensions"));
    for (size_t i = 0; i < length_of(seen, "suspensions"); i++)
        for (size_t k = 0; k < countof(members); k++) {
            const char *path = arena_printf(arena, "suspensions.%zu.%s", i, members[k]);
            bool unknown = k == 5 && rig_text(view, path)[0] == '\0'; /* over two limits at once */
            rules_known += k == 5 && !unknown;
            if (!unknown)
                check_same(seen, view, path);
        }
}

START_TEST(as_it_was_seen)
{
    int64_t now_ms = NOW;
    chance_state = 23;
    moment_count = rules_known = 0;
    rig_begin(_i, WITH(LIMITS));
    for (int i = 0; i < STEPS; i++) {
        now_ms += (2 + below(percent(3) ? 200 : 12)) * MINUTE_MS;
        if (percent(15))
            act_somehow(i, now_ms);
        else
            send_somehow(i, now_ms);
        if (percent(30) && moment_count < MOMENTS) {
            moments[moment_count].at_ms = now_ms + MINUTE_MS / 2;
            moments[moment_count++].seen = view_mailbox(ALICE, now_ms + MINUTE_MS / 2);
        }
    }
    for (size_t i = 0; i < moment_count; i++)
        check_moment(moments[i].at_ms, moments[i].seen, now_ms + MINUTE_MS);
    ck_assert_uint_gt(rules_known, 10); /* many of the moments are within a suspension */
}
END_TEST

START_TEST(too_far_and_wrong)
{
    static const struct {
        const char *mailbox, *at, *where;
    } rows[] = {
        {"nobody", "05:00", "mailbox"},
        {ALICE, "", "at"},
        {ALICE, "then", "at"},
        {ALICE, "05:41", "at"},           /* to come */
        {ALICE, "2025-11-21 05:39", "at"}, /* records of 48 hours */
    };
    rig_begin(_i, DEFAULTS);
    for (size_t i = 0; i < countof(rows); i++) {
        struct json_object *view = NULL;
        struct problem problem = {0};
        ck_assert_int_eq(desk_past(rig_desk(), rows[i].mailbox, rows[i].at, NULL, 0, NOW, &view,
                                   &problem), 0);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, rows[i].where);
        if (i == countof(rows) - 1)
            ck_assert_ptr_nonnull(strstr(problem.text, "expected 2025-11-21 05:42 or later"));
    }
    struct json_object *view = past(ALICE, NOW - DAY_MS, NOW);
    check_member(view, "windows.0.used", "0");
    check_member(view, "suspension", "null");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk past");
    TCase *both = desk_case(suite, "both backends");
    tcase_set_timeout(both, 120);
    tcase_add_loop_test(both, as_it_was_seen, 0, BACKEND_KINDS);
    tcase_add_loop_test(both, too_far_and_wrong, 0, BACKEND_KINDS);
    return backends_run(suite);
}
