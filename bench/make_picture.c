/*
 * make_picture.c - a JPEG of 1920 x 1080 for the benchmarks, from any picture.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     make_picture FROM TO.jpg
 */
#include "base/file.h"
#include "image/encode.h"
#include "image/letterbox.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct serin_image from = {0}, to = {.width = 1920, .height = 1080, .stride_bytes = 1920 * 3};
    struct serin_error error = {0};
    struct letterbox box;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int status = 1;

    if (argc != 3) {
        fputs("usage: make_picture FROM TO.jpg\n", stderr);
        return 2;
    }
    to.pixels = malloc(to.stride_bytes * 1080);
    if (to.pixels && serin_image_decode_file(argv[1], NULL, &from, &error) == SERIN_OK &&
        letterbox_plan(from.width, from.height, to.width, to.height, false, 32, &box, &error) == SERIN_OK &&
        letterbox_to_rgb(&from, &box, to.pixels, &error) == SERIN_OK &&
        image_encode_jpeg(&to, 90, &bytes, &size, &error) == SERIN_OK &&
        file_write(argv[2], bytes, size, &error) == SERIN_OK)
        status = 0;
    else
        fprintf(stderr, "make_picture: %s\n", error.message);
    free(bytes);
    free(to.pixels);
    serin_image_free(&from);
    return status;
}
