#include "rules/failure_window.h"

#include <stdlib.h>
#include <string.h>

#include "rules/failure_window_inside.h"
#include "rules/window.h"

static int64_t later(int64_t one, int64_t other) { return one > other ? one : other; }

void failure_window_free(struct failure_window *window)
{
    free(window->decided.of);
    free(window->graced.of);
    free(window->blocks);
    failure_names_free(&window->names);
    *window = (struct failure_window){0};
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_put(struct failure_list *list, const struct failure_entry *entry)
{
    if (list->count == list->room) {
        list->room = list->room > 0 ? 2 * list->room : 8;
        list->of = xrealloc(list->of, list->room * sizeof *list->of);
    }
    list->of[list->count++] = *entry;
}

static void list_drop(struct failure_list *list, size_t place)
{
    list->count--;
    memmove(&list->of[place], &list->of[place + 1], (list->count - place) * sizeof *list->of);
}

/* Time is not before that of the others. */
static void decide(struct failure_window *window, const struct failure_entry *entry)
{
    list_put(&window->decided, entry);
    window->bad_count += entry->state == FAILURE_BAD;
    window->aside_count += !failure_window_is_open(entry);
}

static void recount(struct failure_window *window)
{
    window->bad_count = window->aside_count = 0;
    for (size_t i = 0; i < window->decided.count; i++) {
        const struct failure_entry *entry = &window->decided.of[i];
        window->bad_count += entry->state == FAILURE_BAD;
        window->aside_count += !failure_window_is_open(entry);
    }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool holds(const struct failure_window *window, const struct failure_block *block)
{
    return window->time_ms < block->until_ms;
}

const struct failure_block *failure_window_block(const struct failure_window *window,
                                                 const char *mailbox)
{
    uint32_t place = FAILURE_NOBODY;
    if (mailbox != NULL && (place = failure_names_find(&window->names, mailbox)) == FAILURE_NOBODY)
        return NULL;
    for (size_t i = window->block_count; i > 0; i--)
        if (window->blocks[i - 1].mailbox == place && holds(window, &window->blocks[i - 1]))
            return &window->blocks[i - 1];
    return NULL;
}

const struct failure_block *failure_window_block_of(const struct failure_window *window,
                                                    uint32_t id)
{
    for (size_t i = window->block_count; i > 0; i--)
        if (window->blocks[i - 1].id == id)
            return &window->blocks[i - 1];
    return NULL;
}

/* What a mailbox's block closed stays closed for longer than mail waits in queues; a culprit is
 * known for as long. */
static void forget_blocks(struct failure_window *window)
{
    size_t kept = 0;
    for (size_t i = 0; i < window->block_count; i++) {
        const struct failure_block *block = &window->blocks[i];
        if (window_holds(later(block->from_ms, block->until_ms), FAILURE_BLOCKS_REMEMBERED_MS,
                         window->time_ms))
            window->blocks[kept++] = *block;
    }
    window->block_count = kept;
}

/* Room for another one: a domain's block is not needed by others but for its culprit. */
static bool make_room(struct failure_window *window)
{
    forget_blocks(window);
    for (size_t i = 0; window->block_count == FAILURE_BLOCKS_MAX && i < window->block_count; i++)
        if (window->blocks[i].mailbox == FAILURE_NOBODY) {
            window->block_count--;
            memmove(&window->blocks[i], &window->blocks[i + 1],
                    (window->block_count - i) * sizeof *window->blocks);
        }
    return window->block_count < FAILURE_BLOCKS_MAX;
}

/* The mailbox that has four fifths of what is bad, if `unknown` of that with an unknown address. */
static uint32_t who_has_most(const struct failure_window *window, bool unknown)
{
    uint32_t *counts = xcalloc(window->names.bytes.length + 1, sizeof *counts);
    uint32_t bad = 0, most = FAILURE_NOBODY;
    for (size_t i = 0; i < window->decided.count; i++) {
        const struct failure_entry *entry = &window->decided.of[i];
        if (!failure_window_is_open(entry) || entry->state != FAILURE_BAD)
            continue;
        bad++;
        if (!unknown || entry->kind == FAILURE_ADDRESS_UNKNOWN)
            counts[entry->mailbox]++;
    }
    for (size_t i = 0; i < window->decided.count && most == FAILURE_NOBODY; i++) {
        const struct failure_entry *entry = &window->decided.of[i];
        if (failure_window_is_open(entry) && entry->state == FAILURE_BAD &&
            5 * counts[entry->mailbox] >= 4 * bad)
            most = entry->mailbox;
    }
    free(counts);
    return most;
}

static bool is_third(const struct failure_window *window, uint32_t culprit)
{
    int blocks = 1;
    for (size_t i = 0; i < window->block_count && culprit != FAILURE_NOBODY; i++)
        blocks += window->blocks[i].culprit == culprit &&
                  window->blocks[i].ended != FAILURE_BY_OUTAGE &&
                  window_holds(window->blocks[i].from_ms, FAILURE_BLOCKS_REMEMBERED_MS,
                               window->time_ms);
    return blocks >= 3;
}

/* What counts, of the blocked mailbox, has made the block; what it waits for enters no more. */
static void set_aside(struct failure_window *window, const struct failure_block *block)
{
    struct failure_list *decided = &window->decided, *graced = &window->graced;
    size_t kept = 0;
    for (size_t i = 0; i < decided->count; i++)
        if (decided->of[i].block == 0 &&
            (block->mailbox == FAILURE_NOBODY || decided->of[i].mailbox == block->mailbox))
            decided->of[i].block = block->id;
    for (size_t i = 0; i < graced->count; i++)
        if (block->mailbox != FAILURE_NOBODY && graced->of[i].mailbox != block->mailbox)
            graced->of[kept++] = graced->of[i];
    graced->count = kept;
    recount(window);
}

/* All that the window has is in it at its time. */
static void begin_block(struct failure_window *window, const struct failure_settings *settings)
{
    uint32_t most = settings->blocks == FAILURE_BLOCKS_MAILBOX ? who_has_most(window, false)
                                                               : FAILURE_NOBODY;
    struct failure_block block = {.id = ++window->last_block,
                                  .from_ms = window->time_ms,
                                  .until_ms = window->time_ms + settings->block_ms,
                                  .mailbox = most, .culprit = who_has_most(window, true)};
    if (!make_room(window)) { /* what the oldest one closed, this one closes with the domain */
        block.mailbox = FAILURE_NOBODY;
        memmove(window->blocks, window->blocks + 1,
                --window->block_count * sizeof *window->blocks);
    }
    block.suspends = is_third(window, block.culprit);
    set_aside(window, &block);
    if (block.mailbox == FAILURE_NOBODY)
        window->closed_ms = later(window->closed_ms, block.until_ms);
    else
        failure_window_count_others(window, &block);
    if (window->blocks == NULL)
        window->blocks = xcalloc(FAILURE_BLOCKS_MAX, sizeof *window->blocks);
    window->blocks[window->block_count++] = block;
}

static void end_block(struct failure_window *window, struct failure_block *block,
                      enum failure_end end)
{
    block->until_ms = window->time_ms;
    block->ended = (uint8_t)end;
    if (block->mailbox == FAILURE_NOBODY)
        window->closed_ms = window->time_ms;
}

static bool is_closed(const struct failure_window *window, const struct failure_outcome *outcome)
{
    bool closed = outcome->admitted_ms < window->closed_ms;
    for (size_t i = 0; i < window->block_count && !closed; i++) {
        const char *mailbox = failure_names_at(&window->names, window->blocks[i].mailbox);
        closed = mailbox != NULL && outcome->admitted_ms < window->blocks[i].until_ms &&
                 strcmp(mailbox, outcome->mailbox) == 0;
    }
    return closed;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool is_needed(const struct failure_window *window, const struct failure_settings *settings,
                      const struct failure_entry *entry)
{
    if (entry->block == 0)
        return window_holds(entry->time_ms, settings->window_ms, window->time_ms);
    const struct failure_block *block = failure_window_block_of(window, entry->block);
    return block != NULL && holds(window, block);
}

static void purge(struct failure_window *window, const struct failure_settings *settings)
{
    size_t kept = 0;
    for (size_t i = 0; i < window->decided.count; i++)
        if (is_needed(window, settings, &window->decided.of[i]))
            window->decided.of[kept++] = window->decided.of[i];
    window->left_count += window->decided.count - kept;
    window->decided.count = kept;
    recount(window);
}

/* The same where it makes room. */
static void make_room_for_entry(struct failure_window *window,
                                const struct failure_settings *settings)
{
    if (window->decided.count > 0 && !is_needed(window, settings, &window->decided.of[0]))
        purge(window, settings);
}

/* No block begins until then. */
static void move_on(struct failure_window *window, const struct failure_settings *settings,
                    int64_t at_ms)
{
    struct failure_list *graced = &window->graced;
    while (graced->count > 0 &&
           failure_window_grace_end(window, settings, &graced->of[0]) <= at_ms) {
        struct failure_entry turned = graced->of[0];
        turned.time_ms = failure_window_grace_end(window, settings, &turned);
        turned.state = FAILURE_BAD;
        list_drop(graced, 0);
        decide(window, &turned);
    }
    window->time_ms = at_ms;
    if (!window_holds(window->missed_ms, settings->window_ms, at_ms))
        window->missed = 0;
}

/* Blocks that begin until last_ms. What has left may still be there. */
static void settle(struct failure_window *window, const struct failure_settings *settings,
                   int64_t last_ms)
{
    int64_t breaks_ms;
    while (failure_window_may_break(window, settings, last_ms) &&
           (breaks_ms = failure_window_breaks_at(window, settings)) <= last_ms) {
        move_on(window, settings, breaks_ms);
        purge(window, settings);
        begin_block(window, settings);
    }
}

/* Time passes; what happens in the last instant may still be told. */
static void pass(struct failure_window *window, const struct failure_settings *settings,
                 int64_t at_ms)
{
    int64_t to_ms = later(at_ms, window->time_ms);
    settle(window, settings, to_ms - 1);
    move_on(window, settings, to_ms);
}

void failure_window_pass(struct failure_window *window, const struct failure_settings *settings,
                         int64_t at_ms)
{
    pass(window, settings, at_ms);
    purge(window, settings);
    forget_blocks(window);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

void failure_window_forget_names(struct failure_window *window)
{
    struct failure_names_kept kept = failure_names_begin(&window->names);
    struct failure_list *lists[] = {&window->decided, &window->graced};
    for (size_t l = 0; l < countof(lists); l++)
        for (size_t i = 0; i < lists[l]->count; i++) {
            failure_names_keep(&kept, &lists[l]->of[i].mailbox);
            failure_names_keep(&kept, &lists[l]->of[i].site);
        }
    for (size_t i = 0; i < window->block_count; i++) {
        failure_names_keep(&kept, &window->blocks[i].mailbox);
        failure_names_keep(&kept, &window->blocks[i].culprit);
    }
    failure_names_end(&kept);
    window->left_count = 0;
}

/* A sender chooses how many sites he writes to: they leave room for mailboxes, and for NO_SITE. */
enum { SITES_MAX_BYTES = FAILURE_NAMES_MAX_BYTES / 4 * 3 };
#define NO_SITE ""

/* False: the names are too many. */
static bool name(struct failure_window *window, const char *text, size_t max_bytes,
                 uint32_t *place_r)
{
    *place_r = failure_names_put(&window->names, text, max_bytes);
    return *place_r != FAILURE_NOBODY;
}

static bool has_room(const struct failure_window *window, bool good)
{
    return window->decided.count + window->graced.count < FAILURE_ENTRIES_MAX &&
           (good || window->bad_count + window->graced.count < FAILURE_BAD_MAX);
}

/* The entry with its names; of a good one it matters whose it is only where a mailbox may be
 * blocked. */
static bool make_entry(struct failure_window *window, const struct failure_settings *settings,
                       const struct failure_outcome *outcome, const char *site,
                       struct failure_entry *entry_r)
{
    struct failure_entry entry = {.time_ms = window->time_ms,
                                  .mailbox = FAILURE_NOBODY, .site = FAILURE_NOBODY};
    if (outcome->came == FAILURE_DELIVERED) {
        entry.state = FAILURE_GOOD;
        *entry_r = entry;
        return settings->blocks == FAILURE_BLOCKS_DOMAIN ||
               name(window, outcome->mailbox, FAILURE_NAMES_MAX_BYTES, &entry_r->mailbox);
    }
    bool waits = outcome->first && outcome->greylisted && outcome->came == FAILURE_DEFERRED &&
                 settings->grace_ms > 0;
    entry.state = waits ? FAILURE_GRACED : FAILURE_BAD;
    entry.unit = outcome->unit;
    entry.message = outcome->message;
    entry.kind = (uint8_t)outcome->kind;
    entry.class = outcome->class;
    entry.left_out = waits ? FAILURE_COUNTS : (uint8_t)outcome->left_out;
    *entry_r = entry;
    return name(window, outcome->mailbox, FAILURE_NAMES_MAX_BYTES, &entry_r->mailbox) &&
           name(window, site, site[0] != '\0' ? SITES_MAX_BYTES : FAILURE_NAMES_MAX_BYTES,
                &entry_r->site);
}

/* To look for names that are in no use takes as long as there are entries. */
enum { NAMES_WORTH_FORGETTING = 16 };

static enum failure_taken enter(struct failure_window *window,
                                const struct failure_settings *settings,
                                const struct failure_outcome *outcome)
{
    struct failure_entry entry;
    bool good = outcome->came == FAILURE_DELIVERED;
    if (is_closed(window, outcome))
        return FAILURE_SET_ASIDE;
    if (!has_room(window, good))
        make_room_for_entry(window, settings);
    bool made =
        has_room(window, good) && make_entry(window, settings, outcome, outcome->site, &entry);
    if (!made && has_room(window, good)) {
        make_room_for_entry(window, settings);
        if (window->left_count >= NAMES_WORTH_FORGETTING)
            failure_window_forget_names(window);
        made = make_entry(window, settings, outcome, outcome->site, &entry) ||
               make_entry(window, settings, outcome, NO_SITE, &entry);
    }
    if (!made) {
        window->missed++;
        window->missed_ms = window->time_ms;
        return FAILURE_MISSED;
    }
    if (entry.state == FAILURE_GRACED)
        list_put(&window->graced, &entry);
    else
        decide(window, &entry);
    return FAILURE_TAKEN;
}

/* As a good one is kept: make_entry. */
static void turn_good(struct failure_entry *entry, const struct failure_settings *settings)
{
    *entry = (struct failure_entry){
        .time_ms = entry->time_ms, .state = FAILURE_GOOD, .site = FAILURE_NOBODY,
        .mailbox = settings->blocks == FAILURE_BLOCKS_DOMAIN ? FAILURE_NOBODY : entry->mailbox};
}

/* Of a graced one: it is decided now. */
static void end_grace(struct failure_window *window, const struct failure_settings *settings,
                      const struct failure_outcome *outcome, size_t place)
{
    struct failure_entry entry = window->graced.of[place];
    list_drop(&window->graced, place);
    entry.time_ms = window->time_ms;
    entry.state = FAILURE_BAD;
    entry.kind = (uint8_t)outcome->kind;
    entry.class = outcome->class;
    entry.left_out = (uint8_t)outcome->left_out;
    if (outcome->came == FAILURE_DELIVERED)
        turn_good(&entry, settings);
    decide(window, &entry);
}

/* What becomes of a unit later. */
static enum failure_taken follow(struct failure_window *window,
                                 const struct failure_settings *settings,
                                 const struct failure_outcome *outcome)
{
    if (outcome->came == FAILURE_DEFERRED)
        return FAILURE_NO_CHANGE;
    for (size_t i = 0; i < window->graced.count; i++)
        if (window->graced.of[i].unit == outcome->unit) {
            end_grace(window, settings, outcome, i);
            return FAILURE_TAKEN;
        }
    if (outcome->came != FAILURE_DELIVERED)
        return FAILURE_NO_CHANGE;
    for (size_t i = 0; i < window->decided.count; i++) {
        struct failure_entry *entry = &window->decided.of[i];
        if (entry->state == FAILURE_BAD && entry->unit == outcome->unit && entry->block == 0 &&
            window_holds(entry->time_ms, settings->window_ms, window->time_ms)) {
            window->bad_count--;
            window->aside_count -= entry->left_out != FAILURE_COUNTS;
            turn_good(entry, settings);
            return FAILURE_TAKEN;
        }
    }
    return FAILURE_NO_CHANGE;
}

bool failure_window_is_late(const struct failure_outcome *outcome)
{
    return outcome->read_ms - outcome->at_ms > FAILURE_LATE_MS ||
           outcome->at_ms - outcome->read_ms > FAILURE_LATE_MS;
}

enum failure_taken failure_window_take(struct failure_window *window,
                                       const struct failure_settings *settings,
                                       const struct failure_outcome *outcome)
{
    if (failure_window_is_late(outcome))
        return FAILURE_LATE;
    if (window->time_ms - outcome->read_ms > settings->window_ms)
        failure_window_free(window);
    pass(window, settings, outcome->at_ms);
    return outcome->first ? enter(window, settings, outcome) : follow(window, settings, outcome);
}

/* ---- what staff and outages do --------------------------------------------------------------- */

int failure_window_lift(struct failure_window *window, const struct failure_settings *settings,
                        const char *mailbox, int64_t at_ms)
{
    pass(window, settings, at_ms);
    settle(window, settings, window->time_ms);
    const struct failure_block *block = failure_window_block(window, mailbox);
    if (block == NULL)
        return 0;
    end_block(window, &window->blocks[block - window->blocks], FAILURE_LIFTED);
    purge(window, settings);
    return 1;
}

/* An excuse by the places of its names. */
struct excused_entries {
    uint32_t site, mailbox, kinds;
};

/* Of what made a block, or (0) of what counts. */
static size_t leave_out(struct failure_window *window, const struct excused_entries *excused,
                        uint32_t block)
{
    size_t count = 0;
    for (size_t i = 0; i < window->decided.count; i++) {
        struct failure_entry *entry = &window->decided.of[i];
        if (entry->state != FAILURE_BAD || entry->left_out != FAILURE_COUNTS ||
            entry->block != block || entry->site != excused->site ||
            (excused->mailbox != FAILURE_NOBODY && entry->mailbox != excused->mailbox) ||
            (excused->kinds & 1U << entry->kind) == 0 ||
            !window_holds(entry->time_ms, HOUR_MS, window->time_ms))
            continue;
        entry->left_out = FAILURE_OUTAGE;
        count++;
    }
    return count;
}

size_t failure_window_leave_out(struct failure_window *window,
                                const struct failure_settings *settings,
                                const struct failure_excuse *excuse, int64_t at_ms)
{
    failure_window_pass(window, settings, at_ms);
    struct excused_entries excused = {.site = failure_names_find(&window->names, excuse->site),
                              .mailbox = FAILURE_NOBODY, .kinds = excuse->kinds};
    if (excuse->mailbox != NULL)
        excused.mailbox = failure_names_find(&window->names, excuse->mailbox);
    if (excused.site == FAILURE_NOBODY ||
        (excuse->mailbox != NULL && excused.mailbox == FAILURE_NOBODY))
        return 0;
    size_t count = leave_out(window, &excused, 0);
    for (size_t i = 0; i < window->block_count; i++) {
        struct failure_block *block = &window->blocks[i];
        size_t of_block = holds(window, block) ? leave_out(window, &excused, block->id) : 0;
        if (of_block > 0 && !failure_window_made(window, settings, block))
            end_block(window, block, FAILURE_BY_OUTAGE);
        count += of_block;
    }
    purge(window, settings);
    return count;
}
