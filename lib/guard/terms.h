/* The terms of a judgement: limits in force, where they came from, mode. They are the same for many
 * messages, so the store keeps each once, among what programs keep (KEPT_TERMS), and decision
 * records name them by id, a hash of their text. Any thread.
 *
 * {"limits":{RULE:NUMBER|null…},"adjusted":{RULE:{"limit_of":"mailbox","extra":200}…},
 *  "mode":"enforce"|"observe"}; "limits" has all rules in order, "adjusted" only where a plan
 * or staff changed something; with {"limit_of":"plan"} goes "plan", its name. */
#ifndef SENDGUARD_TERMS_H
#define SENDGUARD_TERMS_H

#include "base/arena.h"
#include "guard/effective.h"
#include "store/store.h"

struct terms;

struct terms *terms_new(void);
void terms_free(struct terms **terms);

/* The id of these terms, which the store keeps for keep_ms at least, longer than the record that
 * names them. Asks the store only for terms that were not used lately. 1 or -1. */
int terms_id(struct terms *terms, struct store *store, const struct effective_limits *limits,
             bool observe, int64_t now_ms, int64_t keep_ms, uint64_t *id_r) must_check;

/* The id alone: nothing is asked or kept. */
uint64_t terms_id_alone(const struct effective_limits *limits, bool observe);

/* Their text, in `arena`; NULL when it is not known, or the store does not answer. */
const char *terms_text(struct terms *terms, struct store *store, struct arena *arena, uint64_t id,
                       int64_t now_ms);

#endif
