/* What staff asks of the Redis room, giving back, and reading. Each is one call
 * of store_act.lua or store_read.lua; records and the audit trail are read by
 * a script as well, so that every answer has one form: time, result, the rest. */
#include <stdlib.h>
#include <string.h>

#include "store_redis.h"

/* ---- one call ----------------------------------------------------------------- */

/* Calls until it is clear what became of it, twice at most. 1 with *reply_r, or -1. */
static int call(struct redis_room *room, enum script script, const struct argument *arguments,
                size_t count, redisReply **reply_r)
{
    struct act_time time = redis_begin(room);
    for (int round = 0; round < 2; round++) {
        if (redis_connected(room, &time) < 0)
            return -1;
        redis_add_call(room, &time, script, arguments, count);
        if (redis_send(room, &time) < 0)
            return -1;
        switch (redis_receive(room, &time, reply_r)) {
        case CALLED:
            if ((*reply_r)->type == REDIS_REPLY_ARRAY && (*reply_r)->elements >= 2 &&
                (*reply_r)->element[0]->type == REDIS_REPLY_INTEGER &&
                (*reply_r)->element[1]->type == REDIS_REPLY_INTEGER) {
                redis_learn_clock(room, &time, (*reply_r)->element[0]->integer);
                return 1;
            }
            redis_free_reply(reply_r);
            return room_fail(&room->room, "redis answered what no script of ours does");
        case CALL_UNKNOWN:
            if (redis_load_scripts(room, &time) < 0)
                return -1;
            break;
        case CALL_LATE:
            break;
        case CALL_REFUSED:
        case CALL_LOST:
            return -1;
        }
    }
    return -1;
}

static int check_time(struct redis_room *room, int64_t now_ms)
{
    if (now_ms >= 0 && now_ms <= REDIS_TIME_MAX_MS)
        return 1;
    return room_fail(&room->room, "the time %lld ms is none of ours", (long long)now_ms);
}

/* An act that answers yes or no and has nothing else to tell. */
static int simple_act(struct redis_room *room, const struct argument *arguments, size_t count)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (call(room, SCRIPT_ACT, arguments, count, &reply) < 0)
        return -1;
    return reply->element[1]->integer == 1;
}

/* What an act has to tell beside yes or no: the answer's third element, valid
 * while *reply_r is; NULL with room->error. */
static const redisReply *ask(struct redis_room *room, enum script script,
                             const struct argument *arguments, size_t count, redisReply **reply_r)
{
    if (call(room, script, arguments, count, reply_r) < 0)
        return NULL;
    if ((*reply_r)->elements == 3)
        return (*reply_r)->element[2];
    room_fail(&room->room, "redis answered what no script of ours does");
    return NULL;
}

/* As ask, for a list of at most `max` elements. */
static const redisReply *ask_list(struct redis_room *room, enum script script,
                                  const struct argument *arguments, size_t count, size_t max,
                                  redisReply **reply_r)
{
    const redisReply *list = ask(room, script, arguments, count, reply_r);
    if (list == NULL || (list->type == REDIS_REPLY_ARRAY && list->elements <= max))
        return list;
    room_fail(&room->room, "redis answered what no script of ours does");
    return NULL;
}

/* ---- reading answers ------------------------------------------------------------- */

static int64_t number_of(const redisReply *element)
{
    return element->type == REDIS_REPLY_INTEGER ? element->integer : 0;
}

static const char *text_of(const redisReply *element)
{
    return element->type == REDIS_REPLY_STRING ? element->str : "";
}

/* Cut to `size`: who wrote it may be another version. */
static void copy_text(const redisReply *element, char *text_r, size_t size)
{
    const char *text = text_of(element);
    size_t length = strnlen(text, size - 1);
    memcpy(text_r, text, length);
    text_r[length] = '\0';
}

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int redis_read_suspension(const redisReply *element, struct suspension *suspension_r)
{
    *suspension_r = (struct suspension){0};
    if (element->type == REDIS_REPLY_NIL)
        return 1;
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 8)
        return 0;
    redisReply *const *part = element->element;
    int cause = find_name(cause_names, CAUSE_COUNT, text_of(part[1]));
    if (number_of(part[0]) <= 0 || cause < 0)
        return 0;
    suspension_r->id = number_of(part[0]);
    suspension_r->cause = (enum cause)cause;
    suspension_r->since_ms = number_of(part[2]);
    suspension_r->until_ms = number_of(part[3]) < 0 ? UNTIL_LIFTED : number_of(part[3]);
    suspension_r->attempts = (uint32_t)number_of(part[4]);
    suspension_r->offence = (uint32_t)number_of(part[5]);
    copy_text(part[6], suspension_r->by, sizeof suspension_r->by);
    copy_text(part[7], suspension_r->note, sizeof suspension_r->note);
    return 1;
}

