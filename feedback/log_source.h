/* The mail server's log, line by line, from where an earlier reader left off: a file with its
 * rotated copies, or the journal of systemd. Each line comes once and in order, whatever the log
 * goes through between two calls or two runs of the program.
 *
 * What is lost all the same, and noticed:
 *   - lines in a rotated file, or of a journal, that was removed before it was read;
 *   - lines that journald suppresses, as far as it says so.
 * What is lost and not noticed: with logrotate's `copytruncate`, lines written between its copy and
 * its truncation, which no file has.
 *
 * One thread at a time for each source. */
#ifndef SENDGUARD_LOG_SOURCE_H
#define SENDGUARD_LOG_SOURCE_H

#include <sys/types.h>

#include "base/problem.h"
#include "base/text.h"

struct faults;
struct log_source;

/* A longer line of the log ends there. */
enum { LOG_SOURCE_LINE_MAX = 64 * 1024 };

/* All of it belongs to the source, until the next call. */
struct log_source_line {
    const char *text; /* without the line feed; may hold any byte; no NUL at its end */
    size_t length;
    /* The journal's, which keeps them apart; in a file they stand at the beginning of `text`. */
    const char *identifier; /* "postfix/smtpd"; NULL: in `text` */
    int64_t at_us;          /* since 1970; 0: in `text` */
    pid_t pid;              /* 0: in `text`, or not known */
};

/* `spec`: "journal", the machine's; "journal:/FOLDER", the journal files in there; "file:/PATH",
 * and with it PATH.1, PATH.20261128-101500, PATH-20261128 and their like, also with ".gz" behind.
 * `cursor`: from log_source_cursor, kept by an earlier reader; NULL or "": from the oldest line
 * that is there. One that leads nowhere, also one of another kind of source, is noticed
 * (LOG_SOURCE_CURSOR_LOST and its kin).
 * A file need not be there yet. Returns 1 with *source_r; 0: *problem says what is wrong. */
int log_source_open(const char *spec, const char *cursor, struct log_source **source_r,
                    struct problem *problem) must_check;
/* Accepts NULL inside, sets NULL. */
void log_source_free(struct log_source **source);

/* The next line: 1; 0 there is none now; -1 the log cannot be read, *problem says why, and a later
 * call tries again from the same place. A line whose end is not written yet is none. */
int log_source_next(struct log_source *source, struct log_source_line *line_r,
                    struct problem *problem) must_check;

/* Adds the place behind the last line that log_source_next returned, for log_source_open: ASCII
 * without blanks, at most LOG_SOURCE_CURSOR_MAX bytes. Adds nothing while no line was read and no
 * cursor was given. */
enum { LOG_SOURCE_CURSOR_MAX = 1024 };
void log_source_cursor(struct log_source *source, struct text *cursor);

/* Waits until something may be there to read, for at most `wait_ms`, and never longer than a
 * second, so that a log of which the kernel tells nothing (a network's file system) is read too.
 * Ends early on a signal, and at once the first time. For who got 0 or -1 from log_source_next. */
void log_source_wait(struct log_source *source, int wait_ms);

/* What was noticed on the way. With all but LOG_SOURCE_LINES_CUT lines are missing, or may be. */
enum log_source_noticed {
    LOG_SOURCE_CURSOR_LOST,  /* the cursor's place is not there any more: went on with the oldest
                              * line behind it */
    LOG_SOURCE_FILE_MISSING, /* the same of a file: the one that was read last was removed, or
                              * changed; went on with the oldest that was written to since */
    LOG_SOURCE_FILE_SHRANK,  /* the file was truncated, and no copy has what it held: went on from
                              * its start */
    LOG_SOURCE_FILE_DAMAGED, /* a compressed file ended with an error: went on with the next */
    LOG_SOURCE_SUPPRESSED,   /* journald dropped messages of the mail server: `count` of them */
    LOG_SOURCE_LINES_CUT,    /* `count` lines were longer than LOG_SOURCE_LINE_MAX */
    LOG_SOURCE_NOTICED_COUNT
};
struct log_source_notice {
    enum log_source_noticed what;
    int64_t count; /* of what is counted, else of times; >= 1 */
};
/* Takes one notice: 1 with *notice_r, 0 there is none left. Ask before a cursor is kept, since what
 * was noticed before its place is not noticed again. */
int log_source_notice(struct log_source *source, struct log_source_notice *notice_r) must_check;
/* In words, for a log line: "the file was truncated". Static. */
const char *log_source_notice_text(enum log_source_noticed what);

/* What is wrong with a source as this process may see it, or makes its lines doubtful, as warnings
 * about the setting `where`: that it cannot be read, and which group can; that other users of the
 * machine can change it, or write lines into it. `main_cf`: Postfix' settings, which say whether
 * Postfix itself writes the file ("/etc/postfix/main.cf"). */
void log_source_check(const char *spec, const char *main_cf, const char *where,
                      struct faults *warnings);

#endif
