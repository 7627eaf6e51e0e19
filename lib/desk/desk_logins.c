/* Wrong passwords as staff see them, and the end of the blocks that they brought. */
#include <string.h>

#include "base/json.h"
#include "desk/desk_logins.h"
#include "desk/input.h"
#include "desk/view.h"
#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "rules/login_outage.h"

enum {
    NETWORKS_SHOWN = 50,
    NETWORKS_LOOKED_AT = 8, /* for blocks of their own */
    OWN_NETWORKS_SHOWN = 10,
    END_ATTEMPTS = 20,
    NOTE_MAX_BYTES = 255,
};

/* Of a mailbox, or of a network. */
struct login_subject {
    const char *mailbox; /* NULL: it is a network */
    uint64_t network;
    char network_text[LOGIN_NETWORK_SIZE];
    uint64_t id;
    struct value value, newest, closed;
    struct login_mailbox of_mailbox;
    struct login_network of_network;
};

static void free_subject(struct login_subject *subject)
{
    login_mailbox_free(&subject->of_mailbox);
    login_network_free(&subject->of_network);
}

/* ---- whose ----------------------------------------------------------------------------------- */

/* An address, or the network of IPv6 as it is shown. */
static int set_network(const struct context *context, const char *ip,
                       struct login_subject *subject, struct problem *problem)
{
    const char *key;
    if (!input_ip(context, ip, "ip", &key, problem))
        return 0;
    const char *address = arena_strndup(context->arena, key, strcspn(key, "/"));
    if (login_network_of(address, &subject->network) == 0)
        return problem_set(problem, 400, "ip", "expected an IP address");
    login_network_text(subject->network, subject->network_text);
    return 1;
}

static int read_subject(const struct context *context, const char *mailbox, const char *ip,
                        struct login_subject *subject, struct problem *problem)
{
    *subject = (struct login_subject){0};
    if ((mailbox == NULL) == (ip == NULL))
        return problem_set(problem, 400, "mailbox", "expected one of mailbox and ip");
    if (ip != NULL)
        return set_network(context, ip, subject, problem);
    if (!input_mailbox(context, mailbox, "mailbox", &subject->mailbox, problem))
        return 0;
    return context->desk->key != NULL ||
           problem_set(problem, 409, "", "the key that mailboxes are found by (web.secret_file) "
                                         "cannot be read");
}

static int read_state(const struct context *context, struct login_subject *subject)
{
    struct value values[3];
    enum value_kind kind = subject->mailbox != NULL ? VALUE_LOGINS : VALUE_LOGIN_NETWORK;
    uint64_t id = subject->network;
    free_subject(subject);
    if (subject->mailbox != NULL) {
        freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = context->desk->key};
        id = keyed_hash_login(&keys, subject->mailbox);
    }
    values[0] = login_values_of(context->arena, kind, id);
    values[1] = login_values_newest();
    values[2] = login_values_closed();
    if (store_values_get(context->desk->store, context->arena, values, countof(values),
                         context->now_ms) < 0)
        return -1;
    subject->id = id;
    subject->value = values[0];
    subject->newest = values[1];
    subject->closed = values[2];
    if (subject->mailbox != NULL)
        login_values_mailbox(&values[0], &subject->of_mailbox);
    else
        login_values_network(&values[0], &subject->of_network);
    login_mailbox_forget(&subject->of_mailbox, context->now_ms);
    login_network_forget(&subject->of_network, context->now_ms);
    return 1;
}

/* ---- the view -------------------------------------------------------------------------------- */

static void add_network(struct json_object *view, uint64_t network)
{
    char text[LOGIN_NETWORK_SIZE];
    login_network_text(network, text);
    json_add_string(view, "network", network != 0 ? text : NULL);
}

static void add_block(const struct login_subject *subject, const struct login_block *block,
                      int64_t now_ms, struct json_object *list)
{
    if (now_ms >= block->until_ms)
        return;
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", login_rule_names[block->rule]);
    json_add_string(view, "mailbox", subject->mailbox);
    add_network(view, subject->mailbox != NULL ? block->network : subject->network);
    json_add_moment(view, "since", block->from_ms);
    json_add_moment(view, "until", block->until_ms);
    json_object_array_add(list, view);
}

