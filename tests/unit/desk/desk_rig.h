/* The desk over guard_rig.h, for its tests: views that must come, and exact looks at them. */
#ifndef SENDGUARD_TESTS_DESK_RIG_H
#define SENDGUARD_TESTS_DESK_RIG_H

#include "base/problem.h"
#include "desk/desk.h"
#include "tests/unit/guard/guard_rig.h"

/* Few of everything, no limit of an IP: 5 messages and 20 recipients outside a day. */
#define SMALL                                                                               \
    "limits.webmail.messages_per_day=5", "limits.webmail.off_domain_per_day=20",            \
        "limits.smtp.messages_per_day=5", "limits.smtp.off_domain_per_day=20",              \
        "limits.webmail.off_domain_per_hour_per_ip=off"

extern const struct person viewer, supporter, admin;

/* A rig_case whose tests end by putting all views. */
TCase *desk_case(Suite *suite, const char *name);

/* The desk of the running test. */
const struct desk *rig_desk(void);

/* Put at the test's end. Returns it. */
struct json_object *keep_view(struct json_object *view);
/* Fails the test when a view did not come. */
void must_come(int result, const struct problem *problem);
/* The view of a call that must answer 1; it says &made and &fault where the view and the problem
 * go: VIEW(desk_audit(rig_desk(), NULL, NULL, &made, &fault)). */
#define VIEW(call)                       \
    __extension__({                      \
        struct json_object *made = NULL; \
        struct problem fault = {0};      \
        must_come(call, &fault);         \
        keep_view(made);                 \
    })

struct json_object *view_status(const char *mailbox, uint64_t decision, int64_t now_ms);
struct json_object *view_mailbox(const char *mailbox, int64_t now_ms);
struct json_object *view_decision(uint64_t decision, int64_t now_ms);

/* JSON text with ' for ", as a tree; put at the test's end. */
struct json_object *words_of(const char *text);
/* An action in such words; it must be done, or previewed. */
struct json_object *do_action(const struct person *person, const char *words, int64_t now_ms);
struct json_object *preview_action(const struct person *person, const char *words, int64_t now_ms);
/* An action that must be refused with that status and place; the problem's text. */
const char *refuse_action(const struct person *person, const char *words, int64_t now_ms,
                          int status,
                          const char *where);

/* The member at `path`, as rig_text, is `expected`, with ' for ". */
void check_member(struct json_object *view, const char *path, const char *expected);
/* How many the list at `path` has. */
size_t length_of(struct json_object *view, const char *path);

/* A message of the mailbox waits since then, or was deferred or noted. */
void rig_wait_since(const char *mailbox, enum unusual_action action, int64_t since_ms);

/* Judges a message of ALICE to `count` recipients outside, from where rig_message comes. */
struct verdict send_one(const char *id, int count, int64_t now_ms);

#endif
