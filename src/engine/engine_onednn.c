/*
 * engine_onednn.c - the backend that plans networks itself and runs them on the CPU with oneDNN.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A network is read once; a plan is made for each set of input shapes, and number of threads, that comes, and kept: a
 * dynamic batch has one for each size, so that the one that served the longest ago goes when there are too many. All
 * share one set of packed weights. A run leases a slot of its
 * plan, and its outputs are the slot's memory, so that nothing is copied: the lease ends with engine_outputs_done.
 * Slots that nobody leases are kept for the next runs, within a bound in bytes for those of all plans together: where
 * sizes vary, what is kept of those that have not come for the longest time goes first. A plan by itself is small, and
 * making a slot costs little but the kernel's clearing of its memory.
 * Under the lock plans are made and slots change hands; the runs themselves do not need it.
 */
#include "engine/engine.h"

#include "base/half.h"
#include "engine/onednn.h"
#include "engine/plan.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLANS       32 /* more sets of shapes are made anew each time they come: 4 to 8 ms, and 1.3 MB, of yolov8n */
#define KEPT_SLOT_BYTES ((uint64_t)32 << 20) /* in slots that nobody leases, or what most_kept says */
#define MOST_PLAIN_WORK                                                                                                \
    ((uint64_t)1 << 24) /* of a run: a quarter of a second; dynamically quantized YOLOs have 100 times more */

struct planned {
    struct plan *plan;
    int threads;
    bool bytes; /* input 0 */
    int64_t shapes[ENGINE_MAX_TENSORS][ENGINE_MAX_RANK];
    struct lease *free; /* nobody has them: the last one given back first */
    int leased_count;
    uint64_t used; /* the engine's clock at its last run */
};

/* A slot, and what turns its fp32 into the fp16 that the file declares. */
struct lease {
    struct planned *planned;
    struct plan_slot *slot;
    uint16_t *halves[ENGINE_MAX_TENSORS];
    uint64_t bytes; /* of both */
    struct lease *next;
};

struct network {
    struct graph *graph;
    struct plan_weights *weights;
    enum plan_precision precision;
    pthread_mutex_t lock;
    pthread_cond_t returned; /* a plan that all runs have left may go */
    struct planned plans[MAX_PLANS];
    uint64_t free_bytes; /* of the free leases of all plans */
    uint64_t clock;
};

/* ---- leases ---- */

static void lease_free(struct lease *lease)
{
    int i;

    if (!lease)
        return;
    for (i = 0; i < ENGINE_MAX_TENSORS; i++)
        free(lease->halves[i]);
    plan_slot_free(lease->slot);
    free(lease);
}

/* A file may declare another type than its nodes compute, and with it other bytes than there are. */
static bool is_declared_type(enum tensor_type declared, enum graph_type computed)
{
    switch (computed) {
    case GRAPH_F32:
        return declared == TENSOR_F32 || declared == TENSOR_F16;
    case GRAPH_I64:
        return declared == TENSOR_I64;
    case GRAPH_U8:
        return declared == TENSOR_U8;
    default:
        return declared == TENSOR_OTHER;
    }
}

static enum serin_errc lease_new(const struct engine *engine, struct planned *planned, struct lease **ret,
                                 struct serin_error *error)
{
    const struct graph *graph = plan_graph(planned->plan);
    struct lease *lease = calloc(1, sizeof(*lease));
    enum serin_errc rc;
    int i;

    if (!lease)
        return error_set(error, SERIN_NOMEM, "no memory for a run");
    lease->planned = planned;
    lease->bytes = plan_slot_bytes(planned->plan);
    rc = plan_slot_new(planned->plan, &lease->slot, error);
    for (i = 0; i < graph->output_count && rc == SERIN_OK; i++) {
        const struct tensor_spec *declared = &engine->interface.outputs[i];
        const enum graph_type computed = graph->values[graph->outputs[i]].type;

        if (!is_declared_type(declared->type, computed))
            rc = error_set(error, SERIN_MODEL, "output '%s' is declared as %s and computed as %s", declared->name,
                           tensor_type_name(declared->type), graph_type_name(computed));
        else if (declared->type == TENSOR_F16) {
            const size_t bytes = (size_t)graph->values[graph->outputs[i]].element_count * sizeof(uint16_t);

            lease->bytes += bytes;
            lease->halves[i] = malloc(bytes + 1);
            if (!lease->halves[i])
                rc = error_set(error, SERIN_NOMEM, "no memory for an output");
        }
    }
    if (rc != SERIN_OK) {
        lease_free(lease);
        return rc;
    }
    *ret = lease;
    return SERIN_OK;
}

