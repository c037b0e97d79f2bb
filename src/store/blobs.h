/*
 * blobs.h - content by its digest: DIR/blobs/sha256/HEX.  Depends on disk.h, version/manifest.h, libcrypto.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A blob is written in two steps: a draft is a synced file in DIR/tmp whose digest is known, and blobs_keep gives it
 * its name. So a push that is refused, or killed, leaves no blob that is half written. Writers hold the store's lock.
 */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include "store/disk.h"
#include "version/manifest.h"

struct blobs {
    int folder;    /* descriptor of blobs/sha256 */
    int temporary; /* descriptor of tmp */
};

struct blob_draft {
    char digest[BUNDLE_DIGEST_TEXT];
    uint64_t size;
    char temporary[16]; /* its name in tmp; "" where there is none (any more) */
};

MUST_USE enum serin_errc blobs_open(int root, struct blobs *blobs, struct serin_error *error);
void blobs_close(struct blobs *blobs);

/* Copies the regular file at path, hashing it. which: a number of its own for each draft of a push. */
MUST_USE enum serin_errc blobs_draft_file(struct blobs *blobs, int which, const char *path, uint64_t max_bytes,
                                          struct blob_draft *ret, struct serin_error *error);
MUST_USE enum serin_errc blobs_draft_bytes(struct blobs *blobs, int which, const void *bytes, size_t size,
                                           struct blob_draft *ret, struct serin_error *error);
/* Gives the draft its name. A blob of that name is replaced: should it have been damaged, it is whole now. */
MUST_USE enum serin_errc blobs_keep(struct blobs *blobs, struct blob_draft *draft, struct serin_error *error);
void blobs_drop(struct blobs *blobs, struct blob_draft *draft); /* nothing where it was kept */
/* After the last blobs_keep: the names are on disk. */
MUST_USE enum serin_errc blobs_sync(struct blobs *blobs, struct serin_error *error);

/* The content, its size and digest checked: free() *ret_bytes, which has a NUL behind the last byte. SERIN_CORRUPT,
 * SERIN_LIMIT, SERIN_NOT_FOUND, SERIN_IO, SERIN_NOMEM. */
MUST_USE enum serin_errc blobs_read(const struct blobs *blobs, const struct oci_descriptor *what, size_t max_bytes,
                                    uint8_t **ret_bytes, struct serin_error *error);
/* Is it there, a regular file of the size that the descriptor tells; with_digest: and of its digest? */
MUST_USE enum serin_errc blobs_check(const struct blobs *blobs, const struct oci_descriptor *what, bool with_digest,
                                     struct serin_error *error);
void blobs_remove(struct blobs *blobs, const char *digest);

#endif
