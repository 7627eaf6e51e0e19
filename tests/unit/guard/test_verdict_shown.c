/* What an answer says for a webmail's own pages: the status page's texts, in the reader's language
 * and time zone. */
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "guard/verdict_shown.h"
#include "guard/verdict_text.h"
#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"

#define FULL_OUTSIDE WITH("limits.webmail.off_domain_per_day=3", "on_limit.off_domain_per_day=refuse")

/* At NOW, 2025-11-22 05:40 UTC, a Saturday. */
static struct submission message_in(const char *id, int count, const char *language,
                                    const char *zone)
{
    struct problem problem;
    struct submission submission = rig_message(id, count);
    ck_assert_int_eq(submission_set_lang(&submission, language, strlen(language), &problem), 1);
    ck_assert_int_eq(submission_set_zone(&submission, zone, strlen(zone), &problem), 1);
    return submission;
}

static struct json_object *shown_of(const struct verdict *verdict)
{
    ck_assert_ptr_nonnull(verdict->shown);
    struct json_object *shown = json_read(verdict->shown);
    ck_assert_ptr_nonnull(shown);
    return shown;
}

static const char *text_of(struct json_object *list, size_t at)
{
    ck_assert_uint_lt(at, json_object_array_length(list));
    return json_object_get_string(json_object_array_get_idx(list, at));
}

static struct json_object *window_of_rule(struct json_object *shown, const char *rule)
{
    struct json_object *windows = json_member(shown, "windows");
    for (size_t i = 0; i < json_object_array_length(windows); i++) {
        struct json_object *window = json_object_array_get_idx(windows, i);
        if (strcmp(json_string(window, "rule", ""), rule) == 0)
            return window;
    }
    ck_abort_msg("no window %s", rule);
    return NULL;
}

START_TEST(test_suspended)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2"));
    rig_send("sent", 2, NOW, SECOND_MS);
    struct submission submission = message_in("over", 1, "en", "Europe/Berlin");
    struct verdict verdict = rig_judge(&submission, NOW + 2 * SECOND_MS);
    freed_by(json_put) struct json_object *shown = shown_of(&verdict);
    ck_assert_str_eq(json_string(shown, "state", ""), "paused");
    ck_assert_str_eq(json_string(shown, "headline", ""),
                     "Sending is paused until Sunday 06:41 (in 24 h)");
    ck_assert_str_eq(json_string(shown, "park_at", ""), "Sunday 06:41");
    ck_assert_str_eq(text_of(json_member(shown, "reasons"), 0),
                     "It would have been message 3 within 24 hours; the limit is 2.");
    struct json_object *window = window_of_rule(shown, "messages_per_day");
    ck_assert_str_eq(json_string(window, "name", ""), "Messages in 24 hours");
    ck_assert_str_eq(json_string(window, "used", ""), "2 of 2 used, 0 left");
    ck_assert_str_eq(text_of(json_member(window, "back"), 1),
                     "1 message: Sunday 06:41");
    rig_check_begins(json_string(shown, "sentence", ""), "The message was rejected");
    rig_check_has(verdict.message, "Sunday 06:41");
    rig_check_has_not(verdict.message, "UTC");
}
END_TEST

/* A number and its word agree. */
START_TEST(test_one_recipient_is_too_many)
{
    static const struct {
        const char *language, *one, *two;
    } texts[] = {{"en", "1 recipient in all;", "2 recipients in all;"},
                 {"de", "1 Empfänger insgesamt;", "2 Empfänger insgesamt;"},
                 {"fr", "1 destinataire en", "2 destinataires en"},
                 {"es", "1 destinatario en total;", "2 destinatarios en total;"}};
    rig_begin(_i, WITH("limits.webmail.recipients_per_message=0"));
    for (size_t i = 0; i < countof(texts); i++) {
        for (int count = 1; count <= 2; count++) {
            struct submission submission = message_in("1", count, texts[i].language, "UTC");
            struct verdict verdict = rig_ask(&submission, NOW);
            freed_by(json_put) struct json_object *shown = shown_of(&verdict);
            rig_check_begins(text_of(json_member(shown, "reasons"), 0),
                             count == 1 ? texts[i].one : texts[i].two);
        }
    }
}
END_TEST

