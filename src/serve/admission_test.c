/*
 * admission_test.c - each thing that keeps a version out, and what lets it in.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/admission.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct bundle bundle_of(const char *tag)
{
    struct bundle bundle = {.model_bytes = 10000000, .class_count = 1};

    strcpy(bundle.name.tag, tag);
    strcpy(bundle.task, "detect");
    bundle.class_names_json = (char *)"[\"person\"]";
    bundle.inputs_json = (char *)"[\"fp32[?,3,?,?]\"]";
    bundle.outputs_json = (char *)"[\"fp32[?,5,?]\"]";
    return bundle;
}

static void expect_refusal(enum serin_errc rc, const struct serin_error *error, const char *part)
{
    assert_int_equal(rc, SERIN_LIMIT);
    if (!strstr(error->message, part))
        fail_msg("'%s' lacks '%s'", error->message, part);
}

static void refused_for_answers(const struct bundle *bundle, const struct bundle *stable, const char *part)
{
    struct serin_error error;

    expect_refusal(admission_check_answers(bundle, stable, &error), &error, part);
}

static void refused_for_accuracy(const struct bundle *bundle, const struct bundle *stable, double floor, double margin,
                                 const char *part)
{
    struct serin_error error;

    expect_refusal(admission_check_accuracy(bundle, stable, floor, margin, &error), &error, part);
}

static void differing_answers_are_refused(void **state)
{
    struct bundle stable = bundle_of("v1.0.0"), bundle = bundle_of("v1.1.0");

    (void)state;
    assert_int_equal(admission_check_answers(&bundle, &stable, NULL), SERIN_OK);
    bundle.class_names_json = (char *)"[\"car\"]";
    refused_for_answers(&bundle, &stable,
                        "v1.1.0 has 1 classes, stable v1.0.0 has 1, and 1 differ (confirm it where that is meant: "
                        "--confirm): class 0 is 'car', stable's is 'person'");
    bundle.class_names_json = (char *)"[\"person\",\"aéééééééééééééz\",\"c\",\"d\",\"e\"]"; /* 28 bytes */
    refused_for_answers(
        &bundle, &stable,
        "has 5 classes, stable v1.0.0 has 1, and 4 differ (confirm it where that is meant: --confirm): "
        "class 1 is 'aééééééééééé...', stable's is missing; class 2 is 'c', stable's is missing; class 3 "
        "is 'd', stable's is missing; and so on");
    bundle = bundle_of("v1.1.0");
    strcpy(bundle.task, "pose");
    refused_for_answers(&bundle, &stable, "does pose, stable v1.0.0 does detect");
    bundle = bundle_of("v1.1.0");
    bundle.inputs_json = (char *)"[\"fp32[1,3,640,640]\"]";
    refused_for_answers(&bundle, &stable, "takes [\"fp32[1,3,640,640]\"]");
}

static void a_free_dimension_takes_what_a_fixed_one_does(void **state)
{
    static const char *const refused[] = {"[\"fp32[1,3,640,320]\"]",
                                          "[\"fp16[?,3,640,640]\"]",
                                          "[\"fp32[?,3,640]\"]",
                                          "[\"fp32[?,3,640,640,1]\"]",
                                          "[\"fp32[?,3,64,640]\"]",
                                          "[\"fp32[?,3,640,640]\",\"x\"]",
                                          "[]",
                                          NULL};
    static const char *const taken[] = {"[\"fp32[?,3,640,640]\"]", "[\"fp32[?,3,?,?]\"]", "[\"fp32[1,3,640,640]\"]"};
    struct bundle stable = bundle_of("v1.0.0"), bundle = bundle_of("v1.1.0");
    size_t i;

    (void)state;
    stable.inputs_json = (char *)"[\"fp32[1,3,640,640]\"]";
    stable.outputs_json = (char *)"[\"fp32[1,5,8400]\"]";
    for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        bundle.inputs_json = (char *)taken[i];
        assert_int_equal(admission_check_answers(&bundle, &stable, NULL), SERIN_OK);
    }
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        bundle.inputs_json = (char *)refused[i];
        refused_for_answers(&bundle, &stable, "clients that send tensors would fail");
    }
    bundle.inputs_json = (char *)taken[0];
    bundle.outputs_json = (char *)"[\"fp32[?,6,8400]\"]";
    refused_for_answers(&bundle, &stable, "gives [\"fp32[?,6,8400]\"]");
    stable.outputs_json = NULL;
    refused_for_answers(&bundle, &stable, "gives [\"fp32[?,6,8400]\"]");
}

