/* Commands that change something: of each name a request to the desk, made of words and options. */
#include <glib.h>
#include <string.h>

#include "cli/failures.h"

static void add_option(struct cli *cli, struct json_object *request, const char *member,
                       enum cli_option option)
{
    if (cli->given[option] != NULL)
        json_add_string(request, member, cli->given[option]);
}

/* -1 with the request filled; else the exit status. */
static int fill_request(struct cli *cli, const char *subject, struct json_object *request)
{
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    const char *note = cli->given[OPTION_NOTE];
    if (note == NULL && !preview)
        return cli_usage_error(cli, "--note is missing: say why, it goes to the audit log");
    json_add_string(request, "action", cli->command->name);
    json_add_string(request, "subject", subject);
    if (cli->batch != NULL && note != NULL) {
        struct problem problem = {0};
        note = desk_batch_note(cli->arena, note, cli->batch, &problem);
        if (note == NULL)
            return cli_usage_error(cli, "--note: %s", problem.text);
    }
    json_add_string(request, "note", note != NULL ? note : "preview");
    add_option(cli, request, "cause", OPTION_CAUSE);
    add_option(cli, request, "for", OPTION_FOR);
    add_option(cli, request, "messages", OPTION_MESSAGES);
    add_option(cli, request, "off_domain", OPTION_OFF_DOMAIN);
    if (cli->given[OPTION_END] != NULL)
        json_add_string(request, "value", "default");
    if (cli->subject_count > 0)
        return -1;
    if (strcmp(cli->command->name, "plan") == 0) {
        json_add_string(request, "value", cli->words[1]);
        return -1;
    }
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

/* What a lift does to the lock of a mailbox. */
static void print_lock(struct json_object *view)
{
    struct json_object *lock = json_member(view, "lock");
    const char *scope = json_string(lock, "scope", "");
    if (*scope == '\0')
        return;
    if (!json_is_true(view, "ends_lock"))
        printf("  The lock stays: 'reopen' ends it once the password was changed, and\n"
               "  'lift --cause %s' where it was a mistake.\n", json_string(lock, "cause", "?"));
    else
        printf("  The lock ends as our mistake, and is no offence%s.\n",
               strcmp(scope, "login") == 0 ? "; signing in is possible again" : "");
}

/* Without the key nobody knows of a lock, which stays then. */
static bool may_leave_lock(struct json_object *view)
{
    const char *cause = json_string(view, "cause", "");
    return (strcmp(cause, cause_names[CAUSE_COMPROMISED]) == 0 ||
            strcmp(cause, cause_names[CAUSE_BREACHED]) == 0) &&
           json_member(view, "lock") == NULL;
}

/* Of a domain. */
static void print_lifted(struct cli *cli, struct json_object *view)
{
    struct json_object *one;
    const char *breaks = print_moment(cli->arena, view, "breaks_at", cli->now_ms, NULL);
    each_of(one, view, "lifted")
        printf("  %s block of %s, which would end %s\n",
               json_is_true(view, "done") ? "ended the" : "would end the",
               print_member(cli->arena, one, "subject", "?"),
               print_moment(cli->arena, one, "until", cli->now_ms, "?"));
    if (breaks != NULL)
        printf("  if no more is sent, it is blocked again from %s on\n", breaks);
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
    if (json_member(view, "waits") != NULL)
        printf("  A second person has to agree at the desk within a day: request %s.\n",
               print_member(cli->arena, view, "waits", ""));
    else if (json_is_true(view, "needs_approval"))
        puts("  A second person has to agree at the desk.");
    if (why_not != NULL)
        printf("  not possible: %s\n", why_not);
    views_print_next(cli, "  before: ", json_member(json_member(view, "before"), "next"));
    views_print_next(cli, "  after:  ", json_member(after, "next"));
    if (json_is_true(view, "held"))
        puts("  Mail of the mailbox to new recipients waits all the same: sendguard held.");
    if (strcmp(json_string(view, "action", ""), "lift") == 0)
        print_still(cli, after);
    print_lock(view);
    print_lifted(cli, view);
    if (json_is_true(view, "reset_as_well"))
        printf("  The counts are still full: 'sendguard reset %s' forgets them.\n",
               print_plain(cli->arena, subject));
    if (views_list_length(view, "mailboxes") > 0) {
        printf("  concerns these mailboxes%s:\n",
               json_is_true(view, "more_mailboxes") ? " and more" : "");
        views_print_mailboxes(cli, view);
    }
}

static int tell_locks(struct cli *cli, struct json_object *view, int status)
{
    if (!may_leave_lock(view))
        return status;
    cli_failed(cli, "%s: if it is locked, the lock stays: the key that locks are found by "
                    "(web.secret_file) cannot be read; 'sendguard reopen' as a user who can read it "
                    "ends the lock",
               json_string(view, "subject", ""));
    return status == PROGRAM_OK ? PROGRAM_FAILED : status;
}

/* ---- several ----------------------------------------------------------------------------- */

/* What is wrong with one of several names is told with its place; *of_name_r: it is that, and not
 * what would be wrong with each. -1 with the view, or the exit status. */
static int act(struct cli *cli, const struct cli_subject *subject, bool preview, bool *of_name_r,
               struct json_object **view_r)
{
    freed_by(json_put) struct json_object *request = json_object_new_object();
    struct problem problem = {0};
    *of_name_r = false;
    int status = fill_request(cli, subject->name, request);
    if (status >= 0)
        return status;
    int answer = desk_action(&cli->desk, &cli->person, request, preview, cli->now_ms, view_r,
                             &problem);
    *of_name_r = answer == 0 && subject->where != NULL &&
                 (problem.status != 400 || strcmp(problem.where, "subject") == 0);
    if (!*of_name_r)
        return cli_answer(cli, answer, &problem);
    cli_failed(cli, "%s: %s", subject->where, problem.text);
    return problem.status == 400 ? PROGRAM_USAGE : PROGRAM_FAILED;
}

/* What each would do: -1 with the views, all of which can be done; else the exit status, and every
 * name that is in the way is told. A name that comes twice counts once. */
static int preview_all(struct cli *cli, struct json_object *views)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    int status = -1;
    size_t count = 0;
    for (size_t i = 0; i < cli->subject_count; i++) {
        freed_by(json_put) struct json_object *view = NULL;
        bool of_name;
        int one = act(cli, &cli->subjects[i], true, &of_name, &view);
        if (one >= 0 && !of_name)
            return one;
        if (one > status)
            status = one;
        if (one >= 0 || g_hash_table_contains(seen, json_string(view, "subject", "")))
            continue;
        g_hash_table_add(seen, g_strdup(json_string(view, "subject", "")));
        json_object_array_add(views, take(view));
        cli->subjects[count++] = cli->subjects[i];
    }
    if (status >= 0)
        cli_failed(cli, "nothing is done");
    cli->subject_count = count;
    return status;
}

