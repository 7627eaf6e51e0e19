/* sendguard blocks, block, unblock: the block lists. */
#include <string.h>

#include "base/text.h"
#include "cli/views.h"

/* ---- the lists ---------------------------------------------------------------------------- */

static void add_words(struct cli *cli, struct json_object *view)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(cli->desk.guard);
    desk_blocks_add_words(view, snapshot_catalogue(snapshot), cli->arena, "en");
}

/* Pages of entries, each told and forgotten: there may be very many. -1: go on; else the exit
 * status. *none_r: there is none. */
static int tell_all(struct cli *cli,
                    void (*tell)(struct cli *cli, struct json_object *entry, bool first),
                    bool *none_r)
{
    freed_by(free_string) char *after = NULL;
    bool first = *none_r = true;
    do {
        freed_by(json_put) struct json_object *view = NULL;
        struct json_object *entry;
        int status = cli_answer(cli, desk_blocks(&cli->desk, cli->word_count > 0 ? cli->words[0]
                                                                                 : NULL,
                                                 after, cli->now_ms, &view), NULL);
        if (status >= 0)
            return status;
        add_words(cli, view);
        each_of(entry, view, "blocks") {
            tell(cli, entry, first);
            first = *none_r = false;
        }
        free_string(&after);
        const char *next = json_string(view, "next", NULL);
        after = next != NULL && !ferror(stdout) ? xstrdup(next) : NULL;
    } while (after != NULL);
    return -1;
}

static void tell_json(struct cli *cli, struct json_object *entry, bool first)
{
    (void)cli;
    fputs(first ? "" : ",", stdout);
    print_json_line(entry, stdout);
}

static void tell_csv(struct cli *cli, struct json_object *entry, bool first)
{
    freed_by(text_free) struct text line = {0};
    (void)cli, (void)first;
    desk_blocks_add_csv(&line, entry);
    fputs(text_string(&line), stdout);
}

static void tell_text(struct cli *cli, struct json_object *entry, bool first)
{
    (void)first;
    arena_reset(cli->arena);
    const char *scope = print_member(cli->arena, entry, "scope", NULL);
    printf("%-9s  %s%s%s  %s: %s  since %s by %s, until %s\n",
           print_member(cli->arena, entry, "kind", ""),
           print_member(cli->arena, entry, "subject", ""), scope != NULL ? "  mail of " : "",
           scope != NULL ? scope : "", print_member(cli->arena, entry, "reason", ""),
           print_member(cli->arena, entry, "text", ""),
           print_moment(cli->arena, entry, "since", cli->now_ms, "?"),
           print_member(cli->arena, entry, "by", "?"),
           print_moment(cli->arena, entry, "until", cli->now_ms, "staff ends it"));
}

static int list(struct cli *cli)
{
    bool csv = cli->given[OPTION_CSV] != NULL, json = cli->given[OPTION_JSON] != NULL, none;
    if (csv && json)
        return cli_usage_error(cli, "--csv and --json do not go together");
    if (csv)
        fputs(desk_blocks_csv_header, stdout);
    else if (json)
        fputs("[\n", stdout);
    int status = tell_all(cli, csv ? tell_csv : json ? tell_json : tell_text, &none);
    if (status < 0 && none && !csv && !json)
        puts("No such recipient or sender is on the lists.\n"
             "Domains that are blocked since their mail fails: sendguard feedback");
    if (status < 0 && json)
        fputs("]\n", stdout);
    return status >= 0 ? status : cli_end_output(cli);
}

/* ---- one entry ------------------------------------------------------------------------------- */

static void print_concerned(struct cli *cli, struct json_object *view)
{
    if (json_is_true(view, "all_mailboxes"))
        printf("  concerns mail of all mailboxes\n");
    if (views_list_length(view, "mailboxes") > 0) {
        printf("  concerns these mailboxes, which sent within 24 hours%s:\n",
               json_is_true(view, "more_mailboxes") ? ", and more" : "");
        views_print_mailboxes(cli, view);
    }
}

/* What stands on the list before or after. */
static void print_entry(struct cli *cli, struct json_object *entry, const char *when)
{
    const char *scope = print_member(cli->arena, entry, "scope", NULL);
    printf("  %s: %s%s%s, until %s\n    the sender reads: %s\n", when,
           print_member(cli->arena, entry, "kind", ""), scope != NULL ? ", mail of " : "",
           scope != NULL ? scope : "",
           print_moment(cli->arena, entry, "until", cli->now_ms, "staff ends it"),
           print_member(cli->arena, entry, "text", ""));
}

