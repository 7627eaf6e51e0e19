#include "parked/sender.h"

#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/json.h"
#include "base/log.h"
#include "parked/draft.h"
#include "parked/mail_link.h"

/* What the mail server refused for the time being is tried again after that, as by the webmail. */
#define SERVER_WAIT_MS HOUR_MS

enum { CLAIM_BYTES = 16, CLAIM_SIZE = 2 * CLAIM_BYTES + 1 };

struct sending {
    const struct desk *desk;
    const struct desk_parked_draft *parked;
    const struct settings *settings;
    struct arena *arena;
    struct mail_link *link;
    uint32_t uid;
    struct submission submission;
    struct draft draft;
    struct verdict verdict;
    char claim[CLAIM_SIZE];
};

static void end_sending(struct sending *sending)
{
    mail_link_free(&sending->link);
    draft_free(&sending->draft);
    arena_free(&sending->arena);
}

static enum sender_result tell(const struct sending *sending, enum sender_result result,
                               const char *what, const struct problem *problem)
{
    bool known = result == SENDER_SENT || result == SENDER_REFUSED || result == SENDER_OTHERS;
    log_line(known ? LOG_INFO_LEVEL : LOG_ERROR_LEVEL, what, "mailbox", sending->parked->mailbox,
             "id", sending->parked->id, "where", problem != NULL ? problem->where : NULL, "error",
             problem != NULL ? problem->text : NULL, NULL);
    return result;
}

/* ---- what the store has of it ----------------------------------------------------------- */

/* As desk_parked_act; at_ms 0 and decision 0: none. */
static int act(const struct sending *sending, const char *action, int64_t at_ms, uint64_t decision,
               int *status_r)
{
    struct problem problem = {0};
    struct json_object *view = NULL;
    freed_by(json_put) struct json_object *words = json_object_new_object();
    json_add_string(words, "action", action);
    json_add_string(words, "id", sending->parked->id);
    if (sending->claim[0] != '\0')
        json_add_string(words, "claim", sending->claim);
    if (at_ms != 0)
        json_add_moment(words, "at", at_ms);
    if (decision != 0)
        json_add_decision(words, "decision", decision);
    int done = desk_parked_act(sending->desk, sending->parked->mailbox, words, clock_wall_ms(),
                               &view, &problem);
    json_put(&view);
    if (status_r != NULL)
        *status_r = problem.status;
    return done;
}

/* ---- before the claim ------------------------------------------------------------------- */

static bool is_what_was_parked(const struct sending *sending, const struct text *message)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char digits[2 * sizeof hash + 1];
    crypto_hash_sha256(hash, (const unsigned char *)text_string(message), message->length);
    sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
    return strcmp(digits, sending->parked->digest) == 0;
}

/* The same id however often it is tried at this moment, here or at a visit: it counts once. */
static int begin_submission(struct sending *sending, struct problem *problem)
{
    const char *id = sending->parked->submission_id, *mailbox = sending->parked->mailbox;
    submission_init(&sending->submission, sending->arena, CHANNEL_WEBMAIL);
    return submission_set_id(&sending->submission, id, strlen(id), problem) &&
           submission_set_mailbox(&sending->submission, mailbox, strlen(mailbox), problem);
}

/* SENDER_SENT: go on. */
static enum sender_result read_draft(struct sending *sending, struct problem *problem)
{
    const struct desk_parked_draft *parked = sending->parked;
    freed_by(text_free) struct text message = {0};
    int got = mail_link_sign_in(sending->link, problem);
    if (got > 0)
        got = mail_link_find(sending->link, parked->drafts, parked->id, &sending->uid, problem);
    if (got == 0 && problem->text[0] == '\0')
        return tell(sending, SENDER_LEFT, "a parked message is not among the drafts", NULL);
    if (got > 0)
        got = mail_link_read(sending->link, parked->drafts, sending->uid, &message, problem);
    if (got < 1)
        return tell(sending, got < 0 ? SENDER_AWAY : SENDER_LEFT,
                    "a parked message cannot be read", problem);
    if (!is_what_was_parked(sending, &message))
        return tell(sending, SENDER_LEFT, "a parked message is not what was parked", NULL);
    if (begin_submission(sending, problem) < 1 ||
        draft_read(text_string(&message), message.length, clock_wall_ms(), &sending->submission,
                   &sending->draft, problem) < 1)
        return tell(sending, SENDER_LEFT, "a parked message is for a visit of its user", problem);
    return SENDER_SENT;
}

/* Where it will be kept, and who takes it. SENDER_SENT: go on. */
static enum sender_result make_ready(struct sending *sending, struct problem *problem)
{
    const char *folder = sending->parked->sent;
    int made = folder[0] == '\0' ? 1 : mail_link_make_folder(sending->link, folder, problem);
    if (made < 1)
        return tell(sending, made < 0 ? SENDER_AWAY : SENDER_LEFT,
                    "a parked message could not be kept in Sent", problem);
    return mail_link_open(sending->link, problem) > 0
               ? SENDER_SENT
               : tell(sending, SENDER_AWAY, "a parked message cannot be handed over", problem);
}

