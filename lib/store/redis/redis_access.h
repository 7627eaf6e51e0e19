/* Where a server is and how it lets us in, as [store] of the settings says it. */
#ifndef SENDGUARD_REDIS_ACCESS_H
#define SENDGUARD_REDIS_ACCESS_H

#include <stdbool.h>

#include "base/store_url.h"
#include "store/store.h"

struct lookup;
struct redis_wire;

struct redis_place {
    char *host; /* NULL: `path` is a UNIX socket, or not known yet */
    char *path;
    int port;
    struct lookup *lookup; /* of `host`, where one goes on */
};

/* What store_options has of it. No string is NULL; "" is none. */
struct redis_access {
    bool by_tls;
    char *user, *password_file;
    char *tls_ca_file, *tls_cert_file, *tls_key_file;
};

struct redis_place redis_place_of(const struct store_url *where);
void redis_place_free(struct redis_place *place);

struct redis_access redis_access_of(const struct store_url *where,
                                    const struct store_options *options);
void redis_access_free(struct redis_access *access);

/* Signs in, if `access` says as whom. Reads the password for each connection, so that a new one
 * needs no restart. As the functions of redis_wire.h. */
int redis_access_sign_in(struct redis_wire *wire, const struct redis_access *access,
                         int64_t give_up_us) must_check;

#endif
