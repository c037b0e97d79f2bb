/*
 * cors_test.c - which origins are allowed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/cors.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool allows(const char *origins, const char *origin)
{
    return cors_allows(origins, (struct http_slice){origin, strlen(origin)}, (struct http_slice){"cam.example:80", 14});
}

static void test_only_listed_origins(void **state)
{
    const char *two = " https://a.example,http://b.example:3000 ";

    (void)state;
    assert_true(allows(two, "https://a.example"));
    assert_true(allows(two, "http://b.example:3000"));
    assert_false(allows(two, "http://a.example"));
    assert_false(allows(two, "https://a.example.evil"));
    assert_false(allows(two, "https://a.exampl"));
    assert_false(allows(two, "http://b.example"));
    assert_false(allows(two, "null"));
    assert_false(allows(two, ""));
    assert_false(allows("", ""));
    assert_false(allows("", "https://a.example"));
}

static void test_any_and_its_own(void **state)
{
    (void)state;
    assert_true(allows("*", "https://a.example"));
    assert_true(allows("https://b.example *", "null"));
    assert_false(allows("https://*", "https://a.example")); /* no patterns */
    assert_true(allows("", "http://cam.example:80"));
    assert_true(allows("", "https://cam.example:80"));
    assert_false(allows("", "http://cam.example"));
    assert_false(allows("", "ftp://cam.example:80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_listed_origins),
                                       cmocka_unit_test(test_any_and_its_own)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
