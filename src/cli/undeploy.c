/*
 * undeploy.c - serin undeploy: stop a version that gets no requests.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/admin_call.h"
#include "cli/terminal.h"
#include "version/name.h"

#define UNDEPLOY_TIMEOUT_MS 120000u /* its workers may end what they have begun */

struct undeploy_settings {
    const char *admin;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(undeploy_settings),
    {0},
};

static const struct cli_example examples[] = {
    {"serin undeploy yolov8n:v1.0.0-cpu", "stop a version that nobody needs any more"},
    {0},
};

static int undeploy(const void *given, char *const *operands, size_t operand_count)
{
    const struct undeploy_settings *settings = given;
    char path[ADMIN_MAX_PATH];
    struct version_name name;
    struct serin_error error;
    json_t *answer = NULL;
    enum serin_errc rc;

    (void)operand_count;
    if (version_name_parse(operands[0], &name, &error) != SERIN_OK) {
        terminal_complain("undeploy: %s", error.message);
        return CLI_USAGE;
    }
    rc = admin_path(path, "/api/v1/serving/", operands[0], "", &error);
    if (rc == SERIN_OK)
        rc = admin_call(admin_address(settings->admin), "DELETE", path, NULL, UNDEPLOY_TIMEOUT_MS, &answer, &error);
    json_decref(answer);
    if (rc != SERIN_OK) {
        terminal_complain("undeploy: %s", error.message);
        return CLI_FAILED;
    }
    printf("%s is stopping: its workers end what they have begun\n", operands[0]);
    return CLI_OK;
}

const struct cli_verb cli_undeploy = {
    .name = "undeploy",
    .summary = "stop a version that has no weight",
    .operands = "NAME:TAG",
    .min_operands = 1,
    .max_operands = 1,
    .text = "Stops the workers of a version on a running serin serve. A version that is stable or has weight is left "
            "alone, and the exit code is 1. The bundle stays in the store.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct undeploy_settings),
    .run = undeploy,
};
