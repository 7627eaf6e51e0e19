/* The table of checks; runs those that are asked for, all at once, and shows what they found. */
#include "cli/doctor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/print.h"

static const struct check {
    const char *name;
    const char *looks_at;
    void (*look)(struct doctor *doctor);
} checks[] = {
    {"settings", "The settings and what --check of each service says of them.", doctor_settings},
    {"store", "The database: whether it answers, and loses nothing.", doctor_store},
    {"clock", "This machine's clock beside the store's, and what keeps it right.", doctor_clock},
    {"blocks", "The block lists: how many entries, and how long a service reads them at its start.",
     doctor_blocks},
    {"plans", "Whether the settings have all plans that were given.", doctor_plans},
    {"sockets", "Whether each service answers, and who may connect to its socket file.",
     doctor_sockets},
    {"postfix_end_of_data",
     "Whether each Postfix service at which users sign in has messages judged.",
     doctor_postfix_end_of_data},
    {"postfix_recipients", "Whether each names its recipients.", doctor_postfix_recipients},
    {"postfix_data", "Whether each gives messages the reference header.", doctor_postfix_data},
    {"milter", "Whether each shows headers to sendguard-milter, and it answers.", doctor_milter},
    {"held", "Whether the desk can release and delete what Postfix holds.", doctor_held},
    {"owners", "Whether each source of owners of addresses answers, and how soon.", doctor_owners},
    {"tickets", "Whether a webmail's message is counted once.", doctor_tickets},
    {"log_source", "Whether feedback.source is where Postfix logs, and can be read.",
     doctor_log_source},
    {"feedback", "How far the mail server's log is followed.", doctor_feedback},
    {"gaps", "Messages that Postfix took, and of which no line came.", doctor_gaps},
    {"complaints", "Whether reports of complaints are taken, and whose are believed.",
     doctor_complaints},
    {"logins", "Whether Dovecot asks sendguard-auth before each sign-in.", doctor_logins},
    {"notify", "Whether what happens is told to support and users.", doctor_notify},
    {"parked", "Whether parked messages are sent at their moment.", doctor_parked},
    {"ptr", "Whether addresses that mail leaves from have names that lead back.", doctor_ptr},
    {"helo", "Whether Postfix greets with a name that leads to them.", doctor_helo},
    {"spf", "Whether the records of sender domains let them send.", doctor_spf},
    {"port_25", "A way round: users who sign in on port 25.", doctor_port_25},
    {"sendmail", "A way round: users who may use the sendmail command.", doctor_sendmail},
    {"sieve", "A way round: what the filters of mailboxes send on.", doctor_sieve},
};

static const char *const state_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_SKIP] = "skip", [DOCTOR_WARN] = "warn", [DOCTOR_BAD] = "bad"};

/* A check in its process. */
struct running {
    const struct check *check;
    pid_t pid;
    int fd; /* what it says; -1: it has said all */
    struct text said;
    enum doctor_state state;
    const char *found, *advice; /* in `said`, or static */
};

void doctor_says(struct doctor *doctor, enum doctor_state state, const char *advice,
                 const char *found, ...)
{
    va_list arguments;
    char text[1024];
    if (state < doctor->state)
        return;
    if (state > doctor->state) {
        text_clear(&doctor->found);
        text_clear(&doctor->advice);
    }
    doctor->state = state;
    va_start(arguments, found);
    vsnprintf(text, sizeof text, found, arguments);
    va_end(arguments);
    text_add(&doctor->found, doctor->found.length > 0 ? "; " : "");
    text_add(&doctor->found, text);
    if (advice != NULL && strstr(text_string(&doctor->advice), advice) == NULL) {
        text_add(&doctor->advice, doctor->advice.length > 0 ? "; " : "");
        text_add(&doctor->advice, advice);
    }
}

/* ---- running ---------------------------------------------------------------------------- */

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0)
            return;
        bytes += written;
        length -= (size_t)written;
    }
}

/* In the check's process: the state as a digit, what was found, what to do, each with a NUL. */
static _Noreturn void look(struct cli *cli, const struct check *check, int fd)
{
    struct doctor doctor = {.cli = cli, .settings = cli->settings, .arena = cli->arena};
    freed_by(text_free) struct text said = {0};
    alarm(DOCTOR_CHECK_MS / 1000 + 1); /* should the command be gone */
    check->look(&doctor);
    text_add_char(&said, (char)('0' + doctor.state));
    text_add(&said, text_string(&doctor.found));
    text_add_char(&said, '\0');
    text_add(&said, text_string(&doctor.advice));
    text_add_char(&said, '\0');
    write_all(fd, said.data, said.length);
    fflush(NULL);
    _exit(0);
}

static void begin(struct cli *cli, struct running *running)
{
    int ends[2];
    running->fd = -1;
    if (pipe(ends) != 0)
        return;
    running->pid = fork();
    if (running->pid == 0) {
        setpgid(0, 0); /* so that what it runs ends with it */
        close(ends[0]);
        look(cli, running->check, ends[1]);
    }
    close(ends[1]);
    running->fd = ends[0];
    if (running->pid > 0)
        setpgid(running->pid, running->pid);
}

static void read_some(struct running *running)
{
    char bytes[4096];
    ssize_t length = read(running->fd, bytes, sizeof bytes);
    if (length > 0) {
        text_add_bytes(&running->said, bytes, (size_t)length);
        return;
    }
    close(running->fd);
    running->fd = -1;
}

