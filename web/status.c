/* The status page: opened from the link in a refusal, without signing in. The
 * link's token is all that is asked for, so it says nothing to who has none
 * that holds: forged, expired and missing tokens get one and the same answer. */
#include <inttypes.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "base/zone.h"
#include "guard/refill_steps.h"
#include "store/store.h"
#include "web/delivery_pages.h"
#include "web/failure_pages.h"
#include "web/logins_pages.h"
#include "web/web.h"

enum { MESSAGES_SHOWN = 10 }; /* of those that are looked up in the log */

/* What the link says. */
struct status_visit {
    const char *token, *mailbox;
    bool fresh; /* good for more than looking */
    bool tells_password; /* and fresh: struct status_link */
    bool over;  /* past its end: it opens the page while the suspension holds that it was made in */
    int64_t made_ms;
    uint64_t decision;            /* 0: none */
    const char *decision_text;    /* NULL: none */
    const char *zone;             /* of the link, NULL when it has none that exists */
    const char *language;         /* for that of the link, which stands in for the browser's; or NULL */
};

/* ---- links ------------------------------------------------------------------- */

static void add_encoded(struct text *text, const char *string)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";
    for (; *string != '\0'; string++)
        if (strchr(plain, *string) != NULL)
            text_add_char(text, *string);
        else
            text_addf(text, "%%%02X", (unsigned char)*string);
}

static void add_parameter(struct text *text, const char *name, const char *value)
{
    if (value == NULL)
        return;
    text_addf(text, "%s%s=", strchr(text_string(text), '?') == NULL ? "?" : "&", name);
    add_encoded(text, value);
}

/* Where the page is that the link opens, below the base. */
static const char *page_path(struct exchange *exchange, const struct status_visit *visit)
{
    freed_by(text_free) struct text path = {0};
    text_add(&path, "/status");
    add_parameter(&path, "t", visit->token);
    add_parameter(&path, "d", visit->decision_text);
    add_parameter(&path, "tz", visit->zone);
    add_parameter(&path, "lang", visit->language);
    return arena_strdup(exchange->request->arena, text_string(&path));
}

/* What a mail to support is about: the state in a few words, whose, and the reference. */
static const char *mail_subject(struct exchange *exchange, struct json_object *view)
{
    struct arena *arena = exchange->request->arena;
    const char *language = exchange->reader.language;
    const char *key = arena_printf(arena, "headline.%s", json_string(view, "headline", ""));
    freed_by(json_put) struct json_object *values = json_object_new_object();
    json_add_string(values, "headline_text",
                    catalogue_text(exchange->catalogue, arena, language, key, NULL));
    json_add_string(values, "mailbox", json_string(view, "mailbox", ""));
    json_add_string(values, "reference", json_string(view, "reference", ""));
    return catalogue_text(exchange->catalogue, arena, language, "status.mail_subject", values);
}

static void add_mail_url(struct exchange *exchange, struct json_object *view)
{
    const char *contact = json_string(view, "contact", ""), *at = strrchr(contact, '@');
    if (!json_is_true(view, "contact_is_mail") || at == NULL)
        return;
    freed_by(text_free) struct text url = {0};
    text_add(&url, "mailto:");
    add_encoded(&url, arena_strndup(exchange->request->arena, contact, (size_t)(at - contact)));
    text_add_char(&url, '@');
    add_encoded(&url, at + 1);
    add_parameter(&url, "subject", mail_subject(exchange, view));
    json_add_string(view, "mail_url", text_string(&url));
}

/* ---- what the page needs besides the facts ------------------------------------------ */

/* The suspension of that cause, NULL when there is none. */
static struct json_object *of_cause(struct json_object *view, enum cause cause)
{
    struct json_object *suspensions = json_member(view, "suspensions");
    for (size_t i = 0; i < json_object_array_length(suspensions); i++) {
        struct json_object *one = json_object_array_get_idx(suspensions, i);
        if (strcmp(json_string(one, "cause", ""), cause_names[cause]) == 0)
            return one;
    }
    return NULL;
}

