/* From facts to words: moments by distance in several time zones and languages, words of
 * ours, plurals, lists. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/zone.h"
#include "store/adjustments.h"
#include "tests/unit/guard/guard_rig.h"
#include "text/present.h"

/* NOW is Saturday, 2025-11-22T05:40:00Z: 06:40 in Berlin, 14:40 in Tokyo. */

static struct catalogue *catalogue;

static void setup(void)
{
    arena = arena_new();
    catalogue = rig_catalogue();
}

static void teardown(void)
{
    catalogue_free(&catalogue);
    arena_free(&arena);
}

static struct json_object *presented(const char *view, const char *language, const char *zone)
{
    struct json_object *tree = json_read(view);
    ck_assert_msg(tree != NULL, "no JSON: %s", view);
    present(tree, &(struct reader){catalogue, language, zone, NOW});
    return tree;
}

/* ---- moments ---------------------------------------------------------------------------- */

static const struct {
    const char *moment, *zone, *language, *text, *in;
} moments[] = {
    /* rounded up when it is to come, cut off when it is past */
    {"2025-11-22T05:40:00Z", "UTC", "en", "05:40", "now"},
    {"2025-11-22T05:39:01Z", "UTC", "en", "05:39", "now"},
    {"2025-11-22T05:40:01Z", "UTC", "en", "05:40", "now"}, /* a whole second of what just was */
    {"2025-11-22T05:40:02Z", "UTC", "en", "05:41", "in 1 min"},
    {"2025-11-22T05:39:00Z", "UTC", "en", "05:39", "1 min ago"},
    {"2025-11-22T06:38:01Z", "UTC", "en", "06:39", "in 59 min"},
    {"2025-11-22T06:40:00Z", "UTC", "en", "06:40", "in 1 h"},
    {"2025-11-22T09:00:00Z", "UTC", "en", "09:00", "in 3 h 20 min"},
    {"2025-11-22T03:10:00Z", "UTC", "en", "03:10", "2 h 30 min ago"},
    {"2025-11-22T23:59:01Z", "UTC", "en", "Sunday 00:00", "in 18 h 20 min"},
    {"2025-11-23T05:39:00Z", "UTC", "en", "Sunday 05:39", "in 23 h 59 min"},
    {"2025-11-23T05:50:00Z", "UTC", "en", "Sunday 05:50", "in 24 h"},
    {"2025-11-24T05:39:00Z", "UTC", "en", "Monday 05:39", "in 47 h"},
    {"2025-11-24T05:40:00Z", "UTC", "en", "Monday 05:40", "in 2 days"},
    {"2025-11-24T17:40:00Z", "UTC", "en", "Monday 17:40", "in 3 days"},
    {"2025-11-28T05:40:00Z", "UTC", "en", "Friday 05:40", "in 6 days"},
    {"2025-11-29T05:40:00Z", "UTC", "en", "29 November 05:40", "in 7 days"},
    {"2025-11-16T23:00:00Z", "UTC", "en", "Sunday 23:00", "5 days ago"},
    {"2025-11-15T23:00:00Z", "UTC", "en", "15 November 23:00", "6 days ago"},
    {"2026-01-01T05:40:00Z", "UTC", "en", "1 January 2026 05:40", "in 40 days"},
    /* elsewhere it is another hour, another day, another year */
    {"2025-11-22T13:05:00Z", "Europe/Berlin", "en", "14:05", "in 7 h 25 min"},
    {"2025-11-22T15:05:00Z", "Asia/Tokyo", "en", "Sunday 00:05", "in 9 h 25 min"},
    {"2025-11-21T23:05:00Z", "Europe/Berlin", "en", "00:05", "6 h 35 min ago"},
    {"2025-11-21T22:55:00Z", "Europe/Berlin", "en", "Friday 23:55", "6 h 45 min ago"},
    {"2025-12-31T23:30:00Z", "Europe/Berlin", "en", "1 January 2026 00:30", "in 40 days"},
    {"2025-12-31T23:30:00Z", "America/New_York", "en", "31 December 18:30", "in 40 days"},
    {"2025-07-01T12:00:00Z", "Europe/Berlin", "en", "1 July 14:00", "144 days ago"},
    {"2025-11-22T12:00:00Z", "Asia/Kathmandu", "en", "17:45", "in 6 h 20 min"},
    {"2025-11-22T13:05:00Z", "No/Such_Zone", "en", "13:05", "in 7 h 25 min"},
    {"2025-11-22T13:05:00Z", NULL, "en", "13:05", "in 7 h 25 min"},
    {"2025-11-22T13:05:00Z", "../../../etc/localtime", "en", "13:05", "in 7 h 25 min"},
    /* in other languages */
    {"2025-11-24T13:05:00Z", "Europe/Berlin", "de", "Montag, 14:05", "in 2 Tagen"},
    {"2025-12-03T13:05:00Z", "Europe/Berlin", "de", "3. Dezember, 14:05", "in 11 Tagen"},
    {"2025-11-22T02:20:00Z", "Europe/Berlin", "de", "03:20", "vor 3 Std. 20 Min."},
    {"2025-11-24T13:05:00Z", "Europe/Paris", "fr", "lundi 14:05", "dans 2 jours"},
    {"2025-12-01T13:05:00Z", "Europe/Paris", "fr", "1er décembre 14:05", "dans 9 jours"},
    {"2025-12-02T13:05:00Z", "Europe/Paris", "fr", "2 décembre 14:05", "dans 10 jours"},
    {"2024-12-03T13:05:00Z", "Europe/Madrid", "es", "3 de diciembre de 2024 14:05",
     "hace 354 días"},
};

