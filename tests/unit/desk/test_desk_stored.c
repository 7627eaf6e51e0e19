/* What is stored about a mailbox: of each kind that the store can keep, and nothing of others. */
#include <string.h>

#include "base/json.h"
#include "base/packed.h"
#include "desk/stored.h"
#include "guard/block_list.h"
#include "guard/delivery.h"
#include "guard/keyed_hash.h"
#include "guard/login_values.h"
#include "mail/kept_open.h"
#include "mail/waiting_reports.h"
#include "store/adjustments.h"
#include "store/observations.h"
#include "store/suspensions.h"
#include "tests/unit/desk/desk_rig.h"

#define STRANGER "m" ALICE          /* ends as the mailbox does */
#define LONGER ALICE ".example.net" /* begins as it does */

/* ---- one of each ------------------------------------------------------------------------- */

static void put_value(enum value_kind kind, const char *key, const void *bytes, size_t length,
                      int64_t now_ms)
{
    const struct value_change change = {
        .value = {.kind = kind, .key = key, .bytes = bytes, .length = length,
                  .until_ms = now_ms + DAY_MS},
        .replaces = VALUE_ANY};
    ck_assert_int_eq(store_values_change(store, &(struct values_step){
        .changes = &change, .count = 1, .now_ms = now_ms}, NULL), 1);
}

static void put_text(enum value_kind kind, const char *key, const char *text, int64_t now_ms)
{
    put_value(kind, key, text, strlen(text), now_ms);
}

static void put_packed(enum value_kind kind, const char *key, const struct text *packed,
                       int64_t now_ms)
{
    put_value(kind, key, packed->data, packed->length, now_ms);
}

static const char *hex_of(uint64_t hash)
{
    return arena_printf(arena, "%016llx", (unsigned long long)hash);
}

/* Values that have the mailbox in their key. */
static void put_own(const char *mailbox, int64_t now_ms)
{
    char trace[DELIVERY_KEY_SIZE];
    static const enum value_kind kinds[] = {VALUE_KNOWN, VALUE_COMPLAINTS, VALUE_APPEAL,
                                            VALUE_PERMISSIONS, VALUE_IDENTITY, VALUE_PROFILE,
                                            VALUE_PARKED, VALUE_REJECTED, VALUE_BLOCK};
    rig_wait_since(mailbox, UNUSUAL_NOTE, now_ms);
    for (size_t i = 0; i < countof(kinds); i++)
        put_text(kinds[i], mailbox, "\1", now_ms);
    delivery_trace_key(trace, now_ms / DAY_MS, mailbox, 7, 0);
    put_text(VALUE_TRACE, trace, "\1", now_ms);
}

/* Values that have it in what they say. */
static void put_named(const char *mailbox, int64_t now_ms)
{
    freed_by(text_free) struct text open = {0}, reports = {0}, site = {0};
    struct waiting_reports waiting;
    const struct waiting_report report = {.id = 5, .at_ms = now_ms, .mailbox = mailbox,
                                          .queue_id = "", .domain = ""};
    char queued[DELIVERY_KEY_SIZE];
    const char *list = arena_printf(
        arena, "{\"told\":{\"%s\":1},\"items\":[{\"mailbox\":\"%s\"},"
               "{\"mailbox\":\"other@x.test\"}]}",
        mailbox, mailbox);
    delivery_open_key(queued, 7, arena_printf(arena, "4fQ%zu", strlen(mailbox)));
    kept_open_add(&open, &(struct kept_open){.mailbox = mailbox, .seen_ms = now_ms, .decision = 9});
    put_packed(VALUE_OPEN, queued, &open, now_ms);
    ck_assert_int_eq(waiting_reports_read(arena, NULL, 0, &waiting), 1);
    waiting_reports_take(&waiting, &report);
    waiting_reports_add(&reports, &waiting);
    put_packed(VALUE_REPORT, arena_printf(arena, "waiting%zu", strlen(mailbox)), &reports, now_ms);
    put_text(VALUE_NOTIFY, arena_printf(arena, "state%zu", strlen(mailbox)), list, now_ms);
    put_text(VALUE_FAILURES, arena_printf(arena, "%zu.test", strlen(mailbox)),
             arena_printf(arena, "\1%c%s\2", (int)strlen(mailbox), mailbox), now_ms);
    packed_add_string(&site, arena_printf(arena, "pair\nx\n%s", mailbox));
    put_packed(VALUE_SITE, arena_printf(arena, "site%zu", strlen(mailbox)), &site, now_ms);
}

