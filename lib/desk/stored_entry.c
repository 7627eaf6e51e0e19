#include "desk/stored_entry.h"

#include <inttypes.h>
#include <string.h>

#include "base/decision.h"
#include "desk/delivered.h"
#include "desk/recorded.h"
#include "guard/delivery.h"
#include "guard/login_values.h"
#include "mail/kept_open.h"
#include "mail/known_recipients.h"
#include "mail/waiting_reports.h"
#include "rules/complaints.h"
#include "rules/failure_in_force.h"
#include "rules/held.h"
#include "rules/profile.h"
#include "store/lifetimes.h"
#include "store/packed_entry.h"
#include "store/packed_pair.h"
#include "store/packed_record.h"

/* The document has days as other views have them. */
static void add_day(struct json_object *object, const char *name, int64_t day)
{
    if (day != 0)
        json_add_moment(object, name, day * DAY_MS);
}

static void add_hash(const struct context *context, struct json_object *object, const char *name,
                     uint64_t hash)
{
    json_add_string(object, name, arena_printf(context->arena, "%016" PRIx64, hash));
}

static struct json_object *add_one(struct json_object *list)
{
    struct json_object *one = json_object_new_object();
    json_object_array_add(list, one);
    return one;
}

/* ---- what is counted and decided --------------------------------------------------------- */

static void add_history(const struct transfer_item *item, struct json_object *entry)
{
    char key[HISTORY_NAME_SIZE];
    const struct counted *counted = item->of.history.counted;
    enum channel channel = history_channel(SUBJECT_MAILBOX, item->of.history.name, key);
    json_add_string(entry, "channel", channel_names[channel]);
    json_add_moment(entry, "until", item->of.history.newest_ms + DAY_MS);
    struct json_object *list = json_add_list(entry, "messages");
    for (size_t i = 0; i < item->of.history.count; i++) {
        struct json_object *one = add_one(list);
        json_add_moment(one, "at", counted[i].entry.time_ms);
        json_add_int(one, "off_domain", counted[i].entry.off_domain);
    }
}

static void add_record(const struct context *context, const struct transfer_item *item,
                       struct json_object *entry)
{
    struct record record = {0};
    int64_t until_ms;
    const char *names;
    if (!packed_record_get(context->arena, item->of.record.bytes, item->of.record.length, &record,
                           &until_ms, &names))
        return;
    record.decision = item->of.record.decision;
    freed_by(recorded_end) struct recorded recorded = recorded_of(context, &record);
    json_add_decision(entry, "decision", record.decision);
    json_add_moment(entry, "at", record.at_ms);
    json_add_moment(entry, "until", until_ms);
    json_add_string(entry, "verdict", recorded_verdict(&recorded));
    json_add(entry, "message", stored_own_tree(recorded.facts));
}

static void add_suspension(const struct transfer_item *item, struct json_object *entry)
{
    const struct suspension *suspension = &item->of.suspension.suspension;
    json_add_string(entry, "cause", cause_names[suspension->cause]);
    json_add_moment(entry, "since", suspension->since_ms);
    json_add_moment(entry, "until", suspension->until_ms);
    json_add_int(entry, "attempts", suspension->attempts);
    json_add_int(entry, "offence", suspension->offence);
    json_add_string(entry, "note", suspension->note);
}

static void add_adjustment(const struct transfer_item *item, struct json_object *entry)
{
    const struct adjustment *adjustment = &item->of.adjustment;
    json_add_string(entry, "change", adjust_kind_names[adjustment->kind]);
    json_add_string(entry, "rule", adjust_kind_has_rule(adjustment->kind)
                                       ? rule_table[adjustment->rule].name
                                       : NULL);
    if (adjustment->kind == ADJUST_PLAN)
        json_add_string(entry, "plan", adjustment->plan);
    else
        json_add_int(entry, "value", adjustment->value);
    json_add_moment(entry, "until", adjustment->until_ms);
}

/* ---- what others keep -------------------------------------------------------------------- */

/* Of a text that several mailboxes are in what is about this one. */
static void add_tree(const struct stored_match *match, const char *name, const char *text, bool own,
                     struct json_object *entry)
{
    freed_by(json_put) struct json_object *tree = json_read(text);
    json_add(entry, name, own ? stored_own_tree(tree) : stored_match_tree(match, tree));
}

