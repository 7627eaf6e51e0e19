/* The addresses of hosts. A name server that does not answer: tests/blackbox/test_redis_access.py. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/lookup.h"

#define LONG_US INT64_C(10000000)

START_TEST(test_an_address_takes_no_time)
{
    struct lookup *lookup = NULL;
    struct addrinfo *addresses = NULL;
    const char *why = NULL;
    ck_assert_int_eq(lookup_host(&lookup, "192.0.2.7", 6379, 0, &addresses, &why), 1);
    const struct sockaddr_in *address = (const void *)addresses->ai_addr;
    ck_assert_uint_eq(ntohl(address->sin_addr.s_addr), 0xC0000207);
    ck_assert_uint_eq(ntohs(address->sin_port), 6379);
    ck_assert_ptr_null(lookup);
    freeaddrinfo(addresses);
    ck_assert_int_eq(lookup_host(&lookup, "::1", 6379, 0, &addresses, &why), 1);
    ck_assert_int_eq(addresses->ai_family, AF_INET6);
    freeaddrinfo(addresses);
}
END_TEST

/* What came too late for one call, the next one has. */
START_TEST(test_a_name)
{
    struct lookup *lookup = NULL;
    struct addrinfo *addresses = NULL;
    const char *why = NULL;
    int found = lookup_host(&lookup, "localhost", 6379, 0, &addresses, &why);
    if (found < 0) {
        ck_assert_ptr_nonnull(lookup);
        found = lookup_host(&lookup, "localhost", 6379, clock_monotonic_us() + LONG_US, &addresses,
                            &why);
    }
    ck_assert_int_eq(found, 1);
    ck_assert_ptr_null(lookup);
    freeaddrinfo(addresses);
}
END_TEST

START_TEST(test_left_alone)
{
    for (int i = 0; i < 100; i++) {
        struct lookup *lookup = NULL;
        struct addrinfo *addresses = NULL;
        const char *why = NULL;
        if (lookup_host(&lookup, "localhost", i, 0, &addresses, &why) == 1)
            freeaddrinfo(addresses);
        lookup_free(&lookup);
        ck_assert_ptr_null(lookup);
    }
}
END_TEST

START_TEST(test_no_name)
{
    struct lookup *lookup = NULL;
    struct addrinfo *addresses = NULL;
    const char *why = NULL;
    ck_assert_int_eq(lookup_host(&lookup, "no..name", 1, clock_monotonic_us() + LONG_US,
                                 &addresses, &why), 0);
    ck_assert_ptr_nonnull(why);
    ck_assert_ptr_null(lookup);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lookup");
    TCase *tests = tcase_create("lookup");
    tcase_add_test(tests, test_an_address_takes_no_time);
    tcase_add_test(tests, test_a_name);
    tcase_add_test(tests, test_left_alone);
    tcase_add_test(tests, test_no_name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
