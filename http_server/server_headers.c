#include "http_server/server_headers.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* ---- what a request says ----------------------------------------------------------------- */

struct header_fields {
    struct arena *arena;
    struct raw_request *raw;
};

/* A header that comes twice is one with both values (RFC 9110 section 5.3), which then fits
 * nothing where only one makes sense. */
static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct header_fields *fields = context;
    struct raw_request *raw = fields->raw;
    const struct {
        const char *name;
        const char **value;
    } wanted[] = {
        {"Accept", &raw->accept},
        {"Accept-Language", &raw->accept_language},
        {"Authorization", &raw->authorization},
        {"Content-Type", &raw->content_type},
        {"Cookie", &raw->cookies},
        {"Host", &raw->host},
        {"If-None-Match", &raw->if_none_match},
        {"Origin", &raw->origin},
        {"Sec-Fetch-Site", &raw->fetch_site},
        {"X-Forwarded-For", &raw->forwarded_for},
        {"X-Remote-User", &raw->remote_user},
    };
    for (size_t i = 0; value != NULL && i < countof(wanted); i++)
        if (strcasecmp(name, wanted[i].name) == 0)
            *wanted[i].value = *wanted[i].value == NULL
                                   ? arena_strdup(fields->arena, value)
                                   : arena_printf(fields->arena, "%s, %s", *wanted[i].value, value);
    return MHD_YES;
}

/* The address that the connection comes from; "" for a UNIX socket. */
static const char *peer_of(struct arena *arena, struct MHD_Connection *connection)
{
    char text[INET6_ADDRSTRLEN] = "";
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info != NULL ? info->client_addr : NULL;
    const void *address = NULL;
    if (peer != NULL && peer->sa_family == AF_INET)
        address = &((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    else if (peer != NULL && peer->sa_family == AF_INET6)
        address = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (address != NULL)
        inet_ntop(peer->sa_family, address, text, sizeof text);
    return arena_strdup(arena, text);
}

void server_headers_read(struct MHD_Connection *connection, struct arena *arena,
                         struct raw_request *raw)
{
    struct header_fields fields = {arena, raw};
    raw->peer = peer_of(arena, connection);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &fields);
}

/* ---- where its body ends --------------------------------------------------------------------- */

unsigned long long server_headers_body_length(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length != NULL ? strtoull(length, NULL, 10) : 0;
}

/* What says where the body ends. */
struct framing {
    unsigned lengths, encodings;
    bool chunked, malformed;
};

static enum MHD_Result take_framing(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    struct framing *framing = context;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        framing->lengths++;
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->encodings++;
        framing->chunked = value != NULL && strcasecmp(value, "chunked") == 0;
    }
    framing->malformed |= strpbrk(name, " \t") != NULL;
    return MHD_YES;
}

bool server_headers_end_is_clear(struct MHD_Connection *connection, const char *version)
{
    struct framing framing = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_framing, &framing);
    if (framing.malformed || framing.lengths + framing.encodings > 1)
        return false;
    return framing.encodings == 0 ||
           (framing.chunked && strcmp(version, MHD_HTTP_VERSION_1_1) == 0);
}
