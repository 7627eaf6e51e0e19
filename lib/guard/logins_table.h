/* Mailboxes or networks in memory, by a number. Internal to logins. */
#ifndef SENDGUARD_LOGINS_TABLE_H
#define SENDGUARD_LOGINS_TABLE_H

#include "rules/login.h"

struct logins_entry {
    uint64_t id;
    uint32_t unwritten; /* tries of it that are not in the store yet: it stays */
    uint32_t place;     /* in the step that is made, from 1 on; 0: not in it */
    bool is_network;
    union {
        struct login_mailbox mailbox;
        struct login_network network;
    } of;
};
void logins_entry_empty(struct logins_entry *entry);

/* Open addressing. The seed keeps those who choose their network from choosing its slot. */
struct logins_table {
    struct logins_entry **slots;
    size_t size, count, next; /* size 0, or a power of 2; the slot that is looked at next */
    uint64_t seed;
    bool of_networks;
};
void logins_table_free(struct logins_table *table);
/* NULL: it is not there. */
struct logins_entry *logins_table_find(const struct logins_table *table, uint64_t id);
/* Makes one where there is none; NULL: there is none, and there are `max`. */
struct logins_entry *logins_table_get(struct logins_table *table, uint64_t id, size_t max);
/* Looks at so many slots, and drops the entries of which nothing is left. */
void logins_table_sweep(struct logins_table *table, size_t slots, int64_t now_ms);

#endif
