/* LMTP: replies, the bytes of messages, bounds. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "feedback/lmtp.h"

static struct lmtp session;
static struct text messages; /* each in brackets */
static size_t longest;
static int kept;

static int keep(void *context, const char *message, size_t length)
{
    (void)context;
    longest = length;
    text_add_char(&messages, '[');
    if (length < 100)
        text_add_bytes(&messages, message, length);
    text_add_char(&messages, ']');
    return kept;
}

static void begin(void)
{
    kept = 1;
    text_clear(&messages);
    lmtp_begin(&session, keep, NULL);
}

static void end(void)
{
    lmtp_end(&session);
    text_free(&messages);
}

/* In pieces of that size, each a heap block. */
static void say_pieces(const char *text, size_t length, size_t piece)
{
    for (size_t at = 0; at < length; at += piece) {
        size_t some = length - at < piece ? length - at : piece;
        char *copy = malloc(some);
        memcpy(copy, text + at, some);
        lmtp_take(&session, copy, some);
        free(copy);
    }
}

static const char *reply_to(const char *text)
{
    text_clear(&session.out);
    say_pieces(text, strlen(text), 1 << 16);
    return text_string(&session.out);
}

#define HELLO "LHLO mx.test\r\n"
#define HELLO_REPLY                                                        \
    "250-sendguard-feedback\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE\r\n" \
    "250 ENHANCEDSTATUSCODES\r\n"
#define TO_TWO "MAIL FROM:<>\r\nRCPT TO:<fbl@a.test>\r\nrcpt to: <abuse@a.test> NOTIFY=NEVER\r\n"

START_TEST(test_one_message)
{
    ck_assert_str_eq(text_string(&session.out), "220 sendguard-feedback LMTP\r\n");
    ck_assert_str_eq(reply_to(HELLO), HELLO_REPLY);
    ck_assert_str_eq(reply_to(TO_TWO "DATA\r\n"),
                     "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"
                     "354 End with <CR><LF>.<CR><LF>\r\n");
    ck_assert_str_eq(reply_to("a\r\n.\r\n"), "250 2.0.0 Ok: kept\r\n250 2.0.0 Ok: kept\r\n");
    ck_assert_str_eq(text_string(&messages), "[a\r\n]");
    ck_assert_str_eq(reply_to("DATA\r\n"), "503 5.5.1 DATA: expected RCPT first\r\n");
    ck_assert_str_eq(reply_to("QUIT\r\n"), "221 2.0.0 Bye\r\n");
    ck_assert_int_eq(session.state, LMTP_ENDED);
    ck_assert_str_eq(reply_to("NOOP\r\n"), "");
}
END_TEST

START_TEST(test_store_away)
{
    kept = -1;
    reply_to(HELLO TO_TWO "DATA\r\n");
    ck_assert_str_eq(reply_to("a\r\n.\r\n"), "451 4.3.0 The store does not answer\r\n"
                                             "451 4.3.0 The store does not answer\r\n");
}
END_TEST

