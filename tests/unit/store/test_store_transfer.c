/* Moving a store from one database to another: what is there afterwards is what was there before,
 * and both judge on alike. SENDGUARD_SEED repeats a run. */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/decision.h"
#include "base/text.h"
#include "rules/history.h"
#include "store/records.h"
#include "store/transfer.h"
#include "tests/unit/store/backends.h"
#include "tests/unit/store/chance.h"
#include "tests/unit/store/schema_4.h"

enum { MAILBOXES = 5, IPS = 3, DOMAINS = 2, IDS = 40, STORES = 3 };
static const char *const mailboxes[MAILBOXES] = {
    "alice@example.test", "bob@example.test", "carol.long.name@sub.example.net",
    "d'oh@example.net", "never@example.test"};
static const char *const ips[IPS] = {"192.0.2.1", "2001:db8::", "198.51.100.7"};
static const char *const domains[DOMAINS] = {"example.test", "example.net"};

/* ---- databases ---------------------------------------------------------------------------- */

/* Ways from one kind of database to another and back. */
enum { FROM_SQLITE = BACKEND_SQLITE, FROM_REDIS = BACKEND_REDIS, SQLITE_ALONE, REDIS_ALONE, WAYS };

/* A place for a store on that way; no store is there yet. */
static const char *url_of(int place, int way)
{
    int kind = way == SQLITE_ALONE  ? BACKEND_SQLITE
               : way == REDIS_ALONE ? BACKEND_REDIS
               : place % 2 == 0     ? way
                                    : !way;
    return kind == BACKEND_SQLITE
               ? arena_printf(arena, "sqlite://%s/place-%d-%d.db", folder, (int)getpid(), place)
               : arena_printf(arena, "%s?db=%d", redis.url, place);
}

static int move(const char *from, const char *to, transfer_progress *progress, void *context,
                struct transfer_report *report_r, bool *part_left_r, struct problem *problem)
{
    const struct transfer_order order = {.from_url = from, .to_url = to,
                                         .options.timeout_ms = TEST_TIMEOUT_MS, .now_ms = NOW,
                                         .progress = progress, .context = context};
    memset(problem, 0, sizeof *problem);
    return transfer_all(&order, report_r, part_left_r, problem);
}

static struct transfer_report must_move(const char *from, const char *to)
{
    struct transfer_report report;
    struct problem problem;
    bool part_left = true;
    int answer = move(from, to, NULL, NULL, &report, &part_left, &problem);
    ck_assert_msg(answer == 1, "%d: %s", answer, problem.text);
    ck_assert(!part_left);
    return report;
}

static void must_fail(const char *from, const char *to, int answer, const char *why)
{
    struct transfer_report report;
    struct problem problem;
    bool part_left;
    ck_assert_int_eq(move(from, to, NULL, NULL, &report, &part_left, &problem), answer);
    ck_assert_msg(strstr(problem.text, why) != NULL, "\"%s\" is not in \"%s\"", why, problem.text);
}

static void must_name(const char *from, const char *to, const char *where)
{
    struct transfer_report report;
    struct problem problem;
    bool part_left;
    ck_assert_int_eq(move(from, to, NULL, NULL, &report, &part_left, &problem), 0);
    ck_assert_str_eq(problem.where, where);
}

/* A fresh arena and Redis without a store. */
static void begin(void)
{
    redis_server_ask(&redis, (const char *const[]){"FLUSHALL"}, 1);
    arena = arena_new();
    store = NULL;
}

#define MUST(by, call) ck_assert_msg((call) == 1, "%s: %s", #call, store_error(by))

/* ---- everything that a store has ---------------------------------------------------------- */

/* A message without an IP has no window of one, as the guard asks for it. */
static void drop_ip_windows(struct judge_request *request)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->window_count; i++)
        if (rule_table[request->windows[i].rule].subject != SUBJECT_IP)
            request->windows[kept++] = request->windows[i];
    request->window_count = kept;
}

/* The key of a sender domain. */
#define GROUP "@example.test"

/* The same message for each of several stores. */
static struct message random_message(int64_t now_ms)
{
    static const enum channel channels[] = {CHANNEL_WEBMAIL, CHANNEL_SMTP, CHANNEL_FORWARDING};
    const char *mailbox = mailboxes[below(MAILBOXES - 1)];
    struct message message = message_of(mailbox, arena_printf(arena, "id-%d", below(IDS)), now_ms);
    struct judge_request *request = &message.request;
    request->channel = channels[below(3)];
    request->ip = percent(80) && request->channel != CHANNEL_FORWARDING ? ips[below(IPS)] : NULL;
    request->group = percent(50) && request->channel != CHANNEL_FORWARDING ? GROUP : NULL;
    static const uint64_t recipients[] = {7, UINT64_MAX, UINT64_C(1) << 63};
    if (percent(60) && request->channel != CHANNEL_FORWARDING) {
        request->recipients = recipients + below(2);
        request->recipient_count = (size_t)(1 + below(2));
        request->windows[request->window_count++] = (struct judge_window){
            .rule = RULE_MESSAGES_PER_DAY_PER_RECIPIENT, .limit = 20 + below(20)};
    }
    request->fingerprint = (uint64_t)below(3) << 40 | 7;
    request->off_domain = (uint32_t)below(4);
    request->rejected = percent(10);
    request->attempt = percent(20) ? 0 : UINT64_C(0x100000001) * (uint64_t)(1 + below(30));
    if (request->channel == CHANNEL_WEBMAIL)
        request->ticket = percent(80) ? (uint32_t)(1 + below(2)) : 0;
    if (request->channel == CHANNEL_SMTP)
        request->redeem = percent(80) ? (uint32_t)(1 + below(2)) : 0;
    request->facts = facts_of(arena_printf(arena, "{\"mailbox\":\"%s\",\"n\":%d}", mailbox,
                                           below(1000)));
    request->keep_admitted_ms = (1 + below(40)) * HOUR_MS;
    request->keep_refused_ms = (1 + below(40)) * HOUR_MS;
    window_of(&message, RULE_MESSAGES_PER_HOUR)->limit = 5 + below(20);
    window_of(&message, RULE_OFF_DOMAIN_PER_HOUR_PER_IP)->limit = 10 + below(10);
    window_of(&message, RULE_MESSAGES_PER_DAY)->limit = 60 + below(60);
    request->volume = (struct durations){.count = 1, .ms = {2 * HOUR_MS}};
    if (request->ip == NULL)
        drop_ip_windows(request);
    return message;
}

