/* What --check tells of identity.owners. */
#ifndef SENDGUARD_FROM_CHECK_H
#define SENDGUARD_FROM_CHECK_H

#include "settings/settings.h"

/* Adds a warning for each file of owners that cannot be read, where From is looked at. */
void from_check_owners(const struct settings *settings, struct faults *warnings);

#endif
