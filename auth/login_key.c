#include "auth/login_key.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/secret_file.h"

#define SCHEME "Bearer "
#define ADVICE "openssl rand -hex 32 makes a new one"

_Static_assert(LOGIN_KEY_HASH_BYTES == crypto_generichash_BYTES, "a hash of a key");

static void hash(const char *key, size_t length, unsigned char hash_r[LOGIN_KEY_HASH_BYTES])
{
    crypto_generichash(hash_r, LOGIN_KEY_HASH_BYTES, (const unsigned char *)key, length, NULL, 0);
}

static bool is_key(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~')
            return false;
    return length >= LOGIN_KEY_MIN && length <= LOGIN_KEY_MAX;
}

int login_key_read(const char *path, struct login_key *key_r, struct problem *problem)
{
    char bytes[LOGIN_KEY_MAX + 2]; /* a line feed, and one too many */
    int fd = secret_file_open(path, ADVICE, problem);
    if (fd < 0)
        return errno == ENOENT ? problem_set(problem, 0, path, "there is no such file: expected "
                                             "the key that Dovecot shows; " ADVICE)
                               : 0;
    ssize_t got = secret_file_read(fd, bytes, sizeof bytes);
    int error = errno;
    close(fd);
    if (got < 0)
        return problem_set(problem, 0, path, "cannot be read: %s", strerror(error));
    size_t length = (size_t)got;
    length -= length > 0 && bytes[length - 1] == '\n';
    bool good = is_key(bytes, length);
    if (good)
        hash(bytes, length, key_r->hash);
    sodium_memzero(bytes, sizeof bytes);
    return good ? 1
                : problem_set(problem, 0, path, "holds no key: expected one line of %d to %d "
                              "printable characters without a blank; " ADVICE,
                              LOGIN_KEY_MIN, LOGIN_KEY_MAX);
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
