/*
 * record_write.c - records as lines of JSON, fast: a line is written for each request.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers are written as whole numbers of their smallest part (microseconds, 1e-9 of a share), which needs no printf.
 * The longest line: RECORD_MAX_PARTS parts of two doubled texts and six counts, slices, scores; it stays under
 * RECORD_MAX_LINE, and a part that would not fit is left out rather than cut.
 */
#include "judge/record.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

struct out {
    char *at;
};

#define TEXT(out, literal) put((out), (literal), sizeof(literal) - 1)

static void put(struct out *out, const char *text, size_t size)
{
    memcpy(out->at, text, size);
    out->at += size;
}

static void put_whole(struct out *out, uint64_t value)
{
    char digits[20];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        *out->at++ = digits[--count];
}

static uint64_t power_of_ten(int decimals)
{
    uint64_t power = 1;

    while (decimals-- > 0)
        power *= 10;
    return power;
}

/* value rounded to that many decimals, without trailing zeros. What no record may hold is written as the nearest end.
 */
static void put_fixed(struct out *out, double value, int decimals)
{
    const uint64_t power = power_of_ten(decimals);
    uint64_t parts, rest;

    if (value < 0) {
        *out->at++ = '-';
        value = -value;
    }
    if (!(value < 1e10))
        value = 1e10;
    parts = (uint64_t)llround(value * (double)power);
    put_whole(out, parts / power);
    rest = parts % power;
    if (!rest)
        return;
    *out->at++ = '.';
    for (uint64_t digit = power / 10; rest; digit /= 10) {
        *out->at++ = (char)('0' + rest / digit);
        rest %= digit;
    }
}

static void put_text(struct out *out, const char *text)
{
    size_t length;

    *out->at++ = '"';
    for (; *text; text += length) {
        length = text_utf8_length(text);
        if (length == 0 || (unsigned char)*text < ' ' || *text == 127) {
            *out->at++ = '?';
            length = 1;
            continue;
        }
        if (*text == '"' || *text == '\\')
            *out->at++ = '\\';
        put(out, text, length);
    }
    *out->at++ = '"';
}

#define COUNT(out, key, value) (TEXT((out), key), put_whole((out), (value)))

static void put_matches(struct out *out, const struct record_matches *matches)
{
    COUNT(out, "\"agreed\":", matches->agreed);
    COUNT(out, ",\"lost\":", matches->lost);
    COUNT(out, ",\"gained\":", matches->gained);
    COUNT(out, ",\"flipped\":", matches->flipped);
}

static void put_truth(struct out *out, const struct record_truth *truth)
{
    COUNT(out, "\"found\":", truth->found);
    COUNT(out, ",\"missed\":", truth->missed);
    COUNT(out, ",\"wrong\":", truth->wrong);
}

static void put_truths(struct out *out, const struct record *record, const struct record_truth truth[2])
{
    if (!record->label.both) {
        put_truth(out, &truth[record->arm]);
        return;
    }
    TEXT(out, "\"stable\":{");
    put_truth(out, &truth[JUDGE_STABLE]);
    TEXT(out, "},\"canary\":{");
    put_truth(out, &truth[JUDGE_CANARY]);
    *out->at++ = '}';
}

static void put_arm(struct out *out, enum judge_arm arm)
{
    TEXT(out, "\"arm\":");
    if (arm == JUDGE_CANARY)
        TEXT(out, "\"canary\"");
    else
        TEXT(out, "\"stable\"");
}

static void put_arm_and_share(struct out *out, const struct record *record)
{
    put_arm(out, record->arm);
    TEXT(out, ",\"share\":");
    put_fixed(out, record->share, 9);
}

static void put_camera(struct out *out, const struct record *record, bool comma)
{
    if (!record->camera[0])
        return;
    if (comma)
        *out->at++ = ',';
    TEXT(out, "\"camera\":");
    put_text(out, record->camera);
    if (!comma)
        *out->at++ = ',';
}

static void put_age(struct out *out, double age_s)
{
    if (!(age_s > 0))
        return;
    TEXT(out, "\"age\":");
    put_fixed(out, age_s, 3);
    *out->at++ = ',';
}

static void put_times(struct out *out, const struct record_request *request)
{
    const float times[3] = {request->total_ms, request->queue_ms, request->inference_ms};
    static const char *const keys[3] = {"\"total\":", "\"queue\":", "\"inference\":"};
    bool any = false;
    int i;

    for (i = 0; i < 3; i++) {
        if (!(times[i] >= 0))
            continue;
        if (any)
            *out->at++ = ',';
        else
            TEXT(out, ",\"latency_ms\":{");
        any = true;
        put(out, keys[i], strlen(keys[i]));
        put_fixed(out, (double)times[i], 3);
    }
    if (any)
        *out->at++ = '}';
}

