#include "owners/owners.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owner_source.h"
#include "message/address.h"
#include "owners/owners_file.h"
#include "owners/owners_postmap.h"
#include "owners/owners_socketmap.h"

enum {
    KEPT = 16384,    /* answers; one takes the place of another by chance */
    DOMAINS = 4096,  /* the same of domains that had an owner */
    HASH_BYTES = crypto_generichash_BYTES_MIN,
};

struct kept_answer {
    unsigned char hash[HASH_BYTES]; /* of key and mailbox */
    int64_t until_ms;
    struct owners_answer answer;
};

struct owners_source {
    const char *text; /* as the settings have it */
    struct owner_source where;
    struct owners_file *file;                              /* of a file */
    struct owners_socketmap *connections[OWNERS_AT_ONCE];  /* of a socketmap */
    _Atomic int64_t away_until_ms;
    struct log_once away;
};

struct owners {
    _Atomic unsigned references;
    struct owners_source *sources;
    size_t count;
    bool sole, has_slow;
    int timeout_ms;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool busy[OWNERS_AT_ONCE];
    unsigned char key[crypto_generichash_KEYBYTES];
    struct kept_answer *kept; /* KEPT, where has_slow */
    uint64_t *domains;  /* DOMAINS: hashes; 0: none */
};

/* ---- lists of owners ------------------------------------------------------------------------- */

static bool is_between(char character) { return strchr(" \t\r\n,", character) != NULL; }

size_t owners_word(const char **rest, const char *end, const char **word_r)
{
    const char *word = *rest;
    while (word < end && is_between(*word))
        word++;
    const char *word_end = word;
    while (word_end < end && !is_between(*word_end))
        word_end++;
    *word_r = word;
    *rest = word_end;
    return (size_t)(word_end - word);
}

void owners_answer_add(struct owners_answer *answer, const char *list, size_t length,
                       const char *mailbox)
{
    const char *rest = list, *word;
    size_t of_word;
    while ((of_word = owners_word(&rest, list + length, &word)) > 0) {
        struct address address;
        bool mine = address_text_fault(word, of_word) == NULL &&
                    address_normalise(word, of_word, &address) == NULL &&
                    strcmp(address.text, mailbox) == 0;
        answer->found = true;
        answer->mine = answer->mine || mine;
        answer->others = answer->others || !mine;
    }
}

/* ---- a handle -------------------------------------------------------------------------------- */

static void prepare(struct owners *owners, struct owners_source *source, const char *text)
{
    const char *fault = owner_source_read(text, strlen(text), &source->where);
    source->text = xstrdup(text);
    if (fault == NULL && source->where.kind == OWNERS_FILE)
        source->file = owners_file_new(source->where.path);
    for (int i = 0; fault == NULL && source->where.kind == OWNERS_SOCKETMAP && i < OWNERS_AT_ONCE;
         i++)
        source->connections[i] = owners_socketmap_new(&source->where);
    owners->has_slow = owners->has_slow || source->file == NULL;
}

struct owners *owners_new(char *const *sources, size_t count, bool sole, int timeout_ms)
{
    struct owners *owners = xcalloc(1, sizeof *owners);
    owners->references = 1;
    owners->sole = sole;
    owners->timeout_ms = timeout_ms;
    owners->count = count < OWNERS_SOURCES_MAX ? count : OWNERS_SOURCES_MAX;
    owners->sources = xcalloc(owners->count + 1, sizeof owners->sources[0]);
    for (size_t i = 0; i < owners->count; i++)
        prepare(owners, &owners->sources[i], sources[i]);
    pthread_mutex_init(&owners->lock, NULL);
    clock_condition_init(&owners->changed);
    randombytes_buf(owners->key, sizeof owners->key);
    if (owners->has_slow) {
        owners->kept = xcalloc(KEPT, sizeof owners->kept[0]);
        owners->domains = xcalloc(DOMAINS, sizeof owners->domains[0]);
    }
    return owners;
}

struct owners *owners_share(struct owners *owners)
{
    owners->references++;
    return owners;
}

