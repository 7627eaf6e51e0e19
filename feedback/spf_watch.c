#include "feedback/spf_watch.h"

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "feedback/spf_keep.h"
#include "guard/spf_view.h"
#include "store/values.h"

enum { VALUES_PAGE = 256, ATTEMPTS = 20 };

struct watched {
    int64_t again_ms, seen_ms;
    int64_t refused_ms; /* spf_view_refused_ms */
    int names_us;       /* as of spf_hosts; 2: never looked at */
    bool blocked;       /* its mail is refused for it */
};
enum { NEVER_LOOKED_AT = 2 };

struct spf_watch {
    struct store *store;
    const char *host;
    GHashTable *domains; /* name: struct watched */
    const struct text_list *outgoing; /* of this call */
    char *looked_for;                 /* addresses that all were looked at for, or are due */
    enum spf_mode mode;
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
    watch->looked_for = xstrdup("");
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
    free((*watch)->looked_for);
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
    watched->refused_ms = spf_view_refused_ms(view);
    watched->blocked = json_int(view, "blocked", 0) != 0;
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
    watch->outgoing = outgoing;
    if (strcmp(watch->looked_for, text_string(&all)) == 0)
        return;
    g_hash_table_iter_init(&next, watch->domains);
    while (g_hash_table_iter_next(&next, &domain, &watched))
        ((struct watched *)watched)->again_ms = 0;
    free(watch->looked_for);
    watch->looked_for = xstrdup(text_string(&all));
}

/* ---- looking at one -------------------------------------------------------------------------- */

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

static int64_t holds_ms(int64_t ttl_ms)
{
    return ttl_ms < SPF_WATCH_MIN_MS   ? SPF_WATCH_MIN_MS
           : ttl_ms > SPF_WATCH_MAX_MS ? SPF_WATCH_MAX_MS
                                       : ttl_ms;
}

/* Whether another machine has looked: what is kept holds. */
static bool is_fresh(const struct spf_watch *watch, struct json_object *view, int64_t now_ms)
{
    int64_t again_ms = json_int(view, "again", 0);
    struct json_object *names_us = json_member(view, "names_us");
    bool fails = names_us != NULL && !json_object_get_boolean(names_us);
    bool told = !fails || watch->mode < SPF_MODE_WARN || spf_view_refused_ms(view) != 0;
    return again_ms > now_ms && again_ms <= now_ms + SPF_WATCH_MAX_MS && told &&
           is_about(view, watch->outgoing);
}

/* What of one look is the same however often it is written. */
struct spf_look {
    const char *domain;
    struct watched *watched;
    struct spf_hosts hosts;
    int64_t wait_ms, now_ms;
    bool done; /* somebody looked */
};

/* 1; 0 it was changed since it was read; -1. */
static int change(struct spf_watch *watch, struct arena *arena, const struct spf_look *look,
                  const struct spf_kept *kept)
{
    freed_by(json_put) struct json_object *view = NULL;
    const struct spf_looked looked = {
        .hosts = look->done ? &look->hosts : NULL,
        .same_hosts = look->done && is_about(kept->view, watch->outgoing),
        .mode = watch->mode, .seen_ms = look->watched->seen_ms, .wait_ms = look->wait_ms,
        .now_ms = look->now_ms};
    int changed = spf_keep_change(watch->store, arena, look->domain, kept, &looked, &view);
    if (changed > 0)
        take_kept(look->watched, view);
    return changed;
}

/* The same until nobody else was first, who may have looked too. 1 or -1. */
static int change_all(struct spf_watch *watch, struct arena *arena, const struct spf_look *look,
                      const struct spf_kept *as_read)
{
    int changed = as_read != NULL ? change(watch, arena, look, as_read) : 0;
    for (int attempt = 0; attempt < ATTEMPTS && changed == 0; attempt++) {
        freed_by(spf_keep_forget) struct spf_kept kept = {0};
        if (spf_keep_read(watch->store, arena, look->domain, look->now_ms, &kept) < 0)
            return -1;
        if (look->done ? is_fresh(watch, kept.view, look->now_ms) : kept.view == NULL) {
            take_kept(look->watched, kept.view);
            return 1;
        }
        changed = change(watch, arena, look, &kept);
    }
    return changed != 0 ? changed : -1;
}

/* A record that its owner has to mend is asked for as it is now. */
static bool is_urgent(const struct spf_watch *watch, const struct watched *watched)
{
    return watch->mode >= SPF_MODE_WARN && watched->names_us == 0;
}

/* 1 or -1. */
static int look_at(struct spf_watch *watch, struct arena *arena, struct spf_look *look,
                   const struct spf_kept *kept, const struct spf_watch_names *names)
{
    const struct text_list *outgoing = watch->outgoing;
    void *self = names->resolver.self;
    names->begin(self, is_urgent(watch, look->watched));
    spf_hosts_check(arena, look->domain, outgoing->items, outgoing->count, &names->resolver,
                    &look->hosts);
    bool soon = look->hosts.names_us < 0 ||
                (look->hosts.names_us == 0 && watch->mode >= SPF_MODE_WARN);
    look->wait_ms = soon ? SPF_WATCH_MIN_MS : holds_ms(names->ttl_ms(self));
    look->done = true;
    return change_all(watch, arena, look, kept);
}

