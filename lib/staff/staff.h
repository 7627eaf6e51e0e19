/* Who may use the support desk and its API: accounts with a role and a password
 * (argon2id), sessions of signed-in people, and tokens of programs. Kept in the
 * store; passwords, cookies and tokens only as hashes. Removing an account or
 * token, or changing a role, holds from the next request on.
 *
 * Guessing: failed sign-ins are counted by name and network (staff_sign_in.c); too
 * many slow further ones down for an hour and close nothing. In a network where a name
 * signed in within 30 days nobody from elsewhere slows it down, and in a browser with
 * which it did so nobody at all. A try is counted before the
 * password is looked at, so parallel tries gain nothing; hashing is done by two at a
 * time at most, one of them for known networks and browsers alone, and for unknown names too, so
 * that time tells nothing. A new password ends the account's sessions, and as
 * staff_unlock does what failed sign-ins have slowed down. */
#ifndef SENDGUARD_STAFF_H
#define SENDGUARD_STAFF_H

#include "base/problem.h"
#include "store/audit.h"
#include "store/store.h"

struct json_object;

/* ROLE_PANEL: a program that tells of changed passwords, and may do nothing else. */
enum role { ROLE_PANEL, ROLE_VIEWER, ROLE_SUPPORT, ROLE_ADMIN, ROLE_COUNT };
extern const char *const staff_role_names[ROLE_COUNT]; /* "panel", "viewer", "support", "admin" */
int staff_role_by_name(const char *name); /* -1: none */

/* Who does something; `name` is what the audit log says: "ada", "token:monitor",
 * "root (shell)", "user" (the mailbox's own, on the status page). */
struct person {
    char name[64];
    enum role role;
};

enum {
    STAFF_NAME_MAX = 32, /* a-z 0-9 . _ - ; begins with a letter or digit; not "user", "guard" */
    PASSWORD_MIN = 10, PASSWORD_MAX = 1024,
    SECRET_TEXT_SIZE = 48, /* of a cookie's or CSRF token's text with its NUL */
    API_TOKEN_TEXT_SIZE = 96,
    SIGN_IN_TRIES = 10,          /* of a name from a network, and of whatever names from one */
    SIGN_IN_TRIES_OF_NAME = 100, /* from networks that are not known to it */
};
#define SIGN_IN_SPAN_MS HOUR_MS
#define SIGN_IN_SLOW_MS (30 * SECOND_MS) /* between two tries when there were too many */
#define SIGN_IN_KNOWN_MS (30 * DAY_MS)
#define SESSION_MS (8 * HOUR_MS)
#define SIGN_IN_CODE_MS (5 * MINUTE_MS) /* between password and code */

/* Accounts. 1; 0 with *problem (name taken, not allowed; password too short); -1 the store. */
int staff_add(struct store *store, const char *name, enum role role, const char *password,
              const struct action *action, struct problem *problem) must_check;
int staff_set_password(struct store *store, const char *name, const char *password,
                       const struct action *action, struct problem *problem) must_check;
int staff_set_role(struct store *store, const char *name, enum role role,
                   const struct action *action,
                   struct problem *problem) must_check;
int staff_remove(struct store *store, const char *name, const struct action *action,
                 struct problem *problem) must_check;
/* {"staff":[{"name":…,"role":…,"created_at":…,"by":…,"codes":bool}]}; to be put. 1 or -1. */
int staff_list(struct store *store, int64_t now_ms, struct json_object **list_r) must_check;

/* Ends what failed sign-ins have slowed down, in the networks where this name failed too, and what
 * wrong codes and wrong passwords on the own account's page have stopped. `network` (key form; NULL: none) is known to the name from now on, so that who guesses on does not keep
 * its owner out there. */
int staff_unlock(struct store *store, const char *name, const char *network,
                 const struct action *action, struct problem *problem) must_check;

