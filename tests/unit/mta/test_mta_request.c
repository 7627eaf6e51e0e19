/* Postfix's policy protocol: whole, in pieces, and wrong. Inputs lie in heap blocks of their own
 * size, so that an overrun shows. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mta/policy_request.h"

static struct policy_request request;
static struct problem problem;

static void begin(void)
{
    request = (struct policy_request){0};
    problem = (struct problem){0};
}

static void end(void) { policy_request_free(&request); }

/* Feeds at most `piece` bytes at a time; *used is the count of all that were taken. */
static int feed(const char *bytes, size_t length, size_t piece, size_t *used)
{
    int result = 0;
    for (*used = 0; result == 0 && *used < length;) {
        size_t size = length - *used < piece ? length - *used : piece, taken = 0;
        char *copy = xmalloc(size);
        memcpy(copy, bytes + *used, size);
        result = policy_request_add(&request, copy, size, &taken, &problem);
        free(copy);
        ck_assert(result != 0 || taken == size);
        *used += taken;
    }
    return result;
}

static int feed_text(const char *text, size_t piece)
{
    size_t used;
    return feed(text, strlen(text), piece, &used);
}

#define REAL                                                                                     \
    "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\nprotocol_name=ESMTP\n"          \
    "client_address=192.0.2.7\nclient_name=unknown\nhelo_name=[192.0.2.7]\n"                     \
    "sender=alice@example.test\nrecipient=\nrecipient_count=3\nqueue_id=4jXFBQ3WCSz1bYnd\n"      \
    "instance=186d.6b02636e.7797a.0\nsize=1234\netrn_domain=\nsasl_method=PLAIN\n"               \
    "sasl_username=alice@example.test\nsasl_sender=\nccert_subject=\npolicy_context=a=b\n\n"

static const char *value(enum policy_attribute attribute)
{
    return policy_request_value(&request, attribute);
}

START_TEST(test_in_pieces)
{
    size_t length = strlen(REAL REAL), used;
    begin();
    ck_assert_int_eq(feed(REAL REAL, length, (size_t)_i, &used), 1);
    /* what is left of the last piece belongs to the next request */
    ck_assert_uint_eq(used, length / 2);
    ck_assert_str_eq(value(POLICY_REQUEST), "smtpd_access_policy");
    ck_assert_str_eq(value(POLICY_PROTOCOL_STATE), "END-OF-MESSAGE");
    ck_assert_str_eq(value(POLICY_CLIENT_ADDRESS), "192.0.2.7");
    ck_assert_str_eq(value(POLICY_SENDER), "alice@example.test");
    ck_assert_str_eq(value(POLICY_RECIPIENT), "");
    ck_assert_str_eq(value(POLICY_RECIPIENT_COUNT), "3");
    ck_assert_str_eq(value(POLICY_QUEUE_ID), "4jXFBQ3WCSz1bYnd");
    ck_assert_str_eq(value(POLICY_INSTANCE), "186d.6b02636e.7797a.0");
    ck_assert_str_eq(value(POLICY_SASL_USERNAME), "alice@example.test");
    end();
}
END_TEST

START_TEST(test_order_is_free)
{
    begin();
    ck_assert_int_eq(feed_text("queue_id=Q\nsender=\nrequest=x\nnobody_knows=this\ninstance=1=2\n\n",
                               100), 1);
    ck_assert_str_eq(value(POLICY_REQUEST), "x");
    ck_assert_str_eq(value(POLICY_QUEUE_ID), "Q");
    ck_assert_str_eq(value(POLICY_INSTANCE), "1=2"); /* the first = ends the name */
    ck_assert_uint_eq(policy_request_length(&request, POLICY_INSTANCE), 3);
    ck_assert_str_eq(value(POLICY_SASL_USERNAME), "");
    end();
}
END_TEST

START_TEST(test_one_after_another)
{
    begin();
    ck_assert_int_eq(feed_text("request=a\nsender=s\n\n", 4), 1);
    ck_assert(policy_request_begun(&request));
    policy_request_clear(&request);
    ck_assert(!policy_request_begun(&request));
    ck_assert_int_eq(feed_text("request=b\n\n", 4), 1);
    ck_assert_str_eq(value(POLICY_REQUEST), "b");
    ck_assert_str_eq(value(POLICY_SENDER), "");
    end();
}
END_TEST

/* A name that only begins like one of ours is another one. */
START_TEST(test_names_are_whole)
{
    begin();
    ck_assert_int_eq(feed_text("sender_=x\nsend=y\nSENDER=z\n sender=w\n\n", 100), 1);
    ck_assert_str_eq(value(POLICY_SENDER), "");
    end();
}
END_TEST

