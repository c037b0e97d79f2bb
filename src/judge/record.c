/*
 * record.c - reads a line of observations, and believes nothing that it says.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each kind of record has its keys; an unknown or doubled one, a number out of its range, or a text that is too long is
 * an error that names the key. What is written here is what record_write.c writes, and what people may write by hand:
 * keys with a usual value may be absent.
 */
#include "judge/record.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define MAX_STEP 1000

/* An object that is being read: each key that is asked for is counted, so that what is left over is unknown. */
struct reader {
    const json_t *object;
    const char *where; /* "label", ""; for the sentence */
    size_t taken;
    enum serin_errc rc;
    struct serin_error *error;
};

static void fail(struct reader *reader, const char *key, const char *what)
{
    if (reader->rc == SERIN_OK)
        reader->rc = error_set(reader->error, SERIN_INVALID, "%s%s%.40s: %s", reader->where, *reader->where ? "." : "",
                               key, what);
}

static const json_t *take(struct reader *reader, const char *key)
{
    const json_t *value = json_object_get(reader->object, key);

    reader->taken += value != NULL;
    return value;
}

static double take_number(struct reader *reader, const char *key, double min, double max, double absent)
{
    const json_t *value = take(reader, key);
    char text[80];
    double number;

    if (!value || json_is_null(value)) {
        if (isnan(absent))
            fail(reader, key, "is missing");
        return absent;
    }
    number = json_number_value(value);
    if (json_is_number(value) && number >= min && number <= max)
        return number;
    snprintf(text, sizeof(text), "must be a number from %g to %g", min, max);
    fail(reader, key, text);
    return isnan(absent) ? min : absent;
}

static int64_t take_whole(struct reader *reader, const char *key, int64_t max, int64_t absent)
{
    const json_t *value = take(reader, key);
    char text[80];

    if (!value || json_is_null(value))
        return absent;
    if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= max)
        return json_integer_value(value);
    snprintf(text, sizeof(text), "must be a whole number from 0 to %lld", (long long)max);
    fail(reader, key, text);
    return absent;
}

static bool take_boolean(struct reader *reader, const char *key)
{
    const json_t *value = take(reader, key);

    if (value && !json_is_boolean(value))
        fail(reader, key, "must be true or false");
    return json_is_true(value);
}

static void copy_text(struct reader *reader, const char *key, const json_t *value, char *ret, size_t max)
{
    const char *text = json_string_value(value);
    char sentence[80];
    size_t size = json_string_length(value), i;

    if (!text) {
        fail(reader, key, "must be text");
        return;
    }
    if (size > max) {
        snprintf(sentence, sizeof(sentence), "has %zu bytes, the limit is %zu", size, max);
        fail(reader, key, sentence);
        return;
    }
    for (i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127) {
            fail(reader, key, "has a control character");
            return;
        }
    memcpy(ret, text, size);
    ret[size] = '\0';
}

static void take_camera(struct reader *reader, struct record *record)
{
    const json_t *value = take(reader, "camera");

    if (value)
        copy_text(reader, "camera", value, record->camera, RECORD_MAX_VALUE);
}