static void add_blocks(const struct context *context, const struct login_subject *subject,
                       struct json_object *view)
{
    struct json_object *list = json_add_list(view, "blocks");
    for (size_t i = 0; i < subject->of_mailbox.block_count; i++)
        add_block(subject, &subject->of_mailbox.blocks[i], context->now_ms, list);
    if (subject->mailbox == NULL)
        add_block(subject, &subject->of_network.block, context->now_ms, list);
}

void desk_logins_add_blocks(const struct context *context, const char *mailbox,
                            const struct login_mailbox *state, struct json_object *view)
{
    const struct login_subject subject = {.mailbox = mailbox};
    struct json_object *list = json_add_list(view, "blocks");
    for (size_t i = 0; i < state->block_count && settings_enforces_logins(context->settings); i++)
        add_block(&subject, &state->blocks[i], context->now_ms, list);
}

static void add_count(enum login_rule rule, uint32_t limit, bool off, uint32_t count,
                      struct json_object *list)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "rule", login_rule_names[rule]);
    if (off)
        json_add_null(view, "limit");
    else
        json_add_int(view, "limit", limit);
    json_add_int(view, "count", count);
    json_object_array_add(list, view);
}

/* That of a pair stands with its network. */
static void add_counts(const struct context *context, const struct login_subject *subject,
                       struct json_object *view)
{
    const struct login_limits *limits = &context->settings->login_limits;
    struct json_object *list = json_add_list(view, "counts");
    if (subject->mailbox != NULL) {
        enum login_rule rule = LOGIN_WRONG_PER_MAILBOX;
        add_count(rule, (uint32_t)limits->of[rule], limits->of[rule] == LIMIT_OFF,
                  login_mailbox_count(&subject->of_mailbox, rule, 0, context->now_ms), list);
        return;
    }
    for (int i = LOGIN_MAILBOXES_PER_IP; i <= LOGIN_WRONG_PER_IP; i++) {
        enum login_rule rule = (enum login_rule)i;
        add_count(rule,
                  login_network_limit(&subject->of_network, limits, rule, context->now_ms),
                  limits->of[rule] == LIMIT_OFF,
                  login_network_count(&subject->of_network, rule, context->now_ms), list);
    }
}

static bool is_shown(const uint64_t *shown, size_t count, uint64_t network)
{
    for (size_t i = 0; i < count; i++)
        if (shown[i] == network)
            return true;
    return false;
}

/* Where the wrong passwords of the last hour came from, the last first. */
static void add_wrong(const struct context *context, const struct login_mailbox *mailbox,
                      struct json_object *view)
{
    uint64_t shown[NETWORKS_SHOWN];
    size_t count = 0;
    struct json_object *list = json_add_list(view, "wrong");
    for (size_t i = mailbox->tries.count; i-- > 0 && count < NETWORKS_SHOWN;) {
        const struct login_try last = login_tries_at(&mailbox->tries, i);
        uint64_t network = last.other;
        if (is_shown(shown, count, network))
            continue;
        struct json_object *one = json_object_new_object();
        shown[count++] = network;
        add_network(one, network);
        json_add_int(one, "count", login_mailbox_count(mailbox, LOGIN_WRONG_PER_MAILBOX_AND_IP,
                                                       network, context->now_ms));
        json_add_moment(one, "last_at", last.at_ms);
        json_object_array_add(list, one);
    }
}

/* The user of a mailbox, who looks at it. */
struct own_reader {
    uint64_t network; /* where the page is read; 0: not known */
    int64_t now_ms;
    struct arena *arena;
};

static const char *own_network(const struct own_reader *reader, uint64_t network)
{
    char text[LOGIN_NETWORK_SIZE];
    login_network_text(network, text);
    return network != 0 ? view_network(reader->arena, text) : NULL;
}

/* Those of the last wrong passwords that do not know the mailbox, so that their own blocks keep it
 * out. Returns how many. */
