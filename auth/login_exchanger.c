#include "auth/login_exchanger.h"

#include <stdlib.h>

#include "daemon/rounds.h"
#include "base/clock.h"
#include "base/text.h"

struct login_exchanger {
    struct rounds rounds;
    struct guard *guard;
    struct store *store;
    struct recorder *recorder;
    struct logins *logins;
    struct log_once away, alarm;
    uint64_t told_lost, told_no_room, told_begun[LOGIN_RULE_COUNT];
};

static void exchange(struct login_exchanger *exchanger)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(exchanger->guard);
    int answer = logins_exchange(exchanger->logins, exchanger->store,
                                 &snapshot_settings(snapshot)->login_limits, clock_wall_ms());
    if (log_changed(&exchanger->away, answer < 0))
        log_line(answer < 0 ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 answer < 0 ? "store does not answer: sign-ins are judged by memory alone"
                            : "store answers again",
                 "error", answer < 0 ? store_error(exchanger->store) : NULL, NULL);
}

static void wait_a_round(const struct login_exchanger *exchanger)
{
    int64_t until_ms = clock_monotonic_ms() + ROUNDS_MS;
    while (rounds_wait(&exchanger->rounds, until_ms) && !logins_is_urgent(exchanger->logins))
        ;
}

static void *run(void *context)
{
    struct login_exchanger *exchanger = context;
    while (!exchanger->rounds.ending) {
        wait_a_round(exchanger);
        exchange(exchanger);
    }
    exchanger->rounds.ended = true;
    return NULL;
}

struct login_exchanger *login_exchanger_start(const struct daemon *daemon, struct logins *logins)
{
    struct login_exchanger *exchanger = xcalloc(1, sizeof *exchanger);
    exchanger->guard = daemon->guard;
    exchanger->store = daemon->store;
    exchanger->recorder = daemon->recorder;
    exchanger->logins = logins;
    exchange(exchanger);
    if (pthread_create(&exchanger->rounds.thread, NULL, run, exchanger) == 0)
        return exchanger;
    log_line(LOG_ERROR_LEVEL, "no thread for sign-ins", NULL);
    free(exchanger);
    return NULL;
}

int login_exchanger_stop(struct login_exchanger **exchanger, int timeout_ms)
{
    if (rounds_stop(&(*exchanger)->rounds, timeout_ms) < 0)
        return -1;
    free(*exchanger);
    *exchanger = NULL;
    return 1;
}

static void tell_count(uint64_t count, uint64_t *told, const char *message)
{
    char digits[TEXT_DIGITS_SIZE];
    if (count != *told)
        log_line(LOG_ERROR_LEVEL, message, "tries", text_digits(digits, (int64_t)count), NULL);
    *told = count;
}

/* Whose they are is known by hashes alone: sendguard logins shows it of who asks. */
static void tell_begun(struct login_exchanger *exchanger, const uint64_t begun[LOGIN_RULE_COUNT])
{
    for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++)
        for (; exchanger->told_begun[rule] < begun[rule]; exchanger->told_begun[rule]++) {
            log_line(LOG_WARNING_LEVEL,
                     "sign-ins are blocked, since tries came to several programs", "rule",
                     login_rule_names[rule], NULL);
            recorder_login_blocked(exchanger->recorder, (enum login_rule)rule);
        }
}

void login_exchanger_tell(struct login_exchanger *exchanger)
{
    struct logins_state state = logins_state(exchanger->logins, clock_wall_ms());
    if (log_changed(&exchanger->alarm, state.alarm))
        log_line(state.alarm ? LOG_ERROR_LEVEL : LOG_INFO_LEVEL,
                 state.alarm ? "many mailboxes have wrong passwords at once, as when Dovecot's "
                               "password database does not answer: they count less, or not at all"
                             : "wrong passwords count again",
                 NULL);
    if (state.alarm)
        recorder_login_alarm(exchanger->recorder);
    tell_begun(exchanger, state.begun);
    tell_count(state.unwritten_lost, &exchanger->told_lost,
               "too many tries wait for the store: further ones count in this program alone");
    tell_count(state.no_room, &exchanger->told_no_room,
               "too many mailboxes or networks are tried: a further mailbox does not count, and of a "
               "further network wrong_passwords_per_mailbox alone");
}
