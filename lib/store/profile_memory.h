/* What a process remembers of profiles, so that most messages need not read theirs: which recipients
 * and networks of a mailbox were known and kept lately, in which state of its profile. The step that
 * judges compares that state with the one that is there, and reads the whole where it is another one; so
 * the answers are the same as without a memory. Bounded: of too much the oldest is forgotten. Any
 * thread may call. */
#ifndef SENDGUARD_PROFILE_MEMORY_H
#define SENDGUARD_PROFILE_MEMORY_H

#include "store/judge.h"

struct profile_memory;

struct profile_memory *profile_memory_new(void);
void profile_memory_free(struct profile_memory **memory);

/* The state of a profile in which the message changes nothing and is not unusual, as far as is
 * remembered; version 0: read the profile. */
struct profile_state profile_memory_look(struct profile_memory *memory,
                                         const struct judge_request *request);
/* What the step that judged the message has told. */
void profile_memory_learn(struct profile_memory *memory, const struct judge_request *request,
                          const struct profile_told *told);

#endif
