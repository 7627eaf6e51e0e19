#include "text/present.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "text/problem_text.h"

/* One view on its way. */
struct presenting {
    const struct reader *reader;
    struct arena *arena; /* of texts, until the tree has copied them */
    const struct zone *zone;
};

static void present_value(const struct presenting *presenting, struct json_object *value);

/* ---- moments ---------------------------------------------------------------------------- */

static const char *text_of(const struct presenting *presenting, const char *key,
                           struct json_object *values)
{
    const struct reader *reader = presenting->reader;
    const char *text = catalogue_text(reader->catalogue, presenting->arena, reader->language, key,
                                      values);
    return text != NULL ? text : "";
}

static const char *numbered_text(const struct presenting *presenting, const char *what, int number)
{
    return text_of(presenting, arena_printf(presenting->arena, "%s.%d", what, number), NULL);
}

/* By its distance in days of the reader's calendar: nobody has to reckon which Monday is meant. */
static const char *moment_key(const struct wall_time *time, const struct wall_time *now)
{
    int64_t days = time->day_number - now->day_number;
    if (days == 0)
        return "moment.time";
    if (days > -7 && days < 7)
        return "moment.weekday";
    return time->year == now->year ? "moment.date" : "moment.date_year";
}

static bool is_singular(const struct reader *reader, int64_t number)
{
    /* none is singular too in French and Portuguese */
    bool none_too =
        strncmp(reader->language, "fr", 2) == 0 || strncmp(reader->language, "pt", 2) == 0;
    return number == 1 || (number == 0 && none_too);
}

/* Views have whole seconds, rounded up: what has just happened lies up to one ahead. */
static bool is_coming(const struct reader *reader, int64_t time_ms)
{
    return time_ms > reader->now_ms + 1000;
}

/* Who waits until a moment that was named is never too early: what is to come is rounded up. */
static int64_t whole_minutes(const struct reader *reader, int64_t time_ms)
{
    bool coming = is_coming(reader, time_ms);
    return (time_ms / MINUTE_MS + (coming && time_ms % MINUTE_MS > 0)) * MINUTE_MS;
}

/* What the texts of moments are made of; to be put. */
static struct json_object *parts_of(const struct presenting *presenting,
                                    const struct wall_time *time)
{
    struct json_object *values = json_object_new_object();
    json_add_string(values, "hour", arena_printf(presenting->arena, "%02d", time->hour));
    json_add_string(values, "minute", arena_printf(presenting->arena, "%02d", time->minute));
    json_add_string(values, "weekday", numbered_text(presenting, "weekday", time->weekday));
    json_add_int(values, "day", time->day);
    json_add_bool(values, "day_one", is_singular(presenting->reader, time->day));
    json_add_string(values, "month", numbered_text(presenting, "month", time->month));
    json_add_int(values, "year", time->year);
    return values;
}

static const char *moment_text(const struct presenting *presenting, int64_t time_ms)
{
    const struct reader *reader = presenting->reader;
    struct wall_time time, now;
    if (!zone_wall_time(presenting->zone, whole_minutes(reader, time_ms), &time) ||
        !zone_wall_time(presenting->zone, reader->now_ms, &now))
        return "";
    freed_by(json_put) struct json_object *values = parts_of(presenting, &time);
    return text_of(presenting, moment_key(&time, &now), values);
}

/* Exact for what somebody waits for, rough for what is days away. */
static const char *span_key(int64_t minutes)
{
    if (minutes < 60)
        return "span.minutes";
    if (minutes < 24 * 60)
        return minutes % 60 != 0 ? "span.hours_minutes" : "span.hours";
    return minutes < 48 * 60 ? "span.hours" : "span.days";
}

static const char *span_text(const struct presenting *presenting, int64_t time_ms)
{
    int64_t now_ms = presenting->reader->now_ms;
    bool coming = is_coming(presenting->reader, time_ms);
    int64_t span_ms = time_ms > now_ms ? time_ms - now_ms : now_ms - time_ms;
    int64_t minutes = span_ms / MINUTE_MS + (coming && span_ms % MINUTE_MS > 0);
    if (minutes == 0)
        return text_of(presenting, "span.now", NULL);
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_int(values, "minutes", minutes % 60);
    json_add_int(values, "hours", minutes / 60);
    json_add_int(values, "days", (minutes + 12 * 60) / (24 * 60));
    json_add_string(values, "span", text_of(presenting, span_key(minutes), values));
    return text_of(presenting, coming ? "span.in" : "span.ago", values);
}

