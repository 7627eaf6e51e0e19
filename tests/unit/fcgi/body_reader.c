#include "tests/unit/fcgi/body_reader.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct reading reading;

void reading_setup(void) { reading.arena = arena_new(); }
void reading_teardown(void) { arena_free(&reading.arena); }

/* A piece in a heap block of exactly its size, so that sanitizers see overreads. */
int add_exact(struct body *body, const char *bytes, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, length);
    int result = body_add(body, copy, length, &reading.problem);
    free(copy);
    return result;
}

/* Reads a whole body in pieces of `piece` bytes. */
int read_in(const char *type, bool php_names, const char *bytes, size_t length, size_t piece)
{
    struct body *body = NULL;
    submission_init(&reading.submission, reading.arena, CHANNEL_WEBMAIL);
    reading.claims = (struct body_claims){0};
    reading.problem = (struct problem){0};
    int result = body_new(&reading.submission, type, php_names, &body, &reading.problem);
    for (size_t at = 0; result && at < length; at += piece)
        result = add_exact(body, bytes + at, length - at < piece ? length - at : piece);
    if (result)
        result = body_end(body, &reading.claims, &reading.problem);
    body_free(&body);
    return result;
}

int read_body(const char *type, const char *text)
{
    return read_in(type, false, text, strlen(text), SIZE_MAX / 2);
}

/* All that was read, in one line. */
const char *describe(void)
{
    struct text line = {0};
    for (size_t i = 0; i < reading.submission.recipient_count; i++)
        text_addf(&line, "%s=%s ", field_names[reading.submission.recipients[i].field],
                  reading.submission.recipients[i].address);
    if (reading.submission.id != NULL)
        text_addf(&line, "id=%s ", reading.submission.id);
    if (reading.submission.from != NULL)
        text_addf(&line, "from=%s ", reading.submission.from);
    if (strcmp(reading.submission.lang, "en") != 0)
        text_addf(&line, "lang=%s ", reading.submission.lang);
    if (reading.claims.mailbox != NULL)
        text_addf(&line, "mailbox=%s ", reading.claims.mailbox);
    if (reading.claims.ip != NULL)
        text_addf(&line, "ip=%s ", reading.claims.ip);
    if (reading.claims.draft)
        text_add(&line, "draft ");
    char *copy = arena_strdup(reading.arena, text_string(&line));
    text_free(&line);
    return copy;
}

static const size_t pieces[] = {1, 2, 3, 5, 7, 64, 100000};

void check_good(const struct good_body *row)
{
    const char *bytes = row->body;
    for (size_t i = 0; i < countof(pieces); i++) {
        int result = read_in(row->type, false, bytes, strlen(bytes), pieces[i]);
        ck_assert_msg(result == 1, "%s, pieces of %zu: %s: %s", row->name, pieces[i],
                      reading.problem.where, reading.problem.text);
        ck_assert_msg(strcmp(describe(), row->read) == 0, "%s, pieces of %zu: %s", row->name,
                      pieces[i], describe());
    }
}

void check_bad(const struct bad_body *row)
{
    const char *bytes = row->body;
    for (size_t i = 0; i < countof(pieces); i++) {
        int result = read_in(row->type, false, bytes, strlen(bytes), pieces[i]);
        ck_assert_msg(result == 0, "%s, pieces of %zu: was taken", row->name, pieces[i]);
        ck_assert_int_eq(reading.problem.status, 400);
        ck_assert_msg(strcmp(reading.problem.where, row->where) == 0 &&
                          strstr(reading.problem.text, row->says) != NULL,
                      "%s, pieces of %zu: %s: %s", row->name, pieces[i], reading.problem.where,
                      reading.problem.text);
    }
}
