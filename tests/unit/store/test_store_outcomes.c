/* Every combination of what the store can see of a message, in both databases, against the one
 * judgement (rules/outcome.h): the outcome, the window that decides, and what takes effect. */
#include <check.h>
#include <string.h>

#include "store/records.h"
#include "store/suspensions.h"
#include "store/values.h"
#include "tests/unit/store/backends.h"

/* The windows before the message: messages a day and off-domain recipients a day, three of each
 * used; two of each by the message's own channel where another one sent the third. */
static const struct {
    int32_t messages, off_domain;
    bool messages_suspend, off_domain_suspends;
} windows[] = {
    {100, 100, true, true},                              /* none is over */
    {3, 100, false, true}, {3, 100, true, true},         /* the first is over */
    {100, 3, true, false}, {100, 3, true, true},         /* the second is */
    {3, 3, false, false},  {3, 3, false, true},          /* both are */
    {3, 3, true, false},   {3, 3, true, true},
    {2, 3, true, true},    {3, 2, true, true},           /* one by the channel alone, too */
    {2, 100, true, true},  {100, 2, false, true},
    {100, 0, true, true},  {3, 0, false, true},          /* the message could never fit */
    {0, 100, true, true},  {LIMIT_OFF, LIMIT_OFF, true, true},
};

enum { REPEATED = 1, SUSPENDED = 2, TICKET = 4, HELD = 8, OBSERVE = 16, DRY_RUN = 32,
       NO_ATTEMPT = 64, OTHER_CHANNEL = 128, BLOCKED = 256,
       TWICE = 512 /* suspended for another cause too */,
       FLAGS = 1024 };

/* A time of its own for each combination: Redis finds a record by the millisecond, among all of it. */
static int64_t now_ms;

static struct failure_in_force block_from(int64_t from_ms, int64_t until_ms)
{
    return (struct failure_in_force){.from_ms = from_ms, .until_ms = until_ms, .block = 7,
                                     .bad = 12, .all = 20, .messages = 3,
                                     .hint = FAILURE_HINT_FORM};
}

