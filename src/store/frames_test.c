/*
 * frames_test.c - the most different frames are kept, of every camera, within the limits; answers count once; what is
 * deleted is gone from the disk. SPDX-License-Identifier: Apache-2.0
 */
#include "store/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_MS ((int64_t)3600000)

static char folder[64], path[96], seen[512];
static struct frames *frames;
static struct frames_limits limits;
static struct serin_error error;

static int begin(void **unused)
{
    (void)unused;
    strcpy(folder, "/tmp/serin-frames-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/frames.db", folder);
    limits = (struct frames_limits){.count = 4, .bytes = 1 << 20, .retention_ms = HOUR_MS};
    return frames_open(path, &frames, &error) == SERIN_OK ? 0 : -1;
}

static int end(void **unused)
{
    char command[128];

    (void)unused;
    frames_close(frames);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command); /* NOLINT: a folder of our own naming */
}

/* A frame of rollout m-1 at a second of its own, so that it has no neighbour; false: it was not kept. */
static bool put_picture(const char *camera, double difference, int64_t time_ms, const char *picture, size_t size)
{
    const struct kept_frame frame = {.rollout = "m-1",
                                     .model = "m",
                                     .stable = "v1",
                                     .canary = "v2",
                                     .request_id = "r",
                                     .camera = camera,
                                     .slices = "light=dark\n",
                                     .boxes = "{}",
                                     .type = "image/jpeg",
                                     .attempt = 1,
                                     .width = 640,
                                     .height = 480,
                                     .time_ms = time_ms,
                                     .difference = difference,
                                     .picture_bytes = size};
    bool kept = false;

    if (frames_put(frames, &frame, picture, &limits, &kept, &error) != SERIN_OK)
        fail_msg("%s", error.message);
    return kept;
}

static int64_t clock_ms;

static bool put(const char *camera, double difference)
{
    clock_ms += 2 * FRAMES_GAP_MS;
    return put_picture(camera, difference, clock_ms, "picture", 7);
}

static void note(void *user, const struct kept_frame *frame)
{
    size_t used = strlen(seen);

    (void)user;
    snprintf(seen + used, sizeof(seen) - used, "%s%lld:%s %g%s%s", used ? ", " : "", (long long)frame->number,
             frame->camera, frame->difference,
             frame->state == FRAME_OPEN    ? ""
             : frame->state == FRAME_GIVEN ? " ?"
                                           : " !",
             frame->right);
}

static const char *list(bool open_only, int from, int limit)
{
    seen[0] = '\0';
    assert_int_equal(frames_each(frames, "m-1", open_only, from, limit, note, NULL, &error), SERIN_OK);
    return seen;
}

static void the_most_different_are_kept(void **unused)
{
    (void)unused;
    assert_true(put("a", 1) && put("a", 3) && put("a", 2) && put("a", 5));
    assert_string_equal(list(false, 0, 10), "4:a 5, 2:a 3, 3:a 2, 1:a 1");
    assert_false(put("a", .5));
    assert_false(put("a", 1));
    assert_true(put("a", 4));
    assert_string_equal(list(false, 0, 10), "4:a 5, 5:a 4, 2:a 3, 3:a 2");
    assert_string_equal(list(false, 1, 2), "5:a 4, 2:a 3");
}

static void no_camera_fills_the_room_of_others(void **unused)
{
    (void)unused;
    assert_true(put("loud", 10) && put("loud", 11) && put("loud", 12) && put("loud", 13));
    assert_true(put("quiet", .1)); /* for the loud one's least */
    assert_true(put("quiet", .2));
    assert_string_equal(list(false, 0, 10), "4:loud 13, 3:loud 12, 6:quiet 0.2, 5:quiet 0.1");
    assert_true(put("loud", 14)); /* its own least goes, and no other's */
    assert_true(put("quiet", .3));
    assert_string_equal(list(false, 0, 10), "7:loud 14, 4:loud 13, 8:quiet 0.3, 6:quiet 0.2");
    assert_false(put("loud", 9));
    assert_true(put("third", .2));
    assert_true(put("fourth", .1));
    assert_string_equal(list(false, 0, 10), "7:loud 14, 8:quiet 0.3, 9:third 0.2, 10:fourth 0.1");
    assert_false(put("fifth", .05)); /* now all have as many: the least different of all stays out */
    assert_true(put("fifth", .15));
    assert_string_equal(list(false, 0, 10), "7:loud 14, 8:quiet 0.3, 9:third 0.2, 11:fifth 0.15");
}

