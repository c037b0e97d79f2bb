/*
 * manifest_write.c - writing manifests of OCI images, and ModelPack's configuration.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fields in a fixed order and no white space: equal content is equal bytes.
 */
#include "version/manifest.h"

#include "base/json.h"

static void write_descriptor(struct json_writer *json, const struct oci_descriptor *descriptor)
{
    json_begin_object(json);
    json_key(json, "mediaType");
    json_write_string(json, descriptor->media_type);
    json_key(json, "digest");
    json_write_string(json, descriptor->digest);
    json_key(json, "size");
    json_write_integer(json, (int64_t)descriptor->size);
    if (*descriptor->file) {
        json_key(json, "annotations");
        json_begin_object(json);
        json_key(json, MANIFEST_FILE_ANNOTATION);
        json_write_string(json, descriptor->file);
        json_end_object(json);
    }
    json_end_object(json);
}

enum serin_errc manifest_write(const struct oci_manifest *manifest, struct buffer *out, struct serin_error *error)
{
    struct json_writer json;
    int i;

    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "schemaVersion");
    json_write_integer(&json, 2);
    json_key(&json, "mediaType");
    json_write_string(&json, MEDIA_TYPE_MANIFEST);
    if (*manifest->artifact_type) {
        json_key(&json, "artifactType");
        json_write_string(&json, manifest->artifact_type);
    }
    json_key(&json, "config");
    write_descriptor(&json, &manifest->config);
    json_key(&json, "layers");
    json_begin_array(&json);
    for (i = 0; i < manifest->layer_count; i++)
        write_descriptor(&json, &manifest->layers[i]);
    json_end_array(&json);
    json_end_object(&json);
    return buffer_check(out, "the manifest", error);
}

/* ModelPack requires descriptor, config and modelfs; createdAt stays away, since it would change the digest. The layers
 * are not compressed, so their diffIds are their digests. */
enum serin_errc manifest_write_config(const struct bundle *bundle, const struct oci_manifest *manifest,
                                      struct buffer *out, struct serin_error *error)
{
    struct json_writer json;
    int i;

    json_init(&json, out);
    json_begin_object(&json);
    json_key(&json, "descriptor");
    json_begin_object(&json);
    json_end_object(&json);
    json_key(&json, "config");
    json_begin_object(&json);
    json_key(&json, "architecture");
    json_write_string(&json, bundle->architecture);
    json_key(&json, "format");
    json_write_string(&json, "onnx");
    json_key(&json, "precision");
    json_write_string(&json, bundle->precision);
    json_end_object(&json);
    json_key(&json, "modelfs");
    json_begin_object(&json);
    json_key(&json, "type");
    json_write_string(&json, "layers");
    json_key(&json, "diffIds");
    json_begin_array(&json);
    for (i = 0; i < manifest->layer_count; i++)
        json_write_string(&json, manifest->layers[i].digest);
    json_end_array(&json);
    json_end_object(&json);
    json_end_object(&json);
    return buffer_check(out, "the model's configuration", error);
}