static size_t strange_networks(const struct context *context, const struct login_mailbox *mailbox,
                               uint64_t networks_r[NETWORKS_LOOKED_AT])
{
    size_t count = 0;
    for (size_t i = mailbox->tries.count; i-- > 0 && count < NETWORKS_LOOKED_AT;) {
        const struct login_from from = {.network = login_tries_at(&mailbox->tries, i).other};
        if (from.network != 0 && !is_shown(networks_r, count, from.network) &&
            !login_is_known_pair(mailbox, &from, context->now_ms))
            networks_r[count++] = from.network;
    }
    return count;
}

/* "network_blocks" of a mailbox. 1 or -1. */
static int add_network_blocks(const struct context *context, const struct login_subject *subject,
                              struct json_object *view)
{
    uint64_t networks[NETWORKS_LOOKED_AT];
    struct value values[NETWORKS_LOOKED_AT];
    size_t count = strange_networks(context, &subject->of_mailbox, networks);
    struct json_object *list = json_add_list(view, "network_blocks");
    for (size_t i = 0; i < count; i++)
        values[i] = login_values_of(context->arena, VALUE_LOGIN_NETWORK, networks[i]);
    if (count > 0 && store_values_get(context->desk->store, context->arena, values, count,
                                      context->now_ms) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        freed_by(free_subject) struct login_subject network = {.network = networks[i]};
        login_values_network(&values[i], &network.of_network);
        add_block(&network, &network.of_network.block, context->now_ms, list);
    }
    return 1;
}

/* Of programs that still use one; networks as the user may see them, or whole where it is staff,
 * with no `reader`. */
static void add_old_passwords(const struct login_mailbox *mailbox, const struct own_reader *reader,
                              struct json_object *view)
{
    struct json_object *old = json_add_list(view, "old_passwords");
    for (size_t i = 0; i < mailbox->password_count; i++) {
        const struct login_password *password = &mailbox->passwords[i];
        if (password->tries == 0)
            continue;
        struct json_object *one = json_object_new_object();
        if (reader != NULL)
            json_add_string(one, "network", own_network(reader, password->tried_network));
        else
            add_network(one, password->tried_network);
        json_add_string(one, "protocol", login_protocol_names[password->tried_protocol]);
        json_add_int(one, "tries", password->tries);
        json_add_moment(one, "since", password->right_ms);
        json_add_moment(one, "last_at", password->tried_ms);
        json_object_array_add(old, one);
    }
}

/* "password": null, but where the one that was right last is nearly too old, or is. */
static void add_password(const struct context *context, const struct login_mailbox *mailbox,
                         struct json_object *view)
{
    int64_t max_age_ms = context->settings->lock_password_max_age_ms;
    int64_t since_ms = login_password_since(mailbox, login_last_right(mailbox));
    int64_t ends_ms = since_ms + max_age_ms, now_ms = context->now_ms;
    if (max_age_ms == DURATION_OFF || context->settings->guard_mode != MODE_ENFORCE ||
        since_ms == 0 || now_ms < ends_ms - DESK_PASSWORD_WARNED_MS) {
        json_add_null(view, "password");
        return;
    }
    struct json_object *password = json_add_object(view, "password");
    json_add_moment(password, "since", since_ms);
    json_add_int(password, "days", (now_ms - since_ms) / DAY_MS);
    json_add_moment(password, "until", ends_ms);
    json_add_bool(password, "ended", now_ms >= ends_ms);
}

/* Of the last time; and `all`, 1 << enum login_protocol. */
static void add_protocols(const struct login_known *last, unsigned all, struct json_object *view)
{
    json_add_string(view, "protocol", login_protocol_names[last->protocol]);
    struct json_object *list = json_add_list(view, "protocols");
    for (int i = LOGIN_PROTOCOL_UNKNOWN + 1; i < LOGIN_PROTOCOL_COUNT; i++)
        if ((all & 1U << i) != 0)
            json_object_array_add(list, json_object_new_string(login_protocol_names[i]));
}

