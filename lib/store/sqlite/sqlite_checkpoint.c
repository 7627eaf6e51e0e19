/* Copies the write-ahead log back into the database, in a thread of its own and
 * on a connection of its own, so that no message waits for the disk. The log can
 * begin anew only at a moment when all of it is copied and the disk has it. While
 * commits go on, it is copied again and again, each time what came meanwhile,
 * until that takes a short time; then commits are kept out while the rest is
 * copied. Where that takes longer than it should, they go on meanwhile, and the
 * log does not begin anew this time. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/sqlite/sqlite.h"

enum {
    COPY_FRAMES = 4000,  /* 8 MB of log: time to copy */
    LONG_FRAMES = 10000, /* 20 MB: commits come faster than the disk takes them */
    GREAT_FRAMES = 32000, /* 64 MB */
    LITTLE_FRAMES = 500,
    PASSES_MAX = 8,      /* until the log begins anew, or the thread rests */
    LONG_WAIT_MS = 20,   /* a commit waits so long for a copy under way when the log is long */
    SHORT_MS = 50,       /* commits are kept out when the rest will take at most so long … */
    LONG_SHORT_MS = 100, /* … when the log is long; when it is great, in any case */
    KEPT_OUT_MS = 45,    /* so long at most, unless the log is great */
    OTHERS_MS = 20,      /* for other processes' transactions, while commits are kept out */
    REST_MS = 20,        /* until the next attempt … */
    REST_MAX_MS = 200,   /* … and the one after many in vain */
};

struct sqlite_checkpointer {
    pthread_t thread;
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* anything of it */
    bool wanted, ending;
    bool in_vain;   /* a commit that waits for a shorter log waits in vain … */
    bool failed;    /* … because of an error, and no commit succeeded since */
    bool keeps_out; /* no transaction of this process may begin … */
    int64_t open_at_us; /* … until then */
    bool inside;    /* one is under way */
    int frames;     /* of the log, as last heard */
    char *path;
};

/* With the lock held. False when until_us has come. */
static bool wait_change(struct sqlite_checkpointer *checkpointer, int64_t until_us)
{
    return clock_condition_wait(&checkpointer->changed, &checkpointer->lock, until_us);
}

/* ---- copying ---------------------------------------------------------------- */

enum copied {
    BEGAN_ANEW,
    NOT_NEEDED, /* another process was quicker */
    NOT_YET,    /* another process is at it, or commits come too fast */
    READ,       /* another connection reads an old state, and needs it as it is */
    FAILED,     /* the next commit fails for the same reason, and reports it */
};

/* A checkpoint beside commits leaves the database file unsynced; done here, the
 * one that keeps them out finds little to sync. Never by a descriptor of our own:
 * closing it would drop SQLite's locks. */
static bool sync_file(sqlite3 *db, int which)
{
    sqlite3_file *file = NULL;
    return sqlite3_file_control(db, "main", which, &file) == SQLITE_OK && file != NULL &&
           file->pMethods != NULL && file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

static bool is_short(int frames, int64_t took_us)
{
    int short_ms = frames < LONG_FRAMES ? SHORT_MS : LONG_SHORT_MS;
    return frames >= GREAT_FRAMES || took_us <= short_ms * INT64_C(1000);
}

/* The disk is asked beside a gate that opens by itself; what is left for the step that holds
 * SQLite's lock is what other programs committed meanwhile. */
static enum copied begin_anew(struct sqlite_checkpointer *checkpointer, sqlite3 *db,
                              int64_t *until_us)
{
    int frames = -1, copied = -1;
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->keeps_out = true;
    checkpointer->open_at_us = checkpointer->frames >= GREAT_FRAMES
                                   ? INT64_MAX
                                   : clock_monotonic_us() + KEPT_OUT_MS * 1000;
    while (checkpointer->inside && checkpointer->keeps_out)
        pthread_cond_wait(&checkpointer->changed, &checkpointer->lock);
    bool kept_out = checkpointer->keeps_out;
    pthread_mutex_unlock(&checkpointer->lock);
    if (!kept_out)
        return NOT_YET;
    int answer = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    pthread_mutex_lock(&checkpointer->lock);
    kept_out = checkpointer->keeps_out;
    pthread_mutex_unlock(&checkpointer->lock);
    if (!kept_out)
        return NOT_YET;
    *until_us = clock_monotonic_us() + OTHERS_MS * 1000;
    if (answer == SQLITE_OK)
        answer = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, &frames, &copied);
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->keeps_out = false;
    if (answer == SQLITE_OK && frames >= 0)
        checkpointer->frames = 0;
    pthread_cond_broadcast(&checkpointer->changed);
    pthread_mutex_unlock(&checkpointer->lock);
    if (answer == SQLITE_OK && frames >= 0)
        return BEGAN_ANEW;
    return (answer & 0xFF) == SQLITE_BUSY ? NOT_YET : FAILED;
}