static void judge_by(struct store *by, struct message *message)
{
    ck_assert_msg(store_judge(by, &message->request, &message->result) == 1, "%s",
                  store_error(by));
}

static struct action random_action(int64_t now_ms)
{
    struct action action = action_at(now_ms);
    action.note = percent(50) ? "a note: \"quoted\", \\ and äöü" : "agreed";
    return action;
}

static void random_staff(struct store *by, int64_t now_ms)
{
    const char *mailbox = mailboxes[below(MAILBOXES)];
    struct action action = random_action(now_ms);
    struct suspension made;
    struct durations durations = {.count = 2};
    struct adjustment adjustment = {.rule = RULE_MESSAGES_PER_DAY,
                                    .kind = (enum adjust_kind)below(2),
                                    .value = below(100),
                                    .until_ms = percent(50) ? UNTIL_LIFTED
                                                            : now_ms + (1 + below(30)) * HOUR_MS,
                                    .removed = percent(30)};
    snprintf(adjustment.subject, sizeof adjustment.subject, "%s",
             percent(50) ? mailbox : "@example.test");
    if (percent(30)) {
        adjustment.rule = 0;
        adjustment.kind = ADJUST_PLAN;
        adjustment.value = 0;
        snprintf(adjustment.plan, sizeof adjustment.plan, "plan-%d", below(3));
    }
    struct audited audited = {"note", mailbox, "{\"n\":1}", &action};
    int answer = 1;
    switch (below(7)) {
    case 0:
        durations.ms[0] = (1 + below(5)) * HOUR_MS;
        durations.ms[1] = percent(10) ? UNTIL_LIFTED : 3 * HOUR_MS;
        answer = store_suspend(by, mailbox, (enum cause)below(CAUSE_COUNT), &durations, &action,
                               &made);
        break;
    case 1:
    case 6: answer = store_lift(by, mailbox, (enum cause)below(CAUSE_COUNT), &action); break;
    case 2:
    case 3: answer = store_adjust(by, &adjustment, &action); break;
    case 4: answer = store_write_audit(by, &audited); break;
    default: /* SQLite does not know whose the tickets are that a reset leaves */
        if (percent(20) && (now_ms < NOW - HOUR_MS || now_ms > NOW))
            answer = store_reset(by, mailbox, &action);
    }
    ck_assert_msg(answer >= 0, "%s", store_error(by));
}

static void random_kept(struct store *by, int64_t now_ms)
{
    uint32_t count;
    int64_t free_at_ms;
    struct kept kept = {.key = arena_printf(arena, "key %d", below(500)),
                        .value = percent(10) ? "" : "{\"a\":\n\"ü\"}",
                        .until_ms = percent(30) ? UNTIL_LIFTED : now_ms + below(60) * HOUR_MS};
    enum kept_kind kind = (enum kept_kind)below(KEPT_KIND_COUNT);
    int answer = kind == KEPT_TRIES
                     ? store_try(by, kept.key, now_ms, DAY_MS, 5, &count, &free_at_ms)
                     : store_keep(by, kind, &kept, now_ms, NULL);
    ck_assert_msg(answer >= 0, "%s", store_error(by));
}

enum { VALUE_NUMBERS = 100 };

/* Of numbers below twice as many: the second ones as long as can be. */
static const char *value_key(int number)
{
    return arena_printf(arena, "key: %0*d", number < VALUE_NUMBERS ? 1 : VALUE_KEY_MAX - 5, number);
}

static void random_value(struct store *by, int64_t now_ms)
{
    static const char bytes[24] = "\0\xff bytes \0 of a value";
    static struct values_done done;
    enum value_kind kind = (enum value_kind)below(VALUE_KIND_COUNT);
    struct value_change change = {
        .value = {.kind = kind,
                  .key = value_key(below(2 * VALUE_NUMBERS)),
                  .bytes = bytes,
                  .length = (size_t)below((int)sizeof bytes),
                  .until_ms = percent(30) ? UNTIL_LIFTED : now_ms + below(60) * HOUR_MS},
        .replaces = VALUE_ANY};
    struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    MUST(by, store_values_change(by, &step, &done));
}

static void random_seen(struct store *by, int64_t now_ms)
{
    const char *mailbox = arena_printf(arena, "m%d@%s", below(700), domains[below(DOMAINS)]);
    struct observed_sender sender = {.mailbox = mailbox, .domain = strchr(mailbox, '@') + 1,
                                     .ip = percent(20) ? NULL : ips[below(IPS)], .at_ms = now_ms};
    struct near_limit near = {.rule = RULE_MESSAGES_PER_DAY, .at_ms = now_ms};
    struct counter counter = {.value = chance() % 1000000};
    snprintf(near.key, sizeof near.key, "%s", mailboxes[below(MAILBOXES)]);
    snprintf(counter.name, sizeof counter.name, "verdicts{x=\"%d\"}", below(300));
    struct observations seen = {&sender, &near, &counter, 1, 1, 1};
    ck_assert_msg(store_observe(by, &seen, now_ms) == 1, "%s", store_error(by));
}

