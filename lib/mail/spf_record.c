#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "mail/spf_record.h"

#define VERSION "v=spf1"
enum { TERMS_MAX = 4096, BITS4 = 32, BITS6 = 128 };

bool spf_record_is(struct mail_view text)
{
    size_t length = strlen(VERSION);
    return text.length >= length && strncasecmp(text.text, VERSION, length) == 0 &&
           (text.length == length || text.text[length] == ' ');
}

int spf_ip_read(const char *text, struct spf_ip *ip_r)
{
    static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    *ip_r = (struct spf_ip){0};
    if (inet_pton(AF_INET, text, ip_r->bytes) == 1)
        return 1;
    ip_r->is_v6 = inet_pton(AF_INET6, text, ip_r->bytes) == 1;
    if (ip_r->is_v6 && memcmp(ip_r->bytes, mapped, sizeof mapped) == 0) {
        memmove(ip_r->bytes, ip_r->bytes + sizeof mapped, 4);
        memset(ip_r->bytes + 4, 0, sizeof ip_r->bytes - 4);
        ip_r->is_v6 = false;
        return 1;
    }
    return ip_r->is_v6;
}

/* ---- parts of a term -------------------------------------------------------------------- */

/* A name's last label, or a macro at the end: numbers alone would be an IP address. */
static bool ends_as_domain(const char *text)
{
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '}')
        return true;
    if (length > 0 && text[length - 1] == '.')
        length--;
    size_t first = length;
    bool numeric = true;
    while (first > 0 && text[first - 1] != '.') {
        unsigned char sign = (unsigned char)text[--first];
        if (!isalnum(sign) && sign != '-')
            return false;
        numeric = numeric && isdigit(sign);
    }
    return first > 0 && first < length && !numeric && text[first] != '-' &&
           text[length - 1] != '-';
}

static bool is_domain(const char *text)
{
    return spf_macro_is_right(text) && ends_as_domain(text);
}

/* Digits without a leading zero, up to `most`; -1. */
static int read_bits(const char *text, int most)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 3 || text[length] != '\0' || (text[0] == '0' && length > 1))
        return -1;
    int bits = atoi(text);
    return bits <= most ? bits : -1;
}

/* Cuts "/24", "//64" or "/24//64" off the end. 1, or 0 when something else is behind a slash. */
static int cut_bits(char *text, struct spf_term *term)
{
    char *slash = strrchr(text, '/');
    if (slash != NULL && slash > text && slash[-1] == '/') {
        term->bits6 = read_bits(slash + 1, BITS6);
        if (term->bits6 < 0)
            return 0;
        slash[-1] = '\0';
        slash = strrchr(text, '/');
    }
    if (slash == NULL || slash[1 + strspn(slash + 1, "0123456789")] != '\0')
        return 1; /* a slash within a name */
    term->bits4 = read_bits(slash + 1, BITS4);
    *slash = '\0';
    return term->bits4 >= 0;
}

/* "192.0.2.0/24". */
static int read_network(char *text, bool is_v6, struct spf_term *term)
{
    char *slash = strchr(text, '/');
    int *bits = is_v6 ? &term->bits6 : &term->bits4;
    if (slash != NULL) {
        *bits = read_bits(slash + 1, is_v6 ? BITS6 : BITS4);
        *slash = '\0';
    }
    term->network.is_v6 = is_v6;
    return *bits >= 0 && inet_pton(is_v6 ? AF_INET6 : AF_INET, text, term->network.bytes) == 1;
}

/* ---- terms -------------------------------------------------------------------------------- */

enum spf_argument { NO_ARGUMENT, OPTIONAL_DOMAIN, OPTIONAL_DOMAIN_AND_BITS, ONLY_DOMAIN, NETWORK };