/* The suspension's own window beside it, so that why it is stands there with its numbers. */
static void add_suspension(struct exchange *exchange, struct json_object *view,
                           struct json_object *windows)
{
    struct json_object *suspension = json_member(view, "suspension"), *moving;
    if (suspension == NULL)
        return;
    moving = json_member(suspension, "until") != NULL ? of_cause(view, CAUSE_VOLUME) : NULL;
    if (json_is_true(suspension, "own_lock"))
        json_add_string(suspension, "lock_reference",
                        arena_printf(exchange->request->arena, "%s, %" PRId64,
                                     json_string(view, "mailbox", ""),
                                     json_int(suspension, "id", 0)));
    json_add_bool(suspension, "tried", json_int(suspension, "attempts", 0) > 0);
    json_add_bool(suspension, "moves", moving != NULL);
    json_add_bool(suspension, "restarts", json_int(moving, "attempts_left", 1) <= 0);
    const char *rule = json_string(suspension, "rule", "");
    for (size_t i = 0; i < json_object_array_length(windows); i++) {
        struct json_object *window = json_object_array_get_idx(windows, i);
        if (strcmp(json_string(window, "rule", ""), rule) == 0)
            json_add(suspension, "window", json_object_get(window));
    }
}

static bool is_of_a_day(const char *name)
{
    int rule = rule_by_name(name);
    return rule >= 0 && rule_table[rule].over_time && rule_table[rule].window_ms == DAY_MS;
}

/* Whether a day's limit is the matter, round which portions would lead. */
static bool is_about_a_day(struct json_object *view)
{
    struct json_object *suspension = json_member(view, "suspension");
    struct json_object *windows = json_member(view, "windows");
    struct json_object *reasons = json_member(json_member(view, "message"), "reasons");
    if (suspension != NULL) /* one for volume that staff set names no rule */
        return json_member(suspension, "rule") == NULL ||
               is_of_a_day(json_string(suspension, "rule", ""));
    for (size_t i = 0; i < json_object_array_length(windows); i++) {
        struct json_object *window = json_object_array_get_idx(windows, i);
        if (json_is_true(window, "full") && is_of_a_day(json_string(window, "rule", "")))
            return true;
    }
    for (size_t i = 0; reasons != NULL && i < json_object_array_length(reasons); i++)
        if (is_of_a_day(json_string(json_object_array_get_idx(reasons, i), "rule", "")))
            return true;
    return false;
}

/* What the operator would have users find: "LABEL URL". */
static void add_links(struct exchange *exchange, struct json_object *view)
{
    const struct text_list *links = &exchange->settings->support_links;
    struct json_object *list = json_add_list(view, "links");
    for (size_t i = 0; i < links->count; i++) {
        const char *space = strrchr(links->items[i], ' ');
        struct json_object *link = json_object_new_object();
        json_add_string(link, "label",
                        arena_strndup(exchange->request->arena, links->items[i],
                                      (size_t)(space - links->items[i])));
        json_add_string(link, "url", space + 1);
        json_object_array_add(list, link);
    }
}

/* "delivery": that of the mailbox, its newest messages with their sums alone. Absent where no log is
 * followed. The store has just answered: when it does no longer, the page goes without. */
static void add_delivery(struct exchange *exchange, const char *mailbox, struct json_object *view)
{
    freed_by(json_put) struct json_object *delivery = NULL;
    struct problem problem = {0};
    if (desk_delivery(&exchange->web->desk, mailbox, NULL, exchange->now_ms, &delivery,
                      &problem) < 1 ||
        !json_is_true(delivery, "followed"))
        return;
    delivery_pages_sums(exchange, delivery, MESSAGES_SHOWN);
    struct json_object *messages = json_member(delivery, "messages");
    for (size_t i = 0; i < json_object_array_length(messages); i++)
        json_object_object_del(json_object_array_get_idx(messages, i), "recipients");
    json_add(view, "delivery", take(delivery));
}

/* "spf": what the owner of the domain has to do, where the user is to be warned. An exempt one is not
 * refused. */
