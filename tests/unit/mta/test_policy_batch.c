/* The policy service, whole: requests as text in, answers out, over both stores. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard/block_list.h"
#include "guard/keyed_hash.h"
#include "guard/reference.h"
#include "store/audit.h"
#include "store/records.h"
#include "store/suspensions.h"
#include "tests/unit/guard/guard_rig.h"
#include "mta/policy_batch.h"

static struct policy_service service;
static struct policy_batch *batch;
static int log_fd = -1;

static void begin_service(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    service = (struct policy_service){
        .guard = guard, .store = store, .collector = collector_new((size_t)1 << 20)};
    batch = policy_batch_new(&service);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    log_set_fd(log_fd);
}

static void end_service(void)
{
    policy_batch_free(&batch);
    collector_free(&service.collector);
    log_set_fd(STDERR_FILENO);
    close(log_fd);
}

static int lines_with(const char *part)
{
    int count = 0;
    off_t length = lseek(log_fd, 0, SEEK_END);
    char *lines = arena_alloc(arena, (size_t)length + 1);
    ck_assert_int_eq(pread(log_fd, lines, (size_t)length, 0), length);
    for (const char *next = lines; (next = strstr(next, part)) != NULL; next++)
        count++;
    return count;
}

/* ---- asking ------------------------------------------------------------------------ */

static struct problem problem;

/* Takes lines without the empty one that ends them. */
static int take_lines(const char *lines, void *asker, int64_t now_ms)
{
    struct policy_request request = {0};
    const char *text = arena_printf(arena, "%s\n", lines);
    size_t used;
    ck_assert_int_eq(policy_request_add(&request, text, strlen(text), &used, &problem), 1);
    int taken = policy_batch_add(batch, &request, asker, now_ms, &problem);
    policy_request_free(&request);
    return taken;
}

static void keep_answer(void *asker, const char *answer, size_t length)
{
    *(const char **)asker = arena_strndup(arena, answer, length);
}

static const char *answer_at(const char *lines, int64_t now_ms)
{
    const char *answer = NULL;
    ck_assert_msg(take_lines(lines, &answer, now_ms) == 1, "%s: %s", problem.where, problem.text);
    policy_batch_answer(batch, now_ms, keep_answer);
    return answer;
}

#define FROM(user)                                                                               \
    "request=smtpd_access_policy\nclient_address=192.0.2.7\nsender=alice@example.test\n"         \
    "sasl_username=" user "\n"

static const char *rcpt(const char *instance, const char *recipient)
{
    return answer_at(arena_printf(arena,
                                  FROM(ALICE) "protocol_state=RCPT\ninstance=%s\n"
                                              "recipient=%s\nrecipient_count=0\n",
                                  instance, recipient), NOW);
}

static const char *lines_of(const char *state, const char *instance, int count)
{
    return arena_printf(arena,
                        FROM(ALICE) "protocol_state=%s\ninstance=%s\nqueue_id=Q%s\n"
                                    "recipient=\nrecipient_count=%d\n",
                        state, instance, instance, count);
}

static const char *at_end(const char *instance, int count)
{
    return answer_at(lines_of("END-OF-MESSAGE", instance, count), NOW);
}

#define DUNNO "action=DUNNO\n\n"
static uint64_t messages(void) { return rig_used(RULE_MESSAGES_PER_DAY, NOW); }
static uint64_t off_domain(void) { return rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW); }
#define OWN WITH("domains.own_domains=example.test example.net")

/* ---- blocked recipients --------------------------------------------------------------- */

static void block(const char *recipient)
{
    const struct block_entry entry = {.kind = BLOCK_RECIPIENT, .subject = recipient,
                                      .scope = BLOCK_SCOPE_ALL, .reason = "It is a trap",
                                      .by = "ada", .note = "seen", .until_ms = UNTIL_LIFTED};
    ck_assert_int_eq(block_list_add(store, &entry, 1, &(struct action){NOW, "ada", "seen"}), 1);
    guard_outdate_blocks(guard);
}

