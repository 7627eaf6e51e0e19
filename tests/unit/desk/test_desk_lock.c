/* Locks of mailboxes at the desk, over both stores: what a process of sendguard-auth then lets in, and
 * what the store says. */
#include <string.h>

#include "base/json.h"
#include "guard/counters.h"
#include "guard/logins.h"
#include "store/observations.h"
#include "tests/unit/desk/desk_rig.h"

#define HERE "192.0.2.1"
#define ELSEWHERE "198.51.100.7"

enum { STOLEN = 17, NEW = 18, WRONG = 19 };

static const struct person panel = {"token:panel", ROLE_PANEL};
static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
static struct logins *logins;
static struct logins_lock lock; /* of the last question */

static void begin(int backend)
{
    rig_begin(backend, WITH(SMALL));
    logins = logins_new(token_key);
}

static void end(void) { logins_free(&logins); }

static void exchange(int64_t now_ms)
{
    ck_assert_int_eq(logins_exchange(logins, store, &limits, now_ms), 1);
}

static void report(int password, bool right, int64_t now_ms)
{
    struct logins_taken taken;
    const struct logins_try attempt = {
        .mailbox = ALICE, .ip = HERE, .fingerprint = (uint16_t)password};
    ck_assert_int_eq(logins_report(logins, &attempt, right, &limits, now_ms, &taken), 1);
}

/* A right password, as Dovecot asks about it. */
static bool may_enter(int password, int64_t now_ms)
{
    const struct logins_try attempt = {
        .mailbox = ALICE, .ip = ELSEWHERE, .fingerprint = (uint16_t)password};
    return logins_unlocked(logins, &attempt, now_ms, &lock) > 0;
}

static struct json_object *act(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *view = VIEW(desk_lock_act(rig_desk(), person, ALICE, words_of(words), false,
                                                  now_ms, &made, &fault));
    exchange(now_ms);
    return view;
}

static int refused(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *made = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_lock_act(rig_desk(), person, ALICE, words_of(words), false, now_ms, &made,
                                   &problem),
                     0);
    ck_assert_ptr_null(made);
    return problem.status;
}

static bool is_suspended(int64_t now_ms)
{
    return length_of(view_mailbox(ALICE, now_ms), "suspensions") > 0;
}

static void begin_locked(int backend)
{
    begin(backend);
    report(STOLEN, true, NOW - DAY_MS);
    exchange(NOW - DAY_MS);
    act(&supporter, "{'action':'lock','note':'spam from abroad'}", NOW);
}

/* The first offence: nobody gets in, nothing is sent; a notice of a panel opens both. */
START_TEST(test_first)
{
    begin_locked(_i);
    struct json_object *view = view_mailbox(ALICE, NOW);
    check_member(view, "lock.phase", "locked");
    check_member(view, "lock.scope", "login");
    check_member(view, "lock.old_password_known", "true");
    check_member(view, "suspension.cause", "compromised");
    check_member(view, "suspension.by", "sam");
    ck_assert(rig_member(view, "suspension.until") == NULL);
    ck_assert(!may_enter(STOLEN, NOW + 1) && !may_enter(NEW, NOW + 1) && !lock.closed);
    view = VIEW(desk_lock_act(rig_desk(), &panel, ALICE,
                              words_of("{'action':'password_changed','note':'x'}"), true, NOW + 2,
                              &made, &fault));
    check_member(view, "done", "false");
    check_member(view, "phase", "reopened");
    ck_assert(!may_enter(NEW, NOW + 2));
    view = act(&panel, "{'action':'password_changed','note':'by telephone'}", NOW + 3);
    check_member(view, "done", "true");
    check_member(view, "suspended", "false");
    ck_assert(!is_suspended(NOW + 4));
    ck_assert(may_enter(NEW, NOW + 4) && !lock.again);
    view = act(&panel, "{'action':'password_changed','note':'once more'}", NOW + 5);
    check_member(view, "done", "false");
    check_member(view, "phase", "reopened");
}
END_TEST

