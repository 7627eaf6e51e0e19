/* References of messages, and what they are sealed with. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "guard/reference.h"
#include "base/seal.h"
#include "tests/unit/store/servers.h"

static struct token_key *key, *other;
static struct arena *arena;
static char folder[FOLDER_SIZE];
static const char *paths[2];

static struct token_key *load(const char *name, const char **path_r)
{
    struct problem problem;
    struct token_key *loaded = NULL;
    *path_r = arena_printf(arena, "%s/%s", folder, name);
    ck_assert_msg(token_key_load(*path_r, &loaded, &problem), "%s", problem.text);
    return loaded;
}

static void begin(void)
{
    arena = arena_new();
    folder_make(folder);
    key = load("one", &paths[0]);
    other = load("another", &paths[1]);
}

static void end(void)
{
    folder_remove(folder);
    token_key_free(&key);
    token_key_free(&other);
    arena_free(&arena);
}

static const struct reference examples[] = {
    {0, "", ""},
    {INT64_C(1795000000123), "4jbqC64kngz1bf1c", "alice@example.test"},
    {INT64_C(1795000000123), "868E3A74626", "\xc3\xa4@b.test"},
};

START_TEST(test_there_and_back)
{
    struct reference read;
    const char *text = reference_make(key, arena, &examples[_i]);
    ck_assert_int_eq(reference_read(key, arena, text, &read), 1);
    ck_assert_int_eq(read.at_ms, examples[_i].at_ms);
    ck_assert_str_eq(read.queue_id, examples[_i].queue_id);
    ck_assert_str_eq(read.mailbox, examples[_i].mailbox);
    ck_assert_str_ne(reference_make(key, arena, &examples[_i]), text);
    ck_assert_int_eq(reference_read(other, arena, text, &read), 0);
}
END_TEST

/* A header of the longest one is a line that mail may have, RFC 5322 section 2.1.1. */
START_TEST(test_longest)
{
    char queue_id[64 + 1], mailbox[254 + 1];
    struct reference read;
    memset(queue_id, 'q', sizeof queue_id - 1);
    memset(mailbox, 'm', sizeof mailbox - 1);
    queue_id[sizeof queue_id - 1] = mailbox[sizeof mailbox - 1] = '\0';
    const char *text = reference_make(key, arena, &(struct reference){1, queue_id, mailbox});
    ck_assert_uint_le(strlen(REFERENCE_HEADER ": ") + strlen(text), 998);
    ck_assert_int_eq(reference_read(key, arena, text, &read), 1);
    ck_assert_str_eq(read.mailbox, mailbox);
    ck_assert_str_eq(read.queue_id, queue_id);
}
END_TEST

START_TEST(test_every_change_is_seen)
{
    struct reference read;
    const char *text = reference_make(key, arena, &examples[1]);
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        char *changed = arena_strdup(arena, text);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        ck_assert_int_eq(reference_read(key, arena, changed, &read), 0);
        changed = arena_strndup(arena, text, i);
        ck_assert_int_eq(reference_read(key, arena, changed, &read), 0);
    }
    ck_assert_int_eq(reference_read(key, arena, arena_printf(arena, "%sA", text), &read), 0);
}
END_TEST

START_TEST(test_any_text)
{
    struct reference read;
    char long_text[5000];
    memset(long_text, 'A', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    ck_assert_int_eq(reference_read(key, arena, long_text, &read), 0);
    ck_assert_int_eq(reference_read(key, arena, "", &read), 0);
    ck_assert_int_eq(reference_read(key, arena, "=?utf-8?", &read), 0);
}
END_TEST

/* A status link is no reference, and the other way round. */
START_TEST(test_purposes)
{
    struct reference reference;
    struct status_link link = {.mailbox = "alice@example.test", .made_ms = 1, .expires_ms = 100};
    ck_assert_int_eq(reference_read(key, arena, token_make(key, arena, &link), &reference), 0);
    ck_assert_int_eq(token_read(key, arena, reference_make(key, arena, &examples[1]), 1, &link), 0);
}
END_TEST

START_TEST(test_seal_of_every_length)
{
    unsigned char derived[SEAL_KEY_BYTES], bytes[SEAL_MAX_BYTES], opened[SEAL_MAX_BYTES];
    token_key_derive(key, "test", derived);
    const struct seal_purpose purpose = {derived, "test"}, another = {derived, "tesu"};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        size_t opened_length;
        const char *text = seal_make(&purpose, arena, bytes, length);
        ck_assert_int_eq(seal_open(&purpose, text, opened, &opened_length), 1);
        ck_assert_uint_eq(opened_length, length);
        ck_assert_int_eq(memcmp(opened, bytes, length), 0);
        ck_assert_int_eq(seal_open(&another, text, opened, &opened_length), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reference");
    TCase *cases = tcase_create("reference");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_loop_test(cases, test_there_and_back, 0, (int)countof(examples));
    tcase_add_test(cases, test_longest);
    tcase_add_test(cases, test_every_change_is_seen);
    tcase_add_test(cases, test_any_text);
    tcase_add_test(cases, test_purposes);
    tcase_add_test(cases, test_seal_of_every_length);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
