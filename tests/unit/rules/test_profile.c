/* What is usual of a mailbox, and when a message is unusual: edges, and against a model that remembers
 * every message. SENDGUARD_SEED repeats a run. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/profile.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/servers.h"

/* Noon of a day. */
#define NOON (INT64_C(20000) * DAY_MS + 12 * HOUR_MS)
enum { HOME = 7, ABROAD = 8 };

static const struct unusual_limits usual_limits = {40, 20, 3};
static struct text profile;
static struct unusual unusual;

static void begin(void) { text_clear(&profile); }

/* A recipient's hash. */
static uint64_t at_domain(uint64_t domain, uint64_t number) { return domain << 24 | number; }

/* To `count` recipients from `first` on, at `domains` domains in turn. Whether the profile changed. */
static bool write_to(int64_t at_ms, uint64_t network, uint64_t first, size_t count, uint64_t domains)
{
    uint64_t *recipients = xmalloc((count + 1) * sizeof recipients[0]);
    size_t place = 0;
    for (uint64_t domain = 0; domain < domains; domain++)
        for (uint64_t number = first; number < first + count; number++)
            if (number % domains == domain)
                recipients[place++] = at_domain(domain + 1, number);
    struct profile_change change = profile_add(
        &profile, &(struct profile_message){.at_ms = at_ms, .recipients = recipients,
                                             .count = count, .network = network}, &usual_limits,
        &unusual);
    free(recipients);
    return change.changed;
}

/* A mailbox that is known for ten days, and to which `known` recipients at one domain are known. */
static void begin_known(size_t known)
{
    begin();
    write_to(NOON - 10 * DAY_MS, HOME, 0, known, 1);
    write_to(NOON - 3 * DAY_MS, HOME, 0, known, 1);
}

/* ---- edges ------------------------------------------------------------------------------------ */

START_TEST(test_strangers_from_a_new_network)
{
    begin_known(12);
    write_to(NOON, ABROAD, 1000, 40, 30);
    ck_assert(!unusual_is(&unusual));
    write_to(NOON + 1, ABROAD, 2000, 1, 1);
    ck_assert(unusual_is(&unusual));
    ck_assert_uint_eq(unusual.new_recipients, 41);
    ck_assert_uint_eq(unusual.new_domains, 29); /* at domain 1 there are known ones */
    ck_assert_uint_eq(unusual.busiest, 12);
    ck_assert_uint_eq(unusual.history_days, 10);
    ck_assert(unusual.network_new && unusual.first && unusual_has_domains(&unusual));
    ck_assert_uint_eq(unusual.limits.new_recipients, 40);
    write_to(NOON + 2, ABROAD, 3000, 1, 1);
    ck_assert(unusual_is(&unusual) && !unusual.first);
    write_to(NOON + 3, ABROAD, 0, 12, 1); /* nobody new */
    ck_assert(!unusual_is(&unusual));
}
END_TEST

/* Each alone is enough: a new network, new domains, no history. */
START_TEST(test_reasons)
{
    begin_known(1);
    write_to(NOON, HOME, 1000, 41, 21);
    ck_assert(!unusual_is(&unusual)); /* one of 21 domains is known */
    begin_known(1);
    write_to(NOON, HOME, 1000, 44, 22);
    ck_assert(unusual_is(&unusual) && !unusual.network_new);
    ck_assert_uint_eq(unusual.new_domains, 21);
    begin_known(1);
    write_to(NOON, ABROAD, 1000, 41, 1);
    ck_assert(unusual_is(&unusual) && unusual.network_new && !unusual_has_domains(&unusual));
    begin();
    write_to(NOON, HOME, 0, 1, 1);
    write_to(NOON + 7 * DAY_MS - 1, HOME, 1000, 41, 1);
    ck_assert(unusual_is(&unusual) && unusual_has_no_history(&unusual) && !unusual.network_new);
    begin();
    write_to(NOON, HOME, 0, 1, 1);
    write_to(NOON + 7 * DAY_MS, HOME, 1000, 41, 1);
    ck_assert(!unusual_is(&unusual));
}
END_TEST

