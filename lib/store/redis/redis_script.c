/* The scripts as Redis gets them: their parts one behind the other, with the constants that C has
 * in the place of the words in capitals. They are put into the text, since a local variable for
 * each of them would cost every call more than it does with them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/lifetimes.h"
#include "store/redis/redis.h"

#include "store/redis/action.lua.h"
#include "store/redis/audit.lua.h"
#include "store/redis/common.lua.h"
#include "store/redis/desk.lua.h"
#include "store/redis/history.lua.h"
#include "store/redis/judge.lua.h"
#include "store/redis/observe.lua.h"
#include "store/redis/read.lua.h"
#include "store/redis/refusal.lua.h"
#include "store/redis/suspension.lua.h"
#include "store/redis/ticket.lua.h"

/* The first line makes the server look before it begins a script whether it may write at all;
 * reading is possible when memory is out, and on a replica. */
static const struct {
    const char *first_line, *body;
} scripts[SCRIPT_COUNT] = {
    [SCRIPT_JUDGE] = {"#!lua\n", redis_judge_lua},
    [SCRIPT_ACTION] = {"#!lua\n", redis_action_lua},
    [SCRIPT_DESK] = {"#!lua\n", redis_desk_lua},
    [SCRIPT_OBSERVE] = {"#!lua\n", redis_observe_lua},
    [SCRIPT_READ] = {"#!lua flags=no-writes\n", redis_read_lua},
};

/* What scripts begin with after common.lua: parts that become functions of that name, or, without a
 * name, stand there as they are. */
static const struct {
    const char *function, *body;
    bool in[SCRIPT_COUNT];
} parts[] = {
    {"histories", redis_history_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true}},
    {"suspensions", redis_suspension_lua,
     {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true, [SCRIPT_READ] = true}},
    {"tickets", redis_ticket_lua, {[SCRIPT_JUDGE] = true, [SCRIPT_ACTION] = true}},
    {"refusals", redis_refusal_lua, {[SCRIPT_JUDGE] = true}},
    {NULL, redis_audit_lua, {[SCRIPT_ACTION] = true, [SCRIPT_DESK] = true}},
};

/* ---- constants --------------------------------------------------------------------- */

#define DIGITS_OF(number) #number
#define DIGITS(number) DIGITS_OF(number)
#define TIME_FORM "I" DIGITS(TIME_BYTES)
#define WEIGHT_FORM "I" DIGITS(WEIGHT_BYTES)
#define TAG_FORM "I" DIGITS(TAG_BYTES)
#define HEAD_FORM TIME_FORM "I" DIGITS(GENERATION_BYTES)
#define SPAN_FORM TIME_FORM "I" DIGITS(COUNT_BYTES) "I" DIGITS(SUM_BYTES)

struct script_name {
    const char *name, *value;
};
static const struct script_name names[] = {
    {"ALL", "sg:*"},
    /* of a history: its entries, its totals; "sg:history:MAILBOX" */
    {"HISTORY", "sg:history:"},
    {"TOTALS", "sg:totals:"},
    {"CHARGE", "sg:charge:"},
    {"TICKET", "sg:ticket:"}, /* sorted set by end: recipients, key of the charge */
    {"DECISION", "sg:decision:"},
    {"LOG", "sg:log"}, /* ids of decisions in order of judging */
    {"REFUSED", "sg:refused:"},
    {"SUSPENSION", "sg:suspension:"},
    {"TRIED", "sg:tried:"}, /* ATTEMPT_BYTES of each message that was refused since */
    {"OFFENCES", "sg:offences:"},
    {"SUSPENDED", "sg:suspended"},
    {"ENDS", "sg:suspended:ends"},
    {"NUMBERS", "sg:numbers"},
    {"ADJUSTMENTS", "sg:adjustments"},
    {"CHANGES", "sg:adjustments:changes"},
    {"ADJUSTMENT_ENDS", "sg:adjustments:ends"},
    {"AUDIT", "sg:audit"},
    {"AUDIT_OF", "sg:audit:"},
    {"KEPT", "sg:kept:"},
    {"KEPT_KEYS", "sg:kept_keys:"},
    {"KEPT_ENDS", "sg:kept_ends"},
    {"FROM", "sg:from:"},
    {"OF", "sg:of:"},
    {"NEAR", "sg:near"},
    {"COUNTERS", "sg:counters"},
    /* forms, as the scripts' struct has them */
    {"TIME_FORM", ">" TIME_FORM},
    {"WEIGHT_FORM", ">" WEIGHT_FORM},
    {"TAG_FORM", ">" TAG_FORM},
    {"ENTRY_FORM", ">" TIME_FORM WEIGHT_FORM},
    {"HEAD_FORM", ">" HEAD_FORM},
    {"SPAN_FORM", ">" SPAN_FORM},
    {"CHARGE_FORM", ">" TIME_FORM WEIGHT_FORM "I" DIGITS(GENERATION_BYTES) "c" DIGITS(
                        FINGERPRINT_BYTES)},
    /* what redis_judge.c packs */
    {"GIVEN_FORM", ">" TIME_FORM WEIGHT_FORM "Bc" DIGITS(TAG_BYTES)},
    {"REFUSED_FORM", ">Bc0I4c" DIGITS(ATTEMPT_BYTES) "B"},
    {"DURATION_FORM", "i" DIGITS(DURATION_BYTES)},
    {"BY_GUARD", SUSPENSION_BY_GUARD},
};

