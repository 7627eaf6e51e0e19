#include "auth/session_ender.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/rounds.h"
#include "base/clock.h"
#include "doveadm/doveadm.h"
#include "store/suspensions.h"

enum {
    FIRST_MS = 500, /* the suspension that names it may be written a moment after the lock is seen */
    LATEST_MS = 60 * 1000,
    KICKS_MAX = 1024,
    PAGE = 64
};

/* A locked mailbox whose sessions are to be ended. */
struct kick {
    uint64_t mailbox;
    char *name; /* NULL: not known yet */
    int64_t due_ms;
    int failures;
    bool was_done, is_old; /* is_old: locked before the start */
};

struct session_ender {
    struct rounds rounds;
    struct guard *guard;
    struct store *store;
    struct recorder *recorder;
    struct logins *logins;
    struct doveadm *doveadm;
    struct log_once away;
    struct kick kicks[KICKS_MAX]; /* in order of `mailbox` */
    size_t count;
    bool has_begun;
};

/* ---- which ----------------------------------------------------------------------------------- */

static int compare(const void *one, const void *other)
{
    uint64_t a = ((const struct kick *)one)->mailbox, b = ((const struct kick *)other)->mailbox;
    return (a > b) - (a < b);
}

static void take_locks(struct session_ender *ender, int64_t now_ms)
{
    uint64_t mailboxes[KICKS_MAX];
    size_t count = logins_next_locks(ender->logins, mailboxes, KICKS_MAX - ender->count);
    for (size_t i = 0; i < count; i++)
        ender->kicks[ender->count++] = (struct kick){
            .mailbox = mailboxes[i], .due_ms = now_ms + FIRST_MS, .is_old = !ender->has_begun};
    ender->has_begun = true;
    qsort(ender->kicks, ender->count, sizeof ender->kicks[0], compare);
}

/* Several may be of one mailbox. */
static void name_them(struct session_ender *ender, const char *name)
{
    const struct kick wanted = {.mailbox = logins_mailbox(ender->logins, name)};
    struct kick *found =
        bsearch(&wanted, ender->kicks, ender->count, sizeof ender->kicks[0], compare);
    if (found == NULL)
        return;
    while (found > ender->kicks && found[-1].mailbox == wanted.mailbox)
        found--;
    for (; found < ender->kicks + ender->count && found->mailbox == wanted.mailbox; found++)
        if (found->name == NULL)
            found->name = xstrdup(name);
}

static bool lacks_name(const struct session_ender *ender, int64_t now_ms)
{
    for (size_t i = 0; i < ender->count; i++)
        if (ender->kicks[i].name == NULL && ender->kicks[i].due_ms <= now_ms)
            return true;
    return false;
}

