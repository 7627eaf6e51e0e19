/* From must match the account, from the address to the refusal and the suspension, on every
 * backend. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "guard/permissions.h"
#include "guard/recorder.h"
#include "rules/identity.h"
#include "store/records.h"
#include "tests/unit/guard/guard_rig.h"
#include "tests/unit/store/chance.h"

static const struct action action = {NOW, "ada", "asked for"};

static const char *owners_path(void) { return arena_printf(arena, "%s/owners", folder); }

static void write_owners(const char *text)
{
    FILE *file = fopen(owners_path(), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* A guard that enforces it, with a file of owners. */
static void begin(int backend, const char *owners, const char *more)
{
    rig_begin(backend, DEFAULTS);
    write_owners(owners);
    rig_reload(WITH("identity.mode=enforce", "support.contact=support@example.test",
                    arena_printf(arena, "identity.owners=file:%s", owners_path()),
                    more != NULL ? more : "identity.owner=any"));
}

static struct submission from(const char *id, const char *address)
{
    struct problem problem;
    struct submission submission = rig_submission(id);
    rig_add(&submission, FIELD_TO, arena_printf(arena, "%s@x.test", id));
    ck_assert_int_eq(submission_set_from(&submission, address, strlen(address), &problem), 1);
    return submission;
}

static struct verdict judge_at(const char *id, const char *address, int64_t now_ms)
{
    struct submission submission = from(id, address);
    return rig_judge(&submission, now_ms);
}

/* "" or the rule. */
static const char *refused_for(const char *id, const char *address)
{
    struct verdict verdict = judge_at(id, address, NOW);
    if (verdict.kind == VERDICT_ADMIT)
        return "";
    ck_assert_int_eq(verdict.kind, VERDICT_IDENTITY);
    ck_assert_int_eq(rig_outcome(&verdict, NOW), OUTCOME_REJECTED);
    return rig_reasons(&verdict);
}

static uint64_t sent(void) { return rig_used(RULE_MESSAGES_PER_DAY, NOW); }

START_TEST(test_rows)
{
    static const struct {
        const char *from, *rule;
    } rows[] = {{ALICE, ""},
                {"alice+tag@example.test", ""},
                {"Alice <ALICE@Example.test>", ""},
                {"sales@example.test", ""},
                {"info@alias.test", ""},
                {"<>", ""},
                {BOB, "from_not_yours"},
                {"else@team.test", "from_not_yours"},
                {"boss@else.test", "from_foreign"},
                {"root@localhost", "from_unroutable"}};
    begin(_i, "sales@example.test alice@example.test\n@alias.test alice@example.test\n"
              "team@team.test bob@example.test\n", "on_limit.from_foreign=refuse");
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_str_eq(refused_for(arena_printf(arena, "m%zu", i), rows[i].from), rows[i].rule);
    ck_assert_uint_eq(sent(), 6);
    rig_reload(DEFAULTS); /* off */
    ck_assert_str_eq(refused_for("off", "boss@else.test"), "");
}
END_TEST

/* What is hosted: what settings say, and where they say nothing what sends here and what owners
 * know. */
START_TEST(test_hosted)
{
    struct observed_sender seen = {"carol@sends.test", "sends.test", NULL, NOW - HOUR_MS};
    begin(_i, "team@team.test bob@example.test\n", "on_limit.from_foreign=refuse");
    ck_assert_int_eq(store_observe(store, &(struct observations){.senders = &seen,
                                                                 .sender_count = 1}, NOW), 1);
    ck_assert_str_eq(refused_for("a", "x@team.test"), "from_not_yours");
    ck_assert_str_eq(refused_for("b", "x@sends.test"), "from_not_yours");
    ck_assert_str_eq(refused_for("c", "x@hosted.test"), "from_foreign");
    rig_reload(WITH("identity.mode=enforce", "domains.hosted=hosted.test",
                    "domains.own_domains=own.test other.test", "on_limit.from_foreign=refuse",
                    arena_printf(arena, "identity.owners=file:%s", owners_path())));
    ck_assert_str_eq(refused_for("d", "x@team.test"), "from_foreign");
    ck_assert_str_eq(refused_for("e", "x@sends.test"), "from_foreign");
    ck_assert_str_eq(refused_for("f", "x@hosted.test"), "from_not_yours");
    ck_assert_str_eq(refused_for("g", "x@own.test"), "from_not_yours");
    ck_assert_str_eq(refused_for("h", BOB), "from_not_yours");
}
END_TEST

