/* kernel.h
 *
 * What every kernel file k_*.c of the CPU backend starts from. Each of these files is compiled once per
 * instruction set (see CMakeLists.txt here) with GLOT_ISA_NAME = portable, avx2, avx512 or avx512_bf16
 * and GLOT_ISA_LEVEL = 0, 1, 2, 3:
 *
 *     void GLOT_KERNEL(bias_backward)(glot_backend *be, const glot_tensor *db, const glot_tensor *dy)
 *     {
 *         ...
 *     }
 *
 * defines glot_bias_backward_avx2 and so on. The prototypes come from ops.inc, and so do the tables
 * glot_ops_cpu_ISA (k_table.c): a missing kernel does not link, one with other parameters does not compile.
 * Anything that is not a kernel is static.
 *
 * Rules
 * - A row's bits depend on the row alone: v16.h for what runs along a row, the panels of 256 for products
 *   (k_gemm.c).
 * - Threads: `#pragma omp parallel for num_threads(glot_cpu_team(be, work)) schedule(static)` over rows or
 *   fixed tiles, `work` being about the number of elements touched; nothing may depend on how many there are.
 *   Sums over rows: each thread takes columns, or tiles of a fixed number of rows leave their sums in the
 *   shared scratch and are added in order afterwards.
 * - Memory: no heap. Two kinds of scratch, made by reserve(): glot_cpu_thread_scratch(be, bytes), the
 *   thread's
 *   own (call it inside the parallel region), and glot_cpu_shared_scratch(be, bytes), one for the op.
 *   Both are 64-byte aligned, have undefined contents and belong to one op call. glot_cpu_scratch_needs
 *   (backend.c) says how large they are for given limits.
 * - Reads and writes stay inside the tensors.
 */
#ifndef GLOT_TENSOR_CPU_KERNEL_H
#define GLOT_TENSOR_CPU_KERNEL_H

#include "tensor/backend.h"
#include "tensor/cpu/v16.h"

#include <omp.h>

#ifndef GLOT_ISA_NAME
#define GLOT_ISA_NAME portable
#endif

#define GLOT_JOIN_(a, b, c) a##b##_##c
#define GLOT_JOIN(a, b, c) GLOT_JOIN_(a, b, c)
#define GLOT_KERNEL(name) GLOT_JOIN(glot_, name, GLOT_ISA_NAME)

#define GLOT_OP(name, parameters, arguments) void GLOT_KERNEL(name) parameters;
#include "tensor/ops.inc"
#undef GLOT_OP

/* The backend object: `base` first, so that a glot_backend * of this backend is one of these. */
typedef struct glot_cpu {
    glot_backend base;
    char *shared;  /* [shared_bytes] */
    char *threads; /* [n_threads * thread_bytes] */
    size_t shared_bytes, thread_bytes;
} glot_cpu;

/* Bytes of scratch that ops within `limits` need: one shared block, and one block for each thread (a
 * multiple of 64). */
void glot_cpu_scratch_needs(const glot_limits *limits, size_t *shared_bytes, size_t *thread_bytes);

static inline void *glot_cpu_shared_scratch(const glot_backend *be, size_t bytes)
{
    const glot_cpu *cpu = (const glot_cpu *)be;
    GLOT_ASSERT(bytes <= cpu->shared_bytes);
    return cpu->shared;
}

/* Of the calling thread of the op's team. */
static inline void *glot_cpu_thread_scratch(const glot_backend *be, size_t bytes)
{
    const glot_cpu *cpu = (const glot_cpu *)be;
    GLOT_ASSERT(bytes <= cpu->thread_bytes);
    return cpu->threads + (size_t)omp_get_thread_num() * cpu->thread_bytes;
}

/* Threads worth starting for `work` element operations: waking a team takes some microseconds. */
static inline int glot_cpu_team(const glot_backend *be, int64_t work)
{
    return work < 16384 ? 1 : be->n_threads;
}

#endif
