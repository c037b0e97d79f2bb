/*
 * annotate_test.c - that what is drawn is drawn where the result says, and stays in the picture.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/annotate.c"
#include "cli/labels.c"

#include "image/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const names[] = {"person",
                                    "a name that is much wider than the whole picture it is drawn on, or nearly so"};
static const struct serin_yolo_info info = {.class_count = 2, .class_names = names, .keypoint_count = PERSON_POINTS};

static struct serin_image grey_picture(int32_t width, int32_t height)
{
    struct serin_image image = {0};
    int32_t y;

    assert_int_equal(image_alloc(width, height, &image, NULL), SERIN_OK);
    for (y = 0; y < height; y++)
        memset(image.pixels + (size_t)y * image.stride_bytes, 128, (size_t)width * 3);
    return image;
}

static const uint8_t *pixel(const struct serin_image *image, int x, int y)
{
    return image->pixels + (size_t)y * image->stride_bytes + (size_t)x * 3;
}

static bool has_colour(const uint8_t *rgb, struct colour colour)
{
    return abs(rgb[0] - (int)(colour.red * 255 + .5)) <= 2 && abs(rgb[1] - (int)(colour.green * 255 + .5)) <= 2 &&
           abs(rgb[2] - (int)(colour.blue * 255 + .5)) <= 2;
}

static bool is_grey(const uint8_t *rgb)
{
    return rgb[0] == 128 && rgb[1] == 128 && rgb[2] == 128;
}

static void a_box_has_its_class_colour_and_an_untouched_inside(void **state)
{
    struct serin_detection detection = {.class_id = 0, .confidence = .9f, .x1 = 100, .y1 = 100, .x2 = 300, .y2 = 350};
    struct serin_result result = {
        .task = SERIN_DETECT, .width = 640, .height = 480, .count = 1, .detections = &detection, .info = &info};
    struct serin_image image = grey_picture(640, 480);

    (void)state;
    assert_int_equal(annotate(&image, &result, NULL), SERIN_OK);
    assert_true(has_colour(pixel(&image, 100, 250), colour_of_class(0)));
    assert_true(has_colour(pixel(&image, 299, 250), colour_of_class(0)));
    assert_true(has_colour(pixel(&image, 200, 349), colour_of_class(0)));
    assert_true(is_grey(pixel(&image, 200, 250)));
    assert_true(is_grey(pixel(&image, 400, 250)));
    assert_false(is_grey(pixel(&image, 110, 92))); /* the label stands above the box */
    serin_image_free(&image);
}

static void a_mask_lands_where_the_letterbox_put_it(void **state)
{
    /* 200 x 100 in a 64 x 64 input: 64 x 32 with 16 rows above. Rows 16..31 are the picture's upper half. */
    uint8_t values[64 * 16];
    struct serin_mask mask = {
        .full_width = 64, .full_height = 64, .x = 0, .y = 16, .width = 64, .height = 16, .values = values};
    struct serin_detection detection = {.class_id = 0, .confidence = .9f, .x2 = 200, .y2 = 50, .mask = &mask};
    struct serin_result result = {
        .task = SERIN_SEGMENT, .width = 200, .height = 100, .count = 1, .detections = &detection, .info = &info};
    struct serin_image image = grey_picture(200, 100);

    (void)state;
    memset(values, 1, sizeof(values));
    assert_int_equal(annotate(&image, &result, NULL), SERIN_OK);
    assert_false(is_grey(pixel(&image, 150, 40)));
    assert_true(is_grey(pixel(&image, 150, 60)));
    serin_image_free(&image);
}

static void hidden_keypoints_are_not_drawn(void **state)
{
    struct serin_keypoint points[PERSON_POINTS] = {0};
    struct serin_detection detection = {
        .class_id = 0, .confidence = .9f, .x1 = 10, .y1 = 10, .x2 = 390, .y2 = 390, .keypoints = points};
    struct serin_result result = {
        .task = SERIN_POSE, .width = 400, .height = 400, .count = 1, .detections = &detection, .info = &info};
    struct serin_image image = grey_picture(400, 400);

    (void)state;
    points[5] = (struct serin_keypoint){100, 200, .9f};  /* left shoulder */
    points[6] = (struct serin_keypoint){300, 200, .9f};  /* right shoulder */
    points[12] = (struct serin_keypoint){300, 300, .1f}; /* right hip, hidden */
    assert_int_equal(annotate(&image, &result, NULL), SERIN_OK);
    assert_false(is_grey(pixel(&image, 200, 200)));
    assert_true(is_grey(pixel(&image, 300, 250)));
    assert_true(is_grey(pixel(&image, 300, 300)));
    serin_image_free(&image);
}

