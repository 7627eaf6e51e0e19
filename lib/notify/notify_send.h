/* Sending what was written: mail by SMTP, and signed JSON to the webhook. By libcurl. Each call
 * waits NOTIFY_SEND_MS at most. */
#ifndef SENDGUARD_NOTIFY_SEND_H
#define SENDGUARD_NOTIFY_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "base/text.h"
#include "settings/settings.h"

enum { NOTIFY_SEND_MS = 10000 };

/* Whether what the settings want can be sent: mail wants notify.mail_from, and addresses that any
 * mail server takes. 1; 0 with *problem. */
int notify_send_requires(const struct settings *settings, struct problem *problem) must_check;
/* Whether mail can be sent to an address in key form: it is ASCII, without quotation marks. */
bool notify_send_may_reach(const char *address);
/* Whether mta.forwarding_networks holds the address from which this machine reaches notify.smtp,
 * when that is itself: the policy service refuses its mail, which has no envelope sender. */
bool notify_send_is_forwarded(const struct settings *settings);
#define NOTIFY_SEND_FORWARDED \
    "names a service of this machine, and mta.forwarding_networks holds its address: where that " \
    "service asks sendguard-mta, each mail is refused, since it has no envelope sender"
/* What would be wrong with the file of the key: 1; 0 with *problem. */
int notify_send_examine_key(const char *key_file, struct problem *problem) must_check;

struct notify_mail {
    const char *const *to; /* key form */
    size_t to_count;
    const char *subject, *body; /* UTF-8; lines end with "\n" */
    const char *id;             /* of Message-ID, the same whenever it is sent again */
    int64_t at_ms;
};
/* Adds the message as it is sent, lines ending with CRLF. Auto-Submitted (RFC 3834) keeps vacation
 * messages from answering. */
void notify_send_write_mail(const struct settings *settings, const struct notify_mail *mail,
                            struct text *out);
/* To notify.smtp, with an empty envelope sender, so that nothing bounces and no answer comes. A
 * recipient that is refused does not keep the others from it. With notify.smtp_tls it goes by TLS or
 * not at all. 1; 0: it was not taken, with *problem, whose status is the last code that the server
 * answered (0: none). Ends once *ending (NULL: nothing ends it). */
int notify_send_mail(const struct settings *settings, const struct notify_mail *mail,
                     const _Atomic bool *ending, struct problem *problem) must_check;

/* "t=SECONDS,v1=HEX": HEX is the HMAC-SHA256 of "SECONDS.BODY" by the key. */
enum { NOTIFY_SIGNATURE_SIZE = 96 };
void notify_send_sign(const char *key, int64_t now_ms, const char *body,
                      char signature_r[NOTIFY_SIGNATURE_SIZE]);
/* Posts it to notify.webhook, with the signature in Sendguard-Signature and `id` in Sendguard-Id.
 * Redirects are not followed. 1: answered with a status of 200 to 299; else 0 with *problem. */
int notify_send_webhook(const struct settings *settings, const char *body, const char *id,
                        int64_t now_ms, const _Atomic bool *ending,
                        struct problem *problem) must_check;

#endif