START_TEST(test_known_recipients_never)
{
    begin_known(150);
    ck_assert(!write_to(NOON, HOME, 0, 150, 1));
    ck_assert(!unusual_is(&unusual));
    write_to(NOON, ABROAD, 0, 150, 1);
    ck_assert(!unusual_is(&unusual));
}
END_TEST

START_TEST(test_a_new_network_for_a_day)
{
    begin_known(1);
    write_to(NOON, ABROAD, 0, 1, 1);
    write_to(NOON + DAY_MS - 1, ABROAD, 1000, 41, 1);
    ck_assert(unusual_is(&unusual));
    begin_known(1);
    write_to(NOON, ABROAD, 0, 1, 1);
    write_to(NOON + DAY_MS, ABROAD, 1000, 41, 1);
    ck_assert(!unusual_is(&unusual));
    begin_known(1);
    write_to(NOON, 0, 1000, 41, 1); /* it is not known where it came from */
    ck_assert(!unusual_is(&unusual));
}
END_TEST

/* To the millisecond. */
START_TEST(test_the_hour)
{
    begin_known(1);
    write_to(NOON, ABROAD, 1000, 40, 1);
    write_to(NOON + HOUR_MS - 1, ABROAD, 2000, 1, 1);
    ck_assert_uint_eq(unusual.new_recipients, 41);
    begin_known(1);
    write_to(NOON, ABROAD, 1000, 40, 1);
    write_to(NOON + HOUR_MS, ABROAD, 2000, 1, 1);
    ck_assert(!unusual_is(&unusual));
}
END_TEST

/* Three times the busiest hour, on 28 days; never of the day itself, nor of an hour that goes on. */
START_TEST(test_the_busiest_hour)
{
    begin();
    write_to(NOON - 40 * DAY_MS, HOME, 0, 1, 1);
    write_to(NOON - 28 * DAY_MS, HOME, 1000, 30, 1);
    write_to(NOON, ABROAD, 2000, 90, 1);
    ck_assert(!unusual_is(&unusual));
    write_to(NOON + 1, ABROAD, 3000, 1, 1);
    ck_assert_uint_eq(unusual.new_recipients, 91);
    ck_assert_uint_eq(unusual.busiest, 30);
    write_to(NOON + 2 * HOUR_MS, ABROAD, 4000, 91, 1); /* the day's busiest hour counts later */
    ck_assert_uint_eq(unusual.busiest, 30);
    ck_assert(unusual.first);
    write_to(NOON + DAY_MS, ABROAD + 1, 5000, 273, 1);
    ck_assert(!unusual_is(&unusual));
    begin();
    write_to(NOON - 40 * DAY_MS, HOME, 0, 1, 1);
    write_to(NOON - 29 * DAY_MS, HOME, 1000, 30, 1);
    write_to(NOON, ABROAD, 2000, 41, 1);
    ck_assert(unusual_is(&unusual));
    ck_assert_uint_eq(unusual.busiest, 0);
    begin_known(1); /* midnight */
    write_to(NOON + 12 * HOUR_MS - 1, ABROAD, 1000, 40, 1);
    write_to(NOON + 12 * HOUR_MS, ABROAD, 2000, 1, 1);
    ck_assert_uint_eq(unusual.new_recipients, 41);
    ck_assert_uint_eq(unusual.busiest, 1);
}
END_TEST

/* A day is written anew once a week; 90 days after the last message a recipient is still known, 97
 * days after it no longer. */
