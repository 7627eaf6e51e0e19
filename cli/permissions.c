/* The command allow-from. */
#include "cli/views.h"

static void print_permissions(struct cli *cli, struct json_object *view)
{
    struct json_object *list = json_member(view, "permissions");
    size_t count = json_object_array_length(list);
    const char *mailbox = print_member(cli->arena, view, "mailbox", "?");
    if (count == 0)
        printf("%s writes as itself and as what its owners' tables say; nothing more is permitted.\n",
               mailbox);
    else
        printf("%s may also write as:\n", mailbox);
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *until = print_moment(cli->arena, one, "until", cli->now_ms, NULL);
        printf("  %s, %s%s, by %s: %s\n", print_member(cli->arena, one, "address", "?"),
               until != NULL ? "until " : "until somebody takes it back",
               until != NULL ? until : "", print_member(cli->arena, one, "by", "?"),
               print_member(cli->arena, one, "note", "?"));
    }
}

static int change(struct cli *cli, struct json_object **view_r, struct problem *problem)
{
    freed_by(json_put) struct json_object *words = json_object_new_object();
    json_add_string(words, "action",
                    cli->given[OPTION_END] != NULL ? "disallow_from" : "allow_from");
    json_add_string(words, "address", cli->words[1]);
    json_add_string(words, "for", cli->given[OPTION_FOR]);
    json_add_string(words, "note", cli->given[OPTION_NOTE]);
    return desk_permissions_act(&cli->desk, &cli->person, cli->words[0], words, cli->now_ms, view_r,
                                problem);
}

int cli_run_allow_from(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    bool changes = cli->word_count > 1;
    if (!changes && (cli->given[OPTION_END] != NULL || cli->given[OPTION_FOR] != NULL ||
                     cli->given[OPTION_NOTE] != NULL))
        return cli_usage_error(cli, "expected MAILBOX ADDRESS|@DOMAIN");
    if (changes && cli->given[OPTION_NOTE] == NULL)
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    int answer = changes ? change(cli, &view, &problem)
                         : desk_permissions(&cli->desk, cli->words[0], cli->now_ms, &view,
                                            &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_permissions);
}