/* The sentence names addresses of the mailbox, five at most, and never whose the other is. */
START_TEST(test_sentence)
{
    static const char *const languages[] = {"en", "de", "fr", "es"};
    begin(_i, "a1@example.test alice@example.test\n"
              "a2@example.test alice@example.test, bob@example.test\n"
              "a3@example.test alice@example.test\na4@example.test alice@example.test\n"
              "sales@example.test bob@example.test\n", NULL);
    ck_assert_int_eq(permissions_give(store, ALICE, "press@example.test", UNTIL_LIFTED, &action),
                     1);
    ck_assert_int_eq(permissions_give(store, ALICE, "@alias.test", UNTIL_LIFTED, &action), 1);
    for (size_t i = 0; i < countof(languages); i++) {
        struct problem problem;
        struct submission submission = from("m", "Sales@example.test");
        ck_assert_int_eq(submission_set_lang(&submission, languages[i], 2, &problem), 1);
        struct verdict verdict = rig_ask(&submission, NOW);
        ck_assert_int_eq(verdict.kind, VERDICT_IDENTITY);
        rig_check_has(verdict.message, "sales@example.test");
        rig_check_has(verdict.message, "alice@example.test, press@example.test, a1@example.test, "
                                       "a2@example.test, a3@example.test.");
        rig_check_has_not(verdict.message, "a4@");
        rig_check_has_not(verdict.message, "bob@");
        rig_check_has_not(verdict.message, "{{");
    }
    struct submission submission = from("m", "sales@example.test");
    submission.channel = CHANNEL_SMTP; /* where there is little room */
    struct verdict verdict = rig_ask(&submission, NOW);
    rig_check_has(verdict.message, "You may write as: alice@example.test, press@example.test, "
                                   "a1@example.test, a2@example.test, a3@example.test.");
    char long_one[160];
    snprintf(long_one, sizeof long_one, "%0100d@example.test alice@example.test\n", 1);
    begin(_i, long_one, NULL);
    submission = from("m", "sales@example.test");
    submission.channel = CHANNEL_SMTP;
    verdict = rig_ask(&submission, NOW);
    rig_check_has(verdict.message, "You may write as: alice@example.test.");
}
END_TEST

START_TEST(test_permissions)
{
    struct permissions all;
    begin(_i, "", "on_limit.from_foreign=refuse");
    ck_assert_int_eq(permissions_give(store, ALICE, "press@else.test", NOW + HOUR_MS, &action), 1);
    ck_assert_int_eq(permissions_give(store, ALICE, "@alias.test", UNTIL_LIFTED, &action), 1);
    ck_assert_str_eq(refused_for("a", "press+tag@else.test"), "");
    ck_assert_str_eq(refused_for("b", "any@alias.test"), "");
    ck_assert_str_eq(refused_for("c", "boss@else.test"), "from_foreign");
    ck_assert_int_eq(judge_at("d", "press@else.test", NOW + HOUR_MS - 1).kind, VERDICT_ADMIT);
    ck_assert_int_eq(judge_at("e", "press@else.test", NOW + HOUR_MS).kind, VERDICT_IDENTITY);
    ck_assert_int_eq(permissions_take(store, ALICE, "@alias.test", &action), 1);
    ck_assert_int_eq(permissions_take(store, ALICE, "@alias.test", &action), 0);
    ck_assert_int_eq(permissions_take(store, BOB, "press@else.test", &action), 0);
    ck_assert_str_eq(refused_for("f", "any@alias.test"), "from_foreign");
    ck_assert_int_eq(permissions_give(store, ALICE, "press@else.test", NOW + DAY_MS, &action), 1);
    ck_assert_int_eq(permissions_read(store, arena, ALICE, NOW, &all), 1);
    ck_assert_uint_eq(all.count, 1);
    ck_assert_int_eq(all.of[0].until_ms, NOW + DAY_MS);
    ck_assert_str_eq(all.of[0].by, "ada");
    ck_assert_str_eq(all.of[0].note, "asked for");
    for (int i = 1; i < PERMISSIONS_MAX; i++)
        ck_assert_int_eq(permissions_give(store, ALICE, arena_printf(arena, "p%d@else.test", i),
                                          UNTIL_LIFTED, &action), 1);
    ck_assert_int_eq(permissions_give(store, ALICE, "q@else.test", UNTIL_LIFTED, &action), 0);
    ck_assert_int_eq(permissions_give(store, ALICE, "p1@else.test", NOW + 1, &action), 1);
    ck_assert_int_eq(permissions_read(store, arena, ALICE, NOW + 1, &all), 1);
    ck_assert_uint_eq(all.count, PERMISSIONS_MAX - 1);
}
END_TEST

