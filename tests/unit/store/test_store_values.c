/* Versioned values in both backends. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/records.h"
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


/* One that is not as it was read: nothing of the step is done, refunds neither. */
START_TEST(a_step_is_all_or_nothing)
{
    backend_begin(_i);
    send_messages("alice@example.test", "m", 2, NOW, 1);
    uint32_t cursor = put_new(VALUE_CURSOR, "log", "10");
    uint32_t open = put_new(VALUE_OPEN, "q1", "waits");
    const struct value_refund refunds[] = {{"alice@example.test", "m-0", 0},
                                           {"alice@example.test", "unknown", 0},
                                           {"alice@example.test", "m-0", 0}};
    const struct value_change changes[] = {
        change_of(VALUE_TRACE, "1 a", "new", 0), change_of(VALUE_CURSOR, "log", "20", cursor),
        change_of(VALUE_OPEN, "q1", "", open + 1), change_of(VALUE_OPEN, "q2", "new", 0)};
    struct values_step step = {.changes = changes, .count = countof(changes), .refunds = refunds,
                               .refund_count = countof(refunds), .now_ms = NOW + 10};
    ck_assert_int_eq(take_step(&step), 0);
    ck_assert_uint_eq(done.refused, 2);
    ck_assert_ptr_null(text_of(VALUE_TRACE, "1 a", NOW));
    ck_assert_str_eq(text_of(VALUE_CURSOR, "log", NOW), "10");
    ck_assert_str_eq(text_of(VALUE_OPEN, "q1", NOW), "waits");
    ck_assert_ptr_null(text_of(VALUE_OPEN, "q2", NOW));
    ck_assert_uint_eq(used_of("alice@example.test", RULE_MESSAGES_PER_DAY, NOW + 10), 2);

    struct value_change right[countof(changes)];
    memcpy(right, changes, sizeof right);
    right[2].replaces = open;
    step.changes = right;
    ck_assert_int_eq(take_step(&step), 1);
    ck_assert(done.refunded[0] && !done.refunded[1] && !done.refunded[2]);
    ck_assert_uint_ne(done.versions[0], 0);
    ck_assert_uint_ne(done.versions[1], cursor);
    ck_assert_uint_eq(done.versions[2], 0);
    ck_assert_str_eq(text_of(VALUE_CURSOR, "log", NOW), "20");
    ck_assert_ptr_null(text_of(VALUE_OPEN, "q1", NOW));
    ck_assert_str_eq(text_of(VALUE_OPEN, "q2", NOW), "new");
    ck_assert_uint_eq(used_of("alice@example.test", RULE_MESSAGES_PER_DAY, NOW + 10), 1);
    ck_assert_uint_eq(used_of("alice@example.test", RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 10), 1);
    ck_assert_int_eq(store_refund(store, "alice@example.test", "m-0", NOW + 10), 0);
    ck_assert_int_eq(store_refund(store, "alice@example.test", "m-1", NOW + 10), 1);
}
END_TEST

static const struct audit *newest_audit(size_t count)
{
    static struct audit entries[8];
    struct store_page page = {.max = countof(entries)};
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, entries, &page), 1);
    ck_assert_uint_eq(page.count, count);
    return entries;
}

