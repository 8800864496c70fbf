/* plan.c: the numbers of a job from shapes alone: nothing of the expanded model is allocated. */
#include "job/plan.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "eval/eval.h"
#include "expand/cost.h"
#include "expand/upcycle.h"
#include "job/base.h"
#include "job/layout.h"
#include "job/memory_limit.h"
#include "text/density.h"
#include "text/document_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a process needs beside what is counted: code, tokenizer, text maps, buffers. Measured: 55-60 MiB on
 * SmolLM2. */
static const uint64_t OTHER_BYTES = (uint64_t)60 << 20;

/* Tokens per byte need little text: a few documents of a language, a second of work for ten of them. */
enum { DENSITY_TOKENS = 16384 };

/* ---- the expanded model's configuration ---- */

/* The shape that the base will have; names of the new group's languages are left out. */
static glot_status expanded_config(glot_model_config *c, glot_allocation *layout, const glot_recipe *r,
                                   const glot_model *model, const double *similarity, glot_error *err)
{
    glot_gate_config gate;
    *c = model->config;
    GLOT_TRY(glot_recipe_layout(layout, r, &model->config, similarity, err));
    glot_upcycle_config(c, layout->n_experts, (int)r->experts.top_k);
    GLOT_TRY(glot_recipe_gates(&gate, r, c, similarity, err));
    c->gate = gate;
    return GLOT_OK;
}

/* The same backend and parameters in the shape, and with the adapters, that the base will have. */
static glot_status shadow_of(glot_model *shadow, glot_allocation *layout, const glot_recipe *r,
                             const glot_model *model, const double *similarity, glot_error *err)
{
    *shadow = *model;
    if (r->train.trainable.what == GLOT_TRAIN_LORA)
        shadow->lora_rank = r->train.trainable.rank;
    return expanded_config(&shadow->config, layout, r, model, similarity, err);
}

/* ---- memory ---- */

/* Whether stage 1 trains a weight that the base brought. */
static bool is_base_trained(const glot_param *w, const glot_model_config *expanded, int what)
{
    return what == GLOT_TRAIN_ALL ||
           (what == GLOT_TRAIN_ALL_EXPERTS && w->expert >= 0 && expanded->n_experts[w->layer] > 1);
}

/* A mapped weight that changes gets memory of its own, when stage 1 begins or, under an adapter, when that is
 * merged. */
static void count_weights(glot_plan *p, const glot_model *model, const glot_model_config *expanded, int what)
{
    for (size_t i = 0; i < model->n_params; i++) {
        const glot_param *w = model->params[i];
        uint64_t elements = (uint64_t)glot_tensor_elements(&w->weight), bytes = glot_tensor_bytes(&w->weight);
        bool is_trained = is_base_trained(w, expanded, what),
             is_merged = what == GLOT_TRAIN_LORA && glot_lora_adapts(w->role);
        uint64_t own = !w->is_owned && (is_trained || is_merged)
                           ? elements * glot_dtype_block_bytes(model->be->real)
                           : 0;
        p->n_base += elements;
        *(w->is_owned ? &p->owned_bytes : &p->mapped_bytes) += bytes;
        *(is_merged ? &p->merged_bytes : &p->owned_bytes) += own;
        p->model_bytes += own ? own : bytes;
    }
}

static glot_status plan_stage(glot_plan_stage *out, const glot_recipe *r, const glot_model *shadow,
                              glot_phase phase, uint64_t ids, glot_error *err)
{
    const glot_recipe_stage *s = glot_recipe_stage_of(r, phase);
    glot_trainable what = phase == GLOT_PHASE_REVIEW ? GLOT_TRAIN_ROUTERS : (glot_trainable)s->trainable.what;
    glot_cost cost;
    out->steps = glot_recipe_steps(s, ids);
    if (out->steps == 0)
        return GLOT_OK;
    glot_train_settings settings = glot_recipe_settings(r, phase);
    settings.steps = out->steps;
    GLOT_TRY(glot_cost_of(&cost, &shadow->config, what, settings.length, err));
    if (what == GLOT_TRAIN_LORA)
        glot_cost_add_lora(&cost, &shadow->config, shadow->lora_rank);
    GLOT_TRY(glot_trainer_measure(&out->memory, shadow, &settings, err));
    out->tokens = (uint64_t)(out->steps * settings.batch * settings.length);
    out->n_trained = cost.n_trained;
    out->flops_per_token =
        cost.flops_per_token + (settings.is_recomputed ? cost.recomputed_flops_per_token : 0.0);
    out->memory.gradients = (size_t)cost.n_trained * glot_dtype_block_bytes(shadow->be->real);
    out->memory.moments = 2 * out->memory.gradients;
    return GLOT_OK;
}

