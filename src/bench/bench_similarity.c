/* bench_similarity.c: every language is the same random text, which costs what any other does. */
#include "bench/bench_similarity.h"
#include "base/clock.h"
#include "base/memory.h"
#include "expand/cost.h"
#include "expand/similarity.h"

enum { N_OLD = 3 };

typedef struct measuring {
    const glot_model *model;
    const glot_bench_similarity_options *options;
    glot_batch batch;
    int32_t *numbers; /* of the batch; owned */
    double *means;    /* [languages, n_layers, hidden] */
    glot_workspace *ws;
    glot_hsa *hsa;
} measuring;

/* The passes that the similarity takes, without it. */
static glot_status forward_unit(void *context, double *seconds, glot_error *err)
{
    measuring *t = context;
    double start = glot_seconds();
    for (int l = 0; l < GLOT_BENCH_LANGUAGES; l++) {
        GLOT_TRY(glot_workspace_load(t->ws, &t->batch, err));
        glot_model_forward(t->model, t->ws, NULL);
    }
    GLOT_TRY(t->model->be->check(t->model->be, err));
    *seconds = glot_seconds() - start;
    return GLOT_OK;
}

/* A window has BOS before its text. */
static glot_status measure_language(measuring *t, double *means, glot_error *err)
{
    const glot_bench_similarity_options *o = t->options;
    uint64_t n_tokens;
    for (int64_t s = 0; s < o->batch; s++) {
        glot_document document = {.ids = t->batch.ids + s * o->length, .n_ids = (uint32_t)(o->length - 1)};
        GLOT_TRY(glot_hsa_add(t->hsa, &document, err));
    }
    return glot_hsa_finish(t->hsa, means, &n_tokens, err);
}

static glot_status similarity_unit(void *context, double *seconds, glot_error *err)
{
    measuring *t = context;
    const glot_model_config *c = &t->model->config;
    const double *means[GLOT_BENCH_LANGUAGES];
    bool is_old[GLOT_BENCH_LANGUAGES];
    glot_similarity similarity = {0};
    double start = glot_seconds();
    for (int l = 0; l < GLOT_BENCH_LANGUAGES; l++) {
        double *own = t->means + l * c->n_layers * c->hidden_size;
        means[l] = own;
        is_old[l] = l < N_OLD;
        GLOT_TRY(measure_language(t, own, err));
    }
    GLOT_TRY(glot_similarity_measure(&similarity, means, is_old, GLOT_BENCH_LANGUAGES, c->n_layers,
                                     c->hidden_size, err));
    *seconds = glot_seconds() - start;
    glot_similarity_release(&similarity);
    return GLOT_OK;
}

static glot_status prepare(measuring *t, const glot_model *m, glot_error *err)
{
    const glot_bench_similarity_options *o = t->options;
    glot_hsa_options hsa = {.length = o->length - 1};
    size_t n_means = (size_t)(GLOT_BENCH_LANGUAGES * m->config.n_layers * m->config.hidden_size);
    GLOT_TRY(glot_bench_random_batch(&t->batch, &t->numbers, m, o->batch, o->length, o->seed, err));
    GLOT_TRY(glot_new(&t->means, n_means, sizeof *t->means, "the means of a benchmark", err));
    GLOT_TRY(glot_hsa_create(&t->hsa, m, &hsa, err));
    return glot_workspace_create(&t->ws, m, GLOT_WORKSPACE_INFER, o->batch * o->length, o->length, o->length,
                                 err);
}

glot_status glot_bench_similarity(glot_bench_similarity_result *out, glot_model *m,
                                  const glot_bench_similarity_options *o, const glot_cancel *cancel,
                                  glot_error *err)
{
    measuring t = {.model = m, .options = o};
    glot_bench_times forward;
    glot_cost cost;
    glot_status status = GLOT_OK;
    *out = (glot_bench_similarity_result){0};
    GLOT_TRY(glot_bench_expand(m, o->n_experts, o->top_k, o->seed, err));
    GLOT_TRY_OUT(prepare(&t, m, err));
    GLOT_TRY_OUT(glot_bench_time(&forward, forward_unit, &t, o->steps, m, NULL, cancel, err));
    GLOT_TRY_OUT(glot_bench_time(&out->times, similarity_unit, &t, o->steps, m, o->timing, cancel, err));
    GLOT_TRY_OUT(glot_cost_of(&cost, &m->config, GLOT_TRAIN_ROUTERS, o->length, err));
    out->forward_seconds = forward.median;
    out->flops_per_token =
        cost.forward_flops_per_token - 2.0 * (double)glot_tensor_elements(&m->lm_head->weight);
    out->bytes_per_token = glot_bench_pass_bytes(m, false) / (double)(o->batch * o->length);
out:
    glot_hsa_free(t.hsa);
    glot_workspace_free(t.ws);
    glot_free(t.numbers);
    glot_free(t.means);
    return status;
}
