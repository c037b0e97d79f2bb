/*
 * simulation.c - whole rollouts, thousands of them: how often the judge is wrong, and how soon it is right.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     simulation                   what `make test` runs; SERIN_SOAK=1: the long form, of `make soak`
 *     simulation --bench           what `make bench` prints: a middle size
 *
 * Three tables. False alarms: equal versions under the default plan, by unit of assignment, beside Kayenta's and
 * Flagger's judgement of the same requests. Power: versions that are worse, in the same way. Evidence: what the judge
 * needs in the median, beside section 3 of the anchors' tables (docs/internals/judge.md says which). Each run has its
 * seed from its number alone, so a table is the same on every machine whose libm rounds alike, however many processes
 * share the work. Exit status 1: a number is out of its bound.
 */
#include "walk.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define SURE           1e-6 /* a bound fails a judge that is right with no more than this */
#define TIMES_TABLE    1.5  /* of the tables' median evidence, at most; in the short form, of few runs, 2 */
#define MOST_PROCESSES 64

static int faults;
static double times_table = 2;

/* ---- many walks ---- */

typedef void walk_function(const struct walk_options *options, struct walk_result *ret);

/* Walks with seeds from `first` on, shared out among processes. The results are the caller's to munmap. */
static struct walk_result *walk_many(walk_function *walk, const struct walk_options *given, int runs, uint64_t first)
{
    const size_t size = (size_t)runs * sizeof(struct walk_result);
    struct walk_result *results = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int processes = cores < 1 ? 1 : cores > MOST_PROCESSES ? MOST_PROCESSES : (int)cores;
    int i, k, status, failed = results == MAP_FAILED;
    pid_t children[MOST_PROCESSES];

