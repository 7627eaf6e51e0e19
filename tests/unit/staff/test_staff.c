/* Accounts, sessions, tokens and guesses at passwords, in both backends. */
#include <json-c/json.h>
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "store/audit.h"
#include "store/kept.h"
#include "store/store.h"
#include "tests/unit/store/backends.h"
#include "staff/staff.h"
#include "staff/staff_secret.h"

#define GOOD "correct horse"
#define WRONG "battery staple"
#define HERE "192.0.2.7"

static struct problem problem;
static struct staff_password_cost usual_cost; /* what the programs take; tests take the least */

static void add(const char *name, enum role role, int64_t now_ms)
{
    struct action action = action_at(now_ms);
    ck_assert_msg(staff_add(store, name, role, GOOD, &action, &problem) == 1, "%s %s", problem.text,
                  store_error(store));
}

static int sign_in(const char *name, const char *password, const char *address, int64_t now_ms,
                   char cookie_r[SECRET_TEXT_SIZE])
{
    struct sign_in sign_in = {
        .name = name, .password = password, .network = address, .now_ms = now_ms};
    int answer = staff_sign_in(store, &sign_in);
    memcpy(cookie_r, sign_in.cookie, sizeof sign_in.cookie);
    return answer;
}

static void must_sign_in(const char *name, int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE])
{
    ck_assert_int_eq(sign_in(name, GOOD, HERE, now_ms, cookie_r), SIGNED_IN);
}

static size_t audit_count(const char *action_name)
{
    struct audit audit[50];
    struct store_page page = {.max = 50};
    size_t found = 0;
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        found += strcmp(audit[i].action, action_name) == 0;
    return found;
}

/* ---- accounts --------------------------------------------------------------------- */

START_TEST(test_names)
{
    static const struct {
        const char *name;
        bool good;
    } cases[] = {
        {"ada", true},   {"a", true},     {"7", true},     {"a.b_c-d9", true},
        {"abcdefghijklmnopqrstuvwxyz012345", true},
        {"abcdefghijklmnopqrstuvwxyz0123456", false},
        {"", false},     {"Ada", false},  {"a b", false},  {".a", false},
        {"-a", false},   {"_a", false},   {"a@b", false},  {"a/b", false},
        {"a\n", false},  {"\xC3\xA4", false}, {"a<b>", false}, {"user", false}, {"guard", false},
    };
    struct action action = action_at(NOW);
    backend_begin(_i);
    for (size_t i = 0; i < countof(cases); i++) {
        char token[API_TOKEN_TEXT_SIZE];
        problem = (struct problem){0};
        int done = staff_token_add(store, cases[i].name, ROLE_VIEWER, UNTIL_LIFTED, NULL, &action, token,
                                   &problem);
        ck_assert_msg(done == cases[i].good, "%s", cases[i].name);
        if (!cases[i].good) {
            ck_assert_str_eq(problem.where, "name");
            ck_assert_int_eq(staff_add(store, cases[i].name, ROLE_VIEWER, GOOD, &action, &problem),
                             0);
            ck_assert_int_eq(staff_remove(store, cases[i].name, &action, &problem), 0);
        }
    }
}
END_TEST

