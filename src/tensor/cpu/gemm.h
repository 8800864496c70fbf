/* gemm.h: what the products take from the scratch. */
#ifndef GLOT_TENSOR_CPU_GEMM_H
#define GLOT_TENSOR_CPU_GEMM_H

#include "tensor/cpu/micro.h"

enum {
    /* Floats of packed a in the shared scratch: 8 MiB, of the order of a level 3 cache. A larger a is done in
       parts. */
    GLOT_GEMM_SHARED_FLOATS = 2 << 20,
    /* Columns of b that a thread packs at a time: 128 KiB, of the order of a quarter to half of a level 2
       cache. */
    GLOT_GEMM_BLOCK_COLS = 16 * GLOT_STRIPS,
    GLOT_GEMM_THREAD_FLOATS = GLOT_PANEL * GLOT_GEMM_BLOCK_COLS
};

#endif
