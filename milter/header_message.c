#include "milter/header_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/text.h"

struct kept_field {
    bool is_from;
    enum field field; /* else */
    const char *text; /* unfolded */
    size_t length;
};

struct header_message {
    struct arena *arena;
    struct submission submission;
    struct header_matters matters;
    struct kept_field fields[HEADER_FIELDS_MAX];
    size_t field_count, kept_bytes;
    const char **envelope; /* key forms */
    size_t envelope_count, envelope_room;
    bool too_much; /* of fields */
    bool null_sender;
    int64_t began_ms;
};

/* ---- who sends ------------------------------------------------------------------------------- */

/* As the policy service lets it pass. */
static bool passes(const struct settings *settings, const struct header_sender *sender)
{
    return sender->user[0] == '\0' ||
           (settings->mta_exempt_networks.count > 0 &&
            settings_network_holds(&settings->mta_exempt_networks, sender->client));
}

/* 1; 0 the user's name is no mailbox, which the policy service tells. */
static int take_sender(const struct settings *settings, const struct header_sender *sender,
                       struct submission *submission)
{
    struct problem unimportant;
    size_t length = strlen(sender->address);
    if (submission_set_mailbox(submission, sender->user, strlen(sender->user), &unimportant) < 1)
        return 0;
    submission->by_header = true;
    submission->webmail_host = settings->mta_webmail_hosts.count > 0 &&
                               settings_network_holds(&settings->mta_webmail_hosts, sender->client);
    if (!submission->webmail_host &&
        submission_set_ip(submission, sender->client, strlen(sender->client), &unimportant) < 1)
        submission->ip = NULL;
    if (length < 2 || submission_set_from(submission, sender->address + 1, length - 2,
                                          &unimportant) < 1)
        submission->from = NULL;
    return 1;
}

int header_message_begin(struct header_service *service, const struct header_sender *sender,
                         int64_t now_ms, struct header_message **message_r)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(service->guard);
    const struct settings *settings = snapshot_settings(snapshot);
    if (passes(settings, sender))
        return 0;
    freed_by(header_message_free) struct header_message *message = xcalloc(1, sizeof *message);
    message->arena = arena_new();
    message->began_ms = now_ms;
    submission_init(&message->submission, message->arena, CHANNEL_SMTP);
    if (take_sender(settings, sender, &message->submission) < 1)
        return 0;
    message->matters = guard_header_matters(service->guard, &message->submission, now_ms);
    message->null_sender = strcmp(sender->address, "<>") == 0;
    if (settings->mta_null_sender == NULL_SENDER_PASS && message->null_sender)
        message->matters.fields = false;
    if (!message->matters.fields && !message->matters.from)
        return 0;
    *message_r = message;
    message = NULL;
    return 1;
}

void header_message_free(struct header_message **message)
{
    if (*message == NULL)
        return;
    arena_free(&(*message)->arena);
    free(*message);
    *message = NULL;
}

/* ---- what comes in --------------------------------------------------------------------------- */

void header_message_add_recipient(struct header_message *message, const char *recipient)
{
    struct problem unimportant;
    size_t length = strlen(recipient);
    const char *key;
    if (message->envelope_count == HEADER_ENVELOPE_MAX || length < 2 || recipient[0] != '<' ||
        address_key(message->arena, recipient + 1, length - 2, &key, &unimportant) < 1)
        return; /* of the machine itself; or more than the policy service takes */
    if (message->envelope_count == message->envelope_room) {
        size_t room = message->envelope_room > 0 ? message->envelope_room * 2 : 16;
        const char **more = arena_alloc(message->arena, room * sizeof *more);
        if (message->envelope_count > 0)
            memcpy(more, message->envelope, message->envelope_count * sizeof *more);
        message->envelope = more;
        message->envelope_room = room;
    }
    message->envelope[message->envelope_count++] = key;
}

/* Without the line breaks before white space (RFC 5322 section 2.2.3). Others stay, and are refused
 * where the field is read. */
