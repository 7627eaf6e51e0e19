#include "auth/login_policy.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/login_request.h"
#include "auth/stolen_range.h"
#include "base/text.h"

#define GO_ON "{\"status\":0,\"msg\":\"\"}"

enum { MINUTE_S = 60, CONTACT_MAX = 100 };

/* ---- a question ------------------------------------------------------------------------------ */

/* Until the next whole minute, in one line of ASCII, which ends up in the logs of mail servers. */
static void say_until(struct text *body, int64_t until_ms)
{
    time_t seconds = (time_t)((until_ms + MINUTE_MS - 1) / MINUTE_MS * MINUTE_S);
    char clock[sizeof "14:05"];
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(clock, sizeof clock, "%H:%M", &utc);
    text_addf(body, "{\"status\":-1,\"msg\":\"Too many wrong passwords; try again after %s UTC\"}",
              clock);
}

static void answer_question(struct login_policy *policy, const struct settings *settings,
                            const struct login_request *request, const struct logins_try *attempt,
                            int64_t now_ms, struct text *body)
{
    struct login_block block;
    if (!settings_enforces_logins(settings) ||
        logins_allow(policy->logins, attempt, now_ms, &block) > 0) {
        text_add(body, GO_ON);
        return;
    }
    if (policy->recorder != NULL)
        recorder_login_refused(policy->recorder);
    if (request->after)
        text_add(body, "{\"status\":-1}");
    else
        say_until(body, block.until_ms);
}

/* The end of a line of ASCII: the contact stands there if it is such. */
static void say_whom_to_ask(struct text *body, struct text *line, const char *contact)
{
    bool is_plain = contact[0] != '\0' && strlen(contact) <= CONTACT_MAX;
    for (const char *next = contact; *next != '\0'; next++)
        is_plain = is_plain && *next >= ' ' && *next <= '~';
    text_addf(line, "ask %s", is_plain ? contact : "your support");
    text_add(body, "{\"status\":-1,\"msg\":");
    text_add_json(body, text_string(line));
    text_add_char(body, '}');
}

static void say_locked(struct text *body, const char *contact, const struct logins_lock *lock)
{
    freed_by(text_free) struct text line = {0};
    text_addf(&line, "This mailbox is locked, since %s; %s",
              lock->breached ? "its password is in a list of stolen passwords"
                             : "others may know its password",
              lock->closed ? "" : "to set a new one, ");
    say_whom_to_ask(body, &line, contact);
}

/* Asked when the password was found right, so that strangers learn nothing. */
static bool is_locked(struct login_policy *policy, const struct settings *settings,
                      const struct login_request *request, const struct logins_try *attempt,
                      int64_t now_ms, struct text *body)
{
    struct logins_lock lock;
    if (!request->after || settings->guard_mode != MODE_ENFORCE)
        return false;
    bool locked = logins_unlocked(policy->logins, attempt, now_ms, &lock) == 0;
    if (lock.again && policy->recorder != NULL)
        recorder_guard_locked(policy->recorder);
    if (locked && policy->recorder != NULL)
        recorder_lock_refused(policy->recorder);
    if (lock.again)
        log_line(LOG_WARNING_LEVEL, "a mailbox is locked again, since the old password is right",
                 "mailbox", attempt->mailbox, NULL);
    if (locked)
        say_locked(body, settings->support_contact, &lock);
    return locked;
}

/* The same of a password that is too old. */
static bool is_too_old(struct login_policy *policy, const struct settings *settings,
                       const struct login_request *request, const struct logins_try *attempt,
                       int64_t now_ms, struct text *body)
{
    freed_by(text_free) struct text line = {0};
    int64_t max_age_ms = settings->lock_password_max_age_ms;
    if (!request->after || max_age_ms == DURATION_OFF ||
        !logins_too_old(policy->logins, attempt, max_age_ms, now_ms))
        return false;
    if (settings->guard_mode != MODE_ENFORCE) {
        if (log_is_due(&policy->told_age_ms, now_ms))
            log_line(LOG_WARNING_LEVEL, "a sign-in would be refused, since its password is too old",
                     "mailbox", attempt->mailbox, NULL);
        return false;
    }
    if (policy->recorder != NULL)
        recorder_lock_refused(policy->recorder);
    text_addf(&line, "The password of this mailbox is older than %" PRId64
                     " days; to set a new one, ", max_age_ms / DAY_MS);
    say_whom_to_ask(body, &line, settings->support_contact);
    return true;
}

