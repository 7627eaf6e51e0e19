/* Mail that fails, as the desk tells it, and the lift of what it blocked: values as the follower of a
 * log writes them, over both stores. */
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "mail/reply.h"
#include "rules/failure_in_force.h"
#include "rules/failure_outage.h"
#include "store/values.h"
#include "tests/unit/desk/desk_rig.h"

#define DOMAIN "example.test"

static const struct failure_settings usual = FAILURE_DEFAULTS;
static struct failure_window window;
static uint64_t units;

static void begin(int backend, const char *const *overrides)
{
    rig_begin(backend, overrides);
    window = (struct failure_window){0};
    units = 0;
}

static void keep_bytes(enum value_kind kind, const char *key, const void *bytes, size_t length,
                       int64_t until_ms)
{
    struct values_done *done = arena_alloc(arena, sizeof *done);
    struct value_change change = {
        .value = {.kind = kind, .key = key, .bytes = bytes, .length = length,
                  .until_ms = until_ms},
        .replaces = VALUE_ANY};
    ck_assert_int_eq(store_values_change(store, &(struct values_step){.changes = &change,
                                                                      .count = 1, .now_ms = NOW},
                                         done), 1);
}

struct came {
    const char *mailbox, *site;
    enum failure_came came;
    enum reply_class class;
    enum failure_left_out left_out;
};
/* `count` units, a minute apart, the last one at last_ms. */
static void come(struct came came, int count, int64_t last_ms)
{
    for (int i = count; i > 0; i--) {
        int64_t at_ms = last_ms - (i - 1) * MINUTE_MS;
        units++;
        struct failure_outcome outcome = {
            .unit = units, .message = units, .mailbox = came.mailbox,
            .site = came.site != NULL ? came.site : "x.test", .first = true, .came = came.came,
            .kind = came.class == REPLY_ADDRESS_UNKNOWN ? FAILURE_ADDRESS_UNKNOWN : FAILURE_OTHER,
            .class = (uint8_t)came.class, .left_out = came.left_out,
            .admitted_ms = at_ms, .at_ms = at_ms, .read_ms = at_ms};
        ck_assert_int_eq(failure_window_take(&window, &usual, &outcome), FAILURE_TAKEN);
    }
}

static void keep_block(const char *key, const struct failure_block *block,
                       const struct failure_numbers *numbers)
{
    uint8_t bytes[FAILURE_IN_FORCE_BYTES];
    failure_in_force_put(bytes, &(struct failure_in_force){
                                    block->from_ms, block->until_ms, block->id, numbers->bad,
                                    numbers->all, numbers->messages, FAILURE_HINT_LIST,
                                    false});
    keep_bytes(VALUE_BLOCK, key, bytes, sizeof bytes, block->until_ms);
}

/* The window, and what is blocked by it, at a moment. */
static void keep_window(const char *domain, const struct failure_settings *settings, int64_t at_ms)
{
    freed_by(text_free) struct text packed = {0};
    failure_window_pass(&window, settings, at_ms);
    failure_window_add(&packed, &window);
    keep_bytes(VALUE_FAILURES, domain, packed.data, packed.length, NOW + 9 * DAY_MS);
    for (size_t i = 0; i < window.block_count; i++) {
        const struct failure_block *block = &window.blocks[i];
        struct failure_numbers numbers = failure_window_numbers(&window, block);
        const char *mailbox = failure_names_at(&window.names, block->mailbox);
        keep_block(mailbox != NULL ? mailbox : domain, block, &numbers);
        failure_window_numbers_free(&numbers);
    }
    failure_window_free(&window);
}

static const struct came unknown = {ALICE, NULL, FAILURE_FAILED, REPLY_ADDRESS_UNKNOWN, 0},
                         good = {ALICE, NULL, FAILURE_DELIVERED, REPLY_OTHER, 0};

