/* Where a recipient under an own domain leads. A mail server takes its own domain off and reads
 * what is left as an address again: Postfix by resolve_dequoted_address, swap_bangpath and
 * allow_percent_hack, all on by default, in this order. */
#include <string.h>

#include "rules.h"

/* The content of a local part: without its quotation marks and backslashes. */
static char *unquoted(struct arena *arena, const char *local, size_t length)
{
    char *content = arena_strndup(arena, local, length);
    if (length < 2 || local[0] != '"' || local[length - 1] != '"')
        return content;
    size_t used = 0;
    for (size_t i = 1; i + 1 < length; i++) {
        if (local[i] == '\\' && i + 2 < length)
            i++;
        content[used++] = local[i];
    }
    content[used] = '\0';
    return content;
}

/* As a mail server reads it again: without comments and spaces, and without the route before it
 * ("@a,@b:"), whose hosts nobody asks. In place. */
static char *read_again(char *content)
{
    size_t used = 0;
    int comments = 0;
    bool quoted = false;
    for (const char *at = content; *at != '\0'; at++) {
        bool keeps = comments == 0;
        if (*at == '\\' && at[1] != '\0') {
            if (keeps)
                content[used++] = *at;
            at++;
        } else if (keeps && *at == '"') {
            quoted = !quoted;
        } else if (!quoted && *at == '(') {
            comments++;
            keeps = false;
        } else if (!quoted && comments > 0 && *at == ')') {
            comments--;
        } else if (!quoted && strchr(" \t", *at) != NULL) {
            keeps = false;
        }
        if (keeps)
            content[used++] = *at;
    }
    content[used] = '\0';
    char *colon = content[0] == '@' ? strchr(content, ':') : NULL;
    return colon != NULL && colon[1] != '\0' ? colon + 1 : content;
}

/* A way out of a local part: a domain, and the local part there. */
struct route {
    const char *rest, *domain;
    size_t rest_length, domain_length;
};

static bool find_route(const char *content, struct route *route_r)
{
    const char *sign;
    if ((sign = strrchr(content, '@')) == NULL && (sign = strchr(content, '!')) != NULL) {
        *route_r = (struct route){sign + 1, content, strlen(sign + 1), (size_t)(sign - content)};
        return true;
    }
    if (sign == NULL && (sign = strrchr(content, '%')) == NULL)
        return false;
    *route_r = (struct route){content, sign + 1, (size_t)(sign - content), strlen(sign + 1)};
    return true;
}

/* The domain of a route in key form, where it is one that mail can leave for; else NULL. */
static const char *domain_of(struct arena *arena, const struct route *route)
{
    struct problem unimportant;
    const char *domain = NULL;
    if (domain_key(arena, route->domain, route->domain_length, &domain, &unimportant) < 1)
        return NULL;
    return strchr(domain, '.') != NULL || domain[0] == '[' ? domain : NULL;
}

const char *recipient_target(struct arena *arena, const char *address, const char *mailbox_domain,
                             const struct recipient_policy *policy)
{
    const char *domain = strrchr(address, '@') + 1;
    size_t local_length = (size_t)(domain - 1 - address);
    if (strcspn(address, "%!@") == local_length ||
        !policy->own_domain(policy->context, mailbox_domain, domain))
        return address;
    const char *content = read_again(unquoted(arena, address, local_length));
    bool leads = false;
    struct route route;
    while (policy->own_domain(policy->context, mailbox_domain, domain) &&
           find_route(content, &route)) {
        /* a name that is no such domain, "localhost", may be the mail server's own: look behind it */
        const char *next = domain_of(arena, &route);
        leads = leads || next != NULL;
        domain = next != NULL ? next : domain;
        content = read_again(unquoted(arena, route.rest, route.rest_length));
    }
    return leads ? arena_printf(arena, "%s@%s", content, domain) : address;
}