/* Refused alone, and no part of the message that goes to the others. */
START_TEST(test_blocked_recipient)
{
    begin_service(_i, WITH("support.contact=help@example.test"));
    block("trap@x.test");
    ck_assert_str_eq(rcpt("1", "a@x.test"), DUNNO);
    ck_assert_str_eq(rcpt("1", "Trap@X.test"),
                     "action=REJECT 5.7.1 Mail to trap@x.test is blocked: It is a trap. Remove this "
                     "recipient. Questions: help@example.test\n\n");
    ck_assert_str_eq(rcpt("1", "a@localhost"),
                     "action=REJECT 5.1.2 No mail can reach a@localhost: localhost has no mail server. "
                     "Correct the address or remove it. Questions: help@example.test\n\n");
    ck_assert_str_eq(at_end("1", 1), DUNNO);
    ck_assert_uint_eq(off_domain(), 1);
    ck_assert_int_eq(lines_with("msg=\"blocked recipient\""), 2);
    end_service();
}
END_TEST

static void block_hashed(const char *recipient, const char *reason, int64_t until_ms)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    freed_by(keyed_hash_forget) struct keyed_hash_keys keys = {.key = token_key};
    block_list_hashed(keyed_hash_recipient(&keys, recipient, NOW), subject);
    const struct block_entry entry = {.kind = BLOCK_RECIPIENT, .subject = subject,
                                      .scope = "example.test", .reason = reason, .by = "guard",
                                      .note = "", .since_ms = NOW, .until_ms = until_ms};
    ck_assert_int_eq(block_list_add(store, &entry, 1, &(struct action){NOW, "guard", ""}), 1);
    guard_outdate_blocks(guard);
}

/* What a mail program or a further mail server is told by number alone. */
START_TEST(test_status_by_reason)
{
    static const char *const reasons[][2] = {
        {"address_unknown", "action=REJECT 5.1.1 Mail to r@x.test came back twice"},
        {"mailbox_off", "action=REJECT 5.2.1 Mail to r@x.test came back twice"},
        {"mailbox_full", "action=REJECT 5.2.2 Mail to r@x.test came back three times"},
        {"noise", "action=REJECT 5.7.1 Mail to r@x.test failed eight times"},
    };
    begin_service(_i, DEFAULTS);
    for (size_t i = 0; i < countof(reasons); i++) {
        block_hashed("r@x.test", reasons[i][0], NOW + DAY_MS);
        rig_check_begins(rcpt("1", "r@x.test"), reasons[i][1]);
    }
    block_hashed("r@x.test", "mailbox_off", NOW);
    ck_assert_str_eq(rcpt("2", "r@x.test"), DUNNO);
    ck_assert_str_eq(at_end("2", 1), DUNNO); /* it tries */
    rig_check_begins(rcpt("3", "r@x.test"), "action=DEFER_IF_PERMIT 4.2.0 Mail to r@x.test failed "
                                            "before. One message is on its way there now");
    end_service();
}
END_TEST

/* A message of the webmail's host passes with its ticket; without one it is judged at its end. */
START_TEST(test_blocked_recipient_of_webmail)
{
    begin_service(_i, WITH("mta.webmail_hosts=192.0.2.7"));
    struct submission submission = rig_submission("web");
    rig_add(&submission, FIELD_TO, "trap@x.test");
    ck_assert_int_eq(rig_judge(&submission, NOW).kind, VERDICT_ADMIT);
    block("trap@x.test");
    ck_assert_str_eq(rcpt("1", "trap@x.test"), DUNNO);
    ck_assert_str_eq(at_end("1", 1), DUNNO);
    ck_assert_str_eq(rcpt("2", "trap@x.test"), DUNNO);
    rig_check_has(at_end("2", 1), "action=REJECT 5.7.1 ");
    end_service();
}
END_TEST

START_TEST(test_blocked_recipient_observed)
{
    begin_service(_i, WITH("guard.mode=observe"));
    block("trap@x.test");
    ck_assert_str_eq(rcpt("1", "trap@x.test"), DUNNO);
    ck_assert_str_eq(at_end("1", 1), DUNNO);
    ck_assert_uint_eq(off_domain(), 1);
    ck_assert_int_eq(lines_with("observed=1"), 1);
    end_service();
}
END_TEST

/* ---- recipients ---------------------------------------------------------------------- */

/* Recipients as RCPT named them ('o' own, '%' a route out through the own one, 'x' outside, 'X' a
 * copy of the same, '?' no address), how many Postfix accepted, and what has to be counted
 * outside. */
