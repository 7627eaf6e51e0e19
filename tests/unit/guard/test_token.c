/* Status links: what a token tells, what it hides, and the file of its key. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/keyed_hash.h"
#include "guard/token.h"
#include "tests/unit/store/servers.h"

#define NOW_MS INT64_C(1795356300000)
#define MAILBOX "alice@example.test"

static char folder[FOLDER_SIZE], path[128];
static struct arena *arena;
static struct token_key *key;
static struct problem problem;

static void setup(void)
{
    arena = arena_new();
    folder_make(folder);
    snprintf(path, sizeof path, "%s/secret", folder);
}

static void teardown(void)
{
    token_key_free(&key);
    arena_free(&arena);
    folder_remove(folder);
}

static void load(void) { ck_assert_msg(token_key_load(path, &key, &problem), "%s", problem.text); }

static void write_file(const char *content, mode_t mode)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void assert_refused(const char *expected)
{
    struct token_key *none = NULL;
    problem = (struct problem){0};
    ck_assert_int_eq(token_key_load(path, &none, &problem), 0);
    ck_assert_ptr_null(none);
    ck_assert_str_eq(problem.where, path);
    ck_assert_msg(strstr(problem.text, expected) != NULL, "%s", problem.text);
}

/* Who only asks hears the same, and nothing is made. */
START_TEST(test_examine)
{
    char none[200];
    problem = (struct problem){0};
    ck_assert_int_eq(token_key_examine(path, &problem), 1);
    ck_assert_int_ne(access(path, F_OK), 0);
    snprintf(none, sizeof none, "%s/none/secret", folder);
    ck_assert_int_eq(token_key_examine(none, &problem), 0);
    ck_assert_str_eq(problem.text, "cannot be made: its directory does not exist");
    write_file("", 0600);
    snprintf(none, sizeof none, "%s/secret/secret", folder);
    ck_assert_int_eq(token_key_examine(none, &problem), 0);
    ck_assert_int_eq(token_key_examine(path, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "holds no key"));
    ck_assert_int_eq(unlink(path), 0);
    load();
    ck_assert_int_eq(token_key_examine(path, &problem), 1);
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(token_key_examine(path, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "is open to others"));
}
END_TEST

static const char *make_token(const char *mailbox, int64_t expires_ms)
{
    return token_make(key, arena, &(struct status_link){.mailbox = mailbox, .made_ms = NOW_MS,
                                                        .expires_ms = expires_ms});
}

/* token_read, and the mailbox alone. */
static int read_mailbox(const char *token, int64_t now_ms, const char **mailbox_r)
{
    struct status_link link;
    int result = token_read(key, arena, token, now_ms, &link);
    if (result > 0)
        *mailbox_r = link.mailbox;
    return result;
}

/* Reads a token that lies in a heap block of exactly its size. */
static int read_exact(const char *token, int64_t now_ms, const char **mailbox_r)
{
    size_t size = strlen(token) + 1;
    char *copy = memcpy(malloc(size), token, size);
    int result = read_mailbox(copy, now_ms, mailbox_r);
    free(copy);
    return result;
}

/* ---- tokens ---------------------------------------------------------------- */

START_TEST(test_there_and_back)
{
    static const char *const mailboxes[] = {MAILBOX, "", "a@b", "\xC3\xBC@xn--bcher-kva.test"};
    load();
    for (size_t i = 0; i < countof(mailboxes); i++) {
        const char *mailbox = NULL;
        const char *token = make_token(mailboxes[i], NOW_MS + 1);
        ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), 1);
        ck_assert_str_eq(mailbox, mailboxes[i]);
    }
    char longest[513];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *mailbox = NULL;
    ck_assert_int_eq(read_exact(make_token(longest, NOW_MS + 1), NOW_MS, &mailbox), 1);
    ck_assert_str_eq(mailbox, longest);
}
END_TEST