static void add_spf(struct exchange *exchange, const char *mailbox, struct json_object *view)
{
    struct json_object *spf = NULL;
    if (desk_spf_warning(&exchange->web->desk, mailbox, exchange->now_ms, &spf) < 1 || spf == NULL)
        return;
    desk_spf_add_words(spf, exchange->catalogue, exchange->request->arena,
                       exchange->reader.language);
    if (json_is_true(view, "exempt")) {
        json_add_null(spf, "refused_at");
        json_add_bool(spf, "blocked", false);
    }
    json_add(view, "spf", spf);
}

/* "signins": where the mailbox was signed in to, and whom wrong passwords keep out. Absent where
 * nothing is known of it. */
static void add_signins(struct exchange *exchange, const struct status_visit *visit,
                        struct json_object *view)
{
    freed_by(json_put) struct json_object *signins = NULL;
    if (desk_logins_own(&exchange->web->desk, visit->mailbox, exchange->request->address,
                        exchange->now_ms, &signins) < 1 ||
        signins == NULL)
        return;
    if (!visit->fresh)
        json_add_bool(signins, "can_open", false);
    logins_pages_add_protocols(exchange, json_member(signins, "known"));
    if (json_object_array_length(json_member(signins, "closed")) > 0 ||
        json_object_array_length(json_member(signins, "known")) > 0 ||
        json_object_array_length(json_member(signins, "old_passwords")) > 0 ||
        json_member(signins, "closed_to_others") != NULL ||
        json_member(signins, "password") != NULL)
        json_add(view, "signins", take(signins));
}

static void add_link(const struct status_visit *visit, struct json_object *view)
{
    json_add_string(view, "token", visit->token);
    json_add_string(view, "link_decision", visit->decision_text);
    json_add_string(view, "link_zone", visit->zone);
    json_add_string(view, "link_language", visit->language);
}

static void complete(struct exchange *exchange, const struct status_visit *visit,
                     struct json_object *view)
{
    struct json_object *windows = json_member(view, "windows");
    for (size_t i = 0; i < json_object_array_length(windows); i++)
        refill_steps_add(json_object_array_get_idx(windows, i));
    add_suspension(exchange, view, windows);
    failure_pages_add(exchange, json_member(view, "block"));
    json_add_bool(view, "about_a_day", is_about_a_day(view));
    const char *at = strrchr(visit->mailbox, '@');
    json_add_string(view, "own_domain", at != NULL ? at + 1 : "");
    add_links(exchange, view);
    if (exchange->settings->support_password_url[0] != '\0')
        json_add_string(view, "password_url", exchange->settings->support_password_url);
    json_add_bool(view, "has_more", json_int(view, "more_messages", 0) > 0);
    json_add_bool(view, "has_contact", json_string(view, "contact", "")[0] != '\0');
    json_add_string(view, "reference",
                    json_string(json_member(view, "message"), "decision", NULL));
    add_link(visit, view);
    json_add_string(view, "zone", exchange->reader.zone == NULL ? "UTC" : exchange->reader.zone);
    add_mail_url(exchange, view);
}

/* ---- answers ---------------------------------------------------------------------------- */

/* One answer, whatever is wrong with the link. */
static void refuse_link(struct exchange *exchange)
{
    if (!http_request_wants_json(exchange->request)) {
        reply_page(exchange, 403, "link", NULL);
        return;
    }
    reply_error(exchange, 403,
                catalogue_text(exchange->catalogue, exchange->request->arena,
                               exchange->reader.language, "page.link.short", NULL));
}

static int read_link(struct exchange *exchange, struct status_visit *visit_r)
{
    const struct http_request *request = exchange->request;
    struct status_visit visit = {.token = http_request_param(request,
                                                             "t"), .zone = http_request_param(request,
                                                      "tz")};
    const char *decision = http_request_param(request, "d");
    const char *language = http_request_param(request, "lang");
    struct status_link link;
    if (visit.token == NULL || token_read(exchange->web->key, request->arena, visit.token,
                                          exchange->now_ms, &link) != 1)
        return 0;
    visit.mailbox = link.mailbox;
    visit.fresh = token_link_is_fresh(&link, exchange->now_ms);
    visit.tells_password = visit.fresh && link.tells_password;
    visit.over = link.expires_ms <= exchange->now_ms;
    visit.made_ms = link.made_ms;
    if (decision != NULL && decision_parse(decision, &visit.decision) == 1) {
        char text[DECISION_TEXT_SIZE];
        decision_format(visit.decision, text);
        visit.decision_text = arena_strdup(request->arena, text);
    }
    if (visit.zone != NULL && !zone_exists(visit.zone))
        visit.zone = NULL;
    if (language != NULL) {
        visit.language = catalogue_language(exchange->catalogue, language);
        exchange->reader.language = visit.language;
    }
    *visit_r = visit;
    return 1;
}

