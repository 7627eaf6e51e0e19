#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "feedback/recipient_failures_inside.h"
#include "guard/delivery.h"
#include "rules/suspension.h"

struct recipient_failures *recipient_failures_new(struct store *store)
{
    struct recipient_failures *failures = xcalloc(1, sizeof *failures);
    failures->store = store;
    failures->texts = arena_new();
    failures->arena = arena_new();
    failures->added = g_array_new(FALSE, FALSE, sizeof(struct recipient_failures_outcome));
    failures->abouts = g_hash_table_new(g_str_hash, g_str_equal);
    failures->before = g_hash_table_new(g_str_hash, g_str_equal);
    failures->places = g_hash_table_new(g_str_hash, g_str_equal);
    failures->sites = g_hash_table_new(g_str_hash, g_str_equal);
    failures->in_order = g_ptr_array_new();
    return failures;
}

void recipient_failures_free(struct recipient_failures **failures)
{
    if (*failures == NULL)
        return;
    g_array_free((*failures)->added, TRUE);
    g_hash_table_destroy((*failures)->abouts);
    g_hash_table_destroy((*failures)->before);
    g_hash_table_destroy((*failures)->places);
    g_hash_table_destroy((*failures)->sites);
    g_ptr_array_free((*failures)->in_order, TRUE);
    arena_free(&(*failures)->texts);
    arena_free(&(*failures)->arena);
    free(take(*failures));
}

/* ---- collecting ------------------------------------------------------------------------------ */

enum recipient_why recipient_failures_why(enum reply_class class, bool final)
{
    return class == REPLY_MAILBOX_FULL                ? RECIPIENT_MAILBOX_FULL
           : final && class == REPLY_ADDRESS_UNKNOWN  ? RECIPIENT_ADDRESS_UNKNOWN
           : final && class == REPLY_MAILBOX_OFF      ? RECIPIENT_MAILBOX_OFF
                                                      : RECIPIENT_NOISE;
}

void recipient_failures_add(struct recipient_failures *failures,
                            const struct recipient_failures_outcome *outcome)
{
    struct recipient_failures_outcome added = *outcome;
    if (!outcome->delivered && (outcome->left_out || outcome->greylisted))
        return;
    added.domain = arena_strdup(failures->texts, outcome->domain);
    added.mailbox = arena_strdup(failures->texts, outcome->mailbox);
    added.site = arena_strdup(failures->texts, outcome->site);
    if (outcome->null_mx != NULL)
        added.null_mx = arena_strdup(failures->texts, outcome->null_mx);
    failures->failed += !outcome->delivered;
    g_array_append_val(failures->added, added);
}

size_t recipient_failures_change_count(const struct recipient_failures *failures)
{
    return failures->added->len > 0 ? CHANGES_MAX : 0;
}

bool recipient_failures_is_full(const struct recipient_failures *failures)
{
    return failures->failed >= FAILED_MAX;
}

/* ---- sites ----------------------------------------------------------------------------------- */

static void change_site(struct recipient_failures *failures, struct site *site)
{
    failures->kept += !site->changed;
    site->changed = true;
}

static bool has_room(struct recipient_failures *failures)
{
    enum { PLACES = 3, KEPT = 2 }; /* of an outcome: recipient, pair, domain; history and site */
    bool room = failures->in_order->len + PLACES <= failures->places_max &&
                failures->kept + KEPT <= KEPT_MAX;
    failures->passed_over |= !room;
    return room;
}

static void change_place(struct recipient_failures *failures, struct block_place *place,
                         enum then then)
{
    if (place->then == AS_IT_IS)
        g_ptr_array_add(failures->in_order, place);
    place->then = then;
}

static bool is_there(const struct block_place *place)
{
    return place->then == AS_IT_IS
               ? place->years[0].readable || place->years[1].readable
               : place->then == MADE;
}

/* As it will be; of an entry that is there. */
static const struct block_entry *entry_of(const struct block_place *place)
{
    return place->then == MADE        ? &place->next
           : place->years[0].readable ? &place->years[0].of
                                      : &place->years[1].of;
}

static void clear(struct recipient_failures *failures, struct block_place *place, const char *note)
{
    if (!is_there(place))
        return;
    change_place(failures, place, REMOVED);
    place->note = note;
}

