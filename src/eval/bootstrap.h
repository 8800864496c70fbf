/* bootstrap.h
 *
 * How far a score over documents may be trusted: the bootstrap's percentile interval. Documents are drawn
 * with replacement, as many as there are, and the score is taken again; between the 2.5th and the 97.5th
 * percentile of N_RESAMPLES such scores lies the 95 % interval. It speaks of other documents of the same
 * kind, not of another training. The draws follow from the number of documents alone: the same text has the
 * same draws before and after training and on every machine.
 */
#ifndef GLOT_EVAL_BOOTSTRAP_H
#define GLOT_EVAL_BOOTSTRAP_H

#include "base/error.h"

enum { GLOT_N_RESAMPLES = 1000 };

typedef struct glot_document_score {
    double nll_nats;
    uint64_t bytes;
} glot_document_score;

typedef struct glot_interval {
    double low, high; /* NaN: fewer than two documents say nothing of others */
} glot_interval;

/* Of bits per byte: sum of nll / ln 2 / sum of bytes. */
glot_status glot_bootstrap_bits_per_byte(glot_interval *out, const glot_document_score *documents, size_t n,
                                         glot_error *err);

#endif
