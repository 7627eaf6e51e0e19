/* From what the store answered to the verdict: reasons, windows, and from when on it will pass. */
#include "guard/judgement.h"
#include "guard/sending_state.h"
#include "guard/shadow.h"
#include "guard/verdict_text.h"

static bool is_of_recipients(const struct outcome_window *window)
{
    return rule_table[window->rule].subject == SUBJECT_RECIPIENT;
}

/* What the store told of a window. */
static const struct history *history_of(const struct judge_result *result,
                                        const struct outcome_window *window)
{
    return is_of_recipients(window) ? &result->of_recipient
                                    : &result->histories[rule_table[window->rule].subject];
}

static uint32_t cost_of(const struct judgement *judgement, enum rule rule)
{
    return outcome_cost(rule, judgement_off_domain(judgement));
}

const char *judgement_reason_text(const struct judgement *judgement,
                                  const struct objection *objection)
{
    const char *language =
        catalogue_language(judgement->catalogue, judgement->submission->lang);
    return verdict_reason_text(judgement->arena, judgement->catalogue, language, objection);
}

bool judgement_is_rejected(const struct judgement *judgement)
{
    for (size_t i = 0; i < judgement->objection_count; i++)
        if (objection_refuses(&judgement->objections[i]))
            return true;
    return false;
}

static void add_reason(struct judgement *judgement, const struct objection *objection)
{
    judgement->verdict->reasons[judgement->verdict->reason_count++] = (struct reason){
        .objection = *objection,
        .text = judgement_reason_text(judgement, objection),
    };
}

static void fill_block(struct judgement *judgement)
{
    struct verdict_block *block = &judgement->verdict->block;
    const struct catalogue *catalogue = judgement->catalogue;
    if (judgement->result.block.until_ms == 0)
        return;
    block->in_force = judgement->result.block;
    block->domain = judgement->request.domain;
    block->percent = judgement->settings->failures.percent;
    block->text = verdict_block_text(judgement->arena, catalogue,
                                     catalogue_language(catalogue, judgement->submission->lang),
                                     block);
}

/* Each recipient that has no room, with its field, which the mail server does not know, and until when
 * where there are several. */
static void add_recipients(struct judgement *judgement, const struct outcome_window *window)
{
    const struct judge_result *result = &judgement->result;
    const struct submission *submission = judgement->submission;
    bool has_fields = submission->channel == CHANNEL_WEBMAIL;
    for (size_t i = 0; i < result->over_count; i++) {
        const struct judge_recipient *over = &result->over[i];
        const struct recipient *recipient = judgement->recipients[over->place];
        struct objection objection = {.rule = window->rule, .limit = (uint32_t)window->limit,
                                      .field = has_fields ? (int)recipient->field : -1,
                                      .count = (uint32_t)over->used + 1,
                                      .recipient = recipient->address};
        if (result->over_count > 1)
            objection.until = verdict_moment_text(judgement->arena, judgement->catalogue,
                                                  submission, result->at_ms, over->fits_ms);
        add_reason(judgement, &objection);
    }
}

/* Reasons in order: rules of the message, then windows that are over. A rejected
 * message is told of its own faults alone; it would be judged anew once mended. */
static void fill_reasons(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    verdict->reasons = arena_alloc(judgement->arena, (judgement->objection_count +
                                                      result->window_count + result->over_count) *
                                                         sizeof verdict->reasons[0]);
    for (size_t i = 0; i < judgement->objection_count; i++)
        if (objection_refuses(&judgement->objections[i]) || outcome_passes(result->outcome))
            add_reason(judgement, &judgement->objections[i]);
    if (judgement_is_rejected(judgement) && !judgement->request.observe)
        return;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        uint32_t cost = cost_of(judgement, window->rule);
        bool never_fits = !window_fits(0, cost, window->limit);
        if (window->over && !never_fits && is_of_recipients(window))
            add_recipients(judgement, window);
        else if (window->over)
            add_reason(judgement, &(struct objection){
                                      .rule = window->rule,
                                      .field = -1,
                                      .limit = (uint32_t)window->limit,
                                      .count = never_fits
                                                   ? cost
                                                   : (uint32_t)(window->used_before + cost),
                                      .never_fits = never_fits,
                                  });
    }
}

/* Step by step what comes back, or, where the store told no history, in one step: when all of it
 * will have come back. */
static void fill_windows(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        const struct rule_info *rule = &rule_table[window->rule];
        struct verdict_window *shown = &verdict->windows[verdict->window_count++];
        bool counted = result->outcome == OUTCOME_ADMITTED && !judgement->request.dry_run;
        *shown = (struct verdict_window){
            .rule = window->rule,
            .limit = window->limit,
            .used = window->used_before + (counted ? cost_of(judgement, window->rule) : 0),
        };
        if (history_of(result, window)->count > 0)
            shown->refill_count =
                window_refill(history_of(result, window), rule->measure, rule->window_ms,
                              result->at_ms, shown->refill, REFILL_STEPS);
        else if (shown->used > 0) {
            shown->refill[0] =
                (struct refill){.at_ms = result->at_ms + rule->window_ms, .count = shown->used};
            shown->refill_count = 1;
        }
    }
}

