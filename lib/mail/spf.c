#include "mail/spf.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "mail/spf_record.h"

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };
#define NOBODY "unknown" /* the name of a host that has none */

const char *const spf_result_names[SPF_RESULT_COUNT] = {
    [SPF_NONE] = "none", [SPF_NEUTRAL] = "neutral", [SPF_PASS] = "pass", [SPF_FAIL] = "fail",
    [SPF_SOFTFAIL] = "softfail", [SPF_TEMPERROR] = "temperror", [SPF_PERMERROR] = "permerror"};

/* A check and those that its record includes. */
struct spf_checking {
    struct arena *arena;
    const struct spf_request *request;
    const struct spf_resolver *resolver;
    int lookups, voids;
};

/* The record of one domain. */
struct spf_evaluation {
    struct spf_checking *checking;
    const char *domain;
    struct spf_verdict *verdict;
};

/* Answers of what looks names up: it is so, it is not, or `verdict` has an error. */
enum spf_match { SPF_NO, SPF_YES, SPF_ERROR };

static void check_domain(struct spf_checking *checking, const char *domain,
                         struct spf_verdict *verdict_r);

static enum spf_match permanent(const struct spf_evaluation *evaluation, enum spf_problem problem)
{
    evaluation->verdict->result = SPF_PERMERROR;
    evaluation->verdict->problem = problem;
    return SPF_ERROR;
}

static enum spf_match temporary(const struct spf_evaluation *evaluation)
{
    evaluation->verdict->result = SPF_TEMPERROR;
    return SPF_ERROR;
}

/* ---- names -------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        if (label == 0 || label > LABEL_MAX_BYTES)
            return false;
        name += label + (name[label] == '.');
    }
    return length > 0 && length <= NAME_MAX_BYTES + 1;
}

static const char *without_root(struct arena *arena, const char *name)
{
    size_t length = strlen(name);
    return length > 0 && name[length - 1] == '.' ? arena_strndup(arena, name, length - 1) : name;
}

/* A name that is too long loses labels on the left. */
static const char *shortened(const char *name)
{
    while (strlen(name) > NAME_MAX_BYTES && strchr(name, '.') != NULL)
        name = strchr(name, '.') + 1;
    return name;
}

