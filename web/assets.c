/* Style and script: files that travel inside the program, found by their exact
 * name, so that no path can lead anywhere else. */
#include <sodium.h>
#include <string.h>

#include "text/embedded.h"
#include "web/web.h"

static const char prefix[] = "/assets/";

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
    };
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending != NULL && i < countof(types); i++)
        if (strcmp(ending, types[i].ending) == 0)
            return types[i].type;
    return NULL; /* no asset: a document that another part serves */
}

static const struct embedded *find(const char *name)
{
    for (const struct embedded *file = embedded_assets; file->name != NULL; file++)
        if (strcmp(file->name, name) == 0)
            return file;
    return NULL;
}

/* The entity tag: a hash of the content, in quotation marks. */
static const char *tag_of(struct arena *arena, const struct embedded *file)
{
    unsigned char hash[16];
    char hexadecimal[2 * sizeof hash + 1];
    crypto_generichash(hash, sizeof hash, file->bytes, file->length, NULL, 0);
    sodium_bin2hex(hexadecimal, sizeof hexadecimal, hash, sizeof hash);
    return arena_printf(arena, "\"%s\"", hexadecimal);
}

void assets_handle(struct exchange *exchange)
{
    struct http_response *response = exchange->response;
    const struct http_request *request = exchange->request;
    const struct embedded *file = find(request->path + strlen(prefix));
    const char *type = file != NULL ? type_of(file->name) : NULL;
    if (type == NULL) {
        reply_error(exchange, 404, NULL);
        return;
    }
    const char *tag = tag_of(request->arena, file);
    response->type = type;
    response->cache = "public, max-age=300";
    http_response_header(response, "ETag", tag);
    if (request->if_none_match != NULL && strstr(request->if_none_match, tag) != NULL)
        response->status = 304;
    else
        text_add_bytes(&response->body, (const char *)file->bytes, file->length);
}
