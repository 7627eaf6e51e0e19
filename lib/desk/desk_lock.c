/* Locks of mailboxes whose password a stranger has: what staff and panels do about them. */
#include "desk/desk_lock.h"

#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "desk/desk_logins.h"
#include "desk/desk_parked.h"
#include "desk/input.h"
#include "guard/counters.h"
#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "store/observations.h"
#include "store/records.h"

enum { ATTEMPTS = 20, NOTE_MAX_BYTES = 255 };

enum act { ACT_LOCK, ACT_REOPEN, ACT_CLOSE, ACT_OPEN, ACT_PASSWORD_CHANGED, ACT_COUNT };
static const char *const act_names[ACT_COUNT] = {"lock", "reopen", "close", "open",
                                                 "password_changed"};

/* The causes of the suspensions that belong to locks, as bits. */
enum { COMPROMISED = 1 << CAUSE_COMPROMISED, BREACHED = 1 << CAUSE_BREACHED };

static const char scope_login[] = "login", scope_sending[] = "sending";

/* What is done to a mailbox. */
struct locking {
    const struct context *context;
    const char *mailbox;
    enum act act;
    bool keeps_out;
    enum cause cause; /* of what is locked */
    const char *note;
    bool by_owner; /* password_changed: by who knew the old one, and may be a stranger */
    bool checked; /* who reopens has looked at the points of the desk's list */
    struct value value, newest;
    struct login_mailbox state;
    unsigned suspended;             /* for which causes */
    bool is_suspended_besides;      /* for others */
    bool is_seen;                   /* it signed in here within 30 days, or sent within a day */
    const char *keeps_out_here;
    enum login_lock_phase before;
    bool changes, suspends;         /* what it comes to, */
    bool renews;                    /* the password is new (login_password_changed), */
    unsigned lifts;                 /* and of which causes */
};

static void free_locking(struct locking *locking) { login_mailbox_free(&locking->state); }

/* ---- reading --------------------------------------------------------------------------------- */

/* Whether a lock keeps anybody out here: "yes", or why not. NULL: the store did not answer. */
static const char *keeps_out_here(const struct context *context)
{
    struct counter asked[1];
    struct store_page page = {.max = countof(asked)};
    if (context->settings->guard_mode == MODE_OBSERVE)
        return "observed";
    /* the next name in order; one that was never counted may be missing */
    if (store_counters(context->desk->store, "login_questions ", asked, &page) < 0)
        return NULL;
    bool is_asked = page.count > 0 && strcmp(asked[0].name, COUNTER_ASKED_AFTER) == 0 &&
                    asked[0].value > 0;
    return is_asked ? "yes" : "not_asked";
}

static int read_values(struct locking *locking)
{
    const struct context *context = locking->context;
    struct value values[2];
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    free_locking(locking);
    values[0] = login_values_of(context->arena, VALUE_LOGINS,
                                keyed_hash_login(&keys, locking->mailbox));
    values[1] = login_values_newest();
    if (store_values_get(context->desk->store, context->arena, values, 2, context->now_ms) < 0)
        return -1;
    locking->value = values[0];
    locking->newest = values[1];
    login_values_mailbox(&values[0], &locking->state);
    login_mailbox_forget(&locking->state, context->now_ms);
    locking->before = locking->state.lock.phase;
    return 1;
}

static int read_lock(struct locking *locking)
{
    if (read_values(locking) < 0)
        return -1;
    locking->keeps_out_here = keeps_out_here(locking->context);
    return locking->keeps_out_here != NULL ? 1 : -1;
}

static unsigned suspended_of(const struct suspensions *suspensions)
{
    return (suspension_find(suspensions, CAUSE_COMPROMISED) != NULL ? COMPROMISED : 0) |
           (suspension_find(suspensions, CAUSE_BREACHED) != NULL ? BREACHED : 0);
}

static int read_state(struct locking *locking)
{
    const struct context *context = locking->context;
    struct account account;
    if (read_lock(locking) < 0 || store_account(context->desk->store, context->arena,
                                                locking->mailbox, context->now_ms, &account) < 0)
        return -1;
    locking->suspended = suspended_of(&account.suspensions);
    locking->is_suspended_besides = false;
    for (size_t i = 0; i < account.suspensions.count; i++)
        locking->is_suspended_besides |=
            (1U << account.suspensions.of[i].cause & (COMPROMISED | BREACHED)) == 0;
    locking->is_seen = locking->state.known.count > 0 || account.history.count > 0;
    return 1;
}

