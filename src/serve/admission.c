/*
 * admission.c - comparing two bundles, and a bundle with the machine.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/admission.h"

#include "base/text.h"
#include "runtime/limits.h"

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
    uint64_t available;
    char line[128];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    fclose(file);
    available = limits_available_bytes();
    return available < (uint64_t)kib * 1024 ? available : (uint64_t)kib * 1024;
}

static unsigned long long mega(uint64_t bytes)
{
    return bytes / 1000000;
}

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Whether who sends stable's tensors is served: the same shapes, or a free dimension where stable's is fixed. Both as
 * ["fp32[?,3,640,640]"]. */
static bool takes_all_of(const char *own, const char *stable)
{
    own = own ? own : "";
    stable = stable ? stable : "";
    for (; *own; own++) {
        size_t digits = strspn(stable, "0123456789");

        if (*own == '?' && digits > 0)
            stable += digits;
        else if (*own != *stable++)
            return false;
    }
    return !*stable;
}

#define CLASSES_TOLD   3
#define MAX_CLASS_NAME 24 /* bytes that are told of one */

/* "'bus'", "missing"; of a long name its beginning. */
static void name_class(const json_t *names, size_t number, char text[MAX_CLASS_NAME + 8])
{
    const char *name = json_string_value(json_array_get(names, number));
    size_t used = 0, length;

    while (name && name[used] && (length = text_utf8_length(name + used)) > 0 && used + length <= MAX_CLASS_NAME)
        used += length;
    snprintf(text, MAX_CLASS_NAME + 8, name ? "'%.*s%s'" : "missing", (int)used, name, name && name[used] ? "..." : "");
}

/* How many differ, and the first of them. */
static enum serin_errc refuse_classes(const struct bundle *bundle, const struct bundle *stable,
                                      struct serin_error *error)
{
    json_t *own = json_loads(bundle->class_names_json ? bundle->class_names_json : "[]", 0, NULL);
    json_t *others = json_loads(stable->class_names_json ? stable->class_names_json : "[]", 0, NULL);
    const size_t counts[] = {json_array_size(own), json_array_size(others)};
    size_t differing = 0, used = 0, i;
    char told[CLASSES_TOLD * 150] = "";

    for (i = 0; i < counts[0] || i < counts[1]; i++) {
        char of_own[MAX_CLASS_NAME + 8], of_other[MAX_CLASS_NAME + 8];

        if (json_equal(json_array_get(own, i), json_array_get(others, i)))
            continue;
        name_class(own, i, of_own);
        name_class(others, i, of_other);
        if (differing++ < CLASSES_TOLD)
            used += (size_t)snprintf(told + used, sizeof(told) - used, "%sclass %zu is %s, stable's is %s",
                                     used ? "; " : "", i, of_own, of_other);
    }
    json_decref(own);
    json_decref(others);
    return error_set(
        error, SERIN_LIMIT,
        "%s has %zu classes, stable %s has %zu, and %zu differ (confirm it where that is meant: --confirm): "
        "%s%s",
        bundle->name.tag, counts[0], stable->name.tag, counts[1], differing, told,
        differing > CLASSES_TOLD ? "; and so on" : "");
}

enum serin_errc admission_check_answers(const struct bundle *bundle, const struct bundle *stable,
                                        struct serin_error *error)
{
    if (!is_same(bundle->task, stable->task))
        return error_set(error, SERIN_LIMIT,
                         "%s does %s, stable %s does %s: its clients would not understand; confirm it where "
                         "that is meant (--confirm)",
                         bundle->name.tag, bundle->task, stable->name.tag, stable->task);
    if (!is_same(bundle->class_names_json, stable->class_names_json))
        return refuse_classes(bundle, stable, error);
    if (!takes_all_of(bundle->inputs_json, stable->inputs_json) ||
        !takes_all_of(bundle->outputs_json, stable->outputs_json))
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
enum serin_errc admission_check_accuracy(const struct bundle *bundle, const struct bundle *stable, double floor,
                                         double margin, struct serin_error *error)
{
    const char *name, *stable_name;
    double own_floor = bundle_setting_get(bundle, "golden_map_floor", 0);
    double accuracy = bundle_accuracy(bundle, &name), of_stable;

    floor = own_floor > floor ? own_floor : floor;
    if (floor > 0 && accuracy < 0)
        return error_set(error, SERIN_LIMIT,
                         "%s has a floor of %g for its accuracy and no evaluation: push it with --eval, or confirm it "
                         "(--confirm)",
                         bundle->name.tag, floor);
    if (accuracy >= 0 && accuracy < floor)
        return error_set(error, SERIN_LIMIT,
                         "%s has %s of %.4f, its floor is %g: confirm it where that is meant (--confirm)",
                         bundle->name.tag, name, accuracy, floor);
    if (!stable || accuracy < 0 || !bundle_same_evaluation_data(bundle, stable))
        return SERIN_OK;
    of_stable = bundle_accuracy(stable, &stable_name);
    if (strcmp(name, stable_name) == 0 && accuracy < of_stable - margin)
        return error_set(error, SERIN_LIMIT,
                         "%s has %s of %.4f, stable %s has %.4f on the same pictures, and at most %g less is let in: "
                         "confirm it where that is meant (--confirm)",
                         bundle->name.tag, name, accuracy, stable->name.tag, of_stable, margin);
    return SERIN_OK;
}

enum serin_errc admission_estimate_memory(const struct bundle *bundle, int replicas, uint64_t available,
                                          uint64_t reserve, struct serin_error *error)
{
    double limit = bundle_setting_get(bundle, "memory_mb", 0) * 1e6;
    uint64_t each = limit > 0 ? (uint64_t)limit : bundle->model_bytes * WEIGHTS_HELD + WORKER_BYTES;
    uint64_t needed = each * (uint64_t)replicas;

    if (available > 0 && needed + reserve > available)
        return error_set(error, SERIN_LIMIT,
                         "%d replicas of %s need about %llu MB, %llu MB are free beside what runs, of which %llu MB "
                         "stay so (memory_reserve_mb)",
                         replicas, bundle->name.tag, mega(needed), mega(available), mega(reserve));
    return SERIN_OK;
}

static uint64_t growth(uint64_t resident, uint64_t peak)
{
    return peak > resident ? peak - resident : 0;
}

enum serin_errc admission_check_memory(const struct bundle *bundle, const struct admission_memory *memory,
                                       uint64_t reserve, struct serin_error *error)
{
    uint64_t more = growth(memory->resident, memory->peak) + growth(memory->stable_resident, memory->stable_peak);

    if (memory->available > 0 && more + reserve > memory->available)
        return error_set(
            error, SERIN_LIMIT,
            "%s holds %llu MB and has needed %llu MB, stable beside it %llu and %llu MB: together they may "
            "want %llu MB more, and %llu MB are free, of which %llu MB stay so (memory_reserve_mb)",
            bundle->name.tag, mega(memory->resident), mega(memory->peak), mega(memory->stable_resident),
            mega(memory->stable_peak), mega(more), mega(memory->available), mega(reserve));
    return SERIN_OK;
}