static const struct {
    const char *named;
    int accepted;
    uint64_t outside;
} namings[] = {
    {"", 1, 1},       {"", 3, 3},      {"o", 1, 0},     {"x", 1, 1},     {"oox", 3, 1},
    {"oxxo", 4, 2},   {"xX", 2, 2},    {"xXX", 3, 3},   {"oxX", 3, 2},   {"oox", 2, 1},
    {"oox", 1, 1},    {"oo", 1, 0},    {"oo", 3, 1},    {"oo", 5, 3},    {"o?", 2, 1},
    {"o?", 1, 1},     {"??", 2, 2},    {"ooo?", 3, 1},  {"x?o", 3, 2},   {"x?o", 2, 2},
    {"xxxx", 2, 2},   {"oo%%", 2, 2},  {"oo%", 1, 1},   {"x%o", 2, 2},
    {"oxX", 1, 1},    {"oxX", 2, 2},   {"xXo", 2, 2},   {"oxX", 4, 3},   {"x?X", 3, 3},
};

START_TEST(test_recipients)
{
    typeof(namings[0]) *one = &namings[_i / BACKEND_KINDS];
    begin_service(_i % BACKEND_KINDS, OWN);
    int number = 0;
    for (const char *next = one->named; *next != '\0'; next++) {
        const char *recipient = *next == 'o'   ? arena_printf(arena, "r%d@Example.NET", number++)
                                : *next == 'x' ? arena_printf(arena, "r%d@x.test", ++number)
                                : *next == 'X' ? arena_printf(arena, "R%d@X.test", number)
                                : *next == '%' ? arena_printf(arena, "r%d%%x.test@example.test", ++number)
                                               : "no address";
        ck_assert_str_eq(rcpt("1.0", recipient), DUNNO);
    }
    ck_assert_uint_eq(messages(), 0);
    ck_assert_str_eq(at_end("1.0", one->accepted), DUNNO);
    ck_assert_uint_eq(messages(), 1);
    ck_assert_msg(off_domain() == one->outside, "%s, %d: %llu", one->named, one->accepted,
                  (unsigned long long)off_domain());
    ck_assert_uint_eq(collector_count(service.collector), 0);
    end_service();
}
END_TEST

/* Postfix names local parts without their quotation marks. */
START_TEST(test_quoted_local_parts)
{
    begin_service(_i, OWN);
    ck_assert_str_eq(rcpt("1.0", "john doe@example.test"), DUNNO);
    ck_assert_str_eq(rcpt("1.0", "a\"b\\@example.net"), DUNNO);
    ck_assert_str_eq(rcpt("1.0", "j.@example.test"), DUNNO);
    ck_assert_str_eq(rcpt("1.0", "v@x.test@example.test"), DUNNO);
    ck_assert_str_eq(at_end("1.0", 4), DUNNO);
    ck_assert_uint_eq(off_domain(), 1);
    end_service();
}
END_TEST

/* Of a single recipient Postfix says the name at the end too. */
START_TEST(test_single_recipient)
{
    begin_service(_i, OWN);
    ck_assert_str_eq(answer_at(FROM(ALICE) "protocol_state=END-OF-MESSAGE\ninstance=1.0\n"
                                           "recipient=bob@example.net\nrecipient_count=1\n", NOW),
                     DUNNO);
    ck_assert_uint_eq(messages(), 1);
    ck_assert_uint_eq(off_domain(), 0);
    ck_assert_int_eq(lines_with("recipients are not named"), 0);
    end_service();
}
END_TEST

START_TEST(test_told_once_that_nobody_is_named)
{
    begin_service(_i, DEFAULTS);
    for (int i = 0; i < 5; i++)
        at_end(arena_printf(arena, "%d", i), 3);
    ck_assert_int_eq(lines_with("recipients are not named"), 1);
    ck_assert_uint_eq(off_domain(), 15);
    end_service();
}
END_TEST

START_TEST(test_forgotten_after_ten_minutes)
{
    begin_service(_i, OWN);
    for (int i = 0; i < 2; i++) {
        const char *instance = arena_printf(arena, "%d", i);
        rcpt(instance, "bob@example.net");
        rcpt(instance, "eve@example.net");
        answer_at(lines_of("END-OF-MESSAGE", instance, 2), NOW + 10 * MINUTE_MS - 1 + i);
    }
    ck_assert_uint_eq(rig_used(RULE_OFF_DOMAIN_PER_DAY, NOW + 10 * MINUTE_MS), 2);
    end_service();
}
END_TEST

START_TEST(test_limits_of_one_message)
{
    begin_service(_i, DEFAULTS);
    ck_assert_str_eq(at_end("1.0", 900), DUNNO);
    const char *answer = at_end("1.1", 901);
    rig_check_begins(answer, "action=REJECT 5.7.1 " NOT_SENT " 901 recipients");
    ck_assert_uint_eq(messages(), 1);
    ck_assert_int_eq(lines_with("verdict=message action=REJECT mailbox=" ALICE), 1);
    end_service();
}
END_TEST

