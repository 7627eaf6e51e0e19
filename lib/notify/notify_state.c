#include "notify/notify_state.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define KEY "state"
#define FIRST_WAIT_MS (5 * SECOND_MS)
#define LONGEST_WAIT_MS HOUR_MS

const char *notify_state_condition(enum notify_condition condition)
{
    return condition == NOTIFY_DIGEST ? "digest" : settings_notify_conditions[condition];
}

/* ---- in the store ---------------------------------------------------------------------------- */

void notify_state_end(struct notify_state *state)
{
    json_put(&state->tree);
    *state = (struct notify_state){0};
}

int notify_state_read(struct notify_state *state, struct store *store, struct arena *arena,
                      int64_t now_ms)
{
    struct value value;
    int found = store_value(store, arena, VALUE_NOTIFY, KEY, now_ms, &value);
    if (found < 0)
        return -1;
    notify_state_end(state);
    if (found > 0) {
        state->version = value.version;
        state->length = value.length;
        state->tree = json_read(value.bytes);
    }
    if (!json_object_is_type(state->tree, json_type_object)) {
        json_put(&state->tree);
        state->tree = json_object_new_object();
    }
    return 1;
}

static bool is_leader(const struct notify_state *state, const char *who)
{
    return strcmp(json_string(state->tree, "leader", ""), who) == 0;
}

bool notify_state_leads(const struct notify_state *state, const char *who, int64_t now_ms)
{
    int64_t until_ms = notify_state_int(state, "lead_until_ms");
    bool is_over = until_ms <= now_ms || until_ms > now_ms + 2 * NOTIFY_LEAD_MS;
    return is_over || is_leader(state, who);
}

static int write_until(struct notify_state *state, struct store *store, const char *who,
                       int64_t lead_until_ms, int64_t now_ms)
{
    json_add_string(state->tree, "leader", who);
    json_add_int(state->tree, "lead_until_ms", lead_until_ms);
    const char *text = json_object_to_json_string_ext(state->tree, JSON_C_TO_STRING_PLAIN);
    if (strlen(text) > VALUE_MAX_BYTES) {
        json_put(&state->tree);
        state->tree = json_object_new_object();
        text = "{}";
    }
    const struct value_change change = {.value = {.kind = VALUE_NOTIFY, .key = KEY, .bytes = text,
                                                  .length = strlen(text), .until_ms = UNTIL_LIFTED},
                                        .replaces = state->version};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = now_ms};
    struct values_done *done = xcalloc(1, sizeof *done);
    int written = store_values_change(store, &step, done);
    if (written > 0) {
        state->version = done->versions[0];
        state->changed = false;
        state->length = strlen(text);
    }
    free(done);
    return written;
}

int notify_state_write(struct notify_state *state, struct store *store, const char *who,
                       int64_t now_ms)
{
    int64_t until_ms = notify_state_int(state, "lead_until_ms");
    if (!state->changed && is_leader(state, who) && until_ms > now_ms + NOTIFY_LEAD_MS / 2 &&
        until_ms <= now_ms + NOTIFY_LEAD_MS)
        return 1;
    return write_until(state, store, who, now_ms + NOTIFY_LEAD_MS, now_ms);
}

void notify_state_resign(struct notify_state *state, struct store *store, const char *who,
                         int64_t now_ms)
{
    if (state->tree == NULL || !is_leader(state, who))
        return;
    int written = write_until(state, store, who, 0, now_ms);
    (void)written; /* else it leads until its time is over */
}

int64_t notify_state_int(const struct notify_state *state, const char *name)
{
    return json_int(state->tree, name, 0);
}

void notify_state_set(struct notify_state *state, const char *name, int64_t value)
{
    if (json_int(state->tree, name, value - 1) == value)
        return;
    json_add_int(state->tree, name, value);
    state->changed = true;
}

struct json_object *notify_state_object(struct notify_state *state, const char *name)
{
    struct json_object *object = json_member(state->tree, name);
    return json_object_is_type(object, json_type_object) ? object
                                                         : json_add_object(state->tree, name);
}

struct json_object *notify_state_list(struct notify_state *state, const char *name)
{
    struct json_object *list = json_member(state->tree, name);
    return json_object_is_type(list, json_type_array) ? list : json_add_list(state->tree, name);
}

/* ---- what waits below its condition ---------------------------------------------------------- */

