/* Wrong passwords at the desk: what staff see of a mailbox and a network, and the end of blocks,
 * over both stores. */
#include "guard/logins.h"
#include "tests/unit/desk/desk_rig.h"

#define HERE "192.0.2.1"
#define ELSEWHERE "2001:db8:1:2::7"

static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
static struct logins *logins;
static enum login_protocol protocol;

static void begin(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    logins = logins_new(token_key);
    protocol = LOGIN_IMAP;
}

static void end(void) { logins_free(&logins); }

static struct logins_taken report(const char *mailbox, const char *ip, int password, bool right,
                                  int64_t now_ms)
{
    struct logins_taken taken;
    const struct logins_try attempt = {
        .mailbox = mailbox, .ip = ip, .fingerprint = (uint16_t)password, .protocol = protocol};
    ck_assert_int_eq(logins_report(logins, &attempt, right, &limits, now_ms, &taken), 1);
    return taken;
}

static void exchange(int64_t now_ms)
{
    ck_assert_int_eq(logins_exchange(logins, store, &limits, now_ms), 1);
}

static bool is_blocked(const char *mailbox, const char *ip, int64_t now_ms)
{
    struct login_block block;
    const struct logins_try attempt = {.mailbox = mailbox, .ip = ip};
    return logins_allow(logins, &attempt, now_ms, &block) == 0;
}

static struct json_object *view_of(const char *mailbox, const char *ip, int64_t now_ms)
{
    return VIEW(desk_logins(rig_desk(), mailbox, ip, now_ms, &made, &fault));
}

/* The status of an end that must be refused. */
static int refused(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *made = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_logins_end(rig_desk(), person, words_of(words), false, now_ms, &made,
                                     &problem),
                     0);
    ck_assert_ptr_null(made);
    return problem.status;
}

/* A mailbox that a hundred wrong passwords close to everywhere: staff opens it, and no other
 * hundred closes it within a day. */
START_TEST(test_closed_to_everywhere)
{
    char ip[32];
    begin(_i, DEFAULTS);
    report(ALICE, HERE, 4000, true, NOW - DAY_MS);
    for (int i = 0; i < 100; i++) {
        snprintf(ip, sizeof ip, "198.51.100.%d", i % 50);
        report(ALICE, ip, i, false, NOW + i);
    }
    exchange(NOW + 100);
    struct json_object *view = view_of(ALICE, NULL, NOW + 100);
    ck_assert_uint_eq(length_of(view, "blocks"), 1);
    check_member(view, "blocks.0.rule", "wrong_passwords_per_mailbox");
    ck_assert(rig_member(view, "blocks.0.network") == NULL);
    check_member(view, "mode", "observe");
    check_member(view, "counts.0.count", "100");
    ck_assert_uint_eq(length_of(view, "wrong"), 50);
    check_member(view, "wrong.0.network", "198.51.100.49");
    check_member(view, "wrong.0.count", "2");
    check_member(view, "known.0.network", HERE);
    ck_assert(is_blocked(ALICE, ELSEWHERE, NOW + 100) && !is_blocked(ALICE, HERE, NOW + 100));

    ck_assert_int_eq(refused(&viewer, "{'mailbox':'alice@example.test','note':'x'}", NOW + 101),
                     403);
    view = VIEW(desk_logins_end(rig_desk(), &supporter,
                                words_of("{'mailbox':'Alice@example.test','note':'asked'}"), true,
                                NOW + 101, &made, &fault));
    ck_assert_uint_eq(length_of(view, "blocks"), 0);
    check_member(view, "done", "false");
    check_member(view, "ended.0.rule", "wrong_passwords_per_mailbox");
    exchange(NOW + 101);
    ck_assert(is_blocked(ALICE, ELSEWHERE, NOW + 101)); /* nothing is done */
    view = VIEW(desk_logins_end(rig_desk(), &supporter,
                                words_of("{'mailbox':'Alice@example.test','note':'asked'}"), false,
                                NOW + 101, &made, &fault));
    ck_assert_uint_eq(length_of(view, "blocks"), 0);
    ck_assert_uint_eq(length_of(view, "ended"), 1);
    check_member(view, "done", "true");
    check_member(view, "open_until", "2025-11-23T05:40:01Z");
    exchange(NOW + 102);
    ck_assert(!is_blocked(ALICE, ELSEWHERE, NOW + 102));
    for (int i = 0; i < 200; i++) {
        snprintf(ip, sizeof ip, "203.0.113.%d", i % 50);
        report(ALICE, ip, 200 + i, false, NOW + 103);
    }
    ck_assert(!is_blocked(ALICE, ELSEWHERE, NOW + 103));
    ck_assert_int_eq(refused(&supporter, "{'mailbox':'alice@example.test','note':'x'}", NOW + 103),
                     409);
}
END_TEST

