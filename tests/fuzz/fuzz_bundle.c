/*
 * fuzz_bundle.c - fuzz target: bytes as what a store of versions holds.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says as what the rest is read: 'm' a manifest, 'i' an index, 'd' a description, 's' a scan report, 'l'
 * oci-layout, 'g' golden pictures. What is accepted is written and read again, and must then be the same.
 */
#include "version/golden.h"
#include "version/index.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static enum serin_errc try_manifest(const uint8_t *bytes, size_t size, struct serin_error *error)
{
    static struct oci_manifest first, second; /* large for a stack */
    struct buffer out, again;
    enum serin_errc rc = manifest_parse(bytes, size, &first, error);
    int i;

    if (rc != SERIN_OK)
        return rc;
    for (i = 0; i < first.layer_count; i++)
        if (!oci_digest_check(first.layers[i].digest))
            abort();
    buffer_init(&out, 2 * MANIFEST_MAX_BYTES);
    buffer_init(&again, 2 * MANIFEST_MAX_BYTES);
    if (manifest_write(&first, &out, NULL) != SERIN_OK ||
        manifest_parse(out.bytes, out.size, &second, NULL) != SERIN_OK ||
        manifest_write(&second, &again, NULL) != SERIN_OK || strcmp(out.bytes, again.bytes) != 0)
        abort();
    buffer_done(&out);
    buffer_done(&again);
    return SERIN_OK;
}

static enum serin_errc try_index(const uint8_t *bytes, size_t size, struct serin_error *error)
{
    struct oci_index first, second;
    struct oci_descriptor manifest;
    struct buffer out;
    enum serin_errc rc = index_parse(bytes, size, &first, error);
    size_t i;

    if (rc != SERIN_OK)
        return rc;
    for (i = 0; index_manifest(&first, i, &manifest); i++)
        if (!oci_digest_check(manifest.digest))
            abort();
    for (i = 0; i < first.count; i++)
        if (index_find(&first, &first.entries[i].name) != &first.entries[i])
            abort();
    buffer_init(&out, 8 * INDEX_MAX_BYTES);
    if (index_write(&first, &out, NULL) != SERIN_OK || index_parse(out.bytes, out.size, &second, NULL) != SERIN_OK ||
        first.count != second.count)
        abort();
    while (first.count > 0) {
        struct version_name name = first.entries[first.count / 2].name;

        index_remove(&first, &name);
        if (index_find(&first, &name))
            abort();
    }
    buffer_done(&out);
    index_done(&first);
    index_done(&second);
    return SERIN_OK;
}

static enum serin_errc try_description(const uint8_t *bytes, size_t size, struct serin_error *error)
{
    struct bundle first = {.class_count = 0}, second = {.class_count = 0};
    struct buffer out, again;
    enum serin_errc rc = bundle_description_parse(bytes, size, &first, error);

    if (rc != SERIN_OK)
        return rc;
    buffer_init(&out, 2 * BUNDLE_MAX_DESCRIPTION_BYTES);
    buffer_init(&again, 2 * BUNDLE_MAX_DESCRIPTION_BYTES);
    if (bundle_description_write(&first, &out, NULL) != SERIN_OK ||
        bundle_description_parse(out.bytes, out.size, &second, NULL) != SERIN_OK ||
        bundle_description_write(&second, &again, NULL) != SERIN_OK || out.size != again.size ||
        memcmp(out.bytes, again.bytes, out.size) != 0)
        abort();
    buffer_done(&out);
    buffer_done(&again);
    bundle_done(&first);
    bundle_done(&second);
    return SERIN_OK;
}

static enum serin_errc try_scan(const uint8_t *bytes, size_t size, struct serin_error *error)
{
    char *summary = NULL;
    enum serin_errc rc = bundle_scan_summary(bytes, size, &summary, error);

    if (rc == SERIN_OK && bundle_json_check(summary, strlen(summary), "the summary", NULL) != SERIN_OK)
        abort();
    free(summary);
    return rc;
}

/* Each picture's results against those of the next. */
static enum serin_errc try_golden(const uint8_t *bytes, size_t size, struct serin_error *error)
{
    char *text = strndup((const char *)bytes, size);
    json_t *root = NULL;
    enum serin_errc rc = text ? golden_parse(text, &root, error) : SERIN_OK;
    int count = golden_count(root), i;

    free(text);
    for (i = 0; i < count; i++) {
        const json_t *next = json_array_get(json_object_get(root, "pictures"), (size_t)((i + 1) % count));
        struct serin_error why = {.code = SERIN_OK};
        enum serin_errc compared = golden_compare(root, i, json_object_get(next, "results"), .25, &why);

        if (!golden_name(root, i) || compared != why.code || (compared != SERIN_OK && why.message[0] == '\0'))
            abort();
    }
    json_decref(root);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct serin_error error = {.code = SERIN_OK};
    enum serin_errc rc = SERIN_OK;

    if (size == 0)
        return 0;
    if (bytes[0] == 'm')
        rc = try_manifest(bytes + 1, size - 1, &error);
    else if (bytes[0] == 'i')
        rc = try_index(bytes + 1, size - 1, &error);
    else if (bytes[0] == 'd')
        rc = try_description(bytes + 1, size - 1, &error);
    else if (bytes[0] == 's')
        rc = try_scan(bytes + 1, size - 1, &error);
    else if (bytes[0] == 'g')
        rc = try_golden(bytes + 1, size - 1, &error);
    else if (bytes[0] == 'l')
        rc = index_check_layout(bytes + 1, size - 1, &error);
    if (rc != error.code || (rc != SERIN_OK && error.message[0] == '\0'))
        abort();
    return 0;
}