/* Suspensions with an end and without, with attempts. */
static void suspend_some(struct store *by)
{
    struct durations durations = {.count = 1};
    struct action action = action_at(NOW);
    for (int i = 0; i < 2; i++) {
        struct suspension made;
        durations.ms[0] = i == 0 ? 3 * HOUR_MS : UNTIL_LIFTED;
        ck_assert_int_eq(store_suspend(by, mailboxes[i], CAUSE_VOLUME, &durations, &action, &made),
                         1);
        for (int k = 0; k < 12; k++) {
            struct message message = random_message(NOW);
            message.request.mailbox = mailboxes[i];
            judge_by(by, &message);
        }
    }
}

/* Whatever chance left, and an adjustment. */
static void leave_ticket(struct store *by)
{
    struct action action = action_at(NOW);
    struct message message = message_of(mailboxes[2], "with a ticket", NOW);
    struct adjustment adjustment = {.rule = RULE_MESSAGES_PER_HOUR, .value = 50,
                                    .until_ms = UNTIL_LIFTED, .subject = "@example.test"};
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        ck_assert_int_ge(store_lift(by, mailboxes[2], (enum cause)cause, &action), 0);
    message.request.ticket = 1;
    message.request.window_count = 0;
    judge_by(by, &message);
    ck_assert_int_eq(message.result.outcome, OUTCOME_ADMITTED);
    MUST(by, store_adjust(by, &adjustment, &action));
}

/* Of the two days up to NOW; the last ones of some minutes, so that tickets hold. */
static void fill(const char *url, int count)
{
    struct store *by = backend_open(url, TEST_TIMEOUT_MS);
    for (int i = 0; i < count; i++) {
        int64_t behind = count - 1 - i;
        int64_t now_ms =
            NOW - (behind < 40 ? behind * 10 * SECOND_MS : behind * 40 * HOUR_MS / count);
        struct message message = random_message(now_ms);
        judge_by(by, &message);
        if (percent(10))
            ck_assert_int_ge(store_refund(by, mailboxes[below(MAILBOXES)],
                                          arena_printf(arena, "id-%d", below(IDS)), now_ms), 0);
        if (percent(15))
            random_staff(by, now_ms);
        random_kept(by, now_ms);
        random_value(by, now_ms);
        random_seen(by, now_ms);
    }
    suspend_some(by);
    leave_ticket(by);
    store_free(&by);
}

/* ---- what is seen of a store -------------------------------------------------------------- */

static void add_suspension(struct text *out, const struct suspension *suspension)
{
    text_addf(out, "  suspension %lld %s %lld %lld %u %u %s %s\n", (long long)suspension->id,
              cause_names[suspension->cause],
              (long long)suspension->since_ms, (long long)suspension->until_ms,
              suspension->attempts, suspension->offence, suspension->by, suspension->note);
}

static void add_suspensions(struct text *out, const struct suspensions *suspensions)
{
    for (size_t i = 0; i < suspensions->count; i++)
        add_suspension(out, &suspensions->of[i]);
}

static void add_history(struct text *out, const struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        text_addf(out, "  counted %lld %u %d\n", (long long)history->entries[i].time_ms,
                  history->entries[i].off_domain, (int)history->entries[i].channel);
}

static void add_decisions(struct text *out, struct store *by, const char *mailbox, int64_t now_ms)
{
    struct record records[50];
    struct store_page page = {.max = countof(records), .more = true};
    for (uint64_t before = UINT64_MAX; page.more;) {
        MUST(by, store_decisions(by, arena, mailbox, before, now_ms, records, &page));
        for (size_t i = 0; i < page.count; i++) {
            const struct record *record = &records[i];
            before = record->decision;
            text_addf(out, "  decision %llx %lld %s %s", (unsigned long long)record->decision,
                      (long long)record->at_ms, outcome_names[record->outcome], record->facts);
            for (size_t k = 0; k < record->window_count; k++)
                text_addf(out, " %s=%llu", rule_table[record->windows[k].rule].name,
                          (unsigned long long)record->windows[k].used_before);
            text_add(out, "\n");
        }
    }
}

static void add_mailbox(struct text *out, struct store *by, const char *mailbox, int64_t now_ms)
{
    struct account account;
    struct audit audits[500];
    struct store_page page = {.max = countof(audits)};
    MUST(by, store_account(by, arena, mailbox, now_ms, &account));
    text_addf(out, "%s\n", mailbox);
    add_suspensions(out, &account.suspensions);
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char name[HISTORY_NAME_SIZE];
        struct history history;
        if (!history_is_first(SUBJECT_MAILBOX, (enum channel)channel))
            continue;
        MUST(by, store_history(by, arena, SUBJECT_MAILBOX,
                               history_name(SUBJECT_MAILBOX, (enum channel)channel, mailbox, name),
                               now_ms, &history));
        text_addf(out, " channel %d\n", channel);
        add_history(out, &history);
    }
    add_decisions(out, by, mailbox, now_ms);
    for (int cause = 0; cause < CAUSE_COUNT; cause++) {
        uint32_t count;
        MUST(by, store_offences(by, mailbox, (enum cause)cause, now_ms, &count));
        text_addf(out, "  offences %d %u\n", cause, count);
    }
    MUST(by, store_audit_newest(by, mailbox, INT64_MAX, audits, &page));
    for (size_t i = 0; i < page.count; i++)
        text_addf(out, "  audit %lld\n", (long long)audits[i].number);
}

static void add_ip(struct text *out, struct store *by, const char *ip, int64_t now_ms)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        char name[HISTORY_NAME_SIZE];
        struct history history;
        const char *named = history_name(SUBJECT_IP, (enum channel)channel, ip, name);
        if (named == NULL || !history_is_first(SUBJECT_IP, (enum channel)channel))
            continue;
        MUST(by, store_history(by, arena, SUBJECT_IP, named, now_ms, &history));
        text_addf(out, "%s channel %d\n", ip, channel);
        add_history(out, &history);
    }
}

