/* What a redis-server says of itself, by plain commands: scripts may not read it. */
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

/* The value of "NAME:VALUE" in an answer of INFO, to its line's end; NULL: it has none. */
static const char *info_value(const redisReply *info, const char *name, size_t *length_r)
{
    size_t name_length = strlen(name);
    const char *line = info->type == REDIS_REPLY_STRING ? info->str : NULL;
    while (line != NULL && !(strncmp(line, name, name_length) == 0 && line[name_length] == ':')) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line == NULL)
        return NULL;
    *length_r = strcspn(line + name_length + 1, "\r\n");
    return line + name_length + 1;
}

/* 1 the value is `text`, 0 it is another, -1 there is none. */
static int info_is(const redisReply *info, const char *name, const char *text)
{
    size_t length;
    const char *value = info_value(info, name, &length);
    return value == NULL ? -1 : strlen(text) == length && strncmp(value, text, length) == 0;
}

static void read_info(const redisReply *info, struct store_server *server_r)
{
    size_t length;
    const char *eviction = info_value(info, "maxmemory_policy", &length);
    if (eviction != NULL && length < sizeof server_r->eviction)
        memcpy(server_r->eviction, eviction, length); /* the rest is zero */
    server_r->appends = info_is(info, "aof_enabled", "1");
    int snapshot = info_is(info, "rdb_last_bgsave_status", "ok");
    int appended = info_is(info, "aof_last_write_status", "ok");
    server_r->last_written = snapshot < 0 || appended < 0 ? -1 : snapshot && appended;
}

/* CONFIG GET save answers "save" and when it saves: "3600 1 300 100", "" for never. */
static int read_save(const redisReply *config)
{
    bool answered = config->type == REDIS_REPLY_ARRAY && config->elements == 2 &&
                    config->element[1]->type == REDIS_REPLY_STRING;
    return answered ? config->element[1]->len > 0 : -1;
}

/* TIME answers seconds and microseconds. 1 or -1. */
static int read_time(struct redis_backend *backend, const redisReply *time,
                     struct store_server *server_r)
{
    if (time->type != REDIS_REPLY_ARRAY || time->elements != 2)
        return redis_unexpected(backend);
    server_r->now_ms = strtoll(redis_text(time->element[0]), NULL, 10) * SECOND_MS +
                       strtoll(redis_text(time->element[1]), NULL, 10) / 1000;
    return 1;
}

int redis_server(struct backend *backend, struct store_server *server_r)
{
    struct redis_backend *self = redis_backend(backend);
    const struct argument time_words[] = {argument_string("TIME")};
    const struct argument info_words[] = {argument_string("INFO")};
    const struct argument save_words[] = {argument_string("CONFIG"), argument_string("GET"),
                                          argument_string("save")};
    struct action_time time = redis_begin(self);
    if (redis_connected(self, &time) < 0)
        return -1;
    freed_by(redis_free_reply) redisReply *now = NULL;
    freed_by(redis_free_reply) redisReply *info = NULL;
    freed_by(redis_free_reply) redisReply *save = NULL;
    *server_r = (struct store_server){.appends = -1, .saves = -1, .last_written = -1};
    text_clear(&self->out);
    redis_add_command(self, time_words, countof(time_words));
    redis_add_command(self, info_words, countof(info_words));
    redis_add_command(self, save_words, countof(save_words));
    if (redis_send(self, &time) < 0 || redis_read_reply(self, &time, &now) < 0 ||
        redis_read_reply(self, &time, &info) < 0 || redis_read_reply(self, &time, &save) < 0)
        return -1;
    read_info(info, server_r);
    server_r->saves = read_save(save);
    return read_time(self, now, server_r);
}
