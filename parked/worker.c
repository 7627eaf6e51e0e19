#include "parked/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/rounds.h"
#include "parked/sender.h"

enum { PUT_OFF_MAX = 512, ID_SIZE = 33 };
/* Behind so many mailboxes in a row for which a server did not answer, it would not for the others
 * either. If that was only so of these, the next round begins behind them. */
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
    char from[ADDRESS_MAX_BYTES + 1]; /* the next round begins behind that mailbox; "": anew */
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

struct round {
    int away; /* so many mailboxes in a row for which a server did not answer */
    bool any_away, any_answered;
};

/* Those of one mailbox. Behind one for which a server does not answer the others are not tried. */
static void send_all(struct worker *worker, const struct desk_parked_due *due, struct round *round)
{
    bool away = false, answered = false;
    for (size_t i = 0; i < due->count && !worker->rounds.ending; i++) {
        const struct desk_parked_draft *draft = &due->drafts[i];
        if (is_put_off(worker, draft->id))
            continue;
        enum sender_result result =
            away ? SENDER_AWAY : sender_send(&worker->desk, draft, &worker->rounds.ending);
        away = result == SENDER_AWAY;
        if (away || result == SENDER_LEFT)
            put_off(worker, draft->id, away ? AWAY_MS : LEFT_MS);
        answered |= !away;
    }
    round->any_answered |= answered;
    round->any_away |= away;
    if (away || answered)
        round->away = away ? round->away + 1 : 0;
}

/* 1; -1: the store does not answer. */
static int do_round(struct worker *worker, struct round *round_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct desk_parked_due due = {.after = worker->from};
    *round_r = (struct round){0};
    while (due.after != NULL && !worker->rounds.ending && round_r->away < AWAY_MAX) {
        if (desk_parked_due(&worker->desk, arena, due.after, clock_wall_ms(), &due) < 0)
            return -1;
        send_all(worker, &due, round_r);
    }
    snprintf(worker->from, sizeof worker->from, "%s", due.after != NULL ? due.after : "");
    return 1;
}

int worker_once(const struct daemon *daemon)
{
    struct worker *worker = xcalloc(1, sizeof *worker);
    struct round round;
    worker->desk = (struct desk){daemon->store, daemon->guard, daemon->key};
    int done = do_round(worker, &round);
    free(worker);
    return done > 0 && !round.any_away ? 1 : -1;
}

/* ---- the thread ------------------------------------------------------------------------- */

/* A round in which nothing was due says nothing of the servers. */
static void look(struct worker *worker)
{
    struct round round;
    bool store_away = do_round(worker, &round) < 0;
    bool away = store_away || (round.any_away && !round.any_answered);
    bool known = away || round.any_answered;
    if (known && log_changed(&worker->away, away) && !worker->rounds.ending)
        log_line(away ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 away ? "parked messages wait: a server or the store does not answer"
                      : "parked messages are sent", NULL);
    worker->wait_ms = away ? 2 * worker->wait_ms : LOOK_EACH_MS;
    if (worker->wait_ms > LOOK_AWAY_MAX_MS)
        worker->wait_ms = LOOK_AWAY_MAX_MS;
}

static void *run(void *context)
{
    struct worker *worker = context;
    while (!worker->rounds.ending) {
        look(worker);
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
