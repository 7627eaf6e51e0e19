#include <string.h>

#include "base/json.h"
#include "store/observations.h"
#include "web/desk_views.h"
#include "web/failure_pages.h"
#include "web/logins_pages.h"

enum { APPEALS_AT_HOME = 10 };

/* ---- views: what is asked, from the request's words ------------------------------------ */

/* Whether a machine that looks at SPF records gets no answer of the DNS; and of how many domains the
 * machine that knows most knows that they do not name us. */
static bool spf_dns_away(struct json_object *view, int64_t *not_named_r)
{
    struct json_object *checkers = json_member(view, "checkers");
    bool away = false;
    *not_named_r = 0;
    for (size_t i = 0; i < json_object_array_length(checkers); i++) {
        struct json_object *checker = json_object_array_get_idx(checkers, i);
        int64_t not_named = json_int(checker, "not_named", 0);
        away = away || !json_is_true(checker, "dns");
        *not_named_r = not_named > *not_named_r ? not_named : *not_named_r;
    }
    return away;
}

static int add_spf_to_home(struct exchange *exchange, struct json_object *view)
{
    freed_by(json_put) struct json_object *spf = NULL;
    int64_t not_named;
    if (desk_spf_checkers(&exchange->web->desk, exchange->now_ms, &spf) < 0)
        return -1;
    json_add_bool(view, "spf_dns_away", spf_dns_away(spf, &not_named));
    json_add_int(view, "spf_not_named", not_named);
    return 1;
}

/* Of those that wait the first `shown` at most; "appeals_beyond": how many more there are. */
static void shorten_appeals(struct json_object *view, size_t shown)
{
    struct json_object *list = json_member(view, "appeals");
    size_t count = json_object_array_length(list);
    if (count > shown)
        json_object_array_del_idx(list, shown, count - shown);
    json_add_int(view, "appeals_beyond", json_int(view, "appeals_waiting", 0) -
                                             (int64_t)json_object_array_length(list));
}

/* For the pages of the desk: what somebody looks at now. That it is not kept stops nobody. */
static void note_looked(struct exchange *exchange, const char *found, const char *key)
{
    if (!exchange->api &&
        desk_looked_add(&exchange->web->desk, &exchange->person, found, key, exchange->now_ms) < 0)
        log_line(LOG_WARNING_LEVEL, "what staff looked at is not kept", NULL);
}

static int add_looked(struct exchange *exchange, struct json_object *view)
{
    struct json_object *list;
    if (desk_looked(&exchange->web->desk, &exchange->person, exchange->now_ms, &list) < 0)
        return -1;
    json_add(view, "looked", list);
    return 1;
}

static int view_home(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    (void)problem;
    int answer = desk_home(&exchange->web->desk, exchange->now_ms, view_r);
    if (answer < 1 || exchange->api)
        return answer;
    json_add_bool(*view_r, "search_here", true); /* in place of the one in the bar */
    shorten_appeals(*view_r, APPEALS_AT_HOME);
    desk_undo_mark(&exchange->person, json_member(*view_r, "actions"), exchange->now_ms);
    logins_pages_add_to_home(*view_r);
    freed_by(json_put) struct json_object *waiting = NULL, *held = NULL;
    if (desk_held_sums(&exchange->web->desk, exchange->now_ms, &held) < 0)
        return -1;
    json_add(*view_r, "held_sums", json_int(held, "messages", 0) > 0 ? take(held) : NULL);
    if (desk_complaints_waiting(&exchange->web->desk, exchange->now_ms, &waiting) < 0)
        return -1;
    json_add_int(*view_r, "reports_waiting",
                 (int64_t)json_object_array_length(json_member(waiting, "reports")));
    if (add_spf_to_home(exchange, *view_r) < 0 || add_looked(exchange, *view_r) < 0 ||
        desk_approvals_add_to_home(exchange, *view_r) < 0)
        return -1;
    return desk_deliveries_add_to_home(exchange, *view_r);
}

void desk_routes_redirect(struct exchange *exchange, const char *folder, const char *name,
                          const char *more)
{
    freed_by(text_free) struct text path = {0};
    text_add(&path, "/desk");
    text_add(&path, folder);
    text_add_url(&path, name);
    text_add(&path, more);
    http_response_redirect(exchange->response, exchange->request,
                           arena_strdup(exchange->request->arena, text_string(&path)));
}

