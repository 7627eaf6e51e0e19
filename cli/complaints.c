/* The command complaints: those about a mailbox, and reports that wait for staff. */
#include <string.h>

#include "cli/views.h"

static const char *why_text(struct json_object *complaint)
{
    static const struct {
        const char *why, *text;
    } texts[] = {
        {"withdrawn", "no: taken back"},
        {"same_message", "no: another one counts for this message"},
        {"before_suspension_ended", "no: sent before a suspension ended"},
        {"exempt", "no: the mailbox is exempt"},
        {"unknown_reporter", "waits: who sent it is not known"},
        {"unknown_message", "waits: whose message is not known"},
    };
    const char *why = json_string(complaint, "why", NULL);
    for (size_t i = 0; why != NULL && i < countof(texts); i++)
        if (strcmp(why, texts[i].why) == 0)
            return texts[i].text;
    return why != NULL ? why : "yes";
}

static const char *source_text(struct cli *cli, struct json_object *complaint)
{
    return print_member(cli->arena, complaint, "loop",
                        print_member(cli->arena, complaint, "source", "?"));
}

static bool of_stranger(struct json_object *complaint)
{
    return json_is_true(complaint, "counted") &&
           strcmp(json_string(complaint, "source", ""), "authenticated") == 0;
}

static void print_mailbox(struct cli *cli, struct json_object *view)
{
    bool strangers = false;
    struct json_object *one;
    struct print_table table;
    printf("%s: %s of %s complaints that suspend, about messages of %lld days%s.\n",
           print_member(cli->arena, view, "mailbox", "?"),
           print_number(cli->arena, view, "number", "?"),
           print_number(cli->arena, view, "count", "?"),
           (long long)json_int(view, "window_s", 0) * SECOND_MS / DAY_MS,
           json_is_true(view, "exempt") ? "; exempt" : "");
    if (views_list_length(view, "complaints") == 0)
        return;
    print_table_begin(&table, 6, 0);
    print_table_row(&table, "CAME", "SENT", "MESSAGE", "FROM", "TYPE", "COUNTS");
    each_of(one, view, "complaints") {
        print_table_row(&table, print_moment(cli->arena, one, "at", 0, "?"),
                        print_moment(cli->arena, one, "sent_at", 0, ""),
                        print_member(cli->arena, one, "decision", ""), source_text(cli, one),
                        print_member(cli->arena, one, "type", "?"), why_text(one));
        strangers = strangers || of_stranger(one);
    }
    print_table_end(&table, stdout);
    if (strangers)
        puts("  (as long as none is of a loop or counted by staff, those of one domain are one)");
}

static void print_waiting(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    struct print_table table;
    if (views_list_length(view, "reports") == 0) {
        puts("No report waits.");
        return;
    }
    print_table_begin(&table, 6, 0);
    print_table_row(&table, "REPORT", "CAME", "FROM", "TYPE", "ABOUT", "QUEUE ID");
    each_of(one, view, "reports")
        print_table_row(&table, print_member(cli->arena, one, "report", "?"),
                        print_moment(cli->arena, one, "at", 0, "?"), source_text(cli, one),
                        print_member(cli->arena, one, "type", "?"),
                        print_member(cli->arena, one, "mailbox",
                                     print_member(cli->arena, one, "from_domain", "")),
                        print_member(cli->arena, one, "queue_id", ""));
    print_table_end(&table, stdout);
}

static void print_answered(struct cli *cli, struct json_object *view)
{
    const char *mailbox = print_member(cli->arena, view, "mailbox", NULL);
    if (mailbox == NULL)
        puts("The report is dropped.");
    else
        printf("The complaint counts for %s%s\n", mailbox,
               json_is_true(view, "suspended") ? ", which is suspended." : ".");
}

/* --count or --drop, of a report. */
static int answer(struct cli *cli, const char *what, const char *report)
{
    freed_by(json_put) struct json_object *request = json_object_new_object(), *view = NULL;
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status >= 0)
        return status;
    json_add_string(request, "action", what);
    json_add_string(request, "note", action.note);
    if (cli->word_count > 0)
        json_add_string(request, "mailbox", cli->words[0]);
    if (cli->given[OPTION_MESSAGE] != NULL)
        json_add_string(request, "message", cli->given[OPTION_MESSAGE]);
    status = cli_answer(cli, desk_complaints_answer(&cli->desk, action.by, report, request,
                                                    cli->now_ms, &view, &problem),
                        &problem);
    return status >= 0 ? status : views_show(cli, view, print_answered);
}

/* Scripts get the list alone. */
static int show(struct cli *cli, struct json_object *view, const char *list,
                void (*print)(struct cli *cli, struct json_object *view))
{
    return views_show(cli, cli->given[OPTION_JSON] != NULL ? json_member(view, list) : view, print);
}

static int run(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    if (cli->given[OPTION_COUNT_REPORT] != NULL)
        return answer(cli, "count", cli->given[OPTION_COUNT_REPORT]);
    if (cli->given[OPTION_DROP] != NULL)
        return answer(cli, "drop", cli->given[OPTION_DROP]);
    if (cli->word_count == 0) {
        if (desk_complaints_waiting(&cli->desk, cli->now_ms, &view) < 1)
            return cli_no_store(cli);
        return show(cli, view, "reports", print_waiting);
    }
    int status = cli_answer(cli, desk_complaints(&cli->desk, cli->words[0], cli->now_ms, &view,
                                                 &problem),
                            &problem);
    return status >= 0 ? status : show(cli, view, "complaints", print_mailbox);
}

/* By the key loops are known, and messages by their reference. */
int cli_run_complaints(struct cli *cli) { return cli_with_key(cli, run); }