/* To its user the recipients are named, with their fields and moments. */
START_TEST(test_recipients_full)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day_per_recipient=1"));
    struct submission first = message_in("1", 0, "de", "Europe/Berlin");
    rig_add(&first, FIELD_TO, "a@x.test, b@x.test");
    ck_assert_int_eq(rig_judge(&first, NOW).kind, VERDICT_ADMIT);
    struct submission second = message_in("2", 0, "de", "Europe/Berlin");
    rig_add(&second, FIELD_TO, "b@x.test");
    rig_add(&second, FIELD_CC, "a@x.test");
    struct verdict verdict = rig_judge(&second, NOW + HOUR_MS);
    freed_by(json_put) struct json_object *shown = shown_of(&verdict);
    ck_assert_str_eq(json_string(shown, "state", ""), "recipients_full");
    ck_assert_str_eq(json_string(shown, "headline", ""),
                     "Das Limit für einen Empfänger dieser Nachricht ist aufgebraucht");
    struct json_object *reasons = json_member(shown, "reasons");
    ck_assert_str_eq(text_of(reasons, 0),
                     "Das wäre in 24 Stunden Nachricht 2 an b@x.test (An); das Limit für einen "
                     "Empfänger ist 1. Die nächste ist ab Sonntag, 06:40 möglich.");
    rig_check_has(text_of(reasons, 1), " an a@x.test (Cc);");
    struct json_object *window = window_of_rule(shown, "messages_per_day_per_recipient");
    ck_assert_str_eq(json_string(window, "name", ""), "Nachrichten in 24 Stunden an einen Empfänger");
}
END_TEST

static void suspend(enum cause cause, const char *by, int64_t for_ms)
{
    const struct durations durations = {.count = 1, .ms = {for_ms}};
    const struct action action = {.now_ms = NOW + 3 * SECOND_MS, .by = by, .note = "because"};
    struct suspension made;
    ck_assert_int_eq(store_suspend(store, ALICE, cause, &durations, &action, &made), 1);
}

static void lift(enum cause cause)
{
    const struct action action = action_at(NOW + 4 * SECOND_MS);
    ck_assert_int_eq(store_lift(store, ALICE, cause, &action), 1);
}

/* The one that ends last is told, the others in a line, in both texts. */
START_TEST(test_several_suspensions)
{
    static const struct {
        const char *language, *headline, *beside, *lock;
    } texts[] = {
        {"en", "Sending is stopped until our support has talked to you",
         "Besides this, sending is paused until Sunday 06:41 (too much mail).",
         "Besides this, sending is stopped until our support has talked to you (stopped with "
         "“That wasn’t me”)."},
        {"de", "Senden ist gestoppt, bis unser Support mit Ihnen gesprochen hat",
         "Außerdem ist das Senden bis Sonntag, 06:41 pausiert (zu viele Nachrichten).",
         "Außerdem ist das Senden gestoppt, bis unser Support mit Ihnen gesprochen hat (mit „Das "
         "war ich nicht“ gestoppt)."},
    };
    rig_begin(_i, WITH("limits.webmail.messages_per_day=2"));
    rig_send("sent", 2, NOW, SECOND_MS);
    struct submission submission = message_in("over", 1, "en", "Europe/Berlin");
    ck_assert(rig_judge(&submission, NOW + 2 * SECOND_MS).brought);
    suspend(CAUSE_TERMS, "ada", UNTIL_LIFTED);
    suspend(CAUSE_COMPROMISED, "user", UNTIL_LIFTED);
    for (size_t i = 0; i < countof(texts); i++) {
        submission = message_in("next", 2, texts[i].language, "Europe/Berlin");
        struct verdict verdict = rig_ask(&submission, NOW + 4 * SECOND_MS);
        freed_by(json_put) struct json_object *shown = shown_of(&verdict);
        ck_assert_str_eq(json_string(shown, "state", ""), "stopped");
        ck_assert_str_eq(json_string(shown, "headline", ""), texts[i].headline);
        ck_assert_str_eq(text_of(json_member(shown, "lines"), 0), texts[i].lock);
        ck_assert_str_eq(text_of(json_member(shown, "lines"), 1), texts[i].beside);
        rig_check_has(verdict.message, texts[i].beside);
        rig_check_has(verdict.message, texts[i].lock);
        ck_assert_uint_eq(verdict.suspensions.count, 3);
    }
    lift(CAUSE_TERMS);
    lift(CAUSE_COMPROMISED);
    struct verdict verdict = rig_ask(&submission, NOW + 4 * SECOND_MS);
    freed_by(json_put) struct json_object *left = shown_of(&verdict);
    ck_assert_str_eq(json_string(left, "headline", ""),
                     "Senden ist pausiert bis Sonntag, 06:41 (in 24 Std.)");
    rig_check_has_not(verdict.message, "Außerdem");
}
END_TEST

