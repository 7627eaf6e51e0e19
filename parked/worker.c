#include "parked/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/rounds.h"
#include "parked/sender.h"

enum { PUT_OFF_MAX = 512, ID_SIZE = 33 };
/* Behind so many in a row for which a server did not answer, it would not for the others either. */
enum { AWAY_MAX = 3 };
#define LOOK_EACH_MS (5 * SECOND_MS)
#define LOOK_AWAY_MAX_MS (10 * MINUTE_MS)
#define AWAY_MS (10 * MINUTE_MS) /* then one is tried again */
#define LEFT_MS HOUR_MS

struct put_off {
    char id[ID_SIZE];
    int64_t until_ms; /* of clock_monotonic_ms */
};

struct worker {
    struct rounds rounds;
    struct desk desk;
    struct put_off put_off[PUT_OFF_MAX]; /* the oldest is overwritten first */
    size_t next_put_off;
    int64_t wait_ms;
    struct log_once away;
};

/* ---- what is not tried again at once ---------------------------------------------------- */

static bool is_put_off(const struct worker *worker, const char *id)
{
    for (size_t i = 0; i < PUT_OFF_MAX; i++)
        if (strcmp(worker->put_off[i].id, id) == 0)
            return clock_monotonic_ms() < worker->put_off[i].until_ms;
    return false;
}

static void put_off(struct worker *worker, const char *id, int64_t ms)
{
    size_t place = 0;
    while (place < PUT_OFF_MAX && strcmp(worker->put_off[place].id, id) != 0)
        place++;
    if (place == PUT_OFF_MAX) {
        place = worker->next_put_off;
        worker->next_put_off = (place + 1) % PUT_OFF_MAX;
    }
    snprintf(worker->put_off[place].id, ID_SIZE, "%s", id);
    worker->put_off[place].until_ms = clock_monotonic_ms() + ms;
}

/* ---- a round ---------------------------------------------------------------------------- */

static void send_all(struct worker *worker, const struct desk_parked_due *due, int *away)
{
    for (size_t i = 0; i < due->count && !worker->rounds.ending && *away < AWAY_MAX; i++) {
        const struct desk_parked_draft *draft = &due->drafts[i];
        if (is_put_off(worker, draft->id))
            continue;
        enum sender_result result = sender_send(&worker->desk, draft, &worker->rounds.ending);
        *away = result == SENDER_AWAY ? *away + 1 : 0;
        if (result == SENDER_AWAY || result == SENDER_LEFT)
            put_off(worker, draft->id, result == SENDER_LEFT ? LEFT_MS : AWAY_MS);
    }
}

/* 1; -1: the store does not answer, or Dovecot and Postfix do not. */
static int do_round(struct worker *worker)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct desk_parked_due due = {.after = ""};
    int away = 0;
    while (due.after != NULL && !worker->rounds.ending && away < AWAY_MAX) {
        if (desk_parked_due(&worker->desk, arena, due.after, clock_wall_ms(), &due) < 0)
            return -1;
        send_all(worker, &due, &away);
    }
    return away == 0 ? 1 : -1;
}

int worker_once(const struct daemon *daemon)
{
    struct worker *worker = xcalloc(1, sizeof *worker);
    worker->desk = (struct desk){daemon->store, daemon->guard, daemon->key};
    int done = do_round(worker);
    free(worker);
    return done;
}

/* ---- the thread ------------------------------------------------------------------------- */

static void *run(void *context)
{
    struct worker *worker = context;
    while (!worker->rounds.ending) {
        int done = do_round(worker);
        if (log_changed(&worker->away, done < 0) && !worker->rounds.ending)
            log_line(done < 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                     done < 0 ? "parked messages wait: a server or the store does not answer"
                              : "parked messages are sent", NULL);
        worker->wait_ms = done > 0 ? LOOK_EACH_MS : 2 * worker->wait_ms;
        if (worker->wait_ms > LOOK_AWAY_MAX_MS)
            worker->wait_ms = LOOK_AWAY_MAX_MS;
        int64_t until_ms = clock_monotonic_ms() + worker->wait_ms;
        while (rounds_wait(&worker->rounds, until_ms))
            ;
    }
    worker->rounds.ended = true;
    return NULL;
}

struct worker *worker_start(const struct daemon *daemon)
{
    struct worker *worker = xcalloc(1, sizeof *worker);
    worker->desk = (struct desk){daemon->store, daemon->guard, daemon->key};
    worker->wait_ms = LOOK_EACH_MS;
    if (pthread_create(&worker->rounds.thread, NULL, run, worker) == 0)
        return worker;
    log_line(LOG_ERROR_LEVEL, "no thread for parked messages", NULL);
    free(worker);
    return NULL;
}

int worker_stop(struct worker **worker, int timeout_ms)
{
    if (rounds_stop(&(*worker)->rounds, timeout_ms) < 0)
        return -1;
    free(*worker);
    *worker = NULL;
    return 1;
}