static int check_key(const struct context *context, struct problem *problem)
{
    return context->desk->key != NULL ||
           problem_set(problem, 409, "", "the key that mailboxes are found by (web.secret_file) "
                                         "cannot be read");
}

/* ---- the view -------------------------------------------------------------------------------- */

static const char *scope_of(const struct login_lock *lock)
{
    return lock->keeps_out ? scope_login : scope_sending;
}

static enum cause cause_of(const struct login_lock *lock)
{
    return lock->breached ? CAUSE_BREACHED : CAUSE_COMPROMISED;
}

static void add_lock(const struct locking *locking, struct json_object *view)
{
    const struct login_lock *lock = &locking->state.lock;
    char network[LOGIN_NETWORK_SIZE];
    login_network_text(lock->other_network, network);
    bool is_known = lock->phase != LOGIN_LOCK_NONE;
    json_add_string(view, "phase", login_lock_phase_names[lock->phase]);
    json_add_string(view, "cause", is_known ? cause_names[cause_of(lock)] : NULL);
    json_add_string(view, "scope", login_lock_holds(lock) ? scope_of(lock) : NULL);
    json_add_moment(view, "since", is_known ? lock->since_ms : 0);
    json_add_moment(view, "offence_at", lock->offence_ms);
    json_add_int(view, "offences", login_lock_offences(lock, locking->context->now_ms));
    json_add_string(view, "next",
                    login_lock_phase_names[login_lock_next(lock, locking->context->now_ms)]);
    json_add_bool(view, "suspended", locking->suspended != 0);
    json_add_string(view, "keeps_out", locking->keeps_out_here);
    json_add_bool(view, "old_password_known",
                  is_known && lock->fingerprint != LOGIN_NO_FINGERPRINT);
    json_add_moment(view, "old_password_refused_since", is_known ? lock->refused_ms : 0);
    json_add_moment(view, "new_password_at", is_known ? lock->other_ms : 0);
    json_add_string(view, "new_password_network",
                    is_known && lock->other_ms != 0 && lock->other_network != 0 ? network : NULL);
}

static struct json_object *view_of(const struct locking *locking)
{
    struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", locking->context->now_ms);
    json_add_string(view, "mailbox", locking->mailbox);
    add_lock(locking, view);
    return view;
}

int desk_lock_add(const struct context *context, const char *mailbox,
                  const struct suspensions *suspensions, struct json_object *view)
{
    freed_by(free_locking) struct locking locking = {
        .context = context, .mailbox = mailbox,
        .suspended = suspended_of(suspensions)};
    if (context->desk->key == NULL) {
        json_add_null(view, "lock");
        return 1;
    }
    if (read_lock(&locking) < 0)
        return -1;
    add_lock(&locking, json_add_object(view, "lock"));
    return 1;
}

/* Whether a lock keeps anybody out. */
static bool keeps_out(const struct locking *locking)
{
    const struct login_lock *lock = &locking->state.lock;
    return locking->context->settings->guard_mode != MODE_OBSERVE && login_lock_holds(lock) &&
           lock->keeps_out;
}

/* What others than staff read of it, and lists have. */
static void add_short(const struct locking *locking, struct json_object *view)
{
    struct json_object *lock = json_add_object(view, "lock");
    json_add_string(lock, "scope", keeps_out(locking) ? scope_login : scope_sending);
    json_add_bool(lock, "closed", locking->state.lock.phase == LOGIN_CLOSED);
}

/* Whether its own user has stopped sending, and no lock holds. */
static bool may_ask(const struct locking *locking, const struct suspensions *suspensions)
{
    const struct suspension *own = suspension_find(suspensions, CAUSE_COMPROMISED);
    return own != NULL && suspension_is_own_lock(own->cause, own->by) &&
           !login_lock_holds(&locking->state.lock);
}

