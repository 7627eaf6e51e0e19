/* What pages show of mail that fails beside the facts of desk.h: for users and for staff alike. */
#ifndef SENDGUARD_FAILURE_PAGES_H
#define SENDGUARD_FAILURE_PAGES_H

#include "web/web.h"

enum { FAILURE_PAGES_MAILBOXES = 20 };

/* To FAILURES or to the "block" of desk_status (NULL is passed over): "window_minutes":60,
 * "classes":[{"class":…,"recipients":3,"title":…,"advice":…}…] most first in the place of
 * "by_class", of "left_out" each "outage":true or "ours":true, FAILURE_PAGES_MAILBOXES of
 * "by_mailbox" with "more_mailboxes":3. */
void failure_pages_add(struct exchange *exchange, struct json_object *failures);
/* The same to the "failures" of a domain's view: "grouped":bool (it is counted under another name);
 * and to the view "liftable":bool. */
void failure_pages_add_to_domain(struct exchange *exchange, struct json_object *view);

#endif
