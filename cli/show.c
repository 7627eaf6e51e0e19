/* Commands that look: show, search, suspended, near, senders, explain. */
#include <string.h>

#include "base/zone.h"
#include "cli/delivery.h"
#include "cli/failures.h"
#include "store/observations.h"

/* ---- a mailbox -------------------------------------------------------------------- */

static void print_timeline(struct cli *cli, struct json_object *view)
{
    struct json_object *entry;
    if (views_list_length(view, "timeline") == 0)
        return;
    puts("\nWhat happened");
    each_of(entry, view, "timeline") {
        fputs("  ", stdout);
        if (strcmp(json_string(entry, "kind", ""), "action") == 0)
            printf("%s  %s\n", print_moment(cli->arena, entry, "at", 0, "?"),
                   views_action_text(cli, entry));
        else
            views_print_decision(cli, NULL, entry);
    }
    if (json_string(view, "older", NULL) != NULL)
        puts("  (older entries are there)");
}

static void print_notes(struct cli *cli, struct json_object *view)
{
    struct json_object *note;
    if (views_list_length(view, "notes") == 0)
        return;
    puts("\nNotes");
    each_of(note, view, "notes")
        printf("  %s  %s: %s\n", print_moment(cli->arena, note, "at", cli->now_ms, "?"),
               print_member(cli->arena, note, "by", "?"),
               print_member(cli->arena, note, "note", ""));
}

/* That the user objects, and nobody has answered. */
static void print_appeals(struct json_object *view)
{
    struct json_object *appeal;
    int64_t waiting = 0;
    each_of(appeal, view, "appeals")
        waiting += json_member(appeal, "answer") == NULL;
    if (waiting > 0)
        puts("  its user objects and waits for an answer: sendguard appeals");
}

static void print_held(struct cli *cli, struct json_object *held)
{
    if (held != NULL)
        printf("  messages that wait for the postmaster since %s: %s; so would the next one with a "
               "new recipient. sendguard held\n",
               print_moment(cli->arena, held, "since", cli->now_ms, "?"),
               print_number(cli->arena, held, "count", "?"));
}

static void print_mailbox(struct cli *cli, struct json_object *view)
{
    const char *exempt = print_member(cli->arena, view, "exempt", NULL);
    struct json_object *lock = json_member(view, "lock");
    views_print_state(cli, json_string(view, "mailbox", ""), view);
    failures_print_block(cli, "  ", json_member(view, "block"));
    if (strcmp(json_string(lock, "phase", "none"), "none") != 0)
        views_print_lock(cli, lock);
    print_appeals(view);
    print_held(cli, json_member(view, "held"));
    if (exempt != NULL)
        printf("  exempt from all limits (%s)\n", exempt);
    views_print_plan(cli, json_member(view, "plan"));
    views_print_next(cli, "  ", json_member(view, "next"));
    views_print_windows(cli, view);
    views_print_limits(cli, view);
    print_timeline(cli, view);
    print_notes(cli, view);
}

/* ---- what a text is ------------------------------------------------------------------ */

/* What was meant perhaps. */
static void print_matches(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    each_of(one, view, "matches")
        printf("  %s %s\n", print_member(cli->arena, one, "found", ""),
               print_member(cli->arena, one, "key", ""));
}

static void print_found(struct cli *cli, struct json_object *view)
{
    static const struct {
        const char *found, *command, *before;
    } ways[] = {
        {"mailbox", "show", ""},
        {"domain", "show", "@"},
        {"ip", "senders", ""},
        {"decision", "explain", ""},
    };
    const char *found = print_member(cli->arena, view, "found", "nothing");
    const char *key = print_member(cli->arena, view, "key", "");
    for (size_t i = 0; i < countof(ways); i++)
        if (strcmp(found, ways[i].found) == 0)
            printf("%s %s: sendguard %s %s%s\n", found, key, ways[i].command,
                   *key == '@' ? "" : ways[i].before, key);
    if (strcmp(found, "network") == 0)
        printf("network %s: of the last 500 decisions these addresses are in it:\n", key);
    else if (views_list_length(view, "matches") > 0)
        puts(strcmp(found, "nothing") == 0 ? "Perhaps you meant:"
                                           : "Nothing is known of it. Perhaps you meant:");
    print_matches(cli, view);
}

