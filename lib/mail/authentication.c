#include "mail/authentication.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* What a quoted string may hold of the signs that separate: part of no domain. */
#define QUOTED_MARK '\1'
enum { DOMAIN_MAX = 253 };

/* Without comments and quotation marks, and without blanks around "=". */
static char *plain(struct arena *arena, const char *field)
{
    char *out = arena_strdup(arena, field), *end = out;
    int depth = 0;
    bool quoted = false;
    for (const char *at = field; *at != '\0'; at++) {
        if (*at == '\\' && (quoted || depth > 0) && at[1] != '\0') {
            at++;
            if (depth == 0)
                *end++ = QUOTED_MARK;
        } else if (depth > 0 || (*at == '(' && !quoted)) {
            depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
        } else if (*at == '"') {
            quoted = !quoted;
        } else if (quoted && strchr(" \t;=()", *at) != NULL) {
            *end++ = QUOTED_MARK;
        } else if (isspace((unsigned char)*at)) {
            if (end > out && end[-1] != ' ' && end[-1] != '=')
                *end++ = ' ';
        } else {
            if (*at == '=' && end > out && end[-1] == ' ')
                end--;
            *end++ = *at;
        }
    }
    *end = '\0';
    return out;
}

/* The domain of an address or a domain, lower case; NULL: it is none. */
static const char *domain_of(struct arena *arena, const char *value)
{
    const char *sign = strrchr(value, '@');
    char *domain = arena_strdup(arena, sign != NULL ? sign + 1 : value);
    size_t length = strlen(domain);
    for (char *at = domain; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr(".-_", *at) == NULL)
            return NULL;
        *at = (char)tolower((unsigned char)*at);
    }
    bool is_one = length > 0 && length <= DOMAIN_MAX && strchr(domain, '.') != NULL &&
                  domain[0] != '.' && domain[length - 1] != '.' && strstr(domain, "..") == NULL;
    return is_one ? domain : NULL;
}

static void add(const char *domain, const char *domains[], size_t max, size_t *count_r)
{
    for (size_t i = 0; i < *count_r; i++)
        if (strcmp(domains[i], domain) == 0)
            return;
    if (*count_r < max)
        domains[(*count_r)++] = domain;
}

/* What stands behind `name=` in one of the words; NULL. */
static const char *property(char *const words[], size_t count, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncasecmp(words[i], name, length) == 0 && words[i][length] == '=')
            return words[i] + length + 1;
    return NULL;
}

/* The domain that passed in `method=result property=value …`; NULL: none. */
static const char *passed(struct arena *arena, char *result)
{
    static const struct {
        const char *method, *property;
    } read[] = {{"dkim=", "header.d"}, {"dkim=", "header.i"},
                {"spf=", "smtp.mailfrom"}, {"dmarc=", "header.from"}};
    enum { WORDS_MAX = 16 };
    char *words[WORDS_MAX], *word;
    size_t count = 0;
    while ((word = strsep(&result, " ")) != NULL && count < WORDS_MAX)
        if (*word != '\0')
            words[count++] = word;
    if (count == 0)
        return NULL;
    for (size_t i = 0; i < countof(read); i++) {
        size_t length = strlen(read[i].method);
        const char *value = property(words + 1, count - 1, read[i].property);
        if (strncasecmp(words[0], read[i].method, length) == 0 &&
            strcasecmp(words[0] + length, "pass") == 0 && value != NULL)
            return domain_of(arena, value);
    }
    return NULL;
}

/* With comments and quotation marks a stranger could write the name so that a rule which removes it
 * does not see it. */
static bool is_of(const char *field, const char *authserv_id)
{
    size_t length = strlen(authserv_id);
    field += strspn(field, " \t");
    return strncasecmp(field, authserv_id, length) == 0 && strchr(" \t;", field[length]) != NULL;
}

void authentication_domains(struct arena *arena, const char *field, const char *authserv_id,
                            const char *domains[], size_t max, size_t *count_r)
{
    if (!is_of(field, authserv_id))
        return;
    char *results = plain(arena, field);
    strsep(&results, ";");
    for (char *result; (result = strsep(&results, ";")) != NULL;) {
        const char *domain = passed(arena, result);
        if (domain != NULL)
            add(domain, domains, max, count_r);
    }
}
