#include "desk/failing.h"

#include <stdlib.h>
#include <string.h>

#include "desk/view.h"
#include "guard/verdict_text.h"
#include "mail/reply.h"
#include "message/address.h"
#include "rules/failure_outage.h"

enum {
    BLOCKS_SHOWN = 20,      /* of those of 7 days */
    DESTINATIONS_READ = 20, /* to know how many mailboxes use them */
    SENDERS_PUBLIC = 5,     /* a site that so many use is nobody's secret */
};

static const char *const left_out_names[FAILURE_LEFT_OUT_COUNT] = {NULL, "outage", "ours"};
static const char *const end_names[FAILURE_END_COUNT] = {"time", "lifted", "outage"};

/* ---- blocks ------------------------------------------------------------------------------------- */

/* As judging does by the settings of now: of equal domains only the name of the first is asked for. */
static bool is_regarded(const struct context *context, const struct value *value)
{
    const struct failure_settings *settings = &context->settings->failures;
    bool of_mailbox = strchr(value->key, '@') != NULL;
    return settings->percent != LIMIT_OFF &&
           (of_mailbox ? settings->blocks == FAILURE_BLOCKS_MAILBOX
                       : strcmp(settings_sender_domain(context->settings, value->key),
                                value->key) == 0);
}

bool failing_block_of(const struct context *context, const struct value *value,
                      struct failing_block *block_r)
{
    struct failing_block block = {.value = *value};
    if (value->length == 0 || !is_regarded(context, value) ||
        !failure_in_force_read(value->bytes, value->length, &block.in_force) ||
        !failure_in_force_holds(&block.in_force, context->now_ms))
        return false;
    block.subject = strchr(value->key, '@') != NULL
                        ? value->key
                        : arena_printf(context->arena, "@%s", value->key);
    *block_r = block;
    return true;
}

int failing_block_read(const struct context *context, const char *mailbox, const char *domain,
                       struct failing_block *block_r)
{
    const char *sender = settings_sender_domain(context->settings, domain);
    struct value values[] = {{.kind = VALUE_BLOCK, .key = sender},
                             {.kind = VALUE_BLOCK, .key = mailbox}};
    struct failing_block block, latest = {0};
    if (store_values_get(context->desk->store, context->arena, values, mailbox[0] != '\0' ? 2 : 1,
                         context->now_ms) < 0)
        return -1;
    for (size_t i = 0; i < countof(values); i++)
        if (failing_block_of(context, &values[i], &block) &&
            block.in_force.until_ms > latest.in_force.until_ms)
            latest = block;
    *block_r = latest;
    return 1;
}

struct failing_block failing_block_met(const struct context *context, const char *mailbox,
                                       const struct failure_in_force *in_force)
{
    const char *sender = settings_sender_domain(context->settings, address_domain(mailbox));
    return (struct failing_block){
        .subject = in_force->until_ms == 0  ? NULL
                   : in_force->of_mailbox ? mailbox
                                          : arena_printf(context->arena, "@%s", sender),
        .in_force = *in_force};
}

