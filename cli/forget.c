/* sendguard forget: removes what is stored about a mailbox, as far as it may go. */
#include "base/json.h"
#include "cli/views.h"
#include "desk/stored.h"

static void print_kinds(struct json_object *view, const char *name, bool stays)
{
    struct json_object *one;
    each_of(one, view, name) {
        printf("%6lld  %s\n", (long long)json_int(one, "count", 0), json_string(one, "what", ""));
        if (stays)
            printf("        Until: %s.\n        Why: %s.\n", json_string(one, "kept", ""),
                   json_string(one, "why", ""));
    }
}

static void print_forgotten(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    bool done = json_is_true(view, "done");
    printf("%s of %s:%s\n", done ? "Removed" : "Would be removed",
           print_member(cli->arena, view, "mailbox", ""),
           views_list_length(view, "goes") > 0 ? "" : " nothing");
    print_kinds(view, "goes", false);
    if (views_list_length(view, "stays") > 0)
        printf("\nWhat %s:\n", done ? "stays" : "would stay");
    print_kinds(view, "stays", true);
    printf("\n%s, where no address is: %s\n",
           done ? "The entry in the audit log" : "The entry in the audit log would be about",
           print_member(cli->arena, view, "subject", ""));
    each_of(one, view, "before")
        printf("It was forgotten before: %s, entry #%lld\n",
               print_moment(cli->arena, one, "at", 0, "?"), (long long)json_int(one, "number", 0));
    if (!json_is_true(view, "log_cut"))
        puts("A program reads an old state of the database, so the write-ahead log still has what was\n"
             "removed. End that program (a backup?), and run the same command again.");
}

static int run_with_key(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    struct action action;
    struct stored_source source = {cli->settings->store_url,
                                   program_store_options(cli->settings)};
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    source.options.timeout_ms = CLI_WHOLE_STORE_MS;
    int status = preview ? -1 : cli_read_note(cli, &action);
    if (status < 0)
        status = cli_answer(cli, desk_forget(&cli->desk, &source, cli->words[0],
                                             preview ? NULL : &action, cli->now_ms, &view,
                                             &problem),
                            &problem);
    return status >= 0 ? status : views_show(cli, view, print_forgotten);
}

int cli_run_forget(struct cli *cli) { return cli_with_key(cli, run_with_key); }
