/*
 * answer.c - reading a model's answer with jansson.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/answer.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

const char *answer_name(struct answer *answer, const char *name)
{
    size_t size = strlen(name);
    int i;

    for (i = 0; i < answer->name_count; i++)
        if (strcmp(answer->names[i], name) == 0)
            return answer->names[i];
    if (answer->name_count == ANSWER_MAX_NAMES || size > RECORD_MAX_VALUE)
        return NULL;
    memcpy(answer->names[answer->name_count], name, size + 1);
    return answer->names[answer->name_count++];
}

static bool read_number(const json_t *object, const char *key, float *ret)
{
    const json_t *value = json_object_get(object, key);

    *ret = (float)json_number_value(value);
    return json_is_number(value) && isfinite(*ret);
}

static double number_or_unknown(const json_t *object, const char *key)
{
    float number;

    return read_number(object, key, &number) ? (double)number : -1;
}

static int side_px(const json_t *value)
{
    double side = json_number_value(value);

    return side >= 1 && side <= ANSWER_MAX_SIDE_PX ? (int)side : 0;
}

static void read_box(const json_t *result, struct answer *ret)
{
    const json_t *box = json_object_get(result, "box"), *name = json_object_get(result, "name");
    struct match_box *to = &ret->boxes[ret->box_count];

    if (ret->box_count == MATCH_MAX_BOXES)
        return;
    to->name = json_is_string(name) ? answer_name(ret, json_string_value(name)) : NULL;
    if (to->name && read_number(result, "confidence", &to->confidence) && read_number(box, "x1", &to->x1) &&
        read_number(box, "y1", &to->y1) && read_number(box, "x2", &to->x2) && read_number(box, "y2", &to->y2))
        ret->box_count++;
}

static void read_picture(const json_t *picture, struct answer *ret)
{
    const json_t *results = json_object_get(picture, "results"), *speed = json_object_get(picture, "speed"), *result;
    size_t i;

    if (!json_is_array(results))
        return;
    ret->has_boxes = true;
    ret->detections += (int)json_array_size(results);
    if (ret->pictures++ > 0)
        return;
    ret->height = side_px(json_array_get(json_object_get(picture, "shape"), 0));
    ret->width = side_px(json_array_get(json_object_get(picture, "shape"), 1));
    ret->light = number_or_unknown(picture, "light");
    ret->sharpness = number_or_unknown(picture, "sharpness");
    ret->queue_ms = number_or_unknown(picture, "queue_ms");
    ret->inference_ms = number_or_unknown(speed, "inference");
    json_array_foreach(results, i, result)
    {
        read_box(result, ret);
    }
}

/* OIP: the elements of the output "detections" are pictures as JSON texts. */
static void read_outputs(const json_t *outputs, struct answer *ret)
{
    const json_t *output, *element;
    size_t i, e;

    ret->is_tensors = json_array_size(outputs) > 0;
    json_array_foreach(outputs, i, output)
    {
        const char *name = json_string_value(json_object_get(output, "name"));

        if (!name || strcmp(name, "detections") != 0)
            continue;
        ret->is_tensors = !json_object_get(output, "data"); /* it stands behind the JSON */
        json_array_foreach(json_object_get(output, "data"), e, element)
        {
            json_t *picture =
                json_is_string(element)
                    ? json_loadb(json_string_value(element), json_string_length(element), JSON_DECODE_INT_AS_REAL, NULL)
                    : NULL;

            read_picture(picture, ret);
            json_decref(picture);
        }
    }
}

void answer_read(const uint8_t *body, size_t size, struct answer *ret)
{
    json_t *root = json_loadb((const char *)body, size, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *picture;
    size_t i;

    ret->has_boxes = ret->is_tensors = false;
    ret->pictures = ret->detections = ret->width = ret->height = ret->box_count = ret->name_count = 0;
    ret->queue_ms = ret->inference_ms = ret->light = ret->sharpness = -1;
    json_array_foreach(json_object_get(root, "images"), i, picture)
    {
        read_picture(picture, ret);
    }
    read_outputs(json_object_get(root, "outputs"), ret);
    json_decref(root);
}

/* ---- packing: of each box the length of its name, the name, five floats ---- */

size_t answer_pack(const struct answer *answer, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    int i;

    for (i = 0; i < answer->box_count; i++) {
        const struct match_box *box = &answer->boxes[i];
        const float numbers[] = {box->x1, box->y1, box->x2, box->y2, box->confidence};
        size_t length = strlen(box->name);

        if (used + 1 + length + sizeof(numbers) > size)
            break;
        bytes[used++] = (uint8_t)length;
        memcpy(bytes + used, box->name, length);
        used += length;
        memcpy(bytes + used, numbers, sizeof(numbers));
        used += sizeof(numbers);
    }
    return used;
}

void answer_unpack(const uint8_t *bytes, size_t size, struct answer *ret)
{
    size_t used = 0;

    ret->has_boxes = true;
    ret->is_tensors = false;
    ret->pictures = 1;
    ret->box_count = ret->name_count = ret->width = ret->height = 0;
    ret->queue_ms = ret->inference_ms = ret->light = ret->sharpness = -1;
    while (used < size && ret->box_count < MATCH_MAX_BOXES) {
        size_t length = bytes[used++];
        struct match_box *box = &ret->boxes[ret->box_count];
        char name[RECORD_MAX_VALUE + 1];
        float numbers[5];

        if (length > RECORD_MAX_VALUE || size - used < length + sizeof(numbers))
            break;
        memcpy(name, bytes + used, length);
        name[length] = '\0';
        memcpy(numbers, bytes + used + length, sizeof(numbers));
        used += length + sizeof(numbers);
        box->name = answer_name(ret, name);
        box->x1 = numbers[0], box->y1 = numbers[1], box->x2 = numbers[2], box->y2 = numbers[3];
        box->confidence = numbers[4];
        if (box->name)
            ret->box_count++;
    }
    ret->detections = ret->box_count;
}
