/*
 * special.c - incomplete beta and gamma integrals that neither underflow nor cancel.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A whole integral is Stirling's formula, arranged around the deviance, which is computed without cancellation (Loader
 * 2000, "Fast and accurate computation of binomial probabilities"). Of the two tails one is small, and is computed
 * directly: by a continued fraction or a series where a parameter is small, and else by a quadrature of the log-concave
 * integrand in the logit (or logarithm) of its variable, whose work does not grow with the counts as the fraction's
 * does (with their square root). The other tail is the rest.
 */
#include "judge/special.h"

#include <math.h>

#define HALF_LOG_TWO_PI 0.91893853320467274178
#define SMALL           400. /* below it the fraction or the series, from it on the quadrature, which costs as much there */
#define MAX_TERMS       5000 /* of a fraction or series; a few hundred are the most that parameters below SMALL need */

static double log_gamma(double x)
{
    int sign;

    return lgamma_r(x, &sign); /* lgamma itself writes a global */
}

/* What Stirling's formula lacks: ln GAMMA(x) - (x - 1/2) ln x + x - ln sqrt(2 pi). DLMF 5.11.1. */
static double stirling_rest(double x)
{
    double y = 1 / (x * x);

    if (x < 10)
        return log_gamma(x) - (x - 0.5) * log(x) + x - HALF_LOG_TWO_PI;
    return (1. / 12 - y * (1. / 360 - y * (1. / 1260 - y * (1. / 1680 - y * (1. / 1188 - y * 691. / 360360))))) / x;
}

/* (1 + t) ln(1 + t) - t, never negative; near 0 its series, since the terms cancel. */
static double relative_deviance(double t)
{
    double sum = 0, power = t * t;
    int k;

    if (fabs(t) > 0.2)
        return t <= -1 ? 1 : (1 + t) * log1p(t) - t;
    for (k = 2; k < 26; k++) {
        double term = power / (k * (k - 1.));

        sum += term;
        if (fabs(term) < 1e-17 * sum)
            break;
        power *= -t;
    }
    return sum;
}

double special_log_one_minus_exp(double x)
{
    return x > -0.6931 ? log(-expm1(x)) : log1p(-exp(x)); /* Maechler 2012: ln 2 divides them */
}

/* ---- a tail by quadrature ---- */

/* -ln of the integrand at t >= 0, as slope t + size bend(t): what is left of the beta's or the gamma's. */
struct tail {
    double slope, size, p, q; /* p 0: the gamma's; q is its direction then */
};

static double tail_fall(const struct tail *tail, double t)
{
    double bend;

    if (tail->p == 0)
        bend = expm1(tail->q * t) - tail->q * t;
    else if (tail->p <= 0.5)
        bend = log1p(tail->p * expm1(t)) - tail->p * t;
    else /* the same, for terms as small as q */
        bend = log1p(tail->q * expm1(-t)) + tail->q * t;
    return tail->slope * t + tail->size * bend;
}

/* ln of the integral over t > 0, by the trapezoidal rule after t = scale exp(y - exp(-y)) (Takahasi and Mori 1974, for
 * integrands that fall like an exponential). variance: how fast the integrand falls where the slope is 0. */
static double tail_integral(const struct tail *tail, double variance)
{
    const double step = 1. / 8, scale = 1 / (fmax(tail->slope, 0) + sqrt(variance));
    double sum = 0;
    int i;

    for (i = -28; i < 40; i++) {
        double y = i * step, inner = exp(-y), t = scale * exp(y - inner), fall = tail_fall(tail, t);

        if (fall > 60)
            break;
        sum += t * (1 + inner) * exp(-fall);
    }
    return log(step * sum);
}

/* ---- beta ---- */

static double log_beta_whole(double a, double b, double p, double q, double excess)
{
    double s = a + b;

    return s * p * relative_deviance(excess / (s * p)) + s * q * relative_deviance(-excess / (s * q)) -
           0.5 * log(a * (b / s)) + HALF_LOG_TWO_PI + stirling_rest(a) + stirling_rest(b) - stirling_rest(s);
}

