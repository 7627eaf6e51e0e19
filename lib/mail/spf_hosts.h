/* Whether the SPF record of a domain lets the hosts that mail leaves from send for it, and what its
 * owner has to write if not. Pure but for the names that the caller looks up; any thread. */
#ifndef SENDGUARD_SPF_HOSTS_H
#define SENDGUARD_SPF_HOSTS_H

#include "mail/spf.h"

struct spf_host {
    const char *ip;
    struct spf_verdict verdict;
};

/* A domain that does not name all hosts has one of these; of several causes that of the first host
 * in their order. */
enum spf_advice {
    SPF_ADVISE_NOTHING,
    SPF_ADVISE_RECORD,     /* publish the record `terms` */
    SPF_ADVISE_ADD,        /* write `terms` into the record, before `term` if there is one */
    SPF_ADVISE_FRONT,      /* write `terms` first: at `term` of the record of `where` a receiver
                              stops with an error */
    SPF_ADVISE_ONE_RECORD, /* make one record of several, with `terms` in it */
    SPF_ADVISE_CORRECT,    /* correct `term`, and write `terms` before the last term */
    SPF_ADVICE_COUNT
};
/* "nothing", "record", … */
extern const char *const spf_advice_names[SPF_ADVICE_COUNT];
/* "two_records", …; NULL of SPF_NO_PROBLEM. */
extern const char *const spf_problem_names[SPF_NO_RECORD_THERE + 1];

struct spf_hosts {
    const char *domain;
    struct spf_host *hosts;
    size_t count;
    int names_us; /* 1 all of them; 0 not all; -1 nobody knows, since names could not be looked up,
                     and of no host it is known that it is not named */
    enum spf_advice advice; /* of 0 */
    const char *terms;      /* of the hosts that are not named: "ip4:192.0.2.1 ip6:2001:db8::1" */
    const char *term, *where;
};

/* Checks each of `count` (1 or more) IP addresses. A domain is looked at as a receiver does who
 * gets mail of its postmaster. All in `arena`, or the caller's. */
void spf_hosts_check(struct arena *arena, const char *domain, char *const *ips, size_t count,
                     const struct spf_resolver *resolver, struct spf_hosts *hosts_r);

#endif
