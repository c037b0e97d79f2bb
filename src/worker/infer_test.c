/*
 * infer_test.c - requests of the Open Inference Protocol, good and bad, and its answers to the byte.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/infer.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const class_names[] = {"person", "car"};
static struct engine_interface interface = {
    .input_count = 1,
    .output_count = 2,
    .inputs = {{.name = "images", .type = TENSOR_F32, .rank = 4, .shape = {-1, 3, 2, 4}}},
    .outputs = {{.name = "output0", .type = TENSOR_F32, .rank = 2, .shape = {-1, 3}},
                {.name = "output1", .type = TENSOR_F16, .rank = 2, .shape = {-1, 2}}},
};
static const struct serin_yolo_info info = {
    .class_count = 2, .class_names = class_names, .input_height = 2, .input_width = 4, .stride = 1};
static const struct infer_model model = {
    .name = "m", .version = "v1", .interface = &interface, .info = &info, .max_batch = 4, .max_input_px = 64};

#define ONE24       "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]"
#define INPUT(rest) "{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,2,4]," rest "}]}"

static struct parameters parameters;

static enum serin_errc read_text(const char *text, struct infer_request *ret, struct serin_error *error)
{
    struct serin_predict_options defaults = {.conf = 0.25f, .iou = 0.7, .max_det = 300};

    parameters_init(&parameters, &defaults);
    return infer_read(&model, (const uint8_t *)text, strlen(text), INFER_WHOLE, &parameters, ret, error);
}

static void test_json_tensors(void **state)
{
    struct infer_request request = {0};
    struct serin_error error;
    float values[24];
    int i;

    (void)state;
    assert_int_equal(read_text("{\"id\":\"a\\u00e9\",\"parameters\":{\"priority\":2,\"timeout\":1500,\"conf\":0.5,"
                               "\"classes\":[0,\"car\"],\"imgsz\":[32,64],\"other\":{}},"
                               "\"inputs\":[{\"name\":\"images\",\"shape\":[1,3,2,4],\"datatype\":\"FP32\","
                               "\"data\":[[[0,1,2,3],[4,5,6,7]],[[8,9,10,11],[12,13,14,15]],\n"
                               "[[16 , 17,18,1.9e1],[20,21,22,-2.5]]]}],"
                               "\"outputs\":[{\"name\":\"output1\",\"parameters\":{\"binary_data\":true}},"
                               "{\"name\":\"output0\"}]}",
                               &request, &error),
                     SERIN_OK);
    assert_string_equal(request.id, "a\xc3\xa9");
    assert_true(request.has_id && !request.images);
    assert_int_equal(request.output_count, 2);
    assert_true(request.outputs[0].index == 1 && request.outputs[0].binary);
    assert_true(request.outputs[1].index == 0 && !request.outputs[1].binary);
    assert_int_equal(parameters.priority, 2);
    assert_int_equal(parameters.timeout_us, 1500);
    assert_float_equal(parameters.options.conf, 0.5, 0);
    assert_int_equal(parameters.options.class_count, 2);
    assert_int_equal(parameters.options.classes[1], 1);
    assert_int_equal(parameters.options.input_height, 32);
    assert_int_equal(infer_input_bytes(&model, &request), sizeof(values));
    assert_int_equal(infer_fill(&model, &request, values, &error), SERIN_OK);
    for (i = 0; i < 23; i++)
        assert_float_equal(values[i], (float)i, 0);
    assert_float_equal(values[23], -2.5, 0);
    infer_request_done(&request);
}

static void test_binary_tensors(void **state)
{
    static const char json[] = INPUT("\"parameters\":{\"binary_data_size\":96}");
    struct infer_request request = {0};
    struct serin_error error;
    uint8_t body[sizeof(json) - 1 + 96];
    float values[24], got[24];
    int i;

    (void)state;
    for (i = 0; i < 24; i++)
        values[i] = (float)i / 7;
    memcpy(body, json, sizeof(json) - 1);
    memcpy(body + sizeof(json) - 1, values, sizeof(values));
    assert_int_equal(infer_read(&model, body, sizeof(body), sizeof(json) - 1, &parameters, &request, &error), SERIN_OK);
    assert_int_equal(request.output_count, 2); /* none named: all, as JSON */
    assert_false(request.outputs[0].binary || request.outputs[1].binary);
    assert_int_equal(infer_fill(&model, &request, got, &error), SERIN_OK);
    assert_memory_equal(got, values, sizeof(values));
    /* One byte less behind the JSON, or one more claimed. */
    assert_int_equal(infer_read(&model, body, sizeof(body) - 1, sizeof(json) - 1, &parameters, &request, &error),
                     SERIN_INVALID);
    assert_int_equal(infer_read(&model, body, sizeof(body), sizeof(body) + 1, &parameters, &request, &error),
                     SERIN_INVALID);
    /* The raw form. */
    assert_int_equal(infer_read(&model, (uint8_t *)values, sizeof(values), 0, &parameters, &request, &error), SERIN_OK);
    assert_true(request.outputs[0].binary && request.outputs[1].binary);
    assert_int_equal(request.shape[0], 1);
    assert_int_equal(infer_read(&model, (uint8_t *)values, sizeof(values) - 4, 0, &parameters, &request, &error),
                     SERIN_INVALID);
}

