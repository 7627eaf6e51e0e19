/* A piece of somebody else's text: nothing is copied, so it lives as long as that text. */
#ifndef SENDGUARD_MAIL_VIEW_H
#define SENDGUARD_MAIL_VIEW_H

#include <stdbool.h>
#include <string.h>

#include "base/base.h"

struct mail_view {
    const char *text; /* no NUL behind it; NULL: absent */
    size_t length;
};

/* Whether it begins with the string. */
static inline bool mail_view_begins(struct mail_view view, const char *string)
{
    size_t length = strlen(string);
    return view.length >= length && memcmp(view.text, string, length) == 0;
}

static inline bool mail_view_is(struct mail_view view, const char *string)
{
    return view.length == strlen(string) && mail_view_begins(view, string);
}

/* What follows its first `count` bytes, which it has. */
static inline struct mail_view mail_view_from(struct mail_view view, size_t count)
{
    return (struct mail_view){view.text + count, view.length - count};
}

/* Where the string stands in it first; NULL: nowhere. */
static inline const char *mail_view_find(struct mail_view view, const char *string)
{
    return view.length > 0 ? memmem(view.text, view.length, string, strlen(string)) : NULL;
}

/* The same, last. */
static inline const char *mail_view_find_last(struct mail_view view, const char *string)
{
    const char *found = NULL;
    for (const char *next; (next = mail_view_find(view, string)) != NULL; found = next)
        view = mail_view_from(view, (size_t)(next + 1 - view.text));
    return found;
}

#endif
