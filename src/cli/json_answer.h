/*
 * json_answer.h - what the control port answered: read by key, and printed in the form that was asked for.
 * Depends on jansson.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The readers take what is there and have something harmless for what is not, since an older or newer server may
 * answer; object and list may be NULL or of another type. Their names are short, for a line of a table takes several.
 */
#ifndef CLI_JSON_ANSWER_H
#define CLI_JSON_ANSWER_H

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* The order of a verb's words for --output; the last is no word, but what many looks are printed as. */
enum { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_JSON_LINE };

/* On stdout, members in their order, numbers as the shortest text that reads back as the same. people prints the table,
 * and is not called for the others. */
void json_answer_print(int output, const json_t *answer, void (*people)(FILE *out, const json_t *answer));

static inline const char *text_of(const json_t *object, const char *key) /* "" where there is none */
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static inline json_int_t integer_of(const json_t *object, const char *key) /* 0 where there is none */
{
    return json_integer_value(json_object_get(object, key));
}

static inline double number_of(const json_t *object, const char *key) /* NAN where there is none */
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static inline double sum_of(const json_t *list, const char *key) /* over its objects */
{
    double sum = 0;
    size_t i;

    for (i = 0; i < json_array_size(list); i++)
        sum += json_number_value(json_object_get(json_array_get(list, i), key));
    return sum;
}

#endif
