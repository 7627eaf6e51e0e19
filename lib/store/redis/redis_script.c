/* The scripts as Redis gets them: their parts one behind the other, with the constants that C has
 * in the place of the words in capitals. They are put into the text, since a local variable for
 * each of them would cost every call more than it does with them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "store/lifetimes.h"
#include "store/packed_pair.h"
#include "store/packed_record.h"
#include "store/redis/redis.h"

#include "store/redis/action.lua.h"
#include "store/redis/audit.lua.h"
#include "store/redis/common.lua.h"
#include "store/redis/desk.lua.h"
#include "store/redis/earlier.lua.h"
#include "store/redis/history.lua.h"
#include "store/redis/judge.lua.h"
#include "store/redis/observe.lua.h"
#include "store/redis/profile.lua.h"
#include "store/redis/read.lua.h"
#include "store/redis/recipient.lua.h"
#include "store/redis/record.lua.h"
#include "store/redis/refund.lua.h"
#include "store/redis/refusal.lua.h"
#include "store/redis/suspend.lua.h"
#include "store/redis/suspension.lua.h"
#include "store/redis/ticket.lua.h"
#include "store/redis/particular.lua.h"
#include "store/redis/values.lua.h"

/* The first line makes the server look before it begins a script whether it may write at all;
 * reading is possible when memory is out, and on a replica. */
static const struct {
    const char *first_line, *body;
} scripts[SCRIPT_COUNT] = {
    [SCRIPT_JUDGE] = {"#!lua\n", redis_judge_lua},
    [SCRIPT_ACTION] = {"#!lua\n", redis_action_lua},
    [SCRIPT_DESK] = {"#!lua\n", redis_desk_lua},
    [SCRIPT_OBSERVE] = {"#!lua\n", redis_observe_lua},
    [SCRIPT_VALUES] = {"#!lua\n", redis_values_lua},
    [SCRIPT_READ] = {"#!lua flags=no-writes\n", redis_read_lua},
};

/* What scripts begin with after common.lua: parts that become functions of that name, or, without a
 * name, stand there as they are. */
static const struct {
    const char *function, *body;
    bool in[SCRIPT_COUNT];
} parts[] = {
    {"histories", redis_history_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true, [SCRIPT_VALUES] = true}},
    {"earlier", redis_earlier_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true, [SCRIPT_VALUES] = true}},
    {"records", redis_record_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true, [SCRIPT_VALUES] = true}},
    {"recipients", redis_recipient_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true, [SCRIPT_VALUES] = true}},
    {"suspensions", redis_suspension_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true, [SCRIPT_VALUES] = true}},
    {"tickets", redis_ticket_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_VALUES] = true}},
    {"refunds", redis_refund_lua, {[SCRIPT_ACTION] = true, [SCRIPT_VALUES] = true}},
    {"refusals", redis_refusal_lua, {[SCRIPT_JUDGE] = true}},
    {"particulars", redis_particular_lua, {[SCRIPT_JUDGE] = true}},
    {"profiles", redis_profile_lua, {[SCRIPT_JUDGE] = true}},
    {NULL, redis_audit_lua,
     {[SCRIPT_ACTION] = true, [SCRIPT_DESK] = true, [SCRIPT_VALUES] = true}},
    {NULL, redis_suspend_lua, {[SCRIPT_ACTION] = true, [SCRIPT_VALUES] = true}},
};

/* ---- constants --------------------------------------------------------------------- */

#define DIGITS_OF(number) #number
#define DIGITS(number) DIGITS_OF(number)
#define TIME_FORM "I" DIGITS(TIME_BYTES)
#define WEIGHT_FORM "I" DIGITS(WEIGHT_BYTES)
#define TAG_FORM "I" DIGITS(TAG_BYTES)
#define NUMBER_FORM "I" DIGITS(NUMBER_BYTES)
#define TOTAL_FORM "I" DIGITS(MESSAGES_BYTES) "I" DIGITS(SUM_BYTES)
#define EARLIER_SPAN_FORM TIME_FORM "I" DIGITS(EARLIER_COUNT_BYTES) "I" DIGITS(EARLIER_SUM_BYTES)
#define CHARGE_FORM "Bc0" /* EARLIER_CHARGE_BYTES and EARLIER_FINGERPRINT_BYTES, or nothing */

_Static_assert(UNUSUAL_PACKED_BYTES == UNUSUAL_BYTES, "a form has it in digits");