struct json_object *failing_block_view(const struct failing_block *block)
{
    const struct failure_in_force *in_force = &block->in_force;
    if (block->subject == NULL)
        return NULL;
    struct json_object *view = json_object_new_object();
    json_add_string(view, "subject", block->subject);
    json_add_moment(view, "since", in_force->from_ms);
    json_add_moment(view, "until", in_force->until_ms);
    json_add_int(view, "bad", in_force->bad);
    json_add_int(view, "all", in_force->all);
    json_add_int(view, "messages", in_force->messages);
    json_add_string(view, "hint", failure_in_force_hints[in_force->hint]);
    return view;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* One of all that the store has, if a mailbox of the domain is blocked. */
static void add_of_mailbox(const struct context *context, const struct value *value, void *pointer)
{
    struct failing *failing = pointer;
    struct failing_block block;
    const char *at = strchr(value->key, '@');
    if (at == NULL || !failing_block_of(context, value, &block) ||
        strcmp(settings_sender_domain(context->settings, strrchr(at, '@') + 1),
               failing->domain) != 0)
        return;
    failing->blocks = xrealloc(failing->blocks,
                               (failing->block_count + 1) * sizeof *failing->blocks);
    block.subject = arena_strdup(context->arena, value->key);
    block.value.key = block.subject;
    failing->blocks[failing->block_count++] = block;
}

/* The domain's own, and those of its mailboxes, whether the window knows of them or not. 1 or -1. */
static int read_blocks(const struct context *context, struct failing *failing)
{
    struct value value = {.kind = VALUE_BLOCK, .key = failing->domain};
    if (store_values_get(context->desk->store, context->arena, &value, 1, context->now_ms) < 0)
        return -1;
    failing->blocks = xcalloc(1, sizeof *failing->blocks);
    failing->block_count = failing_block_of(context, &value, &failing->blocks[0]);
    return context->settings->failures.blocks == FAILURE_BLOCKS_MAILBOX
               ? failing_each_value(context, VALUE_BLOCK, add_of_mailbox, failing)
               : 1;
}

int failing_read(const struct context *context, const char *domain, struct failing *failing_r)
{
    *failing_r = (struct failing){.domain = settings_sender_domain(context->settings, domain)};
    int found = store_value(context->desk->store, context->arena, VALUE_FAILURES,
                            failing_r->domain, context->now_ms, &failing_r->value);
    if (found < 0)
        return -1;
    if (found == 0)
        failing_r->value = (struct value){0};
    else if (failure_window_read(failing_r->value.bytes, failing_r->value.length,
                                 &failing_r->window)) /* what begins in this instant is there */
        failure_window_pass(&failing_r->window, &context->settings->failures,
                            context->now_ms + 1);
    return read_blocks(context, failing_r);
}

void failing_end(struct failing *failing)
{
    failure_window_free(&failing->window);
    free(take(failing->blocks));
}

/* ---- numbers ------------------------------------------------------------------------------------ */

/* The record of a block; NULL: it is not kept. */
static const struct failure_block *record_of(const struct failure_window *window,
                                             const struct failing_block *block)
{
    for (size_t i = 0; i < window->block_count && block != NULL; i++)
        if (window->blocks[i].id == block->in_force.block)
            return &window->blocks[i];
    return NULL;
}

/* What made that block, or (NULL) what the window holds. To be freed. */
static struct failure_numbers numbers_of(const struct failure_window *window,
                                         const struct failing_block *block)
{
    struct failure_numbers numbers = {0};
    const struct failure_block *record = record_of(window, block);
    if (block == NULL || record != NULL)
        numbers = failure_window_numbers(window, record);
    if (block != NULL) { /* a refusal tells the same */
        numbers.bad = block->in_force.bad;
        numbers.all = block->in_force.all;
        numbers.messages = block->in_force.messages;
    }
    return numbers;
}

static void add_numbers(struct json_object *view, const struct failure_numbers *numbers)
{
    json_add_int(view, "bad", numbers->bad);
    json_add_int(view, "all", numbers->all);
    json_add_int(view, "messages", numbers->messages);
    struct json_object *classes = json_add_object(view, "by_class");
    for (size_t i = 0; i < REPLY_CLASS_COUNT; i++)
        if (numbers->by_class[i] > 0)
            json_add_int(classes, reply_class_names[i], numbers->by_class[i]);
}

static void add_left_out(struct json_object *list, enum failure_left_out why,
                         const char *destination, uint64_t count)
{
    struct json_object *one = json_object_new_object();
    json_add_string(one, "reason", left_out_names[why]);
    json_add_string(one, "destination",
                    destination != NULL && destination[0] != '\0' ? destination : NULL);
    json_add_int(one, "count", (int64_t)count);
    json_object_array_add(list, one);
}

/* ---- for staff ---------------------------------------------------------------------------------- */

static void add_by_mailbox(struct json_object *view, const struct failure_numbers *numbers)
{
    struct json_object *list = json_add_list(view, "by_mailbox");
    for (size_t i = 0; i < numbers->mailbox_count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "mailbox", numbers->by_mailbox[i].name);
        json_add_int(one, "bad", numbers->by_mailbox[i].count);
        json_object_array_add(list, one);
    }
}

static void add_settings(const struct context *context, struct json_object *view)
{
    const struct failure_settings *settings = &context->settings->failures;
    json_add_int(view, "window_s", settings->window_ms / SECOND_MS);
    if (settings->percent == LIMIT_OFF)
        json_add_null(view, "percent");
    else
        json_add_int(view, "percent", settings->percent);
    json_add_int(view, "at_least", settings->at_least);
    json_add_int(view, "min_messages", settings->min_messages);
    json_add_bool(view, "enforced", context->settings->guard_mode != MODE_OBSERVE);
}

/* Those of 7 days, the newest first. */
static void add_history(const struct context *context, const struct failure_window *window,
                        struct json_object *view)
{
    struct json_object *list = json_add_list(view, "blocks");
    size_t stop = window->block_count > BLOCKS_SHOWN ? window->block_count - BLOCKS_SHOWN : 0;
    for (size_t i = window->block_count; i > stop; i--) {
        const struct failure_block *block = &window->blocks[i - 1];
        struct json_object *one = json_object_new_object();
        json_add_moment(one, "since", block->from_ms);
        json_add_moment(one, "until", block->until_ms);
        json_add_string(one, "ended",
                        block->until_ms > context->now_ms ? NULL : end_names[block->ended]);
        json_add_string(one, "mailbox", failure_names_at(&window->names, block->mailbox));
        json_add_string(one, "culprit", failure_names_at(&window->names, block->culprit));
        json_add_bool(one, "suspends", block->suspends);
        json_object_array_add(list, one);
    }
}

static const struct failing_block *domain_block(const struct failing *failing)
{
    return failing->block_count > 0 && failing->blocks[0].subject[0] == '@' ? &failing->blocks[0]
                                                                           : NULL;
}

