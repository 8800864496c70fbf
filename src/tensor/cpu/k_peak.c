/* k_peak.c: multiply-adds on registers alone and reading alone: the most a processor can do (peak.h). */
#include "tensor/cpu/peak.h"

/* Twelve independent sums of native width: enough to cover the latency of two units. */
#if GLOT_ISA_LEVEL >= 2
typedef __m512 wide;
#define wide_set1 _mm512_set1_ps
#define wide_fma _mm512_fmadd_ps
#define wide_store _mm512_storeu_ps
#elif GLOT_ISA_LEVEL == 1
typedef __m256 wide;
#define wide_set1 _mm256_set1_ps
#define wide_fma _mm256_fmadd_ps
#define wide_store _mm256_storeu_ps
#else
typedef v16 wide;
#define wide_set1 v16_set1
#define wide_fma v16_fma
#define wide_store v16_store
#endif

#if GLOT_ISA_LEVEL == 3
#define wide_pairs(s, a, b) _mm512_dpbf16_ps(s, (__m512bh)(a), (__m512bh)(b))
enum { PAIR = 2 };
#else /* no instruction for bf16: nothing is faster than float32 */
#define wide_pairs(s, a, b) wide_fma(s, a, b)
enum { PAIR = 1 };
#endif

/* Different starts, or the compiler would see one sum. */
#define PEAK(step)                                                                                           \
    wide a = wide_set1(0.999f), b = wide_set1(0.001f);                                                       \
    wide s0 = wide_set1(0), s1 = wide_set1(1), s2 = wide_set1(2), s3 = wide_set1(3), s4 = wide_set1(4);      \
    wide s5 = wide_set1(5), s6 = wide_set1(6), s7 = wide_set1(7), s8 = wide_set1(8), s9 = wide_set1(9);      \
    wide s10 = wide_set1(10), s11 = wide_set1(11);                                                           \
    for (int64_t i = 0; i < steps; i++) {                                                                    \
        s0 = step(s0, a, b), s1 = step(s1, a, b), s2 = step(s2, a, b), s3 = step(s3, a, b);                  \
        s4 = step(s4, a, b), s5 = step(s5, a, b), s6 = step(s6, a, b), s7 = step(s7, a, b);                  \
        s8 = step(s8, a, b), s9 = step(s9, a, b), s10 = step(s10, a, b), s11 = step(s11, a, b);              \
    }                                                                                                        \
    wide all[12] = {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11};                                       \
    for (int i = 0; i < 12; i++)                                                                             \
        wide_store(out + i * LANES, all[i])

enum { LANES = sizeof(wide) / sizeof(float) };

double GLOT_KERNEL(peak_multiply_adds)(int64_t steps, float *out)
{
    PEAK(wide_fma);
    return (double)(steps * 12 * LANES);
}

double GLOT_KERNEL(peak_pairs)(int64_t steps, float *out)
{
    PEAK(wide_pairs);
    return (double)(steps * 12 * LANES * PAIR);
}

float GLOT_KERNEL(peak_read)(const float *x, int64_t n)
{
    v16 max[4] = {v16_load(x), v16_load(x), v16_load(x), v16_load(x)};
    for (int64_t i = 0; i < n; i += 64)
        for (int j = 0; j < 4; j++)
            max[j] = v16_max(max[j], v16_load(x + i + 16 * j));
    return v16_fold_max(v16_max(v16_max(max[0], max[1]), v16_max(max[2], max[3])));
}
