/*
 * replay.c - runs a fuzz target over the files and folders of its command line, with no fuzzer and any compiler.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int files_run;

static void run_file(const char *path)
{
    struct serin_error error;
    uint8_t *bytes, *alone;
    size_t size;

    if (file_read(path, MAX_FILE_BYTES, &bytes, &size, &error) != SERIN_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    alone = malloc(size ? size : 1); /* without file_read's NUL behind it, so that a read too far shows */
    if (!alone)
        exit(1);
    memcpy(alone, bytes, size);
    free(bytes);
    LLVMFuzzerTestOneInput(alone, size);
    free(alone);
    files_run++;
}

static void run_folder(const char *path, DIR *folder)
{
    const struct dirent *entry;
    char file[4096];

    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        run_file(file);
    }
}

int main(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        int before = files_run;

        if (folder) {
            run_folder(argv[i], folder);
            closedir(folder);
        } else {
            run_file(argv[i]);
        }
        if (files_run == before) {
            fprintf(stderr, "%s: no files\n", argv[i]);
            return 1;
        }
    }
    printf("%d files\n", files_run);
    return files_run > 0 ? 0 : 1;
}