/* Attempts move the end of `volume` where another one is told that has an end. */
START_TEST(test_attempts_beside)
{
    rig_begin(_i, WITH("suspension.retries_before_restart=2"));
    suspend(CAUSE_VOLUME, "ada", HOUR_MS);
    suspend(CAUSE_COMPLAINTS, "ada", DAY_MS);
    for (int attempt = 1; attempt <= 2; attempt++) {
        struct submission submission = message_in(arena_printf(arena, "%d", attempt), attempt, "en",
                                                  "UTC");
        struct verdict verdict = rig_judge(&submission, NOW + 4 * SECOND_MS);
        freed_by(json_put) struct json_object *shown = shown_of(&verdict);
        ck_assert_int_eq(verdict.suspensions.of[0].cause, CAUSE_COMPLAINTS);
        rig_check_has(verdict.message, "from attempt 2 on each one starts the pause anew");
        struct json_object *lines = json_member(shown, "lines");
        rig_check_has(text_of(lines, json_object_array_length(lines) - 1),
                      attempt == 1 ? "from attempt 2 on" : "each further message now starts");
    }
    suspend(CAUSE_TERMS, "ada", UNTIL_LIFTED);
    struct submission submission = message_in("x", 9, "en", "UTC");
    rig_check_has_not(rig_judge(&submission, NOW + 4 * SECOND_MS).message, "starts the pause anew");
}
END_TEST

/* Who may still write inside the own domain is not told that all is well. */
START_TEST(test_full_outside)
{
    rig_begin(_i, FULL_OUTSIDE);
    rig_send("sent", 3, NOW, SECOND_MS);
    struct submission submission = rig_submission("to-myself");
    struct problem problem;
    rig_add(&submission, FIELD_TO, ALICE);
    ck_assert_int_eq(submission_set_zone(&submission, "UTC", 3, &problem), 1);
    struct verdict verdict = rig_ask(&submission, NOW + 3 * SECOND_MS);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    freed_by(json_put) struct json_object *shown = shown_of(&verdict);
    ck_assert_str_eq(json_string(shown, "state", ""), "own");
    ck_assert_str_eq(json_string(shown, "headline", ""),
                     "Until Sunday 05:40 (in 24 h) you can send only inside your own domains");
    rig_check_has(text_of(json_member(shown, "lines"), 0), "recipients outside has no room");
    /* more than is left, while something is */
    rig_reload(WITH("limits.webmail.off_domain_per_day=4", "on_limit.off_domain_per_day=refuse"));
    submission = message_in("two", 2, "en", "UTC");
    verdict = rig_judge(&submission, NOW + 4 * SECOND_MS);
    freed_by(json_put) struct json_object *over = shown_of(&verdict);
    ck_assert_str_eq(json_string(over, "state", ""), "over_time");
    ck_assert_str_eq(text_of(json_member(over, "lines"), 1),
                     "This message can be sent from Sunday 05:40 on.");
}
END_TEST

START_TEST(test_all_is_well)
{
    rig_begin(_i, DEFAULTS);
    struct submission submission = message_in("first", 1, "en", "Nowhere/Never");
    ck_assert_str_eq(submission.zone, "UTC");
    struct verdict verdict = rig_ask(&submission, NOW);
    freed_by(json_put) struct json_object *shown = shown_of(&verdict);
    ck_assert_str_eq(json_string(shown, "headline", ""), "You can send");
    ck_assert_uint_eq(json_object_array_length(json_member(shown, "lines")), 0);
    ck_assert_ptr_null(json_member(shown, "sentence"));
    verdict = rig_judge(&submission, NOW); /* nobody shows anything for what is sent */
    ck_assert_ptr_null(verdict.shown);
    submission = rig_message("no zone", 51);
    verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_ptr_null(verdict.shown);
}
END_TEST

