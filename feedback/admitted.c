#include "feedback/admitted.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "guard/packing.h"

enum { PAGE = 256, RECENT_MIN = 8192 };
/* Programs and machines write records a little out of order: their clocks differ, and one waits for
 * the database longer than the other. So much is read again. */
#define OVERLAP_MS (10 * SECOND_MS)

struct waiting {
    struct admitted_message message; /* the first member: admitted_next */
    GList *link; /* in `order` */
};

struct admitted {
    struct store *store;
    struct arena *arena;
    uint64_t begin;     /* none before it is read */
    uint64_t read;      /* decisions until then were read */
    uint64_t newest;    /* the highest of them, also of a clock that was set back since */
    int64_t covered_ms; /* decisions until then have been read */
    GHashTable *by_id;  /* queue id: entry */
    GQueue *order;      /* entry, as they were read */
    GHashTable *recent; /* decisions of the overlap, and older ones until they are swept */
    size_t sweep_at;    /* swept when it has so many */
    struct record *records; /* room for PAGE: a page that was read, in `arena` */
    size_t next, count;     /* of them, and from which on they were not taken */
};

static void free_entry(void *pointer)
{
    struct waiting *entry = pointer;
    free((char *)(uintptr_t)entry->message.queue_id);
    free((char *)(uintptr_t)entry->message.mailbox);
    free((char *)(uintptr_t)entry->message.id);
    free(entry);
}

struct admitted *admitted_new(struct store *store, uint64_t after, uint64_t newest)
{
    struct admitted *admitted = xcalloc(1, sizeof *admitted);
    admitted->store = store;
    admitted->arena = arena_new();
    admitted->begin = admitted->read = after;
    admitted->newest = newest;
    admitted->by_id = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_entry);
    admitted->order = g_queue_new();
    admitted->recent = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    admitted->sweep_at = RECENT_MIN;
    admitted->records = xcalloc(PAGE, sizeof *admitted->records);
    return admitted;
}

void admitted_free(struct admitted **admitted)
{
    if (*admitted == NULL)
        return;
    g_queue_free((*admitted)->order);
    g_hash_table_destroy((*admitted)->by_id);
    g_hash_table_destroy((*admitted)->recent);
    arena_free(&(*admitted)->arena);
    free((*admitted)->records);
    free(*admitted);
    *admitted = NULL;
}

static void forget_ahead(struct admitted *admitted)
{
    admitted->next = admitted->count = 0;
}

void admitted_begin(struct admitted *admitted, int64_t time_ms)
{
    if (admitted->read < decision_floor(time_ms))
        admitted->begin = admitted->read = decision_floor(time_ms);
    forget_ahead(admitted);
}

const struct admitted_message *admitted_find(const struct admitted *admitted, const char *queue_id)
{
    const struct waiting *entry = g_hash_table_lookup(admitted->by_id, queue_id);
    return entry != NULL ? &entry->message : NULL;
}

const struct admitted_message *admitted_next(const struct admitted_message *message)
{
    const GList *next = ((const struct waiting *)message)->link->next;
    return next != NULL ? next->data : NULL;
}

void admitted_remove(struct admitted *admitted, const char *queue_id)
{
    struct waiting *entry = g_hash_table_lookup(admitted->by_id, queue_id);
    if (entry == NULL)
        return;
    g_queue_delete_link(admitted->order, entry->link);
    g_hash_table_remove(admitted->by_id, queue_id);
}

