/*
 * parameters_test.c - good and bad values of each parameter.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/parameters.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const names[] = {"person", "traffic light", "42", "dog"};
static const struct serin_yolo_info info = {.class_count = 4, .class_names = names};

static struct parameters fresh(void)
{
    struct parameters parameters;
    struct serin_predict_options defaults = {.conf = 0.25f, .iou = 0.7, .max_det = 300};

    parameters_init(&parameters, &defaults);
    return parameters;
}

static void good(struct parameters *parameters, const char *name, const char *value)
{
    struct serin_error error = {0};

    if (parameters_set(parameters, name, value, &info, 1280, &error) != SERIN_OK)
        fail_msg("%s=%s: %s", name, value, error.message);
}

static void bad(const char *name, const char *value)
{
    struct parameters parameters = fresh(), before = parameters;
    struct serin_error error = {0};

    if (parameters_set(&parameters, name, value, &info, 1280, &error) != SERIN_INVALID)
        fail_msg("%s=%s was taken", name, value);
    assert_non_null(strstr(error.message, name));
    assert_memory_equal(&parameters.options, &before.options, sizeof(before.options));
}

static void test_numbers(void **state)
{
    struct parameters p = fresh();

    (void)state;
    good(&p, "conf", "0.5");
    good(&p, "conf", " .125 ");
    assert_float_equal(p.options.conf, 0.125, 0);
    good(&p, "iou", "1");
    assert_float_equal(p.options.iou, 1, 0);
    good(&p, "max_det", "30000");
    assert_int_equal(p.options.max_det, 30000);
    good(&p, "priority", "1");
    assert_int_equal(p.priority, 1);
    good(&p, "priority", "0");
    assert_int_equal(p.priority, BATCHER_USUAL);
    good(&p, "timeout", "250000");
    assert_int_equal(p.timeout_us, 250000);
    good(&p, "unknown", "whatever");
    bad("conf", "");
    bad("conf", "1.01");
    bad("conf", "-0.1");
    bad("conf", "nan");
    bad("conf", "0x1");
    bad("iou", "0x.8p0");
    bad("conf", "0.5x");
    bad("iou", "inf");
    bad("max_det", "0");
    bad("max_det", "30001");
    bad("max_det", "1.5");
    bad("max_det", "1e3");
    bad("max_det", "-1");
    bad("priority", "10");
    bad("timeout", "99999999999999999999");
}

static void test_sizes(void **state)
{
    static const char *const wrong[] = {"",     "0",    "1281",   "640,",  "640,0", "640x640", "640 480",
                                        "[640", "640]", "[640]]", "1,2,3", "6.4",   "-640"};
    struct parameters p = fresh();
    size_t i;

    (void)state;
    good(&p, "imgsz", "640");
    assert_int_equal(p.options.input_height, 640);
    assert_int_equal(p.options.input_width, 640);
    good(&p, "imgsz", "480,1280");
    assert_int_equal(p.options.input_height, 480);
    assert_int_equal(p.options.input_width, 1280);
    good(&p, "imgsz", " [ 320 , 352 ] ");
    assert_int_equal(p.options.input_height, 320);
    assert_int_equal(p.options.input_width, 352);
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        bad("imgsz", wrong[i]);
}

static void test_classes_are_names_or_numbers(void **state)
{
    struct parameters p = fresh();
    char many[8192] = "0";
    int i;

    (void)state;
    good(&p, "classes", "[0, dog , traffic light]");
    assert_int_equal(p.options.class_count, 3);
    assert_int_equal(p.options.classes[0], 0);
    assert_int_equal(p.options.classes[1], 3);
    assert_int_equal(p.options.classes[2], 1);
    good(&p, "classes", "42"); /* a name comes before a number */
    assert_int_equal(p.options.classes[0], 2);
    bad("classes", "");
    bad("classes", "4");
    bad("classes", "-1");
    bad("classes", "0,,1");
    bad("classes", "persn");
    bad("classes", "0.5");
    for (i = 0; i < PARAMETERS_MAX_CLASSES; i++)
        strcat(many, ",0");
    bad("classes", many);
}

static void test_names_that_were_meant(void **state)
{
    static const char *const wrong[][2] = {
        {"confidence", "conf"}, {"Conf", "conf"},        {"CONFIDENCE", "conf"}, {"iou_thres", "iou"},
        {"clases", "classes"},  {"class", "classes"},    {"maxdet", "max_det"},  {"max", "max_det"},
        {"imgsize", "imgsz"},   {"priorty", "priority"}, {"iuo", "iou"},         {"iouu", "iou"},
        {"cnof", "conf"},       {"imgs", "imgsz"},       {"conv", "conf"},       {"cnf", "conf"},
        {"con", "conf"},        {"img", "imgsz"},        {"IMG", "imgsz"},       {"coonf", "conf"},
        {"timeot", "timeout"},  {"tim", "timeout"},      {"prio", "priority"},   {"imgzs", "imgsz"}};
    static const char *const others[] = {"",    "camera", "zone", "code",  "lane",  "model", "c",    "x",
                                         "you", "cone",   "co",   "io",    "im",    "time",  "Time", "timestamp",
                                         "iot", "count",  "id",   "image", "frame", "color"};
    struct serin_error error;
    size_t i;
    int at;

    (void)state;
    for (i = 0; parameters_names[i]; i++) {
        assert_int_equal(parameters_find(parameters_names[i], &at, NULL), SERIN_OK);
        assert_int_equal(at, i);
    }
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(parameters_find(others[i], &at, NULL), SERIN_OK);
        assert_int_equal(at, -1);
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char meant[40];

        snprintf(meant, sizeof(meant), "did you mean '%s'?", wrong[i][1]);
        assert_int_equal(parameters_find(wrong[i][0], &at, &error), SERIN_INVALID);
        assert_non_null(strstr(error.message, meant));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_classes_are_names_or_numbers),
        cmocka_unit_test(test_names_that_were_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
