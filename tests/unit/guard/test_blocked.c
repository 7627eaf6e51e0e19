/* The block lists, from an entry to the refusal, on every backend. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "guard/block_filter.h"
#include "guard/block_list.h"
#include "guard/spf_block.h"
#include "tests/unit/guard/guard_rig.h"

static const struct action action = {NOW, "ada", "asked for"};

static struct block_entry entry_of(enum block_kind kind, const char *subject, const char *scope)
{
    return (struct block_entry){.kind = kind, .subject = subject, .scope = scope,
                                .reason = "It is a trap", .by = "ada", .note = "asked for",
                                .since_ms = NOW, .until_ms = UNTIL_LIFTED};
}

static void block_for(enum block_kind kind, const char *subject, const char *scope,
                      int64_t until_ms)
{
    struct block_entry entry = entry_of(kind, subject, scope);
    entry.until_ms = until_ms;
    ck_assert_int_eq(block_list_add(store, &entry, 1, &action), 1);
    guard_outdate_blocks(guard);
}

static void block(enum block_kind kind, const char *subject, const char *scope)
{
    block_for(kind, subject, scope, UNTIL_LIFTED);
}

static void unblock(enum block_kind kind, const char *subject, const char *scope)
{
    const struct block_entry entry = entry_of(kind, subject, scope);
    ck_assert_int_eq(block_list_remove(store, &entry, &action), 1);
}

static struct verdict sent(const char *id, const char *mailbox, const char *to, int64_t now_ms)
{
    struct submission submission = rig_submission(id);
    if (mailbox != NULL)
        rig_mailbox(&submission, mailbox);
    rig_add(&submission, FIELD_TO, to);
    return rig_judge(&submission, now_ms);
}

static int kind_of(const char *id, const char *mailbox, const char *to)
{
    return (int)sent(id, mailbox, to, NOW).kind;
}

/* ---- recipients ----------------------------------------------------------------------------- */

