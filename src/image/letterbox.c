/*
 * letterbox.c - where a picture lies in the network's input, and putting it there.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The sizes follow Ultralytics 8.4: doubles, rounded half to even, at least 1 pixel a side. The picture is resized row
 * by row (letterbox_rows.c) and each row is written straight into the tensor while it is in the first cache; the
 * padding around it is filled from one row of grey.
 */
#include "image/letterbox.h"

#include "image/letterbox_kernels.h"
#include "image/letterbox_rows.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE_PX 65535

static _Atomic(const struct letterbox_kernels *) forced;

static const struct letterbox_kernels *const all_kernels[] = {
#if defined(__x86_64__)
    &letterbox_avx512,
    &letterbox_avx2,
#endif
    &letterbox_plain,
};

const struct letterbox_kernels *letterbox_kernels(void)
{
    const struct letterbox_kernels *kernels = atomic_load_explicit(&forced, memory_order_relaxed);
    size_t i = 0;

    if (kernels)
        return kernels;
    while (i + 1 < sizeof(all_kernels) / sizeof(all_kernels[0]) && !all_kernels[i]->supported())
        i++; /* the last one, plain, is always supported */
    return all_kernels[i];
}

const char *letterbox_implementation(void)
{
    return letterbox_kernels()->name;
}

bool letterbox_force(const char *implementation)
{
    size_t i;

    if (!implementation) {
        atomic_store(&forced, NULL);
        return true;
    }
    for (i = 0; i < sizeof(all_kernels) / sizeof(all_kernels[0]); i++)
        if (strcmp(all_kernels[i]->name, implementation) == 0 && all_kernels[i]->supported()) {
            atomic_store(&forced, all_kernels[i]);
            return true;
        }
    return false;
}

static double gain_of(const struct letterbox *box)
{
    return fmin((double)box->input_height / box->image_height, (double)box->input_width / box->image_width);
}

static int32_t resized_side(int32_t side, double gain)
{
    return (int32_t)fmax(rint(side * gain), 1.0); /* thin pictures keep a pixel */
}

/* The padding before the picture; what remains lies behind it. */
static int32_t half_padding(int32_t padding)
{
    return (int32_t)rint(padding / 2.0 - 0.1);
}

static bool bad_side(int32_t side)
{
    return side < 1 || side > MAX_SIDE_PX;
}

enum serin_errc letterbox_plan(int32_t image_width, int32_t image_height, int32_t input_width, int32_t input_height,
                               bool rect, int32_t stride, struct letterbox *ret, struct serin_error *error)
{
    struct letterbox box = {.image_width = image_width,
                            .image_height = image_height,
                            .input_width = input_width,
                            .input_height = input_height};
    int32_t padding_x, padding_y;

    if (bad_side(image_width) || bad_side(image_height))
        return error_set(error, SERIN_INVALID, "image of %d x %d px, each side must be 1..%d", image_width,
                         image_height, MAX_SIDE_PX);
    if (bad_side(input_width) || bad_side(input_height))
        return error_set(error, SERIN_INVALID, "network input of %d x %d px, each side must be 1..%d", input_width,
                         input_height, MAX_SIDE_PX);
    if (rect && bad_side(stride))
        return error_set(error, SERIN_INVALID, "stride of %d px, it must be 1..%d", stride, MAX_SIDE_PX);
    box.resized_width = resized_side(image_width, gain_of(&box));
    box.resized_height = resized_side(image_height, gain_of(&box));
    padding_x = input_width - box.resized_width;
    padding_y = input_height - box.resized_height;
    BUG_ON(padding_x < 0 || padding_y < 0); /* side * (input / side) is never half a pixel over input */
    if (rect) {
        padding_x %= stride;
        padding_y %= stride;
        box.input_width = box.resized_width + padding_x;
        box.input_height = box.resized_height + padding_y;
    }
    box.left = half_padding(padding_x);
    box.top = half_padding(padding_y);
    *ret = box;
    return SERIN_OK;
}

void letterbox_gain(const struct letterbox *box, double *ret_x, double *ret_y)
{
    double gain = gain_of(box);

    *ret_x = (double)resized_side(box->image_width, gain) / box->image_width;
    *ret_y = (double)resized_side(box->image_height, gain) / box->image_height;
}

void letterbox_padding(const struct letterbox *box, float *ret_x, float *ret_y)
{
    double gain = gain_of(box);

    *ret_x = (float)half_padding(box->input_width - resized_side(box->image_width, gain));
    *ret_y = (float)half_padding(box->input_height - resized_side(box->image_height, gain));
}

