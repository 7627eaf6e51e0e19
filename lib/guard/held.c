#include "guard/held.h"

#include "rules/profile.h"

enum { ATTEMPTS = 20 }; /* the profile changes with other messages */

/* What is damaged is listed too, so that it can be answered: messages may wait. */
static void read_value(struct arena *arena, const struct value *value, struct held_mailbox *held_r)
{
    *held_r = (struct held_mailbox){.mailbox = value->key, .version = value->version};
    if (!held_get(arena, value->bytes, value->length, &held_r->held))
        held_r->held = (struct held){.action = UNUSUAL_HOLD};
}

int held_read(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
              struct held_mailbox *held_r)
{
    struct value value;
    int found = store_value(store, arena, VALUE_HELD, mailbox, now_ms, &value);
    if (found > 0)
        read_value(arena, &value, held_r);
    return found;
}

int held_list(struct store *store, struct arena *arena, const char *after, int64_t now_ms,
              struct held_mailbox *list_r, struct store_page *page)
{
    struct value *values = arena_alloc(arena, page->max * sizeof values[0]);
    if (store_values(store, arena, VALUE_HELD, after, now_ms, values, page) < 0)
        return -1;
    for (size_t i = 0; i < page->count; i++)
        read_value(arena, &values[i], &list_r[i]);
    return 1;
}

/* The profile's change where it learns something. How many changes there are then. */
static size_t learn(const struct held_mailbox *held, enum held_answer answer,
                    const struct value *profile, int64_t now_ms, struct text *bytes,
                    struct value_change *change_r)
{
    text_add_bytes(bytes, profile->bytes, profile->length);
    bool learns = answer == HELD_WAS_USER ? profile_was_user(bytes, held->held.most, now_ms)
                                          : profile_was_other(bytes);
    if (!learns)
        return 0;
    *change_r = (struct value_change){.value = *profile, .replaces = profile->version};
    change_r->value.bytes = bytes->data;
    change_r->value.length = bytes->length;
    return 1;
}

/* 1; 0 one of the values has changed; -1. *of_profile_r: the profile alone. */
static int answer_once(struct store *store, const struct held_mailbox *held,
                       enum held_answer answer, const struct audited *audited, int64_t now_ms,
                       bool *of_profile_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(text_free) struct text bytes = {0};
    struct value profile;
    struct values_done *done = arena_alloc(arena, sizeof *done);
    struct value_change changes[2] = {
        {.value = {.kind = VALUE_HELD, .key = held->mailbox}, .replaces = held->version}};
    size_t count = 1;
    int found = store_value(store, arena, VALUE_PROFILE, held->mailbox, now_ms, &profile);
    if (found < 0)
        return -1;
    if (found > 0)
        count += learn(held, answer, &profile, now_ms, &bytes, &changes[1]);
    const struct values_step step = {.changes = changes, .count = count, .audited = audited,
                                     .audited_count = audited != NULL, .now_ms = now_ms};
    int changed = store_values_change(store, &step, done);
    *of_profile_r = changed == 0 && done->refused == 1;
    return changed;
}

int held_answer(struct store *store, const struct held_mailbox *held, enum held_answer answer,
                const struct audited *audited, int64_t now_ms)
{
    int changed = 0;
    bool of_profile = true;
    for (int attempt = 0; attempt < ATTEMPTS && changed == 0 && of_profile; attempt++)
        changed = answer_once(store, held, answer, audited, now_ms, &of_profile);
    return changed == 0 && of_profile ? -1 : changed;
}