int desk_lock_add_own(const struct context *context, const char *mailbox,
                      const struct suspensions *suspensions, struct json_object *view)
{
    freed_by(free_locking) struct locking locking = {.context = context, .mailbox = mailbox};
    bool is_known = context->desk->key != NULL && suspended_of(suspensions) != 0;
    if (is_known && read_lock(&locking) < 0)
        return -1;
    json_add_bool(view, "can_lock_signins",
                  is_known && may_ask(&locking, suspensions) &&
                      context->settings->guard_mode != MODE_OBSERVE);
    if (!is_known) {
        json_add_null(view, "lock");
        return 1;
    }
    add_short(&locking, view);
    return 1;
}

int desk_lock_add_to_row(const struct context *context, const char *mailbox,
                         const struct suspension *suspension, struct json_object *view)
{
    freed_by(free_locking) struct locking locking = {.context = context, .mailbox = mailbox};
    const struct login_lock *lock = &locking.state.lock;
    unsigned cause = 1U << suspension->cause;
    bool may_be_locked = context->desk->key != NULL && (cause & (COMPROMISED | BREACHED)) != 0;
    if (may_be_locked && read_values(&locking) < 0)
        return -1;
    if (may_be_locked && login_lock_holds(lock) && cause_of(lock) == suspension->cause)
        add_short(&locking, view);
    else
        json_add_null(view, "lock");
    return 1;
}

int desk_lock_view(const struct desk *desk, const char *mailbox, int64_t now_ms,
                   struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(free_locking) struct locking locking = {.context = &context};
    if (!input_mailbox(&context, mailbox, "mailbox", &locking.mailbox, problem) ||
        !check_key(&context, problem))
        return 0;
    if (read_state(&locking) < 0)
        return -1;
    *view_r = view_of(&locking);
    return 1;
}

/* ---- what it comes to ------------------------------------------------------------------------ */

