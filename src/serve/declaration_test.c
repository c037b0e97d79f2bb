/*
 * declaration_test.c - documents that are good, that are none, and pairs that differ in one thing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/declaration.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define METADATA(inputs, outputs) "{\"name\":\"m\",\"inputs\":[" inputs "],\"outputs\":[" outputs "]}"
#define IMAGES                    "{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[-1,3,640,640]}"
#define BOXES                     "{\"name\":\"output0\",\"datatype\":\"FP32\",\"shape\":[-1,84,8400]}"
#define CONFIG(literal)           "{\"parameters\":{\"metadata\":{\"string_value\":\"" literal "\"}}}"

static struct declaration read_metadata(const char *text)
{
    struct declaration declaration = {0};
    struct serin_error error = {0};

    if (declaration_read_metadata(text, strlen(text), "m", &declaration, &error) != SERIN_OK)
        fail_msg("%s: %s", text, error.message);
    return declaration;
}

static void expect(enum serin_errc rc, const struct serin_error *error, const char *part)
{
    if (!part) {
        assert_int_equal(rc, SERIN_OK);
        return;
    }
    if (rc == SERIN_OK || !strstr(error->message, part))
        fail_msg("%d '%s' lacks '%s'", rc, rc == SERIN_OK ? "" : error->message, part);
}

static void bad_metadata_is_named(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no JSON"},
        {"<html>not here</html>", "no JSON: <html>"},
        {"[]", "no JSON object"},
        {"{\"name\":\"m\",\"name\":\"m\"}", "each key once"},
        {"{\"name\":\"other\",\"inputs\":[],\"outputs\":[]}", "it is of the model 'other', not 'm'"},
        {"{\"name\":7}", "it is of the model ''"},
        {"{\"name\":\"m\",\"inputs\":\"images\"}", "it has no list of its inputs"},
        {METADATA(IMAGES, ""), "it has no list of its outputs"},
        {METADATA("7", BOXES), "input 0 has no name"},
        {METADATA("{\"name\":\"images\",\"shape\":[1]}", BOXES), "input 0 has no name and datatype"},
        {METADATA(IMAGES, BOXES ",{\"name\":\"a\",\"datatype\":\"FP32\"}"), "output 1 has no shape"},
        {METADATA("{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", BOXES),
         "no shape of at most 16"},
        {METADATA("{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[1,-2]}", BOXES), "dimension 1 of input 0"},
        {METADATA("{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[1.5]}", BOXES), "dimension 0 of input 0"},
        {METADATA(IMAGES "," IMAGES, BOXES), "two inputs are called 'images'"},
    };
    struct declaration declaration = {0};
    struct serin_error error;
    size_t i;
    char *large = calloc(1, DECLARATION_MAX_BYTES + 1);

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(declaration_read_metadata(cases[i].text, strlen(cases[i].text), "m", &declaration, &error), &error,
               cases[i].part);
    expect(declaration_read_metadata(large, DECLARATION_MAX_BYTES + 1, "m", &declaration, &error), &error,
           "the limit is 1048576");
    free(large);
    assert_null(declaration.metadata);
}

static void too_many_tensors_are_refused(void **state)
{
    struct declaration declaration = {0};
    struct serin_error error;
    char text[65 * 60 + 60] = "{\"name\":\"m\",\"inputs\":[";
    int i;

    (void)state;
    for (i = 0; i < 65; i++)
        snprintf(text + strlen(text), 60, "%s{\"name\":\"i%d\",\"datatype\":\"FP32\",\"shape\":[1]}", i ? "," : "", i);
    snprintf(text + strlen(text), 60, "]}");
    expect(declaration_read_metadata(text, strlen(text), "m", &declaration, &error), &error,
           "65 inputs, the limit is 64");
}

static void what_differs_is_named(void **state)
{
    static const struct {
        const char *own, *part;
    } cases[] = {
        {METADATA(IMAGES, BOXES), NULL},
        {METADATA("{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[-1,3,-1,-1]}", BOXES), NULL}, /* takes more */
        {METADATA(IMAGES, "{\"name\":\"output0\",\"datatype\":\"FP32\",\"shape\":[1,-1,8400]}"), NULL},
        {METADATA("{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3,640,640]}", BOXES),
         "it has no input 'images', stable has one of FP32 [-1,3,640,640]"},
        {METADATA(IMAGES "," BOXES, BOXES), "it has the input 'output0' of FP32 [-1,84,8400], stable has none"},
        {METADATA("{\"name\":\"images\",\"datatype\":\"FP16\",\"shape\":[-1,3,640,640]}", BOXES),
         "its input 'images' is FP16 [-1,3,640,640], stable's is FP32 [-1,3,640,640]"},
        {METADATA("{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,640,640]}", BOXES),
         "its input 'images' is FP32 [1,3,640,640], stable's is FP32 [-1,3,640,640]"}, /* takes less */
        {METADATA("{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[3,640,640]}", BOXES), "is FP32 [3,640,640]"},
        {METADATA(IMAGES, "{\"name\":\"output0\",\"datatype\":\"FP32\",\"shape\":[-1,5,8400]}"),
         "its output 'output0' is FP32 [-1,5,8400], stable's is FP32 [-1,84,8400]"},
        {METADATA(IMAGES, BOXES ",{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1]}"), "it has the output 'x'"},
    };
    struct declaration stable = read_metadata(METADATA(IMAGES, BOXES));
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct declaration own = read_metadata(cases[i].own);
        struct serin_error error;

        expect(declaration_compare_tensors(&own, &stable, &error), &error, cases[i].part);
        declaration_done(&own);
    }
    declaration_done(&stable);
}

