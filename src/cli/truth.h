/*
 * truth.h - what an inspection station would say of frames: label files to the bodies of POST /v1/feedback.
 * Depends on footage.h, yolo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_TRUTH_H
#define CLI_TRUTH_H

#include "cli/footage.h"

#define TRUTH_AUTO      "auto" /* labels/ beside images/, as YOLO data sets have it */
#define TRUTH_MAX_BYTES (256u << 10)

/* Fills in footage->truths from YOLO label files (detection: class cx cy w h as shares of the frame, or polygons, of
 * which the bounding boxes are taken). labels: the folder of STEM.txt for each frame, or TRUTH_AUTO. data_yaml: the
 * file that names the classes. A frame without a file is one that nobody labelled. SERIN_NOT_FOUND where no frame has
 * one; SERIN_IO, SERIN_CORRUPT (file:line), SERIN_LIMIT, SERIN_INVALID, SERIN_NOMEM. */
MUST_USE enum serin_errc truth_load(struct footage *footage, const char *labels, const char *data_yaml,
                                    struct serin_error *error);

#endif