/* By who knew the old password: staff see it, and nothing is opened that keeps people out. */
START_TEST(test_changed_by_its_owner)
{
    begin_locked(_i);
    struct json_object *view =
        act(&panel, "{'action':'password_changed','by':'owner','note':'in the panel'}", NOW + 1);
    check_member(view, "done", "false");
    check_member(view, "phase", "locked");
    ck_assert(!may_enter(NEW, NOW + 2) && is_suspended(NOW + 2));
    view = view_mailbox(ALICE, NOW + 2);
    check_member(view, "timeline.0.action", "password_changed");
    check_member(view, "timeline.0.note", "in the panel");
    view = act(&panel, "{'action':'password_changed','by':'staff','note':'by telephone'}", NOW + 3);
    check_member(view, "phase", "reopened");
}
END_TEST

/* The password of the offence works on: locked again, also by another process, and no offence. */
START_TEST(test_again)
{
    begin_locked(_i);
    act(&supporter, "{'action':'reopen','note':'changed'}", NOW + HOUR_MS);
    ck_assert(!may_enter(STOLEN, NOW + 2 * HOUR_MS) && lock.again && !lock.closed);
    ck_assert(!may_enter(NEW, NOW + 2 * HOUR_MS) && !lock.again);
    ck_assert(!is_suspended(NOW + 2 * HOUR_MS));
    exchange(NOW + 2 * HOUR_MS);
    struct json_object *view = view_mailbox(ALICE, NOW + 2 * HOUR_MS);
    check_member(view, "lock.phase", "locked");
    check_member(view, "lock.offence_at", "2025-11-22T05:40:00Z");
    check_member(view, "suspension.cause", "compromised");
    check_member(view, "suspension.by", "guard");
    check_member(view, "suspension.note", LOGINS_AGAIN_NOTE);
    struct logins *other = logins;
    logins = logins_new(token_key);
    exchange(NOW + 3 * HOUR_MS);
    ck_assert(!may_enter(NEW, NOW + 3 * HOUR_MS));
    logins_free(&other);
    act(&supporter, "{'action':'reopen','note':'now it is'}", NOW + 4 * HOUR_MS);
    ck_assert(!may_enter(STOLEN, NOW + 4 * HOUR_MS + LOGIN_LOCK_WATCH_MS - 1));
    exchange(NOW + 5 * HOUR_MS);
    act(&supporter, "{'action':'reopen','note':'now it is'}", NOW + 5 * HOUR_MS);
    ck_assert(may_enter(STOLEN, NOW + 5 * HOUR_MS + LOGIN_LOCK_WATCH_MS) && !lock.again);
}
END_TEST

/* A password in a list of stolen ones: as a lock, but no offence; and beside one. */
START_TEST(test_breached)
{
    static const char breached[] = "{'action':'lock','cause':'breached','note':'a list'}";
    begin(_i);
    report(STOLEN, true, NOW - DAY_MS);
    exchange(NOW - DAY_MS);
    struct json_object *view = act(&supporter, breached, NOW);
    check_member(view, "was", "none");
    check_member(view, "seen", "true");
    check_member(view, "cause", "breached");
    check_member(view, "offences", "0");
    check_member(view, "next", "locked");
    check_member(view_mailbox(ALICE, NOW), "suspension.cause", "breached");
    ck_assert(!may_enter(STOLEN, NOW + 1) && lock.breached && !lock.closed);
    act(&panel, "{'action':'password_changed','note':'by the panel'}", NOW + 2);
    ck_assert(!is_suspended(NOW + 3) && may_enter(NEW, NOW + 3));
    ck_assert(!may_enter(STOLEN, NOW + 4) && lock.again && lock.breached);
    exchange(NOW + 4);
    check_member(view_mailbox(ALICE, NOW + 4), "suspension.cause", "breached");

    /* used by a stranger: the first offence, which as a mistake leaves what was */
    view = act(&supporter, "{'action':'lock','note':'spam'}", NOW + 5);
    check_member(view, "phase", "locked");
    check_member(view, "cause", "compromised");
    check_member(view, "offences", "1");
    view = act(&supporter, breached, NOW + 6);
    check_member(view, "was", "locked");
    check_member(view, "done", "false");
    check_member(view, "cause", "compromised");
    view = do_action(&supporter, "{'action':'lift','subject':'alice@example.test','cause':"
                     "'compromised','note':'it was not'}", NOW + 7);
    check_member(view, "ends_lock", "true");
    view = view_mailbox(ALICE, NOW + 7);
    check_member(view, "lock.cause", "breached");
    check_member(view, "lock.offences", "0");
    ck_assert_uint_eq(length_of(view, "suspensions"), 1);
    view = do_action(&supporter, "{'action':'lift','subject':'alice@example.test','note':'no'}",
                     NOW + 8);
    check_member(view, "ends_lock", "true");
    exchange(NOW + 8);
    ck_assert(!is_suspended(NOW + 8) && may_enter(STOLEN, NOW + 8));
    /* a user who may sign in ends it with a new password, where no thief is */
    act(&supporter, "{'action':'lock','cause':'breached','scope':'sending','note':'x'}", NOW + 9);
    view = VIEW(desk_lock_tell_by_webmail(rig_desk(), ALICE, NOW + 10, &made, &fault));
    check_member(view, "done", "true");
    ck_assert(!is_suspended(NOW + 10));
    ck_assert_int_eq(refused(&supporter, "{'action':'lock','cause':'terms','note':'x'}", NOW), 400);
    ck_assert_int_eq(refused(&supporter, "{'action':'close','cause':'breached','note':'x'}", NOW),
                     400);
}
END_TEST

