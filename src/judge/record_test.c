/*
 * record_test.c - records as lines: what is written is read back, and what is absurd is refused.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/record.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_lines_equal(const struct record *record, const char *expected)
{
    char line[RECORD_MAX_LINE];
    size_t size = record_write(record, line);

    if (size != strlen(expected) || memcmp(line, expected, size) != 0)
        fail_msg("wrote %.*s\nnot   %s", (int)size, line, expected);
}

static const char *const good[] = {
    "{\"t\":1.5,\"arm\":\"canary\",\"share\":0.01,\"camera\":\"c7\",\"status\":200,\"latency_ms\":{\"total\":31.2,"
    "\"queue\":2.125,\"inference\":20.5},\"detections\":3,\"scores\":[0.9,0.8,0.4125],\"slice\":{\"light\":\"dark\"}}",
    "{\"t\":9,\"age\":0.25,\"arm\":\"stable\",\"share\":0.5,\"status\":200}",
    "{\"t\":0,\"arm\":\"stable\",\"share\":0.333333333,\"status\":503,\"fallback\":true}",
    "{\"t\":1.000001,\"pair\":{\"camera\":\"c7\",\"agreed\":3,\"lost\":1,\"gained\":0,\"flipped\":2,\"jitter\":0.04,"
    "\"score_shift\":-0.02,\"noise\":true},\"parts\":[{\"class\":\"a \\\"b\\\\\",\"agreed\":2,\"lost\":1,"
    "\"gained\":0,\"flipped\":0}]}",
    "{\"t\":2,\"pair\":{\"agreed\":0,\"lost\":0,\"gained\":0,\"flipped\":0,\"noise\":true,\"failed\":true}}",
    "{\"t\":2,\"pair\":{\"agreed\":0,\"lost\":0,\"gained\":0,\"flipped\":0,\"unread\":true}}",
    "{\"t\":9,\"label\":{\"age\":2.125,\"arm\":\"canary\",\"share\":0.5,\"found\":3,\"missed\":1,\"wrong\":0},"
    "\"slice\":{\"a\":\"1\",\"b\":\"\xc3\xa9\"},\"parts\":[{\"size\":\"small\",\"found\":0,\"missed\":1,"
    "\"wrong\":0}]}",
    "{\"t\":9,\"label\":{\"camera\":\"x\",\"stable\":{\"found\":3,\"missed\":1,\"wrong\":0},\"canary\":{\"found\":4,"
    "\"missed\":0,\"wrong\":2}},\"parts\":[{\"class\":\"p\",\"stable\":{\"found\":1,\"missed\":0,\"wrong\":0},"
    "\"canary\":{\"found\":1,\"missed\":0,\"wrong\":1}}]}",
    "{\"t\":9,\"choice\":\"stable\"}",
    "{\"t\":9,\"draw\":{\"age\":0.02,\"arm\":\"canary\",\"share\":0.01,\"camera\":\"c7\"}}",
    "{\"t\":9,\"draw\":{\"arm\":\"stable\",\"share\":0.5}}",
    "{\"t\":10,\"gauge\":{\"arm\":\"stable\",\"memory_mb\":412.5,\"gpu_memory_mb\":900,\"requests\":10432}}",
    "{\"t\":10,\"gauge\":{\"arm\":\"canary\",\"requests\":0}}",
    "{\"t\":10,\"step\":1}",
    "{\"t\":0,\"golden\":{\"stable\":0.333333333,\"canary\":0.5}}",
    "{\"t\":0,\"golden\":{\"canary\":0}}",
    "{\"t\":10,\"accept\":\"lost\"}",
    "{\"t\":999999999.999999,\"look\":true}",
};

static void test_each_kind_comes_back(void **state)
{
    struct record record;
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (record_read(good[i], strlen(good[i]), &record, &error) != SERIN_OK)
            fail_msg("%s: %s", good[i], error.message);
        assert_lines_equal(&record, good[i]);
    }
    assert_int_equal(record_read(good[0], strlen(good[0]), &record, NULL), SERIN_OK);
    assert_int_equal(record.arm, JUDGE_CANARY);
    assert_string_equal(record.camera, "c7");
    assert_true(record.request.queue_ms == 2.125f);
    assert_int_equal(record.request.score_count, 3);
    assert_string_equal(record.slices[0].value, "dark");
}

static void test_what_is_wrong_is_refused_with_the_key(void **state)
{
    static const struct {
        const char *line, *sentence;
    } bad[] = {
        {"", "not a JSON object"},
        {"[1]", "not a JSON object"},
        {"{\"t\":1,\"look\":true} x", "not a JSON object"},
        {"{\"look\":true}", "t: is missing"},
        {"{\"t\":-1,\"look\":true}", "t: must be a number from 0"},
        {"{\"t\":NaN,\"look\":true}", "not a JSON object"},
        {"{\"t\":1e999,\"look\":true}", "not a JSON object"},
        {"{\"t\":1}", "none of"},
        {"{\"t\":1,\"look\":false}", "look: must be true"},
        {"{\"t\":1,\"look\":true,\"arm\":\"stable\",\"share\":0}", "look: is not a key"},
        {"{\"t\":1,\"arm\":\"third\",\"share\":0}", "arm: must be"},
        {"{\"t\":1,\"arm\":\"stable\"}", "share: is missing"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":1.01}", "share: must be a number from 0 to 1"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"statu\":1}", "statu: is not a key"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"status\":-1}", "status: must be a whole number"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"scores\":[2]}", "scores: must be numbers"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"latency_ms\":{\"total\":-3}}", "latency_ms.total: must be"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"latency_ms\":{\"totl\":3}}", "latency_ms.totl: is not a key"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"latency_ms\":3}", "latency_ms: must be an object"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"slice\":{\"light\":3}}", "slice.light: must be text"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"slice\":{\"light\":\"a\\u0007\"}}", "control character"},
        {"{\"t\":1,\"arm\":\"stable\",\"share\":0,\"slice\":{\"a name that is much too long\":\"a\"}}", "limit is 23"},
        {"{\"t\":1,\"label\":{\"stable\":{\"found\":1}}}", "label.canary: must be an object"},
        {"{\"t\":1,\"pair\":{},\"parts\":[{\"agreed\":1}]}", "parts.class: is missing"},
        {"{\"t\":1,\"pair\":{},\"parts\":[{\"a\":\"x\",\"b\":\"y\"}]}", "second name"},
        {"{\"t\":1,\"pair\":{},\"parts\":[{\"a\":\"x\",\"found\":1}]}", "parts.found: is not a key"},
        {"{\"t\":1,\"draw\":{\"arm\":\"canary\"}}", "draw.share: is missing"},
        {"{\"t\":1,\"draw\":{\"arm\":\"canary\",\"share\":2}}", "draw.share: must be a number from 0 to 1"},
        {"{\"t\":1,\"draw\":{\"arm\":\"canary\",\"share\":0.5,\"status\":200}}", "draw.status: is not a key"},
        {"{\"t\":1,\"draw\":{\"arm\":\"canary\",\"share\":0.5},\"slice\":{}}", "slice: is not a key"},
        {"{\"t\":1,\"golden\":{\"stable\":2}}", "golden.stable: must be a number from 0 to 1"},
        {"{\"t\":1,\"golden\":{\"map\":1}}", "golden.map: is not a key"},
        {"{\"t\":1,\"accept\":true}", "accept: must be text"},
        {"{\"t\":1,\"accept\":\"a guard's name that nobody could have\"}", "limit is 31"},
        {"{\"t\":1,\"step\":-1}", "step: must be a whole number"},
        {"{\"t\":1,\"t\":1,\"look\":true}", "not a JSON object"},
    };
    struct record record = {.kind = RECORD_GAUGE};
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (record_read(bad[i].line, strlen(bad[i].line), &record, &error) != SERIN_INVALID ||
            !strstr(error.message, bad[i].sentence))
            fail_msg("%s: said '%s', not '%s'", bad[i].line, error.message, bad[i].sentence);
        assert_int_equal(record.kind, RECORD_GAUGE); /* untouched */
    }
}

