/* The socket's deadlines, with a monotonic clock that is moved on instead of waited for. Everything
 * else about connections is tested through the program. */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/listen.h"
#include "feedback/lmtp_service.h"
#include "tests/unit/guard/guard_rig.h"

enum { WAIT_MS = 20000 }; /* until what must happen counts as missing */

static _Atomic int64_t moved_ms;

static int64_t moved_clock_ms(void) { return clock_monotonic_ms() + moved_ms; }

static int keep(void *context, const char *message, size_t length)
{
    (void)message;
    (void)length;
    ++*(_Atomic int *)context;
    return 1;
}

static const char *path;

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

/* All up to a line that begins with `code`; "" when the service closes. */
static const char *heard(int fd, const char *code)
{
    static char text[4096];
    size_t length = 0;
    for (;;) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        ck_assert_int_eq(poll(&one, 1, WAIT_MS), 1);
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        if (got <= 0)
            return "";
        length += (size_t)got;
        text[length] = '\0';
        const char *line = strrchr(arena_strndup(arena, text, length - 1), '\n');
        if (strncmp(line != NULL ? line + 1 : text, code, strlen(code)) == 0 &&
            text[length - 1] == '\n')
            return text;
    }
}

/* What stalls is closed; what gets on has its time anew. */
START_TEST(test_stalled)
{
    _Atomic int messages = 0;
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    struct lmtp_service service = {.keep = keep, .context = &messages};
    path = arena_printf(arena, "%s/lmtp.sock", folder);
    int listen_fd = listen_on(path, 0600, 16);
    ck_assert_int_ge(listen_fd, 0);
    struct event_loops *loops = lmtp_service_start(&service, listen_fd, moved_clock_ms);

    int idle = connected(), slow = connected(), quick = connected();
    heard(idle, "220 ");
    heard(slow, "220 ");
    heard(quick, "220 ");
    say(slow, "LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nSubject: x\r\n");
    heard(slow, "354 ");
    moved_ms = LMTP_SERVICE_STALL_MS / 2;
    say(quick, "LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n");
    heard(quick, "354 ");
    say(slow, "more\r\n"); /* which is no command and no whole message */
    moved_ms = LMTP_SERVICE_STALL_MS + 1000;
    int late = connected(); /* wakes the loop */
    heard(late, "220 ");
    ck_assert_str_eq(heard(idle, "???"), "");
    ck_assert_str_eq(heard(slow, "???"), "");
    say(quick, "Subject: y\r\n.\r\n");
    heard(quick, "250 ");
    ck_assert_int_eq(messages, 1);

    ck_assert_int_eq(event_loop_stop(&loops, WAIT_MS), 1);
    close(listen_fd);
    close(idle);
    close(slow);
    close(quick);
    close(late);
    moved_ms = 0;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lmtp service");
    TCase *tcase = rig_case(suite, "lmtp service");
    tcase_add_test(tcase, test_stalled);
    return backends_run(suite);
}