/* What an old password is told of, and what a network is. */
START_TEST(test_old_password)
{
    begin(_i, WITH("logins.mode=enforce"));
    report(ALICE, HERE, 1, true, NOW - 2 * DAY_MS);
    report(ALICE, HERE, 2, true, NOW - DAY_MS);
    protocol = LOGIN_SUBMISSION;
    report(ALICE, HERE, 2, true, NOW - DAY_MS + 1);
    protocol = LOGIN_POP3;
    for (int i = 0; i < 3; i++)
        report(ALICE, ELSEWHERE, 1, false, NOW + i);
    exchange(NOW + 3);
    struct json_object *view = view_of(ALICE, NULL, NOW + 3);
    check_member(view, "mode", "enforce");
    ck_assert_uint_eq(length_of(view, "old_passwords"), 1);
    check_member(view, "old_passwords.0.network", "2001:db8:1:2::/64");
    check_member(view, "old_passwords.0.protocol", "pop3");
    check_member(view, "old_passwords.0.tries", "3");
    check_member(view, "old_passwords.0.since", "2025-11-20T05:40:00Z");
    check_member(view, "known.0.protocol", "submission");
    check_member(view, "known.0.protocols", "['imap','submission']");
    view = view_of(NULL, HERE, NOW + 3);
    check_member(view, "network", HERE);
    check_member(view, "known_mailboxes", "1");
    view = view_of(NULL, "2001:db8:1:2::/64", NOW + 3);
    check_member(view, "network", "2001:db8:1:2::/64");
    ck_assert_uint_eq(length_of(view, "counts"), 2);
}
END_TEST

/* A network's block ends at once for all of it; a note says why. */
START_TEST(test_network)
{
    char name[32];
    begin(_i, DEFAULTS);
    report("somebody@example.test", "203.0.113.9", 1, true, NOW);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        report(name, ELSEWHERE, 1, false, NOW);
    }
    exchange(NOW);
    ck_assert(is_blocked(ALICE, ELSEWHERE, NOW));
    check_member(view_of(NULL, ELSEWHERE, NOW), "blocks.0.network", "2001:db8:1:2::/64");
    ck_assert_int_eq(refused(&supporter, "{'ip':'2001:db8:1:2::1'}", NOW), 400);
    ck_assert_int_eq(refused(&supporter, "{'ip':'2001:db8:1:3::1','note':'x'}", NOW), 409);
    struct json_object *view =
        VIEW(desk_logins_end(rig_desk(), &supporter,
                             words_of("{'ip':'2001:db8:1:2::1','note':'an office'}"), false, NOW,
                             &made, &fault));
    ck_assert_uint_eq(length_of(view, "blocks"), 0);
    exchange(NOW);
    ck_assert(!is_blocked(ALICE, ELSEWHERE, NOW));
    view = VIEW(desk_audit(rig_desk(), "2001:db8:1:2::/64", NULL, &made, &fault));
    check_member(view, "actions.0.action", "logins_end");
    check_member(view, "actions.0.note", "an office");
}
END_TEST

/* A mailbox that was tried from a network that is closed: its page says so, where it does not know
 * the network. */
START_TEST(test_network_blocks)
{
    char name[32];
    begin(_i, DEFAULTS);
    report("bob@example.test", ELSEWHERE, 4000, true, NOW);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        report(name, ELSEWHERE, 1, false, NOW);
    }
    report("bob@example.test", ELSEWHERE, 1, false, NOW);
    report(ALICE, "198.51.100.1", 2, false, NOW);
    report(ALICE, ELSEWHERE, 1, false, NOW);
    exchange(NOW);
    struct json_object *view = view_of(ALICE, NULL, NOW);
    ck_assert_uint_eq(length_of(view, "blocks"), 0);
    ck_assert_uint_eq(length_of(view, "network_blocks"), 1);
    check_member(view, "network_blocks.0.rule", "mailboxes_per_ip");
    check_member(view, "network_blocks.0.network", "2001:db8:1:2::/64");
    ck_assert_uint_eq(length_of(view_of("bob@example.test", NULL, NOW), "network_blocks"), 0);
    ck_assert_uint_eq(length_of(view_of(ALICE, NULL, NOW + HOUR_MS), "network_blocks"), 0);
}
END_TEST

