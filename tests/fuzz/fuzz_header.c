/* A message as the milter gets it: words with a NUL behind each. The first ones that begin with '<'
 * are the envelope's, the others fields ("To:value"). The store is away, so nothing is ever taken
 * back, and what breaks a limit is refused all the same. Given twice, the answer is the same. */
#include <stdlib.h>
#include <string.h>

#include "milter/header_message.h"
#include "store/store.h"

enum { NOW_S = 1763790000 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct header_service *the_service(void)
{
    static struct header_service service;
    static const char *const overrides[] = {"limits.smtp.recipients_per_field=3",
                                            "limits.smtp.header_chars_per_domain=200",
                                            "identity.mode=enforce",
                                            "support.contact=support@example.test"};
    struct settings *settings = NULL;
    struct catalogue *catalogue = NULL;
    struct problem problem;
    if (service.guard == NULL) {
        log_set_level(LOG_ERROR_LEVEL + 1);
        require(store_open("redis+unix:///nonexistent/socket",
                           &(struct store_options){.timeout_ms = 1}, &service.store,
                           &problem) == 1);
        require(settings_read(NULL, overrides, countof(overrides), &settings, &problem) == 1);
        require(catalogue_load(NULL, &catalogue, &problem) == 1);
        service.guard = guard_new(service.store, NULL, settings, catalogue);
    }
    return &service;
}

static void check_line(const char *line)
{
    require(strlen(line) <= HEADER_REPLY_MAX_BYTES);
    for (; *line != '\0'; line++)
        require(*line >= ' ' && *line <= '~');
}

static void add_word(struct header_message *message, char *word, bool *envelope)
{
    char *colon = strchr(word, ':');
    *envelope = *envelope && word[0] == '<';
    if (*envelope) {
        header_message_add_recipient(message, word);
    } else if (colon != NULL) {
        *colon = '\0';
        header_message_add_field(message, word, colon + 1);
    }
}

static enum header_answer judge(const uint8_t *data, size_t size)
{
    static const struct header_sender sender = {.user = "alice@example.test",
                                                .client = "192.0.2.7",
                                                .address = "<alice@example.test>"};
    struct header_message *message = NULL;
    struct smtp_reply_lines lines;
    bool envelope = true;
    require(header_message_begin(the_service(), &sender, NOW_S * SECOND_MS, &message) == 1);
    for (size_t at = 0, length; at < size; at += length + 1) {
        length = strnlen((const char *)data + at, size - at);
        char *word = strndup((const char *)data + at, length); /* a block of its own size */
        add_word(message, word, &envelope);
        free(word);
    }
    enum header_answer answer = header_message_judge(the_service(), message, "4jX1",
                                                     NOW_S * SECOND_MS, &lines);
    if (answer == HEADER_REFUSE) {
        check_line(lines.text);
        check_line(lines.place);
        require(lines.text[0] != '\0');
    }
    header_message_free(&message);
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    require(judge(data, size) == judge(data, size));
    return 0;
}
