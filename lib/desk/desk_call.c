/* For who is on the phone: how often that was before, what is usual of the mailbox, and where it sends
 * from compared with that. */
#include <string.h>

#include "base/json.h"
#include "desk/input.h"
#include "desk/recorded.h"
#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "rules/profile.h"
#include "store/audit.h"
#include "store/suspensions.h"

enum { ACTIONS_LOOKED_AT = 200, RECORDS_LOOKED_AT = 100, NETWORKS_SHOWN = 5 };

/* ---- how often before ------------------------------------------------------------------------ */

/* Of each cause, the one that holds too, in 30 days. 1 or -1. */
static int add_before(const struct context *context, const char *mailbox, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "before");
    for (int cause = 0; cause < CAUSE_COUNT; cause++) {
        uint32_t count;
        if (store_offences(context->desk->store, mailbox, (enum cause)cause, context->now_ms,
                           &count) < 0)
            return -1;
        if (count == 0)
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "cause", cause_names[cause]);
        json_add_int(one, "count", count);
        json_object_array_add(list, one);
    }
    return 1;
}

/* Whether one of the newer entries has undone it. */
static bool is_undone(const struct audit *newer, size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(newer[i].action, "undo") != 0)
            continue;
        freed_by(json_put) struct json_object *detail = json_read(newer[i].detail);
        if (json_int(detail, "of", 0) == number)
            return true;
    }
    return false;
}

static const struct audit *newest(const struct audit *actions, size_t count, const char *action)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(actions[i].action, action) == 0 && !is_undone(actions, i, actions[i].number))
            return &actions[i];
    return NULL;
}

/* "lifted", and "back": the first suspension that holds now and began later. 1 or -1. */
static int add_lifted(const struct context *context, const char *mailbox, struct json_object *view)
{
    struct audit *actions = arena_alloc(context->arena, ACTIONS_LOOKED_AT * sizeof *actions);
    struct store_page page = {.max = ACTIONS_LOOKED_AT};
    struct account account;
    if (store_audit_newest(context->desk->store, mailbox, INT64_MAX, actions, &page) < 0 ||
        store_account(context->desk->store, context->arena, mailbox, context->now_ms,
                      &account) < 0)
        return -1;
    const struct audit *lift = newest(actions, page.count, "lift");
    const struct audit *reset = newest(actions, page.count, "reset");
    json_add_null(view, "lifted");
    json_add_null(view, "back");
    if (lift == NULL || lift->at_ms < context->now_ms - OFFENCES_REMEMBERED_MS)
        return 1;
    struct json_object *lifted = json_add_object(view, "lifted");
    json_add_moment(lifted, "at", lift->at_ms);
    json_add_string(lifted, "by", lift->by);
    json_add_string(lifted, "note", lift->note);
    json_add_bool(lifted, "reset", reset != NULL && reset->number > lift->number);
    for (size_t i = 0; i < account.suspensions.count; i++) {
        const struct suspension *one = &account.suspensions.of[i];
        if (one->since_ms < lift->at_ms)
            continue;
        struct json_object *back = json_add_object(view, "back");
        json_add_moment(back, "since", one->since_ms);
        json_add_string(back, "cause", cause_names[one->cause]);
        break;
    }
    return 1;
}

/* ---- what is usual --------------------------------------------------------------------------- */

struct usual_of {
    struct profile_usual profile; /* begin_ms 0: not known */
    struct login_mailbox logins;
    struct keyed_hash_keys keys;
};

static void usual_end(struct usual_of *usual)
{
    login_mailbox_free(&usual->logins);
    keyed_hash_forget(&usual->keys);
}

/* 1 or -1. */
static int read_usual(const struct context *context, const char *mailbox, struct usual_of *usual)
{
    struct value values[2] = {{.kind = VALUE_PROFILE, .key = mailbox}};
    size_t count = 1;
    if (usual->keys.key != NULL)
        values[count++] = login_values_of(context->arena, VALUE_LOGINS,
                                          keyed_hash_login(&usual->keys, mailbox));
    if (store_values_get(context->desk->store, context->arena, values, count, context->now_ms) < 0)
        return -1;
    profile_usual(values[0].bytes, values[0].length, context->now_ms, &usual->profile);
    if (count > 1)
        login_values_mailbox(&values[1], &usual->logins);
    return 1;
}

