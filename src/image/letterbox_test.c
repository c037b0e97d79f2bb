/*
 * letterbox_test.c - geometry and bytes against Ultralytics, OpenCV and Pillow, for every implementation that this
 * machine has. SPDX-License-Identifier: Apache-2.0
 *
 * tests/golden/make_letterbox.py made the golden files from the same pictures that make_picture makes here.
 */
#include "image/letterbox.c"

#include "base/file.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <openssl/sha.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const implementations[] = {"plain", "avx2", "avx512"};

#define IMPLEMENTATIONS (sizeof(implementations) / sizeof(implementations[0]))

static uint8_t picture_byte(uint64_t index, unsigned seed)
{
    uint32_t bits = (uint32_t)((index + (uint64_t)seed * 7919) * 2654435761u);

    bits ^= bits >> 15;
    bits *= 2246822519u;
    bits >>= 24;
    return seed % 3 == 2 ? (bits & 1 ? 255 : 0) : (uint8_t)bits;
}

static void fill_picture(struct serin_image *image, unsigned seed)
{
    size_t row_bytes = 3 * (size_t)image->width, i;
    int32_t y;

    for (y = 0; y < image->height; y++)
        for (i = 0; i < row_bytes; i++)
            image->pixels[(size_t)y * image->stride_bytes + i] = picture_byte((size_t)y * row_bytes + i, seed);
}

static struct serin_image make_picture(int32_t width, int32_t height, size_t gap_bytes, unsigned seed)
{
    struct serin_image image = {.width = width, .height = height, .stride_bytes = 3 * (size_t)width + gap_bytes};

    image.pixels = malloc(image.stride_bytes * (size_t)height);
    assert_non_null(image.pixels);
    memset(image.pixels, 0xee, image.stride_bytes * (size_t)height);
    fill_picture(&image, seed);
    return image;
}

/* A picture whose last byte is the last of a page, with a page behind it that must not be touched. */
static struct serin_image make_guarded(int32_t width, int32_t height, unsigned seed, void **ret_map, size_t *ret_size)
{
    struct serin_image image = {.width = width, .height = height, .stride_bytes = 3 * (size_t)width};
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = image.stride_bytes * (size_t)height;
    size_t room = (bytes + page - 1) / page * page;
    uint8_t *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    image.pixels = map + room - bytes;
    fill_picture(&image, seed);
    *ret_map = map;
    *ret_size = room + page;
    return image;
}

static const char *digest(const void *bytes, size_t size)
{
    static char text[2 * SHA256_DIGEST_LENGTH + 1];
    uint8_t hash[SHA256_DIGEST_LENGTH];

    SHA256(bytes, size, hash);
    text_hex(hash, sizeof(hash), text);
    return text;
}

static char *read_golden(const char *name)
{
    const char *root = getenv("SERIN_SOURCE_DIR");
    char path[4096];
    uint8_t *bytes;
    size_t size;

    snprintf(path, sizeof(path), "%s/tests/golden/%s", root ? root : ".", name);
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, NULL), SERIN_OK);
    return (char *)bytes;
}

static uint32_t singles[256];
static uint16_t torch_halves[256];

static int read_quotients(void **state)
{
    char *text = read_golden("byte_quotients.tsv"), *line, *rest = text;
    unsigned i = 0, single, half;

    (void)state;
    while ((line = strsep(&rest, "\n")))
        if (sscanf(line, "%x\t%x", &single, &half) == 2 && i < 256) {
            singles[i] = single;
            torch_halves[i++] = (uint16_t)half;
        }
    free(text);
    return i == 256 ? 0 : -1;
}

