#include "rules/held.h"

#include <string.h>

#include "base/decision.h"
#include "base/packed.h"

enum { TIME_BYTES = 6, SINCE_BYTES = 5, NUMBER_BYTES = 3, NUMBER_BITS = 20,
       COUNT_BYTES = 4, RECIPIENTS_BYTES = 2 };

static uint64_t since_of(uint64_t decision)
{
    return (uint64_t)(decision_time(decision) - decision_time(0));
}

static uint64_t number_of(uint64_t decision) { return decision & ((1u << NUMBER_BITS) - 1); }

int64_t held_until(enum unusual_action action, int64_t at_ms)
{
    return action == UNUSUAL_HOLD ? UNTIL_LIFTED : at_ms + HELD_SHOWN_MS;
}

/* All but the messages. 1 or 0. */
static int read_head(struct packed_rest *rest, struct held *held_r)
{
    *held_r = (struct held){0};
    uint64_t format = packed_fixed(rest, 1), action = packed_fixed(rest, 1);
    held_r->since_ms = (int64_t)packed_fixed(rest, TIME_BYTES);
    held_r->last_ms = (int64_t)packed_fixed(rest, TIME_BYTES);
    const uint8_t *unusual = packed_bytes(rest, UNUSUAL_BYTES);
    held_r->most = (uint32_t)packed_fixed(rest, 2);
    held_r->count = (uint32_t)packed_fixed(rest, COUNT_BYTES);
    if (rest->next == NULL || format != HELD_FORMAT || action >= UNUSUAL_ACTIONS)
        return 0;
    held_r->action = (enum unusual_action)action;
    unusual_get(unusual, &held_r->unusual);
    return 1;
}

int held_get(struct arena *arena, const void *bytes, size_t length, struct held *held_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    if (!read_head(&rest, held_r))
        return 0;
    if (held_r->action != UNUSUAL_HOLD)
        return 1;
    struct held_message *messages = arena_alloc(
        arena, ((size_t)(rest.end - rest.next) / HELD_MESSAGE_BYTES + 1) * sizeof messages[0]);
    while (rest.next != NULL && rest.next < rest.end) {
        struct held_message *message = &messages[held_r->listed++];
        int64_t since_ms = decision_time(0) + (int64_t)packed_fixed(&rest, SINCE_BYTES);
        message->decision = decision_floor(since_ms) | packed_fixed(&rest, NUMBER_BYTES);
        message->recipients = (uint32_t)packed_fixed(&rest, RECIPIENTS_BYTES);
        size_t id_length = packed_fixed(&rest, 1);
        const uint8_t *id = packed_bytes(&rest, id_length);
        if (id == NULL) /* damaged: those before are whole */
            held_r->listed--;
        else
            message->queue_id = arena_strndup(arena, (const char *)id, id_length);
    }
    held_r->messages = messages;
    return 1;
}

static void put_head(struct text *kept, const struct held *held)
{
    uint8_t unusual[UNUSUAL_BYTES];
    unusual_put(unusual, &held->unusual);
    packed_add_fixed(kept, HELD_FORMAT, 1);
    packed_add_fixed(kept, held->action, 1);
    packed_add_fixed(kept, (uint64_t)held->since_ms, TIME_BYTES);
    packed_add_fixed(kept, (uint64_t)held->last_ms, TIME_BYTES);
    text_add_bytes(kept, (const char *)unusual, sizeof unusual);
    packed_add_fixed(kept, held->most, 2);
    packed_add_fixed(kept, held->count, COUNT_BYTES);
}

static void put_message(struct text *kept, const struct held_message *message)
{
    size_t length = strlen(message->queue_id);
    length = length < HELD_QUEUE_ID_MAX ? length : HELD_QUEUE_ID_MAX;
    packed_add_fixed(kept, since_of(message->decision), SINCE_BYTES);
    packed_add_fixed(kept, number_of(message->decision), NUMBER_BYTES);
    packed_add_fixed(kept, message->recipients, RECIPIENTS_BYTES);
    packed_add_fixed(kept, length, 1);
    text_add_bytes(kept, message->queue_id, length);
}

/* The head with one message more. */
static struct held with(const struct held *held, const struct unusual *unusual, int64_t at_ms,
                        bool counts)
{
    struct held more = *held;
    if (more.since_ms == 0) {
        more.action = unusual->action;
        more.since_ms = at_ms;
        more.unusual = *unusual;
    }
    more.last_ms = at_ms;
    if (unusual->new_recipients > more.most)
        more.most = unusual->new_recipients;
    more.count += counts && more.count < UINT32_MAX;
    return more;
}

/* Whether one that is deferred was deferred before; else it is listed. */
static bool was_tried(struct text *listed, uint64_t tried)
{
    uint8_t bytes[HELD_TRIED_BYTES];
    packed_put(bytes, tried, sizeof bytes);
    for (size_t at = 0; at + sizeof bytes <= listed->length; at += sizeof bytes)
        if (memcmp(listed->data + at, bytes, sizeof bytes) == 0)
            return true;
    if (listed->length < HELD_LISTED_MAX * sizeof bytes)
        text_add_bytes(listed, (const char *)bytes, sizeof bytes);
    return false;
}

bool held_add(struct text *kept, const struct unusual *unusual, int64_t at_ms,
              const struct held_message *message, uint64_t tried)
{
    struct packed_rest rest = {(const uint8_t *)kept->data,
                               (const uint8_t *)kept->data + kept->length};
    freed_by(text_free) struct text listed = {0};
    struct held held;
    bool waits = unusual->action == UNUSUAL_HOLD;
    int whole = kept->length > 0 && read_head(&rest, &held);
    if (whole && unusual->action < held.action)
        return false;
    if (whole && unusual->action == held.action)
        text_add_bytes(&listed, (const char *)rest.next, (size_t)(rest.end - rest.next));
    else
        held = (struct held){0};
    bool again = unusual->action == UNUSUAL_DEFER && was_tried(&listed, tried);
    held = with(&held, unusual, at_ms, !again && (!waits || message != NULL));
    text_clear(kept);
    put_head(kept, &held);
    text_add_bytes(kept, text_string(&listed), listed.length);
    if (waits && message != NULL && held.count <= HELD_LISTED_MAX)
        put_message(kept, message);
    return true;
}
