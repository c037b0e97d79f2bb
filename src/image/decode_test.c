/*
 * decode_test.c - every kind of file against OpenCV's pixels (tests/golden/images), limits, orientation, encoding.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/decode.c"
#include "image/encode.c"
#include "image/exif.c"

#include "base/test_paths.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <unistd.h>

static const char *golden_path(const char *file)
{
    return test_source_path("tests/golden/images", file);
}

static void sha256_of_rows(const struct serin_image *image, char *ret_hex)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned char hash[32];
    int32_t y;

    EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
    for (y = 0; y < image->height; y++)
        EVP_DigestUpdate(digest, image->pixels + (size_t)y * image->stride_bytes, 3 * (size_t)image->width);
    EVP_DigestFinal_ex(digest, hash, NULL);
    EVP_MD_CTX_free(digest);
    text_hex(hash, sizeof(hash), ret_hex);
}

/* Compares the files that one table of images.json lists with its hashes; path_of says where they lie. */
static void compare_with(const char *table, size_t least, const char *(*path_of)(const char *file))
{
    json_t *root, *rows, *row;
    json_error_t problem;
    size_t i, wrong = 0;

    root = json_load_file(golden_path("images.json"), 0, &problem);
    assert_non_null(root);
    rows = json_object_get(root, table);
    assert_true(json_array_size(rows) >= least);
    json_array_foreach(rows, i, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));
        const char *expected = json_string_value(json_object_get(row, "rgb_sha256"));
        struct serin_image image = {0};
        struct serin_error error = {0};
        char hex[65] = "";

        if (serin_image_decode_file(path_of(file), NULL, &image, &error) == SERIN_OK)
            sha256_of_rows(&image, hex);
        if (strcmp(hex, expected) != 0 || image.width != json_integer_value(json_object_get(row, "width")) ||
            image.height != json_integer_value(json_object_get(row, "height"))) {
            print_error("%s: %d x %d, %s\n", file, image.width, image.height,
                        error.code ? error.message : "other pixels");
            wrong++;
        }
        serin_image_free(&image);
    }
    json_decref(root);
    assert_int_equal(wrong, 0);
}

static void every_kind_of_file_gives_opencvs_pixels(void **state)
{
    (void)state;
    compare_with("images", 140, golden_path);
}

static void photographs_give_opencvs_pixels(void **state)
{
    (void)state;
    if (access(test_data_path("photos"), R_OK) != 0)
        skip();
    compare_with("photographs", 12, test_data_path);
}

static void header_says_what_decoding_gives(void **state)
{
    static const struct {
        const char *file;
        struct image_header header;
    } rows[] = {
        {"jpeg-exif-6.jpg", {IMAGE_JPEG, 61, 43, 6}},  {"png-exif-6.png", {IMAGE_PNG, 61, 43, 6}},
        {"webp-exif-6.webp", {IMAGE_WEBP, 61, 43, 6}}, {"bmp-rle8.bmp", {IMAGE_BMP, 61, 43, 1}},
        {"jpeg-exif-9.jpg", {IMAGE_JPEG, 61, 43, 1}},
    };
    struct image_header header;
    struct serin_error error;
    uint8_t *bytes;
    size_t i, size;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(file_read(golden_path(rows[i].file), 1 << 20, &bytes, &size, &error), SERIN_OK);
        assert_int_equal(image_read_header(bytes, size, &header, &error), SERIN_OK);
        assert_int_equal(header.format, rows[i].header.format);
        assert_int_equal(header.width, rows[i].header.width);
        assert_int_equal(header.height, rows[i].header.height);
        assert_int_equal(header.orientation, rows[i].header.orientation);
        free(bytes);
    }
    assert_string_equal(image_format_name(IMAGE_WEBP), "WebP");
}

static void limits_hold_before_decoding(void **state)
{
    static const char *const files[] = {"jpeg-420.jpg", "png-rgb-8.png", "webp-lossy.webp", "bmp-24.bmp"};
    struct serin_image image;
    struct serin_error error;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        const char *path = golden_path(files[i]);
        struct serin_image_limits pixels = {.max_pixels = 61 * 43 - 1}, bytes = {.max_bytes = 100};

        assert_int_equal(serin_image_decode_file(path, &pixels, &image, &error), SERIN_LIMIT);
        assert_non_null(strstr(error.message, "image is 61 x 43, the limit is 2622 pixels"));
        assert_int_equal(serin_image_decode_file(path, &bytes, &image, &error), SERIN_LIMIT);
        pixels.max_pixels++;
        assert_int_equal(serin_image_decode_file(path, &pixels, &image, &error), SERIN_OK);
        serin_image_free(&image);
        assert_null(image.pixels);
        serin_image_free(&image);
    }
    serin_image_free(NULL);
    assert_int_equal(serin_image_decode_file("/nonexistent", NULL, &image, &error), SERIN_NOT_FOUND);
    assert_int_equal(serin_image_decode("x", 101, &(struct serin_image_limits){.max_bytes = 100}, &image, NULL),
                     SERIN_LIMIT);
    assert_int_equal(image_alloc(0, 5, &image, &error), SERIN_LIMIT);
    assert_int_equal(image_alloc(65536, 5, &image, &error), SERIN_LIMIT);
}

