#include "mail/kept_reply.h"

#include <sodium.h>
#include <string.h>

#include "base/packed.h"

enum { FORMAT = 1, ID_BYTES = 6 };

static void add_string(struct text *out, const char *string)
{
    packed_add_bytes(out, string, strlen(string));
}

void kept_reply_add(struct text *out, const struct kept_reply *reply)
{
    text_add_char(out, FORMAT);
    text_add_char(out, (char)reply->class);
    add_string(out, reply->code);
    add_string(out, reply->site);
    add_string(out, reply->words);
}

static const char *read_string(struct arena *arena, struct packed_rest *rest)
{
    size_t length = packed_number(rest);
    const uint8_t *bytes = packed_bytes(rest, length);
    return bytes != NULL ? arena_strndup(arena, (const char *)bytes, length) : "";
}

int kept_reply_read(struct arena *arena, const void *bytes, size_t length,
                    struct kept_reply *reply_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    if (packed_fixed(&rest, 1) != FORMAT)
        return 0;
    uint64_t class = packed_fixed(&rest, 1);
    *reply_r = (struct kept_reply){.class = (enum reply_class)class,
                                   .code = read_string(arena, &rest),
                                   .site = read_string(arena, &rest),
                                   .words = read_string(arena, &rest)};
    return rest.next != NULL && class < REPLY_CLASS_COUNT;
}

uint64_t kept_reply_id(const void *bytes, size_t length)
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    const uint8_t *next = hash;
    crypto_generichash(hash, sizeof hash, bytes, length, NULL, 0);
    uint64_t id = packed_get(&next, ID_BYTES);
    return id != 0 ? id : 1;
}
