/*
 * fuzz_decode.c - fuzz target: bytes as an image file.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <serin/image.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct serin_image_limits limits = {.max_bytes = 1 << 18, .max_pixels = 1 << 17};
    struct serin_image image;
    struct serin_error error = {.code = SERIN_OK};
    enum serin_errc rc = serin_image_decode(bytes, size, &limits, &image, &error);

    if (rc != error.code || (rc != SERIN_OK && error.message[0] == '\0'))
        abort();
    if (rc != SERIN_OK)
        return 0;
    if (image.width < 1 || image.height < 1 || (uint64_t)image.width * (uint64_t)image.height > limits.max_pixels ||
        image.stride_bytes < 3 * (size_t)image.width)
        abort();
    image.pixels[(size_t)image.height * image.stride_bytes - 1] ^= 1;
    serin_image_free(&image);
    return 0;
}