static enum sender_result refused_again(const struct sending *sending)
{
    const struct verdict *verdict = &sending->verdict;
    int deferred = act(sending, "defer", verdict->park_at_ms, verdict->decision, NULL);
    if (deferred < 0)
        return tell(sending, SENDER_AWAY, "the store does not answer", NULL);
    return tell(sending, deferred > 0 ? SENDER_REFUSED : SENDER_OTHERS,
                "a parked message is refused again", NULL);
}

static void give_back(const struct sending *sending)
{
    if (guard_refund(sending->desk->guard, sending->submission.mailbox, sending->submission.id,
                     clock_wall_ms()) < 0)
        tell(sending, SENDER_AWAY, "a parked message that was not sent stays counted", NULL);
}

/* SENDER_SENT: it may go, and is this one's. */
static enum sender_result judge_and_claim(struct sending *sending)
{
    int judged = guard_judge(sending->desk->guard, &sending->submission, false, clock_wall_ms(),
                             &sending->verdict);
    if (judged < 0 && sending->verdict.kind == VERDICT_ADMIT)
        give_back(sending); /* what is admitted without the store cannot be claimed */
    if (judged < 0 || sending->verdict.kind == VERDICT_NO_STORE)
        return tell(sending, SENDER_AWAY, "the store does not answer", NULL);
    if (sending->verdict.kind != VERDICT_ADMIT)
        return refused_again(sending);
    unsigned char bytes[CLAIM_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(sending->claim, sizeof sending->claim, bytes, sizeof bytes);
    enum { CONFLICT = 409 };
    int status, claimed = act(sending, "claim", 0, 0, &status);
    if (claimed > 0)
        return SENDER_SENT;
    if (claimed < 0)
        return tell(sending, SENDER_AWAY, "the store does not answer", NULL);
    if (status != CONFLICT && !sending->verdict.repeated)
        give_back(sending); /* nobody sends it now; a charge of another one is its own */
    return tell(sending, SENDER_OTHERS, "a parked message is seen to by another", NULL);
}

/* ---- behind it -------------------------------------------------------------------------- */

static enum sender_result not_taken(const struct sending *sending, const struct problem *problem)
{
    enum { FOR_GOOD = 500 };
    int64_t at_ms = problem->status < FOR_GOOD ? clock_wall_ms() + SERVER_WAIT_MS : 0;
    give_back(sending);
    if (act(sending, "defer", at_ms, 0, NULL) < 0)
        return tell(sending, SENDER_UNKNOWN, "a parked message stays claimed", problem);
    return tell(sending, SENDER_REFUSED, "a parked message is not taken by the mail server",
                problem);
}

static enum sender_result hand_over(struct sending *sending)
{
    struct problem problem = {0};
    int taken = mail_link_hand_over(sending->link, &sending->draft, &problem);
    if (taken == 0)
        return not_taken(sending, &problem);
    return taken > 0 ? SENDER_SENT
                     : tell(sending, SENDER_UNKNOWN, "a parked message may have been sent",
                            &problem);
}

/* Over quota Dovecot takes no other message, but the draft itself may be moved. Where neither is
 * done it stays: it is the only copy, and its user reads that it may have been sent. */
static enum sender_result put_away(struct sending *sending)
{
    const struct desk_parked_draft *parked = sending->parked;
    struct problem problem = {0};
    bool kept = parked->sent[0] == '\0' || mail_link_keep(sending->link, parked->sent,
                                                         &sending->draft.sent, &problem) > 0;
    if (!kept && mail_link_move(sending->link, parked->drafts, sending->uid, parked->sent,
                                &problem) < 0)
        return tell(sending, SENDER_UNKNOWN, "a parked message that was sent is not in Sent",
                    &problem);
    if (kept && mail_link_remove(sending->link, parked->drafts, sending->uid, &problem) < 0)
        tell(sending, SENDER_UNKNOWN, "a parked message that was sent is still among the drafts",
             &problem);
    if (act(sending, "sent", 0, 0, NULL) < 0)
        return tell(sending, SENDER_UNKNOWN, "a parked message that was sent stays listed", NULL);
    return tell(sending, SENDER_SENT, "a parked message is sent", NULL);
}

enum sender_result sender_send(const struct desk *desk, const struct desk_parked_draft *parked,
                               const _Atomic bool *ending)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(desk->guard);
    freed_by(end_sending) struct sending sending = {.desk = desk, .parked = parked,
                                                    .settings = snapshot_settings(snapshot),
                                                    .arena = arena_new()};
    struct problem problem = {0};
    sending.link = mail_link_new(sending.settings, parked->mailbox, ending, &problem);
    if (sending.link == NULL)
        return tell(&sending, SENDER_AWAY, "a parked message cannot be read", &problem);
    enum sender_result result = read_draft(&sending, &problem);
    if (result == SENDER_SENT)
        result = make_ready(&sending, &problem);
    if (result == SENDER_SENT)
        result = judge_and_claim(&sending);
    if (result == SENDER_SENT)
        result = hand_over(&sending);
    return result == SENDER_SENT ? put_away(&sending) : result;
}
