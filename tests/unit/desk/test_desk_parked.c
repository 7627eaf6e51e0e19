/* Messages that wait in the webmail: one claim alone sends each, and none of a locked mailbox. */
#include "tests/unit/desk/desk_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "store/observations.h"
#include "store/suspensions.h"

#define ID1 "00000000000000000000000000000001"
#define ID2 "00000000000000000000000000000002"
#define MINE "c0000000000000000000000000000001"
#define OTHERS "c0000000000000000000000000000002"
#define MOMENT "2025-11-22T07:40:00Z" /* NOW and two hours */
#define AT (NOW + 2 * HOUR_MS)
#define WORDS(action, id) "{'action':'" action "','id':'" id "'}"
#define BY(action, id, claim) "{'action':'" action "','id':'" id "','claim':'" claim "'}"
#define PARK(id) "{'action':'park','id':'" id "','at':'" MOMENT "','recipients':12}"
#define DEFER(claim, moment) \
    "{'action':'defer','id':'" ID1 "','claim':'" claim "','at':'" moment "'}"

static struct json_object *act(const char *words, int64_t now_ms)
{
    return VIEW(desk_parked_act(rig_desk(), ALICE, words_of(words), now_ms, &made, &fault));
}

static void refuse(const char *words, int64_t now_ms, int status)
{
    struct problem problem = {0};
    struct json_object *view = NULL;
    ck_assert_int_eq(
        desk_parked_act(rig_desk(), ALICE, words_of(words), now_ms, &view, &problem), 0);
    ck_assert_msg(problem.status == status, "%s: %d %s", words, problem.status, problem.text);
}

static const char *state_at(int64_t now_ms)
{
    struct json_object *list = json_member(act("{'action':'list'}", now_ms), "parked");
    return json_object_array_length(list) == 0
               ? "none"
               : json_string(json_object_array_get_idx(list, 0), "state", "");
}

START_TEST(the_whole_round)
{
    rig_begin(_i, WITH(SMALL));
    struct json_object *view = act(PARK(ID1), NOW);
    check_member(view, "at_most", "20");
    check_member(view, "parked",
                 "[{'id':'" ID1 "','state':'waiting','may_go':true,'at':'" MOMENT "',"
                 "'parked_at':'2025-11-22T05:40:00Z','recipients':12,'tries':0,"
                 "'submission_id':'parked." ID1 ".1763790000000.0','decision':null}]");
    check_member(view_status(ALICE, 0, NOW), "parked.0.id", ID1);
    check_member(view_status(BOB, 0, NOW), "parked", "[]");
    refuse(BY("claim", ID1, MINE), AT - 1, 404);
    refuse(WORDS("claim", ID1), AT, 400);
    refuse(WORDS("sent", ID1), AT, 409);
    act(BY("claim", ID1, MINE), AT);
    ck_assert_str_eq(state_at(AT), "claimed");
    refuse(BY("claim", ID1, OTHERS), AT, 409);
    refuse(BY("sent", ID1, OTHERS), AT, 409);
    refuse(WORDS("sent", ID1), AT, 409);
    refuse(DEFER(OTHERS, MOMENT), AT, 409);
    refuse(WORDS("cancel", ID1), AT, 409);
    act(BY("sent", ID1, MINE), AT);
    ck_assert_str_eq(state_at(AT), "none");
    refuse(BY("claim", ID1, MINE), AT, 404);
    check_member(act(PARK(ID1), NOW + 1), "parked.0.submission_id", /* it counts again */
                 "parked." ID1 ".1763790000001.0");
}
END_TEST

static uint64_t counted(const char *result)
{
    struct counter counter[1] = {{.value = 0}};
    struct store_page page = {.max = 1};
    char before[COUNTER_NAME_SIZE], name[COUNTER_NAME_SIZE];
    snprintf(name, sizeof name, "parked_messages result=%s", result);
    snprintf(before, sizeof before, "%s", name);
    before[strlen(before) - 1]--; /* the list goes on behind it */
    ck_assert_int_eq(store_counters(store, before, counter, &page), 1);
    return page.count == 1 && strcmp(counter->name, name) == 0 ? counter->value : 0;
}

