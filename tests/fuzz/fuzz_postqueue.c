/* What sendguard-postqueue, which is root, is asked; what Postfix's commands print; and what its
 * client is answered. */
#include <stdlib.h>
#include <string.h>

#include "mailqueue/mailqueue_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A request that is taken is made of the words that stand in it. */
static void read_request(const char *line, size_t length)
{
    struct mailqueue_request request;
    char again[MAILQUEUE_REQUEST_MAX];
    if (mailqueue_protocol_request(line, length, &request) < 1)
        return;
    strcpy(again, mailqueue_verb_names[request.verb]);
    for (size_t i = 0; i < request.count; i++) {
        require(queue_id_is(request.ids[i], strlen(request.ids[i])));
        strcat(strcat(again, " "), request.ids[i]);
    }
    require(strlen(again) == length && memcmp(again, line, length) == 0);
    require((request.verb == MAILQUEUE_LIST) == (request.count == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mailqueue_message message = {.id = "?"};
    enum mailqueue_result result;
    char id[QUEUE_ID_MAX + 1];
    size_t count;
    char *copy = xmalloc(size + 1); /* of its own size: a NUL behind texts, none behind a request */
    memcpy(copy, data, size);
    copy[size] = '\0';
    if (mailqueue_protocol_queued(copy, &message) > 0 ||
        mailqueue_protocol_listed(copy, &message) > 0)
        require(queue_id_is(message.id, strlen(message.id)));
    else
        require(strcmp(message.id, "?") == 0);
    if (mailqueue_protocol_result(copy, id, &result) > 0)
        require(queue_id_is(id, strlen(id)) && result < MAILQUEUE_RESULTS);
    if (mailqueue_protocol_acted(copy, MAILQUEUE_DELETE, &count) > 0)
        require(count <= 999999999);
    copy = xrealloc(copy, size > 0 ? size : 1);
    read_request(copy, size);
    free(copy);
    return 0;
}
