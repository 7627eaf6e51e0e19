/* The protocol of sendguard-postqueue, and answers of its client that need no helper. The real one,
 * with a real Postfix: tests/blackbox/test_postqueue.py. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailqueue/mailqueue.h"

#define ID "4jcsXN0jwwz1bY6n"
#define OTHER_ID "C0E3F1A2B3"

/* In a heap block of its own size. */
static int read_request(const char *line, struct mailqueue_request *request_r)
{
    size_t length = strlen(line);
    char *copy = xmalloc(length > 0 ? length : 1);
    memcpy(copy, line, length);
    int result = mailqueue_protocol_request(copy, length, request_r);
    free(copy);
    return result;
}

START_TEST(test_requests)
{
    struct mailqueue_request request;
    ck_assert_int_eq(read_request("list", &request), 1);
    ck_assert(request.verb == MAILQUEUE_LIST && request.count == 0);
    ck_assert_int_eq(read_request("release " ID " " OTHER_ID, &request), 1);
    ck_assert(request.verb == MAILQUEUE_RELEASE && request.count == 2);
    ck_assert_str_eq(request.ids[0], ID);
    ck_assert_str_eq(request.ids[1], OTHER_ID);
    ck_assert_int_eq(read_request("delete " OTHER_ID, &request), 1);
    ck_assert(request.verb == MAILQUEUE_DELETE && request.count == 1);
}
END_TEST

static const char *const no_requests[] = {
    "", " ", "List", "list ", "list " ID, "release", "release ", "delete  " ID, "delete " ID " ",
    "releaselist", "release" ID, "release ALL", "release -", "delete " ID " hold", "hold " ID,
    "release " ID "\t" OTHER_ID, "release " ID "\r", "delete " ID ";", "delete -c",
    "release F4240FF",
};

START_TEST(test_no_requests)
{
    struct mailqueue_request request;
    ck_assert_msg(read_request(no_requests[_i], &request) == 0, "\"%s\"", no_requests[_i]);
}
END_TEST

START_TEST(test_a_bounded_number_of_ids)
{
    char line[MAILQUEUE_REQUEST_MAX + 64] = "delete";
    struct mailqueue_request request;
    for (int i = 0; i < MAILQUEUE_IDS_MAX; i++)
        strcat(line, " " ID);
    ck_assert_int_eq(read_request(line, &request), 1);
    ck_assert_uint_eq(request.count, MAILQUEUE_IDS_MAX);
    strcat(line, " " ID);
    ck_assert_int_eq(read_request(line, &request), 0);
}
END_TEST

START_TEST(test_what_postqueue_prints)
{
    struct mailqueue_message message;
    ck_assert_int_eq(
        mailqueue_protocol_queued("{\"queue_name\": \"hold\", \"queue_id\": \"" ID "\", "
                                  "\"arrival_time\": 1795968532, \"message_size\": 581, "
                                  "\"forced_expire\": false, \"sender\": \"bob@example", &message),
        1);
    ck_assert_str_eq(message.id, ID);
    ck_assert(message.held && message.arrived_ms == 1795968532000 && message.size == 581);
    ck_assert_int_eq(
        mailqueue_protocol_queued("{\"queue_name\": \"deferred\", \"queue_id\": \"" OTHER_ID "\", "
                                  "\"arrival_time\": 1, \"message_size\": 2, \"sender\"", &message),
        1);
    ck_assert(!message.held);
}
END_TEST

static const char *const no_messages[] = {
    "",
    "\n",
    "postqueue: warning: something",
    "{\"queue_id\": \"" ID "\"}",
    "{\"queue_name\": \"hold\", \"queue_id\": \"hello\", \"arrival_time\": 1, \"message_size\": 2",
    "{\"queue_name\": \"hold\", \"queue_id\": \"" ID "\", \"arrival_time\": \"\", \"message",
};

START_TEST(test_what_it_does_not_print)
{
    struct mailqueue_message message;
    ck_assert_int_eq(mailqueue_protocol_queued(no_messages[_i], &message), 0);
}
END_TEST

START_TEST(test_what_postsuper_says)
{
    size_t count;
    ck_assert_int_eq(mailqueue_protocol_acted("postsuper: " ID ": released from hold\npostsuper: "
                                              "Released from hold: 1 message\n", MAILQUEUE_RELEASE,
                                              &count), 1);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(mailqueue_protocol_acted("postsuper: Deleted: 0 messages\n", MAILQUEUE_DELETE,
                                              &count), 1);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(mailqueue_protocol_acted("postsuper: fatal: use of this command is reserved "
                                              "for the superuser\n", MAILQUEUE_DELETE, &count), 0);
}
END_TEST

