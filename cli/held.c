/* The commands held, release and reject: messages that Postfix holds. */
#include <string.h>

#include "cli/views.h"

static void print_held(struct cli *cli, struct json_object *one)
{
    const char *mailbox = print_member(cli->arena, one, "mailbox", "?");
    printf("%s: %s %s since %s, the last one came %s\n", mailbox,
           print_number(cli->arena, one, "count", "?"),
           json_int(one, "count", 0) == 1 ? "message has been waiting" : "messages have been waiting",
           print_moment(cli->arena, one, "since", cli->now_ms, "?"),
           print_moment(cli->arena, one, "last_at", cli->now_ms, "?"));
    if (json_int(one, "unlisted", 0) > 0)
        printf("  of %s no queue id is kept, since they are more than so many: postqueue -p lists "
               "them\n", print_number(cli->arena, one, "unlisted", "?"));
    printf("  %s\n", print_member(cli->arena, one, "sentence", ""));
}

static void print_all(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    if (views_list_length(view, "held") == 0)
        puts("No message waits.");
    each_of(one, view, "held")
        print_held(cli, one);
    each_of(one, view, "lately")
        printf("%s: %s %s %s since %s\n  %s\n",
               print_member(cli->arena, one, "mailbox", "?"),
               print_number(cli->arena, one, "count", "?"),
               json_int(one, "count", 0) == 1 ? "message was" : "messages were",
               strcmp(json_string(one, "action", ""), "defer") == 0 ? "deferred" : "noted",
               print_moment(cli->arena, one, "since", cli->now_ms, "?"),
               print_member(cli->arena, one, "sentence", ""));
    if (views_list_length(view, "held") > 0)
        puts("It was its user: sendguard release MAILBOX --note \"...\"; it was somebody else: "
             "sendguard reject MAILBOX --note \"...\". With --preview nothing is done yet.");
}

int cli_run_held(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (desk_held(&cli->desk, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    if (cli->given[OPTION_JSON] == NULL)
        return views_show(cli, view, print_all);
    print_json(json_member(view, "held"), stdout);
    return cli_end_output(cli);
}

/* ---- an answer ------------------------------------------------------------------------------ */

static void print_preview(struct cli *cli, struct json_object *view)
{
    bool releases = strcmp(json_string(view, "action", ""), "release") == 0;
    struct json_object *commands = json_member(view, "commands");
    print_held(cli, json_member(view, "held"));
    if (releases)
        printf("nothing is done yet. Would release them in the order in which they came: they cannot "
               "be called back. For a week it is usual of the mailbox to write to %s new people in an "
               "hour\n", print_number(cli->arena, json_member(view, "held"), "most", "?"));
    else
        puts("nothing is done yet. Would lock the mailbox (lift opens it), and delete them for good: "
             "nobody can bring them back");
    if (json_int(view, "gone", 0) > 0)
        printf("  %s of them are not on hold any more, and are left alone\n",
               print_number(cli->arena, view, "gone", "?"));
    if (commands == NULL)
        return;
    printf("sendguard-postqueue cannot be asked (%s): type this as root, then do it with --by-hand "
           "%s\n", print_member(cli->arena, view, "helper", "?"),
           print_number(cli->arena, view, "seen", "?"));
    for (size_t i = 0; i < json_object_array_length(commands); i++)
        printf("  %s\n", print_plain(cli->arena, json_object_get_string(
                                                     json_object_array_get_idx(commands, i))));
}

static void print_done(struct cli *cli, struct json_object *view)
{
    if (!json_is_true(view, "done")) {
        print_preview(cli, view);
        return;
    }
    printf("%s: %s released, %s deleted, %s were not on hold any more, %s given back\n",
           print_member(cli->arena, view, "mailbox", "?"),
           print_number(cli->arena, view, "released", "?"),
           print_number(cli->arena, view, "deleted", "?"),
           print_number(cli->arena, view, "gone", "?"),
           print_number(cli->arena, view, "refunded", "?"));
    if (json_int(view, "unlisted", 0) > 0)
        printf("  %s more stay on hold, of which no queue id is kept: postqueue -p lists them\n",
               print_number(cli->arena, view, "unlisted", "?"));
}

static int run(struct cli *cli)
{
    freed_by(json_put) struct json_object *words = json_object_new_object(), *view = NULL;
    struct problem problem = {0};
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    const char *note = cli->given[OPTION_NOTE], *seen = cli->given[OPTION_BY_HAND];
    if (note == NULL && !preview)
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    json_add_string(words, "action", cli->command->name);
    json_add_string(words, "note", note != NULL ? note : "preview");
    if (seen != NULL) {
        json_add_bool(words, "by_hand", true);
        json_add_string(words, "seen", seen);
    }
    int answer = desk_held_act(&cli->desk, &cli->person, cli->words[0], words, preview,
                               cli->now_ms, &view, &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_done);
}

/* A lock finds mailboxes by the key. */
int cli_run_release(struct cli *cli) { return cli_with_key(cli, run); }