struct script_name {
    const char *name, *value;
};
static const struct script_name names[] = {
    {"ALL", "sg:*"},
    {"MAILBOX_KEY", REDIS_MAILBOX_KEY}, /* its history */
    {"IP_KEY", REDIS_IP_KEY},
    {"DOMAIN_KEY", REDIS_DOMAIN_KEY},
    {"PAIRS", REDIS_PAIRS_KEY}, /* a mailbox's */
    {"TICKET", "sg:ticket:"}, /* sorted set by end: recipients, hash of the submission's id */
    {"ADMITTED", "sg:admitted"}, /* streams of records; further ones have a number behind */
    {"REFUSED", "sg:refused"},
    {"REFUSED_OF", "sg:refused:"}, /* a mailbox's refused messages */
    {"SUSPENSION", REDIS_SUSPENSION_KEY},
    {"TRIED", "sg:tried:"}, /* with its cause: ATTEMPT_BYTES of each message refused since */
    {"OFFENCES", "sg:offences:"},
    {"SUSPENDED", "sg:suspended"},
    {"ENDS", "sg:suspended:ends"},
    {"LIFTED", "sg:suspended:lifted:"}, /* with its cause: what undo puts back */
    {"NUMBERS", "sg:numbers"},
    {"ADJUSTMENTS", "sg:adjustments"},
    {"CHANGES", "sg:adjustments:changes"},
    {"ADJUSTMENT_ENDS", "sg:adjustments:ends"},
    {"AUDIT", "sg:audit"},
    {"AUDIT_OF", "sg:audit:"},
    {"KEPT", "sg:kept:"},
    {"KEPT_KEYS", "sg:kept_keys:"},
    {"KEPT_ENDS", "sg:kept_ends"},
    {"VALUE", REDIS_VALUE_KEY},
    {"VALUE_KEYS", REDIS_VALUE_KEYS}, /* index of a kind that is listed */
    {"VALUE_ENDS", REDIS_VALUE_ENDS},
    {"FROM", "sg:from:"},
    {"OF", "sg:of:"},
    {"NEAR", "sg:near"},
    {"COUNTERS", "sg:counters"},
    /* of the version before */
    {"EARLIER_HISTORY", "sg:history:"},
    {"EARLIER_TOTALS", "sg:totals:"},
    {"EARLIER_CHARGE", "sg:charge:"},
    {"EARLIER_DECISION", "sg:decision:"},
    {"EARLIER_LOG", "sg:log"}, /* ids of decisions in order of judging */
    /* forms, as the scripts' struct has them */
    {"TIME_FORM", ">" TIME_FORM},
    {"WEIGHT_FORM", ">" WEIGHT_FORM},
    {"TAG_FORM", ">" TAG_FORM},
    {"NUMBER_FORM", ">" NUMBER_FORM},
    {"SINCE_FORM", ">I" DIGITS(SINCE_BYTES)},
    {"MESSAGES_FORM", ">I" DIGITS(MESSAGES_BYTES)},
    {"ENTRY_FORM", ">" TIME_FORM WEIGHT_FORM},
    {"SPAN_FORM", ">" TIME_FORM TOTAL_FORM},
    {"RECORD_HEAD_FORM", ">BB" TIME_FORM "I4B"},
    {"VERSION_FORM", ">I" DIGITS(VERSION_BYTES)},
    {"BLOCK_FORM", ">B" TIME_FORM TIME_FORM "c16B"}, /* rules/failure_in_force.h */
    {"OF_DOMAIN", RECORD_OF_DOMAIN}, /* marks of a block */
    {"OF_MAILBOX", RECORD_OF_MAILBOX},
    {"DAMAGED", "-"},
    {"VALUE_FORM", ">I" DIGITS(VERSION_BYTES) TIME_FORM},
    {"RECORD_END_FORM", ">" TIME_FORM "I4"},
    {"EARLIER_SPAN_FORM", ">" EARLIER_SPAN_FORM},
    {"EARLIER_TAG_FORM", ">I" DIGITS(EARLIER_TAG_BYTES)},
    {"EARLIER_CHARGE_FORM", ">" TIME_FORM WEIGHT_FORM "I" DIGITS(EARLIER_GENERATION_BYTES)
                            "c" DIGITS(EARLIER_FINGERPRINT_BYTES)},
    /* what redis_judge.c packs */
    {"CHARGE_FORM", ">" CHARGE_FORM},
    {"PARTICULAR_FORM", ">" CHARGE_FORM "I4I4" WEIGHT_FORM WEIGHT_FORM "I3c0BI" DIGITS(END_BYTES)
                     "I3c0"},
    {"REFUSED_FORM", ">BBBBc0I4c" DIGITS(ATTEMPT_BYTES) "B"},
    {"DURATION_FORM", "i" DIGITS(DURATION_BYTES)},
    {"RECIPIENT_FORM", ">I" DIGITS(MESSAGES_BYTES) "I" DIGITS(MESSAGES_BYTES)}, /* used; by channel */
    {"OVER_FORM", ">" WEIGHT_FORM "I" DIGITS(MESSAGES_BYTES) TIME_FORM}, /* place, used, fits */
    {"RECORD_TOTAL_FORM", ">" TOTAL_FORM},
    /* rules/profile.h, rules/unusual.h */
    {"PROFILE_TIMES_FORM", ">" TIME_FORM TIME_FORM TIME_FORM TIME_FORM "I2"},
    {"PROFILE_NETWORK_FORM", ">" TIME_FORM "I2"}, /* behind its hash */
    {"PROFILE_DAY_OF_FORM", ">I2"}, /* of a recipient, behind its hash; same_until */
    {"PROFILE_DAY_FORM", ">I2I2"},
    {"PROFILE_ENTRY_FORM", ">" TIME_FORM "I2I2I2"},
    {"PROFILE_TAIL_FORM", ">I2B"},
    {"PROFILE_SEEN_FORM", ">I2I2I2BB"},
    {"PROFILE_LIMITS_FORM", ">I2BI2"},
    {"PROFILE_TERMS_FORM", ">BB" WEIGHT_FORM}, /* behind the limits */
    {"HELD_KIND", REDIS_HELD_KIND}, /* rules/held.h */
    {"HELD_FORM", ">BB" TIME_FORM TIME_FORM "c" DIGITS(UNUSUAL_PACKED_BYTES) "I2I4"},
    {"HELD_MESSAGE_FORM", ">I" DIGITS(SINCE_BYTES) "c" DIGITS(NUMBER_BYTES) WEIGHT_FORM "Bc0"},
    {"BY_GUARD", SUSPENSION_BY_GUARD},
};

