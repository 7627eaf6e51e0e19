/* Addresses that staff lets a mailbox write as, beside its own. */
#include <string.h>

#include "base/json.h"
#include "desk/desk_permissions.h"
#include "desk/input.h"
#include "guard/permissions.h"

enum { NOTE_MAX_BYTES = 255 };

/* What is done to a mailbox. */
struct permitting {
    const struct context *context;
    const char *mailbox;
    const char *address; /* or "@domain" */
    const char *note;
    int64_t until_ms;
    bool takes_back;
};

/* ---- the view -------------------------------------------------------------------------------- */

int desk_permissions_add(const struct context *context, const char *mailbox,
                         struct json_object *view)
{
    struct permissions *all = arena_alloc(context->arena, sizeof *all);
    if (permissions_read(context->desk->store, context->arena, mailbox, context->now_ms, all) < 0)
        return -1;
    struct json_object *list = json_add_list(view, "permissions");
    for (size_t i = 0; i < all->count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "address", all->of[i].address);
        json_add_moment(one, "since", all->of[i].since_ms);
        json_add_moment(one, "until", all->of[i].until_ms);
        json_add_string(one, "by", all->of[i].by);
        json_add_string(one, "note", all->of[i].note);
        json_object_array_add(list, one);
    }
    return 1;
}

static int view_of(const struct context *context, const char *mailbox, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", context->now_ms);
    json_add_string(view, "mailbox", mailbox);
    if (desk_permissions_add(context, mailbox, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

int desk_permissions(const struct desk *desk, const char *mailbox, int64_t now_ms,
                     struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    const char *key;
    return input_mailbox(&context, mailbox, "mailbox", &key, problem)
               ? view_of(&context, key, view_r)
               : 0;
}

/* ---- words ----------------------------------------------------------------------------------- */

static int read_address(struct permitting *permitting, const char *text, struct problem *problem)
{
    const struct context *context = permitting->context;
    const char *domain;
    if (text == NULL || text[0] != '@')
        return input_mailbox(context, text, "address", &permitting->address, problem);
    if (!input_domain(context, text, "address", &domain, problem))
        return 0;
    permitting->address = arena_printf(context->arena, "@%s", domain);
    return 1;
}

static int read_until(struct permitting *permitting, const char *text, struct problem *problem)
{
    int64_t for_ms = UNTIL_LIFTED;
    if (text != NULL && permitting->takes_back)
        return problem_set(problem, 400, "for", "disallow_from does not take it");
    if (text != NULL && !settings_duration_read(text, &for_ms))
        return problem_set(problem, 400, "for",
                           "expected 1s to 3650d, such as 30m, 24h or 7d, or permanent");
    permitting->until_ms =
        for_ms == UNTIL_LIFTED ? UNTIL_LIFTED : permitting->context->now_ms + for_ms;
    return 1;
}

static int read_words(struct json_object *words, struct permitting *permitting,
                      struct problem *problem)
{
    const char *action = NULL, *address = NULL, *for_text = NULL;
    json_object_object_foreach(words, name, value)
    {
        const char **word_r = strcmp(name, "action") == 0    ? &action
                              : strcmp(name, "address") == 0 ? &address
                              : strcmp(name, "for") == 0     ? &for_text
                              : strcmp(name, "note") == 0    ? &permitting->note
                                                             : NULL;
        if (word_r == NULL)
            return problem_set(problem, 400, name, "there is no such member");
        if (!input_word(permitting->context, value, name, word_r, problem))
            return 0;
    }
    permitting->takes_back = action != NULL && strcmp(action, "disallow_from") == 0;
    if (!permitting->takes_back && (action == NULL || strcmp(action, "allow_from") != 0))
        return problem_set(problem, 400, "action", "expected allow_from or disallow_from");
    if (!read_address(permitting, address, problem) || !read_until(permitting, for_text, problem))
        return 0;
    return (permitting->note != NULL && strlen(permitting->note) <= NOTE_MAX_BYTES) ||
           problem_set(problem, 400, "note", "expected 1 to %d bytes: why", NOTE_MAX_BYTES);
}

/* ---- doing ----------------------------------------------------------------------------------- */

static int carry_out(const struct permitting *permitting, const struct person *person,
                     struct problem *problem)
{
    struct store *store = permitting->context->desk->store;
    const struct action action = {permitting->context->now_ms, person->name, permitting->note};
    int done = permitting->takes_back ? permissions_take(store, permitting->mailbox,
                                                         permitting->address, &action)
                                      : permissions_give(store, permitting->mailbox,
                                                         permitting->address,
                                                         permitting->until_ms, &action);
    if (done != 0)
        return done;
    return permitting->takes_back
               ? problem_set(problem, 404, "address", "it has no such permission")
               : problem_set(problem, 409, "address", "it has %d permissions, and no room for more",
                             PERMISSIONS_MAX);
}

int desk_permissions_act(const struct desk *desk, const struct person *person, const char *mailbox,
                         struct json_object *words, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct permitting permitting = {.context = &context};
    if (person->role != ROLE_SUPPORT && person->role != ROLE_ADMIN)
        return problem_set(problem, 403, "", "your role may look, but not act");
    if (!input_mailbox(&context, mailbox, "mailbox", &permitting.mailbox, problem) ||
        !read_words(words, &permitting, problem))
        return 0;
    int done = carry_out(&permitting, person, problem);
    return done > 0 ? view_of(&context, permitting.mailbox, view_r) : done;
}