/* Nearly all of the log is copied: nobody reads an old state any longer, and commits may wait. */
static void goes_well(struct sqlite_checkpointer *checkpointer)
{
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->in_vain = false;
    pthread_mutex_unlock(&checkpointer->lock);
}

/* With a connection that has read: one that has not yet does not know of the log,
 * does nothing, and answers SQLITE_OK all the same (with -1 frames). */
static enum copied copy_with(struct sqlite_checkpointer *checkpointer, sqlite3 *db,
                             int64_t *until_us)
{
    int copied_before = -1;
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        int frames = -1, copied = -1;
        int64_t began_us = clock_monotonic_us();
        int answer = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames,
                                               &copied);
        if (answer == SQLITE_OK && frames == 0)
            return NOT_NEEDED;
        if (answer != SQLITE_OK || frames < 0)
            return (answer & 0xFF) == SQLITE_BUSY ? NOT_YET : FAILED;
        if (copied < frames && copied == copied_before)
            return READ;
        copied_before = copied;
        if (frames - copied < LITTLE_FRAMES)
            goes_well(checkpointer);
        if (!sync_file(db, SQLITE_FCNTL_FILE_POINTER))
            return FAILED;
        int64_t took_us = clock_monotonic_us() - began_us;
        /* a commit under way keeps a few frames; a reader keeps more */
        if (frames - copied < LITTLE_FRAMES && is_short(frames, took_us) &&
            sync_file(db, SQLITE_FCNTL_JOURNAL_POINTER))
            return begin_anew(checkpointer, db, until_us);
    }
    return NOT_YET;
}

static enum copied copy_log(struct sqlite_checkpointer *checkpointer)
{
    sqlite3 *db = NULL;
    int64_t until_us = clock_monotonic_us() + OTHERS_MS * 1000;
    enum copied copied = FAILED;
    if (sqlite3_open_v2(checkpointer->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) == SQLITE_OK) {
        sqlite3_busy_handler(db, sqlite_wait_for_lock, &until_us);
        if (sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL) == SQLITE_OK)
            copied = copy_with(checkpointer, db, &until_us);
        /* the backend's connection may be closed, and the last one to close copies all of it */
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    sqlite3_close(db);
    return copied;
}

/* With the lock held. After a commit that succeeds the error may be over: when a full disk has
 * space again, the log must not take it all. */
static void rest(struct sqlite_checkpointer *checkpointer, int rest_ms)
{
    bool failed = checkpointer->failed;
    int64_t began_us = clock_monotonic_us(), until_us = began_us + rest_ms * INT64_C(1000);
    while (!checkpointer->ending && wait_change(checkpointer, until_us))
        if (failed && !checkpointer->failed)
            until_us = began_us + REST_MS * INT64_C(1000);
}

static void *run(void *argument)
{
    struct sqlite_checkpointer *checkpointer = argument;
    int rest_ms = REST_MS;
    pthread_mutex_lock(&checkpointer->lock);
    while (!checkpointer->ending) {
        if (!checkpointer->wanted) {
            pthread_cond_wait(&checkpointer->changed, &checkpointer->lock);
            continue;
        }
        pthread_mutex_unlock(&checkpointer->lock);
        enum copied copied = copy_log(checkpointer);
        pthread_mutex_lock(&checkpointer->lock);
        checkpointer->in_vain = copied == READ || copied == FAILED;
        checkpointer->failed = copied == FAILED;
        if (copied == NOT_NEEDED)
            checkpointer->frames = 0;
        pthread_cond_broadcast(&checkpointer->changed);
        if (!checkpointer->in_vain)
            rest_ms = REST_MS;
        if (copied == BEGAN_ANEW || copied == NOT_NEEDED) {
            checkpointer->wanted = checkpointer->frames >= COPY_FRAMES;
            continue;
        }
        rest(checkpointer, rest_ms);
        if (checkpointer->in_vain)
            rest_ms = 2 * rest_ms < REST_MAX_MS ? 2 * rest_ms : REST_MAX_MS;
    }
    pthread_mutex_unlock(&checkpointer->lock);
    return NULL;
}

