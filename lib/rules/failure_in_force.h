/* What judging knows of a block (rules/failure_window.h): when it holds, and what its refusals tell.
 * Who changes a window writes it beside it, so that judging reads it alone. Pure. */
#ifndef SENDGUARD_FAILURE_IN_FORCE_H
#define SENDGUARD_FAILURE_IN_FORCE_H

#include "rules/failure_window.h"

/* What most likely went wrong. Values keep the number. */
enum failure_hint {
    FAILURE_HINT_NONE,
    FAILURE_HINT_LIST,     /* old or bought addresses */
    FAILURE_HINT_FORM,     /* a web form that writes to whatever strangers enter */
    FAILURE_HINT_PASSWORD, /* mail that looks like spam: a stolen password */
    FAILURE_HINT_COUNT
};
/* "list", "form", "password"; of none NULL. */
extern const char *const failure_in_force_hints[FAILURE_HINT_COUNT];

struct failure_in_force {
    int64_t from_ms, until_ms; /* it holds from the one until before the other; from may be to come */
    uint32_t block;            /* its id in the window */
    uint32_t bad, all, messages; /* as struct failure_numbers has them */
    enum failure_hint hint;
    bool of_mailbox; /* else of the domain; not in the packed form, whose key says it */
};

/* Packed: 1 format; 6 from, 6 until; 4 block, 4 bad, 4 all, 4 messages; 1 hint. */
enum { FAILURE_IN_FORCE_BYTES = 30, FAILURE_IN_FORCE_FORMAT = 1 };
void failure_in_force_put(uint8_t bytes_r[FAILURE_IN_FORCE_BYTES],
                          const struct failure_in_force *in_force);
/* 1; 0: damaged, *in_force_r is zeroed. */
int failure_in_force_read(const void *bytes, size_t length,
                          struct failure_in_force *in_force_r) must_check;

static inline bool failure_in_force_holds(const struct failure_in_force *in_force, int64_t at_ms)
{
    return in_force->from_ms <= at_ms && at_ms < in_force->until_ms;
}

#endif