/* Of an outage that is seen or goes on: what it explains is opened again. 1 or -1. */
static int note_outage(struct recipient_failures *failures, struct site *site, const char *name,
                       int64_t at_ms)
{
    site_outages_forget(&site->outages, failures->now_ms);
    if (!site_outages_note(&site->outages, at_ms))
        return 1;
    change_site(failures, site);
    if (recipient_failures_read_blocked(failures, site) < 0)
        return -1;
    size_t kept = 0;
    for (size_t i = 0; i < site->outages.blocked_count; i++) {
        const struct site_blocked blocked = site->outages.blocked[i];
        struct block_place *place = g_hash_table_lookup(failures->places, blocked.key);
        if (!site_outages_cover(&site->outages, blocked.since_ms) || !has_room(failures))
            site->outages.blocked[kept++] = blocked;
        else if (is_there(place) && entry_of(place)->since_ms == blocked.since_ms)
            clear(failures, place, arena_printf(failures->arena, "outage of %s", name));
    }
    site->outages.blocked_count = kept;
    return 1;
}

/* 1 or -1. */
static int note_outages(struct recipient_failures *failures, const struct failures *sites)
{
    for (guint i = 0; i < failures->added->len; i++) {
        const struct recipient_failures_outcome *outcome = recipient_failures_at(failures, i);
        int64_t at_ms = outcome->delivered ? 0 : failures_outage_ms(sites, outcome->site);
        if (at_ms > 0 && has_room(failures) &&
            note_outage(failures, recipient_failures_site(failures, outcome), outcome->site,
                        at_ms) < 0)
            return -1;
    }
    return 1;
}

/* What outages explain in a history that others have left. */
static void leave_out(struct recipient_failures *failures, struct recipient_history *history)
{
    GHashTableIter each;
    void *key, *value;
    g_hash_table_iter_init(&each, failures->sites);
    while (g_hash_table_iter_next(&each, &key, &value)) {
        const struct site *site = value;
        uint32_t hash = (uint32_t)strtoul(key, NULL, 16);
        for (size_t i = 0; i < site->outages.count; i++)
            recipient_block_leave_out(history, hash, site->outages.of[i].from_ms,
                                      site->outages.of[i].until_ms);
    }
}

/* ---- applying -------------------------------------------------------------------------------- */

static const char *note_of(struct arena *arena, const struct recipient_block *block)
{
    if (block->count == 0)
        return "failed again after the end";
    if (block->why == RECIPIENT_NOISE)
        return arena_printf(arena, "%u messages failed in a row within %" PRId64 " minutes",
                            block->count, (block->over_ms + MINUTE_MS - 1) / MINUTE_MS);
    return arena_printf(arena, "%u messages failed, the first and the last %" PRId64 " hours apart",
                        block->count, block->over_ms / HOUR_MS);
}

/* False: none is made now, or it would be over already. */
static bool put_entry(struct recipient_failures *failures, struct block_place *place,
                      const struct block_entry *entry, int64_t at_ms, int64_t lasts_ms)
{
    if (!failures->blocks || at_ms + lasts_ms <= failures->now_ms)
        return false;
    place->next = *entry;
    place->next.by = SUSPENSION_BY_GUARD;
    place->next.since_ms = at_ms;
    place->next.until_ms = at_ms + lasts_ms;
    change_place(failures, place, MADE);
    return true;
}

static void make(struct recipient_failures *failures, const struct about *about,
                 struct block_place *place, const struct recipient_failures_outcome *outcome,
                 const struct recipient_block *block)
{
    struct block_entry entry = {.kind = place->years[0].of.kind,
                                .subject = about->subjects[0],
                                .scope = place->years[0].of.scope,
                                .reason = recipient_why_names[block->why],
                                .note = note_of(failures->arena, block),
                                .site = outcome->site[0] != '\0' ? outcome->site : NULL};
    if (!put_entry(failures, place, &entry, outcome->at_ms, recipient_block_ms(block->why)))
        return;
    struct site *site = recipient_failures_site(failures, outcome);
    site_outages_forget(&site->outages, failures->now_ms);
    site_outages_blocked(&site->outages, place->years[0].key, outcome->at_ms);
    change_site(failures, site);
}

/* A probe of which nobody has heard for long has opened it. */
static bool holds(const struct block_place *place, int64_t admitted_ms)
{
    const struct block_entry *entry = entry_of(place);
    return is_there(place) && !(entry->probe_ms != 0 &&
                                admitted_ms >= entry->probe_ms + BLOCK_PROBE_WAITS_MS);
}

