/* Streaming readers of HTML forms: what both kinds share, and the urlencoded
 * one (multipart.h has the other). They tell of fields as they pass and keep
 * nothing but a name: a body of any size is read in constant memory. What PHP
 * would read out of a body and what these read must never differ. */
#ifndef SENDGUARD_FORM_H
#define SENDGUARD_FORM_H

#include <stdbool.h>

#include "base/base.h"
#include "base/problem.h"

enum {
    FORM_MAX_NAME_BYTES = 256,        /* of a field's name, decoded */
    FORM_MAX_BOUNDARY_BYTES = 70,     /* RFC 2046 section 5.1.1 */
    FORM_MAX_HEADER_BYTES = 8 * 1024, /* of one part */
    FORM_MAX_LINE_BYTES = 4 * 1024,   /* of them; PHP cuts lines at 5 KiB */
};

/* Called as a form goes by; each may refuse the whole by returning 0 with *problem. */
struct form_listener {
    void *context;
    size_t max_fields; /* or parts, files included; more are refused with 413 */
    /* A field begins. `name` is decoded, its first FORM_MAX_NAME_BYTES;
     * `whole` is false when there was more. *wanted_r: bring its value. */
    int (*begin)(void *context, const char *name, size_t length, bool whole, bool *wanted_r,
                 struct problem *problem);
    /* A piece of a wanted value, decoded. */
    int (*value)(void *context, const char *bytes, size_t length, struct problem *problem);
    /* The value is complete. */
    int (*end)(void *context, struct problem *problem);
    /* The wanted field cannot be read: fills *problem with the field's name and returns 0. */
    int (*fault)(void *context, const char *text, struct problem *problem);
};

/* application/x-www-form-urlencoded, as the URL standard reads it: & between
 * fields, + is a space. A % without two hexadecimal digits stays as it is in a
 * name and is an error in a wanted value. */
struct urlencoded;
struct urlencoded *form_urlencoded_new(const struct form_listener *listener);
void form_urlencoded_free(struct urlencoded **form);

/* The next piece; the end. 1, or 0 with *problem filled (400, 413). */
int form_urlencoded_add(struct urlencoded *form, const char *bytes, size_t length,
                   struct problem *problem) must_check;
int form_urlencoded_end(struct urlencoded *form, struct problem *problem) must_check;

#endif
