/* Settings: the file's syntax, what is refused and where, and what is printed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/settings/settings_fixture.h"

/* Refused at `line` (0: the file as a whole) with a text that holds `expected`. */
static void must_refuse(const char *content, int line, const char *expected)
{
    char where[200];
    snprintf(where, sizeof where, line > 0 ? "%s:%d" : "%s", path, line);
    ck_assert_msg(read_text(content) == 0, "not refused:\n%s", content);
    ck_assert_ptr_null(settings);
    ck_assert_msg(strcmp(problem.where, where) == 0, "%s, not %s:\n%s", problem.where, where,
                  content);
    ck_assert_msg(strstr(problem.text, expected) != NULL, "\"%s\" holds no \"%s\"", problem.text,
                  expected);
}

/* ---- the file ------------------------------------------------------------------------ */

static const char *const good_files[] = {
    "",
    "\n\n  \n\t\n",
    "[fcgi]\nthreads = 20",
    "[fcgi]\r\nthreads = 20\r\n",
    "\xEF\xBB\xBF[fcgi]\nthreads = 20\n",
    "# comment\n; comment\n  # comment [x]\n\t; comment\n[fcgi]\nthreads=20\n",
    "[fcgi] ; comment\nthreads = 20 ; comment ; again\n",
    "[fcgi]\t# comment\nthreads\t=\t20\t; comment\n",
    "[fcgi]\n    listen = /run/x.sock\n    threads = 20\n",
    "  [fcgi]\n  threads = 20\n",
    "[fcgi]\nthreads: 20\n",
    "[store]\n[fcgi]\n[store]\n[fcgi]\nthreads = 20\n[store]\n",
};

START_TEST(test_good_file)
{
    must_read(good_files[_i]);
    if (strstr(good_files[_i], "20") != NULL)
        ck_assert_int_eq(settings->fcgi_threads, 20);
}
END_TEST

/* An indented line goes on with a group of domains only where it is no setting itself. */
START_TEST(test_indented_lines)
{
    must_read("[domains]\n"
              "  own_domains = a.test b.test\n"
              "    c.test\n"
              "  own_domains = d.test e.test\n"
              "  [exempt]\n"
              "  mailbox = a@x.test\n"
              "  mailbox = b@x.test\n"
              "  [domains]\n"
              "  hosted = h.test\n"
              "    # comment\n"
              "\tg.test, i.test ; a = b\n");
    ck_assert_str_eq(value_of("domains", "own_domains"), "a.test b.test c.test\nd.test e.test");
    ck_assert_str_eq(value_of("domains", "hosted"), "g.test\nh.test\ni.test");
    ck_assert_str_eq(value_of("exempt", "mailbox"), "a@x.test\nb@x.test");
}
END_TEST

START_TEST(test_example_of_the_manual)
{
    must_read("[store]\n"
              "url = sqlite:///var/lib/sendguard/sendguard.db   ; or redis://HOST:PORT/DB\n"
              "timeout = 250ms\n"
              "on_failure = refuse                              ; or allow\n"
              "[fcgi]\n"
              "listen = /run/sendguard/fcgi/fcgi.sock           ; a path or HOST:PORT\n"
              "threads = 2\n"
              "[web]\n"
              "listen = 127.0.0.1:9401\n"
              "base_url = http://127.0.0.1:8080/sending\n"
              "[limits.webmail]                                 ; rule = number | off\n"
              "[limits.smtp]\n"
              "[domains]\n"
              "own_domains = example.test example.net           ; one group of equals a line\n"
              "[suspension]\n"
              "volume = 24h\n"
              "retries_before_restart = 10\n"
              "[support]\n"
              "contact = support@example.test\n"
              "[guard]\n"
              "mode = enforce                                   ; or observe\n");
    freed_by(free_string) char *changed = printed(true);
    ck_assert_str_eq(changed, "[domains]\nown_domains = example.test example.net\n\n"
                              "[support]\ncontact = support@example.test\n");
}
END_TEST

