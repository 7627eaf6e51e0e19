/* Dovecot's filters (Sieve), whose mail the owner of a mailbox does not send. */
#include <string.h>

#include "cli/doctor.h"

/* The value of a setting outside of all blocks, in `arena`; "": it is not set. */
static const char *value_of(struct arena *arena, const char *lines, const char *name)
{
    size_t length = strlen(name);
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
        if (strncmp(lines, name, length) == 0 && strncmp(lines + length, " = ", 3) == 0)
            return doctor_line(arena, lines + length + 3);
    return "";
}

/* "mail_plugins = … sieve", or in 2.4 "sieve = yes" in a block of that name. */
static bool runs_filters(struct arena *arena, const char *lines)
{
    bool in_plugins = false;
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n') {
        const char *line = doctor_line(arena, lines + strspn(lines, " "));
        bool plugins = strncmp(line, "mail_plugins", strlen("mail_plugins")) == 0;
        if ((plugins && strstr(line, "sieve") != NULL) ||
            (in_plugins && strcmp(line, "sieve = yes") == 0))
            return true;
        in_plugins = plugins || (in_plugins && strchr(line, '}') == NULL);
    }
    return false;
}

void doctor_sieve(struct doctor *doctor)
{
    const char *file = doctor->cli->given[OPTION_DOVECOT], *lines, *errors;
    const char *words[] = {"doveconf", "-n", file != NULL ? "-c" : NULL, file, NULL};
    int status = doctor_program(doctor->arena, words, &lines, &errors);
    if (status < 0) {
        doctor_says(doctor, DOCTOR_SKIP, "run it on the server of the mailboxes",
                    "there is no Dovecot here (no program doveconf)");
    } else if (status > 0) {
        doctor_says(doctor, DOCTOR_SKIP, "run it as root, or name the file with --dovecot FILE",
                    "doveconf fails: %s", doctor_line(doctor->arena, errors));
    } else if (!runs_filters(doctor->arena, lines)) {
        doctor_says(doctor, DOCTOR_OK, NULL, "mailboxes have no filters (no plugin sieve)");
    } else if (value_of(doctor->arena, lines, "submission_host")[0] == '\0') {
        doctor_says(doctor, DOCTOR_BAD, "dovecot.conf: submission_host = 127.0.0.1:10588",
                    "filters hand in by the sendmail command, which asks no policy service");
    } else if (doctor->settings->mta_forwarding_networks.count == 0) {
        doctor_says(doctor, DOCTOR_BAD, "below [mta]: forwarding_networks = ADDRESS OF DOVECOT",
                    "filters send by %s, and mta.forwarding_networks is not set: what they send "
                    "is not judged",
                    value_of(doctor->arena, lines, "submission_host"));
    } else {
        doctor_says(doctor, DOCTOR_OK, NULL, "filters hand in at %s",
                    value_of(doctor->arena, lines, "submission_host"));
    }
}
