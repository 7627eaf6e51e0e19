/* Commands that change something: one request to the desk, made of words and options. */
#include <string.h>

#include "cli/views.h"

static void add_option(struct cli *cli, struct json_object *request, const char *member,
                       enum cli_option option)
{
    if (cli->given[option] != NULL)
        json_add_string(request, member, cli->given[option]);
}

/* -1 with the request filled; else the exit status. */
static int fill_request(struct cli *cli, struct json_object *request)
{
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    const char *note = cli->given[OPTION_NOTE];
    if (note == NULL && !preview)
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    json_add_string(request, "action", cli->command->name);
    json_add_string(request, "subject", cli->words[0]);
    json_add_string(request, "note", note != NULL ? note : "preview");
    add_option(cli, request, "cause", OPTION_CAUSE);
    add_option(cli, request, "for", OPTION_FOR);
    add_option(cli, request, "messages", OPTION_MESSAGES);
    add_option(cli, request, "off_domain", OPTION_OFF_DOMAIN);
    if (cli->given[OPTION_END] != NULL)
        json_add_string(request, "value", "default");
    if (cli->word_count < 2)
        return -1;
    const char *equals = strchr(cli->words[1], '=');
    if (equals == NULL)
        return cli_usage_error(cli, "\"%s\": expected RULE=VALUE", cli->words[1]);
    json_add_string(request, "rule",
                    arena_strndup(cli->arena, cli->words[1], (size_t)(equals - cli->words[1])));
    json_add_string(request, "value", equals + 1);
    return -1;
}

/* What a lift leaves. */
static void print_still(struct cli *cli, struct json_object *after)
{
    struct json_object *one;
    each_of(one, after, "suspensions")
        printf("  still suspended until %s because of %s\n",
               print_moment(cli->arena, one, "until", cli->now_ms, "staff lifts it"),
               print_member(cli->arena, one, "cause", "?"));
}

static void print_action(struct cli *cli, struct json_object *view)
{
    const char *subject = json_string(view, "subject", "");
    const char *why_not = print_member(cli->arena, view, "why_not", NULL);
    struct json_object *after = json_member(view, "after");
    bool done = json_is_true(view, "done");
    printf("%s %s: %s\n", print_member(cli->arena, view, "action", ""),
           print_plain(cli->arena, subject),
           done ? "done." : "nothing is done yet.");
    if (why_not != NULL)
        printf("  not possible: %s\n", why_not);
    views_print_next(cli, "  before: ", json_member(json_member(view, "before"), "next"));
    views_print_next(cli, "  after:  ", json_member(after, "next"));
    if (strcmp(json_string(view, "action", ""), "lift") == 0)
        print_still(cli, after);
    if (json_is_true(view, "reset_as_well"))
        printf("  The counts are still full: 'sendguard reset %s' forgets them.\n",
               print_plain(cli->arena, subject));
    if (views_list_length(view, "mailboxes") > 0) {
        printf("  concerns these mailboxes%s:\n",
               json_is_true(view, "more_mailboxes") ? " and more" : "");
        views_print_mailboxes(cli, view);
    }
}

int cli_run_action(struct cli *cli)
{
    freed_by(json_put) struct json_object *request = json_object_new_object(), *view = NULL;
    struct problem problem = {0};
    int status = fill_request(cli, request);
    if (status < 0)
        status = cli_answer(cli,
                            desk_action(&cli->desk, &cli->person, request,
                                        cli->given[OPTION_PREVIEW] != NULL, cli->now_ms, &view,
                                        &problem),
                            &problem);
    return status >= 0 ? status : views_show(cli, view, print_action);
}
