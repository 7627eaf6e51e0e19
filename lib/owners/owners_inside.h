/* What the files of owners share: the answer of a source. */
#ifndef SENDGUARD_OWNERS_INSIDE_H
#define SENDGUARD_OWNERS_INSIDE_H

#include <stdbool.h>

#include "base/base.h"

enum { OWNERS_ANSWER_MAX_BYTES = 16 * 1024 };

/* What is known of the owners of a key. */
struct owners_answer {
    bool found;  /* it has some */
    bool mine;   /* the mailbox that is asked for is one */
    bool others; /* somebody else is */
};

/* Adds what a list says: addresses, white space and commas between. What is no address is somebody
 * else. */
void owners_answer_add(struct owners_answer *answer, const char *list, size_t length,
                       const char *mailbox);

/* The next word of such a list; moves *rest behind it. Its length; 0: there is none. */
size_t owners_word(const char **rest, const char *end, const char **word_r);

#endif