int cli_run_search(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    int status = cli_answer(cli, desk_search(&cli->desk, cli->words[0], cli->now_ms, &view, &problem),
                            &problem);
    if (status >= 0)
        return status;
    status = views_show(cli, view, print_found);
    if (strcmp(json_string(view, "found", "nothing"), "nothing") == 0 &&
        views_list_length(view, "matches") == 0)
        return cli_failed(cli, "\"%s\" is no mailbox, domain, IP address or decision id",
                          cli->words[0]);
    return status;
}

/* ---- lists ------------------------------------------------------------------------------- */

/* When a suspension ends, or what ends it. */
static const char *end_of(struct cli *cli, struct json_object *entry)
{
    struct json_object *lock = json_member(entry, "lock");
    bool alone = strcmp(json_string(lock, "scope", ""), "sending") == 0;
    const char *otherwise =
        lock == NULL ? "staff lifts it"
                     : arena_printf(cli->arena, "%s (%s)",
                                    views_lock_end(json_is_true(lock, "closed")),
                                    alone ? "sending alone" : "signing in and sending");
    return print_moment(cli->arena, entry, "until", cli->now_ms, otherwise);
}

static void print_suspended(struct cli *cli, struct json_object *view)
{
    struct json_object *entry;
    struct print_table table;
    size_t count = views_list_length(view, "suspended");
    if (count == 0) {
        puts(json_member(view, "causes") != NULL ? "None that fits is suspended."
                                                 : "Nobody is suspended.");
        return;
    }
    printf("%zu suspended.\n", count);
    print_table_begin(&table, 6, 1u << 4);
    print_table_row(&table, "MAILBOX", "CAUSE", "SINCE", "UNTIL", "ATTEMPTS", "BY");
    each_of(entry, view, "suspended")
        print_table_row(&table, print_member(cli->arena, entry, "mailbox", ""),
                        print_member(cli->arena, entry, "cause", ""),
                        print_moment(cli->arena, entry, "since", cli->now_ms, ""),
                        end_of(cli, entry), print_number(cli->arena, entry, "attempts", "0"),
                        print_member(cli->arena, entry, "by", ""));
    print_table_end(&table, stdout);
}

/* Those that fit. */
static int find_suspended(struct cli *cli, const struct suspended_filter *filter)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    int status = cli_answer(cli, desk_campaigns(&cli->desk, filter, cli->now_ms, &view, &problem),
                            &problem);
    if (status >= 0)
        return status;
    status = views_show(cli, view, print_suspended);
    if (json_is_true(view, "more") && cli->given[OPTION_JSON] == NULL)
        puts("There may be more: the newest 500 of 10,000 that are looked at are told.");
    return status;
}

