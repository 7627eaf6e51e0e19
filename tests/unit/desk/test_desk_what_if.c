/* Whom another limit would have stopped: what the records say is what the judge itself does when the same
 * messages come again under that limit. */
#include <string.h>

#include "base/zone.h"
#include "tests/unit/desk/desk_rig.h"
#include "tests/unit/store/chance.h"

#define OFF                                                                                    \
    "limits.webmail.off_domain_per_hour_per_ip=off", "limits.webmail.recipients_per_domain=off", \
        "limits.webmail.recipients_per_field=off", "unusual.mode=off"
#define NO_LIMITS                                                                              \
    OFF, "limits.webmail.messages_per_day=off", "limits.smtp.messages_per_day=off",            \
        "limits.webmail.off_domain_per_day=off", "limits.smtp.off_domain_per_day=off"

enum { MESSAGES = 400, MAILBOXES = 7, LATER_DAYS = 10 };

struct sent {
    int mailbox, recipients;
    enum channel channel;
    int64_t at_ms;
};
static struct sent history[MESSAGES];

static const char *mailbox_of(const char *prefix, int number)
{
    return arena_printf(arena, "%s%d@example.test", prefix, number);
}

/* Mailbox 0 is exempt, 1 has an extra, 2 a limit of its own. */
static void adjust(const char *prefix, enum rule rule, int64_t now_ms)
{
    struct action action = {now_ms, "anna", "agreed"};
    struct adjustment changes[] = {
        {.kind = ADJUST_EXEMPT, .until_ms = UNTIL_LIFTED},
        {.rule = rule, .kind = ADJUST_EXTRA, .value = 3, .until_ms = UNTIL_LIFTED},
        {.rule = rule, .kind = ADJUST_LIMIT, .value = LIMIT_OFF, .until_ms = UNTIL_LIFTED},
    };
    for (int i = 0; i < (int)countof(changes); i++) {
        strcpy(changes[i].subject, mailbox_of(prefix, i));
        ck_assert_int_eq(store_adjust(store, &changes[i], &action), 1);
    }
    guard_outdate_limits(guard);
}

static void make_history(void)
{
    int64_t at_ms = NOW;
    for (int i = 0; i < MESSAGES; i++) {
        at_ms += percent(5) ? (1 + below(5)) * HOUR_MS : (1 + below(600)) * SECOND_MS;
        history[i] = (struct sent){below(MAILBOXES), percent(20) ? 0 : 1 + below(9),
                                   percent(30) ? CHANNEL_SMTP : CHANNEL_WEBMAIL, at_ms};
    }
}

/* Whether it was admitted. */
static bool send_again(const char *prefix, int number, int64_t later_ms)
{
    const struct sent *sent = &history[number];
    struct submission submission = rig_submission(arena_printf(arena, "%s-%d", prefix, number));
    rig_mailbox(&submission, mailbox_of(prefix, sent->mailbox));
    submission.channel = sent->channel;
    rig_add(&submission, FIELD_TO, "own@example.test");
    rig_add_many(&submission, sent->recipients, "r", "x.test");
    return rig_judge(&submission, sent->at_ms + later_ms).kind == VERDICT_ADMIT;
}

static struct json_object *ask(const char *rule, const char *value, const char *subject,
                               const char *since, int64_t now_ms)
{
    const struct desk_what_if words = {.rule = rule, .value = value, .subject = subject,
                                       .since = since};
    return VIEW(desk_what_if(rig_desk(), &words, 0, now_ms, &made, &fault));
}

static struct json_object *told_of(struct json_object *view, const char *mailbox)
{
    size_t count = length_of(view, "mailboxes");
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = rig_member(view, arena_printf(arena, "mailboxes.%zu", i));
        if (strcmp(rig_text(one, "mailbox"), mailbox) == 0)
            return one;
    }
    return NULL;
}

