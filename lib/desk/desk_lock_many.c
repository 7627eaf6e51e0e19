/* Locks of many mailboxes at once, such as a list of stolen passwords names. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "desk/desk.h"
#include "desk/input.h"

struct many {
    const struct context *context;
    const char **names; /* in key form, in order, each once */
    size_t count;
};

/* ---- which ----------------------------------------------------------------------------------- */

static int compare(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static void sort_out(struct many *many)
{
    size_t count = 0;
    qsort(many->names, many->count, sizeof *many->names, compare);
    for (size_t i = 0; i < many->count; i++)
        if (count == 0 || strcmp(many->names[count - 1], many->names[i]) != 0)
            many->names[count++] = many->names[i];
    many->count = count;
}

static int add_name(void *closure, const char *text, struct problem *problem)
{
    struct many *many = closure;
    int is_one = input_mailbox(many->context, text, "mailboxes", &many->names[many->count], problem);
    many->count += is_one > 0;
    return is_one;
}

static int read_names(struct json_object *list, struct many *many, struct problem *problem)
{
    size_t count;
    if (!input_list_length(list, "mailboxes", DESK_LOCKS_MAX, &count, problem))
        return 0;
    many->names = arena_alloc(many->context->arena, count * sizeof *many->names);
    if (!input_list(list, "mailboxes", add_name, many, problem))
        return 0;
    sort_out(many);
    return 1;
}

/* ---- doing ----------------------------------------------------------------------------------- */

/* What is done to each. */
static struct json_object *words_of_each(struct json_object *words)
{
    struct json_object *each = json_object_new_object();
    json_object_object_foreach(words, name, value)
    {
        if (strcmp(name, "mailboxes") != 0)
            json_object_object_add(each, name, json_object_get(value));
    }
    json_add_string(each, "action", "lock");
    return each;
}

/* A mailbox among the others: its view is of the mailbox alone. */
static struct json_object *one_of(struct json_object *view)
{
    static const char *const members[] = {"mailbox", "was", "seen", "done"};
    struct json_object *one = json_object_new_object();
    for (size_t i = 0; i < countof(members); i++)
        json_object_object_add(one, members[i], json_object_get(json_member(view, members[i])));
    return one;
}

static void add_counts(struct json_object *list, struct json_object *view)
{
    size_t count = json_object_array_length(list);
    int64_t already = 0, unseen = 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *was = json_string(one, "was", "");
        already += strcmp(was, "none") != 0 && strcmp(was, "reopened") != 0;
        unseen += !json_is_true(one, "seen");
    }
    json_add_int(view, "locked", (int64_t)count - already);
    json_add_int(view, "already", already);
    json_add_int(view, "unseen", unseen);
}

int desk_lock_many(const struct desk *desk, const struct person *person, struct json_object *words,
                   bool preview, int64_t now_ms, struct json_object **view_r,
                   struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *each = words_of_each(words);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct many many = {.context = &context};
    if (json_member(words, "action") != NULL)
        return problem_set(problem, 400, "action", "there is no such member");
    if (!read_names(json_member(words, "mailboxes"), &many, problem))
        return 0;
    json_add_moment(view, "now", now_ms);
    struct json_object *list = json_object_new_array();
    json_object_object_add(view, "mailboxes", list);
    for (size_t i = 0; i < many.count; i++) {
        freed_by(json_put) struct json_object *one = NULL;
        int answer =
            desk_lock_act(desk, person, many.names[i], each, preview, now_ms, &one, problem);
        if (answer < 1)
            return answer;
        json_object_array_add(list, one_of(one));
    }
    add_counts(list, view);
    json_add_bool(view, "done", !preview);
    *view_r = take(view);
    return 1;
}
