/* Parts of views as text that several commands show. */
#ifndef SENDGUARD_CLI_VIEWS_H
#define SENDGUARD_CLI_VIEWS_H

#include "base/json.h"
#include "cli/cli.h"
#include "cli/print.h"

/* Calls for each element of a list member that is there. */
#define each_of(element, object, member)                                                         \
    for (size_t i_ = 0, n_ = views_list_length(object, member);                              \
         i_ < n_ && ((element) = json_object_array_get_idx(json_member(object, member), i_), 1); \
         i_++)
size_t views_list_length(struct json_object *object, const char *member);

/* Moves the elements of a further page's list behind those of the first, and takes over its mark of
 * the next page. */
void views_join(struct json_object *first, struct json_object *page, const char *member,
                const char *mark);

/* JSON when it is asked for, else what `print` writes; the exit status. */
int views_show(struct cli *cli, struct json_object *view,
               void (*print)(struct cli *cli, struct json_object *view));

/* "alice@x.test can send.", "Sending is paused until …" from state, retry_at, suspension. */
void views_print_state(struct cli *cli, const char *subject, struct json_object *view);
/* Why a message was unusual, and what was done; or (not `done`) would be. NULL: nothing is printed. */
void views_print_unusual(struct cli *cli, struct json_object *unusual, bool done);
/* "The next message would be refused: messages_per_day, 601 of 600; …" */
void views_print_next(struct cli *cli, const char *before, struct json_object *next);
void views_print_windows(struct cli *cli, struct json_object *view);
/* Of a mailbox or a domain, a line; nothing where it has none. */
void views_print_plan(struct cli *cli, struct json_object *plan);
void views_print_limits(struct cli *cli, struct json_object *view);
void views_print_mailboxes(struct cli *cli, struct json_object *view);
/* What ends a lock. */
const char *views_lock_end(bool closed);
/* LOCK of desk.h: how it stands, and what sign-ins have shown of the password. */
void views_print_lock(struct cli *cli, struct json_object *lock);
/* One line: time, outcome, mailbox (the entry's, else `mailbox`; NULL: none), IP, recipients,
 * rules, id. */
void views_print_decision(struct cli *cli, const char *mailbox, struct json_object *entry);
/* One line: when, who, what, on what, why, how. */
const char *views_action_text(struct cli *cli, struct json_object *action);
/* {"rule":"messages_per_day","value":5} as "rule=messages_per_day value=5". */
const char *views_flat_json(struct arena *arena, struct json_object *tree);

#endif
