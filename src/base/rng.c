/* rng.c: PCG-XSH-RR 64/32, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
 * Random Number Generation", M. O'Neill, 2014. */
#include "base/rng.h"

#include <math.h>

static const uint64_t PCG_MULTIPLIER = 6364136223846793005ULL;

glot_rng glot_rng_seed(uint64_t seed, uint64_t stream)
{
    glot_rng rng = {0, (stream << 1) | 1};
    glot_rng_u32(&rng);
    rng.state += seed;
    glot_rng_u32(&rng);
    return rng;
}

uint32_t glot_rng_u32(glot_rng *rng)
{
    uint64_t old = rng->state;
    rng->state = old * PCG_MULTIPLIER + rng->stream;
    uint32_t word = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return (word >> turn) | (word << ((32 - turn) & 31));
}

uint32_t glot_rng_below(glot_rng *rng, uint32_t n)
{
    uint32_t threshold = (0u - n) % n; /* the first 2^32 mod n values would be drawn once too often */
    for (;;) {
        uint32_t word = glot_rng_u32(rng);
        if (word >= threshold)
            return word % n;
    }
}

double glot_rng_uniform(glot_rng *rng)
{
    uint64_t high = glot_rng_u32(rng) >> 5;
    uint64_t low = glot_rng_u32(rng) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double glot_rng_normal(glot_rng *rng)
{
    double u = 1.0 - glot_rng_uniform(rng); /* (0, 1]: the logarithm is finite */
    double v = glot_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t glot_rng_stream_of(const char *name)
{
    uint64_t hash = 14695981039346656037ULL;
    for (const char *p = name; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 1099511628211ULL;
    return hash;
}
