#include "web/logins_pages.h"

#include "base/json.h"

static void add_text(struct exchange *exchange, struct json_object *known)
{
    struct arena *arena = exchange->request->arena;
    struct json_object *protocols = json_member(known, "protocols");
    const char *text = "";
    for (size_t i = 0; i < json_object_array_length(protocols); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(protocols, i));
        const char *name = catalogue_text(exchange->catalogue, arena, exchange->reader.language,
                                          arena_printf(arena, "protocol.%s", word), NULL);
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", name != NULL ? name : word);
    }
    json_add_string(known, "protocols_text", text);
}

void logins_pages_add_protocols(struct exchange *exchange, struct json_object *known)
{
    for (size_t i = 0; i < json_object_array_length(known); i++)
        add_text(exchange, json_object_array_get_idx(known, i));
}