static int may(const struct person *person, enum act act, struct problem *problem)
{
    if (person->role == ROLE_PANEL)
        return act == ACT_PASSWORD_CHANGED ||
               problem_set(problem, 403, "", "your role may say that a password was changed, alone");
    if (person->role < ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    return act != ACT_OPEN || person->role == ROLE_ADMIN ||
           problem_set(problem, 403, "", "your role may not open what is closed; ask an "
                                         "administrator");
}

static int begin(struct locking *locking)
{
    struct login_lock *lock = &locking->state.lock;
    int64_t now_ms = locking->context->now_ms;
    bool held = login_lock_holds(lock), was_breached = lock->breached;
    uint16_t fingerprint = login_last_right(&locking->state);
    if (locking->act == ACT_CLOSE)
        login_lock_close(lock, fingerprint, now_ms);
    else if (locking->cause == CAUSE_COMPROMISED)
        login_lock_begin(lock, locking->keeps_out, fingerprint, now_ms);
    else if (!login_lock_breach(lock, locking->keeps_out, fingerprint, now_ms))
        return 1;
    unsigned cause = 1U << cause_of(lock);
    locking->changes = true;
    locking->suspends =
        !held || was_breached != lock->breached || (locking->suspended & cause) == 0;
    locking->suspended |= cause;
    return 1;
}

/* The lock, or a suspension without one; of these, those of `causes`. */
static int reopen(struct locking *locking, unsigned causes)
{
    struct login_lock *lock = &locking->state.lock;
    if (login_lock_holds(lock)) {
        login_lock_reopen(lock, locking->context->now_ms);
        locking->changes = true;
    }
    locking->lifts = locking->suspended & causes;
    locking->suspended &= ~causes;
    return 1;
}

/* The causes that end by what is told; 0: it is not enough to open what holds. A stranger who knows
 * the password ends with a new one that it is in a list, and not what was stopped since he has it. */
static unsigned believed(const struct locking *locking)
{
    const struct login_lock *lock = &locking->state.lock;
    bool holds = login_lock_holds(lock);
    if (!locking->by_owner || (locking->context->settings->lock_reopen_by_webmail &&
                               !(holds && lock->keeps_out)))
        return COMPROMISED | BREACHED;
    return holds && lock->breached ? BREACHED : 0;
}

static int decide(struct locking *locking, struct problem *problem)
{
    bool closed = locking->state.lock.phase == LOGIN_CLOSED;
    bool held = locking->suspended != 0 || login_lock_holds(&locking->state.lock);
    const unsigned all = COMPROMISED | BREACHED;
    locking->changes = locking->suspends = false;
    locking->lifts = 0;
    switch (locking->act) {
    case ACT_LOCK:
    case ACT_CLOSE: return begin(locking);
    case ACT_REOPEN:
        if (closed)
            return problem_set(problem, 409, "mailbox", "it is closed after a second offence: an "
                                                        "administrator opens it (open)");
        return held ? reopen(locking, all) : problem_set(problem, 409, "mailbox", "it is not locked");
    case ACT_OPEN:
        return closed ? reopen(locking, all) : problem_set(problem, 409, "mailbox", "it is not closed");
    default:
        return closed || !held || believed(locking) == 0 ? 1 : reopen(locking, believed(locking));
    }
}

/* ---- doing ----------------------------------------------------------------------------------- */

static const char *detail_of(const struct locking *locking)
{
    const struct login_lock *lock = &locking->state.lock;
    freed_by(json_put) struct json_object *detail = json_object_new_object();
    json_add_string(detail, "was", login_lock_phase_names[locking->before]);
    json_add_string(detail, "phase", login_lock_phase_names[lock->phase]);
    if (login_lock_holds(lock)) {
        json_add_string(detail, "scope", scope_of(lock));
        if (lock->breached)
            json_add_string(detail, "cause", cause_names[CAUSE_BREACHED]);
    }
    if (locking->checked)
        json_add_bool(detail, "checked", true);
    return arena_strdup(locking->context->arena, json_object_to_json_string_ext(detail, 0));
}

/* 1; 0 others were faster; -1. */
static int write_lock(const struct locking *locking, const struct audited *audited)
{
    static const struct durations until_opened = {1, {UNTIL_LIFTED}};
    const struct context *context = locking->context;
    struct value_change changes[1 + LOGIN_VALUES_EXTRA];
    const struct value_suspension suspension = {
        locking->mailbox, cause_of(&locking->state.lock), &until_opened,
        audited != NULL ? audited->action : NULL};
    changes[0] = login_values_mailbox_change(context->arena, &locking->value, &locking->state,
                                             context->now_ms);
    login_values_tell(context->arena, &locking->newest, changes, 1, context->now_ms);
    return store_values_change(context->desk->store,
                               &(struct values_step){.changes = changes,
                                                     .count = countof(changes),
                                                     .suspensions = &suspension,
                                                     .suspension_count = locking->suspends,
                                                     .audited = audited,
                                                     .audited_count = audited != NULL,
                                                     .now_ms = context->now_ms},
                               NULL);
}

/* For monitoring: whether that is written does not matter to the lock. */
static void count_begun(const struct context *context, enum lock_by by)
{
    struct counter counter = {.value = 1};
    counters_lock_name(by, counter.name);
    int written = store_observe(context->desk->store,
                                &(struct observations){.counters = &counter, .counter_count = 1},
                                context->now_ms);
    (void)written;
}

static bool begins(const struct locking *locking)
{
    return login_lock_holds(&locking->state.lock) &&
           (locking->before == LOGIN_LOCK_NONE || locking->before == LOGIN_REOPENED);
}

/* The lock first: whatever comes between, mail is not sent before all is open. */
static int carry_out(const struct locking *locking, const struct action *action)
{
    struct store *store = locking->context->desk->store;
    const struct audited audited = {act_names[locking->act], locking->mailbox, detail_of(locking),
                                    action};
    bool is_told = locking->changes || locking->lifts != 0 || locking->before == LOGIN_CLOSED ||
                   (locking->by_owner &&
                    (locking->suspended != 0 || login_lock_holds(&locking->state.lock)));
    int done = locking->changes || locking->renews ? write_lock(locking, is_told ? &audited : NULL)
               : is_told                           ? store_write_audit(store, &audited)
                                                   : 1;
    if (done > 0 && begins(locking))
        count_begun(locking->context, LOCK_BY_STAFF);
    for (int cause = 0; done > 0 && cause < CAUSE_COUNT; cause++)
        if ((locking->lifts & 1U << cause) != 0 &&
            store_lift(store, locking->mailbox, (enum cause)cause, action) < 0)
            return -1;
    return done;
}

static int too_busy(struct problem *problem)
{
    return problem_set(problem, 409, "", "passwords are counted at the same moment; try again");
}

static int act(struct locking *locking, const struct person *person, bool preview,
               struct json_object **view_r, struct problem *problem)
{
    const struct action action = {locking->context->now_ms, person->name, locking->note};
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (read_state(locking) < 0)
            return -1;
        if (!decide(locking, problem))
            return 0;
        locking->renews = locking->act != ACT_LOCK && locking->act != ACT_CLOSE &&
                          login_password_changed(&locking->state, locking->context->now_ms);
        int done = preview ? 1 : carry_out(locking, &action);
        if (done > 0 && !preview && desk_parked_forget(locking->context, locking->mailbox) < 0)
            return -1; /* a stranger may have parked it */
        if (done > 0) {
            *view_r = view_of(locking);
            json_add_string(*view_r, "action", act_names[locking->act]);
            json_add_string(*view_r, "was", login_lock_phase_names[locking->before]);
            json_add_bool(*view_r, "seen", locking->is_seen);
            json_add_bool(*view_r, "suspended_besides", locking->is_suspended_besides);
            desk_logins_add_blocks(locking->context, locking->mailbox, &locking->state, *view_r);
            json_add_bool(*view_r, "done", !preview && (locking->changes || locking->lifts != 0));
        }
        if (done != 0)
            return done;
    }
    return too_busy(problem);
}