static void check_text(const char *language, const char *text)
{
    ck_assert_msg(text[0] != '\0' && strpbrk(text, "<>{}") == NULL, "%s: \"%s\"", language, text);
}

static void check_texts(const char *language, struct json_object *list)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        check_text(language, text_of(list, i));
}

/* Each language has each text, and none has markup in it. */
START_TEST(test_languages)
{
    static const char *const languages[] = {"en", "de", "fr", "es"};
    rig_begin(_i, FULL_OUTSIDE);
    rig_send("sent", 2, NOW, HOUR_MS);
    for (size_t i = 0; i < countof(languages); i++)
        for (int count = 1; count <= 51; count += 50) {
            struct submission submission = message_in("x", count, languages[i], "Asia/Tokyo");
            struct verdict verdict = rig_ask(&submission, NOW + 2 * HOUR_MS);
            freed_by(json_put) struct json_object *shown = shown_of(&verdict);
            check_text(languages[i], json_string(shown, "headline", ""));
            check_text(languages[i], json_string(shown, "back", ""));
            check_text(languages[i], json_string(shown, "rolling", ""));
            check_text(languages[i], json_string(shown, "quoted", ""));
            check_texts(languages[i], json_member(shown, "lines"));
            check_texts(languages[i], json_member(shown, "reasons"));
            struct json_object *windows = json_member(shown, "windows");
            for (size_t at = 0; at < json_object_array_length(windows); at++) {
                struct json_object *window = json_object_array_get_idx(windows, at);
                check_text(languages[i], json_string(window, "name", ""));
                check_text(languages[i], json_string(window, "used", ""));
                check_texts(languages[i], json_member(window, "back"));
            }
        }
}
END_TEST

/* A moment is a time, a weekday with it or a date with it: no sentence has an article before it that
 * fits only one of them. */
static const struct {
    const char *language, *paused, *this_from, *own_lock;
    const char *moments[3];
} sentences[] = {
    {"en", "Sending is paused until %s.", "This message can be sent from %s on.",
     "Sending was stopped (%s) by “That wasn’t me” on the status page of this mailbox.",
     {"09:00", "Sunday 09:00", "1 December 09:00"}},
    {"de", "Das Senden ist bis %s pausiert.", "Diese Nachricht kann ab %s gesendet werden.",
     "Das Senden wurde mit „Das war ich nicht“ auf der Statusseite dieses Postfachs gestoppt (%s).",
     {"09:00", "Sonntag, 09:00", "1. Dezember, 09:00"}},
    {"fr", "L’envoi est en pause ; fin : %s.",
     "Ce message pourra être envoyé à partir de : %s.",
     "L’envoi a été arrêté (%s) par « Ce n’était pas moi » sur la page d’état de cette boîte.",
     {"09:00", "dimanche 09:00", "1er décembre 09:00"}},
    {"es", "El envío está en pausa; termina: %s.",
     "Este mensaje podrá enviarse a partir de: %s.",
     "El envío se detuvo (%s) con «No fui yo» en la página de estado de este buzón.",
     {"09:00", "domingo 09:00", "1 de diciembre 09:00"}},
};

static void check_sentence(const char *message, const char *form, const char *moment)
{
    const char *place = strstr(form, "%s");
    rig_check_has(message, arena_printf(arena, "%.*s%s%s", (int)(place - form), form, moment,
                                        place + 2));
}

