/*
 * work.c - what a version's worker tells of its own work on an answer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two fields of the answer's head: Server-Timing (W3C, Server Timing: "decode;dur=1.25, queue;dur=0.1") has the stages,
 * X-Serin-Work (a dictionary as RFC 8941 has it: "pictures=1, batch=4, detections=7") has counts. Both are optional,
 * and come from processes that are not trusted: what cannot be read is passed over, and numbers have limits.
 */
#include "gateway/inside.h"

#define MOST_MS    1e7 /* of a stage: nearly three hours */
#define MOST_COUNT 1000000

static const char *const stage_names[] = {
#define X(stage) #stage,
    GATEWAY_STAGES(X)
#undef X
};

static const char *const count_names[] = {"pictures", "batch", "detections"};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct http_slice trim(struct http_slice text)
{
    while (text.size > 0 && is_blank(text.bytes[0])) {
        text.bytes++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.bytes[text.size - 1]))
        text.size--;
    return text;
}

/* What stands before the first separator, without blanks around it; *rest is what comes behind it. */
static struct http_slice cut(struct http_slice *rest, char separator)
{
    const char *end = rest->size > 0 ? memchr(rest->bytes, separator, rest->size) : NULL;
    struct http_slice found = {rest->bytes, end ? (size_t)(end - rest->bytes) : rest->size};

    rest->bytes += end ? found.size + 1 : found.size;
    rest->size -= end ? found.size + 1 : found.size;
    return trim(found);
}

/* Digits with at most one point among them; negative: it is something else, or beyond most. */
static double read_number(struct http_slice text, double most)
{
    double value = 0, unit = 1;
    bool after_point = false;
    size_t i;

    if (text.size == 0 || text.size > 16)
        return -1;
    for (i = 0; i < text.size; i++) {
        if (text.bytes[i] == '.' && !after_point) {
            after_point = true;
        } else if (text.bytes[i] >= '0' && text.bytes[i] <= '9') {
            value = value * 10 + (text.bytes[i] - '0');
            unit *= after_point ? 10 : 1;
        } else {
            return -1;
        }
    }
    return value / unit <= most ? value / unit : -1;
}

static int find(struct http_slice name, const char *const *names, int count)
{
    int i;

    for (i = 0; i < count && !http_slice_is(name, names[i]); i++)
        ;
    return i < count ? i : -1;
}

static void read_stages(struct http_slice field, struct work *ret)
{
    while (field.size > 0) {
        struct http_slice metric = cut(&field, ','), name = cut(&metric, ';');
        int stage = find(name, stage_names, GATEWAY_STAGE_COUNT);

        while (stage >= 0 && metric.size > 0) {
            struct http_slice value = cut(&metric, ';'), key = cut(&value, '=');
            double ms = http_slice_is(key, "dur") ? read_number(trim(value), MOST_MS) : -1;

            if (ms >= 0) {
                ret->stage_us[stage] = (uint64_t)(ms * 1000 + .5);
                ret->stages_told = true;
            }
        }
    }
}

static void read_counts(struct http_slice field, struct work *ret)
{
    uint32_t *const counts[] = {&ret->pictures, &ret->batch, &ret->detections};

    while (field.size > 0) {
        struct http_slice value = cut(&field, ','), name = cut(&value, '=');
        int at = find(name, count_names, 3);
        double number = read_number(trim(value), MOST_COUNT);

        if (at >= 0 && number >= 0)
            *counts[at] = (uint32_t)number;
    }
}

struct work work_read(const struct http_head *head)
{
    const struct http_slice *timing = http_find(head, "Server-Timing"), *counts = http_find(head, "X-Serin-Work");
    struct work work = {0};

    if (timing)
        read_stages(*timing, &work);
    if (counts)
        read_counts(*counts, &work);
    return work;
}

void work_count(struct thread *thread, int slot, const struct work *work)
{
    struct slot_counters *counters = &thread->counters[slot];
    int stage;

    for (stage = 0; stage < GATEWAY_STAGE_COUNT && work->stages_told; stage++)
        histogram_record(&counters->stages[stage], work->stage_us[stage]);
    if (work->batch > 0)
        histogram_record(&counters->batch, work->batch);
    if (work->pictures > 0)
        COUNT(thread, slot, pictures, work->pictures);
    if (work->detections > 0)
        COUNT(thread, slot, detections, work->detections);
}
