/* A process and the store tell each other of sign-ins. A step that another process was faster than
 * is made again: what that one told is read first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/login_values.h"
#include "guard/logins_inside.h"

enum {
    PAGE = 256,       /* values read at once: from Redis at most 64 MB */
    STEPS_AT_ONCE = 64,
    AT_ONCE_MAX = 1000, /* tries of a step, which changes two values for each at most */
    STEP_BYTES = VALUES_STEP_MAX_BYTES / 4, /* as memory has it; the store may have more */
    ENTRY_BYTES = 128,
    TRY_BYTES = 17,     /* packed, and a known network */
    ATTEMPTS = 16,
    SWEEP_PARTS = 32, /* of a table, one each time */
    SWEEP_SLOTS = 4096, /* under one lock */
};

/* ---- reading --------------------------------------------------------------------------------- */

/* What the store has takes the place of what is here, but for what has to be written first. */
static void take_value(struct logins *logins, const struct value *value)
{
    bool is_network = value->kind == VALUE_LOGIN_NETWORK;
    struct logins_entry read = {.id = strtoull(value->key, NULL, 16)};
    struct logins_table *table = is_network ? &logins->networks : &logins->mailboxes;
    if (is_network)
        login_values_network(value, &read.of.network);
    else
        login_values_mailbox(value, &read.of.mailbox);
    read.is_network = is_network;
    pthread_mutex_lock(&logins->lock);
    bool is_locked = !is_network && login_lock_ends(&read.of.mailbox.lock) != 0;
    struct logins_entry *entry =
        logins_table_get(table, read.id, is_locked ? SIZE_MAX : LOGINS_MAX);
    if (entry == NULL) {
        logins->no_room++;
    } else if (entry->unwritten == 0) {
        struct logins_entry before = *entry;
        entry->of = read.of;
        read = before;
        if (!is_network)
            logins_note_lock(logins, read.id, &before.of.mailbox.lock, &entry->of.mailbox.lock);
    }
    pthread_mutex_unlock(&logins->lock);
    logins_entry_empty(&read);
}

