#include "feedback/failures.h"

#include <stdlib.h>
#include <string.h>

#include "feedback/failures_inside.h"
#include "guard/delivery.h"

/* So long a window is kept that nothing comes into: its blocks are remembered; and others: a site the
 * 24 hours before an outage, a day until the next one has ended. */
#define WINDOW_KEPT_MS (FAILURE_BLOCKS_REMEMBERED_MS + 2 * DAY_MS)
#define OTHERS_KEPT_MS (3 * DAY_MS)
#define REACHED_KEPT_MS (31 * DAY_MS)

struct failures *failures_new(struct store *store)
{
    struct failures *failures = xcalloc(1, sizeof *failures);
    failures->store = store;
    failures->arena = arena_new();
    failures->names = arena_new();
    failures->added = g_array_new(FALSE, FALSE, sizeof(struct failures_outcome));
    failures_begin_held(failures);
    failures->about[VALUE_FAILURES] = g_hash_table_new(g_str_hash, g_str_equal);
    failures->about[VALUE_OUTAGE] = g_hash_table_new(g_str_hash, g_str_equal);
    failures->about[VALUE_REACHED] = g_hash_table_new(g_str_hash, g_str_equal);
    failures->changed = g_ptr_array_new();
    failures->reached = g_array_new(FALSE, FALSE, sizeof(struct reached_recipient));
    failures->due = g_ptr_array_new_with_free_func(free);
    failures->events = g_array_new(FALSE, FALSE, sizeof(struct failures_event));
    failures->event_texts = arena_new();
    return failures;
}

void failures_free(struct failures **failures)
{
    if (*failures == NULL)
        return;
    g_ptr_array_free((*failures)->changed, TRUE);
    g_array_free((*failures)->reached, TRUE);
    g_ptr_array_free((*failures)->due, TRUE);
    g_array_free((*failures)->events, TRUE);
    arena_free(&(*failures)->event_texts);
    failures_end_held(*failures);
    g_hash_table_destroy((*failures)->about[VALUE_FAILURES]);
    g_hash_table_destroy((*failures)->about[VALUE_OUTAGE]);
    g_hash_table_destroy((*failures)->about[VALUE_REACHED]);
    g_array_free((*failures)->added, TRUE);
    arena_free(&(*failures)->names);
    arena_free(&(*failures)->arena);
    free(*failures);
    *failures = NULL;
}

/* ---- collecting ------------------------------------------------------------------------------ */

enum failure_kind failures_kind(enum reply_class class, const char *code)
{
    if (class == REPLY_ADDRESS_UNKNOWN)
        return FAILURE_ADDRESS_UNKNOWN;
    if (class == REPLY_MAILBOX_FULL || class == REPLY_MAILBOX_OFF)
        return FAILURE_MAILBOX;
    bool of_systems = strncmp(code, "4.3.", 4) == 0 || strncmp(code, "4.4.", 4) == 0;
    bool of_message = class == REPLY_RATE || class == REPLY_TOO_BIG ||
                      class == REPLY_NOT_AUTHENTICATED || class == REPLY_CONTENT_REFUSED ||
                      class == REPLY_OUR_REPUTATION;
    return class == REPLY_UNREACHABLE || (of_systems && !of_message) ? FAILURE_SITE
                                                                     : FAILURE_OTHER;
}

static void note_key(struct failures *failures, enum value_kind kind, const char *key)
{
    const struct held_failures *held = g_hash_table_lookup(failures->held[kind], key);
    if (g_hash_table_add(failures->about[kind], (void *)(uintptr_t)key) && held != NULL)
        failures->about_bytes += held->packed.length;
}

