/* machine.h: what this machine can do at most: the limits that measured speeds are set beside. */
#ifndef GLOT_BENCH_MACHINE_H
#define GLOT_BENCH_MACHINE_H

#include "base/error.h"

/* Fused multiply-adds a second of all threads together, times two: registers only, best of several short runs. `isa` as of a CPU backend. */
double glot_peak_flops(int threads, const char *isa);
/* Bytes a second that all threads together read from memory, best of several runs over a block larger than any cache. 0 where memory is short. */
double glot_peak_bytes(int threads);

#endif
