/* Addresses as people write them, and every setter's good and bad input. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "message/submission.h"

static struct arena *arena;
static struct submission submission;
static struct problem problem;

static void setup(void)
{
    arena = arena_new();
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    problem = (struct problem){0};
}

static void teardown(void) { arena_free(&arena); }

/* The bytes in a heap block of exactly their size, so that sanitizers see overreads. */
static char *exact(const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, length);
    return copy;
}

typedef int setter(struct submission *, const char *, size_t, struct problem *);

static int set_bytes(setter *set, const char *text, size_t length)
{
    char *copy = exact(text, length);
    int result = set(&submission, copy, length, &problem);
    free(copy);
    return result;
}

static int set(setter *function, const char *text)
{
    return set_bytes(function, text, strlen(text));
}

static int add_bytes(enum field field, const char *text, size_t length)
{
    char *copy = exact(text, length);
    int result = submission_add_recipients(&submission, field, copy, length, &problem);
    free(copy);
    return result;
}

static int add(enum field field, const char *text) { return add_bytes(field, text, strlen(text)); }

/* "address/written_chars" of every recipient, with spaces between. */
static void list_recipients(struct text *list)
{
    for (size_t i = 0; i < submission.recipient_count; i++)
        text_addf(list, "%s%s/%u", i > 0 ? " " : "", submission.recipients[i].address,
                  submission.recipients[i].written_chars);
}

static const struct {
    const char *name, *text, *recipients;
} good_lists[] = {
    {"one", "bob@x.test", "bob@x.test/10"},
    {"name", "Bob <bob@x.test>", "bob@x.test/16"},
    {"name without space", "Bob<bob@x.test>", "bob@x.test/15"},
    {"angle alone", "<bob@x.test>", "bob@x.test/12"},
    {"name with dot", "Dr. B. Smith <bob@x.test>", "bob@x.test/25"},
    {"comma and semicolon", "a@x.test, b@x.test;c@x.test", "a@x.test/8 b@x.test/8 c@x.test/8"},
    {"empty entries", " ,; a@x.test ,\t, ;", "a@x.test/8"},
    {"nothing", "", ""},
    {"white space", " \t ", ""},
    {"upper case", "BOB@X.Test", "bob@x.test/10"},
    {"all of atext", "a!#$%&'*+-/=?^_`{|}~z.0@x.test", "a!#$%&'*+-/=?^_`{|}~z.0@x.test/30"},
    {"single label", "root@localhost", "root@localhost/14"},
    {"trailing dot", "bob@x.test.", "bob@x.test/11"},
    {"quoted name with separators", "\"B, o; b: <x> (\" <bob@x.test>", "bob@x.test/29"},
    {"quoted name with escapes", "\"B \\\"o\\\" b\" <bob@x.test>", "bob@x.test/24"},
    {"quoted name with @", "\"a@y.test\" <bob@x.test>", "bob@x.test/23"},
    {"empty quoted name", "\"\" <bob@x.test>", "bob@x.test/15"},
    {"quoted in the middle", "Bob \"B\" Smith <bob@x.test>", "bob@x.test/26"},
    {"UTF-8 name", "J\xC3\xBCrgen <j@x.test>", "j@x.test/17"},
    {"UTF-8 quoted name", "\"J\xC3\xBCrgen\" <j@x.test>", "j@x.test/19"},
    {"emoji", "\xF0\x9F\x98\x80 <j@x.test>", "j@x.test/12"},
    {"UTF-8 local part", "J\xC3\x9CRGEN@x.test", "j\xC3\xBCrgen@x.test/13"},
    {"decomposed local part", "ju\xCC\x88rgen@x.test", "j\xC3\xBCrgen@x.test/14"},
    {"IDN",
     "b@B\xC3\xBC"
     "cher.test",
     "b@xn--bcher-kva.test/13"},
    {"IDN as A-label", "b@XN--bcher-KVA.test", "b@xn--bcher-kva.test/20"},
    {"sharp s, nontransitional",
     "b@stra\xC3\x9F"
     "e.test",
     "b@xn--strae-oqa.test/13"},
    {"IDN with trailing dot", "b@\xC3\xBC.test\xE3\x80\x82", "b@xn--tda.test/9"},
    {"ideographic full stop", "b@x\xE3\x80\x82test", "b@x.test/8"},
    {"encoded word", "=?utf-8?q?J=C3=BCrgen?= <j@x.test>", "j@x.test/17"},
    {"two encoded words", "=?utf-8?q?J=C3=BCrgen?= =?utf-8?b?w7w=?= <j@x.test>", "j@x.test/18"},
    {"encoded word, latin 1", "=?iso-8859-1?q?J=FCrgen?= <j@x.test>", "j@x.test/17"},
    {"comment behind", "bob@x.test (Bob, at work)", "bob@x.test/25"},
    {"comments around", "(a) Bob (b(c)) <bob@x.test> (d)", "bob@x.test/31"},
    {"quoted local part", "\"john doe\"@x.test", "\"john doe\"@x.test/17"},
    {"quoted for nothing", "\"Bob\"@x.test", "bob@x.test/12"},
    {"quoted @", "\"a@b\"@x.test", "\"a@b\"@x.test/12"},
    {"quoted pair", "\"a\\\"b\"@x.test", "\"a\\\"b\"@x.test/13"},
    {"IPv4 literal", "bob@[192.0.2.1]", "bob@[192.0.2.1]/15"},
    {"IPv6 literal", "bob@[IPv6:2001:DB8:0::1]", "bob@[ipv6:2001:db8::1]/24"},
    {"group", "Team: a@x.test, Bob <b@x.test>;", "a@x.test/8 b@x.test/14"},
    {"group among others", "c@x.test, Team: a@x.test;, d@x.test",
     "c@x.test/8 a@x.test/8 d@x.test/8"},
    {"group without comma behind", "Team: a@x.test; d@x.test", "a@x.test/8 d@x.test/8"},
    {"empty group", "undisclosed-recipients:;", ""},
    {"quoted group name", "\"a@b: c\": a@x.test;", "a@x.test/8"},
    {"comment behind a group", "g: a@x.test; (the end)", "a@x.test/8"},
    {"comments in and behind groups", "g: (one), a@x.test, (two); (end) (all), h:(nobody);(c);b@x.test",
     "a@x.test/8 b@x.test/8"},
    {"host name that is no A-label", "b@xn--zzzzzz.test, B <b@xn--a.test>",
     "b@xn--zzzzzz.test/17 b@xn--a.test/16"},
    {"host name with hyphens", "b@ab--cd.test, B <b@R3---SN.test>",
     "b@ab--cd.test/13 b@r3---sn.test/18"},
    {"local part of a ticket system",
     "reply+123456789012345678901234567890123456789012345678901234567890@x.test, "
     "T <reply+123456789012345678901234567890123456789012345678901234567890@x.test>",
     "reply+123456789012345678901234567890123456789012345678901234567890@x.test/73 "
     "reply+123456789012345678901234567890123456789012345678901234567890@x.test/77"},
    {"same twice", "a@x.test, A@x.test", "a@x.test/8 a@x.test/8"},
};

