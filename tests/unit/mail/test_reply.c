/* Classes of outcomes, sites, and words without addresses. */
#include <check.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "tests/unit/mail/redacted.h"

/* ---- classes ---------------------------------------------------------------------------- */

static const char *class_of(const char *recipient, const char *dsn, const char *failure)
{
    struct mail_event event;
    bool malformed = false;
    struct text body = {0};
    text_addf(&body, "868E3A74626: to=<%s>, relay=none, delay=0, delays=0/0/0/0, dsn=%s, "
              "status=%s (%s)",
              recipient, dsn, dsn[0] == '4' ? "deferred" : "bounced", failure);
    ck_assert_int_eq(mail_log_event((struct mail_view){"smtp", 4},
                                    (struct mail_view){body.data, body.length}, &event, &malformed),
                     1);
    const char *name = reply_class_names[reply_class(&event)];
    text_free(&body);
    return name;
}

#define HOST "host mx.x.test[192.0.2.7] said: "
#define AT_MAIL " (in reply to MAIL FROM command)"
#define AT_RCPT " (in reply to RCPT TO command)"
#define AT_END " (in reply to end of DATA command)"

static const struct {
    const char *dsn, *failure, *class;
} answers[] = {
    /* the enhanced code tells it */
    {"5.1.1", HOST "550 5.1.1 x" AT_RCPT, "address_unknown"},
    {"4.1.1", HOST "450 4.1.1 unverified" AT_RCPT, "address_unknown"},
    {"5.1.3", HOST "501 5.1.3 x" AT_RCPT, "address_unknown"},
    {"5.1.6", HOST "551 5.1.6 moved" AT_RCPT, "address_unknown"},
    {"5.1.2", HOST "550 5.1.2 x" AT_RCPT, "domain_unroutable"},
    {"5.1.10", HOST "556 5.1.10 x" AT_RCPT, "domain_unroutable"},
    {"5.1.0", "Domain x.test does not accept mail (nullMX)", "domain_unroutable"},
    {"5.4.4", "unable to look up host x.test: Name or service not known", "domain_unroutable"},
    {"5.4.6", "mail for x.test loops back to myself", "domain_unroutable"},
    {"4.2.2", HOST "452 4.2.2 x" AT_RCPT, "mailbox_full"},
    {"5.2.2", HOST "552 5.2.2 x" AT_END, "mailbox_full"},
    {"5.2.1", HOST "550 5.2.1 x" AT_RCPT, "mailbox_off"},
    {"4.2.1", HOST "450 4.2.1 x" AT_RCPT, "mailbox_off"},
    {"4.2.1", HOST "450 4.2.1 is receiving mail at a rate that prevents more" AT_RCPT, "rate"},
    {"5.7.13", HOST "525 5.7.13 x" AT_RCPT, "mailbox_off"},
    {"5.7.20", HOST "550 5.7.20 x" AT_END, "not_authenticated"},
    {"5.7.23", HOST "550 5.7.23 x" AT_MAIL, "not_authenticated"},
    {"5.7.25", HOST "550 5.7.25 x" AT_MAIL, "not_authenticated"},
    {"5.7.26", HOST "550 5.7.26 x" AT_END, "not_authenticated"},
    {"4.7.26", HOST "421 4.7.26 x" AT_END, "not_authenticated"},
    {"4.1.8", HOST "450 4.1.8 Sender address rejected" AT_RCPT, "not_authenticated"},
    {"5.2.3", HOST "552 5.2.3 x" AT_END, "too_big"},
    {"5.3.4", HOST "552 5.3.4 x" AT_MAIL, "too_big"},
    {"4.7.28", HOST "450 4.7.28 x" AT_END, "rate"},
    {"4.3.2", HOST "421 4.3.2 x" AT_RCPT, "rate"},
    {"4.5.3", HOST "452 4.5.3 x" AT_RCPT, "rate"},
    {"4.4.2", "lost connection with a[::1] while sending RCPT TO", "unreachable"},
    {"4.4.1", "connect to a[::1]:25: Connection timed out", "unreachable"},
    {"4.4.3", "Host or domain name not found. Name service error for name=x.test type=MX: Host not "
              "found, try again", "unreachable"},
    {"4.4.2", "delivery temporarily suspended: connect to a[::1]:25: No route to host",
     "unreachable"},
    {"4.3.1", HOST "452 4.3.1 Insufficient system storage" AT_MAIL, "unreachable"},
    {"4.7.5", "Cannot start TLS: handshake failure", "unreachable"},
    {"4.4.7", HOST "451 4.4.7 x" AT_RCPT, "expired"},
    {"5.6.7", HOST "550 5.6.7 x" AT_MAIL, "other"},
    /* Postfix logs another one where the class does not fit */
    {"5.0.0", HOST "550 4.1.2 x" AT_RCPT, "domain_unroutable"},
    {"5.0.0", HOST "550-4.2.2 x" AT_RCPT, "mailbox_full"},
    /* Exchange Online for an address that its directory does not have */
    {"5.4.1", HOST "550 5.4.1 Recipient address rejected: Access denied." AT_RCPT,
     "address_unknown"},
    {"5.4.1", HOST "550 5.4.1 x" AT_RCPT, "unreachable"},
    /* left open: words */
    {"5.0.0", HOST "550 No such user here" AT_RCPT, "address_unknown"},
    {"5.7.1", HOST "550 5.7.1 <b@x.test>: Recipient address rejected: User unknown" AT_RCPT,
     "address_unknown"},
    {"5.0.0", HOST "550 Unrouteable address" AT_RCPT, "address_unknown"},
    {"5.7.1", HOST "550 5.7.1 Relaying denied" AT_RCPT, "domain_unroutable"},
    {"5.0.0", HOST "552 Mailbox is full" AT_RCPT, "mailbox_full"},
    {"5.5.0", HOST "550 5.5.0 The account has been suspended" AT_RCPT, "mailbox_off"},
    {"5.7.1", HOST "550 5.7.1 SPF check failed" AT_MAIL, "not_authenticated"},
    {"4.7.1", HOST "450 4.7.1 Client host rejected: cannot find your reverse hostname" AT_RCPT,
     "not_authenticated"},
    {"5.7.1", HOST "550 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org" AT_RCPT,
     "our_reputation"},
    {"4.7.0", "host mx.x.test[192.0.2.7] refused to talk to me: 421 4.7.0 on our block list",
     "our_reputation"},
    {"5.0.0", "host mx.x.test[192.0.2.7] refused to talk to me: 554 no service", "our_reputation"},
    {"5.7.1", HOST "554 5.7.1 a URL in it is listed in a blocklist" AT_END, "content_refused"},
    {"5.7.1", HOST "550 5.7.1 x" AT_END, "content_refused"},
    {"5.0.0", HOST "554 x" AT_END, "content_refused"},
    {"5.6.0", HOST "550 5.6.0 x" AT_END, "content_refused"},
    {"5.0.0", HOST "552 message size exceeds maximum" AT_MAIL, "too_big"},
    {"5.0.0", HOST "552 x" AT_END, "too_big"},
    {"4.7.0", HOST "421 4.7.0 Messages from 203.0.113.9 temporarily deferred" AT_MAIL, "rate"},
    {"4.0.0", HOST "421 x" AT_RCPT, "rate"},
    {"4.7.1", HOST "450 4.7.1 too many connections from your host" AT_RCPT, "rate"},
    {"4.7.1", HOST "450 4.7.1 greylisted" AT_RCPT, "greylisted"},
    {"4.7.1", HOST "451 4.7.1 try again in 300 s" AT_RCPT, "greylisted"},
    {"4.2.0", HOST "450 4.2.0 x" AT_RCPT, "greylisted"},
    {"4.0.0", HOST "450 x" AT_RCPT, "greylisted"},
    {"4.7.1", HOST "450 4.7.1 your ip is on a blacklist" AT_RCPT, "our_reputation"},
    {"4.7.1", HOST "451 4.7.1 x" AT_END, "content_refused"},
    {"4.3.0", HOST "451 4.3.0 internal error" AT_END, "unreachable"},
    /* nothing tells it */
    {"5.7.1", HOST "550 5.7.1 x" AT_RCPT, "other"},
    {"5.0.0", HOST "550 x" AT_RCPT, "other"},
    {"5.7.10", HOST "530 5.7.10 x" AT_MAIL, "other"},
    {"5.0.0", "x", "other"},
    {"4.3.0", "temporary failure of a command", "other"},
};