static struct json_object *lock_many(const char *words, bool preview, int64_t now_ms)
{
    struct json_object *view = VIEW(desk_lock_many(rig_desk(), &supporter, words_of(words), preview,
                                                   now_ms, &made, &fault));
    exchange(now_ms);
    return view;
}

/* Several: who is locked already, or was not seen lately, is told before and afterwards. */
START_TEST(test_many)
{
    static const char three[] =
        "{'mailboxes':['carol@example.test','Alice@EXAMPLE.test','bob@example.test',"
        "'carol@example.test'],'cause':'breached','note':'a list'}";
    static const char *const wrong_ones[] = {
        "{'cause':'breached','note':'x'}", "{'mailboxes':[],'note':'x'}",
        "{'mailboxes':'alice@example.test','note':'x'}", "{'mailboxes':['alice@example.test']}",
        "{'mailboxes':['alice@example.test','no-domain',7],'note':'x'}",
        "{'mailboxes':['alice@example.test'],'note':'x','cause':'terms'}",
        "{'mailboxes':['alice@example.test'],'note':'x','action':'close'}"};
    begin(_i);
    report(STOLEN, true, NOW - DAY_MS);
    exchange(NOW - DAY_MS);
    for (size_t i = 0; i < countof(wrong_ones); i++) {
        struct json_object *made = NULL;
        struct problem problem = {0};
        ck_assert_int_eq(desk_lock_many(rig_desk(), &supporter, words_of(wrong_ones[i]), false, NOW,
                                        &made, &problem), 0);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_msg(i != 4 || strstr(problem.text, "\"no-domain\": ") != NULL, "%s", problem.text);
    }
    ck_assert(!is_suspended(NOW));
    struct json_object *view = lock_many(three, true, NOW);
    check_member(view, "done", "false");
    check_member(view, "locked", "3");
    check_member(view, "already", "0");
    check_member(view, "unseen", "2");
    check_member(view, "mailboxes.0.mailbox", ALICE);
    check_member(view, "mailboxes.0.seen", "true");
    check_member(view, "mailboxes.2.mailbox", "carol@example.test");
    ck_assert(!is_suspended(NOW));
    view = lock_many(three, false, NOW + 1);
    check_member(view, "done", "true");
    check_member(view, "mailboxes.1.done", "true");
    ck_assert(!may_enter(STOLEN, NOW + 1) && lock.breached);
    view = view_mailbox("carol@example.test", NOW + 1);
    check_member(view, "suspension.cause", "breached");
    check_member(view, "lock.old_password_known", "false"); /* she never signed in */
    view = lock_many(three, true, NOW + 2);
    check_member(view, "locked", "0");
    check_member(view, "already", "3");
}
END_TEST

