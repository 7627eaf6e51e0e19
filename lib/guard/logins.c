#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "guard/logins_inside.h"

enum { EVENTS_FIRST = 64, AT_ONCE_FIRST = 64, LOCKS_FIRST = 64 };

struct logins *logins_new(const struct token_key *key)
{
    struct logins *logins = xcalloc(1, sizeof *logins);
    logins->keys.key = key;
    keyed_hash_login(&logins->keys, ""); /* its key is made now, and only read from now on */
    logins->networks.of_networks = true;
    randombytes_buf(&logins->mailboxes.seed, sizeof logins->mailboxes.seed);
    randombytes_buf(&logins->networks.seed, sizeof logins->networks.seed);
    pthread_mutex_init(&logins->lock, NULL);
    logins->at_once = AT_ONCE_FIRST;
    return logins;
}

void logins_free(struct logins **logins)
{
    if (*logins == NULL)
        return;
    logins_table_free(&(*logins)->mailboxes);
    logins_table_free(&(*logins)->networks);
    keyed_hash_forget(&(*logins)->keys);
    pthread_mutex_destroy(&(*logins)->lock);
    for (size_t i = 0; i < (*logins)->event_count; i++)
        free((*logins)->events[i].begins);
    free((*logins)->events);
    free((*logins)->locks);
    free(*logins);
    *logins = NULL;
}

static struct login_from from_of(struct logins *logins, const struct logins_try *attempt)
{
    struct login_from from = {.mailbox = keyed_hash_login(&logins->keys, attempt->mailbox),
                              .protocol = attempt->protocol};
    from.webmail_host = login_network_of(attempt->ip, &from.network) == 0 || attempt->webmail_host;
    return from;
}

int logins_allow(struct logins *logins, const struct logins_try *attempt, int64_t now_ms,
                 struct login_block *block_r)
{
    static const struct login_mailbox no_mailbox;
    static const struct login_network no_network;
    const struct login_from from = from_of(logins, attempt);
    pthread_mutex_lock(&logins->lock);
    const struct logins_entry *mailbox = logins_table_find(&logins->mailboxes, from.mailbox);
    const struct logins_entry *network = logins_table_find(&logins->networks, from.network);
    const struct login_block *block =
        login_blocked(mailbox != NULL ? &mailbox->of.mailbox : &no_mailbox,
                      network != NULL ? &network->of.network : &no_network, &from, now_ms);
    if (block != NULL)
        *block_r = *block;
    pthread_mutex_unlock(&logins->lock);
    return block == NULL;
}

/* ---- tries ----------------------------------------------------------------------------------- */

static struct login_from from_of_event(const struct logins_event *event)
{
    return (struct login_from){.mailbox = event->mailbox->id, .network = event->network->id,
                               .webmail_host = event->webmail_host,
                               .protocol = (enum login_protocol)event->protocol};
}

enum login_taken logins_apply(const struct logins_event *event, struct login_mailbox *mailbox,
                              struct login_network *network, const struct login_limits *limits,
                              unsigned *begun_r)
{
    const struct login_from from = from_of_event(event);
    *begun_r = 0;
    if (event->breached) {
        login_lock_breach(&mailbox->lock, event->keeps_out, login_last_right(mailbox),
                          event->at_ms);
        return LOGIN_COUNTED;
    }
    if (event->locked) {
        login_take_locked(mailbox, &from, event->fingerprint, event->at_ms);
        return LOGIN_COUNTED;
    }
    if (event->too_old) {
        login_take_too_old(mailbox, event->fingerprint, event->at_ms);
        return LOGIN_COUNTED;
    }
    if (!event->right)
        return login_take_wrong(mailbox, network, limits, &from, event->fingerprint,
                                (enum login_rests)event->rests, event->at_ms, begun_r);
    login_take_right(mailbox, network, &from, event->fingerprint, event->at_ms);
    return LOGIN_COUNTED;
}

/* It is written with the others. */
static void keep(struct logins *logins, struct logins_event *event)
{
    if (logins->event_count == LOGINS_UNWRITTEN_MAX) {
        logins->unwritten_lost++;
        free(event->begins);
        return;
    }
    if (logins->event_count == logins->event_room) {
        logins->event_room = logins->event_room > 0 ? 2 * logins->event_room : EVENTS_FIRST;
        logins->events =
            xrealloc(logins->events, logins->event_room * sizeof *logins->events);
    }
    logins->events[logins->event_count++] = *event;
    logins->is_urgent = logins->is_urgent || event->begun != 0 || event->begins != NULL;
    event->mailbox->unwritten++;
    event->network->unwritten++;
}

bool logins_is_urgent(struct logins *logins)
{
    pthread_mutex_lock(&logins->lock);
    bool is_urgent = logins->is_urgent;
    pthread_mutex_unlock(&logins->lock);
    return is_urgent;
}

