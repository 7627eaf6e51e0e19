/* The server behind the store: its clock, and the settings of it on which the store's contents
 * depend. For who looks after it; no operation of the store asks. Results, threads and ownership:
 * store.h. */
#ifndef SENDGUARD_STORE_SERVER_H
#define SENDGUARD_STORE_SERVER_H

#include "store/store.h"

enum { SERVER_EVICTION_SIZE = 32 };
struct store_server {
    int64_t now_ms; /* its clock's, ms since 1970 */
    /* What it may forget when memory is short: "noeviction", "allkeys-lru"; "": it does not say. */
    char eviction[SERVER_EVICTION_SIZE];
    int appends; /* whether it writes an append-only file; this and the next two: 1, 0, -1 it does not say */
    int saves;       /* whether it is to save snapshots */
    int last_written; /* whether it could write its files the last time */
};

/* Asks the server. Returns 1; 0 there is none, because the database is a file; -1. A server whose
 * rights do not let us ask for its settings answers 1 with what it does not say.
 * Source: docs/store.md, "Settings of the server that matter". */
int store_server(struct store *store, struct store_server *server_r) must_check;

#endif
