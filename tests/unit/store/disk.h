/* What a disk has of a SQLite database. SQLite writes through a layer that keeps, beside the file
 * itself, what the last sync brought to the disk and each write since. A power cut leaves the first
 * and some of the second: of each sector of 512 bytes the writes up to one of them, whichever; of
 * the file's length too. (SQLite's "powersafe overwrite": what is written beside them does no harm to
 * bytes of the same sector.) The system writes what is older than about half a minute: here when
 * disk_write_back is called. The log's index (-shm) is memory, and is not left. */
#ifndef SENDGUARD_TESTS_DISK_H
#define SENDGUARD_TESTS_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the layer keeps what SQLite writes to that database, which is not there yet, and to
 * its log. Call before it is opened, once a process. */
void disk_watch(const char *path);
/* Whether a sync does what it should: at first true. With false it does nothing, as SQLite's
 * synchronous=OFF. */
void disk_obey_syncs(bool obey);
/* All that was written so far reaches the disk. */
void disk_write_back(void);

/* The next power cut comes at the `after`th write or sync from now on that is `rare`: to the
 * database file, or to the beginning of the log; or at any. Before that one takes place,
 * `remember(context)` is called, and the cut's files are written: `to` and its log, `share` percent
 * of the sectors with all that was written to them, the others by chance. SQLite's call then waits
 * for disk_go_on; beside it others may go on. */
struct disk_cut {
    int after;
    bool rare;
    int share; /* 0: nothing that was not synced is left */
    const char *to;
    void (*remember)(void *context);
    void *context;
};
void disk_cut_at(const struct disk_cut *cut);
/* Returns when the power cut came, and SQLite waits. */
void disk_wait_for_cut(void);
void disk_go_on(void);

/* Whether the layer has seen all writes: the files are as it has them. */
bool disk_is_complete(void);

#endif
