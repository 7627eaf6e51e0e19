#include "staff/staff_own.h"

#include <ctype.h>
#include <sodium.h>
#include <string.h>

#include "base/json.h"
#include "staff/staff_inside.h"
#include "staff/staff_secret.h"

/* In the account: "codes" the sealed secret, "codes_step" the last step that was used, "recovery" the
 * hashes of the recovery codes that are left. */
#define PURPOSE "codes of staff"
/* Said in the audit log of what somebody changed of the own account. */
#define NOTE "own account, at the desk"

/* ---- the password, once more ----------------------------------------------------------------- */

static int look_at_password(struct store *store, const struct own_account *own,
                            struct problem *problem)
{
    freed_by(json_put) struct json_object *account = NULL;
    int found = staff_read_account(store, own->name, own->now_ms, &account);
    if (found < 1)
        return found < 0 ? -1 : staff_no_account(own->name, problem);
    if (!staff_password_take(FAMILIARITY_NETWORK))
        return problem_set(problem, 429, "", "too many sign in at this moment; try again");
    bool fits = staff_password_fits(own->password, json_string(account, "password", NULL),
                                    FAMILIARITY_NETWORK);
    staff_password_leave(FAMILIARITY_NETWORK);
    return fits || problem_set(problem, 403, "password", "this is not your password");
}

#define TRIES "own:%s" /* the account's name */

int staff_own_forget_tries(struct store *store, const char *name, int64_t now_ms)
{
    freed_by(free_string) char *tries = xasprintf(TRIES, name);
    return store_forget(store, KEPT_TRIES, tries, now_ms, NULL) < 0 ? -1 : 1;
}

/* Counted before anybody knows how it ends. 1; 0 with *problem; -1. */
static int check_password(struct store *store, const struct own_account *own,
                          struct problem *problem)
{
    freed_by(free_string) char *tries = xasprintf(TRIES, own->name);
    uint32_t count;
    int64_t free_at_ms;
    int taken = store_try(store, tries, own->now_ms, SIGN_IN_SPAN_MS, SIGN_IN_TRIES, &count,
                          &free_at_ms);
    if (taken < 1)
        return taken < 0 ? -1
                         : problem_set(problem, 429, "password",
                                       "it was wrong too often; try again in an hour");
    int fits = look_at_password(store, own, problem);
    if (fits < 1)
        return fits;
    return staff_own_forget_tries(store, own->name, own->now_ms);
}

static struct action action_of(const struct own_account *own)
{
    return (struct action){own->now_ms, own->name, NOTE};
}

/* 1 or -1. */
static int begin_session(struct store *store, const struct own_account *own,
                         char cookie_r[SECRET_TEXT_SIZE])
{
    freed_by(json_put) struct json_object *account = NULL;
    if (staff_read_account(store, own->name, own->now_ms, &account) < 1)
        return -1;
    return staff_begin_session(store, own->name, account, own->now_ms, cookie_r);
}

int staff_own_password(struct store *store, const struct own_account *own,
                       const char *new_password, char cookie_r[SECRET_TEXT_SIZE],
                       struct problem *problem)
{
    const struct action action = action_of(own);
    if (!staff_check_password(new_password, "new_password", problem))
        return 0;
    int done = check_password(store, own, problem);
    if (done > 0)
        done = staff_set_password(store, own->name, new_password, &action, problem);
    return done < 1 ? done : begin_session(store, own, cookie_r);
}

/* ---- codes ------------------------------------------------------------------------------------- */

bool staff_codes_in(struct json_object *account) { return json_member(account, "codes") != NULL; }

void staff_codes_secret(char secret_r[TOTP_SECRET_CHARS + 1])
{
    unsigned char secret[TOTP_SECRET_BYTES];
    staff_random(secret, sizeof secret);
    totp_secret_write(secret, secret_r);
    sodium_memzero(secret, sizeof secret);
}

/* 80 bits, so one fast hash is enough. None of the letters looks like another. */
static void make_recovery_code(char code_r[RECOVERY_CODE_CHARS + 1])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char bytes[RECOVERY_CODE_CHARS];
    staff_random(bytes, sizeof bytes);
    for (size_t i = 0; i < RECOVERY_CODE_CHARS; i++)
        code_r[i] = i % 5 == 4 ? '-' : letters[bytes[i] & 31];
    code_r[RECOVERY_CODE_CHARS] = '\0';
}

/* As people type it: with or without blanks and hyphens, in capitals. false: it is none. */
static bool hash_recovery_code(const char *typed, char hash_r[SECRET_HASH_SIZE])
{
    char code[RECOVERY_CODE_CHARS + 1];
    size_t length = 0;
    for (; *typed != '\0'; typed++) {
        if (*typed == '-' || *typed == ' ')
            continue;
        if (length % 5 == 4 && length < RECOVERY_CODE_CHARS)
            code[length++] = '-';
        if (length == RECOVERY_CODE_CHARS)
            return false;
        code[length++] = (char)tolower((unsigned char)*typed);
    }
    code[length] = '\0';
    staff_secret_hash(code, hash_r);
    return length == RECOVERY_CODE_CHARS;
}

/* ---- on and off ---------------------------------------------------------------------------------- */

struct codes_begun {
    const char *sealed;
    int64_t step;
    const struct recovery_codes *codes;
};

