/* One call of a script, whichever it is, and the reading of its answer: this
 * server's time, yes or no, and what it returns beside. */
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* ---- one call ----------------------------------------------------------------- */

int redis_unexpected(struct redis_backend *backend)
{
    return backend_fail(&backend->base, "redis: unexpected reply");
}

int redis_call(struct redis_backend *backend, enum script script, const struct argument *arguments,
               size_t count, redisReply **reply_r)
{
    struct action_time time = redis_begin(backend);
    for (int round = 0; round < 2; round++) {
        if (redis_connected(backend, &time) < 0)
            return -1;
        /* before the first write: a database that is empty then has nothing of the version before */
        if (script != SCRIPT_READ && redis_find_hash_key(backend, &time) < 0)
            return -1;
        redis_add_call(backend, &time, script, arguments, count);
        if (script == SCRIPT_ACTION || script == SCRIPT_DESK || script == SCRIPT_VALUES)
            redis_add_wait(backend, &time);
        if (redis_send(backend, &time) < 0)
            return -1;
        switch (redis_receive(backend, &time, reply_r)) {
        case CALLED:
            if ((*reply_r)->type == REDIS_REPLY_ARRAY && (*reply_r)->elements >= 2 &&
                (*reply_r)->element[0]->type == REDIS_REPLY_INTEGER &&
                (*reply_r)->element[1]->type == REDIS_REPLY_INTEGER) {
                redis_learn_clock(backend, &time, (*reply_r)->element[0]->integer);
                return 1;
            }
            redis_free_reply(reply_r);
            return redis_unexpected(backend);
        case CALL_UNKNOWN:
            if (redis_load_scripts(backend, &time) < 0)
                return -1;
            break;
        case CALL_LATE:
            break;
        case CALL_UNCONFIRMED:
            redis_free_reply(reply_r);
            return -1;
        case CALL_REFUSED:
        case CALL_LOST:
            return -1;
        }
    }
    return -1;
}

const char *redis_history_prefix(enum subject subject)
{
    static const char *const prefixes[SUBJECT_COUNT] = {[SUBJECT_MAILBOX] = REDIS_MAILBOX_KEY,
                                                        [SUBJECT_IP] = REDIS_IP_KEY,
                                                        [SUBJECT_DOMAIN] = REDIS_DOMAIN_KEY};
    return prefixes[subject];
}

struct argument redis_argument_history(struct arena *arena, enum subject subject,
                                       const char *name)
{
    return argument_string(arena_printf(arena, "%s%s", redis_history_prefix(subject), name));
}

struct argument redis_argument_history_of(struct arena *arena, enum channel channel,
                                          const char *mailbox)
{
    char name[HISTORY_NAME_SIZE];
    return redis_argument_history(arena, SUBJECT_MAILBOX,
                                  history_name(SUBJECT_MAILBOX, channel, mailbox, name));
}

int redis_check_time(struct redis_backend *backend, int64_t now_ms)
{
    if (now_ms >= 0 && now_ms <= REDIS_TIME_MAX_MS)
        return 1;
    return backend_fail(&backend->base, "time %lld ms: expected 0 to %lld",
                        (long long)now_ms, (long long)REDIS_TIME_MAX_MS);
}

int redis_simple(struct redis_backend *backend, enum script script,
                 const struct argument *arguments, size_t count)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    if (redis_call(backend, script, arguments, count, &reply) < 0)
        return -1;
    return reply->element[1]->integer == 1;
}

const redisReply *redis_ask(struct redis_backend *backend, enum script script,
                            const struct argument *arguments, size_t count, redisReply **reply_r)
{
    if (redis_call(backend, script, arguments, count, reply_r) < 0)
        return NULL;
    if ((*reply_r)->elements == 3)
        return (*reply_r)->element[2];
    redis_unexpected(backend);
    return NULL;
}

const redisReply *redis_ask_list(struct redis_backend *backend, enum script script,
                                 const struct argument *arguments, size_t count, size_t max,
                                 redisReply **reply_r)
{
    const redisReply *list = redis_ask(backend, script, arguments, count, reply_r);
    if (list == NULL || (list->type == REDIS_REPLY_ARRAY && list->elements <= max))
        return list;
    redis_unexpected(backend);
    return NULL;
}

const redisReply *redis_ask_page(struct redis_backend *backend, const struct argument *arguments,
                                 size_t count, size_t width, struct store_page *page,
                                 redisReply **reply_r)
{
    const redisReply *list = redis_ask_list(backend, SCRIPT_READ, arguments, count,
                                            width * (page->max + 1), reply_r);
    if (list == NULL)
        return NULL;
    size_t found = list->elements / width;
    page->more = found > page->max;
    page->count = page->more ? page->max : found;
    return list;
}

/* ---- reading answers ------------------------------------------------------------- */

int64_t redis_number(const redisReply *element)
{
    return element->type == REDIS_REPLY_INTEGER ? element->integer : 0;
}

const char *redis_text(const redisReply *element)
{
    return element->type == REDIS_REPLY_STRING ? element->str : "";
}

void redis_copy_text(const redisReply *element, char *text_r, size_t size)
{
    const char *text = redis_text(element);
    size_t length = strnlen(text, size - 1);
    memcpy(text_r, text, length);
    text_r[length] = '\0';
}