/* Suspensions and entries of the audit log: with the changes, or not at all. */
START_TEST(a_step_suspends_and_tells)
{
    backend_begin(_i);
    const struct action action = {NOW, "guard", "three of them"};
    const struct durations durations = {2, {DAY_MS, UNTIL_LIFTED}};
    const struct value_suspension suspensions[] = {
        {"alice@example.test", CAUSE_COMPLAINTS, &durations, &action},
        {"alice@example.test", CAUSE_FAILURES, &durations, &action},
        {"alice@example.test", CAUSE_COMPLAINTS, &durations, &action}};
    const struct audited audited[] = {{"block", "@example.test", "{\"bad\":12}", &action}};
    const struct value_change cursor = change_of(VALUE_CURSOR, "log", "10", 1);
    struct values_step step = step_of(&cursor, 1, NOW);
    step.suspensions = suspensions;
    step.suspension_count = countof(suspensions);
    step.audited = audited;
    step.audited_count = countof(audited);
    ck_assert_int_eq(take_step(&step), 0);
    newest_audit(0);

    step.count = 0;
    ck_assert_int_eq(take_step(&step), 1);
    struct suspended suspended[2];
    struct store_page page = {.max = countof(suspended)};
    ck_assert_int_eq(store_suspended(store, "", NOW, suspended, &page), 1);
    ck_assert_uint_eq(page.count, 1);
    ck_assert_uint_eq(suspended[0].suspensions.count, 2);
    const struct suspension *complaints =
        suspension_find(&suspended[0].suspensions, CAUSE_COMPLAINTS);
    const struct suspension *failures = suspension_find(&suspended[0].suspensions, CAUSE_FAILURES);
    ck_assert_uint_eq(complaints->offence, 2);
    ck_assert_int_eq(complaints->until_ms, UNTIL_LIFTED);
    ck_assert_int_eq(failures->until_ms, NOW + DAY_MS);
    ck_assert_str_eq(failures->by, "guard");
    const struct audit *entries = newest_audit(4);
    ck_assert_str_eq(entries[0].action, "block");
    ck_assert_str_eq(entries[0].subject, "@example.test");
    ck_assert_str_eq(entries[0].detail, "{\"bad\":12}");
    ck_assert_str_eq(entries[0].note, "three of them");
    ck_assert_str_eq(entries[3].action, "suspend");
    ck_assert_ptr_nonnull(strstr(entries[3].detail, "\"before\":null"));
}
END_TEST

/* As store_refund: not after a day, nor when the ticket was redeemed, and the ticket goes. */
START_TEST(refunds_are_those_of_store_refund)
{
    static const char alice[] = "alice@example.test", bob[] = "bob@example.test";
    backend_begin(_i);
    struct message left = message_of(alice, "left", NOW), asked = message_of(alice, "asked", NOW);
    struct message kept = message_of(bob, "kept", NOW);
    left.request.ticket = kept.request.ticket = 3;
    asked.request.redeem = 3;
    ck_assert_int_eq(judge(&left), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&kept), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
    send_messages(alice, "m", 3, NOW, 1);
    const struct value_refund refunds[] = {
        {alice, "left", 0}, {alice, "m-0", 0}, {alice, "m-2", 0}, {bob, "kept", 0},
        {bob, "m-0", 0}};
    struct values_step step = {.refunds = refunds, .refund_count = countof(refunds),
                               .now_ms = NOW + 100};
    ck_assert_int_eq(take_step(&step), 1);
    ck_assert(!done.refunded[0] && done.refunded[1] && done.refunded[2] && done.refunded[3] &&
              !done.refunded[4]);
    ck_assert_uint_eq(used_of(alice, RULE_MESSAGES_PER_DAY, NOW + 100), 2);
    asked = message_of(bob, "asked", NOW + 101);
    asked.request.redeem = 3;
    ck_assert_int_eq(judge(&asked), OUTCOME_ADMITTED); /* its ticket has gone */
    const struct value_refund late = {alice, "m-1", 0};
    step = (struct values_step){.refunds = &late, .refund_count = 1, .now_ms = NOW + 1 + DAY_MS};
    ck_assert_int_eq(take_step(&step), 1);
    ck_assert(!done.refunded[0]);
}
END_TEST

/* What the record of a redeemed message says of the one that had left the ticket. */
static uint32_t redeemed_of(const struct message *asked)
{
    struct record record;
    ck_assert_int_eq(store_record(store, arena, asked->result.decision, NOW, &record), 1);
    ck_assert_int_eq(record.outcome, OUTCOME_REDEEMED);
    return record.redeemed;
}

static int refund_redeemed(const char *mailbox, uint32_t redeemed)
{
    const struct value_refund refund = {mailbox, NULL, redeemed};
    const struct values_step step = {.refunds = &refund, .refund_count = 1, .now_ms = NOW + 10};
    ck_assert_int_eq(take_step(&step), 1);
    return done.refunded[0];
}

