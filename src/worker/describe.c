/*
 * describe.c - the documents that a worker gives of itself: metadata, configuration, statistics, index.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: OIP v2; Triton's model_configuration, statistics and repository extensions. Ultralytics' client reads names,
 * stride and size from parameters.metadata.string_value of the configuration, which it takes for a Python literal.
 */
#include "worker/service.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_LITERAL_BYTES (32u << 20) /* 65,536 names of 256 bytes */

static void object_at(struct json_writer *json, const char *key)
{
    json_key(json, key);
    json_begin_object(json);
}

static void array_at(struct json_writer *json, const char *key)
{
    json_key(json, key);
    json_begin_array(json);
}

void describe_server(const struct service *service, struct buffer *out)
{
    struct json_writer json;

    (void)service;
    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "name", "serin");
    json_put_string(&json, "version", serin_version());
    array_at(&json, "extensions");
    json_write_string(&json, "binary_tensor_data");
    json_write_string(&json, "model_configuration");
    json_write_string(&json, "model_repository");
    json_write_string(&json, "parameters");
    json_write_string(&json, "schedule_policy");
    json_write_string(&json, "statistics");
    json_end_array(&json);
    json_end_object(&json);
}

static void write_tensors(struct json_writer *json, const char *key, const struct tensor_spec *specs, int count,
                          int batch)
{
    int i, d;

    array_at(json, key);
    for (i = 0; i < count; i++) {
        json_begin_object(json);
        json_put_string(json, "name", specs[i].name);
        json_put_string(json, "datatype", infer_datatype(specs[i].type));
        array_at(json, "shape");
        for (d = 0; d < specs[i].rank; d++)
            json_write_integer(json, d == 0 && batch > 0 ? batch : specs[i].shape[d]);
        json_end_array(json);
        json_end_object(json);
    }
    json_end_array(json);
}

void describe_model(const struct service *service, struct buffer *out)
{
    const struct engine_interface *interface = service->interface;
    struct json_writer json;

    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "name", service->model);
    array_at(&json, "versions");
    json_write_string(&json, "1"); /* clients of Triton only know numbers */
    if (strcmp(service->version, "1") != 0)
        json_write_string(&json, service->version);
    json_end_array(&json);
    json_put_string(&json, "platform", "onnxruntime_onnx");
    write_tensors(&json, "inputs", interface->inputs, interface->input_count, service->info->batch);
    write_tensors(&json, "outputs", interface->outputs, interface->output_count, service->info->batch);
    json_end_object(&json);
}

/* ---- the configuration ---- */

/* Text as a Python literal between single quotes. */
static void python_text(struct buffer *out, const char *text)
{
    buffer_append_text(out, "'");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '\'' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            buffer_printf(out, "\\x%02x", c);
        else
            buffer_append(out, text, 1);
    }
    buffer_append_text(out, "'");
}

static void python_metadata(const struct serin_yolo_info *info, struct buffer *out)
{
    int i;

    buffer_append_text(out, "{'description': ");
    python_text(out, info->description);
    buffer_append_text(out, ", 'license': ");
    python_text(out, info->license);
    buffer_printf(out, ", 'stride': %d, 'task': '%s', 'batch': %d, 'imgsz': [%d, %d], 'channels': %d, ", info->stride,
                  serin_task_name(info->task), info->batch > 0 ? info->batch : 1, info->input_height, info->input_width,
                  info->channels);
    if (info->task == SERIN_POSE)
        buffer_printf(out, "'kpt_shape': [%d, %d], ", info->keypoint_count, info->keypoint_dims);
    buffer_printf(out, "'end2end': %s, 'args': {'dynamic': %s, 'nms': False}, 'names': {",
                  info->end_to_end ? "True" : "False", info->dynamic_size ? "True" : "False");
    for (i = 0; i < info->class_count; i++) {
        buffer_printf(out, "%s%d: ", i ? ", " : "", i);
        python_text(out, info->class_names[i]);
    }
    buffer_append_text(out, "}}");
}

static void write_config_tensors(struct json_writer *json, const char *key, const struct tensor_spec *specs, int count,
                                 bool batched)
{
    char type[16];
    int i, d;

    array_at(json, key);
    for (i = 0; i < count; i++) {
        json_begin_object(json);
        json_put_string(json, "name", specs[i].name);
        snprintf(type, sizeof(type), "TYPE_%s", infer_datatype(specs[i].type) ? infer_datatype(specs[i].type) : "");
        json_put_string(json, "data_type", type);
        array_at(json, "dims"); /* without the batch where there is one, as Triton has it */
        for (d = batched ? 1 : 0; d < specs[i].rank; d++)
            json_write_integer(json, specs[i].shape[d]);
        json_end_array(json);
        json_end_object(json);
    }
    json_end_array(json);
}