/* A short queue id comes again: the newer message has it from now on. */
static void keep(struct admitted *admitted, const struct admitted_message *message)
{
    struct waiting *entry = xcalloc(1, sizeof *entry);
    admitted_remove(admitted, message->queue_id);
    entry->message = (struct admitted_message){
        .queue_id = xstrdup(message->queue_id), .decision = message->decision,
        .mailbox = xstrdup(message->mailbox), .id = xstrdup(message->id),
        .counted = message->counted, .redeemed = message->redeemed};
    g_queue_push_tail(admitted->order, entry);
    entry->link = g_queue_peek_tail_link(admitted->order);
    g_hash_table_insert(admitted->by_id, (char *)(uintptr_t)entry->message.queue_id, entry);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static bool is_first_time(struct admitted *admitted, uint64_t decision)
{
    gint64 number = (gint64)decision;
    if (g_hash_table_contains(admitted->recent, &number))
        return false;
    gint64 *kept = g_new(gint64, 1);
    *kept = number;
    g_hash_table_add(admitted->recent, kept);
    return true;
}

static gboolean is_past(gpointer key, gpointer value, gpointer floor)
{
    (void)value;
    return (uint64_t)*(gint64 *)key < *(uint64_t *)floor;
}

static uint64_t overlap_floor(const struct admitted *admitted)
{
    uint64_t floor = admitted->read > 0
                         ? decision_floor(decision_time(admitted->read) - OVERLAP_MS)
                         : 0;
    return floor > admitted->begin ? floor : admitted->begin;
}

/* A record of the policy service has the id "QUEUEID/INSTANCE". A question that was asked again has
 * the same, and is no other message. */
static int take_record(struct admitted *admitted, const struct record *record,
                       int (*found)(void *context, const struct admitted_message *message),
                       void *context)
{
    struct packed_identity identity;
    if (!is_first_time(admitted, record->decision) ||
        record->outcome == OUTCOME_REPEATED ||
        !packing_identity(admitted->arena, record, &identity) || identity.channel != CHANNEL_SMTP)
        return 1;
    size_t length = strcspn(identity.id, "/");
    if (length == 0 || identity.id[length] == '\0')
        return 1;
    const struct admitted_message message = {
        .queue_id = arena_strndup(admitted->arena, identity.id, length),
        .decision = record->decision, .mailbox = identity.mailbox, .id = identity.id,
        .counted = record->outcome == OUTCOME_ADMITTED, .redeemed = record->redeemed};
    int settled = found(context, &message);
    if (settled == 0)
        keep(admitted, &message);
    return settled < 0 ? -1 : 1;
}

/* When as many have come as the last time stayed: each is looked at twice or so. */
static void sweep(struct admitted *admitted)
{
    uint64_t floor = overlap_floor(admitted);
    if (g_hash_table_size(admitted->recent) < admitted->sweep_at)
        return;
    g_hash_table_foreach_remove(admitted->recent, is_past, &floor);
    admitted->sweep_at = RECENT_MIN + 2 * g_hash_table_size(admitted->recent);
}

void admitted_rewind(struct admitted *admitted, int64_t now_ms)
{
    uint64_t floor = decision_floor(now_ms - OVERLAP_MS);
    if (floor >= admitted->read)
        return;
    admitted->read = floor;
    if (floor < admitted->begin)
        admitted->begin = floor;
    admitted->covered_ms = 0;
    forget_ahead(admitted);
}

static int read_page(struct admitted *admitted, uint64_t after, int64_t now_ms, bool *more_r)
{
    struct store_page page = {.max = PAGE};
    arena_reset(admitted->arena);
    int answer =
        store_passed(admitted->store, admitted->arena, after, now_ms, admitted->records, &page);
    admitted->next = 0;
    admitted->count = answer > 0 ? page.count : 0;
    *more_r = page.more;
    return answer;
}

/* What of a page was not taken is looked at next time, if no other record comes between any more:
 * else, with a page for each message, all of it would be read each time. */
static void keep_ahead(struct admitted *admitted, int64_t now_ms)
{
    const struct record *last = &admitted->records[admitted->count - 1];
    if (decision_time(last->decision) >= now_ms - OVERLAP_MS)
        forget_ahead(admitted);
}

int admitted_read(struct admitted *admitted, int64_t until_ms, bool again, int64_t now_ms,
                  int (*found)(void *context, const struct admitted_message *message),
                  void *context)
{
    uint64_t after = again ? overlap_floor(admitted) : admitted->read;
    int answer = 1;
    bool more = true;
    if (again)
        forget_ahead(admitted);
    while (answer > 0 && more && (again || until_ms > admitted->covered_ms)) {
        if (admitted->next == admitted->count)
            answer = read_page(admitted, after, now_ms, &more);
        while (answer > 0 && admitted->next < admitted->count &&
               decision_time(admitted->records[admitted->next].decision) <= until_ms) {
            after = admitted->records[admitted->next].decision;
            answer = take_record(admitted, &admitted->records[admitted->next++], found, context);
        }
        if (after > admitted->read)
            admitted->read = after;
        if (after > admitted->newest)
            admitted->newest = after;
        bool stopped = admitted->next < admitted->count;
        admitted->covered_ms = !more && !stopped ? now_ms - 1 : decision_time(admitted->read);
        if (stopped)
            break;
    }
    if (answer < 0 || again)
        forget_ahead(admitted);
    else if (admitted->next < admitted->count)
        keep_ahead(admitted, now_ms);
    sweep(admitted);
    return answer;
}

const struct admitted_message *admitted_oldest(const struct admitted *admitted, int64_t before_ms)
{
    const struct waiting *entry = g_queue_peek_head(admitted->order);
    return entry != NULL && decision_time(entry->message.decision) < before_ms ? &entry->message
                                                                                : NULL;
}

uint64_t admitted_position(const struct admitted *admitted)
{
    const struct waiting *entry = g_queue_peek_head(admitted->order);
    uint64_t floor = overlap_floor(admitted);
    return entry != NULL && entry->message.decision <= floor ? entry->message.decision - 1 : floor;
}

uint64_t admitted_newest(const struct admitted *admitted) { return admitted->newest; }
