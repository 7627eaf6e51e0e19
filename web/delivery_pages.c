/* Recipients by what became of them: put together here, because a template cannot count. */
#include "web/delivery_pages.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "mail/reply.h"
#include "mail/trace.h"

/* The worst first. */
static const int worse[DELIVERY_COUNT] = {[DELIVERY_FAILED] = 5,   [DELIVERY_EXPIRED] = 4,
                                          [DELIVERY_DEFERRED] = 3, [DELIVERY_DISCARDED] = 2,
                                          [DELIVERY_PENDING] = 1,  [DELIVERY_DELIVERED] = 0};

static size_t place_of(const char *name, const char *const *names, size_t count)
{
    size_t place = 0;
    while (place < count && strcmp(names[place], name) != 0)
        place++;
    return place;
}

/* What a recipient's outcome is; of a word that is none, that nothing is known. */
static enum delivery outcome_of(struct json_object *recipient)
{
    size_t place = place_of(json_string(recipient, "outcome", ""), delivery_names, DELIVERY_COUNT);
    return place < DELIVERY_COUNT ? (enum delivery)place : DELIVERY_PENDING;
}

static int worst_first(const void *left, const void *right)
{
    struct json_object *const *a = left, *const *b = right;
    return worse[outcome_of(*b)] - worse[outcome_of(*a)];
}

static void add_words(struct exchange *exchange, struct json_object *view)
{
    desk_delivery_add_words(view, exchange->catalogue, exchange->request->arena,
                            exchange->reader.language);
}

static size_t cut(struct json_object *list, size_t at_most)
{
    size_t count = json_object_array_length(list);
    if (count <= at_most)
        return 0;
    json_object_array_del_idx(list, at_most, count - at_most);
    return count - at_most;
}

/* A code that stands in the server's own words is not told twice. */
static void leave_code_to_words(struct json_object *recipient)
{
    const char *code = json_string(recipient, "code", NULL);
    if (code != NULL && strstr(json_string(recipient, "text", ""), code) != NULL)
        json_object_object_del(recipient, "code");
}

/* ---- a message ---------------------------------------------------------------------------------- */

struct tally {
    int64_t of[DELIVERY_COUNT], all;
    int64_t classes[REPLY_CLASS_COUNT]; /* of the worst outcome there is */
    int worst;
};

static void count(struct tally *tally, struct json_object *recipient)
{
    int64_t number = json_int(recipient, "count", 1);
    enum delivery outcome = outcome_of(recipient);
    tally->of[outcome] += number;
    tally->all += number;
    if (outcome == DELIVERY_EXPIRED)
        outcome = DELIVERY_FAILED;
    if (worse[outcome] < tally->worst)
        return;
    if (worse[outcome] > tally->worst)
        memset(tally->classes, 0, sizeof tally->classes);
    tally->worst = worse[outcome];
    size_t class = place_of(json_string(recipient, "class", ""), reply_class_names,
                            REPLY_CLASS_COUNT);
    if (class < REPLY_CLASS_COUNT)
        tally->classes[class] += number;
}

/* The most frequent class; NULL: none. */
static const char *class_of(const struct tally *tally)
{
    size_t most = 0;
    for (size_t i = 1; i < REPLY_CLASS_COUNT; i++)
        if (tally->classes[i] > tally->classes[most])
            most = i;
    return tally->classes[most] > 0 ? reply_class_names[most] : NULL;
}

/* Whether there are others besides. */
static bool has_other_classes(const struct tally *tally)
{
    int classes = 0;
    for (size_t i = 0; i < REPLY_CLASS_COUNT; i++)
        classes += tally->classes[i] > 0;
    return classes > 1;
}

static const char *look_of(const struct tally *tally, struct json_object *trace)
{
    if (tally->of[DELIVERY_FAILED] + tally->of[DELIVERY_EXPIRED] > 0)
        return "bad";
    if (tally->of[DELIVERY_DEFERRED] + tally->of[DELIVERY_DISCARDED] > 0 ||
        json_is_true(trace, "refunded") || json_is_true(trace, "silent") ||
        json_member(trace, "hold") != NULL)
        return "warn";
    return tally->all > 0 && tally->of[DELIVERY_DELIVERED] == tally->all ? "ok" : "note";
}