/* The same messages, days later, under the limit from number `from` on. */
static void replay(const char *prefix, enum rule rule, int limit, int from, int64_t later_ms,
                   struct json_object *view)
{
    const char *name = rule_table[rule].name;
    int64_t stopped[MAILBOXES] = {0}, first_ms[MAILBOXES], last_ms[MAILBOXES], all = 0;
    rig_reload(WITH(NO_LIMITS));
    adjust(prefix, rule, NOW + later_ms);
    for (int i = 0; i < MESSAGES; i++) {
        if (i == from)
            rig_reload(WITH(NO_LIMITS, arena_printf(arena, "on_limit.%s=refuse", name),
                            arena_printf(arena, "limits.webmail.%s=%d", name, limit),
                            arena_printf(arena, "limits.smtp.%s=%d", name, limit)));
        if (send_again(prefix, i, later_ms))
            continue;
        int mailbox = history[i].mailbox;
        if (stopped[mailbox]++ == 0)
            first_ms[mailbox] = history[i].at_ms;
        last_ms[mailbox] = history[i].at_ms;
        all++;
    }
    check_member(view, "stopped", arena_printf(arena, "%lld", (long long)all));
    for (int i = 0; i < MAILBOXES; i++) {
        struct json_object *told = told_of(view, mailbox_of("m", i));
        ck_assert_int_eq(told != NULL, stopped[i] > 0);
        if (told == NULL)
            continue;
        int64_t told_first_ms, told_last_ms;
        check_member(told, "stopped", arena_printf(arena, "%lld", (long long)stopped[i]));
        ck_assert_int_eq(zone_moment_read(rig_text(told, "first_at"), &told_first_ms), 1);
        ck_assert_int_eq(zone_moment_read(rig_text(told, "last_at"), &told_last_ms), 1);
        ck_assert_int_eq(told_first_ms, first_ms[i]);
        ck_assert_int_eq(told_last_ms, last_ms[i]);
    }
}

static const struct {
    enum rule rule;
    const char *limit;
    int from;
} cases[] = {
    {RULE_MESSAGES_PER_DAY, "6", 0},    {RULE_MESSAGES_PER_DAY, "9", 150},
    {RULE_MESSAGES_PER_DAY, "0", 380},  {RULE_OFF_DOMAIN_PER_DAY, "25", 0},
    {RULE_OFF_DOMAIN_PER_DAY, "7", 90}, {RULE_MESSAGES_PER_HOUR, "2", 40},
};

START_TEST(as_the_judge)
{
    struct json_object *views[countof(cases)];
    chance_state = 17;
    make_history();
    rig_begin(_i, WITH(NO_LIMITS, "log.keep_admitted=30d"));
    for (int i = 0; i < MESSAGES; i++)
        ck_assert(send_again("m", i, 0));
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t now_ms = history[MESSAGES - 1].at_ms + 1;
        int64_t since_ms = history[cases[i].from].at_ms;
        adjust("m", cases[i].rule, now_ms);
        views[i] = ask(rule_table[cases[i].rule].name, cases[i].limit, NULL,
                       arena_printf(arena, "%llds",
                                    (long long)((now_ms - since_ms + SECOND_MS - 1) / SECOND_MS)),
                       now_ms);
        check_member(views[i], "whole", "true");
        check_member(views[i], "messages",
                     arena_printf(arena, "%d", MESSAGES - cases[i].from));
    }
    for (size_t i = 0; i < countof(cases); i++)
        replay(arena_printf(arena, "again%zu-", i), cases[i].rule, atoi(cases[i].limit),
               cases[i].from, (int64_t)(i + 1) * LATER_DAYS * DAY_MS, views[i]);
}
END_TEST

