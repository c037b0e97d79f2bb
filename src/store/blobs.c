/*
 * blobs.c - hashing, writing and checking blobs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariant: a digest becomes part of a path only after oci_digest_check, and what blobs_read returns has that digest.
 */
#include "store/blobs.h"

#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (256u << 10)

static const char *file_of(const char *digest)
{
    BUG_ON(!oci_digest_check(digest));
    return digest + strlen("sha256:");
}

enum serin_errc blobs_open(int root, struct blobs *blobs, struct serin_error *error)
{
    struct blobs opened = {-1, -1};
    enum serin_errc rc;
    int parent = -1;

    rc = disk_open_folder(root, "blobs", &parent, error);
    if (rc == SERIN_OK)
        rc = disk_open_folder(parent, "sha256", &opened.folder, error);
    if (rc == SERIN_OK)
        rc = disk_open_folder(root, "tmp", &opened.temporary, error);
    if (parent >= 0)
        close(parent);
    if (rc == SERIN_OK)
        *blobs = opened;
    else
        blobs_close(&opened);
    return rc;
}

void blobs_close(struct blobs *blobs)
{
    if (blobs->folder >= 0)
        close(blobs->folder);
    if (blobs->temporary >= 0)
        close(blobs->temporary);
    *blobs = (struct blobs){-1, -1};
}

/* ---- hashing ---- */

static EVP_MD_CTX *hash_begin(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();

    if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash);
        hash = NULL;
    }
    return hash;
}

/* Ends and frees the hash; digest has BUNDLE_DIGEST_TEXT bytes. */
static bool hash_end(EVP_MD_CTX *hash, char *digest)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    bool good = EVP_DigestFinal_ex(hash, value, &length) == 1 && length == 32;

    EVP_MD_CTX_free(hash);
    memcpy(digest, "sha256:", 8);
    if (good)
        text_hex(value, length, digest + 7);
    return good;
}

/* Hashes from (a file) until its end, and writes it to to unless that is -1. 0, or an errno; EFBIG: more than max. */
static int hash_file(int from, int to, uint64_t max_bytes, char *digest, uint64_t *ret_size)
{
    EVP_MD_CTX *hash = hash_begin();
    uint8_t *chunk = malloc(CHUNK_BYTES);
    uint64_t size = 0;
    int why = hash && chunk ? 0 : ENOMEM;

    while (!why) {
        ssize_t n = file_read_fully(from, chunk, CHUNK_BYTES);

        if (n <= 0) {
            why = n < 0 ? errno : 0;
            break;
        }
        size += (uint64_t)n;
        if (size > max_bytes)
            why = EFBIG;
        else if (EVP_DigestUpdate(hash, chunk, (size_t)n) != 1)
            why = ENOMEM;
        else if (to >= 0 && !disk_write_fully(to, chunk, (size_t)n))
            why = errno;
    }
    free(chunk);
    if (hash && !hash_end(hash, digest) && !why)
        why = ENOMEM;
    *ret_size = size;
    return why;
}

/* ---- writing ---- */

static enum serin_errc new_draft(struct blobs *blobs, int which, struct blob_draft *draft, int *ret_fd,
                                 struct serin_error *error)
{
    int fd;

    *draft = (struct blob_draft){.size = 0};
    snprintf(draft->temporary, sizeof(draft->temporary), "draft-%d", which);
    unlinkat(blobs->temporary, draft->temporary, 0); /* of one that was killed */
    fd = openat(blobs->temporary, draft->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(error, SERIN_IO, "tmp/%s: %s", draft->temporary, strerror(errno));
    *ret_fd = fd;
    return SERIN_OK;
}

/* Read-only, on the disk, closed. 0 or an errno. */
static int end_draft(int fd)
{
    int why = fchmod(fd, 0444) == 0 && fsync(fd) == 0 ? 0 : errno;

    return close(fd) == 0 || why ? why : errno;
}

enum serin_errc blobs_draft_file(struct blobs *blobs, int which, const char *path, uint64_t max_bytes,
                                 struct blob_draft *ret, struct serin_error *error)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to = -1, why, ended;
    struct stat status;
    enum serin_errc rc;

    if (from < 0)
        return error_set(error, errno == ENOENT ? SERIN_NOT_FOUND : SERIN_IO, "%s: %s", path, strerror(errno));
    if (fstat(from, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(from);
        return error_set(error, SERIN_INVALID, "%s is not a regular file", path);
    }
    rc = new_draft(blobs, which, ret, &to, error);
    if (rc != SERIN_OK) {
        close(from);
        return rc;
    }
    why = hash_file(from, to, max_bytes, ret->digest, &ret->size);
    close(from);
    ended = end_draft(to);
    if (why == EFBIG)
        rc = error_set(error, SERIN_LIMIT, "%s has more than the limit of %llu bytes", path,
                       (unsigned long long)max_bytes);
    else if (why || ended)
        rc = error_set(error, SERIN_IO, "cannot copy %s into the store: %s", path, strerror(why ? why : ended));
    if (rc != SERIN_OK)
        blobs_drop(blobs, ret);
    return rc;
}

enum serin_errc blobs_draft_bytes(struct blobs *blobs, int which, const void *bytes, size_t size,
                                  struct blob_draft *ret, struct serin_error *error)
{
    EVP_MD_CTX *hash = hash_begin();
    enum serin_errc rc;
    int fd = -1, why = 0, ended;

