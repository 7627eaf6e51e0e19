#include "cli/failures.h"

#include <string.h>

/* What the hint of a block means. */
static const char *hint_text(struct json_object *block)
{
    static const struct {
        const char *hint, *text;
    } hints[] = {
        {"list", "Most of these addresses take no mail: probably an old or bought list."},
        {"form", "A web form probably writes to whatever address strangers enter."},
        {"password", "It looks like spam to those who got it: probably a stolen password."},
    };
    for (size_t i = 0; i < countof(hints); i++)
        if (strcmp(json_string(block, "hint", ""), hints[i].hint) == 0)
            return hints[i].text;
    return NULL;
}

void failures_print_block(struct cli *cli, const char *margin, struct json_object *block)
{
    const char *hint = hint_text(block);
    if (block == NULL)
        return;
    printf("%s%s is blocked until %s\n", margin, print_member(cli->arena, block, "subject", "?"),
           print_moment(cli->arena, block, "until", cli->now_ms, "?"));
    printf("%s  mail to %s of %s recipients failed or was deferred\n", margin,
           print_number(cli->arena, block, "bad", "?"),
           print_number(cli->arena, block, "all", "?"));
    if (hint != NULL)
        printf("%s  %s\n", margin, hint);
}

/* ---- a domain ----------------------------------------------------------------------------------- */

static void print_rule(struct cli *cli, struct json_object *failures)
{
    struct arena *arena = cli->arena;
    const char *percent = print_number(arena, failures, "percent", NULL);
    if (percent == NULL)
        puts("  failures.percent = off: no domain is blocked");
    else
        printf("  blocked when they are %s%% of all, and %s recipients of %s messages, or more%s\n",
               percent, print_number(arena, failures, "at_least", "?"),
               print_number(arena, failures, "min_messages", "?"),
               json_is_true(failures, "enforced") ? "" : "; mode observe: nobody is refused");
}

static void print_by_class(struct cli *cli, struct json_object *failures)
{
    struct json_object *classes = json_member(failures, "by_class");
    struct print_table table;
    if (classes == NULL || json_object_object_length(classes) == 0)
        return;
    print_table_begin(&table, 2, 1u << 0);
    print_table_row(&table, "RECIPIENTS", "CLASS");
    json_object_object_foreach(classes, class, count)
    {
        print_table_row(&table, json_object_get_string(count), print_plain(cli->arena, class));
    }
    print_table_end(&table, stdout);
}

static void print_by_mailbox(struct cli *cli, struct json_object *failures)
{
    struct json_object *one;
    struct print_table table;
    if (views_list_length(failures, "by_mailbox") == 0)
        return;
    print_table_begin(&table, 2, 1u << 0);
    print_table_row(&table, "RECIPIENTS", "MAILBOX");
    each_of(one, failures, "by_mailbox")
        print_table_row(&table, print_number(cli->arena, one, "bad", "?"),
                        print_member(cli->arena, one, "mailbox", "?"));
    print_table_end(&table, stdout);
}

static void print_left_out(struct cli *cli, struct json_object *failures)
{
    struct json_object *one;
    each_of(one, failures, "left_out") {
        bool outage = strcmp(json_string(one, "reason", ""), "outage") == 0;
        printf("  not counted: %s at %s, %s\n", print_number(cli->arena, one, "count", "?"),
               print_member(cli->arena, one, "destination", "(nobody answered)"),
               outage ? "which had an outage" : "by our own trouble");
    }
    if (json_int(failures, "missed", 0) > 0)
        printf("  not counted: %s more, since there were too many\n",
               print_number(cli->arena, failures, "missed", "?"));
}

static const char *ended_text(struct json_object *block)
{
    const char *ended = json_string(block, "ended", NULL);
    return ended == NULL                    ? "holds"
           : strcmp(ended, "outage") == 0   ? "ended by an outage"
           : strcmp(ended, "lifted") == 0   ? "lifted"
                                            : "ended by itself";
}

static void print_blocks(struct cli *cli, struct json_object *failures)
{
    struct json_object *one;
    struct print_table table;
    if (views_list_length(failures, "blocks") == 0)
        return;
    puts("\nBlocks of the last 7 days");
    print_table_begin(&table, 5, 0);
    print_table_row(&table, "SINCE", "UNTIL", "", "BLOCKED", "MOSTLY BY");
    each_of(one, failures, "blocks") {
        const char *culprit = print_member(cli->arena, one, "culprit", "");
        print_table_row(&table, print_moment(cli->arena, one, "since", 0, "?"),
                        print_moment(cli->arena, one, "until", 0, "?"), ended_text(one),
                        print_member(cli->arena, one, "mailbox", "the domain"),
                        json_is_true(one, "suspends")
                            ? arena_printf(cli->arena, "%s (the third)", culprit)
                            : culprit);
    }
    print_table_end(&table, stdout);
}

void failures_print_domain(struct cli *cli, struct json_object *failures)
{
    struct arena *arena = cli->arena;
    struct json_object *block;
    const char *breaks = print_moment(arena, failures, "breaks_at", cli->now_ms, NULL);
    if (failures == NULL)
        return;
    printf("\nFailures of @%s in %lld minutes\n",
           print_member(arena, failures, "sender_domain", "?"),
           (long long)json_int(failures, "window_s", 0) / 60);
    printf("  %s of %s recipients failed or were deferred\n",
           print_number(arena, failures, "bad", "?"), print_number(arena, failures, "all", "?"));
    print_rule(cli, failures);
    failures_print_block(cli, "  ", json_member(failures, "block"));
    each_of(block, failures, "mailbox_blocks")
        failures_print_block(cli, "  ", block);
    if (breaks != NULL)
        printf("  if no more is sent, it is blocked from %s on\n", breaks);
    print_by_class(cli, failures);
    print_by_mailbox(cli, failures);
    print_left_out(cli, failures);
    print_blocks(cli, failures);
}

/* ---- now ------------------------------------------------------------------------------------------ */

void failures_print_now(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    each_of(one, view, "outages") {
        int64_t domains = json_int(one, "domains", 0);
        printf("%s has an outage since %s\n  mail of %lld domain%s fails there\n",
               print_member(cli->arena, one, "destination", "?"),
               print_moment(cli->arena, one, "since", cli->now_ms, "?"), (long long)domains,
               domains == 1 ? "" : "s");
    }
    each_of(one, view, "blocked")
        failures_print_block(cli, "", one);
}
