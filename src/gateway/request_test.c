/*
 * request_test.c - models and versions in paths, dots that hide a path, keys of every source, rules.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/request.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct http_slice slice(const char *text)
{
    return (struct http_slice){text, strlen(text)};
}

static void models_and_versions_are_read_from_paths(void **state)
{
    static const struct {
        const char *path, *model, *tag; /* model NULL: none is named */
    } rows[] = {
        {"/v1/predict/m", "m", ""},
        {"/v1/predict/m/", "m", ""},
        {"/v2/models/m/infer", "m", ""},
        {"/v2/models/m/versions/v1/infer", "m", "v1"},
        {"/v2/models/m/versions/v1", "m", "v1"},
        {"/v2/models/m/versions/", "m", ""},
        {"/v2/models/m/versionsv1", "m", ""},
        {"/v1/predict/%6d", "m", ""},
        {"/v2/models/m/versions/%761", "m", "v1"},
        {"/v1/predict/m/versions/v1", NULL, ""},
        {"/v1/predict/", NULL, ""},
        {"/v1/predict//versions/v1", NULL, ""},
        {"/v1/predict", NULL, ""},
        {"/v1/predict/a%00", NULL, ""},
        {"/v2/models/m/versions/v%0", NULL, ""},
        {"/v3/models/m", NULL, ""},
        {"/v1/predict/a-name-that-is-longer-than-the-room", NULL, ""},
    };
    char model[32], tag[32];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool named = request_read_path(slice(rows[i].path), model, tag, sizeof(model));

        if (named != (rows[i].model != NULL) || (named && (strcmp(model, rows[i].model) || strcmp(tag, rows[i].tag))))
            fail_msg("%s: %s, '%s', '%s'", rows[i].path, named ? "named" : "not named", model, tag);
    }
}

static void what_is_asked_for_shows_in_method_and_path(void **state)
{
    static const struct {
        const char *method, *path;
        enum request_kind kind;
    } rows[] = {
        {"POST", "/v1/predict/m", REQUEST_PREDICTION},
        {"POST", "/v1/predict/m/versions/v1", REQUEST_PREDICTION},
        {"GET", "/v1/predict/m", REQUEST_OTHER},
        {"POST", "/v2/models/m/infer", REQUEST_INFERENCE},
        {"POST", "/v2/models/m/versions/1/infer", REQUEST_INFERENCE},
        {"GET", "/v2/models/m/infer", REQUEST_OTHER},
        {"POST", "/v2/models/m/generate", REQUEST_OTHER},
        {"POST", "/v2/models/m/reinfer", REQUEST_OTHER},
        {"POST", "/v2/models/m", REQUEST_OTHER},
        {"POST", "/infer", REQUEST_OTHER},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_head head = {.method = slice(rows[i].method), .path = slice(rows[i].path)};

        if (request_kind_of(&head) != rows[i].kind)
            fail_msg("%s %s", rows[i].method, rows[i].path);
    }
}

static void dots_are_found_however_they_are_written(void **state)
{
    static const char *const yes[] = {"/.", "/..", "/a/../b", "/a/.", "/a/%2e%2E/b", "/a/.%2e", "/%2e"};
    static const char *const no[] = {"/", "/a", "/...", "/a.b", "/.a", "/a..", "/a/%2f", "/%2e%2e%2e", "/..%2", "//"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (!request_has_dot_segment(slice(yes[i])))
            fail_msg("%s", yes[i]);
    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (request_has_dot_segment(slice(no[i])))
            fail_msg("%s", no[i]);
}

static void parse(const char *text, struct http_head *head)
{
    struct http_limits limits = http_default_limits;
    size_t scanned = 0;
    const char *why;
    int status;

    assert_int_equal(http_parse_request(text, strlen(text), &limits, &scanned, head, &status, &why), HTTP_DONE);
}

static void keys_come_from_where_the_route_says(void **state)
{
    static const char text[] = "POST /v1/predict/m?lane=c%204 HTTP/1.1\r\nHost: a\r\nX-Camera: c1\r\nX-Empty:\r\n"
                               "Cookie: a=b; cam=c2\r\nContent-Length: 0\r\n\r\n";
    static const struct {
        enum route_key_source source;
        const char *name, *peer, *key; /* key NULL: there is none */
    } rows[] = {
        {ROUTE_KEY_HEADER, "x-camera", "", "c1"},
        {ROUTE_KEY_HEADER, "X-Empty", "", NULL},
        {ROUTE_KEY_HEADER, "X-Other", "", NULL},
        {ROUTE_KEY_COOKIE, "cam", "", "c2"},
        {ROUTE_KEY_COOKIE, "b", "", NULL},
        {ROUTE_KEY_QUERY, "lane", "", "c 4"},
        {ROUTE_KEY_QUERY, "other", "", NULL},
        {ROUTE_KEY_ADDRESS, "", "10.0.0.7:51432", "10.0.0.7"},
        {ROUTE_KEY_ADDRESS, "", "[::1]:51432", "[::1]"},
        {ROUTE_KEY_ADDRESS, "", "unix", "unix"},
        {ROUTE_KEY_ADDRESS, "", "[2001:db8:1111:2222:3333:4444:5555:6666]:1", NULL}, /* no room for it here */
    };
    struct http_head head;
    size_t i;

    (void)state;
    parse(text, &head);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char key[24] = "";
        struct route route;
        bool found;

        route_init(&route, "m");
        route.key_source = rows[i].source;
        snprintf(route.key_name, sizeof(route.key_name), "%s", rows[i].name);
        found = request_find_key(&route, &head, rows[i].peer, key, sizeof(key));
        if (found != (rows[i].key != NULL) || (found && strcmp(key, rows[i].key) != 0))
            fail_msg("row %zu: '%s'", i, found ? key : "none");
    }
}

static void the_first_rule_that_a_field_meets_counts(void **state)
{
    struct http_head head;
    struct route route;

    (void)state;
    route_init(&route, "m");
    parse("GET / HTTP/1.1\r\nHost: a\r\nX-Tester: yes\r\n\r\n", &head);
    assert_null(request_find_rule(&route, &head));
    route.rule_count = 2;
    strcpy(route.rules[0].header, "X-Tester");
    strcpy(route.rules[0].value, "no");
    strcpy(route.rules[0].tag, "v1");
    strcpy(route.rules[1].header, "x-tester");
    strcpy(route.rules[1].tag, "v2");
    assert_string_equal(request_find_rule(&route, &head), "v2");
    strcpy(route.rules[0].value, "yes");
    assert_string_equal(request_find_rule(&route, &head), "v1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_and_versions_are_read_from_paths),
        cmocka_unit_test(what_is_asked_for_shows_in_method_and_path),
        cmocka_unit_test(dots_are_found_however_they_are_written),
        cmocka_unit_test(keys_come_from_where_the_route_says),
        cmocka_unit_test(the_first_rule_that_a_field_meets_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
