/*
 * crossing.c - Chandrupatla's method: inverse quadratic interpolation where it is safe, halving where it is not.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Chandrupatla 1997, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
 * using derivatives", Advances in Engineering Software 28. About ten evaluations for what halving needs fifty for.
 */
#include "judge/crossing.h"

#include <math.h>
#include <stdbool.h>

#define MAX_EVALUATIONS 200
#define TOLERANCE       1e-13

double crossing(double (*f)(const void *with, double x), const void *with, double inside, double outside)
{
    double inside_value = f(with, inside), outside_value = f(with, outside), part = 0.5;
    int i;

    for (i = 2; i < MAX_EVALUATIONS; i++) {
        double width = outside - inside, x = inside + part * width, value = f(with, x), xi, phi, least;
        /* The newest place of the three, its opposite, and the one that the newest has replaced. */
        double opposite, opposite_value, older, older_value;
        bool below = value < 0;

        if (below) {
            older = inside;
            older_value = inside_value;
            inside = x;
            inside_value = value;
            opposite = outside;
            opposite_value = outside_value;
        } else {
            older = outside;
            older_value = outside_value;
            outside = x;
            outside_value = value;
            opposite = inside;
            opposite_value = inside_value;
        }
        width = fabs(outside - inside);
        least = TOLERANCE * fmax(fabs(inside), fabs(outside));
        if (width <= least || value == 0)
            break;
        xi = (x - opposite) / (older - opposite);
        phi = (value - opposite_value) / (older_value - opposite_value);
        part = 0.5;
        if (phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi) /* false of a NaN */
            part = value / (opposite_value - value) * (older_value / (opposite_value - older_value)) +
                   (older - x) / (opposite - x) * (value / (older_value - value)) *
                       (opposite_value / (older_value - opposite_value));
        part = fmin(fmax(part, least / width / 2), 1 - least / width / 2);
        if (!below) /* it was counted from the newest place */
            part = 1 - part;
    }
    return outside;
}
