/* What people see of delivery: the user's status page with its form, and the desk, over both stores;
 * values as the follower of a log writes them. */
#include <sodium.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "guard/delivery.h"
#include "guard/keyed_hash.h"
#include "mail/delivery_counts.h"
#include "staff/staff_secret.h"
#include "tests/unit/desk/desk_rig.h"
#include "web/web.h"

static const char *const languages[] = {"en", "de", "fr", "es"};

static struct web web;
static struct http_response response;
static char cookie[SECRET_TEXT_SIZE];
static struct value_change change;
static struct values_done done;

static void begin(int backend)
{
    const struct action action = {NOW - HOUR_MS, "root (shell)", "begins"};
    struct problem problem = {0};
    struct sign_in sign_in = {.name = "sam", .password = "correct horse", .network = "192.0.2.7",
                              .now_ms = NOW - MINUTE_MS};
    rig_begin(backend, DEFAULTS);
    web = (struct web){.desk = {store, guard, token_key}, .key = token_key};
    pthread_mutex_init(&web.metrics.lock, NULL);
    response = (struct http_response){.status = 200};
    ck_assert_int_eq(staff_add(store, "sam", ROLE_VIEWER, "correct horse", &action, &problem), 1);
    ck_assert_int_eq(staff_sign_in(store, &sign_in), SIGNED_IN);
    memcpy(cookie, sign_in.cookie, sizeof cookie);
}

static void end(void)
{
    http_response_free(&response);
    pthread_mutex_destroy(&web.metrics.lock);
}

/* ---- what is known --------------------------------------------------------------------------------- */

static void keep_value(enum value_kind kind, const char *key, const struct text *bytes)
{
    change = (struct value_change){.value = {.kind = kind, .key = key, .bytes = bytes->data,
                                             .length = bytes->length,
                                             .until_ms = kind == VALUE_CURSOR
                                                             ? UNTIL_LIFTED
                                                             : NOW + 30 * DAY_MS},
                                   .replaces = VALUE_ANY};
    const struct values_step step = {.changes = &change, .count = 1, .now_ms = NOW};
    ck_assert_int_eq(store_values_change(store, &step, &done), 1);
}

/* The log was read up to that moment. */
static void follow(int64_t read_ms, int gaps)
{
    freed_by(text_free) struct text cursor = {0};
    text_addf(&cursor,
              "{\"place\":\"p\",\"log_ms\":%lld,\"read_ms\":%lld,\"gaps\":%d,\"gap_ms\":%lld}",
              (long long)read_ms, (long long)read_ms, gaps, gaps > 0 ? (long long)read_ms : 0LL);
    keep_value(VALUE_CURSOR, "mx1 journal", &cursor);
}

static uint64_t say(enum reply_class class, const char *code, const char *words)
{
    freed_by(text_free) struct text packed = {0};
    char key[DELIVERY_KEY_SIZE];
    kept_reply_add(&packed, &(struct kept_reply){class, code, "x.test", words});
    uint64_t id = kept_reply_id(packed.data, packed.length);
    delivery_reply_key(key, id);
    keep_value(VALUE_REPLY, key, &packed);
    return id;
}

static struct trace_recipient at(const char *address, enum delivery delivery,
                                 enum reply_class class, uint64_t reply)
{
    return (struct trace_recipient){.hash = keyed_hash_recipient(&hash_keys, address, NOW),
                                    .delivery = delivery, .class = class, .attempts = 1,
                                    .first_ms = NOW + SECOND_MS, .last_ms = NOW + SECOND_MS,
                                    .reply = reply};
}

static void keep_message(struct trace_message *message)
{
    freed_by(text_free) struct text packed = {0};
    char key[DELIVERY_KEY_SIZE];
    strcpy(message->queue_id, "4F0A11");
    trace_add(&packed, NOW / DAY_MS, message);
    delivery_trace_key(key, NOW / DAY_MS, ALICE, delivery_source("mx1 journal"), 0);
    keep_value(VALUE_TRACE, key, &packed);
}

/* Of a mailbox's mail alone; the sums of its domain are a value of their own. */
static void keep_domain(void)
{
    struct delivery_counts counts = {.messages = 1};
    freed_by(text_free) struct text packed = {0};
    char key[DELIVERY_KEY_SIZE];
    const struct counted_as unknown = {.delivery = DELIVERY_PENDING, .site = ""};
    delivery_counts_move(&counts, &unknown,
                         &(struct counted_as){DELIVERY_FAILED, REPLY_ADDRESS_UNKNOWN, "x.test"});
    delivery_counts_add(&packed, &counts);
    delivery_domain_key(key, NOW / DAY_MS, "example.test", delivery_source("mx1 journal"));
    keep_value(VALUE_DOMAIN, key, &packed);
}

