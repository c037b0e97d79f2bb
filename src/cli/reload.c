/*
 * reload.c - serin reload: a running serin serve reads its configuration again.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/admin_call.h"
#include "cli/terminal.h"

struct reload_settings {
    const char *admin;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(reload_settings),
    {0},
};

static const struct cli_example examples[] = {
    {"serin reload", "puts in force what has changed in the file of serin serve --config"},
    {0},
};

static int reload(const void *given, char *const *operands, size_t operand_count)
{
    const struct reload_settings *settings = given;
    struct serin_error error;
    json_t *answer = NULL;
    enum serin_errc rc;

    (void)operands, (void)operand_count;
    rc = admin_call(admin_address(settings->admin), "POST", "/api/v1/reload", NULL, ADMIN_TIMEOUT_MS, &answer, &error);
    json_decref(answer);
    if (rc != SERIN_OK) {
        terminal_complain("reload: %s", error.message);
        return CLI_FAILED;
    }
    puts("the configuration is in force");
    return CLI_OK;
}

const struct cli_verb cli_reload = {
    .name = "reload",
    .summary = "read the configuration of a running serve again",
    .text = "Has a running serin serve read its file of --config again, as SIGHUP does; its command line stays. All "
            "that has changed is put in force, or nothing: times and numbers of health checks, deploys and the drain "
            "can change while it runs, and for other keys 'serin serve --takeover' starts a new process in the place "
            "of the running one without losing a request.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct reload_settings),
    .run = reload,
};
