#include "mail/kept_reply.h"

#include <sodium.h>

#include "base/packed.h"

enum { FORMAT = 1, ID_BYTES = 6 };

void kept_reply_add(struct text *out, const struct kept_reply *reply)
{
    text_add_char(out, FORMAT);
    text_add_char(out, (char)reply->class);
    packed_add_string(out, reply->code);
    packed_add_string(out, reply->site);
    packed_add_string(out, reply->words);
}

int kept_reply_read(struct arena *arena, const void *bytes, size_t length,
                    struct kept_reply *reply_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    if (packed_fixed(&rest, 1) != FORMAT)
        return 0;
    uint64_t class = packed_fixed(&rest, 1);
    *reply_r = (struct kept_reply){.class = (enum reply_class)class};
    reply_r->code = packed_string(&rest, arena);
    reply_r->site = packed_string(&rest, arena);
    reply_r->words = packed_string(&rest, arena);
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