/* Below p, by the fraction of DiDonato and Morris 1992 (TOMS 708, equation 9), which takes the excess and so does not
 * cancel; quick for p < (a+1)/(a+b+2). Evaluated by the modified Lentz method. */
static double log_beta_fraction(double a, double b, double p, double q, double excess)
{
    const double tiny = 1e-300;
    double s = a + b, first = a / (a + 1) * (excess + 1), f = first, c = first, d = 0;
    int m;

    for (m = 1; m < MAX_TERMS; m++) {
        double step = a + 2 * m - 1, w = m * (b - m) * p / step;
        double alpha = (a + m - 1) / step * (s + m - 1) * p * w;
        double beta = m + w + (a + m) / (step + 2) * (excess + 1 + m * (1 + q)), change;

        d = beta + alpha * d;
        c = beta + alpha / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        change = c * d;
        f *= change;
        if (fabs(change - 1) < 1e-15)
            return -log(f);
    }
    return NAN;
}

static double log_beta_below(double a, double b, double p, double q, double excess)
{
    if (fmin(a, b) < SMALL)
        return log_beta_fraction(a, b, p, q, excess);
    /* Below p is above q, seen from the other side. */
    return tail_integral(&(struct tail){excess, a + b, q, p}, (a + b) * p * q);
}

double special_log_beta_mass(enum special_part part, double a, double b, double p, double q, double excess)
{
    double s = a + b, whole, tail;
    enum special_part small;

    if (!(a > 0 && b > 0 && p > 0 && q > 0 && s < INFINITY))
        return NAN;
    whole = log_beta_whole(a, b, p, q, excess);
    if (part == SPECIAL_WHOLE)
        return whole;
    small = p * (s + 2) < a + 1 ? SPECIAL_BELOW : SPECIAL_ABOVE;
    tail = small == SPECIAL_BELOW ? log_beta_below(a, b, p, q, excess) : log_beta_below(b, a, q, p, -excess);
    return part == small ? tail : whole + special_log_one_minus_exp(tail - whole);
}

double special_log_beta(double a, double b)
{
    double s = a + b, larger = fmax(a, b), smaller = fmin(a, b);

    if (!(a > 0 && b > 0 && s < INFINITY))
        return NAN;
    return smaller * log(smaller / s) + larger * log1p(-smaller / s) - 0.5 * log(a * (b / s)) + HALF_LOG_TWO_PI +
           stirling_rest(a) + stirling_rest(b) - stirling_rest(s);
}

double special_log_beta_below(double a, double b, double x)
{
    double y = 1 - x, product = b * x, excess = fma(a, y, -product) - fma(b, x, -product);

    if (!(x > 0 && x < 1))
        return x == 0 ? -INFINITY : x == 1 ? 0 : NAN;
    return special_log_beta_mass(SPECIAL_BELOW, a, b, x, y, excess) -
           special_log_beta_mass(SPECIAL_WHOLE, a, b, x, y, excess);
}

/* ---- gamma ---- */

static double log_gamma_whole(double a, double x, double excess)
{
    return x * relative_deviance(excess / x) - 0.5 * log(a) + HALF_LOG_TWO_PI + stirling_rest(a);
}

/* DLMF 8.11.4: all terms are positive. */
static double log_gamma_series(double a, double x)
{
    double term = 1 / a, sum = term;
    int n;

    for (n = 1; n < MAX_TERMS && term > 1e-17 * sum; n++) {
        term *= x / (a + n);
        sum += term;
    }
    return log(sum);
}

/* DLMF 8.9.2 in Legendre's contracted form, with the modified Lentz method; for x > a + 1, where all is positive. */
static double log_gamma_fraction(double a, double x)
{
    double b = x + 1 - a, c = 1e300, d = 1 / b, f = d;
    int n;

    for (n = 1; n < MAX_TERMS; n++) {
        double numerator = -n * (n - a), change;

        b += 2;
        d = 1 / (numerator * d + b);
        c = b + numerator / c;
        change = c * d;
        f *= change;
        if (fabs(change - 1) < 1e-15)
            return log(f);
    }
    return NAN;
}