static struct json_object *closed(int64_t now_ms)
{
    struct json_object *view = NULL;
    ck_assert_int_eq(desk_logins_closed(rig_desk(), now_ms, &view), 1);
    return keep_view(view);
}

/* What is closed is counted without a look at each mailbox, until it ends or is opened. */
START_TEST(test_closed_now)
{
    char name[32];
    begin(_i, DEFAULTS);
    check_member(closed(NOW), "closed_mailboxes", "0");
    report("bob@example.test", "203.0.113.9", 4000, true, NOW);
    for (int i = 0; i < 10; i++) {
        report(ALICE, HERE, i, false, NOW);
        report("bob@example.test", "198.51.100.1", i, false, NOW);
    }
    exchange(NOW);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "m%d@example.test", i);
        report(name, ELSEWHERE, 1, false, NOW + 1);
    }
    exchange(NOW + 1);
    struct json_object *view = closed(NOW + 1);
    check_member(view, "mode", "observe");
    check_member(view, "closed_mailboxes", "2");
    check_member(view, "closed_networks", "1");
    check_member(view, "networks.0.network", "2001:db8:1:2::/64");
    check_member(view, "networks.0.until", "2025-11-22T06:40:01Z");
    (void)VIEW(desk_logins_end(rig_desk(), &supporter,
                               words_of("{'mailbox':'alice@example.test','note':'asked'}"), false,
                               NOW + 2, &made, &fault));
    check_member(closed(NOW + 2), "closed_mailboxes", "1");
    check_member(VIEW(desk_home(rig_desk(), NOW + 2, &made)), "logins.closed_mailboxes", "1");
    (void)VIEW(desk_logins_end(rig_desk(), &supporter,
                               words_of("{'ip':'2001:db8:1:2::1','note':'asked'}"), false, NOW + 2,
                               &made, &fault));
    check_member(closed(NOW + 2), "closed_networks", "0");
    check_member(closed(NOW + HOUR_MS - 1), "closed_mailboxes", "1");
    check_member(closed(NOW + HOUR_MS), "closed_mailboxes", "0");
}
END_TEST

/* Seven days after the first try was written, if no three are without one, blocks can be enforced. */
START_TEST(test_seen_since)
{
    begin(_i, DEFAULTS);
    ck_assert(rig_member(view_of(ALICE, NULL, NOW), "seen_since") == NULL);
    for (int day = 0; day < 3; day++) {
        report(ALICE, HERE, 1, true, NOW + 2 * day * DAY_MS);
        exchange(NOW + 2 * day * DAY_MS);
    }
    struct json_object *view = view_of(ALICE, NULL, NOW + 7 * DAY_MS - 1);
    check_member(view, "seen_since", "2025-11-22T05:40:00Z");
    check_member(view, "ready_at", "2025-11-29T05:40:00Z");
    view = view_of(NULL, HERE, NOW + 7 * DAY_MS);
    ck_assert(rig_member(view, "seen_since") == NULL && rig_member(view, "ready_at") == NULL);
    report(ALICE, HERE, 1, true, NOW + 7 * DAY_MS);
    exchange(NOW + 7 * DAY_MS);
    check_member(view_of(ALICE, NULL, NOW + 7 * DAY_MS), "ready_at", "2025-12-06T05:40:00Z");
}
END_TEST

static struct json_object *own(const char *reader_ip, int64_t now_ms)
{
    struct json_object *view = NULL;
    ck_assert_int_eq(desk_logins_own(rig_desk(), ALICE, reader_ip, now_ms, &view), 1);
    ck_assert_ptr_nonnull(view);
    return keep_view(view);
}

static void guess(const char *ip, int from, int64_t now_ms)
{
    for (int i = 0; i < 10; i++)
        report(ALICE, ip, from + i, false, now_ms);
}

static struct json_object *act_on_lock(const char *words, int64_t now_ms)
{
    return VIEW(desk_lock_act(rig_desk(), &supporter, ALICE, words_of(words), false, now_ms, &made,
                              &fault));
}

