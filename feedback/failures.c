#include "feedback/failures.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "guard/delivery.h"

/* So long a window is kept that nothing comes into: its blocks are remembered; and others: a site the
 * 24 hours before an outage, a day until the next one has ended. */
#define WINDOW_KEPT_MS (FAILURE_BLOCKS_REMEMBERED_MS + 2 * DAY_MS)
#define OTHERS_KEPT_MS (3 * DAY_MS)
/* What is not in use is forgotten when so much is held. */
enum { HELD_MAX_BYTES = 16 * 1024 * 1024 };

/* One of the store's values, and what it is to be. */
struct held_failures {
    enum value_kind kind;
    char *key;
    uint32_t version; /* 0: the store has none */
    struct text packed, next;
    bool in_use; /* by the step that is made; then it is unpacked: */
    struct failure_window window;
    struct failure_outage *outage;
    size_t excused; /* of a site: so many of its domains were excused, the next ones follow */
};

static const enum value_kind kinds[] = {VALUE_FAILURES, VALUE_OUTAGE, VALUE_DAY};

struct failures {
    struct store *store;
    struct arena *arena;   /* for reading */
    struct arena *names;   /* of what was added */
    GArray *added;         /* of struct failures_outcome */
    GHashTable *about[VALUE_KIND_COUNT]; /* the keys of the values that these are about */
    size_t about_bytes;    /* that they had, as far as they are held */
    GHashTable *held[VALUE_KIND_COUNT]; /* by key; of the three kinds */
    /* Of the step that is made: */
    const struct failure_settings *settings;
    uint32_t domains_of_day; /* up to FAILURE_OUTAGE_DOMAINS_FEW; today or yesterday */
    GPtrArray *changed;    /* of held, in the order of the changes */
    size_t bytes;
};

/* ---- making ---------------------------------------------------------------------------------- */

static void repack(struct held_failures *held)
{
    failure_window_free(&held->window);
    if (held->outage != NULL)
        failure_outage_free(held->outage);
    free(take(held->outage));
    held->in_use = false;
}

static void free_held(void *pointer)
{
    struct held_failures *held = pointer;
    repack(held);
    text_free(&held->packed);
    text_free(&held->next);
    free(held->key);
    free(held);
}

struct failures *failures_new(struct store *store)
{
    struct failures *failures = xcalloc(1, sizeof *failures);
    failures->store = store;
    failures->arena = arena_new();
    failures->names = arena_new();
    failures->added = g_array_new(FALSE, FALSE, sizeof(struct failures_outcome));
    for (size_t i = 0; i < countof(kinds); i++)
        failures->held[kinds[i]] =
            g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_held);
    for (size_t i = 0; i < countof(kinds); i++)
        failures->about[kinds[i]] = g_hash_table_new(g_str_hash, g_str_equal);
    failures->changed = g_ptr_array_new();
    return failures;
}

