/* What the server behind the store says of itself. */
#include "base/clock.h"
#include "store/server.h"
#include "tests/unit/store/backends.h"

static void tell(const char *const *words, size_t count)
{
    redis_server_ask(&redis, words, count);
}
#define TELL(...) \
    tell((const char *const[]){__VA_ARGS__}, countof(((const char *const[]){__VA_ARGS__})))

static struct store_server ask(void)
{
    struct store_server server;
    ck_assert_msg(store_server(store, &server) == 1, "%s", store_error(store));
    return server;
}

START_TEST(a_file_has_no_server)
{
    struct store_server server;
    backend_begin(BACKEND_SQLITE);
    ck_assert_int_eq(store_server(store, &server), 0);
}
END_TEST

START_TEST(a_server_tells_its_time_and_not_more_without_a_right)
{
    backend_begin(BACKEND_REDIS);
    int64_t before_ms = clock_wall_ms();
    struct store_server server = ask();
    ck_assert_int_ge(server.now_ms, before_ms);
    ck_assert_int_le(server.now_ms, clock_wall_ms());
    ck_assert_str_eq(server.eviction, "");
    ck_assert_int_eq(server.appends, -1);
    ck_assert_int_eq(server.saves, -1);
    ck_assert_int_eq(server.last_written, -1);
}
END_TEST

START_TEST(a_server_tells_its_settings)
{
    backend_begin(BACKEND_REDIS);
    TELL("ACL", "SETUSER", "default", "+info", "+config|get");
    struct store_server server = ask();
    ck_assert_str_eq(server.eviction, "noeviction");
    ck_assert_int_eq(server.appends, 0);
    ck_assert_int_eq(server.saves, 0);
    ck_assert_int_eq(server.last_written, 1);
    TELL("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    TELL("CONFIG", "SET", "save", "3600 1");
    TELL("CONFIG", "SET", "appendonly", "yes");
    server = ask();
    ck_assert_str_eq(server.eviction, "allkeys-lru");
    ck_assert_int_eq(server.appends, 1);
    ck_assert_int_eq(server.saves, 1);
    ck_assert_int_eq(store_sweep(store, NOW), 1); /* the connection goes on */
    TELL("CONFIG", "SET", "maxmemory-policy", "noeviction");
    TELL("CONFIG", "SET", "save", "");
    TELL("CONFIG", "SET", "appendonly", "no");
    TELL("ACL", "SETUSER", "default", "-info", "-config|get");
}
END_TEST

START_TEST(a_server_that_is_gone_does_not_answer)
{
    struct store_server server;
    backend_begin(BACKEND_REDIS);
    redis_server_stop(&redis);
    ck_assert_int_eq(store_server(store, &server), -1);
    redis_server_start(&redis, folder, NULL, NULL);
    ask();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *cases = backends_case(suite, "server");
    tcase_add_test(cases, a_file_has_no_server);
    tcase_add_test(cases, a_server_tells_its_time_and_not_more_without_a_right);
    tcase_add_test(cases, a_server_tells_its_settings);
    tcase_add_test(cases, a_server_that_is_gone_does_not_answer);
    return backends_run(suite);
}