static struct json_object *pending_of(struct notify_state *state, enum notify_condition condition)
{
    struct json_object *all = notify_state_object(state, "pending");
    const char *name = notify_state_condition(condition);
    struct json_object *pending = json_member(all, name);
    if (!json_object_is_type(pending, json_type_object))
        pending = json_add_object(all, name);
    if (!json_object_is_type(json_member(pending, "items"), json_type_array))
        json_add_list(pending, "items");
    return pending;
}

/* Another one about the same subject. */
static void add_to(struct json_object *item, struct json_object *before)
{
    int64_t count = json_int(before, "count", 0);
    if (count > 0)
        json_add_int(item, "count", count + json_int(item, "count", 0));
    else
        json_add_int(item, "times", json_int(before, "times", 1) + 1);
}

void notify_state_add(struct notify_state *state, enum notify_condition condition,
                      struct json_object *item, int64_t now_ms)
{
    struct json_object *pending = pending_of(state, condition);
    struct json_object *items = json_member(pending, "items");
    size_t count = json_object_array_length(items), place = 0;
    const char *subject = json_string(item, "subject", "");
    state->changed = true;
    json_add_moment(item, "at", now_ms);
    while (place < count && strcmp(json_string(json_object_array_get_idx(items, place), "subject",
                                               ""), subject) != 0)
        place++;
    if (place == NOTIFY_ITEMS_MAX) {
        json_add_int(pending, "more", json_int(pending, "more", 0) + 1);
        json_object_put(item);
        return;
    }
    if (place < count)
        add_to(item, json_object_array_get_idx(items, place));
    json_object_array_put_idx(items, place, item);
}

/* ---- what is on its way ---------------------------------------------------------------------- */

/* A moment that is still to come was told before the clock was set back. */
static bool has_passed(int64_t since_ms, int64_t span_ms, int64_t now_ms)
{
    return since_ms > now_ms || now_ms - since_ms >= span_ms;
}

static bool has_room(struct notify_state *state, const struct settings *settings, int64_t now_ms)
{
    if (has_passed(notify_state_int(state, "hour_ms"), HOUR_MS, now_ms)) {
        notify_state_set(state, "hour_ms", now_ms);
        notify_state_set(state, "hour_count", 0);
    }
    return notify_state_int(state, "hour_count") < settings->notify_per_hour;
}

/* Random: who gets it twice knows it again. */
static void add_id(struct json_object *object)
{
    unsigned char bytes[12];
    char hex[2 * sizeof bytes + 1];
    randombytes_buf(bytes, sizeof bytes);
    json_add_string(object, "id", sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes));
}

static void add_way(struct json_object *notification, const char *name, int64_t now_ms)
{
    struct json_object *way = json_add_object(notification, name);
    json_add_int(way, "since_ms", now_ms);
    json_add_int(way, "due_ms", now_ms);
    json_add_int(way, "tries", 0);
}

static int64_t tell(struct notify_state *state, enum notify_condition condition,
                    struct json_object *pending, const struct settings *settings, int64_t now_ms)
{
    struct json_object *notification = json_object_new_object();
    int64_t more = json_int(pending, "more", 0);
    add_id(notification);
    json_add_string(notification, "condition", notify_state_condition(condition));
    json_add_moment(notification, "at", now_ms);
    json_add(notification, "items", json_object_get(json_member(pending, "items")));
    if (more > 0)
        json_add_int(notification, "more", more);
    if (json_is_true(pending, "late"))
        json_add_bool(notification, "late", true);
    if (settings->notify_mail_to.count > 0)
        add_way(notification, notify_way_names[NOTIFY_BY_MAIL], now_ms);
    if (settings->notify_webhook[0] != '\0')
        add_way(notification, notify_way_names[NOTIFY_BY_WEBHOOK], now_ms);
    json_object_array_add(notify_state_list(state, "outbox"), notification);
    json_add_list(pending, "items");
    json_object_object_del(pending, "more");
    json_object_object_del(pending, "late");
    json_add_int(pending, "told_ms", now_ms);
    notify_state_set(state, "hour_count", notify_state_int(state, "hour_count") + 1);
    state->changed = true;
    return more;
}

int64_t notify_state_collect(struct notify_state *state, const struct settings *settings,
                             int64_t now_ms)
{
    int64_t without_name = 0;
    for (int condition = 0; condition < NOTIFY_CONDITION_COUNT; condition++) {
        struct json_object *pending = pending_of(state, (enum notify_condition)condition);
        struct json_object *outbox = notify_state_list(state, "outbox");
        if (json_object_array_length(json_member(pending, "items")) == 0 ||
            !has_passed(json_int(pending, "told_ms", 0), settings->notify_interval_ms, now_ms))
            continue;
        bool full = json_object_array_length(outbox) >= NOTIFY_OUTBOX_MAX ||
                    state->length > NOTIFY_LONG_BYTES;
        if (!full && has_room(state, settings, now_ms)) {
            without_name +=
                tell(state, (enum notify_condition)condition, pending, settings, now_ms);
        } else if (!full && !json_is_true(pending, "late")) {
            json_add_bool(pending, "late", true);
            state->changed = true;
        }
    }
    return without_name;
}

