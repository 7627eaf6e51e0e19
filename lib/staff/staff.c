/* Accounts and sessions. An account is kept under its name: role, password's
 * hash, and a stamp that changes with the password; a session under its
 * cookie's hash: name and stamp. It is good as long as the account has that
 * stamp, so removing the account or changing its password ends it. */
#include "staff/staff.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "staff/staff_inside.h"
#include "staff/staff_secret.h"

enum { LIST_PAGE = 100 };

const char *const staff_role_names[ROLE_COUNT] = {
    [ROLE_PANEL] = "panel", [ROLE_VIEWER] = "viewer", [ROLE_SUPPORT] = "support",
    [ROLE_ADMIN] = "admin"};

int staff_role_by_name(const char *name) { return names_find(staff_role_names, ROLE_COUNT, name); }

bool staff_name_well_formed(const char *name)
{
    static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t length = strnlen(name, STAFF_NAME_MAX + 1);
    return length >= 1 && length <= STAFF_NAME_MAX && strchr(alphanumeric, name[0]) != NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

/* What the audit log calls those who are no staff: the mailbox's own user, and the guard. */
static bool is_taken(const char *name)
{
    return strcmp(name, "user") == 0 || strcmp(name, "guard") == 0;
}

int staff_check_name(const char *name, struct problem *problem)
{
    if (is_taken(name))
        return problem_set(problem, 400, "name", "\"%s\" stands for somebody else", name);
    return staff_name_well_formed(name) ||
           problem_set(problem, 400, "name",
                       "expected 1 to %d of a-z 0-9 . _ -, a letter or digit first",
                       STAFF_NAME_MAX);
}

/* ---- accounts ------------------------------------------------------------------- */

int staff_check_password(const char *password, const char *where, struct problem *problem)
{
    size_t length = strnlen(password, PASSWORD_MAX + 1);
    if (length < PASSWORD_MIN)
        return problem_set(problem, 400, where, "has less than %d characters", PASSWORD_MIN);
    return length <= PASSWORD_MAX ||
           problem_set(problem, 400, where, "has more than %d bytes", PASSWORD_MAX);
}

int staff_no_account(const char *name, struct problem *problem)
{
    return problem_set(problem, 404, "name", "there is no account %s", name);
}

/* The account's tree, to be put, and its text in `arena`: 1, 0, -1. */
static int read_account(struct store *store, struct arena *arena, const char *name,
                        int64_t now_ms, struct json_object **account_r, const char **text_r)
{
    struct kept kept;
    int found = store_kept(store, arena, KEPT_STAFF, name, now_ms, &kept);
    if (found < 1)
        return found;
    *text_r = kept.value;
    *account_r = json_read(kept.value);
    return *account_r != NULL;
}

int staff_read_account(struct store *store, const char *name, int64_t now_ms,
                       struct json_object **account_r)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    const char *text;
    return read_account(store, arena, name, now_ms, account_r, &text);
}

void staff_new_stamp(struct json_object *account)
{
    char stamp[SECRET_TEXT_SIZE];
    staff_secret_make(stamp);
    json_add_string(account, "stamp", stamp);
}

static void put_password(struct json_object *account, const char *hash)
{
    json_add_string(account, "password", hash);
    staff_new_stamp(account);
}

static int name_taken(const char *name, struct problem *problem)
{
    return problem_set(problem, 409, "name", "there is an account %s", name);
}

static int check_role(enum role role, struct problem *problem)
{
    return role != ROLE_PANEL || problem_set(problem, 400, "role", "panel is a role of tokens alone");
}

int staff_add(struct store *store, const char *name, enum role role, const char *password,
              const struct action *action, struct problem *problem)
{
    if (!staff_check_name(name, problem) || !check_role(role, problem) ||
        !staff_check_password(password, "password", problem))
        return 0;
    freed_by(json_put) struct json_object *present = NULL, *account = json_object_new_object();
    char hash[PASSWORD_HASH_SIZE];
    int found = staff_read_account(store, name, action->now_ms, &present);
    if (found != 0)
        return found < 0 ? -1 : name_taken(name, problem);
    /* those of an earlier account of that name too; first, so that -1 says that none was added */
    if (staff_forget_failures(store, name, action->now_ms) < 1)
        return -1;
    staff_password_hash(password, hash);
    json_add_string(account, "role", staff_role_names[role]);
    json_add_int(account, "created_ms", action->now_ms);
    json_add_string(account, "by", action->by);
    put_password(account, hash);
    struct kept kept = {.key = name, .value = json_object_to_json_string(account),
                        .until_ms = UNTIL_LIFTED};
    char detail[64];
    snprintf(detail, sizeof detail, "{\"role\":\"%s\"}", staff_role_names[role]);
    struct audited audited = {"staff_add", name, detail, action};
    int done = store_keep_new(store, KEPT_STAFF, &kept, action->now_ms, &audited);
    return done != 0 ? done : name_taken(name, problem);
}

