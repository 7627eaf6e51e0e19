/* Reports that wait for staff: the list, its bounds, its packed form. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mail/waiting_reports.h"

#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)

static struct arena *arena;
static struct waiting_reports list;

static void begin(void)
{
    arena = arena_new();
    ck_assert_int_eq(waiting_reports_read(arena, NULL, 0, &list), 1);
}

static void end(void) { arena_free(&arena); }

static bool wait_for_staff(uint64_t id, const char *queue_id, uint64_t reporter)
{
    return waiting_reports_take(&list, &(struct waiting_report){
                                           .id = id, .at_ms = NOON + (int64_t)id,
                                           .reporter = reporter, .mailbox = "a@b.test",
                                           .queue_id = queue_id, .domain = ""});
}

START_TEST(test_same)
{
    ck_assert(wait_for_staff(1, "", 0));
    ck_assert(!wait_for_staff(1, "", 0));
    ck_assert(wait_for_staff(2, "", 0)); /* of no message that is known: another one */
    ck_assert(wait_for_staff(3, "AAAAAAAAAA", 0));
    ck_assert(!wait_for_staff(4, "AAAAAAAAAA", 0)); /* the same in other words */
    ck_assert(wait_for_staff(5, "AAAAAAAAAA", 7));
    ck_assert(wait_for_staff(6, "BBBBBBBBBB", 0));
    ck_assert_uint_eq(list.count, 5);
    ck_assert_ptr_null(waiting_reports_find(&list, 4));
    waiting_reports_drop(&list, 3);
    waiting_reports_drop(&list, 99);
    ck_assert_uint_eq(list.count, 4);
    ck_assert_ptr_null(waiting_reports_find(&list, 3));
    ck_assert_uint_eq(waiting_reports_find(&list, 5)->reporter, 7);
}
END_TEST

START_TEST(test_bounds)
{
    for (uint64_t id = 1; id <= WAITING_REPORTS_MAX + 5; id++)
        ck_assert(wait_for_staff(id, "", 0));
    ck_assert_uint_eq(list.count, WAITING_REPORTS_MAX);
    ck_assert_uint_eq(list.of[0].id, 6);
    waiting_reports_forget(&list, NOON + 7 + WAITING_REPORTS_KEPT_MS);
    ck_assert_uint_eq(list.of[0].id, 8);
}
END_TEST

/* Who invents reports gets none of a loop out of the list, nor one of somebody who is known. */
START_TEST(test_flooded)
{
    static const struct waiting_report of_loop = {.id = 1000001, .at_ms = NOON, .of_loop = true,
                                                  .reporter = 9, .mailbox = "", .queue_id = "",
                                                  .domain = ""};
    ck_assert(waiting_reports_take(&list, &of_loop));
    ck_assert(wait_for_staff(1000002, "", 7));
    for (uint64_t id = 1; id <= 2 * WAITING_REPORTS_MAX; id++)
        ck_assert(wait_for_staff(id, "", 0));
    ck_assert_uint_eq(list.count, WAITING_REPORTS_MAX);
    ck_assert_uint_eq(list.of[0].id, 1000001);
    ck_assert_uint_eq(list.of[1].id, 1000002);
    ck_assert_uint_eq(list.of[2].id, WAITING_REPORTS_MAX + 3);
    for (uint64_t id = 1; id <= 2 * WAITING_REPORTS_MAX; id++)
        ck_assert(wait_for_staff(2000000 + id, "", 8));
    ck_assert_uint_eq(list.of[0].id, 1000001);
    ck_assert_uint_eq(list.of[1].reporter, 8);
    ck_assert(!wait_for_staff(1, "", 0)); /* all others are of somebody */
    ck_assert_uint_eq(list.count, WAITING_REPORTS_MAX);
}
END_TEST

START_TEST(test_packed)
{
    struct waiting_reports read;
    freed_by(text_free) struct text packed = {0};
    const struct waiting_report whole = {
        .id = UINT64_MAX, .at_ms = NOON, .type = REPORT_AUTH_FAILURE, .of_loop = true,
        .reporter = UINT64_MAX - 1, .mailbox = "a@b.test", .queue_id = "4jbqC64kngz1bf1c",
        .domain = "b.test", .admitted_ms = NOON - 1, .decision = 77};
    ck_assert(waiting_reports_take(&list, &whole));
    ck_assert(wait_for_staff(2, "", 0));
    waiting_reports_add(&packed, &list);
    ck_assert_int_eq(waiting_reports_read(arena, packed.data, packed.length, &read), 1);
    ck_assert_uint_eq(read.count, 2);
    const struct waiting_report *one = &read.of[0];
    ck_assert_uint_eq(one->id, whole.id);
    ck_assert_int_eq(one->at_ms, whole.at_ms);
    ck_assert_int_eq(one->type, whole.type);
    ck_assert(one->of_loop);
    ck_assert_uint_eq(one->reporter, whole.reporter);
    ck_assert_str_eq(one->mailbox, whole.mailbox);
    ck_assert_str_eq(one->queue_id, whole.queue_id);
    ck_assert_str_eq(one->domain, whole.domain);
    ck_assert_int_eq(one->admitted_ms, whole.admitted_ms);
    ck_assert_uint_eq(one->decision, whole.decision);
    for (size_t length = 1; length < packed.length; length++) {
        char *copy = malloc(length); /* so that sanitizers see overreads */
        memcpy(copy, packed.data, length);
        if (!waiting_reports_read(arena, copy, length, &read))
            ck_assert_uint_eq(read.count, 0);
        free(copy);
    }
    packed.data[0]++;
    ck_assert_int_eq(waiting_reports_read(arena, packed.data, packed.length, &read), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("waiting reports");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, test_same);
    tcase_add_test(tcase, test_bounds);
    tcase_add_test(tcase, test_flooded);
    tcase_add_test(tcase, test_packed);
    Suite *suite = suite_create("waiting reports");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