void describe_config(const struct service *service, struct buffer *out)
{
    const struct engine_interface *interface = service->interface;
    bool batched = service->max_batch > 1;
    struct json_writer json;
    struct buffer literal;

    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "name", service->model);
    json_put_string(&json, "platform", "onnxruntime_onnx");
    json_put_string(&json, "backend", "onnxruntime");
    object_at(&json, "version_policy");
    object_at(&json, "latest");
    json_put_integer(&json, "num_versions", 1);
    json_end_object(&json);
    json_end_object(&json);
    json_put_integer(&json, "max_batch_size", batched ? (uint64_t)service->max_batch : 0);
    write_config_tensors(&json, "input", interface->inputs, interface->input_count, batched);
    write_config_tensors(&json, "output", interface->outputs, interface->output_count, batched);
    if (service->batching.max_batch > 1) {
        object_at(&json, "dynamic_batching");
        json_put_integer(&json, "max_queue_delay_microseconds", (uint64_t)service->options->max_delay_us);
        json_end_object(&json);
    }
    array_at(&json, "instance_group");
    json_begin_object(&json);
    json_put_string(&json, "name", service->model);
    json_put_string(&json, "kind",
                    strcmp(service->info->provider, "cuda") == 0 || strcmp(service->info->provider, "tensorrt") == 0
                        ? "KIND_GPU"
                        : "KIND_CPU");
    json_put_integer(&json, "count", (uint64_t)batcher_streams(&service->batching)); /* runs at once */
    json_end_object(&json);
    json_end_array(&json);
    object_at(&json, "parameters");
    object_at(&json, "metadata");
    buffer_init(&literal, MAX_LITERAL_BYTES);
    python_metadata(service->info, &literal);
    json_put_string(&json, "string_value", literal.failed ? "None" : literal.bytes);
    buffer_done(&literal);
    json_end_object(&json);
    json_end_object(&json);
    json_end_object(&json);
}

void describe_index(const struct service *service, struct buffer *out)
{
    struct json_writer json;

    json_init(&json, out);
    json_begin_array(&json);
    json_begin_object(&json);
    json_put_string(&json, "name", service->model);
    json_put_string(&json, "version", "1");
    json_put_string(&json, "state", service->draining ? "UNAVAILABLE" : "READY");
    if (service->draining)
        json_put_string(&json, "reason", "draining");
    json_end_object(&json);
    json_end_array(&json);
}

/* ---- statistics ---- */

static void write_duration(struct json_writer *json, const char *key, uint64_t count, uint64_t ns)
{
    object_at(json, key);
    json_put_integer(json, "count", count);
    json_put_integer(json, "ns", ns);
    json_end_object(json);
}

static uint64_t sum_ns(const struct statistics *statistics, enum stage stage)
{
    return atomic_load_explicit(&statistics->stages[stage].sum_us, memory_order_relaxed) * 1000;
}

