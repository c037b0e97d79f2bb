/*
 * find.c - looking versions up, and reading what they are.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Readers take no lock: they read index.json, which is replaced whole, and blobs, which never change. The only thing
 * that can go wrong for them is that a version is removed between the two, and then it is said that a blob is missing.
 */
#include "store/bundles_inside.h"

#include "base/text.h"
#include "version/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading a bundle ---- */

/* A JSON object of its own layer; NULL stays NULL where there is none. */
static enum serin_errc load_object(const struct bundles *bundles, const struct oci_manifest *manifest, const char *file,
                                   size_t max_bytes, char **ret, struct serin_error *error)
{
    const struct oci_descriptor *layer = manifest_find(manifest, file);
    uint8_t *bytes = NULL;
    enum serin_errc rc;

    if (!layer)
        return SERIN_OK;
    rc = blobs_read(&bundles->blobs, layer, max_bytes, &bytes, error);
    if (rc == SERIN_OK)
        rc = bundle_json_check(bytes, (size_t)layer->size, file, error);
    if (rc == SERIN_OK)
        *ret = (char *)bytes;
    else
        free(bytes);
    return rc;
}

static enum serin_errc load_description(const struct bundles *bundles, const struct oci_manifest *manifest,
                                        struct bundle *bundle, struct serin_error *error)
{
    const struct oci_descriptor *layer = manifest_find(manifest, MANIFEST_FILE_DESCRIPTION);
    uint8_t *bytes = NULL;
    enum serin_errc rc;

    if (!layer)
        return error_set(error, SERIN_UNSUPPORTED, "no bundle of Serin: no layer holds %s", MANIFEST_FILE_DESCRIPTION);
    rc = blobs_read(&bundles->blobs, layer, BUNDLE_MAX_DESCRIPTION_BYTES, &bytes, error);
    if (rc == SERIN_OK)
        rc = bundle_description_parse(bytes, (size_t)layer->size, bundle, error);
    free(bytes);
    if (rc == SERIN_OK)
        rc = load_object(bundles, manifest, MANIFEST_FILE_EVALUATION, BUNDLE_MAX_EVAL_BYTES, &bundle->eval_json, error);
    if (rc == SERIN_OK)
        rc = load_object(bundles, manifest, MANIFEST_FILE_GOLDEN, GOLDEN_MAX_JSON_BYTES, &bundle->golden_json, error);
    return rc;
}

static enum serin_errc load_manifest(const struct bundles *bundles, const struct oci_manifest *manifest,
                                     struct bundle *bundle, struct serin_error *error)
{
    const struct oci_descriptor *model = manifest_find(manifest, MANIFEST_FILE_MODEL);
    enum serin_errc rc;

    if (strcmp(manifest->artifact_type, MEDIA_TYPE_MODEL) != 0 || !model ||
        strcmp(model->media_type, MEDIA_TYPE_WEIGHT) != 0)
        return error_set(error, SERIN_UNSUPPORTED, "no bundle of Serin: no layer holds %s as %s", MANIFEST_FILE_MODEL,
                         MEDIA_TYPE_WEIGHT);
    if (model->size > BUNDLE_MAX_MODEL_BYTES)
        return error_set(error, SERIN_LIMIT, "the model has %llu bytes, the limit is %llu",
                         (unsigned long long)model->size, BUNDLE_MAX_MODEL_BYTES);
    rc = blobs_check(&bundles->blobs, model, false, error);
    if (rc != SERIN_OK)
        return rc;
    memcpy(bundle->model_digest, model->digest, sizeof(bundle->model_digest));
    bundle->model_bytes = model->size;
    return load_description(bundles, manifest, bundle, error);
}

enum serin_errc bundles_read_manifest(const struct bundles *bundles, const struct oci_descriptor *what,
                                      struct oci_manifest *manifest, struct serin_error *error)
{
    uint8_t *bytes = NULL;
    enum serin_errc rc;

    rc = blobs_read(&bundles->blobs, what, MANIFEST_MAX_BYTES, &bytes, error);
    if (rc == SERIN_OK)
        rc = manifest_parse(bytes, (size_t)what->size, manifest, error);
    free(bytes);
    return rc;
}

/* What the index knows is in ret whatever comes back. */
static enum serin_errc load(const struct bundles *bundles, const struct index_entry *entry, struct bundle *ret,
                            struct serin_error *error)
{
    struct oci_manifest *manifest = malloc(sizeof(*manifest)); /* 40 KB are much for a stack */
    enum serin_errc rc;

