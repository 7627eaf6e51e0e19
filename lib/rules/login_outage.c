#include "rules/login_outage.h"

static void count(struct login_outage *outage, enum login_outage_number number, int64_t second)
{
    struct login_outage_second *counted = &outage->seconds[second % LOGIN_OUTAGE_SECONDS];
    if (counted->second != second)
        *counted = (struct login_outage_second){.second = second};
    counted->of[number]++;
}

/* A mailbox counts once, in the second of its last such try. */
static void count_mailbox(struct login_outage *outage, struct login_outage_seen *seen,
                          enum login_outage_number number, int64_t second)
{
    struct login_outage_second *before =
        &outage->seconds[seen->last[number] % LOGIN_OUTAGE_SECONDS];
    if (before->second == seen->last[number] && before->of[number] > 0)
        before->of[number]--;
    count(outage, number, second);
    seen->last[number] = second;
}

void login_outage_take(struct login_outage *outage, uint64_t mailbox, bool right,
                       enum login_taken taken, int64_t at_ms)
{
    int64_t second = at_ms / SECOND_MS;
    struct login_outage_seen *seen = &outage->seen[mailbox % LOGIN_OUTAGE_SEEN];
    count(outage, LOGIN_OUTAGE_TRIES, second);
    if (right) {
        outage->right_ms = at_ms > outage->right_ms ? at_ms : outage->right_ms;
        return;
    }
    if (seen->mailbox != mailbox)
        *seen = (struct login_outage_seen){.mailbox = mailbox};
    count_mailbox(outage, seen, LOGIN_OUTAGE_WRONG, second);
    if (taken != LOGIN_OLD_PASSWORD)
        return;
    count(outage, LOGIN_OUTAGE_OLD_TRIES, second);
    count_mailbox(outage, seen, LOGIN_OUTAGE_OLD, second);
}

/* Of the last minute. */
static uint64_t sum(const struct login_outage *outage, enum login_outage_number number,
                    int64_t at_ms)
{
    int64_t now = at_ms / SECOND_MS;
    uint64_t all = 0;
    for (int i = 0; i < LOGIN_OUTAGE_SECONDS; i++) {
        const struct login_outage_second *second = &outage->seconds[i];
        if (second->second <= now && second->second > now - LOGIN_OUTAGE_SECONDS)
            all += second->of[number];
    }
    return all;
}

enum login_rests login_outage_rests(const struct login_outage *outage, int64_t at_ms)
{
    int64_t silence_ms = at_ms - outage->right_ms;
    bool is_ready = outage->ready_ms != 0 && at_ms >= outage->ready_ms;
    if (silence_ms >= LOGIN_OUTAGE_SECONDS * SECOND_MS &&
        sum(outage, LOGIN_OUTAGE_OLD, at_ms) >= LOGIN_OUTAGE_MIN &&
        2 * sum(outage, LOGIN_OUTAGE_OLD_TRIES, at_ms) > sum(outage, LOGIN_OUTAGE_TRIES, at_ms))
        return LOGIN_RESTS;
    return silence_ms >= LOGIN_SILENCE_MS && !is_ready ? LOGIN_RESTS_NETWORKS : LOGIN_RESTS_NOT;
}

bool login_outage_alarms(const struct login_outage *outage, int64_t at_ms)
{
    return login_outage_rests(outage, at_ms) != LOGIN_RESTS_NOT &&
           sum(outage, LOGIN_OUTAGE_WRONG, at_ms) >= LOGIN_OUTAGE_MIN;
}
