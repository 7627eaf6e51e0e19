#include "base/store_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

enum { STANDARD_PORT = 6379, DATABASE_MAX = 1000000, PORT_MAX = 65535 };

void store_url_free(struct store_url *url)
{
    free_string(&url->host);
    free_string(&url->path);
}

size_t store_url_scheme_length(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz+");
    return length > 0 && strncmp(text + length, "://", 3) == 0 ? length + 3 : 0;
}

static bool names_user(const char *text)
{
    const char *rest = text + store_url_scheme_length(text);
    if (strchr(rest, '@') != NULL)
        return true;
    if (rest == text || *rest == '/' || *rest == '[')
        return false;
    const char *colon = strchr(rest, ':'); /* what stands there should be a port */
    return colon != NULL && colon[1 + strspn(colon + 1, DIGITS)] != '\0' &&
           colon[1 + strspn(colon + 1, DIGITS)] != '/';
}

bool store_url_may_hold_password(const char *text)
{
    const char *query = strchr(text + store_url_scheme_length(text), '?');
    return names_user(text) ||
           (query != NULL && (strncmp(query, "?db=", 4) != 0 ||
                              query[4 + strspn(query + 4, DIGITS)] != '\0'));
}

static bool whole_number(const char *text, long max, int *number_r)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number > max)
        return false;
    *number_r = (int)number;
    return true;
}

static const char *read_path(const char *text, struct store_url *url)
{
    url->path = xstrdup(text);
    char *query = strchr(url->path, '?');
    if (query != NULL && url->kind == STORE_SQLITE)
        return "has a '?' in its path";
    if (query != NULL) {
        *query = '\0';
        if (strncmp(query + 1, "db=", 3) != 0 ||
            !whole_number(query + 4, DATABASE_MAX, &url->database))
            return "has something other than db=NUMBER behind its '?'";
    }
    return url->path[0] == '/' && url->path[1] != '\0' ? NULL : "has no absolute path";
}

/* Takes a ":PORT" from the end of HOST:PORT. */
static const char *read_port(char *host, struct store_url *url)
{
    char *after = host;
    if (*host == '[') {
        after = strchr(host, ']');
        if (after == NULL || after[1 + strspn(after + 1, ":0123456789")] != '\0')
            return "has no host";
        *after++ = '\0';
    }
    char *colon = strchr(after, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (!whole_number(colon + 1, PORT_MAX, &url->port) || url->port == 0)
            return "has no port from 1 to 65535";
    }
    return NULL;
}

static const char *read_host(const char *text, struct store_url *url)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789.-_";
    freed_by(free_string) char *copy = xstrdup(text);
    url->port = STANDARD_PORT;
    char *slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (slash[1] != '\0' && !whole_number(slash + 1, DATABASE_MAX, &url->database))
            return "has no number of a database behind its host";
    }
    const char *fault = read_port(copy, url);
    if (fault != NULL)
        return fault;
    bool ipv6 = *copy == '[';
    const char *host = copy + ipv6;
    if (*host == '\0' ||
        host[strspn(host, ipv6 ? "0123456789abcdefABCDEF:." : characters)] != '\0')
        return "has no host";
    url->host = xstrdup(host);
    return NULL;
}

static const char *read_url(const char *text, struct store_url *url)
{
    size_t scheme = store_url_scheme_length(text);
    if (scheme == strlen("sqlite://") && strncmp(text, "sqlite://", scheme) == 0)
        return url->kind = STORE_SQLITE, read_path(text + scheme, url);
    if (strncmp(text, "redis", strlen("redis")) == 0 && names_user(text))
        return "holds a user name or a password; set store.user and store.password_file instead";
    if (scheme == strlen("redis+unix://") && strncmp(text, "redis+unix://", scheme) == 0)
        return url->kind = STORE_REDIS_UNIX, read_path(text + scheme, url);
    if (scheme == strlen("redis://") && strncmp(text, "redis://", scheme) == 0)
        return url->kind = STORE_REDIS, read_host(text + scheme, url);
    if (scheme == strlen("rediss://") && strncmp(text, "rediss://", scheme) == 0)
        return url->kind = STORE_REDIS, url->tls = true, read_host(text + scheme, url);
    return "is no such URL";
}

const char *store_url_read(const char *text, struct store_url *url_r)
{
    struct store_url url = {0};
    const char *fault = read_url(text, &url);
    if (fault != NULL)
        store_url_free(&url);
    else
        *url_r = url;
    return fault;
}

char *store_url_sqlite_path(const char *text)
{
    freed_by(store_url_free) struct store_url url = {0};
    return store_url_read(text, &url) == NULL && url.kind == STORE_SQLITE ? take(url.path) : NULL;
}
