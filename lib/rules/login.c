#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/packed.h"
#include "rules/login_inside.h"
#include "rules/rule.h"

const char *const login_rule_names[LOGIN_RULE_COUNT] = {
    [LOGIN_WRONG_PER_MAILBOX_AND_IP] = "wrong_passwords_per_mailbox_and_ip",
    [LOGIN_MAILBOXES_PER_IP] = "mailboxes_per_ip",
    [LOGIN_WRONG_PER_IP] = "wrong_passwords_per_ip",
    [LOGIN_WRONG_PER_MAILBOX] = "wrong_passwords_per_mailbox"};

/* ---- networks ------------------------------------------------------------------------------ */

enum { V4_BYTES = 4, V6_BYTES = 16, V6_NETWORK_BYTES = 8 };

/* An IPv4 address is below 2^32: no /64 of IPv6 that is in use begins with 32 zero bits. */
int login_network_of(const char *ip, uint64_t *network_r)
{
    uint8_t address[V6_BYTES];
    const uint8_t *next = address;
    if (inet_pton(AF_INET, ip, address) == 1) {
        *network_r = packed_get(&next, V4_BYTES);
        return 1;
    }
    if (inet_pton(AF_INET6, ip, address) != 1)
        return 0;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(address, mapped, sizeof mapped) == 0) {
        next = address + sizeof mapped;
        *network_r = packed_get(&next, V4_BYTES);
        return 1;
    }
    *network_r = packed_get(&next, V6_NETWORK_BYTES);
    return 1;
}

void login_network_text(uint64_t network, char text_r[LOGIN_NETWORK_SIZE])
{
    uint8_t address[V6_BYTES] = {0};
    if (network <= UINT32_MAX) {
        packed_put(address, network, V4_BYTES);
        inet_ntop(AF_INET, address, text_r, LOGIN_NETWORK_SIZE);
        return;
    }
    packed_put(address, network, V6_NETWORK_BYTES);
    inet_ntop(AF_INET6, address, text_r, LOGIN_NETWORK_SIZE - sizeof "/64");
    strcat(text_r, "/64");
}

/* ---- lists --------------------------------------------------------------------------------- */

void login_mailbox_free(struct login_mailbox *mailbox)
{
    login_tries_empty(&mailbox->tries);
    free(mailbox->known.of);
    free(mailbox->blocks);
    *mailbox = (struct login_mailbox){0};
}

void login_network_free(struct login_network *network)
{
    login_tries_empty(&network->tries);
    free(network->known.of);
    *network = (struct login_network){0};
}

/* How many of the first have left the window. */
static uint32_t count_over(const struct login_tries *tries, int64_t at_ms)
{
    uint32_t over = 0;
    while (over < tries->count && at_ms - login_tries_at(tries, over).at_ms >= LOGIN_WINDOW_MS)
        over++;
    return over;
}

static void forget_tries(struct login_tries *tries, int64_t at_ms)
{
    login_tries_drop_first(tries, count_over(tries, at_ms));
}

struct login_known *login_know(struct login_known_list *list, uint64_t other, size_t max,
                               int64_t at_ms)
{
    struct login_known known = {.other = other};
    size_t place = 0;
    while (place < list->count && list->of[place].other != other)
        place++;
    if (place == list->count && list->count < max) {
        if (list->count == list->room) {
            list->room = list->room == 0 ? 4 : 2 * list->room;
            list->of = xrealloc(list->of, list->room * sizeof *list->of);
        }
        list->count++;
    } else if (place == list->count) {
        place--;
    } else {
        known = list->of[place];
    }
    memmove(list->of + 1, list->of, place * sizeof *list->of);
    known.last_ms = at_ms;
    list->of[0] = known;
    return list->of;
}

static bool is_known_at(const struct login_known *known, int64_t at_ms)
{
    return at_ms - known->last_ms < LOGIN_KNOWN_MS;
}

static bool knows(const struct login_known_list *list, uint64_t other, int64_t at_ms)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->of[i].other == other)
            return is_known_at(&list->of[i], at_ms);
    return false;
}

static size_t known_count(const struct login_known_list *list, int64_t at_ms)
{
    size_t count = 0;
    while (count < list->count && is_known_at(&list->of[count], at_ms))
        count++;
    return count;
}