/* The second within a year is closed, for all but an administrator; one after that is not. */
START_TEST(test_second)
{
    int64_t now_ms = NOW + LOGIN_OFFENCES_MS - 1;
    begin_locked(_i);
    act(&supporter, "{'action':'reopen','note':'changed'}", NOW + 1);
    check_member(view_mailbox(ALICE, now_ms), "lock.next", "closed");
    check_member(view_mailbox(ALICE, now_ms + 1), "lock.next", "locked");
    check_member(act(&supporter, "{'action':'lock','scope':'sending','note':'x'}", now_ms), "phase",
                 "closed");
    ck_assert(may_enter(STOLEN, now_ms)); /* it is only of sending */
    act(&supporter, "{'action':'lock','note':'wider'}", now_ms);
    ck_assert(!may_enter(STOLEN, now_ms) && lock.closed);
    ck_assert_int_eq(refused(&supporter, "{'action':'reopen','note':'x'}", now_ms), 409);
    ck_assert_int_eq(refused(&supporter, "{'action':'open','note':'x'}", now_ms), 403);
    refuse_action(&supporter, "{'action':'lift','subject':'alice@example.test','note':'x'}", now_ms,
                  403, "");
    check_member(act(&panel, "{'action':'password_changed','note':'x'}", now_ms), "done", "false");
    ck_assert(is_suspended(now_ms));
    check_member(act(&admin, "{'action':'open','note':'seen'}", now_ms + 2), "phase", "reopened");
    ck_assert(may_enter(NEW, now_ms + 3));
    ck_assert(!is_suspended(now_ms + 3));
    ck_assert_int_eq(refused(&admin, "{'action':'open','note':'x'}", now_ms + 3), 409);
}
END_TEST

/* A lift says that it was a mistake: no offence, and no watching. */
START_TEST(test_mistake)
{
    begin_locked(_i);
    preview_action(&supporter, "{'action':'lift','subject':'alice@example.test','note':'x'}", NOW + 1);
    ck_assert(!may_enter(NEW, NOW + 1));
    do_action(&supporter, "{'action':'lift','subject':'alice@example.test','note':'x'}", NOW + 1);
    exchange(NOW + 2);
    ck_assert(may_enter(STOLEN, NOW + 2) && !lock.again);
    struct json_object *view = view_mailbox(ALICE, NOW + 2);
    check_member(view, "lock.phase", "none");
    check_member(view, "lock.next", "locked");
    ck_assert(rig_member(view, "lock.offence_at") == NULL);
    ck_assert_int_eq(refused(&supporter, "{'action':'reopen','note':'x'}", NOW + 2), 409);
}
END_TEST

/* What a lift tells of the lock before it is done; one of another cause leaves it. */
START_TEST(test_lift_tells)
{
    begin_locked(_i);
    struct json_object *view = preview_action(
        &supporter, "{'action':'lift','subject':'alice@example.test','note':'x'}", NOW + 1);
    check_member(view, "cause", "compromised");
    check_member(view, "lock.scope", "login");
    do_action(&supporter, "{'action':'suspend','subject':'alice@example.test','note':'x'}",
              NOW + 2);
    view = do_action(&supporter,
                     "{'action':'lift','subject':'alice@example.test','cause':'staff','note':'x'}",
                     NOW + 3);
    check_member(view, "cause", "staff");
    check_member(view, "lock.phase", "locked");
    exchange(NOW + 4);
    ck_assert(!may_enter(NEW, NOW + 4));
    const struct action action = {NOW + 5, "root", "an earlier version"};
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_COMPROMISED, &action), 1);
    refuse_action(&supporter, "{'action':'lift','subject':'alice@example.test','note':'x'}",
                  NOW + 6, 409, "subject");
}
END_TEST

