#include "http_server/http_response.h"

#include <assert.h>
#include <string.h>

#include "http_server/http_request.h"

void http_response_free(struct http_response *response)
{
    text_free(&response->body);
    if (response->free != NULL)
        response->free(response->context);
    *response = (struct http_response){.status = 200};
}

static bool has_control(const char *value)
{
    for (const unsigned char *next = (const unsigned char *)value; *next != '\0'; next++)
        if (*next < 0x20 || *next == 0x7F)
            return true;
    return false;
}

void http_response_header(struct http_response *response, const char *name, const char *value)
{
    if (value == NULL || has_control(value))
        return;
    assert(response->header_count < RESPONSE_HEADERS);
    response->headers[response->header_count].name = name;
    response->headers[response->header_count++].value = value;
}

/* What may stand in a path and query as it is (RFC 3986), and the % of what is encoded already. */
static bool stays(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("-._~!$&'()*+,;=:@/?%", byte) != NULL);
}

/* "//host" and "/\host" would lead to another one where base is empty. */
void http_response_redirect(struct http_response *response, const struct http_request *request,
                            const char *path)
{
    freed_by(text_free) struct text location = {0};
    bool below = path[0] == '/' && path[1] != '/' && path[1] != '\\' && !has_control(path);
    text_add(&location, request->base);
    for (const char *next = below ? path : "/desk/"; *next != '\0'; next++) {
        if (stays((unsigned char)*next))
            text_add_char(&location, *next);
        else
            text_addf(&location, "%%%02X", (unsigned char)*next);
    }
    response->status = 303;
    http_response_header(response, "Location",
                         arena_strndup(request->arena, text_string(&location), location.length));
}