static void add_domain(struct text *out, struct store *by, int64_t now_ms)
{
    struct history history;
    for (int i = 0; i < MAILBOXES; i++) {
        MUST(by, store_history(by, arena, SUBJECT_RECIPIENT, mailboxes[i], now_ms, &history));
        text_addf(out, "recipient of %s\n", mailboxes[i]);
        add_history(out, &history);
    }
    MUST(by, store_history(by, arena, SUBJECT_DOMAIN, GROUP, now_ms, &history));
    text_add(out, GROUP "\n");
    add_history(out, &history);
}

static void add_senders(struct text *out, struct store *by, enum sender_of of, const char *key,
                        int64_t now_ms)
{
    struct sender senders[1000];
    struct store_page page = {.max = countof(senders)};
    MUST(by, store_senders(by, of, key, "", now_ms, senders, &page));
    text_addf(out, "%s\n", key);
    for (size_t i = 0; i < page.count; i++)
        text_addf(out, "  sender %s %lld\n", senders[i].mailbox, (long long)senders[i].last_ms);
}

static void add_staff(struct text *out, struct store *by, int64_t now_ms)
{
    static struct audit audits[2000];
    struct adjustment adjustments[50];
    struct suspended suspended[50];
    struct store_page page = {.max = countof(audits)};
    MUST(by, store_audit(by, 0, audits, &page));
    for (size_t i = 0; i < page.count; i++)
        text_addf(out, "audit %lld %lld %s %s %s %s %s\n", (long long)audits[i].number,
                  (long long)audits[i].at_ms, audits[i].by, audits[i].action, audits[i].subject,
                  audits[i].note, audits[i].detail);
    page.max = countof(adjustments);
    MUST(by, store_adjustments(by, 0, adjustments, &page));
    for (size_t i = 0; i < page.count; i++)
        if (!adjustments[i].removed && adjustments[i].until_ms > now_ms)
            text_addf(out, "adjustment %lld %s %d %d %d %s %lld\n",
                      (long long)adjustments[i].change, adjustments[i].subject,
                      (int)adjustments[i].rule, (int)adjustments[i].kind, adjustments[i].value,
                      adjustments[i].plan, (long long)adjustments[i].until_ms);
    page.max = countof(suspended);
    MUST(by, store_suspended(by, "", now_ms, suspended, &page));
    for (size_t i = 0; i < page.count; i++) {
        text_addf(out, "suspended %s\n", suspended[i].mailbox);
        add_suspensions(out, &suspended[i].suspensions);
    }
}

static void add_others(struct text *out, struct store *by, int64_t now_ms)
{
    static struct kept kept[600];
    static struct near_limit nears[100];
    static struct counter counters[400];
    struct store_page page = {.max = countof(kept)};
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++) {
        MUST(by, store_kept_list(by, arena, (enum kept_kind)kind, "", now_ms, kept, &page));
        for (size_t i = 0; i < page.count; i++)
            text_addf(out, "kept %d %s %s %lld\n", kind, kept[i].key, kept[i].value,
                      (long long)kept[i].until_ms);
    }
    page.max = countof(nears);
    MUST(by, store_near(by, now_ms, nears, &page));
    for (size_t i = 0; i < page.count; i++)
        text_addf(out, "near %d %s %lld\n", (int)nears[i].rule, nears[i].key,
                  (long long)nears[i].at_ms);
    page.max = countof(counters);
    MUST(by, store_counters(by, "", counters, &page));
    for (size_t i = 0; i < page.count; i++)
        text_addf(out, "counter %s %llu\n", counters[i].name,
                  (unsigned long long)counters[i].value);
}

static void add_values(struct text *out, struct store *by, int64_t now_ms)
{
    static struct value values[2 * VALUE_NUMBERS * VALUE_KIND_COUNT];
    struct store_page page = {.max = countof(values)};
    for (size_t i = 0; i < countof(values); i++)
        values[i] = (struct value){.kind = (enum value_kind)(i % VALUE_KIND_COUNT),
                                   .key = value_key((int)(i / VALUE_KIND_COUNT))};
    for (size_t half = 0; half < countof(values); half += countof(values) / 2)
        MUST(by, store_values_get(by, arena, values + half, countof(values) / 2, now_ms));
    for (size_t i = 0; i < countof(values); i++) {
        text_addf(out, "value %zu %u %lld ", i, values[i].version, (long long)values[i].until_ms);
        for (size_t k = 0; k < values[i].length; k++)
            text_addf(out, "%02x", ((const unsigned char *)values[i].bytes)[k]);
        text_add_char(out, '\n');
    }
    for (int kind = VALUE_CURSOR; kind <= VALUE_OPEN; kind++) {
        MUST(by, store_values(by, arena, (enum value_kind)kind, "", now_ms, values, &page));
        for (size_t i = 0; i < page.count; i++)
            text_addf(out, "listed %s\n", values[i].key);
    }
}

/* All that the store's operations tell, as a text. */
static const char *seen_in(struct store *by, int64_t now_ms)
{
    freed_by(text_free) struct text out = {0};
    for (int i = 0; i < MAILBOXES; i++)
        add_mailbox(&out, by, mailboxes[i], now_ms);
    add_domain(&out, by, now_ms);
    for (int i = 0; i < IPS; i++) {
        add_ip(&out, by, ips[i], now_ms);
        add_senders(&out, by, SENDERS_OF_IP, ips[i], now_ms);
    }
    for (int i = 0; i < DOMAINS; i++)
        add_senders(&out, by, SENDERS_OF_DOMAIN, domains[i], now_ms);
    text_add(&out, "all\n");
    add_decisions(&out, by, NULL, now_ms);
    add_staff(&out, by, now_ms);
    add_others(&out, by, now_ms);
    add_values(&out, by, now_ms);
    return arena_strdup(arena, text_string(&out));
}