/* Each is named with its field, together with what else is wrong, and the record has no address. */
START_TEST(test_recipients)
{
    rig_begin(_i, WITH("limits.webmail.recipients_per_domain=2",
                       "blocks.reasons=trap Do not write."));
    block(BLOCK_RECIPIENT, "bob@x.test", BLOCK_SCOPE_ALL);
    struct block_entry named = entry_of(BLOCK_DOMAIN, "y.test", BLOCK_SCOPE_ALL);
    named.reason = "trap";
    ck_assert_int_eq(block_list_add(store, &named, 1, &action), 1);
    guard_outdate_blocks(guard);
    struct submission submission = rig_submission("x");
    rig_add(&submission, FIELD_TO, "BOB@x.test, c@x.test, d@x.test");
    rig_add(&submission, FIELD_BCC, "bob@x.test, e@y.test, f@y.test, g@sub.y.test");
    struct verdict verdict = rig_ask(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_str_eq(rig_reasons(&verdict),
                     "recipients_per_domain recipient_blocked recipient_blocked recipient_blocked "
                     "recipient_blocked");
    rig_check_has(verdict.message, "Mail to bob@x.test (To) is blocked: It is a trap. Remove");
    rig_check_has(verdict.message, "Mail to bob@x.test (Bcc) is blocked: It is a trap. Remove");
    rig_check_has(verdict.message, "Mail to e@y.test (Bcc) is blocked: Do not write. Remove");
    ck_assert_str_eq(verdict.reasons[3].objection.reason, "trap");
    ck_assert_str_eq(verdict.reasons[1].objection.reason, "staff");
    freed_by(json_put) struct json_object *facts = rig_facts(verdict.decision, NOW);
    ck_assert_str_eq(rig_text(facts, "broken.1.rule"), "recipient_blocked");
    ck_assert_str_eq(rig_text(facts, "broken.1.domain"), "x.test");
    rig_check_has_not(json_object_to_json_string(facts), "bob@");
    unblock(BLOCK_RECIPIENT, "bob@x.test", BLOCK_SCOPE_ALL); /* at once: the entry itself is read */
    ck_assert_int_eq(kind_of("y", NULL, "bob@x.test"), VERDICT_ADMIT);
}
END_TEST

/* Whose mail it is about; an own domain's equals are one sender domain. */
START_TEST(test_scopes)
{
    rig_begin(_i, WITH("domains.own_domains=b.test example.test", "exempt.mailbox=" BOB));
    block(BLOCK_RECIPIENT, "r@x.test", "b.test"); /* the first by name */
    block(BLOCK_DOMAIN, "y.test", "other.test");
    block(BLOCK_PAIR, "p@x.test", ALICE);
    ck_assert_int_eq(kind_of("1", NULL, "r@x.test"), VERDICT_MESSAGE);
    ck_assert_int_eq(kind_of("2", "z@b.test", "r@x.test"), VERDICT_MESSAGE);
    ck_assert_int_eq(kind_of("3", "z@other.test", "r@x.test"), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("4", NULL, "r@y.test"), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("5", "z@other.test", "r@y.test"), VERDICT_MESSAGE);
    ck_assert_int_eq(kind_of("6", NULL, "p@x.test"), VERDICT_MESSAGE);
    ck_assert_int_eq(kind_of("7", "z@example.test", "p@x.test"), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("8", BOB, "r@x.test"), VERDICT_ADMIT); /* exempt */
    /* it leads there */
    ck_assert_int_eq(kind_of("9", NULL, "r%x.test@example.test"), VERDICT_MESSAGE);
}
END_TEST

/* However it is written, and whatever leads there. */
START_TEST(test_spellings)
{
    static const char *const spellings[] = {
        "BOB@X.TEST",
        "bob@x.test.",
        "\"bob\"@x.test",
        "\"b\\ob\"@x.test",
        "Bob (at home) <bob@x.test>",
        "g: a@z.test, bob@x.test;",
        "bob@\uff58.test",
        "bob@x\u3002test",
        "bob@x\u00ad.test",
        "bob%x.test@example.test",
        "bob%\uff58.test@example.test",
        "x.test!bob@example.test",
        "example.test!x.test!bob@example.test",
        "bob%x.test%localhost@example.test",
        "\"bob@x.test\"@example.test",
        "\"\\\"bob\\\"@x.test\"@example.test",
        "\"bob%x.test\"@example.test.",
        "bob%x.test@[127.0.0.1]",
        "\"bob@x.test\"@[192.0.2.1]",
        "bob%x.test%localhost@mx.other.test",
        "x.test!bob@mx.other.test",
        "bob%x.test%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b%a.b@y.test",
    };
    rig_begin(_i, DEFAULTS);
    block(BLOCK_RECIPIENT, "bob@x.test", BLOCK_SCOPE_ALL);
    for (size_t i = 0; i < countof(spellings); i++) {
        struct verdict verdict = sent(spellings[i], NULL, spellings[i], NOW);
        ck_assert_msg(verdict.kind == VERDICT_MESSAGE, "%s", spellings[i]);
        ck_assert_str_eq(rig_reasons(&verdict), "recipient_blocked");
    }
}
END_TEST

START_TEST(test_end)
{
    rig_begin(_i, DEFAULTS);
    block_for(BLOCK_RECIPIENT, "r@x.test", BLOCK_SCOPE_ALL, NOW + 1000);
    ck_assert_int_eq(sent("1", NULL, "r@x.test", NOW + 999).kind, VERDICT_MESSAGE);
    ck_assert_int_eq(sent("2", NULL, "r@x.test", NOW + 1000).kind, VERDICT_ADMIT);
}
END_TEST

START_TEST(test_unroutable)
{
    static const char *const refused[] = {"a@localhost", "a@intranet", "a@x.invalid", "a@b.c.onion",
                                          "a@host.localhost"};
    static const char *const passes[] = {"a@localhost.test", "a@onion.test", "a@office", "a@lan",
                                         "a@keep.onion", "a@[192.0.2.1]"};
    rig_begin(_i, WITH("exempt.recipient=@lan", "exempt.recipient=a@keep.onion",
                       "domains.hosted=office"));
    for (size_t i = 0; i < countof(refused); i++) {
        struct verdict verdict = sent(refused[i], NULL, refused[i], NOW);
        ck_assert_msg(verdict.kind == VERDICT_MESSAGE, "%s", refused[i]);
        ck_assert_str_eq(verdict.reasons[0].objection.reason, "unroutable");
        rig_check_has(verdict.message, "No mail can reach a@");
    }
    for (size_t i = 0; i < countof(passes); i++)
        ck_assert_msg(kind_of(passes[i], NULL, passes[i]) == VERDICT_ADMIT, "%s", passes[i]);
    rig_reload(WITH("blocks.unroutable=none"));
    for (size_t i = 0; i < countof(refused); i++)
        ck_assert_int_eq(kind_of(arena_printf(arena, "again%zu", i), NULL, refused[i]),
                         VERDICT_ADMIT);
}
END_TEST

/* ---- senders -------------------------------------------------------------------------------- */

START_TEST(test_senders)
{
    static const struct {
        const char *subject;
        const char *mailbox, *ip;
        bool refused;
    } rows[] = {
        {ALICE, ALICE, "192.0.2.1", true},
        {ALICE, BOB, "192.0.2.1", false},
        {"@example.test", BOB, "192.0.2.1", true},
        {"@example.test", "a@sub.example.test", "192.0.2.1", false},
        {"192.0.2.1", BOB, "192.0.2.1", true},
        {"192.0.2.1", BOB, "192.0.2.2", false},
        {"192.0.2.0/24", BOB, "192.0.2.77", true},
        {"192.0.0.0/16", BOB, "192.0.3.1", true},
        {"192.0.0.0/8", BOB, "192.9.9.9", true},
        {"192.0.2.0/24", BOB, "192.0.3.1", false},
        {"2001:db8::/64", BOB, "2001:db8::99", true},
        {"2001:db8::/64", BOB, "2001:db8:0:1::99", false},
        {"2001:db8::/48", BOB, "2001:db8:0:1::99", true},
        {"2001:db8::/32", BOB, "2001:db8:ffff::1", true},
    };
    rig_begin(_i, DEFAULTS);
    for (size_t i = 0; i < countof(rows); i++) {
        struct problem problem;
        char network[BLOCK_NETWORK_SIZE];
        const char *subject = rows[i].subject;
        if (strchr(subject, '@') == NULL) {
            ck_assert_msg(block_list_network(subject, network) == 1, "%s", subject);
            subject = network;
        }
        block(BLOCK_SENDER, subject, BLOCK_SCOPE_ALL);
        struct submission submission = rig_submission(arena_printf(arena, "%zu", i));
        rig_mailbox(&submission, rows[i].mailbox);
        ck_assert_int_eq(submission_set_ip(&submission, rows[i].ip, strlen(rows[i].ip), &problem),
                         1);
        rig_add(&submission, FIELD_TO, "r@x.test");
        struct verdict verdict = rig_judge(&submission, NOW);
        ck_assert_msg(verdict.kind == (rows[i].refused ? VERDICT_SENDER_BLOCKED : VERDICT_ADMIT),
                      "%s: %s from %s", subject, rows[i].mailbox, rows[i].ip);
        if (rows[i].refused) {
            ck_assert_str_eq(rig_reasons(&verdict), "sender_blocked");
            rig_check_has(verdict.message, "is not accepted: It is a trap.");
            rig_check_has_not(verdict.message, subject);
        }
        unblock(BLOCK_SENDER, subject, BLOCK_SCOPE_ALL);
    }
}
END_TEST

START_TEST(test_networks)
{
    static const struct {
        const char *text, *network; /* NULL: none */
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},         {"192.0.2.7/32", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},  {"::FFFF:c000:207", "192.0.2.7"},
        {"::ffff:192.0.2.7/64", NULL},
        {"10.0.0.0/8", "10.0.0.0/8"},       {"2001:DB8:0::1", "2001:db8::/64"},
        {"2001:db8::/56", "2001:db8::/56"}, {"10.1.0.0/8", NULL},
        {"10.0.0.0/9", NULL},               {"10.0.0.0/", NULL},
        {"10.0.0.0/08", NULL},              {"2001:db8::1/64", NULL},
        {"2001:db8::/128", NULL},           {"x.test", NULL},
        {"", NULL},                         {"10.0.0", NULL},
        {"::ffff:192.0.2.1/32", NULL},
    };
    char network[BLOCK_NETWORK_SIZE];
    (void)_i;
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert_msg(block_list_network(rows[i].text, network) == (rows[i].network != NULL), "%s",
                      rows[i].text);
        if (rows[i].network != NULL)
            ck_assert_str_eq(network, rows[i].network);
    }
}
END_TEST

