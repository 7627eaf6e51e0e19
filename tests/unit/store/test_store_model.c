/* Both backends against a model that is slow and plainly right: a list of all
 * counted messages, counted anew for every question, a list of tickets, and for each mailbox a
 * suspension of each cause. Random submissions, repeats, tickets, refunds, resets, suspensions, attempts, limits and
 * clock steps, also of clocks that were wrong; whatever a backend answers
 * must be what the list says. So no window ever holds more than its limit, and
 * nothing that fits is refused. SENDGUARD_SEED repeats a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"

enum { MAILBOXES = 2, IPS = 2, COUNTED_MAX = 4096, IDS = 64, NO_IP = -1, TICKETS_MAX = 4096,
       OFFENCES_MAX = 8192, PROGRAMS = 3 };

static const char *const mailboxes[MAILBOXES] = {"alice@example.test", "bob@example.test"};
static const char *const ips[IPS] = {"192.0.2.1", "2001:db8::"};
#define DOMAIN_KEY "@example.test"
static const enum rule rules[] = {RULE_MESSAGES_PER_DAY, RULE_OFF_DOMAIN_PER_DAY,
                                  RULE_OFF_DOMAIN_PER_HOUR_PER_IP, RULE_MESSAGES_PER_HOUR,
                                  RULE_MESSAGES_PER_HOUR_PER_DOMAIN};

/* ---- the model ------------------------------------------------------------------ */

struct counted {
    int64_t time_ms, ip_time_ms, domain_time_ms; /* in the history of mailbox, IP and domain */
    bool domain; /* it counts for the domain of both mailboxes */
    uint32_t off_domain;
    uint64_t fingerprint;
    int mailbox, ip, id;
    enum channel channel;
    bool in_mailbox, in_ip, in_domain; /* not refunded, not reset */
    bool named;             /* the newest under its id */
    bool redeemed;          /* by its ticket: no refund */
    /* What has left a window when another was counted does not come back when the clock goes back. */
    bool left_day, left_hour, left_ip, left_domain;
    bool mended; /* a wrong clock stamped it */
};

struct ticket {
    int mailbox, id;
    uint32_t recipients;
    int64_t until_ms;
    bool may_be_gone; /* it had ended for a minute; then the clock went back */
};

enum { KNOWN_MAX = 1000, FOR_GOOD = -1 };

struct kept_suspension {
    bool made;
    int64_t id, since_ms, until_ms, lasts_ms; /* FOR_GOOD: until lifted */
    enum cause cause;
    uint32_t attempts, offence;
    uint64_t tried[KNOWN_MAX];
    size_t tried_count;
};

struct offence {
    int mailbox;
    enum cause cause;
    int64_t id, since_ms;
};

static struct model {
    struct counted all[COUNTED_MAX];
    size_t count;
    struct ticket tickets[TICKETS_MAX];
    size_t ticket_count;
    struct kept_suspension suspensions[MAILBOXES][CAUSE_COUNT];
    struct offence offences[OFFENCES_MAX];
    size_t offence_count;
    int64_t latest_suspension; /* id */
    int64_t newest_of_mailbox[MAILBOXES][2], newest_of_ip[IPS][CHANNEL_COUNT];
    int64_t newest_of_domain[2];
} model;

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* What is older than two days by the right clock is of no use to anybody. A wrong clock's entry of an
 * IP or a domain stays ahead until that sends again, however old it is in its mailbox by then, and
 * however far the next wrong clock is ahead. */
static void model_forget(int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < model.count; i++)
        if (later(later(model.all[i].time_ms, model.all[i].ip_time_ms),
                  model.all[i].domain_time_ms) > now_ms - 2 * DAY_MS)
            model.all[kept++] = model.all[i];
    model.count = kept;
    ck_assert_uint_lt(model.count, COUNTED_MAX);
    kept = 0;
    for (size_t i = 0; i < model.ticket_count; i++)
        if (model.tickets[i].until_ms > now_ms - HOUR_MS)
            model.tickets[kept++] = model.tickets[i];
    model.ticket_count = kept;
    ck_assert_uint_lt(model.ticket_count, TICKETS_MAX);
    kept = 0;
    for (size_t i = 0; i < model.offence_count; i++)
        if (model.offences[i].since_ms > now_ms - 500 * DAY_MS)
            model.offences[kept++] = model.offences[i];
    model.offence_count = kept;
    ck_assert_uint_lt(model.offence_count, OFFENCES_MAX);
}

/* Webmail and SMTP count together for a mailbox, forwarding by itself. */
static int group_of(enum channel channel) { return channel == CHANNEL_FORWARDING; }

static bool of_mailbox(const struct counted *counted, const struct counted *sent)
{
    return counted->in_mailbox && counted->mailbox == sent->mailbox &&
           group_of(counted->channel) == group_of(sent->channel);
}

/* What one channel sends from an IP fills no other's window of it. */
static bool of_ip(const struct counted *counted, const struct counted *sent)
{
    return sent->ip != NO_IP && counted->in_ip && counted->ip == sent->ip &&
           counted->channel == sent->channel;
}

/* Both mailboxes are of one domain; some messages count for none, as where the rule is off. */
static bool of_domain(const struct counted *counted, const struct counted *sent)
{
    return sent->domain && counted->in_domain &&
           group_of(counted->channel) == group_of(sent->channel);
}

/* Whether the message counts where a rule looks. */
static bool counts_for(const struct counted *sent, enum subject subject)
{
    return subject == SUBJECT_MAILBOX || (subject == SUBJECT_IP ? sent->ip != NO_IP : sent->domain);
}