static size_t unfold(const char *value, char *text)
{
    size_t length = 0;
    for (const char *at = value; *at != '\0'; at++) {
        const char *next = at + (at[0] == '\r' && at[1] == '\n');
        if (*next == '\n' && (next[1] == ' ' || next[1] == '\t'))
            at = next;
        else
            text[length++] = *at;
    }
    text[length] = '\0';
    return length;
}

/* What Postfix writes where a message without a sender has no From. */
static bool is_postfixs_own(const struct header_message *message, const char *from)
{
    return message->null_sender && strcmp(from + strspn(from, " \t"), "MAILER-DAEMON") == 0;
}

void header_message_add_field(struct header_message *message, const char *name, const char *value)
{
    size_t length = strlen(value);
    bool is_from = strcasecmp(name, "From") == 0, is_to = strcasecmp(name, "To") == 0;
    if (is_from ? !message->matters.from || is_postfixs_own(message, value)
                : !message->matters.fields || (!is_to && strcasecmp(name, "Cc") != 0))
        return;
    if (message->field_count == HEADER_FIELDS_MAX ||
        length > HEADER_KEPT_MAX_BYTES - message->kept_bytes) {
        message->too_much = true;
        return;
    }
    char *text = arena_alloc(message->arena, length + 1);
    message->kept_bytes += length;
    message->fields[message->field_count++] = (struct kept_field){
        .is_from = is_from, .field = is_to ? FIELD_TO : FIELD_CC, .text = text,
        .length = unfold(value, text)};
}

/* ---- the addresses of the header ------------------------------------------------------------ */

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Those of the envelope that no field names. */
static int add_blind_copies(struct header_message *message, struct problem *problem)
{
    struct submission *submission = &message->submission;
    size_t named = submission->recipient_count;
    const char **keys = arena_alloc(message->arena, (named + 1) * sizeof *keys);
    for (size_t i = 0; i < named; i++)
        keys[i] = submission->recipients[i].address;
    qsort(keys, named, sizeof *keys, compare_keys);
    for (size_t i = 0; i < message->envelope_count; i++)
        if (bsearch(&message->envelope[i], keys, named, sizeof *keys, compare_keys) == NULL &&
            submission_add_key(submission, FIELD_BCC, message->envelope[i], problem) < 1)
            return 0;
    return 1;
}

static int read_recipients(struct header_message *message, struct problem *problem)
{
    if (message->too_much)
        return problem_set(problem, 413, "header", "expected at most %d fields and %d bytes",
                           HEADER_FIELDS_MAX, HEADER_KEPT_MAX_BYTES);
    for (size_t i = 0; i < message->field_count; i++) {
        const struct kept_field *field = &message->fields[i];
        if (!field->is_from &&
            submission_add_recipients(&message->submission, field->field, field->text,
                                      field->length, problem) < 1)
            return 0;
    }
    return add_blind_copies(message, problem);
}

/* Where the header has From, it takes the place of the envelope's sender, which the policy service
 * has judged. */
static int read_from(struct header_message *message, struct problem *problem)
{
    struct submission *submission = &message->submission;
    const char *of_envelope = submission->from;
    submission->from = NULL;
    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].is_from &&
            submission_add_from(submission, message->fields[i].text, message->fields[i].length,
                                problem) < 1) {
            submission->from = of_envelope;
            submission->further_from_count = 0;
            return 0;
        }
    if (submission->from == NULL)
        submission->from = of_envelope;
    return 1;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* Two programs could read different recipients in it. */