/* ---- modes ---------------------------------------------------------------------------------- */

/* A domain whose SPF record lacks these terms. */
static void block_for_spf(const char *kind, const char *terms)
{
    freed_by(json_put) struct json_object *view = json_object_new_object();
    json_add_string(view, "domain", "example.test");
    json_add_string(view, "advice_kind", kind);
    json_add_string(view, "terms", terms);
    json_add_string(view, "advice_term", "-all");
    const struct block_entry entry = spf_block_entry(arena, view, NOW);
    ck_assert(spf_block_is(&entry));
    ck_assert_int_eq(block_list_add(store, &entry, 1, &action), 1);
    guard_outdate_blocks(guard);
}

static struct verdict sent_by(const char *id, enum channel channel, const char *lang)
{
    struct submission submission = rig_submission(id);
    submission.channel = channel;
    submission.lang = lang;
    rig_add(&submission, FIELD_TO, "r@x.test");
    return rig_judge(&submission, NOW);
}

/* What to write into which record, and who has to: the webmail says all of it, the mail server what
 * its answer has room for. */
START_TEST(test_spf)
{
    static const struct {
        const char *lang, *text;
    } rows[] = {
        {"en", "Write ip4:192.0.2.1 into the SPF record of example.test, before the term -all. The "
               "person who manages the DNS of example.test has to do this"},
        {"de", "Schreiben Sie ip4:192.0.2.1 in den SPF-Eintrag von example.test, vor den Teil -all. "
               "Das muss die Person tun, die das DNS von example.test verwaltet"},
        {"fr", "ip4:192.0.2.1 dans l'enregistrement SPF de example.test"},
        {"es", "Escriba ip4:192.0.2.1 en el registro SPF de example.test"},
    };
    rig_begin(_i, WITH("exempt.mailbox=" BOB));
    block_for_spf("add", "ip4:192.0.2.1");
    for (size_t i = 0; i < countof(rows); i++) {
        struct verdict verdict = sent_by(rows[i].lang, CHANNEL_WEBMAIL, rows[i].lang);
        ck_assert_int_eq(verdict.kind, VERDICT_SENDER_BLOCKED);
        ck_assert_str_eq(verdict.reasons[0].objection.reason, "no_spf");
        rig_check_has(verdict.message, rows[i].text);
    }
    rig_check_has(sent_by("smtp", CHANNEL_SMTP, NULL).reasons[0].text,
                  "the SPF record of example.test does not let our mail servers send. The person who "
                  "manages its DNS has to add ip4:192.0.2.1.");
    ck_assert_int_eq(sent_by("f", CHANNEL_FORWARDING, NULL).kind, VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("exempt", BOB, "r@x.test"), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("sub", "a@sub.example.test", "r@x.test"), VERDICT_ADMIT);
    block_for_spf("record", "v=spf1 ip4:192.0.2.1 ~all");
    rig_check_has(sent_by("record", CHANNEL_SMTP, NULL).reasons[0].text,
                  "has to publish v=spf1 ip4:192.0.2.1 ~all.");
    const char *many = "";
    for (int i = 0; i < 20; i++)
        many = arena_printf(arena, "%s%sip4:192.0.2.%d", many, i > 0 ? " " : "", 100 + i);
    block_for_spf("add", many);
    rig_check_has(sent_by("many", CHANNEL_SMTP, NULL).reasons[0].text, "ip4:192.0.2.108 and more.");
    rig_check_has(sent_by("all", CHANNEL_WEBMAIL, "en").message, "ip4:192.0.2.119");
}
END_TEST

