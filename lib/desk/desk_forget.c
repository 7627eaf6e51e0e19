/* Removes what is stored about a mailbox, but for what would get it round a limit, a lock or a
 * suspension, and what staff has agreed with it. */
#include <string.h>

#include "base/decision.h"
#include "desk/desk_logins.h"
#include "desk/input.h"
#include "desk/stored_entry.h"
#include "desk/stored_walk.h"
#include "guard/held.h"
#include "guard/keyed_hash.h"
#include "store/lifetimes.h"

enum { ATTEMPTS = 20, TOLD_BEFORE = 10 };

struct forgetting {
    const struct action *action; /* NULL: only to see what would go */
    struct {
        const struct stored_kind *kind;
        int64_t goes, stays;
    } of[STORED_KINDS];
    size_t count;
};

static void tell(struct forgetting *forgetting, const struct stored_kind *kind, bool goes)
{
    size_t i = 0;
    while (i < forgetting->count && forgetting->of[i].kind != kind)
        i++;
    if (i == forgetting->count)
        forgetting->of[forgetting->count++].kind = kind;
    forgetting->of[i].goes += goes;
    forgetting->of[i].stays += !goes;
}

/* ---- each kind ----------------------------------------------------------------------------- */

/* A message that counts can be given back, for which its decision is needed. */
static bool record_goes(const struct context *context, const struct transfer_item *item)
{
    return item->of.record.mailbox != NULL ||
           decision_time(item->of.record.decision) + COUNTED_KNOWN_MS <= context->now_ms;
}

static int remove_value(const struct context *context, const struct value *value,
                        uint32_t version)
{
    const struct value_change change = {.value = {.kind = value->kind, .key = value->key},
                                        .replaces = version};
    return store_values_change(context->desk->store,
                               &(struct values_step){.changes = &change, .count = 1,
                                                     .now_ms = context->now_ms},
                               NULL);
}

/* While messages wait the profile says so; judging may change it at any moment. 1 it goes, 0 it
 * stays, -1. */
static int forget_profile(const struct context *context, const char *mailbox, bool preview)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct value profile;
        struct held_mailbox held;
        int found = store_value(context->desk->store, context->arena, VALUE_PROFILE, mailbox,
                                context->now_ms, &profile);
        int waits = held_read(context->desk->store, context->arena, mailbox, context->now_ms,
                              &held);
        if (found < 0 || waits < 0)
            return -1;
        if (waits > 0 && held.held.action == UNUSUAL_HOLD)
            return 0;
        int removed = found == 0 || preview ? 1 : remove_value(context, &profile, profile.version);
        if (removed != 0)
            return removed;
    }
    return 0;
}

/* Values whose key names the mailbox are its own. 1 it goes, 0 it stays, -1. */
static int forget_value(const struct stored_walk *walk, const struct value *value, bool preview)
{
    if (value->kind == VALUE_PROFILE)
        return forget_profile(&walk->context, walk->match->mailbox, preview);
    if (value->kind == VALUE_LOGINS)
        return desk_logins_forget(&walk->context, walk->match->mailbox, preview);
    return preview ? 1 : remove_value(&walk->context, value, VALUE_ANY);
}

/* A list of what somebody looked at, without the mailbox. 1 or -1. */
static int forget_looked(const struct stored_walk *walk, const struct kept *item)
{
    struct kept kept = *item;
    struct store *store = walk->context.desk->store;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        freed_by(json_put) struct json_object *before = json_read(kept.value);
        freed_by(json_put) struct json_object *list = json_object_new_array();
        struct kept after = kept;
        bool is_list = json_object_is_type(before, json_type_array); /* else damaged: all of it */
        for (size_t i = 0; is_list && i < json_object_array_length(before); i++) {
            struct json_object *one = json_object_array_get_idx(before, i);
            freed_by(json_put) struct json_object *of_it = stored_match_tree(walk->match, one);
            if (of_it == NULL)
                json_object_array_add(list, json_object_get(one));
        }
        after.value = json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN);
        int done = store_keep_over(store, KEPT_LOOKED, &after, kept.value, walk->context.now_ms,
                                   NULL);
        if (done != 0)
            return done;
        int found = store_kept(store, walk->context.arena, KEPT_LOOKED, item->key,
                               walk->context.now_ms, &kept);
        if (found < 1)
            return found < 0 ? -1 : 1;
    }
    return store_fail(store, "what staff looked at changes at the same moment");
}

/* ---- a page -------------------------------------------------------------------------------- */

/* Those that passed and no longer count, and refused ones. 1 or -1. */
static int forget_records(struct forgetting *forgetting, const struct stored_walk *walk,
                          const struct transfer_item *const *items, size_t count)
{
    struct arena *arena = walk->context.arena;
    struct transfer_item *going = arena_alloc(arena, count * sizeof *going);
    size_t goes = 0;
    for (size_t i = 0; i < count; i++) {
        bool past = record_goes(&walk->context, items[i]);
        tell(forgetting, stored_kind_of(items[i]), past);
        if (past)
            going[goes++] = *items[i];
    }
    if (goes == 0 || forgetting->action == NULL)
        return 1;
    return whole_remove_records(walk->whole, going, goes) < 0
               ? store_fail(walk->context.desk->store, whole_error(walk->whole))
               : 1;
}

