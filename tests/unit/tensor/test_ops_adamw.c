/* AdamW on every backend: against PyTorch's (tests/golden/ops/adamw.txt, made by tools/ops/golden_ops.py),
 * and against its formula in double; and the sums over whole tensors that clipping is made of. */
#include "ops_util.h"

/* Relative to what the numbers are made of; float keeps 24 bits of each of a few operations. */
static double tolerance(const glot_backend *be)
{
    return be->real == GLOT_F64 ? 1e-13 : 1e-6;
}

static void assert_close(const glot_backend *be, const char *what, double got, double expected, double scale)
{
    bool is_close = fabs(got - expected) <= tolerance(be) * scale;
    if (!is_close)
        fail_msg("%s %s: %s is %.12g, expected %.12g", be->name, be->isa, what, got, expected);
}

/* ---- PyTorch ---- */

typedef struct golden_case {
    double lr, beta1, beta2, eps, weight_decay, grad_scale, n_elements, n_steps;
} golden_case;

static bool read_numbers(FILE *file, double *out, int n)
{
    for (int i = 0; i < n; i++)
        if (fscanf(file, "%lf", &out[i]) != 1)
            return false;
    return true;
}

static void read_tensor(FILE *file, const glot_tensor *t)
{
    double values[64];
    int n = (int)glot_tensor_elements(t);
    assert_true(n <= 64 && read_numbers(file, values, n));
    for (int i = 0; i < n; i++)
        set(t, i, values[i]);
}

typedef struct adamw_tensors {
    glot_tensor w, g, m, v;
} adamw_tensors;

static adamw_tensors make_adamw(bench *b, glot_dtype dtype, int64_t n)
{
    adamw_tensors x = {make(b, glot_tensor_1d(dtype, n)), make(b, glot_tensor_1d(dtype, n)),
                       make_normal(b, glot_tensor_1d(dtype, n), 0),
                       make_normal(b, glot_tensor_1d(dtype, n), 0)};
    return x;
}

static void compare_step(const glot_backend *be, const adamw_tensors *got, const adamw_tensors *expected)
{
    for (int64_t i = 0; i < glot_tensor_elements(&got->w); i++) {
        double w = get(&expected->w, i), m = get(&expected->m, i), v = get(&expected->v, i);
        assert_close(be, "w", get(&got->w, i), w, fabs(w));
        assert_close(be, "m", get(&got->m, i), m, fabs(m) + sqrt(v)); /* a mean of both signs may be near 0 */
        assert_close(be, "v", get(&got->v, i), v, v);
    }
}

static bool check_case(glot_backend *be, FILE *file)
{
    golden_case c;
    if (!read_numbers(file, (double *)&c, 8))
        return false;
    bench b = bench_start(be, 1);
    adamw_tensors got = make_adamw(&b, be->real, (int64_t)c.n_elements);
    adamw_tensors expected = make_adamw(&b, GLOT_F64, (int64_t)c.n_elements);
    read_tensor(file, &expected.w);
    be->copy(be, &got.w, &expected.w);
    for (int step = 1; step <= c.n_steps; step++) {
        const glot_adamw settings = {c.lr, c.beta1, c.beta2, c.eps, c.weight_decay, step, c.grad_scale};
        read_tensor(file, &expected.g);
        be->copy(be, &got.g, &expected.g);
        glot_op_adamw(be, &got.w, &got.g, &got.m, &got.v, &settings);
        read_tensor(file, &expected.w);
        read_tensor(file, &expected.m);
        read_tensor(file, &expected.v);
        compare_step(be, &got, &expected);
    }
    bench_end(&b);
    return true;
}

static void check_golden(glot_backend *be)
{
    FILE *file = fopen(GLOT_SOURCE_DIR "/tests/golden/ops/adamw.txt", "r");
    assert_non_null(file);
    int n_cases = 0;
    while (check_case(be, file))
        n_cases++;
    fclose(file);
    assert_int_equal(n_cases, 3);
}

static void test_as_pytorch(void **state)
{
    (void)state;
    on_every_backend(check_golden);
}

/* ---- the formula, on more elements than one vector and one block ---- */

static void check_formula(glot_backend *be)
{
    bench b = bench_start(be, 4);
    int64_t n = 5003;
    adamw_tensors x = make_adamw(&b, be->real, n);
    fill_normal(&b, &x.w, 1);
    double *w = malloc((size_t)n * 3 * sizeof *w), *m = w + n, *v = m + n;
    assert_non_null(w);
    for (int64_t i = 0; i < n; i++) {
        w[i] = get(&x.w, i);
        m[i] = v[i] = 0;
    }
    for (int step = 1; step <= 3; step++) {
        const glot_adamw s = {1e-2, 0.9, 0.99, 1e-8, 0.1, step, 0.5};
        fill_normal(&b, &x.g, 0.01);
        glot_op_adamw(be, &x.w, &x.g, &x.m, &x.v, &s);
        for (int64_t i = 0; i < n; i++) {
            double g = get(&x.g, i) * s.grad_scale;
            m[i] = s.beta1 * m[i] + (1 - s.beta1) * g;
            v[i] = s.beta2 * v[i] + (1 - s.beta2) * g * g;
            double mean = m[i] / (1 - pow(s.beta1, step)), square = v[i] / (1 - pow(s.beta2, step));
            w[i] = w[i] - s.lr * s.weight_decay * w[i] - s.lr * mean / (sqrt(square) + s.eps);
            assert_close(be, "w", get(&x.w, i), w[i], 1 + fabs(w[i]));
            assert_close(be, "m", get(&x.m, i), m[i], 0.01);
            assert_close(be, "v", get(&x.v, i), v[i], 1e-4);
        }
    }
    free(w);
    bench_end(&b);
}

static void test_as_formula(void **state)
{
    (void)state;
    on_every_backend(check_formula);
}

/* ---- sums ---- */

static void check_sums(glot_backend *be)
{
    bench b = bench_start(be, 9);
    glot_tensor x = make(&b, glot_tensor_1d(be->real, 10007)), sum = make(&b, glot_tensor_1d(GLOT_F64, 1));
    for (int64_t i = 0; i < 10007; i++) /* whole numbers: every order of summation is exact */
        set(&x, i, (double)(i % 91) - 40);
    double expected[2] = {0.5, 0.5};
    for (int64_t i = 0; i < 10007; i++) {
        expected[0] += get(&x, i);
        expected[1] += get(&x, i) * get(&x, i);
    }
    for (int is_squared = 0; is_squared < 2; is_squared++) {
        set(&sum, 0, 0.5);
        glot_op_sum(be, &sum, &x, is_squared);
        assert_true(get(&sum, 0) == expected[is_squared]);
    }
    set(&x, 7001, (double)NAN);
    glot_op_sum(be, &sum, &x, true);
    assert_true(isnan(get(&sum, 0)));
    bench_end(&b);
}

static void test_sums(void **state)
{
    (void)state;
    on_every_backend(check_sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pytorch),
        cmocka_unit_test(test_as_formula),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