START_TEST(test_good_list)
{
    struct text list = {0};
    int result = add(FIELD_TO, good_lists[_i].text);
    ck_assert_msg(result == 1, "%s: %s: %s", good_lists[_i].name, problem.where, problem.text);
    list_recipients(&list);
    ck_assert_msg(strcmp(text_string(&list), good_lists[_i].recipients) == 0, "%s: read %s",
                  good_lists[_i].name, text_string(&list));
    text_free(&list);
}
END_TEST

static const struct {
    const char *name, *text, *says;
} bad_entries[] = {
    {"no @", "bob", "no @"},
    {"no domain", "bob@", "no domain"},
    {"no local part", "@x.test", "before its @"},
    {"empty quoted local part", "\"\"@x.test", "before its @"},
    {"two @", "bob@y@x.test", "more than one @"},
    {"space in local part", "bob smith@x.test", "space"},
    {"space in domain", "bob@x test", "domain"},
    {"space around @", "bob @ x.test", "space"},
    {"comment in the address", "bob(c)@x.test", "a comment stands in the middle"},
    {"comment in the address, with a name", "Bob <b(c)ob@x.test>", "a comment stands in the middle"},
    {"comment alone", "(nobody)", "no @"},
    {"tab in local part", "bob\tsmith@x.test", "it holds a tab"},
    {"dots", "bob..smith@x.test", "dot"},
    {"dot first", ".bob@x.test", "dot"},
    {"dot last", "bob.@x.test", "dot"},
    {"empty label", "bob@x..test", "empty part"},
    {"two dots last", "bob@x.test..", "empty part"},
    {"two dots last, IDN", "bob@\xC3\xBC.test..", "domain"},
    {"dot as domain", "bob@.", "empty part"},
    {"underscore in domain", "bob@x_y.test", "domains cannot have"},
    {"hyphen first", "bob@-x.test", "hyphen"},
    {"hyphen last", "bob@x-.test", "hyphen"},
    {"behind the angle", "<bob@x.test> b", "behind its closing >"},
    {"two angles", "<a@x.test> <b@x.test>", "behind its closing >"},
    {"nested angles", "<<a@x.test>>", "in its < >"},
    {"empty angle", "Bob <>", "no @"},
    {"angle not closed", "Bob <bob@x.test", "not closed"},
    {"angle not opened", "bob@x.test>", "domain"},
    {"list in an angle", "<a@x.test,b@x.test>", "in its < >"},
    {"source route", "<@a.test,@b.test:c@d.test>", "in its < >"},
    {"quote not closed", "\"Bob <bob@x.test>", "not closed"},
    {"comment not closed", "bob@x.test (a(b)", "not closed"},
    {"comment not opened", "bob)@x.test", "not allowed"},
    {"literal not closed", "bob@[192.0.2.1", "not closed"},
    {"literal out of range", "bob@[192.0.2.256]", "neither IPv4 nor IPv6"},
    {"literal IPv6 untagged", "bob@[2001:db8::1]", "neither IPv4 nor IPv6"},
    {"literal with zone", "bob@[IPv6:fe80::1%eth0]", "neither IPv4 nor IPv6"},
    {"name with @", "a@y.test <b@x.test>", "quotation marks"},
    {"name with brackets", "Bob [work] <b@x.test>", "quotation marks"},
    {"name with a dot first", ".Bob <b@x.test>", "quotation marks"},
    {"UTF-8 name with a dot first", "(c) .B\xC3\xBC <b@x.test>", "quotation marks"},
    {"name with a backslash", "\"A\" B\\ob <b@x.test>", "quotation marks"},
    {"name with a closing angle", "\"A\" B> <b@x.test>", "quotation marks"},
    {"group not closed", "Team: a@x.test", "semicolon"},
    {"group not closed again", "Team:; Other: b@x.test", "semicolon"},
    {"group in a group", "A: B: a@x.test;;", "another group"},
    {"group without a name", ": a@x.test;", "no name"},
    {"address as a group's name", "a@y.test: a@x.test;", "no name of a group"},
    {"URL", "mailto:bob@x.test", "semicolon"},
    {"IDN with a symbol", "b@\xE2\x98\x83.test", "internationalised"},
    {"A-label with a hyphen last", "b@xn--abc-.test", "hyphen"},
    {"full-width @", "b\xEF\xBC\xA0x.test", "no @"},
    {"full-width @ in domain", "b@x\xEF\xBC\xA0y.test", "domain"},
    {"zero-width space",
     "bo\xE2\x80\x8B"
     "b@x.test",
     "invisible"},
    {"no-break space",
     "bo\xC2\xA0"
     "b@x.test",
     "invisible"},
    {"text between two readers", "\"a\\\\\" \"e@x.test, f@x.test\" <c@d.test>", "backslash"},
    {"address in a comment", "a@x.test (, b@y.test, )", "comment in it holds an @"},
    {"backslash", "b\\ob@x.test", "not allowed"},
};

