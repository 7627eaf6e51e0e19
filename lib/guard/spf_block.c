#include "guard/spf_block.h"

#include <string.h>

#include "guard/spf_view.h"

enum { ATTEMPTS = 20, SHORT_TERMS = 150 };

enum spf_mode spf_block_mode(const struct settings *settings)
{
    bool observes = settings->guard_mode == MODE_OBSERVE;
    return observes && settings->spf_mode > SPF_MODE_OBSERVE ? SPF_MODE_OBSERVE
                                                             : (enum spf_mode)settings->spf_mode;
}

struct block_entry spf_block_of(struct arena *arena, const char *domain)
{
    return (struct block_entry){.kind = BLOCK_SENDER,
                                .subject = arena_printf(arena, "@%s", domain),
                                .scope = BLOCK_SCOPE_ALL};
}

struct block_entry spf_block_entry(struct arena *arena, struct json_object *view, int64_t now_ms)
{
    freed_by(json_put) struct json_object *advice = spf_view_advice(view);
    struct block_entry entry = spf_block_of(arena, json_string(view, "domain", ""));
    entry.reason = SPF_BLOCK_REASON;
    entry.by = SUSPENSION_BY_GUARD;
    entry.note = "its SPF record does not let our mail servers send";
    entry.advice = arena_strdup(arena, json_object_to_json_string_ext(advice,
                                                                      JSON_C_TO_STRING_PLAIN));
    entry.since_ms = now_ms;
    entry.until_ms = UNTIL_LIFTED;
    return entry;
}

bool spf_block_is(const struct block_entry *entry)
{
    return entry->kind == BLOCK_SENDER && entry->advice != NULL &&
           strcmp(entry->by, SUSPENSION_BY_GUARD) == 0;
}

/* ---- what is told ---------------------------------------------------------------------------- */

const char *spf_block_sentence(struct arena *arena, const struct catalogue *catalogue,
                               const char *language, const char *advice)
{
    freed_by(json_put) struct json_object *view = json_read(advice);
    if (view != NULL)
        spf_view_add_words(view, catalogue, arena, language);
    return catalogue_text(catalogue, arena, language, "reason.no_spf", view);
}

/* Whole terms of at most SHORT_TERMS bytes. */
static const char *first_terms(struct arena *arena, const char *terms)
{
    size_t length = strlen(terms);
    if (length <= SHORT_TERMS)
        return terms;
    length = SHORT_TERMS;
    while (length > 0 && terms[length] != ' ')
        length--;
    return arena_printf(arena, "%.*s and more", (int)length, terms);
}

const char *spf_block_short_sentence(struct arena *arena, const struct catalogue *catalogue,
                                     const char *advice)
{
    freed_by(json_put) struct json_object *view = json_read(advice);
    const char *kind = json_string(view, "advice_kind", "");
    if (view == NULL)
        return "";
    json_add_string(view, "first_terms", first_terms(arena, json_string(view, "terms", "")));
    json_add_bool(view, "record", strcmp(kind, spf_advice_names[SPF_ADVISE_RECORD]) == 0);
    return catalogue_text(catalogue, arena, "en", "smtp.no_spf", view);
}

/* ---- staff ends it -------------------------------------------------------------------------- */

/* What is kept of the domain once it is open. */
static const char *opened(struct arena *arena, const struct value *kept, int64_t now_ms)
{
    freed_by(json_put) struct json_object *view = json_read(kept->bytes);
    if (view == NULL)
        return NULL;
    json_object_object_del(view, "blocked");
    json_add_int(view, "open", now_ms + SPF_VIEW_OPEN_MS);
    return arena_strdup(arena, json_object_to_json_string_ext(view, JSON_C_TO_STRING_PLAIN));
}

/* As they are just now: 1; 0 there is none, or something was changed meanwhile (*found_r tells); -1. */
static int lift_once(struct store *store, const struct block_entry *entry,
                     const struct action *action, bool *found_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct value values[] = {
        {.kind = VALUE_BLOCKED, .key = block_list_key(arena, entry)},
        {.kind = VALUE_SPF, .key = entry->subject + 1}};
    struct block_update update = {.removed = true};
    struct value_change changes[2];
    struct audited audited;
    struct values_step step = {.changes = changes, .audited = &audited, .now_ms = action->now_ms};
    if (store_values_get(store, arena, values, countof(values), action->now_ms) < 0)
        return -1;
    *found_r = values[0].version != 0 && block_list_read(arena, &values[0], &update.entry) > 0;
    if (!*found_r)
        return 0;
    if (block_list_step(store, arena, &update, 1, action, changes, &step.count, &audited,
                        &step.audited_count) < 0)
        return -1;
    changes[0].replaces = values[0].version;
    const char *view = values[1].version != 0 ? opened(arena, &values[1], action->now_ms) : NULL;
    if (view != NULL) {
        values[1].bytes = view;
        values[1].length = strlen(view);
        values[1].until_ms = action->now_ms + SPF_VIEW_KEPT_MS;
        changes[step.count++] = (struct value_change){.value = values[1],
                                                      .replaces = values[1].version};
    }
    return store_values_change(store, &step, NULL);
}

int spf_block_lift(struct store *store, const struct block_entry *entry,
                   const struct action *action)
{
    bool found = true;
    int result = 0;
    for (int attempt = 0; attempt < ATTEMPTS && result == 0 && found; attempt++)
        result = lift_once(store, entry, action, &found);
    return result;
}