/* The message that left the ticket, by the record of the one that redeemed it; and never without
 * that. Once, if the webmail asks first under its own id and if the follower does. */
START_TEST(a_redeemed_message_is_refunded_once)
{
    static const char alice[] = "alice@example.test";
    bool webmail_first = _i / BACKEND_KINDS > 0;
    backend_begin(_i % BACKEND_KINDS);
    struct message left = message_of(alice, "left", NOW), other = message_of(alice, "other", NOW);
    struct message asked = message_of(alice, "asked", NOW + 1);
    left.request.ticket = asked.request.redeem = 3;
    other.request.ticket = 2;
    ck_assert_int_eq(judge(&left), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&other), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
    uint32_t redeemed = redeemed_of(&asked);
    ck_assert_uint_ne(redeemed, 0);
    ck_assert_int_eq(refund_redeemed("bob@example.test", redeemed), 0);
    ck_assert_int_eq(refund_redeemed(alice, redeemed + 1), 0);
    if (webmail_first)
        ck_assert_int_eq(store_refund(store, alice, "left", NOW + 10), 0);
    ck_assert_int_eq(refund_redeemed(alice, redeemed), 1);
    ck_assert_uint_eq(used_of(alice, RULE_MESSAGES_PER_DAY, NOW + 10), 1);
    ck_assert_uint_eq(used_of(alice, RULE_OFF_DOMAIN_PER_HOUR_PER_IP, NOW + 10), 1);
    ck_assert_int_eq(store_refund(store, alice, "left", NOW + 10), 0);
    ck_assert_int_eq(refund_redeemed(alice, redeemed), 0);
    ck_assert_uint_eq(used_of(alice, RULE_MESSAGES_PER_DAY, NOW + 10), 1);
    asked = message_of(alice, "asked again", NOW + 11);
    asked.request.redeem = 2;
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED); /* the other's ticket is there still */
}
END_TEST

/* Under the id of the redeemed one a later submission waits: its charge and its ticket stay. */
START_TEST(a_ticket_of_the_same_id_stays)
{
    static const char alice[] = "alice@example.test";
    backend_begin(_i);
    struct message left = message_of(alice, "left", NOW), asked = message_of(alice, "asked", NOW + 1);
    left.request.ticket = asked.request.redeem = 3;
    ck_assert_int_eq(judge(&left), OUTCOME_ADMITTED);
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
    uint32_t redeemed = redeemed_of(&asked);
    left = message_of(alice, "left", NOW + 2);
    left.request.fingerprint++;
    left.request.ticket = 3;
    ck_assert_int_eq(judge(&left), OUTCOME_ADMITTED);
    ck_assert_int_eq(refund_redeemed(alice, redeemed), 0);
    ck_assert_uint_eq(used_of(alice, RULE_MESSAGES_PER_DAY, NOW + 10), 2);
    asked = message_of(alice, "asked again", NOW + 11);
    asked.request.redeem = 3;
    ck_assert_int_eq(judge(&asked), OUTCOME_REDEEMED);
}
END_TEST

