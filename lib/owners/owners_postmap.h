/* What `postmap -q KEY TYPE:TABLE` finds: any table that Postfix can read, by a process a question.
 */
#ifndef SENDGUARD_OWNERS_POSTMAP_H
#define SENDGUARD_OWNERS_POSTMAP_H

#include "base/text.h"

/* As owners_socketmap_ask. `table`: TYPE:TABLE. Any thread. */
int owners_postmap_ask(const char *table, const char *key, int64_t give_up_us, struct text *data_r,
                       struct text *why_r) must_check;

#endif
