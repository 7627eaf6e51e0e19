/* A domain's delivery, for the command that shows a domain. */
#ifndef SENDGUARD_CLI_DELIVERY_H
#define SENDGUARD_CLI_DELIVERY_H

#include "cli/views.h"

/* As desk_delivery_domain, with words. */
int delivery_read_domain(struct cli *cli, const char *domain, struct json_object **view_r,
                         struct problem *problem) must_check;
/* As a paragraph below others. */
void delivery_print_domain(struct cli *cli, struct json_object *view);

#endif
