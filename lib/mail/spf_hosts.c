#include "mail/spf_hosts.h"

#include <strings.h>

const char *const spf_advice_names[SPF_ADVICE_COUNT] = {
    [SPF_ADVISE_NOTHING] = "nothing", [SPF_ADVISE_RECORD] = "record",
    [SPF_ADVISE_ADD] = "add",         [SPF_ADVISE_FRONT] = "front",
    [SPF_ADVISE_ONE_RECORD] = "one_record", [SPF_ADVISE_CORRECT] = "correct"};

const char *const spf_problem_names[] = {
    [SPF_NO_PROBLEM] = NULL,
    [SPF_TWO_RECORDS] = "two_records",
    [SPF_BAD_TERM] = "bad_term",
    [SPF_REPEATED_TERM] = "repeated_term",
    [SPF_TOO_MANY_TERMS] = "too_many_terms",
    [SPF_TOO_MANY_VOID] = "too_many_void",
    [SPF_TOO_MANY_HOSTS] = "too_many_hosts",
    [SPF_NO_RECORD_THERE] = "no_record_there"};

static bool is_named(const struct spf_host *host) { return host->verdict.result == SPF_PASS; }
static bool is_unknown(const struct spf_host *host)
{
    return host->verdict.result == SPF_TEMPERROR;
}

/* What is wrong in the domain's own record is so wherever a term stands; an error at a look-up is
 * met only by a receiver that comes there. */
static enum spf_advice advice_for(const char *domain, const struct spf_verdict *verdict)
{
    bool own = strcasecmp(verdict->domain, domain) == 0;
    switch (verdict->result) {
    case SPF_NONE: return SPF_ADVISE_RECORD;
    case SPF_PERMERROR: break;
    default: return SPF_ADVISE_ADD;
    }
    if (own && verdict->problem == SPF_TWO_RECORDS)
        return SPF_ADVISE_ONE_RECORD;
    if (own && (verdict->problem == SPF_BAD_TERM || verdict->problem == SPF_REPEATED_TERM))
        return SPF_ADVISE_CORRECT;
    return SPF_ADVISE_FRONT;
}

static const char *terms_of(struct arena *arena, const struct spf_hosts *hosts)
{
    const char *terms = "";
    for (size_t i = 0; i < hosts->count; i++) {
        const struct spf_host *host = &hosts->hosts[i];
        if (!is_named(host) && !is_unknown(host))
            terms = arena_printf(arena, "%s%s%s:%s", terms, *terms != '\0' ? " " : "",
                                 strchr(host->ip, ':') != NULL ? "ip6" : "ip4", host->ip);
    }
    return terms;
}

static void advise(struct arena *arena, struct spf_hosts *hosts)
{
    const struct spf_host *first = hosts->hosts;
    while (is_named(first) || is_unknown(first))
        first++;
    const struct spf_verdict *verdict = &first->verdict;
    hosts->advice = advice_for(hosts->domain, verdict);
    hosts->terms = terms_of(arena, hosts);
    hosts->where = verdict->domain;
    hosts->term = verdict->term;
    if (hosts->advice == SPF_ADVISE_RECORD)
        hosts->terms = arena_printf(arena, "v=spf1 %s ~all", hosts->terms);
    if (hosts->advice == SPF_ADVISE_ADD && strcasecmp(verdict->domain, hosts->domain) != 0)
        hosts->term = NULL; /* of a record that is asked only when no term of its own matches */
}

void spf_hosts_check(struct arena *arena, const char *domain, char *const *ips, size_t count,
                     const struct spf_resolver *resolver, struct spf_hosts *hosts_r)
{
    struct spf_request request = {.domain = domain, .helo = domain,
                                  .sender = arena_printf(arena, "postmaster@%s", domain)};
    bool bad = false, unknown = false;
    *hosts_r = (struct spf_hosts){.domain = domain, .count = count,
                                  .hosts = arena_alloc(arena, count * sizeof *hosts_r->hosts)};
    for (size_t i = 0; i < count; i++) {
        struct spf_host *host = &hosts_r->hosts[i];
        host->ip = ips[i];
        if (spf_ip_read(ips[i], &request.ip) == 1)
            spf_check(arena, &request, resolver, &host->verdict);
        bad = bad || (!is_named(host) && !is_unknown(host));
        unknown = unknown || is_unknown(host);
    }
    hosts_r->names_us = bad ? 0 : unknown ? -1 : 1;
    if (bad)
        advise(arena, hosts_r);
}
