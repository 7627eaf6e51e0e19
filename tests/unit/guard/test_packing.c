/* What a decision record keeps of a message is read as it was written, whatever the message holds;
 * bytes that are none of it are passed over. And the terms that records name. */
#include <string.h>

#include "base/json.h"
#include "guard/packing.h"
#include "guard/terms.h"
#include "store/kept.h"
#include "tests/unit/guard/guard_rig.h"

static const char terms[] = "{\"limits\":{\"first\":1,\"second\":null},\"mode\":\"enforce\"}";

static struct domain_facts domains[] = {
    {"x.test", 300, 70000, false}, {"example.test", 2, 30, true}, {"y.test", 1, 90000, false}};
static const struct objection objections[] = {
    {.rule = (enum rule)0, .field = -1, .count = 301},
    {.rule = (enum rule)1, .field = FIELD_CC, .count = 128},
    {.rule = (enum rule)1, .field = -1, .domain = "x.test", .count = 300},
};

static struct submission submission_with(const char *ip, const char *from)
{
    return (struct submission){.arena = arena, .channel = CHANNEL_SMTP, .id = "<1@x>",
                               .mailbox = ALICE, .ip = ip, .from = from};
}

static struct record record_with(const struct packed_message *message, bool passes)
{
    struct record_facts facts = packing_facts(message);
    size_t length = passes ? facts.admitted_length : facts.length;
    return (struct record){.facts = arena_strndup(arena, facts.bytes, length),
                           .facts_length = length};
}

static void check(struct json_object *facts, const char *path, const char *value)
{
    ck_assert_msg(strcmp(rig_text(facts, path), value) == 0, "%s is %s", path,
                  rig_text(facts, path));
}

static const struct {
    const char *ip, *from;
} texts[] = {
    {"192.0.2.1", ALICE},
    {"2001:db8:1::/64", "other@example.test"},
    {"2001:db8::", NULL},       /* no /64: kept as text */
    {"192.0.2.01", NULL},       /* not as inet_ntop writes it */
    {"255.255.255.255", "\xC3\xBC@x.test"},
    {"::/64", NULL},
    {"this is no address, but a text of more bytes than one has", NULL},
    {"", NULL},
    {NULL, NULL},
};

START_TEST(test_addresses_and_senders)
{
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    struct submission submission = submission_with(texts[_i].ip, texts[_i].from);
    const struct facts counts = {.in_field = {1, 0, 0}, .recipients = 1};
    struct record record = record_with(
        &(struct packed_message){.submission = &submission, .facts = &counts, .terms = 7}, true);
    ck_assert_uint_eq(packing_terms(&record), 7);
    struct json_object *facts = packing_read(&record, terms);
    check(facts, "ip", texts[_i].ip != NULL ? texts[_i].ip : "null");
    check(facts, "from", texts[_i].from != NULL ? texts[_i].from : "null");
    check(facts, "mailbox", ALICE);
    check(facts, "channel", "smtp");
    check(facts, "id", "<1@x>");
    check(facts, "limits.first", "1");
    json_object_put(facts);
    struct packed_identity identity;
    ck_assert_int_eq(packing_identity(arena, &record, &identity), 1);
    ck_assert_str_eq(identity.mailbox, ALICE);
    ck_assert_str_eq(identity.id, "<1@x>");
    ck_assert_int_eq(identity.channel, CHANNEL_SMTP);
    record.facts_length = 20; /* within the mailbox */
    ck_assert_int_eq(packing_identity(arena, &record, &identity), 0);
}
END_TEST

/* The language is kept where it is wanted and was told, and what follows is read behind it. */
START_TEST(test_language)
{
    const bool wanted = _i & 1, told = _i & 2;
    struct problem problem;
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    struct submission submission = submission_with("192.0.2.1", "other@example.test");
    if (told)
        ck_assert_int_eq(submission_set_lang(&submission, "pt-BR", 5, &problem), 1);
    const struct facts counts = {.in_field = {3, 0, 0}, .recipients = 3, .off_domain = 2};
    struct record record = record_with(
        &(struct packed_message){.submission = &submission, .facts = &counts,
                                 .keeps_lang = wanted, .terms = 7}, true);
    freed_by(json_put) struct json_object *facts = packing_read(&record, terms);
    ck_assert_str_eq(json_string(facts, "lang", "none"), wanted && told ? "pt-BR" : "none");
    check(facts, "from", "other@example.test");
    check(facts, "to", "3");
    struct packed_identity identity;
    ck_assert_int_eq(packing_identity(arena, &record, &identity), 1);
    ck_assert_uint_eq(identity.off_domain, 2);
}
END_TEST

static struct packed_message refused_message(const struct submission *submission)
{
    static const struct facts counts = {.in_field = {300, 128, 16384}, .recipients = 16812,
                                        .off_domain = 10000, .domains = domains,
                                        .domain_count = countof(domains)};
    return (struct packed_message){.submission = submission, .facts = &counts,
                                   .objections = objections,
                                   .objection_count = countof(objections), .exempt = true,
                                   .terms = UINT64_MAX};
}

