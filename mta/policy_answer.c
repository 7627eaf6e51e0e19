#include "mta/policy_answer.h"

#include <stdio.h>
#include <string.h>

#include "guard/block_list.h"
#include "guard/smtp_reply.h"

static void put(char answer_r[POLICY_ANSWER_SIZE], const char *action, const char *text)
{
    snprintf(answer_r, POLICY_ANSWER_SIZE, "action=%s %.*s\n\n", action,
             (int)POLICY_TEXT_MAX_BYTES, text);
}

void policy_answer(struct arena *arena, const struct catalogue *catalogue,
                   const struct verdict *verdict, const char *contact,
                   char answer_r[POLICY_ANSWER_SIZE])
{
    switch (verdict->kind) {
    case VERDICT_ADMIT:
        if (verdict_waits(verdict))
            put(answer_r, "HOLD",
                smtp_reply_held(arena, catalogue, verdict, POLICY_TEXT_MAX_BYTES));
        else
            strcpy(answer_r, POLICY_DUNNO);
        return;
    case VERDICT_NO_STORE:
        policy_answer_later(arena, catalogue, "message.no_store", answer_r);
        return;
    default:
        put(answer_r,
            verdict->kind == VERDICT_UNUSUAL   ? "451 4.7.1"
            : smtp_reply_defers(verdict)        ? "DEFER_IF_PERMIT 4.7.1"
            : verdict->kind == VERDICT_IDENTITY ? "553 5.7.1"
                                                : "REJECT 5.7.1",
            smtp_reply_line(arena, catalogue, verdict, contact, POLICY_TEXT_MAX_BYTES));
    }
}

void policy_answer_later(struct arena *arena, const struct catalogue *catalogue, const char *key,
                         char answer_r[POLICY_ANSWER_SIZE])
{
    const char *text = catalogue_text(catalogue, arena, "en", key, NULL);
    put(answer_r, "451 4.7.1", smtp_reply_plain(arena, text != NULL ? text : "Please try again later."));
}

void policy_answer_refuse(const char *text, char answer_r[POLICY_ANSWER_SIZE])
{
    put(answer_r, "REJECT 5.7.1", text);
}

static const char *recipient_action(const char *reason)
{
    static const struct {
        const char *reason, *action;
    } actions[] = {{BLOCK_UNROUTABLE, "REJECT 5.1.2"}, {"address_unknown", "REJECT 5.1.1"},
                   {"mailbox_off", "REJECT 5.2.1"},    {"mailbox_full", "REJECT 5.2.2"},
                   {BLOCK_PROBE, "DEFER_IF_PERMIT 4.2.0"}};
    for (size_t i = 0; i < countof(actions); i++)
        if (strcmp(actions[i].reason, reason) == 0)
            return actions[i].action;
    return "REJECT 5.7.1";
}

void policy_answer_recipient(struct arena *arena, const struct catalogue *catalogue,
                             const char *reason, const char *text, const char *contact,
                             char answer_r[POLICY_ANSWER_SIZE])
{
    put(answer_r, recipient_action(reason),
        smtp_reply_sentence(arena, catalogue, text, contact, POLICY_TEXT_MAX_BYTES));
}

void policy_answer_prepend(const char *header, const char *value,
                           char answer_r[POLICY_ANSWER_SIZE])
{
    int length = snprintf(answer_r, POLICY_ANSWER_SIZE, "action=PREPEND %s: %s\n\n", header, value);
    if (length > POLICY_ANSWER_MAX_BYTES)
        strcpy(answer_r, POLICY_DUNNO);
}
