/* sendguard doctor: looks at what sending and judging rest on, and says what to do. A table of
 * checks (doctor.c), each a function of one of doctor_SUBJECT.c. A check runs in a process of its
 * own, beside the others and for DOCTOR_CHECK_MS at most: so it may become another user, and may be
 * killed. It changes nothing. */
#ifndef SENDGUARD_DOCTOR_H
#define SENDGUARD_DOCTOR_H

#include "base/text.h"
#include "cli/cli.h"

enum { DOCTOR_CHECK_MS = 8000 };

/* The higher, the more it matters. */
enum doctor_state {
    DOCTOR_OK,
    DOCTOR_SKIP, /* don't know */
    DOCTOR_WARN,
    DOCTOR_BAD
};

/* A check under way. */
struct doctor {
    struct cli *cli;
    const struct settings *settings;
    struct arena *arena;
    enum doctor_state state;
    struct text found, advice;
};

/* Says what was found, and unless all is well what to do: the line to write or the command to run.
 * One check may say several things. What has the highest state is kept, all of it; the rest is
 * dropped. */
void doctor_says(struct doctor *doctor, enum doctor_state state, const char *advice,
                 const char *found, ...) printf_like(4, 5);

/* Runs a program, found by its name, with the words (ends with NULL; the first is its name), as who
 * the check is, without input. Returns its exit status with what it printed in *out_r and *errors_r
 * (either may be NULL: thrown away), both in `arena`; -1 when there is no such program. */
int doctor_program(struct arena *arena, const char *const *words, const char **out_r,
                   const char **errors_r) must_check;
/* The same of a service's --check, called as this command was; a line each on standard error:
 * "NAME: warning: WHERE: WHAT", or without "warning: " where its start would end. */
int doctor_service_check(const struct doctor *doctor, const char *name,
                         const char **errors_r) must_check;
/* Asks at HOST:PORT or a path, and says whether the service of that name answers there: with what
 * begins as expected (at most 32 bytes). The other one only looks. */
void doctor_service_ask(struct doctor *doctor, const char *name, const char *where,
                        const char *question, size_t length, const char *expected,
                        size_t expected_length);
bool doctor_service_answers(const char *where, const char *question, size_t length,
                            const char *expected, size_t expected_length) must_check;
/* The first line of a text, without its end, in `arena`. */
const char *doctor_line(struct arena *arena, const char *text);

/* Opens the store for reading, as its owner. 1 (*store_r: to be freed); 0 it cannot be opened, and
 * the check says why if `tells`, else that the check `store` does. */
int doctor_store_open(struct doctor *doctor, bool tells, struct store **store_r) must_check;

/* ---- the checks ---------------------------------------------------------------------- */

void doctor_settings(struct doctor *doctor);
void doctor_store(struct doctor *doctor);
void doctor_clock(struct doctor *doctor);
void doctor_blocks(struct doctor *doctor);
/* doctor_plans.c */
void doctor_plans(struct doctor *doctor);
void doctor_sockets(struct doctor *doctor);
void doctor_owners(struct doctor *doctor);
void doctor_tickets(struct doctor *doctor);
void doctor_postfix_end_of_data(struct doctor *doctor);
void doctor_postfix_recipients(struct doctor *doctor);
void doctor_postfix_data(struct doctor *doctor);
void doctor_milter(struct doctor *doctor);
void doctor_held(struct doctor *doctor);
void doctor_port_25(struct doctor *doctor);
void doctor_sendmail(struct doctor *doctor);
void doctor_sieve(struct doctor *doctor);
void doctor_logins(struct doctor *doctor);
void doctor_log_source(struct doctor *doctor);
void doctor_feedback(struct doctor *doctor);
void doctor_gaps(struct doctor *doctor);
void doctor_complaints(struct doctor *doctor);
void doctor_notify(struct doctor *doctor);
void doctor_parked(struct doctor *doctor);
void doctor_ptr(struct doctor *doctor);
void doctor_helo(struct doctor *doctor);
void doctor_spf(struct doctor *doctor);

#endif