START_TEST(test_all_of_a_refused_message)
{
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    struct submission submission = submission_with("192.0.2.1", NULL);
    struct packed_message message = refused_message(&submission);
    struct record record = record_with(&message, false);
    ck_assert_uint_eq(packing_terms(&record), UINT64_MAX);
    struct json_object *facts = packing_read(&record, terms);
    check(facts, "to", "300");
    check(facts, "bcc", "16384");
    check(facts, "recipients", "16812");
    check(facts, "off_domain", "10000");
    check(facts, "most_in_domain", "300");
    check(facts, "most_chars_in_domain", "90000");
    check(facts, "exempt", "true");
    check(facts, "domains", "[[\"x.test\",300,70000],[\"example.test\",2,30,1],"
                            "[\"y.test\",1,90000]]");
    check(facts, "broken", "[{\"rule\":\"first\",\"count\":301},"
                           "{\"rule\":\"second\",\"count\":128,\"field\":\"cc\"},"
                           "{\"rule\":\"second\",\"count\":300,\"domain\":\"x.test\"}]");
    check(facts, "mode", "enforce");
    json_object_put(facts);
    facts = packing_read(&record, NULL); /* the terms are gone */
    ck_assert(!rig_has(facts, "limits"));
    check(facts, "broken.0", "{\"rule\":null,\"count\":301}");
    json_object_put(facts);
}
END_TEST

/* What was kept by no program of ours, or is damaged, reads as something and never beyond its end. */
START_TEST(test_any_bytes)
{
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    struct submission submission = submission_with("2001:db8:1::/64", "from@x.test");
    struct packed_message message = refused_message(&submission);
    struct record whole = record_with(&message, false);
    for (size_t length = 0; length <= whole.facts_length; length++) {
        char *copy = xmalloc(length + 1); /* so that the sanitizer sees a step too far */
        memcpy(copy, whole.facts, length);
        copy[length] = '\0';
        struct record record = {.facts = copy, .facts_length = length};
        for (size_t i = 0; i <= length; i++) {
            char kept = copy[i < length ? i : 0];
            if (i < length)
                copy[i] = (char)0xFF;
            struct json_object *facts = packing_read(&record, terms);
            ck_assert(json_object_is_type(facts, json_type_object));
            json_object_put(facts);
            if (i < length)
                copy[i] = kept;
        }
        free(copy);
    }
}
END_TEST

/* ---- terms ------------------------------------------------------------------------------- */

static struct effective_limits limits_with(int32_t messages)
{
    struct effective_limits limits = {.limits.of = {[RULE_MESSAGES_PER_DAY] = messages}};
    return limits;
}

static uint64_t id_of(struct terms *known, int32_t messages, int64_t now_ms)
{
    struct effective_limits limits = limits_with(messages);
    uint64_t id;
    ck_assert_int_eq(terms_id(known, store, &limits, false, now_ms, 30 * DAY_MS, &id), 1);
    return id;
}

/* One id for the same terms in each process, another for others, also when more are in use than a
 * process remembers; every process reads them. */
START_TEST(test_terms_of_many)
{
    enum { MANY = 200 };
    uint64_t ids[MANY];
    rig_begin(_i, DEFAULTS);
    freed_by(terms_free) struct terms *one = terms_new(), *other = NULL;
    for (int32_t i = 0; i < MANY; i++)
        ids[i] = id_of(one, i, NOW);
    other = terms_new();
    for (int32_t i = 0; i < MANY; i++) {
        struct json_object *text;
        ck_assert_uint_eq(id_of(one, i, NOW + 1), ids[i]);
        ck_assert_uint_ne(ids[i], ids[(i + 1) % MANY]);
        const char *read = terms_text(other, store, arena, ids[i], NOW + 1);
        ck_assert_ptr_nonnull(read);
        text = rig_json(read, strlen(read));
        check(text, "limits.messages_per_day", arena_printf(arena, "%d", i));
        json_object_put(text);
    }
    terms_free(&other);
    ck_assert_ptr_null(terms_text(one, store, arena, 12345, NOW));
    ck_assert_ptr_null(terms_text(one, store, arena, 0, NOW));
}
END_TEST

/* They last longer than the youngest record that names them, and are kept anew in time. */
START_TEST(test_terms_outlast_their_records)
{
    rig_begin(_i, DEFAULTS);
    freed_by(terms_free) struct terms *known = terms_new();
    for (int64_t day = 0; day <= 90; day++) {
        int64_t judged_ms = NOW + day * DAY_MS;
        uint64_t id = id_of(known, 1, judged_ms);
        freed_by(terms_free) struct terms *later = terms_new();
        ck_assert_ptr_nonnull(
            terms_text(later, store, arena, id, judged_ms + 30 * DAY_MS - 1));
    }
}
END_TEST

/* A store that was emptied, or lost what it was told last, has them again soon. */
START_TEST(test_terms_come_back)
{
    rig_begin(_i, DEFAULTS);
    freed_by(terms_free) struct terms *known = terms_new(), *other = terms_new();
    uint64_t id = id_of(known, 1, NOW);
    const char *key = arena_printf(arena, "%016llx", (unsigned long long)id);
    ck_assert_int_eq(store_forget(store, KEPT_TERMS, key, NOW, NULL), 1);
    ck_assert_uint_eq(id_of(known, 1, NOW + MINUTE_MS + 1), id);
    ck_assert_ptr_nonnull(terms_text(other, store, arena, id, NOW + MINUTE_MS + 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("packing");
    TCase *cases = rig_case(suite, "packing");
    tcase_add_loop_test(cases, test_addresses_and_senders, 0, countof(texts));
    tcase_add_loop_test(cases, test_language, 0, 4);
    tcase_add_test(cases, test_all_of_a_refused_message);
    tcase_add_test(cases, test_any_bytes);
    tcase_add_loop_test(cases, test_terms_of_many, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_terms_outlast_their_records, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_terms_come_back, 0, BACKEND_KINDS);
    return backends_run(suite);
}
