/* test_ops_kernels.c: every op of ops.inc, on the CPU with every instruction set and several numbers of
 * threads, against the float reference: the same bits, all rows at once or a few at a time, no heap call,
 * nothing written outside. The list of tests is ops.inc itself; the cases are those of op_cases.c, which
 * `glot selftest` runs too. */
#include "ops_util.h"
#include "tensor/op_cases.h"

/* ---- the comparison ---- */

/* Every instruction set with three threads, the best one with other teams too. */
enum { MAX_CPUS = 16, TEAM = 3 };
static const int other_teams[] = {1, 2, 8};
static glot_backend *ref, *cpus[MAX_CPUS];
static int n_cpus;

static int open_backends(void **state)
{
    (void)state;
    ref = reference(GLOT_F32);
    for (const char *const *isa = glot_cpu_isas(); *isa; isa++) {
        cpus[n_cpus++] = cpu_backend(TEAM, *isa);
        for (size_t i = 0; !isa[1] && i < sizeof other_teams / sizeof other_teams[0]; i++)
            cpus[n_cpus++] = cpu_backend(other_teams[i], *isa);
    }
    return 0;
}

static int close_backends(void **state)
{
    (void)state;
    while (n_cpus)
        glot_backend_close(cpus[--n_cpus]);
    glot_backend_close(ref);
    return 0;
}

static void compare(const char *name, run_op run, glot_backend *be, const run_size *s, const bench *expected)
{
    char what[256];
    snprintf(what, sizeof what, "%s on %s %s, %d threads: T %d, n %d, k %d, E %d, K %d, variant %d, by %d",
             name, be->name, be->isa, be->n_threads, (int)s->T, (int)s->n, (int)s->k, s->E, s->K, s->variant,
             (int)s->step);
    bench b = bench_start(be, 7);
    uint64_t heap_calls = glot_heap_calls();
    run(&b, s);
    if (glot_heap_calls() - heap_calls != b.heap_calls)
        fail_msg("%s: the heap was used", what);
    assert_same_outputs(expected, &b, what);
    bench_end(&b);
}

/* All rows at once on the reference is what every other way must give. */
static void check_variant(const char *name, run_op run, run_size s, bool is_small)
{
    bench expected = bench_start(ref, 7);
    run(&expected, &s);
    for (int i = 0; i < (expected.is_in_parts ? 3 : 1); i++) {
        s.step = i ? s.steps[i - 1] : 0;
        if (i)
            compare(name, run, ref, &s, &expected);
        for (int c = 0; c < n_cpus; c++)
            if (i || is_small ? cpus[c]->n_threads == TEAM : true) /* few rows are one thread's work */
                compare(name, run, cpus[c], &s, &expected);
    }
    bench_end(&expected);
}

/* Sanitizers make everything ten times slower: of the large sizes they see half the variants. */
#ifdef __SANITIZE_ADDRESS__
enum { LARGE_STRIDE = 3 };
#else
enum { LARGE_STRIDE = 1 };
#endif

static void check_size(const char *name, run_op run, run_size s, bool is_small)
{
    for (s.variant = 0; s.variant < 4; s.variant += is_small ? 1 : LARGE_STRIDE)
        check_variant(name, run, s, is_small);
}

static void check_op(const char *name, run_op run)
{
    static const int64_t rows[] = {0, 1, 2, 5, 17}, widths[] = {1, 2, 7, 15, 16, 17, 31, 33, 53};
    static const int expert_counts[] = {1, 2, 3, 4, 5, 8, 16, 17, 33};
    enum { N_WIDTHS = sizeof widths / sizeof widths[0] };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int j = 0; j < N_WIDTHS; j++) {
            int E = expert_counts[(j + (int)i) % N_WIDTHS];
            run_size s = {.T = rows[i],
                          .n = widths[j],
                          .k = widths[(j * 2 + 3) % N_WIDTHS],
                          .E = E,
                          .K = 1 + j % (E < 4 ? E : 4),
                          .steps = {1, 3}};
            check_size(name, run, s, true);
        }
    /* More than one panel of rows and of k, and work enough for a team. */
    check_size(name, run, (run_size){.T = 270, .n = 83, .k = 20, .E = 6, .K = 2, .steps = {1, 41}}, false);
    check_size(name, run, (run_size){.T = 19, .n = 128, .k = 601, .E = 5, .K = 2, .steps = {1, 7}}, false);
    check_size(name, run, (run_size){.T = 530, .n = 18, .k = 9, .E = 40, .K = 3, .steps = {29, 211}}, false);
}

#define GLOT_OP(name, parameters, arguments)                                                                 \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        check_op(#name, glot_op_cases[GLOT_OP_CASE_##name].run);                                             \
    }
#include "tensor/ops.inc"
#undef GLOT_OP

/* ---- products in bf16 ---- */