/* Signing in. WRONG: name or password, and what is slowed down from now on. BLOCKED: there were too
 * many failures; the next try is at free_at_ms. BUSY: too many have a password looked at; those
 * whose network or browser is known to the name have places of their own. CODE: the password is right,
 * and the account wants a code as well (staff_own.h): staff_sign_in_code(). LATE: that came too late, or
 * its password is another one now; it begins anew. -1 the store. */
enum { SIGN_IN_WRONG = 0, SIGNED_IN = 1, SIGN_IN_BLOCKED = 2, SIGN_IN_BUSY = 3, SIGN_IN_CODE = 4,
       SIGN_IN_LATE = 5 };
struct sign_in {
    /* given: */
    const char *name, *password;
    const char *network; /* the browser's address in key form */
    const char *browser; /* its cookie of staff_new_browser(); NULL: none */
    int64_t now_ms;
    /* answered: */
    char cookie[SECRET_TEXT_SIZE]; /* SIGNED_IN: its text; CODE: what is `waiting` then */
    int64_t free_at_ms;                           /* BLOCKED */
    bool pair_slowed, network_slowed, name_slowed; /* WRONG */
};
int staff_sign_in(struct store *store, struct sign_in *sign_in) must_check;
/* The second step, within SIGN_IN_CODE_MS. Wrong codes count by name, and of a known browser by itself:
 * SIGN_IN_TRIES an hour. SIGNED_IN, WRONG, BLOCKED, LATE, -1. */
struct sign_in_code {
    const char *waiting, *code; /* code: of the app, or one of the recovery codes */
    const unsigned char *key;   /* of the sealed secrets, SEAL_KEY_BYTES */
    char name[STAFF_NAME_MAX + 1]; /* answered, but for LATE: whose it is */
};
int staff_sign_in_code(struct store *store, struct sign_in *sign_in, struct sign_in_code *code)
    must_check;
/* What a browser is to be told by: random, kept only after it has signed somebody in. */
void staff_new_browser(char cookie_r[SECRET_TEXT_SIZE]);
bool staff_browser_well_formed(const char *cookie);
/* A session for whom somebody else has signed in (web.sign_in_proxies). Where SESSIONS_TRUSTED_MAX
 * were made within an hour the cookies do not come back: no further one is made, and cookie_r
 * is "". 1; 0 there is no such account; -1. */
enum { SESSIONS_TRUSTED_MAX = 100 };
int staff_sign_in_trusted(struct store *store, const char *name, int64_t now_ms,
                          struct person *person_r, char cookie_r[SECRET_TEXT_SIZE]) must_check;
/* Whose session it is: 1; 0 nobody's (any longer); -1. */
int staff_session(struct store *store, const char *cookie, int64_t now_ms,
                  struct person *person_r) must_check;
int staff_sign_out(struct store *store, const char *cookie, int64_t now_ms) must_check; /* 1, -1 */

/* The token that every form of a session carries, and its check in constant time. */
void staff_csrf(const char *cookie, char token_r[SECRET_TEXT_SIZE]);
bool staff_csrf_fits(const char *cookie, const char *token);

/* API tokens, "sg.NAME.SECRET". expires_ms may be UNTIL_LIFTED. owner: the account of who uses it;
 * NULL: who makes it. Results as staff_add. */
int staff_token_add(struct store *store, const char *name, enum role role, int64_t expires_ms,
                    const char *owner, const struct action *action,
                    char token_r[API_TOKEN_TEXT_SIZE], struct problem *problem) must_check;
int staff_token_remove(struct store *store, const char *name, const struct action *action,
                       struct problem *problem) must_check;
/* Whose token a person acts by, in `arena`: 1; 0 by none, or by one that is removed; -1. */
int staff_token_owner(struct store *store, struct arena *arena, const struct person *person,
                      int64_t now_ms, const char **owner_r) must_check;
/* {"tokens":[{"name":…,"role":…,"created_at":…,"by":…,"owner":…,"expires_at":…}]} */
int staff_token_list(struct store *store, int64_t now_ms, struct json_object **list_r) must_check;
int staff_token_person(struct store *store, const char *token, int64_t now_ms,
                       struct person *person_r) must_check; /* 1; 0 no token that holds; -1 */

#endif