/* After the first that fails nothing more is done: -1, or the exit status. */
static int do_all(struct cli *cli, struct json_object *views)
{
    for (size_t i = 0; i < cli->subject_count; i++) {
        struct json_object *view = NULL;
        bool of_name;
        int status = act(cli, &cli->subjects[i], false, &of_name, &view);
        if (status >= 0) {
            cli_failed(cli, "%zu of %zu are done", i, cli->subject_count);
            return status;
        }
        json_object_array_put_idx(views, i, view);
    }
    return -1;
}

/* How it stands with them after a lift. */
static void print_states(struct cli *cli, struct json_object *views)
{
    static const struct {
        const char *state, *text;
    } texts[] = {{"ok", "can send"}, {"full", "stay full"}, {"blocked", "stay blocked"},
                 {"paused", "stay suspended until a moment"},
                 {"stopped", "stay suspended until staff lifts it"}};
    const char *said = "";
    for (size_t i = 0; i < countof(texts); i++) {
        size_t count = 0;
        for (size_t at = 0; at < json_object_array_length(views); at++) {
            struct json_object *after = json_member(json_object_array_get_idx(views, at), "after");
            count += strcmp(json_string(after, "state", ""), texts[i].state) == 0;
        }
        if (count > 0)
            said = arena_printf(cli->arena, "%s%s%zu %s", said, *said != '\0' ? ", " : "", count,
                                texts[i].text);
    }
    printf("%s.\n", said);
}

static void print_actions(struct cli *cli, struct json_object *views)
{
    size_t count = json_object_array_length(views);
    bool preview = cli->given[OPTION_PREVIEW] != NULL;
    for (size_t i = 0; i < count; i++)
        print_action(cli, json_object_array_get_idx(views, i));
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        done += json_is_true(json_object_array_get_idx(views, i), "done");
    if (done == count)
        printf("%zu in all: done.\n", count);
    else if (done == 0)
        printf("%zu in all: nothing is done yet.\n", count);
    else
        printf("%zu in all: %zu are done.\n", count, done);
    if (strcmp(cli->command->name, "lift") == 0)
        print_states(cli, views);
    if (!preview)
        printf("In the audit log the notes end with [batch %s].\n", cli->batch);
}

/* All of them, or none when one cannot be. */
static int run_all(struct cli *cli)
{
    freed_by(json_put) struct json_object *views = json_object_new_array();
    cli->batch = desk_batch_new(cli->arena, cli->now_ms);
    int status = preview_all(cli, views);
    if (status < 0 && cli->given[OPTION_PREVIEW] == NULL)
        status = do_all(cli, views);
    if (status >= 0)
        return status;
    status = views_show(cli, views, print_actions);
    for (size_t i = 0; i < json_object_array_length(views); i++)
        status = tell_locks(cli, json_object_array_get_idx(views, i), status);
    return status;
}

static int run(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    bool several = cli->subject_count > 1 || cli->given[OPTION_FROM] != NULL;
    const struct cli_subject only = {cli->words[0], NULL};
    bool of_name;
    if (several)
        return run_all(cli);
    int status = act(cli, &only, cli->given[OPTION_PREVIEW] != NULL, &of_name, &view);
    return status >= 0 ? status : tell_locks(cli, view, views_show(cli, view, print_action));
}

/* By the key locks are found, which a lift ends. */
int cli_run_action(struct cli *cli) { return cli_with_key(cli, run); }
