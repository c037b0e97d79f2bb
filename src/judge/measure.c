/*
 * measure.c - from records to observations: each guard's value of a record, into its cells.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_VALUE ((double)NAN)

/* Where a record's values go: the draw, or none; and its number in each dimension (-1: it has none). */
struct place {
    const struct record *record;
    const struct draw *draw;
    int camera;
    bool drawn; /* a draw gave it its arm, and a test may use it */
    int value[JUDGE_MAX_DIMENSIONS];
};

/* ---- values ---- */

static double request_value(enum measure measure, const struct record_request *request)
{
    double sum = 0;
    int i;

    switch (measure) {
    case MEASURE_ERROR_RATE:
        return request->fallback || request->status == 0 || request->status >= 500;
    case MEASURE_FALLBACK_RATE:
        return request->fallback;
    case MEASURE_IMAGE_TIME:
        return request->inference_ms >= 0 ? (double)request->inference_ms : NO_VALUE;
    case MEASURE_DETECTIONS:
        return request->detections >= 0 ? request->detections : NO_VALUE;
    case MEASURE_SCORE:
    case MEASURE_LOW_SCORES:
        for (i = 0; i < request->score_count; i++)
            sum += measure == MEASURE_SCORE ? (double)request->scores[i] : request->scores[i] < MEASURE_LOW_SCORE;
        return request->score_count ? sum / request->score_count : NO_VALUE;
    default:
        break;
    }
    switch (measure_time(measure)) {
    case 0:
        return request->total_ms >= 0 ? (double)request->total_ms : NO_VALUE;
    case 1:
        return request->queue_ms >= 0 ? (double)request->queue_ms : NO_VALUE;
    case 2:
        return request->inference_ms >= 0 ? (double)request->inference_ms : NO_VALUE;
    default:
        return NO_VALUE;
    }
}

static double share(double part, double rest, double of_nothing)
{
    return part + rest > 0 ? part / (part + rest) : of_nothing;
}

static double matches_value(enum measure measure, const struct record_matches *matches)
{
    const double agreed = matches->agreed, lost = matches->lost, gained = matches->gained, flipped = matches->flipped;

    switch (measure) {
    case MEASURE_DISAGREEMENT:
        return share(lost + gained + flipped, agreed, 0);
    case MEASURE_LOST:
        return share(lost, agreed + flipped, NO_VALUE);
    case MEASURE_GAINED:
        return share(gained, agreed + flipped, 0);
    case MEASURE_FLIPPED:
        return share(flipped, agreed + lost, NO_VALUE);
    default:
        return NO_VALUE;
    }
}

static double pair_value(enum measure measure, const struct record *record)
{
    if (measure == MEASURE_MIRROR_ERROR_RATE)
        return record->pair.failed;
    if (record->pair.failed || record->pair.unread)
        return NO_VALUE;
    if (measure == MEASURE_JITTER)
        return record->pair.jitter >= 0 ? (double)record->pair.jitter : NO_VALUE;
    if (measure == MEASURE_SCORE_SHIFT)
        return record->pair.jitter >= 0 ? (double)record->pair.score_shift : NO_VALUE;
    return matches_value(measure, &record->pair.matches);
}

/* Whether a frame counts must not depend on what a version answered, or the arms would not be comparable: a frame
 * without boxes has no wrong ones. */
static double truth_value(enum measure measure, const struct record_truth *truth)
{
    switch (measure) {
    case MEASURE_MISSED:
        return share(truth->missed, truth->found, NO_VALUE);
    case MEASURE_WRONG:
        return share(truth->wrong, truth->found, 0);
    case MEASURE_F1_LOSS:
        return share((double)truth->missed + truth->wrong, 2. * truth->found, 0);
    default:
        return NO_VALUE;
    }
}

/* ---- into cells ---- */

static void forget_factors(struct guard *guard)
{
    int i;

    for (i = 0; i < guard->side_count; i++)
        guard->sides[i].have_factors = false;
}

static void set_rho(struct judge *judge, double rho)
{
    int i;

    if (rho == judge->rho)
        return;
    judge_fold_all(judge);
    judge->rho = rho;
    for (i = 0; i < judge->guard_count; i++)
        forget_factors(&judge->guards[i]);
}

static void add_drawn(struct judge *judge, const struct place *place, struct cell *cell, int side, double x)
{
    const enum judge_arm arm = place->record->arm;

    if (place->draw)
        units_add(&judge->drawn, place->draw, place->camera, cell, side, x);
    else if (place->drawn)
        cell_add(judge, cell, arm, side, x);
    else if (arm == JUDGE_STABLE)
        cell_learn(cell, x);
}

