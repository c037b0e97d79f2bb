/*
 * letterbox_plain.c - the letterbox's inner loops in plain C: what every vector version must equal.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "image/letterbox_kernels.h"

#include <pthread.h>

/* byte / 255 */
static float singles[256];
static uint16_t halves[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The halves are rounded correctly in integers: 255 is odd, so no quotient lies halfway, and 1/255 is still a normal
 * half. It equals what dividing in float and rounding once more gives (checked by the test for all 256), which is how
 * PyTorch does it.
 */
static void fill_tables(void)
{
    unsigned byte;

    for (byte = 1; byte < 256; byte++) {
        unsigned shift = 0, significand;

        singles[byte] = (float)byte / 255.0f;
        while ((byte << shift) < 255) /* until 1 <= byte * 2^shift / 255 < 2 */
            shift++;
        significand = ((byte << (shift + 11)) / 255 + 1) >> 1;
        halves[byte] = (uint16_t)(((15 - shift) << 10) + (significand - 1024)); /* a carry goes into the exponent */
    }
}

uint16_t letterbox_half(uint8_t byte)
{
    pthread_once(&once, fill_tables);
    return halves[byte];
}

static bool supported(void)
{
    return true;
}

static void horizontal(const struct letterbox_columns *columns, const uint8_t *row, int16_t *line)
{
    int32_t x;

    for (x = 0; x < columns->paired; x++, line += 4) {
        const uint8_t *left = row + columns->offsets[x];
        int32_t weight0 = (int32_t)(columns->weights[x] & 0xffff), weight1 = (int32_t)(columns->weights[x] >> 16);

        line[0] = (int16_t)((left[0] * weight0 + left[3] * weight1) >> 4);
        line[1] = (int16_t)((left[1] * weight0 + left[4] * weight1) >> 4);
        line[2] = (int16_t)((left[2] * weight0 + left[5] * weight1) >> 4);
    }
    for (; x < columns->count; x++, line += 4) {
        const uint8_t *last = row + columns->offsets[x];
        int32_t weight0 = (int32_t)(columns->weights[x] & 0xffff);

        line[0] = (int16_t)((last[0] * weight0) >> 4);
        line[1] = (int16_t)((last[1] * weight0) >> 4);
        line[2] = (int16_t)((last[2] * weight0) >> 4);
    }
}

static void vertical(const int16_t *line0, const int16_t *line1, int16_t weight0, int16_t weight1, int32_t count,
                     uint8_t *rgbx)
{
    int32_t i;

    for (i = 0; i < 4 * count; i++)
        rgbx[i] = (uint8_t)((((line0[i] * weight0) >> 16) + ((line1[i] * weight1) >> 16) + 2) >> 2);
}

static void widen(const uint8_t *row, int32_t count, uint8_t *rgbx)
{
    int32_t x;

    for (x = 0; x < count; x++, row += 3, rgbx += 4) {
        rgbx[0] = row[0];
        rgbx[1] = row[1];
        rgbx[2] = row[2];
    }
}

static void write_f32(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    float *to = planes;
    int32_t x;
    int c;

    pthread_once(&once, fill_tables);
    for (c = 0; c < 3; c++, to += plane)
        for (x = 0; x < count; x++)
            to[x] = singles[rgbx[4 * x + c]];
}

static void write_f16(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    uint16_t *to = planes;
    int32_t x;
    int c;

    pthread_once(&once, fill_tables);
    for (c = 0; c < 3; c++, to += plane)
        for (x = 0; x < count; x++)
            to[x] = halves[rgbx[4 * x + c]];
}

static void write_u8(const uint8_t *rgbx, int32_t count, void *planes, size_t plane)
{
    uint8_t *to = planes;
    int32_t x;
    int c;

    for (c = 0; c < 3; c++, to += plane)
        for (x = 0; x < count; x++)
            to[x] = rgbx[4 * x + c];
}

const struct letterbox_kernels letterbox_plain = {
    .name = "plain",
    .supported = supported,
    .horizontal = horizontal,
    .vertical = vertical,
    .widen = widen,
    .write = {write_f32, write_f16, write_u8},
};
