/* A notification in words: for a person of support, English, and as JSON for programs; and the
 * mail to a user, in the user's languages. Pure. */
#ifndef SENDGUARD_NOTIFY_TEXT_H
#define SENDGUARD_NOTIFY_TEXT_H

#include "base/arena.h"
#include "base/text.h"
#include "notify/notify_state.h"
#include "text/catalogue.h"

struct notify_writer {
    struct arena *arena;
    const struct settings *settings;
    const struct catalogue *catalogue;
    const char *host; /* of this machine */
};

/* Of a notification as notify_state_collect makes it: the subject of its mail, then its body, in
 * `arena`. Lines end with "\n". */
const char *notify_text_subject(const struct notify_writer *writer,
                                struct json_object *notification);
const char *notify_text_body(const struct notify_writer *writer, struct json_object *notification);
/* What is posted to the webhook: the notification without its ways, each item with "url" where the
 * desk has a page of it; "host", "subject" and "text" as a mail has them. */
const char *notify_text_json(const struct notify_writer *writer, struct json_object *notification);

/* Of a mail to a user as notify_state_add_user_mail takes it. The subject is in the first of
 * notify.user_languages. */
const char *notify_text_user_subject(const struct notify_writer *writer, struct json_object *mail);
const char *notify_text_user_body(const struct notify_writer *writer, struct json_object *mail);

/* One of each condition, for a test: as notify_state_collect makes them, and "test". */
struct json_object *notify_text_sample(enum notify_condition condition, int64_t now_ms);

#endif