/* The folder of the page that shows what was found; NULL: none. */
static const char *folder_of(const char *found)
{
    static const struct {
        const char *found, *folder;
    } folders[] = {
        {"mailbox", "/mailboxes/"},
        {"domain", "/domains/"},
        {"ip", "/ips/"},
        {"decision", "/decisions/"},
    };
    for (size_t i = 0; i < countof(folders); i++)
        if (strcmp(found, folders[i].found) == 0)
            return folders[i].folder;
    return NULL;
}

static int view_search(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem)
{
    const char *query = http_request_param(exchange->request, "q");
    if (!exchange->api && (query == NULL || query[strspn(query, " \t")] == '\0')) {
        desk_routes_redirect(exchange, "/", "", "");
        *view_r = NULL;
        return 1;
    }
    int answer = desk_search(&exchange->web->desk, query, exchange->now_ms, view_r, problem);
    if (answer < 1 || exchange->api)
        return answer;
    const char *folder = folder_of(json_string(*view_r, "found", "nothing"));
    bool meant_other = json_object_array_length(json_member(*view_r, "matches")) > 0;
    json_add_string(*view_r, "folder", folder);
    json_add_bool(*view_r, "is_network",
                  strcmp(json_string(*view_r, "found", ""), "network") == 0);
    if (folder == NULL || meant_other)
        return add_looked(exchange, *view_r);
    desk_routes_redirect(exchange, folder, json_string(*view_r, "key", ""), "");
    json_put(view_r);
    return 1;
}

static int view_suspended(struct exchange *exchange, struct json_object **view_r,
                          struct problem *problem)
{
    const char *after = http_request_param(exchange->request, "after");
    (void)problem;
    return desk_suspended(&exchange->web->desk, after != NULL ? after : "", exchange->now_ms,
                          view_r);
}

static int view_near(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    (void)problem;
    return desk_near(&exchange->web->desk, exchange->now_ms, view_r);
}

/* For the desk: whom the page's forms act on, as "subject"; and behind an action that it is done:
 * "done":"lift", "done_is":{"lift":true}; "both" is a lift with a reset; and "undo_last": its entry,
 * where that can be undone. 1 or -1. */
static int add_subject(struct exchange *exchange, struct json_object *view, const char *subject)
{
    static const char *const actions[] = {"suspend", "lift",   "reset", "extra",
                                          "limit",   "exempt", "plan",  "note",   "answer", "both",
                                          "lock",    "reopen", "close", "open",
                                          "allow_from", "disallow_from", "undo"};
    const char *done = http_request_param(exchange->request, "done");
    json_add_string(view, "subject", subject);
    json_add_bool(view, "of_domain", *subject == '@');
    for (size_t i = 0; done != NULL && i < countof(actions); i++) {
        if (strcmp(done, actions[i]) == 0) {
            json_add_string(view, "done", actions[i]);
            json_add_bool(json_add_object(view, "done_is"), actions[i], true);
        }
    }
    done = json_string(view, "done", NULL);
    if (done == NULL || strcmp(done, "undo") == 0)
        return 1;
    struct audit_words words = {.subject = subject,
                                .action = strcmp(done, "both") == 0 ? "lift" : done};
    return desk_undo_add_last(exchange, &words, view);
}

static int view_call(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    return desk_call(&exchange->web->desk, exchange->variable, exchange->now_ms, view_r, problem);
}

static int view_mailbox(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    int answer = desk_mailbox(&exchange->web->desk, exchange->variable,
                              http_request_param(exchange->request, "before"),
                              exchange->now_ms, view_r, problem);
    if (answer < 1 || exchange->api)
        return answer;
    note_looked(exchange, "mailbox", json_string(*view_r, "mailbox", ""));
    struct json_object *call = NULL;
    if (view_call(exchange, &call, problem) < 1)
        return -1;
    json_add(*view_r, "call", call);
    desk_undo_mark(&exchange->person, json_member(*view_r, "timeline"), exchange->now_ms);
    if (add_subject(exchange, *view_r, json_string(*view_r, "mailbox", "")) < 0)
        return -1;
    json_add_string(*view_r, "zone",
                    exchange->reader.zone != NULL ? exchange->reader.zone : "UTC");
    desk_page_add_used(json_member(*view_r, "next"));
    desk_page_add_limit_rows(*view_r);
    desk_locks_add_to_mailbox(*view_r);
    if (logins_pages_add(exchange, json_string(*view_r, "mailbox", ""), NULL, *view_r) < 0)
        return -1;
    return desk_deliveries_add_to_mailbox(exchange, *view_r, problem);
}

