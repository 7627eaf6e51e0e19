/* Signed status links: a token names a mailbox and an end, says nothing to who
 * has no key (encrypted, not only signed: links land in access logs), and
 * cannot be made or changed without it. ChaCha20-Poly1305 of libsodium. Short, since a link has to
 * fit into one line of SMTP: 80 characters for a mailbox of up to 23 bytes. */
#ifndef SENDGUARD_TOKEN_H
#define SENDGUARD_TOKEN_H

#include "arena.h"

struct token_key;

/* Reads the key from `path`: 64 hexadecimal digits and a line feed, a regular
 * file (no symbolic link) that only its owner, who is root or runs this, can
 * read. A missing file is made with a random key, mode 0600, in an existing
 * folder; of several processes that start at once all get the same key. 1, or
 * 0 with *problem filled (where = path). */
int token_key_load(const char *path, struct token_key **key_r, struct problem *problem) must_check;
void token_key_free(struct token_key **key);

/* A token for `mailbox` (at most 512 bytes) that holds before expires_ms;
 * URL-safe, in `arena`. Never NULL. */
const char *token_make(const struct token_key *key, struct arena *arena, const char *mailbox,
                       int64_t expires_ms);

/* 1 and *mailbox_r (in `arena`); 0 forged, changed, or past its end: one answer for all. */
int token_read(const struct token_key *key, struct arena *arena, const char *token, int64_t now_ms,
               const char **mailbox_r) must_check;

#endif
