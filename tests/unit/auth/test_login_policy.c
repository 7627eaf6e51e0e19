/* What Dovecot is answered, without its process: requests by their pieces, answers as they go
 * out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/login_policy.h"
#include "auth/login_request.h"
#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "tests/unit/store/servers.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)
#define GO_ON "{\"status\":0,\"msg\":\"\"}"
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static char folder[FOLDER_SIZE], key_path[FOLDER_SIZE + 16];
static struct arena *arena;
static struct token_key *token_key;
static struct guard *guard;
static struct catalogue *texts; /* loaded once for all tests */
static struct login_policy policy;
static struct raw_request raw;
static int64_t now_ms;

static void write_key(const char *text, mode_t mode)
{
    unlink(key_path);
    FILE *file = fopen(key_path, "we");
    ck_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    ck_assert_int_eq(chmod(key_path, mode), 0);
}

static void load_texts(void)
{
    struct problem problem = {0};
    ck_assert_int_eq(catalogue_load(NULL, &texts, &problem), 1);
}

static void free_texts(void) { catalogue_free(&texts); }

static void begin_with(const char *const *overrides)
{
    struct settings *settings = NULL;
    struct problem problem = {0};
    size_t count = 0;
    while (overrides[count] != NULL)
        count++;
    ck_assert_msg(settings_read(NULL, overrides, count, &settings, &problem) == 1, "%s",
                  problem.text);
    guard_free(&guard);
    guard = guard_new(NULL, NULL, settings, catalogue_share(texts));
    logins_free(&policy.logins);
    policy = (struct login_policy){.guard = guard, .logins = logins_new(token_key)};
    ck_assert_msg(login_key_read(key_path, &policy.key, &problem) == 1, "%s", problem.text);
}

static void begin(void)
{
    char secret[FOLDER_SIZE + 16];
    struct problem problem;
    folder_make(folder);
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(key_path, sizeof key_path, "%s/auth-key", folder);
    write_key(KEY "\n", 0600);
    arena = arena_new();
    ck_assert_int_eq(token_key_load(secret, &token_key, &problem), 1);
    begin_with(WITH("logins.mode=enforce", "mta.webmail_hosts=192.0.2.99"));
    raw = (struct raw_request){.method = "POST", .url = "/", .peer = "127.0.0.1",
                               .authorization = " Bearer " KEY};
    now_ms = NOON;
}

static void end(void)
{
    logins_free(&policy.logins);
    guard_free(&guard);
    token_key_free(&token_key);
    arena_free(&arena);
    folder_remove(folder);
}

/* The answer to a body; its status is in *status_r. */
static const char *ask(const char *query, const char *body, int *status_r)
{
    struct http_response response = {.status = 200};
    size_t length = strlen(body);
    char *exact = xmalloc(length + 1); /* so that an overread shows */
    memcpy(exact, body, length);
    raw.query = query;
    raw.body = exact;
    raw.body_length = length;
    login_policy_answer(&policy, &raw, NULL, arena, now_ms, &response);
    const char *answer = arena_strndup(arena, text_string(&response.body), response.body.length);
    *status_r = response.status;
    ck_assert_str_eq(response.type, "application/json");
    http_response_free(&response);
    free(exact);
    return answer;
}

static const char *body_of(const char *login, const char *remote, int password, const char *more)
{
    return arena_printf(arena, "{\"device_id\":\"\",\"login\":\"%s\",\"protocol\":\"imap\","
                        "\"pwhash\":\"%04x\",\"remote\":\"%s\",\"session_id\":\"x\"%s}",
                        login, (unsigned)password, remote, more);
}

static const char *allow(const char *login, const char *remote, const char *stage)
{
    int status;
    const char *more = arena_printf(arena, ",\"stage\":\"%s\",\"tls\":false", stage);
    const char *answer = ask("command=allow", body_of(login, remote, 1, more), &status);
    ck_assert_int_eq(status, 200);
    return answer;
}

static void report(const char *login, const char *remote, int password, const char *more)
{
    int status;
    ck_assert_str_eq(ask("command=report", body_of(login, remote, password, more), &status), GO_ON);
    ck_assert_int_eq(status, 200);
}