/* words end with NULL; returns which. */
static int take_word(struct reader *reader, const char *key, const char *const *words, const char *sentence)
{
    const char *text = json_string_value(take(reader, key));
    int i;

    for (i = 0; text && words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    fail(reader, key, sentence);
    return 0;
}

static enum judge_arm take_arm(struct reader *reader)
{
    static const char *const arms[] = {"stable", "canary", NULL};

    return (enum judge_arm)take_word(reader, "arm", arms, "must be \"stable\" or \"canary\"");
}

static struct reader open_object(struct reader *parent, const char *key, const json_t *value)
{
    struct reader reader = {value, key, 0, parent->rc, parent->error};

    if (!json_is_object(value)) {
        fail(parent, key, "must be an object");
        reader.rc = parent->rc;
    }
    return reader;
}

static void close_object(struct reader *parent, struct reader *reader, const char *const *known)
{
    const char *key;
    json_t *value;
    int i;

    if (reader->rc == SERIN_OK && reader->taken != json_object_size(reader->object))
        json_object_foreach((json_t *)reader->object, key, value)
        {
            for (i = 0; known[i] && strcmp(known[i], key) != 0; i++)
                ;
            if (!known[i]) {
                fail(reader, key, "is not a key of this record");
                break;
            }
        }
    parent->rc = reader->rc;
}

/* ---- the kinds ---- */

static void read_scores(struct reader *reader, struct record_request *request)
{
    const json_t *scores = take(reader, "scores");
    size_t i;

    if (!scores)
        return;
    if (!json_is_array(scores)) {
        fail(reader, "scores", "must be a list");
        return;
    }
    for (i = 0; i < json_array_size(scores); i++) {
        const json_t *score = json_array_get(scores, i);

        if (!json_is_number(score) || !(json_number_value(score) >= 0 && json_number_value(score) <= 1)) {
            fail(reader, "scores", "must be numbers from 0 to 1");
            return;
        }
        if (i < RECORD_MAX_SCORES)
            request->scores[request->score_count++] = (float)json_number_value(score);
    }
    if (request->detections < 0)
        request->detections = (int)(i < RECORD_MAX_COUNT ? i : RECORD_MAX_COUNT);
}

static void read_request(struct reader *reader, struct record *record)
{
    static const char *const known[] = {"total", "queue", "inference", NULL};
    struct record_request *request = &record->request;
    const json_t *latency;

    record->kind = RECORD_REQUEST;
    request->age_s = take_number(reader, "age", 0, RECORD_MAX_TIME_S, 0);
    record->arm = take_arm(reader);
    record->share = take_number(reader, "share", 0, 1, (double)NAN);
    take_camera(reader, record);
    request->status = (int)take_whole(reader, "status", 999, 200);
    request->fallback = take_boolean(reader, "fallback");
    request->total_ms = request->queue_ms = request->inference_ms = -1;
    latency = take(reader, "latency_ms");
    if (latency) {
        struct reader times = open_object(reader, "latency_ms", latency);

        request->total_ms = (float)take_number(&times, "total", 0, RECORD_MAX_TIME_MS, -1);
        request->queue_ms = (float)take_number(&times, "queue", 0, RECORD_MAX_TIME_MS, -1);
        request->inference_ms = (float)take_number(&times, "inference", 0, RECORD_MAX_TIME_MS, -1);
        close_object(reader, &times, known);
    }
    request->detections = (int)take_whole(reader, "detections", RECORD_MAX_COUNT, -1);
    read_scores(reader, request);
}

static void read_matches(struct reader *reader, struct record_matches *matches)
{
    matches->agreed = (uint32_t)take_whole(reader, "agreed", RECORD_MAX_COUNT, 0);
    matches->lost = (uint32_t)take_whole(reader, "lost", RECORD_MAX_COUNT, 0);
    matches->gained = (uint32_t)take_whole(reader, "gained", RECORD_MAX_COUNT, 0);
    matches->flipped = (uint32_t)take_whole(reader, "flipped", RECORD_MAX_COUNT, 0);
}

static void read_truth(struct reader *reader, struct record_truth *truth)
{
    truth->found = (uint32_t)take_whole(reader, "found", RECORD_MAX_COUNT, 0);
    truth->missed = (uint32_t)take_whole(reader, "missed", RECORD_MAX_COUNT, 0);
    truth->wrong = (uint32_t)take_whole(reader, "wrong", RECORD_MAX_COUNT, 0);
}

static void read_truths(struct reader *reader, const struct record *record, struct record_truth truth[2])
{
    static const char *const known[] = {"found", "missed", "wrong", NULL}, *const arms[] = {"stable", "canary"};
    int arm;

    if (!record->label.both) {
        read_truth(reader, &truth[record->arm]);
        return;
    }
    for (arm = 0; arm < 2; arm++) {
        struct reader inner = open_object(reader, arms[arm], take(reader, arms[arm]));

        read_truth(&inner, &truth[arm]);
        close_object(reader, &inner, known);
    }
}

static void read_pair(struct reader *outer, struct record *record)
{
    static const char *const known[] = {"camera",      "agreed", "lost",   "gained", "flipped", "jitter",
                                        "score_shift", "noise",  "failed", "unread", NULL};
    struct reader reader = open_object(outer, "pair", take(outer, "pair"));

    record->kind = RECORD_PAIR;
    take_camera(&reader, record);
    read_matches(&reader, &record->pair.matches);
    record->pair.jitter = (float)take_number(&reader, "jitter", 0, 1, -1);
    record->pair.score_shift = (float)take_number(&reader, "score_shift", -1, 1, 0);
    if (record->pair.jitter < 0)
        record->pair.score_shift = 0;
    record->pair.noise = take_boolean(&reader, "noise");
    record->pair.failed = take_boolean(&reader, "failed");
    record->pair.unread = take_boolean(&reader, "unread");
    close_object(outer, &reader, known);
}

static void read_label(struct reader *outer, struct record *record)
{
    static const char *const one[] = {"age", "arm", "share", "camera", "found", "missed", "wrong", NULL};
    static const char *const two[] = {"age", "camera", "stable", "canary", NULL};
    struct reader reader = open_object(outer, "label", take(outer, "label"));

    record->kind = RECORD_LABEL;
    take_camera(&reader, record);
    record->label.age_s = take_number(&reader, "age", 0, RECORD_MAX_TIME_S, 0);
    record->label.both = json_object_get(reader.object, "stable") || json_object_get(reader.object, "canary");
    if (!record->label.both) {
        record->arm = take_arm(&reader);
        record->share = take_number(&reader, "share", 0, 1, (double)NAN);
    }
    read_truths(&reader, record, record->label.truth);
    close_object(outer, &reader, record->label.both ? two : one);
}

static void read_draw(struct reader *outer, struct record *record)
{
    static const char *const known[] = {"age", "arm", "share", "camera", NULL};
    struct reader reader = open_object(outer, "draw", take(outer, "draw"));

    record->kind = RECORD_DRAW;
    record->draw.age_s = take_number(&reader, "age", 0, RECORD_MAX_TIME_S, 0);
    record->arm = take_arm(&reader);
    record->share = take_number(&reader, "share", 0, 1, (double)NAN);
    take_camera(&reader, record);
    close_object(outer, &reader, known);
}

static void read_gauge(struct reader *outer, struct record *record)
{
    static const char *const known[] = {"arm", "memory_mb", "gpu_memory_mb", "requests", NULL};
    struct reader reader = open_object(outer, "gauge", take(outer, "gauge"));

    record->kind = RECORD_GAUGE;
    record->arm = take_arm(&reader);
    record->gauge.memory_mb = take_number(&reader, "memory_mb", 0, RECORD_MAX_MEMORY_MB, -1);
    record->gauge.gpu_memory_mb = take_number(&reader, "gpu_memory_mb", 0, RECORD_MAX_MEMORY_MB, -1);
    record->gauge.requests = take_number(&reader, "requests", 0, RECORD_MAX_REQUESTS, 0);
    close_object(outer, &reader, known);
}

static void read_slices(struct reader *reader, struct record *record)
{
    const json_t *slices = take(reader, "slice");
    const char *key;
    json_t *value;

    if (!slices)
        return;
    if (!json_is_object(slices)) {
        fail(reader, "slice", "must be an object");
        return;
    }
    json_object_foreach((json_t *)slices, key, value)
    {
        struct record_slice *slice = &record->slices[record->slice_count];
        struct reader inner = {slices, "slice", 0, reader->rc, reader->error};
        json_t *name;

        if (record->slice_count == RECORD_MAX_SLICES) {
            fail(reader, "slice", "has more than 6 slices");
            return;
        }
        name = json_string(key);
        copy_text(&inner, "name", name, slice->name, RECORD_MAX_NAME);
        json_decref(name);
        copy_text(&inner, key, value, slice->value, RECORD_MAX_VALUE);
        reader->rc = inner.rc;
        if (reader->rc != SERIN_OK)
            return;
        record->slice_count++;
    }
}

static void read_part(struct reader *outer, const json_t *value, struct record *record)
{
    static const char *const pair[] = {"agreed", "lost", "gained", "flipped", NULL};
    static const char *const one[] = {"found", "missed", "wrong", NULL}, *const two[] = {"stable", "canary", NULL};
    struct record_part *part = &record->parts[record->part_count];
    struct reader reader = open_object(outer, "parts", value);
    const char *key, *name = NULL;
    json_t *inner, *text;

    json_object_foreach((json_t *)value, key, inner)
    {
        if (!json_is_string(inner))
            continue;
        if (name)
            fail(&reader, key, "is a second name of the part");
        name = key;
        reader.taken++;
        text = json_string(key);
        copy_text(&reader, "name", text, part->of.name, RECORD_MAX_NAME);
        json_decref(text);
        copy_text(&reader, key, inner, part->of.value, RECORD_MAX_VALUE);
    }
    if (!name)
        fail(&reader, "class", "is missing, or another text that says of what it is a part");
    if (record->kind == RECORD_PAIR)
        read_matches(&reader, &part->matches);
    else
        read_truths(&reader, record, part->truth);
    if (reader.rc == SERIN_OK && reader.taken != json_object_size(value)) {
        const char *known[8] = {name};

        memcpy(known + 1,
               record->kind == RECORD_PAIR ? pair
               : record->label.both        ? two
                                           : one,
               record->kind == RECORD_PAIR ? sizeof(pair)
               : record->label.both        ? sizeof(two)
                                           : sizeof(one));
        close_object(outer, &reader, known);
    }
    outer->rc = reader.rc;
    record->part_count++;
}

static void read_golden(struct reader *outer, struct record *record)
{
    static const char *const known[] = {"stable", "canary", NULL};
    struct reader reader = open_object(outer, "golden", take(outer, "golden"));
    int arm;

    record->kind = RECORD_GOLDEN;
    for (arm = 0; arm < 2; arm++) {
        const double map = take_number(&reader, known[arm], 0, 1, -1);

        record->golden.map[arm] = map < 0 ? (double)NAN : map;
    }
    close_object(outer, &reader, known);
}

static void read_parts(struct reader *reader, struct record *record)
{
    const json_t *parts = take(reader, "parts");
    size_t i;

    if (!parts)
        return;
    if (!json_is_array(parts) || json_array_size(parts) > RECORD_MAX_PARTS) {
        fail(reader, "parts", "must be a list of at most 16");
        return;
    }
    for (i = 0; i < json_array_size(parts) && reader->rc == SERIN_OK; i++)
        read_part(reader, json_array_get(parts, i), record);
}

static void read_record(struct reader *reader, struct record *record)
{
    static const char *const request[] = {"t",        "age",        "arm",        "share",  "camera", "status",
                                          "fallback", "latency_ms", "detections", "scores", "slice",  NULL};
    static const char *const pair[] = {"t", "pair", "slice", "parts", NULL};
    static const char *const label[] = {"t", "label", "slice", "parts", NULL};
    static const char *const choice[] = {"t", "choice", "slice", NULL};
    static const char *const draw[] = {"t", "draw", NULL};
    static const char *const gauge[] = {"t", "gauge", NULL}, *const step[] = {"t", "step", NULL};
    static const char *const look[] = {"t", "look", NULL}, *const accept[] = {"t", "accept", NULL};
    static const char *const golden[] = {"t", "golden", NULL};
    static const char *const choices[] = {"neither", "stable", "canary", "both", NULL};
    const char *const *known = request;
    struct reader parent = *reader;

    record->t_s = take_number(reader, "t", 0, RECORD_MAX_TIME_S, (double)NAN);
    if (json_object_get(reader->object, "arm")) {
        read_request(reader, record);
    } else if (json_object_get(reader->object, "pair")) {
        known = pair;
        read_pair(reader, record);
    } else if (json_object_get(reader->object, "label")) {
        known = label;
        read_label(reader, record);
    } else if (json_object_get(reader->object, "choice")) {
        known = choice;
        record->kind = RECORD_CHOICE;
        record->choice = take_word(reader, "choice", choices, "must be stable, canary, both or neither");
    } else if (json_object_get(reader->object, "draw")) {
        known = draw;
        read_draw(reader, record);
    } else if (json_object_get(reader->object, "gauge")) {
        known = gauge;
        read_gauge(reader, record);
    } else if (json_object_get(reader->object, "step")) {
        known = step;
        record->kind = RECORD_STEP;
        record->step = (int)take_whole(reader, "step", MAX_STEP, 0);
    } else if (json_object_get(reader->object, "look")) {
        known = look;
        record->kind = RECORD_LOOK;
        if (!take_boolean(reader, "look"))
            fail(reader, "look", "must be true");
    } else if (json_object_get(reader->object, "golden")) {
        known = golden;
        read_golden(reader, record);
    } else if (json_object_get(reader->object, "accept")) {
        known = accept;
        record->kind = RECORD_ACCEPT;
        copy_text(reader, "accept", take(reader, "accept"), record->accept, RECORD_MAX_GUARD);
    } else {
        fail(reader, "record", "has none of arm, pair, label, choice, draw, gauge, golden, step, look, accept");
    }
    if (record->kind <= RECORD_CHOICE)
        read_slices(reader, record);
    if (record->kind == RECORD_PAIR || record->kind == RECORD_LABEL)
        read_parts(reader, record);
    parent.rc = reader->rc;
    close_object(&parent, reader, known);
}

enum serin_errc record_read(const char *line, size_t size, struct record *ret, struct serin_error *error)
{
    struct record record = {.t_s = 0};
    struct reader reader = {.where = "", .error = error};
    json_error_t why;
    json_t *root;

    if (size > RECORD_MAX_LINE)
        return error_set(error, SERIN_INVALID, "the line has %zu bytes, the limit is %d", size, RECORD_MAX_LINE);
    root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(error, SERIN_INVALID, "not a JSON object: %s", root ? "something else" : why.text);
    }
    reader.object = root;
    read_record(&reader, &record);
    json_decref(root);
    if (reader.rc == SERIN_OK)
        *ret = record;
    return reader.rc;
}
