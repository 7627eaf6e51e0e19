/* Who asks, and whether a form that came was really ours. */
#include <string.h>
#include <strings.h>

#include "web/web.h"

int access_by_session(struct exchange *exchange)
{
    const char *cookie = exchange->cookie;
    if (cookie == NULL)
        return 0;
    return staff_session(exchange->web->desk.store, cookie, exchange->now_ms, &exchange->person);
}

int access_by_proxy(struct exchange *exchange)
{
    const char *name = exchange->request->remote_user;
    char cookie[SECRET_TEXT_SIZE];
    int known = access_by_session(exchange);
    if (name == NULL || known < 0 || (known > 0 && strcmp(exchange->person.name, name) == 0))
        return known;
    exchange->person = (struct person){0};
    exchange->cookie = NULL;
    known = staff_sign_in_trusted(exchange->web->desk.store, name, exchange->now_ms,
                                  &exchange->person, cookie);
    if (known < 1 || cookie[0] == '\0') /* without one it may look, and no form of it fits */
        return known;
    log_line(LOG_INFO_LEVEL, "signed in by a proxy", "name", name, "ip",
             exchange->request->address, NULL);
    signin_give_cookie(exchange, cookie);
    return access_by_session(exchange);
}

int access_by_token(struct exchange *exchange)
{
    static const char scheme[] = "Bearer ";
    const char *authorization = exchange->request->authorization;
    if (authorization == NULL || strncasecmp(authorization, scheme, strlen(scheme)) != 0)
        return 0;
    const char *token = authorization + strlen(scheme);
    token += strspn(token, " ");
    if (*token == '\0' || strlen(token) >= API_TOKEN_TEXT_SIZE)
        return 0;
    return staff_token_person(exchange->web->desk.store, token, exchange->now_ms,
                              &exchange->person);
}

bool access_csrf_fits(const struct exchange *exchange)
{
    const char *token = http_request_param(exchange->request, "csrf");
    return exchange->cookie != NULL && token != NULL &&
           staff_csrf_fits(exchange->cookie, token);
}

/* Scheme and host of web.base_url, as a browser writes them in Origin. */
static bool is_base_origin(const struct settings *settings, const char *origin)
{
    const char *url = settings->web_base_url, *host = strstr(url, "://");
    size_t length = host == NULL ? 0 : (size_t)(host + 3 - url) + strcspn(host + 3, "/");
    return length > 0 && strlen(origin) == length && strncasecmp(origin, url, length) == 0;
}

bool access_origin_fits(const struct exchange *exchange)
{
    const char *origin = exchange->request->origin, *host = exchange->request->host;
    const char *site = exchange->request->fetch_site;
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    if (origin == NULL) /* no browser */
        return true;
    if (is_base_origin(exchange->settings, origin))
        return true;
    if (exchange->request->https && strncasecmp(origin, "https://", 8) != 0)
        return false; /* anybody on the way can make a page there */
    const char *name = strstr(origin, "://");
    return name != NULL && host != NULL && host[0] != '\0' && strcasecmp(name + 3, host) == 0;
}
