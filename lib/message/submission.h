/* A submission: who sends what to whom from where, parsed, normalised and
 * limited in size. Nothing behind it sees raw bytes.
 *
 * Every setter returns 1, or 0 with *problem filled (status 400, or 413 for a
 * size) and the submission as it was. Text is UTF-8; CR, LF and NUL are refused
 * everywhere. Strings live in the arena given to submission_init. */
#ifndef SENDGUARD_SUBMISSION_H
#define SENDGUARD_SUBMISSION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/problem.h"
#include "message/channel.h"

enum field { FIELD_TO, FIELD_CC, FIELD_BCC, FIELD_COUNT };
extern const char *const field_names[FIELD_COUNT]; /* "to", "cc", "bcc" */

enum {
    SUBMISSION_MAX_RECIPIENTS = 10000,
    SUBMISSION_MAX_ADDRESS_BYTES = 1024 * 1024, /* of all recipients as written */
    SUBMISSION_MAX_FROM = 100,                   /* addresses of a From header */
    SUBMISSION_MAX_ID_BYTES = 998,              /* one header line, RFC 5322 section 2.1.1 */
    SUBMISSION_MAX_UNREAD = 20,
    ADDRESS_MAX_BYTES = 254,                    /* of a path of 256, RFC 5321 section 4.5.3.1.3 */
};

struct recipient {
    const char *address;    /* key form: lower case, domain as A-label */
    const char *domain;     /* points into address, behind the last '@' */
    uint32_t written_chars; /* Unicode characters as the user wrote it, encoded words decoded,
                               without white space around it */
    uint32_t form;          /* a hash of the address as written: a mail server is given Bob@x.test
                               and bob@x.test, which have one key, as two recipients */
    enum field field;
};

/* An entry of a list of recipients that is no address. */
struct unread_recipient {
    enum field field;
    size_t entry;       /* of the list, from 0 */
    const char *quoted; /* in quotation marks, shortened */
};

struct submission {
    struct arena *arena;
    enum channel channel;
    const char *id;      /* NULL until set */
    const char *mailbox; /* key form; NULL until set */
    const char *domain;  /* of the mailbox; points into it */
    const char *ip;      /* key form: IPv4 whole, IPv6 as its /64; NULL until set */
    const char *from;    /* address alone, key form; NULL when absent */
    const char *from_unread; /* CHANNEL_SMTP: a sender that is no address; NULL: there is none */
    const char *const *further_from; /* as `from`: of several addresses in the header, the others */
    size_t further_from_count;
    const char *lang;    /* BCP 47 tag, "en" until set */
    bool lang_set;
    const char *zone;    /* the sender's time zone, "Europe/Berlin"; NULL: not known, UTC */
    struct recipient *recipients;
    size_t recipient_count, recipient_room;
    size_t address_bytes;
    bool password_changed; /* of a dry run by a webmail, whose user has changed the password just now:
                              its link tells so (guard/token.h) */
    bool hints;           /* of a dry run by a webmail, whose user is writing the message: what to tell
                             meanwhile (guard/verdict_shown.h) */
    struct unread_recipient *unread; /* of hints: what is passed over; NULL: nothing */
    size_t unread_count;             /* SUBMISSION_MAX_UNREAD at most */
    bool form;            /* recipients come from a form that a webmail reads too: what it could read
                             otherwise is refused (a backslash in quotation marks, and its like) */
    uint32_t unnamed;     /* further recipients of which only the number is known: counted as
                             different ones outside the own domains */
    uint32_t accepted;    /* how many recipients the mail server took, as it counts them; 0: it
                             does not say */
    uint64_t size;        /* bytes of the message as the mail server counted them; 0: it does not say */
    bool by_header;       /* CHANNEL_SMTP: the fields are those of its header, which came after the
                             policy service had counted the message: guard_judge_header */
    bool webmail_host;    /* CHANNEL_SMTP: it came from a host of mta.webmail_hosts. A ticket of the
                             webmail endpoint is redeemed for it; without one it is judged by the limits
                             of the webmail endpoint (not by field: SMTP has none) and is `bypassed` */
};

