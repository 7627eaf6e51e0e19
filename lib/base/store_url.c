#include "base/store_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

#define HOST_CHARACTERS                                         \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS ".-_"

enum { STANDARD_PORT = 6379, SENTINEL_PORT = 26379, DATABASE_MAX = 1000000, PORT_MAX = 65535 };

void store_url_free(struct store_url *url)
{
    free_string(&url->host);
    free_string(&url->path);
    free_string(&url->master);
    for (size_t i = 0; i < url->sentinel_count; i++)
        free_string(&url->sentinels[i].host);
    url->sentinel_count = 0;
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
    if (rest == text || *rest == '/')
        return false;
    for (; *rest != '\0'; rest++) {
        if (*rest == '[') /* an IPv6 address */
            rest += strcspn(rest, "]");
        if (*rest == '\0')
            return false;
        /* what stands behind a colon should be a port */
        if (*rest == ':' && strchr("/,", rest[1 + strspn(rest + 1, DIGITS)]) == NULL)
            return true;
    }
    return false;
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

/* HOST or HOST:PORT, in `text`, which it cuts; *port_r stays as it is without one. */
static const char *read_host(char *text, char **host_r, int *port_r)
{
    char *host = text, *after = text;
    bool ipv6 = *text == '[';
    if (ipv6) {
        after = strchr(text, ']');
        if (after == NULL || after[1 + strspn(after + 1, ":" DIGITS)] != '\0')
            return "has no host";
        *after++ = '\0';
        host++;
    }
    char *colon = strchr(after, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (!whole_number(colon + 1, PORT_MAX, port_r) || *port_r == 0)
            return "has no port from 1 to 65535";
    }
    if (*host == '\0' ||
        host[strspn(host, ipv6 ? "0123456789abcdefABCDEF:." : HOST_CHARACTERS)] != '\0')
        return "has no host";
    *host_r = xstrdup(host);
    return NULL;
}

static const char *read_database(const char *text, struct store_url *url, const char *fault)
{
    return *text == '\0' || whole_number(text, DATABASE_MAX, &url->database) ? NULL : fault;
}

/* Cuts the text at the next slash. Returns what is behind it, "" without one. */
static char *cut_at_slash(char *text)
{
    char *slash = text + strcspn(text, "/");
    if (*slash != '\0')
        *slash++ = '\0';
    return slash;
}

static const char *read_server(const char *text, struct store_url *url)
{
    freed_by(free_string) char *copy = xstrdup(text);
    url->port = STANDARD_PORT;
    const char *database = cut_at_slash(copy);
    const char *fault =
        read_database(database, url, "has no number of a database behind its host");
    return fault != NULL ? fault : read_host(copy, &url->host, &url->port);
}

static const char *read_sentinels(const char *text, struct store_url *url)
{
    freed_by(free_string) char *copy = xstrdup(text);
    char *master = cut_at_slash(copy), *host = copy, *next;
    const char *database = cut_at_slash(master);
    if (*master == '\0' || master[strspn(master, HOST_CHARACTERS)] != '\0')
        return "has no name of a master behind its sentinels";
    const char *fault =
        read_database(database, url, "has no number of a database behind its master");
    for (; fault == NULL && host != NULL; host = next) {
        struct store_sentinel *sentinel = &url->sentinels[url->sentinel_count];
        if (url->sentinel_count == STORE_SENTINELS_MAX)
            return "has more than 16 sentinels";
        next = strchr(host, ',');
        if (next != NULL)
            *next++ = '\0';
        sentinel->port = SENTINEL_PORT;
        fault = read_host(host, &sentinel->host, &sentinel->port);
        url->sentinel_count += fault == NULL;
    }
    url->master = xstrdup(master);
    return fault;
}

static const struct {
    const char *scheme;
    enum store_kind kind;
    bool tls;
    const char *(*read)(const char *text, struct store_url *url);
} schemes[] = {
    {"sqlite://", STORE_SQLITE, false, read_path},
    {"redis://", STORE_REDIS, false, read_server},
    {"rediss://", STORE_REDIS, true, read_server},
    {"redis+unix://", STORE_REDIS_UNIX, false, read_path},
    {"redis+sentinel://", STORE_REDIS_SENTINEL, false, read_sentinels},
    {"rediss+sentinel://", STORE_REDIS_SENTINEL, true, read_sentinels},
};

static bool lacks_brackets(const char *rest)
{
    size_t length = strspn(rest, ":." DIGITS "abcdefABCDEF"), colons = 0;
    for (size_t i = 0; i < length; i++)
        colons += rest[i] == ':';
    return colons > 1 && strchr("/,", rest[length]) != NULL && strchr(rest, '@') == NULL;
}

static const char *read_url(const char *text, struct store_url *url)
{
    size_t length = store_url_scheme_length(text);
    if (strncmp(text, "redis", strlen("redis")) == 0 && lacks_brackets(text + length))
        return "has an IPv6 address without brackets, as in [::1]:6379";
    if (strncmp(text, "redis", strlen("redis")) == 0 && names_user(text))
        return "holds a user name or a password; set store.user and store.password_file instead";
    for (size_t i = 0; i < countof(schemes); i++)
        if (length == strlen(schemes[i].scheme) && strncmp(text, schemes[i].scheme, length) == 0) {
            url->kind = schemes[i].kind;
            url->tls = schemes[i].tls;
            return schemes[i].read(text + length, url);
        }
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
