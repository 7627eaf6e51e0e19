/* Messages that Postfix holds: whether the desk can release and delete them. */
#include <sys/stat.h>

#include "cli/doctor.h"
#include "mailqueue/mailqueue.h"

/* Whether the services, whose group their secret has, may connect; root, who asks, always may. */
static void check_group(struct doctor *doctor, const char *path, const char *secret)
{
    struct stat socket, ours;
    if (stat(path, &socket) == 0 && stat(secret, &ours) == 0 &&
        (socket.st_gid != ours.st_gid || (socket.st_mode & S_IWGRP) == 0))
        doctor_says(doctor, DOCTOR_BAD,
                    "systemctl edit sendguard-postqueue.socket: SocketGroup=sendguard and "
                    "SocketMode=0660, then: systemctl restart sendguard-postqueue.socket",
                    "%s: the group of the services may not connect", path);
}

static void say(struct doctor *doctor, enum mailqueue_answer answer,
                const struct mailqueue_list *list, const struct problem *problem)
{
    switch (answer) {
    case MAILQUEUE_DONE:
        doctor_says(doctor, DOCTOR_OK, NULL,
                    "sendguard-postqueue answers; Postfix holds %zu message%s%s", list->count,
                    list->count == 1 ? "" : "s", list->more ? ", and more" : "");
        break;
    case MAILQUEUE_ABSENT:
        if (doctor->settings->unusual_mode == UNUSUAL_MODE_HOLD)
            doctor_says(doctor, DOCTOR_WARN,
                        "systemctl enable --now sendguard-postqueue.socket, where users send by",
                        "sendguard-postqueue does not answer: what unusual.mode holds is released "
                        "by postsuper alone");
        else
            doctor_says(doctor, DOCTOR_OK, NULL,
                        "sendguard-postqueue is not set up, and is not needed (unusual.mode)");
        break;
    case MAILQUEUE_FORBIDDEN:
        doctor_says(doctor, DOCTOR_SKIP, "run it as root", "%s", problem->text);
        break;
    case MAILQUEUE_BROKEN:
        doctor_says(doctor, DOCTOR_BAD, "journalctl -u 'sendguard-postqueue@*'",
                    "sendguard-postqueue: %s", problem->text);
    }
}

void doctor_held(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    struct mailqueue_list list = {0};
    struct problem problem;
    if (settings->postqueue_socket[0] == '\0') {
        doctor_says(doctor, DOCTOR_OK, NULL,
                    "sendguard-postqueue is not used (postqueue.socket is not set)");
    } else {
        say(doctor, mailqueue_held(settings->postqueue_socket, &list, &problem), &list, &problem);
        check_group(doctor, settings->postqueue_socket, settings->web_secret_file);
        mailqueue_list_free(&list);
    }
}