static void add_known(const struct login_mailbox *mailbox, struct json_object *view)
{
    struct json_object *known = json_add_list(view, "known");
    for (size_t i = 0; i < mailbox->known.count; i++) {
        struct json_object *one = json_object_new_object();
        add_network(one, mailbox->known.of[i].other);
        add_protocols(&mailbox->known.of[i], mailbox->known.of[i].protocols, one);
        json_add_moment(one, "last_at", mailbox->known.of[i].last_ms);
        json_object_array_add(known, one);
    }
    add_old_passwords(mailbox, NULL, view);
}

/* Whether people are kept out; since when sign-ins are seen, and from when on long enough to do so. */
static void add_mode(const struct context *context, const struct value *newest,
                     struct json_object *view)
{
    int64_t since_ms = login_values_since(newest, context->now_ms);
    bool enforces = settings_enforces_logins(context->settings);
    json_add_string(view, "mode", enforces ? "enforce" : "observe");
    json_add_moment(view, "seen_since", since_ms);
    json_add_moment(view, "ready_at", since_ms != 0 ? since_ms + LOGIN_READY_MS : 0);
}

/* 1 or -1. */
static int view_of(const struct context *context, const struct login_subject *subject,
                   struct json_object **view_r)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_moment(view, "now", context->now_ms);
    json_add_string(view, "mailbox", subject->mailbox);
    json_add_string(view, "network", subject->mailbox == NULL ? subject->network_text : NULL);
    add_mode(context, &subject->newest, view);
    add_blocks(context, subject, view);
    add_counts(context, subject, view);
    if (subject->mailbox == NULL) {
        json_add_int(view, "known_mailboxes", (int64_t)subject->of_network.known.count);
        *view_r = take(view);
        return 1;
    }
    if (add_network_blocks(context, subject, view) < 0)
        return -1;
    json_add_moment(view, "open_until", subject->of_mailbox.open_until_ms > context->now_ms
                                            ? subject->of_mailbox.open_until_ms
                                            : 0);
    const struct login_lock *lock = &subject->of_mailbox.lock;
    bool keeps_out = login_lock_holds(lock) && lock->keeps_out &&
                     context->settings->guard_mode != MODE_OBSERVE;
    json_add_moment(view, "locked_since", keeps_out ? lock->since_ms : 0);
    add_wrong(context, &subject->of_mailbox, view);
    add_known(&subject->of_mailbox, view);
    add_password(context, &subject->of_mailbox, view);
    *view_r = take(view);
    return 1;
}

int desk_logins(const struct desk *desk, const char *mailbox, const char *ip, int64_t now_ms,
                struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(free_subject) struct login_subject subject = {0};
    if (!read_subject(&context, mailbox, ip, &subject, problem))
        return 0;
    return read_state(&context, &subject) < 0 ? -1 : view_of(&context, &subject, view_r);
}

/* ---- all of them ----------------------------------------------------------------------------- */

int desk_logins_add_closed(const struct context *context, struct json_object *view)
{
    struct value values[] = {login_values_newest(), login_values_closed()};
    struct login_closed *closed;
    if (store_values_get(context->desk->store, context->arena, values, countof(values),
                         context->now_ms) < 0)
        return -1;
    struct json_object *logins = json_add_object(view, "logins");
    add_mode(context, &values[0], logins);
    size_t count = login_values_closed_read(context->arena, &values[1], context->now_ms, &closed);
    size_t networks = 0;
    for (size_t i = 0; i < count; i++)
        networks += closed[i].is_network;
    json_add_int(logins, "closed_mailboxes", (int64_t)(count - networks));
    json_add_int(logins, "closed_networks", (int64_t)networks);
    struct json_object *list = json_add_list(logins, "networks");
    for (size_t i = count; i-- > 0 && json_object_array_length(list) < NETWORKS_SHOWN;) {
        if (!closed[i].is_network)
            continue;
        struct json_object *one = json_object_new_object();
        add_network(one, closed[i].id);
        json_add_moment(one, "until", closed[i].until_ms);
        json_object_array_add(list, one);
    }
    return 1;
}