START_TEST(test_forgotten_recipients)
{
    begin_known(1);
    ck_assert(!write_to(NOON + DAY_MS, HOME, 0, 1, 1));
    ck_assert(write_to(NOON + 4 * DAY_MS, HOME, 0, 1, 1));
    ck_assert(!write_to(NOON + 10 * DAY_MS, HOME, 0, 1, 1));
    struct text before = {0};
    text_add_bytes(&before, profile.data, profile.length);
    write_to(NOON + 100 * DAY_MS, 0, 0, 1, 1);
    write_to(NOON + 100 * DAY_MS, ABROAD, 1000, 41, 21);
    ck_assert_uint_eq(unusual.new_recipients, 41);
    ck_assert_uint_eq(unusual.new_domains, 20);
    text_clear(&profile);
    text_add_bytes(&profile, before.data, before.length);
    write_to(NOON + 101 * DAY_MS, 0, 0, 1, 1); /* new again, and its domain */
    write_to(NOON + 101 * DAY_MS, ABROAD, 1000, 40, 20);
    ck_assert_uint_eq(unusual.new_recipients, 41);
    ck_assert_uint_eq(unusual.new_domains, 20);
    text_free(&before);
}
END_TEST

/* The first recipient's place says how many stand before the head. */
static size_t known_count(void)
{
    const uint8_t *tail = (const uint8_t *)profile.data + profile.length - PROFILE_TAIL_BYTES;
    return (profile.length - (size_t)(tail[0] << 8 | tail[1])) / PROFILE_RECIPIENT_BYTES;
}

START_TEST(test_many_recipients)
{
    begin();
    for (uint64_t i = 0; i < 10; i++)
        write_to(NOON + (int64_t)i * DAY_MS, HOME, 1000 * i, 100, 5);
    ck_assert_uint_eq(known_count(), PROFILE_RECIPIENTS_MAX);
    write_to(NOON + 10 * DAY_MS, HOME, 0, 1, 5); /* one of the oldest is written to again */
    write_to(NOON + 10 * DAY_MS, HOME, 20000, 1, 5);
    ck_assert_uint_eq(known_count(), PROFILE_RECIPIENTS_LEFT);
    ck_assert(!write_to(NOON + 10 * DAY_MS, HOME, 0, 1, 5));
    ck_assert(!write_to(NOON + 10 * DAY_MS, HOME, 9000, 100, 5));
    ck_assert(write_to(NOON + 10 * DAY_MS, HOME, 1, 1, 5)); /* of the first day */
    write_to(NOON + 10 * DAY_MS, HOME, 30000, 3000, 5); /* more than are kept */
    ck_assert_uint_eq(known_count(), PROFILE_RECIPIENTS_LEFT);
    ck_assert_uint_le(profile.length, PROFILE_RECIPIENTS_MAX * 16);
    /* past ones go first */
    begin();
    write_to(NOON, HOME, 0, 500, 5);
    write_to(NOON + 98 * DAY_MS, HOME, 1000, 501, 5);
    ck_assert_uint_eq(known_count(), 501);
}
END_TEST

START_TEST(test_many_networks)
{
    begin_known(1);
    for (uint64_t i = 0; i < PROFILE_NETWORKS_MAX; i++)
        write_to(NOON + (int64_t)i * DAY_MS, 100 + i, 0, 1, 1);
    write_to(NOON + 16 * DAY_MS, 101, 1000, 41, 1); /* that of the first of them took HOME's place */
    ck_assert(!unusual.network_new);
    write_to(NOON + 20 * DAY_MS, HOME, 2000, 200, 1);
    ck_assert(unusual.network_new);
    write_to(NOON + 56 * DAY_MS, 102, 3000, 700, 1); /* not used for 37 days */
    ck_assert(unusual.network_new);
}
END_TEST