static bool is_below(const char *name, const char *domain)
{
    size_t length = strlen(name), of_domain = strlen(domain);
    return length > of_domain && name[length - of_domain - 1] == '.' &&
           strcasecmp(name + length - of_domain, domain) == 0;
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* What is no name is nowhere. */
static enum spf_lookup look_up(struct spf_checking *checking, const char *name, enum spf_type type,
                               struct spf_found *found_r)
{
    *found_r = (struct spf_found){0};
    if (!is_name(name))
        return SPF_LOOKUP_VOID;
    return checking->resolver->look_up(checking->resolver->self, checking->arena, name, type,
                                       found_r);
}

/* The same for a term: SPF_YES with what was found. */
static enum spf_match look_for(const struct spf_evaluation *evaluation, const char *name,
                               enum spf_type type, struct spf_found *found_r)
{
    struct spf_checking *checking = evaluation->checking;
    enum spf_lookup looked = look_up(checking, name, type, found_r);
    if (looked == SPF_LOOKUP_FAILED)
        return temporary(evaluation);
    if (looked == SPF_LOOKUP_VOID && ++checking->voids > SPF_VOID_MAX)
        return permanent(evaluation, SPF_TOO_MANY_VOID);
    return looked == SPF_LOOKUP_FOUND ? SPF_YES : SPF_NO;
}

static bool same_network(const uint8_t *one, const uint8_t *other, int bits)
{
    int rest = bits % 8, whole = bits / 8;
    return memcmp(one, other, (size_t)whole) == 0 &&
           (rest == 0 || (one[whole] ^ other[whole]) >> (8 - rest) == 0);
}

static bool is_among(const struct spf_ip *ip, const struct spf_found *found, int bits)
{
    for (size_t i = 0; i < found->count; i++)
        if (found->of[i].length == (ip->is_v6 ? 16 : 4) &&
            same_network(ip->bytes, (const uint8_t *)found->of[i].text, bits))
            return true;
    return false;
}

static enum spf_type address_type(const struct spf_ip *ip)
{
    return ip->is_v6 ? SPF_TYPE_AAAA : SPF_TYPE_A;
}

static enum spf_match host_matches(const struct spf_evaluation *evaluation, const char *name,
                                   const struct spf_term *term)
{
    const struct spf_ip *ip = &evaluation->checking->request->ip;
    struct spf_found found;
    enum spf_match match = look_for(evaluation, name, address_type(ip), &found);
    return match != SPF_YES                                                   ? match
           : is_among(ip, &found, ip->is_v6 ? term->bits6 : term->bits4) ? SPF_YES
                                                                              : SPF_NO;
}

static enum spf_match mail_hosts_match(const struct spf_evaluation *evaluation, const char *name,
                                       const struct spf_term *term)
{
    struct arena *arena = evaluation->checking->arena;
    struct spf_found hosts;
    enum spf_match match = look_for(evaluation, name, SPF_TYPE_MX, &hosts);
    if (match != SPF_YES)
        return match;
    if (hosts.count > SPF_HOSTS_MAX)
        return permanent(evaluation, SPF_TOO_MANY_HOSTS);
    match = SPF_NO;
    for (size_t i = 0; i < hosts.count && match == SPF_NO; i++)
        if (hosts.of[i].length > 0) /* else: it takes no mail */
            match = host_matches(
                evaluation, arena_strndup(arena, hosts.of[i].text, hosts.of[i].length), term);
    return match;
}

/* A name of the IP that leads back to it: below `target` (NULL: the best one for %{p}), else NULL. */
static const char *validated_name(struct spf_checking *checking, const char *domain,
                                  const char *target)
{
    const struct spf_ip *ip = &checking->request->ip;
    const struct spf_macros macros = {.request = checking->request, .domain = domain};
    const char *reverse = spf_macro_expand(checking->arena, ip->is_v6 ? "%{ir}.ip6.arpa"
                                                                      : "%{ir}.in-addr.arpa",
                                           &macros);
    const char *best = NULL;
    struct spf_found names, addresses;
    if (look_up(checking, reverse, SPF_TYPE_PTR, &names) != SPF_LOOKUP_FOUND)
        return NULL;
    for (size_t i = 0; i < names.count && i < SPF_HOSTS_MAX; i++) {
        const char *name = arena_strndup(checking->arena, names.of[i].text, names.of[i].length);
        const char *wanted = target != NULL ? target : domain;
        bool same = strcasecmp(name, wanted) == 0, below = is_below(name, wanted);
        if ((target != NULL && !same && !below) || (best != NULL && !same && !below) ||
            look_up(checking, name, address_type(ip), &addresses) != SPF_LOOKUP_FOUND ||
            !is_among(ip, &addresses, ip->is_v6 ? 128 : 32))
            continue;
        if (same || target != NULL)
            return name;
        if (best == NULL || !is_below(best, wanted))
            best = name;
    }
    return best;
}

static const char *validated(void *self)
{
    const struct spf_evaluation *evaluation = self;
    const char *name = validated_name(evaluation->checking, evaluation->domain, NULL);
    return name != NULL ? name : NOBODY;
}

/* ---- terms ------------------------------------------------------------------------------------ */

static const char *target_of(struct spf_evaluation *evaluation, const struct spf_term *term)
{
    struct arena *arena = evaluation->checking->arena;
    const struct spf_macros macros = {evaluation->checking->request, evaluation->domain, validated,
                                      evaluation};
    if (term->domain == NULL)
        return evaluation->domain;
    return shortened(without_root(arena, spf_macro_expand(arena, term->domain, &macros)));
}

/* Of the other record: pass is a match, an error is one here too. */
static enum spf_match includes(const struct spf_evaluation *evaluation, const char *domain)
{
    struct spf_verdict included;
    check_domain(evaluation->checking, domain, &included);
    if (included.result == SPF_NONE)
        return permanent(evaluation, SPF_NO_RECORD_THERE);
    if (included.result != SPF_TEMPERROR && included.result != SPF_PERMERROR)
        return included.result == SPF_PASS ? SPF_YES : SPF_NO;
    *evaluation->verdict = included;
    return SPF_ERROR;
}

static bool looks_up(enum spf_kind kind)
{
    return kind == SPF_INCLUDE || kind == SPF_HOST || kind == SPF_MAIL_HOSTS ||
           kind == SPF_REVERSE || kind == SPF_EXISTS || kind == SPF_REDIRECT;
}

static enum spf_match matches(struct spf_evaluation *evaluation, const struct spf_term *term)
{
    struct spf_checking *checking = evaluation->checking;
    const struct spf_ip *ip = &checking->request->ip;
    struct spf_found found;
    if (looks_up(term->kind) && ++checking->lookups > SPF_LOOKUPS_MAX)
        return permanent(evaluation, SPF_TOO_MANY_TERMS);
    switch (term->kind) {
    case SPF_ALL:
        return SPF_YES;
    case SPF_INCLUDE:
        return includes(evaluation, target_of(evaluation, term));
    case SPF_HOST:
        return host_matches(evaluation, target_of(evaluation, term), term);
    case SPF_MAIL_HOSTS:
        return mail_hosts_match(evaluation, target_of(evaluation, term), term);
    case SPF_REVERSE:
        return validated_name(checking, evaluation->domain, target_of(evaluation, term)) != NULL
                   ? SPF_YES
                   : SPF_NO;
    case SPF_IP4:
    case SPF_IP6:
        return ip->is_v6 == (term->kind == SPF_IP6) &&
                       same_network(ip->bytes, term->network.bytes,
                                    ip->is_v6 ? term->bits6 : term->bits4)
                   ? SPF_YES
                   : SPF_NO;
    case SPF_EXISTS:
        return look_for(evaluation, target_of(evaluation, term), SPF_TYPE_A, &found);
    default: /* a modifier */
        return SPF_NO;
    }
}

/* ---- records ---------------------------------------------------------------------------------- */

static const struct spf_term *find_modifier(const struct spf_evaluation *evaluation,
                                            const struct spf_term *terms, size_t count,
                                            enum spf_kind kind)
{
    const struct spf_term *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (terms[i].kind == kind) {
            if (found != NULL) {
                evaluation->verdict->term = terms[i].text;
                permanent(evaluation, SPF_REPEATED_TERM);
            }
            found = &terms[i];
        }
    return found;
}

static void redirect(struct spf_evaluation *evaluation, const struct spf_term *term)
{
    struct spf_checking *checking = evaluation->checking;
    evaluation->verdict->term = term->text;
    if (++checking->lookups > SPF_LOOKUPS_MAX) {
        permanent(evaluation, SPF_TOO_MANY_TERMS);
        return;
    }
    struct spf_verdict there;
    check_domain(checking, target_of(evaluation, term), &there);
    if (there.result == SPF_NONE)
        permanent(evaluation, SPF_NO_RECORD_THERE);
    else
        *evaluation->verdict = there;
}

static void evaluate(struct spf_evaluation *evaluation, struct mail_view record)
{
    struct spf_verdict *verdict = evaluation->verdict;
    struct spf_term *terms;
    size_t count;
    if (!spf_record_read(evaluation->checking->arena, record, &terms, &count, &verdict->term)) {
        permanent(evaluation, SPF_BAD_TERM);
        return;
    }
    verdict->term = NULL;
    verdict->result = SPF_NEUTRAL;
    const struct spf_term *other = find_modifier(evaluation, terms, count, SPF_REDIRECT);
    find_modifier(evaluation, terms, count, SPF_EXPLANATION);
    if (verdict->result != SPF_NEUTRAL)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct spf_verdict before = *verdict;
        verdict->term = terms[i].text;
        enum spf_match match = matches(evaluation, &terms[i]);
        if (match == SPF_YES)
            verdict->result = terms[i].result;
        if (match != SPF_NO)
            return;
        *verdict = before;
    }
    if (other != NULL)
        redirect(evaluation, other);
}

