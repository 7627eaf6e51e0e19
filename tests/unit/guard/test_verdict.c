/* A verdict as JSON, and as the sentences that a user reads. Verdicts are made
 * by hand here, so that every member has every kind of value. */
#include <string.h>

#include "base/decision.h"
#include "guard/verdict_text.h"
#include "tests/unit/guard/guard_rig.h"

#define URL "https://mail.example.test/sending/status?t=abc"

static struct submission submission;

static struct catalogue *catalogue;

static void setup(void)
{
    arena = arena_new();
    catalogue = rig_catalogue();
    submission = rig_submission("<1@webmail.example.test>");
}

static void teardown(void)
{
    catalogue_free(&catalogue);
    arena_free(&arena);
}

/* ---- JSON ------------------------------------------------------------------------ */

static struct json_object *json_of(const struct verdict *verdict)
{
    freed_by(text_free) struct text text = {0};
    struct json_writer writer = json_write_text(&text);
    verdict_write(&writer, verdict);
    json_write_end(&writer);
    return rig_json(text.data, text.length);
}

static void check(struct json_object *object, const char *path, enum json_type type,
                  const char *value)
{
    enum json_type is = json_object_get_type(rig_member(object, path));
    ck_assert_msg(is == type, "%s is of type %s", path, json_type_to_name(is));
    ck_assert_msg(strcmp(rig_text(object, path), value) == 0, "%s is %s", path,
                  rig_text(object, path));
}

static const char *const always[] = {"verdict", "decision",   "id",       "mailbox", "reasons",
                                     "windows", "suspension", "suspensions", "retry_at", "can_send",
                                     "can_send_at", "message", "status_url"};

START_TEST(test_admitted)
{
    struct verdict verdict = {.kind = VERDICT_ADMIT, .submission = &submission, .now_ms = NOW,
                              .message = "", .decision = 1};
    struct json_object *json = json_of(&verdict);
    ck_assert_int_eq(json_object_object_length(json), (int)countof(always));
    check(json, "verdict", json_type_string, "admit");
    check(json, "decision", json_type_string, "0000-0000-0001");
    check(json, "id", json_type_string, "<1@webmail.example.test>");
    check(json, "mailbox", json_type_string, ALICE);
    check(json, "reasons", json_type_array, "[]");
    check(json, "windows", json_type_array, "[]");
    check(json, "suspension", json_type_null, "null");
    check(json, "retry_at", json_type_null, "null");
    check(json, "message", json_type_string, "");
    check(json, "status_url", json_type_null, "null");
    json_object_put(json);
}
END_TEST

START_TEST(test_flags)
{
    static const char *const names[] = {"observed", "dry_run", "repeated", "unjudged"};
    struct verdict verdict = {.kind = VERDICT_ADMIT, .submission = &submission, .message = "",
                              .observed = _i == 0, .dry_run = _i == 1, .repeated = _i == 2,
                              .unjudged = _i == 3};
    struct json_object *json = json_of(&verdict);
    for (int i = 0; i < (int)countof(names); i++)
        ck_assert_int_eq(rig_has(json, names[i]), i == _i);
    check(json, names[_i], json_type_boolean, "true");
    check(json, "decision", json_type_null, "null");
    json_object_put(json);
}
END_TEST