START_TEST(test_more_than_can_be_counted)
{
    begin_service(_i, WITH("limits.smtp.recipients_per_message=off",
                           "limits.smtp.off_domain_per_day=1000000", "exempt.mailbox=" BOB));
    ck_assert_str_eq(at_end("1.0", 10000), DUNNO);
    rig_check_begins(at_end("1.1", 10001), "action=REJECT 5.7.1 A message has at most 10000");
    ck_assert_uint_eq(messages(), 1);
    ck_assert_str_eq(answer_at(FROM(BOB) "protocol_state=END-OF-MESSAGE\ninstance=1.2\n"
                                         "recipient_count=50000\n", NOW), DUNNO);
    end_service();
}
END_TEST

/* ---- once for each message ----------------------------------------------------------- */

/* At DATA nothing is judged. */
START_TEST(test_data_and_end)
{
    begin_service(_i, OWN);
    for (int i = 0; i < 3; i++)
        rcpt("1.0", arena_printf(arena, "r%d@x.test", i));
    ck_assert_str_eq(answer_at(lines_of("DATA", "1.0", 3), NOW), DUNNO);
    ck_assert_uint_eq(messages(), 0);
    ck_assert_str_eq(at_end("1.0", 3), DUNNO);
    ck_assert_uint_eq(messages(), 1);
    ck_assert_uint_eq(off_domain(), 3);
    ck_assert_int_eq(lines_with("msg=decision"), 1);
    ck_assert_uint_eq(collector_count(service.collector), 0);
    end_service();
}
END_TEST

/* Also of a mailbox that is over its limit: it is told once, at the end. */
START_TEST(test_reference)
{
    struct reference reference;
    begin_service(_i, WITH("limits.smtp.messages_per_day=0"));
    service.key = token_key;
    const char *answer = answer_at(lines_of("DATA", "1.0", 3), NOW);
    rig_check_begins(answer, "action=PREPEND X-Sendguard-Ref: ");
    char *text = arena_strdup(arena, answer + strlen("action=PREPEND X-Sendguard-Ref: "));
    text[strcspn(text, "\n")] = '\0';
    ck_assert_ptr_null(strstr(text, "alice"));
    ck_assert_int_eq(reference_read(token_key, arena, text, &reference), 1);
    ck_assert_str_eq(reference.mailbox, ALICE);
    ck_assert_str_eq(reference.queue_id, "Q1.0");
    ck_assert_int_eq(reference.at_ms, NOW);
    ck_assert_str_ne(answer_at(lines_of("DATA", "1.0", 3), NOW), answer);
    ck_assert_int_eq(lines_with("verdict="), 0);
    end_service();
}
END_TEST

/* No queue id, nobody signed in, no mailbox. */
static const char *const unreferred[] = {
    FROM(ALICE) "protocol_state=DATA\ninstance=1.0\nrecipient_count=1\n",
    "request=smtpd_access_policy\nprotocol_state=DATA\nqueue_id=Q1\nsender=alice@example.test\n"
    "client_address=192.0.2.7\n",
    FROM("alice") "protocol_state=DATA\nqueue_id=Q1\n",
};
START_TEST(test_no_reference)
{
    begin_service(0, DEFAULTS);
    service.key = token_key;
    ck_assert_str_eq(answer_at(unreferred[_i], NOW), DUNNO);
    end_service();
}
END_TEST

#define UNJUDGED "never at END-OF-MESSAGE"
START_TEST(test_asked_at_data_alone)
{
    begin_service(0, DEFAULTS);
    for (int i = 0; i < 9; i++)
        answer_at(lines_of("DATA", "1.0", 3), NOW);
    ck_assert_int_eq(lines_with(UNJUDGED), 0);
    answer_at(lines_of("DATA", "1.0", 3), NOW);
    ck_assert_int_eq(lines_with(UNJUDGED), 1);
    for (int i = 10; i < 1000; i++)
        answer_at(lines_of("DATA", "1.0", 3), NOW);
    ck_assert_int_eq(lines_with(UNJUDGED), 2);
    at_end("1.0", 3);
    for (int i = 0; i < 1000; i++)
        answer_at(lines_of("DATA", "1.0", 3), NOW);
    ck_assert_int_eq(lines_with(UNJUDGED), 2);
    end_service();
}
END_TEST

