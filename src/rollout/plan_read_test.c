/*
 * plan_read_test.c - plans from YAML and back, and every sentence about a wrong one.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rollout/plan_read.c"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct plan *plan_of(const char *yaml)
{
    struct plan *plan = malloc(sizeof(*plan));
    struct serin_error error;

    assert_non_null(plan);
    if (plan_read(yaml, strlen(yaml), plan, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return plan;
}

static const char everything[] =
    "alpha: 1%\n"
    "unit: {key: X-Line, block: 60s}\n"
    "steps:\n"
    "  - {mirror: 10%, noise: 2%}\n"
    "  - {weight: 1%, prove: {error_rate: 3, seen: none}, min: {evidence: 200, time: 2m}, max: {time: 1d}}\n"
    "  - weight: .5\n"
    "    pause: true\n"
    "  - weight: 100%\n"
    "slices: [light, {camera: {values: 12, required: true, min_share: 10%}}, X-Site]\n"
    "guards:\n"
    "  - error_rate\n"
    "  - {metric: missed, name: seen, margin: 0.1, limit: .5, alpha: 2, slices: [camera, X-Site]}\n"
    "  - {metric: latency_p99, action: note, slices: light}\n"
    "after: {analysis: 1h, undo: 2h}\n"
    "testers: [{header: X-Tester, value: \"yes \\\"1\\\"\"}]\n"
    "webhooks: [{url: \"http://127.0.0.1:1/a\", on: [gate, harm], timeout: 2s, secret_env: HOOK_SECRET}]\n"
    "without_labels: true\n";

static void test_everything_is_read(void **state)
{
    struct plan *plan = plan_of(everything);
    const struct judge_options *judge = &plan->judge;

    (void)state;
    assert_true(judge->alpha == .01);
    assert_int_equal(judge->unit, JUDGE_KEY_BLOCK);
    assert_true(judge->block_s == 60);
    assert_string_equal(plan->key_name, "X-Line");
    assert_int_equal(judge->step_count, 4);
    assert_int_equal(plan->steps[0].mirror_per_million, 100000);
    assert_int_equal(plan->steps[0].noise_per_million, 20000);
    assert_true(plan->steps[0].min_evidence == 0); /* it only mirrors */
    assert_true(plan->steps[2].min_evidence == 100);
    assert_int_equal(plan->steps[1].weight_per_million, 10000);
    assert_int_equal(plan->steps[2].weight_per_million, 500000);
    assert_true(plan->steps[2].pause);
    assert_true(plan->steps[1].min_evidence == 200 && judge->min_evidence[1] == 200);
    assert_true(plan->steps[1].min_time_s == 120 && plan->steps[1].max_time_s == 86400);
    assert_true(isinf(plan->steps[2].max_time_s));
    assert_int_equal(judge->dimension_count, 3);
    assert_int_equal(judge->dimensions[1].values, 12);
    assert_true(judge->dimensions[1].required && judge->dimensions[1].min_share == .1);
    assert_int_equal(judge->guard_count, 3);
    assert_true(judge->guards[0].required && isnan(judge->guards[0].limit));
    assert_true(judge->guards[0].prove[1] == 3);
    assert_true(judge->guards[0].prove[2] == judge->guards[0].margin);
    assert_true(isinf(judge->guards[0].prove[0]) && isinf(judge->guards[0].prove[3]));
    assert_string_equal(judge->guards[1].name, "seen");
    assert_true(isinf(judge->guards[1].prove[1]) && judge->guards[1].prove[2] == .1);
    assert_true(judge->guards[1].limit == .5 && judge->guards[1].alpha_share == 2);
    assert_int_equal(judge->guards[1].dimensions, 6);
    assert_int_equal(judge->guards[2].dimensions, 1);
    assert_int_equal(judge->guards[2].action, JUDGE_NOTE);
    assert_false(judge->guards[2].required);
    assert_true(plan->analysis_s == 3600 && plan->undo_s == 7200);
    assert_string_equal(plan->testers[0].value, "yes \"1\"");
    assert_int_equal(plan->webhooks[0].on, PLAN_ON_GATE | PLAN_ON_HARM);
    assert_true(plan->webhooks[0].timeout_s == 2);
    assert_string_equal(plan->webhooks[0].secret_env, "HOOK_SECRET");
    assert_true(plan->judge_without_labels);
    free(plan);
}