START_TEST(test_end)
{
    load();
    const char *mailbox = "untouched";
    const char *token = make_token(MAILBOX, NOW_MS);
    ck_assert_int_eq(read_exact(token, NOW_MS - 1, &mailbox), 1);
    ck_assert_str_eq(mailbox, MAILBOX);
    mailbox = "untouched";
    ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), 0);
    ck_assert_int_eq(read_exact(token, NOW_MS + 1, &mailbox), 0);
    ck_assert_int_eq(read_exact(token, INT64_MAX, &mailbox), 0);
    ck_assert_str_eq(mailbox, "untouched");
}
END_TEST

/* What a link of the webmail is good for, to the millisecond. */
START_TEST(test_fresh)
{
    static const struct {
        int64_t age_ms;
        bool fresh;
    } cases[] = {{0, true},           {10 * MINUTE_MS, true}, {10 * MINUTE_MS + 1, false},
                 {DAY_MS - 1, false}, {-MINUTE_MS, true},     {-MINUTE_MS - 1, false},
                 {-400 * DAY_MS, false}};
    struct status_link link;
    load();
    const char *token = make_token(MAILBOX, NOW_MS + DAY_MS);
    for (size_t i = 0; i < countof(cases); i++) {
        int64_t now_ms = NOW_MS + cases[i].age_ms;
        ck_assert_int_eq(token_read(key, arena, token, now_ms, &link), 1);
        ck_assert_int_eq(link.made_ms, NOW_MS);
        ck_assert_int_eq(link.expires_ms, NOW_MS + DAY_MS);
        ck_assert_int_eq(token_link_is_fresh(&link, now_ms), cases[i].fresh);
    }
}
END_TEST

/* It opens beyond its end, for who looks whether the mailbox is suspended; it is never fresh there. */
START_TEST(test_while_suspended)
{
    struct status_link link = {.mailbox = MAILBOX, .made_ms = NOW_MS,
                               .expires_ms = NOW_MS + MINUTE_MS, .while_suspended = true};
    load();
    const char *token = token_make(key, arena, &link);
    ck_assert_int_eq(token_read(key, arena, token, NOW_MS + 400 * DAY_MS, &link), 1);
    ck_assert(link.while_suspended);
    ck_assert_str_eq(link.mailbox, MAILBOX);
    ck_assert(token_link_is_fresh(&link, NOW_MS + MINUTE_MS - 1));
    ck_assert(!token_link_is_fresh(&link, NOW_MS + MINUTE_MS));
}
END_TEST

/* Each of what a link says beside, alone and together. */
START_TEST(test_tells_password)
{
    load();
    for (int i = 0; i < 4; i++) {
        struct status_link link = {.mailbox = MAILBOX, .made_ms = NOW_MS, .expires_ms = NOW_MS + MINUTE_MS,
                                   .while_suspended = (i & 1) != 0, .tells_password = (i & 2) != 0};
        const char *token = token_make(key, arena, &link);
        ck_assert_int_eq(token_read(key, arena, token, NOW_MS, &link), 1);
        ck_assert(link.while_suspended == ((i & 1) != 0) && link.tells_password == ((i & 2) != 0));
        ck_assert_str_eq(link.mailbox, MAILBOX);
    }
}
END_TEST

START_TEST(test_url_safe_and_silent)
{
    load();
    const char *token = make_token(MAILBOX, NOW_MS);
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    ck_assert_uint_eq(strspn(token, allowed), strlen(token));
    ck_assert_str_ne(token, make_token(MAILBOX, NOW_MS));
    /* the length of the link says little about that of the mailbox */
    ck_assert_uint_eq(strlen(token), strlen(make_token("ann@example.test", NOW_MS)));
    ck_assert_uint_eq(strlen(token), 80);
}
END_TEST

START_TEST(test_every_change_is_seen)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    load();
    char *token = arena_strdup(arena, make_token(MAILBOX, NOW_MS + 1));
    const char *mailbox = NULL;
    size_t length = strlen(token);
    for (size_t i = 0; i < length; i++) {
        char right = token[i];
        for (size_t k = 0; k < sizeof digits - 1; k++) {
            token[i] = digits[k];
            ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), digits[k] == right);
        }
        token[i] = right;
    }
    for (size_t cut = 0; cut < length; cut++)
        ck_assert_int_eq(
            read_exact(arena_strndup(arena, token, cut), NOW_MS, &mailbox), 0);
}
END_TEST

