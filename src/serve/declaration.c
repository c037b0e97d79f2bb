/*
 * declaration.c - reading two documents that nobody vouches for, and comparing them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is kept after reading is well-formed, so that comparing looks up and never asks what a value is.
 */
#include "serve/declaration.h"

#include "base/json.h"
#include "base/json_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS    64
#define MAX_RANK       16
#define MAX_NAME_BYTES 256
#define SHAPE_BYTES    96

static const char *const lists[] = {"inputs", "outputs"};
static const char *const kinds[] = {"input", "output"};

/* A tree of at most DECLARATION_MAX_BYTES; garbage is told from it before anything is allocated. */
static enum serin_errc read_json(const void *bytes, size_t size, json_t **ret, struct serin_error *error)
{
    json_t *root;

    if (size > DECLARATION_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "%zu bytes, the limit is %zu", size, DECLARATION_MAX_BYTES);
    if (!json_check(bytes, size))
        return error_set(error, SERIN_CORRUPT, "no JSON: %.*s", (int)(size < 60 ? size : 60), (const char *)bytes);
    root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(error, SERIN_CORRUPT, "no JSON object with each key once");
    }
    *ret = root;
    return SERIN_OK;
}

/* ---- inputs and outputs ---- */

static json_t *find_tensor(const json_t *list, const char *name)
{
    size_t i;

    for (i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "name")), name) == 0)
            return json_array_get(list, i);
    return NULL;
}

static enum serin_errc check_tensor(const json_t *tensor, const char *kind, size_t at, struct serin_error *error)
{
    const json_t *shape = json_object_get(tensor, "shape");
    size_t d;

    if (!json_string_value(json_object_get(tensor, "name")) || !json_string_value(json_object_get(tensor, "datatype")))
        return error_set(error, SERIN_CORRUPT, "%s %zu has no name and datatype", kind, at);
    if (json_string_length(json_object_get(tensor, "name")) > MAX_NAME_BYTES ||
        json_string_length(json_object_get(tensor, "datatype")) > MAX_NAME_BYTES)
        return error_set(error, SERIN_LIMIT, "%s %zu has a name of more than %d bytes", kind, at, MAX_NAME_BYTES);
    if (!json_is_array(shape) || json_array_size(shape) > MAX_RANK)
        return error_set(error, SERIN_CORRUPT, "%s %zu has no shape of at most %d dimensions", kind, at, MAX_RANK);
    for (d = 0; d < json_array_size(shape); d++)
        if (!json_is_integer(json_array_get(shape, d)) || json_integer_value(json_array_get(shape, d)) < -1)
            return error_set(error, SERIN_CORRUPT, "dimension %zu of %s %zu is neither a size nor -1", d, kind, at);
    return SERIN_OK;
}

static enum serin_errc check_tensors(const json_t *list, const char *kind, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return error_set(error, SERIN_CORRUPT, "it has no list of its %ss", kind);
    if (json_array_size(list) > MAX_TENSORS)
        return error_set(error, SERIN_LIMIT, "%zu %ss, the limit is %d", json_array_size(list), kind, MAX_TENSORS);
    for (i = 0; rc == SERIN_OK && i < json_array_size(list); i++)
        rc = check_tensor(json_array_get(list, i), kind, i, error);
    for (i = 0; rc == SERIN_OK && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));

        if (find_tensor(list, name) != json_array_get(list, i))
            rc = error_set(error, SERIN_CORRUPT, "two %ss are called '%.60s'", kind, name);
    }
    return rc;
}

enum serin_errc declaration_read_metadata(const void *bytes, size_t size, const char *model, struct declaration *ret,
                                          struct serin_error *error)
{
    json_t *root = NULL;
    const char *name;
    enum serin_errc rc = read_json(bytes, size, &root, error);
    size_t k;