static void add_sum(struct json_object *trace, const struct tally *tally)
{
    struct json_object *sum = json_add_object(trace, "sum");
    int64_t delivered = tally->of[DELIVERY_DELIVERED];
    json_add_int(sum, "recipients", tally->all);
    json_add_int(sum, "delivered", delivered);
    json_add_int(sum, "failed", tally->of[DELIVERY_FAILED] + tally->of[DELIVERY_EXPIRED]);
    json_add_int(sum, "deferred", tally->of[DELIVERY_DEFERRED]);
    json_add_int(sum, "pending", tally->of[DELIVERY_PENDING]);
    json_add_int(sum, "discarded", tally->of[DELIVERY_DISCARDED]);
    json_add_bool(sum, "nothing", tally->all == 0);
    json_add_bool(sum, "all", tally->all > 0 && delivered == tally->all);
    json_add_string(sum, "class", class_of(tally));
    json_add_bool(sum, "others", has_other_classes(tally));
    json_add_string(sum, "look", look_of(tally, trace));
    json_add_null(sum, "title");
    json_add_null(sum, "advice");
    json_add_null(sum, "single");
    for (int i = 0; tally->all == 1 && i < DELIVERY_COUNT; i++)
        if (tally->of[i] == 1)
            json_add_string(json_add_object(sum, "single"), "outcome", delivery_names[i]);
}

static void sum_up(struct json_object *trace)
{
    struct json_object *recipients = json_member(trace, "recipients");
    struct tally tally = {0};
    for (size_t i = 0; i < json_object_array_length(recipients); i++)
        count(&tally, json_object_array_get_idx(recipients, i));
    json_object_array_sort(recipients, worst_first);
    json_add_int(trace, "more_recipients",
                 (int64_t)cut(recipients, DELIVERY_PAGES_RECIPIENTS));
    add_sum(trace, &tally);
}

void delivery_pages_trace(struct exchange *exchange, struct json_object *trace)
{
    struct json_object *recipients = json_member(trace, "recipients");
    sum_up(trace);
    for (size_t i = 0; i < json_object_array_length(recipients); i++)
        leave_code_to_words(json_object_array_get_idx(recipients, i));
    add_words(exchange, trace);
}

/* ---- of a mailbox or a domain ------------------------------------------------------------------- */

static void add_tally(struct json_object *view)
{
    struct json_object *sums = json_member(view, "sums"), *outcomes = json_member(sums, "outcomes");
    struct json_object *tally = json_add_object(view, "tally");
    json_add_int(tally, "days", json_int(view, "days", 0));
    json_add_int(tally, "messages", json_int(sums, "messages", 0));
    json_add_int(tally, "delivered", json_int(outcomes, "delivered", 0));
    json_add_int(tally, "failed",
                 json_int(outcomes, "failed", 0) + json_int(outcomes, "expired", 0));
    json_add_int(tally, "deferred", json_int(outcomes, "deferred", 0));
    json_add_int(tally, "discarded", json_int(outcomes, "discarded", 0));
}

/* Given up ones are failed ones too, for people. */
static void add_failed(struct json_object *list)
{
    size_t length = list != NULL ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < length; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        json_add_int(one, "failed", json_int(one, "failed", 0) + json_int(one, "expired", 0));
    }
}

void delivery_pages_sums(struct exchange *exchange, struct json_object *view, size_t at_most)
{
    if (view == NULL)
        return;
    struct json_object *messages = json_member(view, "messages");
    if (messages != NULL) {
        json_add_bool(view, "cut", cut(messages, at_most) > 0 || json_member(view, "older") != NULL);
        for (size_t i = 0; i < json_object_array_length(messages); i++)
            sum_up(json_object_array_get_idx(messages, i));
    }
    add_tally(view);
    add_failed(json_member(json_member(view, "sums"), "destinations"));
    add_failed(json_member(view, "by_day"));
    add_words(exchange, view);
}

/* ---- pasted addresses ------------------------------------------------------------------------------ */

static void add_address(struct json_object *list, const char *text, size_t length)
{
    static const char around[] = "<>\"'()[]:. \t\r";
    while (length > 0 && strchr(around, text[0]) != NULL) {
        text++;
        length--;
    }
    while (length > 0 && strchr(around, text[length - 1]) != NULL)
        length--;
    if (length > 0)
        json_object_array_add(list, json_object_new_string_len(text, (int)length));
}