START_TEST(test_reasons_and_windows)
{
    struct reason reasons[] = {
        {{RULE_RECIPIENTS_PER_FIELD, FIELD_BCC, NULL, 100, 101, false, NULL, NULL, NULL, NULL, NULL}, "too many"},
        {{RULE_RECIPIENTS_PER_DOMAIN, -1, "x.test", 50, 57, false, NULL, NULL, NULL, NULL, NULL}, "\"quoted\" \\ \xC3\xBC\n"},
        {{RULE_OFF_DOMAIN_PER_DAY, -1, NULL, 0, UINT32_MAX, true, NULL, NULL, NULL, NULL, NULL}, "never"},
    };
    struct verdict verdict = {
        .kind = VERDICT_OVER_TIME, .submission = &submission, .now_ms = NOW,
        .reasons = reasons, .reason_count = countof(reasons),
        .windows = {{.rule = RULE_MESSAGES_PER_DAY, .limit = 600, .used = 412,
                     .refill = {{NOW + 1, 120}, {NOW + 60000, 292}}, .refill_count = 2},
                    {.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .limit = LIMIT_MAX,
                     .used = UINT64_C(1) << 40}},
        .window_count = 2, .retry_at_ms = NOW + 1, .message = "m", .status_url = URL,
        .decision = UINT64_C(0x0FEDCBA987654321),
    };
    struct json_object *json = json_of(&verdict);
    check(json, "verdict", json_type_string, "refuse");
    check(json, "retry_at", json_type_string, "2025-11-22T05:40:01Z"); /* rounded up */
    check(json, "status_url", json_type_string, URL);
    check(json, "message", json_type_string, "m");
    check(json, "reasons.0", json_type_object,
          "{\"rule\":\"recipients_per_field\",\"field\":\"bcc\",\"limit\":100,\"count\":101,"
          "\"text\":\"too many\"}");
    check(json, "reasons.1.domain", json_type_string, "x.test");
    check(json, "reasons.1.text", json_type_string, "\"quoted\" \\ \xC3\xBC\n");
    ck_assert(!rig_has(rig_member(json, "reasons.1"), "field"));
    check(json, "reasons.2.limit", json_type_int, "0");
    check(json, "reasons.2.count", json_type_int, "4294967295");
    check(json, "windows.0", json_type_object,
          "{\"rule\":\"messages_per_day\",\"limit\":600,\"used\":412,\"window_s\":86400,"
          "\"refill\":[{\"at\":\"2025-11-22T05:40:01Z\",\"count\":120},"
          "{\"at\":\"2025-11-22T05:41:00Z\",\"count\":292}]}");
    check(json, "windows.1.used", json_type_int, "1099511627776");
    check(json, "windows.1.window_s", json_type_int, "3600");
    check(json, "windows.1.refill", json_type_array, "[]");
    json_object_put(json);
}
END_TEST

START_TEST(test_suspension)
{
    struct verdict verdict = {
        .kind = VERDICT_SUSPENDED, .submission = &submission, .message = "m",
        .suspensions.count = 1, .suspensions.of[0] = {.id = 7, .cause = CAUSE_COMPLAINTS, .since_ms = NOW,
                       .until_ms = NOW + DAY_MS, .attempts = 4, .offence = 2, .by = "agnes",
                       .note = "called"},
        .retries_before_restart = 10, .brought = _i == 1, .retry_at_ms = NOW + DAY_MS,
    };
    struct json_object *json = json_of(&verdict);
    check(json, "suspension", json_type_object,
          arena_printf(arena, "{\"cause\":\"complaints\",\"since\":\"2025-11-22T05:40:00Z\","
                              "\"until\":\"2025-11-23T05:40:00Z\",\"attempts\":4,"
                              "\"retries_before_restart\":10,\"offence\":2,\"brought\":%s,"
                              "\"own_lock\":false,\"sentence\":null}",
                       _i == 1 ? "true" : "false")); /* neither who of the staff nor their note */
    check(json, "retry_at", json_type_string, "2025-11-23T05:40:00Z");
    json_object_put(json);
    verdict.suspensions.of[0].until_ms = UNTIL_LIFTED;
    verdict.retry_at_ms = 0;
    json = json_of(&verdict);
    check(json, "suspension.until", json_type_null, "null");
    check(json, "retry_at", json_type_null, "null");
    json_object_put(json);
}
END_TEST

