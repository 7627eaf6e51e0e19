/* What programs keep for themselves, and tries, in both backends. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/kept.h"
#include "tests/unit/store/backends.h"

static struct kept kept_of(const char *key, const char *value, int64_t until_ms)
{
    return (struct kept){.key = key, .value = value, .until_ms = until_ms};
}

static void keep(enum kept_kind kind, const char *key, const char *value, int64_t until_ms,
                 int64_t now_ms)
{
    struct kept kept = kept_of(key, value, until_ms);
    ck_assert_msg(store_keep(store, kind, &kept, now_ms, NULL) == 1, "%s", store_error(store));
}

static int keep_new(enum kept_kind kind, const char *key, const char *value, int64_t until_ms,
                    int64_t now_ms)
{
    struct kept kept = kept_of(key, value, until_ms);
    int result = store_keep_new(store, kind, &kept, now_ms, NULL);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    return result;
}

/* The value under a key, NULL when there is none. */
static const char *value_of(enum kept_kind kind, const char *key, int64_t now_ms)
{
    struct kept kept;
    int result = store_kept(store, arena, kind, key, now_ms, &kept);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    if (result == 1)
        ck_assert_str_eq(kept.key, key);
    return result == 1 ? kept.value : NULL;
}

static int forget(enum kept_kind kind, const char *key, int64_t now_ms)
{
    int result = store_forget(store, kind, key, now_ms, NULL);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    return result;
}

/* The keys of a page, with spaces between. */
static const char *keys_of(enum kept_kind kind, const char *after, int64_t now_ms, size_t max)
{
    struct kept kept[64];
    struct store_page page = {.max = max};
    ck_assert_uint_le(max, countof(kept));
    ck_assert_msg(store_kept_list(store, arena, kind, after, now_ms, kept, &page) == 1, "%s",
                  store_error(store));
    ck_assert_uint_le(page.count, max);
    const char *keys = "";
    for (size_t i = 0; i < page.count; i++)
        keys = arena_printf(arena, "%s%s%s", keys, i > 0 ? " " : "", kept[i].key);
    return keys;
}

/* ---- one value ------------------------------------------------------------------------- */

START_TEST(test_keep)
{
    struct kept kept;
    backend_begin(_i);
    ck_assert_ptr_null(value_of(KEPT_STAFF, "agnes", NOW));
    keep(KEPT_STAFF, "agnes", "{\"role\":\"admin\"}", UNTIL_LIFTED, NOW);
    ck_assert_int_eq(store_kept(store, arena, KEPT_STAFF, "agnes", NOW, &kept), 1);
    ck_assert_str_eq(kept.value, "{\"role\":\"admin\"}");
    ck_assert_int_eq(kept.until_ms, UNTIL_LIFTED);
    ck_assert_ptr_nonnull(value_of(KEPT_STAFF, "agnes", NOW + 10000 * DAY_MS));
    keep(KEPT_STAFF, "agnes", "", NOW + DAY_MS, NOW);
    ck_assert_int_eq(store_kept(store, arena, KEPT_STAFF, "agnes", NOW, &kept), 1);
    ck_assert_str_eq(kept.value, "");
    ck_assert_int_eq(kept.until_ms, NOW + DAY_MS);
    ck_assert_int_eq(forget(KEPT_STAFF, "agnes", NOW), 1);
    ck_assert_ptr_null(value_of(KEPT_STAFF, "agnes", NOW));
    ck_assert_int_eq(forget(KEPT_STAFF, "agnes", NOW), 0);
}
END_TEST