int desk_logins_closed(const struct desk *desk, int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *view = json_object_new_object();
    if (desk_logins_add_closed(&context, view) < 0)
        return -1;
    *view_r = json_object_get(json_member(view, "logins"));
    return 1;
}

/* ---- what its user may see ------------------------------------------------------------------- */

/* Of his own networks, as his messages show them, and of the one where he reads; of others only
 * that there are some, because who looks at a status link need not be the user. */

static bool is_own(const struct login_mailbox *mailbox, const struct own_reader *reader,
                   uint64_t network)
{
    const struct login_from from = {.network = network};
    return network != 0 && (network == reader->network ||
                            login_is_known_pair(mailbox, &from, reader->now_ms));
}

static void add_own_blocks(const struct login_mailbox *mailbox, const struct own_reader *reader,
                           struct json_object *view)
{
    int64_t others = 0, others_until_ms = 0;
    struct json_object *list = json_add_list(view, "closed");
    for (size_t i = 0; i < mailbox->block_count; i++) {
        const struct login_block *block = &mailbox->blocks[i];
        bool everywhere = block->rule == LOGIN_WRONG_PER_MAILBOX;
        if (reader->now_ms >= block->until_ms)
            continue;
        if (!everywhere && !is_own(mailbox, reader, block->network)) {
            others++;
            if (block->until_ms > others_until_ms)
                others_until_ms = block->until_ms;
            continue;
        }
        struct json_object *one = json_object_new_object();
        json_add_bool(one, "everywhere", everywhere);
        json_add_string(one, "network", everywhere ? NULL : own_network(reader, block->network));
        json_add_moment(one, "until", block->until_ms);
        json_object_array_add(list, one);
    }
    struct json_object *of_others = others > 0 ? json_object_new_object() : NULL;
    if (others > 0) {
        json_add_int(of_others, "count", others);
        json_add_moment(of_others, "until", others_until_ms);
    }
    json_add(view, "closed_to_others", of_others);
}

/* The block that keeps out whom it does not know; NULL: none holds. */
static struct login_block *block_of_all(const struct login_mailbox *mailbox, int64_t now_ms)
{
    for (size_t i = 0; i < mailbox->block_count; i++)
        if (mailbox->blocks[i].rule == LOGIN_WRONG_PER_MAILBOX &&
            now_ms < mailbox->blocks[i].until_ms)
            return &mailbox->blocks[i];
    return NULL;
}

static bool can_open(const struct login_mailbox *mailbox, const struct own_reader *reader)
{
    const struct login_from from = {.network = reader->network};
    return block_of_all(mailbox, reader->now_ms) != NULL && reader->network != 0 &&
           login_is_known_pair(mailbox, &from, reader->now_ms);
}

static bool is_listed(struct json_object *list, const char *network)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (strcmp(json_string(json_object_array_get_idx(list, i), "network", ""), network) == 0)
            return true;
    return false;
}

/* From all that is one network to its user. */
static unsigned own_protocols(const struct login_mailbox *mailbox, const struct own_reader *reader,
                              const char *network)
{
    unsigned protocols = 0;
    for (size_t i = 0; i < mailbox->known.count; i++) {
        const char *one = own_network(reader, mailbox->known.of[i].other);
        if (one != NULL && strcmp(one, network) == 0)
            protocols |= mailbox->known.of[i].protocols;
    }
    return protocols;
}

static void add_own_known(const struct login_mailbox *mailbox, const struct own_reader *reader,
                          struct json_object *view)
{
    struct json_object *known = json_add_list(view, "known");
    for (size_t i = 0; i < mailbox->known.count; i++) {
        if (json_object_array_length(known) == OWN_NETWORKS_SHOWN)
            break;
        const struct login_known *last = &mailbox->known.of[i];
        const char *network = own_network(reader, last->other);
        if (network == NULL || is_listed(known, network))
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "network", network);
        add_protocols(last, own_protocols(mailbox, reader, network), one);
        json_add_moment(one, "last_at", last->last_ms);
        json_object_array_add(known, one);
    }
    add_old_passwords(mailbox, reader, view);
}

