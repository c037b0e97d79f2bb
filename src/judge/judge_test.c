/*
 * judge_test.c - the judge on streams made here: each kind of harm is found, no harm is proven, and equal versions are
 * left alone.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/judge.c"
#include "judge/test_streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static double bad_rate[2];

static void fill_errors(struct record *record)
{
    record->request.status = chance() < bad_rate[record->arm] ? 500 : 200;
}

static void test_errors_are_found(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 1;
    start(1, metrics);
    judge = make();
    bad_rate[0] = .01;
    bad_rate[1] = .05;
    decision = run(judge, 200000, .05, fill_errors, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_string_equal(decision.guard, "error_rate");
    assert_true(at < 20000);
    assert_non_null(strstr(decision.why, "error_rate rose: "));
    assert_non_null(strstr(decision.why, "surely more than +"));
    judge_free(judge);
}

static void test_errors_of_the_canary_alone_are_told_in_words(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 1;
    start(1, metrics);
    judge = make();
    bad_rate[0] = 0;
    bad_rate[1] = .1;
    decision = run(judge, 200000, .05, fill_errors, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_ptr_equal(strstr(decision.why, "error_rate rose from none to "), decision.why);
    assert_non_null(strstr(decision.why, "the margin is "));
    assert_null(strstr(decision.why, "inf"));
    judge_free(judge);
}

static void test_equal_errors_are_proven_harmless(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct record after = {.kind = RECORD_STEP, .step = 1};
    struct judge_reading reading;
    struct judge *judge;
    int at;

    (void)state;
    seed = 2;
    start(1, metrics);
    options.step_count = 2;
    options.guards[0].prove[1] = INFINITY;
    judge = make();
    bad_rate[0] = bad_rate[1] = .01;
    decision = run(judge, 200000, .2, fill_errors, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    assert_true(at > 1000 && at < 60000);
    judge_read(judge, 0, &reading);
    assert_int_equal(reading.verdict, JUDGE_NO_HARM);
    assert_true(reading.upper <= 1 && reading.lower < reading.estimate && reading.estimate < reading.upper);
    assert_int_equal(reading.proven_step, 0);
    judge_add(judge, &after); /* which asks for no proof: it is not forgotten that the first step had one */
    judge_read(judge, 0, &reading);
    assert_int_equal(reading.verdict, JUDGE_UNKNOWN);
    assert_int_equal(reading.proven_step, 0);
    bad_rate[1] = .03; /* a spell of luck that is bad: the bounds alone would now be wider than what was proven */
    for (at = 0; at < 500; at++) {
        struct record record = request(1000 + at * .01, .2);

        fill_errors(&record);
        judge_add(judge, &record);
    }
    judge_look(judge, 1030, &decision);
    judge_read(judge, 0, &reading);
    assert_int_equal(reading.proven_step, 0);
    assert_int_equal(reading.verdict, JUDGE_UNKNOWN);
    assert_true(reading.upper <= options.guards[0].prove[0]);
    judge_free(judge);
}

static void test_a_step_without_proofs_claims_none(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct judge_decision decision;
    struct record record;
    struct judge *judge;

    (void)state;
    seed = 3;
    start(1, metrics);
    options.guards[0].required = JUDGE_NOT_REQUIRED;
    judge = make();
    record = request(1, 1); /* the canary's */
    judge_add(judge, &record);
    judge_look(judge, 2, &decision);
    assert_int_equal(decision.answer, JUDGE_PASS);
    assert_string_equal(decision.why, "no guard has to be proven here, with 1 unit of the canary in this step");
    record = request(3, 1);
    judge_add(judge, &record);
    judge_look(judge, 4, &decision);
    assert_string_equal(decision.why, "no guard has to be proven here, with 2 units of the canary in this step");
    judge_free(judge);
}

/* All that comes to both arms alike: bursts, a day, cameras that differ; the share rises. */
static double burst, day;

static void fill_everything(struct record *record)
{
    const double camera = floor(chance() * 12);

    day = 1 + .5 * sin(record->t_s / 3);
    if (chance() < .02)
        burst = chance() < .2 ? 5 : 1;
    record->request.status = chance() < .02 * burst ? 500 : 200;
    record->request.total_ms = (float)(30 * day * burst * (1 + camera / 12) * exp(.4 * normal()));
    record->request.detections = (int)(4 * day + camera * chance());
    record->request.score_count = 1;
    record->request.scores[0] = (float)chance();
    if (chance() < .2) {
        record->kind = RECORD_LABEL;
        memset(&record->label, 0, sizeof(record->label));
        record->label.truth[record->arm] = (struct record_truth){3, chance() < .2 * burst, chance() < .1};
    }
}

