/* What sendguard-notify keeps between its rounds, one value of the store: how far it has looked,
 * what is to be told, and who leads. Of several such programs over one store one leads, for
 * NOTIFY_LEAD_MS after each writing; the value changes only from the version that was read, so two
 * never both go on.
 *
 * What happens waits below its condition. The first is told at once, what follows within
 * notify.interval together at its end, and while notify.per_hour is used up or NOTIFY_OUTBOX_MAX
 * notifications are on their way all of it goes on waiting. Of a condition NOTIFY_ITEMS_MAX items
 * wait by name and the others as a number: so nothing is lost but names, whatever happens. When the
 * value is long (NOTIFY_LONG_BYTES), as with very long addresses, nothing more is put on its way
 * until it is shorter.
 *
 * A notification is written here before it is sent, and taken out when it was: after a kill it is
 * sent once more at most, with the same id.
 * Source: docs/notifications.md. */
#ifndef SENDGUARD_NOTIFY_STATE_H
#define SENDGUARD_NOTIFY_STATE_H

#include "base/arena.h"
#include "guard/counters.h"
#include "settings/settings.h"
#include "store/store.h"
#include "store/values.h"

struct json_object;

enum { NOTIFY_ITEMS_MAX = 20, NOTIFY_OUTBOX_MAX = 50, NOTIFY_USER_MAIL_MAX = 200,
       NOTIFY_USERS_TOLD_MAX = 1000 };
enum { NOTIFY_LONG_BYTES = VALUE_MAX_BYTES / 4 };
#define NOTIFY_LEAD_MS (30 * SECOND_MS)
#define NOTIFY_GIVE_UP_MS DAY_MS
/* What was looked at so long ago is not told later. */
#define NOTIFY_STALE_MS DAY_MS

/* "suspension", …, "digest". */
const char *notify_state_condition(enum notify_condition condition);

/* Zeroed: not read yet. */
struct notify_state {
    struct json_object *tree; /* to be put */
    uint32_t version;         /* 0: the store has none */
    bool changed;             /* since it was read or written */
    size_t length;            /* as it was read or written */
};
void notify_state_end(struct notify_state *state);
/* Reads it; one that is not there or damaged is empty. 1 or -1. */
int notify_state_read(struct notify_state *state, struct store *store, struct arena *arena,
                      int64_t now_ms) must_check;
/* Whether `who` leads, or may from now on. */
bool notify_state_leads(const struct notify_state *state, const char *who, int64_t now_ms);
/* Writes it, with `who` as the leader from now on; what has not changed is written to lead on
 * alone. One that no database takes, since it is too long, begins anew. 1; 0: somebody else has
 * changed it; -1. After 0 read it again. */
int notify_state_write(struct notify_state *state, struct store *store, const char *who,
                       int64_t now_ms) must_check;

/* Writes that nobody leads, where `who` did: at its end. */
void notify_state_resign(struct notify_state *state, struct store *store, const char *who,
                         int64_t now_ms);

/* Numbers that it keeps ("audit_after"), and those of a group ("counts"). */
int64_t notify_state_int(const struct notify_state *state, const char *name);
void notify_state_set(struct notify_state *state, const char *name, int64_t value);
/* The object or list of that name, made where there is none. */
struct json_object *notify_state_object(struct notify_state *state, const char *name);
struct json_object *notify_state_list(struct notify_state *state, const char *name);

/* Something happened. Takes `item`: an object with "subject", which says to whom, and what else is
 * told. It replaces one about the same subject that waits: "count" is that of both then, and where
 * there is none "times" says how many they were. */
void notify_state_add(struct notify_state *state, enum notify_condition condition,
                      struct json_object *item, int64_t now_ms);
/* What is due becomes notifications, which wait to be sent: {"id", "condition", "at", "items",
 * "more" (unless 0), "late" (true: notify.per_hour made it wait)} and for each way that the
 * settings have an object of that name, "mail" and "webhook". Returns how many items are told as a
 * number. */
int64_t notify_state_collect(struct notify_state *state, const struct settings *settings,
                             int64_t now_ms);
/* A mail to a user waits: {"mailbox", "lang" (the user's, NULL: not known), "begins", and of one that begins "cause", "by", "since_ms",
 * "until_ms"}; or of messages that wait {"mailbox", "lang", "held", "since_ms"}. Takes `mail`. False: too many do. */
bool notify_state_add_user_mail(struct notify_state *state, struct json_object *mail,
                                int64_t now_ms);

/* The first that is to be sent that way now; NULL: none. */
struct json_object *notify_state_due(const struct notify_state *state, enum notify_way way,
                                     int64_t now_ms);
/* It was NOTIFY_SENT; or it NOTIFY_FAILED, and is sent again later, and later each time, for
 * NOTIFY_GIVE_UP_MS; or it is NOTIFY_GIVEN_UP. Returns which of these it is then. */
enum notify_result notify_state_tried(struct notify_state *state, enum notify_way way,
                                      struct json_object *notification,
                                      enum notify_result result, int64_t now_ms);

/* Nothing is sent that way any more. */
void notify_state_forget(struct notify_state *state, enum notify_way way);

/* How many wait to be sent that way, and how many of them were tried in vain. */
struct notify_waiting {
    size_t count, failing;
    int64_t failing_since_ms; /* the oldest of them; undefined where there is none */
};
struct notify_waiting notify_state_waiting(const struct notify_state *state, enum notify_way way);

#endif