static uint64_t admit(void)
{
    struct submission submission;
    struct problem problem;
    submission_init(&submission, arena, CHANNEL_SMTP);
    ck_assert_int_eq(submission_set_id(&submission, "4F0A11/7.0", 10, &problem), 1);
    rig_mailbox(&submission, ALICE);
    rig_add(&submission, FIELD_TO, "good@x.test, nobody@x.test, full@x.test, slow@x.test");
    return rig_judge(&submission, NOW).decision;
}

/* One message to four: arrived, no such address, mailbox full, tried again. Returns its decision. */
static const char *four_recipients(void)
{
    uint64_t no = say(REPLY_ADDRESS_UNKNOWN, "5.1.1", "550 5.1.1 <b>no</b> (recipient) here");
    struct trace_recipient recipients[] = {
        at("good@x.test", DELIVERY_DELIVERED, REPLY_OTHER, 0),
        at("nobody@x.test", DELIVERY_FAILED, REPLY_ADDRESS_UNKNOWN, no),
        at("full@x.test", DELIVERY_EXPIRED, REPLY_MAILBOX_FULL, 0),
        at("slow@x.test", DELIVERY_DEFERRED, REPLY_UNREACHABLE, 0)};
    struct trace_message message = {.decision = admit(), .recipients = recipients,
                                    .recipient_count = 4, .expected = 4};
    char text[DECISION_TEXT_SIZE];
    follow(NOW + MINUTE_MS, 0);
    keep_message(&message);
    decision_format(message.decision, text);
    return arena_strdup(arena, text);
}

/* ---- pages ------------------------------------------------------------------------------------------- */

static const char *link_until(int64_t expires_ms)
{
    return token_make(token_key, arena,
                      &(struct status_link){.mailbox = ALICE, .made_ms = NOW - MINUTE_MS,
                                            .expires_ms = expires_ms});
}

static const char *answer(struct raw_request raw)
{
    raw.peer = "192.0.2.7";
    raw.accept = "text/html";
    http_response_free(&response);
    response = (struct http_response){.status = 200};
    web_answer(&web, &raw, NULL, arena, NOW + MINUTE_MS, &response);
    return text_string(&response.body);
}

static const char *status_page(const char *language)
{
    const char *html = answer((struct raw_request){
        .method = "GET", .url = "/sending/status", .accept_language = language,
        .query = arena_printf(arena, "t=%s", link_until(NOW + DAY_MS))});
    ck_assert_int_eq(response.status, 200);
    return html;
}

static const char *ask_status(const char *addresses, const char *language, int64_t expires_ms)
{
    const char *body = arena_printf(arena, "t=%s&action=addresses&addresses=%s",
                                    link_until(expires_ms), addresses);
    return answer((struct raw_request){.method = "POST", .url = "/sending/status", .body = body,
                                       .body_length = strlen(body),
                                       .content_type = "application/x-www-form-urlencoded",
                                       .accept_language = language});
}

static const char *desk_page(const char *path, const char *body, const char *language)
{
    char token[SECRET_TEXT_SIZE];
    staff_csrf(cookie, token);
    if (body != NULL)
        body = arena_printf(arena, "csrf=%s&%s", token, body);
    const char *html = answer((struct raw_request){
        .method = body != NULL ? "POST" : "GET",
        .url = arena_printf(arena, "/sending/desk%s", path), .body = body,
        .body_length = body != NULL ? strlen(body) : 0,
        .content_type = body != NULL ? "application/x-www-form-urlencoded" : NULL,
        .cookies = arena_printf(arena, "sendguard_session=%s", cookie),
        .accept_language = language});
    ck_assert_msg(response.status == 200, "%s: %d", path, response.status);
    return html;
}

static const char *desk(const char *path) { return desk_page(path, NULL, "en"); }

/* ---- the user's page ----------------------------------------------------------------------------------- */

START_TEST(user_reads_what_to_do)
{
    begin(_i);
    rig_check_has_not(status_page("en"), "id=\"delivery\""); /* no log is followed */
    four_recipients();
    const char *html = status_page("en");
    rig_check_has(html, "mail failed for 2 recipients.");
    rig_check_has(html, "For 1 recipient our mail server is still trying");
    rig_check_has(html, "<strong>delivered to 1 of 4</strong> · 2 failed: This address does not "
                        "exist, and other reasons · 1 still being tried");
    rig_check_has(html, "take it off your lists");
    rig_check_has_not(html, "nobody@x.test");
    for (size_t i = 1; i < countof(languages); i++) {
        html = status_page(languages[i]);
        rig_check_has(html, "id=\"delivery\"");
        rig_check_has_not(html, "delivered to");
        rig_check_has_not(html, "{{");
    }
    end();
}
END_TEST