/* ---- who is not refused ---------------------------------------------------------------------- */

START_TEST(test_not_refused)
{
    begin(_i, "", "exempt.mailbox=alice@example.test");
    ck_assert_str_eq(refused_for("a", "boss@else.test"), "");
    begin(_i, "", NULL);
    struct submission forwarded = from("b", "boss@else.test");
    forwarded.channel = CHANNEL_FORWARDING;
    forwarded.id = "b";
    ck_assert_int_eq(rig_judge(&forwarded, NOW).kind, VERDICT_ADMIT);
    rig_reload(WITH("identity.mode=enforce", "identity.owners=file:/nonexistent/owners"));
    struct verdict verdict = judge_at("c", "boss@else.test", NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.from_unknown && !verdict.observed);
    ck_assert(!judge_at("d", ALICE, NOW).from_unknown);
}
END_TEST

/* In gate mode the endpoint sees the number of an identity: its ticket excuses no From. */
START_TEST(test_ticket)
{
    rig_begin(_i, WITH("identity.mode=enforce", "mta.webmail_hosts=127.0.0.0/8"));
    struct submission at_endpoint = rig_message("<1>", 1);
    ck_assert_int_eq(rig_judge(&at_endpoint, NOW).kind, VERDICT_ADMIT);
    struct submission handed_over = from("smtp-1", BOB);
    handed_over.channel = CHANNEL_SMTP;
    handed_over.webmail_host = true;
    struct verdict verdict = rig_judge(&handed_over, NOW + 1);
    ck_assert_int_eq(verdict.kind, VERDICT_IDENTITY);
    ck_assert(!verdict.bypassed);
    handed_over = from("smtp-2", ALICE);
    handed_over.channel = CHANNEL_SMTP;
    handed_over.webmail_host = true;
    ck_assert(rig_judge(&handed_over, NOW + 2).redeemed);
}
END_TEST

/* A sender that cannot be read is none that may be used. */
START_TEST(test_unread)
{
    begin(_i, "", NULL);
    struct submission submission = rig_message("m", 1);
    submission.from_unread = "root";
    struct verdict verdict = rig_ask(&submission, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "from_unroutable");
    rig_check_has(verdict.message, "may not write as root,");
}
END_TEST

/* Each of several has to be one that may be used. */
START_TEST(test_several)
{
    static const char *const further[] = {"alice+x@example.test", "boss@else.test", BOB};
    begin(_i, "", NULL);
    struct submission submission = from("m", ALICE);
    submission.further_from = further;
    submission.further_from_count = 1;
    ck_assert_int_eq(rig_ask(&submission, NOW).kind, VERDICT_ADMIT);
    submission.further_from_count = countof(further);
    struct verdict verdict = rig_ask(&submission, NOW);
    ck_assert_str_eq(rig_reasons(&verdict), "from_foreign");
    rig_check_has(verdict.message, "may not write as boss@else.test");
    submission.from_unread = "undisclosed";
    verdict = rig_ask(&submission, NOW);
    rig_check_has(verdict.message, "may not write as undisclosed,");
}
END_TEST

