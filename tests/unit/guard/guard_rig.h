/* A guard over a store of its own, for tests of the guard and of its channels:
 * settings by overrides, submissions by a few words, answers as JSON trees.
 * Stands on backends.h: the test case is a backends_case, and `store` and `arena`
 * are the running test's. */
#ifndef SENDGUARD_TESTS_GUARD_RIG_H
#define SENDGUARD_TESTS_GUARD_RIG_H

#include <json-c/json.h>

#include "guard/guard.h"
#include "guard/keyed_hash.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define BOB "bob@example.test"

/* What a refusal begins with that no suspension brought, in English. */
#define NOT_SENT "The message was not sent and will not be sent later by itself."

/* Overrides of settings, "section.key=value" each: WITH("guard.mode=observe"). */
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})
#define DEFAULTS WITH(NULL)

/* Of the running test; set by rig_begin, freed by rig_end. */
extern struct guard *guard;
extern struct token_key *token_key;
extern struct keyed_hash_keys hash_keys; /* of it */

/* A backends_case whose tests end with rig_end. */
TCase *rig_case(Suite *suite, const char *name);
/* An empty store of that kind, and a guard over it. */
void rig_begin(int backend, const char *const *overrides);
void rig_end(void);
struct settings *rig_settings(const char *const *overrides);
/* The built-in texts; to be freed. */
struct catalogue *rig_catalogue(void);
void rig_reload(const char *const *overrides);

/* From alice@example.test at 192.0.2.1 through the webmail, to nobody yet. In `arena`. */
struct submission rig_submission(const char *id);
void rig_mailbox(struct submission *submission, const char *mailbox);
void rig_add(struct submission *submission, enum field field, const char *list);
/* PREFIX0@DOMAIN, PREFIX1@DOMAIN, …, their count over all three fields in turn. */
void rig_add_many(struct submission *submission, int count, const char *prefix,
                  const char *domain);
/* A submission to `count` recipients at x.test. */
struct submission rig_message(const char *id, int count);

/* Judges, or only asks; fails the test when the store does not answer. */
struct verdict rig_judge(const struct submission *submission, int64_t now_ms);
struct verdict rig_ask(const struct submission *submission, int64_t now_ms);
/* Sends `count` messages to one off-domain recipient each, which must be admitted. */
void rig_send(const char *prefix, int count, int64_t from_ms, int64_t step_ms);
/* Judges a message of that mailbox from that address, whatever becomes of it. */
void rig_send_from(const char *mailbox, const char *ip, int count, int64_t at_ms);
/* Blocks a domain or a mailbox for an hour from NOW: 12 of 20 recipients, 9 messages. */
void rig_block(const char *key, enum failure_hint hint);
/* The window of that rule in the verdict, NULL when it has none. */
const struct verdict_window *rig_window(const struct verdict *verdict, enum rule rule);
/* What ALICE's windows hold, asked without a trace. */
uint64_t rig_used(enum rule rule, int64_t now_ms);

/* What the kept record of the verdict says; fails when there is none. */
enum outcome rig_outcome(const struct verdict *verdict, int64_t now_ms);

/* A text's beginning, and what it holds or does not. */
void rig_check_begins(const char *text, const char *beginning);
void rig_check_has(const char *text, const char *part);
void rig_check_has_not(const char *text, const char *part);

/* The reasons' rules, with spaces between. */
const char *rig_reasons(const struct verdict *verdict);

/* The whole of a text as JSON, read strictly; fails the test when it is none. To be put. */
struct json_object *rig_json(const char *text, size_t length);
/* A member by its path ("suspension.until", "reasons.0.rule"); fails when it is not there. */
struct json_object *rig_member(struct json_object *object, const char *path);
bool rig_has(struct json_object *object, const char *name);
/* The member as text: strings as they are, numbers, true, null as JSON writes them. */
const char *rig_text(struct json_object *object, const char *path);

/* The facts kept of a decision; fails when there are none. To be put. */
struct json_object *rig_facts(uint64_t decision, int64_t now_ms);

#endif
