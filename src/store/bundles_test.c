/*
 * bundles_test.c - the store under kills, under several writers, and with hostile content.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A child process stands for a writer that is killed. Each call that changes the disk goes through step(), which can
 * kill the process there, so that a push and a removal are cut at every point they have, not at a few lucky ones.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static long kill_at = -1, steps;

/* Only what a dying process cannot undo counts. */
static void step(void)
{
    if (kill_at >= 0 && steps++ == kill_at)
        raise(SIGKILL);
}

/* A write is cut in its middle. */
static ssize_t cut_write(int fd, const void *bytes, size_t size)
{
    if (kill_at >= 0 && steps == kill_at && write(fd, bytes, size / 2) >= 0)
        raise(SIGKILL);
    step();
    return write(fd, bytes, size);
}

#define write(fd, bytes, size) cut_write(fd, bytes, size)
#define openat(...)            (step(), openat(__VA_ARGS__))
#define mkdirat(a, b, c)       (step(), mkdirat(a, b, c))
#define renameat(a, b, c, d)   (step(), renameat(a, b, c, d))
#define unlinkat(a, b, c)      (step(), unlinkat(a, b, c))
#define fsync(a)               (step(), (void)(a), 0) /* a killed process loses nothing that was written */

#include "store/blobs.c"
#include "store/bundles.c"
#include "store/disk.c"
#include "store/find.c"
#include "store/push.c"
#include "store/remove.c"
#include "store/sweep.c"