START_TEST(test_accounts)
{
    struct action action = action_at(NOW);
    struct json_object *list = NULL;
    backend_begin(_i);
    add("bo", ROLE_SUPPORT, NOW);
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(staff_add(store, "ada", ROLE_VIEWER, GOOD, &action, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_int_eq(staff_list(store, NOW, &list), 1);
    ck_assert_str_eq(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN),
                     "{\"staff\":[{\"name\":\"ada\",\"role\":\"admin\",\"created_at\":"
                     "\"2025-11-22T05:40:00Z\",\"by\":\"agnes\",\"codes\":false},{\"name\":\"bo\",\"role\":"
                     "\"support\",\"created_at\":\"2025-11-22T05:40:00Z\",\"by\":\"agnes\",\"codes\":false}]}");
    json_put(&list);
    ck_assert_int_eq(staff_remove(store, "bo", &action, &problem), 1);
    ck_assert_int_eq(staff_remove(store, "bo", &action, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_int_eq(staff_set_role(store, "bo", ROLE_ADMIN, &action, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_int_eq(staff_set_password(store, "bo", GOOD, &action, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_uint_eq(audit_count("staff_add"), 2);
    ck_assert_uint_eq(audit_count("staff_remove"), 1);
    ck_assert_uint_eq(audit_count("staff_role"), 0);
}
END_TEST

static void execute(const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* "The store failed" means that nothing was written, also when it fails between two writes. */
START_TEST(test_failures_that_stay)
{
    struct action action = action_at(NOW);
    char cookie[SECRET_TEXT_SIZE];
    backend_begin(BACKEND_SQLITE);
    ck_assert_int_eq(sign_in("ada", WRONG, HERE, NOW, cookie), SIGN_IN_WRONG);
    execute("CREATE TRIGGER kept_stays BEFORE DELETE ON kept BEGIN SELECT RAISE(ABORT, 'x'); END");
    ck_assert_int_eq(staff_add(store, "ada", ROLE_ADMIN, GOOD, &action, &problem), -1);
    ck_assert_uint_eq(audit_count("staff_add"), 0);
    execute("DROP TRIGGER kept_stays");
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(sign_in("ada", WRONG, HERE, NOW, cookie), SIGN_IN_WRONG);
    execute("CREATE TRIGGER kept_stays BEFORE DELETE ON kept BEGIN SELECT RAISE(ABORT, 'x'); END");
    ck_assert_int_eq(staff_set_password(store, "ada", "tencharsss", &action, &problem), -1);
    ck_assert_uint_eq(audit_count("staff_password"), 0);
    execute("DROP TRIGGER kept_stays");
    must_sign_in("ada", NOW, cookie);
}
END_TEST

/* Adding a name that is taken changes nothing, not even what its failures have slowed down. */
START_TEST(test_taken_name_stays_slowed)
{
    struct action action = action_at(NOW);
    char cookie[SECRET_TEXT_SIZE];
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    while (sign_in("ada", WRONG, HERE, NOW, cookie) != SIGN_IN_BLOCKED)
        ;
    ck_assert_int_eq(staff_add(store, "ada", ROLE_VIEWER, GOOD, &action, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_int_eq(sign_in("ada", GOOD, HERE, NOW, cookie), SIGN_IN_BLOCKED);
}
END_TEST

START_TEST(test_passwords)
{
    struct action action = action_at(NOW);
    char longest[PASSWORD_MAX + 2], cookie[SECRET_TEXT_SIZE];
    backend_begin(_i);
    memset(longest, 'x', sizeof longest);
    longest[PASSWORD_MAX + 1] = '\0';
    ck_assert_int_eq(staff_add(store, "ada", ROLE_ADMIN, "ninechars", &action, &problem), 0);
    ck_assert_str_eq(problem.where, "password");
    ck_assert_int_eq(staff_add(store, "ada", ROLE_ADMIN, longest, &action, &problem), 0);
    longest[PASSWORD_MAX] = '\0';
    ck_assert_int_eq(staff_add(store, "ada", ROLE_ADMIN, longest, &action, &problem), 1);
    ck_assert_int_eq(sign_in("ada", longest, HERE, NOW, cookie), SIGNED_IN);
    longest[PASSWORD_MAX] = 'x'; /* a longer one whose beginning is right */
    ck_assert_int_eq(sign_in("ada", longest, HERE, NOW, cookie), SIGN_IN_WRONG);
    ck_assert_int_eq(sign_in("ada", "", HERE, NOW, cookie), SIGN_IN_WRONG);
    ck_assert_int_eq(staff_set_password(store, "ada", "ninechars", &action, &problem), 0);
    ck_assert_int_eq(staff_set_password(store, "ada", "tencharsss", &action, &problem), 1);
    longest[PASSWORD_MAX] = '\0';
    ck_assert_int_eq(sign_in("ada", longest, HERE, NOW, cookie), SIGN_IN_WRONG);
    ck_assert_int_eq(sign_in("ada", "tencharsss", HERE, NOW, cookie), SIGNED_IN);
    ck_assert_uint_eq(audit_count("staff_password"), 1);
}
END_TEST

/* Nothing that is kept lets anybody in. */
START_TEST(test_only_hashes_are_kept)
{
    struct action action = action_at(NOW);
    char cookie[SECRET_TEXT_SIZE], token[API_TOKEN_TEXT_SIZE];
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    must_sign_in("ada", NOW, cookie);
    ck_assert_int_eq(staff_token_add(store, "m", ROLE_VIEWER, UNTIL_LIFTED, NULL, &action, token,
                                     &problem),
                     1);
    const char *secret = strrchr(token, '.') + 1;
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++) {
        struct kept kept[10];
        struct store_page page = {.max = 10};
        ck_assert_int_eq(store_kept_list(store, arena, (enum kept_kind)kind, "", NOW, kept,
                                         &page), 1);
        if (kind == KEPT_STAFF || kind == KEPT_SESSION || kind == KEPT_TOKEN)
            ck_assert_uint_eq(page.count, 1);
        for (size_t i = 0; i < page.count; i++) {
            ck_assert_ptr_null(strstr(kept[i].value, GOOD));
            ck_assert_ptr_null(strstr(kept[i].value, cookie));
            ck_assert_ptr_null(strstr(kept[i].key, cookie));
            ck_assert_ptr_null(strstr(kept[i].value, secret));
        }
        if (kind == KEPT_STAFF)
            ck_assert_ptr_nonnull(strstr(kept[0].value, "$argon2id$"));
    }
}
END_TEST

/* ---- sessions ----------------------------------------------------------------------- */

START_TEST(test_session)
{
    char cookie[SECRET_TEXT_SIZE], other[SECRET_TEXT_SIZE];
    struct person person = {.name = "?"};
    backend_begin(_i);
    add("ada", ROLE_SUPPORT, NOW);
    must_sign_in("ada", NOW, cookie);
    must_sign_in("ada", NOW, other);
    ck_assert_str_ne(cookie, other);
    ck_assert_uint_eq(strlen(cookie), 43);
    ck_assert_int_eq(staff_session(store, cookie, NOW + SESSION_MS - 1, &person), 1);
    ck_assert_str_eq(person.name, "ada");
    ck_assert_int_eq(person.role, ROLE_SUPPORT);
    ck_assert_int_eq(staff_session(store, cookie, NOW + SESSION_MS, &person), 0);
    must_sign_in("ada", NOW, cookie);
    ck_assert_int_eq(staff_sign_out(store, cookie, NOW + 1), 1);
    ck_assert_int_eq(staff_session(store, cookie, NOW + 1, &person), 0);
    ck_assert_int_eq(staff_sign_out(store, cookie, NOW + 1), 1);
    ck_assert_int_eq(staff_session(store, other, NOW + 1, &person), 1); /* for itself */
    other[0] = other[0] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(staff_session(store, other, NOW + 1, &person), 0);
    static const char *const none[] = {"", "ada", "a\n", "../../etc/passwd",
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < countof(none); i++) {
        ck_assert_int_eq(staff_session(store, none[i], NOW, &person), 0);
        ck_assert_int_eq(staff_sign_out(store, none[i], NOW), 1);
    }
}
END_TEST

START_TEST(test_changes_hold_at_once)
{
    struct action action = action_at(NOW + 1);
    char cookie[SECRET_TEXT_SIZE];
    struct person person;
    backend_begin(_i);
    add("ada", ROLE_SUPPORT, NOW);
    must_sign_in("ada", NOW, cookie);
    ck_assert_int_eq(staff_set_role(store, "ada", ROLE_VIEWER, &action, &problem), 1);
    ck_assert_int_eq(staff_session(store, cookie, NOW + 1, &person), 1);
    ck_assert_int_eq(person.role, ROLE_VIEWER);
    ck_assert_uint_eq(audit_count("staff_role"), 1);
    /* a new password ends the session, the role stays */
    ck_assert_int_eq(staff_set_password(store, "ada", GOOD, &action, &problem), 1);
    ck_assert_int_eq(staff_session(store, cookie, NOW + 1, &person), 0);
    must_sign_in("ada", NOW + 1, cookie);
    ck_assert_int_eq(staff_session(store, cookie, NOW + 1, &person), 1);
    ck_assert_int_eq(person.role, ROLE_VIEWER);
    /* so does removal, also when somebody of the same name comes */
    ck_assert_int_eq(staff_remove(store, "ada", &action, &problem), 1);
    ck_assert_int_eq(staff_session(store, cookie, NOW + 1, &person), 0);
    add("ada", ROLE_ADMIN, NOW + 2);
    ck_assert_int_eq(staff_session(store, cookie, NOW + 2, &person), 0);
}
END_TEST

START_TEST(test_csrf)
{
    char mine[SECRET_TEXT_SIZE], other[SECRET_TEXT_SIZE];
    char token[SECRET_TEXT_SIZE], again[SECRET_TEXT_SIZE];
    backend_begin(_i);
    add("ada", ROLE_SUPPORT, NOW);
    must_sign_in("ada", NOW, mine);
    must_sign_in("ada", NOW, other);
    staff_csrf(mine, token);
    staff_csrf(mine, again);
    ck_assert_str_eq(token, again);
    ck_assert_ptr_null(strstr(token, mine));
    ck_assert(staff_csrf_fits(mine, token));
    ck_assert(!staff_csrf_fits(other, token));
    ck_assert(!staff_csrf_fits(mine, ""));
    ck_assert(!staff_csrf_fits(mine, mine));
    ck_assert(!staff_csrf_fits("", token));
    staff_csrf("", token);
    ck_assert(!staff_csrf_fits("", token)); /* nobody's session has no forms */
    staff_csrf(mine, token);
    token[42]++;
    ck_assert(!staff_csrf_fits(mine, token));
    token[42] = '\0';
    ck_assert(!staff_csrf_fits(mine, token));
}
END_TEST

/* ---- guesses --------------------------------------------------------------------------- */

static int try_once(const char *name, const char *password, const char *network, int64_t now_ms)
{
    char cookie[SECRET_TEXT_SIZE];
    return sign_in(name, password, network, now_ms, cookie);
}

static void guess(const char *name, const char *network, int64_t now_ms, int expected)
{
    ck_assert_int_eq(try_once(name, WRONG, network, now_ms), expected);
}

static void must_wait(const char *name, const char *network, int64_t now_ms, int64_t until_ms)
{
    struct sign_in sign_in = {
        .name = name, .password = GOOD, .network = network, .now_ms = now_ms};
    ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGN_IN_BLOCKED);
    ck_assert_int_eq(sign_in.free_at_ms, until_ms);
}

/* So many guesses, each from another network. All but the last are counted here as staff_sign_in
 * does, since each password takes a while. */
static void guess_from_everywhere(const char *name, int count, int64_t now_ms)
{
    char *key = arena_printf(arena, "sign-in:name:%s", name);
    for (int i = 1; i < count; i++) {
        uint32_t failures;
        int64_t free_at;
        ck_assert_int_eq(store_try(store, key, now_ms, SIGN_IN_SPAN_MS, SIGN_IN_TRIES_OF_NAME,
                                   &failures, &free_at), 1);
    }
    guess(name, "198.51.100.77", now_ms, SIGN_IN_WRONG);
}

static void slow_down_here(const char *name, int64_t now_ms)
{
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        guess(name, HERE, now_ms, SIGN_IN_WRONG);
}

/* One try each 30 seconds, for an hour, and then it begins again at zero. */
START_TEST(test_a_name_from_a_network)
{
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        guess("ada", HERE, NOW + i, SIGN_IN_WRONG);
    must_wait("ada", HERE, NOW + 10, NOW + 9 + SIGN_IN_SLOW_MS);
    must_wait("ada", HERE, NOW + 8 + SIGN_IN_SLOW_MS, NOW + 9 + SIGN_IN_SLOW_MS);
    guess("ada", HERE, NOW + 9 + SIGN_IN_SLOW_MS, SIGN_IN_WRONG);
    must_wait("ada", HERE, NOW + 10 + SIGN_IN_SLOW_MS, NOW + 9 + 2 * SIGN_IN_SLOW_MS);
    ck_assert_int_eq(try_once("ada", GOOD, "198.51.100.1", NOW + 10), SIGNED_IN);
    int64_t end_ms = NOW + 9 + SIGN_IN_SPAN_MS;
    guess("ada", HERE, end_ms - 1, SIGN_IN_WRONG);
    must_wait("ada", HERE, end_ms - 1, end_ms - 1 + SIGN_IN_SLOW_MS);
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        guess("ada", HERE, end_ms, SIGN_IN_WRONG);
}
END_TEST

/* A clock that is a year ahead for a while slows nobody down for a year, and the count begins anew. */
START_TEST(test_a_wrong_clock)
{
    const int64_t wrong_ms = NOW + 365 * DAY_MS;
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    slow_down_here("ada", wrong_ms);
    must_wait("ada", HERE, wrong_ms, wrong_ms + SIGN_IN_SLOW_MS);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    slow_down_here("ada", NOW + 1);
    must_wait("ada", HERE, NOW + 2, NOW + 1 + SIGN_IN_SLOW_MS);
    guess_from_everywhere("bob", SIGN_IN_TRIES_OF_NAME, wrong_ms);
    guess("bob", "203.0.113.9", NOW, SIGN_IN_WRONG);
    guess("bob", "203.0.113.9", NOW, SIGN_IN_WRONG);
    /* as far ahead as clocks may be, it holds */
    slow_down_here("eve", NOW + CLOCK_AHEAD_MS);
    must_wait("eve", HERE, NOW, NOW + CLOCK_AHEAD_MS + SIGN_IN_SLOW_MS);
}
END_TEST

/* The right password within it ends it. */
START_TEST(test_a_slow_name_signs_in)
{
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    slow_down_here("ada", NOW + 1);
    int64_t then_ms = NOW + 1 + SIGN_IN_SLOW_MS;
    ck_assert_int_eq(try_once("ada", GOOD, HERE, then_ms), SIGNED_IN);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, then_ms), SIGNED_IN);
    slow_down_here("ada", then_ms);
}
END_TEST

/* Nobody who knows a name keeps its owner out. */
START_TEST(test_guesses_from_everywhere)
{
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW - SIGN_IN_KNOWN_MS + MINUTE_MS), SIGNED_IN);
    guess_from_everywhere("ada", SIGN_IN_TRIES_OF_NAME, NOW);
    must_wait("ada", "203.0.113.1", NOW, NOW + SIGN_IN_SLOW_MS);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    /* one guess each 30 seconds, from wherever it comes */
    guess("ada", "203.0.113.2", NOW + SIGN_IN_SLOW_MS, SIGN_IN_WRONG);
    must_wait("ada", "203.0.113.3", NOW + SIGN_IN_SLOW_MS, NOW + 2 * SIGN_IN_SLOW_MS);
    ck_assert_int_eq(try_once("ada", GOOD, "203.0.113.3", NOW + 2 * SIGN_IN_SLOW_MS), SIGNED_IN);
    ck_assert_int_eq(try_once("ada", GOOD, "203.0.113.3", NOW + 2 * SIGN_IN_SLOW_MS), SIGNED_IN);
    guess("ada", "203.0.113.4", NOW + SIGN_IN_SPAN_MS, SIGN_IN_WRONG);
    guess("ada", "203.0.113.5", NOW + SIGN_IN_SPAN_MS, SIGN_IN_WRONG);
}
END_TEST

START_TEST(test_a_network_is_known_for_30_days)
{
    int64_t then_ms = NOW + SIGN_IN_KNOWN_MS;
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    guess_from_everywhere("ada", SIGN_IN_TRIES_OF_NAME, then_ms);
    must_wait("ada", HERE, then_ms, then_ms + SIGN_IN_SLOW_MS);
}
END_TEST

static int sign_in_with(const char *browser, const char *password, const char *network, int64_t now_ms)
{
    struct sign_in sign_in = {.name = "ada", .password = password, .network = network,
                              .browser = browser, .now_ms = now_ms};
    return staff_sign_in(store, &sign_in);
}

/* Whatever is guessed elsewhere, and in the very same network, does not concern a browser that signed in. */
START_TEST(test_a_browser_that_signed_in)
{
    char mine[SECRET_TEXT_SIZE], foreign[SECRET_TEXT_SIZE];
    int64_t then_ms = NOW + SIGN_IN_KNOWN_MS - MINUTE_MS;
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    staff_new_browser(mine);
    staff_new_browser(foreign);
    ck_assert_str_ne(mine, foreign);
    ck_assert_int_eq(sign_in_with(mine, GOOD, HERE, NOW), SIGNED_IN);
    guess_from_everywhere("ada", SIGN_IN_TRIES_OF_NAME, then_ms);
    slow_down_here("ada", then_ms);
    must_wait("ada", HERE, then_ms, then_ms + SIGN_IN_SLOW_MS);
    ck_assert_int_eq(sign_in_with(foreign, GOOD, HERE, then_ms), SIGN_IN_BLOCKED);
    ck_assert_int_eq(sign_in_with("x", GOOD, HERE, then_ms), SIGN_IN_BLOCKED);
    for (int i = 0; i < 3; i++) { /* from where it signed in, and from where it never did */
        ck_assert_int_eq(sign_in_with(mine, GOOD, HERE, then_ms), SIGNED_IN);
        ck_assert_int_eq(sign_in_with(mine, GOOD, "203.0.113.8", then_ms), SIGNED_IN);
    }
    /* a stolen browser does not guess faster */
    for (int i = 0; i < SIGN_IN_TRIES; i++)
        ck_assert_int_eq(sign_in_with(mine, WRONG, "203.0.113.9", then_ms), SIGN_IN_WRONG);
    ck_assert_int_eq(sign_in_with(mine, GOOD, "203.0.113.10", then_ms), SIGN_IN_BLOCKED);
    struct action action = action_at(then_ms);
    ck_assert_int_eq(staff_unlock(store, "ada", NULL, &action, &problem), 1);
    ck_assert_int_eq(sign_in_with(mine, GOOD, "203.0.113.10", then_ms), SIGNED_IN);
}
END_TEST

/* Others' failures in an office do not hold up who signed in there before. */
START_TEST(test_a_network_with_whatever_names)
{
    char name[20];
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    add("bo", ROLE_VIEWER, NOW);
    ck_assert_int_eq(try_once("bo", GOOD, HERE, NOW), SIGNED_IN);
    for (int i = 0; i < SIGN_IN_TRIES; i++) { /* of people who are not there, and of nobody */
        snprintf(name, sizeof name, i % 2 ? "n%d" : "No Body %d", i);
        guess(name, HERE, NOW + i, SIGN_IN_WRONG);
    }
    must_wait("ada", HERE, NOW + 10, NOW + 9 + SIGN_IN_SLOW_MS);
    must_wait("No Body", HERE, NOW + 10, NOW + 9 + SIGN_IN_SLOW_MS);
    ck_assert_int_eq(try_once("bo", GOOD, HERE, NOW + 10), SIGNED_IN);
    ck_assert_int_eq(try_once("ada", GOOD, "198.51.100.1", NOW + 10), SIGNED_IN);
    /* whose account it is does not buy guesses at others with it */
    must_wait("ada", HERE, NOW + 10, NOW + 9 + SIGN_IN_SLOW_MS);
}
END_TEST

/* An unknown name is slowed down as a known one is. */
START_TEST(test_unknown_names_tell_nothing)
{
    backend_begin(_i);
    slow_down_here("eve", NOW);
    must_wait("eve", HERE, NOW, NOW + SIGN_IN_SLOW_MS);
    guess_from_everywhere("mel", SIGN_IN_TRIES_OF_NAME, NOW);
    must_wait("mel", "203.0.113.1", NOW, NOW + SIGN_IN_SLOW_MS);
}
END_TEST

START_TEST(test_signing_in_forgets_failures)
{
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SIGN_IN_TRIES - 1; i++)
            guess("ada", HERE, NOW + round, SIGN_IN_WRONG);
        ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW + round), SIGNED_IN);
    }
    for (int i = 0; i <= SIGN_IN_TRIES; i++) /* an office signs in */
        ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW + 5), SIGNED_IN);
}
END_TEST

