/* Both rooms against a model that is slow and plainly right: a list of all
 * counted messages, counted anew for every question, and a list of tickets. Random
 * submissions, repeats, tickets, give-backs, resets, limits and clock steps; whatever a room answers
 * must be what the list says. So no window ever holds more than its limit, and
 * nothing that fits is refused. SENDGUARD_SEED repeats a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rooms.h"

enum { MAILBOXES = 2, IPS = 2, COUNTED_MAX = 4096, IDS = 64, NO_IP = -1, TICKETS_MAX = 4096 };

static const char *const mailboxes[MAILBOXES] = {"alice@example.test", "bob@example.test"};
static const char *const ips[IPS] = {"192.0.2.1", "2001:db8::"};
static const enum rule rules[] = {RULE_MESSAGES_PER_DAY, RULE_OFF_DOMAIN_PER_DAY,
                                  RULE_OFF_DOMAIN_PER_HOUR_PER_IP, RULE_MESSAGES_PER_HOUR};

/* ---- chance ------------------------------------------------------------------ */

static uint64_t chance_state;

/* splitmix64: small, and the same everywhere for one seed. */
static uint64_t chance(void)
{
    uint64_t mixed = chance_state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

static int below(int bound) { return (int)(chance() % (uint64_t)bound); }
static bool percent(int share) { return below(100) < share; }

/* ---- the model ------------------------------------------------------------------ */

struct counted {
    int64_t time_ms;
    uint32_t off_domain;
    uint64_t fingerprint;
    int mailbox, ip, id;
    enum door channel;
    bool in_mailbox, in_ip; /* not given back, not reset */
    bool named;             /* the newest under its id */
    bool redeemed;          /* by its ticket: no refund */
};

struct ticket {
    int mailbox, id;
    uint32_t recipients;
    int64_t until_ms;
};

static struct {
    struct counted all[COUNTED_MAX];
    size_t count;
    struct ticket tickets[TICKETS_MAX];
    size_t ticket_count;
    int64_t latest_ms; /* the latest moment at which anything was judged */
    int64_t newest_of_mailbox[MAILBOXES][2], newest_of_ip[IPS][DOOR_COUNT];
} model;

/* What is older than two days is of no use to anybody. */
static void model_forget(int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < model.count; i++)
        if (model.all[i].time_ms > now_ms - 2 * DAY_MS)
            model.all[kept++] = model.all[i];
    model.count = kept;
    ck_assert_uint_lt(model.count, COUNTED_MAX);
    kept = 0;
    for (size_t i = 0; i < model.ticket_count; i++)
        if (model.tickets[i].until_ms > now_ms - HOUR_MS)
            model.tickets[kept++] = model.tickets[i];
    model.ticket_count = kept;
    ck_assert_uint_lt(model.ticket_count, TICKETS_MAX);
}

/* Webmail and SMTP count together for a mailbox, forwarding by itself. */
static int group_of(enum door channel) { return channel == DOOR_FORWARDING; }

/* What one channel sends from an IP fills no other's window of it. */
static uint64_t model_used(int mailbox, int ip, enum door channel, enum rule rule, int64_t at_ms)
{
    const struct rule_info *info = &rule_table[rule];
    uint64_t used = 0;
    for (size_t i = 0; i < model.count; i++) {
        const struct counted *counted = &model.all[i];
        bool ours = info->subject == SUBJECT_MAILBOX
                        ? counted->in_mailbox && counted->mailbox == mailbox &&
                              group_of(counted->channel) == group_of(channel)
                        : ip != NO_IP && counted->in_ip && counted->ip == ip &&
                              counted->channel == channel;
        if (ours && counted->time_ms > at_ms - info->window_ms)
            used += info->measure == MEASURE_MESSAGES ? 1 : counted->off_domain;
    }
    return used;
}

static struct counted *model_named(int mailbox, int id, enum door channel)
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
    struct counted *counted = model_named(ticket->mailbox, ticket->id, DOOR_WEBMAIL);
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
    model.tickets[model.ticket_count++] = *ticket;
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static void model_count(const struct counted *message)
{
    struct counted *older = model_named(message->mailbox, message->id, message->channel);
    if (older != NULL)
        older->named = false;
    model.all[model.count++] = *message;
    model.newest_of_mailbox[message->mailbox][group_of(message->channel)] = message->time_ms;
    if (message->ip != NO_IP)
        model.newest_of_ip[message->ip][message->channel] = message->time_ms;
}

/* ---- one step ----------------------------------------------------------------------- */

