#include "feedback/reports.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/decision.h"
#include "base/log.h"
#include "guard/complaint_step.h"
#include "guard/keyed_hash.h"
#include "guard/message_search.h"
#include "guard/packing.h"
#include "guard/reference.h"
#include "mail/reply.h"
#include "message/address.h"
#include "rules/window.h"

/* Of a report that nobody can be held to, so many messages are looked for at most. */
enum { TRACES_LOOKED_AT = 4 };

struct reports {
    struct store *store;
    struct guard *guard;
    struct recorder *recorder;
    const struct token_key *key;
    struct keyed_hash_keys hash_keys;
    struct arena *arena; /* of one report */
    struct log_once store_away;
};

/* One report under way. */
struct reporting {
    struct reports *reports;
    const struct settings *settings;
    struct report report;
    struct message_search search;
    /* who sends it; NULL: not known */
    const char *reporter;
    bool of_loop;
    /* what it is about; mailbox NULL: not known */
    const char *mailbox, *queue_id;
    uint64_t decision;
    int64_t admitted_ms;
    uint32_t recipients;
    const char *from; /* the author that the original names, in key form; NULL */
};

struct reports *reports_new(struct store *store, struct guard *guard, const struct token_key *key,
                            struct recorder *recorder)
{
    struct reports *reports = xcalloc(1, sizeof *reports);
    reports->store = store;
    reports->guard = guard;
    reports->recorder = recorder;
    reports->key = key;
    reports->hash_keys.key = key;
    reports->arena = arena_new();
    return reports;
}

void reports_free(struct reports **reports)
{
    if (*reports == NULL)
        return;
    keyed_hash_forget(&(*reports)->hash_keys);
    arena_free(&(*reports)->arena);
    free(*reports);
    *reports = NULL;
}

/* ---- who sends it ---------------------------------------------------------------------------- */

static bool is_within(const char *domain, const char *parent)
{
    size_t length = strlen(domain), parent_length = strlen(parent);
    return length >= parent_length && strcmp(domain + length - parent_length, parent) == 0 &&
           (length == parent_length || domain[length - parent_length - 1] == '.');
}

/* The loop of the settings that the report comes from; NULL: none. */
static const char *loop_of(const struct reporting *reporting)
{
    const struct text_list *loops = &reporting->settings->complaints_loops;
    const char *sender = reporting->report.sender;
    for (size_t i = 0; i < loops->count; i++) {
        const char *loop = loops->items[i], *sign = strrchr(loop, '@');
        if (sign != NULL && (sender == NULL || strcmp(sender, loop) != 0))
            continue;
        for (size_t k = 0; k < reporting->report.domain_count; k++)
            if (sign == NULL ? is_within(reporting->report.domains[k], loop)
                             : strcmp(reporting->report.domains[k], sign + 1) == 0)
                return loop;
    }
    return NULL;
}

/* About as it was registered: who has one domain has all names below it. */
static const char *registered(const struct reporting *reporting, const char *domain)
{
    char site[REPLY_SITE_SIZE];
    size_t length = reply_site((struct mail_view){domain, strlen(domain)}, (struct mail_view){0},
                               site);
    return length > 0 ? arena_strndup(reporting->reports->arena, site, length) : domain;
}

static void find_reporter(struct reporting *reporting)
{
    const char *loop = loop_of(reporting);
    reporting->of_loop = loop != NULL;
    if (loop != NULL)
        reporting->reporter = loop;
    else if (reporting->report.domain_count > 0)
        reporting->reporter = registered(reporting, reporting->report.domains[0]);
}

/* ---- what it is about ------------------------------------------------------------------------ */

static void take_trace(struct reporting *reporting, const char *mailbox,
                       const struct trace_message *message)
{
    reporting->mailbox = mailbox;
    reporting->queue_id = arena_strdup(reporting->reports->arena, message->queue_id);
    reporting->decision = message->decision;
    reporting->admitted_ms = decision_time(message->decision);
    reporting->recipients = message->expected;
}