static void labels_stay_inside_and_apart(void **state)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 300, 200);
    cairo_t *cairo = cairo_create(surface);
    struct labels labels;
    size_t i;

    (void)state;
    assert_int_equal(labels_init(&labels, cairo, 300, 200, 12, 6, NULL), SERIN_OK);
    labels_add(&labels, &(struct rectangle){100, 80, 100, 60}, names[0], .91, colour_of_class(0));
    labels_add(&labels, &(struct rectangle){102, 81, 97, 58}, names[0], .90, colour_of_class(0));
    labels_add(&labels, &(struct rectangle){98, 79, 104, 66}, names[0], .89, colour_of_class(0));
    labels_add(&labels, &(struct rectangle){290, 0, 10, 200}, names[0], .50, colour_of_class(0));
    labels_add(&labels, &(struct rectangle){0, 195, 20, 5}, names[0], .50, colour_of_class(0));
    labels_add(&labels, &(struct rectangle){0, 0, 300, 200}, names[0], .40, colour_of_class(0));
    labels_add(&labels, &(struct rectangle){0, 0, 1, 1}, names[0], .40, colour_of_class(0)); /* beyond the capacity */
    assert_int_equal(labels.count, 6);
    for (i = 0; i < labels.count; i++) {
        const struct rectangle *place = &labels.items[i].place;
        size_t k;

        assert_true(place->x >= 0 && place->y >= 0 && place->x + place->width <= 300 &&
                    place->y + place->height <= 200);
        for (k = 0; k < i; k++)
            assert_true(overlap(place, &labels.items[k].place) <= 0);
    }
    labels_done(&labels);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
}

static void names_are_cut_between_characters(void **state)
{
    char name[300], text[LABEL_MAX_BYTES + 1];
    size_t i;

    (void)state;
    for (i = 0; i + 3 < sizeof(name); i += 3)
        memcpy(name + i, "\xe7\x8c\xab", 4);
    compose(text, name, .5);
    assert_true(strlen(text) <= LABEL_MAX_BYTES);
    assert_int_equal((strstr(text, "...") - text) % 3, 0);
    assert_string_equal(strstr(text, "..."), "... 0.50");
    compose(text, "person", .876);
    assert_string_equal(text, "person 0.88");
}

static void odd_pictures_are_drawn_on_without_a_crash(void **state)
{
    struct serin_detection detections[] = {
        {.class_id = 1, .confidence = .9f, .x1 = 0, .y1 = 0, .x2 = 1, .y2 = 1},
        {.class_id = 99, .confidence = .8f, .x1 = 5, .y1 = 5, .x2 = 5, .y2 = 5}, /* empty, unknown class */
        {.class_id = -1, .confidence = .7f, .x1 = -1e9f, .y1 = -1e9f, .x2 = 1e9f, .y2 = 1e9f},
    };
    struct serin_result result = {.task = SERIN_DETECT, .count = 3, .detections = detections, .info = &info};
    static const int32_t sizes[][2] = {{1, 1}, {1, 500}, {500, 1}, {9, 13}};
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        struct serin_image image = grey_picture(sizes[i][0], sizes[i][1]);

        assert_int_equal(annotate(&image, &result, &error), SERIN_OK);
        result.task = SERIN_CLASSIFY;
        assert_int_equal(annotate(&image, &result, &error), SERIN_OK);
        result.task = SERIN_DETECT;
        serin_image_free(&image);
    }
    struct serin_image wide = grey_picture(40000, 1);
    assert_int_equal(annotate(&wide, &result, &error), SERIN_LIMIT);
    serin_image_free(&wide);
}

static void text_contrasts_with_its_ground(void **state)
{
    (void)state;
    assert_true(colour_of_text_on((struct colour){1, 1, 0}).red == 0);
    assert_true(colour_of_text_on((struct colour){0, 0, .6}).red == 1);
}

/* Cairo keeps fonts for ever; a leak checker must not take that for our leak. */
static int forget_fonts(void **state)
{
    (void)state;
    cairo_debug_reset_static_data();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_box_has_its_class_colour_and_an_untouched_inside),
        cmocka_unit_test(a_mask_lands_where_the_letterbox_put_it),
        cmocka_unit_test(hidden_keypoints_are_not_drawn),
        cmocka_unit_test(labels_stay_inside_and_apart),
        cmocka_unit_test(names_are_cut_between_characters),
        cmocka_unit_test(odd_pictures_are_drawn_on_without_a_crash),
        cmocka_unit_test(text_contrasts_with_its_ground),
    };

    return cmocka_run_group_tests(tests, NULL, forget_fonts);
}
