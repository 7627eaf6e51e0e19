/* What a server said, as it is kept once for all recipients to whom it said the same: class, code,
 * who said it, and its words without any address. Pure.
 *
 * Packed: 1 format, 1 class; then code, site and words, each with its length as a varint before it. */
#ifndef SENDGUARD_KEPT_REPLY_H
#define SENDGUARD_KEPT_REPLY_H

#include "base/arena.h"
#include "base/text.h"
#include "mail/reply.h"

struct kept_reply {
    enum reply_class class; /* of a success: REPLY_OTHER */
    const char *code;       /* enhanced code as logged: "5.1.1" */
    const char *site;       /* reply_site; "": nobody answered */
    const char *words;      /* reply_redact; "" of a success */
};

void kept_reply_add(struct text *out, const struct kept_reply *reply);
/* In `arena`. 1; 0: damaged. */
int kept_reply_read(struct arena *arena, const void *bytes, size_t length,
                    struct kept_reply *reply_r) must_check;
/* The number that stands for these packed bytes, 48 bits, never 0: a hash. */
uint64_t kept_reply_id(const void *bytes, size_t length);

#endif
