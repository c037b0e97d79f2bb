/*
 * class_list.c - names in the order of their numbers, and sorted for finding.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/class_list.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_TOLD 5 /* in a sentence */

struct class_list {
    atomic_int owners;
    json_t *names, *more; /* more: NULL, or those without a number */
    size_t sorted_count;
    const char *sorted[]; /* both, into their texts */
};

static json_t *read_names(const char *text, struct serin_error *error)
{
    json_t *names = json_loads(text, 0, NULL);
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name))
            break;
    }
    if (json_is_array(names) && i == json_array_size(names))
        return names;
    json_decref(names);
    error_set(error, SERIN_INVALID, "the names of classes are no JSON array of texts: %.60s", text);
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum serin_errc class_list_new(const char *names, const char *more, struct class_list **ret, struct serin_error *error)
{
    json_t *numbered = read_names(names, error), *others = numbered && more ? read_names(more, error) : NULL;
    struct class_list *list = NULL;
    const json_t *name;
    size_t count = json_array_size(numbered) + json_array_size(others), i;

    if (numbered && (others || !more))
        list = calloc(1, sizeof(*list) + count * sizeof(list->sorted[0]));
    if (!list) {
        enum serin_errc rc = !numbered || (more && !others)
                                 ? SERIN_INVALID
                                 : error_set(error, SERIN_NOMEM, "no memory for %zu names of classes", count);

        json_decref(numbered);
        json_decref(others);
        return rc;
    }
    atomic_init(&list->owners, 1);
    list->names = numbered;
    list->more = others;
    json_array_foreach(numbered, i, name)
    {
        list->sorted[list->sorted_count++] = json_string_value(name);
    }
    json_array_foreach(others, i, name)
    {
        list->sorted[list->sorted_count++] = json_string_value(name);
    }
    if (count > 1)
        qsort(list->sorted, count, sizeof(list->sorted[0]), by_name);
    *ret = list;
    return SERIN_OK;
}

struct class_list *class_list_share(struct class_list *list)
{
    if (list)
        atomic_fetch_add(&list->owners, 1);
    return list;
}

void class_list_drop(struct class_list *list)
{
    if (!list || atomic_fetch_sub(&list->owners, 1) != 1)
        return;
    json_decref(list->names);
    json_decref(list->more);
    free(list);
}

int class_list_count(const struct class_list *list)
{
    return (int)json_array_size(list->names);
}

const char *class_list_name(const struct class_list *list, int64_t number)
{
    return number < 0 ? NULL : json_string_value(json_array_get(list->names, (size_t)number));
}

bool class_list_has(const struct class_list *list, const char *name)
{
    return list->sorted_count > 0 &&
           bsearch(&name, list->sorted, list->sorted_count, sizeof(list->sorted[0]), by_name) != NULL;
}

void class_list_describe(const struct class_list *list, char *text, size_t size)
{
    size_t count = json_array_size(list->names), used = (size_t)snprintf(text, size, "it has"), i;

    for (i = 0; i < count && i < NAMES_TOLD && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s %zu %.30s", i > 0 ? "," : "", i,
                                 json_string_value(json_array_get(list->names, i)));
    if (count > NAMES_TOLD && used < size)
        snprintf(text + used, size - used, " and %zu more", count - NAMES_TOLD);
    else if (count == 0)
        snprintf(text, size, "it has none");
}