/* A limit for one mailbox or one domain concerns nobody else, and takes the place of what they have. */
START_TEST(of_a_subject)
{
    rig_begin(_i, WITH(NO_LIMITS));
    static const struct action action = {NOW, "anna", "agreed"};
    struct adjustment own = {.subject = "m1@example.test", .rule = RULE_MESSAGES_PER_DAY,
                             .kind = ADJUST_LIMIT, .value = 2, .until_ms = UNTIL_LIFTED};
    for (int i = 0; i < 6; i++) {
        history[i] = (struct sent){i % 2, 1, CHANNEL_WEBMAIL, NOW + i};
        ck_assert(send_again("m", i, 0));
    }
    ck_assert_int_eq(store_adjust(store, &own, &action), 1);
    guard_outdate_limits(guard);
    check_member(ask("messages_per_day", "1", NULL, NULL, NOW + 9), "stopped", "2");
    check_member(ask("messages_per_day", "1", "@example.test", NULL, NOW + 9), "stopped", "2");
    check_member(ask("messages_per_day", "1", "@other.test", NULL, NOW + 9), "stopped", "0");
    struct json_object *view = ask("messages_per_day", "1", "M1@example.test", "1h", NOW + 9);
    check_member(view, "subject", "m1@example.test");
    check_member(view, "mailboxes_total", "1");
    check_member(view, "mailboxes.0.mailbox", "m1@example.test");
    check_member(view, "mailboxes.0.stopped", "2");
    check_member(view, "mailboxes.0.limit", "1");
    check_member(view, "suspends", "true");
}
END_TEST

/* After a reset the window holds less than what is missing in it. */
START_TEST(reset)
{
    rig_begin(_i, WITH(NO_LIMITS));
    const struct action action = {NOW + 5, "anna", "agreed"};
    for (int i = 0; i < 12; i++) {
        history[i] = (struct sent){0, 1, CHANNEL_WEBMAIL, NOW + i};
        if (i == 6)
            ck_assert_int_eq(store_reset(store, "m0@example.test", &action), 1);
        ck_assert(send_again("m", i, 0));
    }
    check_member(ask("messages_per_day", "4", NULL, NULL, NOW + 20), "stopped", "4");
}
END_TEST

static void check_problem(const char *rule, const char *value, const char *subject,
                          const char *since, const char *where)
{
    const struct desk_what_if words = {.rule = rule, .value = value, .subject = subject,
                                       .since = since};
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_what_if(rig_desk(), &words, 0, NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_str_eq(problem.where, where);
}

START_TEST(wrong_words)
{
    rig_begin(_i, DEFAULTS);
    check_problem(NULL, "1", NULL, NULL, "rule");
    check_problem("recipients_per_field", "1", NULL, NULL, "rule");
    check_problem("off_domain_per_hour_per_ip", "1", NULL, NULL, "rule");
    check_problem("messages_per_day", NULL, NULL, NULL, "value");
    check_problem("messages_per_day", "-1", NULL, NULL, "value");
    check_problem("messages_per_day", "off", NULL, NULL, "value");
    check_problem("messages_per_day", "1000000001", NULL, NULL, "value");
    check_problem("messages_per_day", "1", "nobody", NULL, "subject");
    check_problem("messages_per_day", "1", "@", NULL, "subject");
    check_problem("messages_per_day", "1", NULL, "soon", "since");
    check_problem("messages_per_day", "1", NULL, "permanent", "since");
    check_problem("messages_per_day", "1", NULL, "49h", "since"); /* kept for 48 */
    check_problem("messages_per_day", "1", NULL, "2025-11-22T05:40:01Z", "since");
    check_member(ask("messages_per_day", "1", NULL, "2025-11-20 05:40", NOW), "since",
                 "2025-11-20T05:40:00Z");
    check_member(ask("messages_per_day", "1", NULL, "", NOW), "since", "2025-11-21T05:40:00Z");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk what-if");
    TCase *both = desk_case(suite, "both backends");
    tcase_set_timeout(both, 120);
    tcase_add_loop_test(both, as_the_judge, 0, BACKEND_KINDS);
    tcase_add_loop_test(both, of_a_subject, 0, BACKEND_KINDS);
    tcase_add_loop_test(both, reset, 0, BACKEND_KINDS);
    tcase_add_loop_test(both, wrong_words, 0, BACKEND_KINDS);
    return backends_run(suite);
}