static void show(struct exchange *exchange, const struct status_visit *visit,
                 struct json_object *view)
{
    add_delivery(exchange, visit->mailbox, view);
    add_spf(exchange, visit->mailbox, view);
    add_signins(exchange, visit, view);
    if (http_request_wants_json(exchange->request)) {
        reply_json(exchange, 200, view);
        return;
    }
    complete(exchange, visit, view);
    reply_page(exchange, 200, "status", view);
}

/* "can_lock" becomes the link's word too: a button that would be refused is none. */
static void add_powers(const struct status_visit *visit, struct json_object *view)
{
    json_add_bool(view, "can_unpark", visit->fresh);
    bool would_help = json_is_true(view, "can_lock");
    json_add_bool(view, "can_lock", would_help && visit->fresh);
    json_add_bool(view, "lock_needs_new_link", would_help && !visit->fresh);
    bool may_unpause = json_is_true(view, "can_unpause");
    json_add_bool(view, "can_unpause", may_unpause && visit->fresh);
    json_add_bool(view, "unpause_needs_new_link", may_unpause && !visit->fresh);
    bool may_ask = json_is_true(view, "can_lock_signins");
    json_add_bool(view, "can_lock_signins", may_ask && visit->fresh);
    json_add_bool(view, "signins_need_new_link", may_ask && !visit->fresh);
}

/* Whether a link past its end was made in a suspension that holds now, as far as clocks agree: it
 * must not open again with every later one. */
static bool is_of_suspension(const struct status_visit *visit, struct json_object *suspensions)
{
    int64_t since_ms;
    for (size_t i = 0; i < json_object_array_length(suspensions); i++)
        if (zone_moment_read(json_string(json_object_array_get_idx(suspensions, i), "since", ""),
                             &since_ms) == 1 &&
            since_ms <= visit->made_ms + CLOCK_AHEAD_MS)
            return true;
    return false;
}

/* How it stands, for a link that opens the page. 1; 0 when it does not and is answered. */
static int look(struct exchange *exchange, const struct status_visit *visit,
                struct json_object **view_r)
{
    freed_by(json_put) struct json_object *view = NULL;
    if (desk_status(&exchange->web->desk, visit->mailbox, visit->decision,
                    exchange->request->address, exchange->now_ms, &view) < 0) {
        reply_no_store(exchange);
        return 0;
    }
    if (visit->over && !is_of_suspension(visit, json_member(view, "suspensions"))) {
        refuse_link(exchange);
        return 0;
    }
    *view_r = take(view);
    return 1;
}

static void get(struct exchange *exchange, const struct status_visit *visit)
{
    struct json_object *view;
    if (look(exchange, visit, &view) != 1)
        return;
    add_powers(visit, view);
    show(exchange, visit, view);
}

/* Which of some addresses did not get the mailbox's mail. They stand in no address of a page, so
 * the answer is one of its own. */
static void ask_addresses(struct exchange *exchange, const struct status_visit *visit)
{
    const char *pasted = http_request_param(exchange->request, "addresses");
    freed_by(json_put) struct json_object *view = NULL;
    struct json_object *asked = NULL;
    struct problem problem = {0};
    if (look(exchange, visit, &view) != 1)
        return;
    int answer = delivery_pages_asked(exchange, visit->mailbox, pasted, &asked, &problem);
    if (answer < 0) {
        reply_no_store(exchange);
    } else if (answer == 0) {
        reply_problem(exchange, &problem);
    } else {
        json_add(view, "asked", asked);
        json_add_string(view, "pasted", pasted);
        add_link(visit, view);
        json_add_string(view, "back", page_path(exchange, visit));
        reply_page(exchange, 200, "status_addresses", take(view));
    }
}

