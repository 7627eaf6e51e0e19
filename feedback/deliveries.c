#include "feedback/deliveries.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/text.h"
#include "guard/delivery.h"
#include "mail/delivery_counts.h"
#include "mail/known_recipients.h"
#include "message/address.h"

/* A part takes another message while it has fewer bytes. */
enum { PART_BYTES = 16 * 1024 };
/* What has not changed is forgotten when so much is held. */
enum { HELD_MAX_BYTES = 64 * 1024 * 1024 };

/* One of the store's values. */
struct held_value {
    enum value_kind kind;
    char *key;
    uint32_t version; /* 0: the store has none */
    bool changed;
    int64_t until_ms;
    size_t bytes; /* about, in memory */
    struct text packed; /* of replies, until they are written, and known recipients */
    union {
        struct {
            int64_t day;
            struct trace_message *messages;
            size_t count, room, packed_max;
            uint32_t newest; /* of part 0: the newest part that is known */
        } part;
        struct delivery_counts *domain;
        char *site; /* of a reply */
    } of;
};

/* What will be asked for soon: read together with the next value that is not held. */
struct expected {
    enum value_kind kind;
    char key[DELIVERY_KEY_SIZE];
};
enum { EXPECTED_MAX = 512 };

struct deliveries {
    struct store *store;
    struct keyed_hash_keys *keys;
    uint32_t source;
    struct arena *arena; /* for reading, and what is to be written */
    struct text packed;  /* one value */
    struct known_recipients *known; /* those of one mailbox, for looking and changing */
    GHashTable *held[VALUE_KIND_COUNT]; /* by key */
    struct expected *expected; /* room for EXPECTED_MAX */
    size_t expected_count;
    GHashTable *said; /* by site: how many different words it had on said_day */
    int64_t said_day;
    GPtrArray *changed; /* of held */
    size_t bytes, changed_bytes; /* of all; and of those that changed, as they were before */
};

/* ---- what is held ---------------------------------------------------------------------------- */

static void free_messages(struct held_value *held)
{
    for (size_t i = 0; i < held->of.part.count; i++)
        free(held->of.part.messages[i].recipients);
    free(held->of.part.messages);
}

static void free_held(void *pointer)
{
    struct held_value *held = pointer;
    if (held->kind == VALUE_TRACE)
        free_messages(held);
    else if (held->kind == VALUE_DOMAIN)
        free(held->of.domain);
    else if (held->kind == VALUE_REPLY)
        free(held->of.site);
    text_free(&held->packed);
    free(held->key);
    free(held);
}

struct deliveries *deliveries_new(struct store *store, struct keyed_hash_keys *keys,
                                  const char *source)
{
    struct deliveries *deliveries = xcalloc(1, sizeof *deliveries);
    deliveries->store = store;
    deliveries->keys = keys;
    deliveries->source = delivery_source(source);
    deliveries->arena = arena_new();
    deliveries->known = xcalloc(1, sizeof *deliveries->known);
    deliveries->expected = xcalloc(EXPECTED_MAX, sizeof *deliveries->expected);
    for (int kind = 0; kind < VALUE_KIND_COUNT; kind++)
        deliveries->held[kind] = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_held);
    deliveries->said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    deliveries->changed = g_ptr_array_new();
    return deliveries;
}

void deliveries_free(struct deliveries **deliveries)
{
    if (*deliveries == NULL)
        return;
    for (int kind = 0; kind < VALUE_KIND_COUNT; kind++)
        g_hash_table_destroy((*deliveries)->held[kind]);
    g_hash_table_destroy((*deliveries)->said);
    g_ptr_array_free((*deliveries)->changed, TRUE);
    arena_free(&(*deliveries)->arena);
    text_free(&(*deliveries)->packed);
    free((*deliveries)->known);
    free((*deliveries)->expected);
    free(*deliveries);
    *deliveries = NULL;
}

