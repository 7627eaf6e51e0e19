/* Names of the DNS in memory, for tests of mail/spf.h. */
#ifndef SENDGUARD_SPF_NAMES_H
#define SENDGUARD_SPF_NAMES_H

#include <strings.h>

#include "mail/spf.h"

enum { SPF_NAMES_MAX = 2000, SPF_ALIASES_MAX = 8 };

struct spf_names {
    struct spf_name {
        const char *name;
        enum spf_type type;
        struct mail_view record;
        const char *alias; /* another name, which has the records; NULL: this one has */
        bool silent; /* what else is asked of it gets no answer */
    } of[SPF_NAMES_MAX];
    size_t count;
};

static inline enum spf_lookup spf_names_look_up(void *self, struct arena *arena, const char *name,
                                                enum spf_type type, struct spf_found *found_r)
{
    const struct spf_names *names = self;
    bool silent = false;
    const char *alias = name;
    found_r->of = arena_alloc(arena, (names->count + 1) * sizeof *found_r->of);
    found_r->count = 0;
    for (int i = 0; i < SPF_ALIASES_MAX && alias != NULL; i++) {
        name = alias;
        alias = NULL;
        for (size_t k = 0; k < names->count; k++) {
            const struct spf_name *one = &names->of[k];
            if (strcasecmp(one->name, name) != 0)
                continue;
            silent = silent || one->silent;
            if (one->alias != NULL)
                alias = one->alias;
            else if (!one->silent && one->type == type)
                found_r->of[found_r->count++] = one->record;
        }
    }
    return found_r->count > 0          ? SPF_LOOKUP_FOUND
           : silent || alias != NULL ? SPF_LOOKUP_FAILED
                                       : SPF_LOOKUP_VOID;
}

#endif