/* What staff see, and what monitoring counts. */
START_TEST(what_waits_and_what_became_of_it)
{
    rig_begin(_i, WITH(SMALL));
    check_member(view_mailbox(ALICE, NOW), "parked", "null");
    act("{'action':'park','id':'" ID2 "','at':'2025-11-22T09:40:00Z','recipients':1}", NOW);
    act(PARK(ID1), NOW);
    check_member(view_mailbox(ALICE, NOW), "parked", "{'count':2,'at':'" MOMENT "'}");
    act(BY("claim", ID1, MINE), AT);
    check_member(view_mailbox(ALICE, AT), "parked.count", "1");
    act(BY("sent", ID1, MINE), AT);
    act(WORDS("cancel", ID2), AT);
    act("{'action':'park','id':'" ID2 "','at':'2025-11-22T09:40:00Z','recipients':1}", AT);
    act("{'action':'defer','id':'" ID2 "'}", AT + 2 * HOUR_MS); /* for good */
    act(WORDS("cancel", ID2), AT + 2 * HOUR_MS); /* takes it off the list */
    check_member(view_mailbox(ALICE, AT + 2 * HOUR_MS), "parked", "null");
    ck_assert_uint_eq(counted("parked"), 3);
    ck_assert_uint_eq(counted("sent"), 1);
    ck_assert_uint_eq(counted("cancelled"), 1);
    ck_assert_uint_eq(counted("refused"), 1);
}
END_TEST

/* Who claimed it does not come back: nobody sends it again, and the user reads that. */
START_TEST(a_claim_is_for_good)
{
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    act(BY("claim", ID1, MINE), AT);
    ck_assert_str_eq(state_at(AT + 5 * MINUTE_MS - 1), "claimed");
    ck_assert_str_eq(state_at(AT + 5 * MINUTE_MS), "unknown");
    for (int64_t later_ms = AT + 5 * MINUTE_MS; later_ms < NOW + 27 * DAY_MS; later_ms += DAY_MS)
        refuse(BY("claim", ID1, OTHERS), later_ms, 409);
    refuse(DEFER(OTHERS, MOMENT), AT + HOUR_MS, 409);
    act(WORDS("cancel", ID1), AT + HOUR_MS);
    ck_assert_str_eq(state_at(AT + HOUR_MS), "none");
}
END_TEST

START_TEST(refused_again_it_waits_a_few_times)
{
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    refuse(DEFER("", "2025-11-22T09:40:00Z"), AT - 1, 409);
    check_member(act(DEFER("", "2025-11-22T09:40:00Z"), AT), "parked.0.tries", "1");
    check_member(act("{'action':'list'}", AT), "parked.0.submission_id",
                 "parked." ID1 ".1763790000000.1");
    ck_assert_str_eq(state_at(AT), "waiting");
    refuse(BY("claim", ID1, MINE), AT, 404); /* who has judged it before that gives it back */
    act(BY("claim", ID1, MINE), AT + 2 * HOUR_MS);
    check_member(act(DEFER(MINE, "2025-11-22T10:40:00Z"), AT + 2 * HOUR_MS), "parked.0.tries", "2");
    ck_assert_str_eq(state_at(AT + 3 * HOUR_MS), "due");
    struct json_object *view =
        act("{'action':'defer','id':'" ID1 "','at':'2025-11-22T19:40:00Z',"
            "'decision':'7K3M-Q2XD-9F4A'}", AT + 3 * HOUR_MS);
    check_member(view, "parked.0.state", "refused");
    check_member(view, "parked.0.decision", "7K3M-Q2XD-9F4A");
    refuse(BY("claim", ID1, MINE), AT + DAY_MS, 404);
}
END_TEST

START_TEST(refused_for_good_or_for_long_it_waits_no_more)
{
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    act(PARK(ID2), NOW);
    check_member(act("{'action':'defer','id':'" ID1 "'}", AT), "parked.0.state", "refused");
    check_member(act("{'action':'defer','id':'" ID2 "','at':'2025-12-13T05:40:01Z'}", AT),
                 "parked.1.state", "refused");
}
END_TEST

