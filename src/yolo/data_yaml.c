/*
 * data_yaml.c - data.yaml by libyaml's document tree.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An alias in the tree is an index, so a bomb of aliases stays as small as its text, and a circle is harmless because
 * only two fixed levels are looked at.
 */
#include "yolo/data_yaml.h"

#include "base/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yaml.h>

struct reader {
    const char *path; /* of the file, for errors */
    yaml_document_t document;
    yaml_node_t *root;
    struct serin_error *error;
};

void data_yaml_done(struct data_yaml *data)
{
    size_t i;

    if (!data)
        return;
    for (i = 0; i < data->source_count; i++)
        free(data->sources[i]);
    for (i = 0; data->names && i < data->name_count; i++)
        free(data->names[i]);
    free(data->sources);
    free(data->names);
    free(data->root);
    free(data->annotations);
    free(data->images);
    *data = (struct data_yaml){0};
}

char *data_path_join(const char *folder, const char *path)
{
    char *joined = NULL;

    if (path[0] == '/' || !folder[0])
        return strdup(path);
    return asprintf(&joined, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", path) < 0 ? NULL : joined;
}

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static enum serin_errc no_memory(struct reader *reader)
{
    return error_set(reader->error, SERIN_NOMEM, "%s: no memory to read it", reader->path);
}

/* A node's text, or NULL with an error where it is not one line of it. */
static const char *text_of(struct reader *reader, const yaml_node_t *node, const char *what)
{
    const char *text;

    if (node->type != YAML_SCALAR_NODE) {
        error_set(reader->error, SERIN_CORRUPT, "%s:%zu: %s must be text, not a list or map", reader->path,
                  line_of(node), what);
        return NULL;
    }
    text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length || strlen(text) > DATA_YAML_MAX_TEXT) {
        error_set(reader->error, SERIN_CORRUPT, "%s:%zu: %s has a NUL or more than %d bytes", reader->path,
                  line_of(node), what, DATA_YAML_MAX_TEXT);
        return NULL;
    }
    return text;
}

/* Finds key in the file's map; *ret is NULL where it is not there or is empty (null). */
static enum serin_errc find(struct reader *reader, const char *key, yaml_node_t **ret)
{
    const yaml_node_pair_t *pair;

    *ret = NULL;
    for (pair = reader->root->data.mapping.pairs.start; pair < reader->root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(&reader->document, pair->key);

        if (name->type != YAML_SCALAR_NODE || strcmp((const char *)name->data.scalar.value, key) != 0)
            continue;
        if (*ret)
            return error_set(reader->error, SERIN_CORRUPT, "%s:%zu: key '%s' for the second time", reader->path,
                             line_of(name), key);
        *ret = yaml_document_get_node(&reader->document, pair->value);
    }
    if (*ret && (*ret)->type == YAML_SCALAR_NODE &&
        ((*ret)->data.scalar.length == 0 || ((*ret)->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                                             strcmp((const char *)(*ret)->data.scalar.value, "null") == 0)))
        *ret = NULL;
    return SERIN_OK;
}

/* A whole number from 0 to max. */
static enum serin_errc number_of(struct reader *reader, const yaml_node_t *node, const char *what, long max, long *ret)
{
    const char *text = text_of(reader, node, what);
    char *end;
    long value;

    if (!text)
        return SERIN_CORRUPT;
    errno = 0;
    value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < 0 || value > max)
        return error_set(reader->error, SERIN_CORRUPT, "%s:%zu: %s is '%.40s', it must be a whole number from 0 to %ld",
                         reader->path, line_of(node), what, text, max);
    *ret = value;
    return SERIN_OK;
}

static enum serin_errc read_path(struct reader *reader, const char *key, const char *folder, char **ret)
{
    yaml_node_t *node;
    const char *text;

    if (find(reader, key, &node))
        return SERIN_CORRUPT;
    if (!node)
        return SERIN_OK;
    text = text_of(reader, node, key);
    if (!text)
        return SERIN_CORRUPT;
    *ret = data_path_join(folder, text);
    return *ret ? SERIN_OK : no_memory(reader);
}

/* One entry of the split. As Ultralytics, "../x" also finds x in the root itself: exports by others have it so. */
static enum serin_errc add_source(struct reader *reader, struct data_yaml *data, const yaml_node_t *node,
                                  const char *key)
{
    const char *text = text_of(reader, node, key);
    char *path;

    if (!text)
        return SERIN_CORRUPT;
    path = data_path_join(data->root, text);
    if (path && strncmp(text, "../", 3) == 0 && access(path, F_OK) != 0) {
        free(path);
        path = data_path_join(data->root, text + 3);
    }
    if (!path)
        return no_memory(reader);
    if (access(path, F_OK) != 0) {
        error_set(reader->error, SERIN_NOT_FOUND, "%s:%zu: %s: %.200s: %s", reader->path, line_of(node), key, path,
                  strerror(errno));
        free(path);
        return SERIN_NOT_FOUND;
    }
    data->sources[data->source_count++] = path;
    return SERIN_OK;
}

