/* The load client for sign-ins: asks a login policy over HTTP as Dovecot does, or Dovecot itself by the
 * protocol of its authentication clients. N connections that are kept, each with one question in
 * flight. With --rate questions are due at moments of their own, and what has to wait for a connection
 * waits in its time too; without, the next one goes as soon as the answer is there. One thread and one
 * epoll, because it shares the machine with what it measures. Prints one JSON object. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/base.h"
#include "base/text.h"
#include "client.h"
#include "histogram.h"

enum { CONNECTIONS_MAX = 512, REQUEST_MAX = 1024, ANSWER_MAX = 8 * 1024, FIRST_CPID = 1000000 };
enum { SILENCE_S = 30 };

enum meaning { LET_IN, KEPT_OUT, OTHER, MEANING_COUNT };
static const char *const meaning_names[] = {"let_in", "kept_out", "other"};

struct client {
    int fd;
    bool waiting;
    uint64_t due_ns;
    size_t got;
    char answer[ANSWER_MAX];
};

struct load {
    struct target target;
    bool to_dovecot, reports;
    const char *key;
    unsigned connections;
    uint32_t mailboxes, first_mailbox;
    uint64_t rate, limit, warmup_ns, duration_ns; /* rate 0: none; limit 0: by time */
    int epoll;
    struct client clients[CONNECTIONS_MAX];
    unsigned idle[CONNECTIONS_MAX], idle_count;
    uint64_t began_ns, ended_ns, sent, answers, meanings[MEANING_COUNT], random;
    struct histogram latency;
};

static const char usage[] =
    "usage: bench_login (--policy ADDRESS | --dovecot ADDRESS) [options]\n"
    "ADDRESS: /path/of/socket or IPV4:PORT.\n"
    "  --key KEY          of the login policy\n"
    "  --report           tells of wrong passwords, mailbox after mailbox, instead of asking\n"
    "  --connections N    (default 32)\n"
    "  --mailboxes N      one of N, each from an IP of its own (default 10000)\n"
    "  --first-mailbox N  the number of the first of them (default 0)\n"
    "  --rate N           questions a second (default: as fast as they are answered)\n"
    "  --warmup SECONDS   not measured (default 0.3)\n"
    "  --duration SECONDS (default 2)\n"
    "  --count N          so many questions, all measured, instead\n"
    "Exit status: 0; 1 the server failed; 64 usage.\n";

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_login: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- questions --------------------------------------------------------------------------------- */

static uint32_t next_mailbox(struct load *load)
{
    if (load->reports)
        return load->first_mailbox + (uint32_t)(load->sent % load->mailboxes);
    load->random = load->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return load->first_mailbox + (uint32_t)((load->random >> 33) % load->mailboxes);
}

static int render_policy(const struct load *load, uint32_t mailbox, char request[REQUEST_MAX])
{
    char body[REQUEST_MAX / 2];
    int length = snprintf(
        body, sizeof body,
        "{\"device_id\":\"\",\"login\":\"m%u@example.test\",\"protocol\":\"imap\",\"pwhash\":\"%04x\","
        "\"remote\":\"10.%u.%u.%u\",\"session_id\":\"ieKvUEph/eF/AAAB\",\"stage\":\"\",%s\"tls\":false}",
        mailbox, mailbox & 0xfff, mailbox >> 16 & 0xff, mailbox >> 8 & 0xff, mailbox & 0xff,
        load->reports ? "\"policy_reject\":false,\"success\":false," : "");
    return snprintf(request, REQUEST_MAX,
                    "POST /?command=%s HTTP/1.1\r\nHost: 127.0.0.1:9404\r\n"
                    "Date: Fri, 27 Nov 2026 23:21:09 GMT\r\n"
                    "User-Agent: dovecot/auth-policy-client\r\nContent-Length: %d\r\n"
                    "Connection: Keep-Alive\r\nContent-Type: application/json\r\n"
                    "Authorization:  Bearer %s\r\n\r\n%s",
                    load->reports ? "report" : "allow", length, load->key, body);
}

/* Every password is right (logins.py). */
static int render_dovecot(const struct load *load, uint32_t mailbox, char request[REQUEST_MAX])
{
    char words[64], word[sizeof words * 2];
    int length = snprintf(words, sizeof words, "%cm%u@example.test%csecret", 0, mailbox, 0);
    sodium_bin2base64(word, sizeof word, (const unsigned char *)words, (size_t)length,
                      sodium_base64_VARIANT_ORIGINAL);
    return snprintf(request, REQUEST_MAX,
                    "AUTH\t%" PRIu64 "\tPLAIN\tservice=imap\tnologin\tsecured\trip=10.%u.%u.%u\t"
                    "resp=%s\n",
                    load->sent % UINT32_MAX + 1, mailbox >> 16 & 0xff, mailbox >> 8 & 0xff,
                    mailbox & 0xff, word);
}

