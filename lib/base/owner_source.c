#include "base/owner_source.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* What stands behind the prefix; NULL: the text does not begin so. */
static const char *behind(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static void put(char out_r[OWNER_SOURCE_MAX_BYTES], const char *text, size_t length)
{
    memcpy(out_r, text, length);
    out_r[length] = '\0';
}

static bool read_port(const char *text, size_t length, int *port_r)
{
    enum { PORT_MAX = 65535, PORT_DIGITS = 5 };
    size_t digits = strspn(text, "0123456789");
    long port = strtol(text, NULL, 10);
    *port_r = (int)port;
    return digits == length && length > 0 && length <= PORT_DIGITS && port > 0 && port <= PORT_MAX;
}

/* PATH:NAME; the name has no colon. */
static const char *read_unix(const char *text, struct owner_source *source_r)
{
    const char *colon = strrchr(text, ':');
    if (text[0] != '/' || colon == NULL || colon[1] == '\0')
        return "is no socketmap:unix:PATH:NAME with an absolute path";
    if ((size_t)(colon - text) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return "names a socket by a path that is too long (107 bytes at most)";
    put(source_r->path, text, (size_t)(colon - text));
    put(source_r->name, colon + 1, strlen(colon + 1));
    return NULL;
}

/* HOST:PORT:NAME; an IPv6 address in brackets. */
static const char *read_inet(const char *text, struct owner_source *source_r)
{
    static const char fault[] = "is no socketmap:inet:HOST:PORT:NAME";
    bool bracketed = text[0] == '[';
    const char *host = text + bracketed;
    size_t of_host = strcspn(host, bracketed ? "]" : ":");
    const char *port = host + of_host + (bracketed && host[of_host] == ']');
    if (of_host == 0 || *port != ':')
        return fault;
    size_t of_port = strcspn(++port, ":");
    const char *name = port + of_port;
    if (!read_port(port, of_port, &source_r->port) || name[0] != ':' || name[1] == '\0')
        return fault;
    put(source_r->host, host, of_host);
    put(source_r->name, name + 1, strlen(name + 1));
    return NULL;
}

/* TYPE:TABLE, as postmap takes it. */
static const char *read_postmap(const char *text, struct owner_source *source_r)
{
    size_t type = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (type == 0 || text[type] != ':' || text[type + 1] == '\0')
        return "is no postmap:TYPE:TABLE";
    put(source_r->name, text, strlen(text));
    return NULL;
}

const char *owner_source_read(const char *text, size_t length, struct owner_source *source_r)
{
    char whole[OWNER_SOURCE_MAX_BYTES];
    const char *rest;
    *source_r = (struct owner_source){0};
    if (length >= sizeof whole)
        return "is too long (511 bytes at most)";
    put(whole, text, length);
    for (const char *at = whole; *at != '\0'; at++)
        if (isspace((unsigned char)*at) || iscntrl((unsigned char)*at))
            return "has white space in it";
    if ((rest = behind(whole, "file:")) != NULL) {
        source_r->kind = OWNERS_FILE;
        put(source_r->path, rest, strlen(rest));
        return rest[0] == '/' ? NULL : "is no file:PATH with an absolute path";
    }
    if ((rest = behind(whole, "socketmap:unix:")) != NULL) {
        source_r->kind = OWNERS_SOCKETMAP;
        return read_unix(rest, source_r);
    }
    if ((rest = behind(whole, "socketmap:inet:")) != NULL) {
        source_r->kind = OWNERS_SOCKETMAP;
        return read_inet(rest, source_r);
    }
    source_r->kind = OWNERS_POSTMAP;
    return (rest = behind(whole, "postmap:")) != NULL ? read_postmap(rest, source_r)
                                                      : "is none of " OWNER_SOURCE_FORMS;
}
