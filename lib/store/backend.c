#include "store/backend.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int backend_fail(struct backend *backend, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(backend->error, sizeof backend->error, format, arguments);
    va_end(arguments);
    return -1;
}

uint32_t backend_next_version(uint32_t before, uint32_t first)
{
    return before == 0 ? first : before % (VALUE_ANY - 1) + 1;
}

int backend_read_url(const char *url, struct store_url *where_r, struct problem *problem)
{
    const char *fault = store_url_read(url, where_r);
    if (fault == NULL)
        return 1;
    bool hidden = store_url_may_hold_password(url);
    return problem_set(problem, 0, "store.url", "\"%.*s%s\" %s; expected " STORE_URL_FORMS,
                       hidden ? (int)store_url_scheme_length(url) : 200, url, hidden ? "…" : "",
                       fault);
}

struct backend *backend_new(const struct store_url *where, const struct store_options *options,
                            bool may_make)
{
    return where->kind == STORE_SQLITE
               ? sqlite_backend_new(where->path, options, may_make)
               : redis_backend_new(where, options);
}

int backend_alone(const struct store_url *where, const struct store_options *options,
                  char error_r[BACKEND_ERROR_SIZE])
{
    if (where->kind == STORE_SQLITE)
        return sqlite_backend_alone(where->path, error_r);
    struct backend *backend = backend_new(where, options, false);
    int answer = redis_backend_alone(backend);
    memcpy(error_r, backend->error, BACKEND_ERROR_SIZE);
    backend->operations->free(backend);
    return answer;
}
