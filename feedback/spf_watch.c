#include "feedback/spf_watch.h"

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "guard/spf_view.h"
#include "store/values.h"

enum { VALUES_PAGE = 256 };

struct watched {
    int64_t again_ms, seen_ms;
    int names_us; /* as of spf_hosts; 2: never looked at */
};
enum { NEVER_LOOKED_AT = 2 };

struct spf_watch {
    struct store *store;
    const char *host;
    GHashTable *domains; /* name: struct watched */
    char *outgoing;      /* that all were looked at for, or are due */
    bool loaded;
    bool dns_answers;
    int64_t dns_since_ms; /* 0: not told yet */
    pthread_mutex_t lock; /* of `seen` */
    GHashTable *seen;     /* domains that sent since the last look: when */
};

struct spf_watch *spf_watch_new(struct store *store, const char *host)
{
    struct spf_watch *watch = xcalloc(1, sizeof *watch);
    watch->store = store;
    watch->host = host;
    watch->domains = g_hash_table_new_full(g_str_hash, g_str_equal, free, free);
    watch->seen = g_hash_table_new_full(g_str_hash, g_str_equal, free, free);
    watch->outgoing = xstrdup("");
    pthread_mutex_init(&watch->lock, NULL);
    return watch;
}

void spf_watch_free(struct spf_watch **watch)
{
    if (*watch == NULL)
        return;
    g_hash_table_destroy((*watch)->domains);
    g_hash_table_destroy((*watch)->seen);
    pthread_mutex_destroy(&(*watch)->lock);
    free((*watch)->outgoing);
    free(*watch);
    *watch = NULL;
}

/* ---- which domains --------------------------------------------------------------------------- */

void spf_watch_saw(struct spf_watch *watch, const char *mailbox, int64_t now_ms)
{
    const char *at = strrchr(mailbox, '@');
    if (at == NULL || strchr(at, '.') == NULL)
        return; /* the DNS has no domain of one label */
    pthread_mutex_lock(&watch->lock);
    int64_t *seen_ms = g_hash_table_lookup(watch->seen, at + 1);
    if (seen_ms == NULL) {
        seen_ms = xcalloc(1, sizeof *seen_ms);
        g_hash_table_insert(watch->seen, xstrdup(at + 1), seen_ms);
    }
    *seen_ms = now_ms;
    pthread_mutex_unlock(&watch->lock);
}

static struct watched *watched_of(struct spf_watch *watch, const char *domain)
{
    struct watched *watched = g_hash_table_lookup(watch->domains, domain);
    if (watched == NULL) {
        watched = xcalloc(1, sizeof *watched);
        watched->names_us = NEVER_LOOKED_AT;
        g_hash_table_insert(watch->domains, xstrdup(domain), watched);
    }
    return watched;
}

static void take_seen(struct spf_watch *watch)
{
    GHashTableIter next;
    gpointer domain, seen_ms;
    pthread_mutex_lock(&watch->lock);
    g_hash_table_iter_init(&next, watch->seen);
    while (g_hash_table_iter_next(&next, &domain, &seen_ms))
        watched_of(watch, domain)->seen_ms = *(int64_t *)seen_ms;
    g_hash_table_remove_all(watch->seen);
    pthread_mutex_unlock(&watch->lock);
}

/* What the store has of a domain. */
static void take_kept(struct watched *watched, struct json_object *view)
{
    struct json_object *names_us = json_member(view, "names_us");
    int64_t seen_ms = json_int(view, "seen", 0);
    watched->again_ms = json_int(view, "again", 0);
    watched->seen_ms = seen_ms > watched->seen_ms ? seen_ms : watched->seen_ms;
    watched->names_us = names_us == NULL ? -1 : json_object_get_boolean(names_us) != 0;
}

