#include "notify/notify_deliver.h"

#include "base/json.h"
#include "notify/notify_send.h"

static int deliver_mail(const struct notify_writer *writer, struct json_object *notification,
                        int64_t now_ms, const _Atomic bool *ending, struct problem *problem)
{
    const struct text_list *to = &writer->settings->notify_mail_to;
    const struct notify_mail mail = {
        .to = (const char *const *)to->items, .to_count = to->count,
        .subject = notify_text_subject(writer, notification),
        .body = notify_text_body(writer, notification),
        .id = json_string(notification, "id", ""), .at_ms = now_ms};
    return notify_send_mail(writer->settings, &mail, ending, problem);
}

static int deliver_to_user(const struct notify_writer *writer, struct json_object *notification,
                           int64_t now_ms, const _Atomic bool *ending, struct problem *problem)
{
    const char *mailbox = json_string(notification, "mailbox", "");
    const struct notify_mail mail = {
        .to = &mailbox, .to_count = 1,
        .subject = notify_text_user_subject(writer, notification),
        .body = notify_text_user_body(writer, notification),
        .id = json_string(notification, "id", ""), .at_ms = now_ms};
    return notify_send_mail(writer->settings, &mail, ending, problem);
}

int notify_deliver(const struct notify_writer *writer, enum notify_way way,
                   struct json_object *notification, int64_t now_ms, const _Atomic bool *ending,
                   struct problem *problem)
{
    switch (way) {
    case NOTIFY_BY_MAIL:
        return deliver_mail(writer, notification, now_ms, ending, problem);
    case NOTIFY_TO_USER:
        return deliver_to_user(writer, notification, now_ms, ending, problem);
    default:
        return notify_send_webhook(writer->settings, notify_text_json(writer, notification),
                                   json_string(notification, "id", ""), now_ms, ending, problem);
    }
}