static void set_products(glot_dtype products)
{
    ref->products = products;
    for (int i = 0; i < n_cpus; i++)
        cpus[i]->products = products;
}

#define BF16_TEST(name)                                                                                      \
    static void test_bf16_##name(void **state)                                                               \
    {                                                                                                        \
        (void)state;                                                                                         \
        set_products(GLOT_BF16);                                                                             \
        check_op("bf16 " #name, glot_op_cases[GLOT_OP_CASE_##name].run);                                     \
        set_products(GLOT_F32);                                                                              \
    }
BF16_TEST(linears)
BF16_TEST(linear_backward_input)
BF16_TEST(linear_backward_weight)
BF16_TEST(grouped_linears)
BF16_TEST(grouped_linear_backward_input)
BF16_TEST(grouped_linear_backward_weight)

/* Numbers around the least normal one: operands (of x, of w as it is stored) and sums that an instruction takes for 0. */
static void tiny_linear(bench *b, const run_size *s)
{
    static const double of_x[] = {0x1p-66, 0x1p-126, 0x1p-66, 1}, of_w[] = {0x1p-60, 1, 0x1p-60, 0x1p-126};
    glot_dtype dtype = s->variant / 2 ? GLOT_BF16 : GLOT_F32;
    glot_tensor x = make_normal(b, glot_tensor_2d(GLOT_F32, s->T, s->k), of_x[s->variant]);
    glot_tensor w = make_normal(b, glot_tensor_2d(dtype, s->n, s->k), of_w[s->variant]);
    glot_tensor out = make_output(b, glot_tensor_2d(GLOT_F32, s->T, s->n));
    glot_op_linear(b->be, &out, &x, &w, NULL);
}

static void test_bf16_tiny(void **state)
{
    (void)state;
    set_products(GLOT_BF16);
    check_size("bf16 tiny", tiny_linear, (run_size){.T = 40, .n = 70, .k = 601, .E = 1, .K = 1}, false);
    check_size("bf16 tiny, few rows", tiny_linear, (run_size){.T = 3, .n = 70, .k = 601, .E = 1, .K = 1}, false);
    set_products(GLOT_F32);
}

/* ---- sizes that only some ops have to be shown ---- */

/* More chunks of 4,096 than are summed at once. */
static void test_long_sums(void **state)
{
    (void)state;
    bench b = bench_start(ref, 7);
    glot_tensor x = make(&b, glot_tensor_1d(GLOT_F32, 4300001)),
                expected = make(&b, glot_tensor_1d(GLOT_F64, 1));
    glot_tensor got = make(&b, expected);
    for (int64_t i = 0; i < x.shape[0]; i++)
        ((float *)x.addr)[i] = (float)glot_rng_u32(&b.rng) * 0x1p-32f - 0.3f;
    set(&expected, 0, 0.5);
    glot_op_sum(ref, &expected, &x, true);
    for (int c = 0; c < n_cpus; c++) {
        set(&got, 0, 0.5);
        glot_op_sum(cpus[c], &got, &x, true);
        assert_true(is_same_element(&expected, &got, 0));
    }
    bench_end(&b);
}

/* More panels of 256 rows than are in flight at once. */
static void test_many_tokens(void **state)
{
    (void)state;
    run_size s = {.T = 16700, .n = 1, .k = 1, .E = 3, .K = 1, .steps = {16000, 700}};
    check_variant("lpr_loss", glot_op_cases[GLOT_OP_CASE_lpr_loss].run, s, false);
}

/* A vocabulary, whole. */
static void test_wide_rows(void **state)
{
    (void)state;
    run_size s = {.T = 3, .n = 49152, .k = 1, .E = 1, .K = 1, .steps = {1, 2}, .variant = 3};
    check_variant("cross_entropy", glot_op_cases[GLOT_OP_CASE_cross_entropy].run, s, false);
    check_variant("log_softmax", glot_op_cases[GLOT_OP_CASE_log_softmax].run, s, false);
}

static void test_tables_are_complete(void **state)
{
    (void)state;
    assert_true(glot_ops_complete(ref->ops));
    for (int i = 0; i < n_cpus; i++)
        assert_true(glot_ops_complete(cpus[i]->ops));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define GLOT_OP(name, parameters, arguments) cmocka_unit_test(test_##name),
#include "tensor/ops.inc"
#undef GLOT_OP
        cmocka_unit_test(test_bf16_linears),
        cmocka_unit_test(test_bf16_linear_backward_input),
        cmocka_unit_test(test_bf16_linear_backward_weight),
        cmocka_unit_test(test_bf16_grouped_linears),
        cmocka_unit_test(test_bf16_grouped_linear_backward_input),
        cmocka_unit_test(test_bf16_grouped_linear_backward_weight),
        cmocka_unit_test(test_bf16_tiny),
        cmocka_unit_test(test_long_sums),
        cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_wide_rows),
        cmocka_unit_test(test_tables_are_complete),
    };
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
