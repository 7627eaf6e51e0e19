#include "mail/kept_open.h"

#include "base/packed.h"

enum { FORMAT = 1, ID_BYTES = 8, TIME_BYTES = 6, HASH_BYTES = 4 };
enum { FLAG_REFUSED = 1, FLAG_SILENT = 2, FLAG_MAILBOX = 4, FLAG_ID = 8, FLAG_REDEEMED = 16 };

void kept_open_add(struct text *out, const struct kept_open *open)
{
    uint8_t bytes[1 + 1 + ID_BYTES + TIME_BYTES + HASH_BYTES], *end = bytes;
    *end++ = FORMAT;
    *end++ = (uint8_t)((open->refused ? FLAG_REFUSED : 0) | (open->silent ? FLAG_SILENT : 0) |
                       (open->mailbox != NULL ? FLAG_MAILBOX : 0) |
                       (open->id != NULL ? FLAG_ID : 0) |
                       (open->redeemed != 0 ? FLAG_REDEEMED : 0));
    end = packed_put(end, open->decision, ID_BYTES);
    end = packed_put(end, (uint64_t)open->seen_ms, TIME_BYTES);
    end = packed_put(end, open->message_id, HASH_BYTES);
    text_add_bytes(out, (const char *)bytes, (size_t)(end - bytes));
    packed_add_number(out, open->part);
    if (open->mailbox != NULL)
        packed_add_string(out, open->mailbox);
    if (open->id != NULL)
        packed_add_string(out, open->id);
    if (open->redeemed != 0) {
        packed_put(bytes, open->redeemed, HASH_BYTES);
        text_add_bytes(out, (const char *)bytes, HASH_BYTES);
    }
}

int kept_open_read(struct arena *arena, const void *bytes, size_t length,
                   struct kept_open *open_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    if (packed_fixed(&rest, 1) != FORMAT)
        return 0;
    uint64_t flags = packed_fixed(&rest, 1);
    *open_r = (struct kept_open){.refused = (flags & FLAG_REFUSED) != 0,
                                 .silent = (flags & FLAG_SILENT) != 0};
    open_r->decision = packed_fixed(&rest, ID_BYTES);
    open_r->seen_ms = (int64_t)packed_fixed(&rest, TIME_BYTES);
    open_r->message_id = (uint32_t)packed_fixed(&rest, HASH_BYTES);
    open_r->part = (uint32_t)packed_number(&rest);
    open_r->mailbox = (flags & FLAG_MAILBOX) != 0 ? packed_string(&rest, arena) : NULL;
    open_r->id = (flags & FLAG_ID) != 0 ? packed_string(&rest, arena) : NULL;
    if ((flags & FLAG_REDEEMED) != 0)
        open_r->redeemed = (uint32_t)packed_fixed(&rest, HASH_BYTES);
    return rest.next != NULL;
}
