/* The webmail endpoint: one request in, one answer out. Turns a request into a
 * submission, asks the guard, turns the verdict into HTTP. Knows HTTP but not
 * FastCGI: service.h feeds it. */
#ifndef SENDGUARD_ENDPOINT_H
#define SENDGUARD_ENDPOINT_H

#include "base/text.h"
#include "fcgi/hint_limit.h"
#include "guard/guard.h"
#include "guard/recorder.h"
#include "guard/store_watch.h"
#include "store/judge.h"
#include "store/store.h"

/* What all threads share. */
struct endpoint {
    struct guard *guard;
    struct store *store;
    struct recorder *recorder; /* NULL: nobody watches */
    struct store_watch store_watch;
    struct hint_limit hint_limit;
};

/* Where a request's body comes from: bytes read, 0 at its end, -1 when the peer
 * went away before CONTENT_LENGTH was there. */
struct body_source {
    int (*read)(void *context, char *buffer, int size);
    void *context;
};

/* A request that has been read and is to be judged. Lives in its arena. */
struct endpoint_exchange;

/* Reads one request; the body is read to its end whatever the answer. `params` as request_param.
 * Returns 1 with the whole answer in *out and *to_judge_r NULL (problems, refunds, what passes
 * the gate unjudged), or with *to_judge_r: endpoint_judge puts the answer into *out, and
 * `params` and `source` are no longer needed. 0: the request is incomplete, nothing was judged, the
 * connection should be closed. */
int endpoint_read(struct endpoint *endpoint, const char *const *params,
                  const struct body_source *source, struct arena *arena, int64_t now_ms,
                  struct text *out, struct endpoint_exchange **to_judge_r) must_check;

/* Judges several (1..JUDGE_MAX) in one step of the store, and answers them. */
void endpoint_judge(struct endpoint *endpoint, struct endpoint_exchange *const *exchanges,
                    size_t count, int64_t now_ms);

#endif
