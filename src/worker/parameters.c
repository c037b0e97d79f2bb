/*
 * parameters.c - a request's parameters, from text.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/parameters.h"

#include "base/text.h"
#include "worker/batcher.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TIMEOUT_US 86400000000u /* a day */

const char *const parameters_names[] = {"conf", "iou", "imgsz", "classes", "max_det", "priority", "timeout", NULL};

/* Of fewer letters, names are too much alike. */
#define SHORTEST_MISTYPED 3
#define SHORTEST_ODD      5 /* from here on two slips are taken for a slip */

/* One slip from ours, and yet words of their own: a query may carry a camera's key, a time against caches. */
static const char *const others_own[] = {"time", "cone", "you", "ios", "iot"};

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* word: in lower case. */
static bool is_meant_as(const char *word, const char *name)
{
    const bool long_enough = strlen(word) >= SHORTEST_ODD && strlen(name) >= SHORTEST_ODD;
    size_t i;

    for (i = 0; i < sizeof(others_own) / sizeof(others_own[0]); i++)
        if (strcmp(word, others_own[i]) == 0)
            return false;
    return strlen(word) >= SHORTEST_MISTYPED &&
           (begins_with(word, name) || begins_with(name, word) || text_distance(word, name) <= (long_enough ? 2 : 1));
}

enum serin_errc parameters_find(const char *name, int *ret, struct serin_error *error)
{
    char word[TEXT_MAX_WORD + 1]; /* what is cut off is beyond all names */
    size_t i;