static void put_request(struct out *out, const struct record *record)
{
    const struct record_request *request = &record->request;
    int i;

    *out->at++ = ',';
    put_age(out, request->age_s);
    put_arm_and_share(out, record);
    put_camera(out, record, true);
    COUNT(out, ",\"status\":", (uint64_t)request->status);
    if (request->fallback)
        TEXT(out, ",\"fallback\":true");
    put_times(out, request);
    if (request->detections < 0)
        return;
    COUNT(out, ",\"detections\":", (uint64_t)request->detections);
    if (request->score_count == 0)
        return;
    TEXT(out, ",\"scores\":[");
    for (i = 0; i < request->score_count; i++) {
        if (i)
            *out->at++ = ',';
        put_fixed(out, (double)request->scores[i], 4);
    }
    *out->at++ = ']';
}

static void put_pair(struct out *out, const struct record *record)
{
    TEXT(out, ",\"pair\":{");
    put_camera(out, record, false);
    put_matches(out, &record->pair.matches);
    if (record->pair.jitter >= 0) {
        TEXT(out, ",\"jitter\":");
        put_fixed(out, (double)record->pair.jitter, 4);
        TEXT(out, ",\"score_shift\":");
        put_fixed(out, (double)record->pair.score_shift, 4);
    }
    if (record->pair.noise)
        TEXT(out, ",\"noise\":true");
    if (record->pair.failed)
        TEXT(out, ",\"failed\":true");
    if (record->pair.unread)
        TEXT(out, ",\"unread\":true");
    *out->at++ = '}';
}

static void put_draw(struct out *out, const struct record *record)
{
    TEXT(out, ",\"draw\":{");
    put_age(out, record->draw.age_s);
    put_arm_and_share(out, record);
    put_camera(out, record, true);
    *out->at++ = '}';
}

static void put_label(struct out *out, const struct record *record)
{
    TEXT(out, ",\"label\":{");
    put_age(out, record->label.age_s);
    put_camera(out, record, false);
    if (!record->label.both) {
        put_arm_and_share(out, record);
        *out->at++ = ',';
    }
    put_truths(out, record, record->label.truth);
    *out->at++ = '}';
}

static void put_gauge(struct out *out, const struct record *record)
{
    TEXT(out, ",\"gauge\":{");
    put_arm(out, record->arm);
    if (record->gauge.memory_mb >= 0) {
        TEXT(out, ",\"memory_mb\":");
        put_fixed(out, record->gauge.memory_mb, 3);
    }
    if (record->gauge.gpu_memory_mb >= 0) {
        TEXT(out, ",\"gpu_memory_mb\":");
        put_fixed(out, record->gauge.gpu_memory_mb, 3);
    }
    TEXT(out, ",\"requests\":");
    put_fixed(out, record->gauge.requests, 0);
    *out->at++ = '}';
}

static void put_golden(struct out *out, const struct record *record)
{
    static const char *const keys[] = {"\"stable\":", "\"canary\":"};
    bool any = false;
    int arm;

    TEXT(out, ",\"golden\":{");
    for (arm = 0; arm < 2; arm++) {
        if (isnan(record->golden.map[arm]))
            continue;
        if (any)
            *out->at++ = ',';
        any = true;
        put(out, keys[arm], strlen(keys[arm]));
        put_fixed(out, record->golden.map[arm], 9);
    }
    *out->at++ = '}';
}

static void put_slices(struct out *out, const struct record *record)
{
    int i;

    if (record->slice_count == 0)
        return;
    TEXT(out, ",\"slice\":{");
    for (i = 0; i < record->slice_count; i++) {
        if (i)
            *out->at++ = ',';
        put_text(out, record->slices[i].name);
        *out->at++ = ':';
        put_text(out, record->slices[i].value);
    }
    *out->at++ = '}';
}

static void put_parts(struct out *out, const struct record *record)
{
    int i;

    if (record->part_count == 0)
        return;
    TEXT(out, ",\"parts\":[");
    for (i = 0; i < record->part_count; i++) {
        if (i)
            *out->at++ = ',';
        *out->at++ = '{';
        put_text(out, record->parts[i].of.name);
        *out->at++ = ':';
        put_text(out, record->parts[i].of.value);
        *out->at++ = ',';
        if (record->kind == RECORD_PAIR)
            put_matches(out, &record->parts[i].matches);
        else
            put_truths(out, record, record->parts[i].truth);
        *out->at++ = '}';
    }
    *out->at++ = ']';
}

