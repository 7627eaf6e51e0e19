/* Delivery feedback: which log is followed, how far the follower is, and what it missed. Its cursors
 * in the store say so; the key of each is the log, as feedback.source names it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/path.h"
#include "cli/doctor.h"
#include "store/values.h"

#define OF_FILE "file:"

struct followed {
    struct doctor *doctor;
    const char *log; /* "journal", "file:/var/log/mail.log" */
    struct json_object *cursor;
};

/* Calls `look` with each log that is followed. */
static void each_log(struct doctor *doctor, void (*look)(const struct followed *followed))
{
    enum { LOGS_MAX = 32 };
    struct value values[LOGS_MAX];
    struct store_page page = {.max = LOGS_MAX};
    freed_by(store_free) struct store *store = NULL;
    if (doctor_store_open(doctor, false, &store) < 1)
        return;
    if (store_values(store, doctor->arena, VALUE_CURSOR, "", clock_wall_ms(), values, &page) < 0) {
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "the store does not answer: %s",
                    store_error(store));
        return;
    }
    for (size_t i = 0; i < page.count; i++) {
        freed_by(json_put) struct json_object *cursor = json_read(values[i].bytes);
        look(&(struct followed){.doctor = doctor, .log = values[i].key, .cursor = cursor});
    }
    if (page.count == 0)
        doctor_says(doctor, DOCTOR_SKIP, "start sendguard-feedback where the mail server logs",
                    "nothing has followed a log of the mail server yet");
}

/* The path of a log that is a file; NULL: it is none. */
static const char *file_of(const char *log)
{
    return strncmp(log, OF_FILE, strlen(OF_FILE)) == 0 ? log + strlen(OF_FILE) : NULL;
}

/* ---- log_source ----------------------------------------------------------------------- */

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

/* By now the check is the user of the services, if root runs it: the store's owner. */
static void look_at_source(const struct followed *followed)
{
    struct doctor *doctor = followed->doctor;
    const char *file = file_of(followed->log);
    const char *path = file != NULL ? file
                       : access("/var/log/journal", F_OK) == 0 ? "/var/log/journal"
                                                                 : "/run/log/journal";
    const struct passwd *account = getpwuid(geteuid());
    const char *name = account != NULL ? account->pw_name
                                       : arena_printf(doctor->arena, "user %u", geteuid());
    struct stat status;
    if (stat(path, &status) != 0 && errno != EACCES) {
        doctor_says(doctor, DOCTOR_BAD, "main.cf: maillog_file, or sendguard.conf: feedback.source",
                    "%s is followed, and %s is not there", followed->log, path);
        return;
    }
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 || unit_lets_read(doctor, status.st_gid)) {
        doctor_says(doctor, DOCTOR_OK, NULL, "%s can be read by %s", path, name);
        return;
    }
    doctor_says(doctor, DOCTOR_BAD,
                "systemctl edit sendguard-feedback, write below [Service]: "
                "AmbientCapabilities=CAP_DAC_READ_SEARCH",
                "%s is followed, and %s cannot be read by %s", followed->log, path, name);
}

void doctor_log_source(struct doctor *doctor) { each_log(doctor, look_at_source); }

/* ---- feedback --------------------------------------------------------------------------- */

enum { LATE_MS = 60000, LOST_MS = 300000 };

/* When the last line was written: 1, or -1. */
static int end_of_log(const struct followed *followed, int64_t *end_ms_r)
{
    static const char *const words[] = {"journalctl", "-q", "-n", "1", "-o", "short-unix", "-u",
                                        "postfix@-.service", "-u", "postfix.service", NULL};
    const char *file = file_of(followed->log), *line = "";
    struct stat status;
    if (file != NULL) {
        if (stat(file, &status) != 0)
            return -1;
        *end_ms_r = status.st_mtime * SECOND_MS;
        return 1;
    }
    if (doctor_program(followed->doctor->arena, words, &line, NULL) != 0 || *line == '\0')
        return -1;
    *end_ms_r = strtoll(line, NULL, 10) * SECOND_MS;
    return 1;
}

static void look_at_lag(const struct followed *followed)
{
    struct doctor *doctor = followed->doctor;
    int64_t log_ms = json_int(followed->cursor, "log_ms", 0), end_ms;
    if (log_ms <= 0 || end_of_log(followed, &end_ms) < 1) {
        doctor_says(doctor, DOCTOR_SKIP, "run it as root, where the mail server logs",
                    "how far %s is followed is not known", followed->log);
        return;
    }
    long long lag_ms = end_ms > log_ms ? end_ms - log_ms : 0;
    if (lag_ms > LATE_MS)
        doctor_says(doctor, lag_ms > LOST_MS ? DOCTOR_BAD : DOCTOR_WARN,
                    "systemctl restart sendguard-feedback, and read its log",
                    "%s goes on %lld s behind the last line that was read", followed->log,
                    lag_ms / SECOND_MS);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "%s is read to %lld s before its end", followed->log,
                    lag_ms / SECOND_MS);
}

void doctor_feedback(struct doctor *doctor) { each_log(doctor, look_at_lag); }

/* ---- gaps --------------------------------------------------------------------------------- */

static void look_at_gaps(const struct followed *followed)
{
    struct doctor *doctor = followed->doctor;
    enum { ONE_IN = 100 };
    int64_t gaps = json_int(followed->cursor, "gaps", 0);
    int64_t messages = json_int(followed->cursor, "messages", 0);
    if (gaps > 0)
        doctor_says(doctor, gaps * ONE_IN >= messages ? DOCTOR_BAD : DOCTOR_WARN,
                    file_of(followed->log) != NULL
                        ? "let each rotated file stay until it was read; main.cf: maillog_file"
                        : "systemctl edit postfix@.service, write below [Service]: "
                          "LogRateLimitIntervalSec=0",
                    "%s has no line of %lld messages that Postfix took, of %lld others it has",
                    followed->log, (long long)gaps, (long long)messages);
    else
        doctor_says(doctor, DOCTOR_OK, NULL, "%s has lines of all %lld messages", followed->log,
                    (long long)messages);
}

void doctor_gaps(struct doctor *doctor) { each_log(doctor, look_at_gaps); }