static void test_bad_requests_are_sentences(void **state)
{
    static const struct {
        const char *json, *part; /* of the sentence */
    } bad[] = {
        {"", "not JSON"},
        {"null", "not JSON"},
        {"[]", "not a JSON object"},
        {"{", "ends too early"},
        {"{\"inputs\":[}", "damaged"},
        {"{\"a\":\"", "damaged"},
        {"{}", "0 inputs"},
        {"{\"inputs\":{}}", "0 inputs"},
        {"{\"inputs\":[1,2]}", "2 inputs"},
        {"{\"inputs\":[1]}", "lacks its name"},
        {INPUT("\"x\":1"), "neither a list of data"},
        {INPUT("\"data\":5"), "neither a list of data"},
        {INPUT("\"data\":[1],\"data\":[2]"), "more than one"},
        {INPUT("\"data\":[1],\"parameters\":{\"binary_data_size\":4}"), "both data and"},
        {INPUT("\"parameters\":{\"binary_data_size\":96}"), "behind the JSON lie 0 bytes"},
        {INPUT("\"parameters\":{\"binary_data_size\":-1}"), "binary_data_size is -1"},
        {INPUT("\"parameters\":{\"shared_memory_region\":\"r\"}"), "shared memory"},
        {"{\"id\":7,\"inputs\":[]}", "id is not a text"},
        {"{\"id\":\"a\\u0000b\",\"inputs\":[]}", "not JSON"},
        {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3,2,4],\"data\":[]}]}", "'images'"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP16\",\"shape\":[1,3,2,4],\"data\":[]}]}", "is FP16"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[],\"data\":[]}]}", "shape"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,2.5],\"data\":[]}]}", "whole numbers"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[3,2,4],\"data\":[]}]}", "3 dimensions"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[5,3,2,4],\"data\":[]}]}", "batch of 5"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[0,3,2,4],\"data\":[]}]}", "batch of 0"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,1,2,4],\"data\":[]}]}", "channels"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,2,5],\"data\":[]}]}", "width is 5"},
        {"{\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,9223372036854775807,4],\"data\":[]}]}",
         "height is 9223372036854775807"},
        {"{\"inputs\":[{\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":[65],\"data\":[]}]}", "1 to 64"},
        {"{\"inputs\":[{\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"AA==\"]}]}", "says 2"},
        {"{\"inputs\":[{\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"A\"]}]}", "says 1"},
        {"{\"outputs\":[{\"name\":\"nope\"}],\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":"
         "[1,3,2,4],\"data\":[1]}]}",
         "'nope'"},
        {"{\"outputs\":3,\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,2,4],\"data\":[1]}]}",
         "outputs is not"},
        {"{\"parameters\":{\"conf\":2},\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,2,4],"
         "\"data\":[1]}]}",
         "conf"},
        {"{\"parameters\":{\"conf\":{}},\"inputs\":[{\"name\":\"images\",\"datatype\":\"FP32\",\"shape\":[1,3,2,4],"
         "\"data\":[1]}]}",
         "conf"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "damaged"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct infer_request request = {0};
        struct serin_error error = {0};

        if (read_text(bad[i].json, &request, &error) == SERIN_OK || !strstr(error.message, bad[i].part))
            fail_msg("%s: '%s', expected '%s'", bad[i].json, error.message, bad[i].part);
    }
}

