/* The form in which a decision record keeps its message: one codec. packing_facts writes it, and
 * packing_read reads what any version wrote.
 *
 * A format, the id of the terms (guard/terms.h; 8 bytes as they are in memory), flags and the
 * channel; mailbox, IP, id, From where it is not the mailbox, and its user's language where that is
 * to be kept; then as numbers the recipients of
 * each field, the off-domain ones, and the most recipients and header characters of one domain. So
 * much is kept of a message that passes. Of a refused one, and of one that broke a rule of one
 * message while that was only observed, follow its domains and the rules that it broke. A number is
 * a varint (7 bits a byte, the lowest first, the upper bit says that more follow), a string its
 * length and its bytes; a rule is its place among the limits of the
 * terms, or 1000 and more for one without a limit. No recipient is kept. */
#ifndef SENDGUARD_PACKING_H
#define SENDGUARD_PACKING_H

#include <json-c/json.h>

#include "rules/rules.h"
#include "store/judge.h"
#include "store/records.h"

/* What a record keeps of a message. */
struct packed_message {
    const struct submission *submission;
    const struct facts *facts;
    const struct objection *objections;
    size_t objection_count;
    bool exempt;
    bool keeps_lang; /* the language that the webmail told */
    uint64_t terms;
};
/* In the submission's arena. */
struct record_facts packing_facts(const struct packed_message *message);

/* The id of the terms that a record names; 0: none. */
uint64_t packing_terms(const struct record *record);

/* Whose message it was. */
struct packed_identity {
    enum channel channel;
    bool exempt;
    const char *mailbox, *id; /* in the arena */
    uint32_t off_domain;      /* its recipients outside the own domains */
};
/* 1; 0: it cannot be read, or an earlier version wrote it. */
int packing_identity(struct arena *arena, const struct record *record,
                     struct packed_identity *identity_r) must_check;

/* What a record keeps as a JSON object, to be put; an empty one when it cannot be read:
 * {"channel":"webmail","mailbox":…,"ip":…|null,"id":…,"from":…|null,"to":2,"cc":0,"bcc":0,
 *  "recipients":2,"off_domain":1,"most_in_domain":1,"most_chars_in_domain":20,
 *  "domains":[[NAME,RECIPIENTS,HEADER_CHARS,1 for an own one]…],"more_domains":3,
 *  "broken":[{"rule":…,"count":…,"field":…,"domain":…}…],"more_broken":3,
 *  "lang":"de","exempt":true,"webmail_host":true,"by_header":true} and the members of its terms (their text; NULL: not known).
 * What is not kept is absent. */
struct json_object *packing_read(const struct record *record, const char *terms);

#endif