START_TEST(test_class)
{
    ck_assert_str_eq(class_of("b@x.test", answers[_i].dsn, answers[_i].failure), answers[_i].class);
}
END_TEST

/* Who chooses a recipient does not choose the class. */
START_TEST(test_class_of_telling_recipients)
{
    static const char *const recipients[] = {"dnsbl@x.test", "no.such.user@x.test",
                                             "\"mailbox full\"@x.test",
                                             "greylisted1@spamhaus.test"};
    for (size_t i = 0; i < countof(recipients); i++) {
        struct text failure = {0};
        text_addf(&failure, HOST "550 5.7.1 <%s> %s: refused" AT_RCPT, recipients[i],
                  recipients[i]);
        ck_assert_str_eq(class_of(recipients[i], "5.7.1", text_string(&failure)), "other");
        text_free(&failure);
    }
}
END_TEST

START_TEST(test_class_of_expired)
{
    struct mail_event event = {.kind = MAIL_EXPIRED};
    ck_assert_int_eq(reply_class(&event), REPLY_EXPIRED);
}
END_TEST

/* ---- sites ------------------------------------------------------------------------------ */

static const struct {
    const char *host, *address, *site;
} sites[] = {
    {"mx1.mail.example.test", "192.0.2.7", "example.test"},
    {"gmail-smtp-in.l.google.com", "2001:db8::1", "google.com"},
    {"MX00.GMX.de", "192.0.2.7", "gmx.de"},
    {"mx.wp.pl", "192.0.2.7", "wp.pl"},
    {"mx.a.example.co.uk", "192.0.2.7", "example.co.uk"},
    {"example.com.br", "192.0.2.7", "example.com.br"},
    {"co.uk", "192.0.2.7", "co.uk"},
    {"mx.co.com", "192.0.2.7", "co.com"},
    {"example.test.", "192.0.2.7", "example.test"},
    {"localhost", "127.0.0.1", "localhost"},
    {"192.0.2.7", "192.0.2.7", "192.0.2.7"},
    {"unknown", "192.0.2.7", "192.0.2.7"},
    {"2001:DB8::1", "2001:db8::1", "2001:db8::1"},
    {"", "192.0.2.7", "192.0.2.7"},
    {"", "", ""},
    {".", "", ""},
    {"..", "", ""},
    {".de", "", "de"},
    {"a b.test", "", ""},
    {"mx.caf\xE9.test", "192.0.2.7", ""},
};

