#include "desk/seen.h"

#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "store/records.h"

static int sent(const struct context *context, const char *mailbox)
{
    struct account account;
    if (store_account(context->desk->store, context->arena, mailbox, context->now_ms, &account) < 0)
        return -1;
    return account.history.count > 0 || account.suspensions.count > 0;
}

static int has_decision(const struct context *context, const char *mailbox)
{
    struct record record;
    struct store_page page = {.max = 1};
    return store_decisions(context->desk->store, context->arena, mailbox, UINT64_MAX,
                           context->now_ms, &record, &page) < 0
               ? -1
               : page.count > 0;
}

static int has_action(const struct context *context, const char *mailbox)
{
    struct audit action;
    struct store_page page = {.max = 1};
    return store_audit_newest(context->desk->store, mailbox, INT64_MAX, &action, &page) < 0
               ? -1
               : page.count > 0;
}

static int signed_in(const struct context *context, const char *mailbox)
{
    struct value value;
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
    if (context->desk->key == NULL)
        return 0;
    value = login_values_of(context->arena, VALUE_LOGINS, keyed_hash_login(&keys, mailbox));
    return store_values_get(context->desk->store, context->arena, &value, 1, context->now_ms) < 0
               ? -1
               : value.length > 0;
}

int seen_mailbox(const struct context *context, const char *mailbox)
{
    static int (*const signs[])(const struct context *, const char *) = {sent, has_decision,
                                                                         has_action, signed_in};
    int seen = 0;
    for (size_t i = 0; i < countof(signs) && seen == 0; i++)
        seen = signs[i](context, mailbox);
    return seen;
}
