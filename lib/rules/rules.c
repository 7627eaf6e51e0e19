#include "rules/rules.h"

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