    if (rc != SERIN_OK)
        return rc;
    name = json_string_value(json_object_get(root, "name"));
    if (!name || strcmp(name, model) != 0)
        rc = error_set(error, SERIN_CORRUPT, "it is of the model '%.60s', not '%s'", name ? name : "", model);
    for (k = 0; rc == SERIN_OK && k < 2; k++)
        rc = check_tensors(json_object_get(root, lists[k]), kinds[k], error);
    if (rc != SERIN_OK) {
        json_decref(root);
        return rc;
    }
    json_decref(ret->metadata);
    ret->metadata = root;
    return SERIN_OK;
}

static bool shape_fits(const json_t *own, const json_t *stable, bool is_input)
{
    size_t d, rank = json_array_size(stable);

    if (json_array_size(own) != rank)
        return false;
    for (d = 0; d < rank; d++) {
        json_int_t of_own = json_integer_value(json_array_get(own, d));
        json_int_t of_stable = json_integer_value(json_array_get(stable, d));

        if (of_own != of_stable && of_own != -1 && (is_input || of_stable != -1))
            return false;
    }
    return true;
}

/* "FP32 [1,3,640,640]" */
static const char *write_tensor(const json_t *tensor, char text[static SHAPE_BYTES])
{
    const json_t *shape = json_object_get(tensor, "shape");
    size_t d, used;

    used = (size_t)snprintf(text, SHAPE_BYTES, "%.16s [", json_string_value(json_object_get(tensor, "datatype")));
    for (d = 0; d < json_array_size(shape) && used + 24 < SHAPE_BYTES; d++)
        used += (size_t)snprintf(text + used, SHAPE_BYTES - used, "%s%lld", d ? "," : "",
                                 (long long)json_integer_value(json_array_get(shape, d)));
    snprintf(text + used, SHAPE_BYTES - used, "]");
    return text;
}

static enum serin_errc compare_lists(const json_t *own, const json_t *stable, size_t k, struct serin_error *error)
{
    char text[SHAPE_BYTES], of_stable[SHAPE_BYTES];
    size_t i;

    for (i = 0; i < json_array_size(stable); i++) {
        const json_t *wanted = json_array_get(stable, i);
        const char *name = json_string_value(json_object_get(wanted, "name"));
        const json_t *found = find_tensor(own, name);

        if (!found)
            return error_set(error, SERIN_LIMIT, "it has no %s '%.60s', stable has one of %s", kinds[k], name,
                             write_tensor(wanted, of_stable));
        if (!json_equal(json_object_get(found, "datatype"), json_object_get(wanted, "datatype")) ||
            !shape_fits(json_object_get(found, "shape"), json_object_get(wanted, "shape"), k == 0))
            return error_set(error, SERIN_LIMIT, "its %s '%.60s' is %s, stable's is %s", kinds[k], name,
                             write_tensor(found, text), write_tensor(wanted, of_stable));
    }
    for (i = 0; i < json_array_size(own); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(own, i), "name"));

        if (!find_tensor(stable, name))
            return error_set(error, SERIN_LIMIT, "it has the %s '%.60s' of %s, stable has none", kinds[k], name,
                             write_tensor(json_array_get(own, i), text));
    }
    return SERIN_OK;
}

enum serin_errc declaration_compare_tensors(const struct declaration *own, const struct declaration *stable,
                                            struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    size_t k;

    for (k = 0; rc == SERIN_OK && k < 2; k++)
        rc = compare_lists(json_object_get(own->metadata, lists[k]), json_object_get(stable->metadata, lists[k]), k,
                           error);
    return rc;
}

/* ---- task and classes ---- */

struct class_name { /* as a pair stands in a dict */
    struct literal number, name;
};

static int by_number(const void *a, const void *b)
{
    const struct class_name *left = a, *right = b;

    return (left->number.as.integer > right->number.as.integer) - (left->number.as.integer < right->number.as.integer);
}

/* Puts a dict of names in the order of their numbers: YAML that people write has any. */
static enum serin_errc check_names(struct literal *names, struct serin_error *error)
{
    bool is_dict = names->kind == LITERAL_DICT;
    size_t i;

