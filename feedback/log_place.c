#include "feedback/log_place.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void log_place_hash(const char *bytes, size_t length, uint8_t hash_r[16])
{
    crypto_generichash(hash_r, 16, (const unsigned char *)bytes, length, NULL, 0);
}

void log_place_write(const struct log_place *place, struct text *text)
{
    char head[33], tail[33];
    sodium_bin2hex(head, sizeof head, place->head, sizeof place->head);
    sodium_bin2hex(tail, sizeof tail, place->tail, sizeof place->tail);
    text_addf(text, "file:%" PRId64 ":%" PRIu64 ":%" PRId64 ":%d:%s:%s", place->offset,
              place->inode, place->mtime_ns, place->inside_line, head, tail);
}

static bool hash_of(const char *hex, uint8_t hash_r[16])
{
    size_t length = 0;
    return strlen(hex) == 32 &&
           sodium_hex2bin(hash_r, 16, hex, 32, NULL, &length, NULL) == 0 && length == 16;
}

bool log_place_read(const char *text, struct log_place *place_r)
{
    struct log_place place = {0};
    int inside = 0, end = 0;
    char head[33], tail[33];
    if (sscanf(text, "file:%" SCNd64 ":%" SCNu64 ":%" SCNd64 ":%1d:%32[0-9a-f]:%32[0-9a-f]%n",
               &place.offset, &place.inode, &place.mtime_ns, &inside, head, tail, &end) != 6 ||
        text[end] != '\0' || place.offset <= 0 || !hash_of(head, place.head) ||
        !hash_of(tail, place.tail))
        return false;
    place.inside_line = inside != 0;
    *place_r = place;
    return true;
}