static void mark_changed(struct deliveries *deliveries, struct held_value *held)
{
    if (held->changed)
        return;
    g_ptr_array_add(deliveries->changed, held);
    deliveries->changed_bytes += held->bytes;
    held->changed = true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void add_to_part(struct held_value *held, const struct trace_message *message)
{
    if (held->of.part.count == held->of.part.room) {
        held->of.part.room = held->of.part.room > 0 ? held->of.part.room * 2 : 4;
        held->of.part.messages = xrealloc(held->of.part.messages,
                                          held->of.part.room * sizeof *held->of.part.messages);
    }
    struct trace_message *added = &held->of.part.messages[held->of.part.count];
    *added = *message;
    added->recipients = NULL;
    added->recipient_room = message->recipient_count;
    if (message->recipient_count > 0) {
        added->recipients = xcalloc(message->recipient_count, sizeof *added->recipients);
        memcpy(added->recipients, message->recipients,
               message->recipient_count * sizeof *added->recipients);
    }
    held->of.part.packed_max += trace_bytes(message);
    held->bytes += sizeof *added + message->recipient_count * sizeof *added->recipients;
    held->of.part.count++;
}

static int take_part(struct deliveries *deliveries, struct held_value *held, const struct value *value)
{
    struct trace_message *messages;
    size_t count = 0;
    held->of.part.day = strtol(held->key, NULL, 10);
    if (value->length > 0 && !trace_read(deliveries->arena, held->of.part.day, value->bytes,
                                         value->length, &messages, &count))
        return 0;
    for (size_t i = 0; i < count; i++)
        add_to_part(held, &messages[i]);
    return 1;
}

/* 1; 0: what the store has is damaged, and held is empty. */
static int take_value(struct deliveries *deliveries, struct held_value *held, const struct value *value)
{
    bool there = value->length > 0;
    if (held->kind == VALUE_TRACE)
        return take_part(deliveries, held, value);
    if (held->kind == VALUE_KNOWN) {
        text_add_bytes(&held->packed, value->bytes, value->length);
        held->bytes += value->length;
        return 1;
    }
    if (held->kind == VALUE_DOMAIN) {
        held->of.domain = xcalloc(1, sizeof *held->of.domain);
        held->bytes += sizeof *held->of.domain;
        return !there || delivery_counts_read(value->bytes, value->length, held->of.domain);
    }
    struct kept_reply reply = {.site = ""};
    int taken = !there || kept_reply_read(deliveries->arena, value->bytes, value->length, &reply);
    held->of.site = xstrdup(taken ? reply.site : "");
    return taken;
}

static void put_held(struct deliveries *deliveries, const struct value *value)
{
    if (g_hash_table_contains(deliveries->held[value->kind], value->key))
        return;
    struct held_value *held = xcalloc(1, sizeof *held);
    held->kind = value->kind;
    held->key = xstrdup(value->key);
    held->version = value->version;
    held->until_ms = value->until_ms;
    held->bytes = sizeof *held + strlen(value->key) + 64;
    take_value(deliveries, held, value);
    deliveries->bytes += held->bytes;
    g_hash_table_insert(deliveries->held[value->kind], held->key, held);
}

/* Reads a value, and with it what is expected. 1 or -1. */
static int read_values(struct deliveries *deliveries, enum value_kind kind, const char *key,
                       int64_t now_ms)
{
    size_t count = 1 + deliveries->expected_count;
    struct value *values = xcalloc(count, sizeof *values);
    values[0] = (struct value){.kind = kind, .key = key};
    for (size_t i = 1; i < count; i++)
        values[i] = (struct value){.kind = deliveries->expected[i - 1].kind,
                                   .key = deliveries->expected[i - 1].key};
    int answer = store_values_get(deliveries->store, deliveries->arena, values, count, now_ms);
    for (size_t i = 0; i < count && answer > 0; i++)
        put_held(deliveries, &values[i]);
    deliveries->expected_count = 0;
    arena_reset(deliveries->arena);
    free(values);
    return answer;
}

static void expect(struct deliveries *deliveries, enum value_kind kind, const char *key)
{
    if (g_hash_table_contains(deliveries->held[kind], key))
        return;
    struct expected *expected = &deliveries->expected[deliveries->expected_count++];
    expected->kind = kind;
    g_strlcpy(expected->key, key, sizeof expected->key);
}

bool deliveries_expect(struct deliveries *deliveries, uint64_t decision, const char *mailbox)
{
    char key[DELIVERY_KEY_SIZE];
    delivery_trace_key(key, trace_day(decision), mailbox, deliveries->source, 0);
    bool is_held = g_hash_table_contains(deliveries->held[VALUE_TRACE], key);
    if (deliveries->expected_count + 2 > EXPECTED_MAX ||
        (is_held && deliveries->expected_count == 0))
        return false;
    expect(deliveries, VALUE_TRACE, key);
    expect(deliveries, VALUE_KNOWN, mailbox);
    return true;
}

/* The value under a key, read if it is not held. 1 or -1. */
static int hold(struct deliveries *deliveries, enum value_kind kind, const char *key,
                int64_t now_ms, struct held_value **held_r)
{
    *held_r = g_hash_table_lookup(deliveries->held[kind], key);
    if (*held_r != NULL)
        return 1;
    if (read_values(deliveries, kind, key, now_ms) < 0)
        return -1;
    *held_r = g_hash_table_lookup(deliveries->held[kind], key);
    return 1;
}

static int hold_part(struct deliveries *deliveries, const char *mailbox, int64_t day,
                     uint32_t part, int64_t now_ms, struct held_value **held_r)
{
    char key[DELIVERY_KEY_SIZE];
    delivery_trace_key(key, day, mailbox, deliveries->source, part);
    if (hold(deliveries, VALUE_TRACE, key, now_ms, held_r) < 0)
        return -1;
    (*held_r)->until_ms = delivery_day_end(day);
    return 1;
}

static struct trace_message *find_message(const struct held_value *held, uint64_t decision)
{
    for (size_t i = held->of.part.count; i > 0; i--)
        if (held->of.part.messages[i - 1].decision == decision)
            return &held->of.part.messages[i - 1];
    return NULL;
}

/* ---- replies ------------------------------------------------------------------------------------ */

/* Who said it; "" when nobody did or it is not kept any more. 1 or -1. */
static int site_of(struct deliveries *deliveries, uint64_t reply, int64_t now_ms,
                   const char **site_r)
{
    char key[DELIVERY_KEY_SIZE];
    struct held_value *held;
    *site_r = "";
    if (reply == 0)
        return 1;
    delivery_reply_key(key, reply);
    if (hold(deliveries, VALUE_REPLY, key, now_ms, &held) < 0)
        return -1;
    *site_r = held->of.site;
    return 1;
}

/* Whether a server has said so many different things today that what comes is kept without words. */
static bool says_too_much(struct deliveries *deliveries, const char *site, int64_t now_ms)
{
    if (deliveries->said_day != now_ms / DAY_MS) {
        g_hash_table_remove_all(deliveries->said);
        deliveries->said_day = now_ms / DAY_MS;
    }
    unsigned said = GPOINTER_TO_UINT(g_hash_table_lookup(deliveries->said, site));
    if (said >= DELIVERIES_WORDS_MAX)
        return true;
    g_hash_table_replace(deliveries->said, g_strdup(site), GUINT_TO_POINTER(said + 1));
    return false;
}

/* The number of a reply, which is kept for long enough from now on. 1 or -1. */
static int keep_reply(struct deliveries *deliveries, const struct kept_reply *reply,
                      int64_t now_ms, uint64_t *id_r)
{
    char key[DELIVERY_KEY_SIZE];
    struct held_value *held;
    freed_by(text_free) struct text packed = {0};
    kept_reply_add(&packed, reply);
    *id_r = kept_reply_id(packed.data, packed.length);
    delivery_reply_key(key, *id_r);
    if (hold(deliveries, VALUE_REPLY, key, now_ms, &held) < 0)
        return -1;
    if (held->until_ms >= now_ms + DELIVERY_REPLY_MS - DAY_MS)
        return 1;
    if (reply->words[0] != '\0' && says_too_much(deliveries, reply->site, now_ms)) {
        struct kept_reply without = *reply;
        without.words = "";
        return keep_reply(deliveries, &without, now_ms, id_r);
    }
    free(held->of.site);
    held->of.site = xstrdup(reply->site);
    held->until_ms = now_ms + DELIVERY_REPLY_MS;
    text_clear(&held->packed);
    text_add_bytes(&held->packed, packed.data, packed.length);
    mark_changed(deliveries, held);
    return 1;
}

/* ---- domains and known recipients ------------------------------------------------------------------ */

static int hold_domain(struct deliveries *deliveries, const struct delivery_place *place,
                       int64_t now_ms, struct delivery_counts **counts_r)
{
    char key[DELIVERY_KEY_SIZE];
    struct held_value *held;
    int64_t day = trace_day(place->decision);
    delivery_domain_key(key, day, address_domain(place->mailbox), deliveries->source);
    if (hold(deliveries, VALUE_DOMAIN, key, now_ms, &held) < 0)
        return -1;
    held->until_ms = delivery_day_end(day);
    mark_changed(deliveries, held);
    *counts_r = held->of.domain;
    return 1;
}

static int count_move(struct deliveries *deliveries, const struct delivery_place *place,
                      const struct trace_recipient *before, const struct trace_recipient *after,
                      int64_t now_ms)
{
    struct delivery_counts *counts;
    const char *site_before, *site_after;
    if (before->delivery == after->delivery && before->reply == after->reply)
        return 1;
    if (site_of(deliveries, before->reply, now_ms, &site_before) < 0 ||
        site_of(deliveries, after->reply, now_ms, &site_after) < 0 ||
        hold_domain(deliveries, place, now_ms, &counts) < 0)
        return -1;
    delivery_counts_move(
        counts, &(struct counted_as){before->delivery, before->class, site_before},
        &(struct counted_as){after->delivery, after->class, site_after});
    return 1;
}

/* Mail went to the recipient: it is one that the mailbox knows. */
static int know_recipient(struct deliveries *deliveries, const char *mailbox,
                          const struct delivery_outcome *outcome, int64_t now_ms)
{
    struct held_value *held;
    const struct recipient_hashes hashes = {
        keyed_hash_recipient(deliveries->keys, outcome->recipient, outcome->at_ms),
        keyed_hash_recipient(deliveries->keys, outcome->recipient, outcome->at_ms - 366 * DAY_MS),
    };
    if (hold(deliveries, VALUE_KNOWN, mailbox, now_ms, &held) < 0)
        return -1;
    if (!known_recipients_read(held->packed.data, held->packed.length, deliveries->known))
        deliveries->known->count = 0; /* there are none yet, or they are damaged */
    int64_t day = outcome->at_ms / DAY_MS;
    bool delivered = outcome->delivery == DELIVERY_DELIVERED;
    const struct known_recipient *known = known_recipients_find(deliveries->known, &hashes, day);
    if (known != NULL && known->hash == hashes.now >> 16 && known->written >= day &&
        (!delivered || known->delivered >= day))
        return 1;
    known_recipients_touch(deliveries->known, &hashes, day, delivered);
    deliveries->bytes -= held->packed.length;
    text_clear(&held->packed);
    known_recipients_add(&held->packed, deliveries->known);
    deliveries->bytes += held->packed.length;
    held->until_ms = outcome->at_ms + DELIVERY_KNOWN_MS;
    mark_changed(deliveries, held);
    return 1;
}

/* ---- messages --------------------------------------------------------------------------------------- */

/* The part that the next message of a mailbox and day goes to. A new day has none: one look tells. */
static int newest_part(struct deliveries *deliveries, const char *mailbox, int64_t day,
                       int64_t now_ms, struct held_value **held_r, uint32_t *part_r)
{
    struct held_value *first;
    if (hold_part(deliveries, mailbox, day, 0, now_ms, &first) < 0)
        return -1;
    uint32_t *newest = &first->of.part.newest;
    *held_r = first;
    if (*newest > 0 && hold_part(deliveries, mailbox, day, *newest, now_ms, held_r) < 0)
        return -1;
    while ((*held_r)->of.part.packed_max >= PART_BYTES)
        if (hold_part(deliveries, mailbox, day, ++*newest, now_ms, held_r) < 0)
            return -1;
    *part_r = *newest;
    return 1;
}

/* The message in the part `newest`, number place->part, or one before: 1 with place->part; 0, which
 * stays; -1. */
static int look_for(struct deliveries *deliveries, struct held_value *newest, int64_t now_ms,
                    struct delivery_place *place)
{
    struct held_value *held = newest;
    uint32_t part = place->part;
    while (find_message(held, place->decision) == NULL) {
        if (part == 0)
            return 0;
        if (hold_part(deliveries, place->mailbox, trace_day(place->decision), --part, now_ms,
                      &held) < 0)
            return -1;
    }
    place->part = part;
    return 1;
}

int deliveries_find(struct deliveries *deliveries, uint64_t decision, const char *mailbox,
                    int64_t now_ms, struct delivery_place *place_r)
{
    struct held_value *newest;
    *place_r = (struct delivery_place){.decision = decision, .mailbox = mailbox};
    if (newest_part(deliveries, mailbox, trace_day(decision), now_ms, &newest, &place_r->part) < 0)
        return -1;
    return look_for(deliveries, newest, now_ms, place_r);
}

int deliveries_begin(struct deliveries *deliveries, const struct trace_message *message,
                     const char *mailbox, int64_t now_ms, struct delivery_place *place_r)
{
    struct held_value *newest;
    struct delivery_counts *counts;
    *place_r = (struct delivery_place){.decision = message->decision, .mailbox = mailbox};
    if (newest_part(deliveries, mailbox, trace_day(message->decision), now_ms, &newest,
                    &place_r->part) < 0)
        return -1;
    int found = look_for(deliveries, newest, now_ms, place_r);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (hold_domain(deliveries, place_r, now_ms, &counts) < 0)
        return -1;
    add_to_part(newest, message);
    counts->messages++;
    mark_changed(deliveries, newest);
    return 1;
}

/* The same as deliveries_message, and what it is held in. */
static int hold_message(struct deliveries *deliveries, const struct delivery_place *place,
                        int64_t now_ms, struct held_value **held_r,
                        struct trace_message **message_r)
{
    if (hold_part(deliveries, place->mailbox, trace_day(place->decision), place->part, now_ms,
                  held_r) < 0)
        return -1;
    *message_r = find_message(*held_r, place->decision);
    if (*message_r == NULL)
        return 0;
    mark_changed(deliveries, *held_r);
    return 1;
}

int deliveries_message(struct deliveries *deliveries, const struct delivery_place *place,
                       int64_t now_ms, struct trace_message **message_r)
{
    struct held_value *held;
    return hold_message(deliveries, place, now_ms, &held, message_r);
}

int deliveries_outcome(struct deliveries *deliveries, const struct delivery_place *place,
                       const struct delivery_outcome *outcome, int64_t now_ms,
                       struct delivery_unit *unit_r)
{
    struct held_value *held;
    struct trace_message *message;
    struct trace_recipient before;
    struct trace_outcome taken = {
        .recipient = keyed_hash_recipient(deliveries->keys, outcome->recipient,
                                          decision_time(place->decision)),
        .delivery = outcome->delivery,
        .class = outcome->reply.class,
        .attempted = outcome->attempted,
        .expanded = outcome->expanded,
        .at_ms = outcome->at_ms,
    };
    int kept = hold_message(deliveries, place, now_ms, &held, &message);
    if (kept < 1)
        return kept;
    if (keep_reply(deliveries, &outcome->reply, now_ms, &taken.reply) < 0)
        return -1;
    size_t room_before = message->recipient_room;
    const struct trace_recipient *after = trace_take_outcome(message, &taken, &before);
    size_t more = (message->recipient_room - room_before) * sizeof *after;
    held->bytes += more;
    deliveries->bytes += more;
    if (after == NULL)
        return 0;
    *unit_r = (struct delivery_unit){taken.recipient, before.attempts == 0};
    if (count_move(deliveries, place, &before, after, now_ms) < 0)
        return -1;
    return outcome->attempted ? know_recipient(deliveries, place->mailbox, outcome, now_ms) : 1;
}

struct giving_up {
    struct deliveries *deliveries;
    const struct delivery_place *place;
    int64_t now_ms;
    int answer;
};

static void given_up_one(void *context, const struct trace_recipient *before,
                         const struct trace_recipient *after)
{
    struct giving_up *giving_up = context;
    if (giving_up->answer > 0)
        giving_up->answer = count_move(giving_up->deliveries, giving_up->place, before, after,
                                       giving_up->now_ms);
}

int deliveries_end(struct deliveries *deliveries, const struct delivery_place *place,
                   enum delivery given_up, int64_t at_ms, int64_t now_ms)
{
    struct trace_message *message;
    struct giving_up giving_up = {deliveries, place, now_ms, 1};
    int kept = deliveries_message(deliveries, place, now_ms, &message);
    if (kept < 1)
        return kept;
    message->ended = true;
    if (given_up != DELIVERY_DELIVERED)
        trace_give_up(message, given_up, at_ms, given_up_one, &giving_up);
    return giving_up.answer;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* In `arena`, but for what is held as it is kept. */
static struct mail_view pack(struct deliveries *deliveries, const struct held_value *held)
{
    struct text *packed = &deliveries->packed;
    if (held->kind == VALUE_REPLY || held->kind == VALUE_KNOWN)
        return (struct mail_view){held->packed.data, held->packed.length};
    text_clear(packed);
    if (held->kind == VALUE_DOMAIN)
        delivery_counts_add(packed, held->of.domain);
    for (size_t i = 0; held->kind == VALUE_TRACE && i < held->of.part.count; i++)
        trace_add(packed, held->of.part.day, &held->of.part.messages[i]);
    return (struct mail_view){arena_strndup(deliveries->arena, packed->data, packed->length),
                              packed->length};
}

size_t deliveries_change_count(const struct deliveries *deliveries)
{
    return deliveries->changed->len;
}

size_t deliveries_change_bytes(const struct deliveries *deliveries)
{
    return deliveries->changed_bytes;
}

size_t deliveries_changes(struct deliveries *deliveries, struct value_change *changes, size_t room)
{
    size_t count = deliveries->changed->len < room ? deliveries->changed->len : room;
    for (size_t i = 0; i < count; i++) {
        const struct held_value *held = g_ptr_array_index(deliveries->changed, i);
        struct mail_view packed = pack(deliveries, held);
        changes[i] = (struct value_change){
            .value = {.kind = held->kind, .key = held->key, .bytes = packed.text,
                      .length = packed.length, .until_ms = held->until_ms},
            .replaces = held->kind == VALUE_REPLY ? VALUE_ANY : held->version,
        };
    }
    return count;
}

static gboolean drop(gpointer key, gpointer held, gpointer nothing)
{
    (void)key, (void)held, (void)nothing;
    return TRUE;
}

/* All at once: it is rare, and what is in use is read again soon. */
static void forget_all(struct deliveries *deliveries)
{
    for (int kind = 0; kind < VALUE_KIND_COUNT; kind++)
        g_hash_table_foreach_remove(deliveries->held[kind], drop, NULL);
    deliveries->bytes = 0;
}

void deliveries_written(struct deliveries *deliveries, const uint32_t *versions)
{
    for (size_t i = 0; i < deliveries->changed->len; i++) {
        struct held_value *held = g_ptr_array_index(deliveries->changed, i);
        held->version = versions[i];
        held->changed = false;
        if (held->kind == VALUE_REPLY)
            text_free(&held->packed);
        if (held->kind == VALUE_TRACE) {
            held->of.part.packed_max = 0;
            for (size_t j = 0; j < held->of.part.count; j++)
                held->of.part.packed_max += trace_bytes(&held->of.part.messages[j]);
        }
    }
    arena_reset(deliveries->arena);
    g_ptr_array_set_size(deliveries->changed, 0);
    deliveries->changed_bytes = 0;
    if (deliveries->bytes > HELD_MAX_BYTES)
        forget_all(deliveries);
}