static bool in_window(const struct counted *counted, const struct counted *sent,
                      const struct rule_info *info)
{
    int64_t past_ms = sent->time_ms - info->window_ms;
    bool left = info->window_ms == DAY_MS ? counted->left_day : counted->left_hour;
    if (info->subject == SUBJECT_IP)
        return of_ip(counted, sent) && !counted->left_ip && counted->ip_time_ms > past_ms;
    if (info->subject == SUBJECT_DOMAIN)
        return of_domain(counted, sent) && !counted->left_domain &&
               counted->domain_time_ms > past_ms;
    return of_mailbox(counted, sent) && !left && counted->time_ms > past_ms;
}

/* own_r: what of it came by the message's own channel. */
static uint64_t model_used(const struct counted *sent, enum rule rule, uint64_t *own_r)
{
    const struct rule_info *info = &rule_table[rule];
    uint64_t used = 0;
    *own_r = 0;
    for (size_t i = 0; i < model.count; i++) {
        const struct counted *counted = &model.all[i];
        uint64_t weight = info->measure == MEASURE_MESSAGES ? 1 : counted->off_domain;
        bool ours = in_window(counted, sent, info);
        if (ours)
            used += weight;
        if (ours && counted->channel == sent->channel)
            *own_r += weight;
    }
    return used;
}

/* ---- wrong clocks in the model ---- */

enum { FIVE_MINUTES_MS = 300000 };

static int64_t *newest_of_mailbox(const struct counted *sent)
{
    return &model.newest_of_mailbox[sent->mailbox][group_of(sent->channel)];
}

static int64_t model_ahead(const struct counted *sent, int64_t now_ms)
{
    int64_t newest_ms = *newest_of_mailbox(sent);
    if (sent->ip != NO_IP)
        newest_ms = later(newest_ms, model.newest_of_ip[sent->ip][sent->channel]);
    if (sent->domain)
        newest_ms = later(newest_ms, model.newest_of_domain[group_of(sent->channel)]);
    return newest_ms > now_ms + FIVE_MINUTES_MS ? newest_ms - now_ms : 0;
}

/* The newest of the list that no wrong clock stamped. What was refunded or has left its windows
 * may still be in the list, or not: `all` counts it. */
static int64_t newest_right(const struct counted *sent, enum subject subject, bool all,
                            int64_t now_ms)
{
    int64_t newest_ms = now_ms;
    for (size_t i = 0; i < model.count; i++) {
        const struct counted *counted = &model.all[i];
        int64_t time_ms = subject == SUBJECT_IP       ? counted->ip_time_ms
                          : subject == SUBJECT_DOMAIN ? counted->domain_time_ms
                                                      : counted->time_ms;
        bool in = subject == SUBJECT_IP       ? of_ip(counted, sent) && !counted->left_ip
                  : subject == SUBJECT_DOMAIN ? of_domain(counted, sent) && !counted->left_domain
                                              : of_mailbox(counted, sent) && !counted->left_day;
        if (all)
            in = subject == SUBJECT_IP       ? sent->ip != NO_IP && counted->ip == sent->ip
                 : subject == SUBJECT_DOMAIN ? sent->domain && counted->domain
                                             : counted->mailbox == sent->mailbox;
        if (in && time_ms <= now_ms + FIVE_MINUTES_MS)
            newest_ms = later(newest_ms, time_ms);
    }
    return newest_ms;
}

/* A moment, not before now_ms, at which it is plain what a wrong clock's messages become. */
static int64_t plain_moment(const struct counted *sent, int64_t now_ms)
{
    for (int i = 0; i < 2 * SUBJECT_COUNT; i++) { /* twice: one may move what the other sees */
        enum subject of = (enum subject)(i % SUBJECT_COUNT);
        if (model_ahead(sent, now_ms) > 0 &&
            newest_right(sent, of, true, now_ms) != newest_right(sent, of, false, now_ms))
            now_ms = newest_right(sent, of, true, now_ms);
    }
    return now_ms;
}

static void model_mend(const struct counted *sent, int64_t now_ms)
{
    int64_t mailbox_ms = newest_right(sent, SUBJECT_MAILBOX, false, now_ms);
    int64_t ip_ms = newest_right(sent, SUBJECT_IP, false, now_ms);
    int64_t domain_ms = newest_right(sent, SUBJECT_DOMAIN, false, now_ms);
    int64_t *newest_of_domain = &model.newest_of_domain[group_of(sent->channel)];
    for (size_t i = 0; i < model.count; i++) {
        struct counted *counted = &model.all[i];
        if (of_mailbox(counted, sent) && counted->time_ms > now_ms + FIVE_MINUTES_MS) {
            counted->time_ms = mailbox_ms;
            counted->mended = true;
        }
        if (of_ip(counted, sent) && counted->ip_time_ms > now_ms + FIVE_MINUTES_MS) {
            counted->ip_time_ms = ip_ms;
            counted->mended = true;
        }
        if (of_domain(counted, sent) && counted->domain_time_ms > now_ms + FIVE_MINUTES_MS) {
            counted->domain_time_ms = domain_ms;
            counted->mended = true;
        }
    }
    if (*newest_of_mailbox(sent) > now_ms + FIVE_MINUTES_MS)
        *newest_of_mailbox(sent) = mailbox_ms;
    if (sent->ip != NO_IP &&
        model.newest_of_ip[sent->ip][sent->channel] > now_ms + FIVE_MINUTES_MS)
        model.newest_of_ip[sent->ip][sent->channel] = ip_ms;
    if (sent->domain && *newest_of_domain > now_ms + FIVE_MINUTES_MS)
        *newest_of_domain = domain_ms;
}

/* ---- suspensions in the model ---- */

static bool is_ahead(const struct kept_suspension *one, int64_t now_ms)
{
    return one->since_ms > now_ms + FIVE_MINUTES_MS ||
           (one->lasts_ms != FOR_GOOD && one->until_ms - one->lasts_ms > now_ms + FIVE_MINUTES_MS);
}