static uint64_t stage_bytes(const glot_plan_stage *s)
{
    return (uint64_t)s->memory.gradients + s->memory.moments + s->memory.workspace + s->memory.host;
}

static glot_status measure_scoring(uint64_t *bytes, const glot_recipe *r, const glot_model *shadow,
                                   glot_error *err)
{
    size_t n = 0;
    if (r->eval.bits_per_byte)
        GLOT_TRY(glot_score_measure(&n, shadow, &(glot_score_options){0}, err));
    *bytes = n;
    return GLOT_OK;
}

/* What scoring in the middle of a stage adds to it. */
static uint64_t scoring_within(const glot_plan *p, const glot_recipe_stage *s)
{
    return s->eval_every > 0 ? p->score_bytes : 0;
}

/* The most at any time beside the base's and the experts' weights: a stage, or the scoring after it, while
 * the gradients still have their place and adapters have been merged. */
static uint64_t working_bytes(const glot_plan *p, const glot_recipe *r)
{
    uint64_t train = stage_bytes(&p->train) + scoring_within(p, &r->train);
    uint64_t review = stage_bytes(&p->review) + scoring_within(p, &r->review);
    uint64_t scoring = p->score_bytes + p->train.memory.gradients + p->merged_bytes,
             most = train > review ? train : review;
    return most > scoring ? most : scoring;
}

/* ---- speed ---- */

/* Operations a second of the model's own FFN product on 512 rows, the best of what fits into a quarter of a
 * second. */
static glot_status measure_product(double *flops_per_s, const glot_model *model, glot_error *err)
{
    enum { ROWS = 512 };
    glot_backend *be = model->be;
    const glot_tensor *w = &model->layers[0].gate_proj[0]->weight;
    glot_tensor x = glot_tensor_2d(be->real, ROWS, w->shape[1]),
                y = glot_tensor_2d(be->real, ROWS, w->shape[0]);
    glot_pool pool;
    glot_limits limits = {.max_tokens = ROWS,
                          .max_keys = 1,
                          .max_segments = 1,
                          .max_width = w->shape[0] > w->shape[1] ? w->shape[0] : w->shape[1],
                          .max_head_dim = 1,
                          .max_experts = 1,
                          .max_top_k = 1};
    GLOT_TRY(be->reserve(be, &limits, err));
    GLOT_TRY(
        glot_pool_init(&pool, be, glot_tensor_bytes(&x) + glot_tensor_bytes(&y) + 128, "a measurement", err));
    glot_pool_take(&pool, &x);
    glot_pool_take(&pool, &y);
    be->zero(be, &x);
    double began = glot_seconds(), best = 1e30;
    while (glot_seconds() - began < 0.25) {
        double start = glot_seconds();
        glot_op_linear(be, &y, &x, w, NULL);
        double took = glot_seconds() - start;
        best = took < best ? took : best;
    }
    glot_pool_release(&pool);
    *flops_per_s = 2.0 * ROWS * (double)glot_tensor_elements(w) / best;
    return GLOT_OK;
}

/* ---- the plan ---- */

/* Bytes of everything below a folder; what cannot be read counts nothing. */
static uint64_t bytes_below(const char *path)
{
    uint64_t total = 0;
    char **names = NULL;
    size_t n = 0;
    if (!glot_path_is_dir(path) || glot_dir_list(&names, &n, path, NULL) != GLOT_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct stat info;
        char *file = glot_path_join(path, names[i]);
        if (file && lstat(file, &info) == 0)
            total += S_ISDIR(info.st_mode) ? bytes_below(file) : (uint64_t)info.st_size;
        glot_free(file);
    }
    glot_dir_list_free(names, n);
    return total;
}

/* What the run directory holds of what the plan counts; the tokens are there already and stay. */
static uint64_t bytes_there(const glot_recipe *r)
{
    static const char *const folders[] = {"checkpoints", "model"};
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = glot_path_join(r->output, folders[i]);
        total += path ? bytes_below(path) : 0;
        glot_free(path);
    }
    return total;
}

/* Checkpoints that stay at most: no more than are written. */
static uint64_t n_kept(const glot_recipe_stage *s, int64_t steps)
{
    int64_t every = s->checkpoint_every.steps, n_written = (every > 0 ? steps / every : steps) + 1;
    return (uint64_t)(n_written < s->keep ? n_written : s->keep);
}

