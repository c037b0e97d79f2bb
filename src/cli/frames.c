/*
 * frames.c - serin frames: the frames on which a rollout's versions differ, and a person's word on which is right.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/admin_call.h"
#include "cli/json_answer.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE 200

struct frames_settings {
    const char *admin, *save;
    int output;
    bool open;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(frames_settings),
    {.name = "output",
     .letter = 'o',
     .value = "table|json|yaml",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct frames_settings, output),
     .help = "lines for people, or what the admin API says, as JSON or YAML"},
    {.name = "open",
     .type = CLI_FLAG,
     .offset = offsetof(struct frames_settings, open),
     .help = "list: only those that nobody has judged"},
    {.name = "save",
     .value = "FILE",
     .type = CLI_TEXT,
     .offset = offsetof(struct frames_settings, save),
     .help = "show: write the picture there; only you may read it"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin frames list street-person", "the newest rollout's, the most different first"},
    {"serin frames show 12 --save frame.jpg", "what both versions said, and the picture"},
    {"serin frames judge 12 canary", "the new version is right: or stable, both, neither"},
    {"serin frames rm street-person-1", "delete a rollout's frames; or one, by its number"},
    {0},
};

static int fail(const struct serin_error *error)
{
    terminal_complain("frames: %s", error->message);
    return CLI_FAILED;
}

static void print_row(FILE *out, const json_t *frame)
{
    const json_t *boxes = json_object_get(frame, "boxes");
    time_t seconds = (time_t)(integer_of(frame, "time_ms") / 1000);
    char when[32] = "";
    struct tm at;

    if (localtime_r(&seconds, &at))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &at);
    fprintf(out, "%6lld  %s  %8.2f  %6zu  %6zu  %-8s ", (long long)integer_of(frame, "number"), when,
            json_number_value(json_object_get(frame, "difference")), json_array_size(json_object_get(boxes, "stable")),
            json_array_size(json_object_get(boxes, "canary")), text_of(frame, "right"));
    terminal_text(out, text_of(frame, "camera"));
    putc('\n', out);
}

static void print_list(FILE *out, const json_t *list)
{
    const json_t *frame;
    size_t i;

    if (integer_of(list, "keep") == 0 && integer_of(list, "kept") == 0) {
        fprintf(out, "%s keeps no frames: its plan has no frames: {keep: 200}\n", text_of(list, "rollout"));
        return;
    }
    fprintf(out, "%s: %s against %s, %lld of at most %lld frames, %lld not judged\n", text_of(list, "rollout"),
            text_of(list, "canary"), text_of(list, "stable"), (long long)integer_of(list, "kept"),
            (long long)integer_of(list, "keep"), (long long)integer_of(list, "open"));
    fputs("number  time                 differs  stable  canary  right    camera\n", out);
    json_array_foreach(json_object_get(list, "frames"), i, frame)
    {
        print_row(out, frame);
    }
}

static void print_boxes(FILE *out, const json_t *frame, const char *arm)
{
    const json_t *box;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(frame, "boxes"), arm), i, box)
    {
        fprintf(out, "  %s  ", arm);
        terminal_text(out, text_of(box, "name"));
        fprintf(out, " %.2f%s\n", json_number_value(json_object_get(box, "confidence")),
                json_is_true(json_object_get(box, "alone")) ? "  alone" : "");
    }
}

static void print_frame(FILE *out, const json_t *frame)
{
    fputs("number  time                 differs  stable  canary  right    camera\n", out);
    print_row(out, frame);
    print_boxes(out, frame, "stable");
    print_boxes(out, frame, "canary");
    if (strcmp(text_of(frame, "state"), "given") == 0)
        fputs("It counts in ten seconds, or with the next answer; until then it may be changed.\n", out);
}

/* ---- verbs ---- */

static int list(const struct frames_settings *settings, const char *rollout)
{
    char path[ADMIN_MAX_PATH], suffix[64];
    struct serin_error error;
    json_t *answer = NULL;
    enum serin_errc rc;

    snprintf(suffix, sizeof(suffix), "/frames?limit=%d&open=%d", PAGE, settings->open);
    rc = admin_path(path, "/api/v1/rollouts/", rollout, suffix, &error);
    if (rc == SERIN_OK)
        rc = admin_call(admin_address(settings->admin), "GET", path, NULL, ADMIN_TIMEOUT_MS, &answer, &error);
    if (rc != SERIN_OK)
        return fail(&error);
    json_answer_print(settings->output, answer, print_list);
    json_decref(answer);
    return CLI_OK;
}