/* His mailbox as he may look at it. 1 or -1. */
static int read_own(const struct context *context, const char *reader_ip,
                    struct login_subject *subject, struct own_reader *reader_r)
{
    const struct settings *settings = context->settings;
    *reader_r = (struct own_reader){.now_ms = context->now_ms, .arena = context->arena};
    if (reader_ip == NULL || login_network_of(reader_ip, &reader_r->network) == 0)
        reader_r->network = 0;
    if (read_state(context, subject) < 0)
        return -1;
    if (!settings_enforces_logins(settings))
        subject->of_mailbox.block_count = 0; /* nobody is kept out */
    return 1;
}

int desk_logins_own(const struct desk *desk, const char *mailbox, const char *reader_ip,
                    int64_t now_ms, struct json_object **view_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(free_subject) struct login_subject subject = {.mailbox = mailbox};
    struct own_reader reader;
    *view_r = NULL;
    if (desk->key == NULL)
        return 1;
    if (read_own(&context, reader_ip, &subject, &reader) < 0)
        return -1;
    struct json_object *view = json_object_new_object();
    add_own_blocks(&subject.of_mailbox, &reader, view);
    json_add_bool(view, "can_open", can_open(&subject.of_mailbox, &reader));
    add_own_known(&subject.of_mailbox, &reader, view);
    add_password(&context, &subject.of_mailbox, view);
    *view_r = view;
    return 1;
}

/* ---- ending blocks --------------------------------------------------------------------------- */

/* All that hold; false: there is none. A mailbox that was closed to everywhere stays open a day. */
static bool end_blocks(struct login_subject *subject, int64_t now_ms)
{
    bool ended = false;
    if (subject->mailbox == NULL)
        return login_unblock_network(&subject->of_network, now_ms) > 0;
    for (size_t i = 0; i < subject->of_mailbox.block_count; i++) {
        const struct login_block *block = &subject->of_mailbox.blocks[i];
        if (now_ms >= block->until_ms)
            continue;
        ended = true;
        if (block->rule == LOGIN_WRONG_PER_MAILBOX)
            login_open(&subject->of_mailbox, now_ms);
        else if (login_unblock_mailbox(&subject->of_mailbox, block->rule, block->network,
                                       now_ms) == 0)
            subject->of_mailbox.blocks[i].until_ms = now_ms; /* by a clock that was ahead */
    }
    return ended;
}

/* `audited` NULL: the audit log has nothing of it. 1; 0 others were faster; -1. */
static int write_state(const struct context *context, const struct login_subject *subject,
                       const struct audited *audited)
{
    struct value_change changes[1 + LOGIN_VALUES_EXTRA + 1];
    const struct login_closed closed = {
        subject->id,
        subject->mailbox != NULL ? login_mailbox_closed(&subject->of_mailbox, context->now_ms)
                                 : login_network_closed(&subject->of_network, context->now_ms),
        subject->mailbox == NULL};
    changes[0] = subject->mailbox != NULL
                     ? login_values_mailbox_change(context->arena, &subject->value,
                                                   &subject->of_mailbox, context->now_ms)
                     : login_values_network_change(context->arena, &subject->value,
                                                   &subject->of_network, context->now_ms);
    login_values_tell(context->arena, &subject->newest, changes, 1, context->now_ms);
    changes[1 + LOGIN_VALUES_EXTRA] = login_values_closed_change(context->arena, &subject->closed,
                                                                 &closed, 1, context->now_ms);
    return store_values_change(context->desk->store,
                               &(struct values_step){.changes = changes,
                                                     .count = countof(changes),
                                                     .audited = audited,
                                                     .audited_count = audited != NULL,
                                                     .now_ms = context->now_ms},
                               NULL);
}

static int write_end(const struct context *context, const struct login_subject *subject,
                     const struct action *action)
{
    const struct audited audited = {
        "logins_end", subject->mailbox != NULL ? subject->mailbox : subject->network_text, "{}",
        action};
    return write_state(context, subject, &audited);
}