START_TEST(test_asked_again)
{
    begin_service(_i, DEFAULTS);
    ck_assert_str_eq(at_end("1.0", 3), DUNNO);
    ck_assert_str_eq(at_end("1.0", 3), DUNNO);
    ck_assert_uint_eq(messages(), 1);
    ck_assert_int_eq(lines_with("verdict=repeated"), 1);
    /* without queue id and instance nobody knows, so both count */
    for (int i = 0; i < 2; i++)
        answer_at(FROM(ALICE) "protocol_state=END-OF-MESSAGE\nrecipient_count=1\n", NOW);
    ck_assert_uint_eq(messages(), 3);
    end_service();
}
END_TEST

/* A service that died before its answer arrived is asked again, and knows no names any longer. */
START_TEST(test_asked_again_of_forgotten_names)
{
    begin_service(_i, OWN);
    for (int i = 0; i < 3; i++)
        rcpt("1.0", arena_printf(arena, "r%d@%s", i, i == 0 ? "example.net" : "x.test"));
    ck_assert_str_eq(at_end("1.0", 3), DUNNO);
    collector_free(&service.collector);
    service.collector = collector_new((size_t)1 << 20);
    ck_assert_str_eq(at_end("1.0", 3), DUNNO);
    ck_assert_uint_eq(messages(), 1);
    ck_assert_uint_eq(off_domain(), 2);
    ck_assert_int_eq(lines_with("verdict=repeated"), 1);
    end_service();
}
END_TEST

/* The sender is told the queue id; the webmail endpoint must not refund by it. */
START_TEST(test_nobody_gives_back)
{
    begin_service(_i, DEFAULTS);
    ck_assert_str_eq(at_end("1.0", 3), DUNNO);
    ck_assert_int_eq(guard_refund(guard, ALICE, "Q1.0/1.0", NOW), 0);
    ck_assert_int_eq(guard_refund(guard, ALICE, "smtp\nQ1.0/1.0", NOW), 0);
    ck_assert_uint_eq(messages(), 1);
    /* nor does a message of the webmail stand for one of the mail server */
    struct submission submission = rig_submission("Q2.0/2.0");
    rig_add(&submission, FIELD_TO, "bob@x.test");
    rig_judge(&submission, NOW);
    rcpt("2.0", "bob@x.test");
    ck_assert_str_eq(at_end("2.0", 1), DUNNO);
    ck_assert_uint_eq(messages(), 3);
    end_service();
}
END_TEST

START_TEST(test_a_batch)
{
    const char *answers[POLICY_BATCH_MAX];
    begin_service(_i, WITH("limits.smtp.messages_per_hour=10"));
    for (int i = 0; i < POLICY_BATCH_MAX; i++) {
        bool end = i % 2 == 0;
        ck_assert(!policy_batch_full(batch));
        ck_assert_int_eq(take_lines(lines_of(end ? "END-OF-MESSAGE" : "RCPT",
                                             arena_printf(arena, "%d", i), 1), &answers[i], NOW),
                         1);
    }
    ck_assert(policy_batch_full(batch));
    policy_batch_answer(batch, NOW, keep_answer);
    ck_assert_uint_eq(policy_batch_count(batch), 0);
    for (int i = 0; i < POLICY_BATCH_MAX; i++)
        if (i % 2 == 0 && i >= 20)
            rig_check_begins(answers[i], "action=DEFER_IF_PERMIT 4.7.1 The message was not sent now. "
                                         "It can be sent from 2025-11-22 06:40 UTC on.");
        else
            ck_assert_str_eq(answers[i], DUNNO);
    ck_assert_uint_eq(messages(), 10);
    end_service();
}
END_TEST

/* ---- who is judged --------------------------------------------------------------------- */

#define END "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\ninstance=1.0\nqueue_id=Q\n"
#define EXEMPT "mta.exempt_networks=192.0.2.0/24 2001:db8::/32"

