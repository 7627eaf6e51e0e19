/* The commands lock, reopen, close, open and password-changed. */
#include <string.h>

#include "cli/views.h"

/* What a lock that ends leaves. */
static void print_stays(struct cli *cli, struct json_object *view)
{
    struct json_object *block;
    each_of(block, view, "blocks")
        printf("  signing in stays closed to %s until %s: sendguard logins %s\n",
               print_member(cli->arena, block, "network", "all networks that are not known"),
               print_moment(cli->arena, block, "until", cli->now_ms, "?"),
               print_member(cli->arena, view, "mailbox", "?"));
    if (json_is_true(view, "suspended_besides"))
        printf("  sending stays suspended for another cause: sendguard show %s\n",
               print_member(cli->arena, view, "mailbox", "?"));
}

static void print_done(struct cli *cli, struct json_object *view)
{
    const char *preview = cli->given[OPTION_PREVIEW];
    printf("%s %s: %s\n", cli->command->name, print_member(cli->arena, view, "mailbox", "?"),
           preview != NULL               ? "nothing is done yet. Afterwards:"
           : json_is_true(view, "done") ? "done."
                                        : "there was nothing to do.");
    views_print_lock(cli, view);
    if (strcmp(json_string(view, "phase", ""), "reopened") == 0)
        print_stays(cli, view);
}

static void print_many(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    each_of(one, view, "mailboxes")
    {
        const char *was = json_string(one, "was", "");
        bool already = strcmp(was, "none") != 0 && strcmp(was, "reopened") != 0;
        printf("  %s%s%s\n", print_member(cli->arena, one, "mailbox", "?"),
               already ? ", locked already" : "",
               json_is_true(one, "seen") ? "" : ", not seen here lately");
    }
    printf("%s %lld, and %lld locked already; %lld of them not seen here lately\n",
           cli->given[OPTION_PREVIEW] != NULL ? "nothing is done yet: would lock" : "locked",
           (long long)json_int(view, "locked", 0), (long long)json_int(view, "already", 0),
           (long long)json_int(view, "unseen", 0));
}

static int run_many(struct cli *cli, struct json_object *words, bool preview)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct json_object *names = json_object_new_array();
    struct problem problem = {0};
    for (size_t i = 0; i < cli->subject_count; i++)
        json_object_array_add(names, json_object_new_string(cli->subjects[i].name));
    json_object_object_add(words, "mailboxes", names);
    int answer = desk_lock_many(&cli->desk, &cli->person, words, preview, cli->now_ms, &view,
                                &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_many);
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
    json_add_string(words, "note", note != NULL ? note : "preview");
    if (scope != NULL)
        json_add_string(words, "scope", scope);
    if (cause != NULL)
        json_add_string(words, "cause", cause);
    if (cli->subject_count > 1 || cli->given[OPTION_FROM] != NULL)
        return run_many(cli, words, preview);
    json_add_string(words, "action",
                    strcmp(name, "password-changed") == 0 ? "password_changed" : name);
    int answer = desk_lock_act(&cli->desk, &cli->person, cli->words[0], words, preview,
                               cli->now_ms, &view, &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_done);
}

/* By the key mailboxes are found. */
int cli_run_lock(struct cli *cli) { return cli_with_key(cli, run); }