static const struct {
    const char *name;
    int64_t value;
} numbers[] = {
    {"TIME_BYTES", TIME_BYTES},
    {"WEIGHT_BYTES", WEIGHT_BYTES},
    {"TAG_BYTES", TAG_BYTES},
    {"ID_BYTES", ID_BYTES},
    {"SINCE_BYTES", SINCE_BYTES},
    {"REFUSED_ID_BYTES", REFUSED_ID_BYTES},
    {"ENTRY_BYTES", COUNTED_IP_BYTES}, /* which an entry of a mailbox's history begins with, too */
    {"FINGERPRINT_BYTES", FINGERPRINT_BYTES},
    {"FINGERPRINT_PLACE", COUNTED_IP_BYTES + ID_BYTES + 1}, /* in an entry, from 1 */
    {"COUNTED_TOTAL_BYTES", MESSAGES_BYTES + SUM_BYTES},
    {"ATTEMPT_BYTES", ATTEMPT_BYTES},
    {"RECIPIENT_BYTES", RECIPIENT_BYTES},
    {"PAIR_BYTES", PAIR_BYTES},
    {"PAIR_MAX_BYTES", PAIR_MAX_BYTES},
    {"PAIR_WINDOW", DAY_MS},
    {"PAIR_SLACK", DAY_MS / 12},
    {"PAIR_LIFETIME", PAIR_LIFETIME_MS},
    {"PROFILE_FORMAT", PROFILE_FORMAT},
    {"PROFILE_HASH_BYTES", PROFILE_HASH_BITS / 8},
    {"PROFILE_RECIPIENT_BYTES", PROFILE_RECIPIENT_BYTES},
    {"PROFILE_RECIPIENTS_MAX", PROFILE_RECIPIENTS_MAX},
    {"PROFILE_RECIPIENTS_LEFT", PROFILE_RECIPIENTS_LEFT},
    {"PROFILE_RECIPIENT_DAYS", PROFILE_RECIPIENT_DAYS},
    {"PROFILE_NETWORK_BYTES", PROFILE_NETWORK_BYTES},
    {"PROFILE_NETWORKS_MAX", PROFILE_NETWORKS_MAX},
    {"PROFILE_NETWORK_DAYS", PROFILE_NETWORK_DAYS},
    {"PROFILE_RENEW_DAYS", PROFILE_RENEW_DAYS},
    {"PROFILE_BUSY_DAYS", PROFILE_BUSY_DAYS},
    {"PROFILE_DAYS_MAX", PROFILE_BUSY_DAYS + 1},
    {"PROFILE_DAY_BYTES", PROFILE_DAY_BYTES},
    {"PROFILE_ENTRY_BYTES", PROFILE_ENTRY_BYTES},
    {"PROFILE_ENTRIES_MAX", PROFILE_ENTRIES_MAX},
    {"PROFILE_TAIL_BYTES", PROFILE_TAIL_BYTES},
    {"PROFILE_NUMBER_MAX", PROFILE_NUMBER_MAX},
    {"PROFILE_KEPT", PROFILE_KEPT_MS},
    {"PROFILE_USUAL", PROFILE_USUAL_MS},
    {"PROFILE_TIMES_BYTES", 4 * TIME_BYTES + 2},
    {"HELD_FORMAT", HELD_FORMAT},
    {"HELD_HEAD_BYTES", HELD_HEAD_BYTES},
    {"HELD_LISTED_MAX", HELD_LISTED_MAX},
    {"HELD_SHOWN", HELD_SHOWN_MS},
    {"PROFILE_WHOLE_BYTES", 2048}, /* so long a one is written at once */
    {"UNUSUAL_HISTORY_DAYS", UNUSUAL_HISTORY_DAYS},
    {"UNUSUAL_NETWORK_NEW", UNUSUAL_NETWORK_NEW},
    {"UNUSUAL_FIRST", UNUSUAL_FIRST},
    {"UNUSUAL_BY_ACTION", UNUSUAL_BY_ACTION},
    {"PROFILE_TERMS_BYTES", PROFILE_TERMS_BYTES},
    {"LAST_COUNT", UINT32_MAX},
    {"UNUSUAL_LIMITS_BYTES", UNUSUAL_LIMITS_BYTES},
    {"UNUSUAL_ACTIONS", UNUSUAL_ACTIONS},
    {"ACTION_NOTE", UNUSUAL_NOTE},
    {"ACTION_DEFER", UNUSUAL_DEFER},
    {"ACTION_HOLD", UNUSUAL_HOLD},
    {"RECORD_UNUSUAL", RECORD_UNUSUAL},
    {"DAY", DAY_MS},
    {"HOUR", HOUR_MS},
    {"WINDOW_TOLD", WINDOW_TOLD},
    {"WINDOW_SUSPENDS", WINDOW_SUSPENDS},
    {"NO_END", REDIS_NO_END},
    {"ENDS_PLACE", ENDS_PLACE},
    {"VERSION_BYTES", VERSION_BYTES},
    {"VALUE_HEAD_BYTES", VALUE_HEAD_BYTES},
    {"LAST_VERSION", VALUE_ANY - 1},
    {"TIMES", INT64_C(1) << COUNTED_TIME_BITS},
    {"CHANNELS", 1 << COUNTED_CHANNEL_BITS},
    {"NUMBERS_END", 1 << COUNTED_ID_BITS},
    {"NEAR_TIME", COUNTED_NEAR_MS},
    {"RECORD_FORMAT", RECORD_FORMAT},
    {"RECORD_HEAD_BYTES", RECORD_HEAD_BYTES},
    {"RECORD_TIME_PLACE", RECORD_OUTCOME_AT + 2},
    {"RECORD_OUTCOME_AT", RECORD_OUTCOME_AT},
    {"RECORD_STREAMS", RECORD_STREAMS},
    {"SECOND", SECOND_MS},
    {"EARLIER_HEAD_BYTES", EARLIER_HEAD_BYTES},
    {"EARLIER_SPAN_BYTES", EARLIER_SPAN_BYTES},
    {"EARLIER_TAG_BYTES", EARLIER_TAG_BYTES},
    {"EARLIER_TAG_OF_NONE", EARLIER_TAG_NONE << COUNTED_ID_BITS},
    {"EARLIER_CHARGE_BYTES", EARLIER_CHARGE_BYTES},
    {"EARLIER_REDEEMED_TIME", EARLIER_REDEEMED},
    {"EARLIER_MAILBOX_SPANS", EARLIER_MAILBOX_SPANS},
    {"EARLIER_IP_SPANS", EARLIER_IP_SPANS},
    {"EARLIER_ID_TIME_DIGITS", EARLIER_ID_TIME_DIGITS},
    {"OUTCOME_ADMITTED", OUTCOME_ADMITTED},
    {"OUTCOME_REPEATED", OUTCOME_REPEATED},
    {"OUTCOME_REDEEMED", OUTCOME_REDEEMED},
    {"OUTCOME_REJECTED", OUTCOME_REJECTED},
    {"OUTCOME_OVER", OUTCOME_OVER},
    {"OUTCOME_SUSPENDED", OUTCOME_SUSPENDED},
    {"OUTCOME_BLOCKED", OUTCOME_BLOCKED},
    {"OUTCOME_UNUSUAL", OUTCOME_UNUSUAL},
    {"BLOCK_BYTES", FAILURE_IN_FORCE_BYTES},
    {"BLOCK_FORMAT", FAILURE_IN_FORCE_FORMAT},
    {"HINTS", FAILURE_HINT_COUNT},
    {"MODE_REJECTED", MODE_REJECTED},
    {"MODE_DRY_RUN", MODE_DRY_RUN},
    {"MODE_OBSERVE", MODE_OBSERVE},
    {"MODE_NO_ATTEMPT", MODE_NO_ATTEMPT},
    {"MODE_TRIM", MODE_TRIM},
    {"MODE_EARLIER", MODE_EARLIER},
    {"AHEAD", CLOCK_AHEAD_MS}, /* what is further ahead was stamped by a wrong clock */
    {"MARGIN", MARGIN_MS},
    {"TICKET_TIME", TICKET_MS},
    {"TICKET_WAITS", TICKET_WAITS},
    {"REMEMBERED", OFFENCES_REMEMBERED_MS},
    {"UNKNOWN_LENGTH", SUSPENSION_UNKNOWN_LENGTH_MS},
    {"COUNTED_KNOWN", COUNTED_KNOWN_MS},
    {"UNDO_TIME", UNDO_MS},
    {"UNLIFT_CHANGED", UNLIFT_CHANGED},
    {"UNLIFT_REPLACED", UNLIFT_REPLACED},
    {"UNLIFT_ENDED", UNLIFT_ENDED},
    {"UNLIFT_GONE", UNLIFT_GONE},
    {"CHANGE_TOLD", CHANGE_TOLD_MS},
    {"SEEN_KEPT", SEEN_KEPT_MS},
    {"ATTEMPTS_MAX", ATTEMPTS_KNOWN},
    {"SENDERS_MAX", SENDERS_MAX},
    {"NEAR_MAX", 10000},    /* windows near their limit that are kept */
    {"REFUSED_MAX", 1000},  /* of a mailbox */
    {"PAST_AT_ONCE", 304},  /* bytes of entries that no longer count, before they go */
    {"CROWD", 1000},        /* records of a millisecond; then late ones go to the next */
    {"TRIM_AT_ONCE", 256},
    {"TIDY_AT_ONCE", 32},
    {"TIDY_PAIRS", 2000},   /* fields of a mailbox looked at with a message */
    {"PAIRS_AT_ONCE", 100}, /* a recipient may have 120 KB */
    {"LOOK_AT", 1000},
    {"SCAN_AT_ONCE", 500},
    {"NEIGHBOURS", 1000},   /* as far from its place an id may be in the log */
    {"PAGE", 64},
};

