/* clock.h: seconds that only go forward, from a moment of no meaning: what work took is a difference. */
#ifndef GLOT_BASE_CLOCK_H
#define GLOT_BASE_CLOCK_H

#include <time.h>

static inline double glot_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