/* Until all have said what there is, or the time is over. */
static void await(struct running *running, size_t count)
{
    int64_t until_ms = clock_monotonic_ms() + DOCTOR_CHECK_MS;
    struct pollfd waits[countof(checks)];
    for (;;) {
        size_t open = 0;
        for (size_t i = 0; i < count; i++) {
            waits[i] = (struct pollfd){.fd = running[i].fd, .events = POLLIN};
            open += running[i].fd >= 0;
        }
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (open == 0 || left_ms <= 0 || (poll(waits, count, (int)left_ms) < 0 && errno != EINTR))
            return;
        for (size_t i = 0; i < count; i++)
            if (running[i].fd >= 0 && (waits[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
                read_some(&running[i]);
    }
}

static void unknown(struct running *running, const char *why)
{
    running->state = DOCTOR_SKIP;
    running->found = why;
    running->advice = "run it again: sendguard doctor NAME";
}

static void end(struct running *running)
{
    bool late = running->fd >= 0;
    const char *said = text_string(&running->said);
    size_t length = running->said.length, found = length > 0 ? strlen(said) + 1 : 0;
    if (running->pid > 0) {
        kill(-running->pid, SIGKILL);
        waitpid(running->pid, NULL, 0);
    }
    if (late)
        close(running->fd);
    if (late)
        unknown(running, "the check was not done within 8 s");
    else if (length < 3 || found >= length || said[length - 1] != '\0')
        unknown(running, "the check ended early");
    else
        *running = (struct running){.check = running->check, .fd = -1, .said = running->said,
                                    .state = (enum doctor_state)(said[0] - '0'), .found = said + 1,
                                    .advice = said + found};
}

/* ---- showing ------------------------------------------------------------------------------ */

enum { WIDTH = 80, STATE_WIDTH = 6, NAME_WIDTH = 21 };

/* Words from the column where the text begins, on as many lines as they need. */
static void print_wrapped(const char *text)
{
    enum { INDENT = STATE_WIDTH + NAME_WIDTH };
    size_t column = INDENT;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > INDENT && column + 1 + length > WIDTH) {
            printf("\n%*s", INDENT, "");
            column = INDENT;
        } else if (column > INDENT) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_text(const struct cli *cli, const struct running *running, size_t count)
{
    static const char *const marks[] = {"ok", "skip", "warn", "BAD"};
    size_t of[countof(marks)] = {0};
    for (size_t i = 0; i < count; i++) {
        printf("%-*s%-*s", STATE_WIDTH, marks[running[i].state], NAME_WIDTH,
               running[i].check->name);
        print_wrapped(print_plain(cli->arena, running[i].found));
        if (running[i].advice[0] != '\0') {
            printf("%*s", STATE_WIDTH + NAME_WIDTH, "");
            print_wrapped(arena_printf(cli->arena, "-> %s",
                                       print_plain(cli->arena, running[i].advice)));
        }
        of[running[i].state]++;
    }
    printf("\n%zu ok, %zu bad, %zu to look at, %zu not known\n", of[DOCTOR_OK], of[DOCTOR_BAD],
           of[DOCTOR_WARN], of[DOCTOR_SKIP]);
}

static void show_json(const struct running *running, size_t count)
{
    freed_by(json_put) struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "name", running[i].check->name);
        json_add_string(one, "looks_at", running[i].check->looks_at);
        json_add_string(one, "state", state_names[running[i].state]);
        json_add_string(one, "found", running[i].found);
        json_add_string(one, "advice", running[i].advice[0] != '\0' ? running[i].advice : NULL);
        json_object_array_add(list, one);
    }
    print_json(list, stdout);
}

/* ---- the command ---------------------------------------------------------------------------- */

/* Those that the words name, all without any, in the table's order. -1: go on; else the exit
 * status. */
static int choose(const struct cli *cli, struct running *running, size_t *count_r)
{
    *count_r = 0;
    for (size_t i = 0; i < countof(checks); i++) {
        bool wanted = cli->word_count == 0;
        for (int word = 0; word < cli->word_count; word++)
            wanted = wanted || strcmp(cli->words[word], checks[i].name) == 0;
        if (wanted)
            running[(*count_r)++] = (struct running){.check = &checks[i], .fd = -1};
    }
    for (int word = 0; word < cli->word_count; word++) {
        bool known = false;
        for (size_t i = 0; i < countof(checks); i++)
            known = known || strcmp(cli->words[word], checks[i].name) == 0;
        if (!known) {
            freed_by(text_free) struct text names = {0};
            for (size_t i = 0; i < countof(checks); i++)
                text_addf(&names, "%s%s", i > 0 ? ", " : "", checks[i].name);
            return cli_usage_error(cli, "there is no check \"%s\": expected %s", cli->words[word],
                                   text_string(&names));
        }
    }
    return -1;
}

int cli_run_doctor(struct cli *cli)
{
    struct running running[countof(checks)];
    size_t count;
    bool bad = false;
    int status = choose(cli, running, &count);
    if (status >= 0)
        return status;
    fflush(NULL); /* or each process prints it again */
    for (size_t i = 0; i < count; i++)
        begin(cli, &running[i]);
    await(running, count);
    for (size_t i = 0; i < count; i++) {
        end(&running[i]);
        bad = bad || running[i].state == DOCTOR_BAD;
    }
    if (cli->given[OPTION_JSON] != NULL)
        show_json(running, count);
    else
        print_text(cli, running, count);
    for (size_t i = 0; i < count; i++)
        text_free(&running[i].said);
    status = cli_end_output(cli);
    return status == PROGRAM_OK && bad ? PROGRAM_FAILED : status;
}
