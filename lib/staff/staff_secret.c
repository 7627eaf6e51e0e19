#include "staff/staff_secret.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "room for libsodium's text");
_Static_assert(SECRET_HASH_SIZE == 2 * crypto_generichash_BYTES + 1, "room for the digits");

static void start_sodium(void)
{
    if (sodium_init() < 0) {
        fputs("sendguard: no source of random numbers\n", stderr);
        abort();
    }
}

static void need_sodium(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_sodium);
}

/* ---- random secrets ------------------------------------------------------------- */

void staff_random(unsigned char *bytes_r, size_t length)
{
    need_sodium();
    randombytes_buf(bytes_r, length);
}

void staff_secret_make(char secret_r[SECRET_TEXT_SIZE])
{
    unsigned char bytes[SECRET_BYTES];
    staff_random(bytes, sizeof bytes);
    sodium_bin2base64(secret_r, SECRET_TEXT_SIZE, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
}

bool staff_secret_well_formed(const char *secret)
{
    return strnlen(secret, SECRET_CHARS + 1) == SECRET_CHARS &&
           strspn(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
               SECRET_CHARS;
}

void staff_secret_hash(const char *secret, char hash_r[SECRET_HASH_SIZE])
{
    unsigned char hash[crypto_generichash_BYTES];
    need_sodium();
    crypto_generichash(hash, sizeof hash, (const unsigned char *)secret, strlen(secret), NULL, 0);
    sodium_bin2hex(hash_r, SECRET_HASH_SIZE, hash, sizeof hash);
}

bool staff_secret_same(const char *a, const char *b)
{
    size_t length = strlen(a);
    return strlen(b) == length && sodium_memcmp(a, b, length) == 0;
}

/* ---- passwords -------------------------------------------------------------------- */

/* Each takes 64 MiB and a core: who asks for many at once waits, and the rest of the program does
 * not. Strangers, of whom there may be any number, leave one turn to those who are known. */
enum { HASHING_AT_ONCE = 2, HASHING_OF_STRANGERS = 1 };
static struct {
    pthread_mutex_t lock;
    pthread_cond_t one_less;
    int running, of_strangers;
    int places[FAMILIARITY_COUNT]; /* taken */
} hashing = {.lock = PTHREAD_MUTEX_INITIALIZER, .one_less = PTHREAD_COND_INITIALIZER};

bool staff_password_take(enum familiarity known)
{
    static const int places_max[FAMILIARITY_COUNT] = {PASSWORD_PLACES, PASSWORD_PLACES_NETWORK,
                                                      PASSWORD_PLACES_BROWSER};
    pthread_mutex_lock(&hashing.lock);
    bool taken = hashing.places[known] < places_max[known];
    hashing.places[known] += taken;
    pthread_mutex_unlock(&hashing.lock);
    return taken;
}

void staff_password_leave(enum familiarity known)
{
    pthread_mutex_lock(&hashing.lock);
    hashing.places[known]--;
    pthread_mutex_unlock(&hashing.lock);
}

static void begin_hashing(enum familiarity known)
{
    need_sodium();
    pthread_mutex_lock(&hashing.lock);
    while (hashing.running == HASHING_AT_ONCE ||
           (!known && hashing.of_strangers == HASHING_OF_STRANGERS))
        pthread_cond_wait(&hashing.one_less, &hashing.lock);
    hashing.running++;
    hashing.of_strangers += !known;
    pthread_mutex_unlock(&hashing.lock);
}

static void end_hashing(enum familiarity known)
{
    pthread_mutex_lock(&hashing.lock);
    hashing.running--;
    hashing.of_strangers -= !known;
    pthread_cond_broadcast(&hashing.one_less);
    pthread_mutex_unlock(&hashing.lock);
}

struct staff_password_cost staff_password_cost = {crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                      crypto_pwhash_MEMLIMIT_INTERACTIVE};

void staff_password_hash(const char *password, char hash_r[PASSWORD_HASH_SIZE])
{
    begin_hashing(FAMILIARITY_BROWSER);
    int failed = crypto_pwhash_str(hash_r, password, strlen(password), staff_password_cost.passes,
                                   staff_password_cost.memory_bytes);
    end_hashing(FAMILIARITY_BROWSER);
    if (failed) { /* as xmalloc */
        fputs("sendguard: out of memory\n", stderr);
        abort();
    }
}

/* The work of a check whose result nobody needs. */
static void hash_in_vain(const char *password)
{
    unsigned char salt[crypto_pwhash_SALTBYTES], result[SECRET_BYTES];
    randombytes_buf(salt, sizeof salt);
    if (crypto_pwhash(result, sizeof result, password, strlen(password), salt,
                      staff_password_cost.passes, staff_password_cost.memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return; /* no memory: it takes less time, and fails all the same */
    sodium_memzero(result, sizeof result);
}

bool staff_password_fits(const char *password, const char *hash, enum familiarity known)
{
    bool fits = false;
    if (strnlen(password, PASSWORD_MAX + 1) > PASSWORD_MAX) {
        password = "";
        hash = NULL;
    }
    begin_hashing(known);
    if (hash != NULL)
        fits = crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
    else
        hash_in_vain(password);
    end_hashing(known);
    return fits;
}
