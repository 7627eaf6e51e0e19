/* What the files of login.h share. */
#ifndef SENDGUARD_LOGIN_INSIDE_H
#define SENDGUARD_LOGIN_INSIDE_H

#include "rules/login.h"

void login_add_try(struct login_tries *tries, const struct login_try *one);
/* Puts it first; of `max` that are there, the one that was first longest ago leaves. */
void login_know(struct login_known_list *list, uint64_t other, size_t max, int64_t at_ms);
void login_begin_block(struct login_mailbox *mailbox, enum login_rule rule, uint64_t network,
                       int64_t at_ms);

#endif
