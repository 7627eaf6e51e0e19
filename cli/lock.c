/* The commands lock, reopen, close, open and password-changed. */
#include <string.h>

#include "cli/views.h"

static void print_done(struct cli *cli, struct json_object *view)
{
    const char *preview = cli->given[OPTION_PREVIEW];
    printf("%s %s: %s\n", cli->command->name, print_member(cli->arena, view, "mailbox", "?"),
           preview != NULL               ? "nothing is done yet. Afterwards:"
           : json_is_true(view, "done") ? "done."
                                        : "there was nothing to do.");
    views_print_lock(cli, view);
}

static int run(struct cli *cli)
{
    freed_by(json_put) struct json_object *words = json_object_new_object(), *view = NULL;
    struct problem problem = {0};
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    const char *note = cli->given[OPTION_NOTE], *scope = cli->given[OPTION_SCOPE];
    const char *cause = cli->given[OPTION_CAUSE];
    const char *name = cli->command->name;
    if (note == NULL && !preview)
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    json_add_string(words, "action",
                    strcmp(name, "password-changed") == 0 ? "password_changed" : name);
    json_add_string(words, "note", note != NULL ? note : "preview");
    if (scope != NULL)
        json_add_string(words, "scope", scope);
    if (cause != NULL)
        json_add_string(words, "cause", cause);
    int answer = desk_lock_act(&cli->desk, &cli->person, cli->words[0], words, preview,
                               cli->now_ms, &view, &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_done);
}

/* By the key mailboxes are found. */
int cli_run_lock(struct cli *cli) { return cli_with_key(cli, run); }
