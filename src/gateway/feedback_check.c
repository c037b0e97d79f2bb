/*
 * feedback_check.c - labels that cannot be true of a frame or of its model.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A label that no version could ever find looks the same for stable and canary, and so says that they are equal, which
 * nobody has seen. It is a mistake of who labels (another model's classes, shares of the picture's sides, another
 * picture's size), and is refused.
 */
#include "gateway/gateway.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MIN_SHARE 0.5 /* of a box within the picture; a box of which less is there has no IoU of .5 with any in it */

static double length_within(double from, double to, int side_px)
{
    return fmax(0, fmin(to, side_px > 0 ? (double)side_px : (double)INFINITY) - fmax(from, 0));
}

enum serin_errc gateway_check_places(const struct gateway_feedback *feedback, int width_px, int height_px,
                                     struct serin_error *error)
{
    char size[48] = "";
    int i;

    if (width_px > 0 && height_px > 0)
        snprintf(size, sizeof(size), " of %d x %d px", width_px, height_px);
    for (i = 0; i < feedback->box_count; i++) {
        const struct gateway_box *box = &feedback->boxes[i];
        const double x1 = box->x1, y1 = box->y1, x2 = box->x2, y2 = box->y2;
        const double within = length_within(x1, x2, width_px) * length_within(y1, y2, height_px);

        if (fmax(x2, y2) <= 1)
            return error_set(error, SERIN_INVALID,
                             "boxes[%d] from (%g, %g) to (%g, %g) lies within one pixel: boxes are in pixels of the "
                             "frame, not in shares of its sides",
                             i, x1, y1, x2, y2);
        if (within < MIN_SHARE * (x2 - x1) * (y2 - y1))
            return error_set(error, SERIN_INVALID,
                             "boxes[%d] from (%g, %g) to (%g, %g): less than half of it lies in the picture%s", i, x1,
                             y1, x2, y2, size);
    }
    return SERIN_OK;
}

static enum serin_errc refuse_class(int index, const struct gateway_box *box, const char *model,
                                    const struct class_list *classes, struct serin_error *error)
{
    char known[240];

    class_list_describe(classes, known, sizeof(known));
    if (box->class_id >= 0 && !class_list_name(classes, box->class_id))
        return error_set(error, SERIN_INVALID, "boxes[%d]: %s has no class %d: %s", index, model, (int)box->class_id,
                         known);
    if (box->class_id >= 0)
        return error_set(error, SERIN_INVALID, "boxes[%d]: class %d of %s is '%.40s', not '%s'", index,
                         (int)box->class_id, model, class_list_name(classes, box->class_id), box->name);
    return error_set(error, SERIN_INVALID, "boxes[%d]: %s has no class '%s': %s", index, model, box->name, known);
}

static bool is_known(const struct gateway_box *box, const struct class_list *classes)
{
    const char *name = box->class_id >= 0 ? class_list_name(classes, box->class_id) : box->name;

    return name && (box->class_id < 0 ? class_list_has(classes, name) : !box->name[0] || strcmp(name, box->name) == 0);
}

enum serin_errc gateway_check_classes(const struct gateway_feedback *feedback, const char *model,
                                      const struct class_list *classes, struct serin_error *error)
{
    int i;

    for (i = 0; i < feedback->box_count; i++) {
        const struct gateway_box *box = &feedback->boxes[i];

        if (!classes && !box->name[0])
            return error_set(error, SERIN_INVALID,
                             "boxes[%d]: class %d: what the classes of %s are called is not known here: say 'name'", i,
                             (int)box->class_id, model);
        if (classes && !is_known(box, classes))
            return refuse_class(i, box, model, classes, error);
    }
    return SERIN_OK;
}