START_TEST(test_bad_entry)
{
    struct text list = {0};
    ck_assert_int_eq(add(FIELD_CC, "first@x.test"), 1);
    text_addf(&list, "second@x.test; %s", bad_entries[_i].text);
    int result = add(FIELD_CC, text_string(&list));
    ck_assert_msg(result == 0, "%s was taken", bad_entries[_i].name);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_msg(strcmp(problem.where, "cc[2]") == 0, "%s: %s", bad_entries[_i].name,
                  problem.where);
    ck_assert_msg(strstr(problem.text, bad_entries[_i].says) != NULL, "%s: %s",
                  bad_entries[_i].name, problem.text);
    ck_assert_uint_eq(submission.recipient_count, 1);
    ck_assert_uint_eq(submission.address_bytes, strlen("first@x.test"));
    text_free(&list);
}
END_TEST

/* Bytes that are refused wherever they stand. */
static const struct {
    const char *name, *text;
    size_t length;
    const char *says;
} bad_bytes[] = {
    {"NUL", "bob@x.test\0", 11, "NUL"},
    {"NUL within", "bob\0@x.test", 11, "NUL"},
    {"CR", "bob@x.test\r", 11, "line break"},
    {"folded header", "a@x.test,\r\n b@x.test", 20, "line break"},
    {"LF in a name", "\"B\nob\" <b@x.test>", 17, "line break"},
    {"escape", "B\x1B[1m <b@x.test>", 16, "control"},
    {"delete",
     "bo\x7F"
     "b@x.test",
     11, "control"},
    {"overlong", "b\xC0\xAFo@x.test", 11, "UTF-8"},
    {"surrogate", "b\xED\xA0\x80@x.test", 11, "UTF-8"},
    {"cut off", "b@x.test\xC3", 9, "UTF-8"},
    {"latin 1", "J\xFCrgen <j@x.test>", 17, "UTF-8"},
    {"above Unicode", "b\xF4\x90\x80\x80@x.test", 12, "UTF-8"},
};

