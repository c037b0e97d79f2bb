/*
 * result.h - from candidates to the results that a caller keeps.  Depends on head.h, mask.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef YOLO_RESULT_H
#define YOLO_RESULT_H

#include "yolo/mask.h"
#include "yolo/model.h"

/* Builds the result of one picture from the candidates that suppression left. prototypes is NULL but for segmentation.
 * Masks without a set pixel take their detection along. SERIN_LIMIT, SERIN_NOMEM, SERIN_MODEL (a NaN among the extras).
 */
MUST_USE enum serin_errc result_new(const struct serin_yolo *yolo, const struct head_output *output,
                                    const struct mask_prototypes *prototypes, const struct candidates *candidates,
                                    const struct letterbox *letterbox, bool native_masks, struct serin_result **ret,
                                    struct serin_error *error);

/* The same for a classifier's probabilities. */
MUST_USE enum serin_errc result_new_classes(const struct serin_yolo *yolo, const float *probabilities,
                                            const struct letterbox *letterbox, struct serin_result **ret,
                                            struct serin_error *error);

#endif
