#include "tests/unit/store/servers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

#define TESTER "tester"

static void die(const char *what)
{
    perror(what);
    abort();
}

int times(int all)
{
    int less = SANITIZED ? all / 5 : all / 2;
    return getenv("SENDGUARD_LONG") != NULL ? all : less > 0 ? less : 1;
}

bool takes_sample(void) { return SANITIZED && getenv("SENDGUARD_LONG") == NULL; }

void folder_make(char folder_r[FOLDER_SIZE])
{
    const char *below = getenv("TMPDIR");
    int length = snprintf(folder_r, FOLDER_SIZE, "%s/sendguard-test-XXXXXX",
                          below != NULL ? below : "/tmp");
    if (length >= FOLDER_SIZE || mkdtemp(folder_r) == NULL)
        die("TMPDIR: expected a folder with a short name");
}

static int remove_one(const char *path, const struct stat *file, int kind, struct FTW *where)
{
    (void)file;
    (void)kind;
    (void)where;
    return remove(path);
}

void folder_remove(const char *folder)
{
    if (nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        die(folder);
}

enum { WORDS_MAX = 160, RIGHTS_SIZE = 2048 };

/* The rights of docs/store.md's user, which whoever connects gets here; the test itself signs in as
 * "tester". */
static void read_rights(char rights_r[RIGHTS_SIZE])
{
    static const char begins[] = "user sendguard on >PASSWORD ";
    FILE *file = fopen("docs/store.md", "re");
    if (file == NULL)
        die("docs/store.md");
    while (fgets(rights_r, RIGHTS_SIZE, file) != NULL)
        if (strncmp(rights_r, begins, strlen(begins)) == 0 && strchr(rights_r, '\n') != NULL) {
            fclose(file);
            memmove(rights_r, rights_r + strlen(begins), strlen(rights_r + strlen(begins)) + 1);
            return;
        }
    fputs("docs/store.md has no line of the user's rights\n", stderr);
    abort();
}

static void become_server(const struct redis_server *server, const char *folder,
                          const char *option, const char *value, int out)
{
    const char *arguments[] = {"redis-server", "--port", "0", "--unixsocket", server->socket,
                               "--save", "", "--appendonly", "no", "--dir", folder, "--loglevel",
                               "notice", "--user", "tester", "on", ">" TESTER, "~*", "+@all"};
    static const char *const user[] = {"--user", "default", "on", "nopass"};
    char rights[RIGHTS_SIZE];
    char *words[WORDS_MAX];
    size_t count = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(127);
    for (size_t i = 0; i < countof(arguments); i++)
        words[count++] = xstrdup(arguments[i]);
    bool asks_password = option != NULL && strcmp(option, "--requirepass") == 0;
    for (size_t i = 0; i < countof(user) && !asks_password; i++)
        words[count++] = xstrdup(user[i]);
    read_rights(rights);
    char *right = asks_password ? NULL : strtok(rights, " \n");
    for (; right != NULL && count < WORDS_MAX - 3; right = strtok(NULL, " \n"))
        words[count++] = xstrdup(right);
    if (option != NULL) {
        words[count++] = xstrdup(option);
        words[count++] = xstrdup(value);
    }
    words[count] = NULL;
    execvp(words[0], words);
    _exit(127);
}

/* Its log says when it is ready: "The server is now ready …", since Redis 7.2 "Ready …". */
static void wait_until_ready(FILE *log)
{
    char line[512];
    while (fgets(line, sizeof line, log) != NULL)
        if (strstr(line, "eady to accept connections") != NULL)
            return;
    fputs("redis-server did not start\n", stderr);
    abort();
}

void redis_server_start(struct redis_server *server, const char *folder, const char *option,
                        const char *value)
{
    int ends[2];
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", folder);
    snprintf(server->url, sizeof server->url, "redis+unix://%s", server->socket);
    if (pipe2(ends, O_CLOEXEC) != 0)
        die("pipe2");
    fflush(NULL);
    server->pid = fork();
    if (server->pid < 0)
        die("fork");
    if (server->pid == 0)
        become_server(server, folder, option, value, ends[1]);
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    if (log == NULL)
        die("fdopen");
    wait_until_ready(log);
    fclose(log); /* what it says later goes nowhere: redis-server ignores SIGPIPE */
}

void redis_server_stop(struct redis_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    server->pid = 0;
}

/* Whether /proc says so of a thread: the state stands behind the name, which ends with ")". */
static bool has_stopped(pid_t pid, const char *thread)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/stat", (int)pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT; /* it has ended */
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    const char *end = memrchr(line, ')', length);
    return end != NULL && strncmp(end, ") T", 3) == 0;
}

static bool all_have_stopped(pid_t pid)
{
    char path[64];
    bool stopped = true;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        die(path);
    for (struct dirent *thread; stopped && (thread = readdir(threads)) != NULL;)
        stopped = thread->d_name[0] == '.' || has_stopped(pid, thread->d_name);
    closedir(threads);
    return stopped;
}

void redis_server_freeze(const struct redis_server *server)
{
    if (kill(server->pid, SIGSTOP) != 0)
        die("SIGSTOP");
    while (!all_have_stopped(server->pid))
        sched_yield();
}

void redis_server_thaw(const struct redis_server *server)
{
    if (kill(server->pid, SIGCONT) != 0)
        die("SIGCONT");
}

long long redis_server_ask(const struct redis_server *server, const char *const *words,
                           size_t count)
{
    enum { ASKED_MAX = 8 };
    const char *arguments[ASKED_MAX];
    if (count > ASKED_MAX)
        die("too many words");
    memcpy(arguments, words, count * sizeof arguments[0]);
    redisContext *connection = redisConnectUnix(server->socket);
    if (connection == NULL || connection->err != 0)
        die("redisConnectUnix");
    freeReplyObject(redisCommand(connection, "AUTH tester " TESTER));
    redisReply *reply = redisCommandArgv(connection, (int)count, arguments, NULL);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "%s: %s\n", words[0], reply != NULL ? reply->str : connection->errstr);
        abort();
    }
    long long number = reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10)
                                                         : reply->integer;
    freeReplyObject(reply);
    redisFree(connection);
    return number;
}

/* Whether nobody listens there, and no other test has claimed it: tests run beside each other, and
 * another could take the port before a server listens. tests/blackbox/programs.py claims by the same
 * names. */
static bool claim(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "sendguard-test-port-%d",
                          port);
    int kept = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ours = bind(kept, (struct sockaddr *)&name,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0 &&
                bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
    close(probe);
    if (!ours)
        close(kept);
    return ours;
}

int free_port(void)
{
    enum { FIRST = 12000, END = 20000 };
    int port = FIRST + getpid() % 7919;
    while (!claim(port))
        port = port + 1 < END ? port + 1 : FIRST;
    return port;
}

void redis_server_follow(const struct redis_server *replica, int number,
                         const struct redis_server *server, const char *port)
{
    char count[16];
    snprintf(count, sizeof count, "%d", number);
    redis_server_ask(server, (const char *const[]){"CONFIG", "SET", "repl-diskless-sync-delay",
                                                   "0"}, 4);
    redis_server_ask(replica, (const char *const[]){"CONFIG", "SET", "masteruser", TESTER,
                                                    "masterauth", TESTER}, 6);
    redis_server_ask(replica, (const char *const[]){"REPLICAOF", "127.0.0.1", port}, 3);
    while (redis_server_ask(server, (const char *const[]){"WAIT", count, "10000"}, 3) < number)
        ;
}
