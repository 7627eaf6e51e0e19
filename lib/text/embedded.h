/* Files that travel inside the program, written as C by tools/embed. */
#ifndef SENDGUARD_EMBEDDED_H
#define SENDGUARD_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name;           /* path below the folder they come from: "en/status.json" */
    const unsigned char *bytes; /* with a NUL behind them, which `length` leaves out */
    size_t length;
};

/* Each ends with a NULL name; in order of name. */
extern const struct embedded embedded_templates[]; /* templates/ */
extern const struct embedded embedded_assets[];    /* web/assets/ */

#endif