static int view_decision(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    int answer = desk_decision(&exchange->web->desk, exchange->variable, exchange->now_ms, view_r,
                               problem);
    if (answer < 1 || exchange->api)
        return answer;
    note_looked(exchange, "decision", json_string(*view_r, "decision", ""));
    desk_page_add_full(exchange, *view_r);
    return desk_deliveries_add_to_decision(exchange, *view_r);
}

static int view_senders(struct exchange *exchange, enum sender_of of,
                        struct json_object **view_r, struct problem *problem)
{
    const char *after = http_request_param(exchange->request, "after");
    int answer = desk_senders(&exchange->web->desk, of, exchange->variable,
                              after != NULL ? after : "", exchange->now_ms, view_r, problem);
    if (answer < 1 || exchange->api)
        return answer;
    note_looked(exchange, json_string(*view_r, "of", ""), json_string(*view_r, "key", ""));
    desk_page_add_limit_rows(*view_r);
    if (of != SENDERS_OF_DOMAIN)
        return answer;
    if (add_subject(exchange, *view_r, arena_printf(exchange->request->arena, "@%s",
                                                    json_string(*view_r, "key", ""))) < 0)
        return -1;
    failure_pages_add_to_domain(exchange, *view_r);
    return desk_deliveries_add_to_domain(exchange, *view_r, problem);
}

static int view_ip(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem)
{
    int answer = view_senders(exchange, SENDERS_OF_IP, view_r, problem);
    if (answer < 1 || exchange->api)
        return answer;
    return logins_pages_add(exchange, NULL, exchange->variable, *view_r);
}

static void add_spf_words(struct exchange *exchange, struct json_object *view)
{
    desk_spf_add_words(view, exchange->catalogue, exchange->request->arena,
                       exchange->reader.language);
}

/* "spf" of a domain, null where nothing is known; for pages "named" and "not_known" in it. */
static int add_spf(struct exchange *exchange, struct json_object *view)
{
    struct json_object *spf;
    if (desk_spf_domain(&exchange->web->desk, json_string(view, "key", ""), exchange->now_ms,
                        &spf) < 0)
        return -1;
    json_add(view, "spf", spf);
    if (spf == NULL)
        return 1;
    add_spf_words(exchange, spf);
    if (!exchange->api) {
        json_add_bool(spf, "named", json_is_true(spf, "names_us"));
        json_add_bool(spf, "not_known", json_member(spf, "names_us") == NULL);
    }
    return 1;
}

static int view_domain(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem)
{
    int answer = view_senders(exchange, SENDERS_OF_DOMAIN, view_r, problem);
    return answer > 0 ? add_spf(exchange, *view_r) : answer;
}

static int view_spf(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem)
{
    const char *after = http_request_param(exchange->request, "after");
    int64_t not_named;
    (void)problem;
    if (desk_spf(&exchange->web->desk, after != NULL ? after : "", exchange->now_ms, view_r) < 0)
        return -1;
    add_spf_words(exchange, *view_r);
    if (!exchange->api) {
        json_add_bool(*view_r, "dns_away", spf_dns_away(*view_r, &not_named));
        json_add_bool(*view_r, "off",
                      strcmp(json_string(*view_r, "mode", ""), "off") == 0 ||
                          json_object_array_length(json_member(*view_r, "outgoing")) == 0);
    }
    return 1;
}

static int view_appeals(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    (void)problem;
    int answer = desk_appeals(&exchange->web->desk, exchange->now_ms, view_r);
    if (answer > 0 && !exchange->api)
        shorten_appeals(*view_r, DESK_APPEALS_MAX);
    return answer;
}

