/* What pages show of sign-ins beside the facts of desk.h: for users and for staff alike. */
#ifndef SENDGUARD_LOGINS_PAGES_H
#define SENDGUARD_LOGINS_PAGES_H

#include "web/web.h"

/* To each KNOWN of desk_logins or desk_logins_own: "protocols_text":"IMAP, SMTP". */
void logins_pages_add_protocols(struct exchange *exchange, struct json_object *known);

#endif