/* Names of values that C has in tables of its own. */
static const struct {
    const char *name, *const *value;
} others[] = {
    {"ADMITTED_NAME", &outcome_names[OUTCOME_ADMITTED]},
    {"REPEATED_NAME", &outcome_names[OUTCOME_REPEATED]},
    {"REDEEMED_NAME", &outcome_names[OUTCOME_REDEEMED]},
    {"CAUSE_VOLUME", &cause_names[CAUSE_VOLUME]},
    {"KEPT_TRIES", &kept_kind_names[KEPT_TRIES]},
};

static void add_quoted(struct text *out, const char *value)
{
    text_add_char(out, '\'');
    for (; *value != '\0'; value++)
        if (*value == '\n')
            text_add(out, "\\n");
        else
            text_add_char(out, *value);
    text_add_char(out, '\'');
}

static void add_bytes(struct text *out, unsigned byte, size_t count)
{
    text_add_char(out, '\'');
    while (count-- > 0)
        text_addf(out, "\\%03u", byte);
    text_add_char(out, '\'');
}

/* Of a subject's totals: how many numbers; judge.lua has those of the mailbox as t1, t2, …, and
 * those of the IP and the domain behind them. */
static size_t shares_of(enum subject subject) { return history_shares(subject); }

static size_t span_numbers(enum subject subject) { return 1 + 2 * shares_of(subject); }

