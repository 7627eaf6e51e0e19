/* What staff changes of its own account, and signing in with a code, in both backends. */
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "staff/staff_own.h"
#include "staff/staff_secret.h"
#include "store/audit.h"
#include "store/kept.h"
#include "tests/unit/store/backends.h"

#define GOOD "correct horse"
#define WRONG "battery staple"
#define HERE "192.0.2.7"

static const unsigned char key[SEAL_KEY_BYTES] = "a key";
static struct problem problem;
static char cookie[SECRET_TEXT_SIZE], secret[TOTP_SECRET_CHARS + 1];
static struct recovery_codes codes;

static struct own_account own(const char *password, int64_t now_ms)
{
    return (struct own_account){"ada", password, key, now_ms};
}

static const char *code_at(int64_t now_ms)
{
    static char code[TOTP_DIGITS + 1];
    unsigned char bytes[TOTP_SECRET_BYTES];
    ck_assert(totp_secret_read(secret, bytes));
    totp_code(bytes, totp_step(now_ms), code);
    return code;
}

static size_t audited(const char *action_name)
{
    struct audit audit[50];
    struct store_page page = {.max = 50};
    size_t found = 0;
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        found += strcmp(audit[i].action, action_name) == 0 && strcmp(audit[i].by, "ada") == 0;
    return found;
}

static void begin(int backend)
{
    struct action action = action_at(NOW);
    backend_begin(backend);
    ck_assert_int_eq(staff_add(store, "ada", ROLE_ADMIN, GOOD, &action, &problem), 1);
}

static void switch_on(void)
{
    struct own_account mine = own(GOOD, NOW);
    staff_codes_secret(secret);
    ck_assert_int_eq(staff_codes_on(store, &mine, secret, code_at(NOW), &codes, cookie, &problem), 1);
}

/* The password; then `waiting` has what the code goes with. */
static int first_step(const char *browser, int64_t now_ms, char waiting_r[SECRET_TEXT_SIZE])
{
    struct sign_in sign_in = {.name = "ada", .password = GOOD, .network = HERE, .browser = browser,
                              .now_ms = now_ms};
    int answer = staff_sign_in(store, &sign_in);
    memcpy(waiting_r, sign_in.cookie, sizeof sign_in.cookie);
    return answer;
}

static int second_step(const char *waiting, const char *browser, const char *code, int64_t now_ms)
{
    struct sign_in sign_in = {.network = HERE, .browser = browser, .now_ms = now_ms};
    struct sign_in_code second = {.waiting = waiting, .code = code, .key = key};
    int answer = staff_sign_in_code(store, &sign_in, &second);
    if (answer == SIGNED_IN)
        memcpy(cookie, sign_in.cookie, sizeof cookie);
    return answer;
}

static int is_session(const char *text, int64_t now_ms)
{
    struct person person;
    return staff_session(store, text, now_ms, &person);
}

/* ---- the password ---------------------------------------------------------------------------- */

START_TEST(test_own_password)
{
    char before[SECRET_TEXT_SIZE];
    begin(_i);
    ck_assert_int_eq(first_step(NULL, NOW, before), SIGNED_IN);
    struct own_account mine = own(WRONG, NOW);
    ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 403);
    ck_assert_str_eq(problem.where, "password");
    mine.password = GOOD;
    ck_assert_int_eq(staff_own_password(store, &mine, "short", cookie, &problem), 0);
    ck_assert_str_eq(problem.where, "new_password");
    ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 1);
    ck_assert_int_eq(is_session(before, NOW), 0);
    ck_assert_int_eq(is_session(cookie, NOW), 1);
    ck_assert_int_eq(first_step(NULL, NOW, before), SIGN_IN_WRONG);
    ck_assert_uint_eq(audited("staff_password"), 1);
}
END_TEST

/* A session is no way to guess the password. */
START_TEST(test_own_password_is_not_guessed)
{
    begin(_i);
    struct own_account mine = own(WRONG, NOW);
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 403);
    mine.password = GOOD;
    ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 429);
    struct action action = action_at(NOW);
    ck_assert_int_eq(staff_unlock(store, "ada", NULL, &action, &problem), 1);
    mine.password = WRONG;
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 403);
    mine.password = GOOD;
    ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 429);
    mine.now_ms += SIGN_IN_SPAN_MS;
    ck_assert_int_eq(staff_own_password(store, &mine, "a new password", cookie, &problem), 1);
}
END_TEST

/* ---- codes ----------------------------------------------------------------------------------- */

