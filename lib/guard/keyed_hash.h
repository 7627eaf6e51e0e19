/* Keyed hashes: what stands for a recipient, a Message-ID, who complains or who signs in in the
 * store, so that nobody can read who got mail, nor try addresses, without the secret
 * (web.secret_file). The key of recipients changes with the year (UTC), where its hashes are kept
 * for longer than a day, but not in profiles, which forget after 97 days. */
#ifndef SENDGUARD_KEYED_HASH_H
#define SENDGUARD_KEYED_HASH_H

#include "guard/token.h"

/* The keys, which are made from the secret when they are first needed: that takes longer than a hash.
 * Begins with `key` alone, which stays the caller's. One thread. */
struct keyed_hash_keys {
    const struct token_key *key;
    struct keyed_hash_year {
        int64_t begin_ms, end_ms; /* both 0: none yet */
        unsigned char bytes[16];
    } years[2]; /* one year and the one before */
    bool has_message_ids, has_reporters, has_logins, has_counted, has_profiles, has_forgotten;
    unsigned char message_ids[16], reporters[16], logins[16], fingerprints[16], counted[16],
        profiles[16], forgotten[16];
};
void keyed_hash_forget(struct keyed_hash_keys *keys);

/* Who looks for the hash of a recipient takes the key of so long before too. */
#define KEYED_HASH_LOOKS_BACK_MS (31 * DAY_MS)

/* Whether both moments, less than a year apart, have the same key of recipients. */
bool keyed_hash_same_year(struct keyed_hash_keys *keys, int64_t one_ms, int64_t other_ms);
/* Of an address in key form, by the key of the year of at_ms. */
uint64_t keyed_hash_recipient(struct keyed_hash_keys *keys, const char *address, int64_t at_ms);
/* The same by a key that does not change: of a recipient that messages of a day are counted for. */
uint64_t keyed_hash_counted(struct keyed_hash_keys *keys, const char *address);
/* For a profile (rules/profile.h), by a key that does not change: of a recipient, with that of its
 * domain in the upper half; of a network, never 0. */
uint64_t keyed_hash_profiled(struct keyed_hash_keys *keys, const char *address);
uint64_t keyed_hash_profiled_network(struct keyed_hash_keys *keys, const char *ip);
/* Never 0. With its angle brackets or without them. */
uint32_t keyed_hash_message_id(struct keyed_hash_keys *keys, const char *id, size_t length);
/* Never 0. Of the domain that a complaint comes from. */
uint64_t keyed_hash_reporter(struct keyed_hash_keys *keys, const char *domain);
/* Of the name of a mailbox that somebody tries to sign in to, whether there is one or not. Any
 * thread once its key is made. */
uint64_t keyed_hash_login(struct keyed_hash_keys *keys, const char *name);
/* What stands for a fingerprint (rules/login.h) of that mailbox, a hash of its name: others for
 * others. Neither says anything of the password without the secret. After keyed_hash_login; any
 * thread. */
uint16_t keyed_hash_fingerprint(const struct keyed_hash_keys *keys, uint64_t mailbox,
                                uint16_t fingerprint);

/* What stands for a mailbox that was forgotten, in the audit log alone. */
uint64_t keyed_hash_forgotten(struct keyed_hash_keys *keys, const char *mailbox);

#endif