static void add_usual(const struct context *context, const struct usual_of *usual,
                      struct json_object *view)
{
    const struct profile_usual *profile = &usual->profile;
    json_add_null(view, "usual");
    if (profile->begin_ms == 0)
        return;
    struct json_object *shown = json_add_object(view, "usual");
    json_add_moment(shown, "known_since", profile->begin_ms);
    json_add_int(shown, "days", (context->now_ms - profile->begin_ms) / DAY_MS);
    json_add_int(shown, "busiest_hour", profile->busiest);
    json_add_int(shown, "networks", (int64_t)profile->network_count);
}

/* ---- where from ------------------------------------------------------------------------------ */

struct sent_from {
    const char *ip;
    int64_t messages, last_ms;
};

static void count_ip(struct sent_from *from, size_t *count, const char *ip, int64_t at_ms)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(from[i].ip, ip) == 0) {
            from[i].messages++;
            return;
        }
    if (*count < NETWORKS_SHOWN)
        from[(*count)++] = (struct sent_from){ip, 1, at_ms};
}

static int64_t first_seen(struct usual_of *usual, const char *ip)
{
    if (usual->keys.key == NULL)
        return 0;
    uint64_t hash = keyed_hash_profiled_network(&usual->keys, ip);
    for (size_t i = 0; i < usual->profile.network_count; i++)
        if (usual->profile.networks[i].hash == hash)
            return usual->profile.networks[i].first_ms;
    return 0;
}

static bool signed_in(const struct usual_of *usual, const char *ip)
{
    uint64_t network;
    size_t length = strcspn(ip, "/");
    char address[LOGIN_NETWORK_SIZE] = "";
    if (length >= sizeof address)
        return false;
    memcpy(address, ip, length);
    if (!login_network_of(address, &network))
        return false;
    for (size_t i = 0; i < usual->logins.known.count; i++)
        if (usual->logins.known.of[i].other == network)
            return true;
    return false;
}

/* Of the last messages, refused ones too; the network that was used last first. 1 or -1. */
static int add_from(const struct context *context, const char *mailbox, struct usual_of *usual,
                    struct json_object *view)
{
    struct record *records = arena_alloc(context->arena, RECORDS_LOOKED_AT * sizeof *records);
    struct sent_from from[NETWORKS_SHOWN];
    struct store_page page = {.max = RECORDS_LOOKED_AT};
    size_t count = 0;
    if (store_decisions(context->desk->store, context->arena, mailbox, UINT64_MAX, context->now_ms,
                        records, &page) < 0)
        return -1;
    for (size_t i = 0; i < page.count; i++) {
        freed_by(recorded_end) struct recorded recorded = recorded_of(context, &records[i]);
        const char *ip = json_string(recorded.facts, "ip", NULL);
        if (ip != NULL)
            count_ip(from, &count, arena_strdup(context->arena, ip), records[i].at_ms);
    }
    struct json_object *list = json_add_list(view, "from");
    for (size_t i = 0; i < count; i++) {
        int64_t first_ms = first_seen(usual, from[i].ip);
        struct json_object *one = json_object_new_object();
        json_add_string(one, "ip", from[i].ip);
        json_add_int(one, "messages", from[i].messages);
        json_add_moment(one, "last_at", from[i].last_ms);
        json_add_moment(one, "first_at", first_ms);
        json_add_bool(one, "usual", first_ms != 0 && first_ms <= context->now_ms - DAY_MS);
        json_add_bool(one, "signed_in", signed_in(usual, from[i].ip));
        json_object_array_add(list, one);
    }
    return 1;
}

int desk_call(const struct desk *desk, const char *mailbox, int64_t now_ms,
              struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    freed_by(usual_end) struct usual_of usual = {.keys.key = desk->key};
    if (!input_mailbox(&context, mailbox, "mailbox", &mailbox, problem))
        return 0;
    json_add_moment(view, "now", now_ms);
    json_add_string(view, "mailbox", mailbox);
    if (add_before(&context, mailbox, view) < 0 || add_lifted(&context, mailbox, view) < 0 ||
        read_usual(&context, mailbox, &usual) < 0)
        return -1;
    add_usual(&context, &usual, view);
    if (add_from(&context, mailbox, &usual, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
