/* Reads the mail server's log and hands it to the follower, on a thread of its own, or once as far as
 * it goes. When the store is away, or the log cannot be read, it says so once and tries again each
 * second: nothing is lost, since the log waits. */
#ifndef SENDGUARD_LOG_READER_H
#define SENDGUARD_LOG_READER_H

#include "daemon/daemon.h"
#include "feedback/spf_checker.h"

struct log_reader;

/* Tells the checker who sends; it lives longer. */
struct log_reader *log_reader_start(const struct daemon *daemon, struct spf_checker *checker);
/* 1 it has ended, and is freed; -1 not within timeout_ms. */
int log_reader_stop(struct log_reader **reader, int timeout_ms);

/* What the log holds. Returns the exit status. */
int log_reader_once(const struct daemon *daemon);

#endif