/* As it is to be seen at now_ms: 1, or 0 when it is over. */
static bool seen_suspension(int mailbox, enum cause cause, int64_t now_ms,
                            struct kept_suspension *seen_r)
{
    *seen_r = model.suspensions[mailbox][cause];
    if (seen_r->made && is_ahead(seen_r, now_ms)) {
        if (seen_r->since_ms > now_ms + FIVE_MINUTES_MS)
            seen_r->since_ms = now_ms;
        if (seen_r->lasts_ms != FOR_GOOD)
            seen_r->until_ms = now_ms + seen_r->lasts_ms;
    }
    return seen_r->made && (seen_r->lasts_ms == FOR_GOOD || seen_r->until_ms > now_ms);
}

/* All that hold then, of the causes in their order. Returns how many. */
static size_t seen_suspensions(int mailbox, int64_t now_ms,
                               struct kept_suspension seen_r[CAUSE_COUNT])
{
    size_t count = 0;
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        count += seen_suspension(mailbox, (enum cause)cause, now_ms, &seen_r[count]);
    return count;
}

/* What a wrong clock stamped is of now once it was seen by a message. */
static void keep_seen(int mailbox, const struct kept_suspension *seen)
{
    for (size_t i = 0; i < model.offence_count; i++)
        if (model.offences[i].id == seen->id)
            model.offences[i].since_ms = seen->since_ms;
    model.suspensions[mailbox][seen->cause] = *seen;
}

static void model_suspend(int mailbox, enum cause cause, const struct durations *durations,
                          int64_t at_ms)
{
    struct kept_suspension *one = &model.suspensions[mailbox][cause], before;
    bool replaces = seen_suspension(mailbox, cause, at_ms, &before);
    uint32_t offence = 1;
    for (size_t i = 0; i < model.offence_count; i++) {
        struct offence *other = &model.offences[i];
        if (other->mailbox != mailbox || other->cause != cause)
            continue;
        if (other->since_ms > at_ms + FIVE_MINUTES_MS)
            other->since_ms = at_ms;
        offence += other->since_ms > at_ms - 30 * DAY_MS;
    }
    int64_t lasts_ms = durations->ms[offence < durations->count ? offence - 1 : durations->count - 1];
    *one = (struct kept_suspension){.made = true, .cause = cause, .since_ms = at_ms,
                                    .offence = offence};
    one->lasts_ms = lasts_ms == UNTIL_LIFTED ? FOR_GOOD : lasts_ms;
    one->until_ms = lasts_ms == UNTIL_LIFTED ? UNTIL_LIFTED : at_ms + lasts_ms;
    if (replaces && before.until_ms > one->until_ms) { /* it does not end before that one */
        one->until_ms = before.until_ms;
        one->lasts_ms = before.until_ms == UNTIL_LIFTED ? FOR_GOOD : before.until_ms - at_ms;
    }
}

/* Its id is the store's to give; rising. */
static void model_made(int mailbox, enum cause cause, int64_t id)
{
    struct kept_suspension *one = &model.suspensions[mailbox][cause];
    ck_assert_int_gt(id, model.latest_suspension);
    model.latest_suspension = one->id = id;
    model.offences[model.offence_count++] =
        (struct offence){mailbox, one->cause, id, one->since_ms};
}

static bool same_attempt(uint64_t one, uint64_t other)
{
    return (uint32_t)one == (uint32_t)other || one >> 32 == other >> 32;
}

static void model_attempt(struct kept_suspension *one, const struct message *message)
{
    for (size_t i = 0; i < one->tried_count && message->request.attempt != 0; i++)
        if (same_attempt(one->tried[i], message->request.attempt))
            return;
    one->attempts++;
    if (one->tried_count == KNOWN_MAX)
        return;
    if (message->request.attempt != 0)
        one->tried[one->tried_count++] = message->request.attempt;
    if (one->cause == CAUSE_VOLUME && one->lasts_ms != FOR_GOOD &&
        one->attempts >= message->request.retries_before_restart)
        one->until_ms = later(one->until_ms, message->request.now_ms + one->lasts_ms);
}

static struct counted *model_named(int mailbox, int id, enum channel channel)
{
    for (size_t i = model.count; i-- > 0;)
        if (model.all[i].named && model.all[i].in_mailbox && model.all[i].mailbox == mailbox &&
            model.all[i].id == id && group_of(model.all[i].channel) == group_of(channel))
            return &model.all[i];
    return NULL;
}

/* The oldest that holds, NULL for none. */
static struct ticket *model_ticket(int mailbox, uint32_t recipients, int64_t at_ms)
{
    struct ticket *oldest = NULL;
    for (size_t i = 0; i < model.ticket_count; i++) {
        struct ticket *one = &model.tickets[i];
        if (one->mailbox == mailbox && one->recipients == recipients && one->until_ms > at_ms &&
            one->until_ms <= at_ms + TICKET_MS + FIVE_MINUTES_MS &&
            (oldest == NULL || one->until_ms < oldest->until_ms))
            oldest = one;
    }
    return oldest;
}

static void model_remove(const struct ticket *ticket)
{
    size_t at = (size_t)(ticket - model.tickets);
    model.tickets[at] = model.tickets[--model.ticket_count];
}

/* The charge of the ticket, if no reset forgot it, is the mail server's now. */
static void model_redeem(const struct ticket *ticket)
{
    struct counted *counted = model_named(ticket->mailbox, ticket->id, CHANNEL_WEBMAIL);
    if (counted != NULL)
        counted->redeemed = true;
    model_remove(ticket);
}

static void model_drop_ticket(int mailbox, int id)
{
    for (size_t i = 0; i < model.ticket_count; i++)
        if (model.tickets[i].mailbox == mailbox && model.tickets[i].id == id) {
            model_remove(&model.tickets[i]);
            return;
        }
}