/* Values that have a hash of it. */
static void put_hashed(const char *mailbox, int64_t now_ms)
{
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = token_key};
    uint64_t login = keyed_hash_login(&keys, mailbox);
    uint64_t recipient = keyed_hash_recipient(&keys, mailbox, now_ms);
    uint8_t bytes[1 + 8];
    bytes[0] = 1;
    packed_put(bytes + 1, login, 8);
    put_text(VALUE_LOGINS, login_values_of(arena, VALUE_LOGINS, login).key, "\1", now_ms);
    put_value(VALUE_LOGIN_NETWORK, arena_printf(arena, "%016zx", strlen(mailbox)), bytes,
              sizeof bytes, now_ms);
    put_value(VALUE_LOGIN_NEWS, arena_printf(arena, "%016zx", strlen(mailbox)), bytes,
              sizeof bytes, now_ms);
    put_text(VALUE_RECIPIENT, arena_printf(arena, "x.test#%s", hex_of(recipient)), "\1", now_ms);
    put_text(VALUE_BLOCKED, arena_printf(arena, "recipient\n#%s\n*", hex_of(recipient)), "\1",
             now_ms);
    put_text(VALUE_ADDED, arena_printf(arena, "%020zu", strlen(mailbox)),
             arena_printf(arena, "sender\n%s\n*", mailbox), now_ms);
    put_text(VALUE_UNDO, arena_printf(arena, "sender\n%s\n*", mailbox), "\1", now_ms);
}

static void put_kept(const char *mailbox, int64_t now_ms)
{
    static const enum kept_kind named[] = {KEPT_STAFF, KEPT_TOKEN, KEPT_SESSION, KEPT_BLOCK,
                                           KEPT_TRIES, KEPT_KNOWN};
    for (size_t i = 0; i < countof(named); i++)
        ck_assert_int_eq(store_keep(store, named[i], &(struct kept){
            mailbox, "secret", now_ms + DAY_MS}, now_ms, NULL), 1);
    const char *looked = arena_printf(arena, "[{\"found\":\"mailbox\",\"key\":\"%s\"},"
                                             "{\"found\":\"mailbox\",\"key\":\"other@x.test\"}]",
                                      mailbox);
    const char *asked = arena_printf(arena, "{\"by\":\"ada\",\"words\":{\"subject\":\"%s\"}}",
                                     mailbox);
    ck_assert_int_eq(store_keep(store, KEPT_LOOKED, &(struct kept){
        arena_printf(arena, "ada%zu", strlen(mailbox)), looked, now_ms + DAY_MS}, now_ms, NULL), 1);
    ck_assert_int_eq(store_keep(store, KEPT_LOOKED, &(struct kept){
        arena_printf(arena, "bo%zu", strlen(mailbox)), arena_printf(arena, "%s,", mailbox),
        now_ms + DAY_MS}, now_ms, NULL), 1); /* damaged */
    ck_assert_int_eq(store_keep(store, KEPT_LOOKED, &(struct kept){
        mailbox, "[]", now_ms + DAY_MS}, now_ms, NULL), 1); /* it looked itself */
    ck_assert_int_eq(store_keep(store, KEPT_APPROVAL, &(struct kept){
        arena_printf(arena, "id%zu", strlen(mailbox)), asked, now_ms + DAY_MS}, now_ms, NULL), 1);
}