/* NaN is not equal to itself, so plans are compared as bytes. */
static void check_round_trip(const struct plan *plan)
{
    int help;

    for (help = 0; help < 2; help++) {
        struct buffer text;
        struct plan *again;

        buffer_init(&text, PLAN_MAX_BYTES);
        plan_write(plan, help, &text);
        assert_int_equal(buffer_check(&text, "plan", NULL), SERIN_OK);
        again = plan_of(text.bytes);
        if (memcmp(plan, again, sizeof(*plan)) != 0)
            fail_msg("not the same plan: %s", text.bytes);
        free(again);
        buffer_done(&text);
    }
}

static void test_what_is_written_reads_back_the_same(void **state)
{
    static const char *const yamls[] = {"", everything, "unit: key", "unit: {key: session, source: cookie}",
                                        "slices: []\nguards: [{metric: missed, margin: 0.123456789012345678}]"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(yamls); i++) {
        struct plan *plan = plan_of(yamls[i]);

        check_round_trip(plan);
        free(plan);
    }
}

static void test_an_empty_plan_is_the_default_one(void **state)
{
    struct plan *plan = plan_of("# nothing\n"), *defaults = malloc(sizeof(*defaults));

    (void)state;
    assert_non_null(defaults);
    plan_init(defaults);
    assert_memory_equal(plan, defaults, sizeof(*plan));
    free(plan);
    free(defaults);
}

