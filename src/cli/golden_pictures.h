/*
 * golden_pictures.h - the pictures of a push and what the model says of them.  Depends on base, yolo, version.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_GOLDEN_PICTURES_H
#define CLI_GOLDEN_PICTURES_H

#include "store/bundles.h"
#include "version/golden.h"

#include <serin/yolo.h>

struct golden_pictures {
    int count;
    struct bundle_picture pictures[GOLDEN_MAX_PICTURES]; /* as the files are */
};

/* Reads the files and folders that arguments name, predicts on each picture by itself, and sets bundle->golden_json.
 * SERIN_LIMIT: more than GOLDEN_MAX_PICTURES or too large; else as reading, decoding and predicting fail. ret is the
 * caller's in any case: golden_pictures_done. */
MUST_USE enum serin_errc golden_pictures_take(const char *const *arguments, int argument_count, struct serin_yolo *yolo,
                                              const struct serin_predict_options *options, struct golden_pictures *ret,
                                              struct bundle *bundle, struct serin_error *error);
void golden_pictures_done(struct golden_pictures *pictures);

#endif
