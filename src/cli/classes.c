/*
 * classes.c - class names, read and written.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/classes.h"

#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LIST_BYTES 65536

static enum serin_errc parse_item(const char *item, const struct serin_yolo_info *info, int32_t *ret,
                                  struct serin_error *error)
{
    const char *nearest;
    char *end;
    long number = strtol(item, &end, 10);
    int i;

    if (end != item && !*end) {
        if ((number < 0 || number >= info->class_count) && info->class_count == 1)
            return error_set(error, SERIN_INVALID, "--classes: there is no class %s: the model has one class, 0 (%s)",
                             item, info->class_names[0]);
        if (number < 0 || number >= info->class_count)
            return error_set(error, SERIN_INVALID, "--classes: there is no class %s: the model has 0 to %d", item,
                             info->class_count - 1);
        *ret = (int32_t)number;
        return SERIN_OK;
    }
    for (i = 0; i < info->class_count; i++) {
        if (strcasecmp(item, info->class_names[i]) == 0) {
            *ret = i;
            return SERIN_OK;
        }
    }
    nearest = text_nearest(item, info->class_names, (size_t)info->class_count);
    if (nearest)
        return error_set(error, SERIN_INVALID, "--classes: the model has no class '%s': did you mean '%s'?", item,
                         nearest);
    return error_set(error, SERIN_INVALID, "--classes: the model has no class '%s'; 'serin inspect' lists them", item);
}

enum serin_errc classes_parse(const char *list, const struct serin_yolo_info *info, int32_t **ret_classes,
                              size_t *ret_count, struct serin_error *error)
{
    size_t length = strlen(list), count = 0, places = 1;
    enum serin_errc rc = SERIN_OK;
    int32_t *classes;
    char *text, *item, *rest;
    const char *comma;

    if (length > MAX_LIST_BYTES)
        return error_set(error, SERIN_LIMIT, "--classes: %zu bytes, the limit is %d", length, MAX_LIST_BYTES);
    text = strdup(list);
    for (comma = strchr(list, ','); comma; comma = strchr(comma + 1, ','))
        places++;
    classes = malloc(places * sizeof(*classes));
    if (!text || !classes)
        rc = error_set(error, SERIN_NOMEM, "--classes: no memory for %zu bytes", length);
    rest = text;
    while (rc == SERIN_OK && (item = strsep(&rest, ","))) {
        char *end;

        item += strspn(item, " ");
        for (end = item + strlen(item); end > item && end[-1] == ' ';)
            *--end = '\0';
        if (!*item)
            rc = error_set(error, SERIN_INVALID, "--classes '%s': place %zu of %zu is empty", list, count + 1, places);
        else
            rc = parse_item(item, info, &classes[count], error);
        count++;
    }
    free(text);
    if (rc != SERIN_OK) {
        free(classes);
        return rc;
    }
    *ret_classes = classes;
    *ret_count = count;
    return SERIN_OK;
}

static bool ends_with(const char *name, size_t length, const char *ending)
{
    size_t tail = strlen(ending);

    return length > tail && memcmp(name + length - tail, ending, tail) == 0;
}

/* English plurals by rule, with the exceptions among COCO's names. A name that does not end in a letter of ASCII (other
 * languages, codes) and one that is a plural already stay as they are. */
static void append_plural(struct buffer *out, const char *name)
{
    static const char *const exceptions[][2] = {{"sheep", "sheep"}, {"mouse", "mice"}, {"knife", "knives"}};
    size_t length = strlen(name), i;

    for (i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (strcmp(name, exceptions[i][0]) == 0) {
            buffer_append_text(out, exceptions[i][1]);
            return;
        }
    }
    if (ends_with(name, length, "ss") || ends_with(name, length, "us") || ends_with(name, length, "x") ||
        ends_with(name, length, "ch") || ends_with(name, length, "sh"))
        buffer_printf(out, "%ses", name);
    else if (length > 1 && name[length - 1] == 'y' && !strchr("aeiou", name[length - 2]))
        buffer_printf(out, "%.*sies", (int)length - 1, name);
    else if (length == 0 || !islower((unsigned char)name[length - 1]) || name[length - 1] == 's')
        buffer_append_text(out, name);
    else
        buffer_printf(out, "%ss", name);
}

static int by_class(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;

    return (left > right) - (left < right);
}

static const char *name_of(const struct serin_yolo_info *info, int32_t class_id)
{
    return class_id >= 0 && class_id < info->class_count ? info->class_names[class_id] : "?";
}

static void describe_counts(struct buffer *out, const struct serin_result *result)
{
    int32_t *ids = malloc(result->count * sizeof(*ids));
    size_t i, same;

    if (!ids) {
        buffer_printf(out, "%zu detections", result->count);
        return;
    }
    for (i = 0; i < result->count; i++)
        ids[i] = result->detections[i].class_id;
    qsort(ids, result->count, sizeof(*ids), by_class);
    for (i = 0; i < result->count; i += same) {
        for (same = 1; i + same < result->count && ids[i + same] == ids[i]; same++)
            ;
        buffer_printf(out, "%s%zu ", i ? ", " : "", same);
        if (same == 1)
            buffer_append_text(out, name_of(result->info, ids[i]));
        else
            append_plural(out, name_of(result->info, ids[i]));
    }
    free(ids);
}

void classes_describe(struct buffer *out, const struct serin_result *result)
{
    size_t i;

    if (result->count == 0) {
        buffer_append_text(out, "nothing");
    } else if (result->task == SERIN_CLASSIFY) {
        for (i = 0; i < result->count; i++)
            buffer_printf(out, "%s%s %.2f", i ? ", " : "", name_of(result->info, result->detections[i].class_id),
                          (double)result->detections[i].confidence);
    } else {
        describe_counts(out, result);
    }
}