static void print_block(struct cli *cli, struct json_object *view)
{
    struct json_object *after = json_member(view, "after");
    const char *why_not = print_member(cli->arena, view, "why_not", NULL);
    printf("%s %s: %s\n", print_member(cli->arena, view, "action", ""),
           print_member(cli->arena, view, "subject", ""),
           json_is_true(view, "done") ? "done." : "nothing is done yet.");
    if (why_not != NULL)
        printf("  not possible: %s\n", why_not);
    if (json_member(view, "before") != NULL)
        print_entry(cli, json_member(view, "before"), "before");
    if (after != NULL)
        print_entry(cli, after, "after");
    const char *open_until = print_moment(cli->arena, view, "open_until", cli->now_ms, NULL);
    if (open_until != NULL)
        printf("  its mail is accepted until %s, then refused again if its SPF record is as it is "
               "now\n", open_until);
    print_concerned(cli, view);
}

/* ---- a file ---------------------------------------------------------------------------------- */

static void print_faults(struct cli *cli, struct json_object *view)
{
    const char *file = cli->given[OPTION_IMPORT];
    struct json_object *fault;
    each_of(fault, view, "faults") {
        const char *column = print_member(cli->arena, fault, "column", NULL);
        fprintf(stderr, "%s:%lld: %s%s%s\n", strcmp(file, "-") == 0 ? "standard input" : file,
                (long long)json_int(fault, "line", 0), column != NULL ? column : "",
                column != NULL ? ": " : "", print_member(cli->arena, fault, "text", ""));
    }
    long long more =
        (long long)json_int(view, "wrong", 0) - (long long)views_list_length(view, "faults");
    if (more > 0)
        fprintf(stderr, "and %lld line%s more\n", more, more == 1 ? "" : "s");
}

static void print_import(struct cli *cli, struct json_object *view)
{
    struct json_object *kinds = json_member(view, "kinds");
    printf("%s %lld new, %lld replaced, %lld the same as before, %lld left out that have ended\n",
           json_is_true(view, "done") ? "Done:" : "Nothing is done yet:",
           (long long)json_int(view, "new", 0), (long long)json_int(view, "replaced", 0),
           (long long)json_int(view, "same", 0), (long long)json_int(view, "over", 0));
    printf("  recipients: %lld, of one mailbox: %lld, domains: %lld, senders: %lld\n",
           (long long)json_int(kinds, "recipient", 0), (long long)json_int(kinds, "pair", 0),
           (long long)json_int(kinds, "domain", 0), (long long)json_int(kinds, "sender", 0));
    print_concerned(cli, view);
}

static int change_by_file(struct cli *cli)
{
    static const enum cli_option others[] = {OPTION_SCOPE, OPTION_REASON, OPTION_FOR,
                                             OPTION_SENDER};
    freed_by(json_put) struct json_object *view = NULL;
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    struct problem problem = {0};
    for (size_t i = 0; i < countof(others); i++)
        if (cli->given[others[i]] != NULL)
            return cli_usage_error(cli, "the lines of --import say subject, scope, reason and end");
    const char *note = cli->given[OPTION_NOTE] == NULL && preview ? "preview"
                                                                  : cli->given[OPTION_NOTE];
    const struct blocks_import import = {.csv = cli->imported.data, .length = cli->imported.length,
                                         .note = note, .preview = preview};
    int status = cli_answer(cli, desk_blocks_import(&cli->desk, &cli->person, &import, cli->now_ms,
                                                    &view, &problem), &problem);
    if (status >= 0)
        return status;
    if (json_int(view, "wrong", 0) > 0 && cli->given[OPTION_JSON] == NULL) {
        print_faults(cli, view);
        return cli_failed(cli, "nothing is imported");
    }
    status = views_show(cli, view, print_import);
    return json_int(view, "wrong", 0) > 0 ? PROGRAM_FAILED : status;
}

static int change(struct cli *cli)
{
    static const struct {
        enum cli_option option;
        const char *name;
    } words[] = {{OPTION_SCOPE, "scope"}, {OPTION_REASON, "reason"}, {OPTION_FOR, "for"},
                 {OPTION_NOTE, "note"}};
    freed_by(json_put) struct json_object *request = json_object_new_object(), *view = NULL;
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    struct problem problem = {0};
    if (cli->given[OPTION_IMPORT] != NULL)
        return change_by_file(cli);
    if (cli->given[OPTION_NOTE] == NULL && !preview)
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    json_add_string(request, "action", cli->command->name);
    json_add_string(request, "subject", cli->words[0]);
    if (cli->given[OPTION_SENDER] != NULL)
        json_add_string(request, "kind", "sender");
    for (size_t i = 0; i < countof(words); i++)
        if (cli->given[words[i].option] != NULL)
            json_add_string(request, words[i].name, cli->given[words[i].option]);
    if (cli->given[OPTION_NOTE] == NULL)
        json_add_string(request, "note", "preview");
    int status = cli_answer(cli, desk_block(&cli->desk, &cli->person, request, preview,
                                            cli->now_ms, &view, &problem), &problem);
    if (status < 0)
        add_words(cli, view);
    return status >= 0 ? status : views_show(cli, view, print_block);
}

/* By the key recipients are found that Sendguard itself has blocked. */
int cli_run_blocks(struct cli *cli) { return cli_with_key(cli, list); }

int cli_run_block(struct cli *cli) { return cli_with_key(cli, change); }
