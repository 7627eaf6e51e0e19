#include "feedback/failures.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "guard/delivery.h"

/* So long a window is kept that nothing comes into: its blocks are remembered; a site: the 24 hours
 * before an outage. */
#define WINDOW_KEPT_MS (FAILURE_BLOCKS_REMEMBERED_MS + 2 * DAY_MS)
#define SITE_KEPT_MS (2 * DAY_MS)
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

struct failures {
    struct store *store;
    struct arena *arena;   /* for reading */
    struct arena *names;   /* of what was added */
    GArray *added;         /* of struct failures_outcome */
    GHashTable *windows, *sites; /* of held, by key */
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
    failures->windows = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_held);
    failures->sites = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_held);
    failures->changed = g_ptr_array_new();
    return failures;
}

void failures_free(struct failures **failures)
{
    if (*failures == NULL)
        return;
    g_ptr_array_free((*failures)->changed, TRUE);
    g_hash_table_destroy((*failures)->windows);
    g_hash_table_destroy((*failures)->sites);
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

void failures_add(struct failures *failures, const struct failures_outcome *outcome)
{
    struct failures_outcome added = *outcome;
    added.domain = arena_strdup(failures->names, outcome->domain);
    added.outcome.mailbox = arena_strdup(failures->names, outcome->outcome.mailbox);
    added.outcome.site = arena_strdup(failures->names, outcome->outcome.site);
    g_array_append_val(failures->added, added);
}

size_t failures_change_count(const struct failures *failures)
{
    size_t added = failures->added->len;
    return added > 0 ? 2 * added + FAILURES_EXCUSED_AT_ONCE : 0;
}

/* ---- what the store has ---------------------------------------------------------------------- */

static GHashTable *table_of(const struct failures *failures, enum value_kind kind)
{
    return kind == VALUE_FAILURES ? failures->windows : failures->sites;
}

/* Values to be read, each once, that are not held. */
struct wanted_failures {
    struct value *values;
    size_t count;
    GHashTable *named[2];
};

static void want(const struct failures *failures, struct wanted_failures *wanted,
                 enum value_kind kind, const char *key)
{
    GHashTable *named = wanted->named[kind == VALUE_FAILURES];
    if (key[0] == '\0' || g_hash_table_contains(table_of(failures, kind), key) ||
        !g_hash_table_add(named, (void *)(uintptr_t)key))
        return;
    wanted->values[wanted->count++] = (struct value){.kind = kind, .key = key};
}

static struct wanted_failures new_wanted(size_t room)
{
    return (struct wanted_failures){.values = xcalloc(room + 1, sizeof(struct value)),
                                    .named = {g_hash_table_new(g_str_hash, g_str_equal),
                                              g_hash_table_new(g_str_hash, g_str_equal)}};
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
        g_hash_table_insert(table_of(failures, held->kind), held->key, held);
    }
    arena_reset(failures->arena);
    g_hash_table_destroy(wanted->named[0]);
    g_hash_table_destroy(wanted->named[1]);
    free(wanted->values);
    return answer;
}

