/* What users write against a suspension or a block, and what staff answers. */
#include <string.h>

#include "base/json.h"
#include "rules/failure_in_force.h"
#include "store/suspensions.h"
#include "store/values.h"
#include "tests/unit/desk/desk_rig.h"

#define LATER (NOW + HOUR_MS)
#define BOB "bob@example.test"

static void suspend_it(const char *mailbox, enum cause cause, const char *by, int64_t now_ms)
{
    const struct action action = {now_ms, by, "seen"};
    const struct durations durations = {1, {DAY_MS}};
    struct suspension suspension;
    ck_assert_int_eq(
        store_suspend(store, mailbox, cause, &durations, &action, &suspension), 1);
}

static void write_it(const char *mailbox, const char *about, const char *text, int64_t now_ms)
{
    struct problem problem = {0};
    must_come(desk_appeal(rig_desk(), mailbox, about, text, now_ms, &problem), &problem);
}

static void refuse_it(const char *about, const char *text, int64_t now_ms, int status,
                      const char *where)
{
    struct problem problem = {0};
    ck_assert_int_eq(desk_appeal(rig_desk(), ALICE, about, text, now_ms, &problem), 0);
    ck_assert_int_eq(problem.status, status);
    ck_assert_str_eq(problem.where, where);
}

static void refuse_answer(const struct person *person, const char *words, int status,
                          const char *where)
{
    struct problem problem = {0};
    struct json_object *view = NULL;
    ck_assert_int_eq(
        desk_appeal_answer(rig_desk(), person, words_of(words), LATER, &view, &problem), 0);
    ck_assert_int_eq(problem.status, status);
    ck_assert_str_eq(problem.where, where);
}

static struct json_object *answer_it(const char *words, int64_t now_ms)
{
    return VIEW(desk_appeal_answer(rig_desk(), &supporter, words_of(words), now_ms, &made, &fault));
}

static struct json_object *view_appeals(int64_t now_ms)
{
    return VIEW(desk_appeals(rig_desk(), now_ms, &made));
}

/* Written, seen first at the desk, answered there, read by the user. */
START_TEST(the_whole_round)
{
    rig_begin(_i, WITH(SMALL));
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW);
    check_member(view_status(ALICE, 0, NOW), "can_appeal",
                 "[{'about':'suspension-1','cause':'terms'}]");
    write_it(ALICE, "suspension-1", "  It was\r\nan invitation.\t \n", NOW);
    struct json_object *view = view_status(ALICE, 0, LATER);
    check_member(view, "can_appeal", "[]");
    check_member(view, "appeals",
                 "[{'number':1,'about':'suspension-1','cause':'terms','at':'2025-11-22T05:40:00Z',"
                 "'text':'It was\\nan invitation.','answer':null}]");
    check_member(view_appeals(LATER), "appeals.0.mailbox", ALICE);
    check_member(VIEW(desk_home(rig_desk(), LATER, &made)), "appeals.0.number", "1");
    check_member(view_mailbox(ALICE, LATER), "appeals.0.answer", "null");

    view = answer_it("{'mailbox':'Alice@Example.test','number':1,'text':'You are right.'}", LATER);
    check_member(view, "answer.by", supporter.name);
    check_member(view_appeals(LATER), "appeals", "[]");
    check_member(view_mailbox(ALICE, LATER), "appeals.0.answer.by", supporter.name);
    view = view_status(ALICE, 0, LATER);
    check_member(view, "appeals.0.answer", "{'at':'2025-11-22T06:40:00Z','text':'You are right.'}");
    /* another one may be written: the answer may have missed the point */
    check_member(view, "can_appeal.0.about", "suspension-1");
    /* who wrote, and who answered */
    view = VIEW(desk_audit(rig_desk(), ALICE, NULL, &made, &fault));
    check_member(view, "actions.0.action", "answer");
    check_member(view, "actions.0.by", supporter.name);
    check_member(view, "actions.0.note", "You are right.");
    check_member(view, "actions.1.action", "appeal");
    check_member(view, "actions.1.by", "user");
    check_member(view, "actions.1.note", "It was an invitation.");
    check_member(view, "actions.1.detail", "{'number':1,'about':'suspension-1'}");
}
END_TEST