/* 2 x 3 pixels a..f by rows; the eight pictures are those of the EXIF specification's figure. */
static void orientations_turn_a_small_picture(void **state)
{
    static const char *const expected[] = {"abcdef", "abcdef", "badcfe", "fedcba", "efcdab",
                                           "acebdf", "ecafdb", "fdbeca", "bdface", "abcdef"};
    int orientation, i;

    (void)state;
    for (orientation = 0; orientation < 10; orientation++) {
        bool turned = orientation >= 5 && orientation <= 8;
        struct serin_image image = {0};

        assert_int_equal(image_alloc(2, 3, &image, NULL), SERIN_OK);
        for (i = 0; i < 18; i++)
            image.pixels[i] = (uint8_t)("abcdef"[i / 3] + 10 * (i % 3));
        assert_int_equal(exif_turn_upright(&image, orientation, NULL), SERIN_OK);
        assert_int_equal(image.width, turned ? 3 : 2);
        assert_int_equal(image.height, turned ? 2 : 3);
        for (i = 0; i < 18; i++)
            assert_int_equal(image.pixels[i], expected[orientation][i / 3] + 10 * (i % 3));
        serin_image_free(&image);
    }
}

/* Rows with a gap between them, so that a stride taken for a width shows. */
static struct serin_image sloped_image(uint8_t *pixels)
{
    struct serin_image image = {.pixels = pixels, .width = 40, .height = 30, .stride_bytes = 131};
    int i;

    for (i = 0; i < 131 * 30; i++)
        pixels[i] = (uint8_t)(i % 131 < 120 ? i / 131 * 4 + i % 131 / 3 * 2 + i % 131 % 3 * 16 : 0xee);
    return image;
}

static void png_comes_back_as_it_was(void **state)
{
    uint8_t pixels[131 * 30], *bytes = NULL;
    struct serin_image image = sloped_image(pixels), back;
    size_t size;
    int y;

    (void)state;
    assert_int_equal(image_encode_png(&image, &bytes, &size, NULL), SERIN_OK);
    assert_int_equal(serin_image_decode(bytes, size, NULL, &back, NULL), SERIN_OK);
    assert_int_equal(back.width, 40);
    assert_int_equal(back.height, 30);
    for (y = 0; y < 30; y++)
        assert_memory_equal(back.pixels + y * back.stride_bytes, pixels + y * 131, 120);
    serin_image_free(&back);
    free(bytes);
    image.stride_bytes = 119;
    assert_int_equal(image_encode_png(&image, &bytes, &size, NULL), SERIN_INVALID);
}

static void jpeg_comes_back_nearly(void **state)
{
    uint8_t pixels[131 * 30], *bytes = NULL;
    struct serin_image image = sloped_image(pixels), back;
    struct serin_error error;
    size_t size = 0, small;
    int x, y;

    (void)state;
    assert_int_equal(image_encode_jpeg(&image, 95, &bytes, &size, NULL), SERIN_OK);
    assert_int_equal(serin_image_decode(bytes, size, NULL, &back, NULL), SERIN_OK);
    free(bytes);
    for (y = 0; y < 30; y++)
        for (x = 0; x < 120; x++)
            assert_in_range(back.pixels[y * 120 + x] + 16 - pixels[y * 131 + x], 0, 32);
    serin_image_free(&back);
    assert_int_equal(image_encode_jpeg(&image, 10, &bytes, &small, NULL), SERIN_OK);
    assert_true(small < size);
    free(bytes);
    assert_int_equal(image_encode_jpeg(&image, 0, &bytes, &size, &error), SERIN_INVALID);
    image.width = 65501;
    image.height = 1;
    image.stride_bytes = 3 * 65501;
    image.pixels = calloc(1, image.stride_bytes);
    assert_int_equal(image_encode_jpeg(&image, 90, &bytes, &size, &error), SERIN_LIMIT);
    free(image.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_file_gives_opencvs_pixels),
        cmocka_unit_test(photographs_give_opencvs_pixels),
        cmocka_unit_test(header_says_what_decoding_gives),
        cmocka_unit_test(limits_hold_before_decoding),
        cmocka_unit_test(orientations_turn_a_small_picture),
        cmocka_unit_test(png_comes_back_as_it_was),
        cmocka_unit_test(jpeg_comes_back_nearly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