int desk_lock_tell_by_webmail(const struct desk *desk, const char *mailbox, int64_t now_ms,
                              struct json_object **view_r, struct problem *problem)
{
    const struct person user = {.name = "user"};
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *whole = NULL;
    freed_by(free_locking) struct locking locking = {
        .context = &context, .mailbox = mailbox, .act = ACT_PASSWORD_CHANGED, .by_owner = true,
        .note = "The user changed the password in the webmail."};
    if (!check_key(&context, problem))
        return 0;
    int answer = act(&locking, &user, false, &whole, problem);
    if (answer > 0) {
        *view_r = json_object_new_object();
        json_add_bool(*view_r, "done", json_is_true(whole, "done"));
    }
    return answer;
}

int desk_lock_forgive(const struct context *context, const struct person *person,
                      const char *mailbox, enum cause cause, const struct action *action,
                      struct problem *problem)
{
    freed_by(free_locking) struct locking locking = {.context = context, .mailbox = mailbox};
    bool may_be_locked =
        context->desk->key != NULL && (1U << cause & (COMPROMISED | BREACHED)) != 0;
    for (int attempt = 0; attempt < ATTEMPTS && may_be_locked; attempt++) {
        struct login_lock *lock = &locking.state.lock;
        if (read_state(&locking) < 0)
            return -1;
        if (!login_lock_holds(lock) || cause_of(lock) != cause)
            return 1;
        if (locking.before == LOGIN_CLOSED && !may(person, ACT_OPEN, problem))
            return 0;
        login_lock_forgive(lock, context->now_ms);
        if (cause == CAUSE_COMPROMISED && (locking.suspended & BREACHED) != 0)
            login_lock_breach(lock, lock->keeps_out, login_last_right(&locking.state),
                              context->now_ms);
        int done = action == NULL ? 1 : write_lock(&locking, NULL);
        if (done != 0)
            return done;
    }
    return !may_be_locked || too_busy(problem);
}

int desk_lock_signins(const struct desk *desk, const char *mailbox, int64_t now_ms,
                      struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    const struct action action = {now_ms, "user", "The user asks on the status page to keep "
                                                  "everybody out."};
    freed_by(free_locking) struct locking locking = {
        .context = &context, .mailbox = mailbox, .act = ACT_LOCK};
    struct account account;
    if (!check_key(&context, problem))
        return 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (store_account(desk->store, context.arena, mailbox, now_ms, &account) < 0 ||
            read_lock(&locking) < 0)
            return -1;
        if (!may_ask(&locking, &account.suspensions))
            return problem_set(problem, 409, "mailbox", "nothing is stopped by its user, or it is "
                                                        "locked already");
        login_lock_ask(&locking.state.lock, login_last_right(&locking.state), now_ms);
        const struct audited audited = {act_names[ACT_LOCK], mailbox, detail_of(&locking), &action};
        int done = write_lock(&locking, &audited);
        if (done > 0)
            count_begun(&context, LOCK_BY_USER);
        if (done != 0)
            return done;
    }
    return too_busy(problem);
}