static int change_password(struct json_object *account, const void *hash,
                           char detail_r[STAFF_DETAIL], struct problem *problem)
{
    (void)problem;
    put_password(account, hash);
    strcpy(detail_r, "{}");
    return 1;
}

static int change_role(struct json_object *account, const void *name, char detail_r[STAFF_DETAIL],
                       struct problem *problem)
{
    const char *role = name;
    (void)problem;
    int before = staff_role_by_name(json_string(account, "role", ""));
    snprintf(detail_r, STAFF_DETAIL, "{\"before\":{\"role\":\"%s\"},\"after\":{\"role\":\"%s\"}}",
             before >= 0 ? staff_role_names[before] : "", role);
    json_add_string(account, "role", role);
    return 1;
}

enum { CHANGE_ATTEMPTS = 20 };

int staff_change_account(struct store *store, const char *name, const char *action_name,
                         staff_change *change, const void *with, const struct action *action,
                         struct problem *problem)
{
    for (int attempt = 0; attempt < CHANGE_ATTEMPTS; attempt++) {
        freed_by(arena_free) struct arena *arena = arena_new();
        freed_by(json_put) struct json_object *account = NULL;
        const char *before;
        char detail[STAFF_DETAIL];
        int found = read_account(store, arena, name, action->now_ms, &account, &before);
        if (found < 1)
            return found < 0 ? -1 : staff_no_account(name, problem);
        if (!change(account, with, detail, problem))
            return 0;
        struct kept kept = {.key = name, .value = json_object_to_json_string(account),
                            .until_ms = UNTIL_LIFTED};
        struct audited audited = {action_name, name, detail, action};
        int done = store_keep_over(store, KEPT_STAFF, &kept, before, action->now_ms,
                                   action_name != NULL ? &audited : NULL);
        if (done != 0)
            return done;
    }
    return problem_set(problem, 409, "name", "others change this account at the same moment");
}

int staff_set_password(struct store *store, const char *name, const char *password,
                       const struct action *action, struct problem *problem)
{
    char hash[PASSWORD_HASH_SIZE];
    if (!staff_check_name(name, problem) ||
        !staff_check_password(password, "password", problem))
        return 0;
    /* first, so that -1 says that the password is the old one */
    if (staff_forget_failures(store, name, action->now_ms) < 1)
        return -1;
    staff_password_hash(password, hash);
    return staff_change_account(store, name, "staff_password", change_password, hash, action,
                                problem);
}

int staff_set_role(struct store *store, const char *name, enum role role,
                   const struct action *action,
                   struct problem *problem)
{
    return !staff_check_name(name, problem) || !check_role(role, problem)
               ? 0
               : staff_change_account(store, name, "staff_role", change_role,
                                      staff_role_names[role], action, problem);
}

int staff_remove(struct store *store, const char *name, const struct action *action,
                 struct problem *problem)
{
    if (!staff_check_name(name, problem))
        return 0;
    struct audited audited = {"staff_remove", name, "{}", action};
    int done = store_forget(store, KEPT_STAFF, name, action->now_ms, &audited);
    return done != 0 ? done : staff_no_account(name, problem);
}

int staff_list_kept(struct store *store, enum kept_kind kind, int64_t now_ms,
                    void (*add)(struct json_object *list, const struct kept *kept),
                    struct json_object *list)
{
    freed_by(arena_free) struct arena *arena = arena_new();
    struct kept found[LIST_PAGE];
    struct store_page page = {.max = LIST_PAGE, .more = true};
    char after[KEPT_KEY_MAX + 1] = "";
    while (page.more) {
        arena_reset(arena);
        if (store_kept_list(store, arena, kind, after, now_ms, found, &page) < 1)
            return -1;
        for (size_t i = 0; i < page.count; i++)
            add(list, &found[i]);
        if (page.more)
            snprintf(after, sizeof after, "%s", found[page.count - 1].key);
    }
    return 1;
}

struct json_object *staff_add_entry(struct json_object *list, const struct kept *kept,
                                    struct json_object *value)
{
    struct json_object *entry = json_object_new_object();
    json_add_string(entry, "name", kept->key);
    json_add_string(entry, "role", json_string(value, "role", NULL));
    json_add_moment(entry, "created_at", json_int(value, "created_ms", 0));
    json_add_string(entry, "by", json_string(value, "by", NULL));
    json_object_array_add(list, entry);
    return entry;
}

static void add_account(struct json_object *list, const struct kept *kept)
{
    freed_by(json_put) struct json_object *value = json_read(kept->value);
    if (value != NULL)
        json_add_bool(staff_add_entry(list, kept, value), "codes", staff_codes_in(value));
}

