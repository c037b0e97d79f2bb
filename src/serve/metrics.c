/*
 * metrics.c - the program's numbers in Prometheus' text format.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One table has every name once, with its kind and its help; docs/monitoring.md lists the same, and a test holds them
 * together. A scrape first reads everything into rows (of versions, replicas, rollouts, guards), then writes the table
 * line by line, since the format wants a metric's series side by side.
 *
 * Series are bounded. A version has about 130, and there are at most FLEET_MAX_SLOTS versions in routes; a replica has
 * 6, with FLEET_MAX_REPLICAS of each version served; a rollout has 6, with one a model; a guard has 10, and slices have
 * none: only how many of them were harmed is told. Names, the cameras' for example, that clients choose are in no
 * label. Prometheus, "Exposition formats" (version 0.0.4) and "Metric and label naming".
 */
#include "serve/rollouts.h"

#include "base/clock.h"
#include "http/tls.h"
#include "judge/judge.h"
#include "rollout/controller.h"
#include "serin_config.h"
#include "serve/observe.h"
#include "serve/tracer.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LABEL_BYTES 640 /* two names, and a guard's, each byte of which may be escaped */

/* ---- what is read ---- */

/* What one histogram shows: 1 ms to 10 s, and batches of up to 64. le is at most as far off as a bucket of
 * histogram.h is wide, 1/16. */
#define MOST_BOUNDS 16
static const double bounds_us[] = {1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 0};
static const double bounds_batch[] = {1, 2, 4, 8, 16, 32, 64, 0};

struct buckets {
    bool shown;
    uint64_t below[MOST_BOUNDS], total, sum;
};

struct version_row {
    char labels[LABEL_BYTES];
#define X(name, help) double name;
    GATEWAY_COUNTERS(X)
#undef X
    double weight, share, ready, down, in_flight, breaker_open, is_stable, memory_limit;
    double outcomes[GATEWAY_OUTCOME_COUNT][2];
    struct buckets latency, mirror_latency, whole, batch, stages[GATEWAY_STAGE_COUNT];
};

struct replica_row {
    char labels[LABEL_BYTES];
    double up, resident, gpu_bytes, gpu_utilisation, cpu, restarts;
};

struct rollout_row {
    char labels[LABEL_BYTES];
    const char *phase;
    double step, steps, share, alpha, alpha_spent, sample_ratio_log_e;
};

struct guard_row {
    char labels[LABEL_BYTES];
    const struct judge_guard *guard;
    double estimate, lower, upper, margin, log_e_harm, log_e_harm_needed, log_e_no_harm, log_e_no_harm_needed, units,
        harmed_slices;
};

struct program_numbers {
    double start_s, uptime_s, certificate_left_s, cpu_s, resident, virtual_bytes, threads, open_files, most_files;
    double connections_open, connections_taken, connections_refused, connections_evicted;
    double gateway_threads, models, damaged, unstored;
#define X(name, help) double judge_##name;
    OBSERVE_COUNTERS(X)
#undef X
};

struct page {
    struct server *server;
    struct buffer *out;
    struct program_numbers program;
    struct version_row *versions;
    struct replica_row *replicas;
    struct rollout_row *rollouts;
    struct guard_row *guards;
    int version_count, replica_count, rollout_count, guard_count;
};

static void read_buckets(const struct histogram_sum *sum, const double *bounds, bool shown, struct buckets *ret)
{
    uint64_t seen = 0;
    int b, i = 0;

    ret->shown = shown || sum->total > 0;
    for (b = 0; bounds[b] > 0; b++) {
        while (i < HISTOGRAM_BUCKETS - 1 && (double)histogram_floor_us(i + 1) <= bounds[b] + 1)
            seen += sum->counts[i++];
        ret->below[b] = seen;
    }
    ret->total = sum->total;
    ret->sum = sum->sum_us;
}

