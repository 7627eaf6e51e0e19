/* What two people have to agree on: asked for by one, answered by another, once. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/audit.h"
#include "store/kept.h"
#include "tests/unit/desk/desk_rig.h"

#define EXEMPT "{'action':'exempt','subject':'@example.test','note':'contract 7'}"
#define HIGH "{'action':'limit','subject':'" ALICE "','rule':'messages_per_day','value':51,'note':'n'}"
#define AGREED "{'answer':'approve','note':'i called them'}"
#define TWO WITH(SMALL, "desk.second_approval=yes")

static const struct person second = {"bea", ROLE_ADMIN}, in_shell = {"ada (shell)", ROLE_ADMIN};

static struct json_object *waiting(const struct person *person, int64_t now_ms)
{
    return VIEW(desk_approvals(rig_desk(), person, now_ms, &made));
}

static const char *ask(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *view = VIEW(desk_action(rig_desk(), person, words_of(words), false, now_ms,
                                                &made, &fault));
    check_member(view, "done", "false");
    check_member(view, "needs_approval", "true");
    return rig_text(view, "waits");
}

/* The n-th of many that differ. */
static void ask_another(int n, int64_t now_ms)
{
    ask(&admin, arena_printf(arena, "{'action':'limit','subject':'" ALICE "','rule':"
                             "'messages_per_day','value':%d,'note':'n'}", 51 + n), now_ms);
}

/* Its status; 200: done. */
static int answer(const struct person *person, const char *id, const char *words, int64_t now_ms)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    int result = desk_approval_answer(rig_desk(), person, id, words_of(words), now_ms, &view,
                                      &problem);
    ck_assert_int_ge(result, 0);
    json_put(&view);
    return result > 0 ? 200 : problem.status;
}

static bool is_exempt(int64_t now_ms)
{
    return json_object_is_type(rig_member(view_mailbox(ALICE, now_ms), "exempt"), json_type_string);
}

/* The first entry of that name. */
static const struct audit *audited(const char *name)
{
    struct audit *audit = arena_alloc(arena, 20 * sizeof *audit);
    struct store_page page = {.max = 20};
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        if (strcmp(audit[i].action, name) == 0)
            return &audit[i];
    ck_abort_msg("no entry %s", name);
}

static const char *audited_by(const char *name) { return audited(name)->by; }

START_TEST(test_off_by_default)
{
    rig_begin(_i, WITH(SMALL));
    do_action(&admin, EXEMPT, NOW);
    ck_assert(is_exempt(NOW));
    do_action(&admin, HIGH, NOW);
    ck_assert_uint_eq(length_of(waiting(&admin, NOW), "approvals"), 0);
}
END_TEST

START_TEST(test_another_one_agrees)
{
    rig_begin(_i, TWO);
    check_member(preview_action(&admin, EXEMPT, NOW), "needs_approval", "true");
    ck_assert_uint_eq(length_of(waiting(&admin, NOW), "approvals"), 0);
    const char *id = ask(&admin, EXEMPT, NOW);
    ck_assert(!is_exempt(NOW));
    check_member(waiting(&admin, NOW), "approvals.0.own", "true");
    check_member(waiting(&second, NOW), "approvals.0.own", "false");
    check_member(waiting(&second, NOW), "approvals.0.note", "contract 7");
    struct json_object *one = VIEW(desk_approval(rig_desk(), &second, id, NOW, &made, &fault));
    check_member(one, "allowed", "true");
    check_member(one, "approval.by", "ada");
    ck_assert_int_eq(answer(&admin, id, AGREED, NOW), 403);
    ck_assert_int_eq(answer(&supporter, id, AGREED, NOW), 403); /* may not exempt */
    ck_assert_int_eq(answer(&viewer, id, "{'answer':'refuse','note':'n'}", NOW), 403);
    ck_assert_int_eq(answer(&second, id, "{'answer':'approve'}", NOW), 400);
    ck_assert_int_eq(answer(&second, id, "{'answer':'perhaps','note':'n'}", NOW), 400);
    ck_assert(!is_exempt(NOW));
    ck_assert_int_eq(answer(&second, id, AGREED, NOW), 200);
    ck_assert(is_exempt(NOW));
    ck_assert_int_eq(answer(&second, id, AGREED, NOW), 404);
    ck_assert_uint_eq(length_of(waiting(&second, NOW), "approvals"), 0);
    ck_assert_str_eq(audited_by("approval_ask"), "ada");
    ck_assert_str_eq(audited_by("approval_give"), "bea");
    ck_assert_str_eq(audited_by("exempt"), "bea");
}
END_TEST

