/* Delivery feedback: whether feedback.source is the mail server's log and can be read, how far it
 * is followed, and what the follower missed. The follower's cursor in the store says so; its key is
 * "HOST SOURCE". */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/doctor.h"
#include "cli/doctor_postfix.h"
#include "store/values.h"

#define OF_FILE "file:"
#define JOURNAL "journal"

/* The path of a source that is a file; NULL: it is none. */
static const char *file_of(const char *source)
{
    return strncmp(source, OF_FILE, strlen(OF_FILE)) == 0 ? source + strlen(OF_FILE) : NULL;
}

/* The cursor of this machine's follower, to be put: 1; 0 there is none; -1 the store cannot be
 * read. After 0 and -1 the check says so. */
static int read_cursor(struct doctor *doctor, struct json_object **cursor_r)
{
    char host[256] = "";
    struct value value;
    freed_by(store_free) struct store *store = NULL;
    if (doctor_store_open(doctor, false, &store) < 1)
        return -1;
    gethostname(host, sizeof host - 1);
    const char *key = arena_printf(doctor->arena, "%s %s", host, doctor->settings->feedback_source);
    int found = store_value(store, doctor->arena, VALUE_CURSOR, key, clock_wall_ms(), &value);
    if (found < 0)
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "the store does not answer: %s",
                    store_error(store));
    else if (found == 0)
        doctor_says(doctor, DOCTOR_SKIP, "systemctl restart sendguard-feedback, on the mail server",
                    "nothing has followed %s of this machine yet",
                    doctor->settings->feedback_source);
    if (found > 0)
        *cursor_r = json_read(value.bytes);
    return found;
}

/* ---- how far it is followed --------------------------------------------------------------- */

/* The follower keeps a sign each minute, also when no line came. */
enum { LATE_MS = 60000, QUIET_MS = 120000, LOST_MS = 300000 };

/* When the last line was written; 0: not known. Ask before the store is open: its owner may not
 * read the journal. */
static int64_t end_of_log(struct doctor *doctor)
{
    static const char *const words[] = {"journalctl", "-q", "-n", "1", "-o", "short-unix", "-u",
                                        "postfix@-.service", "-u", "postfix.service", NULL};
    const char *file = file_of(doctor->settings->feedback_source), *line = "";
    struct stat status;
    if (file != NULL)
        return stat(file, &status) == 0 ? status.st_mtime * SECOND_MS : 0;
    return doctor_program(doctor->arena, words, &line, NULL) == 0
               ? strtoll(line, NULL, 10) * SECOND_MS
               : 0;
}

/* How much later the log's last line is than the last one that was read: 1, or -1. */
static int read_lag(struct json_object *cursor, int64_t end_ms, int64_t *lag_ms_r)
{
    int64_t log_ms = json_int(cursor, "log_ms", 0);
    if (log_ms <= 0 || end_ms <= 0)
        return -1;
    *lag_ms_r = end_ms > log_ms ? end_ms - log_ms : 0;
    return 1;
}

/* Whether the follower goes on, as far as its last sign tells; else the check says so. */
static bool gives_signs(struct doctor *doctor, struct json_object *cursor)
{
    int64_t read_ms = json_int(cursor, "read_ms", 0), quiet_ms = clock_wall_ms() - read_ms;
    if (read_ms <= 0 || quiet_ms <= QUIET_MS)
        return true;
    doctor_says(doctor, quiet_ms > LOST_MS ? DOCTOR_BAD : DOCTOR_WARN,
                "systemctl restart sendguard-feedback, and read its log",
                "sendguard-feedback gave no sign for %lld s", (long long)quiet_ms / SECOND_MS);
    return false;
}

void doctor_feedback(struct doctor *doctor)
{
    const char *source = doctor->settings->feedback_source;
    freed_by(json_put) struct json_object *cursor = NULL;
    int64_t end_ms = end_of_log(doctor), lag_ms;
    if (read_cursor(doctor, &cursor) < 1)
        return;
    if (read_lag(cursor, end_ms, &lag_ms) < 1)
        doctor_says(doctor, DOCTOR_SKIP, "run it as root, where the mail server logs",
                    "how far %s is followed is not known", source);
    else if (lag_ms > LATE_MS)
        doctor_says(doctor, lag_ms > LOST_MS ? DOCTOR_BAD : DOCTOR_WARN,
                    "systemctl restart sendguard-feedback, and read its log",
                    "%s goes on %lld s behind the last line that was read", source,
                    (long long)lag_ms / SECOND_MS);
    else if (gives_signs(doctor, cursor))
        doctor_says(doctor, DOCTOR_OK, NULL, "%s is read to %lld s before its end", source,
                    (long long)lag_ms / SECOND_MS);
}

/* ---- the log itself ------------------------------------------------------------------------ */

/* Whether the source is where Postfix logs; else the check says so. */
static bool is_log_of_postfix(struct doctor *doctor)
{
    struct doctor_postfix postfix;
    const char *source = doctor->settings->feedback_source, *file = file_of(source);
    if (!doctor_postfix_read(doctor, &postfix))
        return false;
    const char *maillog = doctor_postfix_value(doctor, &postfix, NULL, "maillog_file");
    if (*maillog != '\0' && (file == NULL || strcmp(file, maillog) != 0)) {
        doctor_says(doctor, DOCTOR_BAD,
                    arena_printf(doctor->arena, "below [feedback]: source = " OF_FILE "%s",
                                 maillog),
                    "feedback.source is %s, and Postfix logs to %s (maillog_file)", source,
                    maillog);
        return false;
    }
    if (*maillog == '\0' && file != NULL)
        doctor_says(doctor, DOCTOR_WARN, "below [feedback]: source = " JOURNAL,
                    "Postfix has no maillog_file: a syslog service has to write %s, and takes "
                    "lines from every user of this machine",
                    file);
    return true;
}

