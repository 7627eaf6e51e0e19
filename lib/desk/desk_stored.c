/* What is stored about a mailbox, told item by item. */
#include "desk/input.h"
#include "desk/stored_entry.h"
#include "desk/stored_walk.h"

/* Who hears of entries. */
struct teller {
    stored_hear *hear;
    void *context;
};

static int tell(void *closure, const struct stored_walk *walk,
                const struct transfer_item *const *items, size_t count)
{
    const struct teller *teller = closure;
    bool goes_on = true;
    for (size_t i = 0; i < count && goes_on; i++) {
        freed_by(json_put) struct json_object *entry =
            stored_entry(&walk->context, walk->match, items[i]);
        goes_on = teller->hear(teller->context, stored_kind_of(items[i]), entry);
    }
    return goes_on;
}

int desk_stored(const struct desk *desk, const struct stored_source *source, const char *text,
                int64_t now_ms, stored_hear *hear, void *hears, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(whole_free) struct whole_store *whole = NULL;
    struct stored_match match;
    struct teller teller = {hear, hears};
    const char *mailbox;
    if (!input_mailbox(&context, text, "mailbox", &mailbox, problem) ||
        !stored_match_begin(&context, mailbox, &match, problem) ||
        !whole_open(source->url, &source->options, &whole, problem))
        return 0;
    return stored_walk(&context, &match, whole, tell, &teller) < 0 ? -1 : 1;
}