#define WRONG ",\"success\":false,\"policy_reject\":false"
#define RIGHT ",\"success\":true,\"policy_reject\":false"
#define ALICE "alice@example.test"

static void report_ten(const char *more)
{
    for (int i = 0; i < 10; i++)
        report(ALICE, "198.51.100.7", i, more);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Until the next whole minute; from its end on, nothing. After the password was found right,
 * without a word. */
START_TEST(test_blocked)
{
    now_ms = NOON + 4 * MINUTE_MS + 1;
    ck_assert_str_eq(allow(ALICE, "198.51.100.7", ""), GO_ON);
    report_ten(WRONG);
    ck_assert_str_eq(allow(ALICE, "198.51.100.7", ""), "{\"status\":-1,\"msg\":\"Too many wrong "
                     "passwords; try again after 13:05 UTC\"}");
    ck_assert_str_eq(allow("Alice@Example.TEST", "198.51.100.7", ""),
                     allow(ALICE, "198.51.100.7", ""));
    ck_assert_str_eq(allow(ALICE, "198.51.100.7", "1"), "{\"status\":-1}");
    ck_assert_str_eq(allow(ALICE, "198.51.100.8", ""), GO_ON);
    now_ms += HOUR_MS - 1;
    ck_assert_str_ne(allow(ALICE, "198.51.100.7", ""), GO_ON);
    now_ms++;
    ck_assert_str_eq(allow(ALICE, "198.51.100.7", ""), GO_ON);
}
END_TEST

START_TEST(test_whole_minute)
{
    report_ten(WRONG);
    ck_assert(strstr(allow(ALICE, "198.51.100.7", ""), "after 13:00 UTC") != NULL);
}
END_TEST

/* What is no wrong password counts nowhere. */
static const struct {
    const char *more;
    bool counts;
} faults[] = {
    {WRONG, true},
    {",\"success\":false", true},
    {",\"success\":false,\"fail_type\":\"credentials\"", true},
    {",\"success\":false,\"fail_type\":\"account\"", true},
    {",\"success\":false,\"policy_reject\":true", false},
    {",\"success\":false,\"fail_type\":\"policy\"", false},
    {",\"success\":false,\"fail_type\":\"internal\"", false},
    {",\"success\":false,\"fail_type\":\"disabled\"", false},
    {",\"success\":false,\"fail_type\":\"expired\"", false},
    {RIGHT, false},
};
START_TEST(test_what_counts)
{
    report_ten(faults[_i].more);
    ck_assert_int_eq(strcmp(allow(ALICE, "198.51.100.7", ""), GO_ON) != 0, faults[_i].counts);
}
END_TEST

static const char *const observing[][2] = {{"logins.mode=observe", "guard.mode=enforce"},
                                           {"logins.mode=enforce", "guard.mode=observe"}};
START_TEST(test_observe)
{
    begin_with(WITH(observing[_i][0], observing[_i][1]));
    report_ten(WRONG);
    ck_assert_str_eq(allow(ALICE, "198.51.100.7", ""), GO_ON);
}
END_TEST

START_TEST(test_webmail_host)
{
    for (int i = 0; i < 99; i++)
        report(ALICE, "192.0.2.99", i, WRONG);
    ck_assert_str_eq(allow(ALICE, "192.0.2.99", ""), GO_ON);
    report(ALICE, "192.0.2.99", 99, WRONG);
    ck_assert_str_ne(allow(ALICE, "192.0.2.99", ""), GO_ON);
    ck_assert_str_eq(allow("bob@example.test", "192.0.2.99", ""), GO_ON);
}
END_TEST

/* ---- requests -------------------------------------------------------------------------------- */

static const struct {
    const char *authorization;
    int status;
} keys[] = {
    {NULL, 401},
    {"", 401},
    {KEY, 401},
    {"Bearer", 401},
    {"Bearer ", 401},
    {"Basic " KEY, 401},
    {"Bearer 0123456789abcdef0123456789abcde", 401},
    {"Bearer " KEY "f", 401},
    {"Bearer " KEY ", Bearer " KEY, 401},
    {"Bearer " KEY, 200},
    {"  bearer " KEY " ", 200},
};
START_TEST(test_key)
{
    int status;
    raw.authorization = keys[_i].authorization;
    ask("command=allow", body_of(ALICE, "192.0.2.1", 1, ""), &status);
    ck_assert_int_eq(status, keys[_i].status);
}
END_TEST

static const struct {
    const char *method, *query, *body;
    int status;
} requests[] = {
    {"GET", "command=allow", "{\"login\":\"a\"}", 405},
    {"POST", NULL, "{\"login\":\"a\"}", 404},
    {"POST", "command=forget", "{\"login\":\"a\"}", 404},
    {"POST", "command=allowed", "{\"login\":\"a\"}", 404},
    {"POST", "x=1&command=allow", "{\"login\":\"a\"}", 200},
    {"POST", "command=allow&x=1", "{\"login\":\"a\"}", 200},
    {"POST", "command=allow", "", 400},
    {"POST", "command=allow", "[]", 400},
    {"POST", "command=allow", "{\"login\":\"a\"", 400},
    {"POST", "command=allow", "{}", 400},
    {"POST", "command=allow", "{\"login\":\"\"}", 400},
    {"POST", "command=allow", "{\"login\":7}", 400},
    {"POST", "command=allow", "{\"login\":\"a\\u0000b\"}", 400},
    {"POST", "command=allow", "{\"login\":\"a\",\"pwhash\":\"0g1\"}", 400},
    {"POST", "command=allow", "{\"login\":\"a\",\"remote\":\"no address\"}", 200},
    {"POST", "command=allow", "{\"login\":\"a\",\"remote\":null,\"pwhash\":null}", 200},
    {"POST", "command=report", "{\"login\":\"a\"}", 400},
    {"POST", "command=breached", "{\"login\":\"a@b.test\"}", 200},
    {"POST", "command=breached", "{\"login\":\"a@b.test\",\"scope\":\"sending\"}", 200},
    {"POST", "command=breached", "{\"login\":\"a@b.test\",\"scope\":\"all\"}", 400},
    {"POST", "command=breached", "{\"login\":\"a\"}", 400}, /* who could open it again? */
    {"POST", "command=breached", "{}", 400},
    {"POST", "command=report", "{\"login\":\"a\",\"success\":false}", 200},
    {"POST", "command=allow",
     "{\"login\":\"a\",\"x\":[[[[[[[[[[1]]]]]]]]]]}", 400},
};
START_TEST(test_request)
{
    int status;
    raw.method = requests[_i].method;
    const char *answer = ask(requests[_i].query, requests[_i].body, &status);
    ck_assert_msg(status == requests[_i].status, "%d: %s", status, answer);
    ck_assert_int_eq(strcmp(answer, GO_ON) == 0, status == 200);
}
END_TEST

START_TEST(test_long_body)
{
    int status;
    char *body = arena_alloc(arena, LOGIN_REQUEST_MAX_BODY + 2);
    memset(body, ' ', LOGIN_REQUEST_MAX_BODY + 1);
    body[LOGIN_REQUEST_MAX_BODY + 1] = '\0';
    memcpy(body, "{\"login\":\"a\"}", strlen("{\"login\":\"a\"}"));
    ask("command=allow", body, &status);
    ck_assert_int_eq(status, 413);
    body[LOGIN_REQUEST_MAX_BODY] = '\0';
    ask("command=allow", body, &status);
    ck_assert_int_eq(status, 200);
}
END_TEST

static const struct {
    const char *hash;
    unsigned fingerprint;
} hashes[] = {{"", 0}, {"7", 7}, {"091d", 0x91d}, {"fff", 0xfff}, {"ABCDEF", 0xdef},
              {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 0xdef}};
START_TEST(test_fingerprint)
{
    struct login_request request;
    struct problem problem;
    raw.query = "command=allow";
    raw.body = arena_printf(arena, "{\"login\":\"a\",\"pwhash\":\"%s\"}", hashes[_i].hash);
    raw.body_length = strlen(raw.body);
    ck_assert_int_eq(login_request_read(&raw, arena, &request, &problem), 1);
    ck_assert_uint_eq(request.fingerprint, hashes[_i].fingerprint);
}
END_TEST

/* As Dovecot 2.4.1-4 of Debian 13 sent them. */
#define OF_24(hash, stage, fail_type, more)                                             \
    "{\"device_id\":\"\",\"fail_type\":\"" fail_type "\",\"login\":\"alice@example.test\","          \
    "\"protocol\":\"imap\",\"pwhash\":\"" hash "\",\"remote\":\"127.0.0.7\","                 \
    "\"session_id\":\"OVNrjmlhleJ/AAAH\",\"stage\":\"" stage "\"" more ",\"tls\":false}"
#define REPORTED(success, reject) ",\"success\":" success ",\"policy_reject\":" reject
static const struct {
    const char *what, *body;
    bool reports, after, right, counts;
} of_dovecot_24[] = {
    {"before", OF_24("0311", "", "", ""), false, false, false, true},
    {"after", OF_24("0311", "1", "", ""), false, true, false, true},
    {"right", OF_24("0311", "1", "", REPORTED("true", "false")), true, true, true, true},
    {"wrong", OF_24("0ec0", "", "credentials", REPORTED("false", "false")), true, false,
     false, true},
    {"unknown", OF_24("0bad", "", "account", REPORTED("false", "false")), true, false,
     false, true},
    {"blocked", OF_24("0311", "", "policy", REPORTED("false", "true")), true, false, false,
     false},
    {"locked", OF_24("0dff", "1", "policy", REPORTED("false", "true")), true, true, false,
     false},
    {"broken", OF_24("0311", "", "internal", REPORTED("false", "false")), true, false,
     false, false},
};
START_TEST(test_dovecot_24)
{
    struct login_request request;
    struct problem problem;
    const char *what = of_dovecot_24[_i].what;
    raw.query = of_dovecot_24[_i].reports ? "command=report" : "command=allow";
    raw.body = of_dovecot_24[_i].body;
    raw.body_length = strlen(raw.body);
    ck_assert_msg(login_request_read(&raw, arena, &request, &problem) == 1, "%s", what);
    ck_assert_str_eq(request.mailbox, ALICE);
    ck_assert_str_eq(request.ip, "127.0.0.7");
    ck_assert_msg(request.after == of_dovecot_24[_i].after, "%s", what);
    ck_assert_msg(request.right == of_dovecot_24[_i].right, "%s", what);
    ck_assert_msg(request.counts == of_dovecot_24[_i].counts, "%s", what);
}
END_TEST

/* Told in the middle of a sign-in: this very one reads of it. For sending alone nobody does; what
 * comes then changes nothing. */
START_TEST(test_breached)
{
    int status;
    ck_assert_str_eq(ask("command=breached", "{\"login\":\"Alice@example.test\"}", &status), GO_ON);
    ck_assert_str_eq(allow(ALICE, "192.0.2.1", "1"),
                     "{\"status\":-1,\"msg\":\"This mailbox is locked, since its password is in a list "
                     "of stolen passwords; to set a new one, ask your support\"}");
    ck_assert_str_eq(allow(ALICE, "192.0.2.1", ""), GO_ON);
    ask("command=breached", "{\"login\":\"bob@example.test\",\"scope\":\"sending\"}", &status);
    ask("command=breached", "{\"login\":\"bob@example.test\"}", &status);
    ck_assert_str_eq(allow("bob@example.test", "192.0.2.1", "1"), GO_ON);
}
END_TEST

/* There are no files: 404. */
static int range(const char *authorization)
{
    int status;
    raw.method = "GET";
    raw.url = "/range/ABCDE";
    raw.authorization = authorization;
    ask(NULL, "", &status);
    return status;
}

START_TEST(test_ranges_without_the_key)
{
    for (int i = 0; i < LOGIN_RANGES_A_SECOND; i++)
        ck_assert_int_eq(range(NULL), 404);
    ck_assert_int_eq(range(NULL), 429);
    ck_assert_int_eq(range(" Bearer 0123456789abcdef0123456789abcdee"), 429);
    ck_assert_int_eq(range(" Bearer " KEY), 404);
    now_ms += 999;
    ck_assert_int_eq(range(NULL), 429);
    now_ms += 1;
    ck_assert_int_eq(range(NULL), 404);
}
END_TEST

/* A long name is one too, and counts for its network. */
START_TEST(test_long_name)
{
    char name[3000];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    report("somebody@example.test", "203.0.113.1", 1, RIGHT);
    for (int i = 0; i < 10; i++) {
        name[0] = (char)('a' + i);
        report(name, "198.51.100.9", 1, WRONG);
    }
    ck_assert_str_ne(allow(ALICE, "198.51.100.9", ""), GO_ON);
}
END_TEST

/* ---- the file of the key --------------------------------------------------------------------- */

static const struct {
    const char *text;
    mode_t mode;
    const char *fault; /* NULL: none */
} files[] = {
    {KEY, 0600, NULL},
    {KEY "\n", 0400, NULL},
    {"short\n", 0600, "holds no key"},
    {"", 0600, "holds no key"},
    {KEY "\n\n", 0600, "holds no key"},
    {"two words of a key\n", 0600, "holds no key"},
    {KEY "\n", 0640, "is open to others (mode 0640)"},
};
START_TEST(test_key_file)
{
    struct problem problem = {.text = ""};
    write_key(files[_i].text, files[_i].mode);
    ck_assert_int_eq(login_key_examine(key_path, &problem), files[_i].fault == NULL);
    ck_assert_str_eq(files[_i].fault == NULL ? "" : problem.where,
                     files[_i].fault == NULL ? "" : key_path);
    ck_assert_msg(files[_i].fault == NULL || strstr(problem.text, files[_i].fault) != NULL, "%s",
                  problem.text);
}
END_TEST

START_TEST(test_no_key_file)
{
    struct problem problem;
    unlink(key_path);
    ck_assert_int_eq(login_key_examine(key_path, &problem), 0);
    ck_assert(strstr(problem.text, "openssl rand -hex 32") != NULL);
}
END_TEST

/* ---- a lock ---------------------------------------------------------------------------------- */

/* As staff lock it at the desk, for the process that reads the store. */
static void lock_alice(bool closed)
{
    char path[FOLDER_SIZE + 32];
    struct login_mailbox mailbox = {0};
    struct keyed_hash_keys by_key = {.key = token_key};
    struct problem problem = {0};
    struct store *store;
    snprintf(path, sizeof path, "sqlite://%s/store.db", folder);
    ck_assert_msg(store_open(path, &(struct store_options){.timeout_ms = 5000}, &store, &problem) == 1, "%s", problem.text);
    struct value values[] = {
        login_values_of(arena, VALUE_LOGINS, keyed_hash_login(&by_key, "alice@example.test")),
        login_values_newest()};
    struct value_change changes[1 + LOGIN_VALUES_EXTRA];
    ck_assert_int_eq(store_values_get(store, arena, values, 2, now_ms), 1);
    login_lock_begin(&mailbox.lock, true, LOGIN_NO_FINGERPRINT, now_ms);
    if (closed)
        login_lock_close(&mailbox.lock, LOGIN_NO_FINGERPRINT, now_ms);
    changes[0] = login_values_mailbox_change(arena, &values[0], &mailbox, now_ms);
    login_values_tell(arena, &values[1], changes, 1, now_ms);
    ck_assert_int_eq(store_values_change(store,
                                         &(struct values_step){.changes = changes,
                                                               .count = countof(changes),
                                                               .now_ms = now_ms},
                                         NULL),
                     1);
    const struct login_limits limits = LOGIN_DEFAULT_LIMITS;
    ck_assert_int_eq(logins_exchange(policy.logins, store, &limits, now_ms), 1);
    keyed_hash_forget(&by_key);
    store_free(&store);
}

static const struct {
    const char *contact;
    bool closed;
    const char *line;
} locked[] = {
    {"support.contact=", false, "to set a new one, ask your support"},
    {"support.contact=help@example.test", false, "to set a new one, ask help@example.test"},
    {"support.contact=the \"desk\"", false, "to set a new one, ask the \\\"desk\\\""},
    {"support.contact=B\xc3\xbcro", false, "to set a new one, ask your support"},
    {"support.contact=help@example.test", true, "ask help@example.test"},
};
/* Who has the right password reads what to do; before it was looked at nothing is told. */
START_TEST(test_locked)
{
    begin_with(WITH(locked[_i].contact, "logins.mode=observe"));
    lock_alice(locked[_i].closed);
    ck_assert_str_eq(allow("alice@example.test", "192.0.2.1", ""), GO_ON);
    ck_assert_str_eq(allow("bob@example.test", "192.0.2.1", "1"), GO_ON);
    const char *expected = arena_printf(
        arena, "{\"status\":-1,\"msg\":\"This mailbox is locked, since others may know its "
               "password; %s\"}", locked[_i].line);
    ck_assert_str_eq(allow("alice@example.test", "192.0.2.1", "1"), expected);
}
END_TEST

START_TEST(test_locked_in_observe)
{
    begin_with(WITH("guard.mode=observe"));
    lock_alice(false);
    ck_assert_str_eq(allow("alice@example.test", "192.0.2.1", "1"), GO_ON);
}
END_TEST

static const struct {
    const char *contact;
    const char *asked;
} aged[] = {
    {"support.contact=", "your support"},
    {"support.contact=help@example.test", "help@example.test"},
};
/* Who has it reads of it, to the millisecond; nobody before it was looked at. */
START_TEST(test_too_old)
{
    begin_with(WITH(aged[_i].contact, "lock.password_max_age=30d", "logins.mode=observe"));
    report(ALICE, "192.0.2.1", 1, RIGHT);
    now_ms = NOON + 30 * DAY_MS - 1;
    ck_assert_str_eq(allow(ALICE, "192.0.2.1", "1"), GO_ON);
    now_ms++;
    ck_assert_str_eq(allow(ALICE, "192.0.2.1", ""), GO_ON);
    ck_assert_str_eq(allow("bob@example.test", "192.0.2.1", "1"), GO_ON);
    ck_assert_str_eq(allow(ALICE, "192.0.2.1", "1"),
                     arena_printf(arena, "{\"status\":-1,\"msg\":\"The password of this mailbox is "
                                  "older than 30 days; to set a new one, ask %s\"}", aged[_i].asked));
}
END_TEST

static const char *const ages_that_pass[][2] = {
    {"lock.password_max_age=off", NULL}, {"lock.password_max_age=30d", "guard.mode=observe"}};
START_TEST(test_old_enough)
{
    begin_with(WITH(ages_that_pass[_i][0], ages_that_pass[_i][1]));
    report(ALICE, "192.0.2.1", 1, RIGHT);
    now_ms += 40 * DAY_MS;
    ck_assert_str_eq(allow(ALICE, "192.0.2.1", "1"), GO_ON);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("login policy");
    tcase_add_unchecked_fixture(tcase, load_texts, free_texts);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    log_set_level((enum log_level)(LOG_ERROR_LEVEL + 1));
    tcase_add_test(tcase, test_blocked);
    tcase_add_test(tcase, test_whole_minute);
    tcase_add_loop_test(tcase, test_what_counts, 0, (int)countof(faults));
    tcase_add_loop_test(tcase, test_observe, 0, (int)countof(observing));
    tcase_add_test(tcase, test_webmail_host);
    tcase_add_loop_test(tcase, test_key, 0, (int)countof(keys));
    tcase_add_loop_test(tcase, test_request, 0, (int)countof(requests));
    tcase_add_test(tcase, test_long_body);
    tcase_add_loop_test(tcase, test_fingerprint, 0, (int)countof(hashes));
    tcase_add_loop_test(tcase, test_dovecot_24, 0, (int)countof(of_dovecot_24));
    tcase_add_test(tcase, test_breached);
    tcase_add_test(tcase, test_ranges_without_the_key);
    tcase_add_test(tcase, test_long_name);
    tcase_add_loop_test(tcase, test_key_file, 0, (int)countof(files));
    tcase_add_test(tcase, test_no_key_file);
    tcase_add_loop_test(tcase, test_locked, 0, (int)countof(locked));
    tcase_add_test(tcase, test_locked_in_observe);
    tcase_add_loop_test(tcase, test_too_old, 0, (int)countof(aged));
    tcase_add_loop_test(tcase, test_old_enough, 0, (int)countof(ages_that_pass));
    Suite *suite = suite_create("login policy");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
