/* The Content-Type of a request: which of three kinds its body is. */
#ifndef SENDGUARD_CONTENT_TYPE_H
#define SENDGUARD_CONTENT_TYPE_H

#include "base/base.h"
#include "base/problem.h"

enum content_kind { CONTENT_JSON, CONTENT_URLENCODED, CONTENT_MULTIPART };

struct content_type {
    enum content_kind kind;
    const char *boundary; /* points into the text; CONTENT_MULTIPART only */
    size_t boundary_length;
};

/* Reads `text` (NULL is no type). A charset other than UTF-8 is refused; so is
 * any other parameter beside a boundary, since PHP looks for that word
 * anywhere. 1; or 0 with *problem: 415 for another type or charset, 400 for a
 * malformed one or a boundary that RFC 2046 does not allow. */
int content_type_read(const char *text, struct content_type *type_r, struct problem *problem)
    must_check;

#endif
