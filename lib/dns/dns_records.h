/* Records in zone-file form in the place of the DNS: A, AAAA, CNAME, MX, PTR and TXT. What other
 * types say is passed over. A name that is not there has nothing.
 * Source: RFC 1035, 5.1; a name without an $ORIGIN is a whole one, with or without a dot. */
#ifndef SENDGUARD_DNS_RECORDS_H
#define SENDGUARD_DNS_RECORDS_H

#include "base/problem.h"
#include "mail/spf.h"

struct dns_records;

/* Reads the text of a file, of which `file` is the name in faults. 1, all in `arena`; 0: *problem
 * says where ("FILE:3") and what. */
int dns_records_read(struct arena *arena, const char *file, struct mail_view text,
                     struct dns_records **records_r, struct problem *problem) must_check;

/* spf_resolver's look_up; `records` is a struct dns_records. CNAMEs that lead nowhere fail. Any
 * thread with an arena of its own. */
enum spf_lookup dns_records_look_up(void *records, struct arena *arena, const char *name,
                                    enum spf_type type, struct spf_found *found_r);

#endif
