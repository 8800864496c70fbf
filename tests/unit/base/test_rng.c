/* test_rng.c: the generator's published first values, its ranges, and coarse statistics at fixed seeds. */
#include "base_util.h"

#include "base/rng.h"

#include <math.h>

/* The first numbers of pcg32 with state 42 and stream 54, from the authors' demonstration program. */
static void test_known_values(void **state)
{
    (void)state;
    static const uint32_t known[] = {0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e};
    glot_rng rng = glot_rng_seed(42, 54);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(glot_rng_u32(&rng), known[i]);
}

static void test_state_is_plain_data(void **state)
{
    (void)state;
    glot_rng a = glot_rng_seed(7, 1);
    for (int i = 0; i < 100; i++)
        glot_rng_u32(&a);
    glot_rng b = {a.state, a.stream};
    for (int i = 0; i < 100; i++)
        assert_int_equal(glot_rng_u32(&a), glot_rng_u32(&b));
}

static void test_streams_and_seeds_differ(void **state)
{
    (void)state;
    glot_rng a = glot_rng_seed(1, 0), b = glot_rng_seed(1, 1), c = glot_rng_seed(2, 0);
    int n_equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t x = glot_rng_u32(&a), y = glot_rng_u32(&b), z = glot_rng_u32(&c);
        n_equal += (x == y) + (x == z);
    }
    assert_int_equal(n_equal, 0);
}

/* 99.9 % point of chi squared with 9 degrees of freedom is 27.9. */
static void test_below(void **state)
{
    (void)state;
    enum { N = 10, DRAWS = 100000 };
    double counts[N] = {0}, chi_squared = 0;
    glot_rng rng = glot_rng_seed(3, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t value = glot_rng_below(&rng, N);
        assert_true(value < N);
        counts[value]++;
    }
    for (int i = 0; i < N; i++)
        chi_squared += pow(counts[i] - DRAWS / N, 2) / (DRAWS / N);
    assert_true(chi_squared <= 27.9);
    assert_int_equal(glot_rng_below(&rng, 1), 0);
}

/* n = 3 * 2^30: without rejection the lower third would come up half the time. */
static void test_below_is_without_bias(void **state)
{
    (void)state;
    enum { DRAWS = 30000 };
    glot_rng rng = glot_rng_seed(4, 0);
    int n_low = 0;
    for (int i = 0; i < DRAWS; i++)
        n_low += glot_rng_below(&rng, 3u << 30) < 1u << 30;
    assert_true(fabs((double)n_low / DRAWS - 1.0 / 3) <= 0.01);
}

static void test_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    glot_rng rng = glot_rng_seed(5, 0), twin = rng;
    double high = glot_rng_u32(&twin) >> 5, low = glot_rng_u32(&twin) >> 6; /* 27 and 26 bits */
    assert_true(glot_rng_uniform(&rng) == (high * 0x1p26 + low) * 0x1p-53);
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        double u = glot_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    assert_true(fabs(sum / DRAWS - 0.5) <= 0.004);
    assert_true(fabs(squares / DRAWS - 1.0 / 3) <= 0.004);
}

static void test_normal(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    glot_rng rng = glot_rng_seed(6, 0);
    double moments[5] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double x = glot_rng_normal(&rng), power = 1;
        assert_true(isfinite(x));
        for (int k = 1; k <= 4; k++)
            moments[k] += (power *= x) / DRAWS;
    }
    assert_true(fabs(moments[1]) <= 0.015);
    assert_true(fabs(moments[2] - 1) <= 0.02);
    assert_true(fabs(moments[3]) <= 0.05);
    assert_true(fabs(moments[4] - 3) <= 0.15);
}

/* Published test vectors of 64-bit FNV-1a. */
static void test_stream_of_a_name(void **state)
{
    (void)state;
    assert_true(glot_rng_stream_of("") == 0xcbf29ce484222325u);
    assert_true(glot_rng_stream_of("a") == 0xaf63dc4c8601ec8cu);
    assert_true(glot_rng_stream_of("foobar") == 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),          cmocka_unit_test(test_state_is_plain_data),
        cmocka_unit_test(test_streams_and_seeds_differ), cmocka_unit_test(test_below),
        cmocka_unit_test(test_below_is_without_bias), cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_normal),                cmocka_unit_test(test_stream_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