struct json_object *failing_view(const struct context *context, const struct failing *failing)
{
    const struct failing_block *block = domain_block(failing);
    struct json_object *view = json_object_new_object();
    struct failure_numbers numbers = numbers_of(&failing->window, block);
    int64_t breaks_ms = failure_window_breaks_at(&failing->window, &context->settings->failures);
    json_add_string(view, "sender_domain", failing->domain);
    add_settings(context, view);
    add_numbers(view, &numbers);
    add_by_mailbox(view, &numbers);
    struct json_object *left_out = json_add_list(view, "left_out");
    for (size_t i = 0; i < numbers.left_out_count; i++)
        add_left_out(left_out, numbers.left_out[i].why, numbers.left_out[i].name,
                     numbers.left_out[i].count);
    json_add_int(view, "missed", failing->window.missed);
    json_add_moment(view, "blocked_until", block != NULL ? block->in_force.until_ms : 0);
    json_add(view, "block", block != NULL ? failing_block_view(block) : NULL);
    json_add_moment(view, "breaks_at", breaks_ms == FAILURE_NEVER ? 0 : breaks_ms);
    struct json_object *mailboxes = json_add_list(view, "mailbox_blocks");
    for (size_t i = block != NULL ? 1 : 0; i < failing->block_count; i++)
        json_object_array_add(mailboxes, failing_block_view(&failing->blocks[i]));
    add_history(context, &failing->window, view);
    failure_window_numbers_free(&numbers);
    return view;
}

/* ---- for a user --------------------------------------------------------------------------------- */

/* The sites of what is left out as our own trouble: others may be seen by who sends there. An outage
 * was seen by several. 1 or -1. */
static int read_public(const struct context *context, const struct failure_numbers *numbers,
                       bool *is_public)
{
    struct failure_outage *site = arena_alloc(context->arena, sizeof *site);
    size_t read = 0;
    for (size_t i = 0; i < numbers->left_out_count; i++) {
        struct value value;
        int found = 0;
        is_public[i] = numbers->left_out[i].why == FAILURE_OUTAGE;
        if (!is_public[i] && numbers->left_out[i].name[0] != '\0' && read++ < DESTINATIONS_READ)
            found = store_value(context->desk->store, context->arena, VALUE_OUTAGE,
                                numbers->left_out[i].name, context->now_ms, &value);
        if (found < 0)
            return -1;
        if (found > 0 && failure_outage_read(value.bytes, value.length, site))
            is_public[i] =
                failure_outage_numbers(site, context->now_ms).senders >= SENDERS_PUBLIC;
        failure_outage_free(site);
    }
    return 1;
}

static int add_own_left_out(const struct context *context, const struct failure_numbers *numbers,
                            struct json_object *view)
{
    struct json_object *list = json_add_list(view, "left_out");
    bool *is_public = arena_alloc(context->arena, (numbers->left_out_count + 1) * sizeof(bool));
    uint64_t others[FAILURE_LEFT_OUT_COUNT] = {0};
    if (read_public(context, numbers, is_public) < 0)
        return -1;
    for (size_t i = 0; i < numbers->left_out_count; i++)
        if (is_public[i])
            add_left_out(list, numbers->left_out[i].why, numbers->left_out[i].name,
                         numbers->left_out[i].count);
        else
            others[numbers->left_out[i].why] += numbers->left_out[i].count;
    for (int why = 0; why < FAILURE_LEFT_OUT_COUNT; why++)
        if (others[why] > 0)
            add_left_out(list, (enum failure_left_out)why, NULL, others[why]);
    return 1;
}

/* How much of what failed is his, and how much is of others. */
static void add_shares(struct json_object *view, const struct failure_numbers *numbers,
                       const char *mailbox)
{
    uint32_t yours = 0;
    for (size_t i = 0; i < numbers->mailbox_count; i++)
        if (strcmp(numbers->by_mailbox[i].name, mailbox) == 0)
            yours = numbers->by_mailbox[i].count;
    json_add_int(view, "yours", yours);
    json_add_int(view, "others", numbers->bad > yours ? numbers->bad - yours : 0);
}

int failing_own_view(const struct context *context, const char *mailbox,
                     const struct failing_block *block, struct json_object **view_r)
{
    freed_by(failing_end) struct failing failing = {0};
    freed_by(json_put) struct json_object *view = failing_block_view(block);
    *view_r = NULL;
    if (view == NULL)
        return 1;
    if (failing_read(context, address_domain(mailbox), &failing) < 0)
        return -1;
    struct failure_numbers numbers = numbers_of(&failing.window, block);
    json_add_string(view, "of", block->subject[0] == '@' ? "domain" : "mailbox");
    json_add_string(view, "domain", failing.domain);
    json_add_string(view, "sentence",
                    verdict_block_sentence(context->arena, snapshot_catalogue(context->snapshot),
                                           failing.domain));
    json_add_int(view, "window_s", context->settings->failures.window_ms / SECOND_MS);
    add_numbers(view, &numbers);
    add_shares(view, &numbers, mailbox);
    int added = add_own_left_out(context, &numbers, view);
    json_add_int(view, "missed", failing.window.missed);
    failure_window_numbers_free(&numbers);
    if (added < 0)
        return -1;
    *view_r = take(view);
    return 1;
}
