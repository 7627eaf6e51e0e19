/* What waits for a second person: kept under an id, with who asked, when, and the action's words.
 * Who answers claims it first, so that it is answered once; it goes when that is done, and waits on
 * where it cannot be. */
#include "desk/desk_approval.h"

#include <stdio.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/input.h"
#include "store/kept.h"

enum { NOTE_MAX_BYTES = 255 };
#define CLAIM_MS MINUTE_MS /* who has claimed it is dead by then */

int desk_approval_needed(const struct context *context, const struct desk_request *request)
{
    if (!context->settings->desk_second_approval || request->approved)
        return 0;
    if (request->action == ACTION_EXEMPT)
        return request->mailbox[0] == '\0' && !request->changes[0].removed;
    return desk_request_beyond(context, request);
}

static int no_room(struct problem *problem)
{
    return problem_set(problem, 409, "", "%d requests wait for a second person, and there is no "
                       "room for more", APPROVALS_MAX);
}

static bool has_members_of(struct json_object *words, struct json_object *other)
{
    json_object_object_foreach(other, name, value)
    {
        const char *text = json_object_get_string(value),
                   *here = json_object_get_string(json_member(words, name));
        if (strcmp(name, "note") != 0 && (here == NULL || text == NULL || strcmp(here, text) != 0))
            return false;
    }
    return true;
}

/* Whether the same waits, whatever the reason that was given. */
static bool waits_already(const struct kept *kept, struct json_object *words,
                          struct problem *problem)
{
    freed_by(json_put) struct json_object *value = json_read(kept->value);
    struct json_object *waiting = json_member(value, "words");
    if (!json_object_is_type(waiting, json_type_object) || !has_members_of(waiting, words) ||
        !has_members_of(words, waiting))
        return false;
    problem_set(problem, 409, "", "the same waits for a second person already: asked for by %s",
                json_string(value, "by", ""));
    return true;
}

/* 1 there is room for it; 0 with *problem; -1. */
static int may_ask(const struct context *context, struct json_object *words,
                   struct problem *problem)
{
    struct kept *found = arena_alloc(context->arena, APPROVALS_MAX * sizeof *found);
    struct store_page page = {.max = APPROVALS_MAX};
    if (store_kept_list(context->desk->store, context->arena, KEPT_APPROVAL, "", context->now_ms,
                        found, &page) < 1)
        return -1;
    for (size_t i = 0; i < page.count; i++)
        if (waits_already(&found[i], words, problem))
            return 0;
    return page.count < APPROVALS_MAX || no_room(problem);
}

/* Who asked at the same moment may have taken the last place: then it goes again. 1 it stays; 0
 * with *problem; -1. */
static int keep_place(const struct context *context, const struct audited *audited, const char *id,
                      struct problem *problem)
{
    struct kept *found = arena_alloc(context->arena, APPROVALS_MAX * sizeof *found);
    struct store_page page = {.max = APPROVALS_MAX};
    struct audited withdrawn = *audited;
    struct action action = *audited->action;
    if (store_kept_list(context->desk->store, context->arena, KEPT_APPROVAL, "", context->now_ms,
                        found, &page) < 1)
        return -1;
    if (!page.more)
        return 1;
    action.note = "there is no room for more requests";
    withdrawn.name = "approval_refuse";
    withdrawn.action = &action;
    if (store_forget(context->desk->store, KEPT_APPROVAL, id, context->now_ms, &withdrawn) < 0)
        return -1;
    return no_room(problem);
}

