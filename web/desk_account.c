/* The own account of who is signed in: password, and codes of an app as a second factor. Nothing that is
 * typed here comes back to the page, but for a secret that is being set up. */
#include <string.h>

#include "base/json.h"
#include "staff/staff_own.h"
#include "web/desk_views.h"
#include "web/qr_code.h"

static const char *typed(const struct exchange *exchange, const char *name)
{
    const char *value = http_request_param(exchange->request, name);
    return value != NULL ? value : "";
}

/* 1 or -1. */
static int account_view(struct exchange *exchange, struct json_object **view_r)
{
    size_t left = 0;
    int codes = staff_codes_wanted(exchange->web->desk.store, exchange->person.name,
                                   exchange->now_ms, &left);
    if (codes < 0)
        return -1;
    struct json_object *view = json_object_new_object();
    json_add_bool(view, "codes", codes > 0);
    json_add_int(view, "left", (int64_t)left);
    *view_r = view;
    return 1;
}

int desk_account_view(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    (void)problem;
    int answer = account_view(exchange, view_r);
    if (answer > 0)
        json_add_string(*view_r, "done", http_request_param(exchange->request, "done"));
    return answer;
}

/* "secret" in groups as people type it, "secret_key" as forms and apps do, "app": a link that an app on
 * this device opens, "qr": the same for one on another (NULL: a secret that is none). */
static void add_secret(struct exchange *exchange, struct json_object *view, const char *secret)
{
    freed_by(text_free) struct text groups = {0};
    for (size_t i = 0; i < strlen(secret) && i < TOTP_SECRET_CHARS; i++) {
        if (i > 0 && i % 4 == 0)
            text_add_char(&groups, ' ');
        text_add_char(&groups, secret[i]);
    }
    json_add_string(view, "secret", text_string(&groups));
    json_add_string(view, "secret_key", secret);
    const char *app = arena_printf(exchange->request->arena,
                                   "otpauth://totp/Sendguard:%s?secret=%s&issuer=Sendguard",
                                   exchange->person.name, secret);
    json_add_string(view, "app", app);
    json_add(view, "qr", qr_code(app));
}

static int show_secret(struct exchange *exchange, struct json_object **view_r)
{
    char secret[TOTP_SECRET_CHARS + 1];
    int answer = account_view(exchange, view_r);
    staff_codes_secret(secret);
    if (answer > 0)
        add_secret(exchange, *view_r, secret);
    return answer;
}

/* They are shown this once. */
static int show_recovery(struct exchange *exchange, const struct recovery_codes *codes,
                         struct json_object **view_r)
{
    int answer = account_view(exchange, view_r);
    if (answer < 1)
        return answer;
    struct json_object *list = json_add_list(*view_r, "recovery");
    for (size_t i = 0; i < RECOVERY_CODES; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "code", codes->of[i]);
        json_object_array_add(list, one);
    }
    return 1;
}

/* The page again, with what is wrong. */
static int show_wrong(struct exchange *exchange, const struct problem *problem,
                      struct json_object **view_r)
{
    struct json_object *view = NULL;
    const char *secret = http_request_param(exchange->request, "secret");
    if (account_view(exchange, &view) < 0)
        return -1;
    if (secret != NULL)
        add_secret(exchange, view, secret);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_account", view);
    *view_r = NULL;
    return 1;
}

static int done(struct exchange *exchange, const char *cookie, const char *what,
                struct json_object **view_r)
{
    signin_give_cookie(exchange, cookie);
    desk_routes_redirect(exchange, DESK_ACCOUNT_PATH, "",
                         arena_printf(exchange->request->arena, "?done=%s", what));
    *view_r = NULL;
    return 1;
}

static int change_password(struct exchange *exchange, const struct own_account *own,
                           struct json_object **view_r, struct problem *problem)
{
    char cookie[SECRET_TEXT_SIZE];
    const char *password = typed(exchange, "new_password");
    if (strcmp(password, typed(exchange, "again")) != 0)
        return problem_set(problem, 400, "again", "it is not the same");
    int answer = staff_own_password(exchange->web->desk.store, own, password, cookie, problem);
    return answer < 1 ? answer : done(exchange, cookie, "own_password", view_r);
}

static int switch_on(struct exchange *exchange, const struct own_account *own,
                     struct json_object **view_r, struct problem *problem)
{
    struct recovery_codes codes;
    char cookie[SECRET_TEXT_SIZE];
    int answer = staff_codes_on(exchange->web->desk.store, own, typed(exchange, "secret"),
                                typed(exchange, "code"), &codes, cookie, problem);
    if (answer < 1)
        return answer;
    signin_give_cookie(exchange, cookie);
    return show_recovery(exchange, &codes, view_r);
}

static int switch_off(struct exchange *exchange, const struct own_account *own,
                      struct json_object **view_r, struct problem *problem)
{
    char cookie[SECRET_TEXT_SIZE];
    int answer = staff_codes_off(exchange->web->desk.store, own, cookie, problem);
    return answer < 1 ? answer : done(exchange, cookie, "codes_off", view_r);
}

int desk_account_act(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    const char *action = typed(exchange, "action");
    unsigned char key[SEAL_KEY_BYTES];
    token_key_derive(exchange->web->key, STAFF_CODES_KEY, key);
    const struct own_account own = {exchange->person.name, typed(exchange, "password"), key,
                                    exchange->now_ms};
    int answer;
    if (strcmp(action, "password") == 0)
        answer = change_password(exchange, &own, view_r, problem);
    else if (strcmp(action, "codes") == 0)
        answer = show_secret(exchange, view_r);
    else if (strcmp(action, "codes_on") == 0)
        answer = switch_on(exchange, &own, view_r, problem);
    else if (strcmp(action, "codes_off") == 0)
        answer = switch_off(exchange, &own, view_r, problem);
    else
        answer = problem_set(problem, 400, "action", "there is none of this name");
    if (answer < 0) {
        reply_not_known(exchange);
        return 1;
    }
    return answer > 0 ? 1 : show_wrong(exchange, problem, view_r);
}
