/* When SPF records are looked at, and what is kept of them, on both stores. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "feedback/spf_watch.h"
#include "guard/spf_block.h"
#include "guard/spf_view.h"
#include "store/values.h"
#include "tests/unit/store/backends.h"

#define GOOD "v=spf1 ip4:192.0.2.1 -all"
#define BAD "v=spf1 -all"
#define ALICE "alice@example.test"
#define BLOCKED_AT (NOW + SPF_VIEW_NOTICE_MS)

static struct spf_watch *watch;
static char *ips[] = {(char[]){"192.0.2.1"}, (char[]){"192.0.2.2"}};
static struct text_list outgoing;

/* The DNS of a test. */
static struct {
    const char *name, *text; /* one record; text NULL: nobody answers */
    int64_t ttl_ms;
    int asked;
    bool fresh;
    void (*meanwhile)(void); /* what others do while it is asked, once */
} dns;

static enum spf_lookup look_up(void *self, struct arena *of, const char *name, enum spf_type type,
                               struct spf_found *found_r)
{
    (void)self;
    dns.asked++;
    if (dns.meanwhile != NULL) {
        void (*meanwhile)(void) = dns.meanwhile;
        dns.meanwhile = NULL;
        meanwhile();
    }
    if (dns.text == NULL)
        return SPF_LOOKUP_FAILED;
    if (strcmp(name, dns.name) != 0 || type != SPF_TYPE_TXT)
        return SPF_LOOKUP_VOID;
    found_r->of = arena_alloc(of, sizeof *found_r->of);
    *found_r->of = (struct mail_view){dns.text, strlen(dns.text)};
    found_r->count = 1;
    return SPF_LOOKUP_FOUND;
}

