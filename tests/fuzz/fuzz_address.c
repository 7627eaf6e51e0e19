/* Whatever stands in a recipient list: it is read or refused with a reason,
 * and what was read is in key form. The other setters get the same bytes. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "message/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_problem(const struct problem *problem)
{
    require(problem->status == 400 || problem->status == 413);
    require(problem->where[0] != '\0' && problem->text[0] != '\0');
}

/* A key form is its own key form, and the domain behind its last @ too. */
static void require_key(struct arena *arena, const struct recipient *recipient)
{
    struct problem problem;
    const char *key = NULL, *domain = NULL;
    size_t length = strlen(recipient->address);
    require(length <= ADDRESS_MAX_BYTES && recipient->written_chars > 0);
    require(address_key(arena, recipient->address, length, &key, &problem));
    require(strcmp(key, recipient->address) == 0);
    require(recipient->domain == strrchr(recipient->address, '@') + 1);
    require(address_domain_key(arena, recipient->domain, strlen(recipient->domain), &domain,
                               &problem));
    require(strcmp(domain, recipient->domain) == 0);
}

static void try_recipients(struct submission *submission, const char *text, size_t length)
{
    struct problem problem;
    if (!submission_add_recipients(submission, FIELD_CC, text, length, &problem)) {
        require_problem(&problem);
        require(submission->recipient_count == 0 && submission->address_bytes == 0);
        require(!submission_add_recipient(submission, FIELD_TO, text, length, &problem));
        return;
    }
    size_t count = submission->recipient_count;
    for (size_t i = 0; i < count; i++)
        require_key(submission->arena, &submission->recipients[i]);
    for (size_t i = 0; i < count; i++) {
        const char *address = submission->recipients[i].address;
        require(submission_add_recipient(submission, FIELD_TO, address, strlen(address), &problem));
        require(strcmp(submission->recipients[count + i].address, address) == 0);
    }
}

/* What a mail server hands on is read too, and comes to a key form. */
static void try_unquoted(struct arena *arena, const char *text, size_t length)
{
    struct problem problem;
    const char *key = NULL, *again = NULL;
    if (!address_key_unquoted(arena, text, length, &key, &problem)) {
        require(problem.status == 400 && problem.text[0] != '\0');
        return;
    }
    require(strlen(key) <= ADDRESS_MAX_BYTES);
    if (memchr(text, '\t', length) == NULL) {
        require(address_key(arena, key, strlen(key), &again, &problem));
        require(strcmp(again, key) == 0);
    }
}

static void try_setters(struct submission *submission, const char *text, size_t length)
{
    int (*const setters[])(struct submission *, const char *, size_t, struct problem *) = {
        submission_set_id,   submission_set_mailbox, submission_set_ip,
        submission_set_from, submission_set_lang,
    };
    struct problem problem;
    for (size_t i = 0; i < countof(setters); i++)
        if (!setters[i](submission, text, length, &problem))
            require_problem(&problem);
    if (submission->mailbox != NULL)
        require(submission->domain == strrchr(submission->mailbox, '@') + 1);
}

/* A form takes nothing that a list does not take, and reads the same addresses in it. */
static void try_form(struct arena *arena, const char *text, size_t length)
{
    struct submission list, form;
    struct problem problem;
    submission_init(&list, arena, CHANNEL_WEBMAIL);
    submission_init(&form, arena, CHANNEL_WEBMAIL);
    form.form = true;
    bool listed = submission_add_recipients(&list, FIELD_BCC, text, length, &problem);
    if (!submission_add_recipients(&form, FIELD_BCC, text, length, &problem)) {
        require_problem(&problem);
        return;
    }
    require(listed && list.recipient_count == form.recipient_count);
    for (size_t i = 0; i < form.recipient_count; i++)
        require(strcmp(list.recipients[i].address, form.recipients[i].address) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct submission submission;
    char *copy = xmalloc(size);
    memcpy(copy, data, size);
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    try_recipients(&submission, copy, size);
    try_setters(&submission, copy, size);
    try_unquoted(arena, copy, size);
    try_form(arena, copy, size);
    free(copy);
    arena_free(&arena);
    return 0;
}
