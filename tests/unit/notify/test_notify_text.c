/* Notifications in words, as mail is sent, and what is signed. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "notify/notify_send.h"
#include "notify/notify_text.h"
#include "tests/unit/guard/guard_rig.h"

#define BASICS "notify.mail_to=desk@example.test", "notify.mail_from=guard@example.test", \
               "web.base_url=https://mail.example.test/sending", "web.time_zone=UTC", \
               "support.contact=help@example.test", "notify.user_languages=de en"

static struct settings *settings;
static struct catalogue *catalogue;
static struct arena *texts;
static struct notify_writer writer;

static void begin_with(const char *const *overrides)
{
    settings = rig_settings(overrides);
    catalogue = rig_catalogue();
    texts = arena_new();
    writer = (struct notify_writer){texts, settings, catalogue, "mail.example.test"};
}

static void end(void)
{
    settings_free(&settings);
    catalogue_free(&catalogue);
    arena_free(&texts);
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "expected \"%s\" in:\n%s", part, text);
}

static void lacks(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "expected no \"%s\" in:\n%s", part, text);
}

/* ---- for support ----------------------------------------------------------------------------- */

static const char *const subjects[NOTIFY_CONDITION_COUNT] = {
    [NOTIFY_SUSPENSION] = "test@example.invalid is suspended",
    [NOTIFY_OWN_LOCK] = "test@example.invalid: \"That wasn't me\"",
    [NOTIFY_NEAR_LIMIT] = "test@example.invalid has used four fifths of a limit",
    [NOTIFY_BYPASSED] = "Messages bypassed the webmail endpoint",
    [NOTIFY_COMPLAINT] = "A complaint about test@example.invalid",
    [NOTIFY_DOMAIN_BLOCKED] = "@example.invalid is blocked: its mail fails too often",
    [NOTIFY_LOGINS_BLOCKED] = "Sign-ins are blocked after wrong passwords",
    [NOTIFY_HELD] = "Mail of test@example.invalid waits",
    [NOTIFY_APPEAL] = "test@example.invalid objects",
    [NOTIFY_LOG_GAP] = "The mail server's log has gaps",
    [NOTIFY_DIGEST] = "Numbers of the day"};

START_TEST(test_each_condition)
{
    begin_with(WITH(BASICS));
    freed_by(json_put) struct json_object *sample = notify_text_sample(_i, NOW);
    const char *subject = notify_text_subject(&writer, sample);
    ck_assert_str_eq(subject, arena_printf(texts, "[Sendguard test] %s", subjects[_i]));
    const char *body = notify_text_body(&writer, sample);
    has(body, subjects[_i]);
    has(body, "This is a test");
    freed_by(json_put) struct json_object *json = json_read(notify_text_json(&writer, sample));
    ck_assert_str_eq(json_string(json, "condition", ""), notify_state_condition(_i));
    ck_assert_str_eq(json_string(json, "subject", ""), subject);
    ck_assert_uint_eq(json_object_array_length(json_member(json, "items")), 1);
    ck_assert(json_is_true(json, "test"));
    has(body, json_string(json, "text", "?"));
}
END_TEST

START_TEST(test_suspension)
{
    begin_with(WITH(BASICS));
    freed_by(json_put) struct json_object *several = json_read(
        "{\"id\":\"1\",\"condition\":\"suspension\",\"more\":3,\"late\":true,\"mail\":{},"
        "\"items\":["
        "{\"subject\":\"a%b@example.test\",\"mailbox\":\"a%b@example.test\",\"cause\":\"volume\","
        "\"until\":\"2025-11-22T06:40:00Z\",\"by\":\"guard\",\"note\":\"messages_per_day\"},"
        "{\"subject\":\"bob@example.test\",\"mailbox\":\"bob@example.test\",\"cause\":\"terms\","
        "\"until\":null,\"by\":\"eve\",\"times\":2}]}");
    ck_assert_str_eq(notify_text_subject(&writer, several),
                     "[Sendguard] 5 mailboxes are suspended");
    const char *body = notify_text_body(&writer, several);
    has(body, "a%b@example.test\n  too much mail (messages_per_day), until 22 November 2025 06:40 UTC\n"
              "  https://mail.example.test/sending/desk/mailboxes/a%25b%40example.test\n");
    has(body, "bob@example.test\n  against the terms of use, until support lifts it, by eve "
              "(the last of 2 times)\n");
    has(body, "and 3 more that are not named here\n");
    has(body, "notify.per_hour");
    lacks(body, "observe");
    const char *json = notify_text_json(&writer, several);
    has(json, "\"url\":\"https://mail.example.test/sending/desk/mailboxes/bob%40example.test\"");
    lacks(json, "\"mail\":");
    end();
    begin_with(WITH(BASICS, "guard.mode=observe"));
    has(notify_text_body(&writer, several), "Mode observe: nobody is refused.");
    has(notify_text_json(&writer, several), "\"observed\":true");
}
END_TEST

