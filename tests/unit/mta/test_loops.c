/* The loops' deadlines, with a monotonic clock that is moved on instead of waited for. Everything
 * else about connections is tested through the program. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/listen.h"
#include "tests/unit/guard/guard_rig.h"
#include "mta/loops.h"

enum { WAIT_MS = 20000 }; /* until what must happen counts as missing */

static _Atomic int64_t moved_ms;

static int64_t moved_clock_ms(void) { return clock_monotonic_ms() + moved_ms; }

static struct policy_service service;
static struct event_loops *loops;
static const char *path;
static int listen_fd, log_fd;

static void begin_loops(int threads)
{
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    service = (struct policy_service){
        .guard = guard, .store = store, .collector = collector_new((size_t)1 << 20)};
    log_fd = memfd_create("log", MFD_CLOEXEC);
    log_set_fd(log_fd);
    path = arena_printf(arena, "%s/mta.sock", folder);
    listen_fd = listen_on(path, 0600, 16);
    ck_assert_int_ge(listen_fd, 0);
    loops = loops_start(&service, listen_fd, threads, moved_clock_ms);
}

static void end_loops(void)
{
    ck_assert_int_eq(event_loop_stop(&loops, WAIT_MS), 1);
    ck_assert_ptr_null(loops);
    close(listen_fd);
    collector_free(&service.collector);
    log_set_fd(STDERR_FILENO);
    close(log_fd);
    moved_ms = 0;
}

static int connected(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What comes within WAIT_MS: bytes, or 0 when the service has closed. */
static ssize_t heard(int fd, char *buffer, size_t size)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&one, 1, WAIT_MS), 1);
    ssize_t got = recv(fd, buffer, size, 0);
    return got < 0 && errno == ECONNRESET ? 0 : got;
}

#define QUESTION "request=smtpd_access_policy\nprotocol_state=MAIL\n\n"

static void ask(int fd)
{
    char answer[64] = "";
    say(fd, QUESTION);
    ck_assert_int_gt(heard(fd, answer, sizeof answer - 1), 0);
    ck_assert_str_eq(answer, "action=DUNNO\n\n");
}

/* A new connection is served by each loop in turn, which wakes all of them: what was due before
 * its answer has been done when the round behind it is answered. */
static void wake(int threads)
{
    for (int i = 0; i < threads; i++) {
        int fd = connected();
        ask(fd);
        ask(fd);
        close(fd);
    }
}

static bool is_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* What was sent and nobody has read. */
static int unread_of(int fd)
{
    int bytes;
    ck_assert_int_eq(ioctl(fd, SIOCOUTQ, &bytes), 0);
    return bytes;
}

static const char *logged(void)
{
    off_t length = lseek(log_fd, 0, SEEK_END);
    char *lines = arena_alloc(arena, (size_t)length + 1);
    ck_assert_int_eq(pread(log_fd, lines, (size_t)length, 0), length);
    return lines;
}

START_TEST(test_unfinished_requests)
{
    int threads = _i + 1;
    char byte;
    begin_loops(threads);
    int idle = connected(), slow = connected(), late = connected();
    ask(idle);
    say(slow, "request=smtpd_access_policy\nprotocol_");
    wake(threads);
    moved_ms = LOOP_STALL_MS / 2;
    say(slow, "state="); /* the deadline is for the whole request, not for each piece */
    say(late, QUESTION "request=");
    ck_assert_int_eq(heard(late, (char[64]){0}, 63), (ssize_t)strlen("action=DUNNO\n\n"));
    wake(threads);
    ck_assert(is_open(slow));
    moved_ms = LOOP_STALL_MS + 5000;
    wake(threads);
    ck_assert_int_eq(heard(slow, &byte, 1), 0);
    ck_assert(is_open(late));
    rig_check_has(logged(), "client=unix why=\"its request does not end\" bytes=");
    say(late, "smtpd_access_policy\nprotocol_state=MAIL\n\n");
    ck_assert_int_eq(heard(late, (char[64]){0}, 63), (ssize_t)strlen("action=DUNNO\n\n"));
    moved_ms = 10 * LOOP_STALL_MS; /* who has asked and says nothing may stay */
    wake(threads);
    ck_assert(is_open(late));
    ask(idle);
    ask(late);
    close(idle);
    close(slow);
    close(late);
    end_loops();
}
END_TEST

/* Questions without end, and no answer is ever taken. */
START_TEST(test_answers_that_nobody_takes)
{
    begin_loops(1);
    int deaf = connected();
    for (int still = 0; still < 3;) { /* until nothing more is read */
        while (send(deaf, QUESTION, strlen(QUESTION), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
        ck_assert_int_eq(errno, EAGAIN);
        int before = unread_of(deaf);
        wake(1);
        still = unread_of(deaf) < before ? 0 : still + 1;
    }
    for (int i = 0; i < 20 && logged()[0] == '\0'; i++) {
        moved_ms += LOOP_STALL_MS + 5000;
        wake(1);
    }
    rig_check_has(logged(), "why=\"it does not take its answers\"");
    close(deaf);
    end_loops();
}
END_TEST

START_TEST(test_stop_with_connections)
{
    begin_loops(_i + 1);
    int fds[20];
    char byte;
    for (size_t i = 0; i < countof(fds); i++)
        ask(fds[i] = connected());
    for (size_t i = 0; i < countof(fds); i += 2)
        say(fds[i], i % 4 == 0 ? QUESTION : "request=");
    end_loops();
    for (size_t i = 0; i < countof(fds); i++) {
        char answer[64];
        if (i % 4 == 0)
            ck_assert_int_eq(heard(fds[i], answer, sizeof answer),
                             (ssize_t)strlen("action=DUNNO\n\n"));
        ck_assert_int_eq(heard(fds[i], &byte, 1), 0);
        close(fds[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mta loop");
    TCase *cases = rig_case(suite, "mta loop");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_unfinished_requests, 0, 3);
    tcase_add_test(cases, test_answers_that_nobody_takes);
    tcase_add_loop_test(cases, test_stop_with_connections, 0, 3);
    return backends_run(suite);
}
