/* Pages of every list of the store: how many entries there are, and whether the list goes on. Both
 * backends. */
#include <stdio.h>
#include <string.h>

#include "store/adjustments.h"
#include "store/kept.h"
#include "store/observations.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/store/backends.h"

#define ALICE "alice@example.test"
#define IP "192.0.2.1"

enum { PAGE = 3, LATER_MS = 10 }; /* entries are read so much later than the last is put */

/* ---- one entry of each list ------------------------------------------------------------ */

static void suspend(int number, int64_t length_ms)
{
    struct suspension suspension;
    struct action action = action_at(NOW);
    struct durations durations = {.count = 1, .ms = {length_ms}};
    ck_assert_int_eq(store_suspend(store, arena_printf(arena, "%d@x.test", number), CAUSE_TERMS,
                                   &durations, &action, &suspension), 1);
}
static void put_suspended(int number) { suspend(number, DAY_MS); }
static void end_suspended(int number) { suspend(number, 1); }
static int read_suspended(void *entries_r, struct store_page *page)
{
    return store_suspended(store, "", NOW + LATER_MS, entries_r, page);
}

/* Admitted and refused in turn: a page has both. */
static void put_decision(int number)
{
    struct message message = message_of(ALICE, arena_printf(arena, "%d", number), NOW + number);
    message.request.facts = facts_of("{\"mailbox\":\"" ALICE "\"}");
    message.request.rejected = number % 2 == 0;
    ck_assert_int_eq(judge(&message), number % 2 == 0 ? OUTCOME_REJECTED : OUTCOME_ADMITTED);
}
static int read_decisions_of_one(void *entries_r, struct store_page *page)
{
    return store_decisions(store, arena, ALICE, UINT64_MAX, NOW + LATER_MS, entries_r, page);
}
static int read_decisions_of_all(void *entries_r, struct store_page *page)
{
    return store_decisions(store, arena, NULL, UINT64_MAX, NOW + LATER_MS, entries_r, page);
}

static void keep(int number, int64_t until_ms)
{
    struct kept kept = {arena_printf(arena, "%d", number), "", until_ms};
    ck_assert_int_eq(store_keep(store, KEPT_STAFF, &kept, NOW, NULL), 1);
}
static void put_kept(int number) { keep(number, UNTIL_LIFTED); }
static void end_kept(int number) { keep(number, NOW + 1); }
static int read_kept(void *entries_r, struct store_page *page)
{
    return store_kept_list(store, arena, KEPT_STAFF, "", NOW + LATER_MS, entries_r, page);
}

static void observe(const struct observations *seen)
{
    ck_assert_msg(store_observe(store, seen, NOW) == 1, "%s", store_error(store));
}

static void saw(int number, int64_t at_ms)
{
    struct observed_sender seen = {.mailbox = arena_printf(arena, "%d@x.test", number),
                                   .domain = "x.test", .ip = IP, .at_ms = at_ms};
    observe(&(struct observations){.senders = &seen, .sender_count = 1});
}
static void put_sender(int number) { saw(number, NOW); }
static void end_sender(int number) { saw(number, NOW - DAY_MS - HOUR_MS); }
static int read_senders_of_ip(void *entries_r, struct store_page *page)
{
    return store_senders(store, SENDERS_OF_IP, IP, "", NOW + LATER_MS, entries_r, page);
}
static int read_senders_of_domain(void *entries_r, struct store_page *page)
{
    return store_senders(store, SENDERS_OF_DOMAIN, "x.test", "", NOW + LATER_MS, entries_r, page);
}

static void near(int number, int64_t at_ms)
{
    struct near_limit near = {.rule = RULE_OFF_DOMAIN_PER_HOUR_PER_IP, .at_ms = at_ms};
    snprintf(near.key, sizeof near.key, "192.0.2.%d", number);
    observe(&(struct observations){.nears = &near, .near_count = 1});
}
static void put_near(int number) { near(number, NOW); }
static void end_near(int number) { near(number, NOW - 2 * HOUR_MS); }
static int read_near(void *entries_r, struct store_page *page)
{
    return store_near(store, NOW + LATER_MS, entries_r, page);
}

static void put_counter(int number)
{
    struct counter counter = {.value = 1};
    snprintf(counter.name, sizeof counter.name, "%d", number);
    observe(&(struct observations){.counters = &counter, .counter_count = 1});
}
static int read_counters(void *entries_r, struct store_page *page)
{
    return store_counters(store, "", entries_r, page);
}