/* 1 it goes, 0 it stays, -1. */
static int forget_item(const struct forgetting *forgetting, const struct stored_walk *walk,
                       const struct transfer_item *item)
{
    bool preview = forgetting->action == NULL;
    if (stored_kind_of(item)->fate != STORED_GOES)
        return 0;
    if (item->kind == TRANSFER_VALUE)
        return forget_value(walk, &item->of.value, preview);
    return preview ? 1 : forget_looked(walk, &item->of.kept.kept);
}

static int forget_page(void *closure, const struct stored_walk *walk,
                       const struct transfer_item *const *items, size_t count)
{
    struct forgetting *forgetting = closure;
    if (items[0]->kind == TRANSFER_RECORD)
        return forget_records(forgetting, walk, items, count);
    for (size_t i = 0; i < count; i++) {
        int goes = forget_item(forgetting, walk, items[i]);
        if (goes < 0)
            return -1;
        tell(forgetting, stored_kind_of(items[i]), goes > 0);
    }
    return 1;
}

/* ---- the entry in the audit log ------------------------------------------------------------- */

/* Its subject: a hash that is used for nothing else, so that nobody finds the address by it who
 * does not know it and has the secret. */
static const char *subject_of(const struct context *context, const char *mailbox)
{
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    return arena_printf(context->arena, DESK_FORGOTTEN "%016llx",
                        (unsigned long long)keyed_hash_forgotten(&keys, mailbox));
}

static int write_entry(const struct context *context, const char *subject,
                       const struct forgetting *forgetting)
{
    int64_t goes = 0, stays = 0;
    for (size_t i = 0; i < forgetting->count; i++) {
        goes += forgetting->of[i].goes;
        stays += forgetting->of[i].stays;
    }
    const struct audited audited = {
        "forget", subject,
        arena_printf(context->arena, "{\"gone\":%lld,\"stays\":%lld}", (long long)goes,
                     (long long)stays),
        forgetting->action};
    return store_write_audit(context->desk->store, &audited);
}

/* When it was forgotten before, the newest first. 1 or -1. */
static int add_before(const struct context *context, const char *subject, struct json_object *view)
{
    struct audit entries[TOLD_BEFORE];
    struct store_page page = {.max = TOLD_BEFORE};
    struct json_object *list = json_add_list(view, "before");
    if (store_audit_newest(context->desk->store, subject, INT64_MAX, entries, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_int(one, "number", entries[i].number);
        json_add_moment(one, "at", entries[i].at_ms);
        json_object_array_add(list, one);
    }
    return 1;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void add_kinds(const struct forgetting *forgetting, const char *name, bool goes,
                      struct json_object *view)
{
    struct json_object *list = json_add_list(view, name);
    for (size_t i = 0; i < forgetting->count; i++) {
        const struct stored_kind *kind = forgetting->of[i].kind;
        int64_t count = goes ? forgetting->of[i].goes : forgetting->of[i].stays;
        if (count == 0)
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "kind", kind->name);
        json_add_int(one, "count", count);
        json_add_string(one, "what", kind->what);
        json_add_string(one, "kept", kind->until);
        json_add_string(one, "why", kind->why);
        json_object_array_add(list, one);
    }
}

static int forget(const struct context *context, const struct stored_match *match,
                  struct whole_store *whole, struct forgetting *forgetting,
                  struct json_object *view)
{
    const char *subject = subject_of(context, match->mailbox);
    bool done = forgetting->action != NULL;
    if (add_before(context, subject, view) < 0 ||
        stored_walk(context, match, whole, forget_page, forgetting) < 0 ||
        (done && write_entry(context, subject, forgetting) < 0))
        return -1;
    int cut = done ? whole_cut_log(whole) : 1;
    if (cut < 0)
        return store_fail(context->desk->store, whole_error(whole));
    json_add_string(view, "mailbox", match->mailbox);
    json_add_string(view, "subject", subject);
    json_add_bool(view, "done", done);
    json_add_bool(view, "log_cut", cut > 0);
    add_kinds(forgetting, "goes", true, view);
    add_kinds(forgetting, "stays", false, view);
    return 1;
}

int desk_forget(const struct desk *desk, const struct stored_source *source, const char *text,
                const struct action *action, int64_t now_ms, struct json_object **view_r,
                struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(whole_free) struct whole_store *whole = NULL;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct forgetting forgetting = {.action = action};
    struct stored_match match;
    const char *mailbox;
    if (!input_mailbox(&context, text, "mailbox", &mailbox, problem) ||
        !stored_match_begin(&context, mailbox, &match, problem))
        return 0;
    if (action != NULL && stored_match_text(&match, action->note))
        return problem_set(problem, 400, "note", "expected none that names the mailbox: the audit "
                                                 "log keeps it for ever");
    if (!whole_open(source->url, &source->options, &whole, problem))
        return 0;
    if (forget(&context, &match, whole, &forgetting, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