static void test_bad_numbers(void **state)
{
    static const char *const bad[] = {"[]",        "[1]",
                                      "[1,2,3]",   "[1,,2]",
                                      "[1 2]",     "[,1,2]",
                                      "[1,2,]",    "1,2]",
                                      "[1,2]]",    "[[1,2]",
                                      "[1,nan]",   "[1,0x10]",
                                      "[1,1e999]", "[1,\"2\"]",
                                      "[1,--2]",   "[1,1-2]",
                                      "[1,null]",  "[[],1,2]",
                                      "[1,2,[]]",  "[1,[2]3]",
                                      "[1,1.2.3]", "[1,e]",
                                      "[1,2]x",    "[1,inf]",
                                      "[1,{}]",    "[[[[[[[1,2]]]]]]]"};
    static const char *const good[] = {"[1,2]", " [ 1 ,\n2 ] ", "[[1],[2]]", "[[[[[[1,2]]]]]]", "[1.0,2e0]"};
    struct serin_error error;
    float values[2];
    uint8_t bytes[2];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct infer_slice data = {(const uint8_t *)bad[i], strlen(bad[i])};

        if (infer_read_numbers(data, TENSOR_F32, values, 2, &error) != SERIN_INVALID)
            fail_msg("%s was taken", bad[i]);
    }
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct infer_slice data = {(const uint8_t *)good[i], strlen(good[i])};

        assert_int_equal(infer_read_numbers(data, TENSOR_F32, values, 2, &error), SERIN_OK);
        assert_true(values[0] == 1 && values[1] == 2);
        assert_int_equal(infer_read_numbers(data, TENSOR_U8, bytes, 2, &error), SERIN_OK);
        assert_true(bytes[0] == 1 && bytes[1] == 2);
    }
    for (i = 0; i < 3; i++) {
        static const char *const wrong[] = {"[1,256]", "[1,-1]", "[1,1.5]"};
        struct infer_slice data = {(const uint8_t *)wrong[i], strlen(wrong[i])};

        assert_int_equal(infer_read_numbers(data, TENSOR_U8, bytes, 2, &error), SERIN_INVALID);
    }
    assert_int_equal(
        infer_read_numbers((struct infer_slice){(const uint8_t *)"[1,2]", 5}, TENSOR_F16, bytes, 2, &error),
        SERIN_INVALID);
}

static void test_images_as_elements(void **state)
{
    static const char json[] = "{\"inputs\":[{\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":[2,1],"
                               "\"parameters\":{\"binary_data_size\":%d}}]}";
    static const uint8_t elements[] = {3, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0};
    static const int sizes[] = {11, 3}; /* with the prefixes, and without: both are seen */
    struct infer_request request = {0};
    struct serin_error error;
    char body[256];
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        size_t length = (size_t)snprintf(body, sizeof(body), json, sizes[i]);

        memcpy(body + length, elements, sizeof(elements));
        assert_int_equal(
            infer_read(&model, (uint8_t *)body, length + sizeof(elements), length, &parameters, &request, &error),
            SERIN_OK);
        assert_true(request.images && request.image_count == 2);
        assert_int_equal(request.pictures[0].size, 3);
        assert_memory_equal(request.pictures[0].bytes, "abc", 3);
        assert_int_equal(request.pictures[1].size, 0);
    }
    assert_int_equal(infer_read_elements((struct infer_slice){elements, 10}, 2, request.pictures, &error),
                     SERIN_INVALID);
    assert_int_equal(infer_read_elements((struct infer_slice){elements, 11}, 1, request.pictures, &error),
                     SERIN_INVALID);
    assert_int_equal(
        infer_read_elements((struct infer_slice){(const uint8_t *)"\xff\xff\xff\xff", 4}, 1, request.pictures, &error),
        SERIN_INVALID);
}

static void test_images_as_base64(void **state)
{
    struct infer_request request = {0};
    struct serin_error error;

    (void)state;
    /* RFC 4648, section 10, and a slash as JSON may write it */
    assert_int_equal(read_text("{\"inputs\":[{\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":[5],\"data\":"
                               "[\"Zm9vYmFy\", \"Zm9vYg==\",\"Zm9vYmE=\" ,\"\",\"\\/\\/8=\"]}]}",
                               &request, &error),
                     SERIN_OK);
    assert_memory_equal(request.pictures[0].bytes, "foobar", 6);
    assert_memory_equal(request.pictures[1].bytes, "foob", 4);
    assert_int_equal(request.pictures[1].size, 4);
    assert_memory_equal(request.pictures[2].bytes, "fooba", 5);
    assert_int_equal(request.pictures[3].size, 0);
    assert_memory_equal(request.pictures[4].bytes, "\xff\xff", 2);
    infer_request_done(&request);
}

static void test_a_key_that_looks_like_data_is_left_alone(void **state)
{
    static const char *const texts[] = {
        "{\"data\":[1],\"parameters\":[{\"data\":[2]}],\"inputs\":[{\"a\":{\"data\":[3]}}]}",
        "{\"inputs\":[{\"name\":\"data\",\"x\":\"\\\"data\\\":[1]\"}]}",
    };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct infer_slice cut = {0};
        struct serin_error error;
        struct buffer out;

        buffer_init(&out, 1000);
        assert_int_equal(infer_cut_data(texts[i], strlen(texts[i]), &out, &cut, &error), SERIN_OK);
        assert_null(cut.bytes);
        assert_string_equal(out.bytes, texts[i]);
        buffer_done(&out);
    }
}