/* What would be refused stands in the decision, and the message passes; where another rule refuses
 * it, that one is told alone. */
START_TEST(test_observe)
{
    begin(_i, "", "limits.webmail.recipients_per_message=2");
    rig_reload(WITH("identity.mode=observe", "limits.webmail.recipients_per_message=2"));
    struct verdict verdict = judge_at("a", "boss@else.test", NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_ADMIT);
    ck_assert(verdict.observed);
    ck_assert_int_eq(verdict_label(&verdict), LABEL_OBSERVED);
    ck_assert_str_eq(rig_reasons(&verdict), "from_foreign");
    ck_assert_int_eq(rig_outcome(&verdict, NOW), OUTCOME_ADMITTED);
    freed_by(json_put) struct json_object *facts = rig_facts(verdict.decision, NOW);
    ck_assert_str_eq(rig_text(facts, "broken.0.rule"), "from_foreign");
    ck_assert_str_eq(rig_text(facts, "broken.0.domain"), "else.test");
    ck_assert_str_eq(rig_text(facts, "broken.0.count"), "0");
    struct submission large = from("b", "boss@else.test");
    rig_add_many(&large, 2, "r", "x.test");
    verdict = rig_judge(&large, NOW);
    ck_assert_int_eq(verdict.kind, VERDICT_MESSAGE);
    ck_assert_str_eq(rig_reasons(&verdict), "recipients_per_message");
    ck_assert_str_eq(refused_for("c", ALICE), "");
}
END_TEST

/* ---- three foreign ones ---------------------------------------------------------------------- */

static const struct suspension *suspension_at(int64_t now_ms)
{
    static struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, now_ms, &account), 1);
    return suspension_find(&account.suspensions, CAUSE_IDENTITY);
}

START_TEST(test_suspends)
{
    begin(_i, "", NULL);
    ck_assert_int_eq(judge_at("a", "boss@else.test", NOW).kind, VERDICT_IDENTITY);
    for (int i = 0; i < 5; i++) /* an outbox that tries again */
        ck_assert_int_eq(judge_at("a", "boss@else.test", NOW + i).kind, VERDICT_IDENTITY);
    /* counts for nothing */
    ck_assert_int_eq(judge_at("own", BOB, NOW + 10).kind, VERDICT_IDENTITY);
    ck_assert_int_eq(judge_at("b", "boss@else.test", NOW + 11).kind, VERDICT_IDENTITY);
    struct submission dry = from("c", "other@else.test");
    ck_assert_int_eq(rig_ask(&dry, NOW + 12).kind, VERDICT_IDENTITY);
    ck_assert_ptr_null(suspension_at(NOW + 12));
    struct verdict verdict = judge_at("c", "other@else.test", NOW + DAY_MS - 1);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert(verdict.brought);
    ck_assert_str_eq(rig_reasons(&verdict), "from_foreign");
    rig_check_has(verdict.message, "may not write as other@else.test");
    const struct suspension *suspension = suspension_at(NOW + DAY_MS);
    ck_assert_ptr_nonnull(suspension);
    ck_assert_str_eq(suspension->by, SUSPENSION_BY_GUARD);
    ck_assert_str_eq(suspension->note, "3 messages with a foreign From within 24h");
    ck_assert_uint_eq(suspension->attempts, 0);
    ck_assert_int_eq(suspension->until_ms, NOW + 2 * DAY_MS - 1);
    verdict = judge_at("d", ALICE, NOW + DAY_MS);
    ck_assert_int_eq(verdict.kind, VERDICT_SUSPENDED);
    ck_assert(!verdict.brought);
    ck_assert_int_eq(store_lift(store, ALICE, CAUSE_IDENTITY, &(struct action){NOW + DAY_MS, "ada",
                                                                               "x"}), 1);
    ck_assert_int_eq(judge_at("e", "boss@else.test", NOW + DAY_MS).kind, VERDICT_IDENTITY);
    ck_assert_int_eq(judge_at("f", "boss@else.test", NOW + DAY_MS).kind, VERDICT_IDENTITY);
}
END_TEST