static enum serin_errc read_sources(struct reader *reader, struct data_yaml *data)
{
    const char *key = "val";
    yaml_node_t *node;
    const yaml_node_item_t *item;
    enum serin_errc rc;
    size_t count = 1;

    if (find(reader, "split", &node))
        return SERIN_CORRUPT;
    if (node && !(key = text_of(reader, node, "split")))
        return SERIN_CORRUPT;
    if (find(reader, key, &node))
        return SERIN_CORRUPT;
    if (!node && strcmp(key, "val") == 0 && find(reader, key = "validation", &node))
        return SERIN_CORRUPT;
    if (!node)
        return data->annotations
                   ? SERIN_OK
                   : error_set(reader->error, SERIN_CORRUPT, "%s: key '%.40s' is missing: where the pictures are",
                               reader->path, strcmp(key, "validation") == 0 ? "val" : key);
    if (node->type == YAML_SEQUENCE_NODE)
        count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count < 1 || count > DATA_YAML_MAX_SOURCES)
        return error_set(reader->error, SERIN_LIMIT, "%s:%zu: %s has %zu entries, it must have 1 to %d", reader->path,
                         line_of(node), key, count, DATA_YAML_MAX_SOURCES);
    data->sources = calloc(count, sizeof(*data->sources));
    if (!data->sources)
        return no_memory(reader);
    if (node->type != YAML_SEQUENCE_NODE)
        return add_source(reader, data, node, key);
    for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        rc = add_source(reader, data, yaml_document_get_node(&reader->document, *item), key);
        if (rc)
            return rc;
    }
    return SERIN_OK;
}

static enum serin_errc put_name(struct reader *reader, struct data_yaml *data, size_t i, const yaml_node_t *node)
{
    const char *text = text_of(reader, node, "a class name");

    if (!text)
        return SERIN_CORRUPT;
    if (data->names[i])
        return error_set(reader->error, SERIN_CORRUPT, "%s:%zu: class %zu for the second time", reader->path,
                         line_of(node), i);
    data->names[i] = strdup(text);
    return data->names[i] ? SERIN_OK : no_memory(reader);
}

static enum serin_errc read_names(struct reader *reader, struct data_yaml *data)
{
    const yaml_node_item_t *item;
    const yaml_node_pair_t *pair;
    enum serin_errc rc = SERIN_OK;
    yaml_node_t *node, *nc;
    long number;
    size_t i = 0;

    if (find(reader, "names", &node) || find(reader, "nc", &nc))
        return SERIN_CORRUPT;
    if (!node)
        return SERIN_OK;
    if (node->type == YAML_SCALAR_NODE)
        return error_set(reader->error, SERIN_CORRUPT, "%s:%zu: names must be a list or a map", reader->path,
                         line_of(node));
    data->names_line = (int)line_of(node);
    if (node->type == YAML_SEQUENCE_NODE)
        data->name_count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    else
        data->name_count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    if (data->name_count < 1 || data->name_count > DATA_YAML_MAX_CLASSES)
        return error_set(reader->error, SERIN_LIMIT, "%s:%zu: %zu class names, there must be 1 to %d", reader->path,
                         line_of(node), data->name_count, DATA_YAML_MAX_CLASSES);
    data->names = calloc(data->name_count, sizeof(*data->names));
    if (!data->names)
        return no_memory(reader);
    if (node->type == YAML_SEQUENCE_NODE) {
        for (item = node->data.sequence.items.start; item < node->data.sequence.items.top && !rc; item++)
            rc = put_name(reader, data, i++, yaml_document_get_node(&reader->document, *item));
    } else {
        for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top && !rc; pair++) {
            rc = number_of(reader, yaml_document_get_node(&reader->document, pair->key), "a class number",
                           (long)data->name_count - 1, &number);
            if (!rc)
                rc = put_name(reader, data, (size_t)number, yaml_document_get_node(&reader->document, pair->value));
        }
    }
    if (rc || !nc)
        return rc;
    rc = number_of(reader, nc, "nc", DATA_YAML_MAX_CLASSES, &number);
    if (!rc && (size_t)number != data->name_count)
        rc = error_set(reader->error, SERIN_CORRUPT, "%s:%zu: nc is %ld but there are %zu names", reader->path,
                       line_of(nc), number, data->name_count);
    return rc;
}