const char *present_moment(struct arena *arena, const struct reader *reader, int64_t time_ms)
{
    freed_by(zone_free) struct zone *zone = zone_open(reader->zone);
    return moment_text(&(struct presenting){reader, arena, zone}, time_ms);
}

const char *present_zone(const struct reader *reader)
{
    return reader->zone != NULL && zone_exists(reader->zone) ? reader->zone : "UTC";
}

const char *present_moment_exact(struct arena *arena, const struct reader *reader, int64_t time_ms)
{
    freed_by(zone_free) struct zone *zone = zone_open(reader->zone);
    const struct presenting presenting = {reader, arena, zone};
    struct wall_time time;
    if (!zone_wall_time(zone, time_ms, &time))
        return "";
    freed_by(json_put) struct json_object *values = parts_of(&presenting, &time);
    json_add_string(values, "second", arena_printf(arena, "%02d", (int)(time_ms / 1000 % 60)));
    json_add_string(values, "zone", present_zone(reader));
    return text_of(&presenting, "moment.exact", values);
}

/* ---- members ------------------------------------------------------------------------------ */

static bool is_moment(const char *key)
{
    size_t length = strlen(key);
    return strcmp(key, "at") == 0 || strcmp(key, "since") == 0 || strcmp(key, "until") == 0 ||
           (length > 3 && strcmp(key + length - 3, "_at") == 0) ||
           (length > 6 && strcmp(key + length - 6, "_since") == 0) ||
           (length > 6 && strcmp(key + length - 6, "_until") == 0);
}

static bool is_word(const char *key)
{
    static const char *const words[] = {"rule", "cause", "channel", "state",  "verdict",  "outcome",
                                        "action",  "role",  "source", "kind", "headline", "field",
                                        "mode", "of",    "value",  "where",  "by",   "hint",     "ended",
                                        "why", "type",  "done",   "appeal_problem", "phase",
                                        "scope", "protocol", "keeps_out", "connection", "hold"};
    for (size_t i = 0; i < countof(words); i++)
        if (strcmp(words[i], key) == 0)
            return true;
    return false;
}

/* What stands in addresses of pages. */
static bool is_named_in_links(const char *key)
{
    static const char *const names[] = {"mailbox", "domain", "ip",    "key",
                                        "subject", "decision", "older", "next", "query"};
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(names[i], key) == 0)
            return true;
    return false;
}

/* The name of what is added beside `key`; NULL when the object has it already. */
static const char *beside(const struct presenting *presenting, struct json_object *object,
                          const char *key, const char *ending)
{
    const char *name = arena_printf(presenting->arena, "%s_%s", key, ending);
    return json_object_object_get_ex(object, name, NULL) ? NULL : name;
}

static void add_string_beside(const struct presenting *presenting, struct json_object *object,
                              const char *key, const char *ending, const char *value)
{
    const char *name = beside(presenting, object, key, ending);
    if (name != NULL)
        json_add_string(object, name, value);
}

static void add_int_beside(const struct presenting *presenting, struct json_object *object,
                           const char *key, int64_t number)
{
    const char *one = beside(presenting, object, key, "one");
    const char *some = beside(presenting, object, key, "some");
    if (one != NULL)
        json_add_bool(object, one, is_singular(presenting->reader, number));
    if (some != NULL)
        json_add_bool(object, some, number > 0);
}

static void add_moment_beside(const struct presenting *presenting, struct json_object *object,
                              const char *key, const char *moment)
{
    int64_t time_ms;
    if (!zone_moment_read(moment, &time_ms))
        return;
    add_string_beside(presenting, object, key, "text", moment_text(presenting, time_ms));
    add_string_beside(presenting, object, key, "in", span_text(presenting, time_ms));
}

static void add_word_beside(const struct presenting *presenting, struct json_object *object,
                            const char *key, const char *word)
{
    const struct reader *reader = presenting->reader;
    const char *is = beside(presenting, object, key, "is");
    if (is != NULL)
        json_add_bool(json_add_object(object, is), word, true);
    const char *name = arena_printf(presenting->arena, "%s.%s", key, word);
    const char *text =
        catalogue_text(reader->catalogue, presenting->arena, reader->language, name, object);
    if (text != NULL)
        add_string_beside(presenting, object, key, "text", text);
}