/* A block that is over, and mail that was let through since has failed too. */
static void look_after(struct recipient_failures *failures, const struct about *about,
                       struct block_place *place, const struct recipient_failures_outcome *outcome)
{
    const struct block_entry *entry = entry_of(place);
    bool pair = entry->kind == BLOCK_PAIR;
    enum recipient_why of = pair ? RECIPIENT_NOISE : RECIPIENT_ADDRESS_UNKNOWN;
    enum recipient_why why = pair ? RECIPIENT_NOISE : outcome->why;
    if (recipient_block_after(of, entry->until_ms, false, outcome->why, outcome->admitted_ms) ==
        RECIPIENT_AGAIN)
        make(failures, about, place, outcome, &(struct recipient_block){.why = why});
}

static void fail(struct recipient_failures *failures, struct about *about,
                 const struct recipient_failures_outcome *outcome, struct block_place *pair)
{
    struct recipient_block made[RECIPIENT_BLOCKS_MAX];
    bool blocked = holds(about->place, outcome->admitted_ms);
    bool pair_blocked = holds(pair, outcome->admitted_ms);
    struct recipient_outcome to_take = {.message = outcome->message,
                                        .mailbox = delivery_source(outcome->mailbox),
                                        .site = delivery_source(outcome->site),
                                        .first = outcome->first && !pair_blocked,
                                        .why = blocked ? RECIPIENT_NOISE : outcome->why,
                                        .at_ms = outcome->at_ms};
    if (blocked)
        look_after(failures, about, about->place, outcome);
    if (pair_blocked)
        look_after(failures, about, pair, outcome);
    size_t count = recipient_block_take(&about->history, &to_take, made);
    for (size_t i = 0; i < count; i++)
        make(failures, about, made[i].why == RECIPIENT_NOISE ? pair : about->place, outcome,
             &made[i]);
}

/* For a day, as long as its DNS says so: it is asked again by the first message behind that. */
static void block_domain(struct recipient_failures *failures,
                         const struct recipient_failures_outcome *outcome)
{
    struct block_place *place = recipient_failures_place_of(failures, outcome->null_mx);
    struct block_entry entry = {.kind = BLOCK_DOMAIN,
                                .subject = outcome->null_mx,
                                .scope = BLOCK_SCOPE_ALL,
                                .reason = BLOCK_UNROUTABLE,
                                .note = "its DNS says that it takes no mail"};
    if (!is_there(place))
        (void)put_entry(failures, place, &entry, outcome->at_ms, RECIPIENT_NULL_MX_MS);
}

static void keep_until(struct about *about, int64_t until_ms)
{
    if (until_ms > about->until_ms)
        about->until_ms = until_ms;
}

static void change_about(struct recipient_failures *failures, struct about *about)
{
    failures->kept += !about->changed;
    about->changed = true;
}

