/* Whether redacted words still have something of an address in them. */
#ifndef SENDGUARD_TEST_REDACTED_H
#define SENDGUARD_TEST_REDACTED_H

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "mail/reply.h"

/* What stands in the place of what was taken out: on both sides of it are pieces of the text. */
static inline const char *redacted_mark(const char *words, size_t *length_r)
{
    static const char *const marks[] = {"(recipient)", "(address)", "…"};
    const char *first = NULL;
    for (size_t i = 0; i < countof(marks); i++) {
        const char *found = strstr(words, marks[i]);
        if (found != NULL && (first == NULL || found < first)) {
            first = found;
            *length_r = strlen(marks[i]);
        }
    }
    return first;
}

/* In a piece: anywhere, or as a word where it is one of fewer than 8 letters. `cut`: the text went
 * on behind the piece. */
static inline bool redacted_has(const char *piece, size_t length, const char *local, bool cut)
{
    size_t wanted = strlen(local);
    bool word = wanted < 8;
    for (size_t i = 0; i < wanted; i++)
        word = word && isalpha((unsigned char)local[i]);
    for (size_t at = 0; at + wanted <= length; at++) {
        if (strncasecmp(piece + at, local, wanted) != 0)
            continue;
        bool before = at > 0 && isalpha((unsigned char)piece[at - 1]);
        bool behind = at + wanted < length ? isalpha((unsigned char)piece[at + wanted]) != 0 : cut;
        if (!word || (!before && !behind))
            return true;
    }
    return false;
}

static inline bool redacted_leaks(const char *words, const char *local)
{
    size_t skipped = 0;
    const char *mark;
    for (; (mark = redacted_mark(words, &skipped)) != NULL; words = mark + skipped)
        if (redacted_has(words, (size_t)(mark - words), local, mark[skipped] == '\0'))
            return true;
    return redacted_has(words, strlen(words), local, false);
}

#endif