START_TEST(test_moment)
{
    const char *view = arena_printf(arena, "{\"retry_at\":\"%s\"}", moments[_i].moment);
    freed_by(json_put) struct json_object *tree =
        presented(view, moments[_i].language, moments[_i].zone);
    ck_assert_str_eq(rig_text(tree, "retry_at"), moments[_i].moment);
    ck_assert_msg(strcmp(rig_text(tree, "retry_at_text"), moments[_i].text) == 0 &&
                      strcmp(rig_text(tree, "retry_at_in"), moments[_i].in) == 0,
                  "%s: %s, %s", moments[_i].moment, rig_text(tree, "retry_at_text"),
                  rig_text(tree, "retry_at_in"));
    int64_t time_ms;
    ck_assert_int_eq(zone_moment_read(moments[_i].moment, &time_ms), 1);
    const struct reader reader = {catalogue, moments[_i].language, moments[_i].zone, NOW};
    ck_assert_str_eq(present_moment(arena, &reader, time_ms), moments[_i].text);
}
END_TEST

START_TEST(test_which_members_are_moments)
{
    freed_by(json_put) struct json_object *tree = presented(
        "{\"at\":\"2025-11-22T05:40:00Z\",\"since\":\"2025-11-22T05:40:00Z\",\"until\":null,"
        "\"created_at\":\"2025-11-22T05:40:00Z\",\"_at\":\"2025-11-22T05:40:00Z\","
        "\"that\":\"2025-11-22T05:40:00Z\",\"free_at\":\"tomorrow\",\"last_at\":7}",
        "en", NULL);
    ck_assert(rig_has(tree, "at_text") && rig_has(tree, "at_in"));
    ck_assert(rig_has(tree, "since_text") && rig_has(tree, "created_at_text"));
    static const char *const none[] = {"until_text", "_at_text", "that_text", "free_at_text",
                                       "last_at_text"};
    for (size_t i = 0; i < countof(none); i++)
        ck_assert_msg(!rig_has(tree, none[i]), "%s", none[i]);
}
END_TEST

/* ---- words ------------------------------------------------------------------------------ */

START_TEST(test_words)
{
    freed_by(json_put) struct json_object *tree =
        presented("{\"rule\":\"messages_per_day\",\"cause\":\"volume\",\"state\":\"<b>\","
                  "\"channel\":null,\"note\":\"volume\",\"role\":\"\",\"field\":\"to\"}",
                  "de", NULL);
    ck_assert_str_eq(rig_text(tree, "rule_text"), "Nachrichten in 24 Stunden");
    ck_assert_str_eq(rig_text(tree, "rule_is.messages_per_day"), "true");
    ck_assert_str_eq(rig_text(tree, "cause_text"), "zu viele Nachrichten");
    ck_assert_str_eq(rig_text(tree, "field_text"), "An");
    ck_assert_str_eq(rig_text(tree, "state_is.<b>"), "true");
    ck_assert(!rig_has(tree, "state_text"));
    ck_assert(!rig_has(tree, "channel_text") && !rig_has(tree, "channel_is"));
    ck_assert(!rig_has(tree, "note_text") && !rig_has(tree, "role_text"));
}
END_TEST

