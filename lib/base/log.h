/* Lines on standard error in logfmt: time, level and message first, then
 * key=value pairs, values quoted where they need it, whole lines in each write(2) so
 * that those of several threads and processes never mix. Programs log; the rest
 * of lib/ returns. Never logs a recipient's address, a secret or a token.
 * A value longer than 1 KiB is cut and ends in "…"; a line longer than 4 KiB
 * (what a pipe takes whole) ends in cut=true in the place of its last pairs.
 * All functions: any thread. */
#ifndef SENDGUARD_LOG_H
#define SENDGUARD_LOG_H

#include "base/base.h"

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARNING_LEVEL, LOG_ERROR_LEVEL };

/* Lines below this level are not written; LOG_INFO_LEVEL at start. */
void log_set_level(enum log_level level);

/* Where lines go: standard error at start. Returns the descriptor before; stays the caller's. */
int log_set_fd(int fd);

/* log_line(LOG_INFO_LEVEL, "listening", "path", path, "threads", "16", NULL): pairs of strings,
 * ended by a NULL key; a NULL value leaves its pair out. */
void log_line(enum log_level level, const char *message, ...) __attribute__((sentinel));

/* Between the two this thread's lines wait for each other, to be written as many at once as a pipe
 * takes whole: for who judges many messages at a time. Call log_release before what the lines say
 * is answered, and before the thread waits or ends. */
void log_gather(void);
void log_release(void);

/* A state that is told when it changes, not each time it is seen: the store
 * away, and back. Returns 1 exactly once per change (any thread), else 0. */
struct log_once {
    _Atomic int state;
};
int log_changed(struct log_once *once, int state);
/* What is told once an hour at most: whether to tell it now. *told_ms is when it was told last, 0 at
 * the start. Returns 1 to one caller alone. */
int log_is_due(_Atomic int64_t *told_ms, int64_t now_ms);

#endif