static bool is_news(const struct logins_event *event)
{
    const struct login_from from = from_of_event(event);
    return !event->right ||
           login_right_is_news(&event->mailbox->of.mailbox, &event->network->of.network, &from,
                               event->fingerprint, event->at_ms);
}

static void take_over(struct logins *logins, struct logins_event *event,
                      const struct login_limits *limits, struct logins_taken *taken_r)
{
    event->rests = (uint8_t)login_outage_rests(&logins->outage, event->at_ms);
    if (is_news(event)) {
        taken_r->taken = logins_apply(event, &event->mailbox->of.mailbox,
                                      &event->network->of.network, limits, &taken_r->begun);
        taken_r->until_ms = event->mailbox->of.mailbox.time_ms + LOGIN_BLOCK_MS;
        event->begun = (uint8_t)taken_r->begun;
        if (taken_r->taken != LOGIN_KEPT_OUT && taken_r->taken != LOGIN_RESTED &&
            taken_r->taken != LOGIN_REPEATED)
            keep(logins, event);
    }
    login_outage_take(&logins->outage, event->mailbox->id, event->right, taken_r->taken,
                      event->at_ms);
}

/* Where there is no room for its network, it is taken as one from a webmail host, so that who makes
 * networks by the hundred thousand cannot guess on from the next: the mailbox counts it still. */
static struct logins_entry *network_of(struct logins *logins, struct login_from *from)
{
    struct logins_entry *found = logins_table_get(&logins->networks, from->network, LOGINS_MAX);
    if (found != NULL)
        return found;
    logins->no_room++;
    from->network = 0;
    from->webmail_host = true;
    return logins_table_get(&logins->networks, 0, SIZE_MAX);
}

int logins_report(struct logins *logins, const struct logins_try *attempt, bool right,
                  const struct login_limits *limits, int64_t now_ms,
                  struct logins_taken *taken_r)
{
    struct login_from from = from_of(logins, attempt);
    *taken_r = (struct logins_taken){.taken = LOGIN_COUNTED};
    if (from.network != 0)
        login_network_text(from.network, taken_r->network);
    pthread_mutex_lock(&logins->lock);
    struct logins_entry *network = network_of(logins, &from);
    struct logins_event event = {
        .mailbox = logins_table_get(&logins->mailboxes, from.mailbox, LOGINS_MAX),
        .network = network,
        .at_ms = now_ms, .right = right,
        .fingerprint = keyed_hash_fingerprint(&logins->keys, from.mailbox, attempt->fingerprint),
        .webmail_host = from.webmail_host, .protocol = (uint8_t)from.protocol};
    bool has_room = event.mailbox != NULL;
    if (has_room)
        take_over(logins, &event, limits, taken_r);
    else
        logins->no_room++;
    pthread_mutex_unlock(&logins->lock);
    return has_room;
}

/* ---- locks ----------------------------------------------------------------------------------- */

int logins_unlocked(struct logins *logins, const struct logins_try *attempt, int64_t now_ms,
                    struct logins_lock *lock_r)
{
    const struct login_from from = from_of(logins, attempt);
    const uint16_t fingerprint =
        keyed_hash_fingerprint(&logins->keys, from.mailbox, attempt->fingerprint);
    bool keeps_out = false;
    *lock_r = (struct logins_lock){0};
    pthread_mutex_lock(&logins->lock);
    struct logins_entry *entry = logins_table_find(&logins->mailboxes, from.mailbox);
    struct login_lock *lock = entry != NULL ? &entry->of.mailbox.lock : NULL;
    struct logins_event event = {.mailbox = entry, .at_ms = now_ms, .right = true, .locked = true,
                                 .fingerprint = fingerprint,
                                 .webmail_host = from.webmail_host,
                                 .protocol = (uint8_t)from.protocol};
    if (lock != NULL) {
        lock_r->again = login_lock_returns(lock, fingerprint, now_ms);
        keeps_out = lock->keeps_out && (lock_r->again || login_lock_holds(lock));
        lock_r->closed = keeps_out && lock->phase == LOGIN_CLOSED;
        lock_r->breached = keeps_out && lock->breached;
    }
    bool is_news =
        lock_r->again || (keeps_out && login_lock_is_news(lock, fingerprint, now_ms));
    if (is_news)
        event.network = logins_table_get(&logins->networks, from.network, LOGINS_MAX);
    if (event.network != NULL) {
        event.begins = lock_r->again ? xstrdup(attempt->mailbox) : NULL;
        const struct login_lock before = *lock;
        login_take_locked(&entry->of.mailbox, &from, fingerprint, now_ms);
        logins_note_lock(logins, from.mailbox, &before, lock);
        keep(logins, &event);
    }
    pthread_mutex_unlock(&logins->lock);
    return !keeps_out;
}

