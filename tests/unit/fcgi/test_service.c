/* The service's deadlines, with a monotonic clock that is moved on instead of waited for, and what
 * one round judges. Everything else about connections is tested through the program. */
#include <errno.h>
#include <fastcgi.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/listen.h"
#include "fcgi/service.h"
#include "tests/unit/fcgi/records.h"
#include "tests/unit/guard/guard_rig.h"

enum { WAIT_MS = 20000 }; /* until what must happen counts as missing */

static _Atomic int64_t moved_ms;

static int64_t moved_clock_ms(void) { return clock_monotonic_ms() + moved_ms; }

static struct endpoint endpoint;
static struct service *service;
static const char *path;
static int listen_fd, log_fd;

static void begin_service(int threads)
{
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    endpoint = (struct endpoint){.guard = guard, .store = store};
    log_fd = memfd_create("log", MFD_CLOEXEC);
    log_set_fd(log_fd);
    path = arena_printf(arena, "%s/fcgi.sock", folder);
    listen_fd = listen_on(path, 0600, 16);
    ck_assert_int_ge(listen_fd, 0);
    service = service_start(&endpoint, listen_fd, threads, moved_clock_ms);
}

static void end_service(void)
{
    ck_assert_int_eq(service_stop(&service, WAIT_MS), 1);
    ck_assert_ptr_null(service);
    close(listen_fd);
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

/* A submission of alice to one recipient, whose JSON has `more` more bytes. */
static struct text request(size_t more)
{
    struct text bytes = {0};
    freed_by(text_free) struct text body = {0};
    text_add(&body, "{\"to\":\"zoe@x.test\",\"x\":\"");
    for (size_t i = 0; i < more; i++)
        text_add_char(&body, 'x');
    text_add(&body, "\"}");
    char length[40];
    snprintf(length, sizeof length, "CONTENT_LENGTH=%zu", body.length);
    const char *const params[] = {"REQUEST_METHOD=POST",
                                  "REQUEST_URI=/submissions",
                                  "CONTENT_TYPE=application/json",
                                  "REMOTE_USER=" ALICE,
                                  length,
                                  NULL};
    records_add(&bytes, FCGI_BEGIN_REQUEST, 1, RECORDS_BEGIN, 8, 0);
    records_add_params(&bytes, 1, params);
    records_add_body(&bytes, 1, body.data, body.length);
    return bytes;
}

static void say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        ck_assert_int_gt(sent, 0);
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* What comes within WAIT_MS: bytes, or 0 when the service has closed. */
static ssize_t heard(int fd, char *buffer, size_t size)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&one, 1, WAIT_MS), 1);
    ssize_t got = recv(fd, buffer, size, 0);
    return got < 0 && errno == ECONNRESET ? 0 : got;
}

static void check_admitted(int fd)
{
    char answer[8000] = "";
    ck_assert_int_gt(heard(fd, answer, sizeof answer - 1), 0);
    rig_check_begins(answer + FCGI_HEADER_LEN, "Status: 200 ");
}

static void ask(int fd, size_t more)
{
    freed_by(text_free) struct text bytes = request(more);
    say(fd, bytes.data, bytes.length);
    check_admitted(fd);
}

/* A new connection is served by each loop in turn, which wakes all of them: what was due before
 * its answer has been done when the round behind it is answered. */
static void wake(int threads)
{
    for (int i = 0; i < threads; i++) {
        int fd = connected();
        ask(fd, 0);
        ask(fd, 0);
        close(fd);
    }
}

static bool is_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

START_TEST(test_idle_connections)
{
    int threads = _i + 1;
    char byte;
    begin_service(threads);
    int silent = connected(), asked = connected();
    ask(asked, 0);
    moved_ms = SERVICE_IDLE_MS / 2;
    wake(threads);
    ck_assert(is_open(silent));
    ask(asked, 0);
    moved_ms = SERVICE_IDLE_MS + 5000;
    wake(threads);
    ck_assert_int_eq(heard(silent, &byte, 1), 0);
    ck_assert(is_open(asked)); /* its time counts from its last request */
    ask(asked, 0);
    moved_ms = 3 * SERVICE_IDLE_MS;
    wake(threads);
    ck_assert_int_eq(heard(asked, &byte, 1), 0);
    close(silent);
    close(asked);
    end_service();
}
END_TEST

/* The rest of a request comes when a thread aside has it, or never; others go on meanwhile. */
START_TEST(test_unfinished_requests)
{
    enum { SLOW = SERVICE_ASIDE };
    freed_by(text_free) struct text small = request(0), large = request(100000);
    int slow[SLOW];
    begin_service(2);
    for (int i = 0; i < SLOW; i++) {
        const struct text *bytes = i % 2 == 0 ? &small : &large;
        slow[i] = connected();
        say(slow[i], bytes->data, bytes->length - 20);
    }
    moved_ms = 2 * SERVICE_REST_MS;
    wake(2);
    for (int i = 0; i < SLOW; i++)
        ck_assert(is_open(slow[i]));
    for (int i = 0; i < SLOW; i++) {
        const struct text *bytes = i % 2 == 0 ? &small : &large;
        say(slow[i], bytes->data + bytes->length - 20, 20);
        check_admitted(slow[i]);
        ask(slow[i], 50000);
        ask(slow[i], 0); /* back at its loop */
    }
    moved_ms = 2 * SERVICE_IDLE_MS;
    wake(2);
    for (int i = 0; i < SLOW; i++) {
        char byte;
        ck_assert_int_eq(heard(slow[i], &byte, 1), 0);
        close(slow[i]);
    }
    end_service();
}
END_TEST

/* Two requests at once: the first is answered, and the connection closed, since libfcgi may have
 * read of the second. */
START_TEST(test_two_at_once)
{
    freed_by(text_free) struct text bytes = request(0);
    char rest[8000];
    begin_service(1);
    int fd = connected();
    text_add_bytes(&bytes, bytes.data, 30);
    say(fd, bytes.data, bytes.length);
    check_admitted(fd);
    ck_assert_int_eq(heard(fd, rest, sizeof rest), 0);
    close(fd);
    ck_assert_uint_eq(rig_used(RULE_MESSAGES_PER_DAY, clock_wall_ms()), 1);
    end_service();
}
END_TEST

/* What has arrived is answered; who is in the middle of a request is not waited for. */
START_TEST(test_stop_with_connections)
{
    freed_by(text_free) struct text small = request(0), large = request(200000);
    int fds[20];
    begin_service(_i + 1);
    for (size_t i = 0; i < countof(fds); i++)
        ask(fds[i] = connected(), 0);
    for (size_t i = 0; i < countof(fds); i++)
        if (i % 4 == 0)
            say(fds[i], small.data, small.length);
        else if (i % 4 == 1)
            say(fds[i], small.data, small.length / 2);
        else if (i == 2)
            say(fds[i], large.data, large.length - 10);
    end_service();
    for (size_t i = 0; i < countof(fds); i++) {
        char rest[8000];
        if (i % 4 == 0)
            check_admitted(fds[i]);
        while (i == 2 && heard(fds[i], rest, sizeof rest) > 0)
            ;
        ck_assert_int_eq(heard(fds[i], rest, sizeof rest), 0);
        close(fds[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fcgi service");
    TCase *cases = rig_case(suite, "fcgi service");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_idle_connections, 0, 3);
    tcase_add_test(cases, test_unfinished_requests);
    tcase_add_test(cases, test_two_at_once);
    tcase_add_loop_test(cases, test_stop_with_connections, 0, 3);
    return backends_run(suite);
}
