/*
 * sources.c - files, folders, frame sequences, glob patterns and lists.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A folder is read once and its names are picked by a rule (an extension, or a frame's number), then sorted, so the
 * same folder gives the same order everywhere.
 */
#include "cli/sources.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static enum serin_errc add_path(struct sources *sources, const char *path, struct serin_error *error)
{
    if (sources->count >= SOURCES_MAX_COUNT)
        return error_set(error, SERIN_LIMIT, "more than %u pictures, which is the limit of one run", SOURCES_MAX_COUNT);
    if (sources->count == sources->capacity) {
        size_t capacity = sources->capacity ? sources->capacity * 2 : 64;
        char **paths = realloc(sources->paths, capacity * sizeof(*paths));

        if (!paths)
            return error_set(error, SERIN_NOMEM, "no memory for a list of %zu pictures", capacity);
        sources->paths = paths;
        sources->capacity = capacity;
    }
    sources->paths[sources->count] = strdup(path);
    if (!sources->paths[sources->count])
        return error_set(error, SERIN_NOMEM, "no memory for a list of %zu pictures", sources->count + 1);
    sources->count++;
    return SERIN_OK;
}

void sources_done(struct sources *sources)
{
    size_t i;

    for (i = 0; i < sources->count; i++)
        free(sources->paths[i]);
    free(sources->paths);
    *sources = (struct sources){0};
}

static bool has_picture_extension(const char *name)
{
    static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp"};
    const char *dot = strrchr(name, '.');
    size_t i;

    if (!dot || name[0] == '.') /* what is hidden is left alone, as Ultralytics does: macOS's "._a.jpg" is no picture */
        return false;
    for (i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
        if (strcasecmp(dot, extensions[i]) == 0)
            return true;
    return false;
}

/* "frame-%04d.jpg", taken apart. */
struct frame_pattern {
    const char *prefix, *suffix;
    size_t prefix_length;
    int width; /* digits at least; 0 for %d */
};

static bool read_frame_pattern(const char *name, struct frame_pattern *ret)
{
    const char *percent = strchr(name, '%');
    char *end;
    long width = 0;

    if (!percent)
        return false;
    end = (char *)percent + 1;
    if (*end == '0')
        width = strtol(end, &end, 10);
    if (*end != 'd' || width < 0 || width > 18)
        return false;
    *ret = (struct frame_pattern){name, end + 1, (size_t)(percent - name), (int)width};
    return true;
}

/* True for a name that printf would make from the pattern, with its number. */
static bool matches_frame(const struct frame_pattern *pattern, const char *name, uint64_t *ret_number)
{
    const char *digits = name + pattern->prefix_length;
    uint64_t number = 0;
    size_t count, i;

    if (strncmp(name, pattern->prefix, pattern->prefix_length) != 0)
        return false;
    count = strspn(digits, "0123456789");
    if (count == 0 || count > 18 || strcmp(digits + count, pattern->suffix) != 0)
        return false;
    if (count < (size_t)pattern->width || (count > (size_t)pattern->width && count > 1 && digits[0] == '0'))
        return false;
    for (i = 0; i < count; i++)
        number = number * 10 + (uint64_t)(digits[i] - '0');
    *ret_number = number;
    return true;
}

struct found {
    char *path;
    uint64_t number; /* of a frame; 0 for other files */
};

static int by_number_and_path(const void *a, const void *b)
{
    const struct found *left = a, *right = b;

    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    return strcmp(left->path, right->path);
}

/* Adds what of a folder matches: frames with a pattern, pictures by extension without. *ret_added counts them. */
static enum serin_errc add_folder(struct sources *sources, const char *folder, const struct frame_pattern *pattern,
                                  size_t *ret_added, struct serin_error *error)
{
    struct found *found = NULL, *more;
    size_t count = 0, capacity = 0, i;
    enum serin_errc rc = SERIN_OK;
    const char *slash = *folder && folder[strlen(folder) - 1] == '/' ? "" : "/";
    struct dirent *entry;
    uint64_t number;
    DIR *directory;

    directory = opendir(*folder ? folder : ".");
    if (!directory)
        return error_set(error, errno == ENOENT || errno == ENOTDIR ? SERIN_NOT_FOUND : SERIN_IO, "%s: %s", folder,
                         strerror(errno));
    while ((entry = readdir(directory)) && rc == SERIN_OK) {
        number = 0;
        if (pattern ? !matches_frame(pattern, entry->d_name, &number) : !has_picture_extension(entry->d_name))
            continue;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            more = capacity <= 2 * SOURCES_MAX_COUNT ? realloc(found, capacity * sizeof(*found)) : NULL;
            if (!more) {
                rc = error_set(error, SERIN_NOMEM, "%s: no memory for more than %zu pictures", folder, count);
                break;
            }
            found = more;
        }
        found[count].number = number;
        if (asprintf(&found[count].path, "%s%s%s", folder, *folder ? slash : "", entry->d_name) < 0)
            rc = error_set(error, SERIN_NOMEM, "%s: no memory for %zu pictures", folder, count + 1);
        else
            count++;
    }
    closedir(directory);
    if (count)
        qsort(found, count, sizeof(*found), by_number_and_path);
    for (i = 0; i < count; i++) {
        if (rc == SERIN_OK)
            rc = add_path(sources, found[i].path, error);
        free(found[i].path);
    }
    free(found);
    *ret_added = count;
    return rc;
}