static void add_audit(const struct stored_match *match, const struct transfer_item *item,
                      struct json_object *entry)
{
    const struct audit *audit = &item->of.audit;
    bool own = strcmp(audit->subject, match->mailbox) == 0;
    json_add_int(entry, "number", audit->number);
    json_add_moment(entry, "at", audit->at_ms);
    json_add_string(entry, "action", audit->action);
    own = own || stored_match_text(match, audit->note);
    json_add_string(entry, "note", own ? audit->note : NULL);
    add_tree(match, "detail", audit->detail, own, entry);
}

/* What of staff accounts is a secret is left out. */
static void add_kept(const struct stored_match *match, const struct transfer_item *item,
                     struct json_object *entry)
{
    const struct kept *kept = &item->of.kept.kept;
    json_add_moment(entry, "until", kept->until_ms);
    if (item->of.kept.kind == KEPT_LOOKED || item->of.kept.kind == KEPT_APPROVAL)
        add_tree(match, "kept", kept->value, false, entry);
}

/* ---- packed values ----------------------------------------------------------------------- */

/* Packed into `entry`: false, when it has another form. */
typedef bool add_packed(const struct context *context, const struct value *value,
                        struct json_object *entry);

static bool add_trace(const struct context *context, const struct value *value,
                      struct json_object *entry)
{
    struct trace_message *messages;
    size_t count;
    if (!trace_read(context->arena, strtoll(value->key, NULL, 10), value->bytes, value->length,
                    &messages, &count))
        return false;
    struct json_object *list = json_add_list(entry, "messages");
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = add_one(list);
        json_add_decision(one, "decision", messages[i].decision);
        json_add_string(one, "queue_id", messages[i].queue_id);
        struct json_object *recipients = json_add_list(one, "recipients");
        for (size_t k = 0; k < messages[i].recipient_count; k++) {
            const struct trace_recipient *recipient = &messages[i].recipients[k];
            struct json_object *to = add_one(recipients);
            add_hash(context, to, "hash", recipient->hash);
            delivered_add_outcome(to, recipient, &(const struct replies){0});
        }
    }
    return true;
}

static bool add_known(const struct context *context, const struct value *value,
                      struct json_object *entry)
{
    struct known_recipients *known = arena_alloc(context->arena, sizeof *known);
    if (!known_recipients_read(value->bytes, value->length, known))
        return false;
    struct json_object *list = json_add_list(entry, "recipients");
    for (size_t i = 0; i < known->count; i++) {
        struct json_object *one = add_one(list);
        add_hash(context, one, "hash", known->of[i].hash);
        add_day(one, "written", known->of[i].written);
        add_day(one, "delivered", known->of[i].delivered);
    }
    return true;
}

static bool add_complaints(const struct context *context, const struct value *value,
                           struct json_object *entry)
{
    struct complaints *complaints = arena_alloc(context->arena, sizeof *complaints);
    if (!complaints_read(value->bytes, value->length, complaints))
        return false;
    struct json_object *list = json_add_list(entry, "complaints");
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->of[i];
        struct json_object *one = add_one(list);
        json_add_moment(one, "at", complaint->at_ms);
        json_add_moment(one, "sent_at", complaint->admitted_ms);
        json_add_decision(one, "decision", complaint->decision);
        json_add_string(one, "source", complaint_source_names[complaint->source]);
        add_hash(context, one, "reporter_hash", complaint->reporter);
        json_add_bool(one, "withdrawn", complaint->withdrawn);
    }
    return true;
}

static bool add_profile(const struct context *context, const struct value *value,
                        struct json_object *entry)
{
    struct profile_usual usual;
    profile_usual(value->bytes, value->length, context->now_ms, &usual);
    if (usual.begin_ms == 0)
        return false;
    json_add_moment(entry, "since", usual.begin_ms);
    json_add_int(entry, "busiest_hour", usual.busiest);
    struct json_object *networks = json_add_list(entry, "networks");
    for (size_t i = 0; i < usual.network_count; i++) {
        struct json_object *one = add_one(networks);
        add_hash(context, one, "hash", usual.networks[i].hash);
        json_add_moment(one, "first_at", usual.networks[i].first_ms);
    }
    return true;
}

