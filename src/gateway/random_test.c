/*
 * random_test.c - what a thread draws is right in short runs too: as many versions, copies and lines as the binomial
 * distribution says, from fresh seeds, with the draws of a request in the order in which it makes them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/random.c"

#include "base/siphash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define RUNS     20000
#define REQUESTS 300

enum draw { CANARY, COPY, LINE, DRAWS };

/* By how many runs each count was reached. */
struct tally {
    double runs[REQUESTS + 1];
};

/* A request's draws: its version; per mirror whether it is copied and, if so, to which replica; its own replica;
 * whether its line is logged. */
static void run(struct thread *thread, const struct route *route, int mirrors, double share, int counts[DRAWS])
{
    int request, m;

    memset(counts, 0, DRAWS * sizeof(counts[0]));
    for (request = 0; request < REQUESTS; request++) {
        const struct route_request draw = {.random = thread_random(thread)};

        counts[CANARY] += route_pick(route, &draw).version == 1;
        for (m = 0; m < mirrors; m++)
            if (thread_chance(thread, share)) {
                counts[COPY] += m == 0;
                thread_random(thread);
            }
        thread_random(thread);
        counts[LINE] += thread_chance(thread, share);
    }
}

static double binomial(int k, double p)
{
    return exp(lgamma(REQUESTS + 1) - lgamma(k + 1) - lgamma(REQUESTS - k + 1) + k * log(p) +
               (REQUESTS - k) * log1p(-p));
}

/* The point that a chi-square of this many degrees passes once in a million times (Wilson and Hilferty 1931). */
static double one_in_a_million(int degrees)
{
    const double width = 2. / (9. * degrees);

    return degrees * pow(1 - width + 4.7534 * sqrt(width), 3);
}

/* Pearson's test of the counts against the binomial, neighbours taken together until ten runs are expected. */
static void check(const struct tally *tally, double p, const char *what)
{
    double chi_square = 0, seen = 0, expected = 0, left = RUNS;
    int k, bins = 0;

    for (k = 0; k <= REQUESTS; k++) {
        seen += tally->runs[k];
        expected += RUNS * binomial(k, p);
        if (k < REQUESTS && (expected < 10 || left - expected < 10))
            continue; /* the last bin holds all of the tail */
        chi_square += (seen - expected) * (seen - expected) / expected;
        left -= expected;
        bins++;
        seen = expected = 0;
    }
    assert_true(bins > 8);
    if (chi_square > one_in_a_million(bins - 1))
        fail_msg("%s at %g: chi-square %.1f of %d bins, the limit is %.1f", what, p, chi_square, bins,
                 one_in_a_million(bins - 1));
}

static uint64_t spread(uint64_t number) /* seeds as the kernel gives them: without a pattern */
{
    static const uint64_t key[2] = {1, 2};

    return siphash(key, &number, sizeof(number));
}

static uint64_t in_a_row(uint64_t number) /* and the worst that it could give */
{
    return number;
}

static void test_short_runs_are_binomial(void **state)
{
    static const char *const names[DRAWS] = {"versions", "copies", "lines"};
    static const double shares[] = {.01, .05};
    static uint64_t (*const seeds[])(uint64_t number) = {spread, in_a_row};
    static struct thread thread;
    static struct route route;
    size_t s;
    int mirrors, of, r, d;

    (void)state;
    route.version_count = 2;
    for (s = 0; s < 4; s++)
        for (mirrors = 0; mirrors <= 2; mirrors++) {
            static struct tally tallies[DRAWS];
            const double share = shares[s / 2];

            memset(tallies, 0, sizeof(tallies));
            route.versions[1].weight = (uint32_t)lround(share * 1e6);
            route.versions[0].weight = 1000000 - route.versions[1].weight;
            for (r = 0; r < RUNS; r++) {
                int counts[DRAWS];

                thread.random_state = seeds[s % 2]((uint64_t)r);
                run(&thread, &route, mirrors, share, counts);
                for (d = 0; d < DRAWS; d++)
                    tallies[d].runs[counts[d]]++;
            }
            for (of = 0; of < DRAWS; of++)
                if (of != COPY || mirrors > 0)
                    check(&tallies[of], share, names[of]);
        }
}

static void test_chance_has_both_ends(void **state)
{
    static struct thread thread;
    int i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        assert_true(thread_chance(&thread, 1));
        assert_false(thread_chance(&thread, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_runs_are_binomial),
        cmocka_unit_test(test_chance_has_both_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
