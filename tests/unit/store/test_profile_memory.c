/* What a process remembers of profiles: as long as the profile is in the state that it says, and
 * nothing else. That judging is the same with it is shown by test_store_profiles.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/profile_memory.h"

#define DAY INT64_C(20000)
#define NOW (DAY * DAY_MS + HOUR_MS)
#define LATER (NOW + 90 * DAY_MS)
enum { HOME = 7 };

static struct profile_memory *memory;

static void begin(void) { memory = profile_memory_new(); }
static void end(void) { profile_memory_free(&memory); }

/* A message of a mailbox to recipients first.., at now_ms. */
struct message {
    uint64_t recipients[8];
    struct judge_profile profile;
    struct judge_request request;
};
static void make(struct message *message, const char *mailbox, uint64_t first, size_t count,
                 int64_t now_ms)
{
    *message = (struct message){.profile = {.recipients = message->recipients,
                                            .recipient_count = count, .network = HOME},
                                .request = {.mailbox = mailbox, .now_ms = now_ms,
                                            .profile = &message->profile}};
    for (size_t i = 0; i < count; i++)
        message->recipients[i] = first + i;
}

static uint32_t look(const char *mailbox, uint64_t first, size_t count, int64_t now_ms)
{
    struct message message;
    make(&message, mailbox, first, count, now_ms);
    struct profile_state state = profile_memory_look(memory, &message.request);
    ck_assert_int_eq(state.version == 0 ? 0 : LATER, state.until_ms);
    return state.version;
}

static void learn(const char *mailbox, uint64_t first, size_t count, uint32_t before, uint32_t now)
{
    struct message message;
    make(&message, mailbox, first, count, NOW);
    profile_memory_learn(memory, &message.request,
                         &(struct profile_told){{before, LATER}, {now, LATER}, DAY + 7});
}

START_TEST(test_remembered)
{
    ck_assert_uint_eq(look("a", 1, 2, NOW), 0);
    learn("a", 1, 2, 0, 5);
    ck_assert_uint_eq(look("a", 1, 2, NOW), 5);
    ck_assert_uint_eq(look("a", 2, 1, NOW), 5);
    ck_assert_uint_eq(look("a", 2, 0, NOW), 5);
    ck_assert_uint_eq(look("a", 2, 2, NOW), 0); /* one is not */
    ck_assert_uint_eq(look("b", 1, 2, NOW), 0);
    ck_assert_uint_eq(look("a", 1, 2, (DAY + 7) * DAY_MS - 1), 5);
    ck_assert_uint_eq(look("a", 1, 2, (DAY + 7) * DAY_MS), 0);
    ck_assert_uint_eq(look("a", 1, 2, DAY * DAY_MS), 5);
    ck_assert_uint_eq(look("a", 1, 2, DAY * DAY_MS - 1), 0); /* a clock that went back */
    ck_assert_uint_eq(look("a", 1, 0, LATER), 0);
    ck_assert_uint_eq(look("a", HOME, 1, NOW), 0); /* a network is no recipient */
}
END_TEST

/* Other networks, dry runs, and messages of which nothing was told. */
START_TEST(test_not_remembered)
{
    struct message message;
    learn("a", 1, 2, 0, 5);
    make(&message, "a", 1, 2, NOW);
    message.profile.network = HOME + 1;
    ck_assert_uint_eq(profile_memory_look(memory, &message.request).version, 0);
    message.profile.network = 0;
    ck_assert_uint_eq(profile_memory_look(memory, &message.request).version, 5);
    message.request.dry_run = true;
    ck_assert_uint_eq(profile_memory_look(memory, &message.request).version, 0);
    message.request.dry_run = false;
    message.request.profile = NULL;
    ck_assert_uint_eq(profile_memory_look(memory, &message.request).version, 0);
    make(&message, "a", 3, 1, NOW);
    profile_memory_learn(memory, &message.request, &(struct profile_told){{5, LATER}, {6, LATER}, 0});
    ck_assert_uint_eq(look("a", 3, 1, NOW), 0);
    ck_assert_uint_eq(look("a", 1, 2, NOW), 5); /* which the step will not find */
}
END_TEST

/* What was known stays so while each change came by this process, and by it alone. */
START_TEST(test_states)
{
    learn("a", 1, 2, 0, 5);
    learn("a", 3, 1, 5, 5);
    learn("a", 4, 1, 5, 6);
    ck_assert_uint_eq(look("a", 1, 4, NOW), 6);
    learn("a", 5, 1, 7, 8); /* another one made 7 */
    ck_assert_uint_eq(look("a", 1, 4, NOW), 0);
    ck_assert_uint_eq(look("a", 5, 1, NOW), 8);
    learn("a", 1, 2, 8, 8);
    ck_assert_uint_eq(look("a", 1, 2, NOW), 8);
    ck_assert_uint_eq(look("a", 3, 1, NOW), 0);
}
END_TEST

/* Of more than it has room for the newest stay, and its size is the same. */
START_TEST(test_bounded)
{
    enum { MAILBOXES = 300000, NEWEST = 1000 };
    char mailbox[16];
    size_t found = 0;
    for (int i = 0; i < MAILBOXES; i++) {
        snprintf(mailbox, sizeof mailbox, "%d", i);
        learn(mailbox, 1, 8, 0, 5);
    }
    for (int i = MAILBOXES - NEWEST; i < MAILBOXES; i++) {
        snprintf(mailbox, sizeof mailbox, "%d", i);
        found += look(mailbox, 1, 8, NOW) == 5;
    }
    ck_assert_uint_eq(found, NEWEST);
    ck_assert_uint_eq(look("0", 1, 8, NOW), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile memory");
    TCase *cases = tcase_create("profile memory");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, test_remembered);
    tcase_add_test(cases, test_not_remembered);
    tcase_add_test(cases, test_states);
    tcase_add_test(cases, test_bounded);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
