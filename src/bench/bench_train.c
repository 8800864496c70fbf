/* bench_train.c: a trainer on random text. */
#include "bench/bench_train.h"
#include "base/memory.h"
#include "base/rng.h"
#include "expand/cost.h"
#include "expand/upcycle.h"

#include <stdlib.h>

glot_bench_train_options glot_bench_train_options_default(void)
{
    return (glot_bench_train_options){.phase = GLOT_PHASE_TRAIN, .n_experts = 4, .top_k = 2, .batch = 4, .micro_batch = 4,
                                      .length = 256, .steps = 5, .seed = 1};
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

static glot_trainable trainable_of(const glot_bench_train_options *o)
{
    return o->phase == GLOT_PHASE_REVIEW ? GLOT_TRAIN_ROUTERS : o->n_experts > 1 ? GLOT_TRAIN_NEW_EXPERTS : GLOT_TRAIN_ALL;
}

static glot_status prepare(glot_model *m, const glot_bench_train_options *o, glot_error *err)
{
    int32_t n_experts[GLOT_MAX_LAYERS];
    for (int64_t l = 0; l < m->config.n_layers; l++)
        n_experts[l] = o->n_experts;
    glot_upcycle_settings settings = {.top_k = o->top_k, .seed = o->seed};
    if (o->n_experts > 1)
        GLOT_TRY(glot_upcycle(m, n_experts, &settings, err));
    GLOT_TRY(glot_set_trainable(m, trainable_of(o), err));
    return glot_model_allocate_grads(m, err);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One step to warm up, then the timed ones. */
static glot_status time_steps(glot_bench_train_result *out, glot_trainer *t, int64_t n_steps, const glot_cancel *cancel,
                              glot_error *err)
{
    double seconds[64];
    glot_step_report report;
    GLOT_TRY(glot_trainer_step(t, &report, err));
    uint64_t heap_calls = glot_heap_calls();
    int64_t n = 0;
    while (n < n_steps && !glot_cancelled(cancel)) {
        GLOT_TRY(glot_trainer_step(t, &report, err));
        seconds[n++] = report.seconds;
    }
    if (n == 0)
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped before the first timed step");
    out->heap_calls = glot_heap_calls() - heap_calls;
    qsort(seconds, (size_t)n, sizeof *seconds, compare_doubles);
    double tokens = (double)(t->settings.batch * t->settings.length);
    out->seconds_per_step = seconds[n / 2];
    out->tokens_per_s = tokens / seconds[n / 2];
    out->best_tokens_per_s = tokens / seconds[0];
    return GLOT_OK;
}

glot_status glot_bench_train(glot_bench_train_result *out, glot_model *m, const glot_bench_train_options *o,
                             const glot_cancel *cancel, glot_error *err)
{
    static const int32_t groups[2] = {0, 1};
    if (o->steps < 1 || o->steps > 64)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%" PRId64 " steps are outside 1 to 64", o->steps);
    *out = (glot_bench_train_result){0};
    GLOT_TRY(prepare(m, o, err));
    glot_train_settings s = glot_train_settings_default(o->phase);
    s.steps = o->steps + 1;
    s.batch = o->batch;
    s.micro_batch = o->micro_batch;
    s.length = o->length;
    s.lr = s.router_lr = 1e-5;
    random_text text = {glot_rng_seed(o->seed, 7), (uint32_t)m->config.vocab_size, o->length};
    glot_trainer *t = NULL;
    glot_cost cost;
    GLOT_TRY(glot_cost_of(&cost, &m->config, trainable_of(o), o->length, err));
    GLOT_TRY(glot_trainer_measure(&out->memory, m, &s, err));
    GLOT_TRY(glot_trainer_create(&t, m, NULL, groups, 2, &s, err));
    t->next_block = random_block;
    t->next_block_user = &text;
    out->flops_per_token = cost.flops_per_token;
    glot_status status = time_steps(out, t, o->steps, cancel, err);
    glot_trainer_free(t);
    return status;
}
