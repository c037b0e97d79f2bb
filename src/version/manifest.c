/*
 * manifest.c - reading manifests and descriptors of OCI images.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "version/manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

bool oci_digest_check(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strspn(text + 7, "0123456789abcdef") == 64 && text[7 + 64] == '\0';
}

/* A string of at most MANIFEST_MAX_TEXT printable ASCII characters, into a field of that size and one. */
static bool read_text(const json_t *value, char *text)
{
    const char *string = json_string_value(value);
    size_t length = string ? json_string_length(value) : 0, i;

    if (length == 0 || length > MANIFEST_MAX_TEXT)
        return false;
    for (i = 0; i < length; i++)
        if ((unsigned char)string[i] < 0x20 || (unsigned char)string[i] > 0x7e)
            return false;
    memcpy(text, string, length + 1);
    return true;
}

enum serin_errc oci_descriptor_parse(const json_t *json, const char *where, struct oci_descriptor *ret,
                                     struct serin_error *error)
{
    const json_t *digest = json_object_get(json, "digest"), *size = json_object_get(json, "size"), *file;
    struct oci_descriptor read = {.size = 0};

    if (!json_is_object(json))
        return error_set(error, SERIN_CORRUPT, "%s is no object", where);
    if (!read_text(json_object_get(json, "mediaType"), read.media_type))
        return error_set(error, SERIN_CORRUPT, "%s: \"mediaType\" is no text of 1 to %d characters", where,
                         MANIFEST_MAX_TEXT);
    if (!json_is_string(digest) || !oci_digest_check(json_string_value(digest)))
        return error_set(error, SERIN_CORRUPT, "%s: \"digest\" %s%.80s is not 'sha256:' and 64 digits of 0-9a-f", where,
                         json_is_string(digest) ? "is " : "is no text and ",
                         json_is_string(digest) ? json_string_value(digest) : "");
    memcpy(read.digest, json_string_value(digest), 7 + 64);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return error_set(error, SERIN_CORRUPT, "%s: \"size\" is no whole number from 0", where);
    read.size = (uint64_t)json_integer_value(size);
    file = json_object_get(json_object_get(json, "annotations"), MANIFEST_FILE_ANNOTATION);
    if (file && !read_text(file, read.file))
        return error_set(error, SERIN_CORRUPT, "%s: \"%s\" is no text of 1 to %d characters", where,
                         MANIFEST_FILE_ANNOTATION, MANIFEST_MAX_TEXT);
    *ret = read;
    return SERIN_OK;
}

static enum serin_errc read_manifest(const json_t *root, struct oci_manifest *ret, struct serin_error *error)
{
    const json_t *layers = json_object_get(root, "layers"), *type = json_object_get(root, "artifactType"), *layer;
    const json_t *media_type = json_object_get(root, "mediaType");
    enum serin_errc rc;
    char where[32];
    size_t i;

    if (!json_is_object(root))
        return error_set(error, SERIN_CORRUPT, "the manifest is no object");
    if (json_integer_value(json_object_get(root, "schemaVersion")) != 2)
        return error_set(error, SERIN_CORRUPT, "the manifest's \"schemaVersion\" is not 2");
    if (media_type && (!json_is_string(media_type) || strcmp(json_string_value(media_type), MEDIA_TYPE_MANIFEST) != 0))
        return error_set(error, SERIN_CORRUPT, "the manifest's \"mediaType\" is not %s", MEDIA_TYPE_MANIFEST);
    if (type && !read_text(type, ret->artifact_type))
        return error_set(error, SERIN_CORRUPT, "the manifest's \"artifactType\" is no text of 1 to %d characters",
                         MANIFEST_MAX_TEXT);
    rc = oci_descriptor_parse(json_object_get(root, "config"), "config", &ret->config, error);
    if (rc != SERIN_OK)
        return rc;
    if (!json_is_array(layers))
        return error_set(error, SERIN_CORRUPT, "the manifest's \"layers\" is no list");
    if (json_array_size(layers) > MANIFEST_MAX_LAYERS)
        return error_set(error, SERIN_LIMIT, "the manifest has %zu layers, the limit is %d", json_array_size(layers),
                         MANIFEST_MAX_LAYERS);
    json_array_foreach(layers, i, layer)
    {
        snprintf(where, sizeof(where), "layer %zu", i);
        rc = oci_descriptor_parse(layer, where, &ret->layers[ret->layer_count++], error);
        if (rc != SERIN_OK)
            return rc;
    }
    return SERIN_OK;
}

enum serin_errc manifest_parse(const void *bytes, size_t size, struct oci_manifest *ret, struct serin_error *error)
{
    struct oci_manifest read = {.layer_count = 0};
    json_error_t where;
    enum serin_errc rc;
    json_t *root;

    if (size > MANIFEST_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "a manifest of %zu bytes, the limit is %u", size, MANIFEST_MAX_BYTES);
    root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_set(error, SERIN_CORRUPT, "the manifest is no JSON: line %d: %s", where.line, where.text);
    rc = read_manifest(root, &read, error);
    json_decref(root);
    if (rc == SERIN_OK)
        *ret = read;
    return rc;
}

const struct oci_descriptor *manifest_find(const struct oci_manifest *manifest, const char *file)
{
    int i;

    for (i = 0; i < manifest->layer_count; i++)
        if (strcmp(manifest->layers[i].file, file) == 0)
            return &manifest->layers[i];
    return NULL;
}
