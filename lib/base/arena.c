#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define PIECES_APART 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PIECES_APART 1
#endif
#endif
#ifndef PIECES_APART
#define PIECES_APART 0
#endif

enum { BLOCK_BYTES = 16 * 1024 };

struct block {
    struct block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /* the newest first */
};

static struct block *block_new(size_t size)
{
    struct block *block = xmalloc(sizeof *block + size);
    *block = (struct block){.size = size};
    return block;
}

struct arena *arena_new(void) { return xcalloc(1, sizeof(struct arena)); }

void arena_reset(struct arena *arena)
{
    struct block *keep = NULL;
    for (struct block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (keep == NULL && block->size == BLOCK_BYTES && !PIECES_APART)
            keep = block;
        else
            free(block);
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    arena->blocks = keep;
}

void arena_free(struct arena **arena)
{
    if (*arena == NULL)
        return;
    arena_reset(*arena);
    free((*arena)->blocks);
    free(*arena);
    *arena = NULL;
}

static void *take_piece(struct arena *arena, size_t size)
{
    size_t step = alignof(max_align_t);
    size_t rounded = PIECES_APART ? size : (size + step - 1) / step * step;
    struct block *block = arena->blocks;
    if (PIECES_APART || block == NULL || block->size - block->used < rounded) {
        block = block_new(PIECES_APART || rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES);
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += rounded;
    return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(take_piece(arena, size), 0, size);
}

char *arena_strndup(struct arena *arena, const char *bytes, size_t length)
{
    char *copy = take_piece(arena, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *string)
{
    return arena_strndup(arena, string, strlen(string));
}

/* Formatted into what is left of the block, and a second time when that was too little. */
char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    struct block *block = arena->blocks;
    size_t left = block != NULL ? block->size - block->used : 0;
    char *rest = left > 0 ? (char *)block->bytes + block->used : NULL;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(rest, left, format, arguments);
    va_end(arguments);
    char *string = take_piece(arena, (size_t)(length > 0 ? length : 0) + 1);
    if (length <= 0)
        string[0] = '\0';
    else if (string != rest)
        vsnprintf(string, (size_t)length + 1, format, again);
    va_end(again);
    return string;
}