/* The first line in which both differ. */
static void must_equal(const char *one, const char *other, const char *which)
{
    const char *line = one;
    size_t at = 0;
    for (; one[at] != '\0' && one[at] == other[at]; at++)
        if (one[at] == '\n')
            line = one + at + 1;
    if (one[at] == other[at])
        return;
    ck_abort_msg("%s: \"%.*s\" is \"%.*s\"", which, (int)strcspn(line, "\n"), line,
                 (int)strcspn(other + (line - one), "\n"), other + (line - one));
}

static void stores_must_equal(struct store *const stores[STORES], int64_t now_ms)
{
    const char *first = seen_in(stores[0], now_ms);
    must_equal(first, seen_in(stores[1], now_ms), "the second store");
    must_equal(first, seen_in(stores[2], now_ms), "the third store");
}

/* ---- judging on --------------------------------------------------------------------------- */

static const char *result_text(const struct message *message)
{
    freed_by(text_free) struct text out = {0};
    const struct judge_result *result = &message->result;
    text_addf(&out, "%s at %lld ahead %lld brought %d\n", outcome_names[result->outcome],
              (long long)result->at_ms, (long long)result->ahead_ms, result->brought);
    add_suspensions(&out, &result->suspensions);
    for (size_t i = 0; i < result->window_count; i++)
        text_addf(&out, "  window %d %llu %d\n", (int)result->windows[i].rule,
                  (unsigned long long)result->windows[i].used_before, result->windows[i].over);
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        add_history(&out, &result->histories[subject]);
    return arena_strdup(arena, text_string(&out));
}

/* What happens in one store happens in all, by the same chance. */
static void judge_on(struct store *const stores[STORES], int count)
{
    for (int i = 0; i < count; i++) {
        int64_t now_ms = NOW + i * 5 * MINUTE_MS;
        struct message message = random_message(now_ms);
        const char *refunded = mailboxes[below(MAILBOXES)], *id, *first = NULL;
        id = arena_printf(arena, "id-%d", below(IDS));
        int answer = -1;
        bool refunds = percent(40), acts = percent(15);
        uint64_t state = chance_state;
        for (int one = 0; one < STORES; one++) {
            struct message copy = message;
            judge_by(stores[one], &copy);
            first = one == 0 ? result_text(&copy) : first;
            must_equal(first, result_text(&copy), arena_printf(arena, "message %d", i));
            int refund = refunds ? store_refund(stores[one], refunded, id, now_ms) : 0;
            answer = one == 0 ? refund : answer;
            ck_assert_int_eq(refund, answer);
            chance_state = state;
            if (acts)
                random_staff(stores[one], now_ms);
        }
    }
}

START_TEST(everything_is_moved_and_moved_back)
{
    struct store *stores[STORES];
    begin();
    chance_begin();
    fill(url_of(0, _i), 600);
    for (int place = 1; place < STORES; place++) {
        struct transfer_report report = must_move(url_of(place - 1, _i), url_of(place, _i));
        for (int kind = 0; kind < TRANSFER_KIND_COUNT; kind++)
            ck_assert_msg(report.of[kind].items > 0, "no %s", transfer_kind_names[kind]);
    }
    for (int place = 0; place < STORES; place++)
        stores[place] = backend_open(url_of(place, _i), TEST_TIMEOUT_MS);
    stores_must_equal(stores, NOW);
    judge_on(stores, 400);
    stores_must_equal(stores, NOW + 400 * 5 * MINUTE_MS);
    for (int place = 0; place < STORES; place++)
        store_free(&stores[place]);
}
END_TEST

/* Clocks that are wrong by more than clocks differ, one after the other. */
static void judge_ahead(const char *url)
{
    struct store *by = backend_open(url, TEST_TIMEOUT_MS);
    for (int i = 0; i < 60; i++) {
        struct message message = random_message(NOW + (i % 3) * 20 * MINUTE_MS);
        message.request.rejected = percent(30);
        judge_by(by, &message);
    }
    store_free(&by);
}

START_TEST(what_a_wrong_clock_stamped_is_moved)
{
    struct store *stores[STORES];
    begin();
    chance_begin();
    fill(url_of(0, _i), 100);
    judge_ahead(url_of(0, _i));
    for (int place = 1; place < STORES; place++)
        must_move(url_of(place - 1, _i), url_of(place, _i));
    for (int place = 0; place < STORES; place++)
        stores[place] = backend_open(url_of(place, _i), TEST_TIMEOUT_MS);
    stores_must_equal(stores, NOW);
    stores_must_equal(stores, NOW + HOUR_MS);
    for (int place = 0; place < STORES; place++)
        store_free(&stores[place]);
}
END_TEST

/* ---- many, and old ones -------------------------------------------------------------------- */

enum { MANY = 3000, REFUSED = 1100, SUSPENDED = 150 };

static void judge_many(struct store *by, bool refused, int count)
{
    struct message messages[50];
    int answers[countof(messages)];
    for (int i = 0; i < count; i += (int)countof(messages)) {
        for (size_t k = 0; k < countof(messages); k++) {
            const char *name = arena_printf(arena, "m%zu@example.test", (size_t)i + k);
            messages[k] = message_of(refused ? mailboxes[0] : name, name, NOW - count + i);
            messages[k].request.rejected = refused;
            messages[k].request.ip = NULL;
            messages[k].request.windows[0].limit = LIMIT_OFF;
            messages[k].request.window_count = 1;
        }
        judge_all(by, messages, answers, countof(messages));
        for (size_t k = 0; k < countof(messages); k++)
            ck_assert_int_eq(answers[k], 1);
    }
}

static size_t count_refused(const char *url)
{
    static struct record records[REFUSED + 1];
    struct store *by = backend_open(url, TEST_TIMEOUT_MS);
    struct store_page page = {.max = countof(records)};
    MUST(by, store_decisions(by, arena, mailboxes[0], UINT64_MAX, NOW, records, &page));
    store_free(&by);
    return page.count;
}

