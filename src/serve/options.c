/*
 * options.c - the configuration keys of serin serve: one table for the file, the command line, --dump and the manual.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/serve.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/processors.h"
#include "base/text.h"

#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_FILE_BYTES 65536

struct option {
    const char *key;
    size_t offset, size; /* size: of a text; 0 for a number */
    double low, high;    /* high AS_ENGINES: what an engine takes on this machine */
    bool live;           /* may change while it runs; else that takes a new process */
    const char *help;
};

#define AS_ENGINES (-1)

#define TEXT(name, help)                                                                                               \
    {                                                                                                                  \
#name, offsetof(struct serve_options, name), sizeof(((struct serve_options *)0)->name), 0, 0, false, help      \
    }
#define NUMBER(name, low, high, help)                                                                                  \
    {                                                                                                                  \
#name, offsetof(struct serve_options, name), 0, low, high, false, help                                         \
    }

#define LIVE_NUMBER(name, low, high, help) /* the control thread alone reads it */                                     \
    {                                                                                                                  \
#name, offsetof(struct serve_options, name), 0, low, high, true, help                                          \
    }

static const struct option table[] = {
    TEXT(data_dir, "folder of the versions and of the state"),
    TEXT(listen, "address of the data port, where clients send pictures"),
    TEXT(admin, "address of the control API"),
    TEXT(log, "file of events, one JSON line each; - is stderr"),
    TEXT(access_log, "file with a JSON line for each request; - is stderr, empty none"),
    NUMBER(log_sample, 0, 1, "share of the requests that the access log holds; errors and fallbacks always"),
    TEXT(trace_endpoint,
         "where traces are sent as OTLP/HTTP with JSON, as http://127.0.0.1:4318/v1/traces; empty: none"),
    NUMBER(trace_sample, 0, 1,
           "share of the requests that are traced; of a client that sends traceparent its own word decides"),
    TEXT(cors_origins, "origins of web pages that may ask, with blanks between them; * is any, empty none"),
    NUMBER(gateway_threads, 1, 64, "threads that take requests"),
    NUMBER(max_connections, 1, 1000000,
           "clients' connections that a gateway thread holds; for one more the longest idle one is closed"),
    NUMBER(worker_threads, 0, AS_ENGINES,
           "threads of a worker's engine where its bundle does not say; 0 is half of the processors"),
    NUMBER(max_body_mb, 1, 1024, "largest request body, in MB; more is refused with 413"),
    NUMBER(max_buffered_mb, 1, 1048576, "bodies that a gateway thread holds at once, in MB; more is refused with 503"),
    NUMBER(mirrors_in_flight, 0, 100000, "copies of requests that a gateway thread sends at once; more are dropped"),
    LIVE_NUMBER(min_map, 0, 1, "least accuracy (mAP50-95, top-1) of what is deployed; 0 is none"),
    LIVE_NUMBER(map_margin, 0, 1,
                "how much less accurate than stable a version may be, where both were evaluated on the same data"),
    LIVE_NUMBER(memory_reserve_mb, 0, 1e9, "memory that must stay free when a version is deployed, in MB"),
    LIVE_NUMBER(drain_seconds, 0, 3600, "time for requests in flight when the program ends"),
    TEXT(health_path, "what each replica is asked, and answers with a status of 2xx where it is ready"),
    LIVE_NUMBER(health_interval_ms, 10, 3600000, "time from the end of one check of a replica to the next"),
    LIVE_NUMBER(health_timeout_ms, 1, 600000, "a check without an answer for so long has failed"),
    LIVE_NUMBER(health_rise, 1, 100, "good checks in a row after which a replica that was down gets requests again"),
    LIVE_NUMBER(health_fall, 1, 100, "failed checks in a row after which a replica gets no more"),
    LIVE_NUMBER(health_restart_seconds, 0, 86400,
                "a worker whose checks have all failed for so long is killed and started again; 0 is never"),
    TEXT(tls_certificate, "PEM file of the certificate that both ports show, and of its chain; empty: plain text. Unix "
                          "sockets are plain always; 'serin reload' reads the files again"),
    TEXT(tls_key, "PEM file of its key, without a passphrase"),
    TEXT(tls_client_ca, "PEM file of who signs clients' certificates; empty: none are asked for"),
    NUMBER(tls_client_optional, 0, 1, "1 lets in clients without a certificate; a wrong one is refused always"),
    TEXT(upstream_ca, "PEM file of whom to trust at servers given by an https:// URL; empty: the system's roots"),
    LIVE_NUMBER(url_wait_seconds, 0, 3600,
                "time that a server given by its URL has in a deploy to get ready, and for each answer about itself"),
};

