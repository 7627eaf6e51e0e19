#include "json_strict.h"

#include <glib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "text.h"

enum { ESCAPED_BYTES = 6 /* \uXXXX */, FIRST_OUTSIDE_BMP = 0x10000 };

/* The bytes at `at`, one or a whole character outside ASCII, as json-c gets them. A byte that is no
 * UTF-8 becomes 0xFF: every version of json-c refuses that one. Returns how many bytes of `at`. */
static size_t add_next(struct text *text, const char *at, size_t length)
{
    if ((unsigned char)*at < 0x80) {
        text_add_char(text, *at);
        return 1;
    }
    gunichar code = g_utf8_get_char_validated(at, (gssize)length);
    if (code >= (gunichar)-2) {
        text_add_char(text, '\xFF');
        return 1;
    }
    if (code < FIRST_OUTSIDE_BMP)
        text_addf(text, "\\u%04x", code);
    else
        text_addf(text, "\\u%04x\\u%04x", 0xD800 + ((code - FIRST_OUTSIDE_BMP) >> 10),
                  0xDC00 + ((code - FIRST_OUTSIDE_BMP) & 0x3FF));
    return (size_t)(g_utf8_next_char(at) - at);
}

static bool is_ascii(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)bytes[i] >= 0x80)
            return false;
    return true;
}

/* Where in `bytes` the character begins of which json-c has seen a part at `escaped_end`. */
static size_t end_in(const char *bytes, size_t length, size_t escaped_end)
{
    struct text text = {0};
    size_t end = 0, next = 0;
    while (next < length && text.length <= escaped_end) {
        end = next;
        next += add_next(&text, bytes + next, length - next);
    }
    if (text.length <= escaped_end)
        end = length;
    text_free(&text);
    return end;
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
    bool plain = is_ascii(bytes, length);
    for (size_t next = 0; !plain && next < length;)
        next += add_next(&escaped, bytes + next, length - next);
    struct json_object *tree =
        json_tokener_parse_ex(tokener, plain ? bytes : text_string(&escaped),
                              (int)(plain ? length : escaped.length));
    *error_r = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    *end_r = plain ? end : end_in(bytes, length, end);
    text_free(&escaped);
    json_tokener_free(tokener);
    return tree;
}
