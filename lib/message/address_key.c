/* The key form of one address: what makes two spellings the same recipient.
 * Plain ASCII is done in one pass without allocating; the rest goes through
 * libidn2 and GLib's Unicode tables. */
#include "message/address.h"

#include <arpa/inet.h>
#include <glib.h>
#include <idn2.h>
#include <string.h>
#include <strings.h>

const char address_too_long[] = "it is longer than 254 bytes";
static const char not_allowed[] =
    "it holds a character that must be in quotation marks or is not allowed";

/* atext of RFC 5322 section 3.2.3. */
static bool is_atext(char character)
{
    static const bool atext[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,
        ['#'] = true,         ['$'] = true,         ['%'] = true,         ['&'] = true,
        ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['/'] = true,         ['='] = true,         ['?'] = true,         ['^'] = true,
        ['_'] = true,         ['`'] = true,         ['{'] = true,         ['|'] = true,
        ['}'] = true,         ['~'] = true,
    };
    return atext[(unsigned char)character];
}

static bool is_ascii(char character) { return (unsigned char)character < 0x80; }

static char ascii_lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character + ('a' - 'A')) : character;
}

static bool all_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_ascii(text[i]))
            return false;
    return true;
}

/* Letters, digits and hyphens between dots, lower-cased; RFC 5321 section 4.1.2. */
static const char *ascii_domain(const char *text, size_t length, char *domain_r)
{
    size_t label = 0;
    for (size_t i = 0; i <= length; i++) {
        char character = i < length ? ascii_lower(text[i]) : '.';
        if (character == '.') {
            if (i == label)
                return "its domain has an empty part between dots";
            if (i - label > 63)
                return "a part of its domain is longer than 63 characters";
            if (text[label] == '-' || text[i - 1] == '-')
                return "a part of its domain begins or ends with a hyphen";
            label = i + 1;
        } else if (!((character >= 'a' && character <= 'z') ||
                     (character >= '0' && character <= '9') || character == '-')) {
            return "its domain holds a character that domains cannot have";
        }
        domain_r[i] = character;
    }
    domain_r[length] = '\0';
    return NULL;
}

/* The length without the dot that ends an absolute name. */
static size_t without_root(const char *text, size_t length)
{
    return length > 1 && text[length - 1] == '.' ? length - 1 : length;
}

/* Non-ASCII labels become A-labels. */
static const char *international_domain(const char *text, size_t length, char *domain_r,
                                        size_t *length_r)
{
    char copy[ADDRESS_MAX_WRITTEN_BYTES + 1], *ascii = NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    int result = idn2_to_ascii_8z(copy, &ascii, IDN2_NONTRANSITIONAL);
    if (result != IDN2_OK)
        return "its domain is no valid internationalised domain";
    size_t ascii_length = without_root(ascii, strlen(ascii));
    const char *fault = "its domain is longer than 253 characters";
    if (ascii_length <= ADDRESS_MAX_DOMAIN_BYTES)
        fault = ascii_domain(ascii, ascii_length, domain_r);
    *length_r = ascii_length;
    idn2_free(ascii);
    return fault;
}

/* [192.0.2.1] or [IPv6:2001:db8::1]; RFC 5321 section 4.1.3. */
static const char *literal_domain(const char *text, size_t length, char *domain_r, size_t *length_r)
{
    static const char fault[] = "its address in square brackets is neither IPv4 nor IPv6";
    static const char six[] = "[ipv6:";
    char inside[INET6_ADDRSTRLEN] = "", canonical[INET6_ADDRSTRLEN];
    bool is_six = length > 6 && strncasecmp(text, six, 6) == 0;
    size_t skip = is_six ? 6 : 1;
    if (length < skip + 2 || text[length - 1] != ']' || length - skip - 1 >= sizeof inside ||
        memchr(text, '\0', length) != NULL)
        return fault;
    memcpy(inside, text + skip, length - skip - 1);
    struct in6_addr binary;
    int family = is_six ? AF_INET6 : AF_INET;
    if (inet_pton(family, inside, &binary) != 1 ||
        inet_ntop(family, &binary, canonical, sizeof canonical) == NULL)
        return fault;
    memcpy(domain_r, six, skip);
    size_t canonical_length = strlen(canonical);
    memcpy(domain_r + skip, canonical, canonical_length);
    memcpy(domain_r + skip + canonical_length, "]", 2);
    *length_r = skip + canonical_length + 1;
    return NULL;
}

const char *address_domain(const char *address)
{
    const char *at = strrchr(address, '@');
    return at != NULL ? at + 1 : address;
}