static size_t total_numbers(enum subject subject)
{
    return 2 + rule_spans(subject).count * span_numbers(subject);
}

static size_t first_total(enum subject subject)
{
    size_t first = 1;
    for (int before = 0; before < (int)subject; before++)
        first += total_numbers((enum subject)before);
    return first;
}

static size_t oldest_of(enum subject subject, size_t span)
{
    return first_total(subject) + 1 + span * span_numbers(subject);
}

static void add_all(struct text *out, char letter, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        text_addf(out, "%s%c%zu", i > first ? "," : "", letter, i);
}

/* A count of all shares: messages (0) or off-domain recipients (1) of a span. */
static void add_sum(struct text *out, enum subject subject, size_t span, size_t measure)
{
    size_t first = oldest_of(subject, span) + 1 + measure;
    for (size_t share = 0; share < shares_of(subject); share++)
        text_addf(out, "%st%zu", share > 0 ? "+" : "", first + 2 * share);
}

/* Whether something has left a span by `at`. */
static void add_left(struct text *out, enum subject subject)
{
    struct rule_spans spans = rule_spans(subject);
    for (size_t i = 0; i < spans.count; i++) {
        text_addf(out, "%st%zu<=at-%lld and ", i > 0 ? " or " : "", oldest_of(subject, i),
                  (long long)spans.length_ms[i]);
        add_sum(out, subject, i, 0);
        text_add(out, ">0");
    }
}

/* Whether one more message fits beside this one, or this one where there is no other. */
static void add_room(struct text *out, enum subject subject, size_t end)
{
    for (size_t i = 0; i < rule_spans(subject).count; i++)
        for (size_t measure = 0; measure < 2; measure++, end++) {
            text_add(out, end > 1 ? " and (" : "(");
            add_sum(out, subject, i, measure);
            text_addf(out, "<e%zu-1 or ", end);
            add_sum(out, subject, i, measure);
            text_addf(out, "==0 and e%zu>0)", end);
        }
}

/* Of the subjects before it. */
static size_t shares_before(enum subject subject)
{
    size_t shares = 0;
    for (int before = 0; before < (int)subject; before++)
        shares += shares_of((enum subject)before);
    return shares;
}