START_TEST(test_no_token)
{
    load();
    const char *mailbox = NULL;
    char *token = arena_strdup(arena, make_token(MAILBOX, NOW_MS + 1));
    char *endless = malloc(100001);
    memset(endless, 'A', 100000);
    endless[100000] = '\0';
    const char *const wrong[] = {"", "A", "====", "\xFF\xFF", "../../etc/passwd", endless,
                                 arena_printf(arena, "%s=", token),
                                 arena_printf(arena, " %s", token),
                                 arena_printf(arena, "%s\n", token),
                                 arena_printf(arena, "%sAAAA", token)};
    for (size_t i = 0; i < countof(wrong); i++)
        ck_assert_msg(read_exact(wrong[i], NOW_MS, &mailbox) == 0, "%.40s", wrong[i]);
    for (int length = 0; length < 1200; length++) /* about the longest that is looked at */
        ck_assert_int_eq(
            read_exact(arena_printf(arena, "%.*s", length, endless), NOW_MS, &mailbox), 0);
    free(endless);
}
END_TEST

START_TEST(test_another_key_reads_nothing)
{
    load();
    const char *mailbox = NULL;
    const char *token = make_token(MAILBOX, NOW_MS + 1);
    token_key_free(&key);
    ck_assert_int_eq(unlink(path), 0);
    load();
    ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), 0);
}
END_TEST

/* ---- the key file ------------------------------------------------------------- */

/* ---- the longer links of earlier releases --------------------------------------- */

#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
static const unsigned char first_purpose[] = "sendguard status link 1";

static size_t old_plain(unsigned char *plain, size_t size, const char *mailbox)
{
    size_t length = 8 + strlen(mailbox), padded;
    for (int i = 0; i < 8; i++)
        plain[i] = (unsigned char)((uint64_t)(NOW_MS + 1000) >> (8 * (7 - i)));
    memcpy(plain + 8, mailbox, strlen(mailbox));
    ck_assert_int_eq(sodium_pad(&padded, plain, length, 64, size), 0);
    return padded;
}

static const char *in_base64(const unsigned char *bytes, size_t length, char *text, size_t size)
{
    return sodium_bin2base64(text, size, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Who knows what a link says knows a block of key stream. If both kinds of links had one key, the
 * block without the input of the cipher would be a key of the older kind (XChaCha20 makes its keys
 * in this way), and good for links of any mailbox. */
START_TEST(test_a_link_makes_no_older_one)
{
    static const char known[] = "a.mailbox.with.a.rather.long.name@accounting.example.test";
    unsigned char sealed[256], plain[128], subkey[32], nonce[12] = {0}, forged[24 + 128 + 16];
    unsigned long long forged_length;
    size_t length;
    char token[512];
    const char *mailbox = NULL;
    write_file(KEY_HEX "\n", 0600);
    load();
    const char *own = make_token(known, NOW_MS + 1000);
    ck_assert_int_eq(sodium_base642bin(sealed, sizeof sealed, own, strlen(own), NULL, &length, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING), 0);
    ck_assert_uint_ge(length, 12 + 64 + 16);
    old_plain(plain, sizeof plain, known);
    unsigned char input[64] = "expand 32-byte k";
    memcpy(input + 48, (unsigned char[]){1, 0, 0, 0}, 4);
    memcpy(input + 52, sealed, 12);
    for (int word = 0; word < 16; word++) {
        uint32_t stream = 0, start = 0;
        for (int i = 3; i >= 0; i--) {
            stream = stream << 8 | (sealed[12 + word * 4 + i] ^ plain[word * 4 + i]);
            start = start << 8 | input[word * 4 + i];
        }
        int at = word < 4 ? word : word - 8;
        for (int i = 0; i < 4 && (word < 4 || word > 11); i++)
            subkey[at * 4 + i] = (unsigned char)((stream - start) >> (8 * i));
    }
    memcpy(forged, input + 48, 16);
    memset(forged + 16, 9, 8);
    memcpy(nonce + 4, forged + 16, 8);
    length = old_plain(plain, sizeof plain, "victim@example.test");
    crypto_aead_chacha20poly1305_ietf_encrypt(forged + 24, &forged_length, plain, length,
                                              first_purpose, sizeof first_purpose, NULL, nonce, subkey);
    in_base64(forged, 24 + (size_t)forged_length, token, sizeof token);
    ck_assert_int_eq(read_mailbox(token, NOW_MS, &mailbox), 0);
    ck_assert_ptr_null(mailbox);
}
END_TEST

START_TEST(test_file_is_made_once)
{
    struct stat status;
    const char *mailbox = NULL;
    load();
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode, S_IFREG | 0600);
    ck_assert_int_eq(status.st_size, 65);
    ck_assert_uint_eq(status.st_nlink, 1); /* the temporary name is gone */
    const char *token = make_token(MAILBOX, NOW_MS + 1);
    token_key_free(&key);
    load();
    ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), 1);
}
END_TEST

