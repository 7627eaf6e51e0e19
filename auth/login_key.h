/* The key that Dovecot shows: who has it can keep people out, and learns who signs in where. */
#ifndef SENDGUARD_LOGIN_KEY_H
#define SENDGUARD_LOGIN_KEY_H

#include <stdbool.h>

#include "base/problem.h"

enum { LOGIN_KEY_HASH_BYTES = 32 };

struct login_key {
    unsigned char hash[LOGIN_KEY_HASH_BYTES];
};

/* Reads it from a file (secret_file_line). 1; or 0 with *problem filled (where = path). */
int login_key_read(const char *path, struct login_key *key_r, struct problem *problem) must_check;
/* The same, for who only asks. */
int login_key_examine(const char *path, struct problem *problem) must_check;
/* Whether the value of an Authorization header (NULL: there is none) is "Bearer KEY"; it takes as
 * long for any other of its length. */
bool login_key_fits(const struct login_key *key, const char *authorization);

#endif
