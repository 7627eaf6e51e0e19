#include "tests/unit/rules/reservations.h"

/* ---- the slot of a window ---------------------------------------------------------- */

static int newest_of(const struct reserved *all)
{
    int newest = 0;
    for (int i = 0; i < TASKS_MAX; i++)
        if (all[i].there && all[i].time > newest)
            newest = all[i].time;
    return newest;
}

/* What counts at that moment; of the decided ones alone. */
static int used(const struct setup *setup, const struct reserved *all, int at, bool decided)
{
    int sum = 0;
    for (int i = 0; i < TASKS_MAX; i++)
        if (all[i].there && all[i].time > at - setup->length && !(decided && all[i].by != 0))
            sum += all[i].weight;
    return sum;
}

static void end_by_itself(const struct setup *setup, struct reserved *all, int now)
{
    for (int i = 0; i < TASKS_MAX; i++) {
        bool ended = all[i].by != 0 && all[i].end <= now;
        if (ended && setup->fault == FAULT_END_IS_REFUND)
            all[i] = (struct reserved){0};
        if (ended && setup->fault == FAULT_END_IS_CONFIRM)
            all[i].by = all[i].end = 0;
    }
}

/* No entry is earlier than the newest one, so a window is exact whatever the clocks say. */
static enum answer reserve(struct state *state, const struct setup *setup, const struct call *call)
{
    struct reserved *all = state->window[call->window];
    int newest = newest_of(all), at = newest > call->now ? newest : call->now;
    int8_t weight = setup->task[call->message].weight;
    end_by_itself(setup, all, state->now);
    if (used(setup, all, at, setup->fault != FAULT_UNDECIDED_IS_FULL) + weight > setup->limit)
        return FULL;
    if (used(setup, all, at, setup->fault == FAULT_UNDECIDED_IS_FREE) + weight > setup->limit)
        return UNDECIDED;
    all[call->message] = (struct reserved){.there = true, .time = (int8_t)at, .weight = weight,
                                           .by = (int8_t)(call->from + 1), .end = call->end};
    state->stamp[call->window][call->message] = (int8_t)at;
    return GRANTED;
}

static void refund_another(struct reserved *all, int8_t weight)
{
    for (int i = 0; i < TASKS_MAX; i++)
        if (all[i].there && all[i].weight == weight) {
            all[i] = (struct reserved){0};
            return;
        }
}

/* Nothing happens when it is settled already, or in doubt by another process. */
static enum answer settle(struct state *state, const struct setup *setup, const struct call *call)
{
    struct reserved *all = state->window[call->window], *reserved = &all[call->message];
    bool any = (setup->fault == FAULT_SETTLED_BY_ANYBODY && reserved->by != 0) ||
               (setup->fault == FAULT_REFUND_WITHOUT_DOUBT && call->as == NEVER);
    if (!reserved->there && call->as == NEVER && setup->fault == FAULT_REFUND_TWICE)
        refund_another(all, setup->task[call->message].weight);
    if (!reserved->there || (reserved->by != call->by && !any))
        return NOT_THERE;
    if (call->as == NEVER)
        *reserved = (struct reserved){0};
    else
        reserved->by = reserved->end = 0;
    return DONE;
}

/* Another refund may be under way: the later end holds for both. */
static enum answer doubt(struct state *state, const struct setup *setup, const struct call *call)
{
    struct reserved *reserved = &state->window[call->window][call->message];
    if (!reserved->there)
        return NOT_THERE;
    reserved->by = (int8_t)(call->from + 1);
    if (call->end > reserved->end || setup->fault == FAULT_DOUBT_SHORTENS)
        reserved->end = call->end;
    return DONE;
}

/* ---- the slot of the mailboxes ------------------------------------------------------- */

static bool has_ended(const struct state *state, const struct setup *setup, const struct call *call)
{
    return state->now >= call->end && setup->fault != FAULT_STEP_AFTER_END;
}

/* The message of that submission that the mailbox knows, -1 for none. */
static int known(const struct state *state, const struct setup *setup, int8_t submission)
{
    for (int i = 0; i < setup->tasks; i++)
        if (state->mailbox[i].in_window && setup->task[i].submission == submission)
            return i;
    return -1;
}

static int sent_by(const struct state *state, const struct setup *setup, int8_t mailbox)
{
    int sum = 0;
    for (int i = 0; i < setup->tasks; i++)
        sum += state->mailbox[i].in_window && setup->task[i].mailbox == mailbox;
    return sum;
}

static enum answer judge(struct state *state, const struct setup *setup, const struct call *call)
{
    const struct task *task = &setup->task[call->message];
    if (has_ended(state, setup, call))
        return LATE;
    if (known(state, setup, task->submission) >= 0)
        return REPEATED;
    if (sent_by(state, setup, task->mailbox) >= setup->mailbox_limit)
        return REFUSED;
    if (call->over)
        return OVER;
    state->mailbox[call->message].counted = state->mailbox[call->message].in_window = true;
    state->passed[call->message] = true;
    return ADMITTED;
}

