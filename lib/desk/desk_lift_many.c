/* Lifts many suspensions for one reason. Each has its entry in the audit log, and one name joins them. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/names.h"
#include "desk/desk_lock.h"
#include "desk/forecast.h"
#include "desk/input.h"

enum { NOTE_MAX_BYTES = 255 };

/* A mailbox, and which of its suspensions are lifted. */
struct lifting {
    const char *mailbox;
    unsigned causes; /* bits; 0: its only one */
    const char *why;
    struct next next; /* what its next message meets afterwards */
};
struct liftings {
    const struct context *context;
    const struct person *person;
    struct action action;
    const char *batch;
    struct lifting *of;
    size_t count;
};

const char *desk_batch_note(struct arena *arena, const char *note, const char *batch,
                            struct problem *problem)
{
    const char *text = arena_printf(arena, "%s [batch %s]", note, batch);
    if (strlen(text) <= NOTE_MAX_BYTES)
        return text;
    (void)problem_set(problem, 400, "note", "it has at most %zu bytes",
                      NOTE_MAX_BYTES - (strlen(text) - strlen(note)));
    return NULL;
}

const char *desk_batch_new(struct arena *arena, int64_t now_ms)
{
    char *batch = arena_alloc(arena, DECISION_TEXT_SIZE);
    decision_format(decision_new(now_ms), batch);
    return batch;
}

const char *desk_batch_of(struct arena *arena, const char *note)
{
    static const char batch_mark[] = " [batch ";
    size_t length = strlen(note);
    const char *mark = NULL, *next = note;
    while ((next = strstr(next, batch_mark)) != NULL)
        mark = next++;
    if (mark == NULL || note[length - 1] != ']')
        return NULL;
    mark += sizeof batch_mark - 1;
    return arena_strndup(arena, mark, (size_t)(note + length - 1 - mark));
}

/* ---- which ----------------------------------------------------------------------------------- */

/* "alice@example.test", or with the cause behind it; a local part may have blanks. */
static int read_one(const struct context *context, const char *text, struct lifting *lifting_r,
                    struct problem *problem)
{
    const char *at = strrchr(text, '@'), *space = at != NULL ? strrchr(at, ' ') : NULL;
    int cause = space != NULL ? names_find(cause_names, CAUSE_COUNT, space + 1) : -1;
    if (space != NULL && cause < 0)
        return problem_set(problem, 400, "suspensions", "expected a mailbox, or a mailbox and a "
                           "cause behind it");
    size_t length = space != NULL ? (size_t)(space - text) : strlen(text);
    *lifting_r = (struct lifting){.causes = cause >= 0 ? 1U << cause : 0};
    return input_mailbox(context, arena_strndup(context->arena, text, length), "suspensions",
                         &lifting_r->mailbox, problem);
}

static int compare(const void *one, const void *other)
{
    return strcmp(((const struct lifting *)one)->mailbox, ((const struct lifting *)other)->mailbox);
}

/* Each mailbox once. */
static void join(struct liftings *liftings)
{
    size_t count = 0;
    qsort(liftings->of, liftings->count, sizeof *liftings->of, compare);
    for (size_t i = 0; i < liftings->count; i++) {
        if (count > 0 && compare(&liftings->of[count - 1], &liftings->of[i]) == 0)
            liftings->of[count - 1].causes |= liftings->of[i].causes;
        else
            liftings->of[count++] = liftings->of[i];
    }
    liftings->count = count;
}

static int add_lifting(void *closure, const char *text, struct problem *problem)
{
    struct liftings *liftings = closure;
    int is_one = read_one(liftings->context, text, &liftings->of[liftings->count], problem);
    liftings->count += is_one > 0;
    return is_one;
}

static int read_all(struct json_object *list, struct liftings *liftings, struct problem *problem)
{
    size_t count;
    if (!input_list_length(list, "suspensions", DESK_LIFTS_MAX, &count, problem))
        return 0;
    liftings->of = arena_alloc(liftings->context->arena, count * sizeof *liftings->of);
    if (!input_list(list, "suspensions", add_lifting, liftings, problem))
        return 0;
    join(liftings);
    return 1;
}

static int read_words(struct json_object *words, struct liftings *liftings,
                      struct problem *problem)
{
    const struct context *context = liftings->context;
    struct json_object *list = NULL;
    const char *note = NULL;
    json_object_object_foreach(words, name, value) {
        if (strcmp(name, "suspensions") == 0)
            list = value;
        else if (strcmp(name, "note") != 0)
            return problem_set(problem, 400, name, "there is no such member");
        else if (!input_word(context, value, "note", &note, problem))
            return 0;
    }
    if (!read_all(list, liftings, problem))
        return 0;
    if (note == NULL)
        return problem_set(problem, 400, "note", "expected the reason for this action");
    liftings->batch = desk_batch_new(context->arena, context->now_ms);
    note = desk_batch_note(context->arena, note, liftings->batch, problem);
    liftings->action = (struct action){context->now_ms, liftings->person->name, note};
    return note != NULL;
}

/* ---- what it comes to ------------------------------------------------------------------------ */