const char *address_domain_normalise(const char *text, size_t length, char *domain_r,
                                     size_t *length_r)
{
    if (length == 0)
        return "it has no domain behind the @";
    if (length > ADDRESS_MAX_WRITTEN_BYTES)
        return "its domain is too long";
    if (text[0] == '[')
        return literal_domain(text, length, domain_r, length_r);
    /* What is all ASCII is in the DNS as it is, whatever IDNA says of it ("ab--cd", "xn--0"). */
    if (!all_ascii(text, length)) {
        const char *fault = address_text_fault(text, length);
        return fault != NULL ? fault : international_domain(text, length, domain_r, length_r);
    }
    length = without_root(text, length);
    if (length > ADDRESS_MAX_DOMAIN_BYTES)
        return "its domain is longer than 253 characters";
    *length_r = length;
    return ascii_domain(text, length, domain_r);
}

/* Whether the content of a local part needs no quotation marks. */
static bool is_dot_atom(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool dot = text[i] == '.';
        if (dot && (i == 0 || i + 1 == length || text[i - 1] == '.'))
            return false;
        if (!dot && is_ascii(text[i]) && !is_atext(text[i]))
            return false;
    }
    return length > 0;
}

static const char *atom_fault(const char *text, size_t length)
{
    if (length == 0)
        return "nothing stands before its @";
    if (is_dot_atom(text, length))
        return NULL;
    for (size_t i = 0; i < length; i++)
        if (text[i] != '.' && is_ascii(text[i]) && !is_atext(text[i]))
            return text[i] == ' '    ? "it holds a space"
                   : text[i] == '\t' ? "it holds a tab"
                                     : not_allowed;
    return "it has a dot at the start, at the end or twice in a row before the @";
}

/* Takes the quotation marks and backslashes off: "a\"b" is a"b. The caller
 * found both marks. */
static const char *unquote(const char *text, size_t length, char *content_r, size_t *length_r)
{
    size_t used = 0;
    for (size_t i = 1; i + 1 < length; i++) {
        if (text[i] == '\\')
            i++;
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return "it holds a control character";
        content_r[used++] = text[i];
    }
    *length_r = used;
    return used > 0 ? NULL : "nothing stands before its @";
}

/* Lower case and one form for each character (NFC, RFC 6532 section 3.1);
 * invisible characters are refused, since no reader could tell such addresses apart. */
static const char *fold_unicode(char *content, size_t *length)
{
    for (char *at = content; at < content + *length; at = g_utf8_next_char(at))
        if (!is_ascii(*at) && !g_unichar_isgraph(g_utf8_get_char(at)))
            return "it holds an invisible character";
    g_autofree char *lower = g_utf8_strdown(content, (gssize)*length);
    g_autofree char *composed = g_utf8_normalize(lower, -1, G_NORMALIZE_DEFAULT_COMPOSE);
    size_t folded = composed != NULL ? strlen(composed) : 0;
    if (folded == 0 || folded > ADDRESS_MAX_WRITTEN_BYTES)
        return address_too_long;
    memcpy(content, composed, folded);
    *length = folded;
    return NULL;
}

/* Writes the content of a local part, quoted where it has to be. */
static const char *write_local(const char *content, size_t length, struct address *address)
{
    bool quoted = !is_dot_atom(content, length);
    size_t needed = length + 2 * quoted;
    for (size_t i = 0; i < length; i++)
        needed += content[i] == '"' || content[i] == '\\';
    if (needed > ADDRESS_MAX_BYTES)
        return address_too_long;
    char *out = address->text;
    if (quoted)
        *out++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (content[i] == '"' || content[i] == '\\')
            *out++ = '\\';
        *out++ = ascii_lower(content[i]);
    }
    if (quoted)
        *out++ = '"';
    address->length = (size_t)(out - address->text);
    return NULL;
}

/* content: of at least ADDRESS_MAX_WRITTEN_BYTES; it is changed. */
static const char *fold_local(char *content, size_t length, struct address *address)
{
    const char *fault = NULL;
    if (!all_ascii(content, length)) {
        fault = address_text_fault(content, length);
        if (fault == NULL)
            fault = fold_unicode(content, &length);
    }
    return fault != NULL ? fault : write_local(content, length, address);
}

static const char *local_normalise(const char *text, size_t length, struct address *address)
{
    char content[ADDRESS_MAX_WRITTEN_BYTES + 1];
    size_t used = length;
    const char *fault = NULL;
    if (length > 0 && text[0] == '"')
        fault = unquote(text, length, content, &used);
    else if ((fault = atom_fault(text, length)) == NULL)
        memcpy(content, text, length);
    return fault != NULL ? fault : fold_local(content, used, address);
}

/* The end of a quoted local part that begins the text, or 0 when it has none. */
static size_t quoted_end(const char *text, size_t length)
{
    for (size_t i = 1; i < length; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '"')
            return i + 1;
    }
    return 0;
}

