/* What the files of the follower share. */
#ifndef SENDGUARD_FOLLOWER_INSIDE_H
#define SENDGUARD_FOLLOWER_INSIDE_H

#include <glib.h>

#include "feedback/admitted.h"
#include "feedback/deliveries.h"
#include "feedback/elsewhere.h"
#include "feedback/failures.h"
#include "feedback/follower.h"
#include "feedback/open_messages.h"
#include "feedback/recipient_failures.h"

/* Of queue ids that nobody signed in for: a content filter hands a message back under a new one, and
 * says which only after the first lines of it. When there are so many the older half goes. */
enum { FOLLOWER_STRANGERS_MAX = 1000, FOLLOWER_STRANGER_LINES_MAX = 16 };

struct follower {
    struct store *store;
    struct keyed_hash_keys hash_keys;
    char *source;
    char *place;
    uint32_t version;       /* of the cursor */
    uint64_t newest_before; /* the newest decision that was read before this start, or before the
                             * clock was set back */
    struct arena *arena;
    struct deliveries *deliveries;
    struct failures *failures;
    struct recipient_failures *recipients;
    const struct settings *settings; /* NULL: nothing enters windows */
    void (*saw)(void *self, const char *mailbox); /* NULL: nobody wants to know */
    void *saw_self;
    struct open_messages *open;
    struct admitted *admitted;
    GHashTable *strangers, *older_strangers; /* queue id: GPtrArray of lines */
    struct value_refund refunds[VALUES_REFUNDS_MAX];
    size_t refund_count;
    struct value_change *changes;
    struct values_done *done;
    int64_t gap_ms; /* when the last gap was seen; 0: never */
    struct follower_counts counts;
    size_t step_lines, step_lines_max; /* since the last writing; and until the next one */
    bool new_lines;
    int64_t swept_ms, read_again_ms;
    int64_t looked_ms; /* for gaps */
    struct follower_effects *effects;
    GHashTable *looked_at; /* the key of a VALUE_BLOCK whose window was looked at: when it began, 0 if
                            * it was to come */
    bool has_looked;       /* at all that there are */
    int64_t blocks_ms;     /* when it last looked */
    int64_t clock_ms; /* the latest moment of the clock */
    int64_t read_ms, told_ms; /* the log was read up to then; and what the store has of it */
};

/* follower_lines.c. Each returns 1 or -1. */

/* An open message is that admitted one. */
int follower_link(struct follower *follower, struct open_message *open,
                  const struct admitted_message *admitted, int64_t now_ms) must_check;
/* Reads admitted messages until then, late ones too: admitted_read. */
int follower_read_again(struct follower *follower, int64_t until_ms, int64_t now_ms) must_check;
/* Whether this was so long ago, or the clock was set back since. */
bool follower_read_before(const struct follower *follower, int64_t ms, int64_t now_ms);
/* follower_failures.c: an attempted outcome, which the trace has taken over. */
struct follower_outcome {
    const struct mail_event *event;
    struct mail_view program; /* of the line */
    const struct delivery_place *place;
    const struct delivery_outcome *outcome;
    struct delivery_unit unit;
};
void follower_add_failure(struct follower *follower, const struct follower_outcome *outcome,
                          int64_t now_ms);
/* ---- follower_blocks.c ---- */

struct follower_effects *follower_new_effects(void);
void follower_free_effects(struct follower_effects **effects);
/* What happens to blocks by the changes of the step: entries, suspensions and counts, anew. */
void follower_add_effects(struct follower *follower, const struct follower_counts *before,
                          struct values_step *step);
/* The same of the block lists, behind that of the others; the changes come behind the step's. Of a
 * step that is made with these settings for the windows. 1 or -1. */
int follower_add_recipients(struct follower *follower, const struct follower_counts *before,
                            struct values_step *step) must_check;
/* The step has been written. */
void follower_tell_effects(const struct follower *follower, const struct values_step *step);
GHashTable *follower_new_looked_at(void);
/* Now and then: blocks that have begun without a line. 1 or -1. */
int follower_look_at_blocks(struct follower *follower, int64_t now_ms) must_check;

/* An empty table of strangers. */
GHashTable *follower_new_strangers(void);

#endif
