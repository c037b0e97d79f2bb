/*
 * stream.c - serin stream: plays footage to a gateway as cameras would, and says what became of it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/player.h"
#include "cli/terminal.h"
#include "cli/truth.h"
#include "version/name.h"

#include <stdlib.h>

#define MAX_JSON_BYTES 65536

struct stream_settings {
    const char *dir, *dark, *to, *model, *labels, *data;
    double fps, dark_share, seconds, label_share, label_delay;
    int cameras, in_flight, timeout_ms;
    bool loop, json;
};

static const struct cli_option options[] = {
    {.name = "dir",
     .value = "DIR",
     .type = CLI_TEXT,
     .required = true,
     .offset = offsetof(struct stream_settings, dir),
     .help = "the footage: a folder of pictures, or a pattern; sent as they are, sorted by name"},
    {.name = "model",
     .value = "MODEL",
     .type = CLI_TEXT,
     .required = true,
     .offset = offsetof(struct stream_settings, model),
     .help = "the model that is asked"},
    {.name = "to",
     .value = "URL",
     .type = CLI_TEXT,
     .fallback = "http://127.0.0.1:8080",
     .offset = offsetof(struct stream_settings, to),
     .help = "where the gateway listens"},
    {.name = "fps",
     .value = "N",
     .type = CLI_REAL,
     .fallback = "10",
     .min = .001,
     .max = 1000,
     .offset = offsetof(struct stream_settings, fps),
     .help = "frames a second of each camera"},
    {.name = "cameras",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "8",
     .min = 1,
     .max = PLAYER_MAX_CAMERAS,
     .offset = offsetof(struct stream_settings, cameras),
     .help = "how many cameras; they call themselves c1, c2 and so on in the header X-Camera"},
    {.name = "seconds",
     .value = "S",
     .type = CLI_REAL,
     .min = .001,
     .max = 1e7,
     .offset = offsetof(struct stream_settings, seconds),
     .help = "stop after S seconds; without it, at the end of the footage"},
    {.name = "loop",
     .type = CLI_FLAG,
     .offset = offsetof(struct stream_settings, loop),
     .help = "begin again at the end of the footage"},
    {.name = "dark",
     .value = "DIR",
     .type = CLI_TEXT,
     .offset = offsetof(struct stream_settings, dark),
     .help = "other footage, such as that of the night, which cameras show for stretches of ten seconds"},
    {.name = "dark-share",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".2",
     .max = 1,
     .offset = offsetof(struct stream_settings, dark_share),
     .help = "the share of the stretches that are dark"},
    {.name = "labels",
     .value = "DIR|auto",
     .type = CLI_TEXT,
     .offset = offsetof(struct stream_settings, labels),
     .help = "post labels of the frames as feedback, as an inspection station would: a folder of STEM.txt, or auto: "
             "labels/ beside images/"},
    {.name = "data",
     .value = "YAML",
     .type = CLI_TEXT,
     .offset = offsetof(struct stream_settings, data),
     .help = "the file that names the classes of the labels"},
    {.name = "label-share",
     .value = "X",
     .type = CLI_REAL,
     .fallback = ".5",
     .max = 1,
     .offset = offsetof(struct stream_settings, label_share),
     .help = "the share of the answered frames that are labelled"},
    {.name = "label-delay",
     .value = "S",
     .type = CLI_REAL,
     .fallback = "3",
     .max = 86400,
     .offset = offsetof(struct stream_settings, label_delay),
     .help = "how long after its answer a frame's labels are posted"},
    {.name = "in-flight",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "4",
     .min = 1,
     .max = PLAYER_MAX_IN_FLIGHT,
     .offset = offsetof(struct stream_settings, in_flight),
     .help = "frames of a camera that may be on their way at once; the next one is dropped, and counted"},
    {.name = "timeout-ms",
     .value = "N",
     .type = CLI_INTEGER,
     .fallback = "30000",
     .min = 1,
     .max = 600000,
     .offset = offsetof(struct stream_settings, timeout_ms),
     .help = "how long an answer may take before it is an error"},
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(struct stream_settings, json),
     .help = "print the summary as one JSON object"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin stream --dir frames --model yolov8n --loop", "eight cameras of ten frames a second, until interrupted"},
    {"serin stream --dir day --dark night --dark-share .2 --model yolov8n --cameras 40 --seconds 600 --loop --json",
     "forty cameras, a fifth of their time at night, for ten minutes"},
    {"serin stream --dir frames/images --model yolov8n --loop --labels auto --data data.yaml --label-share .1",
     "labels of every tenth frame come 3 s after its answer"},
    {0},
};

static double quantile_ms(const struct histogram_sum *sum, double q)
{
    return histogram_quantile_us(sum, q) / 1e3;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void show_live(void *user, const struct player_tally *tally)
{
    struct buffer line;
    int i;

    (void)user;
    buffer_init(&line, 1000);
    buffer_printf(&line, "%.0f s  %.1f answers/s  p50 %.1f p95 %.1f ms  %llu errors", tally->seconds,
                  (double)tally->last_latency.total / tally->last_seconds, quantile_ms(&tally->last_latency, .5),
                  quantile_ms(&tally->last_latency, .95), (unsigned long long)tally->errors);
    for (i = 0; i < tally->version_count; i++)
        buffer_printf(&line, "  %s %.1f %%", tally->versions[i].tag,
                      share(tally->versions[i].answers, tally->answered));
    if (tally->fallbacks)
        buffer_printf(&line, "  %llu fallbacks", (unsigned long long)tally->fallbacks);
    if (tally->dropped)
        buffer_printf(&line, "  %llu dropped", (unsigned long long)tally->dropped);
    if (tally->labels + tally->label_errors)
        buffer_printf(&line, "  %llu labelled", (unsigned long long)tally->labels);
    if (line.bytes)
        terminal_live(line.bytes);
    buffer_done(&line);
}

static void print_summary(const struct stream_settings *settings, const struct player_tally *tally)
{
    int i;

    printf("%d cameras sent %llu frames in %.1f s: %llu answers (%.1f a second), %llu errors, %llu dropped\n",
           settings->cameras, (unsigned long long)tally->sent, tally->seconds, (unsigned long long)tally->answered,
           tally->seconds > 0 ? (double)tally->answered / tally->seconds : 0.0, (unsigned long long)tally->errors,
           (unsigned long long)tally->dropped);
    printf("latency: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms\n", quantile_ms(&tally->latency, .5),
           quantile_ms(&tally->latency, .95), quantile_ms(&tally->latency, .99));
    for (i = 0; i < tally->version_count; i++) {
        fputs(i ? ", " : "versions: ", stdout);
        terminal_text(stdout, tally->versions[i].tag);
        printf(" %.2f %% (%llu)", share(tally->versions[i].answers, tally->answered),
               (unsigned long long)tally->versions[i].answers);
    }
    if (tally->version_count)
        printf("; %llu fallbacks; %d of %d cameras changed versions\n", (unsigned long long)tally->fallbacks,
               tally->cameras_switched, settings->cameras);
    if (settings->labels)
        printf("labels: %llu posted, %llu not taken\n", (unsigned long long)tally->labels,
               (unsigned long long)tally->label_errors);
}

static void write_real(struct json_writer *json, const char *key, double value)
{
    json_key(json, key);
    json_write_rounded(json, value, 3);
}

static enum serin_errc print_json(const struct stream_settings *settings, const struct player_tally *tally,
                                  struct serin_error *error)
{
    struct json_writer json;
    struct buffer out;
    enum serin_errc rc;
    int i;

    buffer_init(&out, MAX_JSON_BYTES);
    json_init(&json, &out);
    json_begin_object(&json);
    json_key(&json, "model");
    json_write_string(&json, settings->model);
    json_put_integer(&json, "cameras", (uint64_t)settings->cameras);
    write_real(&json, "fps", settings->fps);
    write_real(&json, "seconds", tally->seconds);
    json_put_integer(&json, "sent", tally->sent);
    json_put_integer(&json, "answered", tally->answered);
    json_put_integer(&json, "errors", tally->errors);
    json_put_integer(&json, "dropped", tally->dropped);
    json_put_integer(&json, "fallbacks", tally->fallbacks);
    json_put_integer(&json, "labels", tally->labels);
    json_put_integer(&json, "label_errors", tally->label_errors);
    json_put_integer(&json, "cameras_switched", (uint64_t)tally->cameras_switched);
    json_key(&json, "latency_ms");
    json_begin_object(&json);
    write_real(&json, "p50", quantile_ms(&tally->latency, .5));
    write_real(&json, "p95", quantile_ms(&tally->latency, .95));
    write_real(&json, "p99", quantile_ms(&tally->latency, .99));
    json_end_object(&json);
    json_key(&json, "versions");
    json_begin_object(&json);
    for (i = 0; i < tally->version_count; i++)
        json_put_integer(&json, tally->versions[i].tag, tally->versions[i].answers);
    json_end_object(&json);
    json_key(&json, "first_error");
    json_write_string(&json, tally->first_error[0] ? tally->first_error : NULL);
    json_end_object(&json);
    rc = buffer_check(&out, "the summary", error);
    if (rc == SERIN_OK)
        puts(out.bytes);
    buffer_done(&out);
    return rc;
}

static enum serin_errc play(const struct stream_settings *settings, struct player_tally *ret, struct serin_error *error)
{
    struct footage day = {.frames = NULL}, dark = {.frames = NULL};
    struct player_options play = {
        .to = settings->to,
        .model = settings->model,
        .day = &day,
        .dark = settings->dark ? &dark : NULL,
        .dark_share = settings->dark_share,
        .fps = settings->fps,
        .seconds = settings->seconds,
        .loop = settings->loop,
        .cameras = settings->cameras,
        .in_flight = settings->in_flight,
        .timeout_ms = (unsigned)settings->timeout_ms,
        .label_share = settings->label_share,
        .label_delay_s = settings->label_delay,
    };
    enum serin_errc rc = footage_load(settings->dir, &day, error);

    if (rc == SERIN_OK && settings->dark)
        rc = footage_load(settings->dark, &dark, error);
    if (rc == SERIN_OK && settings->labels)
        rc = truth_load(&day, settings->labels, settings->data, error);
    if (rc == SERIN_OK && settings->labels && settings->dark)
        rc = truth_load(&dark, settings->labels, settings->data, error);
    if (rc == SERIN_OK)
        rc = player_run(&play, show_live, NULL, ret, error);
    terminal_live("");
    footage_done(&dark);
    footage_done(&day);
    return rc;
}

static int stream(const void *given, char *const *operands, size_t operand_count)
{
    const struct stream_settings *settings = given;
    struct player_tally tally;
    struct serin_error error;
    enum serin_errc rc = SERIN_OK;
    uint64_t failures;

    (void)operands;
    (void)operand_count;
    if (version_model_check(settings->model, &error) != SERIN_OK) {
        terminal_complain("stream: %s", error.message);
        return CLI_USAGE;
    }
    if (settings->labels && !settings->data) {
        terminal_complain("stream: --labels needs --data, the YAML file that names their classes");
        return CLI_USAGE;
    }
    rc = play(settings, &tally, &error);
    if (rc == SERIN_OK && settings->json)
        rc = print_json(settings, &tally, &error);
    else if (rc == SERIN_OK)
        print_summary(settings, &tally);
    if (rc != SERIN_OK) {
        terminal_complain("stream: %s", error.message);
        return CLI_FAILED;
    }
    failures = tally.errors + tally.label_errors;
    if (failures > 0 && terminal_flush())
        terminal_complain("stream: %llu errors, the first: %s", (unsigned long long)failures,
                          tally.first_error[0] ? tally.first_error : "a label could not be posted");
    return failures > 0 ? CLI_FAILED : CLI_OK;
}

const struct cli_verb cli_stream = {
    .name = "stream",
    .summary = "play footage to a gateway as cameras would",
    .text =
        "Each camera sends the frames of the footage in order, at its rate, beginning at another place. A late answer "
        "does not delay the next frame. On a terminal a line shows the rate, the latencies of the last second and "
        "the share of each version; a summary follows at the end, after Ctrl-C or SIGTERM. The exit code is 1 if a "
        "camera got "
        "an error, or a label was not taken.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct stream_settings),
    .run = stream,
};