static const struct {
    const char *content;
    int line;
    const char *expected;
} bad_files[] = {
    {"[fcgi]\nthreads = x\n", 2, "fcgi.threads: \"x\" is no number; expected 1 to 64"},
    {"\n\n# c\n[fcgi]\n\nthreads = x\n", 6, "is no number"},
    {"\xEF\xBB\xBF[fcgi]\r\nthreads = x\r\n", 2, "is no number"},
    {"[fcgi]\nthreads\n", 2, "is no setting; expected key = value"},
    {"[fcgi]\nthreads\nthreads = x\n", 2, "is no setting"},
    {"[fcgi]\nthreads = x\nthreads\n", 2, "is no number"},
    {"[fcgi]\n= 5\n", 2, "fcgi.: no such setting"},
    {"[fcgi]\nthreads = ; comment\n", 2, "\"\" is empty"},
    {"[fcgi]\nthreads = 5 # no comment\n", 2, "\"5 # no comment\" is no number"},
    {"[fcgi]\nthreads = 5\n\nthreads = 5\n", 4,
     "fcgi.threads: is set a second time; first at line 2"},
    {"[fcgi]\nthreads = 5\n[store]\n[fcgi]\nthreads = 5\n", 5, "first at line 2"},
    {"threads = 5\n", 1, "threads: stands before the first [section]"},
    {"[fcgi]\nthread = 5\n", 2, "fcgi.thread: no such setting; did you mean fcgi.threads?"},
    {"[fcgi]\nTHREADS = 5\n", 2, "fcgi.THREADS: no such setting"},
    {"[store]\nthreads = 5\n", 2, "store.threads: no such setting; did you mean fcgi.threads?"},
    {"[limits.smtp]\nmessage_per_day = 5\n", 2, "did you mean limits.smtp.messages_per_day?"},
    {"[fcgi]\nquite_different = 5\n", 2, "fcgi.quite_different: no such setting"},
    {"[fcgii]\nthreads = 5\n", 1, "[fcgii]: no such section"},
    {"[fcgii]\n", 1, "[fcgii]: no such section"},
    {"\xEF\xBB\xBF[fcgii]\n", 1, "[fcgii]: no such section"},
    {"[ fcgi ]\n", 1, "[ fcgi ]: no such section"},
    {"[]\n", 1, "[]: no such section"},
    {"[fcgi\nthreads = 5\n", 1, "a section without its ']'"},
    {"[fcgi] threads = 5\n", 1, "something stands behind the section's ']'"},
    {"[fcgi]\nthreads = 5\x01\n", 2, "it holds a control character"},
    {"[fcgi]\nthreads = 5\rlisten = /x\n", 2, "it holds a line break"},
    {"[fcgi]\n# \xFF\n", 2, "it is no valid UTF-8"},
    {"[fcgi]\nthreads = 5\n  6\n", 3, "is no setting"},
    {"[domains]\n  a.test\n", 2, "is no setting"},
    {"[plan.school]\nmessages = 5\n", 2, "plan.school.messages: no limit has this name"},
    {"[plan.school]\nmessages_per_day = x\n", 2,
     "plan.school.messages_per_day: \"x\" is no number; expected 0 to 1000000000 or off"},
    {"[plan.a]\nmessages_per_day = 5\n[plan.b]\nmessages_per_day = 5\n[plan.a]\n"
     "messages_per_day = 5\n", 6, "plan.a.messages_per_day: is set a second time; first at line 2"},
    {"[plan.]\n", 1, "[plan.]: expected plan. and 1 to 31 small letters"},
    {"[plan.School]\n", 1, "[plan.School]: expected"},
    {"[plan.1]\nmessages_per_day = 5\n", 1, "[plan.1]: expected"},
    {"[plan.a1234567890123456789012345678901]\n", 1, "expected plan. and 1 to 31"},
    {"[plan]\n", 1, "[plan]: no such section"},
    {"[domains]\nown_domains = a.test\n[domains]\n  b.test\n", 4, "is no setting"},
    {"[domains]\nown_domains = a.test\n  b..test\n", 3, "\"b..test\": "},
    {"[domains]\nown_domains = a.test b.test\nown_domains = c.test\n  d.test b.test\n", 3,
     "domains.own_domains: b.test stands in two groups, at lines 2 and 3"},
};