/* ---- the backend's side ----------------------------------------------------------- */

struct sqlite_checkpointer *sqlite_checkpoint_start(const char *path)
{
    struct sqlite_checkpointer *checkpointer = xcalloc(1, sizeof *checkpointer);
    checkpointer->path = xstrdup(path);
    pthread_mutex_init(&checkpointer->lock, NULL);
    clock_condition_init(&checkpointer->changed);
    if (pthread_create(&checkpointer->thread, NULL, run, checkpointer) != 0)
        abort(); /* as when memory is out */
    return checkpointer;
}

void sqlite_checkpoint_stop(struct sqlite_checkpointer **checkpointer)
{
    if (*checkpointer == NULL)
        return;
    pthread_mutex_lock(&(*checkpointer)->lock);
    (*checkpointer)->ending = true;
    pthread_cond_broadcast(&(*checkpointer)->changed);
    pthread_mutex_unlock(&(*checkpointer)->lock);
    pthread_join((*checkpointer)->thread, NULL);
    pthread_mutex_destroy(&(*checkpointer)->lock);
    pthread_cond_destroy(&(*checkpointer)->changed);
    free((*checkpointer)->path);
    free(*checkpointer);
    *checkpointer = NULL;
}

int sqlite_checkpoint_enter(struct sqlite_checkpointer *checkpointer, bool to_write,
                            int64_t give_up_us)
{
    pthread_mutex_lock(&checkpointer->lock);
    if (to_write && checkpointer->frames >= LONG_FRAMES) {
        int64_t until_us = clock_monotonic_us() + LONG_WAIT_MS * 1000;
        while (checkpointer->frames >= LONG_FRAMES && !checkpointer->in_vain &&
               wait_change(checkpointer, until_us))
            ;
    }
    while (checkpointer->keeps_out &&
           wait_change(checkpointer, checkpointer->open_at_us < give_up_us
                                         ? checkpointer->open_at_us
                                         : give_up_us))
        ;
    if (checkpointer->keeps_out && clock_monotonic_us() >= checkpointer->open_at_us) {
        checkpointer->keeps_out = false;
        pthread_cond_broadcast(&checkpointer->changed);
    }
    bool in = !checkpointer->keeps_out;
    checkpointer->inside = in;
    pthread_mutex_unlock(&checkpointer->lock);
    return in ? 1 : -1;
}

void sqlite_checkpoint_leave(struct sqlite_checkpointer *checkpointer)
{
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->inside = false;
    if (checkpointer->keeps_out)
        pthread_cond_broadcast(&checkpointer->changed);
    pthread_mutex_unlock(&checkpointer->lock);
}

void sqlite_checkpoint_want(struct sqlite_checkpointer *checkpointer)
{
    pthread_mutex_lock(&checkpointer->lock);
    if (!checkpointer->wanted) {
        checkpointer->wanted = true;
        pthread_cond_broadcast(&checkpointer->changed);
    }
    pthread_mutex_unlock(&checkpointer->lock);
}

int sqlite_checkpoint_after_commit(void *argument, sqlite3 *db, const char *name, int frames)
{
    struct sqlite_checkpointer *checkpointer = argument;
    (void)db;
    (void)name;
    pthread_mutex_lock(&checkpointer->lock);
    checkpointer->frames = frames;
    if (checkpointer->failed)
        pthread_cond_broadcast(&checkpointer->changed);
    checkpointer->failed = false;
    pthread_mutex_unlock(&checkpointer->lock);
    if (frames >= COPY_FRAMES)
        sqlite_checkpoint_want(checkpointer);
    return SQLITE_OK;
}