/* Whatever an id or a domain holds, the whole stays valid JSON. */
START_TEST(test_hostile_texts)
{
    static const char *const texts[] = {"\"", "\\", "\x01\x1F\x7F", "\xFF\xFE", "\xE2\x80\xA8",
                                        "</script>", "\xF0\x9F\x98\x80", "\xC3", ""};
    for (size_t i = 0; i < countof(texts); i++) {
        struct reason reason = {{RULE_RECIPIENTS_PER_DOMAIN, -1, texts[i], 1, 2, false, NULL, NULL, NULL, NULL, NULL}, texts[i]};
        struct verdict verdict = {.kind = VERDICT_MESSAGE, .submission = &submission,
                                  .reasons = &reason, .reason_count = 1, .message = texts[i],
                                  .status_url = texts[i]};
        submission.id = texts[i];
        struct json_object *json = json_of(&verdict);
        for (size_t k = 0; k < countof(always); k++)
            ck_assert(rig_has(json, always[k]));
        json_object_put(json);
    }
}
END_TEST

/* ---- one sentence a rule --------------------------------------------------------------- */

static const struct {
    struct objection objection;
    const char *text;
} sentences[] = {
    {{RULE_RECIPIENTS_PER_MESSAGE, -1, NULL, 300, 301, false, NULL, NULL, NULL, NULL, NULL},
     "301 recipients in all; the limit for one message is 300. Remove 1."},
    {{RULE_RECIPIENTS_PER_FIELD, FIELD_TO, NULL, 100, 150, false, NULL, NULL, NULL, NULL, NULL},
     "150 recipients in To; the limit for one field is 100. Remove 50."},
    {{RULE_RECIPIENTS_PER_FIELD, FIELD_CC, NULL, 0, 2, false, NULL, NULL, NULL, NULL, NULL},
     "2 recipients in Cc; the limit for one field is 0. Remove 2."},
    {{RULE_RECIPIENTS_PER_FIELD, FIELD_BCC, NULL, 100, 101, false, NULL, NULL, NULL, NULL, NULL},
     "101 recipients in Bcc; the limit for one field is 100. Remove 1."},
    {{RULE_RECIPIENTS_PER_DOMAIN, -1, "x.test", 50, 57, false, NULL, NULL, NULL, NULL, NULL},
     "57 recipients at x.test; the limit is 50. Remove 7."},
    {{RULE_HEADER_CHARS_PER_DOMAIN, -1, "x.test", 2000, 2345, false, NULL, NULL, NULL, NULL, NULL},
     "The recipients at x.test take 2345 characters, names included; the limit is 2000. Remove "
     "recipients or shorten names by 345."},
    {{RULE_MESSAGES_PER_DAY, -1, NULL, 600, 601, false, NULL, NULL, NULL, NULL, NULL},
     "This would be message 601 of the last 24 hours; the limit is 600."},
    {{RULE_MESSAGES_PER_HOUR, -1, NULL, 300, 301, false, NULL, NULL, NULL, NULL, NULL},
     "This would be message 301 of the last hour; the limit is 300."},
    {{RULE_OFF_DOMAIN_PER_DAY, -1, NULL, 1000, 1010, false, NULL, NULL, NULL, NULL, NULL},
     "This would make 1010 recipients outside your domain in the last 24 hours; the limit is "
     "1000."},
    {{RULE_OFF_DOMAIN_PER_HOUR_PER_IP, -1, NULL, 500, 501, false, NULL, NULL, NULL, NULL, NULL},
     "This would make 501 recipients outside your domain from your network address in the last "
     "hour; the limit is 500."},
    {{RULE_OFF_DOMAIN_PER_DAY, -1, NULL, 1000, 1200, true, NULL, NULL, NULL, NULL, NULL},
     "This message alone has 1200 recipients outside your domain; the limit for 24 hours is 1000. "
     "Split it."},
    {{RULE_OFF_DOMAIN_PER_HOUR_PER_IP, -1, NULL, 500, 600, true, NULL, NULL, NULL, NULL, NULL},
     "This message alone has 600 recipients outside your domain; the limit for an hour is 500. "
     "Split it."},
    {{RULE_MESSAGES_PER_DAY, -1, NULL, 0, 1, true, NULL, NULL, NULL, NULL, NULL}, "This mailbox is not allowed to send."},
    {{RULE_MESSAGES_PER_HOUR, -1, NULL, 0, 4, true, NULL, NULL, NULL, NULL, NULL}, "This mailbox is not allowed to send."},
    {{RULE_OFF_DOMAIN_PER_DAY, -1, NULL, 0, 3, true, NULL, NULL, NULL, NULL, NULL},
     "This mailbox is not allowed to send outside its own domain."},
    {{RULE_RECIPIENT_BLOCKED, FIELD_CC, "x.test", 0, 1, false, "a&b@x.test", "staff", "It is a trap.",
      NULL, NULL},
     "Mail to a&b@x.test (Cc) is blocked: It is a trap. Remove this recipient."},
    {{RULE_RECIPIENT_BLOCKED, -1, "localhost", 0, 1, false, "root@localhost", "unroutable", NULL,
      NULL, NULL},
     "No mail can reach root@localhost: localhost has no mail server. Correct the address or remove "
     "it."},
    {{RULE_SENDER_BLOCKED, -1, NULL, 0, 1, false, NULL, "marketing", "No advertising.", NULL, NULL},
     "Mail from this mailbox is not accepted: No advertising."},
};

