/* machine.c: two loops that do nothing but what is measured. */
#include "bench/machine.h"
#include "base/memory.h"

#include <omp.h>
#include <string.h>
#include <time.h>

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { ROUNDS = 1 << 20, CHAINS = 12, REPEATS = 5 };

/* Products and sums may be fused here, and only here. */
#if defined(__clang__)
#define FUSED
#pragma clang fp contract(fast)
#else
#define FUSED , optimize("fp-contract=fast")
#endif

/* CHAINS independent sums: more than latency (4-5 cycles) times units (2) needs. The result is used, or the loop would vanish. */
#define DEFINE_FMA_LOOP(name, lanes, target_name)                                                                 \
    typedef float name##_vector __attribute__((vector_size(4 * (lanes))));                                        \
    __attribute__((target(target_name) FUSED)) static float name(void)                    \
    {                                                                                                             \
        name##_vector sums[CHAINS], a, b;                                                                         \
        for (int i = 0; i < (lanes); i++) {                                                                       \
            a[i] = 0.999f;                                                                                        \
            b[i] = 1e-3f;                                                                                         \
        }                                                                                                         \
        for (int c = 0; c < CHAINS; c++)                                                                          \
            sums[c] = b;                                                                                          \
        for (int r = 0; r < ROUNDS; r++)                                                                          \
            for (int c = 0; c < CHAINS; c++)                                                                      \
                sums[c] = sums[c] * a + b;                                                                        \
        float total = 0.0f;                                                                                       \
        for (int c = 0; c < CHAINS; c++)                                                                          \
            total += sums[c][0];                                                                                  \
        return total;                                                                                             \
    }

#if defined(__x86_64__)
DEFINE_FMA_LOOP(fma_avx512, 16, "avx512f")
DEFINE_FMA_LOOP(fma_avx2, 8, "avx2,fma")
DEFINE_FMA_LOOP(fma_portable, 4, "sse2")
#else
DEFINE_FMA_LOOP(fma_portable, 4, "")
#endif

static float fma_loop(const char *isa, int *lanes)
{
#if defined(__x86_64__)
    if (strcmp(isa, "avx512") == 0) {
        *lanes = 16;
        return fma_avx512();
    }
    if (strcmp(isa, "avx2") == 0) {
        *lanes = 8;
        return fma_avx2();
    }
#endif
    *lanes = 4;
    return fma_portable();
}

double glot_peak_flops(int threads, const char *isa)
{
    double best = 0.0;
    volatile float sink = 0.0f;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        int lanes = 0;
        double began = now_seconds();
#pragma omp parallel num_threads(threads)
        {
            int own_lanes;
            float total = fma_loop(isa, &own_lanes);
#pragma omp critical
            {
                sink = total;
                lanes = own_lanes;
            }
        }
        double flops = 2.0 * ROUNDS * CHAINS * lanes * threads / (now_seconds() - began);
        best = flops > best ? flops : best;
    }
    (void)sink;
    return best;
}

double glot_peak_bytes(int threads)
{
    size_t n = (size_t)1 << 26; /* 64 M words of 8 bytes: 512 MiB */
    uint64_t *words = glot_calloc(n, sizeof *words);
    double best = 0.0;
    volatile uint64_t sink = 0;
    if (!words)
        return 0.0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < n; i++)
        words[i] = i;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        uint64_t total = 0;
        double began = now_seconds();
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : total)
        for (size_t i = 0; i < n; i++)
            total += words[i];
        double rate = (double)(n * sizeof *words) / (now_seconds() - began);
        best = rate > best ? rate : best;
        sink = total;
    }
    (void)sink;
    glot_free(words);
    return best;
}
