/*
 * bundles_inside.h - what the files of the bundle store share.  Depends on blobs.h, version/index.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STORE_BUNDLES_INSIDE_H
#define STORE_BUNDLES_INSIDE_H

#include "store/blobs.h"
#include "store/bundles.h"
#include "version/index.h"

struct bundles {
    char *dir;
    int root; /* descriptor of dir */
    struct blobs blobs;
};

/* Waits for the lock of all that change the store. *ret: for bundles_unlock. */
MUST_USE enum serin_errc bundles_lock(struct bundles *bundles, int *ret, struct serin_error *error);
void bundles_unlock(int lock);

MUST_USE enum serin_errc bundles_read_index(const struct bundles *bundles, struct oci_index *index,
                                            struct serin_error *error);
/* Under the lock. */
MUST_USE enum serin_errc bundles_write_index(struct bundles *bundles, const struct oci_index *index,
                                             struct serin_error *error);
/* Under the lock: removes the blobs that nothing in the index leads to, as far as that can be told. */
void bundles_sweep(struct bundles *bundles, const struct oci_index *index);
bool bundles_is_in_use(const struct bundles *bundles, const struct version_name *name);
/* SERIN_NOT_FOUND, with the nearest name. */
enum serin_errc bundles_not_found(const struct oci_index *index, const char *name, struct serin_error *error);
MUST_USE enum serin_errc bundles_read_manifest(const struct bundles *bundles, const struct oci_descriptor *what,
                                               struct oci_manifest *manifest, struct serin_error *error);

#endif
