/* What our own mail server found out about who sent a message: Authentication-Results. Pure; any
 * thread. Source: RFC 8601, 2.2 and 2.7. */
#ifndef SENDGUARD_AUTHENTICATION_H
#define SENDGUARD_AUTHENTICATION_H

#include "base/arena.h"

/* Adds to domains (*count_r of at most max, each once, lower case, in `arena`) those that passed in a
 * field of that authserv-id: the signer's of DKIM, the envelope sender's of SPF, the author's of
 * DMARC. A field of another's adds none, and what cannot be read adds none. The field has to begin
 * with the authserv-id as it is, without comments and quotation marks: so mail servers write it, and
 * so they remove it from mail of strangers. */
void authentication_domains(struct arena *arena, const char *field, const char *authserv_id,
                            const char *domains[], size_t max, size_t *count_r);

#endif
