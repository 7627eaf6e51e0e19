#include "rules/failure_names.h"

#include <stdlib.h>
#include <string.h>

void failure_names_free(struct failure_names *names) { text_free(&names->bytes); }

uint32_t failure_names_find(const struct failure_names *names, const char *name)
{
    const char *first = names->bytes.data, *found = first;
    size_t size = strlen(name) + 1, length = names->bytes.length;
    for (; length > 0 && (found = memmem(found, length, name, size)) != NULL;
         length = names->bytes.length - (size_t)(++found - first))
        if (found == first || found[-1] == '\0')
            return (uint32_t)(found - first);
    return FAILURE_NOBODY;
}

uint32_t failure_names_put(struct failure_names *names, const char *name, size_t max_bytes)
{
    uint32_t place = failure_names_find(names, name);
    if (place != FAILURE_NOBODY || names->bytes.length + strlen(name) + 1 > max_bytes)
        return place;
    place = (uint32_t)names->bytes.length;
    text_add_bytes(&names->bytes, name, strlen(name) + 1);
    return place;
}

const char *failure_names_at(const struct failure_names *names, uint32_t place)
{
    return place != FAILURE_NOBODY ? names->bytes.data + place : NULL;
}

struct failure_names_kept failure_names_begin(struct failure_names *names)
{
    struct failure_names_kept kept = {.names = names};
    kept.moved = xmalloc((names->bytes.length + 1) * sizeof *kept.moved);
    for (size_t i = 0; i < names->bytes.length; i++)
        kept.moved[i] = FAILURE_NOBODY;
    return kept;
}

void failure_names_keep(struct failure_names_kept *kept, uint32_t *place)
{
    const char *name = failure_names_at(kept->names, *place);
    if (name == NULL)
        return;
    if (kept->moved[*place] == FAILURE_NOBODY) {
        kept->moved[*place] = (uint32_t)kept->fresh.length;
        text_add_bytes(&kept->fresh, name, strlen(name) + 1);
    }
    *place = kept->moved[*place];
}

void failure_names_end(struct failure_names_kept *kept)
{
    text_free(&kept->names->bytes);
    kept->names->bytes = kept->fresh;
    free(kept->moved);
}

void failure_names_add(struct text *out, const struct failure_names *names)
{
    packed_add_bytes(out, text_string(&names->bytes), names->bytes.length);
}

void failure_names_read(struct packed_rest *rest, struct failure_names *names_r)
{
    size_t length = packed_number(rest);
    const uint8_t *bytes = packed_bytes(rest, length);
    if (bytes != NULL && length > 0 && bytes[length - 1] != '\0')
        rest->next = NULL;
    else if (bytes != NULL)
        text_add_bytes(&names_r->bytes, (const char *)bytes, length);
}

void failure_names_add_place(struct text *out, uint32_t place)
{
    packed_add_number(out, place != FAILURE_NOBODY ? (uint64_t)place + 1 : 0);
}

uint32_t failure_names_read_place(struct packed_rest *rest, const struct failure_names *names)
{
    uint64_t number = packed_number(rest);
    if (number == 0)
        return FAILURE_NOBODY;
    if (number > names->bytes.length || (number > 1 && names->bytes.data[number - 2] != '\0')) {
        rest->next = NULL;
        return FAILURE_NOBODY;
    }
    return (uint32_t)number - 1;
}