/* Canary is over its margin if it is over stable's threshold by as much. */
static void add_time(struct judge *judge, const struct place *place, struct cell *cell, double time_ms)
{
    const struct guard *guard = cell->guard;
    int i;

    if (isnan(guard->threshold))
        return;
    if (place->record->arm == JUDGE_STABLE) {
        add_drawn(judge, place, cell, -1, time_ms > guard->threshold);
        return;
    }
    for (i = 0; i < guard->side_count; i++) {
        const struct side *side = &guard->sides[i];

        add_drawn(judge, place, cell, i,
                  time_ms > (side->kind == SIDE_LIMIT ? side->margin : guard->threshold * (1 + side->margin)));
    }
}

static void add_request_value(struct judge *judge, const struct place *place, struct cell *cell, double value)
{
    if (!cell)
        return;
    if (cell->guard->shape == SHAPE_QUANTILE)
        add_time(judge, place, cell, value);
    else if (cell->guard->scale > 0)
        add_drawn(judge, place, cell, -1, fmin(1, value / cell->guard->scale));
}

/* The value's own dimension of a part ("class", "size"), which the record as a whole does not have. */
static int dimension_named(const struct judge *judge, const char *name)
{
    int i;

    for (i = 0; i < judge->options.dimension_count; i++)
        if (strcmp(judge->options.dimensions[i].name, name) == 0)
            return i;
    return -1;
}

static void find_place(struct judge *judge, const struct record *record, struct place *ret)
{
    int i, dimension;

    *ret = (struct place){.record = record};
    for (i = 0; i < judge->options.dimension_count; i++) {
        ret->value[i] = -1;
        if (record->camera[0] && strcmp(judge->options.dimensions[i].name, "camera") == 0)
            ret->value[i] = names_number(&judge->values[i], record->camera);
    }
    for (i = 0; i < record->slice_count; i++) {
        dimension = dimension_named(judge, record->slices[i].name);
        if (dimension >= 0)
            ret->value[dimension] = names_number(&judge->values[dimension], record->slices[i].value);
    }
}

/* The sizes of the arms: each unit that was drawn, at_s, counts once. */
static void count_unit(struct judge *judge, const struct record *record, int camera, double at_s)
{
    struct guard *sizes = &judge->guards[judge->guard_count];
    double rho = record->share;
    bool first = true;

    if (judge->options.unit != JUDGE_REQUEST) {
        const struct draw *draw =
            units_draw(&judge->drawn, camera, UNITS_SIZES, record->arm, record->share, at_s, &first);

        rho = draw ? draw->rho : 0;
    }
    if (!first || !(rho > 0 && record->share < 1)) /* all traffic is watched, and compared with nothing */
        return;
    if (rho != judge->sizes_rho) {
        judge_fold_all(judge);
        judge->sizes_rho = rho;
        forget_factors(sizes);
    }
    cell_add(judge, sizes->whole, record->arm, -1, 1);
}

/* By the time of its answer the slower version's would be missing, and most where it cannot keep up. */
static void take_draw(struct judge *judge, const struct record *record)
{
    judge->has_draws = true;
    count_unit(judge, record, judge->options.unit == JUDGE_REQUEST ? 0 : names_number(&judge->cameras, record->camera),
               judge->t_s - record->draw.age_s);
}

/* Finds the draw of a drawn record. */
static void find_draw(struct judge *judge, struct place *place, enum units_stream stream)
{
    const struct record *record = place->record;
    bool first = true;
    double at_s = judge->t_s;

    place->drawn = record->share > 0;
    if (!place->drawn)
        return;
    if (judge->options.unit == JUDGE_REQUEST) {
        set_rho(judge, record->share);
    } else {
        place->camera = names_number(&judge->cameras, record->camera);
        /* A draw is of the time in which the frame was asked. By the time of its answer, what began in one block and
         * was slow, or waited for its copies, would stand for the next, and only where that went to the other version:
         * slow ones for both. */
        at_s -= stream == UNITS_LABELS      ? record->label.age_s
                : record->request.age_s > 0 ? record->request.age_s
                                            : fmax(0, (double)record->request.total_ms) / 1000;
        place->draw = units_draw(&judge->drawn, place->camera, stream, record->arm, record->share, at_s, &first);
    }
    if (stream == UNITS_REQUESTS && !judge->has_draws) /* a file that has none */
        count_unit(judge, record, place->camera, at_s);
    place->drawn = judge->options.unit == JUDGE_REQUEST || place->draw;
    if (place->drawn && first && stream == UNITS_REQUESTS)
        judge->step_units += record->arm == JUDGE_CANARY;
}