/* Of each mailbox three suspensions, which do not end in the order in which they were made. */
static void suspend_many(struct store *by)
{
    static const struct {
        enum cause cause;
        int64_t ms;
    } of[] = {{CAUSE_VOLUME, DAY_MS}, {CAUSE_TERMS, HOUR_MS}, {CAUSE_STAFF, 2 * HOUR_MS}};
    struct action action = action_at(NOW);
    struct suspension made;
    for (int i = 0; i < SUSPENDED; i++)
        for (size_t k = 0; k < countof(of); k++) {
            bool lifted = i % 4 == (int)k; /* one of them, or none, has no end */
            const struct durations durations = {1, {lifted ? UNTIL_LIFTED : of[k].ms + i}};
            MUST(by, store_suspend(by, arena_printf(arena, "m%d@example.test", i), of[k].cause,
                                   &durations, &action, &made));
        }
}

/* How many keys of suspensions in Redis have another expiry than the last end and a minute, none where
 * one holds until lifted. */
static long long wrong_expiries(void)
{
    static const char script[] =
        "local wrong = 0 "
        "for place = 0, 3 do redis.call('SELECT', place) "
        "for i = 0, 149 do "
        "local key = 'sg:suspension:m' .. i .. '@example.test' "
        "local left = redis.call('PTTL', key) "
        "local right = i % 4 < 3 and left == -1 "
        "or i % 4 == 3 and left > 86400000 and left < 86460200 "
        "if left ~= -2 and not right then wrong = wrong + 1 end end end return wrong";
    return redis_server_ask(&redis, (const char *const[]){"EVAL", script, "0"}, 3);
}

START_TEST(several_suspensions_of_many_are_moved)
{
    struct store *stores[STORES];
    begin();
    stores[0] = backend_open(url_of(0, _i), TEST_TIMEOUT_MS);
    suspend_many(stores[0]);
    store_free(&stores[0]);
    for (int place = 1; place < STORES; place++)
        ck_assert_uint_eq(must_move(url_of(place - 1, _i), url_of(place, _i))
                              .of[TRANSFER_SUSPENSION].items, 3 * SUSPENDED);
    ck_assert_int_eq(wrong_expiries(), 0);
    for (int place = 0; place < STORES; place++)
        stores[place] = backend_open(url_of(place, _i), TEST_TIMEOUT_MS);
    for (int i = 0; i < SUSPENDED; i++)
        for (int place = 0; place < STORES; place++) {
            struct account first, account;
            const char *mailbox = arena_printf(arena, "m%d@example.test", i);
            MUST(stores[0], store_account(stores[0], arena, mailbox, NOW, &first));
            MUST(stores[place], store_account(stores[place], arena, mailbox, NOW, &account));
            ck_assert_uint_eq(account.suspensions.count, 3);
            for (size_t k = 0; k < 3; k++)
                ck_assert_int_eq(account.suspensions.of[k].id, first.suspensions.of[k].id);
        }
    for (int place = 0; place < STORES; place++)
        store_free(&stores[place]);
}
END_TEST

/* More keys than one step of SCAN tells, and more refused messages than Redis lists of a mailbox.
 */
START_TEST(each_of_many_is_moved_once)
{
    begin();
    struct store *by = backend_open(url_of(0, _i), TEST_TIMEOUT_MS);
    judge_many(by, false, MANY);
    judge_many(by, true, REFUSED);
    store_free(&by);
    size_t refused = count_refused(url_of(0, _i));
    for (int place = 1; place < STORES; place++) {
        struct transfer_report report = must_move(url_of(place - 1, _i), url_of(place, _i));
        ck_assert_uint_eq(report.of[TRANSFER_HISTORY].items, MANY);
        ck_assert_uint_eq(report.of[TRANSFER_RECORD].items, MANY + REFUSED);
        ck_assert_uint_eq(count_refused(url_of(place, _i)), refused);
    }
    ck_assert_uint_ge(refused, 1000);
}
END_TEST

/* Of its mailbox nothing is counted then. */
START_TEST(a_ticket_outlives_a_reset)
{
    begin();
    struct store *by = backend_open(url_of(0, FROM_REDIS), TEST_TIMEOUT_MS);
    struct message message = message_of(mailboxes[0], "id", NOW - 2);
    struct action action = action_at(NOW - 1);
    message.request.ticket = 1;
    judge_by(by, &message);
    MUST(by, store_reset(by, mailboxes[0], &action));
    store_free(&by);
    for (int place = 1; place < STORES; place++)
        ck_assert_uint_eq(must_move(url_of(place - 1, FROM_REDIS), url_of(place, FROM_REDIS))
                              .of[TRANSFER_TICKET].items, 1);
    for (int place = 0; place < STORES; place++) {
        by = backend_open(url_of(place, FROM_REDIS), TEST_TIMEOUT_MS);
        message = message_of(mailboxes[0], "another", NOW);
        message.request.channel = CHANNEL_SMTP;
        message.request.redeem = 1;
        judge_by(by, &message);
        ck_assert_int_eq(message.result.outcome, OUTCOME_REDEEMED);
        store_free(&by);
    }
}
END_TEST