START_TEST(test_bad_file)
{
    must_refuse(bad_files[_i].content, bad_files[_i].line, bad_files[_i].expected);
}
END_TEST

START_TEST(test_long_lines)
{
    freed_by(text_free) struct text content = {0};
    text_add(&content, "[domains]\nhosted =");
    for (int i = 0; i < 4000; i++)
        text_addf(&content, " h%d.test", i);
    text_add(&content, "\nown_domains =");
    for (int i = 0; i < 4000; i++)
        text_addf(&content, " o%d.test", i);
    must_read(content.data);
    ck_assert_uint_eq(settings->hosted_domains.count, 4000);
    ck_assert(settings_hosted_domain(settings, "h3999.test"));
    ck_assert(settings_own_domain(settings, "o0.test", "o3999.test"));

    while (content.length < 2 * 65536)
        text_add(&content, " more.test");
    must_refuse(content.data, 3, "the line is longer than 65536 bytes");
}
END_TEST

/* On one line or on several. */
START_TEST(test_longest_group)
{
    for (size_t over = 0; over <= 1; over++) {
        freed_by(text_free) struct text content = {0};
        const char *domain = "domain-of-31-characters-or.test"; /* and a space */
        text_add(&content, "[domains]\nown_domains =");
        for (int i = 0; i < 2048; i++)
            text_addf(&content, "%s %s", i % 1000 == 999 ? "\n" : "", domain);
        if (over) {
            text_add(&content, "\n a");
            must_refuse(content.data, 5, "makes a group over 64 KiB; expected domains");
        } else {
            must_read(content.data);
        }
    }
}
END_TEST

START_TEST(test_nul_is_refused)
{
    static const char content[] = "[fcgi]\nthreads = 5\0 5\n";
    ck_assert_int_eq(read_bytes(content, sizeof content - 1), 0);
    ck_assert_str_eq(problem.text, "it holds a NUL");
}
END_TEST

START_TEST(test_size_of_the_file)
{
    enum { LONGEST = 1024 * 1024 };
    char *content = malloc(LONGEST + 2);
    memset(content, '\n', LONGEST + 1);
    content[LONGEST + 1] = '\0';
    memcpy(content + LONGEST - 20, "[fcgi]\nthreads = 9", 18);
    ck_assert_int_eq(read_bytes(content, LONGEST), 1);
    ck_assert_int_eq(settings->fcgi_threads, 9);
    must_refuse(content, 0, "is larger than 1048576 bytes");
    free(content);
}
END_TEST

START_TEST(test_files_that_cannot_be_read)
{
    ck_assert_int_eq(settings_read(path, NULL, 0, &settings, &problem), 0);
    ck_assert_str_eq(problem.where, path);
    ck_assert_str_eq(problem.text, "cannot be read: No such file or directory");
    ck_assert_int_eq(settings_read(folder, NULL, 0, &settings, &problem), 0);
    ck_assert_str_eq(problem.text, "cannot be read: Is a directory");
    ck_assert_ptr_null(settings);
}
END_TEST

/* ---- files that it includes -------------------------------------------------------- */

static void write_beside(const char *name, const char *content)
{
    freed_by(free_string) char *beside = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(beside, "w");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    fclose(file);
}

