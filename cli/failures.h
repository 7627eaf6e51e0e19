/* Mail that fails and blocks its domain, as text. */
#ifndef SENDGUARD_CLI_FAILURES_H
#define SENDGUARD_CLI_FAILURES_H

#include "cli/views.h"

/* FAILURES of desk.h; NULL: nothing. */
void failures_print_domain(struct cli *cli, struct json_object *failures);
/* "outages" and "blocked" of a view; nothing where there are none. */
void failures_print_now(struct cli *cli, struct json_object *view);
/* BLOCK of desk.h: "@example.test is blocked until …: 12 of 20 recipients …" */
void failures_print_block(struct cli *cli, const char *margin, struct json_object *block);

#endif
