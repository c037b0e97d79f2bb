/*
 * deploy.c - serin deploy: start a version on a running serin serve, as stable or as canary.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The server answers once the replicas are ready, so the exit code of this verb is that of the deployment.
 */
#include "cli/admin_call.h"
#include "cli/admin_route.h"
#include "cli/route_words.h"
#include "cli/terminal.h"
#include "version/name.h"

#include <stdlib.h>

#define DEPLOY_TIMEOUT_MS 600000u /* a large model on a busy machine, compiled for its accelerator */
#define MAX_REPLICAS      16

struct deploy_settings {
    const char *admin, *url;
    int replicas;
    double min_map;
    bool canary, confirm;
};

static const struct cli_option options[] = {
    ADMIN_OPTION(deploy_settings),
    {.name = "replicas",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "0",
     .max = MAX_REPLICAS,
     .offset = offsetof(struct deploy_settings, replicas),
     .help = "how many workers serve it; 0 is as many as run already, or as its settings say (push --set replicas=N), "
             "or one"},
    {.name = "url",
     .value = "URL",
     .type = CLI_TEXT,
     .offset = offsetof(struct deploy_settings, url),
     .help = "a server that runs elsewhere and speaks the protocol, instead of workers from the bundle store"},
    {.name = "canary",
     .type = CLI_FLAG,
     .offset = offsetof(struct deploy_settings, canary),
     .help = "start it beside stable, with weight 0; without this it becomes stable, with all the weight"},
    {.name = "confirm",
     .type = CLI_FLAG,
     .offset = offsetof(struct deploy_settings, confirm),
     .help = "let it in although its task, classes or shapes differ from stable's or are not told, it answers its "
             "golden pictures otherwise, or its accuracy is below a floor or stable's; what was confirmed is logged"},
    {.name = "min-map",
     .value = "F",
     .type = CLI_REAL,
     .fallback = "0",
     .max = 1,
     .offset = offsetof(struct deploy_settings, min_map),
     .help = "least accuracy of its evaluation (mAP50-95, or top-1); 0 is what the server's min_map says"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin deploy yolov8n:v1.0.0-cpu --replicas 2", "serve a version that was pushed, as stable"},
    {"serin deploy yolov8n:v1.1.0-cpu --canary && serin route set yolov8n v1.1.0-cpu=1 v1.0.0-cpu=99",
     "start the next one beside it, and give it one request of a hundred"},
    {"serin deploy yolov8n:triton --url http://10.0.0.7:8000 --canary", "a version that another server runs"},
    {0},
};

static enum serin_errc post(const struct deploy_settings *settings, const char *name, struct route *ret,
                            struct serin_error *error)
{
    json_t *body = json_object(), *answer = NULL;
    enum serin_errc rc;
    char *text;

    json_object_set_new(body, "name", json_string(name));
    if (settings->url)
        json_object_set_new(body, "url", json_string(settings->url));
    else if (settings->replicas > 0)
        json_object_set_new(body, "replicas", json_integer(settings->replicas));
    json_object_set_new(body, "stable", json_boolean(!settings->canary));
    if (settings->min_map > 0)
        json_object_set_new(body, "min_map", json_real(settings->min_map));
    json_object_set_new(body, "confirm", json_boolean(settings->confirm));
    text = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (!text || (settings->url && !json_object_get(body, "url"))) /* what is no UTF-8 was not taken in */
        rc = error_set(error, SERIN_INVALID, "the URL is no UTF-8 text");
    else
        rc = admin_call(admin_address(settings->admin), "POST", "/api/v1/deploy", text, DEPLOY_TIMEOUT_MS, &answer,
                        error);
    if (rc == SERIN_OK)
        rc = admin_route_read(answer, ret, error);
    free(text);
    json_decref(body);
    json_decref(answer);
    return rc;
}

static int deploy(const void *given, char *const *operands, size_t operand_count)
{
    const struct deploy_settings *settings = given;
    struct version_name name;
    struct serin_error error;
    struct route route;

    (void)operand_count;
    if (version_name_parse(operands[0], &name, &error) != SERIN_OK) {
        terminal_complain("deploy: %s", error.message);
        return CLI_USAGE;
    }
    if (post(settings, operands[0], &route, &error) != SERIN_OK) {
        terminal_complain("deploy: %s", error.message);
        return CLI_FAILED;
    }
    printf("%s %s\n", operands[0], settings->canary ? "is ready, with the weight that is given to it" : "is stable");
    route_print(stdout, &route);
    return CLI_OK;
}

const struct cli_verb cli_deploy = {
    .name = "deploy",
    .summary = "start a version, as stable or as canary",
    .operands = "NAME:TAG",
    .min_operands = 1,
    .max_operands = 1,
    .text =
        "Starts workers of a version on a running serin serve and waits until they are ready, which can take minutes. "
        "As stable it then gets all the weight, and the stable version before it goes on running with weight 0, so "
        "that 'serin route set' can go back to it in an instant.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct deploy_settings),
    .run = deploy,
};
