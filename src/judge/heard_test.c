/*
 * heard_test.c - guards that hold a step up once they are heard of, copies that fail, and floors of slices.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/test_streams.h"

static struct record pair(double t_s, bool noise, bool failed)
{
    struct record record = {.kind = RECORD_PAIR, .t_s = t_s};

    record.pair.noise = noise;
    record.pair.failed = failed;
    record.pair.jitter = -1;
    if (!failed)
        record.pair.matches.agreed = 4;
    snprintf(record.camera, sizeof(record.camera), "c%d", (int)(t_s * 100) % 30);
    return record;
}

static void set_light(struct record *record, const char *light)
{
    record->slice_count = 1;
    snprintf(record->slices[0].name, sizeof(record->slices[0].name), "light");
    snprintf(record->slices[0].value, sizeof(record->slices[0].value), "%s", light);
}

/* ---- heard ---- */

static struct record label(double t_s, const char *light, bool missed)
{
    struct record record = {.kind = RECORD_LABEL, .t_s = t_s};

    record.label.both = true;
    record.label.truth[JUDGE_STABLE].found = 1;
    record.label.truth[JUDGE_CANARY] = (struct record_truth){!missed, missed, 0};
    set_light(&record, light);
    return record;
}

static void test_labels_hold_a_step_up_once_one_has_come(void **state)
{
    static const char *const metrics[] = {"missed"};
    struct judge_decision decision;
    struct record record;
    struct judge *judge;
    double t_s = 0;
    int i;

    (void)state;
    start(1, metrics);
    slice_by("light", 3);
    options.guards[0].required = JUDGE_REQUIRED_IF_HEARD;
    options.guards[0].prove[0] = .1;
    judge = make();
    record = pair(t_s, false, false);
    judge_add(judge, &record);
    judge_look(judge, t_s += 1, &decision);
    assert_int_equal(decision.answer, JUDGE_PASS);
    assert_non_null(strstr(decision.why, "; no label has come"));
    record = label(t_s += 1, "day", false);
    judge_add(judge, &record);
    judge_look(judge, t_s += 1, &decision);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    assert_string_equal(decision.guard, "missed");
    judge_look(judge, t_s + 600, &decision);
    assert_non_null(strstr(decision.why, "the last label came 10 min ago"));
    /* Proven on the whole, and not in the dark, of which there is a part of a tenth. */
    for (i = 0; i < 300 && decision.answer == JUDGE_HOLD; i++) {
        record = label(t_s += 1, i % 10 ? "day" : "dark", i % 10 == 0 && i % 20);
        judge_add(judge, &record);
        judge_look(judge, t_s, &decision);
    }
    assert_int_equal(decision.answer, JUDGE_HOLD);
    assert_string_equal(decision.slice, "light=dark");
    for (i = 0; i < 300 && decision.answer == JUDGE_HOLD; i++) {
        record = label(t_s += 1, "dark", false);
        judge_add(judge, &record);
        judge_look(judge, t_s, &decision);
    }
    assert_int_equal(decision.answer, JUDGE_PASS);
    assert_null(strstr(decision.why, "no label"));
    judge_free(judge);
}

/* A worker elsewhere tells no memory: nothing can be compared, and nothing is waited for. */
static void test_memory_of_one_version_alone_holds_nothing_up(void **state)
{
    static const char *const metrics[] = {"memory_growth"};
    struct record record, gauge = {.kind = RECORD_GAUGE};
    struct judge_decision decision;
    struct judge_reading reading;
    struct judge *judge;
    int i;

    (void)state;
    start(1, metrics);
    options.guards[0].required = JUDGE_REQUIRED_IF_HEARD;
    options.guards[0].prove[0] = 10;
    judge = make();
    gauge.gauge.gpu_memory_mb = -1;
    gauge.gauge.memory_mb = 400;
    for (i = 0; i < 2; i++) {
        record = pair(i, false, false);
        judge_add(judge, &record);
        gauge.arm = i ? JUDGE_CANARY : JUDGE_STABLE;
        gauge.t_s = i;
        judge_add(judge, &gauge);
        judge_look(judge, i, &decision);
        assert_int_equal(decision.answer, i ? JUDGE_HOLD : JUDGE_PASS);
        judge_read(judge, 0, &reading);
        assert_int_equal(reading.required, i);
    }
    judge_free(judge);
}

