/* The floor: what a guard would cost that judges nothing. The same library and
 * reply size as sendguard-fcgi, a thread a connection; it reads the whole body and says
 * yes. With --redis each request adds 1 to a counter in Redis, the cheapest
 * thing that a guard with a store there could do. */
#include <fcgiapp.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { THREADS_MAX = 256, REPLY_MAX = 8000, BACKLOG = 511, COUNTERS = 10000 };
enum { REDIS_TIMEOUT_MS = 250 };

struct floor {
    int listen_fd;
    const char *path, *redis_path; /* redis_path NULL: no Redis */
    long threads, reply_bytes;
    char reply[REPLY_MAX + 1];
};

static const char usage[] =
    "usage: bench_floor --listen PATH [--threads N] [--reply-bytes N] [--redis PATH]\n"
    "A FastCGI responder that reads each request and answers 200 without judging.\n"
    "  --listen PATH     UNIX socket, made mode 0666\n"
    "  --threads N       connections served at the same time (default 16)\n"
    "  --reply-bytes N   headers and body together (default 700)\n"
    "  --redis PATH      INCR a counter for each request, on the thread's own connection\n";

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_floor: %s\n", what);
    exit(1);
}

static redisContext *redis_open(const char *path)
{
    struct timeval timeout = {0, REDIS_TIMEOUT_MS * 1000};
    redisContext *redis = redisConnectUnixWithTimeout(path, timeout);
    if (redis == NULL || redis->err != 0)
        fail(redis != NULL ? redis->errstr : "out of memory");
    redisSetTimeout(redis, timeout);
    return redis;
}

static void count_one(redisContext *redis, unsigned number)
{
    redisReply *reply = redisCommand(redis, "INCR floor:%u", number % COUNTERS);
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
        fail("INCR failed");
    freeReplyObject(reply);
}

static void *serve(void *argument)
{
    const struct floor *floor = argument;
    redisContext *redis = floor->redis_path != NULL ? redis_open(floor->redis_path) : NULL;
    FCGX_Request request;
    char body[8192];
    if (FCGX_InitRequest(&request, floor->listen_fd, 0) != 0)
        fail("FCGX_InitRequest");
    for (unsigned number = 0; FCGX_Accept_r(&request) == 0; number++) {
        while (FCGX_GetStr(body, sizeof body, request.in) > 0)
            continue;
        if (redis != NULL)
            count_one(redis, number);
        FCGX_PutStr(floor->reply, (int)floor->reply_bytes, request.out);
        FCGX_Finish_r(&request);
    }
    fail("FCGX_Accept_r");
}

static void make_reply(struct floor *floor)
{
    static const char head[] = "Content-Type: application/json\r\nContent-Length: %06ld\r\n\r\n";
    long head_bytes = snprintf(NULL, 0, head, 0L);
    if (floor->reply_bytes < head_bytes || floor->reply_bytes > REPLY_MAX)
        fail("--reply-bytes: too few for the headers, or more than 8000");
    memset(floor->reply, '-', (size_t)floor->reply_bytes);
    snprintf(floor->reply, REPLY_MAX, head, floor->reply_bytes - head_bytes);
    floor->reply[head_bytes] = '-'; /* the NUL of the head */
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fail("--listen: the path is too long");
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(path, 0666) < 0 || listen(fd, BACKLOG) < 0)
        fail("--listen: cannot listen there");
    return fd;
}

static _Noreturn void misuse(void)
{
    fputs(usage, stderr);
    exit(64);
}

static void read_options(struct floor *floor, int count, char **values)
{
    static const struct option options[] = {
        {"listen", 1, NULL, 'l'}, {"threads", 1, NULL, 't'}, {"reply-bytes", 1, NULL, 'b'},
        {"redis", 1, NULL, 'r'},  {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0}};
    for (int found; (found = getopt_long(count, values, "", options, NULL)) != -1;)
        switch (found) {
        case 'l': floor->path = optarg; break;
        case 't': floor->threads = strtol(optarg, NULL, 10); break;
        case 'b': floor->reply_bytes = strtol(optarg, NULL, 10); break;
        case 'r': floor->redis_path = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: misuse();
        }
    if (floor->path == NULL || optind < count || floor->threads < 1 ||
        floor->threads > THREADS_MAX)
        misuse();
}

int main(int count, char **values)
{
    static struct floor floor = {.threads = 16, .reply_bytes = 700};
    pthread_t threads[THREADS_MAX];
    sigset_t end;
    int signal_number;
    read_options(&floor, count, values);
    make_reply(&floor);
    floor.listen_fd = listen_at(floor.path);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    if (FCGX_Init() != 0)
        fail("FCGX_Init");
    for (long i = 0; i < floor.threads; i++)
        if (pthread_create(&threads[i], NULL, serve, &floor) != 0)
            fail("pthread_create");
    sigwait(&end, &signal_number);
    unlink(floor.path);
    return 0;
}
