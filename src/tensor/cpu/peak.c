/* peak.c: the measurements of peak.h. */
#include "tensor/cpu/peak.h"
#include "base/clock.h"

enum { TRIES = 8, CHUNK = 1 << 16 };
static const double try_seconds = 0.01;

/* The two kernels of one instruction set. */
typedef struct peak_kernels {
    double (*multiply_adds)(int64_t steps, float *out);
    double (*pairs)(int64_t steps, float *out);
    float (*read)(const float *x, int64_t n);
} peak_kernels;

#define PEAK_KERNELS(isa)                                                                                    \
    double glot_peak_multiply_adds_##isa(int64_t steps, float *out);                                         \
    double glot_peak_pairs_##isa(int64_t steps, float *out);                                                 \
    float glot_peak_read_##isa(const float *x, int64_t n);                                                   \
    static const peak_kernels peak_##isa = {glot_peak_multiply_adds_##isa, glot_peak_pairs_##isa,            \
                                            glot_peak_read_##isa}

PEAK_KERNELS(portable);
#if GLOT_N_ISAS > 1
PEAK_KERNELS(avx2);
PEAK_KERNELS(avx512);
PEAK_KERNELS(avx512_bf16);
#endif

static const peak_kernels *kernels_of(const glot_backend *be)
{
    if (strcmp(be->name, "cpu") != 0)
        return NULL;
#if GLOT_N_ISAS > 1
    if (strcmp(be->isa, "avx2") == 0)
        return &peak_avx2;
    if (strcmp(be->isa, "avx512") == 0)
        return &peak_avx512;
    if (strcmp(be->isa, "avx512_bf16") == 0)
        return &peak_avx512_bf16;
#endif
    return &peak_portable;
}

/* Seconds that all threads take for `steps` steps each; *count: multiply-adds. */
static double multiply_add_seconds(double (*kernel)(int64_t steps, float *out), int n_threads, int64_t steps,
                                   double *count)
{
    double all = 0, start = glot_seconds();
#pragma omp parallel for num_threads(n_threads) schedule(static, 1) reduction(+ : all)
    for (int i = 0; i < n_threads; i++) {
        float out[GLOT_PEAK_FLOATS];
        all += kernel(steps, out);
    }
    *count = all;
    return glot_seconds() - start;
}

double glot_cpu_peak_flops(const glot_backend *be)
{
    const peak_kernels *kernels = kernels_of(be);
    if (!kernels)
        return 0;
    double (*kernel)(int64_t, float *) = be->products == GLOT_BF16 ? kernels->pairs : kernels->multiply_adds;
    double count, best = 0;
    int64_t steps = 1000;
    while (multiply_add_seconds(kernel, be->n_threads, steps, &count) < try_seconds)
        steps *= 2;
    for (int i = 0; i < TRIES; i++) {
        double rate = 2 * count / multiply_add_seconds(kernel, be->n_threads, steps, &count);
        best = rate > best ? rate : best;
    }
    return best;
}

double glot_cpu_peak_bytes(const glot_backend *be, const float *memory, int64_t n)
{
    const peak_kernels *kernels = kernels_of(be);
    double best = 0;
    for (int i = 0; kernels && i < TRIES; i++) {
        float max = 0;
        double start = glot_seconds();
#pragma omp parallel for num_threads(be->n_threads) schedule(static) reduction(max : max)
        for (int64_t chunk = 0; chunk < n / CHUNK; chunk++) {
            float x = kernels->read(memory + chunk * CHUNK, CHUNK);
            max = x > max ? x : max;
        }
        double rate = (double)(n / CHUNK * CHUNK) * sizeof(float) / (glot_seconds() - start);
        best = rate > best && max >= 0 ? rate : best; /* max is used, so that the reads are done */
    }
    return best;
}