/* ---- copies that fail ---- */

static void start_mirror(void)
{
    static const char *const metrics[] = {"mirror_error_rate"};

    start(1, metrics);
    options.guards[0].required = JUDGE_REQUIRED_IF_HEARD;
    options.guards[0].prove[0] = options.guards[0].margin;
}

/* Copies at 100 a second, of which the canary and stable itself fail these parts; one in ten is to stable. */
static struct judge_decision copy(double canary_fails, double stable_fails, int *ret_at)
{
    struct judge_decision decision = {.answer = JUDGE_HOLD};
    struct judge *judge = make();
    int i;

    for (i = 0; i < 20000 && decision.answer == JUDGE_HOLD; i++) {
        const bool noise = i % 10 == 9;
        struct record record = pair(i * .01, noise, chance() < (noise ? stable_fails : canary_fails));

        judge_add(judge, &record);
        judge_look(judge, i * .01, &decision);
    }
    judge_free(judge);
    *ret_at = i;
    return decision;
}

static void test_a_canary_that_fails_copies_goes_back(void **state)
{
    struct judge_decision decision;
    int at;

    (void)state;
    seed = 3;
    start_mirror();
    decision = copy(1, 0, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_true(at < 300);
    assert_string_equal(decision.guard, "mirror_error_rate");
    decision = copy(.15, 0, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
}

/* As where the versions ask for a credential, which copies lack. */
static void test_what_stable_fails_as_well_is_no_fault(void **state)
{
    struct judge_decision decision;
    int at;

    (void)state;
    seed = 4;
    start_mirror();
    decision = copy(.2, .2, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    decision = copy(.01, .01, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
}

/* Nothing is proven by copies that tell of no answer, even where nobody asked for a proof. */
static void test_failed_copies_let_no_step_pass(void **state)
{
    struct judge_decision decision;
    struct record record;
    struct judge *judge;

    (void)state;
    start_mirror();
    options.guards[0].required = JUDGE_NOT_REQUIRED;
    judge = make();
    record = pair(0, false, true);
    judge_add(judge, &record);
    judge_look(judge, 1, &decision);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    record = pair(2, false, false);
    judge_add(judge, &record);
    judge_look(judge, 3, &decision);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_free(judge);
}

/* ---- floors ---- */

/* In the dark stable loses a fifth of its boxes against itself, by day none, and so does a version that is its equal.
 */
static void test_a_slice_has_its_own_floor(void **state)
{
    static const char *const metrics[] = {"lost"};
    struct judge_decision decision = {.answer = JUDGE_HOLD};
    struct judge *judge;
    int i;

    (void)state;
    seed = 5;
    start(1, metrics);
    slice_by("light", 3);
    options.guards[0].required = JUDGE_NOT_REQUIRED;
    options.min_evidence[0] = 1e9;
    judge = make();
    for (i = 0; i < 20000 && decision.answer == JUDGE_HOLD; i++) {
        const bool dark = i % 4 == 0;
        struct record record = pair(i * .01, chance() < .5, false);

        set_light(&record, dark ? "dark" : "day");
        if (dark && chance() < .2)
            record.pair.matches = (struct record_matches){.lost = 4};
        judge_add(judge, &record);
        if (i % 10 == 9)
            judge_look(judge, i * .01, &decision);
    }
    assert_int_equal(decision.answer, JUDGE_HOLD);
    judge_free(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_hold_a_step_up_once_one_has_come),
        cmocka_unit_test(test_memory_of_one_version_alone_holds_nothing_up),
        cmocka_unit_test(test_a_canary_that_fails_copies_goes_back),
        cmocka_unit_test(test_what_stable_fails_as_well_is_no_fault),
        cmocka_unit_test(test_failed_copies_let_no_step_pass),
        cmocka_unit_test(test_a_slice_has_its_own_floor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
