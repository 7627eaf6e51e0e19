/* Puts back what staff took away or changed a moment ago: a suspension that was lifted, an
 * adjustment as it was, an entry of the block lists. What the store does depends on what was read of
 * the audit log before, so nothing that came meanwhile is written over. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "base/zone.h"
#include "desk/desk_approval.h"
#include "desk/desk_request.h"
#include "desk/input.h"
#include "desk/view.h"
#include "guard/block_list.h"

enum {
    ATTEMPTS = 20, PAGE = 100, PAGES = 100, /* of the audit log, at most */
    BATCH_MAX = DESK_LIFTS_MAX * CAUSE_COUNT,
    NOTE_MAX_BYTES = 255, DETAIL_MAX_BYTES = 511,
};

enum { UNDO_LIFT = -1, UNDO_UNBLOCK = -2 }; /* beside the kinds of adjustments */

/* What one action did: an entry of the audit log, or two that it wrote in one step. */
struct undoing {
    const struct context *context;
    const struct person *person;
    const char *note; /* NULL: none was given */
    struct audit entries[ADJUST_MAX];
    struct json_object *details[ADJUST_MAX]; /* taken */
    size_t count;
    int kind;        /* of adjust_kind, or UNDO_… */
    int64_t id;      /* of the suspension that was lifted, */
    enum cause cause;
    int64_t until_ms;
    struct adjustment back[ADJUST_MAX]; /* as it is to be again */
    struct block_entry block; /* kind, subject and scope of what was on the lists */
    int64_t newest;  /* of the audit log about the subject */
};

static void end_undoing(struct undoing *undoing)
{
    for (size_t i = 0; i < undoing->count; i++)
        json_put(&undoing->details[i]);
}

static struct undoing begin_undoing(const struct context *context, const struct person *person,
                                    const char *note)
{
    return (struct undoing){.context = context, .person = person, .note = note};
}

/* ---- what was done --------------------------------------------------------------------------- */

/* The entry of that number: 1, 0 there is none, -1. */
static int read_entry(const struct context *context, int64_t number, struct audit *entry_r)
{
    struct store_page page = {.max = 1};
    if (number < 1)
        return 0;
    if (store_audit(context->desk->store, number - 1, entry_r, &page) < 0)
        return -1;
    return page.count == 1 && entry_r->number == number;
}

static bool of_one_rule(const struct audit *one, const struct audit *other)
{
    freed_by(json_put) struct json_object *detail = json_read(one->detail);
    freed_by(json_put) struct json_object *beside = json_read(other->detail);
    return strcmp(json_string(detail, "rule", ""), json_string(beside, "rule", "")) == 0;
}

static bool of_one_step(const struct audit *one, const struct audit *other)
{
    return !of_one_rule(one, other) && one->at_ms == other->at_ms &&
           strcmp(one->by, other->by) == 0 && strcmp(one->action, other->action) == 0 &&
           strcmp(one->subject, other->subject) == 0 && strcmp(one->note, other->note) == 0;
}

/* The entry and its neighbour, where one step wrote both; of an extra of messages and recipients.
 * 1; 0 with *problem (404); -1. */
static int read_entries(struct undoing *undoing, int64_t number, struct problem *problem)
{
    struct audit found, beside;
    int result = read_entry(undoing->context, number, &found);
    if (result < 1)
        return result < 0 ? -1 : problem_set(problem, 404, "", "there is no such entry");
    for (int64_t other = number - 1; other <= number + 1; other += 2) {
        int is_there = read_entry(undoing->context, other, &beside);
        if (is_there < 0)
            return -1;
        if (is_there == 0 || undoing->count > 0 || !of_one_step(&found, &beside))
            continue;
        undoing->entries[0] = other < number ? beside : found;
        undoing->entries[1] = other < number ? found : beside;
        undoing->count = 2;
    }
    if (undoing->count == 0)
        undoing->entries[undoing->count++] = found;
    for (size_t i = 0; i < undoing->count; i++)
        undoing->details[i] = json_read(undoing->entries[i].detail);
    return 1;
}

