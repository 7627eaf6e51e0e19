/* Profiles of mailboxes: both databases keep and tell, byte for byte, what rules/profile.h makes of the
 * messages that are counted, which its own test holds against a model; in the step that judges, and
 * nothing of others, whatever a process remembers (profile_memory.h). SENDGUARD_SEED repeats a
 * run. */
#include <stdlib.h>
#include <string.h>

#include "store/lifetimes.h"
#include "store/records.h"
#include "store/values.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

#define ALICE "alice@example.test"

static const struct unusual_limits usual_limits = {40, 20, 3};

/* A message that counts whatever its windows hold. */
static struct message message_with(const char *id, int64_t now_ms, const struct judge_profile *of)
{
    struct message message = message_of(ALICE, id, now_ms);
    message.request.observe = true;
    message.request.profile = of;
    return message;
}

/* What is kept of a mailbox; none: length 0. */
static struct value kept_of(enum value_kind kind, const char *mailbox, int64_t now_ms)
{
    struct value value = {.kind = kind, .key = mailbox};
    int found = store_value(store, arena, kind, mailbox, now_ms, &value);
    ck_assert_int_ge(found, 0);
    return found > 0 ? value : (struct value){.length = 0};
}

static struct value kept(const char *mailbox, int64_t now_ms)
{
    return kept_of(VALUE_PROFILE, mailbox, now_ms);
}

static void assert_same(const struct unusual *told, const struct unusual *expected, int step)
{
    ck_assert_msg(told->new_recipients == expected->new_recipients, "step %d: %u, not %u new", step,
                  told->new_recipients, expected->new_recipients);
    ck_assert_uint_eq(told->new_domains, expected->new_domains);
    ck_assert_uint_eq(told->busiest, expected->busiest);
    ck_assert_uint_eq(told->history_days, expected->history_days);
    ck_assert_uint_eq(told->network_new, expected->network_new);
    ck_assert_uint_eq(told->first, expected->first);
    ck_assert_int_eq(told->action, expected->action);
    ck_assert_uint_eq(told->limits.new_recipients, expected->limits.new_recipients);
    ck_assert_uint_eq(told->limits.factor, expected->limits.factor);
    ck_assert_uint_eq(told->limits.new_domains, expected->limits.new_domains);
}

/* The record says what was told, and has its facts as they were given. */
static void assert_recorded(const struct message *message, const struct unusual *expected, int step)
{
    struct record record;
    ck_assert_int_eq(store_record(store, arena, message->result.decision, message->request.now_ms,
                                  &record), 1);
    assert_same(&record.unusual, expected, step);
    ck_assert_int_eq(record.outcome, message->result.outcome);
    ck_assert_uint_eq(record.facts_length, message->result.outcome == OUTCOME_UNUSUAL
                                               ? message->request.facts.length
                                               : message->request.facts.admitted_length);
    ck_assert_mem_eq(record.facts, message->request.facts.bytes, record.facts_length);
}

/* ---- against what the rules make of it ------------------------------------------------------- */

enum { MAILBOXES = 3, STEPS = 1500, TO_MAX = 400, IDS = 200 };
static const char *const mailboxes[MAILBOXES] = {ALICE, "bob@example.test", "carol@example.test"};

static struct expected {
    struct text profile, held;
    int64_t until_ms, held_until_ms;
    size_t waited; /* messages */
} expected[MAILBOXES];

static int compare(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Distinct, rising, some at few domains. */
static size_t some_recipients(uint64_t recipients_r[TO_MAX])
{
    size_t count = percent(3) ? TO_MAX : (size_t)below(percent(80) ? 6 : 60), left = 0;
    int pool = percent(60) ? 40 : 3000;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = (uint64_t)below(pool);
        recipients_r[i] = (number % 97 + 1) * UINT64_C(0x30501) % (1 << 24) << 24 |
                          (number * UINT64_C(0x9E3779) & 0xFFFFFF);
    }
    if (count > 0)
        qsort(recipients_r, count, sizeof recipients_r[0], compare);
    for (size_t i = 0; i < count; i++)
        if (left == 0 || recipients_r[left - 1] != recipients_r[i])
            recipients_r[left++] = recipients_r[i];
    return left;
}

static int64_t some_time(void)
{
    int kind = below(1000);
    return kind < 400   ? below(3)
           : kind < 800 ? below(10 * (int)MINUTE_MS)
           : kind < 850 ? -below((int)MINUTE_MS)
           : kind < 950 ? below(20) * HOUR_MS
           : kind < 990 ? below(12) * DAY_MS
           : kind < 997 ? below(45) * DAY_MS
           : kind < 999 ? below(120) * DAY_MS
                        : -below(20) * DAY_MS; /* the clock was ahead */
}

