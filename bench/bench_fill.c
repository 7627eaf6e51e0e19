/* Fills a store with history, as a day of sending would have left it: the
 * messages of all mailboxes, mixed, at rising times until now. Goes through
 * store_judge like the guard, so what is there afterwards is what a guard
 * would have written. Many threads, so that messages go to the database in groups. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/decision.h"
#include "guard/packing.h"
#include "guard/terms.h"
#include "population.h"
#include "store/audit.h"
#include "store/judge.h"
#include "store/observations.h"
#include "store/store.h"
#include "store/suspensions.h"

enum { THREADS_MAX = 64, STORE_TIMEOUT_MS = 10000, MESSAGES_MAX = 100000 };

/* A prime: neighbours in time are no neighbours by name, and everybody has a turn. */
#define STRIDE UINT64_C(611953)

struct fill {
    const char *url;
    struct store *store;
    uint64_t mailboxes, messages; /* messages of each */
    uint64_t span_ms, now_ms, run;
    unsigned threads;
    bool staff;
    uint64_t terms;
    _Atomic uint64_t next;
    _Atomic bool failed;
};

/* As the guard keeps them with an admitted message. */
static struct record_facts facts_of(const struct fill *fill, struct arena *arena,
                                    const char *mailbox, const char *ip, const char *id)
{
    struct domain_facts domain = {"elsewhere.test", 2, 40, false};
    const struct facts facts = {.in_field = {2}, .recipients = 2, .off_domain = 2,
                                .domains = &domain, .domain_count = 1};
    const struct submission submission = {.arena = arena, .channel = CHANNEL_WEBMAIL, .id = id,
                                          .mailbox = mailbox, .ip = ip, .from = mailbox};
    return packing_facts(&(struct packed_message){
        .submission = &submission, .facts = &facts, .terms = fill->terms});
}

/* The store keeps the terms that all of them name. 1 or -1. */
static int keep_terms(struct fill *fill)
{
    struct effective_limits limits = {.exempt = false};
    freed_by(terms_free) struct terms *terms = terms_new();
    for (int rule = 0; rule < RULE_COUNT; rule++)
        limits.limits.of[rule] = LIMIT_MAX;
    return terms_id(terms, fill->store, &limits, false, (int64_t)fill->now_ms, 30 * DAY_MS,
                    &fill->terms);
}

static const char usage[] =
    "usage: bench_fill --store URL [--mailboxes N] [--messages N] [--hours N] [--threads N]\n"
    "                  [--staff]\n"
    "  --store URL    as store.url of sendguard.conf\n"
    "  --mailboxes N  that many senders, 1..1000000 (default 10000)\n"
    "  --messages N   counted messages of each, 1..100000 (default 1)\n"
    "  --hours N      spread evenly over the last N hours, 1..24 (default 23)\n"
    "  --threads N    1..64 (default 48)\n"
    "  --staff        and what staff would find: who sent from where, windows near their\n"
    "                 limit, and the first thousand mailboxes suspended\n";

static struct judge_request request_new(const struct fill *fill, struct arena *arena,
                                        uint64_t number, char *mailbox, char *ip, const char *id)
{
    uint64_t total = fill->mailboxes * fill->messages;
    uint32_t who = (uint32_t)(number * STRIDE % fill->mailboxes);
    int64_t at_ms = (int64_t)(fill->now_ms - fill->span_ms + fill->span_ms * number / total);
    mailbox_put(mailbox, who);
    ip_put(ip, who);
    return (struct judge_request){
        .now_ms = at_ms,
        .mailbox = mailbox,
        .ip = ip,
        .id = id,
        .fingerprint = number,
        .off_domain = (uint32_t)(1 + number % 3),
        .decision = decision_new(at_ms),
        .facts = facts_of(fill, arena, mailbox, ip, id),
        .arena = arena,
        .keep_refused_ms = 30 * DAY_MS,
        .keep_admitted_ms = 2 * DAY_MS,
        .retries_before_restart = 10,
        .volume = {.count = 1, .ms = {DAY_MS}},
        .windows = {{.rule = RULE_MESSAGES_PER_DAY, .limit = LIMIT_MAX},
                    {.rule = RULE_OFF_DOMAIN_PER_DAY, .limit = LIMIT_MAX},
                    {.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .limit = LIMIT_MAX}},
        .window_count = 3,
    };
}

static bool fill_one(struct fill *fill, struct arena *arena, uint64_t number)
{
    char mailbox[] = POPULATION_MAILBOX, ip[] = POPULATION_IP, id[64];
    snprintf(id, sizeof id, "<%016" PRIx64 ".%08" PRIx64 "@webmail.bench.test>", fill->run, number);
    struct judge_request request = request_new(fill, arena, number, mailbox, ip, id);
    struct judge_result result;
    int answer = store_judge(fill->store, &request, &result);
    if (answer == 1 && result.outcome == OUTCOME_ADMITTED)
        return true;
    fprintf(stderr, "bench_fill: message %" PRIu64 " of %s: %s\n", number, mailbox,
            answer == 1 ? outcome_names[result.outcome] : store_error(fill->store));
    return false;
}

static void *fill_some(void *argument)
{
    struct fill *fill = argument;
    struct arena *arena = arena_new();
    uint64_t total = fill->mailboxes * fill->messages;
    while (!fill->failed) {
        uint64_t number = atomic_fetch_add(&fill->next, 1);
        if (number >= total)
            break;
        if (!fill_one(fill, arena, number))
            fill->failed = true;
        arena_reset(arena);
    }
    arena_free(&arena);
    return NULL;
}