/* More messages in an hour than are told apart count all the same. */
START_TEST(test_many_messages)
{
    begin_known(1);
    for (int i = 0; i < 500; i++) {
        write_to(NOON + i, ABROAD, 1000 + (uint64_t)i, 1, 1);
        ck_assert_int_eq((int)unusual.new_recipients, i < 40 ? 0 : i + 1);
    }
    ck_assert_uint_le(profile.length, 500 * 8 + PROFILE_ENTRIES_MAX * 12 + 500);
    write_to(NOON + HOUR_MS + 499, ABROAD, 5000, 40, 1);
    ck_assert(!unusual_is(&unusual)); /* all are an hour old */
    write_to(NOON + DAY_MS, ABROAD + 1, 6000, 1501, 1);
    ck_assert_uint_eq(unusual.busiest, 500);
    write_to(NOON + DAY_MS, ABROAD + 1, 10000, 9999, 1);
    for (uint64_t i = 2; i < 9; i++)
        write_to(NOON + DAY_MS, ABROAD + 1, 10000 * i, 10000, 1);
    ck_assert_uint_eq(unusual.new_recipients, PROFILE_NUMBER_MAX);
}
END_TEST

/* A clock was a year ahead. */
START_TEST(test_wrong_clock)
{
    begin_known(1);
    write_to(NOON + 365 * DAY_MS, ABROAD, 1000, 30, 1);
    write_to(NOON, ABROAD, 2000, 11, 1);
    ck_assert_uint_eq(unusual.new_recipients, 41);
    ck_assert(unusual.network_new);
    ck_assert_uint_eq(unusual.history_days, 10);
    ck_assert(write_to(NOON + 1, ABROAD, 1000, 1, 1)); /* its day is mended */
    ck_assert(!write_to(NOON + 2, ABROAD, 1000, 1, 1));
    begin();
    write_to(NOON + 365 * DAY_MS, HOME, 0, 1, 1);
    write_to(NOON, HOME, 1000, 41, 1);
    ck_assert(unusual_has_no_history(&unusual) && unusual_is(&unusual));
    write_to(NOON + 8 * DAY_MS, ABROAD, 2000, 200, 1);
    ck_assert_uint_eq(unusual.history_days, 8);
}
END_TEST

/* Whatever is there, no byte is read that is not; what cannot be read begins anew. */
START_TEST(test_damaged)
{
    begin_known(3);
    write_to(NOON, ABROAD, 1000, 30, 3);
    size_t length = profile.length;
    struct text whole = {0};
    text_add_bytes(&whole, profile.data, length);
    for (size_t cut = 0; cut < length; cut++) {
        char *exact = xmalloc(cut + 1);
        memcpy(exact, whole.data, cut);
        struct text some = {exact, cut, cut + 1};
        profile_add(&some, &(struct profile_message){NOON, (const uint64_t[]){1}, 1, HOME, UNUSUAL_NOTE},
                    &usual_limits, &unusual);
        ck_assert_uint_ge(some.length, PROFILE_RECIPIENT_BYTES);
        text_free(&some);
    }
    for (size_t at = 0; at < length; at++)
        for (int value = 0; value < 256; value += 51) {
            text_clear(&profile);
            text_add_bytes(&profile, whole.data, length);
            profile.data[at] = (char)value;
            write_to(NOON + HOUR_MS, HOME, 5000, 200, 2);
            write_to(NOON + HOUR_MS + 1, HOME, 5000, 200, 2);
            ck_assert(!unusual_is(&unusual));
        }
    text_free(&whole);
}
END_TEST

static bool is_same(const struct unusual *one, const struct unusual *other)
{
    return one->new_recipients == other->new_recipients && one->new_domains == other->new_domains &&
           one->busiest == other->busiest && one->history_days == other->history_days &&
           one->network_new == other->network_new && one->first == other->first &&
           one->action == other->action &&
           one->limits.new_recipients == other->limits.new_recipients &&
           one->limits.new_domains == other->limits.new_domains &&
           one->limits.factor == other->limits.factor;
}

