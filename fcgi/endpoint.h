/* The webmail endpoint: one request in, one answer out. Turns a request into a
 * submission, asks the guard, turns the verdict into HTTP. Knows HTTP but not
 * FastCGI: the worker feeds it. */
#ifndef SENDGUARD_ENDPOINT_H
#define SENDGUARD_ENDPOINT_H

#include "base/text.h"
#include "guard/guard.h"
#include "guard/recorder.h"
#include "guard/store_watch.h"
#include "store/store.h"

/* What all workers share. */
struct endpoint {
    struct guard *guard;
    struct store *store;
    struct recorder *recorder; /* NULL: nobody watches */
    struct store_watch store_watch;
};

/* Where a request's body comes from: bytes read, 0 at its end, -1 when the peer
 * went away before CONTENT_LENGTH was there. */
struct body_source {
    int (*read)(void *context, char *buffer, int size);
    void *context;
};

/* Handles one request; the body is read to its end whatever the answer. `params`
 * as request_param. Returns 1 with the whole answer in *out, or 0: the request
 * is incomplete, nothing was judged, the connection should be closed. */
int endpoint_handle(struct endpoint *endpoint, const char *const *params, const struct body_source *source,
                    struct arena *arena, int64_t now_ms, struct text *out) must_check;

#endif
