/* sendguard log: decisions, and with -f those that follow. Ids rise with time, but
 * several processes make them, so one may appear a moment behind higher ones:
 * each look goes back two seconds and passes over what it has shown. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/decision.h"
#include "cli/views.h"

enum { LOOK_EVERY_MS = 500, OVERLAP_MS = 2000, SHOWN_MAX = 1000000 };

struct follow {
    struct cli *cli;
    const char *mailbox; /* NULL: all */
    struct json_object *entries; /* of the latest look, newest first */
    uint64_t *seen;              /* ids shown that a further look may meet, falling */
    size_t seen_count;
};

static void follow_end(struct follow *follow)
{
    json_put(&follow->entries);
    free(follow->seen);
}

static uint64_t id_of(struct json_object *entry)
{
    uint64_t decision = 0;
    return decision_parse(json_string(entry, "decision", ""), &decision) ? decision : 0;
}

/* Reads entries until they are older than `floor` and there are `wanted` of them. 1, 0, -1. */
static int look(struct follow *follow, uint64_t floor, size_t wanted, int64_t now_ms,
                struct problem *problem)
{
    freed_by(json_put) struct json_object *entries = json_object_new_array();
    freed_by(free_string) char *before = NULL;
    for (bool more = true; more;) {
        freed_by(json_put) struct json_object *view = NULL;
        struct json_object *entry;
        int answer = desk_decisions(&follow->cli->desk, follow->mailbox, before, now_ms, &view,
                                    problem);
        if (answer < 1)
            return answer;
        const char *older = json_string(view, "older", NULL);
        more = older != NULL;
        each_of(entry, view, "decisions") {
            size_t count = json_object_array_length(entries);
            if ((count >= wanted && id_of(entry) < floor) || count >= SHOWN_MAX) {
                more = false;
                break;
            }
            json_object_array_add(entries, json_object_get(entry));
        }
        free_string(&before);
        before = more ? xstrdup(older) : NULL;
    }
    json_put(&follow->entries);
    follow->entries = take(entries);
    return 1;
}

static int falling(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left < *right) - (*left > *right);
}

static bool was_seen(const struct follow *follow, uint64_t decision)
{
    return follow->seen_count > 0 && bsearch(&decision, follow->seen, follow->seen_count,
                                             sizeof decision, falling) != NULL;
}

/* What the latest look met from `floor` on is not to be shown again. */
static void remember(struct follow *follow, uint64_t floor)
{
    size_t count = json_object_array_length(follow->entries), kept = 0;
    free(follow->seen);
    follow->seen = xmalloc((count + 1) * sizeof *follow->seen);
    for (size_t i = 0; i < count; i++) {
        uint64_t decision = id_of(json_object_array_get_idx(follow->entries, i));
        if (decision >= floor)
            follow->seen[kept++] = decision;
    }
    follow->seen_count = kept;
    qsort(follow->seen, kept, sizeof *follow->seen, falling);
}

static void print_entry(struct cli *cli, struct json_object *entry)
{
    if (cli->given[OPTION_JSON] != NULL)
        print_json_line(entry, stdout);
    else
        views_print_decision(cli, cli->word_count > 0 ? cli->words[0] : "", entry);
}

/* The newest `most` of the latest look that were not shown, the oldest of them first. */
static void print_new(struct follow *follow, size_t most)
{
    size_t count = json_object_array_length(follow->entries);
    for (size_t i = count < most ? count : most; i-- > 0;) {
        struct json_object *entry = json_object_array_get_idx(follow->entries, i);
        if (!was_seen(follow, id_of(entry)))
            print_entry(follow->cli, entry);
    }
}

/* Waits for the next look. False: a signal came, or nobody reads any longer. */
static bool wait_a_little(int signal_fd)
{
    struct pollfd polled[] = {{.fd = signal_fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    int got = poll(polled, countof(polled), LOOK_EVERY_MS);
    return got == 0 || (got < 0 && errno == EINTR);
}

static int follow_on(struct follow *follow, int64_t begun_ms, int signal_fd)
{
    struct cli *cli = follow->cli;
    struct problem problem = {0};
    int64_t looked_ms = begun_ms;
    bool away = false;
    while (fflush(stdout) == 0 && wait_a_little(signal_fd)) {
        int64_t now_ms = clock_wall_ms();
        uint64_t floor = decision_floor(looked_ms - OVERLAP_MS);
        arena_reset(cli->arena);
        int answer = look(follow, floor, 0, now_ms, &problem);
        if (answer == 0)
            return cli_problem(cli, &problem);
        if (answer < 0 && !away)
            cli_no_store(cli);
        away = answer < 0;
        if (away)
            continue;
        print_new(follow, SHOWN_MAX);
        remember(follow, floor);
        looked_ms = now_ms;
    }
    return cli_end_output(cli);
}

static int go_on(struct follow *follow, uint64_t floor, size_t most)
{
    sigset_t ending; /* main has blocked them */
    cli_ending_signals(&ending);
    print_new(follow, most);
    remember(follow, floor);
    int signal_fd = signalfd(-1, &ending, SFD_CLOEXEC);
    int status = follow_on(follow, follow->cli->now_ms, signal_fd);
    close(signal_fd);
    return status;
}

static void print_all(struct follow *follow)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add(view, "decisions", take(follow->entries));
    print_json(view, stdout);
}

static void stop_waiting(void)
{
    sigset_t ending;
    cli_ending_signals(&ending);
    sigprocmask(SIG_UNBLOCK, &ending, NULL);
}

int cli_run_log(struct cli *cli)
{
    freed_by(follow_end) struct follow follow = {.cli = cli};
    struct problem problem = {0};
    bool goes_on = cli->given[OPTION_FOLLOW] != NULL;
    size_t most = 50;
    int status = cli_read_max(cli, SHOWN_MAX, &most);
    if (status >= 0)
        return status;
    if (!goes_on)
        stop_waiting();
    follow.mailbox = cli->word_count > 0 ? cli->words[0] : NULL;
    uint64_t floor = goes_on ? decision_floor(cli->now_ms - OVERLAP_MS) : UINT64_MAX;
    status = cli_answer(cli, look(&follow, floor, most, cli->now_ms, &problem), &problem);
    if (status >= 0)
        return status;
    if (goes_on)
        return go_on(&follow, floor, most);
    if (cli->given[OPTION_JSON] == NULL)
        print_new(&follow, most);
    else
        print_all(&follow);
    return cli_end_output(cli);
}