/* Those that are held and were reached that day already change nothing. */
static void add_reached(struct failures *failures, const struct failures_outcome *outcome)
{
    char key[FAILURES_REACHED_KEY_SIZE];
    const struct reached_recipient reached = {outcome->recipient,
                                              outcome->outcome.at_ms / DAY_MS};
    if (failures_reached_that_day(failures, reached.hash, reached.day))
        return;
    failures_reached_key(key, reached.hash);
    g_array_append_val(failures->reached, reached);
    if (!g_hash_table_contains(failures->about[VALUE_REACHED], key))
        note_key(failures, VALUE_REACHED, arena_strdup(failures->names, key));
}

void failures_add(struct failures *failures, const struct failures_outcome *outcome)
{
    struct failures_outcome added = *outcome;
    if (outcome->outcome.came == FAILURE_DELIVERED)
        add_reached(failures, outcome);
    if (failure_window_is_late(&added.outcome))
        return; /* a log that is read long afterwards costs nothing here */
    added.domain = arena_strdup(failures->names, outcome->domain);
    added.outcome.mailbox = arena_strdup(failures->names, outcome->outcome.mailbox);
    added.outcome.site = arena_strdup(failures->names, outcome->outcome.site);
    g_array_append_val(failures->added, added);
    note_key(failures, VALUE_FAILURES, added.domain);
    note_key(failures, VALUE_OUTAGE, added.outcome.site);
}

void failures_look_at(struct failures *failures, const char *domain, const struct value *value)
{
    struct due_block *due = xcalloc(1, sizeof *due);
    due->domain = arena_strdup(failures->names, domain);
    due->key = arena_strdup(failures->names, value->key);
    if (value->length == sizeof due->bytes)
        memcpy(due->bytes, value->bytes, sizeof due->bytes);
    g_ptr_array_add(failures->due, due);
    note_key(failures, VALUE_FAILURES, due->domain);
}

size_t failures_change_count(const struct failures *failures)
{
    size_t count = failures->due->len +
                   2 * g_hash_table_size(failures->about[VALUE_FAILURES]) +
                   g_hash_table_size(failures->about[VALUE_OUTAGE]) +
                   g_hash_table_size(failures->about[VALUE_REACHED]);
    return count > 0 ? count + 1 + 2 * FAILURES_EXCUSED_AT_ONCE : 0;
}

size_t failures_change_bytes(const struct failures *failures) { return failures->about_bytes; }

/* ---- applying -------------------------------------------------------------------------------- */

/* Whether the recipient is one that an outage may explain. */
static bool is_of_address(const struct failures_outcome *added)
{
    return added->outcome.came != FAILURE_DELIVERED &&
           (added->outcome.kind == FAILURE_ADDRESS_UNKNOWN ||
            added->outcome.kind == FAILURE_MAILBOX);
}

static void want_reached(struct failures *failures, struct wanted_failures *wanted, uint64_t hash)
{
    char key[FAILURES_REACHED_KEY_SIZE];
    failures_want(failures, wanted, VALUE_REACHED,
                  arena_strdup(failures->names, failures_reached_key(key, hash)));
}

/* Reads what the outcomes that were added are about. 1 or -1. */
static int read_added(struct failures *failures, int64_t now_ms)
{
    struct wanted_failures wanted = failures_new_wanted(
        4 * failures->added->len + failures->reached->len + failures->due->len + 2);
    if (failures->added->len > 0)
        failures_want_days(failures, &wanted, now_ms);
    for (guint i = 0; i < failures->added->len; i++) {
        const struct failures_outcome *added =
            &g_array_index(failures->added, struct failures_outcome, i);
        failures_want(failures, &wanted, VALUE_FAILURES, added->domain);
        failures_want(failures, &wanted, VALUE_OUTAGE, added->outcome.site);
        if (is_of_address(added)) {
            want_reached(failures, &wanted, added->recipient);
            want_reached(failures, &wanted, added->recipient_before);
        }
    }
    for (guint i = 0; i < failures->reached->len; i++)
        want_reached(failures, &wanted,
                     g_array_index(failures->reached, struct reached_recipient, i).hash);
    for (guint i = 0; i < failures->due->len; i++) {
        const struct due_block *due = g_ptr_array_index(failures->due, i);
        failures_want(failures, &wanted, VALUE_FAILURES, due->domain);
    }
    return failures_read_wanted(failures, &wanted, now_ms);
}