START_TEST(test_old_failures_count_no_longer)
{
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    for (int i = 0; i < SIGN_IN_TRIES - 1; i++)
        guess("ada", HERE, NOW, SIGN_IN_WRONG);
    for (int i = 0; i < SIGN_IN_TRIES - 1; i++)
        guess("ada", HERE, NOW + SIGN_IN_SPAN_MS, SIGN_IN_WRONG);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW + SIGN_IN_SPAN_MS), SIGNED_IN);
}
END_TEST

/* What begins is told once, with whom it concerns. */
START_TEST(test_what_begins_is_told)
{
    backend_begin(_i);
    for (int i = 0; i < SIGN_IN_TRIES; i++) {
        struct sign_in sign_in = {.name = "eve", .password = WRONG, .network = HERE, .now_ms = NOW};
        ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGN_IN_WRONG);
        ck_assert(sign_in.pair_slowed == (i == SIGN_IN_TRIES - 1));
        ck_assert(sign_in.network_slowed == (i == SIGN_IN_TRIES - 1));
        ck_assert(!sign_in.name_slowed);
    }
    guess_from_everywhere("eve", SIGN_IN_TRIES_OF_NAME - SIGN_IN_TRIES - 1, NOW);
    struct sign_in sign_in = {.name = "eve", .password = WRONG, .network = "203.0.113.1",
                              .now_ms = NOW + SIGN_IN_SLOW_MS};
    ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGN_IN_WRONG);
    ck_assert(sign_in.name_slowed && !sign_in.pair_slowed && !sign_in.network_slowed);
    sign_in.now_ms += SIGN_IN_SLOW_MS;
    ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGN_IN_WRONG);
    ck_assert(!sign_in.name_slowed);
}
END_TEST