START_TEST(test_packed)
{
    uint8_t bytes[UNUSUAL_BYTES];
    const struct unusual one = {1, 2, 3, 4, true, false, UNUSUAL_HOLD, {5, 6, 7}};
    const struct unusual other = {65535, 65534, 65533, 255, false, true, UNUSUAL_NOTE,
                                  {65532, 65531, 255}};
    struct unusual read;
    unusual_put(bytes, &one);
    unusual_get(bytes, &read);
    ck_assert(is_same(&read, &one));
    unusual_put(bytes, &other);
    unusual_get(bytes, &read);
    ck_assert(is_same(&read, &other));
}
END_TEST

/* ---- the model -------------------------------------------------------------------------------- */

enum { DOMAINS = 9, RECIPIENTS = 60, NETWORKS = 5, MESSAGES = 3000, RUNS = 20 };

static struct {
    struct {
        int64_t time_ms;
        uint32_t recipients, domains;
    } messages[MESSAGES];
    size_t count;
    int64_t begin_ms, unusual_ms;
    int64_t written[RECIPIENTS]; /* day that is kept; 0: none */
    int64_t first_ms[NETWORKS], used[NETWORKS];
} model;

static uint64_t model_recipient(int number)
{
    return at_domain(100 + (uint64_t)(number % DOMAINS), 1000 + (uint64_t)number);
}

static bool model_knows(int number, int64_t today)
{
    return model.written[number] > 0 && model.written[number] > today - 97;
}

static bool model_knows_domain(int domain, int64_t today)
{
    for (int number = domain; number < RECIPIENTS; number += DOMAINS)
        if (model_knows(number, today))
            return true;
    return false;
}

/* New recipients of the hour up to and with message `last`. */
static uint32_t hour_of(size_t last)
{
    uint32_t sum = 0;
    for (size_t i = 0; i <= last; i++)
        if (model.messages[i].time_ms > model.messages[last].time_ms - HOUR_MS)
            sum += model.messages[i].recipients;
    return sum;
}

/* The network of a message: whether it is new. */
static bool model_network(int network, int64_t at_ms)
{
    int64_t today = at_ms / DAY_MS;
    if (model.used[network] == 0 || model.used[network] <= today - 37) {
        model.first_ms[network] = at_ms;
        model.used[network] = today;
    }
    if (model.used[network] <= today - 7)
        model.used[network] = today;
    return at_ms - model.first_ms[network] < DAY_MS;
}

/* What the message, to the recipients of which the bit is set, has of new ones. */
static void model_enter(uint64_t mask, int64_t at_ms)
{
    int64_t today = at_ms / DAY_MS;
    unsigned fresh_domains = 0;
    uint32_t fresh = 0, domains = 0;
    for (int number = 0; number < RECIPIENTS; number++)
        if ((mask >> number & 1) != 0 && !model_knows(number, today)) {
            fresh++;
            fresh_domains |= !model_knows_domain(number % DOMAINS, today) ? 1u << number % DOMAINS : 0;
        }
    for (int domain = 0; domain < DOMAINS; domain++)
        domains += fresh_domains >> domain & 1;
    for (int number = 0; number < RECIPIENTS; number++)
        if ((mask >> number & 1) != 0 && model.written[number] <= today - 7)
            model.written[number] = today;
    model.messages[model.count].time_ms = at_ms;
    model.messages[model.count].recipients = fresh;
    model.messages[model.count++].domains = domains;
}

