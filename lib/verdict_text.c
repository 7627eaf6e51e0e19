#include "verdict_text.h"

#include <time.h>

#include "decision.h"

/* ---- reasons ---------------------------------------------------------------- */

static const char *const field_titles[FIELD_COUNT] = {"To", "Cc", "Bcc"};

static const char *span_name(enum rule rule)
{
    return rule_table[rule].window_ms == HOUR_MS ? "the last hour" : "the last 24 hours";
}

static const char *never_text(struct arena *arena, const struct objection *objection)
{
    bool messages = rule_table[objection->rule].measure == MEASURE_MESSAGES;
    if (objection->limit == 0)
        return messages ? "This mailbox is not allowed to send."
                        : "This mailbox is not allowed to send outside its own domain.";
    return arena_printf(arena,
                        "This message alone has %u recipients outside your domain; the limit for "
                        "%s is %u. Split it.",
                        objection->count,
                        rule_table[objection->rule].window_ms == HOUR_MS ? "an hour" : "24 hours",
                        objection->limit);
}

static const char *over_time_text(struct arena *arena, const struct objection *objection)
{
    const struct rule_info *rule = &rule_table[objection->rule];
    if (objection->never_fits)
        return never_text(arena, objection);
    if (rule->measure == MEASURE_MESSAGES)
        return arena_printf(arena, "This would be message %u of %s; the limit is %u.",
                            objection->count, span_name(objection->rule), objection->limit);
    return arena_printf(
        arena, "This would make %u recipients outside your domain%s in %s; the limit is %u.",
        objection->count, rule->subject == SUBJECT_IP ? " from your network address" : "",
        span_name(objection->rule), objection->limit);
}

static const char *recipients(uint32_t count) { return count == 1 ? "recipient" : "recipients"; }

const char *reason_text(struct arena *arena, const struct objection *objection)
{
    uint32_t count = objection->count, limit = objection->limit, excess = count - limit;
    switch (objection->rule) {
    case RULE_RECIPIENTS_PER_MESSAGE:
        return arena_printf(arena, "%u %s in all; the limit for one message is %u. "
                                   "Remove %u.",
                            count, recipients(count), limit, excess);
    case RULE_RECIPIENTS_PER_FIELD:
        return arena_printf(arena, "%u %s in %s; the limit for one field is %u. Remove %u.",
                            count, recipients(count), field_titles[objection->field], limit, excess);
    case RULE_RECIPIENTS_PER_DOMAIN:
        return arena_printf(arena, "%u %s at %s; the limit is %u. Remove %u.", count,
                            recipients(count), objection->domain, limit, excess);
    case RULE_HEADER_CHARS_PER_DOMAIN:
        return arena_printf(arena, "The recipients at %s take %u characters, names included; the "
                                   "limit is %u. Remove recipients or shorten names by %u.",
                            objection->domain, count, limit, excess);
    default:
        return over_time_text(arena, objection);
    }
}

/* ---- the message --------------------------------------------------------------- */

/* The provider's sentences, to the letter: users search for them. */
static const char volume_sentence[] =
    "The message was rejected for the following reason: Permanent Failure: Your ability to send "
    "new mail has been suspended as a high volume of suspicious mail has been sent from your "
    "account recently. Please contact your IT administrator";
static const char terms_sentence[] =
    "The message was rejected for the following reason: Permanent Failure: Your account has been "
    "suspended for a violation of the terms of usage. Please contact your system administrator.";

/* For reading; minutes, rounded up. Doors that know the user's time zone use retry_at. */
static void add_moment(struct text *text, int64_t time_ms)
{
    time_t seconds = (time_t)((time_ms + MINUTE_MS - 1) / MINUTE_MS * 60);
    struct tm utc;
    char stamp[40];
    if (gmtime_r(&seconds, &utc) != NULL &&
        strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M UTC", &utc) > 0)
        text_add(text, stamp);
}

static void add_reasons(struct text *text, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->reason_count; i++) {
        text_add_char(text, ' ');
        text_add(text, verdict->reasons[i].text);
    }
}

static void add_suspension(struct text *text, const struct verdict *verdict)
{
    const struct suspension *suspension = &verdict->suspension;
    bool volume = suspension->cause == CAUSE_VOLUME || suspension->cause == CAUSE_FAILURES;
    text_add(text, volume ? volume_sentence : terms_sentence);
    if (volume)
        text_add_char(text, '.');
    add_reasons(text, verdict);
    if (suspension->id == 0) /* a dry run: it would be suspended */
        return;
    if (suspension->until_ms == UNTIL_LIFTED) {
        text_add(text, " Sending is stopped until support has talked to you.");
    } else {
        text_add(text, " Sending is paused until ");
        add_moment(text, suspension->until_ms);
        text_add_char(text, '.');
    }
    if (verdict->retry_at_ms > suspension->until_ms) { /* its windows have no room before */
        text_add(text, " This message can be sent from ");
        add_moment(text, verdict->retry_at_ms);
        text_add(text, " on.");
    }
    text_add(text, " Receiving and reading mail go on.");
    if (suspension->until_ms != UNTIL_LIFTED && suspension->attempts > 0)
        text_addf(text, " Attempts to send meanwhile: %u; from attempt %u on each one starts "
                        "the 24 hours anew.",
                  suspension->attempts, verdict->retries_before_restart);
}

static void add_ending(struct text *text, const struct verdict *verdict, const char *contact)
{
    char decision[DECISION_TEXT_SIZE];
    if (verdict->status_url != NULL)
        text_addf(text, " Details: %s", verdict->status_url);
    if (contact[0] != '\0')
        text_addf(text, " Questions: %s", contact);
    if (verdict->decision != 0) {
        decision_format(verdict->decision, decision);
        text_addf(text, " (reference %s)", decision);
    }
}

const char *verdict_message(struct arena *arena, const struct verdict *verdict,
                            const char *support_contact)
{
    freed_by(text_free) struct text text = {0};
    switch (verdict->ruling) {
    case RULING_ADMIT:
        return "";
    case RULING_NO_STORE:
        return "Sending is not possible for a moment, because the sending limits cannot be "
               "checked. The message was not sent; please try again in a minute.";
    case RULING_MESSAGE:
        text_add(&text, "The message was not sent.");
        add_reasons(&text, verdict);
        break;
    case RULING_OVER_TIME:
        text_add(&text, "The message was not sent.");
        add_reasons(&text, verdict);
        if (verdict->retry_at_ms != 0) {
            text_add(&text, " It can be sent from ");
            add_moment(&text, verdict->retry_at_ms);
            text_add(&text, " on.");
        }
        break;
    case RULING_SUSPENDED:
        add_suspension(&text, verdict);
        break;
    }
    add_ending(&text, verdict, support_contact);
    return arena_strdup(arena, text_string(&text));
}
