#include "desk/named.h"

#include <ctype.h>
#include <string.h>

#include "base/decision.h"
#include "desk/input.h"
#include "guard/token.h"
#include "message/address.h"
#include "settings/settings_table.h"

const char *const named_kinds[NAMED_KIND_COUNT] = {"nothing", "mailbox", "domain",
                                                   "ip",      "network", "decision"};

/* ---- one thing ------------------------------------------------------------------------------- */

static bool read_network(const struct context *context, const char *text, const char **key_r)
{
    char key[NETWORK_SIZE];
    if (settings_network_normalise(text, strlen(text), key) != NULL || strchr(key, '/') == NULL)
        return false;
    *key_r = arena_strdup(context->arena, key);
    return true;
}

/* "203.0.113." and "203.0.113.*": the first numbers of an IPv4 address. */
static bool read_beginning(const struct context *context, const char *text, const char **key_r)
{
    size_t length = strlen(text), dots = 0;
    if (length > 1 && text[length - 1] == '*')
        length--;
    if (length == 0 || text[length - 1] != '.' || strspn(text, "0123456789.") < length)
        return false;
    for (size_t i = 0; i < length; i++)
        dots += text[i] == '.';
    if (dots > 3)
        return false;
    return read_network(context,
                        arena_printf(context->arena, "%.*s%s/%zu", (int)length, text,
                                     &"0.0.0"[2 * (dots - 1)], 8 * dots),
                        key_r);
}

static struct named_thing of_decision(const struct context *context, uint64_t decision)
{
    char *text = arena_alloc(context->arena, DECISION_TEXT_SIZE);
    decision_format(decision, text);
    return (struct named_thing){NAMED_DECISION, text};
}

struct named_thing named_whole(const struct context *context, const char *text)
{
    struct named_thing named = {NAMED_NOTHING, NULL};
    struct problem ignored;
    struct submission submission;
    uint64_t decision;
    submission_init(&submission, context->arena, CHANNEL_WEBMAIL);
    if (text[0] == '@' && input_domain(context, text, "", &named.key, &ignored))
        named.kind = NAMED_DOMAIN;
    else if (strchr(text, '@') != NULL) { /* also as mail programs show it: Alice <alice@x.test> */
        if (submission_set_from(&submission, text, strlen(text), &ignored) &&
            submission.from != NULL)
            named = (struct named_thing){NAMED_MAILBOX, submission.from};
    } else if (input_ip(context, text, "", &named.key, &ignored))
        named.kind = NAMED_IP;
    else if (read_network(context, text, &named.key) || read_beginning(context, text, &named.key))
        named.kind = NAMED_NETWORK;
    else if (decision_parse(text, &decision))
        named = of_decision(context, decision);
    else if (strchr(text, '.') != NULL && strspn(text, "0123456789.") < strlen(text) &&
             input_domain(context, text, "", &named.key, &ignored))
        named.kind = NAMED_DOMAIN;
    return named.kind != NAMED_NOTHING ? named : (struct named_thing){NAMED_NOTHING, NULL};
}

int named_networks(const struct context *context, const char *text, struct text_list *networks_r,
                   struct problem *problem)
{
    *networks_r = (struct text_list){0};
    if (text == NULL || text[0] == '\0')
        return 1;
    const struct named_thing named = named_whole(context, text);
    if (named.kind != NAMED_IP && named.kind != NAMED_NETWORK)
        return problem_set(problem, 400, "network", "expected an IP address or a network, such as "
                           "203.0.113.0/24");
    networks_r->items = arena_alloc(context->arena, sizeof(char *));
    networks_r->items[0] = arena_strdup(context->arena, named.key);
    networks_r->count = 1;
    return 1;
}

/* ---- within a text --------------------------------------------------------------------------- */

/* As we write it, with its hyphens: twelve letters may be a word. */
static bool read_decision(const char *text, uint64_t *decision_r)
{
    return strlen(text) == DECISION_TEXT_SIZE - 1 && text[4] == '-' && text[9] == '-' &&
           decision_parse(text, decision_r);
}

/* The mailbox of a link to a status page: what stands behind "t=". */
static bool read_link(const struct context *context, const char *text, const char **mailbox_r)
{
    struct status_link link;
    if (strncmp(text, "t=", 2) != 0 || context->desk->key == NULL ||
        !token_read(context->desk->key, context->arena, text + 2, context->now_ms, &link))
        return false;
    *mailbox_r = link.mailbox;
    return true;
}

/* A piece without blanks, brackets and commas. Of a link: what stands between its marks. */
static struct named_thing of_piece(const struct context *context, char *piece)
{
    struct named_thing named = {NAMED_NOTHING, NULL};
    struct problem ignored;
    uint64_t decision;
    if (input_ip(context, piece, "", &named.key, &ignored))
        return (struct named_thing){NAMED_IP, named.key};
    char *part, *rest = piece;
    while ((part = strsep(&rest, "/?&:#")) != NULL) {
        if (strchr(part, '@') != NULL && input_mailbox(context, part, "", &named.key, &ignored))
            return (struct named_thing){NAMED_MAILBOX, named.key};
        if (read_link(context, part, &named.key))
            return (struct named_thing){NAMED_MAILBOX, named.key};
        if (read_decision(part, &decision))
            return of_decision(context, decision);
    }
    return named;
}

static bool is_among(const struct named_thing *named, size_t count, const struct named_thing *one)
{
    for (size_t i = 0; i < count; i++)
        if (named[i].kind == one->kind && strcmp(named[i].key, one->key) == 0)
            return true;
    return false;
}

size_t named_within(const struct context *context, const char *text, struct named_thing *named_r,
                    size_t max)
{
    size_t count = 0;
    char *piece, *rest = arena_strdup(context->arena, text);
    while (count < max && (piece = strsep(&rest, " \t\r\n<>()[]{}\"'`,;|")) != NULL) {
        size_t length = strlen(piece);
        while (length > 0 && strchr(".:!?", piece[length - 1]) != NULL)
            piece[--length] = '\0'; /* the end of a sentence */
        struct named_thing one = of_piece(context, piece);
        if (one.kind != NAMED_NOTHING && !is_among(named_r, count, &one))
            named_r[count++] = one;
    }
    return count;
}