struct run {
    int64_t now_ms;
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

static void check_windows(const struct run *run, const struct store_message *message,
                          const struct counted *sent, bool *over_r)
{
    *over_r = false;
    for (size_t i = 0; i < message->window_count; i++) {
        const struct store_window *window = &message->windows[i];
        const struct rule_info *info = &rule_table[window->rule];
        uint64_t used =
            model_used(sent->mailbox, sent->ip, sent->channel, window->rule, sent->time_ms);
        uint64_t cost = info->measure == MEASURE_MESSAGES ? 1 : sent->off_domain;
        bool over = window->limit >= 0 && used + cost > (uint64_t)window->limit &&
                    (info->subject == SUBJECT_MAILBOX || sent->ip != NO_IP);
        ck_assert_msg(window->used_before == used, RUN_FORMAT "%s: used %llu, not %llu", RUN(run),
                      info->name, (unsigned long long)window->used_before,
                      (unsigned long long)used);
        ck_assert_msg(window->over == over, RUN_FORMAT "%s: over %d", RUN(run), info->name,
                      window->over);
        *over_r |= over;
    }
}

/* A refusal tells the history, entry by entry. */
static void check_history(const struct run *run, const struct store_message *message,
                          const struct counted *sent)
{
    const struct history *history = &message->histories[SUBJECT_MAILBOX];
    size_t next = 0;
    for (size_t i = 0; i < model.count; i++) {
        const struct counted *counted = &model.all[i];
        if (!counted->in_mailbox || counted->mailbox != sent->mailbox ||
            group_of(counted->channel) != group_of(sent->channel) ||
            counted->time_ms <= sent->time_ms - DAY_MS)
            continue;
        ck_assert_msg(next < history->count && history->entries[next].time_ms == counted->time_ms,
                      RUN_FORMAT "entry %zu of the history", RUN(run), next);
        next++;
    }
    ck_assert_msg(next == history->count, RUN_FORMAT "%zu entries, not %zu", RUN(run),
                  history->count, next);
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
    for (size_t i = 0; i < model.ticket_count; i++)
        if (model.tickets[i].until_ms > sent->time_ms &&
            model.tickets[i].until_ms <= model.latest_ms - MINUTE_MS)
            return 0;
    return percent(20) ? recipients : 0;
}

static void submit(struct run *run)
{
    char id[16];
    struct counted sent = {.off_domain = (uint32_t)below(percent(5) ? 100 : 4),
                           .fingerprint = (uint64_t)below(2),
                           .mailbox = below(MAILBOXES),
                           .ip = percent(5) ? NO_IP : below(IPS),
                           .channel = (enum door)below(DOOR_COUNT),
                           .id = percent(10) ? below(IDS) : IDS + run->step,
                           .in_mailbox = true,
                           .named = true};
    if (sent.channel == DOOR_FORWARDING) { /* as the guard asks: no IP, ids of its own, no ticket */
        sent.ip = NO_IP;
        sent.id += 1000000000;
    }
    sent.in_ip = sent.ip != NO_IP;
    snprintf(id, sizeof id, "%d", sent.id);
    struct store_message message = message_of(mailboxes[sent.mailbox], id, run->now_ms);
    message.channel = sent.channel;
    message.ip = sent.ip != NO_IP ? ips[sent.ip] : NULL;
    message.off_domain = sent.off_domain;
    message.fingerprint = sent.fingerprint;
    message.dry_run = percent(5);
    for (size_t i = 0; i < countof(rules); i++)
        message.windows[i] =
            (struct store_window){.rule = rules[i], .limit = some_limit(run, rules[i])};
    sent.time_ms = later(run->now_ms, model.newest_of_mailbox[sent.mailbox][group_of(sent.channel)]);
    if (sent.ip != NO_IP)
        sent.time_ms = later(sent.time_ms, model.newest_of_ip[sent.ip][sent.channel]);
    model.latest_ms = later(model.latest_ms, sent.time_ms);
    message.ticket = sent.channel != DOOR_FORWARDING ? some_ticket(&sent) : 0;
    message.redeem = sent.channel != DOOR_FORWARDING ? some_redeem(&sent) : 0;
    enum outcome outcome = judge(&message);

    ck_assert_msg(message.at_ms == sent.time_ms, RUN_FORMAT "at %lld, not %lld", RUN(run),
                  (long long)message.at_ms, (long long)sent.time_ms);
    bool over;
    check_windows(run, &message, &sent, &over);
    const struct counted *before = model_named(sent.mailbox, sent.id, sent.channel);
    bool repeated = before != NULL && before->fingerprint == sent.fingerprint &&
                    before->time_ms > sent.time_ms - DAY_MS;
    const struct ticket *ticket =
        message.redeem > 0 ? model_ticket(sent.mailbox, message.redeem, sent.time_ms) : NULL;
    enum outcome expected = repeated         ? OUTCOME_REPEATED
                            : ticket != NULL ? OUTCOME_REDEEMED
                            : over           ? OUTCOME_OVER
                                             : OUTCOME_ADMITTED;
    ck_assert_msg(outcome == expected, RUN_FORMAT "%s, not %s", RUN(run), outcome_names[outcome],
                  outcome_names[expected]);
    if (outcome == OUTCOME_OVER)
        check_history(run, &message, &sent);
    if (message.dry_run)
        return;
    if (outcome == OUTCOME_REDEEMED)
        model_redeem(ticket);
    if (outcome == OUTCOME_ADMITTED)
        model_count(&sent);
    if (outcome == OUTCOME_ADMITTED && message.ticket > 0)
        model_leave_ticket(&(struct ticket){sent.mailbox, sent.id, message.ticket,
                                            sent.time_ms + TICKET_MS});
}

static void give_back(struct run *run)
{
    char id[16];
    int mailbox = below(MAILBOXES), given;
    struct counted *counted = NULL;
    if (model.count > 0 && percent(80)) {
        const struct counted *some = &model.all[(size_t)below((int)model.count)];
        if (some->channel == DOOR_FORWARDING)
            return; /* nobody gives it back */
        mailbox = some->mailbox;
        given = some->id;
        counted = model_named(mailbox, given, DOOR_WEBMAIL);
    } else {
        given = -1 - below(IDS);
    }
    snprintf(id, sizeof id, "%d", given);
    /* between the two, clocks differ about whether its day is over */
    if (counted != NULL && counted->time_ms > run->now_ms - DAY_MS &&
        counted->time_ms <= model.newest_of_mailbox[mailbox][0] - DAY_MS)
        return;
    int expected = counted != NULL && !counted->redeemed &&
                   counted->time_ms > run->now_ms - DAY_MS;
    int result = store_give_back(store, mailboxes[mailbox], id, run->now_ms);
    ck_assert_msg(result == expected, RUN_FORMAT "giving %s back: %d, not %d (%s)", RUN(run), id,
                  result, expected, result < 0 ? store_error(store) : "");
    model_drop_ticket(mailbox, given);
    if (result == 1)
        counted->in_mailbox = counted->in_ip = counted->named = false;
}

static void reset(struct run *run)
{
    int mailbox = below(MAILBOXES);
    struct act act = act_at(run->now_ms);
    ck_assert_int_eq(store_reset(store, mailboxes[mailbox], &act), 1);
    for (size_t i = 0; i < model.count; i++)
        if (model.all[i].mailbox == mailbox)
            model.all[i].in_mailbox = model.all[i].named = false;
    model.newest_of_mailbox[mailbox][0] = model.newest_of_mailbox[mailbox][1] = 0;
}

/* Often to where something leaves a window, a millisecond before or after. */
static void step_clock(struct run *run)
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

static void run_steps(uint64_t seed, int steps)
{
    static const int scales[] = {6, 30, 250};
    struct run run = {.now_ms = NOW, .seed = seed};
    chance_state = seed;
    memset(&model, 0, sizeof model);
    for (run.step = 0; run.step < steps; run.step++) {
        if (run.step % 2000 == 0)
            run.scale = scales[below(countof(scales))];
        step_clock(&run);
        model_forget(run.now_ms);
        int kind = below(1000);
        if (kind < 60)
            give_back(&run);
        else if (kind < 62)
            reset(&run);
        else
            submit(&run);
        arena_reset(arena);
    }
}

/* ---- runs ------------------------------------------------------------------------------ */

static uint64_t seed_of_run(void)
{
    const char *text = getenv("SENDGUARD_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return text != NULL ? strtoull(text, NULL, 10)
                        : (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 5 };
#else
enum { SLOWER = 1 };
#endif

/* A fixed seed, so that a fault that was found once stays found, and a new one. */
START_TEST(test_against_model)
{
    static const int steps[ROOM_KINDS] = {[ROOM_SQLITE] = 100000 / SLOWER,
                                          [ROOM_REDIS] = 20000 / SLOWER};
    int room = _i % ROOM_KINDS;
    uint64_t seed = _i < ROOM_KINDS ? 20251122 : seed_of_run();
    printf("%s: %d steps, seed %llu\n", room == ROOM_SQLITE ? "SQLite" : "Redis", steps[room],
           (unsigned long long)seed);
    fflush(stdout);
    room_begin(room);
    run_steps(seed, steps[room]);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store model");
    TCase *cases = rooms_case(suite, "model");
    tcase_add_loop_test(cases, test_against_model, 0, 2 * ROOM_KINDS);
    return suite;
}

int main(void) { return rooms_run(suite()); }
