/* Reads Postfix's policy delegation protocol: "name=value" lines, an empty line behind the last
 * (SMTPD_POLICY_README). In pieces of any size, as they come from a socket, and within bounds.
 * Attributes in any order; those that the service does not read are passed over. Pure: no I/O. */
#ifndef SENDGUARD_POLICY_REQUEST_H
#define SENDGUARD_POLICY_REQUEST_H

#include "base/base.h"
#include "base/problem.h"

enum {
    POLICY_REQUEST_MAX_BYTES = 64 * 1024, /* a request of Postfix has about 700 */
    POLICY_LINE_MAX_BYTES = 4 * 1024,     /* Postfix takes SMTP lines of 2 KiB */
    POLICY_KEPT_BYTES = 2 * 1024,         /* memory that an idle connection keeps at most */
};

enum policy_attribute {
    POLICY_REQUEST,
    POLICY_PROTOCOL_STATE,
    POLICY_CLIENT_ADDRESS,
    POLICY_SENDER,
    POLICY_RECIPIENT,
    POLICY_RECIPIENT_COUNT,
    POLICY_QUEUE_ID,
    POLICY_INSTANCE,
    POLICY_SIZE,
    POLICY_SASL_USERNAME,
    POLICY_CONTEXT,
    POLICY_ATTRIBUTES
};

/* Begins as {0}; freed by policy_request_free. */
struct policy_request {
    char *bytes; /* as they came, a NUL in the place of each line feed */
    size_t length, capacity, line_at;
    uint32_t value_at[POLICY_ATTRIBUTES]; /* 0: was not there */
};

/* Takes what of `bytes` belongs to the request, which is *used_r. 1 the request is complete;
 * 0 more has to come; -1 it is wrong, and nothing behind it can be trusted: *problem says what
 * and in which line. Wrong is what is over the limits above, holds a NUL, has a line without a
 * "=" or without a name, or says twice what the service reads. */
int policy_request_add(struct policy_request *request, const char *bytes, size_t length,
                       size_t *used_r, struct problem *problem) must_check;

/* A value of a complete request, "" when it was not there. Until it is cleared. */
const char *policy_request_value(const struct policy_request *request,
                                 enum policy_attribute attribute);
/* The same and its length. */
size_t policy_request_length(const struct policy_request *request,
                             enum policy_attribute attribute);

/* Whether some of a request is there, and not all of it. */
int policy_request_begun(const struct policy_request *request);

/* Ready for the next one; keeps at most POLICY_KEPT_BYTES. */
void policy_request_clear(struct policy_request *request);
void policy_request_free(struct policy_request *request);

#endif
