#include "settings/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>

struct snapshot {
    _Atomic int users;
    struct settings *settings;
    struct catalogue *catalogue;
};

struct snapshot *snapshot_new(struct settings *settings, struct catalogue *catalogue)
{
    struct snapshot *snapshot = xcalloc(1, sizeof *snapshot);
    snapshot->users = 1;
    snapshot->settings = settings;
    snapshot->catalogue = catalogue;
    return snapshot;
}

struct snapshot *snapshot_share(struct snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->users, 1);
    return snapshot;
}

void snapshot_release(struct snapshot **snapshot)
{
    struct snapshot *released = *snapshot;
    *snapshot = NULL;
    if (released == NULL || atomic_fetch_sub(&released->users, 1) > 1)
        return;
    settings_free(&released->settings);
    catalogue_free(&released->catalogue);
    free(released);
}

const struct settings *snapshot_settings(const struct snapshot *snapshot)
{
    return snapshot->settings;
}

const struct catalogue *snapshot_catalogue(const struct snapshot *snapshot)
{
    return snapshot->catalogue;
}