/* The answer is read for 30 days, also when what it was about has ended. */
START_TEST(answers_stay_a_while)
{
    rig_begin(_i, WITH(SMALL));
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW);
    write_it(ALICE, "suspension-1", "no", NOW);
    answer_it("{'mailbox':'" ALICE "','number':1,'text':'yes'}", LATER);
    check_member(view_status(ALICE, 0, LATER + 30 * DAY_MS - 1), "appeals.0.answer.text", "yes");
    check_member(view_status(ALICE, 0, LATER + 30 * DAY_MS), "appeals", "[]");
}
END_TEST

/* One for each; the lock of one's own needs none. */
START_TEST(one_for_each)
{
    rig_begin(_i, WITH(SMALL));
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW);
    suspend_it(ALICE, CAUSE_VOLUME, "guard", NOW + 1);
    suspend_it(ALICE, CAUSE_COMPROMISED, "user", NOW + 2);
    ck_assert_uint_eq(length_of(view_status(ALICE, 0, LATER), "can_appeal"), 2);
    write_it(ALICE, "suspension-2", "volume", LATER);
    refuse_it("suspension-2", "volume again", LATER, 409, "about");
    write_it(ALICE, "suspension-1", "terms", LATER + SECOND_MS);
    refuse_it("suspension-3", "my own", LATER, 409, "about");
    refuse_it("suspension-4", "none", LATER, 409, "about");
    refuse_it(NULL, "none", LATER, 409, "about");
    struct json_object *view = view_status(ALICE, 0, LATER + SECOND_MS);
    check_member(view, "appeals.0.text", "terms");
    check_member(view, "appeals.1.text", "volume");
    view = view_appeals(LATER + SECOND_MS);
    check_member(view, "appeals.0.text", "volume"); /* waits longest */
    ck_assert_uint_eq(length_of(view, "appeals"), 2);
}
END_TEST

START_TEST(texts)
{
    static char text[4 * DESK_APPEAL_MAX + 2];
    rig_begin(_i, WITH(SMALL));
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW);
    refuse_it("suspension-1", NULL, NOW, 400, "text");
    refuse_it("suspension-1", " \r\n ", NOW, 400, "text");
    refuse_it("suspension-1", "\xff", NOW, 400, "text");
    memset(text, 'x', DESK_APPEAL_MAX + 1);
    refuse_it("suspension-1", text, NOW, 400, "text");
    for (size_t i = 0; i < DESK_APPEAL_MAX; i++)
        memcpy(text + 3 * i, "\u20ac", 3); /* characters, not bytes */
    text[3 * (size_t)DESK_APPEAL_MAX] = '\0';
    write_it(ALICE, "suspension-1", text, NOW);
    check_member(view_status(ALICE, 0, NOW), "appeals.0.text", text);
    refuse_answer(&supporter, "{'mailbox':'" ALICE "','number':1,'text':''}", 400, "text");
    refuse_answer(&supporter, "{'mailbox':'" ALICE "','number':2,'text':'a'}", 404, "number");
    refuse_answer(&supporter, "{'mailbox':'" BOB "','number':1,'text':'a'}", 404, "number");
    refuse_answer(&supporter, "{'mailbox':'x','number':1,'text':'a'}", 400, "mailbox");
    refuse_answer(&viewer, "{'mailbox':'" ALICE "','number':1,'text':'a'}", 403, "");
    answer_it("{'mailbox':'" ALICE "','number':'1','text':'a'}", LATER);
    refuse_answer(&admin, "{'mailbox':'" ALICE "','number':1,'text':'b'}", 409, "number");
}
END_TEST

START_TEST(some_a_day)
{
    rig_begin(_i, WITH(SMALL));
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW);
    for (int i = 0; i < 5; i++) {
        freed_by(free_string) char *words =
            xasprintf("{'mailbox':'" ALICE "','number':%d,'text':'no'}", i + 1);
        write_it(ALICE, "suspension-1", "again", NOW + i);
        answer_it(words, NOW + i);
    }
    refuse_it("suspension-1", "and again", NOW + DAY_MS - 1, 429, "");
    suspend_it(BOB, CAUSE_TERMS, "ada", NOW + 5);
    write_it(BOB, "suspension-2", "first", NOW + 5);
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW + DAY_MS);
    write_it(ALICE, "suspension-3", "the next day", NOW + DAY_MS);
}
END_TEST