static bool add_held(const struct context *context, const struct value *value,
                     struct json_object *entry)
{
    struct held held;
    if (!held_get(context->arena, value->bytes, value->length, &held))
        return false;
    json_add_string(entry, "action", unusual_action_names[held.action]);
    json_add_moment(entry, "since", held.since_ms);
    json_add_moment(entry, "last_at", held.last_ms);
    json_add_int(entry, "count", held.count);
    struct json_object *list = json_add_list(entry, "messages");
    for (size_t i = 0; i < held.listed; i++) {
        struct json_object *one = add_one(list);
        json_add_decision(one, "decision", held.messages[i].decision);
        json_add_string(one, "queue_id", held.messages[i].queue_id);
        json_add_int(one, "recipients", held.messages[i].recipients);
    }
    return true;
}

static void add_network(struct json_object *one, const char *name, uint64_t network)
{
    char text[LOGIN_NETWORK_SIZE];
    login_network_text(network, text);
    json_add_string(one, name, network != 0 ? text : NULL);
}

static bool add_sign_ins(const struct context *context, const struct value *value,
                         struct json_object *entry)
{
    freed_by(login_mailbox_free) struct login_mailbox mailbox = {0};
    (void)context;
    if (login_mailbox_read(value->bytes, value->length, &mailbox) == 0)
        return false;
    struct json_object *list = json_add_list(entry, "signed_in");
    for (size_t i = 0; i < mailbox.known.count; i++) {
        struct json_object *one = add_one(list);
        add_network(one, "network", mailbox.known.of[i].other);
        json_add_string(one, "protocol", login_protocol_names[mailbox.known.of[i].protocol]);
        json_add_moment(one, "last_at", mailbox.known.of[i].last_ms);
    }
    list = json_add_list(entry, "wrong_tries");
    for (size_t i = 0; i < mailbox.tries.count; i++) {
        struct login_try try = login_tries_at(&mailbox.tries, i);
        struct json_object *one = add_one(list);
        add_network(one, "network", try.other);
        json_add_moment(one, "at", try.at_ms);
    }
    list = json_add_list(entry, "passwords");
    for (size_t i = 0; i < mailbox.password_count; i++) {
        struct json_object *one = add_one(list);
        json_add_moment(one, "since", mailbox.passwords[i].since_ms);
        json_add_moment(one, "last_right_at", mailbox.passwords[i].right_ms);
        json_add_int(one, "number_of_12_bits", mailbox.passwords[i].fingerprint);
        add_network(one, "tried_from", mailbox.passwords[i].tried_network);
    }
    json_add_string(entry, "lock", login_lock_phase_names[mailbox.lock.phase]);
    json_add_moment(entry, "lock_since", mailbox.lock.since_ms);
    json_add_moment(entry, "last_offence", mailbox.lock.offence_ms);
    return true;
}

static bool add_open(const struct context *context, const struct value *value,
                     struct json_object *entry)
{
    struct kept_open open;
    const char *queue_id = strchr(value->key, '/');
    if (!kept_open_read(context->arena, value->bytes, value->length, &open))
        return false;
    json_add_string(entry, "queue_id", queue_id != NULL ? queue_id + 1 : value->key);
    json_add_decision(entry, "decision", open.decision);
    json_add_moment(entry, "seen_at", open.seen_ms);
    return true;
}

static bool add_block(const struct context *context, const struct value *value,
                      struct json_object *entry)
{
    struct failure_in_force block;
    (void)context;
    if (!failure_in_force_read(value->bytes, value->length, &block))
        return false;
    json_add_moment(entry, "since", block.from_ms);
    json_add_moment(entry, "until", block.until_ms);
    json_add_int(entry, "failed", block.bad);
    json_add_int(entry, "all", block.all);
    return true;
}

static add_packed *const packed[VALUE_KIND_COUNT] = {
    [VALUE_OPEN] = add_open,         [VALUE_TRACE] = add_trace,
    [VALUE_KNOWN] = add_known,       [VALUE_BLOCK] = add_block,
    [VALUE_COMPLAINTS] = add_complaints, [VALUE_LOGINS] = add_sign_ins,
    [VALUE_PROFILE] = add_profile,   [VALUE_HELD] = add_held,
};

