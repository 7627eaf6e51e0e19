/* The load client: N clients, each with one submission in flight and the next
 * one sent as soon as the answer is there. One thread and one epoll, because it
 * shares the machine with what it measures: two system calls a request. Prints
 * one JSON object. A number is worth nothing when the answers were wrong, so
 * every status is looked at. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "histogram.h"
#include "requests.h"

enum { CLIENTS_MAX = 1024, ANSWER_MAX = 64 * 1024, STATUS_MAX = 600, LOST_MAX = 1000, MIXED = 3 };
enum { SILENCE_MS = 10000 };

struct client {
    int fd; /* -1: none */
    bool kept;
    bool fresh; /* nothing was answered on this connection yet */
    struct request requests[MIXED];
    struct request *sent;
    uint64_t sent_ns;
    size_t got;
    char answer[ANSWER_MAX];
};

struct load {
    enum protocol protocol;
    struct target target;
    unsigned client_count, kept_count, expected, recipients; /* recipients 0: 1 to 3, mixed */
    bool blocked;
    uint32_t mailboxes;
    uint64_t warmup_ns, duration_ns;
    int epoll;
    struct client *clients;
    unsigned in_flight;
    uint64_t run, random;
    uint64_t sent, answers, answer_bytes, statuses[STATUS_MAX], unexpected, reconnected;
    struct histogram latency; /* answers inside the measured time only */
};

static const char usage[] =
    "usage: bench_load (--fastcgi ADDRESS | --http ADDRESS) [options]\n"
    "Sends submissions to a guard and measures. ADDRESS: /path/of/socket or IPV4:PORT.\n"
    "  --clients N       that many at once, each waits for its answer (default 8, at most 1024)\n"
    "  --keep N          so many of them keep their connection, the others open one for each\n"
    "                    request (default: all)\n"
    "  --mailboxes N     who sends: one of N, uniformly (default 10000, at most 1000000)\n"
    "  --recipients N    of each message, at most 300 (default: 1 to 3)\n"
    "  --blocked         they are at the domains blocked000.test to blocked999.test, else outside\n"
    "  --warmup SECONDS  not measured (default 0.3)\n"
    "  --duration SECONDS (default 2)\n"
    "  --expect STATUS   the right answer (default 200)\n"
    "  --seed N          of the choice of mailboxes and recipients (default 1)\n"
    "Exit status: 0; 1 the server failed; 2 answers of another status; 64 usage.\n";

static void fail(const char *what)
{
    fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
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

/* A kept connection may have been closed by the server a moment ago; then the
 * request, never read, goes out again on a new one. A new one must answer. */
static void connection_lost(struct load *load, struct client *client)
{
    if (client->fresh && ++load->unexpected > LOST_MAX) {
        errno = ECONNRESET;
        fail("the server closes connections without an answer");
    }
    connection_close(client);
    load->reconnected++;
}

/* A request is far smaller than any socket's buffer, so it goes whole or not at all. */
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
    client->sent = &client->requests[random_below(&load->random, MIXED)];
    request_make(client->sent, random_below(&load->random, load->mailboxes), load->run,
                 load->sent++, &load->random);
    client->sent_ns = at_ns;
    send_again(load, client);
}

/* ---- answers ------------------------------------------------------------- */

/* The status that CGI headers name; without one it is 200 (RFC 3875 section 6.3.3). */
static unsigned cgi_status(const char *head, size_t length)
{
    static const char name[] = "Status: ";
    const char *at = memmem(head, length, name, sizeof name - 1);
    const char *end = memmem(head, length, "\r\n\r\n", 4);
    return at != NULL && (end == NULL || at < end) ? (unsigned)strtoul(at + sizeof name - 1, NULL, 10)
                                                   : 200;
}

