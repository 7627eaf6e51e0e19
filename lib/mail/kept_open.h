/* A message that the mail server still has, as it is kept under its queue id. Pure.
 *
 * Packed: 1 format, 1 flags, 8 decision, 6 seen_ms, 4 message_id, varint part; then, where
 * flags say that they are there, mailbox and id, each with its length as a varint before it, and
 * 4 redeemed. */
#ifndef SENDGUARD_KEPT_OPEN_H
#define SENDGUARD_KEPT_OPEN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"

struct kept_open {
    const char *mailbox; /* who signed in, key form; NULL: not known yet */
    const char *id;      /* of the submission, while it may be refunded; NULL: not any more, or */
    uint32_t redeemed;   /* this one is, which had counted it; 0: none */
    uint64_t decision;   /* 0: not known yet */
    int64_t seen_ms;     /* its first line */
    uint32_t part;       /* where its trace is */
    uint32_t message_id; /* hash of its Message-ID; 0: not seen */
    bool refused;        /* the mail server refused it */
    bool silent;         /* no line of it within a minute */
};

void kept_open_add(struct text *out, const struct kept_open *open);
/* In `arena`. 1; 0: damaged. */
int kept_open_read(struct arena *arena, const void *bytes, size_t length,
                   struct kept_open *open_r) must_check;

#endif
