/* What the profile of a mailbox costs while a message is judged: the same messages with and without
 * it, in turn and in groups as a busy program brings them, on one store. CPU of this process and, where
 * it is named, of the server. Prints one JSON object. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <time.h>

#include "base/decision.h"
#include "population.h"
#include "store/judge.h"

enum { STORE_TIMEOUT_MS = 10000, ROUNDS = 15, RECIPIENTS_MAX = 1000, MAILBOXES_MAX = 100000 };

static const char usage[] =
    "usage: bench_profile --store URL [options]\n"
    "  --store URL       as store.url of sendguard.conf; nothing may be in it\n"
    "  --server PID      the process of the database\n"
    "  --mailboxes N     1..100000; default 2000\n"
    "  --known N         recipients that each mailbox knows, 10..1000; default 100\n"
    "  --recipients N    of a message, 1..known; default 10\n"
    "  --new N           of these so many are new, 0..recipients; default 0\n"
    "  --messages N      of one round; default 20000\n"
    "  --apart MS        64 messages come at once, the next so much later; default 1\n"
    "  --restart         each round by a program that has just started\n";

struct bench {
    const char *url;
    long server, mailboxes, known, recipients, fresh, messages, apart;
    bool restart;
    struct store *store;
    uint64_t random, sent;
    int64_t now_ms;
};

static void fail(const struct bench *bench, const char *what)
{
    fprintf(stderr, "bench_profile: %s: %s\n", what, store_error(bench->store));
    exit(1);
}

static void open_store(struct bench *bench)
{
    struct problem problem;
    if (store_open(bench->url, &(struct store_options){.timeout_ms = STORE_TIMEOUT_MS},
                   &bench->store, &problem))
        return;
    fprintf(stderr, "bench_profile: %s: %s\n", problem.where, problem.text);
    exit(1);
}

/* ---- CPU ----------------------------------------------------------------------------------- */

