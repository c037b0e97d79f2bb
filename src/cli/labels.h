/*
 * labels.h - text on a picture: where it fits, and in which colour it can be read.  Depends on cairo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_LABELS_H
#define CLI_LABELS_H

#include "base/error.h"

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>

struct colour {
    double red, green, blue; /* 0..1, sRGB */
};

struct rectangle {
    double x, y, width, height; /* px */
};

/* One of 20 distinct colours, the same for a class in every picture. */
struct colour colour_of_class(int class_id);

/* Black or white, whichever has more contrast on the background (WCAG 2.1, relative luminance). */
struct colour colour_of_text_on(struct colour background);

#define LABEL_MAX_BYTES 80

struct label {
    char text[LABEL_MAX_BYTES + 1];
    struct colour colour;
    struct rectangle place;
};

struct labels {
    cairo_t *cairo;
    double width, height; /* px, of the picture */
    double padding, ascent, line_height;
    struct label *items; /* [capacity]; the caller's order is from the most to the least important */
    size_t count, capacity;
};

/* At most capacity labels of font_px. SERIN_NOMEM. */
MUST_USE enum serin_errc labels_init(struct labels *labels, cairo_t *cairo, double width, double height, double font_px,
                                     size_t capacity, struct serin_error *error);
void labels_done(struct labels *labels);

/* Finds a place at box for name and confidence ("person 0.87"): above it, inside it, or below it, within the picture,
 * and off the labels placed before where that is possible. Nothing is drawn yet. */
void labels_add(struct labels *labels, const struct rectangle *box, const char *name, double confidence,
                struct colour colour);

/* Draws all of them, the most important last. */
void labels_draw(const struct labels *labels);

#endif
