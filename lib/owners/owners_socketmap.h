/* A client of a socketmap server (Postfix' socketmap_table(5)): netstrings "NAME KEY" go out, and
 * "OK DATA", "NOTFOUND", "TEMP WHY", "TIMEOUT WHY" or "PERM WHY" comes back. The connection stays
 * open; one that the server has closed meanwhile is made anew once. One thread each. */
#ifndef SENDGUARD_OWNERS_SOCKETMAP_H
#define SENDGUARD_OWNERS_SOCKETMAP_H

#include "base/owner_source.h"
#include "base/text.h"

struct owners_socketmap;
/* `source` stays the caller's. Connects to nothing yet. */
struct owners_socketmap *owners_socketmap_new(const struct owner_source *source)
    __attribute__((returns_nonnull));
void owners_socketmap_free(struct owners_socketmap **socketmap);

/* The data of a key, added to *data_r, at most OWNERS_ANSWER_MAX_BYTES. 1; 0 not found; -1 no
 * answer until give_up_us of the monotonic clock: *why_r, valid until the next question. */
int owners_socketmap_ask(struct owners_socketmap *socketmap, const char *key, int64_t give_up_us,
                         struct text *data_r, const char **why_r) must_check;

/* What a reply without its netstring says: as owners_socketmap_ask, *why_r in the reply. */
int owners_socketmap_read(const char *reply, size_t length, struct text *data_r,
                          const char **why_r) must_check;
/* Of the bytes that came so far: 1 and where the reply begins and ends; 0 more have to come; -1
 * they are no netstring, or one that is too long. */
int owners_socketmap_frame(const char *bytes, size_t length, size_t *begin_r, size_t *end_r)
    must_check;

#endif