static double own_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static double server_us(const struct bench *bench)
{
    char path[64];
    unsigned long user = 0, system = 0;
    if (bench->server == 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", bench->server);
    FILE *file = fopen(path, "re");
    if (file == NULL ||
        fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        fail(bench, path);
    fclose(file);
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

/* ---- messages ------------------------------------------------------------------------------ */

struct message {
    char mailbox[sizeof POPULATION_MAILBOX], ip[sizeof POPULATION_IP], id[24];
    uint64_t recipients[RECIPIENTS_MAX];
    struct judge_profile profile;
    struct judge_request request;
    struct judge_result result;
};

static int by_size(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* Recipient `number` of a mailbox. */
static uint64_t recipient_of(uint32_t mailbox, uint64_t number)
{
    uint64_t mixed = (number + 1) * UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= mailbox * UINT64_C(0xBF58476D1CE4E5B9);
    return (mixed ^ mixed >> 29) >> 16;
}

static void make(struct bench *bench, struct message *message, struct arena *arena,
                 uint32_t mailbox, bool profiled)
{
    memcpy(message->mailbox, POPULATION_MAILBOX, sizeof message->mailbox);
    memcpy(message->ip, POPULATION_IP, sizeof message->ip);
    mailbox_put(message->mailbox, mailbox);
    ip_put(message->ip, mailbox);
    snprintf(message->id, sizeof message->id, "%" PRIu64, ++bench->sent);
    message->profile.recipients = message->recipients;
    message->profile.network = mailbox + 1;
    message->profile.limits = (struct unusual_limits){40, 20, 3};
    message->request = (struct judge_request){
        .now_ms = bench->now_ms, .mailbox = message->mailbox, .channel = CHANNEL_WEBMAIL,
        .ip = message->ip, .id = message->id, .fingerprint = bench->sent,
        .profile = profiled ? &message->profile : NULL,
        .off_domain = (uint32_t)message->profile.recipient_count,
        .decision = decision_new(bench->now_ms),
        .facts = {"bench", 5, 5}, .keep_refused_ms = HOUR_MS, .keep_admitted_ms = DAY_MS,
        .arena = arena};
    static const enum rule rules[] = {RULE_MESSAGES_PER_DAY, RULE_OFF_DOMAIN_PER_DAY,
                                      RULE_OFF_DOMAIN_PER_HOUR_PER_IP};
    for (size_t i = 0; i < countof(rules); i++)
        message->request.windows[message->request.window_count++] =
            (struct judge_window){.rule = rules[i], .limit = LIMIT_MAX};
}

static void judge_group(struct bench *bench, struct message *messages, size_t count)
{
    struct judge_task tasks[JUDGE_MAX];
    for (size_t i = 0; i < count; i++)
        tasks[i] = (struct judge_task){&messages[i].request, &messages[i].result, -1};
    store_judge_all(bench->store, tasks, count);
    for (size_t i = 0; i < count; i++)
        if (tasks[i].answer < 1 || messages[i].result.outcome != OUTCOME_ADMITTED)
            fail(bench, "judging");
}

/* To known recipients by chance, and new ones. */
static void choose(struct bench *bench, struct message *message, uint32_t mailbox)
{
    size_t count = 0;
    for (long i = 0; i < bench->recipients; i++) {
        bool fresh = i < bench->fresh;
        uint64_t number = fresh ? RECIPIENTS_MAX + bench->sent * RECIPIENTS_MAX + (uint64_t)i
                                : random_below(&bench->random, (uint32_t)bench->known);
        message->recipients[count++] = recipient_of(mailbox, number);
    }
    qsort(message->recipients, count, sizeof message->recipients[0], by_size);
    message->profile.recipient_count = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || message->recipients[i] != message->recipients[i - 1])
            message->recipients[message->profile.recipient_count++] = message->recipients[i];
}

static void fill(struct bench *bench)
{
    static struct message message;
    bench->now_ms -= DAY_MS;
    for (uint32_t mailbox = 0; mailbox < bench->mailboxes; mailbox++)
        for (long first = 0; first < bench->known; first += 10) {
            freed_by(arena_free) struct arena *arena = arena_new();
            size_t count = 0;
            for (long number = first; number < first + 10 && number < bench->known; number++)
                message.recipients[count++] = recipient_of(mailbox, (uint64_t)number);
            qsort(message.recipients, count, sizeof message.recipients[0], by_size);
            message.profile.recipient_count = count;
            make(bench, &message, arena, mailbox, true);
            judge_group(bench, &message, 1);
        }
    bench->now_ms += DAY_MS;
}

/* CPU of a message in µs, of this process and of the server. */
struct cost {
    double own, server;
};
static struct cost run_round(struct bench *bench, bool profiled)
{
    static struct message messages[JUDGE_MAX];
    if (bench->restart) {
        bool made;
        store_free(&bench->store);
        open_store(bench);
        if (store_examine(bench->store, &made) < 1)
            fail(bench, "opening");
    }
    double own = own_us(), server = server_us(bench);
    for (long left = bench->messages; left > 0; left -= JUDGE_MAX) {
        freed_by(arena_free) struct arena *arena = arena_new();
        for (size_t i = 0; i < JUDGE_MAX; i++) {
            uint32_t mailbox = random_below(&bench->random, (uint32_t)bench->mailboxes);
            choose(bench, &messages[i], mailbox);
            make(bench, &messages[i], arena, mailbox, profiled);
        }
        judge_group(bench, messages, JUDGE_MAX);
        bench->now_ms += bench->apart;
    }
    double count = (double)(bench->messages + JUDGE_MAX - 1);
    return (struct cost){(own_us() - own) / count, (server_us(bench) - server) / count};
}

static int by_value(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void measure(struct bench *bench)
{
    double ratios[ROUNDS], without[ROUNDS], with[ROUNDS];
    for (int i = -1; i < ROUNDS; i++) { /* the first does not count */
        struct cost one = run_round(bench, i % 2 == 0), other = run_round(bench, i % 2 != 0);
        struct cost off = i % 2 == 0 ? other : one, on = i % 2 == 0 ? one : other;
        if (i < 0)
            continue;
        without[i] = off.own + off.server;
        with[i] = on.own + on.server;
        ratios[i] = with[i] / without[i];
    }
    qsort(ratios, ROUNDS, sizeof ratios[0], by_value);
    qsort(without, ROUNDS, sizeof without[0], by_value);
    qsort(with, ROUNDS, sizeof with[0], by_value);
    printf("{\"without_us\": %.2f, \"with_us\": %.2f, \"ratio\": %.3f, \"lowest\": %.3f, "
           "\"highest\": %.3f}\n", without[ROUNDS / 2], with[ROUNDS / 2], ratios[ROUNDS / 2],
           ratios[0], ratios[ROUNDS - 1]);
}

static _Noreturn void misuse(void)
{
    fputs(usage, stderr);
    exit(64);
}

static long number_of(const char *text, long least, long most)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*end != '\0' || number < least || number > most)
        misuse();
    return number;
}

static void read_options(struct bench *bench, int count, char **values)
{
    static const struct option options[] = {
        {"store", 1, NULL, 's'}, {"server", 1, NULL, 'p'}, {"mailboxes", 1, NULL, 'b'},
        {"known", 1, NULL, 'k'}, {"recipients", 1, NULL, 'r'}, {"new", 1, NULL, 'n'},
        {"messages", 1, NULL, 'm'}, {"apart", 1, NULL, 'a'},
        {"restart", 0, NULL, 't'}, {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0}};
    for (int found; (found = getopt_long(count, values, "", options, NULL)) != -1;)
        switch (found) {
        case 's': bench->url = optarg; break;
        case 'p': bench->server = number_of(optarg, 1, INT32_MAX); break;
        case 'b': bench->mailboxes = number_of(optarg, 1, MAILBOXES_MAX); break;
        case 'k': bench->known = number_of(optarg, 10, RECIPIENTS_MAX); break;
        case 'r': bench->recipients = number_of(optarg, 1, RECIPIENTS_MAX); break;
        case 'n': bench->fresh = number_of(optarg, 0, RECIPIENTS_MAX); break;
        case 'm': bench->messages = number_of(optarg, 1, 10000000); break;
        case 'a': bench->apart = number_of(optarg, 1, HOUR_MS); break;
        case 't': bench->restart = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: misuse();
        }
    if (bench->url == NULL || optind < count || bench->recipients > bench->known ||
        bench->fresh > bench->recipients)
        misuse();
}

int main(int count, char **values)
{
    static struct bench bench = {.mailboxes = 2000, .known = 100, .recipients = 10,
                                 .messages = 20000, .apart = 1, .random = 1};
    read_options(&bench, count, values);
    bench.now_ms = (int64_t)time(NULL) * SECOND_MS;
    open_store(&bench);
    fill(&bench);
    measure(&bench);
    store_free(&bench.store);
    return 0;
}
