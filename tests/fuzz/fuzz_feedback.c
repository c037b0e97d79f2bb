/*
 * fuzz_feedback.c - fuzz target: the body of a feedback, and whether it can be true of a frame.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct class_list *classes(void)
{
    static struct class_list *list;

    if (!list && class_list_new("[\"person\", \"car\"]", NULL, &list, NULL) != SERIN_OK)
        abort();
    return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct gateway_feedback *feedback = NULL;
    struct serin_error error = {.code = SERIN_OK};
    enum serin_errc rc = feedback_read(input, size, &feedback, &error);
    int i;

    if (rc != error.code || (rc == SERIN_OK) != (feedback != NULL) || (rc != SERIN_OK && error.message[0] == '\0'))
        abort();
    for (i = 0; feedback && i < feedback->box_count; i++) {
        const struct gateway_box *box = &feedback->boxes[i];

        if (!(box->x1 < box->x2) || !(box->y1 < box->y2) || !(fmaxf(box->x2, box->y2) > 1) ||
            memchr(box->name, 0, sizeof(box->name)) == NULL || (box->class_id < 0 && box->name[0] == '\0'))
            abort();
    }
    if (feedback && (feedback->box_count > GATEWAY_MAX_BOXES || feedback->choice > GATEWAY_BOTH_RIGHT))
        abort();
    rc = feedback ? gateway_check_places(feedback, 640, 480, &error) : SERIN_OK;
    if (rc != SERIN_OK && (rc != error.code || error.message[0] == '\0'))
        abort();
    rc = feedback ? gateway_check_classes(feedback, "street", classes(), &error) : SERIN_OK;
    if (rc != SERIN_OK && (rc != error.code || error.message[0] == '\0'))
        abort();
    free(feedback);
    return 0;
}
