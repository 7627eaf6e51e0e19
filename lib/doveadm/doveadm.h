/* Dovecot's administration by HTTP (service doveadm, doveadm_api_key), of which one command is used:
 * it ends the sessions of a mailbox that are open. By libcurl. Source: "Doveadm HTTP API" of Dovecot
 * 2.3. */
#ifndef SENDGUARD_DOVEADM_H
#define SENDGUARD_DOVEADM_H

#include <stdbool.h>

#include "base/problem.h"

enum { DOVEADM_KICK_MAX = 64, DOVEADM_TIMEOUT_MS = 5000 };

struct doveadm;

/* `url` as settings have it, without the path; the key stands in a file (secret_file_line). A request
 * is given up once *ending (NULL: nothing ends it). 1; 0 with *problem: the key cannot be read. One
 * thread each. */
int doveadm_new(const char *url, const char *key_file, const _Atomic bool *ending,
                struct doveadm **doveadm_r, struct problem *problem) must_check;
void doveadm_free(struct doveadm **doveadm);
/* What would be wrong with the file: 1; 0 with *problem. */
int doveadm_examine_key(const char *key_file, struct problem *problem) must_check;

/* Whether the sessions of that name alone can be ended: signs that stand for others are refused. */
bool doveadm_may_name(const char *mailbox);
/* Ends the sessions of `count` (0..DOVEADM_KICK_MAX) mailboxes that may be named; 0 of them: asks
 * whether it answers and knows the key. ended_r[i]: there were some. 1; -1: it does not answer, or
 * otherwise than expected, and *problem says how. Waits DOVEADM_TIMEOUT_MS at most. */
int doveadm_kick(struct doveadm *doveadm, const char *const *mailboxes, size_t count,
                 bool *ended_r, struct problem *problem) must_check;

/* Reads what `count` commands are answered. 1; -1 with *problem. */
int doveadm_read_answer(const char *answer, size_t count, bool *ended_r,
                        struct problem *problem) must_check;

#endif
