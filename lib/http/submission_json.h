/* A submission as text: its members by name, each with a limit, and the JSON object that
 * holds them. What the webmail endpoint, the API and the command line read alike. */
#ifndef SENDGUARD_SUBMISSION_JSON_H
#define SENDGUARD_SUBMISSION_JSON_H

#include <stdbool.h>

#include "base/problem.h"
#include "message/submission.h"

struct json_object;

enum submission_member {
    MEMBER_ID,
    MEMBER_MAILBOX,
    MEMBER_IP,
    MEMBER_FROM,
    MEMBER_LANG,
    MEMBER_TZ,
    MEMBER_TO,
    MEMBER_CC,
    MEMBER_BCC,
    SUBMISSION_MEMBERS,
};

/* One row a member: its name, and how long its text may be before submission.h looks closer. */
struct submission_member_info {
    const char *name;
    size_t max_bytes;
};
extern const struct submission_member_info submission_json_members[SUBMISSION_MEMBERS];

/* Whether it is one of to, cc, bcc, whose values add up; their field. */
bool submission_json_is_list(enum submission_member member);
enum field submission_json_field(enum submission_member list);

/* What a submission says of its sender, as sent, without control characters; for
 * the reader to believe or not. In the submission's arena; NULL when absent. */
struct submission_claims {
    const char *mailbox, *ip;
};

/* A member's text, complete. 1; or 0 with *problem (400, 413). */
int submission_json_set(struct submission *submission, enum submission_member member,
                        const char *text, size_t length, struct submission_claims *claims,
                        struct problem *problem) must_check;

/* All members of an object. Each is a string, null or absent; to, cc and bcc are also arrays of
 * strings with one recipient each. Other names are passed over. Mailbox and IP are not set but
 * claimed. 1; or 0 with *problem: where = "to[3]", "lang". */
int submission_json_read(struct submission *submission, struct json_object *object,
                         struct submission_claims *claims_r, struct problem *problem) must_check;

/* The same of an object that a webmail reads too, for to, cc and bcc alone, and `locale`, as SOGo calls
 * the language that its user has chosen: passed over unless it is a tag. What webmails read
 * otherwise than we do is refused: SOGo takes what is in the first < > for the address, also in quotation
 * marks and comments, so an entry of an array has them once, around its address, at its end. */
int submission_json_read_recipients(struct submission *submission, struct json_object *object,
                                    struct problem *problem) must_check;

#endif