static int answer_appeal(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    freed_by(json_put) struct json_object *words = json_object_get(exchange->request->params);
    if (!exchange->api) { /* without those of the form's frame */
        json_put(&words);
        words = json_object_new_object();
        json_add_string(words, "mailbox", http_request_param(exchange->request, "mailbox"));
        json_add_string(words, "number", http_request_param(exchange->request, "number"));
        json_add_string(words, "text", http_request_param(exchange->request, "text"));
    }
    int answer = desk_appeal_answer(&exchange->web->desk, &exchange->person, words,
                                    exchange->now_ms, view_r, problem);
    if (answer < 0) {
        reply_not_known(exchange);
        return 1;
    }
    if (answer == 0 || exchange->api)
        return answer;
    desk_routes_redirect(exchange, "/mailboxes/", json_string(*view_r, "mailbox", ""),
                         "?done=answer");
    json_put(view_r);
    return 1;
}

/* ---- what became of mail ------------------------------------------------------------------ */

static int with_words(struct exchange *exchange, int answer, struct json_object *view)
{
    if (answer > 0)
        desk_delivery_add_words(view, exchange->catalogue, exchange->request->arena,
                                exchange->reader.language);
    return answer;
}

static int view_trace(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    int answer = desk_trace(&exchange->web->desk, exchange->variable,
                            http_request_param(exchange->request, "mailbox"), exchange->now_ms,
                            view_r, problem);
    return with_words(exchange, answer, *view_r);
}

static int view_mailbox_delivery(struct exchange *exchange, struct json_object **view_r,
                                 struct problem *problem)
{
    if (!exchange->api)
        return desk_deliveries_page(exchange, view_r, problem);
    int answer = desk_delivery(&exchange->web->desk, exchange->variable,
                               http_request_param(exchange->request, "before"), exchange->now_ms,
                               view_r, problem);
    return with_words(exchange, answer, *view_r);
}

static int view_domain_delivery(struct exchange *exchange, struct json_object **view_r,
                                struct problem *problem)
{
    int answer = desk_delivery_domain(&exchange->web->desk, exchange->variable, exchange->now_ms,
                                      view_r, problem);
    return with_words(exchange, answer, *view_r);
}

static int view_addresses(struct exchange *exchange, struct json_object **view_r,
                          struct problem *problem)
{
    if (!exchange->api)
        return desk_deliveries_ask(exchange, view_r, problem);
    int answer = desk_delivery_addresses(&exchange->web->desk, exchange->variable,
                                         exchange->request->params, exchange->now_ms, view_r,
                                         problem);
    return with_words(exchange, answer, *view_r);
}

static int view_feedback(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    (void)problem;
    return desk_feedback(&exchange->web->desk, exchange->now_ms, view_r);
}

/* ---- complaints ---------------------------------------------------------------------------- */

static int view_complaints(struct exchange *exchange, struct json_object **view_r,
                           struct problem *problem)
{
    return desk_complaints(&exchange->web->desk, exchange->variable, exchange->now_ms, view_r,
                           problem);
}

static int view_reports(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    (void)problem;
    int answer = desk_complaints_waiting(&exchange->web->desk, exchange->now_ms, view_r);
    if (answer > 0 && !exchange->api)
        json_add_bool(*view_r, "dealt_with",
                      http_request_param(exchange->request, "done") != NULL);
    return answer;
}

static int answer_report(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem)
{
    int answer = desk_complaints_answer(&exchange->web->desk, exchange->person.name,
                                        exchange->variable, exchange->request->params,
                                        exchange->now_ms, view_r, problem);
    if (answer < 1 || exchange->api)
        return answer;
    desk_routes_redirect(exchange, "/complaints", "", "?done=1");
    json_put(view_r);
    return 1;
}

/* ---- the table --------------------------------------------------------------------------- */