/* The free lease of planned that came back last; NULL: none is free. */
static struct lease *take_free(struct network *network, struct planned *planned)
{
    struct lease *lease = planned->free;

    if (lease) {
        planned->free = lease->next;
        network->free_bytes -= lease->bytes;
    }
    return lease;
}

/* What may be kept once one like last has come back: for each run that can go on at once, and one whose outputs are
 * read meanwhile. */
static uint64_t most_kept(const struct engine *engine, const struct lease *last)
{
    const uint64_t runs = (uint64_t)(engine->threads / last->planned->threads) + 1;

    return runs * last->bytes > KEPT_SLOT_BYTES ? runs * last->bytes : KEPT_SLOT_BYTES;
}

/* A free lease of the plan that ran the longest ago, taken from it; NULL: there is none. */
static struct lease *take_oldest(struct network *network)
{
    struct planned *oldest = NULL;
    int i;

    for (i = 0; i < MAX_PLANS; i++) {
        struct planned *planned = &network->plans[i];

        if (planned->free && (!oldest || planned->used < oldest->used))
            oldest = planned;
    }
    return oldest ? take_free(network, oldest) : NULL;
}

static void planned_done(struct network *network, struct planned *planned)
{
    while (planned->free)
        lease_free(take_free(network, planned));
    plan_free(planned->plan);
    memset(planned, 0, sizeof(*planned));
}

/* ---- plans ---- */

static enum serin_errc is_not_for_us(enum serin_errc rc, struct serin_error *error)
{
    return rc == SERIN_UNSUPPORTED ? error_prefix(error, rc, "oneDNN cannot run this network (the provider cpu may)")
                                   : rc;
}

/* The network's input is fp32, and bytes have come. */
static bool is_bytes(const struct engine *engine, const struct tensor *inputs)
{
    return engine->takes_bytes && inputs[0].type == TENSOR_U8;
}

static struct planned *find_plan(const struct engine *engine, const struct tensor *inputs, int threads)
{
    struct network *network = engine->state;
    int i, k;

    for (i = 0; i < MAX_PLANS; i++) {
        struct planned *planned = &network->plans[i];
        bool same = planned->plan && planned->threads == threads && planned->bytes == is_bytes(engine, inputs);

        for (k = 0; k < engine->interface.input_count && same; k++)
            same = memcmp(planned->shapes[k], inputs[k].shape, (size_t)inputs[k].rank * sizeof(int64_t)) == 0;
        if (same)
            return planned;
    }
    return NULL;
}

/* A place for a plan: an empty one, or that of the plan that ran the longest ago. NULL while all are in use. */
static struct planned *make_place(struct network *network)
{
    struct planned *oldest = NULL;
    int i;

    for (i = 0; i < MAX_PLANS; i++) {
        struct planned *planned = &network->plans[i];

        if (!planned->plan)
            return planned;
        if (planned->leased_count == 0 && (!oldest || planned->used < oldest->used))
            oldest = planned;
    }
    if (oldest)
        planned_done(network, oldest);
    return oldest;
}

/* What would take seconds a picture is better run by another engine. */
static enum serin_errc refuse_plain_work(struct planned *planned, struct serin_error *error)
{
    const struct graph_node *most;
    const uint64_t work = plan_plain_work(planned->plan, &most);
    enum serin_errc rc;

    if (work <= MOST_PLAIN_WORK)
        return SERIN_OK;
    rc =
        error_set(error, SERIN_UNSUPPORTED,
                  "node '%s': there is no fast %s of this kind, and %.0f million steps would be left to plain code, at "
                  "most %.0f may be",
                  most->name, graph_op_name(most->op), (double)work / 1e6, (double)MOST_PLAIN_WORK / 1e6);
    plan_free(planned->plan);
    planned->plan = NULL;
    return rc;
}

