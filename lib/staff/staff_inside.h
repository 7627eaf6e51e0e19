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
/* 0 with *problem. */
int staff_no_account(const char *name, struct problem *problem);
/* 1 with the cookie's text, or -1. */
int staff_begin_session(struct store *store, const char *name, struct json_object *account,
                        int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE]) must_check;
/* Ends what failed sign-ins with that name slow down. 1 or -1. */
int staff_forget_failures(struct store *store, const char *name, int64_t now_ms) must_check;

/* Calls add() for everything that is kept of that kind. 1 or -1. */
int staff_list_kept(struct store *store, enum kept_kind kind, int64_t now_ms,
                    void (*add)(struct json_object *list, const struct kept *kept),
                    struct json_object *list) must_check;
/* Adds {"name":…,"role":…,"created_at":…,"by":…} to the list and returns it. */
struct json_object *staff_add_entry(struct json_object *list, const struct kept *kept,
                                    struct json_object *value);

#endif