/* A new file that nobody else may read: it shows what a camera saw. */
static enum serin_errc save(const char *path, const struct bytes *picture, struct serin_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t written = 0;

    if (fd < 0)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    while (written < picture->size) {
        ssize_t n = write(fd, picture->data + written, picture->size - written);

        if (n < 0 && errno != EINTR)
            break;
        written += n > 0 ? (size_t)n : 0;
    }
    if (written < picture->size || close(fd) != 0)
        return error_set(error, SERIN_IO, "%s: %s", path, strerror(errno));
    return SERIN_OK;
}

static enum serin_errc fetch(const struct frames_settings *settings, const char *number, struct serin_error *error)
{
    char path[ADMIN_MAX_PATH];
    struct bytes *picture = NULL;
    enum serin_errc rc = admin_path(path, "/api/v1/frames/", number, "/picture", error);

    if (rc == SERIN_OK)
        rc = admin_fetch(admin_address(settings->admin), path, ADMIN_TIMEOUT_MS, &picture, error);
    if (rc == SERIN_OK)
        rc = save(settings->save, picture, error);
    bytes_drop(picture);
    return rc;
}

/* One frame: GET, or POST of a body. */
static int one(const struct frames_settings *settings, const char *number, const char *right)
{
    char path[ADMIN_MAX_PATH], body[128];
    struct serin_error error;
    json_t *answer = NULL;
    enum serin_errc rc = admin_path(path, "/api/v1/frames/", number, right ? "/judge" : "", &error);

    snprintf(body, sizeof(body), "{\"right\": \"%s\"}", right ? right : "");
    if (rc == SERIN_OK)
        rc = admin_call(admin_address(settings->admin), right ? "POST" : "GET", path, right ? body : NULL,
                        ADMIN_TIMEOUT_MS, &answer, &error);
    if (rc == SERIN_OK && !right && settings->save)
        rc = fetch(settings, number, &error);
    if (rc != SERIN_OK) {
        json_decref(answer);
        return fail(&error);
    }
    json_answer_print(settings->output, answer, print_frame);
    json_decref(answer);
    return CLI_OK;
}

static int rm(const struct frames_settings *settings, const char *what)
{
    bool is_number = strspn(what, "0123456789") == strlen(what);
    char path[ADMIN_MAX_PATH];
    struct serin_error error;
    json_t *answer = NULL;
    enum serin_errc rc =
        admin_path(path, is_number ? "/api/v1/frames/" : "/api/v1/rollouts/", what, is_number ? "" : "/frames", &error);

    if (rc == SERIN_OK)
        rc = admin_call(admin_address(settings->admin), "DELETE", path, NULL, ADMIN_TIMEOUT_MS, &answer, &error);
    json_decref(answer);
    return rc == SERIN_OK ? CLI_OK : fail(&error);
}

static int frames(const void *given, char *const *operands, size_t operand_count)
{
    static const char *const rights[] = {"stable", "canary", "both", "neither"};
    const struct frames_settings *settings = given;
    const char *verb = operands[0];
    size_t i;

    if (strcmp(verb, "list") == 0 && operand_count == 2)
        return terminal_finish(list(settings, operands[1]));
    if (strcmp(verb, "show") == 0 && operand_count == 2)
        return terminal_finish(one(settings, operands[1], NULL));
    if (strcmp(verb, "rm") == 0 && operand_count == 2)
        return terminal_finish(rm(settings, operands[1]));
    for (i = 0; operand_count == 3 && strcmp(verb, "judge") == 0 && i < sizeof(rights) / sizeof(rights[0]); i++)
        if (strcmp(rights[i], operands[2]) == 0)
            return terminal_finish(one(settings, operands[1], rights[i]));
    terminal_complain("frames: it is list ROLLOUT, show NUMBER, judge NUMBER stable|canary|both|neither, or rm "
                      "ROLLOUT|NUMBER");
    return CLI_USAGE;
}

const struct cli_verb cli_frames = {
    .name = "frames",
    .summary = "see the frames on which two versions differ, and say who is right",
    .operands = "VERB [ROLLOUT | NUMBER] [CHOICE]",
    .min_operands = 2,
    .max_operands = 3,
    .text =
        "A rollout whose plan says so (its key frames) keeps the mirrored frames on which its versions differ most: as "
        "they came in, in the file frames.db of the data folder, which only its owner may read, for the plan's "
        "retention. No other pictures are stored. The console shows them with both sets of boxes.\n\n"
        "What people say of them is evidence for the plan's guard on choices. An answer counts after ten seconds, or "
        "with the next answer of the same rollout; until then it may be changed, and not afterwards. Only answers of "
        "stable and canary tell the versions apart; both and neither are kept with the frame alone.\n\n"
        "rm deletes a rollout's frames, or one; serin rm deletes those of a version. What is deleted is overwritten.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct frames_settings),
    .run = frames,
};
