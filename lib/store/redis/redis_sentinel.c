#include "store/redis/redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

struct redis_sentinels *redis_sentinel_new(const struct store_url *where)
{
    struct redis_sentinels *sentinels = xcalloc(1, sizeof *sentinels);
    sentinels->master = xstrdup(where->master);
    sentinels->count = where->sentinel_count;
    for (size_t i = 0; i < sentinels->count; i++) {
        sentinels->places[i].host = xstrdup(where->sentinels[i].host);
        sentinels->places[i].port = where->sentinels[i].port;
    }
    return sentinels;
}

void redis_sentinel_free(struct redis_sentinels **sentinels)
{
    if (*sentinels == NULL)
        return;
    for (size_t i = 0; i < (*sentinels)->count; i++)
        redis_place_free(&(*sentinels)->places[i]);
    free((*sentinels)->master);
    free(*sentinels);
    *sentinels = NULL;
}

void redis_sentinel_doubt(struct redis_sentinels *sentinels)
{
    sentinels->first = (sentinels->first + 1) % sentinels->count;
}

char *redis_sentinel_asked(const struct redis_sentinels *sentinels)
{
    const struct redis_place *place = &sentinels->places[sentinels->first];
    return xasprintf("%s:%d", place->host, place->port);
}

static int ask_for_master(struct redis_wire *wire, const char *master, int64_t give_up_us,
                          redisReply **reply_r)
{
    return REDIS_WIRE_ASK(wire, give_up_us, reply_r, "SENTINEL", "get-master-addr-by-name", master);
}

static bool wants_password(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && (strncmp(reply->str, "NOAUTH", 6) == 0 ||
                                                strncmp(reply->str, "NOPERM", 6) == 0);
}

static int refuse_error(struct redis_wire *wire, const char *error)
{
    char why[REDIS_WHY_SIZE];
    bool unknown = strncmp(error, "ERR unknown command", strlen("ERR unknown command")) == 0;
    snprintf(why, sizeof why, "%s%.170s", unknown ? "it is no sentinel: " : "", error);
    return redis_wire_fail_for_good(wire, why);
}

/* A host, whose name has up to 255 bytes (RFC 1035, 2.3.4), and a port. */
static bool is_address(const redisReply *host, const redisReply *port)
{
    char *end;
    long number = strtol(port->str, &end, 10);
    for (size_t i = 0; i < host->len; i++)
        if (host->str[i] <= ' ' || host->str[i] > '~')
            return false;
    return host->len > 0 && host->len <= 255 && port->len > 0 && end == port->str + port->len &&
           number >= 1 && number <= 65535;
}

/* A sentinel hears the password only if it wants one: many want none, and know no users. */
static int ask(struct redis_sentinels *sentinels, const struct redis_access *access,
               int64_t give_up_us, struct redis_wire *wire, redisReply **reply_r)
{
    if (redis_wire_open(wire, &sentinels->places[sentinels->first], access, give_up_us) < 0 ||
        ask_for_master(wire, sentinels->master, give_up_us, reply_r) < 0)
        return -1;
    if (wants_password(*reply_r) &&
        (redis_access_sign_in(wire, access, give_up_us) < 0 ||
         ask_for_master(wire, sentinels->master, give_up_us, reply_r) < 0))
        return -1;
    if ((*reply_r)->type == REDIS_REPLY_NIL)
        return redis_wire_fail_for_good(wire, "it knows no master of that name");
    if ((*reply_r)->type == REDIS_REPLY_ERROR)
        return refuse_error(wire, (*reply_r)->str);
    if ((*reply_r)->type == REDIS_REPLY_ARRAY && (*reply_r)->elements == 2 &&
        (*reply_r)->element[0]->type == REDIS_REPLY_STRING &&
        (*reply_r)->element[1]->type == REDIS_REPLY_STRING)
        return is_address((*reply_r)->element[0], (*reply_r)->element[1])
                   ? 1
                   : redis_wire_fail_for_good(wire, "it names no address");
    return redis_wire_fail_for_good(wire, "it is no sentinel");
}

static void move_to(struct redis_place *master, const redisReply *reply)
{
    int port = (int)strtol(reply->element[1]->str, NULL, 10);
    if (master->host != NULL && strcmp(master->host, reply->element[0]->str) == 0 &&
        master->port == port)
        return; /* with the look-up that may go on */
    redis_place_free(master);
    *master = (struct redis_place){.host = xstrdup(reply->element[0]->str), .port = port};
}

int redis_sentinel_find(struct redis_sentinels *sentinels, const struct redis_access *access,
                        int64_t give_up_us, struct redis_place *master, struct redis_wire *wire)
{
    bool for_good = true, told_for_good = false;
    char told[REDIS_WHY_SIZE] = "";
    for (size_t left = sentinels->count; left > 0; left--) {
        freed_by(redis_free_reply) redisReply *reply = NULL;
        int64_t now_us = clock_monotonic_us();
        int64_t span_us = (give_up_us - now_us) / (int64_t)(left + 1);
        *wire = REDIS_WIRE_CLOSED((int)(span_us / 1000));
        if (ask(sentinels, access, now_us + span_us, wire, &reply) > 0) {
            redis_wire_close(wire);
            move_to(master, reply);
            return 1;
        }
        for_good = for_good && wire->for_good;
        if (told[0] == '\0' || (wire->for_good && !told_for_good)) {
            freed_by(free_string) char *asked = redis_sentinel_asked(sentinels);
            snprintf(told, sizeof told, "%.80s: %.90s", asked, wire->why);
            told_for_good = wire->for_good;
        }
        redis_sentinel_doubt(sentinels);
    }
    wire->for_good = for_good;
    snprintf(wire->why, sizeof wire->why, "no sentinel names it: %.170s", told);
    return -1;
}

int redis_sentinel_confirm(struct redis_sentinels *sentinels, struct redis_wire *wire,
                           int64_t give_up_us)
{
    freed_by(redis_free_reply) redisReply *reply = NULL;
    char why[REDIS_WHY_SIZE];
    if (REDIS_WIRE_ASK(wire, give_up_us, &reply, "ROLE") < 0)
        return -1;
    if (reply->type == REDIS_REPLY_ERROR)
        return redis_wire_fail(wire, reply->str);
    const char *role = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                               reply->element[0]->type == REDIS_REPLY_STRING
                           ? reply->element[0]->str
                           : "no server of Redis";
    if (strcmp(role, "master") == 0)
        return 1;
    freed_by(free_string) char *asked = redis_sentinel_asked(sentinels);
    snprintf(why, sizeof why, "it is a %.20s, and the sentinel at %.80s names it as the master",
             strcmp(role, "slave") == 0 ? "replica" : role, asked);
    return redis_wire_fail(wire, why);
}