enum ending { END_UNLOCK, END_PASSWORD, END_NEW_ACCOUNT, ENDING_COUNT };

static void end_slowness(enum ending ending)
{
    struct action action = action_at(NOW);
    if (ending == END_UNLOCK)
        ck_assert_int_eq(staff_unlock(store, "ada", NULL, &action, &problem), 1);
    if (ending == END_PASSWORD)
        ck_assert_int_eq(staff_set_password(store, "ada", GOOD, &action, &problem), 1);
    if (ending != END_NEW_ACCOUNT)
        return;
    ck_assert_int_eq(staff_remove(store, "ada", &action, &problem), 1);
    add("ada", ROLE_ADMIN, NOW);
}

START_TEST(test_what_ends_it)
{
    enum ending ending = (enum ending)(_i / BACKEND_KINDS);
    backend_begin(_i % BACKEND_KINDS);
    add("ada", ROLE_ADMIN, NOW);
    slow_down_here("ada", NOW);
    guess_from_everywhere("ada", SIGN_IN_TRIES_OF_NAME - SIGN_IN_TRIES, NOW);
    guess_from_everywhere("ada.b", SIGN_IN_TRIES_OF_NAME, NOW);
    must_wait("ada", HERE, NOW, NOW + SIGN_IN_SLOW_MS);
    must_wait("ada", "203.0.113.1", NOW, NOW + SIGN_IN_SLOW_MS);
    end_slowness(ending);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    ck_assert_int_eq(try_once("ada", GOOD, "203.0.113.1", NOW), SIGNED_IN);
    must_wait("ada.b", "203.0.113.2", NOW, NOW + SIGN_IN_SLOW_MS);
    ck_assert_uint_eq(audit_count("staff_unlock"), ending == END_UNLOCK);
}
END_TEST

