/* Where the store keeps what is known of sign-ins (rules/login.h): a value for each mailbox, under
 * a keyed hash of its name (keyed_hash_login), and one for each network, under its number. Who
 * changes some of them tells so in the same step: the step gets the next number, and under it a
 * value that names them. So every process knows of it without reading them all, and steps come one
 * behind the other, whichever process makes them. */
#ifndef SENDGUARD_LOGIN_VALUES_H
#define SENDGUARD_LOGIN_VALUES_H

#include "rules/login.h"
#include "store/values.h"

#define LOGIN_VALUES_TOLD_MS (5 * MINUTE_MS) /* how long it is told what a step changed */
#define LOGIN_VALUES_GAP_MS (3 * DAY_MS)
enum { LOGIN_VALUES_EXTRA = 2 }; /* changes of a step beside those of what it changed */

/* A value that is VALUE_LOGINS or VALUE_LOGIN_NETWORK, without bytes. In `arena`. */
struct value login_values_of(struct arena *arena, enum value_kind kind, uint64_t id);
/* The struct that a value is, empty where it is absent or damaged. */
void login_values_mailbox(const struct value *value, struct login_mailbox *mailbox_r);
void login_values_network(const struct value *value, struct login_network *network_r);
/* What a value becomes, in `arena`; removed when nothing is left at now_ms. */
struct value_change login_values_mailbox_change(struct arena *arena, const struct value *before,
                                                const struct login_mailbox *after,
                                                int64_t now_ms);
struct value_change login_values_network_change(struct arena *arena, const struct value *before,
                                                const struct login_network *after,
                                                int64_t now_ms);

/* The value that has the number of the newest step, without bytes; and the number that it is once
 * it has been read, 0: there was no step. */
struct value login_values_newest(void);
int64_t login_values_number(const struct value *newest);
/* Since when there have been steps, none LOGIN_VALUES_GAP_MS or more behind the one before, up to
 * now_ms; 0: there is none, or they have stopped. */
int64_t login_values_since(const struct value *newest, int64_t now_ms);
/* The changes that make of changes 0..count - 1, of the two kinds, the step behind `newest`; they
 * come behind them. In `arena`. */
void login_values_tell(struct arena *arena, const struct value *newest,
                       struct value_change *changes, size_t count, int64_t now_ms);
/* The value that tells of that step, without bytes, in `arena`; and what it tells once it has been
 * read: values without bytes, in `arena`. */
struct value login_values_step(struct arena *arena, int64_t number);
size_t login_values_told(struct arena *arena, const struct value *step, struct value **values_r);

/* ---- what is closed ------------------------------------------------------------------------------ */

/* A mailbox or a network of which a block holds, the last until then. */
struct login_closed {
    uint64_t id;
    int64_t until_ms; /* 0: it is open */
    bool is_network;
};
enum { LOGIN_VALUES_CLOSED_MAX = 1000 }; /* beyond, those that began first are left out */

/* One value has all of them, so that nobody looks at each mailbox. Who writes a step reads it with
 * the number of the newest step, and changes it where something in the step was closed or opened. */
struct value login_values_closed(void);
/* Those of the value that hold at now_ms, in `arena`, the first that began first. Returns how many. */
size_t login_values_closed_read(struct arena *arena, const struct value *value, int64_t now_ms,
                                struct login_closed **closed_r);
/* What the value becomes with what was changed. In `arena`. */
struct value_change login_values_closed_change(struct arena *arena, const struct value *before,
                                               const struct login_closed *changed, size_t count,
                                               int64_t now_ms);

#endif
