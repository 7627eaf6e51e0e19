#include "mailqueue/mailqueue_protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const mailqueue_verb_names[MAILQUEUE_VERBS] = {
    [MAILQUEUE_LIST] = "list", [MAILQUEUE_RELEASE] = "release", [MAILQUEUE_DELETE] = "delete"};

const char *const mailqueue_result_names[MAILQUEUE_RESULTS] = {
    [MAILQUEUE_NOT_KNOWN] = "not_known", [MAILQUEUE_RELEASED] = "released",
    [MAILQUEUE_DELETED] = "deleted",     [MAILQUEUE_NOT_HELD] = "not_held",
    [MAILQUEUE_NO_SUCH] = "no_such",     [MAILQUEUE_FAILED] = "failed"};

/* Moves behind a word that ends with a space or the text. */
static bool take_word(const char **at, const char *end, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length) != 0 ||
        (*at + length < end && (*at)[length] != ' '))
        return false;
    *at += length;
    return true;
}

int mailqueue_protocol_request(const char *line, size_t length,
                               struct mailqueue_request *request_r)
{
    const char *at = line, *end = line + length;
    size_t verb = 0;
    *request_r = (struct mailqueue_request){0};
    while (verb < MAILQUEUE_VERBS && !take_word(&at, end, mailqueue_verb_names[verb]))
        verb++;
    request_r->verb = (enum mailqueue_verb)verb;
    while (at < end && request_r->count < MAILQUEUE_IDS_MAX) {
        const char *id = at + 1; /* behind a space: take_word, and the end of the id before */
        const char *space = memchr(id, ' ', (size_t)(end - id));
        size_t size = (size_t)((space != NULL ? space : end) - id);
        if (!queue_id_is(id, size))
            return 0;
        memcpy(request_r->ids[request_r->count++], id, size);
        at = id + size;
    }
    return verb < MAILQUEUE_VERBS && at == end &&
           (verb == MAILQUEUE_LIST) == (request_r->count == 0);
}

static bool is_id(const char *text) { return queue_id_is(text, strlen(text)); }

int mailqueue_protocol_queued(const char *line, struct mailqueue_message *message_r)
{
    struct mailqueue_message message = {0};
    char queue[16];
    int64_t arrived_s;
    if (sscanf(line,
               "{\"queue_name\": \"%15[a-z]\", \"queue_id\": \"%23[0-9A-Za-z]\", "
               "\"arrival_time\": %15" SCNd64 ", \"message_size\": %15" SCNd64,
               queue, message.id, &arrived_s, &message.size) != 4 ||
        !is_id(message.id))
        return 0;
    message.held = strcmp(queue, "hold") == 0;
    message.arrived_ms = arrived_s * SECOND_MS;
    *message_r = message;
    return 1;
}

int mailqueue_protocol_acted(const char *said, enum mailqueue_verb verb, size_t *count_r)
{
    const char *words = verb == MAILQUEUE_RELEASE ? ": Released from hold: " : ": Deleted: ";
    const char *found = strstr(said, words);
    int count;
    if (found == NULL || sscanf(found + strlen(words), "%9d message", &count) != 1 || count < 0)
        return 0;
    *count_r = (size_t)count;
    return 1;
}

int mailqueue_protocol_result(const char *line, char id_r[QUEUE_ID_MAX + 1],
                              enum mailqueue_result *result_r)
{
    char id[QUEUE_ID_MAX + 1], name[16], more;
    if (sscanf(line, "%23[0-9A-Za-z] %15[a-z_]%c", id, name, &more) != 2 || !is_id(id))
        return 0;
    for (size_t i = 0; i < MAILQUEUE_RESULTS; i++)
        if (strcmp(name, mailqueue_result_names[i]) == 0) {
            memcpy(id_r, id, sizeof id);
            *result_r = (enum mailqueue_result)i;
            return 1;
        }
    return 0;
}

int mailqueue_protocol_listed(const char *line, struct mailqueue_message *message_r)
{
    struct mailqueue_message message = {.held = true};
    int64_t arrived_s;
    char more;
    if (sscanf(line, "%23[0-9A-Za-z] %15" SCNd64 " %15" SCNd64 "%c", message.id, &arrived_s,
               &message.size, &more) != 3 || !is_id(message.id))
        return 0;
    message.arrived_ms = arrived_s * SECOND_MS;
    *message_r = message;
    return 1;
}
