/* The search box: what a text names, and what was meant when it names nothing that is known. */
#include <string.h>

#include "base/json.h"
#include "desk/desk.h"
#include "desk/named.h"
#include "desk/recorded.h"
#include "desk/seen.h"
#include "message/address.h"
#include "store/observations.h"
#include "store/suspensions.h"

/* No list of all mailboxes exists, so that what is looked through has a bound. */
enum {
    QUERY_MAX_BYTES = 4000, NAMED_MAX = 10, MATCHES_MAX = 10,
    PAGE = 100, SUSPENDED_PAGES = 10, DECISIONS_PAGES = 5, ACTIONS_PAGES = 5,
    SENDERS_PAGES = 40, DOMAINS_MAX = 20,
    ALIKE_CHANGES = 2, ALIKE_MIN_BYTES = 5, /* shorter texts are all alike */
};

/* How well a match fits: better ones come first. */
enum rank { RANK_BEGINNING, RANK_PART, RANK_ALIKE, RANK_NONE };

struct match {
    struct named_thing named;
    enum rank rank;
};
struct meant {
    const struct context *context;
    const char *text; /* in lower case */
    struct text_list network; /* IPs of it are looked for; none: mailboxes and domains */
    struct match matches[MATCHES_MAX];
    size_t count;
    bool knows_domain; /* the text is the domain of a mailbox that is known */
};

/* ---- likeness --------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Whether few letters were left out, added, exchanged, or swapped with their neighbour. */
static bool is_alike(const char *one, const char *other)
{
    size_t length = strlen(one), width = strlen(other);
    size_t rows[3][ADDRESS_MAX_BYTES + 2];
    if (length < ALIKE_MIN_BYTES || width > ADDRESS_MAX_BYTES || length > width + ALIKE_CHANGES ||
        width > length + ALIKE_CHANGES)
        return false;
    for (size_t at = 0; at <= width; at++)
        rows[0][at] = at;
    for (size_t i = 1; i <= length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t at = 1; at <= width; at++) {
            row[at] = least(least(row[at - 1], above[at]) + 1,
                            above[at - 1] + (one[i - 1] != other[at - 1]));
            if (i > 1 && at > 1 && one[i - 1] == other[at - 2] && one[i - 2] == other[at - 1])
                row[at] = least(row[at], second[at - 2] + 1);
        }
    }
    return rows[length % 3][width] <= ALIKE_CHANGES;
}

static enum rank rank_of(const char *text, const char *name)
{
    const char *found = strstr(name, text);
    if (found != NULL)
        return found == name ? RANK_BEGINNING : RANK_PART;
    return is_alike(text, name) ? RANK_ALIKE : RANK_NONE;
}

/* ---- matches ---------------------------------------------------------------------------- */

static int compare(const struct match *one, const struct match *other)
{
    return one->rank != other->rank ? (int)one->rank - (int)other->rank
                                    : strcmp(one->named.key, other->named.key);
}

/* Puts it into its place, where there is room; each once. */
static void add(struct meant *search, struct named_thing named, enum rank rank)
{
    struct match match = {named, rank};
    size_t at = 0;
    for (size_t i = 0; i < search->count; i++) {
        const struct named_thing *there = &search->matches[i].named;
        if (there->kind == named.kind && strcmp(there->key, named.key) == 0)
            return;
        at += compare(&search->matches[i], &match) < 0;
    }
    if (at == MATCHES_MAX)
        return;
    size_t kept = search->count < MATCHES_MAX ? search->count : MATCHES_MAX - 1;
    memmove(&search->matches[at + 1], &search->matches[at], (kept - at) * sizeof match);
    match.named.key = arena_strdup(search->context->arena, named.key);
    search->matches[at] = match;
    search->count = kept + 1;
}

/* A mailbox that is known: as a match, or its domain. */
static void look_at(struct meant *search, const char *mailbox)
{
    const char *at = strrchr(mailbox, '@');
    if (at == NULL || at == mailbox || search->network.count > 0)
        return;
    search->knows_domain = search->knows_domain || strcmp(at + 1, search->text) == 0;
    enum rank rank = rank_of(search->text, mailbox);
    enum rank of_domain = rank_of(search->text, at + 1);
    if (rank == RANK_NONE && strchr(search->text, '@') == NULL) {
        const char *local = arena_strndup(search->context->arena, mailbox,
                                          (size_t)(at - mailbox));
        rank = is_alike(search->text, local) ? RANK_ALIKE : RANK_NONE;
    }
    if (of_domain != RANK_NONE) /* all its mailboxes would match */
        add(search, (struct named_thing){NAMED_DOMAIN, at + 1}, of_domain);
    else if (rank != RANK_NONE)
        add(search, (struct named_thing){NAMED_MAILBOX, mailbox}, rank);
}