/* What judging and staff bring. */
static void put_sent(const char *mailbox, int64_t now_ms)
{
    struct suspension suspension;
    const struct action action = {now_ms, "ada", "asked by telephone"};
    const struct durations durations = {1, {DAY_MS}};
    const struct adjustment adjustment = {.rule = RULE_MESSAGES_PER_DAY, .kind = ADJUST_LIMIT,
                                          .value = 1, .until_ms = UNTIL_LIFTED};
    struct adjustment own = adjustment;
    snprintf(own.subject, sizeof own.subject, "%s", mailbox);
    for (int i = 0; i < 6; i++) { /* the sixth is over the limit of five */
        struct submission submission = rig_message(arena_printf(arena, "m%d", i), 2);
        rig_mailbox(&submission, mailbox);
        rig_judge(&submission, now_ms + i);
    }
    ck_assert_int_eq(store_suspend(store, mailbox, CAUSE_TERMS, &durations, &action, &suspension),
                     1);
    ck_assert_int_eq(store_adjust(store, &own, &action), 1);
    const struct observed_sender sender = {mailbox, "example.test", "192.0.2.1", now_ms};
    struct near_limit near = {.rule = RULE_MESSAGES_PER_DAY, .at_ms = now_ms};
    snprintf(near.key, sizeof near.key, "%s", mailbox);
    ck_assert_int_eq(store_observe(store, &(struct observations){
        .senders = &sender, .sender_count = 1, .nears = &near, .near_count = 1}, now_ms), 1);
}

static void put_all(const char *mailbox, int64_t now_ms)
{
    put_sent(mailbox, now_ms);
    put_own(mailbox, now_ms);
    put_named(mailbox, now_ms);
    put_hashed(mailbox, now_ms);
    put_kept(mailbox, now_ms);
}

/* ---- what is told ------------------------------------------------------------------------ */

struct told {
    uint64_t of_kind[STORED_KINDS], entries;
    struct text text;
};

static size_t place_of(const struct stored_kind *kind)
{
    if (kind >= stored_items && kind < stored_items + TRANSFER_KIND_COUNT)
        return (size_t)(kind - stored_items);
    if (kind >= stored_kept && kind < stored_kept + KEPT_KIND_COUNT)
        return TRANSFER_KIND_COUNT + (size_t)(kind - stored_kept);
    return TRANSFER_KIND_COUNT + KEPT_KIND_COUNT + (size_t)(kind - stored_values);
}

static bool hear(void *context, const struct stored_kind *kind, struct json_object *entry)
{
    struct told *told = context;
    const char *text = json_object_to_json_string_ext(entry, JSON_C_TO_STRING_NOSLASHESCAPE);
    ck_assert_str_eq(json_string(entry, "kind", ""), kind->name);
    ck_assert(json_object_object_get_ex(entry, "until", NULL));
    told->of_kind[place_of(kind)]++;
    told->entries++;
    text_add(&told->text, text);
    text_add(&told->text, "\n");
    return true;
}

static void end_told(struct told *told) { text_free(&told->text); }

static struct stored_source source_of_store(void)
{
    return (struct stored_source){backend_url(), {.timeout_ms = TEST_TIMEOUT_MS}};
}

static struct told told_of(const char *mailbox, int64_t now_ms)
{
    struct told told = {0};
    struct problem problem = {0};
    const struct stored_source source = source_of_store();
    must_come(desk_stored(rig_desk(), &source, mailbox, now_ms, hear, &told, &problem), &problem);
    return told;
}

#define EVERYTHING                                                                     \
    WITH(SMALL, "mta.webmail_hosts=127.0.0.0/8",                                       \
         "limits.webmail.messages_per_day_per_recipient=100")

static const struct stored_kind *kind_at(size_t place)
{
    if (place < TRANSFER_KIND_COUNT)
        return &stored_items[place];
    place -= TRANSFER_KIND_COUNT;
    return place < KEPT_KIND_COUNT ? &stored_kept[place] : &stored_values[place - KEPT_KIND_COUNT];
}

