/* curves.h: lines of metrics.jsonl as curves for charts. Private to src/job. */
#ifndef GLOT_JOB_CURVES_H
#define GLOT_JOB_CURVES_H

#include "base/error.h"
#include "base/json.h"

typedef struct glot_curve {
    double *x, *y; /* [n] */
    size_t n;
} glot_curve;

/* A curve has at most so many points: a longer run's are means over equally many steps each. */
enum { GLOT_CURVE_POINTS = 400 };

/* The values of a key over the steps of a phase (train, review). The caller releases. */
glot_status glot_curve_read(glot_curve *c, const json_t *lines, const char *phase, const char *key,
                            glot_error *err);
/* Bits per byte of a language in the evaluations on the way (those with a step). */
glot_status glot_curve_read_scores(glot_curve *c, const json_t *lines, const char *language, glot_error *err);
/* The running mean over a tenth of the points around each. No points where there are too few (below 20) to
 * need it. */
glot_status glot_curve_smooth(glot_curve *out, const glot_curve *c, glot_error *err);
void glot_curve_release(glot_curve *c);

#endif
