/* sendguard store migrate: everything of one database into another, then both compared. */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/store_url.h"
#include "cli/cli.h"
#include "store/transfer.h"

/* Items may be many: a busy database answers later than the services would wait. */
enum { TIMEOUT_MS = 60000 };

/* Whoever waits at a terminal sees how far it is. */
static void show_progress(void *context, enum transfer_kind kind, uint64_t items)
{
    (void)context;
    fprintf(stderr, "\r\033[K%s: %llu", transfer_kind_names[kind], (unsigned long long)items);
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
    freed_by(json_put) struct json_object *answer = json_object_new_object();
    struct json_object *items = json_add_object(answer, "items");
    for (int kind = TRANSFER_HISTORY; kind < TRANSFER_KIND_COUNT; kind++)
        json_add_int(items, transfer_kind_names[kind], (int64_t)report->of[kind].items);
    json_add_bool(answer, "equal", true);
    puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
}

/* The services' user must be able to use what is made, so root goes on as the owner of the SQLite
 * file, the one that is written first. */
static int become_owner(const struct cli *cli)
{
    int status = -1;
    for (int word = 1; word >= 0 && status < 0; word--) {
        freed_by(free_string) char *database = store_url_sqlite_path(cli->words[word]);
        status = cli_become_owner(cli, database);
    }
    return status;
}

int cli_run_migrate(struct cli *cli)
{
    struct transfer_report from, to;
    struct problem problem = {0};
    bool seen = isatty(STDERR_FILENO) == 1;
    int status = become_owner(cli);
    if (status >= 0)
        return status;
    int answer = transfer_all(cli->words[0], cli->words[1], TIMEOUT_MS, cli->now_ms,
                              seen ? show_progress : NULL, NULL, &from, &to, &problem);
    if (seen)
        fputs("\r\033[K", stderr);
    if (answer < 1)
        return cli_failed(cli, "%s", problem.text);
    if (cli->given[OPTION_JSON] != NULL)
        print_json(&to);
    else
        print_text(cli, &to);
    return cli_end_output(cli);
}
