/*
 * parameters.h - what a request may ask for besides its pictures: conf, iou, imgsz, classes, max_det, priority, time.
 * Depends on yolo. SPDX-License-Identifier: Apache-2.0
 *
 * One reader for query parameters, form fields and the protocol's JSON parameters, so that a name means the same
 * everywhere. Unknown names are left alone, since routes have keys in queries and clients carry their own, except those
 * that were probably meant to be one of ours.
 */
#ifndef WORKER_PARAMETERS_H
#define WORKER_PARAMETERS_H

#include "base/error.h"

#include <serin/yolo.h>

#define PARAMETERS_MAX_TEXT    4096 /* bytes of a value */
#define PARAMETERS_MAX_NAME    256  /* bytes of a class name */
#define PARAMETERS_MAX_CLASSES 1000 /* in one request */

struct parameters {
    struct serin_predict_options options;
    int32_t classes[PARAMETERS_MAX_CLASSES]; /* what options.classes points to */
    int priority;                            /* BATCHER_HIGHEST..BATCHER_LOWEST */
    uint64_t timeout_us;                     /* 0: none */
};

/* The names that parameters_set knows, ended by NULL. */
extern const char *const parameters_names[];

/* Of parameters_names, or -1 where it has no meaning here. SERIN_INVALID: name is none of them, but was meant as one,
 * in whatever case: it begins with one (confidence), has three letters or more that one begins with (img), or is one
 * slip from one, a letter more, less, other or two swapped (conv), or two between words of five letters or more
 * (clases). */
MUST_USE enum serin_errc parameters_find(const char *name, int *ret, struct serin_error *error);

void parameters_init(struct parameters *parameters, const struct serin_predict_options *defaults);

/* Takes one value. imgsz: "640", "480,640" or "[480, 640]", at most max_input_px a side. classes: numbers or names,
 * with commas between them. priority: 1..9. timeout: microseconds. SERIN_INVALID says what is wrong with which. */
MUST_USE enum serin_errc parameters_set(struct parameters *parameters, const char *name, const char *value,
                                        const struct serin_yolo_info *info, int max_input_px,
                                        struct serin_error *error);

#endif