static int take_record(struct reporting *reporting, const char *queue_id,
                       const struct record *record)
{
    struct packed_identity identity;
    if (!packing_identity(reporting->reports->arena, record, &identity))
        return 0;
    reporting->mailbox = identity.mailbox;
    reporting->queue_id = queue_id;
    reporting->decision = record->decision;
    reporting->admitted_ms = record->at_ms;
    return 1;
}

/* By our own header: the first that has our seal. The seal says enough; what the store has of the
 * message adds its decision. 1, 0, -1. */
static int find_by_reference(struct reporting *reporting)
{
    const struct report_original *original = &reporting->report.original;
    struct arena *arena = reporting->reports->arena;
    struct reference reference;
    struct trace_message message;
    size_t place = 0;
    while (place < original->reference_count &&
           !reference_read(reporting->reports->key, arena, original->references[place], &reference))
        place++;
    if (place == original->reference_count)
        return 0;
    reporting->mailbox = reference.mailbox;
    reporting->queue_id = reference.queue_id;
    reporting->admitted_ms = reference.at_ms;
    int found = message_search_trace(&reporting->search, reference.mailbox, reference.queue_id,
                                     reference.at_ms, &message);
    if (found > 0)
        take_trace(reporting, reference.mailbox, &message);
    return found < 0 ? -1 : 1;
}

/* A long queue id says when; a short one could be of any day, and of any server. 1, 0, -1. */
static int find_by_queue_id(struct reporting *reporting, const char *queue_id)
{
    struct trace_message message;
    struct kept_open open;
    struct record record;
    int64_t began_us;
    int found = 0;
    if (!queue_id_time(queue_id, strlen(queue_id), &began_us))
        return 0;
    if (reporting->from != NULL)
        found = message_search_trace(&reporting->search, reporting->from, queue_id,
                                     began_us / 1000, &message);
    if (found > 0)
        take_trace(reporting, reporting->from, &message);
    if (found != 0)
        return found;
    found = message_search_open(&reporting->search, queue_id, &open);
    if (found > 0) {
        reporting->mailbox = open.mailbox;
        reporting->queue_id = queue_id;
        reporting->decision = open.decision;
        reporting->admitted_ms = decision_time(open.decision);
    }
    if (found != 0 || reporting->reporter == NULL) /* the records are a long look */
        return found;
    found = message_search_record(&reporting->search, queue_id, began_us / 1000, &record);
    return found > 0 ? take_record(reporting, queue_id, &record) : found;
}

static int find_by_traces(struct reporting *reporting)
{
    const struct report_original *original = &reporting->report.original;
    int found = 0;
    for (size_t i = 0; i < original->trace_count && i < TRACES_LOOKED_AT && found == 0; i++)
        found = find_by_queue_id(reporting, original->traces[i].id);
    return found;
}

static int find_by_message_id(struct reporting *reporting)
{
    const char *id = reporting->report.original.message_id;
    struct trace_message message;
    if (id == NULL || reporting->from == NULL)
        return 0;
    int found = message_search_message_id(
        &reporting->search, reporting->from,
        keyed_hash_message_id(&reporting->reports->hash_keys, id, strlen(id)), &message);
    if (found > 0)
        take_trace(reporting, reporting->from, &message);
    return found;
}