static void look_at_ip(struct meant *search, const char *ip)
{
    if (ip != NULL && search->network.count > 0 && settings_network_holds(&search->network, ip))
        add(search, (struct named_thing){NAMED_IP, ip}, RANK_PART);
}

/* ---- what is looked through ------------------------------------------------------------- */

static int look_at_suspended(struct meant *search)
{
    const struct context *context = search->context;
    struct suspended *suspended = arena_alloc(context->arena, PAGE * sizeof *suspended);
    struct store_page page = {.max = PAGE, .more = true};
    const char *after = "";
    for (int i = 0; i < SUSPENDED_PAGES && page.more; i++) {
        if (store_suspended(context->desk->store, after, context->now_ms, suspended, &page) < 0)
            return -1;
        for (size_t one = 0; one < page.count; one++)
            look_at(search, suspended[one].mailbox);
        if (page.count > 0)
            after = arena_strdup(context->arena, suspended[page.count - 1].mailbox);
    }
    return 1;
}

static int look_at_decisions(struct meant *search)
{
    const struct context *context = search->context;
    struct record *records = arena_alloc(context->arena, PAGE * sizeof *records);
    struct store_page page = {.max = PAGE, .more = true};
    uint64_t before = UINT64_MAX;
    for (int i = 0; i < DECISIONS_PAGES && page.more; i++) {
        if (store_decisions(context->desk->store, context->arena, NULL, before, context->now_ms,
                            records, &page) < 0)
            return -1;
        for (size_t one = 0; one < page.count; one++) {
            freed_by(recorded_end) struct recorded recorded = recorded_of(context, &records[one]);
            look_at(search, json_string(recorded.facts, "mailbox", ""));
            look_at_ip(search, json_string(recorded.facts, "ip", NULL));
        }
        if (page.count > 0)
            before = records[page.count - 1].decision;
    }
    return 1;
}

static int look_at_actions(struct meant *search)
{
    const struct context *context = search->context;
    struct audit *actions = arena_alloc(context->arena, PAGE * sizeof *actions);
    struct store_page page = {.max = PAGE, .more = true};
    int64_t before = INT64_MAX;
    for (int i = 0; i < ACTIONS_PAGES && page.more; i++) {
        if (store_audit_newest(context->desk->store, NULL, before, actions, &page) < 0)
            return -1;
        for (size_t one = 0; one < page.count; one++)
            look_at(search, actions[one].subject);
        if (page.count > 0)
            before = actions[page.count - 1].number;
    }
    return 1;
}

/* Who sent within a day; *pages: how many may still be read. */
static int look_at_domain(struct meant *search, const char *domain, int *pages)
{
    const struct context *context = search->context;
    struct sender *senders = arena_alloc(context->arena, PAGE * sizeof *senders);
    struct store_page page = {.max = PAGE, .more = true};
    const char *after = "";
    for (; *pages > 0 && page.more; (*pages)--) {
        if (store_senders(context->desk->store, SENDERS_OF_DOMAIN, domain, after, context->now_ms,
                          senders, &page) < 0)
            return -1;
        for (size_t one = 0; one < page.count; one++)
            look_at(search, senders[one].mailbox);
        if (page.count > 0)
            after = arena_strdup(context->arena, senders[page.count - 1].mailbox);
    }
    return 1;
}

/* The domain that the text names, else those that are configured. */
static int look_at_domains(struct meant *search)
{
    const struct settings *settings = search->context->settings;
    const char *at = strrchr(search->text, '@'), *named;
    struct problem ignored;
    int pages = SENDERS_PAGES, answer = 1;
    if (at != NULL && address_domain_key(search->context->arena, at + 1, strlen(at + 1), &named,
                                         &ignored))
        return look_at_domain(search, named, &pages);
    for (size_t i = 0; i < settings->own_index_count && i < DOMAINS_MAX && answer > 0; i++)
        answer = look_at_domain(search, settings->own_index[i].domain, &pages);
    for (size_t i = 0; i < settings->hosted_domains.count && i < DOMAINS_MAX && answer > 0; i++)
        answer = look_at_domain(search, settings->hosted_domains.items[i], &pages);
    return answer;
}

static int look_around(struct meant *search)
{
    if (search->network.count > 0)
        return look_at_decisions(search);
    return look_at_suspended(search) < 0 || look_at_decisions(search) < 0 ||
                   look_at_actions(search) < 0 || look_at_domains(search) < 0
               ? -1
               : 1;
}

