/* Mail at an unusual rate: who and what enters the profile of a mailbox, and that it passes. The numbers
 * are tested with rules/profile.h and the stores. */
#include <string.h>

#include "store/records.h"
#include "store/values.h"
#include "tests/unit/guard/guard_rig.h"

enum { LIMIT = 3 };
#define LOW "unusual.new_recipients=3"

static struct submission to(const char *id, const char *list)
{
    struct submission submission = rig_submission(id);
    rig_add(&submission, FIELD_TO, list);
    return submission;
}

/* New recipients of the hour where the message is unusual, else 0. */
static uint32_t found(const struct submission *submission, int64_t now_ms)
{
    struct verdict verdict = rig_judge(submission, now_ms);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    return verdict.unusual.new_recipients;
}

static size_t kept(int64_t now_ms)
{
    struct value value;
    return store_value(store, arena, VALUE_PROFILE, ALICE, now_ms, &value) > 0 ? value.length : 0;
}

/* It passes; verdict, record and answer are as those of others. */
START_TEST(test_noted)
{
    rig_begin(_i, WITH(LOW));
    struct submission submission = rig_message("1", LIMIT + 1);
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert_uint_eq(verdict.unusual.new_recipients, LIMIT + 1);
    ck_assert_uint_eq(verdict.unusual.new_domains, 1);
    ck_assert(verdict.unusual.network_new && verdict.unusual.first);
    ck_assert_uint_eq(verdict.unusual.limits.new_recipients, LIMIT);
    ck_assert_uint_eq(verdict.unusual.limits.factor, 3);
    ck_assert_uint_eq(verdict.unusual.limits.new_domains, 20);
    ck_assert_str_eq(verdict.message, "");
    struct record record;
    ck_assert_int_eq(store_record(store, arena, verdict.decision, NOW, &record), 1);
    ck_assert_uint_eq(record.unusual.new_recipients, LIMIT + 1);
    struct json_object *facts = rig_facts(verdict.decision, NOW);
    ck_assert_str_eq(rig_text(facts, "off_domain"), "4");
    json_object_put(facts);
    ck_assert_uint_eq(found(&submission, NOW + 1), 0); /* repeated */
    submission = rig_message("2", LIMIT + 1);
    ck_assert_uint_eq(found(&submission, NOW + 2), 0); /* to known recipients */
}
END_TEST

/* Own domains, exempt recipients and copies are nobody new; where a recipient leads counts. */
START_TEST(test_recipients)
{
    rig_begin(_i, WITH(LOW, "exempt.recipient=@free.test", "domains.own_domains=example.test own.test"));
    struct submission submission = to("1", "a@example.test, b@own.test, c@free.test, v@x.test");
    rig_add(&submission, FIELD_CC, "V@X.TEST, v@x.test, d@own.test, e@own.test");
    rig_add(&submission, FIELD_BCC, "v%x.test@own.test");
    ck_assert_uint_eq(found(&submission, NOW), 0);
    submission = to("2", "f@x.test, g@x.test, h@x.test");
    ck_assert_uint_eq(found(&submission, NOW + 1), LIMIT + 1);
}
END_TEST

/* Only what users send; not exempt mailboxes, not forwarded mail. A dry run is told, and keeps nothing. */
START_TEST(test_who)
{
    rig_begin(_i, WITH(LOW, "exempt.mailbox=" BOB));
    struct submission submission = rig_message("1", 9);
    struct verdict verdict = rig_ask(&submission, NOW);
    ck_assert_uint_eq(verdict.unusual.new_recipients, 9);
    submission.channel = CHANNEL_FORWARDING;
    ck_assert_uint_eq(found(&submission, NOW), 0);
    ck_assert_uint_eq(kept(NOW), 0);
    submission = rig_message("2", 9);
    rig_mailbox(&submission, BOB);
    ck_assert_uint_eq(found(&submission, NOW), 0);
    submission = rig_message("3", 9);
    submission.channel = CHANNEL_SMTP;
    ck_assert_uint_eq(found(&submission, NOW), 9);
    ck_assert_uint_gt(kept(NOW), 9 * PROFILE_RECIPIENT_BYTES);
}
END_TEST

/* The address of a webmail host is nobody's network. */
START_TEST(test_network)
{
    rig_begin(_i, WITH(LOW));
    struct submission submission = rig_message("1", LIMIT + 1);
    submission.webmail_host = true;
    submission.channel = CHANNEL_SMTP;
    struct verdict verdict = rig_judge(&submission, NOW);
    ck_assert(unusual_is(&verdict.unusual) && !verdict.unusual.network_new);
}
END_TEST

/* `off`, and a guard without the secret, keep nothing. */
START_TEST(test_off)
{
    rig_begin(_i, WITH(LOW, "unusual.mode=off"));
    struct submission submission = rig_message("1", 9);
    ck_assert_uint_eq(found(&submission, NOW), 0);
    rig_reload(WITH(LOW));
    guard_hash_by(guard, NULL);
    submission = rig_message("2", 9);
    ck_assert_uint_eq(found(&submission, NOW), 0);
    ck_assert_uint_eq(kept(NOW), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("guard unusual");
    TCase *cases = rig_case(suite, "unusual");
    tcase_add_loop_test(cases, test_noted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_recipients, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_who, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_network, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_off, 0, BACKEND_KINDS);
    return suite;
}

int main(void) { return backends_run(suite()); }
