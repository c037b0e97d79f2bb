/*
 * admission.c - comparing two bundles, and a bundle with the machine.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/admission.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a worker takes beyond its weights, and how often it holds those: measured peaks are 111 MB for 13 MB of yolov8n
 * and 225 MB for 45 MB of yolov8s (make bench), so four times and 100 MB is enough. */
#define WORKER_BYTES 100000000u
#define WEIGHTS_HELD 4

uint64_t admission_available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib = 0;
    char line[128];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    fclose(file);
    return (uint64_t)kib * 1024;
}

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static enum serin_errc check_answers(const struct bundle *bundle, const struct bundle *stable,
                                     struct serin_error *error)
{
    if (!is_same(bundle->task, stable->task))
        return error_set(error, SERIN_LIMIT,
                         "%s does %s, stable %s does %s: its clients would not understand; confirm it where "
                         "that is meant (--confirm)",
                         bundle->name.tag, bundle->task, stable->name.tag, stable->task);
    if (!is_same(bundle->class_names_json, stable->class_names_json))
        return error_set(error, SERIN_LIMIT,
                         "%s has the classes %.120s, stable %s has %.120s: confirm it where that is meant (--confirm)",
                         bundle->name.tag, bundle->class_names_json ? bundle->class_names_json : "[]", stable->name.tag,
                         stable->class_names_json ? stable->class_names_json : "[]");
    if (!is_same(bundle->inputs_json, stable->inputs_json) || !is_same(bundle->outputs_json, stable->outputs_json))
        return error_set(
            error, SERIN_LIMIT,
            "%s takes %.60s and gives %.60s, stable %s takes %.60s and gives %.60s: clients that send tensors would "
            "fail; confirm it where that is meant (--confirm)",
            bundle->name.tag, bundle->inputs_json ? bundle->inputs_json : "",
            bundle->outputs_json ? bundle->outputs_json : "", stable->name.tag,
            stable->inputs_json ? stable->inputs_json : "", stable->outputs_json ? stable->outputs_json : "");
    return SERIN_OK;
}

/* A floor without an evaluation is not passed: what was not measured is unknown, and unknown never ships. */
static enum serin_errc check_floor(const struct bundle *bundle, struct serin_error *error)
{
    double floor = bundle_setting_get(bundle, "golden_map_floor", 0), map = -1;
    json_t *root;

    if (floor <= 0)
        return SERIN_OK;
    root = bundle->eval_json ? json_loads(bundle->eval_json, 0, NULL) : NULL;
    if (root && json_is_number(json_object_get(root, "map50_95")))
        map = json_number_value(json_object_get(root, "map50_95"));
    json_decref(root);
    if (map < 0)
        return error_set(error, SERIN_LIMIT,
                         "%s has a floor of %g for its mAP50-95 and no evaluation: push it with --eval",
                         bundle->name.tag, floor);
    if (map < floor)
        return error_set(error, SERIN_LIMIT, "%s has an mAP50-95 of %.4f, its floor is %g", bundle->name.tag, map,
                         floor);
    return SERIN_OK;
}

static enum serin_errc check_memory(const struct bundle *bundle, int replicas, uint64_t available_bytes,
                                    struct serin_error *error)
{
    double limit = bundle_setting_get(bundle, "memory_mb", 0) * 1e6;
    uint64_t each = limit > 0 ? (uint64_t)limit : bundle->model_bytes * WEIGHTS_HELD + WORKER_BYTES;

    if (available_bytes > 0 && each * (uint64_t)replicas > available_bytes)
        return error_set(error, SERIN_LIMIT, "%d replicas of %s need about %llu MB, %llu MB are free beside what runs",
                         replicas, bundle->name.tag, (unsigned long long)(each * (uint64_t)replicas / 1000000),
                         (unsigned long long)(available_bytes / 1000000));
    return SERIN_OK;
}

enum serin_errc admission_check(const struct bundle *bundle, const struct bundle *stable, int replicas,
                                uint64_t available_bytes, bool confirmed, struct serin_error *error)
{
    enum serin_errc rc = SERIN_OK;

    if (stable && !confirmed)
        rc = check_answers(bundle, stable, error);
    if (rc == SERIN_OK)
        rc = check_floor(bundle, error);
    return rc == SERIN_OK ? check_memory(bundle, replicas, available_bytes, error) : rc;
}
