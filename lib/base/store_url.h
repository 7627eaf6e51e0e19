/* Where the store is, as `store.url` says it. Settings and the store read it with this one
 * parser, so what --check accepts is what a program starts with. */
#ifndef SENDGUARD_STORE_URL_H
#define SENDGUARD_STORE_URL_H

#include <stdbool.h>

#include "base/base.h"

#define STORE_URL_FORMS                                                      \
    "sqlite:///PATH, redis://HOST:PORT/DB, redis+unix:///PATH?db=DB or "     \
    "redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB; rediss for TLS"

enum store_kind { STORE_SQLITE, STORE_REDIS, STORE_REDIS_UNIX, STORE_REDIS_SENTINEL };

enum { STORE_SENTINELS_MAX = 16 };
struct store_sentinel {
    char *host;
    int port; /* 26379 when left out */
};

struct store_url {
    enum store_kind kind;
    char *host;   /* of STORE_REDIS, without the brackets of an IPv6 address; else NULL */
    int port;     /* 6379 when left out */
    char *path;   /* absolute; of SQLite and a UNIX socket; else NULL */
    int database; /* of Redis; 0 when left out */
    bool tls;     /* rediss */
    /* of STORE_REDIS_SENTINEL: whom to ask, and for the master of which name */
    struct store_sentinel sentinels[STORE_SENTINELS_MAX];
    size_t sentinel_count;
    char *master;
};

/* NULL and *url_r filled, to be freed; or what is wrong, as the rest of a sentence that began
 * with the URL. A user name or a password is wrong: they do not belong into a URL. */
const char *store_url_read(const char *text, struct store_url *url_r) must_check;
void store_url_free(struct store_url *url);
/* The file of a SQLite store, to be freed; NULL for another database and for what is no such URL. */
char *store_url_sqlite_path(const char *text) must_check;

/* Whether something of a text could be a password in a URL, rightly written or not:
 * "redis://:secret@host", "redis://:secret". Messages show no more of it than store_url_scheme_length. */
bool store_url_may_hold_password(const char *text) must_check;
/* Bytes of "SCHEME://", 0 without one. */
size_t store_url_scheme_length(const char *text);

#endif