static glot_status plan_disk(glot_plan *p, const glot_recipe *r, const glot_model *model, glot_error *err)
{
    size_t real = glot_dtype_block_bytes(model->be->real);
    uint64_t train_bytes = 3 * p->train.n_trained * real, review_bytes = 3 * p->review.n_trained * real;
    uint64_t n_train = n_kept(&r->train, p->train.steps);
    p->checkpoint_bytes = train_bytes > review_bytes ? train_bytes : review_bytes;
    /* the one being written stands beside those kept; the review's come beside stage 1's last */
    uint64_t train_disk = train_bytes * (n_train + 1);
    uint64_t later_disk = train_bytes * n_train + review_bytes * (n_kept(&r->review, p->review.steps) + 1) +
                          p->model_bytes;
    p->disk_bytes = train_disk > later_disk ? train_disk : later_disk;
    p->disk_there_bytes = bytes_there(r);
    return glot_disk_free(&p->disk_free_bytes, r->output, err);
}

glot_status glot_plan_make(glot_plan *out, const glot_recipe *r, const glot_model *model,
                           const double *similarity, uint64_t train_ids, uint64_t review_ids,
                           bool measure_speed, glot_error *err)
{
    glot_plan p = {0};
    glot_model shadow;
    glot_cost cost;
    GLOT_TRY(shadow_of(&shadow, &p.layout, r, model, similarity, err));
    GLOT_TRY(glot_recipe_format(&p.format, r, err));
    p.is_layerwise = glot_recipe_is_layerwise(r);
    p.is_layout_open = p.is_layerwise && !similarity;
    count_weights(&p, model, &shadow.config, r->train.trainable.what);
    GLOT_TRY(glot_cost_of(&cost, &shadow.config, GLOT_TRAIN_NEW_EXPERTS, 2, err));
    p.n_parameters = cost.n_parameters;
    p.n_new = cost.n_parameters - p.n_base;
    uint64_t new_bytes = p.n_new * glot_dtype_block_bytes(model->be->real);
    p.owned_bytes += new_bytes + glot_lora_elements(&shadow.config, shadow.lora_rank) *
                                     glot_dtype_block_bytes(model->be->real);
    p.model_bytes += new_bytes;
    GLOT_TRY(plan_stage(&p.train, r, &shadow, GLOT_PHASE_TRAIN, train_ids, err));
    GLOT_TRY(plan_stage(&p.review, r, &shadow, GLOT_PHASE_REVIEW, review_ids, err));
    GLOT_TRY(measure_scoring(&p.score_bytes, r, &shadow, err));
    p.other_bytes = OTHER_BYTES;
    p.peak_bytes = p.mapped_bytes + p.owned_bytes + working_bytes(&p, r) + p.other_bytes;
    p.available_bytes = glot_memory_limit(&p.available_name);
    GLOT_TRY(plan_disk(&p, r, model, err));
    if (measure_speed) {
        GLOT_TRY(measure_product(&p.flops_per_s, model, err));
        p.seconds = ((double)p.train.tokens * p.train.flops_per_token +
                     (double)p.review.tokens * p.review.flops_per_token) /
                    p.flops_per_s;
    }
    *out = p;
    return GLOT_OK;
}

/* The largest micro_batch, halved again and again, whose stage fits; 0: none. */
static int64_t fitting_micro_batch(const glot_plan *p, const glot_recipe *r, const glot_model *model,
                                   glot_phase phase)
{
    glot_model shadow;
    glot_allocation layout;
    glot_train_settings settings = glot_recipe_settings(r, phase);
    const glot_plan_stage *stage = phase == GLOT_PHASE_TRAIN ? &p->train : &p->review;
    uint64_t others = p->owned_bytes + OTHER_BYTES + stage->memory.gradients + stage->memory.moments +
                      scoring_within(p, glot_recipe_stage_of(r, phase));
    if (shadow_of(&shadow, &layout, r, model, NULL, NULL) != GLOT_OK)
        return 0;
    for (settings.steps = 1; settings.micro_batch > 0; settings.micro_batch /= 2) {
        glot_train_memory memory;
        if (glot_trainer_measure(&memory, &shadow, &settings, NULL) != GLOT_OK)
            return 0;
        if (others + memory.workspace + memory.host <= p->available_bytes)
            return settings.micro_batch;
    }
    return 0;
}

