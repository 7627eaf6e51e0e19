/* Postfix's policy protocol, read whole and in pieces: both must come to the same requests. What
 * is complete goes to a service whose store is away, as far as an answer. The first byte: the size
 * of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "mta/policy_answer.h"
#include "mta/policy_batch.h"
#include "store/store.h"

enum { NOW_S = 1763790000, ANSWERS_MAX = 16 };

struct reading {
    int result, complete;
    struct text values; /* of all complete requests, in order */
    struct text answers;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct guard *the_guard(struct store **store_r)
{
    static struct guard *guard;
    static struct store *store;
    static const char *const overrides[] = {"store.on_failure=refuse",
                                            "mta.exempt_networks=192.0.2.0/24"};
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    struct problem problem;
    if (guard == NULL) {
        log_set_level(LOG_ERROR_LEVEL + 1);
        require(store_open("redis+unix:///nonexistent/socket",
                           &(struct store_options){.timeout_ms = 1}, &store, &problem) == 1);
        require(settings_read(NULL, overrides, countof(overrides), &settings, &problem) == 1);
        require(catalogue_load(NULL, &catalogue, &problem) == 1);
        guard = guard_new(store, NULL, settings, catalogue);
    }
    *store_r = store;
    return guard;
}

static void keep(void *reading, const char *answer, size_t length)
{
    require(length <= POLICY_ANSWER_MAX_BYTES && length > 9);
    require(strncmp(answer, "action=", 7) == 0 && strcmp(answer + length - 2, "\n\n") == 0);
    for (size_t i = 0; i < length - 2; i++)
        require(answer[i] >= ' ' && answer[i] <= '~');
    text_add_bytes(&((struct reading *)reading)->answers, answer, length);
}

static void ask(struct policy_batch *batch, struct reading *reading,
                const struct policy_request *request)
{
    struct problem problem = {0};
    for (int i = 0; i < POLICY_ATTRIBUTES; i++) {
        text_add(&reading->values, policy_request_value(request, (enum policy_attribute)i));
        text_add_char(&reading->values, '\n');
    }
    if (reading->complete++ > ANSWERS_MAX)
        return;
    if (policy_batch_add(batch, request, reading, NOW_S * SECOND_MS, &problem) < 1)
        require(problem.where[0] != '\0' && problem.text[0] != '\0');
    policy_batch_answer(batch, NOW_S * SECOND_MS, keep);
}

/* Each piece in a heap block of its own size. */
static struct reading read_pieces(const uint8_t *bytes, size_t length, size_t piece)
{
    struct policy_service service = {.collector = collector_new(4096)};
    service.guard = the_guard(&service.store);
    struct policy_batch *batch = policy_batch_new(&service);
    struct reading reading = {0};
    struct policy_request request = {0};
    struct problem problem = {0};
    for (size_t at = 0; reading.result >= 0 && at < length;) {
        size_t size = length - at < piece ? length - at : piece, used = 0;
        char *copy = xmalloc(size);
        memcpy(copy, bytes + at, size);
        reading.result = policy_request_add(&request, copy, size, &used, &problem);
        free(copy);
        require(reading.result < 0 ? problem.where[0] != '\0' : used <= size && used > 0);
        if (reading.result > 0) {
            ask(batch, &reading, &request);
            policy_request_clear(&request);
        }
        at += used;
    }
    policy_request_free(&request);
    policy_batch_free(&batch);
    collector_free(&service.collector);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct reading whole = read_pieces(data + 1, size - 1, size);
    struct reading pieces = read_pieces(data + 1, size - 1, (size_t)data[0] + 1);
    require(whole.result == pieces.result && whole.complete == pieces.complete);
    require(strcmp(text_string(&whole.values), text_string(&pieces.values)) == 0);
    text_free(&whole.values);
    text_free(&whole.answers);
    text_free(&pieces.values);
    text_free(&pieces.answers);
    return 0;
}
