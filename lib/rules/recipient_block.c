#include "rules/recipient_block.h"

#include <stdlib.h>
#include <string.h>

#include "base/packed.h"

enum { FORMAT = 1, MOMENT_BYTES = 6, SITE_BYTES = 4, FULL_MESSAGES = 3 };
#define APART_MS DAY_MS
#define FULL_WINDOW_MS (72 * HOUR_MS)
#define GAP_MAX_MS (5 * MINUTE_MS)
#define GAP_OFF_MS (10 * SECOND_MS)

const char *const recipient_why_names[RECIPIENT_WHY_COUNT] = {
    [RECIPIENT_ADDRESS_UNKNOWN] = "address_unknown", [RECIPIENT_MAILBOX_OFF] = "mailbox_off",
    [RECIPIENT_MAILBOX_FULL] = "mailbox_full", [RECIPIENT_NOISE] = "noise"};

int64_t recipient_block_ms(enum recipient_why why)
{
    return why == RECIPIENT_ADDRESS_UNKNOWN || why == RECIPIENT_MAILBOX_OFF ? 30 * DAY_MS
                                                                             : 7 * DAY_MS;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

static void remove_failure(struct recipient_history *history, size_t place)
{
    history->failure_count--;
    memmove(&history->failures[place], &history->failures[place + 1],
            (history->failure_count - place) * sizeof history->failures[0]);
}

static void remove_run(struct recipient_history *history, size_t place)
{
    history->runs[place] = history->runs[--history->run_count];
}

static int64_t last_of(const struct recipient_run *run) { return run->turns[run->count - 1].at_ms; }

void recipient_block_forget(struct recipient_history *history, int64_t now_ms)
{
    while (history->failure_count > 0 &&
           history->failures[0].at_ms <= now_ms - RECIPIENT_KEPT_MS)
        remove_failure(history, 0);
    while (history->failure_count > 0 &&
           history->failures[history->failure_count - 1].at_ms > now_ms + RECIPIENT_AHEAD_MS)
        history->failure_count--;
    for (size_t i = history->run_count; i-- > 0;)
        if (last_of(&history->runs[i]) <= now_ms - RECIPIENT_RUN_KEPT_MS ||
            last_of(&history->runs[i]) > now_ms + RECIPIENT_AHEAD_MS)
            remove_run(history, i);
}

void recipient_block_deliver(struct recipient_history *history, uint32_t mailbox)
{
    history->failure_count = 0;
    history->closed = 0;
    for (size_t i = history->run_count; i-- > 0;)
        if (history->runs[i].mailbox == mailbox)
            remove_run(history, i);
}

void recipient_block_leave_out(struct recipient_history *history, uint32_t site,
                               int64_t from_ms, int64_t until_ms)
{
    for (size_t i = history->failure_count; i-- > 0;) {
        const struct recipient_failure *failure = &history->failures[i];
        if (failure->site == site && failure->at_ms >= from_ms && failure->at_ms <= until_ms)
            remove_failure(history, i);
    }
    for (size_t i = history->run_count; i-- > 0;) {
        struct recipient_run *run = &history->runs[i];
        uint32_t kept = 0;
        for (uint32_t j = 0; j < run->count; j++) {
            const struct recipient_turn turn = run->turns[j];
            if (turn.site != site || turn.at_ms < from_ms || turn.at_ms > until_ms)
                run->turns[kept++] = turn;
        }
        run->count = kept;
        if (kept == 0)
            remove_run(history, i);
    }
}

bool recipient_block_is_empty(const struct recipient_history *history)
{
    return history->failure_count == 0 && history->run_count == 0;
}

/* ---- recipients ------------------------------------------------------------------------------ */

static bool has_counted(const struct recipient_history *history,
                        const struct recipient_outcome *outcome)
{
    for (size_t i = 0; i < history->failure_count; i++)
        if (history->failures[i].message == outcome->message &&
            history->failures[i].why == outcome->why)
            return true;
    return outcome->message <= history->closed;
}

/* The oldest is the one that others are a day apart from; the next one tells least. */
static void make_room(struct recipient_history *history)
{
    enum { PLACE = 1 };
    if (history->failure_count < RECIPIENT_FAILURES_MAX)
        return;
    if (history->failures[PLACE].message > history->closed)
        history->closed = history->failures[PLACE].message;
    remove_failure(history, PLACE);
}

static void put_failure(struct recipient_history *history, const struct recipient_outcome *outcome)
{
    make_room(history);
    size_t place = history->failure_count++;
    for (; place > 0 && history->failures[place - 1].at_ms > outcome->at_ms; place--)
        history->failures[place] = history->failures[place - 1];
    history->failures[place] = (struct recipient_failure){outcome->message, outcome->at_ms,
                                                          outcome->site, outcome->why};
}

/* The most messages of the class within one window, and how far they are apart. */
static struct recipient_block count_full(const struct recipient_history *history)
{
    struct recipient_block most = {.why = RECIPIENT_MAILBOX_FULL};
    for (size_t i = 0; i < history->failure_count; i++) {
        struct recipient_block found = {.why = RECIPIENT_MAILBOX_FULL};
        const struct recipient_failure *from = &history->failures[i];
        for (size_t j = i; j < history->failure_count && from->why == found.why; j++) {
            const struct recipient_failure *failure = &history->failures[j];
            if (failure->why != found.why || failure->at_ms - from->at_ms >= FULL_WINDOW_MS)
                continue;
            found.count++;
            found.over_ms = failure->at_ms - from->at_ms;
        }
        if (found.count > most.count)
            most = found;
    }
    return most;
}

/* All messages of the class, and how far the first and the last are apart. */
static struct recipient_block count_all(const struct recipient_history *history,
                                        enum recipient_why why)
{
    struct recipient_block all = {.why = why};
    int64_t first_ms = 0;
    for (size_t i = 0; i < history->failure_count; i++) {
        const struct recipient_failure *failure = &history->failures[i];
        if (failure->why != why)
            continue;
        if (all.count++ == 0)
            first_ms = failure->at_ms;
        all.over_ms = failure->at_ms - first_ms;
    }
    return all;
}

static bool breaks(const struct recipient_history *history, enum recipient_why why,
                   struct recipient_block *made_r)
{
    bool full = why == RECIPIENT_MAILBOX_FULL;
    *made_r = full ? count_full(history) : count_all(history, why);
    return full ? made_r->count >= FULL_MESSAGES : made_r->over_ms >= APART_MS;
}

/* ---- noise ----------------------------------------------------------------------------------- */

static struct recipient_run *run_of(struct recipient_history *history, uint32_t mailbox)
{
    size_t oldest = 0;
    for (size_t i = 0; i < history->run_count; i++) {
        if (history->runs[i].mailbox == mailbox)
            return &history->runs[i];
        if (last_of(&history->runs[i]) < last_of(&history->runs[oldest]))
            oldest = i;
    }
    size_t place = history->run_count < RECIPIENT_RUNS_MAX ? history->run_count++ : oldest;
    history->runs[place] = (struct recipient_run){.mailbox = mailbox};
    return &history->runs[place];
}

static void put_turn(struct recipient_run *run, const struct recipient_turn *turn)
{
    if (run->count == RECIPIENT_RUN_LENGTH && turn->at_ms < run->turns[0].at_ms)
        return;
    if (run->count == RECIPIENT_RUN_LENGTH)
        memmove(&run->turns[0], &run->turns[1], --run->count * sizeof run->turns[0]);
    size_t place = run->count++;
    for (; place > 0 && run->turns[place - 1].at_ms > turn->at_ms; place--)
        run->turns[place] = run->turns[place - 1];
    run->turns[place] = *turn;
}

static int compare(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return first < second ? -1 : first > second;
}

static bool is_noise(const struct recipient_run *run)
{
    enum { GAPS = RECIPIENT_RUN_LENGTH - 1 };
    int64_t gaps[GAPS];
    if (run->count < RECIPIENT_RUN_LENGTH)
        return false;
    for (size_t i = 0; i < GAPS; i++)
        gaps[i] = run->turns[i + 1].at_ms - run->turns[i].at_ms;
    qsort(gaps, GAPS, sizeof gaps[0], compare);
    int64_t median = gaps[GAPS / 2];
    return median <= GAP_MAX_MS && median - gaps[0] <= GAP_OFF_MS &&
           gaps[GAPS - 1] - median <= GAP_OFF_MS;
}

static bool makes_noise(struct recipient_history *history, const struct recipient_outcome *outcome,
                        struct recipient_block *made_r)
{
    if (!outcome->first)
        return false;
    struct recipient_run *run = run_of(history, outcome->mailbox);
    put_turn(run, &(struct recipient_turn){outcome->at_ms, outcome->site});
    if (!is_noise(run))
        return false;
    *made_r = (struct recipient_block){RECIPIENT_NOISE, run->count,
                                       last_of(run) - run->turns[0].at_ms};
    remove_run(history, (size_t)(run - history->runs));
    return true;
}

/* ---- both ------------------------------------------------------------------------------------ */

size_t recipient_block_take(struct recipient_history *history,
                            const struct recipient_outcome *outcome,
                            struct recipient_block made_r[RECIPIENT_BLOCKS_MAX])
{
    size_t count = 0;
    recipient_block_forget(history, outcome->at_ms);
    if (outcome->greylisted)
        return 0;
    if (outcome->why != RECIPIENT_NOISE && !has_counted(history, outcome)) {
        put_failure(history, outcome);
        if (breaks(history, outcome->why, &made_r[count])) {
            history->failure_count = 0;
            history->closed = 0;
            count++;
        }
    }
    if (makes_noise(history, outcome, &made_r[count]))
        count++;
    return count;
}

enum recipient_after recipient_block_after(enum recipient_why of, int64_t end_ms, bool delivered,
                                           enum recipient_why why, int64_t admitted_ms)
{
    if (delivered)
        return RECIPIENT_CLEARED;
    bool tells = of == RECIPIENT_NOISE || why != RECIPIENT_NOISE;
    return tells && admitted_ms >= end_ms ? RECIPIENT_AGAIN : RECIPIENT_STAYS;
}

/* ---- the packed form ------------------------------------------------------------------------- */

void recipient_block_add(struct text *out, const struct recipient_history *history)
{
    packed_add_fixed(out, FORMAT, 1);
    packed_add_fixed(out, history->closed, 8);
    packed_add_fixed(out, history->failure_count, 1);
    for (size_t i = 0; i < history->failure_count; i++) {
        const struct recipient_failure *failure = &history->failures[i];
        packed_add_fixed(out, failure->message, 8);
        packed_add_fixed(out, (uint64_t)failure->at_ms, MOMENT_BYTES);
        packed_add_fixed(out, failure->site, SITE_BYTES);
        packed_add_fixed(out, failure->why, 1);
    }
    packed_add_fixed(out, history->run_count, 1);
    for (size_t i = 0; i < history->run_count; i++) {
        const struct recipient_run *run = &history->runs[i];
        packed_add_fixed(out, run->mailbox, 4);
        packed_add_fixed(out, run->count, 1);
        for (uint32_t j = 0; j < run->count; j++) {
            packed_add_fixed(out, (uint64_t)run->turns[j].at_ms, MOMENT_BYTES);
            packed_add_fixed(out, run->turns[j].site, SITE_BYTES);
        }
    }
}

static bool read_failures(struct packed_rest *rest, struct recipient_history *history)
{
    history->failure_count = packed_fixed(rest, 1);
    if (history->failure_count > RECIPIENT_FAILURES_MAX)
        return false;
    for (size_t i = 0; i < history->failure_count; i++) {
        struct recipient_failure *failure = &history->failures[i];
        failure->message = packed_fixed(rest, 8);
        failure->at_ms = (int64_t)packed_fixed(rest, MOMENT_BYTES);
        failure->site = (uint32_t)packed_fixed(rest, SITE_BYTES);
        uint64_t why = packed_fixed(rest, 1);
        if (why >= RECIPIENT_NOISE)
            return false;
        failure->why = (enum recipient_why)why;
    }
    return true;
}

static bool read_runs(struct packed_rest *rest, struct recipient_history *history)
{
    history->run_count = packed_fixed(rest, 1);
    if (history->run_count > RECIPIENT_RUNS_MAX)
        return false;
    for (size_t i = 0; i < history->run_count; i++) {
        struct recipient_run *run = &history->runs[i];
        run->mailbox = (uint32_t)packed_fixed(rest, 4);
        run->count = (uint32_t)packed_fixed(rest, 1);
        if (run->count == 0 || run->count > RECIPIENT_RUN_LENGTH)
            return false;
        for (uint32_t j = 0; j < run->count; j++) {
            run->turns[j].at_ms = (int64_t)packed_fixed(rest, MOMENT_BYTES);
            run->turns[j].site = (uint32_t)packed_fixed(rest, SITE_BYTES);
        }
    }
    return true;
}

int recipient_block_read(const void *bytes, size_t length, struct recipient_history *history_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    *history_r = (struct recipient_history){0};
    bool good = packed_fixed(&rest, 1) == FORMAT;
    history_r->closed = packed_fixed(&rest, 8);
    good = good && read_failures(&rest, history_r) && read_runs(&rest, history_r) &&
           rest.next != NULL && rest.next == rest.end;
    if (!good)
        *history_r = (struct recipient_history){0};
    return good;
}
