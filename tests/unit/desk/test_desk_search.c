/* The search box: what a text names, what was meant, whether a mailbox was ever seen, and what
 * somebody looked at last. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "guard/token.h"
#include "store/observations.h"
#include "tests/unit/desk/desk_rig.h"

static struct json_object *found_of(const char *query)
{
    return VIEW(desk_search(rig_desk(), query, NOW + 1, &made, &fault));
}

/* ---- search ------------------------------------------------------------------------- */

static const struct {
    const char *query, *found, *key;
} searches[] = {
    {"alice@example.test", "mailbox", "alice@example.test"},
    {"  Alice@EXAMPLE.test\t\n", "mailbox", "alice@example.test"},
    {"Alice <alice@example.test>", "mailbox", "alice@example.test"},
    {"alice@", "nothing", "null"},
    {"a@x.test, b@x.test", "nothing", "null"},
    {"@Example.test", "domain", "example.test"},
    {"example.test", "domain", "example.test"},
    {"B\xC3\xBC" "cher.example", "domain", "xn--bcher-kva.example"},
    {"localhost", "nothing", "null"},
    {"a..b", "nothing", "null"},
    {"203.0.113.7", "ip", "203.0.113.7"},
    {"::ffff:203.0.113.7", "ip", "203.0.113.7"},
    {"2001:db8:1:2:3:4:5:6", "ip", "2001:db8:1:2::/64"},
    {"2001:DB8:1:2::/64", "ip", "2001:db8:1:2::/64"},
    {"203.0.113.7/64", "nothing", "null"},
    {"7k3m q2xd 9f4a", "decision", "7K3M-Q2XD-9F4A"},
    {"7K3MQ2XD9F4A", "decision", "7K3M-Q2XD-9F4A"},
    {"7K3M-Q2XD-9F4", "nothing", "null"},
    {"<script>alert(1)</script>", "nothing", "null"},
};

START_TEST(search)
{
    rig_begin(_i, WITH(SMALL));
    for (size_t i = 0; i < countof(searches); i++) {
        struct json_object *view = VIEW(desk_search(rig_desk(), searches[i].query, NOW, &made,
                                                    &fault));
        ck_assert_msg(strcmp(rig_text(view, "found"), searches[i].found) == 0, "%s: %s",
                      searches[i].query, rig_text(view, "found"));
        check_member(view, "key", searches[i].key);
    }
}
END_TEST

