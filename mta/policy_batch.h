/* The policy service: complete requests of Postfix in, answers out. Recipients are gathered
 * at RCPT, the message gets its reference (guard/reference.h) at DATA and is judged at END-OF-MESSAGE,
 * everything that arrived at the same moment in one step of the store. Knows no sockets.
 *
 * Messages of nobody who signed in from mta.forwarding_networks are judged as forwarding. What passes
 * without being judged, each with a log line: other messages of nobody who signed in, from
 * mta.exempt_networks, and with mta.null_sender = pass those with an empty sender. */
#ifndef SENDGUARD_POLICY_BATCH_H
#define SENDGUARD_POLICY_BATCH_H

#include "base/problem.h"
#include "guard/guard.h"
#include "guard/recorder.h"
#include "guard/store_watch.h"
#include "mta/collector.h"
#include "mta/policy_request.h"
#include "store/judge.h"
#include "store/store.h"

/* What the loops share; everything in it stays the caller's. */
struct policy_service {
    struct guard *guard;
    struct store *store;
    struct recorder *recorder; /* NULL: nobody watches */
    const struct token_key *key; /* of references; NULL: messages get none */
    struct collector *collector;
    struct store_watch store_watch;
    _Atomic bool ended;      /* END-OF-MESSAGE was asked at least once */
    _Atomic int data_asked;  /* so often DATA was before that */
    _Atomic int unnamed_told;    /* client addresses that were told of: see policy_batch.c */
    _Atomic uint64_t unnamed_clients[32];
};

/* The requests of one round, of one loop. */
struct policy_batch;

enum { POLICY_BATCH_MAX = JUDGE_MAX };

struct policy_batch *policy_batch_new(struct policy_service *service);
void policy_batch_free(struct policy_batch **batch);

/* Whether policy_batch_answer has to come before the next request; how many wait for it. */
int policy_batch_full(const struct policy_batch *batch);
size_t policy_batch_count(const struct policy_batch *batch);

/* Takes a complete request, of which nothing is needed any longer afterwards. `asker` comes back
 * with its answer. 1; 0 it is no request for this service: *problem, and nothing was taken. */
int policy_batch_add(struct policy_batch *batch, const struct policy_request *request,
                     void *asker, int64_t now_ms, struct problem *problem) must_check;

/* Judges what is to be judged and answers all, in the order in which they were added. */
void policy_batch_answer(struct policy_batch *batch, int64_t now_ms,
                         void (*answered)(void *asker, const char *answer, size_t length));

#endif
