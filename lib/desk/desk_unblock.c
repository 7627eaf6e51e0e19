/* Lifts blocks for mail that failed: that of a sender domain, and those of its mailboxes. */
#include <stdlib.h>
#include <string.h>

#include "desk/desk_request.h"
#include "desk/failing.h"
#include "guard/block_values.h"

enum { LIFT_ATTEMPTS = 20 };

/* What is so, and with the blocks lifted. */
struct unblocking {
    struct failing failing; /* its window is as it is to be */
    struct text packed;     /* the same */
    struct block_values before, after;
    int64_t breaks_ms;
};
static void end_unblocking(struct unblocking *unblocking)
{
    failing_end(&unblocking->failing);
    text_free(&unblocking->packed);
    block_values_free(&unblocking->before);
    block_values_free(&unblocking->after);
}

/* In the window as the store has it: for views it is a moment ahead. Of one that is damaged, or is
 * not there, the refusals alone end. */
static void lift_all(const struct context *context, struct unblocking *unblocking)
{
    const struct failure_settings *settings = &context->settings->failures;
    struct failing *failing = &unblocking->failing;
    struct failure_window *window = &failing->window;
    unblocking->breaks_ms = FAILURE_NEVER;
    failure_window_free(window);
    if (failing->value.length == 0 ||
        !failure_window_read(failing->value.bytes, failing->value.length, window))
        return;
    block_values_of(window, settings, failing->domain, &unblocking->before);
    for (size_t i = 0; i < failing->block_count; i++) {
        const char *subject = failing->blocks[i].subject;
        int lifted = failure_window_lift(window, settings, subject[0] == '@' ? NULL : subject,
                                         context->now_ms);
        (void)lifted; /* 0: it is none by the settings of now */
    }
    unblocking->breaks_ms = failure_window_breaks_at(window, settings);
    block_values_of(window, settings, failing->domain, &unblocking->after);
    failure_window_add(&unblocking->packed, window);
}

/* 1; 0 with *problem: none holds; -1. */
static int imagine(const struct context *context, const char *domain,
                   struct unblocking *unblocking, struct problem *problem)
{
    if (failing_read(context, domain, &unblocking->failing) < 0)
        return -1;
    if (unblocking->failing.block_count == 0)
        return problem_set(problem, 409, "subject", "neither it nor a mailbox of it is blocked");
    lift_all(context, unblocking);
    return 1;
}

/* ---- doing -------------------------------------------------------------------------------------- */

/* Those of blocks, also where the window knows of none. */
static size_t block_changes(const struct unblocking *unblocking, struct value_change *changes,
                            size_t room)
{
    const struct failing *failing = &unblocking->failing;
    size_t count =
        block_values_changes(&unblocking->before, &unblocking->after, changes, room);
    for (size_t i = 0; i < failing->block_count && count < room; i++) {
        const struct value *value = &failing->blocks[i].value;
        if (block_values_find(&unblocking->before, value->key) != NULL ||
            block_values_find(&unblocking->after, value->key) != NULL)
            continue;
        changes[count] = (struct value_change){*value, value->version};
        changes[count++].value.length = 0;
    }
    return count;
}

/* What held, the domain's block before those of mailboxes. To be put. */
static struct json_object *detail_of(const struct failing *failing)
{
    struct json_object *detail = json_object_new_object();
    struct json_object *before =
        json_add(detail, "before", failing_block_view(&failing->blocks[0]));
    json_add_string(before, "cause", cause_names[CAUSE_FAILURES]);
    json_add_int(before, "blocks", (int64_t)failing->block_count);
    json_add_null(detail, "after");
    return detail;
}

/* 1 written; 0 a follower was first; -1. */
static int write_step(const struct context *context, const struct desk_request *request,
                      const struct unblocking *unblocking, const struct action *action)
{
    const struct failing *failing = &unblocking->failing;
    freed_by(json_put) struct json_object *detail = detail_of(failing);
    const struct audited audited = {desk_action_name(ACTION_LIFT), request->subject,
                                    json_object_to_json_string(detail), action};
    size_t room = failing->block_count + unblocking->before.count + unblocking->after.count + 1;
    struct value_change *changes = arena_alloc(context->arena, room * sizeof *changes);
    struct values_step step = {.changes = changes, .audited = &audited, .audited_count = 1,
                               .now_ms = context->now_ms};
    step.count = block_changes(unblocking, changes, room - 1);
    if (unblocking->packed.length > 0) {
        struct value_change *change = &changes[step.count++];
        *change = (struct value_change){failing->value, failing->value.version};
        change->value.bytes = unblocking->packed.data;
        change->value.length = unblocking->packed.length;
    }
    return store_values_change(context->desk->store, &step, NULL);
}

static void add_lifted(const struct unblocking *unblocking, struct json_object *view)
{
    struct json_object *lifted = json_add_list(view, "lifted");
    for (size_t i = 0; i < unblocking->failing.block_count; i++)
        json_object_array_add(lifted, failing_block_view(&unblocking->failing.blocks[i]));
    json_add_moment(view, "breaks_at",
                    unblocking->breaks_ms == FAILURE_NEVER ? 0 : unblocking->breaks_ms);
}

int desk_request_unblock(const struct context *context, const struct desk_request *request,
                         const struct action *action, struct json_object *view,
                         struct problem *problem)
{
    for (int attempt = 0; attempt < LIFT_ATTEMPTS; attempt++) {
        freed_by(end_unblocking) struct unblocking unblocking = {0};
        int answer = imagine(context, request->domain, &unblocking, problem);
        if (answer < 1)
            return answer;
        if (action != NULL)
            answer = write_step(context, request, &unblocking, action);
        if (answer > 0)
            add_lifted(&unblocking, view);
        if (answer != 0)
            return answer;
    }
    return problem_set(problem, 409, "",
                       "mail of the domain is counted at the same moment; try again");
}