void failures_free(struct failures **failures)
{
    if (*failures == NULL)
        return;
    g_ptr_array_free((*failures)->changed, TRUE);
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_destroy((*failures)->held[kinds[i]]);
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_destroy((*failures)->about[kinds[i]]);
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

void failures_add(struct failures *failures, const struct failures_outcome *outcome)
{
    struct failures_outcome added = *outcome;
    if (failure_window_is_late(&added.outcome))
        return; /* a log that is read long afterwards costs nothing here */
    added.domain = arena_strdup(failures->names, outcome->domain);
    added.outcome.mailbox = arena_strdup(failures->names, outcome->outcome.mailbox);
    added.outcome.site = arena_strdup(failures->names, outcome->outcome.site);
    g_array_append_val(failures->added, added);
    note_key(failures, VALUE_FAILURES, added.domain);
    note_key(failures, VALUE_OUTAGE, added.outcome.site);
}

size_t failures_change_count(const struct failures *failures)
{
    size_t count = g_hash_table_size(failures->about[VALUE_FAILURES]) +
                   g_hash_table_size(failures->about[VALUE_OUTAGE]);
    return count > 0 ? count + 1 + FAILURES_EXCUSED_AT_ONCE : 0;
}

size_t failures_change_bytes(const struct failures *failures) { return failures->about_bytes; }

/* ---- what the store has ---------------------------------------------------------------------- */

/* Values to be read, each once, that are not held. */
struct wanted_failures {
    struct value *values;
    size_t count;
    GHashTable *named[VALUE_KIND_COUNT];
};

static void want(const struct failures *failures, struct wanted_failures *wanted,
                 enum value_kind kind, const char *key)
{
    GHashTable *named = wanted->named[kind];
    if (key[0] == '\0' || g_hash_table_contains(failures->held[kind], key) ||
        !g_hash_table_add(named, (void *)(uintptr_t)key))
        return;
    wanted->values[wanted->count++] = (struct value){.kind = kind, .key = key};
}

static struct wanted_failures new_wanted(size_t room)
{
    struct wanted_failures wanted = {.values = xcalloc(room + 1, sizeof(struct value))};
    for (size_t i = 0; i < countof(kinds); i++)
        wanted.named[kinds[i]] = g_hash_table_new(g_str_hash, g_str_equal);
    return wanted;
}

/* Reads what is wanted, and ends it. 1 or -1. */
static int read_wanted(struct failures *failures, struct wanted_failures *wanted, int64_t now_ms)
{
    int answer = 1;
    for (size_t done = 0; done < wanted->count && answer > 0; done += VALUES_AT_ONCE) {
        size_t left = wanted->count - done;
        answer = store_values_get(failures->store, failures->arena, wanted->values + done,
                                  left < VALUES_AT_ONCE ? left : VALUES_AT_ONCE, now_ms);
    }
    for (size_t i = 0; i < wanted->count && answer > 0; i++) {
        const struct value *value = &wanted->values[i];
        struct held_failures *held = xcalloc(1, sizeof *held);
        held->kind = value->kind;
        held->key = xstrdup(value->key);
        held->version = value->version;
        text_add_bytes(&held->packed, value->length > 0 ? value->bytes : "", value->length);
        failures->bytes += value->length;
        g_hash_table_insert(failures->held[held->kind], held->key, held);
    }
    arena_reset(failures->arena);
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_destroy(wanted->named[kinds[i]]);
    free(wanted->values);
    return answer;
}

/* Unpacked, to be changed; NULL: it is not held. What is damaged begins anew. */
static struct held_failures *use(struct failures *failures, enum value_kind kind, const char *key)
{
    struct held_failures *held = g_hash_table_lookup(failures->held[kind], key);
    if (held == NULL || held->in_use)
        return held;
    const char *bytes = text_string(&held->packed);
    held->in_use = true;
    g_ptr_array_add(failures->changed, held);
    if (kind == VALUE_OUTAGE)
        held->outage = xcalloc(1, sizeof *held->outage);
    bool good = kind == VALUE_OUTAGE
                    ? failure_outage_read(bytes, held->packed.length, held->outage)
                    : failure_window_read(bytes, held->packed.length, &held->window);
    if (!good && held->packed.length > 0)
        log_line(LOG_ERROR_LEVEL, "what is kept of failures is damaged, and begins anew", "kind",
                 value_kind_names[kind], "key", key, NULL);
    return held;
}

enum { DAY_SIZE = 24 };

static void day_key(char key_r[DAY_SIZE], int64_t time_ms)
{
    snprintf(key_r, DAY_SIZE, "%lld", (long long)(time_ms / DAY_MS));
}

/* Reads what the outcomes that were added are about. 1 or -1. */
static int read_added(struct failures *failures, int64_t now_ms)
{
    struct wanted_failures wanted = new_wanted(2 * failures->added->len + 2);
    char day[DAY_SIZE], day_before[DAY_SIZE];
    day_key(day, now_ms);
    day_key(day_before, now_ms - DAY_MS);
    if (failures->added->len > 0) {
        want(failures, &wanted, VALUE_DAY, day);
        want(failures, &wanted, VALUE_DAY, day_before);
    }
    for (guint i = 0; i < failures->added->len; i++) {
        const struct failures_outcome *added =
            &g_array_index(failures->added, struct failures_outcome, i);
        want(failures, &wanted, VALUE_FAILURES, added->domain);
        want(failures, &wanted, VALUE_OUTAGE, added->outcome.site);
    }
    return read_wanted(failures, &wanted, now_ms);
}

/* ---- days ------------------------------------------------------------------------------------ */

enum { DAY_FORMAT = FAILURE_OUTAGE_DAY_FORMAT, HASH_BYTES = FAILURE_OUTAGE_DAY_HASH_BYTES };

static uint32_t domains_of(const struct text *day)
{
    return failure_outage_domains_of_day(day->data, day->length);
}

static bool has_domain(const struct text *day, const uint8_t hash[HASH_BYTES])
{
    for (uint32_t i = 0; i < domains_of(day); i++)
        if (memcmp(day->data + 1 + i * HASH_BYTES, hash, HASH_BYTES) == 0)
            return true;
    return false;
}

static void add_domain(struct failures *failures, struct held_failures *day, const char *domain)
{
    uint8_t hash[HASH_BYTES];
    const struct text *now = day->in_use ? &day->next : &day->packed;
    packed_put(hash, delivery_source(domain), HASH_BYTES);
    if (domains_of(now) == FAILURE_OUTAGE_DOMAINS_FEW || has_domain(now, hash))
        return;
    if (!day->in_use) {
        day->in_use = true;
        g_ptr_array_add(failures->changed, day);
        text_clear(&day->next);
        text_add_char(&day->next, DAY_FORMAT);
        if (domains_of(now) > 0)
            text_add_bytes(&day->next, now->data + 1, now->length - 1);
    }
    text_add_bytes(&day->next, (const char *)hash, HASH_BYTES);
}

/* How many domains the day has then, or the day before, which is over. */
static uint32_t add_to_day(struct failures *failures, int64_t now_ms)
{
    char key[DAY_SIZE], key_before[DAY_SIZE];
    day_key(key, now_ms);
    day_key(key_before, now_ms - DAY_MS);
    struct held_failures *day = g_hash_table_lookup(failures->held[VALUE_DAY], key);
    const struct held_failures *before =
        g_hash_table_lookup(failures->held[VALUE_DAY], key_before);
    for (guint i = 0; i < failures->added->len && day != NULL; i++)
        add_domain(failures, day,
                   g_array_index(failures->added, struct failures_outcome, i).domain);
    uint32_t today = day != NULL ? domains_of(day->in_use ? &day->next : &day->packed) : 0;
    uint32_t yesterday = before != NULL ? domains_of(&before->packed) : 0;
    return today > yesterday ? today : yesterday;
}

/* ---- applying -------------------------------------------------------------------------------- */

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
static void tell_site(struct held_failures *site, const struct failures_outcome *added)
{
    const struct failure_outcome *outcome = &added->outcome;
    bool waits = outcome->came == FAILURE_DEFERRED && outcome->greylisted;
    if (site == NULL || !outcome->first || waits)
        return;
    failure_outage_take(site->outage, &(struct failure_outage_outcome){
                                          .domain = added->domain,
                                          .mailbox = delivery_source(outcome->mailbox),
                                          .good = outcome->came == FAILURE_DELIVERED,
                                          .kind = outcome->kind, .known = added->known,
                                          .at_ms = outcome->at_ms});
}

static void apply(struct failures *failures, const struct failures_outcome *added)
{
    struct held_failures *window = use(failures, VALUE_FAILURES, added->domain);
    struct held_failures *site = use(failures, VALUE_OUTAGE, added->outcome.site);
    struct failure_outcome outcome = added->outcome;
    if (window == NULL) /* no domain is named "" */
        return;
    if (outcome.came != FAILURE_DELIVERED && outcome.left_out == FAILURE_COUNTS &&
        (explained(failures, site, added->domain, outcome.mailbox, outcome.read_ms) &
         1U << outcome.kind) != 0)
        outcome.left_out = FAILURE_OUTAGE;
    failure_window_take(&window->window, failures->settings, &outcome);
    tell_site(site, added);
}

/* ---- outages --------------------------------------------------------------------------------- */

/* Sites that have an outage, and domains that have mail there: FAILURES_EXCUSED_AT_ONCE of them, in
 * the next step the next ones, and again from the first. */
struct excused_domain {
    struct held_failures *site;
    const char *domain;
};

static size_t find_excused(const struct failures *failures, int64_t now_ms,
                           struct excused_domain excused_r[FAILURES_EXCUSED_AT_ONCE])
{
    size_t count = 0;
    for (guint i = 0; i < failures->changed->len; i++) {
        struct held_failures *site = g_ptr_array_index(failures->changed, i);
        size_t place = 0, passed = 0;
        const char *domain = NULL;
        if (count == FAILURES_EXCUSED_AT_ONCE)
            break;
        if (site->kind != VALUE_OUTAGE || explained(failures, site, "", "", now_ms) == 0)
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
static void excuse_by(const struct failures *failures, struct held_failures *window,
                      const struct excused_domain *excused, const struct failure_block *block,
                      int64_t at_ms)
{
    struct failure_numbers numbers = failure_window_numbers(&window->window, block);
    for (size_t i = 0; i < numbers.mailbox_count; i++) {
        struct failure_excuse excuse = {excused->site->key, numbers.by_mailbox[i].name, 0};
        excuse.kinds = explained(failures, excused->site, excused->domain, excuse.mailbox, at_ms);
        if (excuse.kinds != 0)
            failure_window_leave_out(&window->window, failures->settings, &excuse, at_ms);
    }
    failure_window_numbers_free(&numbers);
}

/* A step has a limit; what it leaves is excused when its turn comes again. */
enum { EXCUSED_BYTES = VALUES_STEP_MAX_BYTES / 16 };

/* Returns about how many bytes are changed. */
static size_t excuse(struct failures *failures, const struct excused_domain *excused, int64_t at_ms)
{
    struct held_failures *window = use(failures, VALUE_FAILURES, excused->domain);
    if (window == NULL)
        return 0;
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
    struct wanted_failures wanted = new_wanted(FAILURES_EXCUSED_AT_ONCE);
    size_t count = find_excused(failures, at_ms, excused);
    for (size_t i = 0; i < count; i++)
        want(failures, &wanted, VALUE_FAILURES, excused[i].domain);
    int answer = read_wanted(failures, &wanted, now_ms);
    for (size_t i = 0, bytes = 0; i < count && answer > 0 && bytes < EXCUSED_BYTES; i++)
        bytes += excuse(failures, &excused[i], at_ms);
    return answer;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What was unpacked for a step that was not written is as it was. */
static void give_up(struct failures *failures)
{
    for (guint i = 0; i < failures->changed->len; i++)
        repack(g_ptr_array_index(failures->changed, i));
    g_ptr_array_set_size(failures->changed, 0);
}

static struct value_change change_of(struct held_failures *held,
                                     const struct failure_settings *settings, int64_t now_ms)
{
    bool is_window = held->kind == VALUE_FAILURES;
    if (held->kind != VALUE_DAY)
        text_clear(&held->next);
    if (is_window) {
        failure_window_pass(&held->window, settings, held->window.time_ms);
        failure_window_add(&held->next, &held->window);
    } else if (held->kind == VALUE_OUTAGE) {
        failure_outage_add(&held->next, held->outage);
    }
    return (struct value_change){
        .value = {.kind = held->kind, .key = held->key, .bytes = held->next.data,
                  .length = held->next.length,
                  .until_ms = now_ms + (is_window ? WINDOW_KEPT_MS : OTHERS_KEPT_MS)},
        .replaces = held->version};
}

int failures_changes(struct failures *failures, const struct failure_settings *settings,
                     int64_t now_ms, struct value_change *changes, size_t room, size_t *count_r)
{
    int64_t newest_ms = 0;
    give_up(failures);
    *count_r = 0;
    if (failures_change_count(failures) > room)
        return store_fail(failures->store, "too many outcomes at once");
    if (read_added(failures, now_ms) < 0)
        return -1;
    failures->settings = settings;
    failures->domains_of_day = add_to_day(failures, now_ms);
    for (guint i = 0; i < failures->added->len; i++) {
        const struct failures_outcome *added =
            &g_array_index(failures->added, struct failures_outcome, i);
        apply(failures, added);
        if (added->outcome.at_ms > newest_ms && added->outcome.at_ms <= now_ms)
            newest_ms = added->outcome.at_ms;
    }
    if (excuse_all(failures, newest_ms, now_ms) < 0)
        return -1;
    for (guint i = 0; i < failures->changed->len; i++)
        changes[i] = change_of(g_ptr_array_index(failures->changed, i), settings, now_ms);
    *count_r = failures->changed->len;
    return 1;
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
    }
    give_up(failures);
    g_array_set_size(failures->added, 0);
    for (size_t i = 0; i < countof(kinds); i++)
        g_hash_table_remove_all(failures->about[kinds[i]]);
    failures->about_bytes = 0;
    arena_reset(failures->names);
    if (failures->bytes > HELD_MAX_BYTES) {
        for (size_t i = 0; i < countof(kinds); i++)
            g_hash_table_remove_all(failures->held[kinds[i]]);
        failures->bytes = 0;
    }
}

void failures_refused(struct failures *failures, size_t place)
{
    struct held_failures *held = g_ptr_array_index(failures->changed, place);
    give_up(failures);
    failures->bytes -= held->packed.length;
    g_hash_table_remove(failures->held[held->kind], held->key);
}
