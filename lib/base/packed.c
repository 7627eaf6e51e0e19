#include "base/packed.h"

#include <string.h>

void packed_add_fixed(struct text *out, uint64_t number, int count)
{
    uint8_t bytes[sizeof number];
    packed_put(bytes, number, count);
    text_add_bytes(out, (const char *)bytes, (size_t)count);
}

void packed_add_number(struct text *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        text_add_char(out, (char)(number | 0x80));
    text_add_char(out, (char)number);
}

void packed_add_bytes(struct text *out, const void *bytes, size_t length)
{
    packed_add_number(out, length);
    text_add_bytes(out, bytes, length);
}

void packed_add_string(struct text *out, const char *string)
{
    packed_add_bytes(out, string, strlen(string));
}

/* Adds the number behind them, where it makes room for itself, and moves both. */
void packed_put_length(struct text *out, size_t first)
{
    char number[10];
    size_t length = out->length - first;
    packed_add_number(out, length);
    size_t number_length = out->length - first - length;
    memcpy(number, out->data + first + length, number_length);
    memmove(out->data + first + number_length, out->data + first, length);
    memcpy(out->data + first, number, number_length);
}

uint64_t packed_number(struct packed_rest *rest)
{
    uint64_t number = 0;
    for (int shift = 0; rest->next != NULL; shift += 7) {
        if (rest->next == rest->end || shift > 56) {
            rest->next = NULL;
            break;
        }
        uint8_t byte = *rest->next++;
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return number;
    }
    return 0;
}

const uint8_t *packed_bytes(struct packed_rest *rest, size_t length)
{
    const uint8_t *bytes = rest->next;
    if (bytes == NULL || (size_t)(rest->end - bytes) < length) {
        rest->next = NULL;
        return NULL;
    }
    rest->next += length;
    return bytes;
}

char *packed_string(struct packed_rest *rest, struct arena *arena)
{
    size_t length = packed_number(rest);
    const uint8_t *bytes = packed_bytes(rest, length);
    return bytes != NULL ? arena_strndup(arena, (const char *)bytes, length) : NULL;
}

uint64_t packed_fixed(struct packed_rest *rest, int count)
{
    const uint8_t *bytes = packed_bytes(rest, (size_t)count);
    return bytes != NULL ? packed_get(&bytes, count) : 0;
}
