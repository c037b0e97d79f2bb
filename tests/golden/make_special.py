#!/usr/bin/env python3
"""The special functions of src/judge/special.c to 50 digits: special.tsv for src/judge/special_test.c.

Run in an environment with mpmath 1.x:  make_special.py > special.tsv     (half a minute)
A line is: function, three arguments (0 where it has fewer), the value to 17 digits.
SPDX-License-Identifier: Apache-2.0
"""
import random

from mpmath import mp, mpf, betainc, erfc, exp, gammainc, log, loggamma, quad, sqrt, zeta

mp.dps = 50


def log_beta(a, b):
    return loggamma(a) + loggamma(b) - loggamma(a + b)


def tail(fall, scale):
    """The integral of exp(-fall(t)) over t > 0, where fall is convex: panels as wide as the integrand is."""
    edge = scale
    while fall(edge) < 140:
        edge *= 2
    panels = [mpf(0)]
    step = scale / 4
    while panels[-1] < edge:
        panels.append(panels[-1] + step)
        step *= mpf("1.3")
    return quad(lambda t: exp(-fall(t)), panels)


def log_ibeta(a, b, x):
    """ln I_x(a, b); the integral runs in the logit of its variable, over the smaller tail."""
    if a + b < 2000:
        return log(betainc(a, b, 0, x, regularized=True))
    y = 1 - x
    upper = x > a / (a + b)
    if upper:
        a, b, x, y = b, a, y, x
    scale = 1 / (abs(a * y - b * x) + sqrt((a + b) * x * y) + min(a, b))
    mass = tail(lambda t: a * t + (a + b) * log(x * exp(-t) + y), scale)  # below x: t is how far the logit lies under x's
    small = log(mass) + a * log(x) + b * log(y) - log_beta(a, b)
    return log(1 - exp(small)) if upper else small


def log_gamma_part(a, x, above):
    if a < 2000:
        return log(gammainc(a, x, mp.inf, regularized=True) if above else gammainc(a, 0, x, regularized=True))
    sign = 1 if x > a else -1
    mass = tail(lambda t: -sign * a * t + x * (exp(sign * t) - 1), 1 / (abs(a - x) + sqrt(x)))
    small = log(mass) + a * log(x) - x - loggamma(a)
    return small if (sign > 0) == above else log(1 - exp(small))


def row(name, a, b, x, value):
    print(name, repr(a), repr(b), repr(x), mp.nstr(value, 17, min_fixed=0, max_fixed=0), sep="\t")


def near(mean, sd, low, high):
    """A place in the bulk, in a tail, or anywhere."""
    place = mean + sd * random.choice([0, 0.3, -1, 2, -5, 12, -30])
    return place if low < place < high else None


def main():
    random.seed(7)
    sizes = [1e-3, 0.03, 0.5, 1.0, 2.5, 9.0, 29.9, 77.0, 399.0, 401.0, 1e3, 12345.6, 1e6, 1e9]
    for a in sizes:
        for b in sizes:
            row("beta", a, b, 0.0, log_beta(mpf(a), mpf(b)))
            mean, s = a / (a + b), a + b
            places = {near(mean, (mean * (1 - mean) / (s + 1)) ** 0.5, 1e-12, 1 - 1e-12) for _ in range(4)}
            for x in sorted(places - {None}):
                row("below", a, b, x, log_ibeta(mpf(a), mpf(b), mpf(x)))
        for x in sorted({near(a, a**0.5, 0, 1e300) for _ in range(6)} - {None} | {a, a / 3, 2 * a + 1}):
            row("gamma_below", a, x, 0.0, log_gamma_part(mpf(a), mpf(x), False))
            row("gamma_above", a, x, 0.0, log_gamma_part(mpf(a), mpf(x), True))
    for z in [-1e4, -200.0, -40.0, -12.1, -11.9, -5.0, -1.0, -1e-3, 0.0, 0.5, 3.0, 8.0, 30.0]:
        row("normal", z, 0.0, 0.0, log(erfc(-mpf(z) / sqrt(2)) / 2))
    for s in [1.01, 1.1, 1.4, 2.0, 3.7, 10.0, 40.0]:
        row("zeta", s, 0.0, 0.0, zeta(mpf(s)))
    for x in [-1e-18, -1e-9, -0.5, -0.7, -40.0]:
        row("one_minus_exp", x, 0.0, 0.0, log(1 - exp(mpf(x))))


main()