START_TEST(test_observe)
{
    rig_begin(_i, WITH("guard.mode=observe"));
    block(BLOCK_RECIPIENT, "r@x.test", BLOCK_SCOPE_ALL);
    block(BLOCK_SENDER, ALICE, BLOCK_SCOPE_ALL);
    struct verdict verdict = sent("1", NULL, "r@x.test", NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.observed);
    ck_assert_str_eq(rig_reasons(&verdict), "sender_blocked recipient_blocked");
}
END_TEST

/* A stranger chooses who is written to by forwarding. */
START_TEST(test_channels)
{
    const char *reason, *text;
    rig_begin(_i, DEFAULTS);
    block(BLOCK_RECIPIENT, "r@x.test", BLOCK_SCOPE_ALL);
    struct submission submission = rig_submission("1");
    rig_add(&submission, FIELD_TO, "r@x.test, s@x.test");
    submission.channel = CHANNEL_SMTP;
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    rig_check_has(verdict.message, "Mail to r@x.test is blocked"); /* it knows no fields */
    struct submission one = rig_submission("2");
    one.channel = CHANNEL_SMTP;
    rig_add(&one, FIELD_TO, "r@x.test");
    ck_assert_int_eq(guard_recipient_blocked(guard, &one, NOW, &reason, &text), 1);
    ck_assert_str_eq(text, "Mail to r@x.test is blocked: It is a trap. Remove this recipient.");
    ck_assert_str_eq(reason, BLOCK_BY_STAFF);
    struct submission other = rig_submission("3");
    rig_add(&other, FIELD_TO, "s@x.test");
    ck_assert_int_eq(guard_recipient_blocked(guard, &other, NOW, &reason, &text), 0);
    submission.channel = CHANNEL_FORWARDING;
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
}
END_TEST

/* ---- what is new ---------------------------------------------------------------------------- */

enum { MANY = 1500 };

static bool is_hit(struct block_filter *filter, const char *subject)
{
    bool hit;
    return block_filter_hits(filter, &subject, 1, &hit) == 1;
}

static void add_many(const char *prefix)
{
    struct block_entry entries[BLOCK_STEP_MAX];
    for (int first = 0; first < MANY; first += BLOCK_STEP_MAX) {
        size_t count = 0;
        for (int i = first; i < MANY && count < BLOCK_STEP_MAX; i++)
            entries[count++] = entry_of(BLOCK_RECIPIENT,
                                        arena_printf(arena, "%s%d@x.test", prefix, i),
                                        BLOCK_SCOPE_ALL);
        ck_assert_int_eq(block_list_add(store, entries, count, &action), 1);
    }
}