START_TEST(test_bad_bytes)
{
    setter *const setters[] = {submission_set_id, submission_set_from};
    const char *text = bad_bytes[_i].text, *says = bad_bytes[_i].says;
    size_t length = bad_bytes[_i].length;
    ck_assert_int_eq(add_bytes(FIELD_BCC, text, length), 0);
    ck_assert_str_eq(problem.where, "bcc");
    ck_assert_msg(strstr(problem.text, says) != NULL, "%s: %s", bad_bytes[_i].name, problem.text);
    for (size_t i = 0; i < countof(setters); i++) {
        ck_assert_int_eq(set_bytes(setters[i], text, length), 0);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_msg(strstr(problem.text, says) != NULL, "%s: %s", bad_bytes[_i].name,
                      problem.text);
    }
    ck_assert_int_eq(set_bytes(submission_set_mailbox, text, length), 0);
    ck_assert_int_eq(set_bytes(submission_set_ip, text, length), 0);
    ck_assert_int_eq(set_bytes(submission_set_lang, text, length), 0);
    ck_assert_uint_eq(submission.recipient_count, 0);
    ck_assert_ptr_null(submission.mailbox);
}
END_TEST

START_TEST(test_fields)
{
    ck_assert_int_eq(add(FIELD_TO, "a@x.test"), 1);
    ck_assert_int_eq(add(FIELD_BCC, "b@Y.test"), 1);
    ck_assert_int_eq(add(FIELD_TO, "c@x.test, \"d@e\"@z.test"), 1);
    ck_assert_uint_eq(submission.recipient_count, 4);
    ck_assert_int_eq(submission.recipients[1].field, FIELD_BCC);
    ck_assert_str_eq(submission.recipients[1].domain, "y.test");
    ck_assert_str_eq(submission.recipients[3].domain, "z.test");
    ck_assert_ptr_eq(submission.recipients[3].domain,
                     strrchr(submission.recipients[3].address, '@') + 1);
    ck_assert_int_eq(add(FIELD_TO, "bad"), 0);
    ck_assert_str_eq(problem.where, "to[3]");
    ck_assert_int_eq(add(FIELD_CC, "bad"), 0);
    ck_assert_str_eq(problem.where, "cc[0]");
}
END_TEST

START_TEST(test_one_recipient)
{
    static const char two[] = "a@x.test, b@x.test";
    ck_assert_int_eq(submission_add_recipient(&submission, FIELD_TO, two, 8, &problem), 1);
    ck_assert_int_eq(submission_add_recipient(&submission, FIELD_TO, two, strlen(two), &problem),
                     0);
    ck_assert_str_eq(problem.where, "to[1]");
    ck_assert_str_eq(problem.text, "\"a@x.test, b@x.test\" holds more than one recipient");
    ck_assert_uint_eq(submission.recipient_count, 1);
    ck_assert_uint_eq(submission.address_bytes, 8);
}
END_TEST

