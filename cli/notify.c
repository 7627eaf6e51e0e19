/* sendguard notify: who sends notifications, what waits, and a test that sends one of each. */
#include <string.h>
#include <unistd.h>

#include "cli/views.h"
#include "notify/notify_deliver.h"

/* ---- how it stands --------------------------------------------------------------------------- */

static void print_waiting(struct cli *cli, struct json_object *waiting)
{
    printf("%s by %s wait", print_number(cli->arena, waiting, "count", "?"),
           print_member(cli->arena, waiting, "by", "?"));
    if (json_int(waiting, "failing", 0) > 0)
        printf(", of which %s were tried in vain, since %s",
               print_number(cli->arena, waiting, "failing", "?"),
               print_moment(cli->arena, waiting, "failing_since", cli->now_ms, "?"));
    puts("");
}

static void print_state(struct cli *cli, struct json_object *view)
{
    struct json_object *waiting;
    const char *leader = print_member(cli->arena, view, "leader", NULL);
    if (leader == NULL)
        puts("No program has sent notifications so far: sendguard-notify does not run.");
    else
        printf("Sent by %s, which last looked at %s.\n", leader,
               print_moment(cli->arena, view, "looked_at", cli->now_ms, "?"));
    each_of(waiting, view, "waiting")
        print_waiting(cli, waiting);
}

static struct json_object *view_of(const struct notify_state *state)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "leader", json_string(state->tree, "leader", NULL));
    json_add_moment(view, "looked_at", notify_state_int(state, "looked_ms"));
    struct json_object *list = json_add_list(view, "waiting");
    for (int way = 0; way < NOTIFY_WAYS; way++) {
        struct notify_waiting waiting = notify_state_waiting(state, (enum notify_way)way);
        struct json_object *one = json_object_new_object();
        json_add_string(one, "by", notify_way_names[way]);
        json_add_int(one, "count", (int64_t)waiting.count);
        json_add_int(one, "failing", (int64_t)waiting.failing);
        if (waiting.failing > 0)
            json_add_moment(one, "failing_since", waiting.failing_since_ms);
        json_object_array_add(list, one);
    }
    return view;
}

static int show_state(struct cli *cli)
{
    struct notify_state state = {0};
    freed_by(json_put) struct json_object *view = NULL;
    if (notify_state_read(&state, cli->desk.store, cli->arena, cli->now_ms) < 0)
        return cli_no_store(cli);
    view = view_of(&state);
    notify_state_end(&state);
    return views_show(cli, view, print_state);
}

/* ---- a test ---------------------------------------------------------------------------------- */

struct testing {
    struct cli *cli;
    const struct notify_writer *writer;
    struct json_object *results;
    bool failed;
};

static void try_one(struct testing *testing, enum notify_way way, const char *what,
                    struct json_object *notification)
{
    struct problem problem;
    struct json_object *result = json_object_new_object();
    bool sent = notify_deliver(testing->writer, way, notification, testing->cli->now_ms, NULL,
                               &problem) > 0;
    testing->failed = testing->failed || !sent;
    json_add_string(result, "condition", what);
    json_add_string(result, "by", notify_way_names[way]);
    json_add_bool(result, "sent", sent);
    if (!sent) {
        freed_by(free_string) char *error = xasprintf("%s: %s", problem.where, problem.text);
        json_add_string(result, "error", error);
    }
    json_object_array_add(testing->results, result);
}

/* A mail to a user goes to who tests. */
static void try_user(struct testing *testing, bool begins)
{
    freed_by(json_put) struct json_object *mail = json_object_new_object();
    json_add_string(mail, "id", begins ? "test-user-begin" : "test-user-end");
    json_add_string(mail, "mailbox", testing->cli->settings->notify_mail_to.items[0]);
    json_add_bool(mail, "begins", begins);
    json_add_string(mail, "cause", cause_names[CAUSE_VOLUME]);
    json_add_string(mail, "by", SUSPENSION_BY_GUARD);
    json_add_int(mail, "since_ms", testing->cli->now_ms);
    json_add_int(mail, "until_ms", testing->cli->now_ms + DAY_MS);
    try_one(testing, NOTIFY_TO_USER, begins ? "begin" : "end", mail);
}

static void print_results(struct cli *cli, struct json_object *view)
{
    struct print_table table;
    struct json_object *result;
    print_table_begin(&table, 3, 0);
    print_table_row(&table, "WHAT", "BY", "");
    each_of(result, view, "tried")
        print_table_row(&table, print_member(cli->arena, result, "condition", "?"),
                        print_member(cli->arena, result, "by", "?"),
                        print_member(cli->arena, result, "error", "sent"));
    print_table_end(&table, stdout);
}

static void try_all(struct testing *testing)
{
    const struct settings *settings = testing->writer->settings;
    bool mails = settings->notify_mail_to.count > 0;
    for (int condition = 0; condition < NOTIFY_CONDITION_COUNT; condition++) {
        const char *name = notify_state_condition((enum notify_condition)condition);
        freed_by(json_put) struct json_object *sample =
            notify_text_sample((enum notify_condition)condition, testing->cli->now_ms);
        if (mails)
            try_one(testing, NOTIFY_BY_MAIL, name, sample);
        if (settings->notify_webhook[0] != '\0')
            try_one(testing, NOTIFY_BY_WEBHOOK, name, sample);
    }
    if (mails && settings->notify_user_languages[0] != '\0') {
        try_user(testing, true);
        try_user(testing, false);
    }
}

static int test(struct cli *cli)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(cli->desk.guard);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    const struct settings *settings = snapshot_settings(snapshot);
    char host[256] = "";
    if (settings->notify_mail_to.count == 0 && settings->notify_webhook[0] == '\0')
        return cli_failed(cli, "expected notify.mail_to or notify.webhook to be set");
    gethostname(host, sizeof host - 1);
    const struct notify_writer writer = {cli->arena, settings, snapshot_catalogue(snapshot), host};
    struct testing testing = {.cli = cli, .writer = &writer,
                              .results = json_add_list(view, "tried")};
    try_all(&testing);
    int status = views_show(cli, view, print_results);
    return status == PROGRAM_OK && testing.failed ? PROGRAM_FAILED : status;
}

int cli_run_notify(struct cli *cli)
{
    return cli->given[OPTION_TEST] != NULL ? test(cli) : show_state(cli);
}