static const struct {
    const char *name;
    int64_t value;
} numbers[] = {
    {"TIME_BYTES", TIME_BYTES},
    {"WEIGHT_BYTES", WEIGHT_BYTES},
    {"TAG_BYTES", TAG_BYTES},
    {"ENTRY_BYTES", ENTRY_BYTES},
    {"GENERATION_BYTES", GENERATION_BYTES},
    {"HEAD_BYTES", HEAD_BYTES},
    {"SPAN_BYTES", SPAN_BYTES},
    {"FINGERPRINT_BYTES", FINGERPRINT_BYTES},
    {"ATTEMPT_BYTES", ATTEMPT_BYTES},
    {"ID_TIME_DIGITS", ID_TIME_DIGITS},
    {"ENDS_PLACE", TIME_BYTES + WEIGHT_BYTES + 1 + TAG_BYTES + 1}, /* behind GIVEN_FORM */
    {"TAG_STEP", INT64_C(1) << TAG_ID_BITS},
    {"TAG_MOST", (int64_t)TAG_NO_ID << TAG_ID_BITS},
    {"REDEEMED", REDEEMED_BIT},
    {"GENERATIONS", INT64_C(1) << 8 * GENERATION_BYTES},
    {"FIRST_MAILBOX_SPANS", FIRST_MAILBOX_SPANS},
    {"FIRST_IP_SPANS", FIRST_IP_SPANS},
    {"MODE_REJECTED", MODE_REJECTED},
    {"MODE_DRY_RUN", MODE_DRY_RUN},
    {"MODE_OBSERVE", MODE_OBSERVE},
    {"MODE_NO_ATTEMPT", MODE_NO_ATTEMPT},
    {"MODE_MARKED", MODE_MARKED},
    {"AHEAD", CLOCK_AHEAD_MS}, /* what is further ahead was stamped by a wrong clock */
    {"MARGIN", MARGIN_MS},
    {"TICKET_TIME", TICKET_MS},
    {"REMEMBERED", OFFENCES_REMEMBERED_MS},
    {"UNKNOWN_LENGTH", SUSPENSION_UNKNOWN_LENGTH_MS},
    {"COUNTED_KNOWN", COUNTED_KNOWN_MS},
    {"CHANGE_TOLD", CHANGE_TOLD_MS},
    {"SEEN_KEPT", SEEN_KEPT_MS},
    {"ATTEMPTS_MAX", ATTEMPTS_KNOWN},
    {"SENDERS_MAX", SENDERS_MAX},
    {"NEAR_MAX", 10000},    /* windows near their limit that are kept */
    {"LOG_MAX", 100000},    /* ids in the log, and so many more before it is cut */
    {"LOG_SLACK", 1000},
    {"REFUSED_MAX", 1000},  /* of a mailbox */
    {"PAST_AT_ONCE", 16},   /* entries that no longer count, before they go */
    {"TIDY_AT_ONCE", 32},
    {"LOOK_AT", 256},       /* ids at the log's beginning */
    {"SCAN_AT_ONCE", 500},
    {"NEIGHBOURS", 1000},   /* as far from its place an id may be in the log */
    {"PAGE", 64},
};