static void send_next(struct load *load, struct client *client, uint64_t due_ns)
{
    char request[REQUEST_MAX];
    uint32_t mailbox = next_mailbox(load);
    int length = load->to_dovecot ? render_dovecot(load, mailbox, request)
                                  : render_policy(load, mailbox, request);
    client->due_ns = due_ns;
    client->waiting = true;
    client->got = 0;
    load->sent++;
    if (send(client->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        fail("send");
}

/* ---- answers ----------------------------------------------------------------------------------- */

static enum meaning policy_meaning(const char *answer)
{
    if (strncmp(answer, "HTTP/1.1 200", strlen("HTTP/1.1 200")) != 0)
        return OTHER;
    return strstr(answer, "\"status\":0") != NULL    ? LET_IN
           : strstr(answer, "\"status\":-1") != NULL ? KEPT_OUT
                                                     : OTHER;
}

static bool is_whole(const struct load *load, const struct client *client, enum meaning *meaning_r)
{
    const char *answer = client->answer, *end;
    if (load->to_dovecot) {
        *meaning_r = strncmp(answer, "OK\t", 3) == 0     ? LET_IN
                     : strncmp(answer, "FAIL\t", 5) == 0 ? KEPT_OUT
                                                         : OTHER;
        return client->got > 0 && answer[client->got - 1] == '\n';
    }
    end = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length: ");
    if (end == NULL || length == NULL)
        return false;
    *meaning_r = policy_meaning(answer);
    return strlen(end + 4) >= strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
}

static void receive(struct load *load, struct client *client)
{
    enum meaning meaning;
    ssize_t got = recv(client->fd, client->answer + client->got, ANSWER_MAX - 1 - client->got, 0);
    if (got <= 0)
        fail("the server closed a connection");
    client->got += (size_t)got;
    client->answer[client->got] = '\0';
    if (!client->waiting || !is_whole(load, client, &meaning))
        return;
    uint64_t at_ns = now_ns();
    if (meaning == OTHER && load->meanings[OTHER] == 0)
        fprintf(stderr, "bench_login: answer without a meaning: %s\n", client->answer);
    load->answers++;
    load->meanings[meaning]++;
    if (client->due_ns >= load->began_ns && client->due_ns < load->ended_ns)
        histogram_add(&load->latency, at_ns - client->due_ns);
    client->waiting = false;
    load->idle[load->idle_count++] = (unsigned)(client - load->clients);
}

/* ---- the run ------------------------------------------------------------------------------------- */

/* Dovecot's server speaks first. */
static void greet(struct client *client, unsigned number)
{
    char hello[64];
    int length = snprintf(hello, sizeof hello, "VERSION\t1\t2\nCPID\t%u\n", FIRST_CPID + number);
    if (send(client->fd, hello, (size_t)length, MSG_NOSIGNAL) != length)
        fail("send");
    while (client->got < 5 || memcmp(client->answer + client->got - 5, "DONE\n", 5) != 0) {
        ssize_t got = recv(client->fd, client->answer + client->got, ANSWER_MAX - client->got, 0);
        if (got <= 0)
            fail("no greeting");
        client->got += (size_t)got;
    }
}

static void open_all(struct load *load)
{
    for (unsigned i = 0; i < load->connections; i++) {
        struct client *client = &load->clients[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        client->fd = target_connect(&load->target);
        if (client->fd < 0)
            fail("connect");
        if (load->to_dovecot)
            greet(client, i);
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
            fail("epoll_ctl");
        load->idle[load->idle_count++] = i;
    }
}

static bool is_over(const struct load *load, uint64_t at_ns)
{
    return load->limit > 0 ? load->sent >= load->limit : at_ns >= load->ended_ns;
}

/* Sends what is due and has a connection. When the next one is; 0: none is. */
static uint64_t send_due(struct load *load, uint64_t start_ns)
{
    for (uint64_t at_ns = now_ns(); !is_over(load, at_ns); at_ns = now_ns()) {
        uint64_t due_ns = load->rate > 0 ? start_ns + load->sent * SECOND_NS / load->rate : at_ns;
        if (due_ns > at_ns)
            return due_ns;
        if (load->idle_count == 0)
            return 0;
        send_next(load, &load->clients[load->idle[--load->idle_count]], due_ns);
    }
    return 0;
}

static void run(struct load *load)
{
    struct epoll_event events[64];
    uint64_t start_ns = now_ns();
    load->began_ns = load->limit > 0 ? start_ns : start_ns + load->warmup_ns;
    load->ended_ns = load->limit > 0 ? UINT64_MAX : load->began_ns + load->duration_ns;
    for (;;) {
        uint64_t next_ns = send_due(load, start_ns), at_ns = now_ns();
        if (next_ns == 0 && load->idle_count == load->connections && is_over(load, at_ns))
            return;
        uint64_t wait_ns = next_ns == 0      ? SILENCE_S * SECOND_NS
                           : next_ns > at_ns ? next_ns - at_ns
                                             : 0;
        struct timespec wait = {(time_t)(wait_ns / SECOND_NS), (long)(wait_ns % SECOND_NS)};
        int ready = epoll_pwait2(load->epoll, events, countof(events), &wait, NULL);
        if (ready == 0 && next_ns == 0) {
            errno = ETIMEDOUT;
            fail("no answer");
        }
        for (int i = 0; i < ready; i++)
            receive(load, events[i].data.ptr);
    }
}

static void report(const struct load *load)
{
    uint64_t end_ns = load->limit > 0 ? now_ns() : load->ended_ns;
    printf("{\"answers\": %" PRIu64 ", \"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"max_us\": %.1f",
           load->answers,
           (double)load->latency.total * (double)SECOND_NS / (double)(end_ns - load->began_ns),
           (double)histogram_quantile(&load->latency, 0.5) / 1000,
           (double)histogram_quantile(&load->latency, 0.99) / 1000,
           (double)load->latency.max_ns / 1000);
    for (int meaning = 0; meaning < MEANING_COUNT; meaning++)
        printf(", \"%s\": %" PRIu64, meaning_names[meaning], load->meanings[meaning]);
    puts("}");
}

/* ---- options ------------------------------------------------------------------------------------- */

static double number(const char *value, double least, double most)
{
    double given = 0;
    if (!number_read(value, least, most, &given)) {
        fprintf(stderr, "bench_login: \"%s\" is out of range\n%s", value, usage);
        exit(64);
    }
    return given;
}

static void set_option(struct load *load, int option, const char *value)
{
    switch (option) {
    case 'd':
        load->to_dovecot = true; /* fall through */
    case 'p':
        if (!target_read(value, &load->target))
            number("", 1, 0);
        break;
    case 'k': load->key = value; break;
    case 'r': load->reports = true; break;
    case 'c': load->connections = (unsigned)number(value, 1, CONNECTIONS_MAX); break;
    case 'm': load->mailboxes = (uint32_t)number(value, 1, 1 << 23); break;
    case 'f': load->first_mailbox = (uint32_t)number(value, 0, 1 << 23); break;
    case 's': load->rate = (uint64_t)number(value, 1, 1e6); break;
    case 'w': load->warmup_ns = (uint64_t)(number(value, 0, 3600) * (double)SECOND_NS); break;
    case 't': load->duration_ns = (uint64_t)(number(value, 0.01, 3600) * (double)SECOND_NS); break;
    case 'n': load->limit = (uint64_t)number(value, 1, 1e9); break;
    default: fputs(usage, stderr); exit(64);
    }
}

int main(int count, char **values)
{
    static const struct option options[] = {
        {"policy", 1, NULL, 'p'}, {"dovecot", 1, NULL, 'd'},     {"key", 1, NULL, 'k'},
        {"report", 0, NULL, 'r'}, {"connections", 1, NULL, 'c'}, {"mailboxes", 1, NULL, 'm'},
        {"rate", 1, NULL, 's'},   {"first-mailbox", 1, NULL, 'f'}, {"warmup", 1, NULL, 'w'},
        {"count", 1, NULL, 'n'},  {"duration", 1, NULL, 't'},    {NULL, 0, NULL, 0}};
    static struct load load = {.key = "", .connections = 32, .mailboxes = 10000, .random = 1,
                               .warmup_ns = 3 * SECOND_NS / 10, .duration_ns = 2 * SECOND_NS};
    for (int found; (found = getopt_long(count, values, "", options, NULL)) != -1;)
        set_option(&load, found, optarg);
    if (load.target.length == 0 || optind < count)
        set_option(&load, '?', NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0)
        fail("epoll");
    open_all(&load);
    run(&load);
    report(&load);
    return 0;
}
