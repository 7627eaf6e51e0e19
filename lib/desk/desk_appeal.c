/* Appeals: what users write against a suspension or a block, and what staff answers. Those of a
 * mailbox are one value, a JSON object {"last":2,"appeals":[…]}, the oldest first; moments in it are
 * milliseconds. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "desk/desk_appeal.h"
#include "desk/context.h"
#include "desk/failing.h"
#include "desk/input.h"
#include "message/address.h"
#include "store/kept.h"
#include "store/records.h"
#include "store/values.h"

enum { KEPT_MAX = 16, A_DAY_MAX = 5, ATTEMPTS = 5 };
#define WAITING_KEPT_MS (90 * DAY_MS)

/* ---- what there is to be against ----------------------------------------------------------------- */

struct against {
    const char *about, *cause;
};
struct against_list {
    struct against of[CAUSE_COUNT + 1]; /* and a block */
    size_t count;
};

static void add_suspensions(const struct context *context, const struct suspensions *suspensions,
                            struct against_list *list)
{
    for (size_t i = 0; i < suspensions->count; i++) {
        const struct suspension *one = &suspensions->of[i];
        if (!suspension_is_own_lock(one->cause, one->by))
            list->of[list->count++] = (struct against){
                arena_printf(context->arena, "suspension-%lld", (long long)one->id),
                cause_names[one->cause]};
    }
}

/* The one that refuses the mailbox's next message. 1 or -1. */
static int add_block(const struct context *context, const char *mailbox, struct against_list *list)
{
    struct failing_block block;
    if (failing_block_read(context, mailbox, address_domain(mailbox), &block) < 0)
        return -1;
    if (block.subject != NULL)
        list->of[list->count++] = (struct against){
            arena_printf(context->arena, "block-%u", block.in_force.block), "domain_failures"};
    return 1;
}

static const struct against *find_against(const struct against_list *list, const char *about)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->of[i].about, about) == 0)
            return &list->of[i];
    return NULL;
}

/* ---- what is kept -------------------------------------------------------------------------------- */

struct appeals {
    struct json_object *tree; /* to be put */
    uint32_t version;         /* 0: there are none yet */
};

static void put_appeals(struct appeals *appeals) { json_put(&appeals->tree); }

static struct json_object *list_of(const struct appeals *appeals)
{
    return json_member(appeals->tree, "appeals");
}

static struct appeals appeals_of(const struct value *value)
{
    struct appeals appeals = {value->length > 0 ? json_read(value->bytes) : NULL, value->version};
    if (!json_object_is_type(list_of(&appeals), json_type_array)) { /* none, or damaged */
        json_put(&appeals.tree);
        appeals.tree = json_object_new_object();
        json_add_list(appeals.tree, "appeals");
    }
    return appeals;
}

/* 1 or -1. */
static int read_appeals(const struct context *context, const char *mailbox,
                        struct appeals *appeals_r)
{
    struct value value = {.kind = VALUE_APPEAL, .key = mailbox};
    if (store_values_get(context->desk->store, context->arena, &value, 1, context->now_ms) < 0)
        return -1;
    *appeals_r = appeals_of(&value);
    return 1;
}

static bool waits(struct json_object *appeal) { return json_member(appeal, "answer") == NULL; }

/* The one that waits, against that, or (NULL) against anything; NULL. */
static struct json_object *find_waiting(const struct appeals *appeals, const char *about)
{
    struct json_object *list = list_of(appeals);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *appeal = json_object_array_get_idx(list, i);
        if (waits(appeal) &&
            (about == NULL || strcmp(json_string(appeal, "about", ""), about) == 0))
            return appeal;
    }
    return NULL;
}

/* 1; 0: somebody else has changed them; -1. */
static int keep_appeals(const struct context *context, const char *mailbox,
                        const struct appeals *appeals, const struct audited *audited)
{
    const char *text = json_object_to_json_string_ext(appeals->tree, JSON_C_TO_STRING_PLAIN);
    int64_t kept_ms = find_waiting(appeals, NULL) != NULL ? WAITING_KEPT_MS : DESK_APPEAL_SHOWN_MS;
    const struct value_change change = {
        .value = {.kind = VALUE_APPEAL, .key = mailbox, .bytes = text, .length = strlen(text),
                  .until_ms = context->now_ms + kept_ms},
        .replaces = appeals->version};
    const struct values_step step = {.changes = &change, .count = 1, .audited = audited,
                                     .audited_count = 1, .now_ms = context->now_ms};
    return store_values_change(context->desk->store, &step, NULL);
}