static const struct {
    const char *name;
    enum spf_argument argument;
} mechanisms[] = {
    [SPF_ALL] = {"all", NO_ARGUMENT},
    [SPF_INCLUDE] = {"include", ONLY_DOMAIN},
    [SPF_HOST] = {"a", OPTIONAL_DOMAIN_AND_BITS},
    [SPF_MAIL_HOSTS] = {"mx", OPTIONAL_DOMAIN_AND_BITS},
    [SPF_REVERSE] = {"ptr", OPTIONAL_DOMAIN},
    [SPF_IP4] = {"ip4", NETWORK},
    [SPF_IP6] = {"ip6", NETWORK},
    [SPF_EXISTS] = {"exists", ONLY_DOMAIN},
};

/* What is behind the mechanism's name: "", ":…" or "/…". */
static int read_argument(char *rest, struct spf_term *term)
{
    enum spf_argument argument = mechanisms[term->kind].argument;
    if (argument == OPTIONAL_DOMAIN_AND_BITS && !cut_bits(rest, term))
        return 0;
    if (rest[0] == '\0')
        return argument != ONLY_DOMAIN && argument != NETWORK;
    if (rest[0] != ':' || argument == NO_ARGUMENT)
        return 0;
    if (argument == NETWORK)
        return read_network(rest + 1, term->kind == SPF_IP6, term);
    term->domain = rest + 1;
    return is_domain(term->domain);
}

static int read_mechanism(char *text, struct spf_term *term)
{
    static const char qualifiers[] = "+-~?";
    static const enum spf_result results[] = {SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL};
    const char *qualifier = strchr(qualifiers, text[0]);
    term->result = qualifier != NULL ? results[qualifier - qualifiers] : SPF_PASS;
    text += qualifier != NULL;
    size_t length = strcspn(text, ":/");
    for (size_t kind = 0; kind < countof(mechanisms); kind++)
        if (strlen(mechanisms[kind].name) == length &&
            strncasecmp(mechanisms[kind].name, text, length) == 0) {
            term->kind = (enum spf_kind)kind;
            return read_argument(text + length, term);
        }
    return 0;
}

/* Whether it has the form of a modifier: a name and "=". */
static char *modifier_value(char *text)
{
    if (!isalpha((unsigned char)text[0]))
        return NULL;
    while (isalnum((unsigned char)*text) || (*text != '\0' && strchr("-_.", *text) != NULL))
        text++;
    return *text == '=' ? text + 1 : NULL;
}

static int read_modifier(const char *name, const char *value, struct spf_term *term)
{
    term->kind = strncasecmp(name, "redirect=", 9) == 0 ? SPF_REDIRECT
                 : strncasecmp(name, "exp=", 4) == 0    ? SPF_EXPLANATION
                                                        : SPF_UNKNOWN_MODIFIER;
    term->domain = value;
    return term->kind == SPF_UNKNOWN_MODIFIER ? spf_macro_is_right(value) : is_domain(value);
}

int spf_record_read(struct arena *arena, struct mail_view text, struct spf_term **terms_r,
                    size_t *count_r, const char **wrong_r)
{
    struct mail_view rest = mail_view_from(text, strlen(VERSION));
    size_t room = rest.length / 2 + 1;
    struct spf_term *terms = arena_alloc(arena, room * sizeof *terms);
    *terms_r = terms;
    *count_r = 0;
    while (rest.length > 0) {
        const char *end = memchr(rest.text, ' ', rest.length);
        size_t length = end != NULL ? (size_t)(end - rest.text) : rest.length;
        if (length > 0) {
            struct spf_term *term = &terms[(*count_r)++];
            char *copy = arena_strndup(arena, rest.text, length), *value = modifier_value(copy);
            *term = (struct spf_term){.text = arena_strdup(arena, copy), .bits4 = BITS4,
                                      .bits6 = BITS6};
            *wrong_r = term->text;
            if (*count_r > TERMS_MAX || strlen(copy) != length ||
                !(value != NULL ? read_modifier(copy, value, term) : read_mechanism(copy, term)))
                return 0;
        }
        rest = mail_view_from(rest, end != NULL ? length + 1 : length);
    }
    return 1;
}
