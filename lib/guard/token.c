/* A token is a sealed text (seal.h) of a kind, the moment it was made, its end (in 6 bytes each) and a
 * mailbox. Users copy links, and mail programs break long lines, so each byte counts. */
#include "base/packed.h"
#include "base/path.h"
#include "base/secret_file.h"
#include "base/seal.h"
#include "guard/token.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEY_BYTES = SEAL_KEY_BYTES,
    TIME_BYTES = 6, /* milliseconds until the year 10889 */
    HEAD_BYTES = 1 + 2 * TIME_BYTES,
    OLD_END_BYTES = 8, /* of tokens without kind and moment */
    OLD_NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    OLD_TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    OLD_PADDING_BYTES = 64,
    MAILBOX_MAX_BYTES = 512, /* more than the address that submission.h lets pass */
    PLAIN_MAX_BYTES = HEAD_BYTES + MAILBOX_MAX_BYTES + OLD_PADDING_BYTES,
    OLD_SEALED_MAX_BYTES = OLD_NONCE_BYTES + PLAIN_MAX_BYTES + OLD_TAG_BYTES,
    OLD_TOKEN_MAX_BYTES = (OLD_SEALED_MAX_BYTES * 4 + 2) / 3,
    FILE_BYTES = KEY_BYTES * 2 + 1, /* hexadecimal and a line feed */
};
_Static_assert((int)KEY_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one key file");

_Static_assert((int)PLAIN_MAX_BYTES <= (int)SEAL_MAX_BYTES, "any token is a sealed text");

static const char purpose[] = "sendguard status link 3";
/* Of earlier releases: they say neither when they were made nor how long they hold beyond their
 * end. */
static const char second_purpose[] = "sendguard status link 2";
static const unsigned char first_purpose[] = "sendguard status link 1";

/* The clocks of two machines differ. One that ran far ahead must not make links that are fresh for
 * as long. */
#define CLOCKS_APART_MS MINUTE_MS

enum kind { KIND_PLAIN, KIND_WHILE_SUSPENDED = 1, KIND_TELLS_PASSWORD = 2, KINDS = 4 }; /* bits */

struct token_key {
    unsigned char bytes[KEY_BYTES]; /* as in the file; of the longer links */
    /* Made from it. XChaCha20 makes a key of its own for each nonce, and with the same key ChaCha20
     * would show those to who knows what his link says. */
    unsigned char link[KEY_BYTES];
};

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

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void token_key_free(struct token_key **key)
{
    sodium_free(*key); /* wipes */
    *key = NULL;
}

void token_key_derive(const struct token_key *key, const char *name,
                      unsigned char derived_r[SEAL_KEY_BYTES])
{
    crypto_generichash(derived_r, SEAL_KEY_BYTES, (const unsigned char *)name, strlen(name) + 1,
                       key->bytes, KEY_BYTES);
}

/* ---- the key file -------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return 0;
        bytes += written;
        size -= (size_t)written;
    }
    return 1;
}

static int parse_key(const char *hex, size_t length, struct token_key *key)
{
    size_t count = 0;
    if (length > 0 && hex[length - 1] == '\n')
        length--;
    if (length != KEY_BYTES * 2 ||
        sodium_hex2bin(key->bytes, KEY_BYTES, hex, length, NULL, &count, NULL) != 0 ||
        count != KEY_BYTES)
        return 0;
    token_key_derive(key, second_purpose, key->link);
    return 1;
}

/* 1 read; 0 with *problem filled, and errno ENOENT when (and only when) there is no file. */
static int read_key(const char *path, struct token_key *key, struct problem *problem)
{
    char hex[FILE_BYTES + 1]; /* one more, to see that the file is too long */
    freed_by(close_fd) int fd =
        secret_file_open(path, "chmod 600, or remove it to have a new key made", problem);
    if (fd < 0)
        return 0;
    int read = 1;
    ssize_t length = secret_file_read(fd, hex, sizeof hex);
    if (length < 0)
        read = problem_set(problem, 0, path, "cannot be read: %s", strerror(errno));
    else if (!parse_key(hex, (size_t)length, key))
        read = problem_set(problem, 0, path,
                           "holds no key; expected %d hexadecimal digits and a line feed, or no "
                           "file to have a new key made",
                           KEY_BYTES * 2);
    sodium_memzero(hex, sizeof hex);
    errno = 0;
    return read;
}

/* Writes a random key to a new file and makes it durable. */
static int write_new_key(const char *path)
{
    unsigned char bytes[KEY_BYTES];
    char hex[FILE_BYTES + 1];
    freed_by(close_fd) int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0;
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    hex[FILE_BYTES - 1] = '\n';
    int written = write_all(fd, hex, FILE_BYTES) && fsync(fd) == 0;
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(hex, sizeof hex);
    return written;
}

/* The name of a new file is durable when its folder is. EINVAL: the file system cannot do that. */
static int sync_folder(const char *path)
{
    freed_by(free_string) char *folder = path_folder(path);
    freed_by(close_fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
}

/* Puts a whole key file at `path` unless somebody else has: of processes that start at once
 * one link(2) succeeds, and nobody ever sees half a file. */
static int make_key(const char *path, struct problem *problem)
{
    freed_by(free_string) char *temporary =
        xasprintf("%s.%08x%08x.new", path, randombytes_random(), randombytes_random());
    int error = 0;
    if (!write_new_key(temporary))
        error = errno;
    else if (link(temporary, path) != 0 && errno != EEXIST)
        error = errno;
    else if (!sync_folder(path))
        error = errno;
    unlink(temporary);
    if (error != 0)
        return problem_set(problem, 0, path, "cannot be made: %s",
                           error == ENOENT ? "its directory does not exist" : strerror(error));
    return 1;
}

int token_key_load(const char *path, struct token_key **key_r, struct problem *problem)
{
    need_sodium();
    freed_by(token_key_free) struct token_key *key = sodium_malloc(sizeof *key);
    if (key == NULL)
        return problem_set(problem, 0, path, "no memory for a key: %s", strerror(errno));
    int loaded = read_key(path, key, problem);
    if (!loaded && errno == ENOENT)
        loaded = make_key(path, problem) && read_key(path, key, problem);
    if (loaded)
        *key_r = take(key);
    return loaded;
}

/* Whether make_key could. */
static int check_can_make(const char *path, struct problem *problem)
{
    freed_by(free_string) char *folder = path_folder(path);
    freed_by(free_string) char *inside = xasprintf("%s/.", folder); /* ENOTDIR of a file */
    if (faccessat(AT_FDCWD, inside, W_OK | X_OK, AT_EACCESS) != 0)
        return problem_set(problem, 0, path, "cannot be made: %s",
                           errno == ENOENT ? "its directory does not exist" : strerror(errno));
    return 1;
}

int token_key_examine(const char *path, struct problem *problem)
{
    struct token_key key;
    need_sodium();
    int good = read_key(path, &key, problem);
    if (!good && errno == ENOENT)
        good = check_can_make(path, problem);
    sodium_memzero(&key, sizeof key);
    return good;
}

/* ---- tokens -------------------------------------------------------------- */

static struct seal_purpose for_links(const struct token_key *key, const char *name)
{
    return (struct seal_purpose){.key = key->link, .name = name};
}

const char *token_make(const struct token_key *key, struct arena *arena,
                       const struct status_link *link)
{
    unsigned char plain[PLAIN_MAX_BYTES];
    const struct seal_purpose links = for_links(key, purpose);
    size_t mailbox_length = strnlen(link->mailbox, MAILBOX_MAX_BYTES);
    plain[0] = (link->while_suspended ? KIND_WHILE_SUSPENDED : KIND_PLAIN) |
               (link->tells_password ? KIND_TELLS_PASSWORD : KIND_PLAIN);
    unsigned char *end = packed_put(plain + 1, (uint64_t)link->made_ms, TIME_BYTES);
    end = packed_put(end, (uint64_t)link->expires_ms, TIME_BYTES);
    memcpy(end, link->mailbox, mailbox_length);
    return seal_make(&links, arena, plain, HEAD_BYTES + mailbox_length);
}

/* What is opened: the plain text without its padding, and which layout it has. */
struct opened {
    unsigned char plain[SEAL_MAX_BYTES];
    size_t length; /* 0: forged */
    bool old;
};

/* The longest links, of the first release. */
static size_t open_first(const struct token_key *key, const char *token,
                         unsigned char plain[PLAIN_MAX_BYTES])
{
    unsigned char sealed[OLD_SEALED_MAX_BYTES];
    unsigned long long plain_length;
    size_t token_length = strnlen(token, OLD_TOKEN_MAX_BYTES + 1), length, unpadded;
    if (token_length > OLD_TOKEN_MAX_BYTES ||
        sodium_base642bin(sealed, sizeof sealed, token, token_length, NULL, &length, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        length < OLD_NONCE_BYTES + OLD_TAG_BYTES ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, &plain_length, NULL, sealed + OLD_NONCE_BYTES, length - OLD_NONCE_BYTES,
            first_purpose, sizeof first_purpose, sealed, key->bytes) != 0)
        return 0;
    return sodium_unpad(&unpadded, plain, (size_t)plain_length, OLD_PADDING_BYTES) == 0 ? unpadded
                                                                                        : 0;
}

static void open_token(const struct token_key *key, const char *token, struct opened *opened_r)
{
    const struct seal_purpose links = for_links(key, purpose),
                              second = for_links(key, second_purpose);
    opened_r->old = false;
    if (seal_open(&links, token, opened_r->plain, &opened_r->length))
        return;
    opened_r->old = true;
    if (!seal_open(&second, token, opened_r->plain, &opened_r->length))
        opened_r->length = open_first(key, token, opened_r->plain);
}

static int read_opened(const struct opened *opened, struct arena *arena,
                       struct status_link *link_r)
{
    size_t head = opened->old ? OLD_END_BYTES : HEAD_BYTES;
    const uint8_t *next = opened->plain;
    if (opened->length < head || (!opened->old && next[0] >= KINDS))
        return 0;
    *link_r = (struct status_link){0};
    if (!opened->old) {
        link_r->while_suspended = (*next & KIND_WHILE_SUSPENDED) != 0;
        link_r->tells_password = (*next++ & KIND_TELLS_PASSWORD) != 0;
        link_r->made_ms = (int64_t)packed_get(&next, TIME_BYTES);
    }
    link_r->expires_ms = (int64_t)packed_get(&next, opened->old ? OLD_END_BYTES : TIME_BYTES);
    link_r->mailbox = arena_strndup(arena, (const char *)next, opened->length - head);
    return 1;
}

int token_read(const struct token_key *key, struct arena *arena, const char *token, int64_t now_ms,
               struct status_link *link_r)
{
    struct opened opened;
    struct status_link link;
    open_token(key, token, &opened);
    if (!read_opened(&opened, arena, &link) ||
        (link.expires_ms <= now_ms && !link.while_suspended))
        return 0;
    *link_r = link;
    return 1;
}

bool token_link_is_fresh(const struct status_link *link, int64_t now_ms)
{
    int64_t age_ms = now_ms - link->made_ms;
    return link->made_ms > 0 && now_ms < link->expires_ms && age_ms <= STATUS_LINK_FRESH_MS &&
           age_ms >= -CLOCKS_APART_MS;
}
