/*
 * description.c - reading a bundle's description.
 * SPDX-License-Identifier: Apache-2.0
 *
 * It comes from a store, which may be anybody's: every field is checked as if it had been typed.
 */
#include "version/bundle.h"

#include "base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CLASSES 100000
#define MAX_TENSORS 64
#define MAX_WORD    15 /* task, architecture, precision */

/* A short word of a-z, 0-9 and '-', into text of MAX_WORD + 1 bytes. */
static enum serin_errc read_word(const json_t *root, const char *key, char *text, struct serin_error *error)
{
    const json_t *value = json_object_get(root, key);
    const char *word = json_string_value(value);
    size_t length = word ? json_string_length(value) : 0;

    if (length == 0 || length > MAX_WORD || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
        return error_set(error, SERIN_CORRUPT, "serin.json: \"%s\" is no word of 1 to %d of a-z, 0-9, '-'", key,
                         MAX_WORD);
    memcpy(text, word, length + 1);
    return SERIN_OK;
}

static enum serin_errc read_strings(const json_t *root, const char *key, size_t max_count, char **ret_json,
                                    size_t *ret_count, struct serin_error *error)
{
    const json_t *list = json_object_get(root, key), *item;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > max_count)
        return error_set(error, SERIN_CORRUPT, "serin.json: \"%s\" is no list of at most %zu strings", key, max_count);
    json_array_foreach(list, i, item) if (!json_is_string(item)) return error_set(
        error, SERIN_CORRUPT, "serin.json: entry %zu of \"%s\" is no string", i, key);
    *ret_count = json_array_size(list);
    *ret_json = json_dumps(list, JSON_COMPACT);
    return *ret_json ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for \"%s\"", key);
}

static enum serin_errc read_settings(json_t *root, struct bundle *bundle, struct serin_error *error)
{
    json_t *settings = json_object_get(root, "settings"), *value;
    enum serin_errc rc = SERIN_OK;
    const char *key;

    if (!json_is_object(settings))
        return error_set(error, SERIN_CORRUPT, "serin.json: \"settings\" is no object");
    json_object_foreach(settings, key, value)
    {
        const struct bundle_setting_rule *rule = bundle_setting_find_rule(key);

        if (!rule)
            return error_set(error, SERIN_UNSUPPORTED,
                             "serin.json: setting '%.40s' is unknown to this version of serin", key);
        if (rule->choices ? !json_is_string(value) : !json_is_number(value))
            return error_set(error, SERIN_CORRUPT, "serin.json: setting '%s' is no %s", key,
                             rule->choices ? "word" : "number");
        if (rule->choices && text_choice_find(rule->choices, json_string_value(value)) < 0)
            return error_set(error, SERIN_UNSUPPORTED,
                             "serin.json: setting %s is '%.40s', this version of serin knows %s", key,
                             json_string_value(value), rule->choices);
        rc = bundle_setting_add(bundle, rule,
                                rule->choices ? text_choice_find(rule->choices, json_string_value(value))
                                              : json_number_value(value),
                                error);
        if (rc != SERIN_OK)
            return error_set(error, SERIN_CORRUPT, "serin.json: setting '%s' is out of its range", key);
    }
    return SERIN_OK;
}

static enum serin_errc read_description(json_t *root, struct bundle *bundle, struct serin_error *error)
{
    const json_t *schema = json_object_get(root, "schema"), *scan = json_object_get(root, "scan");
    enum serin_errc rc;
    size_t count = 0, ignored;

