/* An act of staff as it is wished for: read from words, checked, imagined. Internal
 * to desk_wish.c, desk_caps.c, desk_preview.c and desk_act.c. */
#ifndef SENDGUARD_DESK_WISH_H
#define SENDGUARD_DESK_WISH_H

#include "desk/desk_common.h"

enum act_kind {
    ACT_SUSPEND, ACT_LIFT, ACT_RESET, ACT_EXTRA, ACT_LIMIT, ACT_EXEMPT, ACT_NOTE, ACT_COUNT
};
extern const char *const act_names[ACT_COUNT];

struct wish {
    enum act_kind act;
    const char *subject;          /* "alice@example.test" or "@example.test", key form */
    const char *mailbox, *domain; /* mailbox "": of a domain */
    const char *note;
    enum cause cause;             /* suspend */
    struct durations durations;   /* suspend */
    struct adjustment changes[ADJUST_MAX]; /* extra, limit, exempt */
    size_t change_count;
};

/* desk_act's words. 1; 0 with *problem (400, where = the member). Strings live in look->arena. */
int wish_read(const struct look *look, struct json_object *words, struct wish *wish_r,
              struct problem *problem) must_check;

/* Whether role support may change limits (extra, limit) so far. 1; 0 with *problem (403); -1. */
int wish_within_caps(const struct look *look, const struct wish *wish, struct problem *problem)
    must_check;

/* How it would stand with the act done; nothing is done. 1 or -1. */
int wish_imagine(const struct look *look, const struct wish *wish, const struct standing *before,
                 struct standing *after_r) must_check;

/* "mailboxes" and "more_mailboxes": who is concerned. 1 or -1. */
int wish_concerns(const struct look *look, const struct wish *wish, struct json_object *view)
    must_check;
/* "act", "subject", "before", "after", "reset_as_well". */
void wish_tell(const struct look *look, const struct wish *wish, const struct standing *before,
               const struct standing *after, struct json_object *view);

#endif