/* ---- all of it -------------------------------------------------------------------------- */

/* Of several the one that says most: a decision names its mailbox. */
static struct named_thing choose(const struct named_thing *named, size_t count)
{
    static const enum named_kind order[] = {NAMED_DECISION, NAMED_MAILBOX, NAMED_IP};
    for (size_t kind = 0; kind < countof(order); kind++) {
        size_t of_kind = 0, last = 0;
        for (size_t i = 0; i < count; i++) {
            of_kind += named[i].kind == order[kind];
            last = named[i].kind == order[kind] ? i : last;
        }
        if (of_kind == 1)
            return named[last];
        if (of_kind > 1)
            break;
    }
    return (struct named_thing){NAMED_NOTHING, NULL};
}

/* *seen_r: 0 a mailbox, or a domain, of which nothing is known; 1 it is; 2 of other kinds. */
static int is_seen(const struct meant *search, const struct named_thing *found, int *seen_r)
{
    *seen_r = 2;
    if (found->kind == NAMED_MAILBOX)
        return (*seen_r = seen_mailbox(search->context, found->key)) < 0 ? -1 : 1;
    struct sender sender;
    struct store_page page = {.max = 1};
    if (found->kind != NAMED_DOMAIN)
        return 1;
    if (store_senders(search->context->desk->store, SENDERS_OF_DOMAIN, found->key, "",
                      search->context->now_ms, &sender, &page) < 0)
        return -1;
    *seen_r = page.count > 0 || settings_hosted_domain(search->context->settings, found->key);
    return 1;
}

static const char *lower(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    return copy;
}

/* 1 or -1. */
static int find(struct meant *search, const char *query, struct named_thing *found_r, int *seen_r)
{
    struct named_thing named[NAMED_MAX];
    size_t count = 0;
    *found_r = named_whole(search->context, query);
    if (found_r->kind == NAMED_NOTHING) {
        count = named_within(search->context, query, named, NAMED_MAX);
        *found_r = choose(named, count);
    }
    if (is_seen(search, found_r, seen_r) < 0)
        return -1;
    if (found_r->kind == NAMED_NOTHING)
        for (size_t i = 0; i < count; i++)
            add(search, named[i], RANK_BEGINNING);
    search->text = lower(search->context->arena, found_r->key != NULL ? found_r->key : query);
    if (found_r->kind == NAMED_NETWORK) {
        search->network.items = arena_alloc(search->context->arena, sizeof(char *));
        search->network.items[0] = arena_strdup(search->context->arena, found_r->key);
        search->network.count = 1;
    }
    bool is_found = *seen_r != 0 && found_r->kind != NAMED_NOTHING;
    if (search->count > 0 || (is_found && search->network.count == 0) ||
        strlen(search->text) > ADDRESS_MAX_BYTES)
        return 1;
    if (look_around(search) < 0)
        return -1;
    if (found_r->kind == NAMED_DOMAIN && search->knows_domain) {
        *seen_r = 1;
        search->count = 0;
    }
    return 1;
}

static void add_matches(const struct meant *search, struct json_object *view)
{
    struct json_object *list = json_add_list(view, "matches");
    for (size_t i = 0; i < search->count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "found", named_kinds[search->matches[i].named.kind]);
        json_add_string(one, "key", search->matches[i].named.key);
        json_object_array_add(list, one);
    }
}

int desk_search(const struct desk *desk, const char *query, int64_t now_ms,
                struct json_object **view_r, struct problem *problem)
{
    static const char blank[] = " \t\r\n";
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    struct meant search = {.context = &context};
    struct named_thing found;
    int seen;
    if (query != NULL)
        query += strspn(query, blank);
    if (query == NULL || query[0] == '\0')
        return problem_set(problem, 400, "q",
                           "expected a mailbox, a domain, an IP address or a decision's id");
    size_t length = strlen(query);
    while (strchr(blank, query[length - 1]) != NULL)
        length--;
    if (length > QUERY_MAX_BYTES)
        return problem_set(problem, 400, "q", "it has at most %d bytes", QUERY_MAX_BYTES);
    query = arena_strndup(context.arena, query, length);
    if (find(&search, query, &found, &seen) < 0)
        return -1;
    struct json_object *view = json_object_new_object();
    json_add_string(view, "query", query);
    json_add_string(view, "found", named_kinds[found.kind]);
    json_add_string(view, "key", found.key);
    json_add(view, "seen", seen < 2 ? json_object_new_boolean(seen) : NULL);
    add_matches(&search, view);
    *view_r = view;
    return 1;
}