/* ---- for users ------------------------------------------------------------------------------- */

static const char *user_mail(const char *more, const char **subject_r)
{
    freed_by(json_put) struct json_object *mail = json_read(
        arena_printf(texts, "{\"mailbox\":\"alice@example.test\",\"id\":\"1\",%s}", more));
    ck_assert_ptr_nonnull(mail);
    *subject_r = notify_text_user_subject(&writer, mail);
    return notify_text_user_body(&writer, mail);
}

START_TEST(test_user)
{
    const char *subject, *body;
    begin_with(WITH(BASICS));
    body = user_mail("\"begins\":true,\"cause\":\"volume\",\"by\":\"guard\","
                     "\"since_ms\":1763790000000,\"until_ms\":1763793600000", &subject);
    ck_assert_str_eq(subject, "Das Senden aus alice@example.test ist bis "
                              "22. November 2025, 06:40 UTC pausiert");
    has(body, "es geht um Ihr Postfach alice@example.test.\n\n"
              "Das Senden ist bis 22. November 2025, 06:40 UTC pausiert. Aus");
    has(body, "----\n\nHello,\n\nthis is about your mailbox alice@example.test.\n\n"
              "Sending is paused until 22 November 2025 06:40 UTC. This");
    has(body, "Receiving, reading and writing drafts work as always.\n");
    has(body, "Fragen: help@example.test\n");
    body = user_mail("\"begins\":true,\"cause\":\"compromised\",\"by\":\"user\","
                     "\"since_ms\":1763790000000,\"until_ms\":9223372036854775807", &subject);
    ck_assert_str_eq(subject, "Das Senden aus alice@example.test ist gestoppt");
    has(body, "Sending was stopped (22 November 2025 05:40 UTC) by “That wasn’t me”");
    lacks(body, "Receiving");
    body = user_mail("\"held\":true,\"since_ms\":1763790000000", &subject);
    has(subject, "warten auf unseren Postmaster");
    has(body, "Seit 22. November 2025, 05:40 UTC warten Nachrichten von Ihnen.");
    has(body, "Messages of yours have been waiting since");
    has(body, "Was it not you? Change your password");
    body = user_mail("\"begins\":false", &subject);
    ck_assert_str_eq(subject, "alice@example.test kann wieder senden");
    has(body, "Die Sperre ist vorbei");
    has(body, "The suspension is over");
}
END_TEST

/* The user's own, where there is one. */
START_TEST(test_language_of_the_user)
{
    static const struct {
        const char *lang, *first, *second;
    } cases[] = {{"\"fr-CA\"", "Bonjour", NULL}, {"\"en\"", "Hello", NULL},
                 {"\"DE\"", "Guten Tag", NULL}, {"\"it\"", "Guten Tag", "Hello"},
                 {"\"\"", "Guten Tag", "Hello"}, {"null", "Guten Tag", "Hello"}};
    const char *subject;
    begin_with(WITH(BASICS));
    const char *body =
        user_mail(arena_printf(texts, "\"lang\":%s,\"begins\":false", cases[_i].lang), &subject);
    ck_assert_ptr_eq(strstr(body, cases[_i].first), body);
    if (cases[_i].second != NULL)
        has(body, cases[_i].second);
    else
        lacks(body, "----");
}
END_TEST

/* Each cause, in each language: no text is missing. */
START_TEST(test_user_in_all_languages)
{
    static const char *const languages[] = {"en", "de", "fr", "es"};
    char override[64];
    snprintf(override, sizeof override, "notify.user_languages=%s", languages[_i]);
    begin_with(WITH(BASICS, override));
    for (int cause = 0; cause < CAUSE_COUNT; cause++) {
        const char *subject;
        const char *body = user_mail(
            arena_printf(texts, "\"begins\":true,\"cause\":\"%s\",\"by\":\"eve\",\"since_ms\":1,"
                                "\"until_ms\":9223372036854775807", cause_names[cause]), &subject);
        has(subject, "alice@example.test");
        has(body, "alice@example.test");
        has(body, "help@example.test");
        lacks(body, "\n\n\n");
        lacks(body, "{{");
        lacks(body, "----");
    }
}
END_TEST

/* ---- as it is sent --------------------------------------------------------------------------- */