/* Under the lock. */
static enum serin_errc plan_for(const struct engine *engine, const struct tensor *inputs, int threads,
                                struct planned **ret, struct serin_error *error)
{
    struct network *network = engine->state;
    const struct plan_options options = {
        .precision = network->precision, .threads = threads, .bytes = is_bytes(engine, inputs)};
    struct planned *planned;
    enum serin_errc rc;
    int i;

    while (!(planned = find_plan(engine, inputs, threads))) {
        planned = make_place(network);
        if (!planned) {
            pthread_cond_wait(&network->returned, &network->lock);
            continue;
        }
        rc = plan_new(network->graph, inputs, &options, network->weights, &planned->plan, error);
        if (rc == SERIN_OK)
            rc = refuse_plain_work(planned, error);
        if (rc != SERIN_OK)
            return is_not_for_us(rc, error);
        planned->threads = threads;
        planned->bytes = options.bytes;
        for (i = 0; i < engine->interface.input_count; i++)
            memcpy(planned->shapes[i], inputs[i].shape, (size_t)inputs[i].rank * sizeof(int64_t));
    }
    *ret = planned;
    return SERIN_OK;
}

static enum serin_errc lease_take(const struct engine *engine, const struct tensor *inputs, int threads,
                                  struct lease **ret, struct serin_error *error)
{
    struct network *network = engine->state;
    struct planned *planned = NULL;
    enum serin_errc rc;

    pthread_mutex_lock(&network->lock);
    rc = plan_for(engine, inputs, threads, &planned, error);
    BUG_ON(rc == SERIN_OK && !planned);
    if (rc == SERIN_OK) {
        *ret = take_free(network, planned);
        rc = *ret ? SERIN_OK : lease_new(engine, planned, ret, error);
    }
    if (rc == SERIN_OK) {
        planned->leased_count++;
        planned->used = ++network->clock;
    }
    pthread_mutex_unlock(&network->lock);
    return rc;
}

static void lease_give(const struct engine *engine, struct lease *lease)
{
    struct network *network = engine->state;
    struct planned *planned = lease->planned;
    struct lease *surplus = NULL, *next;
    uint64_t most = most_kept(engine, lease);

    pthread_mutex_lock(&network->lock);
    planned->leased_count--;
    lease->next = planned->free;
    planned->free = lease;
    network->free_bytes += lease->bytes;
    while (network->free_bytes > most) {
        next = take_oldest(network);
        next->next = surplus;
        surplus = next;
    }
    pthread_cond_signal(&network->returned);
    pthread_mutex_unlock(&network->lock);
    for (; surplus; surplus = next) {
        next = surplus->next;
        lease_free(surplus);
    }
}

/* ---- the engine ---- */

static void network_close(struct engine *engine)
{
    struct network *network = engine->state;
    int i;

    if (!network)
        return;
    for (i = 0; i < MAX_PLANS; i++)
        planned_done(network, &network->plans[i]);
    plan_weights_free(network->weights);
    graph_free(network->graph);
    pthread_cond_destroy(&network->returned);
    pthread_mutex_destroy(&network->lock);
    free(network);
    engine->state = NULL;
}

/* The first plan is made here where the file fixes all shapes, so that what cannot run is not opened. */
static enum serin_errc prove(struct engine *engine, struct serin_error *error)
{
    struct tensor inputs[ENGINE_MAX_TENSORS] = {0};
    struct lease *lease;
    enum serin_errc rc;
    int i, d;

    for (i = 0; i < engine->interface.input_count; i++) {
        const struct tensor_spec *spec = &engine->interface.inputs[i];

        inputs[i].type = i == 0 && engine->takes_bytes ? TENSOR_U8 : spec->type; /* as pictures come */
        inputs[i].rank = spec->rank;
        memcpy(inputs[i].shape, spec->shape, sizeof(inputs[i].shape));
        for (d = 0; d < spec->rank; d++)
            if (spec->shape[d] <= 0)
                return SERIN_OK;
    }
    rc = lease_take(engine, inputs, engine->threads, &lease, error);
    if (rc == SERIN_OK)
        lease_give(engine, lease);
    return rc;
}

static enum serin_errc network_open(const uint8_t *bytes, size_t size_bytes, const struct engine_options *options,
                                    struct engine *engine, struct serin_error *error)
{
    const bool bf16 = strcmp(options->provider, "onednn-bf16") == 0;
    struct network *network = calloc(1, sizeof(*network));
    enum serin_errc rc = SERIN_OK;