const struct route desk_routes[] = {
    {METHOD_GET, "/overview", "/", "desk_home", ROLE_VIEWER, view_home},
    {METHOD_GET, "/search", "/search", "desk_search", ROLE_VIEWER, view_search},
    {METHOD_GET, "/suspended", NULL, NULL, ROLE_VIEWER, view_suspended},
    {METHOD_GET, "/campaigns", "/suspended", "desk_suspended", ROLE_VIEWER, desk_campaigns_view},
    {METHOD_POST, "/lifts", "/lifts", "desk_lifts", ROLE_SUPPORT, desk_campaigns_lift},
    {METHOD_GET, "/near", "/near", "desk_near", ROLE_VIEWER, view_near},
    {METHOD_GET, "/mailboxes/{mailbox}", "/mailboxes/{mailbox}", "desk_mailbox", ROLE_VIEWER,
     view_mailbox},
    {METHOD_GET, "/mailboxes/{mailbox}/past", "/mailboxes/{mailbox}/past", "desk_past",
     ROLE_VIEWER, desk_past_view},
    {METHOD_GET, "/mailboxes/{mailbox}/call", NULL, NULL, ROLE_VIEWER, view_call},
    {METHOD_GET, "/decisions", "/decisions", "desk_decisions", ROLE_VIEWER,
     desk_logs_decisions},
    {METHOD_GET, "/decisions/export.csv", "/decisions/export.csv", NULL, ROLE_VIEWER,
     desk_exports_decisions},
    {METHOD_GET, "/decisions/{decision}", "/decisions/{decision}", "desk_decision", ROLE_VIEWER,
     view_decision},
    {METHOD_GET, "/ips/{ip}", "/ips/{ip}", "desk_senders", ROLE_VIEWER, view_ip},
    {METHOD_GET, "/domains/{domain}", "/domains/{domain}", "desk_senders", ROLE_VIEWER,
     view_domain},
    {METHOD_GET, "/decisions/{decision}/trace", NULL, NULL, ROLE_VIEWER, view_trace},
    {METHOD_GET, "/mailboxes/{mailbox}/delivery", "/mailboxes/{mailbox}/delivery", "desk_delivery",
     ROLE_VIEWER, view_mailbox_delivery},
    {METHOD_POST, "/mailboxes/{mailbox}/delivery/addresses",
     "/mailboxes/{mailbox}/delivery/addresses", "desk_delivery", ROLE_VIEWER, view_addresses},
    {METHOD_GET, "/domains/{domain}/delivery", NULL, NULL, ROLE_VIEWER, view_domain_delivery},
    {METHOD_GET, "/feedback", NULL, NULL, ROLE_VIEWER, view_feedback},
    {METHOD_GET, "/spf", "/spf", "desk_spf", ROLE_VIEWER, view_spf},
    {METHOD_GET, "/mailboxes/{mailbox}/complaints", "/mailboxes/{mailbox}/complaints",
     "desk_complaints", ROLE_VIEWER, view_complaints},
    {METHOD_GET, "/complaints", "/complaints", "desk_reports", ROLE_VIEWER, view_reports},
    {METHOD_POST, "/complaints/{report}", "/complaints/{report}", "desk_reports", ROLE_SUPPORT,
     answer_report},
    {METHOD_GET, "/appeals", "/appeals", "desk_appeals_page", ROLE_VIEWER, view_appeals},
    {METHOD_POST, "/appeals", "/appeals", NULL, ROLE_SUPPORT, answer_appeal},
    {METHOD_GET, "/blocks", "/blocks", "desk_blocks", ROLE_VIEWER, desk_blocks_view},
    {METHOD_POST, "/blocks", "/blocks", "desk_block", ROLE_SUPPORT, desk_blocks_act},
    {METHOD_GET, "/blocks/export.csv", "/blocks/export.csv", NULL, ROLE_VIEWER,
     desk_block_files_export},
    {METHOD_GET, NULL, DESK_IMPORT_PATH, "desk_blocks_import", ROLE_SUPPORT,
     desk_block_files_form},
    {METHOD_POST, "/blocks/import", DESK_IMPORT_PATH, "desk_blocks_import", ROLE_SUPPORT,
     desk_block_files_act},
    {METHOD_GET, "/logins", "/logins", "desk_logins", ROLE_VIEWER, logins_pages_view},
    {METHOD_POST, "/logins", "/logins", "desk_logins_end", ROLE_SUPPORT, logins_pages_end},
    {METHOD_GET, "/mailboxes/{mailbox}/permissions", NULL, NULL, ROLE_VIEWER,
     desk_permission_views_view},
    {METHOD_POST, "/mailboxes/{mailbox}/permissions", "/mailboxes/{mailbox}/permissions",
     "desk_permission", ROLE_SUPPORT, desk_permission_views_act},
    {METHOD_GET, "/held", "/held", "desk_held", ROLE_VIEWER, desk_held_view},
    {METHOD_POST, "/mailboxes/{mailbox}/held", "/mailboxes/{mailbox}/held", "desk_held_answer",
     ROLE_SUPPORT, desk_held_answer},
    {METHOD_GET, "/mailboxes/{mailbox}/lock", NULL, NULL, ROLE_VIEWER, desk_locks_view},
    {METHOD_POST, "/mailboxes/{mailbox}/lock", "/mailboxes/{mailbox}/lock", "desk_lock",
     ROLE_SUPPORT, desk_locks_act},
    {METHOD_POST, "/locks", NULL, NULL, ROLE_SUPPORT, desk_locks_act_many},
    {METHOD_POST, "/mailboxes/{mailbox}/password-changed", NULL, NULL, ROLE_PANEL,
     desk_locks_tell_password},
    {METHOD_GET, "/audit", "/audit", "desk_audit", ROLE_VIEWER, desk_logs_audit},
    {METHOD_GET, "/audit/export.csv", "/audit/export.csv", NULL, ROLE_VIEWER, desk_exports_csv},
    {METHOD_GET, "/audit/export.json", "/audit/export.json", NULL, ROLE_VIEWER, desk_exports_json},
    {METHOD_GET, NULL, "/audit/{number}/undo", "desk_undo", ROLE_SUPPORT, desk_undo_view},
    {METHOD_POST, "/audit/{number}/undo", "/audit/{number}/undo", "desk_undo", ROLE_SUPPORT,
     desk_undo_act},
    {METHOD_GET, "/approvals", "/approvals", "desk_approvals", ROLE_VIEWER, desk_approvals_view},
    {METHOD_GET, NULL, "/approvals/{request}", "desk_approval", ROLE_VIEWER, desk_approvals_one},
    {METHOD_POST, NULL, "/approvals/{request}", "desk_approval", ROLE_SUPPORT, desk_approvals_act},
    {METHOD_GET, NULL, DESK_ACCOUNT_PATH, "desk_account", ROLE_VIEWER, desk_account_view},
    {METHOD_POST, NULL, DESK_ACCOUNT_PATH, "desk_account", ROLE_VIEWER, desk_account_act},
    {METHOD_GET, NULL, "/simulate", "desk_simulate", ROLE_VIEWER, desk_forms_simulate_form},
    {METHOD_POST, "/simulate", "/simulate", "desk_simulate", ROLE_VIEWER, desk_forms_simulate},
    {METHOD_GET, "/what-if", "/what-if", "desk_what_if", ROLE_VIEWER, desk_what_if_view},
    {METHOD_GET, NULL, "/actions", "desk_action", ROLE_SUPPORT, desk_forms_action_form},
    {METHOD_POST, "/actions", "/actions", "desk_action", ROLE_SUPPORT, desk_forms_action},
};
const size_t desk_routes_count = countof(desk_routes);

