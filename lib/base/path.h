/* Paths of files. */
#ifndef SENDGUARD_PATH_H
#define SENDGUARD_PATH_H

#include "base/base.h"

/* The folder that a path lies in, to be freed: "/" of what lies in the root, "." where the path has
 * no slash. */
char *path_folder(const char *path) __attribute__((returns_nonnull, malloc));

#endif
