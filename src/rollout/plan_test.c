/*
 * plan_test.c - the default plan, values as text both ways, and what a plan must be.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/plan.c"

#include "base/buffer.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct plan *new_plan(void)
{
    struct plan *plan = malloc(sizeof(*plan));

    assert_non_null(plan);
    plan_init(plan);
    return plan;
}

static void test_the_default_plan(void **state)
{
    struct plan *plan = new_plan(), *again = new_plan();
    struct serin_error error;
    int i;

    (void)state;
    if (plan_check(plan, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    assert_memory_equal(plan, again, sizeof(*plan));
    assert_int_equal(plan->judge.step_count, 6);
    assert_string_equal(plan->judge.guards[0].name, "error_rate");
    /* ratios 3, 2, 1.5, 1.5 */
    assert_true(plan->judge.guards[0].margin == .5);
    assert_true(isinf(plan->judge.guards[0].prove[0]));
    assert_true(plan->judge.guards[0].prove[1] == 2);
    assert_true(plan->judge.guards[0].prove[2] == 1);
    assert_true(plan->judge.guards[0].prove[3] == .5);
    assert_true(plan->judge.guards[0].prove[4] == .5);
    assert_true(isinf(plan->judge.guards[0].prove[5]));
    for (i = 0; i < plan->judge.step_count; i++)
        assert_true(plan->judge.min_evidence[i] == plan->steps[i].min_evidence);
    free(plan);
    free(again);
}

static void test_what_a_plan_must_be(void **state)
{
    struct plan *plan = new_plan();
    struct serin_error error;

    (void)state;
#define REFUSED(change, sentence)                                                                                      \
    do {                                                                                                               \
        plan_init(plan);                                                                                               \
        change;                                                                                                        \
        assert_int_equal(plan_check(plan, &error), SERIN_INVALID);                                                     \
        assert_string_equal(error.message, sentence);                                                                  \
    } while (0)
    REFUSED(plan->steps[3].weight_per_million = 40000, "step 4: a weight of 4 % behind one of 5 %: weights never fall");
    REFUSED(plan->judge.step_count = 5, "step 5: a weight of 50 %: the last step, and no other, gives 100 %");
    REFUSED(plan->steps[4].weight_per_million = 1000000,
            "step 5: a weight of 100 %: the last step, and no other, gives 100 %");
    REFUSED(plan->steps[0].mirror_per_million = 0, "step 1: neither weight nor mirror: it would learn nothing");
    REFUSED(plan->steps[0].min_evidence = 1,
            "step 1: min evidence of 1: it is counted in requests that the new version answers, and a step that only "
            "mirrors has none");
    REFUSED(plan->steps[5].pause = true, "step 6: a pause behind the last step: nothing comes after it");
    REFUSED(plan->steps[1].max_time_s = 59, "step 2: min is more than max");
    REFUSED(plan->steps[1].max_evidence = 99, "step 2: min is more than max");
    REFUSED(plan->judge.step_count = 0, "0 steps, there must be 1 to 16");
    REFUSED(plan->judge.guard_count = 0, "no guards: nothing would be judged");
    REFUSED(plan->judge.guards[1] = plan->judge.guards[0],
            "guard 'error_rate' stands there twice: give one another name");
    REFUSED(plan->judge.guards[0].prove[4] = .4,
            "guard 'error_rate': step 5 proves 0.4, less than its margin of harm 0.5: a canary between the two would "
            "do no harm and could never be proven");
    REFUSED((plan->judge.dimensions[1] = plan->judge.dimensions[0], plan->judge.dimension_count = 2),
            "slice 'light' stands there twice");
    REFUSED(plan->undo_s = 60, "after: analysis of 3600 s, and undo of 60 s: when stable is gone nothing can be taken "
                               "back");
    REFUSED((plan->judge.unit = JUDGE_KEY_BLOCK, plan->judge.block_s = 1.5),
            "unit: a block of 1.5 s: whole seconds from 1");
    free(plan);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        double s;
        const char *written;
    } good[] = {{"90s", 90, "90s"},    {"5m", 300, "5m"},   {"1h", 3600, "1h"}, {"7d", 604800, "7d"}, {"0", 0, "0s"},
                {"1.5h", 5400, "90m"}, {".5s", .5, "0.5s"}, {"60s", 60, "1m"},  {"24h", 86400, "1d"}};
    static const char *const bad[] = {"", "90", "5 m", "-1s", "1w", "s", "1e999s", "nans", "1ms", "1h30m", "0x1s"};
    char text[PLAN_VALUE_BYTES];
    double s;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        assert_true(plan_value_duration(good[i].text, &s));
        assert_true(s == good[i].s);
        assert_string_equal(plan_write_duration(s, text), good[i].written);
        assert_true(plan_value_duration(text, &s) && s == good[i].s);
    }
    assert_string_equal(plan_write_duration(INFINITY, text), "none");
    for (i = 0; i < COUNT(bad); i++)
        assert_false(plan_value_duration(bad[i], &s));
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {"",     "x",     "1 ", "nan", "inf", "1%%",
                                      "0x10", "1e400", "%",  "1e",  "--1", "0.0000000000000000000000001"};
    char text[PLAN_VALUE_BYTES];
    double value;
    size_t i;

    (void)state;
    assert_true(plan_value_number("1%", true, &value) && value == .01);
    assert_true(plan_value_number(".05", true, &value) && value == .05);
    assert_true(plan_value_number("-3", true, &value) && value == -3);
    assert_false(plan_value_number("1%", false, &value));
    for (i = 0; i < COUNT(bad); i++)
        assert_false(plan_value_number(bad[i], true, &value));
    assert_string_equal(plan_write_number(.1 + .2, text), "0.30000000000000004");
    assert_string_equal(plan_write_number(100, text), "100");
    assert_string_equal(plan_write_share(10000, text), "1%");
    assert_string_equal(plan_write_share(1, text), "0.0001%");
}