/* A new kind of the store has no row yet, and then none of these. */
START_TEST(every_kind_has_words)
{
    for (size_t i = 0; i < STORED_KINDS; i++) {
        const struct stored_kind *kind = kind_at(i);
        ck_assert_msg(kind->name != NULL, "kind %zu has no row in desk/stored_kinds.c", i);
        bool worded = kind->what != NULL && kind->until != NULL && kind->why != NULL;
        ck_assert_msg(worded == (kind->fate != STORED_OF_NOBODY), "%s", kind->name);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(kind->name, kind_at(k)->name);
    }
}
END_TEST

START_TEST(each_kind_is_told)
{
    const struct action action = {NOW, "ada", "a contract"};
    const struct adjustment plan = {.subject = ALICE, .kind = ADJUST_PLAN, .plan = "school",
                                    .until_ms = UNTIL_LIFTED};
    rig_begin(_i, EVERYTHING);
    put_all(ALICE, NOW);
    ck_assert_int_eq(store_adjust(store, &plan, &action), 1);
    freed_by(end_told) struct told told = told_of(ALICE, NOW + MINUTE_MS);
    for (size_t i = 0; i < STORED_KINDS; i++)
        ck_assert_msg((told.of_kind[i] > 0) == (kind_at(i)->fate != STORED_OF_NOBODY),
                      "%s: %llu", kind_at(i)->name, (unsigned long long)told.of_kind[i]);
    ck_assert_uint_eq(told.of_kind[TRANSFER_RECORD], 6);
    ck_assert_ptr_null(strstr(told.text.data, "other@x.test"));
    ck_assert_ptr_null(strstr(told.text.data, "secret"));
    ck_assert_ptr_null(strstr(told.text.data, "\"by\""));
    ck_assert_ptr_nonnull(strstr(told.text.data, "\"change\":\"plan\",\"rule\":null,"
                                                 "\"plan\":\"school\""));
}
END_TEST

/* Addresses that end or begin like it are others; each is told its own alone. */
START_TEST(nothing_of_others)
{
    rig_begin(_i, EVERYTHING);
    put_all(ALICE, NOW);
    freed_by(end_told) struct told alone = told_of(ALICE, NOW + MINUTE_MS);
    put_all(STRANGER, NOW);
    put_all(LONGER, NOW);
    freed_by(end_told) struct told told = told_of(ALICE, NOW + MINUTE_MS);
    freed_by(end_told) struct told nobody = told_of("never@example.test", NOW + MINUTE_MS);
    for (size_t i = 0; i < STORED_KINDS; i++)
        ck_assert_msg(told.of_kind[i] == alone.of_kind[i], "%s", kind_at(i)->name);
    ck_assert_ptr_null(strstr(told.text.data, STRANGER));
    ck_assert_ptr_null(strstr(told.text.data, LONGER));
    ck_assert_uint_eq(nobody.entries, 0);
    freed_by(end_told) struct told stranger = told_of(STRANGER, NOW + MINUTE_MS);
    ck_assert_uint_eq(stranger.entries, alone.entries);
}
END_TEST

/* What is kept under hashes cannot be found without the secret: then nothing is told. */
START_TEST(not_without_the_secret)
{
    rig_begin(_i, EVERYTHING);
    struct desk desk = *rig_desk();
    struct told told = {0};
    struct problem problem = {0};
    const struct stored_source source = source_of_store();
    desk.key = NULL;
    ck_assert_int_eq(desk_stored(&desk, &source, ALICE, NOW, hear, &told, &problem), 0);
    ck_assert_int_eq(problem.status, 409);
    ck_assert_int_eq(desk_stored(rig_desk(), &source, "@example.test", NOW, hear, &told, &problem),
                     0);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_uint_eq(told.entries, 0);
}
END_TEST

/* ---- what is forgotten ------------------------------------------------------------------------ */

static struct json_object *forget(const char *mailbox, const char *why, int64_t now_ms)
{
    const struct action action = {now_ms, "ada", why};
    const struct stored_source source = source_of_store();
    return VIEW(desk_forget(rig_desk(), &source, mailbox, why != NULL ? &action : NULL, now_ms,
                            &made, &fault));
}

