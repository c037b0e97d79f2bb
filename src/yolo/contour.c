/*
 * contour.c - border following, and joining what came out in pieces.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The mask is copied with a frame of zeros, so that a walk never needs to ask whether it left the picture. While
 * borders are walked their pixels are marked: MARK_RIGHT where the pixel to the right was seen to be outside (the scan
 * leaves a component there), MARK_SEEN elsewhere. A scan that goes from left to right knows from the last mark it met
 * whether it is inside of a component (then what begins here is not an outer border of its own).
 */
#include "yolo/contour.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { EMPTY = 0, SET = 1, MARK_SEEN = 2, MARK_RIGHT = -2 };

struct points {
    struct contour_point *items;
    size_t count, capacity;
};

struct piece { /* one border: a range of the points */
    size_t start, count;
};

struct pieces {
    struct piece *items;
    size_t count, capacity;
};

static bool add_point(struct points *points, int32_t x, int32_t y)
{
    if (points->count == points->capacity) {
        size_t capacity = points->capacity ? points->capacity * 2 : 128;
        struct contour_point *items = realloc(points->items, capacity * sizeof(*items));

        if (!items)
            return false;
        points->items = items;
        points->capacity = capacity;
    }
    points->items[points->count++] = (struct contour_point){x, y};
    return true;
}

static bool add_piece(struct pieces *pieces, size_t start, size_t count)
{
    if (pieces->count == pieces->capacity) {
        size_t capacity = pieces->capacity ? pieces->capacity * 2 : 16;
        struct piece *items = realloc(pieces->items, capacity * sizeof(*items));

        if (!items)
            return false;
        pieces->items = items;
        pieces->capacity = capacity;
    }
    pieces->items[pieces->count++] = (struct piece){start, count};
    return true;
}

/* The eight neighbours, from the right and then counterclockwise (y points down). */
static const int step_x[8] = {1, 1, 0, -1, -1, -1, 0, 1};
static const int step_y[8] = {0, -1, -1, -1, 0, 1, 1, 1};

/* Walks the outer border that begins at (x, y), whose left neighbour is empty. Writes a point wherever the direction
 * changes. */
static bool follow_border(int8_t *grid, ptrdiff_t stride, int32_t x, int32_t y, struct points *points)
{
    int8_t *first = grid + y * stride + x, *here = first, *second = NULL;
    ptrdiff_t offset[8];
    int direction = 4, last_direction, i;

    for (i = 0; i < 8; i++)
        offset[i] = step_y[i] * stride + step_x[i];
    for (i = 0; i < 7 && !second; i++) { /* clockwise from the left, which is empty */
        direction = (direction + 7) & 7;
        if (first[offset[direction]] != EMPTY)
            second = first + offset[direction];
    }
    if (!second) {
        *first = MARK_RIGHT;
        return add_point(points, x - 1, y - 1);
    }
    last_direction = direction ^ 4;
    for (;;) {
        bool right_is_outside = false;

        do { /* counterclockwise, from where we came */
            direction = (direction + 1) & 7;
            if (here[offset[direction]] == EMPTY && direction == 0)
                right_is_outside = true;
        } while (here[offset[direction]] == EMPTY);
        if (right_is_outside)
            *here = MARK_RIGHT;
        else if (*here == SET)
            *here = MARK_SEEN;
        if (direction != last_direction && !add_point(points, x - 1, y - 1))
            return false;
        last_direction = direction;
        if (here + offset[direction] == first && here == second)
            return true;
        here += offset[direction];
        x += step_x[direction];
        y += step_y[direction];
        direction = (direction + 4) & 7;
    }
}

static bool find_borders(int8_t *grid, int32_t width, int32_t height, struct points *points, struct pieces *pieces)
{
    ptrdiff_t stride = width + 2;
    int32_t x, y;

    for (y = 1; y <= height; y++) {
        int8_t *row = grid + y * stride;
        bool inside = false;

        for (x = 1; x <= width; x++) {
            if (row[x] == SET && row[x - 1] == EMPTY && !inside) {
                size_t start = points->count;

                if (!follow_border(grid, stride, x, y, points) || !add_piece(pieces, start, points->count - start))
                    return false;
            }
            if (row[x] == MARK_SEEN)
                inside = true;
            else if (row[x] == MARK_RIGHT)
                inside = false;
        }
    }
    return true;
}

