#include "guard/from_check.h"

#include "owners/owners.h"

void from_check_owners(const struct settings *settings, struct faults *warnings)
{
    const struct text_list *sources = &settings->identity_owners;
    for (size_t i = 0; i < sources->count && settings->identity_mode != IDENTITY_MODE_OFF; i++) {
        struct problem problem;
        if (owners_check(sources->items[i], &problem) < 1)
            settings_warn(warnings, problem.where, problem.text);
    }
}
