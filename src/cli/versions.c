/*
 * versions.c - serin versions: what is in the store, and serin rm: taking a version out of it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/bundle_report.h"
#include "cli/data_dir.h"
#include "cli/terminal.h"
#include "store/frames.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- versions ---- */

struct versions_settings {
    const char *data_dir;
    int output; /* table, json */
    bool json;
};

enum { OUTPUT_TABLE, OUTPUT_JSON };

static const struct cli_option versions_options[] = {
    DATA_DIR_OPTION(versions_settings),
    {.name = "output",
     .letter = 'o',
     .value = "table|json",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct versions_settings, output),
     .help = "a table for people, or a JSON list with all that is known of each"},
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(struct versions_settings, json),
     .help = "the same as -o json, as 'serin inspect' has it"},
    {0},
};

static const struct cli_example versions_examples[] = {
    {"serin versions", "all versions of all models, as a table"},
    {"serin versions street-person -o json | jq -r '.[-1].name'", "the newest version of one model"},
    {0},
};

static int show(const struct versions_settings *settings, const struct bundle *list, size_t count, const char *none)
{
    int code = CLI_OK;
    size_t i;

    if (settings->json || settings->output == OUTPUT_JSON)
        code = bundle_report_json("versions", list, count, true);
    else if (count > 0)
        bundle_report_table(list, count);
    else
        terminal_complain("versions: %s", none);
    for (i = 0; i < count; i++)
        if (*list[i].problem)
            code = CLI_FAILED;
    return code;
}

/* SERIN_NOT_FOUND where there are none, and the sentence names the folder: it may not be the one that was meant. */
static enum serin_errc list_found(struct bundles *store, const char *data_dir, const char *model, struct bundle **ret,
                                  size_t *ret_count, struct serin_error *error)
{
    char dir[PATH_MAX];
    enum serin_errc rc = bundles_list(store, model, ret, ret_count, error);

    if (rc == SERIN_OK && *ret_count == 0)
        rc = data_dir_find(data_dir, dir, sizeof(dir), error);
    if (rc != SERIN_OK || *ret_count > 0)
        return rc;
    return model ? error_set(error, SERIN_NOT_FOUND, "%s holds no version of %s", dir, model)
                 : error_set(error, SERIN_NOT_FOUND, "%s holds no versions yet: 'serin push' puts one there", dir);
}

static int versions(const void *given, char *const *operands, size_t operand_count)
{
    const struct versions_settings *settings = given;
    const char *model = operand_count ? operands[0] : NULL;
    struct bundles *store = NULL;
    struct bundle *list = NULL;
    struct serin_error error;
    size_t count = 0, i;
    enum serin_errc rc = SERIN_OK;
    int code;

    if (model && version_model_check(model, &error) != SERIN_OK) {
        terminal_complain("versions: %s", error.message);
        return CLI_USAGE;
    }
    rc = data_dir_open(settings->data_dir, false, &store, &error);
    if (rc == SERIN_OK)
        rc = list_found(store, settings->data_dir, model, &list, &count, &error);
    if (rc == SERIN_OK || rc == SERIN_NOT_FOUND) { /* no store is an empty one */
        code = show(settings, list, count, error.message);
    } else {
        terminal_complain("versions: %s", error.message);
        code = CLI_FAILED;
    }
    for (i = 0; i < count; i++)
        bundle_done(&list[i]);
    free(list);
    bundles_close(store);
    return code;
}

const struct cli_verb cli_versions = {
    .name = "versions",
    .summary = "list the versions in the store",
    .operands = "[MODEL]",
    .max_operands = 1,
    .text =
        "Lists the versions of one model, or of all, from the oldest to the newest as SemVer orders them: tags without "
        "a SemVer first, pre-releases before their release.\n\n"
        "Accuracy is mAP50-95 of boxes (top-1 of a classifier) where the version was pushed with --eval; crit/high are "
        "the findings of a security scan where it was pushed with --scan. A version that cannot be read is listed "
        "with the reason, and the exit code is then 1.",
    .options = versions_options,
    .examples = versions_examples,
    .settings_bytes = sizeof(struct versions_settings),
    .run = versions,
};

/* ---- rm ---- */

struct rm_settings {
    const char *data_dir;
};

static const struct cli_option rm_options[] = {
    DATA_DIR_OPTION(rm_settings),
    {0},
};

static const struct cli_example rm_examples[] = {
    {"serin rm street-person:v1.0.0-rc.1-cpu", "take a version out of the store"},
    {0},
};

/* What cameras saw of the version goes with it. */
static enum serin_errc forget_frames(const char *data_dir, const struct version_name *name, struct serin_error *error)
{
    struct frames *frames = NULL;
    char path[1200];
    enum serin_errc rc = data_dir_find(data_dir, path, sizeof(path) - sizeof(FRAMES_FILE) - 1, error);

    if (rc != SERIN_OK)
        return rc;
    memcpy(path + strlen(path), "/" FRAMES_FILE, sizeof("/" FRAMES_FILE));
    if (access(path, F_OK) != 0)
        return SERIN_OK;
    rc = frames_open(path, &frames, error);
    if (rc == SERIN_OK)
        rc = frames_remove_version(frames, name->model, name->tag, NULL, error);
    frames_close(frames);
    return rc;
}

static enum serin_errc remove_one(struct bundles *store, const char *data_dir, const char *operand,
                                  struct serin_error *error)
{
    struct bundle bundle = {0};
    struct version_name name;
    /* One that cannot be read any more goes without its digest. */
    bool known = bundles_find(store, operand, &bundle, NULL) == SERIN_OK;
    enum serin_errc rc = version_name_parse(operand, &name, error);

    if (rc == SERIN_OK)
        rc = bundles_remove(store, operand, error);
    if (rc == SERIN_OK) {
        printf("%s removed%s%s\n", operand, known ? "  " : "", known ? bundle.digest : "");
        rc = forget_frames(data_dir, &name, error);
    }
    bundle_done(&bundle);
    return rc;
}

static int rm(const void *given, char *const *operands, size_t operand_count)
{
    const struct rm_settings *settings = given;
    struct bundles *store = NULL;
    struct version_name name;
    struct serin_error error;
    int code = CLI_OK;
    size_t i;

    for (i = 0; i < operand_count; i++) {
        if (version_name_parse(operands[i], &name, &error) != SERIN_OK) {
            terminal_complain("rm: %s", error.message);
            return CLI_USAGE;
        }
    }
    if (data_dir_open(settings->data_dir, false, &store, &error) != SERIN_OK) {
        terminal_complain("rm: %s", error.message);
        return CLI_FAILED;
    }
    for (i = 0; i < operand_count; i++) {
        if (remove_one(store, settings->data_dir, operands[i], &error) != SERIN_OK) {
            terminal_complain("rm: %s", error.message);
            code = CLI_FAILED;
        }
    }
    bundles_close(store);
    return code;
}

const struct cli_verb cli_rm = {
    .name = "rm",
    .summary = "remove versions from the store",
    .operands = "NAME:TAG...",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .text = "Removes versions, what no other version needs from the disk, and the frames that their rollouts kept. A "
            "version that is in use is not removed: "
            "'serin serve' marks those that it has loaded or routes to, each by a file in DIR/state/in-use.",
    .options = rm_options,
    .examples = rm_examples,
    .settings_bytes = sizeof(struct rm_settings),
    .run = rm,
};