START_TEST(test_does_not_suspend)
{
    begin(_i, "", "on_limit.from_foreign=refuse");
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(judge_at(arena_printf(arena, "a%d", i), "boss@else.test", NOW).kind,
                         VERDICT_IDENTITY);
    rig_reload(WITH("identity.mode=enforce", "guard.mode=observe"));
    for (int i = 0; i < 3; i++)
        ck_assert(judge_at(arena_printf(arena, "b%d", i), "boss@else.test", NOW).observed);
    ck_assert_ptr_null(suspension_at(NOW));
    struct audit entry; /* what would have been */
    struct store_page page = {.max = 1};
    ck_assert_int_eq(store_audit_newest(store, ALICE, INT64_MAX, &entry, &page), 1);
    ck_assert_str_eq(entry.action, "from_foreign");
}
END_TEST

/* Any order of messages and moments, against a model that looks at all that came. */
START_TEST(test_model)
{
    enum { STEPS = 300, MESSAGES = 5 };
    static const int64_t gaps[] = {0, 1, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS - 1, DAY_MS};
    struct {
        int64_t at_ms;
        int message;
    } came[STEPS];
    int count = 0;
    int64_t now_ms = NOW;
    begin(_i, "", "suspension.identity=1s");
    for (int step = 0; step < STEPS; step++) {
        int message = below(MESSAGES), others = 0;
        bool known = false;
        now_ms += gaps[below(countof(gaps))];
        for (int i = 0; i < count; i++)
            if (now_ms - came[i].at_ms < DAY_MS) {
                known = known || came[i].message == message;
                others++;
            }
        struct verdict verdict = judge_at(arena_printf(arena, "m%d", message), "boss@else.test",
                                          now_ms);
        bool suspends = !known && others + 1 == IDENTITY_MESSAGES;
        ck_assert_int_eq(verdict.kind, suspends ? VERDICT_SUSPENDED : VERDICT_IDENTITY);
        if (!known)
            came[count++] = (typeof(came[0])){now_ms, message};
        if (suspends) {
            count = 0;
            now_ms += SECOND_MS;
        }
    }
}
END_TEST

static void *send_foreign(void *id)
{
    struct submission submission;
    struct problem problem;
    struct verdict verdict;
    struct arena *own = arena_new();
    submission_init(&submission, own, CHANNEL_WEBMAIL);
    bool good = submission_set_id(&submission, id, strlen(id), &problem) &&
                submission_set_mailbox(&submission, ALICE, strlen(ALICE), &problem) &&
                submission_set_from(&submission, "boss@else.test", 14, &problem) &&
                submission_add_recipient(&submission, FIELD_TO, id, strlen(id), &problem) &&
                guard_judge(guard, &submission, false, NOW, &verdict) == 1;
    intptr_t brought = !good ? 100 : verdict.kind == VERDICT_SUSPENDED && verdict.brought;
    arena_free(&own);
    return (void *)brought;
}

/* Many at once: one of them brings it, and the next three bring no second one before they are
 * three. */
START_TEST(test_at_once)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    intptr_t brought = 0;
    begin(_i, "", NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_foreign,
                                        arena_printf(arena, "r%d@x.test", i)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *one;
        pthread_join(threads[i], &one);
        brought += (intptr_t)one;
    }
    ck_assert_msg(brought >= 1 && brought <= 2, "%d", (int)brought);
    ck_assert_ptr_nonnull(suspension_at(NOW));
}
END_TEST

int main(void)
{
    chance_begin();
    Suite *suite = suite_create("identity");
    TCase *cases = rig_case(suite, "identity");
    tcase_set_tags(cases, "one_thread");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_rows, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_hosted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_sentence, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_permissions, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_not_refused, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_unread, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_ticket, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_several, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_observe, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspends, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_does_not_suspend, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_model, 0, BACKEND_KINDS);
    TCase *threads = rig_case(suite, "identity, with threads");
    tcase_set_timeout(threads, 120);
    tcase_add_loop_test(threads, test_at_once, 0, BACKEND_KINDS);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
