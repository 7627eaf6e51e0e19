/* sendguard undo: puts back what an action changed a moment ago. */
#include <string.h>

#include "base/json.h"
#include "cli/views.h"

static void print_undone(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    bool done = json_is_true(view, "done");
    each_of(one, view, "undone") {
        const char *why = print_member(cli->arena, one, "why", NULL);
        printf("%s #%lld %s %s%s%s\n",
               why != NULL ? "not undone:"
               : done      ? "undone:"
                           : "would undo:",
               (long long)json_int(one, "number", 0), print_member(cli->arena, one, "action", ""),
               print_member(cli->arena, one, "subject", ""), why != NULL ? ": " : "",
               why != NULL ? why : "");
    }
    views_print_next(cli, "  before: ", json_member(json_member(view, "before"), "next"));
    views_print_next(cli, "  after:  ", json_member(json_member(view, "after"), "next"));
    if (json_int(view, "count", 0) > 0)
        puts("Messages that were sent in the meantime stay sent.");
}

int cli_run_undo(struct cli *cli)
{
    freed_by(json_put) struct json_object *words = json_object_new_object(), *view = NULL;
    struct problem problem = {0};
    const char *number = cli->words[0];
    if (cli->given[OPTION_NOTE] != NULL)
        json_add_string(words, "note", cli->given[OPTION_NOTE]);
    if (cli->given[OPTION_ALL] != NULL)
        json_add_bool(words, "all", true);
    int status = cli_answer(cli, desk_undo(&cli->desk, &cli->person, number + (*number == '#'),
                                           words, cli->given[OPTION_PREVIEW] != NULL, cli->now_ms,
                                           &view, &problem),
                            &problem);
    if (status >= 0)
        return status;
    status = views_show(cli, view, print_undone);
    return json_int(view, "not_undone", 0) > 0 && status == PROGRAM_OK ? PROGRAM_FAILED : status;
}
