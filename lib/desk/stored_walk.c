#include "desk/stored_walk.h"

/* The page's items that name the mailbox, in the walk's arena. Returns how many. */
static size_t pick(const struct stored_walk *walk, const struct transfer_item *items, size_t count,
                   const struct transfer_item **picked_r)
{
    size_t picked = 0;
    for (size_t i = 0; i < count; i++)
        if (stored_match_item(walk->match, walk->context.arena, &items[i]))
            picked_r[picked++] = &items[i];
    return picked;
}

/* All items of a kind. */
static int walk_kind(struct stored_walk *walk, enum transfer_kind kind, stored_page *hear,
                     void *closure)
{
    freed_by(arena_free) struct arena *lasting = arena_new();
    struct transfer_cursor cursor = {.arena = lasting};
    struct arena *arena = walk->context.arena;
    while (!cursor.end) {
        size_t count;
        arena_reset(arena);
        struct transfer_item *items = arena_alloc(arena, TRANSFER_PAGE * sizeof *items);
        const struct transfer_item **picked = arena_alloc(arena, TRANSFER_PAGE * sizeof *picked);
        if (whole_read(walk->whole, arena, kind, walk->context.now_ms, &cursor, items, &count) < 0)
            return store_fail(walk->context.desk->store, whole_error(walk->whole));
        count = pick(walk, items, count, picked);
        int answer = count > 0 ? hear(closure, walk, picked, count) : 1;
        if (answer < 1)
            return answer;
    }
    return 1;
}

int stored_walk(const struct context *context, const struct stored_match *match,
                struct whole_store *whole, stored_page *hear, void *closure)
{
    freed_by(arena_free) struct arena *of_page = arena_new();
    struct stored_walk walk = {*context, match, whole};
    walk.context.arena = of_page;
    int answer = 1;
    for (int kind = 0; kind < TRANSFER_KIND_COUNT && answer > 0; kind++)
        answer = walk_kind(&walk, (enum transfer_kind)kind, hear, closure);
    return answer;
}
