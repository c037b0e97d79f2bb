#!/usr/bin/env python3
"""What confseq says of random inputs: boundaries.tsv for src/judge/boundary_test.c.

    make_boundaries.py CONFSEQ > boundaries.tsv      (CONFSEQ: confseq 0.0.11 unpacked; a C++14 compiler and Boost's headers)

confseq's C++ header is compiled with a driver, so that its Python extension need not be built. A line is: function, arguments, value.
The rows of bounded_mean (mean, alpha, n, values, lower, upper) are from numpy: confseq's own predmix.py predicts 0 before the
first value where the paper has 1/2. Two arms of a quantile test: p, t_opt, counts, values sorted, and the p-value.
SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy as np

DRIVER = r"""
#include <cassert>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include "uniform_boundaries.h"
using namespace confseq;
int main() {
  std::string f;
  while (std::cin >> f) {
    int n; std::cin >> n;
    std::vector<double> a(n);
    for (double &x : a) std::cin >> x;
    double r = NAN;
    if (f == "normal") r = normal_log_mixture(a[0], a[1], a[2], a[3], a[4] != 0);
    else if (f == "normal_bound") r = normal_mixture_bound(a[0], a[1], a[2], a[3], a[4] != 0);
    else if (f == "gamma_exponential") r = gamma_exponential_log_mixture(a[0], a[1], a[2], a[3], a[4]);
    else if (f == "gamma_exponential_bound") r = gamma_exponential_mixture_bound(a[0], a[1], a[2], a[3], a[4]);
    else if (f == "gamma_poisson") r = gamma_poisson_log_mixture(a[0], a[1], a[2], a[3], a[4]);
    else if (f == "gamma_poisson_bound") r = gamma_poisson_mixture_bound(a[0], a[1], a[2], a[3], a[4]);
    else if (f == "bernoulli") r = beta_binomial_log_mixture(a[0], a[1], a[2], a[3], a[4], a[5], a[6] != 0);
    else if (f == "bernoulli_bound") r = beta_binomial_mixture_bound(a[0], a[1], a[2], a[3], a[4], a[5], a[6] != 0);
    else if (f == "stitching") r = poly_stitching_bound(a[0], a[1], a[2], a[3], a[4], a[5]);
    else if (f == "lil") r = empirical_process_lil_bound((int)a[0], a[1], a[2], a[3]);
    else if (f == "quantile_stitching") r = double_stitching_bound(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    else if (f == "share_lower") r = bernoulli_confidence_interval(a[0], (int)a[1], a[2], a[3], a[4]).first;
    else if (f == "share_upper") r = bernoulli_confidence_interval(a[0], (int)a[1], a[2], a[3], a[4]).second;
    else if (f == "two_arms") {
      auto split = a.begin() + 4 + (int)a[2];
      r = QuantileABTest(a[0], (int)a[1], 0.05, std::make_shared<StaticOrderStatistics>(a.begin() + 4, split),
                         std::make_shared<StaticOrderStatistics>(split, a.end())).p_value();
    }
    printf("%.17g\n", r);
  }
}
"""


def number(low, high):
    """Spread evenly over the decades, to few digits."""
    return float(f"{10 ** random.uniform(np.log10(low), np.log10(high)):.4g}")


def questions():
    for _ in range(40):
        v, v_opt, alpha, alpha_opt, c = number(1, 1e5), number(1, 1e4), number(1e-6, 0.3), number(1e-3, 0.2), number(0.1, 10)
        s = float(f"{random.uniform(-2, 5) * v**0.5:.4g}")
        g, h = number(0.02, 2), number(0.02, 2)
        within = float(f"{random.uniform(-0.9 * min(v / h, 2 * v**0.5), 0.9 * min(v / g, 5 * v**0.5)):.4g}")
        for sided in (0, 1):
            yield "normal", s, v, v_opt, alpha_opt, sided
            yield "normal_bound", v, alpha, v_opt, alpha_opt, sided
            yield "bernoulli", within, v, v_opt, g, h, alpha_opt, sided
            yield "bernoulli_bound", v, alpha, v_opt, g, h, alpha_opt, sided
        yield "gamma_exponential", max(s, float(f"{-0.9 * v / c:.4g}")), v, v_opt, c, alpha_opt
        yield "gamma_exponential_bound", v, alpha, v_opt, c, alpha_opt
        yield "gamma_poisson", max(s, float(f"{-0.9 * v / c:.4g}")), v, v_opt, c, alpha_opt
        yield "gamma_poisson_bound", v, alpha, v_opt, c, alpha_opt
        yield "stitching", v, alpha, number(0.1, 1e3), random.choice([-1.0, 0.0, 1.0, 3.0]), number(1.1, 2), number(1.2, 4)
        t, t_opt = random.randint(1, 10**5), random.randint(1, 10**4)
        p = float(f"{random.choice([random.random(), number(0.001, 0.5), 1 - number(0.001, 0.5)]):.4f}") or 0.5
        yield "quantile_stitching", p, t, alpha, t_opt, number(0.2, 1), number(1.1, 2), number(1.2, 4)
        trials = random.randint(1, 10**5)
        k = min(trials, int(trials * random.choice([0, 1, random.random(), number(1e-4, 1)])))
        yield "share_lower", k, trials, alpha, t_opt, alpha_opt
        yield "share_upper", k, trials, alpha, t_opt, alpha_opt
    for _ in range(8):
        yield "lil", random.randint(100, 10**6), number(1e-4, 0.2), float(random.randint(1, 100)), round(random.uniform(0.75, 1.5), 3)
    for _ in range(60):
        p, t_opt, spread = random.choice([0.2, 0.5, 0.9]), random.choice([10, 100, 1000]), random.choice([5, 40, 1000])
        shift = random.choice([0, 0.3, 1, 2]) * spread
        arms = [sorted(round(random.gauss(move, spread)) for _ in range(random.randint(20, 90))) for move in (0, shift)]
        yield "two_arms", p, t_opt, len(arms[0]), len(arms[1]), *arms[0], *arms[1]


def bounded_mean(values, alpha):
    x, t = np.array(values), np.arange(1, len(values) + 1)
    means = np.concatenate([[0.5], (0.5 + np.cumsum(x)) / (t + 1)])
    spreads = np.concatenate([[0.25], (0.25 + np.cumsum((x - means[1:]) ** 2)) / (t + 1)])
    weights = np.minimum(np.sqrt(2 * np.log(2 / alpha) / (spreads[:-1] * t * np.log(1 + t))), 0.5)
    penalty = np.sum((x - means[:-1]) ** 2 * (-np.log(1 - weights) - weights))
    half = (np.log(2 / alpha) + penalty) / weights.sum()
    centre = (weights * x).sum() / weights.sum()
    return max(centre - half, 0), min(centre + half, 1)


def main():
    random.seed(11)
    rows = list(questions())
    with tempfile.TemporaryDirectory() as folder:
        driver = pathlib.Path(folder, "driver.cc")
        driver.write_text(DRIVER, encoding="utf-8")
        subprocess.run(["c++", "-std=c++14", "-O1", "-DNDEBUG", "-I", pathlib.Path(sys.argv[1], "src", "confseq"), driver, "-o",
                        driver.with_suffix("")], check=True)
        asked = "".join(f"{row[0]} {len(row) - 1} {' '.join(map(repr, row[1:]))}\n" for row in rows)
        answers = subprocess.run([driver.with_suffix("")], input=asked, capture_output=True, text=True, check=True).stdout.split()
    for row, answer in zip(rows, answers, strict=True):
        if row[0] == "bernoulli_bound" and float(answer) >= 0.999999 * row[1] / row[4]:
            answer = "inf"  # no possible sum gets there: confseq gives the largest possible one, we infinity
        print(*row, answer, sep="\t")
    for n in (1, 2, 10, 200, 700):
        alpha, values = number(1e-3, 0.2), [round(random.betavariate(2, 5), 3) for _ in range(n)]
        print("bounded_mean", alpha, n, *values, *map(repr, map(float, bounded_mean(values, alpha))), sep="\t")


main()