    if (!network)
        return error_set(error, SERIN_NOMEM, "no memory for a network");
    pthread_mutex_init(&network->lock, NULL);
    pthread_cond_init(&network->returned, NULL);
    engine->state = network;
    network->precision = bf16 ? PLAN_BF16 : PLAN_F32;
    engine->least_threads = 1;
    engine->gains_by_batch = false; /* a batch is a loop around each step */
    network->weights = plan_weights_new();
    if (!network->weights)
        rc = error_set(error, SERIN_NOMEM, "no memory for weights");
    if (rc == SERIN_OK && bf16 && !onednn_has_bf16())
        rc = error_set(error, SERIN_ENGINE,
                       "this processor has no instructions for bf16 (AVX512_BF16 or AMX): the provider onednn runs the "
                       "network in fp32");
    if (rc != SERIN_OK)
        return rc;
    rc = graph_read(bytes, size_bytes, &network->graph, error);
    if (rc != SERIN_OK)
        return is_not_for_us(rc, error);
    engine->interface = network->graph->interface;
    engine->takes_bytes = engine->interface.inputs[0].type == TENSOR_F32;
    snprintf(engine->provider, sizeof(engine->provider), "%s", options->provider);
    return prove(engine, error);
}

static void network_outputs_done(const struct engine *engine, struct engine_outputs *outputs)
{
    if (outputs->handles[0])
        lease_give(engine, outputs->handles[0]);
}

static void fill_input(const struct tensor *input, const struct graph_value *value, void *to)
{
    uint64_t i;

    if (input->type != TENSOR_F16) {
        memcpy(to, input->values,
               input->type == TENSOR_U8 ? (size_t)value->element_count : (size_t)graph_value_bytes(value));
        return;
    }
    for (i = 0; i < value->element_count; i++)
        ((float *)to)[i] = half_to_float(((const uint16_t *)input->values)[i]);
}

static void describe_output(const struct engine *engine, struct lease *lease, int output, struct tensor *ret)
{
    const struct graph *graph = plan_graph(lease->planned->plan);
    const struct graph_value *value = &graph->values[graph->outputs[output]];
    const void *values = plan_slot_output(lease->slot, output);
    uint64_t i;

    ret->type = engine->interface.outputs[output].type;
    ret->rank = value->rank;
    memcpy(ret->shape, value->shape, (size_t)value->rank * sizeof(ret->shape[0]));
    ret->values = (void *)values;
    if (ret->type != TENSOR_F16)
        return;
    for (i = 0; i < value->element_count; i++)
        lease->halves[output][i] = half_from_float(((const float *)values)[i]);
    ret->values = lease->halves[output];
}

static enum serin_errc network_run(const struct engine *engine, const struct tensor *inputs,
                                   const struct engine_selection *selection, int threads, struct engine_outputs *ret,
                                   struct serin_error *error)
{
    const struct graph *graph;
    struct lease *lease;
    enum serin_errc rc = lease_take(engine, inputs, threads, &lease, error);
    int i;

    if (rc != SERIN_OK)
        return rc;
    ret->handles[0] = lease;
    ret->count = engine->interface.output_count;
    graph = plan_graph(lease->planned->plan);
    for (i = 0; i < engine->interface.input_count; i++)
        fill_input(&inputs[i], &graph->values[graph->inputs[i]], plan_slot_input(lease->slot, i));
    rc = plan_run(lease->slot, selection, error);
    for (i = 0; i < ret->count && rc == SERIN_OK; i++) {
        if (graph->values[graph->outputs[i]].rank > ENGINE_MAX_RANK)
            rc = error_set(error, SERIN_MODEL, "output '%s' came with %d dimensions, the limit is %d",
                           engine->interface.outputs[i].name, graph->values[graph->outputs[i]].rank, ENGINE_MAX_RANK);
        else
            describe_output(engine, lease, i, &ret->tensors[i]);
    }
    if (rc != SERIN_OK)
        engine_outputs_done(engine, ret);
    return rc;
}

const struct engine_backend engine_onednn = {
    .name = "onednn",
    .open = network_open,
    .run = network_run,
    .outputs_done = network_outputs_done,
    .close = network_close,
};