/* ---- joining ---- */

struct link {
    size_t in, out; /* indices within a piece: where the chain enters and leaves it */
};

static void find_closest(const struct contour_point *a, size_t a_count, const struct contour_point *b, size_t b_count,
                         size_t *ret_a, size_t *ret_b)
{
    int64_t best = INT64_MAX;
    size_t i, j;

    for (i = 0; i < a_count; i++)
        for (j = 0; j < b_count; j++) {
            int64_t dx = a[i].x - b[j].x, dy = a[i].y - b[j].y;

            if (dx * dx + dy * dy < best) {
                best = dx * dx + dy * dy;
                *ret_a = i;
                *ret_b = j;
            }
        }
}

/* A piece seen as a ring that begins at `begin` and goes forwards or backwards. */
static struct contour_point ring_at(const struct contour_point *points, size_t count, size_t begin, bool backwards,
                                    size_t k)
{
    k %= count;
    return points[backwards ? (begin + count - k) % count : (begin + k) % count];
}

/* Out along the chain and back: an end piece is walked whole and closed; a middle one from its entry to its exit on the
 * way out, and the rest of it on the way back. pieces are in the order of the chain. */
static bool join_pieces(const struct points *points, const struct pieces *pieces, struct points *joined)
{
    size_t last = pieces->count - 1, i, k;
    struct link *links = calloc(pieces->count, sizeof(*links));
    bool ok = true;

    if (!links)
        return false;
    for (i = 0; i < last; i++)
        find_closest(points->items + pieces->items[i].start, pieces->items[i].count,
                     points->items + pieces->items[i + 1].start, pieces->items[i + 1].count, &links[i].out,
                     &links[i + 1].in);
    links[0].in = links[0].out;
    for (i = 0; i <= last && ok; i++) {
        const struct contour_point *ring = points->items + pieces->items[i].start;
        size_t count = pieces->items[i].count;
        bool middle = i != 0 && i != last, backwards = middle && links[i].in > links[i].out;
        size_t span = backwards ? links[i].in - links[i].out : links[i].out - links[i].in;

        if (!middle)
            span = count;
        for (k = 0; k <= span && ok; k++) {
            struct contour_point p = ring_at(ring, count, links[i].in, backwards, k);

            ok = add_point(joined, p.x, p.y);
        }
    }
    for (i = last; i-- > 1 && ok;) {
        const struct contour_point *ring = points->items + pieces->items[i].start;
        size_t count = pieces->items[i].count;
        bool backwards = links[i].in > links[i].out;
        size_t span = backwards ? links[i].in - links[i].out : links[i].out - links[i].in;

        for (k = span; k <= count && ok; k++) {
            struct contour_point p = ring_at(ring, count, links[i].in, backwards, k);

            ok = add_point(joined, p.x, p.y);
        }
    }
    free(links);
    return ok;
}

enum serin_errc contour_outline(const uint8_t *mask, int32_t width, int32_t height, struct contour_point **ret_points,
                                size_t *ret_count, struct serin_error *error)
{
    size_t stride = (size_t)width + 2, i;
    struct points points = {0}, joined = {0};
    struct pieces pieces = {0};
    bool ok = false;
    int8_t *grid;
    int32_t y;

    BUG_ON(width < 1 || height < 1);
    grid = calloc(stride * ((size_t)height + 2), 1);
    if (grid) {
        for (y = 0; y < height; y++)
            memcpy(grid + ((size_t)y + 1) * stride + 1, mask + (size_t)y * (size_t)width, (size_t)width);
        ok = find_borders(grid, width, height, &points, &pieces);
    }
    if (ok && pieces.count > 1) {
        for (i = 0; i < pieces.count / 2; i++) { /* the border found last comes first */
            struct piece swap = pieces.items[i];

            pieces.items[i] = pieces.items[pieces.count - 1 - i];
            pieces.items[pieces.count - 1 - i] = swap;
        }
        ok = join_pieces(&points, &pieces, &joined);
    } else if (ok) {
        joined = points;
        points = (struct points){0};
    }
    free(grid);
    free(points.items);
    free(pieces.items);
    if (!ok) {
        free(joined.items);
        return error_set(error, SERIN_NOMEM, "no memory for the outline of a %d x %d mask", width, height);
    }
    *ret_points = joined.items;
    *ret_count = joined.count;
    return SERIN_OK;
}
