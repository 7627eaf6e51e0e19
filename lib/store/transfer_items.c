#include "store/transfer_items.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/text.h"
#include "store/lifetimes.h"
#include "store/packed_pair.h"
#include "store/packed_record.h"

const char *const transfer_kind_names[TRANSFER_KIND_COUNT] = {
    [TRANSFER_HASH_KEY] = "keys of hashes",
    [TRANSFER_NUMBER] = "last numbers",
    [TRANSFER_HISTORY] = "histories",
    [TRANSFER_RECORD] = "decisions",
    [TRANSFER_TICKET] = "tickets",
    [TRANSFER_PAIR] = "recipients of mailboxes",
    [TRANSFER_SUSPENSION] = "suspensions",
    [TRANSFER_OFFENCE] = "offences",
    [TRANSFER_ADJUSTMENT] = "adjustments",
    [TRANSFER_AUDIT] = "entries of the audit log",
    [TRANSFER_KEPT] = "accounts, sessions and terms",
    [TRANSFER_VALUE] = "versioned values",
    [TRANSFER_SENDER] = "senders",
    [TRANSFER_NEAR] = "windows near a limit",
    [TRANSFER_COUNTER] = "counters",
};

/* ---- reading by the store's operations ---------------------------------------------------- */

/* Where a list goes on: behind a number or a name, of kept also of which kind. */
struct list_place {
    int64_t number;
    int kind;
    char name[KEPT_KEY_MAX + 1];
};

static void set_name(struct list_place *place, const char *name)
{
    snprintf(place->name, sizeof place->name, "%s", name);
}

