/* Whether an item of the store names a mailbox, in clear or by one of its keyed hashes. Internal
 * to lib/desk. */
#ifndef SENDGUARD_STORED_MATCH_H
#define SENDGUARD_STORED_MATCH_H

#include "base/json.h"
#include "desk/context.h"
#include "desk/stored.h"

enum { STORED_HASHES = 3, STORED_HASH_BYTES = 8, STORED_DIGITS_SIZE = 2 * STORED_HASH_BYTES + 1 };

struct stored_match {
    const struct context *context;
    const char *mailbox; /* key form */
    size_t length;
    struct {
        uint8_t bytes[STORED_HASH_BYTES];
        char digits[STORED_DIGITS_SIZE];
    } hashes[STORED_HASHES]; /* of sign-ins; as a recipient, by the keys of this year and the last */
};
/* 1; 0 with *problem (409): there is no key. The mailbox is in key form, and the caller's. */
int stored_match_begin(const struct context *context, const char *mailbox,
                       struct stored_match *match_r, struct problem *problem) must_check;

bool stored_match_text(const struct stored_match *match, const char *text);
/* Texts have their length before them there, hashes the most significant byte first. */
bool stored_match_bytes(const struct stored_match *match, const void *bytes, size_t length);
/* Of an item whatever is in it. *arena*: for as long as the call takes. */
bool stored_match_item(const struct stored_match *match, struct arena *arena,
                       const struct transfer_item *item);

/* What of a tree is about the mailbox, to be put: of a list the members that name it, of an object
 * that names it itself all that is no list and no object. Who of staff did something ("by") is left
 * out. NULL: nothing. */
struct json_object *stored_match_tree(const struct stored_match *match, struct json_object *tree);
/* All of a tree that is the mailbox's own, without who of staff did something. To be put. */
struct json_object *stored_own_tree(struct json_object *tree);

#endif
