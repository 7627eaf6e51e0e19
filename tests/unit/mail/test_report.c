/* Complaints as other servers send them: whose message, what kind, who says so. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "mail/report.h"

#define OURS "mx.host.test"
#define REFERENCE "X-Sendguard-Ref"

static struct arena *arena;
static struct report report;

static void begin(void) { arena = arena_new(); }
static void end(void) { arena_free(&arena); }

/* In a heap block of exactly its size, so that sanitizers see overreads. */
static enum report_read read_bytes(const char *bytes, size_t length)
{
    char *copy = xmalloc(length > 0 ? length : 1);
    memcpy(copy, bytes, length);
    enum report_read read = report_read(arena, copy, length, OURS, REFERENCE, &report);
    free(copy);
    return read;
}

static enum report_read read_text(const char *text) { return read_bytes(text, strlen(text)); }

#define TOP                                                                                  \
    "Received: from fbl.loop.test by mx.host.test with ESMTPS id 4jbqC64kngz1bf1d\r\n"        \
    "Authentication-Results: mx.host.test; dkim=pass header.d=loop.test\r\n"                  \
    "Authentication-Results: evil.test; dkim=pass header.d=bank.test\r\n"                     \
    "From: <fbl@loop.test>\r\nTo: <fbl@host.test>\r\nSubject: complaint\r\n"                  \
    "Message-ID: <report@loop.test>\r\nMIME-Version: 1.0\r\n"
#define ARF_BEGIN                                                                            \
    TOP "Content-Type: multipart/report; report-type=feedback-report;\r\n boundary=\"b\"\r\n\r\n" \
        "--b\r\nContent-Type: text/plain\r\n\r\nThis is a complaint.\r\n"
#define ARF_REPORT(fields)                                                                   \
    "--b\r\nContent-Type: message/feedback-report\r\n\r\n" fields                             \
    "User-Agent: Loop/1\r\nVersion: 1\r\n\r\n"
#define ORIGINAL_FIELDS                                                                      \
    "X-Sendguard-Ref: sealed-and-ours\r\n"                                                    \
    "Received: from [192.0.2.7] (unknown [192.0.2.7])\r\n\t(Authenticated sender: a@own.test)\r\n" \
    "\tby mx.host.test (Postfix) with ESMTPSA id 4jbqC64kngz1bf1c\r\n"                        \
    "\tfor <b@loop.test>; Sat, 28 Nov 2026 10:00:00 +0000 (UTC)\r\n"                          \
    "X-Sendguard-Ref: of the sender's own\r\n"                                                \
    "From: Alice <alice@own.test>\r\nMessage-ID: <abc@own.test>\r\nSubject: buy\r\n"
#define ORIGINAL_BEGIN "--b\r\nContent-Type: message/rfc822\r\n\r\n" ORIGINAL_FIELDS "\r\nBody.\r\n"
#define ORIGINAL ORIGINAL_BEGIN "--b--\r\n"

static void check_original(void)
{
    const struct report_original *original = &report.original;
    ck_assert_uint_eq(original->reference_count, 2);
    ck_assert_str_eq(original->references[0], "sealed-and-ours");
    ck_assert_uint_eq(original->trace_count, 1);
    ck_assert_str_eq(original->traces[0].host, "mx.host.test");
    ck_assert_str_eq(original->traces[0].id, "4jbqC64kngz1bf1c");
    ck_assert_str_eq(original->message_id, "abc@own.test");
    ck_assert_str_eq(original->from, "alice@own.test");
}

START_TEST(test_arf)
{
    ck_assert_int_eq(read_text(ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\nIncidents: 3\r\n"
                                                    "Original-Envelope-Id: env-7\r\n") ORIGINAL),
                     REPORT_READ);
    check_original();
    ck_assert_int_eq(report.type, REPORT_ABUSE);
    ck_assert_uint_eq(report.incidents, 3);
    ck_assert_str_eq(report.envelope_id, "env-7");
    ck_assert_uint_eq(report.domain_count, 1);
    ck_assert_str_eq(report.domains[0], "loop.test");
}
END_TEST