/* A lock is known by a hash. Who is locked is suspended too, and that is kept by name. */
static void find_names(struct session_ender *ender)
{
    struct suspended suspended[PAGE];
    struct store_page page = {.max = PAGE, .more = true};
    char after[sizeof suspended[0].mailbox] = "";
    while (page.more && !ender->rounds.ending) {
        if (store_suspended(ender->store, after, clock_wall_ms(), suspended, &page) < 0)
            return;
        for (size_t i = 0; i < page.count; i++)
            name_them(ender, suspended[i].mailbox);
        if (page.count > 0)
            memcpy(after, suspended[page.count - 1].mailbox, sizeof after);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* It is left out from now on. */
static void finish(struct kick *kick)
{
    free_string(&kick->name);
    kick->due_ms = INT64_MAX;
}

static void tell_done(struct session_ender *ender, const struct kick *kick, bool ended)
{
    recorder_kicked(ender->recorder, ended ? KICK_ENDED : KICK_NONE);
    if (ended || (!kick->was_done && !kick->is_old))
        log_line(LOG_INFO_LEVEL, ended ? "sessions of a locked mailbox are ended"
                                       : "a locked mailbox has no session open",
                 "mailbox", kick->name, NULL);
}

static void take_done(struct session_ender *ender, struct kick *kick, bool ended, int64_t now_ms)
{
    tell_done(ender, kick, ended);
    if (kick->was_done)
        finish(kick);
    kick->was_done = true;
    kick->failures = 0;
    if (kick->due_ms != INT64_MAX)
        kick->due_ms = now_ms + SESSION_ENDER_AGAIN_MS;
}

static void take_failed(struct session_ender *ender, struct kick *kick, const char *why,
                        int64_t now_ms)
{
    int64_t wait_ms = SECOND_MS << kick->failures;
    recorder_kicked(ender->recorder, KICK_FAILED);
    kick->due_ms = now_ms + (wait_ms < LATEST_MS ? wait_ms : LATEST_MS);
    if (++kick->failures < SESSION_ENDER_TRIES)
        return;
    log_line(LOG_ERROR_LEVEL, "sessions of a locked mailbox may go on", "mailbox", kick->name,
             "error", why, NULL);
    finish(kick);
}

static void tell_answer(struct session_ender *ender, int answer, const struct problem *problem)
{
    if (log_changed(&ender->away, answer < 0))
        log_line(answer < 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 answer < 0 ? "sessions cannot be ended" : "sessions can be ended again", "where",
                 answer < 0 ? problem->where : NULL, "error", answer < 0 ? problem->text : NULL,
                 NULL);
}

/* Whether there is something to do for it now. */
static bool is_due(struct session_ender *ender, struct kick *kick, int64_t now_ms)
{
    if (kick->due_ms > now_ms)
        return false;
    if (!logins_keeps_out(ender->logins, kick->mailbox))
        finish(kick);
    else if (kick->name == NULL)
        take_failed(ender, kick, "its name is not known", now_ms);
    else if (!doveadm_may_name(kick->name)) {
        kick->failures = SESSION_ENDER_TRIES;
        take_failed(ender, kick, "its name stands for others too", now_ms);
    } else {
        return true;
    }
    return false;
}

/* As many as one request takes; what failed comes alone. 1; 0 nothing was to do; -1 it failed. */
static int end_some(struct session_ender *ender, int64_t now_ms)
{
    struct kick *due[DOVEADM_KICK_MAX];
    const char *names[DOVEADM_KICK_MAX];
    bool ended[DOVEADM_KICK_MAX];
    struct problem problem;
    size_t count = 0, max = DOVEADM_KICK_MAX;
    for (size_t i = 0; i < ender->count && count < max; i++) {
        struct kick *kick = &ender->kicks[i];
        if (!is_due(ender, kick, now_ms) || (count > 0 && kick->failures > 0))
            continue;
        max = kick->failures > 0 ? 1 : max;
        names[count] = kick->name;
        due[count++] = kick;
    }
    if (count == 0)
        return 0;
    int answer = doveadm_kick(ender->doveadm, names, count, ended, &problem);
    if (ender->rounds.ending)
        return -1;
    tell_answer(ender, answer, &problem);
    for (size_t i = 0; i < count; i++)
        if (answer > 0)
            take_done(ender, due[i], ended[i], now_ms);
        else
            take_failed(ender, due[i], problem.text, now_ms);
    return answer;
}

static void drop_finished(struct session_ender *ender)
{
    size_t left = 0;
    for (size_t i = 0; i < ender->count; i++)
        if (ender->kicks[i].due_ms != INT64_MAX)
            ender->kicks[left++] = ender->kicks[i];
    ender->count = left;
}

/* In observe mode locks keep nobody out: they wait until that ends. */
static void end_sessions(struct session_ender *ender)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(ender->guard);
    int64_t now_ms = clock_monotonic_ms();
    if (snapshot_settings(snapshot)->guard_mode != MODE_ENFORCE)
        return;
    take_locks(ender, now_ms);
    if (lacks_name(ender, now_ms))
        find_names(ender);
    while (end_some(ender, now_ms) > 0)
        ;
    drop_finished(ender);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *run(void *context)
{
    struct session_ender *ender = context;
    while (!ender->rounds.ending) {
        end_sessions(ender);
        int64_t until_ms = clock_monotonic_ms() + ROUNDS_MS;
        while (rounds_wait(&ender->rounds, until_ms))
            ;
    }
    ender->rounds.ended = true;
    return NULL;
}

static void free_ender(struct session_ender **ender)
{
    for (size_t i = 0; i < (*ender)->count; i++)
        free_string(&(*ender)->kicks[i].name);
    doveadm_free(&(*ender)->doveadm);
    free(*ender);
    *ender = NULL;
}

struct session_ender *session_ender_start(const struct daemon *daemon, struct logins *logins)
{
    const struct settings *settings = daemon->settings;
    struct problem problem;
    struct session_ender *ender = xcalloc(1, sizeof *ender);
    ender->guard = daemon->guard;
    ender->store = daemon->store;
    ender->recorder = daemon->recorder;
    ender->logins = logins;
    int good = doveadm_new(settings->dovecot_doveadm_url, settings->dovecot_doveadm_key_file,
                           &ender->rounds.ending, &ender->doveadm, &problem);
    if (!good)
        log_line(LOG_ERROR_LEVEL, "cannot start", "where", problem.where, "error", problem.text,
                 NULL);
    else if (pthread_create(&ender->rounds.thread, NULL, run, ender) != 0)
        log_line(LOG_ERROR_LEVEL, "no thread that ends sessions", NULL);
    else
        return ender;
    free_ender(&ender);
    return NULL;
}

int session_ender_stop(struct session_ender **ender, int timeout_ms)
{
    if (rounds_stop(&(*ender)->rounds, timeout_ms) < 0)
        return -1;
    free_ender(ender);
    return 1;
}