/* Unpacked, to be changed; NULL: it is not held. What is damaged begins anew. */
static struct held_failures *use(struct failures *failures, enum value_kind kind, const char *key)
{
    struct held_failures *held = g_hash_table_lookup(table_of(failures, kind), key);
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

/* Reads what the outcomes that were added are about. 1 or -1. */
static int read_added(struct failures *failures, int64_t now_ms)
{
    struct wanted_failures wanted = new_wanted(2 * failures->added->len);
    for (guint i = 0; i < failures->added->len; i++) {
        const struct failures_outcome *added =
            &g_array_index(failures->added, struct failures_outcome, i);
        want(failures, &wanted, VALUE_FAILURES, added->domain);
        want(failures, &wanted, VALUE_OUTAGE, added->outcome.site);
    }
    return read_wanted(failures, &wanted, now_ms);
}

/* ---- applying -------------------------------------------------------------------------------- */

static uint32_t explained(const struct held_failures *site, const struct failures_rule *rule,
                          const char *domain, const char *mailbox, int64_t now_ms)
{
    return rule->settings.outage && site != NULL
               ? failure_outage_explains(site->outage, domain, delivery_source(mailbox),
                                         rule->domains_of_day, now_ms)
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

static void apply(struct failures *failures, const struct failures_rule *rule,
                  const struct failures_outcome *added)
{
    struct held_failures *window = use(failures, VALUE_FAILURES, added->domain);
    struct held_failures *site = use(failures, VALUE_OUTAGE, added->outcome.site);
    struct failure_outcome outcome = added->outcome;
    if (window == NULL) /* no domain is named "" */
        return;
    if (outcome.came != FAILURE_DELIVERED && outcome.left_out == FAILURE_COUNTS &&
        (explained(site, rule, added->domain, outcome.mailbox, outcome.read_ms) >> outcome.kind &
         1) != 0)
        outcome.left_out = FAILURE_OUTAGE;
    if (failure_window_take(&window->window, &rule->settings, &outcome) != FAILURE_LATE)
        tell_site(site, added);
}

/* ---- outages --------------------------------------------------------------------------------- */

/* Sites that have an outage, and domains that have mail there: FAILURES_EXCUSED_AT_ONCE of them, in
 * the next step the next ones, and again from the first. */
struct excused_domain {
    struct held_failures *site;
    const char *domain;
};

static size_t find_excused(const struct failures *failures, const struct failures_rule *rule,
                           int64_t now_ms,
                           struct excused_domain excused_r[FAILURES_EXCUSED_AT_ONCE])
{
    size_t count = 0;
    for (guint i = 0; i < failures->changed->len; i++) {
        struct held_failures *site = g_ptr_array_index(failures->changed, i);
        size_t place = 0, passed = 0;
        const char *domain = NULL;
        if (count == FAILURES_EXCUSED_AT_ONCE)
            break;
        if (site->kind != VALUE_OUTAGE || explained(site, rule, "", "", now_ms) == 0)
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
static void excuse_by(struct held_failures *window, const struct excused_domain *excused,
                      const struct failures_rule *rule, const struct failure_block *block,
                      int64_t at_ms)
{
    struct failure_numbers numbers = failure_window_numbers(&window->window, block);
    for (size_t i = 0; i < numbers.mailbox_count; i++) {
        struct failure_excuse excuse = {excused->site->key, numbers.by_mailbox[i].name, 0};
        excuse.kinds = explained(excused->site, rule, excused->domain, excuse.mailbox, at_ms);
        if (excuse.kinds != 0)
            failure_window_leave_out(&window->window, &rule->settings, &excuse, at_ms);
    }
    failure_window_numbers_free(&numbers);
}

static void excuse(struct failures *failures, const struct excused_domain *excused,
                   const struct failures_rule *rule, int64_t at_ms)
{
    struct held_failures *window = use(failures, VALUE_FAILURES, excused->domain);
    if (window == NULL)
        return;
    failure_window_pass(&window->window, &rule->settings, at_ms);
    excuse_by(window, excused, rule, NULL, at_ms);
    for (size_t i = 0; i < window->window.block_count; i++)
        if (window->window.blocks[i].until_ms > window->window.time_ms)
            excuse_by(window, excused, rule, &window->window.blocks[i], at_ms);
}

/* 1 or -1. */
static int excuse_all(struct failures *failures, const struct failures_rule *rule, int64_t at_ms,
                      int64_t now_ms)
{
    struct excused_domain excused[FAILURES_EXCUSED_AT_ONCE];
    struct wanted_failures wanted = new_wanted(FAILURES_EXCUSED_AT_ONCE);
    size_t count = find_excused(failures, rule, at_ms, excused);
    for (size_t i = 0; i < count; i++)
        want(failures, &wanted, VALUE_FAILURES, excused[i].domain);
    int answer = read_wanted(failures, &wanted, now_ms);
    for (size_t i = 0; i < count && answer > 0; i++)
        excuse(failures, &excused[i], rule, at_ms);
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
    text_clear(&held->next);
    if (is_window) {
        failure_window_pass(&held->window, settings, held->window.time_ms);
        failure_window_add(&held->next, &held->window);
    } else {
        failure_outage_add(&held->next, held->outage);
    }
    return (struct value_change){
        .value = {.kind = held->kind, .key = held->key, .bytes = held->next.data,
                  .length = held->next.length,
                  .until_ms = now_ms + (is_window ? WINDOW_KEPT_MS : SITE_KEPT_MS)},
        .replaces = held->version};
}

int failures_changes(struct failures *failures, const struct failures_rule *rule, int64_t now_ms,
                     struct value_change *changes, size_t room, size_t *count_r)
{
    int64_t newest_ms = 0;
    give_up(failures);
    *count_r = 0;
    if (failures_change_count(failures) > room)
        return store_fail(failures->store, "too many outcomes at once");
    if (read_added(failures, now_ms) < 0)
        return -1;
    for (guint i = 0; i < failures->added->len; i++) {
        const struct failures_outcome *added =
            &g_array_index(failures->added, struct failures_outcome, i);
        apply(failures, rule, added);
        if (added->outcome.at_ms > newest_ms && added->outcome.at_ms <= now_ms)
            newest_ms = added->outcome.at_ms;
    }
    if (excuse_all(failures, rule, newest_ms, now_ms) < 0)
        return -1;
    for (guint i = 0; i < failures->changed->len; i++)
        changes[i] = change_of(g_ptr_array_index(failures->changed, i), &rule->settings, now_ms);
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
    arena_reset(failures->names);
    if (failures->bytes > HELD_MAX_BYTES) {
        g_hash_table_remove_all(failures->windows);
        g_hash_table_remove_all(failures->sites);
        failures->bytes = 0;
    }
}

void failures_refused(struct failures *failures, size_t place)
{
    struct held_failures *held = g_ptr_array_index(failures->changed, place);
    give_up(failures);
    failures->bytes -= held->packed.length;
    g_hash_table_remove(table_of(failures, held->kind), held->key);
}
