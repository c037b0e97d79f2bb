/*
 * push.c - making a bundle: layers, configuration, manifest, and last its tag.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order is what makes a kill at any point harmless: drafts first (synced, and not yet blobs), then their names, and
 * the index, by one rename, when all that it leads to is on the disk. All of it happens under the store's lock, so that
 * nobody removes a blob that is about to be needed, and whatever lies in tmp at the start is a dead writer's, as are
 * the blobs that no manifest names (sweep.c).
 */
#include "store/bundles_inside.h"
#include "version/golden.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_DRAFTS (7 + GOLDEN_MAX_PICTURES) /* five layers and those of pictures, configuration, manifest */

struct pushing {
    struct bundles *bundles;
    const struct bundle_push *push;
    struct oci_manifest *manifest;
    int draft_count;
    struct blob_draft drafts[MAX_DRAFTS];
};

static struct oci_descriptor describe(const struct blob_draft *draft, const char *media_type, const char *file)
{
    struct oci_descriptor descriptor = {.size = draft->size};

    memcpy(descriptor.digest, draft->digest, sizeof(descriptor.digest));
    snprintf(descriptor.media_type, sizeof(descriptor.media_type), "%s", media_type);
    snprintf(descriptor.file, sizeof(descriptor.file), "%s", file);
    return descriptor;
}

static enum serin_errc draft_bytes(struct pushing *pushing, const void *bytes, size_t size, struct serin_error *error)
{
    int which = pushing->draft_count;
    enum serin_errc rc;

    BUG_ON(which >= MAX_DRAFTS);
    rc = blobs_draft_bytes(&pushing->bundles->blobs, which, bytes, size, &pushing->drafts[which], error);
    if (rc == SERIN_OK)
        pushing->draft_count++;
    return rc;
}

static void add_layer(struct pushing *pushing, const char *media_type, const char *file)
{
    pushing->manifest->layers[pushing->manifest->layer_count++] =
        describe(&pushing->drafts[pushing->draft_count - 1], media_type, file);
}

static enum serin_errc add_bytes(struct pushing *pushing, const char *media_type, const char *file, const void *bytes,
                                 size_t size, size_t max_bytes, struct serin_error *error)
{
    enum serin_errc rc;

    if (size > max_bytes)
        return error_set(error, SERIN_LIMIT, "%s has %zu bytes, the limit is %zu", file, size, max_bytes);
    rc = draft_bytes(pushing, bytes, size, error);
    if (rc == SERIN_OK)
        add_layer(pushing, media_type, file);
    return rc;
}

static enum serin_errc add_model(struct pushing *pushing, struct serin_error *error)
{
    const struct bundle_push *push = pushing->push;
    enum serin_errc rc;

    if (push->model)
        return add_bytes(pushing, MEDIA_TYPE_WEIGHT, MANIFEST_FILE_MODEL, push->model, push->model_bytes,
                         BUNDLE_MAX_MODEL_BYTES, error);
    rc = blobs_draft_file(&pushing->bundles->blobs, 0, push->model_path, BUNDLE_MAX_MODEL_BYTES, &pushing->drafts[0],
                          error);
    if (rc != SERIN_OK)
        return rc;
    pushing->draft_count = 1;
    add_layer(pushing, MEDIA_TYPE_WEIGHT, MANIFEST_FILE_MODEL);
    return SERIN_OK;
}

/* Written, read back, and written again: what cannot be read is never stored, and two callers who space their JSON
 * differently get the same bytes. */
static enum serin_errc add_description(struct pushing *pushing, struct serin_error *error)
{
    struct bundle read = {.class_count = 0};
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, BUNDLE_MAX_DESCRIPTION_BYTES);
    rc = bundle_description_write(pushing->push->description, &out, error);
    if (rc == SERIN_OK)
        rc = bundle_description_parse(out.bytes, out.size, &read, error);
    if (rc == SERIN_OK) {
        buffer_clear(&out);
        rc = bundle_description_write(&read, &out, error);
    }
    if (rc == SERIN_OK)
        rc = add_bytes(pushing, MEDIA_TYPE_DESCRIPTION, MANIFEST_FILE_DESCRIPTION, out.bytes, out.size,
                       BUNDLE_MAX_DESCRIPTION_BYTES, error);
    bundle_done(&read);
    buffer_done(&out);
    return rc;
}

static enum serin_errc add_reports(struct pushing *pushing, struct serin_error *error)
{
    const struct bundle_push *push = pushing->push;
    const char *eval = push->description->eval_json;
    enum serin_errc rc = SERIN_OK;

    if (eval)
        rc = bundle_json_check(eval, strlen(eval), MANIFEST_FILE_EVALUATION, error);
    if (rc == SERIN_OK && eval)
        rc = add_bytes(pushing, MEDIA_TYPE_DOC, MANIFEST_FILE_EVALUATION, eval, strlen(eval), BUNDLE_MAX_EVAL_BYTES,
                       error);
    if (rc == SERIN_OK && push->scan_report)
        rc = add_bytes(pushing, MEDIA_TYPE_DOC, MANIFEST_FILE_SCAN, push->scan_report, push->scan_report_bytes,
                       BUNDLE_MAX_SCAN_BYTES, error);
    return rc;
}

static enum serin_errc add_golden(struct pushing *pushing, struct serin_error *error)
{
    const struct bundle_push *push = pushing->push;
    const char *answers = push->description->golden_json;
    json_t *root = NULL;
    enum serin_errc rc;
    int count, i;