START_TEST(test_what_is_included_comes_before_the_own_file)
{
    write_beside("a.conf", "[fcgi]\nthreads = 5\nsocket_mode = 0600\n[domains]\n"
                           "own_domains = a.test\n   b.test\nhosted = c.test\n");
    write_beside("b.conf", "[limits.smtp]\nmessages_per_hour = 300\n");
    freed_by(free_string) char *content =
        xasprintf("include = a.conf\ninclude = %s/b.conf\n[fcgi]\nthreads = 7\n"
                  "[domains]\nown_domains = d.test\n", folder);
    must_read(content);
    ck_assert_int_eq(settings->fcgi_threads, 7);
    ck_assert_int_eq(settings->fcgi_socket_mode, 0600);
    ck_assert_int_eq(settings->limits[CHANNEL_SMTP].of[RULE_MESSAGES_PER_HOUR], 300);
    ck_assert_uint_eq(settings->own_domains.count, 1);
    ck_assert_str_eq(settings->own_domains.items[0], "d.test");
    ck_assert(settings_hosted_domain(settings, "c.test"));
}
END_TEST

static const struct {
    const char *content, *included;
    const char *where, *expected; /* where: the end of it */
} bad_includes[] = {
    {"\ninclude = none.conf\n", "", "/s.conf:2", "none.conf cannot be read: No such file"},
    {"include =\n", "", "/s.conf:1", "include: is empty"},
    {"include = .\n", "", "/s.conf:1", "/. cannot be read: Is a directory"},
    {"[fcgi]\ninclude = a.conf\n", "", "/s.conf:2",
     "include: stands behind [fcgi]; expected before the first [section]"},
    {"include = a.conf\n", "[fcgi]\n\nthreads = x\n", "/a.conf:3", "is no number"},
    {"include = a.conf\n", "[fcgi]\nthread = 3\n", "/a.conf:2", "did you mean fcgi.threads?"},
    {"include = a.conf\n", "[fcgi]\nthreads = 3\nthreads = 4\n", "/a.conf:3", "first at line 2"},
    {"include = a.conf\n", "include = b.conf\n", "/a.conf:1", "includes no other"},
    {"include = s.conf\n", "", "/s.conf:1", "includes no other"},
    {"include = a.conf\ninclude = b.conf\n", "[mta]\nthreads = 3\n", "/b.conf:2",
     "/a.conf:2"},
    {"include = a.conf\n", "[domains]\nown_domains = a.test\nown_domains = a.test\n",
     "/a.conf:3", "two groups, at lines 2 and 3"},
    {"include = a\ninclude = b\ninclude = c\ninclude = d\ninclude = e\ninclude = f\n"
     "include = g\ninclude = h\ninclude = i\n", "", "/s.conf:9", "more than 8 files"},
};

START_TEST(test_bad_include)
{
    write_beside("a.conf", bad_includes[_i].included);
    write_beside("b.conf", bad_includes[_i].included);
    ck_assert_int_eq(read_text(bad_includes[_i].content), 0);
    const char *slash = strrchr(problem.where, '/');
    ck_assert_ptr_nonnull(slash);
    ck_assert_str_eq(slash, bad_includes[_i].where);
    ck_assert_msg(strstr(problem.text, bad_includes[_i].expected) != NULL, "%s", problem.text);
}
END_TEST

START_TEST(test_the_line_of_a_long_path_is_shown)
{
    snprintf(path, sizeof path, "%s/\xC3\xBC%070d", folder, 7);
    ck_assert_int_eq(read_text("[fcgi]\n\nthreads = x\n"), 0);
    size_t length = strlen(problem.where);
    ck_assert_uint_eq(length, sizeof problem.where - 1);
    ck_assert_int_eq(strncmp(problem.where, "…", strlen("…")), 0);
    ck_assert_str_eq(problem.where + length - 5, "007:3");
}
END_TEST

