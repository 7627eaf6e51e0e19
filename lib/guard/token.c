/* A token is base64url(nonce ‖ sealed), sealed = ChaCha20-Poly1305 of a kind, the moment it was
 * made, its end (in 6 bytes each) and a mailbox, padded so that its length says little about the
 * mailbox. Users copy links, and mail programs break long lines, so each byte counts. The nonce is
 * random: of 2^40 tokens made with one key (a thousand a second for 34 years) two have the same one
 * with a probability of 2^-17. */
#include "base/path.h"
#include "base/secret_file.h"
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
    KEY_BYTES = crypto_aead_chacha20poly1305_ietf_KEYBYTES,
    NONCE_BYTES = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_chacha20poly1305_ietf_ABYTES,
    TIME_BYTES = 6, /* milliseconds until the year 10889 */
    HEAD_BYTES = 1 + 2 * TIME_BYTES,
    OLD_END_BYTES = 8, /* of tokens without kind and moment */
    PADDING_BYTES = 16,
    OLD_NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    OLD_PADDING_BYTES = 64,
    MAILBOX_MAX_BYTES = 512, /* more than the address that submission.h lets pass */
    PLAIN_MAX_BYTES = HEAD_BYTES + MAILBOX_MAX_BYTES + OLD_PADDING_BYTES,
    SEALED_MAX_BYTES = OLD_NONCE_BYTES + PLAIN_MAX_BYTES + TAG_BYTES,
    TOKEN_MAX_BYTES = (SEALED_MAX_BYTES * 4 + 2) / 3,
    FILE_BYTES = KEY_BYTES * 2 + 1, /* hexadecimal and a line feed */
};
_Static_assert((int)KEY_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one key file");

/* What is sealed with the same key for another purpose can never be taken for a link. */
static const unsigned char purpose[] = "sendguard status link 3";
/* Of earlier releases: they say neither when they were made nor how long they hold beyond their
 * end. */
static const unsigned char second_purpose[] = "sendguard status link 2";
static const unsigned char first_purpose[] = "sendguard status link 1";

/* The clocks of two machines differ. One that ran far ahead must not make links that are fresh for
 * as long. */
#define CLOCKS_APART_MS MINUTE_MS

enum kind { KIND_PLAIN, KIND_WHILE_SUSPENDED, KINDS };

struct token_key {
    unsigned char bytes[KEY_BYTES]; /* as in the file; of the longer links */
    /* Made from it. XChaCha20 makes a key of its own for each nonce, and with the same key ChaCha20
     * would show those to whoever knows what his link says. */
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
    return length == KEY_BYTES * 2 &&
           sodium_hex2bin(key->bytes, KEY_BYTES, hex, length, NULL, &count, NULL) == 0 &&
           count == KEY_BYTES &&
           crypto_generichash(key->link, KEY_BYTES, second_purpose, sizeof second_purpose,
                              key->bytes, KEY_BYTES) == 0;
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

static void put_number(unsigned char *bytes, int size, int64_t number)
{
    for (int i = 0; i < size; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (8 * (size - 1 - i)));
}

static int64_t get_number(const unsigned char *bytes, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return (int64_t)number;
}

const char *token_make(const struct token_key *key, struct arena *arena,
                       const struct status_link *link)
{
    unsigned char plain[PLAIN_MAX_BYTES], sealed[SEALED_MAX_BYTES];
    size_t mailbox_length = strnlen(link->mailbox, MAILBOX_MAX_BYTES), plain_length;
    plain[0] = link->while_suspended ? KIND_WHILE_SUSPENDED : KIND_PLAIN;
    put_number(plain + 1, TIME_BYTES, link->made_ms);
    put_number(plain + 1 + TIME_BYTES, TIME_BYTES, link->expires_ms);
    memcpy(plain + HEAD_BYTES, link->mailbox, mailbox_length);
    sodium_pad(&plain_length, plain, HEAD_BYTES + mailbox_length, PADDING_BYTES, sizeof plain);

    unsigned long long sealed_length;
    randombytes_buf(sealed, NONCE_BYTES);
    crypto_aead_chacha20poly1305_ietf_encrypt(sealed + NONCE_BYTES, &sealed_length, plain,
                                              plain_length, purpose, sizeof purpose, NULL, sealed,
                                              key->link);
    size_t length = NONCE_BYTES + (size_t)sealed_length;
    size_t room = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return sodium_bin2base64(arena_alloc(arena, room), room, sealed, length,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* What is opened: the plain text without its padding, and which layout it has. */
struct opened {
    unsigned char plain[PLAIN_MAX_BYTES];
    size_t length; /* 0: forged */
    bool old;
};

static size_t open_sealed(const struct token_key *key, const unsigned char *sealed, size_t length,
                          const unsigned char *of_purpose, size_t purpose_size,
                          unsigned char plain[PLAIN_MAX_BYTES])
{
    unsigned long long plain_length;
    size_t unpadded;
    if (length < NONCE_BYTES + TAG_BYTES || length > NONCE_BYTES + PLAIN_MAX_BYTES + TAG_BYTES ||
        crypto_aead_chacha20poly1305_ietf_decrypt(plain, &plain_length, NULL, sealed + NONCE_BYTES,
                                                  length - NONCE_BYTES, of_purpose, purpose_size,
                                                  sealed, key->link) != 0)
        return 0;
    return sodium_unpad(&unpadded, plain, (size_t)plain_length, PADDING_BYTES) == 0 ? unpadded : 0;
}

/* The same for the longest links, of the first release. */
static size_t open_first(const struct token_key *key, const unsigned char *sealed, size_t length,
                         unsigned char plain[PLAIN_MAX_BYTES])
{
    unsigned long long plain_length;
    size_t unpadded;
    if (length < OLD_NONCE_BYTES + TAG_BYTES ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, &plain_length, NULL, sealed + OLD_NONCE_BYTES, length - OLD_NONCE_BYTES,
            first_purpose, sizeof first_purpose, sealed, key->bytes) != 0)
        return 0;
    return sodium_unpad(&unpadded, plain, (size_t)plain_length, OLD_PADDING_BYTES) == 0 ? unpadded
                                                                                        : 0;
}

static void open_token(const struct token_key *key, const char *token, struct opened *opened_r)
{
    unsigned char sealed[SEALED_MAX_BYTES];
    size_t token_length = strnlen(token, TOKEN_MAX_BYTES + 1), length;
    opened_r->length = 0;
    opened_r->old = false;
    if (token_length > TOKEN_MAX_BYTES ||
        sodium_base642bin(sealed, sizeof sealed, token, token_length, NULL, &length, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return;
    opened_r->length =
        open_sealed(key, sealed, length, purpose, sizeof purpose, opened_r->plain);
    if (opened_r->length > 0)
        return;
    opened_r->old = true;
    opened_r->length =
        open_sealed(key, sealed, length, second_purpose, sizeof second_purpose, opened_r->plain);
    if (opened_r->length == 0)
        opened_r->length = open_first(key, sealed, length, opened_r->plain);
}

static int read_opened(const struct opened *opened, struct arena *arena,
                       struct status_link *link_r)
{
    size_t head = opened->old ? OLD_END_BYTES : HEAD_BYTES;
    const unsigned char *plain = opened->plain;
    if (opened->length < head || (!opened->old && plain[0] >= KINDS))
        return 0;
    *link_r = opened->old
                  ? (struct status_link){.expires_ms = get_number(plain, OLD_END_BYTES)}
                  : (struct status_link){
                        .while_suspended = plain[0] == KIND_WHILE_SUSPENDED,
                        .made_ms = get_number(plain + 1, TIME_BYTES),
                        .expires_ms = get_number(plain + 1 + TIME_BYTES, TIME_BYTES)};
    link_r->mailbox = arena_strndup(arena, (const char *)plain + head, opened->length - head);
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
