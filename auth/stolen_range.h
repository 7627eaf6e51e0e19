/* Passwords that are in lists of stolen ones, as Have I Been Pwned gives them out: who asks sends
 * the first five hexadecimal digits of a password's SHA-1, GET /range/ABCDE, and gets all hashes
 * that begin so, "SUFFIX:COUNT" in each line (https://haveibeenpwned.com/API/v3#PwnedPasswords).
 * Here the answer is a file that the operator fetched: ABCDE.txt, as PwnedPasswordsDownloader names
 * it, or ABCDE. */
#ifndef SENDGUARD_STOLEN_RANGE_H
#define SENDGUARD_STOLEN_RANGE_H

#include "base/problem.h"
#include "base/text.h"

#define STOLEN_RANGE_PATH "/range/"
enum { STOLEN_RANGE_MAX_BYTES = 1024 * 1024 };

/* Adds the lines of the range that the URL path asks for (capital letters or small), as they are in
 * the file in `folder` ("": there is none). 1; or 0 with *problem: 400 no five hexadecimal digits,
 * 404 there is no such file: that says nothing of a password, 500 the file cannot be read, is
 * longer than STOLEN_RANGE_MAX_BYTES, or holds something else than such lines, also none. */
int stolen_range_read(const char *folder, const char *path, struct text *body,
                      struct problem *problem) must_check;

#endif
