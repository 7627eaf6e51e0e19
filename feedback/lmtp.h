/* LMTP (RFC 2033), as much of it as a mail server needs to hand over reports: LHLO, MAIL, RCPT,
 * DATA, RSET, NOOP, QUIT; PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES. One session: bytes in,
 * replies out; no socket, no clock. One thread.
 *
 * Who sends a report wants no answer, and what is no report comes from strangers: so no
 * message and no recipient is refused for good, and none comes back to anybody. A message is taken
 * when it is kept, or comes again when it could not be. Of one that is larger than
 * LMTP_MESSAGE_MAX the rest is not kept; SIZE has no limit, since a mail server returns what is
 * over it. */
#ifndef SENDGUARD_LMTP_H
#define SENDGUARD_LMTP_H

#include <stdbool.h>

#include "base/text.h"

enum {
    LMTP_LINE_MAX = 1024,            /* of a command, with its end */
    LMTP_MESSAGE_MAX = 256 * 1024 + 1, /* more than report_read reads */
    LMTP_RECIPIENTS_MAX = 100,       /* of a message; others are told to come again */
    LMTP_MISTAKES_MAX = 20,          /* of a session */
};

/* Keeps a message. 1; -1: it is to come again. */
typedef int lmtp_keep(void *context, const char *message, size_t length);

enum lmtp_state { LMTP_COMMANDS, LMTP_DATA, LMTP_ENDED };
/* Where in a line of DATA the next byte is. Only CRLF ends a line: a CR or an LF alone is a byte
 * like others, so that nobody ends a message in the middle. */
enum lmtp_place { LMTP_AT_BEGIN, LMTP_BEHIND_DOT, LMTP_BEHIND_DOT_CR, LMTP_WITHIN, LMTP_BEHIND_CR };

struct lmtp {
    lmtp_keep *keep;
    void *context;
    struct text out;      /* replies; the caller takes them and clears it */
    enum lmtp_state state; /* ENDED: close when `out` is sent */
    /* the rest is lmtp.c's */
    struct text line, message;
    bool greeted, has_sender, overlong;
    int recipients, mistakes;
    enum lmtp_place place;
    uint64_t done;        /* commands and messages that were answered */
};

/* The first reply is in `out`. */
void lmtp_begin(struct lmtp *session, lmtp_keep *keep, void *context);
/* For a client that is one too many: one reply, and the end. */
void lmtp_refuse(struct lmtp *session);
void lmtp_end(struct lmtp *session);

void lmtp_take(struct lmtp *session, const char *bytes, size_t length);

#endif