/* Below an x <= 0: the mean of 1 / (a + N) over a Poisson variable N with mean -x (DLMF 8.7.1 and 13.2.39). */
static double log_gamma_below_negative(double a, double x)
{
    double term = exp(x), sum = term / a;
    int n;

    if (x < -40) /* nothing of the integrand is left where its slope has become that of a alone */
        return tail_integral(&(struct tail){a - x, x, 0, -1}, 0);
    for (n = 1; n < MAX_TERMS && (n < -x || term > 1e-17 * sum); n++) {
        term *= -x / n;
        sum += term / (a + n);
    }
    return log(sum);
}

double special_log_gamma_mass(enum special_part part, double a, double x, double excess)
{
    enum special_part small = x < a + 1 ? SPECIAL_BELOW : SPECIAL_ABOVE;
    double whole, tail;

    if (part == SPECIAL_BELOW && a > 0 && a < INFINITY && x <= 0 && x > -INFINITY)
        return log_gamma_below_negative(a, x);
    if (!(a > 0 && x > 0 && a < INFINITY && x < INFINITY))
        return NAN;
    whole = log_gamma_whole(a, x, excess);
    if (part == SPECIAL_WHOLE)
        return whole;
    if (a >= SMALL)
        tail = small == SPECIAL_BELOW ? tail_integral(&(struct tail){excess, x, 0, -1}, x)
                                      : tail_integral(&(struct tail){-excess, x, 0, 1}, x);
    else
        tail = small == SPECIAL_BELOW ? log_gamma_series(a, x) : log_gamma_fraction(a, x);
    return part == small ? tail : whole + special_log_one_minus_exp(tail - whole);
}

double special_log_gamma_below(double a, double x)
{
    if (x == 0)
        return -INFINITY;
    return special_log_gamma_mass(SPECIAL_BELOW, a, x, a - x) - special_log_gamma_mass(SPECIAL_WHOLE, a, x, a - x);
}

double special_log_gamma_above(double a, double x)
{
    if (x == 0)
        return 0;
    return special_log_gamma_mass(SPECIAL_ABOVE, a, x, a - x) - special_log_gamma_mass(SPECIAL_WHOLE, a, x, a - x);
}

/* ---- the rest ---- */

double special_log_normal_cdf(double z)
{
    double y = 1 / (z * z), sum = 1, term = 1;
    int k;

    if (z > 0)
        return log1p(-0.5 * erfc(z * M_SQRT1_2));
    if (z > -12 || isnan(z))
        return log(0.5 * erfc(-z * M_SQRT1_2));
    for (k = 1; k < 16; k++) { /* DLMF 7.12.1: from 12 on these terms are exact to the last bit */
        term *= -y * (2 * k - 1);
        sum += term;
    }
    return -0.5 * z * z - HALF_LOG_TWO_PI - log(-z) + log(sum);
}

double special_log_sum_exp(const double *terms, int count)
{
    double largest = -INFINITY, sum = 0;
    int i;

    for (i = 0; i < count; i++)
        if (!(terms[i] <= largest)) /* a NaN too */
            largest = terms[i];
    if (isinf(largest))
        return largest;
    for (i = 0; i < count; i++)
        sum += exp(terms[i] - largest);
    return largest + log(sum);
}

/* Euler and Maclaurin's sum from 10 on. DLMF 25.2.9. */
double special_zeta(double s)
{
    static const double bernoulli[] = {1. / 12, -1. / 720, 1. / 30240, -1. / 1209600, 1. / 47900160}; /* B(2k)/(2k)! */
    const double n = 10;
    double sum = 0, factor = s / n;
    int k;

    if (!(s > 1))
        return NAN;
    for (k = 1; k < (int)n; k++)
        sum += pow(k, -s);
    sum += pow(n, -s) * (n / (s - 1) + 0.5);
    for (k = 0; k < 5; k++) {
        sum += bernoulli[k] * factor * pow(n, -s);
        factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / (n * n);
    }
    return sum;
}

double special_expit(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

double special_logit(double p)
{
    return log(p) - log1p(-p);
}