/* Every word that the program can say has its text. */
START_TEST(test_all_words)
{
    const struct {
        const char *key;
        const char *const *words;
        int count;
    } kinds[] = {
        {"cause", cause_names, CAUSE_COUNT},
        {"channel", channel_names, CHANNEL_COUNT},
        {"outcome", outcome_names, OUTCOME_COUNT},
        {"action", adjust_kind_names, ADJUST_KIND_COUNT},
        {"field", field_names, FIELD_COUNT},
        {"action", (const char *const[]){"suspend", "lift", "reset", "note"}, 4},
        {"role", (const char *const[]){"viewer", "support", "admin"}, 3},
        {"state", (const char *const[]){"ok", "full", "paused", "stopped"}, 4},
        {"source", (const char *const[]){"settings", "domain", "mailbox"}, 3},
        {"verdict", (const char *const[]){"admit", "refuse", "admitted", "message", "over_time",
                                          "suspended"}, 6},
    };
    for (size_t i = 0; i < countof(kinds); i++)
        for (int k = 0; k < kinds[i].count; k++) {
            const char *key = arena_printf(arena, "%s.%s", kinds[i].key, kinds[i].words[k]);
            ck_assert_msg(catalogue_has_own(catalogue, "en", key), "no text %s", key);
        }
    for (int rule = 0; rule < RULE_COUNT; rule++)
        ck_assert(catalogue_has_own(catalogue, "en",
                                    arena_printf(arena, "rule.%s", rule_table[rule].name)));
}
END_TEST

/* A text may use what stands before it in the object. */
START_TEST(test_order)
{
    folder_make(folder);
    const char *language = arena_printf(arena, "%s/en", folder);
    ck_assert_int_eq(mkdir(language, 0700), 0);
    FILE *file = fopen(arena_printf(arena, "%s/own.json", language), "we");
    fputs("{\"headline.later\": \"until {{until_text}}{{after_text}}\"}", file);
    fclose(file);
    struct problem problem;
    catalogue_free(&catalogue);
    ck_assert_int_eq(catalogue_load(folder, &catalogue, &problem), 1);
    folder_remove(folder);
    freed_by(json_put) struct json_object *tree =
        presented("{\"until\":\"2025-11-22T06:00:00Z\",\"headline\":\"later\"}", "en", NULL);
    ck_assert_str_eq(rig_text(tree, "headline_text"), "until 06:00");
}
END_TEST

/* ---- numbers and lists --------------------------------------------------------------------- */

START_TEST(test_plurals)
{
    static const struct {
        const char *language, *zero, *one, *two;
    } expected[] = {{"en", "false", "true", "false"},
                    {"de", "false", "true", "false"},
                    {"es", "false", "true", "false"},
                    {"fr", "true", "true", "false"},
                    {"fr-CA", "true", "true", "false"}};
    for (size_t i = 0; i < countof(expected); i++) {
        freed_by(json_put) struct json_object *tree =
            presented("{\"a\":0,\"b\":1,\"c\":2,\"d\":1.0}", expected[i].language, NULL);
        ck_assert_str_eq(rig_text(tree, "a_one"), expected[i].zero);
        ck_assert_str_eq(rig_text(tree, "b_one"), expected[i].one);
        ck_assert_str_eq(rig_text(tree, "c_one"), expected[i].two);
        ck_assert(!rig_has(tree, "d_one"));
    }
}
END_TEST