static void add_url_beside(const struct presenting *presenting, struct json_object *object,
                           const char *key, const char *value)
{
    freed_by(text_free) struct text url = {0};
    text_add_url(&url, value);
    add_string_beside(presenting, object, key, "url", text_string(&url));
}

static bool is_sentence(const char *key)
{
    return strcmp(key, "wrong") == 0 || strcmp(key, "why") == 0 || strcmp(key, "why_not") == 0 ||
           strcmp(key, "reset_why_not") == 0;
}

static void add_sentence_beside(const struct presenting *presenting, struct json_object *object,
                                const char *key, const char *sentence)
{
    const char *text = problem_text(presenting->reader->catalogue, presenting->arena,
                                    presenting->reader->language, sentence);
    if (text != NULL)
        add_string_beside(presenting, object, key, "text", text);
}

/* What is no address is all local. */
static void add_parts_beside(const struct presenting *presenting, struct json_object *object,
                             const char *key, const char *address)
{
    const char *site = strrchr(address, '@');
    size_t length = site == NULL ? strlen(address) : (size_t)(site - address);
    add_string_beside(presenting, object, key, "local",
                      arena_strndup(presenting->arena, address, length));
    add_string_beside(presenting, object, key, "site", address + length);
}

static void add_list_beside(const struct presenting *presenting, struct json_object *object,
                            const char *key, struct json_object *list)
{
    size_t count = json_object_array_length(list);
    const char *any = beside(presenting, object, key, "any");
    if (any != NULL)
        json_add_bool(object, any, count > 0);
    const char *name = beside(presenting, object, key, "count");
    if (name == NULL)
        return;
    json_add_int(object, name, (int64_t)count);
    add_int_beside(presenting, object, name, (int64_t)count);
}

static void present_member(const struct presenting *presenting, struct json_object *object,
                           const char *key, struct json_object *value)
{
    present_value(presenting, value);
    switch (json_object_get_type(value)) {
    case json_type_string:
        if (is_moment(key))
            add_moment_beside(presenting, object, key, json_object_get_string(value));
        else if (is_word(key))
            add_word_beside(presenting, object, key, json_object_get_string(value));
        else if (is_named_in_links(key))
            add_url_beside(presenting, object, key, json_object_get_string(value));
        if (is_sentence(key))
            add_sentence_beside(presenting, object, key, json_object_get_string(value));
        if (strcmp(key, "mailbox") == 0 || strcmp(key, "subject") == 0)
            add_parts_beside(presenting, object, key, json_object_get_string(value));
        break;
    case json_type_int:
        add_int_beside(presenting, object, key, json_object_get_int64(value));
        break;
    case json_type_array:
        add_list_beside(presenting, object, key, value);
        break;
    default:
        break;
    }
}

/* ---- trees ---------------------------------------------------------------------------------- */

/* Members are added while it goes on, which moves them all: their names are noted before. */
static void present_object(const struct presenting *presenting, struct json_object *object)
{
    size_t count = (size_t)json_object_object_length(object), noted = 0;
    const char **names = arena_alloc(presenting->arena, count * sizeof names[0]);
    json_object_object_foreach(object, key, value)
    {
        (void)value;
        names[noted++] = key;
    }
    for (size_t i = 0; i < noted; i++)
        present_member(presenting, object, names[i], json_member(object, names[i]));
}

/* False as well as true, lest an element takes the word from a list around. */
static void number_element(struct json_object *element, const char *name, bool is)
{
    if (!json_object_object_get_ex(element, name, NULL))
        json_add_bool(element, name, is);
}

static void present_list(const struct presenting *presenting, struct json_object *list)
{
    size_t count = json_object_array_length(list);
    for (size_t i = 0; i < count; i++) {
        struct json_object *element = json_object_array_get_idx(list, i);
        present_value(presenting, element);
        if (!json_object_is_type(element, json_type_object))
            continue;
        number_element(element, "first", i == 0);
        number_element(element, "last", i + 1 == count);
    }
}

static void present_value(const struct presenting *presenting, struct json_object *value)
{
    if (json_object_is_type(value, json_type_object))
        present_object(presenting, value);
    else if (json_object_is_type(value, json_type_array))
        present_list(presenting, value);
}

void present(struct json_object *view, const struct reader *reader)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(zone_free) struct zone *zone = zone_open(reader->zone);
    present_value(&(struct presenting){reader, arena, zone}, view);
}
