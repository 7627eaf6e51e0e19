#include "store/redis/redis_pipeline.h"

int redis_pipeline_begin(struct redis_backend *backend, struct arena *arena,
                         struct redis_pipeline *pipeline_r)
{
    *pipeline_r = (struct redis_pipeline){
        .backend = backend, .arena = arena, .time = redis_begin(backend)};
    return redis_connected(backend, &pipeline_r->time);
}

void redis_pipeline_add(struct redis_pipeline *pipeline, const struct argument *arguments,
                        size_t count)
{
    redis_add_command(pipeline->backend, arguments, count);
    pipeline->sent++;
}
void redis_pipeline_end(struct redis_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->received; i++)
        freeReplyObject(pipeline->replies[i]);
    pipeline->sent = pipeline->received = 0;
}

int redis_pipeline_run(struct redis_pipeline *pipeline)
{
    if (redis_send(pipeline->backend, &pipeline->time) < 0)
        return -1;
    pipeline->replies = arena_alloc(pipeline->arena, (pipeline->sent + 1) * sizeof(redisReply *));
    int answer = 1;
    while (pipeline->received < pipeline->sent) {
        redisReply *reply = NULL;
        if (redis_read_reply(pipeline->backend, &pipeline->time, &reply) < 0)
            return -1;
        if (reply->type == REDIS_REPLY_ERROR)
            answer = backend_fail(&pipeline->backend->base, "redis at %s: %s",
                                  pipeline->backend->where, reply->str);
        pipeline->replies[pipeline->received++] = reply;
    }
    return answer;
}
