#include "notifier/notifier.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/rounds.h"
#include "notify/notify_deliver.h"
#include "notify/notify_look.h"

enum { LOOK_EACH_MS = 5000, AT_ONCE = 20 };

struct notifier {
    struct rounds rounds;
    struct guard *guard;
    struct store *store;
    struct recorder *recorder;
    struct arena *arena;
    struct notify_state state;
    char host[256], who[300]; /* who: of all such programs only this one */
    struct log_once away, leads, fails[NOTIFY_WAYS];
};

/* ---- sending --------------------------------------------------------------------------------- */

static void tell_try(struct notifier *notifier, enum notify_way way, enum notify_result result,
                     struct json_object *notification, const struct problem *problem)
{
    bool failed = result != NOTIFY_SENT;
    recorder_notified(notifier->recorder, way, result, 1);
    if (log_changed(&notifier->fails[way], failed))
        log_line(failed ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 failed ? "a notification cannot be sent" : "notifications are sent again", "by",
                 notify_way_names[way], "where", failed ? problem->where : NULL, "error",
                 failed ? problem->text : NULL, NULL);
    if (result == NOTIFY_GIVEN_UP)
        log_line(LOG_ERROR_LEVEL, "a notification is given up", "by", notify_way_names[way], "id",
                 json_string(notification, "id", ""), NULL);
}

static int write_state(struct notifier *notifier)
{
    int written = notify_state_write(&notifier->state, notifier->store, notifier->who,
                                     clock_wall_ms());
    if (written == 0)
        notify_state_end(&notifier->state); /* another one leads: it is read again */
    return written;
}

/* A mailbox that the mail server refuses for good is not tried again. By RFC 5321 section 4.2.3 these
 * codes are about a mailbox; others say that what was set up is wrong, which somebody mends. */
static enum notify_result result_of(enum notify_way way, bool taken, const struct problem *problem)
{
    enum { MAILBOX_FIRST = 550, MAILBOX_LAST = 553 };
    if (taken)
        return NOTIFY_SENT;
    bool for_good = way == NOTIFY_TO_USER && problem->status >= MAILBOX_FIRST &&
                    problem->status <= MAILBOX_LAST;
    return for_good ? NOTIFY_GIVEN_UP : NOTIFY_FAILED;
}

/* What is due that way, up to the first that fails: the others would probably fail too. False: the
 * state could not be written, and nothing more is to be sent. */
static bool send_due(struct notifier *notifier, const struct notify_writer *writer,
                     enum notify_way way)
{
    struct problem problem;
    enum notify_result tried = NOTIFY_SENT, result;
    for (int sent = 0; sent < AT_ONCE && tried != NOTIFY_FAILED; sent++) {
        int64_t now_ms = clock_wall_ms();
        struct json_object *next = notify_state_due(&notifier->state, way, now_ms);
        if (next == NULL)
            return true;
        freed_by(json_put) struct json_object *notification = json_object_get(next);
        int taken = notify_deliver(writer, way, notification, now_ms, &notifier->rounds.ending,
                                   &problem);
        if (notifier->rounds.ending && !taken)
            return false; /* it was broken off, which is nobody's fault */
        tried = result_of(way, taken, &problem);
        result = notify_state_tried(&notifier->state, way, notification, tried, clock_wall_ms());
        tell_try(notifier, way, result, notification, &problem);
        if (write_state(notifier) < 1)
            return false;
    }
    return true;
}

/* ---- a round --------------------------------------------------------------------------------- */

static bool is_wanted_by(const struct settings *settings, enum notify_way way)
{
    return way == NOTIFY_BY_MAIL      ? settings->notify_mail_to.count > 0
           : way == NOTIFY_BY_WEBHOOK ? settings->notify_webhook[0] != '\0'
                                      : settings->notify_user_languages[0] != '\0';
}

static bool is_wanted(const struct settings *settings)
{
    return is_wanted_by(settings, NOTIFY_BY_MAIL) || is_wanted_by(settings, NOTIFY_BY_WEBHOOK) ||
           is_wanted_by(settings, NOTIFY_TO_USER);
}

/* Whether this one leads, as far as the store tells. 1, 0 or -1. */
static int look_who_leads(struct notifier *notifier)
{
    int64_t now_ms = clock_wall_ms();
    struct notify_state *state = &notifier->state;
    if (state->tree == NULL &&
        notify_state_read(state, notifier->store, notifier->arena, now_ms) < 0)
        return -1;
    if (notify_state_leads(state, notifier->who, now_ms))
        return 1;
    notify_state_end(state);
    return 0;
}

