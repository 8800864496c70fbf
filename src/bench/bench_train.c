/* bench_train.c: a trainer on random text. */
#include "bench/bench_train.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "expand/cost.h"
#include "job/memory_limit.h"

glot_bench_train_options glot_bench_train_options_default(void)
{
    return (glot_bench_train_options){.phase = GLOT_PHASE_TRAIN,
                                      .n_experts = 4,
                                      .top_k = 2,
                                      .batch = 4,
                                      .micro_batch = 4,
                                      .length = 256,
                                      .steps = 5,
                                      .seed = 1};
}

/* Blocks of random ids, the first half of the languages' turn old: enough for a review's loss. */
typedef struct random_text {
    glot_rng rng;
    uint32_t vocab;
    int64_t length;
} random_text;

static void random_block(void *user, glot_block *block)
{
    random_text *text = user;
    int32_t language = (int32_t)glot_rng_below(&text->rng, 2);
    for (int64_t i = 0; i < text->length; i++) {
        block->ids[i] = (int32_t)glot_rng_below(&text->rng, text->vocab);
        block->languages[i] = language;
        block->is_start[i] = i == 0;
    }
    block->n = text->length;
}

glot_trainable glot_bench_trainable(glot_phase phase, int n_experts)
{
    return phase == GLOT_PHASE_REVIEW ? GLOT_TRAIN_ROUTERS
           : n_experts > 1            ? GLOT_TRAIN_NEW_EXPERTS
                                      : GLOT_TRAIN_ALL;
}

/* Weights are read by the forward pass and by the backward pass, and once more where the former is made
 * again; of gradients, weights and both moments the optimizer reads and writes all. */
static double step_bytes(const glot_model *m, const glot_train_memory *memory, bool is_recomputed)
{
    return (is_recomputed ? 3.0 : 2.0) * glot_bench_pass_bytes(m, true) + 8.0 * (double)memory->gradients;
}

static glot_status prepare(glot_model *m, const glot_bench_train_options *o, glot_error *err)
{
    GLOT_TRY(glot_bench_expand(m, o->n_experts, o->top_k, o->seed, err));
    GLOT_TRY(glot_set_trainable(m, glot_bench_trainable(o->phase, o->n_experts), err));
    return glot_model_allocate_grads(m, err);
}

static glot_status train_unit(void *context, double *seconds, glot_error *err)
{
    glot_step_report report;
    GLOT_TRY(glot_trainer_step(context, &report, err));
    *seconds = report.seconds;
    return GLOT_OK;
}

static glot_status time_steps(glot_bench_train_result *out, glot_bench_unit *unit, void *context,
                              const glot_model *m, const glot_bench_train_options *o,
                              const glot_cancel *cancel, glot_error *err)
{
    double tokens = (double)(o->batch * o->length);
    GLOT_TRY(glot_bench_time(&out->times, unit, context, o->steps, m, o->timing, cancel, err));
    out->tokens_per_s = tokens / out->times.median;
    out->best_tokens_per_s = tokens / out->times.best;
    return GLOT_OK;
}

static void fill_memory(glot_bench_train_result *out, const glot_model *m)
{
    const glot_train_memory *t = &out->memory;
    out->peak_bytes = glot_memory_peak();
    out->planned_bytes = t->gradients + t->moments + t->workspace + t->host;
    for (size_t i = 0; i < m->n_params; i++)
        out->planned_bytes += glot_tensor_bytes(&m->params[i]->weight);
}

glot_status glot_bench_train(glot_bench_train_result *out, glot_model *m, const glot_bench_train_options *o,
                             const glot_cancel *cancel, glot_error *err)
{
    static const int32_t groups[2] = {0, 1};
    *out = (glot_bench_train_result){0};
    GLOT_TRY(prepare(m, o, err));
    glot_train_settings s = glot_train_settings_default(o->phase);
    s.steps = o->steps + 1;
    s.batch = o->batch;
    s.micro_batch = o->micro_batch;
    s.length = o->length;
    s.lr = s.router_lr = 1e-5;
    s.is_recomputed = o->is_recomputed;
    random_text text = {glot_rng_seed(o->seed, 7), (uint32_t)m->config.vocab_size, o->length};
    glot_trainer *t = NULL;
    glot_cost cost;
    GLOT_TRY(glot_cost_of(&cost, &m->config, glot_bench_trainable(o->phase, o->n_experts), o->length, err));
    GLOT_TRY(glot_trainer_measure(&out->memory, m, &s, err));
    GLOT_TRY(glot_trainer_create(&t, m, NULL, groups, 2, &s, err));
    t->next_block = random_block;
    t->next_block_user = &text;
    out->flops_per_token = cost.flops_per_token;
    out->bytes_per_token = step_bytes(m, &out->memory, o->is_recomputed) / (double)(o->batch * o->length);
    glot_status status = time_steps(out, train_unit, t, m, o, cancel, err);
    fill_memory(out, m);
    glot_trainer_free(t);
    return status;
}

/* ---- forward ---- */

typedef struct scoring {
    const glot_model *model;
    glot_workspace *ws;
    float *nll; /* [batch * length] */
} scoring;

static glot_status forward_unit(void *context, double *seconds, glot_error *err)
{
    scoring *s = context;
    double start = glot_seconds();
    (void)err;
    glot_model_forward(s->model, s->ws, NULL);
    glot_model_nll(s->model, s->ws, 0, s->nll);
    *seconds = glot_seconds() - start;
    return GLOT_OK;
}

static glot_status load_random(glot_workspace *ws, const glot_bench_train_options *o, glot_error *err)
{
    glot_batch batch;
    int32_t *numbers = NULL;
    GLOT_TRY(glot_bench_random_batch(&batch, &numbers, ws->model, o->batch, o->length, o->seed, err));
    glot_status status = glot_workspace_load(ws, &batch, err);
    glot_free(numbers);
    return status;
}

glot_status glot_bench_forward(glot_bench_train_result *out, glot_model *m, const glot_bench_train_options *o,
                               const glot_cancel *cancel, glot_error *err)
{
    int64_t n = o->batch * o->length;
    scoring s = {.model = m};
    glot_cost cost;
    glot_status status = GLOT_OK;
    *out = (glot_bench_train_result){0};
    GLOT_TRY(glot_bench_expand(m, o->n_experts, o->top_k, o->seed, err));
    GLOT_TRY_OUT(glot_new(&s.nll, (size_t)n, sizeof *s.nll, "the losses of a benchmark", err));
    GLOT_TRY_OUT(glot_workspace_create(&s.ws, m, GLOT_WORKSPACE_INFER, n, o->length, o->length, err));
    GLOT_TRY_OUT(load_random(s.ws, o, err));
    GLOT_TRY_OUT(glot_cost_of(&cost, &m->config, GLOT_TRAIN_ROUTERS, o->length, err));
    out->flops_per_token = cost.forward_flops_per_token;
    out->bytes_per_token = glot_bench_pass_bytes(m, true) / (double)n;
    GLOT_TRY_OUT(time_steps(out, forward_unit, &s, m, o, cancel, err));
out:
    glot_workspace_free(s.ws);
    glot_free(s.nll);
    return status;
}