/* A rule of the mail server that removes what strangers write in its name finds the name of the
 * field as it has to be. */
START_TEST(test_field_of_a_stranger)
{
    ck_assert_int_eq(read_text("Authentication-Results : mx.host.test; dkim=pass header.d=bank.test\r\n"
                               ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n") ORIGINAL),
                     REPORT_READ);
    ck_assert_uint_eq(report.domain_count, 1);
    ck_assert_str_eq(report.domains[0], "loop.test");
}
END_TEST

/* The same with other ends of lines. */
START_TEST(test_ends_of_lines)
{
    static const char text[] = ARF_BEGIN ARF_REPORT("Feedback-Type: fraud\r\n") ORIGINAL;
    char other[sizeof text];
    size_t length = 0;
    for (size_t i = 0; i < sizeof text - 1; i++)
        if (text[i] != (_i == 0 ? '\r' : '\n'))
            other[length++] = text[i];
    ck_assert_int_eq(read_bytes(other, length), REPORT_READ);
    check_original();
    ck_assert_int_eq(report.type, REPORT_FRAUD);
}
END_TEST

START_TEST(test_headers_alone)
{
    static const char *const names[] = {"text/rfc822-headers", "Text/RFC822-Header"};
    char *text = xasprintf("%s--b\r\nContent-Type: %s\r\n\r\n%s\r\n--b--\r\n",
                           ARF_BEGIN ARF_REPORT("feedback-type: not-spam\r\n"), names[_i],
                           ORIGINAL_FIELDS);
    ck_assert_int_eq(read_text(text), REPORT_READ);
    free(text);
    check_original();
    ck_assert_int_eq(report.type, REPORT_NOT_SPAM);
    ck_assert_uint_eq(report.incidents, 1);
}
END_TEST

START_TEST(test_encoded_parts)
{
    ck_assert_int_eq(
        read_text(ARF_BEGIN "--b\r\nContent-Type: message/feedback-report\r\n"
                  "Content-Transfer-Encoding: base64\r\n\r\nRmVlZGJhY2stVHlwZTogdmlydXMNCg==\r\n"
                  ORIGINAL),
        REPORT_READ);
    ck_assert_int_eq(report.type, REPORT_VIRUS);
    check_original();
}
END_TEST

/* Microsoft's: no report part, and the recipient in a field of the original. */
START_TEST(test_microsoft)
{
    ck_assert_int_eq(read_text(TOP "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
                               "--b\r\nContent-Type: message/rfc822\r\n\r\n"
                               "X-HmXmrOriginalRecipient: b@hotmail.test\r\n" ORIGINAL_FIELDS
                               "\r\nBody.\r\n--b--\r\n"),
                     REPORT_READ);
    check_original();
    ck_assert_int_eq(report.type, REPORT_ABUSE);
}
END_TEST

static const struct {
    const char *fields;
    enum report_type type;
    uint32_t incidents;
} told[] = {
    {"Feedback-Type: opt-out\r\n", REPORT_OPT_OUT, 1},
    {"Feedback-Type: auth-failure\r\n", REPORT_AUTH_FAILURE, 1},
    {"Feedback-Type: nonsense\r\n", REPORT_OTHER, 1},
    {"Feedback-Type: Abuse \r\nIncidents:  7 \r\n", REPORT_ABUSE, 7},
    {"Feedback-Type: abuse\r\nIncidents: 0\r\n", REPORT_ABUSE, 1},
    {"Feedback-Type: abuse\r\nIncidents: -5\r\n", REPORT_ABUSE, 1},
    {"Feedback-Type: abuse\r\nIncidents: many\r\n", REPORT_ABUSE, 1},
    {"Feedback-Type: abuse\r\nIncidents: 3x\r\n", REPORT_ABUSE, 1},
    {"Feedback-Type: abuse\r\nIncidents: 99999999999999999999999\r\n", REPORT_ABUSE, 1000000},
};

START_TEST(test_fields)
{
    char *text = xasprintf("%s--b\r\nContent-Type: message/feedback-report\r\n\r\n%s\r\n%s", ARF_BEGIN,
                           told[_i].fields, ORIGINAL);
    ck_assert_int_eq(read_text(text), REPORT_READ);
    ck_assert_int_eq(report.type, told[_i].type);
    ck_assert_uint_eq(report.incidents, told[_i].incidents);
    free(text);
}
END_TEST

START_TEST(test_other_mail)
{
    static const char *const texts[] = {
        "", "\r\n", "Hello.\r\n", TOP "\r\nHello.\r\n",
        TOP "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
            ORIGINAL_FIELDS "\r\nA message that somebody forwards.\r\n--b--\r\n",
        /* a report that stands in the message that somebody forwards */
        TOP "Content-Type: message/rfc822\r\n\r\n" ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n") ORIGINAL,
    };
    for (size_t i = 0; i < countof(texts); i++)
        ck_assert_msg(read_text(texts[i]) == REPORT_NONE, "%s", texts[i]);
}
END_TEST

START_TEST(test_no_message)
{
    ck_assert_int_eq(read_text(ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n") "--b--\r\n"),
                     REPORT_NO_MESSAGE);
    ck_assert_int_eq(read_text(ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n")
                               "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n--b--\r\n"),
                     REPORT_NO_MESSAGE);
}
END_TEST

/* Cut off anywhere it is read as far as it goes, or is none: whatever it is, nothing breaks. */
START_TEST(test_cut_off)
{
    static const char text[] = ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n") ORIGINAL;
    int seen[REPORT_TOO_MUCH + 1] = {0};
    for (size_t length = 0; length < sizeof text; length++) {
        seen[read_bytes(text, length)]++;
        arena_reset(arena);
    }
    ck_assert_int_gt(seen[REPORT_READ], 0);
    ck_assert_int_gt(seen[REPORT_NO_MESSAGE], 0);
    ck_assert_int_gt(seen[REPORT_NONE], 0);
}
END_TEST

/* Where a Received field names host and id. */
static const struct {
    const char *value, *host, *id;
} received[] = {
    {"by mx.host.test (Postfix, from userid 33) id E1AAAAAAAA; Sat", "mx.host.test", "E1AAAAAAAA"},
    {"from a (by evil.test id FFFFFFFFFF) by mx.host.test (Postfix) with ESMTP id E1AAAAAAAA", "mx.host.test", "E1AAAAAAAA"},
    {"from by.test (a) BY mx.host.test with ESMTP ID E1AAAAAAAA for <id@by.test>", "mx.host.test", "E1AAAAAAAA"},
    {"from a by mx.host.test", NULL, NULL},
    {"from a id E1AAAAAAAA", NULL, NULL},
    {"by id", NULL, NULL},
};

START_TEST(test_received)
{
    char *text = xasprintf("%s--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@own.test\r\nReceived: %s\r\n"
                           "\r\n--b--\r\n", ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n"),
                           received[_i].value);
    ck_assert_int_eq(read_text(text), REPORT_READ);
    ck_assert_uint_eq(report.original.trace_count, received[_i].host != NULL);
    if (received[_i].host != NULL) {
        ck_assert_str_eq(report.original.traces[0].host, received[_i].host);
        ck_assert_str_eq(report.original.traces[0].id, received[_i].id);
    }
    free(text);
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------------- */

static void add_filling(struct text *text, size_t length)
{
    while (text->length <= length)
        text_add(text, "more and more, until nobody reads it any longer\r\n");
}

/* A sender who attaches much is complained about all the same: the beginning says enough. */
START_TEST(test_large)
{
    struct text text = {0};
    text_add(&text, ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n") ORIGINAL_BEGIN);
    add_filling(&text, 20 * REPORT_BYTES_MAX);
    ck_assert_int_eq(read_bytes(text.data, text.length), REPORT_READ);
    check_original();
    text_free(&text);
}
END_TEST

/* What it says behind that is not read. */
START_TEST(test_too_large)
{
    struct text text = {0};
    text_add(&text, ARF_BEGIN);
    add_filling(&text, REPORT_BYTES_MAX);
    text_add(&text, ARF_REPORT("Feedback-Type: abuse\r\n") ORIGINAL);
    ck_assert_int_eq(read_bytes(text.data, text.length), REPORT_TOO_MUCH);
    text_clear(&text);
    text_add(&text, ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n"));
    add_filling(&text, REPORT_BYTES_MAX);
    text_add(&text, ORIGINAL);
    ck_assert_int_eq(read_bytes(text.data, text.length), REPORT_TOO_MUCH);
    text_free(&text);
}
END_TEST

START_TEST(test_too_many_parts)
{
    struct text text = {0};
    text_add(&text, ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n"));
    for (int i = 0; i < REPORT_PARTS_MAX; i++)
        text_add(&text, "--b\r\n\r\nx\r\n");
    text_add(&text, ORIGINAL);
    ck_assert_int_eq(read_bytes(text.data, text.length), REPORT_TOO_MUCH);
    text_free(&text);
}
END_TEST

/* As deep as the size allows. */
START_TEST(test_too_deep)
{
    struct text text = {0};
    text_add(&text, TOP);
    for (int i = 0; text.length < REPORT_BYTES_MAX - 200; i++)
        text_addf(&text, "Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n", i, i);
    enum report_read read = read_bytes(text.data, text.length);
    ck_assert(read == REPORT_TOO_MUCH || read == REPORT_NONE);
    text_free(&text);
}
END_TEST

/* Many fields of one kind: the first ones are kept. */
START_TEST(test_many_fields)
{
    struct text text = {0};
    text_add(&text, ARF_BEGIN ARF_REPORT("Feedback-Type: abuse\r\n")
                    "--b\r\nContent-Type: message/rfc822\r\n\r\n");
    for (int i = 0; i < 10000; i++)
        text_addf(&text, "X-Sendguard-Ref: r%d\r\nReceived: by h%d id E%d\r\n", i, i, i);
    text_add(&text, "\r\n--b--\r\n");
    ck_assert_int_eq(read_bytes(text.data, text.length), REPORT_READ);
    ck_assert_uint_eq(report.original.reference_count, REPORT_REFERENCES_MAX);
    ck_assert_str_eq(report.original.references[0], "r0");
    ck_assert_uint_eq(report.original.trace_count, REPORT_TRACES_MAX);
    ck_assert_str_eq(report.original.traces[0].host, "h0");
    text_free(&text);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_arf);
    tcase_add_test(tests, test_field_of_a_stranger);
    tcase_add_loop_test(tests, test_ends_of_lines, 0, 2);
    tcase_add_loop_test(tests, test_headers_alone, 0, 2);
    tcase_add_test(tests, test_encoded_parts);
    tcase_add_test(tests, test_microsoft);
    tcase_add_loop_test(tests, test_fields, 0, (int)countof(told));
    tcase_add_test(tests, test_other_mail);
    tcase_add_test(tests, test_no_message);
    tcase_add_test(tests, test_cut_off);
    tcase_add_loop_test(tests, test_received, 0, (int)countof(received));
    tcase_add_test(tests, test_large);
    tcase_add_test(tests, test_too_large);
    tcase_add_test(tests, test_too_many_parts);
    tcase_add_test(tests, test_too_deep);
    tcase_add_test(tests, test_many_fields);
    Suite *suite = suite_create("report");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