START_TEST(test_sentence)
{
    ck_assert_str_eq(verdict_reason_text(arena, catalogue, "en", &sentences[_i].objection), sentences[_i].text);
}
END_TEST

/* ---- the whole message ------------------------------------------------------------------- */

#define VOLUME                                                                                   \
    "The message was rejected for the following reason: Permanent Failure: Your ability to "     \
    "send new mail has been suspended as a high volume of suspicious mail has been sent from "   \
    "your account recently. Please contact your IT administrator"
#define TERMS                                                                                    \
    "The message was rejected for the following reason: Permanent Failure: Your account has "    \
    "been suspended for a violation of the terms of usage. Please contact your system "          \
    "administrator."
#define DRAFTS "Keep your messages as drafts until then"
#define PAUSED "Sending is paused until 2025-11-23 05:40 UTC. "
#define STOPPED "Sending is stopped until our support has talked to you. "
#define READING " Receiving and reading mail go on."
#define QUOTED(sentence) " Mail programs show: \xE2\x80\x9C" sentence "\xE2\x80\x9D"
#define ENDING " Details: " URL " Questions: support@example.test (reference 0000-0000-0001)"

#define SUSPENDED(the_cause, the_end, the_attempts)                                              \
    .suspensions.count = 1, .suspensions.of[0] = {.id = 1, .cause = the_cause, .since_ms = NOW, .until_ms = the_end,            \
                   .attempts = the_attempts}

static struct reason one_reason = {{0}, "One reason."};
static struct reason two_reasons[] = {{{0}, "First."}, {{0}, "Second."}};