static void one_scene_is_kept_once(void **unused)
{
    (void)unused;
    assert_true(put_picture("a", 1, 100000, "p", 1));
    assert_false(put_picture("a", .9, 100000 + FRAMES_GAP_MS - 1, "p", 1));
    assert_true(put_picture("b", .9, 100000 + 1, "p", 1));
    assert_true(put_picture("a", 1.5, 100000 + FRAMES_GAP_MS - 1, "p", 1));
    assert_string_equal(list(false, 0, 10), "3:a 1.5, 2:b 0.9");
    assert_true(put_picture("a", .1, 100000 + 2 * FRAMES_GAP_MS, "p", 1));
    assert_int_equal(frames_judge(frames, 3, "both", "ann", 1, &error), SERIN_OK);
    assert_false(put_picture("a", 9, 100000 + FRAMES_GAP_MS - 2, "p", 1)); /* somebody has judged that scene */
}

static void bytes_are_bounded(void **unused)
{
    char *picture = calloc(1, FRAMES_MAX_PICTURE + 1);
    struct kept_frame large = {.rollout = "m-1", .picture_bytes = FRAMES_MAX_PICTURE + 1};
    struct frames_sum sum;
    bool kept;

    (void)unused;
    assert_non_null(picture);
    limits.bytes = 1000;
    assert_true(put_picture("a", 1, 10000, picture, 400) && put_picture("a", 2, 20000, picture, 400));
    assert_true(put_picture("a", 3, 30000, picture, 700)); /* for both */
    assert_string_equal(list(false, 0, 10), "3:a 3");
    assert_false(put_picture("a", 9, 40000, picture, 1001)); /* and takes nobody's place */
    assert_string_equal(list(false, 0, 10), "3:a 3");
    assert_int_equal(frames_sum(frames, "m-1", &sum, &error), SERIN_OK);
    assert_true(sum.count == 1 && sum.open == 1 && sum.bytes == 700);
    assert_int_equal(frames_put(frames, &large, picture, &limits, &kept, &error), SERIN_LIMIT);
    free(picture);
}

