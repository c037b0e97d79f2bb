/*
 * metadata.c - one table of keys, fed from two sources.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The ONNX file gives Python literals and the sidecar gives YAML; both become struct literal, and the row of the key
 * checks it. Every number has a limit far above any real model and far below what would hurt, so that nobody behind
 * this has to wonder. Which keys there are and what form they have is a fact of Ultralytics 8.4's exporter.
 */
#include "yolo/metadata.h"

#include "base/text.h"
#include "yolo/literal.h"
#include "yolo/yaml_literal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STRIDE_PX  512
#define MAX_SIDE_PX    16384
#define MAX_BATCH      1024
#define MAX_CHANNELS   1024
#define MAX_TEXT_BYTES 4096
#define MAX_STRIDES    16

/* What one source said, as far as it takes two keys to know. */
struct reading {
    struct yolo_metadata *metadata;
    bool said_end_to_end, end_to_end;
};

/* ---- values ---- */

static const char *kind_name(enum literal_kind kind)
{
    static const char *const names[] = {
        [LITERAL_NONE] = "None",      [LITERAL_BOOL] = "a truth value", [LITERAL_INT] = "a whole number",
        [LITERAL_FLOAT] = "a number", [LITERAL_TEXT] = "text",          [LITERAL_LIST] = "a list",
        [LITERAL_DICT] = "a dict",
    };

    return names[kind];
}

/* A whole number from 1 to max; "32.0", as some exporters write it, is whole too. */
static enum serin_errc read_count(const struct literal *value, int max, int *ret, struct serin_error *error)
{
    if (value->kind == LITERAL_INT) {
        if (value->as.integer < 1 || value->as.integer > max)
            return error_set(error, SERIN_LIMIT, "%lld is not from 1 to %d", (long long)value->as.integer, max);
        *ret = (int)value->as.integer;
        return SERIN_OK;
    }
    if (value->kind == LITERAL_FLOAT) {
        if (!(value->as.real >= 1 && value->as.real <= max))
            return error_set(error, SERIN_LIMIT, "%g is not from 1 to %d", value->as.real, max);
        if (floor(value->as.real) != value->as.real) /* NOLINT: exactness is the point */
            return error_set(error, SERIN_CORRUPT, "%g is not a whole number", value->as.real);
        *ret = (int)value->as.real;
        return SERIN_OK;
    }
    return error_set(error, SERIN_CORRUPT, "is %s where a whole number was expected", kind_name(value->kind));
}

static enum serin_errc read_truth(const struct literal *value, bool *ret, struct serin_error *error)
{
    if (value->kind == LITERAL_NONE)
        *ret = false;
    else if (value->kind == LITERAL_BOOL)
        *ret = value->as.boolean;
    else if (value->kind == LITERAL_INT && (value->as.integer == 0 || value->as.integer == 1))
        *ret = value->as.integer == 1;
    else
        return error_set(error, SERIN_CORRUPT, "is %s where True or False was expected", kind_name(value->kind));
    return SERIN_OK;
}

/* Valid UTF-8 without control characters (C0, DEL, and C1, which some terminals obey). With soften, those become
 * blanks. */
static enum serin_errc clean_text(char *text, size_t max_bytes, bool soften, struct serin_error *error)
{
    size_t size = strnlen(text, max_bytes + 1), length;
    char *p;

    if (size > max_bytes)
        return error_set(error, SERIN_LIMIT, "text of more than %zu bytes: '%.40s...'", max_bytes, text);
    for (p = text; *p; p += length) {
        bool control;

        length = text_utf8_length(p);
        if (length == 0)
            return error_set(error, SERIN_CORRUPT, "byte %zu (0x%02x) of a text is not UTF-8", (size_t)(p - text),
                             (unsigned)(unsigned char)*p);
        control = (unsigned char)*p < 0x20 || *p == 0x7f ||
                  (length == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0);
        if (control && !soften)
            return error_set(error, SERIN_CORRUPT, "control character at byte %zu of a text", (size_t)(p - text));
        if (control)
            memset(p, ' ', length);
    }
    return SERIN_OK;
}

/* ---- keys ---- */

