/* The command logins: wrong passwords, and the blocks that they brought. */
#include <string.h>

#include "base/zone.h"
#include "cli/views.h"

/* "127.0.0.1 is closed until 14:05 (in 3 min) to …": of a network the block has no mailbox. */
static void print_block(struct cli *cli, struct json_object *block, bool observes)
{
    const char *network = print_member(cli->arena, block, "network", NULL);
    const char *until = print_moment(cli->arena, block, "until", cli->now_ms, "?");
    const char *rule = print_member(cli->arena, block, "rule", "?");
    if (json_member(block, "mailbox") == NULL)
        printf("%s %s closed until %s to mailboxes that have not signed in there within 30 days "
               "(%s)\n",
               network != NULL ? network : "?", observes ? "would be" : "is", until, rule);
    else
        printf("%s until %s to %s (%s)\n", observes ? "Would be closed" : "Closed", until,
               network != NULL ? network : "all networks that are not known", rule);
}

static void print_blocks(struct cli *cli, struct json_object *view)
{
    struct json_object *block;
    bool observes = strcmp(json_string(view, "mode", ""), "observe") == 0;
    each_of(block, view, "blocks")
        print_block(cli, block, observes);
    const char *locked = print_moment(cli->arena, view, "locked_since", cli->now_ms, NULL);
    if (locked != NULL)
        printf("Locked since %s: sendguard show %s\n", locked,
               print_member(cli->arena, view, "mailbox", "?"));
    else if (views_list_length(view, "blocks") == 0)
        puts(json_member(view, "mailbox") != NULL
                 ? "Nothing is closed."
                 : "This network is not closed as a whole; single mailboxes may be closed to it.");
}

static void print_counts(struct cli *cli, struct json_object *view)
{
    struct json_object *count;
    each_of(count, view, "counts")
        printf("  %s: %s of %s in the last hour\n", print_member(cli->arena, count, "rule", "?"),
               print_number(cli->arena, count, "count", "?"),
               print_number(cli->arena, count, "limit", "no limit"));
}

/* "imap, smtp", of a network; or that of an old password. */
static const char *protocols_of(struct cli *cli, struct json_object *one)
{
    const char *text = "";
    struct json_object *protocol;
    if (json_member(one, "protocols") == NULL)
        return print_member(cli->arena, one, "protocol", "");
    each_of(protocol, one, "protocols")
        text = arena_printf(cli->arena, "%s%s%s", text, *text != '\0' ? ", " : "",
                            json_object_get_string(protocol));
    return text;
}

/* The member `number` stands below `head`; NULL: there is none. */
static void print_networks(struct cli *cli, struct json_object *view, const char *list,
                           const char *title, const char *head, const char *number)
{
    struct json_object *one;
    struct print_table table;
    if (views_list_length(view, list) == 0)
        return;
    printf("%s:\n", title);
    print_table_begin(&table, 4, 1U << 2);
    print_table_row(&table, "NETWORK", "LAST", head, strcmp(list, "wrong") != 0 ? "BY" : "");
    each_of(one, view, list)
        print_table_row(&table, print_member(cli->arena, one, "network", "(not known)"),
                        print_moment(cli->arena, one, "last_at", 0, ""),
                        number != NULL ? print_number(cli->arena, one, number, "") : "",
                        protocols_of(cli, one));
    print_table_end(&table, stdout);
}

/* Of networks where wrong passwords for the mailbox came from. */
static void print_network_blocks(struct cli *cli, struct json_object *view)
{
    struct json_object *block;
    bool observes = strcmp(json_string(view, "mode", ""), "observe") == 0;
    each_of(block, view, "network_blocks")
    {
        print_block(cli, block, observes);
        printf("  see logins %s\n", print_member(cli->arena, block, "network", "?"));
    }
}

static void print_seen(struct cli *cli, struct json_object *view)
{
    const char *since = print_moment(cli->arena, view, "seen_since", 0, NULL);
    if (strcmp(json_string(view, "mode", ""), "observe") != 0)
        return;
    puts("Wrong passwords keep nobody out: logins.mode is observe.");
    if (since != NULL)
        printf("Sign-ins are seen since %s; blocks can be enforced from %s on.\n", since,
               print_moment(cli->arena, view, "ready_at", 0, "?"));
}

/* Sign-ins have been seen long enough. */
static bool is_ready(struct json_object *view)
{
    int64_t now_ms, ready_ms;
    return zone_moment_read(json_string(view, "now", ""), &now_ms) &&
           zone_moment_read(json_string(view, "ready_at", ""), &ready_ms) && now_ms >= ready_ms;
}

static void print_password(struct cli *cli, struct json_object *password)
{
    if (password == NULL)
        return;
    printf("The password is in use for %s days at least; %s it is too old.\n",
           print_number(cli->arena, password, "days", "?"),
           json_is_true(password, "ended")
               ? arena_printf(cli->arena, "since %s",
                              print_moment(cli->arena, password, "until", 0, "?"))
               : arena_printf(cli->arena, "from %s on",
                              print_moment(cli->arena, password, "until", cli->now_ms, "?")));
}

static void print_logins(struct cli *cli, struct json_object *view)
{
    bool is_end = json_member(view, "done") != NULL;
    if (is_end)
        puts(json_is_true(view, "done") ? "Done. Now:"
                                        : "Nothing is done yet. It would then be so:");
    print_seen(cli, view);
    print_blocks(cli, view);
    print_network_blocks(cli, view);
    print_counts(cli, view);
    if (json_member(view, "known_mailboxes") != NULL)
        printf("  mailboxes that signed in there within 30 days: %s\n%s",
               print_number(cli->arena, view, "known_mailboxes", "?"),
               is_ready(view) ? ""
                              : "While nobody has signed in for ten minutes, wrong passwords count "
                                "for mailboxes alone, not for networks.\n");
    if (json_member(view, "open_until") != NULL)
        printf("  open to everywhere until %s\n",
               print_moment(cli->arena, view, "open_until", cli->now_ms, "?"));
    print_password(cli, json_member(view, "password"));
    print_networks(cli, view, "wrong", "Wrong passwords of the last hour", "COUNTED", "count");
    print_networks(cli, view, "old_passwords", "An old password is still used", "TRIES", "tries");
    print_networks(cli, view, "known", "Signed in within 30 days", "", NULL);
}

/* A mailbox has an '@', an address of the network has none. */
static bool is_mailbox(const char *word) { return strchr(word, '@') != NULL; }

static int end_blocks(struct cli *cli, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *words = json_object_new_object();
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status >= 0)
        return status;
    json_add_string(words, is_mailbox(cli->words[0]) ? "mailbox" : "ip", cli->words[0]);
    json_add_string(words, "note", action.note);
    return cli_answer(cli, desk_logins_end(&cli->desk, &cli->person, words,
                                           cli->given[OPTION_PREVIEW] != NULL, cli->now_ms, view_r,
                                           &problem),
                      &problem);
}

static int run(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    const char *word = cli->words[0];
    int status = cli->given[OPTION_END] != NULL
                     ? end_blocks(cli, &view)
                     : cli_answer(cli, desk_logins(&cli->desk, is_mailbox(word) ? word : NULL,
                                                   is_mailbox(word) ? NULL : word, cli->now_ms,
                                                   &view, &problem),
                                  &problem);
    return status >= 0 ? status : views_show(cli, view, print_logins);
}

/* By the key mailboxes are found. */
int cli_run_logins(struct cli *cli) { return cli_with_key(cli, run); }