/* Blocked since 15 minutes: 7 of Alice's and 3 of Bob's fail, 5 arrive, 4 are left out. */
static void block_domain(void)
{
    int64_t since_ms = NOW - 15 * MINUTE_MS;
    come(good, 5, since_ms - 20 * MINUTE_MS);
    come((struct came){BOB, "mx.test", FAILURE_DEFERRED, REPLY_UNREACHABLE, FAILURE_OUTAGE}, 3,
         since_ms - 15 * MINUTE_MS);
    come((struct came){BOB, "rare.test", FAILURE_FAILED, REPLY_OUR_REPUTATION, FAILURE_OURS}, 1,
         since_ms - 15 * MINUTE_MS);
    come((struct came){BOB, NULL, FAILURE_FAILED, REPLY_CONTENT_REFUSED, 0}, 3,
         since_ms - 10 * MINUTE_MS);
    come(unknown, 7, since_ms);
    keep_window(DOMAIN, &usual, NOW);
}

static void keep_site(const char *site, struct failure_outage *outage)
{
    freed_by(text_free) struct text packed = {0};
    failure_outage_add(&packed, outage);
    failure_outage_free(outage);
    keep_bytes(VALUE_OUTAGE, site, packed.data, packed.length, NOW + DAY_MS);
}

static const char *moment(int64_t time_ms)
{
    struct json_object *object = keep_view(json_object_new_object());
    json_add_moment(object, "at", time_ms);
    return json_string(object, "at", "");
}

static struct json_object *view_domain(const char *domain, int64_t now_ms)
{
    return rig_member(VIEW(desk_senders(rig_desk(), SENDERS_OF_DOMAIN, domain, NULL, now_ms, &made,
                                        &fault)), "failures");
}

/* ---- looking -------------------------------------------------------------------------------------- */

START_TEST(nothing)
{
    begin(_i, DEFAULTS);
    struct json_object *view = view_domain(DOMAIN, NOW);
    check_member(view, "sender_domain", DOMAIN);
    check_member(view, "window_s", "3600");
    check_member(view, "percent", "50");
    check_member(view, "at_least", "10");
    check_member(view, "bad", "0");
    check_member(view, "all", "0");
    check_member(view, "blocked_until", "null");
    check_member(view, "breaks_at", "null");
    check_member(view, "by_mailbox", "[]");
    check_member(view, "left_out", "[]");
    check_member(view, "blocks", "[]");
    check_member(view_status(ALICE, 0, NOW), "block", "null");
    rig_reload(WITH("failures.percent=off"));
    check_member(view_domain(DOMAIN, NOW), "percent", "null");
}
END_TEST

START_TEST(counted)
{
    begin(_i, WITH("domains.own_domains=example.test example.net"));
    come(good, 12, NOW - 30 * MINUTE_MS);
    come(unknown, 9, NOW - MINUTE_MS);
    come((struct came){BOB, "x.test", FAILURE_FAILED, REPLY_RATE, 0}, 1, NOW);
    keep_window("example.net", &usual, NOW); /* the group's name is the first one */
    struct json_object *view = view_domain(DOMAIN, NOW);
    check_member(view, "sender_domain", "example.net");
    check_member(view, "bad", "10");
    check_member(view, "all", "22");
    check_member(view, "messages", "10");
    check_member(view, "by_class", "{'address_unknown':9,'rate':1}");
    check_member(view, "by_mailbox",
                 "[{'mailbox':'" ALICE "','bad':9},{'mailbox':'" BOB "','bad':1}]");
    check_member(view, "blocked_until", "null");
    check_member(view, "breaks_at", moment(NOW + 20 * MINUTE_MS)); /* two good ones have left */
    check_member(view_mailbox(ALICE, NOW), "block", "null");
    check_member(view_mailbox(ALICE, NOW), "state", "ok");
}
END_TEST