static void check_domain(struct spf_checking *checking, const char *domain,
                         struct spf_verdict *verdict_r)
{
    struct spf_evaluation evaluation = {checking, domain, verdict_r};
    struct spf_found found;
    const struct mail_view *record = NULL;
    *verdict_r = (struct spf_verdict){.result = SPF_NONE, .domain = domain};
    if (!is_name(domain) || strchr(domain, '.') == NULL)
        return;
    enum spf_lookup looked = look_up(checking, domain, SPF_TYPE_TXT, &found);
    if (looked == SPF_LOOKUP_FAILED)
        temporary(&evaluation);
    if (looked != SPF_LOOKUP_FOUND)
        return;
    for (size_t i = 0; i < found.count; i++)
        if (spf_record_is(found.of[i])) {
            if (record != NULL) {
                permanent(&evaluation, SPF_TWO_RECORDS);
                return;
            }
            record = &found.of[i];
        }
    if (record != NULL)
        evaluate(&evaluation, *record);
}

void spf_check(struct arena *arena, const struct spf_request *request,
               const struct spf_resolver *resolver, struct spf_verdict *verdict_r)
{
    struct spf_checking checking = {.arena = arena, .request = request, .resolver = resolver};
    check_domain(&checking, without_root(arena, request->domain), verdict_r);
}