/* Whether the unit gives its service what the file wants beside its user's groups. */
static bool unit_lets_read(struct doctor *doctor, gid_t group)
{
    static const char *const words[] = {"systemctl", "show", "-p", "AmbientCapabilities", "-p",
                                        "SupplementaryGroups", "sendguard-feedback", NULL};
    const struct group *named = getgrgid(group);
    const char *said = "";
    if (doctor_program(doctor->arena, words, &said, NULL) != 0)
        return false;
    return strstr(said, "cap_dac_read_search") != NULL ||
           (named != NULL && strstr(said, named->gr_name) != NULL);
}

/* What was read until a moment ago can be read: 1, 0, -1 the store does not tell. */
static int is_read(struct doctor *doctor)
{
    int64_t end_ms = end_of_log(doctor), lag_ms;
    struct doctor silent = {.cli = doctor->cli, .settings = doctor->settings,
                            .arena = doctor->arena};
    freed_by(json_put) struct json_object *cursor = NULL;
    int told = read_cursor(&silent, &cursor);
    text_free(&silent.found);
    text_free(&silent.advice);
    return told < 1 ? told : read_lag(cursor, end_ms, &lag_ms) == 1 && lag_ms <= LATE_MS;
}

/* Of what the service itself says of its log (lines of its --check): whether there is a journal for
 * it, and who else writes. Whether a file can be read, and whether Postfix writes it, the check
 * finds out better. */
static void tell_service_check(struct doctor *doctor, const char *lines, bool is_read)
{
    static const char begin[] = "sendguard-feedback: warning: feedback.source: ";
    static const char journal[] = "the journal: ", writers[] = "users of this machine can change";
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n') {
        const char *line = doctor_line(doctor->arena, lines);
        if (strncmp(line, begin, strlen(begin)) != 0)
            continue;
        line += strlen(begin);
        if (strncmp(line, journal, strlen(journal)) == 0 && !is_read)
            doctor_says(doctor, DOCTOR_BAD, "sendguard-feedback --check, as root", "%s", line);
        else if (strncmp(line, writers, strlen(writers)) == 0)
            doctor_says(doctor, DOCTOR_WARN, "let services alone write there", "%s", line);
    }
}

void doctor_log_source(struct doctor *doctor)
{
    const char *source = doctor->settings->feedback_source, *file = file_of(source);
    const char *path = file != NULL ? file
                       : access("/var/log/journal", F_OK) == 0 ? "/var/log/journal"
                                                                 : "/run/log/journal";
    struct stat status;
    if (!is_log_of_postfix(doctor))
        return;
    if (stat(path, &status) != 0) {
        doctor_says(doctor, DOCTOR_BAD, "below [feedback]: source = WHERE POSTFIX LOGS",
                    "feedback.source is %s, and %s is not there", source, path);
        return;
    }
    const char *said = ""; /* by root with the rights of the unit; nobody else has them */
    if (geteuid() == 0 && doctor_service_check(doctor, "sendguard-feedback", &said) < 0)
        said = "";
    bool unit_lets = unit_lets_read(doctor, status.st_gid);
    int followed = is_read(doctor); /* from here on as the store's owner, if root runs it */
    const struct passwd *account = getpwuid(geteuid());
    const char *name = account != NULL ? account->pw_name
                                       : arena_printf(doctor->arena, "user %u", geteuid());
    tell_service_check(doctor, said, followed == 1);
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 || followed == 1 || unit_lets)
        doctor_says(doctor, DOCTOR_OK, NULL, "%s, where Postfix logs, can be read", source);
    else if (followed < 0) /* then we are not the user of the services either */
        doctor_says(doctor, DOCTOR_SKIP, "run it as root", "%s cannot be read by %s", path, name);
    else
        doctor_says(doctor, DOCTOR_BAD,
                    "systemctl edit sendguard-feedback, write below [Service]: "
                    "AmbientCapabilities=CAP_DAC_READ_SEARCH",
                    "%s cannot be read by %s", path, name);
}

/* ---- gaps --------------------------------------------------------------------------------- */

void doctor_gaps(struct doctor *doctor)
{
    enum { ONE_IN = 100 };
    const char *source = doctor->settings->feedback_source;
    freed_by(json_put) struct json_object *cursor = NULL;
    if (read_cursor(doctor, &cursor) < 1)
        return;
    int64_t gaps = json_int(cursor, "gaps", 0), messages = json_int(cursor, "messages", 0);
    if (gaps > 0)
        doctor_says(doctor, gaps * ONE_IN >= messages ? DOCTOR_BAD : DOCTOR_WARN,
                    file_of(source) != NULL
                        ? "let each rotated file stay until it was read"
                        : "systemctl edit postfix@.service, write below [Service]: "
                          "LogRateLimitIntervalSec=0",
                    "%s has no line of %lld messages that Postfix took, of %lld others it has",
                    source, (long long)gaps, (long long)messages);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "%s has lines of all %lld messages", source,
                    (long long)messages);
}
