/* What stands behind the store: a room for each database. store.c calls one act
 * of a room at a time, from whichever thread, so a room needs no lock of its
 * own; it gathers the messages that wait at one moment, so that a room can
 * judge them in one transaction or one pipeline.
 *
 * Acts return 1, 0 or -1 as store.h says; before -1 they put a sentence into
 * room->error. They return within about room->timeout_ms, and reconnect or
 * reopen by themselves at the next call. */
#ifndef SENDGUARD_STORE_ROOM_H
#define SENDGUARD_STORE_ROOM_H

#include "store/store.h"

struct room;

struct room_acts {
    void (*free)(struct room *room);
    /* results_r[i] is 1 or -1 for messages[i], as store_judge. */
    void (*judge)(struct room *room, struct store_message *const *messages, int *results_r,
                  size_t count);
    int (*give_back)(struct room *room, const char *mailbox, const char *id, int64_t now_ms);
    int (*suspend)(struct room *room, const char *mailbox, enum cause cause,
                   const struct durations *durations, const struct act *act,
                   struct suspension *suspension_r);
    int (*lift)(struct room *room, const char *mailbox, const struct act *act);
    int (*reset)(struct room *room, const char *mailbox, const struct act *act);
    /* as store_adjust_after */
    int (*adjust)(struct room *room, const struct adjustment *adjustments, size_t count,
                  int64_t newest, const struct act *act);
    int (*adjustments)(struct room *room, int64_t after, struct adjustment *adjustments_r,
                       size_t max, size_t *count_r);
    int (*account)(struct room *room, struct arena *arena, const char *mailbox, int64_t now_ms,
                   struct account *account_r);
    int (*suspended)(struct room *room, const char *after, int64_t now_ms,
                     struct suspended *suspended_r, size_t max, size_t *count_r);
    int (*offences)(struct room *room, const char *mailbox, enum cause cause, int64_t now_ms,
                    uint32_t *count_r);
    int (*record)(struct room *room, struct arena *arena, uint64_t decision, int64_t now_ms,
                  struct record *record_r);
    int (*audit)(struct room *room, int64_t after, struct audit *audit_r, size_t max,
                 size_t *count_r);
    int (*decisions)(struct room *room, struct arena *arena, const char *mailbox, uint64_t before,
                     int64_t now_ms, struct record *records_r, size_t max, size_t *count_r);
    int (*history)(struct room *room, struct arena *arena, enum subject subject, const char *key,
                   int64_t now_ms, struct history *history_r);
    int (*audit_newest)(struct room *room, const char *subject, int64_t before,
                        struct audit *audit_r, size_t max, size_t *count_r);
    int (*write_audit)(struct room *room, const struct audited *audited);
    /* only_new: as store_keep_new; before: as store_keep_over, or NULL */
    int (*keep)(struct room *room, enum kept_kind kind, const struct kept *kept, bool only_new,
                const char *before, int64_t now_ms, const struct audited *audited);
    int (*kept)(struct room *room, struct arena *arena, enum kept_kind kind, const char *key,
                int64_t now_ms, struct kept *kept_r);
    int (*forget)(struct room *room, enum kept_kind kind, const char *key, int64_t now_ms,
                  const struct audited *audited);
    int (*kept_list)(struct room *room, struct arena *arena, enum kept_kind kind,
                     const char *after, int64_t now_ms, struct kept *kept_r, size_t max,
                     size_t *count_r);
    int (*try_once)(struct room *room, const char *key, int64_t now_ms, int64_t span_ms,
                    uint32_t max, uint32_t *count_r, int64_t *free_at_r);
    int (*observe)(struct room *room, const struct observations *observations, int64_t now_ms);
    int (*senders)(struct room *room, enum sender_of of, const char *key, const char *after,
                   int64_t now_ms, struct sender *senders_r, size_t max, size_t *count_r);
    int (*near)(struct room *room, int64_t now_ms, struct near_limit *near_r, size_t max,
                size_t *count_r);
    int (*counters)(struct room *room, const char *after, struct counter *counters_r, size_t max,
                    size_t *count_r);
    int (*sweep)(struct room *room, int64_t now_ms);
    int (*examine)(struct room *room, bool *made_r); /* as store_examine */
};

enum { ROOM_ERROR_SIZE = 256 };

struct room {
    const struct room_acts *acts;
    int timeout_ms;
    char error[ROOM_ERROR_SIZE];
};

/* Never NULL: what cannot be opened now is tried again at each act. `path` is absolute.
 * may_make: make the file when it is not there. */
struct room *room_sqlite_new(const char *path, int timeout_ms, bool may_make);
/* As store_check; why not 1 in error_r. */
int room_sqlite_check(const char *path, int timeout_ms, char error_r[ROOM_ERROR_SIZE]) must_check;
/* `host` NULL: `path` is a UNIX socket. */
struct room *room_redis_new(const char *host, int port, const char *path, int database,
                            int timeout_ms);

/* Fills room->error and returns -1. */
int room_fail(struct room *room, const char *format, ...) printf_like(2, 3);

/* Under what a submission's id is remembered: a hash of mailbox and id. */
enum { CHARGE_KEY_SIZE = 16 };
void charge_key(const char *mailbox, const char *id, uint8_t key_r[CHARGE_KEY_SIZE]);

#endif