    if (!hash)
        return error_set(error, SERIN_NOMEM, "no memory for a digest");
    rc = new_draft(blobs, which, ret, &fd, error);
    if (rc != SERIN_OK) {
        EVP_MD_CTX_free(hash);
        return rc;
    }
    ret->size = size;
    if (!disk_write_fully(fd, bytes, size))
        why = errno;
    ended = end_draft(fd);
    if (EVP_DigestUpdate(hash, bytes, size) != 1 && !why)
        why = ENOMEM;
    if (!hash_end(hash, ret->digest) && !why)
        why = ENOMEM;
    if (why || ended) {
        rc = error_set(error, SERIN_IO, "cannot write into the store: %s", strerror(why ? why : ended));
        blobs_drop(blobs, ret);
    }
    return rc;
}

enum serin_errc blobs_keep(struct blobs *blobs, struct blob_draft *draft, struct serin_error *error)
{
    if (renameat(blobs->temporary, draft->temporary, blobs->folder, file_of(draft->digest)) != 0)
        return error_set(error, SERIN_IO, "blob %s: %s", draft->digest, strerror(errno));
    draft->temporary[0] = '\0';
    return SERIN_OK;
}

void blobs_drop(struct blobs *blobs, struct blob_draft *draft)
{
    if (*draft->temporary)
        unlinkat(blobs->temporary, draft->temporary, 0);
    draft->temporary[0] = '\0';
}

enum serin_errc blobs_sync(struct blobs *blobs, struct serin_error *error)
{
    return fsync(blobs->folder) == 0 ? SERIN_OK : error_set(error, SERIN_IO, "blobs/sha256: %s", strerror(errno));
}

void blobs_remove(struct blobs *blobs, const char *digest)
{
    unlinkat(blobs->folder, file_of(digest), 0);
}

/* ---- reading ---- */

/* Opens the blob and checks its size. */
static enum serin_errc open_blob(const struct blobs *blobs, const struct oci_descriptor *what, int *ret_fd,
                                 struct serin_error *error)
{
    enum serin_errc rc;
    uint64_t size;
    int fd;

    rc = disk_open(blobs->folder, file_of(what->digest), &fd, &size, error);
    if (rc != SERIN_OK)
        return error_prefix(error, rc, "blob");
    if (size != what->size) {
        close(fd);
        return error_set(error, SERIN_CORRUPT, "blob %s has %llu bytes, its descriptor says %llu", what->digest,
                         (unsigned long long)size, (unsigned long long)what->size);
    }
    *ret_fd = fd;
    return SERIN_OK;
}

static enum serin_errc damaged(const struct oci_descriptor *what, const char *digest, struct serin_error *error)
{
    return error_set(error, SERIN_CORRUPT, "blob %s is damaged: its content has the digest %s", what->digest, digest);
}

enum serin_errc blobs_read(const struct blobs *blobs, const struct oci_descriptor *what, size_t max_bytes,
                           uint8_t **ret_bytes, struct serin_error *error)
{
    char digest[BUNDLE_DIGEST_TEXT];
    EVP_MD_CTX *hash = NULL;
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    bool hashed;
    size_t size;
    int fd = -1;

    if (what->size > max_bytes)
        return error_set(error, SERIN_LIMIT, "blob %s has %llu bytes, the limit is %zu", what->digest,
                         (unsigned long long)what->size, max_bytes);
    rc = open_blob(blobs, what, &fd, error);
    if (rc != SERIN_OK)
        return rc;
    size = (size_t)what->size;
    bytes = malloc(size + 1);
    hash = hash_begin();
    if (!bytes || !hash) {
        rc = error_set(error, SERIN_NOMEM, "blob %s: no memory for its %zu bytes", what->digest, size);
        goto out;
    }
    if (file_read_fully(fd, bytes, size) != (ssize_t)size) {
        rc = error_set(error, SERIN_IO, "blob %s cannot be read to its end", what->digest);
        goto out;
    }
    bytes[size] = 0;
    hashed = EVP_DigestUpdate(hash, bytes, size) == 1;
    hashed = hash_end(hash, digest) && hashed;
    hash = NULL;
    if (!hashed)
        rc = error_set(error, SERIN_NOMEM, "no memory for a digest");
    else if (strcmp(digest, what->digest) != 0)
        rc = damaged(what, digest, error);
    if (rc == SERIN_OK) {
        *ret_bytes = bytes;
        bytes = NULL;
    }
out:
    EVP_MD_CTX_free(hash);
    free(bytes);
    close(fd);
    return rc;
}

enum serin_errc blobs_check(const struct blobs *blobs, const struct oci_descriptor *what, bool with_digest,
                            struct serin_error *error)
{
    char digest[BUNDLE_DIGEST_TEXT];
    enum serin_errc rc;
    uint64_t size;
    int fd = -1, why;

    rc = open_blob(blobs, what, &fd, error);
    if (rc != SERIN_OK)
        return rc;
    why = with_digest ? hash_file(fd, -1, what->size, digest, &size) : 0;
    close(fd);
    if (why)
        return error_set(error, SERIN_IO, "blob %s cannot be read: %s", what->digest, strerror(why));
    if (with_digest && strcmp(digest, what->digest) != 0)
        return damaged(what, digest, error);
    return SERIN_OK;
}
