#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/views.h"
#include "http/submission_json.h"
#include "message/address.h"

enum { SIMULATION_MAX_BYTES = 4 * 1024 * 1024 };

/* 1; 0 too long, *problem says so. */
static int read_input(struct text *input, struct problem *problem)
{
    char piece[16 * 1024];
    ssize_t got;
    while ((got = read(STDIN_FILENO, piece, sizeof piece)) > 0 || (got < 0 && errno == EINTR)) {
        text_add_bytes(input, piece, got > 0 ? (size_t)got : 0);
        if (input->length > SIMULATION_MAX_BYTES)
            return problem_set(problem, 413, "", "is larger than %d bytes", SIMULATION_MAX_BYTES);
    }
    return got == 0 || problem_set(problem, 0, "", "cannot be read: %s", strerror(errno));
}

static int read_submission(struct submission *submission, const struct text *input,
                           struct problem *problem)
{
    struct submission_claims claims = {0};
    freed_by(json_put) struct json_object *object =
        input->length > 0 && strlen(input->data) == input->length ? json_read(input->data) : NULL;
    if (!json_object_is_type(object, json_type_object))
        return problem_set(problem, 0, "", "is no JSON object");
    if (!submission_json_read(submission, object, &claims, problem))
        return 0;
    if (claims.mailbox == NULL)
        return problem_set(problem, 0, "mailbox", "is missing: whose message is it?");
    if (!submission_set_mailbox(submission, claims.mailbox, strlen(claims.mailbox), problem))
        return 0;
    if (claims.ip != NULL &&
        !submission_set_ip(submission, claims.ip, strlen(claims.ip), problem))
        return 0;
    return submission->id != NULL ||
           submission_set_id(submission, "simulated", strlen("simulated"), problem);
}

static void print_verdict(struct cli *cli, struct json_object *view)
{
    struct json_object *reason;
    struct arena *arena = cli->arena;
    const char *retry = print_moment(arena, view, "retry_at", cli->now_ms, NULL);
    printf("%s: this message would meet: %s%s%s. Nothing is counted.\n",
           print_member(arena, view, "mailbox", "?"), print_member(arena, view, "verdict", "?"),
           retry != NULL ? "; it would pass at " : "", retry != NULL ? retry : "");
    each_of(reason, view, "reasons")
        printf("  %s: %s\n", print_member(arena, reason, "rule", "?"),
               print_member(arena, reason, "text", ""));
    views_print_unusual(cli, json_member(view, "unusual"), false);
    views_print_windows(cli, view);
}

static int simulate(struct cli *cli)
{
    freed_by(text_free) struct text input = {0};
    freed_by(json_put) struct json_object *view = NULL;
    struct submission submission;
    struct problem problem = {0};
    address_init();
    submission_init(&submission, cli->arena, CHANNEL_WEBMAIL);
    if (!read_input(&input, &problem) || !read_submission(&submission, &input, &problem))
        return cli_failed(cli, "standard input: %s%s%s", problem.where,
                          problem.where[0] != '\0' ? ": " : "", problem.text);
    if (desk_simulate(&cli->desk, &submission, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    return views_show(cli, view, print_verdict);
}

/* By the key recipients are found that Sendguard itself has blocked. */
int cli_run_simulate(struct cli *cli) { return cli_with_key(cli, simulate); }