/* While the guessing goes on: it fills the counts again at once. */
START_TEST(test_unlock_for_a_network)
{
    struct action action = action_at(NOW);
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    guess_from_everywhere("ada", SIGN_IN_TRIES_OF_NAME, NOW);
    ck_assert_int_eq(staff_unlock(store, "ada", HERE, &action, &problem), 1);
    guess_from_everywhere("ada", SIGN_IN_TRIES_OF_NAME, NOW);
    must_wait("ada", "203.0.113.1", NOW, NOW + SIGN_IN_SLOW_MS);
    for (int i = 0; i < PASSWORD_PLACES; i++)
        ck_assert(staff_password_take(FAMILIARITY_NONE));
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    for (int i = 0; i < PASSWORD_PLACES; i++)
        staff_password_leave(FAMILIARITY_NONE);
}
END_TEST

START_TEST(test_unlock_needs_an_account)
{
    struct action action = action_at(NOW);
    backend_begin(_i);
    ck_assert_int_eq(staff_unlock(store, "eve", HERE, &action, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_int_eq(staff_unlock(store, "E v e", NULL, &action, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_uint_eq(audit_count("staff_unlock"), 0);
}
END_TEST

enum { GUESSERS = 16 };
struct guesser {
    pthread_t thread;
    pthread_barrier_t *begin;
    char name[20], network[20];
    int result;
};

static void *guess_once(void *context)
{
    struct guesser *guesser = context;
    pthread_barrier_wait(guesser->begin);
    guesser->result = try_once(guesser->name, WRONG, guesser->network, NOW);
    return NULL;
}

/* All at the same moment; how many had which answer. */
static void guess_together(struct guesser guessers[GUESSERS], int counts_r[SIGN_IN_BUSY + 1])
{
    pthread_barrier_t begin;
    pthread_barrier_init(&begin, NULL, GUESSERS);
    for (size_t i = 0; i < GUESSERS; i++) {
        guessers[i].begin = &begin;
        ck_assert_int_eq(pthread_create(&guessers[i].thread, NULL, guess_once, &guessers[i]), 0);
    }
    for (size_t i = 0; i < GUESSERS; i++) {
        pthread_join(guessers[i].thread, NULL);
        ck_assert_int_ge(guessers[i].result, 0);
        counts_r[guessers[i].result]++;
    }
    pthread_barrier_destroy(&begin);
}

START_TEST(test_parallel_guesses)
{
    struct guesser guessers[GUESSERS];
    int counts[SIGN_IN_BUSY + 1] = {0};
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < GUESSERS; i++)
            guessers[i] = (struct guesser){.name = "ada", .network = HERE};
        guess_together(guessers, counts);
    }
    ck_assert_int_eq(counts[SIGN_IN_WRONG], SIGN_IN_TRIES);
    ck_assert_int_gt(counts[SIGN_IN_BLOCKED], 0);
    must_wait("ada", HERE, NOW + 1, NOW + SIGN_IN_SLOW_MS);
}
END_TEST

/* Strangers take few places, which are not those of who is known. */
START_TEST(test_places)
{
    struct guesser guessers[GUESSERS];
    int counts[SIGN_IN_BUSY + 1] = {0};
    backend_begin(_i);
    staff_password_cost = usual_cost; /* so that hashing takes longer than arriving */
    add("ada", ROLE_ADMIN, NOW);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    for (size_t i = 0; i < GUESSERS; i++) {
        guessers[i] = (struct guesser){0};
        snprintf(guessers[i].name, sizeof guessers[i].name, "n%zu", i);
        snprintf(guessers[i].network, sizeof guessers[i].network, "203.0.113.%zu", i);
    }
    guess_together(guessers, counts);
    ck_assert_int_ge(counts[SIGN_IN_WRONG], PASSWORD_PLACES);
    ck_assert_int_gt(counts[SIGN_IN_BUSY], 0);
    ck_assert_int_eq(counts[SIGN_IN_WRONG] + counts[SIGN_IN_BUSY], GUESSERS);
    for (int i = 0; i < PASSWORD_PLACES; i++)
        ck_assert(staff_password_take(FAMILIARITY_NONE));
    ck_assert(!staff_password_take(FAMILIARITY_NONE));
    guess("eve", "203.0.113.99", NOW, SIGN_IN_BUSY);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
    for (int i = 0; i < PASSWORD_PLACES; i++)
        staff_password_leave(FAMILIARITY_NONE);
    guess("eve", "203.0.113.99", NOW, SIGN_IN_WRONG);
}
END_TEST

/* Who guesses in a network where a name is known takes no place of its browser. */
START_TEST(test_places_of_a_browser)
{
    char browser[SECRET_TEXT_SIZE];
    backend_begin(_i);
    add("ada", ROLE_ADMIN, NOW);
    staff_new_browser(browser);
    ck_assert_int_eq(sign_in_with(browser, GOOD, HERE, NOW), SIGNED_IN);
    for (int i = 0; i < PASSWORD_PLACES_NETWORK; i++)
        ck_assert(staff_password_take(FAMILIARITY_NETWORK));
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGN_IN_BUSY);
    ck_assert_int_eq(sign_in_with(browser, GOOD, HERE, NOW), SIGNED_IN);
    for (int i = 0; i < PASSWORD_PLACES_NETWORK; i++)
        staff_password_leave(FAMILIARITY_NETWORK);
    ck_assert_int_eq(try_once("ada", GOOD, HERE, NOW), SIGNED_IN);
}
END_TEST

enum { CHANGERS = 8 };
struct changer {
    pthread_t thread;
    pthread_barrier_t *begin;
    int number, result;
};

/* One removes the account; the others give it roles. */
static void *change_once(void *context)
{
    struct changer *changer = context;
    struct action action = action_at(NOW);
    struct problem why;
    pthread_barrier_wait(changer->begin);
    changer->result = changer->number == 0
                          ? staff_remove(store, "ada", &action, &why)
                          : staff_set_role(store, "ada", (enum role)(ROLE_VIEWER + changer->number % 3),
                                           &action, &why);
    return NULL;
}

/* A role given in the moment of the removal does not bring the account back. */
START_TEST(test_removal_and_roles_at_the_same_moment)
{
    pthread_barrier_t begin;
    struct changer changers[CHANGERS];
    struct action action = action_at(NOW);
    backend_begin(_i);
    pthread_barrier_init(&begin, NULL, CHANGERS);
    for (int round = 0; round < 30; round++) {
        struct json_object *list = NULL;
        struct kept kept = {.key = "ada", .value = "{\"role\":\"viewer\"}",
                            .until_ms = UNTIL_LIFTED};
        ck_assert_int_eq(store_keep_new(store, KEPT_STAFF, &kept, NOW, NULL), 1);
        for (int i = 0; i < CHANGERS; i++) {
            changers[i] = (struct changer){.begin = &begin, .number = i, .result = -7};
            ck_assert_int_eq(pthread_create(&changers[i].thread, NULL, change_once, &changers[i]),
                             0);
        }
        for (int i = 0; i < CHANGERS; i++) {
            pthread_join(changers[i].thread, NULL);
            ck_assert_int_ge(changers[i].result, 0);
        }
        ck_assert_int_eq(changers[0].result, 1);
        ck_assert_int_eq(staff_list(store, NOW, &list), 1);
        ck_assert_uint_eq(json_object_array_length(json_member(list, "staff")), 0);
        json_put(&list);
        ck_assert_int_eq(staff_remove(store, "ada", &action, &problem), 0);
    }
    pthread_barrier_destroy(&begin);
}
END_TEST

/* ---- tokens ------------------------------------------------------------------------------- */

START_TEST(test_token)
{
    struct action action = action_at(NOW);
    char token[API_TOKEN_TEXT_SIZE], second[API_TOKEN_TEXT_SIZE];
    struct person person = {.name = "?"};
    backend_begin(_i);
    ck_assert_int_eq(staff_token_add(store, "m.on", ROLE_SUPPORT, NOW + 90 * DAY_MS, NULL, &action, token,
                                     &problem), 1);
    ck_assert_int_eq(strncmp(token, "sg.m.on.", 8), 0);
    ck_assert_int_eq(staff_token_add(store, "m.on", ROLE_ADMIN, UNTIL_LIFTED, NULL, &action, second,
                                     &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_int_eq(staff_token_add(store, "past", ROLE_ADMIN, NOW, NULL, &action, second, &problem), 0);
    ck_assert_str_eq(problem.where, "expires");
    ck_assert_int_eq(staff_token_person(store, token, NOW, &person), 1);
    ck_assert_str_eq(person.name, "token:m.on");
    ck_assert_int_eq(person.role, ROLE_SUPPORT);
    ck_assert_int_eq(staff_token_person(store, token, NOW + 90 * DAY_MS - 1, &person), 1);
    ck_assert_int_eq(staff_token_person(store, token, NOW + 90 * DAY_MS, &person), 0);
    ck_assert_int_eq(staff_token_add(store, "x", ROLE_ADMIN, UNTIL_LIFTED, NULL, &action, second,
                                     &problem),
                     1);
    ck_assert_int_eq(staff_token_person(store, second, NOW + 900 * DAY_MS, &person), 1);
    ck_assert_int_eq(staff_token_remove(store, "m.on", &action, &problem), 1);
    ck_assert_int_eq(staff_token_person(store, token, NOW, &person), 0);
    ck_assert_int_eq(staff_token_remove(store, "m.on", &action, &problem), 0);
    ck_assert_int_eq(problem.status, 404);
    ck_assert_uint_eq(audit_count("token_add"), 2);
    ck_assert_uint_eq(audit_count("token_remove"), 1);
}
END_TEST

START_TEST(test_tokens_that_are_none)
{
    struct action action = action_at(NOW);
    char token[API_TOKEN_TEXT_SIZE], other[API_TOKEN_TEXT_SIZE], wrong[200];
    struct person person = {.name = "?"};
    backend_begin(_i);
    ck_assert_int_eq(staff_token_add(store, "a", ROLE_ADMIN, UNTIL_LIFTED, NULL, &action, token,
                                     &problem),
                     1);
    ck_assert_int_eq(staff_token_add(store, "b", ROLE_VIEWER, UNTIL_LIFTED, NULL, &action, other,
                                     &problem),
                     1);
    snprintf(wrong, sizeof wrong, "sg.a.%s", strrchr(other, '.') + 1); /* another's secret */
    ck_assert_int_eq(staff_token_person(store, wrong, NOW, &person), 0);
    for (size_t i = 0; i < strlen(token); i++) {
        strcpy(wrong, token);
        wrong[i] = wrong[i] == 'c' ? 'd' : 'c';
        ck_assert_msg(staff_token_person(store, wrong, NOW, &person) == 0, "%zu", i);
        strcpy(wrong, token);
        wrong[i] = '\0';
        ck_assert_msg(staff_token_person(store, wrong, NOW, &person) == 0, "%zu", i);
    }
    snprintf(wrong, sizeof wrong, "%sA", token);
    ck_assert_int_eq(staff_token_person(store, wrong, NOW, &person), 0);
    memset(wrong, '.', sizeof wrong - 1);
    wrong[sizeof wrong - 1] = '\0';
    ck_assert_int_eq(staff_token_person(store, wrong, NOW, &person), 0);
    ck_assert_int_eq(staff_token_person(store, "", NOW, &person), 0);
    ck_assert_int_eq(staff_token_person(store, "sg.", NOW, &person), 0);
    ck_assert_int_eq(staff_token_person(store, "sg..", NOW, &person), 0);
    ck_assert_str_eq(person.name, "?");
}
END_TEST

START_TEST(test_many_in_a_list)
{
    enum { MANY = 230 };
    struct action action = action_at(NOW);
    struct json_object *list = NULL;
    backend_begin(_i);
    for (int i = 0; i < MANY; i++) {
        char name[20], token[API_TOKEN_TEXT_SIZE];
        snprintf(name, sizeof name, "t%03d", i);
        ck_assert_int_eq(staff_token_add(store, name, ROLE_VIEWER, NOW + (i % 2 ? 10 : DAY_MS),
                                         NULL, &action,
                                         token, &problem), 1);
    }
    ck_assert_int_eq(staff_token_list(store, NOW, &list), 1);
    struct json_object *tokens = json_member(list, "tokens");
    ck_assert_uint_eq(json_object_array_length(tokens), MANY);
    for (int i = 0; i < MANY; i++) {
        char name[20];
        snprintf(name, sizeof name, "t%03d", i);
        ck_assert_str_eq(json_string(json_object_array_get_idx(tokens, (size_t)i), "name", ""),
                         name);
    }
    ck_assert_str_eq(json_string(json_object_array_get_idx(tokens, 0), "expires_at", ""),
                     "2025-11-23T05:40:00Z");
    json_put(&list);
    ck_assert_int_eq(staff_token_list(store, NOW + 10, &list), 1);
    ck_assert_uint_eq(json_object_array_length(json_member(list, "tokens")), MANY / 2);
    json_put(&list);
}
END_TEST

START_TEST(test_roles)
{
    for (int role = 0; role < ROLE_COUNT; role++)
        ck_assert_int_eq(staff_role_by_name(staff_role_names[role]), role);
    struct action action = action_at(NOW);
    ck_assert_int_eq(staff_add(NULL, "pia", ROLE_PANEL, GOOD, &action, &problem), 0);
    ck_assert_int_eq(staff_set_role(NULL, "pia", ROLE_PANEL, &action, &problem), 0);
    ck_assert_str_eq(problem.where, "role");
    ck_assert_int_eq(staff_role_by_name("Admin"), -1);
    ck_assert_int_eq(staff_role_by_name(""), -1);
}
END_TEST

int main(void)
{
    usual_cost = staff_password_cost;
    staff_password_cost = (struct staff_password_cost){crypto_pwhash_OPSLIMIT_MIN,
                                                       crypto_pwhash_MEMLIMIT_MIN};
    Suite *suite = suite_create("staff");
    TCase *cases = backends_case(suite, "staff");
    tcase_set_timeout(cases, 120);
    const TTest *tests[] = {
        test_names, test_accounts, test_passwords, test_taken_name_stays_slowed,
        test_only_hashes_are_kept, test_session, test_changes_hold_at_once, test_csrf,
        test_a_name_from_a_network, test_a_wrong_clock, test_a_slow_name_signs_in,
        test_guesses_from_everywhere,
        test_a_network_is_known_for_30_days, test_a_browser_that_signed_in, test_a_network_with_whatever_names,
        test_what_begins_is_told, test_unlock_for_a_network, test_unlock_needs_an_account,
        test_unknown_names_tell_nothing,
        test_signing_in_forgets_failures, test_old_failures_count_no_longer,
        test_parallel_guesses, test_places, test_places_of_a_browser,
        test_removal_and_roles_at_the_same_moment, test_token, test_tokens_that_are_none, test_many_in_a_list};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_what_ends_it, 0, BACKEND_KINDS * (int)ENDING_COUNT);
    tcase_add_test(cases, test_roles);
    tcase_add_test(cases, test_failures_that_stay);
    return backends_run(suite);
}
