/* Who may use the support desk and its API: accounts with a role and a password
 * (argon2id), sessions of signed-in people, and tokens of programs. Kept in the
 * store; passwords, cookies and tokens only as hashes. Removing an account or
 * token, or changing a role, holds from the next request on.
 *
 * Guessing: ten failed sign-ins within an hour close the name (from wherever)
 * or the address (for whatever name) for an hour, whichever had them; signing in
 * forgets those before. A try is counted before the password is looked at, so
 * parallel tries gain nothing; hashing is done by two at a time at most, and for
 * unknown names too, so that time tells nothing. A new password ends the
 * account's sessions. */
#ifndef SENDGUARD_STAFF_H
#define SENDGUARD_STAFF_H

#include "store.h"

struct json_object;

enum role { ROLE_VIEWER, ROLE_SUPPORT, ROLE_ADMIN, ROLE_COUNT };
extern const char *const role_names[ROLE_COUNT]; /* "viewer", "support", "admin" */
int role_by_name(const char *name); /* -1: none */

/* Who does something; `name` is what the audit trail says: "ada", "token:monitor",
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
    SIGN_IN_TRIES = 10,
};
#define SIGN_IN_SPAN_MS HOUR_MS
#define SESSION_MS (8 * HOUR_MS)

/* Accounts. 1; 0 with *problem (name taken, not allowed; password too short); -1 the store. */
int staff_add(struct store *store, const char *name, enum role role, const char *password,
              const struct act *act, struct problem *problem) must_check;
int staff_set_password(struct store *store, const char *name, const char *password,
                       const struct act *act, struct problem *problem) must_check;
int staff_set_role(struct store *store, const char *name, enum role role, const struct act *act,
                   struct problem *problem) must_check;
int staff_remove(struct store *store, const char *name, const struct act *act,
                 struct problem *problem) must_check;
/* {"staff":[{"name":…,"role":…,"created_at":…,"by":…}]}; to be put. 1 or -1. */
int staff_list(struct store *store, int64_t now_ms, struct json_object **list_r) must_check;

/* Signing in: 1 with the cookie's text; 0 wrong name or password; 2 blocked, *free_at_r is set;
 * -1 the store. `address`: the browser's, in key form. */
enum { SIGN_IN_WRONG = 0, SIGNED_IN = 1, SIGN_IN_BLOCKED = 2 };
int staff_sign_in(struct store *store, const char *name, const char *password,
                  const char *address, int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE],
                  int64_t *free_at_r) must_check;
/* Whose session it is: 1; 0 nobody's (any longer); -1. */
int staff_session(struct store *store, const char *cookie, int64_t now_ms,
                  struct person *person_r) must_check;
int staff_sign_out(struct store *store, const char *cookie, int64_t now_ms) must_check; /* 1, -1 */

/* The token that every form of a session carries, and its check in constant time. */
void staff_csrf(const char *cookie, char token_r[SECRET_TEXT_SIZE]);
bool staff_csrf_fits(const char *cookie, const char *token);

/* API tokens, "sg.NAME.SECRET". expires_ms may be UNTIL_LIFTED. Results as staff_add. */
int api_token_add(struct store *store, const char *name, enum role role, int64_t expires_ms,
                  const struct act *act, char token_r[API_TOKEN_TEXT_SIZE],
                  struct problem *problem) must_check;
int api_token_remove(struct store *store, const char *name, const struct act *act,
                     struct problem *problem) must_check;
/* {"tokens":[{"name":…,"role":…,"created_at":…,"by":…,"expires_at":…}]} */
int api_token_list(struct store *store, int64_t now_ms, struct json_object **list_r) must_check;
int api_token_person(struct store *store, const char *token, int64_t now_ms,
                     struct person *person_r) must_check; /* 1; 0 none of ours (any longer); -1 */

#endif
