/* Commands for appeals: appeals, answer. */
#include <string.h>

#include "cli/views.h"

/* Its lines, each behind two blanks. */
static void print_text(struct cli *cli, const char *text)
{
    char *rest = arena_strdup(cli->arena, text);
    for (const char *line; (line = strsep(&rest, "\n")) != NULL;)
        printf("  %s\n", print_plain(cli->arena, line));
}

static void print_appeal(struct cli *cli, struct json_object *appeal)
{
    struct json_object *answer = json_member(appeal, "answer");
    printf("%s %s, appeal %s about %s:\n",
           print_moment(cli->arena, appeal, "at", cli->now_ms, ""),
           print_member(cli->arena, appeal, "mailbox", ""),
           print_number(cli->arena, appeal, "number", "?"),
           print_member(cli->arena, appeal, "cause", ""));
    print_text(cli, json_string(appeal, "text", ""));
    if (answer == NULL)
        return;
    puts("answered:");
    print_text(cli, json_string(answer, "text", ""));
}

static void print_appeals(struct cli *cli, struct json_object *view)
{
    struct json_object *appeal;
    if (views_list_length(view, "appeals") == 0)
        puts("Nobody waits for an answer.");
    each_of(appeal, view, "appeals")
        print_appeal(cli, appeal);
    long long beyond = (long long)json_int(view, "appeals_waiting", 0) -
                       (long long)views_list_length(view, "appeals");
    if (beyond > 0)
        printf("and %lld more, who wait less long\n", beyond);
}

int cli_run_appeals(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (desk_appeals(&cli->desk, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    return views_show(cli, view, print_appeals);
}

int cli_run_answer(struct cli *cli)
{
    freed_by(json_put) struct json_object *words = json_object_new_object(), *view = NULL;
    struct problem problem = {0};
    if (cli->given[OPTION_NOTE] == NULL)
        return cli_usage_error(cli, "--note is missing: it is the answer that the user reads");
    json_add_string(words, "mailbox", cli->words[0]);
    json_add_string(words, "number", cli->words[1]);
    json_add_string(words, "text", cli->given[OPTION_NOTE]);
    int status = cli_answer(cli,
                            desk_appeal_answer(&cli->desk, &cli->person, words, cli->now_ms, &view,
                                               &problem),
                            &problem);
    return status >= 0 ? status : views_show(cli, view, print_appeal);
}