static int list_suspended(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    const struct suspended_filter filter = {
        .cause = cli->given[OPTION_CAUSE], .by = cli->given[OPTION_BY],
        .network = cli->given[OPTION_NETWORK], .last = cli->given[OPTION_SINCE]};
    if (filter.cause != NULL || filter.by != NULL || filter.network != NULL || filter.last != NULL)
        return find_suspended(cli, &filter);
    if (desk_suspended(&cli->desk, "", cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    for (const char *next; (next = json_string(view, "next", NULL)) != NULL;) {
        freed_by(json_put) struct json_object *page = NULL;
        if (desk_suspended(&cli->desk, next, cli->now_ms, &page) < 1)
            return cli_no_store(cli);
        views_join(view, page, "suspended", "next");
    }
    return views_show(cli, view, print_suspended);
}

int cli_run_suspended(struct cli *cli) { return cli_with_key(cli, list_suspended); }

static void print_near_list(struct cli *cli, struct json_object *view, const char *member,
                            const char *head)
{
    struct json_object *entry;
    struct print_table table;
    if (views_list_length(view, member) == 0)
        return;
    print_table_begin(&table, 7, 1u << 1 | 1u << 2 | 1u << 3);
    print_table_row(&table, head, "%", "USED", "LIMIT", "RULE", "CHANNEL", "ROOM");
    each_of(entry, view, member)
        print_table_row(&table, print_member(cli->arena, entry, "key", ""),
                        print_number(cli->arena, entry, "percent", ""),
                        print_number(cli->arena, entry, "used", ""),
                        print_number(cli->arena, entry, "limit", "off"),
                        print_member(cli->arena, entry, "rule", ""),
                        print_member(cli->arena, entry, "channel", ""),
                        json_is_true(entry, "full")
                      ? print_moment(cli->arena, entry, "retry_at", cli->now_ms, "none")
                      : "");
    print_table_end(&table, stdout);
}

static void print_near(struct cli *cli, struct json_object *view)
{
    if (views_list_length(view, "near") + views_list_length(view, "ips") +
            views_list_length(view, "domains") ==
        0)
        puts("Nobody is above four fifths of a limit.");
    print_near_list(cli, view, "near", "MAILBOX");
    print_near_list(cli, view, "ips", "IP");
    print_near_list(cli, view, "domains", "DOMAIN");
}

int cli_run_near(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (desk_near(&cli->desk, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    return views_show(cli, view, print_near);
}

/* Of a domain that is near its limit of an hour. */
static void print_campaign(struct cli *cli, struct json_object *view)
{
    struct json_object *campaign = json_member(view, "campaign"), *one;
    struct json_object *same = json_member(campaign, "same_recipients");
    struct print_table table;
    if (campaign == NULL)
        return;
    puts("\nIn the last hour");
    print_table_begin(&table, 3, 1u << 1);
    print_table_row(&table, "MAILBOX", "MESSAGES", "");
    each_of(one, campaign, "mailboxes")
        print_table_row(&table, print_member(cli->arena, one, "mailbox", ""),
                        print_number(cli->arena, one, "messages", "0"),
                        json_is_true(one, "suspended") ? "suspended" : "");
    print_table_end(&table, stdout);
    if (json_is_true(campaign, "more_mailboxes"))
        puts("and others");
    each_of(one, campaign, "numbered")
        printf("%s: %lld mailboxes whose names differ by a number sent %lld messages.\n",
               print_member(cli->arena, one, "name", ""), (long long)json_int(one, "mailboxes", 0),
               (long long)json_int(one, "messages", 0));
    if (same != NULL)
        printf("%lld of these mailboxes wrote to the same %lld recipients.\n",
               (long long)json_int(same, "mailboxes", 0),
               (long long)json_int(same, "recipients", 0));
}

static void print_senders(struct cli *cli, struct json_object *view)
{
    size_t count = views_list_length(view, "mailboxes");
    printf("%zu mailbox%s sent from %s in the last 24 hours.\n", count, count == 1 ? "" : "es",
           print_member(cli->arena, view, "key", "there"));
    views_print_mailboxes(cli, view);
    views_print_windows(cli, view);
    print_campaign(cli, view);
    views_print_limits(cli, view);
}

/* All pages. */
static int read_senders(struct cli *cli, struct json_object **view_r, struct problem *problem)
{
    bool domain = cli->words[0][0] == '@';
    enum sender_of of = domain ? SENDERS_OF_DOMAIN : SENDERS_OF_IP;
    const char *key = cli->words[0] + (domain ? 1 : 0);
    int answer = desk_senders(&cli->desk, of, key, "", cli->now_ms, view_r, problem);
    for (const char *next;
         answer == 1 && (next = json_string(*view_r, "next", NULL)) != NULL;) {
        freed_by(json_put) struct json_object *page = NULL;
        answer = desk_senders(&cli->desk, of, key, next, cli->now_ms, &page, problem);
        if (answer == 1)
            views_join(*view_r, page, "mailboxes", "next");
    }
    return answer;
}

int cli_run_senders(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    int status = cli_answer(cli, read_senders(cli, &view, &problem), &problem);
    return status >= 0 ? status : views_show(cli, view, print_senders);
}

/* ---- a domain -------------------------------------------------------------------------------- */

static void print_domain(struct cli *cli, struct json_object *view)
{
    print_senders(cli, view);
    failures_print_domain(cli, json_member(view, "failures"));
    delivery_print_domain(cli, json_member(view, "delivery"));
}

static int show_domain(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct json_object *delivery = NULL;
    struct problem problem = {0};
    int answer = read_senders(cli, &view, &problem);
    if (answer == 1)
        answer = delivery_read_domain(cli, cli->words[0], &delivery, &problem);
    int status = cli_answer(cli, answer, &problem);
    if (status >= 0)
        return status;
    json_add(view, "delivery", delivery);
    return views_show(cli, view, print_domain);
}

static int show_mailbox(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    int answer = desk_mailbox(&cli->desk, cli->words[0], NULL, cli->now_ms, &view, &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_mailbox);
}

/* ---- a moment of the past ------------------------------------------------------------------ */

static void print_past_suspensions(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    if (views_list_length(view, "suspensions") == 0)
        puts("  not suspended");
    each_of(one, view, "suspensions")
        printf("  suspended for %s since %s until %s, by %s: %s; refused since: %s\n",
               print_member(cli->arena, one, "cause", "?"),
               print_moment(cli->arena, one, "since", 0, "?"),
               print_moment(cli->arena, one, "until", 0, "staff lifts it"),
               print_member(cli->arena, one, "by", "?"),
               print_member(cli->arena, one, "note", ""),
               print_number(cli->arena, one, "attempts", "0"));
}

static void print_past(struct cli *cli, struct json_object *view)
{
    const char *exempt = print_member(cli->arena, view, "exempt", NULL);
    printf("%s at %s (time zone of this machine)\n", print_member(cli->arena, view, "mailbox", ""),
           print_moment(cli->arena, view, "at", 0, ""));
    print_past_suspensions(cli, view);
    if (exempt != NULL)
        printf("  exempt from all limits (%s)\n", exempt);
    views_print_plan(cli, json_member(view, "plan"));
    views_print_windows(cli, view);
    views_print_limits(cli, view);
    if (!json_is_true(view, "whole"))
        puts("\nThere was more than is looked at: something may be missing.");
    puts("\nNot known: changes of the settings (those of now are taken), blocks for mail that failed,\n"
         "windows of networks, domains and recipients. A message that was taken back later counts;\n"
         "each refused message is taken as another attempt.");
}

static int show_past(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    freed_by(zone_free) struct zone *zone = zone_open_local();
    struct problem problem = {0};
    if (cli->words[0][0] == '@')
        return cli_usage_error(cli, "--at is of a mailbox");
    int status = cli_answer(cli, desk_past(&cli->desk, cli->words[0], cli->given[OPTION_AT], zone,
                                           0, cli->now_ms, &view, &problem), &problem);
    return status >= 0 ? status : views_show(cli, view, print_past);
}

/* By the key locks are found. */
int cli_run_show(struct cli *cli)
{
    if (cli->given[OPTION_AT] != NULL)
        return show_past(cli);
    return cli->words[0][0] == '@' ? show_domain(cli) : cli_with_key(cli, show_mailbox);
}

/* ---- one decision ---------------------------------------------------------------------------- */

/* "412 + 98 = 510" over time, else the count. */
static const char *counted(struct cli *cli, struct json_object *rule)
{
    const char *before = print_number(cli->arena, rule, "used_before", NULL);
    if (!json_is_true(rule, "over_time") || before == NULL)
        return print_number(cli->arena, rule, "count", "-");
    return arena_printf(cli->arena, "%s + %s", before,
                        print_number(cli->arena, rule, "cost", "0"));
}

static const char *limit_from(struct cli *cli, struct json_object *rule)
{
    const char *source = print_member(cli->arena, rule, "source", "");
    const char *extra = print_number(cli->arena, rule, "extra", "0");
    const char *from = strcmp(source, "settings") == 0
                           ? print_member(cli->arena, rule, "setting", source)
                       : strcmp(source, "plan") == 0
                           ? arena_printf(cli->arena, "plan %s",
                                          print_member(cli->arena, rule, "plan", "?"))
                           : arena_printf(cli->arena, "set for the %s", source);
    return strcmp(extra, "0") == 0 ? from
                                   : arena_printf(cli->arena, "%s, extra %s", from, extra);
}

static void print_rules(struct cli *cli, struct json_object *view)
{
    struct json_object *rule;
    struct print_table table;
    puts("\nRules");
    print_table_begin(&table, 6, 1u << 2 | 1u << 3);
    print_table_row(&table, "", "RULE", "COUNTED", "LIMIT", "AT", "FROM");
    each_of(rule, view, "rules")
        print_table_row(&table,
                        json_is_true(rule, "broken")    ? "over"
                        : json_is_true(rule, "checked") ? "ok"
                                                  : "-",
                        print_member(cli->arena, rule, "rule", ""), counted(cli, rule),
                        print_number(cli->arena, rule, "limit", "off"),
                        print_member(cli->arena, rule, "domain",
                                     print_member(cli->arena, rule, "field", "")),
                        limit_from(cli, rule));
    print_table_end(&table, stdout);
}

static void print_domains(struct cli *cli, struct json_object *view)
{
    struct json_object *domain;
    struct print_table table;
    if (views_list_length(view, "domains") == 0)
        return;
    puts("\nDomains");
    print_table_begin(&table, 3, 1u << 1 | 1u << 2);
    print_table_row(&table, "DOMAIN", "RECIPIENTS", "CHARACTERS");
    each_of(domain, view, "domains")
        print_table_row(&table, print_member(cli->arena, domain, "domain", ""),
                        print_number(cli->arena, domain, "recipients", ""),
                        print_number(cli->arena, domain, "header_chars", ""));
    print_table_end(&table, stdout);
    int64_t more = json_int(view, "more_domains", 0);
    if (more > 0)
        printf("  and %lld more\n", (long long)more);
}

static void print_explained(struct cli *cli, struct json_object *view)
{
    struct arena *arena = cli->arena;
    printf("%s: %s, %s.\n", print_member(arena, view, "decision", ""),
           print_member(arena, view, "outcome", ""),
           print_moment(arena, view, "at", cli->now_ms, "?"));
    printf("  from mailbox %s at %s, IP %s\n", print_member(arena, view, "mailbox", "?"),
           print_member(arena, view, "channel", "?"), print_member(arena, view, "ip", "unknown"));
    printf("  %s recipients (To %s, Cc %s, Bcc %s), %s of them off-domain\n",
           print_number(arena, view, "recipients", "?"), print_number(arena, view, "to", "?"),
           print_number(arena, view, "cc", "?"), print_number(arena, view, "bcc", "?"),
           print_number(arena, view, "off_domain", "?"));
    if (strcmp(json_string(view, "outcome", ""), "redeemed") == 0)
        puts("  the webmail endpoint had judged and counted it: not counted again");
    if (strcmp(json_string(view, "verdict", ""), "held") == 0 &&
        json_member(view, "unusual") == NULL)
        puts("  it was put on hold until the postmaster had looked");
    if (json_is_true(view, "bypassed"))
        puts("  bypassed: it came from the webmail's host, whose endpoint had not judged it");
    if (json_is_true(view, "by_header"))
        puts("  refused by the milter, from its header: what had been counted was taken back");
    if (strcmp(json_string(view, "mode", ""), "observe") == 0)
        puts("  mode observe: nobody was refused");
    struct json_object *block = json_member(view, "block");
    if (block != NULL)
        printf("  %s was blocked until %s: mail to %s of %s recipients failed or was deferred\n",
               print_member(arena, block, "subject", "?"),
               print_moment(arena, block, "until", cli->now_ms, "?"),
               print_number(arena, block, "bad", "?"), print_number(arena, block, "all", "?"));
    views_print_unusual(cli, json_member(view, "unusual"), true);
    print_rules(cli, view);
    print_domains(cli, view);
}

int cli_run_explain(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    int answer = desk_decision(&cli->desk, cli->words[0], cli->now_ms, &view, &problem);
    int status = cli_answer(cli, answer, &problem);
    return status >= 0 ? status : views_show(cli, view, print_explained);
}
