/* One message under judgement, from its submission to its verdict: guard.c leads it through, the
 * request to the store is prepared in judgement_request.c, and judgement_verdict.c turns the store's
 * result into the verdict. Internal to lib/guard. Everything lives in the submission's arena. */
#ifndef SENDGUARD_JUDGEMENT_H
#define SENDGUARD_JUDGEMENT_H

#include "guard/block_filter.h"
#include "guard/block_list.h"
#include "guard/effective.h"
#include "guard/keyed_hash.h"
#include "guard/verdict.h"
#include "owners/owners.h"
#include "rules/rules.h"
#include "settings/settings.h"
#include "store/judge.h"
#include "text/catalogue.h"

struct block_probe {
    struct block_entry entry;
    uint32_t version;
};

/* What blocks are found with. */
struct judgement_lists {
    struct block_filter *filter; /* up to date */
    struct store *store;
    struct owners *owners;
    struct keyed_hash_keys keys; /* key NULL: no hash can be made */
    bool has_hashed;             /* entries may keep a hash alone */
};

struct judgement {
    const struct settings *settings;
    const struct catalogue *catalogue;
    const struct submission *submission;
    struct arena *arena;
    uint64_t terms; /* the id of what limits and mode were (guard/terms.h) */
    struct effective_limits limits;
    struct facts facts;
    const struct objection *objections; /* of the rules of one message, what is blocked included */
    size_t objection_count;
    bool from_unknown; /* whose From is did not answer, and it passes */
    struct block_probe *probes; /* entries behind their end, which this message may try */
    size_t probe_count;
    bool probing; /* they are claimed: others wait for what becomes of this message */
    const struct recipient **recipients; /* those of the request, in its order */
    struct judge_request request;
    size_t held_windows; /* of its windows; those behind are a shadow rule's (guard/shadow.h) */
    struct judge_result result;
    struct verdict *verdict;
};

/* Whether one of the objections refuses it: those that are observed do not. */
bool judgement_is_rejected(const struct judgement *judgement);

/* Puts before the objections that the mailbox may not write as the address in From. 1; or -1 when
 * the store did not answer, and nothing is added. */
int judgement_find_from(struct judgement *judgement, struct judgement_lists *lists, int64_t now_ms)
    must_check;
/* Whether From refuses it. A ticket changes nothing: the webmail endpoint may not have known From. */
bool judgement_refuses_from(const struct judgement *judgement);
/* With judgement->result, of a message that is refused for a foreign From: notes it, and makes of
 * the last of so many one that has brought a suspension. */
void judgement_note_from(struct judgement *judgement, struct store *store);

/* Adds to the objections what is on the block lists or unroutable: the sender, then each blocked
 * recipient; and finds the probes. 1; or -1 when the entries could not be read, and nothing is added.
 */
int judgement_find_blocked(struct judgement *judgement, struct judgement_lists *lists,
                           int64_t now_ms) must_check;
/* Claims the probes of a message that nothing is objected to, all or none. Where other messages
 * were first, it waits for them: objections are added. 1 or -1. */
int judgement_claim_probes(struct judgement *judgement, struct judgement_lists *lists,
                           int64_t now_ms) must_check;
/* Of a message that is refused: another one may try, if the store takes it. */
void judgement_return_probes(struct judgement *judgement, struct store *store, int64_t now_ms);

/* What the sender reads of it, in the submission's language. */
const char *judgement_reason_text(const struct judgement *judgement,
                                  const struct objection *objection);

/* Its off-domain recipients, as many as the store counts in one message. */
uint32_t judgement_off_domain(const struct judgement *judgement);

/* Fills judgement->request: limits, terms, facts and objections are known. */
void judgement_prepare(struct judgement *judgement, struct judgement_lists *lists, bool dry_run,
                       int64_t now_ms);

/* Fills the verdict with what holds before the store has answered, so that every early end is
 * right. */
void judgement_begin_verdict(struct judgement *judgement, bool dry_run, int64_t now_ms);
/* With judgement->result. */
void judgement_fill_verdict(struct judgement *judgement);
/* And of the verdict with that: park_at and can_split. */
void judgement_fill_later(struct judgement *judgement);
/* The store is silent, but the rules of one message need no store. */
void judgement_without_store(struct judgement *judgement);

#endif
