/* Accounts of the support desk and tokens of its API. A password comes from the
 * terminal without an echo, or from standard input; never from the command line. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "message/address.h"
#include "message/submission.h"
#include "staff/staff_own.h"
#include "store/audit.h"

enum { LINE_SIZE = PASSWORD_MAX + 3 }; /* one byte too many, a line feed and a NUL */
#define DEFAULT_EXPIRES "90d"

/* ---- reading a password ------------------------------------------------------------- */

/* A line without its end. 1; 0 too long or none; -1 a signal came. */
static int read_line(int signal_fd, char line_r[LINE_SIZE])
{
    size_t length = 0;
    for (;;) {
        struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                  {.fd = signal_fd, .events = POLLIN}};
        char byte;
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return 0;
        if (polled[1].revents != 0)
            return -1;
        if (polled[0].revents == 0)
            continue;
        ssize_t got = read(STDIN_FILENO, &byte, 1); /* a byte, so that the next line stays */
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || byte == '\n') {
            line_r[length] = '\0';
            return length > 0 || got > 0;
        }
        if (length + 1 >= LINE_SIZE || byte == '\0')
            return 0;
        line_r[length++] = byte;
    }
}

static int read_unseen(const char *prompt, int signal_fd, char line_r[LINE_SIZE])
{
    fputs(prompt, stderr);
    int result = read_line(signal_fd, line_r);
    fputc('\n', stderr);
    return result;
}

static int ask_twice(const char *name, int signal_fd, char password_r[LINE_SIZE])
{
    char again[LINE_SIZE] = "";
    freed_by(free_string) char *prompt = xasprintf("Password for %s: ", name);
    int result = read_unseen(prompt, signal_fd, password_r);
    if (result == 1)
        result = read_unseen("The same again: ", signal_fd, again);
    if (result == 1 && strcmp(password_r, again) != 0) {
        fputs("The two are not the same.\n", stderr);
        result = 0;
    }
    explicit_bzero(again, sizeof again);
    return result;
}

/* The terminal's echo comes back whatever happens: main has blocked the signals that end us, and
 * keys send none but SIGINT. */
static int read_from_terminal(const char *name, int signal_fd, char password_r[LINE_SIZE])
{
    struct termios before, quiet;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return 0;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    quiet.c_cc[VQUIT] = quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    int result = ask_twice(name, signal_fd, password_r);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    return result;
}

/* -1: go on; else the exit status. */
static int read_password(const struct cli *cli, char password_r[LINE_SIZE])
{
    sigset_t ending;
    cli_ending_signals(&ending);
    int signal_fd = signalfd(-1, &ending, SFD_CLOEXEC);
    int result = isatty(STDIN_FILENO) ? read_from_terminal(cli->words[0], signal_fd, password_r)
                                      : read_line(signal_fd, password_r);
    close(signal_fd);
    sigprocmask(SIG_UNBLOCK, &ending, NULL); /* a signal that came takes effect here */
    return result == 1 ? -1
                       : cli_failed(cli, "no password: expected one line of %d to %d bytes",
                                    PASSWORD_MIN, PASSWORD_MAX);
}

/* ---- what the options say ---------------------------------------------------------------- */

static int read_role(const struct cli *cli, enum role *role_r)
{
    const char *name = cli->given[OPTION_ROLE];
    int role = name != NULL ? staff_role_by_name(name) : -1;
    if (role < 0)
        return cli_usage_error(cli, "--role: expected viewer, support or admin, of a token also panel");
    *role_r = (enum role)role;
    return -1;
}

/* ---- accounts ------------------------------------------------------------------------------ */

static int say_done(const struct cli *cli, int answer, const struct problem *problem,
                    const char *text)
{
    int status = cli_answer(cli, answer, problem);
    if (status >= 0)
        return status;
    printf("%s %s\n", cli->words[0], text);
    return cli_end_output(cli);
}

int cli_run_staff_add(struct cli *cli)
{
    char password[LINE_SIZE] = "";
    struct action action;
    enum role role = ROLE_VIEWER;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status < 0)
        status = read_role(cli, &role);
    if (status < 0)
        status = read_password(cli, password);
    if (status < 0)
        status = say_done(cli,
                          staff_add(cli->desk.store, cli->words[0], role, password, &action,
                                    &problem),
                          &problem, "may sign in now.");
    explicit_bzero(password, sizeof password);
    return status;
}

int cli_run_staff_password(struct cli *cli)
{
    char password[LINE_SIZE] = "";
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status < 0)
        status = read_password(cli, password);
    if (status < 0)
        status = say_done(cli,
                          staff_set_password(cli->desk.store, cli->words[0], password, &action,
                                             &problem),
                          &problem, "has a new password; sessions have ended.");
    explicit_bzero(password, sizeof password);
    return status;
}

int cli_run_staff_role(struct cli *cli)
{
    struct action action;
    enum role role = ROLE_VIEWER;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status < 0)
        status = read_role(cli, &role);
    if (status >= 0)
        return status;
    freed_by(free_string) char *text = xasprintf("has role %s now.", staff_role_names[role]);
    return say_done(cli, staff_set_role(cli->desk.store, cli->words[0], role, &action, &problem),
                    &problem, text);
}

