/* From must match the account: whose an address is, against a model that knows all addresses, and
 * how many messages suspend, against a model that looks at all that came. SENDGUARD_SEED repeats a
 * run. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/identity.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/servers.h"

#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)
#define ALICE "alice@example.test"

/* ---- whose address it is --------------------------------------------------------------------- */

/* What is known of a key: who has it, and who does not answer. */
struct known {
    const char *key;
    int may;
};
static const struct known *table;
static size_t table_count;
static bool hosts_example;

static int may(void *context, const char *key)
{
    (void)context;
    for (size_t i = 0; i < table_count; i++)
        if (strcmp(table[i].key, key) == 0)
            return table[i].may;
    return 0;
}

static bool is_hosted(void *context, const char *domain)
{
    (void)context;
    return hosts_example && strcmp(domain, "example.test") == 0;
}

static bool is_unroutable(void *context, const char *domain)
{
    (void)context;
    return strcmp(domain, "host.localhost") == 0;
}

static enum identity judge(const char *address)
{
    static const struct identity_world world = {may, is_hosted, is_unroutable, NULL};
    freed_by(arena_free) struct arena *arena = arena_new();
    return identity_judge(arena, ALICE, address, &world);
}

START_TEST(test_rows)
{
    static const struct known known[] = {{"sales@example.test", 1}, {"@alias.test", 1},
                                         {"info@else.test", 1}, {"away@else.test", -1},
                                         {"cron@host", 1}, {ALICE, 0}};
    static const struct {
        const char *address;
        enum identity expected;
    } rows[] = {
        {ALICE, IDENTITY_OK},
        {"alice+tag@example.test", IDENTITY_OK},
        {"alice+tag+tag@example.test", IDENTITY_OK},
        {"sales@example.test", IDENTITY_OK},
        {"sales+tag@example.test", IDENTITY_OK},
        {"sales+tag@else.test", IDENTITY_FOREIGN},
        {"+alice@example.test", IDENTITY_NOT_YOURS},
        {"\"alice+tag\"@example.test", IDENTITY_NOT_YOURS},
        {"anything@alias.test", IDENTITY_OK},
        {"any+thing@alias.test", IDENTITY_OK},
        {"anything@sub.alias.test", IDENTITY_FOREIGN},
        {"info@else.test", IDENTITY_OK},
        {"away@else.test", IDENTITY_UNKNOWN},
        {"away+tag@else.test", IDENTITY_UNKNOWN},
        {"here@else.test", IDENTITY_FOREIGN},
        {"bob@example.test", IDENTITY_NOT_YOURS},
        {"alice@else.test", IDENTITY_FOREIGN},
        {"root@localhost", IDENTITY_UNROUTABLE},
        {"root@host.localhost", IDENTITY_UNROUTABLE},
        {"cron@host", IDENTITY_OK},
        {"root@host", IDENTITY_UNROUTABLE},
        {"root@[192.0.2.1]", IDENTITY_FOREIGN},
        {"root@[ipv6:2001:db8::1]", IDENTITY_FOREIGN},
        {"\"a@b\"@example.test", IDENTITY_NOT_YOURS},
    };
    table = known;
    table_count = countof(known);
    hosts_example = true;
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(judge(rows[i].address) == rows[i].expected, "%s", rows[i].address);
    hosts_example = false;
    ck_assert_int_eq(judge("bob@example.test"), IDENTITY_FOREIGN);
    ck_assert_int_eq(judge("root@localhost"), IDENTITY_UNROUTABLE);
}
END_TEST

/* Every local part and domain, with all that owners can say of the keys. */
START_TEST(test_all_answers)
{
    static const char *const locals[] = {"alice", "bob"};
    static const char *const tags[] = {"", "+x"};
    static const char *const domains[] = {"example.test", "else.test", "host"};
    enum { ANSWERS = 27 };
    hosts_example = true;
    for (size_t i = 0; i < countof(locals) * countof(tags) * countof(domains) * ANSWERS; i++) {
        const char *local = locals[i % 2], *tag = tags[i / 2 % 2], *domain = domains[i / 4 % 3];
        int answers = (int)(i / 12), of_address = answers % 3 - 1, untagged = answers / 3 % 3 - 1,
            of_domain = answers / 9 - 1;
        char address[64], without[64], at[64];
        snprintf(address, sizeof address, "%s%s@%s", local, tag, domain);
        snprintf(without, sizeof without, "%s@%s", local, domain);
        snprintf(at, sizeof at, "@%s", domain);
        const struct known known[] = {{address, of_address}, {without, untagged}, {at, of_domain}};
        table = known;
        table_count = countof(known);
        bool plain = tag[0] == '\0', own = strcmp(without, ALICE) == 0;
        bool any_yes = of_address > 0 || of_domain > 0 || (!plain && untagged > 0);
        bool any_silent = of_address < 0 || of_domain < 0 || (!plain && untagged < 0);
        enum identity no = strcmp(domain, "host") == 0        ? IDENTITY_UNROUTABLE
                           : strcmp(domain, "else.test") == 0 ? IDENTITY_FOREIGN
                                                              : IDENTITY_NOT_YOURS;
        ck_assert_msg(judge(address) == (own || any_yes ? IDENTITY_OK
                                         : any_silent   ? IDENTITY_UNKNOWN
                                                        : no),
                      "%s %d", address, answers);
    }
}
END_TEST

