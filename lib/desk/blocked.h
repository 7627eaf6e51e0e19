/* What staff ask of the block lists, as words, and an entry as JSON. Internal to lib/desk. */
#ifndef SENDGUARD_BLOCKED_H
#define SENDGUARD_BLOCKED_H

#include "desk/context.h"
#include "guard/block_list.h"
#include "store/observations.h"

enum { BLOCKED_NOTE_MAX_BYTES = 255 };

/* BLOCKED of desk.h. */
struct json_object *blocked_view(const struct context *context, const struct block_entry *entry);

/* Whose senders an entry concerns: of a sender that sender, of a recipient whose mail is refused.
 * NULL: those of no one list, or all; else the key for desk_add_senders. */
const char *blocked_senders_of(const struct block_entry *entry, enum sender_of *of_r);
/* Whether it concerns the mail of all mailboxes. */
bool blocked_for_all(const struct block_entry *entry);

/* What stands for a recipient that Sendguard itself has blocked: by the key of this year, and of a
 * month ago. How many: 0 without a key, or when it is no address. */
enum { BLOCKED_HASHES = 2 };
size_t blocked_hashes(const struct context *context, const char *address,
                      char hashes_r[BLOCKED_HASHES][BLOCK_SUBJECT_HASH_SIZE]);

struct blocked_request {
    struct block_entry entry; /* to be made, or removed: kind, subject and scope */
    bool removes;
    const char *domain; /* the scope as it was typed, where another domain stands for it now */
    const char *note;
};
/* Reads the words of desk_block. 1; 0 with *problem (400). */
int blocked_request_read(const struct context *context, struct json_object *words,
                         const struct person *person, struct blocked_request *request_r,
                         struct problem *problem) must_check;
/* Sets kind, subject and scope by their words; kind and scope may be NULL. 1; 0 with *problem
 * (400). */
int blocked_subject_read(const struct context *context, const char *kind, const char *subject,
                         const char *scope, struct block_entry *entry, struct problem *problem)
    must_check;
/* Sets the reason: a name of [blocks] reasons, or a sentence. One word of small letters is a name that
 * is mistyped, unless the caller knows that it is a sentence. 1; 0 with *problem (400). */
int blocked_reason_read(const struct context *context, const char *reason, bool sentence,
                        struct block_entry *entry, struct problem *problem) must_check;

#endif