/* ---- texts --------------------------------------------------------------------------------------- */

/* Lines stay, other control characters become blanks; without blanks around. NULL with *problem. */
static const char *read_text(const struct context *context, const char *text,
                             struct problem *problem)
{
    size_t length = text != NULL ? strlen(text) : 0, end = 0;
    if (length > 4 * DESK_APPEAL_MAX || (text != NULL && !g_utf8_validate(text, -1, NULL))) {
        problem_set(problem, 400, "text", "expected at most %d characters", DESK_APPEAL_MAX);
        return NULL;
    }
    char *plain = arena_alloc(context->arena, length + 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '\r' && text[i + 1] == '\n')
            continue;
        if (byte >= ' ' || byte == '\n')
            plain[end++] = byte == 0x7f ? ' ' : (char)byte;
        else
            plain[end++] = byte == '\r' ? '\n' : ' ';
    }
    plain = g_strstrip(plain);
    if (plain[0] == '\0' || g_utf8_strlen(plain, -1) > DESK_APPEAL_MAX) {
        problem_set(problem, 400, "text", "expected 1 to %d characters", DESK_APPEAL_MAX);
        return NULL;
    }
    return plain;
}

/* As much of it as the audit log takes, in one line. */
static const char *note_of(const struct context *context, const char *text)
{
    static const struct audit entry;
    char *note = arena_strdup(context->arena, text);
    if (strlen(note) >= sizeof entry.note)
        *g_utf8_find_prev_char(note, note + sizeof entry.note) = '\0';
    return g_strdelimit(note, "\n", ' ');
}

/* ---- writing one --------------------------------------------------------------------------------- */

/* What is answered goes first. False: all wait for an answer. */
static bool make_room(const struct appeals *appeals)
{
    struct json_object *list = list_of(appeals);
    size_t place = 0;
    if (json_object_array_length(list) < KEPT_MAX)
        return true;
    while (place < KEPT_MAX && waits(json_object_array_get_idx(list, place)))
        place++;
    return place < KEPT_MAX && json_object_array_del_idx(list, place, 1) == 0;
}

static void add_appeal(struct appeals *appeals, const struct against *against, const char *text,
                       int64_t now_ms)
{
    struct json_object *appeal = json_object_new_object(), *list = list_of(appeals);
    int64_t number = json_int(appeals->tree, "last", 0) + 1;
    json_add_int(appeals->tree, "last", number);
    json_add_int(appeal, "number", number);
    json_add_string(appeal, "about", against->about);
    json_add_string(appeal, "cause", against->cause);
    json_add_int(appeal, "at_ms", now_ms);
    json_add_string(appeal, "text", text);
    json_object_array_add(list, appeal);
}

/* Against what the user names, as it is kept now. 1; 0 with *problem, or (without) somebody else was
 * first; -1. */
static int try_to_write(const struct context *context, const char *mailbox,
                        const struct against *against, const char *text, struct problem *problem)
{
    const struct action action = {context->now_ms, "user", note_of(context, text)};
    freed_by(put_appeals) struct appeals appeals = {0};
    if (read_appeals(context, mailbox, &appeals) < 0)
        return -1;
    if (find_waiting(&appeals, against->about) != NULL)
        return problem_set(problem, 409, "about", "an appeal against it waits for its answer");
    if (!make_room(&appeals))
        return problem_set(problem, 429, "", "%d appeals wait for their answers", KEPT_MAX);
    add_appeal(&appeals, against, text, context->now_ms);
    const char *detail =
        arena_printf(context->arena, "{\"number\":%lld,\"about\":\"%s\"}",
                     (long long)json_int(appeals.tree, "last", 0), against->about);
    return keep_appeals(context, mailbox, &appeals,
                        &(struct audited){"appeal", mailbox, detail, &action});
}

/* One of the day's appeals is taken. 1; 0 with *problem; -1. */
static int take_turn(const struct context *context, const char *mailbox, struct problem *problem)
{
    const char *tries = arena_printf(context->arena, "appeals:%s", mailbox);
    uint32_t count;
    int64_t free_at_ms;
    int taken = store_try(context->desk->store, tries, context->now_ms, DAY_MS, A_DAY_MAX, &count,
                          &free_at_ms);
    return taken != 0 ? taken
                      : problem_set(problem, 429, "", "%d appeals were written within a day",
                                    A_DAY_MAX);
}