/* ---- a report -------------------------------------------------------------------------------- */

static void log_block(enum login_rule rule, const struct logins_try *attempt,
                      const struct logins_taken *taken, bool enforces)
{
    freed_by(text_free) struct text until = {0};
    bool of_mailbox = rule == LOGIN_WRONG_PER_MAILBOX_AND_IP || rule == LOGIN_WRONG_PER_MAILBOX;
    text_add_time(&until, taken->until_ms);
    log_line(LOG_WARNING_LEVEL, enforces ? "sign-ins are blocked" : "sign-ins would be blocked",
             "rule", login_rule_names[rule], "mailbox", of_mailbox ? attempt->mailbox : NULL,
             "network", rule != LOGIN_WRONG_PER_MAILBOX ? taken->network : NULL, "until",
             text_string(&until), NULL);
}

/* Dovecot did not say, and so did not ask, when this password was right: no lock was in its way. */
static void tell_unasked(struct login_policy *policy, const struct login_request *request,
                         int64_t now_ms)
{
    if (request->right && !request->after && log_is_due(&policy->told_stage_ms, now_ms))
        log_line(LOG_WARNING_LEVEL, "a passdb of Dovecot lacks sendguard=1: a lock keeps nobody "
                 "out who signs in by it", "mailbox", request->mailbox, NULL);
}

static void take_report(struct login_policy *policy, const struct settings *settings,
                        const struct login_request *request, const struct logins_try *attempt,
                        int64_t now_ms)
{
    struct logins_taken taken;
    if (!request->right && !request->counts)
        return;
    tell_unasked(policy, request, now_ms);
    if (logins_report(policy->logins, attempt, request->right, &settings->login_limits, now_ms,
                      &taken) < 1)
        return;
    for (int rule = 0; rule < LOGIN_RULE_COUNT; rule++) {
        if ((taken.begun & 1U << rule) == 0)
            continue;
        log_block((enum login_rule)rule, attempt, &taken, settings_enforces_logins(settings));
        if (policy->recorder != NULL)
            recorder_login_blocked(policy->recorder, (enum login_rule)rule);
    }
}

/* ---- stolen passwords ------------------------------------------------------------------------ */

static void fail(struct http_response *response, const struct problem *problem)
{
    response->status = problem->status;
    text_add(&response->body, "{\"error\":");
    text_add_json(&response->body, problem->text);
    text_add(&response->body, "}");
}

static void take_breach(struct login_policy *policy, const struct login_request *request,
                        int64_t now_ms)
{
    if (logins_breach(policy->logins, request->mailbox, !request->sending_alone, now_ms) == 0)
        return;
    log_line(LOG_WARNING_LEVEL,
             "a mailbox is locked, since its password is in a list of stolen ones", "mailbox",
             request->mailbox, NULL);
    if (policy->recorder != NULL)
        recorder_guard_locked(policy->recorder);
}

/* Anybody may ask: what is answered is public, and who asks says five digits of a hash. But sign-ins
 * wait for it, so those without the key share so many answers a second. */
static bool has_turn(struct login_policy *policy, const struct raw_request *raw, int64_t now_ms)
{
    int64_t second = now_ms / SECOND_MS;
    if (login_key_fits(&policy->key, raw->authorization))
        return true;
    if (atomic_exchange(&policy->range_second, second) != second)
        policy->ranges = 0;
    return atomic_fetch_add(&policy->ranges, 1) < LOGIN_RANGES_A_SECOND;
}

static int read_range(struct login_policy *policy, const struct raw_request *raw,
                      const struct problem *refused, int64_t now_ms, struct text *body,
                      struct problem *problem)
{
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(policy->guard);
    if (refused != NULL) {
        *problem = *refused;
        return 0;
    }
    if (strcmp(raw->method, "GET") != 0)
        return problem_set(problem, 405, "method", "expected GET");
    if (raw->query != NULL && strstr(raw->query, "mode=ntlm") != NULL)
        return problem_set(problem, 400, "mode", "the hashes here are SHA-1");
    if (!has_turn(policy, raw, now_ms))
        return problem_set(problem, 429, "Authorization",
                           "more than %d questions a second want the key: Bearer, and the key",
                           LOGIN_RANGES_A_SECOND);
    return stolen_range_read(snapshot_settings(snapshot)->auth_range_dir, raw->url, body, problem);
}