void describe_triton_statistics(struct service *service, struct buffer *out)
{
    const struct statistics *statistics = &service->statistics;
    struct batcher_counts counts;
    struct json_writer json;
    uint64_t good = statistics->succeeded;
    int size;

    batcher_count(service->batcher, &counts);
    json_init(&json, out);
    json_begin_object(&json);
    array_at(&json, "model_stats");
    json_begin_object(&json);
    json_put_string(&json, "name", service->model);
    json_put_string(&json, "version", "1");
    json_put_integer(&json, "last_inference", statistics->last_inference_ms);
    json_put_integer(&json, "inference_count", statistics->inferences);
    json_put_integer(&json, "execution_count", counts.batches);
    object_at(&json, "inference_stats");
    write_duration(&json, "success", good, sum_ns(statistics, STAGE_WHOLE));
    write_duration(&json, "fail", statistics->failed + counts.refused, 0);
    write_duration(&json, "queue", good, sum_ns(statistics, STAGE_QUEUE));
    write_duration(&json, "compute_input", good, sum_ns(statistics, STAGE_DECODE));
    write_duration(&json, "compute_infer", good, sum_ns(statistics, STAGE_INFERENCE));
    write_duration(&json, "compute_output", good, sum_ns(statistics, STAGE_POST));
    write_duration(&json, "cache_hit", 0, 0);
    write_duration(&json, "cache_miss", 0, 0);
    json_end_object(&json);
    array_at(&json, "batch_stats");
    for (size = 1; size <= BATCHER_MAX_BATCH; size++) {
        uint64_t runs = counts.batch_sizes[size], jobs = statistics->batch_jobs[size];

        if (runs == 0)
            continue;
        json_begin_object(&json);
        json_put_integer(&json, "batch_size", (uint64_t)size);
        write_duration(&json, "compute_input", runs, 0);
        write_duration(&json, "compute_infer", runs, jobs ? statistics->batch_ns[size] / jobs * runs : 0);
        write_duration(&json, "compute_output", runs, 0);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    json_end_array(&json);
    json_end_object(&json);
}

/* Resident memory; 0 where /proc is not there. */
static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void write_stage(struct json_writer *json, const char *name, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50_ms", .5}, {"p90_ms", .9}, {"p99_ms", .99}, {"max_ms", 1}};
    struct histogram_sum sum = {0};
    size_t i;
    int bucket;

    histogram_add(&sum, histogram);
    object_at(json, name);
    json_put_integer(json, "count", sum.total);
    json_put_integer(json, "sum_us", sum.sum_us);
    for (i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        json_key(json, quantiles[i].name);
        json_write_rounded(json, histogram_quantile_us(&sum, quantiles[i].q) / 1000, 3);
    }
    array_at(json, "buckets"); /* [end of the bucket in us, count]; base/histogram.h */
    for (bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        if (sum.counts[bucket] == 0)
            continue;
        json_begin_array(json);
        json_write_integer(json, (int64_t)histogram_floor_us(bucket + 1));
        json_write_integer(json, (int64_t)sum.counts[bucket]);
        json_end_array(json);
    }
    json_end_array(json);
    json_end_object(json);
}

/* [number, runs] for each that has any. */
static void write_runs(struct json_writer *json, int64_t number, uint64_t runs)
{
    if (runs == 0)
        return;
    json_begin_array(json);
    json_write_integer(json, number);
    json_write_integer(json, (int64_t)runs);
    json_end_array(json);
}

static void write_queue(struct json_writer *json, const struct service *service, const struct batcher_counts *counts)
{
    int size, halvings;

    object_at(json, "queue");
    json_put_integer(json, "length", (uint64_t)counts->waiting + (uint64_t)counts->preparing + (uint64_t)counts->ready);
    json_put_integer(json, "limit", (uint64_t)service->options->max_queue);
    json_put_integer(json, "waiting", (uint64_t)counts->waiting);
    json_put_integer(json, "preparing", (uint64_t)counts->preparing);
    json_put_integer(json, "ready", (uint64_t)counts->ready);
    json_put_integer(json, "running", (uint64_t)counts->running);
    json_put_integer(json, "finishing", (uint64_t)counts->finishing);
    json_end_object(json);
    object_at(json, "batches");
    json_put_integer(json, "count", counts->batches);
    json_put_integer(json, "limit", (uint64_t)service->batching.max_batch);
    json_key(json, "item_ms");
    json_write_rounded(json, counts->item_ms, 3);
    array_at(json, "sizes"); /* [size, runs] */
    for (size = 1; size <= BATCHER_MAX_BATCH; size++)
        write_runs(json, size, counts->batch_sizes[size]);
    json_end_array(json);
    json_end_object(json);
    object_at(json, "threads");
    json_put_integer(json, "limit", (uint64_t)service->batching.threads);
    json_put_integer(json, "busy", (uint64_t)counts->threads);
    array_at(json, "shares"); /* [threads of a run, runs] */
    for (halvings = 0; halvings <= BATCHER_MAX_HALVINGS; halvings++)
        write_runs(json, service->batching.threads >> halvings, counts->halvings[halvings]);
    json_end_array(json);
    json_end_object(json);
}

void describe_statistics(struct service *service, struct buffer *out)
{
    const struct statistics *statistics = &service->statistics;
    struct batcher_counts counts;
    struct json_writer json;
    int stage;

    batcher_count(service->batcher, &counts);
    json_init(&json, out);
    json_begin_object(&json);
    json_put_string(&json, "model", service->model);
    json_put_string(&json, "version", service->version);
    json_put_string(&json, "provider", service->info->provider);
    json_put_string(&json, "provider_why", service->info->provider_why);
    json_key(&json, "draining");
    json_write_boolean(&json, service->draining);
    write_queue(&json, service, &counts);
    object_at(&json, "requests");
    json_put_integer(&json, "total", statistics->requests);
    json_put_integer(&json, "answered_2xx", statistics->answers_2xx);
    json_put_integer(&json, "answered_4xx", statistics->answers_4xx);
    json_put_integer(&json, "answered_5xx", statistics->answers_5xx);
    json_end_object(&json);
    object_at(&json, "images");
    json_put_integer(&json, "accepted", counts.accepted);
    json_put_integer(&json, "succeeded", statistics->succeeded);
    json_put_integer(&json, "failed", statistics->failed);
    json_put_integer(&json, "refused", counts.refused);
    json_put_integer(&json, "expired", counts.expired);
    json_put_integer(&json, "cancelled", counts.cancelled);
    json_put_integer(&json, "displaced", counts.displaced);
    json_end_object(&json);
    object_at(&json, "stages");
    for (stage = 0; stage < STAGES; stage++)
        write_stage(&json, stage_names[stage], &statistics->stages[stage]);
    json_end_object(&json);
    object_at(&json, "memory");
    json_put_integer(&json, "resident_bytes", resident_bytes());
    json_put_integer(&json, "buffered_bytes", atomic_load(&http_server_counters(service->server)->buffered_bytes));
    json_end_object(&json);
    json_end_object(&json);
}