START_TEST(long_search)
{
    struct problem problem = {0};
    char query[4100] = "";
    rig_begin(_i, WITH(SMALL));
    memset(query, 'q', 4000);
    struct json_object *view = VIEW(desk_search(rig_desk(), query, NOW, &made, &fault));
    query[4000] = 'q';
    ck_assert_int_eq(desk_search(rig_desk(), query, NOW, &view, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
}
END_TEST

/* ---- within a text ----------------------------------------------------------------------- */

static const struct {
    const char *query, *found, *key;
} texts[] = {
    {"Hello, I am alice@example.test. It does not work!", "mailbox", "alice@example.test"},
    {"From: Alice <Alice@Example.test>\nSubject: help", "mailbox", "alice@example.test"},
    {"mailto:alice@example.test?subject=help", "mailbox", "alice@example.test"},
    {"550 5.7.1 refused, reference 7K3M-Q2XD-9F4A: ask support@example.test", "decision",
     "7K3M-Q2XD-9F4A"},
    {"https://mail.example.test/sending/r/7k3m-q2xd-9f4a", "decision", "7K3M-Q2XD-9F4A"},
    {"http://127.0.0.1:8080/sending/desk/decisions/7K3M-Q2XD-9F4A.", "decision", "7K3M-Q2XD-9F4A"},
    {"it comes from 203.0.113.7, says he", "ip", "203.0.113.7"},
    {"a@x.test, b@x.test", "nothing", "null"},
    {"203.0.113.0/24", "network", "203.0.113.0/24"},
    {"203.0.113.*", "network", "203.0.113.0/24"},
    {"203.0.", "network", "203.0.0.0/16"},
    {"2001:db8::/32", "network", "2001:db8::/32"},
    {"203.0.113.7/24", "nothing", "null"},
    {"203.0.113.7.", "ip", "203.0.113.7"},
    {"t=forged", "nothing", "null"},
};

START_TEST(within_a_text)
{
    rig_begin(_i, WITH(SMALL));
    for (size_t i = 0; i < countof(texts); i++) {
        struct json_object *view = found_of(texts[i].query);
        ck_assert_msg(strcmp(rig_text(view, "found"), texts[i].found) == 0, "%s: %s",
                      texts[i].query, rig_text(view, "found"));
        check_member(view, "key", texts[i].key);
    }
    struct json_object *view = found_of("a@x.test, b@x.test");
    check_member(view, "matches",
                 "[{'found':'mailbox','key':'a@x.test'},{'found':'mailbox','key':'b@x.test'}]");
    const struct status_link link = {.mailbox = BOB, .made_ms = NOW, .expires_ms = NOW + DAY_MS};
    view = found_of(arena_printf(arena, "He sent https://x.test/sending/status?lang=de&t=%s today",
                                 token_make(token_key, arena, &link)));
    check_member(view, "found", "mailbox");
    check_member(view, "key", BOB);
}
END_TEST

/* ---- what was meant ----------------------------------------------------------------------- */

static void see_sender(const char *mailbox)
{
    const struct observed_sender seen = {mailbox, strrchr(mailbox, '@') + 1, "203.0.113.7", NOW};
    ck_assert_int_eq(store_observe(store, &(struct observations){.senders = &seen,
                                                                 .sender_count = 1}, NOW), 1);
}

START_TEST(what_was_meant)
{
    static const struct {
        const char *query, *seen, *matches;
    } cases[] = {
        {"alic", "null", "[{'found':'mailbox','key':'alice@example.test'}]"}, /* a decision */
        {"LICE@EX", "false", "[{'found':'mailbox','key':'alice@example.test'}]"},
        {"alcie", "null", "[{'found':'mailbox','key':'alice@example.test'}]"},
        {"alice@exmaple.test", "false", "[{'found':'mailbox','key':'alice@example.test'}]"},
        {"example.tset", "false", "[{'found':'domain','key':'example.test'}]"},
        {"bob@", "null", "[{'found':'mailbox','key':'bob@example.test'}]"}, /* an action */
        {"carol.sm", "false", "[{'found':'mailbox','key':'carol.smith@own.test'}]"},
        {"dora@far.tes", "false", "[]"}, /* sent, but no index leads to its domain */
        {"dor@far.test", "false", "[{'found':'mailbox','key':'dora@far.test'}]"},
        {"zzz", "null", "[]"},
        {"alice@example.test", "true", "[]"},
        {"bob@example.test", "true", "[]"},
        {"example.test", "true", "[]"},
        {"own.test", "true", "[]"},
        {"192.0.2.1", "null", "[]"},
        {"192.0.2.0/24", "null", "[{'found':'ip','key':'192.0.2.1'}]"},
        {"198.51.100.0/24", "null", "[]"},
    };
    rig_begin(_i, WITH(SMALL, "domains.own_domains=own.test other.test"));
    struct submission submission = rig_message("<1@x>", 1);
    struct problem problem;
    ck_assert_int_eq(submission_set_ip(&submission, "192.0.2.1", 9, &problem), 1);
    rig_judge(&submission, NOW);
    do_action(&admin, "{'action':'note','subject':'bob@example.test','note':'n'}", NOW);
    see_sender("carol.smith@own.test");
    see_sender("dora@far.test");
    for (size_t i = 0; i < countof(cases); i++) {
        struct json_object *view = found_of(cases[i].query);
        ck_assert_msg(strcmp(rig_text(view, "seen"), cases[i].seen) == 0, "%s: %s",
                      cases[i].query, json_object_to_json_string(view));
        check_member(view, "matches", cases[i].matches);
    }
}
END_TEST

START_TEST(ten_matches)
{
    char name[40];
    rig_begin(_i, WITH(SMALL, "domains.own_domains=own.test other.test"));
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "%c%02d.news@own.test", 'z' - i % 26, i);
        see_sender(name);
    }
    see_sender("news@own.test");
    struct json_object *view = found_of("news@");
    ck_assert_uint_eq(length_of(view, "matches"), 10);
    check_member(view, "matches.0.key", "news@own.test");
    check_member(view, "matches.1.key", "a25.news@own.test");
}
END_TEST

