/* What is known of sign-ins, as bytes. Moments and counts are varints. */
#include "base/packed.h"
#include "rules/login_inside.h"

enum { FOR_PAIR = 1, FOR_MAILBOX = 2, PROTOCOL_BITS = 8, KEEPS_OUT = 1, BREACHED = 1 << 8 };

/* Of a mailbox with a lock it is one more. */
enum { FORMAT_NO_PROTOCOLS = 1, FORMAT_NO_SINCE = 3, FORMAT_MAILBOX = 5, FORMAT_NETWORK = 1 };

static void put_moment(struct text *out, int64_t ms) { packed_add_number(out, (uint64_t)ms); }

static int64_t get_moment(struct packed_rest *rest) { return (int64_t)packed_number(rest); }

static void put_tries(struct text *out, const struct login_tries *tries)
{
    packed_add_number(out, tries->count);
    for (uint32_t i = 0; i < tries->count; i++) {
        const struct login_try one = login_tries_at(tries, i);
        put_moment(out, one.at_ms);
        packed_add_fixed(out, one.other, 8);
        packed_add_number(out, (uint64_t)one.fingerprint << 2 | (one.for_pair ? FOR_PAIR : 0) |
                                   (one.for_mailbox ? FOR_MAILBOX : 0));
    }
}

static bool may_be_next(const struct login_tries *tries, int64_t at_ms)
{
    return at_ms >= tries->last_ms &&
           (tries->count == 0 || at_ms - login_tries_at(tries, 0).at_ms < LOGIN_WINDOW_MS);
}

static void get_tries(struct packed_rest *rest, size_t max, struct login_tries *tries)
{
    uint64_t count = packed_number(rest);
    if (count > max)
        rest->next = NULL;
    for (uint64_t i = 0; i < count && rest->next != NULL; i++) {
        struct login_try one = {.at_ms = get_moment(rest), .other = packed_fixed(rest, 8)};
        uint64_t what = packed_number(rest);
        one.fingerprint = (uint16_t)(what >> 2);
        one.for_pair = (what & FOR_PAIR) != 0;
        one.for_mailbox = (what & FOR_MAILBOX) != 0;
        if (what >> 2 >= LOGIN_FINGERPRINTS || !may_be_next(tries, one.at_ms))
            rest->next = NULL;
        else
            login_tries_add(tries, &one);
    }
}

static void put_known(struct text *out, const struct login_known_list *list, bool protocols)
{
    packed_add_number(out, list->count);
    for (size_t i = list->count; i-- > 0;) {
        const struct login_known *known = &list->of[i];
        packed_add_fixed(out, known->other, 8);
        put_moment(out, known->last_ms);
        if (protocols)
            packed_add_number(out, (uint64_t)known->protocol << PROTOCOL_BITS | known->protocols);
    }
}

static enum login_protocol get_protocol(struct packed_rest *rest, uint64_t number)
{
    if (number >= LOGIN_PROTOCOL_COUNT)
        rest->next = NULL;
    return number < LOGIN_PROTOCOL_COUNT ? (enum login_protocol)number : LOGIN_PROTOCOL_UNKNOWN;
}

static void get_protocols(struct packed_rest *rest, struct login_known *known)
{
    uint64_t number = packed_number(rest);
    known->protocol = (uint8_t)get_protocol(rest, number >> PROTOCOL_BITS);
    known->protocols = (uint8_t)number;
}

static void get_known(struct packed_rest *rest, size_t max, bool protocols,
                      struct login_known_list *list)
{
    uint64_t count = packed_number(rest);
    if (count > max)
        rest->next = NULL;
    for (uint64_t i = 0; i < count && rest->next != NULL; i++) {
        uint64_t other = packed_fixed(rest, 8);
        struct login_known *known = login_know(list, other, max, get_moment(rest));
        if (protocols)
            get_protocols(rest, known);
    }
}

static void put_block(struct text *out, const struct login_block *block)
{
    packed_add_number(out, block->rule);
    packed_add_fixed(out, block->network, 8);
    put_moment(out, block->from_ms);
    put_moment(out, block->until_ms);
}

static struct login_block get_block(struct packed_rest *rest)
{
    uint64_t rule = packed_number(rest);
    struct login_block block = {.network = packed_fixed(rest, 8)};
    block.from_ms = get_moment(rest);
    block.until_ms = get_moment(rest);
    if (rule >= LOGIN_RULE_COUNT)
        rest->next = NULL;
    block.rule = (enum login_rule)rule;
    return block;
}

static void put_lock(struct text *out, const struct login_lock *lock)
{
    packed_add_number(out, (uint64_t)lock->phase << 1 | (lock->keeps_out ? KEEPS_OUT : 0) |
                               (lock->breached ? BREACHED : 0));
    packed_add_number(out, lock->fingerprint);
    put_moment(out, lock->since_ms);
    put_moment(out, lock->offence_ms);
    put_moment(out, lock->offence_before_ms);
    put_moment(out, lock->refused_ms);
    put_moment(out, lock->other_ms);
    packed_add_fixed(out, lock->other_network, 8);
}

