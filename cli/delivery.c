/* Commands that look at what became of mail: trace, feedback, and a domain's delivery. */
#include <string.h>
#include <unistd.h>

#include "cli/delivery.h"
#include "cli/failures.h"
#include "mail/trace.h"

enum { LINE_WIDTH = 79, DESTINATIONS_SHOWN = 10 };

/* ---- words ------------------------------------------------------------------------------- */

/* Paragraphs of a terminal's width, cut between words. */
static void print_wrapped(const char *margin, const char *text)
{
    size_t room = LINE_WIDTH - strlen(margin);
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > room)
            for (length = room; length > 0 && text[length] != ' ';)
                length--;
        if (length == 0)
            length = strcspn(text, " ");
        printf("%s%.*s\n", margin, (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
}

static void add_words(struct cli *cli, struct json_object *view)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(cli->desk.guard);
    desk_delivery_add_words(view, snapshot_catalogue(snapshot), cli->arena, "en");
}

/* "2 delivered, 1 failed"; those that are 0 are left out. */
static const char *outcomes_text(struct cli *cli, struct json_object *outcomes)
{
    const char *text = "";
    for (int i = 0; i < DELIVERY_COUNT; i++) {
        int64_t count = json_int(outcomes, delivery_names[i], 0);
        if (count > 0)
            text = arena_printf(cli->arena, "%s%s%lld %s", text, *text != '\0' ? ", " : "",
                                (long long)count, delivery_names[i]);
    }
    return *text != '\0' ? text : "none";
}

/* ---- a message ----------------------------------------------------------------------------------- */

static int64_t count_of(struct json_object *recipient) { return json_int(recipient, "count", 1); }

/* The recipients of a trace by outcome; to be put. */
static struct json_object *outcomes_of(struct json_object *trace)
{
    struct json_object *outcomes = json_object_new_object(), *recipient;
    each_of(recipient, trace, "recipients") {
        const char *outcome = json_string(recipient, "outcome", "");
        json_add_int(outcomes, outcome, json_int(outcomes, outcome, 0) + count_of(recipient));
    }
    return outcomes;
}

/* What recipients have in common that are told in one. */
static bool is_alike(struct json_object *one, struct json_object *other)
{
    static const char *const members[] = {"outcome", "class", "code", "site", "text"};
    for (size_t i = 0; i < countof(members); i++)
        if (strcmp(json_string(one, members[i], ""), json_string(other, members[i], "")) != 0)
            return false;
    return true;
}

static bool is_told(struct json_object *trace, size_t index)
{
    struct json_object *list = json_member(trace, "recipients");
    struct json_object *recipient = json_object_array_get_idx(list, index);
    for (size_t i = 0; i < index; i++)
        if (is_alike(json_object_array_get_idx(list, i), recipient))
            return true;
    return false;
}

static void print_alike(struct cli *cli, struct json_object *trace, struct json_object *one)
{
    struct arena *arena = cli->arena;
    struct json_object *recipient;
    int64_t count = 0, most = 0;
    each_of(recipient, trace, "recipients") {
        if (!is_alike(recipient, one))
            continue;
        int64_t attempts = json_int(recipient, "attempts", 0);
        count += count_of(recipient);
        most = attempts > most ? attempts : most;
    }
    const char *code = print_member(arena, one, "code", NULL);
    const char *site = print_member(arena, one, "site", NULL);
    const char *title = print_member(arena, one, "title", NULL);
    const char *text = print_member(arena, one, "text", NULL);
    printf("\n  %lld %s", (long long)count, print_member(arena, one, "outcome", "?"));
    printf("%s%s%s%s", site != NULL ? ", " : "", site != NULL ? site : "",
           code != NULL ? ", code " : "", code != NULL ? code : "");
    if (most > 0)
        printf(", %lld attempt%s, last %s", (long long)most, most == 1 ? "" : "s",
               print_moment(arena, one, "last_at", cli->now_ms, "?"));
    putchar('\n');
    if (title != NULL)
        print_wrapped("    ", arena_printf(arena, "%s. %s", title,
                                           print_member(arena, one, "advice", "")));
    if (text != NULL)
        print_wrapped("    ", arena_printf(arena, "The server said: %s", text));
}

