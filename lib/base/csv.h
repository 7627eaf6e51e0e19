/* Lines of CSV (RFC 4180), read strictly: what two readers can read differently is a fault. So a
 * cell that begins with a quotation mark ends with one, no other cell has any, and no cell goes over
 * a line. */
#ifndef SENDGUARD_CSV_H
#define SENDGUARD_CSV_H

#include <stddef.h>

#include "base/arena.h"
#include "base/problem.h"

/* Reads a line without its end: 1 to `max` cells, in `arena`, each without the apostrophe that
 * text_add_csv puts before what a spreadsheet would take for a formula. 1; 0 with *problem
 * (where = "cell N"), also for a NUL. */
int csv_line_read(struct arena *arena, const char *line, size_t length, char **cells_r, size_t max,
                  size_t *count_r, struct problem *problem) must_check;

#endif
