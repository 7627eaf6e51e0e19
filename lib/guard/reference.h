/* The reference of a message: what the header X-Sendguard-Ref says, which the policy service gives
 * each message on its way. When a stranger's server sends the message or a part of it back, as in a
 * complaint, it says whose it was. It is sealed: no address, no queue id to be read in it, and nobody
 * can make one without the key. Nothing is kept for it. */
#ifndef SENDGUARD_REFERENCE_H
#define SENDGUARD_REFERENCE_H

#include "base/arena.h"
#include "guard/token.h"

#define REFERENCE_HEADER "X-Sendguard-Ref"

struct reference {
    int64_t at_ms;       /* given then: before the message was judged */
    const char *queue_id;
    const char *mailbox; /* key form */
};

/* Its text, URL-safe, in `arena`: 96 to 500 characters. queue_id: at most 64 bytes. */
const char *reference_make(const struct token_key *key, struct arena *arena,
                           const struct reference *reference);
/* 1 and *reference_r, in `arena`; 0 forged or changed. */
int reference_read(const struct token_key *key, struct arena *arena, const char *text,
                   struct reference *reference_r) must_check;

#endif
