#include "base/json_strict.h"

#include <glib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/text.h"

enum { ESCAPED_BYTES = 6 /* \uXXXX */, FIRST_OUTSIDE_BMP = 0x10000 };

static size_t ascii_length(const char *bytes, size_t length)
{
    size_t ascii = 0;
    while (ascii < length && (unsigned char)bytes[ascii] < 0x80)
        ascii++;
    return ascii;
}

static void add_escape(struct text *text, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[ESCAPED_BYTES] = {'\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15],
                                        digits[unit >> 4 & 15], digits[unit & 15]};
    text_add_bytes(text, escape, sizeof escape);
}

/* Whether the next character is escaped: json-c would read the backslash before it and the one of
 * \uXXXX as an escaped backslash. */
static bool ends_in_escape(const struct text *text)
{
    size_t backslashes = 0;
    while (backslashes < text->length && text->data[text->length - 1 - backslashes] == '\\')
        backslashes++;
    return backslashes % 2 == 1;
}

/* The bytes at `at` as json-c gets them: all that are ASCII up to the next other one, or one
 * character outside ASCII. A byte that is no UTF-8, or that a backslash stands before, becomes 0xFF:
 * every version of json-c refuses that one. Returns how many bytes of `at`. */
static size_t add_next(struct text *text, const char *at, size_t length)
{
    size_t ascii = ascii_length(at, length);
    if (ascii > 0) {
        text_add_bytes(text, at, ascii);
        return ascii;
    }
    gunichar code = g_utf8_get_char_validated(at, (gssize)length);
    if (code >= (gunichar)-2 || ends_in_escape(text)) {
        text_add_char(text, '\xFF');
        return 1;
    }
    if (code < FIRST_OUTSIDE_BMP) {
        add_escape(text, code);
    } else {
        add_escape(text, 0xD800 + ((code - FIRST_OUTSIDE_BMP) >> 10));
        add_escape(text, 0xDC00 + ((code - FIRST_OUTSIDE_BMP) & 0x3FF));
    }
    return (size_t)g_unichar_to_utf8(code, NULL);
}

/* Where in `bytes` that is which json-c has at `escaped_end`: a byte, or the beginning of the
 * character of which it has seen a part. */
static size_t end_in(const char *bytes, size_t length, size_t escaped_end)
{
    struct text text = {0};
    size_t next = 0;
    while (next < length) {
        size_t before = text.length, bytes_here = add_next(&text, bytes + next, length - next);
        if (text.length > escaped_end) {
            next += text.length - before == bytes_here ? escaped_end - before : 0;
            break;
        }
        next += bytes_here;
    }
    text_free(&text);
    return next;
}

struct json_object *json_strict_parse(const char *bytes, size_t length, int max_depth,
                                      enum json_tokener_error *error_r, size_t *end_r)
{
    *error_r = json_tokener_error_size;
    *end_r = 0;
    if (length > INT_MAX / ESCAPED_BYTES)
        return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(max_depth);
    if (tokener == NULL)
        abort();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct text escaped = {0};
    bool plain = ascii_length(bytes, length) == length;
    for (size_t next = 0; !plain && next < length;)
        next += add_next(&escaped, bytes + next, length - next);
    struct json_object *tree =
        json_tokener_parse_ex(tokener, plain ? bytes : text_string(&escaped),
                              (int)(plain ? length : escaped.length));
    *error_r = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    *end_r = plain                   ? end
             : end == escaped.length ? length
                                     : end_in(bytes, length, end);
    text_free(&escaped);
    json_tokener_free(tokener);
    return tree;
}
