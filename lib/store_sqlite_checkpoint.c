/* Copies the write-ahead log back into the database, in a thread of its own and
 * on a connection of its own, so that no message waits for the disk. The log can
 * begin anew only when all of it is copied, and commits go on meanwhile; so it
 * is copied again and again until little is left, and only for that little, a
 * few milliseconds, are commits kept out. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "store_sqlite.h"

enum {
    COPY_FRAMES = 8000,    /* 16 MB of log: time to copy */
    LITTLE_FRAMES = 1000,  /* 2 MB */
    BOUND_FRAMES = 512000, /* 1 GB: the disk cannot follow; a commit copies what is left */
    AGAIN_MS = 200,        /* until the next attempt, while commits arrive too fast */
    KEEP_OUT_MS = 100,
};

struct checkpointer {
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wanted_or_ending;
    bool wanted, ending;
    char *path;
    int asked_at_frames; /* of the committing thread alone */
};

/* Copies what is there, and what came meanwhile. True when the log begins anew,
 * or cannot: trouble here is trouble there, the next commit will meet and tell it. */
static bool copy_log(const char *path)
{
    sqlite3 *db = NULL;
    int frames = 0, copied = 0;
    bool good = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
                SQLITE_OK;
    sqlite3_busy_timeout(db, KEEP_OUT_MS);
    for (int pass = 0; good && pass < 2; pass++)
        good = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames,
                                         &copied) == SQLITE_OK;
    bool little = frames - copied < LITTLE_FRAMES;
    if (good && little)
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite3_close(db);
    return !good || little;
}

static void wait_for(struct checkpointer *checkpointer, int wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += wait_ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&checkpointer->wanted_or_ending, &checkpointer->lock, &until);
}

static void *run(void *argument)
{
    struct checkpointer *checkpointer = argument;
    pthread_mutex_lock(&checkpointer->lock);
    while (!checkpointer->ending) {
        if (!checkpointer->wanted) {
            pthread_cond_wait(&checkpointer->wanted_or_ending, &checkpointer->lock);
            continue;
        }
        pthread_mutex_unlock(&checkpointer->lock);
        bool done = copy_log(checkpointer->path);
        pthread_mutex_lock(&checkpointer->lock);
        checkpointer->wanted = !done;
        if (!done && !checkpointer->ending)
            wait_for(checkpointer, AGAIN_MS);
    }
    pthread_mutex_unlock(&checkpointer->lock);
    return NULL;
}

struct checkpointer *checkpointer_start(const char *path)
{
    struct checkpointer *checkpointer = xcalloc(1, sizeof *checkpointer);
    checkpointer->path = xstrdup(path);
    pthread_mutex_init(&checkpointer->lock, NULL);
    pthread_cond_init(&checkpointer->wanted_or_ending, NULL);
    if (pthread_create(&checkpointer->thread, NULL, run, checkpointer) != 0)
        abort(); /* as when memory is out */
    return checkpointer;
}

void checkpointer_stop(struct checkpointer **checkpointer)
{
    if (*checkpointer == NULL)
        return;
    pthread_mutex_lock(&(*checkpointer)->lock);
    (*checkpointer)->ending = true;
    pthread_cond_signal(&(*checkpointer)->wanted_or_ending);
    pthread_mutex_unlock(&(*checkpointer)->lock);
    pthread_join((*checkpointer)->thread, NULL);
    pthread_mutex_destroy(&(*checkpointer)->lock);
    pthread_cond_destroy(&(*checkpointer)->wanted_or_ending);
    free((*checkpointer)->path);
    free(*checkpointer);
    *checkpointer = NULL;
}

int checkpointer_after_commit(void *argument, sqlite3 *db, const char *name, int frames)
{
    struct checkpointer *checkpointer = argument;
    if (frames < checkpointer->asked_at_frames)
        checkpointer->asked_at_frames = 0; /* the log began anew */
    if (frames >= BOUND_FRAMES) {
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    } else if (frames - checkpointer->asked_at_frames >= COPY_FRAMES) {
        checkpointer->asked_at_frames = frames;
        pthread_mutex_lock(&checkpointer->lock);
        checkpointer->wanted = true;
        pthread_cond_signal(&checkpointer->wanted_or_ending);
        pthread_mutex_unlock(&checkpointer->lock);
    }
    return SQLITE_OK;
}