static void learn_scale(struct guard *guard, double value)
{
    struct bet_sums *seen = &guard->seen;

    if (guard->scale > 0)
        return;
    seen->n++;
    seen->x += value;
}

static void add_timing(struct timing **timing, enum judge_arm arm, double time_ms)
{
    if (!*timing)
        *timing = calloc(1, sizeof(**timing));
    if (*timing)
        timing_add(*timing, (int)arm, time_ms);
}

static void take_times(struct judge *judge, const struct place *place)
{
    const enum judge_arm arm = place->record->arm;
    int time, i;

    for (time = 0; time < MEASURE_TIMES; time++) {
        double value = request_value((enum measure)(MEASURE_LATENCY_P50 + 3 * time), &place->record->request);

        if (!judge->timing[time] || isnan(value))
            continue;
        timing_add(judge->timing[time], (int)arm, value);
        if (arm == JUDGE_STABLE)
            fading_add(&judge->fading[time], value);
        for (i = 0; i < judge->options.dimension_count; i++)
            if (place->value[i] >= 0 && judge->timing_of[i][time])
                add_timing(&judge->timing_of[i][time][place->value[i]], arm, value);
    }
}

static void take_request(struct judge *judge, const struct record *record)
{
    struct place place;
    int i, k;

    find_place(judge, record, &place);
    find_draw(judge, &place, UNITS_REQUESTS);
    /* A request without a draw, or after its unit's end, teaches what stable is like and no more. */
    if (!place.drawn && record->arm == JUDGE_CANARY)
        return;
    for (i = 0; i < judge->guard_count; i++) {
        struct guard *guard = &judge->guards[i];
        double value;

        if (guard->given->metric->source != JUDGE_FROM_REQUESTS)
            continue;
        value = request_value(guard->measure, &record->request);
        if (isnan(value))
            continue;
        guard->heard |= 1u << record->arm;
        if (record->arm == JUDGE_STABLE)
            learn_scale(guard, value);
        add_request_value(judge, &place, guard->whole, value);
        for (k = 0; k < judge->options.dimension_count; k++)
            if (place.value[k] >= 0)
                add_request_value(judge, &place, cell_of(judge, guard, k, place.value[k]), value);
    }
    take_times(judge, &place);
}

static void learn_noise(struct bet_sums *noise, double value)
{
    noise->n++;
    noise->x += value;
    noise->xx += value * value;
}

/* A pair's value: of stable with itself it is what the other is compared with. */
static void add_pair(struct judge *judge, const struct record *record, int camera, struct cell *cell, double value)
{
    if (!cell || isnan(value))
        return;
    if (!record->pair.noise)
        units_add(&judge->paired, NULL, camera, cell, -1, value);
    else if (cell->dimension < 0)
        learn_noise(&cell->guard->seen, value);
    else
        learn_noise(&cell->noise, value);
}

static void take_pair(struct judge *judge, const struct record *record)
{
    int camera = names_number(&judge->cameras, record->camera), i, k;
    struct place place;

    find_place(judge, record, &place);
    for (i = 0; i < judge->guard_count; i++) {
        struct guard *guard = &judge->guards[i];
        double value;

        if (guard->given->metric->source != JUDGE_FROM_PAIRS)
            continue;
        value = pair_value(guard->measure, record);
        if (!record->pair.noise)
            guard->heard = BOTH_ARMS;
        add_pair(judge, record, camera, guard->whole, value);
        for (k = 0; k < judge->options.dimension_count; k++)
            if (place.value[k] >= 0)
                add_pair(judge, record, camera, cell_of(judge, guard, k, place.value[k]), value);
        for (k = 0; k < record->part_count; k++) {
            int dimension = dimension_named(judge, record->parts[k].of.name);

            value = matches_value(guard->measure, &record->parts[k].matches);
            if (dimension >= 0 && !isnan(value))
                add_pair(judge, record, camera,
                         cell_of(judge, guard, dimension,
                                 names_number(&judge->values[dimension], record->parts[k].of.value)),
                         value);
        }
    }
}

static void add_truth(struct judge *judge, const struct place *place, struct cell *cell,
                      const struct record_truth truth[2])
{
    const struct record *record = place->record;
    double values[2] = {0, 0};

    if (!cell)
        return;
    if (!record->label.both) {
        values[0] = truth_value(cell->guard->measure, &truth[record->arm]);
        if (!isnan(values[0]))
            add_drawn(judge, place, cell, -1, values[0]);
        return;
    }
    values[0] = truth_value(cell->guard->measure, &truth[JUDGE_STABLE]);
    values[1] = truth_value(cell->guard->measure, &truth[JUDGE_CANARY]);
    if (!isnan(values[0]) && !isnan(values[1]))
        cell_add_both(judge, cell, values[0], values[1]);
}

