#include "mail/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/packed.h"

enum {
    FORMAT = 1,
    ID_BYTES = 6,
    MESSAGE_ID_BYTES = 4,
    HASH_BYTES = 8,
    REPLY_BYTES = 6,
    DELIVERY_BITS = 3,
    VARINT_MAX_BYTES = 5, /* of 32 bits */
};
enum {
    FLAG_REFUNDED = 1,
    FLAG_ENDED = 2,
    FLAG_SILENT = 4,
    FLAG_MESSAGE_ID = 8,
    FLAG_LONG_QUEUE_ID = 16, /* packed: mail/queue_id.h */
};

const char *const delivery_names[DELIVERY_COUNT] = {
    [DELIVERY_PENDING] = "pending",   [DELIVERY_DELIVERED] = "delivered",
    [DELIVERY_DEFERRED] = "deferred", [DELIVERY_FAILED] = "failed",
    [DELIVERY_EXPIRED] = "expired",   [DELIVERY_DISCARDED] = "discarded",
};

/* ---- outcomes -------------------------------------------------------------------------------- */

static struct trace_recipient *find(const struct trace_message *message, uint64_t hash)
{
    for (size_t i = 0; i < message->recipient_count; i++)
        if (message->recipients[i].hash == hash)
            return &message->recipients[i];
    return NULL;
}

static struct trace_recipient *add(struct trace_message *message, uint64_t hash, int64_t at_ms)
{
    if (message->recipient_count == TRACE_RECIPIENTS_MAX)
        return NULL;
    if (message->recipient_count == message->recipient_room) {
        message->recipient_room = message->recipient_room > 0 ? message->recipient_room * 2 : 1;
        message->recipients = xrealloc(message->recipients, message->recipient_room *
                                                                sizeof *message->recipients);
    }
    struct trace_recipient *recipient = &message->recipients[message->recipient_count++];
    *recipient = (struct trace_recipient){.hash = hash, .first_ms = at_ms, .last_ms = at_ms};
    return recipient;
}

/* Whether an outcome is worse than what is known, so that it changes nothing. Of one address, only
 * a delivery is final: a second line about it is of a copy. */
static bool is_worse(const struct trace_recipient *recipient, const struct trace_outcome *outcome)
{
    if (recipient->delivery == DELIVERY_DELIVERED)
        return outcome->delivery != DELIVERY_DELIVERED;
    return outcome->expanded && recipient->delivery == DELIVERY_DEFERRED &&
           outcome->delivery == DELIVERY_FAILED;
}

struct trace_recipient *trace_take_outcome(struct trace_message *message,
                                           const struct trace_outcome *outcome,
                                           struct trace_recipient *before_r)
{
    struct trace_recipient *recipient = find(message, outcome->recipient);
    if (recipient == NULL)
        recipient = add(message, outcome->recipient, outcome->at_ms);
    if (recipient == NULL)
        return NULL;
    *before_r = *recipient;
    recipient->attempts += outcome->attempted;
    if (outcome->at_ms > recipient->last_ms)
        recipient->last_ms = outcome->at_ms;
    if (is_worse(recipient, outcome))
        return recipient;
    recipient->delivery = outcome->delivery;
    recipient->reply = outcome->reply;
    if (outcome->delivery != DELIVERY_DELIVERED)
        recipient->class = outcome->class;
    return recipient;
}

void trace_give_up(struct trace_message *message, enum delivery delivery, int64_t at_ms,
                   void (*changed)(void *context, const struct trace_recipient *before,
                                   const struct trace_recipient *after),
                   void *context)
{
    for (size_t i = 0; i < message->recipient_count; i++) {
        struct trace_recipient *recipient = &message->recipients[i];
        const struct trace_recipient before = *recipient;
        if (before.delivery != DELIVERY_DEFERRED && before.delivery != DELIVERY_PENDING)
            continue;
        recipient->delivery = delivery;
        if (delivery == DELIVERY_EXPIRED)
            recipient->class = REPLY_EXPIRED;
        if (at_ms > recipient->last_ms)
            recipient->last_ms = at_ms;
        changed(context, &before, recipient);
    }
}

bool trace_has_class(enum delivery delivery)
{
    return delivery == DELIVERY_DEFERRED || delivery == DELIVERY_FAILED ||
           delivery == DELIVERY_EXPIRED;
}

uint32_t trace_unknown(const struct trace_message *message)
{
    return message->expected > message->recipient_count
               ? message->expected - (uint32_t)message->recipient_count
               : 0;
}

int64_t trace_day(uint64_t decision) { return decision_time(decision) / DAY_MS; }

/* ---- the packed form ------------------------------------------------------------------------- */

static uint64_t first_of_day(int64_t day) { return decision_floor(day * DAY_MS); }

static uint64_t seconds_between(int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? (uint64_t)(to_ms - from_ms) / SECOND_MS : 0;
}

static void add_recipient(struct text *out, int64_t decided_ms,
                          const struct trace_recipient *recipient)
{
    packed_add_fixed(out, recipient->hash, HASH_BYTES);
    text_add_char(out, (char)((unsigned)recipient->delivery |
                              (unsigned)recipient->class << DELIVERY_BITS));
    packed_add_number(out, recipient->attempts);
    packed_add_number(out, seconds_between(decided_ms, recipient->first_ms));
    packed_add_number(out, seconds_between(recipient->first_ms, recipient->last_ms));
    packed_add_fixed(out, recipient->reply, REPLY_BYTES);
}