START_TEST(test_site)
{
    char site[REPLY_SITE_SIZE];
    struct mail_view host = {sites[_i].host, strlen(sites[_i].host)};
    struct mail_view address = {sites[_i].address, strlen(sites[_i].address)};
    ck_assert_uint_eq(reply_site(host, address, site), strlen(sites[_i].site));
    ck_assert_str_eq(site, sites[_i].site);
}
END_TEST

START_TEST(test_long_site)
{
    char host[400], site[REPLY_SITE_SIZE];
    memset(host, 'a', sizeof host);
    ck_assert_uint_eq(reply_site((struct mail_view){host, 400}, (struct mail_view){0}, site), 0);
    ck_assert_uint_eq(reply_site((struct mail_view){host, 128}, (struct mail_view){0}, site), 0);
    ck_assert_uint_eq(reply_site((struct mail_view){host, 127}, (struct mail_view){0}, site), 127);
    ck_assert_uint_eq(strlen(site), 127);
}
END_TEST

/* ---- words ------------------------------------------------------------------------------ */

/* Copies in blocks of their size. */
static const char *redact(const char *text, size_t length, const char *recipient)
{
    static char words[REPLY_WORDS_MAX + 1];
    char *text_copy = malloc(length + 1), *recipient_copy = malloc(strlen(recipient) + 1);
    ck_assert(text_copy != NULL && recipient_copy != NULL);
    text_copy = realloc(text_copy, length > 0 ? length : 1);
    memcpy(text_copy, text, length);
    memcpy(recipient_copy, recipient, strlen(recipient));
    struct mail_view recipients[] = {{recipient_copy, strlen(recipient)}, {0}};
    size_t written = reply_redact((struct mail_view){text_copy, length}, recipients, 2, words);
    ck_assert_uint_eq(written, strlen(words));
    ck_assert_uint_le(written, REPLY_WORDS_MAX);
    ck_assert(g_utf8_validate(words, -1, NULL));
    for (const char *at = words; *at != '\0'; at++)
        ck_assert((unsigned char)*at >= ' ' && *at != 0x7F);
    free(text_copy);
    free(recipient_copy);
    return words;
}

