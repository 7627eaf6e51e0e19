#include "mta/policy_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t length;
} attributes[POLICY_ATTRIBUTES] = {
#define NAMED(text) {text, sizeof text - 1}
    [POLICY_REQUEST] = NAMED("request"),
    [POLICY_PROTOCOL_STATE] = NAMED("protocol_state"),
    [POLICY_CLIENT_ADDRESS] = NAMED("client_address"),
    [POLICY_SENDER] = NAMED("sender"),
    [POLICY_RECIPIENT] = NAMED("recipient"),
    [POLICY_RECIPIENT_COUNT] = NAMED("recipient_count"),
    [POLICY_QUEUE_ID] = NAMED("queue_id"),
    [POLICY_INSTANCE] = NAMED("instance"),
    [POLICY_SIZE] = NAMED("size"),
    [POLICY_SASL_USERNAME] = NAMED("sasl_username"),
    [POLICY_CONTEXT] = NAMED("policy_context"),
#undef NAMED
};

const char *policy_request_value(const struct policy_request *request,
                                 enum policy_attribute attribute)
{
    uint32_t at = request->value_at[attribute];
    return at > 0 ? request->bytes + at : "";
}

size_t policy_request_length(const struct policy_request *request,
                             enum policy_attribute attribute)
{
    return strlen(policy_request_value(request, attribute)); /* holds no NUL */
}

int policy_request_begun(const struct policy_request *request) { return request->length > 0; }

void policy_request_clear(struct policy_request *request)
{
    if (request->capacity > POLICY_KEPT_BYTES)
        policy_request_free(request);
    request->length = request->line_at = 0;
    memset(request->value_at, 0, sizeof request->value_at);
}

void policy_request_free(struct policy_request *request)
{
    free(request->bytes);
    *request = (struct policy_request){0};
}

/* "line 7", of the line that is being read. */
static int refuse(const struct policy_request *request, struct problem *problem, const char *fault)
{
    char place[32];
    unsigned line = 1;
    for (size_t i = 0; i < request->line_at; i++)
        line += request->bytes[i] == '\0';
    snprintf(place, sizeof place, "line %u", line);
    problem_set(problem, 0, place, "%s", fault);
    return -1;
}

static void append(struct policy_request *request, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    if (request->capacity - request->length < length) {
        size_t capacity = request->capacity > 0 ? request->capacity : POLICY_KEPT_BYTES / 2;
        while (capacity - request->length < length)
            capacity *= 2;
        request->bytes = xrealloc(request->bytes, capacity);
        request->capacity = capacity;
    }
    memcpy(request->bytes + request->length, bytes, length);
    request->length += length;
}

/* The line from line_at on is complete; its line feed is a NUL by now. */
static int read_line(struct policy_request *request, struct problem *problem)
{
    const char *line = request->bytes + request->line_at;
    size_t length = request->length - 1 - request->line_at;
    const char *equals = memchr(line, '=', length);
    if (equals == NULL)
        return refuse(request, problem, "expected name=value, but there is no \"=\"");
    if (equals == line)
        return refuse(request, problem, "expected name=value, but the name is empty");
    size_t name_length = (size_t)(equals - line);
    for (int i = 0; i < POLICY_ATTRIBUTES; i++) {
        if (attributes[i].length != name_length ||
            memcmp(attributes[i].name, line, name_length) != 0)
            continue;
        if (request->value_at[i] > 0)
            return refuse(request, problem, "names an attribute a second time");
        request->value_at[i] = (uint32_t)(request->line_at + name_length + 1);
        break;
    }
    request->line_at = request->length;
    return 1;
}

int policy_request_add(struct policy_request *request, const char *bytes, size_t length,
                       size_t *used_r, struct problem *problem)
{
    size_t used = 0;
    while (used < length) {
        const char *from = bytes + used;
        const char *feed = memchr(from, '\n', length - used);
        size_t piece = feed != NULL ? (size_t)(feed - from) : length - used;
        size_t line_length = request->length - request->line_at + piece;
        if (line_length > POLICY_LINE_MAX_BYTES)
            return refuse(request, problem, "is longer than 4096 bytes");
        if (request->length + piece + 1 > POLICY_REQUEST_MAX_BYTES)
            return refuse(request, problem, "the request is longer than 65536 bytes");
        if (memchr(from, '\0', piece) != NULL)
            return refuse(request, problem, "holds a NUL");
        append(request, from, piece + (feed != NULL));
        used += piece + (feed != NULL);
        if (feed == NULL)
            break;
        request->bytes[request->length - 1] = '\0';
        *used_r = used;
        if (line_length == 0)
            return 1;
        if (read_line(request, problem) < 0)
            return -1;
    }
    *used_r = used;
    return 0;
}