START_TEST(blocked)
{
    begin(_i, DEFAULTS);
    block_domain();
    struct json_object *view = view_domain(DOMAIN, NOW);
    check_member(view, "bad", "10");
    check_member(view, "all", "15");
    check_member(view, "by_class", "{'address_unknown':7,'content_refused':3}");
    check_member(view, "by_mailbox",
                 "[{'mailbox':'" ALICE "','bad':7},{'mailbox':'" BOB "','bad':3}]");
    check_member(view, "left_out",
                 "[{'reason':'outage','destination':'mx.test','count':3},"
                 "{'reason':'ours','destination':'rare.test','count':1}]");
    check_member(view, "block.subject", "@" DOMAIN);
    check_member(view, "block.hint", "list");
    check_member(view, "block.bad", "10");
    check_member(view, "blocked_until", rig_text(view, "block.until"));
    check_member(view, "breaks_at", "null");
    ck_assert_uint_eq(length_of(view, "blocks"), 1);
    check_member(view, "blocks.0.ended", "null");
    check_member(view, "blocks.0.culprit", "null"); /* seven of ten are not four fifths */
    check_member(view, "blocks.0.suspends", "false");
    check_member(view, "mailbox_blocks", "[]");
    view = view_mailbox(ALICE, NOW);
    check_member(view, "state", "blocked");
    check_member(view, "block.subject", "@" DOMAIN);
    check_member(view, "next.verdict", "refuse");
    check_member(view, "next.retry_at", rig_text(view, "block.until"));
    check_member(view, "next.blocked_until", rig_text(view, "block.until"));
    /* to the millisecond it is over, and shown */
    int64_t end_ms = NOW + 45 * MINUTE_MS;
    check_member(view_mailbox(ALICE, end_ms - 1), "state", "blocked");
    check_member(view_mailbox(ALICE, end_ms), "state", "ok");
    view = view_domain(DOMAIN, end_ms);
    check_member(view, "blocked_until", "null");
    check_member(view, "bad", "0");
    check_member(view, "blocks.0.ended", "time");
}
END_TEST

/* He reads of himself, and of others nothing but how much it is. */
START_TEST(of_a_user)
{
    begin(_i, DEFAULTS);
    block_domain();
    struct json_object *view = view_status(BOB, 0, NOW);
    check_member(view, "headline", "blocked");
    check_member(view, "can_send", "none");
    check_member(view, "block.of", "domain");
    check_member(view, "block.domain", DOMAIN);
    check_member(view, "block.bad", "10");
    check_member(view, "block.all", "15");
    check_member(view, "block.yours", "3");
    check_member(view, "block.others", "7");
    check_member(view, "block.hint", "list");
    check_member(view, "block.by_class", "{'address_unknown':7,'content_refused':3}");
    check_member(view, "block.left_out",
                 "[{'reason':'outage','destination':'mx.test','count':3},"
                 "{'reason':'ours','destination':null,'count':1}]");
    rig_check_has_not(json_object_to_json_string(view), "alice");
    rig_check_has_not(json_object_to_json_string(view), "rare.test");
    check_member(view_status("carol@" DOMAIN, 0, NOW), "block.yours", "0");
    check_member(view_status("carol@sub." DOMAIN, 0, NOW), "block", "null");
    rig_reload(WITH("exempt.mailbox=" BOB));
    check_member(view_status(BOB, 0, NOW), "block", "null");
    check_member(view_status(BOB, 0, NOW), "headline", "ok");
    rig_reload(WITH("guard.mode=observe"));
    check_member(view_status(BOB, 0, NOW), "headline", "ok");
    check_member(view_domain(DOMAIN, NOW), "enforced", "false");
    check_member(view_mailbox(BOB, NOW), "next.verdict", "admit");
}
END_TEST

/* A site that several mailboxes use is nobody's secret. */
START_TEST(destinations_of_many)
{
    begin(_i, DEFAULTS);
    struct failure_outage *site = arena_alloc(arena, sizeof *site);
    block_domain();
    for (uint32_t i = 0; i < 5; i++)
        failure_outage_take(site, &(struct failure_outage_outcome){
                                      .domain = "d.test", .mailbox = i, .good = i < 3,
                                      .at_ms = NOW - MINUTE_MS});
    keep_site("rare.test", site);
    check_member(view_status(BOB, 0, NOW), "block.left_out.1.destination", "rare.test");
}
END_TEST

START_TEST(beside_a_suspension)
{
    begin(_i, DEFAULTS);
    block_domain();
    do_action(&supporter, "{'action':'suspend','subject':'" ALICE "','for':'10m','note':'n'}", NOW);
    struct json_object *view = view_status(ALICE, 0, NOW);
    check_member(view, "headline", "paused");
    check_member(view, "block.yours", "7");
    view = view_mailbox(ALICE, NOW);
    check_member(view, "state", "paused");
    check_member(view, "next.retry_at", rig_text(view, "block.until"));
}
END_TEST

