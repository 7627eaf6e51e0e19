#include "tests/unit/desk/desk_rig.h"

#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "rules/held.h"
#include "store/store.h"
#include "store/values.h"

const struct person viewer = {"vera", ROLE_VIEWER}, supporter = {"sam", ROLE_SUPPORT},
                    admin = {"ada", ROLE_ADMIN};

static struct json_object *views; /* an array */

static void put_views(void) { json_put(&views); }

TCase *desk_case(Suite *suite, const char *name)
{
    TCase *cases = rig_case(suite, name);
    tcase_add_checked_fixture(cases, NULL, put_views);
    return cases;
}

struct json_object *keep_view(struct json_object *view)
{
    if (views == NULL)
        views = json_object_new_array();
    json_object_array_add(views, view);
    return view;
}

void must_come(int result, const struct problem *problem)
{
    ck_assert_msg(result != -1, "%s", store_error(store));
    ck_assert_msg(result == 1, "%s: %s", problem->where, problem->text);
}

const struct desk *rig_desk(void)
{
    static _Thread_local struct desk desk; /* the arena is the main thread's */
    desk = (struct desk){.store = store, .guard = guard, .key = token_key};
    return &desk;
}

struct json_object *view_status(const char *mailbox, uint64_t decision, int64_t now_ms)
{
    return VIEW(desk_status(rig_desk(), mailbox, decision, NULL, now_ms, &made));
}

struct json_object *view_mailbox(const char *mailbox, int64_t now_ms)
{
    return VIEW(desk_mailbox(rig_desk(), mailbox, NULL, now_ms, &made, &fault));
}

struct json_object *view_decision(uint64_t decision, int64_t now_ms)
{
    char text[DECISION_TEXT_SIZE];
    decision_format(decision, text);
    return VIEW(desk_decision(rig_desk(), text, now_ms, &made, &fault));
}

/* ---- actions ------------------------------------------------------------------------ */

static char *quoted(const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = strchr(copy, '\''); at != NULL; at = strchr(at, '\''))
        *at = '"';
    return copy;
}

struct json_object *words_of(const char *text)
{
    const char *json = quoted(text);
    return keep_view(rig_json(json, strlen(json)));
}

struct json_object *do_action(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *view =
        VIEW(desk_action(rig_desk(), person, words_of(words), false, now_ms, &made, &fault));
    check_member(view, "done", "true");
    check_member(view, "allowed", "true");
    return view;
}

struct json_object *preview_action(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *view =
        VIEW(desk_action(rig_desk(), person, words_of(words), true, now_ms, &made, &fault));
    check_member(view, "done", "false");
    return view;
}

const char *refuse_action(const struct person *person, const char *words, int64_t now_ms,
                          int status,
                          const char *where)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_msg(desk_action(rig_desk(), person, words_of(words), false, now_ms, &view,
                              &problem) == 0, "%s: not refused", words);
    ck_assert_ptr_null(view);
    ck_assert_msg(problem.status == status && strcmp(problem.where, where) == 0,
                  "%s: %d %s: %s", words, problem.status, problem.where, problem.text);
    ck_assert_str_ne(problem.text, "");
    return arena_strdup(arena, problem.text);
}

/* ---- looking --------------------------------------------------------------------- */

void check_member(struct json_object *view, const char *path, const char *expected)
{
    const char *text = rig_text(view, path);
    ck_assert_msg(strcmp(text, quoted(expected)) == 0, "%s is %s, not %s", path, text, expected);
}

size_t length_of(struct json_object *view, const char *path)
{
    return json_object_array_length(rig_member(view, path));
}

struct verdict send_one(const char *id, int count, int64_t now_ms)
{
    struct submission submission = rig_message(id, count);
    return rig_judge(&submission, now_ms);
}

/* ---- held mail ------------------------------------------------------------------- */

void rig_wait_since(const char *mailbox, enum unusual_action action, int64_t since_ms)
{
    const struct held_message message = {.decision = 1, .recipients = 2, .queue_id = "4one"};
    const struct unusual unusual = {.new_recipients = 41, .action = action};
    freed_by(text_free) struct text bytes = {0};
    held_add(&bytes, &unusual, since_ms, &message, 0);
    const struct value_change change = {
        .value = {.kind = VALUE_HELD, .key = mailbox, .bytes = bytes.data, .length = bytes.length,
                  .until_ms = held_until(action, NOW)}};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    struct values_done *done = arena_alloc(arena, sizeof *done);
    ck_assert_int_eq(store_values_change(store, &step, done), 1);
}
