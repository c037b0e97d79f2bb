/*
 * route_test.c - shares, stickiness, monotone exposure, blocks, rules, and routes as JSON.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/route.c"
#include "gateway/route_json.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KEYS 100000

static uint64_t random_state;

static uint64_t random_64(void) /* SplitMix64 (Steele, Lea and Flood 2014) */
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct route two_versions(uint32_t stable_weight, uint32_t canary_weight)
{
    struct route route;

    route_init(&route, "m");
    route.version_count = 2;
    route.salt = 0x5eed;
    strcpy(route.versions[0].tag, "v1");
    strcpy(route.versions[1].tag, "v2");
    strcpy(route.stable, "v1");
    route.versions[0].weight = stable_weight;
    route.versions[1].weight = canary_weight;
    return route;
}

static int version_of_key(const struct route *route, int number, uint64_t now_ms)
{
    struct route_request request = {.now_ms = now_ms};
    char key[32];

    request.key_size = (size_t)snprintf(key, sizeof(key), "camera-%d", number);
    request.key = key;
    return route_pick(route, &request).version;
}

/* n * p +- 4 standard deviations: a right split fails once in 16,000 tries, and the generator is fixed. */
static void assert_binomial(size_t count, size_t n, double p)
{
    double expected = (double)n * p, deviation = sqrt((double)n * p * (1 - p));

    if (fabs((double)count - expected) > 4 * deviation + 0.5)
        fail_msg("%zu of %zu, expected %.1f +- %.1f", count, n, expected, 4 * deviation);
}

static void draws_follow_the_weights(void **state)
{
    static const struct {
        uint32_t stable, canary;
    } rows[] = {{99, 1}, {999900, 100}, {1, 1}, {0, 1}, {1, 0}, {1000000, 1}};
    size_t r, i;

    (void)state;
    random_state = 1;
    for (r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct route route = two_versions(rows[r].stable, rows[r].canary);
        size_t count = 0, n = 1000000;

        for (i = 0; i < n; i++) {
            struct route_request request = {.random = random_64()};

            count += route_pick(&route, &request).version == 1;
        }
        assert_binomial(count, n, (double)rows[r].canary / (double)(rows[r].stable + rows[r].canary));
    }
}

static void the_ends_of_the_random_range_are_right(void **state)
{
    struct route route = two_versions(0, 5);
    struct route_request request = {.random = 0};

    (void)state;
    assert_int_equal(route_pick(&route, &request).version, 1); /* never the version of weight 0 */
    request.random = UINT64_MAX;
    assert_int_equal(route_pick(&route, &request).version, 1);
    route = two_versions(5, 0);
    assert_int_equal(route_pick(&route, &request).version, 0);
    route = two_versions(0, 0);
    assert_int_equal(route_pick(&route, &request).version, -1);
}

/* From a tenth of a percent to all: the share is right at each step, and no key ever comes back. */
static void raising_a_weight_only_adds_cameras(void **state)
{
    static const uint32_t steps[] = {1, 10, 50, 200, 500, 900, 1000};
    static unsigned char on_canary[KEYS];
    size_t s, count;
    int k;

    (void)state;
    memset(on_canary, 0, sizeof(on_canary));
    for (s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        struct route route = two_versions(1000 - steps[s], steps[s]);

        route.unit = ROUTE_KEY;
        for (k = 0, count = 0; k < KEYS; k++) {
            bool canary = version_of_key(&route, k, 0) == 1;

            if (on_canary[k] && !canary)
                fail_msg("camera-%d went back at step %zu", k, s);
            on_canary[k] = canary;
            count += canary;
        }
        assert_binomial(count, KEYS, steps[s] / 1000.0);
    }
    assert_int_equal(count, KEYS);
}

static void the_same_holds_among_three_versions(void **state)
{
    struct route route = two_versions(800, 100);
    size_t moved_elsewhere = 0, moved = 0;
    int k;

    (void)state;
    route.unit = ROUTE_KEY;
    route.version_count = 3;
    strcpy(route.versions[2].tag, "v3");
    route.versions[2].weight = 100;
    for (k = 0; k < KEYS; k++) {
        int before = version_of_key(&route, k, 0), after;

        route.versions[2].weight = 300;
        after = version_of_key(&route, k, 0);
        route.versions[2].weight = 100;
        moved += before != after;
        moved_elsewhere += before != after && after != 2;
    }
    assert_int_equal(moved_elsewhere, 0);
    assert_binomial(moved, KEYS, 300.0 / 1200 - 100.0 / 1000);
}

static void another_salt_is_another_draw(void **state)
{
    struct route a = two_versions(50, 50), b = two_versions(50, 50);
    size_t same = 0;
    int k;

    (void)state;
    a.unit = b.unit = ROUTE_KEY;
    b.salt = 77;
    for (k = 0; k < KEYS; k++)
        same += version_of_key(&a, k, 0) == version_of_key(&b, k, 0);
    assert_binomial(same, KEYS, 0.5);
}

