/* How it stood with a mailbox at a moment of the past, from what is kept: records of messages give
 * windows and what suspended, the audit log gives adjustments, resets and what staff suspended. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/names.h"
#include "base/when.h"
#include "desk/context.h"
#include "desk/desk_mailbox.h"
#include "desk/forecast.h"
#include "desk/input.h"
#include "desk/recorded.h"
#include "desk/view.h"
#include "desk/walk.h"
#include "guard/packing.h"

enum {
    AUDIT_PAGES = 100, REFUSED_PAGES = 40, /* of DESK_PAGE, at most */
    REFUSED_KNOWN = 1000, /* Redis knows no more of a mailbox (docs/store.md) */
    SUBJECTS = 2, /* the mailbox, its domain */
    CHANGES_MAX = SUBJECTS * RULE_COUNT * ADJUST_KIND_COUNT,
    HISTORIES = 2, /* what its user sent; what its filter sent on */
};

/* What began or ended a suspension, or met one. */
struct past_event {
    int64_t at_ms, number; /* of the audit log's; those of one moment in this order */
    enum { PAST_SUSPENDED, PAST_LIFTED, PAST_PUT_BACK, PAST_REFUSED } kind;
    struct suspension suspension; /* but of PAST_REFUSED; of PAST_LIFTED its cause alone counts */
    struct record record;         /* PAST_REFUSED */
};

/* Grows in an arena. */
struct past_list {
    struct past_event *of;
    size_t count, space;
};
struct past_history {
    struct entry *of;
    size_t count, space;
};

struct past_moment {
    const struct context *context;
    const char *mailbox, *domain, *subjects[SUBJECTS];
    int64_t at_ms, reset_ms;
    struct adjustment changes[CHANGES_MAX];
    size_t change_count;
    bool known[SUBJECTS][RULE_COUNT][ADJUST_KIND_COUNT];
    struct past_list events; /* the newest first, of each source */
    struct past_history histories[HISTORIES];
    struct suspensions suspensions;
    struct suspension lifted[CAUSE_COUNT]; /* the last one of each */
    int64_t volumes_ms[DURATIONS_MAX]; /* when the last ones of that cause began, in turn */
    size_t volumes;                    /* how many began */
    int64_t lasts_ms;                  /* for how long the last one was made */
    bool whole;     /* all was read that there is */
};

/* ---- the audit log ---------------------------------------------------------------------- */

/* A moment; null is no end. False: it is none. */
static bool read_moment(struct json_object *object, const char *name, int64_t *time_ms_r)
{
    struct json_object *moment = json_member(object, name);
    *time_ms_r = UNTIL_LIFTED;
    return moment == NULL || zone_moment_read(json_string(object, name, ""), time_ms_r);
}

/* The newest change of each adjustment is what holds, if it has not ended. */
static void take_adjustment(struct past_moment *past, size_t subject, enum adjust_kind kind,
                            struct json_object *detail)
{
    struct json_object *after = json_member(detail, "after");
    int rule = adjust_kind_has_rule(kind) ? rule_by_name(json_string(detail, "rule", "")) : 0;
    struct adjustment change = {.kind = kind};
    if (rule < 0 || past->known[subject][rule][kind])
        return;
    past->known[subject][rule][kind] = true;
    if (after == NULL || !read_moment(after, "until", &change.until_ms))
        return;
    change.rule = (enum rule)rule;
    if (kind == ADJUST_PLAN)
        strncat(change.plan, json_string(after, "value", ""), sizeof change.plan - 1);
    else
        change.value = json_member(after, "value") != NULL ? (int32_t)json_int(after, "value", 0)
                                                           : LIMIT_OFF;
    strncat(change.subject, past->subjects[subject], sizeof change.subject - 1);
    past->changes[past->change_count++] = change;
}

static void add_event(struct past_moment *past, const struct past_event *event)
{
    struct past_list *list = &past->events;
    if (list->count == list->space) {
        struct past_event *before = list->of;
        list->space = 2 * list->space + 32;
        list->of = arena_alloc(past->context->arena, list->space * sizeof list->of[0]);
        if (list->count > 0)
            memcpy(list->of, before, list->count * sizeof list->of[0]);
    }
    list->of[list->count++] = *event;
}

static void take_suspension(struct past_moment *past, const struct audit *audit, int kind,
                            struct json_object *detail)
{
    struct json_object *of = json_member(detail, kind == PAST_LIFTED ? "before" : "after");
    int cause = names_find(cause_names, CAUSE_COUNT, json_string(of, "cause", ""));
    struct past_event event = {.at_ms = audit->at_ms, .number = audit->number,
                               .kind = kind};
    struct suspension *suspension = &event.suspension;
    if (cause < 0 || !read_moment(of, "since", &suspension->since_ms) ||
        !read_moment(of, "until", &suspension->until_ms))
        return;
    suspension->id = json_int(of, "id", 1);
    suspension->cause = (enum cause)cause;
    strcpy(suspension->by, audit->by);
    strcpy(suspension->note, audit->note);
    add_event(past, &event);
}

