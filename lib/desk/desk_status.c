/* What a user may see of his own mailbox, and his own lock. */
#include <string.h>

#include "base/json.h"
#include "desk/desk_appeal.h"
#include "desk/context.h"
#include "desk/desk_complaints.h"
#include "desk/desk_held.h"
#include "desk/desk_lock.h"
#include "desk/desk_parked.h"
#include "desk/desk_unpause.h"
#include "desk/forecast.h"
#include "desk/input.h"
#include "desk/recorded.h"
#include "desk/view.h"
#include "guard/keyed_hash.h"
#include "guard/sending_state.h"
#include "message/address.h"
#include "rules/profile.h"
#include "store/kept.h"
#include "store/values.h"

enum {
    MESSAGES_SHOWN = 50,
    RECORDS_PAGE = 100, RECORDS_PAGES = 5, /* read to find the records of those messages */
    LOCK_NOTES_PER_DAY = 3, /* of a mailbox that is locked already */
};

/* ---- the messages that fill the windows ---------------------------------------------- */

/* What tells the user's own messages from others': where the page is read, and since when the
 * mailbox's networks are known. */
struct connections {
    const char *here; /* key form; NULL: not known */
    struct keyed_hash_keys keys;
    struct value profile; /* length 0: there is none */
};

/* 1 or -1. */
static int find_connections(const struct context *context, const char *mailbox,
                            const char *reader_ip, struct connections *connections_r)
{
    struct problem unimportant;
    *connections_r = (struct connections){.keys.key = context->desk->key};
    if (!input_ip(context, reader_ip, "ip", &connections_r->here, &unimportant))
        connections_r->here = NULL;
    if (context->desk->key == NULL)
        return 1;
    int found = store_value(context->desk->store, context->arena, VALUE_PROFILE, mailbox,
                            context->now_ms, &connections_r->profile);
    if (found == 0)
        connections_r->profile.length = 0;
    return found < 0 ? -1 : 1;
}

static void add_connection(const struct context *context, struct connections *connections,
                           const char *ip, struct json_object *view)
{
    int64_t first_ms = 0;
    if (ip == NULL || connections->here == NULL)
        return;
    if (strcmp(ip, connections->here) == 0) {
        json_add_string(view, "connection", "here");
        return;
    }
    if (connections->profile.length > 0)
        first_ms = profile_network_first_ms(connections->profile.bytes,
                                            connections->profile.length,
                                            keyed_hash_profiled_network(&connections->keys, ip));
    bool is_new = first_ms != 0 && window_holds(first_ms, DAY_MS, context->now_ms);
    if (is_new)
        json_add_moment(view, "network_first_at", first_ms);
    json_add_string(view, "connection", is_new ? "new" : "other");
}

/* The history's entry from which on a record is looked for, the newest first. */
struct search {
    const struct history *history;
    size_t left; /* entries that are not passed yet: [0, left) */
    size_t stop; /* of which those below are not shown */
    struct json_object **shown;
    struct connections connections;
};

static struct json_object *json_of_entry(const struct entry *entry)
{
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "at", entry->time_ms);
    json_add_int(view, "off_domain", entry->off_domain);
    json_add_null(view, "recipients");
    json_add_null(view, "channel");
    json_add_null(view, "network");
    json_add_null(view, "network_first_at");
    json_add_null(view, "connection");
    json_add_null(view, "id");
    json_add_null(view, "decision");
    return view;
}