int desk_appeal(const struct desk *desk, const char *mailbox, const char *about, const char *text,
                int64_t now_ms, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct against_list list = {0};
    struct account account;
    const char *plain = read_text(&context, text, problem);
    if (plain == NULL)
        return 0;
    if (store_account(desk->store, context.arena, mailbox, now_ms, &account) < 0 ||
        add_block(&context, mailbox, &list) < 0)
        return -1;
    add_suspensions(&context, &account.suspensions, &list);
    const struct against *against = about != NULL ? find_against(&list, about) : NULL;
    if (against == NULL)
        return problem_set(problem, 409, "about", "it does not hold any longer");
    int answer = take_turn(&context, mailbox, problem);
    for (int attempt = 0; answer > 0 && attempt < ATTEMPTS; attempt++) {
        answer = try_to_write(&context, mailbox, against, plain, problem);
        if (answer != 0 || problem->status != 0)
            return answer;
        answer = 1;
    }
    return answer < 1 ? answer : problem_set(problem, 409, "", "others write at the same moment");
}

/* ---- reading ------------------------------------------------------------------------------------- */

static struct json_object *view_of(struct json_object *appeal, bool staff)
{
    struct json_object *view = json_object_new_object();
    struct json_object *answer = json_member(appeal, "answer");
    json_add_int(view, "number", json_int(appeal, "number", 0));
    json_add_string(view, "about", json_string(appeal, "about", ""));
    json_add_string(view, "cause", json_string(appeal, "cause", ""));
    json_add_moment(view, "at", json_int(appeal, "at_ms", 0));
    json_add_string(view, "text", json_string(appeal, "text", ""));
    if (answer == NULL) {
        json_add_null(view, "answer");
        return view;
    }
    struct json_object *told = json_add_object(view, "answer");
    json_add_moment(told, "at", json_int(answer, "at_ms", 0));
    json_add_string(told, "text", json_string(answer, "text", ""));
    if (staff)
        json_add_string(told, "by", json_string(answer, "by", ""));
    return view;
}

static bool is_shown(struct json_object *appeal, bool staff, int64_t now_ms)
{
    return staff || waits(appeal) ||
           window_holds(json_int(json_member(appeal, "answer"), "at_ms", 0), DESK_APPEAL_SHOWN_MS,
                        now_ms);
}

int desk_appeal_add(const struct context *context, const char *mailbox,
                const struct suspensions *suspensions, bool staff, struct json_object *view)
{
    freed_by(put_appeals) struct appeals appeals = {0};
    struct against_list list = {0};
    if (read_appeals(context, mailbox, &appeals) < 0 || add_block(context, mailbox, &list) < 0)
        return -1;
    add_suspensions(context, suspensions, &list);
    struct json_object *shown = json_add_list(view, "appeals"), *kept = list_of(&appeals);
    for (size_t i = json_object_array_length(kept); i-- > 0;) {
        struct json_object *appeal = json_object_array_get_idx(kept, i);
        if (is_shown(appeal, staff, context->now_ms))
            json_object_array_add(shown, view_of(appeal, staff));
    }
    struct json_object *can = json_add_list(view, "can_appeal");
    for (size_t i = 0; i < list.count; i++) {
        if (find_waiting(&appeals, list.of[i].about) != NULL)
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "about", list.of[i].about);
        json_add_string(one, "cause", list.of[i].cause);
        json_object_array_add(can, one);
    }
    return 1;
}

static int longest_first(const void *left, const void *right)
{
    struct json_object *const *a = left, *const *b = right;
    return strcmp(json_string(*a, "at", ""), json_string(*b, "at", ""));
}

/* Those that wait longest, and how many there are. */
struct waiting_appeals {
    struct json_object *list;
    int64_t count;
};

static void keep_longest(struct waiting_appeals *waiting)
{
    size_t count = json_object_array_length(waiting->list);
    json_object_array_sort(waiting->list, longest_first);
    if (count > DESK_APPEALS_MAX)
        json_object_array_del_idx(waiting->list, DESK_APPEALS_MAX, count - DESK_APPEALS_MAX);
}