/* ---- seen, and looked at ------------------------------------------------------------------ */

START_TEST(never_seen)
{
    rig_begin(_i, WITH(SMALL));
    check_member(view_mailbox(ALICE, NOW), "seen", "false");
    send_one("<1@x>", 60, NOW);
    check_member(view_mailbox(ALICE, NOW), "seen", "true"); /* a refused message is one, too */
    check_member(view_mailbox(BOB, NOW), "seen", "false");
    do_action(&admin, "{'action':'suspend','subject':'bob@example.test','note':'n'}", NOW);
    check_member(view_mailbox(BOB, NOW), "seen", "true");
}
END_TEST

static struct json_object *looked_by(const struct person *person, int64_t now_ms)
{
    struct json_object *list = NULL;
    ck_assert_int_eq(desk_looked(rig_desk(), person, now_ms, &list), 1);
    return keep_view(list);
}

static void look(const struct person *person, const char *found, const char *key, int64_t at_ms)
{
    ck_assert_int_eq(desk_looked_add(rig_desk(), person, found, key, at_ms), 1);
}

START_TEST(looked_at_last)
{
    char ip[40];
    rig_begin(_i, WITH(SMALL));
    ck_assert_uint_eq(json_object_array_length(looked_by(&viewer, NOW)), 0);
    look(&viewer, "mailbox", ALICE, NOW);
    look(&viewer, "mailbox", BOB, NOW + 1);
    look(&viewer, "mailbox", ALICE, NOW + 2); /* again: it comes first, once */
    ck_assert_str_eq(rig_text(looked_by(&viewer, NOW + 2), "0.key"), ALICE);
    ck_assert_str_eq(rig_text(looked_by(&viewer, NOW + 2), "1.key"), BOB);
    ck_assert_uint_eq(json_object_array_length(looked_by(&viewer, NOW + 2)), 2);
    ck_assert_uint_eq(json_object_array_length(looked_by(&admin, NOW + 2)), 0);
    for (int i = 0; i < 12; i++) {
        snprintf(ip, sizeof ip, "192.0.2.%d", i);
        look(&viewer, "ip", ip, NOW + 3 + i);
    }
    ck_assert_uint_eq(json_object_array_length(looked_by(&viewer, NOW + 20)), 10);
    ck_assert_str_eq(rig_text(looked_by(&viewer, NOW + 20), "9.key"), "192.0.2.2");
    ck_assert_uint_eq(json_object_array_length(looked_by(&viewer, NOW + 31 * DAY_MS)), 0);
}
END_TEST

START_TEST(store_away)
{
    struct json_object *view = NULL;
    struct problem problem;
    rig_begin(_i, WITH(SMALL));
    struct store *away = backend_open("redis+unix:///nowhere/redis.sock", 200);
    const struct desk desk = {away, guard, token_key};
    ck_assert_int_eq(desk_search(&desk, "zzz", NOW, &view, &problem), -1);
    ck_assert_int_eq(desk_search(&desk, ALICE, NOW, &view, &problem), -1);
    ck_assert_int_eq(desk_looked(&desk, &viewer, NOW, &view), -1);
    ck_assert_int_eq(desk_looked_add(&desk, &viewer, "ip", "192.0.2.1", NOW), -1);
    ck_assert_int_eq(desk_search(&desk, "203.0.113.7", NOW, &view, &problem), 1);
    keep_view(view);
    store_free(&away);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk search");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {search, long_search, within_a_text, what_was_meant, ten_matches,
                                  never_seen, looked_at_last, store_away};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