static int read_kind(struct logins *logins, struct store *store, enum value_kind kind,
                     int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value values[PAGE];
    struct store_page page = {.max = PAGE, .more = true};
    char after[VALUE_KEY_MAX + 1] = "";
    while (page.more) {
        arena_reset(arena);
        if (store_values(store, arena, kind, after, now_ms, values, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            take_value(logins, &values[i]);
        if (page.count > 0)
            snprintf(after, sizeof after, "%s", values[page.count - 1].key);
    }
    return 1;
}

/* 1 or -1. */
static int read_newest(struct logins *logins, struct store *store, struct arena *arena,
                       int64_t now_ms, struct value *newest_r)
{
    *newest_r = login_values_newest();
    if (store_values_get(store, arena, newest_r, 1, now_ms) < 0)
        return -1;
    int64_t since_ms = login_values_since(newest_r, now_ms);
    pthread_mutex_lock(&logins->lock);
    logins->outage.ready_ms = since_ms != 0 ? since_ms + LOGIN_READY_MS : 0;
    pthread_mutex_unlock(&logins->lock);
    return 1;
}

/* What is told while it is read, is read again. */
static int read_all(struct logins *logins, struct store *store, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value newest;
    if (read_newest(logins, store, arena, now_ms, &newest) < 0 ||
        read_kind(logins, store, VALUE_LOGINS, now_ms) < 0 ||
        read_kind(logins, store, VALUE_LOGIN_NETWORK, now_ms) < 0)
        return -1;
    logins->number = login_values_number(&newest);
    logins->is_loaded = true;
    return 1;
}

/* The values that a step told of. */
static int read_told(struct logins *logins, struct store *store, const struct value *step,
                     int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value *values;
    size_t count = login_values_told(arena, step, &values);
    for (size_t i = 0; i < count; i += PAGE) {
        freed_by(arena_free) struct arena *read = arena_new();
        size_t page = count - i < PAGE ? count - i : PAGE;
        if (store_values_get(store, read, values + i, page, now_ms) < 0)
            return -1;
        for (size_t k = i; k < i + page; k++)
            take_value(logins, &values[k]);
    }
    return 1;
}

/* 1; 0: some step is not told any more; -1. */
static int read_steps(struct logins *logins, struct store *store, int64_t until, int64_t now_ms)
{
    while (logins->number < until) {
        freed_by(arena_free) struct arena *arena = arena_new();
        struct value steps[STEPS_AT_ONCE];
        size_t count = 0;
        for (; count < STEPS_AT_ONCE && logins->number + (int64_t)count < until; count++)
            steps[count] = login_values_step(arena, logins->number + 1 + (int64_t)count);
        if (store_values_get(store, arena, steps, count, now_ms) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            if (steps[i].length == 0)
                return 0;
            if (read_told(logins, store, &steps[i], now_ms) < 0)
                return -1;
            logins->number++;
        }
    }
    return 1;
}

/* 1 or -1. */
static int read_new(struct logins *logins, struct store *store, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value newest;
    int result = 0;
    if (logins->is_loaded) {
        if (read_newest(logins, store, arena, now_ms, &newest) < 0)
            return -1;
        int64_t number = login_values_number(&newest);
        if (number >= logins->number) /* else it is another store */
            result = read_steps(logins, store, number, now_ms);
    }
    return result == 0 ? read_all(logins, store, now_ms) : result;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A mailbox or a network in a step. */
struct logins_place {
    struct logins_entry *entry;
    struct logins_entry after; /* as the step leaves it */
    int64_t closed_ms; /* login_mailbox_closed or login_network_closed, as the step finds it */
};

struct logins_step {
    struct arena *arena;
    struct logins_event *events; /* the first of all, copied */
    size_t event_count;
    struct logins_place *places;
    size_t place_count, bytes;
    uint64_t begun[LOGIN_RULE_COUNT]; /* blocks that began here alone */
    struct value *values; /* of the places; behind them the number of the newest step, and what is
                             closed */
    size_t begin_count; /* events by which a lock begins */
    struct value_suspension suspensions[VALUES_SUSPENSIONS_MAX]; /* of those that did */
    size_t suspension_count;
    struct action actions[2]; /* of these: again, and breached */
};

static size_t weight_of(const struct logins_entry *entry)
{
    const struct login_tries *tries = entry->is_network ? &entry->of.network.tries
                                                        : &entry->of.mailbox.tries;
    const struct login_known_list *known = entry->is_network ? &entry->of.network.known
                                                             : &entry->of.mailbox.known;
    return ENTRY_BYTES + TRY_BYTES * (tries->count + known->count);
}

static void put_in(struct logins_step *step, struct logins_entry *entry)
{
    if (entry->place != 0)
        return;
    step->places[step->place_count++] = (struct logins_place){.entry = entry};
    entry->place = (uint32_t)step->place_count;
    step->bytes += weight_of(entry);
}

/* The first tries, as many as a step may have. */
static void gather(struct logins *logins, struct logins_step *step)
{
    pthread_mutex_lock(&logins->lock);
    size_t count = logins->event_count < logins->at_once ? logins->event_count : logins->at_once;
    step->events = arena_alloc(step->arena, (count + 1) * sizeof *step->events);
    step->places = arena_alloc(step->arena, (2 * count + 1) * sizeof *step->places);
    while (step->event_count < count && step->bytes < STEP_BYTES) {
        const struct logins_event *event = &logins->events[step->event_count];
        step->begin_count += event->begins != NULL;
        if (step->begin_count > VALUES_SUSPENSIONS_MAX)
            break;
        put_in(step, event->mailbox);
        put_in(step, event->network);
        step->events[step->event_count++] = *event;
    }
    pthread_mutex_unlock(&logins->lock);
}

static int64_t closed_until(const struct logins_entry *entry, int64_t now_ms)
{
    return entry->is_network ? login_network_closed(&entry->of.network, now_ms)
                             : login_mailbox_closed(&entry->of.mailbox, now_ms);
}

static int read_places(struct logins *logins, struct store *store, struct logins_step *step,
                       int64_t now_ms)
{
    size_t count = step->place_count;
    step->values = arena_alloc(step->arena, (count + 2) * sizeof *step->values);
    for (size_t i = 0; i < count; i++) {
        const struct logins_entry *entry = step->places[i].entry;
        step->values[i] = login_values_of(
            step->arena, entry->is_network ? VALUE_LOGIN_NETWORK : VALUE_LOGINS, entry->id);
    }
    step->values[count] = login_values_newest();
    step->values[count + 1] = login_values_closed();
    if (store_values_get(store, step->arena, step->values, count + 2, now_ms) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct logins_entry *after = &step->places[i].after;
        after->is_network = step->places[i].entry->is_network;
        if (after->is_network)
            login_values_network(&step->values[i], &after->of.network);
        else
            login_values_mailbox(&step->values[i], &after->of.mailbox);
        step->places[i].closed_ms = closed_until(after, now_ms);
    }
    return login_values_number(&step->values[count]) == logins->number;
}

/* What sends mail is suspended in the step in which the lock begins. */
static void suspend(struct logins_step *step, const struct logins_event *event,
                    const struct login_lock *lock, int64_t now_ms)
{
    static const struct durations until_opened = {1, {UNTIL_LIFTED}};
    struct action *action = &step->actions[event->breached];
    *action = (struct action){now_ms, SUSPENSION_BY_GUARD,
                              event->breached ? LOGINS_BREACHED_NOTE : LOGINS_AGAIN_NOTE};
    step->suspensions[step->suspension_count++] = (struct value_suspension){
        event->begins, lock->breached ? CAUSE_BREACHED : CAUSE_COMPROMISED, &until_opened, action};
}

static void apply_all(struct logins_step *step, const struct login_limits *limits, int64_t now_ms)
{
    unsigned begun;
    for (size_t i = 0; i < step->event_count; i++) {
        const struct logins_event *event = &step->events[i];
        struct login_mailbox *mailbox =
            &step->places[event->mailbox->place - 1].after.of.mailbox;
        bool held = login_lock_holds(&mailbox->lock);
        logins_apply(event, mailbox,
                     &step->places[event->network->place - 1].after.of.network, limits, &begun);
        for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++)
            step->begun[rule] += (begun & ~(unsigned)event->begun & 1U << rule) != 0;
        if (event->begins != NULL && !held && login_lock_holds(&mailbox->lock))
            suspend(step, event, &mailbox->lock, now_ms);
    }
}

/* Those of which a block began or ended. Returns how many. */
static size_t find_closed(const struct logins_step *step, struct login_closed *changed,
                          int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < step->place_count; i++) {
        const struct logins_place *place = &step->places[i];
        int64_t until_ms = closed_until(&place->after, now_ms);
        if (until_ms != place->closed_ms)
            changed[count++] = (struct login_closed){place->entry->id, until_ms,
                                                     place->after.is_network};
    }
    return count;
}

/* Returns 1 where it adds a change, or 0. */
static size_t tell_closed(const struct logins_step *step, struct value_change *change,
                          int64_t now_ms)
{
    const struct value *before = &step->values[step->place_count + 1];
    struct login_closed *changed =
        arena_alloc(step->arena, (step->place_count + 1) * sizeof *changed);
    size_t count = find_closed(step, changed, now_ms);
    if (count > 0)
        *change = login_values_closed_change(step->arena, before, changed, count, now_ms);
    return count > 0;
}

static int write_places(struct store *store, struct logins_step *step, int64_t now_ms)
{
    size_t count = step->place_count;
    struct value_change *changes =
        arena_alloc(step->arena, (count + LOGIN_VALUES_EXTRA + 1) * sizeof *changes);
    for (size_t i = 0; i < count; i++) {
        const struct logins_entry *after = &step->places[i].after;
        changes[i] = after->is_network
                         ? login_values_network_change(step->arena, &step->values[i],
                                                       &after->of.network, now_ms)
                         : login_values_mailbox_change(step->arena, &step->values[i],
                                                       &after->of.mailbox, now_ms);
    }
    login_values_tell(step->arena, &step->values[count], changes, count, now_ms);
    count += LOGIN_VALUES_EXTRA;
    count += tell_closed(step, &changes[count], now_ms);
    return store_values_change(store,
                               &(struct values_step){.changes = changes,
                                                     .count = count,
                                                     .suspensions = step->suspensions,
                                                     .suspension_count = step->suspension_count,
                                                     .now_ms = now_ms},
                               NULL);
}

/* ---- afterwards ------------------------------------------------------------------------------ */

/* Only one of the two is in the step; the other has the try already. */
static void apply_to_one(const struct logins_event *event, const struct login_limits *limits)
{
    freed_by(text_free) struct text packed = {0};
    struct login_mailbox mailbox = {0};
    struct login_network network = {0};
    unsigned begun;
    if (event->mailbox->place != 0) {
        login_network_add(&packed, &event->network->of.network);
        if (login_network_read(packed.data, packed.length, &network) > 0)
            logins_apply(event, &event->mailbox->of.mailbox, &network, limits, &begun);
    } else {
        login_mailbox_add(&packed, &event->mailbox->of.mailbox);
        if (login_mailbox_read(packed.data, packed.length, &mailbox) > 0)
            logins_apply(event, &mailbox, &event->network->of.network, limits, &begun);
    }
    login_mailbox_free(&mailbox);
    login_network_free(&network);
}

/* What came while the step was made is not in what it leaves. */
static void apply_later(struct logins *logins, size_t first, const struct login_limits *limits)
{
    unsigned begun;
    for (size_t i = first; i < logins->event_count; i++) {
        const struct logins_event *event = &logins->events[i];
        if (event->mailbox->place != 0 && event->network->place != 0)
            logins_apply(event, &event->mailbox->of.mailbox, &event->network->of.network, limits,
                         &begun);
        else if (event->mailbox->place != 0 || event->network->place != 0)
            apply_to_one(event, limits);
    }
}

static void swap_states(struct logins *logins, struct logins_place *place)
{
    struct logins_entry before = *place->entry;
    place->entry->of = place->after.of;
    place->after.of = before.of;
    if (!before.is_network)
        logins_note_lock(logins, before.id, &before.of.mailbox.lock,
                         &place->entry->of.mailbox.lock);
}

static void drop_written(struct logins *logins, const struct logins_step *step)
{
    for (size_t i = 0; i < step->event_count; i++) {
        step->events[i].mailbox->unwritten--;
        step->events[i].network->unwritten--;
        free(step->events[i].begins);
    }
    logins->event_count -= step->event_count;
    memmove(logins->events, logins->events + step->event_count,
            logins->event_count * sizeof *logins->events);
}

static void end_step(struct logins *logins, struct logins_step *step, bool written,
                     const struct login_limits *limits)
{
    pthread_mutex_lock(&logins->lock);
    if (written) {
        for (size_t i = 0; i < step->place_count; i++)
            swap_states(logins, &step->places[i]);
        for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++)
            logins->begun[rule] += step->begun[rule];
        apply_later(logins, step->event_count, limits);
        drop_written(logins, step);
    }
    for (size_t i = 0; i < step->place_count; i++)
        step->places[i].entry->place = 0;
    pthread_mutex_unlock(&logins->lock);
    for (size_t i = 0; i < step->place_count; i++)
        logins_entry_empty(&step->places[i].after);
}

