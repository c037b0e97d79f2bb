/*
 * index.h - index.json of an OCI image layout: which tag is which manifest.  Depends on manifest.h and jansson; knows
 * no disk.
 * SPDX-License-Identifier: Apache-2.0
 *
 * OCI image specification 1.1, "Image Layout" and "Image Index". A version is an entry whose annotation
 * org.opencontainers.image.ref.name is "MODEL:TAG", the form under which skopeo finds it (oci:DIR:MODEL:TAG). What
 * others wrote into the index is kept as it is: entries under other names, and annotations that Serin does not know.
 */
#ifndef VERSION_INDEX_H
#define VERSION_INDEX_H

#include "version/manifest.h"

#define INDEX_MAX_BYTES   (16u << 20)
#define INDEX_MAX_ENTRIES 10000

struct index_entry {
    struct version_name name;
    struct oci_descriptor manifest;
    char created[32]; /* org.opencontainers.image.created; "" */
};

struct oci_index {
    struct json_t *root;
    size_t count;                /* versions; other entries are not counted */
    struct index_entry *entries; /* by name */
};

MUST_USE enum serin_errc index_init(struct oci_index *index, struct serin_error *error); /* an empty one */
/* SERIN_CORRUPT, SERIN_LIMIT. On failure index needs no index_done. */
MUST_USE enum serin_errc index_parse(const void *bytes, size_t size, struct oci_index *index,
                                     struct serin_error *error);
void index_done(struct oci_index *index);

/* NULL where there is none. The entry lives until the index is changed. */
const struct index_entry *index_find(const struct oci_index *index, const struct version_name *name);

/* The name must not be there yet. SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc index_add(struct oci_index *index, const struct index_entry *entry, struct serin_error *error);
/* The name must be there. */
void index_remove(struct oci_index *index, const struct version_name *name);

/* Descriptor of the manifest i, versions or not. False behind the last. */
bool index_manifest(const struct oci_index *index, size_t i, struct oci_descriptor *ret);

/* Is it the content of an oci-layout file of version 1? SERIN_CORRUPT. */
MUST_USE enum serin_errc index_check_layout(const void *bytes, size_t size, struct serin_error *error);

MUST_USE enum serin_errc index_write(const struct oci_index *index, struct buffer *out, struct serin_error *error);

#endif
