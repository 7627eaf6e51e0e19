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

#endif
