/* Addresses that staff lets a mailbox write as, beside those that it owns: one value of the store
 * for each mailbox. */
#ifndef SENDGUARD_PERMISSIONS_H
#define SENDGUARD_PERMISSIONS_H

#include <stdbool.h>

#include "store/audit.h"
#include "store/values.h"

enum { PERMISSIONS_MAX = 100 }; /* of a mailbox */

struct permission {
    const char *address; /* key form, or "@domain" */
    const char *by, *note;
    int64_t since_ms, until_ms; /* until_ms may be UNTIL_LIFTED */
};
struct permissions {
    size_t count; /* in order of address */
    struct permission of[PERMISSIONS_MAX];
    uint32_t version; /* of the value; 0: there is none */
};

/* Those that hold at now_ms; texts in `arena`. 1 or -1. */
int permissions_read(struct store *store, struct arena *arena, const char *mailbox, int64_t now_ms,
                     struct permissions *permissions_r) must_check;
bool permissions_hold(const struct permissions *permissions, const char *key);

/* Gives one, in the place of one for the same address; "allow_from" in the audit log. by, note and
 * since_ms are the action's. 1; 0 the mailbox has PERMISSIONS_MAX; -1. */
int permissions_give(struct store *store, const char *mailbox, const char *address,
                     int64_t until_ms, const struct action *action) must_check;
/* Takes one back; "disallow_from" in the audit log. 1; 0 there is none; -1. */
int permissions_take(struct store *store, const char *mailbox, const char *address,
                     const struct action *action) must_check;

#endif
