/*
 * sweep.c - removing blobs that nothing leads to: those of a version that was removed, or of a push that was killed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * It happens under the store's lock, which a push holds from its first draft until its tag is in the index, so that
 * what no manifest names belongs to nobody. Where one of the manifests cannot be read, nobody knows what it needs, and
 * all stay: they cost room only.
 */
#include "store/bundles_inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIGITS 64

struct digests {
    char (*list)[BUNDLE_DIGEST_TEXT];
    size_t count, room;
};

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool add(struct digests *digests, const char *digest)
{
    if (digests->count == digests->room) {
        size_t room = digests->room ? digests->room * 2 : 64;
        void *list = realloc(digests->list, room * sizeof(*digests->list));

        if (!list)
            return false;
        digests->list = list;
        digests->room = room;
    }
    memcpy(digests->list[digests->count++], digest, BUNDLE_DIGEST_TEXT);
    return true;
}

/* What the index leads to. False where that cannot be told. */
static bool find_needed(const struct bundles *bundles, const struct oci_index *index, struct digests *needed)
{
    struct oci_manifest *manifest = malloc(sizeof(*manifest)); /* 40 KB are much for a stack */
    struct oci_descriptor what;
    bool good = manifest;
    size_t i;
    int k;

    for (i = 0; good && index_manifest(index, i, &what); i++) {
        good = bundles_read_manifest(bundles, &what, manifest, NULL) == SERIN_OK && add(needed, what.digest) &&
               add(needed, manifest->config.digest);
        for (k = 0; good && k < manifest->layer_count; k++)
            good = add(needed, manifest->layers[k].digest);
    }
    free(manifest);
    return good;
}

static void sweep_folder(struct bundles *bundles, const struct digests *needed)
{
    int fd = openat(bundles->blobs.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!folder) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(folder))) {
        char digest[BUNDLE_DIGEST_TEXT];

        if (strlen(entry->d_name) != DIGITS)
            continue;
        snprintf(digest, sizeof(digest), "sha256:%s", entry->d_name);
        if (oci_digest_check(digest) &&
            (needed->count == 0 || !bsearch(digest, needed->list, needed->count, sizeof(*needed->list), compare)))
            blobs_remove(&bundles->blobs, digest);
    }
    closedir(folder);
}

void bundles_sweep(struct bundles *bundles, const struct oci_index *index)
{
    struct digests needed = {0};

    if (find_needed(bundles, index, &needed)) {
        if (needed.count)
            qsort(needed.list, needed.count, sizeof(*needed.list), compare);
        sweep_folder(bundles, &needed);
    }
    free(needed.list);
}