static enum header_answer refuse_unreadable(struct header_service *service,
                                            struct header_message *message,
                                            const struct snapshot *snapshot,
                                            const struct mail_transaction *transaction,
                                            const struct problem *problem, bool observes,
                                            int64_t now_ms,
                                            struct smtp_reply_lines *lines_r)
{
    const struct catalogue *catalogue = snapshot_catalogue(snapshot);
    const struct settings *settings = snapshot_settings(snapshot);
    observes = observes || settings->guard_mode == MODE_OBSERVE;
    bool ticket_excuses = !message->too_much && strcmp(problem->where, "from") != 0;
    int taken = observes ? 1 : guard_take_back(service->guard, &message->submission,
                                               transaction, ticket_excuses, now_ms);
    store_watch_saw(&service->store_watch, service->store, taken);
    if (taken == 0)
        return HEADER_PASS;
    log_line(LOG_WARNING_LEVEL, "a header cannot be read", "channel", channel_names[CHANNEL_SMTP],
             "mailbox", message->submission.mailbox, "queue_id", transaction->queue_id, "where",
             problem->where, "observed", observes ? "1" : NULL, NULL);
    const char *not_sent = catalogue_text(catalogue, message->arena, "en", "message.not_sent",
                                          NULL);
    const char *text = arena_printf(message->arena,
                                    "%s Its header cannot be read: %s: %s.",
                                    not_sent != NULL ? not_sent : "", problem->where,
                                    problem->text);
    *lines_r = (struct smtp_reply_lines){
        smtp_reply_sentence(message->arena, catalogue, text, "", HEADER_REPLY_MAX_BYTES),
        smtp_reply_sentence(message->arena, catalogue, "", settings->support_contact,
                            HEADER_REPLY_MAX_BYTES)};
    return observes ? HEADER_PASS : HEADER_REFUSE;
}

static void log_verdict(const struct verdict *verdict, const char *queue_id)
{
    char decision[DECISION_TEXT_SIZE], recipients[TEXT_DIGITS_SIZE];
    const struct submission *submission = verdict->submission;
    decision_format(verdict->decision, decision);
    log_line(LOG_WARNING_LEVEL, "decision", "channel", channel_names[submission->channel],
             "decision", verdict->decision != 0 ? decision : NULL, "verdict",
             verdict_labels[verdict_label(verdict)], "mailbox", submission->mailbox, "ip",
             submission->ip, "queue_id", queue_id, "recipients",
             text_digits(recipients, (int64_t)submission->recipient_count), "rule",
             verdict_rule(verdict), "by", "milter", NULL);
}

enum header_answer header_message_judge(struct header_service *service,
                                        struct header_message *message, const char *queue_id,
                                        int64_t now_ms, struct smtp_reply_lines *lines_r)
{
    struct submission *submission = &message->submission;
    struct problem problem;
    struct verdict verdict;
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(service->guard);
    const struct mail_transaction transaction = {queue_id, message->began_ms};
    const char *id = arena_printf(message->arena, "%s/header", queue_id);
    if (submission_set_id(submission, id, strlen(id), &problem) < 1)
        submission_make_id(submission);
    if (read_recipients(message, &problem) < 1 &&
        refuse_unreadable(service, message, snapshot, &transaction, &problem, false, now_ms,
                          lines_r) == HEADER_REFUSE)
        return HEADER_REFUSE;
    if (read_from(message, &problem) < 1 &&
        refuse_unreadable(service, message, snapshot, &transaction, &problem,
                          !message->matters.from_refuses, now_ms, lines_r) == HEADER_REFUSE)
        return HEADER_REFUSE;
    int64_t began_us = clock_monotonic_us();
    int answered = guard_judge_header(service->guard, submission, &transaction, now_ms, &verdict);
    if (verdict.kind == VERDICT_ADMIT && !verdict.observed)
        return HEADER_PASS;
    if (service->recorder != NULL)
        recorder_judged(service->recorder, &verdict, answered, clock_monotonic_us() - began_us);
    store_watch_saw(&service->store_watch, service->store, answered);
    log_verdict(&verdict, queue_id);
    if (verdict.kind == VERDICT_ADMIT)
        return HEADER_PASS;
    *lines_r = smtp_reply_two_lines(message->arena, snapshot_catalogue(snapshot), &verdict,
                                    snapshot_settings(snapshot)->support_contact,
                                    HEADER_REPLY_MAX_BYTES);
    return HEADER_REFUSE;
}