START_TEST(test_moments)
{
    const typeof(sentences[0]) *one = &sentences[_i];
    const int64_t at_nine_ms = NOW - NOW % DAY_MS + 9 * HOUR_MS; /* of the same day */
    static const int days[] = {0, 1, 9};
    rig_begin(0, DEFAULTS);
    freed_by(catalogue_free) struct catalogue *catalogue = rig_catalogue();
    for (size_t i = 0; i < countof(days); i++) {
        int64_t end_ms = at_nine_ms + days[i] * DAY_MS;
        struct submission submission = message_in("x", 1, one->language, "UTC");
        struct verdict verdict = {
            .kind = VERDICT_SUSPENDED, .submission = &submission, .now_ms = NOW,
            .retry_at_ms = end_ms,
            .suspensions.count = 1, .suspensions.of[0] = {.id = 1, .cause = CAUSE_VOLUME, .since_ms = NOW,
                           .until_ms = end_ms - MINUTE_MS}};
        check_sentence(verdict_message(arena, catalogue, &verdict, ""), one->this_from,
                       one->moments[i]);
        verdict.suspensions.of[0].until_ms = end_ms;
        check_sentence(verdict_message(arena, catalogue, &verdict, ""), one->paused,
                       one->moments[i]);
        verdict.suspensions.of[0] = (struct suspension){
            .id = 1, .cause = CAUSE_COMPROMISED, .since_ms = end_ms, .until_ms = UNTIL_LIFTED,
            .by = "user"};
        verdict.now_ms = end_ms + (end_ms - at_nine_ms);
        check_sentence(verdict_message(arena, catalogue, &verdict, ""), one->own_lock,
                       one->moments[i]);
        strcpy(verdict.suspensions.of[0].by, "sam");
        rig_check_has(verdict_message(arena, catalogue, &verdict, ""),
                      catalogue_text(catalogue, arena, one->language, "message.compromised", NULL));
    }
}
END_TEST

START_TEST(test_zone_of_no_use)
{
    rig_begin(_i, DEFAULTS);
    struct submission submission;
    struct problem problem;
    char name[ZONE_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    ck_assert_int_eq(submission_set_zone(&submission, name, ZONE_NAME_MAX + 1, &problem), 0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_int_eq(submission_set_zone(&submission, "", 0, &problem), 0);
    ck_assert_int_eq(submission_set_zone(&submission, "UTC\0x", 5, &problem), 0);
    ck_assert_int_eq(submission_set_zone(&submission, "../../etc/passwd", 16, &problem), 1);
    ck_assert_str_eq(submission.zone, "UTC");
}
END_TEST

/* ---- hints while it is written ------------------------------------------------------------- */

/* The hints of a message to so many at x.test, and of more that the case adds. */
static struct json_object *hints_of(struct submission *submission, int64_t now_ms)
{
    submission->hints = true;
    struct verdict verdict = rig_ask(submission, now_ms);
    freed_by(json_put) struct json_object *shown = shown_of(&verdict);
    return json_object_get(json_member(shown, "hints"));
}

static void check_hint(struct json_object *hints, size_t at, const char *field, const char *text)
{
    ck_assert_uint_lt(at, json_object_array_length(hints));
    struct json_object *hint = json_object_array_get_idx(hints, at);
    ck_assert_str_eq(json_string(hint, "text", ""), text);
    ck_assert_str_eq(json_string(hint, "field", "none"), field);
}

/* Each where it is to be mended: a field, a domain by its first recipient, From. */
START_TEST(test_hints_of_one_message)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_message=4", "identity.mode=enforce",
                       "limits.webmail.recipients_per_field=3",
                       "limits.webmail.recipients_per_domain=2"));
    struct problem problem;
    struct submission submission = message_in("1", 0, "en", "UTC");
    rig_add(&submission, FIELD_TO, "a@example.test, b@example.test, c@example.test, d@example.test");
    rig_add(&submission, FIELD_CC, "a@x.test, b@x.test, c@localhost");
    rig_add(&submission, FIELD_BCC, "c@x.test");
    ck_assert_int_eq(submission_set_from(&submission, "me@x.test", 9, &problem), 1);
    freed_by(json_put) struct json_object *hints = hints_of(&submission, NOW);
    rig_check_begins(json_string(json_object_array_get_idx(hints, 0), "text", ""),
                     "You are signed in as alice@example.test and may not write as me@x.test");
    ck_assert_str_eq(json_string(json_object_array_get_idx(hints, 0), "field", ""), "from");
    check_hint(hints, 1, "none", "8 of 4 recipients in all");
    check_hint(hints, 2, "to", "4 of 3 in To");
    check_hint(hints, 3, "cc", "3 of 2 at x.test");
    check_hint(hints, 4, "cc", "No mail can reach c@localhost (Cc): localhost has no mail server. "
                               "Correct the address or remove it.");
    ck_assert_str_eq(json_string(json_object_array_get_idx(hints, 4), "recipient", ""),
                     "c@localhost");
    ck_assert_uint_eq(json_object_array_length(hints), 5);
    rig_reload(WITH("guard.mode=observe", "limits.webmail.recipients_per_domain=2"));
    struct verdict verdict = rig_ask(&submission, NOW);
    freed_by(json_put) struct json_object *observed = shown_of(&verdict);
    ck_assert_msg(!rig_has(observed, "hints"), "what refuses nobody is no hint");
}
END_TEST