static void print_state(struct json_object *trace)
{
    static const struct {
        const char *state, *text;
    } states[] = {
        {"waiting", "Nothing is known yet: the mail server's log was not read so far."},
        {"unseen", "The mail server's log has no line of it: it went another way, never came "
                   "there, or came before the log was followed."},
        {"not_followed", "The mail server's log is not followed: sendguard-feedback does not run, "
                         "or never did."},
        {"refused", "It was refused, so nothing was sent. sendguard explain says why."},
        {"forwarding", "It was forwarded; what becomes of forwarded mail is not followed."},
    };
    for (size_t i = 0; i < countof(states); i++)
        if (strcmp(json_string(trace, "state", ""), states[i].state) == 0)
            print_wrapped("  ", states[i].text);
    if (json_is_true(trace, "refunded"))
        print_wrapped("  ", "The mail server refused it after it was counted: it is not counted "
                            "any more.");
    const char *hold = json_string(trace, "hold", "");
    if (strcmp(hold, "waits") == 0)
        print_wrapped("  ", "It is on hold until the postmaster has looked: sendguard held.");
    if (strcmp(hold, "deleted") == 0)
        print_wrapped("  ", "It was deleted, since the postmaster said that somebody else had sent "
                            "it.");
    if (json_is_true(trace, "silent"))
        print_wrapped("  ", "For a minute the mail server's log had no line of it.");
}

static void print_trace(struct cli *cli, struct json_object *trace)
{
    struct arena *arena = cli->arena;
    struct json_object *recipient;
    freed_by(json_put) struct json_object *outcomes = outcomes_of(trace);
    const char *webmail = print_member(arena, trace, "webmail_decision", NULL);
    printf("%s, %s.\n", print_member(arena, trace, "decision", "?"),
           print_moment(arena, trace, "at", cli->now_ms, "?"));
    printf("  from mailbox %s, queue id %s\n", print_member(arena, trace, "mailbox", "?"),
           print_member(arena, trace, "queue_id", "not known"));
    if (webmail != NULL)
        printf("  the webmail endpoint's decision: %s\n", webmail);
    print_state(trace);
    if (views_list_length(trace, "recipients") == 0)
        return;
    printf("  recipients: %s%s\n", outcomes_text(cli, outcomes),
           json_is_true(trace, "ended") ? "; it has left the queue" : "");
    each_of(recipient, trace, "recipients")
        if (!is_told(trace, i_))
            print_alike(cli, trace, recipient);
}

/* ---- sums ---------------------------------------------------------------------------------------- */

static void print_classes(struct cli *cli, struct json_object *sums)
{
    struct json_object *class;
    struct print_table table;
    if (views_list_length(sums, "classes") == 0)
        return;
    puts("\nWhy not delivered");
    print_table_begin(&table, 3, 1u << 0);
    print_table_row(&table, "RECIPIENTS", "CLASS", "MEANING");
    each_of(class, sums, "classes")
        print_table_row(&table, print_number(cli->arena, class, "recipients", "0"),
                        print_member(cli->arena, class, "class", ""),
                        print_member(cli->arena, class, "title", ""));
    print_table_end(&table, stdout);
}

static void print_destinations(struct cli *cli, struct json_object *sums)
{
    struct json_object *site;
    struct print_table table;
    size_t count = views_list_length(sums, "destinations");
    if (count == 0)
        return;
    puts("\nDestinations");
    print_table_begin(&table, 6, 0x3Eu);
    print_table_row(&table, "WHO ANSWERED", "DELIVERED", "DEFERRED", "FAILED", "EXPIRED",
                    "DISCARDED");
    each_of(site, sums, "destinations") {
        if (i_ == DESTINATIONS_SHOWN)
            break;
        print_table_row(&table, print_member(cli->arena, site, "site", "(others)"),
                        print_number(cli->arena, site, "delivered", "0"),
                        print_number(cli->arena, site, "deferred", "0"),
                        print_number(cli->arena, site, "failed", "0"),
                        print_number(cli->arena, site, "expired", "0"),
                        print_number(cli->arena, site, "discarded", "0"));
    }
    print_table_end(&table, stdout);
    if (count > DESTINATIONS_SHOWN)
        printf("  and %zu more\n", count - DESTINATIONS_SHOWN);
}

static void print_sums(struct cli *cli, const char *subject, struct json_object *view)
{
    struct json_object *sums = json_member(view, "sums");
    if (!json_is_true(view, "followed")) {
        printf("%s: the mail server's log is not followed.\n", subject);
        return;
    }
    int64_t messages = json_int(sums, "messages", 0);
    printf("%s: %lld message%s in the last %s days.\n", subject, (long long)messages,
           messages == 1 ? "" : "s", print_number(cli->arena, view, "days", "?"));
    printf("  recipients: %s\n", outcomes_text(cli, json_member(sums, "outcomes")));
    print_classes(cli, sums);
    print_destinations(cli, sums);
}

/* ---- a mailbox -------------------------------------------------------------------------------------- */