static void put_audit(int number)
{
    struct action action = action_at(NOW + number);
    struct audited audited = {"note", ALICE, "{}", &action};
    ck_assert_int_eq(store_write_audit(store, &audited), 1);
}
static int read_audit(void *entries_r, struct store_page *page)
{
    return store_audit(store, 0, entries_r, page);
}
static int read_audit_newest(void *entries_r, struct store_page *page)
{
    return store_audit_newest(store, NULL, INT64_MAX, entries_r, page);
}
static int read_audit_of_one(void *entries_r, struct store_page *page)
{
    return store_audit_newest(store, ALICE, INT64_MAX, entries_r, page);
}

static void put_adjustment(int number)
{
    struct action action = action_at(NOW);
    struct adjustment adjustment = {.rule = RULE_MESSAGES_PER_DAY, .kind = ADJUST_LIMIT,
                                    .value = number, .until_ms = UNTIL_LIFTED};
    snprintf(adjustment.subject, sizeof adjustment.subject, "%d@x.test", number);
    ck_assert_int_eq(store_adjust(store, &adjustment, &action), 1);
}
static int read_adjustments(void *entries_r, struct store_page *page)
{
    return store_adjustments(store, 0, entries_r, page);
}

static const struct list {
    const char *name;
    size_t entry_size;
    void (*put)(int number);
    void (*end)(int number); /* puts one that is over when the list is read; NULL: there is none */
    int (*read)(void *entries_r, struct store_page *page);
} lists[] = {
    {"suspended", sizeof(struct suspended), put_suspended, end_suspended, read_suspended},
    {"decisions of one", sizeof(struct record), put_decision, NULL, read_decisions_of_one},
    {"decisions of all", sizeof(struct record), put_decision, NULL, read_decisions_of_all},
    {"kept", sizeof(struct kept), put_kept, end_kept, read_kept},
    {"senders of an IP", sizeof(struct sender), put_sender, end_sender, read_senders_of_ip},
    {"senders of a domain", sizeof(struct sender), put_sender, end_sender, read_senders_of_domain},
    {"near", sizeof(struct near_limit), put_near, end_near, read_near},
    {"counters", sizeof(struct counter), put_counter, NULL, read_counters},
    {"audit", sizeof(struct audit), put_audit, NULL, read_audit},
    {"audit, newest first", sizeof(struct audit), put_audit, NULL, read_audit_newest},
    {"audit of one", sizeof(struct audit), put_audit, NULL, read_audit_of_one},
    {"adjustments", sizeof(struct adjustment), put_adjustment, NULL, read_adjustments},
};

/* ---- the test ---------------------------------------------------------------------------- */

/* Reads a page of a list of `there` entries into an array with room for one more than the page. */
static void check_page(const struct list *list, size_t there)
{
    enum { UNTOUCHED = 0x5a };
    struct store_page page = {.max = PAGE};
    char *entries = arena_alloc(arena, (PAGE + 1) * list->entry_size);
    memset(entries, UNTOUCHED, (PAGE + 1) * list->entry_size);
    ck_assert_msg(list->read(entries, &page) == 1, "%s: %s", list->name, store_error(store));
    ck_assert_msg(page.count == (there < PAGE ? there : PAGE), "%s: %zu of %zu", list->name,
                  page.count, there);
    ck_assert_msg(page.more == (there > PAGE), "%s: more: %d, of %zu", list->name, page.more,
                  there);
    for (size_t i = page.count * list->entry_size; i < (PAGE + 1) * list->entry_size; i++)
        ck_assert_msg(entries[i] == UNTOUCHED, "%s: written behind entry %zu", list->name,
                      page.count);
}

START_TEST(test_more)
{
    const struct list *list = &lists[_i / BACKEND_KINDS];
    backend_begin(_i % BACKEND_KINDS);
    check_page(list, 0);
    if (list->end != NULL)
        list->end(9);
    for (int number = 1; number <= PAGE + 1; number++) {
        list->put(number);
        check_page(list, (size_t)number);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store pages");
    TCase *cases = backends_case(suite, "pages");
    tcase_add_loop_test(cases, test_more, 0, countof(lists) * BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