/* From four fifths on, and once there is no room that alone. */
START_TEST(test_hints_of_limits_over_time)
{
    rig_begin(_i, WITH("limits.webmail.messages_per_day=10", "limits.webmail.off_domain_per_day=10",
                       "on_limit.messages_per_day=refuse"));
    rig_send("sent", 7, NOW, SECOND_MS);
    struct submission submission = message_in("1", 0, "en", "UTC");
    freed_by(json_put) struct json_object *none = hints_of(&submission, NOW + MINUTE_MS);
    ck_assert_uint_eq(json_object_array_length(none), 0);
    rig_send("more", 1, NOW + MINUTE_MS, SECOND_MS);
    freed_by(json_put) struct json_object *few = hints_of(&submission, NOW + 2 * MINUTE_MS);
    check_hint(few, 0, "none", "2 messages left today");
    check_hint(few, 1, "none", "2 external recipients left today");
    ck_assert_uint_eq(json_object_array_length(few), 2);
    submission = message_in("2", 3, "de", "UTC");
    freed_by(json_put) struct json_object *over = hints_of(&submission, NOW + 2 * MINUTE_MS);
    check_hint(over, 0, "none", "Das wären 11 Empfänger außerhalb Ihrer Domain in den letzten "
                                "24 Stunden; das Limit ist 10.");
    check_hint(over, 1, "none", "Heute noch 2 Nachrichten");
    rig_send("last", 2, NOW + 2 * MINUTE_MS, SECOND_MS);
    submission = message_in("3", 3, "en", "UTC");
    freed_by(json_put) struct json_object *full = hints_of(&submission, NOW + 3 * MINUTE_MS);
    check_hint(full, 0, "none",
               "Your limit is used up until Sunday 05:40 (in 23 h 57 min). Drafts work.");
    ck_assert_uint_eq(json_object_array_length(full), 1);
}
END_TEST

/* While it is suspended what is wrong with the message is said too: it stays so. */
START_TEST(test_hints_of_a_suspension)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_field=2"));
    suspend(CAUSE_STAFF, "ada", DAY_MS);
    struct submission submission = message_in("1", 0, "de", "Europe/Berlin");
    rig_add(&submission, FIELD_BCC, "a@x.test, b@x.test, c@x.test");
    freed_by(json_put) struct json_object *hints = hints_of(&submission, NOW + 4 * SECOND_MS);
    check_hint(hints, 0, "none", "Senden ist pausiert bis Sonntag, 06:41 (in 24 Std.). "
                                 "Entwürfe können Sie weiter speichern.");
    check_hint(hints, 1, "bcc", "3 von 2 in „Bcc“");
    ck_assert_uint_eq(json_object_array_length(hints), 2);
}
END_TEST

/* Each language has a text for each rule. */
START_TEST(test_hints_in_each_language)
{
    static const char *const languages[] = {"en", "de", "fr", "es"};
    rig_begin(0, DEFAULTS);
    freed_by(catalogue_free) struct catalogue *catalogue = rig_catalogue();
    for (size_t i = 0; i < countof(languages); i++)
        for (int rule = 0; rule < RULE_COUNT; rule++) {
            bool left = rule >= RULE_FIRST_OVER_TIME;
            const char *text = catalogue_text(catalogue, arena, languages[i],
                                              arena_printf(arena, "hint.%s%s", left ? "left." : "",
                                                           rule_table[rule].name), NULL);
            ck_assert_msg(text != NULL, "%s: %s", languages[i], rule_table[rule].name);
            check_text(languages[i], text);
        }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("verdict shown");
    TCase *cases = rig_case(suite, "shown");
    tcase_add_loop_test(cases, test_suspended, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_recipient_is_too_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients_full, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several_suspensions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_attempts_beside, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_full_outside, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_all_is_well, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_languages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_moments, 0, (int)countof(sentences));
    tcase_add_loop_test(cases, test_zone_of_no_use, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hints_of_one_message, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hints_of_limits_over_time, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hints_of_a_suspension, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_hints_in_each_language);
    return suite;
}

int main(void) { return backends_run(suite()); }