#undef write
#undef openat
#undef mkdirat
#undef renameat
#undef unlinkat
#undef fsync

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/serin-bundles-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static struct bundles *open_store(void)
{
    struct bundles *bundles = NULL;
    struct serin_error error;

    if (bundles_open(dir, &bundles, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return bundles;
}

/* A push of name with content as its model. Needs no assertion to be right, so that a child may call it. */
static enum serin_errc push_text(struct bundles *bundles, const char *name, const char *content, char *digest,
                                 struct serin_error *error)
{
    struct bundle bundle = {.task = "detect", .architecture = "yolov8", .precision = "fp32", .class_count = 1};
    struct bundle_push push = {.model = content, .model_bytes = strlen(content), .description = &bundle};
    char class_names[] = "[ \"person\" ]", tensors[] = "[\"fp32[1]\"]", eval[] = "{\"map50\":1}";
    char ignored[BUNDLE_DIGEST_TEXT];

    bundle.class_names_json = class_names;
    bundle.inputs_json = bundle.outputs_json = tensors;
    bundle.eval_json = eval;
    if (version_name_parse(name, &bundle.name, error) != SERIN_OK)
        return SERIN_INVALID;
    return bundles_push(bundles, &push, digest ? digest : ignored, error);
}

static void must_push(struct bundles *bundles, const char *name, const char *content)
{
    struct serin_error error;

    if (push_text(bundles, name, content, NULL, &error) != SERIN_OK)
        fail_msg("%s", error.message);
}

/* How many versions there are; each must be whole. */
static size_t check_all(struct bundles *bundles)
{
    struct serin_error error;
    struct bundle *list = NULL;
    size_t count = 0, i;

    if (bundles_list(bundles, NULL, &list, &count, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    for (i = 0; i < count; i++) {
        char name[VERSION_MAX_NAME];

        assert_string_equal(list[i].problem, "");
        if (bundles_verify(bundles, version_name_text(&list[i].name, name), &error) != SERIN_OK)
            fail_msg("%s", error.message);
        bundle_done(&list[i]);
    }
    free(list);
    return count;
}

static size_t count_files(const char *folder)
{
    char path[200];
    const struct dirent *entry;
    size_t count = 0;
    DIR *listing;

    snprintf(path, sizeof(path), "%s/%s", dir, folder);
    listing = opendir(path);
    assert_non_null(listing);
    while ((entry = readdir(listing)))
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

/* ---- what it is for ---- */

static void what_was_pushed_is_found(void **state)
{
    struct bundles *bundles = open_store();
    char digest[BUNDLE_DIGEST_TEXT], path[300], name[200];
    struct serin_error error;
    struct bundle found;
    uint8_t *bytes;
    size_t size;

    (void)state;
    assert_int_equal(push_text(bundles, "m:v1.0.0-cpu", "weights", digest, NULL), SERIN_OK);
    assert_int_equal(bundles_find(bundles, "m:v1.0.0-cpu", &found, NULL), SERIN_OK);
    assert_string_equal(found.digest, digest);
    assert_string_equal(found.name.hardware, "cpu");
    assert_int_equal(found.model_bytes, 7);
    assert_string_equal(found.class_names_json, "[\"person\"]"); /* in our own form */
    assert_string_equal(found.eval_json, "{\"map50\":1}");
    assert_null(found.scan_json);
    assert_int_equal(strlen(found.created), strlen("2026-01-02T03:04:05Z"));
    assert_int_equal(bundles_model_path(bundles, &found, true, path, sizeof(path), NULL), SERIN_OK);
    assert_int_equal(disk_read(AT_FDCWD, path, 100, &bytes, &size, NULL), SERIN_OK);
    assert_string_equal((char *)bytes, "weights");
    free(bytes);
    assert_int_equal(bundles_model_path(bundles, &found, true, path, 20, NULL), SERIN_LIMIT);
    snprintf(name, sizeof(name), "m@%s", digest);
    bundle_done(&found);
    assert_int_equal(bundles_find(bundles, name, &found, NULL), SERIN_OK);
    assert_string_equal(found.name.tag, "v1.0.0-cpu");
    bundle_done(&found);
    name[0] = 'n';
    assert_int_equal(bundles_find(bundles, name, &found, NULL), SERIN_NOT_FOUND);
    assert_int_equal(bundles_find(bundles, "m@sha256:12", &found, NULL), SERIN_INVALID);
    assert_int_equal(bundles_find(bundles, "m:v1.0.1-cpu", &found, &error), SERIN_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean m:v1.0.0-cpu?"));
    bundles_close(bundles);
}

static void a_file_is_pushed_as_its_bytes_are(void **state)
{
    struct bundle bundle = {.task = "detect", .architecture = "yolov8", .precision = "fp32", .class_count = 1};
    struct bundle_push push = {.description = &bundle};
    char list[] = "[\"person\"]", tensors[] = "[\"fp32[1]\"]", eval[] = "{\"map50\":1}", path[100];
    char expected[BUNDLE_DIGEST_TEXT], digest[BUNDLE_DIGEST_TEXT];
    struct bundles *bundles = open_store();
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/model", dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("weights", file);
    fclose(file);
    push.model_path = path;
    bundle.class_names_json = list;
    bundle.inputs_json = bundle.outputs_json = tensors;
    bundle.eval_json = eval;
    assert_int_equal(push_text(bundles, "m:a", "weights", expected, NULL), SERIN_OK);
    assert_int_equal(version_name_parse("m:b", &bundle.name, NULL), SERIN_OK);
    assert_int_equal(bundles_push(bundles, &push, digest, NULL), SERIN_OK);
    assert_string_equal(digest, expected);
    push.model_path = dir;
    assert_int_equal(bundles_push(bundles, &push, digest, NULL), SERIN_INVALID);
    push.model_path = "/nowhere/model.onnx";
    assert_int_equal(bundles_push(bundles, &push, digest, NULL), SERIN_NOT_FOUND);
    push.model_path = path;
    list[0] = '{'; /* what cannot be read back is not stored */
    assert_int_equal(bundles_push(bundles, &push, digest, NULL), SERIN_CORRUPT);
    assert_int_equal(check_all(bundles), 2);
    assert_int_equal(count_files("tmp"), 0);
    bundles_close(bundles);
}

static void another_content_is_refused_with_both_digests(void **state)
{
    char first[BUNDLE_DIGEST_TEXT], second[BUNDLE_DIGEST_TEXT], again[BUNDLE_DIGEST_TEXT];
    struct bundles *bundles = open_store();
    struct serin_error error;
    size_t blobs;

    (void)state;
    assert_int_equal(push_text(bundles, "m:v1", "one", first, NULL), SERIN_OK);
    assert_int_equal(push_text(bundles, "other:v1", "two", second, NULL), SERIN_OK);
    blobs = count_files("blobs/sha256");
    assert_int_equal(push_text(bundles, "m:v1", "two", again, &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, first));
    assert_non_null(strstr(error.message, second));
    assert_int_equal(push_text(bundles, "m:v1", "three", again, &error), SERIN_INVALID);
    assert_int_equal(count_files("blobs/sha256"), blobs); /* a refused push leaves nothing */
    assert_int_equal(count_files("tmp"), 0);
    assert_int_equal(push_text(bundles, "m:v1", "one", again, NULL), SERIN_OK);
    assert_string_equal(again, first);
    assert_int_equal(check_all(bundles), 2);
    bundles_close(bundles);
}

static void what_is_in_use_stays(void **state)
{
    struct bundles *bundles = open_store();
    struct serin_error error;
    struct bundle found;

    (void)state;
    must_push(bundles, "m:v1", "one");
    assert_int_equal(bundles_set_in_use(bundles, "m:v2", true, NULL), SERIN_NOT_FOUND);
    assert_int_equal(bundles_set_in_use(bundles, "../m:v1", true, NULL), SERIN_INVALID);
    assert_int_equal(bundles_set_in_use(bundles, "m:v1", true, NULL), SERIN_OK);
    assert_int_equal(bundles_set_in_use(bundles, "m:v1", true, NULL), SERIN_OK);
    assert_int_equal(bundles_remove(bundles, "m:v1", &error), SERIN_INVALID);
    assert_non_null(strstr(error.message, "in use"));
    assert_int_equal(bundles_find(bundles, "m:v1", &found, NULL), SERIN_OK);
    assert_true(found.in_use);
    bundle_done(&found);
    assert_int_equal(bundles_set_in_use(bundles, "m:v1", false, NULL), SERIN_OK);
    assert_int_equal(bundles_set_in_use(bundles, "m:v1", false, NULL), SERIN_OK);
    assert_int_equal(bundles_remove(bundles, "m:v1", NULL), SERIN_OK);
    assert_int_equal(bundles_remove(bundles, "m:v1", NULL), SERIN_NOT_FOUND);
    assert_int_equal(count_files("blobs/sha256"), 0);
    bundles_close(bundles);
}

/* ---- kills ---- */

enum deed { DEED_PUSH, DEED_PUSH_SECOND, DEED_REMOVE };

/* Does it in a child that is killed at the given step. True: it was killed, false: there are not as many steps. */
static bool do_and_die(enum deed deed, long at)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct bundles *bundles = NULL;
        enum serin_errc rc;

        kill_at = at;
        rc = bundles_open(dir, &bundles, NULL);
        if (rc == SERIN_OK && deed == DEED_REMOVE)
            rc = bundles_remove(bundles, "m:v1", NULL);
        else if (rc == SERIN_OK)
            rc = push_text(bundles, deed == DEED_PUSH ? "m:v1" : "m:v2", deed == DEED_PUSH ? "one" : "two", NULL, NULL);
        _exit(rc == SERIN_OK ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void a_push_killed_anywhere_leaves_a_good_store(void **state)
{
    static const enum deed deeds[] = {DEED_PUSH, DEED_PUSH_SECOND}; /* into nothing, and beside another */
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(deeds); i++) {
        struct bundles *bundles;
        bool killed = true, seen_without = false, seen_with = false;
        long at;

        for (at = 0; killed; at++) {
            size_t count;

            assert_int_equal(remove_dir(NULL), 0);
            if (deeds[i] == DEED_PUSH_SECOND) {
                bundles = open_store();
                must_push(bundles, "m:v1", "one");
                bundles_close(bundles);
            }
            killed = do_and_die(deeds[i], at);
            bundles = open_store();
            count = check_all(bundles);
            assert_in_range(count, i, i + 1);
            *(count == i ? &seen_without : &seen_with) = true;
            assert_true(killed || count == i + 1);
            must_push(bundles, "m:v1", "one"); /* and it goes on */
            must_push(bundles, "m:v2", "two");
            assert_int_equal(check_all(bundles), 2);
            assert_int_equal(count_files("tmp"), 0);
            bundles_close(bundles);
        }
        assert_true(seen_without && seen_with && at > 30);
    }
}

/* The killed push is not pushed again, so that what it left stays without a name. */
static void what_a_killed_push_left_goes_with_the_next_one(void **state)
{
    bool killed = true, left_any = false;
    size_t blobs;
    long at;

    (void)state;
    for (at = 0; killed; at++) {
        struct bundles *bundles = open_store();

        must_push(bundles, "m:v1", "one");
        blobs = count_files("blobs/sha256");
        killed = do_and_die(DEED_PUSH_SECOND, at);
        if (check_all(bundles) == 1) {
            left_any |= count_files("blobs/sha256") > blobs;
            must_push(bundles, "m:v1", "one");
            assert_int_equal(count_files("blobs/sha256"), blobs);
        }
        bundles_close(bundles);
        assert_int_equal(remove_dir(NULL), 0);
    }
    assert_true(left_any);
}

static void a_removal_killed_anywhere_leaves_a_good_store(void **state)
{
    bool killed = true;
    long at;

    (void)state;
    for (at = 0; killed; at++) {
        struct bundles *bundles = open_store();
        size_t count;

        must_push(bundles, "m:v1", "one");
        must_push(bundles, "m:v2", "two");
        bundles_close(bundles);
        killed = do_and_die(DEED_REMOVE, at);
        bundles = open_store();
        count = check_all(bundles);
        assert_in_range(count, 1, 2);
        assert_true(killed || count == 1);
        must_push(bundles, "m:v1", "one"); /* and what was left goes */
        assert_int_equal(bundles_remove(bundles, "m:v1", NULL), SERIN_OK);
        assert_int_equal(bundles_remove(bundles, "m:v2", NULL), SERIN_OK);
        assert_int_equal(count_files("blobs/sha256"), 0);
        bundles_close(bundles);
    }
    assert_true(at > 5);
}

/* A child pushes without an end, and is killed whenever it has told of some pushes. */
static void fifty_writers_are_killed(void **state)
{
    unsigned seed = 20261122;
    int round;

    (void)state;
    for (round = 0; round < 50; round++) {
        int pipe_fds[2], told, status, i;
        struct bundles *bundles;
        char byte;
        pid_t child;

        seed = seed * 1103515245 + 12345;
        told = (int)(seed >> 16) % 4;
        assert_int_equal(pipe(pipe_fds), 0);
        child = fork();
        if (child == 0) {
            bundles = NULL;
            if (bundles_open(dir, &bundles, NULL) != SERIN_OK)
                _exit(1);
            for (i = 0; i < 1000; i++) { /* bounded, should nobody kill it */
                char name[40];

                snprintf(name, sizeof(name), "m:r%d-%d", round, i);
                if (push_text(bundles, name, name, NULL, NULL) != SERIN_OK || write(pipe_fds[1], "x", 1) != 1)
                    _exit(1);
            }
            _exit(0);
        }
        assert_true(child > 0);
        close(pipe_fds[1]);
        for (i = 0; i < told; i++)
            assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
        kill(child, SIGKILL);
        close(pipe_fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        bundles = open_store();
        for (i = 0; i < told; i++) { /* what was told of is there */
            struct bundle found;
            char name[40];

            snprintf(name, sizeof(name), "m:r%d-%d", round, i);
            assert_int_equal(bundles_find(bundles, name, &found, NULL), SERIN_OK);
            bundle_done(&found);
        }
        if (round % 10 == 9)
            assert_true(check_all(bundles) > 0);
        bundles_close(bundles);
    }
}

/* ---- several writers ---- */

#define WRITERS 4
#define EACH    8

/* Forks WRITERS children that push; returns how many pushes went well. same: all of them one tag, with own content. */
static int push_from_several(bool same)
{
    pid_t children[WRITERS];
    int good = 0, i;

    for (i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct bundles *bundles = NULL;
            int k, done = 0;

            if (bundles_open(dir, &bundles, NULL) != SERIN_OK)
                _exit(100);
            for (k = 0; k < (same ? 1 : EACH); k++) {
                char name[40], content[40];

                snprintf(name, sizeof(name), same ? "m:v1" : "m:w%d-%d", i, k);
                snprintf(content, sizeof(content), "content %d", same ? i : 0);
                done += push_text(bundles, name, content, NULL, NULL) == SERIN_OK;
            }
            _exit(done);
        }
        assert_true(children[i] > 0);
    }
    for (i = 0; i < WRITERS; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 100);
        good += WEXITSTATUS(status);
    }
    return good;
}

static void several_writers_are_all_listed(void **state)
{
    struct bundles *bundles;

    (void)state;
    assert_int_equal(push_from_several(false), WRITERS * EACH); /* into a folder that is no store yet */
    bundles = open_store();
    assert_int_equal(check_all(bundles), WRITERS * EACH);
    bundles_close(bundles);
}

static void of_several_contents_one_gets_the_tag(void **state)
{
    struct bundles *bundles;

    (void)state;
    assert_int_equal(push_from_several(true), 1);
    bundles = open_store();
    assert_int_equal(check_all(bundles), 1);
    bundles_close(bundles);
}

/* ---- hostile content ---- */

/* Writes DIR/name anew. */
static void put(const char *name, const char *text)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_list(struct bundles *bundles, enum serin_errc code, const char *words)
{
    struct serin_error error = {.code = SERIN_OK};
    struct bundle *list = NULL;
    size_t count;

    if (bundles_list(bundles, NULL, &list, &count, &error) != code || !strstr(error.message, words))
        fail_msg("%d, \"%s\" instead of \"%s\"", error.code, error.message, words);
    assert_int_not_equal(push_text(bundles, "m:new", "new", NULL, NULL), SERIN_OK);
    assert_int_not_equal(bundles_remove(bundles, "m:v1", NULL), SERIN_OK);
}

static void hostile_indexes_are_refused(void **state)
{
    struct bundles *bundles = open_store();
    char path[100];
    int fd;

    (void)state;
    must_push(bundles, "m:v1", "one");
    put("index.json", "garbage");
    expect_list(bundles, SERIN_CORRUPT, "no JSON");
    put("index.json", "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a\",\"digest\":\"sha256:../../../x\","
                      "\"size\":1}]}");
    expect_list(bundles, SERIN_CORRUPT, "../../../x");
    snprintf(path, sizeof(path), "%s/index.json", dir);
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    expect_list(bundles, SERIN_CORRUPT, "symbolic link");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_list(bundles, SERIN_CORRUPT, "not a regular file");
    unlink(path);
    fd = open(path, O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)INDEX_MAX_BYTES + 1), 0);
    close(fd);
    expect_list(bundles, SERIN_LIMIT, "the limit is");
    bundles_close(bundles);
}

/* An index with m:v1 that points at these bytes as its manifest. */
static void craft(struct bundles *bundles, const char *manifest, size_t size, long long told_size)
{
    struct blob_draft draft;
    char index[600];

    assert_int_equal(blobs_draft_bytes(&bundles->blobs, 0, manifest, size, &draft, NULL), SERIN_OK);
    assert_int_equal(blobs_keep(&bundles->blobs, &draft, NULL), SERIN_OK);
    snprintf(index, sizeof(index),
             "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld,"
             "\"annotations\":{\"org.opencontainers.image.ref.name\":\"m:v1\"}}]}",
             MEDIA_TYPE_MANIFEST, draft.digest, told_size);
    put("index.json", index);
}

static void expect_problem(struct bundles *bundles, enum serin_errc code, const char *words)
{
    struct serin_error error = {.code = SERIN_OK};
    struct bundle *list = NULL, found;
    size_t count;

    if (bundles_find(bundles, "m:v1", &found, &error) != code || !strstr(error.message, words))
        fail_msg("%d, \"%s\" instead of \"%s\"", error.code, error.message, words);
    assert_int_equal(bundles_list(bundles, NULL, &list, &count, NULL), SERIN_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].problem, error.message);
    assert_string_equal(list[0].class_names_json, "[]");
    bundle_done(&list[0]);
    free(list);
    assert_int_not_equal(bundles_verify(bundles, "m:v1", NULL), SERIN_OK);
}

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MANIFEST_OF(type, digest, size)                                                                                \
    "{\"schemaVersion\":2,\"artifactType\":\"" MEDIA_TYPE_MODEL                                                        \
    "\",\"config\":{\"mediaType\":\"a\",\"digest\":\"sha256:" HEX "\",\"size\":1},\"layers\":[{\"mediaType\":\"" type  \
    "\",\"digest\":\"" digest "\",\"size\":" size ",\"annotations\":{\"org.cncf.model.filepath\":\"model.onnx\"}}]}"

static void hostile_manifests_are_refused(void **state)
{
    static const struct {
        const char *manifest, *words;
        long long size_lie;
        enum serin_errc code;
    } cases[] = {
        {"{}", "its descriptor says 3", 1, SERIN_CORRUPT},
        {"{}", "its descriptor says 1", -1, SERIN_CORRUPT},
        {"{}", "the limit is 4194304", 1LL << 40, SERIN_LIMIT},
        {"garbage", "no JSON", 0, SERIN_CORRUPT},
        {MANIFEST_OF(MEDIA_TYPE_WEIGHT, "sha256:../../../etc/passwd", "1"), "../../../etc/passwd", 0, SERIN_CORRUPT},
        {MANIFEST_OF(MEDIA_TYPE_WEIGHT, "sha256:" HEX, "1"), "blob: " HEX, 0, SERIN_NOT_FOUND},
        {MANIFEST_OF(MEDIA_TYPE_WEIGHT, "sha256:" HEX, "4611686018427387904"), "the limit is 1073741824", 0,
         SERIN_LIMIT},
        {MANIFEST_OF("application/octet-stream", "sha256:" HEX, "1"), "no bundle of Serin", 0, SERIN_UNSUPPORTED},
    };
    struct bundles *bundles = open_store();
    char *large;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        size_t size = strlen(cases[i].manifest);

        craft(bundles, cases[i].manifest, size, (long long)size + cases[i].size_lie);
        expect_problem(bundles, cases[i].code, cases[i].words);
    }
    large = calloc(1, MANIFEST_MAX_BYTES + 1);
    assert_non_null(large);
    craft(bundles, large, MANIFEST_MAX_BYTES + 1, MANIFEST_MAX_BYTES + 1);
    free(large);
    expect_problem(bundles, SERIN_LIMIT, "the limit is 4194304");
    assert_int_equal(bundles_remove(bundles, "m:v1", NULL), SERIN_OK); /* and such a thing can be removed */
    assert_int_equal(check_all(bundles), 0);
    bundles_close(bundles);
}

static void linked_blobs_are_refused(void **state)
{
    struct bundles *bundles = open_store();
    char path[300], away[300];
    struct bundle found;

    (void)state;
    must_push(bundles, "m:v1", "one");
    assert_int_equal(bundles_find(bundles, "m:v1", &found, NULL), SERIN_OK);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, found.digest + 7);
    snprintf(away, sizeof(away), "%s/away", dir);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink(away, path), 0); /* the content is right, and yet it is a link */
    expect_problem(bundles, SERIN_CORRUPT, "symbolic link");
    unlink(path);
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(check_all(bundles), 1);
    bundle_done(&found);
    assert_int_equal(bundles_find(bundles, "m:v1", &found, NULL), SERIN_OK);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, found.model_digest + 7);
    unlink(path);
    assert_int_equal(mkdir(path, 0755), 0);
    expect_problem(bundles, SERIN_CORRUPT, "not a regular file");
    rmdir(path);
    expect_problem(bundles, SERIN_NOT_FOUND, "m:v1: blob");
    bundle_done(&found);
    bundles_close(bundles);
    snprintf(path, sizeof(path), "%s/blobs", dir);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink(away, path), 0);
    bundles = NULL;
    assert_int_equal(bundles_open(dir, &bundles, NULL), SERIN_CORRUPT);
    assert_null(bundles);
}

