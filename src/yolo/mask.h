/*
 * mask.h - one detection's mask from its coefficients and the picture's prototypes.  Depends on base, image, contour.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The mask is where the weighted sum of the prototypes, interpolated bilinearly (half-pixel centres, as PyTorch's
 * interpolate with align_corners=False), is above zero within the box. Only the box is computed.
 */
#ifndef YOLO_MASK_H
#define YOLO_MASK_H

#include "base/arena.h"
#include "yolo/scale.h"

#include <serin/yolo.h>

struct mask_prototypes {
    const float *values; /* (channels, height, width) */
    int32_t channels, height, width;
};

struct mask_box {
    float x1, y1, x2, y2; /* px: of the input, or of the picture where the mask is native */
};

/* coefficients: one for each channel. The mask at the size of the network's input (native false) or of the picture.
 * *ret is NULL for a mask without a set pixel. What is returned lives in arena. SERIN_LIMIT where the arena's limit is
 * passed, SERIN_MODEL for NaN, SERIN_NOMEM. */
MUST_USE enum serin_errc mask_build(const struct mask_prototypes *prototypes, const float *coefficients,
                                    const struct mask_box *box, const struct letterbox *letterbox, bool native,
                                    struct arena *arena, struct serin_mask **ret, struct serin_error *error);

#endif
