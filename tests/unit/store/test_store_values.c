/* Versioned values in both backends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/values.h"
#include "tests/unit/store/backends.h"

static struct values_done done;

/* ---- steps ------------------------------------------------------------------------------- */

static struct value_change change_of(enum value_kind kind, const char *key, const char *text,
                                     uint32_t replaces)
{
    return (struct value_change){
        .value = {.kind = kind, .key = key, .bytes = text, .length = strlen(text),
                  .until_ms = UNTIL_LIFTED},
        .replaces = replaces};
}

static struct values_step step_of(const struct value_change *changes, size_t count, int64_t now_ms)
{
    return (struct values_step){.changes = changes, .count = count, .now_ms = now_ms};
}

static int take_step(const struct values_step *step)
{
    int result = store_values_change(store, step, &done);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    return result;
}

static int change(const struct value_change *changes, size_t count)
{
    struct values_step step = step_of(changes, count, NOW);
    return take_step(&step);
}

/* A step of one value. */
static int put(enum value_kind kind, const char *key, const char *text, uint32_t replaces)
{
    struct value_change one = change_of(kind, key, text, replaces);
    return change(&one, 1);
}

static uint32_t put_new(enum value_kind kind, const char *key, const char *text)
{
    ck_assert_int_eq(put(kind, key, text, 0), 1);
    return done.versions[0];
}

/* The text of a value, NULL for none. */
static const char *text_of(enum value_kind kind, const char *key, int64_t now_ms)
{
    struct value value;
    int result = store_value(store, arena, kind, key, now_ms, &value);
    ck_assert_msg(result >= 0, "%s", store_error(store));
    if (result == 0)
        return NULL;
    ck_assert_str_eq(value.key, key);
    ck_assert_int_eq(value.kind, kind);
    ck_assert_uint_eq(strlen(value.bytes), value.length);
    return value.bytes;
}

START_TEST(a_value_has_versions)
{
    struct value value;
    backend_begin(_i);
    ck_assert_ptr_null(text_of(VALUE_TRACE, "1 a", NOW));
    uint32_t first = put_new(VALUE_TRACE, "1 a", "one");
    ck_assert_uint_gt(first, 0);
    ck_assert_uint_lt(first, VALUE_ANY);
    ck_assert_int_eq(store_value(store, arena, VALUE_TRACE, "1 a", NOW, &value), 1);
    ck_assert_uint_eq(value.version, first);
    ck_assert_int_eq(value.until_ms, UNTIL_LIFTED);
    ck_assert_int_eq(put(VALUE_TRACE, "1 a", "two", first), 1);
    uint32_t second = done.versions[0];
    ck_assert_uint_ne(second, first);
    ck_assert_int_eq(put(VALUE_TRACE, "1 a", "three", first), 0);
    ck_assert_uint_eq(done.refused, 0);
    ck_assert_int_eq(put(VALUE_TRACE, "1 a", "three", 0), 0);
    ck_assert_str_eq(text_of(VALUE_TRACE, "1 a", NOW), "two");
    ck_assert_int_eq(put(VALUE_TRACE, "1 a", "three", VALUE_ANY), 1);
    ck_assert_uint_ne(done.versions[0], second);
    ck_assert_int_eq(put(VALUE_TRACE, "1 b", "new", VALUE_ANY), 1);
    ck_assert_int_eq(put(VALUE_TRACE, "1 c", "x", first), 0); /* there is none */
    ck_assert_ptr_null(text_of(VALUE_TRACE, "1 c", NOW));
    ck_assert_ptr_null(text_of(VALUE_OPEN, "1 a", NOW)); /* another kind */
    ck_assert_str_eq(text_of(VALUE_TRACE, "1 b", NOW), "new");
}
END_TEST

START_TEST(a_value_is_removed)
{
    backend_begin(_i);
    uint32_t first = put_new(VALUE_OPEN, "q", "one");
    ck_assert_int_eq(put(VALUE_OPEN, "q", "", first - 1), 0);
    ck_assert_int_eq(put(VALUE_OPEN, "q", "", first), 1);
    ck_assert_uint_eq(done.versions[0], 0);
    ck_assert_ptr_null(text_of(VALUE_OPEN, "q", NOW));
    ck_assert_int_eq(put(VALUE_OPEN, "q", "", 0), 1); /* nothing is there, nor comes */
    ck_assert_int_eq(put(VALUE_OPEN, "q", "", first), 0);
    uint32_t again = put_new(VALUE_OPEN, "q", "two");
    ck_assert_uint_ne(again, first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store values");
    TCase *cases = backends_case(suite, "values");
    tcase_add_loop_test(cases, a_value_has_versions, 0, 1);
    tcase_add_loop_test(cases, a_value_is_removed, 0, 1);
    return backends_run(suite);
}