static void answer_range(struct login_policy *policy, const struct raw_request *raw,
                         const struct problem *refused, int64_t now_ms,
                         struct http_response *response)
{
    struct problem problem = {0};
    if (read_range(policy, raw, refused, now_ms, &response->body, &problem)) {
        response->type = "text/plain";
        return;
    }
    if (problem.status == 500 && log_is_due(&policy->told_range_ms, now_ms))
        log_line(LOG_ERROR_LEVEL, "a file of stolen passwords cannot be read", "where",
                 problem.where, "error", problem.text, NULL);
    fail(response, &problem);
}

/* ---- a request ------------------------------------------------------------------------------- */

static bool is_webmail_host(struct login_policy *policy, const struct settings *settings,
                            const struct login_request *request, int64_t now_ms)
{
    const char *ip = request->ip;
    if (ip[0] == '\0' || !settings_network_holds(&settings->mta_webmail_hosts, ip))
        return false;
    bool may_name_browser = request->protocol != LOGIN_SMTP; /* by which no webmail can */
    if (may_name_browser && log_is_due(&policy->told_webmail_ms, now_ms))
        log_line(LOG_WARNING_LEVEL, "sign-ins come from a webmail host: without the browser's "
                 "address only wrong_passwords_per_mailbox counts", "ip", ip, NULL);
    return true;
}

static int read_request(struct login_policy *policy, const struct raw_request *raw,
                        const struct problem *refused, struct arena *arena, int64_t now_ms,
                        struct login_request *request_r, struct problem *problem)
{
    if (!login_key_fits(&policy->key, raw->authorization)) {
        if (log_is_due(&policy->told_key_ms, now_ms))
            log_line(LOG_WARNING_LEVEL, "a request without the key is refused", "peer", raw->peer,
                     NULL);
        return problem_set(problem, 401, "Authorization", "expected Bearer, and the key");
    }
    if (refused != NULL)
        *problem = *refused;
    else if (login_request_read(raw, arena, request_r, problem))
        return 1;
    if (log_is_due(&policy->told_request_ms, now_ms))
        log_line(LOG_WARNING_LEVEL, "a request cannot be read", "where", problem->where, "error",
                 problem->text, NULL);
    return 0;
}

void login_policy_answer(void *context, const struct raw_request *raw,
                         const struct problem *refused, struct arena *arena, int64_t now_ms,
                         struct http_response *response)
{
    struct login_policy *policy = context;
    struct login_request request;
    struct problem problem = {0};
    response->type = "application/json";
    if (strncmp(raw->url, STOLEN_RANGE_PATH, strlen(STOLEN_RANGE_PATH)) == 0) {
        answer_range(policy, raw, refused, now_ms, response);
        return;
    }
    if (!read_request(policy, raw, refused, arena, now_ms, &request, &problem)) {
        fail(response, &problem);
        return;
    }
    freed_by(snapshot_release) struct snapshot *snapshot = guard_snapshot(policy->guard);
    const struct settings *settings = snapshot_settings(snapshot);
    const struct logins_try attempt = {
        .mailbox = request.mailbox, .ip = request.ip, .fingerprint = request.fingerprint,
        .protocol = request.protocol,
        .webmail_host = is_webmail_host(policy, settings, &request, now_ms)};
    /* The doctor asks without an address, and is not counted: it changes nothing. */
    if (request.command == LOGIN_ALLOW && request.ip[0] != '\0' && policy->recorder != NULL)
        recorder_login_asked(policy->recorder, request.after);
    if (request.command == LOGIN_BREACHED) {
        take_breach(policy, &request, now_ms);
        text_add(&response->body, GO_ON);
    } else if (request.command == LOGIN_REPORT) {
        take_report(policy, settings, &request, &attempt, now_ms);
        text_add(&response->body, GO_ON);
    } else if (!is_locked(policy, settings, &request, &attempt, now_ms, &response->body) &&
               !is_too_old(policy, settings, &request, &attempt, now_ms, &response->body)) {
        answer_question(policy, settings, &request, &attempt, now_ms, &response->body);
    }
}