/* A line each, in the file's order, and nothing that only follows from another fault. */
START_TEST(test_all_faults_are_told_at_once)
{
    static const struct {
        int line; /* 0: of an override */
        const char *text;
    } expected[] = {
        {1, "[stor]: no such section"},
        {4, "store.url: \"redis://x/y\" has no number"},
        {5, "is no setting"},
        {6, "store.tiemout: no such setting; did you mean store.timeout?"},
        {8, "domains.own_domains: \"a..b\""},
        {14, "fcgi.threads: \"0\" is out of range"},
        {15, "fcgi.threads: is set a second time; first at line 14"},
        {16, "a section without its ']'"},
        {19, "it is no valid UTF-8"},
        {21, "web.own_domains: no such setting"},
        {0, "fcgi.threads: \"x\" is no number"},
        {0, "is no setting; expected section.key=value"},
        {12, "d.test stands in two groups, at lines 11 and 12"},
        {12, "e.test stands in two groups, at lines 11 and 12"},
    };
    static const char *const overrides[] = {"fcgi.threads=x", "fcgi.socket_mode=0600", "nonsense"};
    struct faults faults;
    read_text("[stor]\nurl = x\n[store]\nurl = redis://x/y\ntimeout ; = 3\ntiemout = 3\n"
              "[domains]\nown_domains = a..b\n   c.test\n\nown_domains = d.test e.test\n"
              "own_domains = e.test d.test\n[fcgi]\nthreads = 0\nthreads = 9\n[fcgi\nx = y\n"
              "[web]\n\xFF = 3\nlisten = 127.0.0.1:9\nown_domains = x.test\n  y.test\n");
    ck_assert_int_eq(settings_read_all(path, overrides, countof(overrides), &settings, &faults),
                     0);
    ck_assert_ptr_null(settings);
    for (size_t i = 0; i < countof(expected); i++) {
        char where[sizeof path + 16];
        snprintf(where, sizeof where, "%s:%d", path, expected[i].line);
        ck_assert_uint_lt(i, faults.count);
        ck_assert_msg(expected[i].line == 0 ? strncmp(faults.first[i].where, "-o ", 3) == 0
                                            : strcmp(faults.first[i].where, where) == 0,
                      "%s, not %s", faults.first[i].where, where);
        ck_assert_msg(strstr(faults.first[i].text, expected[i].text) != NULL, "\"%s\", not \"%s\"",
                      faults.first[i].text, expected[i].text);
    }
    ck_assert_uint_eq(faults.count, countof(expected));
}
END_TEST

START_TEST(test_more_faults_than_are_kept)
{
    char content[4096] = "[fcgi]\n";
    struct faults faults;
    for (int i = 0; i < FAULTS_MAX + 5; i++)
        strcat(content, "thread = 3\n");
    read_text(content);
    ck_assert_int_eq(settings_read_all(path, NULL, 0, &settings, &faults), 0);
    ck_assert_uint_eq(faults.count, FAULTS_MAX + 5);
}
END_TEST

START_TEST(test_passwords_are_not_shown)
{
    ck_assert_int_eq(read_override("store.url=rediss://user:hunter2@x"), 0);
    ck_assert_ptr_null(strstr(problem.where, "hunter2"));
    ck_assert_ptr_null(strstr(problem.text, "hunter2"));
    ck_assert_str_eq(problem.where, "-o store.url");
    must_refuse("[store]\nurl = rediss://user:hunter2@x\n", 2,
                "store.url: \"rediss://…\" holds a user name or a password");
    ck_assert_ptr_null(strstr(problem.text, "hunter2"));
    must_refuse("[store]\npassword_file = hunter2\n", 2,
                "store.password_file: \"…\" is no absolute path of a file");
    static const char *const others[] = {
        "store.url=redis://:hunter2@host/0", "store.url=redis://:hunter2",
        "store.url=redis://u:1/hunter2@h",   "store.url=redis:hunter2@host",
        "store.url=redis://:9@hunter2@h",    "store.url=redis+unix://:hunter2@/run/r.sock",
        "store.url=:hunter2@host",           "web.listen=redis://:hunter2@host/0",
        "web.base_url=ftp://u:hunter2@host", "redis://:hunter2@host/0",
        "store.url=rediss://hunter2@h",      "store.url=redis://:hunter2@host/0 ;",
        "store.password_file=hunter2",       "store.password=hunter2",
        "store.password hunter2",            "redis.password=hunter2"};
    for (size_t i = 0; i < countof(others); i++) {
        ck_assert_int_eq(read_override(others[i]), 0);
        ck_assert_msg(strstr(problem.where, "hunter2") == NULL &&
                          strstr(problem.text, "hunter2") == NULL,
                      "%s: %s: %s", others[i], problem.where, problem.text);
    }
}
END_TEST