/* A moment, exact where `exact` says so; null is no end. False: it is none. */
static bool read_end(struct json_object *of, const char *exact, int64_t *end_ms_r)
{
    *end_ms_r = UNTIL_LIFTED;
    if (json_member(of, exact) != NULL)
        *end_ms_r = json_int(of, exact, 0);
    else if (json_member(of, "until") != NULL)
        return zone_moment_read(json_string(of, "until", ""), end_ms_r);
    return true;
}

static bool read_lift(struct undoing *undoing)
{
    struct json_object *before = json_member(undoing->details[0], "before");
    int cause = names_find(cause_names, CAUSE_COUNT, json_string(before, "cause", ""));
    undoing->kind = UNDO_LIFT;
    undoing->id = json_int(before, "id", 0);
    undoing->cause = (enum cause)cause;
    return cause >= 0 && undoing->id > 0 && read_end(before, "until_ms", &undoing->until_ms);
}

static bool read_unblock(struct undoing *undoing)
{
    int kind = names_find(block_kind_names, BLOCK_KIND_COUNT,
                          json_string(undoing->details[0], "kind", ""));
    undoing->kind = UNDO_UNBLOCK;
    undoing->block = (struct block_entry){
        .kind = (enum block_kind)kind, .subject = undoing->entries[0].subject,
        .scope = json_string(undoing->details[0], "scope", BLOCK_SCOPE_ALL)};
    return kind >= 0;
}

/* What was there before, if it has not ended meanwhile. */
static bool read_adjustment(struct undoing *undoing, size_t i)
{
    struct json_object *detail = undoing->details[i], *before = json_member(detail, "before");
    int rule = adjust_kind_has_rule((enum adjust_kind)undoing->kind)
                   ? rule_by_name(json_string(detail, "rule", ""))
                   : 0;
    struct adjustment *back = &undoing->back[i];
    *back = (struct adjustment){.kind = (enum adjust_kind)undoing->kind, .removed = true};
    if (rule < 0 || detail == NULL)
        return false;
    back->rule = (enum rule)rule;
    snprintf(back->subject, sizeof back->subject, "%s", undoing->entries[i].subject);
    if (before == NULL)
        return true;
    if (!read_end(before, "until_ms", &back->until_ms))
        return false;
    back->removed = back->until_ms <= undoing->context->now_ms;
    if (undoing->kind == ADJUST_PLAN)
        snprintf(back->plan, sizeof back->plan, "%s", json_string(before, "value", ""));
    else
        back->value = json_member(before, "value") != NULL ? (int32_t)json_int(before, "value", 0)
                                                           : LIMIT_OFF;
    return true;
}

/* 1; 0 with *problem (409): it is nothing that can be undone. */
static int read_what(struct undoing *undoing, struct problem *problem)
{
    const char *action = undoing->entries[0].action;
    bool known = false;
    undoing->kind = names_find(adjust_kind_names, ADJUST_KIND_COUNT, action);
    if (undoing->kind >= 0) {
        known = true;
        for (size_t i = 0; i < undoing->count; i++)
            known = known && read_adjustment(undoing, i);
    } else if (strcmp(action, "lift") == 0) {
        known = read_lift(undoing);
    } else if (strcmp(action, "unblock") == 0) {
        known = read_unblock(undoing);
    }
    if (!known)
        return problem_set(problem, 409, "", "what this entry did cannot be undone: a lift of a "
                           "suspension, a limit, an extra, an exemption, a plan and an unblock "
                           "can");
    if (undoing->kind == UNDO_LIFT && suspension_is_of_lock(undoing->cause))
        return problem_set(problem, 409, "", "it belongs to a lock: lock the mailbox again");
    return 1;
}