size_t record_write(const struct record *record, char line[RECORD_MAX_LINE])
{
    static const char *const choices[] = {"neither", "stable", "canary", "both"};
    struct out out = {line};

    TEXT(&out, "{\"t\":");
    put_fixed(&out, record->t_s, 6);
    switch (record->kind) {
    case RECORD_REQUEST:
        put_request(&out, record);
        break;
    case RECORD_PAIR:
        put_pair(&out, record);
        break;
    case RECORD_LABEL:
        put_label(&out, record);
        break;
    case RECORD_CHOICE:
        TEXT(&out, ",\"choice\":\"");
        put(&out, choices[record->choice], strlen(choices[record->choice]));
        *out.at++ = '"';
        break;
    case RECORD_DRAW:
        put_draw(&out, record);
        break;
    case RECORD_GAUGE:
        put_gauge(&out, record);
        break;
    case RECORD_STEP:
        COUNT(&out, ",\"step\":", (uint64_t)record->step);
        break;
    case RECORD_LOOK:
        TEXT(&out, ",\"look\":true");
        break;
    case RECORD_GOLDEN:
        put_golden(&out, record);
        break;
    case RECORD_ACCEPT:
        TEXT(&out, ",\"accept\":");
        put_text(&out, record->accept);
        break;
    }
    if (record->kind <= RECORD_CHOICE)
        put_slices(&out, record);
    if (record->kind == RECORD_PAIR || record->kind == RECORD_LABEL)
        put_parts(&out, record);
    *out.at++ = '}';
    return (size_t)(out.at - line);
}

/* ---- what reading back gives ---- */

/* The double nearest to the decimal that put_fixed writes: a whole number divided by a power of ten is rounded once. */
static double rounded(double value, int decimals)
{
    const double power = (double)power_of_ten(decimals);

    if (!(fabs(value) < 1e10))
        value = value < 0 ? -1e10 : 1e10;
    return copysign((double)llround(fabs(value) * power) / power, value) + 0.0; /* no -0 */
}

/* Within the limits of what is read; what is no number is the lowest. */
static double limited(double value, double low, double high, int decimals)
{
    return rounded(fmin(high, fmax(low, value)), decimals);
}

static void round_float(float *value, double low, double high, int decimals)
{
    *value = (float)limited((double)*value, low, high, decimals);
}

static void round_text(char *text)
{
    size_t length;

    for (; *text; text += length) {
        length = text_utf8_length(text);
        if (length == 0 || (unsigned char)*text < ' ' || *text == 127) {
            *text = '?';
            length = 1;
        }
    }
}

static void round_age(double *age_s)
{
    *age_s = limited(*age_s, 0, RECORD_MAX_TIME_S, 3);
}

static void round_memory(double *memory_mb)
{
    *memory_mb = *memory_mb >= 0 ? limited(*memory_mb, 0, RECORD_MAX_MEMORY_MB, 3) : -1;
}

static void round_time(float *time_ms)
{
    if (*time_ms >= 0)
        round_float(time_ms, 0, RECORD_MAX_TIME_MS, 3);
    else
        *time_ms = -1;
}

void record_round(struct record *record)
{
    int i;

    record->t_s = limited(record->t_s, 0, RECORD_MAX_TIME_S, 6);
    record->share = limited(record->share, 0, 1, 9);
    round_text(record->camera);
    for (i = 0; i < record->slice_count; i++) {
        round_text(record->slices[i].name);
        round_text(record->slices[i].value);
    }
    for (i = 0; i < record->part_count; i++) {
        round_text(record->parts[i].of.name);
        round_text(record->parts[i].of.value);
    }
    if (record->kind == RECORD_REQUEST) {
        round_age(&record->request.age_s);
        round_time(&record->request.total_ms);
        round_time(&record->request.queue_ms);
        round_time(&record->request.inference_ms);
        if (record->request.detections < 0)
            record->request.score_count = 0;
        if (record->request.detections > RECORD_MAX_COUNT)
            record->request.detections = RECORD_MAX_COUNT;
        for (i = 0; i < record->request.score_count; i++)
            round_float(&record->request.scores[i], 0, 1, 4);
    } else if (record->kind == RECORD_PAIR) {
        if (record->pair.jitter >= 0) {
            round_float(&record->pair.jitter, 0, 1, 4);
            round_float(&record->pair.score_shift, -1, 1, 4);
        } else {
            record->pair.jitter = -1;
            record->pair.score_shift = 0;
        }
    } else if (record->kind == RECORD_LABEL) {
        round_age(&record->label.age_s);
    } else if (record->kind == RECORD_DRAW) {
        round_age(&record->draw.age_s);
    } else if (record->kind == RECORD_GOLDEN) {
        for (i = 0; i < 2; i++)
            record->golden.map[i] =
                isnan(record->golden.map[i]) ? (double)NAN : limited(record->golden.map[i], 0, 1, 9);
    } else if (record->kind == RECORD_ACCEPT) {
        round_text(record->accept);
    } else if (record->kind == RECORD_GAUGE) {
        round_memory(&record->gauge.memory_mb);
        round_memory(&record->gauge.gpu_memory_mb);
        record->gauge.requests = limited(record->gauge.requests, 0, RECORD_MAX_REQUESTS, 0);
    }
}
