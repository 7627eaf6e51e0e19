/* Sign-ins on pages: what stands there beside the facts of desk.h, for users and for staff alike; and
 * the desk's pages about them. */
#ifndef SENDGUARD_LOGINS_PAGES_H
#define SENDGUARD_LOGINS_PAGES_H

#include "web/web.h"

/* To each KNOWN of desk_logins or desk_logins_own: "protocols_text":"IMAP, SMTP". */
void logins_pages_add_protocols(struct exchange *exchange, struct json_object *known);

/* "signins" of a mailbox or of an IP, one of both: desk_logins with the texts and "observes":bool,
 * "closed":bool (something holds), "ready":bool (from ready_at on), "last":KNOWN|null (where the
 * mailbox was signed in to last). Absent where nothing was ever seen. 1 or -1. */
int logins_pages_add(struct exchange *exchange, const char *mailbox, const char *ip,
                     struct json_object *view) must_check;

/* To "logins" of the first page: "any":bool, something is closed. */
void logins_pages_add_to_home(struct json_object *view);

/* Routes (web.h). */
int logins_pages_view(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem) must_check;
int logins_pages_end(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem) must_check;

#endif
