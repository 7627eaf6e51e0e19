/* Notifications: whether what the settings want is sent. */
#include "base/clock.h"
#include "cli/doctor.h"
#include "notify/notify_send.h"
#include "notify/notify_state.h"

static void tell_waiting(struct doctor *doctor, const struct notify_state *state,
                         enum notify_way way, int64_t now_ms)
{
    struct notify_waiting waiting = notify_state_waiting(state, way);
    if (waiting.failing > 0)
        doctor_says(doctor, DOCTOR_WARN, "sendguard notify --test, and the log of sendguard-notify",
                    "%zu notification%s by %s cannot be sent, for %lld s", waiting.failing,
                    waiting.failing == 1 ? "" : "s", notify_way_names[way],
                    (long long)(now_ms - waiting.failing_since_ms) / SECOND_MS);
}

void doctor_notify(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    struct notify_state state = {0};
    struct problem problem;
    freed_by(store_free) struct store *store = NULL;
    int64_t now_ms = clock_wall_ms();
    if (settings->notify_mail_to.count == 0 && settings->notify_webhook[0] == '\0' &&
        settings->notify_user_languages[0] == '\0') {
        doctor_says(doctor, DOCTOR_OK, NULL,
                    "sendguard-notify is not used (notify.mail_to is not set)");
        return;
    }
    if (notify_send_requires(settings, &problem) < 1)
        doctor_says(doctor, DOCTOR_BAD, "below [notify]: mail_from = ADDRESS", "%s %s",
                    problem.where, problem.text);
    if (notify_send_is_forwarded(settings))
        doctor_says(doctor, DOCTOR_WARN,
                    "a port of master.cf without smtpd_end_of_data_restrictions; below [notify]: smtp "
                    "= 127.0.0.1:PORT",
                    "notify.smtp %s", NOTIFY_SEND_FORWARDED);
    if (doctor_store_open(doctor, false, &store) < 1)
        return;
    if (notify_state_read(&state, store, doctor->arena, now_ms) < 0) {
        doctor_says(doctor, DOCTOR_SKIP, "sendguard doctor store", "the store does not answer: %s",
                    store_error(store));
        return;
    }
    int64_t quiet_ms = now_ms - notify_state_int(&state, "looked_ms");
    if (quiet_ms > 2 * MINUTE_MS)
        doctor_says(doctor, DOCTOR_BAD, "systemctl enable --now sendguard-notify",
                    "sendguard-notify does not run: nobody is told of anything");
    for (int way = 0; way < NOTIFY_WAYS; way++)
        tell_waiting(doctor, &state, (enum notify_way)way, now_ms);
    doctor_says(doctor, DOCTOR_OK, NULL, "sendguard-notify looked %lld s ago, and all was sent",
                (long long)quiet_ms / SECOND_MS);
    notify_state_end(&state);
}
