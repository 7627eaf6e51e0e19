/* What is kept of a message in the mail server's queue. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mail/kept_open.h"

static struct arena *arena;

static void setup(void) { arena = arena_new(); }
static void teardown(void) { arena_free(&arena); }

/* Read from a block of exactly its size. */
static int reread(const struct text *packed, size_t length, struct kept_open *open_r)
{
    char *exact = malloc(length > 0 ? length : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, packed->data, length);
    int answer = kept_open_read(arena, exact, length, open_r);
    free(exact);
    return answer;
}

static void check_same(const struct kept_open *one, const struct kept_open *other)
{
    ck_assert_pstr_eq(one->mailbox, other->mailbox);
    ck_assert_pstr_eq(one->id, other->id);
    ck_assert_uint_eq(one->redeemed, other->redeemed);
    ck_assert_uint_eq(one->decision, other->decision);
    ck_assert_int_eq(one->seen_ms, other->seen_ms);
    ck_assert_uint_eq(one->part, other->part);
    ck_assert_uint_eq(one->message_id, other->message_id);
    ck_assert(one->refused == other->refused && one->silent == other->silent);
}

static const struct kept_open opens[] = {
    {0},
    {.mailbox = "alice@example.test", .id = "4F0A11/7.0", .decision = UINT64_C(0x123456789abcdef),
     .seen_ms = INT64_C(1763790000123), .part = 70000, .message_id = UINT32_MAX, .refused = true,
     .silent = true},
    {.mailbox = "", .seen_ms = 1, .silent = true},
    {.id = "4F0A11/7.0", .decision = 1, .refused = true},
    {.mailbox = "alice@example.test", .redeemed = UINT32_MAX, .decision = 1},
};

START_TEST(comes_back)
{
    freed_by(text_free) struct text packed = {0};
    struct kept_open again;
    kept_open_add(&packed, &opens[_i]);
    ck_assert_int_eq(reread(&packed, packed.length, &again), 1);
    check_same(&opens[_i], &again);
}
END_TEST

/* Cut anywhere, or of another format, it is none. */
START_TEST(damaged)
{
    freed_by(text_free) struct text packed = {0};
    struct kept_open again;
    kept_open_add(&packed, &opens[_i]);
    for (size_t length = 0; length < packed.length; length++)
        ck_assert_int_eq(reread(&packed, length, &again), 0);
    packed.data[0]++;
    ck_assert_int_eq(reread(&packed, packed.length, &again), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kept open");
    TCase *cases = tcase_create("kept open");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, comes_back, 0, (int)(sizeof opens / sizeof *opens));
    tcase_add_loop_test(cases, damaged, 0, (int)(sizeof opens / sizeof *opens));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
