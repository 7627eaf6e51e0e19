#include "desk/campaign.h"

#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/delivered.h"
#include "message/address.h"
#include "store/observations.h"

/* Redis reads all of a domain for each page. */
enum { PAGE = 4096, PAIRS_MAX = 200000 };

struct campaigner {
    const char *mailbox, *name; /* name: as campaign_name */
    int64_t messages;
    bool suspended;
};
struct campaign {
    struct campaigner of[CAMPAIGN_LOOKED_AT];
    size_t count, looked_at;
    bool more;              /* not all were looked at */
    struct sender *senders; /* room for PAGE */
};

const char *campaign_name(struct arena *arena, const char *mailbox)
{
    static const char digits[] = "0123456789";
    char *name = arena_strdup(arena, mailbox), *to = name;
    const char *at = strrchr(mailbox, '@');
    for (const char *from = mailbox; *from != '\0';) {
        size_t number = from < at ? strspn(from, digits) : 0;
        *to++ = number > 0 ? '#' : *from;
        from += number > 0 ? number : 1;
    }
    *to = '\0';
    return name;
}

/* ---- who sent -------------------------------------------------------------------------------- */

/* 1 or -1. */
static int look_at(const struct context *context, const struct sender *sender,
                   struct campaign *campaign)
{
    struct account account;
    campaign->looked_at++;
    if (store_account(context->desk->store, context->arena, sender->mailbox, context->now_ms,
                      &account) < 0)
        return -1;
    int64_t messages = (int64_t)window_used(&account.history, MEASURE_MESSAGES, HOUR_MS,
                                            context->now_ms);
    if (messages > 0)
        campaign->of[campaign->count++] = (struct campaigner){
            arena_strdup(context->arena, sender->mailbox),
            campaign_name(context->arena, sender->mailbox), messages,
            account.suspensions.count > 0};
    return 1;
}

