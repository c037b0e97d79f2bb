/*
 * hostile_test.c - every file of tests/hostile/images.tsv gives its error, its sentence, and costs little.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each file is decoded in a child that may use 64 MiB more memory than it was born with, and 10 seconds of processor
 * time: a picture that costs more is an "out of memory" or a signal there, which the table does not expect. Sanitizers
 * reserve address space by the terabyte and look for leaks at the end of main, so under them it is done without the
 * child.
 */
#include <serin/image.h>

#include "base/file.h"
#include "base/sanitizers.h"
#include "base/test_paths.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define EXTRA_MEMORY_BYTES (64ull << 20)
#define CPU_SECONDS        10

static const struct serin_image_limits small_limits = {.max_pixels = 1000000};

static struct serin_error decode(const uint8_t *bytes, size_t size, const struct serin_image_limits *limits)
{
    static uint8_t nothing[1];
    struct serin_image image = {.pixels = nothing};
    struct serin_error error = {.code = SERIN_OK};
    enum serin_errc rc = serin_image_decode(bytes, size, limits, &image, &error);

    if (rc != error.code || (rc != SERIN_OK && image.pixels != nothing)) {
        error.code = SERIN_INVALID;
        snprintf(error.message, sizeof(error.message), "returned %d and touched its result", rc);
    }
    if (rc == SERIN_OK)
        serin_image_free(&image);
    return error;
}

static void limit_resources(void)
{
    struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS}, memory;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file) {
        if (fscanf(file, "%lu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    memory.rlim_cur = memory.rlim_max = pages * (unsigned long)sysconf(_SC_PAGESIZE) + EXTRA_MEMORY_BYTES;
    setrlimit(RLIMIT_CPU, &cpu);
    if (pages > 0)
        setrlimit(RLIMIT_AS, &memory);
}

static struct serin_error decode_in_child(const uint8_t *bytes, size_t size, const struct serin_image_limits *limits)
{
    struct serin_error error = {.code = SERIN_INVALID};
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        limit_resources();
        error = decode(bytes, size, limits);
        _exit(write(ends[1], &error, sizeof(error)) == sizeof(error) ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &error, sizeof(error)) != sizeof(error))
        snprintf(error.message, sizeof(error.message), "the child said nothing");
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        snprintf(error.message, sizeof(error.message), "killed by signal %d", WTERMSIG(status));
    return error;
}

static enum serin_errc code_named(const char *name)
{
    static const char *const names[] = {
#define X(name, text) #name,
        SERIN_ERRC_MAP(X)
#undef X
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return (enum serin_errc)i;
    fail_msg("no error code is called %s", name);
    return SERIN_INVALID;
}

static void every_hostile_image_is_refused_with_its_sentence(void **state)
{
    FILE *table = fopen(test_source_path("tests/hostile", "images.tsv"), "r");
    int count = 0, wrong = 0;
    char line[512];

    (void)state;
    assert_non_null(table);
    while (fgets(line, sizeof(line), table)) {
        const char *file = strtok(line, "\t"), *code = strtok(NULL, "\t\n"), *text = strtok(NULL, "\n");
        char relative[256];
        struct serin_error error;
        uint8_t *bytes;
        size_t size;

        assert_non_null(code);
        snprintf(relative, sizeof(relative), "images/%s", file);
        assert_int_equal(file_read(test_source_path("tests/hostile", relative), 1 << 20, &bytes, &size, &error),
                         SERIN_OK);
        error = ADDRESS_SANITIZED ? decode(bytes, size, &small_limits) : decode_in_child(bytes, size, &small_limits);
        if (error.code != code_named(code) || (text && !strstr(error.message, text))) {
            print_error("%s: %s (%s), not %s with \"%s\"\n", file, serin_errc_text(error.code), error.message, code,
                        text ? text : "");
            wrong++;
        }
        count++;
        free(bytes);
    }
    fclose(table);
    assert_true(count > 200);
    assert_int_equal(wrong, 0);
}

/* 9,000 x 9,000 pixels are within the default limits, but not within the child's memory. */
static void no_memory_is_an_error(void **state)
{
    uint8_t *bytes;
    struct serin_error error;
    size_t size;

    (void)state;
    if (ADDRESS_SANITIZED)
        skip();
    assert_int_equal(
        file_read(test_source_path("tests/golden/images", "png-rgb-8.png"), 1 << 20, &bytes, &size, &error), SERIN_OK);
    memcpy(bytes + 16, "\0\0\x23\x28\0\0\x23\x28", 8);
    error = decode_in_child(bytes, size, NULL);
    assert_int_equal(error.code, SERIN_NOMEM);
    assert_string_equal(error.message, "no memory for an image of 9000 x 9000 pixels");
    free(bytes);
}

/* A cut anywhere must be an error, or the same pixels: never a crash, never half a picture. */
static void every_cut_of_a_file_is_an_error(void **state)
{
    static const char *const files[] = {"jpeg-33x17-progressive.jpg",
                                        "png-palette-4-interlaced.png",
                                        "webp-1x1.webp",
                                        "webp-exif-6.webp",
                                        "bmp-rle4.bmp",
                                        "jpeg-1x1.jpg"};
    size_t i, cut, size;

    (void)state;
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char relative[256];
        uint8_t *bytes;

        snprintf(relative, sizeof(relative), "../golden/images/%s", files[i]);
        assert_int_equal(file_read(test_source_path("tests/hostile", relative), 1 << 20, &bytes, &size, NULL),
                         SERIN_OK);
        for (cut = 0; cut < size; cut++) {
            uint8_t *part = malloc(cut + 1); /* a block of its own, so that a read behind the cut shows */
            struct serin_error error;

            assert_non_null(part);
            memcpy(part + 1, bytes, cut);
            error = decode(part + 1, cut, &small_limits);
            free(part);
            if (error.code != SERIN_CORRUPT && error.code != SERIN_UNSUPPORTED)
                fail_msg("%s cut to %zu of %zu bytes: %s", files[i], cut, size, serin_errc_text(error.code));
        }
        assert_int_equal(decode(bytes, size, &small_limits).code, SERIN_OK);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hostile_image_is_refused_with_its_sentence),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(every_cut_of_a_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