START_TEST(test_quote_is_cut)
{
    struct text list = {0};
    for (int i = 0; i < 100; i++)
        text_add(&list, "\xC3\xBC");
    ck_assert_int_eq(add(FIELD_TO, text_string(&list)), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "\xC3\xBC\xE2\x80\xA6\" is no address"));
    ck_assert_uint_lt((size_t)(strchr(problem.text + 1, '"') - problem.text), 64);
    text_free(&list);
}
END_TEST

static void repeat(struct text *text, const char *what, size_t times)
{
    for (size_t i = 0; i < times; i++)
        text_add(text, what);
}

/* An address of `local` and `domain` bytes, the domain in labels of at most 63. */
static void long_address(struct text *text, size_t local, size_t domain)
{
    text_clear(text);
    repeat(text, "a", local);
    text_add(text, "@");
    for (size_t i = 1; i <= domain; i++)
        text_add(text, i % 50 == 0 && i < domain ? "." : "b");
}

START_TEST(test_lengths_of_addresses)
{
    static const struct {
        size_t local, domain;
        int expected;
    } lengths[] = {{64, 189, 1}, {65, 20, 1},  {1, 252, 1},  {252, 1, 1},
                 {64, 190, 0}, {1, 253, 0},  {253, 1, 0},  {64, 255, 0}, {300, 300, 0}};
    struct text text = {0};
    for (size_t i = 0; i < countof(lengths); i++) {
        long_address(&text, lengths[i].local, lengths[i].domain);
        ck_assert_int_eq(add(FIELD_TO, text_string(&text)), lengths[i].expected);
        ck_assert_int_eq(set(submission_set_mailbox, text_string(&text)), lengths[i].expected);
    }
    text_clear(&text);
    repeat(&text, "c", 64);
    ck_assert_int_eq(set(submission_set_mailbox, text_string(&text)), 0);
    text_clear(&text);
    text_add(&text, "a@");
    repeat(&text, "b", 64);
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "63"));
    text_clear(&text);
    text_add(&text, "a@");
    repeat(&text, "\xC3\xBC", 60); /* fits as UTF-8, but not as an A-label */
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 0);
    text_free(&text);
}
END_TEST

START_TEST(test_lengths_of_entries)
{
    struct text text = {0};
    repeat(&text, "n", 8 * 1024 - strlen(" <a@x.test>"));
    text_add(&text, " <a@x.test>");
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 1);
    ck_assert_uint_eq(submission.recipients[0].written_chars, 8 * 1024);
    text_clear(&text);
    text_add(&text, "\"");
    repeat(&text, "n", 8 * 1024);
    text_add(&text, "\" <a@x.test>");
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 0);
    ck_assert_int_eq(problem.status, 400);
    text_clear(&text);
    repeat(&text, "(", 4000); /* depth is not stack */
    text_add(&text, "a@x.test");
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 0);
    text_free(&text);
}
END_TEST

START_TEST(test_too_many)
{
    struct text text = {0};
    repeat(&text, "a@x.test,", SUBMISSION_MAX_RECIPIENTS);
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 1);
    ck_assert_uint_eq(submission.recipient_count, SUBMISSION_MAX_RECIPIENTS);
    ck_assert_int_eq(add(FIELD_CC, "b@x.test"), 0);
    ck_assert_int_eq(problem.status, 413);
    ck_assert_str_eq(problem.where, "cc");
    ck_assert_uint_eq(submission.recipient_count, SUBMISSION_MAX_RECIPIENTS);
    text_free(&text);
}
END_TEST

START_TEST(test_too_many_bytes)
{
    struct text text = {0};
    repeat(&text, ", ", SUBMISSION_MAX_ADDRESS_BYTES / 2);
    ck_assert_int_eq(add(FIELD_TO, text_string(&text)), 1);
    ck_assert_int_eq(add(FIELD_BCC, "b@x.test"), 0);
    ck_assert_int_eq(problem.status, 413);
    ck_assert_str_eq(problem.where, "bcc");
    text_free(&text);
}
END_TEST

START_TEST(test_mailbox)
{
    ck_assert_int_eq(set(submission_set_mailbox, "Alice@B\xC3\xBC"
                                                 "cher.Test"),
                     1);
    ck_assert_str_eq(submission.mailbox, "alice@xn--bcher-kva.test");
    ck_assert_str_eq(submission.domain, "xn--bcher-kva.test");
    static const char *const bad[] = {"",  "alice", "Alice <a@x.test>", " a@x.test", "a@x.test,",
                                      "@", "a@b@c", "a@x.test "};
    for (size_t i = 0; i < countof(bad); i++) {
        ck_assert_msg(set(submission_set_mailbox, bad[i]) == 0, "%s", bad[i]);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, "mailbox");
    }
    ck_assert_str_eq(submission.mailbox, "alice@xn--bcher-kva.test");
}
END_TEST

