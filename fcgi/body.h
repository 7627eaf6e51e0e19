/* Reads a request's body, piece by piece, into a submission. Three kinds:
 * application/json, application/x-www-form-urlencoded, multipart/form-data.
 * Memory is bounded whatever comes: fields that are not ours (the message text,
 * attachments) are skipped as they pass; ours have limits (submission.h). No
 * FastCGI here: tests and fuzzers feed it directly.
 *
 * Names: id, mailbox, ip, from, lang, to, cc, bcc; in forms also Roundcube's
 * _to, _cc, _bcc, _from, _draft, _action, _charset. Repeated to, cc, bcc add up;
 * any other name of ours given twice is an error, so that two readers of one
 * body cannot differ. A _from without an @ is an identity's number; a _charset
 * other than UTF-8 is refused, since Roundcube would read other recipients.
 * (_saveonly is not among them: Roundcube takes it from the URL alone, and
 * sends the message when only the body has it.) */
#ifndef SENDGUARD_BODY_H
#define SENDGUARD_BODY_H

#include <stdbool.h>

#include "base/problem.h"
#include "message/submission.h"

enum {
    BODY_MAX_JSON_BYTES = 4 * 1024 * 1024,
    BODY_MAX_FIELDS = 10000,    /* of a form, or parts, files included */
    BODY_MAX_PHP_FIELDS = 1000, /* PHP drops what comes behind (max_input_vars), a _draft too */
};

/* What the body says of its sender; for the endpoint to believe or not. */
struct body_claims {
    const char *mailbox; /* as sent, at most ADDRESS_MAX_BYTES; NULL when absent */
    const char *ip;      /* as sent; NULL when absent */
    bool draft; /* Roundcube's _draft is set and _action is send: nothing is sent. Other actions
                 * (bounce) send all the same, and a cookie named _action goes before the body's */
};

struct body;

/* A reader for `content_type` that fills `submission` (from its arena). With
 * `php_names`, form field names are read as PHP reads them (leading spaces go;
 * space, dot and an unclosed '[' become '_'; "_to[x]" is _to), because the webmail behind
 * will, and _to, _cc, _bcc without any @ are passed over: other actions of
 * Roundcube have them. Of JSON it then reads what
 * submission_json_read_recipients does, and what strings hold in other members (a text with
 * pictures) is not kept. 1; or 0 with *problem: 415 for another type, 400 for a multipart without a
 * usable boundary. */
int body_new(struct submission *submission, const char *content_type, bool php_names,
             struct body **body_r, struct problem *problem) must_check;

/* The next piece. 1; or 0 with *problem (400, 413), and then the rest need not
 * be given (the endpoint drains it). */
int body_add(struct body *body, const char *bytes, size_t length, struct problem *problem)
    must_check;

/* The body is complete: 1 with the submission filled, or 0 with *problem (a
 * JSON that is cut off, a multipart without its end, a field of a wrong type). */
int body_end(struct body *body, struct body_claims *claims_r, struct problem *problem) must_check;

void body_free(struct body **body);

#endif