static const struct {
    const char *setting, *lines, *answer, *logged;
    uint64_t counted;
} whos[] = {
    {NULL, END "sender=a@example.test\nrecipient_count=1\n", DUNNO, "nobody signed in", 0},
    {NULL, END "sasl_username=\nrecipient_count=1\n", DUNNO, "nobody signed in", 0},
    {NULL, END "sasl_username=" ALICE "\nrecipient_count=1\n", DUNNO, "msg=decision", 1},
    {NULL, END "sasl_username=Alice@EXAMPLE.test\nrecipient_count=1\n", DUNNO, "mailbox=" ALICE, 1},
    {NULL, END "sasl_username=alice@example.test.\n", DUNNO, "mailbox=" ALICE, 1},
    {NULL, END "sasl_username= \n", "action=451 4.7.1 ", "cannot tell whose", 0},
    {NULL, END "sasl_username=alice@example.test\r\n", "action=451 4.7.1 ", "cannot tell whose", 0},
    {"mta.webmail_hosts=192.0.2.10", END "sasl_username=" ALICE "\nclient_address=192.0.2.10\n",
     DUNNO, "bypassed=1", 1},
    {"mta.webmail_hosts=192.0.2.10",
     END "sasl_username=" ALICE "\nclient_address=::ffff:192.0.2.10\n", DUNNO, "bypassed=1", 1},
    {"mta.webmail_hosts=::ffff:192.0.2.10",
     END "sasl_username=" ALICE "\nclient_address=192.0.2.10\n", DUNNO, "bypassed=1", 1},
    {"mta.webmail_hosts=192.0.2.10", END "sasl_username=" ALICE "\nclient_address=192.0.2.1\n",
     DUNNO, "ip=192.0.2.1", 1},
    {EXEMPT, END "sasl_username=" ALICE "\nclient_address=192.0.2.9\n", DUNNO, "exempt network", 0},
    {EXEMPT, END "sasl_username=" ALICE "\nclient_address=2001:db8::9\n", DUNNO, "exempt network",
     0},
    {EXEMPT, END "sasl_username=" ALICE "\nclient_address=192.0.3.9\n", DUNNO, "ip=192.0.3.9", 1},
    {EXEMPT, END "sasl_username=" ALICE "\nclient_address=unknown\n", DUNNO, "msg=decision", 1},
    {"mta.null_sender=pass", END "sasl_username=" ALICE "\nsender=\n", DUNNO, "null sender", 0},
    {"mta.null_sender=pass", END "sasl_username=" ALICE "\nsender=a@b.test\n", DUNNO,
     "msg=decision", 1},
    {"mta.null_sender=judge", END "sasl_username=" ALICE "\nsender=\n", DUNNO, "msg=decision", 1},
    {NULL, END "sasl_username=" ALICE "\nclient_address=2001:db8::5\n", DUNNO, "ip=2001:db8::/64",
     1},
    {NULL, END "sasl_username=alice\n", "action=451 4.7.1 ", "cannot tell whose", 0},
    {NULL, END "sasl_username=a b@example.test\n", "action=451 4.7.1 ", "cannot tell whose", 0},
    {"store.on_failure=allow", END "sasl_username=alice\n", DUNNO, "admitted=1", 0},
    {"guard.mode=observe", END "sasl_username=alice\n", DUNNO, "admitted=1", 0},
    {"exempt.mailbox=" ALICE, END "sasl_username=" ALICE "\nrecipient_count=9999\n", DUNNO,
     "msg=decision", 1},
};

START_TEST(test_who)
{
    typeof(whos[0]) *one = &whos[_i / BACKEND_KINDS];
    begin_service(_i % BACKEND_KINDS, WITH(one->setting));
    const char *answer = answer_at(one->lines, NOW);
    rig_check_begins(answer, one->answer);
    ck_assert_msg(lines_with(one->logged) == 1, "%s", one->logged);
    ck_assert_uint_eq(messages(), one->counted);
    end_service();
}
END_TEST

/* Nothing is told at other stages, and nothing gathered of who is not judged. */
START_TEST(test_other_stages)
{
    static const char *const states[] = {"CONNECT", "EHLO", "HELO", "MAIL", "VRFY", "ETRN", "NEW"};
    begin_service(_i, DEFAULTS);
    for (size_t i = 0; i < countof(states); i++)
        ck_assert_str_eq(answer_at(lines_of(states[i], "1.0", 1), NOW), DUNNO);
    ck_assert_str_eq(answer_at("request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1.0\n"
                               "recipient=a@x.test\n", NOW), DUNNO);
    ck_assert_uint_eq(collector_count(service.collector), 0);
    ck_assert_uint_eq(messages(), 0);
    ck_assert_int_eq(lines_with("msg="), 0);
    end_service();
}
END_TEST

/* A suspended mailbox is told at the end, not at each recipient. */
START_TEST(test_suspended)
{
    struct suspension suspension;
    struct durations durations = {1, {UNTIL_LIFTED}};
    struct action action = action_at(NOW);
    begin_service(_i, DEFAULTS);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_TERMS, &durations, &action, &suspension), 1);
    ck_assert_str_eq(rcpt("1.0", "bob@x.test"), DUNNO);
    rig_check_has(at_end("1.0", 1), "Your account has been suspended for a violation");
    end_service();
}
END_TEST