/* To the millisecond, whether the row or key still exists or not. */
START_TEST(a_value_ends)
{
    struct value value;
    struct value_change one = change_of(VALUE_OPEN, "q", "one", 0);
    backend_begin(_i);
    one.value.until_ms = NOW + 1000;
    ck_assert_int_eq(change(&one, 1), 1);
    one.replaces = done.versions[0];
    ck_assert_int_eq(store_value(store, arena, VALUE_OPEN, "q", NOW + 999, &value), 1);
    ck_assert_int_eq(value.until_ms, NOW + 1000);
    ck_assert_ptr_null(text_of(VALUE_OPEN, "q", NOW + 1000));
    struct value_change other = change_of(VALUE_OPEN, "q", "two", one.replaces);
    struct values_step step = step_of(&other, 1, NOW + 1000);
    ck_assert_int_eq(take_step(&step), 0);
    other.replaces = 0;
    other.value.until_ms = NOW + 3000;
    ck_assert_int_eq(take_step(&step), 1);
    other.replaces = done.versions[0];
    ck_assert_uint_ne(other.replaces, one.replaces);
    ck_assert_str_eq(text_of(VALUE_OPEN, "q", NOW + 2999), "two");
    step.now_ms = other.value.until_ms = NOW + 2999; /* is past before it begins */
    ck_assert_int_eq(take_step(&step), 1);
    ck_assert_uint_eq(done.versions[0], 0);
    ck_assert_ptr_null(text_of(VALUE_OPEN, "q", NOW));
    put_new(VALUE_OPEN, "q", "lasts");
    ck_assert_str_eq(text_of(VALUE_OPEN, "q", NOW + 20000 * DAY_MS), "lasts");
}
END_TEST

