/* bench_tokenize.h: how fast one thread turns the documents of text files into ids. */
#ifndef GLOT_BENCH_BENCH_TOKENIZE_H
#define GLOT_BENCH_BENCH_TOKENIZE_H

#include "text/corpus.h"
#include "text/tokenizer.h"

typedef struct glot_bench_tokenize_result {
    uint64_t n_documents, n_bytes, n_tokens; /* in one pass; bytes of UTF-8 text */
    double first_seconds; /* processor time of the first pass, with an encoder that has seen nothing */
    double best_seconds;  /* of the fastest pass, the first one among them */
} glot_bench_tokenize_result;

/* Reads whole documents of `paths` (expanded ones) into memory until max_bytes are reached (0: all), then
 * encodes them 1 + `passes` times with one encoder. GLOT_BAD_VALUE where there is no document. */
glot_status glot_bench_tokenize(glot_bench_tokenize_result *out, const glot_tokenizer *t,
                                const char *const *paths, size_t n_paths, uint64_t max_bytes, int64_t passes,
                                const glot_cancel *cancel, glot_error *err);

#endif