static const struct {
    const char *name;
    struct verdict verdict;
    const char *message;
} messages[] = {
    {"admitted", {.kind = VERDICT_ADMIT, .reasons = &one_reason, .reason_count = 1}, ""},
    {"message", {.kind = VERDICT_MESSAGE, .reasons = two_reasons, .reason_count = 2},
     NOT_SENT " First. Second." ENDING},
    {"over time",
     {.kind = VERDICT_OVER_TIME, .reasons = &one_reason, .reason_count = 1,
      .retry_at_ms = NOW + 1},
     NOT_SENT " One reason. It can be sent from 2025-11-22 05:41 UTC on." ENDING},
    {"over time, on the minute",
     {.kind = VERDICT_OVER_TIME, .reasons = &one_reason, .reason_count = 1, .retry_at_ms = NOW},
     NOT_SENT " One reason. It can be sent from 2025-11-22 05:40 UTC on." ENDING},
    {"never", {.kind = VERDICT_OVER_TIME, .reasons = &one_reason, .reason_count = 1},
     NOT_SENT " One reason." ENDING},
    {"volume, brought",
     {.kind = VERDICT_SUSPENDED, .brought = true, .reasons = &one_reason, .reason_count = 1,
      .sentence = "S.", SUSPENDED(CAUSE_VOLUME, NOW + DAY_MS, 0)},
     PAUSED NOT_SENT " One reason. " DRAFTS "; for mail to many people use a newsletter "
     "service." READING ENDING QUOTED("S.")},
    {"volume, attempts",
     {.kind = VERDICT_SUSPENDED, SUSPENDED(CAUSE_VOLUME, NOW + DAY_MS, 9),
      .retries_before_restart = 10},
     PAUSED NOT_SENT " " DRAFTS "; for mail to many people use a newsletter service." READING
     " Attempts to send other messages meanwhile: 9; from attempt 10 on each one starts the pause"
     " anew."
     ENDING},
    {"failures", {.kind = VERDICT_SUSPENDED, SUSPENDED(CAUSE_FAILURES, NOW + DAY_MS, 0)},
     PAUSED NOT_SENT " " DRAFTS ", and talk to our support if you do not know the reason." READING
     ENDING},
    {"terms", {.kind = VERDICT_SUSPENDED, SUSPENDED(CAUSE_TERMS, UNTIL_LIFTED, 3)},
     STOPPED NOT_SENT " Talk to our support: they open sending again." READING ENDING},
    {"locked by its user",
     {.kind = VERDICT_SUSPENDED,
      .suspensions.count = 1, .suspensions.of[0] = {.id = 1, .cause = CAUSE_COMPROMISED, .since_ms = NOW,
                     .until_ms = UNTIL_LIFTED, .by = "user"}},
     "Sending was stopped (2025-11-22 05:40 UTC) by \xE2\x80\x9CThat wasn\xE2\x80\x99t me"
     "\xE2\x80\x9D on the status page of this mailbox. " STOPPED NOT_SENT " Change the password, "
     "then talk to our support: they open sending again once the mailbox is safe."
     READING ENDING},
    {"dry run",
     {.kind = VERDICT_SUSPENDED, .reasons = &one_reason, .reason_count = 1, .dry_run = true,
      .retry_at_ms = NOW},
     "This message would not be sent, and sending would be suspended. One reason." ENDING},
};

START_TEST(test_message)
{
    struct verdict verdict = messages[_i].verdict;
    verdict.submission = &submission;
    verdict.status_url = URL;
    verdict.decision = 1;
    const char *message = verdict_message(arena, catalogue, &verdict, "support@example.test");
    ck_assert_msg(strcmp(message, messages[_i].message) == 0, "%s: %s", messages[_i].name,
                  message);
}
END_TEST

/* What there is none of is not named. */
START_TEST(test_ending)
{
    struct verdict verdict = {.kind = VERDICT_MESSAGE, .submission = &submission,
                              .reasons = &one_reason, .reason_count = 1};
    ck_assert_str_eq(verdict_message(arena, catalogue, &verdict, ""), NOT_SENT " One reason.");
    verdict.status_url = URL;
    ck_assert_str_eq(verdict_message(arena, catalogue, &verdict, ""),
                     NOT_SENT " One reason. Details: " URL);
}
END_TEST

START_TEST(test_no_store)
{
    struct verdict verdict = {.kind = VERDICT_NO_STORE, .submission = &submission};
    const char *message = verdict_message(arena, catalogue, &verdict, "support@example.test");
    ck_assert_msg(strstr(message, "was not sent") != NULL, "%s", message);
    ck_assert_msg(strstr(message, "try again") != NULL, "%s", message);
}
END_TEST