void redis_read_history(const redisReply *element, struct arena *arena, int64_t length_ms,
                        int64_t at_ms, struct history *history_r)
{
    enum { ENTRY_BYTES = 8 };
    size_t count = element->type == REDIS_REPLY_STRING ? element->len / ENTRY_BYTES : 0;
    *history_r = (struct history){0};
    if (count == 0)
        return;
    history_r->entries = arena_alloc(arena, count * sizeof history_r->entries[0]);
    const uint8_t *bytes = (const uint8_t *)element->str;
    for (size_t i = 0; i < count; i++, bytes += ENTRY_BYTES) {
        struct entry entry = {.off_domain = (uint32_t)(bytes[6] << 8 | bytes[7])};
        for (size_t k = 0; k < 6; k++)
            entry.time_ms = entry.time_ms << 8 | bytes[k];
        if (window_holds(entry.time_ms, length_ms, at_ms))
            history_r->entries[history_r->count++] = entry;
    }
}

/* ---- acts --------------------------------------------------------------------------- */

int redis_give_back(struct room *room, const char *mailbox, const char *id, int64_t now_ms)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    uint8_t charge[CHARGE_KEY_SIZE];
    charge_key(mailbox, id, charge);
    const struct argument arguments[] = {argument_string("give_back"), argument_int(arena, now_ms),
                                         argument_string(mailbox), {charge, sizeof charge}};
    return check_time(self, now_ms) < 0 ? -1 : simple_act(self, arguments, countof(arguments));
}

int redis_suspend(struct room *room, const char *mailbox, enum cause cause,
                  const struct durations *durations, const struct act *act,
                  struct suspension *suspension_r)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    struct argument arguments[6 + DURATIONS_MAX] = {
        argument_string("suspend"), argument_int(arena, act->now_ms), argument_string(mailbox),
        argument_string(act->by), argument_string(act->note), argument_string(cause_names[cause])};
    if (check_time(self, act->now_ms) < 0)
        return -1;
    if (durations->count == 0 || durations->count > DURATIONS_MAX)
        return room_fail(room, "%zu durations; 1 to %d are possible", durations->count,
                         DURATIONS_MAX);
    for (size_t i = 0; i < durations->count; i++)
        arguments[6 + i] =
            argument_int(arena, durations->ms[i] == UNTIL_LIFTED ? -1 : durations->ms[i]);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const redisReply *made =
        ask(self, SCRIPT_ACT, arguments, 6 + durations->count, &reply);
    if (made == NULL)
        return -1;
    return redis_read_suspension(made, suspension_r) && suspension_r->id > 0
               ? 1
               : room_fail(room, "redis answered what no script of ours does");
}

static int act_on_mailbox(struct room *room, const char *name, const char *mailbox,
                          const struct act *act)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    const struct argument arguments[] = {
        argument_string(name), argument_int(arena, act->now_ms), argument_string(mailbox),
        argument_string(act->by), argument_string(act->note)};
    return check_time(self, act->now_ms) < 0 ? -1
                                             : simple_act(self, arguments, countof(arguments));
}

int redis_lift(struct room *room, const char *mailbox, const struct act *act)
{
    return act_on_mailbox(room, "lift", mailbox, act);
}

int redis_reset(struct room *room, const char *mailbox, const struct act *act)
{
    return act_on_mailbox(room, "reset", mailbox, act);
}

/* ---- adjustments ------------------------------------------------------------------------ */

int redis_adjust(struct room *room, const struct adjustment *adjustment, const struct act *act)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    const struct argument arguments[] = {
        argument_string("adjust"),
        argument_int(arena, act->now_ms),
        argument_string(adjustment->subject),
        argument_string(act->by),
        argument_string(act->note),
        argument_string(rule_table[adjustment->rule].name),
        argument_string(adjust_kind_names[adjustment->kind]),
        argument_int(arena, adjustment->removed),
        argument_int(arena, adjustment->value),
        argument_int(arena, adjustment->until_ms == UNTIL_LIFTED ? -1 : adjustment->until_ms),
    };
    return check_time(self, act->now_ms) < 0 ? -1
                                             : simple_act(self, arguments, countof(arguments));
}