static void test_sentences_about_wrong_plans(void **state)
{
    static const struct {
        const char *yaml, *sentence;
    } cases[] = {
        {"alpah: 1", "line 1: unknown key 'alpah', did you mean 'alpha'?"},
        {"alpha: .6", "line 1: alpha is .6, it lies within 1e-06 and 0.5"},
        {"alpha: none", "line 1: alpha is 'none', it must be a number"},
        {"alpha: [1]", "line 1: alpha must be one value, and text"},
        {"alpha: 1%\nbeta: 1%\nalpha: 2%", "line 3: alpha for the second time"},
        {"---\nalpha: 1%\n---\nalpha: 2%", "line 4: a second document: a plan is one"},
        {"alpha: 1%\n---", "line 3: a second document: a plan is one"},
        {"alpha: 1%\n---\n[", "line 4: did not find expected node content"},
        {"[1]: 2", "line 1: a plan has a key that is no text"},
        {"- 1", "line 1: a plan is a map of keys and values"},
        {"{", "line 2: did not find expected node content"},
        {"unit: kye", "line 1: unknown unit 'kye', did you mean 'key'?"},
        {"unit: {key: \"a b\"}", "line 1: key is 'a b', which is no name of a header"},
        {"unit: {source: cooky}", "line 1: unknown source 'cooky', did you mean 'cookie'?"},
        {"unit: {block: 8d}", "line 1: block is 8d, it lies within 1s and 1d"},
        {"unit: {block: 90}", "line 1: block is '90', it must be a duration as 90s, 5m, 1h or 7d"},
        {"unit: {block: 1.5s}", "unit: a block of 1.5 s: whole seconds from 1"},
        {"slices: [lihgt]", "line 1: unknown slice 'lihgt', did you mean 'light'?"},
        {"slices: [{light: {values: 0}}]", "line 1: values is 0, it lies within 1 and 4096"},
        {"slices: [{light: {values: 1.5}}]", "line 1: values is 1.5, it must be a whole number"},
        {"slices: [{light: {}, hour: {}}]", "line 1: a slice is a name, or a map of one name"},
        {"slices: [X-0123456789012345678901]",
         "line 1: slice 'X-0123456789012345678901' has 24 bytes, the limit is 23"},
        {"guards: []", "line 1: guards has 0 entries, there can be 1 to 32"},
        {"guards:\n- {margin: 1}", "line 2: a guard without its metric"},
        {"guards:\n- eror_rate", "line 2: unknown metric 'eror_rate', did you mean 'error_rate'?"},
        {"guards: [{metric: missed, action: rollback}]",
         "line 1: unknown action 'rollback', did you mean 'roll_back'?"},
        {"guards: [{metric: missed, slices: [hour]}]",
         "line 1: slice 'hour' is not among the plan's slices: add it to 'slices' at the top"},
        {"guards: [{metric: missed, slices: [ligth]}]", "line 1: unknown slice 'ligth', did you mean 'light'?"},
        {"guards: [{metric: missed, required: yes}]", "line 1: required is 'yes', it may be false, true, auto"},
        {"guards: [{metric: missed, name: x2345678901234567890123456789012}]",
         "line 1: name has 32 bytes, the limit is 31"},
        {"guards: [error_rate, error_rate]", "guard 'error_rate' stands there twice: give one another name"},
        {"steps: [{weight: 100%}]\nguards: [{metric: missed, margin: -1}]",
         "line 2: margin is -1, it lies within 0 and 1000000"},
        {"steps:\n- {weight: 10}", "line 2: weight is 10, it lies within 0% and 100%: a percent needs its sign"},
        {"steps:\n- {weight: 101%}", "line 2: weight is 101%, it lies within 0% and 100%"},
        {"steps:\n- {weight: 5%}\n- {weight: 1%}\n- {weight: 100%}",
         "step 2: a weight of 1 % behind one of 5 %: weights never fall"},
        {"steps:\n- {weight: 1%, prove: {eror_rate: 3}}\n- {weight: 100%}",
         "line 2: unknown guard 'eror_rate', did you mean 'error_rate'?"},
        {"steps:\n- {weight: 1%,\n   prove: {error_rate: .1}}\n- {weight: 100%}",
         "line 3: a step proves 0.1 of 'error_rate', whose margin of harm is 0.5: a canary between the two would do no "
         "harm and could never be proven"},
        {"steps:\n- {weight: 1%, prove: {error_rate: 1, error_rate: 2}}\n- {weight: 100%}",
         "line 2: error_rate for the second time"},
        {"steps: [{weight: 100%, min: {tmie: 5s}}]", "line 1: unknown key 'tmie', did you mean 'time'?"},
        {"steps: [{weight: 1%, min: {time: 2m}, max: {time: 1m}}, {weight: 100%}]", "step 1: min is more than max"},
        {"after: {analysis: 8d}", "after: analysis of 691200 s, and undo of 604800 s: when stable is gone nothing can "
                                  "be taken back"},
        {"alpha: .05\nfreeze:\n  zone: UTC",
         "line 3: a freeze calendar is the model's, and no plan's: serin freeze set MODEL FILE"},
        {"webhooks: [{url: ftp://x, on: gate}]", "line 1: a webhook's url begins with http:// or https://"},
        {"webhooks: [{url: http://x}]", "line 1: a webhook without 'on': what is it told?"},
        {"webhooks: [{url: http://x, on: gates}]", "line 1: unknown event 'gates', did you mean 'gate'?"},
        {"webhooks: [{url: \"http://x\\n\", on: gate}]", "line 1: url has a control character"},
        {"testers: [{header: \"\"}]", "line 1: header is '', which is no name of a header"},
    };
    struct plan *plan = malloc(sizeof(*plan));
    struct serin_error error;
    size_t i;

    (void)state;
    assert_non_null(plan);
    for (i = 0; i < COUNT(cases); i++) {
        enum serin_errc rc = plan_read(cases[i].yaml, strlen(cases[i].yaml), plan, &error);

        if (rc != SERIN_INVALID || error.code != rc || strcmp(error.message, cases[i].sentence) != 0)
            fail_msg("%s\ngives '%s', not '%s'", cases[i].yaml, rc ? error.message : "a plan", cases[i].sentence);
    }
    free(plan);
}

static void test_lists_have_limits(void **state)
{
    struct plan *plan = malloc(sizeof(*plan));
    struct serin_error error;
    struct buffer yaml;
    int i;

    (void)state;
    assert_non_null(plan);
    buffer_init(&yaml, 2 * PLAN_MAX_BYTES);
    buffer_append_text(&yaml, "steps:\n");
    for (i = 0; i < JUDGE_MAX_STEPS; i++)
        buffer_append_text(&yaml, "- {weight: 1%}\n");
    buffer_append_text(&yaml, "- {weight: 100%}\n");
    assert_int_equal(plan_read(yaml.bytes, yaml.size, plan, &error), SERIN_INVALID);
    assert_string_equal(error.message, "line 2: steps has 17 entries, there can be 1 to 16");
    while (yaml.size <= PLAN_MAX_BYTES)
        buffer_append_text(&yaml, "# to be too long\n");
    assert_int_equal(plan_read(yaml.bytes, yaml.size, plan, &error), SERIN_LIMIT);
    buffer_done(&yaml);
    free(plan);
}

