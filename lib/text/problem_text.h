/* What is wrong with somebody's input, in the reader's language: a problem (base/problem.h) is one
 * English sentence, as the API and the shell have it; pages say it in words of the catalogue. */
#ifndef SENDGUARD_PROBLEM_TEXT_H
#define SENDGUARD_PROBLEM_TEXT_H

#include "text/catalogue.h"

/* In `arena`; NULL: the catalogue has no words for that sentence. */
const char *problem_text(const struct catalogue *catalogue, struct arena *arena,
                         const char *language, const char *sentence);

#endif