/* Every type of tensor holds what the table says of the bytes in rgb; and nothing behind it is written. */
static void check_tensors(const struct serin_image *image, const struct letterbox *box, const uint8_t *rgb)
{
    size_t plane = (size_t)box->input_width * (size_t)box->input_height, i, wrong = 0;
    uint32_t *tensor = malloc(3 * plane * 4 + 64);
    const uint16_t *as_half = (const uint16_t *)(const void *)tensor;
    const uint8_t *as_byte = (const uint8_t *)tensor;

    assert_non_null(tensor);
    memset(tensor, 0xa5, 3 * plane * 4 + 64);
    assert_int_equal(letterbox_to_tensor(image, box, PIXEL_U8, tensor, NULL), SERIN_OK);
    for (i = 0; i < 3 * plane; i++)
        wrong += as_byte[i] != rgb[i % plane * 3 + i / plane];
    for (i = 0; i < 64; i++)
        wrong += as_byte[3 * plane + i] != 0xa5;
    assert_int_equal(wrong, 0);
    memset(tensor, 0xa5, 3 * plane * 4 + 64);
    assert_int_equal(letterbox_to_tensor(image, box, PIXEL_F16, tensor, NULL), SERIN_OK);
    for (i = 0; i < 3 * plane; i++)
        wrong += as_half[i] != torch_halves[rgb[i % plane * 3 + i / plane]];
    for (i = 0; i < 64; i++)
        wrong += as_byte[6 * plane + i] != 0xa5;
    assert_int_equal(wrong, 0);
    memset(tensor, 0xa5, 3 * plane * 4 + 64);
    assert_int_equal(letterbox_to_tensor(image, box, PIXEL_F32, tensor, NULL), SERIN_OK);
    for (i = 0; i < 3 * plane; i++)
        wrong += tensor[i] != singles[rgb[i % plane * 3 + i / plane]];
    for (i = 0; i < 64; i++)
        wrong += as_byte[12 * plane + i] != 0xa5;
    assert_int_equal(wrong, 0);
    free(tensor);
}

struct golden_case {
    int image_width, image_height, input_width, input_height, rect, stride;
    unsigned seed;
    int resized_width, resized_height, left, top, result_width, result_height;
    double gain_x, gain_y, padding_x, padding_y;
    char digest[65];
};

static bool parse_case(const char *line, struct golden_case *ret)
{
    return sscanf(line, "%d %d %d %d %d %d %u %d %d %d %d %d %d %lf %lf %lf %lf %64s", &ret->image_width,
                  &ret->image_height, &ret->input_width, &ret->input_height, &ret->rect, &ret->stride, &ret->seed,
                  &ret->resized_width, &ret->resized_height, &ret->left, &ret->top, &ret->result_width,
                  &ret->result_height, &ret->gain_x, &ret->gain_y, &ret->padding_x, &ret->padding_y, ret->digest) == 18;
}

static void check_case(const struct golden_case *golden)
{
    struct serin_image image = make_picture(golden->image_width, golden->image_height, 5, golden->seed);
    float padding_x, padding_y;
    double gain_x, gain_y;
    struct letterbox box;
    size_t bytes, i;
    uint8_t *rgb;

    assert_int_equal(letterbox_plan(golden->image_width, golden->image_height, golden->input_width,
                                    golden->input_height, golden->rect, golden->stride, &box, NULL),
                     SERIN_OK);
    assert_int_equal(box.resized_width, golden->resized_width);
    assert_int_equal(box.resized_height, golden->resized_height);
    assert_int_equal(box.left, golden->left);
    assert_int_equal(box.top, golden->top);
    assert_int_equal(box.input_width, golden->result_width);
    assert_int_equal(box.input_height, golden->result_height);
    letterbox_gain(&box, &gain_x, &gain_y);
    letterbox_padding(&box, &padding_x, &padding_y);
    assert_true(gain_x == golden->gain_x && gain_y == golden->gain_y);
    assert_true(padding_x == (float)golden->padding_x && padding_y == (float)golden->padding_y);
    bytes = 3 * (size_t)box.input_width * (size_t)box.input_height;
    rgb = malloc(bytes);
    assert_non_null(rgb);
    for (i = 0; i < IMPLEMENTATIONS; i++) {
        if (!letterbox_force(implementations[i]))
            continue;
        memset(rgb, 0, bytes);
        assert_int_equal(letterbox_to_rgb(&image, &box, rgb, NULL), SERIN_OK);
        if (strcmp(digest(rgb, bytes), golden->digest) != 0)
            fail_msg("%s: %d x %d in %d x %d (seed %u) gives other bytes than OpenCV", implementations[i], image.width,
                     image.height, golden->input_width, golden->input_height, golden->seed);
        if (bytes <= 3 * 330 * 330)
            check_tensors(&image, &box, rgb);
    }
    letterbox_force(NULL);
    free(rgb);
    free(image.pixels);
}

static void letterboxes_equal_ultralytics_and_opencv(void **state)
{
    char *text = read_golden("letterbox.tsv"), *line, *rest = text;
    struct golden_case golden;
    int cases = 0;

    (void)state;
    while ((line = strsep(&rest, "\n")))
        if (line[0] && line[0] != '#') {
            assert_true(parse_case(line, &golden));
            check_case(&golden);
            cases++;
        }
    assert_in_range(cases, 500, 1000);
    free(text);
}

