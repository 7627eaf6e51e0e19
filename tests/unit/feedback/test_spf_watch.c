/* When SPF records are looked at, and what is kept of them, on both stores. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "feedback/spf_watch.h"
#include "store/values.h"
#include "tests/unit/store/backends.h"

#define GOOD "v=spf1 ip4:192.0.2.1 -all"
#define ALICE "alice@example.test"

static struct spf_watch *watch;
static char *ips[] = {(char[]){"192.0.2.1"}, (char[]){"192.0.2.2"}};
static struct text_list outgoing;

/* The DNS of a test. */
static struct {
    const char *name, *text; /* one record; text NULL: nobody answers */
    int64_t ttl_ms;
    int asked;
} dns;

static enum spf_lookup look_up(void *self, struct arena *of, const char *name, enum spf_type type,
                               struct spf_found *found_r)
{
    (void)self;
    dns.asked++;
    if (dns.text == NULL)
        return SPF_LOOKUP_FAILED;
    if (strcmp(name, dns.name) != 0 || type != SPF_TYPE_TXT)
        return SPF_LOOKUP_VOID;
    found_r->of = arena_alloc(of, sizeof *found_r->of);
    *found_r->of = (struct mail_view){dns.text, strlen(dns.text)};
    found_r->count = 1;
    return SPF_LOOKUP_FOUND;
}

static void begin_check(void *self)
{
    (void)self;
    dns.asked = 0;
}

static int64_t ttl_ms(void *self)
{
    (void)self;
    return dns.ttl_ms;
}

static void dns_says(const char *name, const char *text, int64_t ttl)
{
    dns.name = name;
    dns.text = text;
    dns.ttl_ms = ttl;
}

static void begin(int backend)
{
    backend_begin(backend);
    outgoing = (struct text_list){.items = ips, .count = 1};
    watch = spf_watch_new(store, "mx1");
}

static void end(void) { spf_watch_free(&watch); }

static int check(int64_t now_ms)
{
    const struct spf_watch_names names = {{look_up, NULL}, begin_check, ttl_ms};
    return spf_watch_check(watch, &outgoing, &names, now_ms);
}

/* What is kept under a key, which lives until the next call; NULL: nothing. */
static struct json_object *kept(const char *key, int64_t now_ms)
{
    static struct json_object *view;
    struct value value;
    json_put(&view);
    int found = store_value(store, arena, VALUE_SPF, key, now_ms, &value);
    ck_assert_int_ge(found, 0);
    view = found > 0 ? json_read(value.bytes) : NULL;
    return view;
}

static void names_us(int64_t now_ms, const char *expected)
{
    struct json_object *view = kept("example.test", now_ms);
    ck_assert_ptr_nonnull(view);
    struct json_object *member = json_member(view, "names_us");
    ck_assert_str_eq(member != NULL ? json_object_to_json_string(member) : "null", expected);
}

START_TEST(test_first_sight_and_ttl)
{
    begin(_i);
    dns_says("example.test", GOOD, HOUR_MS);
    ck_assert_int_eq(check(NOW), 0);
    spf_watch_saw(watch, ALICE, NOW);
    spf_watch_saw(watch, "bob@example.test", NOW);
    spf_watch_saw(watch, "root@localhost", NOW);
    ck_assert_int_eq(check(NOW), 1);
    ck_assert_int_eq(check(NOW), 0);
    names_us(NOW, "true");
    ck_assert_int_eq(json_int(kept("example.test", NOW), "since", 0), 0);
    ck_assert_int_eq(check(NOW + HOUR_MS - 1), 0);
    dns_says("example.test", "v=spf1 -all", 0);
    ck_assert_int_eq(check(NOW + HOUR_MS), 1);
    names_us(NOW, "false");
    struct json_object *view = kept("example.test", NOW);
    ck_assert_int_eq(json_int(view, "since", 0), NOW + HOUR_MS);
    ck_assert_str_eq(json_string(view, "terms", ""), "ip4:192.0.2.1");
    ck_assert_int_eq(check(NOW + HOUR_MS + SPF_WATCH_MIN_MS - 1), 0);
    ck_assert_int_eq(check(NOW + HOUR_MS + SPF_WATCH_MIN_MS), 1);
    ck_assert_int_eq(json_int(kept("example.test", NOW), "since", 0), NOW + HOUR_MS);
    dns_says("example.test", GOOD, INT64_MAX);
    ck_assert_int_eq(check(NOW + 2 * HOUR_MS), 1);
    names_us(NOW, "true");
    ck_assert_int_eq(check(NOW + 2 * HOUR_MS + DAY_MS - 1), 0);
    ck_assert_int_eq(check(NOW + 2 * HOUR_MS + DAY_MS), 1);
    end();
}
END_TEST

