/*
 * data_digest.c - hashing a labelled set, so that two evaluations can tell whether they may be compared.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/data_digest.h"

#include "base/file.h"
#include "base/text.h"
#include "yolo/dataset.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PICTURE_BYTES (256u << 20)

static bool add(EVP_MD_CTX *hash, const void *bytes, size_t size)
{
    const uint64_t length = size; /* in front, so that neighbours cannot run together */

    return EVP_DigestUpdate(hash, &length, sizeof(length)) == 1 && (!size || EVP_DigestUpdate(hash, bytes, size) == 1);
}

static bool add_object(EVP_MD_CTX *hash, const struct dataset_object *object)
{
    const uint8_t crowd = object->crowd;

    return add(hash, &object->class_id, sizeof(object->class_id)) && add(hash, &crowd, sizeof(crowd)) &&
           add(hash, object->box, sizeof(object->box)) &&
           add(hash, object->points, object->points ? object->point_count * sizeof(*object->points) : 0) &&
           add(hash, object->mask.counts, object->mask.count * sizeof(*object->mask.counts));
}

static enum serin_errc add_image(EVP_MD_CTX *hash, const struct dataset_image *image, struct serin_error *error)
{
    uint8_t *bytes = NULL;
    enum serin_errc rc;
    size_t size, i;
    bool good;

    rc = file_read(image->path, MAX_PICTURE_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    good = add(hash, bytes, size) && add(hash, &image->class_id, sizeof(image->class_id)) &&
           add(hash, &image->object_count, sizeof(image->object_count));
    for (i = 0; good && i < image->object_count; i++)
        good = add_object(hash, &image->objects[i]);
    free(bytes);
    return good ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for a digest");
}

enum serin_errc data_digest(const char *path, const struct serin_yolo_info *model, char ret[static BUNDLE_DIGEST_TEXT],
                            struct serin_error *error)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    struct dataset *dataset = NULL;
    unsigned length = 0;
    enum serin_errc rc;
    size_t at;

    rc = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1
             ? dataset_open(path, model, &dataset, error)
             : error_set(error, SERIN_NOMEM, "no memory for a digest");
    for (at = 0; rc == SERIN_OK && at < dataset->image_count; at++)
        rc = add_image(hash, &dataset->images[at], error);
    if (rc == SERIN_OK && (EVP_DigestFinal_ex(hash, value, &length) != 1 || length != 32))
        rc = error_set(error, SERIN_NOMEM, "no memory for a digest");
    if (rc == SERIN_OK) {
        memcpy(ret, "sha256:", 8);
        text_hex(value, length, ret + 7);
    }
    dataset_free(dataset);
    EVP_MD_CTX_free(hash);
    return rc;
}
