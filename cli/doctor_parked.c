/* Parked messages: whether those that may go do. */
#include "base/clock.h"
#include "cli/doctor.h"
#include "desk/desk.h"

#define LATE_MS (15 * MINUTE_MS)

/* How many could go for so long. 1 or -1. */
static int count_late(struct doctor *doctor, struct store *store, size_t *count_r)
{
    const struct desk desk = {.store = store};
    struct desk_parked_due due = {.after = ""};
    int64_t before_ms = clock_wall_ms() - LATE_MS;
    *count_r = 0;
    while (due.after != NULL) {
        if (desk_parked_due(&desk, doctor->arena, due.after, before_ms, &due) < 0)
            return -1;
        *count_r += due.count;
    }
    return 1;
}

void doctor_parked(struct doctor *doctor)
{
    freed_by(store_free) struct store *store = NULL;
    size_t late;
    if (doctor->settings->parked_imap[0] == '\0') {
        doctor_says(doctor, DOCTOR_OK, NULL,
                    "sendguard-parked is not used (parked.imap is not set)");
        return;
    }
    if (doctor_store_open(doctor, false, &store) < 1)
        return;
    if (count_late(doctor, store, &late) < 0) {
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "the store does not answer: %s",
                    store_error(store));
        return;
    }
    if (late > 0)
        doctor_says(doctor, DOCTOR_WARN,
                    "systemctl enable --now sendguard-parked, and its log: why it leaves them",
                    "%zu parked messages could go for %d minutes, and were not sent", late,
                    (int)(LATE_MS / MINUTE_MS));
    doctor_says(doctor, DOCTOR_OK, NULL, "no parked message waits longer than it has to");
}