static void a_block_lasts_and_then_is_drawn_again(void **state)
{
    struct route route = two_versions(70, 30);
    size_t canary = 0, changes = 0, blocks = 0;
    int k, second;

    (void)state;
    route.unit = ROUTE_KEY_BLOCK;
    route.block_seconds = 60;
    for (k = 0; k < 8; k++) { /* eight cameras cannot give 30 % at once, but do so over time */
        int last = version_of_key(&route, k, 0);

        for (second = 1; second < 60000; second++) {
            int version = version_of_key(&route, k, (uint64_t)second * 1000);

            if (version != last) { /* where the judge cuts its units, too */
                assert_int_equal(second % 60, 0);
                changes++;
            }
            if (second % 60 == 59) {
                blocks++;
                canary += version == 1;
            }
            last = version;
        }
    }
    assert_true(changes > 2500); /* 2 * .3 * .7 of 8000 borders */
    assert_binomial(canary, blocks, 0.3);
}

static void draining_keeps_keys_and_takes_no_draws(void **state)
{
    struct route before = two_versions(80, 20), after = two_versions(80, 0);
    struct route_request draw = {.random = UINT64_MAX};
    int k;

    (void)state;
    before.unit = after.unit = ROUTE_KEY;
    after.versions[1].drain_weight = 20;
    for (k = 0; k < 10000; k++)
        assert_int_equal(version_of_key(&before, k, 0), version_of_key(&after, k, 0));
    assert_int_equal(route_pick(&after, &draw).version, 0);
    assert_float_equal(route_share_on_trial(&after, true), .2, 1e-12);
    assert_float_equal(route_share_on_trial(&after, false), 0, 0);
    after.unit = ROUTE_REQUEST;
    assert_float_equal(route_share_on_trial(&after, true), 0, 0);
    after.unit = ROUTE_KEY;
    after.versions[1].drain_weight = 0; /* off: nobody, now */
    for (k = 0; k < 10000; k++)
        assert_int_equal(version_of_key(&after, k, 0), 0);
}

static void mirrors_leave_other_shares_alone(void **state)
{
    struct route route = two_versions(80, 20);

    (void)state;
    assert_float_equal(route_share_alone(&route, false), .2, 1e-12);
    route.mirror_count = 1;
    strcpy(route.mirrors[0].tag, "v2");
    route.mirrors[0].per_million = 500000; /* half of stable's 80 are seen by both */
    assert_float_equal(route_share_alone(&route, false), 20. / 60, 1e-12);
    route.unit = ROUTE_KEY; /* each camera has some that are not */
    assert_float_equal(route_share_alone(&route, true), .2, 1e-12);
    assert_float_equal(route_share_alone(&route, false), 20. / 60, 1e-12);
    route.mirrors[0].per_million = 1000000;
    assert_float_equal(route_share_alone(&route, true), 0, 0);
    assert_float_equal(route_share_alone(&route, false), 0, 0);
    route.unit = ROUTE_REQUEST;
    route.mirrors[0].per_million = 500000;
    route.mirror_count = 2;
    strcpy(route.mirrors[1].tag, "v1");
    route.mirrors[1].per_million = 250000; /* and a quarter of the trial's */
    assert_float_equal(route_share_alone(&route, false), 15. / 55, 1e-12);
    route.versions[0].weight = 0;
    assert_float_equal(route_share_alone(&route, false), 1, 0); /* all traffic is the trial's */
}

static void a_rule_wins_over_weights(void **state)
{
    struct route route = two_versions(100, 0);
    struct route_request request = {0};

    (void)state;
    route.rule_count = 2;
    strcpy(route.rules[0].header, "X-Tester");
    strcpy(route.rules[0].value, "yes");
    strcpy(route.rules[0].tag, "v2");
    strcpy(route.rules[1].header, "X-Debug");
    strcpy(route.rules[1].tag, "v2");
    assert_int_equal(route_check(&route, NULL), SERIN_OK);
    assert_null(route_match_rule(&route, "X-Tester", "yess", 4));
    assert_null(route_match_rule(&route, "X-Other", "yes", 3));
    assert_string_equal(route_match_rule(&route, "x-debug", "any", 3), "v2");
    request.forced = route_match_rule(&route, "x-tester", "yes", 3);
    assert_int_equal(route_pick(&route, &request).version, 1);
    assert_int_equal(route_pick(&route, &request).reason, ROUTE_BY_RULE);
    request.forced = "gone";
    assert_int_equal(route_pick(&route, &request).version, 0);
}