static void order_is_nothing(void **state)
{
    struct declaration stable = read_metadata(METADATA(IMAGES "," BOXES, BOXES));
    struct declaration own = read_metadata(METADATA(BOXES "," IMAGES, BOXES));

    (void)state;
    assert_int_equal(declaration_compare_tensors(&own, &stable, NULL), SERIN_OK);
    declaration_done(&own);
    declaration_done(&stable);
}

static void a_long_shape_is_cut(void **state)
{
    char text[SHAPE_BYTES];
    json_t *tensor = json_pack("{s:s, s:[I,I,I,I,I,I,I,I]}", "datatype", "FP32", "shape", INT64_MAX, INT64_MAX,
                               INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);

    (void)state;
    assert_true(strlen(write_tensor(tensor, text)) < sizeof(text));
    json_decref(tensor);
}

static void classes_are_compared_by_number(void **state)
{
    static const struct {
        const char *own, *stable, *part;
    } cases[] = {
        {CONFIG("{'task': 'detect', 'names': {0: 'person', 1: 'car'}}"), CONFIG("{'names': {0: 'person', 1: 'car'}}"),
         NULL},
        {CONFIG("{'names': {1: 'car', 0: 'person'}}"), CONFIG("{'names': ['person', 'car']}"), NULL},
        {CONFIG("{'names': {0: 'car', 1: 'person'}}"), CONFIG("{'names': ['person', 'car']}"),
         "its class 0 is 'car', stable's is 'person'"},
        {CONFIG("{'names': {0: 'person'}}"), CONFIG("{'names': ['person', 'car']}"), "it has 1 classes, stable has 2"},
        {CONFIG("{'task': 'pose'}"), CONFIG("{'task': 'detect'}"), "it does pose, stable does detect"},
        {CONFIG("{'names': {0: 'person'}}"), "{}", NULL},
        {"{\"parameters\":[]}", CONFIG("{'names': ['person']}"), NULL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct declaration own = {0}, stable = {0};
        struct serin_error error;

        assert_int_equal(declaration_read_config(cases[i].own, strlen(cases[i].own), &own, NULL), SERIN_OK);
        assert_int_equal(declaration_read_config(cases[i].stable, strlen(cases[i].stable), &stable, NULL), SERIN_OK);
        assert_int_equal(declaration_has_classes(&own), strstr(cases[i].own, "names") != NULL);
        expect(declaration_compare_classes(&own, &stable, &error), &error, cases[i].part);
        declaration_done(&own);
        declaration_done(&stable);
    }
}

static void classes_are_written_by_number(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {CONFIG("{'names': {1: 'car', 0: 'person'}}"), "[\"person\",\"car\"]"},
        {CONFIG("{'names': ['a \\\"b\\\"']}"), "[\"a \\\"b\\\"\"]"},
        {CONFIG("{'task': 'detect'}"), "[]"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct declaration declaration = {0};
        struct buffer out;

        buffer_init(&out, 1000);
        assert_int_equal(declaration_read_config(cases[i].text, strlen(cases[i].text), &declaration, NULL), SERIN_OK);
        declaration_write_classes(&declaration, &out);
        assert_string_equal(out.bytes, cases[i].json);
        buffer_done(&out);
        declaration_done(&declaration);
    }
}

static void bad_configurations_are_named(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"garbage", "no JSON"},
        {CONFIG("{'names': "), ""},
        {CONFIG("{'names': 7}"), "neither a dict nor a list"},
        {CONFIG("{'names': [7]}"), "the name of class 0 is no text"},
        {CONFIG("{'names': {'0': 'person'}}"), "the number of a class is none"},
        {CONFIG("{'names': {0: 'person', 2: 'car'}}"), "its 2 classes are not numbered from 0 on"},
        {CONFIG("{'names': {0: 'person', 0: 'car'}}"), "not numbered from 0 on"},
        {CONFIG("{'task': 7}"), "its task is no text"},
    };
    struct declaration declaration = {0};
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(declaration_read_config(cases[i].text, strlen(cases[i].text), &declaration, &error), &error,
               cases[i].part);
    assert_false(declaration_has_classes(&declaration));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_metadata_is_named),        cmocka_unit_test(too_many_tensors_are_refused),
        cmocka_unit_test(what_differs_is_named),        cmocka_unit_test(order_is_nothing),
        cmocka_unit_test(a_long_shape_is_cut),          cmocka_unit_test(classes_are_compared_by_number),
        cmocka_unit_test(bad_configurations_are_named), cmocka_unit_test(classes_are_written_by_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
