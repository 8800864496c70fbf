/* selftest.c: the cases of op_cases.c in a few sizes: tails of every vector width, more than one panel of
 * rows and of sums, work for a team, few rows. */
#include "bench/selftest.h"
#include "base/memory.h"
#include "tensor/op_cases.h"

static const run_size sizes[] = {
    {.T = 1, .n = 1, .k = 3, .E = 1, .K = 1},       {.T = 5, .n = 17, .k = 31, .E = 3, .K = 2},
    {.T = 17, .n = 53, .k = 16, .E = 8, .K = 3},    {.T = 270, .n = 83, .k = 20, .E = 6, .K = 2},
    {.T = 19, .n = 128, .k = 601, .E = 5, .K = 2},  {.T = 3, .n = 70, .k = 1101, .E = 4, .K = 2},
};
enum { N_SIZES = sizeof sizes / sizeof sizes[0], N_VARIANTS = 4, SEED = 7 };

/* One instruction set's backends, with one thread and with several. */
typedef struct cpu_pair {
    glot_backend *be[2];
} cpu_pair;

static void compare(glot_selftest_cell *cell, glot_backend *be, run_op run, const run_size *s,
                    const bench *expected)
{
    bench b = bench_start(be, SEED);
    run(&b, s);
    double difference = bench_difference(expected, &b);
    glot_agreement agreement = GLOT_DISAGREES;
    if (bench_has_guards(&b) && difference <= GLOT_SELFTEST_TOLERANCE)
        agreement = bench_is_same(expected, &b) ? GLOT_AGREES_EXACTLY : GLOT_AGREES_CLOSELY;
    if (agreement > cell->agreement)
        cell->agreement = agreement;
    if (difference > cell->difference)
        cell->difference = difference;
    cell->n_cases++;
    bench_release(&b);
}

static void set_products(glot_dtype products, glot_backend *ref, const cpu_pair *cpus, size_t n_isas)
{
    ref->products = products;
    for (size_t k = 0; k < 2 * n_isas; k++)
        cpus[k / 2].be[k % 2]->products = products;
}

/* One op on every instruction set, with products in float32 and in bf16: cells [n_isas]. */
static void check_op(glot_selftest_cell *cells, const glot_op_case *op, glot_backend *ref,
                     const cpu_pair *cpus, size_t n_isas)
{
    enum { N_RUNS = N_SIZES * N_VARIANTS };
    for (int i = 0; i < 2 * N_RUNS; i++) {
        run_size s = sizes[i % N_RUNS / N_VARIANTS];
        set_products(i < N_RUNS ? GLOT_F32 : GLOT_BF16, ref, cpus, n_isas);
        s.variant = i % N_VARIANTS;
        bench expected = bench_start(ref, SEED);
        op->run(&expected, &s);
        for (size_t k = 0; k < 2 * n_isas; k++)
            compare(&cells[k / 2], cpus[k / 2].be[k % 2], op->run, &s, &expected);
        bench_release(&expected);
    }
}

static glot_status check_ops(glot_selftest_cell *cells, glot_backend *ref, const cpu_pair *cpus,
                             size_t n_isas, const glot_cancel *cancel, glot_error *err)
{
    for (size_t op = 0; op < GLOT_N_OP_CASES; op++, cells += n_isas) {
        if (glot_cancelled(cancel))
            return GLOT_FAIL(err, GLOT_CANCELLED, "stopped before '%s'", glot_op_cases[op].name);
        for (size_t i = 0; i < n_isas; i++) {
            cells[i].op = glot_op_cases[op].name;
            cells[i].isa = cpus[i].be[0]->isa;
        }
        check_op(cells, &glot_op_cases[op], ref, cpus, n_isas);
    }
    return GLOT_OK;
}

static glot_status open_cpus(cpu_pair *cpus, size_t n_isas, int threads, glot_error *err)
{
    glot_limits limits = bench_limits();
    for (size_t i = 0; i < 2 * n_isas; i++) {
        glot_backend **be = &cpus[i / 2].be[i % 2];
        GLOT_TRY(glot_cpu_backend_create(be,
                                         i % 2 == 0    ? 1
                                         : threads < 3 ? 3
                                                       : threads,
                                         glot_cpu_isas()[i / 2], err));
        GLOT_TRY((*be)->reserve(*be, &limits, err));
    }
    return GLOT_OK;
}

glot_status glot_selftest(glot_selftest_cell **cells, size_t *n, int threads, const glot_cancel *cancel,
                          glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_limits limits = bench_limits();
    glot_backend *ref = NULL;
    cpu_pair *cpus = NULL;
    size_t n_isas = 0;
    *cells = NULL;
    while (glot_cpu_isas()[n_isas])
        n_isas++;
    *n = n_isas * GLOT_N_OP_CASES;
    GLOT_TRY_OUT(glot_new(&cpus, n_isas, sizeof *cpus, "selftest", err));
    GLOT_TRY_OUT(glot_new(cells, *n, sizeof **cells, "selftest", err));
    GLOT_TRY_OUT(glot_ref_backend_create(&ref, GLOT_F32, err));
    GLOT_TRY_OUT(ref->reserve(ref, &limits, err));
    GLOT_TRY_OUT(open_cpus(cpus, n_isas, threads, err));
    GLOT_TRY_OUT(check_ops(*cells, ref, cpus, n_isas, cancel, err));
out:
    for (size_t i = 0; cpus && i < 2 * n_isas; i++)
        glot_backend_close(cpus[i / 2].be[i % 2]);
    glot_free(cpus);
    glot_backend_close(ref);
    if (status != GLOT_OK) {
        glot_free(*cells);
        *cells = NULL;
    }
    return status;
}
