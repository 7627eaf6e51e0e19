/* Redis Sentinel: which server is the master now. A client asks when it connects, and believes it
 * when the server says so too. Source: https://redis.io/docs/reference/sentinel-clients */
#ifndef SENDGUARD_REDIS_SENTINEL_H
#define SENDGUARD_REDIS_SENTINEL_H

#include "store/redis/redis_wire.h"

struct redis_sentinels {
    char *master; /* the name that they know it by */
    struct redis_place places[STORE_SENTINELS_MAX];
    size_t count;
    size_t first; /* whom to ask first */
};

struct redis_sentinels *redis_sentinel_new(const struct store_url *where);
/* Accepts NULL, sets NULL. */
void redis_sentinel_free(struct redis_sentinels **sentinels);

/* Asks one after the other where the master is, and leaves time to connect to it. 1 with host and
 * port of *master changed; or -1, `why` and `for_good` of *wire, which is closed, saying what was
 * wrong. */
int redis_sentinel_find(struct redis_sentinels *sentinels, const struct redis_access *access,
                        int64_t give_up_us, struct redis_place *master, struct redis_wire *wire)
    must_check;
/* Asks the server itself. As the functions of redis_wire.h. */
int redis_sentinel_confirm(struct redis_sentinels *sentinels, struct redis_wire *wire,
                           int64_t give_up_us) must_check;
/* The one asked last named a server that was not the master or did not answer: another is asked
 * first next time, because this one may be cut off from the others. */
void redis_sentinel_doubt(struct redis_sentinels *sentinels);
/* "HOST:PORT" of the one asked last, to be freed. */
char *redis_sentinel_asked(const struct redis_sentinels *sentinels);

#endif