static const struct {
    const char *text, *where, *says;
} wrongs[] = {
    {"request=x\nsender\n\n", "line 2", "there is no \"=\""},
    {"HELO there\n", "line 1", "there is no \"=\""},
    {"request=x\n=y\n\n", "line 2", "the name is empty"},
    {"request=x\r\n\r\n", "line 2", "there is no \"=\""},
    {"sender=a\nrequest=x\nsender=a\n\n", "line 3", "a second time"},
    {"sender=\nsender=\n\n", "line 2", "a second time"},
};

START_TEST(test_wrong)
{
    typeof(wrongs[0]) *one = &wrongs[_i / 3];
    begin();
    ck_assert_int_eq(feed_text(one->text, (size_t[]){1, 7, 1000}[_i % 3]), -1);
    ck_assert_str_eq(problem.where, one->where);
    ck_assert_msg(strstr(problem.text, one->says) != NULL, "%s", problem.text);
    end();
}
END_TEST

START_TEST(test_nul)
{
    static const char bytes[] = "request=x\nsender=a\0b\n\n";
    size_t used;
    begin();
    ck_assert_int_eq(feed(bytes, sizeof bytes - 1, (size_t)_i, &used), -1);
    ck_assert_str_eq(problem.where, "line 2");
    ck_assert_str_eq(problem.text, "holds a NUL");
    end();
}
END_TEST

static char *filled(const char *before, size_t count)
{
    char *text = xmalloc(strlen(before) + count + 2);
    sprintf(text, "%s", before);
    memset(text + strlen(before), 'x', count);
    strcpy(text + strlen(before) + count, "\n");
    return text;
}

START_TEST(test_line_at_its_limit)
{
    size_t pieces[] = {1, 4096, 100000};
    for (int over = 0; over < 2; over++) {
        begin();
        char *text = filled("sender=", POLICY_LINE_MAX_BYTES - 7 + (size_t)over);
        ck_assert_int_eq(feed_text(text, pieces[_i]), over ? -1 : 0);
        if (over)
            ck_assert_str_eq(problem.text, "is longer than 4096 bytes");
        free(text);
        end();
    }
}
END_TEST

/* Who never sends a line feed is cut off at the same place. */
START_TEST(test_line_without_end)
{
    begin();
    char *text = filled("sender=", 200000);
    size_t used;
    ck_assert_int_eq(feed(text, 150000, 1000, &used), -1);
    ck_assert_uint_le(request.capacity, 2 * POLICY_LINE_MAX_BYTES);
    free(text);
    end();
}
END_TEST

START_TEST(test_request_at_its_limit)
{
    static const char line[] = "name=456789\n"; /* 12 bytes: 5461 of them and "a=b" fill it */
    for (int over = 0; over < 2; over++) {
        begin();
        for (int i = 0; i < 5460; i++)
            ck_assert_int_eq(feed_text(line, 100), 0);
        ck_assert_uint_eq(request.length, POLICY_REQUEST_MAX_BYTES - 16);
        ck_assert_int_eq(feed_text(over ? "name=45678901\n" : "name=4567890\n", 100), 0);
        ck_assert_int_eq(feed_text("\n", 1), 1);
        ck_assert_uint_eq(request.length, POLICY_REQUEST_MAX_BYTES - (over ? 1 : 2));
        policy_request_clear(&request);
        ck_assert_uint_eq(request.capacity, 0); /* no idle connection keeps so much */
        for (int i = 0; i < 5461; i++)
            ck_assert_int_eq(feed_text(line, 100), 0);
        ck_assert_int_eq(feed_text(over ? "a=b\n" : "a=\n", 100), 0);
        ck_assert_int_eq(feed_text("\n", 1), over ? -1 : 1);
        if (over)
            ck_assert_str_eq(problem.text, "the request is longer than 65536 bytes");
        end();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mta request");
    TCase *cases = tcase_create("mta request");
    suite_add_tcase(suite, cases);
    tcase_add_loop_test(cases, test_in_pieces, 1, (int)strlen(REAL) + 5);
    tcase_add_test(cases, test_order_is_free);
    tcase_add_test(cases, test_one_after_another);
    tcase_add_test(cases, test_names_are_whole);
    tcase_add_loop_test(cases, test_wrong, 0, 3 * (int)countof(wrongs));
    tcase_add_loop_test(cases, test_nul, 1, 24);
    tcase_add_loop_test(cases, test_line_at_its_limit, 0, 3);
    tcase_add_test(cases, test_line_without_end);
    tcase_add_test(cases, test_request_at_its_limit);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