/* All that the store has: 1 or -1. */
static int load(struct spf_watch *watch, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value *values = xcalloc(VALUES_PAGE, sizeof *values);
    struct store_page page = {.max = VALUES_PAGE, .more = true};
    freed_by(free_string) char *after = xstrdup("");
    int answer = 1;
    while (page.more && (answer = store_values(watch->store, arena, VALUE_SPF, after, now_ms,
                                               values, &page)) > 0 && page.count > 0) {
        for (size_t i = 0; i < page.count; i++) {
            freed_by(json_put) struct json_object *view = json_read(values[i].bytes);
            if (view != NULL && values[i].key[0] != SPF_VIEW_STATE[0])
                take_kept(watched_of(watch, values[i].key), view);
        }
        free(after);
        after = xstrdup(values[page.count - 1].key);
        arena_reset(arena);
    }
    free(values);
    watch->loaded = answer > 0;
    return answer;
}

/* After a change of the addresses all are looked at again. */
static void take_outgoing(struct spf_watch *watch, const struct text_list *outgoing)
{
    freed_by(text_free) struct text all = {0};
    GHashTableIter next;
    gpointer domain, watched;
    for (size_t i = 0; i < outgoing->count; i++)
        text_addf(&all, "%s ", outgoing->items[i]);
    if (strcmp(watch->outgoing, text_string(&all)) == 0)
        return;
    g_hash_table_iter_init(&next, watch->domains);
    while (g_hash_table_iter_next(&next, &domain, &watched))
        ((struct watched *)watched)->again_ms = 0;
    free(watch->outgoing);
    watch->outgoing = xstrdup(text_string(&all));
}

/* The one that is due longest; NULL: none is. */
static const char *find_due(struct spf_watch *watch, int64_t now_ms, struct watched **watched_r)
{
    GHashTableIter next;
    gpointer domain, value;
    const char *due = NULL;
    int64_t oldest_ms = now_ms + 1;
    g_hash_table_iter_init(&next, watch->domains);
    while (g_hash_table_iter_next(&next, &domain, &value)) {
        struct watched *watched = value;
        int64_t again_ms = watched->again_ms <= now_ms + SPF_WATCH_MAX_MS
                               ? watched->again_ms
                               : 0; /* the clock was set back since */
        if (again_ms < oldest_ms && watched->seen_ms > now_ms - SPF_WATCH_SENDING_MS) {
            oldest_ms = again_ms;
            *watched_r = watched;
            due = domain;
        }
    }
    return due;
}

/* ---- looking at one ---------------------------------------------------------------------------- */

/* Whether what is kept is about these addresses. */
static bool is_about(struct json_object *view, const struct text_list *outgoing)
{
    struct json_object *results = json_member(view, "results");
    if (results == NULL || json_object_array_length(results) != outgoing->count)
        return false;
    for (size_t i = 0; i < outgoing->count; i++)
        if (strcmp(json_string(json_object_array_get_idx(results, i), "ip", ""),
                   outgoing->items[i]) != 0)
            return false;
    return true;
}

static void log_begin(const struct spf_hosts *hosts)
{
    log_line(LOG_WARNING_LEVEL, "an SPF record does not let our mail servers send", "domain",
             hosts->domain, "missing", hosts->terms, NULL);
}

/* What to keep; before NULL: nothing was about these addresses. To be put. */
static struct json_object *next_view(struct json_object *before, const struct spf_hosts *hosts,
                                     int64_t now_ms)
{
    if (hosts->names_us < 0 && before != NULL)
        return json_object_get(before);
    struct json_object *view = spf_view(hosts);
    int64_t since_ms = json_int(before, "since", 0);
    if (hosts->names_us == 0 && since_ms == 0)
        log_begin(hosts);
    if (hosts->names_us == 0)
        json_add_int(view, "since", since_ms > 0 ? since_ms : now_ms);
    json_add_int(view, "checked", now_ms);
    return view;
}

