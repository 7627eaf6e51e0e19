/* Writes a notification and sends it one way: what the program does with each, and a test with
 * samples. */
#ifndef SENDGUARD_NOTIFY_DELIVER_H
#define SENDGUARD_NOTIFY_DELIVER_H

#include "notify/notify_text.h"

/* `notification` as notify_state_collect makes it, or a mail to a user. 1 it was taken; 0 with
 * *problem. Waits as notify_send.h says. */
int notify_deliver(const struct notify_writer *writer, enum notify_way way,
                   struct json_object *notification, int64_t now_ms, const _Atomic bool *ending,
                   struct problem *problem) must_check;

#endif