/* Which suspensions there are of those that are asked for. */
static void choose(const struct suspensions *suspensions, struct lifting *lifting)
{
    unsigned held = 0;
    for (size_t i = 0; i < suspensions->count; i++)
        held |= 1U << suspensions->of[i].cause;
    if (lifting->causes == 0 && suspensions->count > 1)
        lifting->why = "several";
    else
        lifting->causes = lifting->causes == 0 ? held : lifting->causes & held;
    if (lifting->why == NULL && lifting->causes == 0)
        lifting->why = "gone";
}

/* A lock has a way out of its own, with points to be confirmed. 1 or -1. */
static int look_at_lock(const struct liftings *liftings, const struct suspensions *suspensions,
                        struct lifting *lifting)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    if ((lifting->causes & (1U << CAUSE_COMPROMISED | 1U << CAUSE_BREACHED)) == 0)
        return 1;
    if (desk_lock_add(liftings->context, lifting->mailbox, suspensions, view) < 0)
        return -1;
    struct json_object *lock = json_member(view, "lock");
    int cause = names_find(cause_names, CAUSE_COUNT, json_string(lock, "cause", ""));
    if (json_member(lock, "scope") != NULL && cause >= 0 && (lifting->causes & 1U << cause) != 0)
        lifting->why = "locked";
    return 1;
}

/* 1 or -1. */
static int imagine(const struct liftings *liftings, struct lifting *lifting)
{
    const struct context *context = liftings->context;
    struct forecast forecast;
    if (forecast_read(context, lifting->mailbox, strrchr(lifting->mailbox, '@') + 1, &forecast) < 0)
        return -1;
    choose(&forecast.account.suspensions, lifting);
    if (lifting->why == NULL &&
        look_at_lock(liftings, &forecast.account.suspensions, lifting) < 0)
        return -1;
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        if ((lifting->causes & 1U << cause) != 0)
            suspension_drop(&forecast.account.suspensions, (enum cause)cause);
    forecast_settle(context, &forecast);
    lifting->next = forecast_next(context, &forecast);
    return 1;
}

/* 1 or -1. */
static int lift(const struct liftings *liftings, struct lifting *lifting)
{
    struct store *store = liftings->context->desk->store;
    bool lifted = false;
    for (int cause = 0; cause < CAUSE_COUNT; cause++) {
        if ((lifting->causes & 1U << cause) == 0)
            continue;
        int done = store_lift(store, lifting->mailbox, (enum cause)cause, &liftings->action);
        if (done < 0)
            return -1;
        lifted = lifted || done > 0;
    }
    lifting->why = lifted ? NULL : "gone";
    return 1;
}

/* ---- the view -------------------------------------------------------------------------------- */

static struct json_object *one_of(const struct lifting *lifting)
{
    struct json_object *one = json_object_new_object();
    json_add_string(one, "mailbox", lifting->mailbox);
    struct json_object *causes = json_add_list(one, "causes");
    for (int cause = 0; cause < CAUSE_COUNT; cause++) {
        if ((lifting->causes & 1U << cause) == 0)
            continue;
        struct json_object *named = json_object_new_object();
        json_add_string(named, "cause", cause_names[cause]);
        json_object_array_add(causes, named);
    }
    json_add_string(one, "why", lifting->why);
    json_add_string(one, "state",
                    lifting->why == NULL ? state_names[lifting->next.state] : NULL);
    return one;
}

static void add_counts(const struct liftings *liftings, struct json_object *view)
{
    int64_t lifted = 0, by_state[STATE_COUNT] = {0};
    for (size_t i = 0; i < liftings->count; i++) {
        const struct lifting *one = &liftings->of[i];
        if (one->why != NULL)
            continue;
        lifted++;
        by_state[one->next.state]++;
    }
    json_add_int(view, "lifted", lifted);
    json_add_int(view, "not_lifted", (int64_t)liftings->count - lifted);
    json_add_int(view, "ok", by_state[STATE_OK]);
    json_add_int(view, "full", by_state[STATE_FULL]);
    json_add_int(view, "blocked", by_state[STATE_BLOCKED]);
    json_add_int(view, "still_suspended", by_state[STATE_PAUSED] + by_state[STATE_STOPPED]);
}

int desk_lift_many(const struct desk *desk, const struct person *person, struct json_object *words,
                   bool preview, int64_t now_ms, struct json_object **view_r,
                   struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct liftings liftings = {.context = &context, .person = person};
    if (person->role < ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    if (!read_words(words, &liftings, problem))
        return 0;
    json_add_moment(view, "now", now_ms);
    struct json_object *list = json_add_list(view, "mailboxes");
    for (size_t i = 0; i < liftings.count; i++) {
        struct lifting *one = &liftings.of[i];
        if (imagine(&liftings, one) < 0)
            return -1;
        if (!preview && one->why == NULL && lift(&liftings, one) < 0)
            return -1;
        json_object_array_add(list, one_of(one));
    }
    add_counts(&liftings, view);
    json_add_bool(view, "done", !preview);
    json_add_string(view, "batch", preview ? NULL : liftings.batch);
    *view_r = take(view);
    return 1;
}