/* Names of values that C has in tables of its own. */
static const struct {
    const char *name, *const *value;
} others[] = {
    {"OUTCOME_ADMITTED", &outcome_names[OUTCOME_ADMITTED]},
    {"OUTCOME_REPEATED", &outcome_names[OUTCOME_REPEATED]},
    {"OUTCOME_REDEEMED", &outcome_names[OUTCOME_REDEEMED]},
    {"OUTCOME_REJECTED", &outcome_names[OUTCOME_REJECTED]},
    {"OUTCOME_OVER", &outcome_names[OUTCOME_OVER]},
    {"OUTCOME_SUSPENDED", &outcome_names[OUTCOME_SUSPENDED]},
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

/* judge.lua has all totals as t1, t2, … and all ends as e1, e2, …: the first of a subject. */
static size_t first_total(enum subject subject)
{
    return subject == SUBJECT_MAILBOX ? 1 : 3 + 3 * rule_spans(SUBJECT_MAILBOX).count;
}

static void add_all(struct text *out, char letter, size_t count)
{
    for (size_t i = 1; i <= count; i++)
        text_addf(out, "%s%c%zu", i > 1 ? "," : "", letter, i);
}

/* Whether something has left a span by `at`. */
static void add_left(struct text *out, enum subject subject)
{
    struct rule_spans spans = rule_spans(subject);
    size_t oldest = first_total(subject) + 2;
    for (size_t i = 0; i < spans.count; i++, oldest += 3)
        text_addf(out, "%st%zu<=at-%lld and t%zu>0", i > 0 ? " or " : "", oldest,
                  (long long)spans.length_ms[i], oldest + 1);
}

/* Whether one more message fits beside this one, or this one where there is no other. */
static void add_room(struct text *out, enum subject subject, size_t end)
{
    size_t oldest = first_total(subject) + 2;
    for (size_t i = 0; i < rule_spans(subject).count; i++, oldest += 3)
        for (size_t count = oldest + 1; count <= oldest + 2; count++, end++)
            text_addf(out, "%s(t%zu<e%zu-1 or t%zu==0 and e%zu>0)",
                      end > 1 ? " and " : "", count, end, count, end);
}

/* The totals with this message. */
static void add_counted(struct text *out, enum subject subject)
{
    size_t first = first_total(subject), oldest = first + 2;
    text_addf(out, "at,t%zu", first + 1);
    for (size_t i = 0; i < rule_spans(subject).count; i++, oldest += 3)
        text_addf(out, ",t%zu==0 and at or t%zu,t%zu+1,t%zu+weight", oldest + 1, oldest,
                  oldest + 1, oldest + 2);
}

static void add_spans_form(struct text *out, enum subject subject)
{
    text_add(out, HEAD_FORM);
    for (size_t i = 0; i < rule_spans(subject).count; i++)
        text_add(out, SPAN_FORM);
}

/* Of a subject's totals: `what` is behind its name. False when it is nothing of them. */
static bool add_of_subject(struct text *out, enum subject subject, const char *what)
{
    struct rule_spans spans = rule_spans(subject);
    size_t bytes = HEAD_BYTES + spans.count * SPAN_BYTES, first = first_total(subject);
    if (strcmp(what, "FORM") == 0) {
        text_add(out, "'>");
        add_spans_form(out, subject);
        text_add_char(out, '\'');
    } else if (strcmp(what, "EMPTY") == 0) {
        add_bytes(out, 0, bytes);
    } else if (strcmp(what, "BYTES") == 0) {
        text_add_int(out, (int64_t)bytes);
    } else if (strcmp(what, "SPANS") == 0) {
        text_add_int(out, (int64_t)spans.count);
    } else if (strcmp(what, "LONGEST") == 0) {
        text_add_int(out, spans.length_ms[0]);
    } else if (strcmp(what, "LENGTHS") == 0) { /* a list */
        for (size_t i = 0; i < spans.count; i++)
            text_addf(out, "%s%lld", i > 0 ? "," : "", (long long)spans.length_ms[i]);
    } else if (strcmp(what, "NEWEST") == 0) {
        text_addf(out, "t%zu", first);
    } else if (strcmp(what, "GENERATION") == 0) {
        text_addf(out, "t%zu", first + 1);
    } else if (strcmp(what, "MESSAGES") == 0) {
        text_addf(out, "t%zu", first + 3);
    } else if (strcmp(what, "COUNTED") == 0) {
        add_counted(out, subject);
    } else {
        return false;
    }
    return true;
}

static void add_rule_names(struct text *out)
{
    text_add(out, "({");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        text_addf(out, "[%d]='%s',", rule, rule_table[rule].name);
    text_add(out, "})");
}

/* What depends on the table of rules: true when it is a name of that. */
static bool add_of_rules(struct text *out, const char *name)
{
    struct seen_spans spans = redis_spans();
    size_t counts = 2 * (spans.of[SUBJECT_MAILBOX] + spans.of[SUBJECT_IP]);
    char shape[RECORD_SHAPE_SIZE];
    if (strncmp(name, "MAILBOX_", 8) == 0)
        return add_of_subject(out, SUBJECT_MAILBOX, name + 8);
    if (strcmp(name, "IP_FIRST_COUNT") == 0) {
        text_add_int(out, 1 + 2 * (int64_t)spans.of[SUBJECT_MAILBOX]);
    } else if (strcmp(name, "IP_AT") == 0) {
        text_add_int(out, 2 + 3 * (int64_t)spans.of[SUBJECT_MAILBOX]);
    } else if (strncmp(name, "IP_", 3) == 0) {
        return add_of_subject(out, SUBJECT_IP, name + 3);
    } else if (strcmp(name, "TOTALS_FORM") == 0) {
        text_add(out, "'>");
        add_spans_form(out, SUBJECT_MAILBOX);
        add_spans_form(out, SUBJECT_IP);
        text_add_char(out, '\'');
    } else if (strcmp(name, "ALL_TOTALS") == 0) {
        add_all(out, 't', 4 + 3 * counts / 2);
    } else if (strcmp(name, "ALL_ENDS") == 0) {
        add_all(out, 'e', counts);
    } else if (strcmp(name, "LEFT_ANY") == 0) {
        add_left(out, SUBJECT_MAILBOX);
        text_add(out, " or ");
        add_left(out, SUBJECT_IP);
    } else if (strcmp(name, "ROOM_IN_ALL") == 0) {
        add_room(out, SUBJECT_MAILBOX, 1);
        add_room(out, SUBJECT_IP, 1 + 2 * spans.of[SUBJECT_MAILBOX]);
    } else if (strcmp(name, "COUNTS") == 0) {
        text_add_int(out, (int64_t)counts);
    } else if (strcmp(name, "ENDS_FORM") == 0) {
        text_add(out, "'>");
        for (size_t i = 0; i < counts; i++)
            text_add(out, "I" DIGITS(SUM_BYTES));
        text_add_char(out, '\'');
    } else if (strcmp(name, "RULE_NAMES") == 0) {
        add_rule_names(out);
    } else if (strcmp(name, "LONGEST") == 0) {
        text_add_int(out, rule_longest_of_all_ms());
    } else if (strcmp(name, "RECORD_SHAPE") == 0) {
        add_quoted(out, redis_record_shape(shape));
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
    if (strcmp(name, "CHARGE_LIFETIME") == 0) { /* as text: so the server need not make it */
        text_addf(out, "'%lld'", (long long)(COUNTED_KNOWN_MS + MARGIN_MS));
    } else if (strcmp(name, "TAG_OF_NONE") == 0) {
        text_addf(out, "'\\%03d\\000\\000'", TAG_NO_ID << 4);
    } else if (strcmp(name, "ATTEMPT_OF_NONE") == 0) {
        add_bytes(out, 0, ATTEMPT_BYTES);
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
    for (size_t i = 0; i < countof(parts); i++) {
        if (!parts[i].in[script])
            continue;
        if (parts[i].function != NULL)
            text_addf(out, "local function %s(...)\n", parts[i].function);
        add_part(out, parts[i].body);
        if (parts[i].function != NULL)
            text_add(out, "end\n");
    }
    add_part(out, scripts[script].body);
}