    *ret = (struct bundle){.name = entry->name};
    memcpy(ret->digest, entry->manifest.digest, sizeof(ret->digest));
    memcpy(ret->created, entry->created, sizeof(ret->created));
    ret->in_use = bundles_is_in_use(bundles, &entry->name);
    if (!manifest)
        return error_set(error, SERIN_NOMEM, "no memory for a manifest");
    rc = bundles_read_manifest(bundles, &entry->manifest, manifest, error);
    if (rc == SERIN_OK)
        rc = load_manifest(bundles, manifest, ret, error);
    free(manifest);
    return error_prefix(error, rc, "%s:%s", entry->name.model, entry->name.tag);
}

/* ---- looking up ---- */

enum serin_errc bundles_not_found(const struct oci_index *index, const char *name, struct serin_error *error)
{
    char(*texts)[VERSION_MAX_NAME] = calloc(index->count + 1, sizeof(*texts));
    const char **names = calloc(index->count + 1, sizeof(*names)), *nearest = NULL;
    size_t i;

    for (i = 0; texts && names && i < index->count; i++)
        names[i] = version_name_text(&index->entries[i].name, texts[i]);
    if (texts && names)
        nearest = text_nearest(name, names, index->count);
    if (nearest)
        error_set(error, SERIN_NOT_FOUND, "there is no version %s: did you mean %s?", name, nearest);
    else
        error_set(error, SERIN_NOT_FOUND, "there is no version %s among the %zu in the store", name, index->count);
    free(names);
    free(texts);
    return SERIN_NOT_FOUND;
}

/* "model:tag", or "model@sha256:...": the newest tag of that content. */
static enum serin_errc find_entry(const struct oci_index *index, const char *text, const struct index_entry **ret,
                                  struct serin_error *error)
{
    const char *at = strchr(text, '@');
    struct version_name name;
    enum serin_errc rc;
    size_t i;

    if (!at) {
        rc = version_name_parse(text, &name, error);
        if (rc != SERIN_OK)
            return rc;
        *ret = index_find(index, &name);
        return *ret ? SERIN_OK : bundles_not_found(index, text, error);
    }
    if (!oci_digest_check(at + 1))
        return error_set(error, SERIN_INVALID, "'%.100s': behind '@' stand 'sha256:' and 64 digits of 0-9a-f", text);
    for (i = index->count; i-- > 0;) {
        const struct index_entry *entry = &index->entries[i];

        if (strlen(entry->name.model) == (size_t)(at - text) &&
            strncmp(entry->name.model, text, (size_t)(at - text)) == 0 && strcmp(entry->manifest.digest, at + 1) == 0) {
            *ret = entry;
            return SERIN_OK;
        }
    }
    return error_set(error, SERIN_NOT_FOUND, "there is no version %s among the %zu in the store", text, index->count);
}

enum serin_errc bundles_find(struct bundles *bundles, const char *name, struct bundle *ret, struct serin_error *error)
{
    const struct index_entry *entry = NULL;
    struct oci_index index;
    struct bundle found;
    enum serin_errc rc;

    rc = bundles_read_index(bundles, &index, error);
    if (rc != SERIN_OK)
        return rc;
    rc = find_entry(&index, name, &entry, error);
    if (rc == SERIN_OK) {
        rc = load(bundles, entry, &found, error);
        if (rc == SERIN_OK)
            *ret = found;
        else
            bundle_done(&found);
    }
    index_done(&index);
    return rc;
}

/* Lists never hold a NULL where a list of strings belongs. */
static bool fill_gaps(struct bundle *bundle)
{
    bundle->class_names_json = bundle->class_names_json ? bundle->class_names_json : strdup("[]");
    bundle->inputs_json = bundle->inputs_json ? bundle->inputs_json : strdup("[]");
    bundle->outputs_json = bundle->outputs_json ? bundle->outputs_json : strdup("[]");
    return bundle->class_names_json && bundle->inputs_json && bundle->outputs_json;
}

enum serin_errc bundles_list(struct bundles *bundles, const char *model, struct bundle **ret, size_t *ret_count,
                             struct serin_error *error)
{
    struct oci_index index;
    struct bundle *list;
    size_t count = 0, i;
    enum serin_errc rc;