/* Bytes in the place of a block's. */
static void keep_block(const char *key, const void *bytes, size_t length, int64_t until_ms)
{
    static struct values_done done;
    const struct value_change change = {
        .value = {.kind = VALUE_BLOCK, .key = key, .bytes = bytes, .length = length,
                  .until_ms = until_ms},
        .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    ck_assert_int_eq(store_values_change(store, &step, &done), 1);
}

static void keep(const char *key, struct failure_in_force block)
{
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    failure_in_force_put(bytes, &block);
    keep_block(key, bytes, sizeof bytes, block.until_ms);
}

static const char *domain_of(const char *mailbox) { return strchr(mailbox, '@') + 1; }

static void prepare(const char *mailbox, int flags)
{
    static const struct durations a_day = {.count = 1, .ms = {DAY_MS}};
    struct action action = action_at(now_ms);
    struct suspension made;
    for (int i = 0; i < 3; i++) {
        struct message sent = message_of(mailbox, arena_printf(arena, "%d", i), now_ms);
        sent.request.ip = NULL;
        sent.request.channel = flags & OTHER_CHANNEL && i == 2 ? CHANNEL_SMTP : CHANNEL_WEBMAIL;
        sent.request.ticket = flags & TICKET && i == 0 ? 7 : 0;
        ck_assert_int_eq(judge(&sent), OUTCOME_ADMITTED);
    }
    if (flags & SUSPENDED)
        ck_assert_int_eq(store_suspend(store, mailbox, CAUSE_STAFF, &a_day, &action, &made), 1);
    if (flags & BLOCKED)
        keep(domain_of(mailbox), block_from(now_ms, now_ms + HOUR_MS));
    if (flags & TWICE)
        ck_assert_int_eq(store_suspend(store, mailbox, CAUSE_VOLUME, &a_day, &action, &made), 1);
}

static struct message message_with(const char *mailbox, int flags, size_t which)
{
    struct message message =
        message_of(mailbox, flags & REPEATED ? "1" : "new", now_ms + SECOND_MS);
    message.request.ip = NULL;
    message.request.domain = domain_of(mailbox);
    message.request.mailbox_blocks = true;
    message.request.rejected = flags & HELD;
    message.request.observe = flags & OBSERVE;
    message.request.dry_run = flags & DRY_RUN;
    message.request.no_attempt = flags & NO_ATTEMPT;
    message.request.redeem = 7; /* there is a ticket, or none */
    message.request.attempt = 1;
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = windows[which].messages;
    window_of(&message, RULE_MESSAGES_PER_DAY)->suspends = windows[which].messages_suspend;
    window_of(&message, RULE_OFF_DOMAIN_PER_DAY)->limit = windows[which].off_domain;
    window_of(&message, RULE_OFF_DOMAIN_PER_DAY)->suspends = windows[which].off_domain_suspends;
    return message;
}

static struct outcome_judged expected_of(const struct message *message, int flags)
{
    struct outcome_window seen[OVER_TIME_COUNT];
    for (size_t i = 0; i < message->request.window_count; i++) {
        const struct judge_window *window = &message->request.windows[i];
        seen[i] = (struct outcome_window){
            .rule = window->rule, .limit = window->limit, .suspends = window->suspends};
        bool counts = rule_table[seen[i].rule].subject == SUBJECT_MAILBOX;
        seen[i].used_before = counts ? 3 : 0;
        seen[i].used_by_channel = counts ? (flags & OTHER_CHANNEL ? 2 : 3) : 0;
        seen[i].over = counts && outcome_window_over(&seen[i], message->request.off_domain);
    }
    return outcome_decide(&(struct outcome_seen){
        .counted_before = flags & REPEATED, .suspended = flags & SUSPENDED,
        .blocked = flags & BLOCKED,
        .ticket = flags & TICKET, .rejected = flags & HELD, .observe = flags & OBSERVE,
        .dry_run = flags & DRY_RUN, .no_attempt = flags & NO_ATTEMPT,
        .off_domain = message->request.off_domain, .windows = seen,
        .window_count = message->request.window_count,
    });
}

/* until_ms 0: there is none. */
static void check_block(const struct failure_in_force *block, int64_t until_ms, bool of_mailbox)
{
    bool holds = until_ms != 0;
    ck_assert_int_eq(block->until_ms, until_ms);
    ck_assert_int_eq(block->of_mailbox, of_mailbox);
    ck_assert_uint_eq(block->block, holds ? 7 : 0);
    ck_assert_uint_eq(block->bad, holds ? 12 : 0);
    ck_assert_uint_eq(block->all, holds ? 20 : 0);
    ck_assert_uint_eq(block->messages, holds ? 3 : 0);
    ck_assert_int_eq(block->hint, holds ? FAILURE_HINT_FORM : FAILURE_HINT_NONE);
}

static void check(int flags, size_t which)
{
    const char *mailbox = arena_printf(arena, "m@d%d-%zu.test", flags, which);
    prepare(mailbox, flags);
    struct message message = message_with(mailbox, flags, which);
    struct outcome_judged expected = expected_of(&message, flags);
    enum outcome outcome = judge(&message);
    ck_assert_msg(outcome == expected.outcome, "%s: %s, not %s", mailbox, outcome_names[outcome],
                  outcome_names[expected.outcome]);
    ck_assert_msg(message.result.brought == expected.brought, "%s: brought %d", mailbox,
                  message.result.brought);

    for (size_t i = 0; i < message.result.window_count; i++)
        if (rule_table[message.result.windows[i].rule].subject == SUBJECT_MAILBOX)
            ck_assert_uint_eq(message.result.windows[i].used_by_channel,
                              flags & OTHER_CHANNEL ? 2 : 3);

    struct account account;
    struct record record;
    ck_assert_int_eq(store_account(store, arena, mailbox, now_ms + SECOND_MS, &account), 1);
    ck_assert_msg(account.history.count == 3u + expected.counts, "%s: %zu messages", mailbox,
                  account.history.count);
    size_t suspended = flags & TWICE ? 2 : (flags & SUSPENDED) || expected.suspends;
    ck_assert_msg(account.suspensions.count == suspended, "%s: suspended %zu", mailbox,
                  account.suspensions.count);
    for (size_t i = 0; i < suspended; i++)
        ck_assert_msg(account.suspensions.of[i].attempts == expected.attempt, "%s: %u attempts",
                      mailbox, account.suspensions.of[i].attempts);
    if (expected.suspends)
        ck_assert_str_eq(account.suspensions.of[0].note,
                         rule_table[message.request.windows[expected.window].rule].name);
    int kept = store_record(store, arena, message.result.decision, now_ms + SECOND_MS, &record);
    ck_assert_msg(kept == !message.request.dry_run, "%s: record %d", mailbox, kept);
    check_block(&message.result.block, flags & BLOCKED ? now_ms + HOUR_MS : 0, false);
    if (kept > 0)
        check_block(&record.block, outcome == OUTCOME_BLOCKED ? now_ms + HOUR_MS : 0, false);
    /* the message behind a redeemed ticket has no refund */
    int refund = store_refund(store, mailbox, "0", now_ms + SECOND_MS);
    ck_assert_msg(refund == !expected.redeems, "%s: refund %d", mailbox, refund);
}

START_TEST(test_every_combination)
{
    const size_t every = takes_sample() ? countof(windows) : 1; /* each flag with some windows */
    backend_begin(_i);
    now_ms = NOW;
    for (int flags = 0; flags < FLAGS; flags++)
        for (size_t which = (size_t)flags % every; which < countof(windows); which += every)
            if (!(flags & TWICE) || flags & SUSPENDED) {
                check(flags, which);
                now_ms += 2 * SECOND_MS;
            }
}
END_TEST

/* From its first moment until before its end; whichever block ends later is told; other senders,
 * those of a subdomain too, and whoever asks for no block meet none. */
START_TEST(test_blocks)
{
    const struct {
        int64_t from_ms, until_ms, own_from_ms, own_until_ms; /* from NOW; until 0: none */
        const char *domain;                                   /* asked for */
        bool mailbox_blocks;
        int64_t told_ms; /* the end of the block that is told; 0: none */
        bool told_of_mailbox;
    } cases[] = {
        {0, 1, 0, 0, "d.test", false, 1, false},
        {-HOUR_MS, 1, 0, 0, "d.test", false, 1, false},
        {-HOUR_MS, HOUR_MS, 0, 0, "d.test", false, HOUR_MS, false},
        {-HOUR_MS, HOUR_MS, 0, 0, NULL, false, 0, false},
        {-HOUR_MS, HOUR_MS, 0, 0, NULL, true, 0, false},
        {-HOUR_MS, HOUR_MS, 0, 0, "sub.d.test", false, 0, false},
        {1, HOUR_MS, 0, 0, "d.test", false, 0, false},
        {-HOUR_MS, 0, 0, 0, "d.test", true, 0, false},
        {0, 0, 0, 5, "d.test", true, 5, true},
        {0, 0, 0, 5, "d.test", false, 0, false},
        {0, 4, 0, 5, "d.test", true, 5, true},
        {0, 6, 0, 5, "d.test", true, 6, false},
        {0, 6, 1, 7, "d.test", true, 6, false},
        {1, 7, 0, 6, "d.test", true, 6, true},
        {1, 7, 1, 6, "d.test", true, 0, false},
    };
    backend_begin(_i);
    for (size_t i = 0; i < countof(cases); i++) {
        now_ms = NOW - DAY_MS; /* the clock of who keeps them is behind */
        keep("d.test", block_from(NOW + cases[i].from_ms, NOW + cases[i].until_ms));
        keep("alice@d.test", block_from(NOW + cases[i].own_from_ms, NOW + cases[i].own_until_ms));
        struct message message = message_of("alice@d.test", arena_printf(arena, "%zu", i), NOW);
        message.request.domain = cases[i].domain;
        message.request.mailbox_blocks = cases[i].mailbox_blocks;
        enum outcome outcome = judge(&message);
        ck_assert_msg(outcome == (cases[i].told_ms != 0 ? OUTCOME_BLOCKED : OUTCOME_ADMITTED),
                      "%zu: %s", i, outcome_names[outcome]);
        int64_t told_ms = cases[i].told_ms != 0 ? NOW + cases[i].told_ms : 0;
        check_block(&message.result.block, told_ms, cases[i].told_of_mailbox);
        ck_assert(!message.result.block_damaged);
        struct record record;
        ck_assert_int_eq(store_record(store, arena, message.result.decision, NOW, &record), 1);
        check_block(&record.block, told_ms, cases[i].told_of_mailbox);
    }
}
END_TEST

/* A fault of whoever keeps blocks stops no mail; another block holds all the same. */
START_TEST(test_damaged_block)
{
    uint8_t whole[FAILURE_IN_FORCE_BYTES];
    const struct failure_in_force block = block_from(NOW, NOW + HOUR_MS);
    failure_in_force_put(whole, &block);
    backend_begin(_i);
    now_ms = NOW;
    for (int fault = 0; fault < 5; fault++) {
        uint8_t bytes[FAILURE_IN_FORCE_BYTES + 1] = {0};
        memcpy(bytes, whole, sizeof whole);
        if (fault == 0)
            bytes[0] = FAILURE_IN_FORCE_FORMAT + 1;
        if (fault == 1)
            bytes[FAILURE_IN_FORCE_BYTES - 1] = FAILURE_HINT_COUNT;
        size_t length = fault == 2 ? 1 : sizeof whole + (fault == 3) - (fault == 4);
        keep_block("d.test", bytes, length, NOW + 2);
        for (int own = 0; own < 2; own++) {
            keep("alice@d.test", block_from(NOW, own ? NOW + 1 : NOW));
            struct message message = message_of("alice@d.test",
                                                arena_printf(arena, "%d-%d", fault, own), NOW);
            message.request.domain = "d.test";
            message.request.mailbox_blocks = true;
            ck_assert_int_eq(judge(&message), own ? OUTCOME_BLOCKED : OUTCOME_ADMITTED);
            ck_assert_int_eq(message.result.block.until_ms, own ? NOW + 1 : 0);
            if (!own)
                ck_assert(message.result.block_damaged);
        }
    }
    struct message later = message_of("alice@d.test", "later", NOW + 2);
    later.request.domain = "d.test";
    ck_assert_int_eq(judge(&later), OUTCOME_ADMITTED);
    ck_assert(!later.result.block_damaged); /* it is past */
}
END_TEST

/* 950 off-domain recipients by webmail, which may have 1,000, then one by SMTP, which may have 900
 * and suspends: the sum is over, but what came by SMTP suspends nobody. */
START_TEST(test_other_channels_recipients)
{
    static const char mailbox[] = "alice@example.test";
    backend_begin(_i);
    struct message sent = message_of(mailbox, "webmail", NOW);
    sent.request.ip = NULL;
    sent.request.off_domain = 950;
    ck_assert_int_eq(judge(&sent), OUTCOME_ADMITTED);
    for (int own = 0; own < 3; own++) {
        struct message message = message_of(mailbox, arena_printf(arena, "%d", own), NOW + 1 + own);
        message.request.ip = NULL;
        message.request.channel = CHANNEL_SMTP;
        message.request.off_domain = own == 1 ? 900 : 1;
        message.request.observe = own == 1; /* what fills SMTP's own limit is counted */
        window_of(&message, RULE_OFF_DOMAIN_PER_DAY)->limit = 900;
        ck_assert_int_eq(judge(&message), own == 0   ? OUTCOME_OVER
                                          : own == 1 ? OUTCOME_ADMITTED
                                                     : OUTCOME_SUSPENDED);
        const struct outcome_window *seen = seen_of(&message, RULE_OFF_DOMAIN_PER_DAY);
        ck_assert_uint_eq(seen->used_before, own < 2 ? 950 : 1850);
        ck_assert_uint_eq(seen->used_by_channel, own < 2 ? 0 : 900);
        ck_assert(seen->over);
        ck_assert_int_eq(message.result.brought, own == 2);
        ck_assert_int_eq(message.result.suspensions.of[0].id != 0, own == 2);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store outcomes");
    TCase *cases = backends_case(suite, "outcomes");
    tcase_add_loop_test(cases, test_every_combination, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_blocks, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_damaged_block, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_other_channels_recipients, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
