/* Finds an admitted message by what comes back with it: its queue id, or its Message-ID. Records of
 * decisions tell for log.keep_admitted; the mail server's log, as it was followed, for longer.
 * Functions return 1, 0 there is none (any longer), -1 the store did not answer. Strings live in
 * `arena`. */
#ifndef SENDGUARD_MESSAGE_SEARCH_H
#define SENDGUARD_MESSAGE_SEARCH_H

#include "guard/delivery.h"
#include "mail/kept_open.h"
#include "store/records.h"

/* A queue id is made when a message begins, its decision when it has come in whole. */
#define MESSAGE_SEARCH_BEFORE_MS (5 * SECOND_MS)
#define MESSAGE_SEARCH_AFTER_MS (10 * MINUTE_MS)

/* `sources`: NULL where records alone are searched. */
struct message_search {
    struct store *store;
    struct arena *arena;
    const struct delivery_sources *sources;
    int64_t now_ms;
};

/* One that the mail server still has, of which mailbox and decision are known. */
int message_search_open(const struct message_search *search, const char *queue_id,
                        struct kept_open *open_r) must_check;
/* The record of one that began then. */
int message_search_record(const struct message_search *search, const char *queue_id,
                          int64_t began_ms, struct record *record_r) must_check;
/* The same of one that counts, among those of its mailbox: from the newest on. */
int message_search_counted(const struct message_search *search, const char *mailbox,
                           const char *queue_id, int64_t began_ms,
                           struct record *record_r) must_check;
/* The trace of a message of that mailbox that began about then. */
int message_search_trace(const struct message_search *search, const char *mailbox,
                         const char *queue_id, int64_t began_ms,
                         struct trace_message *message_r) must_check;
/* The same by the hash of its Message-ID (never 0), of the days that are kept: the newest. */
int message_search_message_id(const struct message_search *search, const char *mailbox,
                              uint32_t message_id, struct trace_message *message_r) must_check;

#endif
