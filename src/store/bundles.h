/*
 * bundles.h - the store of versions on disk: an OCI image layout of immutable bundles.  Depends on base, version.
 * SPDX-License-Identifier: Apache-2.0
 *
 * DIR/oci-layout, DIR/index.json, DIR/blobs/sha256/HEX (OCI image specification 1.1, "Image Layout"), with the media
 * types of the CNCF's ModelPack (application/vnd.cncf.model.*), so that skopeo and oras read it. A bundle's identity is
 * its manifest's digest; a tag, once pushed, never moves. Every change of index.json is one rename under an flock of
 * DIR/lock, so that readers need no lock and a crash leaves the old or the new one. Blobs are written before they are
 * named; DIR/tmp holds what is being written. What a killed writer left, there or as blobs that nothing names, goes
 * with the next push or removal: whoever copies into DIR with another tool holds the lock, too (flock DIR/lock skopeo
 * copy ...).
 *
 * DIR/state/in-use/ has one empty file, named "model:tag", for each version that `serin serve` has loaded or routes to.
 * It is written and removed with bundles_set_in_use, under the lock, so that a version cannot be removed while it is
 * being loaded; the files outlive a kill -9 of the server, since it will start again with the same versions.
 *
 * A struct bundles may be used by one thread at a time; any number of processes and struct bundles may share a DIR.
 */
#ifndef STORE_BUNDLES_H
#define STORE_BUNDLES_H

#include "version/bundle.h"

struct bundles;

/* Opens, or makes, a store. SERIN_IO, SERIN_CORRUPT (another layout). */
MUST_USE enum serin_errc bundles_open(const char *dir, struct bundles **ret, struct serin_error *error);
void bundles_close(struct bundles *bundles);

struct bundle_picture {
    const void *bytes;
    size_t size;
};

/* What a push brings; everything is checked by the caller to belong together (the model loads, the evaluation is of
 * it). */
struct bundle_push {
    const char *model_path; /* the ONNX file; not looked at where model is given */
    const void *model;      /* or its bytes: what the caller has tried is then what is stored. NULL: model_path */
    size_t model_bytes;
    /* name, task, architecture, precision, classes, shapes, settings, eval, scan; created, or "" for now. Digests and
     * sizes are not looked at. */
    const struct bundle *description;
    const struct bundle_picture *golden; /* the pictures of description->golden_json, in its order */
    int golden_count;
    const void *scan_report; /* the report that description->scan_json sums up; NULL where there is none */
    size_t scan_report_bytes;
};

/* SERIN_INVALID where the tag exists with another content (the same content again is fine), SERIN_IO, SERIN_LIMIT.
 * ret_digest has room for BUNDLE_DIGEST_TEXT. The digest depends on the content alone, not on tag or time. */
MUST_USE enum serin_errc bundles_push(struct bundles *bundles, const struct bundle_push *push, char *ret_digest,
                                      struct serin_error *error);
/* name: "model:tag" or "model@sha256:..."; ret is the caller's: bundle_done. SERIN_NOT_FOUND names the nearest,
 * SERIN_CORRUPT what is damaged. */
MUST_USE enum serin_errc bundles_find(struct bundles *bundles, const char *name, struct bundle *ret,
                                      struct serin_error *error);
/* All, sorted by name; model may be NULL. *ret is an array: bundle_done each, then free. One that cannot be read is in
 * it with the sentence in its field problem, and empty lists for classes and shapes. */
MUST_USE enum serin_errc bundles_list(struct bundles *bundles, const char *model, struct bundle **ret,
                                      size_t *ret_count, struct serin_error *error);
/* Removes the tag, and blobs that no other manifest in the index needs. SERIN_INVALID where it is in use,
 * SERIN_NOT_FOUND. */
MUST_USE enum serin_errc bundles_remove(struct bundles *bundles, const char *name, struct serin_error *error);
/* Path of the model's blob, to open read-only; checked against its digest when verify is set. */
MUST_USE enum serin_errc bundles_model_path(struct bundles *bundles, const struct bundle *bundle, bool verify,
                                            char *path, size_t size, struct serin_error *error);

/* One file of the version (manifest.h lists them), its digest checked: free() *ret_bytes, which has a NUL behind the
 * last byte. SERIN_NOT_FOUND, SERIN_LIMIT, SERIN_CORRUPT. */
MUST_USE enum serin_errc bundles_read_file(struct bundles *bundles, const char *name, const char *file,
                                           size_t max_bytes, uint8_t **ret_bytes, size_t *ret_size,
                                           struct serin_error *error);

/* Reads every blob of the version and compares it with its digest. SERIN_CORRUPT names the one that is damaged. */
MUST_USE enum serin_errc bundles_verify(struct bundles *bundles, const char *name, struct serin_error *error);

/* Marks name ("model:tag") as in use, or no longer. Marking what is marked is fine. SERIN_NOT_FOUND: no such version
 * (only when it is to be marked), SERIN_IO. */
MUST_USE enum serin_errc bundles_set_in_use(struct bundles *bundles, const char *name, bool in_use,
                                            struct serin_error *error);

#endif