static int may_undo(const struct undoing *undoing, struct problem *problem)
{
    const struct audit *entry = &undoing->entries[0];
    const struct person *person = undoing->person;
    if (person->role != ROLE_SUPPORT && person->role != ROLE_ADMIN)
        return problem_set(problem, 403, "", "your role may look, but not act");
    if (person->role != ROLE_ADMIN && strcmp(person->name, entry->by) != 0)
        return problem_set(problem, 403, "", "%s did it; who did it may undo it, or an "
                           "administrator", entry->by);
    return undoing->context->now_ms <= entry->at_ms + UNDO_MS ||
           problem_set(problem, 409, "", "it was done more than %d minutes ago", UNDO_MINUTES);
}

/* ---- what came after it ---------------------------------------------------------------------- */

static const char *moment_of(const struct context *context, int64_t time_ms)
{
    freed_by(text_free) struct text moment = {0};
    text_add_time(&moment, time_ms);
    return arena_strdup(context->arena, text_string(&moment));
}

/* Whether a later entry changed the same: the suspensions of the cause, or an adjustment. */
static bool is_about_same(const struct undoing *undoing, const char *action,
                          struct json_object *detail)
{
    struct json_object *before = json_member(detail, "before");
    struct json_object *of = before != NULL ? before : json_member(detail, "after");
    if (undoing->kind == UNDO_UNBLOCK)
        return (strcmp(action, "block") == 0 || strcmp(action, "unblock") == 0) &&
               strcmp(json_string(detail, "kind", ""),
                      block_kind_names[undoing->block.kind]) == 0 &&
               strcmp(json_string(detail, "scope", BLOCK_SCOPE_ALL), undoing->block.scope) == 0;
    if (undoing->kind == UNDO_LIFT)
        return (strcmp(action, "lift") == 0 || strcmp(action, "suspend") == 0) &&
               strcmp(json_string(of, "cause", ""), cause_names[undoing->cause]) == 0;
    for (size_t i = 0; i < undoing->count; i++)
        if (strcmp(action, undoing->entries[i].action) == 0 &&
            (!adjust_kind_has_rule((enum adjust_kind)undoing->kind) ||
             strcmp(json_string(detail, "rule", ""),
                    json_string(undoing->details[i], "rule", "")) == 0))
            return true;
    return false;
}

/* 1 it stands in nobody's way; 0 with *problem (409). */
static int look_at_later(const struct undoing *undoing, const struct audit *later,
                         struct problem *problem)
{
    const char *at = moment_of(undoing->context, later->at_ms);
    freed_by(json_put) struct json_object *detail = json_read(later->detail);
    bool undoes = strcmp(later->action, "undo") == 0;
    int64_t of = json_int(detail, "of", 0);
    for (size_t i = 0; undoes && i < undoing->count; i++)
        if (undoing->entries[i].number == of)
            return problem_set(problem, 409, "", "%s has undone it already, at %s", later->by, at);
    const char *action = undoes ? json_string(detail, "action", "") : later->action;
    return !is_about_same(undoing, action, detail) ||
           problem_set(problem, 409, "", "%s has changed it since, at %s (%s)", later->by, at,
                       later->action);
}