static void print_mailbox(struct cli *cli, struct json_object *view)
{
    struct json_object *trace;
    print_sums(cli, print_member(cli->arena, view, "mailbox", "?"), view);
    if (views_list_length(view, "messages") > 0)
        puts("\nMessages");
    each_of(trace, view, "messages") {
        freed_by(json_put) struct json_object *outcomes = outcomes_of(trace);
        printf("  %s  %s  %s%s\n", print_moment(cli->arena, trace, "at", 0, "?"),
               print_member(cli->arena, trace, "decision", "?"), outcomes_text(cli, outcomes),
               json_is_true(trace, "refunded") ? " (refunded)" : "");
    }
    if (json_string(view, "older", NULL) != NULL)
        puts("  (older ones are there; --json has them all)");
}

/* Programs get all messages, people a page. */
static int read_mailbox(struct cli *cli, struct json_object **view_r, struct problem *problem)
{
    const char *mailbox = cli->words[0];
    int answer = desk_delivery(&cli->desk, mailbox, NULL, cli->now_ms, view_r, problem);
    for (const char *older; answer == 1 && cli->given[OPTION_JSON] != NULL &&
                            (older = json_string(*view_r, "older", NULL)) != NULL;) {
        freed_by(json_put) struct json_object *page = NULL;
        answer = desk_delivery(&cli->desk, mailbox, older, cli->now_ms, &page, problem);
        if (answer == 1)
            views_join(*view_r, page, "messages", "older");
    }
    return answer;
}

/* ---- the commands ------------------------------------------------------------------------------------- */

/* What the webmail sent is found by the key. */
static int trace_message(struct cli *cli, struct json_object **view_r, struct problem *problem)
{
    freed_by(token_key_free) struct token_key *key = cli_open_key(cli);
    cli->desk.key = key;
    int answer = desk_trace(&cli->desk, cli->words[0], NULL, cli->now_ms, view_r, problem);
    cli->desk.key = NULL;
    return answer;
}

int cli_run_trace(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    bool of_mailbox = strchr(cli->words[0], '@') != NULL;
    int answer = of_mailbox ? read_mailbox(cli, &view, &problem)
                            : trace_message(cli, &view, &problem);
    int status = cli_answer(cli, answer, &problem);
    if (status >= 0)
        return status;
    add_words(cli, view);
    return views_show(cli, view, of_mailbox ? print_mailbox : print_trace);
}

void delivery_print_domain(struct cli *cli, struct json_object *view)
{
    putchar('\n');
    print_sums(cli, arena_printf(cli->arena, "Delivery of @%s",
                                 print_member(cli->arena, view, "domain", "?")), view);
}

int delivery_read_domain(struct cli *cli, const char *domain, struct json_object **view_r,
                         struct problem *problem)
{
    int answer = desk_delivery_domain(&cli->desk, domain, cli->now_ms, view_r, problem);
    if (answer == 1)
        add_words(cli, *view_r);
    return answer;
}

static void print_feedback(struct cli *cli, struct json_object *view)
{
    struct arena *arena = cli->arena;
    struct json_object *source;
    if (views_list_length(view, "sources") == 0)
        puts("No mail server's log is followed: sendguard-feedback does not run, or never did.");
    each_of(source, view, "sources") {
        printf("%s: read up to %s\n", print_member(arena, source, "source", "?"),
               print_moment(arena, source, "cursor_at", cli->now_ms, "nowhere yet"));
        printf("  %s lines, %s messages, %s outcomes, %s refunds; %s in the queue\n",
               print_number(arena, source, "lines", "0"),
               print_number(arena, source, "messages", "0"),
               print_number(arena, source, "outcomes", "0"),
               print_number(arena, source, "refunds", "0"),
               print_number(arena, source, "open", "0"));
        if (json_int(source, "refunds_failed", 0) > 0)
            printf("  %s refunds failed: the log names the mailboxes\n",
                   print_number(arena, source, "refunds_failed", "0"));
        if (json_int(source, "gaps", 0) > 0)
            printf("  gaps: %s admitted messages had no line in the log within a minute\n",
                   print_number(arena, source, "gaps", "0"));
        if (json_int(source, "malformed", 0) > 0)
            printf("  malformed: %s lines could not be read\n",
                   print_number(arena, source, "malformed", "0"));
    }
    failures_print_now(cli, view);
}

static void print_forgotten(struct cli *cli, struct json_object *view)
{
    printf("%s: left out from now on.\n", print_member(cli->arena, view, "forgotten", "?"));
}

static int forget_log(struct cli *cli, const char *source)
{
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status < 0)
        status = cli_answer(cli, desk_feedback_forget(&cli->desk, source, &action, &problem),
                            &problem);
    if (status >= 0)
        return status;
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_string(view, "forgotten", source);
    return views_show(cli, view, print_forgotten);
}

int cli_run_feedback(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (cli->given[OPTION_FORGET] != NULL)
        return forget_log(cli, cli->given[OPTION_FORGET]);
    if (desk_feedback(&cli->desk, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    return views_show(cli, view, print_feedback);
}