/* The list of suspended mailboxes tells a lock from a suspension, and what it stops. */
START_TEST(test_listed)
{
    begin_locked(_i);
    do_action(&supporter, "{'action':'suspend','subject':'alice@example.test','note':'x'}", NOW + 1);
    struct json_object *view = VIEW(desk_suspended(rig_desk(), NULL, NOW + 1, &made));
    check_member(view, "suspended.0.cause", "compromised");
    check_member(view, "suspended.0.lock.scope", "login");
    check_member(view, "suspended.0.lock.closed", "false");
    check_member(view, "suspended.1.cause", "staff");
    ck_assert(rig_member(view, "suspended.1.lock") == NULL);
    act(&supporter, "{'action':'lock','scope':'sending','note':'x'}", NOW + 2);
    view = VIEW(desk_suspended(rig_desk(), NULL, NOW + 2, &made));
    check_member(view, "suspended.0.lock.scope", "sending");
    act(&supporter, "{'action':'close','note':'x'}", NOW + 3);
    view = VIEW(desk_home(rig_desk(), NOW + 3, &made));
    check_member(view, "suspended.1.lock.scope", "login");
    check_member(view, "suspended.1.lock.closed", "true");
}
END_TEST

/* Who reopens may say that the desk's list was gone through; the audit log has it. */
START_TEST(test_checked)
{
    begin_locked(_i);
    check_member(view_mailbox(ALICE, NOW), "lock.offences", "1");
    ck_assert_int_eq(refused(&supporter, "{'action':'lock','checked':true,'note':'x'}", NOW), 400);
    ck_assert_int_eq(refused(&supporter, "{'action':'reopen','checked':false,'note':'x'}", NOW),
                     400);
    act(&supporter, "{'action':'reopen','checked':true,'note':'talked to her'}", NOW + 1);
    struct json_object *view =
        VIEW(desk_audit(rig_desk(), ALICE, NULL, &made, &fault));
    struct json_object *detail = rig_member(view, "actions.1.detail");
    ck_assert_str_eq(json_object_to_json_string_ext(detail, 0),
                     "{\"was\":\"locked\",\"phase\":\"reopened\",\"checked\":true}");
    act(&supporter, "{'action':'lock','note':'once more'}", NOW + 2);
    check_member(view_mailbox(ALICE, NOW + 2), "lock.offences", "2");
    check_member(view_mailbox(ALICE, NOW + LOGIN_OFFENCES_MS), "lock.offences", "1");
    check_member(view_mailbox(ALICE, NOW + LOGIN_OFFENCES_MS + 2), "lock.offences", "0");
}
END_TEST

/* "That wasn't me" sets sending alone, and is an offence when staff lock. */
START_TEST(test_own_lock)
{
    begin(_i);
    report(STOLEN, true, NOW - 1);
    VIEW(desk_lock(rig_desk(), ALICE, NOW, &made));
    exchange(NOW);
    ck_assert(may_enter(STOLEN, NOW));
    struct json_object *view = view_mailbox(ALICE, NOW);
    check_member(view, "lock.phase", "none");
    check_member(view, "lock.suspended", "true");
    check_member(act(&panel, "{'action':'password_changed','note':'x'}", NOW + 1), "done", "true");
    ck_assert(!is_suspended(NOW + 1));
    VIEW(desk_lock(rig_desk(), ALICE, NOW + 2, &made));
    act(&supporter, "{'action':'lock','note':'confirmed'}", NOW + 3);
    view = view_mailbox(ALICE, NOW + 3);
    check_member(view, "lock.phase", "locked");
    check_member(view, "suspension.by", "sam");
    ck_assert_uint_eq(length_of(view, "suspensions"), 1);
    ck_assert(!may_enter(STOLEN, NOW + 3));
}
END_TEST

