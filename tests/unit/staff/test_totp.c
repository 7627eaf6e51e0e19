/* Codes of an app: RFC 6238's own, how far clocks may differ, and secrets as apps take them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "staff/totp.h"

static const unsigned char *const secret = (const unsigned char *)"12345678901234567890";

/* Appendix B, SHA-1; the last six of its eight digits. */
static const struct {
    int64_t at_s;
    const char *code;
} vectors[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
               {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};

START_TEST(test_vectors)
{
    char code[TOTP_DIGITS + 1];
    int64_t at_ms = vectors[_i].at_s * 1000;
    totp_code(secret, totp_step(at_ms), code);
    ck_assert_str_eq(code, vectors[_i].code);
    ck_assert_int_eq(totp_step_of(secret, code, -1, at_ms), at_ms / TOTP_STEP_MS);
}
END_TEST

START_TEST(test_clocks_and_replays)
{
    char code[TOTP_DIGITS + 1];
    int64_t now = 1234567890LL * 1000, step = totp_step(now);
    for (int64_t off = -2; off <= 2; off++) {
        totp_code(secret, step + off, code);
        bool near = off >= -1 && off <= 1;
        ck_assert_int_eq(totp_step_of(secret, code, -1, now), near ? step + off : -1);
        ck_assert_int_eq(totp_step_of(secret, code, step + off, now), -1);
        ck_assert_int_eq(totp_step_of(secret, code, step + off - 1, now), near ? step + off : -1);
    }
}
END_TEST

static const struct {
    const char *typed;
    bool fits;
} typed[] = {{"005924", true},   {"005 924", true}, {" 0 0 5 9 2 4 ", true}, {"", false},
             {"00592", false},   {"5924", false},   {"0059240", false},      {"00592a", false},
             {"+05924", false},  {"005925", false}, {"00592\xd9\xa4", false}};

START_TEST(test_as_typed)
{
    ck_assert_int_eq(totp_step_of(secret, typed[_i].typed, -1, 1234567890LL * 1000) >= 0,
                     typed[_i].fits);
}
END_TEST

START_TEST(test_secrets)
{
    char text[TOTP_SECRET_CHARS + 1];
    unsigned char read[TOTP_SECRET_BYTES], any[TOTP_SECRET_BYTES];
    totp_secret_write(secret, text);
    ck_assert_str_eq(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    for (int i = 0; i < 500; i++) {
        for (size_t k = 0; k < sizeof any; k++)
            any[k] = (unsigned char)rand();
        totp_secret_write(any, text);
        ck_assert(totp_secret_read(text, read));
        ck_assert_mem_eq(read, any, sizeof any);
    }
    const char *none[] = {"", "GEZDGNBV", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
                          "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQG", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ="};
    for (size_t i = 0; i < countof(none); i++)
        ck_assert_msg(!totp_secret_read(none[i], read), "%s", none[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("totp");
    TCase *cases = tcase_create("totp");
    tcase_add_loop_test(cases, test_vectors, 0, countof(vectors));
    tcase_add_test(cases, test_clocks_and_replays);
    tcase_add_loop_test(cases, test_as_typed, 0, countof(typed));
    tcase_add_test(cases, test_secrets);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