/* 1 and how many tries it wrote; 0 another process was faster; -1. */
static int write_step(struct logins *logins, struct store *store,
                      const struct login_limits *limits, int64_t now_ms, size_t *written_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct logins_step step = {.arena = arena};
    gather(logins, &step);
    int result = read_places(logins, store, &step, now_ms);
    if (result > 0) {
        apply_all(&step, limits, now_ms);
        result = write_places(store, &step, now_ms);
    }
    end_step(logins, &step, result > 0, limits);
    logins->number += result > 0;
    *written_r = result > 0 ? step.event_count : 0;
    if (result > 0)
        logins->at_once = 2 * logins->at_once < AT_ONCE_MAX ? 2 * logins->at_once : AT_ONCE_MAX;
    else if (result < 0 && logins->at_once > 1)
        logins->at_once /= 2;
    return result;
}

static size_t begin_events(struct logins *logins)
{
    pthread_mutex_lock(&logins->lock);
    size_t count = logins->event_count;
    logins->is_urgent = false;
    pthread_mutex_unlock(&logins->lock);
    return count;
}

static void sweep(struct logins *logins, struct logins_table *table, int64_t now_ms)
{
    size_t left = table->size / SWEEP_PARTS + 1;
    while (left > 0) {
        size_t slots = left < SWEEP_SLOTS ? left : SWEEP_SLOTS;
        pthread_mutex_lock(&logins->lock);
        logins_table_sweep(table, slots, now_ms);
        pthread_mutex_unlock(&logins->lock);
        left -= slots;
    }
}

int logins_exchange(struct logins *logins, struct store *store,
                    const struct login_limits *limits, int64_t now_ms)
{
    int result = read_new(logins, store, now_ms);
    size_t left = begin_events(logins), written;
    for (int faster = 0; result >= 0 && faster < ATTEMPTS && left > 0; left -= written) {
        result = write_step(logins, store, limits, now_ms, &written);
        faster += result == 0;
        if (result == 0)
            result = read_new(logins, store, now_ms);
        written = written < left ? written : left;
    }
    sweep(logins, &logins->mailboxes, now_ms);
    sweep(logins, &logins->networks, now_ms);
    return result < 0 ? -1 : 1;
}