static void centre_crops_equal_pillow(void **state)
{
    char *text = read_golden("centre_crop.tsv"), *line, *rest = text, expected[65];
    int width, height, size, cases = 0;
    unsigned seed;
    size_t bytes, i, k;

    (void)state;
    while ((line = strsep(&rest, "\n"))) {
        struct serin_image image;
        uint8_t *planes;
        float *floats;

        if (!line[0] || line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%d %d %d %u %64s", &width, &height, &size, &seed, expected), 5);
        image = make_picture(width, height, 7, seed);
        bytes = 3 * (size_t)size * (size_t)size;
        planes = malloc(bytes);
        floats = malloc(bytes * sizeof(float));
        assert_non_null(planes);
        assert_non_null(floats);
        for (i = 0; i < IMPLEMENTATIONS; i++) {
            if (!letterbox_force(implementations[i]))
                continue;
            assert_int_equal(centre_crop_to_tensor(&image, size, PIXEL_U8, planes, NULL), SERIN_OK);
            if (strcmp(digest(planes, bytes), expected) != 0)
                fail_msg("%s: %d x %d cut to %d (seed %u) gives other bytes than Pillow", implementations[i], width,
                         height, size, seed);
            assert_int_equal(centre_crop_to_tensor(&image, size, PIXEL_F32, floats, NULL), SERIN_OK);
            for (k = 0; k < bytes; k++)
                assert_memory_equal(&floats[k], &singles[planes[k]], sizeof(float));
        }
        free(floats);
        free(planes);
        free(image.pixels);
        cases++;
    }
    letterbox_force(NULL);
    assert_in_range(cases, 60, 200);
    free(text);
}

/* Small sizes have every combination of vector tails; the larger ones each kind of window (scales 1 to 30). */
static void nothing_behind_the_last_row_is_read(void **state)
{
    static const int32_t widths[] = {300, 511, 640, 1000, 1919, 3000, 9000};
    size_t i, k, size;
    uint8_t *rgb = malloc(3 * 320 * 320);
    float *tensor = malloc(3 * 320 * 320 * sizeof(float));
    void *map;

    (void)state;
    assert_non_null(rgb);
    assert_non_null(tensor);
    for (i = 0; i < 70 + sizeof(widths) / sizeof(widths[0]); i++) {
        int32_t width = i < 70 ? (int32_t)i + 1 : widths[i - 70];
        struct serin_image image = make_guarded(width, 1 + (int32_t)i % 7, (unsigned)i, &map, &size);
        static const int32_t inputs[] = {32, 64, 320};

        for (k = 0; k < 3 * IMPLEMENTATIONS; k++) {
            struct letterbox box;

            if (!letterbox_force(implementations[k / 3]))
                continue;
            assert_int_equal(
                letterbox_plan(image.width, image.height, inputs[k % 3], inputs[k % 3], false, 32, &box, NULL),
                SERIN_OK);
            assert_int_equal(letterbox_to_rgb(&image, &box, rgb, NULL), SERIN_OK);
            check_tensors(&image, &box, rgb);
            assert_int_equal(centre_crop_to_tensor(&image, 64, PIXEL_F32, tensor, NULL), SERIN_OK);
        }
        assert_int_equal(munmap(map, size), 0);
    }
    letterbox_force(NULL);
    free(tensor);
    free(rgb);
}

static void halves_equal_pytorch(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 256; i++)
        assert_int_equal(letterbox_half((uint8_t)i), torch_halves[i]);
}