/* A row that has the hash of another key is neither read, replaced nor removed. */
START_TEST(another_value_with_the_same_hash)
{
    sqlite3 *db;
    backend_begin(BACKEND_SQLITE);
    put_new(VALUE_TRACE, "a", "one");
    ck_assert_int_eq(sqlite3_open(backend_url() + strlen("sqlite://"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "UPDATE value SET key = 'other'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    ck_assert_ptr_null(text_of(VALUE_TRACE, "a", NOW));
    ck_assert_int_eq(put(VALUE_TRACE, "a", "", VALUE_ANY), 1);
    const struct value_change changes[] = {change_of(VALUE_TRACE, "b", "two", 0),
                                           change_of(VALUE_TRACE, "a", "two", 0)};
    struct values_step step = step_of(changes, countof(changes), NOW);
    ck_assert_int_eq(store_values_change(store, &step, &done), -1);
    ck_assert_msg(strstr(store_error(store), "another value has the hash of trace a") != NULL, "%s",
                  store_error(store));
    ck_assert_ptr_null(text_of(VALUE_TRACE, "b", NOW));
    ck_assert_int_eq(backend_sqlite_number(backend_url() + strlen("sqlite://"),
                                           "SELECT count(*) FROM value WHERE key = 'other'"), 1);
}
END_TEST

/* ---- reading several ------------------------------------------------------------------------ */

/* As many as go at once, with keys and bytes as they may be. */
static struct value_change many[VALUES_AT_ONCE];

static void make_many(enum value_kind kind, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        many[i] = change_of(kind, arena_printf(arena, "key %05zu", i), "", 0);
        many[i].value.bytes = memset(arena_alloc(arena, bytes), (int)(i % 256), bytes);
        many[i].value.length = bytes;
    }
}

START_TEST(as_many_as_go_at_once)
{
    static struct value values[VALUES_AT_ONCE];
    backend_begin(_i);
    make_many(VALUE_KNOWN, VALUES_AT_ONCE, 300);
    ck_assert_int_eq(change(many, VALUES_AT_ONCE), 1);
    for (size_t i = 0; i < VALUES_AT_ONCE; i++)
        values[i] = (struct value){.kind = VALUE_KNOWN, .key = many[i].value.key};
    values[7].key = "absent";
    values[8].kind = VALUE_REPLY;
    ck_assert_int_eq(store_values_get(store, arena, values, VALUES_AT_ONCE, NOW), 1);
    for (size_t i = 0; i < VALUES_AT_ONCE; i++) {
        if (i == 7 || i == 8) {
            ck_assert_uint_eq(values[i].version, 0);
            ck_assert_uint_eq(values[i].length, 0);
            continue;
        }
        ck_assert_uint_eq(values[i].version, done.versions[i]);
        ck_assert_uint_eq(values[i].length, 300);
        ck_assert_mem_eq(values[i].bytes, many[i].value.bytes, 300);
        many[i].replaces = values[i].version;
    }
    many[7].replaces = done.versions[7];
    many[8].replaces = done.versions[8];
    many[4000].replaces++;
    ck_assert_int_eq(change(many, VALUES_AT_ONCE), 0);
    ck_assert_uint_eq(done.refused, 4000);
    many[4000].replaces = VALUE_ANY;
    ck_assert_int_eq(change(many, VALUES_AT_ONCE), 1);
    ck_assert_int_eq(store_values_get(store, arena, values, 0, NOW), 1);
}
END_TEST

/* With their limits: the longest key and value, and whatever bytes. */
START_TEST(any_bytes_up_to_the_limits)
{
    backend_begin(_i);
    char key[VALUE_KEY_MAX + 2];
    struct value value;
    for (size_t i = 0; i < VALUE_KEY_MAX + 1; i++)
        key[i] = (char)(i % 255 + 1);
    key[VALUE_KEY_MAX] = '\0';
    make_many(VALUE_TRACE, 32, VALUE_MAX_BYTES); /* a step's limit */
    many[0].value.key = key;
    ck_assert_int_eq(change(many, 32), 1);
    ck_assert_int_eq(store_value(store, arena, VALUE_TRACE, key, NOW, &value), 1);
    ck_assert_uint_eq(value.length, VALUE_MAX_BYTES);
    ck_assert_mem_eq(value.bytes, many[0].value.bytes, VALUE_MAX_BYTES);
    ck_assert_str_eq(value.key, key);
}
END_TEST

static void must_refuse(const struct value_change *changes, size_t count, const char *why)
{
    struct values_step step = step_of(changes, count, NOW);
    ck_assert_int_eq(store_values_change(store, &step, &done), -1);
    ck_assert_msg(strstr(store_error(store), why) != NULL, "%s: %s", why, store_error(store));
}

START_TEST(too_much_is_told)
{
    static char key[VALUE_KEY_MAX + 2];
    static const struct value_refund refunds[VALUES_REFUNDS_MAX + 1];
    struct value value = {.kind = VALUE_OPEN, .key = key};
    backend_begin(_i);
    struct value_change one = change_of(VALUE_OPEN, key, "x", 0);
    must_refuse(&one, 1, "0 bytes; expected 1 to 400");
    memset(key, 'k', VALUE_KEY_MAX + 1);
    must_refuse(&one, 1, "401 bytes; expected 1 to 400");
    ck_assert_int_eq(store_values_get(store, arena, &value, 1, NOW), -1);
    must_refuse(many, VALUES_AT_ONCE + 1, "4097 changes");
    ck_assert_int_eq(store_values_get(store, arena, &value, VALUES_AT_ONCE + 1, NOW), -1);
    struct values_step step = {.refunds = refunds, .refund_count = countof(refunds), .now_ms = NOW};
    ck_assert_int_eq(store_values_change(store, &step, &done), -1);
    make_many(VALUE_TRACE, 33, VALUE_MAX_BYTES);
    must_refuse(many, 33, "expected at most 16777216");
    many[3].value.length++;
    must_refuse(many, 4, "524289 bytes; expected at most 524288");
    const struct value_change twice[] = {change_of(VALUE_OPEN, "q", "x", VALUE_ANY),
                                         change_of(VALUE_TRACE, "q", "x", VALUE_ANY),
                                         change_of(VALUE_OPEN, "q", "y", VALUE_ANY)};
    must_refuse(twice, 3, "open q twice");
    ck_assert_ptr_null(text_of(VALUE_OPEN, "q", NOW));
    ck_assert_int_eq(change(twice, 2), 1);
    ck_assert_int_eq(change(NULL, 0), 1);
}
END_TEST

/* ---- lists --------------------------------------------------------------------------------- */

/* The keys of a page, with spaces between. */
static const char *keys_of(enum value_kind kind, const char *after, int64_t now_ms, size_t max)
{
    static struct value values[300];
    struct store_page page = {.max = max};
    const char *keys = "";
    ck_assert_uint_le(max, countof(values));
    ck_assert_msg(store_values(store, arena, kind, after, now_ms, values, &page) == 1, "%s",
                  store_error(store));
    for (size_t i = 0; i < page.count; i++) {
        ck_assert_int_eq(values[i].kind, kind);
        ck_assert_str_eq(values[i].bytes, text_of(kind, values[i].key, now_ms));
        keys = arena_printf(arena, "%s%s%s", keys, i > 0 ? " " : "", values[i].key);
    }
    return arena_printf(arena, "%s%s", keys, page.more ? " …" : "");
}

START_TEST(a_list_is_in_order_of_key)
{
    backend_begin(_i);
    ck_assert_str_eq(keys_of(VALUE_OPEN, "", NOW, 10), "");
    const struct value_change changes[] = {
        change_of(VALUE_OPEN, "b", "1", 0),   change_of(VALUE_OPEN, "B", "2", 0),
        change_of(VALUE_OPEN, "ä", "3", 0),   change_of(VALUE_OPEN, "aa", "4", 0),
        change_of(VALUE_CURSOR, "c", "5", 0), change_of(VALUE_TRACE, "a", "6", 0)};
    ck_assert_int_eq(change(changes, countof(changes)), 1);
    ck_assert_str_eq(keys_of(VALUE_OPEN, "", NOW, 4), "B aa b ä");
    ck_assert_str_eq(keys_of(VALUE_OPEN, "", NOW, 2), "B aa …");
    ck_assert_str_eq(keys_of(VALUE_OPEN, "aa", NOW, 2), "b ä");
    ck_assert_str_eq(keys_of(VALUE_OPEN, "a", NOW, 1), "aa …");
    ck_assert_str_eq(keys_of(VALUE_OPEN, "ä", NOW, 1), "");
    ck_assert_str_eq(keys_of(VALUE_CURSOR, "", NOW, 9), "c");
    ck_assert_int_eq(put(VALUE_OPEN, "aa", "", VALUE_ANY), 1);
    ck_assert_str_eq(keys_of(VALUE_OPEN, "", NOW, 9), "B b ä");
}
END_TEST

START_TEST(kinds_that_are_listed)
{
    static const enum value_kind listed[] = {VALUE_CURSOR, VALUE_OPEN, VALUE_OUTAGE, VALUE_BLOCK,
                                             VALUE_COMPLAINTS, VALUE_REPORT, VALUE_APPEAL,
                                             VALUE_SPF, VALUE_BLOCKED, VALUE_ADDED, VALUE_LOGINS,
                                             VALUE_LOGIN_NETWORK, VALUE_HELD, VALUE_PARKED};
    size_t count = 0;
    backend_begin(_i);
    for (int kind = 0; kind < VALUE_KIND_COUNT; kind++)
        count += store_values_listed((enum value_kind)kind);
    ck_assert_uint_eq(count, countof(listed));
    for (size_t i = 0; i < countof(listed); i++) {
        put_new(listed[i], "key", "text");
        ck_assert_str_eq(keys_of(listed[i], "", NOW, 9), "key");
    }
}
END_TEST

/* What has ended is in no list, and the index of Redis forgets it, though the list goes by that. */
START_TEST(a_list_passes_over_what_has_ended)
{
    enum { ENDED = 200 };
    backend_begin(_i);
    make_many(VALUE_OPEN, ENDED, 5);
    for (size_t i = 0; i < ENDED; i++)
        many[i].value.until_ms = NOW + (i % 2 == 0 ? 1000 : 5000) + (i == ENDED - 1 ? DAY_MS : 0);
    ck_assert_int_eq(change(many, ENDED), 1);
    ck_assert_str_eq(keys_of(VALUE_OPEN, "", NOW + 4999, 2), "key 00001 key 00003 …");
    ck_assert_str_eq(keys_of(VALUE_OPEN, "", NOW + 5000, 2), "key 00199");
    if (_i == BACKEND_REDIS) {
        const char *const count[] = {"ZCARD", "sg:value_keys:open"};
        const char *const ends[] = {"ZCARD", "sg:value_ends"};
        ck_assert_int_eq(redis_server_ask(&redis, count, 2), ENDED);
        for (int i = 0; i < 7; i++) {
            struct value_change one = change_of(VALUE_CURSOR, "c", "1", VALUE_ANY);
            struct values_step step = step_of(&one, 1, NOW + HOUR_MS);
            ck_assert_int_eq(take_step(&step), 1);
        }
        ck_assert_int_eq(redis_server_ask(&redis, count, 2), 1);
        ck_assert_int_eq(redis_server_ask(&redis, ends, 2), 1);
    }
}
END_TEST

/* ---- what is past goes ---------------------------------------------------------------------- */

static int64_t rows_left(int backend)
{
    const char *const size[] = {"DBSIZE"};
    return backend == BACKEND_REDIS
               ? redis_server_ask(&redis, size, 1)
               : backend_sqlite_number(backend_url() + strlen("sqlite://"),
                                       "SELECT count(*) FROM value");
}

START_TEST(a_sweep_removes_what_is_past)
{
    backend_begin(_i);
    put_new(VALUE_CURSOR, "c", "stays");
    int64_t before = rows_left(_i);
    make_many(VALUE_OPEN, 50, 5);
    for (size_t i = 0; i < 50; i++)
        many[i].value.until_ms = NOW + 1000;
    ck_assert_int_eq(change(many, 50), 1);
    ck_assert_int_ge(rows_left(_i), before + 50);
    ck_assert_int_eq(store_sweep(store, NOW + 1000 + MINUTE_MS), 1);
    ck_assert_int_eq(rows_left(_i), before);
    ck_assert_str_eq(text_of(VALUE_CURSOR, "c", NOW), "stays");
}
END_TEST

/* In SQLite the steps that follow remove it, round the table, whatever they change. */
START_TEST(steps_remove_what_is_past)
{
    enum { DAYS = 40, EACH = 50, KEPT_DAYS = 5 };
    int64_t most = 0;
    backend_begin(BACKEND_SQLITE);
    for (int day = 0; day < DAYS; day++) {
        make_many(VALUE_TRACE, EACH, 5);
        for (size_t i = 0; i < EACH; i++) {
            many[i].value.key = arena_printf(arena, "%05d mailbox %zu", day, i);
            many[i].value.until_ms = NOW + (day + KEPT_DAYS) * DAY_MS;
        }
        struct values_step step = step_of(many, EACH, NOW + day * DAY_MS + HOUR_MS);
        ck_assert_int_eq(take_step(&step), 1);
        most = rows_left(BACKEND_SQLITE) > most ? rows_left(BACKEND_SQLITE) : most;
    }
    ck_assert_int_le(most, 2 * KEPT_DAYS * EACH);
    for (int i = 0; i < 100; i++) {
        struct value_change one = change_of(VALUE_CURSOR, "c", "1", VALUE_ANY);
        struct values_step step = step_of(&one, 1, NOW + (DAYS + KEPT_DAYS + 1) * DAY_MS);
        ck_assert_int_eq(take_step(&step), 1);
    }
    ck_assert_int_eq(rows_left(BACKEND_SQLITE), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store values");
    TCase *cases = backends_case(suite, "values");
    tcase_add_loop_test(cases, a_value_has_versions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_value_is_removed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_step_is_all_or_nothing, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_step_suspends_and_tells, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, kinds_that_are_listed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, refunds_are_those_of_store_refund, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_redeemed_message_is_refunded_once, 0, 2 * BACKEND_KINDS);
    tcase_add_loop_test(cases, a_ticket_of_the_same_id_stays, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_value_ends, 0, BACKEND_KINDS);
    tcase_add_test(cases, another_value_with_the_same_hash);
    tcase_add_loop_test(cases, as_many_as_go_at_once, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, any_bytes_up_to_the_limits, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, too_much_is_told, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_list_is_in_order_of_key, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_list_passes_over_what_has_ended, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, a_sweep_removes_what_is_past, 0, BACKEND_KINDS);
    tcase_add_test(cases, steps_remove_what_is_past);
    return backends_run(suite);
}
