/* The terms of an SPF record. Inside of spf.c. Source: RFC 7208, 4.6.1 and 12. */
#ifndef SENDGUARD_SPF_RECORD_H
#define SENDGUARD_SPF_RECORD_H

#include "mail/spf.h"

enum spf_kind {
    SPF_ALL, SPF_INCLUDE, SPF_HOST, SPF_MAIL_HOSTS, SPF_REVERSE, SPF_IP4, SPF_IP6, SPF_EXISTS,
    SPF_REDIRECT, SPF_EXPLANATION, SPF_UNKNOWN_MODIFIER
};

struct spf_term {
    enum spf_kind kind;
    enum spf_result result; /* of a mechanism, when it matches */
    const char *text;       /* as it is written */
    const char *domain;     /* a macro string; NULL: the domain that is checked */
    int bits4, bits6;       /* of the network that matches */
    struct spf_ip network;  /* of ip4 and ip6 */
};

/* Whether a text of the DNS is a record of this version. */
bool spf_record_is(struct mail_view text);
/* Its terms, in `arena`. 1; 0: one of them cannot be read (*wrong_r, as it is written). */
int spf_record_read(struct arena *arena, struct mail_view text, struct spf_term **terms_r,
                    size_t *count_r, const char **wrong_r) must_check;

/* ---- macros ---- */

struct spf_macros {
    const struct spf_request *request;
    const char *domain; /* that is checked now */
    const char *(*validated)(void *self); /* the name of %{p} */
    void *self;
};
/* Whether a macro string can be expanded: outside of explanations. */
bool spf_macro_is_right(const char *text);
/* Expands one that is right. */
const char *spf_macro_expand(struct arena *arena, const char *text,
                             const struct spf_macros *macros);

#endif