static void test_dates_and_times(void **state)
{
    static const char *const bad[] = {"2026-02-29", "2026-13-01",  "2026-00-01",
                                      "1969-12-31", "2026-1-01",   "2026-04-31",
                                      "x026-04-30", "2026-04-30x", ""};
    int64_t day, number;
    int year, month, of_month, minute;
    size_t i;

    (void)state;
    assert_true(plan_value_date("1970-01-01", &day) && day == 0);
    assert_true(plan_value_date("2024-02-29", &day) && day == 19782);
    for (i = 0; i < COUNT(bad); i++)
        assert_false(plan_value_date(bad[i], &day));
    for (number = -800000; number < 800000; number += 997) {
        plan_date_of(number, &year, &month, &of_month);
        assert_int_equal(plan_day_of(year, month, of_month), number);
    }
    assert_true(plan_value_minute("24:00", &minute) && minute == 1440);
    assert_true(plan_value_minute("06:05", &minute) && minute == 365);
    assert_false(plan_value_minute("24:01", &minute));
    assert_false(plan_value_minute("6:05", &minute));
    assert_false(plan_value_minute("06:60", &minute));
}

/* docs/plans.md holds the list of metrics, as the table has it. */
static void test_the_document_has_the_metrics(void **state)
{
    static const char *const sources[] = {"requests", "pairs", "labels", "choices", "gauges", "golden set"};
    static const char *const directions[] = {"higher", "lower", "either"};
    static const char *const actions[] = {"roll_back", "call_person", "note"};
    const char *root = getenv("SERIN_SOURCE_DIR");
    const struct judge_metric *metric;
    struct serin_error error;
    struct buffer list;
    uint8_t *document;
    char path[4096];
    size_t size;
    int i;

    (void)state;
    if (!root)
        skip();
    snprintf(path, sizeof(path), "%s/docs/plans.md", root);
    if (file_read(path, 1 << 20, &document, &size, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    buffer_init(&list, 1 << 16);
    buffer_append_text(
        &list, "| metric | from | worse is | margin | action | what |\n| --- | --- | --- | --- | --- | --- |\n");
    for (i = 0; (metric = judge_metric_at(i)); i++)
        buffer_printf(&list, "| `%s` | %s | %s | %g %s | %s | %s (%s) |\n", metric->name, sources[metric->source],
                      directions[metric->direction], metric->margin,
                      metric->scale == JUDGE_RELATIVE ? "relative" : "absolute", actions[metric->action], metric->help,
                      metric->unit);
    if (!strstr((char *)document, list.bytes)) {
        printf("%s", list.bytes);
        fail_msg("%s must hold the list above", path);
    }
    free(document);
    buffer_done(&list);
}

static void test_of_a_webhook_only_its_host_is_shown(void **state)
{
    static const struct {
        const char *url;
        int shown;
    } urls[] = {{"https://chat.example/hook/secret", 20},
                {"http://a:80?key=secret", 11},
                {"http://a", 8},
                {"https://me:secret@a/b", 8},
                {"", 0}};
    struct plan_webhook hook = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        snprintf(hook.url, sizeof(hook.url), "%s", urls[i].url);
        assert_int_equal(plan_webhook_shown(&hook), urls[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_webhook_only_its_host_is_shown),
        cmocka_unit_test(test_the_default_plan),
        cmocka_unit_test(test_what_a_plan_must_be),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_dates_and_times),
        cmocka_unit_test(test_the_document_has_the_metrics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