static const char *find_at(const char *text, size_t length, size_t *at_r)
{
    const char *at = memchr(text, '@', length);
    if (length > 0 && text[0] == '"') {
        size_t end = quoted_end(text, length);
        if (end == 0)
            return "a quotation mark in it is not closed";
        at = end < length && text[end] == '@' ? text + end : NULL;
    }
    if (at == NULL)
        return "it has no @ with a domain behind it";
    *at_r = (size_t)(at - text);
    if (memchr(at + 1, '@', length - *at_r - 1) != NULL)
        return "it has more than one @";
    return NULL;
}

/* FNV-1a: it only tells apart what is written differently and has one key. */
static uint32_t form_of(const char *text, size_t length)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * UINT32_C(16777619);
    return hash;
}

/* Puts the domain behind the local part. */
static const char *add_domain(const char *text, size_t length, struct address *address)
{
    size_t domain_length = 0;
    char domain[ADDRESS_MAX_DOMAIN_BYTES + 1];
    const char *fault = address_domain_normalise(text, length, domain, &domain_length);
    if (fault != NULL)
        return fault;
    if (address->length + 1 + domain_length > ADDRESS_MAX_BYTES)
        return address_too_long;
    address->domain_at = address->length + 1;
    address->text[address->length] = '@';
    memcpy(address->text + address->domain_at, domain, domain_length + 1);
    address->length = address->domain_at + domain_length;
    return NULL;
}

const char *address_normalise(const char *text, size_t length, struct address *address_r)
{
    size_t at = 0;
    if (length > ADDRESS_MAX_WRITTEN_BYTES)
        return address_too_long;
    const char *fault = find_at(text, length, &at);
    if (fault == NULL)
        fault = local_normalise(text, at, address_r);
    if (fault == NULL)
        fault = add_domain(text + at + 1, length - at - 1, address_r);
    address_r->form = form_of(text, length);
    return fault;
}

/* The same where the local part has no quotation marks around it. */
static const char *normalise_unquoted(const char *text, size_t length, struct address *address_r)
{
    char content[ADDRESS_MAX_WRITTEN_BYTES + 1];
    const char *at = memrchr(text, '@', length);
    if (length > ADDRESS_MAX_WRITTEN_BYTES)
        return address_too_long;
    if (at == NULL)
        return "it has no @ with a domain behind it";
    size_t local_length = (size_t)(at - text);
    const char *fault = local_length == 0 ? "nothing stands before its @"
                                          : address_text_fault(text, length);
    memcpy(content, text, local_length);
    if (fault == NULL)
        fault = fold_local(content, local_length, address_r);
    if (fault == NULL)
        fault = add_domain(at + 1, length - local_length - 1, address_r);
    return fault;
}

const char *address_text_fault(const char *text, size_t length)
{
    bool ascii = true;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x80)
            ascii = false;
        else if (byte == '\r' || byte == '\n')
            return "it holds a line break";
        else if ((byte < 0x20 && byte != '\t') || byte == 0x7F)
            return byte == 0 ? "it holds a NUL" : "it holds a control character";
    }
    return ascii || g_utf8_validate(text, (gssize)length, NULL) ? NULL : "it is no valid UTF-8";
}

static int take_key(struct arena *arena, const struct address *address, const char *fault,
                    const char **key_r, struct problem *problem)
{
    if (fault != NULL)
        return problem_set(problem, 400, "", "expected an address such as name@example.org, but %s",
                           fault);
    *key_r = arena_strndup(arena, address->text, address->length);
    return 1;
}

int address_key(struct arena *arena, const char *text, size_t length, const char **key_r,
                struct problem *problem)
{
    struct address address;
    const char *fault = address_normalise(text, length, &address);
    return take_key(arena, &address, fault, key_r, problem);
}

int address_key_unquoted(struct arena *arena, const char *text, size_t length,
                         const char **key_r, struct problem *problem)
{
    struct address address;
    const char *fault = normalise_unquoted(text, length, &address);
    return take_key(arena, &address, fault, key_r, problem);
}

int address_domain_key(struct arena *arena, const char *text, size_t length, const char **key_r,
                       struct problem *problem)
{
    char domain[ADDRESS_MAX_DOMAIN_BYTES + 1];
    size_t domain_length = 0;
    const char *fault = address_domain_normalise(text, length, domain, &domain_length);
    if (length == 0)
        fault = "it is empty";
    if (fault != NULL)
        return problem_set(problem, 400, "", "expected a domain such as example.org, but %s",
                           fault);
    *key_r = arena_strndup(arena, domain, domain_length);
    return 1;
}
