#include "guard/reference.h"

#include <sodium.h>
#include <string.h>

#include "base/packed.h"
#include "base/seal.h"
#include "message/submission.h"

enum { TIME_BYTES = 6, QUEUE_ID_MAX_BYTES = 64 };

static const char purpose[] = "sendguard reference 1";

const char *reference_make(const struct token_key *key, struct arena *arena,
                           const struct reference *reference)
{
    unsigned char derived[SEAL_KEY_BYTES];
    uint8_t plain[TIME_BYTES + 1 + QUEUE_ID_MAX_BYTES + ADDRESS_MAX_BYTES];
    size_t queue_id_length = strnlen(reference->queue_id, QUEUE_ID_MAX_BYTES);
    size_t mailbox_length = strnlen(reference->mailbox, ADDRESS_MAX_BYTES);
    uint8_t *end = packed_put(plain, (uint64_t)reference->at_ms, TIME_BYTES);
    *end++ = (uint8_t)queue_id_length;
    memcpy(end, reference->queue_id, queue_id_length);
    memcpy(end + queue_id_length, reference->mailbox, mailbox_length);
    end += queue_id_length + mailbox_length;

    token_key_derive(key, purpose, derived);
    const struct seal_purpose references = {.key = derived, .name = purpose};
    const char *text = seal_make(&references, arena, plain, (size_t)(end - plain));
    sodium_memzero(derived, sizeof derived);
    return text;
}

int reference_read(const struct token_key *key, struct arena *arena, const char *text,
                   struct reference *reference_r)
{
    unsigned char derived[SEAL_KEY_BYTES], plain[SEAL_MAX_BYTES];
    size_t length;
    token_key_derive(key, purpose, derived);
    const struct seal_purpose references = {.key = derived, .name = purpose};
    int opened = seal_open(&references, text, plain, &length);
    sodium_memzero(derived, sizeof derived);
    if (!opened || length < TIME_BYTES + 1)
        return 0;
    const uint8_t *next = plain;
    int64_t at_ms = (int64_t)packed_get(&next, TIME_BYTES);
    size_t queue_id_length = *next++, rest = length - TIME_BYTES - 1;
    if (queue_id_length > rest)
        return 0;
    *reference_r = (struct reference){
        .at_ms = at_ms,
        .queue_id = arena_strndup(arena, (const char *)next, queue_id_length),
        .mailbox = arena_strndup(arena, (const char *)next + queue_id_length,
                                 rest - queue_id_length),
    };
    return 1;
}