START_TEST(nobody_comes)
{
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    ck_assert_str_eq(state_at(AT + 7 * DAY_MS - 1), "due");
    ck_assert_str_eq(state_at(AT + 7 * DAY_MS), "late");
    refuse(BY("claim", ID1, MINE), AT + 7 * DAY_MS, 404);
    ck_assert_str_eq(state_at(NOW + 28 * DAY_MS - 1), "late");
    ck_assert_str_eq(state_at(NOW + 28 * DAY_MS), "none");
}
END_TEST

START_TEST(words_and_numbers)
{
    rig_begin(_i, WITH(SMALL, "parked.per_mailbox=1"));
    refuse("{'action':'sing'}", NOW, 400);
    refuse("{'action':'park','id':'x','at':'" MOMENT "'}", NOW, 400);
    refuse("{'action':'park','id':'" ID1 "'}", NOW, 400);
    refuse("{'action':'park','id':'" ID1 "','at':'2025-12-13T05:40:01Z'}", NOW, 400);
    refuse("{'action':'park','id':'" ID1 "','at':'soon'}", NOW, 400);
    refuse("{'action':'park','id':'" ID1 "','at':'" MOMENT "','recipients':10001}", NOW, 400);
    refuse("{'action':'defer','id':'" ID1 "','decision':'x'}", NOW, 400);
    refuse(BY("claim", ID1, "x"), NOW, 400);
    act(PARK(ID1), NOW);
    refuse(PARK(ID1), NOW, 409);
    refuse(PARK(ID2), NOW, 429);
}
END_TEST

static void suspend_it(enum cause cause, int64_t now_ms)
{
    static const struct durations hour = {1, {HOUR_MS}};
    const struct action action = {now_ms, "ada", "for the test"};
    struct suspension suspension;
    ck_assert_int_eq(store_suspend(store, ALICE, cause, &hour, &action, &suspension), 1);
}

/* Also a lock that has ended before anybody looked; other suspensions keep what is parked. */
START_TEST(a_lock_drops_what_was_parked_before)
{
    static const enum cause causes[] = {CAUSE_COMPROMISED, CAUSE_BREACHED};
    for (size_t i = 0; i < countof(causes); i++) {
        int64_t now_ms = NOW + (int64_t)i * MINUTE_MS;
        if (i == 0)
            rig_begin(_i, WITH(SMALL));
        suspend_it(CAUSE_VOLUME, now_ms);
        act(PARK(ID1), now_ms);
        ck_assert_str_eq(state_at(AT), "due");
        suspend_it(causes[i], now_ms + 1);
        refuse(PARK(ID2), now_ms + 1, 409);
        ck_assert_int_eq(store_lift(store, ALICE, causes[i],
                                    &(struct action){now_ms + 2, "ada", "for the test"}), 1);
        ck_assert_str_eq(state_at(AT), "none");
        refuse(BY("claim", ID1, MINE), AT, 404);
        act(PARK(ID2), now_ms + 3);
        ck_assert_str_eq(state_at(AT), "due");
        act(WORDS("cancel", ID2), now_ms + 4);
    }
}
END_TEST

START_TEST(that_was_not_me_and_a_new_password_drop_it)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    ck_assert_int_eq(desk_lock_tell_by_webmail(rig_desk(), ALICE, NOW + 1, &view, &problem), 1);
    json_put(&view);
    ck_assert_str_eq(state_at(AT), "none");
    act(PARK(ID1), NOW + 2);
    ck_assert_int_eq(desk_lock(rig_desk(), ALICE, NOW + 3, &view), 1);
    json_put(&view);
    ck_assert_str_eq(state_at(AT), "none");
}
END_TEST

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WITH_DRAFT(id, more) \
    "{'action':'park','id':'" id "','at':'" MOMENT "','recipients':1," more "}"
#define DRAFT(id) WITH_DRAFT(id, "'digest':'" DIGEST "','drafts':'Drafts','sent':'Sent'")