START_TEST(test_keep_new)
{
    backend_begin(_i);
    ck_assert_int_eq(keep_new(KEPT_TOKEN, "t", "first", NOW + 10, NOW), 1);
    ck_assert_int_eq(keep_new(KEPT_TOKEN, "t", "second", NOW + 20, NOW + 9), 0);
    ck_assert_str_eq(value_of(KEPT_TOKEN, "t", NOW + 9), "first");
    ck_assert_ptr_null(value_of(KEPT_TOKEN, "t", NOW + 10)); /* nor its end has moved */
    ck_assert_int_eq(keep_new(KEPT_TOKEN, "t", "third", UNTIL_LIFTED, NOW + 10), 1);
    ck_assert_str_eq(value_of(KEPT_TOKEN, "t", NOW + 10), "third");
    ck_assert_int_eq(keep_new(KEPT_TOKEN, "t", "fourth", UNTIL_LIFTED, NOW + DAY_MS), 0);
    ck_assert_int_eq(forget(KEPT_TOKEN, "t", NOW + DAY_MS), 1);
    ck_assert_int_eq(keep_new(KEPT_TOKEN, "t", "fifth", UNTIL_LIFTED, NOW + DAY_MS), 1);
}
END_TEST

static int keep_over(const char *key, const char *value, const char *before, int64_t now_ms)
{
    struct kept kept = kept_of(key, value, NOW + 100);
    struct action action = action_at(now_ms);
    struct audited audited = {"over", key, "{}", &action};
    int result = store_keep_over(store, KEPT_STAFF, &kept, before, now_ms, &audited);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    return result;
}

/* What others have put meanwhile stays, and the audit log has no entry of what was not done. */
START_TEST(test_keep_over)
{
    struct audit audit[4];
    struct store_page page = {.max = countof(audit)};
    backend_begin(_i);
    ck_assert_int_eq(keep_over("ada", "two", "one", NOW), 0);
    ck_assert_int_eq(keep_over("ada", "two", "", NOW), 0);
    ck_assert_ptr_null(value_of(KEPT_STAFF, "ada", NOW));
    keep(KEPT_STAFF, "ada", "one", NOW + 50, NOW);
    ck_assert_int_eq(keep_over("ada", "two", "On", NOW), 0);
    ck_assert_int_eq(keep_over("ada", "two", "", NOW), 0);
    ck_assert_int_eq(keep_over("ada", "two", "one", NOW), 1);
    ck_assert_int_eq(keep_over("ada", "three", "one", NOW), 0);
    ck_assert_str_eq(value_of(KEPT_STAFF, "ada", NOW + 99), "two");
    ck_assert_int_eq(keep_over("ada", "three", "two", NOW + 100), 0); /* it has ended */
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
}
END_TEST

START_TEST(test_end)
{
    backend_begin(_i);
    keep(KEPT_SESSION, "s", "value", NOW + 8 * HOUR_MS, NOW);
    ck_assert_str_eq(value_of(KEPT_SESSION, "s", NOW + 8 * HOUR_MS - 1), "value");
    ck_assert_str_eq(keys_of(KEPT_SESSION, "", NOW + 8 * HOUR_MS - 1, 4), "s");
    ck_assert_ptr_null(value_of(KEPT_SESSION, "s", NOW + 8 * HOUR_MS));
    ck_assert_str_eq(keys_of(KEPT_SESSION, "", NOW + 8 * HOUR_MS, 4), "");
    ck_assert_int_eq(forget(KEPT_SESSION, "s", NOW + 8 * HOUR_MS), 0);
    /* what is over before it begins replaces what was there */
    keep(KEPT_SESSION, "t", "value", NOW + DAY_MS, NOW);
    keep(KEPT_SESSION, "t", "value", NOW, NOW);
    ck_assert_ptr_null(value_of(KEPT_SESSION, "t", NOW));
    ck_assert_str_eq(keys_of(KEPT_SESSION, "", NOW, 4), "s");
}
END_TEST

/* An end that was there before says nothing of what is kept now. */
START_TEST(test_replaced_end)
{
    backend_begin(_i);
    keep(KEPT_SESSION, "longer", "1", NOW + 5, NOW);
    keep(KEPT_SESSION, "longer", "2", NOW + HOUR_MS, NOW);
    keep(KEPT_SESSION, "ever", "1", NOW + 5, NOW);
    keep(KEPT_SESSION, "ever", "2", UNTIL_LIFTED, NOW);
    keep(KEPT_SESSION, "shorter", "1", UNTIL_LIFTED, NOW);
    keep(KEPT_SESSION, "shorter", "2", NOW + 5, NOW);
    /* tidying goes by other actions, and by the clock of who actions */
    keep(KEPT_TOKEN, "other", "", UNTIL_LIFTED, NOW + HOUR_MS - 1);
    ck_assert_int_eq(store_sweep(store, NOW + HOUR_MS - 1), 1);
    ck_assert_str_eq(keys_of(KEPT_SESSION, "", NOW + HOUR_MS - 1, 4), "ever longer");
    ck_assert_str_eq(value_of(KEPT_SESSION, "longer", NOW + HOUR_MS - 1), "2");
    ck_assert_str_eq(value_of(KEPT_SESSION, "ever", NOW + HOUR_MS - 1), "2");
    ck_assert_ptr_null(value_of(KEPT_SESSION, "shorter", NOW + HOUR_MS - 1));
}
END_TEST

