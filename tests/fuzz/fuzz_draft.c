/* A draft as its user has written it into the mailbox. What is judged and what is handed over are
 * the same, and what is handed over is whole lines. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parked/draft.h"

#define MAILBOX "alice@example.test"
#define ID "parked.0123456789abcdef0123456789abcdef.1763790000000.0"
#define NOW INT64_C(1763790000000)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    address_init();
    return 0;
}

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool is_word(const char *text) { return text[strcspn(text, " \t\r\n<>,;\"()")] == '\0'; }

static bool is_judged(const struct submission *submission, const char *address)
{
    const char *key;
    struct problem problem;
    require(address_key(submission->arena, address, strlen(address), &key, &problem) == 1);
    for (size_t i = 0; i < submission->recipient_count; i++)
        if (strcmp(submission->recipients[i].address, key) == 0)
            return true;
    return false;
}

/* No field of that name begins a line of the header. */
static bool lacks(const char *header, const char *name)
{
    for (const char *line = header; line != NULL && line[0] != '\r';
         line = strstr(line, "\r\n") != NULL ? strstr(line, "\r\n") + 2 : NULL)
        if (strncasecmp(line, name, strlen(name)) == 0)
            return false;
    return true;
}

static void check(const struct draft *draft, const struct submission *submission)
{
    const char *handed = text_string(&draft->handed);
    require(strlen(handed) == draft->handed.length && draft->handed.length <= draft->sent.length);
    for (size_t i = 0; handed[i] != '\0'; i++) {
        require(handed[i] != '\n' || (i > 0 && handed[i - 1] == '\r'));
        require(handed[i] != '\r' || handed[i + 1] == '\n');
    }
    require(strstr(handed, "\r\n\r\n") != NULL);
    require(lacks(handed, "Bcc:") && lacks(handed, "X-Sendguard-Parked:") &&
            lacks(handed, "X-Draft-Info:"));
    require(is_word(draft->from) && strcmp(draft->from, submission->from) == 0);
    require(draft->to_count >= 1 && draft->to_count <= submission->recipient_count);
    for (size_t i = 0; i < draft->to_count; i++)
        require(is_word(draft->to[i]) && is_judged(submission, draft->to[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct submission submission;
    struct draft draft;
    struct problem problem = {0};
    char *copy = xmalloc(size);
    memcpy(copy, data, size);
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    require(submission_set_id(&submission, ID, strlen(ID), &problem) == 1);
    require(submission_set_mailbox(&submission, MAILBOX, strlen(MAILBOX), &problem) == 1);
    if (draft_read(copy, size, NOW, &submission, &draft, &problem) > 0)
        check(&draft, &submission);
    else
        require(problem.status >= 400 && problem.text[0] != '\0');
    draft_free(&draft);
    free(copy);
    arena_free(&arena);
    return 0;
}
