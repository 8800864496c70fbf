/* bench_tokenize.c: documents in memory, encoded again and again. */
#include "bench/bench_tokenize.h"
#include "base/memory.h"
#include "base/str.h"

#include <time.h>

typedef struct documents {
    glot_str text; /* end to end */
    size_t *ends;  /* [n] */
    size_t n, capacity;
} documents;

static glot_status read_documents(documents *d, glot_corpus *c, uint64_t max_bytes, glot_error *err)
{
    const char *text;
    size_t size;
    while (max_bytes == 0 || d->text.length < max_bytes) {
        GLOT_TRY(glot_corpus_next(c, &text, &size, err));
        if (!text)
            break;
        glot_str_append(&d->text, text, size);
        GLOT_TRY(glot_str_check(&d->text, "the documents", err));
        GLOT_TRY(glot_grow(&d->ends, &d->capacity, d->n + 1, sizeof d->ends[0], "the documents", err));
        d->ends[d->n++] = d->text.length;
    }
    return d->n ? GLOT_OK : GLOT_FAIL(err, GLOT_BAD_VALUE, "no document to tokenize");
}

/* Processor time: what others run meanwhile does not count. */
static double thread_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static glot_status encode_documents(glot_encoder *e, const documents *d, const glot_cancel *cancel,
                                    uint64_t *n_tokens, glot_error *err)
{
    *n_tokens = 0;
    for (size_t i = 0, start = 0; i < d->n; start = d->ends[i++]) {
        const int32_t *ids;
        size_t n;
        if (glot_cancelled(cancel))
            return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while tokenizing");
        GLOT_TRY(glot_encode(e, d->text.data + start, d->ends[i] - start, &ids, &n, err));
        *n_tokens += n;
    }
    return GLOT_OK;
}

static glot_status time_passes(glot_bench_tokenize_result *out, glot_encoder *e, const documents *d,
                               int64_t passes, const glot_cancel *cancel, glot_error *err)
{
    for (int64_t pass = 0; pass <= passes; pass++) {
        double began = thread_seconds();
        GLOT_TRY(encode_documents(e, d, cancel, &out->n_tokens, err));
        double seconds = thread_seconds() - began;
        if (pass == 0)
            out->first_seconds = out->best_seconds = seconds;
        else if (seconds < out->best_seconds)
            out->best_seconds = seconds;
    }
    return GLOT_OK;
}

glot_status glot_bench_tokenize(glot_bench_tokenize_result *out, const glot_tokenizer *t,
                                const char *const *paths, size_t n_paths, uint64_t max_bytes, int64_t passes,
                                const glot_cancel *cancel, glot_error *err)
{
    documents d = {0};
    glot_corpus *c = NULL;
    glot_encoder *e = NULL;
    glot_status status;
    glot_corpus_options options = glot_corpus_options_default();
    options.cancel = cancel;
    *out = (glot_bench_tokenize_result){0};
    GLOT_TRY_OUT(glot_corpus_open(&c, paths, n_paths, &options, err));
    GLOT_TRY_OUT(read_documents(&d, c, max_bytes, err));
    GLOT_TRY_OUT(glot_encoder_create(&e, t, err));
    out->n_documents = d.n;
    out->n_bytes = d.text.length;
    GLOT_TRY_OUT(time_passes(out, e, &d, passes, cancel, err));
out:
    glot_encoder_free(e);
    glot_corpus_close(c);
    glot_free(d.ends);
    glot_str_release(&d.text);
    return status;
}
