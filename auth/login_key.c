#include "auth/login_key.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "base/secret_file.h"

#define SCHEME "Bearer "
#define ADVICE "openssl rand -hex 32 makes a new one"

_Static_assert(LOGIN_KEY_HASH_BYTES == crypto_generichash_BYTES, "a hash of a key");

static void hash(const char *key, size_t length, unsigned char hash_r[LOGIN_KEY_HASH_BYTES])
{
    crypto_generichash(hash_r, LOGIN_KEY_HASH_BYTES, (const unsigned char *)key, length, NULL, 0);
}

int login_key_read(const char *path, struct login_key *key_r, struct problem *problem)
{
    char key[SECRET_LINE_MAX + 1];
    int good = secret_file_line(path, "the key that Dovecot shows", ADVICE, key, problem);
    if (good)
        hash(key, strlen(key), key_r->hash);
    sodium_memzero(key, sizeof key);
    return good;
}

int login_key_examine(const char *path, struct problem *problem)
{
    struct login_key key;
    int good = login_key_read(path, &key, problem);
    sodium_memzero(&key, sizeof key);
    return good;
}

/* Dovecot leaves the blanks behind the colon of its setting where they are. */
bool login_key_fits(const struct login_key *key, const char *authorization)
{
    unsigned char shown[LOGIN_KEY_HASH_BYTES];
    if (authorization == NULL)
        return false;
    authorization += strspn(authorization, " \t");
    if (strncasecmp(authorization, SCHEME, strlen(SCHEME)) != 0)
        return false;
    authorization += strlen(SCHEME);
    size_t length = strcspn(authorization, " \t");
    hash(authorization, length, shown);
    return sodium_memcmp(shown, key->hash, sizeof shown) == 0;
}