static void begin_check(void *self, bool fresh)
{
    (void)self;
    dns.fresh = fresh;
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
    ck_assert_ptr_nonnull(kept("example.test", NOW + SPF_VIEW_KEPT_MS - 1));
    ck_assert_ptr_null(kept("example.test", NOW + SPF_VIEW_KEPT_MS));
    spf_watch_saw(watch, ALICE, NOW + SPF_VIEW_KEPT_MS);
    ck_assert_int_eq(check(NOW + SPF_VIEW_KEPT_MS), 1);
    names_us(NOW + SPF_VIEW_KEPT_MS, "true");
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

/* ---- refusing mail --------------------------------------------------------------------------- */

static int64_t meanwhile_ms; /* what dns.meanwhile does, it does at this moment */

static void settle(enum spf_mode mode, int64_t now_ms, int expected)
{
    for (int done = 0; done < expected; done++)
        ck_assert_int_eq(spf_watch_settle(watch, mode, now_ms), 1);
    ck_assert_int_eq(spf_watch_settle(watch, mode, now_ms), 0);
}

/* A domain that fails since NOW, whose users are told of it from then on. */
static void begin_failing(int backend, enum spf_mode mode)
{
    begin(backend);
    settle(mode, NOW, 0);
    dns_says("example.test", BAD, HOUR_MS);
    spf_watch_saw(watch, ALICE, NOW);
    ck_assert_int_eq(check(NOW), 1);
    ck_assert(!dns.fresh);
}

static void begin_blocked(int backend)
{
    begin_failing(backend, SPF_MODE_BLOCK);
    ck_assert_int_eq(check(BLOCKED_AT), 1);
}

/* The entry that refuses mail of the domain: 1, or 0 there is none. */
static int find_entry(int64_t now_ms, struct block_entry *entry_r)
{
    const struct block_entry asked = spf_block_of(arena, "example.test");
    struct value value;
    int found = store_value(store, arena, VALUE_BLOCKED, block_list_key(arena, &asked), now_ms,
                            &value);
    ck_assert_int_ge(found, 0);
    return found == 0 ? 0 : block_list_read(arena, &value, entry_r);
}

/* Whether it does, as the entry and what is kept have it alike. */
static bool is_blocked(int64_t now_ms)
{
    struct block_entry entry;
    bool kept_so = json_int(kept("example.test", now_ms), "blocked", 0) != 0;
    bool there = find_entry(now_ms, &entry) > 0 && spf_block_is(&entry);
    ck_assert_int_eq(kept_so, there);
    return there;
}

static int64_t refused_ms(int64_t now_ms)
{
    return spf_view_refused_ms(kept("example.test", now_ms));
}

/* "block:guard unblock:guard", the newest first. */
static const char *audited(void)
{
    struct audit audit[8];
    struct store_page page = {.max = countof(audit)};
    const char *all = "";
    ck_assert_int_eq(store_audit_newest(store, "@example.test", INT64_MAX, audit, &page), 1);
    for (size_t i = 0; i < page.count; i++)
        all = arena_printf(arena, "%s%s%s:%s", all, i > 0 ? " " : "", audit[i].action,
                           audit[i].by);
    return all;
}

/* To the millisecond; and a mended record opens with the next look, which is a fresh one. */
START_TEST(test_block)
{
    struct block_entry entry;
    begin_failing(_i, SPF_MODE_BLOCK);
    ck_assert_int_eq(refused_ms(NOW), BLOCKED_AT);
    ck_assert_int_eq(check(NOW + SPF_WATCH_MIN_MS - 1), 0);
    ck_assert_int_eq(check(NOW + SPF_WATCH_MIN_MS), 1);
    ck_assert(dns.fresh);
    ck_assert_int_eq(check(BLOCKED_AT - 1), 1);
    ck_assert(!is_blocked(BLOCKED_AT - 1));
    ck_assert_int_eq(check(BLOCKED_AT), 1);
    ck_assert(is_blocked(BLOCKED_AT));
    ck_assert_str_eq(audited(), "block:guard");
    ck_assert_int_eq(find_entry(BLOCKED_AT, &entry), 1);
    ck_assert_str_eq(entry.reason, "no_spf");
    ck_assert_int_eq(entry.since_ms, BLOCKED_AT);
    ck_assert_int_eq(entry.until_ms, UNTIL_LIFTED);
    ck_assert_ptr_nonnull(strstr(entry.advice, "ip4:192.0.2.1"));
    ck_assert_int_eq(check(BLOCKED_AT + SPF_WATCH_MIN_MS - 1), 0);
    dns_says("example.test", "v=spf1 ~all", HOUR_MS); /* another term to write before */
    ck_assert_int_eq(check(BLOCKED_AT + SPF_WATCH_MIN_MS), 1);
    ck_assert_int_eq(find_entry(BLOCKED_AT, &entry), 1);
    ck_assert_ptr_nonnull(strstr(entry.advice, "~all"));
    ck_assert_int_eq(entry.since_ms, BLOCKED_AT);
    ck_assert_str_eq(audited(), "block:guard");
    dns_says("example.test", GOOD, HOUR_MS);
    ck_assert_int_eq(check(BLOCKED_AT + 2 * SPF_WATCH_MIN_MS), 1);
    ck_assert(dns.fresh && !is_blocked(BLOCKED_AT + HOUR_MS));
    ck_assert_str_eq(audited(), "unblock:guard block:guard");
    ck_assert_int_eq(refused_ms(BLOCKED_AT + HOUR_MS), 0);
    end();
}
END_TEST

/* Nobody is refused for it, and nobody is let through. */
START_TEST(test_dns_away_and_a_block)
{
    begin_failing(_i, SPF_MODE_BLOCK);
    dns_says("example.test", NULL, INT64_MAX);
    ck_assert_int_eq(check(BLOCKED_AT), 1);
    ck_assert_int_eq(check(BLOCKED_AT + DAY_MS), 1);
    ck_assert(!is_blocked(BLOCKED_AT + DAY_MS));
    names_us(NOW, "false");
    dns_says("example.test", BAD, HOUR_MS);
    ck_assert_int_eq(check(BLOCKED_AT + DAY_MS + SPF_WATCH_MIN_MS), 1);
    ck_assert(is_blocked(BLOCKED_AT + 2 * DAY_MS));
    dns_says("example.test", NULL, INT64_MAX);
    ck_assert_int_eq(check(BLOCKED_AT + 2 * DAY_MS), 1);
    ck_assert(is_blocked(BLOCKED_AT + 2 * DAY_MS));
    outgoing.count = 2; /* what is asked for is another question, and has no answer either */
    ck_assert_int_eq(check(BLOCKED_AT + 2 * DAY_MS + 1), 1);
    ck_assert(is_blocked(BLOCKED_AT + 2 * DAY_MS + 1));
    outgoing.count = 1;
    ck_assert_int_eq(check(NOW + 90 * DAY_MS), 1); /* it sent long ago, and is still looked at */
    ck_assert(is_blocked(NOW + 90 * DAY_MS));
    dns_says("example.test", GOOD, HOUR_MS);
    ck_assert_int_eq(check(NOW + 91 * DAY_MS), 1);
    ck_assert(find_entry(NOW + 91 * DAY_MS, &(struct block_entry){0}) == 0);
    ck_assert_str_eq(audited(), "unblock:guard block:guard");
    end();
}
END_TEST

/* Of other addresses users have not read yet. */
START_TEST(test_other_addresses_and_a_block)
{
    begin_blocked(_i);
    outgoing.count = 2;
    ck_assert_int_eq(check(BLOCKED_AT + 1), 1);
    ck_assert(!is_blocked(BLOCKED_AT + 1));
    ck_assert_int_eq(refused_ms(BLOCKED_AT + 1), BLOCKED_AT + 1 + SPF_VIEW_NOTICE_MS);
    end();
}
END_TEST

/* What nobody is told of begins no notice, and a mode that refuses nothing ends what is refused. */
START_TEST(test_modes)
{
    const int64_t later = NOW + 20 * DAY_MS, again = later + SPF_VIEW_NOTICE_MS;
    begin_failing(_i, SPF_MODE_OBSERVE);
    ck_assert_int_eq(refused_ms(NOW), 0);
    ck_assert_int_eq(check(NOW + HOUR_MS - 1), 0); /* as its TTL says */
    spf_watch_saw(watch, ALICE, later - 1);
    ck_assert_int_eq(check(later - 1), 1);
    settle(SPF_MODE_WARN, later, 0);
    ck_assert_int_eq(check(later), 1); /* though it was looked at just now */
    ck_assert_int_eq(refused_ms(later), again);
    ck_assert_int_eq(json_int(kept("example.test", later), "since", 0), NOW);
    ck_assert_int_eq(check(again), 1);
    ck_assert(!is_blocked(again));
    settle(SPF_MODE_BLOCK, again + SPF_WATCH_MIN_MS, 0);
    ck_assert_int_eq(check(again + SPF_WATCH_MIN_MS), 1);
    ck_assert(is_blocked(again + HOUR_MS));
    settle(SPF_MODE_WARN, again + HOUR_MS, 1);
    ck_assert(!is_blocked(again + HOUR_MS));
    ck_assert_int_eq(refused_ms(again + HOUR_MS), again); /* they are told of it as before */
    settle(SPF_MODE_BLOCK, again + 2 * HOUR_MS, 0);
    ck_assert_int_eq(check(again + 2 * HOUR_MS), 1);
    ck_assert(is_blocked(again + 2 * HOUR_MS));
    spf_watch_free(&watch); /* the next program begins with another mode */
    watch = spf_watch_new(store, "mx1");
    settle(SPF_MODE_OFF, again + 3 * HOUR_MS, 1);
    ck_assert(!is_blocked(again + 3 * HOUR_MS));
    ck_assert_int_eq(refused_ms(again + 3 * HOUR_MS), 0);
    ck_assert_str_eq(audited(), "unblock:guard block:guard unblock:guard block:guard");
    settle(SPF_MODE_BLOCK, again + 4 * HOUR_MS, 0);
    ck_assert_int_eq(check(again + 4 * HOUR_MS), 1);
    ck_assert_int_eq(refused_ms(again + 4 * HOUR_MS), again + 4 * HOUR_MS + SPF_VIEW_NOTICE_MS);
    end();
}
END_TEST

static void block_by_staff(void)
{
    struct block_entry entry = spf_block_of(arena, "example.test");
    entry.reason = entry.note = "No.";
    entry.by = "ada";
    entry.since_ms = meanwhile_ms;
    entry.until_ms = UNTIL_LIFTED;
    ck_assert_int_eq(block_list_add(store, &entry, 1,
                                    &(struct action){meanwhile_ms, "ada", "why"}), 1);
}

/* While the DNS is asked: the entry of staff is not replaced, now or later. */
START_TEST(test_staff_is_first)
{
    struct block_entry entry;
    begin_failing(_i, SPF_MODE_BLOCK);
    meanwhile_ms = BLOCKED_AT;
    dns.meanwhile = block_by_staff;
    ck_assert_int_eq(check(BLOCKED_AT), 1);
    ck_assert_int_eq(check(BLOCKED_AT + HOUR_MS), 1);
    ck_assert(!is_blocked(BLOCKED_AT + HOUR_MS));
    dns_says("example.test", GOOD, HOUR_MS);
    ck_assert_int_eq(check(BLOCKED_AT + 2 * HOUR_MS), 1);
    ck_assert_int_eq(find_entry(BLOCKED_AT + 2 * HOUR_MS, &entry), 1);
    ck_assert_str_eq(entry.by, "ada");
    ck_assert_str_eq(audited(), "block:ada");
    end();
}
END_TEST

static void lift_by_staff(void)
{
    const struct block_entry entry = spf_block_of(arena, "example.test");
    const struct action action = {meanwhile_ms, "ada", "why"};
    ck_assert_int_eq(spf_block_lift(store, &entry, &action), 1);
    ck_assert_int_eq(spf_block_lift(store, &entry, &action), 0);
}

/* The look that was under way does not block it again; the one behind the seven days does. */
START_TEST(test_staff_opens)
{
    const int64_t opened = BLOCKED_AT + HOUR_MS, ends = opened + SPF_VIEW_OPEN_MS;
    begin_blocked(_i);
    meanwhile_ms = opened;
    dns.meanwhile = lift_by_staff;
    ck_assert_int_eq(check(opened), 1);
    ck_assert(!is_blocked(opened));
    ck_assert_int_eq(refused_ms(opened), ends);
    ck_assert_int_eq(check(ends - 1), 1);
    ck_assert(!is_blocked(ends - 1));
    ck_assert_int_eq(check(ends), 1);
    ck_assert(is_blocked(ends));
    ck_assert_str_eq(audited(), "block:guard unblock:ada block:guard");
    const struct block_entry entry = spf_block_of(arena, "example.test");
    const struct action action = {ends + 1, "ada", "why"};
    ck_assert_int_eq(block_list_remove(store, &entry, &action), 1); /* as programs before did it */
    ck_assert_int_eq(check(ends + DAY_MS), 1);
    ck_assert(!is_blocked(ends + DAY_MS));
    ck_assert_int_eq(refused_ms(ends + DAY_MS), ends + DAY_MS + SPF_VIEW_OPEN_MS);
    end();
}
END_TEST

static struct spf_watch *other_watch;

static void look_elsewhere(void)
{
    struct spf_watch *own = watch;
    watch = other_watch;
    ck_assert_int_eq(spf_watch_settle(watch, SPF_MODE_BLOCK, BLOCKED_AT), 0);
    ck_assert_int_eq(check(BLOCKED_AT), 1);
    ck_assert(is_blocked(BLOCKED_AT));
    watch = own;
}

/* Two machines look at the same moment: there is one block, and both know of it. */
START_TEST(test_two_machines)
{
    begin_failing(_i, SPF_MODE_BLOCK);
    other_watch = spf_watch_new(store, "mx2");
    dns.meanwhile = look_elsewhere;
    ck_assert_int_eq(check(BLOCKED_AT), 1);
    ck_assert(is_blocked(BLOCKED_AT));
    ck_assert_str_eq(audited(), "block:guard");
    ck_assert_int_eq(check(BLOCKED_AT + SPF_WATCH_MIN_MS - 1), 0);
    settle(SPF_MODE_WARN, BLOCKED_AT, 1);
    ck_assert(!is_blocked(BLOCKED_AT));
    spf_watch_free(&other_watch);
    end();
}
END_TEST

/* How many, and when, for doctor. */
START_TEST(test_state_of_blocks)
{
    begin_failing(_i, SPF_MODE_WARN);
    ck_assert_int_eq(spf_watch_tell(watch, true, NOW), 1);
    struct json_object *state = kept(".mx1", NOW);
    ck_assert_int_eq(json_int(state, "noticed", 0), 1);
    ck_assert_int_eq(json_int(state, "next_block", 0), BLOCKED_AT);
    ck_assert_int_eq(json_int(state, "blocked", -1), 0);
    settle(SPF_MODE_BLOCK, BLOCKED_AT, 0);
    ck_assert_int_eq(check(BLOCKED_AT), 1);
    ck_assert_int_eq(spf_watch_tell(watch, true, BLOCKED_AT), 1);
    state = kept(".mx1", BLOCKED_AT);
    ck_assert_int_eq(json_int(state, "noticed", -1), 0);
    ck_assert_int_eq(json_int(state, "next_block", -1), 0);
    ck_assert_int_eq(json_int(state, "blocked", 0), 1);
    end();
}
END_TEST

/* A domain whose users are told of it is followed as long as it is known. */
START_TEST(test_who_is_told_sends_no_more)
{
    begin_failing(_i, SPF_MODE_WARN);
    ck_assert_int_eq(check(NOW + SPF_VIEW_KEPT_MS - 1), 1);
    ck_assert_int_eq(check(NOW + SPF_VIEW_KEPT_MS + DAY_MS), 0);
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
    TCase *blocks = backends_case(suite, "blocks");
    tcase_add_loop_test(blocks, test_block, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_dns_away_and_a_block, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_other_addresses_and_a_block, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_modes, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_staff_is_first, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_staff_opens, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_two_machines, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_state_of_blocks, 0, BACKEND_KINDS);
    tcase_add_loop_test(blocks, test_who_is_told_sends_no_more, 0, BACKEND_KINDS);
    return backends_run(suite);
}
