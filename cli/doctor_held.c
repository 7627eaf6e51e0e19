/* Messages that Postfix holds: whether the desk can release and delete them. */
#include <sys/stat.h>

#include "base/clock.h"
#include "cli/doctor.h"
#include "guard/held.h"
#include "mailqueue/mailqueue.h"
#include "store/store.h"

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

/* How many messages wait, and of how many mailboxes. 1 or -1. */
static int count_waiting(struct store *store, struct arena *arena, int64_t *mailboxes_r,
                         int64_t *messages_r)
{
    enum { PAGE = 64 };
    struct held_mailbox page[PAGE];
    struct store_page paging = {.max = PAGE, .more = true};
    const char *after = "";
    *mailboxes_r = *messages_r = 0;
    while (paging.more) {
        if (held_list(store, arena, after, clock_wall_ms(), page, &paging) < 0)
            return -1;
        for (size_t i = 0; i < paging.count; i++)
            if (page[i].held.action == UNUSUAL_HOLD) {
                ++*mailboxes_r;
                *messages_r += page[i].held.count;
            }
        if (paging.count > 0)
            after = page[paging.count - 1].mailbox;
    }
    return 1;
}

/* What was held before the mode was changed goes on waiting: nobody is told of more, and may forget it. */
static void check_waiting(struct doctor *doctor)
{
    freed_by(store_free) struct store *store = NULL;
    int64_t mailboxes, messages;
    if (doctor->settings->unusual_mode == UNUSUAL_MODE_HOLD ||
        doctor_store_open(doctor, false, &store) < 1)
        return;
    if (count_waiting(store, doctor->arena, &mailboxes, &messages) < 0)
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "what waits cannot be read: %s",
                    store_error(store));
    else if (mailboxes > 0)
        doctor_says(doctor, DOCTOR_WARN, "sendguard held, then sendguard release or reject",
                    "%lld message%s of %lld mailbox%s still wait%s for the postmaster, though "
                    "unusual.mode is not hold", (long long)messages, messages == 1 ? "" : "s",
                    (long long)mailboxes, mailboxes == 1 ? "" : "es", messages == 1 ? "s" : "");
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
    check_waiting(doctor);
}