/* When the window takes one more; WINDOW_NEVER. Where no history came, the window holds this
 * message alone, or has room. */
static int64_t when_one_more(const struct judgement *judgement, size_t index)
{
    const struct judge_result *result = &judgement->result;
    const struct outcome_window *window = &result->windows[index];
    const struct rule_info *rule = &rule_table[window->rule];
    const struct history *history = history_of(result, window);
    if (window->limit == 0)
        return WINDOW_NEVER;
    return history->count > 0 ? window_when_fits(history, rule->measure, rule->window_ms,
                                                 window->limit, 1, result->at_ms)
                              : result->at_ms + rule->window_ms;
}

/* What the mailbox can send next, whatever became of this message. */
static void fill_can_send(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    int64_t latest_ms = 0;
    if (judgement->request.observe)
        return;
    for (size_t i = 0; i < result->window_count; i++) {
        if (window_fits(verdict->windows[i].used, 1, result->windows[i].limit) ||
            (is_of_recipients(&result->windows[i]) && result->windows[i].limit > 0))
            continue; /* others have room */
        enum can_send can_send = sending_state_when_full(result->windows[i].rule);
        if (can_send > verdict->can_send)
            verdict->can_send = can_send;
        int64_t at_ms = when_one_more(judgement, i);
        if (at_ms > latest_ms)
            latest_ms = at_ms;
    }
    if (verdict->suspensions.count > 0) {
        verdict->can_send = CAN_SEND_NONE;
        if (verdict->suspensions.of[0].until_ms == UNTIL_LIFTED)
            latest_ms = WINDOW_NEVER;
        else if (verdict->suspensions.of[0].until_ms > latest_ms)
            latest_ms = verdict->suspensions.of[0].until_ms;
    }
    if (result->block.until_ms != 0) {
        verdict->can_send = CAN_SEND_NONE;
        if (result->block.until_ms > latest_ms)
            latest_ms = result->block.until_ms;
    }
    verdict->can_send_at_ms = latest_ms == WINDOW_NEVER ? 0 : latest_ms;
}

/* The first moment at which no block holds and every window would take the message; 0 never. */
static int64_t when_fits(const struct judgement *judgement)
{
    const struct judge_result *result = &judgement->result;
    int64_t until_ms = result->block.until_ms;
    int64_t latest_ms = until_ms > result->at_ms ? until_ms : result->at_ms;
    for (size_t i = 0; i < result->window_count; i++) {
        const struct outcome_window *window = &result->windows[i];
        const struct rule_info *rule = &rule_table[window->rule];
        if (!window->over)
            continue;
        int64_t fits_ms =
            window_when_fits(history_of(result, window), rule->measure, rule->window_ms,
                             window->limit, cost_of(judgement, window->rule), result->at_ms);
        if (fits_ms == WINDOW_NEVER)
            return 0;
        if (fits_ms > latest_ms)
            latest_ms = fits_ms;
    }
    return latest_ms;
}

/* When a suspended mailbox may send this message: a suspension can end before
 * the windows have room again. 0 never, or when staff says so. */
static int64_t when_passes(const struct judgement *judgement)
{
    const struct suspension *suspension = &judgement->verdict->suspensions.of[0];
    int64_t fits_ms = when_fits(judgement);
    if (suspension->id == 0) /* a dry run: it would be suspended */
        return fits_ms;
    if (suspension->until_ms == UNTIL_LIFTED)
        return 0;
    return suspension->until_ms > fits_ms ? suspension->until_ms : fits_ms;
}

/* A message of a webmail host without a ticket was not judged by the webmail endpoint. Where the
 * mailbox was suspended before, or From refuses it, nobody looked for one. */
static bool has_bypassed(const struct judgement *judgement)
{
    const struct judge_result *result = &judgement->result;
    bool unknown = result->outcome == OUTCOME_REPEATED ||
                   (result->outcome == OUTCOME_SUSPENDED && !result->brought);
    const struct submission *submission = judgement->submission;
    return submission->webmail_host && !submission->by_header &&
           !judgement_refuses_from(judgement) && result->outcome != OUTCOME_REDEEMED && !unknown;
}

/* Of a message that the objections refuse. */
static enum verdict_kind kind_of_objections(const struct judgement *judgement)
{
    enum verdict_kind kind = VERDICT_MESSAGE;
    for (size_t i = 0; i < judgement->objection_count; i++) {
        const struct objection *objection = &judgement->objections[i];
        if (objection->rule == RULE_SENDER_BLOCKED)
            return VERDICT_SENDER_BLOCKED;
        if (objection->from != NULL && objection_refuses(objection))
            kind = VERDICT_IDENTITY;
    }
    return kind;
}