/* An admitted record and an entry of its moment and weight are of one message. */
static void match(const struct context *context, struct search *search, const struct record *record,
                  bool *taken)
{
    freed_by(recorded_end) struct recorded recorded = recorded_of(context, record);
    if (strcmp(json_string(recorded.facts, "channel", ""), channel_names[CHANNEL_FORWARDING]) == 0)
        return; /* it stands in another history */
    while (search->left > search->stop &&
           search->history->entries[search->left - 1].time_ms > record->at_ms)
        search->left--;
    for (size_t i = search->left; i > search->stop; i--) {
        const struct entry *entry = &search->history->entries[i - 1];
        struct json_object *view = search->shown[i - 1 - search->stop];
        if (entry->time_ms != record->at_ms)
            return;
        if (taken[i - 1 - search->stop] ||
            entry->off_domain != recorded_cost(&recorded, RULE_OFF_DOMAIN_PER_DAY))
            continue;
        taken[i - 1 - search->stop] = true;
        json_add_int(view, "recipients", json_int(recorded.facts, "recipients", 0));
        json_add_string(view, "channel", json_string(recorded.facts, "channel", NULL));
        json_add_string(view, "network",
                        view_network(context->arena, json_string(recorded.facts, "ip", NULL)));
        add_connection(context, &search->connections, json_string(recorded.facts, "ip", NULL), view);
        json_add_decision(view, "decision", record->decision);
        json_add_string(view, "id", json_string(recorded.facts, "id", NULL));
        return;
    }
}

