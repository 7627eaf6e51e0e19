/* Mail servers whose logs are followed, over a guard that judges their messages (guard_rig.h). */
#ifndef SENDGUARD_MX_RIG_H
#define SENDGUARD_MX_RIG_H

#include "feedback/follower.h"
#include "store/audit.h"
#include "tests/unit/guard/guard_rig.h"

/* Lines that are read and not written: a follower that ends then leaves them to the next one. */
enum { MX_SERVERS = 2, MX_UNWRITTEN_MAX = 400 };
extern struct follower *mx_followers[MX_SERVERS];
extern struct snapshot *mx_snapshot;
extern int64_t mx_late_ms; /* so much later a line is read */

void mx_begin_with(int backend, const char *const *overrides);
void mx_begin(int backend);
/* Another follower in the place of that one, from where the store is. */
void mx_follow(int server, int64_t now_ms);
void mx_end(void);

/* A line of the log, which is read at once. */
void mx_line(int server, int64_t at_ms, const char *program, const char *format, ...)
    printf_like(4, 5);
/* A message that is in the queue: its id. */
const char *mx_queue_message(int server, const char *mailbox, int64_t at_ms);

enum came { SENT, UNKNOWN, SPAM, DOWN, GREY, REFUSED };
/* What mx.x.test said. */
void mx_outcome(int server, const char *queue_id, const char *to, enum came came, int64_t at_ms);
/* A message of its own, to one recipient. */
void mx_send_one(const char *mailbox, enum came came, int64_t at_ms);

void mx_write_down(int server, int64_t now_ms);
/* Somebody else wrote it down. */
void mx_written(int server);
/* The program ends, and another one goes on where the store is. */
void mx_begin_again(int server, int64_t now_ms);
/* The log has nothing more until then, as the follower sees it twice a second. */
void mx_rest(int server, int64_t now_ms);

enum { MX_ENTRIES_MAX = 64 };
/* The entries of the audit log of that action, in order: of recipients on the block lists, or of
 * all others. */
size_t mx_entries_of(const char *action, bool of_recipients,
                     struct audit entries_r[MX_ENTRIES_MAX]);

#endif
