/* Names of an enum's values: a table in their order. */
#ifndef SENDGUARD_NAMES_H
#define SENDGUARD_NAMES_H

/* The place of `name` among the `count` names, or -1 when it is none of them. */
int names_find(const char *const *names, int count, const char *name);

#endif