/* Each word; in front of <address>, those alone that are no name. */
static void add_each(struct json_object *list, const char *text, size_t length, bool names)
{
    static const char blanks[] = " \t\r";
    for (const char *end = text + length; text < end;) {
        size_t word = 0;
        while (text + word < end && strchr(blanks, text[word]) == NULL)
            word++;
        if (!names || memchr(text, '@', word) != NULL)
            add_address(list, text, word);
        text += word < (size_t)(end - text) ? word + 1 : word;
    }
}

static void add_entry(struct json_object *list, const char *entry, size_t length)
{
    const char *open = memchr(entry, '<', length);
    size_t before = open != NULL ? (size_t)(open - entry) : 0;
    add_each(list, entry, before, true);
    add_each(list, entry + before, length - before, false);
}

static struct json_object *read_addresses(const char *pasted)
{
    struct json_object *list = json_object_new_array();
    for (const char *at = pasted; *at != '\0';) {
        size_t length = strcspn(at, ",;\n");
        add_entry(list, at, length);
        at += length + (at[length] != '\0');
    }
    return list;
}

/* What staff deleted did not arrive either. Of what is on the way nothing is known yet. */
static const char *group_of(struct json_object *recipient)
{
    static const char *const groups[DELIVERY_COUNT] = {
        [DELIVERY_PENDING] = "unknown",   [DELIVERY_DELIVERED] = "delivered",
        [DELIVERY_DEFERRED] = "deferred", [DELIVERY_FAILED] = "failed",
        [DELIVERY_EXPIRED] = "failed",    [DELIVERY_DISCARDED] = "failed"};
    return json_is_true(recipient, "no_address") ? "no_address" : groups[outcome_of(recipient)];
}

/* Adds it to those that were seen; false: it is among them, in small letters or large ones. */
static bool is_first(struct arena *arena, struct json_object *seen, const char *address)
{
    char *key = arena_strdup(arena, address);
    for (char *at = key; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    if (json_member(seen, key) != NULL)
        return false;
    json_add_bool(seen, key, true);
    return true;
}

/* Each address once, however often it was pasted. */
static void group(struct arena *arena, struct json_object *recipients, struct json_object *asked)
{
    freed_by(json_put) struct json_object *seen = json_object_new_object();
    for (size_t i = 0; i < json_object_array_length(recipients); i++) {
        struct json_object *recipient = json_object_array_get_idx(recipients, i);
        if (!is_first(arena, seen, json_string(recipient, "address", "")))
            continue;
        leave_code_to_words(recipient);
        json_object_array_add(json_member(asked, group_of(recipient)), json_object_get(recipient));
    }
    json_add_int(asked, "addresses", json_object_object_length(seen));
}

static struct json_object *grouped(struct arena *arena, struct json_object *answer)
{
    static const char *const groups[] = {"failed", "deferred", "delivered", "unknown",
                                         "no_address"};
    struct json_object *asked = json_object_new_object();
    json_add_bool(asked, "followed", json_is_true(answer, "followed"));
    for (size_t i = 0; i < countof(groups); i++)
        json_add_list(asked, groups[i]);
    group(arena, json_member(answer, "recipients"), asked);
    for (size_t i = 0; i < countof(groups); i++) {
        struct json_object *list = json_member(asked, groups[i]);
        char name[32];
        snprintf(name, sizeof name, "%s_count", groups[i]);
        json_object_object_add(asked, name,
                               json_object_new_int64((int64_t)json_object_array_length(list)));
        cut(list, DELIVERY_PAGES_RECIPIENTS);
    }
    return asked;
}

static int problem_view(const char *name, struct json_object **asked_r)
{
    *asked_r = json_object_new_object();
    json_object_object_add(*asked_r, name, json_object_new_boolean(1));
    return 1;
}

int delivery_pages_asked(struct exchange *exchange, const char *mailbox, const char *pasted,
                         struct json_object **asked_r, struct problem *problem)
{
    freed_by(json_put) struct json_object *request = json_object_new_object(), *answer = NULL;
    struct json_object *list = read_addresses(pasted != NULL ? pasted : "");
    json_add(request, "recipients", list);
    if (json_object_array_length(list) == 0)
        return problem_view("problem_none", asked_r);
    if (json_object_array_length(list) > DESK_ADDRESSES_MAX)
        return problem_view("problem_many", asked_r);
    int found = desk_delivery_addresses(&exchange->web->desk, mailbox, request, exchange->now_ms,
                                        &answer, problem);
    if (found < 1)
        return found;
    add_words(exchange, answer);
    *asked_r = grouped(exchange->request->arena, answer);
    return 1;
}