static struct desk_parked_due due_behind(const char *after, int64_t now_ms)
{
    struct desk_parked_due due;
    ck_assert_int_eq(desk_parked_due(rig_desk(), arena, after, now_ms, &due), 1);
    return due;
}

/* Of each mailbox, those that are due and that others than the webmail can find. */
START_TEST(what_is_due_is_found_without_its_user)
{
    struct problem problem = {0};
    struct json_object *view = NULL;
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    act(DRAFT(ID2), NOW + 1);
    ck_assert_int_eq(desk_parked_act(rig_desk(), BOB, words_of(DRAFT(ID1)), NOW, &view, &problem),
                     1);
    json_put(&view);
    ck_assert_uint_eq(due_behind("", AT - 1).count, 0);
    struct desk_parked_due due = due_behind("", AT);
    ck_assert_str_eq(due.after, ALICE);
    ck_assert_uint_eq(due.count, 1);
    const struct desk_parked_draft *draft = &due.drafts[0];
    ck_assert_str_eq(draft->mailbox, ALICE);
    ck_assert_str_eq(draft->id, ID2);
    ck_assert_str_eq(draft->digest, DIGEST);
    ck_assert_str_eq(draft->drafts, "Drafts");
    ck_assert_str_eq(draft->sent, "Sent");
    due = due_behind(ALICE, AT);
    ck_assert_str_eq(due.after, BOB);
    ck_assert_uint_eq(due.count, 1);
    ck_assert_ptr_null(due_behind(BOB, AT).after);
    act("{'action':'claim','id':'" ID2 "','claim':'" MINE "'}", AT);
    ck_assert_uint_eq(due_behind("", AT).count, 0);
    ck_assert_uint_eq(due_behind("", AT + HOUR_MS).count, 0);
}
END_TEST

START_TEST(words_of_a_draft)
{
    rig_begin(_i, WITH(SMALL));
    refuse(WITH_DRAFT(ID1, "'digest':'x','drafts':'Drafts'"), NOW, 400);
    refuse(WITH_DRAFT(ID1, "'digest':'" DIGEST "'"), NOW, 400);
    refuse(WITH_DRAFT(ID1, "'digest':'" DIGEST "','drafts':'a\\r\\nb'"), NOW, 400);
    refuse(WITH_DRAFT(ID1, "'digest':'" DIGEST "','drafts':'Drafts','sent':'a\\nb'"), NOW, 400);
    act(WITH_DRAFT(ID1, "'digest':'" DIGEST "','drafts':'Drafts','sent':''"), NOW);
    ck_assert_str_eq(due_behind("", AT).drafts[0].sent, "");
}
END_TEST

static void *claim_it(void *claimed)
{
    struct problem problem = {0};
    struct json_object *words = json_object_new_object(), *view = NULL;
    static _Atomic int number;
    char claim[33];
    snprintf(claim, sizeof claim, "%032x", ++number);
    json_add_string(words, "action", "claim");
    json_add_string(words, "id", ID1);
    json_add_string(words, "claim", claim);
    int done = desk_parked_act(rig_desk(), ALICE, words, AT, &view, &problem);
    if (done > 0)
        ++*(_Atomic int *)claimed;
    json_put(&words);
    json_put(&view);
    return NULL;
}

START_TEST(of_many_claims_one_is_taken)
{
    enum { CLAIMS = 20 };
    pthread_t threads[CLAIMS];
    _Atomic int claimed = 0;
    rig_begin(_i, WITH(SMALL));
    act(PARK(ID1), NOW);
    for (int i = 0; i < CLAIMS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, claim_it, &claimed), 0);
    for (int i = 0; i < CLAIMS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(claimed, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk parked");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {the_whole_round, what_waits_and_what_became_of_it,
                                  a_claim_is_for_good,
                                  refused_again_it_waits_a_few_times,
                                  refused_for_good_or_for_long_it_waits_no_more, nobody_comes,
                                  words_and_numbers, a_lock_drops_what_was_parked_before,
                                  that_was_not_me_and_a_new_password_drop_it,
                                  what_is_due_is_found_without_its_user, words_of_a_draft,
                                  of_many_claims_one_is_taken};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
