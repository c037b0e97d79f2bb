/*
 * crossing.h - where a function rises through zero between two places.  Depends on libm.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef JUDGE_CROSSING_H
#define JUDGE_CROSSING_H

/* f is below 0 at inside and not below 0 at outside (which may lie on either side), and crosses once between them. A
 * place where f is not below 0, within 1e-13 of the crossing (relative to it; at most 200 evaluations): so that what is
 * made from it errs to the outside. What is NaN counts as not below 0: the end of what f can tell. */
double crossing(double (*f)(const void *with, double x), const void *with, double inside, double outside);

#endif