/* ---- in other languages ------------------------------------------------------------------ */

static const struct {
    const char *lang, *not_sent, *paused;
} languages[] = {
    {"de", "Die Nachricht wurde nicht gesendet und wird auch später nicht von selbst gesendet.", "Das Senden ist bis 2025-11-23 05:40 UTC pausiert."},
    {"de-AT", "Die Nachricht wurde nicht gesendet und wird auch später nicht von selbst gesendet.", "bis 2025-11-23 05:40 UTC"},
    {"fr", "Le message n’a pas été envoyé et ne partira pas plus tard de lui-même.", "L’envoi est en pause ; fin : 2025-11-23 05:40 UTC."},
    {"es", "El mensaje no se ha enviado y no se enviará más tarde por sí solo.", "El envío está en pausa; termina: 2025-11-23 05:40 UTC."},
    {"tlh", NOT_SENT, "Sending is paused until 2025-11-23 05:40 UTC."},
};

START_TEST(test_language)
{
    struct verdict verdict = {.kind = VERDICT_MESSAGE, .submission = &submission};
    submission.lang = languages[_i].lang;
    rig_check_begins(verdict_message(arena, catalogue, &verdict, ""), languages[_i].not_sent);
    verdict = (struct verdict){.kind = VERDICT_SUSPENDED, .submission = &submission,
                               SUSPENDED(CAUSE_VOLUME, NOW + DAY_MS, 0)};
    verdict.sentence = verdict_provider_sentence(arena, catalogue, &verdict.suspensions.of[0]);
    const char *message = verdict_message(arena, catalogue, &verdict, "");
    const char *sentence = strstr(message, VOLUME "."), *state = strstr(message, languages[_i].paused);
    ck_assert_msg(state != NULL && sentence > state, "%s", message);
    /* quoted, and nothing behind it */
    ck_assert_msg(strlen(sentence) - strlen(VOLUME ".") <= 4, "%s", sentence);
    verdict.suspensions.of[0].cause = CAUSE_TERMS;
    verdict.sentence = verdict_provider_sentence(arena, catalogue, &verdict.suspensions.of[0]);
    rig_check_has(verdict_message(arena, catalogue, &verdict, ""), TERMS);
}
END_TEST

/* No sentence is missing and none loses its numbers, whatever is broken in whichever way. */
START_TEST(test_sentence_in_language)
{
    const struct objection *objection = &sentences[_i].objection;
    for (size_t i = 0; i < countof(languages) - 1; i++) {
        const char *text = verdict_reason_text(arena, catalogue,
                                               catalogue_language(catalogue,
                                                                  languages[i].lang), objection);
        ck_assert_str_ne(text, sentences[_i].text);
        ck_assert_str_ne(text, "");
        if (objection->rule < RULE_COUNT && (!objection->never_fits || objection->limit > 0)) {
            rig_check_has(text, arena_printf(arena, "%u", objection->count));
            rig_check_has(text, arena_printf(arena, "%u", objection->limit));
        }
        if (objection->domain != NULL)
            rig_check_has(text, objection->domain);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *cases = tcase_create("verdict");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_admitted);
    tcase_add_loop_test(cases, test_flags, 0, 4);
    tcase_add_test(cases, test_reasons_and_windows);
    tcase_add_loop_test(cases, test_suspension, 0, 2);
    tcase_add_test(cases, test_hostile_texts);
    tcase_add_loop_test(cases, test_sentence, 0, countof(sentences));
    tcase_add_loop_test(cases, test_message, 0, countof(messages));
    tcase_add_test(cases, test_ending);
    tcase_add_loop_test(cases, test_language, 0, countof(languages));
    tcase_add_loop_test(cases, test_sentence_in_language, 0, countof(sentences));
    tcase_add_test(cases, test_no_store);
    suite_add_tcase(suite, cases);
    return backends_run(suite);
}
