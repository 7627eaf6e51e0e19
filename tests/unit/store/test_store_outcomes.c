/* Every combination of what the store can see of a message, in both databases, against the one
 * judgement (rules/outcome.h): the outcome, the window that decides, and what takes effect. */
#include <check.h>

#include "store/records.h"
#include "store/suspensions.h"
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
       NO_ATTEMPT = 64, OTHER_CHANNEL = 128, TWICE = 256 /* suspended for another cause too */,
       FLAGS = 512 };

/* A time of its own for each combination: Redis finds a record by the millisecond, among all of it. */
static int64_t now_ms;

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
    if (flags & TWICE)
        ck_assert_int_eq(store_suspend(store, mailbox, CAUSE_VOLUME, &a_day, &action, &made), 1);
}

static struct message message_with(const char *mailbox, int flags, size_t which)
{
    struct message message =
        message_of(mailbox, flags & REPEATED ? "1" : "new", now_ms + SECOND_MS);
    message.request.ip = NULL;
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
        .ticket = flags & TICKET, .rejected = flags & HELD, .observe = flags & OBSERVE,
        .dry_run = flags & DRY_RUN, .no_attempt = flags & NO_ATTEMPT,
        .off_domain = message->request.off_domain, .windows = seen,
        .window_count = message->request.window_count,
    });
}

static void check(int flags, size_t which)
{
    const char *mailbox = arena_printf(arena, "m%d-%zu@example.test", flags, which);
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
    tcase_add_loop_test(cases, test_other_channels_recipients, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
