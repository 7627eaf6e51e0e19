/* What a parked draft is sent as, and which drafts are left to the webmail. */
#include "parked/draft.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "parked/mail_link.h"

#define MAILBOX "alice@example.test"
#define ID "parked.0123456789abcdef0123456789abcdef.1763780000000.0"
#define NOW INT64_C(1763790000000)
#define MOMENT "Date: Sat, 22 Nov 2025 05:40:00 +0000\r\n"
#define FROM "From: Alice <alice@example.test>\r\n"
#define TO "To: bob@example.test\r\n"

static struct arena *arena;
static struct submission submission;
static struct draft draft;
static struct problem problem;

static void begin(void)
{
    address_init();
    arena = arena_new();
}

static void end(void)
{
    draft_free(&draft);
    arena_free(&arena);
}

static int reads_bytes(const char *text, size_t length)
{
    draft_free(&draft);
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    ck_assert_int_eq(submission_set_id(&submission, ID, strlen(ID), &problem), 1);
    ck_assert_int_eq(submission_set_mailbox(&submission, MAILBOX, strlen(MAILBOX), &problem), 1);
    return draft_read(text, length, NOW, &submission, &draft, &problem);
}

static int reads(const char *text) { return reads_bytes(text, strlen(text)); }

START_TEST(fields_of_drafts_go_and_bcc_stays_at_home)
{
    ck_assert_int_eq(reads("X-Sendguard-Parked: 0123\r\n"
                           "Date: Fri, 1 Jan 2021 10:00:00 +0100\r\n" FROM TO
                           "Bcc: carol@example.test,\r\n dave@example.test\r\n"
                           "X-Draft-Info: type=reply;\r\n uid=7\r\nSubject: a\r\n\tb\r\n"
                           "\r\nBcc: in the body\r\n.\r\n"), 1);
    ck_assert_str_eq(text_string(&draft.handed), FROM TO "Subject: a\r\n\tb\r\n" MOMENT
                                                 "\r\nBcc: in the body\r\n.\r\n");
    ck_assert_str_eq(text_string(&draft.sent),
                     FROM TO "Bcc: carol@example.test,\r\n dave@example.test\r\n"
                             "Subject: a\r\n\tb\r\nX-Sendguard-Sent: " ID "\r\n" MOMENT
                             "\r\nBcc: in the body\r\n.\r\n");
    ck_assert_str_eq(draft.from, MAILBOX);
    ck_assert_uint_eq(draft.to_count, 3);
    ck_assert_str_eq(draft.to[2], "dave@example.test");
    ck_assert_uint_eq(submission.recipient_count, 3);
    ck_assert_int_eq(submission.recipients[2].field, FIELD_BCC);
}
END_TEST

/* Each is handed over once, as it is written: so many as are counted. */
START_TEST(recipients_as_they_are_written)
{
    ck_assert_int_eq(reads(FROM "To: \"Bob, a friend\" <Bob@Example.test>, bob@example.test\r\n"
                                "CC: =?UTF-8?Q?J=C3=BCrgen?= <j@b\xC3\xBC" "cher.test>\r\n"
                                "Bcc: bob@example.test, All: x@a.test, y@a.test;\r\n\r\n"), 1);
    static const char *const to[] = {"Bob@Example.test", "bob@example.test",
                                     "j@xn--bcher-kva.test", "x@a.test", "y@a.test"};
    ck_assert_uint_eq(draft.to_count, countof(to));
    for (size_t i = 0; i < countof(to); i++)
        ck_assert_str_eq(draft.to[i], to[i]);
    ck_assert_uint_eq(submission.recipient_count, 6);
}
END_TEST

START_TEST(what_the_webmail_has_to_send)
{
    static const char *const texts[] = {
        "",
        FROM TO,
        FROM TO "Subject: x\r\n",
        FROM TO "Subject: x\n\r\n",
        FROM TO "Subject: a\rb\r\n\r\n",
        FROM TO "no field\r\n\r\n",
        " goes on\r\n" FROM TO "\r\n",
        FROM "\r\n",
        TO "\r\n",
        FROM FROM TO "\r\n",
        "From: <>\r\n" TO "\r\n",
        "From: alice@example.test, bob@example.test\r\n" TO "\r\n",
        FROM "To: undisclosed-recipients:;\r\n\r\n",
        FROM "To: bob\r\n\r\n",
        FROM "To: \"bob smith\"@example.test\r\n\r\n",
        FROM "To: b\xC3\xB6" "b@example.test\r\n\r\n",
    };
    for (size_t i = 0; i < countof(texts); i++) {
        problem = (struct problem){0};
        ck_assert_msg(reads(texts[i]) == 0, "number %zu", i);
        ck_assert_msg(problem.text[0] != '\0', "number %zu", i);
    }
    static const char with_nul[] = FROM TO "Subject: a\0b\r\n\r\n";
    ck_assert_int_eq(reads_bytes(with_nul, sizeof with_nul - 1), 0);
}
END_TEST

/* A mail server that ends a message at such a line would read commands behind it. */
START_TEST(bodies_of_whole_lines_alone)
{
    ck_assert_int_eq(reads(FROM TO "\r\n.\r\n..\r\nno end"), 1);
    ck_assert_int_eq(reads(FROM TO "\r\na\n.\r\n"), 0);
    ck_assert_int_eq(reads(FROM TO "\r\na\r.\r\n"), 0);
    ck_assert_int_eq(reads(FROM TO "\r\na\r\r\n.\r\n"), 0);
    ck_assert_int_eq(reads(FROM TO "\r\na\r"), 0);
    static const char with_nul[] = FROM TO "\r\na\0b\r\n";
    ck_assert_int_eq(reads_bytes(with_nul, sizeof with_nul - 1), 0);
}
END_TEST