static const struct {
    const char *lines, *where;
} strangers[] = {
    {"request=junk\nprotocol_state=RCPT\n", "request"},
    {"protocol_state=RCPT\n", "request"},
    {"request=smtpd_access_policy\n", "protocol_state"},
    {END "sasl_username=" ALICE "\nrecipient_count=many\n", "recipient_count"},
    {END "sasl_username=" ALICE "\nrecipient_count=-1\n", "recipient_count"},
    {END "sasl_username=" ALICE "\nrecipient_count=1000000000\n", "recipient_count"},
};

START_TEST(test_strange_requests)
{
    typeof(strangers[0]) *one = &strangers[_i / BACKEND_KINDS];
    begin_service(_i % BACKEND_KINDS, DEFAULTS);
    ck_assert_int_eq(take_lines(one->lines, NULL, NOW), 0);
    ck_assert_str_eq(problem.where, one->where);
    ck_assert_uint_eq(policy_batch_count(batch), 0);
    ck_assert_uint_eq(messages(), 0);
    end_service();
}
END_TEST

/* No recipient's address is ever in the log. */
START_TEST(test_no_recipient_is_logged)
{
    begin_service(_i, DEFAULTS);
    rcpt("1.0", "secret@hidden.test");
    rcpt("1.0", "secret hidden");
    at_end("1.0", 2);
    at_end("1.1", 901);
    ck_assert_int_eq(lines_with("secret"), 0);
    ck_assert_int_eq(lines_with("hidden"), 0);
    end_service();
}
END_TEST

/* ---- forwarding ----------------------------------------------------------------------- */

#define FORWARDS                                                                               \
    WITH("mta.forwarding_networks=127.0.0.3", "domains.hosted=example.test",                   \
         "limits.forwarding.messages_per_day=2")
#define LATER_ANSWER "action=DEFER_IF_PERMIT 4.7.1 This message was not forwarded now; it is tried "

static int forwarded_count; /* in this process, which is one test's */

/* A message to one recipient outside, nobody signed in; `more`: lines that say something else. */
static const char *forward(const char *sender, const char *more)
{
    int number = forwarded_count++;
    return answer_at(arena_printf(arena,
                                  "request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\n"
                                  "client_address=127.0.0.3\nsender=%s\nsasl_username=\n"
                                  "instance=f%d\nqueue_id=F%d\nrecipient=a@x.test\n"
                                  "recipient_count=1\n%s",
                                  sender, number, number, more), NOW + number);
}

static uint64_t forwarded_of(const char *mailbox)
{
    struct submission submission = rig_message("ask", 1);
    rig_mailbox(&submission, mailbox);
    submission.channel = CHANNEL_FORWARDING;
    struct verdict verdict = rig_ask(&submission, NOW + 1000);
    return rig_window(&verdict, RULE_MESSAGES_PER_DAY)->used;
}

/* A history of its own; over it the message is deferred, and its owner sends as before. */
START_TEST(test_forwarded)
{
    begin_service(_i, FORWARDS);
    ck_assert_str_eq(forward(ALICE, "policy_context=forwarding\n"), DUNNO);
    ck_assert_str_eq(forward("Alice+tag1@Example.TEST", ""), DUNNO); /* a vacation's answer */
    for (int i = 0; i < 20; i++) {
        const char *answer = forward(i % 2 > 0 ? ALICE : "alice+tag2@example.test", "");
        rig_check_begins(answer, LATER_ANSWER);
        rig_check_has(answer, " This would be message 3 of the last 24 hours; the limit is 2.");
        rig_check_has(answer, "(reference ");
        rig_check_has_not(answer, "http");
    }
    ck_assert_uint_eq(forwarded_of(ALICE), 2);
    ck_assert_uint_eq(messages(), 0);
    ck_assert_str_eq(at_end("1.0", 1), DUNNO);
    ck_assert_uint_eq(messages(), 1);
    ck_assert_str_eq(forward(BOB, ""), DUNNO);
    ck_assert_int_eq(lines_with("msg=decision channel=forwarding"), 23);
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 1000, &account), 1);
    ck_assert_int_eq(account.suspensions.of[0].id, 0);
    end_service();
}
END_TEST

