/* Who is behind a domain that is near its limit of messages an hour. */
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/campaign.h"
#include "guard/delivery.h"
#include "store/observations.h"
#include "tests/unit/desk/desk_rig.h"

#define SOURCE "mx1 journal"

static void keep(enum value_kind kind, const char *key, const char *bytes, size_t length)
{
    const struct value_change change = {
        .value = {.kind = kind, .key = key, .bytes = bytes, .length = length,
                  .until_ms = UNTIL_LIFTED},
        .replaces = VALUE_ANY};
    ck_assert_int_eq(store_values_change(store,
                                         &(struct values_step){.changes = &change, .count = 1,
                                                               .now_ms = NOW}, NULL), 1);
}

/* One of its messages of that moment, admitted and seen. */
static uint64_t send_from(const char *mailbox, int number, const char *to, int64_t at_ms)
{
    const struct observed_sender seen = {mailbox, strrchr(mailbox, '@') + 1, NULL, at_ms};
    struct submission submission;
    struct problem problem;
    const char *id = arena_printf(arena, "4F%d%c/1.0", number, mailbox[0]);
    submission_init(&submission, arena, CHANNEL_SMTP);
    ck_assert_int_eq(submission_set_id(&submission, id, strlen(id), &problem), 1);
    rig_mailbox(&submission, mailbox);
    rig_add(&submission, FIELD_TO, to);
    ck_assert_int_eq(store_observe(store, &(struct observations){.senders = &seen,
                                                                 .sender_count = 1}, at_ms), 1);
    struct verdict verdict = rig_judge(&submission, at_ms);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    return verdict.decision;
}

/* What the log says of a message: to whom. */
static void trace(const char *mailbox, uint64_t decision, const char *const *to, size_t count)
{
    struct trace_recipient recipients[3];
    char key[DELIVERY_KEY_SIZE];
    freed_by(text_free) struct text packed = {0};
    int64_t at_ms = decision_time(decision);
    for (size_t i = 0; i < count; i++)
        recipients[i] = (struct trace_recipient){
            .hash = keyed_hash_recipient(&hash_keys, to[i], at_ms), .delivery = DELIVERY_DELIVERED,
            .attempts = 1, .first_ms = at_ms, .last_ms = at_ms};
    trace_add(&packed, at_ms / DAY_MS,
              &(struct trace_message){.decision = decision, .queue_id = "4F0A15",
                                      .recipients = recipients, .recipient_count = count});
    delivery_trace_key(key, at_ms / DAY_MS, mailbox, delivery_source(SOURCE), 0);
    keep(VALUE_TRACE, key, packed.data, packed.length);
}

static struct json_object *domain_view(const char *domain, int64_t now_ms)
{
    return VIEW(desk_senders(rig_desk(), SENDERS_OF_DOMAIN, domain, NULL, now_ms, &made, &fault));
}

static void begin(int backend)
{
    rig_begin(backend, WITH("limits.smtp.messages_per_hour_per_domain=10",
                            "domains.own_domains=d.test e.test"));
    freed_by(text_free) struct text cursor = {0};
    text_addf(&cursor, "{\"place\":\"p\",\"log_ms\":%lld,\"read_ms\":%lld}", (long long)NOW,
              (long long)NOW);
    keep(VALUE_CURSOR, SOURCE, cursor.data, cursor.length);
}

/* Of the group all domains count; the window empties, and the view with it. */
START_TEST(test_numbered)
{
    static const char *const to[] = {"a@x.test", "b@x.test", "c@x.test"};
    uint64_t decision = 0;
    begin(_i);
    for (int i = 0; i < 7; i++) {
        const char *mailbox = arena_printf(arena, "sender%d@d.test", i % 4);
        decision = send_from(mailbox, i, "a@x.test", NOW + i);
        if (i < 3)
            trace(mailbox, decision, to, i == 2 ? 1 : 3);
    }
    check_member(domain_view("d.test", NOW + 10), "campaign", "null");
    send_from("bob@e.test", 7, "b@x.test", NOW + 7);
    for (int group = 0; group < 2; group++) {
        struct json_object *view = domain_view(group == 0 ? "d.test" : "e.test", NOW + 10);
        ck_assert_uint_eq(length_of(view, "campaign.mailboxes"), 5);
        check_member(view, "campaign.mailboxes.0.mailbox", "sender0@d.test");
        check_member(view, "campaign.mailboxes.0.messages", "2");
        check_member(view, "campaign.mailboxes.0.suspended", "false");
        check_member(view, "campaign.mailboxes.3.mailbox", "bob@e.test");
        check_member(view, "campaign.more_mailboxes", "false");
        ck_assert_uint_eq(length_of(view, "campaign.numbered"), 1);
        check_member(view, "campaign.numbered.0.name", "sender#@d.test");
        check_member(view, "campaign.numbered.0.mailboxes", "4");
        check_member(view, "campaign.numbered.0.messages", "7");
        check_member(view, "campaign.same_recipients.recipients", "1");
        check_member(view, "campaign.same_recipients.mailboxes", "3");
    }
    check_member(domain_view("d.test", NOW + HOUR_MS), "campaign", "null");
}
END_TEST

/* Two of a kind are no campaign, nor is a recipient whom two wrote to. */
START_TEST(test_nothing_alike)
{
    static const char *const to[] = {"a@x.test"};
    begin(_i);
    for (int i = 0; i < 8; i++) {
        const char *mailbox = arena_printf(arena, "%c%s@d.test", 'a' + i / 2, i / 2 < 2 ? "1" : "");
        uint64_t decision = send_from(mailbox, i, "a@x.test", NOW + i);
        if (i / 2 < 2)
            trace(mailbox, decision, to, 1);
    }
    struct json_object *view = domain_view("d.test", NOW + 10);
    ck_assert_uint_eq(length_of(view, "campaign.mailboxes"), 4);
    check_member(view, "campaign.numbered", "[]");
    check_member(view, "campaign.same_recipients", "null");
}
END_TEST

/* Without the rule nothing is looked for. */
START_TEST(test_rule_off)
{
    rig_begin(_i, DEFAULTS);
    send_from("ann@d.test", 1, "a@x.test", NOW);
    check_member(domain_view("d.test", NOW + 10), "campaign", "null");
}
END_TEST

START_TEST(test_names)
{
    rig_begin(BACKEND_SQLITE, DEFAULTS);
    static const char *const names[][2] = {
        {"sender12@d.test", "sender#@d.test"}, {"2026-11@d9.test", "#-#@d9.test"},
        {"ann@d.test", "ann@d.test"},          {"0@d.test", "#@d.test"}};
    for (size_t i = 0; i < countof(names); i++)
        ck_assert_str_eq(campaign_name(arena, names[i][0]), names[i][1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("campaign");
    TCase *cases = desk_case(suite, "campaign");
    tcase_add_loop_test(cases, test_numbered, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_nothing_alike, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_rule_off, 0, BACKEND_KINDS);
    tcase_add_test(cases, test_names);
    return backends_run(suite);
}
