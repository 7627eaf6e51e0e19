#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "store/observations.h"
#include "store/store.h"
#include "store/suspensions.h"
#include "web/web.h"

/* For monitoring: counters as the store keeps them, summed over all channels and
 * machines, in the Prometheus text format 0.0.4. Every series is there from the
 * start, with 0, so that a rule over it never meets an absent one; those of a log
 * from when it is first followed. Mailboxes are no labels: they would be many, and are nobody's business here. */

enum {
    MAX_COUNTERS = 4096,
    COUNTERS_AT_ONCE = 256,
    SUSPENDED_AT_ONCE = 200,
};
#define MEMORY_MS SECOND_MS

struct counters {
    struct counter *list;
    size_t count;
};

/* ---- reading ------------------------------------------------------------------------------ */

static int read_counters(struct store *store, struct arena *arena, struct counters *counters_r)
{
    struct counters all = {
        .list = arena_alloc(arena, MAX_COUNTERS * sizeof *all.list)};
    struct store_page page = {.max = COUNTERS_AT_ONCE};
    do {
        const char *after = all.count > 0 ? all.list[all.count - 1].name : "";
        if (store_counters(store, after, all.list + all.count, &page) < 1)
            return -1;
        all.count += page.count;
    } while (page.more && all.count + COUNTERS_AT_ONCE <= MAX_COUNTERS);
    *counters_r = all;
    return 1;
}

static uint64_t value_of(const struct counters *counters, const struct counter_row *row,
                         size_t number)
{
    char name[COUNTER_NAME_SIZE];
    counters_name(row, number, name);
    for (size_t i = 0; i < counters->count; i++)
        if (strcmp(counters->list[i].name, name) == 0)
            return counters->list[i].value;
    return 0;
}

/* The values of the table's rows, as far as the store has them. */
static void take_counts(const struct counters *counters, struct counts *counts_r)
{
    for (size_t i = 0; i < COUNTER_ROWS; i++) {
        const struct counter_row *row = &counters_table[i];
        for (size_t number = 0; number < counters_values(row); number++)
            counters_of(counts_r, row)[number] = value_of(counters, row, number);
    }
}

static int count_suspended(struct store *store, int64_t now_ms, struct metrics_memory *memory)
{
    struct suspended *found = xcalloc(SUSPENDED_AT_ONCE, sizeof *found);
    char after[sizeof found->mailbox] = "";
    struct store_page page = {.max = SUSPENDED_AT_ONCE, .more = true};
    int answer = 1;
    while (page.more && (answer = store_suspended(store, after, now_ms, found, &page)) > 0) {
        for (size_t i = 0; i < page.count; i++)
            for (size_t k = 0; k < found[i].suspensions.count; k++)
                memory->suspended[found[i].suspensions.of[k].cause]++;
        if (page.more)
            memcpy(after, found[page.count - 1].mailbox, sizeof after);
    }
    free(found);
    return answer;
}

static void count_near(struct json_object *list, struct metrics_memory *memory)
{
    size_t count = list != NULL ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *near = json_object_array_get_idx(list, i);
        int rule = rule_by_name(json_string(near, "rule", ""));
        int64_t used = json_int(near, "used", 0), limit = json_int(near, "limit", 0);
        if (rule < RULE_FIRST_OVER_TIME || used < 0 || limit <= 0)
            continue;
        uint64_t milli = (uint64_t)used * 1000 / (uint64_t)limit;
        size_t index = (size_t)(rule - RULE_FIRST_OVER_TIME);
        memory->near[index]++;
        if (milli > memory->busiest_milli[index])
            memory->busiest_milli[index] = milli;
    }
}

static int count_expensive(const struct desk *desk, int64_t now_ms, struct metrics_memory *memory)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (count_suspended(desk->store, now_ms, memory) < 1 || desk_near(desk, now_ms, &view) < 1)
        return -1;
    count_near(json_member(view, "near"), memory);
    count_near(json_member(view, "ips"), memory);
    count_near(json_member(view, "domains"), memory);
    return 1;
}

