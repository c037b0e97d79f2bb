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

static void refused(const struct bundle *bundle, const struct bundle *stable, uint64_t available, const char *part)
{
    struct serin_error error;

    assert_int_equal(admission_check(bundle, stable, 2, available, false, &error), SERIN_LIMIT);
    if (!strstr(error.message, part))
        fail_msg("'%s' lacks '%s'", error.message, part);
}

static void a_like_version_is_let_in(void **state)
{
    struct bundle stable = bundle_of("v1.0.0"), bundle = bundle_of("v1.1.0");

    (void)state;
    assert_int_equal(admission_check(&bundle, &stable, 2, 0, false, NULL), SERIN_OK);
    assert_int_equal(admission_check(&bundle, NULL, 2, 1000000000, false, NULL), SERIN_OK);
}

static void differences_must_be_confirmed(void **state)
{
    struct bundle stable = bundle_of("v1.0.0"), bundle = bundle_of("v1.1.0");

    (void)state;
    bundle.class_names_json = (char *)"[\"car\"]";
    refused(&bundle, &stable, 0, "has the classes [\"car\"], stable v1.0.0 has [\"person\"]");
    assert_int_equal(admission_check(&bundle, &stable, 2, 0, true, NULL), SERIN_OK);
    bundle = bundle_of("v1.1.0");
    strcpy(bundle.task, "pose");
    refused(&bundle, &stable, 0, "does pose, stable v1.0.0 does detect");
    bundle = bundle_of("v1.1.0");
    bundle.inputs_json = (char *)"[\"fp32[1,3,640,640]\"]";
    refused(&bundle, &stable, 0, "takes [\"fp32[1,3,640,640]\"]");
}

static void the_floor_holds_even_when_confirmed(void **state)
{
    struct bundle bundle = bundle_of("v1.1.0");

    (void)state;
    bundle.setting_count = 1;
    strcpy(bundle.settings[0].key, "golden_map_floor");
    bundle.settings[0].value = .5;
    refused(&bundle, NULL, 0, "a floor of 0.5 for its mAP50-95 and no evaluation");
    bundle.eval_json = (char *)"{\"map50_95\":0.4321}";
    refused(&bundle, NULL, 0, "an mAP50-95 of 0.4321, its floor is 0.5");
    assert_int_equal(admission_check(&bundle, NULL, 1, 0, true, NULL), SERIN_LIMIT);
    bundle.eval_json = (char *)"{\"map50_95\":0.5}";
    assert_int_equal(admission_check(&bundle, NULL, 1, 0, false, NULL), SERIN_OK);
}

static void it_must_fit_beside_what_runs(void **state)
{
    struct bundle bundle = bundle_of("v1.1.0");

    (void)state;
    refused(&bundle, NULL, 200000000, "2 replicas of v1.1.0 need about 280 MB, 200 MB are free");
    bundle.setting_count = 1;
    strcpy(bundle.settings[0].key, "memory_mb");
    bundle.settings[0].value = 90;
    assert_int_equal(admission_check(&bundle, NULL, 2, 200000000, false, NULL), SERIN_OK);
    assert_true(admission_available_bytes() > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_like_version_is_let_in),
        cmocka_unit_test(differences_must_be_confirmed),
        cmocka_unit_test(the_floor_holds_even_when_confirmed),
        cmocka_unit_test(it_must_fit_beside_what_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