#define COUNT (sizeof(table) / sizeof(table[0]))

void serve_options_init(struct serve_options *options)
{
    *options = (struct serve_options){.listen = "127.0.0.1:8080",
                                      .admin = "127.0.0.1:8081",
                                      .log = "-",
                                      .log_sample = 1,
                                      .trace_sample = .01,
                                      .gateway_threads = 2,
                                      .max_connections = 4096,
                                      .max_body_mb = 32,
                                      .max_buffered_mb = 1024,
                                      .mirrors_in_flight = 64,
                                      .map_margin = .02,
                                      .memory_reserve_mb = 64,
                                      .drain_seconds = 10,
                                      /* The Open Inference Protocol's own question. HAProxy's defaults for the rest:
                                       * what is dead is out after some six seconds, and what the passive checks see
                                       * comes sooner. 30 s: a server with a model to load takes tens of seconds, and a
                                       * mistyped address should be told while somebody still looks; and a worker
                                       * that is silent for as long hangs, for who is busy answers checks. */
                                      .health_path = "/v2/health/ready",
                                      .health_interval_ms = 2000,
                                      .health_timeout_ms = 1000,
                                      .health_rise = 2,
                                      .health_fall = 3,
                                      .health_restart_seconds = 30,
                                      .url_wait_seconds = 30};
}

static double highest(const struct option *option)
{
    return option->high == AS_ENGINES ? processors_most_threads() : option->high;
}

static enum serin_errc unknown(const char *key, struct serin_error *error)
{
    const char *known[COUNT], *nearest;
    size_t i;

    for (i = 0; i < COUNT; i++)
        known[i] = table[i].key;
    nearest = text_nearest(key, known, COUNT);
    return error_set(error, SERIN_INVALID, "unknown key '%.60s'%s%s%s", key, nearest ? ", did you mean '" : "",
                     nearest ? nearest : "", nearest ? "'?" : "");
}

/* It goes into a request line as it is. */
static bool is_path(const char *text)
{
    const char *p;

    for (p = text; *p > ' ' && *p < 0x7f; p++)
        continue;
    return text[0] == '/' && *p == '\0';
}

enum serin_errc serve_option_set(struct serve_options *options, const char *key, const char *value,
                                 struct serin_error *error)
{
    size_t i;

    for (i = 0; i < COUNT; i++) {
        char *place = (char *)options + table[i].offset;
        const char *end;
        double number;

        if (strcmp(table[i].key, key) != 0)
            continue;
        if (table[i].size) {
            if (strlen(value) >= table[i].size)
                return error_set(error, SERIN_INVALID, "%s has %zu bytes, the limit is %zu", key, strlen(value),
                                 table[i].size - 1);
            if (table[i].offset == offsetof(struct serve_options, health_path) && !is_path(value))
                return error_set(error, SERIN_INVALID, "%s is '%.60s', a path begins with / and has no blanks", key,
                                 value);
            if (table[i].offset == offsetof(struct serve_options, trace_endpoint) && value[0] &&
                strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
                return error_set(error, SERIN_INVALID, "%s is '%.60s', a URL begins with http:// or https://", key,
                                 value);
            memcpy(place, value, strlen(value) + 1);
            return SERIN_OK;
        }
        if (!text_number(value, &end, &number) || *end || number < table[i].low || number > highest(&table[i]))
            return error_set(error, SERIN_INVALID, "%s is '%.40s', it lies within %g and %g", key, value, table[i].low,
                             highest(&table[i]));
        memcpy(place, &number, sizeof(number));
        return SERIN_OK;
    }
    return unknown(key, error);
}

/* A flat mapping of scalars; anything else is an error with its line. */
enum serin_errc serve_options_read(struct serve_options *options, const char *path, struct serin_error *error)
{
    enum serin_errc rc;
    yaml_parser_t parser;
    yaml_event_t event;
    uint8_t *bytes = NULL;
    size_t size = 0, line = 0;
    char key[64] = "";
    bool in_mapping = false, at_end = false;
    int documents = 0;