static struct login_lock get_lock(struct packed_rest *rest)
{
    uint64_t what = packed_number(rest), fingerprint = packed_number(rest);
    uint64_t phase = (what & ~(uint64_t)BREACHED) >> 1;
    struct login_lock lock = {.keeps_out = (what & KEEPS_OUT) != 0,
                              .breached = (what & BREACHED) != 0,
                              .fingerprint = (uint16_t)fingerprint};
    if (phase >= LOGIN_LOCK_PHASE_COUNT || fingerprint > UINT16_MAX)
        rest->next = NULL;
    lock.phase = (enum login_lock_phase)phase;
    lock.since_ms = get_moment(rest);
    lock.offence_ms = get_moment(rest);
    lock.offence_before_ms = get_moment(rest);
    lock.refused_ms = get_moment(rest);
    lock.other_ms = get_moment(rest);
    lock.other_network = packed_fixed(rest, 8);
    return lock;
}

/* Most have no lock, and are as short as before there were locks. */
void login_mailbox_add(struct text *out, const struct login_mailbox *mailbox)
{
    bool has_lock = login_lock_ends(&mailbox->lock) != 0;
    text_add_char(out, has_lock ? FORMAT_MAILBOX + 1 : FORMAT_MAILBOX);
    put_moment(out, mailbox->time_ms);
    put_moment(out, mailbox->open_until_ms);
    put_tries(out, &mailbox->tries);
    put_known(out, &mailbox->known, true);
    packed_add_number(out, mailbox->block_count);
    for (size_t i = 0; i < mailbox->block_count; i++)
        put_block(out, &mailbox->blocks[i]);
    packed_add_number(out, mailbox->password_count);
    for (size_t i = 0; i < mailbox->password_count; i++) {
        const struct login_password *password = &mailbox->passwords[i];
        packed_add_number(out, password->fingerprint);
        put_moment(out, password->since_ms);
        put_moment(out, password->right_ms);
        packed_add_number(out, password->tries);
        put_moment(out, password->tried_ms);
        packed_add_fixed(out, password->tried_network, 8);
        packed_add_number(out, password->tried_protocol);
    }
    if (has_lock)
        put_lock(out, &mailbox->lock);
}

static void get_blocks(struct packed_rest *rest, struct login_mailbox *mailbox)
{
    uint64_t count = packed_number(rest);
    if (count > LOGIN_BLOCKS_MAX)
        rest->next = NULL;
    for (uint64_t i = 0; i < count && rest->next != NULL; i++) {
        struct login_block block = get_block(rest);
        login_begin_block(mailbox, block.rule, block.network, block.from_ms);
        mailbox->blocks[i].until_ms = block.until_ms;
    }
}

static void get_passwords(struct packed_rest *rest, uint64_t format, struct login_mailbox *mailbox)
{
    uint64_t count = packed_number(rest);
    if (count > LOGIN_OLD_PASSWORDS)
        rest->next = NULL;
    for (uint64_t i = 0; i < count && rest->next != NULL; i++) {
        struct login_password *password = &mailbox->passwords[mailbox->password_count++];
        uint64_t fingerprint = packed_number(rest);
        password->fingerprint = (uint16_t)fingerprint;
        if (format >= FORMAT_MAILBOX)
            password->since_ms = get_moment(rest);
        password->right_ms = get_moment(rest);
        if (format < FORMAT_MAILBOX)
            password->since_ms = password->right_ms;
        password->tries = (uint32_t)packed_number(rest);
        password->tried_ms = get_moment(rest);
        password->tried_network = packed_fixed(rest, 8);
        if (format >= FORMAT_NO_SINCE)
            password->tried_protocol = (uint8_t)get_protocol(rest, packed_number(rest));
        if (fingerprint >= LOGIN_FINGERPRINTS)
            rest->next = NULL;
    }
}

int login_mailbox_read(const void *bytes, size_t length, struct login_mailbox *mailbox_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    *mailbox_r = (struct login_mailbox){0};
    uint64_t format = packed_fixed(&rest, 1);
    if (format < FORMAT_NO_PROTOCOLS || format > FORMAT_MAILBOX + 1)
        return 0;
    bool protocols = format >= FORMAT_NO_SINCE;
    mailbox_r->time_ms = get_moment(&rest);
    mailbox_r->open_until_ms = get_moment(&rest);
    get_tries(&rest, LOGIN_FINGERPRINTS, &mailbox_r->tries);
    get_known(&rest, LOGIN_KNOWN_NETWORKS_MAX, protocols, &mailbox_r->known);
    get_blocks(&rest, mailbox_r);
    get_passwords(&rest, format, mailbox_r);
    if (format % 2 == 0)
        mailbox_r->lock = get_lock(&rest);
    if (rest.next != rest.end)
        login_mailbox_free(mailbox_r);
    return rest.next == rest.end;
}

void login_network_add(struct text *out, const struct login_network *network)
{
    text_add_char(out, FORMAT_NETWORK);
    put_moment(out, network->time_ms);
    put_block(out, &network->block);
    put_tries(out, &network->tries);
    put_known(out, &network->known, false);
}

int login_network_read(const void *bytes, size_t length, struct login_network *network_r)
{
    struct packed_rest rest = {bytes, (const uint8_t *)bytes + length};
    *network_r = (struct login_network){0};
    if (packed_fixed(&rest, 1) != FORMAT_NETWORK)
        return 0;
    network_r->time_ms = get_moment(&rest);
    network_r->block = get_block(&rest);
    get_tries(&rest, LOGIN_TRIES_MAX, &network_r->tries);
    get_known(&rest, LOGIN_MAILBOXES_MAX, false, &network_r->known);
    if (rest.next != rest.end)
        login_network_free(network_r);
    return rest.next == rest.end;
}