/* Nothing is known of its recipients, and that is not the matter. */
START_TEST(user_reads_what_was_refused_here)
{
    static const char *const texts[] = {
        "refused by our own mail server, no longer counted",
        "von unserem eigenen Mailserver abgewiesen, nicht mehr gezählt",
        "refusé par notre propre serveur, n’est plus compté",
        "rechazado por nuestro propio servidor, ya no se cuenta"};
    static const char *const of_texts[] = {"en", "de", "fr", "es"};
    begin(_i);
    follow(NOW + MINUTE_MS, 0);
    struct trace_message message = {.decision = admit(), .refunded = true, .ended = true};
    keep_message(&message);
    for (size_t i = 0; i < countof(texts); i++)
        rig_check_has(status_page(of_texts[i]),
                      arena_printf(arena, "<strong>%s</strong>", texts[i]));
    end();
}
END_TEST

/* For the webmail, in the reader's language. */
START_TEST(webmail_reads_it_too)
{
    begin(_i);
    four_recipients();
    const struct raw_request raw = {.method = "GET", .url = "/sending/status", .peer = "192.0.2.7",
                                    .accept = "application/json", .accept_language = "de",
                                    .query = arena_printf(arena, "t=%s",
                                                          link_until(NOW + DAY_MS))};
    http_response_free(&response);
    response = (struct http_response){.status = 200};
    web_answer(&web, &raw, NULL, arena, NOW + MINUTE_MS, &response);
    freed_by(json_put) struct json_object *view = json_read(text_string(&response.body));
    check_member(view, "delivery.tally.failed", "2");
    check_member(view, "delivery.messages.0.sum.delivered", "1");
    check_member(view, "delivery.messages.0.sum.title", "Diese Adresse gibt es nicht");
    struct json_object *messages = json_member(json_member(view, "delivery"), "messages");
    ck_assert_ptr_null(json_member(json_object_array_get_idx(messages, 0), "recipients"));
    end();
}
END_TEST

START_TEST(user_looks_addresses_up)
{
    begin(_i);
    four_recipients();
    const char *html = ask_status("Nobody <NOBODY@x.test>,%0D%0Afull@x.test;good@x.test "
                                  "slow@x.test%0D%0Aother@x.test %3Cscript%3E nobody@x.TEST", "en", NOW + DAY_MS);
    ck_assert_int_eq(response.status, 200);
    rig_check_has(html, "In the last ten days 2 of these 6 failed.");
    rig_check_has(html, ">NOBODY@x.test</strong>: This address does not exist");
    rig_check_has(html, "550 5.1.1 &lt;b&gt;no&lt;/b&gt; (recipient) here");
    ck_assert_msg(strstr(html, ">5.1.1</span>") == NULL, "the code is told twice");
    ck_assert_msg(strstr(html, ">nobody@x.TEST<") == NULL, "an address is told twice");
    rig_check_has(html, ">full@x.test</strong>: The recipient");
    rig_check_has(html, "<h2>Still being tried</h2>");
    rig_check_has(html, ">good@x.test</strong>, <time");
    const char *unknown = strstr(html, "<h2>Nothing known</h2>");
    ck_assert_ptr_nonnull(unknown);
    rig_check_has(unknown, "other@x.test");
    rig_check_has(strstr(html, "<h2>No address</h2>"), "<li class=\"address\">script</li>");
    rig_check_has(html, "/sending/status?t=");
    for (size_t i = 1; i < countof(languages); i++)
        rig_check_has_not(ask_status("nobody@x.test", languages[i], NOW + DAY_MS),
                          "This address does not exist");
    end();
}
END_TEST

START_TEST(user_asks_in_vain)
{
    freed_by(text_free) struct text many = {0};
    begin(_i);
    four_recipients();
    rig_check_has(ask_status(" ,%0A;", "en", NOW + DAY_MS), "Enter at least one address.");
    for (int i = 0; i <= DESK_ADDRESSES_MAX; i++)
        text_addf(&many, "a%d@x.test,", i);
    rig_check_has(ask_status(text_string(&many), "en", NOW + DAY_MS), "more than 1000 addresses");
    rig_check_has(ask_status("good@x.test", "en", NOW + DAY_MS), "None of these addresses");
    rig_check_has_not(ask_status("nobody@x.test", "en", NOW), "nobody@x.test");
    ck_assert_int_eq(response.status, 403);
    end();
}
END_TEST

/* ---- the desk -------------------------------------------------------------------------------------------- */