/* What is kept in the forms until version 5 of the schema. */
START_TEST(records_of_old_schemas_are_moved)
{
    const char *seen[STORES];
    sqlite3 *db = NULL;
    begin();
    const char *url = url_of(0, BACKEND_SQLITE);
    ck_assert_int_eq(sqlite3_open(strchr(url, '/') + 2, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, schema_4, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    for (int place = 0; place < STORES; place++) {
        freed_by(text_free) struct text out = {0};
        if (place > 0)
            ck_assert_uint_gt(must_move(url_of(place - 1, BACKEND_SQLITE),
                                        url_of(place, BACKEND_SQLITE)).of[TRANSFER_RECORD].items,
                              25);
        struct store *by = backend_open(url_of(place, BACKEND_SQLITE), TEST_TIMEOUT_MS);
        struct history history;
        add_decisions(&out, by, NULL, NOW);
        add_staff(&out, by, NOW);
        MUST(by, store_history(by, arena, SUBJECT_MAILBOX, mailboxes[0], NOW, &history));
        add_history(&out, &history);
        store_free(&by);
        seen[place] = arena_strdup(arena, text_string(&out));
        must_equal(seen[0], seen[place], "after the move");
    }
}
END_TEST

/* An admitted and a refused message, as the version before kept their records in Redis. */
static void keep_earlier(void)
{
    uint64_t admitted = decision_floor(NOW - 10) | 7, refused = decision_floor(NOW - 5) | 9;
    const char *script = arena_printf(arena,
        "local pack, call = struct.pack, redis.call "
        "local function totals(count)"
        "  return pack('>I6I4I6I4I5I6I4I5', 0, 0, 0, count, 2 * count, 0, 0, 0)"
        "    .. pack('>I6I4I6I4I5', 0, 0, 0, 0, 3 * count) end "
        "call('SET', 'sg:decision:%016llx', 'admitted\\n' .. pack('>I6I2', %lld, 1) .. totals(4)"
        "  .. '172800000 2592000000 messages_per_day=1 off_domain_per_day=2"
        " off_domain_per_hour_per_ip=6 \\n{\"a\":1}')"
        "call('SET', 'sg:decision:%016llx', 'rejected\\n' .. pack('>I6I2', %lld, 1) .. totals(0)"
        "  .. '172800000 2592000000 \\n{}')"
        "call('RPUSH', 'sg:log', '%016llx', '%016llx')"
        "return call('RPUSH', 'sg:refused:%s', '%016llx')",
        (unsigned long long)admitted, (long long)(NOW - 10), (unsigned long long)refused,
        (long long)(NOW - 5), (unsigned long long)admitted, (unsigned long long)refused,
        mailboxes[0], (unsigned long long)refused);
    redis_server_ask(&redis, (const char *const[]){"EVAL", script, "0"}, 3);
}

START_TEST(records_of_an_earlier_redis_are_moved)
{
    const char *seen[STORES];
    begin();
    keep_earlier();
    for (int place = 0; place < STORES; place++) {
        freed_by(text_free) struct text out = {0};
        if (place > 0)
            ck_assert_uint_eq(must_move(url_of(place - 1, FROM_REDIS), url_of(place, FROM_REDIS))
                                  .of[TRANSFER_RECORD].items, 2);
        struct store *by = backend_open(url_of(place, FROM_REDIS), TEST_TIMEOUT_MS);
        add_decisions(&out, by, NULL, NOW);
        add_decisions(&out, by, mailboxes[0], NOW);
        store_free(&by);
        seen[place] = arena_strdup(arena, text_string(&out));
        must_equal(seen[0], seen[place], "after the move");
    }
    ck_assert_ptr_nonnull(strstr(seen[0], "messages_per_day=4 off_domain_per_day=8"));
    ck_assert_ptr_nonnull(strstr(seen[0], "rejected"));
}
END_TEST

/* Their messages would not be known again. */
START_TEST(histories_of_an_earlier_redis_are_refused)
{
    begin();
    keep_earlier();
    redis_server_ask(&redis, (const char *const[]){"INCR", "sg:totals:alice@example.test"}, 2);
    must_fail(url_of(0, FROM_REDIS), url_of(1, FROM_REDIS), -1, "move the store a day later");
}
END_TEST

/* ---- what goes wrong ---------------------------------------------------------------------- */

/* A counter more in Redis, when everything was moved but not yet compared. */
static bool plant(void *context, enum transfer_kind kind, uint64_t items)
{
    int *database = context;
    (void)items;
    if (kind == TRANSFER_COUNTER && *database >= 0) {
        char script[100];
        snprintf(script, sizeof script,
                 "redis.call('SELECT', %d) redis.call('HSET', 'sg:counters',"
                 " 'planted', 1) return 1",
                 *database);
        redis_server_ask(&redis, (const char *const[]){"EVAL", script, "0"}, 3);
        *database = -1;
    }
    return true;
}

static bool stop(void *context, enum transfer_kind kind, uint64_t items)
{
    (void)context;
    (void)items;
    return kind != TRANSFER_SUSPENSION;
}

/* What was made of a file is no longer there; of Redis a part is. */
static void must_leave_nothing(const char *url)
{
    struct stat file;
    const char *path = strchr(url, '/') + 2;
    ck_assert_int_ne(stat(path, &file), 0);
    ck_assert_int_ne(stat(arena_printf(arena, "%s.moving", path), &file), 0);
    ck_assert_int_ne(stat(arena_printf(arena, "%s.moving-wal", path), &file), 0);
}

START_TEST(a_difference_is_found)
{
    struct transfer_report report;
    struct problem problem;
    bool part_left;
    begin();
    chance_begin();
    fill(url_of(0, _i), 20);
    int database = _i == BACKEND_SQLITE ? 1 : 0;
    ck_assert_int_eq(move(url_of(0, _i), url_of(1, _i), plant, &database, &report, &part_left,
                          &problem), 0);
    ck_assert_msg(strstr(problem.text, _i == BACKEND_SQLITE
                                           ? "the counters differ afterwards"
                                           : "another program changed the counters") != NULL,
                  "%s", problem.text);
    ck_assert_int_eq(part_left, _i == BACKEND_SQLITE);
    if (_i == BACKEND_REDIS)
        must_leave_nothing(url_of(1, _i));
}
END_TEST

/* Whether a store opens on it, and what it says where not. */
static int examine(const char *url, const char *why)
{
    bool made;
    struct store *by = backend_open(url, TEST_TIMEOUT_MS);
    int answer = store_examine(by, &made);
    ck_assert_msg(answer == 1 || strstr(store_error(by), why) != NULL, "%s", store_error(by));
    store_free(&by);
    return answer;
}

/* Stops before the kind in `context`. */
static bool stop_before(void *context, enum transfer_kind kind, uint64_t items)
{
    (void)items;
    return kind != *(const enum transfer_kind *)context;
}

START_TEST(an_interruption_says_what_is_left)
{
    struct transfer_report report;
    struct problem problem;
    bool part_left;
    begin();
    chance_begin();
    fill(url_of(0, _i), 20);
    for (enum transfer_kind kind = TRANSFER_HASH_KEY; kind < TRANSFER_KIND_COUNT; kind++) {
        ck_assert_int_eq(move(url_of(0, _i), url_of(1, _i), stop_before, &kind, &report, &part_left,
                              &problem), 0);
        ck_assert_str_eq(problem.text, "interrupted");
        ck_assert_int_eq(part_left, _i == BACKEND_SQLITE);
        if (_i == BACKEND_REDIS)
            must_leave_nothing(url_of(1, _i));
        else
            ck_assert_int_eq(examine(url_of(1, _i), "only a part of a store"), 0);
    }
    must_move(url_of(0, _i), url_of(1, _i));
    ck_assert_int_eq(examine(url_of(1, _i), ""), 1);
    must_fail(url_of(0, _i), url_of(1, _i), 0, "already");
}
END_TEST

/* A part is neither judged by, nor looked at, nor moved on; what is there beside it stays. */
START_TEST(a_part_is_not_used)
{
    struct transfer_report report;
    struct problem problem;
    bool part_left, made;
    begin();
    chance_begin();
    fill(url_of(0, FROM_SQLITE), 20);
    redis_server_ask(&redis, (const char *const[]){
        "EVAL", "redis.call('SELECT', 1) return redis.call('APPEND', 'other', '7')", "0"}, 3);
    /* a program that could not connect before */
    struct store *by = backend_open(url_of(1, FROM_SQLITE), TEST_TIMEOUT_MS);
    ck_assert_int_eq(move(url_of(0, FROM_SQLITE), url_of(1, FROM_SQLITE), stop, NULL, &report,
                          &part_left, &problem), 0);
    ck_assert_int_eq(store_lift(by, mailboxes[0], CAUSE_STAFF, &(struct action){
        .by = "ada", .note = "x", .now_ms = NOW}), -1);
    ck_assert_msg(strstr(store_error(by), "only a part of a store") != NULL, "%s", store_error(by));
    ck_assert_int_eq(store_examine(by, &made), 0);
    store_free(&by);
    must_fail(url_of(1, FROM_SQLITE), url_of(2, FROM_SQLITE), 0, "only a part of a store");
    must_move(url_of(0, FROM_SQLITE), url_of(1, FROM_SQLITE));
    ck_assert_int_eq(redis_server_ask(&redis, (const char *const[]){
        "EVAL", "redis.call('SELECT', 1) return redis.call('GET', 'other')", "0"}, 3), 7);
}
END_TEST

START_TEST(a_store_must_not_be_there_already)
{
    begin();
    chance_begin();
    fill(url_of(0, _i), 5);
    fill(url_of(1, _i), 5);
    must_fail(url_of(0, _i), url_of(1, _i), 0,
              _i == BACKEND_REDIS ? "is there already" : "has a store of Sendguard already");
    if (_i == BACKEND_REDIS) { /* a log would be taken for the new file's */
        const char *path = strchr(url_of(1, _i), '/') + 2;
        ck_assert_int_eq(rename(path, arena_printf(arena, "%s-wal", path)), 0);
        must_fail(url_of(0, _i), url_of(1, _i), 0, "-wal: is there already");
    }
}
END_TEST

START_TEST(wrong_urls_are_told)
{
    begin();
    must_fail(url_of(0, _i), url_of(0, _i), 0, "expected two databases, found one twice");
    must_fail(url_of(0, _i), url_of(1, _i), 0,
              _i == BACKEND_SQLITE ? "No such file" : "there is no store of Sendguard");
    must_fail("mysql://x", url_of(1, _i), 0, "expected sqlite:///PATH");
    must_name("mysql://x", url_of(1, _i), "FROM-URL");
    must_name(url_of(1, _i), "mysql://x", "TO-URL");
    must_fail(url_of(1, _i), "redis://:secret@h", 0, "set store.user and store.password_file instead");
}
END_TEST

/* A child with an open store, until it is killed. */
static pid_t hold_open(const char *url)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *held = backend_open(url, TEST_TIMEOUT_MS);
        bool made;
        if (store_examine(held, &made) == 1 && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

START_TEST(a_store_in_use_is_not_moved)
{
    begin();
    chance_begin();
    fill(url_of(0, _i), 5);
    pid_t child = hold_open(url_of(0, _i));
    must_fail(url_of(0, _i), url_of(1, _i), 0, "stop the services first");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    must_move(url_of(0, _i), url_of(1, _i));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_transfer");
    TCase *cases = backends_case(suite, "transfer");
    tcase_add_loop_test(cases, everything_is_moved_and_moved_back, 0, WAYS);
    tcase_add_loop_test(cases, what_a_wrong_clock_stamped_is_moved, 0, WAYS);
    tcase_add_loop_test(cases, each_of_many_is_moved_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, several_suspensions_of_many_are_moved, 0, BACKEND_KINDS);
    tcase_add_test(cases, a_ticket_outlives_a_reset);
    tcase_add_test(cases, records_of_old_schemas_are_moved);
    tcase_add_test(cases, records_of_an_earlier_redis_are_moved);
    tcase_add_test(cases, histories_of_an_earlier_redis_are_refused);
    tcase_add_loop_test(cases, a_difference_is_found, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, an_interruption_says_what_is_left, 0, BACKEND_KINDS);
    tcase_add_test(cases, a_part_is_not_used);
    tcase_add_loop_test(cases, a_store_must_not_be_there_already, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, wrong_urls_are_told, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_store_in_use_is_not_moved, 0, BACKEND_KINDS);
    return backends_run(suite);
}
