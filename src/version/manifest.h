/*
 * manifest.h - OCI image manifests and model configurations, written and read.  Depends on bundle.h and jansson; knows
 * no disk.
 * SPDX-License-Identifier: Apache-2.0
 *
 * OCI image specification 1.1, "Image Manifest" and "Content Descriptors"; the CNCF's ModelPack for the media types. A
 * bundle's manifest has these layers, each a plain file:
 *
 *     model.onnx        application/vnd.cncf.model.weight.v1.raw
 *     serin.json        application/vnd.cncf.model.weight.config.v1.raw    the description (bundle.h)
 *     evaluation.json   application/vnd.cncf.model.doc.v1.raw              where there is one
 *     scan.json         application/vnd.cncf.model.doc.v1.raw              where there is one: the scanner's report
 *     golden.json       application/vnd.cncf.model.doc.v1.raw              where there are golden pictures (golden.h)
 *     golden/00 ...     application/vnd.cncf.model.dataset.v1.raw          the pictures
 */
#ifndef VERSION_MANIFEST_H
#define VERSION_MANIFEST_H

#include "version/bundle.h"

#define MANIFEST_MAX_BYTES  (4u << 20) /* as the distribution specification advises registries */
#define MANIFEST_MAX_LAYERS 128        /* of manifests that others wrote */
#define MANIFEST_MAX_TEXT   128        /* of a media type and of a file's name */

#define MEDIA_TYPE_INDEX       "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_MODEL       "application/vnd.cncf.model.manifest.v1+json" /* artifactType */
#define MEDIA_TYPE_CONFIG      "application/vnd.cncf.model.config.v1+json"
#define MEDIA_TYPE_WEIGHT      "application/vnd.cncf.model.weight.v1.raw"
#define MEDIA_TYPE_DESCRIPTION "application/vnd.cncf.model.weight.config.v1.raw"
#define MEDIA_TYPE_DOC         "application/vnd.cncf.model.doc.v1.raw"
#define MEDIA_TYPE_DATASET     "application/vnd.cncf.model.dataset.v1.raw"

#define MANIFEST_FILE_ANNOTATION "org.cncf.model.filepath"

#define MANIFEST_FILE_MODEL       "model.onnx"
#define MANIFEST_FILE_DESCRIPTION "serin.json"
#define MANIFEST_FILE_EVALUATION  "evaluation.json"
#define MANIFEST_FILE_SCAN        "scan.json"
#define MANIFEST_FILE_GOLDEN      "golden.json"

struct oci_descriptor {
    char media_type[MANIFEST_MAX_TEXT + 1];
    char digest[BUNDLE_DIGEST_TEXT];
    uint64_t size;                    /* bytes */
    char file[MANIFEST_MAX_TEXT + 1]; /* org.cncf.model.filepath; "" where there is none */
};

struct oci_manifest {
    char artifact_type[MANIFEST_MAX_TEXT + 1]; /* "" where there is none */
    struct oci_descriptor config;
    int layer_count;
    struct oci_descriptor layers[MANIFEST_MAX_LAYERS];
};

/* Is text "sha256:" and 64 digits of 0-9a-f? Only such a text may become part of a path. */
bool oci_digest_check(const char *text);

/* Media type, digest and size of the object json (a json_t). SERIN_CORRUPT names what and where. */
struct json_t;
MUST_USE enum serin_errc oci_descriptor_parse(const struct json_t *json, const char *where, struct oci_descriptor *ret,
                                              struct serin_error *error);

/* The same bytes for the same content. */
MUST_USE enum serin_errc manifest_write(const struct oci_manifest *manifest, struct buffer *out,
                                        struct serin_error *error);
/* Any image manifest, Serin's or not. SERIN_CORRUPT, SERIN_LIMIT. */
MUST_USE enum serin_errc manifest_parse(const void *bytes, size_t size, struct oci_manifest *ret,
                                        struct serin_error *error);
/* ModelPack's configuration of a bundle whose layers are those of manifest. */
MUST_USE enum serin_errc manifest_write_config(const struct bundle *bundle, const struct oci_manifest *manifest,
                                               struct buffer *out, struct serin_error *error);

/* The layer that holds the file, NULL where there is none. */
const struct oci_descriptor *manifest_find(const struct oci_manifest *manifest, const char *file);

#endif