bool notify_state_add_user_mail(struct notify_state *state, struct json_object *mail,
                                int64_t now_ms)
{
    struct json_object *list = notify_state_list(state, "user_mail");
    if (json_object_array_length(list) >= NOTIFY_USER_MAIL_MAX ||
        state->length > NOTIFY_LONG_BYTES) {
        json_object_put(mail);
        return false;
    }
    add_id(mail);
    add_way(mail, notify_way_names[NOTIFY_TO_USER], now_ms);
    json_object_array_add(list, mail);
    state->changed = true;
    return true;
}

static struct json_object *list_of(const struct notify_state *state, enum notify_way way)
{
    struct json_object *list =
        json_member(state->tree, way == NOTIFY_TO_USER ? "user_mail" : "outbox");
    return json_object_is_type(list, json_type_array) ? list : NULL;
}

struct json_object *notify_state_due(const struct notify_state *state, enum notify_way way,
                                     int64_t now_ms)
{
    struct json_object *list = list_of(state, way);
    for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
        struct json_object *notification = json_object_array_get_idx(list, i);
        struct json_object *sending = json_member(notification, notify_way_names[way]);
        if (sending != NULL && (json_int(sending, "due_ms", 0) <= now_ms ||
                                json_int(sending, "due_ms", 0) > now_ms + LONGEST_WAIT_MS))
            return notification;
    }
    return NULL;
}

static void drop(struct notify_state *state, enum notify_way way, struct json_object *notification)
{
    struct json_object *list = list_of(state, way);
    json_object_object_del(notification, notify_way_names[way]);
    for (int other = 0; other < NOTIFY_WAYS; other++)
        if (json_member(notification, notify_way_names[other]) != NULL)
            return;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (json_object_array_get_idx(list, i) == notification) {
            json_object_array_del_idx(list, i, 1);
            return;
        }
    }
}

void notify_state_forget(struct notify_state *state, enum notify_way way)
{
    struct json_object *list = list_of(state, way);
    for (size_t i = list != NULL ? json_object_array_length(list) : 0; i-- > 0;) {
        struct json_object *notification = json_object_array_get_idx(list, i);
        if (json_member(notification, notify_way_names[way]) == NULL)
            continue;
        drop(state, way, notification);
        state->changed = true;
    }
}

enum notify_result notify_state_tried(struct notify_state *state, enum notify_way way,
                                      struct json_object *notification,
                                      enum notify_result result, int64_t now_ms)
{
    struct json_object *sending = json_member(notification, notify_way_names[way]);
    int64_t tries = json_int(sending, "tries", 0) + 1, wait_ms = FIRST_WAIT_MS;
    state->changed = true;
    if (result == NOTIFY_FAILED &&
        has_passed(json_int(sending, "since_ms", 0), NOTIFY_GIVE_UP_MS, now_ms))
        result = NOTIFY_GIVEN_UP;
    if (result != NOTIFY_FAILED) {
        drop(state, way, notification);
        return result;
    }
    for (int64_t i = 1; i < tries && wait_ms < LONGEST_WAIT_MS; i++)
        wait_ms *= 2;
    json_add_int(sending, "tries", tries);
    json_add_int(sending, "due_ms", now_ms + (wait_ms < LONGEST_WAIT_MS ? wait_ms
                                                                         : LONGEST_WAIT_MS));
    return NOTIFY_FAILED;
}

struct notify_waiting notify_state_waiting(const struct notify_state *state, enum notify_way way)
{
    struct notify_waiting waiting = {0};
    struct json_object *list = list_of(state, way);
    for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
        struct json_object *sending = json_member(json_object_array_get_idx(list, i),
                                                  notify_way_names[way]);
        int64_t since_ms = json_int(sending, "since_ms", 0);
        waiting.count += sending != NULL;
        if (json_int(sending, "tries", 0) == 0)
            continue;
        if (waiting.failing++ == 0 || since_ms < waiting.failing_since_ms)
            waiting.failing_since_ms = since_ms;
    }
    return waiting;
}