static void an_answer_counts_once(void **unused)
{
    (void)unused;
    assert_true(put("a", 3) && put("a", 2) && put("a", 1));
    assert_int_equal(frames_judge(frames, 1, "stable", "ann", 1000, &error), SERIN_OK);
    assert_int_equal(frames_judge(frames, 1, "canary", "bob", 2000, &error), SERIN_OK); /* changed in time */
    assert_int_equal(frames_judge(frames, 2, "both", "ann", 3000, &error), SERIN_OK);
    assert_int_equal(frames_judge(frames, 9, "both", "ann", 3000, &error), SERIN_NOT_FOUND);
    assert_string_equal(list(true, 0, 10), "3:a 1");
    seen[0] = '\0';
    assert_int_equal(frames_settle(frames, NULL, 1999, 0, note, NULL, &error), SERIN_OK);
    assert_int_equal(frames_settle(frames, "m-2", 9999, 0, note, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "");
    assert_int_equal(frames_settle(frames, "m-1", 9999, 2, note, NULL, &error), SERIN_OK);
    assert_int_equal(frames_settle(frames, "m-1", 9999, 2, note, NULL, &error), SERIN_OK); /* once */
    assert_string_equal(seen, "1:a 3 !canary");
    assert_int_equal(frames_judge(frames, 1, "stable", "ann", 4000, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "bob has said 'canary' of frame 1"));
    frames_close(frames); /* and it all survives */
    assert_int_equal(frames_open(path, &frames, &error), SERIN_OK);
    assert_string_equal(list(false, 0, 10), "1:a 3 !canary, 2:a 2 ?both, 3:a 1");
    seen[0] = '\0';
    assert_int_equal(frames_settle(frames, NULL, 3000, 0, note, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "2:a 2 !both");
    limits.count = 3; /* what has been counted goes first, whatever it differs by */
    assert_true(put("a", .5));
    assert_string_equal(list(false, 0, 10), "2:a 2 !both, 3:a 1, 4:a 0.5");
}

/* All frames here are of request "r". */
static void what_feedback_has_told_asks_nobody(void **unused)
{
    (void)unused;
    assert_true(put("a", 2));
    assert_true(put("b", 1));
    assert_int_equal(frames_judge(frames, 1, "both", "ann", 1000, &error), SERIN_OK);
    assert_int_equal(frames_mark_told(frames, "m-2", "r", 2000, &error), SERIN_OK);
    assert_int_equal(frames_mark_told(frames, "m-1", "another", 2000, &error), SERIN_OK);
    assert_string_equal(list(true, 0, 10), "2:b 1");
    assert_int_equal(frames_mark_told(frames, "m-1", "r", 2000, &error), SERIN_OK);
    assert_string_equal(list(true, 0, 10), "");
    assert_string_equal(list(false, 0, 10), "1:a 2 ?both, 2:b 1 !");
    assert_int_equal(frames_judge(frames, 2, "stable", "ann", 3000, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "feedback has told what is right of frame 2"));
    seen[0] = '\0';
    assert_int_equal(frames_settle(frames, NULL, 9000, 0, note, NULL, &error), SERIN_OK);
    assert_string_equal(seen, "1:a 2 !both"); /* a person's word goes its way */
}

static bool is_on_disk(const char *text)
{
    static const char *const ends[] = {"", "-journal"};
    char name[128], bytes[1 << 18];
    bool found = false;
    size_t i;

    for (i = 0; i < 2; i++) {
        FILE *file;
        size_t size;

        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        file = fopen(name, "rb");
        if (!file)
            continue;
        size = fread(bytes, 1, sizeof(bytes), file);
        found = found || memmem(bytes, size, text, strlen(text));
        fclose(file);
    }
    return found;
}

static void what_is_deleted_is_gone(void **unused)
{
    static const char *const pictures[] = {"FACE-ONE", "FACE-TWO", "FACE-SIX"};
    int count, i;

    (void)unused;
    for (i = 0; i < 3; i++)
        assert_true(put_picture("a", 1, (i + 1) * HOUR_MS, pictures[i], 8));
    for (i = 0; i < 3; i++)
        assert_true(is_on_disk(pictures[i]));
    assert_int_equal(frames_expire(frames, 2 * HOUR_MS - 1, &count, &error), SERIN_OK);
    assert_int_equal(count, 0);
    assert_int_equal(frames_expire(frames, 2 * HOUR_MS, &count, &error), SERIN_OK);
    assert_int_equal(count, 1);
    assert_false(is_on_disk("FACE-ONE"));
    assert_true(is_on_disk("FACE-TWO"));
    assert_int_equal(frames_remove(frames, 2, NULL, &error), SERIN_OK);
    assert_int_equal(frames_remove(frames, 2, NULL, &error), SERIN_NOT_FOUND);
    assert_false(is_on_disk("FACE-TWO"));
    assert_int_equal(frames_remove_version(frames, "m", "v3", &count, &error), SERIN_OK);
    assert_int_equal(count, 0);
    assert_int_equal(frames_remove_version(frames, "m", "v1", &count, &error), SERIN_OK);
    assert_int_equal(count, 1);
    assert_false(is_on_disk("FACE-SIX"));
    assert_true(put("a", 1));
    assert_int_equal(frames_remove_rollout(frames, "m-1", &count, &error), SERIN_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list(false, 0, 10), "");
}

static void only_the_owner_may_read(void **unused)
{
    static const char *const ends[] = {"", "-journal"};
    char name[128];
    struct stat found;
    size_t i;

    (void)unused;
    assert_true(put("a", 1));
    for (i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        assert_int_equal(stat(name, &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_most_different_are_kept, begin, end),
        cmocka_unit_test_setup_teardown(no_camera_fills_the_room_of_others, begin, end),
        cmocka_unit_test_setup_teardown(one_scene_is_kept_once, begin, end),
        cmocka_unit_test_setup_teardown(bytes_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_counts_once, begin, end),
        cmocka_unit_test_setup_teardown(what_feedback_has_told_asks_nobody, begin, end),
        cmocka_unit_test_setup_teardown(what_is_deleted_is_gone, begin, end),
        cmocka_unit_test_setup_teardown(only_the_owner_may_read, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
