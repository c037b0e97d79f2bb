/*
 * fuzz_version_name.c - fuzz target: bytes as names of versions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two names with a newline between them. What is accepted must come back as it was written, be made of its parts, and
 * be ordered the same way from both sides.
 */
#include "version/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const char *text, const struct version_name *name)
{
    char written[VERSION_MAX_NAME], tag[VERSION_MAX_NAME];

    if (strcmp(version_name_text(name, written), text) != 0 || version_model_check(name->model, NULL) != SERIN_OK)
        abort();
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:") != strlen(text) ||
        strstr(text, "..") || strchr(text, ':') != strrchr(text, ':'))
        abort();
    snprintf(tag, sizeof(tag), "v%u.%u.%u%s%s%s%s", name->major, name->minor, name->patch, *name->prerelease ? "-" : "",
             name->prerelease, *name->hardware ? "-" : "", name->hardware);
    if (name->has_semver && strcmp(tag, name->tag) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct version_name names[2];
    bool good[2] = {false, false};
    char *text = malloc(size + 1), *line;
    int i;

    if (!text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    line = text;
    for (i = 0; i < 2 && line; i++) {
        struct serin_error error = {.code = SERIN_OK};
        char *end = strchr(line, '\n');
        enum serin_errc rc;

        if (end)
            *end = '\0';
        rc = version_name_parse(line, &names[i], &error);
        if (rc != error.code || (rc != SERIN_OK && error.message[0] == '\0'))
            abort();
        good[i] = rc == SERIN_OK;
        if (good[i])
            check(line, &names[i]);
        line = end ? end + 1 : NULL;
    }
    if (good[0] && good[1]) {
        int forth = version_name_compare(&names[0], &names[1]), back = version_name_compare(&names[1], &names[0]);
        bool same = strcmp(names[0].model, names[1].model) == 0 && strcmp(names[0].tag, names[1].tag) == 0;

        if ((forth > 0) != (back < 0) || (forth == 0) != (back == 0) || (forth == 0) != same)
            abort();
    }
    free(text);
    return 0;
}