static void bad_sizes_are_errors_with_a_sentence(void **state)
{
    struct serin_image image = make_picture(4, 3, 0, 1);
    struct serin_error error;
    struct letterbox box, bad;
    uint8_t tensor[3 * 32 * 32];

    (void)state;
    assert_int_equal(letterbox_plan(0, 5, 640, 640, false, 32, &box, &error), SERIN_INVALID);
    assert_string_equal(error.message, "image of 0 x 5 px, each side must be 1..65535");
    assert_int_equal(letterbox_plan(5, 65536, 640, 640, false, 32, &box, &error), SERIN_INVALID);
    assert_int_equal(letterbox_plan(5, 5, 640, -1, false, 32, &box, &error), SERIN_INVALID);
    assert_string_equal(error.message, "network input of 640 x -1 px, each side must be 1..65535");
    assert_int_equal(letterbox_plan(5, 5, 640, 640, true, 0, &box, &error), SERIN_INVALID);
    assert_string_equal(error.message, "stride of 0 px, it must be 1..65535");
    assert_int_equal(letterbox_plan(4, 3, 32, 32, false, 0, &box, &error), SERIN_OK);
    bad = box;
    bad.image_width = 5;
    assert_int_equal(letterbox_to_tensor(&image, &bad, PIXEL_U8, tensor, &error), SERIN_INVALID);
    assert_string_equal(error.message, "image of 4 x 3 px, the letterbox was planned for 5 x 3");
    bad = box;
    bad.left = 1;
    assert_int_equal(letterbox_to_rgb(&image, &bad, tensor, &error), SERIN_INVALID);
    assert_string_equal(error.message, "letterbox of 32 x 24 px at 1, 4 does not lie in 32 x 32 px");
    assert_int_equal(centre_crop_to_tensor(&image, 0, PIXEL_U8, tensor, &error), SERIN_INVALID);
    image.stride_bytes = 11;
    assert_int_equal(letterbox_to_tensor(&image, &box, PIXEL_U8, tensor, &error), SERIN_INVALID);
    assert_string_equal(error.message, "image rows of 11 bytes are shorter than 3 bytes for each of 4 pixels");
    assert_int_equal(centre_crop_to_tensor(&image, 8, PIXEL_U8, tensor, &error), SERIN_INVALID);
    free(image.pixels);
}

/* The largest sizes must not overflow anything on the way. */
static void extreme_shapes_are_resized(void **state)
{
    struct serin_image image = make_picture(65535, 1, 0, 3), tall = make_picture(1, 65535, 0, 3);
    uint8_t *tensor = malloc(3 * 65535);
    struct letterbox box;
    size_t i;

    (void)state;
    assert_non_null(tensor);
    for (i = 0; i < IMPLEMENTATIONS; i++) {
        if (!letterbox_force(implementations[i]))
            continue;
        assert_int_equal(letterbox_plan(65535, 1, 65535, 1, false, 32, &box, NULL), SERIN_OK);
        assert_int_equal(letterbox_to_rgb(&image, &box, tensor, NULL), SERIN_OK);
        assert_memory_equal(tensor, image.pixels, 3 * 65535);
        assert_int_equal(letterbox_plan(1, 65535, 1, 65535, false, 32, &box, NULL), SERIN_OK);
        assert_int_equal(letterbox_to_rgb(&tall, &box, tensor, NULL), SERIN_OK);
        assert_memory_equal(tensor, tall.pixels, 3 * 65535);
        assert_int_equal(letterbox_plan(65535, 1, 1, 1, false, 32, &box, NULL), SERIN_OK);
        assert_int_equal(letterbox_to_rgb(&image, &box, tensor, NULL), SERIN_OK);
        assert_int_equal(tensor[0], image.pixels[3 * 32767]);
        assert_int_equal(centre_crop_to_tensor(&image, 64, PIXEL_U8, tensor, NULL), SERIN_OK);
        assert_int_equal(centre_crop_to_tensor(&tall, 1, PIXEL_U8, tensor, NULL), SERIN_OK);
        assert_int_equal(tensor[1], tall.pixels[3 * 32767 + 1]);
    }
    letterbox_force(NULL);
    free(tensor);
    free(tall.pixels);
    free(image.pixels);
}

static void only_what_the_processor_has_is_forced(void **state)
{
    (void)state;
    assert_false(letterbox_force("avx1024"));
    assert_true(letterbox_force("plain"));
    assert_string_equal(letterbox_implementation(), "plain");
    assert_true(letterbox_force(NULL));
    assert_true(letterbox_force(letterbox_implementation()));
    assert_true(letterbox_force(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_equal_pytorch),
        cmocka_unit_test(letterboxes_equal_ultralytics_and_opencv),
        cmocka_unit_test(centre_crops_equal_pillow),
        cmocka_unit_test(nothing_behind_the_last_row_is_read),
        cmocka_unit_test(bad_sizes_are_errors_with_a_sentence),
        cmocka_unit_test(extreme_shapes_are_resized),
        cmocka_unit_test(only_what_the_processor_has_is_forced),
    };

    return cmocka_run_group_tests(tests, read_quotients, NULL);
}
