/* sendguard store migrate: everything of one database into another, then both compared. */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/store_url.h"
#include "cli/cli.h"
#include "store/transfer.h"

static volatile sig_atomic_t ending;

static void end(int number)
{
    (void)number;
    ending = 1;
}

/* So that an interruption says what is left; another signal ends the program at once. */
static void await_signals(void)
{
    sigset_t signals;
    const struct sigaction action = {.sa_handler = end, .sa_flags = (int)SA_RESETHAND};
    cli_ending_signals(&signals);
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&signals, number) == 1)
            sigaction(number, &action, NULL);
}

/* Who waits at a terminal sees how far it is. context: whether there is one. */
static bool show_progress(void *context, enum transfer_kind kind, uint64_t items)
{
    if (*(const bool *)context)
        fprintf(stderr, "\r\033[K%s: %llu", transfer_kind_names[kind],
                (unsigned long long)items);
    return ending == 0;
}

static void print_text(const struct cli *cli, const struct transfer_report *report)
{
    for (int kind = TRANSFER_HISTORY; kind < TRANSFER_KIND_COUNT; kind++)
        printf("%12llu  %s\n", (unsigned long long)report->of[kind].items,
               transfer_kind_names[kind]);
    printf("\nBoth stores hold the same. Now set store.url = %s and start the services.\n",
           cli->words[1]);
}

static void print_json(const struct transfer_report *report)
{
    static const char *const names[TRANSFER_KIND_COUNT] = {
        [TRANSFER_HISTORY] = "histories",
        [TRANSFER_RECORD] = "decisions",
        [TRANSFER_TICKET] = "tickets",
        [TRANSFER_PAIR] = "recipients",
        [TRANSFER_SUSPENSION] = "suspensions",
        [TRANSFER_OFFENCE] = "offences",
        [TRANSFER_ADJUSTMENT] = "adjustments",
        [TRANSFER_AUDIT] = "audit",
        [TRANSFER_KEPT] = "kept",
        [TRANSFER_VALUE] = "values",
        [TRANSFER_SENDER] = "senders",
        [TRANSFER_NEAR] = "near",
        [TRANSFER_COUNTER] = "counters",
    };
    freed_by(json_put) struct json_object *answer = json_object_new_object();
    struct json_object *items = json_add_object(answer, "items");
    for (int kind = TRANSFER_HISTORY; kind < TRANSFER_KIND_COUNT; kind++)
        json_add_int(items, names[kind], (int64_t)report->of[kind].items);
    json_add_bool(answer, "equal", true);
    puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
}

/* The services' user must be able to use what is made, so root goes on as the owner of the SQLite
 * file or its folder, in the group of the other database's socket; without one as the owner of what
 * lets the services into Redis. */
static int become_owner(const struct cli *cli)
{
    int status = -1;
    bool has_file = false;
    for (int word = 1; word >= 0 && status < 0; word--) {
        freed_by(free_string) char *database = store_url_sqlite_path(cli->words[word]);
        freed_by(store_url_free) struct store_url other = {0};
        bool socket = store_url_read(cli->words[1 - word], &other) == NULL &&
                      other.kind == STORE_REDIS_UNIX;
        has_file = has_file || database != NULL;
        status = cli_become_owner(cli, database, socket ? other.path : NULL);
    }
    return status < 0 && !has_file ? cli_become_let_in(cli, cli->settings, cli->words[1]) : status;
}

int cli_run_migrate(struct cli *cli)
{
    bool seen = isatty(STDERR_FILENO) == 1, part_left;
    struct transfer_report report;
    struct problem problem = {0};
    struct transfer_order order = {
        .from_url = cli->words[0], .to_url = cli->words[1], .options = program_store_options(cli->settings),
        .now_ms = cli->now_ms, .progress = show_progress, .context = &seen};
    order.options.timeout_ms = CLI_WHOLE_STORE_MS;
    order.options.replicas = 0; /* FROM and TO need not have as many */
    int status = become_owner(cli);
    if (status >= 0)
        return status;
    await_signals();
    int answer = transfer_all(&order, &report, &part_left, &problem);
    if (seen)
        fputs("\r\033[K", stderr);
    if (answer < 1) {
        status = cli_failed(cli, "%s%s%s", problem.where, *problem.where != '\0' ? ": " : "",
                            problem.text);
        if (part_left)
            fprintf(stderr,
                    "%s is as it was. %s has a part of it, with which no service starts: the same "
                    "command removes it and begins anew.\n",
                    cli->words[0], cli->words[1]);
        return status;
    }
    if (cli->given[OPTION_JSON] != NULL)
        print_json(&report);
    else
        print_text(cli, &report);
    return cli_end_output(cli);
}
