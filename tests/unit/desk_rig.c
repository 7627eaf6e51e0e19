#include "desk_rig.h"

#include <string.h>

#include "decision.h"
#include "json.h"

const struct person viewer = {"vera", ROLE_VIEWER}, supporter = {"sam", ROLE_SUPPORT},
                    admin = {"ada", ROLE_ADMIN};

const struct desk *rig_desk(void)
{
    struct desk *desk = arena_alloc(arena, sizeof *desk);
    desk->store = store;
    desk->guard = guard;
    return desk;
}

struct json_object *view_status(const char *mailbox, uint64_t decision, int64_t now_ms)
{
    struct json_object *view = NULL;
    ck_assert_msg(desk_status(rig_desk(), mailbox, decision, now_ms, &view) == 1, "%s",
                  store_error(store));
    return view;
}

static void must_come(int result, const struct problem *problem)
{
    ck_assert_msg(result != -1, "%s", store_error(store));
    ck_assert_msg(result == 1, "%s: %s", problem->where, problem->text);
}

struct json_object *view_mailbox(const char *mailbox, int64_t now_ms)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    must_come(desk_mailbox(rig_desk(), mailbox, NULL, now_ms, &view, &problem), &problem);
    return view;
}

struct json_object *view_decision(uint64_t decision, int64_t now_ms)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    char text[DECISION_TEXT_SIZE];
    decision_format(decision, text);
    must_come(desk_decision(rig_desk(), text, now_ms, &view, &problem), &problem);
    return view;
}

/* ---- acts ------------------------------------------------------------------------ */

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
    return rig_json(json, strlen(json));
}

static int act(const struct person *person, const char *words, bool preview, int64_t now_ms,
               struct json_object **view_r, struct problem *problem)
{
    freed_by(json_put) struct json_object *wish = words_of(words);
    return desk_act(rig_desk(), person, wish, preview, now_ms, view_r, problem);
}

struct json_object *do_act(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    must_come(act(person, words, false, now_ms, &view, &problem), &problem);
    check_member(view, "done", "true");
    check_member(view, "allowed", "true");
    return view;
}

struct json_object *preview_act(const struct person *person, const char *words, int64_t now_ms)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    must_come(act(person, words, true, now_ms, &view, &problem), &problem);
    check_member(view, "done", "false");
    return view;
}

const char *refuse_act(const struct person *person, const char *words, int64_t now_ms, int status,
                       const char *where)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_msg(act(person, words, false, now_ms, &view, &problem) == 0, "%s: not refused",
                  words);
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