START_TEST(test_refused_withdrawn_and_too_late)
{
    rig_begin(_i, TWO);
    const char *id = ask(&admin, EXEMPT, NOW);
    ck_assert_int_eq(answer(&second, id, "{'answer':'refuse'}", NOW), 200);
    ck_assert_str_eq(audited_by("approval_refuse"), "bea");
    id = ask(&admin, EXEMPT, NOW);
    ck_assert_int_eq(answer(&admin, id, "{'answer':'refuse','note':'withdrawn'}", NOW), 200);
    id = ask(&admin, EXEMPT, NOW);
    ck_assert_uint_eq(length_of(waiting(&second, NOW + APPROVAL_MS - 1), "approvals"), 1);
    ck_assert_int_eq(answer(&second, id, AGREED, NOW + APPROVAL_MS), 404);
    ck_assert_uint_eq(length_of(waiting(&second, NOW + APPROVAL_MS), "approvals"), 0);
    ck_assert(!is_exempt(NOW + APPROVAL_MS));
}
END_TEST

static void check_waits_already(const struct person *person, const char *words)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_action(rig_desk(), person, words_of(words), false, NOW, &view, &problem),
                     0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_ptr_nonnull(strstr(problem.text, "asked for by ada"));
}

/* Neither for another reason, nor by somebody else, nor with its number as a page has it. */
START_TEST(test_the_same_waits_once)
{
    rig_begin(_i, TWO);
    const char *id = ask(&admin, EXEMPT, NOW);
    check_waits_already(&admin, "{'action':'exempt','subject':'@example.test','note':'again'}");
    check_waits_already(&second, EXEMPT);
    ask(&admin, HIGH, NOW);
    check_waits_already(&admin, "{'action':'limit','subject':'" ALICE "','rule':'messages_per_day',"
                                "'value':'51','note':'n'}");
    ask(&admin, "{'action':'limit','subject':'" ALICE "','rule':'messages_per_day','value':51,"
                "'for':'2h','note':'n'}", NOW);
    ck_assert_uint_eq(length_of(waiting(&admin, NOW), "approvals"), 3);
    ck_assert_int_eq(answer(&second, id, "{'answer':'refuse'}", NOW), 200);
    ask(&admin, EXEMPT, NOW);
}
END_TEST

/* A plan with a limit above ten times the settings', or without one that they have. */
START_TEST(test_a_plan)
{
    rig_begin(_i, WITH("desk.second_approval=yes", "plan.ten.messages_per_day=6000",
                       "plan.more.messages_per_day=6001", "plan.none.messages_per_hour=5",
                       "plan.none.off_domain_per_day=off"));
#define PLAN(value) "{'action':'plan','subject':'" ALICE "','note':'n','value':'" value "'}"
    ask(&admin, PLAN("none"), NOW);
    const char *id = ask(&admin, PLAN("more"), NOW);
    do_action(&admin, PLAN("ten"), NOW);
    ck_assert_int_eq(answer(&second, id, AGREED, NOW + 1), 200);
    check_member(view_mailbox(ALICE, NOW + 1), "plan.name", "more");
    do_action(&admin, PLAN("default"), NOW + 2);
    check_member(view_mailbox(ALICE, NOW + 2), "plan", "null");
}
END_TEST

/* The same person in a shell and at the desk is one person. */
START_TEST(test_a_shell_is_no_second_person)
{
    rig_begin(_i, TWO);
    const char *id = ask(&in_shell, HIGH, NOW);
    check_member(waiting(&admin, NOW), "approvals.0.own", "true");
    ck_assert_int_eq(answer(&admin, id, AGREED, NOW), 403);
    ck_assert_int_eq(answer(&second, id, AGREED, NOW), 200);
}
END_TEST

/* The person who made an API token, or whose it is said to be, is no second person to it. */
START_TEST(test_a_token_is_no_second_person)
{
    static const struct person by_tokens[] = {{"token:panel", ROLE_ADMIN}, {"token:beas", ROLE_ADMIN}};
    const struct action action = {NOW, "ada (shell)", "a panel"};
    char token[API_TOKEN_TEXT_SIZE];
    struct problem problem;
    rig_begin(_i, TWO);
    ck_assert_int_eq(staff_token_add(store, "panel", ROLE_ADMIN, UNTIL_LIFTED, NULL, &action, token,
                                     &problem), 1);
    ck_assert_int_eq(staff_token_add(store, "beas", ROLE_ADMIN, UNTIL_LIFTED, "bea", &action, token,
                                     &problem), 1);
    const char *adas = ask(&by_tokens[0], HIGH, NOW), *beas = ask(&by_tokens[1], EXEMPT, NOW + 1);
    check_member(waiting(&admin, NOW + 1), "approvals.0.own", "true");
    check_member(waiting(&admin, NOW + 1), "approvals.1.own", "false");
    ck_assert_int_eq(answer(&admin, adas, AGREED, NOW + 1), 403);
    ck_assert_int_eq(answer(&second, beas, AGREED, NOW + 1), 403);
    ck_assert_int_eq(answer(&second, adas, AGREED, NOW + 1), 200);
    ck_assert_int_eq(answer(&admin, beas, AGREED, NOW + 1), 200);
}
END_TEST

