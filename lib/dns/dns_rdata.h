/* The content of a record, from the form that it has on the wire without compression to the one of
 * mail/spf.h. Source: RFC 1035, 3.3; RFC 3596; RFC 7208, 3.3 (strings of TXT in a row). */
#ifndef SENDGUARD_DNS_RDATA_H
#define SENDGUARD_DNS_RDATA_H

#include "mail/spf.h"

/* 1, in `arena`; 0: it is none of that type, or has a name that none of a host is. */
int dns_rdata_read(struct arena *arena, enum spf_type type, struct mail_view rdata,
                   struct mail_view *record_r) must_check;

#endif
