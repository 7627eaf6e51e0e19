/* Reads a body whole and in pieces: both must come to the same. */
#ifndef SENDGUARD_READ_TWICE_H
#define SENDGUARD_READ_TWICE_H

#include <stdlib.h>
#include <string.h>

#include "base/problem.h"
#include "fcgi/body.h"

struct reading {
    int result;
    struct arena *arena;
    struct submission submission;
    struct body_claims claims;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Each piece in a heap block of its own size. */
static int add_exact(struct body *body, const uint8_t *bytes, size_t length,
                     struct problem *problem)
{
    char *copy = xmalloc(length);
    memcpy(copy, bytes, length);
    int result = body_add(body, copy, length, problem);
    free(copy);
    return result;
}

static struct reading read_body(const char *type, bool php_names, const uint8_t *bytes,
                                size_t length, size_t piece)
{
    struct reading reading = {.arena = arena_new()};
    struct problem problem = {0};
    struct body *body = NULL;
    submission_init(&reading.submission, reading.arena, CHANNEL_WEBMAIL);
    require(body_new(&reading.submission, type, php_names, &body, &problem));
    reading.result = 1;
    for (size_t at = 0; reading.result && at < length; at += piece)
        reading.result =
            add_exact(body, bytes + at, length - at < piece ? length - at : piece, &problem);
    if (reading.result)
        reading.result = body_end(body, &reading.claims, &problem);
    if (!reading.result) {
        require(problem.status == 400 || problem.status == 413);
        require(problem.where[0] != '\0' && problem.text[0] != '\0');
    }
    body_free(&body);
    return reading;
}

static void require_same_text(const char *one, const char *other)
{
    require((one == NULL) == (other == NULL));
    require(one == NULL || strcmp(one, other) == 0);
}

static void require_same_recipients(const struct submission *first, const struct submission *second)
{
    require(first->recipient_count == second->recipient_count);
    for (size_t i = 0; i < first->recipient_count; i++) {
        require_same_text(first->recipients[i].address, second->recipients[i].address);
        require(first->recipients[i].field == second->recipients[i].field);
        require(first->recipients[i].written_chars == second->recipients[i].written_chars);
    }
}

static void require_same(const struct reading *one, const struct reading *other)
{
    require(one->result == other->result);
    if (!one->result)
        return;
    const struct submission *first = &one->submission, *second = &other->submission;
    require_same_text(first->id, second->id);
    require_same_text(first->from, second->from);
    require_same_text(first->lang, second->lang);
    require_same_text(one->claims.mailbox, other->claims.mailbox);
    require_same_text(one->claims.ip, other->claims.ip);
    require(one->claims.draft == other->claims.draft);
    require_same_recipients(first, second);
}

static void read_twice(const char *type, bool php_names, const uint8_t *bytes, size_t length,
                       size_t piece)
{
    struct reading whole = read_body(type, php_names, bytes, length, length > 0 ? length : 1);
    struct reading parts = read_body(type, php_names, bytes, length, piece);
    require_same(&whole, &parts);
    arena_free(&whole.arena);
    arena_free(&parts.arena);
}

#endif
