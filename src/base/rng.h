/* rng.h: seeded random numbers. The state is plain data: saved in checkpoints as two hex numbers, it goes on
 * where it was. PCG-XSH-RR 64/32 (O'Neill 2014): small, well tested, the same on every machine. */
#ifndef GLOT_BASE_RNG_H
#define GLOT_BASE_RNG_H

#include <stdint.h>

typedef struct glot_rng {
    uint64_t state;
    uint64_t stream; /* odd */
} glot_rng;

/* A generator for (seed, stream): different streams of one seed are independent (one per parameter, per
 * language, per epoch). */
glot_rng glot_rng_seed(uint64_t seed, uint64_t stream);
uint32_t glot_rng_u32(glot_rng *rng);
/* Uniform in [0, n), without bias; n > 0. */
uint32_t glot_rng_below(glot_rng *rng, uint32_t n);
/* Uniform in [0, 1) with 53 bits. */
double glot_rng_uniform(glot_rng *rng);
/* Standard normal, Box-Muller, one value for two uniforms; the same bits with every libm is not promised. */
double glot_rng_normal(glot_rng *rng);
/* FNV-1a of a string: a stream number from a name. */
uint64_t glot_rng_stream_of(const char *name);

#endif