    rc = file_read(path, MAX_FILE_BYTES, &bytes, &size, error);
    if (rc != SERIN_OK)
        return rc;
    if (!yaml_parser_initialize(&parser)) {
        free(bytes);
        return error_set(error, SERIN_NOMEM, "%s: no memory", path);
    }
    yaml_parser_set_input_string(&parser, bytes, size);
    while (!at_end && rc == SERIN_OK) {
        if (!yaml_parser_parse(&parser, &event)) {
            rc = error_set(error, SERIN_INVALID, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "no YAML");
            break;
        }
        line = event.start_mark.line + 1;
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        if (documents > 1)
            rc = error_set(error, SERIN_INVALID, "%s:%zu: a second document: a configuration is one", path, line);
        else if (event.type == YAML_SCALAR_EVENT && in_mapping && !key[0]) {
            snprintf(key, sizeof(key), "%s", (const char *)event.data.scalar.value);
            if (!key[0])
                rc = error_set(error, SERIN_INVALID, "%s:%zu: an empty key", path, line);
        } else if (event.type == YAML_SCALAR_EVENT && in_mapping) {
            rc = serve_option_set(options, key, (const char *)event.data.scalar.value, error);
            rc = error_prefix(error, rc, "%s:%zu", path, line);
            key[0] = '\0';
        } else if (event.type == YAML_MAPPING_START_EVENT && !in_mapping) {
            in_mapping = true;
        } else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
                   event.type == YAML_MAPPING_START_EVENT || event.type == YAML_ALIAS_EVENT) {
            rc = error_set(error, SERIN_INVALID, "%s:%zu: expected lines of 'key: value'", path, line);
        }
        at_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    free(bytes);
    return rc;
}

static bool is_same(const struct option *option, const struct serve_options *a, const struct serve_options *b)
{
    const char *one = (const char *)a + option->offset, *other = (const char *)b + option->offset;

    return option->size ? strcmp(one, other) == 0 : memcmp(one, other, sizeof(double)) == 0;
}

enum serin_errc serve_options_change(const struct serve_options *before, const struct serve_options *wish,
                                     struct serve_options *in_force, struct serin_error *error)
{
    size_t i;

    for (i = 0; i < COUNT; i++)
        if (!table[i].live && !is_same(&table[i], before, wish))
            return error_set(error, SERIN_LIMIT,
                             "%s cannot change while it runs, so nothing was changed: start the new configuration with "
                             "serin serve --takeover, which loses no request",
                             table[i].key);
    for (i = 0; i < COUNT; i++)
        if (table[i].live)
            memcpy((char *)in_force + table[i].offset, (const char *)wish + table[i].offset, sizeof(double));
    return SERIN_OK;
}

void serve_options_dump(const struct serve_options *options, struct buffer *out)
{
    size_t i;

    for (i = 0; i < COUNT; i++) {
        const char *place = (const char *)options + table[i].offset;

        if (table[i].size) {
            buffer_printf(out, "# %s\n%s: \"%s\"\n", table[i].help, table[i].key, place);
        } else {
            double number;

            memcpy(&number, place, sizeof(number));
            buffer_printf(out, "# %s (%g to %g)\n%s: %g\n", table[i].help, table[i].low, highest(&table[i]),
                          table[i].key, number);
        }
    }
}