static void read_counts(const struct gateway *gateway, int slot, bool is_ours, struct version_row *ret)
{
    static struct gateway_totals totals; /* some KiB of histograms; the control thread is one */
    static struct gateway_work work;
    double ended = 0;
    int i, k;

    gateway_read_work(gateway, slot, &work); /* before the requests: none ends that is not counted below */
    gateway_read(gateway, slot, &totals);
#define X(name, help) ret->name = (double)totals.name;
    GATEWAY_COUNTERS(X)
#undef X
    for (i = 0; i < GATEWAY_OUTCOME_COUNT; i++)
        for (k = 0; k < 2; k++)
            ended += ret->outcomes[i][k] = (double)work.outcomes[i][k];
    ret->in_flight = ret->requests - ended;
    read_buckets(&totals.latency, bounds_us, true, &ret->latency);
    read_buckets(&totals.mirror_latency, bounds_us, false, &ret->mirror_latency);
    read_buckets(&work.whole, bounds_us, true, &ret->whole);
    for (i = 0; i < GATEWAY_STAGE_COUNT; i++) /* other people's servers do not tell */
        read_buckets(&work.stages[i], bounds_us, is_ours, &ret->stages[i]);
    read_buckets(&work.batch, bounds_batch, is_ours, &ret->batch);
}

static int down_count(const struct fleet_version *version)
{
    int count = 0, i;

    for (i = 0; version && i < version->replica_count; i++)
        count += version->replicas[i].state == REPLICA_READY && !fleet_is_up(&version->replicas[i]);
    return count;
}

/* Names of models and tags hold no quote, backslash or newline (version/name.h), so they need no escaping. */
static void label_version(char *labels, const char *model, const char *tag)
{
    snprintf(labels, LABEL_BYTES, "model=\"%s\",version=\"%s\"", model, tag);
}

/* A plan may give a guard any name. */
static void append_escaped(char *labels, const char *key, const char *text)
{
    size_t at = strlen(labels) + (size_t)snprintf(labels + strlen(labels), LABEL_BYTES - strlen(labels), ",%s=\"", key);

    for (; *text && at < LABEL_BYTES - 4; text++) {
        if (*text == '"' || *text == '\\')
            labels[at++] = '\\';
        labels[at++] = *text == '\n' ? ' ' : *text;
    }
    labels[at++] = '"';
    labels[at] = '\0';
}

static void read_version(struct page *page, const struct gateway_entry *entry, int v)
{
    struct version_row *row = &page->versions[page->version_count++];
    const struct route *route = &entry->route;
    const struct gateway_version *at = &entry->versions[v];
    char name[VERSION_MAX_NAME + ROUTE_MAX_TEXT];
    const struct fleet_version *version;
    double sum = 0;
    int i;

    snprintf(name, sizeof(name), "%s:%s", route->model, route->versions[v].tag);
    version = fleet_find(page->server->fleet, name);
    label_version(row->labels, route->model, route->versions[v].tag);
    read_counts(page->server->gateway, at->slot, version && !version->url[0], row);
    for (i = 0; i < route->version_count; i++)
        sum += route->versions[i].weight;
    row->weight = route->versions[v].weight;
    row->share = sum > 0 ? row->weight / sum : 0;
    row->ready = at->doubtful ? 0 : at->endpoint_count;
    row->down = down_count(version);
    row->breaker_open = gateway_breaker_open(page->server->gateway, at->slot);
    row->is_stable = strcmp(route->stable, route->versions[v].tag) == 0;
    row->memory_limit = version ? (double)version->memory_bytes : 0;
}

static void read_replica(struct page *page, const struct fleet_version *version, int r)
{
    struct replica_row *row = &page->replicas[page->replica_count++];
    struct replica_usage usage;

    fleet_usage(page->server->fleet, &version->replicas[r], &usage);
    label_version(row->labels, version->model, version->tag);
    snprintf(row->labels + strlen(row->labels), LABEL_BYTES - strlen(row->labels), ",replica=\"%d\"", r);
    row->up = fleet_is_up(&version->replicas[r]);
    row->resident = (double)usage.resident_bytes;
    row->gpu_bytes = (double)usage.gpu_bytes;
    row->gpu_utilisation = usage.gpu_utilisation;
    row->cpu = usage.cpu_seconds;
    row->restarts = usage.restarts;
}