static void the_greater_floor_holds(void **state)
{
    struct bundle bundle = bundle_of("v1.1.0");

    (void)state;
    assert_int_equal(admission_check_accuracy(&bundle, NULL, 0, 0, NULL), SERIN_OK);
    refused_for_accuracy(&bundle, NULL, .3, 0, "a floor of 0.3 for its accuracy and no evaluation");
    bundle.setting_count = 1;
    strcpy(bundle.settings[0].key, "golden_map_floor");
    bundle.settings[0].value = .5;
    refused_for_accuracy(&bundle, NULL, .3, 0, "a floor of 0.5 for its accuracy and no evaluation");
    bundle.eval_json = (char *)"{\"map50_95\":0.4321}";
    refused_for_accuracy(&bundle, NULL, .3, 0, "mAP50-95 of 0.4321, its floor is 0.5");
    refused_for_accuracy(&bundle, NULL, .6, 0, "its floor is 0.6");
    bundle.eval_json = (char *)"{\"map50_95\":0.5}";
    assert_int_equal(admission_check_accuracy(&bundle, NULL, .3, 0, NULL), SERIN_OK);
    bundle.eval_json = (char *)"{\"top1\":0.4}"; /* of a classifier */
    refused_for_accuracy(&bundle, NULL, 0, 0, "top-1 of 0.4000, its floor is 0.5");
}

static void stable_is_the_measure_on_the_same_data_only(void **state)
{
    struct bundle stable = bundle_of("v1.0.0"), bundle = bundle_of("v1.1.0");

    (void)state;
    stable.eval_json = (char *)"{\"data_digest\":\"sha256:aa\",\"map50_95\":0.5}";
    bundle.eval_json = (char *)"{\"data_digest\":\"sha256:aa\",\"map50_95\":0.47}";
    refused_for_accuracy(
        &bundle, &stable, 0, .02,
        "v1.1.0 has mAP50-95 of 0.4700, stable v1.0.0 has 0.5000 on the same pictures, and at most 0.02");
    assert_int_equal(admission_check_accuracy(&bundle, &stable, 0, .04, NULL), SERIN_OK);
    bundle.eval_json = (char *)"{\"data_digest\":\"sha256:bb\",\"map50_95\":0.1}";
    assert_int_equal(admission_check_accuracy(&bundle, &stable, 0, .02, NULL), SERIN_OK);
    bundle.eval_json = (char *)"{\"map50_95\":0.1}"; /* pushed before evaluations told their data */
    assert_int_equal(admission_check_accuracy(&bundle, &stable, 0, .02, NULL), SERIN_OK);
}

static void it_must_fit_beside_what_runs(void **state)
{
    struct bundle bundle = bundle_of("v1.1.0");
    struct admission_memory memory = {.resident = 100000000,
                                      .peak = 150000000,
                                      .stable_resident = 80000000,
                                      .stable_peak = 90000000,
                                      .available = 100000000};
    struct serin_error error;

    (void)state;
    expect_refusal(admission_estimate_memory(&bundle, 2, 200000000, 0, &error), &error,
                   "2 replicas of v1.1.0 need about 280 MB, 200 MB are free");
    assert_int_equal(admission_estimate_memory(&bundle, 2, 280000000, 0, NULL), SERIN_OK);
    expect_refusal(admission_estimate_memory(&bundle, 2, 280000000, 1, &error), &error, "stay so");
    assert_int_equal(admission_estimate_memory(&bundle, 2, 0, 0, NULL), SERIN_OK); /* not known */
    bundle.setting_count = 1;
    strcpy(bundle.settings[0].key, "memory_mb");
    bundle.settings[0].value = 90;
    assert_int_equal(admission_estimate_memory(&bundle, 2, 200000000, 0, NULL), SERIN_OK);
    assert_int_equal(admission_check_memory(&bundle, &memory, 40000000, NULL), SERIN_OK);
    expect_refusal(
        admission_check_memory(&bundle, &memory, 40000001, &error), &error,
        "v1.1.0 holds 100 MB and has needed 150 MB, stable beside it 80 and 90 MB: together they may want 60 "
        "MB more, and 100 MB are free, of which 40 MB stay so");
    memory.available = 0;
    assert_int_equal(admission_check_memory(&bundle, &memory, 40000001, NULL), SERIN_OK);
    assert_true(admission_available_bytes() > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differing_answers_are_refused), cmocka_unit_test(a_free_dimension_takes_what_a_fixed_one_does),
        cmocka_unit_test(the_greater_floor_holds),       cmocka_unit_test(stable_is_the_measure_on_the_same_data_only),
        cmocka_unit_test(it_must_fit_beside_what_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
