/* cancel.h: the one flag a signal handler sets and long work looks at between pieces. Work that sees it set
 * saves what it has and returns GLOT_CANCELLED. */
#ifndef GLOT_BASE_CANCEL_H
#define GLOT_BASE_CANCEL_H

#include <signal.h>
#include <stdbool.h>

typedef struct glot_cancel {
    volatile sig_atomic_t requested;
} glot_cancel;

/* NULL means: never cancelled. */
static inline bool glot_cancelled(const glot_cancel *cancel)
{
    return cancel && cancel->requested;
}

#endif