/* 0: not all of it is here yet. Everything else is a status. */
static unsigned fastcgi_status(const struct client *client)
{
    const unsigned char *bytes = (const unsigned char *)client->answer;
    unsigned status = 0;
    for (size_t at = 0; client->got - at >= FCGI_HEAD_BYTES;) {
        size_t content = (size_t)bytes[at + 4] << 8 | bytes[at + 5];
        size_t whole = FCGI_HEAD_BYTES + content + bytes[at + 6];
        if (client->got - at < whole)
            return 0;
        if (bytes[at + 1] == FCGI_STDOUT && status == 0 && content > 0)
            status = cgi_status(client->answer + at + FCGI_HEAD_BYTES, content);
        if (bytes[at + 1] == FCGI_END)
            return status > 0 ? status : 502;
        at += whole;
    }
    return 0;
}

static bool chunks_complete(const char *body, size_t length)
{
    return length >= 5 && memcmp(body + length - 5, "0\r\n\r\n", 5) == 0 &&
           (length == 5 || body[length - 6] == '\n');
}

static unsigned http_status(const struct client *client)
{
    static const char length_name[] = "\r\nContent-Length: ", chunked[] = "\r\nTransfer-Encoding: chunked";
    const char *answer = client->answer, *end = memmem(answer, client->got, "\r\n\r\n", 4);
    if (end == NULL || client->got < sizeof "HTTP/1.1 200" - 1)
        return 0;
    size_t head = (size_t)(end - answer) + 4, body = client->got - head;
    const char *length = memmem(answer, head, length_name, sizeof length_name - 1);
    if (length != NULL) {
        if (body < strtoul(length + sizeof length_name - 1, NULL, 10))
            return 0;
    } else if (memmem(answer, head, chunked, sizeof chunked - 1) == NULL ||
               !chunks_complete(end + 4, body)) {
        return 0;
    }
    return (unsigned)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
}

static void count_answer(struct load *load, struct client *client, unsigned status)
{
    load->answers++;
    load->answer_bytes += client->got;
    load->statuses[status < STATUS_MAX ? status : 0]++;
    if (status == load->expected)
        return;
    if (load->unexpected++ == 0)
        fprintf(stderr, "bench_load: status %u: %.*s\n", status,
                (int)(client->got < 1500 ? client->got : 1500), client->answer);
}

/* Reads what is there. True when the answer is complete and counted. */
static bool receive(struct load *load, struct client *client)
{
    ssize_t got = recv(client->fd, client->answer + client->got, ANSWER_MAX - 1 - client->got,
                       MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        connection_lost(load, client);
        send_again(load, client);
        return false;
    }
    client->got += (size_t)got;
    client->answer[client->got] = '\0';
    unsigned status =
        load->protocol == PROTOCOL_FASTCGI ? fastcgi_status(client) : http_status(client);
    if (status == 0) {
        if (client->got < ANSWER_MAX - 1)
            return false;
        status = 502; /* longer than any answer of ours */
        connection_close(client);
    }
    client->fresh = false;
    count_answer(load, client, status);
    return true;
}

/* ---- the run ------------------------------------------------------------- */

static void run(struct load *load)
{
    struct epoll_event events[64];
    uint64_t start = now_ns(), from = start + load->warmup_ns, end = from + load->duration_ns;
    for (unsigned i = 0; i < load->client_count; i++) {
        load->in_flight++;
        send_next(load, &load->clients[i], now_ns());
    }
    while (load->in_flight > 0) {
        int ready = epoll_wait(load->epoll, events, countof(events), SILENCE_MS);
        if (ready == 0) {
            errno = ETIMEDOUT;
            fail("no answer");
        }
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (!receive(load, client))
                continue;
            uint64_t at = now_ns();
            if (at >= from && at < end)
                histogram_add(&load->latency, at - client->sent_ns);
            if (!client->kept)
                connection_close(client);
            if (at < end) {
                send_next(load, client, at);
            } else {
                load->in_flight--;
                connection_close(client);
            }
        }
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
    double seconds = (double)load->duration_ns / (double)SECOND_NS;
    double answers = load->answers > 0 ? (double)load->answers : 1;
    printf("{\"answers\": %" PRIu64 ", \"measured\": %" PRIu64 ", \"per_second\": %.1f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"client_cpu_us\": %.2f, "
           "\"answer_bytes\": %.0f, \"reconnected\": %" PRIu64 ", \"unexpected\": %" PRIu64
           ", \"statuses\": {",
           load->answers, load->latency.total, (double)load->latency.total / seconds,
           quantile_us(load, 0.5), quantile_us(load, 0.99), (double)load->latency.max_ns / 1000,
           cpu_us / answers, (double)load->answer_bytes / answers, load->reconnected,
           load->unexpected);
    const char *separator = "";
    for (unsigned status = 0; status < STATUS_MAX; status++)
        if (load->statuses[status] > 0) {
            printf("%s\"%u\": %" PRIu64, separator, status, load->statuses[status]);
            separator = ", ";
        }
    puts("}}");
}

