/* What pages show of delivery beside the facts of desk.h: for users and for staff alike. */
#ifndef SENDGUARD_DELIVERY_PAGES_H
#define SENDGUARD_DELIVERY_PAGES_H

#include "web/web.h"

enum { DELIVERY_PAGES_RECIPIENTS = 200 };

/* To a TRACE: "title" and "advice" at each class; the recipients come in the order of what went worst,
 * DELIVERY_PAGES_RECIPIENTS at most, without a "code" that stands in their "text" too;
 * "more_recipients" is how many others there are; and
 *   "sum":{"recipients":3,"delivered":2,"failed":1 (given up ones too),"deferred":0,"pending":0,
 *     "discarded":0,"all":bool (delivered),"nothing":bool (no recipient is known),
 *     "single":null|{"outcome":…} of a message to one,
 *     "title":null|"…","advice":null|"…" of the most frequent class among the worst outcomes,
 *     "others":bool (there are other classes among them),
 *     "look":"ok"|"warn"|"bad"|"note"} */
void delivery_pages_trace(struct exchange *exchange, struct json_object *trace);

/* The view of desk_delivery or desk_delivery_domain (NULL is passed over): the words, the traces of
 * which `at_most` stay ("cut":true when there were more), and
 *   "tally":{"days":10,"messages":12,"delivered":9,"failed":2,"deferred":1,"discarded":0} */
void delivery_pages_sums(struct exchange *exchange, struct json_object *view, size_t at_most);

/* What became of mail to pasted addresses, "asked" of a page: one a line, or with commas,
 * semicolons or blanks between them; "Name <address>" too. An address that is there twice, in small
 * letters or large ones, is told and counted once; a "code" that stands in the "text" not at all.
 * {"addresses":5,"failed":[{"address":…,OUTCOME with words}…],"deferred":[…],"delivered":[…],
 *  "unknown":[…] (no mail of the mailbox is known to have gone there, or still on the way),
 *  "no_address":[…]; of each list "NAME_count", when it has more than DELIVERY_PAGES_RECIPIENTS too}
 * or {"problem_none":true}, {"problem_many":true}. 1; 0 with *problem; -1. */
int delivery_pages_asked(struct exchange *exchange, const char *mailbox, const char *pasted,
                         struct json_object **asked_r, struct problem *problem) must_check;

#endif