static void test_json_without_its_data_is_bounded(void **state)
{
    size_t size = 2 * INFER_MAX_JSON_BYTES;
    struct infer_request request = {0};
    struct serin_error error;
    char *text = malloc(size);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', size);
    text[0] = '{';
    text[size - 1] = '}';
    assert_int_equal(infer_read(&model, (uint8_t *)text, size, INFER_WHOLE, &parameters, &request, &error),
                     SERIN_LIMIT);
    free(text);
}

static void test_answers_to_the_byte(void **state)
{
    static const char expected[] =
        "{\"id\":\"42\",\"model_name\":\"m\",\"model_version\":\"v1\",\"outputs\":["
        "{\"name\":\"output0\",\"datatype\":\"FP32\",\"shape\":[2,3],\"data\":[3,4,0.100000001,6,7,8]},"
        "{\"name\":\"output1\",\"datatype\":\"FP16\",\"shape\":[2,2],\"parameters\":{\"binary_data_size\":8}}]}"
        "\2\0\3\0\4\0\5\0";
    float singles[12] = {0, 1, 2, 3, 4, 0.1f, 6, 7, 8, 9, 10, 11};
    uint16_t halves[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const struct engine_outputs outputs = {
        .count = 2,
        .tensors = {{.type = TENSOR_F32, .rank = 2, .shape = {4, 3}, .values = singles},
                    {.type = TENSOR_F16, .rank = 2, .shape = {4, 2}, .values = halves}}};
    struct infer_request request = {
        .id = "42", .has_id = true, .shape = {2, 3, 2, 4}, .output_count = 2, .outputs = {{0, false}, {1, true}}};
    struct serin_error error;
    struct bytes *answer = NULL;
    size_t json_size = 0;

    (void)state;
    /* Two pictures, the second and third of a batch of four. */
    assert_int_equal(infer_answer_tensors(&model, &request, &outputs, 1, 4, &answer, &json_size, &error), SERIN_OK);
    assert_int_equal(answer->size, sizeof(expected) - 1);
    assert_memory_equal(answer->data, expected, sizeof(expected) - 1);
    assert_int_equal(json_size, sizeof(expected) - 1 - 8);
    bytes_drop(answer);
    request.outputs[1].binary = false; /* FP16 has no form in JSON */
    assert_int_equal(infer_answer_tensors(&model, &request, &outputs, 1, 4, &answer, &json_size, &error),
                     SERIN_INVALID);
    request.output_count = 1;
    singles[4] = (float)strtod("nan", NULL);
    assert_int_equal(infer_answer_tensors(&model, &request, &outputs, 1, 4, &answer, &json_size, &error),
                     SERIN_INVALID);
    assert_int_equal(infer_answer_tensors(&model, &request, &outputs, 0, 2, &answer, &json_size, &error), SERIN_MODEL);
}

static void test_answers_to_images(void **state)
{
    static const char json[] =
        "{\"model_name\":\"m\",\"model_version\":\"v1\",\"outputs\":[{\"name\":\"detections\",\"datatype\":\"BYTES\","
        "\"shape\":[2],\"data\":[\"[]\",\"[{\\\"name\\\":\\\"car\\\"}]\"]}]}";
    static const char binary[] =
        "{\"model_name\":\"m\",\"model_version\":\"v1\",\"outputs\":[{\"name\":\"detections\",\"datatype\":\"BYTES\","
        "\"shape\":[2],\"parameters\":{\"binary_data_size\":26}}]}\2\0\0\0[]\20\0\0\0[{\"name\":\"car\"}]";
    static const char *const texts[] = {"[]", "[{\"name\":\"car\"}]"};
    struct infer_request request = {.images = true, .image_count = 2, .output_count = 1};
    struct serin_error error;
    struct bytes *answer = NULL;
    size_t json_size = 0;

    (void)state;
    assert_int_equal(infer_answer_images(&model, &request, texts, &answer, &json_size, &error), SERIN_OK);
    assert_int_equal(json_size, answer->size);
    assert_int_equal(answer->size, sizeof(json) - 1);
    assert_memory_equal(answer->data, json, sizeof(json) - 1);
    bytes_drop(answer);
    request.outputs[0].binary = true;
    assert_int_equal(infer_answer_images(&model, &request, texts, &answer, &json_size, &error), SERIN_OK);
    assert_int_equal(answer->size, sizeof(binary) - 1);
    assert_memory_equal(answer->data, binary, sizeof(binary) - 1);
    assert_int_equal(json_size, sizeof(binary) - 1 - 26);
    bytes_drop(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_tensors),
        cmocka_unit_test(test_binary_tensors),
        cmocka_unit_test(test_bad_requests_are_sentences),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_images_as_elements),
        cmocka_unit_test(test_images_as_base64),
        cmocka_unit_test(test_a_key_that_looks_like_data_is_left_alone),
        cmocka_unit_test(test_json_without_its_data_is_bounded),
        cmocka_unit_test(test_answers_to_the_byte),
        cmocka_unit_test(test_answers_to_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