    rc = bundles_read_index(bundles, &index, error);
    if (rc != SERIN_OK)
        return rc;
    list = calloc(index.count + 1, sizeof(*list));
    if (!list)
        rc = error_set(error, SERIN_NOMEM, "no memory for a list of %zu versions", index.count);
    for (i = 0; rc == SERIN_OK && i < index.count; i++) {
        struct serin_error why;

        if (model && strcmp(index.entries[i].name.model, model) != 0)
            continue;
        if (load(bundles, &index.entries[i], &list[count], &why) != SERIN_OK)
            memcpy(list[count].problem, why.message, sizeof(list[count].problem));
        if (!fill_gaps(&list[count++]))
            rc = error_set(error, SERIN_NOMEM, "no memory for a list of %zu versions", index.count);
    }
    index_done(&index);
    if (rc == SERIN_OK) {
        *ret = list;
        *ret_count = count;
        return SERIN_OK;
    }
    while (count > 0)
        bundle_done(&list[--count]);
    free(list);
    return rc;
}

enum serin_errc bundles_model_path(struct bundles *bundles, const struct bundle *bundle, bool verify, char *path,
                                   size_t size, struct serin_error *error)
{
    struct oci_descriptor model = {.size = bundle->model_bytes};
    enum serin_errc rc;
    int length;

    if (!oci_digest_check(bundle->model_digest))
        return error_set(error, SERIN_INVALID, "'%.80s' is no digest of a model", bundle->model_digest);
    memcpy(model.digest, bundle->model_digest, sizeof(model.digest));
    rc = blobs_check(&bundles->blobs, &model, verify, error);
    if (rc != SERIN_OK)
        return rc;
    length = snprintf(path, size, "%s/blobs/sha256/%s", bundles->dir, model.digest + strlen("sha256:"));
    if (length < 0 || (size_t)length >= size)
        return error_set(error, SERIN_LIMIT, "the path of the model has %d characters, the limit is %zu", length,
                         size - 1);
    return SERIN_OK;
}

static enum serin_errc read_layer(const struct bundles *bundles, const struct oci_descriptor *what, const char *file,
                                  size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size, struct serin_error *error)
{
    struct oci_manifest *manifest = malloc(sizeof(*manifest));
    const struct oci_descriptor *layer = NULL;
    enum serin_errc rc;

    if (!manifest)
        return error_set(error, SERIN_NOMEM, "no memory for a manifest");
    rc = bundles_read_manifest(bundles, what, manifest, error);
    if (rc == SERIN_OK) {
        layer = manifest_find(manifest, file);
        rc = layer ? blobs_read(&bundles->blobs, layer, max_bytes, ret_bytes, error)
                   : error_set(error, SERIN_NOT_FOUND, "no layer holds %s", file);
    }
    if (rc == SERIN_OK)
        *ret_size = (size_t)layer->size;
    free(manifest);
    return rc;
}

enum serin_errc bundles_read_file(struct bundles *bundles, const char *name, const char *file, size_t max_bytes,
                                  uint8_t **ret_bytes, size_t *ret_size, struct serin_error *error)
{
    const struct index_entry *entry = NULL;
    struct oci_index index;
    enum serin_errc rc;

    rc = bundles_read_index(bundles, &index, error);
    if (rc != SERIN_OK)
        return rc;
    rc = find_entry(&index, name, &entry, error);
    if (rc == SERIN_OK)
        rc = error_prefix(error, read_layer(bundles, &entry->manifest, file, max_bytes, ret_bytes, ret_size, error),
                          "%s", name);
    index_done(&index);
    return rc;
}

static enum serin_errc verify(const struct bundles *bundles, const struct oci_descriptor *what,
                              struct serin_error *error)
{
    struct oci_manifest *manifest = malloc(sizeof(*manifest));
    enum serin_errc rc;
    int i;

    if (!manifest)
        return error_set(error, SERIN_NOMEM, "no memory for a manifest");
    rc = bundles_read_manifest(bundles, what, manifest, error);
    if (rc == SERIN_OK)
        rc = blobs_check(&bundles->blobs, &manifest->config, true, error);
    for (i = 0; rc == SERIN_OK && i < manifest->layer_count; i++)
        rc = blobs_check(&bundles->blobs, &manifest->layers[i], true, error);
    free(manifest);
    return rc;
}

enum serin_errc bundles_verify(struct bundles *bundles, const char *name, struct serin_error *error)
{
    const struct index_entry *entry = NULL;
    struct oci_index index;
    enum serin_errc rc;

    rc = bundles_read_index(bundles, &index, error);
    if (rc != SERIN_OK)
        return rc;
    rc = find_entry(&index, name, &entry, error);
    if (rc == SERIN_OK)
        rc = error_prefix(error, verify(bundles, &entry->manifest, error), "%s", name);
    index_done(&index);
    return rc;
}