static int64_t count_in(struct json_object *view, const char *list, const struct stored_kind *kind)
{
    struct json_object *one = json_member(view, list);
    for (size_t i = 0; i < json_object_array_length(one); i++) {
        struct json_object *of = json_object_array_get_idx(one, i);
        if (strcmp(json_string(of, "kind", ""), kind->name) == 0)
            return json_int(of, "count", 0);
    }
    return 0;
}

/* What is said to go and to stay is all that there is. */
static void check_counts(struct json_object *view, const struct told *told)
{
    for (size_t i = 0; i < STORED_KINDS; i++) {
        int64_t goes = count_in(view, "goes", kind_at(i));
        int64_t stays = count_in(view, "stays", kind_at(i));
        ck_assert_msg((uint64_t)(goes + stays) == told->of_kind[i], "%s: %lld + %lld of %llu",
                      kind_at(i)->name, (long long)goes, (long long)stays,
                      (unsigned long long)told->of_kind[i]);
        ck_assert_msg(goes == 0 || kind_at(i)->fate == STORED_GOES, "%s", kind_at(i)->name);
    }
}

static void check_same(const struct told *before, const struct told *after)
{
    ck_assert_str_eq(before->text.data, after->text.data);
}

/* Which kinds may go, and that only these went: the rest is as it was, to the byte. */
START_TEST(goes_and_stays)
{
    rig_begin(_i, EVERYTHING);
    put_all(ALICE, NOW);
    put_all(STRANGER, NOW);
    const int64_t now_ms = NOW + MINUTE_MS;
    freed_by(end_told) struct told before = told_of(ALICE, now_ms);
    freed_by(end_told) struct told stranger = told_of(STRANGER, now_ms);
    struct json_object *preview = forget(ALICE, NULL, now_ms);
    check_member(preview, "done", "false");
    check_counts(preview, &before);
    freed_by(end_told) struct told looked = told_of(ALICE, now_ms);
    check_same(&before, &looked);

    struct json_object *done = forget(ALICE, "asked by letter", now_ms);
    check_member(done, "done", "true");
    check_member(done, "log_cut", "true");
    check_counts(done, &before);
    freed_by(end_told) struct told after = told_of(ALICE, now_ms);
    for (size_t i = 0; i < STORED_KINDS; i++) {
        uint64_t left = (uint64_t)count_in(done, "stays", kind_at(i));
        left += kind_at(i) == &stored_values[VALUE_LOGIN_NEWS]; /* that its sign-ins have changed */
        ck_assert_msg(after.of_kind[i] == left, "%s", kind_at(i)->name);
        ck_assert_msg(i == TRANSFER_RECORD || kind_at(i)->fate != STORED_GOES || left == 0, "%s",
                      kind_at(i)->name);
    }
    ck_assert_uint_eq(after.of_kind[TRANSFER_RECORD], 5); /* those that count still */
    freed_by(end_told) struct told others = told_of(STRANGER, now_ms);
    check_same(&stranger, &others);

    const int64_t later_ms = NOW + DAY_MS + MINUTE_MS; /* and a day later nothing counts */
    forget(ALICE, "asked by letter", later_ms);
    freed_by(end_told) struct told later = told_of(ALICE, later_ms);
    ck_assert_uint_eq(later.of_kind[TRANSFER_RECORD], 0);
}
END_TEST