static void json_goes_round(void **state)
{
    struct route route = two_versions(999999, 1), back;
    struct serin_error error;
    struct buffer once, twice;

    (void)state;
    route.unit = ROUTE_KEY_BLOCK;
    route.key_source = ROUTE_KEY_QUERY;
    route.salt = 0xffeeddccbbaa9988u;
    route.mirror_count = route.rule_count = 1;
    strcpy(route.mirrors[0].tag, "v2");
    route.mirrors[0].per_million = 250000;
    strcpy(route.rules[0].header, "X-Tester");
    strcpy(route.rules[0].tag, "v2");
    buffer_init(&once, 10000);
    buffer_init(&twice, 10000);
    route_to_json(&route, &once);
    if (route_from_json(once.bytes, once.size, &back, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    route_to_json(&back, &twice);
    assert_string_equal(once.bytes, twice.bytes);
    buffer_done(&once);
    buffer_done(&twice);
}

static void bad_routes_are_named(void **state)
{
    static const struct {
        const char *json, *part;
    } rows[] = {
        {"", "not JSON"},
        {"[]", "a route is a JSON object"},
        {"{}", "without a model"},
        {"{\"model\":\"m\"}", "route 'm' has no version"},
        {"{\"model\":\"m\",\"versions\":[]}", "route 'm' has no version"},
        {"{\"model\":\"a/b\",\"versions\":[{\"tag\":\"a\"}]}", "a route: model name 'a/b'"},
        {"{\"model\":\"M\",\"versions\":[{\"tag\":\"a\"}]}", "a route: model name 'M'"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a b\"}]}", "route 'm': tag 'a b'"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\\\"\"}]}", "route 'm': tag"},
        {"{\"model\":\"m\",\"model\":\"n\"}", "not JSON"},
        {"{\"model\":\"m\",\"vresions\":[]}", "unknown key 'vresions', did you mean 'versions'?"},
        {"{\"model\":7}", "'model' must be text"},
        {"{\"model\":\"m\",\"versions\":{}}", "must be a list of at most 16"},
        {"{\"model\":\"m\",\"versions\":[7]}", "versions[0] must be an object"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\",\"weight\":-1}]}",
         "versions[0]: 'weight' must be a whole number"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\",\"weight\":1.5}]}", "'weight' must be a whole number"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\",\"weight\":1000001}]}",
         "weight 1000001 of 'a', the limit is 1000000"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\",\"wieght\":1}]}", "did you mean 'weight'?"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\"},{\"tag\":\"a\"}]}", "version 'a' stands there twice"},
        {"{\"model\":\"m\",\"versions\":[{\"weight\":1}]}", "version 0 has no tag"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"stable\":\"b\"}", "stable names version 'b'"},
        {"{\"model\":\"m\",\"unit\":\"camera\"}", "it can be request, key, key_block"},
        {"{\"model\":\"m\",\"key_source\":1}", "it can be header, cookie, query or address"},
        {"{\"model\":\"m\",\"salt\":\"12\"}", "16 hexadecimal digits"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"block_seconds\":0}", "blocks of 0 s"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"timeout_ms\":0}", "a time-out of 0 ms"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"unit\":\"key\",\"key_name\":\"a b\"}", "'a b' is no name"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"rules\":[{\"header\":\"X:\",\"tag\":\"a\"}]}",
         "rule 0 has 'X:' for a header's name"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"rules\":[{\"header\":\"X\",\"tag\":\"a\"}]}",
         "a rule names version 'a'"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"c\"}],\"mirrors\":[{\"tag\":\"a\",\"per_million\":1}]}",
         "a mirror names version 'a'"},
        {"{\"model\":\"m\",\"versions\":[{\"tag\":\"a\"}],\"mirrors\":[{\"tag\":\"a\",\"per_million\":1000001}]}",
         "1000001 of a million"},
    };
    struct serin_error error;
    struct route route;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(route_from_json(rows[i].json, strlen(rows[i].json), &route, &error), SERIN_INVALID);
        if (!strstr(error.message, rows[i].part))
            fail_msg("%s gave '%s', which lacks '%s'", rows[i].json, error.message, rows[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_weights),
        cmocka_unit_test(the_ends_of_the_random_range_are_right),
        cmocka_unit_test(raising_a_weight_only_adds_cameras),
        cmocka_unit_test(the_same_holds_among_three_versions),
        cmocka_unit_test(another_salt_is_another_draw),
        cmocka_unit_test(a_block_lasts_and_then_is_drawn_again),
        cmocka_unit_test(draining_keeps_keys_and_takes_no_draws),
        cmocka_unit_test(mirrors_leave_other_shares_alone),
        cmocka_unit_test(a_rule_wins_over_weights),
        cmocka_unit_test(json_goes_round),
        cmocka_unit_test(bad_routes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
