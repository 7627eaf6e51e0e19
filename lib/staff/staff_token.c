/* API tokens: "sg.NAME.SECRET", kept under their name with the secret's hash. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "staff/staff_inside.h"
#include "staff/staff_secret.h"

_Static_assert(sizeof "sg.." + STAFF_NAME_MAX + SECRET_CHARS <= API_TOKEN_TEXT_SIZE,
               "room for the longest token");
#define TOKEN_PERSON "token:" /* begins the name of who acts by a token */
_Static_assert(sizeof TOKEN_PERSON + STAFF_NAME_MAX <= sizeof((struct person *)NULL)->name,
               "room for the longest name");

int staff_token_add(struct store *store, const char *name, enum role role, int64_t expires_ms,
                    const char *owner, const struct action *action,
                    char token_r[API_TOKEN_TEXT_SIZE], struct problem *problem)
{
    if (!staff_check_name(name, problem))
        return 0;
    if (owner != NULL && !staff_name_well_formed(owner))
        return problem_set(problem, 400, "owner", "expected the name of an account");
    if (expires_ms <= action->now_ms)
        return problem_set(problem, 400, "expires", "expected an end that is still to come");
    freed_by(json_put) struct json_object *token = json_object_new_object();
    char secret[SECRET_TEXT_SIZE], hash[SECRET_HASH_SIZE], detail[64];
    staff_secret_make(secret);
    staff_secret_hash(secret, hash);
    json_add_string(token, "role", staff_role_names[role]);
    json_add_int(token, "created_ms", action->now_ms);
    json_add_string(token, "by", action->by);
    json_add_string(token, "owner", owner != NULL ? owner : action->by);
    json_add_string(token, "secret", hash);
    struct kept kept = {.key = name, .value = json_object_to_json_string(token),
                        .until_ms = expires_ms};
    snprintf(detail, sizeof detail, "{\"role\":\"%s\"}", staff_role_names[role]);
    struct audited audited = {"token_add", name, detail, action};
    int done = store_keep_new(store, KEPT_TOKEN, &kept, action->now_ms, &audited);
    if (done == 1)
        snprintf(token_r, API_TOKEN_TEXT_SIZE, "sg.%s.%s", name, secret);
    return done != 0 ? done : problem_set(problem, 409, "name", "there is a token %s", name);
}

int staff_token_remove(struct store *store, const char *name, const struct action *action,
                       struct problem *problem)
{
    if (!staff_check_name(name, problem))
        return 0;
    struct audited audited = {"token_remove", name, "{}", action};
    int done = store_forget(store, KEPT_TOKEN, name, action->now_ms, &audited);
    return done != 0 ? done : problem_set(problem, 404, "name", "there is no token %s", name);
}

/* Tokens of earlier versions have none of their own. */
static const char *owner_of(struct json_object *token)
{
    return json_string(token, "owner", json_string(token, "by", ""));
}

static void add_token(struct json_object *list, const struct kept *kept)
{
    freed_by(json_put) struct json_object *value = json_read(kept->value);
    if (value == NULL)
        return;
    struct json_object *entry = staff_add_entry(list, kept, value);
    json_add_string(entry, "owner", owner_of(value));
    json_add_moment(entry, "expires_at", kept->until_ms);
}

int staff_token_list(struct store *store, int64_t now_ms, struct json_object **list_r)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    struct json_object *list = json_add_list(view, "tokens");
    if (staff_list_kept(store, KEPT_TOKEN, now_ms, add_token, list) < 1)
        return -1;
    *list_r = take(view);
    return 1;
}

/* Cuts "sg.NAME.SECRET"; the name may hold dots, the secret none. */
static bool cut_token(const char *token, char name_r[STAFF_NAME_MAX + 1], const char **secret_r)
{
    const char *last = strrchr(token, '.');
    if (strncmp(token, "sg.", 3) != 0 || last < token + 3 || last - token - 3 > STAFF_NAME_MAX)
        return false;
    snprintf(name_r, STAFF_NAME_MAX + 1, "%.*s", (int)(last - token - 3), token + 3);
    *secret_r = last + 1;
    return staff_name_well_formed(name_r) && staff_secret_well_formed(*secret_r);
}

int staff_token_person(struct store *store, const char *token, int64_t now_ms,
                       struct person *person_r)
{
    char name[STAFF_NAME_MAX + 1], hash[SECRET_HASH_SIZE];
    const char *secret;
    if (strnlen(token, API_TOKEN_TEXT_SIZE) == API_TOKEN_TEXT_SIZE ||
        !cut_token(token, name, &secret))
        return 0;
    freed_by(arena_free) struct arena *arena = arena_new();
    freed_by(json_put) struct json_object *value = NULL;
    struct kept kept;
    staff_secret_hash(secret, hash);
    int found = store_kept(store, arena, KEPT_TOKEN, name, now_ms, &kept);
    if (found < 1)
        return found;
    value = json_read(kept.value);
    int role = staff_role_by_name(json_string(value, "role", ""));
    if (role < 0 || kept.until_ms <= now_ms || !staff_secret_same(hash, json_string(value, "secret",
                                                                                    "")))
        return 0;
    snprintf(person_r->name, sizeof person_r->name, TOKEN_PERSON "%s", name);
    person_r->role = (enum role)role;
    return 1;
}

int staff_token_owner(struct store *store, struct arena *arena, const struct person *person,
                      int64_t now_ms, const char **owner_r)
{
    const size_t length = sizeof TOKEN_PERSON - 1;
    freed_by(json_put) struct json_object *token = NULL;
    struct kept kept;
    if (strncmp(person->name, TOKEN_PERSON, length) != 0)
        return 0;
    int found = store_kept(store, arena, KEPT_TOKEN, person->name + length, now_ms, &kept);
    if (found < 1)
        return found;
    token = json_read(kept.value);
    *owner_r = arena_strdup(arena, owner_of(token));
    return 1;
}
