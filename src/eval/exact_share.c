/* exact_share.c: how long the documents of a language stay on the exact path (METHOD 8). The test reads ids
 * and no model runs. */
#include "eval/eval.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Tokens of the document before it leaves; all of them where it stays. */
static uint32_t tokens_on_path(const glot_exact_test *test, const glot_document *d, bool *stays)
{
    glot_exact_state state = {0};
    uint32_t n = 0;
    while (n < d->n_ids) {
        glot_exact_mark(test, &state, d->ids + n, 1, NULL);
        if (state.has_left)
            break;
        n++;
    }
    *stays = !state.has_left;
    return n;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: the smallest value that the share `q` of them does not exceed. */
static double percentile(const uint32_t *sorted, size_t n, double q)
{
    return n ? (double)sorted[(size_t)ceil(q * (double)n) - 1] : (double)NAN;
}

static void add_document(glot_exact_share *out, const glot_exact_test *test, const glot_document *d,
                         uint32_t *left, size_t *n_left)
{
    bool stays;
    uint32_t n = tokens_on_path(test, d, &stays);
    out->documents++;
    out->tokens += d->n_ids;
    out->tokens_on_path += n;
    out->documents_that_stay += stays;
    if (!stays)
        left[(*n_left)++] = n;
}

glot_status glot_exact_share_measure(glot_exact_share *out, const glot_model *m,
                                     const glot_token_store *store, int32_t language, uint64_t max_tokens,
                                     glot_error *err)
{
    glot_exact_test test;
    uint32_t *left = NULL; /* tokens before leaving, of the documents that leave */
    size_t n_left = 0;
    uint64_t first = glot_token_store_first_document(store, (size_t)language);
    uint64_t n = glot_token_store_language(store, (size_t)language)->n_documents;
    glot_status status = GLOT_OK;
    *out = (glot_exact_share){0};
    GLOT_TRY(glot_exact_test_init(&test, m, err));
    GLOT_TRY_OUT(glot_new(&left, n, sizeof *left, "shares of the exact path", err));
    for (uint64_t i = 0; i < n && (max_tokens == 0 || out->tokens < max_tokens); i++) {
        glot_document d = glot_token_store_document(store, first + i);
        add_document(out, &test, &d, left, &n_left);
    }
    qsort(left, n_left, sizeof *left, compare);
    out->median = percentile(left, n_left, 0.5);
    out->p90 = percentile(left, n_left, 0.9);
out:
    glot_free(left);
    glot_exact_test_release(&test);
    return status;
}