static enum serin_errc read_keypoints(struct reader *reader, struct data_yaml *data)
{
    const yaml_node_item_t *items;
    enum serin_errc rc;
    yaml_node_t *node;
    long count, dims;

    if (find(reader, "kpt_shape", &node))
        return SERIN_CORRUPT;
    if (!node)
        return SERIN_OK;
    items = node->data.sequence.items.start;
    if (node->type != YAML_SEQUENCE_NODE || node->data.sequence.items.top - items != 2)
        return error_set(reader->error, SERIN_CORRUPT, "%s:%zu: kpt_shape must be [number of points, 2 or 3]",
                         reader->path, line_of(node));
    rc = number_of(reader, yaml_document_get_node(&reader->document, items[0]), "kpt_shape's first", 1000, &count);
    if (!rc)
        rc = number_of(reader, yaml_document_get_node(&reader->document, items[1]), "kpt_shape's second", 3, &dims);
    if (rc)
        return rc;
    if (count < 1 || dims < 2)
        return error_set(reader->error, SERIN_CORRUPT,
                         "%s:%zu: kpt_shape is [%ld, %ld], it must be [1 to 1000, 2 or 3]", reader->path, line_of(node),
                         count, dims);
    data->keypoint_count = (int)count;
    data->keypoint_dims = (int)dims;
    return SERIN_OK;
}

static enum serin_errc read_keys(struct reader *reader, struct data_yaml *data)
{
    const char *slash = strrchr(reader->path, '/');
    char *folder = slash ? strndup(reader->path, (size_t)(slash - reader->path) + 1) : strdup(".");
    enum serin_errc rc;

    if (!folder)
        return no_memory(reader);
    rc = read_path(reader, "path", folder, &data->root);
    if (!rc && !data->root) {
        data->root = folder;
        folder = NULL;
    }
    free(folder);
    if (!rc)
        rc = read_path(reader, "annotations", data->root, &data->annotations);
    if (!rc)
        rc = read_path(reader, "images", data->root, &data->images);
    if (!rc)
        rc = read_sources(reader, data);
    if (!rc)
        rc = read_names(reader, data);
    if (!rc)
        rc = read_keypoints(reader, data);
    return rc;
}

/* A second document would be passed over: Ultralytics' reader refuses it too. */
static enum serin_errc read_end(struct reader *reader, yaml_parser_t *parser)
{
    const yaml_node_t *root;
    enum serin_errc rc = SERIN_OK;

    if (!yaml_parser_load(parser, &reader->document))
        return error_set(reader->error, parser->error == YAML_MEMORY_ERROR ? SERIN_NOMEM : SERIN_CORRUPT, "%s:%zu: %s",
                         reader->path, parser->problem_mark.line + 1,
                         parser->problem ? parser->problem : "is not YAML");
    root = yaml_document_get_root_node(&reader->document);
    if (root)
        rc = error_set(reader->error, SERIN_CORRUPT, "%s:%zu: a second document: a data set is one", reader->path,
                       line_of(root));
    yaml_document_delete(&reader->document);
    return rc;
}

enum serin_errc data_yaml_read(const char *path, struct data_yaml *ret, struct serin_error *error)
{
    struct reader reader = {.path = path, .error = error};
    struct data_yaml data = {0};
    enum serin_errc rc;
    yaml_parser_t parser;
    uint8_t *bytes;
    size_t size;

    rc = file_read(path, DATA_YAML_MAX_BYTES, &bytes, &size, error);
    if (rc)
        return rc;
    if (!yaml_parser_initialize(&parser)) {
        free(bytes);
        return no_memory(&reader);
    }
    yaml_parser_set_input_string(&parser, bytes, size);
    if (!yaml_parser_load(&parser, &reader.document)) {
        rc = error_set(error, parser.error == YAML_MEMORY_ERROR ? SERIN_NOMEM : SERIN_CORRUPT, "%s:%zu: %s", path,
                       parser.problem_mark.line + 1, parser.problem ? parser.problem : "is not YAML");
    } else {
        reader.root = yaml_document_get_root_node(&reader.document);
        if (!reader.root || reader.root->type != YAML_MAPPING_NODE)
            rc = error_set(error, SERIN_CORRUPT, "%s: is not a data set's YAML: no keys at the top", path);
        else
            rc = read_keys(&reader, &data);
        yaml_document_delete(&reader.document);
        if (rc == SERIN_OK)
            rc = read_end(&reader, &parser);
    }
    yaml_parser_delete(&parser);
    free(bytes);
    if (rc)
        data_yaml_done(&data);
    else
        *ret = data;
    return rc;
}
