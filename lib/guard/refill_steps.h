/* What comes back of a window's limit, as a few lines that a person reads. */
#ifndef SENDGUARD_REFILL_STEPS_H
#define SENDGUARD_REFILL_STEPS_H

struct json_object;

/* From "refill" of a window's view ([{"at":moment,"count":120},…]) to "steps", the first three of
 * it, what falls in the same minute in one, and "rest": all that is left, by the moment of the
 * last; absent when there is none. */
void refill_steps_add(struct json_object *window);

#endif