static void a_damaged_model_is_found(void **state)
{
    struct bundles *bundles = open_store();
    struct serin_error error;
    struct bundle found;
    char path[300];

    (void)state;
    must_push(bundles, "m:v1", "weights");
    assert_int_equal(bundles_find(bundles, "m:v1", &found, NULL), SERIN_OK);
    assert_int_equal(bundles_model_path(bundles, &found, true, path, sizeof(path), NULL), SERIN_OK);
    put(path + strlen(dir) + 1, "wEights");
    assert_int_equal(bundles_model_path(bundles, &found, false, path, sizeof(path), NULL), SERIN_OK);
    assert_int_equal(bundles_model_path(bundles, &found, true, path, sizeof(path), &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "damaged"));
    put(path + strlen(dir) + 1, "weight");
    assert_int_equal(bundles_model_path(bundles, &found, false, path, sizeof(path), NULL), SERIN_CORRUPT);
    put("tmp/stale", "of a writer that was killed");
    must_push(bundles, "m:v1", "weights"); /* the same content again mends it */
    assert_int_equal(count_files("tmp"), 0);
    assert_int_equal(bundles_model_path(bundles, &found, true, path, sizeof(path), NULL), SERIN_OK);
    memcpy(found.model_digest, "sha256:../../x", 15);
    assert_int_equal(bundles_model_path(bundles, &found, false, path, sizeof(path), NULL), SERIN_INVALID);
    bundle_done(&found);
    bundles_close(bundles);
}

