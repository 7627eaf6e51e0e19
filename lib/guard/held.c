#include "guard/held.h"

#include "base/packed.h"
#include "rules/profile.h"

enum { ATTEMPTS = 20 }; /* the profile changes with other messages */
/* Packed: 1 format, 6 moment and 4 messages of the last answer, 8 of each decision. */
enum { REJECTED_FORMAT = 1, TIME_BYTES = 6, COUNT_BYTES = 4, DECISION_BYTES = 8,
       REJECTED_HEAD_BYTES = 1 + TIME_BYTES + COUNT_BYTES };

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

/* ---- what was deleted -------------------------------------------------------------------------- */

static int read_rejected(struct arena *arena, const struct value *value,
                         struct held_rejected *rejected_r)
{
    struct packed_rest rest = {value->bytes, (const uint8_t *)value->bytes + value->length};
    *rejected_r = (struct held_rejected){0};
    if (packed_fixed(&rest, 1) != REJECTED_FORMAT || value->length < REJECTED_HEAD_BYTES)
        return 0;
    rejected_r->at_ms = (int64_t)packed_fixed(&rest, TIME_BYTES);
    rejected_r->count = (uint32_t)packed_fixed(&rest, COUNT_BYTES);
    size_t count = (value->length - REJECTED_HEAD_BYTES) / DECISION_BYTES;
    uint64_t *decisions = arena_alloc(arena, count * sizeof decisions[0]);
    for (size_t i = 0; i < count; i++)
        decisions[i] = packed_fixed(&rest, DECISION_BYTES);
    rejected_r->decisions = decisions;
    rejected_r->decision_count = count;
    return 1;
}

int held_rejected(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct held_rejected *rejected_r)
{
    struct value value;
    int found = store_value(store, arena, VALUE_REJECTED, mailbox, now_ms, &value);
    return found > 0 ? read_rejected(arena, &value, rejected_r) : found;
}

/* The value with what is deleted now; of too many the first ones go. 1 or -1. */
static int add_rejected(struct store *store, struct arena *arena, const struct held_mailbox *held,
                        int64_t now_ms, struct text *bytes, struct value_change *change_r)
{
    struct value before;
    struct held_rejected rejected = {0};
    int found = store_value(store, arena, VALUE_REJECTED, held->mailbox, now_ms, &before);
    if (found < 0)
        return -1;
    if (found > 0 && !read_rejected(arena, &before, &rejected))
        rejected.decision_count = 0;
    size_t all = rejected.decision_count + held->held.listed;
    packed_add_fixed(bytes, REJECTED_FORMAT, 1);
    packed_add_fixed(bytes, (uint64_t)now_ms, TIME_BYTES);
    packed_add_fixed(bytes, held->held.listed, COUNT_BYTES);
    for (size_t i = all > HELD_REJECTED_MAX ? all - HELD_REJECTED_MAX : 0; i < all; i++)
        packed_add_fixed(bytes,
                         i < rejected.decision_count
                             ? rejected.decisions[i]
                             : held->held.messages[i - rejected.decision_count].decision,
                         DECISION_BYTES);
    *change_r = (struct value_change){
        .value = {.kind = VALUE_REJECTED, .key = held->mailbox, .bytes = bytes->data,
                  .length = bytes->length, .until_ms = now_ms + HELD_REJECTED_MS},
        .replaces = found > 0 ? before.version : 0};
    return 1;
}

/* ---- an answer --------------------------------------------------------------------------------- */

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

/* 1; 0 one of the values has changed; -1. *of_others_r: not what was read of it. */
static int answer_once(struct store *store, const struct held_mailbox *held,
                       enum held_answer answer, const struct audited *audited, int64_t now_ms,
                       bool *of_others_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(text_free) struct text bytes = {0}, rejected = {0};
    struct value profile;
    struct values_done *done = arena_alloc(arena, sizeof *done);
    struct value_change changes[3] = {
        {.value = {.kind = VALUE_HELD, .key = held->mailbox}, .replaces = held->version}};
    size_t count = 1;
    int found = store_value(store, arena, VALUE_PROFILE, held->mailbox, now_ms, &profile);
    if (found < 0)
        return -1;
    if (found > 0)
        count += learn(held, answer, &profile, now_ms, &bytes, &changes[1]);
    if (answer == HELD_WAS_OTHER && held->held.listed > 0 &&
        add_rejected(store, arena, held, now_ms, &rejected, &changes[count++]) < 0)
        return -1;
    const struct values_step step = {.changes = changes, .count = count, .audited = audited,
                                     .audited_count = audited != NULL, .now_ms = now_ms};
    int changed = store_values_change(store, &step, done);
    *of_others_r = changed == 0 && done->refused > 0;
    return changed;
}

int held_answer(struct store *store, const struct held_mailbox *held, enum held_answer answer,
                const struct audited *audited, int64_t now_ms)
{
    int changed = 0;
    bool of_others = true;
    for (int attempt = 0; attempt < ATTEMPTS && changed == 0 && of_others; attempt++)
        changed = answer_once(store, held, answer, audited, now_ms, &of_others);
    return changed == 0 && of_others ? -1 : changed;
}