static const struct {
    const char *text, *key; /* NULL: refused */
} ips[] = {
    {"203.0.113.7", "203.0.113.7"},
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
    {"2001:DB8:1:2::", "2001:db8:1:2::/64"},
    {"2001:db8::1", "2001:db8::/64"},
    {"2001:db8:0:0:1::", "2001:db8::/64"},
    {"::1", "::/64"},
    {"::ffff:203.0.113.7", "203.0.113.7"},
    {"::FFFF:cb00:7107", "203.0.113.7"},
    {"", NULL},
    {"203.0.113", NULL},
    {"203.0.113.07", NULL},
    {"203.0.113.256", NULL},
    {"203.0.113.7:80", NULL},
    {"[2001:db8::1]", NULL},
    {"fe80::1%eth0", NULL},
    {"2001:db8::1/64", NULL},
    {" 203.0.113.7", NULL},
    {"localhost", NULL},
    {"1111:2222:3333:4444:5555:6666:255.255.255.255:8888", NULL},
};

START_TEST(test_ip)
{
    int result = set(submission_set_ip, ips[_i].text);
    if (ips[_i].key != NULL) {
        ck_assert_msg(result == 1, "%s: %s", ips[_i].text, problem.text);
        ck_assert_str_eq(submission.ip, ips[_i].key);
    } else {
        ck_assert_msg(result == 0, "%s", ips[_i].text);
        ck_assert_int_eq(problem.status, 400);
        ck_assert_str_eq(problem.where, "ip");
        ck_assert_ptr_null(submission.ip);
    }
}
END_TEST

START_TEST(test_from)
{
    static const struct {
        const char *text, *from;
    } good[] = {
        {"Alice <Alice@X.test>", "alice@x.test"},
        {" a@x.test\t", "a@x.test"},
        {"\"A, B\" <a@x.test>", "a@x.test"},
        {"", NULL},
        {"<>", NULL},
        {" <> ", NULL},
    };
    static const char *const bad[] = {"alice",      "a@x.test, b@x.test", "a@x.test,",
                                      "a@x.test;",  "G: a@x.test;",       "G: a@x.test",
                                      ",a@x.test,b"};
    for (size_t i = 0; i < countof(good); i++) {
        ck_assert_msg(set(submission_set_from, good[i].text) == 1, "%s", good[i].text);
        ck_assert_pstr_eq(submission.from, good[i].from);
    }
    for (size_t i = 0; i < countof(bad); i++) {
        ck_assert_msg(set(submission_set_from, bad[i]) == 0, "%s", bad[i]);
        ck_assert_str_eq(problem.where, "from");
    }
    ck_assert_ptr_null(submission.from);
}
END_TEST

START_TEST(test_lang)
{
    static const char *const bad[] = {"", "de_DE", "de DE", "d\xC3\xA9",
                                      "x-aaaaaaaa-bbbbbbbb-cccccccc-ddddddd"};
    ck_assert_str_eq(submission.lang, "en");
    ck_assert_int_eq(set(submission_set_lang, "x-aaaaaaaa-bbbbbbbb-cccccccc-dddddd"), 1);
    ck_assert_int_eq(set(submission_set_lang, "az-AZ-09"), 1);
    ck_assert_int_eq(set(submission_set_lang, "pt-BR"), 1);
    for (size_t i = 0; i < countof(bad); i++) {
        ck_assert_msg(set(submission_set_lang, bad[i]) == 0, "%s", bad[i]);
        ck_assert_str_eq(problem.where, "lang");
    }
    ck_assert_str_eq(submission.lang, "pt-BR");
}
END_TEST

