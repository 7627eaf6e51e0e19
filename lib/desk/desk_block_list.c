/* The block lists as staff see and change them. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "desk/blocked.h"
#include "desk/desk_senders.h"
#include "desk/input.h"
#include "guard/spf_block.h"
#include "guard/spf_view.h"

enum { MAILBOXES_SHOWN = 20 };

/* ---- the list ------------------------------------------------------------------------------- */

/* Where the keys of what begins with the text stand, in order of key. */
enum { PREFIXES_MAX = 5 + 2 * BLOCKED_HASHES };
struct prefixes {
    const char *of[PREFIXES_MAX];
    size_t count;
};

static struct prefixes prefixes_of(struct arena *arena, const char *query)
{
    bool domain = query[0] == '@';
    if (query[0] == '\0')
        return (struct prefixes){{""}, 1};
    if (domain)
        return (struct prefixes){{arena_printf(arena, "domain\n%s", query + 1),
                                  arena_printf(arena, "sender\n%s", query)}, 2};
    return (struct prefixes){{arena_printf(arena, "domain\n%s", query),
                              arena_printf(arena, "pair\n%s", query),
                              arena_printf(arena, "recipient\n%s", query),
                              arena_printf(arena, "sender\n@%s", query),
                              arena_printf(arena, "sender\n%s", query)}, 5};
}

