/* Reads lines from standard input, one answer a line. For tests that compare readers.
 *   FORM       a body as a browser sends it (urlencoded), read as in gate mode:
 *              "ok KEY KEY …", keys percent-encoded; or "no WHERE: TEXT"
 *   @ADDRESS   an address (urlencoded) as a mail server gets it at RCPT TO:<ADDRESS>: the same */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fcgi/body.h"

static void tell(const char *result)
{
    fputs(result, stdout);
    fputc('\n', stdout);
}

static void tell_problem(const struct problem *problem)
{
    printf("no %s: %s\n", problem->where, problem->text);
}

static int hex_digit(char digit) { return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10; }

static size_t decode(char *text)
{
    char *end = text;
    for (const char *at = text; *at != '\0'; at++) {
        bool escaped = at[0] == '%' && at[1] != '\0' && at[2] != '\0';
        int byte = escaped ? hex_digit(at[1]) * 16 + hex_digit(at[2]) : *at;
        *end++ = (char)byte;
        at += escaped ? 2 : 0;
    }
    *end = '\0';
    return (size_t)(end - text);
}

static void read_address(struct arena *arena, char *text)
{
    struct problem problem = {0};
    struct text answer = {0};
    const char *key = NULL;
    size_t length = decode(text);
    if (address_key(arena, text, length, &key, &problem)) {
        text_add(&answer, "ok ");
        text_add_url(&answer, key);
        tell(text_string(&answer));
    } else {
        tell_problem(&problem);
    }
    text_free(&answer);
}

static void read_form(struct arena *arena, const char *text)
{
    struct problem problem = {0};
    struct submission submission;
    struct body *body = NULL;
    struct body_claims claims;
    struct text answer = {0};
    submission_init(&submission, arena, CHANNEL_WEBMAIL);
    if (body_new(&submission, "application/x-www-form-urlencoded", true, &body, &problem) &&
        body_add(body, text, strlen(text), &problem) && body_end(body, &claims, &problem)) {
        text_add(&answer, "ok");
        for (size_t i = 0; i < submission.recipient_count; i++) {
            text_add_char(&answer, ' ');
            text_add_url(&answer, submission.recipients[i].address);
        }
        tell(text_string(&answer));
    } else {
        tell_problem(&problem);
    }
    body_free(&body);
    text_free(&answer);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    struct arena *arena = arena_new();
    while ((length = getline(&line, &room, stdin)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = '\0';
        if (line[0] == '@')
            read_address(arena, line + 1);
        else
            read_form(arena, line);
        arena_reset(arena);
    }
    arena_free(&arena);
    free(line);
    return 0;
}