/* Reports are kept together. */
static void add_reports(const struct stored_match *match, const struct value *value,
                        struct json_object *entry)
{
    struct waiting_reports reports;
    struct json_object *list = json_add_list(entry, "reports");
    if (!waiting_reports_read(match->context->arena, value->bytes, value->length, &reports))
        return;
    for (size_t i = 0; i < reports.count; i++) {
        if (strcmp(reports.of[i].mailbox, match->mailbox) != 0)
            continue;
        struct json_object *one = add_one(list);
        json_add_moment(one, "at", reports.of[i].at_ms);
        json_add_string(one, "type", report_type_names[reports.of[i].type]);
        json_add_string(one, "queue_id", reports.of[i].queue_id);
    }
}

/* Its key says whose it is: the whole of it is. */
static bool is_own(const struct stored_match *match, const struct value *value)
{
    return value->kind != VALUE_LOGIN_NETWORK && stored_match_text(match, value->key);
}

static void add_value(const struct context *context, const struct stored_match *match,
                      const struct value *value, struct json_object *entry)
{
    const char *bytes = value->bytes;
    bool own = is_own(match, value);
    json_add_moment(entry, "until", value->until_ms);
    if (packed[value->kind] != NULL && packed[value->kind](context, value, entry))
        return;
    if (value->kind == VALUE_REPORT) {
        add_reports(match, value, entry);
    } else if (bytes[0] == '{' || bytes[0] == '[') {
        add_tree(match, "kept", bytes, own, entry);
    } else if (own) {
        json_add_string(entry, "key", value->key);
        freed_by(text_free) struct text hex = {0};
        for (size_t i = 0; i < value->length; i++)
            text_addf(&hex, "%02x", (unsigned)(unsigned char)bytes[i]);
        json_add_string(entry, "bytes", text_string(&hex));
    }
}

/* ---- an item ----------------------------------------------------------------------------- */

const struct stored_kind *stored_kind_of(const struct transfer_item *item)
{
    return item->kind == TRANSFER_KEPT    ? &stored_kept[item->of.kept.kind]
           : item->kind == TRANSFER_VALUE ? &stored_values[item->of.value.kind]
                                          : &stored_items[item->kind];
}

static void add_pair(const struct context *context, const struct transfer_item *item,
                     struct json_object *entry)
{
    add_hash(context, entry, "recipient_hash", item->of.pair.recipient);
    json_add_int(entry, "messages", (int64_t)(item->of.pair.length / PAIR_BYTES));
}

static void add_rest(const struct transfer_item *item, struct json_object *entry)
{
    if (item->kind == TRANSFER_TICKET) {
        json_add_int(entry, "recipients", item->of.ticket.recipients & ~(uint32_t)TICKET_WAITS);
        json_add_moment(entry, "until", item->of.ticket.until_ms);
    } else if (item->kind == TRANSFER_OFFENCE) {
        json_add_string(entry, "cause", cause_names[item->of.offence.cause]);
        json_add_moment(entry, "since", item->of.offence.since_ms);
        json_add_moment(entry, "until", item->of.offence.since_ms + OFFENCES_REMEMBERED_MS);
    } else if (item->kind == TRANSFER_SENDER) {
        json_add_string(entry, item->of.sender.of == SENDERS_OF_IP ? "ip" : "domain",
                        item->of.sender.key);
        json_add_moment(entry, "last_at", item->of.sender.at_ms);
        json_add_moment(entry, "until", item->of.sender.at_ms + SEEN_KEPT_MS);
    } else if (item->kind == TRANSFER_NEAR) {
        json_add_string(entry, "rule", rule_table[item->of.near.rule].name);
        json_add_moment(entry, "at", item->of.near.at_ms);
    }
}

struct json_object *stored_entry(const struct context *context, const struct stored_match *match,
                                 const struct transfer_item *item)
{
    struct json_object *entry = json_object_new_object();
    json_add_string(entry, "kind", stored_kind_of(item)->name);
    json_add_null(entry, "until");
    switch (item->kind) {
    case TRANSFER_HISTORY: add_history(item, entry); break;
    case TRANSFER_RECORD: add_record(context, item, entry); break;
    case TRANSFER_PAIR: add_pair(context, item, entry); break;
    case TRANSFER_SUSPENSION: add_suspension(item, entry); break;
    case TRANSFER_ADJUSTMENT: add_adjustment(item, entry); break;
    case TRANSFER_AUDIT: add_audit(match, item, entry); break;
    case TRANSFER_KEPT: add_kept(match, item, entry); break;
    case TRANSFER_VALUE: add_value(context, match, &item->of.value, entry); break;
    default: add_rest(item, entry); break;
    }
    return entry;
}
