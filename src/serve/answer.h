/*
 * answer.h - what a model's answer says: its boxes, its times, how light the picture was.  Depends on judge/match.h,
 * jansson. SPDX-License-Identifier: Apache-2.0
 *
 * Two forms are read: that of /v1/predict ({"images": [{"results": [...], "speed", "light", ...}]}), and the Open
 * Inference Protocol's with the output "detections" as JSON. Raw tensors have no boxes that anybody
 * here could read: such an answer is judged by its times and status alone.
 */
#ifndef SERVE_ANSWER_H
#define SERVE_ANSWER_H

#include "judge/match.h"

#define ANSWER_MAX_NAMES   128 /* different class names of one answer */
#define ANSWER_MAX_SIDE_PX 65535

struct answer {
    bool has_boxes;
    bool is_tensors;                         /* it has outputs, and pictures are not said to be among them */
    int pictures, detections;                /* over all pictures of the request */
    int width, height;                       /* px, of the first picture; 0: not known */
    double queue_ms, inference_ms;           /* a picture's; negative: not known */
    double light, sharpness;                 /* of the first picture; negative: not known */
    int box_count;                           /* of the first picture */
    struct match_box boxes[MATCH_MAX_BOXES]; /* names point into names */
    int name_count;
    char names[ANSWER_MAX_NAMES][RECORD_MAX_VALUE + 1];
};

/* Never fails: what cannot be read is not known. */
void answer_read(const uint8_t *body, size_t size, struct answer *ret);

/* The first picture's boxes as bytes, and back; at most size bytes are written, of whole boxes. */
size_t answer_pack(const struct answer *answer, uint8_t *bytes, size_t size);
void answer_unpack(const uint8_t *bytes, size_t size, struct answer *ret);

/* A name kept in the answer, so that a box may point to it; NULL where there is no room. */
const char *answer_name(struct answer *answer, const char *name);

#endif