    if (!is_dict && names->kind != LITERAL_LIST)
        return error_set(error, SERIN_CORRUPT, "its names are neither a dict nor a list");
    for (i = 0; i < names->count; i++) {
        if (names->as.items[is_dict ? 2 * i + 1 : i].kind != LITERAL_TEXT)
            return error_set(error, SERIN_CORRUPT, "the name of class %zu is no text", i);
        if (is_dict && names->as.items[2 * i].kind != LITERAL_INT)
            return error_set(error, SERIN_CORRUPT, "the number of a class is none");
    }
    if (is_dict && names->count > 0)
        qsort(names->as.items, names->count, sizeof(struct class_name), by_number);
    for (i = 0; is_dict && i < names->count; i++)
        if (names->as.items[2 * i].as.integer != (int64_t)i)
            return error_set(error, SERIN_CORRUPT, "its %zu classes are not numbered from 0 on", names->count);
    return SERIN_OK;
}

static const char *name_of(const struct literal *names, size_t number)
{
    return names->as.items[names->kind == LITERAL_DICT ? 2 * number + 1 : number].as.text;
}

enum serin_errc declaration_read_config(const void *bytes, size_t size, struct declaration *ret,
                                        struct serin_error *error)
{
    struct literal about = {0};
    struct literal *names;
    const struct literal *task;
    json_t *root = NULL;
    const char *text;
    enum serin_errc rc = read_json(bytes, size, &root, error);

    if (rc != SERIN_OK)
        return rc;
    text = json_string_value(
        json_object_get(json_object_get(json_object_get(root, "parameters"), "metadata"), "string_value"));
    if (text) /* without it, it tells nothing */
        rc = literal_parse(text, &about, error);
    json_decref(root);
    if (rc != SERIN_OK || !text)
        return rc;
    task = literal_find(&about, "task");
    names = (struct literal *)literal_find(&about, "names"); /* of about, which is ours */
    if (task && task->kind != LITERAL_TEXT)
        rc = error_set(error, SERIN_CORRUPT, "its task is no text");
    if (rc == SERIN_OK && names)
        rc = check_names(names, error);
    if (rc != SERIN_OK) {
        literal_done(&about);
        return rc;
    }
    literal_done(&ret->about);
    ret->about = about;
    return SERIN_OK;
}

bool declaration_has_classes(const struct declaration *declaration)
{
    return literal_find(&declaration->about, "names") != NULL;
}

void declaration_write_classes(const struct declaration *declaration, struct buffer *out)
{
    const struct literal *names = literal_find(&declaration->about, "names");
    struct json_writer json;
    size_t i;

    json_init(&json, out);
    json_begin_array(&json);
    for (i = 0; names && i < names->count; i++)
        json_write_string(&json, name_of(names, i));
    json_end_array(&json);
}

enum serin_errc declaration_compare_classes(const struct declaration *own, const struct declaration *stable,
                                            struct serin_error *error)
{
    const struct literal *names = literal_find(&own->about, "names");
    const struct literal *of_stable = literal_find(&stable->about, "names");
    const struct literal *task = literal_find(&own->about, "task");
    const struct literal *task_of_stable = literal_find(&stable->about, "task");
    size_t i;

    if (task && task_of_stable && strcmp(task->as.text, task_of_stable->as.text) != 0)
        return error_set(error, SERIN_LIMIT, "it does %.40s, stable does %.40s", task->as.text,
                         task_of_stable->as.text);
    if (!names || !of_stable)
        return SERIN_OK;
    if (names->count != of_stable->count)
        return error_set(error, SERIN_LIMIT, "it has %zu classes, stable has %zu", names->count, of_stable->count);
    for (i = 0; i < names->count; i++)
        if (strcmp(name_of(names, i), name_of(of_stable, i)) != 0)
            return error_set(error, SERIN_LIMIT, "its class %zu is '%.60s', stable's is '%.60s'", i, name_of(names, i),
                             name_of(of_stable, i));
    return SERIN_OK;
}

void declaration_done(struct declaration *declaration)
{
    json_decref(declaration->metadata);
    literal_done(&declaration->about);
    *declaration = (struct declaration){0};
}
