/* The table of routes, and how a path finds its row. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "web/web.h"

static struct arena *arena;
static struct http_request request;
static struct exchange exchange;

static void setup(void)
{
    arena = arena_new();
    request = (struct http_request){.arena = arena};
    exchange = (struct exchange){.request = &request};
}

static void teardown(void) { arena_free(&arena); }

/* The pattern's other face tells which route it is. */
static const struct route *find(enum method method, bool api, const char *path, bool *allowed_r)
{
    request.method = method;
    exchange.api = api;
    exchange.variable = "left from before";
    return route_find(&exchange, path, allowed_r);
}

static const struct {
    enum method method;
    bool api;
    const char *path, *pattern; /* NULL: none */
    const char *variable;
    bool allowed;
} cases[] = {
    {METHOD_GET, true, "/overview", "/overview", NULL, true},
    {METHOD_GET, false, "/", "/", NULL, true},
    {METHOD_GET, true, "/", NULL, NULL, false},
    {METHOD_GET, false, "", NULL, NULL, false},
    {METHOD_GET, false, "/overview", NULL, NULL, false},
    {METHOD_GET, true, "/overview/", NULL, NULL, false},
    {METHOD_GET, true, "/overvie", NULL, NULL, false},
    {METHOD_GET, true, "/overviews", NULL, NULL, false},
    {METHOD_GET, true, "/Overview", NULL, NULL, false},
    {METHOD_GET, true, "//overview", NULL, NULL, false},
    {METHOD_POST, true, "/overview", NULL, NULL, true},
    {METHOD_OTHER, true, "/overview", NULL, NULL, true},
    {METHOD_GET, true, "/mailboxes/a@b.test", "/mailboxes/{mailbox}", "a@b.test", true},
    {METHOD_GET, false, "/mailboxes/a/b@c.test", "/mailboxes/{mailbox}", "a/b@c.test", true},
    {METHOD_GET, false, "/mailboxes/", NULL, NULL, false},
    {METHOD_GET, false, "/mailboxes", NULL, NULL, false},
    {METHOD_POST, false, "/mailboxes/a@b.test", NULL, NULL, true},
    {METHOD_GET, true, "/decisions", "/decisions", NULL, true},
    {METHOD_GET, true, "/decisions/7K3M-Q2XD-9F4A", "/decisions/{decision}", "7K3M-Q2XD-9F4A",
     true},
    {METHOD_GET, true, "/audit/export.csv", "/audit/export.csv", NULL, true},
    {METHOD_GET, true, "/actions", NULL, NULL, true}, /* the API has no form */
    {METHOD_GET, false, "/actions", "/actions", NULL, true},
    {METHOD_POST, true, "/actions", "/actions", NULL, true},
    {METHOD_GET, true, "/mailboxes/{mailbox}", "/mailboxes/{mailbox}", "{mailbox}", true},
    {METHOD_GET, true, "/mailboxes/a/b@x.test/delivery", "/mailboxes/{mailbox}/delivery",
     "a/b@x.test", true},
    {METHOD_GET, true, "/mailboxes/delivery", "/mailboxes/{mailbox}", "delivery", true},
    {METHOD_GET, true, "/mailboxes//delivery", "/mailboxes/{mailbox}", "/delivery", true},
    {METHOD_POST, true, "/mailboxes/a@x.test/delivery", NULL, NULL, true},
    {METHOD_GET, true, "/mailboxes/a@x.test/delivery/addresses", NULL, NULL, true},
    {METHOD_POST, true, "/mailboxes/a@x.test/delivery/addresses",
     "/mailboxes/{mailbox}/delivery/addresses", "a@x.test", true},
    {METHOD_GET, true, "/decisions/7K3M-Q2XD-9F4A/trace", "/decisions/{decision}/trace",
     "7K3M-Q2XD-9F4A", true},
};

START_TEST(a_path_finds_its_route)
{
    bool allowed = !cases[_i].allowed;
    const struct route *route = find(cases[_i].method, cases[_i].api, cases[_i].path, &allowed);
    ck_assert_int_eq(allowed, cases[_i].allowed);
    if (cases[_i].pattern == NULL) {
        ck_assert_ptr_null(route);
        return;
    }
    ck_assert_ptr_nonnull(route);
    ck_assert_str_eq(cases[_i].api ? route->api : route->desk, cases[_i].pattern);
    ck_assert_int_eq(route->method, cases[_i].method);
    if (cases[_i].variable == NULL)
        ck_assert_ptr_null(exchange.variable);
    else
        ck_assert_str_eq(exchange.variable, cases[_i].variable);
}
END_TEST

/* A POST that a viewer may send asks only, or changes the viewer's own account. What role panel may send is refused to
 * viewers by the desk (test_desk_lock). */
START_TEST(what_changes_something_needs_a_role)
{
    for (size_t i = 0; i < desk_routes_count; i++) {
        const struct route *route = &desk_routes[i];
        const char *path = route->desk != NULL ? route->desk : route->api;
        if (route->method != METHOD_GET && strcmp(path, "/simulate") != 0 &&
            strcmp(path, "/mailboxes/{mailbox}/delivery/addresses") != 0 &&
            strcmp(path, "/account") != 0 &&
            strcmp(path, "/mailboxes/{mailbox}/password-changed") != 0)
            ck_assert_msg(route->role > ROLE_VIEWER, "%s", path);
        ck_assert_ptr_nonnull(route->view);
    }
}
END_TEST

/* One variable at most, between slashes or at the end. */
static bool is_readable(const char *pattern)
{
    const char *brace = pattern != NULL ? strchr(pattern, '{') : NULL;
    if (brace == NULL)
        return true;
    const char *behind = strchr(brace, '}') + 1;
    return brace[-1] == '/' && (*behind == '\0' || *behind == '/') && strchr(behind, '{') == NULL;
}

START_TEST(patterns_are_as_the_finder_reads_them)
{
    for (size_t i = 0; i < desk_routes_count; i++) {
        const struct route *route = &desk_routes[i];
        ck_assert(route->api != NULL || route->desk != NULL);
        ck_assert(is_readable(route->api) && is_readable(route->desk));
        for (size_t k = 0; k < i; k++) {
            bool same_method = desk_routes[k].method == route->method;
            ck_assert(!same_method || route->api == NULL || desk_routes[k].api == NULL ||
                      strcmp(route->api, desk_routes[k].api) != 0);
            ck_assert(!same_method || route->desk == NULL || desk_routes[k].desk == NULL ||
                      strcmp(route->desk, desk_routes[k].desk) != 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *tests = tcase_create("route");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_path_finds_its_route, 0, countof(cases));
    tcase_add_test(tests, what_changes_something_needs_a_role);
    tcase_add_test(tests, patterns_are_as_the_finder_reads_them);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
