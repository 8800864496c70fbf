/* selftest.h: every op, on every instruction set that this processor has, against the reference in plain
 * C. */
#ifndef GLOT_BENCH_SELFTEST_H
#define GLOT_BENCH_SELFTEST_H

#include "base/cancel.h"
#include "tensor/backend.h"

/* Best first: a worse one of two is the larger. */
typedef enum glot_agreement {
    GLOT_AGREES_EXACTLY, /* the same bits: what DESIGN asks of float32 ("One order of summation") */
    GLOT_AGREES_CLOSELY, /* every number within GLOT_SELFTEST_TOLERANCE */
    GLOT_DISAGREES       /* or something was written beside the outputs */
} glot_agreement;

#define GLOT_SELFTEST_TOLERANCE 1e-5 /* |got - expected| / (1 + |expected|) */

typedef struct glot_selftest_cell {
    const char *op, *isa;     /* static */
    glot_agreement agreement; /* the worst of the cases */
    double difference; /* the largest, as the tolerance measures it; infinite where only one of the two is a
                          number */
    int n_cases;              /* calls compared: sizes, flags, numbers of threads */
} glot_selftest_cell;

/* Fills *cells [*n]: op after op in the order of ops.inc, for each the instruction sets of glot_cpu_isas; the
 * caller releases it with glot_free. Runs with one thread and with `threads` (at least 3, so that teams are
 * tried on any machine). Cells that disagree are no failure of this function. */
glot_status glot_selftest(glot_selftest_cell **cells, size_t *n, int threads, const glot_cancel *cancel,
                          glot_error *err);

#endif