START_TEST(test_mail)
{
    freed_by(text_free) struct text out = {0};
    begin_with(WITH(BASICS));
    const char *const to[] = {"desk@example.test", "eve@example.test"};
    const struct notify_mail mail = {
        .to = to, .to_count = 2, .id = "abc", .at_ms = NOW,
        .subject = "Überlänge: ein Betreff, der länger ist als ein kodiertes Wort "
                   "fassen kann, und noch länger",
        .body = "short\n\n.\nA line that is much longer than what people like to read in one line "
                "of a mail, and so it is cut.\n  a line with a margin stays whole, also where it "
                "is longer than the others, since it may be a link\n"};
    notify_send_write_mail(settings, &mail, &out);
    has(out.data, "Date: Sat, 22 Nov 2025 05:40:00 +0000\r\nFrom: Sendguard <guard@example.test>"
                  "\r\nTo: desk@example.test,\r\n eve@example.test\r\nSubject: =?utf-8?B?");
    has(out.data, "?=\r\n =?utf-8?B?");
    has(out.data, "\r\nMessage-ID: <abc@example.test>\r\nAuto-Submitted: auto-generated\r\n");
    has(out.data, "\r\n\r\nshort\r\n\r\n.\r\nA line that is much longer than what people like to "
                  "read in one line of a\r\nmail, and so it is cut.\r\n  a line with a margin "
                  "stays whole, also where it is longer than the others, since it may be a link\r\n");
    for (const char *line = out.data; (line = strchr(line, '\n')) != NULL; line++)
        ck_assert_int_eq(line[-1], '\r');
}
END_TEST

/* Bytes that are no UTF-8 are cut somewhere. */
START_TEST(test_subject_that_is_broken)
{
    freed_by(text_free) struct text out = {0};
    char subject[101];
    begin_with(WITH(BASICS));
    memset(subject, 0x80, sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    notify_send_write_mail(settings, &(struct notify_mail){.subject = subject, .body = "",
                                                           .id = "abc", .at_ms = NOW}, &out);
    has(out.data, "?=\r\nMessage-ID: ");
}
END_TEST

/* By `openssl dgst -sha256 -hmac 0123456789abcdef` of "1763790000.{}". */
START_TEST(test_signature)
{
    char signature[NOTIFY_SIGNATURE_SIZE];
    notify_send_sign("0123456789abcdef", NOW + 999, "{}", signature);
    ck_assert_str_eq(signature, "t=1763790000,v1="
                     "e6f315266bd18c093bfee773236c4609f38c20c767a3c57c10e211608dbe4577");
}
END_TEST

START_TEST(test_requires)
{
    static const struct {
        const char *override, *where;
    } cases[] = {{"notify.mail_from=", "notify.mail_from"},
                 {"notify.mail_from=\"a b\"@example.test", "notify.mail_from"},
                 {"notify.mail_to=\u00fc@example.test", "notify.mail_to"}};
    struct problem problem;
    begin_with(WITH(BASICS));
    ck_assert_int_eq(notify_send_requires(settings, &problem), 1);
    end();
    begin_with(WITH(BASICS, cases[_i].override));
    ck_assert_int_eq(notify_send_requires(settings, &problem), 0);
    ck_assert_str_eq(problem.where, cases[_i].where);
}
END_TEST

/* Its own mail is refused where a network of forwarders holds this machine. */
START_TEST(test_is_forwarded)
{
    static const struct {
        const char *smtp, *networks;
        bool is;
    } cases[] = {{"127.0.0.1:25", "127.0.0.0/8", true}, {"127.0.0.1:25", "127.0.0.1", true},
                 {"localhost:25", "127.0.0.1", true},   {"[::1]:25", "::1", true},
                 {"localhost:25", "::1", true},         {"[::1]:25", "127.0.0.1", false},
                 {"127.0.0.1:25", "127.0.0.2", false},  {"mx.example.test:25", "127.0.0.1", false},
                 {"127.0.0.1:25", "none", false}};
    char smtp[64], networks[64];
    snprintf(smtp, sizeof smtp, "notify.smtp=%s", cases[_i].smtp);
    snprintf(networks, sizeof networks, "mta.forwarding_networks=%s", cases[_i].networks);
    begin_with(WITH(BASICS, smtp, networks));
    ck_assert_int_eq(notify_send_is_forwarded(settings), cases[_i].is);
    end();
    begin_with(WITH(smtp, networks)); /* it sends no mail */
    ck_assert(!notify_send_is_forwarded(settings));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify_text");
    TCase *cases = rig_case(suite, "texts");
    tcase_add_checked_fixture(cases, NULL, end);
    tcase_add_loop_test(cases, test_each_condition, 0, NOTIFY_CONDITION_COUNT);
    tcase_add_test(cases, test_suspension);
    tcase_add_test(cases, test_user);
    tcase_add_loop_test(cases, test_language_of_the_user, 0, 6);
    tcase_add_loop_test(cases, test_user_in_all_languages, 0, 4);
    tcase_add_test(cases, test_mail);
    tcase_add_test(cases, test_subject_that_is_broken);
    tcase_add_test(cases, test_signature);
    tcase_add_loop_test(cases, test_requires, 0, 3);
    tcase_add_loop_test(cases, test_is_forwarded, 0, 9);
    return backends_run(suite);
}
