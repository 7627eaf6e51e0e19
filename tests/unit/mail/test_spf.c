/* What a receiver finds in SPF records. The public suite has more: `make conformance`. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mail/spf_names.h"

/* Names, types and records; an IP address or a name where the type has one. */
static const struct {
    const char *name, *type, *record;
} zone[] = {
    {"good.test", "TXT", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"},
    {"good.test", "TXT", "v=spf10 +all"},
    {"good.test", "TXT", "google-site-verification=abc"},
    {"two.test", "TXT", "v=spf1 ip4:192.0.2.1 -all"},
    {"two.test", "TXT", "V=SPF1 -all"},
    {"old.test", "TXT", "something else"},
    {"upper.test", "TXT", "v=spf1 IP4:192.0.2.1 ?ALL"},
    {"soft.test", "TXT", "v=spf1 ~all"},
    {"open.test", "TXT", "v=spf1 ip4:192.0.2.9"},
    {"a.test", "TXT", "v=spf1 a -all"},
    {"a.test", "A", "192.0.2.1"},
    {"a.test", "AAAA", "2001:db8::1"},
    {"abits.test", "TXT", "v=spf1 a:a.test/24//64 -all"},
    {"mx.test", "TXT", "v=spf1 mx/31 -all"},
    {"mx.test", "MX", "mail.mx.test"},
    {"mail.mx.test", "A", "192.0.2.2"},
    {"nullmx.test", "TXT", "v=spf1 mx -all"},
    {"nullmx.test", "MX", ""},
    {"in.test", "TXT", "v=spf1 include:good.test -all"},
    {"in2.test", "TXT", "v=spf1 include:in.test include:soft.test ?all"},
    {"in3.test", "TXT", "v=spf1 include:nothere.test -all"},
    {"in4.test", "TXT", "v=spf1 include:in4.test -all"},
    {"in5.test", "TXT", "v=spf1 include:bad.test -all"},
    {"there.test", "TXT", "v=spf1 redirect=good.test"},
    {"there2.test", "TXT", "v=spf1 redirect=old.test"},
    {"twice.test", "TXT", "v=spf1 redirect=good.test redirect=good.test"},
    {"bad.test", "TXT", "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"},
    {"bad2.test", "TXT", "v=spf1 ip4:192.0.2.0/33 -all"},
    {"bad3.test", "TXT", "v=spf1 a:192.0.2.1 -all"},
    {"bad4.test", "TXT", "v=spf1 include -all"},
    {"bad5.test", "TXT", "v=spf1 all:x.test"},
    {"bad6.test", "TXT", "v=spf1 exists:%{x}.test -all"},
    {"bad7.test", "TXT", "v=spf1 ip4:192.0.2.00 -all"},
    {"bad8.test", "TXT", "v=spf1 a/032 -all"},
    {"new.test", "TXT", "v=spf1 ra=postmaster rp=100 ip4:192.0.2.1 -all"},
    {"void.test", "TXT", "v=spf1 a:v1.test a:v2.test a:v3.test ip4:192.0.2.1 -all"},
    {"void2.test", "TXT", "v=spf1 a:v1.test a:v2.test ip4:192.0.2.1 -all"},
    {"silent.test", "TXT", "v=spf1 ip4:192.0.2.1 a:dark.test -all"},
    {"dark.test", "silent", ""},
    {"exists.test", "TXT", "v=spf1 exists:%{ir}.%{v}.%{l1r-}.lists.test -all"},
    {"1.2.0.192.in-addr.list.lists.test", "A", "127.0.0.2"},
    {"ptr.test", "TXT", "v=spf1 ptr -all"},
    {"1.2.0.192.in-addr.arpa", "PTR", "liar.test"},
    {"1.2.0.192.in-addr.arpa", "PTR", "out.ptr.test"},
    {"out.ptr.test", "A", "192.0.2.1"},
    {"p.test", "TXT", "v=spf1 exists:%{p}.names.test -all"},
    {"out.ptr.test.names.test", "A", "127.0.0.2"},
    {"cname.test", "CNAME", "good.test"},
};

static const struct {
    const char *ip, *domain, *result, *term; /* NULL: none */
    enum spf_problem problem;
} cases[] = {
    {"192.0.2.77", "good.test", "pass", "ip4:192.0.2.0/24", 0},
    {"192.0.3.77", "good.test", "fail", "-all", 0},
    {"2001:db8:1::1", "good.test", "pass", "ip6:2001:db8::/32", 0},
    {"::ffff:192.0.2.77", "good.test", "pass", "ip4:192.0.2.0/24", 0},
    {"192.0.2.77", "good.test.", "pass", "ip4:192.0.2.0/24", 0},
    {"192.0.2.77", "cname.test", "pass", "ip4:192.0.2.0/24", 0},
    {"192.0.2.1", "two.test", "permerror", NULL, SPF_TWO_RECORDS},
    {"192.0.2.1", "old.test", "none", NULL, 0},
    {"192.0.2.1", "nothere.test", "none", NULL, 0},
    {"192.0.2.1", "test", "none", NULL, 0},
    {"192.0.2.1", "a..test", "none", NULL, 0},
    {"192.0.2.1", "", "none", NULL, 0},
    {"192.0.2.1", "upper.test", "pass", "IP4:192.0.2.1", 0},
    {"192.0.2.2", "upper.test", "neutral", "?ALL", 0},
    {"192.0.2.1", "soft.test", "softfail", "~all", 0},
    {"192.0.2.1", "open.test", "neutral", NULL, 0},
    {"192.0.2.1", "a.test", "pass", "a", 0},
    {"2001:db8::1", "a.test", "pass", "a", 0},
    {"192.0.2.99", "abits.test", "pass", "a:a.test/24//64", 0},
    {"2001:db8::99", "abits.test", "pass", "a:a.test/24//64", 0},
    {"2001:db8:0:1::1", "abits.test", "fail", "-all", 0},
    {"192.0.2.3", "mx.test", "pass", "mx/31", 0},
    {"192.0.2.4", "mx.test", "fail", "-all", 0},
    {"192.0.2.4", "nullmx.test", "fail", "-all", 0},
    {"192.0.2.4", "in.test", "pass", "include:good.test", 0},
    {"192.0.3.4", "in.test", "fail", "-all", 0},
    {"192.0.2.4", "in2.test", "pass", "include:in.test", 0},
    {"192.0.3.4", "in2.test", "neutral", "?all", 0},
    {"192.0.3.4", "in3.test", "permerror", "include:nothere.test", SPF_NO_RECORD_THERE},
    {"192.0.3.4", "in4.test", "permerror", "include:in4.test", SPF_TOO_MANY_TERMS},
    {"192.0.3.4", "in5.test", "permerror", "ipv4:192.0.2.2", SPF_BAD_TERM},
    {"192.0.2.4", "there.test", "pass", "ip4:192.0.2.0/24", 0},
    {"192.0.2.4", "there2.test", "permerror", "redirect=old.test", SPF_NO_RECORD_THERE},
    {"192.0.2.4", "twice.test", "permerror", "redirect=good.test", SPF_REPEATED_TERM},
    /* what is wrong anywhere makes the whole record worthless */
    {"192.0.2.1", "bad.test", "permerror", "ipv4:192.0.2.2", SPF_BAD_TERM},
    {"192.0.2.1", "bad2.test", "permerror", "ip4:192.0.2.0/33", SPF_BAD_TERM},
    {"192.0.2.1", "bad3.test", "permerror", "a:192.0.2.1", SPF_BAD_TERM},
    {"192.0.2.1", "bad4.test", "permerror", "include", SPF_BAD_TERM},
    {"192.0.2.1", "bad5.test", "permerror", "all:x.test", SPF_BAD_TERM},
    {"192.0.2.1", "bad6.test", "permerror", "exists:%{x}.test", SPF_BAD_TERM},
    {"192.0.2.1", "bad7.test", "permerror", "ip4:192.0.2.00", SPF_BAD_TERM},
    {"192.0.2.1", "bad8.test", "permerror", "a/032", SPF_BAD_TERM},
    {"192.0.2.1", "new.test", "pass", "ip4:192.0.2.1", 0},
    {"192.0.2.1", "void.test", "permerror", "a:v3.test", SPF_TOO_MANY_VOID},
    {"192.0.2.1", "void2.test", "pass", "ip4:192.0.2.1", 0},
    {"192.0.2.1", "silent.test", "pass", "ip4:192.0.2.1", 0},
    {"192.0.2.2", "silent.test", "temperror", "a:dark.test", 0},
    {"192.0.2.2", "dark.test", "temperror", NULL, 0},
    {"192.0.2.1", "exists.test", "pass", "exists:%{ir}.%{v}.%{l1r-}.lists.test", 0},
    {"192.0.2.2", "exists.test", "fail", "-all", 0},
    {"192.0.2.1", "ptr.test", "pass", "ptr", 0},
    {"192.0.2.2", "ptr.test", "fail", "-all", 0},
    {"192.0.2.1", "p.test", "pass", "exists:%{p}.names.test", 0},
};

static struct spf_names names;
static struct arena *arena;

static void begin(void)
{
    static const char *const types[] = {"A", "AAAA", "MX", "PTR", "TXT"};
    arena = arena_new();
    names.count = 0;
    for (size_t i = 0; i < countof(zone); i++) {
        struct spf_name *one = &names.of[names.count++];
        struct spf_ip ip;
        bool is_address = strchr("A", zone[i].type[0]) != NULL && spf_ip_read(zone[i].record, &ip);
        *one = (struct spf_name){.name = zone[i].name, .silent = zone[i].type[0] == 's'};
        one->alias = zone[i].type[0] == 'C' ? zone[i].record : NULL;
        for (size_t k = 0; k < countof(types); k++)
            if (strcmp(zone[i].type, types[k]) == 0)
                one->type = (enum spf_type)k;
        one->record = (struct mail_view){zone[i].record, strlen(zone[i].record)};
        if (is_address)
            one->record = (struct mail_view){
                arena_strndup(arena, (const char *)ip.bytes, ip.is_v6 ? 16 : 4), ip.is_v6 ? 16 : 4};
    }
}

static void end(void) { arena_free(&arena); }

static struct spf_verdict verdict_of(const char *ip, const char *domain, const char *sender)
{
    const struct spf_resolver resolver = {spf_names_look_up, &names};
    struct spf_request request = {.domain = domain, .sender = sender, .helo = "out.ptr.test"};
    struct spf_verdict verdict;
    ck_assert_int_eq(spf_ip_read(ip, &request.ip), 1);
    spf_check(arena, &request, &resolver, &verdict);
    return verdict;
}

START_TEST(test_results)
{
    const char *sender = arena_printf(arena, "list-bob@%s", cases[_i].domain);
    struct spf_verdict verdict = verdict_of(cases[_i].ip, cases[_i].domain, sender);
    ck_assert_str_eq(spf_result_names[verdict.result], cases[_i].result);
    ck_assert_pstr_eq(verdict.term, cases[_i].term);
    ck_assert_int_eq(verdict.problem, cases[_i].problem);
}
END_TEST

/* Whose record it is that has the term. */
START_TEST(test_domain)
{
    ck_assert_str_eq(verdict_of("192.0.2.4", "in.test", "x@in.test").domain, "in.test");
    ck_assert_str_eq(verdict_of("192.0.2.4", "there.test", "x@there.test").domain, "good.test");
    ck_assert_str_eq(verdict_of("192.0.2.4", "in5.test", "x@in5.test").domain, "bad.test");
}
END_TEST

START_TEST(test_addresses)
{
    struct spf_ip ip;
    ck_assert_int_eq(spf_ip_read("192.0.2.1", &ip), 1);
    ck_assert(!ip.is_v6);
    ck_assert_int_eq(spf_ip_read("::1", &ip), 1);
    ck_assert(ip.is_v6);
    ck_assert_int_eq(spf_ip_read("192.0.2", &ip), 0);
    ck_assert_int_eq(spf_ip_read("192.0.2.1/24", &ip), 0);
    ck_assert_int_eq(spf_ip_read("", &ip), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("spf");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, test_results, 0, countof(cases));
    tcase_add_test(tcase, test_domain);
    tcase_add_test(tcase, test_addresses);
    Suite *suite = suite_create("spf");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
