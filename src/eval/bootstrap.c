/* bootstrap.c: documents drawn again and again. */
#include "eval/bootstrap.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

enum { SEED = 1 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double resample(const glot_document_score *documents, size_t n, glot_rng *rng)
{
    double nll = 0.0, bytes = 0.0;
    for (size_t i = 0; i < n; i++) {
        const glot_document_score *d = &documents[glot_rng_below(rng, (uint32_t)n)];
        nll += d->nll_nats;
        bytes += (double)d->bytes;
    }
    return bytes > 0.0 ? nll / log(2.0) / bytes : 0.0;
}

glot_status glot_bootstrap_bits_per_byte(glot_interval *out, const glot_document_score *documents, size_t n,
                                         glot_error *err)
{
    double *scores = NULL;
    *out = (glot_interval){(double)NAN, (double)NAN};
    if (n < 2 || n > UINT32_MAX)
        return GLOT_OK;
    GLOT_TRY(glot_new(&scores, GLOT_N_RESAMPLES, sizeof *scores, "an interval", err));
    glot_rng rng = glot_rng_seed(SEED, glot_rng_stream_of("bootstrap"));
    for (size_t i = 0; i < GLOT_N_RESAMPLES; i++)
        scores[i] = resample(documents, n, &rng);
    qsort(scores, GLOT_N_RESAMPLES, sizeof *scores, compare);
    size_t cut = GLOT_N_RESAMPLES / 40; /* 2.5 % at each end */
    *out = (glot_interval){scores[cut], scores[GLOT_N_RESAMPLES - 1 - cut]};
    glot_free(scores);
    return GLOT_OK;
}
