/* Lifts blocks for mail that failed: that of a sender domain, and those of its mailboxes. */
#include <stdlib.h>

#include "desk/desk_request.h"
#include "desk/failing.h"

enum { LIFT_ATTEMPTS = 20 };

/* What is so, and with the blocks lifted. */
struct unblocking {
    struct failing failing; /* its window is as it is to be */
    struct text packed;
};
static void end_unblocking(struct unblocking *unblocking)
{
    failing_end(&unblocking->failing);
    text_free(&unblocking->packed);
}

/* In the window as the store has it: for views it is a moment ahead. Of one that is damaged the
 * refusals alone end. */
static void lift_all(const struct context *context, struct failing *failing)
{
    failure_window_free(&failing->window);
    if (!failure_window_read(failing->value.bytes, failing->value.length, &failing->window))
        return;
    for (size_t i = 0; i < failing->block_count; i++) {
        const char *subject = failing->blocks[i].subject;
        int lifted = failure_window_lift(&failing->window, &context->settings->failures,
                                         subject[0] == '@' ? NULL : subject, context->now_ms);
        (void)lifted; /* 0: it is none by the settings of now */
    }
}

/* 1; 0 with *problem: none holds; -1. */
static int imagine(const struct context *context, const char *domain,
                   struct unblocking *unblocking, struct problem *problem)
{
    struct failing *failing = &unblocking->failing;
    if (failing_read(context, domain, failing) < 0)
        return -1;
    if (failing->block_count == 0)
        return problem_set(problem, 409, "subject", "neither it nor a mailbox of it is blocked");
    lift_all(context, failing);
    failure_window_add(&unblocking->packed, &failing->window);
    return 1;
}

static void free_done(struct values_done **done) { free(*done); }

/* 1 written; 0 a follower was first; -1. */
static int write_step(const struct context *context, const struct unblocking *unblocking)
{
    const struct failing *failing = &unblocking->failing;
    freed_by(free_done) struct values_done *done = xcalloc(1, sizeof *done);
    struct value_change *changes =
        arena_alloc(context->arena, (failing->block_count + 1) * sizeof *changes);
    struct values_step step = {.changes = changes, .now_ms = context->now_ms};
    for (size_t i = 0; i < failing->block_count; i++) {
        struct value_change *change = &changes[step.count++];
        *change = (struct value_change){failing->blocks[i].value,
                                        failing->blocks[i].value.version};
        change->value.length = 0;
    }
    if (failing->value.length > 0) {
        struct value_change *change = &changes[step.count++];
        *change = (struct value_change){failing->value, failing->value.version};
        change->value.bytes = unblocking->packed.data;
        change->value.length = unblocking->packed.length;
    }
    return store_values_change(context->desk->store, &step, done);
}

/* The entry of the audit log: what held, the domain's block before those of mailboxes. */
static int write_audit(const struct context *context, const struct desk_request *request,
                       const struct failing *failing, const struct action *action)
{
    freed_by(json_put) struct json_object *detail = json_object_new_object();
    struct json_object *before =
        json_add(detail, "before", failing_block_view(&failing->blocks[0]));
    json_add_string(before, "cause", cause_names[CAUSE_FAILURES]);
    json_add_int(before, "blocks", (int64_t)failing->block_count);
    json_add_null(detail, "after");
    return store_write_audit(context->desk->store,
                             &(struct audited){desk_action_name(ACTION_LIFT), request->subject,
                                               json_object_to_json_string(detail), action});
}

int desk_request_unblock(const struct context *context, const struct desk_request *request,
                         const struct action *action, struct json_object *view,
                         struct problem *problem)
{
    int answer = 0;
    for (int attempt = 0; attempt < LIFT_ATTEMPTS && answer == 0; attempt++) {
        freed_by(end_unblocking) struct unblocking unblocking = {0};
        answer = imagine(context, request->domain, &unblocking, problem);
        if (answer < 1)
            return answer;
        if (action != NULL)
            answer = write_step(context, &unblocking);
        if (answer > 0 && action != NULL)
            answer = write_audit(context, request, &unblocking.failing, action);
        if (answer < 1)
            continue;
        int64_t breaks_ms = failure_window_breaks_at(&unblocking.failing.window,
                                                     &context->settings->failures);
        json_add_moment(view, "breaks_at", breaks_ms == FAILURE_NEVER ? 0 : breaks_ms);
        struct json_object *lifted = json_add_list(view, "lifted");
        for (size_t i = 0; i < unblocking.failing.block_count; i++)
            json_object_array_add(lifted, failing_block_view(&unblocking.failing.blocks[i]));
    }
    return answer != 0 ? answer
                       : problem_set(problem, 409, "", "mail of the domain is counted at the same "
                                                       "moment; try again");
}
