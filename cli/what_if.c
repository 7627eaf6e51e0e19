/* what-if: whom another limit would have stopped. */
#include <string.h>

#include "base/zone.h"
#include "cli/views.h"

static void print_mailboxes(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    struct print_table table;
    print_table_begin(&table, 5, 1u << 1 | 1u << 2);
    print_table_row(&table, "MAILBOX", "STOPPED", "LIMIT", "FIRST", "DECISION");
    each_of(one, view, "mailboxes")
        print_table_row(&table, print_member(cli->arena, one, "mailbox", ""),
                        print_number(cli->arena, one, "stopped", ""),
                        print_number(cli->arena, one, "limit", ""),
                        print_moment(cli->arena, one, "first_at", 0, ""),
                        print_member(cli->arena, one, "decision", ""));
    print_table_end(&table, stdout);
    if (json_int(view, "mailboxes_beyond", 0) > 0)
        printf("and %lld more\n", (long long)json_int(view, "mailboxes_beyond", 0));
}

static void print_what_if(struct cli *cli, struct json_object *view)
{
    int64_t mailboxes = json_int(view, "mailboxes_total", 0);
    printf("%s = %s%s%s, from %s to %s\n", json_string(view, "rule", ""),
           print_number(cli->arena, view, "value", ""),
           json_member(view, "subject") != NULL ? " of " : "",
           print_member(cli->arena, view, "subject", ""),
           print_moment(cli->arena, view, "since", 0, ""),
           print_moment(cli->arena, view, "until", 0, ""));
    printf("%s of %s messages would have been refused, of %lld mailbox%s.\n",
           print_number(cli->arena, view, "stopped", "0"),
           print_number(cli->arena, view, "messages", "0"), (long long)mailboxes,
           mailboxes == 1 ? "" : "es");
    if (!json_is_true(view, "whole"))
        puts("There were too many to look at all: ask for a higher limit or a shorter time.");
    if (mailboxes == 0)
        return;
    print_mailboxes(cli, view);
    if (json_is_true(view, "suspends"))
        puts("Each would also have been suspended from its first one on: [on_limit] says so.");
}

int cli_run_what_if(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    freed_by(zone_free) struct zone *zone = zone_open_local();
    const char *equals = strchr(cli->words[0], '=');
    if (equals == NULL)
        return cli_usage_error(cli, "\"%s\": expected RULE=VALUE", cli->words[0]);
    const struct desk_what_if words = {
        .rule = arena_strndup(cli->arena, cli->words[0], (size_t)(equals - cli->words[0])),
        .value = equals + 1, .subject = cli->given[OPTION_SCOPE],
        .since = cli->given[OPTION_SINCE], .zone = zone};
    int status = cli_answer(cli, desk_what_if(&cli->desk, &words, 0, cli->now_ms, &view, &problem),
                            &problem);
    return status >= 0 ? status : views_show(cli, view, print_what_if);
}