START_TEST(test_switched_on)
{
    char before[SECRET_TEXT_SIZE], waiting[SECRET_TEXT_SIZE];
    size_t left;
    begin(_i);
    ck_assert_int_eq(first_step(NULL, NOW, before), SIGNED_IN);
    struct own_account mine = own(GOOD, NOW);
    staff_codes_secret(secret);
    ck_assert_int_eq(staff_codes_on(store, &mine, secret, "000000", &codes, cookie, &problem), 0);
    ck_assert_str_eq(problem.where, "code");
    mine.password = WRONG;
    ck_assert_int_eq(staff_codes_on(store, &mine, secret, code_at(NOW), &codes, cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 403);
    ck_assert_int_eq(staff_codes_wanted(store, "ada", NOW, &left), 0);
    switch_on();
    ck_assert_int_eq(staff_codes_wanted(store, "ada", NOW, &left), 1);
    ck_assert_uint_eq(left, RECOVERY_CODES);
    ck_assert_int_eq(is_session(before, NOW), 0);
    ck_assert_int_eq(is_session(cookie, NOW), 1);
    ck_assert_uint_eq(audited("staff_codes_on"), 1);
    ck_assert_int_eq(first_step(NULL, NOW, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(is_session(waiting, NOW), 0);
    /* the code that switched it on is used */
    ck_assert_int_eq(second_step(waiting, NULL, code_at(NOW), NOW), SIGN_IN_WRONG);
    int64_t later = NOW + TOTP_STEP_MS;
    ck_assert_int_eq(second_step(waiting, NULL, code_at(later), later), SIGNED_IN);
    ck_assert_int_eq(is_session(cookie, later), 1);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(later), later), SIGN_IN_LATE);
    ck_assert_int_eq(first_step(NULL, later, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(later), later), SIGN_IN_WRONG);
}
END_TEST

START_TEST(test_the_second_step_has_its_time)
{
    char waiting[SECRET_TEXT_SIZE];
    begin(_i);
    switch_on();
    int64_t end = NOW + HOUR_MS + SIGN_IN_CODE_MS;
    ck_assert_int_eq(first_step(NULL, NOW + HOUR_MS, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(end), end), SIGN_IN_LATE);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(end - 1), end - 1), SIGNED_IN);
    /* another password meanwhile */
    struct action action = action_at(end);
    ck_assert_int_eq(first_step(NULL, end, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(staff_set_password(store, "ada", "another one", &action, &problem), 1);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(end + MINUTE_MS), end + MINUTE_MS),
                     SIGN_IN_LATE);
    /* a session is none that waits, and nothing is nobody's */
    ck_assert_int_eq(second_step(cookie, NULL, code_at(end), end), SIGN_IN_LATE);
    ck_assert_int_eq(second_step("", NULL, "1", end), SIGN_IN_LATE);
}
END_TEST

/* Ten an hour from anybody; who knows the password does not keep the owner's browser out. */
START_TEST(test_codes_are_not_guessed)
{
    char waiting[SECRET_TEXT_SIZE], browser[SECRET_TEXT_SIZE];
    int64_t later = NOW + MINUTE_MS, at = later + MINUTE_MS;
    begin(_i);
    switch_on();
    staff_new_browser(browser);
    ck_assert_int_eq(first_step(browser, later, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, browser, code_at(later), later), SIGNED_IN);
    ck_assert_int_eq(first_step(NULL, at, waiting), SIGN_IN_CODE);
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        ck_assert_int_eq(second_step(waiting, NULL, "0000", at), SIGN_IN_WRONG);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(at), at), SIGN_IN_BLOCKED);
    ck_assert_int_eq(first_step(browser, at, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, browser, code_at(at), at), SIGNED_IN);
    at += SIGN_IN_SPAN_MS;
    ck_assert_int_eq(first_step(NULL, at, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(at), at), SIGNED_IN);
}
END_TEST

START_TEST(test_codes_after_unlock)
{
    char waiting[SECRET_TEXT_SIZE], browser[SECRET_TEXT_SIZE];
    int64_t later = NOW + MINUTE_MS, at = later + MINUTE_MS;
    struct action action = action_at(at);
    begin(_i);
    switch_on();
    staff_new_browser(browser);
    ck_assert_int_eq(first_step(browser, later, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, browser, code_at(later), later), SIGNED_IN);
    ck_assert_int_eq(first_step(browser, at, waiting), SIGN_IN_CODE);
    for (int i = 0; i < SIGN_IN_TRIES; i++) {
        ck_assert_int_eq(second_step(waiting, browser, "0000", at), SIGN_IN_WRONG);
        ck_assert_int_eq(second_step(waiting, NULL, "0000", at), SIGN_IN_WRONG);
    }
    ck_assert_int_eq(second_step(waiting, browser, code_at(at), at), SIGN_IN_BLOCKED);
    ck_assert_int_eq(second_step(waiting, NULL, code_at(at), at), SIGN_IN_BLOCKED);
    ck_assert_int_eq(staff_unlock(store, "ada", NULL, &action, &problem), 1);
    ck_assert_int_eq(second_step(waiting, NULL, "0000", at), SIGN_IN_WRONG);
    ck_assert_int_eq(second_step(waiting, browser, code_at(at), at), SIGNED_IN);
}
END_TEST