START_TEST(test_a_given_key_is_used)
{
    /* the second of an earlier release: links in users' mail outlive an update */
    static const char *const tokens[] = {
        "cibjE2eoLzKY0vRcgxB2xmqzb2xAyVms8jZLVgGzyQAvGQhCtAye5rGLDrKSPM4AoqwQDCKVE4bQwoRw",
        "GW4N9ocujzczZP-lk0AknCoQZvlGJS47N622lN4hOvaRnBl5INfq22BCLyeg-wZeTqY1J-0kIVtFx0tX"
        "bG_fmH4uUAHWF4MfUvb5qsjf7Cxdg-LgFZQGLpsNp9YvbRV0Syq0JU_eliM"};
    static const char *const spellings[] = {
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
    };
    for (size_t i = 0; i < countof(spellings) * countof(tokens); i++) {
        const char *mailbox = NULL, *token = tokens[i % countof(tokens)];
        unlink(path);
        write_file(spellings[i / countof(tokens)], i % 2 == 0 ? 0600 : 0400);
        load();
        ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), 1);
        ck_assert_str_eq(mailbox, MAILBOX);
        ck_assert_int_eq(read_exact(token, NOW_MS + 1, &mailbox), 0);
        token_key_free(&key);
        ck_assert_int_eq(unlink(path), 0);
    }
}
END_TEST

/* Databases keep them: BLAKE2b of a name makes a key of SipHash. Years in any order, to and fro. */
START_TEST(test_keyed_hashes_stay)
{
    static const struct {
        int64_t at_ms;
        uint64_t hash;
    } rows[] = {
        {INT64_C(1767225599999), UINT64_C(0x633a0653c0bea6b8)}, /* the end of 2025 */
        {INT64_C(1767225600000), UINT64_C(0x40aef2ced8f25e6c)},
        {INT64_C(1798761599999), UINT64_C(0x40aef2ced8f25e6c)}, /* the end of 2026 */
        {INT64_C(1798761600000), UINT64_C(0x32671ea4b51910ef)},
        {INT64_C(1767225600000), UINT64_C(0x40aef2ced8f25e6c)},
        {INT64_C(1767225599999), UINT64_C(0x633a0653c0bea6b8)},
    };
    write_file("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
    load();
    struct keyed_hash_keys keys = {.key = key};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < countof(rows); i++)
            ck_assert_uint_eq(keyed_hash_recipient(&keys, "bob@x.test", rows[i].at_ms),
                              rows[i].hash);
        ck_assert_uint_eq(keyed_hash_message_id(&keys, "<1@x.test>", 10), 0xab7c1ae3);
        ck_assert_uint_eq(keyed_hash_message_id(&keys, "1@x.test", 8), 0xab7c1ae3);
        ck_assert_uint_eq(keyed_hash_counted(&keys, "bob@x.test"), UINT64_C(0xd043f84c401ccd2d));
    }
}
END_TEST