static void read_guard(struct page *page, const struct rollout_row *rollout, const struct judge_reading *reading)
{
    struct guard_row *row = &page->guards[page->guard_count++];

    memcpy(row->labels, rollout->labels, sizeof(row->labels));
    append_escaped(row->labels, "guard", reading->guard->name);
    row->guard = reading->guard;
    row->estimate = reading->estimate;
    row->lower = reading->lower;
    row->upper = reading->upper;
    row->margin = reading->guard->margin;
    row->log_e_harm = reading->log_e_harm;
    row->log_e_harm_needed = reading->log_e_harm_needed;
    row->log_e_no_harm = reading->log_e_no_harm;
    row->log_e_no_harm_needed = reading->log_e_no_harm_needed;
    row->units = (double)reading->canary_count;
}

static void read_rollout(struct page *page, const struct controller_view *view)
{
    struct rollout_row *row = &page->rollouts[page->rollout_count++];
    int first = page->guard_count, count = view->judge ? judge_reading_count(view->judge) : 0, i, g;
    struct judge_sample_ratio ratio = {0};
    struct judge_reading reading;

    label_version(row->labels, view->state->model, view->state->canary);
    row->phase = rollout_phase_name(view->state->phase);
    row->step = view->state->step + 1;
    row->steps = view->steps;
    row->share = view->share;
    row->alpha = view->alpha;
    if (view->judge) {
        row->alpha_spent = judge_alpha_spent(view->judge);
        judge_sample_ratio(view->judge, &ratio);
    }
    row->sample_ratio_log_e = ratio.log_e;
    for (i = 0; i < count; i++) {
        if (!judge_is_whole(view->judge, i))
            continue;
        judge_read(view->judge, i, &reading);
        if (reading.guard->metric && page->guard_count < first + JUDGE_MAX_GUARDS) /* the sample ratio has none */
            read_guard(page, row, &reading);
    }
    for (i = 0; i < count; i++) { /* slices have no series of their own */
        if (judge_is_whole(view->judge, i) || judge_verdict(view->judge, i) != JUDGE_HARM)
            continue;
        judge_read(view->judge, i, &reading);
        for (g = first; g < page->guard_count; g++)
            page->guards[g].harmed_slices += page->guards[g].guard == reading.guard;
    }
}

/* proc(5). What cannot be read stays 0. */
static void read_process(struct program_numbers *ret)
{
    static double started_s; /* worked out once: a clock that is adjusted must not look like a new start */
    unsigned long long start_ticks = 0;
    unsigned long user = 0, system = 0, size = 0;
    long threads = 0, resident = 0;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    struct timespec up = {0};
    struct rlimit files = {0};
    char text[1024];
    const char *rest;
    FILE *stat = fopen("/proc/self/stat", "re");
    DIR *open_files;
    size_t got = stat ? fread(text, 1, sizeof(text) - 1, stat) : 0;

    text[got] = '\0';
    if (stat)
        fclose(stat);
    rest = strrchr(text, ')');
    if (rest &&
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d %llu %lu %ld",
               &user, &system, &threads, &start_ticks, &size, &resident) == 6) {
        clock_gettime(CLOCK_BOOTTIME, &up);
        ret->cpu_s = (double)(user + system) / ticks;
        ret->threads = (double)threads;
        ret->virtual_bytes = (double)size;
        ret->resident = (double)resident * (double)sysconf(_SC_PAGESIZE);
        if (started_s == 0)
            started_s = (double)clock_wall_ms() / 1e3 - (double)up.tv_sec - (double)up.tv_nsec / 1e9 +
                        (double)start_ticks / ticks;
        ret->start_s = started_s;
    }
    open_files = opendir("/proc/self/fd");
    while (open_files && readdir(open_files))
        ret->open_files++;
    if (open_files) {
        ret->open_files -= 3; /* "." and "..", and this one */
        closedir(open_files);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        ret->most_files = files.rlim_cur == RLIM_INFINITY ? (double)INFINITY : (double)files.rlim_cur;
}