static void add_message(struct text *out, int64_t day, const struct trace_message *message)
{
    int64_t decided_ms = decision_time(message->decision);
    uint8_t packed[QUEUE_ID_PACKED_MAX];
    size_t packed_length = queue_id_pack(message->queue_id,
                                         strlen(message->queue_id), decided_ms, packed);
    packed_add_fixed(out, message->decision - first_of_day(day), ID_BYTES);
    text_add_char(out, (char)((message->refunded ? FLAG_REFUNDED : 0) |
                              (message->ended ? FLAG_ENDED : 0) |
                              (message->silent ? FLAG_SILENT : 0) |
                              (message->message_id != 0 ? FLAG_MESSAGE_ID : 0) |
                              (packed_length > 0 ? FLAG_LONG_QUEUE_ID : 0)));
    if (packed_length > 0)
        packed_add_bytes(out, packed, packed_length);
    else
        packed_add_bytes(out, message->queue_id, strlen(message->queue_id));
    if (message->message_id != 0)
        packed_add_fixed(out, message->message_id, MESSAGE_ID_BYTES);
    packed_add_number(out, message->expected);
    packed_add_number(out, message->recipient_count);
    for (size_t i = 0; i < message->recipient_count; i++)
        add_recipient(out, decided_ms, &message->recipients[i]);
}

void trace_add(struct text *out, int64_t day, const struct trace_message *message)
{
    if (out->length == 0)
        text_add_char(out, FORMAT);
    size_t first = out->length;
    add_message(out, day, message);
    packed_put_length(out, first);
}

size_t trace_bytes(const struct trace_message *message)
{
    enum {
        HEAD_MAX = VARINT_MAX_BYTES + ID_BYTES + 1 + 1 + QUEUE_ID_MAX + MESSAGE_ID_BYTES +
                   2 * VARINT_MAX_BYTES,
        EACH_MAX = HASH_BYTES + 1 + 3 * VARINT_MAX_BYTES + REPLY_BYTES,
    };
    return HEAD_MAX + message->recipient_count * EACH_MAX;
}

static int read_queue_id(struct packed_rest *rest, bool is_long, int64_t decided_ms,
                         char text_r[QUEUE_ID_MAX + 1])
{
    size_t length = packed_number(rest);
    const uint8_t *bytes = packed_bytes(rest, length);
    if (bytes == NULL || length > QUEUE_ID_MAX)
        return 0;
    if (is_long)
        return queue_id_unpack(bytes, length, decided_ms, text_r) > 0;
    memcpy(text_r, bytes, length);
    text_r[length] = '\0';
    return 1;
}

static int read_recipient(struct packed_rest *rest, int64_t decided_ms,
                          struct trace_recipient *recipient_r)
{
    recipient_r->hash = packed_fixed(rest, HASH_BYTES);
    uint64_t both = packed_fixed(rest, 1);
    recipient_r->delivery = (enum delivery)(both & ((1u << DELIVERY_BITS) - 1));
    recipient_r->class = (enum reply_class)(both >> DELIVERY_BITS);
    recipient_r->attempts = (uint32_t)packed_number(rest);
    recipient_r->first_ms = decided_ms + (int64_t)packed_number(rest) * SECOND_MS;
    recipient_r->last_ms = recipient_r->first_ms + (int64_t)packed_number(rest) * SECOND_MS;
    recipient_r->reply = packed_fixed(rest, REPLY_BYTES);
    return rest->next != NULL && recipient_r->delivery < DELIVERY_COUNT &&
           recipient_r->class < REPLY_CLASS_COUNT;
}

static int read_message(struct arena *arena, int64_t day, struct packed_rest rest,
                        struct trace_message *message_r)
{
    *message_r = (struct trace_message){.decision = first_of_day(day) +
                                                    packed_fixed(&rest, ID_BYTES)};
    int64_t decided_ms = decision_time(message_r->decision);
    uint64_t flags = packed_fixed(&rest, 1);
    message_r->refunded = (flags & FLAG_REFUNDED) != 0;
    message_r->ended = (flags & FLAG_ENDED) != 0;
    message_r->silent = (flags & FLAG_SILENT) != 0;
    if (!read_queue_id(&rest, (flags & FLAG_LONG_QUEUE_ID) != 0, decided_ms, message_r->queue_id))
        return 0;
    if ((flags & FLAG_MESSAGE_ID) != 0)
        message_r->message_id = (uint32_t)packed_fixed(&rest, MESSAGE_ID_BYTES);
    message_r->expected = (uint32_t)packed_number(&rest);
    size_t count = packed_number(&rest);
    if (rest.next == NULL || count > TRACE_RECIPIENTS_MAX ||
        count > (size_t)(rest.end - rest.next))
        return 0;
    message_r->recipients = arena_alloc(arena, count * sizeof *message_r->recipients);
    message_r->recipient_count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_recipient(&rest, decided_ms, &message_r->recipients[i]))
            return 0;
    return rest.next == rest.end;
}

static int count_messages(struct packed_rest rest, size_t *count_r)
{
    for (*count_r = 0; rest.next != NULL && rest.next < rest.end; (*count_r)++)
        packed_bytes(&rest, packed_number(&rest));
    return rest.next != NULL;
}

int trace_read(struct arena *arena, int64_t day, const void *bytes, size_t length,
               struct trace_message **messages_r, size_t *count_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    if (packed_fixed(&rest, 1) != FORMAT || !count_messages(rest, count_r))
        return 0;
    *messages_r = arena_alloc(arena, *count_r * sizeof **messages_r);
    for (size_t i = 0; i < *count_r; i++) {
        size_t of_message = packed_number(&rest);
        const uint8_t *begin = packed_bytes(&rest, of_message);
        struct packed_rest message = {begin, begin + of_message};
        if (!read_message(arena, day, message, &(*messages_r)[i]))
            return 0;
    }
    return 1;
}
