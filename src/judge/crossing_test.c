/*
 * crossing_test.c - the crossing is found from either side, on its outer side, in few evaluations.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/crossing.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum shape { LINE, FLAT, STEEP, LOGARITHM, STEP, BROKEN };

struct function {
    enum shape shape;
    double root;
    int *evaluations;
};

static double value_of(const void *with, double x)
{
    const struct function *function = with;
    double y = x - function->root;

    ++*function->evaluations;
    switch (function->shape) {
    case LINE:
        return y;
    case FLAT:
        return pow(y, 9);
    case STEEP:
        return expm1(50 * y);
    case LOGARITHM: /* falls; infinite at 0 */
        return log(function->root) - log(x);
    case STEP:
        return y < 0 ? -1 : 1;
    default:
        return x > 1.5 ? NAN : y;
    }
}

static void test_crossings(void **state)
{
    static const struct {
        enum shape shape;
        double root, inside, outside;
        int most;
    } cases[] = {
        {LINE, .3, 0, 1, 20},    {LINE, 1e6, -3, 1e9, 60},  {FLAT, .3, 0, 1, 150},         {STEEP, .3, 0, 1, 40},
        {STEEP, .9, 0, 20, 60},  {LOGARITHM, .2, 1, 0, 40}, {LOGARITHM, 1e-20, 1, 0, 140}, {STEP, .7, 0, 1, 60},
        {BROKEN, 1.2, 1, 2, 30}, {BROKEN, 7, 1, 2, 60},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int evaluations = 0;
        struct function function = {cases[i].shape, cases[i].root, &evaluations};
        double found = crossing(value_of, &function, cases[i].inside, cases[i].outside);
        double root = cases[i].root == 7 ? 1.5 : cases[i].root; /* what it can tell ends there */

        assert_true(evaluations <= cases[i].most);
        assert_true(fabs(found - root) <= 2e-13 * root);
        assert_false(value_of(&function, found) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crossings),
    };

    return cmocka_run_group_tests_name("judge/crossing", tests, NULL, NULL);
}
