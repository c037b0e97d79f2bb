/*
 * fuzz_metadata.c - fuzz target: bytes as the metadata of a model.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says as what the rest is read: 'l' a Python literal, 'y' a sidecar, or the letter of a key in the
 * table below, whose value it is then.
 */
#include "yolo/literal.h"
#include "yolo/metadata.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct {
    char letter;
    const char *key;
} keys[] = {
    {'t', "task"},     {'n', "names"},     {'s', "stride"},  {'i', "imgsz"}, {'b', "batch"},
    {'c', "channels"}, {'k', "kpt_shape"}, {'e', "end2end"}, {'a', "args"},  {'d', "description"},
};

struct property {
    const char *key, *value;
};

static const char *find(const void *user, const char *key)
{
    const struct property *property = user;

    return strcmp(property->key, key) == 0 ? property->value : NULL;
}

/* Whatever was accepted must keep its promises. */
static void check(const struct yolo_metadata *metadata)
{
    int i;

    for (i = 0; i < metadata->class_count; i++)
        if (!metadata->class_names[i] || strlen(metadata->class_names[i]) > YOLO_MAX_NAME_BYTES)
            abort();
    if (metadata->stride < 0 || metadata->stride > 512 || metadata->input_height < 0 ||
        metadata->input_height > 16384 || metadata->input_width < 0 || metadata->input_width > 16384 ||
        metadata->class_count > YOLO_MAX_CLASSES || metadata->keypoint_count > YOLO_MAX_KEYPOINTS ||
        metadata->keypoint_dims > 3)
        abort();
}

static int depth_of(const struct literal *literal)
{
    size_t count = literal->kind == LITERAL_DICT ? 2 * literal->count : literal->count, i;
    int deepest = 0;

    if (literal->kind != LITERAL_LIST && literal->kind != LITERAL_DICT)
        return 0;
    for (i = 0; i < count; i++) {
        int depth = depth_of(&literal->as.items[i]);

        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct serin_error error = {.code = SERIN_OK};
    struct yolo_metadata metadata = {0};
    struct literal literal = {0};
    enum serin_errc rc = SERIN_OK;
    char *text;
    size_t i;

    if (size == 0)
        return 0;
    text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, bytes + 1, size - 1);
    text[size - 1] = '\0';
    if (bytes[0] == 'l') {
        rc = literal_parse(text, &literal, &error);
        if (rc == SERIN_OK && depth_of(&literal) > LITERAL_MAX_DEPTH)
            abort();
        literal_done(&literal);
    } else if (bytes[0] == 'y') {
        rc = metadata_read_sidecar(text, size - 1, &metadata, &error);
    } else {
        for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            const struct property property = {keys[i].key, text};

            if (keys[i].letter == (char)bytes[0])
                rc = metadata_read(find, &property, &metadata, &error);
        }
    }
    if (rc != error.code || (rc != SERIN_OK && error.message[0] == '\0'))
        abort();
    check(&metadata);
    metadata_done(&metadata);
    free(text);
    return 0;
}
