/* What the files of login.h share. */
#ifndef SENDGUARD_LOGIN_INSIDE_H
#define SENDGUARD_LOGIN_INSIDE_H

#include "rules/login.h"

/* One that is not earlier than the last, nor LOGIN_WINDOW_MS later than the first. */
void login_tries_add(struct login_tries *tries, const struct login_try *one);
void login_tries_empty(struct login_tries *tries);
void login_tries_drop_first(struct login_tries *tries, uint32_t count);
void login_tries_drop_of(struct login_tries *tries, uint64_t other);
bool login_tries_has_of(const struct login_tries *tries, uint64_t other);
/* No more for the pair with `other`; no more for the mailbox. */
void login_tries_discount_pair(struct login_tries *tries, uint64_t other);
void login_tries_discount_mailbox(struct login_tries *tries);
/* Puts it first; of `max` that are there, the one that was first longest ago leaves. The protocols
 * stay what they were, or none. Returns it. */
struct login_known *login_know(struct login_known_list *list, uint64_t other, size_t max,
                               int64_t at_ms);
void login_begin_block(struct login_mailbox *mailbox, enum login_rule rule, uint64_t network,
                       int64_t at_ms);

#endif
