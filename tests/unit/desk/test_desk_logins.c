/* Wrong passwords at the desk: what staff see of a mailbox and a network, and the end of blocks,
 * over both stores. */
#include "guard/logins.h"
#include "tests/unit/desk/desk_rig.h"

#define HERE "192.0.2.1"
#define ELSEWHERE "2001:db8:1:2::7"

static const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
static struct logins *logins;

static void begin(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    logins = logins_new(token_key);
}

static void end(void) { logins_free(&logins); }

static struct logins_taken report(const char *mailbox, const char *ip, int password, bool right,
                                  int64_t now_ms)
{
    struct logins_taken taken;
    const struct logins_try attempt = {
        .mailbox = mailbox, .ip = ip, .fingerprint = (uint16_t)password};
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
    ck_assert_int_eq(desk_logins_end(rig_desk(), person, words_of(words), now_ms, &made, &problem),
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
                                words_of("{'mailbox':'Alice@example.test','note':'asked'}"),
                                NOW + 101, &made, &fault));
    ck_assert_uint_eq(length_of(view, "blocks"), 0);
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
    for (int i = 0; i < 3; i++)
        report(ALICE, ELSEWHERE, 1, false, NOW + i);
    exchange(NOW + 3);
    struct json_object *view = view_of(ALICE, NULL, NOW + 3);
    check_member(view, "mode", "enforce");
    ck_assert_uint_eq(length_of(view, "old_passwords"), 1);
    check_member(view, "old_passwords.0.network", "2001:db8:1:2::/64");
    check_member(view, "old_passwords.0.tries", "3");
    check_member(view, "old_passwords.0.since", "2025-11-20T05:40:00Z");
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
                             words_of("{'ip':'2001:db8:1:2::1','note':'an office'}"), NOW, &made,
                             &fault));
    ck_assert_uint_eq(length_of(view, "blocks"), 0);
    exchange(NOW);
    ck_assert(!is_blocked(ALICE, ELSEWHERE, NOW));
    view = VIEW(desk_audit(rig_desk(), "2001:db8:1:2::/64", NULL, &made, &fault));
    check_member(view, "actions.0.action", "logins_end");
    check_member(view, "actions.0.note", "an office");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk logins");
    TCase *cases = desk_case(suite, "logins");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_closed_to_everywhere, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_old_password, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_network, 0, BACKEND_KINDS);
    return backends_run(suite);
}
