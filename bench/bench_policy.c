/* The load client for policy services: N connections, each with one question in
 * flight and the next one sent as soon as the answer is there. One thread and
 * one epoll, because it shares the machine with what it measures. Asks for a
 * time, to measure speed, or a number of questions, to see what is admitted.
 * Prints one JSON object; every answer is counted by what it means. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "histogram.h"
#include "policy_requests.h"

enum { CLIENTS_MAX = 1024, ANSWER_MAX = 16 * 1024, LOST_MAX = 1000, MIXED = 3, RECIPIENTS_MAX = 1000 };
enum { SILENCE_MS = 30000 };

enum meaning { ADMITTED, DEFERRED, REJECTED, OTHER, MEANING_COUNT };
static const char *const meaning_names[] = {"admitted", "deferred", "rejected", "other"};

struct client {
    int fd; /* -1: none */
    bool fresh; /* nothing was answered on this connection yet */
    bool waiting;
    struct message messages[MIXED];
    struct message *sent;
    uint64_t sent_ns;
    size_t got;
    char answer[ANSWER_MAX];
};

struct load {
    enum state state;
    struct target target;
    unsigned client_count, recipients; /* recipients 0: 1 to 3, mixed */
    uint32_t first_user, users;
    bool in_turn; /* user after user instead of any */
    uint64_t warmup_ns, duration_ns, limit; /* limit 0: by time */
    int epoll;
    struct client *clients;
    unsigned in_flight;
    unsigned pid; /* 0: nobody's processor time is asked for */
    uint64_t cpu_ns;
    uint64_t serial, random, began_ns, ended_ns;
    uint64_t sent, answers, meanings[MEANING_COUNT], first_refused, reconnected;
    struct histogram latency;
};

static const char usage[] =
    "usage: bench_policy (--policy ADDRESS | --http ADDRESS) [options]\n"
    "Asks a policy service about messages and measures. ADDRESS: /path/of/socket or IPV4:PORT.\n"
    "--http: rspamd's /checkv2, a connection for each question.\n"
    "  --state STATE     RCPT or END-OF-MESSAGE (default)\n"
    "  --clients N       that many at once, each waits for its answer (default 8, at most 1024)\n"
    "  --users N         who sends: one of N, uniformly (default 10000)\n"
    "  --first-user N    the number of the first of them (default 0)\n"
    "  --in-turn         user after user instead\n"
    "  --recipients N    of each message, at most 1000 (default: 1 to 3)\n"
    "  --warmup SECONDS  not measured (default 0.3)\n"
    "  --duration SECONDS (default 2)\n"
    "  --count N         so many questions, all of them measured; a duration given too is\n"
    "                    the longest\n"
    "  --seed N          of the choice of users (default 1)\n"
    "  --pid PID         of the server: its processor time for each answer is told too\n"
    "Exit status: 0; 1 the server failed; 64 usage.\n";

