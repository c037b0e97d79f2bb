/*
 * classes.h - --classes: numbers or names to class numbers; and saying what was found in words.  Depends on yolo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_CLASSES_H
#define CLI_CLASSES_H

#include "base/buffer.h"

#include <serin/yolo.h>

/* "0,2", "person,car" or a mixture. *ret_classes is malloc'ed. SERIN_INVALID names the item, and the class nearest to
 * it. */
MUST_USE enum serin_errc classes_parse(const char *list, const struct serin_yolo_info *info, int32_t **ret_classes,
                                       size_t *ret_count, struct serin_error *error);

/* Appends "2 persons, 1 bus" in the order of the classes, "nothing", or for a classifier "cat 0.93, dog 0.04, ...". */
void classes_describe(struct buffer *out, const struct serin_result *result);

#endif
