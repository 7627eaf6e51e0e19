/* Headers of a request, out of libmicrohttpd. Internal to server. */
#ifndef SENDGUARD_SERVER_HEADERS_H
#define SENDGUARD_SERVER_HEADERS_H

#include <microhttpd.h>

#include "http_server/http_request.h"

/* Fills the peer and the headers; what was there of them has to be NULL. */
void server_headers_read(struct MHD_Connection *connection, struct arena *arena,
                         struct raw_request *raw);

/* The body's length as it was said; 0 when it was not. */
unsigned long long server_headers_body_length(struct MHD_Connection *connection);

/* Whether there is one way only to read where the body ends (RFC 9112 section 6.3). A server in
 * front that read it another way would take a part of the body for the next one's request. */
bool server_headers_end_is_clear(struct MHD_Connection *connection, const char *version);

#endif