bool logins_too_old(struct logins *logins, const struct logins_try *attempt, int64_t max_age_ms,
                    int64_t now_ms)
{
    const struct login_from from = from_of(logins, attempt);
    struct logins_event event = {
        .at_ms = now_ms, .right = true, .too_old = true,
        .fingerprint = keyed_hash_fingerprint(&logins->keys, from.mailbox, attempt->fingerprint)};
    pthread_mutex_lock(&logins->lock);
    event.mailbox = logins_table_find(&logins->mailboxes, from.mailbox);
    struct login_mailbox *mailbox = event.mailbox != NULL ? &event.mailbox->of.mailbox : NULL;
    int64_t since_ms = mailbox != NULL ? login_password_since(mailbox, event.fingerprint) : 0;
    bool too_old = since_ms != 0 && now_ms - since_ms >= max_age_ms;
    bool is_news = too_old && (login_last_right(mailbox) != event.fingerprint ||
                               now_ms - mailbox->passwords[0].right_ms >= LOGIN_NEWS_MS);
    if (is_news)
        event.network = logins_table_get(&logins->networks, from.network, LOGINS_MAX);
    if (event.network != NULL) {
        login_take_too_old(mailbox, event.fingerprint, now_ms);
        keep(logins, &event);
    }
    pthread_mutex_unlock(&logins->lock);
    return too_old;
}

int logins_breach(struct logins *logins, const char *mailbox, bool keeps_out, int64_t now_ms)
{
    const struct logins_try nowhere = {.mailbox = mailbox, .ip = ""};
    const struct login_from from = from_of(logins, &nowhere);
    struct logins_event event = {.at_ms = now_ms, .breached = true, .keeps_out = keeps_out};
    unsigned begun;
    pthread_mutex_lock(&logins->lock);
    event.mailbox = logins_table_get(&logins->mailboxes, from.mailbox, LOGINS_MAX);
    event.network = logins_table_get(&logins->networks, from.network, LOGINS_MAX);
    bool begins = event.mailbox != NULL && event.network != NULL &&
                  !login_lock_holds(&event.mailbox->of.mailbox.lock);
    if (begins) {
        struct login_lock *lock = &event.mailbox->of.mailbox.lock;
        const struct login_lock before = *lock;
        event.keeps_out = keeps_out || login_lock_watches(lock, now_ms);
        event.begins = xstrdup(mailbox);
        logins_apply(&event, &event.mailbox->of.mailbox, &event.network->of.network, NULL, &begun);
        logins_note_lock(logins, from.mailbox, &before, lock);
        keep(logins, &event);
    }
    pthread_mutex_unlock(&logins->lock);
    return begins;
}

static bool keeps_out(const struct login_lock *lock)
{
    return lock->keeps_out && login_lock_holds(lock);
}

void logins_note_lock(struct logins *logins, uint64_t mailbox, const struct login_lock *before,
                      const struct login_lock *after)
{
    if (!logins->watches_locks || !keeps_out(after) ||
        (keeps_out(before) && before->since_ms == after->since_ms))
        return;
    if (logins->lock_count == logins->lock_room) {
        logins->lock_room = logins->lock_room > 0 ? 2 * logins->lock_room : LOCKS_FIRST;
        logins->locks = xrealloc(logins->locks, logins->lock_room * sizeof *logins->locks);
    }
    logins->locks[logins->lock_count++] = mailbox;
}

void logins_watch_locks(struct logins *logins) { logins->watches_locks = true; }

size_t logins_next_locks(struct logins *logins, uint64_t *mailboxes_r, size_t max)
{
    pthread_mutex_lock(&logins->lock);
    size_t count = logins->lock_count < max ? logins->lock_count : max;
    logins->lock_count -= count;
    for (size_t i = 0; i < count; i++)
        mailboxes_r[i] = logins->locks[logins->lock_count + i];
    pthread_mutex_unlock(&logins->lock);
    return count;
}

bool logins_keeps_out(struct logins *logins, uint64_t mailbox)
{
    pthread_mutex_lock(&logins->lock);
    const struct logins_entry *entry = logins_table_find(&logins->mailboxes, mailbox);
    bool kept_out = entry != NULL && keeps_out(&entry->of.mailbox.lock);
    pthread_mutex_unlock(&logins->lock);
    return kept_out;
}

uint64_t logins_mailbox(struct logins *logins, const char *name)
{
    return keyed_hash_login(&logins->keys, name);
}

struct logins_state logins_state(struct logins *logins, int64_t now_ms)
{
    pthread_mutex_lock(&logins->lock);
    struct logins_state state = {.mailboxes = logins->mailboxes.count,
                                 .networks = logins->networks.count,
                                 .unwritten = logins->event_count,
                                 .unwritten_lost = logins->unwritten_lost,
                                 .no_room = logins->no_room,
                                 .alarm = login_outage_alarms(&logins->outage, now_ms)};
    memcpy(state.begun, logins->begun, sizeof state.begun);
    pthread_mutex_unlock(&logins->lock);
    return state;
}