/* The change is valid JSON of the same size: only the digest tells. */
static void a_forged_description_is_found(void **state)
{
    struct bundles *bundles = open_store();
    char path[300], command[400];

    (void)state;
    must_push(bundles, "m:v1", "weights");
    snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
    snprintf(command, sizeof(command), "chmod u+w '%s'/* && sed -i 's/person/parson/' '%s'/*", path, path);
    assert_int_equal(system(command), 0);
    expect_problem(bundles, SERIN_CORRUPT, "is damaged");
    bundles_close(bundles);
}

static void other_layouts_are_refused(void **state)
{
    struct bundles *bundles = NULL;
    struct serin_error error;
    char path[100];

    (void)state;
    put("oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    assert_int_equal(bundles_open(dir, &bundles, &error), SERIN_CORRUPT);
    put("oci-layout", "garbage");
    assert_int_equal(bundles_open(dir, &bundles, NULL), SERIN_CORRUPT);
    snprintf(path, sizeof(path), "%s/oci-layout", dir);
    unlink(path);
    put("index.json", "{}");
    assert_int_equal(bundles_open(dir, &bundles, &error), SERIN_CORRUPT);
    assert_non_null(strstr(error.message, "oci-layout"));
    snprintf(path, sizeof(path), "%s/index.json", dir);
    assert_int_equal(bundles_open(path, &bundles, NULL), SERIN_IO); /* a file */
    assert_null(bundles);
}

#define ON_A_STORE(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_STORE(what_was_pushed_is_found),
        ON_A_STORE(a_file_is_pushed_as_its_bytes_are),
        ON_A_STORE(another_content_is_refused_with_both_digests),
        ON_A_STORE(what_is_in_use_stays),
        ON_A_STORE(a_push_killed_anywhere_leaves_a_good_store),
        ON_A_STORE(what_a_killed_push_left_goes_with_the_next_one),
        ON_A_STORE(a_removal_killed_anywhere_leaves_a_good_store),
        ON_A_STORE(fifty_writers_are_killed),
        ON_A_STORE(several_writers_are_all_listed),
        ON_A_STORE(of_several_contents_one_gets_the_tag),
        ON_A_STORE(hostile_indexes_are_refused),
        ON_A_STORE(hostile_manifests_are_refused),
        ON_A_STORE(linked_blobs_are_refused),
        ON_A_STORE(a_damaged_model_is_found),
        ON_A_STORE(a_forged_description_is_found),
        ON_A_STORE(other_layouts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