/* A thief's new password ends that the old one is in a list, not what the user stopped. */
START_TEST(test_own_lock_and_breached)
{
    begin(_i);
    VIEW(desk_lock(rig_desk(), ALICE, NOW, &made));
    act(&supporter, "{'action':'lock','cause':'breached','scope':'sending','note':'x'}", NOW + 1);
    ck_assert_uint_eq(length_of(view_mailbox(ALICE, NOW + 1), "suspensions"), 2);
    VIEW(desk_lock_tell_by_webmail(rig_desk(), ALICE, NOW + 2, &made, &fault));
    struct json_object *view = view_mailbox(ALICE, NOW + 2);
    ck_assert_uint_eq(length_of(view, "suspensions"), 1);
    check_member(view, "suspension.cause", "compromised");
    check_member(view, "lock.phase", "reopened");
    act(&supporter, "{'action':'reopen','note':'by telephone'}", NOW + 3);
    ck_assert(!is_suspended(NOW + 3));
}
END_TEST

/* The second step of the user: nobody gets in; staff confirm it, or lift it. */
START_TEST(test_asked)
{
    struct problem problem = {0};
    begin(_i);
    report(STOLEN, true, NOW - 1);
    exchange(NOW - 1);
    ck_assert_int_eq(desk_lock_signins(rig_desk(), ALICE, NOW, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    check_member(view_status(ALICE, 0, NOW), "can_lock_signins", "false");
    struct json_object *view = VIEW(desk_lock(rig_desk(), ALICE, NOW, &made));
    check_member(view, "can_lock_signins", "true");
    check_member(view, "lock.scope", "sending");
    ck_assert_int_eq(desk_lock_signins(rig_desk(), ALICE, NOW + 1, &problem), 1);
    exchange(NOW + 1);
    ck_assert(!may_enter(STOLEN, NOW + 1) && !lock.closed);
    view = view_status(ALICE, 0, NOW + 2);
    check_member(view, "can_lock_signins", "false");
    check_member(view, "lock.scope", "login");
    ck_assert_int_eq(desk_lock_signins(rig_desk(), ALICE, NOW + 2, &problem), 0);
    view = view_mailbox(ALICE, NOW + 2);
    check_member(view, "lock.phase", "asked");
    check_member(view, "lock.offences", "0");
    check_member(view, "timeline.0.action", "lock");
    check_member(view, "timeline.0.by", "user");
    do_action(&supporter, "{'action':'lift','subject':'alice@example.test','note':'x'}", NOW + 3);
    exchange(NOW + 3);
    ck_assert(may_enter(STOLEN, NOW + 3) && !is_suspended(NOW + 3));
    VIEW(desk_lock(rig_desk(), ALICE, NOW + 4, &made));
    ck_assert_int_eq(desk_lock_signins(rig_desk(), ALICE, NOW + 4, &problem), 1);
    act(&supporter, "{'action':'lock','note':'confirmed'}", NOW + 5);
    view = view_mailbox(ALICE, NOW + 5);
    check_member(view, "lock.phase", "locked");
    check_member(view, "lock.offences", "1");
    check_member(act(&panel, "{'action':'password_changed','note':'x'}", NOW + 6), "phase",
                 "reopened");
    ck_assert(!may_enter(STOLEN, NOW + 7) && lock.again);
}
END_TEST

static const char *keeps_out(int64_t now_ms)
{
    return arena_strdup(arena, rig_text(view_mailbox(ALICE, now_ms), "lock.keeps_out"));
}

static void count_question(const char *name)
{
    struct counter counter = {.value = 1};
    strcpy(counter.name, name);
    const struct observations seen = {.counters = &counter, .counter_count = 1};
    ck_assert_int_eq(store_observe(store, &seen, NOW), 1);
}

/* A lock does something where Dovecot asks when a password was right. */
START_TEST(test_asked_after)
{
    begin(_i);
    ck_assert_str_eq(keeps_out(NOW), "not_asked");
    count_question("login_questions stage=before");
    count_question("login_refusals");
    count_question("suspensions cause=volume");
    ck_assert_str_eq(keeps_out(NOW), "not_asked");
    count_question(COUNTER_ASKED_AFTER);
    ck_assert_str_eq(keeps_out(NOW), "yes");
}
END_TEST

/* In mode observe nobody is kept out, and nothing else is said. */
START_TEST(test_observed)
{
    struct problem problem = {0};
    rig_begin(_i, WITH("guard.mode=observe"));
    logins = logins_new(token_key);
    check_member(VIEW(desk_lock(rig_desk(), ALICE, NOW, &made)), "can_lock_signins", "false");
    ck_assert_int_eq(desk_lock_signins(rig_desk(), ALICE, NOW, &problem), 1);
    check_member(view_status(ALICE, 0, NOW), "lock.scope", "sending");
    ck_assert_str_eq(keeps_out(NOW), "observed");
}
END_TEST

/* What fingerprints confirm, and what they do not. */
START_TEST(test_confirmation)
{
    begin_locked(_i);
    ck_assert(!may_enter(STOLEN, NOW + 1));
    exchange(NOW + 1);
    struct json_object *view = view_mailbox(ALICE, NOW + 1);
    ck_assert(rig_member(view, "lock.old_password_refused_since") == NULL);
    ck_assert(rig_member(view, "lock.new_password_at") == NULL);
    report(WRONG, false, NOW + MINUTE_MS);
    report(STOLEN, false, NOW + 2 * MINUTE_MS);
    report(STOLEN, false, NOW + 3 * MINUTE_MS);
    ck_assert(!may_enter(NEW, NOW + 4 * MINUTE_MS));
    exchange(NOW + 4 * MINUTE_MS);
    view = view_mailbox(ALICE, NOW + 4 * MINUTE_MS);
    check_member(view, "lock.old_password_refused_since", "2025-11-22T05:42:00Z");
    check_member(view, "lock.new_password_at", "2025-11-22T05:44:00Z");
    check_member(view, "lock.new_password_network", ELSEWHERE);
    check_member(view, "lock.phase", "locked");
    ck_assert(!may_enter(STOLEN, NOW + 5 * MINUTE_MS));
    exchange(NOW + 5 * MINUTE_MS);
    ck_assert(rig_member(view_mailbox(ALICE, NOW + 5 * MINUTE_MS),
                         "lock.old_password_refused_since") == NULL);
}
END_TEST

/* It survives all that is forgotten of sign-ins. */
START_TEST(test_stays)
{
    begin_locked(_i);
    exchange(NOW + 400 * DAY_MS);
    ck_assert(!may_enter(NEW, NOW + 400 * DAY_MS));
    logins_free(&logins);
    logins = logins_new(token_key);
    exchange(NOW + 400 * DAY_MS);
    ck_assert(!may_enter(NEW, NOW + 400 * DAY_MS));
}
END_TEST

static const struct {
    const struct person *person;
    const char *words;
    int status;
} wrong[] = {
    {&viewer, "{'action':'lock','note':'x'}", 403},
    {&viewer, "{'action':'password_changed','note':'x'}", 403},
    {&panel, "{'action':'lock','note':'x'}", 403},
    {&panel, "{'action':'reopen','note':'x'}", 403},
    {&supporter, "{'action':'lock'}", 400},
    {&supporter, "{'action':'burn','note':'x'}", 400},
    {&supporter, "{'note':'x'}", 400},
    {&supporter, "{'action':'lock','scope':'all','note':'x'}", 400},
    {&supporter, "{'action':'close','scope':'login','note':'x'}", 400},
    {&supporter, "{'action':'lock','for':'1h','note':'x'}", 400},
    {&panel, "{'action':'password_changed','by':'thief','note':'x'}", 400},
    {&supporter, "{'action':'reopen','by':'owner','note':'x'}", 400},
};
START_TEST(test_wrong)
{
    begin(_i % BACKEND_KINDS);
    int i = _i / BACKEND_KINDS;
    ck_assert_int_eq(refused(wrong[i].person, wrong[i].words, NOW), wrong[i].status);
    exchange(NOW);
    ck_assert(may_enter(STOLEN, NOW));
    ck_assert(!is_suspended(NOW));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk lock");
    TCase *cases = desk_case(suite, "locks");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_first, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_changed_by_its_owner, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_again, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_breached, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_second, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_mistake, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_lift_tells, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_listed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_checked, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_lock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_lock_and_breached, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_asked, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_asked_after, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_confirmation, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_stays, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_wrong, 0, (int)countof(wrong) * BACKEND_KINDS);
    return backends_run(suite);
}
