/* memory_limit.h: how much memory this process has used at most, and how much it may use. Linux. */
#ifndef GLOT_JOB_MEMORY_LIMIT_H
#define GLOT_JOB_MEMORY_LIMIT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that this process may come to hold, what it holds now included: the least of what the machine has
 * available (MemAvailable), the limits of its control groups (both versions), and RLIMIT_AS and RLIMIT_DATA.
 * `what` tells which: "this machine", "its control group", "its limit (ulimit -v)". UINT64_MAX where nothing
 * can be read. */
uint64_t glot_memory_limit(const char **what);

/* Largest resident set so far (VmHWM), bytes; 0 where it cannot be read. */
uint64_t glot_memory_peak(void);
/* Has it count from what is resident now, where the kernel allows that. */
void glot_memory_forget_peak(void);
/* Resident set now (VmRSS). */
uint64_t glot_memory_now(void);

#endif
