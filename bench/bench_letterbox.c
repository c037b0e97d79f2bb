/*
 * bench_letterbox.c - times the letterbox, each implementation that the processor has, and decoding in front of it.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     bench_letterbox [picture.jpg]      (one thread; the median and the best of many calls; a JSON object a line)
 *
 * "ms" is one call of letterbox_to_tensor to 640 x 640 float32 planes, padding included; "ns_px" is that per pixel of
 * the resized picture. With a picture also "decode_letterbox_ms", which bench/peer_opencv.py measures for OpenCV.
 */
#include "base/clock.h"
#include "base/file.h"
#include "image/letterbox.h"

#include <stdio.h>
#include <stdlib.h>

#define CALLS    101
#define INPUT_PX 640

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct times {
    double median, best;
};

static struct times times_of(double *values)
{
    qsort(values, CALLS, sizeof(values[0]), by_value);
    return (struct times){values[CALLS / 2], values[0]};
}

static void require(enum serin_errc rc, const struct serin_error *error)
{
    if (rc) {
        fprintf(stderr, "bench_letterbox: %s\n", error->message);
        exit(1);
    }
}

static void bench_size(int32_t width, int32_t height, enum pixel_type type, float *tensor)
{
    static const char *const implementations[] = {"plain", "avx2", "avx512"}, *const types[] = {"f32", "f16", "u8"};
    struct serin_image image = {.width = width, .height = height, .stride_bytes = 3 * (size_t)width};
    size_t bytes = image.stride_bytes * (size_t)height, i;
    double took_ms[CALLS];
    struct serin_error error;
    struct letterbox box;

    image.pixels = malloc(bytes);
    if (!image.pixels)
        exit(1);
    for (i = 0; i < bytes; i++)
        image.pixels[i] = (uint8_t)(i * 2654435761u >> 13);
    require(letterbox_plan(width, height, INPUT_PX, INPUT_PX, false, 32, &box, &error), &error);
    for (i = 0; i < sizeof(implementations) / sizeof(implementations[0]); i++) {
        size_t call;
        struct times ms;

        if (!letterbox_force(implementations[i]))
            continue;
        for (call = 0; call < CALLS; call++) {
            uint64_t start = clock_now_ns();

            require(letterbox_to_tensor(&image, &box, type, tensor, &error), &error);
            took_ms[call] = clock_ms_since(start);
        }
        ms = times_of(took_ms);
        printf("{\"bench\": \"letterbox\", \"implementation\": \"%s\", \"image\": \"%dx%d\", \"resized\": \"%dx%d\", "
               "\"type\": \"%s\", \"ms\": %.3f, \"best_ms\": %.3f, \"ns_px\": %.2f}\n",
               implementations[i], width, height, box.resized_width, box.resized_height, types[type], ms.median,
               ms.best, ms.median * 1e6 / ((double)box.resized_width * box.resized_height));
    }
    letterbox_force(NULL);
    free(image.pixels);
}

static void bench_file(const char *path, float *tensor)
{
    double decode_ms[CALLS], both_ms[CALLS];
    struct times decode, both;
    struct serin_image image = {0};
    struct serin_error error;
    struct letterbox box;
    int32_t width = 0, height = 0;
    uint8_t *bytes;
    size_t size;
    int call;

    require(file_read(path, 64 << 20, &bytes, &size, &error), &error);
    for (call = 0; call < CALLS; call++) {
        uint64_t start = clock_now_ns();

        require(serin_image_decode(bytes, size, NULL, &image, &error), &error);
        decode_ms[call] = clock_ms_since(start);
        require(letterbox_plan(image.width, image.height, INPUT_PX, INPUT_PX, false, 32, &box, &error), &error);
        require(letterbox_to_tensor(&image, &box, PIXEL_F32, tensor, &error), &error);
        both_ms[call] = clock_ms_since(start);
        width = image.width;
        height = image.height;
        serin_image_free(&image);
    }
    decode = times_of(decode_ms);
    both = times_of(both_ms);
    printf("{\"bench\": \"decode_letterbox\", \"implementation\": \"%s\", \"image\": \"%dx%d\", \"decode_ms\": %.3f, "
           "\"decode_letterbox_ms\": %.3f, \"best_ms\": %.3f}\n",
           letterbox_implementation(), width, height, decode.median, both.median, both.best);
    free(bytes);
}

int main(int argc, char **argv)
{
    static const int32_t sizes[][2] = {{1920, 1080}, {1280, 720}, {768, 576},   {810, 1080},
                                       {640, 480},   {320, 240},  {4000, 3000}, {1000, 700}};
    float *tensor = calloc(3 * INPUT_PX * INPUT_PX, sizeof(float));
    size_t i;

    if (!tensor)
        return 1;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        bench_size(sizes[i][0], sizes[i][1], PIXEL_F32, tensor);
    bench_size(1920, 1080, PIXEL_F16, tensor);
    bench_size(1920, 1080, PIXEL_U8, tensor);
    if (argc > 1)
        bench_file(argv[1], tensor);
    free(tensor);
    return 0;
}