/* The totals with this message, which adds a1, a2, … to the shares. */
static void add_next(struct text *out, enum subject subject)
{
    size_t first = first_total(subject);
    size_t added = 1 + 2 * shares_before(subject);
    text_add(out, "at");
    for (size_t i = 0; i < rule_spans(subject).count; i++) {
        size_t oldest = oldest_of(subject, i);
        text_add(out, ",(");
        add_sum(out, subject, i, 0);
        text_addf(out, ")==0 and at or t%zu", oldest);
        for (size_t share = 0; share < 2 * shares_of(subject); share++)
            text_addf(out, ",t%zu+a%zu", oldest + 1 + share, added + share);
    }
    text_addf(out, ",t%zu", first + total_numbers(subject) - 1);
}

static size_t total_bytes(enum subject subject)
{
    size_t share_bytes = shares_of(subject) * (MESSAGES_BYTES + SUM_BYTES);
    return TIME_BYTES + rule_spans(subject).count * (TIME_BYTES + share_bytes) + 1;
}

static int shape_of(enum subject subject)
{
    return (int)(rule_spans(subject).count << 4 | shares_of(subject));
}

static void add_totals_form(struct text *out, enum subject subject)
{
    text_add(out, "'>" TIME_FORM);
    for (size_t i = 0; i < rule_spans(subject).count; i++) {
        text_add(out, TIME_FORM);
        for (size_t share = 0; share < shares_of(subject); share++)
            text_add(out, TOTAL_FORM);
    }
    text_add(out, "B'");
}

static void add_empty(struct text *out, enum subject subject)
{
    text_add_char(out, '\'');
    for (size_t i = 1; i < total_bytes(subject); i++)
        text_add(out, "\\000");
    text_addf(out, "\\%03d'", shape_of(subject));
}

static void add_shares(struct text *out, enum subject subject)
{
    text_add(out, "({");
    for (int channel = 0; channel < 1 << COUNTED_CHANNEL_BITS; channel++)
        text_addf(out, "[%d]=%zu,", channel,
                  channel < CHANNEL_COUNT ? history_share(subject, (enum channel)channel) : 0);
    text_add(out, "})");
}

/* The value that a subject's constant has, a number: 1, or 0 when it is no name of one. */
static int number_of_subject(enum subject subject, const char *what, int64_t *number_r)
{
    const struct {
        const char *name;
        int64_t number;
    } subject_numbers[] = {
        {"EACH", (int64_t)packed_entry_bytes(subject)},
        {"BYTES", (int64_t)total_bytes(subject)},
        {"SPANS", (int64_t)rule_spans(subject).count},
        {"SHARES", (int64_t)shares_of(subject)},
        {"SHAPE", shape_of(subject)},
        {"LONGEST", rule_longest_ms(subject)},
        {"SLACK", rule_longest_ms(subject) / 12},
        {"LIFETIME", rule_longest_ms(subject) * 13 / 12 + MARGIN_MS},
    };
    for (size_t i = 0; i < countof(subject_numbers); i++)
        if (strcmp(subject_numbers[i].name, what) == 0) {
            *number_r = subject_numbers[i].number;
            return 1;
        }
    return 0;
}

/* Of a subject: `what` is behind its name. False when it is nothing of it. */
static bool add_of_subject(struct text *out, enum subject subject, const char *what)
{
    struct rule_spans spans = rule_spans(subject);
    size_t first = first_total(subject);
    int64_t number;
    if (number_of_subject(subject, what, &number)) {
        text_add_int(out, number);
    } else if (strcmp(what, "FORM") == 0) {
        add_totals_form(out, subject);
    } else if (strcmp(what, "EMPTY") == 0) {
        add_empty(out, subject);
    } else if (strcmp(what, "SHARE_OF") == 0) {
        add_shares(out, subject);
    } else if (strcmp(what, "LENGTHS") == 0) { /* a list */
        for (size_t i = 0; i < spans.count; i++)
            text_addf(out, "%s%lld", i > 0 ? "," : "", (long long)spans.length_ms[i]);
    } else if (strcmp(what, "TOTALS") == 0) {
        add_all(out, 't', first, total_numbers(subject));
    } else if (strcmp(what, "NEWEST") == 0) {
        text_addf(out, "t%zu", first);
    } else if (strcmp(what, "COUNTED") == 0) { /* messages of the longest span */
        text_add_char(out, '(');
        add_sum(out, subject, 0, 0);
        text_add_char(out, ')');
    } else if (strcmp(what, "NEXT") == 0) {
        add_next(out, subject);
    } else {
        return false;
    }
    return true;
}

/* Messages and off-domain recipients of each span and share. */
static void add_held(struct text *out, enum subject subject)
{
    for (size_t span = 0; span < rule_spans(subject).count; span++) {
        text_add(out, subject != SUBJECT_MAILBOX || span > 0 ? "," : "");
        add_all(out, 't', oldest_of(subject, span) + 1, 2 * shares_of(subject));
    }
}

