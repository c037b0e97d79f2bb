/*
 * bundles.h - the store of versions on disk: an OCI image layout of immutable bundles.  Depends on base, version,
 * jansson. SPDX-License-Identifier: Apache-2.0
 *
 * DIR/oci-layout, DIR/index.json, DIR/blobs/sha256/HEX (OCI image specification 1.1, "Image Layout"), with the media
 * types of the CNCF's ModelPack (application/vnd.cncf.model.*), so that skopeo and oras read it. A bundle's identity is
 * its manifest's digest; a tag, once pushed, never moves. Every change of index.json is one rename under an flock of
 * DIR/lock, so that readers need no lock and a crash leaves the old or the new one. Blobs are written before they are
 * named.
 */
#ifndef STORE_BUNDLES_H
#define STORE_BUNDLES_H

#include "version/name.h"

#include <stddef.h>

#define BUNDLE_MAX_SETTINGS 32
#define BUNDLE_DIGEST_TEXT  72 /* "sha256:" and 64 digits, and NUL */

/* One setting of a bundle: the keys are those of bundle_settings[] in bundles.c (conf, iou, max_det, imgsz, max_batch,
 * max_delay_us, max_queue, threads, decode_threads, memory_mb, golden_map_floor, ...), checked for range when pushed.
 */
struct bundle_setting {
    char key[32];
    double value;
};

struct bundle {
    struct version_name name;
    char digest[BUNDLE_DIGEST_TEXT];       /* of the manifest */
    char model_digest[BUNDLE_DIGEST_TEXT]; /* of the ONNX file */
    uint64_t model_bytes;
    char created[32]; /* RFC 3339 */
    char task[16];    /* "detect" */
    int class_count;
    char *class_names_json;           /* ["person",...] */
    char *inputs_json, *outputs_json; /* ["fp32[1,3,640,640]"] */
    char *eval_json, *scan_json;      /* NULL where there is none */
    int setting_count;
    struct bundle_setting settings[BUNDLE_MAX_SETTINGS];
};

struct bundles;

/* Opens, or makes, a store. SERIN_IO, SERIN_CORRUPT (another layout). */
MUST_USE enum serin_errc bundles_open(const char *dir, struct bundles **ret, struct serin_error *error);
void bundles_close(struct bundles *bundles);

/* What a push brings; everything is checked by the caller to belong together (the model loads, the evaluation is of
 * it). */
struct bundle_push {
    const char *model_path;           /* the ONNX file */
    const struct bundle *description; /* name, task, classes, shapes, eval, scan, settings */
};

/* SERIN_INVALID where the tag exists with another content (the same content again is fine), SERIN_IO, SERIN_LIMIT.
 * ret_digest has room for BUNDLE_DIGEST_TEXT. */
MUST_USE enum serin_errc bundles_push(struct bundles *bundles, const struct bundle_push *push, char *ret_digest,
                                      struct serin_error *error);
/* name: "model:tag" or "model@sha256:..."; ret is the caller's: bundle_done. SERIN_NOT_FOUND names the nearest. */
MUST_USE enum serin_errc bundles_find(struct bundles *bundles, const char *name, struct bundle *ret,
                                      struct serin_error *error);
/* All, sorted by name; model may be NULL. *ret is an array: bundle_done each, then free. */
MUST_USE enum serin_errc bundles_list(struct bundles *bundles, const char *model, struct bundle **ret,
                                      size_t *ret_count, struct serin_error *error);
/* Removes the tag, and blobs that no other tag needs. The caller has made sure that it is not in use. */
MUST_USE enum serin_errc bundles_remove(struct bundles *bundles, const char *name, struct serin_error *error);
/* Path of the model's blob, to open read-only; checked against its digest when verify is set. */
MUST_USE enum serin_errc bundles_model_path(struct bundles *bundles, const struct bundle *bundle, bool verify,
                                            char *path, size_t size, struct serin_error *error);

void bundle_done(struct bundle *bundle);
double bundle_setting_get(const struct bundle *bundle, const char *key, double otherwise);

#endif
