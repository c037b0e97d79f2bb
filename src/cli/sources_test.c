/*
 * sources_test.c - what an argument stands for.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/sources.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const names[] = {"f0010.jpg", "f0002.jpg",  "f0001.jpg", "f10000.jpg", "f00003.jpg",
                                    "f3.jpg",    "b.PNG",      "a.webp",    "notes.txt",  ".jpg",
                                    "f00a1.jpg", "f0004.jpg~", "c d.bmp",   "._a.jpg"};

static char folder[] = "/tmp/serin-sources-XXXXXX";

static int make_folder(void **state)
{
    char path[100];
    size_t i;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        file = fopen(path, "w");
        if (!file)
            return -1;
        fclose(file);
    }
    return 0;
}

static int remove_folder(void **state)
{
    char path[100];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* The names that folder/argument gives, with a space behind each. */
static enum serin_errc list(const char *argument, char *text, size_t size)
{
    struct sources sources = {0};
    struct serin_error error;
    char path[100];
    enum serin_errc rc;
    size_t i, used = 0;

    snprintf(path, sizeof(path), "%s%s", folder, argument);
    rc = sources_add(&sources, path, &error);
    text[0] = '\0';
    for (i = 0; i < sources.count; i++)
        used += (size_t)snprintf(text + used, size - used, "%s ", strrchr(sources.paths[i], '/') + 1);
    sources_done(&sources);
    return rc;
}

static void arguments_stand_for_files(void **state)
{
    static const struct {
        const char *argument;
        enum serin_errc rc;
        const char *names;
    } rows[] = {
        {"", SERIN_OK, "a.webp b.PNG c d.bmp f00003.jpg f0001.jpg f0002.jpg f0010.jpg f00a1.jpg f10000.jpg f3.jpg "},
        {"/f%04d.jpg", SERIN_OK, "f0001.jpg f0002.jpg f0010.jpg f10000.jpg "}, /* by number, gaps allowed */
        {"/f%d.jpg", SERIN_OK, "f3.jpg f10000.jpg "},
        {"/f%05d.jpg", SERIN_OK, "f00003.jpg f10000.jpg "},
        {"/f%s.jpg", SERIN_OK, "f%s.jpg "}, /* no pattern: a name, found missing when it is read */
        {"/g%04d.jpg", SERIN_NOT_FOUND, ""},
        {"/f000*.jpg", SERIN_OK, "f00003.jpg f0001.jpg f0002.jpg "},
        {"/z*.jpg", SERIN_NOT_FOUND, ""},
        {"/notes.txt", SERIN_OK, "notes.txt "}, /* named outright */
        {"/missing.jpg", SERIN_OK, "missing.jpg "},
        {"/missing/f%04d.jpg", SERIN_NOT_FOUND, ""},
    };
    char text[1000];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(list(rows[i].argument, text, sizeof(text)), rows[i].rc);
        assert_string_equal(text, rows[i].names);
    }
}

static void a_folder_without_pictures_is_an_error(void **state)
{
    char empty[] = "/tmp/serin-empty-XXXXXX";
    struct sources sources = {0};
    struct serin_error error;

    (void)state;
    assert_non_null(mkdtemp(empty));
    assert_int_equal(sources_add(&sources, empty, &error), SERIN_NOT_FOUND);
    assert_non_null(strstr(error.message, "holds no pictures"));
    sources_done(&sources);
    rmdir(empty);
}

static void a_list_is_read_line_by_line(void **state)
{
    static const char text[] = "a.jpg\n\n/b c.png\nlast.bmp";
    char *endless = malloc(10000);
    struct sources sources = {0};
    struct serin_error error;
    FILE *file;

    (void)state;
    file = fmemopen((void *)text, sizeof(text) - 1, "r");
    assert_int_equal(add_list(&sources, file, &error), SERIN_OK);
    fclose(file);
    assert_int_equal(sources.count, 3);
    assert_string_equal(sources.paths[1], "/b c.png");
    assert_string_equal(sources.paths[2], "last.bmp");
    assert_non_null(endless);
    memset(endless, 'x', 10000);
    file = fmemopen(endless, 10000, "r");
    assert_int_equal(add_list(&sources, file, &error), SERIN_LIMIT);
    fclose(file);
    free(endless);
    sources_done(&sources);
}

static void a_list_from_windows_is_read(void **state) /* no file was found: each name had a CR at its end */
{
    static const char text[] = "a.jpg\r\n\r\nb\r.png\r\nlast.bmp\r";
    struct sources sources = {0};
    struct serin_error error;
    FILE *file;

    (void)state;
    file = fmemopen((void *)text, sizeof(text) - 1, "r");
    assert_int_equal(add_list(&sources, file, &error), SERIN_OK);
    fclose(file);
    assert_int_equal(sources.count, 3);
    assert_string_equal(sources.paths[0], "a.jpg");
    assert_string_equal(sources.paths[1], "b\r.png");
    assert_string_equal(sources.paths[2], "last.bmp");
    sources_done(&sources);
}

static void a_list_with_nul_is_refused(void **state) /* all but its first path were dropped in silence */
{
    static const char text[] = "a.jpg\0b.jpg\0";
    struct sources sources = {0};
    struct serin_error error;
    FILE *file;

    (void)state;
    file = fmemopen((void *)text, sizeof(text) - 1, "r");
    assert_int_equal(add_list(&sources, file, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "line 1 has a NUL"));
    fclose(file);
    sources_done(&sources);
}

/* It was said that no file has such a name. A link to itself cannot be opened by root either. */
static void a_pattern_in_a_folder_that_cannot_be_read_says_so(void **state)
{
    struct sources sources = {0};
    struct serin_error error;
    char path[100];

    (void)state;
    snprintf(path, sizeof(path), "%s/loop", folder);
    assert_int_equal(symlink("loop", path), 0);
    strcat(path, "/*.jpg");
    assert_int_equal(sources_add(&sources, path, &error), SERIN_IO);
    assert_non_null(strstr(error.message, "/loop: Too many levels of symbolic links"));
    path[strlen(path) - strlen("/*.jpg")] = '\0';
    unlink(path);
    snprintf(path, sizeof(path), "%s/missing/*.jpg", folder);
    assert_int_equal(sources_add(&sources, path, &error), SERIN_NOT_FOUND);
    sources_done(&sources);
}

static void an_empty_argument_is_no_picture(void **state)
{
    struct sources sources = {0};

    (void)state;
    assert_int_equal(sources_add(&sources, "", NULL), SERIN_INVALID);
    sources_done(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_stand_for_files),
        cmocka_unit_test(a_folder_without_pictures_is_an_error),
        cmocka_unit_test(a_list_is_read_line_by_line),
        cmocka_unit_test(a_list_with_nul_is_refused),
        cmocka_unit_test(a_list_from_windows_is_read),
        cmocka_unit_test(a_pattern_in_a_folder_that_cannot_be_read_says_so),
        cmocka_unit_test(an_empty_argument_is_no_picture),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
