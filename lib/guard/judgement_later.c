/* What a webmail may do for its user with a message that is refused: send it by itself later, or
 * split it. */
#include "guard/judgement.h"
#include "guard/verdict.h"

/* What ends by itself, and soon enough; never a lock, which is about who it is that sends. */
static int64_t park_at(const struct judgement *judgement)
{
    const struct verdict *verdict = judgement->verdict;
    bool ends = verdict->kind == VERDICT_OVER_TIME || verdict->kind == VERDICT_SUSPENDED ||
                verdict->kind == VERDICT_BLOCKED;
    return ends && judgement->settings->parked_per_mailbox > 0 &&
                   !suspension_has_lock(&verdict->suspensions) &&
                   verdict->retry_at_ms <= verdict->now_ms + PARKED_AHEAD_MS
               ? verdict->retry_at_ms
               : 0;
}

/* Whether nothing but how many recipients it has is wrong with it. */
static bool is_too_large(const struct judgement *judgement)
{
    for (size_t i = 0; i < judgement->objection_count; i++) {
        const struct objection *objection = &judgement->objections[i];
        if (objection_refuses(objection) && objection->rule != RULE_RECIPIENTS_PER_MESSAGE &&
            objection->rule != RULE_RECIPIENTS_PER_FIELD &&
            objection->rule != RULE_RECIPIENTS_PER_DOMAIN &&
            objection->rule != RULE_HEADER_CHARS_PER_DOMAIN)
            return false;
    }
    return judgement->verdict->kind == VERDICT_MESSAGE;
}

/* All its parts together fit into every window as it is now, or it is not split. */
static int32_t can_split(const struct judgement *judgement)
{
    const struct judge_result *result = &judgement->result;
    uint64_t messages = VERDICT_SPLIT_MAX;
    if (!is_too_large(judgement))
        return 0;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        const struct rule_info *rule = &rule_table[window->rule];
        uint64_t limit = window->limit > 0 ? (uint64_t)window->limit : 0;
        uint64_t left = limit > window->used_before ? limit - window->used_before : 0;
        if (window->limit == LIMIT_OFF || rule->subject == SUBJECT_RECIPIENT)
            continue; /* shown alone; each part has others */
        if (rule->measure == MEASURE_MESSAGES)
            messages = left < messages ? left : messages;
        else if (outcome_cost(window->rule, judgement_off_domain(judgement)) > left)
            messages = 0;
    }
    return messages > 1 ? (int32_t)messages : 0;
}

void judgement_fill_later(struct judgement *judgement)
{
    if (judgement->submission->channel != CHANNEL_WEBMAIL)
        return;
    judgement->verdict->park_at_ms = park_at(judgement);
    judgement->verdict->can_split = can_split(judgement);
}