    *ret = -1;
    for (i = 0; parameters_names[i]; i++)
        if (strcmp(name, parameters_names[i]) == 0) {
            *ret = (int)i;
            return SERIN_OK;
        }
    for (i = 0; i < TEXT_MAX_WORD && name[i]; i++)
        word[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    word[i] = '\0';
    for (i = 0; parameters_names[i]; i++)
        if (is_meant_as(word, parameters_names[i]))
            return error_set(error, SERIN_INVALID, "unknown parameter '%.60s', did you mean '%s'?", name,
                             parameters_names[i]);
    return SERIN_OK;
}

void parameters_init(struct parameters *parameters, const struct serin_predict_options *defaults)
{
    parameters->options = *defaults;
    parameters->priority = BATCHER_USUAL;
    parameters->timeout_us = 0;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

static enum serin_errc read_real(const char *name, const char *value, double min, double max, double *ret,
                                 struct serin_error *error)
{
    const char *end;
    double number;

    if (!text_number(skip_blanks(value), &end, &number) || *skip_blanks(end) || number < min || number > max)
        return error_set(error, SERIN_INVALID, "%s '%.40s' is not a number from %g to %g", name, value, min, max);
    *ret = number;
    return SERIN_OK;
}

/* A whole number that *end stands behind; false where there is none in the range. */
static bool read_digits(const char *text, double max, const char **end, double *ret)
{
    size_t digits = strspn(text, "0123456789");

    if (digits < 1 || digits > 15)
        return false;
    *ret = strtod(text, NULL);
    *end = text + digits;
    return *ret <= max && **end != '.' && **end != 'e' && **end != 'E';
}

static enum serin_errc read_whole(const char *name, const char *value, double min, double max, double *ret,
                                  struct serin_error *error)
{
    const char *end;
    double number;

    value = skip_blanks(value);
    if (!read_digits(value, max, &end, &number) || *skip_blanks(end) || number < min)
        return error_set(error, SERIN_INVALID, "%s '%.40s' is not a whole number from %.0f to %.0f", name, value, min,
                         max);
    *ret = number;
    return SERIN_OK;
}

static enum serin_errc read_imgsz(struct parameters *parameters, const char *value, int max_input_px,
                                  struct serin_error *error)
{
    const char *at = skip_blanks(value);
    bool bracket = *at == '[';
    double height, width;

    at = skip_blanks(at + bracket);
    if (!read_digits(at, max_input_px, &at, &height) || height < 1)
        goto bad;
    width = height;
    at = skip_blanks(at);
    if (*at == ',') {
        at = skip_blanks(at + 1);
        if (!read_digits(at, max_input_px, &at, &width) || width < 1)
            goto bad;
        at = skip_blanks(at);
    }
    if (bracket && *at++ != ']')
        goto bad;
    if (*skip_blanks(at))
        goto bad;
    parameters->options.input_height = (int)height;
    parameters->options.input_width = (int)width;
    return SERIN_OK;
bad:
    return error_set(error, SERIN_INVALID, "imgsz '%.40s' is not N or HEIGHT,WIDTH, each from 1 to %d pixels", value,
                     max_input_px);
}

static enum serin_errc find_class(const char *word, const struct serin_yolo_info *info, int32_t *ret,
                                  struct serin_error *error)
{
    const char *end, *nearest;
    double number;
    int i;

    for (i = 0; i < info->class_count; i++) {
        if (strcmp(info->class_names[i], word) == 0) {
            *ret = i;
            return SERIN_OK;
        }
    }
    if (read_digits(word, info->class_count - 1, &end, &number) && !*end) {
        *ret = (int32_t)number;
        return SERIN_OK;
    }
    nearest = text_nearest(word, info->class_names, (size_t)info->class_count);
    if (nearest)
        return error_set(error, SERIN_INVALID, "classes: the model has no '%.60s': was '%.60s' meant?", word, nearest);
    return error_set(error, SERIN_INVALID, "classes: the model has no '%.60s', only its names and 0 to %d", word,
                     info->class_count - 1);
}

static enum serin_errc read_classes(struct parameters *parameters, const char *value,
                                    const struct serin_yolo_info *info, struct serin_error *error)
{
    size_t count = 0;
    enum serin_errc rc;

    for (;;) {
        char word[PARAMETERS_MAX_NAME + 1];
        size_t length;

        value += strspn(value, " \t[]");
        length = strcspn(value, ",");
        if (length > PARAMETERS_MAX_NAME)
            return error_set(error, SERIN_INVALID, "classes: a name of %zu bytes, the limit is %d", length,
                             PARAMETERS_MAX_NAME);
        memcpy(word, value, length);
        while (length > 0 && strchr(" \t[]", word[length - 1]))
            length--;
        word[length] = '\0';
        if (count == PARAMETERS_MAX_CLASSES)
            return error_set(error, SERIN_INVALID, "classes: more than %d", PARAMETERS_MAX_CLASSES);
        rc = find_class(word, info, &parameters->classes[count], error);
        if (rc != SERIN_OK)
            return rc;
        count++;
        value = strchr(value, ',');
        if (!value)
            break;
        value++;
    }
    parameters->options.classes = parameters->classes;
    parameters->options.class_count = count;
    return SERIN_OK;
}

enum serin_errc parameters_set(struct parameters *parameters, const char *name, const char *value,
                               const struct serin_yolo_info *info, int max_input_px, struct serin_error *error)
{
    struct serin_predict_options *options = &parameters->options;
    enum serin_errc rc = SERIN_OK;
    double number = 0;

    if (strcmp(name, "conf") == 0) {
        rc = read_real(name, value, 0, 1, &number, error);
        options->conf = rc == SERIN_OK ? (float)number : options->conf;
    } else if (strcmp(name, "iou") == 0) {
        rc = read_real(name, value, 0, 1, &number, error);
        options->iou = rc == SERIN_OK ? number : options->iou;
    } else if (strcmp(name, "max_det") == 0) {
        rc = read_whole(name, value, 1, 30000, &number, error);
        options->max_det = rc == SERIN_OK ? (int)number : options->max_det;
    } else if (strcmp(name, "imgsz") == 0) {
        rc = read_imgsz(parameters, value, max_input_px, error);
    } else if (strcmp(name, "classes") == 0) {
        rc = read_classes(parameters, value, info, error);
    } else if (strcmp(name, "priority") == 0) {
        rc = read_whole(name, value, 0, BATCHER_LOWEST, &number, error);
        if (rc == SERIN_OK) /* 0 is the default, as Triton has it */
            parameters->priority = number < BATCHER_HIGHEST ? BATCHER_USUAL : (int)number;
    } else if (strcmp(name, "timeout") == 0) {
        rc = read_whole(name, value, 0, (double)MAX_TIMEOUT_US, &number, error);
        parameters->timeout_us = rc == SERIN_OK ? (uint64_t)number : parameters->timeout_us;
    }
    return rc;
}