static void model_leave_ticket(const struct ticket *ticket)
{
    model_drop_ticket(ticket->mailbox, ticket->id);
    for (size_t i = model.ticket_count; i-- > 0;) /* those of a wrong clock go */
        if (model.tickets[i].mailbox == ticket->mailbox &&
            model.tickets[i].until_ms > ticket->until_ms + FIVE_MINUTES_MS)
            model_remove(&model.tickets[i]);
    model.tickets[model.ticket_count++] = *ticket;
}

static void model_count(const struct counted *message)
{
    for (size_t i = 0; i < model.count; i++) {
        struct counted *counted = &model.all[i];
        if (of_mailbox(counted, message)) {
            counted->left_day |= counted->time_ms <= message->time_ms - DAY_MS;
            counted->left_hour |= counted->time_ms <= message->time_ms - HOUR_MS;
        }
        if (of_ip(counted, message))
            counted->left_ip |= counted->ip_time_ms <= message->time_ms - HOUR_MS;
        if (of_domain(counted, message))
            counted->left_domain |= counted->domain_time_ms <= message->time_ms - HOUR_MS;
    }
    struct counted *older = model_named(message->mailbox, message->id, message->channel);
    if (older != NULL)
        older->named = false;
    model.all[model.count++] = *message;
    model.newest_of_mailbox[message->mailbox][group_of(message->channel)] = message->time_ms;
    if (message->ip != NO_IP)
        model.newest_of_ip[message->ip][message->channel] = message->time_ms;
    if (message->domain)
        model.newest_of_domain[group_of(message->channel)] = message->time_ms;
}

/* ---- one step ----------------------------------------------------------------------- */

struct run {
    int64_t now_ms, right_ms; /* while the clock is wrong: what it was before */
    int wrong_steps;          /* for so many steps more it is wrong */
    bool far;                 /* by days: Redis knows an id longer then than by this clock it should,
                                 since what it keeps expires by its own; such are not used again */
    bool besieged;            /* the first mailbox is suspended and tries on and on */
    int scale; /* how large limits are */
    int step;
    uint64_t seed;
};

#define RUN_FORMAT "seed %llu, step %d: "
#define RUN(run) (unsigned long long)(run)->seed, (run)->step

static int32_t some_limit(const struct run *run, enum rule rule)
{
    int scale = rule_table[rule].measure == MEASURE_OFF_DOMAIN ? 2 * run->scale : run->scale;
    return percent(15) ? LIMIT_OFF : below(scale);
}

static void check_windows(const struct run *run, const struct message *message,
                          const struct counted *sent, bool *over_r)
{
    *over_r = false;
    for (size_t i = 0; i < message->request.window_count; i++) {
        const struct outcome_window *window = &message->result.windows[i];
        const struct rule_info *info = &rule_table[window->rule];
        uint64_t own, used = model_used(sent, window->rule, &own);
        uint64_t cost = info->measure == MEASURE_MESSAGES ? 1 : sent->off_domain;
        bool over = window->limit >= 0 && used + cost > (uint64_t)window->limit &&
                    counts_for(sent, info->subject);
        ck_assert_msg(window->used_before == used, RUN_FORMAT "%s: used %llu, not %llu", RUN(run),
                      info->name, (unsigned long long)window->used_before,
                      (unsigned long long)used);
        ck_assert_msg(window->used_by_channel == own, RUN_FORMAT "%s: own %llu, not %llu", RUN(run),
                      info->name, (unsigned long long)window->used_by_channel,
                      (unsigned long long)own);
        ck_assert_msg(window->over == over, RUN_FORMAT "%s: over %d", RUN(run), info->name,
                      window->over);
        *over_r |= over;
    }
}

/* A refusal has the history, entry by entry. */
static void check_history(const struct run *run, const struct message *message,
                          const struct counted *sent)
{
    const struct history *history = &message->result.histories[SUBJECT_MAILBOX];
    size_t next = 0;
    for (size_t i = 0; i < model.count; i++) {
        const struct counted *counted = &model.all[i];
        if (!of_mailbox(counted, sent) || counted->time_ms <= sent->time_ms - DAY_MS)
            continue;
        if (counted->left_day)
            return; /* it may be in the list still, or not */
        ck_assert_msg(next < history->count && history->entries[next].time_ms == counted->time_ms,
                      RUN_FORMAT "entry %zu of the history", RUN(run), next);
        next++;
    }
    ck_assert_msg(next == history->count, RUN_FORMAT "%zu entries, not %zu", RUN(run),
                  history->count, next);
}

/* So does an admitted message whose window has no room for one more, and no other one. */
static void check_room(const struct run *run, const struct message *message,
                       const struct counted *sent)
{
    bool full = false;
    for (size_t i = 0; i < message->request.window_count; i++) {
        const struct outcome_window *window = &message->result.windows[i];
        const struct rule_info *info = &rule_table[window->rule];
        uint32_t cost = info->measure == MEASURE_MESSAGES ? 1 : message->request.off_domain;
        bool checked = counts_for(sent, info->subject);
        full |= checked && (window->over ||
                            (window->used_before > 0 &&
                             !window_fits(window->used_before, cost + 1, window->limit)));
    }
    if (full && !message->request.observe)
        check_history(run, message, sent);
    else if (message->result.outcome == OUTCOME_ADMITTED ||
             message->result.outcome == OUTCOME_REPEATED)
        ck_assert_msg(message->result.histories[SUBJECT_MAILBOX].count == 0, RUN_FORMAT "a history",
                      RUN(run));
}

/* Which of two that were left at one moment is the older, nobody can say. */
static uint32_t some_ticket(const struct counted *sent)
{
    uint32_t recipients = 1 + (uint32_t)below(3);
    for (size_t i = 0; i < model.ticket_count; i++)
        if (model.tickets[i].mailbox == sent->mailbox &&
            model.tickets[i].recipients == recipients &&
            model.tickets[i].until_ms == sent->time_ms + TICKET_MS)
            return 0;
    return percent(30) ? recipients : 0;
}

