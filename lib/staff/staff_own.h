/* What staff changes of its own account at the desk: its password, and a second factor, codes of an
 * authenticator app (totp.h). Each wants the password once more, since a session may be a
 * stranger's; that may be tried SIGN_IN_TRIES times an hour. A change ends the account's
 * sessions; the caller gets a new one.
 *
 * The secret of the codes is kept sealed (base/seal.h), by a key that the store has not. Where the key
 * is another one later, no code fits; recovery codes, of which hashes are kept, still do. */
#ifndef SENDGUARD_STAFF_OWN_H
#define SENDGUARD_STAFF_OWN_H

#include "base/seal.h"
#include "staff/staff.h"
#include "staff/totp.h"

enum {
    RECOVERY_CODES = 10,
    RECOVERY_CODE_CHARS = 19, /* "abcd-efgh-jkmn-pqrs": 80 bits */
};
struct recovery_codes {
    char of[RECOVERY_CODES][RECOVERY_CODE_CHARS + 1];
};

/* Who changes something of the own account. */
struct own_account {
    const char *name, *password;
    const unsigned char *key; /* SEAL_KEY_BYTES; of the password alone: not asked */
    int64_t now_ms;
};

/* 1 with the cookie of a new session; 0 with *problem: 403 where = "password" it is wrong, 429 it was tried
 * too often, 400 where = "new_password"; -1. */
int staff_own_password(struct store *store, const struct own_account *own,
                       const char *new_password, char cookie_r[SECRET_TEXT_SIZE],
                       struct problem *problem) must_check;

/* A secret that nobody has yet, as an app takes it. */
void staff_codes_secret(char secret_r[TOTP_SECRET_CHARS + 1]);
/* From now on signing in wants a code too. `code`: of that secret, to prove that the app has it. Results
 * as above; 400 where = "code" it does not fit, 409 codes are wanted already. */
int staff_codes_on(struct store *store, const struct own_account *own, const char *secret,
                   const char *code, struct recovery_codes *codes_r,
                   char cookie_r[SECRET_TEXT_SIZE], struct problem *problem) must_check;
/* The password alone will do again. 409 it does already. */
int staff_codes_off(struct store *store, const struct own_account *own,
                    char cookie_r[SECRET_TEXT_SIZE], struct problem *problem) must_check;
/* The same by an operator, without the password: sessions end. Results as staff_add. */
int staff_codes_reset(struct store *store, const char *name, const struct action *action,
                      struct problem *problem) must_check;
/* Whether the account's sign-in wants a code; *left_r: how many recovery codes are left. 1, 0, -1. */
int staff_codes_wanted(struct store *store, const char *name, int64_t now_ms, size_t *left_r)
    must_check;

#endif
