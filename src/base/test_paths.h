/*
 * test_paths.h - where tests find files: of the source tree, and of the test data beside it.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_TEST_PATHS_H
#define BASE_TEST_PATHS_H

#include <stdio.h>
#include <stdlib.h>

/* "tests/golden", "eval.json". The text is valid until the next call. */
static inline const char *test_source_path(const char *folder, const char *file)
{
    const char *root = getenv("SERIN_SOURCE_DIR");
    static char path[1024];

    snprintf(path, sizeof(path), "%s/%s/%s", root ? root : ".", folder, file);
    return path;
}

/* The same for what may be absent: then the test is skipped. */
static inline const char *test_data_path(const char *file)
{
    const char *root = getenv("SERIN_SOURCE_DIR"), *data = getenv("SERIN_TEST_DATA");
    static char path[1024];

    if (data)
        snprintf(path, sizeof(path), "%s/%s", data, file);
    else
        snprintf(path, sizeof(path), "%s/../shared/data/%s", root ? root : ".", file);
    return path;
}

#endif