/* ---- one request --------------------------------------------------------------------------- */

/* The methods that the path has, for the header Allow. */
static const char *allowed_methods(struct exchange *exchange, const char *path)
{
    struct http_request other = *exchange->request;
    struct exchange asked = *exchange;
    bool allowed, has[METHOD_OTHER];
    asked.request = &other;
    for (other.method = METHOD_GET; other.method < METHOD_OTHER; other.method++)
        has[other.method] = route_find(&asked, path, &allowed) != NULL;
    return has[METHOD_GET] && has[METHOD_POST] ? "GET, HEAD, POST"
           : has[METHOD_POST]                  ? "POST"
                                               : "GET, HEAD";
}

static void run(struct exchange *exchange, const struct route *route)
{
    struct json_object *view = NULL;
    struct problem problem = {0};
    int answer = route->view(exchange, &view, &problem);
    if (answer < 1)
        json_put(&view); /* a part of it is missing */
    if (answer < 0)
        reply_no_store(exchange);
    else if (answer == 0)
        reply_problem(exchange, &problem);
    else if (view == NULL)
        return;
    else if (exchange->api)
        reply_json(exchange, 200, view);
    else
        reply_page(exchange, 200, route->page, view);
}

/* Of a POST of the API. A page of another site can make a browser send a form, but neither of these. */
static const char *body_type(const struct route *route)
{
    return route->view == desk_block_files_act ? "text/csv" : "application/json";
}