/* Where clocks step back by more than a minute, an ended ticket may have gone. */
static uint32_t some_redeem(const struct counted *sent)
{
    uint32_t recipients = 1 + (uint32_t)below(3);
    for (size_t i = 0; i < model.ticket_count; i++) {
        struct ticket *one = &model.tickets[i];
        one->may_be_gone |= one->until_ms <= sent->time_ms - MINUTE_MS;
        if (one->may_be_gone && one->until_ms > sent->time_ms)
            return 0;
    }
    return percent(20) ? recipients : 0;
}

/* Often one that was tried before, or half of it. */
static uint64_t some_attempt(void)
{
    if (percent(10))
        return 0;
    int64_t bound = percent(70) ? INT64_C(1) << 31 : 40;
    return chance() % (uint64_t)bound << 32 | chance() % (uint64_t)bound;
}

static struct durations some_durations(void)
{
    struct durations durations = {.count = 1 + (size_t)below(3)};
    for (size_t i = 0; i < durations.count; i++)
        durations.ms[i] = percent(3)    ? UNTIL_LIFTED
                          : percent(10) ? (1 + below(48)) * HOUR_MS
                                        : (1 + below(15)) * MINUTE_MS;
    return durations;
}

static long several_seen; /* so often there was more than one */

static void check_suspension(const struct run *run, const struct suspension *got,
                             const struct kept_suspension *expected)
{
    ck_assert_msg(got->id == expected->id && got->cause == expected->cause &&
                      got->since_ms == expected->since_ms &&
                      got->until_ms == expected->until_ms &&
                      got->attempts == expected->attempts && got->offence == expected->offence,
                  RUN_FORMAT "suspension %lld: cause %d, since %lld, until %lld, attempts %u, "
                             "offence %u, not %lld: %d, %lld, %lld, %u, %u",
                  RUN(run), (long long)got->id, got->cause, (long long)got->since_ms,
                  (long long)got->until_ms, got->attempts, got->offence,
                  (long long)expected->id, expected->cause, (long long)expected->since_ms,
                  (long long)expected->until_ms, expected->attempts, expected->offence);
}

/* Whether the first is told before the other. */
static bool in_order(const struct suspension *first, const struct suspension *other)
{
    return first->until_ms > other->until_ms ||
           (first->until_ms == other->until_ms &&
            (first->since_ms < other->since_ms ||
             (first->since_ms == other->since_ms && first->id < other->id)));
}

/* expected: of the causes in their order. */
static void check_suspensions(const struct run *run, const struct suspensions *got,
                              const struct kept_suspension *expected, size_t count)
{
    ck_assert_msg(got->count == count, RUN_FORMAT "%zu suspensions, not %zu", RUN(run), got->count,
                  count);
    ck_assert(count > 0 || got->of[0].id == 0);
    several_seen += count > 1;
    for (size_t i = 0; i < count; i++) {
        const struct suspension *one = suspension_find(got, expected[i].cause);
        ck_assert_msg(one != NULL, RUN_FORMAT "none for %s", RUN(run),
                      cause_names[expected[i].cause]);
        check_suspension(run, one, &expected[i]);
        for (size_t k = 0; k < i; k++)
            ck_assert_msg(in_order(&got->of[k], &got->of[i]), RUN_FORMAT "order %zu, %zu", RUN(run),
                          k, i);
    }
}

/* The first window that is over and suspends, also without what came by other channels, and whose
 * limit one message could keep. */
static const struct outcome_window *that_suspends(const struct message *message)
{
    for (size_t i = 0; i < message->request.window_count; i++) {
        const struct outcome_window *window = &message->result.windows[i];
        bool messages = rule_table[window->rule].measure == MEASURE_MESSAGES;
        uint32_t cost = messages ? 1 : message->request.off_domain;
        if (window->suspends && window->over && cost <= (uint32_t)window->limit &&
            window->used_by_channel + cost > (uint64_t)window->limit)
            return window;
    }
    return NULL;
}

/* What a message does to the suspensions of its mailbox. */
static void check_suspending(const struct run *run, const struct message *message,
                             const struct counted *sent, const struct outcome_window *brings)
{
    struct kept_suspension seen[CAUSE_COUNT];
    const struct suspensions *got = &message->result.suspensions;
    bool brought = message->result.outcome == OUTCOME_SUSPENDED && brings != NULL;
    size_t count = seen_suspensions(sent->mailbox, message->request.now_ms, seen);
    ck_assert_msg(message->result.brought == brought, RUN_FORMAT "brought: %d", RUN(run),
                  message->result.brought);
    if (brought && !message->request.dry_run) {
        model_suspend(sent->mailbox, CAUSE_VOLUME, &message->request.volume, sent->time_ms);
        model_made(sent->mailbox, CAUSE_VOLUME, got->of[0].id);
        ck_assert_str_eq(got->of[0].note, rule_table[brings->rule].name);
        struct kept_suspension *made = &model.suspensions[sent->mailbox][CAUSE_VOLUME];
        check_suspensions(run, got, made, 1);
        if (message->request.attempt != 0)
            made->tried[0] = message->request.attempt;
        made->tried_count = message->request.attempt != 0;
        return;
    }
    bool attempt = message->result.outcome == OUTCOME_SUSPENDED && !message->request.dry_run &&
                   !message->request.no_attempt;
    for (size_t i = 0; i < count && attempt; i++)
        model_attempt(&seen[i], message);
    check_suspensions(run, got, seen, count);
    for (size_t i = 0; i < count && !message->request.dry_run; i++)
        keep_seen(sent->mailbox, &seen[i]);
}

