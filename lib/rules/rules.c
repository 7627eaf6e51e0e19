#include "rules/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rule_info rule_table[RULE_COUNT] = {
    [RULE_RECIPIENTS_PER_MESSAGE] = {.name = "recipients_per_message"},
    [RULE_RECIPIENTS_PER_FIELD] = {.name = "recipients_per_field"},
    [RULE_RECIPIENTS_PER_DOMAIN] = {.name = "recipients_per_domain"},
    [RULE_HEADER_CHARS_PER_DOMAIN] = {.name = "header_chars_per_domain"},
    [RULE_MESSAGES_PER_DAY] = {"messages_per_day", true, SUBJECT_MAILBOX, MEASURE_MESSAGES,
                               DAY_MS},
    [RULE_OFF_DOMAIN_PER_DAY] = {"off_domain_per_day", true, SUBJECT_MAILBOX, MEASURE_OFF_DOMAIN,
                                 DAY_MS},
    [RULE_OFF_DOMAIN_PER_HOUR_PER_IP] = {"off_domain_per_hour_per_ip", true, SUBJECT_IP,
                                         MEASURE_OFF_DOMAIN, HOUR_MS},
    [RULE_MESSAGES_PER_HOUR] = {"messages_per_hour", true, SUBJECT_MAILBOX, MEASURE_MESSAGES,
                                HOUR_MS},
};

int rule_by_name(const char *name)
{
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (strcmp(rule_table[rule].name, name) == 0)
            return rule;
    return -1;
}

/* ---- histories ----------------------------------------------------------- */

/* No key has a space behind its last '@', and none of a network has one. */
const char *const history_marks[SUBJECT_COUNT][CHANNEL_COUNT] = {
    [SUBJECT_MAILBOX] = {[CHANNEL_WEBMAIL] = "", [CHANNEL_SMTP] = "",
                         [CHANNEL_FORWARDING] = " forwarding"},
    /* what forwards is a service of the provider's, at no user's address */
    [SUBJECT_IP] = {[CHANNEL_WEBMAIL] = "", [CHANNEL_SMTP] = " smtp", [CHANNEL_FORWARDING] = NULL},
};

const char *history_name(enum subject subject, enum channel channel, const char *key,
                         char name_r[HISTORY_NAME_SIZE])
{
    const char *mark = history_marks[subject][channel];
    if (key == NULL || mark == NULL)
        return NULL;
    if (mark[0] == '\0')
        return key;
    snprintf(name_r, HISTORY_NAME_SIZE, "%s%s", key, mark);
    return name_r;
}

bool history_is_shared(enum subject subject, enum channel one, enum channel other)
{
    const char *mark = history_marks[subject][one], *other_mark = history_marks[subject][other];
    return mark != NULL && other_mark != NULL && strcmp(mark, other_mark) == 0;
}

bool history_is_first(enum subject subject, enum channel channel)
{
    for (int before = 0; before < (int)channel; before++)
        if (history_is_shared(subject, (enum channel)before, channel))
            return false;
    return history_marks[subject][channel] != NULL;
}

bool channel_is_its_users(enum channel channel) { return channel != CHANNEL_FORWARDING; }

enum channel history_channel(enum subject subject, const char *name, char key_r[HISTORY_NAME_SIZE])
{
    size_t length = strlen(name);
    enum channel found = CHANNEL_WEBMAIL;
    size_t marked = 0;
    for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
        const char *mark = history_marks[subject][channel];
        size_t mark_length = mark != NULL ? strlen(mark) : 0;
        if (mark_length > marked && mark_length < length &&
            strcmp(name + length - mark_length, mark) == 0) {
            found = (enum channel)channel;
            marked = mark_length;
        }
    }
    snprintf(key_r, HISTORY_NAME_SIZE, "%.*s", (int)(length - marked), name);
    return found;
}

/* ---- counting ------------------------------------------------------------ */

/* A recipient that counts, and where it is. */
struct counted {
    const struct recipient *recipient;
    const char *domain;
};

/* By domain, then address, then field: equal recipients become neighbours. */
static int compare_counted(const void *left, const void *right)
{
    const struct counted *a = left, *b = right;
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
static struct counted *sort_recipients(struct arena *arena, const struct submission *submission,
                                       const struct recipient_policy *policy, size_t *count_r)
{
    struct counted *sorted = arena_alloc(arena, submission->recipient_count * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < submission->recipient_count; i++) {
        const struct recipient *one = &submission->recipients[i];
        const char *target = recipient_target(arena, one->address, submission->domain, policy);
        if (!policy->exempt(policy->context, target))
            sorted[count++] = (struct counted){one, strrchr(target, '@') + 1};
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
                         const struct recipient_policy *policy)
{
    struct facts facts = {0};
    size_t count;
    bool copies = submission->channel != CHANNEL_WEBMAIL;
    const struct counted *sorted = sort_recipients(arena, submission, policy, &count);
    facts.domains = arena_alloc(arena, count * sizeof facts.domains[0]);
    const struct recipient *before = NULL;
    struct domain_facts *domain = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct recipient *one = sorted[i].recipient;
        if (domain == NULL || strcmp(domain->domain, sorted[i].domain) != 0) {
            domain = &facts.domains[facts.domain_count++];
            domain->domain = sorted[i].domain;
            domain->own = policy->own_domain(policy->context, submission->domain, domain->domain);
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

uint32_t recipients_handed_over(struct arena *arena, const struct submission *submission)
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

/* ---- judging -------------------------------------------------------------- */

struct objections {
    struct objection *list; /* NULL while they are only counted */
    const struct limits *limits;
    size_t count;
};

static void object(struct objections *objections, enum rule rule, uint32_t count, int field,
                   const char *domain)
{
    int32_t limit = objections->limits->of[rule];
    if (window_fits(0, count, limit))
        return;
    if (objections->list != NULL)
        objections->list[objections->count] = (struct objection){
            .rule = rule, .field = field, .domain = domain,
            .limit = (uint32_t)limit, .count = count,
        };
    objections->count++;
}

static void object_to_all(struct objections *objections, const struct facts *facts)
{
    objections->count = 0;
    object(objections, RULE_RECIPIENTS_PER_MESSAGE, facts->recipients, -1, NULL);
    for (int field = 0; field < FIELD_COUNT; field++)
        object(objections, RULE_RECIPIENTS_PER_FIELD, facts->in_field[field], field, NULL);
    for (size_t i = 0; i < facts->domain_count; i++) {
        const struct domain_facts *domain = &facts->domains[i];
        if (domain->own)
            continue;
        object(objections, RULE_RECIPIENTS_PER_DOMAIN, domain->recipients, -1, domain->domain);
        object(objections, RULE_HEADER_CHARS_PER_DOMAIN, domain->header_chars, -1,
               domain->domain);
    }
}

size_t rules_check(struct arena *arena, const struct limits *limits, const struct facts *facts,
                   const struct objection **objections_r)
{
    struct objections objections = {.limits = limits};
    object_to_all(&objections, facts);
    *objections_r = NULL;
    if (objections.count > 0) {
        objections.list = arena_alloc(arena, objections.count * sizeof objections.list[0]);
        object_to_all(&objections, facts);
        *objections_r = objections.list;
    }
    return objections.count;
}