static void take_audit(struct past_moment *past, size_t subject, const struct audit *audit)
{
    if (audit->at_ms > past->at_ms)
        return;
    freed_by(json_put) struct json_object *detail = json_read(audit->detail);
    bool undoes = strcmp(audit->action, "undo") == 0;
    const char *action = undoes ? json_string(detail, "action", "") : audit->action;
    int kind = names_find(adjust_kind_names, ADJUST_KIND_COUNT, action);
    if (kind >= 0)
        take_adjustment(past, subject, (enum adjust_kind)kind, detail);
    else if (subject == 0 && strcmp(action, "lift") == 0)
        take_suspension(past, audit, undoes ? PAST_PUT_BACK : PAST_LIFTED, detail);
    else if (subject == 0 && strcmp(action, "suspend") == 0)
        take_suspension(past, audit, PAST_SUSPENDED, detail);
    else if (subject == 0 && strcmp(audit->action, "reset") == 0 && audit->at_ms > past->reset_ms)
        past->reset_ms = audit->at_ms;
}

static int read_audit(struct past_moment *past, size_t subject)
{
    struct audit *audits = arena_alloc(past->context->arena, DESK_PAGE * sizeof *audits);
    struct store_page page = {.max = DESK_PAGE, .more = true};
    int64_t before = INT64_MAX;
    int pages = 0;
    for (; pages < AUDIT_PAGES && page.more; pages++) {
        if (store_audit_newest(past->context->desk->store, past->subjects[subject], before,
                               audits, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            take_audit(past, subject, &audits[i]);
        before = page.count > 0 ? audits[page.count - 1].number : before;
    }
    past->whole = past->whole && !page.more;
    return 1;
}

/* ---- records ---------------------------------------------------------------------------- */

/* Whether it was refused by then for a suspension; what is forwarded is no attempt. */
static bool tells_of_suspension(const struct past_moment *past, const struct record *record)
{
    struct packed_identity identity;
    return record->outcome == OUTCOME_SUSPENDED && record->at_ms <= past->at_ms &&
           packing_identity(past->context->arena, record, &identity) &&
           channel_is_its_users(identity.channel);
}

static int read_refused(struct past_moment *past)
{
    const struct context *context = past->context;
    struct record *records = arena_alloc(context->arena, DESK_PAGE * sizeof *records);
    struct store_page page = {.max = DESK_PAGE, .more = true};
    uint64_t before = decision_floor(past->at_ms + 1);
    size_t refused = 0;
    for (int pages = 0; pages < REFUSED_PAGES && page.more; pages++) {
        if (store_decisions(context->desk->store, context->arena, past->mailbox, before,
                            context->now_ms, records, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            before = records[i].decision;
            refused += !outcome_passes(records[i].outcome);
            if (tells_of_suspension(past, &records[i]))
                add_event(past, &(struct past_event){
                                    .at_ms = records[i].at_ms, .number = INT64_MAX,
                                    .kind = PAST_REFUSED, .record = records[i]});
        }
    }
    past->whole = past->whole && !page.more && refused < REFUSED_KNOWN;
    return 1;
}

static void add_entry(struct past_moment *past, const struct entry *entry)
{
    struct past_history *history = &past->histories[!channel_is_its_users(entry->channel)];
    if (history->count == history->space) {
        struct entry *before = history->of;
        history->space = 2 * history->space + 256;
        history->of = arena_alloc(past->context->arena, history->space * sizeof history->of[0]);
        if (history->count > 0)
            memcpy(history->of, before, history->count * sizeof history->of[0]);
    }
    history->of[history->count++] = *entry;
}

/* A message that passed; 1 go on, 0 what follows is later. */
static int take_passed(void *closure, struct arena *arena, const struct record *record)
{
    struct past_moment *past = closure;
    struct packed_identity identity;
    if (decision_time(record->decision) > past->at_ms + CLOCK_AHEAD_MS)
        return 0;
    if (record->outcome == OUTCOME_ADMITTED && record->at_ms <= past->at_ms &&
        record->at_ms > past->reset_ms && record->at_ms > past->at_ms - DAY_MS &&
        packing_identity(arena, record, &identity) &&
        strcmp(identity.mailbox, past->mailbox) == 0)
        add_entry(past, &(struct entry){record->at_ms, identity.off_domain, identity.channel});
    return 1;
}

static int compare_entries(const void *one, const void *other)
{
    const struct entry *a = one, *b = other;
    return (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

/* As walk_passed. */
static int read_windows(struct past_moment *past, int64_t budget_ms)
{
    struct walk walk = {.store = past->context->desk->store, .now_ms = past->context->now_ms,
                        .after = decision_floor(past->at_ms - DAY_MS - CLOCK_AHEAD_MS),
                        .look = take_passed, .closure = past};
    int result = walk_passed(&walk, budget_ms);
    past->whole = past->whole && walk.whole;
    for (size_t i = 0; i < HISTORIES; i++)
        if (past->histories[i].count > 0)
            qsort(past->histories[i].of, past->histories[i].count, sizeof(struct entry),
                  compare_entries);
    return result;
}

/* ---- suspensions ------------------------------------------------------------------------ */

static int compare_events(const void *one, const void *other)
{
    const struct past_event *a = one, *b = other;
    if (a->at_ms != b->at_ms)
        return a->at_ms > b->at_ms ? 1 : -1;
    return (a->number > b->number) - (a->number < b->number);
}

static void drop_ended(struct suspensions *suspensions, int64_t at_ms)
{
    const struct suspensions held = *suspensions;
    for (size_t i = 0; i < held.count; i++)
        if (held.of[i].until_ms <= at_ms)
            suspension_drop(suspensions, held.of[i].cause);
}

static bool may_have_suspended(const struct past_moment *past, const struct recorded *recorded,
                               enum rule rule)
{
    return past->context->settings->on_limit[rule - RULE_FIRST_OVER_TIME] == ON_LIMIT_SUSPEND &&
           recorded_over(recorded, rule) &&
           window_fits(0, recorded_cost(recorded, rule), recorded_limit(recorded, rule));
}

/* The rule that suspended it. Of several that it was over, the judge takes the first that its channel
 * alone was over, which no record says: "" then. */
static const char *suspending_rule(const struct past_moment *past, const struct record *record)
{
    freed_by(recorded_end) struct recorded recorded = recorded_of(past->context, record);
    const char *name = NULL;
    for (int rule = RULE_FIRST_OVER_TIME; rule < RULE_COUNT; rule++)
        if (may_have_suspended(past, &recorded, (enum rule)rule))
            name = name == NULL ? rule_table[rule].name : "";
    return name != NULL ? name : "";
}

/* Which one of cause volume within 30 days begins. */
static uint32_t next_offence(const struct past_moment *past, int64_t at_ms)
{
    uint32_t offence = 1;
    for (size_t i = 0; i < past->volumes && i < DURATIONS_MAX; i++)
        offence += past->volumes_ms[i] > at_ms - OFFENCES_REMEMBERED_MS;
    return offence;
}

static void begin(struct past_moment *past, const struct suspension *suspension)
{
    suspension_put(&past->suspensions, suspension);
    if (suspension->cause != CAUSE_VOLUME)
        return;
    past->volumes_ms[past->volumes++ % DURATIONS_MAX] = suspension->since_ms;
    past->lasts_ms = suspension->until_ms == UNTIL_LIFTED
                         ? 0
                         : suspension->until_ms - suspension->since_ms;
}

/* A message that was refused while none held brought one itself. */
static void begin_volume(struct past_moment *past, const struct past_event *event)
{
    uint32_t offence = next_offence(past, event->at_ms);
    struct suspension suspension = {
        .id = 1, .cause = CAUSE_VOLUME, .since_ms = event->at_ms, .offence = offence,
        .until_ms = suspension_until(&past->context->settings->durations[CAUSE_VOLUME], offence,
                                     event->at_ms, NULL),
    };
    strcpy(suspension.by, SUSPENSION_BY_GUARD);
    strncat(suspension.note, suspending_rule(past, &event->record), sizeof suspension.note - 1);
    begin(past, &suspension);
}

static void lift(struct past_moment *past, enum cause cause)
{
    const struct suspension *held = suspension_find(&past->suspensions, cause);
    if (held != NULL)
        past->lifted[cause] = *held;
    suspension_drop(&past->suspensions, cause);
}

/* As it was lifted; what the audit log has of it, where that is not known. */
static void put_back(struct past_moment *past, const struct suspension *suspension)
{
    const struct suspension *lifted = &past->lifted[suspension->cause];
    suspension_put(&past->suspensions,
                   lifted->id != 0 ? lifted : suspension);
}

/* As if each refused message was another attempt. */
static void count_attempt(struct past_moment *past, int64_t at_ms)
{
    const struct settings *settings = past->context->settings;
    const struct suspensions held = past->suspensions;
    for (size_t i = 0; i < held.count; i++) {
        struct suspension one = held.of[i];
        one.attempts++;
        if (one.cause == CAUSE_VOLUME && one.until_ms != UNTIL_LIFTED &&
            one.attempts >= settings->retries_before_restart &&
            one.until_ms < at_ms + past->lasts_ms)
            one.until_ms = at_ms + past->lasts_ms;
        suspension_put(&past->suspensions, &one);
    }
}

static void replay_suspensions(struct past_moment *past)
{
    if (past->events.count > 0)
        qsort(past->events.of, past->events.count, sizeof past->events.of[0], compare_events);
    for (size_t i = 0; i < past->events.count; i++) {
        const struct past_event *event = &past->events.of[i];
        drop_ended(&past->suspensions, event->at_ms);
        if (event->kind == PAST_SUSPENDED)
            begin(past, &event->suspension);
        else if (event->kind == PAST_LIFTED)
            lift(past, event->suspension.cause);
        else if (event->kind == PAST_PUT_BACK)
            put_back(past, &event->suspension);
        else if (past->suspensions.count == 0)
            begin_volume(past, event);
        else
            count_attempt(past, event->at_ms);
    }
    drop_ended(&past->suspensions, past->at_ms);
}

/* ---- the view --------------------------------------------------------------------------- */

static struct json_object *view_of(struct past_moment *past)
{
    const struct context *context = past->context;
    struct effective *effective = effective_new();
    struct forecast forecast = {.mailbox = past->mailbox, .domain = past->domain,
                                .at_ms = past->at_ms};
    struct json_object *view = json_object_new_object();
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        forecast.limits[channel] =
            guard_limits_by(effective, context->settings, (enum channel)channel, past->mailbox,
                            past->domain, past->changes, past->change_count, past->at_ms);
    effective_free(&effective);
    forecast.account.history = (struct history){past->histories[0].of, past->histories[0].count};
    forecast.others[CHANNEL_FORWARDING] =
        (struct history){past->histories[1].of, past->histories[1].count};
    json_add_moment(view, "now", context->now_ms);
    json_add_moment(view, "at", past->at_ms);
    json_add_string(view, "mailbox", past->mailbox);
    json_add_string(view, "domain", past->domain);
    json_add_bool(view, "whole", past->whole);
    view_add_suspensions(context, &past->suspensions, true, view);
    desk_mailbox_add_standing(context, &forecast, view);
    desk_mailbox_add_windows(context, &forecast, true, view);
    desk_mailbox_add_limits(context, &forecast, view);
    return view;
}

/* Says from when on it is known, as it is typed there. */
static int problem_too_early(int64_t reach_ms, int64_t now_ms, const struct zone *zone,
                             struct problem *problem)
{
    int64_t from_minute = (now_ms - reach_ms) / MINUTE_MS + 2; /* room for typing it */
    struct wall_time from;
    if (reach_ms <= 0 || zone_wall_time(zone, from_minute * MINUTE_MS, &from) < 1)
        return problem_set(problem, 400, "at", "how it stood then is not known: log.keep_admitted "
                                               "is not above 24 hours");
    return problem_set(problem, 400, "at", "how it stood then is not known: expected %04d-%02d-%02d "
                       "%02d:%02d or later, which is log.keep_admitted less 24 hours ago",
                       from.year, from.month, from.day, from.hour, from.minute);
}

static int read_at(struct past_moment *past, const char *at, const struct zone *zone,
                   struct problem *problem)
{
    const struct context *context = past->context;
    int64_t reach_ms = context->settings->keep_admitted_ms - DAY_MS;
    freed_by(zone_free) struct zone *utc = zone_open(NULL);
    if (zone == NULL)
        zone = utc;
    if (!when_read(at, zone, context->now_ms, &past->at_ms))
        return problem_set(problem, 400, "at", "expected " WHEN_FORMS);
    if (past->at_ms > context->now_ms)
        return problem_set(problem, 400, "at", "expected a moment in the past");
    if (past->at_ms < context->now_ms - reach_ms)
        return problem_too_early(reach_ms, context->now_ms, zone, problem);
    return 1;
}

int desk_past(const struct desk *desk, const char *mailbox, const char *at,
              const struct zone *zone, int64_t budget_ms, int64_t now_ms,
              struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct past_moment *past = arena_alloc(context.arena, sizeof *past);
    past->context = &context;
    past->whole = true;
    past->reset_ms = INT64_MIN;
    if (!input_mailbox(&context, mailbox, "mailbox", &past->mailbox, problem) ||
        !read_at(past, at, zone, problem))
        return 0;
    past->domain = strrchr(past->mailbox, '@') + 1;
    past->subjects[0] = past->mailbox;
    past->subjects[1] = arena_printf(context.arena, "@%s", past->domain);
    if (read_audit(past, 0) < 0 || read_audit(past, 1) < 0 || read_refused(past) < 0)
        return -1;
    int result = read_windows(past, budget_ms);
    if (result < 1)
        return result < 0 ? -1 : problem_set(problem, 409, "", WALK_BUSY);
    replay_suspensions(past);
    *view_r = view_of(past);
    return 1;
}