/* Bits of what an outage explains of that mailbox's failures. */
static uint32_t explained(const struct failures *failures, const struct held_failures *site,
                          const char *domain, const char *mailbox, int64_t now_ms)
{
    return failures->settings->outage && site != NULL
               ? failure_outage_explains(site->outage, domain, delivery_source(mailbox),
                                         failures->domains_of_day, now_ms)
               : 0;
}

/* Strangers are put off by sites that work. */
static void tell_site(const struct failures *failures, struct held_failures *site,
                      const struct failures_outcome *added)
{
    const struct failure_outcome *outcome = &added->outcome;
    bool waits = outcome->came == FAILURE_DEFERRED && outcome->greylisted;
    if (site == NULL || !outcome->first || waits)
        return;
    int64_t day = outcome->at_ms / DAY_MS;
    bool known = is_of_address(added) &&
                 (failures_has_reached(failures, added->recipient, day) ||
                  failures_has_reached(failures, added->recipient_before, day));
    failure_outage_take(site->outage, &(struct failure_outage_outcome){
                                          .domain = added->domain,
                                          .mailbox = delivery_source(outcome->mailbox),
                                          .good = outcome->came == FAILURE_DELIVERED,
                                          .kind = outcome->kind, .known = known,
                                          .at_ms = outcome->at_ms});
}

static void apply(struct failures *failures, const struct failures_outcome *added)
{
    struct held_failures *window = failures_use(failures, VALUE_FAILURES, added->domain);
    struct held_failures *site = failures_use(failures, VALUE_OUTAGE, added->outcome.site);
    struct failure_outcome outcome = added->outcome;
    if (window == NULL) /* no domain is named "" */
        return;
    if (outcome.came != FAILURE_DELIVERED && outcome.left_out == FAILURE_COUNTS &&
        (explained(failures, site, added->domain, outcome.mailbox, outcome.read_ms) &
         1U << outcome.kind) != 0)
        outcome.left_out = FAILURE_OUTAGE;
    if (outcome.at_ms - window->window.time_ms >= failures->settings->block_ms)
        failures_pass(failures, window, outcome.at_ms); /* a block may begin and end before */
    failure_window_take(&window->window, failures->settings, &outcome);
    failures_note_begun(failures, window);
    tell_site(failures, site, added);
}

/* ---- outages --------------------------------------------------------------------------------- */

/* Sites that have an outage, and domains that have mail there: FAILURES_EXCUSED_AT_ONCE of them, in
 * the next step the next ones, and again from the first. */
struct excused_domain {
    struct held_failures *site;
    const char *domain;
};

static size_t find_excused(struct failures *failures, int64_t now_ms,
                           struct excused_domain excused_r[FAILURES_EXCUSED_AT_ONCE])
{
    size_t count = 0;
    for (guint i = 0; i < failures->changed->len; i++) {
        struct held_failures *site = g_ptr_array_index(failures->changed, i);
        size_t place = 0, passed = 0;
        const char *domain = NULL;
        if (site->kind != VALUE_OUTAGE || explained(failures, site, "", "", now_ms) == 0)
            continue;
        if (!site->had_outage)
            failures_note_outage(failures, site);
        if (count == FAILURES_EXCUSED_AT_ONCE)
            continue;
        while (count < FAILURES_EXCUSED_AT_ONCE &&
               (domain = failure_outage_domain(site->outage, &place)) != NULL)
            if (++passed > site->excused)
                excused_r[count++] = (struct excused_domain){site, domain};
        site->excused = domain != NULL ? passed : 0;
    }
    return count;
}

