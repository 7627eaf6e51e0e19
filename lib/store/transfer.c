#include "store/transfer.h"

#include <sodium.h>
#include <string.h>

#include "base/packed.h"
#include "base/store_url.h"
#include "base/text.h"
#include "store/backend.h"
#include "store/packed_entry.h"

const char *const transfer_kind_names[TRANSFER_KIND_COUNT] = {
    [TRANSFER_HASH_KEY] = "keys of hashes", [TRANSFER_HISTORY] = "histories",
    [TRANSFER_RECORD] = "decisions",        [TRANSFER_TICKET] = "tickets",
    [TRANSFER_SUSPENSION] = "suspensions",  [TRANSFER_OFFENCE] = "offences",
    [TRANSFER_ADJUSTMENT] = "adjustments",  [TRANSFER_AUDIT] = "entries of the audit log",
    [TRANSFER_KEPT] = "accounts, sessions and terms", [TRANSFER_SENDER] = "senders",
    [TRANSFER_NEAR] = "windows near a limit", [TRANSFER_COUNTER] = "counters",
};

/* ---- a digest of an item: all its members, so that two are equal only when all are ---------- */

static void add_string(struct text *out, const char *string)
{
    text_add_bytes(out, string, strlen(string) + 1);
}

static void add_number(struct text *out, int64_t number)
{
    text_add_bytes(out, (const char *)&number, sizeof number);
}

static void add_history(struct text *out, const struct transfer_item *item)
{
    add_string(out, item->of.history.name);
    add_number(out, item->of.history.subject);
    add_number(out, item->of.history.newest_ms);
    for (size_t i = 0; i < item->of.history.count; i++) {
        uint8_t bytes[COUNTED_BYTES];
        packed_entry_put(item->of.history.subject, &item->of.history.counted[i], bytes);
        text_add_bytes(out, (const char *)bytes, packed_entry_bytes(item->of.history.subject));
    }
}

static void add_record(struct text *out, const struct transfer_item *item)
{
    const struct record *record = &item->of.record.record;
    add_number(out, (int64_t)record->decision);
    add_number(out, record->at_ms);
    add_number(out, item->of.record.until_ms);
    add_number(out, record->outcome);
    for (size_t i = 0; i < record->window_count; i++) {
        add_number(out, record->windows[i].rule);
        add_number(out, (int64_t)record->windows[i].used_before);
    }
    text_add_bytes(out, record->facts, record->facts_length);
    add_string(out, item->of.record.ip_name);
    add_string(out, item->of.record.mailbox);
}

static void add_suspension(struct text *out, const struct transfer_item *item)
{
    const struct suspension *suspension = &item->of.suspension.suspension;
    add_string(out, item->of.suspension.mailbox);
    add_number(out, suspension->id);
    add_number(out, suspension->cause);
    add_number(out, suspension->since_ms);
    add_number(out, suspension->until_ms);
    add_number(out, suspension->attempts);
    add_number(out, suspension->offence);
    add_string(out, suspension->by);
    add_string(out, suspension->note);
    add_number(out, item->of.suspension.lasts_ms);
    text_add_bytes(out, (const char *)item->of.suspension.tried,
                   8 * item->of.suspension.tried_count);
}

static void add_adjustment(struct text *out, const struct transfer_item *item)
{
    const struct adjustment *adjustment = &item->of.adjustment;
    add_string(out, adjustment->subject);
    add_number(out, adjustment->rule);
    add_number(out, adjustment->kind);
    add_number(out, adjustment->value);
    add_number(out, adjustment->until_ms);
    add_number(out, adjustment->change);
}

static void add_audit(struct text *out, const struct transfer_item *item)
{
    const struct audit *audit = &item->of.audit;
    add_number(out, audit->number);
    add_number(out, audit->at_ms);
    add_string(out, audit->by);
    add_string(out, audit->action);
    add_string(out, audit->subject);
    add_string(out, audit->note);
    add_string(out, audit->detail);
}

static void add_item(struct text *out, const struct transfer_item *item)
{
    switch (item->kind) {
    case TRANSFER_HASH_KEY:
        text_add_bytes(out, (const char *)item->of.hash_key, TRANSFER_HASH_KEY_BYTES);
        break;
    case TRANSFER_HISTORY: add_history(out, item); break;
    case TRANSFER_RECORD: add_record(out, item); break;
    case TRANSFER_TICKET:
        add_string(out, item->of.ticket.mailbox);
        add_number(out, item->of.ticket.id_hash);
        add_number(out, item->of.ticket.recipients);
        add_number(out, item->of.ticket.until_ms);
        break;
    case TRANSFER_SUSPENSION: add_suspension(out, item); break;
    case TRANSFER_OFFENCE:
        add_string(out, item->of.offence.mailbox);
        add_number(out, item->of.offence.cause);
        add_number(out, item->of.offence.id);
        add_number(out, item->of.offence.since_ms);
        break;
    case TRANSFER_ADJUSTMENT: add_adjustment(out, item); break;
    case TRANSFER_AUDIT: add_audit(out, item); break;
    case TRANSFER_KEPT:
        add_number(out, item->of.kept.kind);
        add_string(out, item->of.kept.kept.key);
        add_string(out, item->of.kept.kept.value);
        add_number(out, item->of.kept.kept.until_ms);
        break;
    case TRANSFER_SENDER:
        add_number(out, item->of.sender.of);
        add_string(out, item->of.sender.key);
        add_string(out, item->of.sender.mailbox);
        add_number(out, item->of.sender.at_ms);
        break;
    case TRANSFER_NEAR:
        add_number(out, item->of.near.rule);
        add_string(out, item->of.near.key);
        add_number(out, item->of.near.at_ms);
        break;
    case TRANSFER_COUNTER:
        add_string(out, item->of.counter.name);
        add_number(out, (int64_t)item->of.counter.value);
        break;
    case TRANSFER_KIND_COUNT: break;
    }
}