/* ---- options ------------------------------------------------------------- */

static void misuse(const char *option, const char *value)
{
    fprintf(stderr, "bench_load: --%s: \"%s\" is out of range or no number\n%s", option, value,
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

static void set_address(struct load *load, const char *option, const char *value)
{
    load->protocol = strcmp(option, "http") == 0 ? PROTOCOL_HTTP : PROTOCOL_FASTCGI;
    if (!target_read(value, &load->target))
        misuse(option, value);
}

static void set_option(struct load *load, const char *option, const char *value)
{
    if (strcmp(option, "fastcgi") == 0 || strcmp(option, "http") == 0)
        set_address(load, option, value);
    else if (strcmp(option, "clients") == 0)
        load->client_count = (unsigned)number(option, value, 1, CLIENTS_MAX);
    else if (strcmp(option, "keep") == 0)
        load->kept_count = (unsigned)number(option, value, 0, CLIENTS_MAX);
    else if (strcmp(option, "mailboxes") == 0)
        load->mailboxes = (uint32_t)number(option, value, 1, POPULATION_MAX);
    else if (strcmp(option, "warmup") == 0)
        load->warmup_ns = (uint64_t)(number(option, value, 0, 3600) * (double)SECOND_NS);
    else if (strcmp(option, "duration") == 0)
        load->duration_ns = (uint64_t)(number(option, value, 0.01, 3600) * (double)SECOND_NS);
    else if (strcmp(option, "recipients") == 0)
        load->recipients = (unsigned)number(option, value, 1, RECIPIENTS_MAX);
    else if (strcmp(option, "blocked") == 0)
        load->blocked = true;
    else if (strcmp(option, "expect") == 0)
        load->expected = (unsigned)number(option, value, 100, STATUS_MAX - 1);
    else
        load->random = (uint64_t)number(option, value, 1, 1e15);
}

static void read_options(struct load *load, int count, char **values)
{
    static const struct option options[] = {
        {"fastcgi", 1, NULL, 'o'},  {"http", 1, NULL, 'o'},   {"clients", 1, NULL, 'o'},
        {"keep", 1, NULL, 'o'},     {"warmup", 1, NULL, 'o'}, {"mailboxes", 1, NULL, 'o'},
        {"duration", 1, NULL, 'o'}, {"expect", 1, NULL, 'o'}, {"seed", 1, NULL, 'o'},
        {"recipients", 1, NULL, 'o'}, {"blocked", 0, NULL, 'o'},
        {"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0}};
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
    static struct load load = {.client_count = 8, .kept_count = CLIENTS_MAX, .expected = 200,
                               .mailboxes = 10000, .warmup_ns = 3 * SECOND_NS / 10,
                               .duration_ns = 2 * SECOND_NS, .random = 1};
    read_options(&load, count, values);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0 || getrandom(&load.run, sizeof load.run, 0) != sizeof load.run)
        fail("start");
    load.clients = xcalloc(load.client_count, sizeof *load.clients);
    for (unsigned i = 0; i < load.client_count; i++) {
        struct client *client = &load.clients[i];
        client->fd = -1;
        client->kept = i < load.kept_count;
        for (size_t to = 0; to < MIXED; to++)
            request_render(&client->requests[to], load.protocol,
                           load.blocked ? REQUEST_BLOCKED : REQUEST_RECIPIENT,
                           load.recipients > 0 ? load.recipients : to + 1, client->kept);
    }
    run(&load);
    report(&load);
    return load.unexpected > 0 ? 2 : 0;
}