static int read_adjustments(struct backend *backend, struct arena *arena, int64_t now_ms,
                            struct transfer_cursor *cursor, struct transfer_item *items_r,
                            size_t *count_r)
{
    struct list_place *place = cursor->state;
    struct store_page page = {.max = TRANSFER_PAGE};
    struct adjustment *list = arena_alloc(arena, TRANSFER_PAGE * sizeof *list);
    if (backend->operations->adjustments->adjustments(backend, place->number, list, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        place->number = list[i].change;
        if (list[i].removed || list[i].until_ms <= now_ms)
            continue;
        if (list[i].rule == RULE_COUNT)
            return backend_fail(backend, "an adjustment of %s has a rule that this version does "
                                         "not know", list[i].subject);
        items_r[(*count_r)++].of.adjustment = list[i];
    }
    cursor->end = !page.more;
    return 1;
}

static int read_audit(struct backend *backend, struct arena *arena,
                      struct transfer_cursor *cursor, struct transfer_item *items_r,
                      size_t *count_r)
{
    struct list_place *place = cursor->state;
    struct store_page page = {.max = TRANSFER_PAGE};
    struct audit *list = arena_alloc(arena, TRANSFER_PAGE * sizeof *list);
    if (backend->operations->audit->audit(backend, place->number, list, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        place->number = list[i].number;
        items_r[(*count_r)++].of.audit = list[i];
    }
    cursor->end = !page.more;
    return 1;
}

/* One kind after the other. */
static int read_kept(struct backend *backend, struct arena *arena, int64_t now_ms,
                     struct transfer_cursor *cursor, struct transfer_item *items_r,
                     size_t *count_r)
{
    struct list_place *place = cursor->state;
    struct store_page page = {.max = TRANSFER_PAGE};
    struct kept *list = arena_alloc(arena, TRANSFER_PAGE * sizeof *list);
    enum kept_kind kind = (enum kept_kind)place->kind;
    if (backend->operations->kept->list(backend, arena, kind, place->name, now_ms, list, &page) <
        0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        items_r[*count_r].of.kept.kind = kind;
        items_r[(*count_r)++].of.kept.kept = list[i];
        set_name(place, list[i].key);
    }
    if (!page.more) {
        place->kind++;
        set_name(place, "");
    }
    cursor->end = place->kind == KEPT_KIND_COUNT;
    return 1;
}

/* They are listed at once, and given page by page. Redis keeps no more of them. */
enum { NEAR_MOST = 10000 };
struct nears {
    size_t count, given;
    struct near_limit of[NEAR_MOST];
};

static int read_near(struct backend *backend, int64_t now_ms, struct transfer_cursor *cursor,
                     struct transfer_item *items_r, size_t *count_r)
{
    struct nears *nears = cursor->state;
    if (nears == NULL) {
        struct store_page page = {.max = NEAR_MOST};
        cursor->state = nears = arena_alloc(cursor->arena, sizeof *nears);
        if (backend->operations->observations->near(backend, now_ms, nears->of, &page) < 0)
            return -1;
        nears->count = page.count;
    }
    while (nears->given < nears->count && *count_r < TRANSFER_PAGE)
        items_r[(*count_r)++].of.near = nears->of[nears->given++];
    cursor->end = nears->given == nears->count;
    return 1;
}

static int read_counters(struct backend *backend, struct arena *arena,
                         struct transfer_cursor *cursor, struct transfer_item *items_r,
                         size_t *count_r)
{
    struct list_place *place = cursor->state;
    struct store_page page = {.max = TRANSFER_PAGE};
    struct counter *list = arena_alloc(arena, TRANSFER_PAGE * sizeof *list);
    if (backend->operations->observations->counters(backend, place->name, list, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        items_r[(*count_r)++].of.counter = list[i];
        set_name(place, list[i].name);
    }
    cursor->end = !page.more;
    return 1;
}

static int read_listed(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                       int64_t now_ms, struct transfer_cursor *cursor,
                       struct transfer_item *items_r, size_t *count_r)
{
    if (kind == TRANSFER_NEAR)
        return read_near(backend, now_ms, cursor, items_r, count_r);
    if (cursor->state == NULL)
        cursor->state = arena_alloc(cursor->arena, sizeof(struct list_place));
    return kind == TRANSFER_ADJUSTMENT
               ? read_adjustments(backend, arena, now_ms, cursor, items_r, count_r)
           : kind == TRANSFER_AUDIT ? read_audit(backend, arena, cursor, items_r, count_r)
           : kind == TRANSFER_KEPT  ? read_kept(backend, arena, now_ms, cursor, items_r, count_r)
                                    : read_counters(backend, arena, cursor, items_r, count_r);
}

/* ---- what holds --------------------------------------------------------------------------- */

/* What has left the longest span goes. What a wrong clock stamped stays as it is: the database
 * that has it then takes it as of now, as the other one would. False: nothing of it is left. */
static bool settle_history(struct transfer_item *item, int64_t now_ms)
{
    int64_t longest_ms = rule_longest_ms(item->of.history.subject), at_ms = now_ms;
    int64_t newest_ms = item->of.history.newest_ms;
    struct counted *counted = item->of.history.counted;
    size_t left = 0;
    if (newest_ms > now_ms && newest_ms <= now_ms + CLOCK_AHEAD_MS)
        at_ms = newest_ms;
    for (size_t i = 0; i < item->of.history.count; i++)
        if (window_holds(counted[i].entry.time_ms, longest_ms, at_ms))
            counted[left++] = counted[i];
    item->of.history.count = left;
    return window_holds(newest_ms, longest_ms, now_ms);
}

/* What has left the window goes. False: nothing of it is left. */
static bool settle_pair(struct transfer_item *item, int64_t now_ms)
{
    size_t past = packed_pair_past(item->of.pair.bytes, item->of.pair.length, now_ms);
    item->of.pair.bytes += past;
    item->of.pair.length -= past;
    return item->of.pair.length > 0;
}

/* A message that counts can be refunded, for which its record is needed. */
static bool record_holds(const struct transfer_item *item, int64_t now_ms)
{
    int64_t until_ms, known_ms = decision_time(item->of.record.decision) + COUNTED_KNOWN_MS;
    if (!packed_record_until(item->of.record.bytes, item->of.record.length, &until_ms))
        return false;
    if (item->of.record.mailbox == NULL && until_ms < known_ms)
        until_ms = known_ms;
    return until_ms > now_ms;
}

/* A count that a rule looked at: of the totals of its subject and span. */
static void set_total(struct record_totals totals[RECORD_SUBJECTS], enum rule rule, uint64_t used)
{
    size_t number = packed_record_count(rule);
    enum subject subject = rule_table[rule].subject;
    if (subject == SUBJECT_RECIPIENT)
        totals[subject].count = 1;
    size_t span = number / 2 - packed_record_spans_before(subject);
    if (number % 2 == 0)
        totals[subject].of[span].messages = used;
    else
        totals[subject].of[span].off_domain = used;
}

void transfer_items_pack(struct arena *arena, const struct record *record, int64_t keep_ms,
                         struct transfer_item *item_r)
{
    freed_by(text_free) struct text out = {0};
    struct record_totals totals[RECORD_SUBJECTS] = {{0}};
    struct judge_request request = {
        .keep_refused_ms = keep_ms, .keep_admitted_ms = keep_ms,
        .facts = {record->facts, record->facts_length, record->facts_length}};
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        totals[subject].count = rule_spans((enum subject)subject).count;
    for (size_t i = 0; i < record->window_count; i++) {
        set_total(totals, record->windows[i].rule, record->windows[i].used_before);
        request.windows[request.window_count++].rule = record->windows[i].rule;
    }
    packed_record_put(&out, &request, record->outcome, record->at_ms, totals, NULL, NULL);
    item_r->of.record.decision = record->decision;
    item_r->of.record.bytes = (uint8_t *)arena_strndup(arena, out.data, out.length);
    item_r->of.record.length = out.length;
}

int transfer_items_read(struct backend *backend, struct arena *arena, enum transfer_kind kind,
                        int64_t now_ms, struct transfer_cursor *cursor,
                        struct transfer_item *items_r, size_t *count_r)
{
    bool listed = kind == TRANSFER_ADJUSTMENT || kind == TRANSFER_AUDIT || kind == TRANSFER_KEPT ||
                  kind == TRANSFER_NEAR || kind == TRANSFER_COUNTER;
    size_t count = 0;
    *count_r = 0;
    int answer = (listed ? read_listed : backend->operations->transfer->read)(
        backend, arena, kind, now_ms, cursor, items_r, &count);
    for (size_t i = 0; i < count; i++) {
        items_r[i].kind = kind;
        if ((kind != TRANSFER_HISTORY || settle_history(&items_r[i], now_ms)) &&
            (kind != TRANSFER_PAIR || settle_pair(&items_r[i], now_ms)) &&
            (kind != TRANSFER_RECORD || record_holds(&items_r[i], now_ms)))
            items_r[(*count_r)++] = items_r[i];
    }
    return answer;
}

/* ---- writing by the store's operations ---------------------------------------------------- */

static int write_kept(struct backend *backend, const struct transfer_item *items, size_t count,
                      int64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        if (backend->operations->kept->keep(backend, items[i].of.kept.kind,
                                            &items[i].of.kept.kept, KEEP_ANY, "", now_ms,
                                            NULL) < 0)
            return -1;
    return 1;
}

/* The domain of a mailbox that sent from an IP saw it as late as that, or later: by an item of its
 * own. */
static struct observed_sender observed_of(const struct transfer_item *item)
{
    const char *at = strrchr(item->of.sender.mailbox, '@');
    bool of_ip = item->of.sender.of == SENDERS_OF_IP;
    return (struct observed_sender){
        .mailbox = item->of.sender.mailbox,
        .domain = !of_ip ? item->of.sender.key : at != NULL ? at + 1 : "",
        .ip = of_ip ? item->of.sender.key : NULL,
        .at_ms = item->of.sender.at_ms,
    };
}

static int write_observed(struct backend *backend, const struct transfer_item *items, size_t count,
                          int64_t now_ms)
{
    struct observed_sender senders[TRANSFER_PAGE];
    struct near_limit nears[TRANSFER_PAGE];
    struct counter counters[TRANSFER_PAGE];
    struct observations seen = {.senders = senders, .nears = nears, .counters = counters};
    for (size_t i = 0; i < count; i++)
        if (items[i].kind == TRANSFER_SENDER)
            senders[seen.sender_count++] = observed_of(&items[i]);
        else if (items[i].kind == TRANSFER_NEAR)
            nears[seen.near_count++] = items[i].of.near;
        else
            counters[seen.counter_count++] = items[i].of.counter;
    return backend->operations->observations->observe(backend, &seen, now_ms);
}

int transfer_items_write(struct backend *backend, const struct transfer_item *items, size_t count,
                         int64_t now_ms)
{
    enum transfer_kind kind = items[0].kind;
    if (kind == TRANSFER_KEPT)
        return write_kept(backend, items, count, now_ms);
    if (kind == TRANSFER_SENDER || kind == TRANSFER_NEAR || kind == TRANSFER_COUNTER)
        return write_observed(backend, items, count, now_ms);
    return backend->operations->transfer->write(backend, items, count, now_ms);
}

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
    const char *mailbox = item->of.record.mailbox;
    add_number(out, (int64_t)item->of.record.decision);
    add_number(out, mailbox != NULL);
    add_string(out, mailbox != NULL ? mailbox : "");
    text_add_bytes(out, (const char *)item->of.record.bytes, item->of.record.length);
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
                   TRANSFER_ATTEMPT_BYTES * item->of.suspension.tried_count);
}

static void add_adjustment(struct text *out, const struct transfer_item *item)
{
    const struct adjustment *adjustment = &item->of.adjustment;
    add_string(out, adjustment->subject);
    add_number(out, adjustment->rule);
    add_number(out, adjustment->kind);
    add_number(out, adjustment->value);
    add_string(out, adjustment->plan);
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
    case TRANSFER_NUMBER:
        add_number(out, item->of.number.of);
        add_number(out, item->of.number.last);
        break;
    case TRANSFER_HISTORY: add_history(out, item); break;
    case TRANSFER_RECORD: add_record(out, item); break;
    case TRANSFER_TICKET:
        add_string(out, item->of.ticket.mailbox);
        add_number(out, item->of.ticket.id_hash);
        add_number(out, item->of.ticket.recipients);
        add_number(out, item->of.ticket.until_ms);
        break;
    case TRANSFER_PAIR:
        add_string(out, item->of.pair.mailbox);
        add_number(out, (int64_t)item->of.pair.recipient);
        text_add_bytes(out, (const char *)item->of.pair.bytes, item->of.pair.length);
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
    case TRANSFER_VALUE:
        add_number(out, item->of.value.kind);
        add_string(out, item->of.value.key);
        add_number(out, item->of.value.version);
        add_number(out, item->of.value.until_ms);
        text_add_bytes(out, item->of.value.bytes, item->of.value.length);
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
void transfer_items_add(struct transfer_report *report, const struct transfer_item *item)
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
