/* What another mail server's answer means, who gave it, and its words without anybody's address.
 * Pure; any thread. */
#ifndef SENDGUARD_REPLY_H
#define SENDGUARD_REPLY_H

#include "mail/mail_log.h"

/* Why a message was not delivered, whether another attempt follows or not. What is kept has the
 * number: a new one goes to the end. */
enum reply_class {
    REPLY_ADDRESS_UNKNOWN,   /* there is no such mailbox */
    REPLY_DOMAIN_UNROUTABLE, /* the domain takes no mail, or there is none */
    REPLY_MAILBOX_FULL,
    REPLY_MAILBOX_OFF,       /* there is one, and it takes no mail */
    REPLY_NOT_AUTHENTICATED, /* SPF, DKIM, DMARC, the names of our host or of the sender's domain */
    REPLY_OUR_REPUTATION,    /* our host is refused, for all senders */
    REPLY_CONTENT_REFUSED,   /* the message itself */
    REPLY_TOO_BIG,
    REPLY_RATE,       /* too much at once, or they are too busy */
    REPLY_GREYLISTED, /* strangers shall try again */
    REPLY_UNREACHABLE,
    REPLY_EXPIRED, /* tried until the time for it was over */
    REPLY_OTHER,
    REPLY_CLASS_COUNT
};
extern const char *const reply_class_names[REPLY_CLASS_COUNT];

/* Of an outcome that is not sent, or of MAIL_EXPIRED. What is trusted, in this order: the enhanced
 * code that the server gave, else the one that was logged; the basic code; the phase; words only
 * where the codes leave it open. Words are looked at without the recipient's address, so that
 * nobody chooses a class by choosing a recipient. Source: RFC 3463, RFC 5321 section 4.2, RFC 7372,
 * IANA's registry of enhanced status codes. */
enum reply_class reply_class(const struct mail_event *event);

enum { REPLY_SITE_SIZE = 128, REPLY_WORDS_MAX = 300 };

/* Who answered, about as a domain is registered: the last two labels of the relay's name, in lower
 * case; three where the last is a country's and the one before is of a kind (co.uk, com.br); the
 * address where there is no name. Both are views of an outcome. Returns the length; 0: nobody
 * answered, or it is no name of a host. */
size_t reply_site(struct mail_view host, struct mail_view address, char site_r[REPLY_SITE_SIZE]);

/* The words of a server, fit to be kept and shown: valid UTF-8 without control characters, at most
 * REPLY_WORDS_MAX bytes. In the place of each address, in any writing (quoted, percent-coded, in a
 * URL, as VERP, a local part alone between < and >), stands (address); for one of `recipients`
 * (addresses as logged, `count` of them) (recipient), also for its local part alone, and the parts
 * of that at "+", "%", "!" and "=". A local part of fewer than 8 letters and nothing else is found
 * as a word: not within others ("mail" in "mailbox"). Long mixtures of digits and letters that are
 * no host name become "…", so that the same answer is the same words. Returns the length; a NUL is
 * behind. */
size_t reply_redact(struct mail_view text, const struct mail_view *recipients, size_t count,
                    char words_r[REPLY_WORDS_MAX + 1]);

#endif