/* Goes through the mailbox's records as far back as the messages shown. 1 or -1. */
static int find_records(const struct context *context, const char *mailbox, struct search *search)
{
    struct record records[RECORDS_PAGE];
    bool taken[MESSAGES_SHOWN] = {false};
    uint64_t before = UINT64_MAX;
    struct store_page page = {.max = RECORDS_PAGE, .more = true};
    for (int pages = 0; pages < RECORDS_PAGES && page.more; pages++) {
        if (store_decisions(context->desk->store, context->arena, mailbox, before, context->now_ms,
                            records, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            if (records[i].outcome == OUTCOME_ADMITTED)
                match(context, search, &records[i], taken);
        if (page.count == 0 ||
            records[page.count - 1].at_ms < search->history->entries[search->stop].time_ms)
            break;
        before = records[page.count - 1].decision;
    }
    return 1;
}

static int add_messages(const struct context *context, const struct forecast *forecast,
                        const char *reader_ip, struct json_object *view)
{
    struct history history = forecast->account.history;
    while (history.count > 0 &&
           !window_holds(history.entries[0].time_ms, DAY_MS, forecast->at_ms)) {
        history.entries++;
        history.count--;
    }
    size_t shown = history.count < MESSAGES_SHOWN ? history.count : MESSAGES_SHOWN;
    struct json_object *messages[MESSAGES_SHOWN];
    struct search search = {.history = &history, .left = history.count,
                            .stop = history.count - shown, .shown = messages};
    for (size_t i = 0; i < shown; i++)
        messages[i] = json_of_entry(&history.entries[search.stop + i]);
    struct json_object *list = json_add_list(view, "messages");
    for (size_t i = shown; i > 0; i--)
        json_object_array_add(list, messages[i - 1]);
    json_add_int(view, "messages_total", (int64_t)history.count);
    json_add_int(view, "more_messages", (int64_t)(history.count - shown));
    if (shown == 0)
        return 1;
    int result = find_connections(context, forecast->mailbox, reader_ip, &search.connections);
    if (result > 0)
        result = find_records(context, forecast->mailbox, &search);
    keyed_hash_forget(&search.connections.keys);
    return result;
}

/* ---- the refusal that led here --------------------------------------------------------- */

/* *message_r: the decision as "message", NULL when there is none of this mailbox. 1 or -1. */
static int read_message(const struct context *context, const char *mailbox, uint64_t decision,
                        struct json_object **message_r)
{
    struct record record;
    *message_r = NULL;
    int found = decision != 0 ? store_record(context->desk->store, context->arena, decision,
                                             context->now_ms, &record)
                              : 0;
    if (found < 1)
        return found < 0 ? -1 : 1;
    freed_by(recorded_end) struct recorded recorded = recorded_of(context, &record);
    if (strcmp(json_string(recorded.facts, "mailbox", ""), mailbox) != 0)
        return 1;
    struct json_object *view = json_object_new_object();
    json_add_decision(view, "decision", decision);
    json_add_moment(view, "at", record.at_ms);
    json_add_string(view, "verdict", recorded_verdict(&recorded));
    json_add_int(view, "recipients", json_int(recorded.facts, "recipients", 0));
    json_add_int(view, "off_domain", json_int(recorded.facts, "off_domain", 0));
    json_add(view, "reasons", recorded_reasons(&recorded));
    json_add_string(view, "channel", json_string(recorded.facts, "channel", NULL));
    if (recorded_over(&recorded, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)) /* for add_network alone */
        json_add_string(view, "network_ip", json_string(recorded.facts, "ip", NULL));
    *message_r = view;
    return 1;
}

static struct sending_reasons reasons_of(struct json_object *message)
{
    struct json_object *list = json_member(message, "reasons");
    struct sending_reasons reasons = {0};
    for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
        struct json_object *reason = json_object_array_get_idx(list, i);
        sending_state_add_reason(&reasons, (enum rule)rule_named(json_string(reason, "rule", "")),
                                 json_is_true(reason, "never_fits"), json_int(reason, "limit", 0));
    }
    return reasons;
}

/* "admitted" is for this page alone, which is opened later than the message was decided on. */
static const char *headline(const struct forecast *forecast, enum can_send can_send,
                            bool sender_blocked, struct json_object *message)
{
    const struct suspension *suspension = &forecast->account.suspensions.of[0];
    if (suspension->id == 0 && (forecast->block.subject != NULL || sender_blocked))
        return forecast->block.subject != NULL ? "blocked" : "sender_blocked";
    const char *verdict = json_string(message, "verdict", "");
    const struct sending_reasons reasons = reasons_of(message);
    enum verdict_kind kind = strcmp(verdict, "message") == 0     ? VERDICT_MESSAGE
                             : strcmp(verdict, "identity") == 0  ? VERDICT_IDENTITY
                             : strcmp(verdict, "over_time") == 0 ? VERDICT_OVER_TIME
                             : strcmp(verdict, "unusual") == 0   ? VERDICT_UNUSUAL
                                                                 : VERDICT_ADMIT;
    const char *state = sending_state(suspension, can_send, kind, &reasons);
    return strcmp(state, "ok") == 0 && strcmp(verdict, "admitted") == 0 ? "admitted" : state;
}

/* Whether who writes from there is blocked: 1 and in the provider's words why (NULL: an SPF record
 * brought it); 0; -1. */
static int find_sender_blocked(const struct context *context, const struct forecast *forecast,
                               const char *mailbox, const char *reader_ip,
                               const char **sentence_r)
{
    struct submission submission;
    struct problem unimportant;
    *sentence_r = NULL;
    if (context->settings->guard_mode == MODE_OBSERVE || forecast->limits[CHANNEL_WEBMAIL].exempt)
        return 0; /* it refuses nothing of his */
    submission_init(&submission, context->arena, CHANNEL_WEBMAIL);
    if (submission_set_mailbox(&submission, mailbox, strlen(mailbox), &unimportant) < 1)
        return 0;
    if (reader_ip == NULL ||
        submission_set_ip(&submission, reader_ip, strlen(reader_ip), &unimportant) < 1)
        submission.ip = NULL;
    return guard_sender_blocked(context->desk->guard, &submission, context->now_ms, sentence_r);
}

/* ---- the view ----------------------------------------------------------------------------- */

/* A mail address can be linked to; a URL or a sentence that names one is only shown. */
static bool is_mail_address(const char *contact)
{
    return strchr(contact, '@') != NULL && strpbrk(contact, " :/<>?&\"'") == NULL;
}

void desk_add_contact(struct json_object *view, const char *contact)
{
    json_add_string(view, "contact", contact[0] != '\0' ? contact : NULL);
    json_add_bool(view, "contact_is_mail", is_mail_address(contact));
}

/* A lock would change nothing: it is locked for this very cause. */
static bool is_locked(const struct suspensions *suspensions)
{
    return suspension_find(suspensions, CAUSE_COMPROMISED) != NULL;
}

static void add_budget(const struct forecast *forecast, struct json_object *view)
{
    const struct effective_limits *limits = &forecast->limits[CHANNEL_WEBMAIL];
    struct json_object *windows = json_add_list(view, "windows");
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        if (rule_table[rule].subject != SUBJECT_IP && limits->limits.of[rule] != LIMIT_OFF)
            json_object_array_add(windows, view_window((enum rule)rule, CHANNEL_WEBMAIL,
                                                       limits->limits.of[rule],
                                                       forecast_history_of(forecast,
                                                                           (enum rule)rule,
                                                                           CHANNEL_WEBMAIL),
                                                       forecast->at_ms));
    json_add_bool(view, "exempt", limits->exempt);
    json_add_string(view, "plan",
                    limits->plan.name[0] != '\0' && !limits->plan.is_lost ? limits->plan.name
                                                                          : NULL);
}

/* The network whose window is shown: where the message came from that met its limit, else where the
 * page is read, which is where the webmail sends from. *channel_r: whose history. */
static const char *network_to_show(const struct context *context, const struct forecast *forecast,
                                   struct json_object *message, const char *reader_ip,
                                   enum channel *channel_r)
{
    const char *met = json_string(message, "network_ip", NULL), *ip;
    struct problem problem;
    *channel_r = CHANNEL_WEBMAIL;
    if (met != NULL && strcmp(json_string(message, "channel", ""),
                              channel_names[CHANNEL_SMTP]) == 0)
        *channel_r = CHANNEL_SMTP;
    bool off = forecast->limits[*channel_r].limits.of[RULE_OFF_DOMAIN_PER_HOUR_PER_IP] == LIMIT_OFF;
    return !off && input_ip(context, met != NULL ? met : reader_ip, "ip", &ip,
                            &problem) ? ip : NULL;
}

/* Adds the window of a network, which its other users fill too: how much, never who. It changes what
 * can be sent, and from when. 1 or -1. */
static int add_network(const struct context *context, const struct forecast *forecast,
                       struct json_object *message, const char *reader_ip, struct next *next,
                       struct json_object *view)
{
    const enum rule rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP;
    const struct rule_info *info = &rule_table[rule];
    enum channel channel;
    char room[HISTORY_NAME_SIZE];
    const char *ip = network_to_show(context, forecast, message, reader_ip, &channel);
    const char *name = ip != NULL ? history_name(SUBJECT_IP, channel, ip, room) : NULL;
    struct history history;
    if (name == NULL)
        return 1;
    if (store_history(context->desk->store, context->arena, SUBJECT_IP, name, context->now_ms,
                      &history) < 0)
        return -1;
    int32_t limit = forecast->limits[channel].limits.of[rule];
    struct json_object *window = view_window(rule, channel, limit, &history, context->now_ms);
    json_add_bool(window, "by_network", true);
    json_object_array_add(json_member(view, "windows"), window);
    if (!json_is_true(window, "full") || channel != CHANNEL_WEBMAIL ||
        context->settings->guard_mode == MODE_OBSERVE || next->can_send == CAN_SEND_NONE)
        return 1;
    int64_t fits_ms = window_when_fits(&history, info->measure, info->window_ms, limit, 1,
                                       context->now_ms);
    bool never = fits_ms == WINDOW_NEVER ||
                 (next->can_send == CAN_SEND_OWN && next->room_at_ms == 0);
    next->can_send = sending_state_when_full(rule);
    next->room_at_ms = never ? 0 : fits_ms > next->room_at_ms ? fits_ms : next->room_at_ms;
    return 1;
}

int desk_status(const struct desk *desk, const char *mailbox, uint64_t decision,
                const char *reader_ip, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *message = NULL, *view = json_object_new_object();
    struct json_object *block, *complaints;
    struct forecast forecast;
    const char *sender_sentence;
    if (forecast_read(&context, mailbox, address_domain(mailbox), &forecast) < 0 ||
        read_message(&context, mailbox, decision, &message) < 0)
        return -1;
    int sender_blocked = find_sender_blocked(&context, &forecast, mailbox, reader_ip,
                                             &sender_sentence);
    if (sender_blocked < 0)
        return -1;
    if (context.settings->guard_mode == MODE_OBSERVE) /* it refuses nothing of his */
        forecast.block = (struct failing_block){0};
    struct next next = forecast_next(&context, &forecast);
    if (sender_blocked)
        next.can_send = CAN_SEND_NONE;
    json_add_string(view, "sender_sentence", sender_sentence);
    const char *contact = context.settings->support_contact;
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", mailbox);
    json_add_string(view, "state", state_names[next.state]);
    view_add_suspensions(&context, &forecast.account.suspensions, false, view);
    if (desk_complaints_own(&context, mailbox, &complaints) < 0)
        return -1;
    json_add(view, "complaints", complaints);
    if (failing_own_view(&context, mailbox, &forecast.block, &block) < 0)
        return -1;
    json_add(view, "block", block);
    add_budget(&forecast, view);
    if (add_network(&context, &forecast, message, reader_ip, &next, view) < 0)
        return -1;
    json_add_string(view, "headline", headline(&forecast, next.can_send, sender_blocked, message));
    json_add_string(view, "can_send", can_send_names[next.can_send]);
    json_add_moment(view, "retry_at", next.room_at_ms);
    json_add_bool(view, "to_split", reasons_of(message).to_split);
    if (desk_parked_add(&context, mailbox, view) < 0)
        return -1;
    if (message != NULL)
        json_object_object_del(message, "network_ip");
    json_add(view, "message", take(message));
    if (add_messages(&context, &forecast, reader_ip, view) < 0)
        return -1;
    desk_add_contact(view, contact);
    json_add_bool(view, "can_lock", !is_locked(&forecast.account.suspensions));
    if (desk_unpause_add(&context, mailbox, &forecast.account.suspensions, view) < 0 ||
        desk_appeal_add(&context, mailbox, &forecast.account.suspensions, false, view) < 0 ||
        desk_lock_add_own(&context, mailbox, &forecast.account.suspensions, view) < 0 ||
        desk_held_add_own(&context, mailbox, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

/* ---- "That wasn't me" ------------------------------------------------------------------- */

/* It is locked already. That the user says so as well is worth a note, but not any number. */
static int note_lock(const struct desk *desk, const char *mailbox, const struct action *action)
{
    freed_by(free_string) char *tries = xasprintf("lock:%s", mailbox);
    uint32_t count;
    int64_t free_at_ms;
    int allowed = store_try(desk->store, tries, action->now_ms, DAY_MS, LOCK_NOTES_PER_DAY, &count,
                            &free_at_ms);
    if (allowed < 1)
        return allowed < 0 ? -1 : 1;
    return store_write_audit(desk->store, &(struct audited){"note", mailbox, "{}", action});
}

int desk_lock(const struct desk *desk, const char *mailbox, int64_t now_ms,
              struct json_object **view_r)
{
    const struct action action = {now_ms, "user", "The user says on the status page: that wasn't me."};
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct account account;
    struct suspension suspension;
    if (store_account(desk->store, context.arena, mailbox, now_ms, &account) < 0)
        return -1;
    int result = is_locked(&account.suspensions)
                     ? note_lock(desk, mailbox, &action)
                     : store_suspend(desk->store, mailbox, CAUSE_COMPROMISED,
                                     &context.settings->durations[CAUSE_COMPROMISED], &action,
                                     &suspension);
    return result < 0 ? -1 : desk_status(desk, mailbox, 0, NULL, now_ms, view_r);
}
