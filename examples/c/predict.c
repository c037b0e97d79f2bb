/*
 * predict.c - open a YOLO model of any of the five tasks, predict on one picture, read the results, close.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     cc predict.c $(pkg-config --cflags --libs serin) -o predict && ./predict yolov8n-pose.onnx photo.jpg
 *
 * CAUTION for more pictures: in ONE call, pictures of different shapes are padded to the square where the model takes
 * any size, and their boxes are others than those of a call each. options.rect = SERIN_RECT_OFF makes both the same.
 */
#include <serin/yolo.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    struct serin_yolo *yolo = NULL;
    struct serin_image image = {0};
    struct serin_result *result = NULL;
    struct serin_error error;
    int failed = argc != 3;

    if (failed)
        fprintf(stderr, "usage: predict MODEL.onnx PICTURE\n");
    else if (serin_yolo_open(argv[1], NULL, &yolo, &error) || serin_image_decode_file(argv[2], NULL, &image, &error) ||
             serin_yolo_predict(yolo, &image, 1, NULL, &result, &error))
        failed = fprintf(stderr, "%s\n", error.message);

    for (size_t i = 0; result && i < result->count; i++) {
        const struct serin_detection *d = &result->detections[i];

        printf("%s %.2f", result->info->class_names[d->class_id], d->confidence);
        if (result->task == SERIN_OBB) /* rotated boxes: centre, size and angle */
            printf("  centre %.1f,%.1f  size %.1f x %.1f  angle %.3f", d->cx, d->cy, d->w, d->h, d->angle);
        else if (result->task != SERIN_CLASSIFY)
            printf("  box %.1f,%.1f to %.1f,%.1f", d->x1, d->y1, d->x2, d->y2);
        if (d->mask)
            printf("  outline of %zu points", d->mask->point_count);
        for (int k = 0; d->keypoints && k < result->info->keypoint_count; k++)
            printf("  %.1f,%.1f", d->keypoints[k].x, d->keypoints[k].y);
        printf("\n");
    }
    serin_result_free(result);
    serin_image_free(&image);
    serin_yolo_close(yolo);
    return failed != 0;
}
