/* glot_expf: exact where it must be, within 1.02 units of the last place of exp in double elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/mathf.h"

static void test_special_values(void **state)
{
    (void)state;
    assert_true(glot_expf(0.0f) == 1.0f && glot_expf(-0.0f) == 1.0f);
    assert_true(glot_expf(-INFINITY) == 0.0f && glot_expf(-200.0f) == 0.0f && glot_expf(-104.0f) == 0.0f);
    assert_true(glot_expf(INFINITY) == INFINITY && glot_expf(88.73f) == INFINITY);
    assert_true(glot_expf(88.72f) < INFINITY);
    assert_true(glot_expf(-103.2f) > 0.0f); /* the smallest subnormal */
    assert_true(isnan(glot_expf(NAN)) && isnan(glot_expf(-NAN)));
}

static void test_accuracy(void **state)
{
    (void)state;
    double worst = 0;
    for (uint32_t bits = 0; bits < 0x42b20000u; bits += 1013) /* 0 .. 89, both signs */
        for (int sign = 0; sign < 2; sign++) {
            float x = glot_float_of_bits(bits | (uint32_t)sign << 31);
            double exact = exp((double)x);
            if (exact > 0x1.fffffep+127)
                continue;
            double place = exact < 0x1p-126 ? 0x1p-149 : ldexp(1, ilogb(exact) - 23);
            double error = fabs((double)glot_expf(x) - exact) / place;
            worst = error <= worst ? worst : error;
        }
    assert_true(worst <= 1.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_accuracy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