/* A map that contains itself, and a list of lists of lists of ...: read without following them. */
static void test_aliases_do_not_explode(void **state)
{
    static const char *const yamls[] = {
        "after: &a {analysis: *a}",
        "&a [*a, *a]",
        "alpha: &a [1, 1, 1]\nbeta: &b [*a, *a, *a]\nslices: [*b, *b, *b, *b]",
        "steps: &s [{weight: 1%, prove: *s}, {weight: 100%}]",
    };
    struct plan *plan = malloc(sizeof(*plan));
    size_t i;

    (void)state;
    assert_non_null(plan);
    for (i = 0; i < COUNT(yamls); i++)
        assert_int_equal(plan_read(yamls[i], strlen(yamls[i]), plan, NULL), SERIN_INVALID);
    free(plan);
}

static void test_a_calendar_is_read(void **state)
{
    static const char text[] = "zone: Europe/Berlin\n"
                               "windows:\n"
                               "  - {days: fri-sun}\n"
                               "  - {days: \"sat-mon,wed\", from: 22:00, to: 06:00}\n"
                               "  - {from: 2026-12-20, to: 2027-01-06}\n";
    struct calendar calendar;
    struct serin_error error;
    enum serin_errc rc = calendar_read(text, strlen(text), &calendar, &error);

    (void)state;
    if (rc == SERIN_NOT_FOUND)
        skip(); /* a machine without the database of zones */
    assert_int_equal(rc, SERIN_OK);
    assert_string_equal(calendar.zone, "Europe/Berlin");
    assert_int_equal(calendar.window_count, 3);
    assert_int_equal(calendar.windows[0].weekdays, 0x70);
    assert_int_equal(calendar.windows[1].weekdays, 0x65); /* sat, sun, mon, wed */
    assert_int_equal(calendar.windows[1].from_minute, 1320);
    assert_int_equal(calendar.windows[1].to_minute, 360);
    assert_true(calendar.windows[2].dated && calendar.windows[2].to_day - calendar.windows[2].from_day == 17);
}

static void test_calendars_that_are_refused(void **state)
{
    static const struct {
        const char *yaml, *sentence;
    } cases[] = {
        {"windows: [{days: fri-sunday}]", "line 1: days is 'fri-sunday', it must be as fri-sun or mon,wed"},
        {"windows: [{from: 2026-12-20}]",
         "line 1: a window of dates needs from and to, the later one last, and no days"},
        {"windows: [{from: 2026-12-20, to: 2026-12-19}]",
         "line 1: a window of dates needs from and to, the later one last, and no days"},
        {"windows: [{from: 9, to: 10:00}]", "line 1: from is '9', it must be a time as 22:00 or a date as 2026-12-20"},
        {"windows: [{from: 09:00, to: 09:00}]", "line 1: a window that ends when it begins"},
        {"zone: UTC\nwindow: [{days: fri}]", "line 2: unknown key 'window', did you mean 'windows'?"},
        {"zone: UTC\n", "a calendar without windows: what is frozen?"},
        {"", "a calendar without windows: what is frozen?"},
        {"[{days: fri}]", "line 1: a calendar is a map of keys and values"},
        {"windows: [", "line 2: "},
        {"zone: ../passwd\nwindows: [{days: fri}]", "'../passwd' is no name of a time zone, as 'Europe/Berlin' is"},
    };
    struct calendar calendar = {.window_count = -7};
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (calendar_read(cases[i].yaml, strlen(cases[i].yaml), &calendar, &error) == SERIN_OK)
            fail_msg("taken: %s", cases[i].yaml);
        if (strncmp(error.message, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("%s: %s", cases[i].yaml, error.message);
    }
    assert_int_equal(calendar.window_count, -7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_calendar_is_read),
        cmocka_unit_test(test_calendars_that_are_refused),
        cmocka_unit_test(test_everything_is_read),
        cmocka_unit_test(test_what_is_written_reads_back_the_same),
        cmocka_unit_test(test_an_empty_plan_is_the_default_one),
        cmocka_unit_test(test_sentences_about_wrong_plans),
        cmocka_unit_test(test_lists_have_limits),
        cmocka_unit_test(test_aliases_do_not_explode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