/* ---- words ----------------------------------------------------------------------------------- */

static int read_scope(const char *scope, struct locking *locking, struct problem *problem)
{
    locking->keeps_out = scope == NULL || strcmp(scope, scope_login) == 0;
    if (scope != NULL && locking->act != ACT_LOCK)
        return problem_set(problem, 400, "scope", "%s does not take it", act_names[locking->act]);
    return locking->keeps_out || strcmp(scope, scope_sending) == 0 ||
           problem_set(problem, 400, "scope", "expected login or sending");
}

static int read_cause(const char *cause, struct locking *locking, struct problem *problem)
{
    locking->cause = CAUSE_COMPROMISED;
    if (cause != NULL && locking->act != ACT_LOCK)
        return problem_set(problem, 400, "cause", "%s does not take it", act_names[locking->act]);
    if (cause == NULL || strcmp(cause, cause_names[CAUSE_COMPROMISED]) == 0)
        return 1;
    locking->cause = CAUSE_BREACHED;
    return strcmp(cause, cause_names[CAUSE_BREACHED]) == 0 ||
           problem_set(problem, 400, "cause", "expected compromised or breached");
}

static int read_checked(struct json_object *value, struct locking *locking,
                        struct problem *problem)
{
    locking->checked = json_object_is_type(value, json_type_boolean) &&
                       json_object_get_boolean(value);
    return locking->checked ||
           problem_set(problem, 400, "checked", "expected true, or nothing");
}

static int read_by(const char *by, struct locking *locking, struct problem *problem)
{
    locking->by_owner = by != NULL && strcmp(by, "owner") == 0;
    if (by != NULL && locking->act != ACT_PASSWORD_CHANGED)
        return problem_set(problem, 400, "by", "%s does not take it", act_names[locking->act]);
    return by == NULL || locking->by_owner || strcmp(by, "staff") == 0 ||
           problem_set(problem, 400, "by", "expected staff or owner");
}

static int read_words(struct json_object *words, struct locking *locking, struct problem *problem)
{
    const char *scope = NULL, *by = NULL, *cause = NULL, *name_of_act = NULL;
    json_object_object_foreach(words, name, value)
    {
        if (strcmp(name, "checked") == 0) {
            if (!read_checked(value, locking, problem))
                return 0;
            continue;
        }
        const char **word_r = strcmp(name, "action") == 0 ? &name_of_act
                              : strcmp(name, "scope") == 0 ? &scope
                              : strcmp(name, "cause") == 0 ? &cause
                              : strcmp(name, "by") == 0    ? &by
                              : strcmp(name, "note") == 0  ? &locking->note
                                                           : NULL;
        if (word_r == NULL)
            return problem_set(problem, 400, name, "there is no such member");
        if (!input_word(locking->context, value, name, word_r, problem))
            return 0;
    }
    int number = name_of_act != NULL ? names_find(act_names, ACT_COUNT, name_of_act) : -1;
    if (number < 0)
        return problem_set(problem, 400, "action",
                           "expected lock, reopen, close, open or password_changed");
    locking->act = (enum act)number;
    if (locking->note == NULL || strlen(locking->note) > NOTE_MAX_BYTES)
        return problem_set(problem, 400, "note", "expected 1 to %d bytes: why", NOTE_MAX_BYTES);
    if (locking->checked && locking->act != ACT_REOPEN && locking->act != ACT_OPEN)
        return problem_set(problem, 400, "checked", "%s does not take it", name_of_act);
    return read_by(by, locking, problem) && read_scope(scope, locking, problem) &&
           read_cause(cause, locking, problem);
}

int desk_lock_act(const struct desk *desk, const struct person *person, const char *mailbox,
                  struct json_object *words, bool preview, int64_t now_ms,
                  struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(free_locking) struct locking locking = {.context = &context};
    if (!input_mailbox(&context, mailbox, "mailbox", &locking.mailbox, problem) ||
        !read_words(words, &locking, problem) || !may(person, locking.act, problem) ||
        !check_key(&context, problem))
        return 0;
    return act(&locking, person, preview, view_r, problem);
}
