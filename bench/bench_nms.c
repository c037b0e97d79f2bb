/*
 * bench_nms.c - time of suppression among 8400 candidates, the number of anchors at 640 px.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     bench_nms [BOXES.f32]    writes the boxes (x1, y1, x2, y2, score) where asked, so that a peer gets the same
 *
 * Prints one JSON object a line: {"name","kept","median_ms"}.
 */
#include "base/clock.h"
#include "yolo/nms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOXES   8400
#define ROUNDS  101
#define MAX_DET 300

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void make_boxes(struct candidate *boxes)
{
    uint32_t seed = 1;
    int i, k;

    for (i = 0; i < BOXES; i++) {
        float random[4];

        for (k = 0; k < 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            random[k] = (float)(seed >> 8) / 16777216.0f;
        }
        boxes[i] = (struct candidate){.x1 = random[0] * 560, .y1 = random[1] * 560, .score = random[2], .anchor = i};
        boxes[i].x2 = boxes[i].x1 + 10 + random[3] * 70;
        boxes[i].y2 = boxes[i].y1 + 10 + random[3] * 70;
    }
}

static void measure(const char *name, const struct candidate *boxes, bool rotated)
{
    static struct candidate work[BOXES];
    double times_ms[ROUNDS];
    size_t kept = 0;
    int round, i;

    for (round = 0; round < ROUNDS; round++) {
        struct candidates list = {.items = work, .count = BOXES};
        uint64_t start;
        enum serin_errc rc;

        memcpy(work, boxes, sizeof(work));
        for (i = 0; rotated && i < BOXES; i++) {
            work[i].x2 -= work[i].x1;
            work[i].y2 -= work[i].y1;
            work[i].angle = (float)i * 0.01f;
        }
        start = clock_now_ns();
        rc = rotated ? nms_rotated(&list, 0.7, false, MAX_DET, NULL) : nms_upright(&list, 0.7, false, MAX_DET, NULL);
        BUG_ON(rc != SERIN_OK);
        times_ms[round] = clock_ms_since(start);
        kept = list.count;
    }
    qsort(times_ms, ROUNDS, sizeof(times_ms[0]), by_value);
    printf("{\"name\":\"%s\",\"kept\":%zu,\"median_ms\":%.4f}\n", name, kept, times_ms[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
    static struct candidate boxes[BOXES];
    int i;

    make_boxes(boxes);
    if (argc > 1) {
        FILE *file = fopen(argv[1], "wb");

        if (!file)
            return 1;
        for (i = 0; i < BOXES; i++) {
            const float row[5] = {boxes[i].x1, boxes[i].y1, boxes[i].x2, boxes[i].y2, boxes[i].score};

            if (fwrite(row, sizeof(row), 1, file) != 1)
                return 1;
        }
        if (fclose(file) != 0)
            return 1;
    }
    measure("nms_upright", boxes, false);
    measure("nms_rotated", boxes, true);
    return 0;
}