static void check_kept(enum value_kind kind, const char *mailbox, const struct text *bytes,
                       int64_t until_ms, int64_t now_ms, int step)
{
    const struct value value = kept_of(kind, mailbox, now_ms);
    bool past = until_ms <= now_ms;
    ck_assert_msg(value.length == (past ? 0 : bytes->length), "step %d: %zu bytes, not %zu", step,
                  value.length, bytes->length);
    if (value.length == 0)
        return;
    ck_assert_msg(memcmp(value.bytes, bytes->data, value.length) == 0, "step %d: bytes", step);
    ck_assert_int_eq(value.until_ms, until_ms);
}

/* The postmaster answers: both databases get what the rules make of it. */
static void answer(struct expected *of, const char *mailbox, int64_t now_ms)
{
    if (percent(50) ? !profile_was_other(&of->profile)
                    : !profile_was_user(&of->profile, (uint32_t)below(50), now_ms))
        return;
    const struct value_change change = {
        .value = {.kind = VALUE_PROFILE, .key = mailbox, .bytes = of->profile.data,
                  .length = of->profile.length, .until_ms = of->until_ms},
        .replaces = VALUE_ANY};
    ck_assert_int_eq(store_values_change(
        store, &(struct values_step){.changes = &change, .count = 1, .now_ms = now_ms}, NULL), 1);
}

/* What the step is expected to make of a message that came to the outcome, and what it told. */
static struct unusual expect(struct expected *of, const struct message *message)
{
    const struct judge_request *request = &message->request;
    const struct judge_result *result = &message->result;
    const struct judge_profile *profile = request->profile;
    struct unusual unusual = {0};
    bool is_new = result->outcome == OUTCOME_ADMITTED || result->outcome == OUTCOME_UNUSUAL;
    if (profile == NULL)
        return unusual;
    const struct profile_message entered = {result->at_ms, profile->recipients,
                                            profile->recipient_count, profile->network,
                                            profile->action};
    if (request->dry_run) { /* nothing is kept */
        freed_by(text_free) struct text copy = {0};
        text_add_bytes(&copy, of->profile.data, of->profile.length);
        if (is_new)
            profile_add(&copy, &entered, &profile->limits, &unusual);
        ck_assert_int_eq(result->outcome == OUTCOME_UNUSUAL, unusual.action == UNUSUAL_DEFER);
        return unusual;
    }
    if (result->outcome == OUTCOME_REPEATED && profile_holds(&of->profile, &entered, false))
        unusual.action = UNUSUAL_HOLD;
    if (is_new && profile_add(&of->profile, &entered, &profile->limits, &unusual).changed)
        of->until_ms = result->at_ms + PROFILE_KEPT_MS;
    const struct held_message listed = {result->decision, request->recipients_in_all,
                                        request->queue_id};
    if (is_new && unusual_is_told(&unusual) &&
        held_add(&of->held, &unusual, result->at_ms, request->queue_id != NULL ? &listed : NULL,
                 profile->tried))
        of->held_until_ms = held_until(unusual.action, result->at_ms);
    ck_assert_int_eq(result->outcome == OUTCOME_UNUSUAL, unusual.action == UNUSUAL_DEFER);
    of->waited += unusual.action == UNUSUAL_HOLD;
    return unusual;
}

/* What is past, and was not begun anew, goes at once: a clock that goes back would find it again,
 * or not, where a step of another mailbox has removed it. */
static void drop_past(enum value_kind kind, const char *mailbox, struct text *bytes,
                      int64_t *until_ms, int64_t now_ms)
{
    if (*until_ms == 0 || *until_ms > now_ms)
        return;
    const struct value_change change = {.value = {.kind = kind, .key = mailbox},
                                        .replaces = VALUE_ANY};
    ck_assert_int_eq(store_values_change(store, &(struct values_step){
        .changes = &change, .count = 1, .now_ms = *until_ms - 1}, NULL), 1);
    text_clear(bytes);
    *until_ms = 0;
}

static void drop_past_of(int mailbox, int64_t now_ms)
{
    struct expected *of = &expected[mailbox];
    drop_past(VALUE_PROFILE, mailboxes[mailbox], &of->profile, &of->until_ms, now_ms);
    drop_past(VALUE_HELD, mailboxes[mailbox], &of->held, &of->held_until_ms, now_ms);
}