/* What is damaged, or is not known of here, blocks nobody. */
START_TEST(damaged)
{
    begin(_i, DEFAULTS);
    keep_bytes(VALUE_FAILURES, DOMAIN, "?", 1, NOW + DAY_MS);
    keep_bytes(VALUE_BLOCK, DOMAIN, "?", 1, NOW + DAY_MS);
    check_member(view_domain(DOMAIN, NOW), "blocked_until", "null");
    check_member(view_mailbox(ALICE, NOW), "state", "ok");
    /* a block without its window still tells what it knows, and can be lifted */
    keep_block(DOMAIN, &(struct failure_block){.id = 3, .from_ms = NOW, .until_ms = NOW + HOUR_MS},
               &(struct failure_numbers){.bad = 12, .all = 20, .messages = 4});
    struct json_object *view = view_status(ALICE, 0, NOW);
    check_member(view, "block.bad", "12");
    check_member(view, "block.others", "12");
    check_member(view_domain(DOMAIN, NOW), "bad", "12");
    do_action(&supporter, "{'action':'lift','subject':'@" DOMAIN "','note':'n'}", NOW);
    check_member(view_status(ALICE, 0, NOW), "block", "null");
}
END_TEST

/* ---- what is so now --------------------------------------------------------------------------------- */

/* 20 of `domains` domains, each of another mailbox, fail (or arrive) within the last 20 minutes. */
static void fail_at(const char *site, int domains, bool well)
{
    struct failure_outage *outage = arena_alloc(arena, sizeof *outage);
    for (int i = 0; i < 40; i++)
        failure_outage_take(outage, &(struct failure_outage_outcome){
                                        .domain = arena_printf(arena, "d%d.test", i % domains),
                                        .mailbox = (uint32_t)i, .good = i < 20 || well,
                                        .kind = FAILURE_SITE,
                                        .at_ms = i < 20 ? NOW - 2 * HOUR_MS
                                                        : NOW - (40 - i) * MINUTE_MS});
    keep_site(site, outage);
}