void owners_release(struct owners **owners)
{
    struct owners *last = take(*owners);
    if (last == NULL || --last->references > 0)
        return;
    for (size_t i = 0; i < last->count; i++) {
        struct owners_source *source = &last->sources[i];
        owners_file_free(&source->file);
        for (int slot = 0; slot < OWNERS_AT_ONCE; slot++)
            owners_socketmap_free(&source->connections[slot]);
        free((char *)(uintptr_t)source->text);
    }
    pthread_mutex_destroy(&last->lock);
    pthread_cond_destroy(&last->changed);
    free(last->sources);
    free(last->kept);
    free(last->domains);
    free(last);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void hash_of(const struct owners *owners, const char *key, const char *mailbox,
                    unsigned char hash_r[HASH_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, owners->key, sizeof owners->key, HASH_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)key, strlen(key) + 1);
    crypto_generichash_update(&state, (const unsigned char *)mailbox, strlen(mailbox));
    crypto_generichash_final(&state, hash_r, HASH_BYTES);
}

static uint64_t number_of(const unsigned char hash[HASH_BYTES])
{
    uint64_t number;
    memcpy(&number, hash, sizeof number);
    return number;
}

static struct kept_answer *place_of(struct owners *owners, const unsigned char hash[HASH_BYTES])
{
    return &owners->kept[number_of(hash) % KEPT];
}

static bool find_kept(struct owners *owners, const unsigned char hash[HASH_BYTES],
                      int64_t monotonic_ms, struct owners_answer *answer_r)
{
    pthread_mutex_lock(&owners->lock);
    const struct kept_answer *kept = place_of(owners, hash);
    bool found = monotonic_ms < kept->until_ms && memcmp(kept->hash, hash, HASH_BYTES) == 0;
    if (found)
        *answer_r = kept->answer;
    pthread_mutex_unlock(&owners->lock);
    return found;
}

static uint64_t domain_number(const struct owners *owners, const char *domain)
{
    unsigned char hash[HASH_BYTES];
    hash_of(owners, domain, "", hash);
    uint64_t number = number_of(hash);
    return number != 0 ? number : 1;
}

static bool is_yes(const struct owners *owners, const struct owners_answer *answer)
{
    return answer->mine && !(owners->sole && answer->others);
}

