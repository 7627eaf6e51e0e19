/* Owners in a file: lines `address login login …`, as tables of Postfix have them. A line that
 * begins with white space goes on with the one before; "#" begins a comment line; commas may stand
 * between logins. A key is an address or "@domain"; lines of other keys (domains, as tables of
 * virtual aliases have them) are passed over, and logins that are no address are somebody who never
 * signs in. */
#ifndef SENDGUARD_OWNERS_FILE_H
#define SENDGUARD_OWNERS_FILE_H

#include "base/arena.h"
#include "base/problem.h"
#include "owners/owners_inside.h"

enum {
    OWNERS_FILE_MAX_BYTES = 16 * 1024 * 1024,
    OWNERS_FILE_MAX_PAIRS = 500 * 1000, /* of a key and a login */
};
#define OWNERS_FILE_FRESH_MS SECOND_MS /* so often it is looked whether it changed */

/* What a file says. */
struct owners_table;
/* 1; 0 with *problem filled: where is FILE or FILE:LINE. */
int owners_table_read(const char *path, struct owners_table **table_r, struct problem *problem)
    must_check;
void owners_table_free(struct owners_table **table);

/* A file that is read when it is first asked, and when it changed. One that cannot be read leaves
 * what was known; why is logged. Any thread. */
struct owners_file;
struct owners_file *owners_file_new(const char *path) __attribute__((returns_nonnull));
void owners_file_free(struct owners_file **file);

/* Adds the owners of a key. 1; -1: it could not be read yet. */
int owners_file_ask(struct owners_file *file, const char *key, const char *mailbox,
                    int64_t monotonic_ms, struct owners_answer *answer) must_check;
/* As of the last question. */
bool owners_file_knows_domain(struct owners_file *file, const char *domain);
/* Addresses of which the mailbox is an owner, with `sole` the only one; as owners_addresses. */
size_t owners_file_addresses(struct owners_file *file, struct arena *arena, const char *mailbox,
                             bool sole, size_t max, const char **addresses_r);

#endif
