/* Removing from Redis what ended. */
#include <string.h>

#include "store/redis/redis.h"

/* Piece by piece while there is time. Everything expires by itself, so this is
 * for clocks that were wrong, and for tests. */
int redis_sweep(struct backend *backend, int64_t now_ms)
{
    struct redis_backend *self = redis_backend(backend);
    struct action_time time = redis_begin(self);
    if (redis_check_time(self, now_ms) < 0)
        return -1;
    do {
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(redis_free_reply) redisReply *reply = NULL;
        const char *cursor = self->sweep_cursor[0] != '\0' ? self->sweep_cursor : "0";
        const struct argument arguments[] = {argument_string("sweep"),
                                             argument_int(arena, now_ms), argument_string(cursor)};
        if (redis_is_over(&time))
            return backend_fail(backend,
                                "the sweep was not done within %d ms; the next one goes on",
                                backend->timeout_ms);
        const redisReply *next = redis_ask(self, SCRIPT_ACTION, arguments, countof(arguments),
                                           &reply);
        if (next == NULL)
            return -1;
        redis_copy_text(next, self->sweep_cursor, sizeof self->sweep_cursor);
    } while (strcmp(self->sweep_cursor, "0") != 0);
    return 1;
}