START_TEST(test_open_files_are_refused)
{
    load();
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0644, 0666};
    for (size_t i = 0; i < countof(modes); i++) {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        assert_refused("is open to others");
    }
    ck_assert_int_eq(chmod(path, 0400), 0);
    token_key_free(&key);
    load();
}
END_TEST

START_TEST(test_bad_contents_are_refused)
{
    static const char *const contents[] = {
        "",
        "\n",
        "0001",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e\n",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1\n",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0\n",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\n",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g\n",
        " 00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
    };
    for (size_t i = 0; i < countof(contents); i++) {
        write_file(contents[i], 0600);
        assert_refused("holds no key");
    }
}
END_TEST

START_TEST(test_other_kinds_are_refused)
{
    char target[160];
    ck_assert_int_eq(mkdir(path, 0700), 0);
    assert_refused("is no regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_refused("is no regular file");
    ck_assert_int_eq(unlink(path), 0);
    snprintf(target, sizeof target, "%s/elsewhere", folder);
    ck_assert_int_eq(symlink(target, path), 0); /* to nothing: nothing is made there */
    assert_refused("symbolic link");
    ck_assert_int_eq(access(target, F_OK), -1);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof path, "%s/no/such/secret", folder);
    assert_refused("cannot be made");
}
END_TEST

enum { STARTERS = 8 };

/* Each process loads the key as soon as all of them are there, and sends a token back. */
static void start_one(int gate, int answers)
{
    char byte;
    if (read(gate, &byte, 1) != 0 || !token_key_load(path, &key, &problem))
        _exit(1);
    const char *token = make_token(MAILBOX, NOW_MS + 1);
    size_t length = strlen(token);
    _exit(write(answers, token, length) == (ssize_t)length ? 0 : 1);
}

START_TEST(test_processes_that_start_at_once_agree)
{
    int gate[2], answers[2], status;
    ck_assert_int_eq(pipe(gate), 0);
    ck_assert_int_eq(pipe(answers), 0);
    size_t length = 0;
    pid_t children[STARTERS];
    for (size_t i = 0; i < STARTERS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            close(gate[1]);
            start_one(gate[0], answers[1]);
        }
    }
    close(gate[1]);
    for (size_t i = 0; i < STARTERS; i++) {
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    load();
    length = strlen(make_token(MAILBOX, NOW_MS + 1));
    for (size_t i = 0; i < STARTERS; i++) {
        char token[512] = "";
        const char *mailbox = NULL;
        ck_assert_int_eq(read(answers[0], token, length), (ssize_t)length);
        ck_assert_int_eq(read_exact(token, NOW_MS, &mailbox), 1);
    }
    close(gate[0]);
    close(answers[0]);
    close(answers[1]);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left behind */
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}
END_TEST

static TCase *token_cases(void)
{
    TCase *cases = tcase_create("token");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_examine);
    tcase_add_test(cases, test_there_and_back);
    tcase_add_test(cases, test_end);
    tcase_add_test(cases, test_fresh);
    tcase_add_test(cases, test_while_suspended);
    tcase_add_test(cases, test_tells_password);
    tcase_add_test(cases, test_url_safe_and_silent);
    tcase_add_test(cases, test_every_change_is_seen);
    tcase_add_test(cases, test_no_token);
    tcase_add_test(cases, test_another_key_reads_nothing);
    tcase_add_test(cases, test_a_link_makes_no_older_one);
    return cases;
}

static TCase *file_cases(void)
{
    TCase *cases = tcase_create("key file");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_file_is_made_once);
    tcase_add_test(cases, test_a_given_key_is_used);
    tcase_add_test(cases, test_keyed_hashes_stay);
    tcase_add_test(cases, test_open_files_are_refused);
    tcase_add_test(cases, test_bad_contents_are_refused);
    tcase_add_test(cases, test_other_kinds_are_refused);
    tcase_add_test(cases, test_processes_that_start_at_once_agree);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("token");
    suite_add_tcase(suite, token_cases());
    suite_add_tcase(suite, file_cases());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
