/* What the lines of a mail server's log say. Pure: no I/O, no clock, no allocation; any thread.
 *
 * Half of each line was written by strangers: recipients and message ids of senders, replies of
 * other servers. So what stands where is read from the front: an address between < and > with
 * regard to its quotation marks, then the fields in their order, then the first "status=". Source
 * of the forms: Postfix 3.7, with info_log_addr_form = external (the default): with another value a
 * quoted local part can look like fields. */
#ifndef SENDGUARD_MAIL_LOG_H
#define SENDGUARD_MAIL_LOG_H

#include "base/zone.h"
#include "mail/mail_view.h"

/* ---- a line of a file ----------------------------------------------------------------- */

/* What a stamp without year and zone is read with; one for each file. `zone` and `reference_us` are
 * the caller's: set the reference (microseconds since 1970) to about the time of the lines, such as
 * now, once for many lines. The rest belongs to mail_log_split and is 0 at first. */
struct mail_log_clock {
    const struct zone *zone;
    int64_t reference_us;
    int64_t before_us; /* the stamp of the line before */
    struct {
        char text[12]; /* "Nov 28 18:09", the last minute that was looked up */
        int64_t reference_us, first_us, second_us; /* the same unless the hour comes twice */
    } minute;
};

struct mail_log_line {
    int64_t stamp_us;             /* since 1970 */
    struct mail_view syslog_name; /* "postfix/submission"; absent when the tag has no slash */
    struct mail_view program;     /* what follows the last slash of the tag: "smtpd" */
    int64_t pid;                  /* 0: none */
    struct mail_view body;
    uint32_t count; /* so often: 1, or N of rsyslog's "message repeated N times: [ … ]" */
};

/* Cuts a line without its line break. Stamps: "Nov 28 18:09:35" in clock->zone, of the year that
 * brings it nearest to the reference; of the two moments of an hour that comes twice the one
 * nearest to the line before, or else to the reference; a moment that the zone leaves out is as
 * much later. And "2026-11-28T18:09:35.123456+01:00" (RFC 3339), fractions beyond microseconds cut
 * off. 1; 0: it is no such line, or a part of one. */
int mail_log_split(const char *text, size_t length, struct mail_log_clock *clock,
                   struct mail_log_line *line_r) must_check;

/* The program of a tag ("postfix/submission/smtpd") that came without a line around it. */
struct mail_view mail_log_program(const char *tag, size_t length);

/* ---- what it tells -------------------------------------------------------------------- */

enum mail_event_kind {
    MAIL_CLIENT,     /* smtpd: a message begins. user, other_id: the id it had before (XFORWARD) */
    MAIL_PICKUP,     /* pickup: the same from this machine. uid, from, other_id: requeued from it */
    MAIL_MESSAGE_ID, /* cleanup: message_id, as the sender wrote it, maybe empty */
    MAIL_QUEUED,     /* qmgr: from, size, recipients; again at each retry */
    MAIL_OUTCOME,    /* a delivery agent: see below */
    MAIL_EXPIRED,    /* qmgr: what was deferred goes back to the sender. from, forced (by staff) */
    MAIL_REFUSED,    /* smtpd, cleanup: the message is not taken after all; text */
    MAIL_DISCARDED,  /* smtpd, cleanup: taken and thrown away; text */
    MAIL_HELD,       /* smtpd, cleanup, postsuper: waits until somebody releases it; text */
    MAIL_NOTICE,     /* bounce: told somebody. notice, to_postmaster, other_id: of the notice */
    MAIL_REMOVED,    /* qmgr: it left the queue */
    MAIL_DELETED,    /* postsuper: staff threw it away */
    MAIL_EVENT_KINDS
};
extern const char *const mail_event_kind_names[MAIL_EVENT_KINDS];

enum mail_status {
    MAIL_SENT,
    MAIL_DEFERRED,
    MAIL_BOUNCED,
    MAIL_DELIVERABLE,   /* of a probe (verify), no message */
    MAIL_UNDELIVERABLE, /* the same */
    MAIL_STATUSES
};

/* How far the delivery came. */
enum mail_phase {
    MAIL_PHASE_UNKNOWN,
    MAIL_PHASE_CONNECT, /* connection, greeting, EHLO, TLS, AUTH */
    MAIL_PHASE_MAIL,
    MAIL_PHASE_RCPT,
    MAIL_PHASE_DATA, /* the command */
    MAIL_PHASE_END_OF_DATA,
    MAIL_PHASES
};

enum mail_notice { MAIL_NOTICE_NON_DELIVERY, MAIL_NOTICE_DELAY, MAIL_NOTICE_STATUS };

/* Members that the kind does not name are 0 or absent. Views lead into the body. */
struct mail_event {
    enum mail_event_kind kind;
    struct mail_view queue_id;
    struct mail_view other_id;
    struct mail_view user;       /* sasl_username; absent: nobody signed in */
    struct mail_view message_id;
    struct mail_view from;       /* without < and >, quoted as in SMTP; empty: <> */
    int64_t uid, size, recipients;
    enum mail_notice notice;
    bool forced, to_postmaster;
    struct mail_view text; /* of an outcome: all in the parentheses */

    /* Of an outcome. other_id: the reply says that it is queued (or local(8): forwarded) with this
     * id. Other people's servers say so too: where the id is one of ours, it is the hop through a
     * content filter and no outcome. */
    struct mail_view to, orig_to; /* as `from`; orig_to is absent where it is the same */
    struct mail_view relay_host, relay_address; /* absent: none; a socket's path is no address */
    int64_t relay_port, delay_ms;
    struct mail_view dsn; /* "5.1.1" */
    enum mail_status status;
    bool attempted; /* false: deferred since the whole destination was given up */
    enum mail_phase phase;
    struct mail_view said; /* by the other server, "550 5.1.1 …"; absent: the words are our own */
    int code;              /* of what it said, 550; 0: none */
};

/* Reads a body of this program ("smtpd"). 1 with the event; 0: of no interest; *malformed_r tells
 * whether it looked like an event and was cut or impossible, which is worth a count. Outcomes are
 * of smtp, lmtp, local, virtual, pipe, error and discard alone. Postfix cuts its lines at 2,000
 * bytes: an outcome that lacks the end of its text for this reason is one nevertheless. */
int mail_log_event(struct mail_view program, struct mail_view body, struct mail_event *event_r,
                   bool *malformed_r) must_check;

#endif
