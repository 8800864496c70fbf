/* needs.c: sums over shapes; nothing of the model need be there. */
#include "bench/needs.h"
#include "base/progress.h"
#include "expand/cost.h"
#include "expand/upcycle.h"
#include "job/memory_limit.h"

static void expand_config(glot_model_config *c, const glot_bench_work *work)
{
    int32_t all[GLOT_MAX_LAYERS];
    for (int64_t l = 0; l < c->n_layers; l++)
        all[l] = work->n_experts;
    if (!c->is_expanded)
        glot_upcycle_config(c, all, work->top_k);
}

static glot_workspace_mode mode_of(const glot_bench_work *work)
{
    return !work->is_training    ? GLOT_WORKSPACE_INFER
           : work->is_recomputed ? GLOT_WORKSPACE_RECOMPUTE
                                 : GLOT_WORKSPACE_TRAIN;
}

glot_status glot_bench_check_memory(const glot_bench_work *work, const glot_model_config *dense,
                                    uint64_t dense_bytes, glot_dtype dtype, glot_backend *be, glot_error *err)
{
    glot_model shadow = {.be = be, .config = *dense};
    glot_cost before, after;
    size_t workspace = 0;
    const char *who;
    char needed[32], there[32];
    uint64_t real = glot_dtype_block_bytes(be->real), available = glot_memory_limit(&who);
    expand_config(&shadow.config, work);
    GLOT_TRY(glot_cost_of(&before, dense, work->trainable, 2, err));
    GLOT_TRY(glot_cost_of(&after, &shadow.config, work->trainable, 2, err));
    GLOT_TRY(glot_workspace_measure(&workspace, &shadow, mode_of(work), work->rows, work->length,
                                    work->length, err));
    uint64_t cached =
        (uint64_t)(2 * dense->n_layers * dense->n_kv_heads * dense->head_dim * work->n_cached) * real;
    uint64_t bytes = dense_bytes +
                     (after.n_parameters - before.n_parameters) * glot_dtype_block_bytes(dtype) + workspace +
                     cached;
    if (work->is_training) /* gradients and two moments */
        bytes += 3 * after.n_trained * real;
    if (bytes <= available)
        return GLOT_OK;
    glot_bytes_text(bytes, needed);
    glot_bytes_text(available, there);
    return GLOT_FAIL(
        err, GLOT_NOMEM,
        "the work needs %s of memory and %s has %s for it; fewer --layers or --experts need less", needed,
        who, there);
}