START_TEST(test_kinds_are_apart)
{
    backend_begin(_i);
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        keep((enum kept_kind)kind, "same", kept_kind_names[kind], UNTIL_LIFTED, NOW);
    ck_assert_int_eq(forget(KEPT_STAFF, "same", NOW), 1);
    ck_assert_ptr_null(value_of(KEPT_STAFF, "same", NOW));
    ck_assert_str_eq(keys_of(KEPT_STAFF, "", NOW, 4), "");
    for (int kind = KEPT_STAFF + 1; kind < KEPT_KIND_COUNT; kind++) {
        ck_assert_str_eq(value_of((enum kept_kind)kind, "same", NOW), kept_kind_names[kind]);
        ck_assert_str_eq(keys_of((enum kept_kind)kind, "", NOW, 4), "same");
    }
}
END_TEST

/* ---- lists --------------------------------------------------------------------------------- */

START_TEST(test_list)
{
    enum { KEYS = 700, PAGE = 64 };
    backend_begin(_i);
    for (int i = KEYS - 1; i >= 0; i--) /* every third one ends soon */
        keep(KEPT_BLOCK, arena_printf(arena, "key %03d", i), "v",
             i % 3 == 0 ? NOW + 10 : UNTIL_LIFTED, NOW);
    struct kept kept[PAGE];
    struct store_page page = {.max = PAGE};
    const char *after = "";
    int next = 1;
    do {
        ck_assert_int_eq(
            store_kept_list(store, arena, KEPT_BLOCK, after, NOW + 10, kept, &page), 1);
        for (size_t i = 0; i < page.count; i++, next += next % 3 == 1 ? 1 : 2) {
            ck_assert_str_eq(kept[i].key, arena_printf(arena, "key %03d", next));
            ck_assert_str_eq(kept[i].value, "v");
            ck_assert_int_eq(kept[i].until_ms, UNTIL_LIFTED);
        }
        if (page.count > 0)
            after = kept[page.count - 1].key;
    } while (page.more);
    ck_assert_int_ge(next, KEYS);
}
END_TEST

/* By bytes, whatever the locale; a key may hold anything but NUL. */
START_TEST(test_order_of_keys)
{
    backend_begin(_i);
    static const char *const keys[] = {"\xc3\xa4", "b", "B", "a b", "a", "a\nb", "-", "10", "9"};
    for (size_t i = 0; i < countof(keys); i++)
        keep(KEPT_STAFF, keys[i], "", UNTIL_LIFTED, NOW);
    ck_assert_str_eq(keys_of(KEPT_STAFF, "", NOW, 16), "- 10 9 B a a\nb a b b \xc3\xa4");
    ck_assert_str_eq(keys_of(KEPT_STAFF, "B", NOW, 2), "a a\nb");
    ck_assert_str_eq(keys_of(KEPT_STAFF, "A", NOW, 1), "B");
    ck_assert_str_eq(keys_of(KEPT_STAFF, "\xc3\xa4", NOW, 16), "");
}
END_TEST

/* ---- sizes --------------------------------------------------------------------------------- */

static char *repeated(char character, size_t length)
{
    char *text = arena_alloc(arena, length + 1);
    memset(text, character, length);
    return text;
}