/* Only when its end has passed is it certain that the process changes nothing any more; before, the
 * answer might not stay true. */
static enum answer ask(const struct state *state, const struct setup *setup,
                       const struct call *call)
{
    bool counted = setup->fault == FAULT_RESET_FORGETS ? state->mailbox[call->message].in_window
                                                       : state->mailbox[call->message].counted;
    if ((setup->fault == FAULT_ENDS_BY_OTHER_CLOCK ? call->now : state->now) < call->end)
        return NOT_YET;
    return counted ? COUNTED : NEVER;
}

static enum answer take_out(struct state *state, const struct setup *setup, const struct call *call)
{
    if (has_ended(state, setup, call))
        return LATE;
    if (!state->mailbox[call->message].counted)
        return NOT_THERE;
    state->mailbox[call->message].counted = state->mailbox[call->message].in_window = false;
    state->passed[call->message] = false;
    state->refunded[call->message] = true;
    return DONE;
}

void mailbox_reset(struct state *state, const struct setup *setup)
{
    for (int i = 0; i < setup->tasks; i++)
        if (setup->task[i].mailbox == 0)
            state->mailbox[i].in_window = false;
    state->reset = true;
}

enum answer slot_receives(struct state *state, const struct setup *setup, const struct call *call)
{
    switch (call->kind) {
    case RESERVE:
        return reserve(state, setup, call);
    case SETTLE:
        return settle(state, setup, call);
    case DOUBT:
        return doubt(state, setup, call);
    case JUDGE:
        return judge(state, setup, call);
    case ASK:
        return ask(state, setup, call);
    case FIND:
        return call->message >= 0 ? DONE : NOT_THERE;
    default:
        return take_out(state, setup, call);
    }
}

/* ---- the process: its calls ------------------------------------------------------------ */

void process_begins(struct state *state, const struct setup *setup, int place)
{
    struct process *process = &state->process[place];
    process->step = setup->task[place].refund ? FINDING : RESERVING;
    process->message = (int8_t)place;
    process->end = (int8_t)(state->now + setup->patience);
    for (int w = 0; w < WINDOWS_MAX; w++)
        process->answer[w] = w < setup->windows ? PENDING : DONE;
}

/* Whether an undecided reservation of others is in its way: what a call about it names. */
static bool in_the_way(const struct process *process, struct call *call_r)
{
    for (int w = 0; w < WINDOWS_MAX; w++)
        for (int i = 0; i < TASKS_MAX; i++)
            if (process->seen[w][i].by != 0) {
                call_r->window = (int8_t)w;
                call_r->message = (int8_t)i;
                call_r->by = process->seen[w][i].by;
                call_r->end = process->seen[w][i].end;
                return true;
            }
    return false;
}

static bool any_answer(const struct process *process, enum answer answer)
{
    for (int w = 0; w < WINDOWS_MAX; w++)
        if (process->answer[w] == (int8_t)answer)
            return true;
    return false;
}

/* One call to each window whose answer is `wanted`. */
static int to_windows(const struct process *process, enum answer wanted, struct call call,
                      struct call calls_r[WINDOWS_MAX])
{
    int count = 0;
    for (int w = 0; w < WINDOWS_MAX; w++)
        if (process->answer[w] == (int8_t)wanted) {
            calls_r[count] = call;
            calls_r[count++].window = (int8_t)w;
        }
    return count;
}

int process_calls(const struct state *state, const struct setup *setup, int place,
                  struct call calls_r[WINDOWS_MAX])
{
    const struct process *process = &state->process[place];
    struct call call = {.from = (int8_t)place, .message = process->message, .end = process->end,
                        .now = (int8_t)(state->now + setup->task[place].clock_ahead)};
    switch (process->step) {
    case RESERVING:
        call.kind = RESERVE;
        return to_windows(process, PENDING, call, calls_r);
    case DOUBTING:
        call.kind = DOUBT;
        return to_windows(process, PENDING, call, calls_r);
    case SETTLING:
        call.kind = SETTLE;
        call.by = (int8_t)(place + 1);
        call.as = process->as;
        return to_windows(process, GRANTED, call, calls_r);
    case ASKING:
        in_the_way(process, &call);
        call.kind = process->heard == 0 ? ASK : SETTLE;
        call.as = process->heard;
        break;
    case JUDGING:
        call.kind = JUDGE;
        call.over = any_answer(process, FULL) || any_answer(process, UNDECIDED);
        break;
    case FINDING:
        call.kind = FIND;
        call.message = (int8_t)known(state, setup, setup->task[place].submission);
        break;
    case TAKING_OUT:
        call.kind = TAKE_OUT;
        break;
    default:
        return 0;
    }
    calls_r[0] = call;
    return 1;
}

/* ---- the process: what it does with an answer -------------------------------------------- */

