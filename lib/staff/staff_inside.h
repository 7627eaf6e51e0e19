/* What accounts and tokens have in common. Internal to staff*.c. */
#ifndef SENDGUARD_STAFF_INSIDE_H
#define SENDGUARD_STAFF_INSIDE_H

#include "base/problem.h"
#include "staff/staff.h"
#include "store/kept.h"

bool staff_name_well_formed(const char *name);
/* 1, or 0 with *problem. */
int staff_check_name(const char *name, struct problem *problem) must_check;

/* The account's tree, to be put: 1, 0, -1. */
int staff_read_account(struct store *store, const char *name, int64_t now_ms,
                       struct json_object **account_r) must_check;
/* The password may be one; `where` is the place that *problem names. 1 or 0. */
int staff_check_password(const char *password, const char *where, struct problem *problem) must_check;
/* Changes the account's tree, and says for the audit log what was and is. 1; 0 with *problem: it stays. */
enum { STAFF_DETAIL = 96 };
typedef int staff_change(struct json_object *account, const void *with,
                         char detail_r[STAFF_DETAIL], struct problem *problem);
/* What others change at the same moment stays. action_name NULL: not for the audit log. 1; 0 with
 * *problem; -1. */
int staff_change_account(struct store *store, const char *name, const char *action_name,
                         staff_change *change, const void *with, const struct action *action,
                         struct problem *problem) must_check;
/* All sessions of the account end. */
void staff_new_stamp(struct json_object *account);

/* 0 with *problem. */
int staff_no_account(const char *name, struct problem *problem);
/* 1 with the cookie's text, or -1. */
int staff_begin_session(struct store *store, const char *name, struct json_object *account,
                        int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE]) must_check;
/* The same for who has the password and is to give a code: nobody's session yet. */
int staff_begin_waiting(struct store *store, const char *name, struct json_object *account,
                        int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE]) must_check;

/* Whether its sign-in wants a code (staff_own.h). */
bool staff_codes_in(struct json_object *account);
struct code_given {
    const unsigned char *key;
    const char *stamp; /* of the account when the password was right */
    const char *code;
    bool recovery; /* it is to be one of the recovery codes */
    int64_t now_ms;
};
/* Uses the code, which fits once. 1, 0, -1. */
int staff_code_use(struct store *store, const char *name, const struct code_given *given)
    must_check;
/* Forgets how often the own password was asked for in vain at the desk. 1 or -1. */
int staff_own_forget_tries(struct store *store, const char *name, int64_t now_ms) must_check;
/* Ends what failed sign-ins with that name slow down, wrong codes (of known browsers too) and wrong
 * passwords on the own account's page. 1 or -1. */
int staff_forget_failures(struct store *store, const char *name, int64_t now_ms) must_check;

/* Calls add() for everything that is kept of that kind. 1 or -1. */
int staff_list_kept(struct store *store, enum kept_kind kind, int64_t now_ms,
                    void (*add)(struct json_object *list, const struct kept *kept),
                    struct json_object *list) must_check;
/* Adds {"name":…,"role":…,"created_at":…,"by":…} to the list and returns it. */
struct json_object *staff_add_entry(struct json_object *list, const struct kept *kept,
                                    struct json_object *value);

#endif
