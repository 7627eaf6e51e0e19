/* An LMTP client, read whole and in pieces: both must come to the same replies and messages. The first
 * byte: the size of the pieces; its lowest bit: whether the store answers. */
#include <stdlib.h>
#include <string.h>

#include "feedback/lmtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
    bool store_answers;
    struct text messages, replies;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static int keep(void *context, const char *message, size_t length)
{
    struct talk *talk = context;
    require(length <= LMTP_MESSAGE_MAX && message[length] == '\0');
    text_add_bytes(&talk->messages, message, length);
    text_add_char(&talk->messages, '\n');
    return talk->store_answers ? 1 : -1;
}

/* Each piece in a heap block of its own size. */
static void say(struct talk *talk, const uint8_t *bytes, size_t length, size_t piece)
{
    struct lmtp session;
    lmtp_begin(&session, keep, talk);
    for (size_t at = 0; at < length; at += piece) {
        size_t some = length - at < piece ? length - at : piece;
        char *copy = xmalloc(some);
        memcpy(copy, bytes + at, some);
        lmtp_take(&session, copy, some);
        free(copy);
        require(session.line.length < LMTP_LINE_MAX);
    }
    text_add(&talk->replies, text_string(&session.out));
    lmtp_end(&session);
}

/* Each reply is a line that begins with its code. */
static void check_replies(const char *replies)
{
    for (const char *line = replies; *line != '\0'; line = strchr(line, '\n') + 1) {
        require(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
        require(strchr(line, '\n') != NULL && strchr(line, '\n')[-1] == '\r');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct talk whole = {.store_answers = data[0] % 2}, pieces = {.store_answers = data[0] % 2};
    say(&whole, data + 1, size - 1, size);
    say(&pieces, data + 1, size - 1, data[0] / 2 + 1);
    check_replies(text_string(&whole.replies));
    require(strcmp(text_string(&whole.replies), text_string(&pieces.replies)) == 0);
    require(whole.messages.length == pieces.messages.length &&
            (whole.messages.length == 0 ||
             memcmp(whole.messages.data, pieces.messages.data, whole.messages.length) == 0));
    text_free(&whole.messages);
    text_free(&whole.replies);
    text_free(&pieces.messages);
    text_free(&pieces.replies);
    return 0;
}