START_TEST(test_recovery_codes)
{
    char waiting[SECRET_TEXT_SIZE], typed[2 * RECOVERY_CODE_CHARS] = "";
    size_t left;
    begin(_i);
    switch_on();
    for (size_t i = 0; i < RECOVERY_CODE_CHARS; i++) /* in capitals, with blanks */
        typed[i] = codes.of[3][i] == '-' ? ' ' : codes.of[3][i];
    for (char *at = typed; *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    ck_assert_int_eq(first_step(NULL, NOW, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, NULL, "abcd-efgh-jkmn-pqrs", NOW), SIGN_IN_WRONG);
    ck_assert_int_eq(second_step(waiting, NULL, typed, NOW), SIGNED_IN);
    ck_assert_uint_eq(audited("staff_recovery"), 1);
    ck_assert_int_eq(first_step(NULL, NOW, waiting), SIGN_IN_CODE);
    ck_assert_int_eq(second_step(waiting, NULL, codes.of[3], NOW), SIGN_IN_WRONG);
    ck_assert_int_eq(staff_codes_wanted(store, "ada", NOW, &left), 1);
    ck_assert_uint_eq(left, RECOVERY_CODES - 1);
}
END_TEST

START_TEST(test_switched_off)
{
    char waiting[SECRET_TEXT_SIZE];
    struct action action = action_at(NOW);
    begin(_i);
    switch_on();
    struct own_account mine = own(WRONG, NOW);
    ck_assert_int_eq(staff_codes_off(store, &mine, cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 403);
    mine.password = GOOD;
    ck_assert_int_eq(staff_codes_off(store, &mine, cookie, &problem), 1);
    ck_assert_int_eq(is_session(cookie, NOW), 1);
    ck_assert_int_eq(staff_codes_off(store, &mine, cookie, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_int_eq(first_step(NULL, NOW, waiting), SIGNED_IN);
    switch_on();
    ck_assert_int_eq(staff_codes_reset(store, "ada", &action, &problem), 1);
    ck_assert_int_eq(is_session(cookie, NOW), 0);
    ck_assert_int_eq(first_step(NULL, NOW, waiting), SIGNED_IN);
    ck_assert_int_eq(staff_codes_reset(store, "nobody", &action, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
}
END_TEST

/* Who has the database has neither the secret nor a recovery code. */
START_TEST(test_nothing_is_kept_open)
{
    unsigned char bytes[TOTP_SECRET_BYTES];
    char hex[2 * TOTP_SECRET_BYTES + 1];
    struct kept kept;
    begin(_i);
    switch_on();
    ck_assert_int_eq(store_kept(store, arena, KEPT_STAFF, "ada", NOW, &kept), 1);
    ck_assert(totp_secret_read(secret, bytes));
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    ck_assert_ptr_null(strstr(kept.value, secret));
    ck_assert_ptr_null(strstr(kept.value, hex));
    for (size_t i = 0; i < RECOVERY_CODES; i++)
        ck_assert_ptr_null(strstr(kept.value, codes.of[i]));
    /* with another key no code fits, and a recovery code does */
    static const unsigned char another[SEAL_KEY_BYTES] = "another key";
    char waiting[SECRET_TEXT_SIZE];
    int64_t later = NOW + MINUTE_MS;
    ck_assert_int_eq(first_step(NULL, later, waiting), SIGN_IN_CODE);
    struct sign_in sign_in = {.network = HERE, .now_ms = later};
    struct sign_in_code second = {.waiting = waiting, .code = code_at(later), .key = another};
    ck_assert_int_eq(staff_sign_in_code(store, &sign_in, &second), SIGN_IN_WRONG);
    second.code = codes.of[0];
    ck_assert_int_eq(staff_sign_in_code(store, &sign_in, &second), SIGNED_IN);
}
END_TEST

int main(void)
{
    staff_password_cost = (struct staff_password_cost){crypto_pwhash_OPSLIMIT_MIN,
                                                       crypto_pwhash_MEMLIMIT_MIN};
    Suite *suite = suite_create("own account");
    TCase *cases = backends_case(suite, "own account");
    tcase_set_timeout(cases, 60);
    const TTest *tests[] = {test_own_password, test_own_password_is_not_guessed, test_switched_on,
                            test_the_second_step_has_its_time, test_codes_are_not_guessed,
                            test_codes_after_unlock, test_recovery_codes, test_switched_off, test_nothing_is_kept_open};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