static enum serin_errc apply_task(struct reading *reading, const char *text, struct serin_error *error)
{
    static const char *const names[] = {"detect", "segment", "pose", "classify", "obb"}; /* as enum serin_task */
    const char *near;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            reading->metadata->has_task = true;
            reading->metadata->task = (enum serin_task)i;
            return SERIN_OK;
        }
    }
    near = text_nearest(text, names, sizeof(names) / sizeof(names[0]));
    return error_set(error, SERIN_UNSUPPORTED, "'%.40s' is none of detect, segment, pose, classify, obb%s%s%s", text,
                     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static enum serin_errc replace_text(char **field, const char *text, struct serin_error *error)
{
    enum serin_errc rc;
    char *copy;

    if (strnlen(text, MAX_TEXT_BYTES + 1) > MAX_TEXT_BYTES)
        return error_set(error, SERIN_LIMIT, "text of more than %d bytes", MAX_TEXT_BYTES);
    copy = strdup(text);
    if (!copy)
        return error_set(error, SERIN_NOMEM, "no memory for a text");
    rc = clean_text(copy, MAX_TEXT_BYTES, true, error);
    if (rc) {
        free(copy);
        return rc;
    }
    free(*field);
    *field = copy;
    return SERIN_OK;
}

static enum serin_errc apply_description(struct reading *reading, const char *text, struct serin_error *error)
{
    return replace_text(&reading->metadata->description, text, error);
}

static enum serin_errc apply_license(struct reading *reading, const char *text, struct serin_error *error)
{
    return replace_text(&reading->metadata->license, text, error);
}

static enum serin_errc apply_version(struct reading *reading, const char *text, struct serin_error *error)
{
    return replace_text(&reading->metadata->version, text, error);
}

/* One number, or one for each level of the head, of which the largest counts. */
static enum serin_errc apply_stride(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    enum serin_errc rc;
    int largest = 0, stride = 0;
    size_t i;

    if (value->kind != LITERAL_LIST)
        return read_count(value, MAX_STRIDE_PX, &reading->metadata->stride, error);
    if (value->count < 1 || value->count > MAX_STRIDES)
        return error_set(error, SERIN_CORRUPT, "a list of %zu, expected 1 to %d strides", value->count, MAX_STRIDES);
    for (i = 0; i < value->count; i++) {
        rc = read_count(&value->as.items[i], MAX_STRIDE_PX, &stride, error);
        if (rc)
            return rc;
        largest = stride > largest ? stride : largest;
    }
    reading->metadata->stride = largest;
    return SERIN_OK;
}

static enum serin_errc apply_imgsz(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    struct yolo_metadata *metadata = reading->metadata;
    enum serin_errc rc;
    int height = 0, width = 0;

    if (value->kind == LITERAL_LIST) {
        if (value->count != 2)
            return error_set(error, SERIN_CORRUPT, "a list of %zu, expected [height, width]", value->count);
        rc = read_count(&value->as.items[0], MAX_SIDE_PX, &height, error);
        if (rc)
            return rc;
        rc = read_count(&value->as.items[1], MAX_SIDE_PX, &width, error);
    } else {
        rc = read_count(value, MAX_SIDE_PX, &height, error);
        width = height;
    }
    if (rc)
        return rc;
    metadata->input_height = height;
    metadata->input_width = width;
    return SERIN_OK;
}

static enum serin_errc apply_batch(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    return read_count(value, MAX_BATCH, &reading->metadata->batch, error);
}

static enum serin_errc apply_channels(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    return read_count(value, MAX_CHANNELS, &reading->metadata->channels, error);
}

static enum serin_errc apply_kpt_shape(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    enum serin_errc rc;
    int count = 0, dims = 0;

    if (value->kind != LITERAL_LIST || value->count != 2)
        return error_set(error, SERIN_CORRUPT, "expected [keypoints, 2 or 3]");
    rc = read_count(&value->as.items[0], YOLO_MAX_KEYPOINTS, &count, error);
    if (rc)
        return rc;
    rc = read_count(&value->as.items[1], 3, &dims, error);
    if (rc)
        return rc;
    if (dims < 2)
        return error_set(error, SERIN_CORRUPT, "a keypoint of %d values, expected 2 or 3", dims);
    reading->metadata->keypoint_count = count;
    reading->metadata->keypoint_dims = dims;
    return SERIN_OK;
}

static enum serin_errc apply_end2end(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    bool truth = false;
    enum serin_errc rc = read_truth(value, &truth, error);

    if (rc)
        return rc;
    reading->said_end_to_end = true;
    reading->end_to_end = reading->end_to_end || truth;
    return SERIN_OK;
}

static enum serin_errc apply_args(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    const struct literal *argument;
    enum serin_errc rc;

    if (value->kind != LITERAL_DICT)
        return error_set(error, SERIN_CORRUPT, "is %s where a dict was expected", kind_name(value->kind));
    argument = literal_find(value, "nms");
    rc = argument ? apply_end2end(reading, argument, error) : SERIN_OK;
    if (rc)
        return error_prefix(error, rc, "nms");
    argument = literal_find(value, "dynamic");
    rc = argument ? read_truth(argument, &reading->metadata->dynamic, error) : SERIN_OK;
    if (rc)
        return error_prefix(error, rc, "dynamic");
    return SERIN_OK;
}

/* ---- names ---- */

static void free_names(char **names, int count)
{
    int i;

    for (i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}

/* A class may be called 911 or True, and then it is not text in Python's dict. */
static enum serin_errc copy_name(const struct literal *value, char **ret, struct serin_error *error)
{
    char number[32];
    const char *text = number;
    enum serin_errc rc;
    char *copy;

    if (value->kind == LITERAL_TEXT)
        text = value->as.text;
    else if (value->kind == LITERAL_INT)
        snprintf(number, sizeof(number), "%lld", (long long)value->as.integer);
    else if (value->kind == LITERAL_BOOL)
        text = value->as.boolean ? "True" : "False";
    else
        return error_set(error, SERIN_CORRUPT, "is %s where text was expected", kind_name(value->kind));
    if (strnlen(text, YOLO_MAX_NAME_BYTES + 1) > YOLO_MAX_NAME_BYTES)
        return error_set(error, SERIN_LIMIT, "is longer than %d bytes: '%.40s...'", YOLO_MAX_NAME_BYTES, text);
    copy = strdup(text);
    if (!copy)
        return error_set(error, SERIN_NOMEM, "no memory for a class name");
    rc = clean_text(copy, YOLO_MAX_NAME_BYTES, false, error);
    if (rc) {
        free(copy);
        return rc;
    }
    *ret = copy;
    return SERIN_OK;
}

/* The number that a key of the dict stands for (JSON keys are text), or -1. */
static int64_t class_number(const struct literal *key)
{
    char canonical[24];
    long long number;

    if (key->kind == LITERAL_INT)
        return key->as.integer < 0 ? -1 : key->as.integer;
    if (key->kind != LITERAL_TEXT || strnlen(key->as.text, 10) > 9)
        return -1;
    number = strtoll(key->as.text, NULL, 10);
    snprintf(canonical, sizeof(canonical), "%lld", number);
    return number >= 0 && strcmp(canonical, key->as.text) == 0 ? number : -1;
}

/* The first class that has no name yet: what to say when another number is out of range. */
static int first_missing(const struct literal *value, int count)
{
    bool *seen = calloc((size_t)count, sizeof(*seen));
    int i;

    if (!seen)
        return 0;
    for (i = 0; i < count; i++) {
        int64_t number = class_number(&value->as.items[2 * i]);

        if (number >= 0 && number < count)
            seen[number] = true;
    }
    for (i = 0; i < count - 1 && seen[i]; i++)
        continue;
    free(seen);
    return i;
}

static enum serin_errc fill_names(const struct literal *value, char **names, int count, struct serin_error *error)
{
    bool dict = value->kind == LITERAL_DICT;
    enum serin_errc rc;
    int i;

    for (i = 0; i < count; i++) {
        int64_t number = dict ? class_number(&value->as.items[2 * i]) : i;

        if (number < 0)
            return error_set(error, SERIN_CORRUPT, "key %d is not a class number", i);
        if (number >= count)
            return error_set(error, SERIN_CORRUPT, "%d classes, but class %d has no name and there is a class %lld",
                             count, first_missing(value, count), (long long)number);
        if (names[number])
            return error_set(error, SERIN_CORRUPT, "class %lld has two names", (long long)number);
        rc = copy_name(&value->as.items[dict ? 2 * i + 1 : i], &names[number], error);
        if (rc)
            return error_prefix(error, rc, "class %lld", (long long)number);
    }
    return SERIN_OK;
}

static enum serin_errc apply_names(struct reading *reading, const struct literal *value, struct serin_error *error)
{
    struct yolo_metadata *metadata = reading->metadata;
    enum serin_errc rc;
    char **names;
    int count;

    if (value->kind != LITERAL_DICT && value->kind != LITERAL_LIST)
        return error_set(error, SERIN_CORRUPT, "is %s where a dict or a list was expected", kind_name(value->kind));
    if (value->count < 1)
        return error_set(error, SERIN_CORRUPT, "no class at all");
    if (value->count > YOLO_MAX_CLASSES)
        return error_set(error, SERIN_LIMIT, "%zu classes, the limit is %d", value->count, YOLO_MAX_CLASSES);
    count = (int)value->count;
    names = calloc((size_t)count, sizeof(*names));
    if (!names)
        return error_set(error, SERIN_NOMEM, "no memory for %d class names", count);
    rc = fill_names(value, names, count, error);
    if (rc) {
        free_names(names, count);
        return rc;
    }
    free_names(metadata->class_names, metadata->class_count);
    metadata->class_names = names;
    metadata->class_count = count;
    return SERIN_OK;
}

/* Exactly one of text and literal is set, but for the keys that are known and mean nothing here. */
static const struct key {
    const char *name;
    enum serin_errc (*text)(struct reading *reading, const char *text, struct serin_error *error);
    enum serin_errc (*literal)(struct reading *reading, const struct literal *value, struct serin_error *error);
} keys[] = {
    {.name = "task", .text = apply_task},
    {.name = "description", .text = apply_description},
    {.name = "license", .text = apply_license},
    {.name = "version", .text = apply_version},
    {.name = "names", .literal = apply_names},
    {.name = "stride", .literal = apply_stride},
    {.name = "imgsz", .literal = apply_imgsz},
    {.name = "batch", .literal = apply_batch},
    {.name = "channels", .literal = apply_channels},
    {.name = "kpt_shape", .literal = apply_kpt_shape},
    {.name = "end2end", .literal = apply_end2end},
    {.name = "args", .literal = apply_args},
    {.name = "author"}, /* the rest is known, so that no sidecar that Ultralytics wrote is refused */
    {.name = "date"},
    {.name = "docs"},
    {.name = "head"},
    {.name = "kpt_names"},
    {.name = "dla"},
    {.name = "note"},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static void finish(struct reading *reading)
{
    if (reading->said_end_to_end)
        reading->metadata->end_to_end = reading->end_to_end;
}

enum serin_errc metadata_read(metadata_lookup *lookup, const void *user, struct yolo_metadata *ret,
                              struct serin_error *error)
{
    struct yolo_metadata metadata = {0};
    struct reading reading = {.metadata = &metadata};
    enum serin_errc rc = SERIN_OK;
    size_t i;

    for (i = 0; i < KEY_COUNT && rc == SERIN_OK; i++) {
        const char *text = keys[i].text || keys[i].literal ? lookup(user, keys[i].name) : NULL;
        struct literal value = {.kind = LITERAL_NONE};

        if (!text)
            continue;
        if (keys[i].text) {
            rc = keys[i].text(&reading, text, error);
        } else {
            rc = literal_parse(text, &value, error);
            if (rc == SERIN_OK)
                rc = keys[i].literal(&reading, &value, error);
            literal_done(&value);
        }
        rc = error_prefix(error, rc, "metadata '%s'", keys[i].name);
    }
    if (rc) {
        metadata_done(&metadata);
        return rc;
    }
    finish(&reading);
    *ret = metadata;
    return SERIN_OK;
}

static enum serin_errc apply_entry(struct reading *reading, const struct yaml_entry *entry, struct serin_error *error)
{
    const char *names[KEY_COUNT], *near;
    size_t i;

    for (i = 0; i < KEY_COUNT; i++) {
        names[i] = keys[i].name;
        if (strcmp(entry->key, keys[i].name) != 0)
            continue;
        if (keys[i].literal)
            return keys[i].literal(reading, &entry->value, error);
        if (!keys[i].text)
            return SERIN_OK;
        if (!entry->text)
            return error_set(error, SERIN_CORRUPT, "is %s where text was expected", kind_name(entry->value.kind));
        return keys[i].text(reading, entry->text, error);
    }
    near = text_nearest(entry->key, names, KEY_COUNT);
    return error_set(error, SERIN_INVALID, "unknown key%s%s%s", near ? ": did you mean '" : "", near ? near : "",
                     near ? "'?" : "");
}

enum serin_errc metadata_read_sidecar(const char *yaml, size_t size_bytes, struct yolo_metadata *metadata,
                                      struct serin_error *error)
{
    struct reading reading = {.metadata = metadata};
    struct yaml_mapping mapping = {0};
    enum serin_errc rc;
    size_t i;

    rc = yaml_parse(yaml, size_bytes, &mapping, error);
    for (i = 0; i < mapping.count && rc == SERIN_OK; i++) {
        const struct yaml_entry *entry = &mapping.entries[i];

        rc = apply_entry(&reading, entry, error);
        rc = error_prefix(error, rc, "line %zu: '%.40s'", entry->line, entry->key);
    }
    yaml_mapping_done(&mapping);
    finish(&reading);
    return rc;
}

void metadata_done(struct yolo_metadata *metadata)
{
    free_names(metadata->class_names, metadata->class_count);
    free(metadata->description);
    free(metadata->license);
    free(metadata->version);
    *metadata = (struct yolo_metadata){0};
}