START_TEST(test_lines_of_answers)
{
    char id[QUEUE_ID_MAX + 1];
    enum mailqueue_result result;
    struct mailqueue_message message;
    ck_assert_int_eq(mailqueue_protocol_result(ID " not_held", id, &result), 1);
    ck_assert_str_eq(id, ID);
    ck_assert_int_eq(result, MAILQUEUE_NOT_HELD);
    ck_assert_int_eq(mailqueue_protocol_result(ID " sent", id, &result), 0);
    ck_assert_int_eq(mailqueue_protocol_result(ID " deleted ", id, &result), 0);
    ck_assert_int_eq(mailqueue_protocol_result("hello deleted", id, &result), 0);
    ck_assert_int_eq(mailqueue_protocol_listed(OTHER_ID " 1795968532 581", &message), 1);
    ck_assert_str_eq(message.id, OTHER_ID);
    ck_assert(message.held && message.arrived_ms == 1795968532000 && message.size == 581);
    ck_assert_int_eq(mailqueue_protocol_listed(OTHER_ID " 1795968532", &message), 0);
    ck_assert_int_eq(mailqueue_protocol_listed(OTHER_ID " 1 2 3", &message), 0);
}
END_TEST

static char path[64];

/* Nobody accepts; a connection is made all the same. */
static int listening(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(path, sizeof path, "/tmp/test-mailqueue-%d", (int)getpid());
    strcpy(address.sun_path, path);
    unlink(path);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

START_TEST(test_absent_forbidden_and_broken_are_three_answers)
{
    const char *const ids[] = {ID, OTHER_ID};
    enum mailqueue_result results[2] = {MAILQUEUE_DELETED, MAILQUEUE_DELETED};
    struct mailqueue_list list;
    struct problem problem;
    ck_assert_int_eq(mailqueue_held("/nonexistent/postqueue.sock", &list, &problem),
                     MAILQUEUE_ABSENT);
    int fd = listening();
    pid_t child = fork();
    if (child == 0) { /* closes the connection without a word, once the request is there */
        char request[64];
        int link = accept(fd, NULL, NULL);
        _exit(read(link, request, sizeof request) > 0 ? 0 : 1);
    }
    close(fd);
    ck_assert_int_eq(mailqueue_act(path, MAILQUEUE_RELEASE, ids, 2, results, &problem),
                     MAILQUEUE_BROKEN);
    ck_assert(results[0] == MAILQUEUE_NOT_KNOWN && results[1] == MAILQUEUE_NOT_KNOWN);
    ck_assert_str_eq(problem.where, "sendguard-postqueue");
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(mailqueue_act(path, MAILQUEUE_RELEASE, ids, 2, results, &problem),
                     MAILQUEUE_ABSENT); /* what listened is gone, the file is not */
    if (geteuid() == 0) {
        ck_assert(chmod(path, 0600) == 0 && seteuid(65534) == 0);
        enum mailqueue_answer answer = mailqueue_held(path, &list, &problem);
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(answer, MAILQUEUE_FORBIDDEN);
    }
    unlink(path);
}
END_TEST

/* Ids come again: of one that is asked for twice each gets an answer. */
START_TEST(test_the_same_id_twice)
{
    static const char answer[] = ID " released\n" ID " not_held\nend\n";
    const char *const ids[] = {ID, ID};
    enum mailqueue_result results[2];
    struct problem problem;
    int fd = listening();
    pid_t child = fork();
    if (child == 0) {
        char request[64];
        int link = accept(fd, NULL, NULL);
        _exit(read(link, request, sizeof request) > 0 &&
                      write(link, answer, sizeof answer - 1) == sizeof answer - 1
                  ? 0
                  : 1);
    }
    close(fd);
    ck_assert_int_eq(mailqueue_act(path, MAILQUEUE_RELEASE, ids, 2, results, &problem),
                     MAILQUEUE_DONE);
    ck_assert_int_eq(results[0], MAILQUEUE_RELEASED);
    ck_assert_int_eq(results[1], MAILQUEUE_NOT_HELD);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    unlink(path);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mailqueue");
    tcase_add_test(tests, test_requests);
    tcase_add_loop_test(tests, test_no_requests, 0, countof(no_requests));
    tcase_add_test(tests, test_a_bounded_number_of_ids);
    tcase_add_test(tests, test_what_postqueue_prints);
    tcase_add_loop_test(tests, test_what_it_does_not_print, 0, countof(no_messages));
    tcase_add_test(tests, test_what_postsuper_says);
    tcase_add_test(tests, test_lines_of_answers);
    tcase_add_test(tests, test_absent_forbidden_and_broken_are_three_answers);
    tcase_add_test(tests, test_the_same_id_twice);
    Suite *suite = suite_create("mailqueue");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
