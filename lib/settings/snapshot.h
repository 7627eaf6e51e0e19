/* The settings and texts in force at one moment. They never change; a reload makes a new snapshot.
 * Each user holds a reference. All functions: any thread. */
#ifndef SENDGUARD_SNAPSHOT_H
#define SENDGUARD_SNAPSHOT_H

#include "settings/settings.h"
#include "text/catalogue.h"

struct snapshot;

/* Makes a snapshot that owns both; the catalogue was loaded from settings->web_templates. The
 * caller holds the only reference. */
struct snapshot *snapshot_new(struct settings *settings, struct catalogue *catalogue);
/* Adds a reference, which its user releases. Returns the snapshot. */
struct snapshot *snapshot_share(struct snapshot *snapshot);
/* Gives up a reference and sets *snapshot to NULL; the last one frees the snapshot. *snapshot may
 * be NULL. */
void snapshot_release(struct snapshot **snapshot);

const struct settings *snapshot_settings(const struct snapshot *snapshot);
const struct catalogue *snapshot_catalogue(const struct snapshot *snapshot);

#endif