static struct model before_dry_run;

static void submit(struct run *run)
{
    char id[16] = "";
    struct counted sent = {.off_domain = (uint32_t)below(percent(5) ? 100 : 4),
                           .fingerprint = (uint64_t)below(2),
                           .mailbox = run->besieged && percent(90) ? 0 : below(MAILBOXES),
                           .ip = percent(5) ? NO_IP : below(IPS),
                           .channel = (enum channel)below(CHANNEL_COUNT),
                           .domain = percent(70),
                           .id = percent(10) ? below(IDS) : IDS + run->step,
                           .in_mailbox = true,
                           .named = true};
    if (run->wrong_steps > 0 && run->far)
        sent.id = IDS + run->step;
    if (sent.channel == CHANNEL_FORWARDING) { /* as the guard asks: no IP and domain, ids of its own, no ticket */
        sent.ip = NO_IP;
        sent.domain = false;
        sent.id += 1000000000;
    }
    sent.in_ip = sent.ip != NO_IP;
    sent.in_domain = sent.domain;
    run->now_ms = plain_moment(&sent, run->now_ms);
    struct message message = message_of(mailboxes[sent.mailbox], id, run->now_ms);
    message.request.channel = sent.channel;
    message.request.ip = sent.ip != NO_IP ? ips[sent.ip] : NULL;
    message.request.group = sent.domain ? DOMAIN_KEY : NULL;
    message.request.off_domain = sent.off_domain;
    message.request.fingerprint = sent.fingerprint;
    message.request.dry_run = percent(5);
    message.request.rejected = percent(2);
    message.request.observe = percent(2);
    message.request.no_attempt = percent(5);
    message.request.attempt = some_attempt();
    message.request.retries_before_restart = 1 + (uint32_t)below(12);
    message.request.volume = some_durations();
    bool suspends = sent.channel != CHANNEL_FORWARDING && percent(10);
    message.request.window_count = countof(rules);
    for (size_t i = 0; i < countof(rules); i++)
        message.request.windows[i] =
            (struct judge_window){.rule = rules[i],
                                  .limit = some_limit(run, rules[i]),
                                  .suspends = suspends && percent(60)};
    int64_t ahead_ms = model_ahead(&sent, run->now_ms);
    bool undo = message.request.dry_run && ahead_ms > 0;
    if (undo)
        before_dry_run = model;
    if (ahead_ms > 0)
        model_mend(&sent, run->now_ms);
    sent.time_ms = later(run->now_ms, *newest_of_mailbox(&sent));
    if (sent.ip != NO_IP)
        sent.time_ms = later(sent.time_ms, model.newest_of_ip[sent.ip][sent.channel]);
    if (sent.domain)
        sent.time_ms = later(sent.time_ms, model.newest_of_domain[group_of(sent.channel)]);
    sent.ip_time_ms = sent.domain_time_ms = sent.time_ms;
    message.request.redeem = sent.channel != CHANNEL_FORWARDING ? some_redeem(&sent) : 0;
    message.request.ticket = sent.channel != CHANNEL_FORWARDING ? some_ticket(&sent) : 0;
    const struct counted *before = model_named(sent.mailbox, sent.id, sent.channel);
    if (before != NULL && (before->left_day || (before->mended &&
                                                before->time_ms <= sent.time_ms - DAY_MS))) {
        sent.id = IDS + run->step + (sent.channel == CHANNEL_FORWARDING ? 1000000000 : 0);
        before = NULL; /* whether that one is known still, nobody can say */
    }
    snprintf(id, sizeof id, "%d", sent.id);
    enum outcome outcome = judge(&message);

    ck_assert_msg(message.result.at_ms == sent.time_ms, RUN_FORMAT "at %lld, not %lld", RUN(run),
                  (long long)message.result.at_ms, (long long)sent.time_ms);
    ck_assert_msg(message.result.ahead_ms == ahead_ms, RUN_FORMAT "ahead %lld, not %lld", RUN(run),
                  (long long)message.result.ahead_ms, (long long)ahead_ms);
    bool over;
    struct kept_suspension seen[CAUSE_COUNT];
    check_windows(run, &message, &sent, &over);
    bool suspended = seen_suspensions(sent.mailbox, run->now_ms, seen) > 0;
    bool repeated = before != NULL && before->fingerprint == sent.fingerprint &&
                    before->time_ms > sent.time_ms - DAY_MS;
    const struct ticket *ticket =
        message.request.redeem > 0 ? model_ticket(sent.mailbox, message.request.redeem,
                                                  sent.time_ms) : NULL;
    if (suspended && !message.request.observe)
        ticket = NULL;
    const struct outcome_window *brings = suspended ? NULL : that_suspends(&message);
    enum outcome expected = repeated           ? OUTCOME_REPEATED
                            : ticket != NULL   ? OUTCOME_REDEEMED
                            : message.request.observe  ? OUTCOME_ADMITTED
                            : suspended        ? OUTCOME_SUSPENDED
                            : message.request.rejected     ? OUTCOME_REJECTED
                            : brings != NULL   ? OUTCOME_SUSPENDED
                            : over             ? OUTCOME_OVER
                                               : OUTCOME_ADMITTED;
    ck_assert_msg(outcome == expected, RUN_FORMAT "%s, not %s", RUN(run), outcome_names[outcome],
                  outcome_names[expected]);
    check_suspending(run, &message, &sent, brings);
    if (outcome == OUTCOME_OVER || outcome == OUTCOME_SUSPENDED)
        check_history(run, &message, &sent);
    if (undo)
        model = before_dry_run;
    if (message.request.dry_run)
        return;
    if (outcome == OUTCOME_REDEEMED)
        model_redeem(ticket);
    if (outcome == OUTCOME_ADMITTED)
        model_count(&sent);
    check_room(run, &message, &sent);
    if (outcome == OUTCOME_ADMITTED && message.request.ticket > 0)
        model_leave_ticket(&(struct ticket){sent.mailbox, sent.id, message.request.ticket,
                                            sent.time_ms + TICKET_MS, false});
}