static enum serin_errc add_frames(struct sources *sources, const char *argument, const struct frame_pattern *pattern,
                                  const char *slash, struct serin_error *error)
{
    char folder[PATH_MAX];
    size_t length = slash ? (size_t)(slash + 1 - argument) : 0, added = 0; /* with its slash, or "" */
    enum serin_errc rc;

    if (length >= sizeof(folder))
        return error_set(error, SERIN_LIMIT, "a path of %zu bytes, the limit is %zu", strlen(argument),
                         sizeof(folder) - 1);
    memcpy(folder, argument, length);
    folder[length] = '\0';
    rc = add_folder(sources, folder, pattern, &added, error);
    if (rc == SERIN_OK && added == 0)
        rc = error_set(error, SERIN_NOT_FOUND, "%s: no file has a name of this pattern", argument);
    return rc;
}

/* What glob could not read. It hands its callback nothing of ours, so this stands outside, for each thread. */
static _Thread_local struct {
    char folder[PATH_MAX];
    int number; /* errno; 0: nothing so far */
} unreadable;

/* A folder that is not there merely matches nothing; one that cannot be read may hold pictures, and ends the search. */
static int note_unreadable(const char *folder, int number)
{
    if (number == ENOENT || number == ENOTDIR)
        return 0;
    snprintf(unreadable.folder, sizeof(unreadable.folder), "%s", folder);
    unreadable.number = number;
    return 1;
}

static enum serin_errc add_glob(struct sources *sources, const char *argument, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    glob_t matches = {0};
    size_t i;
    int failed;

    unreadable.number = 0;
    failed = glob(argument, 0, note_unreadable, &matches);
    if (unreadable.number)
        rc = error_set(error, SERIN_IO, "%s: %s: %s", argument, unreadable.folder, strerror(unreadable.number));
    else if (failed == GLOB_NOMATCH)
        rc = error_set(error, SERIN_NOT_FOUND, "%s: no file has a name of this pattern", argument);
    else if (failed)
        rc = error_set(error, failed == GLOB_NOSPACE ? SERIN_NOMEM : SERIN_IO, "%s: the search for names failed",
                       argument);
    for (i = 0; rc == SERIN_OK && i < matches.gl_pathc; i++)
        rc = add_path(sources, matches.gl_pathv[i], error);
    globfree(&matches);
    return rc;
}

static enum serin_errc add_list(struct sources *sources, FILE *list, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;
    size_t length = 0, number = 1;
    char line[PATH_MAX];
    int c;

    while (rc == SERIN_OK) {
        c = getc(list);
        if (c == '\0')
            return error_set(
                error, SERIN_INVALID,
                "stdin: line %zu has a NUL, where paths are expected one a line (find -print, not -print0)", number);
        if (c != '\n' && c != EOF) {
            if (length + 1 == sizeof(line))
                return error_set(error, SERIN_LIMIT, "stdin: line %zu is longer than a path, whose limit is %zu bytes",
                                 number, sizeof(line) - 1);
            line[length++] = (char)c;
            continue;
        }
        if (length && line[length - 1] == '\r') /* a list from Windows */
            length--;
        line[length] = '\0';
        if (length)
            rc = add_path(sources, line, error);
        length = 0;
        number++;
        if (c == EOF)
            break;
    }
    if (rc == SERIN_OK && ferror(list))
        rc = error_set(error, SERIN_IO, "stdin: %s", strerror(errno));
    return rc;
}

enum serin_errc sources_add(struct sources *sources, const char *argument, struct serin_error *error)
{
    const char *slash = strrchr(argument, '/');
    struct frame_pattern pattern;
    enum serin_errc rc;
    struct stat status;
    size_t added = 0;

    if (!*argument)
        return error_set(error, SERIN_INVALID, "an empty argument, where a picture is expected");
    if (strcmp(argument, "-") == 0)
        return add_list(sources, stdin, error);
    if (stat(argument, &status) == 0) {
        if (!S_ISDIR(status.st_mode))
            return add_path(sources, argument, error);
        rc = add_folder(sources, argument, NULL, &added, error);
        if (rc == SERIN_OK && added == 0)
            rc = error_set(error, SERIN_NOT_FOUND, "%s holds no pictures (.jpg .jpeg .png .webp .bmp)", argument);
        return rc;
    }
    if (read_frame_pattern(slash ? slash + 1 : argument, &pattern))
        return add_frames(sources, argument, &pattern, slash, error);
    if (strpbrk(argument, "*?["))
        return add_glob(sources, argument, error);
    return add_path(sources, argument, error);
}