/* Whose it is has to be told, or it would be a way round for any number: of a stranger, of nobody. */
static const char *const no_forwarders[] = {"", "stranger@x.test", "alice", "alice@example.test@x.test",
                                            "+@x.test", "alice@sub.example.test"};

START_TEST(test_forwarded_by_nobody)
{
    const char *sender = no_forwarders[_i / BACKEND_KINDS];
    begin_service(_i % BACKEND_KINDS, FORWARDS);
    rig_check_begins(forward(sender, ""), "action=REJECT 5.7.1 Not forwarded: the sender address ");
    ck_assert_int_eq(lines_with("cannot tell whose message is forwarded"), 1);
    end_service();
}
END_TEST

START_TEST(test_forwarded_by_nobody_observed)
{
    const char *sender = no_forwarders[_i / BACKEND_KINDS];
    begin_service(_i % BACKEND_KINDS, WITH("mta.forwarding_networks=127.0.0.3",
                                           "guard.mode=observe"));
    ck_assert_str_eq(forward(sender, ""), DUNNO);
    ck_assert_int_eq(lines_with("admitted=1"), 1);
    end_service();
}
END_TEST

/* What is no forwarding: from elsewhere, by a port that says what else it is for, signed in. */
START_TEST(test_not_forwarded)
{
    begin_service(_i, FORWARDS);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(forward("stranger@x.test", "policy_context=incoming\n"), DUNNO);
        ck_assert_str_eq(
            answer_at(arena_printf(arena, FROM(ALICE) "protocol_state=END-OF-MESSAGE\n"
                                                      "instance=s%d\nqueue_id=S%d\n"
                                                      "recipient_count=1\n", i, i), NOW + i),
            DUNNO);
    }
    ck_assert_int_eq(lines_with("why=\"nobody signed in\""), 3);
    ck_assert_uint_eq(forwarded_of(ALICE), 0);
    ck_assert_uint_eq(messages(), 3);
    end_service();
}
END_TEST

/* Receiving goes on: refused for good, a filter keeps the message in the mailbox. And what strangers
 * write is no attempt of the suspended mailbox. */
START_TEST(test_forwarded_while_suspended)
{
    static const struct durations day = {1, {DAY_MS}};
    struct action action = action_at(NOW);
    struct suspension suspension;
    begin_service(_i, FORWARDS);
    ck_assert_int_eq(store_suspend(store, ALICE, CAUSE_VOLUME, &day, &action, &suspension), 1);
    for (int i = 0; i < 12; i++)
        rig_check_begins(forward(ALICE, ""), "action=REJECT 5.7.1 The message was rejected ");
    struct account account;
    ck_assert_int_eq(store_account(store, arena, ALICE, NOW + 1000, &account), 1);
    ck_assert_uint_eq(account.suspensions.of[0].attempts, 0);
    ck_assert_int_eq(account.suspensions.of[0].until_ms, NOW + DAY_MS);
    end_service();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mta service");
    TCase *cases = rig_case(suite, "mta service");
    tcase_add_loop_test(cases, test_recipients, 0, BACKEND_KINDS * (int)countof(namings));
    tcase_add_loop_test(cases, test_blocked_recipient, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_status_by_reason, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_blocked_recipient_of_webmail, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_blocked_recipient_observed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_single_recipient, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_quoted_local_parts, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_told_once_that_nobody_is_named, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_forgotten_after_ten_minutes, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_limits_of_one_message, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_more_than_can_be_counted, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_data_and_end, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_reference, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_no_reference, 0, (int)countof(unreferred));
    tcase_add_test(cases, test_asked_at_data_alone);
    tcase_add_loop_test(cases, test_asked_again, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_asked_again_of_forgotten_names, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_nobody_gives_back, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_a_batch, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_who, 0, BACKEND_KINDS * (int)countof(whos));
    tcase_add_loop_test(cases, test_other_stages, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_suspended, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_strange_requests, 0, BACKEND_KINDS * (int)countof(strangers));
    tcase_add_loop_test(cases, test_no_recipient_is_logged, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_forwarded, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_forwarded_by_nobody, 0,
                        BACKEND_KINDS * (int)countof(no_forwarders));
    tcase_add_loop_test(cases, test_forwarded_by_nobody_observed, 0,
                        BACKEND_KINDS * (int)countof(no_forwarders));
    tcase_add_loop_test(cases, test_not_forwarded, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, test_forwarded_while_suspended, 0, BACKEND_KINDS);
    return backends_run(suite);
}
