/* Entries of a form, which the webmail reads a second time when it has passed. Roundcube cuts
 * lists by patterns, not by a grammar; the faults below are those that can make it see other
 * recipients. tests/roundcube/ compares both readers. */
#include "message/address.h"

#include <glib.h>
#include <string.h>

static const char backslash[] =
    "a form must not have a backslash in quotation marks; leave it out";

/* The quoted local part of an address, between its marks. */
static const char *local_part_fault(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x80)
            return "before its @ letters that are not ASCII must not be in quotation marks";
        if (strchr(";<>\t", byte) != NULL)
            return "a form must not have a semicolon, < or > in quotation marks before the @";
        if (byte == ' ' && (i == 0 || i + 1 == length || text[i + 1] == ' '))
            return "a form must not have a space at an edge of quotation marks before the @, "
                   "or two of them together";
    }
    return NULL;
}

/* Roundcube takes what stands behind the first @ for a domain that it has to encode. */
static bool is_encoded_with(const char *local, size_t length, const char *behind, size_t left)
{
    if (memchr(local, '@', length) == NULL)
        return false;
    for (size_t i = 0; i < left && behind[i] != '>'; i++)
        if ((unsigned char)behind[i] >= 0x80)
            return true;
    return false;
}

/* From the opening mark; *end_r is behind the closing one. */
static const char *quoted_fault(struct address_entry entry, size_t open, size_t *end_r)
{
    const char *text = entry.text + open + 1, *limit = entry.text + entry.length;
    const char *close = memchr(text, '"', (size_t)(limit - text));
    if (close == NULL)
        return "a quotation mark in it is not closed";
    size_t length = (size_t)(close - text);
    *end_r = open + length + 2;
    if (memchr(text, '\\', length) != NULL)
        return backslash;
    if (close + 1 == limit || close[1] != '@')
        return NULL;
    if (is_encoded_with(text, length, close + 1, (size_t)(limit - close - 1)))
        return "an @ in quotation marks needs a domain in ASCII behind it (xn--…)";
    return local_part_fault(text, length);
}

/* Whether nothing stands there that a comment would be read together with. */
static bool is_apart(struct address_entry entry, size_t at)
{
    return at >= entry.length || strchr(" \t()<>", entry.text[at]) != NULL;
}

static const char *comment_fault(struct address_entry entry, size_t open, size_t *end_r)
{
    size_t depth = 0, at = open;
    do {
        char character = entry.text[at];
        if (strchr("\"\\<>,;:", character) != NULL)
            return "a form must not have quotation marks, backslashes or separators in a comment";
        depth += character == '(';
        depth -= character == ')';
        at++;
    } while (depth > 0 && at < entry.length);
    *end_r = at;
    return (open == 0 || is_apart(entry, open - 1)) && is_apart(entry, at)
               ? NULL
               : "a comment in a form needs a space before it and behind it";
}

/* Roundcube cuts off what is no letter and no digit behind a bare address: what is lost there must
 * not belong to the domain. */
static const char *last_fault(struct address_entry entry)
{
    const char *end = entry.text + entry.length, *last;
    gunichar character = '.';
    do {
        if ((last = g_utf8_find_prev_char(entry.text, end)) == NULL)
            return NULL;
        character = g_utf8_get_char(last);
        end = last;
    } while (character == '.' || character == 0x3002 || character == 0xFF0E || character == 0xFF61);
    return character < 0x80 || g_unichar_isalnum(character)
               ? NULL
               : "its last character is no letter of its own; put the address in < >";
}

/* Of a name and its address Roundcube takes the first < with no blank before it for the address's. */
static bool hides_angle(struct address_entry entry, size_t open)
{
    bool blank = open == 0 || entry.text[open - 1] == ' ' || entry.text[open - 1] == '\t';
    return !blank && memchr(entry.text, '<', open) != NULL;
}

const char *address_form_fault(struct address_entry entry)
{
    const char *fault = NULL;
    for (size_t at = 0; at < entry.length && fault == NULL;) {
        if (entry.text[at] == '"')
            fault = quoted_fault(entry, at, &at);
        else if (entry.text[at] == '(')
            fault = comment_fault(entry, at, &at);
        else if (entry.text[at] == '<' && hides_angle(entry, at))
            fault = "a name with < in quotation marks needs a space behind it";
        else
            at++;
    }
    return fault != NULL || entry.length == 0 ? fault : last_fault(entry);
}