static void fail(const char *what)
{
    fprintf(stderr, "bench_policy: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- connections --------------------------------------------------------- */

static void connection_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static void connection_open(struct load *load, struct client *client)
{
    client->fd = target_connect(&load->target);
    if (client->fd < 0)
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
        fail("epoll_ctl");
    client->fresh = true;
}

/* Servers may close a kept connection when they like; the question, never
 * answered, goes out again on a new one, as smtpd does it. */
static void connection_lost(struct load *load, struct client *client)
{
    if (client->fresh && load->reconnected > LOST_MAX && load->answers == 0) {
        errno = ECONNRESET;
        fail("the server closes connections without an answer");
    }
    connection_close(client);
    load->reconnected++;
}

static void send_again(struct load *load, struct client *client)
{
    const struct text *bytes = &client->sent->bytes;
    client->got = 0;
    for (;;) {
        if (client->fd < 0)
            connection_open(load, client);
        ssize_t sent = send(client->fd, bytes->data, bytes->length, MSG_NOSIGNAL);
        if (sent == (ssize_t)bytes->length)
            return;
        if (sent >= 0 || (errno != EPIPE && errno != ECONNRESET))
            fail("send");
        connection_lost(load, client);
    }
}

static void send_next(struct load *load, struct client *client, uint64_t at_ns)
{
    uint32_t user = load->in_turn ? (uint32_t)(load->sent % load->users)
                                  : random_below(&load->random, load->users);
    client->sent = &client->messages[load->recipients > 0 ? 0 : random_below(&load->random, MIXED)];
    message_make(client->sent, load->first_user + user, load->serial++);
    load->sent++;
    client->sent_ns = at_ns;
    client->waiting = true;
    send_again(load, client);
}

/* ---- answers ------------------------------------------------------------- */

/* What smtpd would do with that action (access(5)). */
static enum meaning action_meaning(const char *action)
{
    if (strncasecmp(action, "dunno", 5) == 0 || strncasecmp(action, "ok", 2) == 0)
        return ADMITTED;
    if (strncasecmp(action, "defer", 5) == 0 || action[0] == '4')
        return DEFERRED;
    if (strncasecmp(action, "reject", 6) == 0 || action[0] == '5')
        return REJECTED;
    return OTHER;
}

/* Rspamd's actions (its documentation, "Metrics"): a ratelimit is a soft reject. */
static enum meaning http_meaning(const char *answer)
{
    static const char ok[] = "HTTP/1.1 200", name[] = "\"action\":\"";
    const char *action = strstr(answer, name);
    if (strncmp(answer, ok, sizeof ok - 1) != 0 || action == NULL)
        return OTHER;
    action += sizeof name - 1;
    if (strncmp(action, "no action", 9) == 0)
        return ADMITTED;
    if (strncmp(action, "soft reject", 11) == 0)
        return DEFERRED;
    return strncmp(action, "reject", 6) == 0 ? REJECTED : OTHER;
}

static bool http_complete(const struct client *client)
{
    static const char name[] = "\r\nContent-Length: ";
    const char *end = memmem(client->answer, client->got, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    const char *length = memmem(client->answer, (size_t)(end - client->answer), name,
                                sizeof name - 1);
    size_t body = client->got - (size_t)(end + 4 - client->answer);
    return length != NULL && body >= strtoul(length + sizeof name - 1, NULL, 10);
}

/* True when the answer is whole; *meaning_r is set then. */
static bool answer_complete(const struct load *load, const struct client *client,
                            enum meaning *meaning_r)
{
    static const char name[] = "action=";
    if (load->state == STATE_HTTP) {
        if (!http_complete(client))
            return false;
        *meaning_r = http_meaning(client->answer);
        return true;
    }
    if (client->got < 2 || memcmp(client->answer + client->got - 2, "\n\n", 2) != 0)
        return false;
    *meaning_r = strncmp(client->answer, name, sizeof name - 1) == 0
                     ? action_meaning(client->answer + sizeof name - 1)
                     : OTHER;
    return true;
}

static void count_answer(struct load *load, const struct client *client, enum meaning meaning)
{
    load->answers++;
    if (load->meanings[OTHER] == 0 && meaning == OTHER)
        fprintf(stderr, "bench_policy: answer without a meaning: %.*s\n",
                (int)(client->got < 600 ? client->got : 600), client->answer);
    load->meanings[meaning]++;
    if (meaning != ADMITTED && load->first_refused == 0)
        load->first_refused = load->answers;
}

/* Reads what is there. True when the answer is complete and counted. */
static bool receive(struct load *load, struct client *client)
{
    enum meaning meaning;
    ssize_t got = recv(client->fd, client->answer + client->got, ANSWER_MAX - 1 - client->got,
                       MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        connection_lost(load, client);
        if (client->waiting)
            send_again(load, client);
        return false;
    }
    client->got += (size_t)got;
    client->answer[client->got] = '\0';
    if (!answer_complete(load, client, &meaning)) {
        if (client->got < ANSWER_MAX - 1)
            return false;
        meaning = OTHER;
        connection_close(client);
    }
    client->fresh = client->waiting = false;
    count_answer(load, client, meaning);
    if (load->state == STATE_HTTP)
        connection_close(client);
    return true;
}

/* Processor time of all threads of process `pid`. */
static uint64_t cpu_ns_of(unsigned pid)
{
    char path[64];
    uint64_t total = 0, used = 0;
    snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        fail(path);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%u/task/%.10s/schedstat", pid, task->d_name);
        FILE *file = task->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file != NULL && fscanf(file, "%" SCNu64, &used) == 1)
            total += used;
        if (file != NULL)
            fclose(file);
    }
    closedir(tasks);
    return total;
}

/* ---- the run ------------------------------------------------------------- */

static bool more_to_ask(const struct load *load, uint64_t at_ns)
{
    return (load->limit == 0 || load->sent < load->limit) &&
           (load->duration_ns == 0 || at_ns < load->began_ns + load->duration_ns);
}

static void answered(struct load *load, struct client *client)
{
    uint64_t at = now_ns();
    bool within = load->limit > 0 || (at >= load->began_ns && more_to_ask(load, at));
    if (within)
        histogram_add(&load->latency, at - client->sent_ns);
    load->ended_ns = at;
    if (more_to_ask(load, at)) {
        send_next(load, client, at);
        return;
    }
    load->in_flight--;
    connection_close(client);
}

/* All connect first, so that the first questions of all go out together. */
static void run(struct load *load)
{
    struct epoll_event events[64];
    for (unsigned i = 0; i < load->client_count; i++)
        connection_open(load, &load->clients[i]);
    load->began_ns = load->ended_ns = now_ns() + (load->limit > 0 ? 0 : load->warmup_ns);
    for (unsigned i = 0; i < load->client_count && more_to_ask(load, 0); i++) {
        load->in_flight++;
        send_next(load, &load->clients[i], now_ns());
    }
    while (load->in_flight > 0) {
        int ready = epoll_wait(load->epoll, events, countof(events), SILENCE_MS);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        if (ready == 0)
            return; /* reported as unanswered */
        for (int i = 0; i < ready; i++)
            if (receive(load, events[i].data.ptr))
                answered(load, events[i].data.ptr);
    }
}

static double quantile_us(const struct load *load, double share)
{
    return (double)histogram_quantile(&load->latency, share) / 1000;
}

static void report(const struct load *load)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu_us = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    uint64_t took_ns = load->limit > 0 ? load->ended_ns - load->began_ns + 1 : load->duration_ns;
    double answers = load->answers > 0 ? (double)load->answers : 1;
    printf("{\"answers\": %" PRIu64 ", \"measured\": %" PRIu64 ", \"per_second\": %.1f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"client_cpu_us\": %.2f, "
           "\"request_bytes\": %zu, \"reconnected\": %" PRIu64 ", \"unanswered\": %u, "
           "\"first_refused\": %" PRIu64,
           load->answers, load->latency.total,
           (double)load->latency.total * (double)SECOND_NS / (double)took_ns,
           quantile_us(load, 0.5), quantile_us(load, 0.99), (double)load->latency.max_ns / 1000,
           cpu_us / answers, load->clients[0].messages[0].bytes.length, load->reconnected,
           load->in_flight, load->first_refused);
    if (load->pid > 0)
        printf(", \"cpu_us\": %.2f", (double)load->cpu_ns / 1000 / answers);
    for (unsigned meaning = 0; meaning < MEANING_COUNT; meaning++)
        printf(", \"%s\": %" PRIu64, meaning_names[meaning], load->meanings[meaning]);
    puts("}");
}