/* As if somebody had claimed it, and died then. */
static void claim(const char *id, int64_t now_ms)
{
    struct kept kept;
    ck_assert_int_eq(store_kept(store, arena, KEPT_APPROVAL, id, now_ms, &kept), 1);
    struct json_object *value = keep_view(json_read(kept.value));
    json_add_int(value, "claimed_ms", now_ms);
    kept.value = json_object_to_json_string(value);
    ck_assert_int_eq(store_keep(store, KEPT_APPROVAL, &kept, now_ms, NULL), 1);
}

START_TEST(test_a_claim_ends)
{
    rig_begin(_i, TWO);
    const char *id = ask(&admin, EXEMPT, NOW);
    claim(id, NOW);
    ck_assert_int_eq(answer(&second, id, AGREED, NOW + MINUTE_MS - 1), 409);
    ck_assert_int_eq(answer(&second, id, "{'answer':'refuse'}", NOW + MINUTE_MS - 1), 409);
    ck_assert(!is_exempt(NOW + MINUTE_MS));
    ck_assert_int_eq(answer(&second, id, AGREED, NOW + MINUTE_MS), 200);
    ck_assert(is_exempt(NOW + MINUTE_MS));
}
END_TEST

/* ---- at the same moment ------------------------------------------------------------------------ */

enum { PEOPLE = 6 };
struct worker {
    pthread_t thread;
    pthread_barrier_t *begin;
    const char *id; /* NULL: asks */
    int result;
};

static void *work(void *context)
{
    static const char agreed[] = "{\"answer\":\"approve\",\"note\":\"n\"}",
                      exempt[] = "{\"action\":\"exempt\",\"subject\":\"@example.test\",\"note\":\"n\"}";
    struct worker *worker = context;
    freed_by(json_put) struct json_object *view = NULL;
    freed_by(json_put) struct json_object *words = json_read(worker->id != NULL ? agreed : exempt);
    struct problem problem;
    pthread_barrier_wait(worker->begin);
    worker->result = worker->id != NULL
                         ? desk_approval_answer(rig_desk(), &second, worker->id, words, NOW, &view,
                                                &problem)
                         : desk_action(rig_desk(), &admin, words, false, NOW, &view, &problem);
    return NULL;
}

/* How many were done. */
static int at_once(const char *id)
{
    struct worker workers[PEOPLE];
    pthread_barrier_t begin;
    int done = 0;
    pthread_barrier_init(&begin, NULL, PEOPLE);
    for (size_t i = 0; i < PEOPLE; i++) {
        workers[i] = (struct worker){.begin = &begin, .id = id, .result = -7};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < PEOPLE; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_ge(workers[i].result, 0);
        done += workers[i].result;
    }
    pthread_barrier_destroy(&begin);
    return done;
}

START_TEST(test_answered_once)
{
    rig_begin(_i, TWO);
    ck_assert_int_eq(at_once(ask(&admin, EXEMPT, NOW)), 1);
    ck_assert_uint_eq(length_of(waiting(&second, NOW), "approvals"), 0);
}
END_TEST

START_TEST(test_the_last_place_is_taken_once)
{
    struct store_page page = {.max = APPROVALS_MAX + PEOPLE};
    rig_begin(_i, TWO);
    struct kept *kept = arena_alloc(arena, page.max * sizeof *kept);
    for (int i = 0; i < APPROVALS_MAX - 1; i++)
        ask_another(i, NOW - 1);
    ck_assert_int_le(at_once(NULL), 1);
    ck_assert_int_eq(store_kept_list(store, arena, KEPT_APPROVAL, "", NOW, kept, &page), 1);
    ck_assert_uint_le(page.count, APPROVALS_MAX);
}
END_TEST

/* A login name of a directory has a backslash. */
START_TEST(test_any_name_is_audited)
{
    static const struct person of_directory = {"EXAMPLE\\uma (shell)", ROLE_ADMIN};
    rig_begin(_i, TWO);
    ck_assert_int_eq(answer(&second, ask(&of_directory, HIGH, NOW), AGREED, NOW), 200);
    struct json_object *detail = keep_view(json_read(audited("approval_give")->detail));
    ck_assert_str_eq(json_string(detail, "asked_by", ""), of_directory.name);
    ck_assert_str_eq(json_string(detail, "asked_for", ""), "limit");
}
END_TEST