void submission_init(struct submission *submission, struct arena *arena, enum channel channel);

int submission_set_id(struct submission *submission, const char *text, size_t length,
                      struct problem *problem) must_check;
/* An id of ours, at random, for a message that has none. */
void submission_make_id(struct submission *submission);
int submission_set_mailbox(struct submission *submission, const char *text, size_t length,
                           struct problem *problem) must_check;
/* IPv4 or IPv6 text; an IPv4-mapped IPv6 address is that IPv4 address. */
int submission_set_ip(struct submission *submission, const char *text, size_t length,
                      struct problem *problem) must_check;
/* `Name <addr>` or `addr`; empty or "<>" (read receipts) leaves from NULL. */
int submission_set_from(struct submission *submission, const char *text, size_t length,
                        struct problem *problem) must_check;
/* Adds the addresses of a From header: the first one of the message is `from`, which has to be NULL
 * before, the others are further_from. More than SUBMISSION_MAX_FROM: 413. */
int submission_add_from(struct submission *submission, const char *text, size_t length,
                        struct problem *problem) must_check;
int submission_set_lang(struct submission *submission, const char *text, size_t length,
                        struct problem *problem) must_check;
/* A name that this machine does not know leaves zone at "UTC": it is only for reading. */
int submission_set_zone(struct submission *submission, const char *text, size_t length,
                        struct problem *problem) must_check;

/* Adds the recipients of a header text: `,` and `;` between them, groups
 * (members count, the group's name does not; an empty group such as
 * "undisclosed-recipients:;" adds none), quoted names, comments, encoded
 * words, UTF-8 names and addresses, IDN domains. Empty entries ("a, ,b") and
 * white space are passed over. May be called repeatedly; entries add up.
 * An entry that is no address: 400, where = "to[3]" (counted over all calls
 * for the field, from 0; empty entries do not count), text quotes the entry,
 * shortened. More than SUBMISSION_MAX_RECIPIENTS or SUBMISSION_MAX_ADDRESS_BYTES in all: 413. */
int submission_add_recipients(struct submission *submission, enum field field, const char *text,
                              size_t length, struct problem *problem) must_check;

/* Adds a recipient that is in key form already (address_key, address_key_unquoted). */
int submission_add_key(struct submission *submission, enum field field, const char *key,
                       struct problem *problem) must_check;

/* As submission_add_recipients for a text that holds one recipient at most, such as an entry of an
 * array: 400 when there are more. */
int submission_add_recipient(struct submission *submission, enum field field, const char *text,
                             size_t length, struct problem *problem) must_check;

/* That entry of the list, which was refused just now, is passed over: `unread` has it, unless it is
 * full. */
void submission_pass_over(struct submission *submission, enum field field, size_t entry,
                          const char *text, size_t length);

/* One address (local@domain, nothing around it) in key form: lower case, the
 * domain as A-label (IDNA 2008; one that is all ASCII and a host name stays as it is), at most
 * ADDRESS_MAX_BYTES in all, whatever the local part has of them: mail servers deliver local parts
 * of more than the 64 bytes of RFC 5321 section 4.5.3.1.1, and ticket systems make them. *key_r
 * lives in `arena`. 1, or 0 with *problem filled but for its `where`. Source: RFC 5321
 * section 4.1.2, RFC 6531 for UTF-8 local parts. */
int address_key(struct arena *arena, const char *text, size_t length, const char **key_r,
                struct problem *problem) must_check;

/* The same of an address as mail servers hand it on: all before the last '@' is the local part
 * without quotation marks and backslashes (`john doe@x.test` is "john doe"@x.test). */
int address_key_unquoted(struct arena *arena, const char *text, size_t length,
                         const char **key_r, struct problem *problem) must_check;

/* The key form of a domain alone, without '@'. Results as address_key. */
int address_domain_key(struct arena *arena, const char *text, size_t length, const char **key_r,
                       struct problem *problem) must_check;

/* Prepares the reader of unusual addresses, which is done at the first of them
 * otherwise; a program that measures its first message calls this before. Any
 * thread, any number of times. */
void address_init(void);

#endif
