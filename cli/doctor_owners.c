/* The sources of owners of addresses: whether each answers in the time that judging gives it. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/doctor.h"
#include "owners/owners.h"

enum { SLOW_MS = OWNERS_TIMEOUT_MS / 2 };

/* Nobody's, so that an answer says that a source can say no. */
#define ASKED "sendguard-doctor@sendguard.invalid"
#define MAILBOX "nobody@sendguard.invalid"

/* How long one took to answer; 0: it is said why not. */
static int64_t ask(struct doctor *doctor, char *source)
{
    struct problem problem;
    if (owners_check(source, &problem) < 1) {
        doctor_says(doctor, DOCTOR_BAD, "let the services' user read it, and write it as "
                    "docs/identity.md says", "%s: %s", problem.where, problem.text);
        return 0;
    }
    struct owners *owners = owners_new(&source, 1, false, OWNERS_TIMEOUT_MS);
    int64_t began_us = clock_monotonic_us();
    int said = owners_ask(owners, ASKED, MAILBOX, clock_monotonic_ms());
    int64_t took_ms = (clock_monotonic_us() - began_us) / 1000;
    owners_release(&owners);
    if (said < 0)
        doctor_says(doctor, DOCTOR_BAD, "the log of the services says why: start what it asks, or "
                    "take it out of identity.owners",
                    "%s does not answer: every From passes that nothing else knows", source);
    else if (took_ms >= SLOW_MS)
        doctor_says(doctor, DOCTOR_WARN, "make it answer faster, or have its table as file:PATH",
                    "%s took %lld ms of the %d that it has", source, (long long)took_ms,
                    OWNERS_TIMEOUT_MS);
    return said < 0 ? 0 : took_ms;
}

/* As the services' user, to whom the secret belongs. */
void doctor_owners(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    const struct text_list *sources = &settings->identity_owners;
    int64_t slowest_ms = 0;
    if (settings->identity_mode == IDENTITY_MODE_OFF || sources->count == 0) {
        doctor_says(doctor, DOCTOR_OK, NULL, "no source is asked (identity.mode, identity.owners)");
        return;
    }
    if (cli_become_owner(doctor->cli, settings->web_secret_file, NULL) >= 0) {
        doctor_says(doctor, DOCTOR_SKIP, "run it as root", "%s: %s", settings->web_secret_file,
                    strerror(EACCES));
        return;
    }
    log_set_fd(-1); /* what they log, this command says itself */
    for (size_t i = 0; i < sources->count; i++) {
        int64_t took_ms = ask(doctor, sources->items[i]);
        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
    }
    doctor_says(doctor, DOCTOR_OK, NULL, "%zu source%s answer%s, the slowest after %lld ms",
                sources->count, sources->count == 1 ? "" : "s", sources->count == 1 ? "s" : "",
                (long long)slowest_ms);
}