static void read_program(struct page *page)
{
    const struct observer *observer = rollouts_observer(page->server->rollouts);
    struct program_numbers *program = &page->program;
    struct gateway_connections connections;
    int i;

    read_process(program);
    gateway_read_connections(page->server->gateway, &connections);
    program->uptime_s = (double)(uv_now(&page->server->loop) - page->server->started_ms) / 1000;
    program->certificate_left_s = page->server->tls ? tls_server_left_s(page->server->tls) : (double)INFINITY;
    program->connections_open = (double)connections.open;
    program->connections_taken = (double)connections.taken;
    program->connections_refused = (double)connections.refused;
    program->connections_evicted = (double)connections.evicted;
    program->gateway_threads = page->server->options.gateway_threads;
    program->models = page->server->table.entry_count;
    for (i = 0; i < page->server->table.entry_count; i++) {
        program->damaged += rollouts_damage(page->server->rollouts, page->server->table.entries[i].route.model) != NULL;
        program->unstored += table_unstored(page->server, i) != NULL;
    }
#define X(name, help) program->judge_##name = observer ? (double)observer->name : 0;
    OBSERVE_COUNTERS(X)
#undef X
}

static void read_rollouts(struct page *page)
{
    const struct controller *controller = rollouts_controller(page->server->rollouts);
    struct controller_view view;
    int i;

    for (i = 0; controller && i < CONTROLLER_MAX_ROLLOUTS; i++)
        if (controller_view(controller, i, &view))
            read_rollout(page, &view);
}

static bool make_rows(struct page *page)
{
    const struct controller *controller = rollouts_controller(page->server->rollouts);
    size_t versions = 1, replicas = 1, rollouts = 1;
    const struct fleet_version *version;
    struct controller_view view;
    int i;

    for (i = 0; i < page->server->table.entry_count; i++)
        versions += (size_t)page->server->table.entries[i].route.version_count;
    for (i = 0; (version = fleet_at(page->server->fleet, i)) != NULL; i++)
        replicas += (size_t)version->replica_count;
    for (i = 0; controller && i < CONTROLLER_MAX_ROLLOUTS; i++)
        rollouts += controller_view(controller, i, &view);
    page->versions = calloc(versions, sizeof(*page->versions));
    page->replicas = calloc(replicas, sizeof(*page->replicas));
    page->rollouts = calloc(rollouts, sizeof(*page->rollouts));
    page->guards = calloc(rollouts * JUDGE_MAX_GUARDS, sizeof(*page->guards));
    return page->versions && page->replicas && page->rollouts && page->guards;
}

static void read_all(struct page *page)
{
    const struct server *server = page->server;
    const struct fleet_version *version;
    int i, k;

    read_program(page);
    for (i = 0; i < server->table.entry_count; i++)
        for (k = 0; k < server->table.entries[i].route.version_count; k++)
            read_version(page, &server->table.entries[i], k);
    for (i = 0; (version = fleet_at(server->fleet, i)) != NULL; i++)
        for (k = 0; k < version->replica_count && !version->url[0]; k++)
            read_replica(page, version, k);
    read_rollouts(page);
}

/* ---- what is written ---- */

enum kind { COUNTER, GAUGE, HISTOGRAM };
static const char *const kind_names[] = {"counter", "gauge", "histogram"};

struct metric {
    const char *name;
    enum kind kind;
    void (*write)(const struct page *page, const struct metric *metric);
    size_t offset; /* of its number in the row */
    const char *help;
};