bool login_is_known_pair(const struct login_mailbox *mailbox, const struct login_from *from,
                         int64_t at_ms)
{
    return !from->webmail_host && knows(&mailbox->known, from->network, at_ms);
}

/* ---- blocks -------------------------------------------------------------------------------- */

static bool holds(const struct login_block *block, int64_t at_ms)
{
    return at_ms >= block->from_ms && at_ms < block->until_ms;
}

static const struct login_block *later(const struct login_block *one,
                                       const struct login_block *other)
{
    return one == NULL || other->until_ms > one->until_ms ? other : one;
}

/* Of a network, a mailbox everywhere, a mailbox from a network: whether it keeps this one out. */
static bool keeps_out(const struct login_block *block, const struct login_from *from,
                      bool known_pair, int64_t at_ms)
{
    if (!holds(block, at_ms))
        return false;
    return block->rule == LOGIN_WRONG_PER_MAILBOX_AND_IP ? block->network == from->network
                                                         : !known_pair;
}

const struct login_block *login_blocked(const struct login_mailbox *mailbox,
                                        const struct login_network *network,
                                        const struct login_from *from, int64_t at_ms)
{
    bool known_pair = login_is_known_pair(mailbox, from, at_ms);
    const struct login_block *found = NULL;
    for (size_t i = 0; i < mailbox->block_count; i++)
        if (keeps_out(&mailbox->blocks[i], from, known_pair, at_ms))
            found = later(found, &mailbox->blocks[i]);
    if (!from->webmail_host && keeps_out(&network->block, from, known_pair, at_ms))
        found = later(found, &network->block);
    return found;
}

int64_t login_mailbox_closed(const struct login_mailbox *mailbox, int64_t at_ms)
{
    const struct login_block *last = NULL;
    for (size_t i = 0; i < mailbox->block_count; i++)
        last = later(last, &mailbox->blocks[i]);
    return last != NULL && at_ms < last->until_ms ? last->until_ms : 0;
}

int64_t login_network_closed(const struct login_network *network, int64_t at_ms)
{
    return at_ms < network->block.until_ms ? network->block.until_ms : 0;
}

static size_t first_to_end(const struct login_mailbox *mailbox)
{
    size_t place = 0;
    for (size_t i = 1; i < mailbox->block_count; i++)
        if (mailbox->blocks[i].until_ms < mailbox->blocks[place].until_ms)
            place = i;
    return place;
}

void login_begin_block(struct login_mailbox *mailbox, enum login_rule rule, uint64_t network,
                       int64_t at_ms)
{
    size_t place = mailbox->block_count;
    if (place == LOGIN_BLOCKS_MAX)
        place = first_to_end(mailbox);
    else
        mailbox->block_count++;
    if (mailbox->block_count > mailbox->block_room) {
        mailbox->block_room = 2 * mailbox->block_count;
        mailbox->blocks =
            xrealloc(mailbox->blocks, mailbox->block_room * sizeof *mailbox->blocks);
    }
    mailbox->blocks[place] = (struct login_block){rule, network, at_ms, at_ms + LOGIN_BLOCK_MS};
}

static struct login_block *block_of(struct login_mailbox *mailbox, enum login_rule rule,
                                    uint64_t network, int64_t at_ms)
{
    for (size_t i = 0; i < mailbox->block_count; i++) {
        struct login_block *block = &mailbox->blocks[i];
        if (block->rule == rule && block->network == network && holds(block, at_ms))
            return block;
    }
    return NULL;
}

static void forget_blocks(struct login_mailbox *mailbox, int64_t at_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < mailbox->block_count; i++)
        if (at_ms < mailbox->blocks[i].until_ms)
            mailbox->blocks[kept++] = mailbox->blocks[i];
    mailbox->block_count = kept;
}

/* ---- counts -------------------------------------------------------------------------------- */

