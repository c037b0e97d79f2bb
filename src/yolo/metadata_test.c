/*
 * metadata_test.c - both sources of metadata, and the sentences that bad ones get.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/metadata.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* user: key, value, key, value, ..., NULL. */
static const char *find(const void *user, const char *key)
{
    const char *const *pairs = user;

    for (; *pairs; pairs += 2)
        if (strcmp(pairs[0], key) == 0)
            return pairs[1];
    return NULL;
}

static void an_exporters_metadata_is_read(void **state)
{
    static const char *const pairs[] = {
        "description",
        "Ultralytics YOLOv8n-pose\nmodel",
        "author",
        "Ultralytics",
        "version",
        "8.4.190",
        "license",
        "AGPL-3.0 License (https://ultralytics.com/license)",
        "stride",
        "32",
        "task",
        "pose",
        "head",
        "Pose",
        "batch",
        "4",
        "imgsz",
        "[480, 640]",
        "names",
        "{1: \"driver's cab\", 0: 'person', 2: 911}",
        "args",
        "{'batch': 4, 'half': False, 'dynamic': True, 'simplify': True, 'opset': None, 'nms': False}",
        "channels",
        "3",
        "end2end",
        "False",
        "kpt_shape",
        "[17, 3]",
        "anything else",
        "(((",
        NULL};
    struct yolo_metadata metadata = {0};
    struct serin_error error = {0};

    (void)state;
    if (metadata_read(find, pairs, &metadata, &error))
        fail_msg("%s", error.message);
    assert_true(metadata.has_task);
    assert_int_equal(metadata.task, SERIN_POSE);
    assert_int_equal(metadata.class_count, 3);
    assert_string_equal(metadata.class_names[0], "person");
    assert_string_equal(metadata.class_names[1], "driver's cab");
    assert_string_equal(metadata.class_names[2], "911");
    assert_int_equal(metadata.stride, 32);
    assert_int_equal(metadata.input_height, 480);
    assert_int_equal(metadata.input_width, 640);
    assert_int_equal(metadata.batch, 4);
    assert_int_equal(metadata.channels, 3);
    assert_int_equal(metadata.keypoint_count, 17);
    assert_int_equal(metadata.keypoint_dims, 3);
    assert_false(metadata.end_to_end);
    assert_true(metadata.dynamic);
    assert_string_equal(metadata.description, "Ultralytics YOLOv8n-pose model");
    assert_string_equal(metadata.version, "8.4.190");
    metadata_done(&metadata);
    metadata_done(&metadata);
}

static void other_forms_mean_the_same(void **state)
{
    static const char *const first[] = {"stride",  "[8., 16., 32.0]", "imgsz", "320",           "names", "['a', 'a']",
                                        "end2end", "False",           "args",  "{'nms': True}", NULL};
    static const char *const second[] = {
        "stride",  "32.0", "imgsz", "(320, 640)",    "names", "{\"0\": \"a\", \"1\": true}",
        "end2end", "true", "args",  "{'nms': None}", NULL};
    static const char *const nothing[] = {NULL};
    struct yolo_metadata metadata = {0};

    (void)state;
    assert_int_equal(metadata_read(find, first, &metadata, NULL), SERIN_OK);
    assert_int_equal(metadata.stride, 32);
    assert_int_equal(metadata.input_height, 320);
    assert_int_equal(metadata.input_width, 320);
    assert_int_equal(metadata.class_count, 2);
    assert_true(metadata.end_to_end);
    metadata_done(&metadata);
    assert_int_equal(metadata_read(find, second, &metadata, NULL), SERIN_OK);
    assert_int_equal(metadata.stride, 32);
    assert_int_equal(metadata.input_width, 640);
    assert_string_equal(metadata.class_names[1], "True");
    assert_true(metadata.end_to_end);
    metadata_done(&metadata);
    assert_int_equal(metadata_read(find, nothing, &metadata, NULL), SERIN_OK);
    assert_false(metadata.has_task);
    assert_null(metadata.class_names);
    metadata_done(&metadata);
}

