/* Signed status links: a token names a mailbox and an end, says nothing to who
 * has no key (encrypted, not only signed: links land in access logs), and
 * cannot be made or changed without it. ChaCha20-Poly1305 of libsodium. Short: 80 characters for
 * a mailbox of up to 18 bytes. Only the webmail endpoint makes them, for who is signed in there. */
#ifndef SENDGUARD_TOKEN_H
#define SENDGUARD_TOKEN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/problem.h"
#include "base/seal.h"

struct token_key;

/* Reads the key from `path`: 64 hexadecimal digits and a line feed, a regular
 * file (no symbolic link) that only its owner, who is root or runs this, can
 * read. A missing file is made with a random key, mode 0600, in an existing
 * folder; of several processes that start at once all get the same key. 1, or
 * 0 with *problem filled (where = path). */
int token_key_load(const char *path, struct token_key **key_r, struct problem *problem) must_check;
/* For who only asks what token_key_load would say: makes nothing. A missing file is none of its
 * faults when one can be made. */
int token_key_examine(const char *path, struct problem *problem) must_check;
void token_key_free(struct token_key **key);
/* Another key, made from this one for a purpose that has a name. */
void token_key_derive(const struct token_key *key, const char *name,
                      unsigned char derived_r[SEAL_KEY_BYTES]);

/* What a token says. */
struct status_link {
    const char *mailbox;
    int64_t made_ms;    /* 0: not known (a link of an earlier release) */
    int64_t expires_ms;
    bool while_suspended; /* made while the mailbox was suspended: it holds beyond its end as long
                             as that suspension does, which staff or attempts may lengthen */
    bool tells_password; /* for the webmail alone: by it, while it is fresh, the webmail tells that its
                            user has changed the password */
};

/* A token for the link (mailbox: at most 512 bytes); URL-safe, in `arena`. Never NULL. */
const char *token_make(const struct token_key *key, struct arena *arena,
                       const struct status_link *link);

/* 1 and *link_r (mailbox in `arena`); 0 forged, changed, or past its end: one answer for all. One
 * with `while_suspended` is read past its end too: whether a suspension that began by made_ms
 * holds is the caller's to find out. */
int token_read(const struct token_key *key, struct arena *arena, const char *token, int64_t now_ms,
               struct status_link *link_r) must_check;

/* How long after it was made a link is good for more than looking. */
#define STATUS_LINK_FRESH_MS (10 * MINUTE_MS)
/* Whether the link holds, and was made so short a time ago. */
bool token_link_is_fresh(const struct status_link *link, int64_t now_ms);

#endif
