/* job_upcycle.c: the step of a job that gives the base its experts and routers (METHOD 1, 7): how many
 * each layer gets, their settings, and the names of the language groups. It is made again from the seed on
 * every start. */
#include "base/log.h"
#include "base/memory.h"
#include "expand/gates.h"
#include "expand/upcycle.h"
#include "job/base.h"
#include "job/job.h"
#include "job/language_groups.h"
#include "job/layout.h"

#include <stdio.h>
#include <string.h>

/* Tokens of each new language whose routing says which expert serves it best: means over more differ in the
 * third digit. */
enum { BEST_TOKENS = 4096 };

/* ---- init: best ---- */

/* sums [n_layers * GLOT_MAX_EXPERTS]: mean router probabilities, added over the new languages. */
static glot_status add_routing(double *sums, double *shares, double *probs, const glot_job *job,
                               glot_error *err)
{
    const glot_recipe *r = job->recipe;
    size_t n = (size_t)job->model->config.n_layers * GLOT_MAX_EXPERTS;
    for (size_t i = 0, at; i < r->n_languages; i++) {
        if (r->languages[i].group == GLOT_RECIPE_OLD)
            continue;
        GLOT_TRY(glot_token_store_find_language(job->train, r->languages[i].name, &at, err));
        GLOT_TRY(glot_routing_shares(shares, probs, job->model, job->train, (int32_t)at, BEST_TOKENS,
                                     GLOT_EXACT_NEVER, err));
        for (size_t k = 0; k < n; k++)
            sums[k] += probs[k];
    }
    return GLOT_OK;
}

/* Each layer's expert with the largest sum, the lower of equals: [1, 0, 2, ...]; new reference. */
static json_t *largest(const double *sums, const glot_model_config *c)
{
    json_t *list = json_array();
    for (int64_t l = 0; l < c->n_layers; l++) {
        const double *row = sums + l * GLOT_MAX_EXPERTS;
        int best = 0;
        for (int e = 1; e < c->n_experts[l]; e++)
            best = row[e] > row[best] ? e : best;
        json_array_append_new(list, json_integer(best));
    }
    return list;
}

static glot_status measure_best(json_t **out, const glot_job *job, glot_error *err)
{
    size_t n = (size_t)job->model->config.n_layers * GLOT_MAX_EXPERTS;
    double *sums = NULL, *shares = NULL, *probs = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_new(&sums, n, sizeof *sums, "routing shares", err));
    GLOT_TRY_OUT(glot_new(&shares, n, sizeof *shares, "routing shares", err));
    GLOT_TRY_OUT(glot_new(&probs, n, sizeof *probs, "routing shares", err));
    GLOT_TRY_OUT(add_routing(sums, shares, probs, job, err));
    *out = largest(sums, &job->model->config);
out:
    glot_free(sums);
    glot_free(shares);
    glot_free(probs);
    return status;
}

/* The expert that each layer's new ones copy. Measured once: a run that goes on takes it from state.json. */
static glot_status choose_sources(int32_t *source, glot_job *job, glot_error *err)
{
    const json_t *best = glot_run_dir_get(job->dir, "best_experts");
    if (!best) {
        json_t *measured = NULL;
        glot_job_begin(job, "upcycle", "looking for the experts that serve the new languages best");
        GLOT_TRY(measure_best(&measured, job, err));
        GLOT_TRY(glot_run_dir_put(job->dir, "best_experts", measured, err));
        GLOT_TRY(glot_run_dir_save(job->dir, err));
        best = glot_run_dir_get(job->dir, "best_experts");
    }
    for (int64_t l = 0; l < job->model->config.n_layers; l++)
        source[l] = (int32_t)json_integer_value(json_array_get(best, (size_t)l));
    return GLOT_OK;
}

/* ---- the step ---- */

/* For the results: what similarity asked for, where that was not what the export format holds. */
static glot_status put_allocation(const glot_job *job, const glot_allocation *a, glot_error *err)
{
    const glot_layout_format *format;
    GLOT_TRY(glot_recipe_format(&format, job->recipe, err));
    return glot_run_dir_put(job->dir, "allocation", glot_allocation_json(a, format), err);
}