static void fill_kind(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    verdict->repeated = result->outcome == OUTCOME_REPEATED;
    verdict->redeemed = result->outcome == OUTCOME_REDEEMED;
    verdict->bypassed = has_bypassed(judgement);
    switch (result->outcome) {
    case OUTCOME_REJECTED:
        verdict->kind = kind_of_objections(judgement);
        break;
    case OUTCOME_OVER:
        verdict->kind = VERDICT_OVER_TIME;
        verdict->retry_at_ms = when_fits(judgement);
        break;
    case OUTCOME_SUSPENDED:
        verdict->kind = VERDICT_SUSPENDED;
        verdict->retry_at_ms = when_passes(judgement);
        break;
    case OUTCOME_BLOCKED:
        verdict->kind = VERDICT_BLOCKED;
        verdict->sentence = verdict_block_sentence(judgement->arena, judgement->catalogue,
                                                   verdict->block.domain);
        verdict->retry_at_ms = when_fits(judgement);
        break;
    case OUTCOME_UNUSUAL:
        verdict->kind = VERDICT_UNUSUAL;
        verdict->retry_at_ms = result->at_ms + HOUR_MS;
        break;
    default:
        verdict->kind = VERDICT_ADMIT;
        verdict->observed = !verdict->repeated &&
                            (verdict->reason_count > 0 ||
                             (judgement->request.observe && (result->suspensions.count > 0 ||
                                                             result->block.until_ms != 0)));
    }
}

/* Compares what was counted with the shadow rules, and leaves the windows that it is held against. */
static void fill_shadow(struct judgement *judgement)
{
    struct judge_result *result = &judgement->result;
    for (size_t i = 0; i < result->window_count && result->outcome == OUTCOME_ADMITTED; i++) {
        struct outcome_window window = result->windows[i];
        window.limit = shadow_limit(judgement->settings, &judgement->limits,
                                    judgement->submission->channel, window.rule);
        judgement->verdict->shadow_over[window.rule - RULE_FIRST_OVER_TIME] =
            outcome_window_over(&window, judgement_off_domain(judgement));
    }
    if (result->window_count > judgement->held_windows)
        result->window_count = judgement->held_windows;
}

void judgement_fill_verdict(struct judgement *judgement)
{
    struct verdict *verdict = judgement->verdict;
    const struct judge_result *result = &judgement->result;
    fill_shadow(judgement);
    verdict->decision = result->decision;
    verdict->domain_key = judgement->request.group;
    verdict->brought = result->brought;
    verdict->ahead_ms = result->ahead_ms;
    verdict->block_damaged = result->block_damaged;
    verdict->from_unknown = judgement->from_unknown;
    verdict->unusual = result->unusual;
    if (result->suspensions.count > 0) {
        verdict->suspensions = result->suspensions;
        verdict->sentence = verdict_provider_sentence(judgement->arena, judgement->catalogue,
                                                      &result->suspensions.of[0]);
    }
    if (result->outcome != OUTCOME_REPEATED && result->outcome != OUTCOME_REDEEMED) {
        fill_block(judgement);
        fill_reasons(judgement);
    }
    fill_windows(judgement);
    fill_can_send(judgement);
    fill_kind(judgement);
    judgement_fill_later(judgement);
}

void judgement_begin_verdict(struct judgement *judgement, bool dry_run, int64_t now_ms)
{
    bool allow = judgement->settings->store_on_failure == ON_FAILURE_ALLOW ||
                 judgement->settings->guard_mode == MODE_OBSERVE;
    *judgement->verdict = (struct verdict){
        .kind = allow ? VERDICT_ADMIT : VERDICT_NO_STORE,
        .unjudged = allow,
        .dry_run = dry_run,
        .hints = dry_run && judgement->submission->hints &&
                 judgement->settings->guard_mode != MODE_OBSERVE,
        .now_ms = now_ms,
        .submission = judgement->submission,
        .retries_before_restart = (uint32_t)judgement->settings->retries_before_restart,
    };
}

void judgement_without_store(struct judgement *judgement)
{
    const struct outcome_seen seen = {.rejected = judgement_is_rejected(judgement),
                                      .observe = judgement->settings->guard_mode == MODE_OBSERVE};
    if (!seen.rejected)
        return;
    judgement->result = (struct judge_result){0};
    fill_reasons(judgement);
    judgement->verdict->observed = seen.observe;
    if (outcome_decide(&seen).outcome == OUTCOME_REJECTED) {
        judgement->verdict->kind = kind_of_objections(judgement);
        judgement->verdict->unjudged = false;
    }
}