static void take_label(struct judge *judge, const struct record *record)
{
    struct place place;
    int i, k;

    find_place(judge, record, &place);
    if (!record->label.both)
        find_draw(judge, &place, UNITS_LABELS);
    for (i = 0; i < judge->guard_count; i++) {
        struct guard *guard = &judge->guards[i];

        if (guard->given->metric->source != JUDGE_FROM_LABELS)
            continue;
        guard->heard = BOTH_ARMS;
        add_truth(judge, &place, guard->whole, record->label.truth);
        for (k = 0; k < judge->options.dimension_count; k++)
            if (place.value[k] >= 0)
                add_truth(judge, &place, cell_of(judge, guard, k, place.value[k]), record->label.truth);
        for (k = 0; k < record->part_count; k++) {
            int dimension = dimension_named(judge, record->parts[k].of.name);

            if (dimension >= 0)
                add_truth(judge, &place,
                          cell_of(judge, guard, dimension,
                                  names_number(&judge->values[dimension], record->parts[k].of.value)),
                          record->parts[k].truth);
        }
    }
}

static void take_choice(struct judge *judge, const struct record *record)
{
    struct place place;
    struct cell *cell;
    int i, k;

    if (record->choice != RECORD_STABLE_RIGHT && record->choice != RECORD_CANARY_RIGHT)
        return; /* it does not tell them apart */
    find_place(judge, record, &place);
    for (i = 0; i < judge->guard_count; i++) {
        struct guard *guard = &judge->guards[i];

        if (guard->given->metric->source != JUDGE_FROM_CHOICES)
            continue;
        guard->heard = BOTH_ARMS;
        cell_add(judge, guard->whole, JUDGE_CANARY, -1, record->choice == RECORD_STABLE_RIGHT);
        for (k = 0; k < judge->options.dimension_count; k++)
            if (place.value[k] >= 0 && (cell = cell_of(judge, guard, k, place.value[k])))
                cell_add(judge, cell, JUDGE_CANARY, -1, record->choice == RECORD_STABLE_RIGHT);
    }
}

void measure_record(struct judge *judge, const struct record *record)
{
    switch (record->kind) {
    case RECORD_REQUEST:
        judge->step_seen += record->arm == JUDGE_CANARY;
        take_request(judge, record);
        break;
    case RECORD_PAIR:
        judge->step_seen += !record->pair.noise && !record->pair.failed;
        take_pair(judge, record);
        break;
    case RECORD_LABEL:
        judge->step_seen += record->label.both || record->arm == JUDGE_CANARY;
        judge->label_t_s = judge->t_s;
        take_label(judge, record);
        break;
    case RECORD_CHOICE:
        judge->step_seen++;
        take_choice(judge, record);
        break;
    case RECORD_DRAW:
        take_draw(judge, record);
        break;
    case RECORD_GAUGE:
        gauges_add(judge, record);
        break;
    default:
        break;
    }
}

/* ---- units and predictions ---- */

static void close_unit(void *user, const struct unit *unit)
{
    struct judge *judge = user;

    if (unit->draw)
        set_rho(judge, unit->rho);
    cell_add(judge, unit->cell, unit->arm, unit->side, unit->x / unit->n);
}

bool measure_close(struct judge *judge, double t_s)
{
    units_close(&judge->paired, t_s, close_unit, judge);
    return judge->options.unit != JUDGE_REQUEST && units_close(&judge->drawn, t_s, close_unit, judge);
}

void measure_renew(struct judge *judge)
{
    int i;

    for (i = 0; i < MEASURE_TIMES; i++)
        fading_fade(&judge->fading[i], judge->t_s);
    for (i = 0; i < judge->guard_count; i++) {
        struct guard *guard = &judge->guards[i];
        const double level = measure_level(guard->measure);

        if (guard->shape == SHAPE_QUANTILE) {
            const struct fading *fading = &judge->fading[measure_time(guard->measure)];

            if (fading->total >= fmax(LEARNED_FROM, 2 / (1 - level)))
                guard->threshold = fading_quantile(fading, level);
        } else if (guard->scale <= 0 && guard->seen.n >= LEARNED_FROM) {
            guard->scale = fmax(guard->seen.x / guard->seen.n * (guard->measure == MEASURE_DETECTIONS ? 4 : 8), 1e-3);
            if (guard->measure == MEASURE_DETECTIONS)
                guard->scale = fmax(guard->scale, 8);
        } else if (guard->given->metric->source == JUDGE_FROM_PAIRS && guard->lowest == 0) {
            floor_renew(guard->floor, &guard->seen);
        }
    }
}