/* *memory_r is a copy. A request that comes while another counts waits for its result. */
static int read_gauges(struct web *web, int64_t now_ms, struct metrics_memory *memory_r)
{
    struct metrics_memory *memory = &web->metrics;
    int answer = 1;
    pthread_mutex_lock(&memory->lock);
    if (now_ms < memory->read_at_ms || now_ms - memory->read_at_ms >= MEMORY_MS) {
        struct metrics_memory fresh = {.read_at_ms = now_ms};
        answer = count_expensive(&web->desk, now_ms, &fresh);
        if (answer > 0) {
            memory->read_at_ms = now_ms;
            memcpy(memory->suspended, fresh.suspended, sizeof fresh.suspended);
            memcpy(memory->near, fresh.near, sizeof fresh.near);
            memcpy(memory->busiest_milli, fresh.busiest_milli, sizeof fresh.busiest_milli);
        }
    }
    memcpy(memory_r->suspended, memory->suspended, sizeof memory->suspended);
    memcpy(memory_r->near, memory->near, sizeof memory->near);
    memcpy(memory_r->busiest_milli, memory->busiest_milli, sizeof memory->busiest_milli);
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void add_family(struct text *out, const char *name, const char *type, const char *help)
{
    text_addf(out, "# HELP sendguard_%s %s\n# TYPE sendguard_%s %s\n", name, help, name, type);
}

static void add_counter(struct text *out, const struct counter_row *row, const uint64_t *values)
{
    char name[COUNTER_NAME_SIZE];
    snprintf(name, sizeof name, "%s_total", row->name);
    add_family(out, name, "counter", row->help);
    for (size_t number = 0; number < counters_values(row); number++) {
        text_addf(out, "sendguard_%s", name);
        for (size_t i = 0; i < COUNTER_LABELS_MAX && row->labels[i] != NULL; i++)
            text_addf(out, "%s%s=\"%s\"", i == 0 ? "{" : ",", row->labels[i]->name,
                      counters_label(row, number, i));
        text_addf(out, "%s %" PRIu64 "\n", row->labels[0] != NULL ? "}" : "", values[number]);
    }
}

static void add_micros(struct text *out, uint64_t micros)
{
    text_addf(out, "%" PRIu64 ".%06" PRIu64, micros / 1000000, micros % 1000000);
}

/* The sum is each channel's own, so that _count, the bucket of all, fits it. */
static void add_times(struct text *out, const struct counts *counts)
{
    add_family(out, "judge_seconds", "histogram", "Time that judging a message took.");
    for (size_t channel = 0; channel < CHANNEL_COUNT; channel++) {
        const char *name = channel_names[channel];
        uint64_t all = counts->judge_us_le[channel][JUDGE_BOUNDS];
        for (size_t i = 0; i < JUDGE_BOUNDS; i++) {
            text_addf(out, "sendguard_judge_seconds_bucket{channel=\"%s\",le=\"", name);
            add_micros(out, (uint64_t)counters_bounds_us[i]);
            text_addf(out, "\"} %" PRIu64 "\n", counts->judge_us_le[channel][i]);
        }
        text_addf(out, "sendguard_judge_seconds_bucket{channel=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
                  name, all);
        text_addf(out, "sendguard_judge_seconds_sum{channel=\"%s\"} ", name);
        add_micros(out, counts->judge_us_sum[channel]);
        text_addf(out, "\nsendguard_judge_seconds_count{channel=\"%s\"} %" PRIu64 "\n", name, all);
    }
}

static void add_counts(struct text *out, struct counts *counts)
{
    for (size_t i = 0; i < COUNTER_ROWS; i++)
        if (counters_table[i].help != NULL)
            add_counter(out, &counters_table[i], counters_of(counts, &counters_table[i]));
    add_times(out, counts);
}

static void add_gauges(struct text *out, const struct metrics_memory *memory)
{
    add_family(out, "suspended_mailboxes", "gauge", "Mailboxes suspended now, by cause.");
    for (size_t cause = 0; cause < CAUSE_COUNT; cause++)
        text_addf(out, "sendguard_suspended_mailboxes{cause=\"%s\"} %" PRIu32 "\n",
                  cause_names[cause], memory->suspended[cause]);
    add_family(out, "windows_near_limit", "gauge",
               "Windows of mailboxes and IPs filled to four fifths or more; 200 are looked at.");
    for (size_t i = 0; i < OVER_TIME_COUNT; i++)
        text_addf(out, "sendguard_windows_near_limit{rule=\"%s\"} %" PRIu32 "\n",
                  rule_table[RULE_FIRST_OVER_TIME + i].name, memory->near[i]);
    add_family(out, "busiest_window_ratio", "gauge",
               "The fullest of those windows as a part of its limit; 0 when there is none.");
    for (size_t i = 0; i < OVER_TIME_COUNT; i++)
        text_addf(out, "sendguard_busiest_window_ratio{rule=\"%s\"} %" PRIu64 ".%03" PRIu64 "\n",
                  rule_table[RULE_FIRST_OVER_TIME + i].name, memory->busiest_milli[i] / 1000,
                  memory->busiest_milli[i] % 1000);
}

/* Who waits longest is the first. */
static void add_appeals(struct text *out, struct json_object *view, int64_t now_ms)
{
    struct json_object *appeals = json_member(view, "appeals");
    int64_t since_ms = now_ms;
    if (json_object_array_length(appeals) > 0 &&
        zone_moment_read(json_string(json_object_array_get_idx(appeals, 0), "at", ""),
                                      &since_ms) < 1)
        since_ms = now_ms;
    add_family(out, "appeals_waiting", "gauge",
               "Appeals of users that nobody has answered.");
    text_addf(out, "sendguard_appeals_waiting %" PRId64 "\n",
              json_int(view, "appeals_waiting", 0));
    add_family(out, "appeals_waiting_seconds", "gauge",
               "For how long the oldest of them waits; 0 when there is none.");
    text_addf(out, "sendguard_appeals_waiting_seconds %" PRId64 "\n",
              since_ms < now_ms ? (now_ms - since_ms) / SECOND_MS : 0);
}

static void add_held(struct text *out, struct json_object *view, int64_t now_ms)
{
    int64_t since_ms = now_ms;
    if (zone_moment_read(json_string(view, "oldest_since", ""), &since_ms) < 1)
        since_ms = now_ms;
    add_family(out, "held_mailboxes", "gauge", "Mailboxes of which mail waits for the postmaster.");
    text_addf(out, "sendguard_held_mailboxes %" PRId64 "\n", json_int(view, "mailboxes", 0));
    add_family(out, "held_messages", "gauge", "Messages of theirs that wait.");
    text_addf(out, "sendguard_held_messages %" PRId64 "\n", json_int(view, "messages", 0));
    add_family(out, "held_seconds", "gauge",
               "For how long the oldest of them waits; 0 when there is none.");
    text_addf(out, "sendguard_held_seconds %" PRId64 "\n",
              since_ms < now_ms ? (now_ms - since_ms) / SECOND_MS : 0);
}

/* ---- feedback ---------------------------------------------------------------------------------- */

/* Of each log that is followed: a member of desk_feedback's sources. */
static const struct {
    const char *member, *name, *type, *help;
} feedback_rows[] = {
    {"lines", "feedback_lines_total", "counter", "Lines of the mail server's log that were read."},
    {"messages", "feedback_messages_total", "counter", "Admitted messages that the log named."},
    {"outcomes", "feedback_outcomes_total", "counter", "Attempts to deliver to a recipient."},
    {"refunds", "feedback_refunds_total", "counter",
     "Messages that the mail server refused after they were counted."},
    {"refunds_failed", "feedback_refunds_failed_total", "counter",
     "Of these, messages that still count, since what is kept of the mailbox is damaged."},
    {"gaps", "feedback_gaps_total", "counter",
     "Admitted messages of which the log had no line for a minute."},
    {"malformed", "feedback_malformed_total", "counter", "Lines that could not be read."},
    {"blocks", "feedback_blocks_total", "counter",
     "Blocks of domains, and of mailboxes, that began since their mail failed too often."},
    {"blocks_ended", "feedback_blocks_ended_total", "counter",
     "Of these, ended early by an outage of a destination."},
    {"outages", "feedback_outages_total", "counter", "Outages of destinations that were seen."},
    {"suspensions", "feedback_suspensions_total", "counter",
     "Mailboxes suspended since they made the third block of their domain in 7 days."},
    {"recipients_blocked", "feedback_recipients_blocked_total", "counter",
     "Recipients that Sendguard put on the block lists since mail to them kept failing."},
    {"recipients_opened", "feedback_recipients_opened_total", "counter",
     "Of these, taken off again since mail arrived, or for an outage of the destination."},
    {"open", "feedback_open", "gauge", "Messages in the mail server's queue."},
    {"lag_s", "feedback_lag_seconds", "gauge", "How far behind now the log was read."},
};

/* A label's value, quoted as the format says. */
static void add_label(struct text *out, const char *value)
{
    text_add_char(out, '"');
    for (; *value != '\0'; value++)
        if (*value == '\n')
            text_add(out, "\\n");
        else
            text_addf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    text_add_char(out, '"');
}

/* What is blocked for mail that failed, and the destinations with an outage. */
static void add_failing(struct text *out, struct json_object *feedback)
{
    struct json_object *blocked = json_member(feedback, "blocked");
    size_t count = json_object_array_length(blocked), domains = 0;
    for (size_t i = 0; i < count; i++)
        domains += json_string(json_object_array_get_idx(blocked, i), "subject", "")[0] == '@';
    add_family(out, "blocked_domains", "gauge", "Domains blocked now since their mail failed.");
    text_addf(out, "sendguard_blocked_domains %zu\n", domains);
    add_family(out, "blocked_mailboxes", "gauge",
               "Mailboxes blocked now in the place of their domain.");
    text_addf(out, "sendguard_blocked_mailboxes %zu\n", count - domains);
    add_family(out, "outages", "gauge", "Destinations of mail that have an outage now.");
    text_addf(out, "sendguard_outages %zu\n",
              json_object_array_length(json_member(feedback, "outages")));
}

static void add_feedback(struct text *out, struct json_object *sources)
{
    for (size_t i = 0; i < countof(feedback_rows); i++) {
        add_family(out, feedback_rows[i].name, feedback_rows[i].type, feedback_rows[i].help);
        for (size_t j = 0; j < json_object_array_length(sources); j++) {
            struct json_object *source = json_object_array_get_idx(sources, j);
            text_addf(out, "sendguard_%s{source=", feedback_rows[i].name);
            add_label(out, json_string(source, "source", ""));
            text_addf(out, "} %" PRId64 "\n", json_int(source, feedback_rows[i].member, 0));
        }
    }
}

/* ---- SPF ------------------------------------------------------------------------------------- */

/* Of each machine that looks at SPF records: a member of desk_spf's checkers. */
static void add_spf(struct text *out, struct json_object *checkers)
{
    static const char *const states[] = {"named", "not_named", "unknown"};
    add_family(out, "spf_dns_up", "gauge", "Whether the DNS answers about our own addresses.");
    for (size_t i = 0; i < json_object_array_length(checkers); i++) {
        struct json_object *checker = json_object_array_get_idx(checkers, i);
        text_add(out, "sendguard_spf_dns_up{host=");
        add_label(out, json_string(checker, "host", ""));
        text_addf(out, "} %d\n", json_is_true(checker, "dns"));
    }
    add_family(out, "spf_domains", "gauge",
               "Sender domains, by whether their SPF record lets all our addresses send.");
    for (size_t i = 0; i < json_object_array_length(checkers); i++) {
        struct json_object *checker = json_object_array_get_idx(checkers, i);
        for (size_t k = 0; k < countof(states); k++) {
            text_add(out, "sendguard_spf_domains{host=");
            add_label(out, json_string(checker, "host", ""));
            text_addf(out, ",state=\"%s\"} %" PRId64 "\n", states[k],
                      json_int(checker, states[k], 0));
        }
    }
}

/* Beside it: whose mail is refused. */
static void add_spf_blocked(struct text *out, struct json_object *checkers)
{
    add_family(out, "spf_blocked_domains", "gauge",
               "Sender domains whose mail is refused for their SPF record.");
    for (size_t i = 0; i < json_object_array_length(checkers); i++) {
        struct json_object *checker = json_object_array_get_idx(checkers, i);
        text_add(out, "sendguard_spf_blocked_domains{host=");
        add_label(out, json_string(checker, "host", ""));
        text_addf(out, "} %" PRId64 "\n", json_int(checker, "blocked", 0));
    }
}

/* A store that is away is no error of this page: it says so, and leaves out what it cannot know. */
static void metrics(struct exchange *exchange)
{
    struct text *out = &exchange->response->body;
    struct counters counters;
    struct counts counts = {0};
    struct metrics_memory memory = {0};
    freed_by(json_put) struct json_object *feedback = NULL, *spf = NULL, *appeals = NULL;
    freed_by(json_put) struct json_object *held = NULL;
    int up = read_counters(exchange->web->desk.store, exchange->request->arena, &counters);
    if (up > 0)
        up = read_gauges(exchange->web, exchange->now_ms, &memory);
    if (up > 0)
        up = desk_feedback(&exchange->web->desk, exchange->now_ms, &feedback);
    if (up > 0)
        up = desk_spf_checkers(&exchange->web->desk, exchange->now_ms, &spf);
    if (up > 0)
        up = desk_appeals(&exchange->web->desk, exchange->now_ms, &appeals);
    if (up > 0)
        up = desk_held_sums(&exchange->web->desk, exchange->now_ms, &held);
    exchange->response->type = "text/plain; version=0.0.4; charset=utf-8";
    add_family(out, "build_info", "gauge", "The version of this program.");
    text_add(out, "sendguard_build_info{version=\"" SENDGUARD_VERSION "\"} 1\n");
    add_family(out, "store_up", "gauge", "Whether the store answered just now.");
    text_addf(out, "sendguard_store_up %d\n", up > 0);
    if (up < 1)
        return;
    take_counts(&counters, &counts);
    add_counts(out, &counts);
    add_gauges(out, &memory);
    add_failing(out, feedback);
    add_appeals(out, appeals, exchange->now_ms);
    add_held(out, held, exchange->now_ms);
    add_feedback(out, json_member(feedback, "sources"));
    add_spf(out, json_member(spf, "checkers"));
    add_spf_blocked(out, json_member(spf, "checkers"));
}

/* ---- alive, and ready ------------------------------------------------------------------------- */

static void health(struct exchange *exchange)
{
    exchange->response->type = "text/plain; charset=utf-8";
    text_add(&exchange->response->body, "ok\n");
}

static void readiness(struct exchange *exchange)
{
    struct counter counter;
    struct store_page page = {.max = 1};
    bool ready = store_counters(exchange->web->desk.store, "", &counter, &page) > 0;
    const char *store = ready ? "answers" : "does not answer";
    int status = ready ? 200 : 503;
    if (http_request_wants_json(exchange->request)) {
        struct json_object *view = json_object_new_object();
        json_add_bool(view, "ready", ready);
        json_add_string(view, "store", store);
        reply_json(exchange, status, view);
        return;
    }
    exchange->response->status = status;
    exchange->response->type = "text/plain; charset=utf-8";
    text_addf(&exchange->response->body, "the store %s\n", store);
}

void metrics_handle(struct exchange *exchange)
{
    static const struct {
        const char *path;
        void (*answer)(struct exchange *exchange);
    } pages[] = {{"/metrics", metrics}, {"/healthz", health}, {"/readyz", readiness}};
    size_t i = 0;
    while (i < countof(pages) && strcmp(exchange->request->path, pages[i].path) != 0)
        i++;
    if (i == countof(pages) || !exchange->request->monitoring) {
        reply_error(exchange, 404, NULL);
    } else if (exchange->request->method != METHOD_GET) {
        http_response_header(exchange->response, "Allow", "GET, HEAD");
        reply_error(exchange, 405, NULL);
    } else {
        pages[i].answer(exchange);
    }
}