/* As keys have it: a whole address or domain in key form, else in lower case. */
static const char *key_text(const struct context *context, const char *query)
{
    char *text = arena_strdup(context->arena, query + strspn(query, " \t"));
    size_t length = strlen(text);
    struct problem unimportant;
    const char *key;
    for (char *at = text; *at != '\0'; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
        text[--length] = '\0';
    bool address = text[0] != '@' && strchr(text, '@') != NULL;
    if (address ? input_mailbox(context, text, "", &key, &unimportant) > 0
                : !g_str_is_ascii(text) && input_domain(context, text, "", &key, &unimportant) > 0)
        return text[0] == '@' ? arena_printf(context->arena, "@%s", key) : key;
    return text;
}

/* What Sendguard itself has blocked is found by the whole address. */
static void add_hashes(const struct context *context, const char *query, struct prefixes *prefixes)
{
    char hashes[BLOCKED_HASHES][BLOCK_SUBJECT_HASH_SIZE];
    size_t count = blocked_hashes(context, query, hashes);
    for (size_t i = 0; i < count; i++) {
        prefixes->of[prefixes->count++] = arena_printf(context->arena, "pair\n%s", hashes[i]);
        prefixes->of[prefixes->count++] = arena_printf(context->arena, "recipient\n%s", hashes[i]);
    }
}

static int by_text(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Adds the entries whose keys begin with `prefix`, behind `after`, until the page is full. *last_r:
 * the key of the last one. 1; 0: there are more; -1. */
static int add_page(const struct context *context, const char *prefix, const char *after,
                    struct json_object *list, const char **last_r)
{
    struct value *values = arena_alloc(context->arena, (DESK_PAGE + 1) * sizeof *values);
    struct store_page page = {.max = DESK_PAGE + 1};
    const char *from = strcmp(after, prefix) > 0 ? after : prefix;
    if (store_values(context->desk->store, context->arena, VALUE_BLOCKED, from, context->now_ms,
                     values, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        struct block_entry entry;
        if (strncmp(values[i].key, prefix, strlen(prefix)) != 0)
            return 1;
        if (json_object_array_length(list) == DESK_PAGE)
            return 0;
        if (block_list_read(context->arena, &values[i], &entry) > 0)
            json_object_array_add(list, blocked_view(context, &entry));
        *last_r = values[i].key;
    }
    return !page.more;
}

int desk_blocks(const struct desk *desk, const char *query, const char *after, int64_t now_ms,
                struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct json_object *list = json_add_list(view, "blocks");
    const char *last = after != NULL ? after : "";
    const char *text = key_text(&context, query != NULL ? query : "");
    struct prefixes prefixes = prefixes_of(context.arena, text);
    add_hashes(&context, text, &prefixes);
    qsort(prefixes.of, prefixes.count, sizeof prefixes.of[0], by_text);
    int whole = 1;
    for (size_t i = 0; i < prefixes.count && whole > 0; i++)
        whole = add_page(&context, prefixes.of[i], last, list, &last);
    if (whole < 0)
        return -1;
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "next", whole ? NULL : last);
    *view_r = take(view);
    return 1;
}

/* ---- one action ----------------------------------------------------------------------------- */

/* What the role may: 1; 0 with *problem (403). */
static int may_block(const struct person *person, struct problem *problem)
{
    return person->role >= ROLE_SUPPORT ||
           problem_set(problem, 403, "", "your role may look, but not act");
}

/* Who sent lately and is concerned. */
static int add_concerned(const struct context *context, const struct block_entry *entry,
                         struct json_object *view)
{
    struct json_object *mailboxes = json_add_list(view, "mailboxes");
    enum sender_of of;
    const char *more = NULL, *key = blocked_senders_of(entry, &of);
    if (key != NULL && desk_add_senders(context, of, key, NULL, MAILBOXES_SHOWN, mailboxes,
                                        &more) < 0)
        return -1;
    json_add_bool(view, "more_mailboxes", more != NULL);
    json_add_bool(view, "all_mailboxes", blocked_for_all(entry));
    return 1;
}

/* 1 and the entry that is there; 0 there is none; -1. */
static int find_entry(const struct context *context, const struct block_entry *entry,
                      struct block_entry *found_r)
{
    struct value value;
    int found = store_value(context->desk->store, context->arena, VALUE_BLOCKED,
                            block_list_key(context->arena, entry), context->now_ms, &value);
    return found < 1 ? found : block_list_read(context->arena, &value, found_r);
}

/* The same; an address finds what Sendguard has blocked of it too, and *entry is that then. */
static int find_or_hashed(const struct context *context, struct block_entry *entry,
                          struct block_entry *found_r)
{
    char hashes[BLOCKED_HASHES][BLOCK_SUBJECT_HASH_SIZE];
    bool recipient = entry->kind == BLOCK_RECIPIENT || entry->kind == BLOCK_PAIR;
    int found = find_entry(context, entry, found_r);
    size_t count = found == 0 && recipient ? blocked_hashes(context, entry->subject, hashes) : 0;
    for (size_t i = 0; i < count && found == 0; i++) {
        struct block_entry hashed = *entry;
        hashed.subject = arena_strdup(context->arena, hashes[i]);
        found = find_entry(context, &hashed, found_r);
        if (found > 0)
            *entry = hashed;
    }
    return found;
}

/* The same; what was made before the domain became one with another is found first. */
static int find_to_remove(const struct context *context, struct blocked_request *request,
                          struct block_entry *found_r)
{
    struct block_entry of_domain = request->entry;
    of_domain.scope = request->domain;
    int found = request->domain != NULL ? find_or_hashed(context, &of_domain, found_r) : 0;
    if (found == 0)
        return find_or_hashed(context, &request->entry, found_r);
    request->entry = of_domain;
    return found;
}

/* The scope of the first entry of that kind and subject; 1, 0 there is none, -1. */
static int first_scope(const struct context *context, enum block_kind kind, const char *subject,
                       const char **scope_r)
{
    struct value value;
    struct block_entry found;
    struct store_page page = {.max = 1};
    const struct block_entry wanted = {.kind = kind, .subject = subject, .scope = ""};
    const char *before = block_list_key(context->arena, &wanted);
    if (store_values(context->desk->store, context->arena, VALUE_BLOCKED, before,
                     context->now_ms, &value, &page) < 0)
        return -1;
    if (page.count == 0 || !block_list_read(context->arena, &value, &found) ||
        found.kind != kind || strcmp(found.subject, subject) != 0)
        return 0;
    *scope_r = found.scope;
    return 1;
}

/* What is asked to be removed is not there; perhaps it is with another scope. 0 or -1. */
static int say_where(const struct context *context, const struct block_entry *entry,
                     struct problem *problem)
{
    char hashes[BLOCKED_HASHES][BLOCK_SUBJECT_HASH_SIZE];
    bool recipient = entry->kind == BLOCK_RECIPIENT || entry->kind == BLOCK_PAIR;
    size_t count = recipient ? blocked_hashes(context, entry->subject, hashes) : 0;
    const char *scope = NULL;
    int found = first_scope(context, entry->kind, entry->subject, &scope);
    for (size_t i = 0; i < count && found == 0; i++) {
        found = first_scope(context, BLOCK_RECIPIENT, hashes[i], &scope);
        if (found == 0)
            found = first_scope(context, BLOCK_PAIR, hashes[i], &scope);
    }
    if (found == 0 && recipient)
        found = first_scope(context, BLOCK_PAIR, entry->subject, &scope);
    if (found < 0)
        return -1;
    if (found == 0)
        return problem_set(problem, 409, "subject",
                           "it is not on the list; a block since mail failed ends with a lift");
    if (strcmp(scope, BLOCK_SCOPE_ALL) == 0)
        return problem_set(problem, 409, "scope", "it is on the list for all mail: leave the scope "
                                                  "out");
    return problem_set(problem, 409, "scope", "it is on the list with the scope %s: name that",
                       scope);
}

/* As the entry that is there has to be. */
static int change(struct store *store, const struct blocked_request *request,
                  const struct block_entry *before, const struct action *action)
{
    if (!request->removes)
        return block_list_add(store, &request->entry, 1, action);
    return spf_block_is(before) ? spf_block_lift(store, &request->entry, action)
                                : block_list_remove(store, &request->entry, action);
}

/* 1 done; 0 with *problem; -1. */
static int carry_out(const struct context *context, const struct person *person,
                     const struct blocked_request *request, const struct block_entry *before,
                     struct problem *problem)
{
    const struct action action = {context->now_ms, person->name, request->note};
    int done = change(context->desk->store, request, before, &action);
    guard_outdate_blocks(context->desk->guard);
    return done != 0 ? done
                     : problem_set(problem, 409, "", "others change the lists at the same moment; "
                                                     "try again");
}

int desk_block(const struct desk *desk, const struct person *person, struct json_object *words,
               bool preview, int64_t now_ms, struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct blocked_request request;
    struct problem why_not = {0};
    struct block_entry before = {.advice = NULL};
    if (!blocked_request_read(&context, words, person, &request, problem))
        return 0;
    bool allowed = may_block(person, &why_not) > 0;
    if (!allowed && !preview) {
        *problem = why_not;
        return 0;
    }
    int found = request.removes ? find_to_remove(&context, &request, &before)
                                : find_entry(&context, &request.entry, &before);
    if (found < 0 || add_concerned(&context, &request.entry, view) < 0)
        return -1;
    if (request.removes && found == 0)
        return say_where(&context, &request.entry, problem);
    int done = preview ? 1 : carry_out(&context, person, &request, &before, problem);
    if (done < 1)
        return done;
    json_add_string(view, "action", request.removes ? "unblock" : "block");
    json_add_string(view, "subject",
                    found > 0 ? block_list_name(context.arena, &before) : request.entry.subject);
    json_add_bool(view, "done", !preview);
    json_add_bool(view, "allowed", allowed);
    json_add_string(view, "why_not", allowed ? NULL : why_not.text);
    json_add(view, "before", found > 0 ? blocked_view(&context, &before) : NULL);
    bool opens = request.removes && spf_block_is(&before);
    json_add_moment(view, "open_until", opens ? now_ms + SPF_VIEW_OPEN_MS : 0);
    json_add(view, "after", request.removes ? NULL : blocked_view(&context, &request.entry));
    *view_r = take(view);
    return 1;
}
