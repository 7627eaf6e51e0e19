/* Records of a file in the place of the DNS. */
#include <check.h>
#include <stdlib.h>

#include "dns/dns_records.h"

static const char *const type_names[] = {"A", "AAAA", "MX", "PTR", "TXT"};

/* What is found, with spaces between, addresses in hexadecimal digits; "none", "failed". */
static const char *found(struct arena *arena, struct dns_records *records, const char *name,
                         const char *type)
{
    struct spf_found found = {0};
    size_t number = 0;
    while (strcmp(type_names[number], type) != 0)
        number++;
    enum spf_lookup looked =
        dns_records_look_up(records, arena, name, (enum spf_type)number, &found);
    if (looked != SPF_LOOKUP_FOUND)
        return looked == SPF_LOOKUP_VOID ? "none" : "failed";
    const char *all = "";
    for (size_t i = 0; i < found.count; i++) {
        const char *one = arena_strndup(arena, found.of[i].text, found.of[i].length);
        if (number <= SPF_TYPE_AAAA) {
            one = "";
            for (size_t k = 0; k < found.of[i].length; k++)
                one = arena_printf(arena, "%s%02x", one, (unsigned char)found.of[i].text[k]);
        }
        all = arena_printf(arena, "%s%s%s", all, i > 0 ? " " : "", one);
    }
    return all;
}

/* The text in a block of its own size, so that reading past it shows. */
static int read_text(struct arena *arena, const char *text, struct dns_records **records_r,
                     struct problem *problem)
{
    size_t length = strlen(text);
    char *copy = malloc(length > 0 ? length : 1);
    memcpy(copy, text, length);
    int answer = dns_records_read(arena, "zone", (struct mail_view){copy, length}, records_r,
                                  problem);
    free(copy);
    return answer;
}

static const char zone[] =
    "; a file as `dig axfr` and people write it\n"
    "$TTL 3600\n"
    "Example.test. IN SOA ns.example.test. host.example.test. (\n"
    "    1 ; serial\n"
    "    2h 3h 4w 5m )\n"
    "example.test. 300 IN TXT \"v=spf1 ip4:192.0.2.1\" \" -all\"\n"
    "\n"
    "              IN MX 10 mail.example.test.\n"
    "              TXT ( \"a;b\"   ; no comment in quotation marks\n"
    "                    \"c\\\"d\\101\" )\n"
    "mail.example.test A 192.0.2.1\n"
    "\tAAAA 2001:db8::1\n"
    "null.test MX 0 .\n"
    "www.example.test. IN 1h CNAME Mail.example.test.\r\n"
    "loop.test CNAME loop.test\n"
    "both.test CNAME both.test\n"
    "both.test A 192.0.2.3\n"
    "away.test CNAME nothere.test\n"
    "$ORIGIN sub.test.\n"
    "@ TXT one-word\n"
    "host A 192.0.2.2\n"
    "$ORIGIN 2.0.192.in-addr.arpa.\n"
    "1 PTR mail.example.test.\n"
    "2 PTR host.sub.test. ; the end, without a line's end";

static const struct {
    const char *name, *type, *found;
} cases[] = {
    {"example.test", "TXT", "v=spf1 ip4:192.0.2.1 -all a;bc\"de"},
    {"EXAMPLE.test", "MX", "mail.example.test"},
    {"example.test", "A", "none"},
    {"mail.example.test", "A", "c0000201"},
    {"mail.example.test", "AAAA", "20010db8000000000000000000000001"},
    {"null.test", "MX", ""},
    {"www.example.test", "A", "c0000201"},
    {"www.example.test", "TXT", "none"},
    {"loop.test", "A", "failed"},
    {"both.test", "A", "c0000203"},
    {"away.test", "A", "none"},
    {"sub.test", "TXT", "one-word"},
    {"host.sub.test", "A", "c0000202"},
    {"1.2.0.192.in-addr.arpa", "PTR", "mail.example.test"},
    {"2.2.0.192.in-addr.arpa", "PTR", "host.sub.test"},
    {"nothere.test", "TXT", "none"},
};

START_TEST(test_found)
{
    struct arena *arena = arena_new();
    struct dns_records *records;
    struct problem problem = {0};
    ck_assert_msg(read_text(arena, zone, &records, &problem) == 1, "%s: %s", problem.where,
                  problem.text);
    ck_assert_str_eq(found(arena, records, cases[_i].name, cases[_i].type), cases[_i].found);
    arena_free(&arena);
}
END_TEST

static const struct {
    const char *text, *where, *expected; /* a part of what is said */
} faults[] = {
    {"a.test TXT \"v=spf1 -all", "zone:1", "quotation mark"},
    {"a.test TXT \"v=spf1 -all\nb.test A 192.0.2.1\"", "zone:1", "quotation mark"},
    {"a.test TXT v=spf1 -all", "zone:1", "in quotation marks"},
    {"a.test TXT", "zone:1", "text behind TXT"},
    {"\n\na.test A 192.0.2.256", "zone:3", "IPv4"},
    {"a.test AAAA 192.0.2.1", "zone:1", "IPv6"},
    {"a.test A 192.0.2.1 192.0.2.2", "zone:1", "IPv4"},
    {"a.test MX mail.a.test", "zone:1", "number and a name behind MX"},
    {"a.test PTR", "zone:1", "name behind PTR"},
    {"a.test CNAME a b", "zone:1", "name behind CNAME"},
    {"a.test TX \"v=spf1\"", "zone:1", "type"},
    {"a.test 300 IN", "zone:1", "type"},
    {"  TXT \"v=spf1\"", "zone:1", "name at the begin"},
    {"$INCLUDE other", "zone:1", "$ORIGIN"},
    {"$ORIGIN", "zone:1", "$ORIGIN"},
    {"a.test SOA ( 1\n2", "zone:1", "\")\""},
    {"a.test A 192.0.2.1\nb.test SOA 1 )", "zone:2", "\"(\""},
};

START_TEST(test_faults)
{
    struct arena *arena = arena_new();
    struct dns_records *records;
    struct problem problem = {0};
    ck_assert_int_eq(read_text(arena, faults[_i].text, &records, &problem), 0);
    ck_assert_str_eq(problem.where, faults[_i].where);
    ck_assert_msg(strstr(problem.text, faults[_i].expected) != NULL, "%s", problem.text);
    arena_free(&arena);
}
END_TEST

START_TEST(test_limits)
{
    struct arena *arena = arena_new();
    struct dns_records *records;
    struct problem problem;
    char text[2000] = "a.test TXT \"";
    memset(text + strlen(text), 'x', 255);
    strcat(text, "\"");
    ck_assert_int_eq(read_text(arena, text, &records, &problem), 1);
    strcpy(text + strlen(text) - 1, "x\"");
    ck_assert_int_eq(read_text(arena, text, &records, &problem), 0);
    strcpy(text, "a.test SOA");
    for (int i = 0; i < 510; i++)
        strcat(text, " 1");
    ck_assert_int_eq(read_text(arena, text, &records, &problem), 1);
    strcat(text, " 1");
    ck_assert_int_eq(read_text(arena, text, &records, &problem), 0);
    ck_assert_int_eq(read_text(arena, "", &records, &problem), 1);
    ck_assert_str_eq(found(arena, records, "a.test", "A"), "none");
    arena_free(&arena);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("records");
    tcase_add_loop_test(tests, test_found, 0, countof(cases));
    tcase_add_loop_test(tests, test_faults, 0, countof(faults));
    tcase_add_test(tests, test_limits);
    Suite *suite = suite_create("dns_records");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