/* What goes on keeping a network out when a lock ends is told with the lock. */
START_TEST(test_stays_beside_a_lock)
{
    begin(_i, WITH("logins.mode=enforce"));
    report(ALICE, HERE, 1, true, NOW - DAY_MS);
    guess("203.0.113.5", 200, NOW);
    exchange(NOW + 1000);
    act_on_lock("{'action':'lock','note':'x'}", NOW + 1001);
    check_member(view_of(ALICE, NULL, NOW + 1001), "locked_since", "2025-11-22T05:40:02Z");
    struct json_object *view = act_on_lock("{'action':'reopen','note':'x'}", NOW + 1002);
    ck_assert_uint_eq(length_of(view, "blocks"), 1);
    check_member(view, "blocks.0.network", "203.0.113.5");
    check_member(view, "suspended_besides", "false");
    ck_assert(rig_member(view_of(ALICE, NULL, NOW + 1003), "locked_since") == NULL);
}
END_TEST

/* The networks that are the user's, shortened; of those that guessed no more than their number. */
START_TEST(test_own_view)
{
    begin(_i, WITH("logins.mode=enforce"));
    report(ALICE, HERE, 1, true, NOW - 2 * DAY_MS);
    report(ALICE, HERE, 2, true, NOW - DAY_MS);
    protocol = LOGIN_SMTP;
    report(ALICE, "192.0.2.200", 2, true, NOW - DAY_MS);
    for (int i = 0; i < 3; i++)
        report(ALICE, ELSEWHERE, 1, false, NOW + i);
    guess(HERE, 100, NOW + 10);
    guess("203.0.113.5", 200, NOW + 20);
    guess("203.0.113.6", 300, NOW + 1030);
    exchange(NOW + 1030);
    struct json_object *view = own(NULL, NOW + 1030);
    ck_assert_uint_eq(length_of(view, "closed"), 1);
    check_member(view, "closed.0.network", "192.0.2.0/24");
    check_member(view, "closed.0.everywhere", "false");
    check_member(view, "closed.0.until", "2025-11-22T06:40:01Z");
    check_member(view, "closed_to_others.count", "2");
    check_member(view, "closed_to_others.until", "2025-11-22T06:40:02Z");
    ck_assert_uint_eq(length_of(view, "known"), 1); /* two addresses, one network of the page */
    check_member(view, "known.0.network", "192.0.2.0/24");
    check_member(view, "known.0.protocol", "smtp");
    check_member(view, "known.0.protocols", "['imap','smtp']");
    check_member(view, "old_passwords.0.network", "2001:db8:1::/48");
    check_member(view, "old_passwords.0.tries", "3");
    ck_assert_ptr_null(strstr(json_object_to_json_string(view), "203.0.113"));

    view = own("203.0.113.5", NOW + 1030); /* he sits there himself */
    ck_assert_uint_eq(length_of(view, "closed"), 2);
    check_member(view, "closed.1.network", "203.0.113.0/24");
    check_member(view, "closed_to_others.count", "1");

    view = own("203.0.113.5", NOW + 1030 + HOUR_MS);
    ck_assert_uint_eq(length_of(view, "closed"), 0);
    ck_assert(rig_member(view, "closed_to_others") == NULL);
}
END_TEST

/* While nobody is kept out, nothing is closed. */
/* From 14 days before on, staff and the user read of it; a notice makes it new. */
START_TEST(test_password_age)
{
    begin(_i, WITH("lock.password_max_age=60d"));
    report(ALICE, HERE, 1, true, NOW - 46 * DAY_MS);
    exchange(NOW - 46 * DAY_MS);
    ck_assert_ptr_null(rig_member(view_of(ALICE, NULL, NOW - 1), "password"));
    ck_assert_ptr_null(rig_member(own(NULL, NOW - 1), "password"));
    struct json_object *view = view_of(ALICE, NULL, NOW);
    check_member(view, "password.since", "2025-10-07T05:40:00Z");
    check_member(view, "password.days", "46");
    check_member(view, "password.until", "2025-12-06T05:40:00Z");
    check_member(view, "password.ended", "false");
    check_member(own(NULL, NOW + 14 * DAY_MS - 1), "password.ended", "false");
    view = own(NULL, NOW + 14 * DAY_MS);
    check_member(view, "password.ended", "true");
    check_member(view, "password.days", "60");

    const struct logins_try attempt = {.mailbox = ALICE, .ip = HERE, .fingerprint = 1};
    int64_t notice_ms = NOW + 15 * DAY_MS;
    ck_assert(logins_too_old(logins, &attempt, 60 * DAY_MS, notice_ms));
    exchange(notice_ms);
    view = VIEW(desk_lock_act(rig_desk(), &supporter, ALICE,
                              words_of("{'action':'password_changed','by':'owner','note':'x'}"),
                              false, notice_ms, &made, &fault));
    check_member(view, "done", "false");
    ck_assert_ptr_null(rig_member(own(NULL, notice_ms), "password"));
    exchange(notice_ms + 1);
    ck_assert(!logins_too_old(logins, &attempt, 60 * DAY_MS, notice_ms + 60 * DAY_MS - 1));
    ck_assert(logins_too_old(logins, &attempt, 60 * DAY_MS, notice_ms + 60 * DAY_MS));
}
END_TEST