START_TEST(test_a_failure_is_no_reason)
{
    begin(_i);
    spf_watch_saw(watch, ALICE, NOW);
    dns_says("example.test", NULL, INT64_MAX);
    ck_assert_int_eq(check(NOW), 1);
    names_us(NOW, "null");
    ck_assert_int_eq(check(NOW + SPF_WATCH_MIN_MS - 1), 0);
    dns_says("example.test", GOOD, HOUR_MS);
    ck_assert_int_eq(check(NOW + SPF_WATCH_MIN_MS), 1);
    names_us(NOW, "true");
    dns_says("example.test", NULL, INT64_MAX);
    ck_assert_int_eq(check(NOW + 2 * HOUR_MS), 1);
    names_us(NOW, "true");
    dns_says("example.test", "v=spf1 -all", HOUR_MS);
    ck_assert_int_eq(check(NOW + 3 * HOUR_MS), 1);
    dns_says("example.test", NULL, INT64_MAX);
    ck_assert_int_eq(check(NOW + 4 * HOUR_MS), 1);
    names_us(NOW, "false");
    ck_assert_int_eq(json_int(kept("example.test", NOW), "since", 0), NOW + 3 * HOUR_MS);
    end();
}
END_TEST

START_TEST(test_other_addresses)
{
    begin(_i);
    dns_says("example.test", GOOD, DAY_MS);
    spf_watch_saw(watch, ALICE, NOW);
    ck_assert_int_eq(check(NOW), 1);
    outgoing.count = 2;
    ck_assert_int_eq(check(NOW + 1), 1);
    names_us(NOW, "false");
    ck_assert_str_eq(json_string(kept("example.test", NOW), "terms", ""), "ip4:192.0.2.2");
    ck_assert_int_eq(json_int(kept("example.test", NOW), "since", 0), NOW + 1);
    ck_assert_int_eq(check(NOW + 2), 0);
    end();
}
END_TEST

/* What was found outlives the program, and serves another machine. */
START_TEST(test_another_start)
{
    begin(_i);
    dns_says("example.test", GOOD, HOUR_MS);
    spf_watch_saw(watch, ALICE, NOW);
    ck_assert_int_eq(check(NOW), 1);
    struct spf_watch *before = watch;
    watch = spf_watch_new(store, "mx2");
    dns.asked = 0;
    ck_assert_int_eq(check(NOW + 1), 1); /* taken over */
    ck_assert_int_eq(dns.asked, 0);
    ck_assert_int_eq(check(NOW + HOUR_MS), 1);
    ck_assert_int_gt(dns.asked, 0);
    dns.asked = 0;
    spf_watch_free(&before);
    before = watch;
    watch = spf_watch_new(store, "mx3");
    spf_watch_saw(watch, ALICE, NOW + HOUR_MS);
    ck_assert_int_eq(check(NOW + HOUR_MS), 1);
    ck_assert_int_eq(dns.asked, 0);
    ck_assert_int_eq(check(NOW - 2 * DAY_MS), 1); /* the clock was set back */
    ck_assert_int_gt(dns.asked, 0);
    spf_watch_free(&before);
    end();
}
END_TEST

START_TEST(test_who_sends_no_more)
{
    begin(_i);
    dns_says("example.test", GOOD, HOUR_MS);
    spf_watch_saw(watch, ALICE, NOW);
    ck_assert_int_eq(check(NOW), 1);
    ck_assert_int_eq(check(NOW + SPF_WATCH_SENDING_MS - 1), 1);
    ck_assert_int_eq(check(NOW + SPF_WATCH_SENDING_MS + DAY_MS), 0);
    ck_assert_ptr_nonnull(kept("example.test", NOW + SPF_WATCH_KEPT_MS - 1));
    ck_assert_ptr_null(kept("example.test", NOW + SPF_WATCH_KEPT_MS));
    spf_watch_saw(watch, ALICE, NOW + SPF_WATCH_KEPT_MS);
    ck_assert_int_eq(check(NOW + SPF_WATCH_KEPT_MS), 1);
    names_us(NOW + SPF_WATCH_KEPT_MS, "true");
    end();
}
END_TEST

START_TEST(test_state)
{
    begin(_i);
    dns_says("example.test", "v=spf1 -all", HOUR_MS);
    spf_watch_saw(watch, ALICE, NOW);
    ck_assert_int_eq(check(NOW), 1);
    ck_assert_int_eq(spf_watch_tell(watch, true, NOW), 1);
    ck_assert_int_eq(spf_watch_tell(watch, true, NOW + 1), 1);
    struct json_object *state = kept(".mx1", NOW);
    ck_assert(json_is_true(state, "dns"));
    ck_assert_int_eq(json_int(state, "dns_since", 0), NOW);
    ck_assert_int_eq(json_int(state, "told", 0), NOW + 1);
    ck_assert_int_eq(json_int(state, "not_named", 0), 1);
    ck_assert_int_eq(json_int(state, "named", 0), 0);
    ck_assert_int_eq(json_int(state, "unknown", -1), 0);
    ck_assert_int_eq(spf_watch_tell(watch, false, NOW + 2), 1);
    state = kept(".mx1", NOW);
    ck_assert(!json_is_true(state, "dns"));
    ck_assert_int_eq(json_int(state, "dns_since", 0), NOW + 2);
    ck_assert_ptr_null(kept(".mx1", NOW + 2 + SPF_WATCH_STATE_MS));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spf_watch");
    TCase *tests = backends_case(suite, "watch");
    tcase_add_loop_test(tests, test_first_sight_and_ttl, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, test_a_failure_is_no_reason, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, test_other_addresses, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, test_another_start, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, test_who_sends_no_more, 0, BACKEND_KINDS);
    tcase_add_loop_test(tests, test_state, 0, BACKEND_KINDS);
    return backends_run(suite);
}