/* ---- printing -------------------------------------------------------------------------------- */

/* What is printed reads back as the same settings. */
static void check_round_trip(bool only_changed)
{
    const char *names[100];
    freed_by(free_string) char *first = printed(only_changed);
    freed_by(settings_free) struct settings *before = take(settings);
    must_read(first);
    size_t count = settings_differences(before, settings, names, countof(names));
    ck_assert_msg(count == 0, "%s\n%s", names[0], first);
}

START_TEST(test_round_trip)
{
    freed_by(text_free) struct text content = {0};
    text_add(&content, "[domains]\nown_domains =");
    for (int i = 0; i < 60; i++)
        text_addf(&content, "%s domain-number-%d.example", i % 4 == 3 ? "\n " : "", i);
    text_add(&content, "\nown_domains = one.test two.test\nhosted = h2.test h1.test\n h3.test\n");
    text_add(&content, "[store]\nurl = redis://127.0.0.1:6379/1\ntimeout = 90ms\n"
                       "on_failure = allow\n[fcgi]\nlisten = [::1]:9000\n"
                       "threads = 3\nsocket_mode = 0600\n"
                       "[limits.smtp]\nmessages_per_day = off\nmessages_per_hour = 0\n"
                       "[exempt]\nmailbox = a=b@x.test\nrecipient = @x.test c@y.test\n"
                       "[suspension]\nvolume = 90m, 3d, 4d, permanent\n"
                       "[log]\nkeep_refused = 100h\n"
                       "[support]\ncontact = Anna; 030/123, a@x.test = b\n"
                       "[guard]\nmode = observe\n"
                       "[web]\ntrusted_proxies = none\nmonitoring = 10.0.0.0/8 ::/0\n"
                       "templates = /srv/pages\ntime_zone = Europe/Berlin\n");
    for (int only_changed = 0; only_changed <= 1; only_changed++) {
        must_read(content.data);
        ck_assert_uint_eq(settings->own_domains.count, 2);
        check_round_trip(only_changed);
    }
}
END_TEST

START_TEST(test_plans)
{
    write_beside("a.conf", "[plan.school]\nmessages_per_day = 5\nmessages_per_hour = 6\n"
                           "[plan.free]\n");
    must_read("include = a.conf\n[plan.school]\nmessages_per_day = 1000\noff_domain_per_day = off\n"
              "[guard]\nmode = observe\n[plan.school]\nrecipients_per_message = 0\n");
    ck_assert_uint_eq(settings->plan_count, 2);
    const struct plan *plan = settings_plan(settings, "school");
    static const struct limits expected = {{0, PLAN_LIMIT_NONE, PLAN_LIMIT_NONE, PLAN_LIMIT_NONE,
                                            1000, LIMIT_OFF, PLAN_LIMIT_NONE, 6, PLAN_LIMIT_NONE,
                                            PLAN_LIMIT_NONE}};
    ck_assert_mem_eq(plan->limits.of, expected.of, sizeof expected.of);
    ck_assert_ptr_nonnull(settings_plan(settings, "free"));
    ck_assert_ptr_null(settings_plan(settings, "schoo"));
    freed_by(free_string) char *changed = printed(true);
    ck_assert_str_eq(changed, "[guard]\nmode = observe\n\n[plan.school]\n"
                              "recipients_per_message = 0\nmessages_per_day = 1000\n"
                              "off_domain_per_day = off\nmessages_per_hour = 6\n\n[plan.free]\n");
    check_round_trip(true);
    static const char *const override = "plan.school.messages_per_day=7";
    const char *name = NULL;
    struct settings *other = NULL;
    ck_assert_int_eq(settings_read(path, &override, 1, &other, &problem), 1);
    ck_assert_int_eq(settings_plan(other, "school")->limits.of[RULE_MESSAGES_PER_DAY], 7);
    ck_assert_uint_eq(settings_differences(settings, other, &name, 1), 1);
    ck_assert_str_eq(name, "plan");
    settings_free(&other);
}
END_TEST