/* One that was there from the beginning, and one that starts later, know the same. */
START_TEST(test_filter)
{
    rig_begin(_i, DEFAULTS);
    struct block_filter *early = block_filter_new(), *late = block_filter_new();
    ck_assert_int_eq(block_filter_refresh(early, store, NOW, 0), 1);
    ck_assert(block_filter_is_empty(early));
    add_many("r");
    ck_assert_int_eq(block_filter_refresh(early, store, NOW, BLOCK_FILTER_FRESH_MS - 1), 1);
    ck_assert(block_filter_is_empty(early));
    ck_assert_int_eq(block_filter_refresh(early, store, NOW, BLOCK_FILTER_FRESH_MS), 1);
    ck_assert_int_eq(block_filter_refresh(late, store, NOW, 0), 1);
    ck_assert_uint_eq(block_filter_count(early), MANY);
    ck_assert_uint_eq(block_filter_count(late), MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert(is_hit(early, arena_printf(arena, "r%d@x.test", i)));
        ck_assert(!is_hit(late, arena_printf(arena, "s%d@x.test", i)));
    }
    block_filter_free(&early);
    block_filter_free(&late);
}
END_TEST

/* What it missed for more than a day is read anew; what is removed leaves within half a day. */
START_TEST(test_filter_reads_anew)
{
    struct block_filter *filter = block_filter_new();
    rig_begin(_i, DEFAULTS);
    block(BLOCK_RECIPIENT, "a@x.test", BLOCK_SCOPE_ALL);
    ck_assert_int_eq(block_filter_refresh(filter, store, NOW, 0), 1);
    add_many("r");
    unblock(BLOCK_RECIPIENT, "a@x.test", BLOCK_SCOPE_ALL);
    ck_assert_int_eq(block_filter_refresh(filter, store, NOW + 2 * DAY_MS, 1000), 1);
    ck_assert_uint_eq(block_filter_count(filter), MANY);
    ck_assert(!is_hit(filter, "a@x.test"));
    unblock(BLOCK_RECIPIENT, "r7@x.test", BLOCK_SCOPE_ALL);
    int64_t monotonic_ms = DAY_MS;
    for (int pages = 0; pages < 10 && is_hit(filter, "r7@x.test"); pages++) {
        monotonic_ms += BLOCK_FILTER_FRESH_MS;
        ck_assert(is_hit(filter, "r8@x.test")); /* meanwhile all others are there */
        ck_assert_int_eq(block_filter_refresh(filter, store, NOW, monotonic_ms), 1);
    }
    ck_assert_uint_eq(block_filter_count(filter), MANY - 1);
    ck_assert(is_hit(filter, "r8@x.test"));
    block_filter_free(&filter);
}
END_TEST