/* However many fields there are, each byte of them costs but a few of memory. */
START_TEST(many_fields)
{
    enum { RECIPIENTS = 9999, FIELDS = 20 * 1000 };
    freed_by(text_free) struct text text = {0};
    text_add(&text, FROM TO);
    for (int i = 1; i < RECIPIENTS; i++)
        text_addf(&text, "Cc: u%d@example.test\r\n", i);
    for (int i = 0; i < FIELDS; i++)
        text_add(&text, "Bcc:\r\n");
    text_add(&text, "\r\n");
    struct rusage before, after;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    ck_assert_int_eq(reads_bytes(text.data, text.length), 1);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
    ck_assert_uint_eq(draft.to_count, RECIPIENTS);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 512 * 1024); /* kilobytes */
    text.data[text.length - 2] = 'X';
    text.data[text.length - 1] = ':';
    while (text.length < 2 * 1024 * 1024)
        text_add(&text, "Subject: x\r\n");
    text_add(&text, "\r\n");
    ck_assert_int_eq(reads_bytes(text.data, text.length), 0);
    ck_assert_int_eq(problem.status, 413);
}
END_TEST

/* However it is cut, nothing is read beyond its end, and it is read or not. */
START_TEST(cut_anywhere)
{
    static const char whole[] =
        FROM TO "Cc: carol@example.test,\r\n dave@example.test\r\n\r\nHello.\r\n";
    size_t header = (size_t)(strstr(whole, "\r\n\r\n") + 4 - whole);
    for (size_t length = 0; length < sizeof whole; length++) {
        char *copy = malloc(length + 1);
        memcpy(copy, whole, length);
        int read = reads_bytes(copy, length);
        ck_assert_int_eq(read, length >= header && whole[length - 1] != '\r');
        free(copy);
    }
}
END_TEST

/* The password goes unprotected to this machine alone. */
START_TEST(where_the_password_may_go)
{
    static const struct {
        const char *imap, *smtp;
        int allowed;
    } cases[] = {{"imap://127.0.0.1:143", "smtp://localhost:587", 1},
                 {"imap://[::1]", "smtp://127.1.2.3", 1},
                 {"imaps://mail.example.test", "smtps://mail.example.test:465", 1},
                 {"imap://mail.example.test", "smtp://127.0.0.1", 0},
                 {"imap://127.0.0.1", "smtp://192.0.2.1:587", 0},
                 {"imap://localhost.example.test", "smtp://127.0.0.1", 0},
                 {"imap://127.example.test", "smtp://127.0.0.1", 0},
                 {"imap://127.0.0.1@mail.example.test", "smtp://127.0.0.1", 0},
                 {"", "smtp://127.0.0.1", 0}};
    for (size_t i = 0; i < countof(cases); i++) {
        freed_by(free_string) char *imap = xstrdup(cases[i].imap);
        freed_by(free_string) char *smtp = xstrdup(cases[i].smtp);
        char user[] = "sendguard";
        const struct settings settings = {.parked_imap = imap, .parked_smtp = smtp,
                                          .parked_master_user = user};
        ck_assert_msg(mail_link_requires(&settings, &problem) == cases[i].allowed, "%s %s", imap,
                      smtp);
    }
}
END_TEST

/* What comes from this machine has to be known as the webmail's, or counts twice. */
START_TEST(where_it_comes_from)
{
    static const struct {
        const char *smtp, *host;
        size_t warned;
    } cases[] = {{"smtp://127.0.0.1:587", "127.0.0.1", 0},
                 {"smtps://localhost", "127.0.0.0/8", 0},
                 {"smtp://[::1]", "::1", 0},
                 {"smtp://127.0.0.1:587", "192.0.2.1", 1},
                 {"smtps://localhost", "192.0.2.1", 1},
                 {"smtps://mail.example.test", "192.0.2.1", 0},
                 {"", "192.0.2.1", 0},
                 {"smtps://mail.example.test", NULL, 1}};
    for (size_t i = 0; i < countof(cases); i++) {
        freed_by(free_string) char *smtp = xstrdup(cases[i].smtp);
        freed_by(free_string) char *host = cases[i].host != NULL ? xstrdup(cases[i].host) : NULL;
        struct faults warnings = {0};
        const struct settings settings = {.parked_smtp = smtp,
                                          .mta_webmail_hosts = {&host, host != NULL}};
        mail_link_warnings(&settings, &warnings);
        ck_assert_msg(warnings.count == cases[i].warned, "%zu", i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parked draft");
    TCase *cases = tcase_create("draft");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, fields_of_drafts_go_and_bcc_stays_at_home);
    tcase_add_test(cases, recipients_as_they_are_written);
    tcase_add_test(cases, what_the_webmail_has_to_send);
    tcase_add_test(cases, bodies_of_whole_lines_alone);
    tcase_add_test(cases, many_fields);
    tcase_add_test(cases, cut_anywhere);
    tcase_add_test(cases, where_the_password_may_go);
    tcase_add_test(cases, where_it_comes_from);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