static const struct {
    const char *recipient, *text, *words;
} texts[] = {
    {"bob@x.test", "550 5.1.1 <bob@x.test>: Recipient address rejected: User unknown",
     "550 5.1.1 <(recipient)>: Recipient address rejected: User unknown"},
    {"bob@x.test", "550 <BOB@X.TEST> and bob@x.test, Bob.", "550 <(recipient)> and (recipient), "
                                                           "(recipient)."},
    {"bob@x.test", "550 <ann@y.test>", "550 <(address)>"},
    {"bob@x.test", "550 ann@y.test is not bobby@y.test", "550 (address) is not (address)"},
    {"bob@x.test", "550 <ann>: no", "550 <(address)>: no"},
    {"bob@x.test", "550 <bob>: no", "550 <(recipient)>: no"},
    {"bob@x.test", "550 bobby bob_bob -bob- abob", "550 bobby (recipient)_(recipient) "
                                                   "-(recipient)- abob"},
    {"bob@x.test", "550 mx.x.test [192.0.2.7] [2001:db8::1] 5.1.1", "550 mx.x.test [192.0.2.7] "
                                                                  "[2001:db8::1] 5.1.1"},
    {"\"b o\\\"b\"@x.test",
     "550 <\"b o\\\"b\"@x.test> \"b o\\\"b\"@x.test b o\"b b%20o%22b%40x.test",
     "550 <(recipient)> (recipient) (recipient) (recipient)"},
    {"bob@x.test", "550 \"a n\\\"n\"@y.test no", "550 (address) no"},
    {"bob@x.test", "550 https://y.test/?e=bob%40x.test&n=1 see", "550 https:(recipient) see"},
    {"bob@x.test", "550 https://y.test/?e=ann%40y.test see", "550 https:(address) see"},
    {"bob@x.test", "550 https://y.test/%2Fbob/ see", "550 https://y.test/%2F(recipient)/ see"},
    {"bob@x.test", "550 mailto:ann@y.test see", "550 mailto:(address) see"},
    {"bob@x.test", "550 bounces+bob=x.test@l.test", "550 (recipient)"},
    {"bob@x.test", "550 bounces+ann=y.test@l.test", "550 (address)"},
    {"bob@x.test", "550 bob=x.test gone", "550 (recipient) gone"},
    {"bob+news@x.test", "550 bob over quota", "550 (recipient) over quota"},
    {"v1%y.test@x.test", "550 <v1@y.test> v1%y.test", "550 <(recipient)> (recipient)"},
    {"johndoeer@x.test", "550 xjohndoeerx", "550 x(recipient)x"},
    {"j.doe@x.test", "550 xj.doex", "550 x(recipient)x"},
    {"abc+longname@x.test", "550 longnameabc", "550 (recipient)"},
    {"bob@x.test", "550 <\"bob", "550 <(recipient)"},
    {"bob@x.test", "550 <ann@y.t", "550 <(address)"},
    {"bob@x.test", "550 see <https://y.test/help> <>", "550 see <https://y.test/help> <>"},
    {"bob@x.test", "550 @ home, max=40 a day", "550 @ home, max=40 a day"},
    {"bob@x.test", "550 ann=40y.test", "550 (address)"},
    {"bob@x.test", "250 a640c23a62f3a-aa54c2d5b1csi1234567b.123 - gsmtp", "250 … - gsmtp"},
    {"bob@x.test", "550 mail-eopbgr70053.outbound.y.test 868E3A74626",
     "550 mail-eopbgr70053.outbound"
                                                                     ".y.test …"},
    {"bob@x.test", "550 RFC5321 SMTPUTF8 1234567890 abcdefghijklm",
     "550 RFC5321 SMTPUTF8 1234567890 "
                                                                   "abcdefghijklm"},
    {"bob@x.test", "caf\xC3\xA9 caf\xE9 \x01\x7F\xC2\x85 \xE2\x80\x8B.", "café caf?      ."},
    {"bob@x.test", "bo\x01" "b bo\xC2\xAD" "b", "bo b bo b"},
    {"", "550 <ann@y.test>", "550 <(address)>"},
    {"@", "550 @ x", "550 @ x"},
    {"bob", "550 bob", "550 (recipient)"},
    {"b\xC3\xB6" "b@x.test", "550 xb\xC3\xB6" "bx b%C3%B6b", "550 x(recipient)x (recipient)"},
    {"bob@x.test", "", ""},
};

START_TEST(test_redact)
{
    ck_assert_str_eq(redact(texts[_i].text, strlen(texts[_i].text), texts[_i].recipient),
                     texts[_i].words);
}
END_TEST