static void check_step(int64_t now_ms, int step, int *found)
{
    uint64_t recipients[TO_MAX];
    char id[24];
    int mailbox = below(MAILBOXES);
    struct expected *of = &expected[mailbox];
    const struct judge_profile profile = {
        .recipients = recipients, .recipient_count = some_recipients(recipients),
        .network = percent(10) ? 0
                               : UINT64_C(0x800000000000) + (uint64_t)below(percent(90) ? 3 : 20),
        .limits = {(uint32_t)below(30), (uint32_t)below(10), 1 + (uint32_t)below(2)},
        .tried = (uint64_t)below(percent(50) ? 5 : 100000) << 20,
        .action = percent(20) ? UNUSUAL_DEFER : percent(20) ? UNUSUAL_NOTE : UNUSUAL_HOLD};
    snprintf(id, sizeof id, "%d", below(IDS));
    struct message message = message_with(id, now_ms, percent(95) ? &profile : NULL);
    message.request.observe = false;
    message.request.queue_id = percent(70) ? arena_printf(arena, "%dabc", below(100000)) : NULL;
    message.request.recipients_in_all = (uint32_t)below(500);
    message.request.mailbox = mailboxes[mailbox];
    message.request.fingerprint = (uint64_t)below(3);
    message.request.dry_run = percent(10);
    message.request.decision = message.request.dry_run ? 0 : message.request.decision;
    message.request.ticket = percent(5) ? 1 : 0;
    judge(&message);
    if (of->until_ms <= now_ms)
        text_clear(&of->profile);
    if (of->held_until_ms <= now_ms)
        text_clear(&of->held);
    const struct unusual unusual = expect(of, &message);
    assert_same(&message.result.unusual, &unusual, step);
    if (!message.request.dry_run)
        assert_recorded(&message, &unusual, step);
    *found += unusual_is(&unusual);
    check_kept(VALUE_PROFILE, mailboxes[mailbox], &of->profile, of->until_ms, now_ms, step);
    check_kept(VALUE_HELD, mailboxes[mailbox], &of->held, of->held_until_ms, now_ms, step);
    for (int i = 0; i < MAILBOXES; i++)
        drop_past_of(i, now_ms);
    if (percent(2))
        answer(of, mailboxes[mailbox], now_ms);
}

/* By two programs, each with a memory of its own. */
START_TEST(test_as_the_rules)
{
    int64_t now_ms = NOW;
    int found = 0;
    size_t waited = 0;
    backend_begin(_i);
    struct store *const first = store;
    struct store *other = backend_open(backend_url(), TEST_TIMEOUT_MS);
    chance_begin();
    for (int step = 0; step < STEPS; step++) {
        store = percent(70) ? first : other;
        check_step(now_ms, step, &found);
        now_ms += some_time();
    }
    store = first;
    store_free(&other);
    ck_assert_int_gt(found, 20);
    for (int mailbox = 0; mailbox < MAILBOXES; mailbox++) {
        waited += expected[mailbox].waited;
        text_free(&expected[mailbox].profile);
        text_free(&expected[mailbox].held);
    }
    ck_assert_uint_gt(waited, 5);
}
END_TEST

/* ---- which messages --------------------------------------------------------------------------- */

static void to_strangers(uint64_t recipients_r[50])
{
    for (uint64_t i = 0; i < 50; i++)
        recipients_r[i] = (i + 1) << 24 | i;
}

/* A refused message enters nothing; what is given back stays, and is no new recipient then. */
START_TEST(test_only_what_counts)
{
    uint64_t recipients[50];
    to_strangers(recipients);
    const struct judge_profile profile = {.recipients = recipients, .recipient_count = 50, .network = 9,
                                          .limits = usual_limits};
    backend_begin(_i);
    struct message message = message_with("1", NOW, &profile);
    message.request.observe = false;
    message.request.rejected = true;
    ck_assert_int_eq(judge(&message), OUTCOME_REJECTED);
    ck_assert(!unusual_is(&message.result.unusual));
    ck_assert_uint_eq(kept(ALICE, NOW).length, 0);
    message = message_with("1", NOW, &profile);
    ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    ck_assert_uint_eq(message.result.unusual.new_recipients, 50);
    const struct value value = kept(ALICE, NOW);
    ck_assert_uint_gt(value.length, 50 * PROFILE_RECIPIENT_BYTES);
    struct message again = message_with("1", NOW + 1, &profile);
    ck_assert_int_eq(judge(&again), OUTCOME_REPEATED);
    ck_assert(!unusual_is(&again.result.unusual));
    ck_assert_int_eq(store_refund(store, ALICE, "1", NOW + 2), 1);
    again = message_with("1", NOW + 3, &profile);
    ck_assert_int_eq(judge(&again), OUTCOME_ADMITTED);
    ck_assert(!unusual_is(&again.result.unusual));
    ck_assert_uint_eq(kept(ALICE, NOW + 3).length, value.length);
    struct action action = action_at(NOW + 4); /* counts are forgotten, not what is usual */
    ck_assert_int_eq(store_reset(store, ALICE, &action), 1);
    ck_assert_uint_eq(kept(ALICE, NOW + 4).length, value.length);
}
END_TEST

