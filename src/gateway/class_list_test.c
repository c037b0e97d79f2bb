/*
 * class_list_test.c - names are found by number and by name, and told in a sentence that fits.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/class_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct class_list *make(const char *names, const char *more)
{
    struct class_list *list = NULL;
    struct serin_error error = {0};

    if (class_list_new(names, more, &list, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return list;
}

static void finds_by_number_and_by_name(void **unused)
{
    struct class_list *list = make("[\"person\", \"car\", \"bus\"]", "[\"person\", \"tram\"]");

    (void)unused;
    assert_int_equal(class_list_count(list), 3);
    assert_string_equal(class_list_name(list, 0), "person");
    assert_string_equal(class_list_name(list, 2), "bus");
    assert_null(class_list_name(list, 3)); /* the canary's own class has no number here */
    assert_null(class_list_name(list, -1));
    assert_null(class_list_name(list, INT64_MAX));
    assert_true(class_list_has(list, "person") && class_list_has(list, "bus") && class_list_has(list, "tram"));
    assert_false(class_list_has(list, "Person") || class_list_has(list, "") || class_list_has(list, "truck"));
    class_list_drop(class_list_share(list));
    assert_true(class_list_has(list, "car")); /* an owner is left */
    class_list_drop(list);
    class_list_drop(class_list_share(NULL));
    list = make("[]", NULL);
    assert_false(class_list_has(list, "person"));
    class_list_drop(list);
}

static void tells_the_first_few(void **unused)
{
    struct class_list *list = make("[\"person\", \"car\"]", NULL);
    char text[240], small[12];

    (void)unused;
    class_list_describe(list, text, sizeof(text));
    assert_string_equal(text, "it has 0 person, 1 car");
    class_list_drop(list);
    list = make("[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"]", NULL);
    class_list_describe(list, text, sizeof(text));
    assert_string_equal(text, "it has 0 a, 1 b, 2 c, 3 d, 4 e and 2 more");
    class_list_describe(list, small, sizeof(small));
    assert_string_equal(small, "it has 0 a,");
    class_list_drop(list);
    list = make("[]", NULL);
    class_list_describe(list, text, sizeof(text));
    assert_string_equal(text, "it has none");
    class_list_drop(list);
}

static void refuses_what_is_no_list_of_names(void **unused)
{
    static const char *const bad[] = {"", "{}", "[1]", "[\"a\", null]", "\"a\""};
    struct class_list *list = NULL;
    struct serin_error error;
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(class_list_new(bad[i], NULL, &list, &error), SERIN_INVALID);
        assert_int_equal(class_list_new("[]", bad[i], &list, &error), SERIN_INVALID);
        assert_null(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_number_and_by_name),
        cmocka_unit_test(tells_the_first_few),
        cmocka_unit_test(refuses_what_is_no_list_of_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
