/* How much mail of a domain came to what, by outcome, class and destination. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/delivery_counts.h"

static struct delivery_counts counts;

static void begin(void) { counts = (struct delivery_counts){0}; }

static const struct counted_as nothing = {.delivery = DELIVERY_PENDING, .site = ""};

static struct counted_as as(enum delivery delivery, enum reply_class class, const char *site)
{
    return (struct counted_as){delivery, class, site};
}

static void move(struct counted_as before, struct counted_as after)
{
    delivery_counts_move(&counts, &before, &after);
}

static uint64_t at_site(const struct delivery_counts *in, const char *site, enum delivery delivery)
{
    for (size_t i = 0; i < in->site_count; i++)
        if (strcmp(in->sites[i].site, site) == 0)
            return in->sites[i].recipients[delivery];
    return in->sites[in->site_count].recipients[delivery];
}

START_TEST(test_one_recipient)
{
    struct counted_as deferred = as(DELIVERY_DEFERRED, REPLY_GREYLISTED, "mx.test"),
                             delivered = as(DELIVERY_DELIVERED, REPLY_GREYLISTED, "b.test");
    move(nothing, deferred);
    ck_assert_uint_eq(counts.recipients[DELIVERY_DEFERRED], 1);
    ck_assert_uint_eq(counts.classes[REPLY_GREYLISTED], 1);
    ck_assert_uint_eq(at_site(&counts, "mx.test", DELIVERY_DEFERRED), 1);
    move(deferred, delivered);
    ck_assert_uint_eq(counts.recipients[DELIVERY_DEFERRED], 0);
    ck_assert_uint_eq(counts.recipients[DELIVERY_DELIVERED], 1);
    ck_assert_uint_eq(counts.classes[REPLY_GREYLISTED], 0);
    ck_assert_uint_eq(at_site(&counts, "mx.test", DELIVERY_DEFERRED), 0);
    ck_assert_uint_eq(at_site(&counts, "b.test", DELIVERY_DELIVERED), 1);
    move(delivered, nothing);
    ck_assert_uint_eq(counts.recipients[DELIVERY_DELIVERED], 0);
}
END_TEST

static const char *site_name(int number)
{
    static char names[200][24];
    snprintf(names[number], sizeof names[number], "s%d.test", number);
    return names[number];
}

/* The first 64 destinations have names; the others, and names that are too long, count together. */
START_TEST(test_many_sites)
{
    char long_name[COUNTED_SITE_SIZE + 1];
    memset(long_name, 'a', COUNTED_SITE_SIZE);
    long_name[COUNTED_SITE_SIZE] = '\0';
    move(nothing, as(DELIVERY_FAILED, REPLY_OTHER, long_name));
    move(nothing, as(DELIVERY_FAILED, REPLY_OTHER, ""));
    ck_assert_uint_eq(counts.site_count, 0);
    for (int i = 0; i < 200; i++)
        move(nothing, as(DELIVERY_DELIVERED, REPLY_OTHER, site_name(i)));
    ck_assert_uint_eq(counts.site_count, COUNTED_SITES_MAX);
    ck_assert_uint_eq(at_site(&counts, site_name(63), DELIVERY_DELIVERED), 1);
    ck_assert_uint_eq(counts.sites[COUNTED_SITES_MAX].recipients[DELIVERY_DELIVERED], 200 - 64);
    ck_assert_uint_eq(counts.sites[COUNTED_SITES_MAX].recipients[DELIVERY_FAILED], 2);
    ck_assert_uint_eq(counts.recipients[DELIVERY_DELIVERED], 200);
}
END_TEST

START_TEST(test_there_and_back)
{
    struct delivery_counts read;
    freed_by(text_free) struct text packed = {0};
    counts.messages = 1234567;
    for (int i = 0; i < _i; i++)
        move(nothing, as((enum delivery)(1 + i % (DELIVERY_COUNT - 1)),
                         (enum reply_class)(i % REPLY_CLASS_COUNT), site_name(i)));
    delivery_counts_add(&packed, &counts);
    ck_assert_int_eq(delivery_counts_read(packed.data, packed.length, &read), 1);
    ck_assert_uint_eq(read.messages, counts.messages);
    ck_assert_uint_eq(read.site_count, counts.site_count);
    ck_assert_int_eq(memcmp(read.recipients, counts.recipients, sizeof read.recipients), 0);
    ck_assert_int_eq(memcmp(read.classes, counts.classes, sizeof read.classes), 0);
    for (size_t i = 0; i <= counts.site_count; i++) {
        ck_assert_str_eq(read.sites[i].site, counts.sites[i].site);
        ck_assert_int_eq(memcmp(read.sites[i].recipients, counts.sites[i].recipients,
                                sizeof read.sites[i].recipients), 0);
    }
    for (size_t length = 0; length < packed.length; length++)
        ck_assert_int_eq(delivery_counts_read(packed.data, length, &read), 0);
}
END_TEST

START_TEST(test_sum)
{
    struct delivery_counts sum = {.messages = 2};
    counts.messages = 3;
    for (int i = 0; i < 100; i++)
        move(nothing, as(DELIVERY_DELIVERED, REPLY_OTHER, site_name(i)));
    delivery_counts_sum(&sum, &counts);
    delivery_counts_sum(&sum, &counts);
    ck_assert_uint_eq(sum.messages, 8);
    ck_assert_uint_eq(sum.recipients[DELIVERY_DELIVERED], 200);
    ck_assert_uint_eq(at_site(&sum, site_name(5), DELIVERY_DELIVERED), 2);
    ck_assert_uint_eq(at_site(&sum, site_name(99), DELIVERY_DELIVERED), 72);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("delivery counts");
    TCase *cases = tcase_create("delivery counts");
    tcase_add_checked_fixture(cases, begin, NULL);
    tcase_add_test(cases, test_one_recipient);
    tcase_add_test(cases, test_many_sites);
    tcase_add_loop_test(cases, test_there_and_back, 0, 80);
    tcase_add_test(cases, test_sum);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
