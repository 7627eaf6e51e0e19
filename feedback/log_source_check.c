#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "feedback/log_source_inside.h"
#include "settings/settings.h"

enum { PEOPLE = 1000 }; /* the first id of users and groups that are no services (login.defs) */

struct log_check {
    const char *where;
    struct faults *warnings;
};

printf_like(2, 3) static void warn(const struct log_check *check, const char *format, ...)
{
    char text[sizeof check->warnings->first[0].text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    settings_warn(check->warnings, check->where, text);
}

/* "root:adm, mode 0640" */
static char *rights_of(const struct stat *status)
{
    const struct passwd *user = getpwuid(status->st_uid);
    const struct group *group = getgrgid(status->st_gid);
    freed_by(free_string) char *uid = xasprintf("%u", (unsigned)status->st_uid);
    freed_by(free_string) char *gid = xasprintf("%u", (unsigned)status->st_gid);
    return xasprintf("%s:%s, mode %04o", user == NULL ? uid : user->pw_name,
                     group == NULL ? gid : group->gr_name, (unsigned)status->st_mode & 07777);
}

/* `mode`: what is needed, as of access(2). */
static void check_readable(const struct log_check *check, const char *path,
                           const struct stat *status, int mode)
{
    if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0)
        return;
    freed_by(free_string) char *rights = rights_of(status);
    const struct group *group = getgrgid(status->st_gid);
    bool by_group = (status->st_mode & S_IRGRP) != 0 && group != NULL;
    warn(check, "%s cannot be read (%s): expected %s%s%sAmbientCapabilities=CAP_DAC_READ_SEARCH "
                "in the service's unit", path, rights,
         by_group ? "SupplementaryGroups=" : "", by_group ? group->gr_name : "",
         by_group ? " or " : "");
}

static void check_writers(const struct log_check *check, const char *path,
                          const struct stat *status)
{
    bool by_group = (status->st_mode & S_IWGRP) != 0 && status->st_gid >= PEOPLE;
    if ((status->st_mode & S_IWOTH) == 0 && !by_group && status->st_uid < PEOPLE)
        return;
    freed_by(free_string) char *rights = rights_of(status);
    warn(check, "users of this machine can change %s (%s), and what they write there counts: "
                "expected a place that services alone can write to", path, rights);
}

/* The value of the last `maillog_file = PATH`; "": none, or it cannot be read. To be freed. */
static char *maillog_file(const char *main_cf)
{
    static const char name[] = "maillog_file";
    FILE *file = fopen(main_cf, "re");
    char *line = NULL, *found = xstrdup("");
    size_t size = 0;
    while (file != NULL && getline(&line, &size, file) >= 0) {
        const char *at = line + strlen(name);
        if (strncmp(line, name, strlen(name)) != 0 || at[strspn(at, " \t")] != '=')
            continue;
        at += strspn(at, " \t") + 1;
        at += strspn(at, " \t");
        free(found);
        found = xasprintf("%.*s", (int)strcspn(at, " \t\r\n"), at);
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}

static void check_file(const struct log_check *check, const char *path, const char *main_cf)
{
    freed_by(free_string) char *folder = path_folder(path);
    freed_by(free_string) char *of_postfix = maillog_file(main_cf);
    struct stat status;
    if (stat(folder, &status) != 0) {
        warn(check, "%s cannot be examined: %s", folder, strerror(errno));
        return;
    }
    check_readable(check, folder, &status, R_OK | X_OK);
    check_writers(check, folder, &status);
    if (stat(path, &status) != 0) {
        warn(check, "%s cannot be examined: %s", path, strerror(errno));
        return;
    }
    check_readable(check, path, &status, R_OK);
    check_writers(check, path, &status);
    if (strcmp(path, of_postfix) != 0)
        warn(check, "Postfix' maillog_file is not %s, so a syslog service writes it, which takes "
                    "lines from every user of this machine: expected \"journal\", or that "
                    "maillog_file", path);
}

void log_source_check(const char *spec, const char *main_cf, const char *where,
                      struct faults *warnings)
{
    struct log_check check = {where, warnings};
    if (strncmp(spec, "file:", strlen("file:")) == 0) {
        check_file(&check, spec + strlen("file:"), main_cf);
    } else if (strcmp(spec, "journal") == 0) {
        const char *fault = log_source_journal_fault();
        if (fault != NULL)
            warn(&check, "the journal: %s", fault);
    }
}
