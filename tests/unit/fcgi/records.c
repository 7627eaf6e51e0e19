#include "tests/unit/fcgi/records.h"

#include <fastcgi.h>
#include <string.h>

void records_add(struct text *bytes, int type, int id, const char *content, size_t length,
                 int padding)
{
    const char head[FCGI_HEADER_LEN] = {FCGI_VERSION_1, (char)type, (char)(id >> 8), (char)id,
                                        (char)(length >> 8), (char)length, (char)padding, 0};
    text_add_bytes(bytes, head, sizeof head);
    text_add_bytes(bytes, content, length);
    for (int i = 0; i < padding; i++)
        text_add_char(bytes, '\xFF');
}

void records_add_params(struct text *bytes, int id, const char *const *params)
{
    freed_by(text_free) struct text pairs = {0};
    for (; *params != NULL; params++) {
        size_t name = strcspn(*params, "="), value = strlen(*params + name + 1);
        text_add_char(&pairs, (char)name); /* short ones alone: below 128 bytes */
        text_add_char(&pairs, (char)value);
        text_add_bytes(&pairs, *params, name);
        text_add(&pairs, *params + name + 1);
    }
    records_add(bytes, FCGI_PARAMS, id, pairs.data, pairs.length, (int)(-pairs.length % 8));
    records_add(bytes, FCGI_PARAMS, id, "", 0, 0);
}

void records_add_body(struct text *bytes, int id, const char *body, size_t length)
{
    for (size_t at = 0; at < length; at += 30000)
        records_add(bytes, FCGI_STDIN, id, body + at, length - at < 30000 ? length - at : 30000,
                    (int)(at % 8));
    records_add(bytes, FCGI_STDIN, id, "", 0, 0);
}