    if (!answers)
        return SERIN_OK;
    rc = golden_parse(answers, &root, error);
    if (rc != SERIN_OK)
        return rc;
    count = golden_count(root);
    json_decref(root);
    BUG_ON(count != push->golden_count);
    rc = add_bytes(pushing, MEDIA_TYPE_DOC, MANIFEST_FILE_GOLDEN, answers, strlen(answers), GOLDEN_MAX_JSON_BYTES,
                   error);
    for (i = 0; rc == SERIN_OK && i < count; i++) {
        char file[16];

        rc = add_bytes(pushing, MEDIA_TYPE_DATASET, golden_layer(i, file), push->golden[i].bytes, push->golden[i].size,
                       GOLDEN_MAX_PICTURE_BYTES, error);
    }
    return rc;
}

/* Configuration and manifest; the manifest's draft is the last one. */
static enum serin_errc add_manifest(struct pushing *pushing, struct serin_error *error)
{
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, MANIFEST_MAX_BYTES);
    rc = manifest_write_config(pushing->push->description, pushing->manifest, &out, error);
    if (rc == SERIN_OK)
        rc = draft_bytes(pushing, out.bytes, out.size, error);
    if (rc == SERIN_OK) {
        pushing->manifest->config = describe(&pushing->drafts[pushing->draft_count - 1], MEDIA_TYPE_CONFIG, "");
        buffer_clear(&out);
        rc = manifest_write(pushing->manifest, &out, error);
    }
    if (rc == SERIN_OK)
        rc = draft_bytes(pushing, out.bytes, out.size, error);
    buffer_done(&out);
    return rc;
}

static void say_time(const struct bundle *description, char *text, size_t size)
{
    time_t now = time(NULL);
    struct tm utc;

    if (*description->created)
        snprintf(text, size, "%s", description->created);
    else if (!gmtime_r(&now, &utc) || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        text[0] = '\0';
}

/* The tag. SERIN_INVALID where it has another content. */
static enum serin_errc publish(struct pushing *pushing, struct serin_error *error)
{
    const struct version_name *name = &pushing->push->description->name;
    const struct blob_draft *draft = &pushing->drafts[pushing->draft_count - 1];
    struct index_entry entry = {.name = *name, .manifest = describe(draft, MEDIA_TYPE_MANIFEST, "")};
    const struct index_entry *there;
    struct oci_index index;
    enum serin_errc rc;
    int i;

    rc = bundles_read_index(pushing->bundles, &index, error);
    if (rc != SERIN_OK)
        return rc;
    there = index_find(&index, name);
    if (there && strcmp(there->manifest.digest, draft->digest) != 0)
        rc = error_set(error, SERIN_INVALID,
                       "%s:%s is there with another content, and a tag never moves: it is %s, this would be %s",
                       name->model, name->tag, there->manifest.digest, draft->digest);
    for (i = 0; rc == SERIN_OK && i < pushing->draft_count; i++)
        rc = blobs_keep(&pushing->bundles->blobs, &pushing->drafts[i], error);
    if (rc == SERIN_OK)
        rc = blobs_sync(&pushing->bundles->blobs, error);
    if (rc == SERIN_OK && !there) {
        say_time(pushing->push->description, entry.created, sizeof(entry.created));
        rc = index_add(&index, &entry, error);
        if (rc == SERIN_OK)
            rc = bundles_write_index(pushing->bundles, &index, error);
    }
    index_done(&index);
    return rc;
}

static enum serin_errc push_locked(struct pushing *pushing, char *ret_digest, struct serin_error *error)
{
    struct oci_index index;
    enum serin_errc rc;
    int i;

    disk_empty_folder(pushing->bundles->blobs.temporary);
    rc = bundles_read_index(pushing->bundles, &index, error);
    if (rc != SERIN_OK)
        return rc;
    bundles_sweep(pushing->bundles, &index); /* first: the dead writer's may be what fills the disk */
    index_done(&index);
    rc = add_model(pushing, error);
    rc = rc ? rc : add_description(pushing, error);
    rc = rc ? rc : add_reports(pushing, error);
    rc = rc ? rc : add_golden(pushing, error);
    rc = rc ? rc : add_manifest(pushing, error);
    rc = rc ? rc : publish(pushing, error);
    if (rc == SERIN_OK)
        memcpy(ret_digest, pushing->drafts[pushing->draft_count - 1].digest, BUNDLE_DIGEST_TEXT);
    for (i = 0; i < pushing->draft_count; i++)
        blobs_drop(&pushing->bundles->blobs, &pushing->drafts[i]);
    return rc;
}

enum serin_errc bundles_push(struct bundles *bundles, const struct bundle_push *push, char *ret_digest,
                             struct serin_error *error)
{
    struct pushing pushing = {.bundles = bundles, .push = push, .manifest = calloc(1, sizeof(struct oci_manifest))};
    struct version_name name;
    char text[VERSION_MAX_NAME];
    enum serin_errc rc;
    int lock;

    if (!pushing.manifest)
        return error_set(error, SERIN_NOMEM, "no memory for a manifest");
    snprintf(pushing.manifest->artifact_type, sizeof(pushing.manifest->artifact_type), "%s", MEDIA_TYPE_MODEL);
    rc = version_name_parse(version_name_text(&push->description->name, text), &name, error);
    if (rc == SERIN_OK)
        rc = bundles_lock(bundles, &lock, error);
    if (rc == SERIN_OK) {
        rc = push_locked(&pushing, ret_digest, error);
        bundles_unlock(lock);
    }
    free(pushing.manifest);
    return rc;
}
