/* The block lists as staff see and change them. */
#include <string.h>

#include "base/json.h"
#include "guard/block_list.h"
#include "guard/keyed_hash.h"
#include "tests/unit/desk/desk_rig.h"

static const struct action action = {NOW, "guard", ""};

/* An entry that Sendguard makes of itself. */
static void put_hashed(const char *recipient, const char *scope)
{
    char subject[BLOCK_SUBJECT_HASH_SIZE];
    block_list_hashed(keyed_hash_recipient(&hash_keys, recipient, NOW), subject);
    const struct block_entry entry = {.kind = BLOCK_RECIPIENT, .subject = subject, .scope = scope,
                                      .reason = "address_unknown", .by = "guard", .note = "",
                                      .since_ms = NOW, .until_ms = NOW + 30 * DAY_MS,
                                      .site = "mx.x.test"};
    ck_assert_int_eq(block_list_add(store, &entry, 1, &action), 1);
}

static struct json_object *ask(const char *words, bool preview)
{
    return VIEW(
        desk_block(rig_desk(), &supporter, words_of(words), preview, NOW, &made, &fault));
}

static struct json_object *find(const char *query)
{
    return VIEW(desk_blocks(rig_desk(), query, NULL, NOW, &made));
}

/* An address is found however it is typed, also one that is kept as its hash alone. */
START_TEST(found_as_typed)
{
    static const char *const typed[] = {
        "bob@xn--bcher-kva.test", " BOB@B\u00dcCHER.test ", "\"bob\"@b\u00fccher.test.",
        "bob@xn--BCHER-kva.test."};
    rig_begin(_i, WITH(SMALL));
    put_hashed("bob@xn--bcher-kva.test", "example.test");
    ask("{'action':'block','subject':'bob@b\u00fccher.test','reason':'No.','note':'x'}", false);
    ask("{'action':'block','subject':'b\u00fccher.test','reason':'No.','note':'x'}", false);
    for (size_t i = 0; i < countof(typed); i++) {
        struct json_object *view = find(typed[i]);
        ck_assert_msg(length_of(view, "blocks") == 2, "%s", typed[i]);
        check_member(view, "blocks.0.subject", "(recipient) at mx.x.test");
        check_member(view, "blocks.1.subject", "bob@xn--bcher-kva.test");
    }
    check_member(find("b\u00fccher.test"), "blocks.0.kind", "domain");
    check_member(find("@B\u00fccher.TEST"), "blocks.0.kind", "domain");
    ck_assert_uint_eq(length_of(find("bob@"), "blocks"), 1);
    ck_assert_uint_eq(length_of(find("xn--b"), "blocks"), 1);
    ck_assert_uint_eq(length_of(find("carol@b\u00fccher.test"), "blocks"), 0);
}
END_TEST

/* A sender domain that has become one with another since: what the list shows can be removed. */
START_TEST(removed_with_its_scope)
{
    rig_begin(_i, WITH(SMALL));
    put_hashed("bob@x.test", "example.test");
    ask("{'action':'block','subject':'x.test','scope':'example.test','reason':'No.','note':'x'}",
        false);
    rig_reload(WITH(SMALL, "domains.own_domains=a.test example.test"));
    ask("{'action':'block','subject':'x.test','scope':'a.test','reason':'Yes.','note':'x'}", false);
    struct json_object *view = ask("{'action':'unblock','subject':'x.test','kind':'domain',"
                                   "'scope':'example.test','note':'x'}", false);
    check_member(view, "before.text", "No.");
    view = ask("{'action':'unblock','subject':'bob@x.test','scope':'example.test','note':'x'}",
               false);
    check_member(view, "before.reason", "address_unknown");
    view = ask("{'action':'unblock','subject':'x.test','scope':'example.test','note':'x'}", false);
    check_member(view, "before.text", "Yes."); /* its own is gone: that of the group */
    ck_assert_uint_eq(length_of(find(""), "blocks"), 0);
}
END_TEST

/* What is not there is perhaps there with another scope. */
START_TEST(told_the_scope)
{
    const struct {
        const char *words, *where, *told;
    } asked[] = {
        {"'subject':'bob@x.test'", "scope", "with the scope example.test"},
        {"'subject':'ann@x.test'", "scope", "with the scope carol@example.test"},
        {"'subject':'x.test','scope':'b.test'", "scope", "for all mail: leave the scope out"},
        {"'subject':'dan@x.test'", "subject", "it is not on the list"}};
    rig_begin(_i, WITH(SMALL));
    put_hashed("bob@x.test", "example.test");
    ask("{'action':'block','subject':'ann@x.test','kind':'pair','scope':'carol@example.test',"
        "'reason':'No.','note':'x'}", false);
    ask("{'action':'block','subject':'x.test','reason':'No.','note':'x'}", false);
    for (size_t i = 0; i < countof(asked); i++) {
        struct json_object *view = NULL;
        struct problem problem = {0};
        const char *words = arena_printf(arena, "{'action':'unblock',%s,'note':'x'}",
                                         asked[i].words);
        ck_assert_int_eq(desk_block(rig_desk(), &supporter, words_of(words), false, NOW, &view,
                                    &problem), 0);
        ck_assert_int_eq(problem.status, 409);
        ck_assert_str_eq(problem.where, asked[i].where);
        rig_check_has(problem.text, asked[i].told);
    }
}
END_TEST

/* What the sender of a recipient reads whom Sendguard blocked. */
START_TEST(told_what_is_read)
{
    rig_begin(_i, WITH(SMALL));
    put_hashed("bob@x.test", "example.test");
    const struct block_entry domain = {.kind = BLOCK_DOMAIN, .subject = "null.test", .scope = "*",
                                       .reason = BLOCK_UNROUTABLE, .by = "guard", .note = "",
                                       .since_ms = NOW, .until_ms = NOW + DAY_MS};
    ck_assert_int_eq(block_list_add(store, &domain, 1, &action), 1);
    struct json_object *view = find("");
    struct catalogue *catalogue = rig_catalogue();
    desk_blocks_add_words(view, catalogue, arena, "en");
    check_member(view, "blocks.0.reason", "unroutable");
    check_member(view, "blocks.0.text", "No mail can reach *@null.test: null.test has no mail "
                                        "server. Correct the address or remove it.");
    check_member(view, "blocks.1.text",
                 "Mail to (recipient) at mx.x.test came back twice, a day apart: mx.x.test does "
                 "not know this address. Correct it or remove it; it can be tried again from "
                 "2025-12-22 05:40 UTC.");
    catalogue_free(&catalogue);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("the block lists at the desk");
    TCase *cases = desk_case(suite, "blocks");
    tcase_add_loop_test(cases, found_as_typed, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, removed_with_its_scope, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, told_the_scope, 0, BACKEND_KINDS);
    tcase_add_loop_test(cases, told_what_is_read, 0, BACKEND_KINDS);
    return backends_run(suite);
}