/* What needs no second person is done at once, and so is what takes something back. */
static const struct {
    const char *words;
    bool needed;
} needs[] = {
    {EXEMPT, true},
    {"{'action':'exempt','subject':'" ALICE "','note':'n'}", false},
    {HIGH, true},
    {"{'action':'limit','subject':'" ALICE "','rule':'messages_per_day','value':50,'note':'n'}", false},
    {"{'action':'limit','subject':'" ALICE "','rule':'messages_per_day','value':'off','note':'n'}", true},
    {"{'action':'limit','subject':'@example.test','rule':'off_domain_per_day','value':201,'note':'n'}", true},
    {"{'action':'extra','subject':'" ALICE "','messages':45,'note':'n'}", false},
    {"{'action':'extra','subject':'" ALICE "','messages':46,'note':'n'}", true},
    {"{'action':'suspend','subject':'" ALICE "','note':'n'}", false},
    {"{'action':'limit','subject':'" ALICE "','rule':'messages_per_hour','value':9000,'note':'n'}", false},
};

START_TEST(test_what_needs_it)
{
    rig_begin(0, TWO);
    struct json_object *view = VIEW(desk_action(rig_desk(), &admin, words_of(needs[_i].words), false,
                                                NOW, &made, &fault));
    check_member(view, "needs_approval", needs[_i].needed ? "true" : "false");
    check_member(view, "done", needs[_i].needed ? "false" : "true");
}
END_TEST

/* Step by step it is the same: what a mailbox has already counts, and so does what the domain has. */
START_TEST(test_in_steps)
{
    rig_begin(_i, TWO);
    do_action(&admin, "{'action':'extra','subject':'" ALICE "','messages':45,'note':'n'}", NOW);
    ask(&admin, "{'action':'extra','subject':'@example.test','messages':1,'note':'n'}", NOW);
    ask(&admin, "{'action':'limit','subject':'" ALICE "','rule':'messages_per_day','value':6,'note':'n'}",
        NOW);
}
END_TEST

#define OF(subject, value, span)                                                           \
    "{'action':'limit','subject':'" subject "','rule':'messages_per_day','value':'" value  \
    "','for':'" span "','note':'n'}"
#define OWN(value, span) OF(ALICE, value, span)
#define DOMAIN(value) OF("@example.test", value, "permanent")

/* What was agreed on for an hour is not made to last by who asks for a little less. */
START_TEST(test_lower_and_longer)
{
    rig_begin(_i, TWO);
    ck_assert_int_eq(answer(&second, ask(&admin, OWN("500", "1h"), NOW), AGREED, NOW), 200);
    ask(&admin, OWN("499", "2h"), NOW + 1);
    ask(&admin, OWN("500", "1h"), NOW + 1);
    do_action(&admin, OWN("499", "30m"), NOW + 2);
    ask(&admin, OWN("498", "permanent"), NOW + 3);
    do_action(&admin, OWN("50", "permanent"), NOW + 4);
}
END_TEST

/* A mailbox is not what holds for its domain, and what its domain has it need not be given. */
START_TEST(test_beside_its_domain)
{
    rig_begin(_i, TWO);
    ck_assert_int_eq(answer(&second, ask(&admin, OWN("500", "permanent"), NOW), AGREED, NOW), 200);
    do_action(&admin, DOMAIN("6"), NOW + 1);
    ck_assert_int_eq(answer(&second, ask(&admin, DOMAIN("400"), NOW + 2), AGREED, NOW + 2), 200);
    do_action(&admin, OF(BOB, "300", "permanent"), NOW + 3);
}
END_TEST

START_TEST(test_no_more_than_so_many)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    rig_begin(_i, TWO);
    for (int i = 0; i < APPROVALS_MAX; i++)
        ask_another(i, NOW);
    ck_assert_int_eq(desk_action(rig_desk(), &admin, words_of(EXEMPT), false, NOW, &view, &problem),
                     0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_uint_eq(length_of(waiting(&admin, NOW), "approvals"), APPROVALS_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("second approval");
    TCase *cases = desk_case(suite, "second approval");
    const TTest *tests[] = {test_off_by_default, test_another_one_agrees,
                            test_refused_withdrawn_and_too_late, test_the_same_waits_once,
                            test_a_plan, test_a_shell_is_no_second_person,
                            test_any_name_is_audited, test_in_steps, test_lower_and_longer,
                            test_beside_its_domain, test_no_more_than_so_many,
                            test_a_token_is_no_second_person, test_a_claim_ends, test_answered_once,
                            test_the_last_place_is_taken_once};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_what_needs_it, 0, (int)countof(needs));
    return backends_run(suite);
}
