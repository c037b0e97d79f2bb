/*
 * labels.c - label placement, greedy: the most confident detection chooses first among a few places around its box.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/labels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct colour colour_of_class(int class_id)
{
    /* Twenty hues and shades that stay apart, the vivid ones first. */
    static const unsigned char palette[][3] = {
        {0xff, 0x38, 0x4c}, {0x1e, 0x90, 0xff}, {0x2e, 0xcc, 0x71}, {0xff, 0xc3, 0x00}, {0xb1, 0x4a, 0xed},
        {0xff, 0x7f, 0x11}, {0x00, 0xd5, 0xe0}, {0xf7, 0x25, 0x9c}, {0xb6, 0xe3, 0x30}, {0x46, 0x4e, 0xe5},
        {0x00, 0x8f, 0x7a}, {0xff, 0x9e, 0xb5}, {0x9c, 0x5a, 0x1f}, {0x7f, 0xb2, 0xff}, {0x8a, 0x12, 0x2c},
        {0x5e, 0xf1, 0xc2}, {0x7d, 0x80, 0x00}, {0xd8, 0xb0, 0xff}, {0x13, 0x2a, 0x7c}, {0xff, 0xd8, 0xa8},
    };
    size_t count = sizeof(palette) / sizeof(palette[0]);
    const unsigned char *row = palette[(size_t)(class_id < 0 ? 0 : class_id) % count];

    return (struct colour){row[0] / 255.0, row[1] / 255.0, row[2] / 255.0};
}

static double linear(double channel)
{
    return channel <= 0.03928 ? channel / 12.92 : pow((channel + 0.055) / 1.055, 2.4);
}

struct colour colour_of_text_on(struct colour background)
{
    double luminance =
        0.2126 * linear(background.red) + 0.7152 * linear(background.green) + 0.0722 * linear(background.blue);
    double on_black = (luminance + 0.05) / 0.05, on_white = 1.05 / (luminance + 0.05);

    return on_black > on_white ? (struct colour){0, 0, 0} : (struct colour){1, 1, 1};
}

enum serin_errc labels_init(struct labels *labels, cairo_t *cairo, double width, double height, double font_px,
                            size_t capacity, struct serin_error *error)
{
    cairo_font_extents_t extents;

    *labels = (struct labels){.cairo = cairo, .width = width, .height = height, .capacity = capacity};
    labels->items = calloc(capacity ? capacity : 1, sizeof(*labels->items));
    if (!labels->items)
        return error_set(error, SERIN_NOMEM, "no memory for %zu labels", capacity);
    cairo_select_font_face(cairo, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(cairo, font_px);
    cairo_font_extents(cairo, &extents);
    labels->padding = ceil(font_px * 0.25);
    labels->ascent = extents.ascent;
    labels->line_height = ceil(extents.ascent + extents.descent) + labels->padding;
    return SERIN_OK;
}

void labels_done(struct labels *labels)
{
    free(labels->items);
    labels->items = NULL;
    labels->count = labels->capacity = 0;
}

/* "name 0.87" into text, the name cut between two characters of UTF-8 where it is long. */
static void compose(char *text, const char *name, double confidence)
{
    size_t room = LABEL_MAX_BYTES - 12, length = strlen(name);
    bool cut = length > room;

    if (cut) {
        length = room - 3;
        while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80)
            length--;
    }
    snprintf(text, LABEL_MAX_BYTES + 1, "%.*s%s %.2f", (int)length, name, cut ? "..." : "", confidence);
}

static double overlap(const struct rectangle *a, const struct rectangle *b)
{
    double width = fmin(a->x + a->width, b->x + b->width) - fmax(a->x, b->x);
    double height = fmin(a->y + a->height, b->y + b->height) - fmax(a->y, b->y);

    return width > 0 && height > 0 ? width * height : 0;
}

#define COMPARED_LABELS 400 /* a picture with more is not legible anyway, and the work stays bounded */

#define MOST_COVERED 0.2 /* of another label; where no place is better, the box's colour has to say it */

static double covered(const struct labels *labels, const struct rectangle *place)
{
    size_t first = labels->count > COMPARED_LABELS ? labels->count - COMPARED_LABELS : 0, i;
    double area = 0;

    for (i = first; i < labels->count; i++)
        area += overlap(&labels->items[i].place, place);
    return area;
}

void labels_add(struct labels *labels, const struct rectangle *box, const char *name, double confidence,
                struct colour colour)
{
    struct label *label;
    cairo_text_extents_t extents;
    double width, height = labels->line_height, right, best = -1;
    size_t i;

    if (labels->count >= labels->capacity)
        return;
    label = &labels->items[labels->count];
    compose(label->text, name, confidence);
    label->colour = colour;
    cairo_text_extents(labels->cairo, label->text, &extents);
    width = ceil(extents.x_advance) + 2 * labels->padding;
    right = box->x + box->width - width;
    const struct rectangle places[] = {
        {box->x, box->y - height, width, height},               /* above the box */
        {box->x, box->y, width, height},                        /* inside, at the top */
        {right, box->y - height, width, height},                /* above, at the right end */
        {box->x, box->y + box->height, width, height},          /* below */
        {right, box->y + box->height, width, height},           /* below, at the right end */
        {box->x, box->y + box->height - height, width, height}, /* inside, at the bottom */
    };
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct rectangle place = places[i];
        double cost;

        if (i > 0 && (place.y < 0 || place.y + height > labels->height))
            continue; /* moved into the picture it would be one of the others */
        if (place.y < 0)
            continue;
        place.x = round(fmax(0, fmin(place.x, labels->width - width)));
        place.y = round(place.y);
        cost = covered(labels, &place);
        if (best < 0 || cost < best - 0.5) {
            best = cost;
            label->place = place;
        }
        if (cost <= 0)
            break;
    }
    if (best < 0) /* the picture is lower than a line of text, or the box is not in it */
        label->place = (struct rectangle){fmax(0, fmin(box->x, labels->width - width)),
                                          fmax(0, fmin(box->y, labels->height - height)), width, height};
    if (best <= width * height * MOST_COVERED)
        labels->count++;
}

void labels_draw(const struct labels *labels)
{
    cairo_t *cairo = labels->cairo;
    size_t i;

    for (i = labels->count; i-- > 0;) {
        const struct label *label = &labels->items[i];
        struct colour text = colour_of_text_on(label->colour);

        cairo_set_source_rgba(cairo, label->colour.red, label->colour.green, label->colour.blue, 0.92);
        cairo_rectangle(cairo, label->place.x, label->place.y, label->place.width, label->place.height);
        cairo_fill(cairo);
        cairo_set_source_rgb(cairo, text.red, text.green, text.blue);
        cairo_move_to(cairo, label->place.x + labels->padding,
                      label->place.y + round(labels->padding / 2 + labels->ascent));
        cairo_show_text(cairo, label->text);
    }
}