/* Those of the value that wait. */
static void add_waiting(const struct context *context, const struct value *value, void *pointer)
{
    struct waiting_appeals *waiting = pointer;
    freed_by(put_appeals) struct appeals appeals = appeals_of(value);
    struct json_object *kept = list_of(&appeals);
    (void)context;
    for (size_t i = 0; i < json_object_array_length(kept); i++) {
        struct json_object *appeal = json_object_array_get_idx(kept, i);
        if (!waits(appeal))
            continue;
        struct json_object *view = view_of(appeal, true);
        json_add_string(view, "mailbox", value->key);
        json_object_array_add(waiting->list, view);
        waiting->count++;
    }
    if (json_object_array_length(waiting->list) > 2 * DESK_APPEALS_MAX)
        keep_longest(waiting);
}

int desk_appeal_add_waiting(const struct context *context, struct json_object *view)
{
    struct waiting_appeals waiting = {.list = json_add_list(view, "appeals")};
    if (failing_each_value(context, VALUE_APPEAL, add_waiting, &waiting) < 0)
        return -1;
    keep_longest(&waiting);
    json_add_int(view, "appeals_waiting", waiting.count);
    return 1;
}

int desk_appeals(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    if (desk_appeal_add_waiting(&context, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

/* ---- answering ----------------------------------------------------------------------------------- */

static struct json_object *find_number(const struct appeals *appeals, int64_t number)
{
    struct json_object *list = list_of(appeals);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *appeal = json_object_array_get_idx(list, i);
        if (json_int(appeal, "number", 0) == number)
            return appeal;
    }
    return NULL;
}

/* 1 with the view of the appeal; 0 with *problem, or (without) somebody else was first; -1. */
static int try_to_answer(const struct context *context, const char *mailbox, int64_t number,
                         const struct action *action, const char *text,
                         struct json_object **view_r, struct problem *problem)
{
    freed_by(put_appeals) struct appeals appeals = {0};
    if (read_appeals(context, mailbox, &appeals) < 0)
        return -1;
    struct json_object *appeal = find_number(&appeals, number);
    if (appeal == NULL)
        return problem_set(problem, 404, "number", "it has no appeal of that number");
    if (!waits(appeal))
        return problem_set(problem, 409, "number", "it is answered already, by %s",
                           json_string(json_member(appeal, "answer"), "by", ""));
    struct json_object *answer = json_add_object(appeal, "answer");
    json_add_int(answer, "at_ms", context->now_ms);
    json_add_string(answer, "by", action->by);
    json_add_string(answer, "text", text);
    const char *detail = arena_printf(context->arena, "{\"number\":%lld,\"about\":\"%s\"}",
                                      (long long)number, json_string(appeal, "about", ""));
    int kept = keep_appeals(context, mailbox, &appeals,
                            &(struct audited){"answer", mailbox, detail, action});
    if (kept > 0) {
        *view_r = view_of(appeal, true);
        json_add_string(*view_r, "mailbox", mailbox);
    }
    return kept;
}

/* 1; 0 with *problem: there is a word that is none of an answer. */
static int check_words(struct json_object *words, struct problem *problem)
{
    json_object_object_foreach(words, name, value)
    {
        (void)value;
        if (strcmp(name, "mailbox") != 0 && strcmp(name, "number") != 0 &&
            strcmp(name, "text") != 0)
            return problem_set(problem, 400, name, "expected mailbox, number and text alone");
    }
    return 1;
}

int desk_appeal_answer(const struct desk *desk, const struct person *person,
                       struct json_object *words, int64_t now_ms, struct json_object **view_r,
                       struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    const char *mailbox, *text;
    int64_t number;
    struct json_object *asked = json_member(words, "number");
    if (person->role < ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    if (!check_words(words, problem) ||
        !input_mailbox(&context, json_string(words, "mailbox", NULL), "mailbox", &mailbox,
                       problem) ||
        !input_number(asked != NULL ? json_object_get_string(asked) : "", "number", 1, 0, &number,
                      problem) ||
        (text = read_text(&context, json_string(words, "text", NULL), problem)) == NULL)
        return 0;
    const struct action action = {now_ms, person->name, note_of(&context, text)};
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int answer = try_to_answer(&context, mailbox, number, &action, text, view_r, problem);
        if (answer != 0 || problem->status != 0)
            return answer;
    }
    return problem_set(problem, 409, "", "others write at the same moment");
}
