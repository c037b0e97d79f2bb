#!/usr/bin/env python3
"""Mann-Whitney intervals of a shift, by scipy: rivals.tsv for bench/rivals_test.c.

Run in an environment with scipy 1.x:  make_rivals.py > rivals.tsv
A line: two counts, the values of both sides, |z| of the unshifted test (scipy's mannwhitneyu with its continuity and tie
corrections), and the shifts at which the statistic falls through 2.326, 0 and -2.326, found among the differences of all pairs, where
alone it can fall.
SPDX-License-Identifier: Apache-2.0
"""
import numpy as np
from scipy import stats

Z = stats.norm.ppf(0.99)


def statistic(x, y, mu):
    n, m = len(x), len(y)
    both = np.concatenate([np.round(x - mu, 9), y])
    ranks = stats.rankdata(both)
    excess = ranks[:n].sum() - n * (n + 1) / 2 - n * m / 2
    ties = sum(count**3 - count for count in np.unique(both, return_counts=True)[1])
    sigma = np.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    return (excess - 0.5 * np.sign(excess)) / sigma


def shift_at(x, y, z):
    places = np.unique(np.round(np.subtract.outer(x, y).ravel(), 9))
    if statistic(x, y, places[0]) <= z:
        return places[0]
    if statistic(x, y, places[-1]) >= z:
        return places[-1]
    between = [(a + b) / 2 for a, b in zip(places, places[1:])]
    for place, after in zip(places[1:], between[1:] + [np.inf]):
        if statistic(x, y, place) <= z or after == np.inf or statistic(x, y, after) <= z:
            return place
    return places[-1]


def main():
    random = np.random.default_rng(5)
    for case in range(24):
        n, m = random.integers(3, 40, 2)
        scale = [0.7, 3, 100][case % 3]
        x = np.round(random.gamma(2, scale, n) + random.choice([0, 0.3, 2]) * scale, 2 if case % 2 else 0)
        y = np.round(random.gamma(2, scale, m), 2 if case % 2 else 0)
        p = stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=True).pvalue
        z = stats.norm.isf(p / 2)
        shifts = [shift_at(x, y, level) for level in (Z, 0, -Z)]
        print(n, m, *x, *y, repr(float(z)), *map(float, shifts), sep="\t")


main()
