/* Settings and texts of one moment, which stay as they are for everybody who uses them, whatever
 * is reloaded meanwhile. All functions: any thread. */
#ifndef SENDGUARD_SNAPSHOT_H
#define SENDGUARD_SNAPSHOT_H

#include "settings/settings.h"
#include "text/catalogue.h"

struct snapshot;

/* Settings and catalogue (loaded from settings->web_templates) are taken. The caller is its only
 * user. */
struct snapshot *snapshot_new(struct settings *settings, struct catalogue *catalogue);
/* The same for one more user; each of them releases it. */
struct snapshot *snapshot_share(struct snapshot *snapshot);
/* The last user's release frees it. NULL is nothing. */
void snapshot_release(struct snapshot **snapshot);

const struct settings *snapshot_settings(const struct snapshot *snapshot);
const struct catalogue *snapshot_catalogue(const struct snapshot *snapshot);

#endif
