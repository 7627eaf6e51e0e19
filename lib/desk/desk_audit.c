/* The audit log, and what of it fits a filter. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "desk/context.h"
#include "desk/input.h"
#include "desk/view.h"

enum { PAGE = 100, LOOKED_AT_MAX = 5000 };

/* As it stands in the audit log: a mailbox or "@domain" in key form, all else as it is. */
static const char *audit_subject(const struct context *context, const char *text)
{
    struct problem ignored;
    const char *key;
    if (text == NULL || text[0] == '\0')
        return NULL;
    if (text[0] == '@')
        return input_domain(context, text, "", &key, &ignored)
                   ? arena_printf(context->arena, "@%s", key)
                   : text;
    return strchr(text, '@') != NULL && input_mailbox(context, text, "", &key,
                                                      &ignored) ? key : text;
}

/* ---- filters --------------------------------------------------------------------------------- */

static int read_text(const char *text, const char *where, char *text_r, size_t size,
                     struct problem *problem)
{
    if (text != NULL && strlen(text) >= size)
        return problem_set(problem, 400, where, "it has at most %zu bytes", size - 1);
    snprintf(text_r, size, "%s", text != NULL ? text : "");
    return 1;
}

int desk_read_span(const char *from, const char *until, int64_t *from_ms_r, int64_t *until_ms_r,
                   struct problem *problem)
{
    static const char expected[] = "expected a moment such as 2026-11-22T14:05:00Z";
    *from_ms_r = INT64_MIN;
    *until_ms_r = INT64_MAX;
    if (from != NULL && from[0] != '\0' && !zone_moment_read(from, from_ms_r))
        return problem_set(problem, 400, "from", expected);
    if (until != NULL && until[0] != '\0' && !zone_moment_read(until, until_ms_r))
        return problem_set(problem, 400, "until", expected);
    return 1;
}

int desk_audit_filter_read(const struct desk *desk, const struct audit_words *words,
                           struct audit_filter *filter_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, 0);
    *filter_r = (struct audit_filter){0};
    return read_text(audit_subject(&context, words->subject), "subject", filter_r->subject,
                     sizeof filter_r->subject, problem) &&
           read_text(words->by, "by", filter_r->by, sizeof filter_r->by, problem) &&
           read_text(words->action, "action", filter_r->action, sizeof filter_r->action,
                     problem) &&
           read_text(words->text, "text", filter_r->text, sizeof filter_r->text, problem) &&
           desk_read_span(words->from, words->until, &filter_r->from_ms, &filter_r->until_ms,
                          problem);
}

static bool is_same(const char *wanted, const char *text)
{
    return wanted[0] == '\0' || strcmp(wanted, text) == 0;
}

bool desk_audit_fits(const struct audit_filter *filter, const struct audit *audit)
{
    return is_same(filter->subject, audit->subject) && is_same(filter->by, audit->by) &&
           is_same(filter->action, audit->action) && audit->at_ms >= filter->from_ms &&
           audit->at_ms < filter->until_ms &&
           (strcasestr(audit->note, filter->text) != NULL ||
            strcasestr(audit->subject, filter->text) != NULL);
}

/* ---- the view -------------------------------------------------------------------------------- */

/* *below: as the next page begins; 0: there is none. *partial_r: so many do not fit that not all were
 * looked at. 1 or -1. */
static int find(const struct context *context, const struct audit_filter *filter, int64_t *below,
                struct json_object *list, bool *partial_r)
{
    struct audit *actions = arena_alloc(context->arena, PAGE * sizeof *actions);
    const char *subject = filter->subject[0] != '\0' ? filter->subject : NULL;
    struct store_page page = {.max = PAGE, .more = true};
    size_t looked_at = 0;
    *partial_r = false;
    while (page.more && looked_at < LOOKED_AT_MAX) {
        if (store_audit_newest(context->desk->store, subject, *below, actions, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            if (json_object_array_length(list) == DESK_PAGE)
                return 1;
            *below = actions[i].number;
            if (desk_audit_fits(filter, &actions[i]))
                json_object_array_add(list, view_action(&actions[i]));
            /* the clocks of several machines differ a little */
            if (filter->from_ms != INT64_MIN && actions[i].at_ms < filter->from_ms - CLOCK_AHEAD_MS)
                page.more = false;
        }
        looked_at += page.count;
    }
    *partial_r = page.more;
    if (!page.more)
        *below = 0;
    return 1;
}

int desk_audit_found(const struct desk *desk, const struct audit_filter *filter,
                     const char *before, struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, 0);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    int64_t below;
    bool partial;
    char next[24];
    if (!input_number(before, "before", 1, INT64_MAX, &below, problem))
        return 0;
    if (find(&context, filter, &below, json_add_list(view, "actions"), &partial) < 0)
        return -1;
    snprintf(next, sizeof next, "%lld", (long long)below);
    json_add_string(view, "next", below > 0 ? next : NULL);
    json_add_bool(view, "partial", partial);
    *view_r = take(view);
    return 1;
}

int desk_audit(const struct desk *desk, const char *subject, const char *before,
               struct json_object **view_r, struct problem *problem)
{
    struct audit_filter filter;
    return desk_audit_filter_read(desk, &(struct audit_words){.subject = subject}, &filter,
                                  problem)
               ? desk_audit_found(desk, &filter, before, view_r, problem)
               : 0;
}