/* Margins of 0: the null is as narrow as it can be. docs/internals/judge.md has the numbers of a long one. */
static void test_equal_versions_are_seldom_stopped(void **state)
{
    static const char *const metrics[] = {"error_rate", "latency_p50", "latency_p95", "detections",
                                          "score",      "missed",      "wrong"};
    static const double shares[] = {.02, .1, .5};
    enum { RUNS = 120 };
    int runs, step, at, i, stopped = 0;

    (void)state;
    for (runs = 0; runs < RUNS; runs++) {
        struct judge_decision decision;
        struct judge *judge;
        bool harmed = false;

        seed = (uint64_t)runs * 1000;
        start(7, metrics);
        for (i = 0; i < 7; i++) {
            options.guards[i].margin = 0;
            options.guards[i].required = false;
        }
        options.min_evidence[0] = 1e9;
        judge = make();
        burst = 1;
        for (step = 0; step < 3 && !harmed; step++) {
            decision = run(judge, 800, shares[step], fill_everything, &at);
            harmed = decision.answer != JUDGE_HOLD;
        }
        stopped += harmed;
        judge_free(judge);
    }
    assert_true(stopped <= 13); /* 6 are alpha, and three standard errors */
}

/* Guards that need no proof, and no least evidence: still nothing passes that nobody has seen. */
static void test_nothing_passes_unseen(void **state)
{
    static const char *const metrics[] = {"error_rate"};
    struct record pair = {
        .kind = RECORD_PAIR, .t_s = 2, .pair = {.noise = true, .matches = {.agreed = 1}, .jitter = -1}};
    struct judge_decision decision;
    struct judge *judge;

    (void)state;
    start(1, metrics);
    options.guards[0].required = JUDGE_NOT_REQUIRED;
    options.min_evidence[0] = 0;
    judge = make();
    judge_look(judge, 1, &decision);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    assert_non_null(strstr(decision.why, "no good answer of the canary"));
    judge_add(judge, &pair); /* stable with itself is none of the canary's */
    judge_look(judge, 3, &decision);
    assert_int_equal(decision.answer, JUDGE_HOLD);
    pair.pair.noise = false;
    pair.t_s = 4;
    judge_add(judge, &pair);
    judge_look(judge, 5, &decision);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_free(judge);
}

static double slower[2];

static void fill_times(struct record *record)
{
    record->request.total_ms = (float)(30 * slower[record->arm] * exp(.3 * normal()));
}

static void test_slowness_is_found(void **state)
{
    static const char *const metrics[] = {"latency_p50", "latency_p95", "latency_p99"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 3;
    start(3, metrics);
    judge = make();
    slower[0] = 1;
    slower[1] = 1.15;
    decision = run(judge, 400000, .2, fill_times, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_true(at < 60000);
    judge_free(judge);
}

static void test_equal_times_are_proven_harmless(void **state)
{
    static const char *const metrics[] = {"latency_p50", "latency_p95", "latency_p99"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 4;
    start(3, metrics);
    judge = make();
    slower[0] = slower[1] = 1;
    decision = run(judge, 400000, .2, fill_times, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_free(judge);
}

static double missed_dark[2];

static void fill_label(struct record *record)
{
    const bool dark = chance() < .25;
    const double missed = dark ? missed_dark[record->arm] : .08;
    int i;

    record->kind = RECORD_LABEL;
    record->label.both = false;
    memset(record->label.truth, 0, sizeof(record->label.truth));
    for (i = 0; i < 4; i++)
        if (chance() < missed)
            record->label.truth[record->arm].missed++;
        else
            record->label.truth[record->arm].found++;
    snprintf(record->slices[0].name, sizeof(record->slices[0].name), "light");
    snprintf(record->slices[0].value, sizeof(record->slices[0].value), "%s", dark ? "dark" : "day");
    record->slice_count = 1;
}

static void test_blindness_at_night_is_found_in_its_slice(void **state)
{
    static const char *const metrics[] = {"missed", "wrong"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 5;
    start(2, metrics);
    slice_by("light", 4);
    judge = make();
    missed_dark[0] = .08;
    missed_dark[1] = .31;
    decision = run(judge, 40000, .2, fill_label, &at);
    assert_int_equal(decision.answer, JUDGE_GO_BACK);
    assert_string_equal(decision.guard, "missed");
    assert_string_equal(decision.slice, "light=dark");
    assert_true(at < 8000);
    judge_free(judge);
}

static void test_equal_eyes_are_proven_harmless(void **state)
{
    static const char *const metrics[] = {"missed", "wrong"};
    struct judge_decision decision;
    struct judge *judge;
    int at;

    (void)state;
    seed = 6;
    start(2, metrics);
    slice_by("light", 4);
    judge = make();
    missed_dark[0] = missed_dark[1] = .08;
    decision = run(judge, 200000, .5, fill_label, &at);
    assert_int_equal(decision.answer, JUDGE_PASS);
    judge_free(judge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_found),
        cmocka_unit_test(test_errors_of_the_canary_alone_are_told_in_words),
        cmocka_unit_test(test_equal_errors_are_proven_harmless),
        cmocka_unit_test(test_a_step_without_proofs_claims_none),
        cmocka_unit_test(test_equal_versions_are_seldom_stopped),
        cmocka_unit_test(test_nothing_passes_unseen),
        cmocka_unit_test(test_slowness_is_found),
        cmocka_unit_test(test_equal_times_are_proven_harmless),
        cmocka_unit_test(test_blindness_at_night_is_found_in_its_slice),
        cmocka_unit_test(test_equal_eyes_are_proven_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