/* 1, 0, -1. */
static int find_message(struct reporting *reporting)
{
    struct arena *arena = reporting->reports->arena;
    const char *from = reporting->report.original.from;
    struct address address;
    struct delivery_sources sources;
    if (delivery_sources(reporting->search.store, arena, reporting->search.now_ms, &sources) < 0)
        return -1;
    reporting->search.sources = &sources;
    if (from != NULL && address_normalise(from, strlen(from), &address) == NULL)
        reporting->from = arena_strndup(arena, address.text, address.length);
    int found = find_by_reference(reporting);
    if (found == 0)
        found = find_by_traces(reporting);
    return found == 0 ? find_by_message_id(reporting) : found;
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static uint64_t hash_of(const char *message, size_t length)
{
    unsigned char bytes[crypto_generichash_BYTES_MIN];
    uint64_t id;
    crypto_generichash(bytes, sizeof bytes, (const unsigned char *)message, length, NULL, 0);
    memcpy(&id, bytes, sizeof id);
    return id != 0 ? id : 1;
}

static uint64_t reporter_hash(const struct reporting *reporting)
{
    return reporting->reporter != NULL
               ? keyed_hash_reporter(&reporting->reports->hash_keys, reporting->reporter)
               : 0;
}

/* A loop may tell of several recipients at once, and of no more than there were. */
static uint32_t incidents_of(const struct reporting *reporting)
{
    uint32_t most = reporting->of_loop && reporting->recipients > 0 ? reporting->recipients : 1;
    most = most < COMPLAINT_INCIDENTS_MAX ? most : COMPLAINT_INCIDENTS_MAX;
    return reporting->report.incidents < most ? reporting->report.incidents : most;
}

/* 1 or -1. */
static int find_exempt(struct reporting *reporting, bool *exempt_r)
{
    const char *sign = strrchr(reporting->mailbox, '@');
    struct effective_limits limits;
    if (guard_limits(reporting->reports->guard, CHANNEL_SMTP, reporting->mailbox,
                     sign != NULL ? sign + 1 : "", reporting->search.now_ms, &limits) < 0)
        return -1;
    *exempt_r = limits.exempt;
    return 1;
}

/* 1 and *result_r, or -1. */
static int complain(struct reporting *reporting, enum report_result *result_r)
{
    struct complaint complaint = {
        .message = complaint_step_message(reporting->queue_id),
        .reporter = reporter_hash(reporting),
        .decision = reporting->decision,
        .admitted_ms = reporting->admitted_ms,
        .at_ms = reporting->search.now_ms,
        .incidents = incidents_of(reporting),
        .source = reporting->of_loop ? COMPLAINT_OF_LOOP : COMPLAINT_OF_DOMAIN,
        .type = (uint8_t)reporting->report.type,
    };
    struct complaint_step step = {.mailbox = reporting->mailbox, .complaint = &complaint,
                                  .withdraws = reporting->report.type == REPORT_NOT_SPAM};
    enum complaint_made made;
    if (find_exempt(reporting, &step.exempt) < 0 ||
        complaint_step_make(reporting->search.store, reporting->settings, &step,
                            reporting->search.now_ms, &made) < 1)
        return -1;
    *result_r = made == COMPLAINT_MADE_NOTHING ? REPORT_WAS_KNOWN
                : step.withdraws               ? REPORT_WITHDREW
                : made == COMPLAINT_MADE_CHANGE ? REPORT_TAKEN
                                                : REPORT_SUSPENDED;
    return 1;
}

/* The queue id that staff may look for: the first that could be one of ours. */
static const char *some_queue_id(const struct reporting *reporting)
{
    const struct report_original *original = &reporting->report.original;
    int64_t time_us;
    for (size_t i = 0; i < original->trace_count; i++)
        if (queue_id_time(original->traces[i].id, strlen(original->traces[i].id), &time_us))
            return original->traces[i].id;
    return "";
}

/* Of the author that the original names, where it is one of this installation. */
static const char *own_domain(const struct reporting *reporting)
{
    const char *sign = reporting->from != NULL ? strrchr(reporting->from, '@') : NULL;
    return sign != NULL && settings_hosted_domain(reporting->settings, sign + 1) ? sign + 1 : "";
}

/* 1 and *result_r, or -1. */
static int wait_for_staff(struct reporting *reporting, uint64_t id, enum report_result *result_r)
{
    bool known = reporting->mailbox != NULL;
    struct waiting_report report = {
        .id = id,
        .at_ms = reporting->search.now_ms,
        .type = reporting->report.type,
        .of_loop = reporting->of_loop,
        .reporter = reporter_hash(reporting),
        .mailbox = known ? reporting->mailbox : "",
        .queue_id = known ? reporting->queue_id : some_queue_id(reporting),
        .domain = known ? "" : own_domain(reporting),
        .admitted_ms = reporting->admitted_ms,
        .decision = reporting->decision,
    };
    struct complaint_step step = {.waits = &report};
    enum complaint_made made;
    if (complaint_step_make(reporting->search.store, reporting->settings, &step,
                            reporting->search.now_ms, &made) < 1)
        return -1;
    *result_r = made == COMPLAINT_MADE_NOTHING ? REPORT_WAS_KNOWN : REPORT_WAITS;
    return 1;
}

/* ---- one report ------------------------------------------------------------------------------ */

/* What complaints about it may have led to is forgotten, so the same ones would lead there again. */
static bool is_too_old(const struct reporting *reporting)
{
    return !window_holds(reporting->admitted_ms, COMPLAINTS_KEPT_MS, reporting->search.now_ms);
}

static int take_report(struct reporting *reporting, uint64_t id, enum report_result *result_r)
{
    if (reporting->report.type == REPORT_AUTH_FAILURE) {
        *result_r = REPORT_IS_NO_COMPLAINT;
        return 1;
    }
    find_reporter(reporting);
    int found = find_message(reporting);
    if (found < 0)
        return -1;
    if (found > 0 && is_too_old(reporting)) {
        *result_r = REPORT_IS_NO_COMPLAINT;
        return 1;
    }
    if (found > 0 && reporting->reporter != NULL)
        return complain(reporting, result_r);
    if (reporting->report.type == REPORT_NOT_SPAM) { /* there is nothing that it takes back */
        *result_r = REPORT_IS_NO_COMPLAINT;
        return 1;
    }
    return wait_for_staff(reporting, id, result_r);
}

/* Whose message: that is a mailbox here. Nothing else of it is told. */
static void tell(struct reporting *reporting, enum report_result result)
{
    char decision[DECISION_TEXT_SIZE] = "";
    if (reporting->decision != 0)
        decision_format(reporting->decision, decision);
    if (reporting->reports->recorder != NULL)
        recorder_reported(reporting->reports->recorder, result);
    log_line(result == REPORT_SUSPENDED ? LOG_WARNING_LEVEL : LOG_INFO_LEVEL, "report", "result",
             report_result_names[result], "mailbox", reporting->mailbox, "decision",
             decision[0] != '\0' ? decision : NULL, "loop",
             reporting->of_loop ? reporting->reporter : NULL, NULL);
}

int reports_take(struct reports *reports, const char *message, size_t length, int64_t now_ms)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(reports->guard);
    const struct settings *settings = snapshot_settings(snapshot);
    struct reporting reporting = {
        .reports = reports, .settings = settings,
        .search = {.store = reports->store, .arena = reports->arena, .now_ms = now_ms}};
    const char *id = settings->complaints_authserv_id;
    enum report_result result = REPORT_IS_NONE;
    int answer = 1;
    switch (report_read(reports->arena, message, length, id[0] != '\0' ? id : NULL,
                        REFERENCE_HEADER, &reporting.report)) {
    case REPORT_READ:
    case REPORT_NO_MESSAGE:
        answer = take_report(&reporting, hash_of(message, length), &result);
        break;
    case REPORT_TOO_MUCH:
        result = REPORT_IS_TOO_MUCH;
        break;
    case REPORT_NONE:
        break;
    }
    if (answer > 0)
        tell(&reporting, result);
    if (log_changed(&reports->store_away, answer < 0))
        log_line(answer < 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 answer < 0 ? "store does not answer: reports wait in the mail server's queue"
                            : "store answers again",
                 "error", answer < 0 ? store_error(reports->store) : NULL, NULL);
    arena_reset(reports->arena);
    return answer;
}

int reports_keep(void *context, const char *message, size_t length)
{
    return reports_take(context, message, length, clock_wall_ms());
}
