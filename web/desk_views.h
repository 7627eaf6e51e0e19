/* What the files of the desk's routes share. */
#ifndef SENDGUARD_DESK_VIEWS_H
#define SENDGUARD_DESK_VIEWS_H

#include "base/problem.h"
#include "web/web.h"

/* Views of web.h's struct route that have a file of their own. */
int desk_exports_csv(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem) must_check;
int desk_exports_json(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem) must_check;
int desk_exports_decisions(struct exchange *exchange, struct json_object **view_r,
                           struct problem *problem) must_check;
int desk_forms_action_form(struct exchange *exchange, struct json_object **view_r,
                           struct problem *problem) must_check;
int desk_forms_action(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
    must_check;
int desk_forms_simulate_form(struct exchange *exchange, struct json_object **view_r,
                             struct problem *problem) must_check;
int desk_forms_simulate(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;

/* The fields of a form that say something, without those of its frame. To be put. */
struct json_object *desk_forms_typed(const struct exchange *exchange);
/* "request": the fields by name; "fields": the same as a list, to be carried along unseen. */
void desk_forms_add_typed(struct json_object *view, struct json_object *request);
/* What the page of a preview needs beside what desk_action() says. */
void desk_forms_add_preview(struct json_object *view, struct json_object *request);
/* "problem": {"where":…|null,"text":…}, what is wrong with a form. */
void desk_forms_add_problem(struct json_object *view, const struct problem *problem);

/* Of an action, which shows first what it would do: its words by the API, without "preview". To be
 * put. */
struct json_object *desk_forms_words(const struct exchange *exchange);
/* Whether nothing is to be done yet; a form says "confirm" once it is. 1; 0 with *problem. */
int desk_forms_read_preview(const struct exchange *exchange, bool *preview_r,
                            struct problem *problem) must_check;
/* What it came to (1; 0; -1), as a view answers it: where the store did not answer, nobody knows
 * whether it was done. */
int desk_forms_outcome(struct exchange *exchange, int answer, bool preview,
                       struct json_object **view_r) must_check;

/* Filters of lists. */
struct decision_words desk_logs_decision_words(const struct exchange *exchange);
int desk_logs_audit_filter(const struct exchange *exchange, struct audit_filter *filter_r,
                           struct problem *problem) must_check;
/* For pages: "filter":{…} as it was typed, "filtered":bool, and "filter_url" for links: "by=ada&". */
void desk_logs_add_filter(const struct exchange *exchange, const char *const *names, size_t count,
                          struct json_object *view);
/* list:[{member:name,"chosen":bool}…] */
void desk_logs_add_choices(const struct exchange *exchange, const char *list, const char *member,
                           const char *const *names, size_t count, struct json_object *view);
int desk_logs_decisions(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;
int desk_logs_audit(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem) must_check;

int desk_campaigns_view(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;
int desk_campaigns_lift(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;

int desk_past_view(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem) must_check;
int desk_what_if_view(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem) must_check;

int desk_blocks_view(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem) must_check;
int desk_blocks_act(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem) must_check;

#define DESK_IMPORT_PATH "/blocks/import" /* below /desk */
int desk_block_files_export(struct exchange *exchange, struct json_object **view_r,
                            struct problem *problem) must_check;
int desk_block_files_form(struct exchange *exchange, struct json_object **view_r,
                          struct problem *problem) must_check;
/* The form with what was typed, which was not looked at: the session had ended. */
void desk_block_files_again(struct exchange *exchange, int status);
int desk_block_files_act(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem) must_check;

int desk_approvals_view(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;
int desk_approvals_one(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem) must_check;
/* To the list, which then says what was done ("done") about whom. */
void desk_approvals_redirect(struct exchange *exchange, const char *done, const char *subject);
int desk_approvals_act(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem) must_check;
/* "approvals_waiting": how many. 1 or -1. */
int desk_approvals_add_to_home(struct exchange *exchange, struct json_object *view) must_check;

#define DESK_ACCOUNT_PATH "/account" /* below /desk; its forms have passwords, and are never kept */
int desk_account_view(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem) must_check;
int desk_account_act(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem) must_check;

int desk_permission_views_view(struct exchange *exchange, struct json_object **view_r,
                               struct problem *problem) must_check;
int desk_permission_views_act(struct exchange *exchange, struct json_object **view_r,
                              struct problem *problem) must_check;
int desk_held_view(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem) must_check;
int desk_held_answer(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem) must_check;
int desk_locks_view(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem) must_check;
int desk_locks_act(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem) must_check;
int desk_locks_act_many(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;
int desk_locks_tell_password(struct exchange *exchange, struct json_object **view_r,
                             struct problem *problem) must_check;
/* For the page of a mailbox: "reopen_as":"reopen"|"open", what ends its lock. */
void desk_locks_add_to_mailbox(struct json_object *view);

int desk_deliveries_page(struct exchange *exchange, struct json_object **view_r,
                         struct problem *problem) must_check;
int desk_deliveries_ask(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem) must_check;

/* For pages: what became of mail, with what delivery_pages.h adds. 1, 0 with *problem, -1.
 * "delivery": of the view's mailbox, the newest messages; of the view's domain */
int desk_deliveries_add_to_mailbox(struct exchange *exchange, struct json_object *view,
                                   struct problem *problem) must_check;
int desk_deliveries_add_to_domain(struct exchange *exchange, struct json_object *view,
                                  struct problem *problem) must_check;
/* "trace": TRACE of the decision; two more of its states: "gone" not kept any more, "no_key". 1 or -1. */
int desk_deliveries_add_to_decision(struct exchange *exchange, struct json_object *view) must_check;
/* "log":{"wrong":bool, "not_followed":bool, and of the logs that are followed "late":[…] those that
 * are read too late, "gaps":[…] those without lines of some messages}. 1 or -1. */
int desk_deliveries_add_to_home(struct exchange *exchange, struct json_object *view) must_check;

/* For pages, in a view's NEXT (desk.h): each reason over time gets "used", what its window holds,
 * and "used_told":true. NULL: nothing. */
void desk_page_add_used(struct json_object *next);
/* For pages: "at_exact", the view's "at" with its second and the zone. */
void desk_page_add_full(const struct exchange *exchange, struct json_object *view);
/* For pages: the view's "limits" become "limit_rows":[{"rule":…,"channels":[webmail's, smtp's],
 * "adjusted":true}…], and those that staff adjusted "adjusted":{"limit_rows":[…]}, null for none. */
void desk_page_add_limit_rows(struct json_object *view);

/* 303 to a page of the desk: "/mailboxes/" and the name, percent-encoded, and what follows it. */
void desk_routes_redirect(struct exchange *exchange, const char *folder, const char *name,
                          const char *more);

/* A form of the desk (exchange->request: its path, what was typed) was not looked at, since its session
 * had ended: what was typed, to be sent anew. */
void desk_routes_again(struct exchange *exchange, int status);

/* Finds the route for `path` (below /desk or /api/v1), looks whether the person may, and lets
 * its view answer. Whose request it is has been found out before. */
void desk_routes_answer(struct exchange *exchange, const char *path);

/* ---- desk_undo.c ---- */

int desk_undo_view(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem);
int desk_undo_act(struct exchange *exchange, struct json_object **view_r,
                  struct problem *problem);
/* "undo_last": the number of the newest entry of those that fit which the person can undo, as text.
 * 1 or -1. */
int desk_undo_add_last(struct exchange *exchange, const struct audit_words *words,
                       struct json_object *view) must_check;

#endif