static void suspend(struct run *run)
{
    int mailbox = below(MAILBOXES);
    struct durations durations = some_durations();
    enum cause cause = percent(50) ? CAUSE_VOLUME : (enum cause)below(CAUSE_COUNT);
    struct action action = action_at(run->now_ms);
    struct suspension got;
    if (run->besieged) { /* until the step that ends it */
        mailbox = 0;
        cause = CAUSE_VOLUME;
        durations = (struct durations){.count = 1, .ms = {DAY_MS}};
    }
    ck_assert_int_eq(store_suspend(store, mailboxes[mailbox], cause, &durations, &action, &got),
                     1);
    model_suspend(mailbox, cause, &durations, run->now_ms);
    model_made(mailbox, cause, got.id);
    check_suspension(run, &got, &model.suspensions[mailbox][cause]);
}

static void lift(struct run *run)
{
    int mailbox = below(MAILBOXES);
    enum cause cause = (enum cause)below(CAUSE_COUNT);
    struct action action = action_at(run->now_ms);
    struct kept_suspension seen;
    int expected = seen_suspension(mailbox, cause, run->now_ms, &seen);
    int result = store_lift(store, mailboxes[mailbox], cause, &action);
    ck_assert_msg(result == expected, RUN_FORMAT "lift: %d, not %d", RUN(run), result, expected);
    if (expected)
        model.suspensions[mailbox][cause].made = false;
}

static void look(struct run *run)
{
    int mailbox = below(MAILBOXES);
    struct account account;
    struct kept_suspension seen[CAUSE_COUNT];
    size_t count = seen_suspensions(mailbox, run->now_ms, seen);
    ck_assert_int_eq(store_account(store, arena, mailboxes[mailbox], run->now_ms, &account), 1);
    check_suspensions(run, &account.suspensions, seen, count);
}

static void refund(struct run *run)
{
    char id[16];
    int mailbox = below(MAILBOXES), given;
    struct counted *counted = NULL;
    if (model.count > 0 && percent(80)) {
        const struct counted *some = &model.all[(size_t)below((int)model.count)];
        if (some->channel == CHANNEL_FORWARDING)
            return; /* nobody gives it back */
        mailbox = some->mailbox;
        given = some->id;
        counted = model_named(mailbox, given, CHANNEL_WEBMAIL);
    } else {
        given = -1 - below(IDS);
    }
    snprintf(id, sizeof id, "%d", given);
    /* which of several that a wrong clock stamped is taken back, nobody can say */
    if (counted != NULL && (counted->mended || counted->left_day ||
                            counted->time_ms > run->now_ms + FIVE_MINUTES_MS))
        return;
    /* between the two, clocks differ about whether its day is over */
    if (counted != NULL && counted->time_ms > run->now_ms - DAY_MS &&
        counted->time_ms <= model.newest_of_mailbox[mailbox][0] - DAY_MS)
        return;
    int expected = counted != NULL && !counted->redeemed &&
                   counted->time_ms > run->now_ms - DAY_MS;
    int result = store_refund(store, mailboxes[mailbox], id, run->now_ms);
    ck_assert_msg(result == expected, RUN_FORMAT "giving %s back: %d, not %d (%s)", RUN(run), id,
                  result, expected, result < 0 ? store_error(store) : "");
    model_drop_ticket(mailbox, given);
    if (result == 1)
        counted->in_mailbox = counted->in_ip = counted->in_domain = counted->named = false;
}

static void reset(struct run *run)
{
    int mailbox = below(MAILBOXES);
    struct action action = action_at(run->now_ms);
    ck_assert_int_eq(store_reset(store, mailboxes[mailbox], &action), 1);
    for (size_t i = 0; i < model.count; i++)
        if (model.all[i].mailbox == mailbox)
            model.all[i].in_mailbox = model.all[i].named = false;
    model.newest_of_mailbox[mailbox][0] = model.newest_of_mailbox[mailbox][1] = 0;
}

/* Whether nothing but what a message counted then lets go of is past at so late a moment: when it
 * is, that is swept now and then, and whether it comes back with the clock nobody can say. */
static bool nothing_is_swept(const struct run *run, int64_t at_ms)
{
    for (size_t i = 0; i < model.count; i++) {
        const struct counted *one = &model.all[i];
        if (one->time_ms > run->now_ms - DAY_MS && *newest_of_mailbox(one) <= at_ms - DAY_MS)
            return false;
        if (one->ip != NO_IP && one->ip_time_ms > run->now_ms - HOUR_MS &&
            model.newest_of_ip[one->ip][one->channel] <= at_ms - HOUR_MS)
            return false;
        if (one->domain && one->domain_time_ms > run->now_ms - HOUR_MS &&
            model.newest_of_domain[group_of(one->channel)] <= at_ms - HOUR_MS)
            return false;
    }
    for (size_t i = 0; i < model.offence_count; i++)
        if (model.offences[i].since_ms > run->now_ms - 30 * DAY_MS - MINUTE_MS &&
            model.offences[i].since_ms <= at_ms - 30 * DAY_MS)
            return false;
    return true;
}

/* By a few minutes more than five, or, when all windows are empty, by up to a year. */
static void begin_wrong_clock(struct run *run)
{
    bool far = percent(15);
    if (far)
        run->now_ms += 31 * DAY_MS;
    int64_t ahead_ms = far ? (1 + below(400)) * DAY_MS
                           : FIVE_MINUTES_MS - 1 + below(10 * (int)MINUTE_MS);
    if (!far && !nothing_is_swept(run, run->now_ms + ahead_ms + 2 * MINUTE_MS))
        return;
    run->far = far;
    run->wrong_steps = 1 + below(25);
    run->right_ms = run->now_ms;
    run->now_ms += ahead_ms;
}

