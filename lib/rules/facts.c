#include "rules/facts.h"

#include <stdlib.h>
#include <string.h>

#include "rules/rule.h"

/* A recipient that counts, and where it is. */
struct counted_recipient {
    const struct recipient *recipient;
    const char *domain;
};

/* By domain, then address, then field: equal recipients become neighbours. */
static int compare_counted(const void *left, const void *right)
{
    const struct counted_recipient *a = left, *b = right;
    int order = strcmp(a->domain, b->domain);
    if (order == 0)
        order = strcmp(a->recipient->address, b->recipient->address);
    return order != 0 ? order : (int)a->recipient->field - (int)b->recipient->field;
}

static int compare_domains(const void *left, const void *right)
{
    const struct domain_facts *a = left, *b = right;
    if (a->recipients != b->recipients)
        return a->recipients < b->recipients ? 1 : -1;
    return strcmp(a->domain, b->domain);
}

/* The recipients that count, sorted. */
static struct counted_recipient *sort_recipients(struct arena *arena,
                                                 const struct submission *submission,
                                                 const struct recipient_classes *classes,
                                                 size_t *count_r)
{
    struct counted_recipient *sorted = arena_alloc(arena,
                                                   submission->recipient_count * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < submission->recipient_count; i++) {
        const struct recipient *one = &submission->recipients[i];
        const char *target = recipient_target(arena, one->address, submission->domain, classes);
        if (!classes->exempt(classes->context, target))
            sorted[count++] = (struct counted_recipient){one, strrchr(target, '@') + 1};
    }
    if (count > 1)
        qsort(sorted, count, sizeof sorted[0], compare_counted);
    *count_r = count;
    return sorted;
}

/* So many that sums of it and of named ones stay within LIMIT_MAX. */
static uint32_t unnamed_of(const struct submission *submission)
{
    const uint32_t max = LIMIT_MAX - FIELD_COUNT * SUBMISSION_MAX_RECIPIENTS;
    return submission->unnamed < max ? submission->unnamed : max;
}

static void add_unnamed(struct facts *facts, const struct submission *submission)
{
    uint32_t unnamed = unnamed_of(submission);
    facts->in_field[FIELD_TO] += unnamed;
    facts->recipients += unnamed;
    facts->off_domain += unnamed;
}

struct facts facts_count(struct arena *arena, const struct submission *submission,
                         const struct recipient_classes *classes)
{
    struct facts facts = {0};
    size_t count;
    bool copies = submission->channel != CHANNEL_WEBMAIL && !submission->by_header;
    const struct counted_recipient *sorted = sort_recipients(arena, submission, classes, &count);
    facts.domains = arena_alloc(arena, count * sizeof facts.domains[0]);
    const struct recipient *before = NULL;
    struct domain_facts *domain = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct recipient *one = sorted[i].recipient;
        if (domain == NULL || strcmp(domain->domain, sorted[i].domain) != 0) {
            domain = &facts.domains[facts.domain_count++];
            domain->domain = sorted[i].domain;
            domain->own = classes->own_domain(classes->context, submission->domain, domain->domain);
        } else {
            domain->header_chars += 2; /* the ", " between two */
        }
        domain->header_chars += one->written_chars;
        bool new_address =
            copies || before == NULL || strcmp(before->address, one->address) != 0;
        if (new_address) {
            domain->recipients++;
            facts.off_domain += !domain->own;
        }
        if (new_address || before->field != one->field) {
            facts.in_field[one->field]++;
            facts.recipients++;
        }
        before = one;
    }
    if (facts.domain_count > 1)
        qsort(facts.domains, facts.domain_count, sizeof facts.domains[0], compare_domains);
    add_unnamed(&facts, submission);
    return facts;
}

static int compare_forms(const void *left, const void *right)
{
    const struct recipient *a = *(const struct recipient *const *)left;
    const struct recipient *b = *(const struct recipient *const *)right;
    return a->form != b->form ? (a->form < b->form ? -1 : 1) : strcmp(a->address, b->address);
}

uint32_t facts_handed_over(struct arena *arena, const struct submission *submission)
{
    if (submission->accepted > 0)
        return submission->accepted < LIMIT_MAX ? submission->accepted : LIMIT_MAX;
    size_t count = submission->recipient_count, distinct = 0;
    const struct recipient **sorted = arena_alloc(arena, count * sizeof sorted[0]);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &submission->recipients[i];
    if (count > 1)
        qsort(sorted, count, sizeof sorted[0], compare_forms);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || compare_forms(&sorted[i - 1], &sorted[i]) != 0;
    return (uint32_t)distinct + unnamed_of(submission);
}
