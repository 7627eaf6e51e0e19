/* Complaints about the messages of a mailbox: which of them count, and when they suspend it. Pure.
 *
 * A complaint is of one reporter about one message; more from the same one about the same message
 * are the same complaint. It belongs to the moment at which its message was admitted. Those about
 * messages that were admitted before a suspension for complaints ended make no other one: one run
 * of unwanted mail is one offence, however late its complaints come.
 *
 * A configured loop is believed, and may tell of several recipients of a message. Of anybody else
 * the domain is known, no more: a message has one complaint of theirs that counts, the first; and
 * without one of a loop or of staff they suspend only when so many different domains complain,
 * each about another message. So neither a stranger with many domains nor one with many reports
 * about the message that he got can stop a mailbox.
 * Source: docs/complaints.md, "What counts". */
#ifndef SENDGUARD_COMPLAINTS_H
#define SENDGUARD_COMPLAINTS_H

#include <stdbool.h>

#include "base/base.h"
#include "base/text.h"

/* Who says so. Values keep the number. */
enum complaint_source {
    COMPLAINT_OF_LOOP,   /* a configured feedback loop */
    COMPLAINT_OF_DOMAIN, /* somebody else whose domain was authenticated */
    COMPLAINT_OF_STAFF,  /* a report that staff has attributed */
    COMPLAINT_SOURCES
};
extern const char *const complaint_source_names[COMPLAINT_SOURCES];

struct complaint {
    uint64_t message, reporter;  /* hashes; both together: which complaint it is */
    uint64_t decision;           /* of the message; 0: not known */
    int64_t admitted_ms, at_ms;  /* the message; the (first) complaint */
    uint32_t incidents;          /* 1..COMPLAINT_INCIDENTS_MAX; counts for a loop alone */
    enum complaint_source source;
    uint8_t type;                /* of its report; not read here */
    bool withdrawn;              /* for good */
};
enum { COMPLAINTS_MAX = 256, COMPLAINT_INCIDENTS_MAX = 10000 };
#define COMPLAINTS_KEPT_MS (30 * DAY_MS)

/* Of a mailbox; zeroed: none. In the order in which they came. */
struct complaints {
    int64_t settled_ms; /* complaints about messages admitted before make no suspension */
    size_t count;
    struct complaint of[COMPLAINTS_MAX];
};

/* `count` complaints about messages that were admitted within window_ms (at t and before
 * t + window_ms) suspend. */
struct complaint_rule {
    uint32_t count;
    int64_t window_ms;
};

enum complaint_standing {
    COMPLAINT_COUNTS,
    COMPLAINT_WITHDRAWN,
    COMPLAINT_SAME_MESSAGE, /* another domain was first to complain about it */
    COMPLAINT_SETTLED,      /* by a suspension */
    COMPLAINT_STANDINGS
};
extern const char *const complaint_standing_names[COMPLAINT_STANDINGS];

/* Takes over a complaint. A known one keeps its place and gets the higher number of incidents. When
 * there is no room, the oldest one that does not count makes room, else the oldest. True: something
 * changed. */
bool complaints_take(struct complaints *complaints, const struct complaint *complaint);
/* The reporter takes it back. True: there is such a one, and it was not withdrawn before. */
bool complaints_withdraw(struct complaints *complaints, uint64_t message, uint64_t reporter);
/* Drops those that came COMPLAINTS_KEPT_MS ago or earlier. */
void complaints_forget(struct complaints *complaints, int64_t now_ms);
/* A suspension for complaints holds or ended at that moment. */
void complaints_settle(struct complaints *complaints, int64_t ended_ms);

/* Of complaints->of[place]. */
enum complaint_standing complaints_standing(const struct complaints *complaints, size_t place);
/* The highest number within one window, as the rule counts. */
uint32_t complaints_number(const struct complaints *complaints, const struct complaint_rule *rule);
/* Whether they suspend the mailbox. */
bool complaints_break(const struct complaints *complaints, const struct complaint_rule *rule);

/* The packed form: 1 format, 8 settled; then of each 8 message, 8 reporter, 8 decision, 6 admitted,
 * 6 at, 4 incidents, 1 source (upper bit: withdrawn), 1 type. */
void complaints_add(struct text *out, const struct complaints *complaints);
/* 1; 0: damaged, *complaints_r is zeroed. */
int complaints_read(const void *bytes, size_t length, struct complaints *complaints_r) must_check;

#endif
