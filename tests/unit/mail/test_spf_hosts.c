/* What the owner of a domain has to write, so that all hosts that mail leaves from pass. */
#include <check.h>
#include <stdlib.h>

#include "mail/spf_hosts.h"
#include "tests/unit/mail/spf_names.h"

static const struct {
    const char *name, *text; /* "silent": nobody answers */
} zone[] = {
    {"both.test", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"},
    {"one.test", "v=spf1 ip4:192.0.2.1 -all"},
    {"open.test", "v=spf1 ip4:192.0.2.1"},
    {"other.test", "v=spf1 redirect=one.test"},
    {"two.test", "v=spf1 ip4:192.0.2.0/24 -all"},
    {"two.test", "v=spf1 -all"},
    {"bad.test", "v=spf1 ipv4:192.0.2.1 -all"},
    {"twice.test", "v=spf1 redirect=one.test redirect=one.test"},
    {"inbad.test", "v=spf1 include:bad.test -all"},
    {"intwo.test", "v=spf1 include:two.test -all"},
    {"innone.test", "v=spf1 ip4:192.0.2.1 include:nothere.test -all"},
    {"loop.test", "v=spf1 include:loop.test -all"},
    {"dark.test", "silent"},
    {"indark.test", "v=spf1 ip4:192.0.2.1 include:dark.test -all"},
    {"partdark.test", "v=spf1 -ip4:192.0.2.1 include:dark.test -all"},
};

/* For 192.0.2.1 and 2001:db8::1. */
static const struct {
    const char *domain;
    int names_us;
    const char *advice, *terms, *term, *where;
} cases[] = {
    {"both.test", 1, "nothing", NULL, NULL, NULL},
    {"one.test", 0, "add", "ip6:2001:db8::1", "-all", "one.test"},
    {"open.test", 0, "add", "ip6:2001:db8::1", NULL, "open.test"},
    {"other.test", 0, "add", "ip6:2001:db8::1", NULL, "one.test"},
    {"nothere.test", 0, "record", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ~all", NULL,
     "nothere.test"},
    {"two.test", 0, "one_record", "ip4:192.0.2.1 ip6:2001:db8::1", NULL, "two.test"},
    {"bad.test", 0, "correct", "ip4:192.0.2.1 ip6:2001:db8::1", "ipv4:192.0.2.1", "bad.test"},
    {"twice.test", 0, "correct", "ip4:192.0.2.1 ip6:2001:db8::1", "redirect=one.test",
     "twice.test"},
    {"inbad.test", 0, "front", "ip4:192.0.2.1 ip6:2001:db8::1", "ipv4:192.0.2.1", "bad.test"},
    {"intwo.test", 0, "front", "ip4:192.0.2.1 ip6:2001:db8::1", NULL, "two.test"},
    {"innone.test", 0, "front", "ip6:2001:db8::1", "include:nothere.test", "innone.test"},
    {"loop.test", 0, "front", "ip4:192.0.2.1 ip6:2001:db8::1", "include:loop.test", "loop.test"},
    {"dark.test", -1, "nothing", NULL, NULL, NULL},
    {"indark.test", -1, "nothing", NULL, NULL, NULL},
    {"partdark.test", 0, "add", "ip4:192.0.2.1", "-ip4:192.0.2.1", "partdark.test"},
};

static struct spf_names names;

static void fill_names(void)
{
    for (names.count = 0; names.count < countof(zone); names.count++) {
        struct spf_name *one = &names.of[names.count];
        const char *text = zone[names.count].text;
        *one = (struct spf_name){.name = zone[names.count].name, .type = SPF_TYPE_TXT,
                                 .record = {text, strlen(text)}};
        one->silent = strcmp(text, "silent") == 0;
    }
}

static void same(const char *found, const char *expected)
{
    ck_assert_str_eq(found != NULL ? found : "none", expected != NULL ? expected : "none");
}

START_TEST(test_cases)
{
    static char four[] = "192.0.2.1", six[] = "2001:db8::1";
    char *const ips[] = {four, six};
    struct arena *arena = arena_new();
    const struct spf_resolver resolver = {spf_names_look_up, &names};
    struct spf_hosts hosts;
    fill_names();
    spf_hosts_check(arena, cases[_i].domain, ips, 2, &resolver, &hosts);
    ck_assert_int_eq(hosts.names_us, cases[_i].names_us);
    ck_assert_str_eq(spf_advice_names[hosts.advice], cases[_i].advice);
    same(hosts.terms, cases[_i].terms);
    same(hosts.term, cases[_i].term);
    same(hosts.where, cases[_i].where);
    ck_assert_uint_eq(hosts.count, 2);
    ck_assert_str_eq(hosts.hosts[1].ip, six);
    arena_free(&arena);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("hosts");
    tcase_add_loop_test(tests, test_cases, 0, countof(cases));
    Suite *suite = suite_create("spf_hosts");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