/* Of the open window, or of a block that holds. */
static void excuse_by(struct failures *failures, struct held_failures *window,
                      const struct excused_domain *excused, const struct failure_block *block,
                      int64_t at_ms)
{
    struct failure_numbers numbers = failure_window_numbers(&window->window, block);
    for (size_t i = 0; i < numbers.mailbox_count; i++) {
        struct failure_excuse excuse = {excused->site->key, numbers.by_mailbox[i].name, 0};
        excuse.kinds = explained(failures, excused->site, excused->domain, excuse.mailbox, at_ms);
        if (excuse.kinds != 0)
            failures_leave_out(failures, window, &excuse, at_ms);
    }
    failure_window_numbers_free(&numbers);
}

/* A step has a limit; what it leaves is excused when its turn comes again. */
enum { EXCUSED_BYTES = VALUES_STEP_MAX_BYTES / 16 };

/* Returns about how many bytes are changed. */
static size_t excuse(struct failures *failures, const struct excused_domain *excused, int64_t at_ms)
{
    struct held_failures *window = failures_use(failures, VALUE_FAILURES, excused->domain);
    if (window == NULL)
        return 0;
    failures_pass(failures, window, at_ms);
    failure_window_pass(&window->window, failures->settings, at_ms);
    excuse_by(failures, window, excused, NULL, at_ms);
    for (size_t i = 0; i < window->window.block_count; i++)
        if (window->window.blocks[i].until_ms > window->window.time_ms)
            excuse_by(failures, window, excused, &window->window.blocks[i], at_ms);
    return window->packed.length;
}

/* 1 or -1. */
static int excuse_all(struct failures *failures, int64_t at_ms, int64_t now_ms)
{
    struct excused_domain excused[FAILURES_EXCUSED_AT_ONCE];
    struct wanted_failures wanted = failures_new_wanted(FAILURES_EXCUSED_AT_ONCE);
    size_t count = find_excused(failures, at_ms, excused);
    for (size_t i = 0; i < count; i++)
        failures_want(failures, &wanted, VALUE_FAILURES, excused[i].domain);
    int answer = failures_read_wanted(failures, &wanted, now_ms);
    for (size_t i = 0, bytes = 0; i < count && answer > 0 && bytes < EXCUSED_BYTES; i++)
        bytes += excuse(failures, &excused[i], at_ms);
    return answer;
}

/* ---- blocks that begin by themselves --------------------------------------------------------- */

