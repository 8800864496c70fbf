/* peak.h: the machine's own limits, measured: what the CPU backend's speed is compared with. */
#ifndef GLOT_TENSOR_CPU_PEAK_H
#define GLOT_TENSOR_CPU_PEAK_H

#include "tensor/cpu/kernel.h"

/* Floats that `out` below holds. */
enum { GLOT_PEAK_FLOATS = 12 * 16 };

/* `steps` times twelve vector multiply-adds on registers; returns the number of float multiply-adds. `out`
 * [GLOT_PEAK_FLOATS] gets the sums, so that the work is not dropped. */
double GLOT_KERNEL(peak_multiply_adds)(int64_t steps, float *out);
/* The same of bf16 numbers where there are instructions for them, else of float32. */
double GLOT_KERNEL(peak_pairs)(int64_t steps, float *out);
/* The largest of n floats, n a multiple of 64: reads them all. */
float GLOT_KERNEL(peak_read)(const float *x, int64_t n);

/* Float operations (two in a multiply-add) per second of the backend's threads together, with its instruction
 * set, on numbers of the type of its products: the best of some tries of about 10 ms. 0 for a backend that is
 * not the CPU's. */
double glot_cpu_peak_flops(const glot_backend *be);
/* Bytes per second that the backend's threads read together, the best of some tries over the n floats at
 * `memory`, which should be many times what the caches hold. 0 for a backend that is not the CPU's. */
double glot_cpu_peak_bytes(const glot_backend *be, const float *memory, int64_t n);

#endif
