#include "store/profile_memory.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "store/identity.h"

enum {
    MAILBOX_SETS = 1 << 14, MAILBOX_PLACES = 4, /* 2.5 MB where all are used */
    ITEM_SETS = 1 << 16, ITEM_PLACES = 16,      /* 8 MB */
    DAY_BITS = 16,
};
#define NETWORK_MARK (UINT64_C(1) << 63) /* hashes of recipients and networks are shorter */

/* In `state` all of `epoch` is known. */
struct remembered {
    int64_t mailbox; /* a hash; of an empty place 0, as epoch */
    uint64_t epoch;
    int64_t day; /* for no message of a day before it */
    struct profile_state state;
};

/* Of each set the newest is the first. An item is a recipient or a network of an epoch: a hash, and
 * below it the day from which on it is not known; 0: an empty place. */
struct profile_memory {
    pthread_mutex_t lock;
    uint8_t key[IDENTITY_KEY_SIZE];
    uint64_t epochs; /* so many have begun */
    struct remembered mailboxes[MAILBOX_SETS][MAILBOX_PLACES];
    uint64_t items[ITEM_SETS][ITEM_PLACES];
};

struct profile_memory *profile_memory_new(void)
{
    struct profile_memory *memory = xcalloc(1, sizeof *memory);
    pthread_mutex_init(&memory->lock, NULL);
    randombytes_buf(memory->key, sizeof memory->key);
    return memory;
}

void profile_memory_free(struct profile_memory **memory)
{
    pthread_mutex_destroy(&(*memory)->lock);
    free(*memory);
    *memory = NULL;
}

/* ---- items ----------------------------------------------------------------------------------- */

/* The finalizer of splitmix64: what it mixes are keyed hashes. */
static uint64_t mixed(uint64_t epoch, uint64_t item)
{
    uint64_t number = item + epoch * UINT64_C(0x9E3779B97F4A7C15);
    number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
    return number ^ number >> 31;
}

static uint64_t *set_of(struct profile_memory *memory, uint64_t hash)
{
    return memory->items[hash & (ITEM_SETS - 1)];
}

static bool is_item(uint64_t kept, uint64_t hash) { return kept >> DAY_BITS == hash >> DAY_BITS; }

static bool knows(struct profile_memory *memory, uint64_t epoch, uint64_t item, int64_t day)
{
    uint64_t hash = mixed(epoch, item);
    const uint64_t *set = set_of(memory, hash);
    for (int i = 0; i < ITEM_PLACES; i++)
        if (is_item(set[i], hash))
            return day < (int64_t)(set[i] & ((1 << DAY_BITS) - 1));
    return false;
}

/* Known before `until`, at least. */
static void remember(struct profile_memory *memory, uint64_t epoch, uint64_t item, int64_t until)
{
    uint64_t hash = mixed(epoch, item);
    uint64_t *set = set_of(memory, hash), kept = 0;
    int place = 0;
    while (place < ITEM_PLACES - 1 && set[place] != 0 && !is_item(set[place], hash))
        place++;
    if (is_item(set[place], hash))
        kept = set[place] & ((1 << DAY_BITS) - 1);
    memmove(set + 1, set, (size_t)place * sizeof set[0]);
    set[0] = hash >> DAY_BITS << DAY_BITS | (kept > (uint64_t)until ? kept : (uint64_t)until);
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

static struct remembered *mailboxes_near(struct profile_memory *memory, int64_t mailbox)
{
    return memory->mailboxes[mailbox & (MAILBOX_SETS - 1)];
}

static int64_t hash_of(const struct profile_memory *memory, const struct judge_request *request)
{
    return identity_hash(memory->key, request->mailbox, strlen(request->mailbox));
}

static bool is_same(const struct profile_state *one, const struct profile_state *other)
{
    return one->version == other->version && one->until_ms == other->until_ms;
}

/* NULL: nothing is remembered of it. */
static const struct remembered *find(struct profile_memory *memory, int64_t mailbox)
{
    const struct remembered *near = mailboxes_near(memory, mailbox);
    for (int i = 0; i < MAILBOX_PLACES; i++)
        if (near[i].mailbox == mailbox && near[i].epoch != 0)
            return &near[i];
    return NULL;
}

/* The epoch that the message enters: the one before, where what was known then still is. */
static uint64_t enter(struct profile_memory *memory, int64_t mailbox, int64_t day,
                      const struct profile_told *told)
{
    struct remembered *near = mailboxes_near(memory, mailbox);
    int place = 0;
    while (place < MAILBOX_PLACES - 1 && near[place].epoch != 0 && near[place].mailbox != mailbox)
        place++;
    const struct remembered before = near[place];
    bool goes_on = before.mailbox == mailbox && before.epoch != 0 && before.day <= day &&
                   (is_same(&before.state, &told->before) || is_same(&before.state, &told->now));
    memmove(near + 1, near, (size_t)place * sizeof near[0]);
    near[0] = (struct remembered){mailbox, goes_on ? before.epoch : ++memory->epochs, day,
                                  told->now};
    return near[0].epoch;
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool knows_all(struct profile_memory *memory, uint64_t epoch,
                      const struct judge_profile *profile, int64_t day)
{
    for (size_t i = 0; i < profile->recipient_count; i++) /* all at once, not one after the other */
        __builtin_prefetch(set_of(memory, mixed(epoch, profile->recipients[i])));
    if (profile->network != 0 && !knows(memory, epoch, profile->network | NETWORK_MARK, day))
        return false;
    for (size_t i = 0; i < profile->recipient_count; i++)
        if (!knows(memory, epoch, profile->recipients[i], day))
            return false;
    return true;
}

struct profile_state profile_memory_look(struct profile_memory *memory,
                                         const struct judge_request *request)
{
    struct profile_state state = {0};
    int64_t day = request->now_ms / DAY_MS;
    if (request->profile == NULL || request->dry_run)
        return state;
    int64_t mailbox = hash_of(memory, request);
    pthread_mutex_lock(&memory->lock);
    const struct remembered *found = find(memory, mailbox);
    if (found != NULL && found->day <= day && found->state.until_ms > request->now_ms &&
        knows_all(memory, found->epoch, request->profile, day))
        state = found->state;
    pthread_mutex_unlock(&memory->lock);
    return state;
}

void profile_memory_learn(struct profile_memory *memory, const struct judge_request *request,
                          const struct profile_told *told)
{
    const struct judge_profile *profile = request->profile;
    if (told->same_until == 0 || profile == NULL)
        return;
    int64_t mailbox = hash_of(memory, request);
    pthread_mutex_lock(&memory->lock);
    uint64_t epoch = enter(memory, mailbox, request->now_ms / DAY_MS, told);
    if (profile->network != 0)
        remember(memory, epoch, profile->network | NETWORK_MARK, told->same_until);
    for (size_t i = 0; i < profile->recipient_count; i++)
        remember(memory, epoch, profile->recipients[i], told->same_until);
    pthread_mutex_unlock(&memory->lock);
}