/* The audit log says that it was done, to who knows whose it was; and to nobody else. */
START_TEST(the_entry_names_nobody)
{
    rig_begin(_i, EVERYTHING);
    send_one("m1", 1, NOW);
    struct json_object *done = forget("Alice@Example.TEST", "asked by letter", NOW + 1);
    check_member(done, "mailbox", ALICE);
    ck_assert_uint_eq(length_of(done, "before"), 0);
    struct audit entry;
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit_newest(store, NULL, INT64_MAX, &entry, &page), 1);
    ck_assert_str_eq(entry.action, "forget");
    ck_assert_str_eq(entry.subject, json_string(done, "subject", ""));
    ck_assert_ptr_null(strstr(entry.subject, "alice"));
    ck_assert_str_eq(entry.note, "asked by letter");

    struct json_object *again = forget(ALICE, NULL, NOW + 2);
    check_member(again, "before.0.number", arena_printf(arena, "%lld", (long long)entry.number));
    ck_assert_uint_eq(length_of(forget(BOB, NULL, NOW + 2), "before"), 0);

    const struct action naming = {NOW, "ada", "a letter of " ALICE};
    const struct stored_source source = source_of_store();
    struct json_object *view = NULL;
    struct problem problem = {0};
    ck_assert_int_eq(desk_forget(rig_desk(), &source, ALICE, &naming, NOW, &view, &problem), 0);
    ck_assert_str_eq(problem.where, "note");
}
END_TEST

static uint64_t messages_left(int64_t now_ms)
{
    return 5 - rig_used(RULE_MESSAGES_PER_DAY, now_ms);
}

/* Who is over a limit stays so, and the profile of a mailbox whose messages wait stays. */
START_TEST(no_way_round)
{
    rig_begin(_i, EVERYTHING);
    for (int i = 0; i < 4; i++)
        send_one(arena_printf(arena, "m%d", i), 1, NOW + i);
    ck_assert_uint_eq(messages_left(NOW + 10), 1);
    rig_wait_since(ALICE, UNUSUAL_HOLD, NOW);
    struct json_object *done = forget(ALICE, "asked by letter", NOW + 10);
    ck_assert_uint_eq(messages_left(NOW + 11), 1);
    ck_assert_int_eq(count_in(done, "stays", &stored_values[VALUE_PROFILE]), 1);
    ck_assert_int_eq(count_in(done, "stays", &stored_values[VALUE_HELD]), 1);
    send_one("m4", 1, NOW + 12);
    ck_assert_int_ne(send_one("m5", 1, NOW + 13).kind, VERDICT_ADMIT);
}
END_TEST

/* From where it signed in goes; what keeps somebody out stays. */
START_TEST(sign_ins)
{
    rig_begin(_i, EVERYTHING);
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = token_key};
    uint64_t id = keyed_hash_login(&keys, ALICE);
    for (int locked = 0; locked < 2; locked++) {
        freed_by(login_mailbox_free) struct login_mailbox mailbox = {0}, after = {0};
        struct login_network network = {0};
        freed_by(text_free) struct text packed = {0};
        const struct login_from from = {.mailbox = id, .network = 7};
        login_take_right(&mailbox, &network, &from, 5, NOW);
        if (locked)
            login_lock_begin(&mailbox.lock, true, 5, NOW);
        login_mailbox_add(&packed, &mailbox);
        login_network_free(&network);
        put_packed(VALUE_LOGINS, login_values_of(arena, VALUE_LOGINS, id).key, &packed, NOW);
        forget(ALICE, "asked by letter", NOW + 1);
        struct value value = login_values_of(arena, VALUE_LOGINS, id);
        ck_assert_int_eq(store_values_get(store, arena, &value, 1, NOW + 2), 1);
        ck_assert_int_eq(value.length > 0, locked);
        login_values_mailbox(&value, &after);
        ck_assert_uint_eq(after.known.count, 0);
        ck_assert_uint_eq(after.password_count, (size_t)locked);
        ck_assert_int_eq(login_lock_holds(&after.lock), locked);
        struct value newest = login_values_newest(); /* so that running programs see it */
        ck_assert_int_eq(store_values_get(store, arena, &newest, 1, NOW + 2), 1);
        ck_assert_int_eq(login_values_number(&newest), locked + 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stored");
    TCase *cases = desk_case(suite, "stored");
    tcase_add_test(cases, every_kind_has_words);
    tcase_add_loop_test(cases, each_kind_is_told, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, nothing_of_others, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, not_without_the_secret, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, goes_and_stays, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, the_entry_names_nobody, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, no_way_round, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, sign_ins, 0, BACKEND_KINDS);
    return backends_run(suite);
}