/* A sum, since databases have their own order. */
static void add_to_report(struct transfer_report *report, const struct transfer_item *item)
{
    freed_by(text_free) struct text bytes = {0};
    uint64_t hash[4];
    add_item(&bytes, item);
    crypto_generichash((unsigned char *)hash, sizeof hash, (const unsigned char *)bytes.data,
                       bytes.length, NULL, 0);
    report->of[item->kind].items++;
    for (size_t i = 0; i < countof(hash); i++)
        report->of[item->kind].digest[i] += hash[i];
}

/* ---- moving ------------------------------------------------------------------------------- */

/* A database under way. */
struct side {
    const char *url;
    struct backend *backend;
};

static void end_side(struct side *side)
{
    if (side->backend != NULL)
        side->backend->operations->free(side->backend);
}

struct moving {
    struct side from, to;
    int64_t now_ms;
    transfer_progress *progress;
    void *context;
    struct problem *problem;
};

static int fail(struct moving *moving, const struct side *side)
{
    problem_set(moving->problem, 0, "", "%s", side->backend->error);
    return -1;
}

/* Goes through all items of a kind; `to` NULL: only to see what is there. */
static int go_through(struct moving *moving, const struct side *from, const struct side *to,
                      enum transfer_kind kind, struct transfer_report *report)
{
    struct transfer_cursor cursor = {.end = false};
    while (!cursor.end) {
        freed_by(arena_free) struct arena *arena = arena_new();
        struct transfer_item *items = arena_alloc(arena, TRANSFER_PAGE * sizeof *items);
        size_t count = 0;
        if (from->backend->operations->transfer->read(from->backend, arena, kind, moving->now_ms,
                                                      &cursor, items, &count) < 0)
            return fail(moving, from);
        if (to != NULL && count > 0 &&
            to->backend->operations->transfer->write(to->backend, items, count, moving->now_ms) < 0)
            return fail(moving, to);
        for (size_t i = 0; i < count; i++)
            add_to_report(report, &items[i]);
        if (moving->progress != NULL)
            moving->progress(moving->context, kind, report->of[kind].items);
    }
    return 1;
}

static int open_side(struct moving *moving, struct side *side, bool may_make, int timeout_ms)
{
    freed_by(store_url_free) struct store_url where = {0};
    bool made;
    if (!backend_read_url(side->url, &where, moving->problem))
        return 0;
    side->backend = backend_new(&where, timeout_ms, may_make);
    int answer = side->backend->operations->examine(side->backend, &made);
    if (answer > 0)
        answer = side->backend->operations->transfer->alone(side->backend);
    if (answer < 1)
        fail(moving, side);
    return answer;
}

static int check_empty(struct moving *moving)
{
    struct transfer_report report = {0};
    for (int kind = TRANSFER_HISTORY; kind < TRANSFER_KIND_COUNT; kind++)
        if (go_through(moving, &moving->to, NULL, (enum transfer_kind)kind, &report) < 0)
            return -1;
        else if (report.of[kind].items > 0)
            return problem_set(moving->problem, 0, "", "%s has %s already: expected an empty store",
                               moving->to.url, transfer_kind_names[kind]);
    return 1;
}

static int compare(struct moving *moving, const struct transfer_report *from,
                   const struct transfer_report *to)
{
    for (int kind = 0; kind < TRANSFER_KIND_COUNT; kind++)
        if (memcmp(&from->of[kind], &to->of[kind], sizeof from->of[kind]) != 0)
            return problem_set(moving->problem, 0, "",
                               "the stores differ in their %s: %llu and %llu, which are not the same",
                               transfer_kind_names[kind], (unsigned long long)from->of[kind].items,
                               (unsigned long long)to->of[kind].items);
    return 1;
}

static int move(struct moving *moving, int timeout_ms, struct transfer_report *from_r,
                struct transfer_report *to_r)
{
    int answer = open_side(moving, &moving->from, false, timeout_ms);
    if (answer > 0)
        answer = open_side(moving, &moving->to, true, timeout_ms);
    if (answer > 0)
        answer = check_empty(moving);
    for (int kind = 0; kind < TRANSFER_KIND_COUNT && answer > 0; kind++)
        answer = go_through(moving, &moving->from, &moving->to, (enum transfer_kind)kind, from_r);
    for (int kind = 0; kind < TRANSFER_KIND_COUNT && answer > 0; kind++)
        answer = go_through(moving, &moving->to, NULL, (enum transfer_kind)kind, to_r);
    return answer > 0 ? compare(moving, from_r, to_r) : answer;
}

int transfer_all(const char *from_url, const char *to_url, int timeout_ms, int64_t now_ms,
                 transfer_progress *progress, void *context, struct transfer_report *from_r,
                 struct transfer_report *to_r, struct problem *problem)
{
    struct moving moving = {{.url = from_url}, {.url = to_url}, now_ms, progress, context, problem};
    *from_r = *to_r = (struct transfer_report){0};
    int answer = move(&moving, timeout_ms, from_r, to_r);
    end_side(&moving.from);
    end_side(&moving.to);
    return answer;
}
