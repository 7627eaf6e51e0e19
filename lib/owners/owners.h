/* Whose an address is, as the mail server's own tables say it: files, socketmap servers and what
 * postmap reads. All sources are asked; the owners of an address are those that any of them names.
 *
 * A file is kept in memory and read again when it changes. Of the others an answer is kept, one
 * that names the mailbox for an hour, any other for a minute; at most two are asked at once, and a
 * question has 250 ms. A source that fails is not asked for the next five seconds. What happens to
 * a source is logged when it changes. Any thread. */
#ifndef SENDGUARD_OWNERS_H
#define SENDGUARD_OWNERS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/problem.h"

struct owners;

enum {
    OWNERS_SOURCES_MAX = 16,
    OWNERS_AT_ONCE = 2,
    OWNERS_TIMEOUT_MS = 250,
};
#define OWNERS_YES_KEPT_MS HOUR_MS
#define OWNERS_NO_KEPT_MS MINUTE_MS
#define OWNERS_AWAY_MS (5 * SECOND_MS)

/* timeout_ms: how long a question may take. `sources`: texts that owner_source_read takes, up to OWNERS_SOURCES_MAX. `sole`: an address that
 * has several owners is nobody's. Nothing is read or connected to yet. The caller holds the only
 * reference. */
struct owners *owners_new(char *const *sources, size_t count, bool sole, int timeout_ms)
    __attribute__((returns_nonnull));
struct owners *owners_share(struct owners *owners);
/* Gives up a reference and sets NULL; the last one frees. NULL inside is accepted. */
void owners_release(struct owners **owners);

/* Whether `mailbox` is an owner of what a key names: an address or "@domain", all in key form. 1;
 * 0; -1: a source does not answer that could have said yes. monotonic_ms: clock_monotonic_ms. */
int owners_ask(struct owners *owners, const char *key, const char *mailbox, int64_t monotonic_ms)
    must_check;

/* Whether an address of that domain stands in a file, or another source had an owner for one. */
bool owners_know_domain(struct owners *owners, const char *domain);

/* Addresses of the mailbox, as far as files name them, up to `max`; "@domain" is none. In `arena`.
 * How many. */
size_t owners_addresses(struct owners *owners, struct arena *arena, const char *mailbox, size_t max,
                        const char **addresses_r);

/* Whether a source can be read, where it is a file: 1; 0 with *problem, `where` FILE or FILE:LINE.
 */
int owners_check(const char *source, struct problem *problem) must_check;

#endif