/* ---- options ------------------------------------------------------------- */

static void misuse(const char *option, const char *value)
{
    fprintf(stderr, "bench_policy: --%s: \"%s\" is out of range or unknown\n%s", option, value,
            usage);
    exit(64);
}

static double number(const char *option, const char *value, double least, double most)
{
    double given = 0;
    if (!number_read(value, least, most, &given))
        misuse(option, value);
    return given;
}

static void set_option(struct load *load, const char *option, const char *value)
{
    if (strcmp(option, "policy") == 0 || strcmp(option, "http") == 0) {
        if (!target_read(value, &load->target))
            misuse(option, value);
        if (option[0] == 'h')
            load->state = STATE_HTTP;
    } else if (strcmp(option, "state") == 0) {
        if (strcmp(value, "RCPT") != 0 && strcmp(value, "END-OF-MESSAGE") != 0)
            misuse(option, value);
        load->state = value[0] == 'R' ? STATE_RCPT : STATE_END_OF_MESSAGE;
    } else if (strcmp(option, "clients") == 0)
        load->client_count = (unsigned)number(option, value, 1, CLIENTS_MAX);
    else if (strcmp(option, "users") == 0)
        load->users = (uint32_t)number(option, value, 1, POPULATION_MAX);
    else if (strcmp(option, "first-user") == 0)
        load->first_user = (uint32_t)number(option, value, 0, POPULATION_MAX);
    else if (strcmp(option, "in-turn") == 0)
        load->in_turn = true;
    else if (strcmp(option, "recipients") == 0)
        load->recipients = (unsigned)number(option, value, 1, RECIPIENTS_MAX);
    else if (strcmp(option, "warmup") == 0)
        load->warmup_ns = (uint64_t)(number(option, value, 0, 3600) * (double)SECOND_NS);
    else if (strcmp(option, "duration") == 0)
        load->duration_ns = (uint64_t)(number(option, value, 0.01, 3600) * (double)SECOND_NS);
    else if (strcmp(option, "pid") == 0)
        load->pid = (unsigned)number(option, value, 1, 4194304);
    else if (strcmp(option, "count") == 0)
        load->limit = (uint64_t)number(option, value, 1, 1e9);
    else
        load->random = (uint64_t)number(option, value, 1, 1e15);
}