/* A window in which nothing came to be is not written. */
static void look_at(struct failures *failures, const struct due_block *due, int64_t now_ms)
{
    struct held_failures *window = g_hash_table_lookup(failures->held[VALUE_FAILURES], due->domain);
    bool is_used = window != NULL && window->in_use;
    struct value_change change;
    window = failures_use(failures, VALUE_FAILURES, due->domain);
    if (window == NULL)
        return;
    block_values_put(&window->told, due->key, due->bytes);
    uint32_t last = window->window.last_block;
    failures_pass(failures, window, now_ms - FAILURES_LOOK_BACK_MS);
    if (is_used || window->window.last_block != last)
        return;
    block_values_of(&window->window, failures->settings, due->domain, &window->tells);
    if (block_values_changes(&window->told, &window->tells, &change, 1) == 0)
        failures_put_back_last(failures);
    else
        block_values_free(&window->tells);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int64_t kept_for(enum value_kind kind)
{
    return kind == VALUE_FAILURES ? WINDOW_KEPT_MS
           : kind == VALUE_REACHED ? REACHED_KEPT_MS : OTHERS_KEPT_MS;
}

static struct value_change change_of(struct held_failures *held,
                                     const struct failure_settings *settings, int64_t now_ms)
{
    bool is_window = held->kind == VALUE_FAILURES;
    if (is_window || held->kind == VALUE_OUTAGE)
        text_clear(&held->next);
    if (is_window) {
        failure_window_pass(&held->window, settings, held->window.time_ms);
        block_values_of(&held->window, settings, held->key, &held->tells);
        failure_window_add(&held->next, &held->window);
    } else if (held->kind == VALUE_OUTAGE) {
        failure_outage_add(&held->next, held->outage);
    }
    return (struct value_change){
        .value = {.kind = held->kind, .key = held->key, .bytes = held->next.data,
                  .length = held->next.length,
                  .until_ms = now_ms + kept_for(held->kind)},
        .replaces = held->version};
}

int failures_changes(struct failures *failures, const struct failure_settings *settings,
                     int64_t now_ms, struct value_change *changes, size_t room, size_t *count_r)
{
    int64_t *newest_ms = &failures->newest_ms;
    *newest_ms = 0;
    failures_put_back(failures);
    failures_forget_events(failures);
    *count_r = 0;
    if (failures_change_count(failures) > room)
        return store_fail(failures->store, "too many outcomes at once");
    if (read_added(failures, now_ms) < 0)
        return -1;
    failures->settings = settings;
    failures->domains_of_day = failures_add_to_day(failures, now_ms);
    for (guint i = 0; i < failures->reached->len; i++) {
        const struct reached_recipient *reached =
            &g_array_index(failures->reached, struct reached_recipient, i);
        failures_reach(failures, reached->hash, reached->day);
    }
    for (guint i = 0; i < failures->added->len; i++) {
        const struct failures_outcome *added =
            &g_array_index(failures->added, struct failures_outcome, i);
        apply(failures, added);
        if (added->outcome.at_ms > *newest_ms && added->outcome.at_ms <= now_ms)
            *newest_ms = added->outcome.at_ms;
    }
    if (excuse_all(failures, *newest_ms, now_ms) < 0)
        return -1;
    for (guint i = 0; i < failures->due->len; i++)
        look_at(failures, g_ptr_array_index(failures->due, i), now_ms);
    for (guint i = 0; i < failures->changed->len; i++)
        changes[i] = change_of(g_ptr_array_index(failures->changed, i), settings, now_ms);
    *count_r = failures->changed->len;
    for (guint i = 0; i < failures->changed->len; i++) {
        struct held_failures *held = g_ptr_array_index(failures->changed, i);
        size_t left = room - *count_r;
        size_t count = block_values_changes(&held->told, &held->tells, changes + *count_r, left);
        held->tells_all = count < left;
        *count_r += count;
    }
    return 1;
}

int64_t failures_outage_ms(const struct failures *failures, const char *site)
{
    const struct held_failures *held = g_hash_table_lookup(failures->held[VALUE_OUTAGE], site);
    bool has = held != NULL && held->in_use &&
               explained(failures, held, "", "", failures->newest_ms) != 0;
    return has ? failures->newest_ms : 0;
}

void failures_written(struct failures *failures, const uint32_t *versions)
{
    for (guint i = 0; i < failures->changed->len; i++) {
        struct held_failures *held = g_ptr_array_index(failures->changed, i);
        const struct text packed = held->next;
        failures->bytes += packed.length - held->packed.length;
        held->next = held->packed;
        held->packed = packed;
        held->version = versions[i];
        if (!held->tells_all)
            continue; /* the rest of it comes when the window changes again */
        block_values_free(&held->told);
        held->told = held->tells;
        held->tells = (struct block_values){0};
    }
    failures_put_back(failures);
    g_array_set_size(failures->added, 0);
    g_array_set_size(failures->reached, 0);
    g_ptr_array_set_size(failures->due, 0);
    g_hash_table_remove_all(failures->about[VALUE_FAILURES]);
    g_hash_table_remove_all(failures->about[VALUE_OUTAGE]);
    g_hash_table_remove_all(failures->about[VALUE_REACHED]);
    failures->about_bytes = 0;
    arena_reset(failures->names);
    failures_forget_some(failures);
}

void failures_refused(struct failures *failures, size_t place)
{
    struct held_failures *held = g_ptr_array_index(failures->changed, place);
    failures_put_back(failures);
    failures_forget(failures, held);
}