uint32_t login_mailbox_count(const struct login_mailbox *mailbox, enum login_rule rule,
                             uint64_t from_network, int64_t at_ms)
{
    uint32_t count = 0;
    for (uint32_t i = count_over(&mailbox->tries, at_ms); i < mailbox->tries.count; i++) {
        const struct login_try one = login_tries_at(&mailbox->tries, i);
        count += rule == LOGIN_WRONG_PER_MAILBOX ? one.for_mailbox
                                                 : one.for_pair && one.other == from_network;
    }
    return count;
}

static int compare_mailboxes(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;
    return left < right ? -1 : left > right;
}

static uint32_t different_mailboxes(const struct login_tries *tries, uint32_t first)
{
    uint64_t mailboxes[LOGIN_TRIES_MAX];
    uint32_t different = 0, count = tries->count - first;
    for (uint32_t i = 0; i < count; i++)
        mailboxes[i] = login_tries_at(tries, first + i).other;
    qsort(mailboxes, count, sizeof mailboxes[0], compare_mailboxes);
    for (uint32_t i = 0; i < count; i++)
        different += i == 0 || mailboxes[i] != mailboxes[i - 1];
    return different;
}

uint32_t login_network_count(const struct login_network *network, enum login_rule rule,
                             int64_t at_ms)
{
    uint32_t first = count_over(&network->tries, at_ms);
    return rule == LOGIN_WRONG_PER_IP ? network->tries.count - first
                                      : different_mailboxes(&network->tries, first);
}

uint32_t login_network_limit(const struct login_network *network,
                             const struct login_limits *limits, enum login_rule rule,
                             int64_t at_ms)
{
    uint32_t limit = (uint32_t)limits->of[rule];
    uint32_t tenth = (uint32_t)(known_count(&network->known, at_ms) / 10);
    return rule == LOGIN_MAILBOXES_PER_IP && tenth > limit ? tenth : limit;
}

/* ---- time ---------------------------------------------------------------------------------- */

/* What was stamped by a clock that was far ahead is not waited for: that begins anew. Known pairs
 * and passwords stay. */
static void pass_mailbox(struct login_mailbox *mailbox, int64_t at_ms)
{
    if (mailbox->time_ms - at_ms > LOGIN_WINDOW_MS) {
        login_tries_empty(&mailbox->tries);
        mailbox->block_count = 0;
        mailbox->open_until_ms = mailbox->time_ms = 0;
    }
}

static void pass_network(struct login_network *network, int64_t at_ms)
{
    if (network->time_ms - at_ms > LOGIN_WINDOW_MS) {
        login_tries_empty(&network->tries);
        network->block = (struct login_block){0};
        network->time_ms = 0;
    }
}

/* The moment that the try has for both. */
static int64_t pass(struct login_mailbox *mailbox, struct login_network *network, int64_t at_ms)
{
    pass_mailbox(mailbox, at_ms);
    pass_network(network, at_ms);
    if (at_ms < mailbox->time_ms)
        at_ms = mailbox->time_ms;
    if (at_ms < network->time_ms)
        at_ms = network->time_ms;
    mailbox->time_ms = network->time_ms = at_ms;
    login_mailbox_forget(mailbox, at_ms);
    login_network_forget(network, at_ms);
    return at_ms;
}

static void forget_known(struct login_known_list *list, int64_t at_ms)
{
    list->count = known_count(list, at_ms);
}

bool login_mailbox_forget(struct login_mailbox *mailbox, int64_t at_ms)
{
    forget_tries(&mailbox->tries, at_ms);
    forget_blocks(mailbox, at_ms);
    forget_known(&mailbox->known, at_ms);
    while (mailbox->password_count > 0 &&
           at_ms - mailbox->passwords[mailbox->password_count - 1].right_ms >= LOGIN_OLD_MS)
        mailbox->password_count--;
    return mailbox->tries.count == 0 && mailbox->block_count == 0 && mailbox->known.count == 0 &&
           mailbox->password_count == 0 && mailbox->open_until_ms <= at_ms &&
           login_lock_ends(&mailbox->lock) <= at_ms;
}

bool login_mailbox_unlearn(struct login_mailbox *mailbox)
{
    bool keeps = mailbox->lock.phase != LOGIN_LOCK_NONE;
    bool learned = mailbox->known.count > 0 || (!keeps && mailbox->password_count > 0);
    mailbox->known.count = 0;
    mailbox->password_count = keeps ? mailbox->password_count : 0;
    return learned;
}

