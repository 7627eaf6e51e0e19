/* What views and actions are given from outside, as words. Internal to lib/desk. */
#ifndef SENDGUARD_INPUT_H
#define SENDGUARD_INPUT_H

#include "base/problem.h"
#include "desk/context.h"

/* A mailbox in key form, in the arena. 1; 0 with *problem (400, where = `where`). */
int input_mailbox(const struct context *context, const char *text, const char *where,
                  const char **mailbox_r, struct problem *problem) must_check;
/* A domain, with or without '@' before it. */
int input_domain(const struct context *context, const char *text, const char *where,
                 const char **domain_r, struct problem *problem) must_check;
/* An IP address in key form; the key of an IPv6 network as it is. */
int input_ip(const struct context *context, const char *text, const char *where, const char **ip_r,
             struct problem *problem) must_check;
/* A member of a request as a word, in the arena: without blanks around it, of at most
 * INPUT_WORD_MAX_BYTES. NULL (left out): null, or nothing but blanks. 1; 0 with *problem. */
enum { INPUT_WORD_MAX_BYTES = 1000 }; /* more than any has; each is looked at closer */
int input_word(const struct context *context, struct json_object *value, const char *where,
               const char **word_r, struct problem *problem) must_check;
/* A whole number from `min` to INT64_MAX - 1; NULL and "" are `otherwise`. */
int input_number(const char *text, const char *where, int64_t min, int64_t otherwise,
                 int64_t *number_r, struct problem *problem) must_check;
/* How many a list has, 1 to `max` mailboxes. 1; 0 with *problem (400). */
int input_list_length(struct json_object *list, const char *where, size_t max, size_t *count_r,
                      struct problem *problem) must_check;
/* Gives each text of such a list to add(): 1, or 0 with *problem where it is none that is wanted. All
 * are looked at; the first that is none is named, and how many are. 1; 0 with *problem (400). */
typedef int input_add(void *closure, const char *text, struct problem *problem);
int input_list(struct json_object *list, const char *where, input_add *add, void *closure,
               struct problem *problem) must_check;
/* A page's decision cursor; NULL and "" are UINT64_MAX. */
int input_cursor(const char *text, uint64_t *decision_r, struct problem *problem) must_check;

#endif