    if (!json_is_integer(schema))
        return error_set(error, SERIN_CORRUPT, "serin.json has no schema number");
    if (json_integer_value(schema) != BUNDLE_SCHEMA)
        return error_set(error, SERIN_UNSUPPORTED, "serin.json has schema %lld, this version of serin reads %d",
                         (long long)json_integer_value(schema), BUNDLE_SCHEMA);
    rc = read_word(root, "task", bundle->task, error);
    rc = rc ? rc : read_word(root, "architecture", bundle->architecture, error);
    rc = rc ? rc : read_word(root, "precision", bundle->precision, error);
    rc = rc ? rc : read_strings(root, "class_names", MAX_CLASSES, &bundle->class_names_json, &count, error);
    rc = rc ? rc : read_strings(root, "inputs", MAX_TENSORS, &bundle->inputs_json, &ignored, error);
    rc = rc ? rc : read_strings(root, "outputs", MAX_TENSORS, &bundle->outputs_json, &ignored, error);
    rc = rc ? rc : read_settings(root, bundle, error);
    if (rc != SERIN_OK)
        return rc;
    bundle->class_count = (int)count;
    if (scan && !json_is_object(scan))
        return error_set(error, SERIN_CORRUPT, "serin.json: \"scan\" is no object");
    if (scan && !(bundle->scan_json = json_dumps(scan, JSON_COMPACT)))
        return error_set(error, SERIN_NOMEM, "no memory for \"scan\"");
    return SERIN_OK;
}

enum serin_errc bundle_description_parse(const void *bytes, size_t size, struct bundle *ret, struct serin_error *error)
{
    struct bundle read = {.class_count = 0};
    json_error_t where;
    enum serin_errc rc;
    json_t *root;

    if (size > BUNDLE_MAX_DESCRIPTION_BYTES)
        return error_set(error, SERIN_LIMIT, "serin.json has %zu bytes, the limit is %u", size,
                         BUNDLE_MAX_DESCRIPTION_BYTES);
    root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(error, SERIN_CORRUPT, "serin.json: line %d: %s", root ? 1 : where.line,
                         root ? "no object" : where.text);
    }
    rc = read_description(root, &read, error);
    json_decref(root);
    if (rc != SERIN_OK) {
        bundle_done(&read);
        return rc;
    }
    free(ret->class_names_json);
    free(ret->inputs_json);
    free(ret->outputs_json);
    free(ret->scan_json);
    memcpy(ret->task, read.task, sizeof(ret->task));
    memcpy(ret->architecture, read.architecture, sizeof(ret->architecture));
    memcpy(ret->precision, read.precision, sizeof(ret->precision));
    ret->class_count = read.class_count;
    ret->class_names_json = read.class_names_json;
    ret->inputs_json = read.inputs_json;
    ret->outputs_json = read.outputs_json;
    ret->scan_json = read.scan_json;
    ret->setting_count = read.setting_count;
    memcpy(ret->settings, read.settings, sizeof(ret->settings));
    return SERIN_OK;
}

enum serin_errc bundle_json_check(const void *bytes, size_t size, const char *what, struct serin_error *error)
{
    json_error_t where;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &where);
    bool object = json_is_object(root);

    json_decref(root);
    if (object)
        return SERIN_OK;
    return error_set(error, SERIN_CORRUPT, "%s is no JSON object%s%s", what, root ? "" : ": ", root ? "" : where.text);
}

double bundle_accuracy(const struct bundle *bundle, const char **ret_name)
{
    json_t *root = bundle->eval_json ? json_loads(bundle->eval_json, 0, NULL) : NULL;
    const json_t *value = json_object_get(root, "map50_95");
    double accuracy = -1;

    *ret_name = "mAP50-95";
    if (!json_is_number(value)) /* oriented boxes have Ultralytics' figure alone */
        value = json_object_get(json_object_get(root, "ultralytics"), "map50_95");
    if (!json_is_number(value)) {
        *ret_name = "top-1";
        value = json_object_get(root, "top1");
    }
    if (json_is_number(value))
        accuracy = json_number_value(value);
    json_decref(root);
    return accuracy;
}

bool bundle_same_evaluation_data(const struct bundle *a, const struct bundle *b)
{
    json_t *of_a = a->eval_json ? json_loads(a->eval_json, 0, NULL) : NULL;
    json_t *of_b = b->eval_json ? json_loads(b->eval_json, 0, NULL) : NULL;
    const char *first = json_string_value(json_object_get(of_a, "data_digest"));
    const char *second = json_string_value(json_object_get(of_b, "data_digest"));
    bool same = first && second && strcmp(first, second) == 0;

    json_decref(of_a);
    json_decref(of_b);
    return same;
}
