/* Whether the SPF record of a domain lets a host send its mail: what a receiver would find. Pure
 * but for the names that the caller looks up; any thread.
 * Source: RFC 7208. The explanation (exp=) is not fetched. */
#ifndef SENDGUARD_SPF_H
#define SENDGUARD_SPF_H

#include <stdbool.h>

#include "base/arena.h"
#include "mail/mail_view.h"

enum spf_result {
    SPF_NONE, /* the domain has no record, or is no domain name */
    SPF_NEUTRAL,
    SPF_PASS,
    SPF_FAIL,
    SPF_SOFTFAIL,
    SPF_TEMPERROR, /* a name could not be looked up: nobody knows */
    SPF_PERMERROR, /* the record cannot be evaluated: `problem` says why */
    SPF_RESULT_COUNT
};
extern const char *const spf_result_names[SPF_RESULT_COUNT]; /* "none", "neutral", … */

enum spf_problem {
    SPF_NO_PROBLEM,
    SPF_TWO_RECORDS,
    SPF_BAD_TERM,        /* the term cannot be read */
    SPF_REPEATED_TERM,   /* a second redirect or exp */
    SPF_TOO_MANY_TERMS,  /* more than SPF_LOOKUPS_MAX that look something up */
    SPF_TOO_MANY_VOID,   /* more than SPF_VOID_MAX names that there are not */
    SPF_TOO_MANY_HOSTS,  /* more than SPF_HOSTS_MAX of an mx */
    SPF_NO_RECORD_THERE, /* of an include or redirect */
};
enum { SPF_LOOKUPS_MAX = 10, SPF_VOID_MAX = 2, SPF_HOSTS_MAX = 10 };

struct spf_ip {
    bool is_v6;
    uint8_t bytes[16]; /* of IPv4 the first 4 */
};
/* 1; 0: it is no IP address. An IPv4 address within IPv6 (::ffff:192.0.2.1) is one of IPv4. */
int spf_ip_read(const char *text, struct spf_ip *ip_r) must_check;

enum spf_type { SPF_TYPE_A, SPF_TYPE_AAAA, SPF_TYPE_MX, SPF_TYPE_PTR, SPF_TYPE_TXT };
enum spf_lookup {
    SPF_LOOKUP_FOUND,
    SPF_LOOKUP_VOID,   /* there is no such name, or it has nothing of that type */
    SPF_LOOKUP_FAILED, /* nobody answered, or not with an answer */
};
/* Of SPF_TYPE_A 4 bytes each, of AAAA 16, of MX and PTR a name, of TXT its strings in a row. */
struct spf_found {
    struct mail_view *of;
    size_t count;
};

/* Looks a name up: `name` is a domain name without the root's dot. On SPF_LOOKUP_FOUND there is at
 * least one; it lives in `arena`. CNAMEs are followed by it. */
struct spf_resolver {
    enum spf_lookup (*look_up)(void *self, struct arena *arena, const char *name,
                               enum spf_type type, struct spf_found *found_r);
    void *self;
};

struct spf_request {
    struct spf_ip ip;
    const char *domain; /* whose record is asked for */
    const char *sender; /* an address; without a local part it is postmaster's */
    const char *helo;   /* for %{h} */
};

struct spf_verdict {
    enum spf_result result;
    enum spf_problem problem;
    const char *term;   /* that decided, or is wrong, as it is written; NULL: none did. Of the
                           domain's own record, or of one that it redirects to; what is wrong may be
                           in one that is included */
    const char *domain; /* whose record that is */
};

/* What *verdict_r points to lives in `arena` or is the request's. */
void spf_check(struct arena *arena, const struct spf_request *request,
               const struct spf_resolver *resolver, struct spf_verdict *verdict_r);

#endif