glot_status glot_plan_check(const glot_plan *p, const glot_recipe *r, const glot_model *model,
                            glot_error *err)
{
    char needed[32], there[32];
    if (p->peak_bytes - p->mapped_bytes >
        p->available_bytes) { /* mapped weights give way where memory is short */
        bool is_train = stage_bytes(&p->train) >= stage_bytes(&p->review);
        int64_t fits = fitting_micro_batch(p, r, model, is_train ? GLOT_PHASE_TRAIN : GLOT_PHASE_REVIEW);
        glot_bytes_text(p->peak_bytes - p->mapped_bytes, needed);
        glot_bytes_text(p->available_bytes, there);
        if (fits)
            return GLOT_FAIL(err, GLOT_NOMEM,
                             "the job needs %s of memory and %s has %s for it; %s.micro_batch: %" PRId64
                             " would fit",
                             needed, p->available_name, there, is_train ? "train" : "review", fits);
        return GLOT_FAIL(err, GLOT_NOMEM,
                         "the job needs %s of memory and %s has %s for it; no micro_batch would fit%s",
                         needed, p->available_name, there, p->n_new ? ", fewer experts might" : "");
    }
    uint64_t missing = p->disk_bytes > p->disk_there_bytes ? p->disk_bytes - p->disk_there_bytes : 0;
    if (missing > p->disk_free_bytes) {
        glot_bytes_text(missing, needed);
        glot_bytes_text(p->disk_free_bytes, there);
        return GLOT_FAIL(
            err, GLOT_NO_SPACE,
            "'%s': the job needs up to %s of disk and %s is free; fewer checkpoints (train.keep) need less",
            r->output, needed, there);
    }
    return GLOT_OK;
}

/* Whole documents of the language's train text until max_tokens (0: all). */
static glot_status count_language(glot_plan_density *text, uint64_t *n_documents,
                                  const glot_recipe_language *l, const glot_tokenizer *t, uint64_t max_tokens,
                                  glot_error *err)
{
    *text = (glot_plan_density){.language = l->name};
    *n_documents = 0;
    glot_document_reader *reader = NULL;
    glot_corpus_options options = glot_corpus_options_default();
    glot_document d = {0};
    glot_status status = glot_document_reader_open(&reader, l->name, (const char *const *)l->train.items,
                                                   l->train.n, t, &options, max_tokens, err);
    while (status == GLOT_OK && (status = glot_document_reader_next(reader, &d, err)) == GLOT_OK && d.ids) {
        text->tokens += d.n_ids;
        text->bytes += d.n_bytes;
        ++*n_documents;
    }
    glot_document_reader_close(reader);
    return status;
}

/* ids (documents and their EOS) of one epoch of a stage, counted by tokenizing the text. */
static glot_status count_ids(uint64_t *ids, const glot_recipe *r, glot_phase phase, const glot_tokenizer *t,
                             glot_error *err)
{
    const glot_recipe_stage *s = glot_recipe_stage_of(r, phase);
    *ids = 0;
    if (!(s->epochs > 0.0))
        return GLOT_OK;
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < r->n_languages && status == GLOT_OK; i++) {
        const glot_recipe_language *l = &r->languages[i];
        glot_plan_density text = {0};
        uint64_t n_documents = 0;
        if (glot_recipe_trains_on(s, l))
            status = count_language(&text, &n_documents, l, t, 0, err);
        *ids += text.tokens + n_documents;
    }
    return status;
}

static glot_status measure_densities(glot_plan *p, const glot_recipe *r, const glot_tokenizer *t,
                                     glot_error *err)
{
    for (size_t i = 0; i < r->n_languages; i++) {
        glot_plan_density *text = &p->densities[p->n_densities];
        uint64_t n_documents;
        if (r->languages[i].train.n == 0)
            continue;
        GLOT_TRY(count_language(text, &n_documents, &r->languages[i], t, DENSITY_TOKENS, err));
        glot_warn_of_density(text->language, text->tokens, text->bytes);
        p->n_densities++;
    }
    return GLOT_OK;
}

glot_status glot_plan_recipe(glot_plan *out, const glot_recipe *r, glot_error *err)
{
    glot_backend *be = NULL;
    glot_model *model = NULL;
    glot_tokenizer *tokenizer = NULL;
    uint64_t train_ids = 0, review_ids = 0;
    GLOT_TRY(glot_cpu_backend_create(&be, (int)r->threads, NULL, err));
    glot_status status = glot_base_open(&model, &tokenizer, r, be, err);
    if (status == GLOT_OK)
        glot_base_warn(r);
    if (status == GLOT_OK)
        status = count_ids(&train_ids, r, GLOT_PHASE_TRAIN, tokenizer, err);
    if (status == GLOT_OK)
        status = count_ids(&review_ids, r, GLOT_PHASE_REVIEW, tokenizer, err);
    if (status == GLOT_OK)
        status = glot_plan_make(out, r, model, NULL, train_ids, review_ids, true, err);
    if (status == GLOT_OK)
        status = measure_densities(out, r, tokenizer, err);
    glot_tokenizer_close(tokenizer);
    glot_model_close(model);
    glot_backend_close(be);
    return status;
}