/* Often to where something was stamped five minutes ahead, to the millisecond. */
static void end_wrong_clock(struct run *run)
{
    int64_t newest_ms = 0;
    run->now_ms = run->right_ms + below(5 * (int)SECOND_MS);
    for (int i = 0; i < MAILBOXES; i++)
        newest_ms = later(newest_ms, model.newest_of_mailbox[i][0]);
    int64_t edge_ms = newest_ms - FIVE_MINUTES_MS - 1 + below(3);
    if (percent(60) && edge_ms > run->now_ms && edge_ms < run->now_ms + HOUR_MS)
        run->now_ms = edge_ms;
}

/* Often to where something leaves a window, a millisecond before or after. */
static void step_right_clock(struct run *run)
{
    static const int64_t lengths_ms[] = {HOUR_MS, DAY_MS};
    int kind = below(100);
    if (kind < 30)
        return;
    if (kind < 45)
        run->now_ms++;
    else if (kind < 80)
        run->now_ms += below(3 * (int)MINUTE_MS);
    else if (kind < 82)
        run->now_ms -= below(30 * (int)SECOND_MS);
    else if (kind < 97 && model.count > 0) {
        int64_t leaves_ms = model.all[(size_t)below((int)model.count)].time_ms +
                            lengths_ms[below(countof(lengths_ms))] + below(3) - 1;
        if (leaves_ms > run->now_ms && leaves_ms < run->now_ms + 2 * HOUR_MS)
            run->now_ms = leaves_ms;
    } else if (percent(10)) {
        run->now_ms += percent(20) ? below(4) * DAY_MS : below(30) * HOUR_MS;
    }
}

static void step_clock(struct run *run)
{
    if (run->wrong_steps > 0) {
        run->now_ms += below((int)SECOND_MS);
        if (--run->wrong_steps == 0)
            end_wrong_clock(run);
    } else if (run->besieged) {
        run->now_ms += below(20);
    } else if (below(400) == 0) {
        begin_wrong_clock(run);
    } else {
        step_right_clock(run);
    }
}

/* fixed: with a mailbox that tries on and on, which costs time. Several programs take turns. */
static void run_steps(uint64_t seed, int steps, bool fixed)
{
    static const int scales[] = {6, 30, 250};
    struct store *programs[PROGRAMS] = {store};
    struct run run = {.now_ms = NOW, .seed = seed};
    for (int i = 1; i < PROGRAMS; i++)
        programs[i] = backend_open(backend_url(), TEST_TIMEOUT_MS);
    chance_state = seed;
    memset(&model, 0, sizeof model);
    several_seen = 0;
    for (run.step = 0; run.step < steps; run.step++) {
        if (run.step % 2000 == 0)
            run.scale = scales[below(countof(scales))];
        store = programs[run.step / 3 % PROGRAMS];
        step_clock(&run);
        model_forget(run.wrong_steps > 0 ? run.right_ms : run.now_ms);
        int kind = below(1000);
        run.besieged = fixed && run.step >= 5000 && run.step < 7200;
        if (run.step == 5000) {
            run.wrong_steps = 0;
            suspend(&run);
        } else if (run.besieged)
            submit(&run);
        else if (kind < 60)
            refund(&run);
        else if (kind < 62)
            reset(&run);
        else if (kind < 72)
            suspend(&run);
        else if (kind < 110)
            lift(&run);
        else if (kind < 120)
            look(&run);
        else
            submit(&run);
        arena_reset(arena);
    }
    ck_assert(steps < 5000 || several_seen > steps / 200); /* short runs may meet none */
    store = programs[0];
    for (int i = 1; i < PROGRAMS; i++)
        store_free(&programs[i]);
}

/* ---- runs ------------------------------------------------------------------------------ */

/* A fixed seed, so that a fault that was found once stays found, and a new one. */
START_TEST(test_against_model)
{
    const int steps[BACKEND_KINDS] = {[BACKEND_SQLITE] = times(100000),
                                      [BACKEND_REDIS] = times(20000)};
    int backend = _i % BACKEND_KINDS;
    uint64_t seed = _i < BACKEND_KINDS ? 20251122 : chance_seed();
    printf("%s: %d steps, seed %llu\n", backend == BACKEND_SQLITE ? "SQLite" : "Redis",
           steps[backend],
           (unsigned long long)seed);
    fflush(stdout);
    backend_begin(backend);
    run_steps(seed, steps[backend], _i < BACKEND_KINDS);
}
END_TEST

/* While each answer waits until a replica has what it rests on, which takes time: a quarter of the
 * steps where others have a half. */
START_TEST(test_against_model_with_replica)
{
    uint64_t seed = _i == 0 ? 20251122 : chance_seed();
    int steps = times(times(20000));
    printf("Redis with a replica: %d steps, seed %llu\n", steps, (unsigned long long)seed);
    fflush(stdout);
    backend_begin(BACKEND_REDIS);
    run_steps(seed, steps, _i == 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store model");
    TCase *cases = backends_case(suite, "model");
    tcase_add_loop_test(cases, test_against_model, 0, 2 * BACKEND_KINDS);
    TCase *with_replica = tcase_create("model with a replica");
    tcase_add_unchecked_fixture(with_replica, backends_start_with_replica, backends_stop);
    tcase_add_checked_fixture(with_replica, NULL, backend_end);
    tcase_set_timeout(with_replica, 300);
    tcase_add_loop_test(with_replica, test_against_model_with_replica, 0, 2);
    suite_add_tcase(suite, with_replica);
    return suite;
}

int main(void) { return backends_run(suite()); }