int desk_approval_ask(const struct context *context, const struct person *person,
                      const struct desk_request *request, struct json_object *words,
                      struct json_object *view, struct problem *problem)
{
    freed_by(json_put) struct json_object *value = json_object_new_object();
    char id[DECISION_TEXT_SIZE], detail[128];
    const char *owner = "";
    int may = may_ask(context, words, problem);
    if (may < 1)
        return may;
    if (staff_token_owner(context->desk->store, context->arena, person, context->now_ms,
                          &owner) < 0)
        return -1;
    decision_format(decision_new(context->now_ms), id);
    json_add_string(value, "by", person->name);
    json_add_string(value, "owner", owner);
    json_add_int(value, "at_ms", context->now_ms);
    json_add_string(value, "subject", request->subject);
    json_add(value, "words", json_object_get(words));
    snprintf(detail, sizeof detail, "{\"request\":\"%s\",\"asked_for\":\"%s\"}", id,
             desk_action_name(request->action));
    const struct action action = {context->now_ms, person->name, request->note};
    const struct audited audited = {"approval_ask", request->subject, detail, &action};
    const struct kept kept = {.key = id, .value = json_object_to_json_string(value),
                              .until_ms = context->now_ms + APPROVAL_MS};
    json_add_string(view, "waits", id);
    int done = store_keep(context->desk->store, KEPT_APPROVAL, &kept, context->now_ms, &audited);
    return done < 1 ? done : keep_place(context, &audited, id, problem);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* In the shell a person's name is followed by "(shell)". */
static bool is_named(const char *by, const struct person *person)
{
    size_t length = strcspn(by, " ");
    return strlen(person->name) == length && strncmp(by, person->name, length) == 0;
}

/* Whether the person asked for it, or the token that did is the person's. */
static bool is_own(struct json_object *value, const struct person *person)
{
    return is_named(json_string(value, "by", ""), person) ||
           is_named(json_string(value, "owner", ""), person);
}

/* APPROVAL of desk.h; NULL: it cannot be read. */
static struct json_object *entry_of(const struct kept *kept, const struct person *person)
{
    freed_by(json_put) struct json_object *value = json_read(kept->value);
    struct json_object *words = json_member(value, "words");
    if (!json_object_is_type(words, json_type_object))
        return NULL;
    struct json_object *entry = json_object_new_object();
    json_add_string(entry, "id", kept->key);
    json_add_moment(entry, "at", json_int(value, "at_ms", 0));
    json_add_moment(entry, "until", kept->until_ms);
    json_add_string(entry, "by", json_string(value, "by", ""));
    json_add_string(entry, "subject", json_string(value, "subject", ""));
    json_add_string(entry, "action", json_string(words, "action", ""));
    json_add_string(entry, "note", json_string(words, "note", ""));
    json_add(entry, "request", json_object_get(words));
    json_add_bool(entry, "own", is_own(value, person));
    return entry;
}

int desk_approvals(const struct desk *desk, const struct person *person, int64_t now_ms,
                   struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct kept *found = arena_alloc(context.arena, APPROVALS_MAX * sizeof *found);
    struct store_page page = {.max = APPROVALS_MAX};
    if (store_kept_list(desk->store, context.arena, KEPT_APPROVAL, "", now_ms, found, &page) < 1)
        return -1;
    struct json_object *list = json_add_list(view, "approvals");
    for (size_t i = 0; i < page.count; i++) {
        struct json_object *entry = entry_of(&found[i], person);
        if (entry != NULL)
            json_object_array_add(list, entry);
    }
    *view_r = take(view);
    return 1;
}

/* ---- one ------------------------------------------------------------------------------------- */

/* 1 with what is kept, and the entry, to be put; 0 with *problem (404); -1. */
static int read_entry(const struct context *context, const struct person *person, const char *id,
                      struct kept *kept_r, struct json_object **entry_r, struct problem *problem)
{
    int found = strlen(id) < DECISION_TEXT_SIZE
                    ? store_kept(context->desk->store, context->arena, KEPT_APPROVAL, id,
                                 context->now_ms, kept_r)
                    : 0;
    if (found < 0)
        return -1;
    *entry_r = found > 0 ? entry_of(kept_r, person) : NULL;
    return *entry_r != NULL ||
           problem_set(problem, 404, "", "no such request waits: it was answered, or its time is over");
}

int desk_approval(const struct desk *desk, const struct person *person, const char *id,
                  int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *entry = NULL;
    struct problem why_not = {0};
    struct kept kept;
    int found = read_entry(&context, person, id, &kept, &entry, problem);
    if (found < 1)
        return found;
    struct json_object *view = NULL;
    int answer = desk_action(desk, person, json_member(entry, "request"), true, now_ms, &view,
                             &why_not);
    if (answer < 0)
        return -1;
    if (answer == 0) { /* it cannot be done as things stand; it can still be refused */
        view = json_object_new_object();
        json_add_bool(view, "allowed", false);
        json_add_string(view, "why_not", why_not.text);
    }
    json_add(view, "approval", take(entry));
    *view_r = view;
    return 1;
}

/* A refusal needs none. */
static int read_note(const struct context *context, struct json_object *words, bool gives,
                     const char **note_r, struct problem *problem)
{
    if (!input_word(context, json_member(words, "note"), "note", note_r, problem))
        return 0;
    if (!gives && *note_r == NULL)
        *note_r = "refused";
    return (*note_r != NULL && strlen(*note_r) <= NOTE_MAX_BYTES) ||
           problem_set(problem, 400, "note", "expected 1 to %d bytes: why", NOTE_MAX_BYTES);
}

static int answered_by_another(struct problem *problem)
{
    return problem_set(problem, 409, "", "somebody else has answered it meanwhile");
}

/* Nobody else can answer it for a while. 1 with *claimed_r, as it is kept then; 0 with *problem;
 * -1. */
static int claim(const struct context *context, const struct kept *kept, struct kept *claimed_r,
                 struct problem *problem)
{
    freed_by(json_put) struct json_object *value = json_read(kept->value);
    int64_t claimed_ms = json_int(value, "claimed_ms", 0);
    if (claimed_ms != 0 && window_holds(claimed_ms, CLAIM_MS, context->now_ms))
        return problem_set(problem, 409, "", "somebody else answers it at this moment");
    json_add_int(value, "claimed_ms", context->now_ms);
    *claimed_r = *kept;
    claimed_r->value = arena_strdup(context->arena, json_object_to_json_string(value));
    int done = store_keep_over(context->desk->store, KEPT_APPROVAL, claimed_r, kept->value,
                               context->now_ms, NULL);
    return done != 0 ? done : answered_by_another(problem);
}

/* It waits on, since what was asked for cannot be done now. 1 or -1. */
static int let_go(const struct context *context, const struct kept *kept,
                  const struct kept *claimed)
{
    return store_keep_over(context->desk->store, KEPT_APPROVAL, kept, claimed->value,
                           context->now_ms, NULL) < 0 ? -1 : 1;
}

/* Takes it away, with the answer in the audit log. 1; 0 with *problem (409): somebody else was faster; -1. */
static int take_entry(const struct context *context, const struct person *person,
                      struct json_object *entry, bool gives, const char *note,
                      struct problem *problem)
{
    const char *id = json_string(entry, "id", "");
    freed_by(json_put) struct json_object *detail = json_object_new_object();
    json_add_string(detail, "request", id);
    json_add_string(detail, "asked_for", json_string(entry, "action", ""));
    json_add_string(detail, "asked_by", json_string(entry, "by", ""));
    const struct action action = {context->now_ms, person->name, note};
    const struct audited audited = {gives ? "approval_give" : "approval_refuse",
                                    json_string(entry, "subject", ""),
                                    json_object_to_json_string_ext(detail, JSON_C_TO_STRING_PLAIN),
                                    &action};
    int taken = store_forget(context->desk->store, KEPT_APPROVAL, id, context->now_ms, &audited);
    return taken != 0 ? taken : answered_by_another(problem);
}

/* Whether the person may answer it so. 1; 0 with *problem; -1. */
static int may_answer(const struct context *context, const struct person *person,
                      struct json_object *entry, bool gives, struct problem *problem)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (person->role != ROLE_SUPPORT && person->role != ROLE_ADMIN)
        return problem_set(problem, 403, "", "your role may look, but not act");
    if (!gives)
        return 1;
    if (json_is_true(entry, "own"))
        return problem_set(problem, 403, "", "you asked for it yourself; another person has to agree");
    int possible = desk_action(context->desk, person, json_member(entry, "request"), true,
                               context->now_ms, &view, problem);
    if (possible < 1)
        return possible;
    return json_is_true(view, "allowed") ||
           problem_set(problem, 403, "", "%s", json_string(view, "why_not", ""));
}