static void end_with(struct process *process, enum told told)
{
    process->told = (int8_t)told;
    process->step = OVER_AND_OUT;
}

/* All windows have answered. */
static void has_reserved(struct process *process, const struct setup *setup)
{
    struct call other;
    if (any_answer(process, NO_ANSWER)) {
        end_with(process, TOLD_FAILED);
    } else if (any_answer(process, UNDECIDED) && !process->asked &&
               in_the_way(process, &other)) {
        process->step = ASKING;
    } else {
        process->step = JUDGING;
        if (setup->fault == FAULT_TOLD_TOO_EARLY && !any_answer(process, FULL) &&
            !any_answer(process, UNDECIDED))
            process->told = TOLD_SENT;
    }
}

/* It asks only about those whose end should have passed. */
static void hears_window(struct state *state, const struct setup *setup, const struct call *call,
                         enum answer answer)
{
    struct process *process = &state->process[call->from];
    bool asks = answer == UNDECIDED && !process->asked && setup->fault != FAULT_NOBODY_ASKS;
    process->answer[call->window] = (int8_t)answer;
    for (int i = 0; i < TASKS_MAX && asks; i++) {
        const struct reserved *reserved = &state->window[call->window][i];
        if (reserved->by != 0 && reserved->end <= call->now) {
            process->seen[call->window][i].by = reserved->by;
            process->seen[call->window][i].end = reserved->end;
        }
    }
    if (!any_answer(process, PENDING))
        has_reserved(process, setup);
}

/* What is known of another's reservation settles it; then the process tries once more. A mailbox
 * slot that does not answer is a store that does not answer. */
static void hears_of_another(struct process *process, const struct call *call, enum answer answer)
{
    struct call other;
    if (call->kind == ASK && (answer == COUNTED || answer == NEVER)) {
        process->heard = (int8_t)answer;
        return;
    }
    if (call->kind == ASK && answer == NO_ANSWER) {
        end_with(process, TOLD_FAILED);
        return;
    }
    process->heard = 0;
    process->seen[call->window][call->message].by = 0;
    process->seen[call->window][call->message].end = 0;
    if (in_the_way(process, &other))
        return;
    process->asked = true;
    process->step = RESERVING;
    for (int w = 0; w < WINDOWS_MAX; w++)
        if (process->answer[w] == UNDECIDED)
            process->answer[w] = PENDING;
}

/* Without an answer nobody knows whether it counts: its reservations stay undecided. */
static void hears_judgement(struct process *process, const struct setup *setup, enum answer answer)
{
    static const enum told told[ANSWERS] = {
        [NO_ANSWER] = TOLD_FAILED, [LATE] = TOLD_FAILED, [ADMITTED] = TOLD_SENT,
        [REPEATED] = TOLD_SENT, [REFUSED] = TOLD_REFUSED};
    process->step = SETTLING;
    process->as = answer == ADMITTED ? COUNTED : NEVER;
    if (process->told == TOLD_NOTHING)
        process->told = (int8_t)told[answer];
    if (answer == OVER)
        process->told = any_answer(process, FULL) ? TOLD_FULL : TOLD_UNDECIDED;
    if (answer == NO_ANSWER && setup->fault != FAULT_NO_ANSWER_IS_REFUND)
        process->step = OVER_AND_OUT;
    else if (!any_answer(process, GRANTED))
        process->step = OVER_AND_OUT;
}

/* A refund: find, doubt, take out, settle. */
static void hears_of_refund(struct process *process, const struct setup *setup,
                            const struct call *call, enum answer answer)
{
    if (call->kind == FIND && answer == DONE) {
        process->message = call->message;
        process->step = DOUBTING;
        for (int w = 0; w < setup->windows && setup->fault == FAULT_REFUND_WITHOUT_DOUBT; w++) {
            process->answer[w] = GRANTED;
            process->step = TAKING_OUT;
        }
    } else if (call->kind == DOUBT && answer != NO_ANSWER) {
        process->answer[call->window] = GRANTED;
        if (!any_answer(process, PENDING))
            process->step = TAKING_OUT;
    } else if (call->kind == TAKE_OUT && (answer == DONE || answer == NOT_THERE)) {
        process->as = NEVER;
        process->step = SETTLING;
    } else {
        process->step = OVER_AND_OUT;
    }
}

void process_hears(struct state *state, const struct setup *setup, const struct call *call,
                   enum answer answer)
{
    struct process *process = &state->process[call->from];
    switch (process->step) {
    case RESERVING:
        hears_window(state, setup, call, answer);
        break;
    case ASKING:
        hears_of_another(process, call, answer);
        break;
    case JUDGING:
        hears_judgement(process, setup, answer);
        break;
    case SETTLING:
        process->answer[call->window] = DONE;
        if (!any_answer(process, GRANTED))
            process->step = OVER_AND_OUT;
        break;
    default:
        hears_of_refund(process, setup, call, answer);
    }
}
