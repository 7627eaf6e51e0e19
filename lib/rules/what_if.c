#define entry search_h_entry /* <search.h> takes the name for its hash table */
#include <search.h>
#undef entry

#include "rules/what_if.h"

#include <stdlib.h>
#include <string.h>

#include "rules/outcome.h"
#include "rules/window.h"

/* A mailbox, and what would be missing in its window. */
struct stopped {
    struct what_if_mailbox told; /* the first member: what_if_list */
    char *mailbox;
    struct entry *missing; /* those from `first` on, in order of time */
    size_t first, count, space;
    uint64_t weight; /* of them */
};

struct what_if {
    enum rule rule;
    void *tree; /* of struct stopped, by name (tsearch) */
    size_t mailboxes, messages;
    const struct what_if_mailbox **list;
};

static int compare_names(const void *one, const void *other)
{
    const struct stopped *a = one, *b = other;
    return strcmp(a->mailbox, b->mailbox);
}

static void free_stopped(void *node)
{
    struct stopped *stopped = node;
    free(stopped->mailbox);
    free(stopped->missing);
    free(stopped);
}

struct what_if *what_if_new(enum rule rule)
{
    struct what_if *what_if = xcalloc(1, sizeof *what_if);
    what_if->rule = rule;
    return what_if;
}

void what_if_free(struct what_if **what_if)
{
    if (*what_if == NULL)
        return;
    tdestroy((*what_if)->tree, free_stopped);
    free((*what_if)->list);
    free(*what_if);
    *what_if = NULL;
}

static uint64_t weight_of(const struct what_if *what_if, const struct entry *entry)
{
    return window_weight(entry, rule_table[what_if->rule].measure);
}

static void drop_oldest(struct what_if *what_if, struct stopped *stopped)
{
    stopped->weight -= weight_of(what_if, &stopped->missing[stopped->first++]);
    stopped->count--;
    what_if->messages--;
}

/* Lets go of what would have left the window by now, and of what was taken out of it: after a reset or
 * a refund the window holds less than what is missing. */
static void settle(struct what_if *what_if, struct stopped *stopped,
                   const struct what_if_message *message)
{
    int64_t window_ms = rule_table[what_if->rule].window_ms;
    while (stopped->count > 0 &&
           (!window_holds(stopped->missing[stopped->first].time_ms, window_ms, message->at_ms) ||
            stopped->weight > message->used_before))
        drop_oldest(what_if, stopped);
}

static void miss(struct what_if *what_if, struct stopped *stopped,
                 const struct what_if_message *message)
{
    if (stopped->first > 0 && stopped->first + stopped->count == stopped->space) {
        memmove(stopped->missing, stopped->missing + stopped->first,
                stopped->count * sizeof stopped->missing[0]);
        stopped->first = 0;
    }
    if (stopped->count == stopped->space) {
        stopped->space = 2 * stopped->space + 8;
        stopped->missing = xrealloc(stopped->missing,
                                    stopped->space * sizeof stopped->missing[0]);
    }
    struct entry *entry = &stopped->missing[stopped->first + stopped->count++];
    *entry = (struct entry){.time_ms = message->at_ms, .off_domain = message->off_domain};
    stopped->weight += weight_of(what_if, entry);
    what_if->messages++;
}

static struct stopped *add_mailbox(struct what_if *what_if, const char *mailbox, int32_t limit,
                                   const struct what_if_message *message)
{
    struct stopped *stopped = xcalloc(1, sizeof *stopped);
    stopped->mailbox = xstrdup(mailbox);
    stopped->told = (struct what_if_mailbox){
        .mailbox = stopped->mailbox, .limit = limit, .first_ms = message->at_ms,
        .first_decision = message->decision};
    tsearch(stopped, &what_if->tree, compare_names);
    what_if->mailboxes++;
    return stopped;
}

static struct stopped *find(const struct what_if *what_if, const char *mailbox)
{
    const struct stopped sought = {.mailbox = (char *)(uintptr_t)mailbox};
    struct stopped *const *found = tfind(&sought, (void *const *)&what_if->tree, compare_names);
    return found != NULL ? *found : NULL;
}

static bool fits(const struct what_if *what_if, uint64_t used, int32_t limit,
                 const struct what_if_message *message)
{
    return window_fits(used, outcome_cost(what_if->rule, message->off_domain), limit);
}

bool what_if_concerns(struct what_if *what_if, const char *mailbox, int32_t limit,
                      const struct what_if_message *message)
{
    struct stopped *stopped = find(what_if, mailbox);
    if (stopped != NULL)
        settle(what_if, stopped, message);
    return !fits(what_if, message->used_before, limit, message);
}

int what_if_see(struct what_if *what_if, const char *mailbox, int32_t limit,
                const struct what_if_message *message)
{
    struct stopped *stopped = find(what_if, mailbox);
    uint64_t missing = stopped != NULL ? stopped->weight : 0;
    if (fits(what_if, message->used_before - missing, limit, message))
        return 0;
    if (what_if->messages == WHAT_IF_MESSAGES ||
        (stopped == NULL && what_if->mailboxes == WHAT_IF_MAILBOXES))
        return -1;
    if (stopped == NULL)
        stopped = add_mailbox(what_if, mailbox, limit, message);
    miss(what_if, stopped, message);
    stopped->told.stopped++;
    stopped->told.last_ms = message->at_ms;
    return 1;
}

/* ---- the list ----------------------------------------------------------------------------- */

static int compare_stopped(const void *one, const void *other)
{
    const struct what_if_mailbox *a = *(const struct what_if_mailbox *const *)one;
    const struct what_if_mailbox *b = *(const struct what_if_mailbox *const *)other;
    if (a->stopped != b->stopped)
        return a->stopped < b->stopped ? 1 : -1;
    return strcmp(a->mailbox, b->mailbox);
}

struct stopped_list {
    const struct what_if_mailbox **list;
    size_t count;
};

static void add_to_list(const void *node, VISIT visit, void *closure)
{
    struct stopped_list *listing = closure;
    const struct stopped *const *stopped = node;
    if (visit == postorder || visit == leaf)
        listing->list[listing->count++] = &(*stopped)->told;
}

const struct what_if_mailbox *const *what_if_list(struct what_if *what_if, size_t *count_r)
{
    free(what_if->list);
    what_if->list = xcalloc(what_if->mailboxes + 1, sizeof what_if->list[0]);
    struct stopped_list listing = {.list = what_if->list};
    twalk_r(what_if->tree, add_to_list, &listing);
    qsort(what_if->list, listing.count, sizeof what_if->list[0], compare_stopped);
    *count_r = listing.count;
    return what_if->list;
}