/* One that waits is not forgotten for what is answered; of those that all wait none more is taken. */
START_TEST(many)
{
    rig_begin(_i, WITH(SMALL));
    suspend_it(ALICE, CAUSE_TERMS, "ada", NOW);
    write_it(ALICE, "suspension-1", "the first", NOW);
    for (int i = 1; i <= 20; i++) {
        int64_t at_ms = NOW + i * DAY_MS;
        suspend_it(ALICE, CAUSE_VOLUME, "ada", at_ms);
        write_it(ALICE, arena_printf(arena, "suspension-%d", i + 1), "again", at_ms);
        if (i < 6)
            answer_it(arena_printf(arena, "{'mailbox':'" ALICE "','number':%d,'text':'no'}", i + 1),
                      at_ms);
    }
    check_member(view_appeals(NOW + 20 * DAY_MS), "appeals.0.text", "the first");
    ck_assert_uint_eq(length_of(view_appeals(NOW + 20 * DAY_MS), "appeals"), 16);
    suspend_it(ALICE, CAUSE_VOLUME, "ada", NOW + 21 * DAY_MS);
    refuse_it("suspension-22", "one more", NOW + 21 * DAY_MS, 429, "");
    answer_it("{'mailbox':'" ALICE "','number':1,'text':'yes'}", NOW + 21 * DAY_MS);
    write_it(ALICE, "suspension-22", "one more", NOW + 21 * DAY_MS);
}
END_TEST

static void block_it(void)
{
    static struct values_done done;
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    failure_in_force_put(bytes, &(struct failure_in_force){
                                    .from_ms = NOW, .until_ms = NOW + HOUR_MS, .block = 7,
                                    .bad = 10, .all = 20, .messages = 10});
    const struct value_change change = {
        .value = {.kind = VALUE_BLOCK, .key = "example.test", .bytes = bytes,
                  .length = sizeof bytes, .until_ms = NOW + HOUR_MS}};
    ck_assert_int_eq(store_values_change(store, &(struct values_step){.changes = &change, .count = 1,
                                                                      .now_ms = NOW - 1}, &done), 1);
}

/* Against the block of a domain each of its mailboxes may write. */
START_TEST(against_a_block)
{
    rig_begin(_i, WITH(SMALL));
    block_it();
    check_member(view_status(ALICE, 0, NOW - 1), "can_appeal", "[]");
    check_member(view_status(ALICE, 0, NOW), "can_appeal",
                 "[{'about':'block-7','cause':'domain_failures'}]");
    write_it(ALICE, "block-7", "it was a holiday list", NOW);
    check_member(view_status(ALICE, 0, NOW), "can_appeal", "[]");
    check_member(view_status(BOB, 0, NOW), "can_appeal.0.about", "block-7");
    check_member(view_status(BOB, 0, NOW), "appeals", "[]");
    check_member(view_status(BOB, 0, NOW + HOUR_MS), "can_appeal", "[]");
    refuse_it("block-7", "late", NOW + HOUR_MS, 409, "about");
}
END_TEST

/* Who waits longest is the first, wherever the name stands among hundreds. */
START_TEST(of_many_mailboxes)
{
    enum { MAILBOXES = 450 };
    rig_begin(_i, WITH(SMALL));
    block_it();
    for (int i = 0; i < MAILBOXES; i++)
        write_it(arena_printf(arena, "user%03d@example.test", i), "block-7", "not my fault",
                 NOW + (MAILBOXES - i) * SECOND_MS);
    struct json_object *view = view_appeals(NOW + HOUR_MS);
    ck_assert_uint_eq(length_of(view, "appeals"), DESK_APPEALS_MAX);
    check_member(view, "appeals_waiting", "450");
    check_member(view, "appeals.0.mailbox", "user449@example.test");
    check_member(view, "appeals.199.mailbox", "user250@example.test");
    answer_it("{'mailbox':'user449@example.test','number':1,'text':'seen'}", NOW + HOUR_MS);
    view = view_appeals(NOW + HOUR_MS);
    check_member(view, "appeals_waiting", "449");
    check_member(view, "appeals.0.mailbox", "user448@example.test");
    check_member(view, "appeals.199.mailbox", "user249@example.test");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk appeal");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {the_whole_round, answers_stay_a_while, one_for_each, texts,
                                  some_a_day, many, against_a_block, of_many_mailboxes};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