/* ---- messages with a foreign From ------------------------------------------------------------ */

/* Two hashes; equal ones with the same numbers. */
static uint64_t attempt_of(uint32_t one, uint32_t other)
{
    return (uint64_t)(one + 1) << 32 | (other + 1000);
}

START_TEST(test_three)
{
    struct identity_messages messages = {0};
    ck_assert_int_eq(identity_take(&messages, attempt_of(1, 1), NOON), IDENTITY_TAKEN);
    for (int i = 0; i < 10; i++) /* an outbox */
        ck_assert_int_eq(identity_take(&messages, attempt_of(1, 1), NOON + i), IDENTITY_KNOWN);
    ck_assert_int_eq(identity_take(&messages, attempt_of(1, 9), NOON + 10), IDENTITY_KNOWN);
    ck_assert_int_eq(identity_take(&messages, attempt_of(9, 1), NOON + 10), IDENTITY_KNOWN);
    ck_assert_int_eq(identity_take(&messages, attempt_of(2, 2), NOON + 11), IDENTITY_TAKEN);
    struct identity_messages later = messages;
    ck_assert_int_eq(identity_take(&messages, attempt_of(3, 3), NOON + IDENTITY_MS - 1),
                     IDENTITY_SUSPENDS);
    ck_assert_int_eq(identity_take(&later, attempt_of(3, 3), NOON + IDENTITY_MS), IDENTITY_TAKEN);
    ck_assert_int_eq(identity_take(&messages, attempt_of(4, 4), NOON + IDENTITY_MS),
                     IDENTITY_TAKEN);
    ck_assert_uint_eq(messages.count, 1); /* the others are used up */
}
END_TEST

/* What a clock noted that was ahead does not stay. */
START_TEST(test_clock_ahead)
{
    struct identity_messages messages = {0};
    ck_assert_int_eq(identity_take(&messages, attempt_of(1, 1), NOON + HOUR_MS), IDENTITY_TAKEN);
    ck_assert_int_eq(identity_take(&messages, attempt_of(2, 2), NOON), IDENTITY_TAKEN);
    ck_assert_uint_eq(messages.count, 2);
    ck_assert_int_eq(identity_take(&messages, attempt_of(3, 3), NOON - 1), IDENTITY_TAKEN);
    ck_assert_uint_eq(messages.count, 2);
}
END_TEST

enum { SCHEDULES = 2000, STEPS = 60, ATTEMPTS = 6 };

START_TEST(test_model)
{
    static const int64_t gaps[] = {0, 1, HOUR_MS, IDENTITY_MS / 2, IDENTITY_MS - 1, IDENTITY_MS};
    for (int schedule = 0; schedule < SCHEDULES; schedule++) {
        struct {
            int64_t at_ms;
            uint32_t number;
            bool counts;
        } came[STEPS];
        struct identity_messages messages = {0};
        int64_t now_ms = NOON;
        int first = 0; /* since the last suspension */
        for (int step = 0; step < STEPS; step++) {
            freed_by(text_free) struct text packed = {0};
            uint32_t number = (uint32_t)below(ATTEMPTS), others = 0;
            bool known = false;
            now_ms += gaps[below(countof(gaps))];
            for (int i = first; i < step; i++)
                if (came[i].counts && now_ms - came[i].at_ms < IDENTITY_MS) {
                    known = known || came[i].number == number;
                    others++;
                }
            came[step] = (typeof(came[0])){now_ms, number, !known};
            enum identity_taken expected = known                             ? IDENTITY_KNOWN
                                           : others + 1 == IDENTITY_MESSAGES ? IDENTITY_SUSPENDS
                                                                             : IDENTITY_TAKEN;
            ck_assert_int_eq(identity_take(&messages, attempt_of(number, number), now_ms),
                             expected);
            if (expected == IDENTITY_SUSPENDS)
                first = step + 1;
            identity_add(&packed, &messages);
            ck_assert_int_eq(identity_read(packed.data, packed.length, &messages), 1);
        }
    }
}
END_TEST

START_TEST(test_packed)
{
    freed_by(text_free) struct text packed = {0};
    struct identity_messages messages = {2, {{NOON, attempt_of(1, 2)}, {NOON + 1, UINT64_MAX}}};
    struct identity_messages read;
    identity_add(&packed, &messages);
    ck_assert_int_eq(identity_read(packed.data, packed.length, &read), 1);
    ck_assert_uint_eq(read.count, 2);
    for (size_t i = 0; i < read.count; i++) {
        ck_assert_int_eq(read.of[i].at_ms, messages.of[i].at_ms);
        ck_assert_uint_eq(read.of[i].attempt, messages.of[i].attempt);
    }
    for (size_t length = 0; length < packed.length; length++)
        if (length % 14 != 1) {
            ck_assert_int_eq(identity_read(packed.data, length, &read), 0);
            ck_assert_uint_eq(read.count, 0);
        }
    packed.data[0]++;
    ck_assert_int_eq(identity_read(packed.data, packed.length, &read), 0);
}
END_TEST

int main(void)
{
    chance_begin();
    TCase *tcase = tcase_create("identity");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_rows);
    tcase_add_test(tcase, test_all_answers);
    tcase_add_test(tcase, test_three);
    tcase_add_test(tcase, test_clock_ahead);
    tcase_add_test(tcase, test_model);
    tcase_add_test(tcase, test_packed);
    Suite *suite = suite_create("identity");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