static struct unusual model_expects(int64_t at_ms, bool network_new,
                                    const struct unusual_limits *limits)
{
    struct unusual expected = {.network_new = network_new, .limits = *limits};
    int64_t today = at_ms / DAY_MS;
    for (size_t i = 0; i < model.count; i++) {
        int64_t time_ms = model.messages[i].time_ms, day = time_ms / DAY_MS;
        if (time_ms > at_ms - HOUR_MS)
            expected.new_domains += model.messages[i].domains;
        else if (model.messages[i].recipients > 0 && day < today && day >= today - 28 &&
                 hour_of(i) > expected.busiest)
            expected.busiest = hour_of(i);
    }
    int64_t days = (at_ms - model.begin_ms) / DAY_MS;
    expected.history_days = days < 255 ? (uint32_t)days : 255;
    expected.new_recipients = hour_of(model.count - 1);
    expected.first = model.unusual_ms == 0 || model.unusual_ms <= at_ms - HOUR_MS;
    bool is = model.messages[model.count - 1].recipients > 0 &&
              expected.new_recipients > limits->new_recipients &&
              expected.new_recipients > limits->factor * expected.busiest &&
              (network_new || expected.new_domains > limits->new_domains || days < 7);
    if (is)
        model.unusual_ms = at_ms;
    return is ? expected : (struct unusual){0};
}

static int64_t some_time(void)
{
    int kind = below(1000);
    return kind < 300   ? below(3)
           : kind < 700 ? below(20 * (int)MINUTE_MS)
           : kind < 800 ? HOUR_MS - 1 + below(3)
           : kind < 950 ? below(30) * HOUR_MS
           : kind < 990 ? below(10) * DAY_MS
           : kind < 997 ? below(40) * DAY_MS
                        : below(110) * DAY_MS;
}

/* One mailbox's messages. Returns how many were unusual. */
static int run_model(void)
{
    const struct unusual_limits limits = {(uint32_t)below(20), (uint32_t)below(6),
                                          1 + (uint32_t)below(3)};
    int64_t at_ms = NOON + below(DAY_MS);
    int found = 0;
    memset(&model, 0, sizeof model);
    model.begin_ms = at_ms;
    begin();
    for (int step = 0; step < MESSAGES; step++) {
        uint64_t mask = 0, recipients[RECIPIENTS];
        struct profile_message message = {.at_ms = at_ms, .recipients = recipients};
        int network = below(percent(90) ? 2 : NETWORKS);
        for (int i = below(percent(80) ? 4 : 40); i > 0; i--)
            mask |= UINT64_C(1) << below(percent(70) ? RECIPIENTS / 4 : RECIPIENTS);
        for (int domain = 0; domain < DOMAINS; domain++) /* rising */
            for (int number = domain; number < RECIPIENTS; number += DOMAINS)
                if ((mask >> number & 1) != 0)
                    recipients[message.count++] = model_recipient(number);
        message.network = 5000 + (uint64_t)network;
        bool network_new = model_network(network, at_ms);
        model_enter(mask, at_ms);
        struct unusual expected = model_expects(at_ms, network_new, &limits);
        profile_add(&profile, &message, &limits, &unusual);
        ck_assert_msg(is_same(&unusual, &expected), "step %d: %u, not %u of the hour, busiest %u, "
                      "not %u", step, unusual.new_recipients, expected.new_recipients,
                      unusual.busiest, expected.busiest);
        found += unusual_is(&unusual);
        at_ms += some_time();
    }
    return found;
}

START_TEST(test_against_model)
{
    int found = 0;
    chance_begin();
    for (int run = 0; run < RUNS; run++)
        found += run_model();
    ck_assert_int_gt(found, 20);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("profile");
    TCase *cases = tcase_create("profile");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, test_strangers_from_a_new_network);
    tcase_add_test(cases, test_reasons);
    tcase_add_test(cases, test_known_recipients_never);
    tcase_add_test(cases, test_a_new_network_for_a_day);
    tcase_add_test(cases, test_the_hour);
    tcase_add_test(cases, test_the_busiest_hour);
    tcase_add_test(cases, test_forgotten_recipients);
    tcase_add_test(cases, test_many_recipients);
    tcase_add_test(cases, test_many_networks);
    tcase_add_test(cases, test_many_messages);
    tcase_add_test(cases, test_wrong_clock);
    tcase_add_test(cases, test_damaged);
    tcase_add_test(cases, test_packed);
    tcase_add_test(cases, test_against_model);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    text_free(&profile);
    return failed != 0;
}