/* All entries about the subject behind those of the action. 1; 0 with *problem; -1. */
static int look_at_log(struct undoing *undoing, struct problem *problem)
{
    const struct context *context = undoing->context;
    struct audit *later = arena_alloc(context->arena, PAGE * sizeof *later);
    struct store_page page = {.max = PAGE, .more = true};
    int64_t before = INT64_MAX, last = undoing->entries[undoing->count - 1].number;
    undoing->newest = 0;
    for (int pages = 0; pages < PAGES && page.more; pages++) {
        if (store_audit_newest(context->desk->store, undoing->entries[0].subject, before, later,
                               &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            undoing->newest = undoing->newest != 0 ? undoing->newest : later[i].number;
            if (later[i].number <= last)
                return 1;
            if (!look_at_later(undoing, &later[i], problem))
                return 0;
            before = later[i].number;
        }
    }
    return problem_set(problem, 409, "", "too much was done about it since");
}

/* ---- doing ----------------------------------------------------------------------------------- */

/* "of", and what was so before and after the other way round; an adjustment that has ended
 * meanwhile stays away. In the arena. */
static const char *detail_of(const struct undoing *undoing, size_t i)
{
    struct json_object *was = undoing->details[i];
    if (undoing->kind == UNDO_UNBLOCK)
        return arena_printf(undoing->context->arena,
                            "{\"of\":%lld,\"action\":\"unblock\",\"kind\":\"%s\"}",
                            (long long)undoing->entries[i].number,
                            block_kind_names[undoing->block.kind]);
    freed_by(json_put) struct json_object *detail = json_object_new_object();
    bool comes_back = undoing->kind == UNDO_LIFT || !undoing->back[i].removed;
    json_add_int(detail, "of", undoing->entries[i].number);
    json_add_string(detail, "action", undoing->entries[i].action);
    if (json_member(was, "rule") != NULL)
        json_add_string(detail, "rule", json_string(was, "rule", ""));
    json_add(detail, "before", json_object_get(json_member(was, "after")));
    json_add(detail, "after", comes_back ? json_object_get(json_member(was, "before")) : NULL);
    return arena_strdup(undoing->context->arena,
                        json_object_to_json_string_ext(detail, JSON_C_TO_STRING_PLAIN));
}

static int suspended_again(const struct undoing *undoing, struct problem *problem)
{
    const struct context *context = undoing->context;
    struct account account;
    if (store_account(context->desk->store, context->arena, undoing->entries[0].subject,
                      context->now_ms, &account) < 0)
        return -1;
    const struct suspension *held = suspension_find(&account.suspensions, undoing->cause);
    if (held == NULL)
        return problem_set(problem, 409, "", "it was suspended for %s again since, and that has "
                           "ended", cause_names[undoing->cause]);
    return problem_set(problem, 409, "", "%s has suspended it for %s again since, at %s", held->by,
                       cause_names[undoing->cause], moment_of(context, held->since_ms));
}

static int say_why(const struct undoing *undoing, enum unlift why, struct problem *problem)
{
    if (why == UNLIFT_REPLACED)
        return suspended_again(undoing, problem);
    if (why == UNLIFT_ENDED)
        return problem_set(problem, 409, "", "the suspension would have ended by itself meanwhile, "
                           "at %s: there is nothing to put back",
                           moment_of(undoing->context, undoing->until_ms));
    return problem_set(problem, 409, "", "what it was is not known any more");
}

/* 1; 0 others were faster, or with problem->status why it is not done; -1. */
static int write_lift(const struct undoing *undoing, const struct audited *audited,
                      struct problem *problem)
{
    enum unlift why;
    int done = store_unlift(undoing->context->desk->store, undoing->cause, undoing->id,
                            undoing->newest, audited, &why);
    return done != 0 || why == UNLIFT_CHANGED ? done : say_why(undoing, why, problem);
}

/* An entry of the block lists; audited NULL: whether it can be. */
static int put_back_block(const struct undoing *undoing, const struct audited *audited,
                          struct problem *problem)
{
    const struct context *context = undoing->context;
    bool listed;
    int done = block_list_put_back(context->desk->store, &undoing->block, audited, context->now_ms,
                                   &listed);
    if (audited != NULL)
        guard_outdate_blocks(context->desk->guard);
    return done != 0 ? done
                     : problem_set(problem, 409, "", "%s",
                                   listed ? "it is on the list again"
                                          : "what it was is not known any more, or would have "
                                            "ended meanwhile");
}

/* As write_lift. newest: of the changes of limits. */
static int write_adjustments(const struct undoing *undoing, int64_t newest,
                             const struct audited *audited)
{
    const struct context *context = undoing->context;
    int done = store_adjust_back(context->desk->store, undoing->back, undoing->count, newest,
                                 audited);
    guard_outdate_limits(context->desk->guard);
    return done;
}

/* Whether the store would find the same: for a preview. */
static int foresee(const struct undoing *undoing, struct problem *problem)
{
    const struct context *context = undoing->context;
    struct account account;
    if (undoing->kind == UNDO_UNBLOCK)
        return put_back_block(undoing, NULL, problem);
    if (undoing->kind >= 0)
        return 1;
    if (undoing->until_ms <= context->now_ms)
        return say_why(undoing, UNLIFT_ENDED, problem);
    if (store_account(context->desk->store, context->arena, undoing->entries[0].subject,
                      context->now_ms, &account) < 0)
        return -1;
    return suspension_find(&account.suspensions, undoing->cause) == NULL ||
           say_why(undoing, UNLIFT_REPLACED, problem);
}

/* What is put back, as staff would ask for it. */
static struct desk_request request_of(const struct undoing *undoing)
{
    static const enum action_kind actions[ADJUST_KIND_COUNT] = {
        [ADJUST_LIMIT] = ACTION_LIMIT, [ADJUST_EXTRA] = ACTION_EXTRA,
        [ADJUST_EXEMPT] = ACTION_EXEMPT, [ADJUST_PLAN] = ACTION_PLAN};
    const char *subject = undoing->entries[0].subject, *at = strrchr(subject, '@');
    struct desk_request request = {
        .action = undoing->kind >= 0 ? actions[undoing->kind] : ACTION_NOTE, .subject = subject,
        .mailbox = at == subject ? "" : subject, .domain = at != NULL ? at + 1 : subject};
    for (size_t i = 0; undoing->kind >= 0 && i < undoing->count; i++)
        request.changes[request.change_count++] = undoing->back[i];
    return request;
}

/* Whether it changes what limits there are in the domain. */
static bool changes_limits(const struct audit *entry, const char *domain)
{
    const char *at = strrchr(entry->subject, '@'), *action = entry->action;
    freed_by(json_put) struct json_object *detail = json_read(entry->detail);
    if (strcmp(action, "undo") == 0)
        action = json_string(detail, "action", "");
    return at != NULL && strcmp(at + 1, domain) == 0 &&
           names_find(adjust_kind_names, ADJUST_KIND_COUNT, action) >= 0;
}

/* Whether somebody has done so since, for any mailbox of it. 1, 0, -1. */
static int limits_changed(const struct undoing *undoing, const char *domain)
{
    const struct context *context = undoing->context;
    struct audit *later = arena_alloc(context->arena, PAGE * sizeof *later);
    struct store_page page = {.max = PAGE, .more = true};
    int64_t before = INT64_MAX, last = undoing->entries[undoing->count - 1].number;
    for (int pages = 0; pages < PAGES && page.more; pages++) {
        if (store_audit_newest(context->desk->store, NULL, before, later, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            before = later[i].number;
            if (before <= last)
                return 0;
            if (changes_limits(&later[i], domain))
                return 1;
        }
    }
    return 1;
}

/* As it was it may be again; beside what was changed since it is looked at like a new one.
 * 1; 0 with *problem; -1. */
static int may_put_back(const struct undoing *undoing, struct problem *problem)
{
    const struct context *context = undoing->context;
    const struct desk_request request = request_of(undoing);
    int result = undoing->kind >= 0 ? limits_changed(undoing, request.domain) : 0;
    if (result < 1)
        return result < 0 ? -1 : 1;
    bool is_admin = undoing->person->role == ROLE_ADMIN;
    if (!is_admin && undoing->kind == ADJUST_EXEMPT)
        return problem_set(problem, 403, "", "your role may not exempt; ask an administrator");
    if (!is_admin && undoing->kind == ADJUST_PLAN)
        return problem_set(problem, 403, "", "your role may not give plans; ask an administrator");
    result = is_admin ? 1 : desk_request_within_caps(context, &request, problem);
    if (result < 1)
        return result;
    int needed = desk_approval_needed(context, &request);
    if (needed < 1)
        return needed == 0 ? 1 : -1;
    return problem_set(problem, 409, "", "limits were changed since, and with them it takes a "
                                         "second person: ask for it anew");
}

static int write_once(struct undoing *undoing, bool preview, struct problem *problem)
{
    const struct context *context = undoing->context;
    struct audited audited[ADJUST_MAX];
    struct action action = {context->now_ms, undoing->person->name, undoing->note};
    int64_t newest = 0; /* known before the log is read */
    if (undoing->kind >= 0 && guard_renew_limits(context->desk->guard, &newest) < 0)
        return -1;
    int result = look_at_log(undoing, problem);
    if (result > 0)
        result = foresee(undoing, problem);
    if (result > 0)
        result = may_put_back(undoing, problem);
    if (result < 1 || preview)
        return result;
    if (action.note == NULL)
        action.note = arena_printf(context->arena, "undo of entry %lld",
                                   (long long)undoing->entries[0].number);
    for (size_t i = 0; i < undoing->count; i++)
        audited[i] = (struct audited){"undo", undoing->entries[i].subject, detail_of(undoing, i),
                                      &action};
    if (undoing->kind == UNDO_UNBLOCK)
        return put_back_block(undoing, audited, problem);
    return undoing->kind == UNDO_LIFT ? write_lift(undoing, audited, problem)
                                      : write_adjustments(undoing, newest, audited);
}

/* 1 done, or (preview) it can be; 0 with *problem; -1. */
static int undo_one(struct undoing *undoing, int64_t number, bool preview, struct problem *problem)
{
    int result = read_entries(undoing, number, problem);
    if (result < 1)
        return result;
    if (!may_undo(undoing, problem) || !read_what(undoing, problem))
        return 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        problem->status = 0;
        result = write_once(undoing, preview, problem);
        if (result != 0 || problem->status != 0)
            return result;
    }
    return problem_set(problem, 409, "", "others change it at the same moment; try again");
}

/* ---- the view -------------------------------------------------------------------------------- */

/* What an entry did, and whether it is undone. */
static void add_undone(const struct undoing *undoing, int result, const struct problem *problem,
                       struct json_object *list)
{
    for (size_t i = 0; i < undoing->count; i++) {
        const struct audit *entry = &undoing->entries[i];
        struct json_object *one = json_object_new_object();
        struct json_object *detail = undoing->details[i], *before = json_member(detail, "before");
        bool comes_back = result > 0 && (undoing->kind < 0 || !undoing->back[i].removed);
        if (undoing->kind == UNDO_UNBLOCK)
            before = detail; /* all of it is what there was */
        json_add_int(one, "number", entry->number);
        json_add_string(one, "subject", entry->subject);
        json_add_string(one, "action", entry->action);
        json_add_string(one, "rule", json_string(detail, "rule", NULL));
        json_add(one, "before", json_object_get(json_member(detail, "after")));
        json_add(one, "after", comes_back ? json_object_get(before) : NULL);
        json_add_string(one, "why", result > 0 ? NULL : problem->text);
        json_object_array_add(list, one);
    }
}

/* "before" and "after", as of an action. Read before it is done. 1 or -1. */
static int add_sides(const struct undoing *undoing, struct json_object *view)
{
    const struct context *context = undoing->context;
    const struct desk_request request = request_of(undoing);
    struct forecast before, after;
    if (forecast_read(context, request.mailbox, request.domain, &before) < 0 ||
        desk_request_imagine(context, &request, &before, &after) < 0)
        return -1;
    if (undoing->kind == UNDO_LIFT) {
        struct json_object *was = json_member(undoing->details[0], "before");
        struct suspension back = {.id = undoing->id, .cause = undoing->cause,
                                  .until_ms = undoing->until_ms};
        if (!zone_moment_read(json_string(was, "since", ""), &back.since_ms))
            back.since_ms = context->now_ms;
        suspension_put(&after.account.suspensions, &back);
        forecast_settle(context, &after);
    }
    desk_request_add(context, &request, &before, &after, view);
    json_object_object_del(view, "reset_as_well"); /* of a lift alone */
    return 1;
}

static struct json_object *begin_view(const struct context *context, const struct audit *entry,
                                      const char *batch)
{
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", context->now_ms);
    json_add(view, "entry", view_action(entry));
    json_add_moment(view, "until", entry->at_ms + UNDO_MS);
    json_add_string(view, "batch", batch);
    return view;
}

/* ---- many ------------------------------------------------------------------------------------ */

/* The numbers of the entries that one person wrote with that name. 1 or -1. */
static int find_batch(const struct context *context, const struct audit *like, const char *batch,
                      int64_t *numbers, size_t *count_r)
{
    struct audit *entries = arena_alloc(context->arena, PAGE * sizeof *entries);
    struct store_page page = {.max = PAGE, .more = true};
    int64_t before = INT64_MAX, since_ms = like->at_ms - UNDO_MS;
    *count_r = 0;
    for (int pages = 0; pages < PAGES && page.more; pages++) {
        if (store_audit_newest(context->desk->store, NULL, before, entries, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count && *count_r < BATCH_MAX; i++) {
            const char *other = desk_batch_of(context->arena, entries[i].note);
            before = entries[i].number;
            page.more = page.more && entries[i].at_ms >= since_ms;
            if (other != NULL && strcmp(other, batch) == 0 &&
                strcmp(entries[i].by, like->by) == 0 && strcmp(entries[i].action, "undo") != 0)
                numbers[(*count_r)++] = entries[i].number;
        }
    }
    return 1;
}

/* All that was done under one name; each is put back or tells why not. 1 or -1. */
static int undo_batch(const struct context *context, const struct person *person, const char *note,
                      bool preview, const struct audit *like, struct json_object *view)
{
    int64_t *numbers = arena_alloc(context->arena, BATCH_MAX * sizeof *numbers);
    struct json_object *list = json_add_list(view, "undone");
    const char *batch = desk_batch_of(context->arena, like->note);
    int64_t undone = 0, others = 0;
    size_t count;
    if (find_batch(context, like, batch, numbers, &count) < 0)
        return -1;
    for (size_t i = count; i-- > 0;) {
        freed_by(end_undoing) struct undoing one = begin_undoing(context, person, note);
        struct problem problem = {0};
        int result = undo_one(&one, numbers[i], preview, &problem);
        if (result < 0)
            return -1;
        if (one.count == 0 || one.entries[0].number != numbers[i])
            continue; /* its neighbour has told of both */
        add_undone(&one, result, &problem, list);
        undone += result;
        others += !result;
    }
    json_add_int(view, "count", undone);
    json_add_int(view, "not_undone", others);
    return 1;
}

/* ---- words ----------------------------------------------------------------------------------- */

struct undo_words {
    int64_t number;
    const char *note;
    bool all;
};

static int read_all(struct json_object *value, bool *all_r, struct problem *problem)
{
    const char *text = json_object_get_string(value);
    *all_r = json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value)
                                                           : text != NULL && strcmp(text, "1") == 0;
    return json_object_is_type(value, json_type_boolean) || *all_r ||
           problem_set(problem, 400, "all", "expected true or false");
}

static int read_words(const struct context *context, const char *number,
                      struct json_object *words, struct undo_words *words_r,
                      struct problem *problem)
{
    *words_r = (struct undo_words){0};
    if (!input_number(number, "entry", 1, 0, &words_r->number, problem))
        return 0;
    json_object_object_foreach(words, name, value) {
        if (strcmp(name, "all") == 0) {
            if (!read_all(value, &words_r->all, problem))
                return 0;
        } else if (strcmp(name, "note") != 0) {
            return problem_set(problem, 400, name, "there is no such member");
        } else if (!input_word(context, value, "note", &words_r->note, problem)) {
            return 0;
        }
    }
    return words_r->note == NULL || strlen(words_r->note) <= NOTE_MAX_BYTES ||
           problem_set(problem, 400, "note", "expected at most %d bytes", NOTE_MAX_BYTES);
}

/* One action. 1; 0 with *problem; -1. */
static int undo_action(const struct context *context, const struct person *person,
                       const struct undo_words *words, bool preview, struct json_object **view_r,
                       struct problem *problem)
{
    freed_by(end_undoing) struct undoing undoing = begin_undoing(context, person, words->note);
    freed_by(json_put) struct json_object *view = NULL;
    int result = undo_one(&undoing, words->number, true, problem);
    if (result < 1)
        return result;
    view = begin_view(context, &undoing.entries[0],
                      desk_batch_of(context->arena, undoing.entries[0].note));
    if (undoing.kind != UNDO_UNBLOCK && add_sides(&undoing, view) < 0)
        return -1;
    if (!preview) {
        freed_by(end_undoing) struct undoing done = begin_undoing(context, person, words->note);
        result = undo_one(&done, words->number, false, problem);
        if (result < 1)
            return result;
    }
    add_undone(&undoing, 1, problem, json_add_list(view, "undone"));
    json_add_int(view, "count", (int64_t)undoing.count);
    json_add_int(view, "not_undone", 0);
    *view_r = take(view);
    return 1;
}

int desk_undo(const struct desk *desk, const struct person *person, const char *number,
              struct json_object *words, bool preview, int64_t now_ms,
              struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = NULL;
    struct undo_words asked;
    struct audit entry;
    if (!read_words(&context, number, words, &asked, problem))
        return 0;
    if (!asked.all) {
        int result = undo_action(&context, person, &asked, preview, &view, problem);
        if (result < 1)
            return result;
    } else {
        int found = read_entry(&context, asked.number, &entry);
        if (found < 1)
            return found < 0 ? -1 : problem_set(problem, 404, "", "there is no such entry");
        const char *batch = desk_batch_of(context.arena, entry.note);
        if (batch == NULL)
            return problem_set(problem, 409, "all", "it was done alone: there is no batch");
        view = begin_view(&context, &entry, batch);
        if (undo_batch(&context, person, asked.note, preview, &entry, view) < 0)
            return -1;
    }
    json_add_string(view, "action", "undo");
    json_add_string(view, "subject", json_string(json_member(view, "entry"), "subject", ""));
    json_add_bool(view, "done", !preview);
    *view_r = take(view);
    return 1;
}

/* ---- marks in lists -------------------------------------------------------------------------- */

static bool is_undone(struct json_object *list, int64_t number)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        if (strcmp(json_string(one, "action", ""), "undo") == 0 &&
            json_int(json_member(one, "detail"), "of", 0) == number)
            return true;
    }
    return false;
}

void desk_undo_mark(const struct person *person, struct json_object *list, int64_t now_ms)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *action = json_string(one, "action", "");
        struct json_object *before = json_member(json_member(one, "detail"), "before");
        int cause = names_find(cause_names, CAUSE_COUNT, json_string(before, "cause", ""));
        bool known = names_find(adjust_kind_names, ADJUST_KIND_COUNT, action) >= 0 ||
                     strcmp(action, "unblock") == 0 ||
                     (strcmp(action, "lift") == 0 && json_int(before, "id", 0) > 0 && cause >= 0 &&
                      !suspension_is_of_lock((enum cause)cause));
        bool may = person->role == ROLE_ADMIN ||
                   (person->role == ROLE_SUPPORT &&
                    strcmp(json_string(one, "by", ""), person->name) == 0);
        int64_t at_ms;
        if (known && may && zone_moment_read(json_string(one, "at", ""), &at_ms) &&
            now_ms <= at_ms + UNDO_MS && !is_undone(list, json_int(one, "number", 0)))
            json_add_string(one, "undo", json_object_get_string(json_member(one, "number")));
    }
}
