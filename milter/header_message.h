/* One message of somebody who signed in, as its envelope and its header come in, piece by piece,
 * and the judgement of them. Knows no milter protocol. What a message may make the program keep is
 * bounded: further recipients and fields are not kept, and such a message is refused where a rule
 * asks for them. */
#ifndef SENDGUARD_HEADER_MESSAGE_H
#define SENDGUARD_HEADER_MESSAGE_H

#include "guard/guard.h"
#include "guard/recorder.h"
#include "guard/smtp_reply.h"
#include "guard/store_watch.h"

enum {
    HEADER_FIELDS_MAX = 100,              /* From, To and Cc lines */
    HEADER_KEPT_MAX_BYTES = 1024 * 1024,  /* of them; Postfix hands on 100 KB of a header */
    HEADER_ENVELOPE_MAX = SUBMISSION_MAX_RECIPIENTS,
    HEADER_REPLY_MAX_BYTES = 480, /* of a line, beside "550-5.7.1 " in an SMTP line of 512 */
};

/* What all connections share; everything in it stays the caller's. */
struct header_service {
    struct guard *guard;
    struct store *store;
    struct recorder *recorder; /* NULL: nobody watches */
    struct store_watch store_watch;
};

struct header_message;

/* Who hands the message in, as the mail server says it. */
struct header_sender {
    const char *user;    /* "": nobody signed in */
    const char *client;  /* address; "" or no address: not known */
    const char *address; /* of the envelope, "<a@b.test>" */
};

/* Whether the message has to be read: 1 and *message_r; 0 nothing in its header is judged. */
int header_message_begin(struct header_service *service, const struct header_sender *sender,
                         int64_t now_ms, struct header_message **message_r) must_check;
void header_message_free(struct header_message **message);

/* A recipient that the mail server took, "<a@b.test>". */
void header_message_add_recipient(struct header_message *message, const char *recipient);
/* A field as it came, folded or not. Fields that nothing asks for are passed over. */
void header_message_add_field(struct header_message *message, const char *name, const char *value);

enum header_answer { HEADER_PASS, HEADER_REFUSE };

/* The header is whole. REFUSE: *lines_r is what the sender is told, in the message's memory; what
 * the policy service counted is taken back already. */
enum header_answer header_message_judge(struct header_service *service,
                                        struct header_message *message, const char *queue_id,
                                        int64_t now_ms, struct smtp_reply_lines *lines_r);

#endif
