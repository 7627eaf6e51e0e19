/* What most likely went wrong, by the numbers of a block. */
#include <check.h>

#include "guard/failure_hint.h"
#include "mail/reply.h"

enum { KINDS_MAX = 3 };

static const struct {
    struct {
        enum reply_class class;
        uint32_t count;
    } of[KINDS_MAX];
    uint32_t messages, of_one_mailbox;
    enum failure_hint hint;
} cases[] = {
    {{{0}}, 0, 0, FAILURE_HINT_NONE},
    /* a list: few messages */
    {{{REPLY_ADDRESS_UNKNOWN, 40}}, 2, 40, FAILURE_HINT_LIST},
    {{{REPLY_ADDRESS_UNKNOWN, 20}, {REPLY_MAILBOX_OFF, 6}, {REPLY_MAILBOX_FULL, 24}}, 25, 50,
     FAILURE_HINT_LIST},
    {{{REPLY_ADDRESS_UNKNOWN, 25}, {REPLY_MAILBOX_FULL, 25}}, 2, 50, FAILURE_HINT_NONE},
    /* a form: each its own message, of one mailbox */
    {{{REPLY_ADDRESS_UNKNOWN, 6}, {REPLY_DOMAIN_UNROUTABLE, 4}}, 10, 10, FAILURE_HINT_FORM},
    {{{REPLY_ADDRESS_UNKNOWN, 10}}, 8, 8, FAILURE_HINT_FORM},
    {{{REPLY_ADDRESS_UNKNOWN, 10}}, 8, 7, FAILURE_HINT_NONE},
    {{{REPLY_ADDRESS_UNKNOWN, 10}}, 7, 10, FAILURE_HINT_NONE},
    {{{REPLY_ADDRESS_UNKNOWN, 10}}, 5, 10, FAILURE_HINT_LIST},
    /* a stolen password */
    {{{REPLY_CONTENT_REFUSED, 8}, {REPLY_RATE, 3}, {REPLY_ADDRESS_UNKNOWN, 10}}, 21, 21,
     FAILURE_HINT_PASSWORD},
    {{{REPLY_CONTENT_REFUSED, 8}, {REPLY_RATE, 2}, {REPLY_ADDRESS_UNKNOWN, 10}}, 20, 20,
     FAILURE_HINT_NONE},
    {{{REPLY_UNREACHABLE, 30}}, 30, 30, FAILURE_HINT_NONE},
};

START_TEST(test_hints)
{
    struct failure_count mailbox = {.name = "ann@d.test", .count = cases[_i].of_one_mailbox};
    struct failure_numbers numbers = {.messages = cases[_i].messages, .by_mailbox = &mailbox,
                                      .mailbox_count = mailbox.count > 0};
    for (size_t i = 0; i < KINDS_MAX; i++)
        numbers.by_class[cases[_i].of[i].class] += cases[_i].of[i].count;
    ck_assert_int_eq(failure_hint(&numbers), cases[_i].hint);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failure hint");
    TCase *tcase = tcase_create("failure hint");
    tcase_add_loop_test(tcase, test_hints, 0, (int)countof(cases));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