/* Logs, bounces and shoulders show links to others. What cannot be taken back needs one that the
 * webmail has just made for who is signed in there. */
static void refuse_lock(struct exchange *exchange)
{
    if (!http_request_wants_json(exchange->request)) {
        reply_page(exchange, 403, "lock_link", NULL);
        return;
    }
    reply_error(exchange, 403,
                catalogue_text(exchange->catalogue, exchange->request->arena,
                               exchange->reader.language, "page.lock_link.short", NULL));
}

/* Whether it was this very press: another one, of a mailbox that is locked already, changes
 * nothing. */
static bool locked_now(struct json_object *view)
{
    struct json_object *lock = of_cause(view, CAUSE_COMPROMISED);
    return strcmp(json_string(lock, "since", ""), json_string(view, "now", "-")) == 0;
}

/* "That wasn't me." */
static void lock(struct exchange *exchange, const struct status_visit *visit)
{
    struct json_object *view = NULL;
    if (desk_lock(&exchange->web->desk, visit->mailbox, exchange->now_ms, &view) < 0) {
        reply_not_known(exchange);
        return;
    }
    if (locked_now(view)) {
        log_line(LOG_WARNING_LEVEL, "locked by its user", "mailbox", visit->mailbox, NULL);
        if (exchange->web->recorder != NULL)
            recorder_user_locked(exchange->web->recorder);
    }
    if (http_request_wants_json(exchange->request)) {
        add_powers(visit, view);
        reply_json(exchange, 200, view);
        return;
    }
    json_put(&view);
    http_response_redirect(exchange->response, exchange->request, page_path(exchange, visit));
}

/* The page with the form again: what is wrong, and what was typed. */
static void show_appeal_again(struct exchange *exchange, const struct status_visit *visit,
                              struct json_object *view, const char *text,
                              const struct problem *problem)
{
    add_powers(visit, view);
    add_delivery(exchange, visit->mailbox, view);
    add_signins(exchange, visit, view);
    complete(exchange, visit, view);
    json_add_string(view, "appeal_problem", problem->status == 400   ? "text"
                                            : problem->status == 429 ? "many"
                                                                     : "gone");
    json_add_string(view, "appeal_text", text);
    reply_page(exchange, problem->status, "status", view);
}

/* The user writes why what holds is wrong. */
static void appeal(struct exchange *exchange, const struct status_visit *visit)
{
    const char *text = http_request_param(exchange->request, "text");
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    if (look(exchange, visit, &view) != 1)
        return;
    int answer = desk_appeal(&exchange->web->desk, visit->mailbox,
                             http_request_param(exchange->request, "about"), text,
                             exchange->now_ms, &problem);
    if (answer < 0)
        reply_not_known(exchange);
    else if (answer == 0 && http_request_wants_json(exchange->request))
        reply_problem(exchange, &problem);
    else if (answer == 0)
        show_appeal_again(exchange, visit, take(view), text, &problem);
    else if (http_request_wants_json(exchange->request))
        get(exchange, visit);
    else
        http_response_redirect(exchange->response, exchange->request, page_path(exchange, visit));
}

/* What was done, or holds already, the page shows. */
static void answer_with_page(struct exchange *exchange, const struct status_visit *visit, int answer,
                             const struct problem *problem)
{
    if (answer < 0)
        reply_not_known(exchange);
    else if (answer == 0 && http_request_wants_json(exchange->request))
        reply_problem(exchange, problem);
    else if (http_request_wants_json(exchange->request))
        get(exchange, visit);
    else
        http_response_redirect(exchange->response, exchange->request, page_path(exchange, visit));
}

/* "That wasn't me", the second step. */
static void lock_signins(struct exchange *exchange, const struct status_visit *visit)
{
    struct problem problem = {0};
    int answer = desk_lock_signins(&exchange->web->desk, visit->mailbox, exchange->now_ms, &problem);
    if (answer > 0)
        log_line(LOG_WARNING_LEVEL, "sign-ins are locked by its user", "mailbox", visit->mailbox,
                 NULL);
    answer_with_page(exchange, visit, answer, &problem);
}