START_TEST(test_id)
{
    struct text text = {0};
    ck_assert_ptr_null(submission.id);
    repeat(&text, "i", SUBMISSION_MAX_ID_BYTES);
    ck_assert_int_eq(set(submission_set_id, text_string(&text)), 1);
    ck_assert_str_eq(submission.id, text_string(&text));
    text_add(&text, "i");
    ck_assert_int_eq(set(submission_set_id, text_string(&text)), 0);
    ck_assert_int_eq(problem.status, 413);
    ck_assert_int_eq(set(submission_set_id, ""), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_str_eq(problem.where, "id");
    ck_assert_uint_eq(strlen(submission.id), SUBMISSION_MAX_ID_BYTES);
    text_free(&text);
}
END_TEST

/* What people type into a webmail's form. */
static const char *const typed[] = {
    "bob@x.test",
    "Bob <bob@x.test>",
    "Bob<bob@x.test>",
    "\"Smith, Bob\" <bob@x.test>, \"Doe; Jane\" <jane@x.test>",
    "Dr. B. Smith <bob@x.test>; <jane@x.test>,",
    "Bob \"Bobby\" Smith <bob@x.test>",
    "\"bob@x.test\" <bob@x.test>",
    "\"Bob <bob@x.test>\" <bob@x.test>",
    "J\xC3\xBCrgen M\xC3\xBCller <j@b\xC3\xBC" "cher.test>, \"M\xC3\xBCller, J\xC3\xBCrgen\" <jm@x.test>",
    "j\xC3\xBCrgen@b\xC3\xBC" "cher.test",
    "bob@b\xC3\xBC" "cher.test\xE3\x80\x82",
    "\xE5\xB1\xB1\xE7\x94\xB0 <yamada@x.test>",
    "O'Neil <o'neil+tag@x.test>",
    "Team: bob@x.test, Jane <jane@x.test>;",
    "undisclosed-recipients:;",
    "g: a@x.test; (the end)",
    "Bob (at work) <bob@x.test>",
    "bob@x.test (Bob)",
    "\"john doe\"@x.test, \"a@b.test\"@x.test, \"c,d\"@x.test",
    "=?UTF-8?Q?J=C3=BCrgen?= <j@x.test>",
    "50%off@x.test, a!b@x.test",
};

START_TEST(test_typed_into_a_form)
{
    submission.form = true;
    ck_assert_msg(add(FIELD_TO, typed[_i]) == 1, "%s: %s: %s", typed[_i], problem.where,
                  problem.text);
}
END_TEST

/* What Roundcube could read otherwise; a list in JSON takes it. */
static const struct {
    const char *text, *where, *says;
} twofold[] = {
    {"a@x.test, \"\xC3\xA9\\\\\\\" <b@x.test>, x\" <d@own.test>", "to[1]", "a backslash in quotation marks"},
    {"\"\\\"x a@y.test b@z.test \"@own.test,\"\\\"y k\"@own.test", "to[0]", "a backslash in quotation marks"},
    {"\"B \\\"o\\\" b\" <bob@x.test>", "to[0]", "a backslash in quotation marks"},
    {"\"a\\b\": a@x.test;", "to[0]", "a backslash in quotation marks"},
    {"\"k;l\"@x.test", "to[0]", "a semicolon"},
    {"B <\"m<n\"@x.test>", "to[0]", "a semicolon, < or >"},
    {"\"o>p\"@x.test", "to[0]", "a semicolon, < or >"},
    {"\"q\tr\"@x.test", "to[0]", NULL},
    {"\"s  t\"@x.test", "to[0]", "a space"},
    {"\" u\"@x.test", "to[0]", "a space"},
    {"\"v \"@x.test", "to[0]", "a space"},
    {"\"\xC3\xBC\"@x.test", "to[0]", "not ASCII"},
    {"\"f@g.test\"@b\xC3\xBC.test", "to[0]", "xn--"},
    {"a@x.test (\", b@y.test, \") c@z.test", "to[0]", NULL},
    {"c@z.test (\")", "to[0]", "in a comment"},
    {"(a, b) c@z.test", "to[0]", "in a comment"},
    {"g: (a; b), c@z.test;", "to[0]", "in a comment"},
    {"(w)b@x.test", "to[0]", "a space before it and behind it"},
    {"()\xC3\xA9+e@x.test", "to[0]", "a space before it and behind it"},
    {"b@x.te\xCC\x81", "to[0]", "in < >"},
    {"b@x.te\xCC\x81.", "to[0]", "in < >"},
    {"\"Sales: l\" l\"<\"<a@x.test>", "to[0]", "needs a space"},
};

START_TEST(test_read_twofold)
{
    submission.form = true;
    ck_assert_msg(add(FIELD_TO, twofold[_i].text) == 0, "%s was taken", twofold[_i].text);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_msg(strcmp(problem.where, twofold[_i].where) == 0, "%s: %s", twofold[_i].text,
                  problem.where);
    if (twofold[_i].says != NULL)
        ck_assert_msg(strstr(problem.text, twofold[_i].says) != NULL, "%s: %s", twofold[_i].text,
                      problem.text);
}
END_TEST

/* As Postfix names recipients: without the quotation marks of the local part. */
START_TEST(test_unquoted_keys)
{
    static const struct {
        const char *text, *key;
    } keys[] = {
        {"Bob@X.test", "bob@x.test"},
        {"John Doe@x.test", "\"john doe\"@x.test"},
        {"a@b.test@x.test", "\"a@b.test\"@x.test"},
        {"a\"b\\c@x.test", "\"a\\\"b\\\\c\"@x.test"},
        {"\"a\"@x.test", "\"\\\"a\\\"\"@x.test"},
        {".a..b.@x.test", "\".a..b.\"@x.test"},
        {"J\xC3\x9CRGEN d@B\xC3\xBC.test", "\"j\xC3\xBCrgen d\"@xn--b-eha.test"},
        {"@x.test", NULL},
        {"a@", NULL},
        {"a", NULL},
        {"", NULL},
        {"a\x01@x.test", NULL},
        {"a\xFF@x.test", NULL},
        {"a@x y.test", NULL},
    };
    for (size_t i = 0; i < countof(keys); i++) {
        const char *key = NULL, *again = NULL;
        const char *text = keys[i].text;
        int expected = keys[i].key != NULL;
        ck_assert_msg(address_key_unquoted(arena, text, strlen(text), &key, &problem) == expected,
                      "%s: %s", text, problem.text);
        if (!expected)
            continue;
        ck_assert_str_eq(key, keys[i].key);
        ck_assert_int_eq(address_key(arena, key, strlen(key), &again, &problem), 1);
        ck_assert_str_eq(again, key);
    }
}
END_TEST

START_TEST(test_keys)
{
    const char *key = NULL;
    ck_assert_int_eq(address_domain_key(arena,
                                        "B\xC3\xBC"
                                        "cher.Test.",
                                        13, &key, &problem),
                     1);
    ck_assert_str_eq(key, "xn--bcher-kva.test");
    ck_assert_int_eq(address_domain_key(arena, "", 0, &key, &problem), 0);
    ck_assert_int_eq(address_domain_key(arena, "a@b.test", 8, &key, &problem), 0);
    ck_assert_int_eq(address_key(arena, "A@b.test", 8, &key, &problem), 1);
    ck_assert_str_eq(key, "a@b.test");
    ck_assert_int_eq(address_key(arena, "A@b.test>", 9, &key, &problem), 0);
    ck_assert_str_eq(key, "a@b.test");
    ck_assert_int_eq(problem.status, 400);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("submission");
    TCase *cases = tcase_create("submission");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, test_good_list, 0, (int)countof(good_lists));
    tcase_add_loop_test(cases, test_bad_entry, 0, (int)countof(bad_entries));
    tcase_add_loop_test(cases, test_bad_bytes, 0, (int)countof(bad_bytes));
    tcase_add_test(cases, test_fields);
    tcase_add_test(cases, test_one_recipient);
    tcase_add_test(cases, test_quote_is_cut);
    tcase_add_test(cases, test_lengths_of_addresses);
    tcase_add_test(cases, test_lengths_of_entries);
    tcase_add_test(cases, test_too_many);
    tcase_add_test(cases, test_too_many_bytes);
    tcase_add_test(cases, test_mailbox);
    tcase_add_loop_test(cases, test_ip, 0, (int)countof(ips));
    tcase_add_test(cases, test_from);
    tcase_add_test(cases, test_lang);
    tcase_add_test(cases, test_id);
    tcase_add_test(cases, test_keys);
    tcase_add_test(cases, test_unquoted_keys);
    tcase_add_loop_test(cases, test_typed_into_a_form, 0, countof(typed));
    tcase_add_loop_test(cases, test_read_twofold, 0, countof(twofold));
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