/* In the audit log with what was changed; removing what is not there changes nothing. */
START_TEST(test_audit)
{
    struct audit audit[4];
    struct store_page page = {.max = countof(audit)};
    rig_begin(_i, DEFAULTS);
    block(BLOCK_RECIPIENT, "r@x.test", "example.test");
    unblock(BLOCK_RECIPIENT, "r@x.test", "example.test");
    const struct block_entry entry = entry_of(BLOCK_RECIPIENT, "r@x.test", "example.test");
    ck_assert_int_eq(block_list_remove(store, &entry, &action), 0);
    ck_assert_int_eq(store_audit_newest(store, "r@x.test", INT64_MAX, audit, &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(audit[0].action, "unblock");
    ck_assert_str_eq(audit[1].action, "block");
    ck_assert_str_eq(audit[1].by, "ada");
    ck_assert_str_eq(audit[1].detail, "{\"kind\":\"recipient\",\"until\":null,\"reason\":\"It is a "
                                      "trap\",\"scope\":\"example.test\"}");
}
END_TEST

/* ---- entries that keep a hash alone --------------------------------------------------------- */

static struct block_entry hashed_entry(const char *subject)
{
    struct block_entry entry = entry_of(BLOCK_RECIPIENT, subject, "example.test");
    entry.reason = "mailbox_full";
    entry.by = "sendguard";
    entry.site = "mx.x.test";
    entry.until_ms = NOW + 1000;
    return entry;
}

/* Makes the step of the updates, and another value's change with it, as a follower does. */
static int step_with(const struct block_update *updates, size_t count, uint32_t replaces)
{
    struct value_change changes[4];
    struct audited audited[2];
    struct values_step step = {.changes = changes, .audited = audited, .now_ms = NOW};
    ck_assert_int_eq(block_list_step(store, arena, updates, count, &action, changes, &step.count,
                                     audited, &step.audited_count), 1);
    ck_assert_uint_eq(step.audited_count, count);
    changes[step.count++] = (struct value_change){
        .value = {.kind = VALUE_CURSOR, .key = "log", .bytes = "x", .length = 1,
                  .until_ms = UNTIL_LIFTED}, .replaces = replaces};
    return store_values_change(store, &step, NULL);
}

static int read_at(const struct block_entry *entry, int64_t now_ms, struct block_entry *found_r)
{
    struct value value;
    int found = store_value(store, arena, VALUE_BLOCKED, block_list_key(arena, entry), now_ms,
                            &value);
    return found < 1 ? found : block_list_read(arena, &value, found_r);
}

/* The entry is there behind its end, all of it or nothing changes, and it has no address. */
START_TEST(test_step)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    struct block_entry found;
    struct audited none;
    struct value_change changes[2];
    size_t count, audited_count;
    int64_t newest, after;
    rig_begin(_i, DEFAULTS);
    block_list_hashed(UINT64_C(0x00123456789abcde), subject);
    ck_assert_str_eq(subject, "#00123456789abcde");
    struct block_update update = {.entry = hashed_entry(subject)};
    ck_assert_int_eq(step_with(&update, 1, 77), 0); /* the cursor is not as it was read */
    ck_assert_int_eq(read_at(&update.entry, NOW, &found), 0);
    ck_assert_int_eq(step_with(&update, 1, 0), 1);
    ck_assert_int_eq(read_at(&update.entry, NOW + 1000 + BLOCK_PROBE_MS, &found), 0);
    ck_assert_int_eq(read_at(&update.entry, NOW + 999 + BLOCK_PROBE_MS, &found), 1);
    ck_assert_int_eq(found.until_ms, NOW + 1000);
    ck_assert_int_eq(found.since_ms, NOW);
    ck_assert_int_eq(found.probe_ms, 0);
    ck_assert_str_eq(found.site, "mx.x.test");
    ck_assert_str_eq(found.reason, "mailbox_full");
    ck_assert_str_eq(block_list_name(arena, &found), "(recipient) at mx.x.test");
    ck_assert_int_eq(block_list_newest(store, NOW, &newest), 1);
    update.removed = true;
    ck_assert_int_eq(step_with(&update, 1, VALUE_ANY), 1);
    ck_assert_int_eq(read_at(&update.entry, NOW, &found), 0);
    ck_assert_int_eq(block_list_newest(store, NOW, &after), 1);
    ck_assert_int_eq(after, newest); /* what is removed is not told */
    ck_assert_int_eq(block_list_step(store, arena, NULL, 0, &action, changes, &count, &none,
                                     &audited_count), 1);
    ck_assert_uint_eq(count + audited_count, 0);
}
END_TEST

/* An address that begins like a hash is an address; the audit log names no hash. */
START_TEST(test_hashed_names)
{
    struct audit audit[4];
    struct store_page page = {.max = countof(audit)};
    struct block_entry found;
    rig_begin(_i, DEFAULTS);
    block(BLOCK_RECIPIENT, "#00123456789abcde@x.test", BLOCK_SCOPE_ALL);
    const struct block_entry address = entry_of(BLOCK_RECIPIENT, "#00123456789abcde@x.test",
                                                BLOCK_SCOPE_ALL);
    ck_assert_int_eq(read_at(&address, NOW, &found), 1);
    ck_assert(!block_list_is_hashed(&found));
    ck_assert_ptr_null(found.site);
    ck_assert_int_eq(found.until_ms, UNTIL_LIFTED);
    const struct block_update update = {.entry = hashed_entry("#00123456789abcde")};
    ck_assert_int_eq(step_with(&update, 1, 0), 1);
    ck_assert_int_eq(block_list_remove(store, &update.entry, &action), 1);
    ck_assert_int_eq(store_audit_newest(store, "(recipient) at mx.x.test", INT64_MAX, audit,
                                        &page), 1);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(audit[0].action, "unblock");
    ck_assert_str_eq(audit[1].action, "block");
    ck_assert_ptr_nonnull(strstr(audit[1].detail, "\"reason\":\"mailbox_full\""));
}
END_TEST

/* Of the sender domain of the rig, or of one of its mailboxes. */
static struct block_entry hash_of(enum block_kind kind, const char *address, int64_t at_ms)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = token_key};
    block_list_hashed(keyed_hash_recipient(&keys, address, at_ms), subject);
    struct block_entry entry = hashed_entry(arena_strdup(arena, subject));
    entry.kind = kind;
    if (kind == BLOCK_PAIR)
        entry.scope = "alice@example.test";
    return entry;
}

static void put_hashed(const struct block_entry *entry)
{
    const struct block_update update = {.entry = *entry};
    ck_assert_int_eq(step_with(&update, 1, VALUE_ANY), 1);
    guard_outdate_blocks(guard);
}