/* Of one domain of the group. 1 or -1. */
static int add_domain(const struct context *context, const char *domain, struct campaign *campaign)
{
    struct sender *senders = campaign->senders;
    struct store_page page = {.max = PAGE, .more = true};
    const char *after = "";
    while (page.more && !campaign->more) {
        if (store_senders(context->desk->store, SENDERS_OF_DOMAIN, domain, after, context->now_ms,
                          senders, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count && !campaign->more; i++) {
            bool lately = senders[i].last_ms > context->now_ms - 2 * HOUR_MS; /* to the hour */
            campaign->more = lately && campaign->looked_at == CAMPAIGN_LOOKED_AT;
            if (lately && !campaign->more && look_at(context, &senders[i], campaign) < 0)
                return -1;
        }
        if (page.count > 0)
            after = arena_strdup(context->arena, senders[page.count - 1].mailbox);
    }
    return 1;
}

static int compare_messages(const void *left, const void *right)
{
    const struct campaigner *a = left, *b = right;
    return a->messages != b->messages ? (a->messages < b->messages ? 1 : -1)
                                      : strcmp(a->mailbox, b->mailbox);
}

/* 1 or -1. */
static int find_senders(const struct context *context, const char *domain,
                        struct campaign *campaign)
{
    const struct settings *settings = context->settings;
    const char *group = settings_sender_domain(settings, domain);
    bool in_group = false;
    campaign->senders = arena_alloc(context->arena, PAGE * sizeof *campaign->senders);
    for (size_t i = 0; i < settings->own_index_count; i++) {
        const char *own = settings->own_index[i].domain;
        if (strcmp(settings_sender_domain(settings, own), group) != 0)
            continue;
        in_group = true;
        if (add_domain(context, own, campaign) < 0)
            return -1;
    }
    if (!in_group && add_domain(context, domain, campaign) < 0)
        return -1;
    if (campaign->count > 1)
        qsort(campaign->of, campaign->count, sizeof campaign->of[0], compare_messages);
    return 1;
}

/* ---- names that differ by a number ----------------------------------------------------------- */

struct numbered {
    const char *name;
    int64_t mailboxes, messages;
};

static int compare_numbered(const void *left, const void *right)
{
    const struct numbered *a = left, *b = right;
    return a->messages != b->messages ? (a->messages < b->messages ? 1 : -1)
                                      : strcmp(a->name, b->name);
}

static int compare_names(const void *left, const void *right)
{
    const struct campaigner *a = *(struct campaigner *const *)left,
                            *b = *(struct campaigner *const *)right;
    return strcmp(a->name, b->name);
}

static void add_numbered(const struct context *context, struct campaign *campaign,
                         struct json_object *list)
{
    size_t count = 0;
    struct campaigner **by_name = arena_alloc(context->arena,
                                              (campaign->count + 1) * sizeof *by_name);
    struct numbered *groups = arena_alloc(context->arena, (campaign->count + 1) * sizeof *groups);
    for (size_t i = 0; i < campaign->count; i++)
        by_name[i] = &campaign->of[i];
    if (campaign->count > 1)
        qsort(by_name, campaign->count, sizeof *by_name, compare_names);
    for (size_t i = 0; i < campaign->count; i++) {
        if (strchr(by_name[i]->name, '#') == NULL)
            continue;
        if (count == 0 || strcmp(groups[count - 1].name, by_name[i]->name) != 0)
            groups[count++] = (struct numbered){.name = by_name[i]->name};
        groups[count - 1].mailboxes++;
        groups[count - 1].messages += by_name[i]->messages;
    }
    if (count > 1)
        qsort(groups, count, sizeof *groups, compare_numbered);
    for (size_t i = 0; i < count && json_object_array_length(list) < CAMPAIGN_NUMBERED; i++) {
        if (groups[i].mailboxes < CAMPAIGN_ALIKE)
            continue;
        struct json_object *view = json_object_new_object();
        json_add_string(view, "name", groups[i].name);
        json_add_int(view, "mailboxes", groups[i].mailboxes);
        json_add_int(view, "messages", groups[i].messages);
        json_object_array_add(list, view);
    }
}

/* ---- the same recipients --------------------------------------------------------------------- */

/* One of the first mailboxes wrote to a recipient. */
struct written {
    uint64_t recipient;
    uint32_t mailbox;
};
struct writings {
    struct written *of;
    size_t count;
};

static void add_message(struct writings *writings, uint32_t mailbox,
                        const struct trace_message *message)
{
    for (size_t i = 0; i < message->recipient_count && writings->count < PAIRS_MAX; i++)
        writings->of[writings->count++] =
            (struct written){message->recipients[i].hash, mailbox};
}

/* 1 or -1. */
static int add_messages(const struct context *context, const struct followed_logs *logs,
                        const char *mailbox, uint32_t number, struct writings *writings)
{
    const int64_t from_ms = context->now_ms - HOUR_MS;
    freed_by(delivered_end) struct delivered delivered = delivered_begin(context, mailbox);
    int answer = 1;
    while (delivered.day >= from_ms / DAY_MS && (answer = delivered_next(&delivered, logs)) > 0)
        for (size_t i = 0; i < delivered.count; i++)
            if (decision_time(delivered.messages[i].decision) > from_ms)
                add_message(writings, number, &delivered.messages[i]);
    return answer < 0 ? -1 : 1;
}

static int compare_written(const void *left, const void *right)
{
    const struct written *a = left, *b = right;
    if (a->recipient != b->recipient)
        return a->recipient < b->recipient ? -1 : 1;
    return (a->mailbox > b->mailbox) - (a->mailbox < b->mailbox);
}

/* The recipients that CAMPAIGN_ALIKE mailboxes wrote to, and a bit for each of these mailboxes. */
static int64_t count_shared(struct writings *writings, uint32_t *mailboxes_r)
{
    int64_t shared = 0;
    _Static_assert(CAMPAIGN_MAILBOXES <= 32, "a bit for each");
    if (writings->count > 1)
        qsort(writings->of, writings->count, sizeof *writings->of, compare_written);
    *mailboxes_r = 0;
    for (size_t i = 0, next; i < writings->count; i = next) {
        uint32_t mailboxes = 0;
        for (next = i; next < writings->count &&
                       writings->of[next].recipient == writings->of[i].recipient; next++)
            mailboxes |= 1U << writings->of[next].mailbox;
        if (__builtin_popcount(mailboxes) < CAMPAIGN_ALIKE)
            continue;
        shared++;
        *mailboxes_r |= mailboxes;
    }
    return shared;
}

/* 1 or -1. */
static int add_shared(const struct context *context, const struct campaign *campaign,
                      struct json_object *view)
{
    struct followed_logs logs;
    struct writings writings = {.of = xcalloc(PAIRS_MAX, sizeof *writings.of)};
    int answer = delivered_logs_read(context, &logs);
    uint32_t mailboxes = 0;
    for (size_t i = 0; i < campaign->count && i < CAMPAIGN_MAILBOXES && answer > 0; i++)
        answer = add_messages(context, &logs, campaign->of[i].mailbox, (uint32_t)i, &writings);
    int64_t shared = answer > 0 ? count_shared(&writings, &mailboxes) : 0;
    if (shared > 0) {
        struct json_object *same = json_object_new_object();
        json_add_int(same, "recipients", shared);
        json_add_int(same, "mailboxes", __builtin_popcount(mailboxes));
        json_add(view, "same_recipients", same);
    } else {
        json_add_null(view, "same_recipients");
    }
    delivered_logs_end(&logs);
    free(writings.of);
    return answer < 0 ? -1 : 1;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int campaign_view(const struct context *context, const char *domain, struct json_object **view_r)
{
    struct campaign *campaign = arena_alloc(context->arena, sizeof *campaign);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    if (find_senders(context, domain, campaign) < 0)
        return -1;
    struct json_object *list = json_add_list(view, "mailboxes");
    for (size_t i = 0; i < campaign->count && i < CAMPAIGN_MAILBOXES; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "mailbox", campaign->of[i].mailbox);
        json_add_int(one, "messages", campaign->of[i].messages);
        json_add_bool(one, "suspended", campaign->of[i].suspended);
        json_object_array_add(list, one);
    }
    json_add_bool(view, "more_mailboxes", campaign->more || campaign->count > CAMPAIGN_MAILBOXES);
    add_numbered(context, campaign, json_add_list(view, "numbered"));
    if (add_shared(context, campaign, view) < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
