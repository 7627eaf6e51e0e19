/* Where a recipient under an own domain leads. A mail server takes its own domain off and reads
 * what is left as an address again: Postfix by resolve_dequoted_address, swap_bangpath and
 * allow_percent_hack, all on by default, in this order. */
#include <string.h>

#include "rules/rules.h"

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

/* The first or the last of a sign that is not in quotation marks. Of the three only ! loses its
 * meaning behind a backslash. */
static const char *find_sign(const char *content, char sign, bool last)
{
    const char *found = NULL;
    bool quoted = false;
    for (const char *at = content; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0' && (sign == '!' || strchr("\"\\", at[1]) != NULL))
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == sign && !quoted && (found == NULL || last))
            found = at;
    }
    return found;
}

static bool find_route_by(const char *content, const char *at, const char *bang,
                          const char *percent, struct route *route_r)
{
    const char *sign = at != NULL ? at : percent;
    if (at == NULL && bang != NULL) {
        *route_r = (struct route){bang + 1, content, strlen(bang + 1), (size_t)(bang - content)};
        return true;
    }
    if (sign == NULL)
        return false;
    *route_r = (struct route){content, sign + 1, (size_t)(sign - content), strlen(sign + 1)};
    return true;
}

/* A sign in quotation marks leads on where there is no other. */
static bool find_route(const char *content, struct route *route_r)
{
    return find_route_by(content, find_sign(content, '@', true), find_sign(content, '!', false),
                         find_sign(content, '%', true), route_r) ||
           find_route_by(content, strrchr(content, '@'), strchr(content, '!'),
                         strrchr(content, '%'), route_r);
}

/* Mail servers send to more hosts than have a key form: "a_b.test", emoji. In place; or NULL. */
static const char *host_name(char *text)
{
    char before = '.';
    for (char *at = text; *at != '\0'; before = *at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
        bool follows = *at == '.' ? before != '.' && before != '-' : *at != '-' || before != '.';
        if (!follows || ((unsigned char)*at < 0x80 &&
                         strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", *at) == NULL))
            return NULL;
    }
    return before != '.' && before != '-' ? text : NULL;
}

/* The domain of a route in key form, where it is one that mail can leave for; else NULL. It may be
 * in quotation marks. */
static const char *domain_of(struct arena *arena, const struct route *route)
{
    struct problem unimportant;
    const char *domain = NULL;
    char *text = arena_alloc(arena, route->domain_length + 1);
    size_t length = 0;
    for (size_t i = 0; i < route->domain_length; i++)
        if (strchr("\"\\ \t", route->domain[i]) == NULL)
            text[length++] = route->domain[i];
    text[length] = '\0';
    if (domain_key(arena, text, length, &domain, &unimportant) < 1)
        domain = host_name(text);
    return domain != NULL && (strchr(domain, '.') != NULL || domain[0] == '[') ? domain : NULL;
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
