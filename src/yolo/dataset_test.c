/*
 * dataset_test.c - good data sets read right, and a table of bad ones with what is said of each.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "yolo/dataset.c"

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const two_names[] = {"cat", "dog"};

static struct serin_yolo_info model_of(enum serin_task task)
{
    struct serin_yolo_info model = {.task = task, .class_count = 2, .class_names = two_names};

    if (task == SERIN_POSE) {
        model.keypoint_count = 2;
        model.keypoint_dims = 3;
    }
    return model;
}

/* ---- a data set in a temporary folder, given as pairs of name and text ---- */

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[512], *slash;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(path, 0755);
    }
    assert_int_equal(file_write(path, text, strlen(text), NULL), SERIN_OK);
}

static int new_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/serin-dataset-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static int drop_folder(void **state)
{
    (void)state;
    return nftw(folder, drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum serin_errc open_it(const char *name, enum serin_task task, struct dataset **ret, struct serin_error *error)
{
    struct serin_yolo_info model = model_of(task);
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return dataset_open(path, &model, ret, error);
}

static struct dataset *opened(const char *name, enum serin_task task)
{
    struct serin_error error = {0};
    struct dataset *dataset = NULL;

    if (open_it(name, task, &dataset, &error))
        fail_msg("%s", error.message);
    return dataset;
}

#define YAML "path: .\nval: images\nnames: [cat, dog]\n"

/* ---- good ones ---- */

static void yolo_boxes_become_pixels(void **state)
{
    struct serin_yolo_info model = model_of(SERIN_DETECT);
    struct dataset_truths truths;
    struct dataset *dataset;

    (void)state;
    put("data.yaml", YAML);
    put("images/b.jpg", "");
    put("images/sub/images/a.PNG", "");
    put("images/.hidden.jpg", "");
    put("images/notes.txt", "");
    put("images/sub/labels/a.txt", "\xef\xbb\xbf"
                                   "1 .5 0.5 .5 .25\r\n\n0 0.25 0.5 0.1 0.2\n1 .5 .5 5e-1 .25");
    dataset = opened("data.yaml", SERIN_DETECT);
    assert_int_equal(dataset->image_count, 2);
    assert_non_null(strstr(dataset->images[0].path, "/images/b.jpg"));
    assert_int_equal(dataset->images[0].object_count, 0);
    assert_int_equal(dataset->images[1].object_count, 2);
    assert_int_equal(dataset->duplicates, 1);
    assert_int_equal(dataset_scale(&dataset->images[1], &model, 400, 200, &truths, NULL), SERIN_OK);
    assert_int_equal(truths.count, 2);
    assert_int_equal(truths.truths[0].class_id, 1);
    assert_true(truths.truths[0].box[0] == 100 && truths.truths[0].box[1] == 75);
    assert_true(truths.truths[0].box[2] == 200 && truths.truths[0].box[3] == 50);
    assert_true(truths.truths[0].area == 10000);
    dataset_truths_done(&truths);
    dataset_free(dataset);
}

static void a_list_and_a_subset_of_the_classes(void **state)
{
    struct dataset *dataset;

    (void)state;
    put("lists/val.txt", "./x/images/a.jpg\n./x/images/b.jpg\r\n\n");
    put("lists/x/labels/b.txt", "0 .1 .1 .1 .1\n");
    put("data.yaml", "split: holdout\nholdout:\n  - lists/val.txt\nnames:\n  0: dog\nnc: 1\n");
    dataset = opened("data.yaml", SERIN_DETECT);
    assert_int_equal(dataset->image_count, 2);
    assert_true(dataset->by_name);
    assert_false(dataset->known[0]);
    assert_true(dataset->known[1]);
    assert_int_equal(dataset->images[1].objects[0].class_id, 1);
    dataset_free(dataset);
    put("data.yaml", "val: lists/val.txt\nnames: {1: wolf, 0: lynx}\n");
    dataset = opened("data.yaml", SERIN_DETECT);
    assert_false(dataset->by_name);
    assert_int_equal(dataset->images[1].objects[0].class_id, 0);
    dataset_free(dataset);
}

static void polygons_poses_and_turned_boxes(void **state)
{
    struct serin_yolo_info model;
    struct dataset_truths truths;
    struct dataset *dataset;

    (void)state;
    put("data.yaml", YAML);
    put("images/a.jpg", "");
    put("labels/a.txt", "1 0 0 .5 0 .5 .5 0 .5\n");
    dataset = opened("data.yaml", SERIN_SEGMENT);
    model = model_of(SERIN_SEGMENT);
    assert_int_equal(dataset_scale(&dataset->images[0], &model, 40, 20, &truths, NULL), SERIN_OK);
    assert_true(truths.truths[0].area == 200);
    assert_int_equal(rle_area(truths.truths[0].mask), 200);
    assert_true(truths.truths[0].box[2] == 20 && truths.truths[0].box[3] == 10);
    dataset_truths_done(&truths);
    dataset_free(dataset);
    dataset = opened("data.yaml", SERIN_OBB);
    model = model_of(SERIN_OBB);
    assert_int_equal(dataset_scale(&dataset->images[0], &model, 40, 20, &truths, NULL), SERIN_OK);
    assert_true(truths.points[2] == 20 && truths.points[5] == 10);
    dataset_truths_done(&truths);
    dataset_free(dataset);
    dataset = opened("data.yaml", SERIN_DETECT);
    assert_true(dataset->images[0].objects[0].box[2] == .5);
    dataset_free(dataset);
    put("labels/a.txt", "0 .5 .5 .5 .5 .25 .25 2 .75 .5 0\n");
    dataset = opened("data.yaml", SERIN_POSE);
    model = model_of(SERIN_POSE);
    assert_int_equal(dataset_scale(&dataset->images[0], &model, 40, 20, &truths, NULL), SERIN_OK);
    assert_true(truths.truths[0].keypoints[3] == 30 && truths.truths[0].keypoints[4] == 10);
    assert_true(truths.truths[0].keypoints[2] == 2 && truths.truths[0].keypoints[5] == 0);
    dataset_truths_done(&truths);
    dataset_free(dataset);
}

#define JSON_HEAD                                                                                                      \
    "{\"categories\":[{\"id\":18,\"name\":\"dog\"},{\"id\":17,\"name\":\"cat\"}],\"images\":[{\"id\":9,\"file_name\":" \
    "\"b.jpg\",\"width\":20,\"height\":10},{\"id\":3,\"file_name\":\"a.jpg\",\"width\":20,\"height\":10}],"            \
    "\"annotations\":["
#define ANNOTATION(more) JSON_HEAD "{\"id\":1,\"image_id\":3,\"category_id\":18,\"bbox\":[1,2,3,4]" more "}]}"

static void coco_json_is_read_by_ids(void **state)
{
    struct serin_yolo_info model = model_of(SERIN_SEGMENT);
    struct dataset_truths truths;
    struct serin_error error;
    struct dataset *dataset;

    (void)state;
    put("data.yaml", "annotations: ann.json\nimages: images\n");
    put("images/a.jpg", "");
    put("images/b.jpg", "");
    put("ann.json",
        ANNOTATION(",\"area\":7.5,\"iscrowd\":1,\"segmentation\":{\"size\":[10,20],\"counts\":[50,50,100]}"));
    dataset = opened("data.yaml", SERIN_SEGMENT);
    assert_int_equal(dataset->image_count, 2);
    assert_int_equal(dataset->images[0].id, 3);
    assert_int_equal(dataset_scale(&dataset->images[0], &model, 20, 10, &truths, &error), SERIN_OK);
    assert_int_equal(truths.truths[0].class_id, 1);
    assert_true(truths.truths[0].crowd);
    assert_true(truths.truths[0].area == 7.5);
    assert_int_equal(rle_area(truths.truths[0].mask), 50);
    dataset_truths_done(&truths);
    assert_int_equal(dataset_scale(&dataset->images[0], &model, 21, 10, &truths, &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "annotations are for 20 x 10"));
    dataset_free(dataset);
    put("ann.json", ANNOTATION(",\"segmentation\":[[0,0,5,0,5,5,0,5],[10,0,15,0,15,5,10,5]]"));
    dataset = opened("data.yaml", SERIN_SEGMENT);
    assert_int_equal(rle_area(&dataset->images[0].objects[0].mask), 50);
    dataset_free(dataset);
}

static void classes_are_folders(void **state)
{
    struct dataset *dataset;

    (void)state;
    put("val/dog/1.jpg", "");
    put("val/dog/2.jpg", "");
    put("val/cat/9.jpg", "");
    dataset = opened("", SERIN_CLASSIFY);
    assert_int_equal(dataset->image_count, 3);
    assert_int_equal(dataset->images[0].class_id, 0);
    assert_int_equal(dataset->images[2].class_id, 1);
    dataset_free(dataset);
    put("data.yaml", "val: val\n");
    dataset = opened("data.yaml", SERIN_CLASSIFY);
    assert_int_equal(dataset->image_count, 3);
    dataset_free(dataset);
}

/* ---- bad ones ---- */

static const struct {
    enum serin_task task;
    const char *yaml, *labels, *json, *expected;
} bad[] = {
    {SERIN_DETECT, "val: [images\n", "", "", "data.yaml:2: did not find expected"},
    {SERIN_DETECT, "- a\n- b\n", "", "", "no keys at the top"},
    {SERIN_DETECT, "", "", "", "no keys at the top"},
    {SERIN_DETECT, "names: [cat, dog]\n", "", "", "key 'val' is missing"},
    {SERIN_DETECT, "val: nowhere\nnames: [cat, dog]\n", "", "", "data.yaml:1: val: "},
    {SERIN_DETECT, "val: images\n", "", "", "key 'names' is missing"},
    {SERIN_DETECT, "val: images\nval: images\nnames: [cat, dog]\n", "", "",
     "data.yaml:2: key 'val' for the second time"},
    {SERIN_DETECT, "val: images\nnames: cat\n", "", "", "data.yaml:2: names must be a list or a map"},
    {SERIN_DETECT, "val: images\nnames: []\n", "", "", "0 class names"},
    {SERIN_DETECT, "val: images\nnames: {0: cat, 0: dog}\n", "", "", "class 0 for the second time"},
    {SERIN_DETECT, "val: images\nnames: {0: cat}\n---\nval: b\n", "", "", "data.yaml:4: a second document"},
    {SERIN_DETECT, "val: images\nnames: {0: cat, 5: dog}\n", "", "", "whole number from 0 to 1"},
    {SERIN_DETECT, "val: images\nnc: 3\nnames: [cat, dog]\n", "", "", "data.yaml:2: nc is 3 but there are 2 names"},
    {SERIN_DETECT, "val: images\nnames: [[cat], dog]\n", "", "", "must be text"},
    {SERIN_DETECT, "val: &a [*a]\nnames: [cat, dog]\n", "", "", "data.yaml:1: val must be text"},
    {SERIN_DETECT, "val: images\nnames: [cat, dog, cow]\n", "", "", "not among the model's 2 by name ('cow' is none"},
    {SERIN_POSE, "val: images\nkpt_shape: [17]\nnames: [cat, dog]\n", "", "", "kpt_shape must be"},
    {SERIN_POSE, "val: images\nkpt_shape: [3, 3]\nnames: [cat, dog]\n", "", "", "kpt_shape has 3 points, the model 2"},
    {SERIN_DETECT, YAML, "0 .5 .5 .5\n", "", "a.txt:1: 4 numbers"},
    {SERIN_DETECT, YAML, "\n2 .5 .5 .5 .5\n", "", "a.txt:2: class 2, but the classes are 0 to 1"},
    {SERIN_DETECT, YAML, "-1 .5 .5 .5 .5\n", "", "class -1 is not a class number"},
    {SERIN_DETECT, YAML, "0.5 .5 .5 .5 .5\n", "", "class 0.5 is not a class number"},
    {SERIN_DETECT, YAML, "0 .5 .5 .5 x\n", "", "'x' is not a number"},
    {SERIN_DETECT, YAML, "0 .5 .5 .5 nan\n", "", "'nan' is not a number"},
    {SERIN_DETECT, YAML, "0 .5 .5 .5 0x.8p0\n", "", "'0x.8p0' is not a number"},
    {SERIN_DETECT, YAML, "0 .5 .5 .5 1e999\n", "", "'1e999' is not a number"},
    {SERIN_DETECT, YAML, "0 120 .5 .5 .5\n", "", "coordinate 120; it must be a share"},
    {SERIN_DETECT, YAML, "0 .5 .5 -.001 .5\n", "", "box of -0.001 x 0.5"},
    {SERIN_DETECT, YAML, "0 .5 .5 .5 .5\n0 0 0 1 0 1 1\n", "", "a.txt:2: a polygon in a file of boxes"},
    {SERIN_DETECT, YAML, "0 0 0 1 0 1 1\n0 .5 .5 .5 .5\n", "", "a.txt:2: a box in a file of polygons"},
    {SERIN_SEGMENT, YAML, "0 .5 .5 .5 .5\n", "", "needs polygons"},
    {SERIN_SEGMENT, YAML, "0 0 0 1 0 1 1 1\n", "", "8 numbers"},
    {SERIN_POSE, YAML, "0 .5 .5 .5 .5 .5 .5 2\n", "", "8 numbers; a pose has 5 + 2 x 3"},
    {SERIN_OBB, YAML, "0 .5 .5 .5 .5\n", "", "a turned box has 9"},
    {SERIN_OBB, "annotations: ann.json\n", "", "{}", "COCO JSON is for detect, segment and pose"},
    {SERIN_CLASSIFY, "val: images/a.jpg\n", "", "", "one folder of class folders"},
    {SERIN_DETECT, "annotations: gone.json\n", "", "{}", "gone.json: No such file"},
    {SERIN_DETECT, "annotations: ann.json\n", "", "{\n\"a\":,\n}", "ann.json:2: "},
    {SERIN_DETECT, "annotations: ann.json\n", "", "[]", "has no list 'categories'"},
    {SERIN_DETECT, "annotations: ann.json\n", "", "{\"categories\":[]}", "has no categories"},
    {SERIN_DETECT, "annotations: ann.json\n", "", "{\"categories\":[7]}", "categories[0] has no id"},
    {SERIN_DETECT, "annotations: ann.json\n", "",
     "{\"categories\":[{\"id\":1,\"name\":\"cat\"}],\"images\":[{\"id\":1,\"file_name\":\"../../etc/x\",\"width\":1,"
     "\"height\":1}]}",
     "images[0]: file_name '../../etc/x' leaves the folder"},
    {SERIN_DETECT, "annotations: ann.json\n", "",
     "{\"categories\":[{\"id\":1,\"name\":\"cat\"}],\"images\":[{\"id\":1,\"file_name\":\"a.jpg\",\"width\":1e9,"
     "\"height\":1}]}",
     "images[0]: width 0, height 1"},
    {SERIN_DETECT, "annotations: ann.json\nimages: elsewhere\n", "", ANNOTATION(""), "images[0]: "},
    {SERIN_DETECT, "annotations: ann.json\nimages: images\n", "",
     JSON_HEAD "{\"id\":5,\"image_id\":4,\"category_id\":18,\"bbox\":[1,2,3,4]}]}",
     "annotations[0] (id 5): image_id 4 is not among the images"},
    {SERIN_DETECT, "annotations: ann.json\nimages: images\n", "",
     JSON_HEAD "{\"id\":5,\"image_id\":3,\"category_id\":1,\"bbox\":[1,2,3,4]}]}", "category_id 1 is not among"},
    {SERIN_DETECT, "annotations: ann.json\nimages: images\n", "",
     JSON_HEAD "{\"id\":5,\"image_id\":3,\"category_id\":17,\"bbox\":[1,2,3]}]}", "bbox must be 4 numbers"},
    {SERIN_DETECT, "annotations: ann.json\nimages: images\n", "",
     JSON_HEAD "{\"id\":5,\"image_id\":3,\"category_id\":17,\"bbox\":[1,2,3,-1]}]}", "bbox is 3 x -1"},
    {SERIN_DETECT, "annotations: ann.json\nimages: images\n", "",
     JSON_HEAD "{\"id\":5,\"image_id\":3,\"category_id\":17,\"bbox\":[1,2,3,1e300]}]}",
     "bbox[3] is not a number of pixels"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "", ANNOTATION(""), "has no segmentation"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "", ANNOTATION(",\"segmentation\":[]"), "0 polygons"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "", ANNOTATION(",\"segmentation\":[[1,2,3,4]]"),
     "polygon of 4 numbers"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "", ANNOTATION(",\"segmentation\":[[1,2,3,4,5,1e300]]"),
     "coordinate 1e+300"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "",
     ANNOTATION(",\"segmentation\":{\"size\":[99999,99999],\"counts\":[1]}"), "mask's size is [99999, 99999]"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "",
     ANNOTATION(",\"segmentation\":{\"size\":[10,20],\"counts\":[1,2]}"), "2 counts sum to 3"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "",
     ANNOTATION(",\"segmentation\":{\"size\":[10,20],\"counts\":[-1]}"), "count 0 is not a whole number"},
    {SERIN_SEGMENT, "annotations: ann.json\nimages: images\n", "",
     ANNOTATION(",\"segmentation\":{\"size\":[10,20],\"counts\":\"ooooooooooooo\"}"), "compressed mask is damaged"},
    {SERIN_POSE, "annotations: ann.json\nimages: images\n", "", ANNOTATION(",\"keypoints\":[1,2,3]"),
     "keypoints must be 6 numbers"},
};

static void every_bad_set_is_refused_with_a_sentence(void **state)
{
    struct serin_error error;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dataset *dataset = NULL;

        assert_int_equal(new_folder(state), 0);
        put("images/a.jpg", "");
        put("images/b.jpg", "");
        put("a.jpg", "");
        put("data.yaml", bad[i].yaml);
        put("labels/a.txt", bad[i].labels);
        put("ann.json", bad[i].json);
        if (open_it("data.yaml", bad[i].task, &dataset, &error) == SERIN_OK)
            fail_msg("case %zu (%s) was accepted", i, bad[i].expected);
        if (!strstr(error.message, bad[i].expected))
            fail_msg("case %zu: '%s' does not say '%s'", i, error.message, bad[i].expected);
        assert_null(dataset);
        drop_folder(state);
    }
}

static void a_folder_is_for_classifiers(void **state)
{
    struct dataset *dataset;
    struct serin_error error;

    (void)state;
    assert_int_equal(open_it("", SERIN_DETECT, &dataset, &error), SERIN_INVALID);
    assert_int_equal(open_it("", SERIN_CLASSIFY, &dataset, &error), SERIN_NOT_FOUND);
    put("cat/a.txt", "");
    put("dog/a.txt", "");
    assert_int_equal(open_it("", SERIN_CLASSIFY, &dataset, &error), SERIN_NOT_FOUND);
    assert_int_equal(open_it("gone.yaml", SERIN_DETECT, &dataset, &error), SERIN_NOT_FOUND);
}

static void labels_beside_the_last_images_folder(void **state)
{
    char *path;

    (void)state;
    path = label_path_of("/images/images/a.b/x.jpg");
    assert_string_equal(path, "/images/labels/a.b/x.txt");
    free(path);
    path = label_path_of("data/a.b/x");
    assert_string_equal(path, "data/a.b/x.txt");
    free(path);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, new_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(yolo_boxes_become_pixels),
        WITH_FOLDER(a_list_and_a_subset_of_the_classes),
        WITH_FOLDER(polygons_poses_and_turned_boxes),
        WITH_FOLDER(coco_json_is_read_by_ids),
        WITH_FOLDER(classes_are_folders),
        WITH_FOLDER(a_folder_is_for_classifiers),
        cmocka_unit_test(every_bad_set_is_refused_with_a_sentence),
        cmocka_unit_test(labels_beside_the_last_images_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
