/* The entry of the block lists that refuses the mail of a domain whose SPF record does not let our
 * mail servers send: of "@domain", for everybody, by the guard. Who looks at records makes and
 * removes it, in one step with what it keeps of the domain (spf_view.h); an entry that staff made
 * of the same subject is left alone. */
#ifndef SENDGUARD_SPF_BLOCK_H
#define SENDGUARD_SPF_BLOCK_H

#include "base/json.h"
#include "guard/block_list.h"
#include "settings/settings.h"
#include "text/catalogue.h"

#define SPF_BLOCK_REASON "no_spf"

/* spf.mode, as far as it can touch mail: an installation that observes gives no notice and refuses
 * nothing, so its mode is `observe` at most. */
enum spf_mode spf_block_mode(const struct settings *settings);

/* Its kind, subject and scope, in `arena`. */
struct block_entry spf_block_of(struct arena *arena, const char *domain);
/* All of it, for a domain of which `view` is kept. */
struct block_entry spf_block_entry(struct arena *arena, struct json_object *view, int64_t now_ms);
/* Whether it is such an entry. */
bool spf_block_is(const struct block_entry *entry);

/* What its sender reads of it, behind "Mail is not accepted:": what has to be written into which
 * record, and by whom. Of an entry's advice, in a language of the catalogue, in `arena`. */
const char *spf_block_sentence(struct arena *arena, const struct catalogue *catalogue,
                               const char *language, const char *advice);
/* The same in English and few words: the terms alone, as many as there is room for. */
const char *spf_block_short_sentence(struct arena *arena, const struct catalogue *catalogue,
                                     const char *advice);

/* Staff removes such an entry: with that it is kept that the domain's mail is accepted for
 * SPF_VIEW_OPEN_MS, then it is refused again if the record is as it is now. "unblock" in the audit
 * log. Results as block_list_remove. */
int spf_block_lift(struct store *store, const struct block_entry *entry,
                   const struct action *action) must_check;

#endif
