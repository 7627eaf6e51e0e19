/* The other kind of HTML form, read as form.h says. A body whose parts other
 * programs could see elsewhere is refused, not guessed at. */
#ifndef SENDGUARD_MULTIPART_H
#define SENDGUARD_MULTIPART_H

#include "base/problem.h"
#include "http/form.h"

/* multipart/form-data (RFC 7578). Refused besides what breaks the standards:
 * text before the first or behind the last boundary, folded or repeated part
 * headers, a part without a name, parameters that two readers could read
 * differently. Parts with a filename are files and never told of.
 * `boundary`: 1 to FORM_MAX_BOUNDARY_BYTES, copied. */
struct multipart;
struct multipart *multipart_new(const struct form_listener *listener, const char *boundary,
                                size_t length);
void multipart_free(struct multipart **form);

/* The next piece; the end. 1, or 0 with *problem filled (400, 413). */
int multipart_add(struct multipart *form, const char *bytes, size_t length,
                  struct problem *problem) must_check;
int multipart_end(struct multipart *form, struct problem *problem) must_check;

#endif
