/* What the rules count in one message, and where its recipients are. Pure. */
#ifndef SENDGUARD_FACTS_H
#define SENDGUARD_FACTS_H

#include <stdbool.h>

#include "base/arena.h"
#include "message/submission.h"

/* What the rules count in one message. Distinct: by SMTP, but for its header, each recipient that the
 * mail server accepted is one, also a copy of the same address (another ORCPT, NOTIFY or spelling). */
struct domain_facts {
    const char *domain;    /* A-label, lower case */
    uint32_t recipients;   /* distinct over all fields */
    uint32_t header_chars; /* Unicode characters of its recipients as written, joined by ", " */
    bool own;              /* the mailbox's domain or one of its equals */
};
struct facts {
    uint32_t in_field[FIELD_COUNT]; /* distinct recipients of each field; unnamed ones in To */
    uint32_t recipients;            /* their sum */
    uint32_t off_domain;            /* distinct recipients outside the own domains */
    struct domain_facts *domains;   /* most recipients first, then by name */
    size_t domain_count;
};

/* What the provider says of domains and addresses; `context` is handed through. */
struct recipient_classes {
    bool (*own_domain)(const void *context, const char *mailbox_domain, const char *domain);
    bool (*exempt)(const void *context, const char *target); /* counted by no rule */
    const void *context;
};

/* Counts a parsed submission. Never fails: its size was limited while it was
 * parsed. O(n log n) in recipients. The result lives in `arena`. */
struct facts facts_count(struct arena *arena, const struct submission *submission,
                         const struct recipient_classes *classes);

#define RECIPIENT_TOO_FAR "invalid"
/* Where mail to a recipient ends up. Under an own domain a local part can lead elsewhere:
 * victim%x.test@own, x.test!victim@own and "victim@x.test"@own are at x.test, repeatedly and also
 * through own domains and names without a dot; where no domain with a dot is found it stays. One
 * that leads on more than 16 times is at RECIPIENT_TOO_FAR.
 * Any other address is at the domain behind its last '@'. `address` in key form. Returns it, or
 * LOCAL@DOMAIN in `arena` with DOMAIN in key form and LOCAL as it is there, not quoted anew. */
const char *recipient_target(struct arena *arena, const char *address, const char *mailbox_domain,
                             const struct recipient_classes *classes);

/* How many recipients a mail server has of it: those of all fields, each address as written once,
 * also the exempt ones; and the unnamed. Where the mail server itself says it: what it says. At
 * most LIMIT_MAX. */
uint32_t facts_handed_over(struct arena *arena, const struct submission *submission);

#endif