/* 1 there may be something to send; 0 another one leads; -1. */
static int look(struct notifier *notifier, const struct settings *settings)
{
    int64_t now_ms = clock_wall_ms();
    struct notify_look looking = {.store = notifier->store, .arena = notifier->arena,
                                  .settings = settings, .now_ms = now_ms};
    int leads = look_who_leads(notifier);
    if (leads < 1)
        return leads;
    if (notify_look(&looking, &notifier->state) < 0)
        return -1;
    int64_t without_name = notify_state_collect(&notifier->state, settings, now_ms);
    if (without_name > 0 && settings->notify_mail_to.count > 0)
        recorder_notified(notifier->recorder, NOTIFY_BY_MAIL, NOTIFY_LEFT_OUT,
                          (uint64_t)without_name);
    if (without_name > 0 && settings->notify_webhook[0] != '\0')
        recorder_notified(notifier->recorder, NOTIFY_BY_WEBHOOK, NOTIFY_LEFT_OUT,
                          (uint64_t)without_name);
    if (looking.users_left_out > 0)
        recorder_notified(notifier->recorder, NOTIFY_TO_USER, NOTIFY_LEFT_OUT,
                          (uint64_t)looking.users_left_out);
    return write_state(notifier);
}

static void tell_look(struct notifier *notifier, int looked)
{
    if (log_changed(&notifier->away, looked < 0))
        log_line(looked < 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 looked < 0 ? "store does not answer: nobody is told of anything"
                            : "store answers again",
                 "error", looked < 0 ? store_error(notifier->store) : NULL, NULL);
    enum { LEADS = 1, ANOTHER = 2 }; /* neither is what it is before the first round */
    if (looked >= 0 && log_changed(&notifier->leads, looked ? LEADS : ANOTHER))
        log_line(LOG_INFO_LEVEL, looked ? "notifications are sent here"
                                        : "another program sends notifications", NULL);
}

static void do_round(struct notifier *notifier, struct snapshot *snapshot)
{
    const struct settings *settings = snapshot_settings(snapshot);
    const struct notify_writer writer = {.arena = notifier->arena, .settings = settings,
                                         .catalogue = snapshot_catalogue(snapshot),
                                         .host = notifier->host};
    arena_reset(notifier->arena);
    if (!is_wanted(settings)) {
        notify_state_end(&notifier->state);
        return;
    }
    int looked = look(notifier, settings);
    tell_look(notifier, looked);
    bool goes_on = looked > 0;
    for (int way = 0; way < NOTIFY_WAYS && goes_on; way++)
        if (is_wanted_by(settings, (enum notify_way)way))
            goes_on = send_due(notifier, &writer, (enum notify_way)way);
        else
            notify_state_forget(&notifier->state, (enum notify_way)way);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool are_in_force(struct notifier *notifier, const struct snapshot *snapshot)
{
    freed_by(snapshot_release) struct snapshot *now = guard_snapshot(notifier->guard);
    return now == snapshot;
}

/* With new settings a round begins at once. */
static void *run(void *context)
{
    struct notifier *notifier = context;
    while (!notifier->rounds.ending) {
        freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(notifier->guard);
        do_round(notifier, snapshot);
        int64_t until_ms = clock_monotonic_ms() + LOOK_EACH_MS;
        while (rounds_wait(&notifier->rounds, until_ms) && are_in_force(notifier, snapshot))
            ;
    }
    notify_state_resign(&notifier->state, notifier->store, notifier->who, clock_wall_ms());
    notifier->rounds.ended = true;
    return NULL;
}

static void free_notifier(struct notifier **notifier)
{
    notify_state_end(&(*notifier)->state);
    arena_free(&(*notifier)->arena);
    free(*notifier);
    *notifier = NULL;
}

struct notifier *notifier_start(const struct daemon *daemon)
{
    struct notifier *notifier = xcalloc(1, sizeof *notifier);
    notifier->guard = daemon->guard;
    notifier->store = daemon->store;
    notifier->recorder = daemon->recorder;
    notifier->arena = arena_new();
    gethostname(notifier->host, sizeof notifier->host - 1);
    snprintf(notifier->who, sizeof notifier->who, "%s %08x", notifier->host, randombytes_random());
    if (pthread_create(&notifier->rounds.thread, NULL, run, notifier) == 0)
        return notifier;
    log_line(LOG_ERROR_LEVEL, "no thread for notifications", NULL);
    free_notifier(&notifier);
    return NULL;
}

int notifier_stop(struct notifier **notifier, int timeout_ms)
{
    if (rounds_stop(&(*notifier)->rounds, timeout_ms) < 0)
        return -1;
    free_notifier(notifier);
    return 1;
}