static enum verdict_kind at(const char *id, const char *to, int64_t now_ms)
{
    return sent(id, NULL, to, now_ms).kind;
}

START_TEST(test_hashed_recipients)
{
    const char *reason, *text;
    rig_begin(_i, DEFAULTS);
    struct block_entry entry = hash_of(BLOCK_RECIPIENT, "bob@x.test", NOW);
    entry.reason = "address_unknown";
    put_hashed(&entry);
    entry = hash_of(BLOCK_PAIR, "eve@x.test", NOW);
    entry.reason = "noise";
    put_hashed(&entry);
    struct verdict verdict = sent("1", NULL, "Bob@x.test, c@x.test, eve@x.test", NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_str_eq(rig_reasons(&verdict), "recipient_blocked recipient_blocked");
    rig_check_has(verdict.message, "Mail to bob@x.test (To) came back twice, a day apart: x.test "
                                   "does not know this address.");
    rig_check_has(verdict.message, "Mail to eve@x.test (To) failed eight times in a row");
    ck_assert_str_eq(verdict.reasons[0].objection.reason, "address_unknown");
    freed_by(json_put) struct json_object *facts = rig_facts(verdict.decision, NOW);
    rig_check_has_not(json_object_to_json_string(facts), "bob@");
    ck_assert_int_eq(kind_of("2", "alice@elsewhere.test", "bob@x.test"), VERDICT_ADMIT);
    ck_assert_int_eq(kind_of("3", "bea@example.test", "bob@x.test"), VERDICT_MESSAGE);
    ck_assert_int_eq(kind_of("4", "bea@example.test", "eve@x.test"), VERDICT_ADMIT);
    struct submission one = rig_submission("5");
    one.channel = CHANNEL_SMTP;
    rig_add(&one, FIELD_TO, "bob@x.test");
    ck_assert_int_eq(guard_recipient_blocked(guard, &one, NOW, &reason, &text), 1);
    rig_check_has(text, "Mail to bob@x.test came back twice");
    ck_assert_str_eq(reason, "address_unknown");
    guard_hash_by(guard, NULL);
    ck_assert_int_eq(kind_of("6", NULL, "bob@x.test"), VERDICT_ADMIT);
}
END_TEST

/* The key of a hash changes with the year; for a month the one before is looked for too. */
START_TEST(test_hashed_new_year)
{
    const int64_t year_ms = INT64_C(1798761600000); /* 2027 */
    rig_begin(_i, DEFAULTS);
    struct block_entry entry = hash_of(BLOCK_RECIPIENT, "bob@x.test", year_ms - 1);
    entry.until_ms = year_ms + 60 * DAY_MS;
    put_hashed(&entry);
    ck_assert_int_eq(at("1", "bob@x.test", year_ms - 1), VERDICT_MESSAGE);
    ck_assert_int_eq(at("2", "bob@x.test", year_ms + 31 * DAY_MS - 1), VERDICT_MESSAGE);
    ck_assert_int_eq(at("3", "bob@x.test", year_ms + 31 * DAY_MS), VERDICT_ADMIT);
}
END_TEST

/* Behind the end one message tries it, and others wait for what becomes of it, five days at most. */
START_TEST(test_probe)
{
    const char *reason, *text;
    struct block_entry found;
    rig_begin(_i, WITH("limits.webmail.messages_per_day=1", "on_limit.messages_per_day=refuse"));
    const struct block_entry entry = hash_of(BLOCK_RECIPIENT, "bob@x.test", NOW);
    const int64_t end_ms = entry.until_ms;
    put_hashed(&entry);
    ck_assert_int_eq(at("1", "bob@x.test", end_ms - 1), VERDICT_MESSAGE);
    struct submission asked = rig_submission("2");
    rig_add(&asked, FIELD_TO, "bob@x.test");
    ck_assert_int_eq(rig_ask(&asked, end_ms).kind, VERDICT_ADMIT);
    asked.channel = CHANNEL_SMTP;
    ck_assert_int_eq(guard_recipient_blocked(guard, &asked, end_ms, &reason, &text), 0);
    ck_assert_int_eq(read_at(&entry, end_ms, &found), 1);
    ck_assert_int_eq(found.probe_ms, 0);

    ck_assert_int_eq(at("3", "other@y.test", end_ms), VERDICT_ADMIT); /* the limit is reached */
    ck_assert_int_ne(at("4", "bob@x.test", end_ms), VERDICT_ADMIT);
    ck_assert_int_eq(read_at(&entry, end_ms, &found), 1);
    ck_assert_int_eq(found.probe_ms, 0); /* it did not go */

    const int64_t next_ms = end_ms + DAY_MS;
    ck_assert_int_eq(at("5", "bob@x.test", next_ms), VERDICT_ADMIT);
    ck_assert_int_eq(at("5", "bob@x.test", next_ms), VERDICT_ADMIT); /* the same again */
    struct verdict verdict = sent("6", "bea@example.test", "bob@x.test", next_ms);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    rig_check_has(verdict.message, "One message is on its way there now");
    ck_assert_str_eq(verdict.reasons[0].objection.reason, "probe");
    ck_assert_int_eq(at("7", "bob@x.test", next_ms + 5 * DAY_MS - 1), VERDICT_MESSAGE);
    ck_assert_int_eq(at("8", "bob@x.test", next_ms + 5 * DAY_MS), VERDICT_ADMIT);
    ck_assert_int_eq(at("9", "bob@x.test", next_ms + 7 * DAY_MS), VERDICT_ADMIT);
}
END_TEST

/* A clock that was a year ahead for a while blocks nobody for so long. */
START_TEST(test_clock_set_back)
{
    rig_begin(_i, DEFAULTS);
    struct block_entry entry = hash_of(BLOCK_RECIPIENT, "bob@x.test", NOW);
    const int64_t end_ms = entry.until_ms, ahead_ms = end_ms + 20 * DAY_MS;
    put_hashed(&entry);
    ck_assert_int_eq(at("1", "bob@x.test", ahead_ms), VERDICT_ADMIT);
    ck_assert_int_eq(at("2", "bob@x.test", ahead_ms), VERDICT_MESSAGE);
    ck_assert_int_eq(sent("3", "bea@example.test", "bob@x.test", end_ms).kind, VERDICT_ADMIT);
    ck_assert_int_eq(sent("4", "bea@example.test", "bob@x.test", end_ms).kind, VERDICT_MESSAGE);
    ck_assert_int_eq(sent("5", "bea@example.test", "bob@x.test", end_ms + 5 * DAY_MS).kind,
                     VERDICT_ADMIT);
    entry = hash_of(BLOCK_RECIPIENT, "ben@x.test", NOW);
    entry.since_ms = NOW + HOUR_MS;
    put_hashed(&entry);
    ck_assert_int_eq(sent("6", "bea@example.test", "ben@x.test", NOW).kind, VERDICT_MESSAGE);
    entry.since_ms++;
    put_hashed(&entry);
    ck_assert_int_eq(sent("7", "bea@example.test", "ben@x.test", NOW).kind, VERDICT_ADMIT);
}
END_TEST

enum { AT_ONCE = 4, RACES = 20 };
struct racing {
    pthread_t thread;
    struct arena *arena;
    struct submission submission;
    struct verdict verdict;
    int result;
};

static void *race(void *context)
{
    struct racing *racing = context;
    racing->result =
        guard_judge(guard, &racing->submission, false, NOW + 1000, &racing->verdict);
    return NULL;
}

/* A submission in an arena of its own. */
static void prepare_race(struct racing *racing, int number, const char *to)
{
    struct arena *of_test = arena;
    racing->arena = arena = arena_new();
    racing->submission = rig_submission(arena_printf(arena, "%d", number));
    rig_mailbox(&racing->submission, arena_printf(arena, "box%d@example.test", number));
    rig_add(&racing->submission, FIELD_TO, to);
    arena = of_test;
}

/* Of those that come at the same moment one goes. */
START_TEST(test_one_probe)
{
    rig_begin(_i, DEFAULTS);
    for (int i = 0; i < RACES; i++) {
        struct racing racing[AT_ONCE];
        const char *to = arena_printf(arena, "bob%d@x.test", i);
        int admitted = 0;
        const struct block_entry entry = hash_of(BLOCK_RECIPIENT, to, NOW);
        put_hashed(&entry);
        for (int j = 0; j < AT_ONCE; j++)
            prepare_race(&racing[j], AT_ONCE * i + j, to);
        for (int j = 0; j < AT_ONCE; j++)
            ck_assert_int_eq(pthread_create(&racing[j].thread, NULL, race, &racing[j]), 0);
        for (int j = 0; j < AT_ONCE; j++) {
            pthread_join(racing[j].thread, NULL);
            ck_assert_int_eq(racing[j].result, 1);
            admitted += racing[j].verdict.kind == VERDICT_ADMIT;
            arena_free(&racing[j].arena);
        }
        ck_assert_int_eq(admitted, 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blocked");
    TCase *cases = rig_case(suite, "blocked");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_scopes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_spellings, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_unroutable, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_senders, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_spf, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_channels, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_filter, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_filter_reads_anew, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_audit, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_step, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hashed_names, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hashed_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hashed_new_year, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_probe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_clock_set_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_one_probe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_networks, 0, 1);
    return backends_run(suite);
}
