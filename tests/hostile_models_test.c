/*
 * hostile_models_test.c - every model of tests/hostile/ gets its sentence, in bounded memory and time.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     hostile_models_test MODELS.TSV
 *
 * Each row is opened and, if that goes well, predicts on a small picture, in a child with limits on memory and
 * processor time: a model that kills the child, or makes it hang, fails its row and no other. With AddressSanitizer,
 * which needs more address space than a limit would leave, the rows run in the process itself, and leaks are found at
 * its end; there the rows whose memory cannot be had are left out, because its operator new ends the process where the
 * real one throws, whatever its options say.
 */
#include <serin/yolo.h>

#include "base/sanitizers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if ADDRESS_SANITIZED
#include <sanitizer/lsan_interface.h>
#define LEAKS_IGNORED(on) ((on) ? __lsan_disable() : __lsan_enable())
#else
#define LEAKS_IGNORED(on) ((void)(on))
#endif

#define MAX_MEMORY_BYTES ((rlim_t)2 << 30) /* of address space: ONNX Runtime itself maps some 400 MB */
#define MAX_CPU_SECONDS  20
#define SIDE_PX          48
#define NO_MEMORY        "Failed to allocate memory" /* ONNX Runtime's words for std::bad_alloc */

/* An allocation beyond all bounds must fail here as it does without the sanitizer, instead of ending the process. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

struct row {
    char *file, *stage, *code, *part;
};

/* A result that was given out must be one that can be drawn and written: numbers, within the picture. */
static void check_result(const struct serin_result *result, struct serin_error *outcome)
{
    size_t i;

    for (i = 0; i < result->count; i++) {
        const struct serin_detection *found = &result->detections[i];

        if (!isfinite(found->confidence) || !(found->x1 >= 0 && found->x2 <= SIDE_PX) ||
            !(found->y1 >= 0 && found->y2 <= SIDE_PX)) {
            outcome->code = SERIN_INVALID;
            snprintf(outcome->message, sizeof(outcome->message), "predicted %g at %g,%g to %g,%g",
                     (double)found->confidence, (double)found->x1, (double)found->y1, (double)found->x2,
                     (double)found->y2);
        }
    }
}

static void try_model(const char *path, struct serin_error *outcome)
{
    static uint8_t pixels[SIDE_PX * SIDE_PX * 3];
    const struct serin_image image = {
        .pixels = pixels, .width = SIDE_PX, .height = SIDE_PX, .stride_bytes = SIDE_PX * 3};
    struct serin_open_options options;
    struct serin_result *result = NULL;
    struct serin_yolo *yolo = NULL;

    *outcome = (struct serin_error){.code = SERIN_OK};
    serin_open_options_init(&options);
    options.threads = 1;
    if (serin_yolo_open(path, &options, &yolo, outcome) != SERIN_OK)
        return;
    if (serin_yolo_predict(yolo, &image, 1, NULL, &result, outcome) == SERIN_OK)
        check_result(result, outcome);
    serin_result_free(result);
    serin_yolo_close(yolo);
}

/* ONNX Runtime 1.x loses 14 bytes when its environment is made, once a process. Made here, they do not hide the leaks
 * of the rows. */
static void make_environment(const char *folder)
{
    struct serin_error outcome;
    char path[4096];

    LEAKS_IGNORED(true);
    snprintf(path, sizeof(path), "%s/models/valid.onnx", folder);
    try_model(path, &outcome);
    LEAKS_IGNORED(false);
}

/* Returns a word on how the child ended, or NULL where outcome holds what it said. */
static const char *try_model_apart(const char *path, struct serin_error *outcome)
{
    static char ending[64];
    int ends[2], status = 0;
    ssize_t got;
    pid_t child;

    if (pipe(ends) != 0)
        return "no pipe";
    fflush(stdout);
    child = fork();
    if (child < 0)
        return "no child";
    if (child == 0) {
        const struct rlimit memory = {MAX_MEMORY_BYTES, MAX_MEMORY_BYTES}, cpu = {MAX_CPU_SECONDS, MAX_CPU_SECONDS};

        close(ends[0]);
        setrlimit(RLIMIT_AS, &memory);
        setrlimit(RLIMIT_CPU, &cpu);
        try_model(path, outcome);
        _exit(write(ends[1], outcome, sizeof(*outcome)) == (ssize_t)sizeof(*outcome) ? 0 : 1);
    }
    close(ends[1]);
    got = read(ends[0], outcome, sizeof(*outcome));
    close(ends[0]);
    waitpid(child, &status, 0);
    if (got == (ssize_t)sizeof(*outcome))
        return NULL;
    if (WIFSIGNALED(status))
        snprintf(ending, sizeof(ending), "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(ending, sizeof(ending), "exit status %d", WEXITSTATUS(status));
    return ending;
}

static const char *code_name(enum serin_errc code)
{
    switch (code) {
#define X(name, text)                                                                                                  \
    case SERIN_##name:                                                                                                 \
        return #name;
        SERIN_ERRC_MAP(X)
#undef X
    }
    return "?";
}

/* Returns false, having said why, where the model does not get what its row says. */
static bool check_row(const char *folder, const struct row *row)
{
    struct serin_error outcome = {.code = SERIN_OK};
    const char *ending = NULL;
    char path[4096];

    snprintf(path, sizeof(path), "%s/models/%s", folder, row->file);
    if (ADDRESS_SANITIZED)
        try_model(path, &outcome);
    else
        ending = try_model_apart(path, &outcome);
    if (ending) {
        printf("%s: %s\n", row->file, ending);
        return false;
    }
    if (strcmp(code_name(outcome.code), row->code) != 0 || !strstr(outcome.message, row->part)) {
        printf("%s: %s '%s'\n  expected %s '%s'\n", row->file, code_name(outcome.code), outcome.message, row->code,
               row->part);
        return false;
    }
    if (getenv("SERIN_TEST_VERBOSE"))
        printf("%s: %s %s\n", row->file, row->code, outcome.message);
    return true;
}

int main(int argc, char **argv)
{
    char line[1024], folder[4096], *slash;
    int rows = 0, failed = 0;
    FILE *table;

    if (argc != 2 || !(table = fopen(argv[1], "re"))) {
        fprintf(stderr, "usage: hostile_models_test MODELS.TSV\n");
        return 2;
    }
    snprintf(folder, sizeof(folder), "%s", argv[1]);
    slash = strrchr(folder, '/');
    if (!slash)
        slash = folder + 1, folder[0] = '.';
    *slash = '\0';
    if (ADDRESS_SANITIZED)
        make_environment(folder);
    while (fgets(line, sizeof(line), table)) {
        char *rest = line;
        struct row row;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        row.file = strsep(&rest, "\t");
        row.stage = strsep(&rest, "\t");
        row.code = strsep(&rest, "\t");
        row.part = rest ? rest : line + strlen(line);
        if (!row.stage || !row.code) {
            printf("%s: not four columns\n", row.file);
            failed++;
            continue;
        }
        if (ADDRESS_SANITIZED && strstr(row.part, NO_MEMORY)) {
            printf("%s: left out under AddressSanitizer\n", row.file);
            continue;
        }
        rows++;
        failed += !check_row(folder, &row);
    }
    fclose(table);
    printf("%d hostile models, %d not as expected\n", rows, failed);
    return rows == 0 || failed ? 1 : 0;
}