/* The user has read why sending is paused, and ends it. */
static void unpause(struct exchange *exchange, const struct status_visit *visit)
{
    const char *read = http_request_param(exchange->request, "read");
    struct problem problem = {0};
    if (read == NULL || strcmp(read, "1") != 0) {
        reply_error(exchange, 400, NULL);
        return;
    }
    int answer = desk_unpause(&exchange->web->desk, visit->mailbox, exchange->now_ms, &problem);
    if (answer > 0)
        log_line(LOG_WARNING_LEVEL, "a pause is ended by its user", "mailbox", visit->mailbox, NULL);
    answer_with_page(exchange, visit, answer, &problem);
}

/* The user lets himself in from networks that are not known. */
static void open_signins(struct exchange *exchange, const struct status_visit *visit)
{
    struct problem problem = {0};
    int answer = desk_logins_open(&exchange->web->desk, visit->mailbox,
                                  exchange->request->address, exchange->now_ms, &problem);
    answer_with_page(exchange, visit, answer, &problem);
}

/* The webmail says that its user has changed the password. */
static void tell_password(struct exchange *exchange, const struct status_visit *visit)
{
    freed_by(json_put) struct json_object *view = NULL;
    struct problem problem = {0};
    int answer = desk_lock_tell_by_webmail(&exchange->web->desk, visit->mailbox, exchange->now_ms,
                                           &view, &problem);
    if (answer < 0)
        reply_not_known(exchange);
    else if (answer == 0)
        reply_problem(exchange, &problem);
    else
        reply_json(exchange, 200, take(view));
}

/* A message that waits in the webmail is not to be sent by itself, or the user has read what
 * became of it. */
static void unpark(struct exchange *exchange, const struct status_visit *visit)
{
    struct problem problem = {0};
    freed_by(json_put) struct json_object *words = json_object_new_object(), *view = NULL;
    json_add_string(words, "action", "cancel");
    json_add_string(words, "id", http_request_param(exchange->request, "id"));
    int answer = desk_parked_act(&exchange->web->desk, visit->mailbox, words, exchange->now_ms,
                                 &view, &problem);
    if (answer == 0 && problem.status != 400)
        answer = 1; /* it is away, or on its way: the page says so */
    answer_with_page(exchange, visit, answer, &problem);
}

static void post(struct exchange *exchange, const struct status_visit *visit)
{
    const char *action = http_request_param(exchange->request, "action");
    if (action != NULL && strcmp(action, "addresses") == 0)
        ask_addresses(exchange, visit);
    else if (action != NULL && strcmp(action, "appeal") == 0)
        appeal(exchange, visit);
    else if (action != NULL && strcmp(action, "open_signins") == 0 && visit->fresh)
        open_signins(exchange, visit);
    else if (action != NULL && strcmp(action, "unpause") == 0 && visit->fresh)
        unpause(exchange, visit);
    else if (action != NULL && strcmp(action, "unpark") == 0 && visit->fresh)
        unpark(exchange, visit);
    else if (action != NULL && strcmp(action, "password_changed") == 0 && visit->tells_password)
        tell_password(exchange, visit);
    else if (action == NULL || (strcmp(action, "lock") != 0 && strcmp(action, "lock_signins") != 0))
        reply_error(exchange, 400, NULL);
    else if (visit->fresh && strcmp(action, "lock") == 0)
        lock(exchange, visit);
    else if (visit->fresh)
        lock_signins(exchange, visit);
    else
        refuse_lock(exchange);
}

void status_handle(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    struct status_visit visit;
    if (request->method == METHOD_OTHER) {
        http_response_header(exchange->response, "Allow", "GET, HEAD, POST");
        reply_error(exchange, 405, NULL);
    } else if (read_link(exchange, &visit) != 1) {
        refuse_link(exchange);
    } else if (request->method == METHOD_GET) {
        get(exchange, &visit);
    } else {
        post(exchange, &visit);
    }
}