int desk_logins_forget(const struct context *context, const char *mailbox, bool preview)
{
    freed_by(free_subject) struct login_subject subject = {.mailbox = mailbox};
    for (int attempt = 0; attempt < END_ATTEMPTS; attempt++) {
        if (read_state(context, &subject) < 0)
            return -1;
        bool learned = login_mailbox_unlearn(&subject.of_mailbox);
        bool nothing = login_mailbox_forget(&subject.of_mailbox, context->now_ms);
        int written = (!learned && !nothing) || preview ? 1 : write_state(context, &subject, NULL);
        if (written < 0)
            return -1;
        if (written > 0)
            return learned || nothing;
    }
    return store_fail(context->desk->store, "passwords are counted at the same moment; try again");
}

static int read_words(const struct context *context, struct json_object *words,
                      struct login_subject *subject, const char **note_r,
                      struct problem *problem)
{
    const char *mailbox = NULL, *ip = NULL;
    *note_r = NULL;
    json_object_object_foreach(words, name, value)
    {
        const char **word_r = strcmp(name, "mailbox") == 0 ? &mailbox
                              : strcmp(name, "ip") == 0    ? &ip
                              : strcmp(name, "note") == 0  ? note_r
                                                           : NULL;
        if (word_r == NULL)
            return problem_set(problem, 400, name, "there is no such member");
        if (!input_word(context, value, name, word_r, problem))
            return 0;
    }
    if (*note_r == NULL || strlen(*note_r) > NOTE_MAX_BYTES)
        return problem_set(problem, 400, "note", "expected 1 to %d bytes: why", NOTE_MAX_BYTES);
    return read_subject(context, mailbox, ip, subject, problem);
}

/* What is there afterwards, with what was ended. 1 or -1. */
static int view_end(const struct context *context, const struct login_subject *subject, bool done,
                    struct json_object *ended, struct json_object **view_r)
{
    if (view_of(context, subject, view_r) < 0)
        return -1;
    json_add_bool(*view_r, "done", done);
    json_add(*view_r, "ended", json_object_get(json_member(ended, "blocks")));
    return 1;
}

int desk_logins_end(const struct desk *desk, const struct person *person,
                    struct json_object *words, bool preview, int64_t now_ms,
                    struct json_object **view_r, struct problem *problem)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(free_subject) struct login_subject subject = {0};
    const char *note;
    if (!read_words(&context, words, &subject, &note, problem))
        return 0;
    if (person->role < ROLE_SUPPORT)
        return problem_set(problem, 403, "", "your role may look, but not act");
    const struct action action = {now_ms, person->name, note};
    for (int attempt = 0; attempt < END_ATTEMPTS; attempt++) {
        if (read_state(&context, &subject) < 0)
            return -1;
        freed_by(json_put) struct json_object *ended = json_object_new_object();
        add_blocks(&context, &subject, ended);
        if (!end_blocks(&subject, now_ms))
            return problem_set(problem, 409, subject.mailbox != NULL ? "mailbox" : "ip",
                               "no block of sign-ins holds");
        int written = preview ? 1 : write_end(&context, &subject, &action);
        if (written > 0)
            return view_end(&context, &subject, !preview, ended, view_r);
        if (written < 0)
            return -1;
    }
    return problem_set(problem, 409, "", "passwords are counted at the same moment; try again");
}

int desk_logins_open(const struct desk *desk, const char *mailbox, const char *reader_ip,
                     int64_t now_ms, struct problem *problem)
{
    const struct action action = {now_ms, "user", "The user opens the mailbox on the status page."};
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(free_subject) struct login_subject subject = {.mailbox = mailbox};
    struct own_reader reader;
    for (int attempt = 0; attempt < END_ATTEMPTS; attempt++) {
        if (desk->key == NULL || read_own(&context, reader_ip, &subject, &reader) < 0)
            return -1;
        if (!can_open(&subject.of_mailbox, &reader))
            return problem_set(problem, 409, "", "nothing is closed that can be opened from here");
        login_open(&subject.of_mailbox, now_ms);
        int written = write_end(&context, &subject, &action);
        if (written != 0)
            return written;
    }
    return problem_set(problem, 409, "", "passwords are counted at the same moment; try again");
}
