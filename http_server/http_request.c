#include "http_server/http_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/percent.h"
#include "message/address.h"
#include "message/submission.h"
#include "http_server/http_params.h"

static const char *copy(struct arena *arena, const char *text)
{
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

/* ---- path --------------------------------------------------------------------------- */

/* The path of web.base_url, which names scheme and host before it. */
static const char *base_path(const struct settings *settings)
{
    const char *host = strstr(settings->web_base_url, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    return path != NULL ? path : "";
}

/* In place; false: what percent_decode or address_text_fault refuses. */
static bool decode(char *path)
{
    return percent_decode(path, strlen(path), path) && address_text_fault(path, strlen(path)) == NULL;
}

/* nginx may have taken the base away or not. */
static const char *below_base(const char *path, const char *base)
{
    size_t length = strlen(base);
    if (length == 0 || strncmp(path, base, length) != 0)
        return path;
    return path[length] == '/' ? path + length : path[length] == '\0' ? "/" : path;
}

static int set_path(const struct raw_request *raw, struct http_request *request,
                    struct problem *problem)
{
    request->path = "/";
    if (strlen(raw->url) > REQUEST_MAX_PATH)
        return problem_set(problem, 414, "path", "it is longer than %d bytes", REQUEST_MAX_PATH);
    char *path = arena_strdup(request->arena, raw->url);
    if (path[0] != '/' || !decode(path))
        return problem_set(problem, 400, "path", "it cannot be read");
    request->path = below_base(path, request->base);
    return 1;
}

/* ---- who asks -------------------------------------------------------------------------- */

/* The address in key form; NULL: it is none. */
static const char *address_of(struct arena *arena, const char *text, size_t length)
{
    struct submission submission = {.arena = arena};
    struct problem problem;
    return submission_set_ip(&submission, text, length, &problem) ? submission.ip : NULL;
}

/* The last entry of X-Forwarded-For: what the trusted proxy itself has seen; the others are its
 * client's word. */
static const char *last_forwarded(struct arena *arena, const char *forwarded_for)
{
    const char *comma = strrchr(forwarded_for, ','),
               *entry = comma != NULL ? comma + 1 : forwarded_for;
    entry += strspn(entry, " \t");
    return arena_strndup(arena, entry, strcspn(entry, " \t"));
}

/* Who comes by a UNIX socket is a proxy on this machine; without a header of it nobody knows who
 * asks, and that is not taken for monitoring on this machine. */
static void set_address(const struct raw_request *raw, const struct settings *settings,
                        struct http_request *request)
{
    const char *ip = raw->peer;
    bool local_socket = ip[0] == '\0';
    bool trusted = local_socket || settings_network_holds(&settings->web_trusted_proxies, ip);
    if (trusted && raw->forwarded_for != NULL) {
        ip = last_forwarded(request->arena, raw->forwarded_for);
        local_socket = false;
    }
    request->address = address_of(request->arena, ip, strlen(ip));
    request->monitoring = !local_socket && request->address != NULL &&
                          settings_network_holds(&settings->web_monitoring, ip);
    if (request->address == NULL) /* a proxy that says nothing, or nonsense: it stands for all */
        request->address = address_of(request->arena, raw->peer, strlen(raw->peer));
    if (request->address == NULL)
        request->address = "127.0.0.1";
}

/* By a UNIX socket come those alone whom its file mode lets in. A proxy that knows nobody says nothing. */
static void set_remote_user(const struct raw_request *raw, const struct settings *settings,
                            struct http_request *request)
{
    const struct text_list *proxies = &settings->web_sign_in_proxies;
    bool trusted = raw->peer[0] == '\0' ? proxies->count > 0
                                        : settings_network_holds(proxies, raw->peer);
    if (trusted && raw->remote_user != NULL && raw->remote_user[0] != '\0')
        request->remote_user = copy(request->arena, raw->remote_user);
}

static int set_cookies(const struct raw_request *raw, struct http_request *request,
                       struct problem *problem)
{
    if (raw->cookies != NULL && strlen(raw->cookies) > REQUEST_MAX_COOKIES)
        return problem_set(problem, 400, "Cookie", "it is longer than %d bytes",
                           REQUEST_MAX_COOKIES);
    request->cookies = copy(request->arena, raw->cookies);
    return 1;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void set_headers(const struct raw_request *raw, struct http_request *request)
{
    struct arena *arena = request->arena;
    request->accept = copy(arena, raw->accept);
    request->accept_language = copy(arena, raw->accept_language);
    request->authorization = copy(arena, raw->authorization);
    request->content_type = copy(arena, raw->content_type);
    request->origin = copy(arena, raw->origin);
    request->fetch_site = copy(arena, raw->fetch_site);
    request->host = copy(arena, raw->host);
    request->if_none_match = copy(arena, raw->if_none_match);
}

static void set_method(const struct raw_request *raw, struct http_request *request)
{
    request->head = strcmp(raw->method, "HEAD") == 0;
    request->method = request->head || strcmp(raw->method, "GET") == 0 ? METHOD_GET
                      : strcmp(raw->method, "POST") == 0               ? METHOD_POST
                                                                       : METHOD_OTHER;
}

int http_request_make(const struct raw_request *raw, const struct settings *settings,
                      struct arena *arena, struct http_request *request_r,
                      struct problem *problem)
{
    *request_r = (struct http_request){.arena = arena, .params = json_object_new_object()};
    if (request_r->params == NULL)
        abort();
    request_r->base = arena_strdup(arena, base_path(settings));
    request_r->https = strncmp(settings->web_base_url, "https://", 8) == 0;
    request_r->body_length = raw->body_length;
    set_method(raw, request_r);
    set_headers(raw, request_r);
    set_address(raw, settings, request_r);
    set_remote_user(raw, settings, request_r);
    return set_path(raw, request_r, problem) && set_cookies(raw, request_r, problem) &&
           http_params_read(raw, request_r, problem);
}

void http_request_end(struct http_request *request)
{
    json_object_put(request->params);
    request->params = NULL;
}

/* ---- asking ------------------------------------------------------------------------------------ */

const char *http_request_param(const struct http_request *request, const char *name)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(request->params, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

bool http_request_sends(const struct http_request *request, const char *type)
{
    size_t length = strlen(type);
    if (request->content_type == NULL || strncasecmp(request->content_type, type, length) != 0)
        return false;
    const char *rest = request->content_type + length;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

/* The weight behind a media range, in thousandths (RFC 9110 section 12.4.2): "1", "0.8", "0.123". */
static int weight_of(const char *range, size_t length)
{
    for (size_t i = 0; i + 2 < length; i++) {
        if (range[i] != ';')
            continue;
        size_t at = i + 1 + strspn(range + i + 1, " \t");
        if (at + 2 >= length || (range[at] | 0x20) != 'q' || range[at + 1] != '=')
            continue;
        int weight = range[at + 2] == '1' ? 1000 : 0, place = 100;
        for (at += 4; weight < 1000 && at < length && place > 0 && range[at] >= '0' &&
                      range[at] <= '9'; at++, place /= 10)
            weight += (range[at] - '0') * place;
        return weight;
    }
    return 1000;
}

/* -1: the range is not there. */
static int accept_weight(const char *accept, const char *range)
{
    size_t name_length = strlen(range);
    for (const char *next = accept; *next != '\0';) {
        next += strspn(next, " \t,");
        size_t length = strcspn(next, ",");
        if (length >= name_length && strncasecmp(next, range, name_length) == 0 &&
            strchr(" \t;,", next[name_length]) != NULL)
            return weight_of(next, length);
        next += length;
    }
    return -1;
}

/* Programs name JSON; browsers name HTML, and a client that names neither reads a page. */
bool http_request_wants_json(const struct http_request *request)
{
    const char *accept = request->accept != NULL ? request->accept : "";
    int json = accept_weight(accept, "application/json");
    int problem_json = accept_weight(accept, "application/problem+json");
    int html = accept_weight(accept, "text/html");
    return (json > problem_json ? json : problem_json) > (html > 0 ? html : 0);
}

static bool is_token(const char *value, size_t length)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return length > 0 && strspn(value, allowed) >= length;
}

const char *http_request_token_cookie(const struct http_request *request, const char *name,
                                      size_t max_length)
{
    size_t name_length = strlen(name);
    const char *next = request->cookies != NULL ? request->cookies : "";
    while (*next != '\0') {
        next += strspn(next, " \t;,");
        size_t length = strcspn(next, ";,");
        if (length > name_length && strncmp(next, name, name_length) == 0 &&
            next[name_length] == '=') {
            const char *value = next + name_length + 1;
            length -= name_length + 1;
            while (length > 0 && strchr(" \t", value[length - 1]) != NULL)
                length--;
            return length <= max_length && is_token(value, length)
                       ? arena_strndup(request->arena, value, length)
                       : NULL;
        }
        next += length;
    }
    return NULL;
}