/* The longest that a record can be, with every character doubled. */
static void test_the_longest_line_fits(void **state)
{
    struct record record = {.kind = RECORD_LABEL, .t_s = 999999999.999999, .share = .123456789}, back;
    char line[RECORD_MAX_LINE];
    struct serin_error error;
    int i;

    (void)state;
    record.label.both = true;
    memset(record.camera, '"', RECORD_MAX_VALUE);
    for (i = 0; i < RECORD_MAX_SLICES; i++) {
        memset(record.slices[i].name, '\\', RECORD_MAX_NAME);
        record.slices[i].name[0] = (char)('a' + i);
        memset(record.slices[i].value, '"', RECORD_MAX_VALUE);
    }
    record.slice_count = RECORD_MAX_SLICES;
    for (i = 0; i < RECORD_MAX_PARTS; i++) {
        memset(record.parts[i].of.name, '"', RECORD_MAX_NAME);
        memset(record.parts[i].of.value, '"', RECORD_MAX_VALUE);
        record.parts[i].truth[0] = record.parts[i].truth[1] =
            (struct record_truth){RECORD_MAX_COUNT, RECORD_MAX_COUNT, RECORD_MAX_COUNT};
    }
    record.part_count = RECORD_MAX_PARTS;
    if (record_read(line, record_write(&record, line), &back, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(back.part_count, RECORD_MAX_PARTS);
    assert_memory_equal(back.slices, record.slices, sizeof(back.slices));
}

static void test_rounding_gives_what_reading_back_gives(void **state)
{
    struct record record = {.kind = RECORD_REQUEST, .t_s = 1234.56789012345, .share = 1. / 3}, back;
    uint64_t seed = 1;
    char line[RECORD_MAX_LINE];
    struct serin_error error;
    int i;

    (void)state;
    snprintf(record.camera, sizeof(record.camera), "a\001b\xff");
    for (i = 0; i < 1000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        record.t_s = (double)(seed >> 20) / 1e6;
        record.request = (struct record_request){.status = 200,
                                                 .total_ms = (float)(seed >> 40) / 3000.f,
                                                 .queue_ms = (float)(seed >> 44) / 7000.f,
                                                 .inference_ms = -3,
                                                 .detections = 1,
                                                 .score_count = 1,
                                                 .scores = {(float)(seed >> 40) / 16777216.f}};
        record.t_s = fmod(record.t_s, 1e8);
        if (record_read(line, record_write(&record, line), &back, &error) != SERIN_OK)
            fail_msg("%s", error.message);
        record_round(&record);
        assert_true(record.t_s == back.t_s && record.share == back.share);
        assert_string_equal(record.camera, back.camera);
        assert_memory_equal(&record.request, &back.request, sizeof(back.request));
    }
}

/* A version's answer may say anything, clocks may leap, and a rollout must find its records readable when it comes
 * back. */
static void test_what_is_absurd_is_rounded_to_what_can_be_read(void **state)
{
    static const double absurd[] = {-1e300, -87, -.25, .5, 1.5, 87, 2e9, 1e300, (double)INFINITY, (double)NAN};
    char line[RECORD_MAX_LINE], again[RECORD_MAX_LINE];
    struct serin_error error;
    struct record back;
    int kind;
    size_t i, size;

    (void)state;
    for (kind = RECORD_REQUEST; kind <= RECORD_ACCEPT; kind++)
        for (i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
            const float number = (float)absurd[i];
            struct record record = {.kind = (enum record_kind)kind, .t_s = absurd[i], .share = absurd[i]};

            if (kind == RECORD_REQUEST)
                record.request =
                    (struct record_request){200, false, number, number, number, 2000000, 1, {number}, absurd[i]};
            else if (kind == RECORD_PAIR)
                record.pair.jitter = record.pair.score_shift = number;
            else if (kind == RECORD_LABEL)
                record.label.age_s = absurd[i];
            else if (kind == RECORD_DRAW)
                record.draw.age_s = absurd[i];
            else if (kind == RECORD_GAUGE)
                record.gauge.memory_mb = record.gauge.gpu_memory_mb = record.gauge.requests = absurd[i];
            else if (kind == RECORD_GOLDEN)
                record.golden.map[0] = record.golden.map[1] = absurd[i];
            record_round(&record);
            size = record_write(&record, line);
            if (record_read(line, size, &back, &error) != SERIN_OK)
                fail_msg("%.*s: %s", (int)size, line, error.message);
            assert_int_equal(record_write(&back, again), size);
            assert_memory_equal(again, line, size);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_comes_back),
        cmocka_unit_test(test_what_is_wrong_is_refused_with_the_key),
        cmocka_unit_test(test_the_longest_line_fits),
        cmocka_unit_test(test_rounding_gives_what_reading_back_gives),
        cmocka_unit_test(test_what_is_absurd_is_rounded_to_what_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
