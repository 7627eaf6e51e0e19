/* What a process admits without the store: how much of a mailbox and of all, in how much memory.
 * What the store is told then: test_guard_trouble.c. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard/emergency.h"

#define NOW INT64_C(1763790000000)

static struct emergency *emergency;
static char mailbox[32] = "alice@example.test";

static void begin(void) { emergency = emergency_new(); }
static void end(void) { emergency_free(&emergency); }

static struct judge_request request_of(const char *id, enum channel channel, uint32_t off_domain)
{
    return (struct judge_request){.now_ms = NOW, .mailbox = mailbox, .channel = channel, .id = id,
                                  .ip = "192.0.2.1", .off_domain = off_domain};
}

static bool admit(const char *id, enum channel channel, uint32_t each)
{
    const struct judge_request request = request_of(id, channel, 1);
    return emergency_admit(emergency, &request, each);
}

START_TEST(test_so_many_of_a_mailbox)
{
    for (int i = 0; i < 3; i++)
        ck_assert(admit("x", i == 1 ? CHANNEL_SMTP : CHANNEL_WEBMAIL, 3));
    ck_assert(!admit("x", CHANNEL_WEBMAIL, 3));
    ck_assert(!admit("x", CHANNEL_SMTP, 3));
    ck_assert(!admit("x", CHANNEL_WEBMAIL, 0));
    ck_assert(admit("x", CHANNEL_FORWARDING, 1)); /* counts by itself */
    ck_assert(!admit("x", CHANNEL_FORWARDING, 1));
    ck_assert(admit("x", CHANNEL_WEBMAIL, 4));
    ck_assert_uint_eq(emergency_waiting(emergency), 5);
}
END_TEST

static int admitted_under(enum rule rule, int32_t limit, uint32_t off_domain)
{
    struct judge_request request = request_of("x", CHANNEL_WEBMAIL, off_domain);
    request.windows[request.window_count++] =
        (struct judge_window){.rule = RULE_MESSAGES_PER_DAY, .limit = LIMIT_OFF};
    request.windows[request.window_count++] = (struct judge_window){.rule = rule, .limit = limit};
    int admitted = 0;
    while (emergency_admit(emergency, &request, 100))
        admitted++;
    return admitted;
}

static const struct {
    enum rule rule;
    int32_t limit;
    uint32_t off_domain;
    int admitted;
} limits[] = {
    {RULE_MESSAGES_PER_HOUR, 7, 1, 7},    {RULE_MESSAGES_PER_DAY, 0, 0, 0},
    {RULE_MESSAGES_PER_DAY, LIMIT_OFF, 1, 100}, {RULE_OFF_DOMAIN_PER_DAY, 10, 2, 5},
    {RULE_OFF_DOMAIN_PER_DAY, 11, 2, 5},  {RULE_OFF_DOMAIN_PER_DAY, 0, 1, 0},
    {RULE_OFF_DOMAIN_PER_DAY, 0, 0, 100},
};

/* Nothing that the mailbox' own limits would refuse if it had sent nothing before. */
START_TEST(test_own_limits)
{
    ck_assert_int_eq(admitted_under(limits[_i].rule, limits[_i].limit, limits[_i].off_domain),
                     limits[_i].admitted);
}
END_TEST

START_TEST(test_refund)
{
    ck_assert(admit("a", CHANNEL_WEBMAIL, 2));
    ck_assert(admit("b", CHANNEL_WEBMAIL, 2));
    ck_assert(!emergency_refund(emergency, mailbox, "c"));
    ck_assert(!emergency_refund(emergency, "bob@example.test", "b"));
    ck_assert(emergency_refund(emergency, mailbox, "b")); /* the newest, and what comes behind */
    ck_assert(!emergency_refund(emergency, mailbox, "b"));
    ck_assert(admit("d", CHANNEL_WEBMAIL, 2));
    ck_assert(!admit("e", CHANNEL_WEBMAIL, 2));
    ck_assert(emergency_refund(emergency, mailbox, "a"));
    ck_assert(emergency_refund(emergency, mailbox, "d"));
    ck_assert_uint_eq(emergency_waiting(emergency), 0);
    ck_assert(admit("f", CHANNEL_WEBMAIL, 1));
}
END_TEST

static void admit_many(int from, int to)
{
    for (int i = from; i < to; i++) {
        snprintf(mailbox, sizeof mailbox, "u%d@example.test", i);
        bool unimportant = admit("x", CHANNEL_WEBMAIL, 50);
        (void)unimportant;
    }
}

/* Invented names use up what all share, and no memory. */
START_TEST(test_two_million_mailboxes)
{
    admit_many(0, 2 * EMERGENCY_MESSAGES);
    ck_assert_uint_eq(emergency_waiting(emergency), EMERGENCY_MESSAGES);
    size_t used = mallinfo2().uordblks;
    admit_many(2 * EMERGENCY_MESSAGES, 2000000);
    ck_assert_uint_le(mallinfo2().uordblks, used + 64 * 1024); /* what malloc itself keeps */
    ck_assert_uint_eq(emergency_waiting(emergency), EMERGENCY_MESSAGES);
    snprintf(mailbox, sizeof mailbox, "u0@example.test");
    ck_assert(!admit("y", CHANNEL_WEBMAIL, 50));
    ck_assert(emergency_refund(emergency, mailbox, "x"));
    ck_assert(admit("y", CHANNEL_WEBMAIL, 50));
}
END_TEST

/* Messages with ten thousand recipients are fewer. */
START_TEST(test_large_messages)
{
    enum { RECIPIENTS = 10000 };
    uint64_t *hashes = calloc(RECIPIENTS, sizeof *hashes);
    struct judge_request request = request_of("x", CHANNEL_WEBMAIL, RECIPIENTS);
    request.recipients = hashes;
    request.recipient_count = RECIPIENTS;
    size_t admitted = 0;
    while (emergency_admit(emergency, &request, EMERGENCY_MESSAGES))
        admitted++;
    free(hashes);
    ck_assert_uint_le(admitted, EMERGENCY_BYTES / (RECIPIENTS * sizeof *hashes));
    ck_assert_uint_gt(admitted, EMERGENCY_BYTES / (RECIPIENTS * sizeof *hashes) - 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("emergency");
    TCase *cases = tcase_create("memory");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_so_many_of_a_mailbox);
    tcase_add_loop_test(cases, test_own_limits, 0, (int)countof(limits));
    tcase_add_test(cases, test_refund);
    tcase_add_test(cases, test_two_million_mailboxes);
    tcase_add_test(cases, test_large_messages);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