START_TEST(test_no_more_plans_than_there_may_be)
{
    freed_by(text_free) struct text content = {0};
    for (int i = 0; i < PLANS_MAX; i++)
        text_addf(&content, "[plan.p%d]\n", i);
    must_read(text_string(&content));
    text_add(&content, "[plan.p0]\n[plan.one-more]\n");
    ck_assert_int_eq(read_text(text_string(&content)), 0);
    ck_assert_str_eq(problem.text, "[plan.one-more]: more than 64 plans");
}
END_TEST

START_TEST(test_only_what_was_changed)
{
    must_read("");
    freed_by(free_string) char *nothing = printed(true);
    ck_assert_str_eq(nothing, "");
    must_read("[limits.smtp]\nmessages_per_day = 600\nmessages_per_hour = 300\n");
    freed_by(free_string) char *changed = printed(true);
    ck_assert_str_eq(changed, "[limits.smtp]\nmessages_per_hour = 300\n");
}
END_TEST

START_TEST(test_all_values)
{
    must_read("");
    freed_by(free_string) char *all = printed(false);
    size_t lines = 0;
    for (const char *line = all; (line = strstr(line, " =")) != NULL; line++)
        lines++;
    size_t empty_lists = 9, second_items = 2; /* of the two lists of networks */
    ck_assert_uint_eq(lines, settings_count - empty_lists + second_items);
    ck_assert_ptr_nonnull(strstr(all, "[suspension]\nvolume = 24h\ncomplaints = 24h, 72h, "));
    check_round_trip(false);
}
END_TEST

START_TEST(test_differences)
{
    const char *names[10] = {NULL};
    static const char *const changes[] = {"fcgi.threads=20", "limits.smtp.messages_per_day=5",
                                          "domains.own_domains=a.test", "support.contact=x"};
    struct settings *other = NULL;
    ck_assert_int_eq(settings_read(NULL, NULL, 0, &settings, &problem), 1);
    ck_assert_int_eq(settings_read(NULL, changes, 4, &other, &problem), 1);
    ck_assert_uint_eq(settings_differences(settings, settings, names, 10), 0);
    ck_assert_uint_eq(settings_differences(settings, other, names, 10), 4);
    ck_assert_str_eq(names[0], "fcgi.threads");
    ck_assert_str_eq(names[1], "limits.smtp.messages_per_day");
    ck_assert_str_eq(names[2], "domains.own_domains");
    ck_assert_str_eq(names[3], "support.contact");
    ck_assert_uint_eq(settings_differences(other, settings, names, 2), 2);
    settings_free(&other);
}
END_TEST