bool login_network_forget(struct login_network *network, int64_t at_ms)
{
    forget_tries(&network->tries, at_ms);
    forget_known(&network->known, at_ms);
    return network->tries.count == 0 && network->known.count == 0 &&
           network->block.until_ms <= at_ms;
}

static int64_t later_moment(int64_t one, int64_t other) { return one > other ? one : other; }

static int64_t lists_end(const struct login_tries *tries, const struct login_known_list *known)
{
    int64_t ends_ms = 0;
    if (tries->count > 0)
        ends_ms = login_tries_at(tries, tries->count - 1).at_ms + LOGIN_WINDOW_MS;
    return known->count > 0 ? later_moment(ends_ms, known->of[0].last_ms + LOGIN_KNOWN_MS)
                            : ends_ms;
}

int64_t login_mailbox_ends(const struct login_mailbox *mailbox)
{
    int64_t ends_ms = later_moment(lists_end(&mailbox->tries, &mailbox->known),
                                   mailbox->open_until_ms);
    ends_ms = later_moment(ends_ms, login_lock_ends(&mailbox->lock));
    for (size_t i = 0; i < mailbox->block_count; i++)
        ends_ms = later_moment(ends_ms, mailbox->blocks[i].until_ms);
    return mailbox->password_count > 0
               ? later_moment(ends_ms, mailbox->passwords[0].right_ms + LOGIN_OLD_MS)
               : ends_ms;
}

int64_t login_network_ends(const struct login_network *network)
{
    return later_moment(lists_end(&network->tries, &network->known), network->block.until_ms);
}

/* ---- tries --------------------------------------------------------------------------------- */

static bool take_old_password(struct login_mailbox *mailbox, uint16_t fingerprint,
                              const struct login_from *from, int64_t at_ms)
{
    for (size_t i = 0; i < mailbox->password_count; i++) {
        struct login_password *password = &mailbox->passwords[i];
        if (password->fingerprint != fingerprint)
            continue;
        password->tries += password->tries < UINT32_MAX;
        password->tried_ms = at_ms;
        password->tried_network = from->network;
        password->tried_protocol = (uint8_t)from->protocol;
        return true;
    }
    return false;
}

static bool is_counted(const struct login_mailbox *mailbox, uint16_t fingerprint)
{
    for (uint32_t i = 0; i < mailbox->tries.count; i++)
        if (login_tries_at(&mailbox->tries, i).fingerprint == fingerprint)
            return true;
    return false;
}

static bool reaches(uint32_t count, int32_t limit)
{
    return limit != LIMIT_OFF && count >= (uint32_t)limit;
}

static void count_for_mailbox(struct login_mailbox *mailbox, const struct login_limits *limits,
                              const struct login_try *one, int64_t at_ms, unsigned *begun)
{
    enum login_rule rule = LOGIN_WRONG_PER_MAILBOX_AND_IP;
    login_tries_add(&mailbox->tries, one);
    if (one->for_pair &&
        reaches(login_mailbox_count(mailbox, rule, one->other, at_ms), limits->of[rule])) {
        login_begin_block(mailbox, rule, one->other, at_ms);
        *begun |= 1U << rule;
    }
    rule = LOGIN_WRONG_PER_MAILBOX;
    if (one->for_mailbox && at_ms >= mailbox->open_until_ms &&
        reaches(login_mailbox_count(mailbox, rule, 0, at_ms), limits->of[rule])) {
        login_begin_block(mailbox, rule, 0, at_ms);
        *begun |= 1U << rule;
    }
}

static void count_for_network(struct login_network *network, const struct login_limits *limits,
                              const struct login_try *one, int64_t at_ms, unsigned *begun)
{
    if (network->tries.count == LOGIN_TRIES_MAX)
        login_tries_drop_first(&network->tries, 1);
    login_tries_add(&network->tries, one);
    for (int rule = LOGIN_MAILBOXES_PER_IP; rule <= LOGIN_WRONG_PER_IP; rule++) {
        uint32_t limit = login_network_limit(network, limits, (enum login_rule)rule, at_ms);
        if (limits->of[rule] == LIMIT_OFF ||
            login_network_count(network, (enum login_rule)rule, at_ms) < limit)
            continue;
        network->block =
            (struct login_block){(enum login_rule)rule, 0, at_ms, at_ms + LOGIN_BLOCK_MS};
        *begun |= 1U << rule;
        return;
    }
}