static void keep(struct owners *owners, const unsigned char hash[HASH_BYTES], const char *key,
                 const struct owners_answer *answer, int64_t monotonic_ms)
{
    uint64_t domain = answer->found ? domain_number(owners, strrchr(key, '@') + 1) : 0;
    pthread_mutex_lock(&owners->lock);
    struct kept_answer *kept = place_of(owners, hash);
    memcpy(kept->hash, hash, HASH_BYTES);
    kept->until_ms =
        monotonic_ms + (is_yes(owners, answer) ? OWNERS_YES_KEPT_MS : OWNERS_NO_KEPT_MS);
    kept->answer = *answer;
    if (answer->found)
        owners->domains[domain % DOMAINS] = domain;
    pthread_mutex_unlock(&owners->lock);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* One of OWNERS_AT_ONCE, to be given back; -1: none is free in time. */
static int take_slot(struct owners *owners, int64_t give_up_us)
{
    int slot = -1;
    bool in_time = true;
    pthread_mutex_lock(&owners->lock);
    while (slot < 0 && in_time) {
        for (int i = 0; i < OWNERS_AT_ONCE && slot < 0; i++)
            if (!owners->busy[i])
                slot = i;
        if (slot < 0)
            in_time = clock_condition_wait(&owners->changed, &owners->lock, give_up_us);
    }
    if (slot >= 0)
        owners->busy[slot] = true;
    pthread_mutex_unlock(&owners->lock);
    return slot;
}

static void give_slot(struct owners *owners, int slot)
{
    pthread_mutex_lock(&owners->lock);
    owners->busy[slot] = false;
    pthread_cond_signal(&owners->changed);
    pthread_mutex_unlock(&owners->lock);
}

static int ask_source(struct owners_source *source, int slot, const char *key, int64_t give_up_us,
                      struct text *data, struct text *why)
{
    const char *reason;
    if (source->where.kind == OWNERS_POSTMAP)
        return owners_postmap_ask(source->where.name, key, give_up_us, data, why);
    int found = owners_socketmap_ask(source->connections[slot], key, give_up_us, data, &reason);
    if (found < 0)
        text_add(why, reason);
    return found;
}

static void log_source(struct owners_source *source, bool away, const char *why)
{
    if (!log_changed(&source->away, away))
        return;
    if (away)
        log_line(LOG_WARNING_LEVEL, "owners of addresses cannot be asked: every From passes that "
                                    "nothing else knows", "source", source->text, "error", why,
                 NULL);
    else
        log_line(LOG_INFO_LEVEL, "owners of addresses answer again", "source", source->text, NULL);
}

/* All that are no file. 1; -1: one of them does not answer. */
static int ask_slow(struct owners *owners, int slot, const char *key, const char *mailbox,
                    int64_t monotonic_ms, int64_t give_up_us, struct owners_answer *answer)
{
    int result = 1;
    for (size_t i = 0; i < owners->count; i++) {
        freed_by(text_free) struct text data = {0}, why = {0};
        struct owners_source *source = &owners->sources[i];
        if (source->file != NULL)
            continue;
        bool away = monotonic_ms < source->away_until_ms;
        int found = away ? -1 : ask_source(source, slot, key, give_up_us, &data, &why);
        if (found > 0)
            owners_answer_add(answer, data.data, data.length, mailbox);
        if (found < 0)
            result = -1;
        if (away)
            continue;
        source->away_until_ms = found < 0 ? monotonic_ms + OWNERS_AWAY_MS : 0;
        log_source(source, found < 0, text_string(&why));
    }
    return result;
}

/* The same from memory, where it is known. */
static int find_slow(struct owners *owners, const char *key, const char *mailbox,
                     int64_t monotonic_ms, struct owners_answer *answer_r)
{
    unsigned char hash[HASH_BYTES];
    int64_t give_up_us = clock_monotonic_us() + owners->timeout_ms * INT64_C(1000);
    *answer_r = (struct owners_answer){0};
    hash_of(owners, key, mailbox, hash);
    if (find_kept(owners, hash, monotonic_ms, answer_r))
        return 1;
    int slot = take_slot(owners, give_up_us);
    if (slot < 0)
        return -1;
    int result = ask_slow(owners, slot, key, mailbox, monotonic_ms, give_up_us, answer_r);
    give_slot(owners, slot);
    if (result > 0)
        keep(owners, hash, key, answer_r, monotonic_ms);
    return result;
}

int owners_ask(struct owners *owners, const char *key, const char *mailbox, int64_t monotonic_ms)
{
    struct owners_answer answer = {0}, slow = {0};
    bool silent = false;
    for (size_t i = 0; i < owners->count; i++)
        if (owners->sources[i].file != NULL &&
            owners_file_ask(owners->sources[i].file, key, mailbox, monotonic_ms, &answer) < 0)
            silent = true;
    if (owners->has_slow && !(answer.mine && !owners->sole) &&
        find_slow(owners, key, mailbox, monotonic_ms, &slow) < 0)
        silent = true;
    answer.mine = answer.mine || slow.mine;
    answer.others = answer.others || slow.others;
    if (is_yes(owners, &answer))
        return 1;
    return silent && !(owners->sole && answer.others) ? -1 : 0;
}

bool owners_know_domain(struct owners *owners, const char *domain)
{
    bool known = false;
    for (size_t i = 0; i < owners->count && !known; i++)
        known = owners->sources[i].file != NULL &&
                owners_file_knows_domain(owners->sources[i].file, domain);
    if (known || !owners->has_slow)
        return known;
    uint64_t number = domain_number(owners, domain);
    pthread_mutex_lock(&owners->lock);
    known = owners->domains[number % DOMAINS] == number;
    pthread_mutex_unlock(&owners->lock);
    return known;
}

size_t owners_addresses(struct owners *owners, struct arena *arena, const char *mailbox, size_t max,
                        const char **addresses_r)
{
    size_t count = 0;
    for (size_t i = 0; i < owners->count && count < max; i++)
        if (owners->sources[i].file != NULL)
            count += owners_file_addresses(owners->sources[i].file, arena, mailbox, owners->sole,
                                           max - count, addresses_r + count);
    return count;
}

int owners_check(const char *source, struct problem *problem)
{
    struct owner_source where;
    freed_by(owners_table_free) struct owners_table *table = NULL;
    const char *fault = owner_source_read(source, strlen(source), &where);
    if (fault != NULL)
        return problem_set(problem, 0, source, "%s", fault);
    return where.kind != OWNERS_FILE || owners_table_read(where.path, &table, problem);
}
