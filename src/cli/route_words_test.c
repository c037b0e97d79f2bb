/*
 * route_words_test.c - tests of route_words.c.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/route_words.c"
#include "cli/terminal.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct route two_versions(void)
{
    struct route route;

    route_init(&route, "m");
    route.version_count = 2;
    strcpy(route.versions[0].tag, "v1");
    strcpy(route.versions[1].tag, "v2");
    route.versions[0].weight = 99;
    route.versions[1].weight = 1;
    return route;
}

static void weights(void **state)
{
    static const char *const bad[] = {"v1",    "=1",    "v1=",   "v1=x",       "v1=1x",
                                      "v1=-1", "v1=+1", "v1= 1", "v1=1000001", "v1=99999999999999999999"};
    char longest[ROUTE_MAX_TEXT + 8];
    struct route_weight weight;
    struct serin_error error;
    size_t i;

    (void)state;
    assert_int_equal(route_read_weight("v1.0.0-cpu=0", &weight, NULL), SERIN_OK);
    assert_string_equal(weight.tag, "v1.0.0-cpu");
    assert_int_equal(weight.weight, 0);
    assert_int_equal(route_read_weight("a=b=1000000", &weight, NULL), SERIN_OK); /* tags are for others to judge */
    assert_string_equal(weight.tag, "a=b");
    assert_int_equal(weight.weight, 1000000);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(route_read_weight(bad[i], &weight, &error), SERIN_INVALID);
    memset(longest, 'v', sizeof(longest));
    strcpy(longest + ROUTE_MAX_TEXT, "=7");
    assert_int_equal(route_read_weight(longest, &weight, NULL), SERIN_OK);
    strcpy(longest + ROUTE_MAX_TEXT, "v=7");
    assert_int_equal(route_read_weight(longest, &weight, NULL), SERIN_INVALID);
}

static void keys(void **state)
{
    static const char *const bad[] = {"", "header", "header:", "Header:X", "addresses", "X-Camera"};
    struct route route = two_versions();
    size_t i;

    (void)state;
    assert_int_equal(route_read_key("query:camera", &route, NULL), SERIN_OK);
    assert_int_equal(route.key_source, ROUTE_KEY_QUERY);
    assert_string_equal(route.key_name, "camera");
    assert_int_equal(route_read_key("address", &route, NULL), SERIN_OK);
    assert_int_equal(route.key_source, ROUTE_KEY_ADDRESS);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(route_read_key(bad[i], &route, NULL), SERIN_INVALID);
}

static void rules(void **state)
{
    static const char *const bad[] = {"X", "X=1", "=1:v1", "X=:v1", "X=1:", ":v1", "X:v1,Y", ",", "X:v1,,Y:v2"};
    struct route route = two_versions();
    char many[ROUTE_MAX_RULES * 5 + 6] = "";
    size_t i;

    (void)state;
    assert_int_equal(route_read_rules("X-A=b:c=d:v2,Y:v1,Z=1:v1", &route, NULL), SERIN_OK);
    assert_int_equal(route.rule_count, 3);
    assert_string_equal(route.rules[0].header, "X-A");
    assert_string_equal(route.rules[0].value, "b:c=d");
    assert_string_equal(route.rules[0].tag, "v2");
    assert_string_equal(route.rules[1].value, "");
    assert_string_equal(route.rules[1].tag, "v1");
    assert_int_equal(route_read_rules("none", &route, NULL), SERIN_OK);
    assert_int_equal(route.rule_count, 0);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(route_read_rules(bad[i], &route, NULL), SERIN_INVALID);
    for (i = 0; i < ROUTE_MAX_RULES; i++)
        strcat(many, "X:v1,");
    assert_int_equal(route_read_rules(many, &route, NULL), SERIN_OK);
    assert_int_equal(route.rule_count, ROUTE_MAX_RULES);
    strcat(many, "X:v1");
    assert_int_equal(route_read_rules(many, &route, NULL), SERIN_LIMIT);
}

static void mirrors(void **state)
{
    static const char *const bad[] = {"v2", "v2=", "=1", "v2=101", "v2=-1", "v2=nan", "v2=1x", "v2=1,v1"};
    struct route route = two_versions();
    size_t i;

    (void)state;
    assert_int_equal(route_read_mirrors("v2=.01,v1=100", &route, NULL), SERIN_OK);
    assert_int_equal(route.mirror_count, 2);
    assert_string_equal(route.mirrors[0].tag, "v2");
    assert_int_equal(route.mirrors[0].per_million, 100);
    assert_int_equal(route.mirrors[1].per_million, 1000000);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(route_read_mirrors(bad[i], &route, NULL), SERIN_INVALID);
    assert_int_equal(route_read_mirrors("a=1,a=1,a=1,a=1", &route, NULL), SERIN_OK);
    assert_int_equal(route_read_mirrors("a=1,a=1,a=1,a=1,a=1", &route, NULL), SERIN_LIMIT);
    assert_int_equal(route_read_mirrors("none", &route, NULL), SERIN_OK);
    assert_int_equal(route.mirror_count, 0);
}

static void unknown_versions_have_neighbours(void **state)
{
    struct route route = two_versions();
    struct route_weight weight = {"v2", 5}, strange = {"v3", 5};
    struct serin_error error;

    (void)state;
    assert_int_equal(route_set_weight(&route, &weight, &error), SERIN_OK);
    assert_int_equal(route.versions[1].weight, 5);
    assert_int_equal(route_set_weight(&route, &strange, &error), SERIN_NOT_FOUND);
    assert_non_null(strstr(error.message, "v3"));
    assert_int_equal(route.versions[0].weight, 99);
}

static void hints(void **state)
{
    struct route route = two_versions();
    char text[400];

    (void)state;
    assert_false(route_hint(&route, 8, text, sizeof(text))); /* by request: any share can be had */
    route.unit = ROUTE_KEY_BLOCK;
    assert_false(route_hint(&route, 8, text, sizeof(text)));
    route.unit = ROUTE_KEY;
    assert_true(route_hint(&route, 99, text, sizeof(text)));
    assert_non_null(strstr(text, "99 cameras cannot give v2 1 %"));
    assert_false(route_hint(&route, 100, text, sizeof(text)));
    assert_true(route_hint(&route, 0, text, sizeof(text)));
    assert_non_null(strstr(text, "takes 100 cameras"));
    route.versions[1].weight = 99;
    assert_false(route_hint(&route, 0, text, sizeof(text)));
    route.versions[1].weight = 0; /* who gets nothing needs no camera */
    assert_false(route_hint(&route, 1, text, sizeof(text)));
    route.versions[0].weight = 0;
    assert_false(route_hint(&route, 1, text, sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights),
        cmocka_unit_test(keys),
        cmocka_unit_test(rules),
        cmocka_unit_test(mirrors),
        cmocka_unit_test(unknown_versions_have_neighbours),
        cmocka_unit_test(hints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