START_TEST(test_many_at_once)
{
    enum { COUNT = JUDGE_MAX };
    static struct message messages[COUNT];
    static struct judge_profile profiles[COUNT];
    static uint64_t recipients[COUNT];
    int answers[COUNT];
    backend_begin(_i);
    for (size_t i = 0; i < COUNT; i++) {
        char *id = arena_printf(arena, "%zu", i);
        recipients[i] = (i + 1) << 24;
        profiles[i] = (struct judge_profile){.recipients = &recipients[i], .recipient_count = 1,
                                               .network = 9, .limits = usual_limits};
        messages[i] = message_with(id, NOW, &profiles[i]);
    }
    judge_all(store, messages, answers, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(answers[i], 1);
        ck_assert_uint_eq(messages[i].result.unusual.new_recipients, i < 40 ? 0 : i + 1);
        ck_assert_uint_eq(messages[i].result.unusual.first, i == 40);
    }
}
END_TEST

/* What is damaged costs no message its answer, and begins anew. */
START_TEST(test_damaged)
{
    static const char *const damaged[] = {"", "x", "\1", "\1\1\1\1\1\1\1\1\1\1\1", "1234567\1\1"};
    uint64_t recipients[50];
    to_strangers(recipients);
    const struct judge_profile profile = {.recipients = recipients, .recipient_count = 50, .network = 9,
                                          .limits = usual_limits};
    backend_begin(_i);
    for (size_t i = 0; i < countof(damaged); i++) {
        const struct value_change change = {
            .value = {.kind = VALUE_PROFILE, .key = ALICE, .bytes = damaged[i],
                      .length = strlen(damaged[i]) + (i == 0), .until_ms = NOW + DAY_MS},
            .replaces = VALUE_ANY};
        ck_assert_int_eq(store_values_change(
            store, &(struct values_step){.changes = &change, .count = 1, .now_ms = NOW}, NULL), 1);
        struct message message =
            message_with(arena_printf(arena, "%zu", i), NOW + (int64_t)i, &profile);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        ck_assert_uint_eq(message.result.unusual.new_recipients, 50);
    }
    if (_i == BACKEND_REDIS) { /* shorter than any value */
        redis_server_ask(&redis, (const char *[]){"SET", "sg:value:profile:" ALICE, "x"}, 3);
        struct message message = message_with("short", NOW + MINUTE_MS, &profile);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
        ck_assert_uint_eq(message.result.unusual.new_recipients, 50);
    }
}
END_TEST

/* At most 16 bytes a known recipient, all that a database keeps of the profile included. */
START_TEST(test_size)
{
    static uint64_t recipients[PROFILE_RECIPIENTS_MAX];
    backend_begin(_i);
    for (uint64_t i = 0; i < PROFILE_RECIPIENTS_MAX; i++)
        recipients[i] = i << 24 | i;
    for (size_t i = 0; i < PROFILE_RECIPIENTS_MAX; i += 10) {
        const struct judge_profile profile = {.recipients = recipients + i, .recipient_count = 10,
                                              .network = 9, .limits = usual_limits};
        struct message message = message_with(arena_printf(arena, "%zu", i),
                                              NOW + (int64_t)i * MINUTE_MS, &profile);
        ck_assert_int_eq(judge(&message), OUTCOME_ADMITTED);
    }
    int64_t bytes = _i == BACKEND_REDIS
        ? redis_server_ask(&redis, (const char *[]){"MEMORY", "USAGE", "sg:value:profile:" ALICE}, 3)
        : backend_sqlite_number(strchr(backend_url(), '/') + 2,
                                "SELECT length(key) + length(bytes) + 30 FROM value");
    ck_assert_int_le(bytes, 16 * PROFILE_RECIPIENTS_MAX);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store profiles");
    TCase *cases = backends_case(suite, "profiles");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, test_as_the_rules, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_only_what_counts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_many_at_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_damaged, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_size, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run_apart(suite()); }