/* The commented file says nothing; with its settings uncommented it says the defaults. */
START_TEST(test_file_of_defaults)
{
    char *bytes = NULL;
    size_t size = 0, uncommented = 0;
    FILE *out = open_memstream(&bytes, &size);
    settings_write_defaults(out);
    fclose(out);
    must_read(bytes);
    freed_by(free_string) char *nothing = printed(true);
    ck_assert_str_eq(nothing, "");
    for (char *line = bytes; *line != '\0'; line += strcspn(line, "\n") + 1) {
        ck_assert_uint_le(strcspn(line, "\n"), 100);
        if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z') {
            bool no_default = line[strcspn(line, "\n") - 1] == '=';
            line[0] = no_default ? '#' : ' ';
            uncommented++;
        }
    }
    ck_assert_uint_eq(uncommented, settings_count);
    must_read(bytes);
    freed_by(free_string) char *changed = printed(true);
    ck_assert_str_eq(changed, "");
    free(bytes);
}
END_TEST

/* Files in the tree that come from the table; `make docs` writes them anew. */
static const struct {
    const char *name;
    void (*write)(FILE *out);
} generated[] = {
    {"docs/settings.md", settings_write_reference},
    {"sendguard.conf.example", settings_write_defaults},
};

START_TEST(test_generated_files_are_current)
{
    const char *tree = getenv("SENDGUARD_TREE");
    freed_by(free_string) char *name =
        xasprintf("%s/%s", tree != NULL ? tree : ".", generated[_i].name);
    char *expected = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&expected, &size);
    generated[_i].write(out);
    fclose(out);
    if (getenv("SENDGUARD_WRITE_DOCS") != NULL) {
        out = fopen(name, "w");
        ck_assert_msg(out != NULL && fwrite(expected, 1, size, out) == size && fclose(out) == 0,
                      "%s cannot be written", name);
    }
    FILE *file = fopen(name, "r");
    ck_assert_msg(file != NULL, "%s: run in the tree or set SENDGUARD_TREE", name);
    char *actual = xcalloc(1, size + 2);
    size_t length = fread(actual, 1, size + 1, file);
    fclose(file);
    ck_assert_msg(length == size && memcmp(actual, expected, size) == 0,
                  "%s is not what the table of settings gives; `make docs` writes it", name);
    free(actual);
    free(expected);
}
END_TEST

static void add_file_tests(TCase *cases)
{
    tcase_add_loop_test(cases, test_good_file, 0, (int)countof(good_files));
    tcase_add_test(cases, test_indented_lines);
    tcase_add_test(cases, test_example_of_the_manual);
    tcase_add_loop_test(cases, test_bad_file, 0, (int)countof(bad_files));
    tcase_add_test(cases, test_long_lines);
    tcase_add_test(cases, test_longest_group);
    tcase_add_test(cases, test_nul_is_refused);
    tcase_add_test(cases, test_size_of_the_file);
    tcase_add_test(cases, test_files_that_cannot_be_read);
    tcase_add_test(cases, test_passwords_are_not_shown);
    tcase_add_test(cases, test_all_faults_are_told_at_once);
    tcase_add_test(cases, test_more_faults_than_are_kept);
    tcase_add_test(cases, test_plans);
    tcase_add_test(cases, test_no_more_plans_than_there_may_be);
    tcase_add_test(cases, test_what_is_included_comes_before_the_own_file);
    tcase_add_loop_test(cases, test_bad_include, 0, countof(bad_includes));
    tcase_add_test(cases, test_the_line_of_a_long_path_is_shown);
}

static void add_print_tests(TCase *cases)
{
    tcase_add_test(cases, test_round_trip);
    tcase_add_test(cases, test_only_what_was_changed);
    tcase_add_test(cases, test_all_values);
    tcase_add_test(cases, test_differences);
    tcase_add_test(cases, test_file_of_defaults);
    tcase_add_loop_test(cases, test_generated_files_are_current, 0, (int)countof(generated));
}

int main(void)
{
    Suite *suite = suite_create("settings file");
    add_file_tests(add_settings_cases(suite, "file"));
    add_print_tests(add_settings_cases(suite, "printing"));
    return run_suite(suite);
}
