/* Names of the DNS as mail/spf.h asks for them, by libunbound: it follows CNAMEs, asks by TCP where
 * an answer is too long, and keeps answers as long as their TTL says, a day at most. Whether an
 * answer is signed (DNSSEC) is left to the resolvers that it asks. */
#ifndef SENDGUARD_DNS_H
#define SENDGUARD_DNS_H

#include "base/problem.h"
#include "mail/spf.h"

struct dns;

/* Asks `count` resolvers, "ADDRESS" or "ADDRESS@PORT" each; with 0 of them those of
 * /etc/resolv.conf, as it is now. 1; 0: *problem says why not. One thread each. */
int dns_new(char *const *resolvers, size_t count, struct dns **dns_r, struct problem *problem)
    must_check;
void dns_free(struct dns **dns);

/* All that is looked up from here on has so much time together: what has none left fails. */
void dns_begin(struct dns *dns, int timeout_ms);

/* spf_resolver's look_up; `dns` is a struct dns. Records that do not have the form of their type,
 * and names with signs that no name of a host has, are left out. */
enum spf_lookup dns_look_up(void *dns, struct arena *arena, const char *name, enum spf_type type,
                            struct spf_found *found_r);

/* How long all that was answered since dns_begin holds: the least TTL of it; INT64_MAX: nothing
 * was. */
int64_t dns_ttl_ms(const struct dns *dns);

#endif
