#include "guard/message_search.h"

#include <string.h>

#include "base/decision.h"
#include "guard/packing.h"

enum { RECORDS_PAGE = 100, RECORDS_PAGES = 300 };

int message_search_open(const struct message_search *search, const char *queue_id,
                        struct kept_open *open_r)
{
    for (size_t i = 0; i < search->sources->count; i++) {
        char key[DELIVERY_KEY_SIZE];
        struct value value;
        delivery_open_key(key, search->sources->of[i], queue_id);
        int found = store_value(search->store, search->arena, VALUE_OPEN, key, search->now_ms,
                                &value);
        if (found < 0)
            return -1;
        if (found > 0 && kept_open_read(search->arena, value.bytes, value.length, open_r) &&
            open_r->decision != 0 && open_r->mailbox != NULL)
            return 1;
    }
    return 0;
}

static bool is_of_queue_id(const struct message_search *search, const struct record *record,
                           const char *queue_id)
{
    struct packed_identity identity;
    size_t length = strlen(queue_id);
    return packing_identity(search->arena, record, &identity) &&
           identity.channel == CHANNEL_SMTP && strncmp(identity.id, queue_id, length) == 0 &&
           identity.id[length] == '/';
}

int message_search_record(const struct message_search *search, const char *queue_id,
                          int64_t began_ms, struct record *record_r)
{
    struct record records[RECORDS_PAGE];
    struct store_page page = {.max = RECORDS_PAGE, .more = true};
    uint64_t after = decision_floor(began_ms - MESSAGE_SEARCH_BEFORE_MS);
    uint64_t last = decision_floor(began_ms + MESSAGE_SEARCH_AFTER_MS);
    for (int pages = 0; pages < RECORDS_PAGES && page.more && after < last; pages++) {
        if (store_passed(search->store, search->arena, after, search->now_ms, records, &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count; i++) {
            if (is_of_queue_id(search, &records[i], queue_id)) {
                *record_r = records[i];
                return 1;
            }
            after = records[i].decision;
        }
    }
    return 0;
}

int message_search_counted(const struct message_search *search, const char *mailbox,
                           const char *queue_id, int64_t began_ms, struct record *record_r)
{
    struct record records[RECORDS_PAGE];
    struct store_page page = {.max = RECORDS_PAGE, .more = true};
    uint64_t before = UINT64_MAX;
    uint64_t first = decision_floor(began_ms - MESSAGE_SEARCH_BEFORE_MS);
    for (int pages = 0; pages < RECORDS_PAGES && page.more && before > first; pages++) {
        if (store_decisions(search->store, search->arena, mailbox, before, search->now_ms, records,
                            &page) < 0)
            return -1;
        for (size_t i = 0; i < page.count && records[i].decision >= first; i++)
            if (records[i].outcome == OUTCOME_ADMITTED &&
                is_of_queue_id(search, &records[i], queue_id)) {
                *record_r = records[i];
                return 1;
            }
        before = page.count > 0 ? records[page.count - 1].decision : 0;
    }
    return 0;
}

/* What a message is known by among those of its mailbox. */
struct sought {
    const char *queue_id; /* NULL: by message_id */
    uint32_t message_id;
    int64_t from_ms, until_ms; /* of its decision */
};

static bool is_sought(const struct sought *sought, const struct trace_message *message)
{
    int64_t decided_ms = decision_time(message->decision);
    if (sought->queue_id == NULL)
        return message->message_id == sought->message_id;
    return strcmp(message->queue_id, sought->queue_id) == 0 && decided_ms >= sought->from_ms &&
           decided_ms <= sought->until_ms;
}

static int find_on_day(const struct message_search *search, const char *mailbox, int64_t day,
                       const struct sought *sought, struct trace_message *message_r)
{
    struct trace_message *messages;
    size_t count;
    if (delivery_messages(search->store, search->arena, search->sources, mailbox, day,
                          search->now_ms, &messages, &count) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (is_sought(sought, &messages[i])) {
            *message_r = messages[i];
            return 1;
        }
    return 0;
}

int message_search_trace(const struct message_search *search, const char *mailbox,
                         const char *queue_id, int64_t began_ms, struct trace_message *message_r)
{
    struct sought sought = {.queue_id = queue_id, .from_ms = began_ms - MESSAGE_SEARCH_BEFORE_MS,
                            .until_ms = began_ms + MESSAGE_SEARCH_AFTER_MS};
    int found = 0;
    int64_t last = sought.until_ms / DAY_MS;
    for (int64_t day = sought.from_ms / DAY_MS; day <= last && found == 0; day++)
        found = find_on_day(search, mailbox, day, &sought, message_r);
    return found;
}

int message_search_message_id(const struct message_search *search, const char *mailbox,
                              uint32_t message_id, struct trace_message *message_r)
{
    int64_t today = search->now_ms / DAY_MS;
    int found = 0;
    for (int64_t day = today; day >= today - DELIVERY_DAYS - 1 && found == 0; day--)
        found = find_on_day(search, mailbox, day, &(struct sought){.message_id = message_id},
                            message_r);
    return found;
}