static void read_options(struct load *load, int count, char **values)
{
    static const struct option options[] = {
        {"policy", 1, NULL, 'o'},     {"http", 1, NULL, 'o'},       {"state", 1, NULL, 'o'},
        {"clients", 1, NULL, 'o'},    {"users", 1, NULL, 'o'},      {"first-user", 1, NULL, 'o'},
        {"in-turn", 0, NULL, 'o'},    {"recipients", 1, NULL, 'o'}, {"warmup", 1, NULL, 'o'},
        {"duration", 1, NULL, 'o'},   {"count", 1, NULL, 'o'},      {"seed", 1, NULL, 'o'},
        {"pid", 1, NULL, 'o'},        {"help", 0, NULL, 'h'},       {NULL, 0, NULL, 0}};
    int which;
    for (int found; (found = getopt_long(count, values, "", options, &which)) != -1;) {
        if (found == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (found != 'o') {
            fputs(usage, stderr);
            exit(64);
        }
        set_option(load, options[which].name, optarg);
    }
    if (load->target.length == 0 || optind < count) {
        fputs(usage, stderr);
        exit(64);
    }
}

int main(int count, char **values)
{
    static struct load load = {.state = STATE_END_OF_MESSAGE, .client_count = 8, .users = 10000,
                               .warmup_ns = 3 * SECOND_NS / 10, .random = 1};
    read_options(&load, count, values);
    if (load.limit == 0 && load.duration_ns == 0)
        load.duration_ns = 2 * SECOND_NS;
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0 || getrandom(&load.serial, sizeof load.serial, 0) != sizeof load.serial)
        fail("start");
    load.clients = xcalloc(load.client_count, sizeof *load.clients);
    for (unsigned i = 0; i < load.client_count; i++) {
        load.clients[i].fd = -1;
        for (unsigned kind = 0; kind < MIXED; kind++)
            message_render(&load.clients[i].messages[kind], load.state,
                           load.recipients > 0 ? load.recipients : kind + 1);
    }
    uint64_t before_ns = load.pid > 0 ? cpu_ns_of(load.pid) : 0;
    run(&load);
    load.cpu_ns = load.pid > 0 ? cpu_ns_of(load.pid) - before_ns : 0;
    report(&load);
    return 0;
}