/* A caller may fill in both structs by hand: nothing in them is trusted. */
static enum serin_errc check(const struct serin_image *image, const struct letterbox *box, struct serin_error *error)
{
    if (!image->pixels || bad_side(image->width) || bad_side(image->height))
        return error_set(error, SERIN_INVALID, "image of %d x %d px, each side must be 1..%d and the pixels present",
                         image->width, image->height, MAX_SIDE_PX);
    if (image->stride_bytes < 3 * (size_t)image->width)
        return error_set(error, SERIN_INVALID, "image rows of %zu bytes are shorter than 3 bytes for each of %d pixels",
                         image->stride_bytes, image->width);
    if (image->width != box->image_width || image->height != box->image_height)
        return error_set(error, SERIN_INVALID, "image of %d x %d px, the letterbox was planned for %d x %d",
                         image->width, image->height, box->image_width, box->image_height);
    if (bad_side(box->input_width) || bad_side(box->input_height) || bad_side(box->resized_width) ||
        bad_side(box->resized_height) || box->left < 0 || box->top < 0 ||
        box->left > box->input_width - box->resized_width || box->top > box->input_height - box->resized_height)
        return error_set(error, SERIN_INVALID, "letterbox of %d x %d px at %d, %d does not lie in %d x %d px",
                         box->resized_width, box->resized_height, box->left, box->top, box->input_width,
                         box->input_height);
    return SERIN_OK;
}

static size_t element_bytes(enum pixel_type type)
{
    BUG_ON((unsigned)type > PIXEL_U8);
    return type == PIXEL_F32 ? 4 : type == PIXEL_F16 ? 2 : 1;
}

/* A row of the padding, made by the same kernel as the picture. */
static enum serin_errc make_grey(int32_t width, enum pixel_type type, uint8_t **ret, struct serin_error *error)
{
    size_t padded = (size_t)letterbox_padded(width), size = 3 * padded * element_bytes(type);
    uint8_t *grey = malloc(size + 4 * padded);

    if (!grey)
        return error_set(error, SERIN_NOMEM, "no memory for a row of padding, %zu bytes", size + 4 * padded);
    memset(grey + size, LETTERBOX_PAD, 4 * padded);
    letterbox_plain.write[type](grey + size, width, grey, padded);
    *ret = grey;
    return SERIN_OK;
}

/* Everything of a plane that the picture does not cover. */
static void fill_padding(const struct letterbox *box, size_t element, const uint8_t *grey, uint8_t *plane)
{
    size_t row = (size_t)box->input_width * element, left = (size_t)box->left * element;
    size_t picture = (size_t)box->resized_width * element;
    int32_t y;

    for (y = 0; y < box->input_height; y++, plane += row) {
        if (y < box->top || y >= box->top + box->resized_height) {
            memcpy(plane, grey, row);
            continue;
        }
        memcpy(plane, grey, left);
        memcpy(plane + left + picture, grey, row - left - picture);
    }
}

enum serin_errc letterbox_to_tensor(const struct serin_image *image, const struct letterbox *box, enum pixel_type type,
                                    void *tensor, struct serin_error *error)
{
    size_t element = element_bytes(type), plane, start;
    struct letterbox_rows rows;
    uint8_t *grey = NULL;
    enum serin_errc rc;
    int32_t y;
    int c;

    rc = check(image, box, error);
    if (rc)
        return rc;
    rc = make_grey(box->input_width, type, &grey, error);
    if (rc)
        return rc;
    rc = letterbox_rows_init(&rows, image, box->resized_width, box->resized_height, error);
    if (rc)
        goto out;
    plane = (size_t)box->input_width * (size_t)box->input_height;
    for (c = 0; c < 3; c++)
        fill_padding(box, element, grey, (uint8_t *)tensor + (size_t)c * plane * element);
    for (y = 0; y < box->resized_height; y++) {
        start = (size_t)(box->top + y) * (size_t)box->input_width + (size_t)box->left;
        rows.kernels->write[type](letterbox_rows_get(&rows, y), box->resized_width, (uint8_t *)tensor + start * element,
                                  plane);
    }
    letterbox_rows_done(&rows);
out:
    free(grey);
    return rc;
}

enum serin_errc letterbox_to_rgb(const struct serin_image *image, const struct letterbox *box, uint8_t *rgb,
                                 struct serin_error *error)
{
    size_t row_bytes = 3 * (size_t)(box->input_width > 0 ? box->input_width : 0);
    struct letterbox_rows rows;
    enum serin_errc rc;
    int32_t x, y;

    rc = check(image, box, error);
    if (rc)
        return rc;
    rc = letterbox_rows_init(&rows, image, box->resized_width, box->resized_height, error);
    if (rc)
        return rc;
    memset(rgb, LETTERBOX_PAD, row_bytes * (size_t)box->input_height);
    for (y = 0; y < box->resized_height; y++) {
        uint8_t *to = rgb + (size_t)(box->top + y) * row_bytes + 3 * (size_t)box->left;
        const uint8_t *from = letterbox_rows_get(&rows, y);

        for (x = 0; x < box->resized_width; x++, to += 3, from += 4) {
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
    }
    letterbox_rows_done(&rows);
    return SERIN_OK;
}