/* What was asked for, or nothing: a refusal. 1; 0 with *problem; -1. */
static int carry_out(const struct context *context, const struct person *person,
                     struct json_object *entry, bool gives, struct json_object **view_r,
                     struct problem *problem)
{
    if (gives)
        return desk_action_approved(context->desk, person, json_member(entry, "request"),
                                    context->now_ms, view_r, problem);
    *view_r = json_object_new_object();
    json_add_string(*view_r, "subject", json_string(entry, "subject", ""));
    return 1;
}

int desk_approval_answer(const struct desk *desk, const struct person *person, const char *id,
                         struct json_object *words, int64_t now_ms, struct json_object **view_r,
                         struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *entry = NULL, *view = NULL;
    const char *note, *answer = json_string(words, "answer", "");
    bool gives = strcmp(answer, "approve") == 0;
    struct kept kept, claimed;
    if (!gives && strcmp(answer, "refuse") != 0)
        return problem_set(problem, 400, "answer", "expected approve or refuse");
    if (!read_note(&context, words, gives, &note, problem))
        return 0;
    int result = read_entry(&context, person, id, &kept, &entry, problem);
    if (result > 0)
        result = may_answer(&context, person, entry, gives, problem);
    if (result > 0)
        result = claim(&context, &kept, &claimed, problem);
    if (result < 1)
        return result;
    result = carry_out(&context, person, entry, gives, &view, problem);
    if (result < 1)
        return let_go(&context, &kept, &claimed) < 0 ? -1 : result;
    result = take_entry(&context, person, entry, gives, note, problem);
    if (result > 0)
        *view_r = take(view);
    return result;
}