static int keep(struct spf_watch *watch, const char *key, struct json_object *view,
                int64_t until_ms, int64_t now_ms)
{
    const char *text = json_object_to_json_string_ext(view, JSON_C_TO_STRING_PLAIN);
    const struct value_change change = {
        .value = {.kind = VALUE_SPF, .key = key, .bytes = text, .length = strlen(text),
                  .until_ms = until_ms},
        .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    return store_values_change(watch->store, &step, NULL) < 1 ? -1 : 1;
}

static int64_t holds_ms(int64_t ttl_ms)
{
    return ttl_ms < SPF_WATCH_MIN_MS   ? SPF_WATCH_MIN_MS
           : ttl_ms > SPF_WATCH_MAX_MS ? SPF_WATCH_MAX_MS
                                       : ttl_ms;
}

/* 1 or -1. */
static int look_at(struct spf_watch *watch, struct arena *arena, const char *domain,
                   struct watched *watched, struct json_object *before,
                   const struct text_list *outgoing, const struct spf_watch_names *names,
                   int64_t now_ms)
{
    struct spf_hosts hosts;
    bool about = is_about(before, outgoing);
    names->begin(names->resolver.self);
    spf_hosts_check(arena, domain, outgoing->items, outgoing->count, &names->resolver, &hosts);
    int64_t wait_ms = hosts.names_us < 0 ? SPF_WATCH_MIN_MS
                                         : holds_ms(names->ttl_ms(names->resolver.self));
    freed_by(json_put) struct json_object *view = next_view(about ? before : NULL, &hosts, now_ms);
    json_add_int(view, "again", now_ms + wait_ms);
    json_add_int(view, "seen", watched->seen_ms);
    if (keep(watch, domain, view, watched->seen_ms + SPF_WATCH_KEPT_MS, now_ms) < 0)
        return -1;
    take_kept(watched, view);
    return 1;
}

int spf_watch_check(struct spf_watch *watch, const struct text_list *outgoing,
                    const struct spf_watch_names *names, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(json_put) struct json_object *before = NULL;
    struct watched *watched;
    struct value value;
    if (!watch->loaded && load(watch, now_ms) < 0)
        return -1;
    take_outgoing(watch, outgoing);
    take_seen(watch);
    const char *domain = find_due(watch, now_ms, &watched);
    if (domain == NULL)
        return 0;
    int found = store_value(watch->store, arena, VALUE_SPF, domain, now_ms, &value);
    if (found < 0)
        return -1;
    before = found > 0 ? json_read(value.bytes) : NULL;
    int64_t again_ms = json_int(before, "again", 0);
    if (again_ms > now_ms && again_ms <= now_ms + SPF_WATCH_MAX_MS && is_about(before, outgoing)) {
        take_kept(watched, before); /* another machine has looked */
        return 1;
    }
    return look_at(watch, arena, domain, watched, before, outgoing, names, now_ms);
}

/* ---- how it goes -------------------------------------------------------------------------------- */

int spf_watch_tell(struct spf_watch *watch, bool dns_answers, int64_t now_ms)
{
    GHashTableIter next;
    gpointer domain, value;
    int64_t named = 0, not_named = 0, unknown = 0;
    if (watch->dns_since_ms == 0 || watch->dns_answers != dns_answers)
        watch->dns_since_ms = now_ms;
    watch->dns_answers = dns_answers;
    g_hash_table_iter_init(&next, watch->domains);
    while (g_hash_table_iter_next(&next, &domain, &value)) {
        const struct watched *watched = value;
        named += watched->names_us == 1;
        not_named += watched->names_us == 0;
        unknown += watched->names_us != 1 && watched->names_us != 0;
    }
    freed_by(json_put) struct json_object *state = json_object_new_object();
    freed_by(free_string) char *key = xasprintf(SPF_VIEW_STATE "%s", watch->host);
    json_add_bool(state, "dns", dns_answers);
    json_add_int(state, "dns_since", watch->dns_since_ms);
    json_add_int(state, "told", now_ms);
    json_add_int(state, "named", named);
    json_add_int(state, "not_named", not_named);
    json_add_int(state, "unknown", unknown);
    return keep(watch, key, state, now_ms + SPF_WATCH_STATE_MS, now_ms);
}
