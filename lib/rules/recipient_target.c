/* Where a recipient under an own domain leads. A mail server takes its own domain off and reads
 * what is left as an address again: Postfix by resolve_dequoted_address, swap_bangpath and
 * allow_percent_hack, all on by default, in this order. */
#include <stdio.h>
#include <string.h>

#include "message/address.h"
#include "rules/rules.h"

/* A mail server takes off as many as it likes. Nobody writes an address with more of them. */
enum { MAX_STEPS = 16 };
/* RFC 2606 has no host at RECIPIENT_TOO_FAR, and nobody's mailbox. */

/* The content of a local part: without its quotation marks and backslashes. In place. */
static char *unquoted(char *local)
{
    size_t length = strlen(local), used = 0;
    if (length < 2 || local[0] != '"' || local[length - 1] != '"')
        return local;
    for (size_t i = 1; i + 1 < length; i++) {
        if (local[i] == '\\' && i + 2 < length)
            i++;
        local[used++] = local[i];
    }
    local[used] = '\0';
    return local;
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

/* A way out of a local part: a domain, and the local part there; both lie in the former. */
struct address_route {
    char *rest, *domain;
};

/* The first or the last of a sign that is not in quotation marks. Of the three only ! loses its
 * meaning behind a backslash. */
static char *find_sign(char *content, char sign, bool last)
{
    char *found = NULL;
    bool quoted = false;
    for (char *at = content; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0' && (sign == '!' || strchr("\"\\", at[1]) != NULL))
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == sign && !quoted && (found == NULL || last))
            found = at;
    }
    return found;
}

static bool split_by(char *content, char *at, char *bang, char *percent,
                     struct address_route *route_r)
{
    bool domain_first = at == NULL && bang != NULL;
    char *sign = at != NULL ? at : domain_first ? bang : percent;
    if (sign == NULL)
        return false;
    *sign = '\0';
    *route_r = domain_first ? (struct address_route){.rest = sign + 1, .domain = content}
                            : (struct address_route){.rest = content, .domain = sign + 1};
    return true;
}

/* A sign in quotation marks leads on where there is no other. */
static bool split(char *content, struct address_route *route_r)
{
    return split_by(content, find_sign(content, '@', true), find_sign(content, '!', false),
                    find_sign(content, '%', true), route_r) ||
           split_by(content, strrchr(content, '@'), strchr(content, '!'), strrchr(content, '%'),
                    route_r);
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

/* Puts into domain_r the domain of a route, in key form or as host_name has it, where it is one that
 * mail can leave for. It may be in quotation marks. */
static bool read_domain(char *text, char domain_r[ADDRESS_MAX_BYTES + 1])
{
    char key[ADDRESS_MAX_DOMAIN_BYTES + 1] = "";
    size_t length = 0, key_length = 0;
    for (const char *at = text; *at != '\0'; at++)
        if (strchr("\"\\ \t", *at) == NULL)
            text[length++] = *at;
    text[length] = '\0';
    if (length == 0)
        return false;
    const char *domain = address_domain_normalise(text, length, key, &key_length) == NULL
                             ? key
                             : host_name(text);
    if (domain == NULL || (strchr(domain, '.') == NULL && domain[0] != '['))
        return false;
    snprintf(domain_r, ADDRESS_MAX_BYTES + 1, "%s", domain);
    return true;
}

const char *recipient_target(struct arena *arena, const char *address, const char *mailbox_domain,
                             const struct recipient_classes *classes)
{
    char domain[ADDRESS_MAX_BYTES + 1];
    const char *at = strrchr(address, '@');
    size_t local_length = (size_t)(at - address);
    if (strcspn(address, "%!@") == local_length ||
        !classes->own_domain(classes->context, mailbox_domain, at + 1))
        return address;
    snprintf(domain, sizeof domain, "%s", at + 1);
    /* once: each step leaves less of it */
    char *content = read_again(unquoted(arena_strndup(arena, address, local_length)));
    bool leads = false;
    struct address_route route;
    for (int step = 0; classes->own_domain(classes->context, mailbox_domain, domain) &&
                       split(content, &route); step++) {
        if (step == MAX_STEPS)
            return arena_printf(arena, "%s@" RECIPIENT_TOO_FAR, route.rest);
        /* a name that is no such domain, "localhost", may be the mail server's own: look behind it */
        leads = read_domain(route.domain, domain) || leads;
        content = read_again(unquoted(route.rest));
    }
    return leads ? arena_printf(arena, "%s@%s", content, domain) : address;
}
