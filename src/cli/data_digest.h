/*
 * data_digest.h - the identity of a labelled set of pictures.  Depends on base, yolo, libcrypto.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_DATA_DIGEST_H
#define CLI_DATA_DIGEST_H

#include "version/bundle.h"

#include <serin/yolo.h>

/* "sha256:..." over the pictures' bytes and the labels as the model takes them; not over paths, so that a copy of the
 * set is the same set. path as serin_yolo_evaluate takes it. */
MUST_USE enum serin_errc data_digest(const char *path, const struct serin_yolo_info *model,
                                     char ret[static BUNDLE_DIGEST_TEXT], struct serin_error *error);

#endif
