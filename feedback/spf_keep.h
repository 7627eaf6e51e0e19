/* What is kept of a domain's SPF record, and the entry of the block lists that refuses its mail:
 * both are read, and changed, in one step. Mail is refused from spf_view_refused_ms on, once a look
 * at the record finds then that it still does not let a host send. A look without an answer of the
 * DNS changes neither. */
#ifndef SENDGUARD_SPF_KEEP_H
#define SENDGUARD_SPF_KEEP_H

#include "guard/spf_block.h"
#include "mail/spf_hosts.h"

/* As long as `arena` and `view`. */
struct spf_kept {
    struct json_object *view;  /* NULL: nothing, or it is damaged */
    uint32_t version;          /* of the value; 0: there is none */
    struct block_entry entry;  /* for "@domain", of the guard or of staff */
    uint32_t entry_version;    /* 0: there is none */
};
/* 1 or -1. */
int spf_keep_read(struct store *store, struct arena *arena, const char *domain, int64_t now_ms,
                  struct spf_kept *kept_r) must_check;
void spf_keep_forget(struct spf_kept *kept); /* for freed_by */

struct spf_looked {
    const struct spf_hosts *hosts; /* NULL: nobody looked, what the mode no longer allows ends */
    bool same_hosts; /* what is kept is about the same addresses */
    enum spf_mode mode; /* spf_block_mode */
    int64_t seen_ms; /* when the domain last sent; 0: not known here */
    int64_t wait_ms; /* until the next look */
    int64_t now_ms;
};
/* Changes what is kept, if it is still as it was read. 1 and *view_r as it is now (to be put), 0 it
 * was changed meanwhile, -1. What begins and ends is in the log and in the audit log. */
int spf_keep_change(struct store *store, struct arena *arena, const char *domain,
                    const struct spf_kept *kept, const struct spf_looked *looked,
                    struct json_object **view_r) must_check;

#endif
