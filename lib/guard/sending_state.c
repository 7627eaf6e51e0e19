#include "guard/sending_state.h"

enum can_send sending_state_when_full(enum rule rule)
{
    return rule_table[rule].measure == MEASURE_MESSAGES ? CAN_SEND_NONE : CAN_SEND_OWN;
}

void sending_state_add_reason(struct sending_reasons *reasons, enum rule rule, bool never_fits,
                              int64_t limit)
{
    reasons->only_blocked =
        (reasons->count == 0 || reasons->only_blocked) && rule == RULE_RECIPIENT_BLOCKED;
    reasons->only_recipients = (reasons->count == 0 || reasons->only_recipients) &&
                               rule == RULE_MESSAGES_PER_DAY_PER_RECIPIENT && limit > 0;
    reasons->count++;
    reasons->to_split = reasons->to_split || (never_fits && limit > 0);
}

const char *sending_state(const struct suspension *suspension, enum can_send can_send,
                          enum verdict_kind kind, const struct sending_reasons *reasons)
{
    if (suspension->id != 0)
        return suspension->until_ms == UNTIL_LIFTED ? "stopped" : "paused";
    if (kind == VERDICT_BLOCKED)
        return "blocked";
    if (can_send == CAN_SEND_OWN)
        return "own";
    if (can_send == CAN_SEND_NONE)
        return "full";
    switch (kind) {
    case VERDICT_MESSAGE: return reasons->only_blocked ? "blocked_recipients" : "too_big";
    case VERDICT_SENDER_BLOCKED: return "sender_blocked";
    case VERDICT_IDENTITY: return "identity";
    case VERDICT_UNUSUAL: return "unusual";
    case VERDICT_ADMIT: return "ok";
    default:
        return reasons->to_split          ? "split"
               : reasons->only_recipients ? "recipients_full"
                                          : "over_time";
    }
}

bool sending_state_is_stolen(const struct suspension *suspension)
{
    return suspension->cause == CAUSE_COMPROMISED &&
           !suspension_is_own_lock(suspension->cause, suspension->by);
}

const char *sending_state_what_to_do(const struct suspension *suspension)
{
    if (sending_state_is_stolen(suspension))
        return "message.do_compromised";
    if (suspension_is_own_lock(suspension->cause, suspension->by))
        return "message.do_own_lock";
    if (suspension->until_ms == UNTIL_LIFTED)
        return "message.do_ask";
    return suspension->cause == CAUSE_VOLUME ? "message.do_volume" : "message.do_wait";
}

const char *sending_state_hint(enum failure_hint hint)
{
    static const char *const keys[FAILURE_HINT_COUNT] = {
        [FAILURE_HINT_LIST] = "hint.list", [FAILURE_HINT_FORM] = "hint.form",
        [FAILURE_HINT_PASSWORD] = "hint.password"};
    return keys[hint];
}

const char *sending_state_hint_to_do(enum failure_hint hint)
{
    static const char *const keys[FAILURE_HINT_COUNT] = {
        [FAILURE_HINT_NONE] = "message.do_wait", [FAILURE_HINT_LIST] = "failures.do.list",
        [FAILURE_HINT_FORM] = "failures.do.form", [FAILURE_HINT_PASSWORD] = "status.do.password"};
    return keys[hint];
}

const struct suspension *sending_state_moving(const struct suspensions *suspensions)
{
    const struct suspension *volume = suspension_find(suspensions, CAUSE_VOLUME);
    bool ends = volume != NULL && suspensions->of[0].until_ms != UNTIL_LIFTED;
    return ends ? volume : NULL;
}

const char *sending_state_cause(const struct suspension *suspension, struct arena *arena)
{
    bool own_lock = suspension_is_own_lock(suspension->cause, suspension->by);
    return arena_printf(arena, "cause.%s", own_lock ? "own_lock" : cause_names[suspension->cause]);
}

const char *sending_state_besides(const struct suspension *suspension)
{
    return suspension->until_ms == UNTIL_LIFTED ? "besides_stopped" : "besides_paused";
}