enum login_taken login_take_wrong(struct login_mailbox *mailbox, struct login_network *network,
                                  const struct login_limits *limits, const struct login_from *from,
                                  uint16_t fingerprint, enum login_rests rests, int64_t at_ms,
                                  unsigned *begun_r)
{
    *begun_r = 0;
    at_ms = pass(mailbox, network, at_ms);
    if (login_blocked(mailbox, network, from, at_ms) != NULL)
        return LOGIN_KEPT_OUT;
    login_lock_take(&mailbox->lock, fingerprint, false, from->network, at_ms);
    if (take_old_password(mailbox, fingerprint, from, at_ms))
        return LOGIN_OLD_PASSWORD;
    if (rests == LOGIN_RESTS)
        return LOGIN_RESTED;
    if (is_counted(mailbox, fingerprint))
        return LOGIN_REPEATED;
    bool known_pair = login_is_known_pair(mailbox, from, at_ms);
    bool is_unsure = known_pair && mailbox->password_count == 0;
    bool for_network = rests == LOGIN_RESTS_NOT && !from->webmail_host && !is_unsure &&
                       !holds(&network->block, at_ms);
    bool mailbox_is_blocked = block_of(mailbox, LOGIN_WRONG_PER_MAILBOX, 0, at_ms) != NULL;
    const struct login_try one = {.at_ms = at_ms, .other = from->network,
                                  .fingerprint = fingerprint, .for_pair = !from->webmail_host,
                                  .for_mailbox = !mailbox_is_blocked};
    count_for_mailbox(mailbox, limits, &one, at_ms, begun_r);
    if (for_network)
        count_for_network(network, limits,
                          &(struct login_try){.at_ms = at_ms, .other = from->mailbox,
                                              .fingerprint = fingerprint},
                          at_ms, begun_r);
    return LOGIN_COUNTED;
}

/* password_count: it is not kept. */
static size_t place_of(const struct login_mailbox *mailbox, uint16_t fingerprint)
{
    size_t place = 0;
    while (place < mailbox->password_count && mailbox->passwords[place].fingerprint != fingerprint)
        place++;
    return place;
}

int64_t login_password_since(const struct login_mailbox *mailbox, uint16_t fingerprint)
{
    size_t place = place_of(mailbox, fingerprint);
    return place < mailbox->password_count ? mailbox->passwords[place].since_ms : 0;
}

static void take_password(struct login_mailbox *mailbox, uint16_t fingerprint, int64_t at_ms)
{
    int64_t since_ms = login_password_since(mailbox, fingerprint);
    size_t place = place_of(mailbox, fingerprint);
    if (place == mailbox->password_count && place < LOGIN_OLD_PASSWORDS)
        mailbox->password_count++;
    else if (place == mailbox->password_count)
        place--;
    memmove(mailbox->passwords + 1, mailbox->passwords, place * sizeof mailbox->passwords[0]);
    mailbox->passwords[0] = (struct login_password){.fingerprint = fingerprint,
                                                    .since_ms = since_ms != 0 ? since_ms : at_ms,
                                                    .right_ms = at_ms};
}

void login_take_right(struct login_mailbox *mailbox, struct login_network *network,
                      const struct login_from *from, uint16_t fingerprint, int64_t at_ms)
{
    at_ms = pass(mailbox, network, at_ms);
    login_tries_drop_of(&mailbox->tries, from->network);
    login_tries_drop_of(&network->tries, from->mailbox);
    take_password(mailbox, fingerprint, at_ms);
    login_lock_take(&mailbox->lock, fingerprint, true, from->network, at_ms);
    if (from->webmail_host)
        return;
    struct login_known *known =
        login_know(&mailbox->known, from->network, LOGIN_KNOWN_NETWORKS_MAX, at_ms);
    known->protocol = (uint8_t)from->protocol;
    known->protocols |= (uint8_t)(1U << from->protocol);
    login_know(&network->known, from->mailbox, LOGIN_MAILBOXES_MAX, at_ms);
}

