/*
 * cgroup_place.c - /proc/self/cgroup (cgroups(7)) joined with /proc/self/mountinfo (proc(5)).
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both versions may be mounted at once, with a controller in one of them. A container may see its group under a mount
 * whose root is that very group: the root is taken off the path.
 */
#include "runtime/cgroup_place.h"

#include <string.h>

#define LINE_BYTES 4096
#define PATH_BYTES 1024

bool cgroup_has_word(const char *text, const char *separators, const char *word)
{
    const size_t wanted = strlen(word);

    while (*text) {
        size_t length = strcspn(text, separators);

        if (length == wanted && memcmp(text, word, wanted) == 0)
            return true;
        text += length;
        text += *text != '\0';
    }
    return false;
}

/* The path of our group in the hierarchy of that version. */
static bool find_own(FILE *own, int version, const char *controller, char path[PATH_BYTES])
{
    char line[LINE_BYTES];

    rewind(own);
    while (fgets(line, sizeof(line), own)) {
        char *controllers = strchr(line, ':'), *where;

        where = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!where)
            continue;
        *where++ = '\0';
        where[strcspn(where, "\n")] = '\0';
        controllers++;
        if (version == 2 ? *controllers != '\0' : !cgroup_has_word(controllers, ",", controller))
            continue;
        if (strlen(where) >= PATH_BYTES || where[0] != '/' || strstr(where, ".."))
            return false; /* "/.." leads out of our cgroup namespace */
        memcpy(path, where, strlen(where) + 1);
        return true;
    }
    return false;
}

static bool find_mount(FILE *mounts, int version, const char *controller, char root[PATH_BYTES], char point[PATH_BYTES])
{
    char line[LINE_BYTES];

    rewind(mounts);
    while (fgets(line, sizeof(line), mounts)) {
        char type[64], options[PATH_BYTES];
        const char *rest = strstr(line, " - ");

        if (!rest || sscanf(rest, " - %63s %*s %1023s", type, options) != 2 ||
            sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2)
            continue;
        if (strcmp(type, version == 2 ? "cgroup2" : "cgroup") == 0 &&
            (version == 2 || cgroup_has_word(options, ",", controller)) && !strchr(point, '\\'))
            return true;
    }
    return false;
}

int cgroup_place(FILE *own, FILE *mounts, const char *controller, char *path, size_t size)
{
    char group[PATH_BYTES], root[PATH_BYTES], point[PATH_BYTES];
    int version;

    for (version = 1; version <= 2; version++) {
        const char *below = group;
        size_t length;
        int written;

        if (!find_own(own, version, controller, group) || !find_mount(mounts, version, controller, root, point))
            continue;
        length = strcmp(root, "/") == 0 ? 0 : strlen(root);
        if (length > 0) {
            if (strncmp(group, root, length) != 0 || (group[length] != '/' && group[length] != '\0'))
                continue; /* our group is not under what is mounted */
            below = group + length;
        }
        written = snprintf(path, size, "%s%s", point, strcmp(below, "/") == 0 ? "" : below);
        if (written > 0 && (size_t)written < size)
            return version;
    }
    return 0;
}