static const char *const ages_unseen[][2] = {{"lock.password_max_age=off", NULL},
                                             {"lock.password_max_age=60d", "guard.mode=observe"}};
START_TEST(test_password_age_unseen)
{
    begin(BACKEND_SQLITE, WITH(ages_unseen[_i][0], ages_unseen[_i][1]));
    report(ALICE, HERE, 1, true, NOW - 70 * DAY_MS);
    exchange(NOW - 70 * DAY_MS);
    ck_assert_ptr_null(rig_member(view_of(ALICE, NULL, NOW), "password"));
    ck_assert_ptr_null(rig_member(own(NULL, NOW), "password"));
}
END_TEST

START_TEST(test_own_view_observes)
{
    begin(_i, DEFAULTS);
    guess(HERE, 100, NOW);
    exchange(NOW);
    ck_assert_uint_eq(length_of(own(HERE, NOW), "closed"), 0);
}
END_TEST

START_TEST(test_own_view_everywhere)
{
    char ip[32];
    begin(_i, WITH("logins.mode=enforce"));
    for (int i = 0; i < 100; i++) {
        snprintf(ip, sizeof ip, "198.51.100.%d", i % 50);
        report(ALICE, ip, i, false, NOW);
    }
    for (int i = 0; i < 12; i++) {
        snprintf(ip, sizeof ip, "10.0.%d.1", i);
        report(ALICE, ip, 4000, true, NOW + i);
    }
    exchange(NOW);
    struct json_object *view = own(NULL, NOW + 12);
    ck_assert_uint_eq(length_of(view, "closed"), 1);
    check_member(view, "closed.0.everywhere", "true");
    ck_assert(rig_member(view, "closed.0.network") == NULL);
    ck_assert_uint_eq(length_of(view, "known"), 10);
    check_member(view, "known.0.network", "10.0.11.0/24");
    check_member(view, "can_open", "false");
}
END_TEST

static int opening(const char *reader_ip, int64_t now_ms)
{
    struct problem problem = {0};
    return desk_logins_open(rig_desk(), ALICE, reader_ip, now_ms, &problem);
}

/* Its user opens what is closed to all others, from where he has signed in and from nowhere else. */
START_TEST(test_own_open)
{
    char ip[32];
    begin(_i, WITH("logins.mode=enforce"));
    report(ALICE, HERE, 4000, true, NOW - DAY_MS);
    ck_assert_int_eq(opening(HERE, NOW), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(ip, sizeof ip, "198.51.100.%d", i % 10);
        report(ALICE, ip, i, false, NOW);
    }
    exchange(NOW);
    ck_assert(is_blocked(ALICE, ELSEWHERE, NOW) && is_blocked(ALICE, "198.51.100.1", NOW));
    check_member(own(HERE, NOW), "can_open", "true");
    check_member(own(ELSEWHERE, NOW), "can_open", "false");
    ck_assert_int_eq(opening(ELSEWHERE, NOW), 0);
    ck_assert_int_eq(opening("198.51.100.1", NOW), 0);
    ck_assert_int_eq(opening(NULL, NOW), 0);
    ck_assert_int_eq(opening(HERE, NOW + 1), 1);
    exchange(NOW + 1);
    ck_assert(!is_blocked(ALICE, ELSEWHERE, NOW + 1));
    ck_assert(is_blocked(ALICE, "198.51.100.1", NOW + 1)); /* by another rule */
    ck_assert_int_eq(opening(HERE, NOW + 2), 0);
    struct json_object *view = VIEW(desk_audit(rig_desk(), ALICE, NULL, &made, &fault));
    check_member(view, "actions.0.action", "logins_end");
    check_member(view, "actions.0.by", "user");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk logins");
    TCase *cases = desk_case(suite, "logins");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_closed_to_everywhere, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_old_password, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_stays_beside_a_lock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_network, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_network_blocks, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_closed_now, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_seen_since, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_view, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_password_age, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_password_age_unseen, 0, (int)countof(ages_unseen));
    tcase_add_loop_test(cases, test_own_view_observes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_view_everywhere, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_own_open, 0, BACKEND_KINDS);
    return backends_run(suite);
}