START_TEST(test_sizes)
{
    backend_begin(_i);
    const char *key = repeated('k', KEPT_KEY_MAX), *value = repeated('v', KEPT_VALUE_MAX);
    keep(KEPT_STAFF, key, value, UNTIL_LIFTED, NOW);
    ck_assert_str_eq(value_of(KEPT_STAFF, key, NOW), value);
    ck_assert_str_eq(keys_of(KEPT_STAFF, "", NOW, 1), key);
    const struct kept wrong[] = {
        kept_of("", "v", UNTIL_LIFTED),
        kept_of(repeated('k', KEPT_KEY_MAX + 1), "v", UNTIL_LIFTED),
        kept_of("k", repeated('v', KEPT_VALUE_MAX + 1), UNTIL_LIFTED),
    };
    for (size_t i = 0; i < countof(wrong); i++) {
        ck_assert_int_eq(store_keep(store, KEPT_TOKEN, &wrong[i], NOW, NULL), -1);
        ck_assert_str_ne(store_error(store), "");
    }
    ck_assert_str_eq(keys_of(KEPT_TOKEN, "", NOW, 4), "");
}
END_TEST

/* ---- with an entry of the audit log --------------------------------------------------------- */

/* The actions in the audit log, with spaces between. */
static const char *actions_logged(void)
{
    struct audit audit[16];
    struct store_page page = {.max = countof(audit)};
    const char *actions = "";
    ck_assert_int_eq(store_audit(store, 0, audit, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        actions = arena_printf(arena, "%s%s%s", actions, i > 0 ? " " : "", audit[i].action);
    return actions;
}

START_TEST(test_audited)
{
    backend_begin(_i);
    struct action action = action_at(NOW);
    struct audited add = {"staff add", "bert", "{\"role\":\"viewer\"}", &action};
    struct audited removed = {"staff remove", "bert", "{}", &action};
    struct kept kept = kept_of("bert", "v", UNTIL_LIFTED);
    ck_assert_int_eq(store_keep_new(store, KEPT_STAFF, &kept, NOW, &add), 1);
    ck_assert_int_eq(store_keep_new(store, KEPT_STAFF, &kept, NOW, &add), 0);
    ck_assert_str_eq(actions_logged(), "staff add");
    ck_assert_int_eq(store_keep(store, KEPT_STAFF, &kept, NOW, &add), 1);
    ck_assert_int_eq(store_forget(store, KEPT_STAFF, "bert", NOW, &removed), 1);
    ck_assert_int_eq(store_forget(store, KEPT_STAFF, "bert", NOW, &removed), 0);
    ck_assert_str_eq(actions_logged(), "staff add staff add staff remove");
    struct audit audit;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit_newest(store, "bert", INT64_MAX, &audit, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_str_eq(audit.action, "staff remove");
    ck_assert_str_eq(audit.by, "agnes");
    ck_assert_str_eq(audit.note, "asked by telephone");
    ck_assert_str_eq(audit.detail, "{}");
    ck_assert_int_eq(audit.at_ms, NOW);
}
END_TEST

/* ---- tries --------------------------------------------------------------------------------------- */

struct tried {
    int result;
    uint32_t count;
    int64_t free_at_ms;
};

static struct tried try_once(const char *key, int64_t now_ms, uint32_t max)
{
    struct tried tried = {0};
    tried.result =
        store_try(store, key, now_ms, HOUR_MS, max, &tried.count, &tried.free_at_ms);
    ck_assert_msg(tried.result >= 0, "%s", store_error(store));
    return tried;
}

START_TEST(test_try)
{
    backend_begin(_i);
    for (uint32_t i = 0; i < 3; i++) {
        struct tried tried = try_once("k", NOW + i * MINUTE_MS, 3);
        ck_assert_int_eq(tried.result, 1);
        ck_assert_uint_eq(tried.count, i + 1);
    }
    for (int i = 0; i < 2; i++) { /* what is refused is not counted */
        struct tried refused = try_once("k", NOW + HOUR_MS - 1, 3);
        ck_assert_int_eq(refused.result, 0);
        ck_assert_int_eq(refused.free_at_ms, NOW + HOUR_MS);
    }
    ck_assert_int_eq(try_once("k", NOW + HOUR_MS, 3).count, 3);
    struct tried refused = try_once("k", NOW + HOUR_MS, 3);
    ck_assert_int_eq(refused.result, 0);
    ck_assert_int_eq(refused.free_at_ms, NOW + HOUR_MS + MINUTE_MS);
    ck_assert_uint_eq(try_once("other", NOW + HOUR_MS, 3).count, 1);
    ck_assert_int_eq(store_forget(store, KEPT_TRIES, "k", NOW + HOUR_MS, NULL), 1);
    ck_assert_uint_eq(try_once("k", NOW + HOUR_MS, 3).count, 1);
    ck_assert_uint_eq(try_once("other", NOW + HOUR_MS, 3).count, 2);
}
END_TEST

/* A clock that is a year ahead for a while uses up no tries of the year. */
START_TEST(test_try_wrong_clock)
{
    backend_begin(_i);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(try_once("k", NOW + 365 * DAY_MS, 3).result, 1);
    ck_assert_uint_eq(try_once("k", NOW, 3).count, 1);
    ck_assert_uint_eq(try_once("k", NOW + CLOCK_AHEAD_MS, 3).count, 2); /* may be right */
    ck_assert_uint_eq(try_once("k", NOW, 3).count, 3);
    ck_assert_int_eq(try_once("k", NOW, 3).free_at_ms, NOW + HOUR_MS);
}
END_TEST

START_TEST(test_try_limits)
{
    backend_begin(_i);
    for (uint32_t i = 0; i < TRIES_MAX; i++)
        ck_assert_int_eq(try_once("k", NOW + i, TRIES_MAX).result, 1);
    struct tried full = try_once("k", NOW + HOUR_MS - 1, TRIES_MAX);
    ck_assert_int_eq(full.result, 0);
    ck_assert_int_eq(full.free_at_ms, NOW + HOUR_MS);
    ck_assert_uint_eq(try_once("k", NOW + HOUR_MS, TRIES_MAX).count, TRIES_MAX);
    ck_assert_uint_eq(try_once("k", NOW + 3 * HOUR_MS, TRIES_MAX).count, 1);
    uint32_t count;
    int64_t free_at_ms;
    ck_assert_int_eq(store_try(store, "k", NOW, HOUR_MS, 0, &count, &free_at_ms), -1);
    ck_assert_int_eq(store_try(store, "k", NOW, HOUR_MS, TRIES_MAX + 1, &count, &free_at_ms), -1);
    ck_assert_int_eq(store_try(store, "", NOW, HOUR_MS, 1, &count, &free_at_ms), -1);
}
END_TEST

enum { THREADS = 16, PLACES = 3 };

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    const char *key;
    int result;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    uint32_t count;
    int64_t free_at_ms;
    pthread_barrier_wait(racer->start);
    racer->result = store_try(store, racer->key, NOW + 1, HOUR_MS, PLACES, &count, &free_at_ms);
    return NULL;
}

/* Of those who want the last place at once exactly one gets it. */
START_TEST(test_try_in_parallel)
{
    backend_begin(_i);
    for (int round = 0; round < 100; round++) {
        struct racer racers[THREADS];
        pthread_barrier_t start;
        const char *key = arena_printf(arena, "round %d", round);
        pthread_barrier_init(&start, NULL, THREADS);
        for (int i = 1; i < PLACES; i++)
            ck_assert_int_eq(try_once(key, NOW, PLACES).result, 1);
        for (size_t i = 0; i < THREADS; i++) {
            racers[i] = (struct racer){.start = &start, .key = key, .result = -1};
            ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        int admitted = 0;
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(racers[i].thread, NULL);
            ck_assert_int_ge(racers[i].result, 0);
            admitted += racers[i].result;
        }
        pthread_barrier_destroy(&start);
        ck_assert_int_eq(admitted, 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store kept");
    TCase *cases = backends_case(suite, "kept");
    tcase_add_loop_test(cases, test_keep, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_keep_new, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_keep_over, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_replaced_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_kinds_are_apart, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_list, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_order_of_keys, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sizes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audited, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_try, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_try_wrong_clock, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_try_limits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_try_in_parallel, 0, BACKEND_KINDS);
    return backends_run(suite);
}