/* ---- what staff would find --------------------------------------------------- */

enum { STAFF_MAILBOXES = 1000 };

static bool observe_some(struct fill *fill, uint64_t first, uint64_t count)
{
    struct observed_sender observed[OBSERVATIONS_MAX];
    struct near_limit nears[OBSERVATIONS_MAX] = {0};
    char mailboxes[OBSERVATIONS_MAX][sizeof POPULATION_MAILBOX];
    char ips[OBSERVATIONS_MAX][sizeof POPULATION_IP];
    struct observations seen = {
        .senders = observed, .nears = nears, .sender_count = count,
        .near_count = first < STAFF_MAILBOXES ? count : 0};
    for (uint64_t i = 0; i < count; i++) {
        memcpy(mailboxes[i], POPULATION_MAILBOX, sizeof POPULATION_MAILBOX);
        memcpy(ips[i], POPULATION_IP, sizeof POPULATION_IP);
        mailbox_put(mailboxes[i], (uint32_t)(first + i));
        ip_put(ips[i], (uint32_t)(first + i));
        observed[i] = (struct observed_sender){.mailbox = mailboxes[i],
                                                .domain = strchr(mailboxes[i], '@') + 1,
                                                .ip = ips[i],
                                                .at_ms = (int64_t)fill->now_ms};
        nears[i].rule = RULE_MESSAGES_PER_DAY;
        nears[i].at_ms = (int64_t)fill->now_ms;
        memcpy(nears[i].key, mailboxes[i], sizeof mailboxes[i]);
    }
    return store_observe(fill->store, &seen, (int64_t)fill->now_ms) > 0;
}

static bool suspend_some(struct fill *fill)
{
    const struct action action = {(int64_t)fill->now_ms, "bench", "for the measurement"};
    const struct durations day = {.count = 1, .ms = {DAY_MS}};
    for (uint32_t i = 0; i < STAFF_MAILBOXES && i < fill->mailboxes; i++) {
        char mailbox[] = POPULATION_MAILBOX;
        struct suspension suspension;
        mailbox_put(mailbox, i);
        if (store_suspend(fill->store, mailbox, CAUSE_STAFF, &day, &action, &suspension) < 0)
            return false;
    }
    return true;
}

static bool fill_for_staff(struct fill *fill)
{
    bool good = suspend_some(fill);
    for (uint64_t first = 0; good && first < fill->mailboxes; first += OBSERVATIONS_MAX) {
        uint64_t left = fill->mailboxes - first;
        good = observe_some(fill, first, left < OBSERVATIONS_MAX ? left : OBSERVATIONS_MAX);
    }
    if (!good)
        fprintf(stderr, "bench_fill: %s\n", store_error(fill->store));
    return good;
}

static _Noreturn void misuse(void)
{
    fputs(usage, stderr);
    exit(64);
}

static uint64_t number(const char *text, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > most)
        misuse();
    return value;
}

static void read_options(struct fill *fill, int count, char **values)
{
    static const struct option options[] = {
        {"store", 1, NULL, 's'}, {"mailboxes", 1, NULL, 'm'}, {"messages", 1, NULL, 'n'},
        {"hours", 1, NULL, 'o'}, {"threads", 1, NULL, 't'},   {"staff", 0, NULL, 'a'},
        {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    for (int found; (found = getopt_long(count, values, "", options, NULL)) != -1;)
        switch (found) {
        case 's': fill->url = optarg; break;
        case 'm': fill->mailboxes = number(optarg, POPULATION_MAX); break;
        case 'n': fill->messages = number(optarg, MESSAGES_MAX); break;
        case 'o': fill->span_ms = number(optarg, 24) * HOUR_MS; break;
        case 't': fill->threads = (unsigned)number(optarg, THREADS_MAX); break;
        case 'a': fill->staff = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: misuse();
        }
    if (fill->url == NULL || optind < count || fill->mailboxes % STRIDE == 0)
        misuse();
}

int main(int count, char **values)
{
    static struct fill fill = {.mailboxes = 10000, .messages = 1, .span_ms = 23 * HOUR_MS,
                               .threads = 48};
    pthread_t threads[THREADS_MAX];
    struct problem problem;
    struct timespec start, now;
    read_options(&fill, count, values);
    clock_gettime(CLOCK_REALTIME, &start);
    fill.now_ms = (uint64_t)start.tv_sec * SECOND_MS;
    if (getrandom(&fill.run, sizeof fill.run, 0) != sizeof fill.run)
        return 1;
    if (!store_open(fill.url, &(struct store_options){.timeout_ms = STORE_TIMEOUT_MS},
                    &fill.store, &problem)) {
        fprintf(stderr, "bench_fill: %s: %s\n", problem.where, problem.text);
        return 1;
    }
    if (keep_terms(&fill) < 0) {
        fprintf(stderr, "bench_fill: %s\n", store_error(fill.store));
        return 1;
    }
    for (unsigned i = 0; i < fill.threads; i++)
        if (pthread_create(&threads[i], NULL, fill_some, &fill) != 0)
            return 1;
    for (unsigned i = 0; i < fill.threads; i++)
        pthread_join(threads[i], NULL);
    if (fill.staff && !fill.failed)
        fill.failed = !fill_for_staff(&fill);
    store_free(&fill.store);
    clock_gettime(CLOCK_REALTIME, &now);
    printf("{\"messages\": %" PRIu64 ", \"seconds\": %.1f}\n", fill.mailboxes * fill.messages,
           (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9);
    return fill.failed ? 1 : 0;
}