static void apply(struct recipient_failures *failures, struct about *about,
                  const struct recipient_failures_outcome *outcome)
{
    if (about->place == NULL || !has_room(failures))
        return;
    struct block_place *pair = recipient_failures_place(failures, about, outcome->mailbox);
    if (outcome->delivered) {
        bool was_empty = recipient_block_is_empty(&about->history);
        recipient_block_deliver(&about->history, delivery_source(outcome->mailbox));
        if (!was_empty)
            change_about(failures, about);
        clear(failures, about->place, "delivered");
        clear(failures, pair, "delivered");
    } else if (!site_outages_cover(&recipient_failures_site(failures, outcome)->outages,
                                   outcome->at_ms)) {
        leave_out(failures, &about->history);
        fail(failures, about, outcome, pair);
        keep_until(about, outcome->at_ms + RECIPIENT_KEPT_MS);
        if (about->place->then == MADE)
            keep_until(about, about->place->next.until_ms + BLOCK_PROBE_MS);
        if (pair->then == MADE)
            keep_until(about, pair->next.until_ms + BLOCK_PROBE_MS);
        change_about(failures, about);
        if (outcome->null_mx != NULL)
            block_domain(failures, outcome);
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct value_change changed_history(struct recipient_failures *failures,
                                           const struct about *about)
{
    freed_by(text_free) struct text packed = {0};
    recipient_block_add(&packed, &about->history);
    return (struct value_change){
        .value = {.kind = VALUE_RECIPIENT, .key = about->keys[0],
                  .bytes = arena_strndup(failures->arena, packed.data, packed.length),
                  .length = packed.length, .until_ms = about->until_ms},
        .replaces = about->version};
}

static struct value_change changed_site(struct recipient_failures *failures,
                                        const struct site *site)
{
    freed_by(text_free) struct text packed = {0};
    site_outages_add(&packed, &site->outages);
    return (struct value_change){
        .value = {.kind = VALUE_SITE, .key = site->key,
                  .bytes = arena_strndup(failures->arena, packed.data, packed.length),
                  .length = packed.length, .until_ms = failures->now_ms + RECIPIENT_KEPT_MS},
        .replaces = site->version};
}

static size_t write_kept(struct recipient_failures *failures, struct value_change *changes)
{
    size_t count = 0;
    GHashTableIter each;
    void *value;
    g_hash_table_iter_init(&each, failures->abouts);
    while (g_hash_table_iter_next(&each, NULL, &value))
        if (((struct about *)value)->changed)
            changes[count++] = changed_history(failures, value);
    g_hash_table_iter_init(&each, failures->sites);
    while (g_hash_table_iter_next(&each, NULL, &value))
        if (((struct site *)value)->changed)
            changes[count++] = changed_site(failures, value);
    return count;
}

/* How a place changes: up to YEARS updates, with the versions that they replace. */
static size_t updates_of(const struct block_place *place, struct block_update *updates,
                         uint32_t *replaces, const char **notes)
{
    size_t count = 0;
    if (place->then == MADE) {
        replaces[count] = place->years[0].version;
        notes[count] = place->next.note;
        updates[count++] = (struct block_update){.entry = place->next};
    }
    for (int year = place->then == MADE ? 1 : 0; year < YEARS; year++)
        if (place->years[year].version != 0) {
            replaces[count] = place->years[year].version;
            notes[count] = place->then == MADE ? "by the key of this year" : place->note;
            updates[count++] = (struct block_update){place->years[year].of, true};
        }
    return count;
}

/* 1 or -1. */
static int write_entries(struct recipient_failures *failures, struct value_change *changes,
                         size_t *count_r, struct recipient_failures_effects *effects)
{
    struct arena *arena = failures->arena;
    struct block_update *updates = arena_alloc(arena, ENTRIES_MAX * sizeof *updates);
    uint32_t *replaces = arena_alloc(arena, ENTRIES_MAX * sizeof *replaces);
    const char **notes = arena_alloc(arena, ENTRIES_MAX * sizeof *notes);
    struct action *actions = arena_alloc(arena, ENTRIES_MAX * sizeof *actions);
    size_t count = 0;
    for (guint i = 0; i < failures->in_order->len; i++)
        count += updates_of(g_ptr_array_index(failures->in_order, i), updates + count,
                            replaces + count, notes + count);
    actions[0] = (struct action){failures->now_ms, SUSPENSION_BY_GUARD, ""};
    if (block_list_step(failures->store, arena, updates, count, &actions[0], changes, count_r,
                        effects->audited, &effects->audited_count) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        changes[i].replaces = replaces[i];
        actions[i] = (struct action){failures->now_ms, SUSPENSION_BY_GUARD, notes[i]};
        effects->audited[i].action = &actions[i];
        effects->opened += updates[i].removed;
        effects->blocked += !updates[i].removed;
    }
    return 1;
}

static void forget_step(struct recipient_failures *failures)
{
    g_hash_table_remove_all(failures->abouts);
    g_hash_table_remove_all(failures->before);
    g_hash_table_remove_all(failures->places);
    g_hash_table_remove_all(failures->sites);
    g_ptr_array_set_size(failures->in_order, 0);
    arena_reset(failures->arena);
    failures->kept = 0;
    failures->passed_over = false;
}

int recipient_failures_changes(struct recipient_failures *failures, const struct failures *sites,
                               bool blocks, int64_t now_ms, struct value_change *changes,
                               size_t *count_r, struct recipient_failures_effects *effects)
{
    size_t of_entries = 0;
    *count_r = effects->audited_count = 0;
    effects->blocked = effects->opened = 0;
    if (failures->added->len == 0)
        return 1;
    forget_step(failures);
    failures->blocks = blocks;
    failures->now_ms = now_ms;
    failures->places_max =
        (effects->audited_room < ENTRIES_MAX ? effects->audited_room : ENTRIES_MAX) / YEARS;
    if (recipient_failures_read(failures) < 0 || note_outages(failures, sites) < 0)
        return -1;
    for (guint i = 0; i < failures->added->len; i++)
        apply(failures, failures->about[i], recipient_failures_at(failures, i));
    *count_r = write_kept(failures, changes);
    if (write_entries(failures, changes + *count_r, &of_entries, effects) < 0)
        return -1;
    *count_r += of_entries;
    return 1;
}

void recipient_failures_written(struct recipient_failures *failures)
{
    if (failures->passed_over)
        log_line(LOG_WARNING_LEVEL, "too much at once for the block lists: some recipients wait "
                                    "for their next outcome", NULL);
    forget_step(failures);
    g_array_set_size(failures->added, 0);
    failures->failed = 0;
    arena_reset(failures->texts);
}