/* A rule or kind that this version does not know is RULE_COUNT: it changes nothing. */
static int read_adjustment(const redisReply *element, struct adjustment *adjustment_r)
{
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 7)
        return 0;
    redisReply *const *part = element->element;
    int rule = rule_by_name(text_of(part[2]));
    int kind = find_name(adjust_kind_names, ADJUST_KIND_COUNT, text_of(part[3]));
    *adjustment_r = (struct adjustment){
        .change = number_of(part[0]),
        .rule = rule >= 0 && kind >= 0 ? (enum rule)rule : RULE_COUNT,
        .kind = kind >= 0 ? (enum adjust_kind)kind : ADJUST_LIMIT,
        .removed = number_of(part[4]) != 0,
        .value = (int32_t)number_of(part[5]),
        .until_ms = number_of(part[6]) < 0 ? UNTIL_LIFTED : number_of(part[6]),
    };
    copy_text(part[1], adjustment_r->subject, sizeof adjustment_r->subject);
    return adjustment_r->change > 0;
}

int redis_adjustments(struct room *room, int64_t after, struct adjustment *adjustments_r,
                      size_t max, size_t *count_r)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("adjustments"),
                                         argument_int(arena, after),
                                         argument_int(arena, (int64_t)max)};
    const redisReply *list =
        ask_list(self, SCRIPT_READ, arguments, countof(arguments), max, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < list->elements; i++)
        if (!read_adjustment(list->element[i], &adjustments_r[i]))
            return room_fail(room, "redis: an adjustment is damaged");
    *count_r = list->elements;
    return 1;
}

/* ---- lists and records ---------------------------------------------------------------------- */

int redis_account(struct room *room, struct arena *arena, const char *mailbox, int64_t now_ms,
                  struct account *account_r)
{
    struct redis_room *self = redis_room(room);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    struct account account;
    const struct argument arguments[] = {argument_string("account"), argument_string(mailbox),
                                         argument_int(arena, now_ms)};
    if (check_time(self, now_ms) < 0)
        return -1;
    const redisReply *seen =
        ask_list(self, SCRIPT_READ, arguments, countof(arguments), 3, &reply);
    if (seen == NULL)
        return -1;
    if (seen->elements != 3 || !redis_read_suspension(seen->element[2], &account.suspension))
        return room_fail(room, "redis: the account of %s is damaged", mailbox);
    redis_read_history(seen->element[1], arena, DAY_MS, number_of(seen->element[0]),
                       &account.history);
    *account_r = account;
    return 1;
}

int redis_suspended(struct room *room, const char *after, int64_t now_ms,
                    struct suspended *suspended_r, size_t max, size_t *count_r)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("suspended"), argument_string(after),
                                         argument_int(arena, now_ms),
                                         argument_int(arena, (int64_t)max)};
    if (check_time(self, now_ms) < 0)
        return -1;
    const redisReply *list =
        ask_list(self, SCRIPT_READ, arguments, countof(arguments), 2 * max, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < list->elements / 2; i++) {
        if (!redis_read_suspension(list->element[2 * i + 1], &suspended_r[i].suspension))
            return room_fail(room, "redis: a suspension is damaged");
        copy_text(list->element[2 * i], suspended_r[i].mailbox, sizeof suspended_r[i].mailbox);
    }
    *count_r = list->elements / 2;
    return 1;
}

/* The windows of a record, "messages_per_day=1 …": which count each one looked at. */
static void read_windows(char *text, const struct seen *seen, struct record *record_r)
{
    char *rest, *word = strtok_r(text, " ", &rest);
    for (; word != NULL && record_r->window_count < OVER_TIME_COUNT;
         word = strtok_r(NULL, " ", &rest)) {
        char *place_text = strchr(word, '=');
        if (place_text == NULL)
            continue;
        *place_text++ = '\0';
        int rule = rule_by_name(word);
        unsigned long place = strtoul(place_text, NULL, 10);
        if (rule < 0 || place >= COUNT_PLACES)
            continue;
        record_r->windows[record_r->window_count].rule = (enum rule)rule;
        record_r->windows[record_r->window_count++].used_before = seen->counts[place];
    }
}

/* "admitted\n", the counts as bytes, "KEEP_ADMITTED KEEP_REFUSED messages_per_day=1 …\n",
 * facts. 1, or 0 when it is no record of ours. */
