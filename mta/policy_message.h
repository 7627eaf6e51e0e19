/* From a request of Postfix to a submission: who sends, from where, to whom. */
#ifndef SENDGUARD_POLICY_MESSAGE_H
#define SENDGUARD_POLICY_MESSAGE_H

#include "base/problem.h"
#include "mta/collector.h"
#include "mta/policy_request.h"
#include "settings/settings.h"

enum policy_message_stage { STAGE_OTHER, STAGE_RCPT, STAGE_DATA, STAGE_END };

/* 1 and what is asked about; 0 with *problem when it is no request for us. */
int policy_message_stage(const struct policy_request *request, enum policy_message_stage *stage_r,
                         struct problem *problem) must_check;

/* Whether it is what a mailbox's filter sends on: nobody signed in, and it comes from a network of
 * mta.forwarding_networks, by a port that asks with policy_context=forwarding or with none. */
bool policy_message_forwards(const struct policy_request *request, const struct settings *settings);

/* Why a message is not judged, in a few words for the log; NULL: it is. */
const char *policy_message_passes(const struct policy_request *request,
                                  const struct settings *settings);

/* A recipient in key form, in `arena`; NULL when it cannot be read as an address. Postfix names it
 * without quotation marks: `john doe@x.test`. */
const char *policy_message_recipient(const struct policy_request *request, struct arena *arena);

/* recipient_count: 1 and *count_r; 0 with *problem: no number. At least 1, and what was collected
 * where Postfix does not say. */
int policy_message_count(const struct policy_request *request, const struct collected *collected,
                         uint32_t *count_r, struct problem *problem) must_check;

/* Everything but the recipients; `submission` is initialised. 1; 0 with *problem: the user's name
 * is no mailbox. Of what is forwarded the sender's address names the mailbox, without what stands
 * behind a '+' in it; 0 where there is none, or it is at no hosted domain. */
int policy_message_sender(const struct policy_request *request, const struct settings *settings,
                          struct submission *submission, struct problem *problem) must_check;

/* size: the bytes of a whole message. What is no number is not told. */
void policy_message_size(const struct policy_request *request, struct submission *submission);

/* The recipients of a message with `count` accepted ones (1..SUBMISSION_MAX_RECIPIENTS). Which of
 * the collected ones Postfix refused later is not known, so those outside the own domains come
 * first, each as often as it was named: never counts less than is sent. */
void policy_message_recipients(const struct policy_request *request,
                               const struct settings *settings,
                               const struct collected *collected, uint32_t count,
                               struct submission *submission);

#endif