/* ---- what there is to do --------------------------------------------------------------------- */

/* Whether it is looked at, once it is due. */
static bool is_followed(const struct spf_watch *watch, const struct watched *watched,
                        int64_t now_ms)
{
    int64_t for_ms = is_urgent(watch, watched) ? SPF_VIEW_KEPT_MS : SPF_WATCH_SENDING_MS;
    return watched->blocked || watched->seen_ms > now_ms - for_ms;
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
        bool untold = is_urgent(watch, watched) && watched->refused_ms == 0;
        int64_t again_ms = watched->again_ms <= now_ms + SPF_WATCH_MAX_MS && !untold
                               ? watched->again_ms
                               : 0; /* the clock was set back since */
        if (again_ms < oldest_ms && is_followed(watch, watched, now_ms)) {
            oldest_ms = again_ms;
            *watched_r = watched;
            due = domain;
        }
    }
    return due;
}

int spf_watch_check(struct spf_watch *watch, const struct text_list *outgoing,
                    const struct spf_watch_names *names, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(spf_keep_forget) struct spf_kept kept = {0};
    struct spf_look look = {.now_ms = now_ms};
    if (!watch->loaded && load(watch, now_ms) < 0)
        return -1;
    take_outgoing(watch, outgoing);
    take_seen(watch);
    look.domain = find_due(watch, now_ms, &look.watched);
    if (look.domain == NULL)
        return 0;
    if (spf_keep_read(watch->store, arena, look.domain, now_ms, &kept) < 0)
        return -1;
    if (!is_fresh(watch, kept.view, now_ms))
        return look_at(watch, arena, &look, &kept, names);
    take_kept(look.watched, kept.view);
    return 1;
}

/* What the mode does not allow: that mail is refused, or users are told that it will be. */
static bool is_over(const struct spf_watch *watch, const struct watched *watched)
{
    return (watch->mode < SPF_MODE_BLOCK && watched->blocked) ||
           (watch->mode < SPF_MODE_WARN && watched->refused_ms != 0);
}

int spf_watch_settle(struct spf_watch *watch, enum spf_mode mode, int64_t now_ms)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    GHashTableIter next;
    gpointer domain, watched;
    if (watch->mode != mode)
        watch->loaded = false; /* others may have changed what is kept */
    watch->mode = mode;
    if (!watch->loaded && load(watch, now_ms) < 0)
        return -1;
    g_hash_table_iter_init(&next, watch->domains);
    while (g_hash_table_iter_next(&next, &domain, &watched))
        if (is_over(watch, watched))
            return change_all(watch, arena,
                              &(struct spf_look){.domain = domain, .watched = watched,
                                             .now_ms = now_ms}, NULL);
    return 0;
}

/* ---- how it goes ----------------------------------------------------------------------------- */

/* Of domains, as the state has them. */
struct state_sums {
    int64_t named, not_named, unknown, noticed, blocked;
    int64_t next_block_ms; /* 0: none */
};

static void add_up(const struct spf_watch *watch, const struct watched *watched, int64_t now_ms,
                   struct state_sums *sums)
{
    bool waits = watched->names_us == 0 && watched->refused_ms != 0 && !watched->blocked &&
                 is_followed(watch, watched, now_ms);
    sums->named += watched->names_us == 1;
    sums->not_named += watched->names_us == 0;
    sums->unknown += watched->names_us != 1 && watched->names_us != 0;
    sums->blocked += watched->blocked;
    sums->noticed += waits;
    if (waits && (sums->next_block_ms == 0 || watched->refused_ms < sums->next_block_ms))
        sums->next_block_ms = watched->refused_ms;
}

int spf_watch_tell(struct spf_watch *watch, bool dns_answers, int64_t now_ms)
{
    GHashTableIter next;
    gpointer domain, value;
    struct state_sums sums = {0};
    if (watch->dns_since_ms == 0 || watch->dns_answers != dns_answers)
        watch->dns_since_ms = now_ms;
    watch->dns_answers = dns_answers;
    g_hash_table_iter_init(&next, watch->domains);
    while (g_hash_table_iter_next(&next, &domain, &value))
        add_up(watch, value, now_ms, &sums);
    freed_by(json_put) struct json_object *state = json_object_new_object();
    freed_by(free_string) char *key = xasprintf(SPF_VIEW_STATE "%s", watch->host);
    json_add_bool(state, "dns", dns_answers);
    json_add_int(state, "dns_since", watch->dns_since_ms);
    json_add_int(state, "told", now_ms);
    json_add_int(state, "named", sums.named);
    json_add_int(state, "not_named", sums.not_named);
    json_add_int(state, "unknown", sums.unknown);
    json_add_int(state, "noticed", sums.noticed);
    json_add_int(state, "next_block", sums.next_block_ms);
    json_add_int(state, "blocked", sums.blocked);
    const char *text = json_object_to_json_string_ext(state, JSON_C_TO_STRING_PLAIN);
    const struct value_change change = {
        .value = {.kind = VALUE_SPF, .key = key, .bytes = text, .length = strlen(text),
                  .until_ms = now_ms + SPF_WATCH_STATE_MS},
        .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    return store_values_change(watch->store, &step, NULL) < 1 ? -1 : 1;
}
