#include "guard/failure_hint.h"

#include "mail/reply.h"

static bool is_most(uint32_t part, uint32_t all) { return 2 * (uint64_t)part > all; }
static bool is_nearly_all(uint32_t part, uint32_t all)
{
    return 5 * (uint64_t)part >= 4 * (uint64_t)all;
}

enum failure_hint failure_hint(const struct failure_numbers *numbers)
{
    const uint32_t *of = numbers->by_class;
    uint32_t bad = 0;
    for (size_t i = 0; i < REPLY_CLASS_COUNT; i++)
        bad += of[i];
    uint32_t refused = of[REPLY_CONTENT_REFUSED] + of[REPLY_RATE];
    uint32_t gone = of[REPLY_ADDRESS_UNKNOWN] + of[REPLY_DOMAIN_UNROUTABLE] +
                    of[REPLY_MAILBOX_OFF];
    if (is_most(refused, bad))
        return FAILURE_HINT_PASSWORD;
    if (!is_most(gone, bad))
        return FAILURE_HINT_NONE;
    if (is_nearly_all(numbers->messages, bad) && numbers->mailbox_count > 0 &&
        is_nearly_all(numbers->by_mailbox[0].count, bad))
        return FAILURE_HINT_FORM;
    return is_most(numbers->messages, bad) ? FAILURE_HINT_NONE : FAILURE_HINT_LIST;
}