static int put_codes(struct json_object *account, const void *with, char detail_r[STAFF_DETAIL],
                     struct problem *problem)
{
    const struct codes_begun *begun = with;
    if (staff_codes_in(account))
        return problem_set(problem, 409, "", "codes are asked for already");
    json_add_string(account, "codes", begun->sealed);
    json_add_int(account, "codes_step", begun->step);
    struct json_object *recovery = json_add_list(account, "recovery");
    for (size_t i = 0; i < RECOVERY_CODES; i++) {
        char hash[SECRET_HASH_SIZE];
        staff_secret_hash(begun->codes->of[i], hash);
        json_object_array_add(recovery, json_object_new_string(hash));
    }
    staff_new_stamp(account);
    strcpy(detail_r, "{}");
    return 1;
}

static int take_codes(struct json_object *account, const void *with, char detail_r[STAFF_DETAIL],
                      struct problem *problem)
{
    (void)with;
    if (!staff_codes_in(account))
        return problem_set(problem, 409, "", "no codes are asked for");
    json_object_object_del(account, "codes");
    json_object_object_del(account, "codes_step");
    json_object_object_del(account, "recovery");
    staff_new_stamp(account);
    strcpy(detail_r, "{}");
    return 1;
}

int staff_codes_on(struct store *store, const struct own_account *own, const char *secret,
                   const char *code, struct recovery_codes *codes_r,
                   char cookie_r[SECRET_TEXT_SIZE], struct problem *problem)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    const struct seal_purpose purpose = {own->key, PURPOSE};
    const struct action action = action_of(own);
    unsigned char bytes[TOTP_SECRET_BYTES];
    if (!totp_secret_read(secret, bytes))
        return problem_set(problem, 400, "secret", "it is none that was shown");
    int64_t step = totp_step_of(bytes, code, -1, own->now_ms);
    if (step < 0)
        return problem_set(problem, 400, "code", "it does not fit: is the clock of the phone right?");
    int done = check_password(store, own, problem);
    if (done < 1)
        return done;
    for (size_t i = 0; i < RECOVERY_CODES; i++)
        make_recovery_code(codes_r->of[i]);
    const struct codes_begun begun = {seal_make(&purpose, arena, bytes, sizeof bytes), step, codes_r};
    sodium_memzero(bytes, sizeof bytes);
    done = staff_change_account(store, own->name, "staff_codes_on", put_codes, &begun, &action,
                                problem);
    return done < 1 ? done : begin_session(store, own, cookie_r);
}

int staff_codes_off(struct store *store, const struct own_account *own,
                    char cookie_r[SECRET_TEXT_SIZE], struct problem *problem)
{
    const struct action action = action_of(own);
    int done = check_password(store, own, problem);
    if (done > 0)
        done = staff_codes_reset(store, own->name, &action, problem);
    return done < 1 ? done : begin_session(store, own, cookie_r);
}

int staff_codes_reset(struct store *store, const char *name, const struct action *action,
                      struct problem *problem)
{
    return !staff_check_name(name, problem)
               ? 0
               : staff_change_account(store, name, "staff_codes_off", take_codes, NULL, action,
                                      problem);
}

int staff_codes_wanted(struct store *store, const char *name, int64_t now_ms, size_t *left_r)
{
    freed_by(json_put) struct json_object *account = NULL;
    int found = staff_read_account(store, name, now_ms, &account);
    if (found < 1)
        return found;
    struct json_object *recovery = json_member(account, "recovery");
    *left_r = recovery != NULL ? json_object_array_length(recovery) : 0;
    return staff_codes_in(account);
}

/* ---- used ------------------------------------------------------------------------------------------ */

static bool use_code(struct json_object *account, const struct code_given *given)
{
    const struct seal_purpose purpose = {given->key, PURPOSE};
    unsigned char secret[SEAL_MAX_BYTES];
    size_t length;
    if (!seal_open(&purpose, json_string(account, "codes", ""), secret, &length) ||
        length != TOTP_SECRET_BYTES)
        return false;
    int64_t step = totp_step_of(secret, given->code, json_int(account, "codes_step", -1),
                                given->now_ms);
    sodium_memzero(secret, sizeof secret);
    if (step >= 0)
        json_add_int(account, "codes_step", step);
    return step >= 0;
}

static bool use_recovery_code(struct json_object *account, const struct code_given *given)
{
    struct json_object *recovery = json_member(account, "recovery");
    char hash[SECRET_HASH_SIZE];
    if (recovery == NULL || !hash_recovery_code(given->code, hash))
        return false;
    for (size_t i = 0; i < json_object_array_length(recovery); i++) {
        const char *left = json_object_get_string(json_object_array_get_idx(recovery, i));
        if (left != NULL && staff_secret_same(left, hash))
            return json_object_array_del_idx(recovery, i, 1) == 0;
    }
    return false;
}

static int use(struct json_object *account, const void *with, char detail_r[STAFF_DETAIL],
               struct problem *problem)
{
    const struct code_given *given = with;
    bool fits = staff_secret_same(given->stamp, json_string(account, "stamp", "")) &&
                (given->recovery ? use_recovery_code : use_code)(account, given);
    strcpy(detail_r, "{}");
    return fits || problem_set(problem, 403, "code", "it does not fit");
}

int staff_code_use(struct store *store, const char *name, const struct code_given *given)
{
    struct problem problem;
    const struct action action = {given->now_ms, name, "signs in with a recovery code"};
    return staff_change_account(store, name, given->recovery ? "staff_recovery" : NULL, use, given,
                                &action, &problem);
}
