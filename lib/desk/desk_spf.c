/* Which sender domains do not let our mail servers send, as sendguard-feedback found it. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "desk/context.h"
#include "guard/spf_block.h"
#include "guard/spf_view.h"
#include "store/values.h"

enum { VALUES_PAGE = 256 };

static const char *const mode_names[] = {"off", "observe", "warn", "block"};

static void moment_instead(struct json_object *view, const char *member, const char *name)
{
    int64_t time_ms = json_int(view, member, 0);
    json_object_object_del(view, member);
    json_add_moment(view, name, time_ms);
}

/* Whether, and from when on, mail is refused. */
static void add_refusal(const struct context *context, struct json_object *view)
{
    enum spf_mode mode = spf_block_mode(context->settings);
    json_add_moment(view, "refused_at", mode >= SPF_MODE_WARN ? spf_view_refused_ms(view) : 0);
    json_add_bool(view, "refuses", mode == SPF_MODE_BLOCK);
    json_add_bool(view, "blocked", json_int(view, "blocked", 0) != 0);
    json_object_object_del(view, "notice");
    json_object_object_del(view, "open");
}

/* A value as people read it; NULL: it is damaged. */
static struct json_object *view_of(const struct context *context, const struct value *value)
{
    struct json_object *view = json_read(value->bytes);
    if (view == NULL)
        return NULL;
    add_refusal(context, view);
    moment_instead(view, "since", "since");
    moment_instead(view, "checked", "checked_at");
    moment_instead(view, "seen", "sent_at");
    json_object_object_del(view, "again");
    return view;
}

static void add_checker(struct json_object *list, const struct value *value)
{
    struct json_object *view = json_read(value->bytes);
    if (view == NULL)
        return;
    json_add_string(view, "host", value->key + strlen(SPF_VIEW_STATE));
    moment_instead(view, "told", "told_at");
    moment_instead(view, "dns_since", "dns_since");
    moment_instead(view, "next_block", "next_refused_at");
    json_object_array_add(list, view);
}

static bool is_checker(const struct value *value) { return value->key[0] == SPF_VIEW_STATE[0]; }

/* Looks at the text first: most domains name us, and there may be many. */
static bool may_be_bad(const struct value *value)
{
    return strstr(value->bytes, "\"names_us\":false") != NULL;
}

/* The names of checkers are before those of domains. 1 or -1. */
static int add_checkers(const struct context *context, struct json_object *view)
{
    struct value *values = arena_alloc(context->arena, VALUES_PAGE * sizeof *values);
    struct store_page page = {.max = VALUES_PAGE};
    struct json_object *list = json_add_list(view, "checkers");
    if (store_values(context->desk->store, context->arena, VALUE_SPF, "", context->now_ms, values,
                     &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count && is_checker(&values[i]); i++)
        add_checker(list, &values[i]);
    return 1;
}

int desk_spf_checkers(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    if (add_checkers(&context, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}

/* 1 or -1; *next_r in the context's arena. */
static int add_domains(const struct context *context, const char *after, struct json_object *list,
                       const char **next_r)
{
    struct value *values = arena_alloc(context->arena, VALUES_PAGE * sizeof *values);
    freed_by(arena_free) struct arena *of_page = arena_new();
    struct store_page page = {.max = VALUES_PAGE, .more = true};
    *next_r = NULL;
    while (page.more) {
        if (store_values(context->desk->store, of_page, VALUE_SPF, after, context->now_ms, values,
                         &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            struct json_object *view = NULL;
            if (is_checker(&values[i]) || !may_be_bad(&values[i]) ||
                (view = view_of(context, &values[i])) == NULL)
                continue;
            if (json_object_array_length(list) == DESK_PAGE) {
                json_object_put(view);
                struct json_object *last = json_object_array_get_idx(list, DESK_PAGE - 1);
                *next_r = json_string(last, "domain", NULL);
                return 1;
            }
            json_object_array_add(list, view);
        }
        if (page.count == 0)
            return 1;
        after = arena_strdup(context->arena, values[page.count - 1].key);
        arena_reset(of_page);
    }
    return 1;
}

int desk_spf(const struct desk *desk, const char *after, int64_t now_ms,
             struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    const struct text_list *outgoing = &context.settings->spf_outgoing;
    const char *next = NULL;
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mode", mode_names[context.settings->spf_mode]);
    struct json_object *list = json_add_list(view, "outgoing");
    for (size_t i = 0; i < outgoing->count; i++)
        json_object_array_add(list, json_object_new_string(outgoing->items[i]));
    if (add_checkers(&context, view) < 0)
        return -1;
    list = json_add_list(view, "domains");
    if (context.settings->spf_mode != SPF_MODE_OFF &&
        add_domains(&context, after, list, &next) < 0)
        return -1;
    json_add_string(view, "next", next);
    *view_r = take(view);
    return 1;
}

int desk_spf_domain(const struct desk *desk, const char *domain, int64_t now_ms,
                    struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct value value;
    *view_r = NULL;
    if (context.settings->spf_mode == SPF_MODE_OFF)
        return 1;
    int found = store_value(desk->store, context.arena, VALUE_SPF, domain, now_ms, &value);
    if (found > 0)
        *view_r = view_of(&context, &value);
    return found < 0 ? -1 : 1;
}

int desk_spf_warning(const struct desk *desk, const char *mailbox, int64_t now_ms,
                     struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    const char *at = strrchr(mailbox, '@');
    *view_r = NULL;
    if (context.settings->spf_mode < SPF_MODE_WARN || at == NULL)
        return 1;
    if (desk_spf_domain(desk, at + 1, now_ms, view_r) < 0)
        return -1;
    struct json_object *names_us = json_member(*view_r, "names_us");
    if (names_us == NULL || json_object_get_boolean(names_us))
        json_put(view_r);
    return 1;
}

void desk_spf_add_words(struct json_object *view, const struct catalogue *catalogue,
                        struct arena *arena, const char *language)
{
    struct json_object *domains = json_member(view, "domains");
    if (json_member(view, "results") != NULL)
        spf_view_add_words(view, catalogue, arena, language);
    for (size_t i = 0; domains != NULL && i < json_object_array_length(domains); i++)
        spf_view_add_words(json_object_array_get_idx(domains, i), catalogue, arena, language);
}