static int parse_record(char *text, size_t length, int64_t *until_ms_r, struct record *record_r)
{
    char *counts = memchr(text, '\n', length);
    if (counts == NULL || length - (size_t)(++counts - text) < SEEN_BYTES)
        return 0;
    counts[-1] = '\0';
    char *keep = counts + SEEN_BYTES, *facts = strchr(keep, '\n'), *windows;
    int outcome = find_name(outcome_names, OUTCOME_COUNT, text);
    if (facts == NULL || outcome < 0)
        return 0;
    *facts++ = '\0';
    struct seen seen = redis_read_seen(counts);
    int64_t keep_admitted_ms = strtoll(keep, &windows, 10);
    int64_t keep_refused_ms = strtoll(windows, &windows, 10);
    bool admitted = outcome == OUTCOME_ADMITTED || outcome == OUTCOME_REPEATED;
    read_windows(windows, &seen, record_r);
    *until_ms_r = seen.at_ms + (admitted ? keep_admitted_ms : keep_refused_ms);
    record_r->at_ms = seen.at_ms;
    record_r->outcome = (enum outcome)outcome;
    record_r->facts = facts;
    return 1;
}

int redis_record(struct room *room, struct arena *arena, uint64_t decision, int64_t now_ms,
                 struct record *record_r)
{
    struct redis_room *self = redis_room(room);
    freed_by(redis_free_reply) redisReply *reply = NULL;
    int64_t until_ms;
    struct record record = {.decision = decision};
    const struct argument arguments[] = {
        argument_string("record"),
        argument_string(arena_printf(arena, "%016llx", (unsigned long long)decision))};
    const redisReply *kept = ask(self, SCRIPT_READ, arguments, countof(arguments), &reply);
    if (kept == NULL)
        return -1;
    if (kept->type == REDIS_REPLY_NIL)
        return 0;
    if (kept->type != REDIS_REPLY_STRING ||
        !parse_record(arena_strndup(arena, kept->str, kept->len), kept->len, &until_ms, &record))
        return room_fail(room, "redis: the record of decision %016llx is damaged",
                         (unsigned long long)decision);
    if (until_ms <= now_ms)
        return 0;
    *record_r = record;
    return 1;
}

/* An entry of the stream: its id "7-0" and its fields in the order they were written. */
static int read_audit(const redisReply *element, struct audit *audit_r)
{
    enum { FIELDS = 6 };
    if (element->type != REDIS_REPLY_ARRAY || element->elements != 2 ||
        element->element[1]->type != REDIS_REPLY_ARRAY ||
        element->element[1]->elements != 2 * FIELDS)
        return 0;
    redisReply *const *part = element->element[1]->element;
    *audit_r = (struct audit){.number = strtoll(text_of(element->element[0]), NULL, 10),
                              .at_ms = strtoll(text_of(part[1]), NULL, 10)};
    copy_text(part[3], audit_r->by, sizeof audit_r->by);
    copy_text(part[5], audit_r->act, sizeof audit_r->act);
    copy_text(part[7], audit_r->subject, sizeof audit_r->subject);
    copy_text(part[9], audit_r->note, sizeof audit_r->note);
    copy_text(part[11], audit_r->detail, sizeof audit_r->detail);
    return 1;
}

int redis_audit(struct room *room, int64_t after, struct audit *audit_r, size_t max,
                size_t *count_r)
{
    struct redis_room *self = redis_room(room);
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(redis_free_reply) redisReply *reply = NULL;
    const struct argument arguments[] = {argument_string("audit"),
                                         argument_int(arena, after + 1),
                                         argument_int(arena, (int64_t)max)};
    const redisReply *list =
        ask_list(self, SCRIPT_READ, arguments, countof(arguments), max, &reply);
    if (list == NULL)
        return -1;
    for (size_t i = 0; i < list->elements; i++)
        if (!read_audit(list->element[i], &audit_r[i]))
            return room_fail(room, "redis: an entry of the audit trail is damaged");
    *count_r = list->elements;
    return 1;
}

/* Piece by piece while there is time. Everything expires by itself, so this is
 * for clocks that were wrong, and for tests. */
int redis_sweep(struct room *room, int64_t now_ms)
{
    struct redis_room *self = redis_room(room);
    struct act_time time = redis_begin(self);
    if (check_time(self, now_ms) < 0)
        return -1;
    do {
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(redis_free_reply) redisReply *reply = NULL;
        const char *cursor = self->sweep_cursor[0] != '\0' ? self->sweep_cursor : "0";
        const struct argument arguments[] = {argument_string("sweep"),
                                             argument_int(arena, now_ms), argument_string(cursor)};
        if (redis_is_over(&time))
            return room_fail(room, "the sweep was not done within %d ms; the next one goes on",
                             room->timeout_ms);
        const redisReply *next = ask(self, SCRIPT_ACT, arguments, countof(arguments), &reply);
        if (next == NULL)
            return -1;
        copy_text(next, self->sweep_cursor, sizeof self->sweep_cursor);
    } while (strcmp(self->sweep_cursor, "0") != 0);
    return 1;
}
