/* A log in a directory of its own, with its one writer and one reader: lines are numbered, and the
 * reader checks that each comes once and in order. */
#ifndef SENDGUARD_TEST_LOG_FOLDER_H
#define SENDGUARD_TEST_LOG_FOLDER_H

#include <stdbool.h>

#include "feedback/log_source.h"

enum names { NUMBERS, DATES, TIMESTAMPS, NAMES_COUNT }; /* of rotated files */

void log_folder_begin(void);
/* Removes the directory; nothing may be open any more. */
void log_folder_end(void);

/* The path of a file in the directory: NULL is the log itself. Static, for four calls. */
const char *log_folder_path(const char *name);

/* The writer opens what has the log's name now, and makes it when it is not there. */
void log_folder_reload(void);
/* Writes to the open file. */
void log_folder_write(const char *text);
/* Writes the next `count` lines. */
void log_folder_lines(int count);
/* Of the next line the first half; what is written next begins with the other. */
void log_folder_half(void);
int log_folder_written(void); /* whole lines, so far */

/* Which rotated file the writer has open, 0 being the newest; -1 it is the log itself. */
int log_folder_writes_to(void);

/* Renames, as logrotate or `postfix logrotate` do: the writer goes on in the renamed file. */
void log_folder_rename(enum names names);
/* Copies and truncates, as logrotate's `copytruncate`. */
void log_folder_copytruncate(enum names names);
/* Compresses the rotated file number `which`, 0 being the newest; 0 if it is compressed already, or
 * not there. */
int log_folder_compress(int which);
/* Removes the oldest rotated file; returns 0 if there is none. */
int log_folder_remove_oldest(void);
/* Lines behind its last were read, and nothing is written to it any more. */
bool log_folder_oldest_was_read(void);
int log_folder_rotated(void); /* how many there are */

/* Reads up to `count` lines, that must be the next ones; returns how many. Opens the source if none
 * is open. Anything noticed fails the test. */
int log_folder_read(int count);
int log_folder_was_read(void); /* the last line */
/* Reads all that is there, which must be all that was written. */
void log_folder_read_all(void);
/* Frees the reader. The next one begins with the cursor of this one. */
void log_folder_reopen(void);
/* The reader, opened if there is none. */
struct log_source *log_folder_source(void);
/* Reads all that is there, from line `from` to what was written last, and expects that `count` of
 * `what` and nothing else is noticed. */
void log_folder_read_noticed(int from, enum log_source_noticed what, int64_t count);

#endif