START_TEST(test_redact_long)
{
    struct text text = {0};
    for (int i = 0; i < 148; i++)
        text_add(&text, "é");
    text_add(&text, "1234");
    ck_assert_str_eq(redact(text.data, text.length, "bob@x.test"), text.data);
    text_add(&text, "5");
    ck_assert_uint_eq(strlen(redact(text.data, text.length, "bob@x.test")), 300);
    text_clear(&text);
    text_add(&text, "550 ");
    while (text.length < 290)
        text_add(&text, "word ");
    text_add(&text, "bob@x.test");
    ck_assert_ptr_null(strstr(redact(text.data, text.length, "bob@x.test"), "bo"));
    text_clear(&text);
    while (text.length < 2050) /* each becomes "…" */
        text_add(&text, "a1b2c3d4e5f6 ");
    memcpy(text.data + 2045, " john.d", 5);
    ck_assert_ptr_null(strstr(redact(text.data, 2048, "john.doe@x.test"), "john"));
    text_free(&text);
}
END_TEST

/* ---- at random -------------------------------------------------------------------------- */

static unsigned pick(unsigned below) { return (unsigned)rand() % below; }

/* Letters, now and then digits and what else a local part may have. */
static void random_local(char *local)
{
    static const char rest[] = "0123456789.-_+='!#$%&*/?^`{|}~";
    size_t length = 1 + pick(14);
    for (size_t i = 0; i < length; i++)
        local[i] = pick(5) > 0 ? (char)('a' + pick(26)) : rest[pick(sizeof rest - 1)];
    local[length] = '\0';
}

static void add_coded(struct text *text, const char *local, char sign)
{
    for (; *local != '\0'; local++)
        if (isalnum((unsigned char)*local))
            text_add_char(text, *local);
        else
            text_addf(text, "%c%02X", sign, *local);
}

/* The address in one of many writings. */
static void add_written(struct text *text, const char *local, const char *domain)
{
    switch (pick(10)) {
    case 0: text_addf(text, "<%s@%s>", local, domain); break;
    case 1: text_addf(text, "%s@%s", local, domain); break;
    case 2: text_addf(text, "<%s>", local); break;
    case 3: text_addf(text, " %s ", local); break;
    case 4: text_addf(text, "\"%s\"@%s", local, domain); break;
    case 5: text_addf(text, "https://y.test/?e=%s%%40%s&x=1", local, domain); break;
    case 6: text_addf(text, "b-%s=%s@lists.test", local, domain); break;
    case 7: add_coded(text, local, '%'); break;
    case 8: text_addf(text, "<%s@%s", local, domain); break;
    default: text_addf(text, "mailto:%s@%s", local, domain); break;
    }
}

START_TEST(test_redact_at_random)
{
    static const char *const pieces[] = {
        "550 5.1.1 ", "user unknown ", "mailbox full", "<", ">", "\"", "(", ")", ", ", ": ", " ",
        "@", "=", "%40", "\\", "caf\xC3\xA9", "\xE9", "\x01", "mx.y.test", "a1b2c3d4e5f6 ",
        "ann@y.test ",
    };
    struct text text = {0};
    char local[32], domain[32], recipient[80];
    srand(7);
    for (int round = 0; round < 50000; round++) {
        text_clear(&text);
        random_local(local);
        snprintf(domain, sizeof domain, "d%u.test", pick(1000));
        snprintf(recipient, sizeof recipient, "%s@%s", local, domain);
        for (unsigned i = 1 + pick(8); i > 0; i--) {
            text_add(&text, pieces[pick(countof(pieces))]);
            if (pick(3) == 0)
                add_written(&text, local, domain);
        }
        const char *words = redact(text_string(&text), text.length, recipient);
        ck_assert_msg(!redacted_leaks(words, local), "%s in: %s\nof: %s", local, words, text.data);
        ck_assert_msg(strstr(words, "ann@") == NULL, "%s\nof: %s", words, text.data);
    }
    text_free(&text);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("reply");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_class, 0, (int)countof(answers));
    tcase_add_test(tests, test_class_of_telling_recipients);
    tcase_add_test(tests, test_class_of_expired);
    tcase_add_loop_test(tests, test_site, 0, (int)countof(sites));
    tcase_add_test(tests, test_long_site);
    tcase_add_loop_test(tests, test_redact, 0, (int)countof(texts));
    tcase_add_test(tests, test_redact_long);
    tcase_add_test(tests, test_redact_at_random);
    Suite *suite = suite_create("reply");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
