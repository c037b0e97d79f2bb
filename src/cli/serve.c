/*
 * serve.c - serin serve: the gateway, the workers and the control API in one process.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The options given on the command line win over the file's. All are texts here: serve/options.c has the table that
 * knows their ranges, since the file has the same keys.
 */
#include "serve/serve.h"

#include "base/buffer.h"
#include "cli/cli.h"
#include "cli/data_dir.h"

#include <string.h>
#include <unistd.h>

struct serve_settings {
    const char *config;
    const char *data_dir, *listen, *admin, *log, *access_log, *gateway_threads, *worker_threads, *max_body_mb,
        *mirrors_in_flight, *drain_seconds, *log_sample, *trace_endpoint, *trace_sample, *cors_origins;
    struct cli_texts set;
    bool check, dump, takeover;
};

#define KEY(key, what, text, words)                                                                                    \
    {                                                                                                                  \
        .name = (what), .value = (text), .type = CLI_TEXT, .offset = offsetof(struct serve_settings, key),             \
        .help = (words)                                                                                                \
    }

static const struct cli_option options[] = {
    KEY(config, "config", "FILE", "YAML file of the keys that --dump shows"),
    KEY(data_dir, "data-dir", "DIR",
        "folder of the versions and of the state; default $SERIN_DATA_DIR, or ~/.local/share/serin"),
    KEY(listen, "listen", "ADDRESS", "the data port; default 127.0.0.1:8080"),
    KEY(admin, "admin", "ADDRESS", "the control API; default 127.0.0.1:8081"),
    KEY(log, "log", "FILE", "events, a JSON line each; default -, which is stderr"),
    KEY(access_log, "access-log", "FILE", "a JSON line for each request; default none"),
    KEY(log_sample, "log-sample", "SHARE",
        "share of the requests that the access log holds; errors and fallbacks always; default 1"),
    KEY(trace_endpoint, "trace-endpoint", "URL",
        "where traces are sent, as OTLP/HTTP with JSON (http://127.0.0.1:4318/v1/traces); default none"),
    KEY(trace_sample, "trace-sample", "SHARE",
        "share of the requests that are traced; of a client that sends traceparent its word decides; default .01"),
    KEY(cors_origins, "cors-origins", "ORIGINS",
        "origins of web pages that may ask, with blanks between them; * is any; default none"),
    KEY(gateway_threads, "gateway-threads", "N", "threads that take requests; default 2"),
    KEY(worker_threads, "worker-threads", "N",
        "threads of a worker's engine where its bundle does not say; default half of the processors"),
    KEY(max_body_mb, "max-body-mb", "MB", "largest request body; default 32"),
    KEY(mirrors_in_flight, "mirrors-in-flight", "N",
        "copies of requests that a gateway thread sends at once; default 64"),
    KEY(drain_seconds, "drain-seconds", "S", "time for requests in flight at the end; default 10"),
    {.name = "set",
     .value = "KEY=VALUE",
     .type = CLI_TEXTS,
     .offset = offsetof(struct serve_settings, set),
     .help = "any key that --dump shows, such as health_interval_ms=500; may be given several times"},
    {.name = "takeover",
     .type = CLI_FLAG,
     .offset = offsetof(struct serve_settings, takeover),
     .help =
         "take the sockets over, without losing a request, from the serin serve that runs on the same folder; without "
         "one, start as usual"},
    {.name = "check",
     .type = CLI_FLAG,
     .offset = offsetof(struct serve_settings, check),
     .help = "only say whether the configuration is good, and its logs and folder can be opened or made; and which "
             "limits a worker has on this machine"},
    {.name = "dump",
     .type = CLI_FLAG,
     .offset = offsetof(struct serve_settings, dump),
     .help = "print the configuration in force, as a file for --config, and end"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin serve", "serves what was deployed, on 127.0.0.1:8080"},
    {"serin serve --listen 127.0.0.1:9000 --access-log access.ndjson", "another port, and a log of requests"},
    {"serin serve --dump > serin.yaml", "a file to begin with"},
    {0},
};

static int fail(const struct serin_error *error, int code)
{
    fprintf(stderr, "serin serve: %s\n", error->message);
    return code;
}

static enum serin_errc set(struct serve_options *serve, const char *text, struct serin_error *error)
{
    const char *equals = strchr(text, '=');
    char key[64];

    if (!equals || (size_t)(equals - text) >= sizeof(key))
        return error_set(error, SERIN_INVALID, "--set '%.80s' is not KEY=VALUE", text);
    snprintf(key, sizeof(key), "%.*s", (int)(equals - text), text);
    return serve_option_set(serve, key, equals + 1, error);
}

static enum serin_errc apply(const struct serve_settings *settings, struct serve_options *ret,
                             struct serin_error *error)
{
    const struct {
        const char *key, *value;
    } given[] = {
        {"data_dir", settings->data_dir},
        {"listen", settings->listen},
        {"admin", settings->admin},
        {"log", settings->log},
        {"access_log", settings->access_log},
        {"log_sample", settings->log_sample},
        {"trace_endpoint", settings->trace_endpoint},
        {"trace_sample", settings->trace_sample},
        {"cors_origins", settings->cors_origins},
        {"gateway_threads", settings->gateway_threads},
        {"worker_threads", settings->worker_threads},
        {"max_body_mb", settings->max_body_mb},
        {"mirrors_in_flight", settings->mirrors_in_flight},
        {"drain_seconds", settings->drain_seconds},
    };
    enum serin_errc rc = SERIN_OK;
    size_t i;
    int k;

    serve_options_init(ret);
    if (settings->config)
        rc = serve_options_read(ret, settings->config, error);
    for (i = 0; i < sizeof(given) / sizeof(given[0]) && rc == SERIN_OK; i++)
        if (given[i].value)
            rc = serve_option_set(ret, given[i].key, given[i].value, error);
    for (k = 0; k < settings->set.count && rc == SERIN_OK; k++)
        rc = set(ret, settings->set.items[k], error);
    if (rc == SERIN_OK && !ret->data_dir[0])
        rc = data_dir_find(NULL, ret->data_dir, sizeof(ret->data_dir), error);
    return rc;
}

static enum serin_errc read_again(const void *settings, struct serve_options *ret, struct serin_error *error)
{
    return apply(settings, ret, error);
}

static int run(const void *all_settings, char *const *operands, size_t operand_count)
{
    const struct serve_settings *settings = all_settings;
    struct serve_options serve;
    struct serin_error error = {0};
    char program[4096], limits[4096];
    ssize_t length;

    (void)operands, (void)operand_count;
    if (apply(settings, &serve, &error) != SERIN_OK)
        return fail(&error, CLI_USAGE);
    if (settings->dump) {
        struct buffer text;

        buffer_init(&text, 65536);
        serve_options_dump(&serve, &text);
        fputs(text.bytes ? text.bytes : "", stdout);
        buffer_done(&text);
        return CLI_OK;
    }
    if (settings->check) {
        if (serve_check_access(&serve, &error) != SERIN_OK || serve_check_files(&serve, &error) != SERIN_OK ||
            serve_check_traces(&serve, &error) != SERIN_OK)
            return fail(&error, CLI_USAGE);
        puts("the configuration is good");
        printf("Workers on this machine:\n%s", serve_describe_limits(limits, sizeof(limits)));
        return CLI_OK;
    }
    serve.takeover = settings->takeover;
    serve.read = read_again;
    serve.read_user = settings;
    length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length < 0) {
        error_set(&error, SERIN_IO, "/proc/self/exe does not tell where this program lies");
        return fail(&error, CLI_FAILED);
    }
    program[length] = '\0';
    return serve_run(&serve, program, &error) == SERIN_OK ? CLI_OK : fail(&error, CLI_FAILED);
}

const struct cli_verb cli_serve = {
    .name = "serve",
    .summary = "run versions side by side, and send each request to one of them",
    .text = "Takes requests on the data port and sends each to a version of its model, by the route's weights. "
            "Versions are pushed "
            "into the store with 'serin push' and set to work with 'serin deploy'; weights are changed with 'serin "
            "route set'.\n\n"
            "What a version other than the stable one fails, the stable one answers. Versions, routes and weights are "
            "on disk: "
            "they come back when the program is started again.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct serve_settings),
    .run = run,
};