void desk_routes_answer(struct exchange *exchange, const char *path)
{
    bool allowed = false;
    const struct route *route = route_find(exchange, path, &allowed);
    if (route == NULL && allowed) {
        http_response_header(exchange->response, "Allow", allowed_methods(exchange, path));
        reply_error(exchange, 405, NULL);
    } else if (route == NULL) {
        reply_error(exchange, 404, NULL);
    } else if (exchange->person.role < route->role) {
        reply_error(exchange, 403,
                    exchange->api ? "The token's role may not do this." : NULL);
    } else if (exchange->api && route->method == METHOD_POST &&
               !http_request_sends(exchange->request, body_type(route))) {
        reply_error(exchange, 415, arena_printf(exchange->request->arena, "The body has to be %s.",
                                                body_type(route)));
    } else {
        run(exchange, route);
    }
}

/* ---- the desk --------------------------------------------------------------------------------- */

/* The request's path as a link has it; in the arena. */
static const char *path_of(const struct exchange *exchange)
{
    freed_by(text_free) struct text path = {0};
    char *rest = arena_strdup(exchange->request->arena, exchange->request->path), *segment;
    while ((segment = strsep(&rest, "/")) != NULL) {
        text_add_url(&path, segment);
        if (rest != NULL)
            text_add_char(&path, '/');
    }
    return arena_strdup(exchange->request->arena, text_string(&path));
}

static void ask_to_sign_in(struct exchange *exchange)
{
    freed_by(text_free) struct text path = {0};
    text_add(&path, "/desk/sign-in");
    if (exchange->request->method == METHOD_GET) {
        text_add(&path, "?next=");
        text_add_url(&path, path_of(exchange));
    }
    http_response_redirect(exchange->response, exchange->request,
                           arena_strdup(exchange->request->arena, text_string(&path)));
}

/* Whether something was typed that must not be lost with a session. */
static bool is_filled_form(const struct exchange *exchange)
{
    if (exchange->request->method != METHOD_POST ||
        strcmp(exchange->request->path, "/desk" DESK_ACCOUNT_PATH) == 0)
        return false;
    freed_by(json_put) struct json_object *typed = desk_forms_typed(exchange);
    return json_object_object_length(typed) > 0;
}

/* What is shown of a form to be read and changed once more; all else is carried along. */
static bool is_reason(const char *name)
{
    return strcmp(name, "note") == 0 || strcmp(name, "text") == 0;
}

/* What has words of its own to be shown by. */
static bool is_word(const char *name)
{
    return strcmp(name, "action") == 0 || strcmp(name, "rule") == 0 || strcmp(name, "cause") == 0;
}

void desk_routes_again(struct exchange *exchange, int status)
{
    if (strcmp(exchange->request->path, "/desk" DESK_IMPORT_PATH) == 0) {
        desk_block_files_again(exchange, status);
        return;
    }
    if (!is_filled_form(exchange)) {
        reply_error(exchange, 403, NULL);
        return;
    }
    freed_by(json_put) struct json_object *typed = desk_forms_typed(exchange);
    struct json_object *view = json_object_new_object();
    struct json_object *fields = json_add_list(view, "fields");
    json_add_string(view, "path", path_of(exchange));
    json_object_object_foreach(typed, name, value)
    {
        struct json_object *field = json_object_new_object();
        json_add_string(field, "where", name);
        json_add_string(field, "text", json_object_get_string(value));
        json_add_bool(field, "reason", is_reason(name));
        if (is_word(name))
            json_add_string(field, name, json_object_get_string(value));
        json_object_array_add(fields, field);
    }
    reply_page(exchange, status, "desk_again", view);
}

void desk_routes_handle(struct exchange *exchange)
{
    const char *path = exchange->request->path + strlen("/desk");
    int known = access_by_proxy(exchange);
    if (known < 0)
        reply_no_store(exchange);
    else if (known == 0 && exchange->request->remote_user != NULL)
        reply_no_account(exchange);
    else if (known == 0 && is_filled_form(exchange))
        signin_keep_form(exchange);
    else if (known == 0)
        ask_to_sign_in(exchange);
    else if (exchange->request->method == METHOD_POST && !access_csrf_fits(exchange))
        desk_routes_again(exchange, 403); /* its session is another one */
    else if (*path == '\0')
        desk_routes_redirect(exchange, "/", "", "");
    else
        desk_routes_answer(exchange, path);
}
