/* Reports of complaints that count for nobody by themselves, and wait for staff: it is not known
 * whose message they are about, or who sent them. Pure. Kept of one is what staff needs to find
 * the message, and nothing of a recipient: of the message its queue id and the domain of its
 * author, if that is one of this installation.
 *
 * Packed: 1 format; then of each 8 id, 6 at, 1 type, 1 flags, 8 reporter, 6 admitted, 8 decision,
 * and mailbox, queue id, domain, each with its length as a varint before it. */
#ifndef SENDGUARD_WAITING_REPORTS_H
#define SENDGUARD_WAITING_REPORTS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/text.h"
#include "mail/report.h"

struct waiting_report {
    uint64_t id;       /* a hash of the whole report: the same one again is known by it */
    int64_t at_ms;
    enum report_type type;
    bool of_loop;      /* its reporter is a configured loop */
    uint64_t reporter; /* hash; 0: not known */
    /* of the message; "" and 0: not known */
    const char *mailbox, *queue_id, *domain;
    int64_t admitted_ms;
    uint64_t decision;
};

enum { WAITING_REPORTS_MAX = 500 };
#define WAITING_REPORTS_KEPT_MS (30 * DAY_MS)

/* The oldest first; zeroed: none. */
struct waiting_reports {
    size_t count;
    struct waiting_report *of; /* WAITING_REPORTS_MAX; in the arena */
};

/* Takes over one; the oldest makes room. False: it is there already, or one that says the same
 * about the same message. Strings stay the caller's. */
bool waiting_reports_take(struct waiting_reports *reports, const struct waiting_report *report);
/* NULL: there is none. */
const struct waiting_report *waiting_reports_find(const struct waiting_reports *reports,
                                                  uint64_t id);
void waiting_reports_drop(struct waiting_reports *reports, uint64_t id);
/* Drops those that came WAITING_REPORTS_KEPT_MS ago or earlier. */
void waiting_reports_forget(struct waiting_reports *reports, int64_t now_ms);

void waiting_reports_add(struct text *out, const struct waiting_reports *reports);
/* length 0: none. 1; 0: damaged, *reports_r is empty. Both ways there is room. */
int waiting_reports_read(struct arena *arena, const void *bytes, size_t length,
                         struct waiting_reports *reports_r) must_check;

#endif