int staff_list(struct store *store, int64_t now_ms, struct json_object **list_r)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct json_object *list = json_add_list(view, "staff");
    if (staff_list_kept(store, KEPT_STAFF, now_ms, add_account, list) < 1)
        return -1;
    *list_r = take(view);
    return 1;
}

/* ---- sessions ---------------------------------------------------------------------- */

/* waits: for a code (staff_own.h); it is nobody's session until then. */
static int keep_session(struct store *store, const char *name, struct json_object *account,
                        bool waits, int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE])
{
    freed_by(json_put) struct json_object *session = json_object_new_object();
    char cookie[SECRET_TEXT_SIZE], key[SECRET_HASH_SIZE];
    staff_secret_make(cookie);
    staff_secret_hash(cookie, key);
    json_add_string(session, "name", name);
    json_add_string(session, "stamp", json_string(account, "stamp", ""));
    if (waits)
        json_add_bool(session, "waits", true);
    struct kept kept = {.key = key, .value = json_object_to_json_string(session),
                        .until_ms = now_ms + (waits ? SIGN_IN_CODE_MS : SESSION_MS)};
    if (store_keep(store, KEPT_SESSION, &kept, now_ms, NULL) < 1)
        return -1;
    memcpy(cookie_r, cookie, sizeof cookie);
    return 1;
}

int staff_begin_session(struct store *store, const char *name, struct json_object *account,
                        int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE])
{
    return keep_session(store, name, account, false, now_ms, cookie_r);
}

int staff_begin_waiting(struct store *store, const char *name, struct json_object *account,
                        int64_t now_ms, char cookie_r[SECRET_TEXT_SIZE])
{
    return keep_session(store, name, account, true, now_ms, cookie_r);
}

static int person_of(const char *name, struct json_object *account, struct person *person_r)
{
    int role = staff_role_by_name(json_string(account, "role", ""));
    if (role < 0)
        return 0;
    snprintf(person_r->name, sizeof person_r->name, "%s", name);
    person_r->role = (enum role)role;
    return 1;
}

int staff_sign_in_trusted(struct store *store, const char *name, int64_t now_ms,
                          struct person *person_r, char cookie_r[SECRET_TEXT_SIZE])
{
    freed_by(json_put) struct json_object *account = NULL;
    int64_t free_at_ms;
    uint32_t count;
    int found = staff_name_well_formed(name) ? staff_read_account(store, name, now_ms, &account)
                                             : 0;
    if (found < 1)
        return found;
    freed_by(free_string) char *tries = xasprintf("trusted:%s", name);
    int taken = store_try(store, tries, now_ms, HOUR_MS, SESSIONS_TRUSTED_MAX, &count, &free_at_ms);
    cookie_r[0] = '\0';
    if (taken < 0 ||
        (taken > 0 && staff_begin_session(store, name, account, now_ms, cookie_r) < 0))
        return -1;
    return person_of(name, account, person_r);
}

int staff_session(struct store *store, const char *cookie, int64_t now_ms,
                  struct person *person_r)
{
    if (!staff_secret_well_formed(cookie))
        return 0;
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(json_put) struct json_object *session = NULL, *account = NULL;
    char key[SECRET_HASH_SIZE];
    struct kept kept;
    staff_secret_hash(cookie, key);
    int found = store_kept(store, arena, KEPT_SESSION, key, now_ms, &kept);
    if (found < 1)
        return found;
    session = json_read(kept.value);
    const char *name = json_string(session, "name", "");
    if (!staff_name_well_formed(name) || json_is_true(session, "waits"))
        return 0;
    found = staff_read_account(store, name, now_ms, &account);
    if (found < 1)
        return found;
    return staff_secret_same(json_string(session, "stamp", "?"),
                             json_string(account, "stamp", "")) &&
           person_of(name, account, person_r);
}

int staff_sign_out(struct store *store, const char *cookie, int64_t now_ms)
{
    char key[SECRET_HASH_SIZE];
    if (!staff_secret_well_formed(cookie))
        return 1;
    staff_secret_hash(cookie, key);
    return store_forget(store, KEPT_SESSION, key, now_ms, NULL) < 0 ? -1 : 1;
}

/* Made from the cookie, so that it needs no room of its own; says nothing about it. */
void staff_csrf(const char *cookie, char token_r[SECRET_TEXT_SIZE])
{
    freed_by(free_string) char *named = xasprintf("form of %s", cookie);
    char hash[SECRET_HASH_SIZE];
    staff_secret_hash(named, hash);
    snprintf(token_r, SECRET_TEXT_SIZE, "%.43s", hash);
}

bool staff_csrf_fits(const char *cookie, const char *token)
{
    char expected[SECRET_TEXT_SIZE];
    staff_csrf(cookie, expected);
    return staff_secret_well_formed(cookie) && staff_secret_same(expected, token);
}