/* ---- what redis_judge.c packs, and records ---- */

static size_t count_numbers(void)
{
    return 2 * packed_record_spans_before(SUBJECT_COUNT);
}

static size_t added_numbers(void)
{
    return 2 * shares_before(SUBJECT_COUNT);
}

static void add_repeated(struct text *out, const char *form, size_t count)
{
    while (count-- > 0)
        text_add(out, form);
}

static void add_given_form(struct text *out)
{
    text_addf(out, "'>" TIME_FORM TIME_FORM "B" TIME_FORM "c%dc%dc" DIGITS(ID_BYTES)
              "c" DIGITS(NUMBER_BYTES) "c%d", COUNTED_BYTES, COUNTED_IP_BYTES, RECORD_HEAD_BYTES);
    add_repeated(out, "I" DIGITS(END_BYTES), count_numbers());
    add_repeated(out, "B" WEIGHT_FORM, added_numbers() / 2);
    text_add(out, "I2c0I2c0I2c0I2c0I2c0I2c0Bc0I3c0I2c0Bc0Bc0Bc0I3c0'");
}

static void add_record_totals(struct text *out)
{
    for (int subject = 0; subject < SUBJECT_COUNT; subject++)
        for (size_t span = 0; span < rule_spans((enum subject)subject).count; span++)
            for (size_t measure = 0; measure < 2; measure++) {
                if (subject + (int)span + (int)measure > 0)
                    text_add_char(out, ',');
                add_sum(out, (enum subject)subject, span, measure);
            }
}

static void add_causes(struct text *out)
{
    text_add(out, "({");
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        text_addf(out, "'%s',", cause_names[cause]);
    text_add(out, "})");
}

static void add_rule_names(struct text *out)
{
    text_add(out, "({");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        text_addf(out, "[%d]='%s',", rule, rule_table[rule].name);
    text_add(out, "})");
}

/* What is a subject's: true when it is a name of that. */
static bool add_of_subjects(struct text *out, const char *name)
{
    static const struct {
        const char *begins;
        enum subject subject;
    } names_of[] = {
        {"MAILBOX_", SUBJECT_MAILBOX}, {"IP_", SUBJECT_IP}, {"DOMAIN_", SUBJECT_DOMAIN}};
    for (size_t i = 0; i < countof(names_of); i++) {
        size_t length = strlen(names_of[i].begins);
        if (strncmp(name, names_of[i].begins, length) != 0)
            continue;
        if (strcmp(name + length, "FIRST_COUNT") != 0)
            return add_of_subject(out, names_of[i].subject, name + length);
        text_add_int(out, 2 * (int64_t)packed_record_spans_before(names_of[i].subject));
        return true;
    }
    return false;
}

/* What depends on the table of rules: true when it is a name of that. */
static bool add_of_rules(struct text *out, const char *name)
{
    if (add_of_subjects(out, name))
        return true;
    if (strcmp(name, "ALL_ENDS") == 0) {
        add_all(out, 'e', 1, count_numbers());
    } else if (strcmp(name, "ALL_ADDED") == 0) {
        add_all(out, 'a', 1, added_numbers());
    } else if (strcmp(name, "LEFT_ANY") == 0) {
        for (int subject = 0; subject < SUBJECT_COUNT; subject++) {
            text_add(out, subject > 0 ? " or " : "");
            add_left(out, (enum subject)subject);
        }
    } else if (strcmp(name, "OTHER_SHAPE") == 0) {
        for (int subject = 0; subject < SUBJECT_COUNT; subject++)
            text_addf(out, "%st%zu~=%d", subject > 0 ? " or " : "",
                      first_total((enum subject)subject) + total_numbers((enum subject)subject) - 1,
                      shape_of((enum subject)subject));
    } else if (strcmp(name, "ROOM_IN_ALL") == 0) {
        for (int subject = 0; subject < SUBJECT_COUNT; subject++)
            add_room(out, (enum subject)subject,
                     1 + 2 * packed_record_spans_before((enum subject)subject));
    } else if (strcmp(name, "COUNTS") == 0) {
        text_add_int(out, (int64_t)count_numbers());
    } else if (strcmp(name, "ENDS_FORM") == 0) {
        text_add(out, "'>");
        add_repeated(out, "I" DIGITS(END_BYTES), count_numbers());
        text_add_char(out, '\'');
    } else if (strcmp(name, "GIVEN_FORM") == 0) {
        add_given_form(out);
    } else if (strcmp(name, "RECORD_FORM") == 0) {
        text_addf(out, "'>c%d", RECORD_HEAD_BYTES);
        add_repeated(out, TOTAL_FORM, count_numbers() / 2);
        text_add(out, "c0'");
    } else if (strcmp(name, "TOLD_FORM") == 0) {
        text_add(out, "'>" TIME_FORM TIME_FORM);
        for (int subject = 0; subject < SUBJECT_COUNT; subject++)
            add_repeated(out, TOTAL_FORM, rule_spans((enum subject)subject).count *
                                              shares_of((enum subject)subject));
        text_add_char(out, '\'');
    } else if (strcmp(name, "ALL_HELD") == 0) {
        for (int subject = 0; subject < SUBJECT_COUNT; subject++)
            add_held(out, (enum subject)subject);
    } else if (strcmp(name, "RECORD_TOTALS") == 0) {
        add_record_totals(out);
    } else if (strcmp(name, "RECORD_SHAPE") == 0) {
        text_add_int(out, redis_record_shape());
    } else if (strcmp(name, "RULE_NAMES") == 0) {
        add_rule_names(out);
    } else if (strcmp(name, "LONGEST") == 0) {
        text_add_int(out, rule_longest_of_all_ms());
    } else if (strcmp(name, "KEPT_LEAST") == 0) {
        text_add_int(out, rule_longest_ms(SUBJECT_MAILBOX));
    } else {
        return false;
    }
    return true;
}