START_TEST(desk_shows_a_mailbox)
{
    begin(_i);
    rig_check_has(desk("/mailboxes/" ALICE), "The mail server’s log is not followed");
    const char *decision = four_recipients();
    const char *link = arena_printf(arena, "/desk/decisions/%s", decision);
    const char *paths[] = {"/mailboxes/" ALICE, "/mailboxes/" ALICE "/delivery"};
    for (size_t i = 0; i < countof(paths); i++) {
        const char *html = desk(paths[i]);
        rig_check_has(html, "delivered to 1 of 4");
        rig_check_has(html, link);
        rig_check_has_not(desk_page(paths[i], NULL, "de"), "delivered to");
    }
    const char *html = desk(paths[1]);
    rig_check_has(html, "<dt>Failed</dt><dd>2</dd>");
    rig_check_has(strstr(html, "By destination"), ">x.test</th>");
    html = desk_page("/mailboxes/" ALICE "/delivery/addresses", "addresses=nobody@x.test+good@x.test", "en");
    rig_check_has(html, "In the last ten days 1 of these 2 failed.");
    rig_check_has(html, "This address does not exist");
    end();
}
END_TEST

START_TEST(desk_shows_a_trace)
{
    begin(_i);
    const char *path = arena_printf(arena, "/decisions/%s", four_recipients());
    const char *html = desk(path);
    const char *trace = strstr(html, "id=\"trace\"");
    ck_assert_ptr_nonnull(trace);
    const char *failed = strstr(trace, "This address does not exist"),
               *deferred = strstr(trace, "<tr class=\"warn\">"),
               *delivered = strstr(trace, ">delivered<");
    ck_assert(failed != NULL && deferred != NULL && delivered != NULL);
    rig_check_has(trace, "<span class=\"mono\">4F0A11</span>");
    rig_check_has(trace, "550 5.1.1 &lt;b&gt;no&lt;/b&gt; (recipient) here");
    ck_assert_msg(strstr(trace, ">5.1.1</span>") == NULL, "the code is told twice");
    ck_assert_msg(strstr(trace, "<tr class=\"bad\">") < deferred && deferred < delivered,
                  "the worst does not come first");
    for (size_t i = 1; i < countof(languages); i++)
        rig_check_has(desk_page(path, NULL, languages[i]), "id=\"trace\"");
    end();
}
END_TEST

/* Each says what is the case, and nothing else. */
START_TEST(desk_tells_why_there_is_no_trace)
{
    char text[DECISION_TEXT_SIZE];
    begin(_i);
    decision_format(admit(), text);
    const char *path = arena_printf(arena, "/decisions/%s", text);
    rig_check_has(desk(path), "The mail server’s log is not followed");
    follow(NOW - HOUR_MS, 0);
    rig_check_has(desk(path), "Nothing is known yet.");
    follow(NOW + HOUR_MS, 0);
    rig_check_has(desk(path), "has no line of this message");
    struct trace_message message = {.refunded = true, .silent = true};
    ck_assert(decision_parse(text, &message.decision));
    keep_message(&message);
    rig_check_has(desk(path), "so it does not count any more");
    rig_check_has(desk(path), "lines of the log may be lost");
    end();
}
END_TEST

START_TEST(desk_shows_a_domain)
{
    begin(_i);
    follow(NOW, 0);
    keep_domain();
    for (size_t i = 0; i < countof(languages); i++) {
        const char *html = desk_page("/domains/example.test", NULL, languages[i]);
        rig_check_has(html, ">x.test</th>");
        rig_check_has(html, "2025-11-22");
        rig_check_has_not(html, "{{");
    }
    rig_check_has(desk("/domains/example.test"), "<dt>Failed</dt><dd>1</dd>");
    end();
}
END_TEST

START_TEST(first_page_tells_of_the_log)
{
    begin(_i);
    rig_check_has(desk("/"), "The mail server’s log is not followed");
    follow(NOW, 0);
    rig_check_has_not(desk("/"), "id=\"log\"");
    follow(NOW - 5 * MINUTE_MS, 0);
    rig_check_has(desk("/"), "mx1 journal: the log is read only up to <time");
    follow(NOW, 3);
    for (size_t i = 0; i < countof(languages); i++)
        rig_check_has(desk_page("/", NULL, languages[i]), "id=\"log\"");
    rig_check_has(desk("/"), "of 3 admitted messages");
    end();
}
END_TEST

int main(void)
{
    staff_password_cost = (struct staff_password_cost){crypto_pwhash_OPSLIMIT_MIN,
                                                       crypto_pwhash_MEMLIMIT_MIN};
    Suite *suite = suite_create("delivery pages");
    TCase *cases = desk_case(suite, "delivery pages");
    tcase_add_loop_test(cases, user_reads_what_to_do, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, user_reads_what_was_refused_here, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, webmail_reads_it_too, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, user_looks_addresses_up, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, user_asks_in_vain, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, desk_shows_a_mailbox, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, desk_shows_a_trace, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, desk_tells_why_there_is_no_trace, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, desk_shows_a_domain, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, first_page_tells_of_the_log, 0, BACKEND_KINDS);
    return backends_run(suite);
}
