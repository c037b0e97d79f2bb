/*
 * annotate.h - draws results on a picture: boxes, masks, skeletons, rotated boxes, labels.  Depends on yolo and cairo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_ANNOTATE_H
#define CLI_ANNOTATE_H

#include "base/error.h"

#include <serin/yolo.h>

/* Draws onto image, whose pixels change; result is of the same picture. Lines and text grow with the picture.
 * SERIN_LIMIT (a side beyond cairo's 32767 px), SERIN_NOMEM. */
MUST_USE enum serin_errc annotate(struct serin_image *image, const struct serin_result *result,
                                  struct serin_error *error);

#endif
