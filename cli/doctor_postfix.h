/* Postfix' effective settings, for the checks that look at them. */
#ifndef SENDGUARD_DOCTOR_POSTFIX_H
#define SENDGUARD_DOCTOR_POSTFIX_H

#include "cli/doctor.h"

enum { DOCTOR_SERVICES_MAX = 64 };

struct doctor_service {
    const char *name;   /* "587", "127.0.0.1:10587", "submission" */
    const char *prefix; /* "587/inet/", as postconf -P has it */
    bool behind_postscreen;
};
struct doctor_postfix {
    struct doctor_service services[DOCTOR_SERVICES_MAX]; /* those of smtpd */
    size_t count;
    const char *of_all, *of_services; /* what postconf says, names in values followed */
};

/* Asks postconf. 1; 0 it cannot be asked, and the check says why. All of it lives in the check's
 * arena. */
int doctor_postfix_read(struct doctor *doctor, struct doctor_postfix *postfix_r) must_check;
/* The value that a service (NULL: none) uses, its own or main.cf's; "" when it is not set. */
const char *doctor_postfix_value(struct doctor *doctor, const struct doctor_postfix *postfix,
                                 const struct doctor_service *service, const char *name);

#endif