static void absurd_values_are_errors_that_name_key_value_and_limit(void **state)
{
    static const struct {
        const char *key, *value;
        enum serin_errc code;
        const char *part;
    } rows[] = {
        {"task", "detcet", SERIN_UNSUPPORTED,
         "'detcet' is none of detect, segment, pose, classify, obb (did you mean detect?)"},
        {"task", "depth", SERIN_UNSUPPORTED, "is none of"},
        {"task", "", SERIN_UNSUPPORTED, "is none of"},
        {"stride", "0", SERIN_LIMIT, "0 is not from 1 to 512"},
        {"stride", "-1", SERIN_LIMIT, "-1 is not from 1 to 512"},
        {"stride", "1e9", SERIN_LIMIT, "1e+09 is not from 1 to 512"},
        {"stride", "1000000000", SERIN_LIMIT, "1000000000 is not from 1 to 512"},
        {"stride", "32.5", SERIN_CORRUPT, "32.5 is not a whole number"},
        {"stride", "[]", SERIN_CORRUPT, "a list of 0"},
        {"stride", "[8, 'x']", SERIN_CORRUPT, "is text where a whole number"},
        {"stride", "__import__(\"os\")", SERIN_CORRUPT, "nothing is evaluated"},
        {"stride", "True", SERIN_CORRUPT, "a truth value"},
        {"imgsz", "0", SERIN_LIMIT, "0 is not from 1 to 16384"},
        {"imgsz", "[640, 70000]", SERIN_LIMIT, "70000 is not from 1 to 16384"},
        {"imgsz", "[1, 2, 3]", SERIN_CORRUPT, "a list of 3, expected [height, width]"},
        {"imgsz", "{}", SERIN_CORRUPT, "a dict"},
        {"batch", "0", SERIN_LIMIT, "0 is not from 1"},
        {"channels", "-3", SERIN_LIMIT, "-3 is not from 1"},
        {"kpt_shape", "[17]", SERIN_CORRUPT, "[keypoints, 2 or 3]"},
        {"kpt_shape", "[513, 3]", SERIN_LIMIT, "513 is not from 1 to 512"},
        {"kpt_shape", "[17, 1]", SERIN_CORRUPT, "expected 2 or 3"},
        {"kpt_shape", "[17, 4]", SERIN_LIMIT, "4 is not from 1 to 3"},
        {"end2end", "'no'", SERIN_CORRUPT, "True or False"},
        {"args", "[]", SERIN_CORRUPT, "a dict was expected"},
        {"args", "{'nms': 'x'}", SERIN_CORRUPT, "nms: is text"},
        {"args", "{'dynamic': 2}", SERIN_CORRUPT, "dynamic: is a whole number"},
        {"names", "{}", SERIN_CORRUPT, "no class at all"},
        {"names", "[]", SERIN_CORRUPT, "no class at all"},
        {"names", "'person'", SERIN_CORRUPT, "a dict or a list"},
        {"names", "{0: 'a', 2: 'b'}", SERIN_CORRUPT, "class 1 has no name and there is a class 2"},
        {"names", "{1: 'a', 2: 'b'}", SERIN_CORRUPT, "class 0 has no name"},
        {"names", "{0: 'a', 0: 'b'}", SERIN_CORRUPT, "class 0 has two names"},
        {"names", "{0: 'a', -1: 'b'}", SERIN_CORRUPT, "key 1 is not a class number"},
        {"names", "{0: 'a', '01': 'b'}", SERIN_CORRUPT, "key 1 is not a class number"},
        {"names", "{0: 'a', None: 'b'}", SERIN_CORRUPT, "key 1 is not a class number"},
        {"names", "{0: None}", SERIN_CORRUPT, "class 0: is None where text"},
        {"names", "{0: [1]}", SERIN_CORRUPT, "class 0: is a list"},
        {"names", "{0: 'a\\x1b[2J'}", SERIN_CORRUPT, "class 0: control character at byte 1"},
        {"names", "{0: 'a\\x9b2J'}", SERIN_CORRUPT, "class 0: control character at byte 1"},
        {"names", "{0: 'person'", SERIN_CORRUPT, "ends at byte 12"},
        {"description", "caf\xe9", SERIN_CORRUPT, "byte 3 (0xe9) of a text is not UTF-8"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const pairs[] = {rows[i].key, rows[i].value, NULL};
        struct yolo_metadata metadata = {.stride = 77};
        struct serin_error error = {0};
        char start[64];

        snprintf(start, sizeof(start), "metadata '%s': ", rows[i].key);
        if (metadata_read(find, pairs, &metadata, &error) != rows[i].code || !strstr(error.message, rows[i].part) ||
            strncmp(error.message, start, strlen(start)) != 0)
            fail_msg("%s=%s: %d '%s', expected %d '%s'", rows[i].key, rows[i].value, error.code, error.message,
                     rows[i].code, rows[i].part);
        assert_int_equal(metadata.stride, 77); /* written on success only */
    }
}

static void class_names_are_bounded_in_length_and_number(void **state)
{
    char *text = malloc(1 << 20), *end;
    const char *pairs[] = {"names", text, NULL};
    struct yolo_metadata metadata = {0};
    struct serin_error error;
    int i;

    (void)state;
    end = text + sprintf(text, "['");
    memset(end, 'x', YOLO_MAX_NAME_BYTES + 1);
    strcpy(end + YOLO_MAX_NAME_BYTES, "']");
    assert_int_equal(metadata_read(find, pairs, &metadata, &error), SERIN_OK);
    metadata_done(&metadata);
    strcpy(end + YOLO_MAX_NAME_BYTES, "x']");
    assert_int_equal(metadata_read(find, pairs, &metadata, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "longer than 256 bytes"));
    end = text;
    *end++ = '[';
    for (i = 0; i <= YOLO_MAX_CLASSES; i++)
        end += sprintf(end, "'%d',", i % 10);
    strcpy(end, "]");
    assert_int_equal(metadata_read(find, pairs, &metadata, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "65537 classes, the limit is 65536"));
    strcpy(end - 4, "]");
    assert_int_equal(metadata_read(find, pairs, &metadata, &error), SERIN_OK);
    assert_int_equal(metadata.class_count, YOLO_MAX_CLASSES);
    metadata_done(&metadata);
    end = text; /* a dict of as many fits the literal's limits too */
    *end++ = '{';
    for (i = 0; i < YOLO_MAX_CLASSES; i++)
        end += sprintf(end, "%d:'%d',", YOLO_MAX_CLASSES - 1 - i, i % 10);
    strcpy(end, "}");
    assert_int_equal(metadata_read(find, pairs, &metadata, &error), SERIN_OK);
    assert_string_equal(metadata.class_names[YOLO_MAX_CLASSES - 1], "0");
    metadata_done(&metadata);
    free(text);
}

static enum serin_errc sidecar(const char *yaml, struct yolo_metadata *metadata, struct serin_error *error)
{
    return metadata_read_sidecar(yaml, strlen(yaml), metadata, error);
}

static void a_sidecar_wins_where_both_speak(void **state)
{
    static const char *const pairs[] = {"stride",  "32",   "task",  "detect",     "names", "{0: 'a'}",
                                        "end2end", "True", "imgsz", "[640, 640]", NULL};
    static const char yaml[] = "# made by hand\n"
                               "task: segment\n"
                               "version: 8.10\n"
                               "date: '2026-01-01'\n"
                               "names:\n"
                               "  0: person\n"
                               "  1: no\n"
                               "  2: 'true'\n"
                               "  3: 911\n"
                               "imgsz: [320, 640]\n"
                               "end2end: false\n"
                               "args: {dynamic: true, nms: null}\n";
    struct yolo_metadata metadata = {0};
    struct serin_error error = {0};

    (void)state;
    assert_int_equal(metadata_read(find, pairs, &metadata, &error), SERIN_OK);
    assert_true(metadata.end_to_end);
    if (sidecar(yaml, &metadata, &error))
        fail_msg("%s", error.message);
    assert_int_equal(metadata.task, SERIN_SEGMENT);
    assert_int_equal(metadata.stride, 32);
    assert_int_equal(metadata.input_height, 320);
    assert_int_equal(metadata.class_count, 4);
    assert_string_equal(metadata.class_names[1], "no");
    assert_string_equal(metadata.class_names[2], "true");
    assert_string_equal(metadata.class_names[3], "911");
    assert_string_equal(metadata.version, "8.10");
    assert_false(metadata.end_to_end);
    assert_true(metadata.dynamic);
    assert_int_equal(sidecar("names: [x, y]\n", &metadata, &error), SERIN_OK);
    assert_int_equal(metadata.class_count, 2);
    assert_int_equal(metadata.stride, 32);
    metadata_done(&metadata);
}

static void a_bad_sidecar_names_its_line(void **state)
{
    static const struct {
        const char *yaml;
        enum serin_errc code;
        const char *part;
    } rows[] = {
        {"", SERIN_CORRUPT, "nothing in it"},
        {"task: detect\nstirde: 32\n", SERIN_INVALID, "line 2: 'stirde': unknown key: did you mean 'stride'?"},
        {"task: detect\ncolour: 32\n", SERIN_INVALID, "line 2: 'colour': unknown key"},
        {"task: detect\nstride: 0\n", SERIN_LIMIT, "line 2: 'stride': 0 is not from 1 to 512"},
        {"task: detect\ntask: segment\n", SERIN_CORRUPT, "line 2: 'task' is there twice, first in line 1"},
        {"task: [detect]\n", SERIN_CORRUPT, "line 1: 'task': is a list where text was expected"},
        {"names: &a [x, y]\nstride: 8\n", SERIN_UNSUPPORTED, "line 1: anchors"},
        {"names: *a\n", SERIN_UNSUPPORTED, "line 1: anchors, aliases and tags"},
        {"names: !!python/object/apply:os.system ['id']\n", SERIN_UNSUPPORTED, "line 1: anchors"},
        {"names: [[[[[[[[[[1]]]]]]]]]]\n", SERIN_LIMIT, "line 1: nested deeper than 8"},
        {"names: {[a]: b}\n", SERIN_CORRUPT, "a key that is a list"},
        {"names: {0: a, 5: b}\n", SERIN_CORRUPT, "class 1 has no name"},
        {"names: [a\n", SERIN_CORRUPT, "line 2: did not find expected"},
        {"- a\n- b\n", SERIN_CORRUPT, "keys with values"},
        {"just text", SERIN_CORRUPT, "keys with values"},
        {"[a]: b\n", SERIN_CORRUPT, "a key that is not text"},
        {"task: detect\n---\ntask: pose\n", SERIN_CORRUPT, "a second document"},
        {"task: \"a\\0b\"\n", SERIN_CORRUPT, "NUL"},
        {"names: [\"a\\eb\"]\n", SERIN_CORRUPT, "control character"},
        {"task: \xff\xfe\n", SERIN_CORRUPT, "line 1"},
        {"\t- x: {", SERIN_CORRUPT, "line"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct yolo_metadata metadata = {0};
        struct serin_error error = {0};

        if (sidecar(rows[i].yaml, &metadata, &error) != rows[i].code || !strstr(error.message, rows[i].part))
            fail_msg("%s: %d '%s', expected %d '%s'", rows[i].yaml, error.code, error.message, rows[i].code,
                     rows[i].part);
        metadata_done(&metadata);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exporters_metadata_is_read),
        cmocka_unit_test(other_forms_mean_the_same),
        cmocka_unit_test(absurd_values_are_errors_that_name_key_value_and_limit),
        cmocka_unit_test(class_names_are_bounded_in_length_and_number),
        cmocka_unit_test(a_sidecar_wins_where_both_speak),
        cmocka_unit_test(a_bad_sidecar_names_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
