/* A complaint about a message, as other people's mail servers send it: ARF (RFC 5965), and
 * Microsoft's form without a report part. Says what is written; whether to believe it is somebody
 * else's question. Pure; any thread.
 * Source: RFC 5965, 6430, 6591, 8601; samples of Yahoo, Validity and Microsoft. */
#ifndef SENDGUARD_REPORT_H
#define SENDGUARD_REPORT_H

#include "base/arena.h"

enum report_type {
    REPORT_ABUSE,
    REPORT_FRAUD,
    REPORT_VIRUS,
    REPORT_OPT_OUT,
    REPORT_OTHER,        /* also a type that is not known */
    REPORT_NOT_SPAM,     /* takes a complaint back */
    REPORT_AUTH_FAILURE, /* no complaint */
    REPORT_TYPES
};
extern const char *const report_type_names[REPORT_TYPES]; /* as Feedback-Type has them */

enum {
    REPORT_BYTES_MAX = 256 * 1024, /* so much of its beginning is read; attachments come behind */
    REPORT_PARTS_MAX = 64,
    REPORT_DEPTH_MAX = 8,
    REPORT_DOMAINS_MAX = 8,
    REPORT_TRACES_MAX = 16,
    REPORT_REFERENCES_MAX = 4,
    REPORT_INCIDENTS_MAX = 1000 * 1000,
};

/* A Received field: `host` took the message over as `id`. */
struct report_trace {
    const char *host, *id;
};

/* Of the message that is complained about. Lists in the order of its fields: the newest first. */
struct report_original {
    const char *references[REPORT_REFERENCES_MAX]; /* of the header that is asked for, as written */
    size_t reference_count;
    struct report_trace traces[REPORT_TRACES_MAX];
    size_t trace_count;
    const char *message_id; /* without angle brackets; NULL: there is none */
    const char *from;       /* the address that anybody can write there; NULL */
};

struct report {
    enum report_type type;
    uint32_t incidents;                      /* 1..REPORT_INCIDENTS_MAX */
    const char *domains[REPORT_DOMAINS_MAX]; /* that authenticated the report, in lower case */
    size_t domain_count;
    const char *sender;      /* the one address in From of the report, in key form; NULL: not known */
    const char *envelope_id; /* Original-Envelope-ID; NULL */
    struct report_original original;
};

enum report_read {
    REPORT_READ,
    REPORT_NONE,      /* mail of another kind */
    REPORT_NO_MESSAGE, /* a report that does not show whose message it is about */
    REPORT_TOO_MUCH,   /* deeper, or of more parts than is read; or larger, and what is read is no
                          report, or does not show whose message it is about */
};

/* Everything in *report_r lives in `arena`. authserv_id: whose Authentication-Results are believed;
 * NULL: nobody's. reference_header: its name. */
enum report_read report_read(struct arena *arena, const char *bytes, size_t length,
                             const char *authserv_id, const char *reference_header,
                             struct report *report_r) must_check;

#endif
