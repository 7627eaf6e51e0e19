/* Files that hold a secret: a key, a password. */
#ifndef SENDGUARD_SECRET_FILE_H
#define SENDGUARD_SECRET_FILE_H

#include <sys/types.h>

#include "base/problem.h"

/* Opens one for reading: a regular file and no link, that belongs to who runs this or to root, and
 * that nobody else can read or change. `advice` ends the sentence about a file that is open to
 * others. Returns a descriptor, the caller's to close; or -1 with *problem filled, and errno ENOENT
 * when (and only when) there is no file. */
int secret_file_open(const char *path, const char *advice, struct problem *problem) must_check;

/* Reads until the end or until `size` bytes are there. -1: errno says why. */
ssize_t secret_file_read(int fd, char *bytes_r, size_t size) must_check;

/* Reads one that holds a key: one line of SECRET_LINE_MIN to SECRET_LINE_MAX printable characters
 * without a blank. What it is ("the key that …") and what to do are for the sentence. The caller
 * wipes key_r. 1; or 0 with *problem filled (where = path). */
enum { SECRET_LINE_MIN = 16, SECRET_LINE_MAX = 256 };
int secret_file_line(const char *path, const char *what, const char *advice,
                     char key_r[SECRET_LINE_MAX + 1], struct problem *problem) must_check;

#endif