START_TEST(test_lists)
{
    freed_by(json_put) struct json_object *tree =
        presented("{\"none\":[],\"l\":[{\"x\":1,\"inner\":[{\"y\":1}]},{\"x\":2},7],\"one\":[1]}",
                  "en", NULL);
    ck_assert_str_eq(rig_text(tree, "none_any"), "false");
    ck_assert_str_eq(rig_text(tree, "none_count"), "0");
    ck_assert_str_eq(rig_text(tree, "l_any"), "true");
    ck_assert_str_eq(rig_text(tree, "l_count"), "3");
    ck_assert_str_eq(rig_text(tree, "l_count_one"), "false");
    ck_assert_str_eq(rig_text(tree, "one_count_one"), "true");
    ck_assert_str_eq(rig_text(tree, "l.0.first"), "true");
    ck_assert_str_eq(rig_text(tree, "l.0.last"), "false");
    ck_assert_str_eq(rig_text(tree, "l.1.first"), "false");
    ck_assert_str_eq(rig_text(tree, "l.1.last"), "false");
    ck_assert_str_eq(rig_text(tree, "l.0.inner_any"), "true");
    ck_assert_str_eq(rig_text(tree, "l.0.inner.0.last"), "true");
}
END_TEST

START_TEST(test_what_is_there_stays)
{
    freed_by(json_put) struct json_object *tree = presented(
        "{\"at\":\"2025-11-22T05:40:00Z\",\"at_text\":\"mine\",\"n\":1,\"n_one\":\"mine\","
        "\"l\":[{\"first\":\"mine\"}],\"l_count\":\"mine\",\"cause\":\"volume\","
        "\"cause_text\":\"mine\",\"cause_is\":null}",
        "en", NULL);
    static const char *const members[] = {"at_text", "n_one", "l_count", "l.0.first",
                                          "cause_text"};
    for (size_t i = 0; i < countof(members); i++)
        ck_assert_str_eq(rig_text(tree, members[i]), "mine");
    ck_assert(json_member(tree, "cause_is") == NULL);
    ck_assert(rig_has(tree, "at_in"));
}
END_TEST

/* So many members that the object moves while it is added to. */
START_TEST(test_large_object)
{
    freed_by(json_put) struct json_object *tree = json_object_new_object();
    for (int i = 0; i < 1000; i++)
        json_add_int(tree, arena_printf(arena, "n%d", i), i);
    present(tree, &(struct reader){catalogue, "en", NULL, NOW});
    ck_assert_int_eq(json_object_object_length(tree), 3000);
    ck_assert_str_eq(rig_text(tree, "n999_one"), "false");
    ck_assert_str_eq(rig_text(tree, "n999_some"), "true");
    ck_assert_str_eq(rig_text(tree, "n0_some"), "false");
}
END_TEST

START_TEST(test_nothing)
{
    present(NULL, &(struct reader){catalogue, "en", NULL, NOW});
    freed_by(json_put) struct json_object *tree = presented("\"at\"", "en", NULL);
    ck_assert_str_eq(json_object_get_string(tree), "at");
}
END_TEST

/* ---- time zones ------------------------------------------------------------------------------- */

START_TEST(test_zones)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires",
                                        "Etc/GMT+5", "GMT", "Asia/Calcutta"};
    static const char *const others[] = {
        NULL,         "",           "Europe",          "Europe/",       "/usr/share/zoneinfo/UTC",
        "../zoneinfo/UTC", "Europe/../UTC", "zone.tab", "tzdata.zi", "leapseconds",
        "Europe/Berlin ", "Europe\\Berlin", "Nowhere",   "Europe/Berlin\n", "+01:00",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < countof(zones); i++)
        ck_assert_msg(zone_exists(zones[i]), "%s", zones[i]);
    for (size_t i = 0; i < countof(others); i++)
        ck_assert_msg(!zone_exists(others[i]), "%s", others[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("present");
    TCase *tests = tcase_create("present");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_moment, 0, countof(moments));
    tcase_add_test(tests, test_which_members_are_moments);
    tcase_add_test(tests, test_words);
    tcase_add_test(tests, test_all_words);
    tcase_add_test(tests, test_order);
    tcase_add_test(tests, test_plurals);
    tcase_add_test(tests, test_lists);
    tcase_add_test(tests, test_what_is_there_stays);
    tcase_add_test(tests, test_large_object);
    tcase_add_test(tests, test_nothing);
    tcase_add_test(tests, test_zones);
    suite_add_tcase(suite, tests);
    return backends_run(suite);
}
