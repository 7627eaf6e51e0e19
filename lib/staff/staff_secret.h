/* Secrets of staff.h: random ones that are handed out, their hashes, and the
 * hashing of passwords. Internal to staff*.c. All functions: any thread. */
#ifndef SENDGUARD_STAFF_SECRET_H
#define SENDGUARD_STAFF_SECRET_H

#include "staff/staff.h"

enum {
    SECRET_BYTES = 32,
    SECRET_CHARS = 43,      /* of base64url without padding */
    SECRET_HASH_SIZE = 65,  /* hexadecimal digits and a NUL */
    PASSWORD_HASH_SIZE = 128,
};

void staff_random(unsigned char *bytes_r, size_t length);
/* A new one: 32 random bytes as base64url. */
void staff_secret_make(char secret_r[SECRET_TEXT_SIZE]);
/* Whether it has the shape of one. */
bool staff_secret_well_formed(const char *secret);
/* What is kept of it. They are random, so one fast hash is enough. */
void staff_secret_hash(const char *secret, char hash_r[SECRET_HASH_SIZE]);
/* Compares two texts in a time that does not tell where they differ. */
bool staff_secret_same(const char *a, const char *b);

/* What a new hash costs. Tests that hash hundreds of passwords put the least in its place, before
 * they begin threads. */
extern struct staff_password_cost {
    unsigned long long passes;
    size_t memory_bytes;
} staff_password_cost;

/* argon2id of a password; waits while two others are hashed. */
void staff_password_hash(const char *password, char hash_r[PASSWORD_HASH_SIZE]);

/* How well a name is known where its password comes from. */
enum familiarity { FAMILIARITY_NONE, FAMILIARITY_NETWORK, FAMILIARITY_BROWSER, FAMILIARITY_COUNT };

/* Who has a password looked at takes a place before and leaves it afterwards, so that few threads
 * wait here. Each familiarity has places of its own: strangers take none of a known network's, and
 * who guesses in that network none of a known browser's. */
enum { PASSWORD_PLACES = 3, PASSWORD_PLACES_NETWORK = 6, PASSWORD_PLACES_BROWSER = 3 };
bool staff_password_take(enum familiarity known); /* false: all are taken */
void staff_password_leave(enum familiarity known);
/* Whether `hash` (NULL: of nobody, never fits) is the password's; takes as long for nobody's.
 * Waits while two others are hashed, or for a stranger one other of a stranger. */
bool staff_password_fits(const char *password, const char *hash, enum familiarity known);

#endif