/* glot_upcycle with the recipe's numbers, before anything has trained. */
static glot_status add_experts(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    int32_t source[GLOT_MAX_LAYERS];
    glot_allocation a;
    glot_upcycle_settings settings = glot_base_upcycle_settings(r);
    if (job->model->config.exact.is_on && r->exact.mode == GLOT_RECIPE_EXACT_NONE)
        glot_warn("'%s' has an exact path, which knows nothing of the new languages; exact.mode is none, so "
                  "the result will have none",
                  r->base);
    GLOT_TRY(glot_recipe_layout(&a, r, &job->model->config, job->layer_similarity, err));
    if (glot_recipe_is_layerwise(r))
        GLOT_TRY(put_allocation(job, &a, err));
    if (r->experts.init == GLOT_RECIPE_INIT_BEST) {
        GLOT_TRY(choose_sources(source, job, err));
        settings.source_expert = source;
    }
    return glot_upcycle(job->model, a.n_experts, &settings, err);
}

static glot_status add_adapters(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    glot_lora_settings lora = {r->train.trainable.rank, r->train.trainable.alpha};
    return glot_model_add_lora(job->model, &lora, (uint64_t)r->seed, err);
}

/* Adds a name to the comma separated ones of a group, once. */
static glot_status name_language(glot_job *job, int group, const char *language, glot_error *err)
{
    char **languages = &job->model->config.group_languages[group];
    glot_str names = {0};
    glot_str_printf(&names, "%s%s%s", *languages, **languages ? "," : "", language);
    GLOT_TRY(glot_str_check(&names, "the names of languages", err));
    glot_free(*languages);
    *languages = names.data;
    return GLOT_OK;
}

/* The languages of the recipe that no group knows yet. A review alone says which languages are old and
 * nothing of what was trained. */
static glot_status name_languages(glot_job *job, const bool *is_known, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    for (size_t i = 0; i < r->n_languages; i++)
        if (!is_known[i] && (r->job != GLOT_JOB_REVIEW || r->languages[i].group == GLOT_RECIPE_OLD))
            GLOT_TRY(name_language(job, job->groups[i], r->languages[i].name, err));
    return GLOT_OK;
}

/* What the run begins with, for its report: experts of each layer, and the hash of the weights of the model
 * that all of it began with. A run that goes on has them. */
static glot_status keep_origin(glot_job *job, json_t *experts, glot_error *err)
{
    char hash[65];
    snprintf(hash, sizeof hash, "%s", job->model->config.base_sha256);
    GLOT_TRY(glot_run_dir_put(job->dir, "experts_before", json_incref(experts), err));
    if (glot_run_dir_get(job->dir, "base_sha256"))
        return GLOT_OK;
    if (!*hash && !job->model->config.is_expanded) /* a dense model stays one: all of it is trained */
        GLOT_TRY(glot_model_sha256(hash, job->model, false, err));
    return *hash ? glot_run_dir_put(job->dir, "base_sha256", json_string(hash), err) : GLOT_OK;
}

glot_status glot_job_upcycle(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    bool is_known[GLOT_MAX_LANGUAGES];
    GLOT_TRY(glot_language_groups(job->groups, r, &job->model->config, err));
    for (size_t i = 0; i < r->n_languages; i++)
        is_known[i] = glot_language_group_of(&job->model->config, r->languages[i].name) >= 0;
    json_t *experts = glot_json_ints(job->model->config.n_experts, job->model->config.n_layers);
    glot_status status = r->job == GLOT_JOB_EXPAND ? add_experts(job, err) : GLOT_OK;
    if (status == GLOT_OK)
        status = keep_origin(job, experts, err);
    json_decref(experts);
    GLOT_TRY(status);
    if (r->train.trainable.what == GLOT_TRAIN_LORA)
        GLOT_TRY(add_adapters(job, err));
    return job->model->config.is_expanded ? name_languages(job, is_known, err) : GLOT_OK;
}

glot_status glot_job_add_gates(glot_job *job, glot_error *err)
{
    glot_gate_config gate;
    GLOT_TRY(glot_recipe_gates(&gate, job->recipe, &job->model->config, job->layer_similarity, err));
    return glot_gates_add(job->model, &gate, (uint64_t)job->recipe->seed, err);
}
