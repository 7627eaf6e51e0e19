#include <stdlib.h>
#include <string.h>

#include "rules/login_inside.h"

enum { FOR_PAIR = 1, FOR_MAILBOX = 2, FLAG_BITS = 2, GROWTH = 8 };

/* There may be a million. */
struct login_try_kept {
    uint64_t other;
    uint32_t at_ms; /* the lower half */
    uint16_t what;  /* the fingerprint, and flags */
} __attribute__((packed));

struct login_try login_tries_at(const struct login_tries *tries, size_t place)
{
    const struct login_try_kept *kept = &tries->of[place];
    uint32_t before_ms = (uint32_t)tries->last_ms - kept->at_ms;
    return (struct login_try){.at_ms = tries->last_ms - before_ms,
                              .other = kept->other,
                              .fingerprint = (uint16_t)(kept->what >> FLAG_BITS),
                              .for_pair = (kept->what & FOR_PAIR) != 0,
                              .for_mailbox = (kept->what & FOR_MAILBOX) != 0};
}

/* By little: a list has no more than an eighth to spare. */
void login_tries_add(struct login_tries *tries, const struct login_try *one)
{
    if (tries->count == tries->room) {
        tries->room += tries->room / GROWTH + (tries->room < GROWTH);
        tries->of = xrealloc(tries->of, tries->room * sizeof *tries->of);
    }
    tries->last_ms = one->at_ms;
    tries->of[tries->count++] = (struct login_try_kept){
        .other = one->other,
        .at_ms = (uint32_t)one->at_ms,
        .what = (uint16_t)(one->fingerprint << FLAG_BITS | (one->for_pair ? FOR_PAIR : 0) |
                           (one->for_mailbox ? FOR_MAILBOX : 0))};
}

void login_tries_empty(struct login_tries *tries)
{
    free(tries->of);
    *tries = (struct login_tries){0};
}

static void keep_first(struct login_tries *tries, uint32_t count)
{
    tries->count = count;
    if (count == 0)
        login_tries_empty(tries);
}

void login_tries_drop_first(struct login_tries *tries, uint32_t count)
{
    if (count == 0)
        return;
    memmove(tries->of, tries->of + count, (tries->count - count) * sizeof *tries->of);
    keep_first(tries, tries->count - count);
}

void login_tries_drop_of(struct login_tries *tries, uint64_t other)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < tries->count; i++)
        if (tries->of[i].other != other)
            tries->of[kept++] = tries->of[i];
    keep_first(tries, kept);
}

bool login_tries_has_of(const struct login_tries *tries, uint64_t other)
{
    for (uint32_t i = 0; i < tries->count; i++)
        if (tries->of[i].other == other)
            return true;
    return false;
}

void login_tries_discount_pair(struct login_tries *tries, uint64_t other)
{
    for (uint32_t i = 0; i < tries->count; i++)
        if (tries->of[i].other == other)
            tries->of[i].what &= (uint16_t)~FOR_PAIR;
}

void login_tries_discount_mailbox(struct login_tries *tries)
{
    for (uint32_t i = 0; i < tries->count; i++)
        tries->of[i].what &= (uint16_t)~FOR_MAILBOX;
}
