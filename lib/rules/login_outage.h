/* Whether wrong passwords say something of who tries, or of a password database that does not
 * answer: Dovecot reports both alike. Pure: time is a parameter. Of a whole installation.
 *
 * 1. In the last minute nobody has signed in, and more than half of all tries were old passwords
 *    (rules/login.h), of at least LOGIN_OUTAGE_MIN mailboxes: nothing counts. While anybody signs in
 *    it does: else who owns so many mailboxes could have it rest by their old passwords.
 * 2. Sign-ins have been seen for less than LOGIN_READY_MS, so most right passwords are not known, and
 *    nobody has signed in for LOGIN_SILENCE_MS, or ever: the rules of networks rest, because behind
 *    each may be people whose right passwords are refused. Guessing at one mailbox still counts.
 *
 * A minute is 60 whole seconds, the present one included. */
#ifndef SENDGUARD_LOGIN_OUTAGE_H
#define SENDGUARD_LOGIN_OUTAGE_H

#include "rules/login.h"

enum {
    LOGIN_OUTAGE_MIN = 20,
    LOGIN_OUTAGE_SECONDS = 60,
    LOGIN_OUTAGE_SEEN = 4096, /* mailboxes that are told apart in a minute */
};
#define LOGIN_SILENCE_MS (10 * MINUTE_MS)
#define LOGIN_READY_MS (7 * DAY_MS)

enum login_outage_number {
    LOGIN_OUTAGE_TRIES,
    LOGIN_OUTAGE_OLD_TRIES,
    LOGIN_OUTAGE_OLD,   /* mailboxes, at their last old password; and */
    LOGIN_OUTAGE_WRONG, /* at their last wrong one */
    LOGIN_OUTAGE_NUMBERS
};

/* Zeroed: nothing has come yet. */
struct login_outage {
    int64_t right_ms; /* the last right password */
    int64_t ready_ms; /* from when on sign-ins will have been seen for LOGIN_READY_MS; 0: they have not
                         been seen */
    struct login_outage_second {
        int64_t second; /* since 1970 */
        uint32_t of[LOGIN_OUTAGE_NUMBERS];
    } seconds[LOGIN_OUTAGE_SECONDS];
    struct login_outage_seen {
        uint64_t mailbox;
        int64_t last[LOGIN_OUTAGE_NUMBERS]; /* the second in which it is counted; 0: none */
    } seen[LOGIN_OUTAGE_SEEN]; /* by hash; another mailbox of the same place takes it */
};

/* A right password (`taken` is not read), or a wrong one as login_take_wrong took it. */
void login_outage_take(struct login_outage *outage, uint64_t mailbox, bool right,
                       enum login_taken taken, int64_t at_ms);
enum login_rests login_outage_rests(const struct login_outage *outage, int64_t at_ms);
/* Whether staff has to be told: something rests, and in the last minute at least LOGIN_OUTAGE_MIN
 * mailboxes had wrong passwords. */
bool login_outage_alarms(const struct login_outage *outage, int64_t at_ms);

#endif