void login_take_locked(struct login_mailbox *mailbox, const struct login_from *from,
                       uint16_t fingerprint, int64_t at_ms)
{
    if (login_lock_returns(&mailbox->lock, fingerprint, at_ms))
        login_lock_return(&mailbox->lock, at_ms);
    login_lock_take(&mailbox->lock, fingerprint, true, from->network, at_ms);
}

void login_take_too_old(struct login_mailbox *mailbox, uint16_t fingerprint, int64_t at_ms)
{
    if (login_password_since(mailbox, fingerprint) != 0)
        take_password(mailbox, fingerprint, later_moment(at_ms, mailbox->passwords[0].right_ms));
}

bool login_password_changed(struct login_mailbox *mailbox, int64_t at_ms)
{
    for (size_t i = 0; i < mailbox->password_count; i++)
        mailbox->passwords[i].since_ms = at_ms;
    return mailbox->password_count > 0;
}

uint16_t login_last_right(const struct login_mailbox *mailbox)
{
    return mailbox->password_count > 0 ? mailbox->passwords[0].fingerprint : LOGIN_NO_FINGERPRINT;
}

static bool is_recent(int64_t then_ms, int64_t at_ms) { return at_ms - then_ms < LOGIN_NEWS_MS; }

/* NULL: it was not, within LOGIN_NEWS_MS. */
static const struct login_known *just_known(const struct login_known_list *list, uint64_t other,
                                            int64_t at_ms)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->of[i].other == other)
            return is_recent(list->of[i].last_ms, at_ms) ? &list->of[i] : NULL;
    return NULL;
}

static bool was_just_known(const struct login_mailbox *mailbox, const struct login_network *network,
                           const struct login_from *from, int64_t at_ms)
{
    const struct login_known *known = just_known(&mailbox->known, from->network, at_ms);
    return known != NULL && (known->protocols & 1U << from->protocol) != 0 &&
           just_known(&network->known, from->mailbox, at_ms) != NULL;
}

bool login_right_is_news(const struct login_mailbox *mailbox, const struct login_network *network,
                         const struct login_from *from, uint16_t fingerprint, int64_t at_ms)
{
    const struct login_password *last = &mailbox->passwords[0];
    if (mailbox->password_count == 0 || last->fingerprint != fingerprint || last->tries > 0 ||
        !is_recent(last->right_ms, at_ms))
        return true;
    if (login_tries_has_of(&mailbox->tries, from->network) ||
        login_tries_has_of(&network->tries, from->mailbox))
        return true;
    return !from->webmail_host && !was_just_known(mailbox, network, from, at_ms);
}

/* ---- ending blocks ------------------------------------------------------------------------- */

/* What was counted is not counted for that rule any more, but a repetition is still one. */
static void discount(struct login_mailbox *mailbox, enum login_rule rule, uint64_t network)
{
    if (rule == LOGIN_WRONG_PER_MAILBOX)
        login_tries_discount_mailbox(&mailbox->tries);
    else
        login_tries_discount_pair(&mailbox->tries, network);
}

int login_unblock_mailbox(struct login_mailbox *mailbox, enum login_rule rule, uint64_t network,
                          int64_t at_ms)
{
    struct login_block *block = block_of(mailbox, rule, network, at_ms);
    if (block == NULL)
        return 0;
    block->until_ms = at_ms;
    discount(mailbox, rule, network);
    return 1;
}

void login_open(struct login_mailbox *mailbox, int64_t at_ms)
{
    struct login_block *block = block_of(mailbox, LOGIN_WRONG_PER_MAILBOX, 0, at_ms);
    if (block != NULL)
        block->until_ms = at_ms;
    discount(mailbox, LOGIN_WRONG_PER_MAILBOX, 0);
    mailbox->open_until_ms = at_ms + LOGIN_OPEN_MS;
}

int login_unblock_network(struct login_network *network, int64_t at_ms)
{
    if (!holds(&network->block, at_ms))
        return 0;
    network->block.until_ms = at_ms;
    login_tries_empty(&network->tries);
    return 1;
}