/* The value of that name as Lua writes it. */
static void add_constant(struct text *out, const char *name)
{
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(names[i].name, name) == 0) {
            add_quoted(out, names[i].value);
            return;
        }
    for (size_t i = 0; i < countof(numbers); i++)
        if (strcmp(numbers[i].name, name) == 0) {
            text_add_int(out, numbers[i].value);
            return;
        }
    for (size_t i = 0; i < countof(others); i++)
        if (strcmp(others[i].name, name) == 0) {
            add_quoted(out, *others[i].value);
            return;
        }
    if (strcmp(name, "DECISION_EPOCH") == 0) {
        text_add_int(out, decision_time(0));
    } else if (strcmp(name, "ID_OF_NONE") == 0) {
        add_bytes(out, 0, ID_BYTES);
    } else if (strcmp(name, "VALUE_OF_NONE") == 0) {
        add_bytes(out, 0, VALUE_HEAD_BYTES);
    } else if (strcmp(name, "FINGERPRINT_OF_NONE") == 0) {
        add_bytes(out, 0, FINGERPRINT_BYTES);
    } else if (strcmp(name, "IDENTITY_OF_NONE") == 0) {
        add_bytes(out, 0, ID_BYTES + FINGERPRINT_BYTES);
    } else if (strcmp(name, "ATTEMPT_OF_NONE") == 0) {
        add_bytes(out, 0, ATTEMPT_BYTES);
    } else if (strcmp(name, "CAUSES") == 0) {
        add_causes(out);
    } else if (strcmp(name, "RECIPIENT_RULE") == 0) {
        add_quoted(out, rule_table[RULE_MESSAGES_PER_DAY_PER_RECIPIENT].name);
    } else if (strcmp(name, "ARGV") == 0) {
        text_add(out, name);
    } else if (!add_of_rules(out, name)) {
        fprintf(stderr, "redis: a script names %s, which is no constant\n", name);
        abort();
    }
}

/* ---- scripts ------------------------------------------------------------------------- */

static bool is_of_word(char character)
{
    return isalnum((unsigned char)character) || character == '_';
}

/* Copies what is no word of a script: a comment, a string, a sign. Returns where it ends. */
static const char *add_other(struct text *out, const char *at)
{
    if (strncmp(at, "--", 2) == 0)
        return at + strcspn(at, "\n");
    const char *end = at + 1;
    if (*at == '\'' || *at == '"') {
        while (*end != *at)
            end += *end == '\\' ? 2 : 1;
        end++;
    }
    text_add_bytes(out, at, (size_t)(end - at));
    return end;
}

/* A word of capitals only, digits and '_' beside, is a constant. */
static const char *add_word(struct text *out, const char *at)
{
    size_t length = 0;
    bool constant = isupper((unsigned char)*at);
    for (; is_of_word(at[length]); length++)
        constant = constant && !islower((unsigned char)at[length]);
    if (constant) {
        freed_by(free_string) char *name = xasprintf("%.*s", (int)length, at);
        add_constant(out, name);
    } else {
        text_add_bytes(out, at, length);
    }
    return at + length;
}

static void add_part(struct text *out, const char *body)
{
    while (*body != '\0')
        body = is_of_word(*body) ? add_word(out, body) : add_other(out, body);
}

void redis_script_add(struct text *out, enum script script)
{
    text_add(out, scripts[script].first_line);
    add_part(out, redis_common_lua);
    for (size_t i = 0; i < countof(parts); i++) /* first: one may call another */
        if (parts[i].in[script] && parts[i].function != NULL)
            text_addf(out, "local %s\n", parts[i].function);
    for (size_t i = 0; i < countof(parts); i++) {
        if (!parts[i].in[script])
            continue;
        if (parts[i].function != NULL)
            text_addf(out, "function %s(...)\n", parts[i].function);
        add_part(out, parts[i].body);
        if (parts[i].function != NULL)
            text_add(out, "end\n");
    }
    add_part(out, scripts[script].body);
}