START_TEST(now)
{
    begin(_i, DEFAULTS);
    fail_at("down.test", 5, false);
    fail_at("few.test", 2, false); /* of mailboxes enough, where few domains send */
    fail_at("well.test", 9, true);
    keep_bytes(VALUE_OUTAGE, "odd.test", "?", 1, NOW + DAY_MS);
    block_domain();
    struct json_object *feedback = VIEW(desk_feedback(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(feedback, "outages"), 2);
    check_member(feedback, "outages.0.destination", "down.test");
    check_member(feedback, "outages.0.since", moment(NOW / MINUTE_MS * MINUTE_MS - 20 * MINUTE_MS));
    check_member(feedback, "outages.0.domains", "5");
    check_member(feedback, "outages.1.destination", "few.test");
    ck_assert_uint_eq(length_of(feedback, "blocked"), 1);
    check_member(feedback, "blocked.0.subject", "@" DOMAIN);
    uint8_t day[1 + 10 * FAILURE_OUTAGE_DAY_HASH_BYTES] = {FAILURE_OUTAGE_DAY_FORMAT};
    keep_bytes(VALUE_DAY, arena_printf(arena, "%lld", (long long)(NOW / DAY_MS)), day, sizeof day,
               NOW + DAY_MS);
    struct json_object *home = VIEW(desk_home(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(home, "outages"), 1); /* ten domains are not few */
    check_member(home, "blocked.0.bad", "10");
    rig_reload(WITH("failures.outage=off"));
    check_member(VIEW(desk_home(rig_desk(), NOW, &made)), "outages", "[]");
    home = VIEW(desk_home(rig_desk(), NOW + HOUR_MS, &made));
    check_member(home, "blocked", "[]");
    check_member(home, "outages", "[]");
}
END_TEST

/* ---- lifting -------------------------------------------------------------------------------------- */

#define LIFT "{'action':'lift','subject':'@" DOMAIN "','note':'we talked'}"

START_TEST(lift)
{
    begin(_i, DEFAULTS);
    rig_check_has(refuse_action(&supporter, LIFT, NOW, 409, "subject"), "blocked");
    block_domain();
    refuse_action(&viewer, LIFT, NOW, 403, "");
    refuse_action(&supporter,
                  "{'action':'lift','subject':'@" DOMAIN "','cause':'failures','note':'n'}", NOW,
                  400, "cause");
    struct json_object *view = preview_action(&supporter, LIFT, NOW);
    check_member(view, "before.state", "blocked");
    check_member(view, "before.next.verdict", "refuse");
    check_member(view, "after.state", "ok");
    check_member(view, "after.next.verdict", "admit");
    check_member(view, "lifted.0.subject", "@" DOMAIN);
    check_member(view, "breaks_at", "null");
    check_member(view_mailbox(ALICE, NOW), "state", "blocked");
    do_action(&supporter, LIFT, NOW);
    check_member(view_mailbox(ALICE, NOW), "state", "ok");
    view = view_domain(DOMAIN, NOW + SECOND_MS);
    check_member(view, "bad", "0"); /* what it holds is set aside */
    check_member(view, "blocks.0.ended", "lifted");
    refuse_action(&supporter, LIFT, NOW, 409, "subject");
    view = VIEW(desk_audit(rig_desk(), "@" DOMAIN, NULL, &made, &fault));
    check_member(view, "actions.0.action", "lift");
    check_member(view, "actions.0.by", "sam");
    check_member(view, "actions.0.note", "we talked");
    check_member(view, "actions.0.detail.before.bad", "10");
    check_member(view, "actions.0.detail.before.cause", "failures");
    check_member(view, "actions.0.detail.after", "null");
}
END_TEST

/* What the store has of the domain. */
static void read_window(int64_t at_ms)
{
    struct value value;
    ck_assert_int_eq(store_value(store, arena, VALUE_FAILURES, DOMAIN, at_ms, &value), 1);
    ck_assert_int_eq(failure_window_read(value.bytes, value.length, &window), 1);
}

/* Lifted at 10:15 it stays open: mail from before enters no more. */
START_TEST(lifted_stays_open)
{
    begin(_i, DEFAULTS);
    block_domain();
    do_action(&supporter, LIFT, NOW);
    read_window(NOW);
    struct failure_outcome old = {.unit = 900, .message = 900, .mailbox = ALICE, .site = "x.test",
                                  .first = true, .came = FAILURE_FAILED,
                                  .kind = FAILURE_ADDRESS_UNKNOWN, .admitted_ms = NOW - SECOND_MS,
                                  .at_ms = NOW + MINUTE_MS, .read_ms = NOW + MINUTE_MS};
    for (int i = 0; i < 50; i++, old.unit++, old.message++)
        ck_assert_int_eq(failure_window_take(&window, &usual, &old), FAILURE_SET_ASIDE);
    keep_window(DOMAIN, &usual, NOW + MINUTE_MS);
    check_member(view_domain(DOMAIN, NOW + MINUTE_MS), "bad", "0");
    check_member(view_mailbox(ALICE, NOW + MINUTE_MS), "state", "ok");
}
END_TEST

/* Mailboxes that are blocked in the place of their domain. */
START_TEST(mailboxes)
{
    struct failure_settings settings = usual;
    settings.blocks = FAILURE_BLOCKS_MAILBOX;
    begin(_i, WITH("failures.blocks=mailbox"));
    come(unknown, 10, NOW - MINUTE_MS);
    keep_window(DOMAIN, &settings, NOW);
    struct json_object *view = view_domain(DOMAIN, NOW);
    check_member(view, "blocked_until", "null");
    ck_assert_uint_eq(length_of(view, "mailbox_blocks"), 1);
    check_member(view, "mailbox_blocks.0.subject", ALICE);
    check_member(view, "blocks.0.mailbox", ALICE);
    check_member(view, "blocks.0.culprit", ALICE);
    check_member(view_mailbox(ALICE, NOW), "state", "blocked");
    check_member(view_mailbox(BOB, NOW), "state", "ok");
    check_member(view_status(ALICE, 0, NOW), "block.of", "mailbox");
    check_member(view_status(ALICE, 0, NOW), "block.yours", "10");
    view = do_action(&supporter, LIFT, NOW);
    check_member(view, "lifted.0.subject", ALICE);
    check_member(view_mailbox(ALICE, NOW), "state", "ok");
    check_member(view_domain(DOMAIN, NOW), "blocks.0.ended", "lifted");
}
END_TEST

/* What judging regards by the settings of now is blocked, and nothing else. */
START_TEST(other_settings)
{
    begin(_i, WITH("failures.blocks=mailbox"));
    rig_block(DOMAIN, FAILURE_HINT_NONE);
    rig_block(ALICE, FAILURE_HINT_NONE);
    rig_reload(WITH("failures.percent=off"));
    ck_assert_int_eq(send_one("x", 1, NOW).kind, VERDICT_ADMIT);
    check_member(view_mailbox(ALICE, NOW), "state", "ok");
    check_member(view_status(ALICE, 0, NOW), "block", "null");
    check_member(view_status(ALICE, 0, NOW), "can_appeal", "[]");
    check_member(view_domain(DOMAIN, NOW), "blocked_until", "null");
    check_member(VIEW(desk_feedback(rig_desk(), NOW, &made)), "blocked", "[]");
    rig_reload(DEFAULTS);
    ck_assert_uint_eq(length_of(VIEW(desk_feedback(rig_desk(), NOW, &made)), "blocked"), 1);
    do_action(&supporter, LIFT, NOW);
    ck_assert_int_eq(send_one("y", 1, NOW).kind, VERDICT_ADMIT);
    check_member(view_mailbox(ALICE, NOW), "state", "ok");
    check_member(view_status(ALICE, 0, NOW), "block", "null");
    refuse_action(&supporter, LIFT, NOW, 409, "subject");
}
END_TEST

/* Also where the window does not know of it: its domain had another name, or it is lost. */
START_TEST(mailbox_without_window)
{
    begin(_i, WITH("failures.blocks=mailbox", "domains.own_domains=another.test " DOMAIN));
    rig_block(ALICE, FAILURE_HINT_NONE);
    rig_block("carol@third.test", FAILURE_HINT_NONE);
    ck_assert_int_eq(send_one("x", 1, NOW).kind, VERDICT_BLOCKED);
    check_member(view_domain(DOMAIN, NOW), "mailbox_blocks.0.subject", ALICE);
    struct json_object *view = do_action(&supporter, LIFT, NOW);
    ck_assert_uint_eq(length_of(view, "lifted"), 1);
    check_member(view, "lifted.0.subject", ALICE);
    ck_assert_int_eq(send_one("y", 1, NOW).kind, VERDICT_ADMIT);
    rig_block(DOMAIN, FAILURE_HINT_NONE); /* as it was called before */
    ck_assert_int_eq(send_one("z", 1, NOW).kind, VERDICT_ADMIT);
    view = VIEW(desk_feedback(rig_desk(), NOW, &made));
    ck_assert_uint_eq(length_of(view, "blocked"), 1);
    check_member(view, "blocked.0.subject", "carol@third.test");
}
END_TEST

/* What a message met is explained as it was, whatever became of the block. */
START_TEST(met)
{
    begin(_i, DEFAULTS);
    rig_block(DOMAIN, FAILURE_HINT_FORM);
    struct json_object *view = view_decision(send_one("x", 1, NOW).decision, NOW + DAY_MS);
    check_member(view, "outcome", "blocked");
    check_member(view, "verdict", "blocked");
    check_member(view, "block.subject", "@" DOMAIN);
    check_member(view, "block.bad", "12");
    check_member(view, "block.all", "20");
    check_member(view, "block.messages", "9");
    check_member(view, "block.hint", "form");
    check_member(view, "block.until", "2025-11-22T06:40:00Z");
    rig_reload(WITH("failures.blocks=mailbox"));
    rig_block(ALICE, FAILURE_HINT_NONE);
    rig_block(DOMAIN, FAILURE_HINT_NONE); /* neither ends later: the domain's is told */
    view = view_decision(send_one("y", 1, NOW + 1).decision, NOW + 1);
    check_member(view, "block.subject", "@" DOMAIN);
    view = view_decision(send_one("z", 1, NOW + HOUR_MS).decision, NOW + HOUR_MS);
    check_member(view, "outcome", "admitted");
    check_member(view, "block", "null");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("desk failures");
    TCase *cases = desk_case(suite, "both backends");
    const TTest *const tests[] = {nothing, counted, blocked, of_a_user, destinations_of_many,
                                  beside_a_suspension, damaged, now, lift, lifted_stays_open,
                                  mailboxes, other_settings, mailbox_without_window, met};
    for (size_t i = 0; i < countof(tests); i++)
        tcase_add_loop_test(cases, tests[i], 0, BACKEND_KINDS);
    return backends_run(suite);
}
