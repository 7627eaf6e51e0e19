/* Where a problem with somebody's input is, as people read it. */
#ifndef SENDGUARD_PROBLEM_PLACE_H
#define SENDGUARD_PROBLEM_PLACE_H

#include "text/catalogue.h"

/* "to[1]" as "To, 2nd recipient" in that language, in `arena`; NULL: `where` names no recipient. */
const char *problem_place_text(const struct catalogue *catalogue, struct arena *arena,
                               const char *language, const char *where);

#endif