    fflush(NULL);
    for (k = 0; k < processes && !failed; k++) {
        children[k] = fork();
        if (children[k] == 0) {
            for (i = k; i < runs; i += processes) {
                struct walk_options options = *given;

                options.seed = first + (uint64_t)i;
                walk(&options, &results[i]);
            }
            _exit(0);
        }
        failed = children[k] < 0;
    }
    for (i = 0; i < k; i++)
        failed |= children[i] > 0 && (waitpid(children[i], &status, 0) < 0 || status != 0);
    if (failed) {
        fprintf(stderr, "simulation: a process that walks has failed\n");
        exit(2);
    }
    return results;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The middle of `count` numbers (of those that are not known, which come last: NAN counts as infinite). */
static double middle(double *numbers, int count)
{
    int i;

    if (count == 0)
        return (double)NAN;
    for (i = 0; i < count; i++)
        if (isnan(numbers[i]))
            numbers[i] = (double)INFINITY;
    qsort(numbers, (size_t)count, sizeof(double), by_value);
    return numbers[count / 2];
}

struct summary {
    int ends[WALK_ENDS], found;           /* found: rolled back or inconclusive */
    double found_s, found_canary, good_s; /* medians: until found, the canary's requests until then; until promoted */
    char guards[100];                     /* what ended them, the most frequent first */
};

static void name_guards(const struct walk_result *results, int runs, struct summary *ret)
{
    char names[8][200] = {""};
    int counts[8] = {0}, used = 0, i, k, best;
    size_t size = 0;

    for (i = 0; i < runs; i++) {
        char name[200];

        if (!results[i].guard[0])
            continue;
        snprintf(name, sizeof(name), "%s%s%s", results[i].guard, results[i].slice[0] ? " " : "", results[i].slice);
        for (k = 0; k < used && strcmp(names[k], name) != 0; k++)
            continue;
        if (k == (int)COUNT(counts))
            continue;
        used = k == used ? used + 1 : used;
        memcpy(names[k], name, sizeof(name));
        counts[k]++;
    }
    while (used > 0 && size < sizeof(ret->guards)) {
        for (best = 0, k = 1; k < used; k++)
            best = counts[k] > counts[best] ? k : best;
        if (counts[best] == 0)
            break;
        size += (size_t)snprintf(ret->guards + size, sizeof(ret->guards) - size, "%s%s %d", size ? ", " : "",
                                 names[best], counts[best]);
        counts[best] = 0;
    }
}

static void summarise(const struct walk_result *results, int runs, struct summary *ret)
{
    double *numbers[3];
    int counts[3] = {0, 0, 0}, i;

    *ret = (struct summary){.found = 0};
    for (i = 0; i < 3; i++) {
        numbers[i] = calloc((size_t)runs, sizeof(double));
        if (!numbers[i])
            abort();
    }
    for (i = 0; i < runs; i++) {
        ret->ends[results[i].end]++;
        if (results[i].end == WALK_PROMOTED)
            numbers[2][counts[2]++] = results[i].t_s;
        if (results[i].end != WALK_ROLLED_BACK && results[i].end != WALK_INCONCLUSIVE)
            continue;
        numbers[0][counts[0]++] = results[i].t_s;
        numbers[1][counts[1]++] = results[i].canary_requests;
    }
    ret->found = counts[0];
    ret->found_s = middle(numbers[0], counts[0]);
    ret->found_canary = middle(numbers[1], counts[1]);
    ret->good_s = middle(numbers[2], counts[2]);
    for (i = 0; i < 3; i++)
        free(numbers[i]);
    name_guards(results, runs, ret);
}

/* ---- bounds ---- */

/* The least k with P(Binomial(n, p) > k) < SURE. */
static int binomial_bound(int n, double p)
{
    double term = exp(n * log1p(-p)), below = term;
    int k = 0;

    while (k < n && 1 - below > SURE) {
        term *= (double)(n - k) / (k + 1) * p / (1 - p);
        below += term;
        k++;
    }
    return k;
}

static void __attribute__((format(printf, 2, 3))) expect(bool good, const char *format, ...)
{
    va_list arguments;

    if (good)
        return;
    faults++;
    printf("OUT OF BOUND: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

/* ---- the tables ---- */

static const struct {
    const char *name;
    walk_function *walk;
} judges[] = {{"serin", walk_serin}, {"kayenta", walk_kayenta}, {"flagger", walk_flagger}};

#define TRAFFIC                                                                                                        \
    (struct traffic_options)                                                                                           \
    {                                                                                                                  \
        .requests_per_s = 200, .error_rate = .01                                                                       \
    }

static struct walk_options usual(const struct plan *plan)
{
    return (struct walk_options){
        .traffic = TRAFFIC, .label_share = .05, .most_s = 7200, .patience_s = (double)INFINITY, .plan = plan};
}

static void print_false_alarms(const char *judge, const char *unit, const struct walk_options *options,
                               walk_function *walk, int runs, bool bounded)
{
    struct walk_result *results = walk_many(walk, options, runs, 1);
    struct summary summary;
    const double alpha = options->plan->judge.alpha;
    const int bound = binomial_bound(runs, alpha);

    summarise(results, runs, &summary);
    printf("%-8s %-10s %5d %6d %6d %6d %6d", judge, unit, runs, summary.ends[WALK_ROLLED_BACK],
           summary.ends[WALK_INCONCLUSIVE], summary.ends[WALK_PROMOTED], summary.ends[WALK_HELD]);
    printf(bounded ? " %7d" : "       -", bound);
    printf(isnan(summary.good_s) ? "       -" : " %7.1f", summary.good_s / 60);
    printf("  %s\n", summary.guards);
    fflush(stdout);
    if (bounded)
        expect(summary.ends[WALK_ROLLED_BACK] <= bound, "%d of %d rolled back by %s, the bound is %d",
               summary.ends[WALK_ROLLED_BACK], runs, unit, bound);
    munmap(results, (size_t)runs * sizeof(*results));
}

static struct judge_guard *guard_named(struct plan *plan, const char *name)
{
    int i;

    for (i = 0; i < plan->judge.guard_count; i++)
        if (strcmp(plan->judge.guards[i].name, name) == 0)
            return &plan->judge.guards[i];
    abort();
}

/* One guard at margin 0, a minute of mirroring to know stable by, and one share. */
static void one_guard(struct plan *plan, const char *guard, double share, double alpha)
{
    const struct plan_step mirror = plan->steps[0], last = plan->steps[plan->judge.step_count - 1];

    plan->judge.guards[0] = *guard_named(plan, guard);
    plan->judge.guard_count = 1;
    plan->judge.guards[0].margin = 0;
    plan->judge.alpha = alpha;
    plan->steps[0] = mirror;
    plan->steps[1] = (struct plan_step){.weight_per_million = (uint32_t)lround(share * ROUTE_MAX_WEIGHT),
                                        .mirror_per_million = mirror.mirror_per_million,
                                        .noise_per_million = mirror.noise_per_million,
                                        .max_evidence = (double)INFINITY,
                                        .min_time_s = (double)INFINITY,
                                        .max_time_s = (double)INFINITY};
    plan->steps[2] = last;
    plan->judge.step_count = 3;
    plan->judge.min_evidence[1] = 0;
}

/* Runs by request, by key and by block, and of the others. */
static void false_alarms(const struct plan *plan, int by_request, int by_key, int by_others)
{
    static const char *const units[] = {"request", "key", "key_block"};
    struct plan keyed = *plan;
    struct walk_options options = usual(plan);
    size_t i;

    printf("Equal versions under the default plan, alpha %g: bound is what a right judge passes with a probability of "
           "%g.\n"
           "By key and by block a person lets a step go on after 5 min, since few cameras prove little.\n"
           "Block, p95: that guard alone, margin 0, 20 %% of the traffic for two hours.\n",
           plan->judge.alpha, SURE);
    printf("judge    unit        runs   back    ask  promo   held   bound min-prom  by\n");
    print_false_alarms("serin", units[JUDGE_REQUEST], &options, walk_serin, by_request, true);
    options.plan = &keyed;
    options.patience_s = 300;
    options.traffic.requests_per_s = 50;
    for (i = JUDGE_KEY; i <= JUDGE_KEY_BLOCK; i++) {
        keyed.judge.unit = (enum judge_unit)i;
        keyed.judge.block_s = i == JUDGE_KEY ? plan->judge.block_s : 20;
        print_false_alarms("serin", units[i], &options, walk_serin, by_key, true);
    }
    /* Without a margin equal versions lie on the border of what is harm, where a test that is wrong shows it: by block,
     * p95 did while a slow answer of one block counted for the next. */
    keyed = *plan;
    one_guard(&keyed, "latency_p95", .2, plan->judge.alpha);
    keyed.judge.unit = JUDGE_KEY_BLOCK;
    keyed.judge.block_s = 20;
    options.patience_s = (double)INFINITY;
    if (by_others > 0)
        print_false_alarms("serin", "block, p95", &options, walk_serin, by_others, true);
    options = usual(plan);
    for (i = 1; i < COUNT(judges) && by_others > 0; i++)
        print_false_alarms(judges[i].name, units[JUDGE_REQUEST], &options, judges[i].walk, by_others, false);
}

/* What a scenario asks of the default plan more than it has: 0, or the margin of lost boxes, which the plan leaves at 5
 * points. */
static const struct scenario {
    const char *name;
    struct traffic_harm harm;
    double lost_margin;
    bool by_labels; /* agreement is only noted, so that labels must find it */
} scenarios[] = {
    {"errors 1 % -> 2 %", {.errors = .01}, 0, false},
    {"all times +10 %", {.slower = .1}, 0, false},
    {"3 points of boxes lost in the dark; margin 1", {.lost_dark = .03}, .01, false},
    {"half blind in the dark", {.lost_dark = .5}, 0, false},
    {"half blind in the dark, by labels of 5 % alone", {.lost_dark = .5}, 0, true},
    {"a leak of 40 MB in 1,000 requests", {.leak_mb = 40}, 0, false},
    {"fails always", {.fails_always = true}, 0, false},
};

/* Of who cares for a guard more than the default plan does: it holds the steps up, in each light. */
static void care_for(struct plan *plan, const char *guard, double margin)
{
    struct judge_guard *given = guard_named(plan, guard);
    int i;

    given->required = JUDGE_REQUIRED; /* in each light, as the default plan has it of labels */
    given->margin = margin;
    for (i = 0; i < plan->judge.step_count; i++)
        if (!isinf(given->prove[i]))
            given->prove[i] = margin + .01;
}

static void power(const struct plan *plan, int runs, size_t judge_count)
{
    size_t i, k;

    printf("\nVersions that are worse, under the default plan, of %d runs each: found, promoted, minutes and the "
           "canary's\n"
           "requests until found (medians), by which guard.\n",
           runs);
    for (i = 0; i < COUNT(scenarios); i++) {
        const struct scenario *scenario = &scenarios[i];
        struct plan own = *plan;
        struct walk_options options = usual(&own);

        if (scenario->lost_margin > 0)
            care_for(&own, "lost", scenario->lost_margin);
        if (scenario->by_labels)
            guard_named(&own, "lost")->action = guard_named(&own, "detections")->action = JUDGE_NOTE;
        options.traffic.harm = scenario->harm;
        printf("%s\n", scenario->name);
        for (k = 0; k < judge_count; k++) {
            struct walk_result *results = walk_many(judges[k].walk, &options, runs, 1);
            struct summary summary;

            summarise(results, runs, &summary);
            printf("  %-8s %5d %5d %7.2f %7.0f  %s\n", judges[k].name, summary.found, summary.ends[WALK_PROMOTED],
                   summary.found_s / 60, summary.found_canary, summary.guards);
            fflush(stdout);
            if (k == 0)
                expect(summary.ends[WALK_PROMOTED] == 0, "%d of %d were promoted", summary.ends[WALK_PROMOTED], runs);
            munmap(results, (size_t)runs * sizeof(*results));
        }
    }
}

/* ---- evidence, beside the tables ---- */

static void print_evidence(const char *what, const char *of, double median, double table)
{
    printf("%-52s %8.0f %8.0f %5.2f  %s\n", what, median, table, median / table, of);
    expect(median <= times_table * table, "%s: %.0f %s, more than %g times the table's %.0f", what, median, of,
           times_table, table);
}

/* Section 3.5: errors of both versions until a ratio of 2 is seen at alpha .001. */
static void evidence_of_errors(const struct plan *plan, int runs, bool all)
{
    static const struct {
        double share, table;
    } rows[] = {{.5, 150}, {.05, 509}, {.01, 2129}};
    char what[80];
    size_t i;
    int k;

    for (i = 0; i < (all ? COUNT(rows) : 2); i++) {
        struct plan own = *plan;
        struct walk_options options = usual(&own);
        struct walk_result *results;
        double *errors = calloc((size_t)runs, sizeof(double));

        if (!errors)
            abort();
        one_guard(&own, "error_rate", rows[i].share, .001);
        options.traffic.harm.errors = .01;
        results = walk_many(walk_serin, &options, runs, 1);
        for (k = 0; k < runs; k++)
            errors[k] = results[k].end == WALK_ROLLED_BACK ? results[k].errors : (double)NAN;
        snprintf(what, sizeof(what), "3.5 errors 1 %% -> 2 %%, share %g %%, alpha .001", 100 * rows[i].share);
        print_evidence(what, "errors of both", middle(errors, runs), rows[i].table);
        munmap(results, (size_t)runs * sizeof(*results));
        free(errors);
    }
}

/* Section 3.7: requests of each version until +10 % is seen at alpha .05, log-normal times with sigma .3. */
static void evidence_of_times(const struct plan *plan, int runs)
{
    static const struct {
        const char *guard;
        double table;
    } rows[] = {{"latency_p95", 1000}, {"latency_p50", 400}};
    char what[80];
    int i, k;

    for (i = 0; i < 4; i++) {
        const bool plain = i < 2;
        struct plan own = *plan;
        struct walk_options options = usual(&own);
        struct walk_result *results;
        double *requests = calloc((size_t)runs, sizeof(double));

        if (!requests)
            abort();
        one_guard(&own, rows[i % 2].guard, .5, .05);
        options.traffic.plain = plain;
        options.traffic.harm.slower = .1;
        results = walk_many(walk_serin, &options, runs, 1);
        for (k = 0; k < runs; k++)
            requests[k] = results[k].end == WALK_ROLLED_BACK ? results[k].canary_requests : (double)NAN;
        snprintf(what, sizeof(what), "3.7 +10 %%, %s, alpha .05, %s", rows[i % 2].guard,
                 plain ? "its own traffic" : "ours");
        if (plain)
            print_evidence(what, "requests of a version", middle(requests, runs), rows[i % 2].table);
        else
            printf("%-52s %8.0f\n", what, middle(requests, runs));
        munmap(results, (size_t)runs * sizeof(*results));
        free(requests);
    }
}

/* Section 3.8: dark pairs until 3 points of boxes lost are seen, beside the empirical Bernstein sequence of 3.6 on the
 * same pairs, at the slice's alpha. That sequence is told how stable differs from itself, and the judge has to learn it
 * in each light: who asks for so little copies as much to stable as to the canary. */
static void evidence_of_pairs(const struct plan *plan, int runs)
{
    struct plan own = *plan;
    struct walk_options options = usual(&own);
    struct walk_result *results;
    double *pairs = calloc((size_t)runs, sizeof(double)), *reference = calloc((size_t)runs, sizeof(double));
    int k;

    if (!pairs || !reference)
        abort();
    one_guard(&own, "lost", .01, .05);
    own.steps[0].noise_per_million = own.steps[1].noise_per_million = own.steps[0].mirror_per_million;
    options.traffic.plain = true;
    options.traffic.harm.lost_dark = .03;
    options.reference_alpha = own.judge.alpha / 2 / (own.judge.dimensions[0].values + 1);
    results = walk_many(walk_serin, &options, runs, 1);
    for (k = 0; k < runs; k++) {
        pairs[k] = results[k].end == WALK_INCONCLUSIVE ? results[k].pairs : (double)NAN;
        reference[k] = results[k].reference_pairs;
    }
    print_evidence("3.8 3 points of boxes lost in one light of four", "pairs of that light; 3.6's sequence beside it",
                   middle(pairs, runs), middle(reference, runs));
    munmap(results, (size_t)runs * sizeof(*results));
    free(pairs);
    free(reference);
}

int main(int argc, char **argv)
{
    const bool bench = argc > 1 && strcmp(argv[1], "--bench") == 0, soak = getenv("SERIN_SOAK") != NULL;
    const bool all = bench || soak;
    struct plan plan;

    times_table = all ? TIMES_TABLE : times_table;
    plan_init(&plan);
    false_alarms(&plan, soak ? 2000 : bench ? 60 : 12, soak ? 500 : bench ? 60 : 6, soak ? 200 : bench ? 60 : 0);
    power(&plan, soak ? 100 : bench ? 40 : 4, all ? COUNT(judges) : 1);
    printf("\nMedian evidence until found, margin 0, beside the table's: at most %g times as much.\n", times_table);
    evidence_of_errors(&plan, all ? 200 : 30,
                       all); /* medians of 100 vary by a tenth, more than is between ours and the bound */
    evidence_of_times(&plan, soak ? 200 : bench ? 100 : 30);
    evidence_of_pairs(&plan, soak ? 200 : bench ? 100 : 30);
    return faults > 0;
}