static const struct {
    const char *sent, *message;
} dots[] = {
    {".\r\n", ""},
    {"\r\n.\r\n", "\r\n"},
    {"..\r\n.\r\n", ".\r\n"},
    {"...a\r\n.\r\n", "..a\r\n"},
    {".a\r\n.\r\n", "a\r\n"},
    {"a.\r\nb\r\n.\r\n", "a.\r\nb\r\n"},
    {"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n"},      /* LF ends no line */
    {"a\r.\rb\r\n.\r\n", "a\r.\rb\r\n"},      /* nor does CR */
    {"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n"},   /* the dot is taken away, and is no end */
    {"a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n"},
    {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n"},
    {"a\r\r\n.\r\n", "a\r\r\n"},
};

/* However it comes. */
START_TEST(test_dots)
{
    size_t length = strlen(dots[_i].sent);
    for (size_t piece = 1; piece <= length; piece++) {
        freed_by(text_free) struct text expected = {0};
        reply_to("RSET\r\n" HELLO TO_TWO "DATA\r\n");
        text_clear(&messages);
        say_pieces(dots[_i].sent, length, piece);
        text_addf(&expected, "[%s]", dots[_i].message);
        ck_assert_str_eq(text_string(&messages), text_string(&expected));
        ck_assert_int_eq(session.state, LMTP_COMMANDS);
    }
}
END_TEST

START_TEST(test_pipelined)
{
    static const char all[] = HELLO TO_TWO "DATA\r\nx\r\n.\r\n" TO_TWO "RSET\r\nNOOP\r\nQUIT\r\n";
    freed_by(text_free) struct text whole = {0};
    text_add(&whole, reply_to(all));
    for (size_t piece = 1; piece < sizeof all; piece++) {
        end();
        begin();
        text_clear(&session.out);
        say_pieces(all, sizeof all - 1, piece);
        ck_assert_str_eq(text_string(&session.out), text_string(&whole));
        ck_assert_str_eq(text_string(&messages), "[x\r\n]");
    }
}
END_TEST

static const struct {
    const char *said, *reply;
} mistakes[] = {
    {"EHLO mx.test\r\n", "500 5.5.1 Expected LHLO, MAIL, RCPT, DATA, RSET, NOOP or QUIT\r\n"},
    {"\r\n", "500 5.5.1 Expected LHLO, MAIL, RCPT, DATA, RSET, NOOP or QUIT\r\n"},
    {"LHLO\r\n", "501 5.5.4 LHLO: expected a name\r\n"},
    {"MAIL FROM:<>\r\n", "503 5.5.1 MAIL: expected LHLO first\r\n"},
    {HELLO "MAIL FROM:a@b.test\r\n", HELLO_REPLY "501 5.5.4 MAIL: expected FROM:<address>\r\n"},
    {HELLO "MAIL TO:<a@b.test>\r\n", HELLO_REPLY "501 5.5.4 MAIL: expected FROM:<address>\r\n"},
    {HELLO "RCPT TO:<a@b.test>\r\n", HELLO_REPLY "503 5.5.1 RCPT: expected MAIL first\r\n"},
    {HELLO "MAIL FROM:<>\r\nMAIL FROM:<>\r\n",
     HELLO_REPLY "250 2.1.0 Ok\r\n503 5.5.1 MAIL: there is a sender already\r\n"},
    {HELLO "MAIL FROM:<>\r\nRCPT TO:\r\n",
     HELLO_REPLY "250 2.1.0 Ok\r\n501 5.5.4 RCPT: expected TO:<address>\r\n"},
    {HELLO "MAIL FROM:<>\r\nDATA\r\n",
     HELLO_REPLY "250 2.1.0 Ok\r\n503 5.5.1 DATA: expected RCPT first\r\n"},
};

START_TEST(test_mistake)
{
    ck_assert_str_eq(reply_to(mistakes[_i].said), mistakes[_i].reply);
    ck_assert_int_eq(session.state, LMTP_COMMANDS);
}
END_TEST

START_TEST(test_too_many_mistakes)
{
    for (int i = 1; i < LMTP_MISTAKES_MAX; i++)
        reply_to("HELP\r\n");
    ck_assert_int_eq(session.state, LMTP_COMMANDS);
    ck_assert_ptr_nonnull(strstr(reply_to("HELP\r\n"), "\r\n421 4.7.0 "));
    ck_assert_int_eq(session.state, LMTP_ENDED);
}
END_TEST

START_TEST(test_long_line)
{
    static char line[LMTP_LINE_MAX + 1];
    memset(line, 'x', sizeof line - 1);
    memcpy(line, "NOOP ", 5);
    strcpy(line + sizeof line - 3, "\r\n");
    ck_assert_str_eq(reply_to(line), "250 2.0.0 Ok\r\n");
    text_clear(&session.out);
    say_pieces(line, sizeof line - 3, 100);
    for (int i = 0; i < 1000; i++)
        say_pieces(line, sizeof line - 3, sizeof line);
    ck_assert_str_eq(text_string(&session.out), "");
    ck_assert_uint_lt(session.line.length, LMTP_LINE_MAX);
    ck_assert_str_eq(reply_to("\r\n"), "500 5.5.2 Expected a line of at most 1024 bytes\r\n");
    ck_assert_str_eq(reply_to("NOOP\r\n"), "250 2.0.0 Ok\r\n");
    text_clear(&session.out);
    say_pieces("NO\0P\r\n", 6, 6);
    ck_assert_int_eq(strncmp(text_string(&session.out), "500 5.5.2", 9), 0);
}
END_TEST

START_TEST(test_many_recipients)
{
    reply_to(HELLO "MAIL FROM:<>\r\n");
    for (int i = 0; i < LMTP_RECIPIENTS_MAX; i++)
        ck_assert_str_eq(reply_to("RCPT TO:<a@b.test>\r\n"), "250 2.1.5 Ok\r\n");
    ck_assert_str_eq(reply_to("RCPT TO:<a@b.test>\r\n"), "452 4.5.3 Too many recipients\r\n");
    reply_to("DATA\r\n");
    const char *replies = reply_to(".\r\n");
    int count = 0;
    for (; (replies = strstr(replies, "250 2.0.0 Ok: kept\r\n")) != NULL; replies++)
        count++;
    ck_assert_int_eq(count, LMTP_RECIPIENTS_MAX);
}
END_TEST

/* What is too long is cut, and taken: nothing comes back to its writer. */
START_TEST(test_long_message)
{
    static char line[1002];
    memset(line, 'x', sizeof line - 2);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    reply_to(HELLO "MAIL FROM:<> SIZE=99999999\r\nRCPT TO:<a@b.test>\r\nDATA\r\n");
    for (size_t sent = 0; sent < 2 * LMTP_MESSAGE_MAX; sent += sizeof line)
        say_pieces(line, sizeof line, 997);
    ck_assert_uint_le(session.message.length, LMTP_MESSAGE_MAX);
    ck_assert_str_eq(reply_to(".\r\n"), "250 2.0.0 Ok: kept\r\n");
    ck_assert_uint_eq(longest, LMTP_MESSAGE_MAX);
}
END_TEST

START_TEST(test_refused)
{
    end();
    lmtp_refuse(&session);
    ck_assert_str_eq(text_string(&session.out), "421 4.3.2 Too many connections\r\n");
    ck_assert_int_eq(session.state, LMTP_ENDED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lmtp");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_one_message);
    tcase_add_test(tcase, test_store_away);
    tcase_add_loop_test(tcase, test_dots, 0, (int)countof(dots));
    tcase_add_test(tcase, test_pipelined);
    tcase_add_loop_test(tcase, test_mistake, 0, (int)countof(mistakes));
    tcase_add_test(tcase, test_too_many_mistakes);
    tcase_add_test(tcase, test_long_line);
    tcase_add_test(tcase, test_many_recipients);
    tcase_add_test(tcase, test_long_message);
    tcase_add_test(tcase, test_refused);
    Suite *suite = suite_create("lmtp");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
