/* Keyed hashes: what stands for a recipient or a Message-ID in the store, so that nobody can read
 * who got mail, nor try addresses, without the secret (web.secret_file). The key of recipients
 * changes with the year (UTC). Any thread. */
#ifndef SENDGUARD_KEYED_HASH_H
#define SENDGUARD_KEYED_HASH_H

#include "guard/token.h"

/* Of an address in key form, by the key of the year of at_ms. */
uint64_t keyed_hash_recipient(const struct token_key *key, const char *address, int64_t at_ms);
/* Never 0. With its angle brackets or without them. */
uint32_t keyed_hash_message_id(const struct token_key *key, const char *id, size_t length);

#endif