/* Whole numbers, which nearly all are, without printf: it was most of a scrape. */
static void put_number(struct buffer *out, double number)
{
    if (isnan(number) || isinf(number)) {
        buffer_append_text(out, isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf");
    } else if (number >= 0 && number < 0x1p53 && number == floor(number)) {
        buffer_append_number(out, (uint64_t)number);
    } else {
        buffer_printf(out, "%.12g", number);
    }
}

/* suffix: "", "_bucket"; more: further labels with their comma, or "". */
static void put_series(struct buffer *out, const char *name, const char *suffix, const char *labels, const char *more,
                       double number)
{
    buffer_append_text(out, name);
    buffer_append_text(out, suffix);
    buffer_append(out, "{", 1);
    buffer_append_text(out, labels);
    buffer_append_text(out, more);
    buffer_append(out, "} ", 2);
    put_number(out, number);
    buffer_append(out, "\n", 1);
}

static double number_at(const void *row, size_t offset)
{
    double number;

    memcpy(&number, (const char *)row + offset, sizeof(number));
    return number;
}

static void write_program(const struct page *page, const struct metric *metric)
{
    buffer_append_text(page->out, metric->name);
    buffer_append(page->out, " ", 1);
    put_number(page->out, number_at(&page->program, metric->offset));
    buffer_append(page->out, "\n", 1);
}

/* NaN: nothing is known yet, and then there is no series. */
static void write_rows(const struct page *page, const struct metric *metric, const void *rows, int count, size_t size)
{
    int i;

    for (i = 0; i < count; i++) { /* each row begins with its labels */
        const char *row = (const char *)rows + (size_t)i * size;

        if (!isnan(number_at(row, metric->offset)))
            put_series(page->out, metric->name, "", row, "", number_at(row, metric->offset));
    }
}

static void write_versions(const struct page *page, const struct metric *metric)
{
    write_rows(page, metric, page->versions, page->version_count, sizeof(page->versions[0]));
}

static void write_replicas(const struct page *page, const struct metric *metric)
{
    write_rows(page, metric, page->replicas, page->replica_count, sizeof(page->replicas[0]));
}

static void write_rollouts(const struct page *page, const struct metric *metric)
{
    write_rows(page, metric, page->rollouts, page->rollout_count, sizeof(page->rollouts[0]));
}

static void write_guards(const struct page *page, const struct metric *metric)
{
    write_rows(page, metric, page->guards, page->guard_count, sizeof(page->guards[0]));
}

static void put_histogram(struct buffer *out, const char *name, const char *labels, const char *more,
                          const struct buckets *buckets, bool in_seconds)
{
    const double *bounds = in_seconds ? bounds_us : bounds_batch, unit = in_seconds ? 1e6 : 1;
    char labelled[LABEL_BYTES + 64], le[40];
    int b;

    snprintf(labelled, sizeof(labelled), "%s%s", labels, more);
    for (b = 0; bounds[b] > 0; b++) {
        snprintf(le, sizeof(le), ",le=\"%g\"", bounds[b] / unit);
        put_series(out, name, "_bucket", labelled, le, (double)buckets->below[b]);
    }
    put_series(out, name, "_bucket", labelled, ",le=\"+Inf\"", (double)buckets->total);
    put_series(out, name, "_sum", labelled, "", (double)buckets->sum / unit);
    put_series(out, name, "_count", labelled, "", (double)buckets->total);
}

static void write_histograms(const struct page *page, const struct metric *metric)
{
    int i;

    for (i = 0; i < page->version_count; i++) {
        const struct version_row *row = &page->versions[i];
        const struct buckets *buckets = (const struct buckets *)((const char *)row + metric->offset);

        if (buckets->shown)
            put_histogram(page->out, metric->name, row->labels, "", buckets, buckets != &row->batch);
    }
}

static void write_stages(const struct page *page, const struct metric *metric)
{
    static const char *const more[] = {
#define X(stage) ",stage=\"" #stage "\"",
        GATEWAY_STAGES(X)
#undef X
    };
    int i, k;

    for (i = 0; i < page->version_count; i++)
        for (k = 0; k < GATEWAY_STAGE_COUNT; k++)
            if (page->versions[i].stages[k].shown)
                put_histogram(page->out, metric->name, page->versions[i].labels, more[k], &page->versions[i].stages[k],
                              true);
}

static void write_outcomes(const struct page *page, const struct metric *metric)
{
    static const char *const more[GATEWAY_OUTCOME_COUNT][2] = {
        {",status=\"2xx\",fallback=\"no\"", ",status=\"2xx\",fallback=\"yes\""},
        {",status=\"3xx\",fallback=\"no\"", ",status=\"3xx\",fallback=\"yes\""},
        {",status=\"4xx\",fallback=\"no\"", ",status=\"4xx\",fallback=\"yes\""},
        {",status=\"5xx\",fallback=\"no\"", ",status=\"5xx\",fallback=\"yes\""},
        {",status=\"gone\",fallback=\"no\"", ",status=\"gone\",fallback=\"yes\""}};
    int i, k;

    for (i = 0; i < page->version_count; i++)
        for (k = 0; k < 2 * GATEWAY_OUTCOME_COUNT; k++)
            put_series(page->out, metric->name, "", page->versions[i].labels, more[k / 2][k % 2],
                       page->versions[i].outcomes[k / 2][k % 2]);
}

static void write_phases(const struct page *page, const struct metric *metric)
{
    char more[64];
    int i;

    for (i = 0; i < page->rollout_count; i++) {
        snprintf(more, sizeof(more), ",phase=\"%s\"", page->rollouts[i].phase);
        put_series(page->out, metric->name, "", page->rollouts[i].labels, more, 1);
    }
}

static void write_build(const struct page *page, const struct metric *metric)
{
    put_series(page->out, metric->name, "", "version=\"" SERIN_VERSION "\"", "", 1);
}

static void write_log_lines(const struct page *page, const struct metric *metric)
{
    const bool dropped = strstr(metric->name, "dropped") != NULL;
    const struct log_counts events = log_counts(page->server->log), access = log_counts(page->server->access_log);

    put_series(page->out, metric->name, "", "log=\"events\"", "", (double)(dropped ? events.dropped : events.taken));
    put_series(page->out, metric->name, "", "log=\"access\"", "", (double)(dropped ? access.dropped : access.taken));
}

static void write_traces(const struct page *page, const struct metric *metric)
{
    const struct tracer_counts counts = tracer_counts(page->server->tracer);

    buffer_printf(page->out, "%s %llu\n", metric->name,
                  (unsigned long long)(strstr(metric->name, "dropped") ? counts.dropped : counts.sent));
}

#define PROGRAM(field) write_program, offsetof(struct program_numbers, field)
#define VERSION(field) write_versions, offsetof(struct version_row, field)
#define TIMES(field)   write_histograms, offsetof(struct version_row, field)
#define REPLICA(field) write_replicas, offsetof(struct replica_row, field)
#define ROLLOUT(field) write_rollouts, offsetof(struct rollout_row, field)
#define GUARD(field)   write_guards, offsetof(struct guard_row, field)

static const struct metric metrics[] = {
    /* the traffic, of each version in a route */
    {"serin_answers_total", COUNTER, write_outcomes, 0,
     "Requests by how they ended for the client, of the version that they were assigned to; fallback: stable answered "
     "in its place"},
#define X(name, help) {"serin_" #name "_total", COUNTER, VERSION(name), help},
    GATEWAY_COUNTERS(X)
#undef X
        {"serin_requests_in_flight", GAUGE, VERSION(in_flight), "Requests of the version that have no answer yet"},
    {"serin_request_duration_seconds", HISTOGRAM, TIMES(whole),
     "Time from the head of a request to its answer, by the version that was asked last"},
    {"serin_latency_seconds", HISTOGRAM, TIMES(latency), "Time from the request sent to the version to its answer"},
    {"serin_mirror_latency_seconds", HISTOGRAM, TIMES(mirror_latency), "The same of copies"},
    {"serin_stage_duration_seconds", HISTOGRAM, write_stages, 0,
     "Time of a worker's stage, as it tells itself: decode, queue, inference, post"},
    {"serin_batch_size", HISTOGRAM, TIMES(batch), "Pictures that went through the network at once, by request"},
    /* routes */
    {"serin_route_weight", GAUGE, VERSION(weight), "Weight of the version in its route"},
    {"serin_route_share", GAUGE, VERSION(share), "Share of the route's weight, 0 to 1"},
    {"serin_route_stable", GAUGE, VERSION(is_stable), "1 for the route's stable version"},
    {"serin_breaker_open", GAUGE, VERSION(breaker_open),
     "1 while the version gets nothing because it failed too often in a row"},
    /* replicas */
    {"serin_replicas_ready", GAUGE, VERSION(ready), "Replicas of the version that take requests"},
    {"serin_replicas_down", GAUGE, VERSION(down), "Replicas that were ready and now fail their health checks"},
    {"serin_memory_limit_bytes", GAUGE, VERSION(memory_limit), "Memory that each replica may have; 0 is no limit"},
    {"serin_replica_up", GAUGE, REPLICA(up), "1 for a replica that is ready and well"},
    {"serin_replica_resident_bytes", GAUGE, REPLICA(resident), "Memory of the replica"},
    {"serin_replica_gpu_bytes", GAUGE, REPLICA(gpu_bytes), "Memory of the replica on its GPU; 0 without one"},
    {"serin_replica_gpu_utilisation", GAUGE, REPLICA(gpu_utilisation),
     "Share of the last moments in which its GPU was busy, with whomever; 0 to 1"},
    {"serin_replica_cpu_seconds_total", COUNTER, REPLICA(cpu), "Processor time of the replica's process"},
    {"serin_replica_restarts_total", COUNTER, REPLICA(restarts), "Times that the replica's process was started again"},
    /* rollouts: the newest of each model; version is the canary */
    {"serin_rollout_phase", GAUGE, write_phases, 0, "1 in the phase that the model's newest rollout is in"},
    {"serin_rollout_step", GAUGE, ROLLOUT(step), "The step of the rollout, from 1"},
    {"serin_rollout_steps", GAUGE, ROLLOUT(steps), "The steps of its plan"},
    {"serin_rollout_share", GAUGE, ROLLOUT(share), "The canary's share that is in force, 0 to 1"},
    {"serin_rollout_alpha", GAUGE, ROLLOUT(alpha), "The most probable false alarm that its plan allows"},
    {"serin_rollout_alpha_spent", GAUGE, ROLLOUT(alpha_spent), "What of the rollout's alpha has been spent"},
    {"serin_rollout_sample_ratio_log_e", GAUGE, ROLLOUT(sample_ratio_log_e),
     "Evidence that the arms are not of the sizes that were drawn, as a natural logarithm"},
    /* guards in the whole */
    {"serin_guard_estimate", GAUGE, GUARD(estimate), "Canary against stable, on the guard's scale"},
    {"serin_guard_lower", GAUGE, GUARD(lower), "The lower always-valid bound of the estimate"},
    {"serin_guard_upper", GAUGE, GUARD(upper), "The upper always-valid bound of the estimate"},
    {"serin_guard_margin", GAUGE, GUARD(margin), "More than this is harm, on the guard's scale"},
    {"serin_guard_log_e_harm", GAUGE, GUARD(log_e_harm), "Evidence of harm, as a natural logarithm"},
    {"serin_guard_log_e_harm_needed", GAUGE, GUARD(log_e_harm_needed), "Evidence that makes it harm"},
    {"serin_guard_log_e_no_harm", GAUGE, GUARD(log_e_no_harm),
     "Evidence of no harm by the step's margin, as a natural logarithm"},
    {"serin_guard_log_e_no_harm_needed", GAUGE, GUARD(log_e_no_harm_needed), "Evidence that proves the step"},
    {"serin_guard_units", GAUGE, GUARD(units), "Units of the canary that it was judged by"},
    {"serin_guard_harmed_slices", GAUGE, GUARD(harmed_slices), "Slices in which the guard has found harm"},
#define X(name, help) {"serin_judge_" #name "_total", COUNTER, PROGRAM(judge_##name), help},
    OBSERVE_COUNTERS(X)
#undef X
    /* the program */
    {"serin_build_info", GAUGE, write_build, 0, "1, with the program's version"},
    {"serin_uptime_seconds", GAUGE, PROGRAM(uptime_s), "Time since the program was started"},
    {"serin_certificate_left_seconds", GAUGE, PROGRAM(certificate_left_s),
     "Until the certificate of TLS ends; +Inf without TLS"},
    {"serin_models", GAUGE, PROGRAM(models), "Models that have a route"},
    {"serin_decision_log_damaged_models", GAUGE, PROGRAM(damaged),
     "Models whose rollouts stand still because the log of decisions is damaged"},
    {"serin_unstored_models", GAUGE, PROGRAM(unstored), "Models of which something is in force that is not on disk"},
    {"serin_gateway_threads", GAUGE, PROGRAM(gateway_threads), "Threads that take requests"},
    {"serin_connections_open", GAUGE, PROGRAM(connections_open), "Connections of clients that are open"},
    {"serin_connections_taken_total", COUNTER, PROGRAM(connections_taken), "Connections of clients that were taken"},
    {"serin_connections_refused_total", COUNTER, PROGRAM(connections_refused),
     "New connections that were closed at once: max_connections had requests"},
    {"serin_connections_evicted_total", COUNTER, PROGRAM(connections_evicted),
     "Connections without a request that were closed for new ones at max_connections"},
    {"serin_log_lines_total", COUNTER, write_log_lines, 0, "Lines that the log took"},
    {"serin_log_lines_dropped_total", COUNTER, write_log_lines, 0,
     "Lines that were dropped: nobody reads the log fast enough, or its disk is full"},
    {"serin_traces_sent_total", COUNTER, write_traces, 0, "Traced requests whose spans the collector took"},
    {"serin_traces_dropped_total", COUNTER, write_traces, 0,
     "Traced requests whose spans were lost: the collector is too slow, away, or took them not"},
    {"process_start_time_seconds", GAUGE, PROGRAM(start_s), "When the process was started, in seconds since 1970"},
    {"process_cpu_seconds_total", COUNTER, PROGRAM(cpu_s), "Processor time of the process, without its workers"},
    {"process_resident_memory_bytes", GAUGE, PROGRAM(resident), "Memory of the process, without its workers"},
    {"process_virtual_memory_bytes", GAUGE, PROGRAM(virtual_bytes), "Address space of the process"},
    {"process_threads", GAUGE, PROGRAM(threads), "Threads of the process"},
    {"process_open_fds", GAUGE, PROGRAM(open_files), "Open files and sockets of the process"},
    {"process_max_fds", GAUGE, PROGRAM(most_files), "The most that it may have open"},
};

enum serin_errc metrics_write(void *user, struct buffer *out, struct serin_error *error)
{
    struct page page = {.server = user, .out = out};
    enum serin_errc rc = SERIN_OK;
    size_t i;

    if (!make_rows(&page)) {
        rc = error_set(error, SERIN_NOMEM, "no memory for the metrics");
    } else {
        read_all(&page);
        for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
            buffer_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name,
                          kind_names[metrics[i].kind]);
            metrics[i].write(&page, &metrics[i]);
        }
    }
    free(page.versions);
    free(page.replicas);
    free(page.rollouts);
    free(page.guards);
    return rc;
}