int cli_run_staff_unlock(struct cli *cli)
{
    struct action action;
    struct problem problem = {0};
    struct submission address = {.arena = cli->arena};
    const char *ip = cli->given[OPTION_IP];
    int status = cli_read_note(cli, &action);
    if (status < 0 && ip != NULL && !submission_set_ip(&address, ip, strlen(ip), &problem))
        return cli_usage_error(cli, "--ip: expected an IPv4 or IPv6 address");
    return status >= 0 ? status
                       : say_done(cli,
                                  staff_unlock(cli->desk.store, cli->words[0], address.ip, &action,
                                               &problem),
                                  &problem, "may sign in again without a wait.");
}

int cli_run_staff_nocodes(struct cli *cli)
{
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    return status >= 0 ? status
                       : say_done(cli,
                                  staff_codes_reset(cli->desk.store, cli->words[0], &action,
                                                    &problem),
                                  &problem, "signs in by password alone; sessions have ended.");
}

int cli_run_staff_remove(struct cli *cli)
{
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    return status >= 0 ? status
                       : say_done(cli,
                                  staff_remove(cli->desk.store, cli->words[0], &action, &problem),
                                  &problem, "has no account any longer.");
}

/* {"staff":[…]} or {"tokens":[…]} */
static int print_list(struct cli *cli, struct json_object *view, const char *member,
                      const char *empty)
{
    struct json_object *list = json_member(view, member);
    bool tokens = strcmp(member, "tokens") == 0;
    if (cli->given[OPTION_JSON] != NULL) {
        print_json(view, stdout);
        return cli_end_output(cli);
    }
    struct print_table table;
    print_table_begin(&table, 5, 0);
    print_table_row(&table, "NAME", "ROLE", "MADE", "BY", tokens ? "EXPIRES" : "CODES");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        print_table_row(&table, print_member(cli->arena, entry, "name", ""),
                        print_member(cli->arena, entry, "role", ""),
                        print_moment(cli->arena, entry, "created_at", cli->now_ms, ""),
                        print_member(cli->arena, entry, "by", ""),
                        tokens ? print_moment(cli->arena, entry, "expires_at", cli->now_ms, "never")
                        : json_is_true(entry, "codes") ? "yes"
                                                       : "no");
    }
    if (json_object_array_length(list) == 0) {
        puts(empty);
        table.count = 0;
    }
    print_table_end(&table, stdout);
    return cli_end_output(cli);
}

int cli_run_staff_list(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (staff_list(cli->desk.store, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    return print_list(cli, view, "staff",
                      "There are no accounts; 'sendguard staff add' makes one.");
}

/* ---- tokens ----------------------------------------------------------------------------------- */

static int read_expires(const struct cli *cli, int64_t *expires_ms_r)
{
    const char *text = cli->given[OPTION_EXPIRES];
    int64_t lasts_ms;
    if (!settings_duration_read(text != NULL ? text : DEFAULT_EXPIRES, &lasts_ms))
        return cli_usage_error(cli, "--expires: expected a duration such as 90d, or permanent");
    *expires_ms_r = lasts_ms == UNTIL_LIFTED ? UNTIL_LIFTED : cli->now_ms + lasts_ms;
    return -1;
}

static int print_token(struct cli *cli, const char *token, enum role role, int64_t expires_ms)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_string(view, "name", cli->words[0]);
    json_add_string(view, "role", staff_role_names[role]);
    json_add_moment(view, "expires_at", expires_ms);
    json_add_string(view, "token", token);
    if (cli->given[OPTION_JSON] != NULL)
        print_json(view, stdout);
    else
        printf("%s\n", token);
    if (cli->given[OPTION_JSON] == NULL)
        fprintf(stderr, "This is the only time that it is shown. Expires: %s.\n",
                print_moment(cli->arena, view, "expires_at", cli->now_ms, "never"));
    return cli_end_output(cli);
}

int cli_run_token_add(struct cli *cli)
{
    char token[API_TOKEN_TEXT_SIZE] = "";
    struct action action;
    enum role role = ROLE_VIEWER;
    int64_t expires_ms = 0;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    if (status < 0)
        status = read_role(cli, &role);
    if (status < 0)
        status = read_expires(cli, &expires_ms);
    if (status < 0)
        status = cli_answer(cli,
                            staff_token_add(cli->desk.store, cli->words[0], role, expires_ms,
                                            cli->given[OPTION_OWNER], &action, token, &problem),
                            &problem);
    if (status < 0)
        status = print_token(cli, token, role, expires_ms);
    explicit_bzero(token, sizeof token);
    return status;
}

int cli_run_token_remove(struct cli *cli)
{
    struct action action;
    struct problem problem = {0};
    int status = cli_read_note(cli, &action);
    return status >= 0 ? status
                       : say_done(cli,
                                  staff_token_remove(cli->desk.store, cli->words[0], &action,
                                                     &problem),
                                  &problem, "holds no longer.");
}

int cli_run_token_list(struct cli *cli)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (staff_token_list(cli->desk.store, cli->now_ms, &view) < 1)
        return cli_no_store(cli);
    return print_list(cli, view, "tokens", "There are no tokens.");
}
