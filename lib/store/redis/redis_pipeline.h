/* Plain commands that travel together, for when no other program uses the database: moving a
 * store. */
#ifndef SENDGUARD_REDIS_PIPELINE_H
#define SENDGUARD_REDIS_PIPELINE_H

#include "store/redis/redis.h"

struct redis_pipeline {
    struct redis_backend *backend;
    struct arena *arena; /* for numbers as text, and `replies` */
    struct action_time time;
    size_t sent, received;
    redisReply **replies; /* as many as were sent, after redis_pipeline_run */
};

/* Connected, nothing is added yet. One after the other is sent: nothing else may be added to
 * backend->out meanwhile. 1 or -1. */
int redis_pipeline_begin(struct redis_backend *backend, struct arena *arena,
                         struct redis_pipeline *pipeline_r) must_check;
void redis_pipeline_add(struct redis_pipeline *pipeline, const struct argument *arguments,
                        size_t count);
/* Sends what was added and reads all answers: 1, or -1, also when there is an error among them. */
int redis_pipeline_run(struct redis_pipeline *pipeline) must_check;
/* For freed_by: the replies. */
void redis_pipeline_end(struct redis_pipeline *pipeline);

/* A command of strings, numbers (as text in pipeline->arena) and bytes ({bytes, length}). */
#define ADD(pipeline, ...)                                                                        \
    redis_pipeline_add(pipeline, (const struct argument[]){__VA_ARGS__},                          \
                       countof(((const struct argument[]){__VA_ARGS__})))
#define TEXT(string) argument_string(string)
#define NUMBER(number) argument_int(pipeline->arena, number)

#endif
